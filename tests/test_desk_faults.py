"""The desk after restarts, with wrong clocks, and against what is forged or repeated."""

from __future__ import annotations

import msgspec
import pytest

from desk_field import Field, started, warning
from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device, Memory
from opencram.outputs.sirens.messages import Ack, Beat, Bye, Pulse
from opencram.outputs.sirens.orders import load_desk, save_desk
from opencram.serve.picture import sirens_seen
from small_site import SECOND_NS

# ---- restarts -------------------------------------------------------------------------------------------------------


def restarted(field: Field, alerted: dict[str, tuple[str, int]]) -> None:
    """The service is killed and started again with what it kept; the sirens go on."""
    field.desk = Desk(field.site, Provenance.LIVE, load_desk(save_desk(field.desk.state)))
    field.desk.resume(alerted, field.now_ns)
    field.exchange()


def test_a_restarted_desk_sends_the_same_commands_and_nothing_sounds_twice() -> None:
    field = started()
    alert_ns = field.now_ns
    field.warn(warning("base", "alert", alert_ns))
    first = {c.siren: c.id for c in field.sent}
    field.sent.clear()
    restarted(field, {"base": ("rocket", alert_ns)})
    field.go_on(3.0)
    assert {c.siren: c.id for c in field.sent} == first
    assert field.sounding() == {"north": "rocket", "south": "rocket"}
    assert field.starts() == {"north": {"base": 1}, "south": {"base": 1}}
    assert not field.told("unanswered")


def test_a_siren_that_was_silent_before_a_restart_is_silent_after_it_until_it_beats() -> None:
    field = started()
    field.cut.add("east")
    field.go_on(10.0)
    restarted(field, {})
    assert {seen.id: seen.state for seen in sirens_seen(field.desk) if seen.state != "ok"} == {"east": "silent"}
    field.warn(warning("town", "alert", field.now_ns))
    assert field.sounding() == {"north": "rocket", "south": "rocket"}, "it is not waited for"
    field.cut.clear()
    field.go_on(2.1)
    assert field.sounding()["east"] == "rocket"
    assert not field.desk.state.sirens["east"].silent


def test_a_desk_that_lost_its_memory_makes_the_same_ids_of_the_same_warnings() -> None:
    field = started()
    alert = warning("base", "alert", field.now_ns)
    field.warn(alert)
    first = {c.siren: c.id for c in field.sent}
    field.sent.clear()
    field.desk = Desk(field.site, Provenance.LIVE)
    field.desk.warn([alert], field.now_ns)
    field.exchange()
    field.go_on(3.0)
    assert {c.siren: c.id for c in field.sent} == first
    assert field.starts() == {"north": {"base": 1}, "south": {"base": 1}}


def test_warnings_that_were_acted_on_before_the_restart_are_not_acted_on_again() -> None:
    field = started()
    alert, end = warning("base", "alert", field.now_ns), warning("base", "all-clear", field.now_ns + 1)
    field.warn(alert)
    field.warn(end)
    field.sent.clear()
    field.warn(alert)
    field.warn(end)
    assert field.sent == []


def test_an_alarm_that_ended_while_the_service_was_down_is_ended() -> None:
    field = started()
    field.warn(warning("base", "alert", field.now_ns))
    field.desk = Desk(field.site, Provenance.LIVE, load_desk(save_desk(field.desk.state)))
    field.warn(warning("base", "all-clear", field.now_ns + 1))
    field.desk.resume({}, field.now_ns)
    field.exchange()
    field.go_on(3.0)
    assert field.sounding() == {}
    assert field.sent[-1].kind == "all-clear"


def test_an_alarm_that_only_the_desk_remembers_is_not_ended() -> None:
    field = started()
    field.warn(warning("base", "alert", field.now_ns))
    restarted(field, {})
    field.go_on(50.0)
    assert set(field.sounding()) == {"north", "south"}
    assert sorted(field.told("unexplained")) == ["siren north", "siren south"]
    field.go_on(15.0)
    assert field.sounding() == {}


def test_a_siren_with_a_later_memory_than_the_desk_is_reached_again() -> None:
    """The desk's state was lost and its clock set back by an hour: its numbers are lower than what the siren knows."""
    field = started()
    field.warn(warning("town", "alert", field.now_ns))
    field.warn(warning("town", "all-clear", field.now_ns + 1))
    field.desk = Desk(field.site, Provenance.LIVE)
    field.now_ns -= 3_600 * SECOND_NS
    field.warn(warning("town", "alert", field.now_ns))
    assert field.sounding() == {"east": "rocket"}
    assert field.desk.state.refused == {"siren: superseded": 1}


