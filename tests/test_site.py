"""Sites: the two built in, what each bad input is answered with, and the round trip through documents."""

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyproj import Geod
from ruamel.yaml import YAML
from shapely import Point, Polygon, union_all

from opencram import yamlfile
from opencram.errors import InputError
from opencram.newsite import write_new_site
from opencram.site import Effector, Position, Site, load_site, site_from_documents, site_names

SQUARE = [[44.39, 33.29], [44.40, 33.29], [44.40, 33.30], [44.39, 33.30], [44.39, 33.29]]
BOW_TIE = [[44.39, 33.29], [44.40, 33.30], [44.40, 33.29], [44.39, 33.30], [44.39, 33.29]]
WHOLE = """\
name: check-site
origin: {lat: 33.299, lon: 44.396, height_m: 0}
zones: zones.geojson            # polygons or multipolygons; properties id, name, kind, people, time_to_shelter_s
sensors:
  - id: radar-1
    position: {lat: 33.299, lon: 44.396, height_m: 0}
    range_sigma_m: 10.0
    azimuth_sigma_mrad: 2.0
    elevation_sigma_mrad: 2.0
    update_s: 0.1
"""


def feature(ring: Sequence[object] = SQUARE, shape: str = "Polygon", **properties: object) -> dict[str, Any]:
    coordinates = [ring] if shape == "Polygon" else [[ring]]
    return {
        "type": "Feature",
        "properties": {"id": "z1"} | properties,
        "geometry": {"type": shape, "coordinates": coordinates},
    }


def collection(*features: object, **more: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": list(features), **more})


def made(folder: Path, text: str = WHOLE, zones: str | None = None) -> Site:
    (folder / "site.yaml").write_text(text, encoding="utf-8")
    (folder / "zones.geojson").write_text(collection(feature()) if zones is None else zones, encoding="utf-8")
    return load_site(folder / "site.yaml")


def sentence(act: Callable[[], object]) -> str:
    """What the InputError says, without the folder; always one line."""
    with pytest.raises(InputError) as caught:
        act()
    text = str(caught.value)
    assert "\n" not in text
    return re.sub(r"[^ ]*/(?=[\w.-]+\.\w)", "", text)


# ---- what is built in --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_built_in_sites_are_whole(name: str) -> None:
    site = load_site(name)
    assert site.name == name
    assert site.assets
    assert {zone.id for zone in site.zones} == {zone for siren in site.sirens for zone in siren.zones}
    assert len(site.effectors) == 2
    assert {sensor.kind for sensor in site.sensors} == {"staring", "rotating"}
    assert sum(zone.kind == "district" for zone in site.zones) >= 12
    assert all(zone.title.fr for zone in site.zones)
    assert name in site_names()


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_districts_cover_the_city_and_do_not_overlap(name: str) -> None:
    site = load_site(name)
    shapes = {zone.id: Polygon(zone.rings[0][0]) for zone in site.zones}
    districts = [shapes[zone.id] for zone in site.zones if zone.kind == "district"]
    whole = union_all(list(shapes.values()))
    overlap = sum(shape.area for shape in districts) - union_all(districts).area
    assert overlap / whole.area < 1e-6

    distance_m, bearing_deg = np.meshgrid(np.arange(0.0, 11_001.0, 500.0), np.arange(0.0, 360.0, 5.0))
    lon_0, lat_0 = np.full_like(distance_m, site.origin.lon), np.full_like(distance_m, site.origin.lat)
    lon, lat, _ = Geod(ellps="WGS84").fwd(lon_0, lat_0, bearing_deg, distance_m)
    inside = [whole.covers(Point(x, y)) for x, y in zip(lon.ravel(), lat.ravel(), strict=True)]
    assert np.mean(inside) > 0.999  # within 11 km; a point may fall into the rounding between two zones


def test_the_compound_lies_within_the_green_zone() -> None:
    shapes = {zone.id: Polygon(zone.rings[0][0]) for zone in load_site("baghdad-embassy").zones}
    assert shapes["green-zone"].contains(shapes["embassy"])
    west, south, east, north = shapes["green-zone"].bounds
    assert (west, south, east, north) == pytest.approx((44.370, 33.295, 44.410, 33.325), abs=0.003)


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_documents_make_the_same_site(name: str) -> None:
    site = load_site(name)
    again = site_from_documents(site.documents())
    assert again.model_dump() == site.model_dump()
    assert again.documents() == site.documents()


def test_a_site_is_itself_alone(tmp_path: Path) -> None:
    one, other = made(tmp_path, WHOLE), made(tmp_path, WHOLE)
    assert len({one, other, one}) == 2
    assert load_site("erbil-airport") is load_site("erbil-airport")


def test_documents_must_be_complete() -> None:
    assert "zones.geojson" in sentence(lambda: site_from_documents({"site.yaml": WHOLE}))


def test_thresholds_follow_from_costs() -> None:
    policy = load_site("baghdad-embassy").policy
    assert policy.cost_of("embassy").threshold == pytest.approx(1 / 61)
    assert policy.cost_of("district").threshold == pytest.approx(1 / 21)
    assert policy.cost_of("never heard of") == policy.cost_of("default")


# ---- the smallest site -------------------------------------------------------------------------------------------


def test_what_is_required_is_enough(tmp_path: Path) -> None:
    site = made(tmp_path)
    (sensor,), (zone,) = site.sensors, site.zones
    assert (zone.name, zone.kind, zone.people, zone.time_to_shelter_s, zone.protected) == ("z1", "site", 0, 15.0, False)
    assert (sensor.coverage.min_range_m, sensor.coverage.max_range_m) == (200.0, 20_000.0)
    assert (sensor.detection, sensor.range_rate_sigma_mps, sensor.asterix) == (None, None, None)
    assert (site.title.en, site.title.fr) == ("check-site", "check-site")
    assert not site.assets + site.sirens + site.effectors


def test_zones_take_what_editors_write(tmp_path: Path) -> None:
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}
    high = [[*point, 35.0] for point in SQUARE]
    properties = {"id": 7, "name": "Clinic", "name_fr": "Clinique", "kind": "hospital", "people": None, "colour": "red"}
    (zone,) = made(tmp_path, zones=collection(feature(high, "MultiPolygon", **properties), crs=crs)).zones
    assert (zone.id, zone.title.fr, zone.protected, zone.people) == ("7", "Clinique", True, 0)
    assert zone.properties == {"name_fr": "Clinique", "colour": "red"}
    assert zone.rings == ((tuple((x, y) for x, y in SQUARE),),)


