"""What a service keeps on disk, so that a restart goes on where it stopped: recordings, the state, the sirens' orders.

In the folder: `recording-TIME.mcap`, a new one by time and by size, each with the site and a snapshot, so that each
replays alone; `state.bin`, the whole state every few seconds; `desk.bin`, what sirens were told; `sirens.jsonl`, each
command and each answer. A tick that led to a decision, a warning or a simulated engagement, reaches the operating
system before it is acted on: what `kill -9` can take is less than a second of plots. No tick waits for the disk (no
fsync): a power cut may take more, though not of a recording that has been followed by another. The state is copied
between two ticks; it is compressed and written by a thread.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

import msgspec
import zstandard

from opencram import __version__
from opencram.errors import InputError
from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.orders import DeskState, load_desk, save_desk
from opencram.pipeline import step
from opencram.record.recording import Recorder, Recording
from opencram.serve.link import RecordingSeen
from opencram.serve.rolls import PATTERN, Kept, Rolling, name_of, stamp, sweep
from opencram.site import Site
from opencram.stages.threats_to_warnings import WarningsState
from opencram.state import State, load, load_warnings, save, save_warnings
from opencram.tables import Engagement, Input, Outbox, ZoneWarning

STATE_EVERY_NS = 5_000_000_000
TRY_AGAIN_NS = 10_000_000_000
MAX_JOURNAL_BYTES = 64 * 1024 * 1024
"""Then a new journal is begun; the one before it is kept, and no older one."""
BEFORE_PLAY_NS = 1_000_000_000
"""A recording begins before the play that it records, by less than this."""
MAX_LEFT_OUT = 3
"""So many ticks that raise are left out when they are run again; then the state is given up."""
STATE_FILE, DESK_FILE, JOURNAL_FILE, LOCK_FILE = "state.bin", "desk.bin", "sirens.jsonl", "lock"
OLD_JOURNAL_FILE = "sirens.old.jsonl"


class Play(msgspec.Struct, frozen=True):
    """Which simulation was played, and since when."""

    scenario: str
    seed: int
    start_ns: int


class _Saved(msgspec.Struct, frozen=True):
    """The content of state.bin: the state after tick `seq`."""

    version: str
    site: str
    provenance: str
    seq: int
    now_ns: int
    recording: str
    play: Play | None
    state: bytes
    warnings: bytes
    """What zones have been told, once more and by itself: it is taken over where the rest cannot be."""


@dataclass
class Resumed:
    """What an earlier process left; all empty where there was none."""

    state: State | None = None
    stood: WarningsState | None = None
    """Where there is no state: what zones had been told, if that is known."""
    seq: int = 0
    now_ns: int = 0
    play: Play | None = None
    desk: DeskState | None = None
    warnings: list[tuple[int, tuple[ZoneWarning, ...]]] = field(default_factory=list)
    """Those of the ticks that were run again, by the tick's time."""
    orders: dict[int, tuple[Engagement, ...]] = field(default_factory=dict)
    """All engagements that were ordered since the play began and are still recorded, by the tick's time."""
    note: str = ""


