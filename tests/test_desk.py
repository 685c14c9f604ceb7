"""The desk and its sirens: who is told what, what is said again, who helps out; whatever the link loses, once each."""

from __future__ import annotations

import msgspec
import pytest

from desk_field import TICK_NS, started, warning
from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device, Memory
from opencram.outputs.sirens.messages import Command
from opencram.site import Site
from small_site import RADAR, SECOND_NS, START_NS, position, site_of, square


def test_the_sirens_of_a_zone_sound_until_it_ends_and_no_others() -> None:
    field = started()
    field.warn(warning("base", "alert", field.now_ns))
    assert field.sounding() == {"north": "rocket", "south": "rocket"}
    field.go_on(45.0)
    assert field.sounding() == {"north": "rocket", "south": "rocket"}
    field.warn(warning("base", "all-clear", field.now_ns))
    assert field.sounding() == {}
    assert [c.kind for c in field.devices["north"].says] == ["all-clear"]
    field.go_on(90.0)
    assert field.sounding() == {}
    assert field.starts() == {"north": {"base": 1}, "south": {"base": 1}}
    assert field.desk.state.orders == {"north": {}, "south": {}}
    assert not field.told("unanswered")


def test_a_pre_alert_sounds_nothing() -> None:
    field = started()
    field.warn(warning("base", "pre-alert", field.now_ns))
    field.go_on(5.0)
    assert field.sent == []
    field.warn(warning("base", "cancel", field.now_ns, left_s=None))
    assert field.sent == []


def test_a_siren_with_two_zones_sounds_until_the_last_ends_and_for_the_gravest() -> None:
    field = started()
    field.warn(warning("camp", "alert", field.now_ns, "drone"))
    assert field.sounding() == {"south": "drone"}
    field.warn(warning("base", "alert", field.now_ns + 1, "debris"))
    assert field.sounding()["south"] == "rocket"
    field.warn(warning("base", "all-clear", field.now_ns + 2))
    assert field.sounding() == {"south": "drone"}
    assert field.devices["south"].says == []
    field.warn(warning("camp", "cancel", field.now_ns + 3))
    assert field.sounding() == {}


def test_a_graver_danger_changes_the_sound_and_a_lesser_one_does_not() -> None:
    field = started()
    field.warn(warning("town", "alert", field.now_ns, "drone"))
    field.warn(warning("town", "update", field.now_ns + 1, "rocket"))
    assert field.sounding() == {"east": "rocket"}
    field.warn(warning("town", "update", field.now_ns + 2, "drone"))
    assert field.sounding() == {"east": "rocket"}
    assert field.starts()["east"] == {"town": 1}


@pytest.mark.parametrize("kind", ["observed", "operator"])
def test_what_people_report_sounds_as_observed(kind: str) -> None:
    field = started()
    field.warn(warning("town", "alert", field.now_ns, kind, left_s=None))
    assert field.sounding() == {"east": "observed"}


@pytest.mark.parametrize("period", [2, 3, 4])
def test_lost_messages_are_said_again_and_sounded_once(period: int) -> None:
    """Of all messages, both ways, only each second, third or fourth passes."""
    field = started(loses=lambda siren, number, to_siren: number % period != 0)
    field.warn(warning("base", "alert", field.now_ns))
    field.go_on(19.0)
    assert {"north", "south"} <= set(field.sounding())
    assert all(starts == {"base": 1} for starts in field.starts().values())
    field.warn(warning("base", "all-clear", field.now_ns))
    field.go_on(19.0)
    assert field.sounding() == {}
    assert all(starts == {"base": 1} for starts in field.starts().values())


def test_lost_acknowledgements_alone_change_nothing_that_is_heard() -> None:
    field = started()
    field.loses = lambda siren, number, to_siren: not to_siren
    field.warn(warning("town", "alert", field.now_ns))
    field.go_on(6.0)
    assert field.devices["east"].starts == {"town": 1}
    assert field.devices["east"].refused["repeated"] >= 4
    assert sorted(field.told("unanswered")) == ["siren east", "siren north", "siren south"], "its helpers' are lost too"
    tries = [round((a.issued_ns - START_NS) / SECOND_NS, 1) for a in field.sent if a.siren == "east"]
    assert len(set(tries)) == 1, "said again, not made anew"


def test_the_schedule_of_retries() -> None:
    field = started()
    field.cut.add("far")
    field.warn(warning("port", "alert", field.now_ns))
    began_ns, times = field.now_ns, []
    for _ in range(120):
        before = len(field.sent)
        field.go_on(0.1)
        times += [round((field.now_ns - began_ns) / SECOND_NS, 1)] * (len(field.sent) - before)
    assert times == [0.3, 0.8, 1.8, 3.8, 7.8, 11.8]


def test_a_siren_that_does_not_answer_is_helped_out_by_its_neighbours_once() -> None:
    field = started()
    field.cut.add("east")
    field.warn(warning("town", "alert", field.now_ns))
    field.go_on(1.9)
    assert field.sounding() == {}
    field.go_on(0.2)
    assert field.sounding() == {"north": "rocket", "south": "rocket"}, "both are heard where east would be"
    assert field.told("unanswered") == ["siren east"]
    field.warn(warning("town", "all-clear", field.now_ns))
    assert field.sounding() == {}
    assert field.starts() == {"north": {"town": 1}, "south": {"town": 1}}


