"""The filter of one track: three motion models side by side, mixed by how well each explains the plots.

State (7): ENU position (m), ENU velocity (m/s) and the logarithm of the ballistic coefficient (kg/m2). The ballistic
model flies the state by `physics.flight`. The cruise model keeps its velocity under a weak white acceleration and the
other one under a strong one: drones, aircraft and birds do the first most of the time, and the second when they turn
or dive, as a rocket does while its motor burns. The interacting-multiple-model recursion is that of Blom and
Bar-Shalom (IEEE TAC 33-8, 1988); measurements enter one scalar at a time, all linearised at the predicted state, which
equals the joint extended Kalman update because a plot's errors are independent.

Without the cruise model a loose one alone would stand against the ballistic one, and whatever flies straight would
look ballistic for the seconds in which gravity cannot be seen yet: the tighter prediction wins.

Arrays of a track: mean (3, 7), cov (3, 7, 7), mode (3,) with models OTHER, BALLISTIC (as in `tables`) and CRUISE.
A plot is z (4): range m, azimuth rad, elevation rad, range rate m/s, NaN where it was not measured. In the models that
know no drag, ln(beta) keeps its mean and variance for the day on which the object falls, without any covariance.

Nothing is allocated per track or plot here: a kernel makes a `Room` to work in once.
"""

import math
from typing import NamedTuple

import numpy as np

from opencram.physics.flight import short_transition
from opencram.physics.kernel import device, kernel
from opencram.tables import BALLISTIC, OTHER, FloatArray

STATES = 7
KINEMATIC = 6
"""Position and velocity: all that a model without drag carries."""
MEASURED = 4
MODELS = 3
CRUISE = 2

OTHER_ACCEL_PSD = 400.0
"""White acceleration of the other model, (m/s2)2/Hz: 20 m/s2 held for a second; drones turn at less than 10."""
CRUISE_ACCEL_PSD = 1.0
"""White acceleration of the cruise model, (m/s2)2/Hz: gusts and a pilot's corrections."""
BALLISTIC_ACCEL_PSD = 0.02
"""White acceleration of the ballistic model, (m/s2)2/Hz: gusts, tumbling, and what a point mass leaves out."""
LN_BETA_PSD = 1e-3
"""Random walk of ln(beta), 1/s: 0.03 in a second, for a drag curve that is not quite the object's own."""
TURN_RATE = 0.05
"""Changes a second between cruise and other: a turn now and then."""
BURNOUT_RATE = 1.0 / 60.0
"""From other to ballistic: what a rocket does once, when its motor stops."""
SPOILT_RATE, NEVER_RATE = 1e-4, 1e-5
"""From ballistic to other, for a filter spoilt by a wrong plot; between ballistic and cruise, which nothing does. They
bound how sure a track can become of what it is: they must be small against what its first seconds show by chance."""
MODEL_PRIOR = np.array([0.25, 0.5, 0.25])
LEAST_MODE, MOST_CHANGE = 1e-6, 0.3
LEAST_LN_BETA, MOST_LN_BETA = math.log(50.0), math.log(1e6)
"""From a torn sheet to no drag at all; beyond, a spoilt filter would fly things that cannot be."""
LEAST_SHARE = 1e-6
"""A model that gives less than this share to another is left out of its mixture."""
GATE_CHI2 = 25.0
"""A plot competes for a track inside this squared distance: 1 - 5e-5 of true plots in four dimensions."""
GROUND_DENSITY_KGPM3, HIGHEST_SHAPE, LATE_SHARE = 1.225, 2.6, 0.5
"""Late plots are used within this share of the time in which drag, at its strongest, would stop the object."""
LN_TWO_PI = math.log(2.0 * math.pi)


class Room(NamedTuple):
    """Arrays for a kernel to work in."""

    f: FloatArray
    work: FloatArray
    slopes: FloatArray
    h: FloatArray
    jac: FloatArray
    ph: FloatArray
    hph: FloatArray
    lower: FloatArray
    solved: FloatArray
    like: FloatArray


@device
def room() -> Room:
    """A room for one kernel call."""
    return Room(
        np.eye(STATES),
        np.empty((STATES, STATES)),
        np.empty((3, 9)),
        np.empty((MODELS, MEASURED)),
        np.zeros((MODELS, MEASURED, STATES)),
        np.empty((MEASURED, STATES)),
        np.empty((MODELS, MEASURED, MEASURED)),
        np.empty((MEASURED, MEASURED)),
        np.empty((2, STATES)),
        np.empty(MODELS),
    )


