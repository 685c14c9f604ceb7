"""The Cramer-Rao bound of a shot's impact point, told its class: what no unbiased estimator can be better than.

Posterior bound (Van Trees, Detection, Estimation, and Modulation Theory, part I, section 2.4) over nine parameters:
position and velocity at the first plot after burn-out (no prior), ln(beta) (the class's sigma) and wind (WIND_MPS per
axis). Derivatives are central differences of whole flights, so they share nothing with the estimator's tangents.
"""

import numpy as np

from accuracy.shots import AIR, STEP_S, WIND_MPS, Case, Seen, Shot, exact, worse
from opencram.physics.flight import fly, to_ground
from opencram.physics.place import E_WIND_E, FLAT
from opencram.tables import FloatArray

NUDGE = np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 1e-3, 0.1, 0.1])


def bounds(shot: Shot, seen: Seen, case: Case) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Times (k) of the plots after burn-out; the bound with all plots up to each: impact covariance (k, 2, 2), and that
    of the launch (k, 2, 2), NaN for rockets, whose boost hides it."""
    times = seen.time_s[seen.time_s >= 0.0]
    first = round(times[0] / STEP_S)
    rows = np.rint(times / STEP_S).astype(int) - first
    start = np.ascontiguousarray(shot.path[first])
    flown = [_flown(shot, start, j, sign, int(rows[-1])) for j in range(9) for sign in (1.0, -1.0)]
    slopes = np.stack([(flown[2 * j][0] - flown[2 * j + 1][0]) / (2.0 * NUDGE[j]) for j in range(9)], axis=-1)
    ends = np.stack([(flown[2 * j][1] - flown[2 * j + 1][1]) / (2.0 * NUDGE[j]) for j in range(9)], axis=-1)
    origins = np.stack([(flown[2 * j][2] - flown[2 * j + 1][2]) / (2.0 * NUDGE[j]) for j in range(9)], axis=-1)
    sigma = case.sigma * worse(seen.time_s, case)[seen.time_s >= 0.0, None]
    weight = np.nan_to_num(1.0 / sigma**2)
    each = np.einsum("kmi,km,kmj->kij", slopes[rows], weight, slopes[rows])
    prior = np.diag([0.0] * 3 + [1e-6] * 3 + [shot.threat.ln_beta_sigma**-2, WIND_MPS**-2, WIND_MPS**-2])
    information = np.cumsum(each, axis=0) + prior
    size = np.sqrt(np.maximum(np.diagonal(information, axis1=1, axis2=2), 1e-12))
    scaled = information / (size[:, :, None] * size[:, None, :])
    cov = np.linalg.pinv(scaled, hermitian=True) / (size[:, :, None] * size[:, None, :])
    return times, ends @ cov @ ends.T, origins @ cov @ origins.T


def _flown(shot: Shot, start: FloatArray, j: int, sign: float, steps: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Measured values (n, 4), impact (2) and launch (2) with parameter j nudged."""
    y, env = start.copy(), shot.env.copy()
    if j < 7:
        y[j] += sign * NUDGE[j]
    else:
        env[E_WIND_E + j - 7] += sign * NUDGE[j]
    drag = shot.threat.drag
    path = fly(y, STEP_S, steps, env, AIR, drag)
    return exact(path), to_ground(y, 1.0, env, AIR, FLAT, drag)[:2], to_ground(y, -1.0, env, AIR, FLAT, drag)[:2]
