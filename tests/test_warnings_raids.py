"""Warnings that belong together, that none of them is forgotten, and the stage in the pipeline."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from opencram.pipeline import step
from opencram.state import State, load, save
from opencram.tables import PlotRows, Threats
from opencram.warning.rules import ALERT, PRE_ALERT, QUIET
from small_site import SECOND_NS, START_NS, site_of, square
from warning_runs import DRONE, NEAR_S, SOUNDED, Run, act, at, report, threats

# ---- one raid, one story ------------------------------------------------------------------------------------------


def raids(run: Run) -> list[tuple[str, str, int]]:
    return [(w.zone, w.state, w.raid) for w in run.log]


def test_zones_warned_of_one_object_are_one_raid() -> None:
    run = Run()
    both = Threats.concat([threats([(1, 0.3, 90.0)], zone=0), threats([(1, 0.01, 90.0)], zone=1)])
    run.until(0.0, 70.0, both, step=1.0)
    later = Threats.concat([both, threats([(1, 0.2, 90.0)], zone=1)])
    run.tick(70.0, later)
    assert {raid for _, _, raid in raids(run)} == {1}


@pytest.mark.parametrize(("after_s", "raid"), [(60.0, 1), (60.1, 2)])
def test_what_comes_within_a_minute_is_the_same_raid(after_s: float, raid: int) -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    run.tick(after_s, threats([(2, 0.3, 75.0)], zone=1))
    assert raids(run) == [("base", "alert", 1), ("base", "all-clear", 1), ("town", "alert", raid)]


def test_a_raid_goes_on_while_objects_join_it() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    run.tick(50.0, [(2, 0.3, 70.0)])
    run.tick(100.0, threats([(9, 0.3, 115.0)], zone=1))
    assert raids(run)[-1] == ("town", "alert", 1)


def test_what_joins_an_older_raid_does_not_prolong_the_newest() -> None:
    run = Run()
    first = threats([(1, 0.5, 200.0)])
    run.tick(0.0, first)
    run.tick(61.0, Threats.concat([first, threats([(2, 0.3, 76.0)], zone=1)]))
    joined = threats([(1, 0.5, 200.0), (3, 0.5, 200.0)])
    run.tick(100.0, joined)
    run.tick(110.0, joined)
    assert raids(run)[-1] == ("town", "all-clear", 2)
    run.tick(125.0, Threats.concat([joined, threats([(4, 0.3, 140.0)], zone=1)]))
    assert raids(run)[-1] == ("town", "alert", 3)


def test_what_is_not_told_prolongs_no_raid() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.tick(50.0, threats([(2, 0.6 * 0.3 / 21.0, 90.0)], zone=1)) == ["all-clear"]
    run.tick(70.0, threats([(2, 0.3, 90.0)], zone=1))
    assert raids(run)[-1] == ("town", "alert", 2)


def test_a_zone_keeps_its_raid_to_the_end() -> None:
    run = Run()
    run.until(0.0, 22.0, [(1, 0.3, NEAR_S)])
    run.until(22.0, 60.0)
    assert [(state, raid) for _, state, raid in raids(run)] == [("alert", 1), ("all-clear", 1)]
    run.tick(200.0, [(2, 0.3, 215.0)])
    assert run.last.raid == 2


def test_an_object_that_began_a_raid_long_ago_draws_its_zones_into_it() -> None:
    run = Run()
    drone = threats([(1, 0.2, 100.0)], cls=DRONE)
    run.until(0.0, 80.0, drone, step=1.0)
    run.tick(80.0, Threats.concat([threats([(1, 0.2, 130.0)], zone=1, cls=DRONE), drone]))
    assert run.last.zone == "town"
    assert run.last.raid == 1


def test_what_was_reported_is_part_of_the_raid() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    run.tick(30.0, reports=[report(30.0, zone="town")])
    run.until(31.0, 150.0, step=1.0)
    run.tick(150.0, reports=[act(150.0, "alarm", zone="town")])
    assert [(w.zone, w.raid, w.sources) for w in run.log if w.state in ("alert", "update")] == [
        ("base", 1, ()),
        ("town", 1, ("sensor-7",)),
        ("town", 2, ("watch-1",)),
    ]


# ---- never forgotten ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gap_s", [45.0, 3600.0])
def test_all_clear_fires_on_the_first_tick_after_a_gap(gap_s: float) -> None:
    run = Run()
    run.tick(0.0, [(1, 0.5, 10.0)])
    assert run.tick(gap_s) == ["all-clear"]


def test_gap_that_ends_before_the_deadline_fires_nothing() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.5, 10.0)])
    assert run.tick(35.0) == []
    assert run.tick(41.0) == ["all-clear"]


def test_alert_after_a_gap_is_not_lost_behind_the_all_clear() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.5, 10.0)])
    assert run.tick(100.0, [(2, 0.5, 115.0)]) == ["update"]
    assert run.last.tracks == (2,)


SCRIPT = st.lists(
    st.tuples(
        st.sampled_from([0.1, 0.1, 0.1, 1.0, 7.0, 40.0]),
        st.lists(
            st.tuples(st.integers(1, 4), st.sampled_from([0.0, 0.003, 0.008, 0.02, 0.3, 0.95]), st.floats(-3.0, 60.0)),
            max_size=3,
        ),
        st.sampled_from([0, 0, 0, 0, 1]),
        st.sampled_from([(), (), (), (1,), (2, 3)]),
    ),
    max_size=40,
)


def play(run: Run, script: list[Any], start: float = 0.0) -> float:
    now = start
    for wait_s, rows, reported, killed in script:
        now += wait_s
        left = [(track, p, now + left_s) for track, p, left_s in rows]
        run.tick(now, left, [report(now)] if reported else (), killed)
    return now


@settings(max_examples=300, deadline=None)
@given(SCRIPT)
def test_whatever_happens_each_story_begins_and_ends_once(script: list[Any]) -> None:
    """Raised in order, ended by one cancel or all-clear, and always ended once the sky has been empty long enough."""
    run = Run()
    now = play(run, script)
    run.until(now + 1.0, now + 200.0, step=1.0)
    level = QUIET
    for warning in run.log:
        if warning.state == "pre-alert":
            assert level == QUIET
            level = PRE_ALERT
        elif warning.state == "alert":
            assert level < ALERT
            level = ALERT
        elif warning.state == "update":
            assert level == ALERT
        else:
            assert level > QUIET
            level = QUIET
        assert warning.reason
        assert 0.0 <= warning.p_hit <= 1.0
        assert warning.seconds_left is None or warning.seconds_left > 0.0
    assert level == QUIET
    assert run.state.zones == {}


@settings(max_examples=100, deadline=None)
@given(SCRIPT, SCRIPT)
def test_a_state_saved_at_any_tick_goes_on_alike(before: list[Any], after: list[Any]) -> None:
    one, two = Run(), Run()
    now = play(one, before)
    two.state = load(save(State(defended=False, warnings=one.state))).warnings
    first = len(one.log)
    play(one, after, now)
    play(two, after, now)
    assert one.log[first:] == two.log


@settings(max_examples=100, deadline=None)
@given(SCRIPT)
def test_another_zone_s_danger_changes_nothing_here_but_the_raid_s_number(script: list[Any]) -> None:
    alone, beside = Run(), Run()
    now = 0.0
    for wait_s, rows, _, killed in script:
        now += wait_s
        here = threats([(track, p, now + left) for track, p, left in rows])
        there = threats([(9, 0.7, now + 5.0)], zone=1)
        alone.tick(now, here, killed=killed)
        beside.tick(now, Threats.concat([there, here]), killed=killed)
    assert [replace(w, raid=1) for w in alone.log] == [replace(w, raid=1) for w in beside.log if w.zone == "base"]


# ---- in the pipeline ------------------------------------------------------------------------------------------------


def test_the_pipeline_sounds_a_radar_that_falls_silent() -> None:
    """A radar that spoke, then did not: told as stale after 3 s, sounded in that tick, ended once it speaks again."""
    site = site_of([square("base", 0, 0, kind="base")], policy=SOUNDED)
    state, told = State(defended=False), []
    for k in range(1_000):
        now_ns = at(0.1 * k)
        rows = PlotRows(received_ns=now_ns, source="radar", columns={"time": [], "sensor": []}, scan_end=True)
        speaks = k < 10 or k >= 300
        told += step(state, [rows] if speaks else [], now_ns, site).warnings
    assert [(w.state, w.kind, w.sources) for w in told] == [
        ("alert", "sensor", ("radar",)),
        ("all-clear", "sensor", ("radar",)),
    ]
    assert [round((w.time_ns - START_NS) / SECOND_NS, 1) for w in told] == [4.0, 59.9]


def test_the_pipeline_takes_an_operator_s_acts_and_counts_what_it_refuses() -> None:
    site = site_of([square("base", 0, 0, kind="base")])
    state = State(defended=False)
    assert [w.kind for w in step(state, [act(0.0, "alarm")], at(0.1), site).warnings] == ["operator"]
    assert [r.reason for r in step(state, [act(0.2, "alarm", zone="moon")], at(0.2), site).rejects] == [
        "operator's act of an unknown zone"
    ]
    assert [w.state for w in step(state, [act(0.3, "all-clear")], at(0.3), site).warnings] == ["all-clear"]
    assert [r.reason for r in step(state, [act(0.4, "all-clear")], at(0.4), site).rejects] == [
        "all-clear of a zone under no warning"
    ]
