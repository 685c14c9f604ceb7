"""What a service and a software siren say on the terminal: a line each, written by a thread of its own.

A terminal that is stopped, or a pipe that nobody reads, must never hold up a siren.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TextIO

MAX_LINES = 1_000
"""Lines that may wait; beyond, they are dropped and their number is told."""


class Console:
    """Lines with their time (UTC) in front, or a JSON object each: `time`, `message` and what else is told.

    `label` names the service where several share a terminal: in front of a line, or as `site`.
    """

    def __init__(self, out: TextIO | None = None, as_json: bool = False, label: str = "") -> None:
        self._out, self._as_json, self._label = out or sys.stdout, as_json, label
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write, name="console", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Lines that have not been written yet."""
        return self._lines.qsize()

    def say(self, line: str, time_ns: int | None = None, **fields: str | float) -> None:
        """Write a line, with the time in front if it is given; never waits. Only JSON shows the `fields`."""
        if self._as_json:
            stamp = datetime.fromtimestamp((time.time_ns() if time_ns is None else time_ns) / 1e9, UTC)
            fields = {"site": self._label, **fields} if self._label else fields
            told = {"time": stamp.isoformat(timespec="milliseconds"), "message": line.strip(), **fields}
            text = json.dumps(told, ensure_ascii=False)
        else:
            text = line if time_ns is None else f"{clock_of(time_ns)}  {line}"
            text = f"{self._label}  {text}" if self._label else text
        try:
            self._lines.put_nowait(text)
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
            try:
                self._out.write(f"{self._told_of(dropped)}{line}\n")
                self._out.flush()
            except (OSError, ValueError):  # nobody reads: what matters goes on without
                return

    def _told_of(self, dropped: int) -> str:
        if not dropped:
            return ""
        sentence = f"{dropped} lines dropped: the terminal was too slow"
        return f"{json.dumps({'message': sentence, 'dropped': dropped})}\n" if self._as_json else f"({sentence})\n"


def clock_of(time_ns: int) -> str:
    """Hours, minutes, seconds and milliseconds, UTC."""
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%H:%M:%S}.{time_ns // 10**6 % 1_000:03d}"
