"""Sirens over WebSocket: the way that needs no broker. The service listens, a siren connects to `/ID` and beats."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote
from zlib import crc32

from opencram.outputs.sirens.messages import MAX_BYTES
from opencram.outputs.sirens.runner import BEAT_S, Runner

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response

MAX_CONNECTIONS = 4
"""Of one siren at a time, so that a half-dead one does not keep the siren out; the oldest is closed for one more."""
MAX_UNPROVEN = 100
"""Connections beyond those that the sirens may have; one more is refused."""
FIRST_BEAT_S = 3.0
"""A connection that has not proved within this time whose it is, is closed."""
MOST_PER_SECOND = 100
"""A siren that says more is cut off: it is broken, or somebody else."""
MAX_BUFFER = 64 * 1024
"""Bytes that may wait for a siren that does not take them; then it is cut off, and told again when it is back."""
BACK_OFF_S = (0.1, 2.0)
"""First and longest wait of a siren before it connects again; it doubles, and differs from siren to siren."""
NO_ANSWER_S = 7.0
"""A siren that hears nothing from the service for so long connects anew."""


class WebSocketSirens:
    """The service's side: a `Transport`. `received` must say whether it believed the message."""

    name = "websocket"

    def __init__(
        self,
        siren_ids: Collection[str],
        received: Callable[[str, bytes, str], bool],
        lost: Callable[[str, str], object],
    ) -> None:
        self.refused = 0
        """Connections that were refused or cut off."""
        self.unsent = 0
        self._ids, self._received, self._lost = frozenset(siren_ids), received, lost
        self._open: dict[str, list[ServerConnection]] = {}
        self._server: Server | None = None

    async def start(self, listening: socket.socket, tls: ssl.SSLContext | None = None) -> None:
        """Take connections from a listening socket, over TLS where that is given."""
        from websockets.asyncio.server import serve

        self._server = await serve(
            self._talk,
            sock=listening,
            ssl=tls,
            process_request=self._screen,
            max_size=MAX_BYTES,
            compression=None,
            ping_interval=None,  # beats do it
            open_timeout=FIRST_BEAT_S,
            close_timeout=1.0,
            logger=_quiet(),
        )

    async def stop(self) -> None:
        """Close all connections."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def send(self, siren_id: str, data: bytes) -> bool:
        """See `Transport`."""
        from websockets.asyncio.connection import broadcast

        open_now = self._open.get(siren_id, [])
        for connection in open_now:
            if connection.transport.get_write_buffer_size() > MAX_BUFFER:
                self.refused += 1
                connection.transport.abort()
        broadcast(open_now, data.decode())  # writes to the socket at once
        self.unsent += not open_now
        return bool(open_now)

    def connected(self) -> int:
        """Sirens that are connected."""
        return len(self._open)

    def _screen(self, connection: ServerConnection, request: Request) -> Response | None:
        most = MAX_CONNECTIONS * len(self._ids) + MAX_UNPROVEN
        full = self._server is not None and len(self._server.connections) >= most
        if _id_in(request.path) in self._ids and not full:
            return None
        self.refused += 1
        if full:
            return connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "Too many connections.\n")
        return connection.respond(HTTPStatus.NOT_FOUND, "No siren of this site has this id.\n")

    async def _talk(self, connection: ServerConnection) -> None:
        """One connection: nothing is sent on it before its first message has proved whose it is."""
        from websockets.exceptions import ConnectionClosed

        assert connection.request is not None
        siren = _id_in(connection.request.path)
        _send_at_once(connection.transport)
        with suppress(ConnectionClosed):
            try:
                first = await asyncio.wait_for(connection.recv(), FIRST_BEAT_S)
            except TimeoutError:
                self.refused += 1
                await connection.close(4408, "no beat")
                return
            open_now = self._open.setdefault(siren, [])
            open_now.append(connection)
            if self._received(siren, _bytes(first), self.name):
                if len(open_now) > MAX_CONNECTIONS:
                    open_now.pop(0).transport.abort()
                await self._listen(siren, connection)
            else:  # it was never the siren's: nothing of the siren is lost with it
                self._remove(siren, connection)
                self.refused += 1
                await connection.close(4401, "not this siren's token")
        if self._remove(siren, connection):
            self._lost(siren, self.name)

    async def _listen(self, siren: str, connection: ServerConnection) -> None:
        loop = asyncio.get_running_loop()
        second, count = loop.time(), 0
        async for data in connection:
            if loop.time() - second > 1.0:
                second, count = loop.time(), 0
            count += 1
            if count > MOST_PER_SECOND:
                self.refused += 1
                await connection.close(4429, "too many messages")
                return
            self._received(siren, _bytes(data), self.name)

    def _remove(self, siren: str, connection: ServerConnection) -> bool:
        """Take a connection out; whether it was the siren's last."""
        open_now = self._open.get(siren, [])
        if connection in open_now:
            open_now.remove(connection)
        return not open_now and self._open.pop(siren, None) is not None


