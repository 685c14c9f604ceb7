"""Recordings: all that went in and came out, in one MCAP file that replays with no other file.

Every message is JSON. `/meta`, `/site` and `/scenario` come first; `/tick` holds a tick's inputs in order, the other
channels what came out of it; `/snapshot` is the whole state in front of a tick, compressed, for a replay that begins
there. A `/site` between two ticks, with a snapshot behind it, says that the site has changed. A file cut anywhere, or
damaged, is read up to there.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar, cast

import msgspec
import numpy as np
import zstandard

from opencram.errors import InputError
from opencram.tables import Input, Outbox, Table, Tracks

T = TypeVar("T")

FORMAT = 1
CHUNK_BYTES = 16 * 1024
"""A file that is cut loses at most this much, uncompressed, or FLUSH_NS of the run's time."""
FLUSH_NS = 800_000_000
"""And the tick that was due then: with ticks ten times a second, less than a second of plots in all."""
RECORD_LIMIT_BYTES = 256 * 1024 * 1024
"""No record of ours comes near; a length beyond it is damage."""
HEAD = ("/meta", "/site", "/scenario")
TABLES = ("plots", "tracks", "hypotheses", "impacts", "threats")
DECISIONS = ("warnings", "engagements", "rejects", "health", "events", "defence")
TOPICS = tuple(dict.fromkeys((*HEAD, "/tick", "/snapshot", "/truth", *(f"/{name}" for name in (*TABLES, *DECISIONS)))))
"""All are told of in the head, so that a reader knows them though it skips the beginning."""
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
LEFT_OUT = {
    "tracks": ("mean", "cov", "born_ns", "plot"),
    "hypotheses": ("mean", "cov", "impact_time_sigma_s", "impact_cov_m2", "launch_enu_m", "launch_cov_m2"),
}
"""Columns not told here: the tables of the run folder hold them, and a replay finds them again."""


class Tick(msgspec.Struct, frozen=True):
    """One turn of the crank: its number, its time and its inputs in order; `truth` are rows of the truth table."""

    seq: int
    now_ns: int
    inbox: list[Input]
    truth: dict[str, Sequence[Any]] | None = None


class Snapshot(msgspec.Struct, frozen=True):
    """The pipeline's saved state in front of the tick `seq`."""

    seq: int
    now_ns: int
    state: bytes


class Begin(msgspec.Struct, frozen=True):
    """Where a replay can begin: the site that holds from here on, and the state in front of the next tick.

    None: the state is that of a run's first tick.
    """

    site_docs: dict[str, str]
    snapshot: Snapshot | None


