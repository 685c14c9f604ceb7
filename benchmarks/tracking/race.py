"""Trackers side by side on one raid: the time of each scan, and how far what they say is from what is there."""

import time
from collections.abc import Callable
from typing import Protocol

import msgspec
import numpy as np

from opencram.report.gospa import gospa
from opencram.tables import FloatArray
from peers.stone_soup import StoneSoup
from tracking.ours import Ours
from tracking.raid import SETTLED_S, Raid

CUT_OFF_M = 200.0
TURN = 10
"""Scans that a tracker takes before it is the next one's turn: all meet the same load of the machine."""
OURS, LEARNT, TUNED, STOCK = "opencram", "opencram, radar learnt", "Stone Soup, tuned", "Stone Soup, library parts"


class Tracker(Protocol):
    """What is raced."""

    def step(self) -> None:
        """Use the next scan: this is timed."""

    def positions(self) -> FloatArray:
        """Where its tracks are after that scan, (k, 3) m: this is not; called after every step."""


MAKERS: dict[str, Callable[[Raid], Tracker]] = {
    OURS: Ours,
    LEARNT: lambda raid: Ours(raid, stated=False),
    TUNED: lambda raid: StoneSoup(raid.time_s, raid.scans, tuned=True),
    STOCK: lambda raid: StoneSoup(raid.time_s, raid.scans, tuned=False),
}


class Row(msgspec.Struct, frozen=True):
    """One tracker on one raid, over the scans after SETTLED_S."""

    tracker: str
    objects: int
    false_plots: int
    raid: int
    ms: list[float]
    """Time of each scan."""
    gospa_m: float
    """Mean over the scans, p = 2, cut off at 200 m."""
    parts_m2: tuple[float, float, float]
    """Localisation, missed and false: their means over the scans; together the mean square of GOSPA."""
    found: float
    """Share of the rounds that have a track, mean over the scans."""
    false_tracks: float
    table_ms: float | None
    """Time to make a scan's table, not in `ms`; median, ours alone."""
    refused: int
    """Plots that began no track because there were too many already; ours alone."""


class Runner:
    """A tracker and its figures so far."""

    def __init__(self, name: str, raid: Raid) -> None:
        """Get ready for the first scan."""
        self.name, self.raid, self.tracker = name, raid, MAKERS[name](raid)
        self.ms: list[float] = []
        self.scores: list[tuple[float, ...]] = []

    def scan(self, number: int) -> None:
        """Time one scan, and score it."""
        began = time.perf_counter()
        self.tracker.step()
        ms = 1e3 * (time.perf_counter() - began)
        tracked = self.tracker.positions()
        if self.raid.time_s[number] < SETTLED_S:
            return
        self.ms.append(ms)
        result = gospa(tracked, self.raid.truth[number, :, :3], CUT_OFF_M)
        found = int((result.pairs >= 0).sum())
        self.scores.append((*result[:4], found / self.raid.objects, len(tracked) - found))

    def row(self) -> Row:
        """What came of it."""
        distance, *parts, found, false_tracks = np.mean(self.scores, axis=0).tolist()
        raid, refused, table_ms = self.raid, 0, None
        if isinstance(self.tracker, Ours):
            table_ms, refused = float(np.median(self.tracker.table_ms)), self.tracker.state.refused_births
        return Row(
            self.name, raid.objects, raid.false_plots, raid.number, self.ms, distance, tuple(parts), found,
            false_tracks, table_ms, refused,
        )  # fmt: skip


def race(raid: Raid, names: list[str], told: Callable[[int], None] = lambda scans: None) -> list[Row]:
    """Run these trackers over one raid in turns; `told` hears how many scans were taken since it last did."""
    runners = [Runner(name, raid) for name in names]
    numbers = range(len(raid.time_s))
    for first in numbers[::TURN]:
        turn = numbers[first : first + TURN]
        for runner in runners:
            for number in turn:
                runner.scan(number)
            told(len(turn))
    return [runner.row() for runner in runners]
