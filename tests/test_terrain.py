"""Terrain: tiles as agencies publish them, sites that stand on it, and flights that come down on it."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq

from opencram.drive.replay import replay
from opencram.drive.simulate import simulate
from opencram.errors import InputError
from opencram.physics.flight import fly, ground_jacobian, to_ground
from opencram.physics.frames import enu_to_geodetic
from opencram.physics.layout import Layout, layout_of
from opencram.physics.place import E_GRID_E, E_GRID_N, E_GRID_STEP, E_GRID_TOP
from opencram.physics.threats import catalogue
from opencram.site import Site, load_site, site_from_documents
from opencram.tables import FloatArray
from opencram.terrainfile import HGT_VOID, MOST_TILES, around, read_tile

SIDE = 1201
SITE = """
name: hills
origin: {lat: 33.5, lon: 44.5, height_m: 300}
zones: zones.geojson
terrain: {tiles: [N33E044.hgt], reach_m: 15000, geoid_m: 2}
sensors:
  - {id: radar, position: {lat: 33.5, lon: 44.5, height_m: 420}, range_sigma_m: 10, azimuth_sigma_mrad: 2,
     elevation_sigma_mrad: 2, update_s: 0.1}
"""


def hills(lat: FloatArray, lon: FloatArray) -> FloatArray:
    """Made-up heights (m): a slope to the north with ridges across it."""
    return 300.0 + 2_000.0 * (lat - 33.5) + 120.0 * np.sin(120.0 * (lon - 44.5)) + 80.0 * np.cos(150.0 * (lat - 33.5))


def write_tile(path: Path, side: int = SIDE) -> Path:
    """An HGT tile of the hills."""
    lat, lon = np.meshgrid(np.linspace(34.0, 33.0, side), np.linspace(44.0, 45.0, side), indexing="ij")
    path.write_bytes(np.rint(hills(lat, lon)).astype(">i2").tobytes())
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site among hills: YAML, zones and tile."""
    made = tmp_path_factory.mktemp("hills")
    write_tile(made / "N33E044.hgt")
    ring = [[44.49, 33.49], [44.51, 33.49], [44.51, 33.51], [44.49, 33.51], [44.49, 33.49]]
    zone = {"type": "Feature", "properties": {"id": "home"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    (made / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [zone]}))
    (made / "site.yaml").write_text(SITE)
    return made


@pytest.fixture(scope="module")
def site(folder: Path) -> Site:
    return load_site(folder / "site.yaml")


@pytest.fixture(scope="module")
def layout(site: Site) -> Layout:
    return layout_of(site)


def test_a_tile_tells_its_heights(folder: Path) -> None:
    tile = read_tile(folder / "N33E044.hgt")
    rng = np.random.default_rng(1)
    lat, lon = rng.uniform(33.0, 34.0, 500), rng.uniform(44.0, 45.0, 500)
    assert np.abs(tile.at(lat, lon) - hills(lat, lon)).max() < 0.8
    assert np.isnan(tile.at(34.1, 44.5))


def test_voids_are_bridged(tmp_path: Path) -> None:
    path = write_tile(tmp_path / "N33E044.hgt")
    raw = np.frombuffer(path.read_bytes(), ">i2").reshape(SIDE, SIDE).copy()
    raw[600, 500:520] = HGT_VOID
    path.write_bytes(raw.tobytes())
    found = read_tile(path).heights[SIDE - 1 - 600, 495:525].astype(float)
    assert np.abs(np.diff(found)).max() < 15.0


def test_southern_and_western_tiles_are_named_by_their_corner(tmp_path: Path) -> None:
    tile = read_tile(write_tile(tmp_path / "S12W077.hgt"))
    assert (tile.south, tile.west) == (-12.0, -77.0)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("hill.hgt", b"", "N33E044.hgt"),
        ("N33E044.hgt", b"1234", "found 4 bytes"),
        ("gone/N33E044.hgt", None, "no such file"),
        ("picture.tif", b"no picture", "cannot read"),
    ],
)
def test_a_bad_tile_is_told_in_one_sentence(tmp_path: Path, name: str, content: bytes | None, says: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=says):
        read_tile(path)


def test_a_geotiff_is_read_by_rasterio(tmp_path: Path, folder: Path) -> None:
    import rasterio
    from rasterio.transform import Affine

    tile, path, half = read_tile(folder / "N33E044.hgt"), tmp_path / "hills.tif", 0.5 / (SIDE - 1)
    place = Affine(2.0 * half, 0.0, 44.0 - half, 0.0, -2.0 * half, 34.0 + half)
    shape = {"width": SIDE, "height": SIDE, "count": 1, "dtype": "int16", "crs": "EPSG:4326", "transform": place}
    with rasterio.open(path, "w", driver="GTiff", **shape) as out:
        out.write(tile.heights[::-1], 1)
    again = read_tile(path)
    np.testing.assert_array_equal(again.heights, tile.heights)
    assert (again.south, again.west) == pytest.approx((tile.south, tile.west), abs=1e-9)


