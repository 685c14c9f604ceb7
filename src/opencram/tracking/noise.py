"""How large a radar's errors really are, as each track shows them: quoted sigmas are not always true.

Three plots in a row, close in time, lie on a line whatever flies; how far the middle one is off it tells the radar's
error alone. Second differences overlap, so that NEIGHBOURS of them tell what one independent number does (their
correlations are -2/3 and 1/6).
"""

import math

import numpy as np

from opencram.physics.kernel import kernel
from opencram.tables import FloatArray

MEASURED = 4
LONGEST_S = 0.5
"""Three plots over a longer time may bend: 50 m/s2 leaves 1.6 m then."""
PRIOR = 10.0
"""The stated sigma is held as if so many numbers had shown it."""
NEIGHBOURS = 1.94
MOST = 300.0
"""More numbers than this are not saved up, so that a radar that changes is noticed."""
OUTLIER = 24.0
"""A difference counts no more than this times what is believed: one of them may be with another's plot."""
LEAST, LARGEST = 0.2, 16.0
L_TIME, L_SENSOR, LATEST = 0, 5, 6
"""A plot in `latest`: time s, range m, azimuth rad, elevation rad, range rate m/s, sensor."""


@kernel("void(float64[:,::1], float64[:,::1], float64, float64[::1], float64[::1], float64)")
def learn_noise(
    latest: FloatArray, noise: FloatArray, time_s: float, z: FloatArray, sigma: FloatArray, sensor: float
) -> None:
    """Take in a track's next plot z (4) with its stated sigmas (4), in place.

    `latest` (2, 6) are the plots before, NaN where there are none; `noise` (2, 4) is the true variance over the stated
    one, by measured quantity, and how many numbers showed it.
    """
    a, b = latest[0], latest[1]
    span = time_s - a[L_TIME]
    if span <= LONGEST_S and b[L_TIME] > a[L_TIME] and time_s > b[L_TIME] and a[L_SENSOR] == b[L_SENSOR] == sensor:
        w = (b[L_TIME] - a[L_TIME]) / span
        for m in range(MEASURED):
            ahead, off = z[m] - b[1 + m], b[1 + m] - a[1 + m]
            if m == 1:
                ahead -= 2.0 * math.pi * math.floor(ahead / (2.0 * math.pi) + 0.5)
                off -= 2.0 * math.pi * math.floor(off / (2.0 * math.pi) + 0.5)
            off = (1.0 - w) * off - w * ahead
            if math.isnan(off) or math.isnan(sigma[m]):
                continue
            square = off * off / (sigma[m] ** 2 * (1.0 + w * w + (1.0 - w) ** 2))
            known = PRIOR + noise[1, m]
            noise[0, m] += (min(square, OUTLIER * noise[0, m]) - noise[0, m]) / (NEIGHBOURS * known + 1.0)
            noise[0, m] = min(max(noise[0, m], LEAST), LARGEST)
            noise[1, m] = min(noise[1, m] + 1.0 / NEIGHBOURS, MOST)
    latest[0] = b
    latest[1, L_TIME], latest[1, L_SENSOR] = time_s, sensor
    latest[1, 1:L_SENSOR] = z


def no_plots(n: int) -> FloatArray:
    """`latest` of n tracks without a plot."""
    return np.full((n, 2, LATEST), np.nan)


def as_stated(n: int) -> FloatArray:
    """`noise` of n tracks that have shown nothing."""
    noise = np.zeros((n, 2, MEASURED))
    noise[:, 0] = 1.0
    return noise
