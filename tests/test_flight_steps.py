"""Flight: steps that have converged, conserved energy, the turning earth, motors, and where the ground is met."""

import numpy as np
import pytest

from opencram.physics import flight
from opencram.physics.air import air_table
from opencram.physics.frames import Origin
from opencram.physics.path import ground_impact_of
from opencram.physics.place import E_GRAVITY, E_RADIUS, E_SPIN_E, E_SPIN_U, FLAT, environment, height_m
from opencram.physics.threats import Threat, catalogue

ORIGIN = Origin(np.radians(33.3), np.radians(44.4), 0.0)
ENV = environment(ORIGIN)
AIR = air_table(0.0, wind=[(0.0, 5.0, -3.0), (10_000.0, 20.0, 5.0)])
VACUUM = air_table(0.0) * np.array([0.0, 1.0, 0.0, 0.0])
SHELL = catalogue()["shell-155"]
CLASSES = [threat for threat in catalogue().values() if threat.ballistic and threat.family != "innocent"]
"""What a zone may be warned of; a bullet, that drag stops within a second or two, is flown to a metre and a half."""


def start(speed: float, az_deg: float, el_deg: float, ln_beta: float = SHELL.ln_beta, up_m: float = 0.0) -> np.ndarray:
    az, el = np.radians(az_deg), np.radians(el_deg)
    vel = speed * np.array([np.cos(el) * np.sin(az), np.cos(el) * np.cos(az), np.sin(el)])
    return np.array([0.0, 0.0, up_m, *vel, ln_beta])


def height_of(states: np.ndarray) -> np.ndarray:
    """Height over the sphere, from the distance to its centre in extended precision."""
    centred = states[..., :3].astype(np.longdouble) + np.array([0.0, 0.0, ENV[E_RADIUS]], np.longdouble)
    return np.asarray(np.sqrt((centred**2).sum(axis=-1)) - ENV[E_RADIUS], np.float64)


def tiny_steps(y0: np.ndarray, direction: int, drag: np.ndarray, dt: float = 0.004) -> np.ndarray:
    """East, north and time at the ground by plain steps of a few milliseconds and a straight line within the last."""
    y, after, t = y0.copy(), np.empty(7), 0.0
    while True:
        flight.rk4_step(y, direction * dt, ENV, AIR, drag, after)
        before, behind = height_of(y), height_of(after)
        if behind < 0.0 <= before:
            share = before / (before - behind)
            return np.array([*(y + share * (after - y))[:2], t + share * direction * dt])
        y[:] = after
        t += direction * dt


@pytest.mark.parametrize("threat", CLASSES, ids=lambda t: t.id)
@pytest.mark.parametrize("el_deg", [12, 45, 70])
def test_impact_is_within_a_metre_of_tiny_steps(threat: Threat, el_deg: int) -> None:
    for speed in (max(threat.speed_mps[0], 100.0), threat.speed_mps[1]):
        y = start(speed, 37.0, el_deg, threat.ln_beta, up_m=1.0)
        found = flight.to_ground(y, 1, ENV, AIR, FLAT, threat.drag)
        east, north, t = tiny_steps(y, 1, threat.drag)
        assert np.hypot(found[0] - east, found[1] - north) < 0.5
        assert found[7] == pytest.approx(t, abs=0.003)
        assert abs(height_of(found)) < 1e-3


@pytest.mark.parametrize("threat", CLASSES, ids=lambda t: t.id)
def test_back_from_the_impact_is_the_launch(threat: Threat) -> None:
    y = start(threat.speed_mps[1], 250.0, 50.0, threat.ln_beta)
    down = flight.to_ground(y, 1, ENV, AIR, FLAT, threat.drag)
    back = flight.to_ground(down[:7].copy(), -1, ENV, AIR, FLAT, threat.drag)
    assert np.hypot(back[0], back[1]) < 0.5
    assert back[7] == pytest.approx(-down[7], abs=0.003)


def test_energy_is_kept_without_air_and_coriolis_does_no_work() -> None:
    path = flight.fly(start(700.0, 30.0, 60.0), 0.5, 220, ENV, VACUUM, SHELL.drag)
    radius = ENV[E_RADIUS]
    energy = 0.5 * (path[:, 3:6] ** 2).sum(axis=1) - ENV[E_GRAVITY] * radius**2 / (radius + height_of(path))
    assert height_of(path).max() > 15_000.0
    np.testing.assert_allclose(energy, energy[0], rtol=0.0, atol=1e-6)


def test_air_only_takes_energy() -> None:
    still = air_table(0.0)
    path = flight.fly(start(600.0, 30.0, 50.0), 0.5, 120, ENV, still, SHELL.drag)
    energy = 0.5 * (path[:, 3:6] ** 2).sum(axis=1) + 9.8 * height_of(path)
    assert (np.diff(energy) < 0.0).all()


def test_a_dropped_body_drifts_east() -> None:
    """The textbook deflection w g t^3 cos(lat) / 3 of a fall without air."""
    y = start(0.0, 0.0, 0.0, up_m=2000.0)
    down = flight.to_ground(y, 1, ENV, VACUUM, FLAT, SHELL.drag)
    spin, gravity = 7.292115e-5, ORIGIN.gravity_mps2
    assert down[0] == pytest.approx(spin * gravity * down[7] ** 3 * np.cos(ORIGIN.lat_rad) / 3.0, rel=2e-3)
    assert abs(down[1]) < 0.01


def test_height_is_exact_near_and_far() -> None:
    rng = np.random.default_rng(3)
    for pos in rng.uniform(-40_000.0, 40_000.0, (200, 3)):
        found = height_m(*pos, ENV[E_RADIUS])
        assert found == pytest.approx(float(height_of(pos)), abs=2e-11 * max(1.0, abs(pos).max()))