def row_of_sirens() -> Site:
    """Six sirens in a row, each of its own zone, 600 m apart and heard for 1,000 m."""
    names = "abcdef"
    sirens = [{"id": n, "position": position(600 * i, 0), "zones": [n], "audible_m": 1000} for i, n in enumerate(names)]
    return site_of([square(n, 600 * i, 0) for i, n in enumerate(names)], sirens=sirens, sensors=[RADAR])


def called_by_a(beating: str, answering: str, seconds: float) -> list[str]:
    """Who is told to sound for the zone of siren a, in turn; a itself never answers. Near it are b, c and d."""
    desk, now_ns, called = Desk(row_of_sirens(), Provenance.LIVE), START_NS, dict[str, None]()
    devices = {name: Device(name) for name in beating}
    for tick in range(round(seconds * 10)):
        if tick % 20 == 0:
            for device in devices.values():
                desk.hear(device.beat(now_ns), now_ns)
        if tick == 1:
            desk.warn([warning("a", "alert", now_ns)], now_ns)
        desk.tick(now_ns)
        for siren, message in desk.take():
            if isinstance(message, Command):
                called[siren] = None
                for ack in devices[siren].hear(message, now_ns) if siren in answering else []:
                    desk.hear(ack, now_ns)
        now_ns += TICK_NS
    return list(called)


def test_of_the_neighbours_those_that_beat_are_called_first() -> None:
    assert called_by_a(beating="def", answering="def", seconds=4.0) == ["a", "d", "b"]
    assert called_by_a(beating="abcdef", answering="bcdef", seconds=8.0) == ["a", "b", "c"]


def test_a_neighbour_that_does_not_answer_is_replaced_by_the_next() -> None:
    assert called_by_a(beating="abcdef", answering="cd", seconds=4.0) == ["a", "b", "c"]
    assert called_by_a(beating="abcdef", answering="cd", seconds=6.0) == ["a", "b", "c", "d"]
    assert called_by_a(beating="abcdef", answering="cd", seconds=50.0) == ["a", "b", "c", "d"]


def test_a_siren_that_answers_again_is_said_to_though_its_order_has_changed() -> None:
    field = started()
    field.loses = lambda siren, number, to_siren: siren == "east" and not to_siren
    field.warn(warning("town", "alert", field.now_ns))
    field.go_on(3.0)
    assert "siren east" in field.told("unanswered")
    field.loses = lambda siren, number, to_siren: False
    field.warn(warning("town", "all-clear", field.now_ns))
    field.go_on(1.0)
    assert field.told("answered") == ["siren east"]


def test_a_siren_known_to_be_silent_is_not_waited_for() -> None:
    field = started()
    field.cut.add("east")
    field.go_on(10.0)
    assert field.told("silent") == ["siren east"]
    field.warn(warning("town", "alert", field.now_ns))
    assert field.sounding() == {"north": "rocket", "south": "rocket"}


def test_a_siren_that_comes_back_during_the_alert_sounds_and_after_it_does_not() -> None:
    field = started()
    field.cut.update(["east", "far"])
    field.warn(warning("town", "alert", field.now_ns), warning("port", "alert", field.now_ns))
    field.go_on(30.0)
    field.cut.remove("east")
    field.go_on(2.1)
    assert field.sounding()["east"] == "rocket"
    assert field.told("answered") == ["siren east"]
    field.warn(warning("town", "all-clear", field.now_ns), warning("port", "all-clear", field.now_ns))
    field.go_on(5.0)
    field.cut.clear()
    field.go_on(90.0)
    assert field.starts()["east"] == {"town": 1}
    assert "far" not in field.starts()


def test_a_siren_that_is_cut_off_while_it_sounds_ends_by_itself() -> None:
    field = started()
    field.warn(warning("port", "alert", field.now_ns))
    field.cut.add("far")
    field.go_on(59.0)
    assert field.sounding() == {"far": "rocket"}
    field.go_on(2.0)
    assert field.sounding() == {}
    assert "siren far" in field.told("unanswered")


def test_a_siren_that_lost_its_power_takes_the_alarm_up_again() -> None:
    field = started()
    field.warn(warning("town", "alert", field.now_ns))
    field.go_on(3.0)
    old = field.devices["east"]
    kept = msgspec.json.decode(msgspec.json.encode(old.memory), type=Memory)
    field.devices["east"] = Device("east", kept)
    field.devices["east"].beat(field.now_ns)
    assert field.sounding() == {}
    field.go_on(2.1)
    assert field.sounding() == {"east": "rocket"}
    field.warn(warning("town", "all-clear", field.now_ns))
    assert field.sounding() == {}


