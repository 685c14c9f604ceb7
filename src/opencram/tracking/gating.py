"""Which plots of a scan may be which track's, and how likely each is: the list of pairs that compete.

Plots are sorted by range, so that a track looks only at those near its own: the work grows with the pairs that are
possible, not with all that could be written down. A ball round the track's predicted place, wide enough for every
model, screens what is left; the exact gate is the squared distance of a plot from what the nearest model expects.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import BALLISTIC, FloatArray, IntArray
from opencram.tracking.bank import COUNT, TIME
from opencram.tracking.filters import (
    GATE_CHI2,
    MEASURED,
    MODELS,
    OTHER_ACCEL_PSD,
    Room,
    can_go_back,
    cartesian,
    expect,
    fit,
    predict,
    predict_single,
    room,
)

SCREEN_SIGMAS = 6.0
BEND_MPS2 = 20.0
"""What gravity and drag may bend a path by, beside the straight line that the screen follows."""
FIRST_PAIRS = 256
NOT_YET = -1
B_POS, B_VEL, B_BOTH, B_APART, B_TURN = range(5)


@device
def _bounds(mean: FloatArray, cov: FloatArray, models: int, out: FloatArray) -> None:
    """What the screen needs of a track, over all its models: variances along an axis, and how far they are apart."""
    out[:] = 0.0
    for k in range(3):
        pos, vel, both, apart, turn = 0.0, 0.0, 0.0, 0.0, 0.0
        for m in range(models):
            pos, vel = max(pos, cov[m, k, k]), max(vel, cov[m, k + 3, k + 3])
            both = max(both, abs(cov[m, k, k + 3]))
            apart, turn = max(apart, abs(mean[m, k] - mean[0, k])), max(turn, abs(mean[m, k + 3] - mean[0, k + 3]))
        out[B_POS] += pos
        out[B_VEL] += vel
        out[B_BOTH] += both
        out[B_APART] += apart
        out[B_TURN] += turn


@device
def _reach(bounds: FloatArray, dt: float, across_m: float, along_m: float) -> float:
    """How far from the straight line a plot of the track may lie, its own errors included."""
    dt = abs(dt)
    var: float = bounds[B_POS] + dt * dt * bounds[B_VEL] + 2.0 * dt * bounds[B_BOTH] + OTHER_ACCEL_PSD * dt * dt * dt
    var += along_m * along_m + 2.0 * across_m * across_m
    apart: float = bounds[B_APART] + dt * bounds[B_TURN] + 0.5 * BEND_MPS2 * dt * dt
    return SCREEN_SIGMAS * math.sqrt(var) + apart


@device
def _first_beyond(ranges: FloatArray, least: float) -> int:
    """The first of the ascending ranges that is not below the least."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle] < least:
            low = middle + 1
        else:
            high = middle
    return low


@device
def _apart(x: FloatArray, dt: float, place: FloatArray) -> float:
    """Distance of a place from where a track goes straight on to."""
    e, n, u = x[0] + dt * x[3] - place[0], x[1] + dt * x[4] - place[1], x[2] + dt * x[5] - place[2]
    return math.sqrt(e * e + n * n + u * u)


@device
def _likelihood(
    w: FloatArray, models: int, z: FloatArray, sigma: FloatArray, worse: FloatArray, own: FloatArray, to: Room
) -> float:
    """Log of the mixture's likelihood of a plot, minus infinity where it is outside every model's gate."""
    for k in range(MEASURED):
        own[k] = worse[k] * sigma[k]
    least, top, total = math.inf, -math.inf, 0.0
    for m in range(models):
        to.like[m], chi2 = fit(z, own, m, to)
        least, top = min(least, chi2), max(top, to.like[m])
    if least > GATE_CHI2:
        return -math.inf
    if models == 1:
        return top
    for m in range(models):
        total += w[m] * math.exp(to.like[m] - top)
    return top + math.log(total)


@kernel(
    "Tuple((int64[::1], int64[::1], float64[::1]))("
    "float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], int64[:,::1], int64[::1], float64[:,::1],"
    "float64[:,::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1],"
    "float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], int64[::1])"
)
def candidates(
    mean: FloatArray, cov: FloatArray, mode: FloatArray, whole: IntArray,
    plot_ns: IntArray, plots: FloatArray, sigma: FloatArray, worse: FloatArray,
    place: FloatArray, rot: FloatArray, env: FloatArray, air: FloatArray, drag: FloatArray,
    x: FloatArray, p: FloatArray, w: FloatArray, ready_ns: IntArray,
) -> tuple[IntArray, IntArray, FloatArray]:  # fmt: skip
    """The pairs inside a gate: where each track's begin (n + 1), their plots (k) and log-likelihoods (k).

    Plots (m, 4) have sigmas (m, 4), that hold `worse` (n, 4) times for the plots of each track. A track is predicted
    to each plot's own time (a rotating radar's differ), once where they are equal; the last prediction stays in
    x (n, 3, 7), p (n, 3, 7, 7) and w (n, 3), and its time in `ready_ns` (n).
    """
    tracks, many, to = len(whole), len(plot_ns), room()
    begins, plot_of, like = np.zeros(tracks + 1, np.int64), np.empty(FIRST_PAIRS, np.int64), np.empty(FIRST_PAIRS)
    order = np.argsort(plots[:, 0], kind="mergesort")
    ranges, at, own, bounds = plots[order, 0], np.empty((many, 3)), np.empty(4), np.empty(5)
    first_ns, last_ns, along, across = plot_ns.min(), plot_ns.max(), sigma[:, 0].max(), 0.0
    for j in range(many):
        cartesian(plots[j], place, rot, at[j])
        across = max(across, plots[j, 0] * max(sigma[j, 1], 0.0 if math.isnan(sigma[j, 2]) else sigma[j, 2]))
    pairs, rated = 0, not math.isnan(sigma[0, 3])
    for i in range(tracks):
        time_ns, models = whole[i, TIME], 1 if whole[i, COUNT] == 1 else MODELS
        ready_ns[i] = NOT_YET
        _bounds(mean[i], cov[i], models, bounds)
        middle_s, half_s = ((first_ns + last_ns) // 2 - time_ns) * 1e-9, 0.5e-9 * (last_ns - first_ns)
        speed = abs(mean[i, 0, 3]) + abs(mean[i, 0, 4]) + abs(mean[i, 0, 5])
        wide = _reach(bounds, abs(middle_s) + half_s, max(worse[i, 1], worse[i, 2]) * across, worse[i, 0] * along)
        wide += half_s * speed
        centre = _apart(mean[i, 0], middle_s, place)
        e, n, u, ve, vn, vu = mean[i, 0, 0], mean[i, 0, 1], mean[i, 0, 2], mean[i, 0, 3], mean[i, 0, 4], mean[i, 0, 5]
        for s in range(_first_beyond(ranges, centre - wide), many):
            if ranges[s] > centre + wide:
                break
            j = order[s]
            dt = (plot_ns[j] - time_ns) * 1e-9
            if dt < 0.0 and not can_go_back(mean[i, BALLISTIC], -dt):
                continue
            # without elevation only the ranges can be compared cheaply
            if math.isnan(plots[j, 2]):
                if abs(_apart(mean[i, 0], dt, place) - plots[j, 0]) > wide:
                    continue
            else:
                off_e, off_n, off_u = e + dt * ve - at[j, 0], n + dt * vn - at[j, 1], u + dt * vu - at[j, 2]
                if off_e * off_e + off_n * off_n + off_u * off_u > wide * wide:
                    continue
            if plot_ns[j] != ready_ns[i]:
                if models == 1:
                    predict_single(mean[i], cov[i], dt, x[i], p[i])
                else:
                    predict(mean[i], cov[i], mode[i], dt, dt > 0.0, env, air, drag, x[i], p[i], w[i], to)
                ready_ns[i] = plot_ns[j]
                for m in range(models):
                    expect(x[i, m], p[i, m], place, rot, m, rated, to)
            found = _likelihood(w[i], models, plots[j], sigma[j], worse[i], own, to)
            if found > -math.inf:
                if pairs == len(plot_of):
                    plot_of, like = np.append(plot_of, np.empty_like(plot_of)), np.append(like, np.empty_like(like))
                plot_of[pairs], like[pairs] = j, found
                pairs += 1
        begins[i + 1] = pairs
    return begins, plot_of[:pairs].copy(), like[:pairs].copy()
