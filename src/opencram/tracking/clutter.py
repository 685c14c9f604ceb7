"""What a sensor's plots teach about it where its site is silent: how many are false and where, how many it misses."""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.physics.layout import DEFAULT_FALSE_PLOTS, DEFAULT_P_DETECT
from opencram.tables import FloatArray

SCANS_KEPT = 50.0
"""The number of false plots is averaged over about this many scans."""
PLOTS_KEPT, PLOTS_ENOUGH = 400, 40
"""So many of the newest unused plots say where false plots lie; fewer than the second say nothing."""
DETECTION_STEP = 0.005
P_DETECT_SPAN = (0.3, 0.99)
NARROWEST_RAD = 1e-3
OPEN_SECTOR_RAD = math.radians(20.0)
"""A gap in azimuth wider than this, without any unused plot, is taken as not looked at."""


@dataclass
class Learnt:
    """One sensor's running estimates."""

    false_plots: float = DEFAULT_FALSE_PLOTS
    p_detect: float = DEFAULT_P_DETECT
    recent: FloatArray = field(default_factory=lambda: np.empty((0, 3)))
    """Range (m), azimuth and elevation (rad) of the newest plots that no track used, (k, 3)."""


def learn_false(learnt: Learnt, unused: FloatArray) -> None:
    """Take in a scan's plots that no confirmed track used, (m, 3)."""
    learnt.false_plots += (len(unused) - learnt.false_plots) / SCANS_KEPT
    learnt.recent = np.concatenate([learnt.recent, np.nan_to_num(unused)])[-PLOTS_KEPT:]


def learn_detection(learnt: Learnt, looks: FloatArray) -> None:
    """Take in, for each confirmed track that was just seen, how many looks it took, (n,): 1 / P(detect) on average."""
    step = DETECTION_STEP * float((1.0 - looks * learnt.p_detect).sum())
    learnt.p_detect = min(max(learnt.p_detect + step, P_DETECT_SPAN[0]), P_DETECT_SPAN[1])


def volume_of(learnt: Learnt, coverage: FloatArray, with_elevation: bool) -> float:
    """Where false plots lie, in m rad (rad): the box of the newest, or the whole coverage while there are too few."""
    near, far, _, width, low, high = coverage
    if len(learnt.recent) >= PLOTS_ENOUGH:
        near, far = _span(learnt.recent[:, 0])
        width = _sector(learnt.recent[:, 1])
        low, high = _span(learnt.recent[:, 2]) if with_elevation else (0.0, 1.0)
    volume = max(far - near, 1.0) * width
    return float(volume * max(high - low, NARROWEST_RAD) if with_elevation else volume)


def _span(values: FloatArray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _sector(az_rad: FloatArray) -> float:
    """The width of all azimuths but their widest gap, where that is wide."""
    az = np.sort(az_rad % (2.0 * math.pi))
    gaps = np.diff(az, append=az[0] + 2.0 * math.pi)
    widest = float(gaps.max())
    return max(2.0 * math.pi - (widest if widest > OPEN_SECTOR_RAD else 0.0), NARROWEST_RAD)
