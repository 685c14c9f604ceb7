"""Swaps, delays, false tracks and the count of a raid, on scenes small enough to work out by hand; seconds from T0."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from made_up_run import NS, OBJECTS, T0, summary_of, truth, write_run, write_site
from opencram.errors import InputError
from opencram.report.evidence import Tables
from opencram.report.moments import MAX_MOMENTS, TrackRows, TruthRows, moments, scene_of
from opencram.report.tracking_metrics import Evaluation, Piece, chain_of, evaluate
from opencram.tables import FloatArray

METRICS_PAGE = Path(__file__).parents[1] / "docs" / "reference" / "metrics.md"
SPEED = np.array([100.0, 0.0, 0.0])


def line(seconds: FloatArray, north_m: float) -> tuple[FloatArray, FloatArray]:
    """East at 100 m/s, `north_m` north of the origin."""
    return np.outer(seconds, SPEED) + np.array([0.0, north_m, 500.0]), np.tile(SPEED, (len(seconds), 1))


def span(start_s: float, end_s: float) -> FloatArray:
    """Every 0.1 s, the end left out."""
    return np.arange(round(start_s * 10), round(end_s * 10)) / 10.0


Lines = list[tuple[Any, FloatArray, float]]


def columns(lines: Lines) -> tuple[Any, ...]:
    """Rows of movers, each by name, times and how far north it flies."""
    seconds = np.concatenate([s for _, s, _ in lines])
    names = np.array([name for name, s, _ in lines for _ in s])
    states = [line(s, north) for _, s, north in lines]
    pos, vel = (np.concatenate(part) for part in zip(*states, strict=True))
    return T0 + np.round(seconds * NS).astype(np.int64), names, pos, vel


def judged(tracks: Lines, objects: Lines, ballistic: tuple[int, ...] = (), **more: Any) -> Evaluation:
    """The figures; `ballistic` are the tracks that say that they are, `aside` and `flies` the truth's."""
    rows = columns(tracks)
    true = TruthRows(*columns(objects), aside=more.pop("aside", frozenset()), ballistic=more.pop("flies", frozenset()))
    return evaluate(TrackRows(*rows, ballistic=np.isin(rows[1], ballistic)), true, **more)


TWO: Lines = [("A", span(0, 20), 0.0), ("B", span(0, 20), 1_000.0)]


def test_tracks_that_change_places_are_a_swap_each() -> None:
    change: Lines = [(1, span(1, 8), 0.0), (1, span(8, 20), 1_000.0), (2, span(1, 8), 1_000.0), (2, span(8, 20), 0.0)]
    told = judged(change, TWO)
    assert told.swaps == 2
    assert told.figures()["track_changes_per_object"] == 1.0
    assert judged([(1, span(1, 20), 0.0), (2, span(1, 20), 1_000.0)], TWO).swaps == 0


def test_what_lasts_less_than_a_second_is_no_swap() -> None:
    glance: Lines = [(1, span(1, 8), 0.0), (1, span(8, 8.9), 1_000.0), (1, span(8.9, 20), 0.0)]
    assert judged(glance, TWO).swaps == 0
    longer: Lines = [(1, span(1, 8), 0.0), (1, span(8, 9.2), 1_000.0), (1, span(9.2, 20), 0.0)]
    assert judged(longer, TWO).swaps == 2


def test_one_track_of_two_side_by_side_is_no_swap() -> None:
    """The nearer of the two changes every two seconds; both stay within the gate."""
    beside: Lines = [("A", span(0, 20), 0.0), ("B", span(0, 20), 60.0)]
    between: Lines = [(1, span(s, s + 2), 20.0 + 20.0 * (s % 4 == 2)) for s in range(0, 20, 2)]
    assert judged(between, beside).swaps == 0
    assert judged([*between, (1, span(20, 25), 60.0)], [beside[0], ("B", span(0, 25), 60.0)]).swaps == 1


def test_a_track_that_goes_on_with_debris_is_no_swap_and_not_false() -> None:
    objects: Lines = [("A", span(0, 10), 0.0), ("A-1", span(10, 20), 0.0), ("A-2", span(10, 20), 400.0)]
    tracks: Lines = [(1, span(1, 20), 0.0), (2, span(11, 20), 400.0)]
    told = judged(tracks, objects, ballistic=(1, 2), aside=frozenset({"A-1", "A-2"}), flies=frozenset({"A"}))
    assert (told.swaps, told.false_tracks, told.count_error) == (0, [], 0)
    assert told.siap.spuriousness == 0.0
    assert told.gospa.mean_parts_m2 == pytest.approx((0.0, 0.5 * 150.0**2 * 10 / 100, 0.0))  # the first second


