"""When a track is born, believed and given up: a sequential likelihood-ratio test per track.

`score` is the logarithm of the odds that there is an object: it starts low at one plot, gains ln(P(detect) L / density
of false plots) with each plot used (Sittler 1964, Blackman and Popoli 1999 section 6.2) and loses ln(1 - P(detect))
with each look that should have seen the object and did not.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import CONFIRMED, OTHER, BoolArray, FloatArray, IntArray
from opencram.tracking.bank import APART, COUNT, DEBRIS, MODEL, SCORE, SHARED, STATUS, TIME, TWIN, Bank
from opencram.tracking.resolution import in_one_cell, seen_at

MAX_TRACKS = 10_000
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
SAME_CHI2 = 16.0
"""Two tracks of one object differ by more, in place or in velocity (3 each), once in 900 times."""
FAR_APART_M = 1_000.0
LOST_LOOKS = 2.5
"""A track that missed more looks than this is lost for now: at a chance of detection of 0.9 once in 1,000 times."""
TWIN_LOOKS, TWIN_SIGMAS = 12, 5.0
"""Of two confirmed tracks that agree, only one has had a plot in so many scans in a row: they are one. Two objects at a
chance of detection of 0.9 do so once in 10^9 times."""
SHARE_LOOKS = 5
"""Two tracks share their plots once they have for so many in a row: seldomer, one of the two was only missed."""
CELL_LOOKS = 10.0
"""Looks shared after which a track may have drifted from its object by one more resolution cell (assumed)."""
SIDE_BY_SIDE = 2
"""In so many scans each of two alike tracks must have had a plot of its own to be two."""
LONGEST_COAST_S = 3.0
COAST_LOOKS = 4.0
"""Without plots a track lives for 3 s or four looks of the radar that sees it most often, whichever is longer."""

VELOCITY_SIGMA_MPS = 350.0
LN_BETA_MEAN, LN_BETA_SIGMA = math.log(9_000.0), 0.5
"""Before anything is known: any rocket's velocity; the catalogue's shells and rockets lie 0.55 apart, one sigma."""
PRIOR = np.array([VELOCITY_SIGMA_MPS, LN_BETA_MEAN, LN_BETA_SIGMA])

DEBRIS_LN_BETA_MEAN, DEBRIS_LN_BETA_SIGMA = math.log(200.0), 1.0
"""Pieces of a broken rocket, from sheet metal to a motor tube: 70 to 550 kg/m2 within one sigma (assumed)."""
BREAKUP_KICK_MPS = 50.0
"""What a break-up may change a piece's velocity by, one sigma per axis (assumed)."""
FASTEST_PIECE_MPS, PIECE_SIGMAS, PIECE_PLOTS = 500.0, 2.0, 12
"""Pieces fly at most as fast as what broke up, near the end of its flight; a gun's rounds come out at 800 m/s and
more (assumed), as their first plots show."""


@device
def _distance2(off: FloatArray, spread: FloatArray) -> float:
    """Squared Mahalanobis distance of an offset (3) under a covariance (3, 3), by the adjugate."""
    a, b, c, d, e, f = spread[0, 0], spread[0, 1], spread[0, 2], spread[1, 1], spread[1, 2], spread[2, 2]
    ia, ib, ic = d * f - e * e, c * e - b * f, b * e - c * d
    jd, je, kf = a * f - c * c, b * c - a * e, a * d - b * b
    x, y, z = off[0], off[1], off[2]
    square = ia * x * x + jd * y * y + kf * z * z + 2.0 * (ib * x * y + ic * x * z + je * y * z)
    distance2: float = square / (a * ia + b * ib + c * ic)
    return distance2


