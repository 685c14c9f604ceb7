"""Sirens over a real Mosquitto set up as in deploy/: who may say and hear what, and by which certificate."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import os
import shutil
import signal
import ssl
import subprocess
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

import mqtt_field
from mosquitto import Mosquitto, as_, mosquitto, needs_mosquitto, others_client, token_of
from mqtt_field import SIRENS, heard, run, service, until
from opencram.errors import InputError
from opencram.outputs.sirens import mqtt
from opencram.outputs.sirens.connection import Broker
from opencram.outputs.sirens.mqtt import SERVICE, MqttSirens, broker
from peers.mosquitto import PATH, SETUP, made_up

pytestmark = needs_mosquitto
running, own = mqtt_field.running, mqtt_field.own


# ---- who may say and hear what ----------------------------------------------------------------------------------


def test_a_command_reaches_its_siren_and_the_answer_comes_back(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here, others_client(as_("north", running)) as north:
            await north.subscribe("cmd/north", qos=1)
            await until(lambda: not here.sirens.fault)
            assert not here.sirens.send("north", b"sound")  # not heard of yet, but told all the same
            assert await heard(north) == [("cmd/north", b"sound")]
            await north.publish("ack/north", b"sounding", qos=1)
            await north.publish("beat/north", b"alive", qos=0)
            await until(lambda: len(here.received) == 2)
            assert here.received == [("north", b"sounding"), ("north", b"alive")]
            assert here.sirens.send("north", b"sound")
            assert not here.sirens.send("south", b"sound")
            assert here.sirens.unsent == 0

    run(test())


def test_a_siren_hears_nothing_that_others_are_told(running: Mosquitto) -> None:
    async def test() -> None:
        async with (
            service(as_(SERVICE, running)) as here,
            others_client(as_("north", running)) as north,
            others_client(as_("south", running)) as south,
        ):
            for topic in ("#", "cmd/#", "cmd/+", "cmd/south", "ack/+", "beat/+", "$SYS/#"):
                await north.subscribe(topic, qos=1)
            await south.subscribe("cmd/south", qos=1)
            await until(lambda: not here.sirens.fault)
            here.sirens.send("south", b"for the south alone")
            await south.publish("ack/south", b"sounding", qos=1)
            assert await heard(south) == [("cmd/south", b"for the south alone")]
            assert await heard(north) == []
            here.sirens.send("north", b"for the north")
            assert {*await heard(north)} == {("cmd/north", b"for the north")}  # so it did listen

    run(test())


def test_a_siren_cannot_speak_in_anothers_name_nor_command_one(running: Mosquitto) -> None:
    async def test() -> None:
        async with (
            service(as_(SERVICE, running)) as here,
            others_client(as_("north", running)) as north,
            others_client(as_("south", running)) as south,
        ):
            await north.subscribe("cmd/north", qos=1)
            await until(lambda: not here.sirens.fault)
            for topic in ("ack/north", "beat/north", "cmd/north", "ack/south/north", "cmd/south"):
                await south.publish(topic, b"forged", qos=1)
            await south.publish("ack/south", b"its own", qos=1)
            await until(lambda: here.received)
            assert here.received == [("south", b"its own")]
            assert await heard(north) == []

    run(test())


def test_a_siren_cannot_take_anothers_connection(running: Mosquitto) -> None:
    async def test() -> None:
        async with others_client(as_("north", running)) as north:
            await north.subscribe("cmd/north", qos=1)
            async with (
                others_client(as_("south", running), identifier="north"),
                service(as_(SERVICE, running)) as here,
            ):
                await until(lambda: not here.sirens.fault)
                here.sirens.send("north", b"sound")
                assert await heard(north) == [("cmd/north", b"sound")]

    run(test())


def test_not_even_the_service_can_leave_a_command_behind(running: Mosquitto) -> None:
    """The broker refuses retained messages, so that no siren can find one on connecting."""

    async def test() -> None:
        with pytest.raises(aiomqtt.MqttError):
            async with others_client(as_(SERVICE, running)) as here:
                await here.publish("cmd/north", b"sound for ever", qos=1, retain=True, timeout=1.0)
        async with others_client(as_("north", running)) as north:
            await north.subscribe("cmd/north", qos=1)
            assert await heard(north) == []

    run(test())


@pytest.mark.parametrize(("name", "secret"), [("north", "south"), ("stranger", "stranger"), (SERVICE, "north")])
def test_a_wrong_password_is_refused_and_said(running: Mosquitto, name: str, secret: str) -> None:
    async def test() -> None:
        at = broker(running.url, name, token_of(secret), running.folder)
        async with service(at) as here:
            await until(lambda: here.sirens.fault != "not yet connected")
            where = f"the broker at 127.0.0.1:{running.port}"
            assert here.sirens.fault == f"{where} refuses the name '{name}' or its password"
            here.sirens.send("north", b"sound")
            assert here.sirens.unsent == 1

    run(test())


def test_nobody_connects_without_a_password_or_without_tls(running: Mosquitto) -> None:
    async def test() -> None:
        at = as_("north", running)
        for changes in ({"username": None, "password": None}, {"tls_context": None}, {"password": ""}):
            arguments: dict[str, Any] = {"username": at.user, "password": at.password, "tls_context": at.tls, **changes}
            with pytest.raises(aiomqtt.MqttError):
                async with aiomqtt.Client(at.host, at.port, timeout=2.0, **arguments):
                    pass

    run(test())


def test_what_is_too_big_costs_the_sender_alone_its_connection(running: Mosquitto) -> None:
    async def test() -> None:
        async with service(as_(SERVICE, running)) as here, others_client(as_("north", running)) as north:
            await until(lambda: not here.sirens.fault)
            with pytest.raises(aiomqtt.MqttError):
                async with others_client(as_("south", running)) as south:
                    await south.publish("ack/south", b"x" * 20_000, qos=1, timeout=1.0)
            await north.publish("ack/north", b"x" * 10_000, qos=1)
            await until(lambda: here.received)
            assert [(siren, len(data)) for siren, data in here.received] == [("north", 2_049)]

    run(test())


# ---- certificates -----------------------------------------------------------------------------------------------


def fault_of(at: Broker) -> str:
    """What the service says after its first attempt."""
    said: list[str] = []

    async def test() -> None:
        async with service(at) as here:
            await until(lambda: here.sirens.fault != "not yet connected")
            said.append(here.sirens.fault)

    run(test())
    return said[0]


def test_a_certificate_out_of_date_is_refused_and_said() -> None:
    with mosquitto(*SIRENS, days=-1) as late:
        assert fault_of(as_(SERVICE, late)) == (
            f"the broker at 127.0.0.1:{late.port} is refused for its certificate: certificate has expired"
        )


def test_a_broker_of_another_authority_is_refused(running: Mosquitto) -> None:
    with mosquitto(*SIRENS) as other:
        shutil.copy(running.folder / mqtt.CA_FILE, other.folder / mqtt.CA_FILE)
        assert "is refused for its certificate: " in fault_of(as_(SERVICE, other))


def test_a_broker_under_a_name_that_is_not_in_its_certificate_is_refused() -> None:
    with mosquitto(*SIRENS, address="127.0.0.2") as there:
        fault = fault_of(dataclasses.replace(as_(SERVICE, there), host="127.0.0.2"))
    assert "is refused for its certificate: IP address mismatch" in fault


def test_the_certificates_pass_the_strict_rules_of_newer_pythons(running: Mosquitto) -> None:
    at = as_(SERVICE, running)
    assert at.tls is not None
    at.tls.verify_flags |= ssl.VERIFY_X509_STRICT

    async def test() -> None:
        async with others_client(at):
            pass

    run(test())


def test_set_up_again_it_keeps_its_authority_names_and_address(tmp_path: Path) -> None:
    def set_up(*sirens: str, **settings: str) -> tuple[bytes, str, str]:
        environment = {**os.environ, "PATH": PATH, **settings}
        subprocess.run(
            ["sh", str(SETUP), str(tmp_path)],
            input=made_up(sirens), text=True, check=True, capture_output=True, env=environment,
        )  # fmt: skip
        certificate = subprocess.run(
            ["openssl", "x509", "-in", str(tmp_path / "server.crt"), "-noout", "-ext", "subjectAltName"],
            text=True, check=True, capture_output=True,
        )  # fmt: skip
        return (tmp_path / mqtt.CA_FILE).read_bytes(), certificate.stdout, (tmp_path / "mosquitto.conf").read_text()

    first = set_up("north", NAMES="broker.site 10.0.0.7 fe80::7", ADDRESS="0.0.0.0", PORT="18883")
    assert set_up("north", "south") == first
    assert "DNS:broker.site, IP Address:10.0.0.7, IP Address:FE80:0:0:0:0:0:0:7" in first[1]
    assert "\nlistener 18883 0.0.0.0\n" in first[2]
    assert [x.partition(":")[0] for x in (tmp_path / "passwords").read_text().split()] == [SERVICE, "north", "south"]
    assert set_up("north", PORT="8883")[2] == first[2].replace("18883", "8883")


def test_a_reload_lets_a_new_siren_in_an_old_password_out_and_renews_the_certificate() -> None:
    def certificate(at: Mosquitto) -> str:
        return ssl.get_server_certificate(("127.0.0.1", at.port))

    async def is_let_in(name: str, at: Mosquitto) -> bool:
        with contextlib.suppress(aiomqtt.MqttError):
            async with others_client(as_(name, at)):
                return True
        return False

    async def test(at: Mosquitto) -> None:
        assert not await is_let_in("east", at)
        before = certificate(at)
        environment = {**os.environ, "PATH": PATH}
        arguments = ["sh", str(SETUP), str(at.folder)]
        subprocess.run(arguments, input=made_up(["east", "south"]), text=True, check=True, env=environment)
        assert at.process is not None
        async with others_client(as_("south", at)) as south:
            at.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.5)
            assert await is_let_in("east", at)
            assert not await is_let_in("north", at)
            assert certificate(at) != before
            await south.publish("beat/south", b"alive", qos=1)  # who is known stays connected

    with mosquitto(*SIRENS) as at:
        run(test(at))


@pytest.mark.parametrize(
    ("lines", "names", "expected"),
    [
        ("", "", "setup.sh: found no line 'opencram:PASSWORD' on standard input"),
        (made_up(["north"]), "10.0.0.777", "setup.sh: found NAMES='10.0.0.777'"),
    ],
)
def test_a_set_up_that_fails_leaves_all_as_it_was(own: Mosquitto, lines: str, names: str, expected: str) -> None:
    def in_force() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in own.folder.iterdir() if path.is_file() and path.name != "log"}

    before = in_force()
    environment = {**os.environ, "PATH": PATH, "NAMES": names}
    ended = subprocess.run(
        ["sh", str(SETUP), str(own.folder)], input=lines, text=True, capture_output=True, check=False, env=environment
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert ended.stderr.startswith(expected)
    assert in_force() == before


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtts://host:99999", "expected mqtts://HOST:PORT"),
        ("http://host", "expected mqtts://HOST:PORT"),
        ("mqtts://", "expected mqtts://HOST:PORT"),
        ("mqtts://somebody@host", "without a name"),
        ("mqtt://10.0.0.7", "passwords would cross the network in clear"),
        ("mqtts://10.0.0.7", "mqtt-ca.crt: found no such file"),
    ],
)
def test_a_wrong_address_is_refused_in_one_sentence(url: str, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found") as refused:
        broker(url, SERVICE, token_of(SERVICE), tmp_path)
    assert expected in str(refused.value)


def test_a_file_that_is_no_authority_is_refused(tmp_path: Path) -> None:
    (tmp_path / mqtt.CA_FILE).write_text("nothing")
    with pytest.raises(InputError, match="found no certificate in it"):
        broker("mqtts://localhost", SERVICE, token_of(SERVICE), tmp_path)


@pytest.mark.parametrize("siren", ["a+b", "#", SERVICE])
def test_a_siren_whose_id_cannot_be_a_topic_is_refused(siren: str, running: Mosquitto) -> None:
    with pytest.raises(InputError, match="expected over MQTT an id"):
        MqttSirens(as_(SERVICE, running), [siren], lambda *_: None, lambda *_: None)
