"""Sirens over a broker of MQTT 5: how the service and a siren reach it, and what they say there, under which topics.

The broker is trusted with nothing but delivery: messages carry their own signature, and passwords are derived from
tokens, not the tokens themselves. A command is published at quality of service 1 (which tells only that the broker has
it: the siren's own acknowledgement counts), never retained, and forgotten by the broker after ten seconds. So a siren
that was away is told nothing old when it is back; the desk repeats what still stands. Answers and beats need no more
than quality 0: one that gets lost is asked for again, and 400 confirmations less let 200 sirens answer sooner.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import ipaddress
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from opencram.errors import InputError
from opencram.outputs.sirens.connection import Broker, Connection, Will, keep_connected, trusted
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
MOST_PER_SECOND = 100
"""What a siren says beyond is passed over: it is broken, or somebody else."""


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


class MqttSirens:
    """The service's side: a `Transport`. `run` keeps it connected; `fault` says why it is not, or nothing."""

    name = "mqtt"

    def __init__(self, at: Broker, siren_ids: Iterable[str], received: Received, lost: Lost) -> None:
        check_names(siren_ids)
        self.fault = "not yet connected"
        self.unsent = 0
        """Messages that were not handed over, for want of a connection or because too many waited."""
        self.refused = 0
        """Messages that were passed over because their siren said too much."""
        self._at = at
        self._received, self._lost = received, lost
        self._connection: Connection | None = None
        self._heard: dict[str, tuple[float, int]] = {}
        """Who was heard on this connection; since when its present second is, and how much it said in it."""

    def send(self, siren_id: str, data: bytes) -> bool:
        """See `Transport`. One that was not heard since the broker came back is told too: it may be there."""
        sent = self._connection is not None and self._connection.publish(f"{COMMAND}/{siren_id}", data, qos=1)
        self.unsent += not sent
        return sent and siren_id in self._heard

    async def run(self) -> None:
        """Stay connected until cancelled; a broker that is gone is no error, it is `fault`."""
        await keep_connected(self._session, self._fail)

    async def _session(self) -> None:
        async with Connection(self._at, self._take) as connection:
            await connection.subscribe(f"{ACK}/+", f"{BEAT}/+", qos=0)
            self._connection, self.fault = connection, ""
            try:
                await connection.ended()
            finally:
                self._connection = None
                heard, self._heard = self._heard, {}
                for siren_id in heard:
                    self._lost(siren_id, self.name)

    def _take(self, topic: str, data: bytes) -> None:
        siren_id, now_s = topic.partition("/")[2], time.monotonic()
        since_s, count = self._heard.get(siren_id, (now_s, 0))
        self._heard[siren_id] = (now_s, 1) if now_s - since_s > 1.0 else (since_s, count + 1)
        if count > MOST_PER_SECOND:
            self.refused += 1
        else:
            self._received(siren_id, data[: MAX_BYTES + 1], self.name)

    def _fail(self, fault: str) -> None:
        self.fault = fault


async def mqtt_link(runner: Runner, at: Broker) -> None:
    """A siren's side: stay connected to the broker until cancelled, hear commands, answer, and beat."""
    siren_id = runner.device.siren

    async def session() -> None:
        will = Will(f"{BEAT}/{siren_id}", runner.bye())
        async with Connection(at, lambda _, data: runner.received(data[: MAX_BYTES + 1]), will) as connection:
            await connection.subscribe(f"{COMMAND}/{siren_id}", qos=1)
            runner.links["mqtt"] = lambda data: connection.publish(f"{ACK}/{siren_id}", data, qos=0)
            runner.told_of_link("mqtt", "")
            beating = asyncio.create_task(_keep_beating(runner, connection))
            try:
                await connection.ended()
            finally:
                beating.cancel()
                runner.links.pop("mqtt", None)

    await keep_connected(session, lambda fault: runner.told_of_link("mqtt", fault))


async def _keep_beating(runner: Runner, connection: Connection) -> None:
    while True:
        connection.publish(f"{BEAT}/{runner.device.siren}", runner.beat(), qos=0)
        await asyncio.sleep(BEAT_S)
