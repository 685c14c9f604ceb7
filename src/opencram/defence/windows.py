"""Where an object will be, how well that is known, and with what chance a simulated battery would meet it there."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opencram.effectors import Effector, Sector
from opencram.physics.flight import fly
from opencram.physics.layout import Layout
from opencram.physics.threats import classes
from opencram.tables import BoolArray, FloatArray

LOOK_AHEAD_S = 60.0
STEP_S = 0.25
LOWEST_BURST_M = 30.0
"""Nothing is engaged below this height over the ground: it would be down before."""
LEAST_SIGMA_M = 0.1
MANOEUVRE_MPS2 = 1.0
"""One sigma, each way, of what may turn: its place is less known by half of this times the square of time (assumed)."""
SALVO_KNOTS = 33
SECOND_NS = 1_000_000_000


@dataclass
class Target:
    """A confirmed track as of its newest plot."""

    time_ns: int
    mean: FloatArray
    cov: FloatArray
    ballistic: bool
    cls: int
    gap_ns: int = 0
    """The longest time between two of its plots, those of long ago forgotten."""


@dataclass(frozen=True, eq=False)
class Path:
    """Where an object will be from now on, every STEP_S: (n, 3), with the covariance (n, 3, 3)."""

    pos_enu_m: FloatArray
    cov_m2: FloatArray

    def __len__(self) -> int:
        return len(self.pos_enu_m)


def steps_until(now_ns: int, end_ns: int) -> int:
    """How many steps a path takes from now until an object is down or at its zone."""
    return math.ceil(min(max((end_ns - now_ns) / SECOND_NS, 0.0), LOOK_AHEAD_S) / STEP_S)


def path_of(target: Target, now_ns: int, n: int, layout: Layout) -> Path:
    """Where the object will be, `n` steps from now on.

    What falls flies on as its class does; its state's errors are carried along straight lines, that of its drag by a
    second flight. What flies by its own power goes straight on and may turn.
    """
    since_s = (now_ns - target.time_ns) / SECOND_NS
    seconds = since_s + STEP_S * np.arange(n + 1)
    moved = np.zeros((n + 1, 3, 7))
    moved[:, :, :3] = np.eye(3)
    moved[:, :, 3:6] = seconds[:, None, None] * np.eye(3)
    if target.ballistic:
        pos = _flown(target, target.mean, since_s, n, layout)
        heavier, sigma = target.mean.copy(), math.sqrt(max(float(target.cov[6, 6]), 1e-12))
        heavier[6] += sigma
        moved[:, :, 6] = (_flown(target, heavier, since_s, n, layout) - pos) / sigma
    else:
        pos = target.mean[:3] + seconds[:, None] * target.mean[3:6]
    cov = moved @ target.cov @ moved.transpose(0, 2, 1)
    if not target.ballistic:
        cov += ((0.5 * MANOEUVRE_MPS2 * seconds**2) ** 2)[:, None, None] * np.eye(3)
    return Path(pos, cov)


def _flown(target: Target, mean: FloatArray, since_s: float, n: int, layout: Layout) -> FloatArray:
    drag = classes()[max(target.cls, 0)].drag
    start = fly(mean, since_s, 1, layout.env, layout.air, drag)[1]
    return fly(start, STEP_S, n, layout.env, layout.air, drag)[:, :3]


# ---- the chance of a kill -------------------------------------------------------------------------------------------


def share_against(effector: Effector, cls: int) -> float:
    """Share of an effector's chance of kill that holds against a class index; all of it where nobody can name it."""
    return 1.0 if cls < 0 else effector.share_against(classes()[cls].id, classes()[cls].family)


def mean_chance(effector: Effector, place_enu_m: FloatArray, path: Path, share: float) -> FloatArray:
    """An engagement's chance of kill at each step (n,), averaged over where the object may be then.

    The slant range is taken as normal, the height over the lowest burst as independent of it.
    """
    from scipy.special import ndtr

    away = path.pos_enu_m - place_enu_m
    range_m = np.sqrt((away**2).sum(axis=1))
    along = away / np.maximum(range_m, 1.0)[:, None]
    var = np.einsum("ni,nij,nj->n", along, path.cov_m2, along)
    across = np.trace(path.cov_m2, axis1=1, axis2=2) - var
    mean_m = range_m + across / (2.0 * np.maximum(range_m, 1.0))
    p = average(*curve(effector, share), mean_m, np.sqrt(np.maximum(var, LEAST_SIGMA_M**2)))
    height_sigma = np.sqrt(np.maximum(path.cov_m2[:, 2, 2], LEAST_SIGMA_M**2))
    high: FloatArray = ndtr((path.pos_enu_m[:, 2] - LOWEST_BURST_M) / height_sigma)
    return np.asarray(p * high)


