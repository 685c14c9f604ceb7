"""The derivatives that the filters rest on, against differences of flights."""

import numpy as np
import pytest

from opencram.physics import flight
from opencram.physics.air import air_table
from opencram.physics.frames import Origin
from opencram.physics.kernel import kernel
from opencram.physics.path import ground_impact_of
from opencram.physics.place import E_WIND_E, FLAT, environment
from opencram.physics.threats import Threat, catalogue

ENV = environment(Origin(np.radians(33.3), np.radians(44.4), 0.0))
AIR = air_table(0.0, wind=[(0.0, 5.0, -3.0), (3000.0, 20.0, 5.0)])
SHELL = catalogue()["shell-155"]
STEPS = np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 1e-3, 0.1, 0.1])
CLASSES = [threat for threat in catalogue().values() if threat.ballistic]


def state(speed: float, el_deg: float, ln_beta: float, up_m: float = 503.0) -> np.ndarray:
    el = np.radians(el_deg)
    vel = speed * np.array([0.6 * np.cos(el), 0.8 * np.cos(el), np.sin(el)])
    return np.array([1100.0, -2300.0, up_m, *vel, ln_beta])


def plain(y: np.ndarray, dt: float, parts: int, drag: np.ndarray) -> np.ndarray:
    out = y.copy()
    for _ in range(parts):
        flight.rk4_step(out.copy(), dt / parts, ENV, AIR, drag, out)
    return out


@pytest.mark.parametrize("dt", [0.1, -0.1, 0.25, 1.0, -0.7, 5.0])
@pytest.mark.parametrize("speed", [40.0, 290.0, 335.0, 344.0, 600.0])
def test_transition_is_the_derivative_of_its_steps(speed: float, dt: float) -> None:
    y = state(speed, 35.0, np.log(2000.0))
    jacobian, after = np.empty((7, 7)), np.empty(7)
    flight.transition(y, dt, ENV, AIR, SHELL.drag, jacobian, after)
    parts = int(np.ceil(abs(dt) / 0.25))
    np.testing.assert_allclose(after, plain(y, dt, parts, SHELL.drag), rtol=1e-13)
    for j, step in enumerate(STEPS[:7] * 1e-2):
        up, down = y.copy(), y.copy()
        up[j] += step
        down[j] -= step
        column = (plain(up, dt, parts, SHELL.drag) - plain(down, dt, parts, SHELL.drag)) / (2.0 * step)
        np.testing.assert_allclose(jacobian[:, j], column, rtol=1e-4, atol=1e-4 * max(1.0, abs(column).max()))


@kernel("void(float64[::1], float64, float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])")
def short(y, dt_s, env, air, drag, jacobian, after):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
    flight.short_transition(y, dt_s, env, air, drag, jacobian, after, np.empty((3, 9)))


@pytest.mark.parametrize("dt", [0.1, -0.1, 0.05, 0.4])
@pytest.mark.parametrize("speed", [40.0, 290.0, 344.0, 600.0])
@pytest.mark.parametrize("ln_beta", [np.log(200.0), np.log(2000.0), np.log(9000.0)])
def test_the_short_step_is_as_exact_as_it_says(speed: float, dt: float, ln_beta: float) -> None:
    """Where drag is too strong or the step too long for it, it is the exact one."""
    y = state(speed, 35.0, ln_beta)
    exact, quick, after, soon = np.empty((7, 7)), np.empty((7, 7)), np.empty(7), np.empty(7)
    flight.transition(y, dt, ENV, AIR, SHELL.drag, exact, after)
    short(y, dt, ENV, AIR, SHELL.drag, quick, soon)
    assert np.abs(soon[:3] - after[:3]).max() < 0.03
    assert np.abs(soon[3:6] - after[3:6]).max() < 0.05
    spread = np.array([10.0] * 6 + [0.3])  # what a young track knows, in m, m/s and ln(beta)
    assert (np.abs(quick - exact) * spread / spread[:, None]).max() < 0.03


def test_transition_there_and_back_is_the_identity() -> None:
    y = state(400.0, 35.0, np.log(9000.0))
    there, back, ahead, again = np.empty((7, 7)), np.empty((7, 7)), np.empty(7), np.empty(7)
    flight.transition(y, 0.4, ENV, AIR, SHELL.drag, there, ahead)
    flight.transition(ahead, -0.4, ENV, AIR, SHELL.drag, back, again)
    np.testing.assert_allclose(again, y, atol=1e-4)
    np.testing.assert_allclose(back @ there, np.eye(7), atol=1e-3)


