"""One 155 mm shell to the ground: our kernel, our kernel with its tangent, and py-ballisticcalc, timed in turn.

The peer's compiled engine comes with: pip install 'py-ballisticcalc[exts]'
"""

import time
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

from opencram.physics.air import air_table
from opencram.physics.flight import ground_jacobian, to_ground
from opencram.physics.frames import Origin
from opencram.physics.place import FLAT, environment
from opencram.physics.threats import catalogue

SPEED_MPS, ELEVATION_DEG = 563.0, 45.0
ROUNDS, LEAST_S = 7, 0.3
ENGINE = "cythonized_rk4_engine"
PEER = "py-ballisticcalc, compiled RK4"


def peer(engine: str) -> Callable[[], object]:
    """The same shot by one of py-ballisticcalc's engines, with the M107's published drag rows."""
    machs, cds = (
        [0.0, 0.90, 0.95, 1.00, 1.10, 1.20, 1.50, 2.00],
        [0.147, 0.147, 0.192, 0.338, 0.388, 0.380, 0.340, 0.291],
    )
    weight, diameter = Weight.Kilogram(43.1), Distance.Meter(0.1547)
    rows = [{"Mach": float(m), "CD": float(np.interp(m, machs, cds))} for m in np.arange(0.0, 2.01, 0.05)]
    density = (weight >> Weight.Pound) / (diameter >> Distance.Inch) ** 2
    shot = Shot(
        ammo=Ammo(DragModel(density, rows, weight, diameter), Velocity.MPS(SPEED_MPS)),
        weapon=Weapon(sight_height=Distance.Meter(0)),
        atmo=Atmo.icao(),
        relative_angle=Angular.Degree(ELEVATION_DEG),
    )
    config = {"cMinimumVelocity": 0.0, "cMaximumDrop": -5.0, "cMinimumAltitude": -50.0}
    calculator = Calculator(config=config, engine=engine)
    return lambda: calculator.fire(shot, Distance.Meter(40_000), flags=TrajFlag.ZERO, raise_range_error=False)


def median_us(call: Callable[[], object]) -> float:
    """Median time of a call, in microseconds, over several rounds of at least LEAST_S."""
    call()
    times = []
    for _ in range(ROUNDS):
        began, calls = time.perf_counter(), 0
        while time.perf_counter() - began < LEAST_S:
            call()
            calls += 1
        times.append((time.perf_counter() - began) / calls * 1e6)
    return float(np.median(times))


def main() -> None:
    """Print the table."""
    origin, threat = Origin(0.58, 0.77), catalogue()["shell-155"]
    el = np.radians(ELEVATION_DEG)
    y0 = np.array([0.0, 0.0, 0.0, SPEED_MPS * np.cos(el), 0.0, SPEED_MPS * np.sin(el), threat.ln_beta])
    world = (environment(origin), air_table(0.0), FLAT, np.array(threat.drag))
    rows = {
        "to_ground": median_us(lambda: to_ground(y0, 1.0, *world)),
        "ground_jacobian": median_us(lambda: ground_jacobian(y0, 1.0, *world)),
        PEER: median_us(peer(ENGINE)),
    }
    for name, us in rows.items():
        print(f"{name:32} {us:9.1f} us   {rows[PEER] / us:6.1f} times as fast as the peer")


if __name__ == "__main__":
    main()
