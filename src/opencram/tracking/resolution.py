"""Objects that a radar cannot tell apart: two tracks in one resolution cell share the one plot that both give."""

import numpy as np

from opencram.physics.layout import Layout
from opencram.tables import CONFIRMED, BoolArray, FloatArray
from opencram.tracking.filters import CRUISE
from opencram.tracking.lifecycle import Bank

CELL_SLACK = 1.3
"""The cell is taken this much larger than stated: where exactly two tracks merge is known as well as the tracks are."""


def unresolved(bank: Bank, z: FloatArray, scan_ns: int, sensor: int, layout: Layout) -> dict[int, int]:
    """Confirmed tracks that share a plot with another: row of the bank -> row of the plots `z` (m, 4).

    Two tracks in one cell with a single plot between them: it may be of both, and then lies at neither. Taken by one
    as its own it would bend that track, and the other would be given up and begun anew when the two part.
    """
    confirmed = np.flatnonzero(bank.status == CONFIRMED)
    if len(confirmed) < 2 or not len(z):
        return {}
    ahead_s = ((scan_ns - bank.time_ns[confirmed]) * 1e-9)[:, None]
    at = layout.seen_from(sensor, bank.mean[confirmed, CRUISE, :3] + ahead_s * bank.mean[confirmed, CRUISE, 3:6])
    cell = CELL_SLACK * layout.resolution[sensor]
    shared = {}
    for one, two in _pairs(at, cell):
        between = np.flatnonzero(_within(z[:, :3], at[one], cell) & _within(z[:, :3], at[two], cell))
        if len(between) == 1:
            shared[int(confirmed[one])] = shared[int(confirmed[two])] = int(between[0])
    return shared


def _pairs(at: FloatArray, cell: FloatArray) -> list[tuple[int, int]]:
    """Pairs of points (n, 3; range, azimuth, elevation) within one cell of each other; compared only near in range."""
    order = np.argsort(at[:, 0], kind="stable")
    ends = np.searchsorted(at[order, 0], at[order, 0] + cell[0], side="right")
    pairs = []
    for i in np.flatnonzero(ends - np.arange(len(order)) > 1).tolist():
        others = order[i + 1 : ends[i]]
        beside = others[_within(at[others], at[order[i]], cell)]
        pairs += [(int(order[i]), int(other)) for other in beside]
    return pairs


def _within(points: FloatArray, centre: FloatArray, cell: FloatArray) -> BoolArray:
    """Which points (n, 3; range, azimuth, elevation) are in the cell round a centre; azimuth goes round."""
    apart = np.abs(points - centre)
    apart[:, 1] = np.minimum(apart[:, 1], 2.0 * np.pi - apart[:, 1])
    inside: BoolArray = np.all(apart <= cell, axis=1)
    return inside


def without(gain: FloatArray, shared: dict[int, int]) -> FloatArray:
    """The gains (n, m) of what is left to assign: tracks and plots that are shared take no part."""
    rest = gain.copy()
    rest[list(shared)] = -np.inf
    rest[:, list(shared.values())] = -np.inf
    return rest
