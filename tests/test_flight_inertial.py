"""The flight model against an independent one: inertial frame, WGS-84 gravity with J2, ellipsoid by pyproj, DOP853.

Nothing of the product's geometry, air, gravity or integrator is used here: curvature, the earth's rotation, gravity's
fall with height and the step control are all checked at once. Only the drag curve's rows are shared.
"""

import numpy as np
import pytest
from pyproj import Transformer
from scipy.integrate import solve_ivp

from opencram.physics import flight
from opencram.physics.air import air_table
from opencram.physics.frames import Origin, enu_to_geodetic
from opencram.physics.place import FLAT, environment

MACHS = [0.90, 0.95, 1.00, 1.10, 1.20, 1.50, 2.00]
CDS = [0.147, 0.192, 0.338, 0.388, 0.380, 0.340, 0.291]
SHELL = flight.drag_table(MACHS, CDS)

GM, J2, A, SPIN = 3.986004418e14, 1.082629821e-3, 6_378_137.0, 7.292115e-5

TO_GEODETIC = Transformer.from_crs("EPSG:4978", "EPSG:4979", always_xy=True)
TO_ECEF = Transformer.from_crs("EPSG:4979", "EPSG:4978", always_xy=True)


def standard_air(height: float) -> tuple[float, float]:
    """ICAO atmosphere to 20 km, after its definition: density, speed of sound."""
    z = 6_356_766.0 * height / (6_356_766.0 + height)
    temperature = 288.15 - 0.0065 * min(z, 11_000.0)
    pressure = 101_325.0 * (temperature / 288.15) ** 5.25588
    if z > 11_000.0:
        pressure *= np.exp(-9.80665 * (z - 11_000.0) / (287.05287 * 216.65))
    return pressure / (287.05287 * temperature), float(np.sqrt(1.4 * 287.05287 * temperature))


def inertial_slope(t: float, y: np.ndarray, beta: float, wind_ecef: np.ndarray) -> np.ndarray:
    pos, vel = y[:3], y[3:]
    r = np.sqrt(pos @ pos)
    x2 = 5.0 * (pos[2] / r) ** 2
    bulge = 1.5 * J2 * (A / r) ** 2
    pull = -GM / r**3 * pos * np.array([1.0 - bulge * (x2 - 1.0), 1.0 - bulge * (x2 - 1.0), 1.0 - bulge * (x2 - 3.0)])
    cos, sin = np.cos(SPIN * t), np.sin(SPIN * t)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    _, _, height = TO_GEODETIC.transform(*(turn @ pos))
    density, sound = standard_air(height)
    rel = vel - np.cross([0.0, 0.0, SPIN], pos) - turn.T @ wind_ecef
    speed = np.sqrt(rel @ rel)
    cd = np.interp(speed / sound, MACHS, CDS)
    return np.concatenate([vel, pull - 0.5 * density * speed * cd / CDS[0] / beta * rel])


def fly_inertially(lat: float, lon: float, vel_enu: np.ndarray, beta: float, wind_enu: np.ndarray) -> tuple[float, ...]:
    """Longitude, latitude (degrees) and time where the body is back at height 0."""
    pos = np.array(TO_ECEF.transform(lon, lat, 0.0))
    la, lo = np.radians(lat), np.radians(lon)
    east = np.array([-np.sin(lo), np.cos(lo), 0.0])
    up = np.array([np.cos(la) * np.cos(lo), np.cos(la) * np.sin(lo), np.sin(la)])
    axes = np.column_stack([east, np.cross(up, east), up])
    vel = axes @ vel_enu + np.cross([0.0, 0.0, SPIN], pos)

    def height(t: float, y: np.ndarray, *_: object) -> float:
        cos, sin = np.cos(SPIN * t), np.sin(SPIN * t)
        turned = (cos * y[0] + sin * y[1], cos * y[1] - sin * y[0], y[2])
        return float(TO_GEODETIC.transform(*turned)[2]) + (1.0 if t == 0.0 else 0.0)

    height.terminal, height.direction = True, -1.0
    path = solve_ivp(
        inertial_slope, (0.0, 200.0), np.concatenate([pos, vel]), "DOP853", events=height,
        args=(beta, axes @ wind_enu), rtol=1e-9, atol=1e-6,
    )  # fmt: skip
    t, (x, y, z) = float(path.t_events[0][0]), path.y_events[0][0][:3]
    cos, sin = np.cos(SPIN * t), np.sin(SPIN * t)
    lon_end, lat_end, _ = TO_GEODETIC.transform(cos * x + sin * y, cos * y - sin * x, z)
    return lon_end, lat_end, t


@pytest.mark.parametrize(
    ("lat", "az_deg", "el_deg", "speed", "beta", "wind"),
    [
        (33.3, 90.0, 45.0, 684.3, 15600.0, 0.0),
        (33.3, 0.0, 45.0, 684.3, 15600.0, 0.0),
        (33.3, 225.0, 60.0, 563.0, 15600.0, 8.0),
        (-52.0, 300.0, 50.0, 690.0, 19700.0, 0.0),
        (64.0, 135.0, 30.0, 375.0, 9550.0, -10.0),
        (0.0, 20.0, 55.0, 250.0, 10170.0, 5.0),
        (33.3, 170.0, 42.0, 227.0, 4300.0, 0.0),
    ],
)
def test_impact_agrees_with_the_inertial_model(
    lat: float, az_deg: float, el_deg: float, speed: float, beta: float, wind: float
) -> None:
    az, el, lon = np.radians(az_deg), np.radians(el_deg), 44.4
    vel = speed * np.array([np.cos(el) * np.sin(az), np.cos(el) * np.cos(az), np.sin(el)])
    lon_end, lat_end, t = fly_inertially(lat, lon, vel, beta, np.array([wind, 0.5 * wind, 0.0]))
    origin = Origin(np.radians(lat), np.radians(lon), 0.0)
    air = air_table(0.0, wind=[(0.0, wind, 0.5 * wind)])
    start = np.array([0.0, 0.0, 0.0, *vel, np.log(beta)])
    ground = flight.to_ground(start, 1, environment(origin), air, FLAT, SHELL)
    ours = enu_to_geodetic(ground[:3], origin)
    metres = np.radians([lat_end, lon_end]) - np.array([ours[0], ours[1]])
    metres *= A * np.array([1.0, np.cos(np.radians(lat))])
    assert np.hypot(*metres) < 0.5
    assert ground[7] == pytest.approx(t, abs=0.002)
