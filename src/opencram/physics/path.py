"""Where a path that is given as rows comes down."""

import numpy as np

from opencram.physics.place import FLAT, clearance
from opencram.tables import FloatArray


def ground_impact_of(path: FloatArray, dt_s: float, env: FloatArray, ground: FloatArray = FLAT) -> FloatArray:
    """State (7) and time since its start where a path (n + 1, 7) of steps dt_s comes down, as (8,); NaN if it does not.

    Within the step the path is the cubic through both ends' positions and velocities.
    """
    over = clearance(path, env, ground)
    down = np.flatnonzero((over[1:] <= 0.0) & (over[:-1] > 0.0))
    if not down.size:
        return np.full(8, np.nan)
    i = int(down[0])
    low, high = 0.0, 1.0
    for _ in range(50):
        mid = 0.5 * (low + high)
        if clearance(_between(path[i], path[i + 1], dt_s, mid)[None], env, ground)[0] > 0.0:
            low = mid
        else:
            high = mid
    return np.append(_between(path[i], path[i + 1], dt_s, high), (i + high) * dt_s)


def _between(a: FloatArray, b: FloatArray, dt_s: float, f: float) -> FloatArray:
    """State at share f of the step from a to b: Hermite's cubic and its derivative."""
    y = a.copy()
    rise = b[:3] - a[:3]
    va, vb = a[3:6] * dt_s, b[3:6] * dt_s
    c2, c3 = 3.0 * rise - 2.0 * va - vb, va + vb - 2.0 * rise
    y[:3] = a[:3] + f * (va + f * (c2 + f * c3))
    y[3:6] = (va + f * (2.0 * c2 + 3.0 * f * c3)) / dt_s
    return y
