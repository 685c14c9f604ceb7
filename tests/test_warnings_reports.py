"""Warnings of what people and sensors say, or no longer say: observations, operators' acts, silence."""

import pytest

from opencram.stages.threats_to_warnings import Report, sift_reports
from small_site import site_of, square
from warning_runs import NEAR_S, SITE, SOUNDED, Run, act, at, report

# ---- observations -------------------------------------------------------------------------------------------------


def test_a_report_alerts_by_itself() -> None:
    run = Run()
    assert run.tick(5.0, reports=[report(4.5)]) == ["alert"]
    warning = run.last
    assert (warning.zone, warning.kind, warning.tracks, warning.seconds_left) == ("base", "observed", (), None)
    assert all(word in warning.reason for word in ("sensor-7", "blast", "base", "0.5 s ago"))
    assert run.until(5.1, 34.95) == []
    assert run.until(35.0, 35.2) == ["all-clear"]
    assert run.last.kind == "observed"


def test_a_report_in_the_middle_of_an_alert_is_told_once() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.tick(0.2, [(1, 0.3, NEAR_S)], reports=[report(0.2)]) == ["update"]
    assert run.last.kind == "observed"
    assert "track 1" in run.last.reason
    assert run.tick(2.0, [(1, 0.3, NEAR_S)], reports=[report(2.0)]) == []


def test_a_later_report_prolongs_the_alert() -> None:
    run = Run()
    run.tick(0.0, reports=[report(0.0)])
    assert run.until(0.1, 20.0) == []
    run.tick(20.0, reports=[report(20.0)])
    assert run.until(20.1, 49.95) == []
    assert run.until(50.0, 50.2) == ["all-clear"]


def test_a_report_turns_a_pre_alert_into_an_alert() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.01, 40.0)])
    assert run.tick(0.1, [(1, 0.01, 40.0)], reports=[report(0.1)]) == ["alert"]


def test_a_report_forbids_a_cancel() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    run.tick(0.1, reports=[report(0.1)])
    assert run.until(0.2, 60.0) == ["all-clear"]


def test_a_rocket_after_a_report_is_told() -> None:
    run = Run()
    run.tick(0.0, reports=[report(0.0)])
    assert run.until(1.0, 3.0, [(4, 0.3, 15.0)]) == ["update"]
    assert (run.last.kind, run.last.tracks) == ("rocket", (4,))


def test_first_of_several_reports_is_the_one_told() -> None:
    run = Run()
    run.tick(0.0, reports=[report(0.0, kind="button"), report(0.0, kind="blast")])
    assert "button" in run.last.reason


def test_reports_are_sifted() -> None:
    reports = [
        report(0.0),
        report(0.0, zone="moon"),
        report(0.0, zone="mars"),
        report(-60.1),
        report(60.1),
        report(-60.0),
        report(60.0),
    ]
    good, bad = sift_reports(reports, at(0.0), SITE)
    assert good == [reports[0], reports[5], reports[6]]
    assert [(r.source, r.reason, r.count, r.sample) for r in bad] == [
        ("sensor-7", "observation not of the present", 2, "60 s old"),
        ("sensor-7", "observation of an unknown zone", 2, "moon"),
    ]
    assert all(r.time_ns == at(0.0) for r in bad)


# ---- operators ----------------------------------------------------------------------------------------------------


def refusals(run: Run) -> list[tuple[str, str, int]]:
    return [(r.source, r.reason, r.count) for r in run.refused]


def test_an_operator_s_alarm_alerts_at_once() -> None:
    run = Run()
    assert run.tick(1.0, reports=[act(0.9, "alarm")]) == ["alert"]
    warning = run.last
    assert (warning.zone, warning.kind, warning.tracks, warning.seconds_left) == ("base", "operator", (), None)
    assert warning.reason == "watch-1 raised the alarm for base"


def test_an_operator_s_alarm_stands_for_as_long_as_the_policy_says() -> None:
    run = Run()
    run.tick(0.0, reports=[act(0.0, "alarm")])
    assert run.until(1.0, 599.95, step=1.0) == []
    assert run.tick(600.0) == ["all-clear"]


