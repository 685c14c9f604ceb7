"""Warnings of what the radars see: every transition, its reason and its deadline."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from opencram.tables import UNKNOWN, Threats
from opencram.warning.picture import NOTHING
from opencram.warning.rules import ALERT, PRE_ALERT, QUIET, WAIT_WORTH, rules_of, zone_rules
from small_site import position, site_of, square
from warning_runs import DRONE, NEAR_S, P_ALERT, P_PRE, ROCKET, RULES, Run, at, threats

# ---- raising ------------------------------------------------------------------------------------------------------


def test_empty_sky_stays_quiet() -> None:
    run = Run()
    assert run.until(0.0, 60.0) == []
    assert run.state.zones == {}


@pytest.mark.parametrize(("p", "told"), [(P_ALERT * 1.001, ["alert"]), (P_ALERT * 0.999, ["pre-alert"])])
def test_alert_threshold_is_what_the_costs_call_for(p: float, told: list[str]) -> None:
    assert Run().tick(0.0, [(1, p, NEAR_S)]) == told


@pytest.mark.parametrize(("p", "told"), [(P_PRE * 1.001, ["pre-alert"]), (P_PRE * 0.999, [])])
def test_pre_alert_threshold_is_the_policy_s_share_of_it(p: float, told: list[str]) -> None:
    assert Run().tick(0.0, [(1, p, NEAR_S)]) == told


EVEN = {"costs": {"base": {"cost_miss": 1.0, "cost_false": 1.0}}, "pre_alert_factor": 0.5}
"""Alert from exactly 1/2, pre-alert from 1/4, left below 1/4 and 1/8."""


def even() -> Run:
    return Run(site_of([square("base", 0, 0, kind="base")], policy=EVEN))


def test_thresholds_themselves_count() -> None:
    assert even().tick(0.0, [(1, 0.5, NEAR_S)]) == ["alert"]
    assert even().tick(0.0, [(1, 0.25, NEAR_S)]) == ["pre-alert"]
    for raised, held in ((0.5, 0.25), (0.25, 0.125)):
        run = even()
        run.tick(0.0, [(1, raised, NEAR_S)])
        assert run.until(0.1, 19.0, [(1, held, NEAR_S)]) == []
    sure = 40.0 / 41.0
    assert rules_of(even().site.policy, even().site.zones[0], 3.0).sure_p == sure
    assert even().tick(0.0, [(1, 1.0, 70.0)]) == ["alert"]


@pytest.mark.parametrize(("p_pressing", "p_falling"), [(RULES.alert_p, 0.0), (0.0, RULES.sure_p)])
def test_a_picture_at_a_threshold_alerts(p_pressing: float, p_falling: float) -> None:
    facing = dataclasses.replace(NOTHING, p_pressing=p_pressing, p_falling=p_falling)
    assert facing.alerts(RULES)
    below = dataclasses.replace(facing, p_pressing=0.999 * p_pressing, p_falling=0.999 * p_falling)
    assert not below.alerts(RULES)


def test_an_object_at_the_pre_alert_s_threshold_matters() -> None:
    run = even()
    run.tick(0.0, [(1, 0.5, NEAR_S), (2, 0.25, NEAR_S), (3, 0.249, NEAR_S)])
    assert run.last.tracks == (1, 2)


def test_threshold_follows_the_kind_of_zone() -> None:
    """3 % alerts a base (from 1.6 %), and only pre-alerts a district (from 4.8 %)."""
    run = Run()
    both = Threats.concat([threats([(1, 0.03, NEAR_S)], zone=1), threats([(1, 0.03, NEAR_S)], zone=0)])
    run.tick(0.0, both)
    assert [(w.zone, w.state) for w in run.log] == [("base", "alert"), ("town", "pre-alert")]


def test_chances_of_several_objects_add_up() -> None:
    p = 0.6 * P_ALERT
    assert Run().tick(0.0, [(1, p, NEAR_S)]) == ["pre-alert"]
    run = Run()
    assert run.tick(0.0, [(1, p, NEAR_S), (2, p, NEAR_S)]) == ["alert"]
    assert run.last.tracks == (1, 2)
    assert run.last.p_hit == pytest.approx(1.0 - (1.0 - p) ** 2)


def test_many_small_chances_alert_and_name_the_worst() -> None:
    run = Run()
    assert run.tick(0.0, [(n, 0.9 * P_PRE + n * 1e-6, NEAR_S) for n in range(1, 21)]) == ["alert"]
    assert run.last.tracks == (20,)


def test_alert_waits_while_there_is_time_to_know_better() -> None:
    """Shelter takes 15 s and waiting ends 6 s before that: 3 % alerts with 21 s to go, and not earlier."""
    run = Run()
    assert run.tick(0.0, [(1, 0.03, 40.0)]) == ["pre-alert"]
    assert run.until(0.1, 19.0, [(1, 0.03, 40.0)]) == []
    assert run.tick(19.0, [(1, 0.03, 40.0)]) == ["alert"]


@pytest.mark.parametrize(("unseen_s", "told"), [(5.0, ["pre-alert"]), (5.01, ["alert"])])
def test_what_is_not_seen_any_more_is_not_waited_for(unseen_s: float, told: list[str]) -> None:
    """Nothing that may still be learnt is worth a wait; of a drone the arrival is but the earliest."""
    assert Run().tick(0.0, [(1, 0.03, 70.0)], seen_s=-unseen_s) == told
    assert Run().tick(0.0, threats([(1, 0.2, 100.0)], cls=DRONE), seen_s=-unseen_s) == ["pre-alert"]


@pytest.mark.parametrize(("p", "told"), [(0.401, ["alert"]), (0.399, ["pre-alert"])])
def test_what_is_sure_does_not_wait(p: float, told: list[str]) -> None:
    """Odds 40 times those from which an alarm pays: 40 to 60 for a base."""
    assert Run().tick(0.0, [(1, p, 70.0)]) == told


def test_what_is_sure_follows_the_kind_of_zone() -> None:
    """40 to 20 for a district: two thirds."""
    for p, told in ((0.67, ["alert"]), (0.66, ["pre-alert"])):
        assert Run().tick(0.0, threats([(1, p, 70.0)], zone=1)) == told


def test_waiting_pays_by_the_costs_that_the_derivation_states() -> None:
    """Found from the expected costs themselves: a second's wait against what may be learnt in it."""

    def worth(left_s: float) -> float:
        """At how many times the threshold's odds the two are alike, with so much more left than shelter takes."""
        late_people, tail_s, second = 0.1, 10.0, 1e-3
        lost = late_people * (np.exp(-(left_s - second) / tail_s) - np.exp(-left_s / tail_s))
        learnt = second / left_s
        return float(learnt / lost)

    assert min(worth(x) for x in np.arange(1.0, 60.0, 0.5)) == pytest.approx(27.2, abs=0.1)
    assert all(27.0 < worth(x) < 1.1 * WAIT_WORTH for x in np.arange(4.0, 22.0, 0.5))


