"""What one scan does to all tracks at once: each takes its plot, some are begun, and what is believed of each is told.

Rows never look at each other here, so that a track's numbers do not depend on which others there are.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.physics.layout import RANGE_RATE_SPAN_MPS
from opencram.tables import BALLISTIC, CONFIRMED, OTHER, TENTATIVE, BoolArray, FloatArray, IntArray
from opencram.tracking.association import FREE, assign, crowding, evidence
from opencram.tracking.bank import AMONG, BEST, BORN, COUNT, DEBRIS, FED, FELL, FLEW, MODEL, SCORE, SHARED, STATUS, TIME
from opencram.tracking.filters import CRUISE, MODELS, STATES, carry_and_update, room, start_track, update
from opencram.tracking.lifecycle import (
    COAST_LOOKS,
    CONFIRMED_DROP,
    HIGHEST_SCORE,
    LONGEST_COAST_S,
    SHARE_LOOKS,
    TENTATIVE_DROP,
)
from opencram.tracking.noise import learn_noise
from opencram.tracking.resolution import share_unresolved

LN_RATE_SPAN = math.log(RANGE_RATE_SPAN_MPS)
POWERED_SPEED_MPS, SPEED_BLUR_MPS, MOST_LOG_ODDS = 100.0, 15.0, 4.0
"""Prior odds of ballistic flight by speed: what is slower flies under power as a rule, what is faster seldom does."""
LEVEL_SHARE, LEVEL_LOG_ODDS = 0.15, -5.0
"""What moves up or down by less than this share of its speed, in all that is known of it, is more likely an
aircraft, until its fall has been seen;"""
STEEP_SHARE, STEEP_LOG_ODDS = 0.5, 2.0
"""What surely climbs faster than this share of its speed was fired, unless it is slow: no drone climbs so;"""
FASTEST_AIRCRAFT_MPS = 300.0
"""unless it is faster than airliners (250 m/s) ever are."""
CALL_BALLISTIC, CALL_OTHER = 0.9, 0.5
"""A track is called ballistic above the first probability and other again below the second."""
KNOWN_VELOCITY_SHARE, KNOWN_CLIMB_MPS = 0.1, 20.0
"""And not before its velocity is known to this share of its speed, or so well if it climbs steeply: an earlier
prediction would point anywhere."""
FLYER_MPS, FLYER_NS = 90.0, 5_000_000_000
"""What has flown without falling for so long was not fired: slower than this, as drones and birds are, it is never
called ballistic;"""
LONG_FALL_NS = 2_000_000_000
"""if it is faster, it must seem to fall for so long first: a rocket that passed through a flock goes on;"""
SLOW_MPS, SLOW_FALL_NS = 50.0, 4_000_000_000
"""what is slower than this for so long: a track that hops from bird to bird may seem to fall for two seconds, what
really falls is faster by then, whatever it was fired from;"""
AMONG_FALLS_NS = 1_000_000_000
"""and what began among flyers, or long shared its plots with one, for so long: by then a track that shot from one end
of a flock to the other is out, and one that has found a bird of its own again has its speed."""


@device
def _climb_blur(cov: FloatArray) -> float:
    """Three sigma of the vertical speed, by the model that expects nothing."""
    return float(3.0 * math.sqrt(max(cov[CRUISE, 5, 5], 0.0)))


@device
def _steep(v: FloatArray, blur_mps: float, speed_mps: float) -> bool:
    """Whether something with state v (7) surely climbs steeply."""
    return bool(v[5] - blur_mps > STEEP_SHARE * speed_mps and speed_mps > SLOW_MPS)


@device
def _note_sharing(whole: IntArray, mean: FloatArray) -> None:
    """Note in the `whole` (WHOLE) of a track that shares its plot whether it is among flyers: for long, and as slow."""
    v = mean[CRUISE]
    slow = v[3] * v[3] + v[4] * v[4] + v[5] * v[5] < SLOW_MPS * SLOW_MPS
    if slow and whole[SHARED] >= SHARE_LOOKS and whole[MODEL] == OTHER:
        whole[AMONG] = 1


@device
def _p_ballistic(mean: FloatArray, cov: FloatArray, mode: FloatArray, called: int, debris: bool) -> float:
    """Probability of ballistic flight: how the plots fit each model, and how fast the object is."""
    v = mean[CRUISE]
    speed = math.sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5])
    log_odds = math.log(mode[BALLISTIC] / (mode[OTHER] + mode[CRUISE]))
    if not debris:
        blur = _climb_blur(cov)
        most = MOST_LOG_ODDS
        if abs(v[5]) < LEVEL_SHARE * speed + blur and speed < FASTEST_AIRCRAFT_MPS:
            # at the top of its path a falling object is level too: what has been called ballistic is not doubted for it
            most = 0.0 if called == BALLISTIC else LEVEL_LOG_ODDS
        prior = (speed - POWERED_SPEED_MPS) / SPEED_BLUR_MPS
        if _steep(v, blur, speed):
            prior = max(prior, STEEP_LOG_ODDS)
        log_odds += min(max(prior, LEVEL_LOG_ODDS), most)
    return 1.0 / (1.0 + math.exp(-log_odds))


@device
def _call(mean: FloatArray, cov: FloatArray, mode: FloatArray, whole: IntArray, passed_ns: int) -> None:
    """Note in a track's `whole` (WHOLE) how it has flown for `passed_ns` more, and by which model it is called now."""
    debris, called = whole[DEBRIS] != 0, whole[MODEL]
    p = _p_ballistic(mean, cov, mode, called, debris)
    v, spread = mean[BALLISTIC], cov[BALLISTIC]
    speed = math.sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5])
    whole[FELL] = whole[FELL] + passed_ns if p > CALL_BALLISTIC else 0
    whole[FLEW] += passed_ns if p < CALL_OTHER else 0
    if called == BALLISTIC:
        whole[MODEL] = BALLISTIC if p >= CALL_OTHER else OTHER
        return
    steep = _steep(mean[CRUISE], _climb_blur(cov), speed)
    known_mps = max(KNOWN_VELOCITY_SHARE * speed, KNOWN_CLIMB_MPS if steep else 0.0)
    known = math.sqrt(spread[3, 3] + spread[4, 4] + spread[5, 5]) <= known_mps
    flyer = whole[FLEW] >= FLYER_NS
    least_ns = AMONG_FALLS_NS if whole[AMONG] != 0 else 0
    if flyer or speed < SLOW_MPS:
        least_ns = LONG_FALL_NS if speed >= SLOW_MPS else SLOW_FALL_NS
    fired = debris or (whole[FELL] >= least_ns and not (flyer and speed < FLYER_MPS))
    whole[MODEL] = BALLISTIC if p > CALL_BALLISTIC and known and fired else OTHER