def test_each_alarm_of_an_operator_is_told_and_prolongs() -> None:
    run = Run()
    run.tick(0.0, reports=[act(0.0, "alarm")])
    assert run.tick(300.0, reports=[act(300.0, "alarm")]) == ["update"]
    assert run.last.kind == "operator"
    assert run.until(301.0, 899.95, step=1.0) == []
    assert run.tick(900.0) == ["all-clear"]


def test_an_alarm_adds_to_what_is_known() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.tick(0.1, [(1, 0.3, NEAR_S)], reports=[act(0.1, "alarm")]) == ["update"]
    assert "track 1 may also hit it" in run.last.reason
    run = Run()
    run.tick(0.0, [(1, 0.01, 40.0)])
    assert run.tick(0.1, [(1, 0.01, 40.0)], reports=[act(0.1, "alarm")]) == ["alert"]


def test_an_operator_s_all_clear_ends_his_alarm() -> None:
    run = Run()
    run.tick(0.0, reports=[act(0.0, "alarm")])
    assert run.tick(5.0, reports=[act(5.0, "all-clear")]) == ["all-clear"]
    assert run.last.reason == "all clear: ordered by watch-1"
    assert run.state.zones == {}
    assert refusals(run) == []


def test_an_operator_s_all_clear_ends_a_warning_before_its_time() -> None:
    run = Run()
    run.until(0.0, 22.0, [(1, 0.5, NEAR_S)])
    assert run.tick(23.0, reports=[act(23.0, "all-clear")]) == ["all-clear"]
    run = Run()
    run.tick(0.0, [(1, 0.01, 40.0)])
    assert run.tick(1.0, [(1, 0.001, 40.0)], reports=[act(1.0, "all-clear")]) == ["all-clear"]
    assert (run.last.seconds_left, run.last.sources, run.last.tracks) == (None, ("watch-1",), (1,))


def test_no_all_clear_while_something_endangers_the_zone() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.tick(1.0, [(1, 0.3, NEAR_S)], reports=[act(1.0, "all-clear")]) == []
    assert refusals(run) == [("watch-1", "all-clear while something endangers the zone", 1)]
    assert run.refused[0].sample == "base: track 1, chance 0.3"
    assert run.until(2.0, 22.0, [(1, 0.3, NEAR_S)]) == []
    assert run.until(22.0, 60.0) == ["all-clear"]


def test_what_is_held_at_its_threshold_endangers_the_zone_still() -> None:
    policy = {"costs": {"base": {"cost_miss": 1.0, "cost_false": 1.0}}, "pre_alert_factor": 0.5}
    run = Run(site_of([square("base", 0, 0, kind="base")], policy=policy))
    run.tick(0.0, [(1, 0.5, NEAR_S)])
    assert run.tick(1.0, [(1, 0.25, NEAR_S)], reports=[act(1.0, "all-clear")]) == []
    assert refusals(run) == [("watch-1", "all-clear while something endangers the zone", 1)]


def test_no_all_clear_of_a_quiet_zone() -> None:
    run = Run()
    assert run.tick(0.0, reports=[act(0.0, "all-clear")]) == []
    assert refusals(run) == [("watch-1", "all-clear of a zone under no warning", 1)]
    assert run.state.zones == {}


def test_no_all_clear_by_an_order_older_than_the_warning() -> None:
    """He ended another one: this alert came while his order was under way."""
    run = Run()
    run.tick(10.0, reports=[report(10.0)])
    assert run.tick(11.0, reports=[act(9.9, "all-clear")]) == []
    assert refusals(run) == [("watch-1", "all-clear older than the warning", 1)]
    assert run.tick(12.0, reports=[act(10.0, "all-clear")]) == ["all-clear"]


@pytest.mark.parametrize("danger", [act(5.0, "alarm"), report(5.0)])
def test_danger_told_in_the_same_tick_outweighs_an_all_clear(danger: Report) -> None:
    run = Run()
    assert run.tick(5.0, reports=[act(5.0, "all-clear"), danger]) == ["alert"]


def test_an_all_clear_beside_an_alarm_is_refused_in_words() -> None:
    run = Run()
    run.tick(5.0, reports=[act(5.0, "all-clear"), act(5.0, "alarm")])
    assert refusals(run) == [("watch-1", "all-clear while something endangers the zone", 1)]


