"""The air: the standard atmosphere and the table that the flight model reads.

ICAO Doc 7488 (ISO 2533): layers of constant lapse rate in geopotential height, here from 2 km below sea level to 32 km.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

AIR_STEP_M = 100.0
AIR_ROWS = 301

SEA_TEMPERATURE_K = 288.15
SEA_PRESSURE_PA = 101_325.0
STANDARD_GRAVITY_MPS2 = 9.80665
GAS_JPKGK = 287.05287
HEAT_RATIO = 1.4
GEOPOTENTIAL_RADIUS_M = 6_356_766.0
# base of each layer (geopotential m) and its lapse rate (K/m)
LAYERS = ((0.0, -0.0065), (11_000.0, 0.0), (20_000.0, 0.001))
LOWEST_M, HIGHEST_M = -2_000.0, 32_000.0


def isa(height_m: ArrayLike) -> tuple[Floats, Floats]:
    """Density (kg/m3) and speed of sound (m/s) of the standard atmosphere at heights above sea level.

    Heights outside -2 to 32 km (geopotential) are taken as the nearest of the two.
    """
    height = np.asarray(height_m, np.float64)
    geopotential = np.clip(GEOPOTENTIAL_RADIUS_M * height / (GEOPOTENTIAL_RADIUS_M + height), LOWEST_M, HIGHEST_M)
    temperature = np.full_like(geopotential, SEA_TEMPERATURE_K)
    pressure = np.full_like(geopotential, SEA_PRESSURE_PA)
    base_k, base_pa = SEA_TEMPERATURE_K, SEA_PRESSURE_PA
    tops = [base for base, _ in LAYERS[1:]] + [HIGHEST_M]
    for (base_m, lapse), top_m in zip(LAYERS, tops, strict=True):
        inside = (geopotential >= base_m) | (base_m == 0.0)
        above = np.where(inside, geopotential - base_m, 0.0)
        temperature = np.where(inside, base_k + lapse * above, temperature)
        pressure = np.where(inside, base_pa * _fall(above, base_k, lapse), pressure)
        base_pa *= float(_fall(np.asarray(top_m - base_m), base_k, lapse))
        base_k += lapse * (top_m - base_m)
    return pressure / (GAS_JPKGK * temperature), np.sqrt(HEAT_RATIO * GAS_JPKGK * temperature)


def _fall(above_m: Floats, base_k: float, lapse: float) -> Floats:
    """Pressure as a share of that at the layer's base."""
    if lapse == 0.0:
        return np.exp(-STANDARD_GRAVITY_MPS2 * above_m / (GAS_JPKGK * base_k))
    share: Floats = (1.0 + lapse * above_m / base_k) ** (-STANDARD_GRAVITY_MPS2 / (GAS_JPKGK * lapse))
    return share


def air_table(
    origin_height_m: float,
    wind: Sequence[tuple[float, float, float]] | None = None,
    density: Sequence[tuple[float, float]] | None = None,
) -> Floats:
    """The air over a site: (301, 4), one row per 100 m of height above the site's origin.

    Columns: density (kg/m3), speed of sound (m/s), wind towards the east and towards the north (m/s).
    `wind` holds (height above the origin, east, north) and `density` (height above the origin, kg/m3), heights rising.
    Wind is linear between its rows, and so is the logarithm of density's ratio to the standard atmosphere; outside them
    the nearest row's wind and ratio hold.
    """
    height = np.arange(AIR_ROWS) * AIR_STEP_M
    table = np.zeros((AIR_ROWS, 4))
    table[:, 0], table[:, 1] = isa(height + origin_height_m)
    if density is not None:
        at = np.array(density, np.float64)
        standard, _ = isa(at[:, 0] + origin_height_m)
        table[:, 0] *= np.exp(np.interp(height, at[:, 0], np.log(at[:, 1] / standard)))
    if wind is not None:
        at = np.array(wind, np.float64)
        table[:, 2] = np.interp(height, at[:, 0], at[:, 1])
        table[:, 3] = np.interp(height, at[:, 0], at[:, 2])
    return table
