"""What is used of a scan when more comes than there is time for: by count and rule, the same live and in a replay.

A plot in the gate of a confirmed track is always used: what is tracked is warned of in time, however much else comes.
For all others each sensor has room of its own, so that one that floods takes nothing from the rest. First come those
that go with tentative tracks, the longest first, then the strongest: noise is seldom much above the threshold.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from opencram.physics.layout import Layout
from opencram.tables import CONFIRMED, FloatArray, Health, IntArray, Reject
from opencram.tracking.bank import COUNT, STATUS, Bank

PLOTS_PER_S = 4_000
"""So many plots a second that belong to no track are used at a site, in equal parts of its sensors."""
LEAST_ROOM, MOST_ROOM = 100, 500
"""A scan has room for so many of them in any case, and for no more: pairs with young tracks grow with the square."""
SURE = 2
"""A track of one plot may go anywhere; from so many plots on it says where the next is to be."""
OVER_NS = 2_000_000_000
"""A sensor whose plots have all been used for so long is overloaded no more."""


@dataclass
class Overload:
    """By sensor: plots that were not used since the last tick, the largest scan of these, when it last happened."""

    left: dict[int, int] = field(default_factory=dict)
    most: dict[int, int] = field(default_factory=dict)
    over_ns: dict[int, int] = field(default_factory=dict)
    told: list[int] = field(default_factory=list)
    """Sensors that are called overloaded."""

    def note(self, sensor: int, time_ns: int, plots: int, left: int) -> None:
        """Of a scan of so many plots so many were left."""
        if left:
            self.left[sensor] = self.left.get(sensor, 0) + left
            self.most[sensor] = max(plots, self.most.get(sensor, 0))
            self.over_ns[sensor] = time_ns


def room_of(layout: Layout, sensor: int) -> int:
    """How many plots of one scan of a sensor are used at most, besides those of confirmed tracks."""
    share = PLOTS_PER_S * float(layout.update_ns[sensor]) * 1e-9 / len(layout.update_ns)
    return min(max(LEAST_ROOM, round(share)), MOST_ROOM)


def sure_tracks(bank: Bank) -> Bank:
    """The tracks that say which plots are theirs."""
    some = replace(bank)
    some.keep(bank.whole[:, COUNT] >= SURE)
    return some


def urgent(
    begins: IntArray, plot_of: IntArray, whole: IntArray, snr_db: FloatArray, range_m: FloatArray, room: int
) -> IntArray:
    """Which plots of a scan (m,) are used, ascending: those of confirmed tracks, and `room` others.

    `begins` (n + 1) and `plot_of` are the pairs of tracks and plots within a gate, `whole` the tracks (n, WHOLE).
    """
    tracks = np.repeat(np.arange(len(whole)), np.diff(begins))
    tracked, length = np.zeros(len(range_m), np.bool_), np.zeros(len(range_m), np.int64)
    tracked[plot_of[whole[tracks, STATUS] == CONFIRMED]] = True
    np.maximum.at(length, plot_of, whole[tracks, COUNT])
    order = np.lexsort((range_m, -np.nan_to_num(snr_db), -length))
    others = order[~tracked[order]]
    tracked[others[:room]] = True
    return np.flatnonzero(tracked)


def overload_news(state: Overload, now_ns: int, layout: Layout) -> tuple[list[Reject], list[Health]]:
    """What was not used since this was last asked, and which sensors have come to be overloaded, or no longer are."""
    ids, rejects, changes = list(layout.sensor_index), [], []
    for sensor, count in sorted(state.left.items()):
        sample = (
            f"found {state.most[sensor]} plots in a scan, expected {room_of(layout, sensor)} that belong to no track"
        )
        rejects.append(
            Reject(time_ns=now_ns, source=ids[sensor], reason="more than is used", count=count, sample=sample)
        )
        if sensor not in state.told:
            state.told.append(sensor)
            detail = f"sends more than is used: {sample}; tracks go first, then what is strongest"
            changes.append(Health(time_ns=now_ns, component=ids[sensor], state="overloaded", detail=detail))
    for sensor in [s for s in state.told if now_ns - state.over_ns[s] > OVER_NS]:
        state.told.remove(sensor)
        changes.append(
            Health(time_ns=now_ns, component=ids[sensor], state="ok", detail="all that it sends is used again")
        )
    state.left, state.most = {}, {}
    return rejects, changes
