"""What a track may be: one Gaussian per class, weighed by how well the class explains all that is known.

Each fit runs under a wide prior of ln(beta). For a class that prior is taken out and the class's own put in, which is a
Kalman update of that parameter with a made-up measurement. The evidence for the class is its prior, times how likely
the plots are under its drag curve, times the density of the fit's ln(beta) under the class's spread, of the speed and
the elevation at the launch under its span, of the mean radar cross-section, and of whether thrust was seen.

The most likely classes are flown to the ground once after each renewal of the fit; in between their impact points move
with the parameters along the derivatives.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from opencram.physics.flight import LONGEST_FLIGHT_S, accel, landing
from opencram.physics.kernel import device, kernel
from opencram.physics.place import E_WIND_E, E_WIND_N
from opencram.physics.threats import Threat, catalogue
from opencram.tables import FloatArray, IntArray
from opencram.tracking.evidence import (
    C_BURN_S,
    C_FASTEST,
    C_LN_BETA,
    C_LN_PRIOR,
    C_RCS,
    C_SHAPE,
    C_SIGMA,
    C_SLOWEST,
    CLASS,
    O_CLIMB,
    O_SLOWING,
    drag_evidence,
    late_boost,
    launch_evidence,
    most_launch_evidence,
)
from opencram.tracking.fit import BIAS, BIASED, FLOWN, PARAMETERS, T_BIAS, T_LOG_LIKE
from opencram.tracking.follow import B_BOOST, B_DEBRIS, B_DONE
from opencram.tracking.lifecycle import DEBRIS_LN_BETA_MEAN, DEBRIS_LN_BETA_SIGMA, LN_BETA_MEAN
from opencram.tracking.size import size_evidence
from opencram.tracking.stream import MOST_MISFIT, S_MISFIT, S_ODDS, misfit, take_for_stream

X_TIME, X_COV, X_TIME_SIGMA, X_LAUNCH, X_LAUNCH_COV, X_LN_BETA, MIXED = 2, 3, 6, 7, 9, 12, 13
"""Columns of the mixture, from 0: impact east, north, seconds; covariance ee, en, nn; sigma of the time; launch east,
north; its covariance; ln(beta)."""

LEAST_WEIGHT = 0.02
"""Hypotheses below this are dropped and the rest take their weight: their impact points cost as much as likely ones."""
LN_NEGLIGIBLE = 12.0
"""A class less likely than another by more than this, before its launch is known, is none."""
WANDER_M = 0.1
"""What gusts and tumbling leave uncertain of any impact point, one sigma per axis (assumed)."""
LAUNCH_SIGMA_M = 60.0
"""What flying back without the motor's burn leaves uncertain of a rocket's launch point, one sigma per axis."""
ANY_LN_BETA_SIGMA = 0.8
"""A fit is of no class yet: its prior is wide enough for the lightest and the heaviest."""
TRUE_PRIOR = 0.95
"""Chance that a radar has no bias worth the name."""


@dataclass(frozen=True, eq=False)
class Kinds:
    """What a track may be: classes, their indices in the catalogue, their figures (c, 12), their drag curves."""

    threats: tuple[Threat, ...]
    index: IntArray
    rows: FloatArray
    drags: FloatArray
    """(s, 201): the curves that whole objects have, then that of debris."""
    priors: FloatArray
    """(s, 2): mean and sigma of ln(beta) of each fit."""
    gunfire: int
    """The class of what is fired in bursts and harms nobody where it comes down."""


@cache
def kinds() -> Kinds:
    """All that has a drag curve: what is predicted to the ground, and gunfire."""
    found = [(i, t) for i, t in enumerate(catalogue().values()) if t.cd0 > 0.0]
    debris_last = sorted((t for _, t in found), key=lambda t: t.family == "debris")
    curves = list({t.drag.tobytes(): t.drag for t in debris_last}.values())
    shapes = [next(s for s, curve in enumerate(curves) if np.array_equal(curve, t.drag)) for _, t in found]
    threats = tuple(t for _, t in found)
    debris = (DEBRIS_LN_BETA_MEAN, DEBRIS_LN_BETA_SIGMA)
    priors = np.array([(LN_BETA_MEAN, ANY_LN_BETA_SIGMA)] * (len(curves) - 1) + [debris])
    gunfire = next(c for c, t in enumerate(threats) if t.family == "innocent")
    return Kinds(threats, np.array([i for i, _ in found]), _rows(threats, shapes), np.array(curves), priors, gunfire)


def _rows(threats: tuple[Threat, ...], shapes: list[int]) -> FloatArray:
    """The C_ columns of each class, (c, 12); `shapes` are their drag curves."""
    rows = np.empty((len(threats), CLASS))
    for row, threat, shape in zip(rows, threats, shapes, strict=True):
        burn_s = 0.0 if threat.motor is None else threat.motor.burn_s
        burn_m = 0.0 if threat.motor is None else 0.5 * burn_s * (threat.muzzle_mps + threat.speed_mps[1])
        row[:] = (
            *(shape, threat.ln_beta, threat.ln_beta_sigma, *threat.speed_mps, math.log(max(threat.prior, 1e-12))),
            *(burn_s, burn_m, *threat.elevation_rad),
            10.0 * math.log10(threat.rcs_m2),
        )
    return rows


@device
def _given_class(
    shift: FloatArray,
    cov: FloatArray,
    ref: FloatArray,
    c: FloatArray,
    prior: FloatArray,
    out: FloatArray,
    out_cov: FloatArray,
) -> None:
    """The fit given the class: the wide prior of ln(beta) exchanged for the class's."""
    flat = 1.0 / (prior[1] * prior[1])
    var = 1.0 / (1.0 / (c[C_SIGMA] * c[C_SIGMA]) - flat)
    made_up = var * (c[C_LN_BETA] / (c[C_SIGMA] * c[C_SIGMA]) - prior[0] * flat)
    s = cov[6, 6] + var
    for i in range(PARAMETERS):
        gain = cov[i, 6] / s
        out[i] = shift[i] + gain * (made_up - ref[6] - shift[6])
        for j in range(PARAMETERS):
            out_cov[i, j] = cov[i, j] - gain * cov[6, j]