@device
def ln_miss(p_detect: float) -> float:
    """What a look that should have seen an object, and did not, takes off its score: below zero."""
    return math.log(max(1.0 - p_detect, 1e-3))


@kernel(
    "Tuple((int64[::1], int64[::1], boolean[::1]))(int64[::1], int64[::1], float64[::1], int64[:,::1], float64[:,::1],"
    "float64[:,:,::1], int64[::1], float64[:,::1], float64[:,::1], float64, float64[::1], float64, int64, float64[::1],"
    "float64[::1], float64[:,::1])"
)
def settle(
    begins: IntArray, plot_of: IntArray, like: FloatArray, whole: IntArray, real: FloatArray, mean: FloatArray,
    plot_ns: IntArray, plots: FloatArray, sigma: FloatArray, ln_false: float, clutter: FloatArray,
    p_detect: float, update_ns: int, resolution: FloatArray, place: FloatArray, rot: FloatArray,
) -> tuple[IntArray, IntArray, BoolArray]:  # fmt: skip
    """Which plot is whose: each track's plot, -1 for none, with whom it shares it, -1 for nobody; plots left over (m).

    The pairs (k) are those of `gating.candidates`. The confirmed choose first, what two of them may have given together
    is theirs too, then come the tracks with a past, then the single plots. A track's score grows with what the plot
    says for it and falls with the looks missed before; a shared plot says nothing of either's existence, and one little
    where plots come anyway, `clutter` (m) times as dense as false ones.
    """
    n, many = len(whole), len(plot_ns)
    gain, taken, free = np.empty(len(like)), np.zeros(many, np.bool_), np.ones(many, np.bool_)
    for k in range(len(like)):
        rated = not (math.isnan(plots[plot_of[k], 3]) or math.isnan(sigma[plot_of[k], 3]))
        gain[k] = like[k] + math.log(p_detect) - ln_false + (LN_RATE_SPAN if rated else 0.0)
    confirmed, followed, single = np.empty(n, np.bool_), np.empty(n, np.bool_), np.empty(n, np.bool_)
    for i in range(n):
        confirmed[i], single[i] = whole[i, STATUS] == CONFIRMED, whole[i, COUNT] == 1
        followed[i] = not (confirmed[i] or single[i])
    chosen = np.full(n, FREE, np.int64)
    assign(begins, plot_of, gain, confirmed, taken, chosen)
    partner = share_unresolved(chosen, taken, whole, mean, plot_ns, plots, resolution, place, rot)
    for j in range(many):
        free[j] = not taken[j]
    assign(begins, plot_of, gain, followed, taken, chosen)
    assign(begins, plot_of, gain, single, taken, chosen)
    crowd = clutter + crowding(plots, free, ln_false)
    told = evidence(begins, plot_of, gain, chosen, ~single, crowd, ln_miss(p_detect))
    for i in range(n):
        if chosen[i] >= 0 and partner[i] < 0:
            missed = max(round((plot_ns[chosen[i]] - whole[i, TIME]) / update_ns) - 1, 0)
            score = real[i, SCORE] + told[i] + missed * ln_miss(p_detect)
            real[i, SCORE] = min(score, HIGHEST_SCORE)
            real[i, BEST] = max(real[i, BEST], real[i, SCORE])
    return chosen, partner, ~taken


