"""The tables of a run folder: everything that a run saw, thought and decided, as Parquet for other tools.

Times are `timestamp[ns, UTC]`, angles degrees, positions the site origin's east-north-up; a value that is not known is
null. Rows are ordered by time, then by track (or what else tells rows apart).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from opencram.physics.frames import Origin, enu_to_geodetic
from opencram.physics.threats import ballistic_ids, catalogue
from opencram.tables import (
    MODEL_NAMES,
    STATUS_NAMES,
    Engagement,
    FloatArray,
    Hypotheses,
    Impacts,
    Outbox,
    Plots,
    Threats,
    Tracks,
    ZoneWarning,
)

# Arrow's own allocator keeps what it has freed, some 50 MB in a raid; it reads this once, when it is first used.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

if TYPE_CHECKING:
    import pyarrow as pa

    from opencram.site import Site

Columns = dict[str, Any]

ROWS_AT_ONCE = 40_000
"""Rows of a table kept in memory; more go to its file as the run goes on, so that an hour takes no more than a raid."""
HOLD_NS = 60_000_000_000
"""Rows this close to the newest wait, so that those still to come can be sorted in; no plot is used so late."""

AXES = ("east", "north", "up")
_STATE = [f"{axis}_m" for axis in AXES] + [f"{axis}_mps" for axis in AXES]
_LETTERS = ("e", "n", "u", "ve", "vn", "vu")
_STATE_COV = {
    (i, j): f"cov_{_LETTERS[i]}{_LETTERS[j]}_{('m2', 'm2ps', 'm2ps2')[(i > 2) + (j > 2)]}"
    for i in range(6)
    for j in range(i, 6)
}
_ENDS = ["impact_time", "impact_time_sigma_s", "impact_east_m", "impact_north_m"]
_COV = ["cov_ee_m2", "cov_en_m2", "cov_nn_m2"]
_LAUNCH_COV = [f"launch_{name}" for name in _COV]

COLUMNS: dict[str, list[str]] = {
    "plots": [
        *("time", "received", "sensor", "scan", "range_m", "azimuth_deg", "elevation_deg"),
        *("range_rate_mps", "snr_db", "rcs_dbsm"),
    ],
    "truth": ["time", "object", "class", *_STATE],
    "tracks": [
        *("time", "track", "status", "model", "n_plots", "existence", "p_ballistic", "class", "debris", "born"),
        *(*_STATE, "ln_beta", *_STATE_COV.values(), "var_ln_beta"),
    ],
    "hypotheses": [
        *("time", "track", "class", "weight", *_STATE, "ln_beta", *_ENDS, *_COV),
        *("launch_east_m", "launch_north_m", *_LAUNCH_COV),
    ],
    "impacts": [
        *("time", "track", "n_plots", "class", *(f"p_{name}" for name in ballistic_ids())),
        *("impact_time", "impact_time_sigma_s", "impact_lat", "impact_lon", "impact_east_m", "impact_north_m", *_COV),
        *("launch_lat", "launch_lon", "launch_east_m", "launch_north_m", *_LAUNCH_COV, "ballistic_coefficient_kgpm2"),
    ],
    "threats": ["time", "track", "zone", "class", "p_hit", "impact_time", "debris"],
    "warnings": ["time", "zone", "state", "tracks", "p_hit", "seconds_left", "kind", "reason", "raid", "sources"],
    "engagements": [
        *("time", "engagement", "effector", "track", "zone", "range_m", "p_kill", "intercept_time"),
        *("east_m", "north_m", "up_m", "reason"),
    ],
}
"""Every table that is written, with its columns in order; `truth` in a simulation only."""
_TEXT = {"sensor", "object", "class", "status", "model", "zone", "state", "kind", "reason", "effector"}
_WHOLE = {"track", "scan", "n_plots", "engagement", "raid"}
_TIMES = {"time", "received", "born", "impact_time", "intercept_time"}
_KEYS = {"plots": "sensor", "truth": "object", "warnings": None}
"""What orders a table's rows of one time; `track` where nothing stands here. Else they stay in the order of arrival."""


