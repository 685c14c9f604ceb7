"""The raid that the trackers are compared on: mortar-like rounds toward one radar, and what the radar makes of them.

Flat, still earth with constant gravity; x east, y north, z up from the radar, which measures range, azimuth (from x
towards y) and elevation. The rounds are all in the air after SETTLED_S, and until the end.
"""

import math
from dataclasses import dataclass

import numpy as np

from opencram.tables import FloatArray

SETTLED_S, WINDOW_S, STEP_S = 10.0, 10.0, 0.1
SIGMA_M, SIGMA_RAD = 10.0, 2e-3
P_DETECT, FALSE_PLOTS = 0.9, 20
LOW_RAD, HIGH_RAD, HALF_AZ_RAD = math.radians(2.0), math.radians(75.0), math.radians(60.0)
NEAR_M, FAR_M, WIDE_FAR_M = 500.0, 10e3, 15e3
"""The radar of the curve sees further than that of the comparison, for its raids are launched from a wider area."""
DENSE = 100
"""More rounds than this come from an area that grows with their number: 25 of them to the square kilometre."""

GRAVITY_MPS2, SEA_LEVEL_KGPM3, SCALE_HEIGHT_M = 9.80665, 1.225, 9_800.0
SEA_LEVEL_K, LAPSE_KPM, GAMMA_R = 288.15, 0.0065, 1.4 * 287.05287
AREA_OVER_MASS = 0.5 * math.pi * 0.06**2 / 13.0
"""Half the area of a 120 mm round over its 13 kg, m2/kg."""
MACH = np.arange(0.0, 4.025, 0.05)
DRAG = np.interp(
    MACH,
    [0.0, 0.6, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.3, 2.0, 4.0],
    [0.13, 0.13, 0.15, 0.19, 0.26, 0.34, 0.37, 0.375, 0.36, 0.30, 0.25],
)
SPEED_MPS, LAUNCHED_WITHIN_S, LONGEST_STEP_S = 310.0, 8.0, 0.05


@dataclass(frozen=True, eq=False)
class Raid:
    """One raid and its plots."""

    number: int
    time_s: FloatArray
    """(t,): when the radar looks."""
    truth: FloatArray
    """(t, n, 6): position m, velocity m/s; NaN before the launch."""
    scans: list[FloatArray]
    """By look, (m, 3): range m, azimuth rad, elevation rad."""
    false_plots: int
    """The mean of a scan."""
    far_m: float

    @property
    def objects(self) -> int:
        """How many rounds."""
        return int(self.truth.shape[1])


def raid(objects: int, number: int, false_plots: int = FALSE_PLOTS, far_m: float = FAR_M) -> Raid:
    """The raid of this number; each number has its own seeds for the flights and for the plots."""
    time_s = np.arange(STEP_S, SETTLED_S + WINDOW_S, STEP_S)
    truth = flights(objects, time_s, 2 * number + 1, max(1.0, math.sqrt(objects / DENSE)))
    return Raid(number, time_s, truth, plots(truth, 2 * number + 2, false_plots, far_m), false_plots, far_m)


def flights(objects: int, time_s: FloatArray, seed: int, spread: float = 1.0) -> FloatArray:
    """Where the rounds are (t, n, 6); the launch area is `spread` times 2 km a side, its near side 5 km away."""
    rng = np.random.default_rng(seed)
    speed = SPEED_MPS * rng.uniform(0.97, 1.03, objects)
    el = np.radians(rng.uniform(55.0, 65.0, objects))
    az = np.pi + np.radians(rng.uniform(-10.0, 10.0, objects))
    y = np.zeros((objects, 6))
    y[:, 0] = 6_000.0 + 1_000.0 * (spread - 1.0) + spread * rng.uniform(-1_000.0, 1_000.0, objects)
    y[:, 1] = spread * rng.uniform(-1_000.0, 1_000.0, objects)
    y[:, 3:] = speed[:, None] * np.column_stack([np.cos(el) * np.cos(az), np.cos(el) * np.sin(az), np.sin(el)])
    start_s = rng.uniform(0.0, LAUNCHED_WITHIN_S, objects)
    path, age_s = np.full((len(time_s), objects, 6), np.nan), np.zeros(objects)
    for row, now_s in zip(path, time_s, strict=True):
        target_s = np.maximum(now_s - start_s, 0.0)
        while (age_s < target_s - 1e-12).any():
            step_s = np.minimum(target_s - age_s, LONGEST_STEP_S)
            y, age_s = step(y, step_s[:, None], np.ones(objects)), age_s + step_s
        row[target_s > 0.0] = y[target_s > 0.0]
    return path


def step(y: FloatArray, h: FloatArray, drag: FloatArray) -> FloatArray:
    """One Runge-Kutta step of the fourth order, of h (n, 1) seconds, with so many times the drag of the round (n)."""
    a = _derivative(y, drag)
    b = _derivative(y + h / 2.0 * a, drag)
    c = _derivative(y + h / 2.0 * b, drag)
    return y + h / 6.0 * (a + 2.0 * (b + c) + _derivative(y + h * c, drag))


def _derivative(y: FloatArray, drag: FloatArray) -> FloatArray:
    """Gravity and drag on states (n, 6)."""
    height_m, velocity = y[:, 2], y[:, 3:]
    speed = np.sqrt((velocity**2).sum(axis=1))
    sound = np.sqrt(GAMMA_R * (SEA_LEVEL_K - LAPSE_KPM * height_m))
    density = SEA_LEVEL_KGPM3 * np.exp(-height_m / SCALE_HEIGHT_M)
    slowing = drag * AREA_OVER_MASS * density * speed * np.interp(speed / sound, MACH, DRAG)
    acceleration = -slowing[:, None] * velocity
    acceleration[:, 2] -= GRAVITY_MPS2
    return np.concatenate([velocity, acceleration], axis=1)


def plots(truth: FloatArray, seed: int, false_plots: int = FALSE_PLOTS, far_m: float = FAR_M) -> list[FloatArray]:
    """By look, (m, 3) range, azimuth and elevation: what is detected of the rounds, then false plots.

    A range rate's random numbers are drawn as well, and not used: the raid of number 0 is that of a radar which may
    measure one.
    """
    rng, sigma, scans = np.random.default_rng(seed), np.array([SIGMA_RAD, SIGMA_RAD, SIGMA_M]), []
    for y in truth:
        z = angles(y[~np.isnan(y[:, 0])])
        z = z[(z[:, 1] > LOW_RAD) & (z[:, 1] < HIGH_RAD) & (rng.random(len(z)) < P_DETECT)]
        z = z + rng.standard_normal((4, len(z)))[:3].T * sigma
        count = rng.poisson(false_plots)
        spans = ((-HALF_AZ_RAD, HALF_AZ_RAD), (LOW_RAD, HIGH_RAD), (NEAR_M, far_m), (0.0, 1.0))
        false = np.column_stack([rng.uniform(*span, count) for span in spans])[:, :3]
        scans.append(np.concatenate([z, false])[:, [2, 0, 1]])
    return scans


def angles(y: FloatArray) -> FloatArray:
    """Azimuth, elevation and range of states (n, 6)."""
    range_m = np.sqrt((y[:, :3] ** 2).sum(axis=1))
    return np.column_stack([np.arctan2(y[:, 1], y[:, 0]), np.arcsin(y[:, 2] / range_m), range_m])