@device
def _given_no_bias(shift: FloatArray, cov: FloatArray, ref: FloatArray, told: FloatArray, work: FloatArray) -> float:
    """Mix the fit, in place, with the same given that the radar has no bias; ln of how likely the two make the plots.

    How likely no bias is against some is the density of the bias at zero after the plots over that before (Dickey,
    Ann. Math. Stat. 42, 1971). `work` (13, 12) is room.
    """
    true, true_cov = work[0], work[1:]
    true[:], true_cov[:] = shift, cov
    ln_ratio = 0.0
    for k in range(BIAS, BIAS + BIASED):
        var, off = true_cov[k, k], ref[k] + true[k]
        ln_ratio += math.log(told[T_BIAS + k - BIAS]) - 0.5 * (math.log(var) + off * off / var)
        for i in range(PARAMETERS):
            gain = true_cov[i, k] / var
            true[i] -= gain * off
            if i != k:
                for j in range(PARAMETERS):
                    if j != k:
                        true_cov[i, j] -= gain * true_cov[k, j]
        true_cov[k, :], true_cov[:, k] = 0.0, 0.0
    top = max(ln_ratio, 0.0)
    none, some = TRUE_PRIOR * math.exp(ln_ratio - top), (1.0 - TRUE_PRIOR) * math.exp(-top)
    share = none / (none + some)
    for i in range(PARAMETERS):
        for j in range(PARAMETERS):
            spread = (true[i] - shift[i]) * (true[j] - shift[j])
            cov[i, j] = share * true_cov[i, j] + (1.0 - share) * cov[i, j] + share * (1.0 - share) * spread
    for i in range(PARAMETERS):
        shift[i] += share * (true[i] - shift[i])
    return top + math.log(none + some)


@device
def _fly_back(
    shift: FloatArray,
    ref: FloatArray,
    env: FloatArray,
    air: FloatArray,
    ground: FloatArray,
    drag: FloatArray,
    back: FloatArray,
    origin: FloatArray,
) -> None:
    """The launch of the flight `shift` away from the reference: place, time, speed and derivatives (4, 10)."""
    y, down, here = ref[:7] + shift[:7], np.empty(7), env.copy()
    here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7] + shift[7], env[E_WIND_N] + ref[8] + shift[8]
    if not landing(y, -1.0, here, air, ground, drag, np.eye(6, FLOWN), down, back):
        back[0:2, 0], back[3, 0] = math.nan, 0.0
        return
    a = accel(down, here, air, drag)
    origin[O_CLIMB] = down[5]
    along = down[3] * a[0] + down[4] * a[1] + down[5] * a[2]
    origin[O_SLOWING] = along / (down[3] ** 2 + down[4] ** 2 + down[5] ** 2)


