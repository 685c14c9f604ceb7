"""What one scan does to all tracks at once: each takes its plot, some are begun, and what is believed of each is told.

Rows never look at each other here, so that a track's numbers do not depend on which others there are.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import BALLISTIC, OTHER, TENTATIVE, BoolArray, FloatArray, IntArray
from opencram.tracking.filters import CRUISE, MODELS, STATES, carry_and_update, room, start_track, update
from opencram.tracking.lifecycle import COAST_LOOKS, CONFIRMED_DROP, LONGEST_COAST_S, TENTATIVE_DROP
from opencram.tracking.noise import learn_noise

POWERED_SPEED_MPS, SPEED_BLUR_MPS, MOST_LOG_ODDS = 100.0, 15.0, 4.0
"""Prior odds of ballistic flight by speed: what is slower flies under power as a rule, what is faster seldom does."""
LEVEL_SHARE, LEVEL_LOG_ODDS = 0.15, -5.0
"""What moves up or down by less than this share of its speed, in all that is known of it, is more likely an
aircraft, until its fall has been seen;"""
FASTEST_AIRCRAFT_MPS = 300.0
"""unless it is faster than airliners (250 m/s) ever are."""
CALL_BALLISTIC, CALL_OTHER = 0.9, 0.5
"""A track is called ballistic above the first probability and other again below the second."""
KNOWN_VELOCITY_SHARE = 0.1
"""And not before its velocity is known to this share of its speed: an earlier prediction would point anywhere."""


@device
def _p_ballistic(mean: FloatArray, cov: FloatArray, mode: FloatArray, called: int, debris: bool) -> float:
    """Probability of ballistic flight: how the plots fit each model, and how fast the object is."""
    v = mean[CRUISE]
    speed = math.sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5])
    log_odds = math.log(mode[BALLISTIC] / (mode[OTHER] + mode[CRUISE]))
    if not debris:
        blur = 3.0 * math.sqrt(max(cov[CRUISE, 5, 5], 0.0))
        most = MOST_LOG_ODDS
        if abs(v[5]) < LEVEL_SHARE * speed + blur and speed < FASTEST_AIRCRAFT_MPS:
            # at the top of its path a falling object is level too: what has been called ballistic is not doubted for it
            most = 0.0 if called == BALLISTIC else LEVEL_LOG_ODDS
        log_odds += min(max((speed - POWERED_SPEED_MPS) / SPEED_BLUR_MPS, LEVEL_LOG_ODDS), most)
    return 1.0 / (1.0 + math.exp(-log_odds))


@device
def _call(mean: FloatArray, cov: FloatArray, mode: FloatArray, called: int, debris: bool) -> int:
    """The model that a track is called by from now on."""
    p = _p_ballistic(mean, cov, mode, called, debris)
    if called == BALLISTIC:
        return BALLISTIC if p >= CALL_OTHER else OTHER
    v, spread = mean[BALLISTIC], cov[BALLISTIC]
    speed = math.sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5])
    known = math.sqrt(spread[3, 3] + spread[4, 4] + spread[5, 5]) <= KNOWN_VELOCITY_SHARE * speed
    return BALLISTIC if p > CALL_BALLISTIC and known else OTHER


@kernel(
    "void(int64[::1], boolean[::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], int64[::1], int64[::1],"
    "int64[::1], boolean[::1], float64[:,:,::1], float64[:,:,::1], float64[:,::1],"
    "float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], int64[::1], int64[::1],"
    "int64[::1], float64[:,::1], float64[:,::1], float64[::1], int64,"
    "float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])"
)
def use_plots(
    chosen: IntArray, shared: BoolArray, mean: FloatArray, cov: FloatArray, mode: FloatArray, time_ns: IntArray,
    born_ns: IntArray, model: IntArray, debris: BoolArray, latest: FloatArray, noise: FloatArray, worse: FloatArray,
    x: FloatArray, p: FloatArray, w: FloatArray, ready_ns: IntArray, n_plots: IntArray,
    plot_ns: IntArray, plots: FloatArray, sigma: FloatArray, wide: FloatArray, sensor: int,
    place: FloatArray, rot: FloatArray, env: FloatArray, air: FloatArray, drag: FloatArray,
) -> None:  # fmt: skip
    """Each track (n) takes its `chosen` plot, -1 for none, in place: state, time, noise and what it is called.

    A plot is as exact as `sigma` (m, 4) times the track's `worse` (n, 4); one that is `shared` (n) is as wide as the
    radar's cell `wide` (4) and teaches nothing of the radar's noise. x, p, w and `ready_ns` are what
    `gating.candidates` left: a prediction to the plot's time is not made again.
    """
    own, to = np.empty(4), room()
    for i in range(len(chosen)):
        j = chosen[i]
        if j < 0:
            continue
        for k in range(4):
            cell = 0.0 if math.isnan(wide[k]) or math.isnan(sigma[j, k]) else wide[k]
            own[k] = max(cell, sigma[j, k]) if shared[i] else worse[i, k] * sigma[j, k]
        dt_s = (plot_ns[j] - time_ns[i]) * 1e-9
        # a single plot's prediction is of one model only
        if ready_ns[i] == plot_ns[j] and dt_s > 0.0 and n_plots[i] > 1:
            update(x[i], p[i], w[i], plots[j], own, place, rot, to)
            mean[i], cov[i], mode[i] = x[i], p[i], w[i]
        else:
            carry_and_update(
                mean[i], cov[i], mode[i], dt_s, plots[j], own, place, rot, env, air, drag, x[i], p[i], w[i], to
            )
        time_ns[i] = max(time_ns[i], plot_ns[j])
        if not shared[i]:
            since_s = (plot_ns[j] - born_ns[i]) * 1e-9
            learn_noise(latest[i], noise[i], since_s, plots[j], sigma[j], float(sensor))
        model[i] = _call(mean[i], cov[i], mode[i], model[i], debris[i])


@kernel(
    "void(int64[::1], float64[:,::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1],"
    "float64[:,:,::1], float64[:,:,:,::1])"
)
def begin(
    able: IntArray, plots: FloatArray, sigma: FloatArray, place: FloatArray, rot: FloatArray, prior: FloatArray,
    mean: FloatArray, cov: FloatArray,
) -> None:  # fmt: skip
    """A track from each of the plots `able` (k), under a `prior` (3), into mean (k, 3, 7) and cov (k, 3, 7, 7)."""
    to = room()
    for i in range(len(able)):
        start_track(plots[able[i]], sigma[able[i]], place, rot, prior, mean[i], cov[i], to)


@kernel(
    "void(int64[::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], int64[::1], boolean[::1],"
    "float64[::1], float64[:,::1], float64[:,:,::1])"
)
def tell(
    rows: IntArray,
    mean: FloatArray,
    cov: FloatArray,
    mode: FloatArray,
    model: IntArray,
    debris: BoolArray,
    p: FloatArray,
    x: FloatArray,
    spread: FloatArray,
) -> None:
    """Of each of `rows` (k): p (k) of ballistic flight, state x (k, 7) and covariance (k, 7, 7).

    They are the ballistic model's for what is called ballistic, else those of the mixture of all models.
    """
    for r in range(len(rows)):
        i = rows[r]
        p[r] = _p_ballistic(mean[i], cov[i], mode[i], model[i], debris[i])
        x[r], spread[r] = mean[i, BALLISTIC], cov[i, BALLISTIC]
        if model[i] == BALLISTIC:
            continue
        x[r], spread[r] = 0.0, 0.0
        for m in range(MODELS):
            for a in range(STATES):
                x[r, a] += mode[i, m] * mean[i, m, a]
        for m in range(MODELS):
            for a in range(STATES):
                for b in range(STATES):
                    apart = (mean[i, m, a] - x[r, a]) * (mean[i, m, b] - x[r, b])
                    spread[r, a, b] += mode[i, m] * (cov[i, m, a, b] + apart)


@device
def _covered(at: FloatArray, place: FloatArray, rot: FloatArray, coverage: FloatArray) -> bool:
    """Whether a point (3) is inside a sensor's stated coverage, as `layout.Layout.covered`."""
    d = np.zeros(3)
    for i in range(3):
        for k in range(3):
            d[i] += rot[i, k] * (at[k] - place[k])
    flat = math.hypot(d[0], d[1])
    reach, turn = math.hypot(flat, d[2]), (math.atan2(d[0], d[1]) - coverage[2]) % (2.0 * math.pi)
    el = math.atan2(d[2], flat)
    inside: bool = coverage[0] <= reach <= coverage[1] and turn <= coverage[3] and coverage[4] <= el <= coverage[5]
    return inside


