"""The same shot by py-ballisticcalc and its compiled engine."""

from collections.abc import Callable

import numpy as np
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
)

ENGINE = "cython+rk4"
M107_MACH = [0.0, 0.90, 0.95, 1.00, 1.10, 1.20, 1.50, 2.00]
M107_CD = [0.147, 0.147, 0.192, 0.338, 0.388, 0.380, 0.340, 0.291]


def shell_to_ground(speed_mps: float, elevation_deg: float) -> Callable[[], object]:
    """A 155 mm shell's flight by its compiled engine, with the M107's published drag rows."""
    weight, diameter = Weight.Kilogram(43.1), Distance.Meter(0.1547)
    rows = [{"Mach": float(m), "CD": float(np.interp(m, M107_MACH, M107_CD))} for m in np.arange(0.0, 2.01, 0.05)]
    density = (weight >> Weight.Pound) / (diameter >> Distance.Inch) ** 2
    shot = Shot(
        ammo=Ammo(DragModel(density, rows, weight, diameter), Velocity.MPS(speed_mps)),
        weapon=Weapon(sight_height=Distance.Meter(0)),
        atmo=Atmo.icao(),
        relative_angle=Angular.Degree(elevation_deg),
    )
    config = {"cMinimumVelocity": 0.0, "cMaximumDrop": -5.0, "cMinimumAltitude": -50.0}
    calculator = Calculator(config=config, engine=ENGINE)
    return lambda: calculator.fire(shot, Distance.Meter(40_000), flags=TrajFlag.ZERO, raise_range_error=False)