@device
def _leaves(i: int, j: int, dt: float) -> float:
    """Probability that model i has given way to another model j after dt seconds."""
    if i == BALLISTIC:
        rate = SPOILT_RATE if j == OTHER else NEVER_RATE
    elif j == BALLISTIC:
        rate = BURNOUT_RATE if i == OTHER else NEVER_RATE
    else:
        rate = TURN_RATE
    return min(rate * dt, MOST_CHANGE)


@device
def _change(i: int, j: int, dt: float) -> float:
    """Probability that model i has given way to model j after dt seconds; of its own staying where i is j."""
    if i != j:
        return _leaves(i, j, dt)
    return 1.0 - _leaves(i, (i + 1) % MODELS, dt) - _leaves(i, (i + 2) % MODELS, dt)


@device
def _mix(
    mean: FloatArray, cov: FloatArray, mode: FloatArray, dt: float,
    x: FloatArray, p: FloatArray, w: FloatArray, apart: FloatArray,
) -> None:  # fmt: skip
    """Each model starts from the mixture of all, weighed by the chance that each was the right one until now."""
    for j in range(MODELS):
        w[j] = 0.0
        for i in range(MODELS):
            w[j] += _change(i, j, dt) * mode[i]
        x[j], p[j] = 0.0, 0.0
        for i in range(MODELS):
            share = _change(i, j, dt) * mode[i] / w[j]
            for a in range(STATES):
                x[j, a] += share * mean[i, a]
        size = STATES if j == BALLISTIC else KINEMATIC
        for i in range(MODELS):
            share = _change(i, j, dt) * mode[i] / w[j]
            if share < LEAST_SHARE:
                continue
            for a in range(STATES):
                apart[a] = mean[i, a] - x[j, a]
            for a in range(size):
                for b in range(a + 1):
                    p[j, a, b] += share * (cov[i, a, b] + apart[a] * apart[b])
            if j != BALLISTIC:
                p[j, 6, 6] += share * (cov[i, 6, 6] + apart[6] * apart[6])
        for a in range(size):
            for b in range(a):
                p[j, b, a] = p[j, a, b]


@device
def _coast(x: FloatArray, p: FloatArray, dt: float) -> None:
    """Straight on for dt seconds: state (7) and covariance (7, 7), in place."""
    for i in range(3):
        x[i] += dt * x[3 + i]
    for i in range(3):
        for k in range(i + 1):
            p[i, k] += dt * (p[i, 3 + k] + p[3 + i, k]) + dt * dt * p[3 + i, 3 + k]
            p[k, i] = p[i, k]
    for i in range(3):
        for k in range(3):
            p[i, 3 + k] += dt * p[3 + i, 3 + k]
            p[3 + k, i] = p[i, 3 + k]


@device
def _add_noise(p: FloatArray, dt: float, accel_psd: float) -> None:
    """White acceleration and the walk of ln(beta) over dt seconds, added to p (7, 7)."""
    for i in range(3):
        p[i, i] += accel_psd * dt * dt * dt / 3.0
        p[i, i + 3] += accel_psd * dt * dt / 2.0
        p[i + 3, i] += accel_psd * dt * dt / 2.0
        p[i + 3, i + 3] += accel_psd * dt
    p[6, 6] += LN_BETA_PSD * dt


@device
def _sandwich(f: FloatArray, p: FloatArray, work: FloatArray) -> None:
    """p <- f p f' (7, 7), kept symmetric; the last row of f is that of the identity."""
    for i in range(KINEMATIC):
        for j in range(STATES):
            s = 0.0
            for k in range(STATES):
                s += f[i, k] * p[k, j]
            work[i, j] = s
    for i in range(KINEMATIC):
        for j in range(i + 1):
            s = 0.0
            for k in range(STATES):
                s += work[i, k] * f[j, k]
            p[i, j] = s
            p[j, i] = s
        p[i, 6] = work[i, 6]
        p[6, i] = work[i, 6]


