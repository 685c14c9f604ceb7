"""The ways to TAK: datagrams to a host or a group, or one stream to a TAK server that is opened again when it breaks.

Nothing here is waited for and nothing is sent late: what a server does not take now is dropped and counted, for the
whole picture is sent anew every second.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from opencram.errors import InputError

MAX_WAITING_BYTES = 262_144
"""So much may wait for a server; beyond, events are dropped."""
BACK_OFF_S = (0.5, 10.0)
"""The first wait before a stream is opened again, and the longest; it doubles."""
CONNECT_S = 5.0


class TakLink(Protocol):
    """A way to TAK; `unsent` counts the events that were dropped."""

    name: str
    unsent: int

    @property
    def open(self) -> bool:
        """Whether there is a way there now, as far as can be told."""
        ...

    async def run(self) -> None:
        """Keep the way open until cancelled."""
        ...

    def send(self, events: Sequence[bytes]) -> None:
        """Send events; never waits, never raises."""
        ...


def tak_link(url: str) -> TakLink:
    """A way to TAK by its address, `udp://HOST:PORT` or `tcp://HOST:PORT`; InputError for anything else."""
    try:
        found = urlsplit(url)
        host, port, bare = found.hostname, found.port, not (found.path.strip("/") or found.query or found.username)
    except ValueError:
        host, port, bare = None, None, False
    if not (host and port and bare and found.scheme in ("udp", "tcp")):
        raise InputError(f"--tak: found '{url}', expected udp://HOST:PORT or tcp://HOST:PORT")
    return TakDatagrams(host, port) if found.scheme == "udp" else TakStream(host, port)


class TakDatagrams:
    """One datagram an event, to a host or a multicast group (TAK's own is 239.2.3.1:6969)."""

    def __init__(self, host: str, port: int) -> None:
        self.name, self.unsent = f"udp://{host}:{port}", 0
        self._where = (host, port)
        self._socket: socket.socket | None = None

    @property
    def open(self) -> bool:
        """Whether the socket is; whether anybody hears a datagram is not known."""
        return self._socket is not None

    async def run(self) -> None:
        """Open the socket; a name that does not resolve is tried again."""
        wait_s = BACK_OFF_S[0]
        while True:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(*self._where, type=socket.SOCK_DGRAM)
                self._socket = _datagram_socket(found[0][0], found[0][4])
                break
            except OSError:
                await asyncio.sleep(wait_s)
                wait_s = min(2.0 * wait_s, BACK_OFF_S[1])
        try:
            await asyncio.Event().wait()
        finally:
            self._socket.close()
            self._socket = None

    def send(self, events: Sequence[bytes]) -> None:
        """Send events, each in a datagram of its own."""
        for event in events:
            try:
                if self._socket is None:
                    raise OSError("not open")
                self._socket.send(event)
            except OSError:  # nobody there, no way there, or the buffer is full
                self.unsent += 1


class TakStream:
    """A stream to a TAK server (its plain input is port 8087 by custom)."""

    def __init__(self, host: str, port: int) -> None:
        self.name, self.unsent = f"tcp://{host}:{port}", 0
        self._host, self._port = host, port
        self._writer: asyncio.StreamWriter | None = None

    @property
    def open(self) -> bool:
        """Whether the server is connected."""
        return self._writer is not None

    async def run(self) -> None:
        """Keep the stream open: connect, read what the server says and forget it, connect again."""
        wait_s = BACK_OFF_S[0]
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                opening = asyncio.open_connection(self._host, self._port)
                reader, writer = await asyncio.wait_for(opening, CONNECT_S)
                wait_s = BACK_OFF_S[0]
                await self._hold(reader, writer)
            await asyncio.sleep(wait_s)
            wait_s = min(2.0 * wait_s, BACK_OFF_S[1])

    async def _hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._writer = writer
        try:
            while await reader.read(65_536):
                pass
        finally:
            self._writer = None
            writer.transport.abort()

    def send(self, events: Sequence[bytes]) -> None:
        """Write events, as far as the server takes them."""
        for event in events:
            writer = self._writer
            if writer is None or writer.transport.get_write_buffer_size() + len(event) > MAX_WAITING_BYTES:
                self.unsent += 1
            else:
                writer.write(event)


def _datagram_socket(family: int, where: tuple[Any, ...]) -> socket.socket:
    """A socket that sends there and never waits; to a group it sends within the local network, as is the default."""
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setblocking(False)
    made.connect(where)
    return made
