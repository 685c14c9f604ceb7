"""What a plot's strength says of its being false: noise and thin rain are just strong enough to be a plot at all.

Amplitude information (Lerro and Bar-Shalom, IEEE TAC 38-9, 1993), one way only: at its range even the smallest thing
that is fired would as a rule be far stronger, and what is not speaks less for an object. Nothing speaks more for one,
for strong echoes are as often the ground's.
"""

import math
from functools import cache

import numpy as np

from opencram.physics.layout import Layout
from opencram.physics.threats import catalogue
from opencram.tables import FloatArray

THRESHOLD = -math.log(1e-6)
"""Power over noise of the faintest plots, for the usual chance of a false alarm in a cell and look of e-6."""
MOST_LN = 5.0
"""A radar may be worse than its site says; faint plots still say something."""


@cache
def _smallest_db() -> float:
    """Mean cross-section of the smallest thing that is fired and does harm, dB m2."""
    harmful = [t.rcs_m2 for t in catalogue().values() if t.family in ("mortar", "rocket", "shell")]
    return 10.0 * math.log10(min(harmful))


def ln_faint(layout: Layout, sensor: int, range_m: FloatArray, snr_db: FloatArray) -> FloatArray:
    """ln of how much likelier the strength of each plot (m,) is a false one's, (m,), 0 to MOST_LN; 0 where not told.

    Beyond the threshold a false plot's power is exponential with mean 1, that of a Swerling 1 target with 1 + its SNR.
    """
    told = ~np.isnan(snr_db)
    if not told.any():
        return np.zeros(len(snr_db))
    ref_m, ref_db = layout.reference[sensor]
    least = 10.0 ** ((layout.reference_snr_db[sensor] + _smallest_db() - ref_db) / 10.0) * (ref_m / range_m) ** 4
    beyond = np.maximum(10.0 ** (np.where(told, snr_db, 99.0) / 10.0) - THRESHOLD, 0.0)
    faint: FloatArray = np.clip(np.log1p(least) - beyond * least / (1.0 + least), 0.0, MOST_LN)
    return faint