def test_transition_in_place_and_over_no_time() -> None:
    y = state(400.0, 35.0, np.log(9000.0))
    apart, place, jacobian = np.empty(7), y.copy(), np.empty((7, 7))
    flight.transition(y, 0.3, ENV, AIR, SHELL.drag, jacobian, apart)
    flight.transition(place, 0.3, ENV, AIR, SHELL.drag, jacobian, place)
    assert np.array_equal(apart, place)
    flight.transition(y, 0.0, ENV, AIR, SHELL.drag, jacobian, place)
    assert np.array_equal(place, y)
    assert np.array_equal(jacobian, np.eye(7))


def by_differences(y: np.ndarray, direction: int, drag: np.ndarray) -> np.ndarray:
    """Derivatives (4, 9) of place, time and speed at the ground by state and wind from flights in steps of 10 ms."""
    out = np.empty((4, 9))
    for j, step in enumerate(STEPS):
        ends = []
        for sign in (1.0, -1.0):
            moved, env = y.copy(), ENV.copy()
            if j < 7:
                moved[j] += sign * step
            else:
                env[E_WIND_E + j - 7] += sign * step
            near = flight.to_ground(moved, direction, env, AIR, FLAT, drag)
            # the product's own time of arrival only says how long to fly the tiny steps
            path = flight.fly(moved, direction * 0.01, int(abs(near[7]) / 0.01) + 100, env, AIR, drag)
            down = ground_impact_of(path, direction * 0.01, env)
            ends.append(np.append(down[[0, 1, 7]], np.linalg.norm(down[3:6])))
        out[:, j] = (ends[0] - ends[1]) / (2.0 * step)
    return out


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("threat", [t for t in CLASSES if t.family != "debris"], ids=lambda t: t.id)
def test_ground_jacobian_is_the_derivative_of_the_flight(threat: Threat, direction: int) -> None:
    y = state(0.9 * threat.speed_mps[1], 50.0, threat.ln_beta)
    found = flight.ground_jacobian(y, direction, ENV, AIR, FLAT, threat.drag)
    expected = by_differences(y, direction, threat.drag)
    # the corners of the drag curve leave about a hundredth where a flight lingers at the speed of sound
    assert np.linalg.norm(found[:, 1:] - expected) < 0.015 * np.linalg.norm(expected)


def test_ground_jacobian_is_exact_below_the_speed_of_sound() -> None:
    threat = catalogue()["mortar-60"]
    y = state(200.0, 60.0, threat.ln_beta)
    found = flight.ground_jacobian(y, 1, ENV, AIR, FLAT, threat.drag)
    expected = by_differences(y, 1, threat.drag)
    np.testing.assert_allclose(found[:3, 1:], expected[:3], rtol=2e-4, atol=1e-5)
    # the last step is long, and the table of the air has a corner in it
    np.testing.assert_allclose(found[3, 1:], expected[3], rtol=5e-3, atol=1e-5)


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize("threat", [t for t in CLASSES if t.family != "debris"], ids=lambda t: t.id)
def test_ground_jacobian_has_the_values_of_the_flight(threat: Threat, direction: int) -> None:
    y = state(0.8 * threat.speed_mps[1], 55.0, threat.ln_beta)
    found = flight.ground_jacobian(y, direction, ENV, AIR, FLAT, threat.drag)
    down = flight.to_ground(y, direction, ENV, AIR, FLAT, threat.drag)
    assert found[:3, 0].tolist() == down[[0, 1, 7]].tolist()
    assert found[3, 0] == pytest.approx(np.linalg.norm(down[3:6]), rel=1e-15)


def test_a_spread_of_states_lands_with_the_linear_covariance() -> None:
    """The use that all this is for: a covariance carried to the ground is that of many flights."""
    rng = np.random.default_rng(5)
    y = state(280.0, 40.0, catalogue()["mortar-120"].ln_beta, up_m=900.0)
    sigma = np.array([15.0, 15.0, 15.0, 1.0, 1.0, 1.0, 0.02])
    drag = catalogue()["mortar-120"].drag
    cloud = y + rng.standard_normal((4000, 7)) * sigma
    ends = np.array([flight.to_ground(one, 1, ENV, AIR, FLAT, drag)[[0, 1, 7]] for one in cloud])
    slopes = flight.ground_jacobian(y, 1, ENV, AIR, FLAT, drag)[:3, 1:8]
    linear = (slopes * sigma**2) @ slopes.T
    np.testing.assert_allclose(np.cov(ends.T), linear, rtol=0.1, atol=0.02 * np.abs(linear).max())
