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
A plot is z (4): range m, azimuth rad, elevation rad, range rate m/s, NaN where it was not measured.
"""

import math

import numpy as np

from opencram.physics.flight import transition
from opencram.physics.kernel import device, kernel
from opencram.tables import BALLISTIC, OTHER, FloatArray, IntArray

STATES = 7
MODELS = 3
CRUISE = 2

OTHER_ACCEL_PSD = 400.0
"""White acceleration of the other model, (m/s2)2/Hz: 20 m/s2 held for a second; drones turn at less than 10."""
CRUISE_ACCEL_PSD = 1.0
"""White acceleration of the cruise model, (m/s2)2/Hz: gusts and a pilot's corrections."""
BALLISTIC_ACCEL_PSD = 0.05
"""White acceleration of the ballistic model, (m/s2)2/Hz: gusts, tumbling, and what a point mass leaves out."""
LN_BETA_PSD = 2.5e-3
"""Random walk of ln(beta), 1/s: 0.05 in a second, for a drag curve that is not quite the object's own."""
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
GATE_CHI2 = 25.0
"""A plot competes for a track inside this squared distance: 1 - 5e-5 of true plots in four dimensions."""
SCREEN_SIGMAS = 6.0
GROUND_DENSITY_KGPM3, HIGHEST_SHAPE, LATE_SHARE = 1.225, 2.6, 0.5
"""Late plots are used within this share of the time in which drag, at its strongest, would stop the object."""


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
    """p <- f p f' (7, 7), kept symmetric."""
    for i in range(STATES):
        for j in range(STATES):
            s = 0.0
            for k in range(STATES):
                s += f[i, k] * p[k, j]
            work[i, j] = s
    for i in range(STATES):
        for j in range(i + 1):
            s = 0.0
            for k in range(STATES):
                s += work[i, k] * f[j, k]
            p[i, j] = s
            p[j, i] = s


@device
def _rate(i: int, j: int) -> float:
    """How often a second model i gives way to model j."""
    if i == BALLISTIC:
        return SPOILT_RATE if j == OTHER else NEVER_RATE
    if j == BALLISTIC:
        return BURNOUT_RATE if i == OTHER else NEVER_RATE
    return TURN_RATE


@device
def _change(i: int, j: int, dt: float) -> float:
    """Probability that model i has given way to model j after dt seconds; of its own staying where i is j."""
    if i != j:
        return min(_rate(i, j) * dt, MOST_CHANGE)
    stays = 1.0
    for k in range(MODELS):
        if k != i:
            stays -= min(_rate(i, k) * dt, MOST_CHANGE)
    return stays


@device
def _mix(mean: FloatArray, cov: FloatArray, mode: FloatArray, dt: float) -> None:
    """Each model starts from the mixture of all, weighed by the chance that each was the right one until now."""
    old_mean, old_cov, old_mode = mean.copy(), cov.copy(), mode.copy()
    for j in range(MODELS):
        mode[j] = 0.0
        for i in range(MODELS):
            mode[j] += _change(i, j, dt) * old_mode[i]
        mean[j] = 0.0
        cov[j] = 0.0
        for i in range(MODELS):
            share = _change(i, j, dt) * old_mode[i] / mode[j]
            for a in range(STATES):
                mean[j, a] += share * old_mean[i, a]
        for i in range(MODELS):
            share = _change(i, j, dt) * old_mode[i] / mode[j]
            for a in range(STATES):
                for b in range(STATES):
                    spread = (old_mean[i, a] - mean[j, a]) * (old_mean[i, b] - mean[j, b])
                    cov[j, a, b] += share * (old_cov[i, a, b] + spread)


