"""The fit of one track: the flight, without process noise, that explains its plots best, by maximum a posteriori.

Parameters (9) are the state at the epoch, the time of the first plot used (ENU position m, velocity m/s, ln(beta)), and
the wind (east, north, m/s). A flight through the air is exact but for these, so nothing is forgotten: with the right
drag curve such a fit attains the Cramer-Rao bound (Van Trees, Detection, Estimation, and Modulation Theory, part I).

One sweep takes the plots one after the other, as a Kalman filter without process noise does, all linearised about one
reference flight; that is one Gauss-Newton step on the whole batch, and the step from plot to plot afterwards. `refit`
repeats the sweep about its own result until it stays; `extend` takes in what has come since.

The wind is a parameter with a prior, for nobody tells it; leaving it in keeps the covariance honest. A plot far from
where it is expected counts less (its error is taken to be as large as it looks), and errors larger or smaller than the
sensor states are learnt from the innovations.

Rows of `seen`: time s, range m, azimuth rad, elevation rad, range rate m/s, and the sigmas of these four; NaN where not
measured. `told` (11) holds what a sweep found out, in the T_ columns.
"""

import math

import numpy as np

from opencram.physics.flight import E_WIND_E, E_WIND_N, LONGEST_TANGENT_STEP_S, advance, carry
from opencram.physics.kernel import device
from opencram.tables import FloatArray, IntArray
from opencram.tracking.filters import LEAST_LN_BETA, MOST_LN_BETA, observe, residual

PARAMETERS = 9
MEASURED = 4
SEEN_COLUMNS = 1 + 2 * MEASURED

VELOCITY_PRIOR_MPS, POSITION_PRIOR_M, WIND_PRIOR_MPS = 1_000.0, 1e5, 5.0
"""Nothing is known of place and speed; a wind of 5 m/s per axis is usual, and 10 m/s no surprise."""
OUTLIER = 3.5
"""An innovation of more sigmas counts as if the radar's error had been so large: one true one in 2,000."""
SETTLED = 0.1
"""A fit has settled when no parameter moves by more than this share of its sigma."""
MOST_ROUNDS = 5

T_LOG_LIKE, T_TURN, T_TURNS, T_MISS, T_PARTS, TOLD = 0, 1, 2, 3, 7, 11
"""Columns of `told`: log-likelihood of the plots; the sum of products of successive innovations, nil on average where
the flight fits, and its variance; by measured quantity, the sum of squared innovations and their number. An innovation
counts by the share of its variance that is the radar's: what the fit did not know yet tells nothing."""


@device
def _absorb(
    shift: FloatArray, cov: FloatArray, row: FloatArray, miss: float, var: float, told: FloatArray
) -> tuple[float, float]:
    """Take in one measured number, linear in the shift from the reference by `row`.

    Returns the innovation in sigmas and the share of its variance that is the radar's.
    """
    gain = np.empty(PARAMETERS)
    spread, nu = var, miss
    for i in range(PARAMETERS):
        s = 0.0
        for j in range(PARAMETERS):
            s += cov[i, j] * row[j]
        gain[i] = s
        spread += row[i] * s
        nu -= row[i] * shift[i]
    seen, share = nu / math.sqrt(spread), var / spread
    if abs(seen) > OUTLIER:
        spread *= (seen / OUTLIER) ** 2
    told[T_LOG_LIKE] -= 0.5 * (math.log(2.0 * math.pi * spread) + nu * nu / spread)
    for i in range(PARAMETERS):
        shift[i] += gain[i] / spread * nu
    for i in range(PARAMETERS):
        for j in range(i + 1):
            cov[i, j] -= gain[i] * gain[j] / spread
            cov[j, i] = cov[i, j]
    return seen, share


@device
def _carry_on(
    now: FloatArray, tangent: FloatArray, dt_s: float, env: FloatArray, air: FloatArray, drag: FloatArray
) -> None:
    """The reference flight and its derivative by the parameters, dt_s on (or back), in place."""
    slopes, k, none, after = np.empty((4, 3, 9)), np.zeros((4, 3)), np.zeros(3), np.empty(7)
    steps = math.ceil(abs(dt_s) / LONGEST_TANGENT_STEP_S - 1e-9)
    for _ in range(steps):
        advance(now, 0.0, dt_s / steps, none, env, air, drag, slopes, after)
        carry(tangent, slopes, dt_s / steps, k)
        now[:] = after


