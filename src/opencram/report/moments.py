"""What was there and what was tracked, brought to the same moments: the ground that all metrics of tracking stand on.

Tracks are coasted from their newest row, as by somebody who looks at them; the truth is interpolated between its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from opencram.errors import InputError
from opencram.report.gospa import gospa
from opencram.tables import BoolArray, FloatArray, IntArray

GATE_M = 150.0
"""A track further than this from everything follows nothing; also GOSPA's cut-off."""
COAST_S = 1.0
STEP_NS = 100_000_000
MAX_MOMENTS = 600
"""More than this many steps with anything in the sky, and the step grows: a longer raid costs no more to judge."""
MAX_STEP_NS = 500_000_000
"""But not beyond this, or short tracks would fall between two moments."""
MAX_PAIRS = 200_000
"""Pairs of a track and an object held in memory at a time."""


@dataclass(frozen=True)
class TrackRows:
    """Confirmed rows of tracks, in any order: n rows, metres and metres a second in one frame, times in ns UTC."""

    time_ns: IntArray
    track: NDArray[Any]
    pos_enu_m: FloatArray
    vel_enu_mps: FloatArray
    ballistic: BoolArray | None = None
    """Whether the row says that this is a ballistic threat (n,); None where tracks say nothing of the kind."""

    def __post_init__(self) -> None:
        _check("tracks", self.time_ns, self.track, self.pos_enu_m, self.vel_enu_mps)


@dataclass(frozen=True)
class TruthRows:
    """Where objects really were, in any order: m rows in the tracks' frame, times in ns UTC."""

    time_ns: IntArray
    object: NDArray[Any]
    pos_enu_m: FloatArray
    vel_enu_mps: FloatArray
    aside: frozenset[Any] = frozenset()
    """Objects, by name, that it is no merit to track and no fault to miss: debris, birds."""
    ballistic: frozenset[Any] = frozenset()
    """Of the others, those that fly ballistically."""

    def __post_init__(self) -> None:
        _check("truth", self.time_ns, self.object, self.pos_enu_m, self.vel_enu_mps)


def _check(what: str, time_ns: IntArray, names: NDArray[Any], *vectors: FloatArray) -> None:
    shapes = [time_ns.shape, names.shape, *(vector.shape for vector in vectors)]
    n = len(time_ns)
    if shapes != [(n,), (n,), (n, 3), (n, 3)]:
        found = ", ".join(str(shape) for shape in shapes)
        raise InputError(
            f"{what}: found times, names, positions and velocities of shapes {found}, "
            "expected (n,), (n,), (n, 3), (n, 3)"
        )
    if not all(np.isfinite(vector).all() for vector in vectors):
        raise InputError(f"{what}: found a position or a velocity that is not finite, expected numbers")


class Points(NamedTuple):
    """What is there at the moments, ordered by moment: p points."""

    moment: IntArray
    who: IntArray
    """Index into the names of tracks or objects."""
    pos_enu_m: FloatArray
    vel_enu_mps: FloatArray
    ballistic: BoolArray
    """What the newest row of a track says; unused for the truth."""

    def cut(self, rows: slice) -> Points:
        """Some of them."""
        return Points(
            self.moment[rows], self.who[rows], self.pos_enu_m[rows], self.vel_enu_mps[rows], self.ballistic[rows]
        )


@dataclass(frozen=True)
class Scene:
    """Tracks and truth at the moments, and which object each track follows there.

    That is the one that GOSPA pairs it with; a track left over follows the nearest within the gate, as a double of its
    track. A track whose nearest is aside follows that.
    """

    at_ns: IntArray
    gate_m: float
    tracks: list[Any]
    began_ns: IntArray
    """First row of each track."""
    ever_ballistic: BoolArray
    """Whether any row of each track said so."""
    objects: list[Any]
    counted: BoolArray
    """Which objects are not aside."""
    ballistic: BoolArray
    """Which counted objects fly ballistically."""
    lives_ns: IntArray
    """First and last row of each object (m, 2)."""
    seen: Points
    true: Points
    follows: IntArray
    """Object of each point of `seen`, -1 for none."""
    off_m: FloatArray
    """How far it is from that object, NaN for none."""
    off_mps: FloatArray
    """The same for the velocity."""
    parts_m2: FloatArray
    """GOSPA's localisation, missed and false at each moment (k, 3)."""

    @property
    def aside(self) -> BoolArray:
        """Points of `seen` that follow something that is not counted."""
        return np.append(~self.counted, False)[self.follows]

    @property
    def right(self) -> BoolArray:
        """Points of `seen` that follow a counted object."""
        return np.append(self.counted, False)[self.follows]


