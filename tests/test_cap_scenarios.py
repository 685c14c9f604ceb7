"""Every alert of every built-in scenario: by the OASIS schema, by another's reader, and by the standard's own words."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import capparser
import pytest
from lxml import etree
from shapely import Point, Polygon

from opencram.drive.simulate import simulate_in_memory
from opencram.outputs.cap import Provenance, Source, cap_messages
from opencram.outputs.cap_check import check_cap
from opencram.outputs.source import sender_of
from opencram.site import Site, load_site
from opencram.tables import ZoneWarning
from opencram.world.scenario import load_scenario, scenario_names

CAP = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
SILENT = "innocent-sky"
"""Nothing is told in it: tests of its own hold that."""
NAMES = [name for name in scenario_names() if name != SILENT]

Alerts = tuple[Site, list[ZoneWarning], list[bytes]]


def told_in(name: str) -> list[ZoneWarning]:
    scenario = load_scenario(name)
    return simulate_in_memory(scenario, load_site(scenario.site), seed=0)[1].said.warnings


@pytest.fixture(scope="module")
def told() -> dict[str, list[ZoneWarning]]:
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        return dict(zip(NAMES, pool.map(told_in, NAMES), strict=True))


@pytest.fixture(params=NAMES)
def alerts(request: pytest.FixtureRequest, told: dict[str, list[ZoneWarning]]) -> Alerts:
    site = load_site(load_scenario(request.param).site)
    source = Source(sender_of(site), "run", Provenance.SIMULATION, "Simulated.")
    warnings = told[request.param]
    return site, warnings, list(cap_messages(warnings, site, source))


def texts(root: etree._Element, path: str) -> list[str]:
    return [e.text or "" for e in root.iterfind("/".join(f"c:{step}" for step in path.split("/")), CAP)]


def test_the_schema_and_our_own_check_accept_them_all(alerts: Alerts) -> None:
    schema = etree.XMLSchema(etree.parse(Path(__file__).parent / "data" / "CAP-v1.2-schema.xsd"))
    _, warnings, messages = alerts
    assert len(messages) == len(warnings) > 0
    for message in messages:
        schema.assertValid(etree.fromstring(message))
        check_cap(message, "x")


def test_what_the_standard_says_beyond_its_schema_holds(alerts: Alerts) -> None:
    """Element by element as section 3.2 has it: names, UTC, references that lead somewhere, an exercise's note."""
    site, warnings, messages = alerts
    sent: dict[str, str] = {}
    for warning, message in zip(warnings, map(etree.fromstring, messages), strict=True):
        (identifier,), (sender,), (time,) = (texts(message, tag) for tag in ("identifier", "sender", "sent"))
        assert not re.search(r"[\s,<&]", identifier + sender)
        assert identifier not in {r.split(",")[1] for r in sent}
        assert texts(message, "status") == ["Exercise"]
        assert texts(message, "note") == ["Simulated."]
        assert texts(message, "incidents") == ([f"run.raid.{warning.raid}"] if warning.raid else [])
        times = [t for path in ("sent", "info/onset", "info/expires") for t in texts(message, path)]
        assert all(t.endswith("-00:00") for t in times)
        assert (texts(message, "msgType") == ["Alert"]) == (texts(message, "references") == [])
        for reference in texts(message, "references"):
            assert sent[reference] == warning.zone
        sent[f"{sender},{identifier},{time}"] = warning.zone
        _check_infos(message, site, warning)


def _check_infos(message: etree._Element, site: Site, warning: ZoneWarning) -> None:
    infos = message.findall("c:info", CAP)
    assert [texts(i, "language") for i in infos] == [["en-GB"], ["fr-FR"], ["ar-IQ"]]
    for path in ("category", "responseType", "urgency", "severity", "certainty", "onset", "expires", "area/polygon"):
        assert len({tuple(texts(i, path)) for i in infos}) == 1
    (zone,) = (z for z in site.zones if z.id == warning.zone)
    rings = [[tuple(map(float, p.split(","))) for p in t.split()] for t in texts(infos[0], "area/polygon")]
    shapes = [Polygon(ring) for ring in rings]
    assert len(shapes) == len(zone.rings)
    for shape, (exterior, *_) in zip(shapes, zone.rings, strict=True):
        assert shape.is_valid
        drawn = Polygon([(lat, lon) for lon, lat in exterior])
        assert shape.symmetric_difference(drawn).area < 1e-4 * drawn.area
        assert shape.distance(Point(site.origin.lat, site.origin.lon)) < 0.2
    sent, onset, expires = (
        datetime.fromisoformat(texts(message, path)[0]) for path in ("sent", "info/onset", "info/expires")
    )
    assert sent <= onset < expires


def test_the_messages_about_a_zone_are_chains_that_end(alerts: Alerts) -> None:
    """Each message refers to the last of its zone until that ends; nothing that ended is referred to."""
    _, warnings, messages = alerts
    last: dict[str, str] = {}
    for warning, message in zip(warnings, map(etree.fromstring, messages), strict=True):
        assert texts(message, "references") == ([last.pop(warning.zone)] if warning.zone in last else [])
        if texts(message, "info/responseType")[0] != "AllClear":
            last[warning.zone] = ",".join(texts(message, tag)[0] for tag in ("sender", "identifier", "sent"))


def test_another_reader_reads_what_was_told(alerts: Alerts) -> None:
    site, warnings, messages = alerts
    titles = {zone.id: zone.title for zone in site.zones}
    for warning, message in zip(warnings, messages, strict=True):
        read = capparser.parse(stringXML=message)
        assert (read.status[0], read.scope[0]) == ("Exercise", "Public")
        infos = read.info[0]
        assert [i.area[0][0].areaDesc[0] for i in infos] == [
            titles[warning.zone].en, titles[warning.zone].fr, titles[warning.zone].ar or titles[warning.zone].en,
        ]  # fmt: skip
        told = dict(_pairs(infos[0].parameter[0]))
        assert (told["zoneId"], told["state"], told["threatKind"]) == (warning.zone, warning.state, warning.kind)
        assert ("timeToImpact_s" in told) == (warning.seconds_left is not None)
        if warning.seconds_left is not None:
            assert float(told["timeToImpact_s"]) == pytest.approx(warning.seconds_left, abs=0.051)


def _pairs(parameters: list[Any]) -> Iterator[tuple[str, str]]:
    for parameter in parameters:
        yield parameter.valueName[0], parameter.value[0]