@device
def _agree(
    mean_a: FloatArray, cov_a: FloatArray, mean_b: FloatArray, cov_b: FloatArray, dt_s: float, off: FloatArray,
    spread: FloatArray,
) -> tuple[bool, bool]:  # fmt: skip
    """Whether two tracks are in one place, and have one velocity, the second dt_s seconds older than the first."""
    far2 = 0.0
    for k in range(3):
        off[k] = mean_a[k] - mean_b[k] - dt_s * mean_b[k + 3]
        far2 += off[k] * off[k]
    if far2 > FAR_APART_M * FAR_APART_M:
        return False, False
    for i in range(3):
        for k in range(3):
            spread[i, k] = cov_a[i, k] + cov_b[i, k] + dt_s * dt_s * cov_b[i + 3, k + 3]
    at = _distance2(off, spread) < SAME_CHI2
    for i in range(3):
        off[i] = mean_a[i + 3] - mean_b[i + 3]
        for k in range(3):
            spread[i, k] = cov_a[i + 3, k + 3] + cov_b[i + 3, k + 3]
    return at, _distance2(off, spread) < SAME_CHI2


@kernel(
    "Tuple((int64[::1], boolean[::1]))(int64[::1], int64[::1], int64[:,::1], float64[:,::1], float64[:,:,::1],"
    "float64[:,:,:,::1], int64, float64[::1], float64[::1], float64[:,::1])"
)
def confirm(
    chosen: IntArray, partner: IntArray, whole: IntArray, real: FloatArray, mean: FloatArray, cov: FloatArray,
    update_ns: int, resolution: FloatArray, place: FloatArray, rot: FloatArray,
) -> tuple[IntArray, BoolArray]:  # fmt: skip
    """Confirm, in `whole`, the tracks (n) that just earned it; of those that are a confirmed one its row, else -1.

    Two tracks can share an object's first plots, above all where two radars see it. They are taken for one when place
    and velocity agree within the covariances of the loosest model, until they have been seen side by side, each with a
    plot of its own in one scan, which the bank counts.

    A track that is to be confirmed in the resolution cell of one that has just been lost, or that has long shared its
    plots with another, is that one, off by what the echo jumped: two objects seen as one have parted, or a wrong plot
    has bent it. The second array says which are so.
    """
    same, heir = np.full(len(chosen), -1, np.int64), np.zeros(len(chosen), np.bool_)
    inherited = np.zeros(len(chosen), np.bool_)
    off, spread, mine, other = np.empty(3), np.empty((3, 3)), np.empty(3), np.empty(3)
    for i in range(len(chosen)):
        ready = real[i, SCORE] >= CONFIRM_SCORE and whole[i, COUNT] >= CONFIRM_PLOTS
        if chosen[i] < 0 or whole[i, STATUS] == CONFIRMED or not ready:
            continue
        held = False
        for k in range(len(chosen)):
            if whole[k, STATUS] != CONFIRMED or inherited[k] or whole[i, APART] >= SIDE_BY_SIDE:
                continue
            dt_s, taken = (whole[i, TIME] - whole[k, TIME]) * 1e-9, chosen[k] >= 0 and partner[k] < 0
            at, speed = _agree(mean[i, OTHER], cov[i, OTHER], mean[k, OTHER], cov[k, OTHER], dt_s, off, spread)
            if not speed or (taken and not at):
                continue
            shares, lost = partner[k] >= 0, chosen[k] < 0 and dt_s * 1e9 > LOST_LOOKS * update_ns
            if lost or (shares and whole[k, SHARED] >= SHARE_LOOKS):
                seen_at(mean[i, OTHER], 0.0, place, rot, mine)
                seen_at(mean[k, OTHER], dt_s, place, rot, other)
                wide = 1.0 if lost else 1.0 + whole[k, SHARED] / CELL_LOOKS
                heir[i] = in_one_cell(mine, other, wide * resolution)
            heir[i] = heir[i] or (shares and at)
            if heir[i] or (at and not taken):
                same[i], inherited[k] = k, heir[i]
                break
            held = held or at
        if held and same[i] < 0:
            whole[i, APART] += 1
        elif same[i] < 0:
            whole[i, STATUS] = CONFIRMED
    return same, heir