@device
def predict(
    mean: FloatArray, cov: FloatArray, mode: FloatArray, dt: float, noisy: bool,
    env: FloatArray, air: FloatArray, drag: FloatArray, x: FloatArray, p: FloatArray, w: FloatArray, to: Room,
) -> None:  # fmt: skip
    """All models after dt seconds, into x, p and w; without noise (and of either sign) for a plot that came late."""
    if noisy:
        _mix(mean, cov, mode, dt, x, p, w, to.solved[0])
    else:
        x[:], p[:], w[:] = mean, cov, mode
    _coast(x[OTHER], p[OTHER], dt)
    _coast(x[CRUISE], p[CRUISE], dt)
    short_transition(x[BALLISTIC], dt, env, air, drag, to.f, x[BALLISTIC], to.slopes)
    _sandwich(to.f, p[BALLISTIC], to.work)
    if noisy:
        _add_noise(p[OTHER], dt, OTHER_ACCEL_PSD)
        _add_noise(p[CRUISE], dt, CRUISE_ACCEL_PSD)
        _add_noise(p[BALLISTIC], dt, BALLISTIC_ACCEL_PSD)


@device
def predict_single(mean: FloatArray, cov: FloatArray, dt: float, x: FloatArray, p: FloatArray) -> None:
    """As `predict`, of a single plot: its velocity is anything, so that one model, into x[0] and p[0], tells it all."""
    x[OTHER], p[OTHER] = mean[OTHER], cov[OTHER]
    _coast(x[OTHER], p[OTHER], dt)
    _add_noise(p[OTHER], abs(dt), OTHER_ACCEL_PSD)


@device
def observe(x: FloatArray, place: FloatArray, rot: FloatArray, h: FloatArray, jac: FloatArray) -> None:
    """What a sensor at `place` with axes `rot` would measure of state x: h (4) and its derivative jac (4, 7)."""
    e, n, u = x[0] - place[0], x[1] - place[1], x[2] - place[2]
    d0 = rot[0, 0] * e + rot[0, 1] * n + rot[0, 2] * u
    d1 = rot[1, 0] * e + rot[1, 1] * n + rot[1, 2] * u
    d2 = rot[2, 0] * e + rot[2, 1] * n + rot[2, 2] * u
    flat2 = max(d0 * d0 + d1 * d1, 1e-6)
    flat = math.sqrt(flat2)
    r2 = flat2 + d2 * d2
    r = math.sqrt(r2)
    rate = (e * x[3] + n * x[4] + u * x[5]) / r
    h[0], h[1], h[2], h[3] = r, math.atan2(d0, d1), math.atan2(d2, flat), rate
    a0, a1 = d1 / flat2, -d0 / flat2
    c0, c1, c2 = -d0 * d2 / (r2 * flat), -d1 * d2 / (r2 * flat), flat / r2
    line = (e / r, n / r, u / r)
    for k in range(3):
        jac[0, k] = line[k]
        jac[1, k] = a0 * rot[0, k] + a1 * rot[1, k]
        jac[2, k] = c0 * rot[0, k] + c1 * rot[1, k] + c2 * rot[2, k]
        jac[3, k] = (x[k + 3] - rate * line[k]) / r
        jac[3, k + 3] = line[k]
        jac[0, k + 3], jac[1, k + 3], jac[2, k + 3] = 0.0, 0.0, 0.0
    for m in range(MEASURED):
        jac[m, 6] = 0.0


@device
def residual(m: int, z: float, h: float) -> float:
    """Measured minus expected; azimuth goes round."""
    d = z - h
    if m == 1:
        d -= 2.0 * math.pi * math.floor(d / (2.0 * math.pi) + 0.5)
    return d


@device
def expect(
    x: FloatArray, p: FloatArray, place: FloatArray, rot: FloatArray, m: int, rated: bool, to: Room
) -> None:  # fmt: skip
    """What is expected to be measured of model m's state: mean, derivative and covariance, into the room.

    Without `rated` the range rate, the only quantity that depends on the velocity, is left out.
    """
    h, jac, hph, ph = to.h[m], to.jac[m], to.hph[m], to.ph
    observe(x, place, rot, h, jac)
    for a in range(3):
        j0, j1, j2 = jac[a, 0], jac[a, 1], jac[a, 2]
        for i in range(KINEMATIC):
            ph[a, i] = p[0, i] * j0 + p[1, i] * j1 + p[2, i] * j2
        for b in range(a + 1):
            hph[a, b] = jac[b, 0] * ph[a, 0] + jac[b, 1] * ph[a, 1] + jac[b, 2] * ph[a, 2]
    if not rated:
        return
    for b in range(MEASURED):
        hph[3, b] = 0.0
    for i in range(KINEMATIC):
        ph[3, i] = 0.0
        for k in range(KINEMATIC):
            ph[3, i] += p[i, k] * jac[3, k]
        for b in range(MEASURED):
            hph[3, b] += jac[b, i] * ph[3, i]