def test_many_far_objects_are_sure_together() -> None:
    assert Run().tick(0.0, [(n, 0.2, 70.0) for n in range(3)]) == ["alert"]
    assert Run().tick(0.0, [(n, 0.2, 70.0) for n in range(2)]) == ["pre-alert"]


def test_a_zone_whose_people_need_longer_is_alerted_earlier() -> None:
    site = site_of([square("near", 0, 0, kind="base"), square("slow", 0, 900, kind="base", time_to_shelter_s=45)])
    both = Threats.concat([threats([(1, 0.03, 50.0)], zone=z) for z in (0, 1)])
    run = Run(site)
    run.tick(0.0, both)
    assert [(w.zone, w.state) for w in run.log] == [("near", "pre-alert"), ("slow", "alert")]


def test_a_costly_false_alarm_raises_the_threshold_above_sure() -> None:
    """Where a false alarm costs nine times a miss, 60 % is not enough, however sure."""
    policy = {"costs": {"base": {"cost_miss": 1.0, "cost_false": 9.0}}}
    site = site_of([square("base", 0, 0, kind="base")], policy=policy)
    assert Run(site).tick(0.0, [(1, 0.6, NEAR_S)]) == ["pre-alert"]
    assert Run(site).tick(0.0, [(1, 0.91, NEAR_S)]) == ["alert"]
    assert Run(site).tick(0.0, [(1, 0.99, 70.0)]) == ["pre-alert"]


