"""The fit of one track: the flight, without process noise, that explains its plots best, by maximum a posteriori.

Parameters (12) are the state at the epoch, the time of the first plot used (ENU position m, velocity m/s, ln(beta)),
the wind (east, north, m/s), and the bias of the radar (range m, azimuth and elevation rad). A flight through the air is
exact but for these, so nothing is forgotten: with the right drag curve such a fit attains the Cramer-Rao bound (Van
Trees, Detection, Estimation, and Modulation Theory, part I).

Plots are taken in one number after the other, as a Kalman filter without process noise does, all linearised about one
reference flight; that is one Gauss-Newton step on the whole batch. `refit` repeats it about its own result until it
stays; `extend` takes in what has come since, about the same reference.

A refit takes the newest plot first. Going back in time, the flight that the later plots tell of must lead to the
earlier ones as well; where it does not, a motor burnt, a radar was pulling in, or the plots were another's, and the fit
has to begin behind that.

Wind and bias are parameters with a prior, for nobody tells them; leaving them in keeps the covariance honest. The bias
is that of the sensor of the first plot: where several see the track, the others are taken to be true. A plot far from
where it is expected counts less (its error is taken to be as large as it looks), and errors larger or smaller than the
sensor states are learnt from the innovations.

Rows of `seen`: time s, range m, azimuth rad, elevation rad, range rate m/s, and the sigmas of these four; NaN where not
measured. `told` (16) holds what a refit found out, in the T_ columns.
"""

import math

import numpy as np

from opencram.physics.flight import LONGEST_TANGENT_STEP_S, advance, carry
from opencram.physics.kernel import device
from opencram.physics.place import E_WIND_E, E_WIND_N
from opencram.tables import FloatArray, IntArray
from opencram.tracking.filters import observe, residual
from opencram.tracking.noise import NEIGHBOURS

PARAMETERS, FLOWN, BIAS = 12, 9, 9
"""All parameters; those by which the flight itself goes come first; where the bias begins."""
BIASED, RANGE_BIAS_SIGMAS, ANGLE_BIAS_SIGMAS = 3, 1.5, 0.5
"""Measured quantities that may be biased, and by how many of the sensor's sigmas, one sigma of it, when they are: an
axis is levelled and turned better than one look can tell."""
MEASURED = 4
SEEN_COLUMNS = 1 + 2 * MEASURED

VELOCITY_PRIOR_MPS, POSITION_PRIOR_M, WIND_PRIOR_MPS = 1_000.0, 1e5, 5.0
"""Nothing is known of place and speed; a wind of 5 m/s per axis is usual, and 10 m/s no surprise."""
OUTLIER = 3.5
"""An innovation of more sigmas counts as if the radar's error had been so large: one true one in 2,000."""
SETTLED = 0.1
"""A fit has settled when no parameter moves by more than this share of its sigma."""
MOST_ROUNDS = 5
GUESS_S = 2.0
FARTHEST = 4.0
"""The reference stays within so many sigmas of the prior of ln(beta) and wind, or a poor start would run away."""
FAILS = -1
MOST_SIGMAS = 10.0
"""A flight so many sigmas of the prior of place or speed away is none: its fit ran away."""

T_LOG_LIKE, T_MISS, T_PARTS, T_NOISE, T_BIAS, TOLD = 0, 1, 5, 9, 13, 16
"""Columns of `told`: log-likelihood of the plots; by measured quantity the sum of squared innovations and their number,
an innovation counting by the share of its variance that is the radar's (what the fit did not know yet tells nothing);
the radar's variance over that stated, by how much neighbouring plots differ whatever the flight; and the sigmas of the
bias before any plot."""
NOISE_PRIOR = 8.0
"""The stated sigma is held as if so many differences had shown it."""

RUN = 5
"""So many innovations are summed up to see whether they lean to one side;"""
LEANS = 40.0
"""chi-squared with three degrees of freedom exceeds this once in 100 million times."""

R_ROW, R_MISS, R_VAR, BUFFER = 0, 12, 13, 14
"""A measured number in the buffer: its derivative by the parameters, measured less expected, stated variance or NaN."""


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
def _rows(
    seen: FloatArray,
    by: IntArray,
    since_s: float,
    first_by: int,
    bias: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
    out: FloatArray,
) -> None:
    """What the plots `seen` (n, 9) of sensors `by` (n,) say of the parameters, into the buffer `out` (n, 4, 14).

    The reference flight `now` and its `tangent` (6, 9) stand at `since_s` before and at the last plot after; `bias` (3)
    is the reference's, of the sensor `first_by`.
    """
    h, jac = np.empty(MEASURED), np.empty((MEASURED, 7))
    t = since_s
    for i in range(len(seen)):
        if seen[i, 0] != t:
            _carry_on(now, tangent, seen[i, 0] - t, env, air, drag)
            t = seen[i, 0]
        observe(now, places[by[i]], rots[by[i]], h, jac)
        for m in range(MEASURED):
            z, sigma = seen[i, 1 + m], seen[i, 1 + MEASURED + m]
            out[i, m, R_VAR] = sigma * sigma if not math.isnan(z) else math.nan
            if math.isnan(out[i, m, R_VAR]):
                continue
            own = m < BIASED and by[i] == first_by
            out[i, m, R_MISS] = residual(m, z, h[m] + bias[m] if own else h[m])
            for j in range(FLOWN):
                s = 0.0
                for k in range(3 if m < 3 else 6):
                    s += jac[m, k] * tangent[k, j]
                out[i, m, R_ROW + j] = s
            for j in range(BIASED):
                out[i, m, R_ROW + BIAS + j] = 1.0 if own and j == m else 0.0


