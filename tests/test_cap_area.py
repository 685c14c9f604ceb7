"""A zone's outline in CAP: what the schema lets pass and no map can draw, and what is told in its place."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from lxml import etree
from pyproj import Geod
from shapely import Point, Polygon

from made_up_run import LAT, LON, WARNINGS, lonlat, square, warning, write_run, write_site
from opencram.outputs.cap import CapWriter, Provenance, Source
from opencram.outputs.cap_area import Area, area_of, circle_fault, ring_fault
from opencram.site import Position, Site, Zone, load_site

ORIGIN = Position(lat=LAT, lon=LON)
BOW = ((44.40, 33.30), (44.41, 33.31), (44.41, 33.30), (44.40, 33.31), (44.40, 33.30))
AS_A_CIRCLE = "outline of the zone: found 1501 points, expected at most 1000"
NS = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}


def zone(*rings: tuple[tuple[float, float], ...], holes: tuple[tuple[float, float], ...] = ()) -> Zone:
    parts = tuple((ring, *([holes] if holes else [])) for ring in rings)
    return Zone.model_validate({"id": "z", "title": {"en": "Z"}, "rings": parts})


def points_of(text: str) -> list[tuple[float, ...]]:
    return [tuple(float(x) for x in pair.split(",")) for pair in text.split()]


def held_by(circle: str, ring: tuple[tuple[float, float], ...]) -> bool:
    """Whether all points lie in the CAP circle, by PROJ."""
    (lat, lon), radius_km = points_of(circle.split()[0])[0], float(circle.split()[1])
    return all(Geod(ellps="WGS84").inv(lon, lat, x, y)[2] <= radius_km * 1e3 for x, y in ring)


def test_a_sound_outline_is_told_whole_latitude_first() -> None:
    ring = tuple(square(0, 0, 500)[0])
    found = area_of(zone(ring), ORIGIN)
    assert found.circles == found.faults == ()
    (polygon,) = found.polygons
    points = points_of(polygon)
    assert points[0] == points[-1]
    assert len(points) == 5
    assert Polygon(points).contains(Point(LAT, LON))


@pytest.mark.parametrize("turn", [1, -1])
def test_orientation_does_not_matter(turn: int) -> None:
    ring = tuple(square(0, 0, 500)[0][::turn])
    assert len(area_of(zone(ring), ORIGIN).polygons) == 1


def test_an_open_ring_is_closed_and_what_is_there_twice_left_out() -> None:
    ring = ((44.0, 33.0), (44.0, 33.0), (44.1, 33.0), (44.1, 33.1), (44.1, 33.1))
    assert area_of(zone(ring)).polygons == (
        "33.000000,44.000000 33.000000,44.100000 33.100000,44.100000 33.000000,44.000000",
    )


def test_each_part_is_a_polygon_and_a_hole_is_warned_too() -> None:
    outer, inner, other = (tuple(square(east, 0, half)[0]) for east, half in ((0, 500), (0, 100), (3_000, 200)))
    found = area_of(zone(outer, other, holes=inner), ORIGIN)
    assert [len(points_of(p)) for p in found.polygons] == [5, 5]
    assert Polygon(points_of(found.polygons[0])).contains(Point(LAT, LON))


def test_a_ring_that_crosses_itself_is_warned_by_the_circle_around_it() -> None:
    found = area_of(zone(BOW), ORIGIN)
    assert found.polygons == ()
    assert "crossing itself at 33.305000,44.405000" in found.faults[0]
    assert held_by(found.circles[0], BOW)
    assert float(found.circles[0].split()[1]) < 1.0


def test_one_bad_part_does_not_take_the_others_with_it() -> None:
    found = area_of(zone(tuple(square(0, 0, 500)[0]), BOW), ORIGIN)
    assert (len(found.polygons), len(found.circles), len(found.faults)) == (1, 1, 1)


def test_an_outline_of_too_many_points_becomes_a_circle() -> None:
    angles = [2.0 * math.pi * i / 2_000 for i in range(2_000)]
    ring = tuple(lonlat(1_000 * math.sin(a), 1_000 * math.cos(a)) for a in angles)
    found = area_of(zone(ring), ORIGIN)
    assert found.faults == ("found 2001 points, expected at most 1000",)
    assert held_by(found.circles[0], ring)
    assert 1.0 <= float(found.circles[0].split()[1]) < 1.05


def test_exchanged_latitude_and_longitude_are_told_by_the_geocode_alone() -> None:
    """A polygon in the wrong place is worse than none."""
    ring = tuple((lat, lon) for lon, lat in square(0, 0, 500)[0])
    found = area_of(zone(ring), ORIGIN)
    assert found.polygons == found.circles == ()
    assert "latitude and longitude are exchanged" in found.faults[0]
    assert "km from the site" in found.faults[0]


def test_a_zone_on_the_far_side_of_the_earth_is_not_drawn() -> None:
    ring = tuple((lon - 90.0, lat) for lon, lat in square(0, 0, 500)[0])
    found = area_of(zone(ring), ORIGIN)
    assert found.polygons == found.circles == ()
    assert "exchanged" not in found.faults[0]


@pytest.mark.parametrize(
    "ring",
    [
        ((999.0, 999.0), (1.0, 1.0), (2.0, 1.0), (999.0, 999.0)),
        ((44.0, 133.0), (44.1, 33.0), (44.0, 33.1), (44.0, 133.0)),
        ((math.nan, 33.0), (44.1, 33.0), (44.0, 33.1), (math.nan, 33.0)),
    ],
)
def test_a_ring_with_points_off_the_earth_is_told_by_the_geocode_alone(ring: tuple[tuple[float, float], ...]) -> None:
    found = area_of(zone(ring))
    assert found.polygons == found.circles == ()
    assert "found the point" in found.faults[0]


@pytest.mark.parametrize("ring", [((44.0, 33.0), (44.1, 33.0), (44.0, 33.0)), ((44.0, 33.0),) * 5])
def test_a_ring_of_too_few_points_is_a_circle(ring: tuple[tuple[float, float], ...]) -> None:
    found = area_of(zone(ring), Position(lat=33.0, lon=44.0))
    assert found.polygons == ()
    assert len(found.circles) == 1
    assert "expected at least 4" in found.faults[0]


@pytest.mark.parametrize(
    ("points", "words"),
    [
        ([(33.0, 44.0), (33.0, 44.1), (33.1, 44.1), (33.1, 44.0)], "found it open from"),
        ([(33.0, 44.0), (33.0, 44.1), (33.0, 44.2), (33.0, 44.0)], "found no area"),
        ([(0.0, 179.0), (0.0, -179.0), (1.0, -179.0), (0.0, 179.0)], "358 degrees wide"),
        ([(33.0, 44.0), (33.0, 44.1), (95.0, 44.1), (33.0, 44.0)], "found the point 95.000000,44.100000"),
        ([(33.0, 44.0), (33.0, 44.1), (33.1, 44.1), (33.0, 44.0)], ""),
    ],
)
def test_what_is_wrong_with_a_ring_is_said(points: list[tuple[float, float]], words: str) -> None:
    fault = ring_fault(points)
    assert words in fault if words else fault == ""


@pytest.mark.parametrize(
    ("circle", "good"),
    [((33.0, 44.0, 1.5), True), ((33.0, 44.0, -1.0), False), ((33.0, 44.0, 1_500.0), False), ((91.0, 0.0, 1.0), False),
     ((33.0, 44.0, math.nan), False)],
)  # fmt: skip
def test_circles_are_checked_too(circle: tuple[float, float, float], good: bool) -> None:
    assert (circle_fault(*circle) == "") is good


def test_the_alert_goes_out_and_the_fault_is_counted(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path) and tmp_path / "site.yaml")
    crossed = site.zones[0].model_copy(update={"rings": ((BOW,),)})
    broken: Site = site.model_copy(update={"zones": (crossed, *site.zones[1:])})
    writer = CapWriter(broken, Source("opencram.made-up", "x", Provenance.SIMULATION))
    schema = etree.XMLSchema(etree.parse(Path(__file__).parent / "data" / "CAP-v1.2-schema.xsd"))
    for second in (1.0, 2.0):
        message = etree.fromstring(writer.message(warning(second, "inner", "alert", (1,))).xml)
        schema.assertValid(message)
        assert message.findall(".//c:polygon", NS) == []
        assert len(message.findall(".//c:circle", NS)) == 3
        assert message.findtext(".//c:geocode/c:value", namespaces=NS) == "inner"
    (told,) = writer.rejects(9)
    assert (told.source, told.count, told.sample) == ("cap", 2, "inner")
    assert "crossing itself" in told.reason
    assert writer.rejects(10) == []


def test_a_run_counts_it_among_its_rejects(tmp_path: Path) -> None:
    write_site(tmp_path / "site")
    zones = tmp_path / "site" / "zones.geojson"
    drawn = json.loads(zones.read_text())
    angles = [2.0 * math.pi * i / 1_500 for i in range(1_500)]
    ring = [lonlat(200 * math.sin(a), 200 * math.cos(a)) for a in angles]
    drawn["features"][0]["geometry"]["coordinates"] = [[*ring, ring[0]]]
    zones.write_text(json.dumps(drawn))
    write_run(tmp_path / "run", load_site(tmp_path / "site" / "site.yaml"))
    rejects = json.loads((tmp_path / "run" / "run.json").read_text())["rejects"]
    (row,) = [r for r in rejects if r["source"] == "cap"]
    told = sum(w.zone == "inner" for w in WARNINGS)
    assert row == {"source": "cap", "reason": AS_A_CIRCLE, "count": told, "sample": "inner"}
    assert len(list((tmp_path / "run" / "alerts").glob("*.xml"))) == len(WARNINGS)


def test_an_area_of_nothing_is_still_an_area() -> None:
    assert area_of(zone(((44.0, 33.0),))) == Area(
        (), ("33.000000,44.000000 0.050",), area_of(zone(((44.0, 33.0),))).faults
    )