def curve(effector: Effector, share: float) -> tuple[FloatArray, FloatArray]:
    """Ranges (k,) from the nearest to the furthest that it reaches, and an engagement's chance of kill at each.

    The `salvo` interceptors of an engagement miss independently.
    """
    points, chances = np.array(effector.kill).T
    inner = points[(points > effector.min_range_m) & (points < effector.reach_m)]
    knots = np.concatenate([[effector.min_range_m], inner, [effector.reach_m]])
    if effector.salvo > 1:
        knots = np.union1d(knots, np.linspace(effector.min_range_m, effector.reach_m, SALVO_KNOTS))
    one = share * np.interp(knots, points, chances)
    return knots, 1.0 - (1.0 - one) ** effector.salvo


def average(knots: FloatArray, values: FloatArray, mean: FloatArray, sigma: FloatArray) -> FloatArray:
    """The mean (n,) of what is linear between knots (k,), and 0 outside them, over normal distributions (n,)."""
    from scipy.special import ndtr

    z = (knots - mean[:, None]) / sigma[:, None]
    below, density = ndtr(z), np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
    slope = np.diff(values) / np.diff(knots)
    offset = values[:-1] - slope * knots[:-1]
    whole = (offset + slope * mean[:, None]) * np.diff(below, axis=1)
    total: FloatArray = (whole - slope * sigma[:, None] * np.diff(density, axis=1)).sum(axis=1)
    return np.clip(total, 0.0, 1.0)


def forbidden(sectors: Sequence[Sector], place_enu_m: FloatArray, pos_enu_m: FloatArray) -> BoolArray:
    """Which of the points (n, 3) lie in one of a battery's no-fire sectors."""
    east, north, up = (pos_enu_m - place_enu_m).T
    azimuth = np.degrees(np.arctan2(east, north))
    elevation = np.degrees(np.arctan2(up, np.hypot(east, north)))
    inside = np.zeros(len(pos_enu_m), np.bool_)
    for s in sectors:
        width = (s.azimuth_to_deg - s.azimuth_from_deg) % 360.0 or 360.0
        turned = np.mod(azimuth - s.azimuth_from_deg, 360.0) <= width
        inside |= turned & (elevation >= s.min_elevation_deg) & (elevation <= s.max_elevation_deg)
    return inside


# ---- when -----------------------------------------------------------------------------------------------------------


def turning_s(effector: Effector, place_enu_m: FloatArray, last_enu_m: FloatArray | None, path: Path) -> FloatArray:
    """How long the battery turns from where it last met something to each step (n,) of a path."""
    if effector.slew_dps is None or last_enu_m is None:
        return np.zeros(len(path))
    to, before = path.pos_enu_m - place_enu_m, last_enu_m - place_enu_m
    lengths = np.sqrt((to**2).sum(axis=1) * (before**2).sum())
    angle = np.arccos(np.clip((to * before).sum(axis=1) / np.maximum(lengths, 1.0), -1.0, 1.0))
    return np.asarray(np.degrees(angle) / effector.slew_dps)


def meetings(effector: Effector, range_m: FloatArray, turn_s: FloatArray | None = None) -> list[int]:
    """For an order given at each step of the path: the step at which the effector gets there no later than the object.

    The list ends where the effector comes too late for all that is left of the path.
    """
    steps = np.arange(len(range_m))
    needs_s = effector.reaction_s + range_m / effector.flight_speed_mps + (0.0 if turn_s is None else turn_s)
    met = np.searchsorted(np.maximum.accumulate(steps - needs_s / STEP_S), steps)
    return [int(m) for m in met[met < len(range_m)]]


def is_time(p_kill: Sequence[float], meets: Sequence[int], burst: int) -> bool:
    """Whether ordering now kills at least as likely, follow-up engagements counted, as ordering at any later step.

    An engagement keeps its object until it is over, and its effector for `burst` steps. The chance of kill from a step
    on is the better of waiting a step and of engaging, with what follows a miss: solved backwards from the path's end.
    """
    after = [0.0] * (len(p_kill) + 1)
    engage = 0.0
    for step in range(len(p_kill) - 1, -1, -1):
        again = min(max(meets[step], step + burst), len(p_kill))
        engage = p_kill[step] + (1.0 - p_kill[step]) * after[again]
        after[step] = max(engage, after[step + 1])
    return engage >= after[0]
