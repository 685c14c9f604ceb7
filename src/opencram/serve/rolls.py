"""When a service's recording is followed by a new one, and how long old ones are kept."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

DAY_NS = 86_400_000_000_000
PATTERN = "recording-*.mcap"
STAMP = "%Y%m%dT%H%M%S"
OVERDUE = 2
"""A roll waits while zones are under warning, until the recording is so many times as long or large as asked for."""


@dataclass(frozen=True)
class Rolling:
    """What is asked for. A restart reads one recording, so that one should not be long."""

    every_s: float = 600.0
    max_bytes: int = 256_000_000
    keep_days: int = 30

    def due(self, age_ns: int, size: int, warned: bool) -> bool:
        """Whether a recording that began `age_ns` ago and has `size` bytes is to be followed by a new one now."""
        times = OVERDUE if warned else 1
        return age_ns >= times * self.every_s * 1e9 or size >= times * self.max_bytes


@dataclass(frozen=True)
class Kept:
    """The recordings of a folder after a sweep, without the one that is being written, and what the sweep did."""

    files: int = 0
    bytes: int = 0
    deleted: tuple[str, ...] = ()
    fault: str = ""


def name_of(now_ns: int, seq: int) -> str:
    """A recording's name by the time and the number of its first tick: it sorts by time."""
    return f"recording-{stamp(now_ns)}-{seq:010d}.mcap"


def stamp(time_ns: int) -> str:
    """A time (UTC) to the second, as names have it."""
    return datetime.fromtimestamp(time_ns // 10**9, UTC).strftime(STAMP)


def sweep(folder: Path, now_ns: int, keep_days: int, writing: str) -> Kept:
    """Delete the recordings that ended longer ago than is asked for; each ends where the next begins.

    The last one, and the one that is being written, stay whatever their age.
    """
    oldest = stamp(max(now_ns - keep_days * DAY_NS, 0))
    paths, deleted, fault = sorted(folder.glob(PATTERN)), [], ""
    for path, following in pairwise(paths):
        if path.name != writing and following.name.split("-")[1] < oldest:
            try:
                path.unlink()
                deleted.append(path.name)
            except OSError as error:
                fault = f"{path}: an old recording cannot be deleted ({error.strerror})"
    left = [path for path in paths if path.name not in deleted and path.name != writing]
    return Kept(len(left), sum(_size(path) for path in left), tuple(deleted), fault)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
