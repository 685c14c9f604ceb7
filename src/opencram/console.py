"""What a service and a software siren say on the terminal: a line each, written by a thread of its own.

A terminal that is stopped, or a pipe that nobody reads, must never hold up a siren.
"""

from __future__ import annotations

import queue
import sys
import threading
from datetime import UTC, datetime
from typing import TextIO

MAX_LINES = 1_000
"""Lines that may wait; beyond, they are dropped and their number is told."""


class Console:
    """Lines with their time (UTC) in front."""

    def __init__(self, out: TextIO | None = None) -> None:
        self._out = out or sys.stdout
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    def say(self, line: str, time_ns: int | None = None) -> None:
        """Write a line, with the time in front if it is given; never waits."""
        stamp = "" if time_ns is None else f"{clock_of(time_ns)}  "
        try:
            self._lines.put_nowait(stamp + line)
        except queue.Full:
            self._dropped += 1

    def close(self) -> None:
        """Write what is left, within a second."""
        try:
            self._lines.put(None, timeout=1.0)
        except queue.Full:
            return
        self._thread.join(1.0)

    def _write(self) -> None:
        while (line := self._lines.get()) is not None:
            dropped, self._dropped = self._dropped, 0
            more = f"({dropped} lines dropped: the terminal was too slow)\n" if dropped else ""
            try:
                self._out.write(f"{more}{line}\n")
                self._out.flush()
            except (OSError, ValueError):  # nobody reads: what matters goes on without
                return


def clock_of(time_ns: int) -> str:
    """Hours, minutes, seconds and milliseconds, UTC."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%H:%M:%S}.{time_ns // 10**6 % 1_000:03d}"