@kernel("int64[::1](int64[::1], int64[::1], int64[:,::1], float64[:,:,::1], float64[:,:,:,::1])")
def twins(
    chosen: IntArray, partner: IntArray, whole: IntArray, mean: FloatArray, cov: FloatArray
) -> IntArray:  # fmt: skip
    """Of each confirmed track (n) that has long been one with an older one the row of that one, else -1.

    They are when they agree in place and velocity and never have a plot each in the same scan: two radars had each
    begun a track of its own, and agree by now, or one object was split in two for a while.
    """
    same, off, spread = np.full(len(chosen), -1, np.int64), np.empty(3), np.empty((3, 3))
    rows = np.flatnonzero(whole[:, STATUS] == CONFIRMED)
    # east of each, its rate, and how far off they may be, side by side: most pairs are told apart by these alone
    seen, east, time_ns = chosen[rows] >= 0, np.empty((len(rows), 4)), whole[rows, TIME]
    for r in range(len(rows)):
        x, p = mean[rows[r], OTHER], cov[rows[r], OTHER]
        east[r, 0], east[r, 1], east[r, 2], east[r, 3] = x[0], x[3], math.sqrt(p[0, 0]), math.sqrt(p[3, 3])
    for r in range(len(rows)):
        i = rows[r]
        if partner[i] >= 0:
            continue
        doubted = whole[i, TWIN] > 0
        for q in range(r):
            only_one, k = seen[r] != seen[q], rows[q]
            if not (only_one or doubted) or same[k] >= 0:
                continue
            dt_s = (time_ns[r] - time_ns[q]) * 1e-9
            wide = TWIN_SIGMAS * (east[r, 2] + east[q, 2] + abs(dt_s) * east[q, 3])
            if abs(east[r, 0] - east[q, 0] - dt_s * east[q, 1]) > wide:
                continue
            there, speed = _agree(mean[i, OTHER], cov[i, OTHER], mean[k, OTHER], cov[k, OTHER], dt_s, off, spread)
            if not (there and speed):
                continue
            if only_one:
                whole[i, TWIN] += 1
            elif seen[r]:
                whole[i, TWIN] = 0
            if whole[i, TWIN] >= TWIN_LOOKS:
                same[i] = k
            break
    return same


def as_debris(mean: FloatArray, cov: FloatArray, rows: BoolArray) -> None:
    """Of tracks just begun, mean (n, 3, 7) and cov (n, 3, 7, 7), let those in the mask be pieces, which drag stops."""
    mean[rows, :, 6] = DEBRIS_LN_BETA_MEAN
    cov[rows, :, 6, 6] = DEBRIS_LN_BETA_SIGMA**2


def acquit(bank: Bank) -> None:
    """What is surely faster than any piece is none, though it began where pieces were: the defence's own rounds do.

    They have the drag of anything again.
    """
    debris = np.flatnonzero((bank.whole[:, DEBRIS] == 1) & (bank.whole[:, COUNT] < PIECE_PLOTS))
    for row in debris.tolist():
        speed = float(np.linalg.norm(bank.mean[row, OTHER, 3:6]))
        sigma = math.sqrt(float(np.trace(bank.cov[row, OTHER, 3:6, 3:6])))
        if speed - PIECE_SIGMAS * sigma > FASTEST_PIECE_MPS:
            bank.whole[row, [DEBRIS, MODEL]] = 0, OTHER
            bank.mean[row, :, 6] = LN_BETA_MEAN
            bank.cov[row, :, 6, :] = 0.0
            bank.cov[row, :, :, 6] = 0.0
            bank.cov[row, :, 6, 6] = LN_BETA_SIGMA**2


def break_up(bank: Bank, rows: BoolArray) -> None:
    """Tracks whose object was broken up follow one of its pieces from now on: another drag, a kick, another name."""
    bank.whole[rows, DEBRIS] = 1
    for row in np.flatnonzero(rows):
        bank.mean[row, :, 6] = DEBRIS_LN_BETA_MEAN
        bank.cov[row, :, 6, :] = 0.0
        bank.cov[row, :, :, 6] = 0.0
        bank.cov[row, :, 6, 6] = DEBRIS_LN_BETA_SIGMA**2
        for axis in (3, 4, 5):
            bank.cov[row, :, axis, axis] += BREAKUP_KICK_MPS**2
