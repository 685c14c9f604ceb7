"""How well tracks followed the truth: GOSPA, SIAP, delay, false tracks, swaps and the count of a raid.

Plain arrays in, figures out: `evaluate(TrackRows(...), TruthRows(...))`. Only confirmed rows should be handed in.

SIAP: Votruba et al., Single Integrated Air Picture (SIAP) Metrics Implementation, SIAP System Engineering Task Force,
2001. GOSPA: see `gospa.py`; here p = 2, alpha = 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from opencram.report.moments import COAST_S, GATE_M, Scene, TrackRows, TruthRows, scene_of
from opencram.tables import FloatArray, IntArray

HOLD_S = 1.0
"""A track that follows an object for less than this without a break only passed it by."""

Figures = dict[str, float | int | None]


class GospaOverTime(NamedTuple):
    """GOSPA at each moment (k,); the means are over the moments at which there is an object or a track."""

    at_ns: IntArray
    distance_m: FloatArray
    parts_m2: FloatArray
    """Localisation, missed and false (k, 3): their sum is the square of the distance."""
    mean_m: float | None
    mean_parts_m2: tuple[float, float, float] | None


class Siap(NamedTuple):
    """SIAP over the whole time; None where there is nothing to tell it from."""

    completeness: float | None
    """Share of the objects, over all moments, that are tracked."""
    ambiguity: float | None
    """Tracks per tracked object; 1 is best."""
    spuriousness: float | None
    """Share of the tracks, over all moments, that follow nothing."""
    position_accuracy_m: float | None
    velocity_accuracy_mps: float | None
    """Mean distance of tracks from what they follow."""
    track_change_rate_hz: float | None
    """Tracks needed beyond the first, over all objects, per second tracked."""
    longest_segment: float | None
    """Share of the objects' lives that the longest track of each covers."""


@dataclass(frozen=True)
class Evaluation:
    """All metrics of one run; tracks and objects by the names that they were handed in with."""

    gospa: GospaOverTime
    siap: Siap
    delay_s: dict[Any, float]
    """Of each counted object that got a track: until the first confirmed row of one that is its."""
    false_tracks: list[Any]
    false_ballistic_tracks: list[Any]
    hours: float
    swaps: int
    track_changes: int
    """How often an object was handed from one track to another, each with it for `HOLD_S` without a break."""
    tracked: int
    """Counted objects that a track followed for that long."""
    count_error: int

    def figures(self) -> Figures:
        """The scalars, by their names in run.json."""
        localisation, missed, false = self.gospa.mean_parts_m2 or (None, None, None)
        delays = list(self.delay_s.values())
        return {
            "gospa_m": self.gospa.mean_m,
            "gospa_localisation_m2": localisation,
            "gospa_missed_m2": missed,
            "gospa_false_m2": false,
            **{f"siap_{name}": value for name, value in self.siap._asdict().items()},
            "initiation_delay_median_s": float(np.median(delays)) if delays else None,
            "initiation_delay_p95_s": float(np.percentile(delays, 95)) if delays else None,
            "false_tracks_per_h": _ratio(len(self.false_tracks), self.hours),
            "false_ballistic_tracks_per_h": _ratio(len(self.false_ballistic_tracks), self.hours),
            "swaps": self.swaps,
            "track_changes_per_object": _ratio(self.track_changes, self.tracked),
            "count_error": self.count_error,
        }


class Piece(NamedTuple):
    """A track follows one object from moment to moment without a break."""

    track: int
    object: int
    first: int
    last: int


def evaluate(
    tracks: TrackRows,
    truth: TruthRows,
    first_seen_ns: Mapping[Any, int] | None = None,
    span_ns: tuple[int, int] | None = None,
    at_ns: IntArray | None = None,
    gate_m: float = GATE_M,
    coast_s: float = COAST_S,
) -> Evaluation:
    """All metrics of `tracks` against `truth`.

    `first_seen_ns` is when each object could first be tracked (its first plot); without it, its first row of truth.
    `span_ns` is when the run began and ended, for what is told by the hour; without it, the first and last moment.
    `at_ns`, `gate_m` and `coast_s` are as in `scene_of`.
    """
    return evaluate_scene(scene_of(tracks, truth, at_ns, gate_m, coast_s), first_seen_ns, span_ns)