@device
def _fly_on(
    shift: FloatArray,
    ref: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    time_s: float,
    env: FloatArray,
    air: FloatArray,
    ground: FloatArray,
    drag: FloatArray,
    ahead: FloatArray,
) -> None:
    """The impact of the flight `shift` away from the reference: place, time, speed and derivatives, (4, 10)."""
    y, down, here = now.copy(), np.empty(7), env.copy()
    for i in range(6):
        for j in range(FLOWN):
            y[i] += tangent[i, j] * shift[j]
    y[6] = ref[6] + shift[6]
    here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7] + shift[7], env[E_WIND_N] + ref[8] + shift[8]
    if landing(y, 1.0, here, air, ground, drag, tangent.copy(), down, ahead):
        ahead[2, 0] += time_s
    else:
        ahead[0, 0] = math.nan


@device
def _ends(
    ends: FloatArray,
    shift: FloatArray,
    at: FloatArray,
    cov: FloatArray,
    rows: int,
    noise: float,
    out: FloatArray,
    out_cov: FloatArray,
) -> None:
    """Place (and time) at one end of the flight, moved along its derivatives, and covariance (rows, rows)."""
    work = np.empty((rows, FLOWN))
    for i in range(rows):
        out[i] = ends[i, 0]
        for j in range(FLOWN):
            out[i] += ends[i, 1 + j] * (shift[j] - at[j])
            work[i, j] = 0.0
            for k in range(FLOWN):
                work[i, j] += ends[i, 1 + k] * cov[k, j]
    for i in range(rows):
        for j in range(rows):
            out_cov[i, j] = noise if i == j and i < 2 else 0.0
            for k in range(FLOWN):
                out_cov[i, j] += work[i, k] * ends[j, 1 + k]


@device
def _state(
    shift: FloatArray,
    cov: FloatArray,
    ref: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    mean: FloatArray,
    spread: FloatArray,
) -> None:
    """State (7) and covariance (7, 7) at the newest plot."""
    g = np.zeros((7, FLOWN))
    g[:6], g[6, 6] = tangent, 1.0
    work = np.zeros((7, FLOWN))
    for i in range(7):
        mean[i] = now[i] if i < 6 else ref[6]
        for j in range(FLOWN):
            mean[i] += g[i, j] * shift[j]
            for k in range(FLOWN):
                work[i, j] += g[i, k] * cov[k, j]
    for i in range(7):
        for j in range(7):
            spread[i, j] = 0.0
            for k in range(FLOWN):
                spread[i, j] += work[i, k] * g[j, k]


@device
def _mix(
    weight: FloatArray,
    mean: FloatArray,
    fall: FloatArray,
    fall_cov: FloatArray,
    came: FloatArray,
    came_cov: FloatArray,
    out: FloatArray,
) -> None:
    """Mean and covariance of the mixture of what comes down, (13); NaN where nothing does."""
    out[:] = 0.0
    total = 0.0
    for rounds in range(2):
        for c in range(len(weight)):
            if weight[c] < LEAST_WEIGHT or math.isnan(fall[c, 0]):
                continue
            if rounds == 0:
                total += weight[c]
                for i in range(3):
                    out[i] += weight[c] * fall[c, i]
                for i in range(2):
                    out[X_LAUNCH + i] += weight[c] * came[c, i]
                out[X_LN_BETA] += weight[c] * mean[c, 6]
                continue
            late = fall[c, X_TIME] - out[X_TIME]
            out[X_TIME_SIGMA] += weight[c] / total * (fall_cov[c, 2, 2] + late * late)
            for x, ends, cov in ((0, fall, fall_cov), (X_LAUNCH, came, came_cov)):
                at, e, n = (X_COV if x == 0 else X_LAUNCH_COV), ends[c, 0] - out[x], ends[c, 1] - out[x + 1]
                out[at] += weight[c] / total * (cov[c, 0, 0] + e * e)
                out[at + 1] += weight[c] / total * (cov[c, 0, 1] + e * n)
                out[at + 2] += weight[c] / total * (cov[c, 1, 1] + n * n)
        if total == 0.0:
            out[:] = math.nan
            return
        if rounds == 0:
            for i in range(MIXED):
                out[i] /= total
    out[X_TIME_SIGMA] = math.sqrt(max(out[X_TIME_SIGMA], 0.0))


