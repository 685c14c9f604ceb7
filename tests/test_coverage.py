"""The coverage of sirens for people: what is amiss, the areas of the map, and the GeoJSON of them."""

import json
from typing import Any

import numpy as np
import pytest
from pyproj import Geod
from shapely.geometry import shape

from opencram.coverage import WITHIN_S, amiss, coverage_geojson, heard_areas, people_share, table
from opencram.physics.layout import layout_of
from opencram.physics.sound import hearing_of
from opencram.report.coverage_map import coverage_figure
from opencram.report.drawing import as_png
from opencram.site import load_site
from small_site import site_of, square
from test_sound import siren


def two_zones(**more: Any) -> Any:
    """A square of 2 km with one of 400 m in its middle, each with a siren in the middle."""
    zones = [square("out", 0.0, 0.0, 1_000.0, people=900), square("in", 0.0, 0.0, 200.0, people=100)]
    sirens = [siren("o", 0.0, 0.0, ["out"], 800.0), siren("i", 0.0, 0.0, ["in"], 100.0)]
    return site_of(zones, **{"sirens": sirens, **more})


def test_people_are_counted_by_the_share_of_their_zone() -> None:
    site = two_zones()
    out, inner = np.pi * 800.0**2 / 2_000.0**2, np.pi * 100.0**2 / 400.0**2
    assert people_share(site) == pytest.approx(0.9 * out + 0.1 * inner, abs=0.005)
    assert people_share(site_of([square("z", 0.0, 0.0)])) is None


def test_what_is_amiss_is_told() -> None:
    assert amiss(site_of([square("z", 0.0, 0.0)])) == ["it has no siren: whoever is warned is warned by other means"]
    assert amiss(two_zones()) == [
        "only 50% of zone 'out' hears a siren of its own",
        "only 20% of zone 'in' hears a siren of its own",
    ]
    assert amiss(two_zones(sirens=[siren("far", 9_000.0, 0.0, ["in"]), siren("o", 0.0, 0.0, ["out"], 1_500.0)])) == [
        "siren 'far' serves zone 'in' and is heard nowhere in it"
    ]


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_nothing_is_amiss_with_the_built_in_sites(name: str) -> None:
    assert amiss(load_site(name)) == []


def test_many_zones_without_a_siren_are_one_sentence() -> None:
    zones = [square(f"z{i}", 1_000.0 * i, 0.0) for i in range(9)]
    (sentence,) = amiss(site_of(zones, sirens=[siren("s", 0.0, 0.0, ["z0"])]))
    assert sentence == "no siren serves 8 of 9 zones: 'z1', 'z2', 'z3', 'z4', 'z5', 'z6' and 2 more"


def test_the_table_has_a_row_for_each_zone() -> None:
    assert table(two_zones()) == [
        ("out", "900", "15", "1", "50", "2", "1.7", "2.2", "2.4", "0"),
        ("in", "100", "15", "1", "20", "1", "0.2", "0.3", "0.3", "0"),
    ]


def test_a_zone_inside_has_its_place_to_itself_and_hears_the_one_around_as_another_s() -> None:
    out, inner = heard_areas(two_zones())
    assert out.within[-1][1].area == pytest.approx(np.pi * 800.0**2 - 400.0**2, rel=0.003)
    assert inner.within[-1][1].area == pytest.approx(np.pi * 100.0**2, rel=0.003)
    assert inner.strays.area == pytest.approx(400.0**2 - np.pi * 100.0**2, rel=0.003)
    assert inner.silent.area == 0.0


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_the_areas_of_a_map_fill_it_once(name: str) -> None:
    site = load_site(name)
    shapes = layout_of(site).zone_shapes
    every = [area for h in heard_areas(site) for area in (h.within[-1][1], h.strays, h.silent)]
    whole = shapes[0].union(shapes[0])
    for other in shapes[1:]:
        whole = whole.union(other)
    assert sum(area.area for area in every) == pytest.approx(whole.area, rel=1e-4)
    for heard in heard_areas(site):
        sizes = [area.area for _, area in heard.within]
        assert sizes == sorted(sizes)


def test_the_geojson_is_valid_and_its_areas_are_those_on_the_ground() -> None:
    """Against PROJ's geodesic areas and distances; the sirens are where the site has them."""
    site = two_zones()
    features = json.loads(coverage_geojson(site))["features"]
    geod = Geod(ellps="WGS84")
    found = {(f["properties"].get("zone"), f["properties"]["kind"]): shape(f["geometry"]) for f in features}
    area_m2, _ = geod.geometry_area_perimeter(found["in", "heard"])
    assert abs(area_m2) == pytest.approx(np.pi * 100.0**2, rel=0.004)
    east = found["out", "within 2 s"].bounds[2]
    *_, reach_m = geod.inv(site.origin.lon, site.origin.lat, east, site.origin.lat)
    assert reach_m == pytest.approx(2.0 * 340.3, abs=1.0)
    assert [f["properties"]["id"] for f in features if f["properties"]["kind"] == "siren"] == ["o", "i"]


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_every_area_of_the_geojson_is_valid(name: str) -> None:
    features = json.loads(coverage_geojson(load_site(name)))["features"]
    assert all(shape(f["geometry"]).is_valid for f in features)
    assert {f["geometry"]["type"] for f in features} <= {"Point", "Polygon", "MultiPolygon"}
    kinds = {f["properties"]["kind"] for f in features}
    assert kinds == {*(f"within {s:g} s" for s in WITHIN_S), "heard", "only others'", "silent", "siren"}


def test_the_map_is_the_same_twice_and_draws_a_site_without_sirens() -> None:
    site = two_zones()
    assert as_png(coverage_figure(site, "en"), 50) == as_png(coverage_figure(site, "en"), 50)
    silent = coverage_figure(site_of([square("z", 0.0, 0.0)]), "fr")
    assert [text.get_text() for text in silent.legends[0].get_texts()] == ["aucune entendue"]


def test_a_map_around_some_zones_shows_them_whole() -> None:
    site = load_site("baghdad-embassy")
    (axes,) = coverage_figure(site, "en", ["embassy", "green-zone"]).axes
    west, south, east, north = layout_of(site).zone_shapes[1].bounds
    assert axes.get_xlim()[0] < west < east < axes.get_xlim()[1]
    assert axes.get_ylim()[0] < south < north < axes.get_ylim()[1]
    assert axes.get_xlim()[1] - axes.get_xlim()[0] < 2.0 * (east - west)
    assert len(hearing_of(site)) > len(axes.texts) > 2
