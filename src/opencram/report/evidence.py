"""What a report rests on: the tables of a run folder as NumPy columns, and what the simulated world knows.

Columns carry the names of the contract; times are int64 ns UTC under `time`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from opencram.tables import DefenceNote, Effect, Engagement, FloatArray, Health, Reject, TrackEvent, ZoneWarning

if TYPE_CHECKING:
    import pyarrow as pa

Columns = Mapping[str, NDArray[Any]]

TRACK_COLUMNS = [
    *("time", "track", "status", "model", "class", "debris"),
    *("east_m", "north_m", "up_m", "east_mps", "north_mps", "up_mps"),
]
"""What is read of the largest table."""


class TruthObject(Protocol):
    """What the world knows of an object that was launched."""

    @property
    def id(self) -> str: ...
    @property
    def cls(self) -> str: ...
    @property
    def hostile(self) -> bool: ...
    @property
    def launch_ns(self) -> int: ...
    @property
    def launch_enu_m(self) -> FloatArray: ...
    @property
    def outcome(self) -> str: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def end_enu_m(self) -> FloatArray: ...
    @property
    def undefended_enu_m(self) -> FloatArray: ...
    @property
    def undefended_zones(self) -> Sequence[str]: ...
    @property
    def engaged(self) -> Sequence[int]: ...


class TruthDebris(Protocol):
    """A piece of what was shot down, where and when it came down."""

    @property
    def object(self) -> str: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def end_enu_m(self) -> FloatArray: ...


class TruthRound(Protocol):
    """A round of the simulated defence that came down whole, where and when."""

    @property
    def engagement(self) -> int: ...
    @property
    def end_ns(self) -> int: ...
    @property
    def end_enu_m(self) -> FloatArray: ...


@dataclass(frozen=True)
class RunMeta:
    """What a run was: `kind` is 'simulation' or 'replay', `simulated` whether the inputs were."""

    kind: str
    simulated: bool
    scenario: str | None
    seed: int | None
    digest: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True)
class Decisions:
    """All that was decided or noted in a run, in order."""

    warnings: Sequence[ZoneWarning] = ()
    engagements: Sequence[Engagement] = ()
    effects: Sequence[Effect] = ()
    rejects: Sequence[Reject] = ()
    health: Sequence[Health] = ()
    events: Sequence[TrackEvent] = ()
    defence: Sequence[DefenceNote] = ()


@dataclass(frozen=True)
class Truth:
    """What the simulated world knows; a run on real plots has none."""

    objects: Sequence[TruthObject]
    debris: Sequence[TruthDebris]
    rounds: Sequence[TruthRound] = ()

    @property
    def hostile(self) -> list[TruthObject]:
        """What was sent to do harm: birds and aircraft are not."""
        return [thing for thing in self.objects if thing.hostile]


@dataclass(frozen=True)
class Tables:
    """The tables that a summary and a report read; a table that a run has not is empty."""

    tracks: Columns = field(default_factory=dict)
    impacts: Columns = field(default_factory=dict)
    truth: Columns = field(default_factory=dict)


def read_tables(run_dir: Path) -> Tables:
    """Read what is needed of `tables/*.parquet`."""
    folder = run_dir / "tables"
    return Tables(
        tracks=read_columns(folder / "tracks.parquet", TRACK_COLUMNS),
        impacts=read_columns(folder / "impacts.parquet"),
        truth=read_columns(folder / "truth.parquet"),
    )


def read_columns(path: Path, names: Sequence[str] | None = None) -> Columns:
    """The columns of one Parquet table, or those with these names; none where there is no such file."""
    import pyarrow.parquet as pq

    return columns_of(pq.read_table(path, columns=names)) if path.exists() else {}


def columns_of(table: pa.Table) -> Columns:
    """The columns of an Arrow table as NumPy arrays, times as int64 ns UTC."""
    import pyarrow as pa

    columns: dict[str, NDArray[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        if pa.types.is_timestamp(column.type):
            column = column.cast(pa.timestamp("ns", "UTC")).cast(pa.int64())
        columns[name] = column.to_numpy()
    return columns


def has_rows(columns: Columns) -> bool:
    """Whether a table has any row."""
    return "time" in columns and len(columns["time"]) > 0


def take(columns: Columns, rows: NDArray[Any]) -> Columns:
    """The rows of a mask or an index array."""
    return {name: values[rows] for name, values in columns.items()}


def by_track(columns: Columns) -> dict[int, Columns]:
    """A table's rows by track, tracks in order, each in order of time."""
    if not has_rows(columns):
        return {}
    order = np.lexsort((columns["time"], columns["track"]))
    tracks, starts = np.unique(columns["track"][order], return_index=True)
    parts = np.split(order, starts[1:])
    return {int(track): take(columns, rows) for track, rows in zip(tracks, parts, strict=True)}


LATE_NS = 500_000_000
"""Plots measured this shortly before an object's end may be taken in after it, and their track called debris then."""


def confirmed_tracks(columns: Columns) -> dict[int, Columns]:
    """All rows, by track, of the tracks that were ever confirmed: false plots begin many more that never are."""
    if not has_rows(columns):
        return {}
    confirmed = np.unique(columns["track"][columns["status"] == "confirmed"])
    return by_track(take(columns, np.isin(columns["track"], confirmed)))


def while_whole(tracks: Mapping[int, Columns], ends_ns: Mapping[int, int]) -> dict[int, Columns]:
    """The rows of each track before its object's end, where that is known; tracks without such rows are left out."""
    parts = {
        track: take(rows, rows["time"] <= ends_ns[track] - LATE_NS) if track in ends_ns else rows
        for track, rows in tracks.items()
    }
    return {track: rows for track, rows in parts.items() if len(rows["time"])}