@device
def fit(z: FloatArray, sigma: FloatArray, m: int, to: Room) -> tuple[float, float]:
    """Log-likelihood and squared distance of a plot, of what is expected of model m, by a Cholesky decomposition."""
    h, hph, low, e = to.h[m], to.hph[m], to.lower, to.work[0]
    chi2, volume, n = 0.0, 1.0, 0
    for a in range(MEASURED):
        if math.isnan(z[a]) or math.isnan(sigma[a]):
            continue
        nu, s = residual(a, z[a], h[a]), hph[a, a] + sigma[a] * sigma[a]
        for b in range(a):
            if math.isnan(z[b]) or math.isnan(sigma[b]):
                continue
            part = hph[a, b]
            for c in range(b):
                if not (math.isnan(z[c]) or math.isnan(sigma[c])):
                    part -= low[a, c] * low[b, c]
            low[a, b] = part / low[b, b]
            s -= low[a, b] * low[a, b]
            nu -= low[a, b] * e[b]
        low[a, a] = math.sqrt(s)
        e[a] = nu / low[a, a]
        chi2 += e[a] * e[a]
        volume *= s
        n += 1
    return -0.5 * (chi2 + math.log(volume) + n * LN_TWO_PI), chi2


@device
def _update(
    x: FloatArray, p: FloatArray, z: FloatArray, sigma: FloatArray, place: FloatArray, rot: FloatArray, size: int,
    to: Room,
) -> float:  # fmt: skip
    """Kalman update of the first `size` states of one model with one plot, in place; returns the log-likelihood."""
    h, jac, shift, ph = to.h[0], to.jac[0], to.solved[0], to.solved[1]
    observe(x, place, rot, h, jac)
    shift[:] = 0.0
    chi2, volume, n = 0.0, 1.0, 0
    for m in range(MEASURED):
        if math.isnan(z[m]) or math.isnan(sigma[m]):
            continue
        j0, j1, j2 = jac[m, 0], jac[m, 1], jac[m, 2]
        for i in range(size):
            ph[i] = p[0, i] * j0 + p[1, i] * j1 + p[2, i] * j2
        s = sigma[m] * sigma[m]
        nu = residual(m, z[m], h[m]) - j0 * shift[0] - j1 * shift[1] - j2 * shift[2]
        if m == 3:
            for k in range(3, KINEMATIC):
                nu -= jac[m, k] * shift[k]
                for i in range(size):
                    ph[i] += p[k, i] * jac[m, k]
            for k in range(3, KINEMATIC):
                s += jac[m, k] * ph[k]
        s += j0 * ph[0] + j1 * ph[1] + j2 * ph[2]
        per = 1.0 / s
        for i in range(size):
            gain = ph[i] * per
            shift[i] += gain * nu
            for k in range(i + 1):
                p[i, k] -= gain * ph[k]
                p[k, i] = p[i, k]
        chi2 += nu * nu * per
        volume *= s
        n += 1
    for i in range(size):
        x[i] += shift[i]
    x[6] = min(max(x[6], LEAST_LN_BETA), MOST_LN_BETA)
    return -0.5 * (chi2 + math.log(volume) + n * LN_TWO_PI)


@device
def update(
    x: FloatArray, p: FloatArray, w: FloatArray, z: FloatArray, sigma: FloatArray,
    place: FloatArray, rot: FloatArray, to: Room,
) -> float:  # fmt: skip
    """All models' updates and their new weights, in place; returns the mixture's log-likelihood."""
    top, total, floored = -math.inf, 0.0, 0.0
    for m in range(MODELS):
        size = STATES if m == BALLISTIC else KINEMATIC
        to.like[m] = _update(x[m], p[m], z, sigma, place, rot, size, to)
        top = max(top, to.like[m])
    for m in range(MODELS):
        w[m] *= math.exp(to.like[m] - top)
        total += w[m]
    for m in range(MODELS):
        w[m] = max(w[m] / total, LEAST_MODE)
        floored += w[m]
    for m in range(MODELS):
        w[m] /= floored
    return top + math.log(total)


@device
def cartesian(z: FloatArray, place: FloatArray, rot: FloatArray, out: FloatArray) -> None:
    """Site ENU position of a plot; without elevation its place at the sensor's height stands in."""
    el = 0.0 if math.isnan(z[2]) else z[2]
    flat = z[0] * math.cos(el)
    d0, d1, d2 = flat * math.sin(z[1]), flat * math.cos(z[1]), z[0] * math.sin(el)
    for k in range(3):
        out[k] = place[k] + rot[0, k] * d0 + rot[1, k] * d1 + rot[2, k] * d2


