"""The flight model against py-ballisticcalc, an independent point-mass solver with its own air and steps."""

import numpy as np
import pytest
from py_ballisticcalc import (
    Ammo,
    Angular,
    Atmo,
    Calculator,
    Distance,
    DragModel,
    Shot,
    TrajFlag,
    Velocity,
    Weapon,
    Weight,
    Wind,
)

from opencram.physics import flight
from opencram.physics.air import air_table
from opencram.physics.place import E_GRAVITY, E_RADIUS, ENV_SIZE, FLAT

SHELL = ([0.0, 0.90, 0.95, 1.00, 1.10, 1.20, 1.50, 2.00], [0.147, 0.147, 0.192, 0.338, 0.388, 0.380, 0.340, 0.291])
MORTAR = ([0.0, 0.70, 0.85, 0.87, 0.90, 0.93, 0.95], [0.119, 0.119, 0.120, 0.122, 0.126, 0.148, 0.182])


def other(
    speed: float, el_deg: float, mass_kg: float, width_m: float, curve: tuple[list[float], list[float]], wind: float
) -> tuple[float, float]:
    """Range and time of flight by py-ballisticcalc over a flat earth, wind along the flight."""
    weight, diameter = Weight.Kilogram(mass_kg), Distance.Meter(width_m)
    machs = np.arange(0.0, 5.0001, 0.0025)
    # its drag function is interpolated smoothly: rows 0.0025 apart make it follow the same straight lines
    rows = [{"Mach": float(m), "CD": float(np.interp(m, *curve))} for m in machs]
    sectional_density = (weight >> Weight.Pound) / (diameter >> Distance.Inch) ** 2
    shot = Shot(
        ammo=Ammo(DragModel(sectional_density, rows, weight, diameter), Velocity.MPS(speed)),
        weapon=Weapon(sight_height=Distance.Meter(0)),
        atmo=Atmo.icao(),
        relative_angle=Angular.Degree(el_deg),
        winds=[Wind(Velocity.MPS(wind), Angular.Degree(0), Distance.Meter(1e6))],
    )
    config = {"cMinimumVelocity": 0.0, "cMaximumDrop": -5.0, "cMinimumAltitude": -50.0}
    fired = Calculator(config=config).fire(shot, Distance.Meter(40_000), flags=TrajFlag.ZERO, raise_range_error=False)
    down = [p for p in fired.records if p.flag & TrajFlag.ZERO_DOWN][-1]
    return down.distance >> Distance.Meter, down.time


@pytest.mark.parametrize(
    ("speed", "el_deg", "mass_kg", "width_m", "curve", "wind"),
    [
        (563.0, 45.0, 43.1, 0.1547, SHELL, 0.0),
        (684.3, 45.0, 43.1, 0.1547, SHELL, 0.0),
        (684.3, 20.0, 43.1, 0.1547, SHELL, 10.0),
        (318.0, 45.0, 13.585, 0.11956, MORTAR, 0.0),
        (227.0, 60.0, 1.7, 0.06, MORTAR, 0.0),
        (227.0, 60.0, 1.7, 0.06, MORTAR, -8.0),
    ],
)
def test_range_and_time(
    speed: float, el_deg: float, mass_kg: float, width_m: float, curve: tuple[list[float], list[float]], wind: float
) -> None:
    env = np.zeros(ENV_SIZE)
    env[E_GRAVITY], env[E_RADIUS] = 9.80665, 1e12
    el, area = np.radians(el_deg), np.pi / 4.0 * width_m**2
    ln_beta = np.log(mass_kg / (curve[1][0] * area))
    y = np.array([0.0, 0.0, 0.0, speed * np.cos(el), 0.0, speed * np.sin(el), ln_beta])
    air = air_table(0.0, wind=[(0.0, wind, 0.0)])
    ours = flight.to_ground(y, 1, env, air, FLAT, flight.drag_table(*curve))
    range_m, time_s = other(speed, el_deg, mass_kg, width_m, curve, wind)
    assert ours[0] == pytest.approx(range_m, rel=5e-4)
    assert ours[7] == pytest.approx(time_s, rel=5e-4)
