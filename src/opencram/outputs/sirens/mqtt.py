"""Sirens over a broker of MQTT 5: how the service and a siren reach it, and what they say there, under which topics.

The broker is trusted with nothing but delivery: messages carry their own signature, and passwords are derived from
tokens, not the tokens themselves. A command is published at quality of service 1 (which tells only that the broker has
it: the siren's own acknowledgement counts), never retained, forgotten by the broker after EXPIRY_S; sessions start
clean. So a siren that was away is told nothing old when it is back; the desk repeats what still stands.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import ipaddress
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt
from paho.mqtt.client import MQTT_ERR_SUCCESS
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from opencram.errors import InputError
from opencram.outputs.sirens.messages import MAX_BYTES
from opencram.outputs.sirens.runner import BEAT_S, Runner
from opencram.outputs.sirens.transport import Lost, Received
from opencram.serve.secrets import read_token, secrets_folder, token

SERVICE, TOKEN = "opencram", "mqtt"
"""The service's name at the broker, in whose access list it stands (no siren may have it), and that of its token."""
COMMAND, ACK, BEAT = "cmd", "ack", "beat"
"""The topics: each has the siren's id below it."""
CA_FILE = "mqtt-ca.crt"
"""The broker's certificate authority lies beside the token: what it has not signed is no broker of ours."""
PORTS = {"mqtts": 8883, "mqtt": 1883}

EXPIRY_S = 10
"""The desk repeats what is not acknowledged far sooner, so what the broker kept for longer is never missed."""
KEEPALIVE_S = 3
"""A broker ends a connection that is silent for one and a half times this (MQTT 5, 3.1.2.10); Mosquitto 2.0 looks for
such every five seconds."""
ANSWER_S = 5.0
BACK_OFF_S = (0.1, 2.0)
"""The first wait before connecting again, and the longest; it doubles while connections end young."""
YOUNG_S = 10.0
MAX_WAITING = 2_000
"""Messages that the broker has not confirmed, and received ones not yet looked at: beyond, they are refused."""

NO_DELAY = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

_quiet = logging.getLogger(__name__)
_quiet.setLevel(logging.CRITICAL)
"""What goes wrong is told by `fault`, once, and not by a library's log line each time."""


def password(secret: bytes) -> str:
    """The password at the broker that goes with a token; the token, which signs messages, cannot be found from it."""
    return base64.urlsafe_b64encode(hmac.digest(secret, b"opencram mqtt password", "sha256")).rstrip(b"=").decode()


def password_lines(siren_ids: Iterable[str]) -> list[str]:
    """A line `name:password` for the service and for each siren, of the tokens in this machine's secrets folder."""
    siren_ids = list(siren_ids)
    check_names(siren_ids)
    tokens = {SERVICE: TOKEN, **{siren_id: f"siren-{siren_id}" for siren_id in siren_ids}}
    return [f"{name}:{password(token(file).encode())}" for name, file in tokens.items()]


def service_broker(url: str) -> Broker:
    """The broker for the service, by the token and the certificate authority in this machine's secrets folder."""
    return broker(url, SERVICE, token(TOKEN).encode(), secrets_folder())


