"""Warnings of one zone and of several: every transition, its reason, its deadline, and that none is forgotten."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from opencram.physics.threats import class_index
from opencram.pipeline import step
from opencram.site import Site
from opencram.stages.threats_to_warnings import Report, WarningsState, sift_reports, threats_to_warnings
from opencram.state import State, load, save
from opencram.tables import UNKNOWN, Effect, Observation, OperatorAct, PlotRows, Reject, Threats, ZoneWarning
from opencram.warning.picture import NOTHING
from opencram.warning.rules import ALERT, PRE_ALERT, QUIET, WAIT_WORTH, rules_of, zone_rules
from small_site import SECOND_NS, START_NS, position, site_of, square

# a base: a miss costs 60 times a false alarm, so alert from 1/61, pre-alert from 0.3/61; shelter takes 15 s
SITE = site_of([square("base", 0, 0, kind="base"), square("town", 2000, 0, kind="district")])
RULES = rules_of(SITE.policy, SITE.zones[0], 3.0)
P_ALERT, P_PRE = 1.0 / 61.0, 0.3 / 61.0
ROCKET, DRONE = class_index("rocket-107"), class_index("drone")
NEAR_S = 20.0
"""Near enough that waiting to know better would cost time to shelter."""

Row = tuple[int, float, float]
"""Track, chance of a hit, seconds from START to its impact."""


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def threats(rows: Iterable[Row], zone: int = 0, cls: int = ROCKET, debris: bool = False) -> Threats:
    rows = list(rows)
    n = len(rows)
    return Threats(
        time_ns=np.full(n, START_NS),
        track=np.array([r[0] for r in rows], np.int64),
        zone=np.full(n, zone),
        cls=np.full(n, cls),
        p_hit=np.array([r[1] for r in rows], np.float64),
        impact_time_ns=np.array([at(r[2]) for r in rows], np.int64),
        debris=np.full(n, debris),
    )


class Run:
    """The stage fed tick by tick; `seconds` count from START. Objects were last seen in the tick, or at `seen_s`."""

    def __init__(self, site: Site = SITE) -> None:
        self.site, self.state = site, WarningsState()
        self.log: list[ZoneWarning] = []
        self.refused: list[Reject] = []

    def tick(
        self,
        seconds: float,
        rows: Iterable[Row] | Threats = (),
        reports: Sequence[Report] = (),
        killed: Sequence[int] = (),
        missed: Sequence[int] = (),
        silent: Sequence[str] = (),
        seen_s: float | None = None,
    ) -> list[str]:
        table = rows if isinstance(rows, Threats) else threats(rows)
        table.time_ns[:] = at(seconds if seen_s is None else seen_s)
        effects = [effect(seconds, track, "kill") for track in killed] + [effect(seconds, t, "miss") for t in missed]
        out, refused = threats_to_warnings(self.state, table, reports, effects, silent, at(seconds), self.site)
        self.log += out
        self.refused += refused
        return [w.state for w in out]

    def until(self, start: float, end: float, rows: Iterable[Row] | Threats = (), step: float = 0.1) -> list[str]:
        """Ticks from start to end (not included); the states told, in order."""
        table = rows if isinstance(rows, Threats) else threats(rows)
        return [s for t in np.arange(start, end - 1e-9, step).tolist() for s in self.tick(t, table)]

    @property
    def last(self) -> ZoneWarning:
        return self.log[-1]


def effect(seconds: float, track: int, outcome: str) -> Effect:
    return Effect(time_ns=at(seconds), engagement=1, track=track, outcome=outcome, east_m=0.0, north_m=0.0, up_m=500.0)


def report(seconds: float, zone: str = "base", kind: str = "blast") -> Observation:
    return Observation(time_ns=at(seconds), zone=zone, kind=kind, source="sensor-7")


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
    assert "time to know better" in run.last.reason


def test_impact_due_now_still_alerts() -> None:
    run = Run()
    assert run.tick(10.0, [(1, 0.5, 9.5)]) == ["alert"]
    assert run.last.seconds_left is None
    assert "due now" in run.last.reason


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


def act(seconds: float, what: str, zone: str = "base") -> OperatorAct:
    return OperatorAct(time_ns=at(seconds), zone=zone, act=what, by="watch-1")


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


SOUNDED = {"stale_sensor": "alert"}


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