def test_no_height_means_on_the_ground(tmp_path: Path) -> None:
    text = WHOLE.replace("height_m: 0}\nzones", "height_m: 420}\nzones").replace(", height_m: 0}", "}")
    assert made(tmp_path, text).sensors[0].position.height_m == 420.0


def test_text_that_other_yaml_readers_bend(tmp_path: Path) -> None:
    assert made(tmp_path, WHOLE.replace("check-site", "no").replace("10.0", "1e1")).name == "no"
    assert "'33:17:56'" in sentence(lambda: made(tmp_path, WHOLE.replace("33.299,", "'33:17:56',", 1)))


# ---- bad input ---------------------------------------------------------------------------------------------------

BAD_YAML = {
    "unknown key": (
        ("range_sigma_m", "rang_sigma_m"),
        "site.yaml line 7: sensors[0].rang_sigma_m: found an unknown key, expected 'range_sigma_m' (+1 more)",
    ),
    "text for a number": (
        ("10.0", "ten"),
        "site.yaml line 7: sensors[0].range_sigma_m: found 'ten', expected a number",
    ),
    "a number as text": (
        ("10.0", "'10.0'"),
        "site.yaml line 7: sensors[0].range_sigma_m: found '10.0', expected a number",
    ),
    "negative sigma": (
        ("10.0", "-10.0"),
        "site.yaml line 7: sensors[0].range_sigma_m: found -10.0, expected a number greater than 0",
    ),
    "not a number": (
        ("10.0", ".nan"),
        "site.yaml line 7: sensors[0].range_sigma_m: found nan, expected a finite number",
    ),
    "endless": (
        ("10.0", ".inf"),
        "site.yaml line 7: sensors[0].range_sigma_m: found inf, expected a finite number",
    ),
    "no update": (
        ("update_s: 0.1", "update_s: 0"),
        "site.yaml line 10: sensors[0].update_s: found 0, expected a number greater than or equal to 0.005",
    ),
    "missing": (
        ("    update_s: 0.1\n", ""),
        "site.yaml line 5: sensors[0].update_s: found nothing, expected a value (it is required)",
    ),
    "latitude": (
        ("lat: 33.299", "lat: 133.299"),
        "site.yaml line 2: origin.lat: found 133.299, expected a number less than or equal to 90",
    ),
    "under ground": (
        ("lon: 44.396, height_m: 0}\n    range", "lon: 44.396, height_m: -2}\n    range"),
        "site.yaml line 6: sensors[0].position.height_m: found -2, which is under ground, "
        "expected 0 (the origin's height) or more",
    ),
    "far away": (
        ("{lat: 33.299, lon: 44.396, height_m: 0}\n    range", "{lat: 44.396, lon: 33.299}\n    range"),
        "site.yaml line 6: sensors[0].position: found a position 1561 km from the site's origin, "
        "expected at most 100 km",
    ),
    "twice": (
        ("name: check-site", "name: check-site\nname: other"),
        "site.yaml line 2 column 1: found the key 'name' twice, expected it once",
    ),
    "no sensors": (("sensors:\n", "sensors: []\nx:\n"), "site.yaml line 5: x: found an unknown key"),
    "a path as the name": (("check-site", "../up"), "site.yaml line 1: name: found '../up', expected"),
    "zones inline": (
        ("zones: zones.geojson", "zones: [a]"),
        "site.yaml line 3: zones: found a list of 1, expected the path of a GeoJSON file",
    ),
    "zones left empty": (
        ("zones: zones.geojson", "zones:"),
        "site.yaml line 3: zones: found nothing, expected the path of a GeoJSON file",
    ),
    "zones elsewhere": (("zones.geojson", "other.geojson"), "other.geojson: found no such file"),
    "no zones": (("zones: zones.geojson", ""), "site.yaml: zones: found nothing, expected a value (it is required)"),
    "not yaml": (
        ("origin: {", "origin: {{"),
        "site.yaml line 3 column 1: found text that is not YAML",
    ),
}

