"""The web process: HTTP for operators and machines, the feed for browsers and phones.

It runs beside the pipeline's process, which starts it (`webprocess.WebProcess`) and hands it two sockets: the link, and
the one on which it listens. It decides nothing: what it shows it was told, what an operator asks it hands on. It ends
when the link does.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import uvicorn
from fastapi import FastAPI

from opencram.serve.access.gate import Gate
from opencram.serve.acts import Acts
from opencram.serve.api import app_of
from opencram.serve.door import Door, names_in
from opencram.serve.feed import Feed
from opencram.serve.link import ActReply, Frames, Hello, Ready, ToWeb, frame

READ_BYTES = 256 * 1024
READY_S = 1.0
USER_TIMEOUT_MS = 10_000
"""A peer that takes nothing for so long is cut off by the kernel (TCP_USER_TIMEOUT, RFC 5482)."""
SEND_BUFFER_BYTES = 64 * 1024
"""Little enough that a slow client's pictures wait here, where the newest replaces the older, not in the kernel."""
NICE = 5
"""Below the pipeline: where there are too few processors, the sirens go before those who look."""
PING_S = 10.0
MAX_MESSAGE_BYTES = 1_024
"""The feed takes no messages; a longer one closes the connection unread."""


async def run(link: socket.socket, listening: socket.socket, door: Door) -> None:
    """Serve until the link ends; LinkError if what comes over it is not of its protocol."""
    reader, writer = await asyncio.open_connection(sock=link)
    incoming = _messages(reader)
    hello = await anext(incoming, None)
    if not isinstance(hello, Hello):
        return
    feed = Feed(hello, past=Path(door.state) / "history" if door.state else None)
    acts = Acts(writer.write, feed.now_ns)
    gate = gate_of(door, int(listening.getsockname()[1]))
    names = names_in(Path(door.tls_cert)) if door.tls_cert else []
    reports = Path(door.reports) if door.reports else None
    server = uvicorn.Server(_config(app_of(feed, acts, gate, names, reports), door))
    beside = [asyncio.ensure_future(work) for work in (feed.pulse(), gate.watch(), _report(writer, feed))]
    serving: asyncio.Future[None] | None = None
    try:
        while True:
            if serving is None and feed.seq >= hello.seq:  # not before what stands is whole
                serving = asyncio.ensure_future(server.serve(sockets=[tuned(listening)]))
            message = await anext(incoming, None)
            if message is None:
                return
            acts.hear(message) if isinstance(message, ActReply) else feed.hear(message)
    finally:
        server.should_exit = server.force_exit = True
        for task in beside:
            task.cancel()
        feed.history.close()
        if serving is not None:
            await serving


def gate_of(door: Door, port: int) -> Gate:
    """Who may enter by this door."""
    state = Path(door.state) if door.state else None
    return Gate(Path(door.secrets), state, door.reachable, secure=bool(door.tls_cert), port=port)


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[object]:
    frames = Frames(ToWeb)
    with contextlib.suppress(ConnectionError):  # a pipeline that was killed ends the link too
        while data := await reader.read(READ_BYTES):
            for message in frames.feed(data):
                yield message


async def _report(writer: asyncio.StreamWriter, feed: Feed) -> None:
    """Tell the pipeline now and then that we live, and what came of it."""
    while True:
        writer.write(frame(Ready(clients=len(feed.clients), counts=dict(feed.counts))))
        await asyncio.sleep(READY_S)


def _config(app: FastAPI, door: Door) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="websockets-sansio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
        timeout_graceful_shutdown=1,
        ssl_certfile=door.tls_cert or None,
        ssl_keyfile=door.tls_key or None,
    )


def tuned(listening: socket.socket) -> socket.socket:
    """The socket with what each of its connections inherits from it (Linux): short buffers, and an end to waiting."""
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    return listening


def main(arguments: list[str]) -> None:
    """The web process: file descriptors of the link and of the listening socket, and the `Door` as JSON."""
    link_fd, listen_fd, door = arguments
    os.nice(NICE)
    with contextlib.suppress(AttributeError, OSError):  # not on every system, nor in every container
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))  # never takes the processor from who is at work
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection takes one, and 1,024 is the usual limit
    sockets = socket.socket(fileno=int(link_fd)), socket.socket(fileno=int(listen_fd))
    asyncio.run(run(*sockets, msgspec.json.decode(door, type=Door)))


if __name__ == "__main__":
    main(sys.argv[1:])