def test_the_delay_is_to_the_first_confirmed_row_of_a_track_that_stays() -> None:
    tracks: Lines = [(1, span(3, 20), 0.0), (2, span(0.5, 0.9), 1_000.0), (3, span(4, 20), 1_000.0)]
    told = judged(tracks, [*TWO, ("C", span(0, 20), 5_000.0)], first_seen_ns={"A": T0 + 2 * NS})
    assert told.delay_s == pytest.approx({"A": 1.0, "B": 4.0})
    assert told.figures()["initiation_delay_median_s"] == pytest.approx(2.5)
    assert told.figures()["initiation_delay_p95_s"] == pytest.approx(1.0 + 0.95 * 3.0)


def test_the_delay_is_told_from_the_row_between_two_moments() -> None:
    told = judged([(1, span(3, 20) + 0.037, 0.0)], TWO)
    assert told.delay_s == pytest.approx({"A": 3.037})


def test_false_tracks_are_told_by_the_hour() -> None:
    ghosts: Lines = [(8, span(2, 4), -3_000.0), (9, span(2, 2.1) + 0.05, -3_000.0)]
    half_an_hour = (T0, T0 + 1_800 * NS)
    told = judged([(1, span(1, 20), 0.0), *ghosts], TWO, ballistic=(1, 9), span_ns=half_an_hour)
    assert (told.false_tracks, told.false_ballistic_tracks) == ([8, 9], [9])
    assert told.figures()["false_tracks_per_h"] == 4.0
    assert told.figures()["false_ballistic_tracks_per_h"] == 2.0


def test_the_count_is_wrong_by_doubles_ghosts_and_misses() -> None:
    flies = frozenset({"A", "B"})
    right: Lines = [(1, span(1, 20), 0.0), (2, span(1, 20), 1_000.0)]
    double: Lines = [(3, span(5, 20), 30.0)]
    ghost: Lines = [(4, span(5, 20), -3_000.0)]
    assert judged(right, TWO, ballistic=(1, 2), flies=flies).count_error == 0
    assert judged(right, TWO, ballistic=(1,), flies=flies).count_error == -1
    assert judged(right + double + ghost, TWO, ballistic=(1, 2, 3, 4), flies=flies).count_error == 2
    assert judged(right + double + ghost, TWO, ballistic=(1, 2), flies=flies).count_error == 0
    assert judged(right, TWO, ballistic=(1, 2)).count_error == 2  # what flies is no rocket


def test_a_track_is_coasted_and_is_not_there_beyond_the_limit() -> None:
    """Seen once a second, then not for three: in a second it goes on by its velocity, after that it is missing."""
    rows = np.array([0.0, 1.0, 2.0, 5.0, 6.0])
    told = judged([(1, rows, 0.0)], [("A", span(0, 6.1), 0.0)])
    assert told.siap.position_accuracy_m == pytest.approx(0.0, abs=1e-6)
    assert told.siap.completeness == pytest.approx(1.0 - 19 / 61)  # 3.1 to 4.9 s


def brute(parts: list[Piece], covered: set[int]) -> int:
    """The least number of pieces that cover as much, by trying all."""
    for n in range(len(parts) + 1):
        for some in itertools.combinations(parts, n):
            if {m for p in some for m in range(p.first, p.last + 1)} == covered:
                return n
    raise AssertionError


@pytest.mark.parametrize("seed", range(30))
def test_the_chain_is_the_shortest_cover(seed: int) -> None:
    rng = np.random.default_rng(seed)
    firsts = rng.integers(0, 30, 7).tolist()
    parts = [Piece(i, 0, first, first + int(rng.integers(0, 12))) for i, first in enumerate(firsts)]
    covered = {m for p in parts for m in range(p.first, p.last + 1)}
    chain = chain_of(parts)
    assert {m for p in chain for m in range(p.first, p.last + 1)} == covered
    assert len(chain) == brute(parts, covered)


def test_in_a_formation_each_track_has_its_own_object() -> None:
    """Ten abreast, 60 m apart, the tracks 40 m off: nine are nearer to the next one, as doubles or by turns."""
    abreast: Lines = [(i, span(0, 5), 60.0 * i) for i in range(10)]
    told = judged([(i, span(0, 5), 60.0 * i + 40.0) for i in range(10)], abreast)
    assert (told.siap.completeness, told.siap.ambiguity) == (1.0, 1.0)
    assert told.siap.position_accuracy_m == pytest.approx(40.0)
    double = judged([(i, span(0, 5), 60.0 * i + 40.0) for i in range(10)] + [(10, span(0, 5), 0.0)], abreast)
    assert (double.siap.completeness, double.siap.ambiguity) == (1.0, 1.1)


