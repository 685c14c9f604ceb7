"""Which plots of two radars are of common targets, while the radars' offsets are not known yet: they vote.

A track of one radar and plots of another that go along with it, as far off as offsets may be at all, are a witness: if
they are of one object, the offsets are these. Witnesses of the truth agree; those of mistaken pairs seldom do. In a
ripple of rockets each is taken for the next when the clocks are thought off by the gap between two launches, but gaps
differ, paths scatter, and the last one has no next. Agreement is counted as a Bayes factor: how much likelier a
witness's testimony is given the others' than if it could be any that is possible. Of an object only its best witness
counts, but one that is followed for long is a new object in each chapter of CHAPTER_NS.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.tables import BoolArray, FloatArray, IntArray
from opencram.tracking.sights import OFFSETS

LEAST_SHARE = 1e-2
"""A direction in which the plots tell less than this share of what was known beforehand counts as not measured."""
POSSIBLE_CHI2 = 30.0
"""A witness whose testimony is further from what is possible is of two objects."""
WITNESSES, SEEDS = 40, 24
"""So many witnesses are heard, the best informed first, and so many of them begin a hypothesis each."""
ROUNDS = 3
AGREES = 2.0
"""Logarithm of the Bayes factor above which a witness agrees;"""
ELECTED, LEAD = 20.0, 10.0
"""that of all who agree together, and by how much it must exceed that of the best who contradict: e10 is 20,000."""
SIGHTINGS = 3
"""Objects that must agree."""
CHAPTER_NS, CHAPTER_BLOCKS = 20_000_000_000, 5
"""A chapter counts beside another of the same object where it has so many blocks."""


@dataclass
class Pair:
    """A track of sensor `a`, plots of sensor `b` that may be of the same object, and what they tell if they are."""

    track: int
    sensor_a: int
    sensor_b: int
    apart_m: FloatArray
    """(3): how far the plots were from the track in the newest block, along range, azimuth and elevation of b."""
    chapter: int = 0
    newest_ns: int = 0
    blocks: int = 0
    settled: bool = False
    """Whether it was elected: what it tells is known already, and from now on it is believed at once."""
    info: FloatArray = field(default_factory=lambda: np.zeros((2 * OFFSETS, 2 * OFFSETS)))
    vec: FloatArray = field(default_factory=lambda: np.zeros(2 * OFFSETS))


@dataclass
class Testimony:
    """Forms (...) as measurements y = rows b + noise of variance `var`, in the directions that each tells of.

    What is not `told` is y = 0, rows = 0 and var = 1, which changes neither a distance nor a density.
    """

    y: FloatArray
    rows: FloatArray
    var: FloatArray
    told: BoolArray

    def take(self, which: IntArray) -> "Testimony":
        """Some of them, without the directions that none of these tells of."""
        kept = self.told[which].any(axis=0)
        rows = np.ascontiguousarray(self.rows[which][:, kept])
        return Testimony(self.y[which][:, kept], rows, self.var[which][:, kept], self.told[which][:, kept])

    def miss(self, mean: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Squared distances from offsets believed (..., 8), and the logarithms of the densities there (but for a
        constant)."""
        spread = self.rows @ cov @ np.swapaxes(self.rows, -1, -2) + self.var[..., None] * np.eye(self.var.shape[-1])
        off = self.y - (self.rows @ mean[..., None])[..., 0]
        chi2, ln_det = _eliminated(spread, off)
        return chi2, -0.5 * (chi2 + ln_det)

    def evidence(self, mean: FloatArray, cov: FloatArray) -> float:
        """The logarithm of the density of all of them (n) together, as the chain rule of their misses gives it."""
        off = self.y - self.rows @ mean
        weighed = self.rows / self.var[..., None]
        info, vec = np.einsum("nki,nkj->ij", weighed, self.rows), np.einsum("nki,nk->i", weighed, off)
        grown = np.eye(len(mean)) + info @ cov
        _, ln_det = np.linalg.slogdet(grown)
        chi2 = float((off**2 / self.var).sum() - vec @ cov @ np.linalg.solve(grown, vec))
        return -0.5 * (chi2 + float(np.log(self.var).sum() + ln_det))


def _eliminated(spread: FloatArray, off: FloatArray) -> tuple[FloatArray, FloatArray]:
    """off' spread^-1 off and ln det spread of stacked (..., k, k), (..., k), which are changed.

    Gauss's elimination of all at once: ten times as fast as a call of LAPACK for each.
    """
    chi2, ln_det = np.zeros(off.shape[:-1]), np.zeros(off.shape[:-1])
    for k in range(off.shape[-1]):
        pivot, here = spread[..., k, k], off[..., k]
        chi2 += here**2 / pivot
        ln_det += np.log(pivot)
        share = spread[..., k + 1 :, k] / pivot[..., None]
        off[..., k + 1 :] -= share * here[..., None]
        spread[..., k + 1 :, k + 1 :] -= share[..., None] * spread[..., None, k, k + 1 :]
    return chi2, ln_det


def testimony(info: FloatArray, vec: FloatArray, sigma: FloatArray) -> Testimony:
    """Forms (..., 8, 8), (..., 8) in the directions that they tell of, `sigma` (8) being what was known of each."""
    value, vector = np.linalg.eigh(sigma[:, None] * info * sigma)
    told = value > LEAST_SHARE
    rows, var = np.swapaxes(vector, -1, -2), 1.0 / np.where(told, value, 1.0)
    y = np.where(told, (rows @ (sigma * vec)[..., None])[..., 0] * var, 0.0)
    return Testimony(y, np.where(told[..., None], rows / sigma, 0.0), var, told)


def updated(mean: FloatArray, cov: FloatArray, info: FloatArray, vec: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What is believed (8), (8, 8) after forms (...): a Kalman update in information form, which info may be singular
    in."""
    gain = cov @ np.linalg.inv(np.eye(len(mean)) + info @ cov)
    after = cov - gain @ info @ cov
    moved = (gain @ (vec - info @ mean)[..., None])[..., 0]
    return mean + moved, 0.5 * (after + np.swapaxes(after, -1, -2))


@dataclass
class Verdict:
    """The pairs that agree, the Bayes factor of their agreement (its logarithm), and that of those who contradict."""

    agreed: IntArray
    strength: float
    rival: float


def vote(pairs: list[Pair], mean: FloatArray, cov: FloatArray, sigma: FloatArray) -> Verdict:
    """The verdict among the pairs of two sensors; `sigma` (8) is what is possible, (mean, cov) what is believed."""
    if not pairs:
        return Verdict(np.zeros(0, np.int64), -math.inf, -math.inf)
    info, vec = np.stack([p.info for p in pairs]), np.stack([p.vec for p in pairs])
    told = testimony(info, vec, sigma)
    chi2, ln = told.miss(np.zeros(len(sigma)), np.diag(sigma**2))
    numbers = told.told.sum(axis=1)
    # what is possible is taken as spread evenly, at its density one sigma from the middle: objects are where they are
    even = ln + 0.5 * (chi2 - numbers)
    able = np.flatnonzero((chi2 < POSSIBLE_CHI2) & (numbers > 0))
    best = np.argsort((np.log(told.var).sum(axis=1) - numbers)[able], kind="stable")
    able = able[best][:WITNESSES]
    agree = _agreeing(told.take(able), even[able], info[able], vec[able], mean, cov)
    heard = []
    for seed, row in enumerate(agree):
        agreed = [seed, *(i for i in np.flatnonzero(row).tolist() if i != seed)]
        counted = _one_each(able[agreed].tolist(), pairs)
        strength = told.take(counted).evidence(mean, cov) - float(even[counted].sum())
        heard.append((strength, sorted(able[agreed].tolist()), int(able[seed])))
    if not heard:
        return Verdict(np.zeros(0, np.int64), -math.inf, -math.inf)
    heard.sort(key=lambda h: (-h[0], h[1]))
    strength, agreed, _ = heard[0]
    against = [s for s, _, seed in heard[1:] if seed not in agreed]
    return Verdict(np.array(agreed, np.int64), strength, max(against, default=0.0))


def _agreeing(
    told: Testimony, even: FloatArray, info: FloatArray, vec: FloatArray, mean: FloatArray, cov: FloatArray
) -> BoolArray:
    """Who of n witnesses agrees with each of the first SEEDS of them (seeds, n), once all who agree are believed."""
    n = len(even)
    agree, open_ = np.eye(min(n, SEEDS), n, dtype=np.bool_), np.arange(min(n, SEEDS))
    for _ in range(ROUNDS):
        share = agree[open_].astype(np.float64)
        at, spread = updated(mean, cov, np.einsum("sn,nij->sij", share, info), share @ vec)
        _, ln = told.miss(at[:, None], spread[:, None])
        found = ln - even > AGREES
        found[np.arange(len(open_)), open_] = True
        moved = (found != agree[open_]).any(axis=1)
        agree[open_] = found
        open_ = open_[moved]
        if not len(open_):
            break
    return agree


def _one_each(witnesses: list[int], pairs: list[Pair]) -> IntArray:
    """Of each object's chapter the first witness: what others say of it may be said of the same plots."""
    first: dict[tuple[int, int], int] = {}
    for i in witnesses:
        first.setdefault((pairs[i].track, pairs[i].chapter), i)
    return np.array(list(first.values()), np.int64)


def sightings(pairs: list[Pair]) -> int:
    """How many objects these pairs are of, one followed for long counting for more."""
    chapters: dict[int, dict[int, int]] = {}
    for p in pairs:
        own = chapters.setdefault(p.track, {})
        own[p.chapter] = max(own.get(p.chapter, 0), p.blocks)
    return sum(max(sum(n >= CHAPTER_BLOCKS for n in own.values()), 1) for own in chapters.values())