BAD_PARTS = {
    "unknown kind of radar": (
        "    kind: rotary\n",
        "sensors[0].kind: found 'rotary', expected 'staring' or 'rotating'",
    ),
    "azimuth": (
        "    coverage: {azimuth_to_deg: 361}\n",
        "sensors[0].coverage.azimuth_to_deg: found 361, expected a number less than or equal to 360",
    ),
    "no sector": (
        "    coverage: {azimuth_from_deg: 90, azimuth_to_deg: 90}\n",
        "sensors[0].coverage: found azimuth_from_deg and azimuth_to_deg both 90, expected a sector",
    ),
    "ranges crossed": (
        "    coverage: {min_range_m: 900, max_range_m: 800}\n",
        "sensors[0].coverage: found min_range_m 900 and max_range_m 800, expected min_range_m below max_range_m",
    ),
    "chance": ("    detection: 1.2\n", "sensors[0].detection: found 1.2, expected a number less than or equal to 1"),
    "siren without a zone": (
        "sirens: [{id: s, position: {lat: 33.3, lon: 44.4}, zones: [z2]}]\n",
        "sirens[0].zones[0]: found the zone 'z2', which is not there, expected 'z1'",
    ),
    "effector against what is not in the catalogue": (
        "effectors: [{id: e, position: {lat: 33.3, lon: 44.4}, against: {rockets: 0.5}}]\n",
        "effectors[0].against.rockets: found a threat that is not in the catalogue, expected 'rocket'",
    ),
    "salvo of more than there is": (
        "effectors: [{id: e, position: {lat: 33.3, lon: 44.4}, salvo: 4, magazine: 2}]\n",
        "effectors[0]: found salvo 4 and magazine 2, expected no more than is at hand",
    ),
    "no-fire sector of nothing": (
        "effectors: [{id: e, position: {lat: 33.3, lon: 44.4}, no_fire: [{azimuth_from_deg: 9, azimuth_to_deg: 9}]}]\n",
        "effectors[0].no_fire[0]: found azimuth_from_deg and azimuth_to_deg both 9, expected a sector",
    ),
    "unknown rule": (
        "policy: {assignment: horison}\n",
        "policy.assignment: found 'horison', expected 'horizon' or 'greedy'",
    ),
    "effector without a zone": (
        "effectors: [{id: e, position: {lat: 33.3, lon: 44.4}, protects: [town]}]\n",
        "effectors[0].protects[0]: found the zone 'town', which is not there, expected 'z1'",
    ),
    "asset without a zone": (
        "assets: [{id: a, position: {lat: 33.3, lon: 44.4}, zone: z9}]\n",
        "assets[0].zone: found the zone 'z9', which is not there, expected 'z1'",
    ),
    "kill chance falls back": (
        "effectors: [{id: e, position: {lat: 33.3, lon: 44.4}, kill: [[2000, 0.2], [1000, 0.6]]}]\n",
        "effectors[0]: found kill at [2000.0, 1000.0] m, expected ranges that rise",
    ),
    "same id": (
        "assets: [{id: a, position: {lat: 33.3, lon: 44.4}}, {id: a, position: {lat: 33.3, lon: 44.4}}]\n",
        "assets[1].id: found the id 'a' 2 times, expected it once",
    ),
    "kind of no zone": (
        "policy: {costs: {embasy: {cost_miss: 50, cost_false: 1}}}\n",
        "policy.costs.embasy: found a kind that no zone has, expected 'embassy'",
    ),
    "free of cost": (
        "policy: {costs: {site: {cost_miss: 50, cost_false: 0}}}\n",
        "policy.costs.site.cost_false: found 0, expected a number greater than 0",
    ),
    "unknown policy": ("policy: {hold: 5}\n", "policy.hold: found an unknown key, expected 'hold_s'"),
    "unknown stale": (
        "policy: {stale_sensor: ignore}\n",
        "policy.stale_sensor: found 'ignore', expected 'show' or 'alert'",
    ),
}

BAD_ZONES = {
    "crosses itself": (
        collection(feature(BOW_TIE)),
        "features[0] (zone 'z1'): found a polygon that crosses itself at (44.395, 33.295), expected simple outlines",
    ),
    "open": (
        collection(feature(SQUARE[:-1])),
        "features[0] (zone 'z1'): found a ring from (44.39, 33.29) to (44.39, 33.3), expected a closed one",
    ),
    "two corners": (
        collection(feature([SQUARE[0], SQUARE[1], SQUARE[0]])),
        "features[0] (zone 'z1'): found a ring with 3 positions, expected 4 or more (a triangle, closed)",
    ),
    "no area": (
        collection(feature([SQUARE[0], SQUARE[1], SQUARE[1], SQUARE[0]])),
        "features[0] (zone 'z1'): found a polygon without area, expected an area",
    ),
    "latitude": (
        collection(feature([[x, y + 60] for x, y in SQUARE])),
        "features[0] (zone 'z1'): found the position (44.39, 93.29), "
        "expected a longitude within ±180 and a latitude within ±90",
    ),
    "latitude and longitude swapped": (
        collection(feature([[y, x] for x, y in SQUARE])),
        "km from the site's origin, expected at most 100 km",
    ),
    "text in a position": (
        collection(feature([["44.39", 33.29], *SQUARE[1:]])),
        "features[0] (zone 'z1'): found the position ['44.39', 33.29], expected [longitude, latitude] in degrees",
    ),
    "a point": (
        collection(
            {"type": "Feature", "properties": {"id": "p"}, "geometry": {"type": "Point", "coordinates": [1, 2]}}
        ),
        "features[0] (zone 'p'): found the geometry 'Point', expected a Polygon or a MultiPolygon",
    ),
    "no geometry": (
        collection({"type": "Feature", "properties": {"id": "p"}, "geometry": None}),
        "features[0] (zone 'p'): found the geometry None, expected a Polygon or a MultiPolygon",
    ),
    "no coordinates": (
        collection({"type": "Feature", "properties": {"id": "p"}, "geometry": {"type": "Polygon"}}),
        "features[0] (zone 'p'): found no coordinates, expected nested lists of [longitude, latitude]",
    ),
    "no id": (
        collection({**feature(), "properties": {"name": "x"}}),
        "features[0].properties.id: found nothing, expected the zone's id",
    ),
    "same id": (collection(feature(), feature()), "zone 'z1': found the id 'z1' 2 times, expected it once"),
    "id with a path": (collection(feature(id="../up")), "id: found '../up', expected"),
    "people": (
        collection(feature(people=-3)),
        "features[0] (zone 'z1'): people: found -3, expected a number greater than or equal to 0",
    ),
    "people as text": (collection(feature(people="many")), "people: found 'many', expected a number"),
    "other coordinates": (
        collection(feature(), crs={"type": "name", "properties": {"name": "EPSG:3857"}}),
        "expected WGS 84 (CRS84, EPSG:4326)",
    ),
    "no features": (collection(), "found no features, expected at least one zone"),
    "a feature alone": (
        json.dumps(feature()),
        "found 'Feature', expected a GeoJSON FeatureCollection with a list of features",
    ),
    "a list": ("[]", "found 'list', expected a GeoJSON FeatureCollection with a list of features"),
    "cut": (collection(feature())[:-20], "line 1 column"),
    "nan": (collection(feature([[float("nan"), 33.29], *SQUARE[1:]])), "found NaN, expected finite numbers"),
    "overflow": (collection(feature()).replace("44.4,", "1e999,"), "found the position (?, ?), expected a longitude"),
    "too deep": ("[" * 100_000, "found text that is not GeoJSON"),
    "empty": ("", "found an empty file, expected text"),
}


@pytest.mark.parametrize("case", BAD_YAML)
def test_bad_yaml(case: str, tmp_path: Path) -> None:
    (old, new), expected = BAD_YAML[case]
    assert old in WHOLE
    assert sentence(lambda: made(tmp_path, WHOLE.replace(old, new, 1))).startswith(expected)


@pytest.mark.parametrize("case", BAD_PARTS)
def test_bad_parts(case: str, tmp_path: Path) -> None:
    more, expected = BAD_PARTS[case]
    assert sentence(lambda: made(tmp_path, WHOLE + more)) == f"site.yaml line 11: {expected}"


@pytest.mark.parametrize("case", BAD_ZONES)
def test_bad_zones(case: str, tmp_path: Path) -> None:
    zones, expected = BAD_ZONES[case]
    told = sentence(lambda: made(tmp_path, zones=zones))
    assert told.startswith("zones.geojson")
    assert expected in told


def test_all_faults_are_counted(tmp_path: Path) -> None:
    text = WHOLE.replace("10.0", "-1").replace("2.0", "-1")
    assert sentence(lambda: made(tmp_path, text)).endswith("found -1, expected a number greater than 0 (+2 more)")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"", "site.yaml: found an empty file, expected text"),
        (b" \n\n", "site.yaml: found an empty file, expected text"),
        (b"# nothing yet\n", "site.yaml: found nothing but comments, expected keys and values"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "site.yaml: found binary data, expected UTF-8 text"),
        (b"name: caf\xe9\n", "site.yaml line 1: found bytes that are not UTF-8, expected UTF-8 text"),
        (b"- 1\n- 2\n", "site.yaml line 1: found a list of 2, expected keys and values ('name: ...')"),
        (b"a: &x [*x]\n", "site.yaml: found values nested more than 30 deep"),
        (b"a: !!python/name:os.system\n", "site.yaml line 1 column 4: found text that is not YAML"),
        (b"[" * 900_000, "site.yaml: found values nested more than 30 deep"),
        (b"x" * 1_000_001, "site.yaml: found 1000001 bytes, expected at most 1000000"),
    ],
)
def test_files_that_are_no_site(raw: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(raw)
    assert sentence(lambda: load_site(path)).startswith(expected)


def test_paths_that_are_no_site(tmp_path: Path) -> None:
    assert sentence(lambda: load_site(tmp_path / "no.yaml")) == "no.yaml: found no such file"
    assert "found a folder, expected a file" in sentence(lambda: load_site(tmp_path))
    assert "expected 'erbil-airport' or the path of a YAML file" in sentence(lambda: load_site("erbil-airprt"))
    text = WHOLE.replace("zones.geojson", ".")
    assert "found a folder, expected a file" in sentence(lambda: made(tmp_path, text))


# ---- a new site --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("lat_deg", "lon_deg"), [(36.24, 43.96), (-54.8, -68.3), (84.0, 0.0), (0.0, 179.9)])
def test_a_new_site_loads(lat_deg: float, lon_deg: float, tmp_path: Path) -> None:
    paths = write_new_site("camp-alpha", lat_deg, lon_deg, tmp_path / "camp-alpha")
    assert [path.name for path in paths] == ["site.yaml", "zones.geojson"]
    site = load_site(paths[0])
    assert (site.name, site.origin) == ("camp-alpha", Position(lat=lat_deg, lon=lon_deg))
    assert len(site.zones) == 4
    _, _, edge_m = Geod(ellps="WGS84").inv(lon_deg, lat_deg, site.zones[2].rings[0][0][1][0], lat_deg)
    assert edge_m == pytest.approx(3500.0, rel=0.005)  # the town's far side, on the ellipsoid


def test_a_new_site_explains_every_key(tmp_path: Path) -> None:
    path, _ = write_new_site("camp-alpha", 36.24, 43.96, tmp_path)
    given = YAML(typ="safe", pure=True).load(path)
    for key, model in Site.model_fields.items():
        assert key in given, model
    for key, thing in (("sensors", "Sensor"), ("sirens", "Siren"), ("effectors", "Effector")):
        wanted = type(getattr(load_site(path), key)[0]).model_fields
        assert set(wanted) - set(given[key][0]) - {"title"} == set(), thing


def test_a_new_site_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "zones.geojson").write_text("mine")
    told = sentence(lambda: write_new_site("camp", 36.24, 43.96, tmp_path))
    assert told.startswith("zones.geojson: found a file that is already there")
    assert [path.name for path in tmp_path.iterdir()] == ["zones.geojson"]
    assert (tmp_path / "zones.geojson").read_text() == "mine"


@pytest.mark.parametrize(("lat_deg", "lon_deg"), [(91.0, 0.0), (float("nan"), 0.0), (0.0, 181.0), (0.0, float("inf"))])
def test_a_new_site_is_on_the_globe(lat_deg: float, lon_deg: float, tmp_path: Path) -> None:
    assert "expected degrees" in sentence(lambda: write_new_site("camp", lat_deg, lon_deg, tmp_path / "camp"))
    assert not (tmp_path / "camp").exists()


def test_a_new_site_needs_a_folder_to_write(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "cannot be written" in sentence(lambda: write_new_site("camp", 1.0, 2.0, tmp_path / "file" / "camp"))


# ---- effectors ---------------------------------------------------------------------------------------------------


def test_chance_of_a_kill_is_linear_between_its_points() -> None:
    effector = Effector.model_validate(
        {
            "id": "e",
            "position": {"lat": 0, "lon": 0},
            "min_range_m": 300,
            "reach_m": 2500,
            "kill": [[1000, 0.6], [2000, 0.2]],
        }
    )
    ranges_m = [300.0, 999.0, 1000.0, 1250.0, 1500.0, 2000.0, 2500.0]
    expected = np.interp(ranges_m, [1000.0, 2000.0], [0.6, 0.2])
    assert [effector.p_kill(r) for r in ranges_m] == pytest.approx(expected.tolist(), abs=1e-12)
    assert (effector.p_kill(299.0), effector.p_kill(2501.0)) == (0.0, 0.0)


@pytest.mark.parametrize(
    "text",
    ["a: 33:20:10\n", "a: {b: 12:30:00}\n", "a: [x: y]\n", "a: no\nb: 1e3\nc: 0o17\n", "%YAML 1.1\n---\na: 12:30:00\n"],
)
def test_the_fast_parser_reads_what_the_strict_one_reads(text: str) -> None:
    """YAML 1.2, whichever reads it: the C library knows 1.1 alone and leaves what it refuses to the other."""
    twelve = YAML(typ="safe", pure=True).load(text.removeprefix("%YAML 1.1\n---\n"))
    assert yamlfile.read_yaml(text, "site.yaml")[0] == twelve
