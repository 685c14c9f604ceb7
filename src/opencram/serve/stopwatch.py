"""How long each part of a tick takes: histograms that cost a look at the clock per part."""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable

from opencram.serve.link import StageTimes

BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper ends of the classes; one more takes all that is longer."""


class Stopwatch:
    """`start` at the beginning of a tick, then `lap` with the name of the part that has just ended."""

    def __init__(self, now_s: Callable[[], float] = time.perf_counter) -> None:
        self._now_s = now_s
        self._from_s = now_s()
        self._counts: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}

    def start(self) -> None:
        """A tick begins."""
        self._from_s = self._now_s()

    def lap(self, part: str) -> None:
        """A part has ended, and the next begins."""
        now_s = self._now_s()
        self.add(part, now_s - self._from_s)
        self._from_s = now_s

    def add(self, part: str, took_s: float) -> None:
        """So long it took."""
        counts = self._counts.setdefault(part, [0] * (len(BOUNDS_S) + 1))
        counts[bisect_left(BOUNDS_S, took_s)] += 1
        self._sums_s[part] = self._sums_s.get(part, 0.0) + took_s

    def times(self) -> tuple[StageTimes, ...]:
        """What has come together since the start."""
        return tuple(
            StageTimes(stage=part, counts=tuple(counts), sum_s=self._sums_s[part])
            for part, counts in self._counts.items()
        )
