"""GOSPA over time and SIAP against Stone Soup's own code for them, on scenes with misses, ghosts, breaks and swaps."""

from __future__ import annotations

import datetime as dt
import itertools
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from stonesoup.measures import Euclidean
    from stonesoup.metricgenerator.manager import MultiManager
    from stonesoup.metricgenerator.ospametric import GOSPAMetric
    from stonesoup.metricgenerator.tracktotruthmetrics import SIAPMetrics
    from stonesoup.types.association import AssociationSet, TimeRangeAssociation
    from stonesoup.types.groundtruth import GroundTruthPath, GroundTruthState
    from stonesoup.types.state import State
    from stonesoup.types.time import TimeRange
    from stonesoup.types.track import Track

from opencram.report.moments import GATE_M, TrackRows, TruthRows
from opencram.report.tracking_metrics import Evaluation, evaluate
from opencram.tables import FloatArray

START = dt.datetime(2030, 1, 1)
T0 = 1_893_456_000 * 10**9
STEP_NS = 200_000_000
SEEDS = range(12)


class Path(NamedTuple):
    """A mover: the moments at which it is there, and its state (position, velocity) at each."""

    moments: range
    state: FloatArray


class Made(NamedTuple):
    """A scene: objects, and tracks that are each a list of unbroken stretches."""

    objects: list[Path]
    tracks: list[list[Path]]


def flown(moments: range, start: FloatArray) -> Path:
    """Straight on from a position and velocity (6,)."""
    seconds = (np.array(moments) - moments.start)[:, None] * STEP_NS * 1e-9
    return Path(moments, np.hstack([start[:3] + seconds * start[3:], np.tile(start[3:], (len(moments), 1))]))


def near(path: Path, moments: range, rng: np.random.Generator) -> Path:
    """A stretch of a track that follows an object through some of its moments."""
    rows = slice(moments.start - path.moments.start, moments.stop - path.moments.start)
    sigma = np.array([20.0] * 3 + [3.0] * 3)
    return Path(moments, path.state[rows] + rng.normal(size=(len(moments), 6)) * sigma)


def made(seed: int) -> Made:
    """Objects 2 km apart and more: one whole track; one that breaks, with a gap or an overlap; two that change places;
    a track beside another; one that is never tracked; and ghosts."""
    rng = np.random.default_rng(seed)
    objects = []
    for i in range(6):
        first = int(rng.integers(0, 30))
        start = np.concatenate([[2_000.0 * i, 0.0, 500.0], rng.normal([0.0, 300.0, 20.0], 2.0)])
        objects.append(flown(range(first, first + int(rng.integers(60, 90))), start))
    whole, broken, a, b, doubled, _ = objects
    ends = [(path.moments.start + int(rng.integers(3, 10)), path.moments.stop) for path in objects]
    middle = broken.moments.start + 30
    lost, found = middle + int(rng.integers(-4, 5)), middle + int(rng.integers(-4, 5))
    crossing = range(max(a.moments.start, b.moments.start) + 12, min(a.moments.stop, b.moments.stop) - 12)
    at = int(rng.choice(crossing))
    tracks = [
        [near(whole, range(*ends[0]), rng)],
        [near(broken, range(ends[1][0], lost), rng)],
        [near(broken, range(found, ends[1][1]), rng)],
        [near(a, range(ends[2][0], at), rng), near(b, range(at, ends[3][1]), rng)],
        [near(b, range(ends[3][0], at), rng), near(a, range(at, ends[2][1]), rng)],
        [near(doubled, range(*ends[4]), rng)],
        [near(doubled, range(ends[4][0] + 10, ends[4][0] + 10 + int(rng.integers(2, 30))), rng)],
    ]
    for _ in range(int(rng.integers(1, 5))):
        first = int(rng.integers(0, 80))
        ghost = np.concatenate([rng.uniform(-9_000.0, -3_000.0, 3), rng.normal(0.0, 100.0, 3)])
        tracks.append([flown(range(first, first + int(rng.integers(1, 20))), ghost)])
    return Made(objects, tracks)


def ours(scene: Made) -> Evaluation:
    def rows(movers: list[list[Path]]) -> tuple[Any, ...]:
        flat = [(i, path) for i, stretches in enumerate(movers) for path in stretches]
        names = np.concatenate([np.full(len(path.moments), i) for i, path in flat])
        times = np.concatenate([T0 + STEP_NS * np.array(path.moments) for _, path in flat])
        state = np.concatenate([path.state for _, path in flat])
        return times, names, state[:, :3], state[:, 3:]

    truth = TruthRows(*rows([[path] for path in scene.objects]))
    at = np.unique(np.concatenate([truth.time_ns, rows(scene.tracks)[0]]))
    return evaluate(TrackRows(*rows(scene.tracks)), truth, at_ns=at, coast_s=0.0)