@kernel(
    "boolean[::1](int64, int64[::1], int64[::1], float64[::1], float64[:,:,::1], float64[::1], int64[::1],"
    "float64[:,::1], float64[:,::1], float64[:,:,::1])"
)
def given_up(
    now_ns: int,
    time_ns: IntArray,
    status: IntArray,
    worn: FloatArray,
    mean: FloatArray,
    ln_miss: FloatArray,
    update_ns: IntArray,
    coverage: FloatArray,
    places: FloatArray,
    rots: FloatArray,
) -> BoolArray:
    """Which tracks (n) to drop: too many looks missed of the sensor (s) that sees them most often, or too long silent.

    `worn` (n) is how far the score is below its highest, `ln_miss` (s) < 0 what each missed look takes off it.
    """
    ended, ahead = np.zeros(len(time_ns), np.bool_), np.empty(3)
    for i in range(len(time_ns)):
        silent_ns = now_ns - time_ns[i]
        if silent_ns < update_ns.min():
            continue
        x, best = mean[i, OTHER], -1
        for k in range(3):
            ahead[k] = x[k] + x[3 + k] * silent_ns * 1e-9
        for s in range(len(update_ns)):
            sooner = best < 0 or update_ns[s] < update_ns[best]
            if sooner and _covered(ahead, places[s], rots[s], coverage[s]):
                best = s
        lost = worn[i]
        coast_s = LONGEST_COAST_S
        if best >= 0:
            lost -= (silent_ns // update_ns[best]) * ln_miss[best]
            coast_s = max(coast_s, COAST_LOOKS * update_ns[best] * 1e-9)
        allowed = TENTATIVE_DROP if status[i] == TENTATIVE else CONFIRMED_DROP
        ended[i] = lost > allowed or silent_ns * 1e-9 > coast_s
    return ended
