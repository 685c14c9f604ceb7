"""How large an object is, from the strength of its plots.

Only what is strong enough becomes a plot, so that the plots of a small object look larger than it is: as large as what
can just be seen. Beyond the radar's threshold the power of an object that fluctuates (Swerling's case 1) is exponential
again, with the mean that it has with noise, wherever the threshold lies (an exponential distribution has no memory).
"""

import math

import numpy as np

from opencram.physics.kernel import device
from opencram.tables import FloatArray
from opencram.tracking.amplitude import THRESHOLD

Z_SUM, Z_COUNT, Z_NOISE, SIZE = range(4)
"""Of an object: the sum of what its plots have beyond the threshold (m2), how many told it, and the sum of what the
noise would be as a cross-section (m2)."""
Z_PLOTS = 30.0
"""The size is that of about so many of the newest plots: a track may go over from a bird to an aircraft."""
LARGEST = 16.0
"""One plot counts no more than this times the mean: chances are e-16 that it is the object's."""
LEAST_M2 = 1e-6
RCS_SIGMA_DB = 5.0
"""How far a type's mean cross-section is from the catalogue's, one sigma."""
DB = 10.0 / math.log(10.0)


def beyond_threshold(rcs_dbsm: FloatArray, snr_db: FloatArray) -> FloatArray:
    """Of plots (m,) what each has beyond the threshold and the noise, both as cross-sections, (m, 2) m2.

    NaN where no cross-section is told. Without a signal-to-noise ratio, or with one below the threshold, which a radar
    with a lower one tells, all counts as beyond.
    """
    rcs, snr = 10.0 ** (rcs_dbsm / 10.0), 10.0 ** (np.nan_to_num(snr_db, nan=math.inf) / 10.0)
    noise = rcs / snr
    beyond = np.where(1.0 + snr < THRESHOLD, rcs, rcs + noise * (1.0 - THRESHOLD))
    return np.stack([np.maximum(beyond, LEAST_M2), noise], axis=-1)


def take_size(size: FloatArray, beyond_m2: float, noise_m2: float) -> None:
    """Take one plot into an object's `size` (SIZE), in place."""
    size *= min(1.0, (Z_PLOTS - 1.0) / max(size[Z_COUNT], 1.0))
    if size[Z_COUNT] >= 1.0:
        beyond_m2 = min(beyond_m2, LARGEST * size[Z_SUM] / size[Z_COUNT])
    size += (beyond_m2, 1.0, noise_m2)


@device
def off_db(size: FloatArray, mean_dbsm: float) -> float:
    """How much larger an object seems than one of a mean cross-section would, dB; some plots must have been seen."""
    n = size[Z_COUNT]
    expected = 10.0 ** (mean_dbsm / 10.0) + size[Z_NOISE] / n
    bias = -DB * (0.5 / n + 1.0 / (12.0 * n * n))
    return float(DB * math.log(size[Z_SUM] / n / expected) - bias)


@device
def fading_db2(size: FloatArray) -> float:
    """Variance, dB2, of the mean of so many exponentially distributed numbers, in dB."""
    n = size[Z_COUNT]
    return float(DB * DB * (1.0 / n + 0.5 / (n * n) + 1.0 / (6.0 * n**3)))


@device
def size_evidence(size: FloatArray, mean_dbsm: float) -> float:
    """ln of how well the size seen agrees with a type's, up to a constant; 0 where none was seen."""
    if size[Z_COUNT] < 1.0:
        return 0.0
    return float(-0.5 * off_db(size, mean_dbsm) ** 2 / (RCS_SIGMA_DB**2 + fading_db2(size)))