@device
def _is_fitted(shape: int, priors: FloatArray, debris: bool, told: FloatArray) -> bool:
    """Whether a slot has a flight under this drag curve; the last is that of debris."""
    return (shape == len(priors) - 1) == debris and told[shape, T_LOG_LIKE] > -math.inf


@device
def _weights(
    slot: int,
    classes: FloatArray,
    priors: FloatArray,
    book: IntArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    told: FloatArray,
    size: FloatArray,
    back: FloatArray,
    back_at: FloatArray,
    origin: FloatArray,
    env: FloatArray,
    air: FloatArray,
    ground: FloatArray,
    drags: FloatArray,
    own: FloatArray,
    own_cov: FloatArray,
    weight: FloatArray,
) -> None:
    """Weights (c,) of the classes of one slot, and the fit given each: shift (c, 12) and covariance (c, 12, 12)."""
    work, partly = np.empty((1 + PARAMETERS, PARAMETERS)), np.full(len(classes), -math.inf)
    top, total, debris, boost = -math.inf, 0.0, book[slot, B_DEBRIS] == 1, book[slot, B_BOOST] == 1
    for c in range(len(classes)):
        row, s = classes[c], int(classes[c, C_SHAPE])
        weight[c] = -math.inf
        if _is_fitted(s, priors, debris, told[slot]):
            _given_class(shift[slot, s], cov[slot, s], ref[slot, s], row, priors[s], own[c], own_cov[c])
            ln_some = _given_no_bias(own[c], own_cov[c], ref[slot, s], told[slot, s], work)
            partly[c] = row[C_LN_PRIOR] + told[slot, s, T_LOG_LIKE] + ln_some + size_evidence(size[slot], row[C_RCS])
            partly[c] += drag_evidence(ref[slot, s, 6] + shift[slot, s, 6], cov[slot, s, 6, 6], row, priors[s])
            partly[c] += most_launch_evidence(row)
    for _ in range(len(classes)):
        # the likeliest first: what could not come near it with the best of launches is not flown back
        c = int(np.argmax(partly))
        if not partly[c] > top - LN_NEGLIGIBLE:
            break
        row, s = classes[c], int(classes[c, C_SHAPE])
        if math.isnan(back[slot, c, 3, 0]):
            _fly_back(own[c], ref[slot, s], env, air, ground, drags[s], back[slot, c], origin[slot, c])
            back_at[slot, c] = own[c]
        weight[c] = partly[c] - most_launch_evidence(row)
        weight[c] += launch_evidence(own[c], own_cov[c], back[slot, c], back_at[slot, c], origin[slot, c], boost, row)
        top, partly[c] = max(top, weight[c]), -math.inf
    for c in range(len(classes)):
        weight[c] = math.exp(weight[c] - top)
        total += weight[c]
    for c in range(len(classes)):
        weight[c] /= total


@device
def _stream_odds(
    stream: FloatArray, told: FloatArray, scale: FloatArray, boost: bool, cov: FloatArray, back: FloatArray,
    c: FloatArray,
) -> float:  # fmt: skip
    """Log odds of a stream of gunfire, by its company and by how little the likeliest class `c` explains its flight.

    The latter is kept in `stream` (STREAM): a fit that begins anew forgets the plots that none explained, unless what
    was faster then than before had a motor.
    """
    no_flight = misfit(told, scale)
    if boost:
        no_flight += late_boost(cov, back, c)
    else:
        no_flight = max(no_flight, stream[S_MISFIT])
    stream[S_MISFIT] = min(no_flight, MOST_MISFIT)
    return float(stream[S_ODDS] + stream[S_MISFIT])