def siren(zone: str, east_m: float, audible_m: float = 5_000.0) -> dict[str, Any]:
    return {"id": f"siren-{zone}", "position": position(east_m, 0.0), "zones": [zone], "audible_m": audible_m}


def test_a_zone_that_hears_its_siren_late_is_alerted_earlier() -> None:
    """A siren 2.7 km off is heard 8 s late (340 m/s); where none is heard 3 s are taken."""
    site = site_of(
        [square("near", 0, 0, kind="base"), square("far", 3_000, 0, kind="base")], sirens=[siren("far", 300)]
    )
    near, far = zone_rules(site).each
    assert near.sound_s == 3.0
    assert far.sound_s == pytest.approx(2_800 / 340, abs=0.4)
    for left_s, told in ((21.5, []), (20.5, ["alert"])):
        assert [s for s in Run(site).tick(0.0, [(1, 0.03, left_s)]) if s == "alert"] == told
    for left_s, told in ((far.last_s + 0.5, ["pre-alert"]), (far.last_s - 0.5, ["alert"])):
        assert Run(site).tick(0.0, threats([(1, 0.03, left_s)], zone=1)) == told
    assert far.last_s == pytest.approx(15.0 + far.sound_s + 3.0)


def test_a_siren_out_of_hearing_counts_for_none() -> None:
    site = site_of([square("far", 3_000, 0, kind="base")], sirens=[siren("far", 0, audible_m=100.0)])
    assert zone_rules(site).each[0].sound_s == 3.0


def test_alert_says_why_in_figures() -> None:
    run = Run()
    run.tick(0.0, [(3, 0.25, NEAR_S), (8, 0.1, 24.0)])
    warning = run.last
    assert (warning.tracks, warning.kind, warning.seconds_left) == ((3, 8), "rocket", NEAR_S)
    for figure in ("tracks 3 and 8", "rocket", "base", "0.32", "0.016", "60 times", "in 20 s", "shelter 15 s"):
        assert figure in warning.reason


def test_pre_alert_says_why_in_figures() -> None:
    run = Run()
    run.tick(0.0, [(3, 0.01, NEAR_S)])
    assert all(f in run.last.reason for f in ("track 3 ", "0.01", "0.0049", "0.016", "in 20 s"))
    run = Run()
    run.tick(0.0, [(3, 0.1, 60.0)])
    assert run.last.reason.endswith("; there is time to know better")


def test_at_the_alert_s_threshold_a_pre_alert_says_that_there_is_time() -> None:
    run = even()
    assert run.tick(0.0, [(1, 0.5, 70.0)]) == ["pre-alert"]
    assert run.last.reason.endswith("; there is time to know better")


def test_impact_due_now_still_alerts() -> None:
    run = Run()
    assert run.tick(10.0, [(1, 0.5, 9.5)]) == ["alert"]
    assert run.last.seconds_left is None
    assert "; impact is due now, time to shelter 15 s" in run.last.reason


@pytest.mark.parametrize(
    ("cls", "debris", "kind"),
    [(ROCKET, False, "rocket"), (UNKNOWN, False, "rocket"), (DRONE, False, "drone"), (DRONE, True, "debris")],
)
def test_kind_tells_people_what_comes(cls: int, debris: bool, kind: str) -> None:
    run = Run()
    run.tick(0.0, threats([(1, 0.5, NEAR_S)], cls=cls, debris=debris))
    assert run.last.kind == kind


def test_kind_is_that_of_the_likeliest() -> None:
    run = Run()
    run.tick(0.0, Threats.concat([threats([(1, 0.2, NEAR_S)]), threats([(1, 0.4, NEAR_S)], debris=True)]))
    assert run.last.kind == "debris"
    assert run.last.tracks == (1,)


# ---- drones -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left_s", "told"), [(150.01, []), (150.0, ["pre-alert"]), (60.01, ["pre-alert"]), (60.0, ["alert"])]
)
def test_drones_count_by_the_time_of_their_earliest_arrival(left_s: float, told: list[str]) -> None:
    assert Run().tick(0.0, threats([(1, 0.2, left_s)], cls=DRONE)) == told


