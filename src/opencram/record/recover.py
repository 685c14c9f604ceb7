"""A recording that was cut or damaged, made whole as far as it can be read, and what it has lost."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opencram.errors import InputError
from opencram.record.recording import HEAD, Recorder, Recording

LOCK = "lock"
"""In a service's folder: held by the service as long as it runs."""
DAMAGED = ".damaged"


@dataclass(frozen=True)
class Recovered:
    """What was kept of a recording and what was lost; `out` is the whole one, None where nothing had to be done."""

    ticks: int
    first_ns: int
    last_ns: int
    kept_bytes: int
    lost_bytes: int
    out: Path | None

    @property
    def sentence(self) -> str:
        """The same for people."""
        span = f" from {_iso(self.first_ns)} to {_iso(self.last_ns)}" if self.ticks else ""
        if self.out is None:
            return f"whole, with {self.ticks} ticks{span}; nothing to do"
        if not self.lost_bytes:
            return f"kept all {self.ticks} ticks{span}; only the file's end was missing"
        size = self.kept_bytes + self.lost_bytes
        return f"kept {self.ticks} ticks{span}; lost the last {self.lost_bytes} of {size} bytes"


def recover(path: Path, out: Path | None = None) -> Recovered:
    """Write what can be read of a recording as a whole one: to `out`, or in its place, with the old one beside it.

    What lies behind the first fault is lost: a tick can only be worked out after all before it. InputError where not
    even the site can be read, `out` is there already, or a running service is writing the recording.
    """
    recording = Recording(path)
    if out is not None and out.exists():
        raise InputError(f"--out {out}: found a file, expected a new one")
    if out is None and _is_being_written(path):
        raise InputError(f"{path}: found a recording that a running service writes, expected another or --out FILE")
    made = out or path.with_suffix(".recovered")
    try:
        ticks, first_ns, last_ns = _copy(recording, made)
        lost = path.stat().st_size - recording.read_bytes
        if not recording.truncated:
            made.unlink()
            return Recovered(ticks, first_ns, last_ns, recording.read_bytes, 0, None)
        if out is None:
            os.replace(path, path.with_name(path.name + DAMAGED))
            os.replace(made, path)
    except OSError as error:
        raise InputError(f"{made}: found '{error.strerror}', expected a file that can be written") from None
    return Recovered(ticks, first_ns, last_ns, recording.read_bytes, lost, out or path)


def _copy(recording: Recording, to: Path) -> tuple[int, int, int]:
    """All messages as they are; how many ticks they are, and the first's and the last's time."""
    ticks, first_ns, last_ns = 0, 0, 0
    with Recorder(to, recording.meta, recording.site_docs, recording.scenario_docs) as recorder:
        for topic, seq, log_ns, data in recording.messages():
            if topic in HEAD and seq == 0:
                continue
            recorder.copy(topic, seq, log_ns, data)
            if topic == "/tick":
                ticks, first_ns, last_ns = ticks + 1, first_ns or log_ns, log_ns
    return ticks, first_ns, last_ns


def _is_being_written(path: Path) -> bool:
    """Whether it is the newest recording in the folder of a service that runs."""
    if path.name != max((other.name for other in path.parent.glob("*.mcap")), default=""):
        return False
    try:
        with (path.parent / LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False


def _iso(time_ns: int) -> str:
    return f"{np.datetime64(time_ns, 'ns').astype('datetime64[ms]')}Z"