@device
def _take(row: FloatArray, m: int, scale: FloatArray, shift: FloatArray, cov: FloatArray, told: FloatArray) -> float:
    """Take in one number of the buffer; its innovation in sigmas, as far as the radar's error makes it up."""
    nu, share = _absorb(shift, cov, row[:PARAMETERS], row[R_MISS], row[R_VAR] * scale[m], told)
    seen = math.sqrt(share) * nu
    capped = max(min(seen, OUTLIER), -OUTLIER)
    told[T_MISS + m] += capped * capped
    told[T_PARTS + m] += share
    return seen


@device
def _noise(buffer: FloatArray, seen: FloatArray, by: IntArray, told: FloatArray) -> None:
    """The radar's variance over that stated, from how far each plot is off the line between its neighbours."""
    for m in range(MEASURED):
        total, count = 0.0, 0.0
        for i in range(1, len(seen) - 1):
            a, b, c = buffer[i - 1, m], buffer[i, m], buffer[i + 1, m]
            if by[i - 1] != by[i] or by[i + 1] != by[i] or math.isnan(a[R_VAR] + b[R_VAR] + c[R_VAR]):
                continue
            w = (seen[i, 0] - seen[i - 1, 0]) / max(seen[i + 1, 0] - seen[i - 1, 0], 1e-9)
            off = b[R_MISS] - (1.0 - w) * a[R_MISS] - w * c[R_MISS]
            var = b[R_VAR] + (1.0 - w) ** 2 * a[R_VAR] + w * w * c[R_VAR]
            total += min(off * off / var, 2.0 * OUTLIER * OUTLIER)
            count += 1.0
        told[T_NOISE + m] = (NOISE_PRIOR + total / NEIGHBOURS) / (NOISE_PRIOR + count / NEIGHBOURS)


@device
def _take_back(buffer: FloatArray, scale: FloatArray, shift: FloatArray, cov: FloatArray, told: FloatArray) -> int:
    """Take in the whole buffer, newest first; the first plot from which on one flight explains them all."""
    n = len(buffer)
    run, leans = np.zeros((n, MEASURED)), 0
    for i in range(n - 1, -1, -1):
        lean = 0.0
        for m in range(MEASURED):
            if math.isnan(buffer[i, m, R_VAR]):
                continue
            run[i, m] = _take(buffer[i, m], m, scale, shift, cov, told) * math.sqrt(scale[m] / told[T_NOISE + m])
            if i + RUN <= n:
                total = 0.0
                for k in range(RUN):
                    total += run[i + k, m]
                lean += total * total / RUN
        if lean > LEANS and leans == 0:
            leans = i + RUN
    return leans


@device
def place_of(seen: FloatArray, place: FloatArray, rot: FloatArray) -> tuple[float, float, float]:
    """Site ENU position of a plot, a row of `seen`; without elevation that at the sensor's height stands in."""
    el = 0.0 if math.isnan(seen[3]) else seen[3]
    flat = seen[1] * math.cos(el)
    x, y, z = flat * math.sin(seen[2]), flat * math.cos(seen[2]), seen[1] * math.sin(el)
    return (
        place[0] + rot[0, 0] * x + rot[1, 0] * y + rot[2, 0] * z,
        place[1] + rot[0, 1] * x + rot[1, 1] * y + rot[2, 1] * z,
        place[2] + rot[0, 2] * x + rot[1, 2] * y + rot[2, 2] * z,
    )


@device
def _guess(
    seen: FloatArray, by: IntArray, places: FloatArray, rots: FloatArray, ln_beta: float, ref: FloatArray
) -> None:
    """A flight to begin with: from the first plot, at the mean velocity of the first GUESS_S, and falling."""
    n = 1
    while n < len(seen) - 1 and seen[n, 0] - seen[0, 0] < GUESS_S:
        n += 1
    first, end = place_of(seen[0], places[by[0]], rots[by[0]]), place_of(seen[n], places[by[n]], rots[by[n]])
    span = max(seen[n, 0] - seen[0, 0], 1e-3)
    for k in range(3):
        ref[k], ref[3 + k] = first[k], (end[k] - first[k]) / span
    ref[5] += 4.9 * span
    ref[6] = ln_beta
    for k in range(7, PARAMETERS):
        ref[k] = 0.0


