"""One salvo through the tracker, and what came of it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import NamedTuple

import msgspec
import numpy as np
from joblib import Parallel, delayed

from opencram.report.moments import Scene, TrackRows, TruthRows, scene_of
from opencram.report.tracking_metrics import evaluate_scene, pieces
from opencram.stages.plots_to_tracks import TracksState, let_go, plots_to_tracks
from opencram.tables import BALLISTIC, CONFIRMED, BoolArray, Plots, TrackEvent, Tracks
from salvos.sky import Case, Scans, site_of

IN_TIME_S = 1.5


class Row(msgspec.Struct, frozen=True):
    """What came of one salvo."""

    cls: str
    launches: str
    merged: bool
    seed: int
    launched: int
    counted: int
    """Confirmed tracks that were ever called ballistic or ever followed an object."""
    false: int
    """Confirmed tracks that followed an object at less than half of their moments."""
    doubled: int
    """Tracks beyond one for each object, each by the object that it followed most."""
    missed: int
    """Objects that no confirmed track followed for a second."""
    broken: int
    """Times that an object was handed from one track to another."""
    swaps: int
    timed: int
    """Objects that gave five plots of their own."""
    late: int
    """Of those, not confirmed within IN_TIME_S of the fifth."""
    gospa_m: float
    events: dict[str, int]
    scan_us: tuple[float, ...]
    """Processor time of each scan."""

    @property
    def case(self) -> Case:
        """Which salvo and radar."""
        return Case(self.cls, self.launches, self.merged)


class Followed(NamedTuple):
    """A salvo, all tracks' rows scan by scan, and what was told between tracks."""

    scans: Scans
    seen: list[tuple[Plots, Tracks]]
    events: list[TrackEvent]
    scan_us: tuple[float, ...]


def follow(case: Case, seed: int) -> Followed:
    """Track a salvo with the stage alone; only the stage is timed."""
    site, state, scans = site_of(case.merged), TracksState(), Scans(case, seed)
    seen, took = [], []
    for now_ns, plots in scans:
        began = time.thread_time_ns()
        tracks = plots_to_tracks(state, plots, site)
        let_go(state, now_ns, site)
        took.append(1e-3 * (time.thread_time_ns() - began))
        seen.append((plots, tracks))
    return Followed(scans, seen, state.events, tuple(took))


def trial(case: Case, seed: int) -> Row:
    """The row of one salvo; it depends on nothing but these two, except for its times."""
    followed = follow(case, seed)
    scene, fifth_ns = scene_of(*tables(followed)), followed.scans.fifth_ns
    metrics = evaluate_scene(scene)
    on_object = counted(scene)
    in_time = sum(first_ns(scene).get(who, np.inf) - at_ns <= 1e9 * IN_TIME_S for who, at_ns in fifth_ns.items())
    held = {piece.object for piece in pieces(scene) if scene.at_ns[piece.last] - scene.at_ns[piece.first] >= 1e9}
    return Row(
        *case,
        seed=seed,
        launched=case.count,
        counted=int(on_object.sum()),
        false=len(metrics.false_tracks),
        doubled=doubled(scene),
        missed=len(scene.objects) - len(held),
        broken=metrics.track_changes,
        swaps=metrics.swaps,
        timed=len(fifth_ns),
        late=len(fifth_ns) - in_time,
        gospa_m=metrics.gospa.mean_m or 0.0,
        events=dict(Counter(event.kind for event in followed.events)),
        scan_us=followed.scan_us,
    )


def counted(scene: Scene) -> BoolArray:
    """Which tracks are in the count of the salvo."""
    on = np.bincount(scene.seen.who[scene.follows >= 0], minlength=len(scene.tracks)) > 0
    claims: BoolArray = on | scene.ever_ballistic
    return claims


def first_ns(scene: Scene) -> dict[int, int]:
    """By object, the first moment at which a confirmed track follows it."""
    rows = np.flatnonzero(scene.follows >= 0)[::-1]
    objects = [scene.objects[i] for i in scene.follows[rows].tolist()]
    return dict(zip(objects, scene.at_ns[scene.seen.moment[rows]].tolist(), strict=True))


def doubled(scene: Scene) -> int:
    """Tracks beyond one for each object."""
    table = np.zeros((len(scene.tracks), len(scene.objects) + 1), np.int64)
    np.add.at(table, (scene.seen.who, scene.follows), 1)
    most = table[:, :-1].argmax(axis=1)[table[:, :-1].any(axis=1)]
    return int(len(most) - len(np.unique(most)))


def tables(followed: Followed) -> tuple[TrackRows, TruthRows]:
    """Confirmed rows, and the truth where the radar covers it, as the metrics take them."""
    tracks = Tracks.concat(told.take(told.status == CONFIRMED) for _, told in followed.seen)
    truth = followed.scans.truth
    who = np.concatenate([objects for _, objects, _, _ in truth])
    return (
        TrackRows(
            tracks.time_ns, tracks.track, tracks.mean[:, :3], tracks.mean[:, 3:6], ballistic=tracks.model == BALLISTIC
        ),
        TruthRows(
            np.repeat([now_ns for now_ns, *_ in truth], [len(objects) for _, objects, _, _ in truth]),
            who,
            np.concatenate([pos for _, _, pos, _ in truth]),
            np.concatenate([vel for _, _, _, vel in truth]),
            ballistic=frozenset(who.tolist()),
        ),
    )


def run_all(jobs: Iterable[tuple[Case, int]], workers: int, told: Callable[[], None] = lambda: None) -> list[Row]:
    """The rows of all jobs, in order; `told` hears of each that is done."""
    rows = []
    for row in Parallel(n_jobs=workers, return_as="generator", batch_size=4)(delayed(trial)(*job) for job in jobs):
        rows.append(row)
        told()
    return rows
