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

from opencram.tables import FloatArray, IntArray
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
    """A form as a measurement y = rows b + noise of variance `var`, only in the directions that it tells of."""

    y: FloatArray
    rows: FloatArray
    var: FloatArray

    def miss(self, mean: FloatArray, cov: FloatArray) -> tuple[float, float]:
        """Squared distance from offsets believed, and the logarithm of the density there (but for a constant)."""
        spread = self.rows @ cov @ self.rows.T + np.diag(self.var)
        off = self.y - self.rows @ mean
        chi2 = float(off @ np.linalg.solve(spread, off))
        _, ln_det = np.linalg.slogdet(spread)
        return chi2, -0.5 * (chi2 + float(ln_det))


def testimony(info: FloatArray, vec: FloatArray, sigma: FloatArray) -> Testimony:
    """A form (8, 8), (8) in the directions that it tells of, `sigma` (8) being what was known of each offset."""
    scaled = sigma[:, None] * info * sigma
    value, vector = np.linalg.eigh(scaled)
    told = value > LEAST_SHARE
    value, vector = value[told], vector[:, told]
    return Testimony(vector.T @ (sigma * vec) / value, vector.T / sigma, 1.0 / value)


def updated(mean: FloatArray, cov: FloatArray, info: FloatArray, vec: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What is believed (8), (8, 8) after a form: a Kalman update in information form, which info may be singular in."""
    gain = cov @ np.linalg.inv(np.eye(len(mean)) + info @ cov)
    after = cov - gain @ info @ cov
    return mean + gain @ (vec - info @ mean), 0.5 * (after + after.T)


@dataclass
class Verdict:
    """The pairs that agree, the Bayes factor of their agreement (its logarithm), and that of those who contradict."""

    agreed: IntArray
    strength: float
    rival: float


def vote(pairs: list[Pair], mean: FloatArray, cov: FloatArray, sigma: FloatArray) -> Verdict:
    """The verdict among the pairs of two sensors; `sigma` (8) is what is possible, (mean, cov) what is believed."""
    told = [testimony(p.info, p.vec, sigma) for p in pairs]
    wide = [t.miss(np.zeros(len(sigma)), np.diag(sigma**2)) for t in told]
    # what is possible is taken as spread evenly, at its density one sigma from the middle: objects are where they are
    even = [ln + 0.5 * (chi2 - len(t.y)) for t, (chi2, ln) in zip(told, wide, strict=True)]
    able = [i for i in range(len(pairs)) if wide[i][0] < POSSIBLE_CHI2 and len(told[i].y)]
    able.sort(key=lambda i: (float(np.log(told[i].var).sum()) - len(told[i].var), i))
    able = able[:WITNESSES]
    heard = []
    for seed in able[:SEEDS]:
        agreed, strength = _heard(pairs, told, even, able, seed, mean, cov)
        heard.append((strength, agreed, seed))
    if not heard:
        return Verdict(np.zeros(0, np.int64), -math.inf, -math.inf)
    heard.sort(key=lambda h: (-h[0], h[1]))
    strength, agreed, _ = heard[0]
    against = [s for s, _, seed in heard[1:] if seed not in agreed]
    return Verdict(np.array(agreed, np.int64), strength, max(against, default=0.0))


def _heard(
    pairs: list[Pair], told: list[Testimony], even: list[float], able: list[int], seed: int,
    mean: FloatArray, cov: FloatArray,
) -> tuple[list[int], float]:  # fmt: skip
    """Who agrees with one witness, and how strongly all of them agree with each other."""
    agreed = [seed]
    for _ in range(ROUNDS):
        at = together([pairs[i] for i in agreed], mean, cov)
        found = [i for i in able if i == seed or told[i].miss(*at)[1] - even[i] > AGREES]
        if found == agreed:
            break
        agreed = found
    # one after the other, each by those before it: the chain rule of what they say together
    strength, at, counted = 0.0, (mean, cov), set[tuple[int, int]]()
    for i in [seed, *(i for i in agreed if i != seed)]:
        if (pairs[i].track, pairs[i].chapter) not in counted:
            strength += told[i].miss(*at)[1] - even[i]
            at = updated(*at, pairs[i].info, pairs[i].vec)
            counted.add((pairs[i].track, pairs[i].chapter))
    return agreed, strength


def together(pairs: list[Pair], mean: FloatArray, cov: FloatArray) -> tuple[FloatArray, FloatArray]:
    """What is believed once all of these pairs are."""
    info, vec = sum(p.info for p in pairs), sum(p.vec for p in pairs)
    return updated(mean, cov, np.asarray(info), np.asarray(vec))


def sightings(pairs: list[Pair]) -> int:
    """How many objects these pairs are of, one followed for long counting for more."""
    chapters: dict[int, dict[int, int]] = {}
    for p in pairs:
        own = chapters.setdefault(p.track, {})
        own[p.chapter] = max(own.get(p.chapter, 0), p.blocks)
    return sum(max(sum(n >= CHAPTER_BLOCKS for n in own.values()), 1) for own in chapters.values())