def evaluate_scene(
    scene: Scene, first_seen_ns: Mapping[Any, int] | None = None, span_ns: tuple[int, int] | None = None
) -> Evaluation:
    """The same of a scene that is there already."""
    parts = pieces(scene)
    held = [p for p in parts if scene.counted[p.object] and _seconds(scene, p) >= HOLD_S]
    false = false_tracks(scene)
    start, end = span_ns or ((int(scene.at_ns[0]), int(scene.at_ns[-1])) if len(scene.at_ns) else (0, 0))
    chains, of_held = ([chain_of(own) for own in _by_object(scene, some)] for some in (parts, held))
    return Evaluation(
        gospa=gospa_over_time(scene),
        siap=siap(scene, chains),
        delay_s=initiation_delay_s(scene, held, first_seen_ns or {}),
        false_tracks=[scene.tracks[i] for i in false],
        false_ballistic_tracks=[scene.tracks[i] for i in false if scene.ever_ballistic[i]],
        hours=(end - start) / 3.6e12,
        swaps=swaps(scene, held),
        track_changes=sum(a.track != b.track for chain in of_held for a, b in pairwise(chain)),
        tracked=len(of_held),
        count_error=_claims(scene, held) - int(scene.ballistic.sum()),
    )


def gospa_over_time(scene: Scene) -> GospaOverTime:
    """GOSPA of the tracks and the counted objects at each moment; tracks of what is aside are left out."""
    distance = np.sqrt(scene.parts_m2.sum(axis=1))
    busy = np.zeros(len(scene.at_ns), bool)
    busy[scene.seen.moment[~scene.aside]] = True
    busy[scene.true.moment[scene.counted[scene.true.who]]] = True
    if not busy.any():
        return GospaOverTime(scene.at_ns, distance, scene.parts_m2, None, None)
    localisation, missed, false = scene.parts_m2[busy].mean(axis=0).tolist()
    return GospaOverTime(
        scene.at_ns, distance, scene.parts_m2, float(distance[busy].mean()), (localisation, missed, false)
    )


def pieces(scene: Scene) -> list[Piece]:
    """What each track follows, as unbroken pieces in order of track and time; those of things aside too."""
    seen, order = scene.seen, np.lexsort((scene.seen.moment, scene.seen.who))
    who, moment, follows = seen.who[order], seen.moment[order], scene.follows[order]
    goes_on = (np.diff(who) == 0) & (np.diff(moment) == 1) & (np.diff(follows) == 0)
    firsts = np.flatnonzero(np.concatenate([[True], ~goes_on])) if len(who) else np.empty(0, np.int64)
    lasts = np.append(firsts[1:] - 1, len(who) - 1)
    columns = (who[firsts], follows[firsts], moment[firsts], moment[lasts[: len(firsts)]])
    return [Piece(*row) for row in zip(*(c.tolist() for c in columns), strict=True) if row[1] >= 0]


def _by_object(scene: Scene, parts: list[Piece]) -> list[list[Piece]]:
    """The pieces of each counted object that has any."""
    found: dict[int, list[Piece]] = {}
    for piece in parts:
        if scene.counted[piece.object]:
            found.setdefault(piece.object, []).append(piece)
    return list(found.values())


def chain_of(parts: list[Piece]) -> list[Piece]:
    """The fewest pieces that cover all that an object's pieces cover, in order of time."""
    chain: list[Piece] = []
    waiting, now = sorted(parts, key=lambda p: p.first), -1
    while waiting:
        now = max(now, waiting[0].first)
        chain.append(max((p for p in waiting if p.first <= now), key=lambda p: p.last))
        now = chain[-1].last + 1
        waiting = [p for p in waiting if p.last >= now]
    return chain


def siap(scene: Scene, chains: list[list[Piece]]) -> Siap:
    """SIAP from the association at each moment; a track and an object may meet at any number of moments."""
    right = scene.right
    moment, who, follows = scene.seen.moment[right], scene.seen.who[right], scene.follows[right]
    n_tracked = len(np.unique(moment * len(scene.objects) + follows))
    n_seen = int((~scene.aside).sum())
    step_s = np.diff(scene.at_ns, append=scene.at_ns[-1:]) * 1e-9
    covered, longest = _covered_s(scene, who, follows, moment, step_s)
    lives = _lives_s(scene)
    return Siap(
        completeness=_ratio(n_tracked, int(scene.counted[scene.true.who].sum())),
        ambiguity=_ratio(len(who), n_tracked),
        spuriousness=_ratio(n_seen - len(who), n_seen),
        position_accuracy_m=_ratio(float(scene.off_m[right].sum()), len(who)),
        velocity_accuracy_mps=_ratio(float(scene.off_mps[right].sum()), len(who)),
        track_change_rate_hz=_ratio(sum(len(chain) - 1 for chain in chains), covered),
        longest_segment=_ratio(longest, lives),
    )