def test_drone_never_waits_longer_than_shelter_takes() -> None:
    site = site_of([square("slow", 0, 0, kind="base", time_to_shelter_s=90)])
    assert Run(site).tick(0.0, threats([(1, 0.2, 97.0)], cls=DRONE)) == ["pre-alert"]
    assert Run(site).tick(0.0, threats([(1, 0.2, 95.0)], cls=DRONE)) == ["alert"]


def test_likely_drone_is_not_sure_to_come() -> None:
    assert Run().tick(0.0, threats([(1, 0.9, 100.0)], cls=DRONE)) == ["pre-alert"]


def test_drone_that_turns_away_is_cancelled() -> None:
    run = Run()
    assert run.until(0.0, 10.0, threats([(1, 0.2, 50.0)], cls=DRONE), step=1.0) == ["alert"]
    assert run.until(10.0, 20.0, threats([(1, 0.2, 400.0)], cls=DRONE), step=1.0) == ["cancel"]


def test_a_drone_out_of_sight_may_come_a_minute_after_its_earliest_arrival() -> None:
    """Last seen when it could be there in 20 s; then nothing: all clear 60 s and 30 s after that, not before."""
    run = Run()
    assert run.until(0.0, 22.0, threats([(1, 0.2, 20.0)], cls=DRONE), step=1.0) == ["alert"]
    assert run.until(22.0, 109.5, step=1.0) == []
    assert run.until(109.5, 112.0, step=1.0) == ["all-clear"]


# ---- ending -------------------------------------------------------------------------------------------------------


def test_all_clear_after_the_impact() -> None:
    """Alert, impact at 20 s, held as a danger until 22 s, all clear 30 s after that."""
    run = Run()
    assert run.until(0.0, 22.0, [(1, 0.5, NEAR_S)]) == ["alert"]
    assert run.until(22.0, 51.85) == []
    assert run.until(51.9, 52.05) == ["all-clear"]
    assert run.last.time_ns == at(51.9)
    assert (run.last.tracks, run.last.seconds_left, run.last.kind) == ((1,), None, "rocket")
    assert run.last.reason == ("all clear: nothing in the air could reach base for 30 s and the last impact is over")
    assert run.state.zones == {}


def test_all_clear_waits_for_the_last_impact() -> None:
    """After the first impact nothing is in the table any more; the other's predicted impact still counts."""
    run = Run()
    assert run.until(0.0, 12.0, [(1, 0.5, 10.0), (2, 0.5, 40.0)]) == ["alert", "update"]
    assert run.until(12.0, 69.95) == []
    assert run.until(69.95, 70.2) == ["all-clear"]


def test_what_does_not_endanger_prolongs_nothing() -> None:
    run = Run()
    assert run.until(0.0, 12.0, [(1, 0.5, 10.0), (2, 0.001, 60.0)]) == ["alert"]
    assert run.until(12.0, 41.85, [(2, 0.001, 60.0)]) == []
    assert run.until(41.85, 42.0, [(2, 0.001, 60.0)]) == ["all-clear"]
    assert run.last.tracks == (1,)


def test_all_clear_counts_anew_when_something_else_comes() -> None:
    run = Run()
    run.until(0.0, 22.0, [(1, 0.5, NEAR_S)])
    assert run.until(22.0, 45.0) == []
    assert run.until(45.0, 67.0, [(2, 0.5, 65.0)]) == ["update"]
    assert run.last.tracks == (2,)
    assert run.until(67.0, 96.8) == []
    assert run.until(96.8, 97.1) == ["all-clear"]
    assert run.last.tracks == (1, 2)


def test_cancel_when_the_prediction_moves_away_in_time() -> None:
    run = Run()
    assert run.until(0.0, 2.0, [(1, 0.1, NEAR_S)]) == ["alert"]
    assert run.until(2.0, 6.85, [(1, 0.001, NEAR_S)]) == []
    assert run.until(6.9, 7.05, [(1, 0.001, NEAR_S)]) == ["cancel"]
    assert "0.001" in run.last.reason
    assert run.last.seconds_left is None
    assert run.state.zones == {}
    assert run.until(7.0, 60.0, [(1, 0.001, NEAR_S)]) == []


