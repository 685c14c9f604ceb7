"""CAP 1.2: every message against the OASIS schema, and what the schema lets pass against the standard's words."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from lxml import etree
from shapely import Point, Polygon

from made_up_run import WARNINGS, warning, write_site
from opencram.outputs.cap import NAMESPACE, Provenance, Source, cap_messages, write_alerts, zone_polygons
from opencram.site import Site
from opencram.tables import ZoneWarning

XSD = Path(__file__).parent / "data" / "CAP-v1.2-schema.xsd"
SOURCE = Source("opencram.made-up", "opencram.0123", Provenance.SIMULATION, "Simulated. No real event.")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def schema() -> etree.XMLSchema:
    return etree.XMLSchema(etree.parse(XSD))


def messages(site: Site, *warnings: ZoneWarning, source: Source = SOURCE) -> list[etree._Element]:
    return [etree.fromstring(m) for m in cap_messages(warnings or WARNINGS, site, source)]


def texts(message: etree._Element, path: str) -> list[str]:
    steps = "/".join(f"c:{step}" for step in path.split("/"))
    return [e.text or "" for e in message.iterfind(steps, {"c": NAMESPACE})]


def parameters(message: etree._Element) -> dict[str, str]:
    pairs = message.find("c:info", {"c": NAMESPACE}).iterfind("c:parameter", {"c": NAMESPACE})
    return {pair[0].text: pair[1].text for pair in pairs}


def test_every_state_is_valid_by_the_oasis_schema(site: Site, schema: etree.XMLSchema) -> None:
    assert {w.state for w in WARNINGS} == {"pre-alert", "alert", "update", "cancel", "all-clear"}
    for message in messages(site):
        schema.assertValid(message)


def test_odd_characters_in_a_reason_stay_valid(site: Site, schema: etree.XMLSchema) -> None:
    (message,) = messages(site, warning(4.0, "inner", "alert", (1,), reason="a<b & \x00\x07 ]]> \ufffe é"))
    schema.assertValid(message)
    assert parameters(message)["reason"].startswith("a<b & ")


def test_a_simulation_is_an_exercise_whatever_is_asked() -> None:
    assert Provenance.SIMULATION.cap_status == "Exercise"
    assert Provenance.REPLAY.cap_status == "Test"
    with pytest.raises(AttributeError):
        Provenance.SIMULATION.cap_status = "Actual"  # type: ignore[misc]
    with pytest.raises(ValueError, match="Simulation"):
        Provenance("Simulation")


def test_an_exercise_says_so_in_every_text_people_read(site: Site) -> None:
    for message in messages(site):
        assert texts(message, "status") == ["Exercise"]
        assert texts(message, "note") == ["Simulated. No real event."]
        for headline in texts(message, "info/headline") + texts(message, "info/event"):
            assert headline.startswith(("EXERCISE – ", "EXERCICE – ", "تمرين – "))


def test_a_live_message_says_no_exercise(site: Site) -> None:
    live = Source("opencram.made-up", "live", Provenance.LIVE)
    (message,) = messages(site, WARNINGS[1], source=live)
    assert texts(message, "status") == ["Actual"]
    assert "EXERCISE" not in etree.tostring(message).decode()


def test_messages_of_a_zone_refer_to_the_one_before(site: Site) -> None:
    inner = [m for m, w in zip(messages(site), WARNINGS, strict=True) if w.zone == "inner"]
    assert [texts(m, "msgType")[0] for m in inner] == ["Alert", "Update", "Update", "Update"]
    told = [",".join(texts(m, tag)[0] for tag in ("sender", "identifier", "sent")) for m in inner]
    assert [texts(m, "references") for m in inner] == [[], *([t] for t in told[:-1])]


def test_a_cancel_cancels_and_what_comes_after_is_new(site: Site) -> None:
    again = [warning(6.0, "west", "alert"), warning(9.0, "west", "cancel"), warning(20.0, "west", "alert")]
    told = messages(site, *again)
    assert [texts(m, "msgType")[0] for m in told] == ["Alert", "Cancel", "Alert"]
    assert texts(told[2], "references") == []


def test_the_all_clear_says_so(site: Site) -> None:
    ended = messages(site)[-1]
    assert set(texts(ended, "info/responseType")) == {"AllClear"}
    assert set(texts(ended, "info/urgency")) == {"Past"}
    assert "timeToImpact_s" not in parameters(ended)


def test_languages_are_english_french_and_arabic_where_the_zone_has_it(site: Site) -> None:
    told = dict(zip([w.zone for w in WARNINGS], messages(site), strict=True))
    assert texts(told["inner"], "info/language") == ["en-GB", "fr-FR", "ar-IQ"]
    assert texts(told["outer"], "info/language") == ["en-GB", "fr-FR"]
    assert texts(told["inner"], "info/area/areaDesc") == ["Compound", "enceinte", "نطاق"]


def test_times_have_whole_seconds_and_no_z(site: Site) -> None:
    late = warning(5.999, "inner", "alert", (1,), seconds_left=15.25)
    (message,) = messages(site, late)
    assert texts(message, "sent") == ["2020-11-17T17:30:05+00:00"]
    assert texts(message, "info/onset")[0] == "2020-11-17T17:30:21+00:00"
    assert parameters(message)["timeToImpact_s"] == "15.2"
    assert parameters(message)["impactTime"] == "2020-11-17T17:30:21.249Z"


def test_an_alert_outlives_its_impact(site: Site) -> None:
    for message in messages(site):
        onset, expires = (datetime.fromisoformat(texts(message, f"info/{t}")[0]) for t in ("onset", "expires"))
        assert (expires - onset).total_seconds() == site.policy.all_clear_s


@pytest.mark.parametrize(("p_hit", "certainty"), [(0.8, "Likely"), (0.5, "Possible"), (0.01, "Possible")])
def test_certainty_follows_the_standard(site: Site, p_hit: float, certainty: str) -> None:
    (message,) = messages(site, warning(5.0, "inner", "alert", (1,), p_hit=p_hit))
    assert set(texts(message, "info/certainty")) == {certainty}


def test_what_somebody_reported_is_observed(site: Site) -> None:
    (message,) = messages(site, warning(5.0, "inner", "alert", (), kind="observed"))
    assert texts(message, "info/certainty")[0] == "Observed"


def test_polygons_are_closed_latitude_first_and_hold_the_zone(site: Site) -> None:
    message = messages(site)[0]
    (polygon, *_) = texts(message, "info/area/polygon")
    points = [tuple(float(v) for v in pair.split(",")) for pair in polygon.split(" ")]
    assert points[0] == points[-1]
    assert len(points) == 5
    assert Polygon(points).contains(Point(33.3, 44.4))
    assert {p.text for p in message.iterfind(".//c:geocode/c:value", {"c": NAMESPACE})} == {"inner"}


def test_an_open_ring_is_closed() -> None:
    zone = SimpleNamespace(id="z", rings=((((44.0, 33.0), (44.1, 33.0), (44.1, 33.1)),),))
    assert zone_polygons(zone) == ["33.000000,44.000000 33.000000,44.100000 33.100000,44.100000 33.000000,44.000000"]


@pytest.mark.parametrize(
    "ring", [((999.0, 999.0), (1.0, 1.0), (2.0, 1.0), (999.0, 999.0)), ((44.0, 33.0), (44.1, 33.0), (44.0, 33.0))]
)
def test_what_the_schema_lets_pass_is_refused(ring: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match=r"zone z: found .*, expected at least four points on the earth"):
        zone_polygons(SimpleNamespace(id="z", rings=((ring,),)))


def test_identifiers_are_unique_and_without_what_the_standard_forbids(site: Site) -> None:
    told = messages(site)
    names = [texts(m, "identifier")[0] for m in told]
    assert len(set(names)) == len(names)
    assert not [n for n in names + texts(told[0], "sender") if re.search(r"[\s,<&]", n)]


def test_files_sort_by_time_and_are_the_same_each_time(site: Site, tmp_path: Path) -> None:
    first, second = (write_alerts(tmp_path / name, WARNINGS, site, SOURCE) for name in ("a", "b"))
    assert [p.name for p in first] == sorted(p.name for p in first)
    assert first[0].name == "20201117T173003.000-00001-inner-pre-alert.xml"
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert [p.name for p in first] == [p.name for p in second]
