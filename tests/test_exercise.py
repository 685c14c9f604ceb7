"""Everything that might make a simulation speak in earnest is tried here, and fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from typer.testing import CliRunner

from opencram.cli import app
from opencram.console import Console
from opencram.errors import InputError
from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import Command, Refused, decode_for_siren, encode
from opencram.outputs.sirens.orders import DeskState
from opencram.outputs.sirens.sounds import sound_of
from opencram.pipeline import step
from opencram.serve.keep import Keeper, Resumed
from opencram.serve.link import Act, Frames, LinkError, ToPipeline, frame
from opencram.serve.picture import hello_of
from opencram.serve.service import LINK_SOURCE, Service
from opencram.serve.sources import NoSensors, Played
from opencram.site import load_site
from opencram.state import State
from opencram.steadyclock import SteadyClock
from opencram.tables import OperatorAct
from opencram.world.scenario import load_scenario
from services import write_site

TOKEN = b"a token of sixteen bytes or more"


class Wire:
    """A transport that keeps what it is handed."""

    name = "wire"

    def __init__(self) -> None:
        self.sent: list[Command] = []

    def send(self, siren_id: str, data: bytes) -> bool:
        message = decode_for_siren(data, TOKEN, siren_id)
        if isinstance(message, Command):
            self.sent.append(message)
        return True


@contextmanager
def playing(folder: Path) -> Iterator[tuple[Service, Wire]]:
    """A service that plays a raid on the embassy, with a transport that looks at all it sends."""
    site, scenario = load_site("baghdad-embassy"), load_scenario("baghdad-2020-11-17")
    clock, keeper = SteadyClock(), Keeper(folder / "record", site, Provenance.SIMULATION)
    source = Played(scenario, site, 0, clock.now_ns() // 1_000 * 1_000)
    tokens = {siren.id: TOKEN for siren in site.sirens}
    console = Console()

    async def made() -> Service:
        return Service(site, source, clock, keeper, Resumed(), tokens, console)

    service, wire = asyncio.run(made()), Wire()
    service.post.add([wire])
    keeper.begin(service.state, clock.now_ns())
    source.prepare()
    try:
        yield service, wire
    finally:
        service.close()
        console.close()


def turns(service: Service, count: int) -> None:
    """Some ticks, as fast as they go."""
    for _ in range(count):
        service.turn(service.source.due_ns(service.keeper.now_ns, service.clock.now_ns()))


def act(kind: str, *targets: str) -> Act:
    """An act of the next tick's time: that is the latest that an act can be of, and ticks outrun the clock here."""
    return Act(act=kind, kind=kind, targets=targets, by="operator", time_ns=2**62, last_s=5.0)  # type: ignore[arg-type]


def test_the_raid_and_all_that_operators_do_in_it_is_an_exercise(tmp_path: Path) -> None:
    with playing(tmp_path) as (service, wire):
        service.act(act("self-test", "siren-rusafa"))
        turns(service, 130)
        assert wire.sent, "the raid alerts somebody"
        for kind, target in (("alarm", "harithiya"), ("all-clear", "harithiya"), ("alarm", "embassy")):
            service.act(act(kind, target))
            turns(service, 1)
        service.act(act("drill", "rusafa"))
        turns(service, 2)
        assert {c.kind for c in wire.sent} >= {"rocket", "observed", "test", "drill-notice", "drill"}
        assert {c.status for c in wire.sent if c.kind != "test"} == {"Exercise"}
        assert {c.status for c in wire.sent if c.kind == "test"} == {"Test"}
        assert {sound_of(c) for c in wire.sent} <= {"exercise", "exercise-over", "drill-notice", "test"}


def test_a_source_does_not_let_its_provenance_be_set(tmp_path: Path) -> None:
    with playing(tmp_path) as (service, _):
        with pytest.raises(AttributeError):
            service.source.provenance = Provenance.LIVE  # type: ignore[misc]
        assert service.source.provenance is Provenance.SIMULATION
        assert NoSensors().provenance is Provenance.LIVE, "what is compared with"


@pytest.mark.parametrize("key", ["status: Actual", "provenance: live", "policy: {status: Actual}"])
def test_no_key_of_a_site_can_say_so(tmp_path: Path, key: str) -> None:
    path = write_site(tmp_path)
    head = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("policy"))
    path.write_text(f"{head}\n{key}\n")
    with pytest.raises(InputError):
        load_site(path)


@pytest.mark.parametrize("option", ["--status", "--actual", "--live", "--provenance"])
def test_no_option_can_say_so(option: str) -> None:
    result = CliRunner().invoke(app, ["serve", "baghdad-embassy", "--play", "baghdad-2020-11-17", option, "Actual"])
    assert result.exit_code == 2
    assert "No such option" in (result.output + str(result.exception))


