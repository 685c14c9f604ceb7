"""What the others of a salvo tell of a track: rockets that fly together are of one kind, so their drag is alike.

A young track hardly knows its drag, and its place and speed are the less exact for it. Its neighbours' coefficients,
weighed by how well each is known and by how much they truly differ (random effects: DerSimonian and Laird, Controlled
Clinical Trials 7, 1986), predict its own. What is told of the track takes that in; the filter does not, so that
nobody's data are counted twice, and a track's plots are found as if it flew alone.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import BALLISTIC, CONFIRMED, FloatArray, IntArray
from opencram.tracking.bank import DEBRIS, MODEL, STATUS
from opencram.tracking.filters import STATES
from opencram.tracking.lifecycle import LN_BETA_SIGMA

NEAR_M = 1_500.0
"""Further apart, objects are no salvo, and do not touch each other's numbers."""
FEWEST_MATES, MOST_MATES = 2, 16
"""So many are asked at most, those first that began next after it: more would tell hardly more, and take longer."""
LEAST_KNOWN = 4.0
"""A mate's plots must have told this much, 1 / variance, of its ln(beta)."""
LEAST_SPREAD = 0.03
"""Objects of one lot differ by at least this much, one sigma of ln(beta) (assumed)."""
ALIEN_CHI2 = 9.0
"""A track whose own plots speak so clearly against its neighbours' drag is of another kind."""


@device
def _mates(whole: IntArray, mean: FloatArray, cov: FloatArray) -> FloatArray:
    """All that can be a mate, (k, 7): row, place (3), ln(beta), its variance and one over that."""
    found, n = np.empty((len(whole), 7)), 0
    for i in range(len(whole)):
        falls = whole[i, STATUS] == CONFIRMED and whole[i, MODEL] == BALLISTIC and whole[i, DEBRIS] == 0
        if not falls or 1.0 / cov[i, BALLISTIC, 6, 6] - 1.0 / LN_BETA_SIGMA**2 < LEAST_KNOWN:
            continue
        found[n, 0] = i
        for a in range(3):
            found[n, 1 + a] = mean[i, BALLISTIC, a]
        found[n, 4], found[n, 5] = mean[i, BALLISTIC, 6], cov[i, BALLISTIC, 6, 6]
        found[n, 6] = 1.0 / found[n, 5]
        n += 1
    return found[:n]


@device
def _expected(i: int, x: FloatArray, mates: FloatArray, near: IntArray, out: FloatArray) -> bool:
    """ln(beta) that its mates expect of track i and its variance, into `out` (2); whether there are enough of them."""
    n, total, first, second, squares = 0, 0.0, 0.0, 0.0, 0.0
    own = np.searchsorted(mates[:, 0], i)
    for step in range(len(mates)):
        k = (own + step) % len(mates)
        e = x[0] - mates[k, 1]
        if abs(e) > NEAR_M or mates[k, 0] == i:
            continue
        if e * e + (x[1] - mates[k, 2]) ** 2 + (x[2] - mates[k, 3]) ** 2 > NEAR_M * NEAR_M:
            continue
        near[n] = k
        n += 1
        ln_beta, known = mates[k, 4], mates[k, 6]
        total += known
        first += known * ln_beta
        second += known * ln_beta * ln_beta
        squares += known * known
        if n == MOST_MATES:
            break
    if n < FEWEST_MATES:
        return False
    excess = second - first * first / total - (n - 1)
    spread2 = max(excess / (total - squares / total), 0.0)
    total, first = 0.0, 0.0
    for m in range(n):
        known = 1.0 / (mates[near[m], 5] + spread2)
        total += known
        first += known * mates[near[m], 4]
    out[0], out[1] = first / total, max(spread2, LEAST_SPREAD * LEAST_SPREAD) + 1.0 / total
    return True


@kernel("void(int64[::1], int64[:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], float64[:,:,::1])")
def ask_mates(
    rows: IntArray, whole: IntArray, mean: FloatArray, cov: FloatArray, x: FloatArray, spread: FloatArray
) -> None:  # fmt: skip
    """Take in what its mates expect of each of the `rows` (k) that falls: its x (k, 7) and spread (k, 7, 7), in place.

    The arrays of all tracks are those of the bank.
    """
    mates, near = _mates(whole, mean, cov), np.empty(len(whole), np.int64)
    out, column = np.empty(2), np.empty(STATES)
    for r in range(len(rows)):
        i = rows[r]
        if whole[i, STATUS] != CONFIRMED or whole[i, MODEL] != BALLISTIC or whole[i, DEBRIS] != 0:
            continue
        if not _expected(i, mean[i, BALLISTIC], mates, near, out):
            continue
        off, var = out[0] - x[r, 6], out[1] + spread[r, 6, 6]
        sure = 1.0 / var
        if math.isnan(off) or off * off > ALIEN_CHI2 * var:
            continue
        for a in range(STATES):
            column[a] = spread[r, a, 6]
        for a in range(STATES):
            x[r, a] += column[a] * off / var
            for b in range(STATES):
                spread[r, a, b] -= column[a] * column[b] * sure