async def websocket_link(runner: Runner, address: str) -> None:
    """A siren's side: stay connected to the service at `address` (`ws://HOST:PORT/`) until cancelled."""
    wait_s = BACK_OFF_S[0]
    spread = 0.75 + 0.5 * (crc32(runner.device.siren.encode()) % 1_000) / 1_000
    while True:
        heard = runner.pulsed_ns
        fault = await _one_connection(runner, f"{address.rstrip('/')}/{quote(runner.device.siren, safe='')}")
        runner.told_of_link("websocket", fault)
        wait_s = BACK_OFF_S[0] if runner.pulsed_ns != heard else min(2 * wait_s, BACK_OFF_S[1])
        await asyncio.sleep(wait_s * spread)


async def _one_connection(runner: Runner, address: str) -> str:
    """One connection for as long as it lasts; why it ended."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import WebSocketException

    try:
        async with connect(
            address, max_size=MAX_BYTES, compression=None, ping_interval=None, open_timeout=FIRST_BEAT_S,
            close_timeout=0.5, proxy=None, logger=_quiet(),
        ) as connection:  # fmt: skip
            _send_at_once(connection.transport)
            await connection.send(runner.beat().decode())
            runner.links["websocket"] = lambda data: _write(connection, data)
            runner.told_of_link("websocket", "")
            beating = asyncio.create_task(_keep_beating(runner, connection))
            try:
                while True:
                    runner.received(_bytes(await asyncio.wait_for(connection.recv(), NO_ANSWER_S)))
            finally:
                beating.cancel()
                runner.links.pop("websocket", None)
    except TimeoutError:
        return f"nothing heard for {NO_ANSWER_S:g} s"
    except (OSError, WebSocketException) as error:
        return str(error) or type(error).__name__


async def _keep_beating(runner: Runner, connection: Any) -> None:  # noqa: ANN401
    while True:
        await asyncio.sleep(BEAT_S)
        _write(connection, runner.beat())


def _write(connection: Any, data: bytes) -> None:  # noqa: ANN401
    """Hand a message to the operating system at once."""
    from websockets.asyncio.connection import broadcast

    broadcast([connection], data.decode())


def _send_at_once(transport: asyncio.Transport) -> None:
    """No waiting for more to send (Nagle), which costs up to 40 ms against a delayed acknowledgement."""
    made = transport.get_extra_info("socket")
    if made is not None and made.family in (socket.AF_INET, socket.AF_INET6):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _id_in(path: str) -> str:
    return unquote(path.partition("?")[0]).strip("/")


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _quiet() -> Any:  # noqa: ANN401
    """What goes wrong is counted and told once, not by a library's log line each time."""
    import logging

    logger = logging.getLogger("opencram.sirens.websocket")
    logger.setLevel(logging.CRITICAL)
    return logger