@device
def _predict(
    mean: FloatArray,
    cov: FloatArray,
    mode: FloatArray,
    dt: float,
    noisy: bool,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> None:
    """Carry all models dt seconds, in place; without noise (and of either sign) for a plot that came late."""
    f, work = np.eye(STATES), np.empty((STATES, STATES))
    if noisy:
        _mix(mean, cov, mode, dt)
    for i in range(3):
        f[i, i + 3] = dt
    for m in (OTHER, CRUISE):
        for i in range(3):
            mean[m, i] += dt * mean[m, i + 3]
        _sandwich(f, cov[m], work)
    transition(mean[BALLISTIC], dt, env, air, drag, f, mean[BALLISTIC])
    _sandwich(f, cov[BALLISTIC], work)
    if noisy:
        _add_noise(cov[OTHER], dt, OTHER_ACCEL_PSD)
        _add_noise(cov[CRUISE], dt, CRUISE_ACCEL_PSD)
        _add_noise(cov[BALLISTIC], dt, BALLISTIC_ACCEL_PSD)


@device
def observe(x: FloatArray, place: FloatArray, rot: FloatArray, h: FloatArray, jac: FloatArray) -> None:
    """What a sensor at `place` with axes `rot` would measure of state x: h (4) and its derivative jac (4, 7)."""
    d, v = np.empty(3), np.empty(3)
    for i in range(3):
        d[i] = 0.0
        v[i] = 0.0
        for k in range(3):
            d[i] += rot[i, k] * (x[k] - place[k])
            v[i] += rot[i, k] * x[k + 3]
    flat2 = max(d[0] * d[0] + d[1] * d[1], 1e-6)
    flat = math.sqrt(flat2)
    r2 = flat2 + d[2] * d[2]
    r = math.sqrt(r2)
    rate = (d[0] * v[0] + d[1] * v[1] + d[2] * v[2]) / r
    h[0], h[1], h[2], h[3] = r, math.atan2(d[0], d[1]), math.atan2(d[2], flat), rate
    local = np.empty((4, 3))
    for i in range(3):
        local[0, i] = d[i] / r
        local[3, i] = (v[i] - rate * d[i] / r) / r
    local[1, 0], local[1, 1], local[1, 2] = d[1] / flat2, -d[0] / flat2, 0.0
    local[2, 0], local[2, 1], local[2, 2] = -d[0] * d[2] / (r2 * flat), -d[1] * d[2] / (r2 * flat), flat / r2
    for m in range(4):
        for k in range(3):
            along = 0.0
            for i in range(3):
                along += local[m, i] * rot[i, k]
            jac[m, k] = along
            jac[m, k + 3] = 0.0
        jac[m, 6] = 0.0
    for k in range(3):
        jac[3, k + 3] = jac[0, k]


@device
def residual(m: int, z: float, h: float) -> float:
    """Measured minus expected; azimuth goes round."""
    d = z - h
    if m == 1:
        d -= 2.0 * math.pi * math.floor(d / (2.0 * math.pi) + 0.5)
    return d


@device
def _update(
    x: FloatArray,
    p: FloatArray,
    z: FloatArray,
    sigma: FloatArray,
    place: FloatArray,
    rot: FloatArray,
) -> tuple[float, float]:
    """Kalman update of one model with one plot, in place; returns log-likelihood and squared distance."""
    h, jac = np.empty(4), np.empty((4, STATES))
    observe(x, place, rot, h, jac)
    shift, gain, ph = np.zeros(STATES), np.empty(STATES), np.empty(STATES)
    log_like, chi2 = 0.0, 0.0
    for m in range(4):
        if math.isnan(z[m]) or math.isnan(sigma[m]):
            continue
        s = sigma[m] * sigma[m]
        nu = residual(m, z[m], h[m])
        for i in range(STATES):
            ph[i] = 0.0
            for k in range(STATES):
                ph[i] += p[i, k] * jac[m, k]
            s += jac[m, i] * ph[i]
            nu -= jac[m, i] * shift[i]
        for i in range(STATES):
            gain[i] = ph[i] / s
            shift[i] += gain[i] * nu
        for i in range(STATES):
            for k in range(i + 1):
                p[i, k] -= gain[i] * ph[k]
                p[k, i] = p[i, k]
        log_like -= 0.5 * (math.log(2.0 * math.pi * s) + nu * nu / s)
        chi2 += nu * nu / s
    for i in range(STATES):
        x[i] += shift[i]
    x[6] = min(max(x[6], LEAST_LN_BETA), MOST_LN_BETA)
    return log_like, chi2


@device
def _update_models(
    mean: FloatArray,
    cov: FloatArray,
    mode: FloatArray,
    z: FloatArray,
    sigma: FloatArray,
    place: FloatArray,
    rot: FloatArray,
) -> tuple[float, float]:
    """All models' updates and their new weights; returns the mixture's log-likelihood, the smallest distance."""
    log_like, top, least, total = np.empty(MODELS), -math.inf, math.inf, 0.0
    for m in range(MODELS):
        log_like[m], chi2 = _update(mean[m], cov[m], z, sigma, place, rot)
        top, least = max(top, log_like[m]), min(least, chi2)
    for m in range(MODELS):
        mode[m] *= math.exp(log_like[m] - top)
        total += mode[m]
    floored = 0.0
    for m in range(MODELS):
        mode[m] = max(mode[m] / total, LEAST_MODE)
        floored += mode[m]
    for m in range(MODELS):
        mode[m] /= floored
    return top + math.log(total), least


@device
def _cartesian(z: FloatArray, place: FloatArray, rot: FloatArray, out: FloatArray) -> None:
    """Site ENU position of a plot; without elevation its place at the sensor's height stands in."""
    el = 0.0 if math.isnan(z[2]) else z[2]
    flat = z[0] * math.cos(el)
    d0, d1, d2 = flat * math.sin(z[1]), flat * math.cos(z[1]), z[0] * math.sin(el)
    for k in range(3):
        out[k] = place[k] + rot[0, k] * d0 + rot[1, k] * d1 + rot[2, k] * d2


@device
def _near(
    mean: FloatArray,
    cov: FloatArray,
    dt: float,
    z: FloatArray,
    at: FloatArray,
    sigma: FloatArray,
    place: FloatArray,
    rot: FloatArray,
) -> bool:
    """Could the plot be in the gate at all? A ball of several sigmas round the place at constant velocity."""
    if math.isnan(z[2]):
        # no elevation: only the ranges can be compared cheaply
        d2 = 0.0
        for k in range(3):
            d2 += (mean[0, k] + dt * mean[0, k + 3] - place[k]) ** 2
        miss = abs(math.sqrt(d2) - z[0])
    else:
        d2 = 0.0
        for k in range(3):
            d2 += (mean[0, k] + dt * mean[0, k + 3] - at[k]) ** 2
        miss = math.sqrt(d2)
    var, apart = 0.0, 0.0
    for k in range(3):
        pos, vel, both, far = 0.0, 0.0, 0.0, 0.0
        for m in range(MODELS):
            pos, vel = max(pos, cov[m, k, k]), max(vel, cov[m, k + 3, k + 3])
            both = max(both, abs(cov[m, k, k + 3]))
            far = max(far, abs(mean[m, k] - mean[0, k] + dt * (mean[m, k + 3] - mean[0, k + 3])))
        var += pos + dt * dt * vel + 2.0 * abs(dt) * both
        apart += far * far
    across = z[0] * max(sigma[1], 0.0 if math.isnan(sigma[2]) else sigma[2])
    var += sigma[0] ** 2 + 2.0 * across**2 + OTHER_ACCEL_PSD * abs(dt) ** 3
    return bool(miss <= SCREEN_SIGMAS * math.sqrt(var) + math.sqrt(apart) + 10.0 * dt * dt)


@device
def _can_go_back(x: FloatArray, dt: float) -> bool:
    """Whether a state can be flown back to a late plot: what drag soon stops grows without end backwards."""
    speed = math.sqrt(x[3] * x[3] + x[4] * x[4] + x[5] * x[5])
    stops_s = 2.0 * math.exp(x[6]) / (GROUND_DENSITY_KGPM3 * HIGHEST_SHAPE * max(speed, 1.0))
    return dt < LATE_SHARE * stops_s


@kernel(
    "float64[:,::1](float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], int64[::1], int64[::1], float64[:,::1],"
    "float64[:,::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])"
)
def score_scan(
    mean: FloatArray,
    cov: FloatArray,
    mode: FloatArray,
    time_ns: IntArray,
    plot_ns: IntArray,
    plots: FloatArray,
    sigma: FloatArray,
    worse: FloatArray,
    place: FloatArray,
    rot: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> FloatArray:
    """Log-likelihood of each plot (m, 4), sigmas (m, 4), for each track, (n, m); minus infinity outside the gate.

    The sigmas hold `worse` (n, 4) times for the plots of each track.

    Plots are in time order; tracks are predicted to each plot's own time (a rotating radar's differ), once where they
    are equal. A cheap ball around the predicted place screens most pairs before the exact gate.
    """
    n, m = len(time_ns), len(plot_ns)
    score = np.full((n, m), -math.inf)
    place_of = np.empty((m, 3))
    for j in range(m):
        _cartesian(plots[j], place, rot, place_of[j])
    for i in range(n):
        x, p, w = mean[i].copy(), cov[i].copy(), mode[i].copy()
        predicted_ns, own = time_ns[i] - 1, np.empty(4)
        for j in range(m):
            dt = (plot_ns[j] - time_ns[i]) * 1e-9
            if dt < 0.0 and not _can_go_back(mean[i, BALLISTIC], -dt):
                continue
            own[:] = worse[i] * sigma[j]
            if not _near(mean[i], cov[i], dt, plots[j], place_of[j], own, place, rot):
                continue
            if plot_ns[j] != predicted_ns:
                x[:], p[:], w[:] = mean[i], cov[i], mode[i]
                _predict(x, p, w, dt, dt > 0.0, env, air, drag)
                predicted_ns = plot_ns[j]
            log_like, chi2 = _update_models(x.copy(), p.copy(), w.copy(), plots[j], own, place, rot)
            if chi2 <= GATE_CHI2:
                score[i, j] = log_like
    return score


@kernel(
    "float64(float64[:,::1], float64[:,:,::1], float64[::1], float64, float64[::1],"
    "float64[::1], float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])"
)
def advance_track(
    mean: FloatArray,
    cov: FloatArray,
    mode: FloatArray,
    dt_s: float,
    plot: FloatArray,
    sigma: FloatArray,
    place: FloatArray,
    rot: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> float:
    """Carry one track to a plot and update it, in place; returns the plot's log-likelihood.

    A plot older than the track (dt_s < 0) is used at its own time: the state goes back without noise, takes
    the plot and comes forward again, so the track's time stays what it was.
    """
    late = dt_s < 0.0
    _predict(mean, cov, mode, dt_s, not late, env, air, drag)
    log_like, _ = _update_models(mean, cov, mode, plot, sigma, place, rot)
    if late:
        _predict(mean, cov, mode, -dt_s, False, env, air, drag)
    return log_like


@kernel(
    "void(float64[::1], float64[::1], float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[:,:,::1])"
)
def start_track(
    plot: FloatArray,
    sigma: FloatArray,
    place: FloatArray,
    rot: FloatArray,
    prior: FloatArray,
    mean: FloatArray,
    cov: FloatArray,
) -> None:
    """A track from its first plot: its place by the plot, its velocity unknown, into mean (3, 7) and cov (3, 7, 7).

    `prior` is (velocity sigma m/s per axis, mean of ln(beta), sigma of ln(beta)).
    """
    x, p = np.zeros(STATES), np.zeros((STATES, STATES))
    _cartesian(plot, place, rot, x[:3])
    # a velocity of exactly zero has no direction for drag to act in
    x[3], x[4], x[5], x[6] = 1e-3, 1e-3, 1e-3, prior[1]
    across = (sigma[0], plot[0] * math.cos(plot[2]) * sigma[1], plot[0] * sigma[2])
    axes = np.empty((3, 3))
    ca, sa, ce, se = math.cos(plot[1]), math.sin(plot[1]), math.cos(plot[2]), math.sin(plot[2])
    axes[0, 0], axes[0, 1], axes[0, 2] = ce * sa, ce * ca, se
    axes[1, 0], axes[1, 1], axes[1, 2] = ca, -sa, 0.0
    axes[2, 0], axes[2, 1], axes[2, 2] = -se * sa, -se * ca, ce
    for a in range(3):
        for i in range(3):
            for j in range(3):
                left = rot[0, i] * axes[a, 0] + rot[1, i] * axes[a, 1] + rot[2, i] * axes[a, 2]
                right = rot[0, j] * axes[a, 0] + rot[1, j] * axes[a, 1] + rot[2, j] * axes[a, 2]
                p[i, j] += across[a] ** 2 * left * right
    for i in range(3):
        p[i + 3, i + 3] = prior[0] ** 2
    p[6, 6] = prior[2] ** 2
    if not (math.isnan(plot[3]) or math.isnan(sigma[3])):
        rate = np.full(4, math.nan)
        rate[3] = plot[3]
        _update(x, p, rate, sigma, place, rot)
    for m in range(MODELS):
        mean[m], cov[m] = x, p