class Recorder:
    """Writes a recording; use it as a context manager, or call `close`.

    The head reaches the operating system at once, ticks within a second of the run's time.
    """

    def __init__(
        self,
        path: Path,
        meta: Mapping[str, Any],
        site_docs: Mapping[str, str],
        scenario_docs: Mapping[str, str] | None = None,
    ) -> None:
        from mcap.writer import CompressionType, Writer

        self._file = path.open("wb")
        self._writer = cast(Any, Writer(self._file, chunk_size=CHUNK_BYTES, compression=CompressionType.ZSTD))
        self._writer.start(profile="", library="opencram")
        self._channels = {topic: self._channel(topic) for topic in TOPICS}
        self._seq = 0
        self._flushed_ns: int | None = None
        self._put("/meta", 0, {"format": FORMAT, **meta})
        self._put("/site", 0, site_docs)
        if scenario_docs is not None:
            self._put("/scenario", 0, scenario_docs)
        self._writer.flush()

    def inputs(
        self, seq: int, now_ns: int, inbox: list[Input], truth: Mapping[str, Sequence[Any]] | None = None
    ) -> None:
        """Record a tick's inputs, before they are used; `truth` are the world's rows for the truth table."""
        if self._flushed_ns is None or now_ns - self._flushed_ns >= FLUSH_NS:
            self._writer.flush()
            self._flushed_ns = now_ns
        self._seq = seq
        self._put("/tick", now_ns, Tick(seq, now_ns, inbox, None if truth is None else dict(truth)))

    def outputs(self, seq: int, now_ns: int, outbox: Outbox) -> None:
        """Record what came of a tick."""
        self._seq = seq
        for name in TABLES:
            table = getattr(outbox, name)
            if len(table):
                self._put(f"/{name}", now_ns, _columns(name, table))
        for name in DECISIONS:
            for decision in getattr(outbox, name):
                self._put(f"/{name}", now_ns, decision)

    def snapshot(self, seq: int, now_ns: int, state: bytes) -> None:
        """Record the pipeline's saved state as it is in front of tick `seq`, whose time is `now_ns`."""
        self._seq = seq
        self._put("/snapshot", now_ns, Snapshot(seq, now_ns, zstandard.compress(state, 1)))

    def copy(self, topic: str, seq: int, log_ns: int, data: bytes) -> None:
        """Record a message of another recording as it is."""
        self._writer.add_message(self._channels[topic], log_ns, data, log_ns, seq)

    def site(self, seq: int, now_ns: int, site_docs: Mapping[str, str]) -> None:
        """Record that from tick `seq` on another site holds, or another state; its snapshot has to follow."""
        self._seq = seq
        self._put("/site", now_ns, site_docs)

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return self._file.tell()

    def flush(self) -> None:
        """Hand all that was recorded to the operating system: it outlives this process, though not a power cut."""
        self._writer.flush()
        self._file.flush()

    def truth(self, now_ns: int, truth: Mapping[str, Any]) -> None:
        """Record what the simulated world knows at the end."""
        self._put("/truth", now_ns, truth)

    def close(self, sync: bool = False) -> None:
        """Write the file's index and close it; with `sync` it is on the disk then, which may take long."""
        if not self._file.closed:
            self._writer.finish()
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
            self._file.close()

    def abandon(self) -> None:
        """Close the file as it is, where it cannot be finished: it reads as one that was cut."""
        with suppress(OSError):
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _channel(self, topic: str) -> int:
        schema = self._writer.register_schema(f"opencram.{topic[1:]}", "jsonschema", b'{"type": "object"}')
        return int(self._writer.register_channel(topic, "json", schema))

    def _put(self, topic: str, log_ns: int, message: object) -> None:
        self.copy(topic, self._seq, log_ns, msgspec.json.encode(message))


def _columns(name: str, table: Table) -> dict[str, list[Any]]:
    """A table's columns as lists; the tracks' mean and covariance as state and sigmas."""
    left_out = LEFT_OUT.get(name, ())
    columns = {column: values.tolist() for column, values in vars(table).items() if column not in left_out}
    if isinstance(table, Tracks):
        sigma = np.sqrt(np.maximum(np.diagonal(table.cov, axis1=1, axis2=2), 0.0))
        columns["state"], columns["state_sigma"] = np.round(table.mean, 3).tolist(), np.round(sigma, 3).tolist()
    return columns


