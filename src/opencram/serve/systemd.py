"""What systemd is told: that the service is ready, that it lives, that it ends. Without systemd nobody is told.

The protocol is a datagram of lines to the socket that NOTIFY_SOCKET names (sd_notify(3)); no library is needed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable


def notify(state: str) -> None:
    """Tell `READY=1`, `WATCHDOG=1` or `STOPPING=1`; never waits, and what cannot be told is let go."""
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.setblocking(False)
        told.sendto(state.encode(), f"\0{where[1:]}" if where.startswith("@") else where)


def watchdog_s() -> float:
    """How often systemd wants to hear that we live: a third of its patience; 0: not at all."""
    try:
        return int(os.environ.get("WATCHDOG_USEC", "0")) / 3e6
    except ValueError:
        return 0.0


async def keep_alive(ticked: Callable[[], int]) -> None:
    """Say that we live as long as ticks go on, for ever; `ticked` rises with each."""
    every_s, last = watchdog_s(), -1
    while every_s > 0:
        await asyncio.sleep(every_s)
        if ticked() != last:
            last = ticked()
            notify("WATCHDOG=1")
