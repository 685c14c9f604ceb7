"""Tracks to impacts: what each ballistic track may be, where and when it comes down, and where it came from."""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np

from opencram.physics.flight import ground_jacobian, to_ground
from opencram.physics.layout import Layout, layout_of
from opencram.physics.threats import Threat, catalogue, class_index
from opencram.site import Site
from opencram.tables import BALLISTIC, CONFIRMED, UNKNOWN, FloatArray, Hypotheses, Impacts, IntArray, Tracks
from opencram.tracking.filters import STATES
from opencram.tracking.hypotheses import class_rows, weigh
from opencram.tracking.lifecycle import LN_BETA_MEAN, LN_BETA_SIGMA

LEAST_WEIGHT = 0.02
"""Hypotheses below this are dropped and the rest take their weight: their impact points cost as much as likely ones."""
NAMED_AT = 0.5
"""A class is named when it is likelier than all the others together."""
WIND_SIGMA_MPS = 5.0
"""Wind is not told; this much per axis is usual (one sigma) and carries the rest of the flight with it."""
LAUNCH_SIGMA_M = 60.0
"""What flying back without the motor's burn leaves uncertain of a launch point, one sigma per axis."""
PATIENCE_PLOTS, PATIENCE_NS = 20, 2_000_000_000
"""What does not fly ballistically is named only after this many plots and this long."""
DRONE_SPEED_MPS, DRONE_HEIGHT_M = (25.0, 80.0), 3_000.0
LEVEL_CLIMB_SHARE = 0.35
"""What sinks faster than this share of its speed falls, unless it flew level before: debris reaches a drone's speed."""
AIR_DENSITY_KGPM3 = 1.1


MAX_LAUNCHES = 2_000
"""Launch points kept; the oldest track's is forgotten first."""


@dataclass
class Launch:
    """The best known launch point of a track: east, north (m) and their covariance (m2)."""

    mean: FloatArray
    cov: FloatArray


@dataclass
class ImpactsState:
    """What prediction keeps between scans: where each track came from, as well as it was ever known."""

    launches: dict[int, Launch] = field(default_factory=dict)
    flyers: dict[int, int] = field(default_factory=dict)
    """Tracks that were seen to fly under power, and the class that each was given."""


@lru_cache(maxsize=1)
def _classes() -> tuple[tuple[Threat, ...], IntArray, FloatArray]:
    """The classes that a whole object may be, their indices in the catalogue and their rows for `weigh`."""
    threats = tuple(t for t in catalogue().values() if t.ballistic and t.family != "debris")
    index = np.array([class_index(t.id) for t in threats], np.int64)
    return threats, index, class_rows(list(threats))


@lru_cache(maxsize=1)
def _fragment() -> tuple[Threat, int]:
    """The class of debris and its index."""
    threat = next(t for t in catalogue().values() if t.family == "debris")
    return threat, class_index(threat.id)


def tracks_to_impacts(state: ImpactsState, tracks: Tracks, site: Site) -> tuple[Tracks, Hypotheses, Impacts]:
    """The tracks with their classes filled in, a row per track and class, and a row per ballistic track."""
    layout = layout_of(site)
    cls = tracks.cls.copy()
    hypotheses, impacts = [], []
    for row in np.flatnonzero(tracks.status == CONFIRMED):
        if tracks.model[row] == BALLISTIC:
            found = _predict(tracks, int(row), layout)
            if found is not None:
                hypotheses.append(found)
                impacts.append(_with_launch(state, _mixture(tracks, int(row), found)))
                cls[row] = impacts[-1].cls[0]
        else:
            cls[row] = _name_other(state, tracks, int(row))
    return replace(tracks, cls=cls), Hypotheses.concat(hypotheses), Impacts.concat(impacts)


def _predict(tracks: Tracks, row: int, layout: Layout) -> Hypotheses | None:
    """The hypotheses of one track, carried to the ground and back to the launch; None if none comes down."""
    threats, index, weights, means, covs = _kinds(tracks, row, layout)
    landed = []
    for c in np.flatnonzero(weights >= LEAST_WEIGHT):
        ahead = ground_jacobian(means[c], 1.0, layout.env, layout.air, layout.ground, threats[c].drag)
        if not np.isnan(ahead[0, 0]):
            back = ground_jacobian(means[c], -1.0, layout.env, layout.air, layout.ground, threats[c].drag)
            landed.append((int(c), ahead, back))
    if not landed:
        return None
    return _table(tracks, row, landed, index, weights, means, covs)


