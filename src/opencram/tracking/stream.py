"""A burst of gunfire followed as one object: how likely a track is that, by its company, its age and its size.

Rounds come a tenth of a second apart along nearly one path. A track that slips from one to the next may seem to fly
like anything, with a good fit, so its flight says nothing. What tells it from a bomb is where it is: rounds that were
followed one by one are near it, from its beginning on, while a bomb soon flies alone or among its like; a slip seldom
lasts for seconds without company; a few rounds together are still smaller than a rocket; and over some seconds one
flight does not explain it as exactly as neighbouring plots agree, for its middle moves as rounds come and go.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.physics.kernel import device
from opencram.tables import BoolArray, FloatArray, IntArray
from opencram.tracking.fit import MEASURED, T_MISS, T_NOISE, T_PARTS
from opencram.tracking.size import Z_COUNT, fading_db2, off_db, size_evidence

STREAM_RCS_DB, STREAM_SIGMA_DB = -21.0, 2.0
"""A stream shows one round at a time, of -33 dB m2, to some twenty of them as one echo: so large it is at most."""
IMITATED_MPS = 600.0
"""The launch speeds that a stream seems to have are spread over this: it seldom seems to have a narrow class's."""
SPEED_BLUR = 0.1
"""Both ends of a class's launch speeds are blurred by this share of them together."""
STREAM_BEGINS = 6.0
"""Log odds, at its first plot, that what is not yet known to fly alone is a stream, as long as its size may be one's:
where no cross-section is measured the odds begin even, for a warning must not wait for what will not be known;"""
FALL_PER_S, RISE_PER_S = 2.0, 3.0
"""and by how much they change with each second alone, or in the company of rounds."""
LEAST_ODDS, MOST_ODDS = -8.0, 10.0
ROUND_AT = 0.9
"""What is a round with this weight makes company."""
COMPANY_M, COMPANY_NS = 400.0, 3_000_000_000
"""Rounds seen this near and not longer ago: a burst of 5 s, high up where rounds fly at 100 m/s, is 500 m long."""
LONGEST_GAP_S = 1.0
"""A second without plots, and more, tells no more than this."""
MOST_MISFIT = 6.0
"""A flight that does not explain its plots says no more than this: a radar that is off its place does as much."""
S_ODDS, S_LAST_S, S_MISFIT, STREAM = range(4)
"""Of each slot the log odds of a stream by its company and its age, when they last changed, in seconds since its first
plot, and those that no flight explained its plots: a fit that begins anew forgets the plots, but not them."""


@dataclass
class Rounds:
    """The tracks that were rounds of gunfire lately: their numbers, newest times (n,) and places (n, 3)."""

    track: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    time_ns: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    pos_enu_m: FloatArray = field(default_factory=lambda: np.empty((0, 3)))

    def note(self, track: IntArray, time_ns: IntArray, pos_enu_m: FloatArray) -> None:
        """Take in the rounds of a scan and forget those of long ago."""
        if not len(track) and not len(self.track):
            return
        newest_ns = max(int(times.max()) for times in (time_ns, self.time_ns) if len(times))
        kept = ~np.isin(self.track, track) & (self.time_ns > newest_ns - COMPANY_NS)
        self.track = np.concatenate([self.track[kept], track])
        self.time_ns = np.concatenate([self.time_ns[kept], time_ns])
        self.pos_enu_m = np.concatenate([self.pos_enu_m[kept], pos_enu_m])

    def near(self, time_ns: IntArray, pos_enu_m: FloatArray) -> BoolArray:
        """Which places (n, 3) at times (n,) have rounds near."""
        off = pos_enu_m[:, None] - self.pos_enu_m
        near = off[..., 0] ** 2 + off[..., 1] ** 2 + off[..., 2] ** 2 < COMPANY_M**2
        near &= time_ns[:, None] - self.time_ns < COMPANY_NS
        return np.asarray(near.any(axis=1), np.bool_)


def keep_company(stream: FloatArray, slots: IntArray, since_s: FloatArray, near: BoolArray) -> None:
    """Bring `stream` (all, STREAM) of the `slots` (n,) up to `since_s` (n,), with rounds `near` (n,) them or not."""
    passed_s = np.clip(since_s - stream[slots, S_LAST_S], 0.0, LONGEST_GAP_S)
    odds = stream[slots, S_ODDS] + passed_s * np.where(near, RISE_PER_S, -FALL_PER_S)
    stream[slots, S_ODDS] = np.clip(odds, LEAST_ODDS, MOST_ODDS)
    stream[slots, S_MISFIT] = np.maximum(stream[slots, S_MISFIT] - FALL_PER_S * passed_s, 0.0)
    stream[slots, S_LAST_S] = np.maximum(since_s, stream[slots, S_LAST_S])


@device
def stream_evidence(size: FloatArray) -> float:
    """As `size_evidence` for a stream, whose size is anything up to that of many rounds.

    What is smaller than one round is nothing that was fired, but a chain of echoes all the same, of rain as a rule.
    """
    if size[Z_COUNT] < 1.0:
        return 0.0
    beyond_db = max(off_db(size, STREAM_RCS_DB), 0.0)
    return float(-0.5 * beyond_db**2 / (STREAM_SIGMA_DB**2 + fading_db2(size)))


@device
def misfit(told: FloatArray, scale: FloatArray) -> float:
    """Log odds that the plots are not of one flight: how much larger their misses are than the radar's errors.

    Those are known from how well neighbours agree (T_NOISE). By each measured quantity it is the generalised
    likelihood ratio of an unknown variance against that one: (s - n - n ln(s / n)) / 2 for n misses whose squares sum
    to s. `told` (TOLD) and `scale` (4) are the fit's.
    """
    total = 0.0
    for m in range(MEASURED):
        parts = told[T_PARTS + m]
        missed = scale[m] * told[T_MISS + m] / max(told[T_NOISE + m], 1e-9)
        if parts >= 1.0 and missed > parts:
            total += 0.5 * (missed - parts - parts * math.log(missed / parts))
    return total


@device
def take_for_stream(
    ln_odds: float, size: FloatArray, rcs_db: FloatArray, slowest_mps: FloatArray, fastest_mps: FloatArray,
    gunfire: int, weight: FloatArray,
) -> None:  # fmt: skip
    """Give `gunfire` of each other class's weight (c) the share that a stream would have had.

    How well the plots fit a class says nothing against a stream: only size does, the odds of there being one, and how
    narrow the class's launch speeds are.
    """
    moved, known = 0.0, ln_odds if size[Z_COUNT] >= 1.0 else ln_odds - STREAM_BEGINS
    for c in range(len(weight)):
        if c != gunfire and weight[c] > 0.0:
            odds = known + stream_evidence(size) - size_evidence(size, rcs_db[c])
            span_mps = fastest_mps[c] - slowest_mps[c] + SPEED_BLUR * fastest_mps[c]
            share = weight[c] / (1.0 + math.exp(-odds) * IMITATED_MPS / span_mps)
            moved += share
            weight[c] -= share
    weight[gunfire] += moved