def scene_of(
    tracks: TrackRows, truth: TruthRows, at_ns: IntArray | None = None, gate_m: float = GATE_M, coast_s: float = COAST_S
) -> Scene:
    """Bring both to the moments `at_ns` (k,), rising; without them, to those of `moments`.

    A track is there from its first row to the first moment at or after its last, but never more than `coast_s` after
    its newest row.
    """
    names, ours = _grouped(tracks.track, tracks.time_ns)
    objects, theirs = _grouped(truth.object, truth.time_ns)
    spans, lives = _spans(ours, tracks.time_ns), _spans(theirs, truth.time_ns)
    at = moments(np.concatenate([spans, lives])) if at_ns is None else at_ns
    says = np.zeros(len(tracks.time_ns), bool) if tracks.ballistic is None else tracks.ballistic
    seen = _together(_coasted(tracks, says, rows, at, round(coast_s * 1e9)) for rows in ours)
    true = _together(_interpolated(truth, rows, at) for rows in theirs)
    counted = np.array([name not in truth.aside for name in objects] + [True])[:-1]
    follows, off, parts = _compare(seen, true, counted, len(at), gate_m)
    return Scene(
        at_ns=at,
        gate_m=gate_m,
        tracks=names,
        began_ns=spans[:, 0],
        ever_ballistic=np.array([says[rows].any() for rows in ours], bool),
        objects=objects,
        counted=counted,
        ballistic=np.array([name in truth.ballistic for name in objects], bool) & counted,
        lives_ns=lives,
        seen=seen,
        true=true,
        follows=follows,
        off_m=off[:, 0],
        off_mps=off[:, 1],
        parts_m2=parts,
    )


def moments(spans_ns: IntArray) -> IntArray:
    """Steps of 0.1 s, or up to 0.5 s where there would be too many, while any of the spans (n, 2) lasts."""
    if len(spans_ns) == 0:
        return np.empty(0, np.int64)
    start = int(spans_ns[:, 0].min())
    step = STEP_NS * -(-len(_busy(start, STEP_NS, spans_ns)) // MAX_MOMENTS)
    return _busy(start, min(step, MAX_STEP_NS), spans_ns)


def _busy(start: int, step: int, spans_ns: IntArray) -> IntArray:
    """The moments within any span, and two more: at or after its end, and when it is over."""
    at = start + step * np.arange((int(spans_ns[:, 1].max()) - start) // step + 3)
    change = np.zeros(len(at) + 1, np.int64)
    np.add.at(change, np.searchsorted(at, spans_ns[:, 0]), 1)
    np.add.at(change, np.minimum(np.searchsorted(at, spans_ns[:, 1]) + 2, len(at)), -1)
    return at[np.cumsum(change[:-1]) > 0]


def _grouped(names: NDArray[Any], time_ns: IntArray) -> tuple[list[Any], list[IntArray]]:
    """The names in order, and the rows of each in order of time."""
    codes: dict[Any, int] = {}
    code = np.array([codes.setdefault(name, len(codes)) for name in names.tolist()], np.int64)
    order = np.lexsort((time_ns, code))
    parts = np.split(order, np.cumsum(np.bincount(code, minlength=len(codes)))[:-1]) if codes else []
    by_name = sorted(codes)
    return by_name, [parts[codes[name]] for name in by_name]


def _spans(groups: list[IntArray], time_ns: IntArray) -> IntArray:
    return np.array([(time_ns[rows[0]], time_ns[rows[-1]]) for rows in groups], np.int64).reshape(-1, 2)


Part = tuple[IntArray, FloatArray, FloatArray, BoolArray]


def _coasted(tracks: TrackRows, says: BoolArray, rows: IntArray, at: IntArray, coast_ns: int) -> Part:
    """One track at the moments of its life, by its velocity from the newest row."""
    times = tracks.time_ns[rows]
    first, last = np.searchsorted(at, times[0]), np.searchsorted(at, times[-1])
    moment = np.arange(first, min(last + 1, len(at)))
    newest = np.searchsorted(times, at[moment], side="right") - 1
    age_ns = at[moment] - times[newest]
    moment, newest, age_ns = (values[age_ns <= coast_ns] for values in (moment, newest, age_ns))
    row = rows[newest]
    velocity = tracks.vel_enu_mps[row]
    return moment, tracks.pos_enu_m[row] + velocity * (age_ns[:, None] * 1e-9), velocity, says[row]


def _interpolated(truth: TruthRows, rows: IntArray, at: IntArray) -> Part:
    """One object at the moments of its life, linear between its rows."""
    times = truth.time_ns[rows]
    moment = np.arange(np.searchsorted(at, times[0]), np.searchsorted(at, times[-1], side="right"))
    now, known = ((values - times[0]).astype(np.float64) for values in (at[moment], times))
    pos, vel = (
        np.stack([np.interp(now, known, values[rows, i]) for i in range(3)], axis=1)
        for values in (truth.pos_enu_m, truth.vel_enu_mps)
    )
    return moment, pos, vel, np.zeros(len(moment), bool)


def _together(parts: Iterator[Part]) -> Points:
    listed = list(parts)
    if not listed:
        none = np.empty(0, np.int64)
        return Points(none, none, np.empty((0, 3)), np.empty((0, 3)), np.empty(0, bool))
    who = np.repeat(np.arange(len(listed)), [len(part[0]) for part in listed])
    moment, pos, vel, says = (np.concatenate(columns) for columns in zip(*listed, strict=True))
    order = np.lexsort((who, moment))
    return Points(moment[order], who[order], pos[order], vel[order], says[order])


def _compare(
    seen: Points, true: Points, counted: BoolArray, n: int, gate_m: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """What each point follows, how far that is in position and velocity, and GOSPA's parts at each of n moments."""
    follows, off, parts = np.full(len(seen.who), -1), np.full((len(seen.who), 2), np.nan), np.zeros((n, 3))
    ours, theirs = (np.searchsorted(points.moment, np.arange(n + 1)) for points in (seen, true))
    pairs = np.concatenate([[0], np.cumsum(np.diff(ours) * np.diff(theirs))])
    start = 0
    while start < n:
        # as many moments as the memory is meant to hold pairs of
        end = max(start + 1, int(np.searchsorted(pairs, pairs[start] + MAX_PAIRS, side="right")) - 1)
        a, b = slice(ours[start], ours[end]), slice(theirs[start], theirs[end])
        some = _compare_some(seen.cut(a), true.cut(b), counted, (start, end), gate_m)
        follows[a], off[a], parts[start:end] = some
        start = end
    return follows, off, parts


def _compare_some(
    seen: Points, true: Points, counted: BoolArray, span: tuple[int, int], gate_m: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """The same for the moments from span[0] up to span[1], with all pairs of one moment side by side."""
    i, j = _pairs(seen.moment, true.moment)
    apart_m = np.sqrt(((seen.pos_enu_m[i] - true.pos_enu_m[j]) ** 2).sum(axis=1))
    inside = apart_m <= gate_m
    i, j, apart_m = i[inside], j[inside], apart_m[inside]
    order = np.lexsort((apart_m, i))
    nearest = order[np.unique(i[order], return_index=True)[1]]
    row = np.full(len(seen.who), -1)
    row[i[nearest]] = j[nearest]
    ours, theirs = np.append(counted[true.who], True)[row], counted[true.who]
    near = ours[i] & theirs[j]
    parts = _pair_up(row, seen, true, (ours, theirs), (i[near], j[near], apart_m[near]), span, gate_m)
    on = row >= 0
    off = np.full((len(row), 2), np.nan)
    off[on, 0] = np.sqrt(((seen.pos_enu_m[on] - true.pos_enu_m[row[on]]) ** 2).sum(axis=1))
    off[on, 1] = np.sqrt(((seen.vel_enu_mps[on] - true.vel_enu_mps[row[on]]) ** 2).sum(axis=1))
    return np.append(true.who, -1)[row], off, parts


def _pairs(ours: IntArray, theirs: IntArray) -> tuple[IntArray, IntArray]:
    """All pairs (i, j) of one moment, of two lists of moments in order."""
    low, high = (np.searchsorted(theirs, ours, side=side) for side in ("left", "right"))
    n = high - low
    i = np.repeat(np.arange(len(ours)), n)
    return i, np.arange(len(i)) - np.repeat(np.cumsum(n) - n, n) + np.repeat(low, n)


def _pair_up(
    row: IntArray,
    seen: Points,
    true: Points,
    wanted: tuple[BoolArray, BoolArray],
    near: tuple[IntArray, IntArray, FloatArray],
    span: tuple[int, int],
    gate_m: float,
) -> FloatArray:
    """GOSPA's parts (k, 3) of the wanted points; `near` is their pairs within the gate, and how far apart.

    Changes `row`, the point of the truth that each point of `seen` follows, to GOSPA's pairs where it has them.
    """
    start, n = span[0], span[1] - span[0]
    n_ours, n_theirs = (
        np.bincount(points.moment[rows] - start, minlength=n) for points, rows in zip((seen, true), wanted, strict=True)
    )
    i, j, apart_m = near
    moment = seen.moment[i] - start
    n_pairs = np.bincount(moment, minlength=n)
    half = 0.5 * gate_m**2
    localisation = np.bincount(moment, apart_m**2, minlength=n)
    parts = np.stack([localisation, half * (n_theirs - n_pairs), half * (n_ours - n_pairs)], axis=1)
    # where a point is in two pairs there is something to choose
    twice = (np.bincount(i, minlength=1)[i] > 1) | (np.bincount(j, minlength=1)[j] > 1)
    for k in np.unique(moment[twice]).tolist():
        a, b = (
            low + np.flatnonzero(rows[low:high])
            for points, rows in zip((seen, true), wanted, strict=True)
            for low, high in [np.searchsorted(points.moment, (k + start, k + start + 1))]
        )
        best = gospa(seen.pos_enu_m[a], true.pos_enu_m[b], gate_m)
        parts[k] = best[1:4]
        row[a[best.pairs >= 0]] = b[best.pairs[best.pairs >= 0]]
    return parts
