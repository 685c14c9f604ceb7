"""Objects that a radar cannot tell apart: two tracks in one resolution cell share the one plot that both give.

Taken by one as its own such a plot would bend that track, for it lies at neither object, and the other would be given
up and begun anew when the two part. So a track that found no plot of its own is held to be in the plot of another one
where both are within one cell of each other and of the plot.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import CONFIRMED, BoolArray, FloatArray, IntArray
from opencram.tracking.bank import STATUS, TIME
from opencram.tracking.filters import CRUISE

CELL_SLACK = 1.3
"""The cell is taken this much larger than stated: where exactly two tracks merge is known as well as the tracks are."""
NOBODY = -1


@device
def seen_at(x: FloatArray, dt: float, place: FloatArray, rot: FloatArray, out: FloatArray) -> None:
    """Range, azimuth and elevation at which a sensor sees a track that has gone straight on for dt seconds."""
    e, n, u = x[0] + dt * x[3] - place[0], x[1] + dt * x[4] - place[1], x[2] + dt * x[5] - place[2]
    d0 = rot[0, 0] * e + rot[0, 1] * n + rot[0, 2] * u
    d1 = rot[1, 0] * e + rot[1, 1] * n + rot[1, 2] * u
    d2 = rot[2, 0] * e + rot[2, 1] * n + rot[2, 2] * u
    flat = math.hypot(d0, d1)
    out[0], out[1], out[2] = math.hypot(flat, d2), math.atan2(d0, d1), math.atan2(d2, flat)


@device
def in_one_cell(a: FloatArray, b: FloatArray, cell: FloatArray) -> bool:
    """Whether two directions and ranges (3) are within a cell of each other; an unmeasured elevation never differs."""
    turn = abs(a[1] - b[1])
    turn = min(turn, 2.0 * math.pi - turn)
    return not (abs(a[0] - b[0]) > cell[0] or turn > cell[1] or abs(a[2] - b[2]) > cell[2])


@device
def _apart_m(x: FloatArray, dt: float, y: FloatArray, ahead: float) -> float:
    """Distance between two tracks that have gone straight on for dt and `ahead` seconds."""
    e = x[0] + dt * x[3] - y[0] - ahead * y[3]
    n = x[1] + dt * x[4] - y[1] - ahead * y[4]
    u = x[2] + dt * x[5] - y[2] - ahead * y[5]
    return math.sqrt(e * e + n * n + u * u)


@kernel(
    "int64[::1](int64[::1], boolean[::1], int64[:,::1], float64[:,:,::1], int64[::1], float64[:,::1],"
    "float64[::1], float64[::1], float64[:,::1])"
)
def share_unresolved(
    chosen: IntArray, taken: BoolArray, whole: IntArray, mean: FloatArray, plot_ns: IntArray,
    plots: FloatArray, resolution: FloatArray, place: FloatArray, rot: FloatArray,
) -> IntArray:  # fmt: skip
    """With whom each track (n) shares a plot, -1 for nobody; those that had none get it, in `chosen` (n).

    The plot is the other's own, or where the other has none either, one that is not `taken` (m), and is from then on.
    """
    n, cell = len(chosen), CELL_SLACK * resolution
    partner, mine, theirs, owner = np.full(n, NOBODY, np.int64), np.empty(3), np.empty(3), chosen.copy()
    for i in range(n):
        if whole[i, STATUS] != CONFIRMED or chosen[i] >= 0:
            continue
        x, nearest, found = mean[i, CRUISE], math.inf, NOBODY
        # two tracks in one cell are at most as far apart as it is wide at their range
        wide = cell[0] + (abs(x[0] - place[0]) + abs(x[1] - place[1]) + abs(x[2] - place[2])) * (cell[1] + cell[2])
        for k in range(n):
            if k == i or whole[k, STATUS] != CONFIRMED:
                continue
            first, last = (owner[k], owner[k] + 1) if owner[k] >= 0 else (0, len(taken))
            y, dt = mean[k, CRUISE], (plot_ns[first] - whole[i, TIME]) * 1e-9
            ahead = (plot_ns[first] - whole[k, TIME]) * 1e-9
            if dt < 0.0 or _apart_m(x, dt, y, ahead) > wide:
                continue
            for j in range(first, last):
                if owner[k] < 0 and taken[j]:
                    continue
                seen_at(x, (plot_ns[j] - whole[i, TIME]) * 1e-9, place, rot, mine)
                seen_at(y, (plot_ns[j] - whole[k, TIME]) * 1e-9, place, rot, theirs)
                apart = abs(plots[j, 0] - mine[0])
                if apart >= nearest or not in_one_cell(mine, theirs, cell):
                    continue
                if in_one_cell(mine, plots[j], cell) and in_one_cell(theirs, plots[j], cell):
                    nearest, found, partner[i] = apart, j, k
        if found >= 0:
            chosen[i], taken[found] = found, True
            partner[partner[i]] = i
            # the other one may have had none: it has this one now
            chosen[partner[i]], owner[partner[i]] = found, found
            owner[i] = found
    return partner