def test_moments_are_few_and_only_where_something_flies() -> None:
    hour = np.array([[0, 30 * NS], [3_000 * NS, 3_030 * NS], [3_500 * NS + 1, 3_500 * NS + 2]])
    at = moments(hour)
    assert len(at) <= MAX_MOMENTS + 2
    assert np.diff(at).min() == NS // 5  # 600 steps of 0.1 s, and a few more
    assert at[-1] >= 3_500 * NS + 1
    assert not ((at > 31 * NS) & (at < 3_000 * NS)).any()
    assert np.diff(moments(np.array([[0, 3_600 * NS]]))).tolist() == [NS // 2] * (7_200 + 1)  # no short track is lost


def test_nothing_at_all_has_no_figures() -> None:
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 3)))
    told = evaluate(TrackRows(*none), TruthRows(*none)).figures()
    numbers = {name: value for name, value in told.items() if value is not None}
    assert numbers == {"swaps": 0, "count_error": 0}


def test_rows_that_do_not_fit_are_told() -> None:
    time_ns, names, pos, vel = columns(TWO)
    with pytest.raises(InputError, match=r"truth: .*\(400,\), \(400,\), \(400, 2\), \(400, 3\), expected"):
        TruthRows(time_ns, names, pos[:, :2], vel)
    pos[3, 1] = np.nan
    with pytest.raises(InputError, match="tracks: found a position"):
        TrackRows(time_ns, names, pos, vel)


def test_much_at_once_is_the_same_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    crowd: Lines = [(i, span(rng.uniform(0, 9), 12), float(rng.uniform(0, 2_000))) for i in range(40)]
    objects: Lines = [(i, span(0, 12), float(rng.uniform(0, 2_000))) for i in range(30)]
    whole = scene_of(TrackRows(*columns(crowd)), TruthRows(*columns(objects)))
    monkeypatch.setattr("opencram.report.moments.MAX_PAIRS", 700)
    parts = scene_of(TrackRows(*columns(crowd)), TruthRows(*columns(objects)))
    assert np.array_equal(whole.follows, parts.follows)
    assert np.array_equal(whole.parts_m2, parts.parts_m2)


def test_the_made_up_run_has_its_figures(tmp_path: Path) -> None:
    """Tracks 1 and 2 run 20 m beside R1 and R2 from 2.5 s to 13.9 s; R3 is never tracked; track 9 is of nothing."""
    told = summary_of(write_site(tmp_path / "site"))["tracking"]
    lives = [(1, t.end_s) for t in OBJECTS[:3]]
    assert told["siap_position_accuracy_m"] == pytest.approx(20.0, abs=0.01)
    assert told["siap_completeness"] == pytest.approx(2 * 115 / sum(10 * end for _, end in lives), abs=0.01)
    assert told["siap_ambiguity"] == 1.0
    assert told["siap_spuriousness"] == pytest.approx(1 / 3, abs=1e-4)
    assert told["initiation_delay_median_s"] == pytest.approx(0.5)
    assert told["false_tracks_per_h"] == 60.0
    assert told["false_ballistic_tracks_per_h"] == 0.0
    assert (told["swaps"], told["count_error"]) == (0, -1)


def test_the_library_is_called_as_the_reference_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", METRICS_PAGE.read_text("utf-8"), re.DOTALL)
    write_run(tmp_path / "runs" / "mine", write_site(tmp_path / "site"))
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    printed = capsys.readouterr().out
    assert "'R1': 2.4" in printed  # launched at 0, the truth from 0.1 s, confirmed at 2.5 s
    assert printed.endswith("[3, 9]\n")  # what is left of R2 is not in the made-up truth


def test_every_metric_is_explained() -> None:
    page = METRICS_PAGE.read_text("utf-8")
    none = (np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 3)))
    named = evaluate(TrackRows(*none), TruthRows(*none)).figures()
    assert [name for name in named if f"`{name}`" not in page] == []


def test_without_truth_there_are_none(tmp_path: Path) -> None:
    assert summary_of(write_site(tmp_path / "site"), truth=None)["tracking"] is None
    assert summary_of(write_site(tmp_path / "again"), truth=truth(), tables=Tables())["tracking"] is None