@pytest.mark.parametrize("extra", [{"status": "Actual"}, {"provenance": "live"}])
def test_no_message_of_the_web_process_can_say_so(tmp_path: Path, extra: dict[str, str]) -> None:
    """A key that is not ours is passed over, and a kind that is not ours breaks the link."""
    plain: dict[str, Any] = {**msgspec.to_builtins(act("alarm", "embassy")), **extra}
    body = msgspec.msgpack.encode(plain)
    (asked,) = Frames(ToPipeline).feed(len(body).to_bytes(4, "big") + body)
    assert asked == act("alarm", "embassy")
    with playing(tmp_path) as (service, wire):
        assert isinstance(asked, Act)
        service.act(asked)
        turns(service, 1)
        assert {c.status for c in wire.sent} == {"Exercise"}


def test_the_pipeline_takes_no_hello_and_no_warning_from_the_link() -> None:
    site = load_site("baghdad-embassy")
    hello = hello_of(site, "run", "0", LINK_SOURCE[Provenance.LIVE], "")
    with pytest.raises(LinkError):
        list(Frames(ToPipeline).feed(frame(hello)))


@pytest.mark.parametrize(("first", "second"), [("SIMULATION", "LIVE"), ("LIVE", "SIMULATION")])
def test_what_an_exercise_left_is_nothing_to_a_service_in_earnest_nor_the_other_way(
    tmp_path: Path, first: str, second: str
) -> None:
    """A zone alerted by a simulated raid must not sound in earnest because the folder is used again."""
    site, state, now_ns = load_site("baghdad-embassy"), State(defended=False), 1_700_000_000 * 10**9
    alarm = OperatorAct(time_ns=now_ns, zone="embassy", act="alarm", by="operator")
    for provenance, stands in ((Provenance[first], 1), (Provenance[second], 0)):
        keeper = Keeper(tmp_path, site, Provenance[first])
        keeper.begin(state, now_ns)
        keeper.inputs(now_ns, [alarm])
        keeper.outputs(step(state, [alarm], now_ns, site))
        keeper.close(state, DeskState())
        keeper = Keeper(tmp_path, site, provenance)
        found = keeper.resume()
        assert (len(found.state.warnings.zones) if found.state else 0) == stands
        assert bool(found.note) == (not stands)
        keeper.close(state, DeskState())


def test_a_siren_tells_an_exercise_and_earnest_apart_whoever_commands() -> None:
    """A play started over a service in earnest cannot silence it; one in earnest ends an exercise as an exercise."""

    def told(seq: int, kind: str, status: str) -> Command:
        return Command(
            siren="s", id=f"z/s/{seq}/0", seq=seq, zone="z", kind=kind, status=status, issued_ns=1, expires_ns=9  # type: ignore[arg-type]
        )  # fmt: skip

    device = Device("s")
    device.hear(told(1, "rocket", "Exercise"), 2)
    device.hear(told(2, "cancel", "Actual"), 2)
    assert [sound_of(said) for said in device.says] == ["exercise-over"]
    device.hear(told(3, "rocket", "Actual"), 2)
    for number, kind in enumerate(("rocket", "all-clear", "cancel", "drill"), start=4):
        (answer,) = device.hear(told(number, kind, "Exercise"), 2)
        assert answer.reason == "busy"
    assert device.sounding is not None
    assert device.sounding.status == "Actual"


def test_a_siren_is_not_fooled_by_a_command_that_says_so() -> None:
    """The status is under the signature; and a drill or a test in earnest is no message at all."""
    told = Command(
        siren="s", id="z/s/1/0", seq=1, zone="z", kind="rocket", status="Exercise", issued_ns=1, expires_ns=9
    )
    forged = encode(told, TOKEN).replace(b'"Exercise"', b'"Actual"')
    with pytest.raises(Refused, match="forged"):
        decode_for_siren(forged, TOKEN, "s")
    for kind in ("drill", "drill-notice", "test"):
        with pytest.raises(ValueError, match="expected"):
            Command(**{**msgspec.structs.asdict(told), "kind": kind, "status": "Actual"})


def test_an_alarm_in_earnest_is_heard_over_an_exercise() -> None:
    device = Device("s")
    for number, (zone, kind, status) in enumerate((("a", "rocket", "Exercise"), ("b", "drone", "Actual"))):
        told = Command(
            siren="s", id=f"{zone}/s/1/0", seq=number, zone=zone, kind=kind, status=status, issued_ns=1, expires_ns=9  # type: ignore[arg-type]
        )  # fmt: skip
        device.hear(told, 2)
    assert device.sounding is not None
    assert device.sounding.zone == "b"