def test_wind_carries_a_body_along() -> None:
    """A light body that falls long ends with the wind's speed."""
    air = air_table(0.0, wind=[(0.0, 7.0, -4.0)])
    env = ENV.copy()
    env[E_SPIN_E : E_SPIN_U + 1] = 0.0
    path = flight.fly(start(0.0, 0.0, 0.0, np.log(20.0), up_m=1500.0), 1.0, 40, env, air, np.ones(201))
    np.testing.assert_allclose(path[-1, 3:5], [7.0, -4.0], atol=1e-3)


def test_burn_out_speed_is_tsiolkovskys() -> None:
    nothing = ENV.copy()
    nothing[E_GRAVITY] = 0.0
    nothing[E_SPIN_E : E_SPIN_U + 1] = 0.0
    motor = np.array(flight.Motor(1.83, 2000.0, 0.7))
    path = flight.fly_boosted(start(40.0, 90.0, 30.0), motor, 0.1, 30, nothing, VACUUM, SHELL.drag)
    speeds = np.linalg.norm(path[:, 3:6], axis=1)
    assert speeds[-1] == pytest.approx(40.0 + 2000.0 * np.log(1.0 / 0.7), rel=1e-9)
    np.testing.assert_allclose(speeds[19:], speeds[-1], rtol=1e-12)
    # while burning at t, the mass is 1 - 0.3 t / 1.83 of that at launch
    assert speeds[10] == pytest.approx(40.0 - 2000.0 * np.log(1.0 - 0.3 / 1.83), rel=1e-7)


def test_boosted_flight_does_not_depend_on_the_rows_asked_for() -> None:
    rocket = catalogue()["rocket-107"]
    assert rocket.motor is not None
    y, motor = start(35.0, 80.0, 40.0, rocket.ln_beta), np.array(rocket.motor)
    ends = []
    for dt, n in ((1.0, 45), (0.13, 340), (0.02, 2500)):
        path = flight.fly_boosted(y, motor, dt, n, ENV, AIR, rocket.drag)
        ends.append(ground_impact_of(path, dt, ENV))
    np.testing.assert_allclose(ends[0][:2], ends[2][:2], atol=0.6)
    np.testing.assert_allclose(ends[1][:2], ends[2][:2], atol=0.3)


def test_without_a_motor_both_flights_are_one() -> None:
    y = start(500.0, 10.0, 40.0)
    plain = flight.fly(y, 0.1, 100, ENV, AIR, SHELL.drag)
    assert np.array_equal(plain, flight.fly_boosted(y, np.zeros(3), 0.1, 100, ENV, AIR, SHELL.drag))


def test_impact_of_a_path_is_that_of_the_flight() -> None:
    y = start(600.0, 120.0, 40.0)
    path = flight.fly(y, 0.25, 300, ENV, AIR, SHELL.drag)
    found = ground_impact_of(path, 0.25, ENV)
    direct = flight.to_ground(y, 1, ENV, AIR, FLAT, SHELL.drag)
    np.testing.assert_allclose(found[:3], direct[:3], atol=0.5)
    assert found[7] == pytest.approx(direct[7], abs=0.002)
    assert np.isnan(ground_impact_of(path[:50], 0.25, ENV)).all()


def test_ground_above_the_origin() -> None:
    raised = environment(ORIGIN, ground_up_m=300.0)
    y = start(300.0, 0.0, 60.0, up_m=300.0)
    down = flight.to_ground(y, 1, raised, AIR, FLAT, SHELL.drag)
    assert height_of(down) == pytest.approx(300.0, abs=1e-3)
    assert down[7] < flight.to_ground(y, 1, ENV, AIR, FLAT, SHELL.drag)[7]


def test_under_the_ground_and_sinking_is_carried_back() -> None:
    y = start(300.0, 45.0, 50.0)
    down = flight.to_ground(y, 1, ENV, AIR, FLAT, SHELL.drag)
    below = flight.fly(down[:7].copy(), 0.8, 1, ENV, AIR, SHELL.drag)[1]
    again = flight.to_ground(below, 1, ENV, AIR, FLAT, SHELL.drag)
    np.testing.assert_allclose(again[:2], down[:2], atol=1e-2)
    assert again[7] == pytest.approx(-0.8, abs=1e-4)


def test_under_the_ground_and_climbing_flies_on() -> None:
    y = start(300.0, 45.0, 50.0, up_m=-5.0)
    down = flight.to_ground(y, 1, ENV, AIR, FLAT, SHELL.drag)
    assert down[7] > 40.0
    launch = flight.to_ground(y, -1, ENV, AIR, FLAT, SHELL.drag)
    assert 0.0 < launch[7] < 0.1


@pytest.mark.parametrize(
    "y",
    [
        start(2900.0, 0.0, 89.0),
        start(100.0, 0.0, 80.0, up_m=-2000.0),
        start(300.0, 0.0, 45.0) * np.nan,
        start(1e6, 0.0, 45.0),
    ],
    ids=["too long", "never above ground", "not a number", "too fast"],
)
def test_no_ground_is_nan(y: np.ndarray) -> None:
    assert np.isnan(flight.to_ground(y, 1, ENV, VACUUM, FLAT, SHELL.drag)).all()
    assert np.isnan(flight.ground_jacobian(y, 1, ENV, VACUUM, FLAT, SHELL.drag)).all()


def test_backwards_beyond_all_speed_is_nan() -> None:
    """A light body 8 km up, falling slowly, cannot have been fired from the ground."""
    y = start(60.0, 0.0, -45.0, np.log(100.0), up_m=8000.0)
    assert np.isnan(flight.to_ground(y, -1, ENV, AIR, FLAT, np.ones(201))).all()
