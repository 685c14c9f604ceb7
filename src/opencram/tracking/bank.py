"""All live tracks, one row each, in order of birth, in few arrays: rows come and go with every scan."""

from dataclasses import dataclass, field

import numpy as np

from opencram.tables import BoolArray, FloatArray, IntArray
from opencram.tracking.filters import MODELS, STATES
from opencram.tracking.noise import as_stated, no_plots

TRACK, BORN, TIME, COUNT, STATUS, MODEL, DEBRIS, APART, TWIN, FED, SHARED, PARTNER, MOVED = range(13)
FLEW, FELL, AMONG, WHOLE = range(13, 17)
"""Columns of `Bank.whole`: track number; times of its first and newest plot (ns); plots of its own; status and motion
model, as in `tables`; whether it is debris; in how many scans it was seen beside an older track that it agrees with,
and in how many in a row only one of the two had a plot; the sensor of its newest plot, by whose looks it is given up,
for another may not see it at all; how many of its newest plots it shared with another track, and with which, once that
has lasted (0: with none); whether it has been seen to move; for how long (ns) in all it has flown without falling, and
how long it has now been falling; whether it began among flyers or has long shared its plots with one."""
SCORE, BEST, REAL = range(3)
"""Columns of `Bank.real`: logarithm of the odds that there is an object, and the highest that it has been."""


@dataclass
class Bank:
    """The tracks, (n, ...) each; a filter's mean, covariance and model weights as `filters` has them."""

    whole: IntArray = field(default_factory=lambda: np.empty((0, WHOLE), np.int64))
    real: FloatArray = field(default_factory=lambda: np.empty((0, REAL)))
    mean: FloatArray = field(default_factory=lambda: np.empty((0, MODELS, STATES)))
    cov: FloatArray = field(default_factory=lambda: np.empty((0, MODELS, STATES, STATES)))
    mode: FloatArray = field(default_factory=lambda: np.empty((0, MODELS)))
    latest: FloatArray = field(default_factory=lambda: no_plots(0))
    noise: FloatArray = field(default_factory=lambda: as_stated(0))
    """How the radar's errors compare with those stated, as `noise` has it."""

    def __len__(self) -> int:
        return len(self.whole)

    @property
    def track(self) -> IntArray:
        """Track numbers (n,)."""
        return self.whole[:, TRACK]

    @property
    def status(self) -> IntArray:
        """TENTATIVE or CONFIRMED, (n,)."""
        return self.whole[:, STATUS]

    @property
    def time_ns(self) -> IntArray:
        """Times of the newest plots, (n,)."""
        return self.whole[:, TIME]

    def keep(self, rows: BoolArray) -> None:
        """Forget all tracks but these."""
        kept = np.flatnonzero(rows)
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name)[kept])

    def append(self, other: "Bank") -> None:
        """Add the rows of another bank behind these."""
        for name in self.__dataclass_fields__:
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))

    def take_over(self, row: int, heir: int) -> None:
        """A track goes on as another one, that is the same object: with its number and name, in the other's state."""
        for name in ("mean", "cov", "mode", "latest", "noise"):
            getattr(self, name)[row] = getattr(self, name)[heir]
        self.whole[row, [TIME, FED, FLEW, FELL, AMONG]] = self.whole[heir, [TIME, FED, FLEW, FELL, AMONG]]
        self.whole[row, COUNT] += self.whole[heir, COUNT]