class Recording:
    """A recording opened for reading: its head at once, its ticks as they are asked for.

    Raises InputError where the file is no recording, or is cut before its site.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.truncated = False
        """Whether the file ended before its end; known once all ticks were read."""
        self.share_read = 0.0
        """How far into the file the last reader came, 0 to 1."""
        self.read_bytes = 0
        """And how many bytes of it were good."""
        self.truth: dict[str, Any] | None = None
        """What the world knew at the end; known once all ticks were read, None where it was not recorded."""
        head = self._read_head()
        if "/site" not in head:
            raise InputError(f"{path}: found a recording cut before its site, expected at least the site in it")
        self.meta = _decoded(path, head.get("/meta", b"{}"), dict[str, Any])
        self.site_docs = _decoded(path, head["/site"], dict[str, str])
        self.scenario_docs = _decoded(path, head["/scenario"], dict[str, str]) if "/scenario" in head else None
        found = self.meta.get("format")
        if found != FORMAT:
            raise InputError(f"{path}: found a recording of format {found}, expected format {FORMAT}")

    def ticks(self, from_seq: int = 0, from_ns: int = 0) -> Iterator[Tick]:
        """The ticks from number `from_seq` on, in order; what lies before `from_ns` may be skipped unread."""
        for topic, seq, _, data in self.messages(from_ns):
            if topic == "/tick" and seq >= from_seq:
                yield _decoded(self.path, data, Tick)
            elif topic == "/truth":
                self.truth = _decoded(self.path, data, dict[str, Any])

    def turns(self, begin: Begin) -> Iterator[Tick | Begin]:
        """The ticks after a beginning, and what begins anew between them."""
        docs, first = None, begin.snapshot
        for topic, seq, _, data in self.messages(first.now_ns if first else 0):
            if topic == "/tick" and (first is None or seq >= first.seq):
                yield _decoded(self.path, data, Tick)
            elif topic == "/site" and (first is None or seq >= first.seq) and seq > 0:
                docs = _decoded(self.path, data, dict[str, str])
            elif topic == "/snapshot" and docs is not None:
                yield Begin(docs, self._snapshot(data))
                docs = None
            elif topic == "/truth":
                self.truth = _decoded(self.path, data, dict[str, Any])

    def begin(self, time_ns: int | None = None) -> Begin:
        """The last beginning in front of a tick whose time is not after `time_ns`; the first where none is given.

        A recording that goes on from another one begins with that one's state, not with the empty one.
        """
        docs: bytes | None = None
        last = None
        for topic, seq, log_ns, data in self.messages():
            if topic == "/tick" and (time_ns is None or log_ns > time_ns):
                break
            if topic == "/site" and seq > 0:
                docs = data
            elif topic == "/snapshot" and (time_ns is None or log_ns <= time_ns or last is None):
                last = data, docs
        if last is None:
            return Begin(self.site_docs, None)
        found, docs = self._snapshot(last[0]), last[1]
        return Begin(_decoded(self.path, docs, dict[str, str]) if docs else self.site_docs, found)

    def _snapshot(self, data: bytes) -> Snapshot:
        found = _decoded(self.path, data, Snapshot)
        if not found.state.startswith(ZSTD_MAGIC):
            return found
        try:
            return msgspec.structs.replace(found, state=zstandard.decompress(found.state))
        except zstandard.ZstdError as error:
            raise InputError(f"{self.path}: found a snapshot that cannot be read ({error})") from None

    def messages(self, from_ns: int = 0) -> Iterator[tuple[str, int, int, bytes]]:
        """Every message up to the file's end or its first fault: topic, sequence, log time, JSON.

        What lies before `from_ns` may be skipped, in whole chunks.
        """
        from mcap.exceptions import McapError
        from mcap.records import Chunk
        from mcap.stream_reader import StreamReader, breakup_chunk

        topics: dict[int, str] = {}
        size = self.path.stat().st_size
        with self.path.open("rb") as file:
            reader = StreamReader(file, emit_chunks=True, validate_crcs=True, record_size_limit=RECORD_LIMIT_BYTES)
            try:
                for record in reader.records:
                    self.share_read = file.tell() / size
                    if not isinstance(record, Chunk):
                        yield from _messages_in([record], topics)
                    elif record.message_end_time >= from_ns or len(topics) < len(TOPICS):
                        yield from _messages_in(breakup_chunk(record, validate_crc=True), topics)
                    self.read_bytes = file.tell()
                self.truncated = False
            except (
                McapError,
                zstandard.ZstdError,
                struct.error,
                ArithmeticError,
                LookupError,
                MemoryError,
                ValueError,
            ):
                self.truncated = True

    def _read_head(self) -> dict[str, bytes]:
        """The messages in front of the first tick."""
        _refuse_other_files(self.path)
        head: dict[str, bytes] = {}
        for topic, _, _, data in self.messages():
            if topic not in HEAD:
                break
            head[topic] = data
        return head


def _messages_in(records: Sequence[Any], topics: dict[int, str]) -> Iterator[tuple[str, int, int, bytes]]:
    """The messages of a chunk; what it says of topics is added to those known."""
    from mcap.records import Channel, Message

    for record in records:
        if isinstance(record, Channel):
            topics[record.id] = record.topic
        elif isinstance(record, Message):
            yield topics[record.channel_id], record.sequence, record.log_time, record.data


def _refuse_other_files(path: Path) -> None:
    from mcap.writer import MCAP0_MAGIC

    try:
        with path.open("rb") as file:
            start = file.read(len(MCAP0_MAGIC))
    except OSError as error:
        raise InputError(f"{path}: found '{error.strerror}', expected a recording that can be read") from None
    if not start:
        raise InputError(f"{path}: found an empty file, expected a recording (MCAP)")
    if not MCAP0_MAGIC.startswith(start):
        raise InputError(f"{path}: found {start!r} at its beginning, expected a recording (MCAP)")


def _decoded(path: Path, data: bytes, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise InputError(
            f"{path}: found a message that cannot be read ({error}), expected an opencram recording"
        ) from None
