"""When a track is born, believed and given up: a sequential likelihood-ratio test per track.

`score` is the logarithm of the odds that there is an object: it starts low at one plot, gains ln(P(detect) L / density
of false plots) with each plot used (Sittler 1964, Blackman and Popoli 1999 section 6.2) and loses ln(1 - P(detect))
with each look that should have seen the object and did not.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.tables import CONFIRMED, OTHER, BoolArray, FloatArray, IntArray
from opencram.tracking.filters import MODELS, STATES
from opencram.tracking.noise import as_stated, no_plots

MAX_TRACKS = 2_000
"""More tracks than this are not begun: the oldest stay, the newest plots wait for a place and are counted."""

BIRTH_SCORE = -10.0
"""A single plot is an object with odds of e-10: some 200,000 false plots an hour, less than ten objects."""
CONFIRM_SCORE = 12.0
"""Wald's bound on a false track's ever reaching it is e-22 per birth: 5e-5 an hour at 200,000 births an hour."""
CONFIRM_PLOTS = 4
"""Three plots always fit some parabola; the fourth is the first that tests it."""
HIGHEST_SCORE = 25.0
"""More evidence than this is not saved up, so that a track that ended is given up about a second later."""
TENTATIVE_DROP = 7.0
CONFIRMED_DROP = 22.0
"""How far the score may fall below its highest before the track is given up: 3 or 10 looks missed in a row at 0.9."""
YOUNG_PLOTS = 10
"""A confirmed track is held against its elders until it has this many plots."""
SAME_CHI2 = 16.0
"""Two tracks of one object differ by more, in place or in velocity (3 each), once in 900 times."""
FAR_APART_M = 1_000.0
LONGEST_COAST_S = 3.0
COAST_LOOKS = 4.0
"""Without plots a track lives for 3 s or four looks of the radar that sees it most often, whichever is longer."""

VELOCITY_SIGMA_MPS = 350.0
LN_BETA_MEAN, LN_BETA_SIGMA = math.log(9_000.0), 0.8
"""Before anything is known: any rocket's velocity, any ballistic coefficient from 60 mm mortar to 240 mm rocket."""
PRIOR = np.array([VELOCITY_SIGMA_MPS, LN_BETA_MEAN, LN_BETA_SIGMA])

DEBRIS_LN_BETA_MEAN, DEBRIS_LN_BETA_SIGMA = math.log(200.0), 1.0
"""Pieces of a broken rocket, from sheet metal to a motor tube: 70 to 550 kg/m2 within one sigma (assumed)."""
DEBRIS_PRIOR = np.array([VELOCITY_SIGMA_MPS, DEBRIS_LN_BETA_MEAN, DEBRIS_LN_BETA_SIGMA])
BREAKUP_KICK_MPS = 50.0
"""What a break-up may change a piece's velocity by, one sigma per axis (assumed)."""


def _floats(*tail: int) -> FloatArray:
    return np.empty((0, *tail))


def _ints() -> IntArray:
    return np.empty(0, np.int64)


@dataclass
class Bank:
    """All live tracks, one row each, in order of birth."""

    track: IntArray = field(default_factory=_ints)
    born_ns: IntArray = field(default_factory=_ints)
    time_ns: IntArray = field(default_factory=_ints)
    n_plots: IntArray = field(default_factory=_ints)
    status: IntArray = field(default_factory=_ints)
    model: IntArray = field(default_factory=_ints)
    mean: FloatArray = field(default_factory=lambda: _floats(MODELS, STATES))
    cov: FloatArray = field(default_factory=lambda: _floats(MODELS, STATES, STATES))
    mode: FloatArray = field(default_factory=lambda: _floats(MODELS))
    score: FloatArray = field(default_factory=_floats)
    best: FloatArray = field(default_factory=_floats)
    debris: BoolArray = field(default_factory=lambda: np.empty(0, np.bool_))
    latest: FloatArray = field(default_factory=lambda: no_plots(0))
    noise: FloatArray = field(default_factory=lambda: as_stated(0))
    """How the radar's errors compare with those stated, as `noise` has it."""

    def __len__(self) -> int:
        return len(self.track)

    def keep(self, rows: BoolArray) -> None:
        """Forget all tracks but these."""
        for name in self.__dataclass_fields__:
            setattr(self, name, getattr(self, name)[rows])

    def append(self, other: "Bank") -> None:
        """Add the rows of another bank behind these."""
        for name in self.__dataclass_fields__:
            setattr(self, name, np.concatenate([getattr(self, name), getattr(other, name)]))


def hit(bank: Bank, rows: IntArray, gain: FloatArray) -> None:
    """Tracks that used a plot: their score grows, and enough of it makes a tentative track confirmed."""
    bank.score[rows] = np.minimum(bank.score[rows] + gain, HIGHEST_SCORE)
    bank.best[rows] = np.maximum(bank.best[rows], bank.score[rows])
    bank.n_plots[rows] += 1
    believed = (bank.score[rows] >= CONFIRM_SCORE) & (bank.n_plots[rows] >= CONFIRM_PLOTS)
    bank.status[rows[believed]] = CONFIRMED


def singles(bank: Bank, rows: IntArray) -> BoolArray:
    """Which tracks (n,) to keep: none that follows what an older confirmed track follows; `rows` just used a plot.

    Two tentative tracks can share an object's first plots, above all where two radars see it. They are one when place
    and velocity agree within their covariances at the same time.
    """
    single = np.ones(len(bank), np.bool_)
    fresh = rows[(bank.status[rows] == CONFIRMED) & (bank.n_plots[rows] <= YOUNG_PLOTS)]
    for row in fresh.tolist():
        older = np.flatnonzero((bank.status == CONFIRMED) & (bank.track < bank.track[row]) & single)
        single[row] = not any(_agree(bank, row, int(other)) for other in older)
    return single


def _agree(bank: Bank, a: int, b: int) -> bool:
    """Whether two tracks are in one place with one velocity, by the loosest model's means and covariances."""
    dt_s = float(bank.time_ns[a] - bank.time_ns[b]) * 1e-9
    mean, cov = bank.mean[:, OTHER], bank.cov[:, OTHER]
    apart = mean[a, :3] - mean[b, :3] - dt_s * mean[b, 3:6]
    if float(apart @ apart) > FAR_APART_M**2:
        return False
    spread = cov[a, :3, :3] + cov[b, :3, :3] + dt_s**2 * cov[b, 3:6, 3:6]
    turn = mean[a, 3:6] - mean[b, 3:6]
    faster = cov[a, 3:6, 3:6] + cov[b, 3:6, 3:6]
    return bool(apart @ np.linalg.solve(spread, apart) < SAME_CHI2 and turn @ np.linalg.solve(faster, turn) < SAME_CHI2)


def break_up(bank: Bank, rows: BoolArray) -> None:
    """Tracks whose object was broken up follow one of its pieces from now on: another drag, a kick, another name."""
    bank.debris |= rows
    for row in np.flatnonzero(rows):
        bank.mean[row, :, 6] = DEBRIS_LN_BETA_MEAN
        bank.cov[row, :, 6, :] = 0.0
        bank.cov[row, :, :, 6] = 0.0
        bank.cov[row, :, 6, 6] = DEBRIS_LN_BETA_SIGMA**2
        for axis in (3, 4, 5):
            bank.cov[row, :, axis, axis] += BREAKUP_KICK_MPS**2