@device
def can_go_back(x: FloatArray, dt: float) -> bool:
    """Whether a state can be flown back to a late plot: what drag soon stops grows without end backwards."""
    speed = math.sqrt(x[3] * x[3] + x[4] * x[4] + x[5] * x[5])
    stops_s = 2.0 * math.exp(x[6]) / (GROUND_DENSITY_KGPM3 * HIGHEST_SHAPE * max(speed, 1.0))
    return dt < LATE_SHARE * stops_s


@device
def carry_and_update(
    mean: FloatArray, cov: FloatArray, mode: FloatArray, dt_s: float, plot: FloatArray, sigma: FloatArray,
    place: FloatArray, rot: FloatArray, env: FloatArray, air: FloatArray, drag: FloatArray,
    x: FloatArray, p: FloatArray, w: FloatArray, to: Room,
) -> float:  # fmt: skip
    """Carry one track to a plot and update it, in place by way of x, p and w; returns the plot's log-likelihood.

    A plot older than the track (dt_s < 0) is used at its own time: the state goes back without noise, takes
    the plot and comes forward again, so the track's time stays what it was.
    """
    late = dt_s < 0.0
    predict(mean, cov, mode, dt_s, not late, env, air, drag, x, p, w, to)
    log_like = update(x, p, w, plot, sigma, place, rot, to)
    if late:
        predict(x, p, w, -dt_s, False, env, air, drag, mean, cov, mode, to)
    else:
        mean[:], cov[:], mode[:] = x, p, w
    return log_like


@kernel(
    "float64(float64[:,::1], float64[:,:,::1], float64[::1], float64, float64[::1],"
    "float64[::1], float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])"
)
def advance_track(
    mean: FloatArray, cov: FloatArray, mode: FloatArray, dt_s: float, plot: FloatArray, sigma: FloatArray,
    place: FloatArray, rot: FloatArray, env: FloatArray, air: FloatArray, drag: FloatArray,
) -> float:  # fmt: skip
    """One track alone, as `carry_and_update` does it for each of a scan."""
    x, p, w, to = np.empty_like(mean), np.empty_like(cov), np.empty_like(mode), room()
    return carry_and_update(mean, cov, mode, dt_s, plot, sigma, place, rot, env, air, drag, x, p, w, to)


@device
def start_track(
    plot: FloatArray, sigma: FloatArray, place: FloatArray, rot: FloatArray, prior: FloatArray,
    mean: FloatArray, cov: FloatArray, to: Room,
) -> None:  # fmt: skip
    """A track from its first plot: its place by the plot, its velocity unknown, into mean (3, 7) and cov (3, 7, 7).

    `prior` is (velocity sigma m/s per axis, mean of ln(beta), sigma of ln(beta)).
    """
    x, p = mean[0], cov[0]
    p[:] = 0.0
    cartesian(plot, place, rot, x)
    # a velocity of exactly zero has no direction for drag to act in
    x[3], x[4], x[5], x[6] = 1e-3, 1e-3, 1e-3, prior[1]
    across = (sigma[0], plot[0] * math.cos(plot[2]) * sigma[1], plot[0] * sigma[2])
    ca, sa, ce, se = math.cos(plot[1]), math.sin(plot[1]), math.cos(plot[2]), math.sin(plot[2])
    axes = ((ce * sa, ce * ca, se), (ca, -sa, 0.0), (-se * sa, -se * ca, ce))
    for a in range(3):
        along, side = axes[a], to.ph[0]
        for i in range(3):
            side[i] = rot[0, i] * along[0] + rot[1, i] * along[1] + rot[2, i] * along[2]
        for i in range(3):
            for j in range(3):
                p[i, j] += across[a] ** 2 * side[i] * side[j]
    for i in range(3):
        p[i + 3, i + 3] = prior[0] ** 2
    p[6, 6] = prior[2] ** 2
    if not (math.isnan(plot[3]) or math.isnan(sigma[3])):
        rate = to.ph[1]
        rate[:] = math.nan
        rate[3] = plot[3]
        _update(x, p, rate, sigma, place, rot, STATES, to)
    for m in range(1, MODELS):
        mean[m], cov[m] = x, p