def test_acts_are_sifted() -> None:
    acts = [act(0.0, "alarm"), act(0.0, "alarm", zone="moon"), act(-61.0, "all-clear"), act(0.0, "fire")]
    good, bad = sift_reports(acts, at(0.0), SITE)
    assert good == [acts[0]]
    assert [(r.source, r.reason, r.sample) for r in bad] == [
        ("watch-1", "operator's act not of the present", "61 s old"),
        ("watch-1", "operator's act of an unknown zone", "moon"),
        ("watch-1", "operator's act that is none of alarm, all-clear", "fire"),
    ]


# ---- sensors that fall silent -------------------------------------------------------------------------------------


def sounded() -> Run:
    zones = [square("base", 0, 0, kind="base"), square("town", 2000, 0, kind="district")]
    return Run(site_of(zones, policy=SOUNDED))


def test_a_silent_sensor_is_not_sounded_unless_the_policy_says_so() -> None:
    run = Run()
    assert run.tick(0.0, silent=["radar"]) == []
    assert run.until(1.0, 60.0, step=1.0) == []


def test_a_silent_sensor_holds_no_warning_that_does_not_rest_on_it() -> None:
    for run in (Run(), sounded()):
        run.tick(0.0, silent=["radar"])
        run.tick(0.1, silent=["radar"], reports=[act(0.1, "all-clear"), act(0.1, "all-clear", zone="town")])
        told = [s for k in range(80) for s in run.tick(1.0 + k, [(1, 0.3, 21.0)] if k < 22 else [], silent=["radar"])]
        assert told == ["alert", "all-clear"]


def test_a_silent_sensor_alerts_every_zone_where_the_policy_says_so() -> None:
    run = sounded()
    assert run.tick(0.0) == []
    assert run.tick(1.0, silent=["radar"]) == ["alert", "alert"]
    assert [(w.zone, w.kind, w.sources, w.tracks, w.p_hit) for w in run.log] == [
        ("base", "sensor", ("radar",), (), 0.0),
        ("town", "sensor", ("radar",), (), 0.0),
    ]
    assert run.last.reason == "radar fell silent: what comes may not be seen"


def test_it_stands_for_as_long_as_the_sensor_is_silent() -> None:
    run = sounded()
    run.tick(0.0, silent=["radar"])
    assert [s for t in range(1, 3_600) for s in run.tick(float(t), silent=["radar"])] == []
    assert run.until(3_600.0, 3_628.5, step=1.0) == []
    assert run.tick(3_629.0) == ["all-clear", "all-clear"]
    assert run.last.sources == ("radar",)


def test_another_sensor_that_falls_silent_is_told() -> None:
    run = sounded()
    run.tick(0.0, silent=["radar"])
    assert run.tick(5.0, silent=["radar", "other"]) == ["update", "update"]
    assert run.last.sources == ("other",)
    assert [s for t in range(6, 60) for s in run.tick(float(t), silent=["other"])] == []
    assert run.until(60.0, 88.5, step=1.0) == []
    assert run.tick(89.0) == ["all-clear", "all-clear"]
    assert run.last.sources == ("radar", "other")


def test_an_operator_ends_it_until_the_sensor_falls_silent_anew() -> None:
    run = sounded()
    run.tick(0.0, silent=["radar"])
    assert run.tick(9.0, silent=["radar"], reports=[act(9.0, "all-clear")]) == ["all-clear"]
    assert [s for t in range(10, 60) for s in run.tick(float(t), silent=["radar"])] == []
    run.tick(60.0)
    assert run.tick(70.0, silent=["radar"]) == ["alert", "update"]


def test_no_all_clear_in_the_moment_in_which_a_sensor_falls_silent() -> None:
    run = sounded()
    run.tick(0.0, reports=[act(0.0, "alarm")])
    assert run.tick(1.0, silent=["radar"], reports=[act(1.0, "all-clear")]) == ["update", "alert"]
    assert refusals(run) == [("watch-1", "all-clear while something endangers the zone", 1)]


def test_a_zone_endangered_while_a_sensor_is_silent_is_told_of_it_too() -> None:
    run = sounded()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.tick(1.0, [(1, 0.3, NEAR_S)], silent=["radar"]) == ["update", "alert"]
    assert "track 1 may also hit it" in run.log[1].reason
    assert run.tick(3.0, [(1, 0.3, NEAR_S), (2, 0.3, NEAR_S)], silent=["radar"]) == ["update"]
    assert run.last.kind == "rocket"