@kernel(
    "void(int64[::1], int64[::1], int64[:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1],"
    "float64[:,:,::1], float64[:,:,::1], float64[:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1],"
    "int64[::1], int64[::1], float64[:,::1], float64[:,::1], float64[::1], int64,"
    "float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])"
)
def use_plots(
    chosen: IntArray, partner: IntArray, whole: IntArray, mean: FloatArray, cov: FloatArray, mode: FloatArray,
    latest: FloatArray, noise: FloatArray, worse: FloatArray, x: FloatArray, p: FloatArray, w: FloatArray,
    ready_ns: IntArray, plot_ns: IntArray, plots: FloatArray, sigma: FloatArray, cell: FloatArray, sensor: int,
    place: FloatArray, rot: FloatArray, env: FloatArray, air: FloatArray, drag: FloatArray,
) -> None:  # fmt: skip
    """Each track (n) takes its `chosen` plot, -1 for none, in place: state, time, noise and what it is called.

    A plot is as exact as `sigma` (m, 4) times the track's `worse` (n, 4); one that is shared is as wide as the radar's
    `cell` (3) and teaches nothing of the radar's noise. x, p, w and `ready_ns` are what `gating.candidates` left: a
    prediction to the plot's time is not made again.
    """
    own, to = np.empty(4), room()
    for i in range(len(chosen)):
        j = chosen[i]
        if j < 0:
            continue
        for k in range(4):
            own[k] = worse[i, k] * sigma[j, k]
            if partner[i] >= 0 and k < 3:
                own[k] = max(cell[k], sigma[j, k])
        dt_s = (plot_ns[j] - whole[i, TIME]) * 1e-9
        # a single plot's prediction is of one model only
        if ready_ns[i] == plot_ns[j] and dt_s > 0.0 and whole[i, COUNT] > 1:
            update(x[i], p[i], w[i], plots[j], own, place, rot, to)
            mean[i], cov[i], mode[i] = x[i], p[i], w[i]
        else:
            carry_and_update(
                mean[i], cov[i], mode[i], dt_s, plots[j], own, place, rot, env, air, drag, x[i], p[i], w[i], to
            )
        passed_ns = max(plot_ns[j] - whole[i, TIME], 0)
        whole[i, TIME], whole[i, FED] = whole[i, TIME] + passed_ns, sensor
        if partner[i] < 0:
            whole[i, COUNT] += 1
            since_s = (plot_ns[j] - whole[i, BORN]) * 1e-9
            learn_noise(latest[i], noise[i], since_s, plots[j], sigma[j], float(sensor))
        if partner[i] >= 0:
            _note_sharing(whole[i], mean[i])
        # a plot that is another's as well shows nothing of how this one flies
        _call(mean[i], cov[i], mode[i], whole[i], passed_ns if partner[i] < 0 else 0)


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
    "void(int64[::1], int64[:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], float64[::1], float64[:,::1],"
    "float64[:,:,::1])"
)
def tell(
    rows: IntArray, whole: IntArray, mean: FloatArray, cov: FloatArray, mode: FloatArray, p: FloatArray,
    x: FloatArray, spread: FloatArray,
) -> None:  # fmt: skip
    """Of each of `rows` (k): p (k) of ballistic flight, state x (k, 7) and covariance (k, 7, 7).

    They are the ballistic model's for what is called ballistic, else those of the mixture of all models.
    """
    for r in range(len(rows)):
        i = rows[r]
        p[r] = _p_ballistic(mean[i], cov[i], mode[i], whole[i, MODEL], whole[i, DEBRIS] != 0)
        x[r], spread[r] = mean[i, BALLISTIC], cov[i, BALLISTIC]
        if whole[i, MODEL] == BALLISTIC:
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
    "boolean[::1](int64, int64[:,::1], float64[:,::1], float64[:,:,::1], float64[::1], int64[::1],"
    "float64[:,::1], float64[:,::1], float64[:,:,::1])"
)
def given_up(
    now_ns: int, whole: IntArray, real: FloatArray, mean: FloatArray, p_detect: FloatArray, update_ns: IntArray,
    coverage: FloatArray, places: FloatArray, rots: FloatArray,
) -> BoolArray:  # fmt: skip
    """Which tracks (n) to drop: too many looks missed of the sensor (s) that follows them, or too long silent.

    A look is missed at the sensor's chance of detection, `p_detect` (s). A faster sensor that should see the track as
    well does not count: it may be gone, blind or lying.
    """
    ended, ahead = np.zeros(len(whole), np.bool_), np.empty(3)
    for i in range(len(whole)):
        silent_ns, s = now_ns - whole[i, TIME], whole[i, FED]
        if silent_ns < update_ns[s]:
            continue
        for k in range(3):
            ahead[k] = mean[i, OTHER, k] + mean[i, OTHER, 3 + k] * silent_ns * 1e-9
        lost, coast_s = real[i, BEST] - real[i, SCORE], LONGEST_COAST_S
        if _covered(ahead, places[s], rots[s], coverage[s]):
            lost -= (silent_ns // update_ns[s]) * ln_miss(p_detect[s])
            coast_s = max(coast_s, COAST_LOOKS * update_ns[s] * 1e-9)
        allowed = TENTATIVE_DROP if whole[i, STATUS] == TENTATIVE else CONFIRMED_DROP
        ended[i] = lost > allowed or silent_ns * 1e-9 > coast_s
    return ended