@kernel(
    "void(int64[::1], float64[:,::1], int64, float64[:,::1], float64[:,::1], int64[:,::1], float64[:,:,::1],"
    "float64[:,::1], float64[:,:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1], float64[:,:,:,::1],"
    "float64[:,:,::1], float64[:,::1], float64[:,:,:,::1], float64[:,:,::1], float64[:,:,::1], float64[:,:,:,::1],"
    "float64[:,:,::1],"
    "float64[::1], float64[:,::1], float64[:,::1], float64[:,::1],"
    "float64[:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1],"
    "float64[:,:,:,::1], float64[:,::1], float64[::1])"
)
def weigh(
    slots: IntArray, stream: FloatArray, gunfire: int, classes: FloatArray, priors: FloatArray, book: IntArray,
    seen: FloatArray, scale: FloatArray, ref: FloatArray, shift: FloatArray, cov: FloatArray, now: FloatArray,
    tangent: FloatArray, told: FloatArray, size: FloatArray, back: FloatArray, back_at: FloatArray,
    origin: FloatArray, ahead: FloatArray, ahead_at: FloatArray, env: FloatArray, air: FloatArray,
    ground: FloatArray, drags: FloatArray, weight: FloatArray, mean: FloatArray, spread: FloatArray,
    fall: FloatArray, fall_cov: FloatArray, came: FloatArray, came_cov: FloatArray, mixed: FloatArray,
    bullet: FloatArray,
) -> None:  # fmt: skip
    """Weights (n, c) of the classes of each slot; for those of LEAST_WEIGHT and more their state (n, c, 7) now, impact
    (east, north, seconds: n, c, 3) and launch (east, north: n, c, 2), with covariances; their mixture (n, 13).

    `stream` (slots, STREAM) has the odds that a track mixes rounds of gunfire, the class `gunfire`; `bullet` (n) gets
    the weight that it has without them, as one round. `back` and `ahead` (slots, c, 4, 10) keep the flights to the
    ground; their speed is NaN where a class has to be flown anew. An impact or a launch is NaN where it does not come
    down.
    """
    own, own_cov = np.empty((len(classes), PARAMETERS)), np.empty((len(classes), PARAMETERS, PARAMETERS))
    for i in range(len(slots)):
        slot = slots[i]
        _weights(
            slot, classes, priors, book, ref, shift, cov, told, size, back, back_at, origin, env, air, ground, drags,
            own, own_cov, weight[i],
        )  # fmt: skip
        bullet[i] = weight[i, gunfire]
        if book[slot, B_DEBRIS] == 0:
            best = np.argmax(weight[i])
            ln_odds = _stream_odds(
                stream[slot], told[slot, int(classes[best, C_SHAPE])], scale[slot], book[slot, B_BOOST] == 1,
                own_cov[best], back[slot, best], classes[best],
            )  # fmt: skip
            slow, fast = classes[:, C_SLOWEST], classes[:, C_FASTEST]
            take_for_stream(ln_odds, size[slot], classes[:, C_RCS], slow, fast, gunfire, weight[i])
        for c in range(len(classes)):
            if weight[i, c] < LEAST_WEIGHT:
                continue
            s = int(classes[c, C_SHAPE])
            if not _is_fitted(s, priors, book[slot, B_DEBRIS] == 1, told[slot]):
                # its company alone speaks for gunfire: no flight of such a round fits, so where it falls is unknown
                fall[i, c], came[i, c] = math.nan, math.nan
                continue
            if math.isnan(ahead[slot, c, 3, 0]):
                ahead[slot, c, 3, 0] = 0.0
                _fly_on(
                    own[c], ref[slot, s], now[slot, s], tangent[slot, s], seen[slot, book[slot, B_DONE] - 1, 0],
                    env, air, ground, drags[s], ahead[slot, c],
                )  # fmt: skip
                ahead_at[slot, c] = own[c]
            _state(own[c], own_cov[c], ref[slot, s], now[slot, s], tangent[slot, s], mean[i, c], spread[i, c])
            _ends(ahead[slot, c], own[c], ahead_at[slot, c], own_cov[c], 3, WANDER_M**2, fall[i, c], fall_cov[i, c])
            if not abs(fall[i, c, X_TIME] - seen[slot, book[slot, B_DONE] - 1, 0]) < LONGEST_FLIGHT_S:
                fall[i, c] = math.nan
            burn = LAUNCH_SIGMA_M**2 if classes[c, C_BURN_S] > 0.0 else 0.0
            _ends(back[slot, c], own[c], back_at[slot, c], own_cov[c], 2, burn, came[i, c], came_cov[i, c])
        _mix(weight[i], mean[i], fall[i], fall_cov[i], came[i], came_cov[i], mixed[i])


@kernel("int64[::1](float64[:,::1], int64[::1], float64, float64[::1])")
def likeliest(weight: FloatArray, family: IntArray, least: float, least_family: FloatArray) -> IntArray:
    """The likeliest class of each row (n, c) of weights; -1 where it weighs less than `least`, or
    its `family` (c) less than `least_family` (n)."""
    out = np.empty(len(weight), np.int64)
    for i in range(len(weight)):
        best, total = np.argmax(weight[i]), 0.0
        for c in range(len(family)):
            total += weight[i, c] if family[c] == family[best] else 0.0
        out[i] = best if weight[i, best] >= least and total >= least_family[i] else -1
    return out
