"""Sirens over a real Mosquitto: what a broker that dies, a line that breaks and a siren that falls silent do."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import signal
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator

import aiomqtt
import pytest

import mqtt_field
from mosquitto import Mosquitto, as_, mosquitto, needs_mosquitto, others_client
from mqtt_field import SIRENS, heard, run, service, until
from opencram.outputs.sirens import connection, mqtt
from opencram.outputs.sirens.connection import Broker, Connection, NotConnected, Will
from opencram.outputs.sirens.mqtt import SERVICE, MqttSirens

pytestmark = needs_mosquitto
running, own = mqtt_field.running, mqtt_field.own


def test_a_killed_broker_is_said_and_joined_again() -> None:
    async def test(at: Mosquitto) -> None:
        async with service(as_(SERVICE, at)) as here:
            async with others_client(as_("north", at)) as north:
                await until(lambda: not here.sirens.fault)
                await north.publish("beat/north", b"alive", qos=1)
                await until(lambda: here.received)
                at.kill()
                await until(lambda: here.sirens.fault)
                assert here.lost == ["north"]
                assert not here.sirens.send("north", b"sound")
                with contextlib.suppress(aiomqtt.MqttError):
                    await heard(north)
            await until(lambda: "is not reached" in here.sirens.fault)
            at.start()
            await until(lambda: not here.sirens.fault, within_s=2.0 + connection.BACK_OFF_S[1])
            async with others_client(as_("north", at)) as north:
                await north.subscribe("cmd/north", qos=1)
                assert await heard(north) == []  # what could not be sent is not sent later
                here.sirens.send("north", b"sound")
                assert await heard(north) == [("cmd/north", b"sound")]

    with mosquitto(*SIRENS) as at:
        run(test(at))


def test_a_broker_that_hangs_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sending neither waits nor grows without end; and the hang is noticed by its missing answers."""
    monkeypatch.setattr(connection, "KEEPALIVE_S", 1)

    async def test(at: Mosquitto) -> None:
        async with service(as_(SERVICE, at)) as here:
            await until(lambda: not here.sirens.fault)
            assert at.process is not None
            at.process.send_signal(signal.SIGSTOP)
            began = time.monotonic()
            for _ in range(2 * connection.MAX_WAITING):
                here.sirens.send("north", b"x" * 500)
            assert time.monotonic() - began < 2.0
            assert here.sirens.unsent == connection.MAX_WAITING
            await until(lambda: here.sirens.fault, within_s=5.0)

    with mosquitto(*SIRENS) as at:
        run(test(at))


def test_what_the_socket_does_not_take_at_once_is_written_when_it_does(own: Mosquitto) -> None:
    async def test() -> None:
        async with Connection(as_("north", own), lambda *_: None) as north:
            north._pinging.cancel()  # it writes too, once a second
            assert own.process is not None
            own.process.send_signal(signal.SIGSTOP)
            for _ in range(1_500):
                assert north.publish("ack/north", b"x" * 10_000, qos=0)
            await asyncio.sleep(0.2)
            assert north._client.want_write()  # else this shows nothing
            own.process.send_signal(signal.SIGCONT)
            await until(lambda: not north._client.want_write(), within_s=10.0)

    run(test())


def test_what_tls_has_read_ahead_is_not_left_lying(running: Mosquitto) -> None:
    """Many messages in one record of TLS, as other brokers send them: only the first shows on the socket."""
    publish = b"\x30\x0d\x00\x09cmd/north\x00!"  # MQTT 5, 3.3: to cmd/north, no properties, one byte
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(running.folder / "server.crt", running.folder / "server.key")

    async def broker_of_one_record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.write(b"\x20\x03\x00\x00\x00" + 250 * publish)  # CONNACK first
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()

    async def test() -> None:
        heard: list[bytes] = []
        server = await asyncio.start_server(broker_of_one_record, "127.0.0.1", 0, ssl=context)
        at = dataclasses.replace(as_("north", running), port=server.sockets[0].getsockname()[1])
        async with server, Connection(at, lambda _, data: heard.append(data)):
            await until(lambda: len(heard) == 250)

    run(test())


def test_both_ends_send_at_once(running: Mosquitto) -> None:
    async def test() -> None:
        async with Connection(as_("north", running), lambda *_: None) as north:
            assert north._socket is not None
            assert north._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1

    run(test())
    assert "set_tcp_nodelay true\n" in (running.folder / "mosquitto.conf").read_text()


def test_a_line_that_breaks_while_a_message_is_answered_hangs_nobody(running: Mosquitto) -> None:
    """paho waits for itself if it is made to write, and so to find the line broken, while it calls us."""

    async def test() -> None:
        def answer(topic: str, data: bytes) -> None:
            assert north._socket is not None
            north._socket.shutdown(socket.SHUT_RDWR)
            north.publish("ack/north", b"sounding", qos=0)

        with contextlib.suppress(NotConnected):
            async with (
                Connection(as_("north", running), answer) as north,
                Connection(as_(SERVICE, running), lambda *_: None) as here,
            ):
                await north.subscribe("cmd/north", qos=1)
                here.publish("cmd/north", b"sound", qos=1)
                await north.ended()

    thread = threading.Thread(target=run, args=(test(),), daemon=True)
    thread.start()
    thread.join(10.0)
    assert not thread.is_alive()