def _covered_s(
    scene: Scene, who: IntArray, follows: IntArray, moment: IntArray, step_s: FloatArray
) -> tuple[float, float]:
    """Seconds, over all objects, that any track covers, and that the longest track of each does."""
    order = np.lexsort((moment, follows, who))
    who, follows, moment = who[order], follows[order], moment[order]
    on = np.flatnonzero((np.diff(who) == 0) & (np.diff(follows) == 0) & (np.diff(moment) == 1))
    if len(on) == 0:
        return 0.0, 0.0
    any_track = np.unique(follows[on] * len(scene.at_ns) + moment[on]) % len(scene.at_ns)
    pair, m = who[on] * len(scene.objects) + follows[on], len(scene.objects)
    by_pair = np.bincount(pair, step_s[moment[on]], minlength=len(scene.tracks) * m).reshape(-1, m)
    return float(step_s[any_track].sum()), float(by_pair.max(axis=0).sum())


def _lives_s(scene: Scene) -> float:
    """Seconds that the counted objects fly, together, at the moments."""
    total = 0.0
    for j in np.flatnonzero(scene.counted):
        alive = scene.at_ns[scene.true.moment[scene.true.who == j]]
        total += float(alive[-1] - alive[0]) * 1e-9 if len(alive) else 0.0
    return total


def swaps(scene: Scene, held: list[Piece]) -> int:
    """How often a track passes from one counted object to another, each followed for `HOLD_S` without a break.

    While the first is still within the gate nobody can say that the track has left it: two objects side by side, and
    whichever is the nearer, make no swap.
    """
    n, now = 0, None
    for piece in held:
        if now is None or now.track != piece.track:
            now = piece
        elif now.object != piece.object and not _beside(scene, piece, now.object):
            n, now = n + 1, piece
    return n


def _beside(scene: Scene, piece: Piece, other: int) -> bool:
    """Whether another object, too, is within the gate of the track through all of a piece."""
    seen, true = scene.seen, scene.true
    ours, theirs = (
        np.flatnonzero((points.who == who) & (points.moment >= piece.first) & (points.moment <= piece.last))
        for points, who in ((seen, piece.track), (true, other))
    )
    if len(ours) != len(theirs):
        return False
    apart_m = np.sqrt(((seen.pos_enu_m[ours] - true.pos_enu_m[theirs]) ** 2).sum(axis=1))
    return bool((apart_m <= scene.gate_m).all())


def initiation_delay_s(scene: Scene, held: list[Piece], first_seen_ns: Mapping[Any, int]) -> dict[Any, float]:
    """Of each counted object with a track: from when it could be seen to the first row of a track that is its."""
    found: dict[Any, float] = {}
    first = {track: int(m) for track, m in zip(*_first_moments(scene), strict=True)}
    for piece in held:
        # a track that is the object's from its start is so from its first row, which lies before the moment
        own = piece.first == first[piece.track]
        began = int(scene.began_ns[piece.track] if own else scene.at_ns[piece.first])
        name = scene.objects[piece.object]
        delay = (began - first_seen_ns.get(name, int(scene.lives_ns[piece.object, 0]))) * 1e-9
        found[name] = min(delay, found.get(name, np.inf))
    return found


def _first_moments(scene: Scene) -> tuple[list[int], list[int]]:
    """The tracks, and the first moment of each."""
    who, rows = np.unique(scene.seen.who, return_index=True)
    return who.tolist(), scene.seen.moment[rows].tolist()


def false_tracks(scene: Scene) -> list[int]:
    """Tracks that follow something, counted or aside, at less than half of their moments."""
    n = len(scene.tracks)
    all_, some = (np.bincount(scene.seen.who[rows], minlength=n) for rows in (slice(None), scene.follows >= 0))
    return np.flatnonzero(2 * some < all_).tolist()


def _claims(scene: Scene, held: list[Piece]) -> int:
    """Tracks that say they are a ballistic threat at most of the moments at which they follow nothing aside.

    Those are left out that follow something aside at half of their moments or more, and no counted object.
    """
    n, free = len(scene.tracks), ~scene.aside
    all_, on_free, says = (
        np.bincount(scene.seen.who[rows], minlength=n) for rows in (slice(None), free, free & scene.seen.ballistic)
    )
    of_debris = 2 * (all_ - on_free) >= all_
    of_debris[[piece.track for piece in held]] = False
    return int((~of_debris & (2 * says > on_free)).sum())


def _seconds(scene: Scene, piece: Piece) -> float:
    return float(scene.at_ns[piece.last] - scene.at_ns[piece.first]) * 1e-9


def _ratio(a: float, b: float) -> float | None:
    return a / b if b else None
