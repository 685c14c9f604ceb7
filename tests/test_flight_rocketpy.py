"""Boost against RocketPy, another's flight simulator: thrust, loss of mass and drag while a motor burns, and after.

Both fly the same body in the standard atmosphere: constant thrust along the axis, mass that falls at a constant rate,
one drag curve. RocketPy's earth does not turn and is flat, so ours neither.
"""

import math
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from rocketpy import Environment, Flight, GenericMotor, PointMassRocket

from opencram.physics.air import air_table
from opencram.physics.flight import MACH_STEP, Motor, fly, fly_boosted
from opencram.physics.place import E_GRAVITY, E_RADIUS, ENV_SIZE
from opencram.physics.threats import Threat, catalogue
from opencram.tables import FloatArray

GRAVITY_MPS2 = 9.80665
RAIL_M = 1.0
ROCKETS = ("rocket-107", "rocket-122", "rocket-240")


def still_flat_place() -> FloatArray:
    """A place whose earth neither turns nor curves."""
    env = np.zeros(ENV_SIZE)
    env[E_GRAVITY], env[E_RADIUS] = GRAVITY_MPS2, 1e12
    return env


def theirs(threat: Threat, until_s: float) -> Flight:
    """RocketPy's flight of a class's rocket, straight up."""
    motor = threat.motor
    assert motor is not None
    launch_kg = threat.mass_kg / motor.mass_ratio
    fuel_kg = launch_kg - threat.mass_kg
    thrust_n = motor.exhaust_mps * fuel_kg / motor.burn_s
    mach = np.arange(len(threat.drag)) * MACH_STEP
    curve = np.column_stack([mach, threat.cd0 * threat.drag]).tolist()
    engine = GenericMotor(
        thrust_source=thrust_n, burn_time=motor.burn_s, chamber_radius=0.4 * threat.diameter_m, chamber_height=0.5,
        chamber_position=0.3, propellant_initial_mass=fuel_kg, dry_mass=1e-6, nozzle_radius=1e-6,
        dry_inertia=(1e-6, 1e-6, 1e-6),
    )  # fmt: skip
    rocket = PointMassRocket(
        radius=threat.diameter_m / 2.0, mass=threat.mass_kg, center_of_mass_without_motor=0.0,
        power_off_drag=curve, power_on_drag=curve, weathercock_coeff=1e3,
    )  # fmt: skip
    rocket.add_motor(engine, position=0.0)
    air = Environment(gravity=GRAVITY_MPS2)
    air.set_atmospheric_model(type="standard_atmosphere")
    return Flight(
        rocket, air, rail_length=RAIL_M, inclination=90.0, heading=90.0, simulation_mode="3 DOF",
        max_time=until_s, rtol=1e-8, time_overshoot=False, ode_solver="DOP853",
    )  # fmt: skip


def ours(threat: Threat, at: FloatArray, until_s: float) -> FloatArray:
    """Our state (7) at `until_s`, from RocketPy's state (8: time, place, velocity) as it leaves its rail."""
    motor, env, air = threat.motor, still_flat_place(), air_table(0.0)
    assert motor is not None
    # what is left of the burn: the same mass flow, from the mass at the rail's end
    share = at[0] / motor.burn_s
    mass = 1.0 - (1.0 - motor.mass_ratio) * share
    left = Motor(motor.burn_s - at[0], motor.exhaust_mps, motor.mass_ratio / mass)
    y0 = np.array([*at[1:7], threat.ln_beta])
    steps = math.ceil(left.burn_s / 0.01)
    burnt = fly_boosted(y0, np.array(left), left.burn_s / steps, steps, env, air, threat.drag)[-1]
    rest_s = until_s - motor.burn_s
    state: FloatArray = fly(np.ascontiguousarray(burnt), rest_s / 200, 200, env, air, threat.drag)[-1]
    return state


@pytest.mark.parametrize("after_s", [0.01, 10.0])
@pytest.mark.parametrize("cls", ROCKETS)
def test_boost_and_what_follows(cls: str, after_s: float) -> None:
    """Straight up, so that nothing but thrust, mass, drag and gravity counts: 0.3 m and 0.1 m/s at burn-out; ten
    seconds later, at up to 8.8 km, 7 m and 0.4 m/s."""
    threat = catalogue()[cls]
    assert threat.motor is not None
    until_s = threat.motor.burn_s + after_s
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flight = theirs(threat, until_s + 0.5)
        begin = max(flight.out_of_rail_time, 0.02)
        at = np.array([begin, 0.0, 0.0, flight.z(begin), 0.0, 0.0, flight.vz(begin)])
        height, speed = float(flight.z(until_s)), float(flight.vz(until_s))
    found = ours(threat, at, until_s)
    at_burnout = after_s < 1.0
    assert found[2] == pytest.approx(height, abs=0.3 if at_burnout else 7.0)
    assert found[5] == pytest.approx(speed, abs=0.1 if at_burnout else 0.4)


@pytest.mark.parametrize("cls", ROCKETS)
def test_the_top_of_the_climb(cls: str) -> None:
    """Within 3 m of height (at up to 25.7 km) and 0.02 s."""
    threat = catalogue()[cls]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flight = theirs(threat, 120.0)
        begin = max(flight.out_of_rail_time, 0.02)
        at = np.array([begin, 0.0, 0.0, flight.z(begin), 0.0, 0.0, flight.vz(begin)])
        top_s, top_m = float(flight.apogee_time), float(flight.apogee)
    found = ours(threat, at, top_s)
    assert found[2] == pytest.approx(top_m, abs=3.0)
    assert found[5] == pytest.approx(0.0, abs=0.2), "gravity makes 0.2 m/s of 0.02 s"