def _kinds(
    tracks: Tracks, row: int, layout: Layout
) -> tuple[tuple[Threat, ...], IntArray, FloatArray, FloatArray, FloatArray]:
    """What the track may be: classes, their indices, weights, means and covariances; debris is debris, as it flies."""
    mean, cov = tracks.mean[row], tracks.cov[row]
    if tracks.debris[row]:
        fragment, its_index = _fragment()
        return (fragment,), np.array([its_index], np.int64), np.ones(1), mean[None], cov[None]
    threats, index, figures = _classes()
    n = len(threats)
    weights, means, covs = np.empty(n), np.empty((n, STATES)), np.empty((n, STATES, STATES))
    speed, speed_sigma = _launch_speed(mean, cov, threats[0].drag, layout)
    weigh(mean, cov, figures, LN_BETA_MEAN, LN_BETA_SIGMA, speed, speed_sigma, weights, means, covs)
    return threats, index, weights, means, covs


def _launch_speed(mean: FloatArray, cov: FloatArray, drag: FloatArray, layout: Layout) -> tuple[float, float]:
    """Speed at the ground where the track came from, and its sigma (m/s); NaN where it did not come from the ground."""
    start = to_ground(mean, -1.0, layout.env, layout.air, layout.ground, drag)
    speed = math.sqrt(start[3] ** 2 + start[4] ** 2 + start[5] ** 2)
    now = math.sqrt(mean[3] ** 2 + mean[4] ** 2 + mean[5] ** 2)
    along = mean[3:6] / max(now, 1.0)
    # speed lost to drag on the way is known as badly as ln(beta)
    lost = abs(speed - now) * math.sqrt(cov[6, 6])
    return speed, math.sqrt(max(float(along @ cov[3:6, 3:6] @ along), 0.0) + lost**2)


def _table(
    tracks: Tracks,
    row: int,
    landed: list[tuple[int, FloatArray, FloatArray]],
    index: IntArray,
    weights: FloatArray,
    means: FloatArray,
    covs: FloatArray,
) -> Hypotheses:
    """The rows of the hypotheses that come down; their weights sum to the track's probability of ballistic flight."""
    picked = np.array([c for c, _, _ in landed])
    n = len(picked)
    share = weights[picked] / weights[picked].sum() * tracks.p_ballistic[row]
    ground = np.array([_carried(a, covs[c]) for c, a, _ in landed])
    origin = np.array([_carried(b, covs[c]) for c, _, b in landed])
    drift = np.array([_wind_drift_m(means[c], a[2, 0]) for c, a, _ in landed])
    seconds = np.array([a[2, 0] for _, a, _ in landed])
    return Hypotheses(
        time_ns=np.full(n, tracks.time_ns[row]),
        track=np.full(n, tracks.track[row]),
        cls=index[picked],
        weight=share,
        mean=means[picked],
        cov=covs[picked],
        impact_time_ns=_whole_us(tracks.time_ns[row] + np.round(seconds * 1e9).astype(np.int64)),
        impact_time_sigma_s=np.sqrt(ground[:, 2, 2]),
        impact_enu_m=np.array([a[:2, 0] for _, a, _ in landed]),
        impact_cov_m2=ground[:, :2, :2] + drift[:, None, None] ** 2 * np.eye(2),
        launch_enu_m=np.array([b[:2, 0] for _, _, b in landed]),
        launch_cov_m2=origin[:, :2, :2] + LAUNCH_SIGMA_M**2 * np.eye(2),
    )


def _whole_us(time_ns: IntArray) -> IntArray:
    """Predicted times in whole microseconds: tools that know no shorter time read them as they are."""
    return time_ns // 1000 * 1000


def _carried(jacobian: FloatArray, cov: FloatArray) -> FloatArray:
    """Covariance (3, 3) of east, north and time at the ground."""
    g = jacobian[:3, 1:8]
    carried: FloatArray = g @ cov @ g.T
    return 0.5 * (carried + carried.T)


