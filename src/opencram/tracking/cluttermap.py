"""Where a radar sees things again and again that never go anywhere: ground, masts, thick rain.

Each sensor has a map of small cells in its own range, azimuth, elevation and range rate, with the plots a look that
each has lately had and that belonged to nothing that moves. A plot there says as much for an object as the plots that
come there anyway leave it to say, and none begins a track where they come often.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.physics.kernel import kernel
from opencram.physics.layout import RANGE_RATE_SPAN_MPS
from opencram.tables import BoolArray, FloatArray, IntArray

CELL_SIGMAS = 4.0
"""A cell is so many of the radar's sigmas wide: weak fixed echoes, whose errors are up to three times as large, spread
over the two nearest each way."""
RATE_CELL_MPS = 16.0
"""What falls with rain or sways in wind stays within one of these."""
LOOKS_KEPT = 100.0
"""The plots a look are averaged over about this many looks."""
FORGOTTEN = 0.25 / LOOKS_KEPT
"""A cell below this, a quarter of one plot, is forgotten."""
MOST_CELLS = 4_000
"""Cells remembered of each sensor; those with the fewest plots are forgotten first."""
WAIT_LOOKS, WAIT_NS = 5, 5_000_000_000
"""A plot is not counted before this: by then its track may be known as something that moves."""
BARREN = 0.04
"""Where so many plots a look come anyway, none begins a track."""
NO_TRACK = -1

COUNT_LOOKS = 10
"""Plots are counted once in so many looks."""


@dataclass
class ClutterMap:
    """The cells of one sensor, in order of their key, and the plots that wait to be counted."""

    key: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    rate: FloatArray = field(default_factory=lambda: np.empty(0))
    """Plots a look, as of `time_ns`, (k,)."""
    time_ns: int = 0
    waiting: IntArray = field(default_factory=lambda: np.empty((0, 3), np.int64))
    """Key, track and time (ns) of each plot, (w, 3);"""
    fresh: list[IntArray] = field(default_factory=list)
    """and of those of the newest looks, look by look."""


def cells_of(sigma: FloatArray) -> FloatArray:
    """The sizes (4) of a sensor's cells, by its sigmas (4); zero where it does not measure."""
    size = CELL_SIGMAS * sigma
    size[3] = RATE_CELL_MPS if size[3] > 0.0 else 0.0
    size[np.isnan(size)] = 0.0
    return size


@kernel("void(float64[:,::1], float64[::1], int64[::1], float64[::1], int64[::1], float64[::1])")
def look_up(
    plots: FloatArray, size: FloatArray, key: IntArray, rate: FloatArray, own: IntArray, often: FloatArray
) -> None:  # fmt: skip
    """For each of the plots (m, 4) the key of its cell, into `own` (m), and the plots a look that come there, `often`.

    These are those of the eight cells nearest to it together, of a map's `key` and `rate` (k).
    """
    turn = math.ceil(2.0 * math.pi / size[1])
    for j in range(len(plots)):
        z = plots[j]
        rated, high = size[3] > 0.0 and not math.isnan(z[3]), size[2] > 0.0 and not math.isnan(z[2])
        a, b, c = z[0] / size[0], (z[1] % (2.0 * math.pi)) / size[1], z[2] / size[2] if high else 0.0
        slow = math.floor(z[3] / RATE_CELL_MPS + 0.5) if rated else 0
        middle, often[j] = (math.floor(a), math.floor(b), math.floor(c)), 0.0
        for corner in range(8 if high else 4):
            i = math.floor(a - 0.5) + (corner & 1)
            k = math.floor(b - 0.5) + ((corner >> 1) & 1)
            up = math.floor(c - 0.5) + (corner >> 2) if high else 0
            this = ((slow + 512) << 52) | ((i & 0xFFFFF) << 32) | ((k % turn) << 16) | (up & 0xFFFF)
            if i == middle[0] and k == middle[1] and (up == middle[2] or not high):
                own[j] = this
            at = np.searchsorted(key, this)
            if at < len(key) and key[at] == this:
                often[j] += rate[at]


def rivals(often: FloatArray, rated: bool, high: bool, size: FloatArray, ln_false: float) -> FloatArray:
    """How dense the plots that come anyway, `often` (m,) a look, are, over the density of false ones."""
    volume = 4.0 * size[0] * size[1] * (2.0 * size[2] if high else 1.0)
    dense: FloatArray = often / (volume * math.exp(ln_false))
    return dense * (RANGE_RATE_SPAN_MPS / RATE_CELL_MPS) if rated else dense


def _among(track: IntArray, ordered: IntArray) -> BoolArray:
    """Which of the tracks are among the ordered ones; at a scan's few plots several times quicker than `np.isin`."""
    found: BoolArray = np.append(ordered, NO_TRACK - 1)[np.searchsorted(ordered, track)] == track
    return found


def learn(clutter: ClutterMap, own: IntArray, track: IntArray, moving: IntArray, now_ns: int, update_ns: int) -> None:
    """Take in a scan: the cells (m,) of its plots and the track that each went to, and which tracks move by now.

    A plot is counted once it has waited, unless its track is one of those `moving`, in ascending order.
    """
    if now_ns <= clutter.time_ns:
        return
    still = np.flatnonzero(~_among(track, moving))
    fresh = np.full((len(still), 3), now_ns)
    fresh[:, 0], fresh[:, 1] = own[still], track[still]
    clutter.fresh.append(fresh)
    if clutter.time_ns and now_ns - clutter.time_ns < COUNT_LOOKS * update_ns:
        return
    clutter.waiting, clutter.fresh = np.concatenate([clutter.waiting, *clutter.fresh]), []
    due = clutter.waiting[:, 2] <= now_ns - max(WAIT_NS, WAIT_LOOKS * update_ns)
    counted = clutter.waiting[due & ~_among(clutter.waiting[:, 1], moving), 0]
    clutter.waiting = clutter.waiting[~due]
    looks = (now_ns - clutter.time_ns) / update_ns if clutter.time_ns else 0.0
    rate = clutter.rate * math.exp(-looks / LOOKS_KEPT)
    key, member = np.unique(np.concatenate([clutter.key, counted]), return_inverse=True)
    rate = np.bincount(member, np.concatenate([rate, np.full(len(counted), 1.0 / LOOKS_KEPT)]), len(key)).astype(float)
    often = np.sort(np.argsort(-rate, kind="stable")[:MOST_CELLS])
    kept = often[rate[often] >= FORGOTTEN]
    clutter.key, clutter.rate, clutter.time_ns = key[kept], rate[kept], now_ns