def schema_of(table: str) -> pa.Schema:
    """The Arrow types of a table's columns."""
    import pyarrow as pa

    def kind(name: str) -> pa.DataType:
        if name in _TIMES:
            return pa.timestamp("ns", "UTC")
        if name in _TEXT:
            return pa.string()
        if name in _WHOLE:
            return pa.int64()
        if name == "tracks":
            return pa.list_(pa.int64())
        if name == "sources":
            return pa.list_(pa.string())
        return pa.bool_() if name == "debris" else pa.float64()

    return pa.schema([(name, kind(name)) for name in COLUMNS[table]])


class TableWriter:
    """Collects the tables of a run and writes them.

    With `spill` (a folder) rows go to unfinished files there as the run goes on; without, all are kept in memory.
    `only` names the tables that are collected.
    """

    def __init__(self, site: Site, spill: Path | None = None, only: Collection[str] = tuple(COLUMNS)) -> None:
        self._view = _View.of(site)
        columns_of: dict[str, Callable[[list[Any]], Columns]] = {
            "plots": lambda parts: _plots(Plots.concat(parts), self._view),
            "truth": _truth,
            "tracks": lambda parts: _tracks(Tracks.concat(parts), self._view),
            "hypotheses": lambda parts: _hypotheses(Hypotheses.concat(parts), self._view),
            "impacts": lambda parts: _impacts(parts, self._view),
            "threats": lambda parts: _threats(Threats.concat(parts), self._view),
            "warnings": _decisions,
            "engagements": _decisions,
        }
        self._spools = {name: _Spool(name, columns_of[name], spill) for name in COLUMNS if name in only}
        self._as_they_are = [name for name in self._spools if name not in ("truth", "impacts")]
        self._truth_known = False

    def add(self, outbox: Outbox) -> None:
        """Take in what came of the next tick."""
        for name in self._as_they_are:
            part = getattr(outbox, name)
            self._spools[name].add(part, len(part))
        if len(outbox.impacts):
            chances = _class_chances(outbox.impacts, outbox.hypotheses)
            self._spools["impacts"].add((outbox.impacts, chances), len(outbox.impacts))

    def add_truth(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Take in rows of the truth, which only a simulation knows: `time_ns` and the other columns of `truth`."""
        self._truth_known = True
        self._spools["truth"].add(columns, len(columns["time_ns"]))

    def change_site(self, site: Site) -> None:
        """From here on rows tell zones and sensors by the numbers of another site."""
        for spool in self._spools.values():
            spool.pack()
        self._view = _View.of(site)

    def table(self, name: str) -> pa.Table:
        """All rows of a table that has not spilled, in order."""
        return self._spools[name].in_order()

    def write(self, folder: Path) -> None:
        """Put every table into `folder`, each at once and whole."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, spool in self._spools.items():
            if name != "truth" or self._truth_known:
                spool.close(folder)

    def discard(self) -> None:
        """Take away what was spilled; after `write` it does nothing."""
        for spool in self._spools.values():
            spool.discard()


@dataclass
class _Spool:
    """One table on its way to its file: parts as they came, then Arrow tables, then row groups in order."""

    PARTS_AT_ONCE: ClassVar[int] = 512

    name: str
    columns_of: Callable[[list[Any]], Columns]
    spill: Path | None
    _parts: list[Any] = field(default_factory=list)
    _tables: list[Any] = field(default_factory=list)
    _rows: int = 0
    _full: int = field(default_factory=lambda: ROWS_AT_ONCE)
    """With how many rows it spills: those that must wait on are not sorted again until as many more have come."""
    _writer: Any = None
    _unfinished: Path | None = None

    def add(self, part: object, rows: int) -> None:
        if not rows:
            return
        self._parts.append(part)
        self._rows += rows
        if len(self._parts) >= self.PARTS_AT_ONCE:
            self.pack()
        if self._rows >= self._full and self.spill is not None:
            self._spill(self.spill)

    def in_order(self) -> pa.Table:
        """The rows in memory, ordered."""
        import pyarrow as pa

        self.pack()
        table = pa.concat_tables([schema_of(self.name).empty_table(), *self._tables]).combine_chunks()
        key = _KEYS.get(self.name, "track")
        columns = [table[name].cast(pa.int64()) if name == "time" else table[name] for name in ("time", key) if name]
        order = np.lexsort([column.to_numpy() for column in reversed(columns)])
        return table if (np.diff(order) == 1).all() else table.take(order)

    def close(self, folder: Path) -> None:
        self._append(self.in_order(), self.spill or folder)
        self._writer.close()
        if self._unfinished is not None:
            self._unfinished.replace(folder / f"{self.name}.parquet")
        self._writer = self._unfinished = None

    def discard(self) -> None:
        if self._writer is not None:
            self._writer.close()
        if self._unfinished is not None:
            self._unfinished.unlink(missing_ok=True)

    def pack(self) -> None:
        """Turn the parts, each a handful of small arrays, into one Arrow table."""
        import pyarrow as pa

        if self._parts:
            columns = self.columns_of(self._parts)
            schema = schema_of(self.name)
            arrays = [pa.array(columns[f.name], f.type, from_pandas=True) for f in schema]
            self._tables.append(pa.Table.from_arrays(arrays, schema=schema))
            self._parts = []

    def _spill(self, folder: Path) -> None:
        """Write what no row to come can precede; the rest waits on."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self.in_order()
        time_ns = table["time"].cast(pa.int64())
        ready = pc.sum(pc.less(time_ns, pc.max(time_ns).as_py() - HOLD_NS)).as_py()
        self._append(table.slice(0, ready), folder)
        self._tables, self._rows = [table.slice(ready).combine_chunks()], len(table) - ready
        self._full = self._rows + ROWS_AT_ONCE

    def _append(self, table: pa.Table, folder: Path) -> None:
        import pyarrow.parquet as pq

        if self._writer is None:
            self._unfinished = folder / f".{self.name}.parquet.part"
            self._writer = pq.ParquetWriter(self._unfinished, table.schema, compression="zstd")
        self._writer.write_table(table)


# ---- tables -> columns ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _View:
    """Names for the indices in tables, and the frame for latitude and longitude."""

    sensors: NDArray[np.object_]
    zones: NDArray[np.object_]
    classes: NDArray[np.object_]
    """The catalogue's, then 'unknown', which is where the index UNKNOWN (-1) leads."""
    origin: Origin

    @staticmethod
    def of(site: Site) -> _View:
        from opencram.physics.layout import layout_of

        return _View(
            sensors=_names(sensor.id for sensor in site.sensors),
            zones=_names(zone.id for zone in site.zones),
            classes=_names((*catalogue(), "unknown")),
            origin=layout_of(site).origin,
        )

    def lat_lon_deg(self, enu_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Latitude and longitude of ground points (n, 2), which lie below the tangent plane by d^2 / 2R."""
        below_m = (enu_m**2).sum(axis=1) / (2.0 * self.origin.radius_m)
        lat_rad, lon_rad, _ = enu_to_geodetic(np.column_stack([enu_m, -below_m]), self.origin)
        return np.degrees(lat_rad), np.degrees(lon_rad)


def _names(ids: Iterable[str]) -> NDArray[np.object_]:
    return np.array(list(ids), dtype=object)


def _plots(plots: Plots, view: _View) -> Columns:
    return {
        "time": plots.time_ns,
        "received": plots.received_ns,
        "sensor": view.sensors[plots.sensor],
        "scan": plots.scan,
        "range_m": plots.range_m,
        "azimuth_deg": np.degrees(plots.az_rad),
        "elevation_deg": np.degrees(plots.el_rad),
        "range_rate_mps": plots.range_rate_mps,
        "snr_db": plots.snr_db,
        "rcs_dbsm": plots.rcs_dbsm,
    }


def _truth(parts: list[Mapping[str, Sequence[Any]]]) -> Columns:
    names = {name: "time_ns" if name == "time" else name for name in COLUMNS["truth"]}
    return {name: [value for part in parts for value in part[key]] for name, key in names.items()}


def _tracks(tracks: Tracks, view: _View) -> Columns:
    cov = {name: tracks.cov[:, i, j] for (i, j), name in _STATE_COV.items()}
    return {
        "time": tracks.time_ns,
        "track": tracks.track,
        "status": _names(STATUS_NAMES)[tracks.status],
        "model": _names(MODEL_NAMES)[tracks.model],
        "n_plots": tracks.n_plots,
        "existence": tracks.existence,
        "p_ballistic": tracks.p_ballistic,
        "class": view.classes[tracks.cls],
        "debris": tracks.debris,
        "born": tracks.born_ns,
        **_state(tracks.mean),
        **cov,
        "var_ln_beta": tracks.cov[:, 6, 6],
    }


def _state(mean: FloatArray) -> Columns:
    return {name: mean[:, i] for i, name in enumerate([*_STATE, "ln_beta"])}


def _hypotheses(kinds: Hypotheses, view: _View) -> Columns:
    return {
        "time": kinds.time_ns,
        "track": kinds.track,
        "class": view.classes[kinds.cls],
        "weight": kinds.weight,
        **_state(kinds.mean),
        **_ends(kinds),
    }


def _ends(ends: Hypotheses | Impacts) -> Columns:
    """Where and when it comes down, and where it came from."""
    return {
        "impact_time": ends.impact_time_ns,
        "impact_time_sigma_s": ends.impact_time_sigma_s,
        "impact_east_m": ends.impact_enu_m[:, 0],
        "impact_north_m": ends.impact_enu_m[:, 1],
        **_ground_cov(_COV, ends.impact_cov_m2),
        "launch_east_m": ends.launch_enu_m[:, 0],
        "launch_north_m": ends.launch_enu_m[:, 1],
        **_ground_cov(_LAUNCH_COV, ends.launch_cov_m2),
    }


def _ground_cov(names: list[str], cov_m2: FloatArray) -> Columns:
    return dict(zip(names, (cov_m2[:, 0, 0], cov_m2[:, 0, 1], cov_m2[:, 1, 1]), strict=True))


def _impacts(parts: list[tuple[Impacts, FloatArray]], view: _View) -> Columns:
    impacts = Impacts.concat([rows for rows, _ in parts])
    chances = np.concatenate([p for _, p in parts])
    impact_lat, impact_lon = view.lat_lon_deg(impacts.impact_enu_m)
    launch_lat, launch_lon = view.lat_lon_deg(impacts.launch_enu_m)
    return {
        "time": impacts.time_ns,
        "track": impacts.track,
        "n_plots": impacts.n_plots,
        "class": view.classes[impacts.cls],
        **{f"p_{name}": chances[:, i] for i, name in enumerate(ballistic_ids())},
        **_ends(impacts),
        "impact_lat": impact_lat,
        "impact_lon": impact_lon,
        "launch_lat": launch_lat,
        "launch_lon": launch_lon,
        "ballistic_coefficient_kgpm2": impacts.beta_kgpm2,
    }


def _class_chances(impacts: Impacts, kinds: Hypotheses) -> FloatArray:
    """(rows of impacts, ballistic classes): the weight of each class in the mixture that a row sums up."""
    keys = zip(impacts.time_ns.tolist(), impacts.track.tolist(), strict=True)
    row_of = {key: row for row, key in enumerate(keys)}
    place = _class_places()
    chances = np.zeros((len(impacts), len(ballistic_ids())))
    columns = (kinds.time_ns, kinds.track, kinds.cls, kinds.weight)
    for time_ns, track, cls, weight in zip(*(c.tolist() for c in columns), strict=True):
        row = row_of.get((time_ns, track))
        if row is not None and cls in place:
            chances[row, place[cls]] = weight
    return chances


@cache
def _class_places() -> dict[int, int]:
    """Class index -> its place among the ballistic ones."""
    ballistic = ballistic_ids()
    return {i: ballistic.index(name) for i, name in enumerate(catalogue()) if name in ballistic}


def _threats(threats: Threats, view: _View) -> Columns:
    return {
        "time": threats.time_ns,
        "track": threats.track,
        "zone": view.zones[threats.zone],
        "class": view.classes[threats.cls],
        "p_hit": threats.p_hit,
        "impact_time": threats.impact_time_ns,
        "debris": threats.debris,
    }


def _decisions(parts: list[tuple[ZoneWarning | Engagement, ...]]) -> Columns:
    rows = [msgspec.structs.asdict(decision) for part in parts for decision in part]
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    return {"time": columns.pop("time_ns"), "intercept_time": columns.pop("intercept_ns", None), **columns}