def test_limits_are_told(folder: Path) -> None:
    tile = folder / "N33E044.hgt"
    with pytest.raises(InputError, match="widen spacing_m"):
        around([tile], 33.5, 44.5, 100_000.0, 20.0)
    with pytest.raises(InputError, match=f"at most {MOST_TILES}"):
        around([tile] * (MOST_TILES + 1), 33.5, 44.5, 10_000.0, 100.0)
    with pytest.raises(InputError, match="no tile near"):
        around([tile], 10.0, 10.0, 10_000.0, 100.0)


def test_documents_carry_the_terrain(site: Site) -> None:
    again = site_from_documents(site.documents())
    np.testing.assert_array_equal(layout_of(again).ground, layout_of(site).ground)
    with pytest.raises(InputError, match="terrain"):
        site_from_documents({k: v for k, v in site.documents().items() if "terrain" not in k})


@pytest.mark.parametrize("text", ["", "{}", '{"heights": "AAAA"}', '{"heights": 3}', "[1]"])
def test_a_damaged_terrain_in_a_recording_is_told(site: Site, text: str) -> None:
    with pytest.raises(InputError, match="damaged grid"):
        site_from_documents({**site.documents(), "terrain.json": text})


def test_a_sensor_in_the_hill_is_refused(folder: Path, tmp_path: Path) -> None:
    for name in ("zones.geojson", "N33E044.hgt"):
        (tmp_path / name).symlink_to(folder / name)
    (tmp_path / "site.yaml").write_text(SITE.replace("height_m: 420", "height_m: 310"))
    with pytest.raises(InputError, match="terrain's height there"):
        load_site(tmp_path / "site.yaml")


def over_hills(layout: Layout, point: FloatArray) -> float:
    """Height over the made-up hills themselves, by the ellipsoid, without grid, sphere or kernel."""
    lat, lon, height = enu_to_geodetic(point[:3], layout.origin)
    return float(height - 2.0 - hills(np.degrees(lat), np.degrees(lon)))


def first_contact(layout: Layout, y0: FloatArray, drag: FloatArray) -> FloatArray:
    """Where a finely stepped path first meets the hills, by bisection between its rows: state (7) and time."""
    path = fly(y0, 0.01, 12_000, layout.env, layout.air, drag)
    over = np.array([over_hills(layout, row) for row in path])
    i = int(np.flatnonzero((over[1:] <= 0.0) & (over[:-1] > 0.0))[0])
    share = brentq(lambda f: over_hills(layout, path[i] + f * (path[i + 1] - path[i])), 0.0, 1.0)
    return np.append(path[i] + share * (path[i + 1] - path[i]), 0.01 * (i + share))


@pytest.mark.parametrize(
    ("cls", "speed", "elevation_deg", "azimuth_deg"),
    [
        ("mortar-81", 220.0, 60.0, 10.0), ("rocket-107", 370.0, 25.0, 80.0), ("rocket-107", 370.0, 12.0, 275.0),
        ("shell-155", 330.0, 35.0, 200.0), ("mortar-120", 250.0, 70.0, 320.0),
    ],
)  # fmt: skip
def test_a_flight_lands_where_a_fine_path_meets_the_hills(
    layout: Layout, cls: str, speed: float, elevation_deg: float, azimuth_deg: float
) -> None:
    """The grid's points are whole metres, 100 m apart: a metre of height, and that along the path, may be missing."""
    threat, el, az = catalogue()[cls], math.radians(elevation_deg), math.radians(azimuth_deg)
    direction = [math.cos(el) * math.sin(az), math.cos(el) * math.cos(az), math.sin(el)]
    y0 = np.array([500.0, -300.0, 150.0, *(speed * np.array(direction)), threat.ln_beta])
    found = to_ground(y0, 1.0, layout.env, layout.air, layout.ground, threat.drag)
    true = first_contact(layout, y0, threat.drag)
    steepness = np.hypot(*true[3:5]) / abs(true[5])
    assert np.hypot(*(found[:2] - true[:2])) < 3.0 * (1.0 + steepness)
    assert found[7] == pytest.approx(true[7], abs=0.05)


def test_a_ridge_in_the_way_is_met_before_the_valley_behind_it(layout: Layout) -> None:
    """A wall 200 m high and 200 m wide, 2 km away, on flat ground: the low path ends on it, the steep one behind it."""
    env, steps = layout.env.copy(), 100.0 * np.arange(-100, 101)
    wall = np.where(np.abs(steps - 2_000.0) <= 100.0, 200.0, 0.0)
    env[E_GRID_E], env[E_GRID_N], env[E_GRID_STEP], env[E_GRID_TOP] = steps[0], steps[0], 100.0, 200.0
    ground, threat = np.ascontiguousarray(np.tile(wall, (201, 1))), catalogue()["rocket-107"]
    for elevation_deg, on_wall in ((4.0, True), (12.0, False)):
        el = math.radians(elevation_deg)
        y0 = np.array([0.0, 0.0, 1.0, 370.0 * math.cos(el), 0.0, 370.0 * math.sin(el), threat.ln_beta])
        found = to_ground(y0, 1.0, env, layout.air, ground, threat.drag)
        path = fly(y0, 0.005, 8_000, env, layout.air, threat.drag)
        height = path[:, 2] + (path[:, 0] ** 2 + path[:, 1] ** 2) / (2.0 * layout.origin.radius_m)
        first = path[np.flatnonzero(height <= np.interp(path[:, 0], steps, wall))[0]]
        np.testing.assert_allclose(found[:3], first[:3], atol=3.0)
        assert (found[0] < 2_200.0) == on_wall


def test_derivatives_follow_the_slope(layout: Layout) -> None:
    """Against central differences of `to_ground` on the same grid; a smooth cell, nudges that stay within it."""
    threat = catalogue()["mortar-81"]
    y0 = np.array([200.0, -400.0, 160.0, 60.0, 75.0, 180.0, threat.ln_beta])
    found = ground_jacobian(y0, 1.0, layout.env, layout.air, layout.ground, threat.drag)
    for j, step in enumerate([0.5, 0.5, 0.5, 0.01, 0.01, 0.01, 1e-4]):
        ends = []
        for sign in (1.0, -1.0):
            y = y0.copy()
            y[j] += sign * step
            ends.append(to_ground(y, 1.0, layout.env, layout.air, layout.ground, threat.drag)[[0, 1, 7]])
        np.testing.assert_allclose(found[:3, 1 + j], (ends[0] - ends[1]) / (2.0 * step), rtol=2e-2, atol=2e-3)


def test_air_by_height_is_flown_in(folder: Path, tmp_path: Path) -> None:
    """A wind from the west carries a shot east; thin air lets it fly further."""
    for name in ("zones.geojson", "N33E044.hgt"):
        (tmp_path / name).symlink_to(folder / name)
    base = SITE.replace("terrain: {tiles: [N33E044.hgt], reach_m: 15000, geoid_m: 2}\n", "")
    threat, ends = catalogue()["mortar-81"], {}
    for name, air in (
        ("still", ""),
        ("west", "air: {wind: [{height_m: 0, from_deg: 270, speed_mps: 10}]}\n"),
        ("thin", "air: {density: [{height_m: 0, kgpm3: 0.9}]}\n"),
    ):
        (tmp_path / "site.yaml").write_text(base + air)
        made = layout_of(load_site(tmp_path / "site.yaml"))
        y0 = np.array([0.0, 0.0, 1.0, 0.0, 100.0, 180.0, threat.ln_beta])
        ends[name] = to_ground(y0, 1.0, made.env, made.air, made.ground, threat.drag)
    assert ends["west"][0] > ends["still"][0] + 20.0
    assert ends["thin"][1] > ends["still"][1] + 20.0


def test_winds_must_rise(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "zones.geojson").symlink_to(folder / "zones.geojson")
    air = "air: {wind: [{height_m: 100, from_deg: 0, speed_mps: 1}, {height_m: 0, from_deg: 0, speed_mps: 1}]}\n"
    text = SITE.replace("terrain: {tiles: [N33E044.hgt], reach_m: 15000, geoid_m: 2}\n", "") + air
    (tmp_path / "site.yaml").write_text(text)
    with pytest.raises(InputError, match="expected them rising"):
        load_site(tmp_path / "site.yaml")


def test_a_raid_among_hills_replays_to_the_same_decisions(folder: Path, tmp_path: Path) -> None:
    ran = simulate("baghdad-2020-12-20", str(folder / "site.yaml"), tmp_path / "run", 0, "en")
    again = replay(tmp_path / "run" / "recording.mcap", None, tmp_path / "again", None, None, None, "en")
    assert ran.summary["digest"] == again.summary["digest"]