def when(moment: int) -> dt.datetime:
    return START + dt.timedelta(microseconds=moment * STEP_NS / 1e3)


class Nearest:
    """The same gate for Stone Soup, by brute force: each track goes with the nearest object within it.

    Objects here are so far apart that this is all there is to choose.
    """

    def associate_tracks(self, tracks: set[Any], truths: set[Any]) -> AssociationSet:
        found = set()
        for track in tracks:
            nearest = {state.timestamp: self._nearest(state, truths) for state in track}
            for truth, stretch in itertools.groupby(sorted(nearest), key=lambda t: nearest[t]):
                times = list(stretch)
                if truth is not None:
                    found.add(TimeRangeAssociation({track, truth}, TimeRange(times[0], times[-1])))
        return AssociationSet(found)

    @staticmethod
    def _nearest(state: Any, truths: set[Any]) -> Any:
        alive = [t for t in truths if t[0].timestamp <= state.timestamp <= t[-1].timestamp]
        apart = {t: Euclidean((0, 1, 2))(state, t[state.timestamp]) for t in alive}
        best = min(apart, key=lambda t: apart[t], default=None)
        return best if best is not None and apart[best] <= GATE_M else None


def theirs(scene: Made, generator: Any, associator: Nearest | None = None) -> dict[str, Any]:
    """What one of Stone Soup's generators makes of a scene, by its titles."""

    def states(kind: Any, path: Path) -> list[Any]:
        return [kind(s.reshape(-1, 1), timestamp=when(m)) for m, s in zip(path.moments, path.state, strict=True)]

    truths = {GroundTruthPath(states(GroundTruthState, path)) for path in scene.objects}
    tracks = {Track([s for path in stretches for s in states(State, path)]) for stretches in scene.tracks}
    manager = MultiManager([generator], associator=associator)
    manager.add_data({"tracks": tracks, "groundtruth_paths": truths})
    return dict(manager.generate_metrics()[generator.generator_name])


def their_gospa(scene: Made) -> list[Any]:
    """Stone Soup's GOSPA, moment by moment."""
    metric = GOSPAMetric(c=GATE_M, p=2.0, measure=Euclidean((0, 1, 2)))
    return list(theirs(scene, metric)["GOSPA Metrics"].value)


@pytest.mark.parametrize("seed", SEEDS)
def test_siap_agrees(seed: int) -> None:
    scene = made(seed)
    siap, other = ours(scene).siap, theirs(scene, SIAPMetrics(Euclidean((0, 1, 2)), Euclidean((3, 4, 5))), Nearest())
    names = {
        "completeness": "Completeness",
        "ambiguity": "Ambiguity",
        "spuriousness": "Spuriousness",
        "position_accuracy_m": "Position Accuracy",
        "velocity_accuracy_mps": "Velocity Accuracy",
        "track_change_rate_hz": "Rate of Track Number Change",
        "longest_segment": "Longest Track Segment",
    }
    assert siap._asdict() == pytest.approx({name: other[f"SIAP {title}"].value for name, title in names.items()})
    assert siap.track_change_rate_hz


@pytest.mark.parametrize("seed", SEEDS)
def test_gospa_over_time_agrees(seed: int) -> None:
    scene = made(seed)
    gospa, other = ours(scene).gospa, their_gospa(scene)
    assert [m.timestamp for m in other] == [when(int(t - T0) // STEP_NS) for t in gospa.at_ns]
    assert gospa.distance_m == pytest.approx([m.value["distance"] for m in other])
    parts = [[m.value[name] for name in ("localisation", "missed", "false")] for m in other]
    assert gospa.parts_m2 == pytest.approx(np.array(parts))
    assert gospa.mean_m == pytest.approx(np.mean([m.value["distance"] for m in other]))


@pytest.mark.parametrize("seed", SEEDS)
def test_gospa_of_a_crowd_agrees(seed: int) -> None:
    """Objects and tracks within the cut-off of several others, so that there is something to choose."""
    rng = np.random.default_rng(seed)
    objects = [flown(range(20), np.append(rng.uniform(0.0, 300.0, 3), rng.normal(0.0, 40.0, 3))) for _ in range(7)]
    tracks = [[near(path, range(int(rng.integers(0, 9)), 20), rng)] for path in objects[:5]]
    tracks += [[flown(range(20), np.append(rng.uniform(0.0, 300.0, 3), np.zeros(3)))] for _ in range(2)]
    scene = Made(objects, tracks)
    gospa, other = ours(scene).gospa, their_gospa(scene)
    parts = [[m.value[name] for name in ("localisation", "missed", "false")] for m in other]
    assert gospa.parts_m2 == pytest.approx(np.array(parts))
