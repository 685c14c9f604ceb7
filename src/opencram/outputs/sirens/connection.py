"""A connection to a broker of MQTT 5, on the event loop: what is published has left when the call returns.

The protocol is paho's; the loop is ours, because a command must be on the wire before the tick goes on with anything
else. Each connection is a new client, so that nothing unsent passes from one to the next; sessions start clean.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from paho.mqtt.client import MQTT_ERR_SUCCESS, Client, MQTTMessage, MQTTv5
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from opencram.errors import InputError

EXPIRY_S = 10
"""The desk repeats what is not acknowledged far sooner, so what the broker kept for longer is never missed."""
KEEPALIVE_S = 3
"""A broker ends a connection that is silent for one and a half times this (MQTT 5, 3.1.2.10); Mosquitto 2.0 looks for
such every five seconds."""
ANSWER_S = 5.0
BACK_OFF_S = (0.1, 1.0)
"""The first wait before connecting again, and the longest; it doubles while connections end young."""
YOUNG_S = 10.0
MAX_WAITING = 2_000
"""Messages at quality of service 1 that the broker has not confirmed; beyond, they are refused."""
AT_ONCE = 100
"""So many messages are read before others on the loop have their turn."""
NO_DELAY = True
"""TCP_NODELAY; without it a command waits for the acknowledgement of the packet before it, up to 40 ms."""

UNSPECIFIED, NOT_AUTHORIZED = 128, 135  # MQTT 5, 2.4
OnMessage = Callable[[str, bytes], object]

_quiet = logging.getLogger(__name__)
_quiet.setLevel(logging.CRITICAL)
"""What goes wrong is told once, in a sentence, and not by a library's log line each time."""


class NotConnected(Exception):
    """A connection cannot be made or has ended: a sentence for people."""


@dataclass(frozen=True)
class Broker:
    """Where the broker is, and as whom to connect; `tls` is None for one on this machine without it."""

    host: str
    port: int
    user: str
    password: str
    tls: ssl.SSLContext | None


@dataclass(frozen=True)
class Will:
    """What the broker says in the name of a connection that ends without a farewell."""

    topic: str
    data: bytes