def test_what_sounds_and_is_not_known_of_is_told_and_runs_out() -> None:
    """A desk that has lost all it knew: it cannot say that the danger is over."""
    field = started()
    field.warn(warning("town", "alert", field.now_ns))
    field.desk = Desk(field.site, Provenance.LIVE)
    field.sent.clear()
    field.go_on(50.0)
    assert field.sounding() == {"east": "rocket"}
    assert field.told("unexplained") == ["siren east"]
    field.go_on(15.0)
    assert field.sounding() == {}
    assert [n.state for n in field.notices if n.component == "siren east"][-2:] == ["unexplained", "ok"]
    assert field.sent == []


def test_a_siren_that_cannot_be_heard_says_so_and_is_helped_out() -> None:
    field = started()
    field.devices["east"].fault = "no loudspeaker"
    field.go_on(2.1)
    assert field.told("fault") == ["siren east"]
    field.warn(warning("town", "alert", field.now_ns))
    field.go_on(2.1)
    assert {"north", "south"} <= set(field.sounding())
    assert field.desk.state.orders["east"]["town"].stage == "received"


# ---- drills, tests, status ------------------------------------------------------------------------------------------


def test_a_drill_is_announced_sounds_as_a_drill_and_ends() -> None:
    field = started()
    assert field.desk.start_drill("d1", ["base"], 10.0, 20.0, "operator", field.now_ns) == ""
    field.exchange()
    assert field.sounding() == {}
    assert [c.kind for c in field.devices["north"].says] == ["drill-notice"]
    field.go_on(10.1)
    assert field.sounding() == {"north": "drill", "south": "drill"}
    field.go_on(20.1)
    assert field.sounding() == {}
    assert {c.status for c in field.sent} == {"Exercise"}
    assert [d.phase for d in field.desk.drill_news()] == ["notice", "sounding", "over"]


def test_an_alert_ends_a_drill_and_is_heard_in_its_place() -> None:
    field = started()
    field.desk.start_drill("d1", ["base"], 0.0, 60.0, "operator", field.now_ns)
    field.go_on(1.0)
    assert field.sounding()["north"] == "drill"
    field.warn(warning("base", "alert", field.now_ns))
    assert field.sounding() == {"north": "rocket", "south": "rocket"}
    assert field.devices["north"].sounding.status == "Actual"  # type: ignore[union-attr]
    field.go_on(90.0)
    assert field.sounding()["north"] == "rocket", "the end of the drill does not end the alert"
    assert field.desk.start_drill("d2", ["base"], 0.0, 60.0, "operator", field.now_ns).startswith(
        "base: found an alarm"
    )


def test_no_drill_begins_while_a_siren_has_not_heard_of_the_all_clear() -> None:
    field = started()
    field.warn(warning("town", "alert", field.now_ns))
    field.cut.add("east")
    field.go_on(1.0)
    field.warn(warning("town", "all-clear", field.now_ns))
    refusal = field.desk.start_drill("d1", ["town"], 60.0, 30.0, "operator", field.now_ns)
    assert refusal.startswith("town: found an alarm or a drill that is not over")
    field.cut.clear()
    field.go_on(5.0)
    assert field.sounding() == {}, "the all-clear is still said again"
    assert field.desk.start_drill("d1", ["town"], 60.0, 30.0, "operator", field.now_ns) == ""


def test_a_siren_that_was_away_is_told_nothing_of_a_drill_that_was_stopped() -> None:
    field = started()
    field.cut.add("far")
    assert field.desk.start_drill("d", ["town", "port"], 30.0, 30.0, "operator", field.now_ns) == ""
    field.exchange()
    field.go_on(1.0)
    field.warn(warning("town", "alert", field.now_ns))
    field.cut.clear()
    field.go_on(20.0)
    assert field.devices["far"].says == []
    assert field.desk.state.orders["far"] == {}


def test_a_self_test_sounds_shortly_and_its_date_is_known() -> None:
    field = started()
    assert field.desk.self_test("east", field.now_ns) == ""
    field.exchange()
    assert field.sounding() == {"east": "test"}
    field.go_on(6.0)
    assert field.sounding() == {}
    siren = field.desk.state.sirens["east"]
    assert siren.tested_ok
    assert 3.0 <= (siren.tested_ns - START_NS) / SECOND_NS - 3.0 <= 3.2
    field.warn(warning("town", "alert", field.now_ns))
    assert field.desk.self_test("east", field.now_ns).startswith("east: found an alarm")
    assert field.desk.self_test("west", field.now_ns) == "west: found no such siren"


@pytest.mark.parametrize(
    ("provenance", "status"),
    [(Provenance.SIMULATION, "Exercise"), (Provenance.REPLAY, "Test"), (Provenance.LIVE, "Actual")],
)
def test_the_status_of_every_command_follows_from_where_the_inputs_come_from(
    provenance: Provenance, status: str
) -> None:
    field = started(provenance=provenance)
    for kind in ("rocket", "drone", "debris", "observed", "operator"):
        field.warn(warning("town", "alert", field.now_ns, kind))
        field.warn(warning("town", "all-clear", field.now_ns + 1, kind))
        field.now_ns += TICK_NS
    assert len(field.sent) == 10
    assert {c.status for c in field.sent} == {status}
