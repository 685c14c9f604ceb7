"""What speaks for a class: the drag that the plots show, and the launch that the flight leads back to."""

import math

from opencram.physics.kernel import device
from opencram.tables import FloatArray
from opencram.tracking.fit import FLOWN

C_SHAPE, C_LN_BETA, C_SIGMA, C_SLOWEST, C_FASTEST, C_LN_PRIOR, C_BURN_S, C_BURN_M = range(8)
C_LOW, C_HIGH, C_RCS, CLASS = range(8, 12)
"""Columns of a class: its drag curve; ln(beta) and sigma; least and most launch speed; ln(prior); how long a motor
burns and over what path; least and most launch elevation (rad); mean cross-section (dB m2).
"""
O_CLIMB, O_SLOWING, ORIGIN = 0, 1, 2
"""Columns of the launch: vertical speed (m/s), and how speed changes there by the metre (1/s)."""
SPEED_TOLERANCE = 0.04
"""One sigma of a launch speed round its class's span, as a share: charges and propellant temperature differ."""
ELEVATION_TOLERANCE_RAD = math.radians(4.0)
BURNT_SHARE, BURNT_SIGMA_S, SURE = 0.4, 0.2, 8.0
"""Free flight cannot begin before the motor has burnt: at even thrust the path until then, flown at the speed reached,
takes about half the time that it burns. No such evidence counts for more than e-8."""
BURN_SEEN_S = 1.5
"""The plots of free flight may begin so much later than it does: a slow radar, and plots that fit either."""
FASTEST_SPAN_MPS, WIDEST_RAD = 3_000.0, 1.6
"""A flight back that finds no launch tells nothing: any speed up to this, any elevation."""
LEAST_INFORMATION = 0.02
"""Below this share of its prior's information, the fit is taken to know nothing of ln(beta)."""


@device
def drag_evidence(ln_beta: float, var: float, c: FloatArray, prior: FloatArray) -> float:
    """ln of the density of what the plots say of ln(beta) under the class's spread, over that under the wide prior."""
    flat = 1.0 / (prior[1] * prior[1])
    known = 1.0 / var - flat
    if known <= LEAST_INFORMATION * flat:
        return 0.0
    seen = (ln_beta / var - prior[0] * flat) / known
    own, wide = 1.0 / known + c[C_SIGMA] * c[C_SIGMA], 1.0 / known + 1.0 / flat
    other = (seen - prior[0]) ** 2 / wide + math.log(wide)
    return float(0.5 * (other - (seen - c[C_LN_BETA]) ** 2 / own - math.log(own)))


@device
def _spread(row: FloatArray, cov: FloatArray) -> float:
    """Variance of a number with derivative `row` (9)."""
    s = 0.0
    for i in range(FLOWN):
        for j in range(FLOWN):
            s += row[i] * cov[i, j] * row[j]
    return max(float(s), 0.0)


@device
def late_boost(cov: FloatArray, back: FloatArray, c: FloatArray) -> float:
    """How little a class explains that the object still gained speed just before its fit begins, 0 to SURE.

    Its motor has burnt out by then, or it has none. `back` is the flight back to the launch.
    """
    if math.isnan(back[0, 0]):
        return 0.0
    if c[C_BURN_S] == 0.0:
        return SURE
    late_s = max(-back[2, 0] - c[C_BURN_S] - BURN_SEEN_S, 0.0)
    return float(min(0.5 * (late_s / math.hypot(BURNT_SIGMA_S, math.sqrt(_spread(back[2, 1:], cov)))) ** 2, SURE))


@device
def launch_evidence(
    shift: FloatArray, cov: FloatArray, back: FloatArray, at: FloatArray, origin: FloatArray, boost: bool, c: FloatArray
) -> float:
    """ln of the density of the launch's speed and elevation, and of the time and sight of a motor's burning."""
    if math.isnan(back[0, 0]):
        return -math.log(FASTEST_SPAN_MPS * WIDEST_RAD)
    speed, age = back[3, 0], -back[2, 0]
    for j in range(FLOWN):
        speed += back[3, 1 + j] * (shift[j] - at[j])
    burnt = speed + origin[O_SLOWING] * c[C_BURN_M]
    tolerance = math.sqrt((SPEED_TOLERANCE * burnt) ** 2 + _spread(back[3, 1:], cov))
    beyond = max(c[C_SLOWEST] - burnt, 0.0, burnt - c[C_FASTEST]) / tolerance
    log_w = -0.5 * beyond**2 - math.log(c[C_FASTEST] - c[C_SLOWEST] + 2.5 * tolerance)
    el = math.asin(min(max(origin[O_CLIMB] / max(speed, 1.0), -1.0), 1.0))
    blur = math.hypot(ELEVATION_TOLERANCE_RAD, math.sqrt(max(cov[5, 5], 0.0)) / max(speed, 1.0))
    if not math.isnan(c[C_LOW]):
        beyond = max(c[C_LOW] - el, 0.0, el - c[C_HIGH]) / blur
        log_w -= 0.5 * beyond**2 + math.log(c[C_HIGH] - c[C_LOW] + 2.5 * blur)
    if c[C_BURN_S] > 0.0:
        blur = math.hypot(BURNT_SIGMA_S, math.sqrt(_spread(back[2, 1:], cov)))
        log_w -= min(0.5 * (max(BURNT_SHARE * c[C_BURN_S] - age, 0.0) / blur) ** 2, SURE)
    if boost:
        log_w -= late_boost(cov, back, c)
    return float(log_w)


@device
def most_launch_evidence(c: FloatArray) -> float:
    """What `launch_evidence` cannot exceed, whatever launch the flight leads back to."""
    log_w = -math.log(c[C_FASTEST] - c[C_SLOWEST])
    if not math.isnan(c[C_LOW]):
        log_w -= math.log(c[C_HIGH] - c[C_LOW] + 2.5 * ELEVATION_TOLERANCE_RAD)
    return float(max(log_w, -math.log(FASTEST_SPAN_MPS * WIDEST_RAD)))