def test_no_cancel_once_an_impact_was_due() -> None:
    """The prediction moves away 3 s before the impact: the hold time is not over when it comes down somewhere."""
    run = Run()
    run.until(0.0, 17.0, [(1, 0.1, NEAR_S)])
    assert run.until(17.0, 46.85) == []
    assert run.until(46.85, 49.95) == []
    assert run.until(49.95, 50.2) == ["all-clear"]


def test_hysteresis_holds_between_the_thresholds() -> None:
    run = Run()
    assert run.tick(0.0, [(1, P_ALERT * 1.001, 21.0)]) == ["alert"]
    held = RULES.leave_p(ALERT) * 1.001
    assert run.until(0.1, 15.0, [(1, held, 21.0)]) == []
    assert run.until(15.0, 19.85, [(1, RULES.leave_p(ALERT) * 0.999, 21.0)]) == []
    assert run.until(19.85, 20.5, [(1, RULES.leave_p(ALERT) * 0.999, 21.0)]) == ["cancel"]


def test_flicker_below_the_threshold_does_not_end_an_alert() -> None:
    run = Run()
    told = [s for k in range(30) for s in run.tick(k * 0.5, [(1, 0.05 if k % 8 == 0 else 0.0, 100.0 if k else 20.0)])]
    assert told[0] == "alert"
    assert "cancel" not in told


def test_pre_alert_ends_too() -> None:
    run = Run()
    assert run.tick(0.0, [(1, 0.01, 40.0)]) == ["pre-alert"]
    assert run.until(0.1, 4.95) == []
    assert run.until(5.0, 5.2) == ["cancel"]
    run = Run()
    assert run.until(0.0, 42.0, [(1, 0.01, 40.0)]) == ["pre-alert"]
    assert run.until(42.0, 80.0) == ["all-clear"]


def test_leave_thresholds_lie_below_what_raises() -> None:
    for factor in (0.01, 0.3, 0.7, 1.0):
        site = site_of([square("base", 0, 0, kind="base")], policy={"pre_alert_factor": factor})
        rules = rules_of(site.policy, site.zones[0], 3.0)
        assert rules.leave_p(PRE_ALERT) < rules.pre_alert_p <= rules.alert_p
        assert rules.leave_p(ALERT) < rules.alert_p
        assert rules.leave_p(ALERT) <= rules.pre_alert_p
        assert rules.leave_p(QUIET) <= rules.pre_alert_p


# ---- interception -------------------------------------------------------------------------------------------------


def test_interception_ends_with_an_all_clear() -> None:
    run = Run()
    run.until(0.0, 5.0, [(1, 0.5, NEAR_S)])
    run.tick(5.0, killed=[1])
    assert run.until(5.1, 49.85) == []
    assert run.until(49.9, 50.2) == ["all-clear"]


def test_debris_prolongs_the_alert() -> None:
    run = Run()
    run.until(0.0, 5.0, [(1, 0.5, NEAR_S)])
    assert run.tick(5.0, threats([(1, 0.3, 40.0)], debris=True), killed=[1]) == ["update"]
    assert run.until(5.1, 42.0, threats([(1, 0.3, 40.0)], debris=True)) == []
    assert run.last.kind == "debris"
    assert run.until(42.0, 71.85) == []
    assert run.until(71.9, 72.1) == ["all-clear"]


def test_debris_alone_alerts() -> None:
    assert Run().tick(0.0, threats([(1, 0.05, 15.0)], debris=True)) == ["alert"]


def test_a_kill_elsewhere_does_not_turn_a_cancel_into_an_all_clear() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.1, NEAR_S)])
    run.tick(0.1, killed=[2])
    assert run.until(0.2, 6.0) == ["cancel"]


def test_a_miss_is_no_kill() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.1, NEAR_S)])
    run.tick(0.1, missed=[1])
    assert run.until(0.2, 6.0) == ["cancel"]


# ---- updates ------------------------------------------------------------------------------------------------------


def test_nothing_new_is_not_told() -> None:
    run = Run()
    assert run.until(0.0, 20.0, [(1, 0.3, NEAR_S)]) == ["alert"]


@pytest.mark.parametrize(("moved_s", "told"), [(3.0, []), (-3.0, []), (3.01, ["update"]), (-3.01, ["update"])])
def test_update_when_the_time_left_moves(moved_s: float, told: list[str]) -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.until(2.0, 4.0, [(1, 0.3, NEAR_S + moved_s)]) == told


