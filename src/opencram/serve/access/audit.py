"""Who did what, from where, when and with which result: a line of JSON each, only ever added to.

No line ever holds a password, a token or a cookie, nor a name that somebody typed and that is no account's: people
type their password into the wrong field.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from opencram.errors import InputError
from opencram.serve.access.limits import Allowance

FILE = "audit.jsonl"
MAX_BYTES = 64 * 1024 * 1024
"""A longer file is put aside under the time of its end, and kept."""
REFUSALS = (60.0, 1.0)
"""Burst and rate at which refusals are written down, so that nobody fills the disk; the next line counts the others."""
MAX_SHOWN = 1_000


class Line(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One thing that was done or refused."""

    time: str
    who: str = ""
    """`user NAME` or `token NAME`; empty: nobody who proved to be anybody."""
    role: str = ""
    address: str = msgspec.field(default="", name="from")
    what: str
    target: str = ""
    result: str
    """`done`, or `refused`."""
    status: int = 0
    """Of HTTP; 0 for what was not asked over it."""
    why: str = ""
    left_out: int = 0
    """Refusals before this line that were not written down."""


class Audit:
    """Writes the lines. `fault` says why not, where it cannot: an alarm does not wait for a disk."""

    def __init__(self, folder: Path | None, now_s: Callable[[], float] = time.time) -> None:
        self._path = None if folder is None else folder / FILE
        self._now_s = now_s
        self._refusals = Allowance(*REFUSALS, REFUSALS[0], now_s())
        self._left_out = 0
        self.counts: dict[str, int] = {}
        self.fault = ""

    def write(self, what: str, result: str, **more: str | int) -> None:
        """Write a line; `more` are the other fields of `Line`."""
        key = f"{what} {result}"
        self.counts[key] = self.counts.get(key, 0) + 1
        now_s = self._now_s()
        if result == "refused" and not self._refusals.take(now_s):
            self._left_out += 1
            return
        left_out, self._left_out = self._left_out, 0
        stamp = datetime.fromtimestamp(now_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = Line(time=stamp, what=what, result=result, left_out=left_out, **more)  # type: ignore[arg-type]
        if self._path is not None:
            self._append(self._path, msgspec.json.encode(line) + b"\n")

    def _append(self, path: Path, data: bytes) -> None:
        try:
            file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(file, data)
                size = os.fstat(file).st_size
            finally:
                os.close(file)
            if size > MAX_BYTES:
                ended = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(self._now_s()))
                path.rename(path.with_name(f"audit-{ended}.jsonl"))
            self.fault = ""
        except OSError as error:
            self.fault = f"what is done is not being written down: {path} ({error.strerror})"

    def last(self, most: int) -> list[Line]:
        """The last lines, oldest first."""
        return [] if self._path is None or not self._path.exists() else list(read_audit(self._path, most))


def read_audit(path: Path, most: int) -> Iterator[Line]:
    """The last lines of a file, oldest first; one that was cut short is left out. InputError if it cannot be read."""
    try:
        with path.open("rb") as file:
            lines = deque(file, most)
    except OSError as error:
        raise InputError(f"{path}: found no log of acts that can be read ({error.strerror})") from None
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=Line)
        except msgspec.MsgspecError:
            continue