def _wind_drift_m(mean: FloatArray, left_s: float) -> float:
    """How far an untold wind of one sigma carries the object in the time left: drag pulls it to the wind's speed."""
    speed = math.sqrt(mean[3] ** 2 + mean[4] ** 2 + mean[5] ** 2)
    settle_s = 2.0 * math.exp(mean[6]) / (AIR_DENSITY_KGPM3 * max(speed, 1.0))
    left_s = max(left_s, 0.0)
    return WIND_SIGMA_MPS * (left_s - settle_s * -math.expm1(-left_s / settle_s))


def _mixture(tracks: Tracks, row: int, h: Hypotheses) -> Impacts:
    """Mean and covariance of all hypotheses of one track."""
    w = h.weight / h.weight.sum()
    best = int(np.argmax(w))
    late_s = (h.impact_time_ns - h.impact_time_ns[best]) * 1e-9
    mean_s = float(w @ late_s)
    impact, impact_cov = _moments(w, h.impact_enu_m, h.impact_cov_m2)
    launch, launch_cov = _moments(w, h.launch_enu_m, h.launch_cov_m2)
    return Impacts(
        time_ns=h.time_ns[:1],
        track=h.track[:1],
        n_plots=tracks.n_plots[row : row + 1],
        cls=np.array([h.cls[best] if w[best] >= NAMED_AT else UNKNOWN], np.int64),
        impact_time_ns=_whole_us(h.impact_time_ns[best : best + 1] + round(mean_s * 1e9)),
        impact_time_sigma_s=np.sqrt([float(w @ (h.impact_time_sigma_s**2 + (late_s - mean_s) ** 2))]),
        impact_enu_m=impact[None],
        impact_cov_m2=impact_cov[None],
        launch_enu_m=launch[None],
        launch_cov_m2=launch_cov[None],
        beta_kgpm2=np.exp([float(w @ h.mean[:, 6])]),
    )


def _moments(w: FloatArray, means: FloatArray, covs: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean (2,) and covariance (2, 2) of a mixture."""
    mean = (w[:, None] * means).sum(axis=0)
    apart = means - mean
    return mean, (w[:, None, None] * (covs + apart[:, :, None] * apart[:, None, :])).sum(axis=0)


def _with_launch(state: ImpactsState, impact: Impacts) -> Impacts:
    """The impact with the best launch point so far: the way back grows less certain as the track flies on."""
    track, new = int(impact.track[0]), Launch(impact.launch_enu_m[0], impact.launch_cov_m2[0])
    old = state.launches.get(track)
    if old is None or np.trace(new.cov) < np.trace(old.cov):
        if np.isfinite(new.cov).all():
            state.launches[track] = new
        if len(state.launches) > MAX_LAUNCHES:
            del state.launches[min(state.launches)]
        return impact
    return replace(impact, launch_enu_m=old.mean[None], launch_cov_m2=old.cov[None])


def _name_other(state: ImpactsState, tracks: Tracks, row: int) -> int:
    """Class index of what does not fall: by speed and height, once it has been seen to fly level for long enough."""
    if tracks.debris[row]:
        return _fragment()[1]
    track, up = int(tracks.track[row]), float(tracks.mean[row, 2])
    velocity = tracks.mean[row, 3:6]
    speed = float(np.linalg.norm(velocity))
    patient = tracks.n_plots[row] >= PATIENCE_PLOTS and tracks.time_ns[row] - tracks.born_ns[row] >= PATIENCE_NS
    if not patient or speed < DRONE_SPEED_MPS[0]:
        return state.flyers.get(track, UNKNOWN)
    if abs(float(velocity[2])) <= LEVEL_CLIMB_SHARE * speed:
        slow = speed <= DRONE_SPEED_MPS[1]
        if slow and up > DRONE_HEIGHT_M:
            return state.flyers.get(track, UNKNOWN)
        state.flyers[track] = class_index("drone" if slow else "aircraft")
        if len(state.flyers) > MAX_LAUNCHES:
            del state.flyers[min(state.flyers)]
    return state.flyers.get(track, UNKNOWN)
