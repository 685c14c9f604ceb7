"""What a ballistic track may be: one Gaussian per class, weighed by drag, launch speed and prior.

The filter runs under one wide prior of ln(beta). For a class that prior is taken out and the class's own put in, which
is a Kalman update of the seventh state with a made-up measurement; the evidence for the class is the likelihood of the
filter's ln(beta) under the class's spread, times the density of the launch speed under the class's span of speeds.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.physics.threats import Threat
from opencram.tables import FloatArray
from opencram.tracking.filters import STATES

CLASS_COLUMNS = 5
"""ln(beta), its sigma, least and most launch speed, prior."""
SPEED_TOLERANCE = 0.04
"""One sigma of a launch speed round its class's span, as a share: charges and propellant temperature differ."""
LEAST_INFORMATION = 0.02
"""Below this share of its prior's information, the filter is taken to know nothing of ln(beta)."""


def class_rows(threats: list[Threat]) -> FloatArray:
    """The figures that `weigh` needs of each class, (c, 5)."""
    rows = [(t.ln_beta, t.ln_beta_sigma, *t.speed_mps, t.prior) for t in threats]
    return np.array(rows, np.float64).reshape(-1, CLASS_COLUMNS)


@device
def _condition(
    mean: FloatArray,
    cov: FloatArray,
    mu: float,
    sigma: float,
    prior_mean: float,
    prior_sigma: float,
    out_mean: FloatArray,
    out_cov: FloatArray,
) -> None:
    """The track given the class: the wide prior of ln(beta) exchanged for the class's."""
    flat = 1.0 / (prior_sigma * prior_sigma)
    var = 1.0 / (1.0 / (sigma * sigma) - flat)
    made_up = var * (mu / (sigma * sigma) - prior_mean * flat)
    s = cov[6, 6] + var
    for i in range(STATES):
        gain = cov[i, 6] / s
        out_mean[i] = mean[i] + gain * (made_up - mean[6])
        for j in range(STATES):
            out_cov[i, j] = cov[i, j] - gain * cov[6, j]


@kernel(
    "void(float64[::1], float64[:,::1], float64[:,::1], float64, float64, float64, float64,"
    "float64[::1], float64[:,::1], float64[:,:,::1])"
)
def weigh(
    mean: FloatArray,
    cov: FloatArray,
    classes: FloatArray,
    prior_mean: float,
    prior_sigma: float,
    speed_mps: float,
    speed_sigma_mps: float,
    weights: FloatArray,
    means: FloatArray,
    covs: FloatArray,
) -> None:
    """Weights (c,), means (c, 7) and covariances (c, 7, 7) of the classes, given a track and its launch speed.

    A launch speed that is NaN says nothing. `prior_mean` and `prior_sigma` are the filter's own of ln(beta).
    """
    flat = 1.0 / (prior_sigma * prior_sigma)
    known = 1.0 / cov[6, 6] - flat
    informed = known > LEAST_INFORMATION * flat
    seen_mean = (mean[6] / cov[6, 6] - prior_mean * flat) / known if informed else 0.0
    total = 0.0
    for c in range(classes.shape[0]):
        mu, sigma = classes[c, 0], classes[c, 1]
        log_w = math.log(max(classes[c, 4], 1e-12))
        if informed:
            var = 1.0 / known + sigma * sigma
            log_w -= 0.5 * ((seen_mean - mu) ** 2 / var + math.log(var))
        if not math.isnan(speed_mps):
            tolerance = math.hypot(SPEED_TOLERANCE * speed_mps, speed_sigma_mps)
            low, high = classes[c, 2], classes[c, 3]
            beyond = max(low - speed_mps, 0.0, speed_mps - high)
            log_w -= 0.5 * (beyond / tolerance) ** 2 + math.log(high - low + 2.5 * tolerance)
        weights[c] = log_w
        _condition(mean, cov, mu, sigma, prior_mean, prior_sigma, means[c], covs[c])
    top = weights.max()
    for c in range(len(weights)):
        weights[c] = math.exp(weights[c] - top)
        total += weights[c]
    for c in range(len(weights)):
        weights[c] /= total