def test_what_is_long_off_may_move_more() -> None:
    """A drone was expected 40 s from now: eight seconds more are news (15 % and more), five are not."""
    run = Run()
    run.tick(0.0, threats([(1, 0.3, 50.0)], cls=DRONE))
    assert run.until(10.0, 12.0, threats([(1, 0.3, 55.0)], cls=DRONE), step=1.0) == []
    assert run.until(12.0, 14.0, threats([(1, 0.3, 58.0)], cls=DRONE), step=1.0) == ["update"]


def test_of_a_drone_people_are_told_every_ten_seconds_at_most() -> None:
    run = Run()
    run.tick(0.0, threats([(1, 0.3, 50.0)], cls=DRONE))
    assert run.until(1.0, 9.5, threats([(1, 0.3, 80.0)], cls=DRONE), step=0.5) == []
    assert run.until(9.5, 19.0, threats([(1, 0.3, 80.0)], cls=DRONE), step=0.5) == ["update"]


def test_update_when_an_object_joins_and_at_most_once_a_second() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.until(0.1, 1.0, [(1, 0.3, NEAR_S), (2, 0.1, NEAR_S)]) == []
    assert run.tick(1.0, [(1, 0.3, NEAR_S), (2, 0.1, NEAR_S)]) == ["update"]
    assert "track 2 joined" in run.last.reason
    assert run.until(1.1, 1.95, [(1, 0.3, NEAR_S), (2, 0.1, NEAR_S), (5, 0.1, 21.0), (6, 0.1, 21.0)]) == []
    assert run.tick(2.0, [(1, 0.3, NEAR_S), (2, 0.1, NEAR_S), (5, 0.1, 21.0), (6, 0.1, 21.0)]) == ["update"]
    assert "tracks 5 and 6 joined" in run.last.reason


def test_all_that_is_new_is_told_in_one_update() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    run.tick(1.0, [(1, 0.3, NEAR_S), (2, 0.9, NEAR_S)])
    assert run.last.reason == "track 2 joined; the chance of a hit rose to 0.93"


def test_an_object_that_leaves_and_returns_is_told_once() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S), (2, 0.1, NEAR_S)])
    assert run.until(0.1, 3.0, [(1, 0.3, NEAR_S)]) == []
    assert run.until(3.0, 6.0, [(1, 0.3, NEAR_S), (2, 0.1, NEAR_S)]) == []


def test_update_when_the_chance_rises_to_another_class_and_not_when_it_falls_back() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.3, NEAR_S)])
    assert run.until(1.0, 2.0, [(1, 0.49, NEAR_S)]) == []
    assert run.until(2.0, 3.0, [(1, 0.5, NEAR_S)]) == ["update"]
    assert run.last.reason == "the chance of a hit rose to 0.50"
    assert run.until(3.0, 4.0, [(1, 0.9, NEAR_S)]) == ["update"]
    assert run.last.reason == "the chance of a hit rose to 0.90"
    assert run.until(4.0, 6.0, [(1, 0.3, NEAR_S)]) + run.until(6.0, 9.0, [(1, 0.99, NEAR_S)]) == []
    run = Run()
    run.tick(0.0, [(1, 0.09, NEAR_S)])
    assert run.until(1.0, 2.0, [(1, 0.101, NEAR_S)]) == ["update"]


def test_next_impact_of_a_salvo_is_told() -> None:
    run = Run()
    rows = [(1, 0.3, 10.0), (2, 0.3, 18.0)]
    assert run.until(0.0, 10.0, rows) == ["alert"]
    assert run.until(10.0, 12.0, rows) == ["update"]
    assert run.last.seconds_left == pytest.approx(8.0)


def test_pre_alert_is_not_updated() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.005, NEAR_S)])
    assert run.until(1.0, 5.0, [(1, 0.006, 30.0), (2, 0.006, 12.0)]) == []


def test_pre_alert_becomes_an_alert_at_once() -> None:
    run = Run()
    run.tick(0.0, [(1, 0.01, NEAR_S)])
    assert run.tick(0.1, [(1, 0.02, NEAR_S)]) == ["alert"]