def test_what_was_said_to_a_siren_that_was_away_is_not_said_again(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here:
            await until(lambda: not here.sirens.fault)
            async with others_client(as_("north", running)) as north:
                await north.subscribe("cmd/north", qos=1)
            here.sirens.send("north", b"sound")
            async with others_client(as_("north", running)) as north:
                await north.subscribe("cmd/north", qos=1)
                assert await heard(north) == []

    run(test())


def test_not_even_to_a_siren_that_asks_the_broker_to_keep_it(
    running: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Foreign firmware may keep a session: then the broker's expiry ends what waits in it."""
    monkeypatch.setattr(connection, "EXPIRY_S", 1)

    def kept(clean: bool) -> aiomqtt.Client:
        older = {"protocol": aiomqtt.ProtocolVersion.V311, "clean_session": clean}
        return others_client(as_("north", running), **older)

    async def test() -> None:
        async with service(as_(SERVICE, running)) as here:
            await until(lambda: not here.sirens.fault)
            for away_s, expected in ((0.0, [("cmd/north", b"sound")]), (2.5, [])):
                async with kept(clean=False) as client:
                    await client.subscribe("cmd/north", qos=1)
                here.sirens.send("north", b"sound")
                await asyncio.sleep(away_s)
                async with kept(clean=False) as client:
                    assert await heard(client) == expected
            async with kept(clean=True):
                pass

    run(test())


@contextlib.asynccontextmanager
async def with_a_will(at: Broker) -> AsyncIterator[Connection]:
    """A siren's own connection, which may end in any way."""
    with contextlib.suppress(NotConnected):
        async with Connection(at, lambda *_: None, Will("beat/north", b"bye")) as made:
            yield made


def test_the_last_will_comes_at_once_when_a_siren_dies(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here:
            await until(lambda: not here.sirens.fault)
            async with with_a_will(as_("north", running)) as north:
                assert north._socket is not None
                north._socket.shutdown(2)
                await until(lambda: here.received, within_s=1.0)
            assert here.received == [("north", b"bye")]

    run(test())


def test_the_last_will_comes_within_the_keepalive_when_a_siren_falls_silent(
    running: Mosquitto, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_S", 1)

    async def test() -> None:
        async with service(as_(SERVICE, running)) as here:
            await until(lambda: not here.sirens.fault)
            async with with_a_will(as_("north", running)) as north:
                north._pinging.cancel()  # no pings any more; the line stays open
                await until(lambda: here.received, within_s=10.0)
            assert here.received == [("north", b"bye")]

    run(test())


def test_a_siren_that_says_farewell_leaves_no_will(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here:
            await until(lambda: not here.sirens.fault)
            async with with_a_will(as_("north", running)) as north:
                assert north.publish("beat/north", b"alive", qos=0)
                await until(lambda: here.received)
            await asyncio.sleep(0.3)
            assert here.received == [("north", b"alive")]

    run(test())


def test_one_siren_that_says_too_much_is_not_listened_to(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here, others_client(as_("south", running)) as south:
            await until(lambda: not here.sirens.fault)
            async with with_a_will(as_("north", running)) as north:
                for _ in range(500):
                    north.publish("ack/north", b"and again", qos=0)
                await south.publish("ack/south", b"sounding", qos=1)
                await until(lambda: len(here.received) + here.sirens.refused == 501)
            assert here.received.count(("south", b"sounding")) == 1
            assert here.received.count(("north", b"and again")) <= 2 * mqtt.MOST_PER_SECOND

    run(test())


def test_two_that_use_one_name_are_told_so(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here:
            await until(lambda: not here.sirens.fault)
            async with others_client(as_(SERVICE, running)):
                await until(lambda: here.sirens.fault)
                assert here.sirens.fault.endswith(f"another program uses the name '{SERVICE}'")

    run(test())


def test_a_fault_of_our_own_ends_the_connection_and_not_the_way(running: Mosquitto) -> None:
    async def test() -> None:
        heard: list[bytes] = []

        def listen(siren: str, data: bytes, way: str) -> None:
            if data == b"trouble":
                raise ZeroDivisionError("of our own")
            heard.append(data)

        sirens = MqttSirens(as_(SERVICE, running), SIRENS, listen, lambda *_: None)
        task = asyncio.create_task(sirens.run())
        await until(lambda: not sirens.fault)
        async with others_client(as_("north", running)) as north:
            await north.publish("ack/north", b"trouble", qos=1)
            await until(lambda: "ZeroDivisionError" in sirens.fault)
            await until(lambda: not sirens.fault)
            await north.publish("ack/north", b"sounding", qos=1)
            await until(lambda: heard == [b"sounding"])
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    run(test())