# ---- clocks, forgery, repetition ------------------------------------------------------------------------------------


@pytest.mark.parametrize("off_s", [-5, 5])
def test_a_sirens_clock_that_is_wrong_by_seconds_changes_nothing(off_s: int) -> None:
    field = started()
    field.clock_off_ns = {"north": off_s * SECOND_NS}
    field.warn(warning("base", "alert", field.now_ns))
    field.go_on(50.0)
    assert field.sounding() == {"north": "rocket", "south": "rocket"}
    assert field.starts() == {"north": {"base": 1}, "south": {"base": 1}}


@pytest.mark.parametrize("off_s", [3.9, 9, 3_600])
def test_a_siren_whose_clock_is_put_right_is_not_called_silent(off_s: float) -> None:
    field = Field()
    field.clock_off_ns = {"north": round(off_s * SECOND_NS)}
    field.go_on(20.0)
    assert field.told("silent") == []
    assert field.desk.state.sirens["north"].beat_ns > field.now_ns - 3 * SECOND_NS


def test_a_last_will_counts_though_the_siren_s_clock_has_been_set_back() -> None:
    field = started()
    hour_ahead = Bye(siren="north", time_ns=field.now_ns + 3_600 * SECOND_NS)
    field.desk.hear(hour_ahead, field.now_ns)
    field.go_on(3.0)
    field.desk.hear(Bye(siren="north", time_ns=field.now_ns), field.now_ns)
    assert field.desk.state.sirens["north"].away
    assert field.desk.state.refused == {}


def test_an_old_command_never_sounds() -> None:
    field = started()
    field.warn(warning("town", "alert", field.now_ns))
    alert = field.sent[-1]
    field.warn(warning("town", "all-clear", field.now_ns + 1))
    device = field.devices["east"]
    assert [a.reason for a in device.hear(alert, field.now_ns)] == ["superseded"]
    assert [a.reason for a in device.hear(alert, alert.expires_ns)] == ["expired"]
    assert field.sounding() == {}
    after_power_cut = Device("east", msgspec.json.decode(msgspec.json.encode(device.memory), type=Memory))
    assert [a.reason for a in after_power_cut.hear(alert, field.now_ns)] == ["superseded"]
    assert after_power_cut.sounding is None


def test_a_repeated_command_is_answered_and_not_executed_again() -> None:
    field = started()
    field.warn(warning("town", "alert", field.now_ns))
    device, alert = field.devices["east"], field.sent[-1]
    assert [a.stage for a in device.hear(alert, field.now_ns)] == ["sounding"]
    assert device.starts == {"town": 1}
    device.tick(alert.expires_ns)
    assert [a.stage for a in device.hear(alert, alert.issued_ns)] == ["done"]
    assert device.sounding is None


def test_answers_that_nobody_waits_for_are_counted_and_change_nothing() -> None:
    field = started()
    field.cut.add("east")
    field.warn(warning("town", "alert", field.now_ns))
    command = field.sent[-1]
    for changed in ({"id": "town/east/1/0"}, {"seq": command.seq + 1}, {"siren": "north"}):
        right = {"siren": "east", "id": command.id, "seq": command.seq, "stage": "sounding", "time_ns": 1}
        field.desk.hear(Ack(**{**right, **changed}), field.now_ns)  # type: ignore[arg-type]
    assert field.desk.state.refused == {"unexpected": 3}
    field.go_on(2.1)
    assert "siren east" in field.told("unanswered")


def test_an_old_beat_makes_no_dead_siren_live() -> None:
    field = started()
    recorded = field.devices["east"].beat(field.now_ns)
    field.desk.hear(recorded, field.now_ns)
    field.cut.add("east")
    for _ in range(10):
        field.go_on(1.0)
        field.desk.hear(recorded, field.now_ns)
    assert field.told("silent") == ["siren east"]
    assert field.desk.state.refused == {"replayed": 10}


def test_a_beat_is_answered_with_the_time() -> None:
    field = Field()
    beat = Beat(siren="east", time_ns=7)
    field.desk.hear(beat, field.now_ns)
    assert field.desk.take() == [("east", Pulse(siren="east", time_ns=field.now_ns, beat_ns=7))]
