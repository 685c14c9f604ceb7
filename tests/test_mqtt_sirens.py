"""Desk and sirens over a real Mosquitto: whatever befalls broker, siren or message, the right zones sound, once."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from mosquitto import Mosquitto, as_, mosquitto, needs_mosquitto, others_client, token_of
from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device, Memory
from opencram.outputs.sirens.messages import Ack, Bye, Command, decode_for_service, decode_for_siren, encode
from opencram.outputs.sirens.mqtt import SERVICE, MqttSirens, broker, mqtt_link
from opencram.outputs.sirens.orders import Times
from opencram.outputs.sirens.post import Post
from opencram.outputs.sirens.runner import Runner
from opencram.outputs.sirens.websocket import WebSocketSirens, websocket_link
from opencram.steadyclock import SteadyClock
from opencram.tables import ZoneWarning
from small_site import position, site_of, square

pytestmark = needs_mosquitto

ZONES = ("base", "camp", "town")
SIRENS = tuple(f"siren-{zone}" for zone in ZONES)
SITE = site_of(
    [square(zone, 3_000.0 * i, 0.0) for i, zone in enumerate(ZONES)],
    sirens=[
        {"id": f"siren-{zone}", "position": position(3_000.0 * i, 0.0), "zones": [zone]} for i, zone in enumerate(ZONES)
    ],
)
LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def running() -> Iterator[Mosquitto]:
    with mosquitto(*SIRENS) as made:
        yield made


@pytest.fixture
def own() -> Iterator[Mosquitto]:
    """A broker for one test, which may kill it."""
    with mosquitto(*SIRENS) as made:
        yield made


async def until(true: Callable[[], object], within_s: float = 5.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end, "not so within the time"
        await asyncio.sleep(0.01)


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@contextlib.asynccontextmanager
async def doing(*work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Have this done meanwhile; what fails there fails the test."""
    tasks = [asyncio.create_task(w) for w in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task


async def ticking(thing: Post | Runner) -> None:
    while True:
        thing.tick()
        await asyncio.sleep(0.02)


class Service:
    """Desk, post room and the way over MQTT; `drop_acks` of what arrives gets lost, `heard` is all that was let in."""

    def __init__(self, at: Mosquitto, times: Times | None = None) -> None:
        self.clock = SteadyClock()
        self.desk = Desk(SITE, Provenance.SIMULATION, times=times)
        self.post = Post(self.desk, {name: token_of(name) for name in SIRENS}, self.clock.now_ns, on_sent=self._sent)
        self.mqtt = MqttSirens(as_(SERVICE, at), SIRENS, self._received, self.post.lost)
        self.post.add([self.mqtt])
        self.drop_acks = 0
        self.sent: list[Command] = []
        self.answers: list[bytes] = []

    def _sent(self, command: Command, ways: int) -> None:
        self.sent.append(command)

    def _received(self, siren: str, data: bytes, transport: str) -> bool:
        if b'"is":"ack"' in data:
            self.answers.append(data)
            if self.drop_acks > 0:
                self.drop_acks -= 1
                return False
        return self.post.received(siren, data, transport)

    @contextlib.asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        async with doing(self.mqtt.run(), ticking(self.post)):
            await until(lambda: not self.mqtt.fault)
            yield

    def say(self, state: str, *zones: str) -> None:
        now_ns = self.clock.now_ns()
        warnings = [
            ZoneWarning(
                time_ns=now_ns, zone=z, state=state, tracks=(1,), p_hit=0.5, seconds_left=9.0, kind="rocket", reason=""
            )
            for z in zones
        ]
        self.desk.warn(warnings, now_ns)
        self.post.flush()

    def stage(self, zone: str) -> str:
        order = self.desk.state.orders.get(f"siren-{zone}", {}).get(zone)
        return order.stage if order else ""


def siren(zone: str, memory: Memory | None = None) -> Runner:
    name = f"siren-{zone}"
    return Runner(Device(name, memory), token_of(name), SteadyClock())


@contextlib.asynccontextmanager
async def all_sirens(at: Mosquitto, service: Service) -> AsyncIterator[dict[str, Runner]]:
    """Every siren, connected and heard."""
    runners = {zone: siren(zone) for zone in ZONES}
    links = [mqtt_link(runner, as_(runner.device.siren, at)) for runner in runners.values()]
    async with doing(*links, *(ticking(runner) for runner in runners.values())):
        await until(lambda: not any(s.away for s in service.desk.state.sirens.values()))
        yield runners


def sounding(runners: dict[str, Runner]) -> list[str]:
    return [zone for zone, runner in runners.items() if runner.device.sounding]


def starts(runners: dict[str, Runner]) -> dict[str, int]:
    return {zone: runner.device.starts[zone] for zone, runner in runners.items()}


# ---- a day as it should be --------------------------------------------------------------------------------------


def test_an_alert_sounds_is_acknowledged_and_ends(running: Mosquitto) -> None:
    async def test() -> None:
        service = Service(running)
        async with service.at_work(), all_sirens(running, service) as runners:
            service.say("alert", "base", "town")
            await until(lambda: service.stage("base") == service.stage("town") == "sounding")
            assert sounding(runners) == ["base", "town"]
            service.say("all-clear", "base", "town")
            await until(lambda: not service.desk.state.orders["siren-base"])
            assert sounding(runners) == []
            assert starts(runners) == {"base": 1, "camp": 0, "town": 1}
            assert service.desk.state.refused == {}
            assert len(service.sent) == 4  # nothing had to be said twice

    run(test())


def test_one_that_hears_over_both_ways_sounds_once(own: Mosquitto) -> None:
    """And when the broker dies, the other way goes on without it."""

    async def test() -> None:
        service = Service(own)
        web = WebSocketSirens(SIRENS, service.post.received, service.post.lost)
        service.post.add([web])
        listening = socket.create_server((LOOPBACK, 0))
        await web.start(listening)
        there = siren("base")
        links = (
            mqtt_link(there, as_("siren-base", own)),
            websocket_link(there, f"ws://{LOOPBACK}:{listening.getsockname()[1]}/"),
        )
        async with service.at_work(), doing(*links, ticking(there)):
            await until(lambda: len(there.links) == 2)
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            assert there.device.starts["base"] == 1
            service.say("all-clear", "base")
            await until(lambda: not service.desk.state.orders["siren-base"])
            own.kill()
            await until(lambda: list(there.links) == ["websocket"])
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding", within_s=2.0)
            assert there.device.starts["base"] == 2
        await web.stop()

    run(test())


# ---- the broker goes --------------------------------------------------------------------------------------------


def test_a_broker_killed_in_a_raid_and_started_again(own: Mosquitto) -> None:
    """Every zone that should sound does, once; what ended meanwhile ends; what came and went meanwhile never sounds."""

    async def test() -> None:
        service = Service(own)
        async with service.at_work(), all_sirens(own, service) as runners:
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            own.kill()
            await until(lambda: service.mqtt.fault)
            service.say("alert", "camp")
            service.say("alert", "town")
            await asyncio.sleep(1.0)
            service.say("cancel", "town")
            assert sounding(runners) == ["base"]  # it goes on: nobody has told it to stop
            own.start()
            await until(lambda: service.stage("camp") == "sounding", within_s=10.0)
            await asyncio.sleep(1.0)
            assert starts(runners) == {"base": 1, "camp": 1, "town": 0}
            assert sounding(runners) == ["base", "camp"]
            service.say("all-clear", "base", "camp")
            await until(lambda: not sounding(runners))

    run(test())


def test_an_alarm_that_ends_while_the_broker_is_away_ends_at_the_siren(own: Mosquitto) -> None:
    async def test() -> None:
        service = Service(own)
        async with service.at_work(), all_sirens(own, service) as runners:
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            own.kill()
            await until(lambda: service.mqtt.fault)
            service.say("all-clear", "base")
            await asyncio.sleep(0.3)
            assert sounding(runners) == ["base"]
            own.start()
            await until(lambda: not sounding(runners), within_s=10.0)
            assert starts(runners)["base"] == 1

    run(test())


def test_alarms_end_by_themselves_when_nothing_is_heard_any_more(own: Mosquitto) -> None:
    """A siren whose service is gone for good does not sound for ever."""

    async def test() -> None:
        service = Service(own, Times(lifetime_s=2.0, renew_s=1.0))
        async with service.at_work(), all_sirens(own, service) as runners:
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            await asyncio.sleep(2.5)
            assert sounding(runners) == ["base"]  # renewed while the zone is alerted
            assert starts(runners)["base"] == 1
            own.kill()
            await until(lambda: not sounding(runners), within_s=3.0)

    run(test())


# ---- a siren goes -----------------------------------------------------------------------------------------------


def test_an_old_command_does_not_sound_after_a_reconnect(running: Mosquitto) -> None:
    """Neither what was said while it was away and is over, nor the same bytes sent again."""

    async def test() -> None:
        service = Service(running, Times(lifetime_s=1.0, renew_s=0.9))
        there = siren("base")
        link = mqtt_link(there, as_("siren-base", running))
        async with service.at_work(), ticking_and_listening(running) as listened:
            service.say("alert", "base")
            await asyncio.sleep(0.5)
            service.say("cancel", "base")
            await asyncio.sleep(1.2)
            async with doing(link, ticking(there)):
                await until(lambda: there.pulsed_ns is not None)
                assert listened  # what was said in vain
                async with replayer(running) as replay:
                    for data in listened:
                        await replay.publish("cmd/siren-base", data, qos=1)
                await until(lambda: there.device.refused["expired"] >= 1)
                assert not there.device.starts
                assert not there.device.sounding

    run(test())


@contextlib.asynccontextmanager
async def replayer(at: Mosquitto) -> AsyncIterator[aiomqtt.Client]:
    """Somebody with the service's own password, as on a captured broker; it takes the service's connection for that."""
    async with others_client(as_(SERVICE, at)) as client:
        yield client


@contextlib.asynccontextmanager
async def ticking_and_listening(at: Mosquitto) -> AsyncIterator[list[bytes]]:
    """All that is said to the siren of the base, as somebody with its password hears it."""
    listened: list[bytes] = []

    async def listen() -> None:
        with contextlib.suppress(aiomqtt.MqttError):
            async with others_client(as_("siren-base", at)) as client:
                await client.subscribe("cmd/siren-base", qos=1)
                async for message in client.messages:
                    listened.append(bytes(message.payload))

    async with doing(listen()):
        await asyncio.sleep(0.2)
        yield listened


def test_the_last_will_calls_a_dead_siren_lost_at_once(running: Mosquitto) -> None:
    """The siren is a process of its own, and is killed."""

    async def test() -> None:
        service = Service(running)
        state = service.desk.state.sirens["siren-base"]
        process = multiprocessing.get_context("spawn").Process(
            target=be_a_siren, args=(running.url, str(running.folder)), daemon=True
        )
        async with service.at_work():
            process.start()
            await until(lambda: not state.away, within_s=20.0)
            process.kill()
            await until(lambda: state.away, within_s=1.0)
            assert state.last_bye_ns > 0  # it was the will, not the silence
            assert not state.silent
        process.join()

    run(test())


def be_a_siren(url: str, folder: str) -> None:
    """The base's siren, until it is killed."""
    runner = siren("base")
    at = broker(url, "siren-base", token_of("siren-base"), Path(folder))
    asyncio.run(mqtt_link(runner, at))


def test_a_siren_that_was_away_is_told_what_still_stands(running: Mosquitto) -> None:
    async def test() -> None:
        service = Service(running)
        there = siren("base")
        async with service.at_work():
            service.say("alert", "base")
            await asyncio.sleep(1.0)
            async with doing(mqtt_link(there, as_("siren-base", running)), ticking(there)):
                await until(lambda: service.stage("base") == "sounding", within_s=2.0)
                assert there.device.starts["base"] == 1

    run(test())


# ---- messages go, or lie ----------------------------------------------------------------------------------------


def test_lost_acknowledgements_are_asked_for_again_and_nothing_sounds_twice(running: Mosquitto) -> None:
    async def test() -> None:
        service = Service(running)
        async with service.at_work(), all_sirens(running, service) as runners:
            service.drop_acks = 3
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            assert service.drop_acks == 0
            assert len({command.id for command in service.sent}) == 1
            assert len(service.sent) > 1
            assert starts(runners)["base"] == 1

    run(test())


def test_what_is_no_message_is_counted_and_the_alert_still_goes_out(running: Mosquitto) -> None:
    garbage = (b"", b"\x00" * 50, b"{}", b"f" * 64 + b" {}", b"f" * 10_000, "sirène".encode(), b"[" * 500)

    async def test() -> None:
        service = Service(running)
        async with service.at_work(), all_sirens(running, service) as runners:
            async with others_client(as_("siren-town", running)) as town:  # from here on the town's siren is another
                for data in garbage:
                    await town.publish("ack/siren-town", data, qos=1)
                await until(lambda: sum(service.desk.state.refused.values()) >= len(garbage))
            assert set(service.desk.state.refused) == {"malformed", "forged", "too long"}
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            for data in garbage:
                assert service.mqtt._connection is not None
                service.mqtt._connection.publish("cmd/siren-base", data, qos=1)
            await until(lambda: sum(runners["base"].refused.values()) == len(garbage))
            assert sounding(runners) == ["base"]

    run(test())


def test_not_even_the_broker_can_command_or_answer(running: Mosquitto) -> None:
    """Whoever has every password of the broker, and all that was ever said there, but no token."""

    async def test() -> None:
        service = Service(running)
        async with service.at_work(), all_sirens(running, service) as runners:
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            now_ns = service.clock.now_ns()
            command = Command(
                siren="siren-camp", id="camp/siren-camp/1/0", seq=now_ns, zone="camp", kind="rocket", status="Actual",
                issued_ns=now_ns, expires_ns=now_ns + 10**12,
            )  # fmt: skip
            assert service.mqtt._connection is not None
            service.mqtt._connection.publish("cmd/siren-camp", encode(command, b"no token that it knows"), qos=1)
            await until(lambda: runners["camp"].refused["forged"] == 1)
            true = service.answers[-1]
            service.say("alert", "town")
            async with others_client(as_("siren-town", running)) as town:
                await town.publish("ack/siren-town", true, qos=1)  # another siren's, signed by that one
                await town.publish("ack/siren-town", true.replace(b"siren-base", b"siren-town"), qos=1)
                await until(lambda: service.desk.state.refused.get("forged") == 2)
            assert sounding(runners)[:1] == ["base"]
            assert "camp" not in sounding(runners)

    run(test())


def test_a_repeated_answer_or_will_changes_nothing(running: Mosquitto) -> None:
    async def test() -> None:
        service = Service(running)
        async with service.at_work(), all_sirens(running, service) as runners:
            service.say("alert", "base")
            await until(lambda: service.stage("base") == "sounding")
            old = list(service.answers)
            service.say("all-clear", "base")
            await until(lambda: not service.desk.state.orders["siren-base"])
            service.say("alert", "base")
            for data in old:
                assert isinstance(decode_for_service(data, token_of("siren-base"), "siren-base"), Ack)
                service.post.received("siren-base", data, "mqtt")
            assert service.stage("base") in ("", "received")
            await until(lambda: service.stage("base") == "sounding")
            bye = encode(Bye(siren="siren-base", time_ns=5), token_of("siren-base"))
            service.post.received("siren-base", bye, "mqtt")
            service.post.received("siren-base", bye, "mqtt")
            assert service.desk.state.refused["replayed"] == 1
            assert starts(runners)["base"] == 2

    run(test())


def test_a_broker_that_stops_for_a_while_delays_but_loses_nothing(own: Mosquitto) -> None:
    async def test() -> None:
        service = Service(own)
        async with service.at_work(), all_sirens(own, service) as runners:
            assert own.process is not None
            own.process.send_signal(signal.SIGSTOP)
            service.say("alert", "base", "camp", "town")
            await asyncio.sleep(1.5)
            own.process.send_signal(signal.SIGCONT)
            await until(lambda: len(sounding(runners)) == 3)
            await until(lambda: all(service.stage(zone) == "sounding" for zone in ZONES))
            assert starts(runners) == dict.fromkeys(ZONES, 1)

    run(test())


def test_what_a_siren_is_told_is_what_the_desk_said(running: Mosquitto) -> None:
    """The bytes on the wire, read by their own definition."""

    async def test() -> None:
        service = Service(running)
        async with service.at_work(), ticking_and_listening(running) as listened:
            service.say("alert", "base")
            await until(lambda: listened)
            assert decode_for_siren(listened[0], token_of("siren-base"), "siren-base") == service.sent[0]
            assert service.sent[0].status == "Exercise"

    run(test())
