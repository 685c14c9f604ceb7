"""Sirens over real WebSockets on the loopback: cut off, forged, repeated, flooded, slow; the right ones sound, once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import MAX_BYTES, Beat, Command, Pulse, decode_for_siren, encode
from opencram.outputs.sirens.post import Post
from opencram.outputs.sirens.runner import Runner
from opencram.outputs.sirens.websocket import (
    MAX_CONNECTIONS,
    MAX_UNPROVEN,
    MOST_PER_SECOND,
    WebSocketSirens,
    websocket_link,
)
from opencram.steadyclock import SteadyClock
from opencram.tables import ZoneWarning
from small_site import RADAR, START_NS, position, site_of, square

NAMES = ("north", "south")
TOKENS = {name: f"a token of the siren {name}".encode() for name in NAMES}


class Shifted:
    """Clocks for a test: the wall clock can be set, the monotonic one goes on."""

    def __init__(self) -> None:
        self.wall_off_ns, self._began_s = 0, asyncio.get_running_loop().time()

    def monotonic_ns(self) -> int:
        return round((asyncio.get_running_loop().time() - self._began_s) * 1e9)

    def wall_ns(self) -> int:
        return START_NS + self.monotonic_ns() + self.wall_off_ns

    def clock(self) -> SteadyClock:
        return SteadyClock(wall_ns=self.wall_ns, monotonic_ns=self.monotonic_ns)


class Town:
    """The service's side, listening, and sirens that connect to it."""

    def __init__(self) -> None:
        sirens = [{"id": name, "position": position(0, 0), "zones": ["base"], "audible_m": 500} for name in NAMES]
        site = site_of([square("base", 0, 0)], sirens=sirens, sensors=[RADAR])
        self.time = Shifted()
        self.clock = self.time.clock()
        self.desk = Desk(site, Provenance.LIVE)
        self.post = Post(self.desk, TOKENS, self.clock.now_ns)
        self.way = WebSocketSirens(TOKENS, self.post.received, self.post.lost)
        self.post.add([self.way])
        self.runners: dict[str, Runner] = {}
        self.links: dict[str, asyncio.Task[None]] = {}
        self.port = 0

    async def open(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        await self.way.start(listening)

    @property
    def address(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def join(self, name: str, token: bytes | None = None, time: Shifted | None = None) -> Runner:
        runner = Runner(Device(name), token or TOKENS[name], (time or self.time).clock())
        self.runners[name] = runner
        self.links[name] = asyncio.create_task(websocket_link(runner, self.address))
        return runner

    def warn(self, state: str) -> None:
        now_ns = self.clock.now_ns()
        told = ZoneWarning(
            time_ns=now_ns,
            zone="base",
            state=state,
            tracks=(1,),
            p_hit=1.0,
            seconds_left=None,
            kind="rocket",
            reason="",
        )
        self.desk.warn([told], now_ns)
        self.post.tick()

    async def until(self, what: Callable[[], object], within_s: float = 8.0) -> None:
        """Let the desk and the sirens tick until something is so."""
        ends = asyncio.get_running_loop().time() + within_s
        while not what():
            assert asyncio.get_running_loop().time() < ends, "it did not come about"
            self.post.tick()
            for runner in self.runners.values():
                runner.tick()
            await asyncio.sleep(0.02)

    def sounding(self) -> list[str]:
        return sorted(name for name, runner in self.runners.items() if runner.device.sounding is not None)

    async def close(self) -> None:
        for link in self.links.values():
            link.cancel()
        await asyncio.gather(*self.links.values(), return_exceptions=True)
        await self.way.stop()


def in_town(test: Callable[[Town], Awaitable[None]]) -> Any:
    """Run a test in an event loop, with an open town."""

    def run() -> None:
        async def main() -> None:
            town = Town()
            await town.open()
            try:
                await test(town)
            finally:
                await town.close()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def a_connection(town: Town, name: str = "north", beat: bool = True) -> ClientConnection:
    """A siren's connection, by hand."""
    connection = await connect(f"{town.address}/{name}", compression=None)
    if beat:
        await connection.send(encode(Beat(siren=name, time_ns=town.clock.now_ns()), TOKENS[name]).decode())
        assert isinstance(decode_for_siren(await heard(connection), TOKENS[name], name), Pulse)
    return connection


async def heard(connection: ClientConnection) -> bytes:
    data = await asyncio.wait_for(connection.recv(), 3.0)
    return data.encode() if isinstance(data, str) else data


async def closed_with(connection: ClientConnection) -> int:
    with suppress(ConnectionClosed):
        while True:
            await asyncio.wait_for(connection.recv(), 8.0)
    return connection.close_code or 0


@in_town
async def test_sirens_connect_sound_and_end(town: Town) -> None:
    for name in NAMES:
        town.join(name)
    await town.until(lambda: town.way.connected() == 2)
    town.warn("alert")
    await town.until(lambda: all(o["base"].reached for o in town.desk.state.orders.values()))
    assert town.sounding() == ["north", "south"]
    town.warn("all-clear")
    await town.until(lambda: not any(town.desk.state.orders.values()))
    assert town.sounding() == []
    assert town.desk.state.refused == {}


@in_town
async def test_nagle_is_off_on_both_sides(town: Town) -> None:
    town.join("north")
    await town.until(lambda: town.way.connected() == 1)
    ours = town.way._open["north"][0].transport.get_extra_info("socket")
    assert ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@in_town
async def test_a_cut_connection_is_made_again_and_the_alarm_sounds_once(town: Town) -> None:
    north, _ = town.join("north"), town.join("south")
    await town.until(lambda: town.way.connected() == 2)
    town.warn("alert")
    await town.until(lambda: town.sounding() == ["north", "south"])
    town.way._open["north"][0].transport.abort()
    await town.until(lambda: "north" not in town.way._open)
    await town.until(lambda: "north" in town.way._open)
    assert town.sounding() == ["north", "south"]
    assert north.device.starts == {"base": 1}


@in_town
async def test_a_siren_away_at_the_alert_sounds_when_it_comes_and_one_away_at_its_end_does_not(town: Town) -> None:
    town.join("north")
    await town.until(lambda: town.way.connected() == 1)
    town.warn("alert")
    south = town.join("south")
    await town.until(lambda: town.sounding() == ["north", "south"])
    town.links["south"].cancel()
    await town.until(lambda: "south" not in town.way._open)
    town.warn("all-clear")
    await town.until(lambda: town.sounding() == ["south"])
    town.links["south"] = asyncio.create_task(websocket_link(south, town.address))
    await town.until(lambda: town.sounding() == [])
    await asyncio.sleep(0.3)
    assert south.device.starts == {"base": 1}


@in_town
async def test_a_siren_that_cannot_write_its_memory_sounds_ends_and_says_so(town: Town) -> None:
    north = town.join("north")
    north._memory_file = Path("/dev/full/north.json")
    await town.until(lambda: town.way.connected() == 1)
    link = town.way._open["north"][0]
    town.warn("alert")
    await town.until(lambda: town.desk.state.orders["north"]["base"].reached)
    assert town.sounding() == ["north"]
    await town.until(lambda: "memory cannot be written" in town.desk.state.sirens["north"].fault)
    assert town.way._open["north"] == [link], "the connection that it had"
    north.clock.set_to(town.desk.state.orders["north"]["base"].command.expires_ns)
    north.tick()
    assert town.sounding() == []


@in_town
async def test_the_service_comes_back_on_its_port(town: Town) -> None:
    town.join("north")
    await town.until(lambda: town.way.connected() == 1)
    town.warn("alert")
    await town.until(lambda: town.sounding() == ["north"])
    await town.way.stop()
    await town.until(lambda: town.way.connected() == 0)
    town.way = WebSocketSirens(TOKENS, town.post.received, town.post.lost)
    town.post.transports[:] = [town.way]
    await town.open()
    await town.until(lambda: town.way.connected() == 1)
    town.warn("all-clear")
    await town.until(lambda: town.sounding() == [])


@in_town
async def test_a_wrong_token_is_turned_away_and_counted(town: Town) -> None:
    thief = town.join("north", token=b"not the token of the siren")
    await town.until(lambda: town.desk.state.refused.get("forged", 0) >= 2)
    town.warn("alert")
    await asyncio.sleep(0.5)
    assert thief.device.starts == {}
    assert town.desk.state.sirens["north"].beat_ns == 0
    assert not town.way._open.get("north")


@in_town
async def test_nothing_is_said_before_a_connection_has_proved_itself(town: Town) -> None:
    connection = await a_connection(town, beat=False)
    town.warn("alert")
    assert await closed_with(connection) == 4408
    connection = await a_connection(town, beat=False)
    await connection.send("hello")
    assert await closed_with(connection) == 4401
    assert town.desk.state.refused == {"malformed": 1}


@in_town
async def test_who_proves_nothing_neither_closes_nor_loses_the_siren_s_own_connection(town: Town) -> None:
    town.join("north")
    await town.until(lambda: town.way.connected() == 1)
    own = town.way._open["north"][0]
    town.desk.state.sirens["south"].away = False  # heard over another way
    for name in ["north", "south"] * (MAX_CONNECTIONS + 1):
        connection = await a_connection(town, name, beat=False)
        await connection.send("hello")
        assert await closed_with(connection) == 4401
    assert town.way._open == {"north": [own]}
    assert not town.desk.state.sirens["south"].away
    assert not town.desk.state.sirens["north"].away


@in_town
async def test_an_unknown_siren_is_refused(town: Town) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{town.address}/west")
    assert refused.value.response.status_code == 404
    assert town.way.refused == 1


@in_town
async def test_connections_that_prove_nothing_are_limited(town: Town) -> None:
    most = MAX_CONNECTIONS * len(NAMES) + MAX_UNPROVEN
    held = [await a_connection(town, beat=False) for _ in range(most)]
    with pytest.raises(InvalidStatus) as refused:
        await a_connection(town, beat=False)
    assert refused.value.response.status_code == 503
    for connection in held:
        connection.transport.abort()
    await asyncio.sleep(0.1)
    town.join("north")
    await town.until(lambda: town.way.connected() == 1)


@in_town
async def test_malformed_forged_and_long_messages_do_nothing(town: Town) -> None:
    connection = await a_connection(town)
    beat = Beat(siren="south", time_ns=town.clock.now_ns())
    for bad in (b"{}", b"\x00" * 200, encode(beat, TOKENS["south"]), encode(beat, TOKENS["north"]), b"0" * MAX_BYTES):
        await connection.send(bad)
    await town.until(lambda: sum(town.desk.state.refused.values()) == 5)
    assert town.desk.state.refused == {"malformed": 3, "forged": 1, "not for me": 1}
    await connection.send(b"0" * (MAX_BYTES + 1))
    assert await closed_with(connection) == 1009


@in_town
async def test_a_siren_that_floods_is_cut_off(town: Town) -> None:
    connection = await a_connection(town)
    with suppress(ConnectionClosed):
        for _ in range(3 * MOST_PER_SECOND):
            await connection.send("noise")
    assert await closed_with(connection) == 4429
    assert sum(town.desk.state.refused.values()) <= MOST_PER_SECOND


@in_town
async def test_forged_and_repeated_commands_are_refused_by_the_siren(town: Town) -> None:
    north = town.join("north")
    await town.until(lambda: town.way.connected() == 1)
    town.warn("alert")
    await town.until(lambda: town.sounding() == ["north"])
    recorded = town.desk.state.orders["north"]["base"].command
    town.warn("all-clear")
    await town.until(lambda: town.sounding() == [])
    for data in (
        encode(recorded, TOKENS["north"]),  # as it was recorded
        encode(recorded, TOKENS["south"]),  # another siren's token
        encode(Pulse(siren="north", time_ns=1, beat_ns=1), TOKENS["north"]),  # an old time
    ):
        assert town.way.send("north", data)
    await town.until(lambda: sum((north.refused + north.device.refused).values()) == 3)
    assert north.refused + north.device.refused == {"superseded": 1, "forged": 1, "replayed": 1}
    assert north.device.starts == {"base": 1}


@pytest.mark.parametrize("step_s", [-5, 5])
def test_a_wall_clock_that_is_set_changes_nothing(step_s: int) -> None:
    """Both the service's and the siren's machine are set by 5 s in the midst of an alert."""

    @in_town
    async def stepped(town: Town) -> None:
        apart = Shifted()
        apart.wall_off_ns = -1_000_000_000
        north, south = town.join("north"), town.join("south", time=apart)
        await town.until(lambda: town.way.connected() == 2)
        town.warn("alert")
        await town.until(lambda: town.sounding() == ["north", "south"])
        before = town.desk.state.orders["north"]["base"].command
        town.time.wall_off_ns = apart.wall_off_ns = step_s * 1_000_000_000
        for _ in range(10):
            town.clock.slew()
            town.post.tick()
            await asyncio.sleep(0.05)
        assert town.desk.state.orders["north"]["base"].command == before
        assert abs(town.clock.ahead_ns() + step_s * 1_000_000_000) < 10_000_000
        assert abs(south.clock.now_ns() - town.clock.now_ns()) < 50_000_000, "it goes by the service's time"
        assert town.sounding() == ["north", "south"]
        town.warn("all-clear")
        await town.until(lambda: town.sounding() == [])
        assert north.device.starts == south.device.starts == {"base": 1}

    stepped()


@pytest.mark.parametrize("off_s", [-3_600, 3_600])
def test_a_siren_whose_clock_is_an_hour_off_sounds_and_ends(off_s: int) -> None:
    """And is known to live, also after it was started anew with a clock that is right."""

    @in_town
    async def off(town: Town) -> None:
        wrong = Shifted()
        wrong.wall_off_ns = off_s * 1_000_000_000
        north = town.join("north", time=wrong)
        await town.until(lambda: town.desk.state.sirens["north"].beat_ns)
        town.warn("alert")
        await town.until(lambda: town.sounding() == ["north"])
        assert isinstance(north.device.sounding, Command)
        assert north.device.refused == {}
        town.warn("all-clear")
        await town.until(lambda: town.sounding() == [])
        town.links["north"].cancel()
        await town.until(lambda: town.way.connected() == 0)
        seen_ns = town.desk.state.sirens["north"].beat_ns
        town.join("north")
        await town.until(lambda: town.desk.state.sirens["north"].beat_ns > seen_ns)

    off()
