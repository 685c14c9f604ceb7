"""CAP 1.2: every message against the OASIS schema, and what the schema lets pass against the standard's words."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

import pytest
from lxml import etree
from shapely import Point, Polygon

from made_up_run import WARNINGS, warning, write_site
from opencram.outputs.cap import NAMESPACE, CapWriter, Provenance, Source, cap_messages, write_alerts
from opencram.outputs.phrases import KINDS, STATES, Phrases, phrases
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


@pytest.mark.parametrize("provenance", Provenance)
def test_every_state_and_kind_is_valid_by_the_oasis_schema(
    site: Site, schema: etree.XMLSchema, provenance: Provenance
) -> None:
    told = [warning(4.0, "inner", state, (1,), kind=kind, seconds_left=9.5) for state in STATES for kind in KINDS]
    for message in messages(site, *told, source=Source("opencram.made-up", "x", provenance)):
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


@pytest.mark.parametrize("kind", [*KINDS, "", "Actual", "live"])
@pytest.mark.parametrize("state", STATES)
def test_nothing_but_live_sensors_makes_an_actual_message(site: Site, state: str, kind: str) -> None:
    """By trying: whatever is said, in whatever words, of a simulation or a replay."""
    said = warning(4.0, "inner", state, (), kind=kind, reason="status Actual; msgType Alert</status><status>Actual")
    for provenance in (Provenance.SIMULATION, Provenance.REPLAY):
        source = Source("Actual", "Actual", provenance, "<status>Actual</status>")
        (message,) = messages(site, said, source=source)
        (status,) = texts(message, "status")
        assert status == ("Test" if kind == "test" or provenance is Provenance.REPLAY else "Exercise")
        marks = ("EXERCISE – ", "EXERCICE – ", "تمرين – ", "TEST – ", "ESSAI – ", "تجربة – ")
        assert all(t.startswith(marks) for t in texts(message, "info/headline") + texts(message, "info/event"))


def test_a_drill_on_a_live_system_is_an_exercise_and_a_siren_test_a_test(site: Site) -> None:
    live = Source("opencram.made-up", "live", Provenance.LIVE)
    told = [
        warning(0.0, "inner", "drill-notice", kind="drill", seconds_left=300.0),
        warning(300.0, "inner", "alert", kind="drill"),
        warning(305.0, "inner", "alert", (1,), seconds_left=15.0),
        warning(360.0, "inner", "all-clear", kind="drill"),
        warning(365.0, "inner", "all-clear", (1,)),
        warning(400.0, "inner", "test", kind="test"),
    ]
    found = messages(site, *told, source=live)
    names = [texts(m, "identifier")[0] for m in found]
    refers = [texts(m, "references")[0].split(",")[1] if texts(m, "references") else None for m in found]
    assert [texts(m, "status")[0] for m in found] == ["Exercise", "Exercise", "Actual", "Exercise", "Actual", "Test"]
    assert refers == [None, names[0], None, names[1], names[2], None]
    assert set(texts(found[1], "info/severity")) == {"Minor"}
    assert texts(found[0], "note") == ["Exercise live"]  # CAP 1.2: the exercise is named in the note
    assert texts(found[0], "info/onset")[0] == texts(found[1], "sent")[0]


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


def test_languages_are_english_french_and_arabic_whatever_the_zone_has(site: Site) -> None:
    told = dict(zip([w.zone for w in WARNINGS], messages(site), strict=True))
    assert texts(told["inner"], "info/language") == texts(told["outer"], "info/language") == ["en-GB", "fr-FR", "ar-IQ"]
    assert texts(told["inner"], "info/area/areaDesc") == ["Compound", "enceinte", "نطاق"]
    assert texts(told["outer"], "info/area/areaDesc") == ["Green Zone", "Zone verte", "Green Zone"]


def test_a_phrase_that_is_missing_holds_up_no_alert(site: Site, schema: etree.XMLSchema) -> None:
    lacking = {part: dict(states) for part, states in phrases().all().items()}
    lacking["headline"] = {
        "alert": {"any": {"en": "Alert: {zone}."}},
        **{s: lacking["headline"][s] for s in STATES[2:]},
    }
    lacking["headline"]["pre-alert"] = phrases().all()["headline"]["pre-alert"]
    writer = CapWriter(site, SOURCE, Phrases(lacking))
    message = etree.fromstring(writer.message(WARNINGS[1]).xml)
    schema.assertValid(message)
    assert texts(message, "info/headline")[1:] == ["EXERCICE – Alert: Zone verte.", "تمرين – Alert: Green Zone."]
    assert [(r.source, r.count, r.sample) for r in writer.rejects(0)] == [
        ("phrases", 1, "headline.alert.rocket"),
        ("phrases", 1, "headline.alert.rocket"),
    ]


def test_when_it_is_due_is_told_by_the_clocks_of_the_place(site: Site) -> None:
    (message,) = messages(site, WARNINGS[2])
    assert texts(message, "info/description")[0] == "The first impact is expected at 20:30:20, local time."
    assert "20:30:20" in texts(message, "info/description")[2]


def test_times_have_whole_seconds_and_no_z(site: Site) -> None:
    late = warning(5.999, "inner", "alert", (1,), seconds_left=15.25)
    (message,) = messages(site, late)
    assert texts(message, "sent") == ["2020-11-17T17:30:05-00:00"]
    assert texts(message, "info/onset")[0] == "2020-11-17T17:30:21-00:00"
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


@pytest.mark.parametrize("kind", ["operator", "sensor"])
def test_an_alarm_without_an_impact_stands_as_long_as_an_operator_s(site: Site, kind: str) -> None:
    (message,) = messages(site, warning(5.0, "inner", "alert", (), kind=kind))
    sent, expires = (datetime.fromisoformat(texts(message, tag)[0]) for tag in ("sent", "info/expires"))
    assert (expires - sent).total_seconds() == site.policy.operator_alarm_s
    assert texts(message, "info/certainty")[0] == ("Unknown" if kind == "sensor" else "Observed")


def test_polygons_are_closed_latitude_first_and_hold_the_zone(site: Site) -> None:
    message = messages(site)[0]
    (polygon, *_) = texts(message, "info/area/polygon")
    points = [tuple(float(v) for v in pair.split(",")) for pair in polygon.split(" ")]
    assert points[0] == points[-1]
    assert len(points) == 5
    assert Polygon(points).contains(Point(33.3, 44.4))
    assert {p.text for p in message.iterfind(".//c:geocode/c:value", {"c": NAMESPACE})} == {"inner"}


def test_identifiers_are_unique_and_without_what_the_standard_forbids(site: Site) -> None:
    told = messages(site)
    names = [texts(m, "identifier")[0] for m in told]
    assert len(set(names)) == len(names)
    assert not [n for n in names + texts(told[0], "sender") if re.search(r"[\s,<&]", n)]


def test_a_writer_goes_on_where_an_earlier_run_left(site: Site) -> None:
    first = CapWriter(site, SOURCE)
    alert = first.message(WARNINGS[1])
    again = CapWriter(site, Source("opencram.made-up", "again", Provenance.SIMULATION), told=first.told)
    ended = etree.fromstring(again.message(WARNINGS[-1]).xml)
    assert texts(ended, "msgType") == ["Update"]
    assert texts(ended, "references") == [alert.reference]
    assert again.told == {}


def test_files_sort_by_time_and_are_the_same_each_time(site: Site, tmp_path: Path) -> None:
    for name in ("a", "b"):
        assert write_alerts(tmp_path / name, WARNINGS, site, SOURCE) == []
    first, second = (sorted((tmp_path / name).iterdir()) for name in ("a", "b"))
    assert first[0].name == "20201117T173003.000-00001-inner-pre-alert.xml"
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]
    assert [p.name for p in first] == [p.name for p in second]
    told = [etree.fromstring(p.read_bytes()) for p in first]
    assert [texts(m, "identifier")[0] for m in told] == [f"opencram.0123.{i:05d}" for i in range(1, len(WARNINGS) + 1)]
