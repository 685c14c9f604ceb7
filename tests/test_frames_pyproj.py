"""Frames against pyproj (PROJ), and the constants of the earth against the tables of NIMA TR8350.2."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyproj import Geod, Transformer

from opencram.physics import frames
from opencram.physics.frames import Origin

TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)
LATS = np.radians([-90.0, -52.3, -0.001, 0.0, 12.0, 33.299, 64.5, 89.9999, 90.0])
LONS = np.radians([-180.0, -75.2, 0.0, 44.396, 179.9])
HEIGHTS = np.array([-400.0, 0.0, 35.0, 9000.0, 30_000.0])
SITES = [(33.299, 44.396, 0.0), (36.237, 43.963, 409.0), (-51.8, -59.5, 20.0), (69.0, 20.0, 1200.0)]


def grid() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    lat, lon, height = np.meshgrid(LATS, LONS, HEIGHTS, indexing="ij")
    return lat.ravel(), lon.ravel(), height.ravel()


def proj_enu(lat: float, lon: float, height: float) -> Transformer:
    return Transformer.from_pipeline(
        "+proj=pipeline +step +proj=cart +ellps=WGS84 "
        f"+step +proj=topocentric +ellps=WGS84 +lat_0={lat} +lon_0={lon} +h_0={height}"
    )


def around(site: tuple[float, float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Latitudes, longitudes (degrees) and heights up to some 40 km from a site."""
    rng = np.random.default_rng(1)
    spread = rng.uniform(-0.35, 0.35, (2, 200))
    return site[0] + spread[0], site[1] + spread[1], rng.uniform(-100.0, 25_000.0, 200)


def test_geodetic_to_ecef() -> None:
    lat, lon, height = grid()
    expected = np.stack(TO_ECEF.transform(np.degrees(lon), np.degrees(lat), height), axis=-1)
    np.testing.assert_allclose(frames.geodetic_to_ecef(lat, lon, height), expected, rtol=0.0, atol=2e-8)


def test_ecef_to_geodetic_is_its_inverse() -> None:
    lat, lon, height = grid()
    places = np.stack(TO_ECEF.transform(np.degrees(lon), np.degrees(lat), height), axis=-1)
    found_lat, found_lon, found_height = frames.ecef_to_geodetic(places)
    np.testing.assert_allclose(found_lat, lat, rtol=0.0, atol=3e-15)
    np.testing.assert_allclose(found_height, height, rtol=0.0, atol=1e-8)
    apart = (found_lon - lon + np.pi) % (2.0 * np.pi) - np.pi
    np.testing.assert_allclose(apart * np.cos(lat), 0.0, rtol=0.0, atol=3e-15)


@pytest.mark.parametrize("site", SITES)
def test_geodetic_to_enu_and_back(site: tuple[float, float, float]) -> None:
    lat, lon, height = around(site)
    expected = np.stack(proj_enu(*site).transform(lon, lat, height), axis=-1)
    origin = Origin(np.radians(site[0]), np.radians(site[1]), site[2])
    enu = frames.geodetic_to_enu(np.radians(lat), np.radians(lon), height, origin)
    np.testing.assert_allclose(enu, expected, rtol=0.0, atol=1e-5)
    back_lat, back_lon, back_height = frames.enu_to_geodetic(enu, origin)
    np.testing.assert_allclose(back_lat, np.radians(lat), rtol=0.0, atol=3e-15)
    np.testing.assert_allclose(back_lon, np.radians(lon), rtol=0.0, atol=3e-15)
    np.testing.assert_allclose(back_height, height, rtol=0.0, atol=2e-8)


def test_a_rows_bits_do_not_depend_on_its_company() -> None:
    origin = Origin(*np.radians(SITES[0][:2]), 0.0)
    lat, lon, height = around(SITES[0])
    together = frames.geodetic_to_enu(np.radians(lat), np.radians(lon), height, origin)
    alone = [
        frames.geodetic_to_enu(np.radians(a), np.radians(o), h, origin)
        for a, o, h in zip(lat, lon, height, strict=True)
    ]
    assert np.array_equal(together, np.array(alone))


def test_sensor_rotation_takes_points_into_the_sensors_frame() -> None:
    here, there = SITES[0], (33.36, 44.21, 87.0)
    lat, lon, height = around(here)
    site = Origin(*np.radians(here[:2]), here[2])
    sensor = Origin(*np.radians(there[:2]), there[2])
    matrix, sensor_enu_m = frames.sensor_rotation(sensor, site)
    site_enu = np.stack(proj_enu(*here).transform(lon, lat, height), axis=-1)
    expected = np.stack(proj_enu(*there).transform(lon, lat, height), axis=-1)
    np.testing.assert_allclose((site_enu - sensor_enu_m) @ matrix.T, expected, rtol=0.0, atol=1e-5)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), rtol=0.0, atol=1e-15)


@pytest.mark.parametrize("lat_deg", [0.0, 33.3, -61.0])
def test_radius_is_the_mean_of_the_ellipsoids_curvatures(lat_deg: float) -> None:
    geod, step = Geod(ellps="WGS84"), 1e-3
    _, _, meridian = geod.inv(10.0, lat_deg - step, 10.0, lat_deg + step)
    _, _, parallel = geod.inv(10.0 - step, lat_deg, 10.0 + step, lat_deg)
    along = meridian / np.radians(2.0 * step)
    across = parallel / np.radians(2.0 * step) / np.cos(np.radians(lat_deg))
    origin = Origin(np.radians(lat_deg), 0.0, 250.0)
    assert origin.radius_m - 250.0 == pytest.approx(np.sqrt(along * across), rel=1e-7)


@pytest.mark.parametrize(("lat_deg", "gravity"), [(0.0, 9.7803253359), (45.0, 9.8061977694), (-90.0, 9.8321849378)])
def test_gravity_is_that_of_wgs84(lat_deg: float, gravity: float) -> None:
    assert Origin(np.radians(lat_deg), 0.0).gravity_mps2 == pytest.approx(gravity, abs=2e-9)


def test_gravity_falls_by_the_free_air_gradient() -> None:
    low, high = Origin(np.radians(45.0), 0.0, 0.0), Origin(np.radians(45.0), 0.0, 1000.0)
    assert low.gravity_mps2 - high.gravity_mps2 == pytest.approx(3.086e-3, abs=2e-6)


def test_spin_points_to_the_pole() -> None:
    origin = Origin(np.radians(33.3), np.radians(44.4), 0.0)
    np.testing.assert_allclose(origin.rot.T @ origin.spin_enu_radps, [0.0, 0.0, 7.292115e-5], atol=1e-19)


@pytest.mark.parametrize(
    ("enu", "az_deg", "el_deg"),
    [
        ((0.0, 5.0, 0.0), 0.0, 0.0),
        ((5.0, 0.0, 5.0), 90.0, 45.0),
        ((0.0, -5.0, 0.0), 180.0, 0.0),
        ((-5.0, 0.0, -5.0), 270.0, -45.0),
        ((-3.0, 3.0, 0.0), 315.0, 0.0),
        ((0.0, 0.0, 2.0), 0.0, 90.0),
    ],
)
def test_azimuth_is_clockwise_from_north(enu: tuple[float, ...], az_deg: float, el_deg: float) -> None:
    reach, az, el = frames.enu_to_spherical(enu)
    assert (float(np.degrees(az)), float(np.degrees(el))) == pytest.approx((az_deg, el_deg), abs=1e-12)
    assert reach == pytest.approx(np.linalg.norm(enu), rel=1e-15)


def test_a_hair_west_of_north_is_not_a_full_turn() -> None:
    _, az, _ = frames.enu_to_spherical([-1e-300, 1.0, 0.0])
    assert 0.0 <= az < 2.0 * np.pi


metres = st.floats(-50_000.0, 50_000.0)


@given(metres, metres, metres)
def test_spherical_and_back(east: float, north: float, up: float) -> None:
    enu = np.array([east, north, up])
    reach, az, el = frames.enu_to_spherical(enu)
    assert 0.0 <= az < 2.0 * np.pi
    np.testing.assert_allclose(frames.spherical_to_enu(reach, az, el), enu, rtol=0.0, atol=1e-10)