@device
def sweep(
    seen: FloatArray,
    by: IntArray,
    since_s: float,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    scale: FloatArray,
    last: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> None:
    """Take in the plots `seen` (n, 9) of sensors `by` (n,), in place; `now` and `tangent` stand at `since_s` before.

    `scale` (4) multiplies the variances stated, `last` (8) holds the innovations of the plot before and their
    shares.
    """
    h, jac, row = np.empty(MEASURED), np.empty((MEASURED, 7)), np.empty(PARAMETERS)
    t = since_s
    for i in range(len(seen)):
        if seen[i, 0] != t:
            _carry_on(now, tangent, seen[i, 0] - t, env, air, drag)
            t = seen[i, 0]
        observe(now, places[by[i]], rots[by[i]], h, jac)
        for m in range(MEASURED):
            z, sigma = seen[i, 1 + m], seen[i, 1 + MEASURED + m]
            if math.isnan(z) or math.isnan(sigma):
                continue
            for j in range(PARAMETERS):
                row[j] = 0.0
                for k in range(3 if m < 3 else 6):
                    row[j] += jac[m, k] * tangent[k, j]
            nu, share = _absorb(shift, cov, row, residual(m, z, h[m]), sigma * sigma * scale[m], told)
            nu = math.sqrt(share) * max(min(nu, OUTLIER), -OUTLIER)
            told[T_TURN] += nu * last[m]
            told[T_TURNS] += share * last[MEASURED + m]
            told[T_MISS + m] += nu * nu
            told[T_PARTS + m] += share
            last[m], last[MEASURED + m] = nu, share


@device
def _guess(
    seen: FloatArray, by: IntArray, places: FloatArray, rots: FloatArray, ln_beta: float, ref: FloatArray
) -> None:
    """A flight to begin with: from the first plot, at the mean velocity to the last one, and falling."""
    first, end = np.empty(3), np.empty(3)
    span = seen[len(seen) - 1, 0] - seen[0, 0]
    for i, out in ((0, first), (len(seen) - 1, end)):
        el = 0.0 if math.isnan(seen[i, 3]) else seen[i, 3]
        flat, rot = seen[i, 1] * math.cos(el), rots[by[i]]
        d = (flat * math.sin(seen[i, 2]), flat * math.cos(seen[i, 2]), seen[i, 1] * math.sin(el))
        for k in range(3):
            out[k] = places[by[i], k] + rot[0, k] * d[0] + rot[1, k] * d[1] + rot[2, k] * d[2]
    for k in range(3):
        ref[k] = first[k]
        ref[3 + k] = (end[k] - first[k]) / max(span, 1e-3)
    ref[5] += 4.9 * span
    ref[6], ref[7], ref[8] = ln_beta, 0.0, 0.0


@device
def _begin(ref: FloatArray, prior: FloatArray, shift: FloatArray, cov: FloatArray) -> None:
    """The prior, as shift from the reference and covariance."""
    shift[:], cov[:] = 0.0, 0.0
    for k in range(3):
        cov[k, k] = POSITION_PRIOR_M**2
        cov[3 + k, 3 + k] = VELOCITY_PRIOR_MPS**2
        shift[3 + k] = -ref[3 + k]
    cov[6, 6], shift[6] = prior[1] ** 2, prior[0] - ref[6]
    for k in range(7, 9):
        cov[k, k], shift[k] = WIND_PRIOR_MPS**2, -ref[k]


@device
def refit(
    seen: FloatArray,
    by: IntArray,
    known: bool,
    prior: FloatArray,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    last: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> bool:
    """Fit all plots anew, from the reference `ref` (9) where it is `known`; whether it came to rest.

    Leaves the reference, the shift from it, the covariance, and the reference flight at the last plot with its
    tangent. `prior` is the mean and sigma of ln(beta).
    """
    if known:
        for i in range(PARAMETERS):
            ref[i] += shift[i]
    else:
        _guess(seen, by, places, rots, prior[0], ref)
    here = env.copy()
    for rounds in range(MOST_ROUNDS):
        ref[6] = min(max(ref[6], LEAST_LN_BETA), MOST_LN_BETA)
        here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7], env[E_WIND_N] + ref[8]
        _begin(ref, prior, shift, cov)
        now[:] = ref[:7]
        tangent[:] = np.eye(6, PARAMETERS)
        last[:], told[:] = 0.0, 0.0
        sweep(seen, by, seen[0, 0], shift, cov, now, tangent, scale, last, told, places, rots, here, air, drag)
        moved = 0.0
        for i in range(PARAMETERS):
            moved = max(moved, abs(shift[i]) / math.sqrt(max(cov[i, i], 1e-30)))
        if not moved < 1e6:
            return False
        if moved < SETTLED or rounds == MOST_ROUNDS - 1:
            break
        for i in range(PARAMETERS):
            ref[i] += shift[i]
    return True


@device
def extend(
    seen: FloatArray,
    by: IntArray,
    since_s: float,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    last: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> None:
    """Take in plots that came since the last refit, about the same reference flight."""
    here = env.copy()
    here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7], env[E_WIND_N] + ref[8]
    sweep(seen, by, since_s, shift, cov, now, tangent, scale, last, told, places, rots, here, air, drag)
