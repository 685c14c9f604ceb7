"""Which true object a track belongs to: of those flying when it began, the nearest over both lives, within a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from opencram.report.evidence import Columns, TruthObject, has_rows
from opencram.tables import FloatArray

GATE_M = 150.0
"""Mean distance above which a track belongs to no object: several times the error of a settled track at 15 km."""
MIN_ROWS = 3
DEBRIS_GATE_M = 500.0
DEBRIS_GATE_NS = 3 * 10**9
"""A track that begins this near an interception, this soon after it, follows what is left of the object."""


def confirmed_rows(track: Columns) -> Columns:
    """The rows of a track from its confirmation on."""
    rows = track["status"] == "confirmed"
    return {name: values[rows] for name, values in track.items()}


def match_tracks(tracks: Mapping[int, Columns], truth: Columns) -> dict[int, str]:
    """Track -> object, for the tracks that belong to one. `tracks` holds confirmed rows by track."""
    if not has_rows(truth):
        return {}
    paths = {str(name): _path(truth, truth["object"] == name) for name in sorted(set(truth["object"].tolist()))}
    found = {}
    for number, rows in tracks.items():
        # a track that outlives its object goes on with a piece of it, which did not fly when the track began
        began = rows["time"][0]
        flying = {name: path for name, path in paths.items() if path[0][0] <= began <= path[0][-1]}
        distances = {name: _mean_distance_m(rows, path) for name, path in flying.items()}
        name, nearest = min(distances.items(), key=lambda item: item[1], default=("", np.inf))
        if nearest < GATE_M:
            found[number] = name
    return found


def match_debris(
    tracks: Mapping[int, Columns], followed: Mapping[int, str], objects: Sequence[TruthObject]
) -> set[int]:
    """The tracks that follow nothing known and begin where and when one of the objects was shot down."""
    kills = [thing for thing in objects if thing.outcome == "intercepted"]
    return {number for number, rows in tracks.items() if number not in followed and _begins_at_one(rows, kills)}


def _begins_at_one(rows: Columns, kills: Sequence[TruthObject]) -> bool:
    start = np.array([rows[name][0] for name in ("east_m", "north_m", "up_m")])
    near = [k for k in kills if np.linalg.norm(start - np.asarray(k.end_enu_m)) < DEBRIS_GATE_M]
    return any(0 <= int(rows["time"][0]) - k.end_ns <= DEBRIS_GATE_NS for k in near)


def _path(truth: Columns, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    points = np.stack([truth[name][rows] for name in ("east_m", "north_m", "up_m")], axis=1)
    times = truth["time"][rows]
    order = np.argsort(times, kind="stable")
    return times[order], points[order]


def _mean_distance_m(track: Columns, path: tuple[FloatArray, FloatArray]) -> float:
    """Mean distance over the track's rows within the object's life, infinite where there are too few."""
    times, points = path
    common = (track["time"] >= times[0]) & (track["time"] <= times[-1])
    if common.sum() < MIN_ROWS:
        return float(np.inf)
    at = (track["time"][common] - times[0]).astype(np.float64)
    known = (times - times[0]).astype(np.float64)
    gaps = [
        track[name][common] - np.interp(at, known, points[:, i]) for i, name in enumerate(("east_m", "north_m", "up_m"))
    ]
    return float(np.sqrt(sum(gap**2 for gap in gaps)).mean())
