"""One 155 mm shell to the ground: our kernel, with its tangent, a plain C loop and py-ballisticcalc, timed in turn."""

import time
from collections.abc import Callable

import numpy as np

from opencram.physics.air import air_table
from opencram.physics.flight import ground_jacobian, to_ground
from opencram.physics.frames import Origin
from opencram.physics.place import FLAT, environment
from opencram.physics.threats import catalogue
from peers.c_loop import STEP_S, c_fall
from peers.py_ballisticcalc import ENGINE, shell_to_ground

SPEED_MPS, ELEVATION_DEG = 563.0, 45.0
ROUNDS, LEAST_S = 7, 0.3


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
    origin, threat, el = Origin(0.58, 0.77), catalogue()["shell-155"], np.radians(ELEVATION_DEG)
    y0 = np.array([0.0, 0.0, 0.0, SPEED_MPS * np.cos(el), 0.0, SPEED_MPS * np.sin(el), threat.ln_beta])
    world = (environment(origin), air_table(0.0), FLAT, np.array(threat.drag))
    peer = shell_to_ground(SPEED_MPS, ELEVATION_DEG)
    in_c = c_fall()
    rows = {
        "to_ground": median_us(lambda: to_ground(y0, 1.0, *world)),
        "ground_jacobian": median_us(lambda: ground_jacobian(y0, 1.0, *world)),
        f"plain C loop, {STEP_S:g} s steps": median_us(lambda: in_c(y0, threat)),
        f"py-ballisticcalc, {ENGINE}": median_us(peer),
    }
    for name, us in rows.items():
        print(f"{name:44} {us:9.1f} us   {us / rows['to_ground']:6.2f} times our flight")


if __name__ == "__main__":
    main()
