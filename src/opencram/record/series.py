"""Recordings that follow one another, as a service makes them: the folder of them reads like one file.

Each begins with its site and the state that the ones before it led to, so that a reader can begin with any of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from opencram.errors import InputError
from opencram.record.recording import Begin, Recording, Tick

PATTERN = "*.mcap"


class Series:
    """The recordings of a folder by name, which is by time, or one file; `from_ns` and `to_ns` choose among them.

    InputError where there is none that can be read, or where they are of more than one kind: a simulation never runs
    on into what was in earnest.
    """

    def __init__(self, path: Path, from_ns: int | None = None, to_ns: int | None = None) -> None:
        self.path, self._from_ns = path, from_ns
        self.unreadable: list[str] = []
        """Files that hold no site, a sentence each."""
        self.recordings = self._chosen(path, to_ns) if path.is_dir() else [Recording(path)]
        kinds = {(r.meta.get("simulated", False), r.meta.get("defended", False)) for r in self.recordings}
        if len(kinds) > 1:
            raise InputError(
                f"{path}: found recordings of simulations and others side by side, expected one kind: "
                "choose a part with --from and --to, or one file"
            )
        self.first = self.recordings[0]
        self._reading = self.first
        self._scale = 1.0 / len(self.recordings)

    @property
    def truncated(self) -> list[Path]:
        """Those found cut or damaged, once they were read."""
        return [recording.path for recording in self.recordings if recording.truncated]

    @property
    def share_read(self) -> float:
        """How far the reading has come, 0 to 1."""
        return (self.recordings.index(self._reading) + self._reading.share_read) * self._scale

    def begin(self) -> Begin:
        """Where to begin for the time asked for."""
        return self.first.begin(self._from_ns)

    def turns(self, begin: Begin) -> Iterator[Tick | Begin]:
        """All ticks after a beginning in the first recording, and in front of each further recording how it begins."""
        for recording in self.recordings:
            self._reading = recording
            if recording is not self.first:
                begin = recording.begin()
                yield begin
            yield from recording.turns(begin)

    def _chosen(self, folder: Path, to_ns: int | None) -> list[Recording]:
        """The recordings that hold the time asked for, the first of them at its beginning or before it."""
        paths = sorted(folder.glob(PATTERN))
        begun = self._from_ns
        at = 0 if begun is None else _last_before(paths, begun)
        found: list[Recording] = []
        for path in paths[at:]:
            try:
                recording = Recording(path)
            except InputError as error:
                self.unreadable.append(str(error))
                continue
            if to_ns is not None and found and (_first_ns(path) or 0) > to_ns:
                break
            found.append(recording)
        if not found:
            raise InputError(f"{folder}: found no recording that can be read, expected {PATTERN}")
        return found


def _last_before(paths: list[Path], time_ns: int) -> int:
    """The last recording that begins at a time or before it; 0 where all begin later. One that cannot be read does."""
    low, high = 0, len(paths)
    while low < high:
        middle = (low + high) // 2
        begun = _first_ns(paths[middle])
        if begun is not None and begun > time_ns:
            high = middle
        else:
            low = middle + 1
    at = max(0, low - 1)
    while at > 0 and _first_ns(paths[at]) is None:
        at -= 1
    return at


def _first_ns(path: Path) -> int | None:
    """The time of the first snapshot or tick; None where there is none."""
    try:
        messages = Recording(path).messages()
    except InputError:
        return None
    return next((log_ns for topic, _, log_ns, _ in messages if topic in ("/snapshot", "/tick")), None)