def siren_broker(url: str, siren_id: str, token_file: Path) -> Broker:
    """The broker for a siren, by its token's file and the certificate authority beside it."""
    check_names([siren_id])
    return broker(url, siren_id, read_token(token_file).encode(), token_file.parent)


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and as whom to connect; `tls` is None for one on this machine without it."""

    host: str
    port: int
    user: str
    password: str
    tls: ssl.SSLContext | None

    def client(self, will: aiomqtt.Will | None) -> Client:
        """A new connection, to be entered; each has its own, so that nothing unsent passes from one to the next."""
        return Client(
            self.host,
            self.port,
            username=self.user,
            password=self.password,
            identifier=self.user,
            protocol=aiomqtt.ProtocolVersion.V5,
            clean_start=True,
            keepalive=KEEPALIVE_S,
            timeout=ANSWER_S,
            will=will,
            tls_context=self.tls,
            socket_options=[NO_DELAY],
            max_inflight_messages=MAX_WAITING,
            max_queued_outgoing_messages=MAX_WAITING,
            max_queued_incoming_messages=MAX_WAITING,
            logger=_quiet,
        )


def broker(url: str, user: str, secret: bytes, folder: Path) -> Broker:
    """The broker at `mqtts://HOST[:PORT]`, or at `mqtt://` on this machine; `folder` holds its CA_FILE.

    InputError for another address, and where the certificate authority is missing or none.
    """
    found = f"--mqtt: found '{url}', expected "
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        raise InputError(f"{found}mqtts://HOST:PORT") from None
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.username:
        raise InputError(f"{found}mqtts://HOST:PORT, without a name, a path or a query")
    if parts.scheme == "mqtt" and not _is_this_machine(parts.hostname):
        raise InputError(f"{found}mqtts:// for a broker on another machine: passwords would cross the network in clear")
    tls = trusted(folder / CA_FILE) if parts.scheme == "mqtts" else None
    return Broker(parts.hostname, port, user, password(secret), tls)


def trusted(authority: Path) -> ssl.SSLContext:
    """TLS that takes certificates of this authority alone, with the right name and in their time."""
    try:
        context = ssl.create_default_context(cafile=str(authority))
        context.sslsocket_class = _ClosedWhenRefused
        return context
    except FileNotFoundError:
        raise InputError(f"{authority}: found no such file, expected the certificate authority of the broker") from None
    except (ssl.SSLError, OSError):
        raise InputError(f"{authority}: found no certificate in it, expected that of the broker's authority") from None


class _ClosedWhenRefused(ssl.SSLSocket):
    """The MQTT library forgets a socket whose handshake fails: with a refused broker, one every two seconds."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def check_names(siren_ids: Iterable[str]) -> None:
    """InputError for an id that cannot be a topic, or that is the service's own name."""
    for siren_id in siren_ids:
        if siren_id == SERVICE or set(siren_id) & set("+#/"):
            raise InputError(
                f"site: found a siren '{siren_id}', expected over MQTT an id without + # / and not {SERVICE}"
            )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Client(aiomqtt.Client):
    """aiomqtt's client, and a way to publish that does not wait."""

    def publish_now(self, topic: str, data: bytes) -> bool:
        """Hand a message to the operating system; False where there is no connection or too much waits.

        The library's own `publish` waits for the broker's receipt, which says nothing of the siren.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = EXPIRY_S
        return self._client.publish(topic, data, qos=1, properties=properties).rc == MQTT_ERR_SUCCESS


def said(error: aiomqtt.MqttError | ValueError, at: Broker) -> str:
    """What is wrong with a connection, in a sentence for people."""
    where = f"the broker at {at.host}:{at.port}"
    text = str(error)
    if "certificate verify failed" in text:
        return f"{where} is refused for its certificate: {text.split('failed: ')[-1].split(' (_ssl')[0]}"
    if isinstance(error, aiomqtt.MqttCodeError) and error.rc == 135:  # not authorized: MQTT 5, 3.2.2.2
        return f"{where} refuses the name '{at.user}' or its password"
    if isinstance(error, aiomqtt.MqttCodeError):
        return f"{where} ended the connection ({text.split('] ')[-1]})"
    return f"{where} is not reached ({text})"


async def keep_connected(
    at: Broker,
    will: Callable[[], aiomqtt.Will | None],
    session: Callable[[Client], Awaitable[None]],
    on_fault: Callable[[str], None],
) -> None:
    """Connect, run `session` for as long as the connection lasts, and again, until cancelled.

    `on_fault` is told a sentence whenever a connection fails or ends.
    """
    clock = asyncio.get_running_loop().time
    wait_s = BACK_OFF_S[0]
    while True:
        began_s = clock()
        try:
            async with at.client(will()) as client:
                await session(client)
        except (aiomqtt.MqttError, ValueError) as error:
            on_fault(said(error, at))
        if clock() - began_s > YOUNG_S:
            wait_s = BACK_OFF_S[0]
        await asyncio.sleep(wait_s)
        wait_s = min(2.0 * wait_s, BACK_OFF_S[1])


class MqttSirens:
    """The service's side: a `Transport`. `run` keeps it connected; `fault` says why it is not, or nothing."""

    name = "mqtt"

    def __init__(self, at: Broker, siren_ids: Iterable[str], received: Received, lost: Lost) -> None:
        check_names(siren_ids)
        self.fault = "not yet connected"
        self.unsent = 0
        """Messages that were not handed over, for want of a connection or because too many waited."""
        self._at = at
        self._received, self._lost = received, lost
        self._client: Client | None = None
        self._heard: dict[str, None] = {}

    def send(self, siren_id: str, data: bytes) -> bool:
        """See `Transport`. One that was not heard since the broker came back is told too: it may be there."""
        sent = self._client is not None and self._client.publish_now(f"{COMMAND}/{siren_id}", data)
        self.unsent += not sent
        return sent and siren_id in self._heard

    async def run(self) -> None:
        """Stay connected until cancelled; a broker that is gone is no error, it is `fault`."""
        await keep_connected(self._at, lambda: None, self._session, self._fail)

    async def _session(self, client: Client) -> None:
        await client.subscribe([(f"{ACK}/+", 1), (f"{BEAT}/+", 1)])
        self._client, self.fault = client, ""
        try:
            async for message in client.messages:
                self._take(message)
        finally:
            self._client = None
            heard, self._heard = self._heard, {}
            for siren_id in heard:
                self._lost(siren_id, self.name)

    def _take(self, message: aiomqtt.Message) -> None:
        siren_id = message.topic.value.partition("/")[2]
        if len(self._heard) < MAX_WAITING:
            self._heard[siren_id] = None
        self._received(siren_id, _data(message), self.name)

    def _fail(self, fault: str) -> None:
        self.fault = fault


async def mqtt_link(runner: Runner, at: Broker) -> None:
    """A siren's side: stay connected to the broker until cancelled, hear commands, answer, and beat."""
    siren_id = runner.device.siren

    async def session(client: Client) -> None:
        await client.subscribe(f"{COMMAND}/{siren_id}", qos=1)
        runner.links["mqtt"] = lambda data: client.publish_now(f"{ACK}/{siren_id}", data)
        runner.told_of_link("mqtt", "")
        beating = asyncio.create_task(_keep_beating(runner, client))
        try:
            async for message in client.messages:
                runner.received(_data(message))
        finally:
            beating.cancel()
            runner.links.pop("mqtt", None)

    will = lambda: aiomqtt.Will(f"{BEAT}/{siren_id}", runner.bye(), qos=1)  # noqa: E731
    await keep_connected(at, will, session, lambda fault: runner.told_of_link("mqtt", fault))


async def _keep_beating(runner: Runner, client: Client) -> None:
    while True:
        client.publish_now(f"{BEAT}/{runner.device.siren}", runner.beat())
        await asyncio.sleep(BEAT_S)


def _data(message: aiomqtt.Message) -> bytes:
    """The bytes of a message, of one that is too long no more than shows that it is."""
    return bytes(message.payload[: MAX_BYTES + 1]) if isinstance(message.payload, bytes | bytearray) else b""