@device
def _tie(ref: FloatArray, prior: FloatArray, bias: FloatArray) -> None:
    """Keep the reference near the prior where there is one; `bias` (3) are the sigmas of the bias."""
    ref[6] = min(max(ref[6], prior[0] - FARTHEST * prior[1]), prior[0] + FARTHEST * prior[1])
    for k in range(7, 9):
        ref[k] = min(max(ref[k], -FARTHEST * WIND_PRIOR_MPS), FARTHEST * WIND_PRIOR_MPS)
    for k in range(BIASED):
        ref[BIAS + k] = min(max(ref[BIAS + k], -FARTHEST * bias[k]), FARTHEST * bias[k])


@device
def _begin(ref: FloatArray, prior: FloatArray, bias: FloatArray, shift: FloatArray, cov: FloatArray) -> None:
    """The prior, as shift from the reference and covariance."""
    shift[:], cov[:] = 0.0, 0.0
    for k in range(3):
        cov[k, k] = POSITION_PRIOR_M**2
        cov[3 + k, 3 + k] = VELOCITY_PRIOR_MPS**2
        shift[3 + k] = -ref[3 + k]
    cov[6, 6], shift[6] = prior[1] ** 2, prior[0] - ref[6]
    for k in range(7, 9):
        cov[k, k], shift[k] = WIND_PRIOR_MPS**2, -ref[k]
    for k in range(BIASED):
        cov[BIAS + k, BIAS + k], shift[BIAS + k] = bias[k] ** 2, -ref[BIAS + k]


@device
def _exists(ref: FloatArray, shift: FloatArray, cov: FloatArray) -> bool:
    """Whether a fit is a flight that can be: finite, of a place and speed on Earth, with variances above zero."""
    for i in range(PARAMETERS):
        if not (math.isfinite(shift[i]) and cov[i, i] > 0.0):
            return False
    for k in range(3):
        if abs(ref[k] + shift[k]) > MOST_SIGMAS * POSITION_PRIOR_M:
            return False
        if abs(ref[3 + k] + shift[3 + k]) > MOST_SIGMAS * VELOCITY_PRIOR_MPS:
            return False
    return True


@device
def refit(
    seen: FloatArray,
    by: IntArray,
    known: bool,
    epoch_s: float,
    prior: FloatArray,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> int:
    """Fit all plots anew, from the reference `ref` (12) where it is `known`; from which plot on one flight fits them.

    `epoch_s` is when the reference was at its state; afterwards that is the time of the first plot.

    Leaves the reference, the shift from it, the covariance, and the reference flight at the last plot with its
    tangent. `scale` (4) multiplies the variances stated, `prior` is the mean and sigma of ln(beta). FAILS where
    nothing fits.
    """
    if known:
        for i in range(PARAMETERS):
            ref[i] += shift[i]
    else:
        _guess(seen, by, places, rots, prior[0], ref)
    here, buffer, start = env.copy(), np.empty((len(seen), MEASURED, BUFFER)), FAILS
    if known and epoch_s != seen[0, 0]:
        here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7], env[E_WIND_N] + ref[8]
        _carry_on(ref[:7], tangent, seen[0, 0] - epoch_s, here, air, drag)
    bias = np.empty(BIASED)
    for k in range(BIASED):
        sigma = seen[len(seen) - 1, 1 + MEASURED + k]
        bias[k] = 1.0 if math.isnan(sigma) else (RANGE_BIAS_SIGMAS if k == 0 else ANGLE_BIAS_SIGMAS) * sigma
    for rounds in range(MOST_ROUNDS):
        _tie(ref, prior, bias)
        here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7], env[E_WIND_N] + ref[8]
        _begin(ref, prior, bias, shift, cov)
        now[:] = ref[:7]
        tangent[:] = np.eye(6, FLOWN)
        told[:] = 0.0
        told[T_BIAS:] = bias
        _rows(seen, by, seen[0, 0], by[0], ref[BIAS:], now, tangent, places, rots, here, air, drag, buffer)
        _noise(buffer, seen, by, told)
        start = _take_back(buffer, scale, shift, cov, told)
        if not _exists(ref, shift, cov):
            return FAILS
        moved = 0.0
        for i in range(PARAMETERS):
            moved = max(moved, abs(shift[i]) / math.sqrt(cov[i, i]))
        if moved < SETTLED or rounds == MOST_ROUNDS - 1:
            break
        for i in range(PARAMETERS):
            ref[i] += shift[i]
    return start


@device
def extend(
    seen: FloatArray,
    by: IntArray,
    since_s: float,
    first_by: int,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> None:
    """Take in plots that came since the last refit, about the same reference flight, which stands at `since_s`.

    `first_by` is the sensor of the fit's first plot. A fit that runs away gets a log-likelihood of minus infinity.
    """
    here, buffer = env.copy(), np.empty((len(seen), MEASURED, BUFFER))
    here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7], env[E_WIND_N] + ref[8]
    _rows(seen, by, since_s, first_by, ref[BIAS:], now, tangent, places, rots, here, air, drag, buffer)
    for i in range(len(seen)):
        for m in range(MEASURED):
            if not math.isnan(buffer[i, m, R_VAR]):
                _take(buffer[i, m], m, scale, shift, cov, told)
    if not _exists(ref, shift, cov):
        told[T_LOG_LIKE] = -math.inf