class Keeper:
    """The folder of one service; a second service is refused. Use `close` at the end."""

    def __init__(self, folder: Path, site: Site, provenance: Provenance, rolling: Rolling | None = None) -> None:
        self.folder, self.site, self.provenance = folder, site, provenance
        self.rolling = rolling or Rolling()
        self.kept, self.deleted = Kept(), 0
        """The earlier recordings, and how many were deleted for their age since the start."""
        self.news: deque[str] = deque(maxlen=100)
        """What is to be said in the log, a sentence each."""
        self.seq, self.now_ns = 0, 0
        self.play: Play | None = None
        self._site_digest = _digest_of(site)
        self._lock = _locked(folder)
        self._recorder: Recorder | None = None
        self._recording, self._began_ns, self._saved_ns = "", 0, 0
        self._meta: dict[str, object] = {}
        self._scenario_docs: Mapping[str, str] | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="keep")
        self._writing: Future[None] | None = None
        self._desk = self._desk_written = b""
        self.fault = ""
        """Why nothing is recorded, a sentence; empty: all is."""
        self._failed_ns = 0
        self._journal: IO[bytes] = (folder / JOURNAL_FILE).open("ab")

    # ---- starting -------------------------------------------------------------------------------------------------

    def resume(self) -> Resumed:
        """What the last process left: its state, with the ticks run again that were recorded after it was saved."""
        kept = self._read_kept()
        if isinstance(kept, str):
            found = Resumed(note=kept)
        elif others := self._others(kept):
            found = self._without_state(kept, f"{self.folder / STATE_FILE}: found the state of another {others}")
        else:
            found = self._run_again(kept)
        found.desk = self._read_desk() if found.state is not None else None
        self.seq, self.now_ns = found.seq, found.now_ns
        return found

    def again(self) -> Resumed:
        """The state in front of the tick that was recorded last: its step raised, and it is left out."""
        with self._or_without():
            if self._recorder is not None:
                self._recorder.flush()
        if self.fault:
            return Resumed(note=self.fault)
        self._writer.submit(int).result()  # what is being written is written
        kept = self._read_kept()
        return Resumed(note=kept) if isinstance(kept, str) else self._run_again(kept, frozenset([self.seq]))

    def _read_kept(self) -> _Saved | str:
        """The content of state.bin, or why it is not used; nothing is said where there is none."""
        path = self.folder / STATE_FILE
        try:
            kept = msgspec.msgpack.decode(zstandard.decompress(path.read_bytes()), type=_Saved)
        except FileNotFoundError:
            return ""
        except (OSError, zstandard.ZstdError, msgspec.DecodeError):
            return f"{path}: found a file that cannot be read; the state begins anew, zones that were alerted are not"
        if kept.provenance != self.provenance.name:
            what = "kind (an exercise, or one in earnest)"
            return f"{path}: found the state of another {what}; it begins anew, zones that were alerted are not"
        return kept

    def _others(self, kept: _Saved) -> str:
        """What the state is another's of; nothing if it is this service's."""
        others = {"version": kept.version != __version__, "site": kept.site != self._site_digest}
        return ", of another ".join(name for name, differs in others.items() if differs)

    def _without_state(self, kept: _Saved, why: str) -> Resumed:
        """Nothing of what was in the air, and of what zones had been told all that this site still has."""
        try:
            stood = load_warnings(kept.warnings)
        except msgspec.DecodeError:
            return Resumed(note=f"{why}; it begins anew, zones that were alerted are not")
        known = {zone.id for zone in self.site.zones}
        stood.zones = {zone: told for zone, told in stood.zones.items() if zone in known}
        return Resumed(stood=stood, now_ns=kept.now_ns, note=f"{why}; tracks begin anew, zones stay under warning")

    def _run_again(self, kept: _Saved, left_out: frozenset[int] = frozenset()) -> Resumed:
        """The kept state, and the ticks after it through the same step; one that raises is left out."""
        try:
            found = Resumed(state=load(kept.state), seq=kept.seq, now_ns=kept.now_ns, play=kept.play)
        except (msgspec.DecodeError, ValueError, TypeError):
            return self._without_state(kept, f"{self.folder / STATE_FILE}: found a state that cannot be loaded")
        assert found.state is not None
        for path in self._recordings(kept.recording):
            for tick in Recording(path).ticks(kept.seq + 1, kept.now_ns):
                if tick.seq in left_out:
                    continue
                try:
                    outbox = step(found.state, tick.inbox, tick.now_ns, self.site)
                except Exception:
                    if len(left_out) >= MAX_LEFT_OUT:
                        return self._without_state(kept, f"{path}: found ticks that cannot be worked out")
                    return self._run_again(kept, left_out | {tick.seq})
                found.seq, found.now_ns = tick.seq, tick.now_ns
                if outbox.warnings:
                    found.warnings.append((tick.now_ns, outbox.warnings))
        found.orders = self._orders(found.play)
        return found

    def _recordings(self, oldest: str) -> list[Path]:
        """The recordings from one on, by its name; one that was cut before its site holds nothing."""
        return [p for p in sorted(self.folder.glob(PATTERN)) if p.name >= oldest and _has_site(p)]

    def _orders(self, play: Play | None) -> dict[int, tuple[Engagement, ...]]:
        """What the simulated defence was ordered since the play began, by the tick's time."""
        orders: dict[int, tuple[Engagement, ...]] = {}
        for path in self._recordings(f"recording-{stamp(play.start_ns - BEFORE_PLAY_NS)}") if play else []:
            for topic, _, log_ns, data in Recording(path).messages(play.start_ns if play else 0):
                if topic == "/engagements":
                    orders[log_ns] = (*orders.get(log_ns, ()), msgspec.json.decode(data, type=Engagement))
        return orders

    def _read_desk(self) -> DeskState | None:
        try:
            return load_desk((self.folder / DESK_FILE).read_bytes())
        except (OSError, msgspec.DecodeError):
            return None

    def begin(
        self, state: State, now_ns: int, play: Play | None = None, scenario_docs: Mapping[str, str] | None = None
    ) -> None:
        """Open the first recording and keep the state as it is now."""
        self.play, self.now_ns, self._scenario_docs = play, max(now_ns, self.now_ns), scenario_docs
        self._meta = {
            "version": __version__,
            "scenario": play.scenario if play else None,
            "seed": play.seed if play else None,
            "simulated": self.provenance is Provenance.SIMULATION,
            "defended": state.defended,
            "service": True,
        }
        with self._or_without():
            self._open(state, now_ns)
            self._write_state(self._packed(state))

    # ---- ticks ----------------------------------------------------------------------------------------------------

    def inputs(self, now_ns: int, inbox: list[Input]) -> None:
        """Record what a tick begins with, before it is stepped."""
        self.seq, self.now_ns = self.seq + 1, now_ns
        with self._or_without():
            if self._recorder is not None:
                self._recorder.inputs(self.seq, now_ns, inbox)

    def outputs(self, outbox: Outbox) -> None:
        """Record what came of the tick; if there are decisions, they have left this process on return."""
        with self._or_without():
            if self._recorder is not None:
                self._recorder.outputs(self.seq, self.now_ns, outbox)
                if outbox.warnings or outbox.engagements:
                    self._recorder.flush()

    def journal(self, lines: list[dict[str, object]]) -> None:
        """Note what sirens were told and what they answered."""
        with self._or_without():
            if self._journal.tell() > MAX_JOURNAL_BYTES:
                self._journal.close()
                os.replace(self.folder / JOURNAL_FILE, self.folder / OLD_JOURNAL_FILE)
                self._journal = (self.folder / JOURNAL_FILE).open("ab")
            self._journal.write(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
            self._journal.flush()

    @contextmanager
    def _or_without(self) -> Iterator[None]:
        """A disk that is full must not silence a siren: the recording is given up, and tried again later."""
        try:
            yield
        except OSError as error:
            self.fault = f"{self.folder}: nothing can be written ({error.strerror}); it goes on without recording"
            if self._recorder is not None:
                self._recorder.abandon()
            self._recorder, self._failed_ns = None, self.now_ns

    def desk(self, state: DeskState) -> None:
        """Keep the orders; written by a thread, the newest only."""
        self._desk = save_desk(state)
        self._writer.submit(self._write_desk)

    def rest(self, state: State) -> None:
        """What can be done between two ticks: keep the state every few seconds, roll the recording."""
        if self._recorder is None:
            due = self.now_ns - self._failed_ns >= TRY_AGAIN_NS
        else:
            warned = bool(state.warnings.zones)
            due = self.rolling.due(self.now_ns - self._began_ns, self._recorder.size, warned)
        if due:
            with self._or_without():
                self._open(state, self.now_ns)
                self.fault = ""
        if self.now_ns - self._saved_ns >= STATE_EVERY_NS and (self._writing is None or self._writing.done()):
            self.save(state)

    @property
    def seen(self) -> RecordingSeen:
        """How it stands with the recordings."""
        return RecordingSeen(
            writing=self._recorder is not None,
            bytes=self._recorder.size if self._recorder is not None else 0,
            files=self.kept.files,
            kept_bytes=self.kept.bytes,
            deleted=self.deleted,
        )

    def anew(self, state: State, site: Site | None = None) -> None:
        """Begin a recording at once: the state is not what its ticks lead to, or another site holds from here on.

        The state is on its way to the disk first: a restart finds it beside its own site.
        """
        if site is not None:
            self.site, self._site_digest = site, _digest_of(site)
        if site is not None or self.now_ns - self._began_ns >= TRY_AGAIN_NS:
            with self._or_without():
                self._open(state, self.now_ns)
        self.save(state)
        if site is not None and self._writing is not None:
            with self._or_without():
                self._writing.result()

    def save(self, state: State) -> None:
        """Keep the state after the tick that was taken last."""
        self._saved_ns = self.now_ns
        self._writing = self._writer.submit(self._write_state, self._packed(state))

    def close(self, state: State, desk: DeskState) -> None:
        """Keep all and close."""
        self.desk(desk)
        with self._or_without():
            self._writer.submit(self._write_state, self._packed(state)).result()
            if self._recorder is not None:
                self._recorder.close()
        with self._or_without():
            self._journal.close()
        self._writer.shutdown()
        self._lock.close()

    def _open(self, state: State, now_ns: int) -> None:
        """Begin a recording, and have the one before finished, and old ones deleted, by the thread."""
        if self._recorder is not None:
            self._writer.submit(_finish, self._recorder)
        self._recording = name_of(now_ns, self.seq + 1)
        self._recorder = Recorder(self.folder / self._recording, self._meta, self.site.documents(), self._scenario_docs)
        self._recorder.snapshot(self.seq + 1, now_ns, save(state))
        self._recorder.flush()
        self._began_ns = now_ns
        self._writer.submit(self._sweep, now_ns, self._recording)

    def _sweep(self, now_ns: int, writing: str) -> None:
        self.kept = sweep(self.folder, now_ns, self.rolling.keep_days, writing)
        self.deleted += len(self.kept.deleted)
        if self.kept.deleted:
            old, days = self.kept.deleted, self.rolling.keep_days
            self.news.append(f"recordings older than {days} days: deleted {len(old)}, {old[0]} to {old[-1]}")

    def _packed(self, state: State) -> _Saved:
        return _Saved(
            version=__version__,
            site=self._site_digest,
            provenance=self.provenance.name,
            seq=self.seq,
            now_ns=self.now_ns,
            recording=self._recording,
            play=self.play,
            state=save(state),
            warnings=save_warnings(state.warnings),
        )

    def _write_state(self, kept: _Saved) -> None:
        _replace(self.folder / STATE_FILE, zstandard.compress(msgspec.msgpack.encode(kept), 1))

    def _write_desk(self) -> None:
        data = self._desk
        if data is not self._desk_written:
            _replace(self.folder / DESK_FILE, data)
            self._desk_written = data


def _has_site(path: Path) -> bool:
    try:
        return bool(Recording(path).site_docs)
    except InputError:
        return False


def _digest_of(site: Site) -> str:
    return hashlib.sha256(msgspec.json.encode(site.documents(), order="sorted")).hexdigest()


def _finish(recorder: Recorder) -> None:
    """Close a recording for good; where that cannot be, it reads as one that was cut."""
    try:
        recorder.close(sync=True)
    except OSError:
        recorder.abandon()


def _replace(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    made = path.with_suffix(".new")
    made.write_bytes(data)
    os.replace(made, path)


def _locked(folder: Path) -> IO[str]:
    """The folder, made if need be, for this process alone; released when the process ends, however it does."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK_FILE).open("w")
    except OSError as error:
        raise InputError(f"--record: found {folder}, in which nothing can be written ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InputError(f"--record: found {folder} in use by another service, expected a folder of its own") from None
    return lock