class Connection:
    """One connection: an async context; `ended` tells when it is over. Its calls belong to the loop it was made on."""

    def __init__(self, at: Broker, on_message: OnMessage, will: Will | None = None) -> None:
        self._at, self._on_message = at, on_message
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: asyncio.Future[None] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._socket: socket.socket | None = None
        self._calling = False
        """Paho is calling us: it must not be made to write meanwhile, or it waits for itself."""
        self._client = self._made(will)

    def _made(self, will: Will | None) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, self._at.user, protocol=MQTTv5, reconnect_on_failure=False)
        client.enable_logger(_quiet)
        client.username_pw_set(self._at.user, self._at.password)
        if self._at.tls is not None:
            client.tls_set_context(self._at.tls)
        if will is not None:
            client.will_set(will.topic, will.data, qos=1)
        client.max_inflight_messages_set(MAX_WAITING)
        client.max_queued_messages_set(MAX_WAITING)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_disconnect = self._on_disconnect
        client.on_socket_close = self._on_socket_close
        client.on_message = self._on_any_message
        return client

    async def __aenter__(self) -> Connection:
        opening = self._loop.run_in_executor(None, self._open)  # looking up a name and TLS's handshake may take long
        try:
            self._socket = await asyncio.shield(opening)
        except ssl.SSLCertVerificationError as error:
            raise self._not(f"is refused for its certificate: {error.verify_message}") from None
        except (OSError, ValueError) as error:
            raise self._not(f"is not reached ({getattr(error, 'strerror', None) or error})") from None
        except asyncio.CancelledError:
            opening.add_done_callback(self._let_go)
            raise
        self._loop.add_reader(self._socket, self._read)
        self._pinging = self._loop.create_task(self._ping())
        try:
            await self._answered(self._connected)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    def _open(self) -> socket.socket:
        """Connect, on another thread: nothing here touches the loop."""
        self._client.connect(self._at.host, self._at.port, KEEPALIVE_S, clean_start=True)
        made = self._client.socket()
        if not isinstance(made, socket.socket):
            raise OSError("it ended the connection at once")
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(NO_DELAY))
        return made

    async def __aexit__(self, *_: object) -> None:
        """Say farewell, without which the broker would publish the will."""
        self._pinging.cancel()
        if not self._ended.cancel():
            self._ended.exception()
        self._client.disconnect()
        self._drop()
        with suppress(asyncio.CancelledError):
            await self._pinging

    async def subscribe(self, *topics: str, qos: int) -> None:
        """Hear of these topics from now on, at this quality of service at most."""
        self._client.subscribe([(topic, qos) for topic in topics])
        await self._answered(self._subscribed)

    def publish(self, topic: str, data: bytes, qos: int) -> bool:
        """Hand a message to the operating system; False where there is no connection or too much waits.

        At `qos` 0 nothing confirms it, and only the keepalive bounds what may wait.
        """
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.MessageExpiryInterval = EXPIRY_S
        sent = self._client.publish(topic, data, qos, properties=properties).rc == MQTT_ERR_SUCCESS
        self._write_on()
        return sent

    async def ended(self) -> None:
        """Wait until the connection has ended; raises NotConnected."""
        await asyncio.shield(self._ended)

    async def _answered(self, what: asyncio.Future[None]) -> None:
        done, _ = await asyncio.wait((what, self._ended), timeout=ANSWER_S, return_when=asyncio.FIRST_COMPLETED)
        if not done:
            raise self._not(f"has not answered within {ANSWER_S:g} s")
        done.pop().result()

    def _not(self, why: str) -> NotConnected:
        return NotConnected(f"the broker at {self._at.host}:{self._at.port} {why}")

    # ---- the socket -----------------------------------------------------------------------------------------------

    def _read(self) -> None:
        for _ in range(AT_ONCE):
            if self._client.loop_read() != MQTT_ERR_SUCCESS or not self._more():
                break
        else:
            self._loop.call_soon(self._read)  # TLS may hold what the socket no longer shows
        self._write_on()

    def _more(self) -> bool:
        held = self._client.socket()
        return isinstance(held, ssl.SSLSocket) and held.pending() > 0

    def _write_on(self) -> None:
        """Write what paho has queued; what the socket does not take is written when it does."""
        if self._calling:
            return
        if self._client.want_write():
            self._client.loop_write()
        if self._socket is not None:
            if self._client.want_write():
                self._loop.add_writer(self._socket, self._write_on)
            else:
                self._loop.remove_writer(self._socket)

    async def _ping(self) -> None:
        while self._client.loop_misc() == MQTT_ERR_SUCCESS:
            self._write_on()
            await asyncio.sleep(KEEPALIVE_S / 3)

    def _drop(self) -> None:
        held = self._client.socket()
        if isinstance(held, socket.socket):
            self._on_socket_close()
            held.close()

    def _let_go(self, opening: asyncio.Future[socket.socket]) -> None:
        """Nobody waits any more for a connection that is being made."""
        if opening.exception() is None:
            self._drop()

    # ---- what paho calls ------------------------------------------------------------------------------------------

    def _on_connect(self, client: object, data: object, flags: object, reason: ReasonCode, more: object) -> None:
        if not reason.is_failure:
            _settle(self._connected)
        elif reason.value == NOT_AUTHORIZED:
            self._end(f"refuses the name '{self._at.user}' or its password")
        else:
            self._end(f"refuses the connection ({reason})")

    def _on_subscribe(
        self, client: object, data: object, mid: int, reasons: Sequence[ReasonCode], more: object
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            self._end(f"refuses a topic ({reasons[0]})")
        _settle(self._subscribed)

    def _on_disconnect(self, client: object, data: object, flags: object, reason: ReasonCode, more: object) -> None:
        if reason.value == UNSPECIFIED:  # so paho calls a connection that was closed without a word
            self._end(f"closed the connection: it went down, or another program uses the name '{self._at.user}'")
        else:
            self._end(f"ended the connection ({reason})")

    def _on_socket_close(self, client: object = None, data: object = None, closing: object = None) -> None:
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket = None

    def _on_any_message(self, client: object, data: object, message: MQTTMessage) -> None:
        self._calling = True
        try:
            self._on_message(message.topic, bytes(message.payload))
        except Exception as error:  # else paho would be left in the middle of a packet
            self._end_with(error)
        finally:
            self._calling = False

    def _end(self, why: str) -> None:
        self._end_with(self._not(why))

    def _end_with(self, error: Exception) -> None:
        self._loop.call_soon_threadsafe(_settle, self._ended, error)  # while it connects, paho is on another thread


def _settle(future: asyncio.Future[None], error: Exception | None = None) -> None:
    """The first word counts."""
    if future.done():
        return
    if error is None:
        future.set_result(None)
    else:
        future.set_exception(error)


async def keep_connected(make: Callable[[], Awaitable[None]], on_fault: Callable[[str], None]) -> None:
    """Call `make`, which connects and stays, again and again, until cancelled.

    `on_fault` is told a sentence whenever a connection cannot be made or has ended.
    """
    clock = asyncio.get_running_loop().time
    wait_s = BACK_OFF_S[0]
    while True:
        began_s = clock()
        try:
            await make()
        except NotConnected as error:
            on_fault(str(error))
        except Exception as error:  # a fault of ours must not end this way to the sirens
            on_fault(f"a fault in what came from the broker: {error!r}")
        if clock() - began_s > YOUNG_S:
            wait_s = BACK_OFF_S[0]
        await asyncio.sleep(wait_s)
        wait_s = min(2.0 * wait_s, BACK_OFF_S[1])


def trusted(authority: Path) -> ssl.SSLContext:
    """TLS that takes certificates of this authority alone, with the right name and in their time."""
    try:
        context = ssl.create_default_context(cafile=str(authority))
    except FileNotFoundError:
        raise InputError(f"{authority}: found no such file, expected the certificate authority of the broker") from None
    except ssl.SSLError:
        raise InputError(f"{authority}: found no certificate in it, expected that of the broker's authority") from None
    except OSError as error:
        raise InputError(f"{authority}: found a file that cannot be read ({error.strerror})") from None
    context.sslsocket_class = _ClosedWhenRefused
    return context


class _ClosedWhenRefused(ssl.SSLSocket):
    """paho forgets a socket whose handshake fails: with a refused broker, one a second."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise
