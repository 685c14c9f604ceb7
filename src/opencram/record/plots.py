"""A table of plots (CSV or Parquet) -> the ticks of a pipeline that would have received them one after the other.

Only what spoils the whole file is an error here. A row that makes no sense goes on as it stands, with its number, to
the decoder, which refuses and counts it.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from opencram.errors import InputError
from opencram.stages.bytes_to_plots import BLANK_NS, REQUIRED, VALUES, times_ns
from opencram.tables import IntArray, PlotRows

if TYPE_CHECKING:
    import pyarrow as pa

    from opencram.site import Site

NEEDED = (*REQUIRED, "elevation_deg")
KNOWN = ("time", "sensor", *VALUES, "received")
HEADER_BYTES = 65_536
"""A first line longer than this is no header."""
ROWS_AT_ONCE = 50_000
"""Rows that are Python objects at one time; the others stay in Arrow's memory, a tenth of the size."""
SHORTEST_STEP_NS, LONGEST_STEP_NS = 5_000_000, 500_000_000
FALL_NS = 120_000_000_000
"""Silence this long is played out, and then the site's all-clear: nothing that was seen flies longer."""


@dataclass(frozen=True, eq=False)
class PlotTable:
    """The rows of a table in the order in which they arrived, as they were written."""

    source: str
    rows: pa.Table
    """Known columns as text or numbers, and `row`, the number in the file (a CSV's header is its row 1)."""
    received_ns: IntArray
    """When each row arrived; rows without a readable time come with the first."""

    def __len__(self) -> int:
        return len(self.received_ns)

    def between(self, from_ns: int | None, to_ns: int | None) -> PlotTable:
        """The rows that arrived within these times, both included."""
        first = 0 if from_ns is None else int(np.searchsorted(self.received_ns, from_ns, "left"))
        last = len(self) if to_ns is None else int(np.searchsorted(self.received_ns, to_ns, "right"))
        return PlotTable(self.source, self.rows.slice(first, max(last - first, 0)), self.received_ns[first:last])

    def ticks(self, site: Site) -> Iterator[tuple[int, list[PlotRows]]]:
        """Times and inputs of the ticks; a tick ends half the fastest sensor's update after the first row in it.

        So a scan is in one tick, and complete in it. Silence brings empty ticks, until all that flew is down and the
        all-clear was given.
        """
        cuts = cuts_of(self.received_ns, site)
        slices = self._slices(cuts)
        for now_ns, (first, last) in tick_times(self.received_ns, cuts, site):
            if first == last:
                yield now_ns, []
                continue
            received_ns = int(self.received_ns[last - 1])
            yield now_ns, [PlotRows(received_ns=received_ns, source=self.source, columns=next(slices))]

    def _slices(self, cuts: list[tuple[int, int]]) -> Iterator[dict[str, list[Any]]]:
        """The columns of each cut, taken out of Arrow's memory a batch of rows at a time."""
        batch: dict[str, list[Any]] = {}
        start = end = 0
        for first, last in cuts:
            if last > end:
                start, end = first, max(first + ROWS_AT_ONCE, last)
                part = self.rows.slice(start, end - start)
                batch = {name: _raw(part[name]) for name in part.column_names}
            yield {name: values[first - start : last - start] for name, values in batch.items()}


def read_plots(path: Path) -> PlotTable:
    """Read a table of plots; InputError where the file as a whole cannot be one."""
    if path.is_dir():
        raise InputError(f"{path}: found a folder, expected a table of plots (.csv or .parquet)")
    try:
        if not path.stat().st_size:
            raise InputError(f"{path}: found an empty file, expected a table of plots")
        rows = _read_parquet(path) if path.suffix == ".parquet" else _read_csv(path)
    except OSError as error:
        raise InputError(f"{path}: found '{error.strerror}', expected a table of plots that can be read") from None
    if not len(rows):
        raise InputError(f"{path}: found no rows, expected at least one plot below the column names")
    return _in_order(path, rows)


def _in_order(path: Path, rows: pa.Table) -> PlotTable:
    """The rows by received, then measured time; equal ones stay as they are."""
    time_ns = _times_ns(rows["time"])
    received_ns = time_ns
    if "received" in rows.column_names:
        given_ns = _times_ns(rows["received"])
        received_ns = np.where(given_ns == BLANK_NS, time_ns, given_ns)
    readable = (time_ns >= 0) & (received_ns >= 0)
    if not readable.any():
        found = _raw(rows["time"].slice(0, 1))[0]
        raise InputError(
            f"{path}: row {rows['row'][0]}: time: found {found!r}, and no time that can be read in any row; "
            "expected ISO 8601 UTC or seconds since 1970"
        )
    received_ns = np.where(readable, received_ns, received_ns[readable].min())
    order = np.lexsort((time_ns, received_ns))
    if "received" not in rows.column_names:
        import pyarrow as pa

        rows = rows.append_column("received", pa.nulls(len(rows), pa.string()))
    return PlotTable(path.name, rows.take(order), received_ns[order])


def _times_ns(column: pa.ChunkedArray) -> IntArray:
    parts = range(0, len(column), ROWS_AT_ONCE)
    return np.concatenate([times_ns(_raw(column.slice(start, ROWS_AT_ONCE))) for start in parts])


def _raw(column: pa.ChunkedArray) -> list[Any]:
    """A column's values; what JSON has no number for (infinity) as text, so that a recording keeps it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values: list[Any] = column.to_pylist()
    if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
        return [str(v) if v is not None and abs(v) == float("inf") else v for v in values]
    return values


def cuts_of(received_ns: IntArray, site: Site) -> list[tuple[int, int]]:
    """First and last + 1 row of each tick: all that arrives within half the fastest sensor's update of the first."""
    step_ns = _step_ns(site)
    cuts = []
    first = 0
    while first < len(received_ns):
        last = int(np.searchsorted(received_ns, received_ns[first] + step_ns, "right"))
        cuts.append((first, last))
        first = last
    return cuts


def tick_times(received_ns: IntArray, cuts: list[tuple[int, int]], site: Site) -> Iterator[tuple[int, tuple[int, int]]]:
    """When each cut is played, and between them the empty ticks of silence, whose first and last row are the same."""
    policy, step_ns = site.policy, _step_ns(site)
    quiet_ns = FALL_NS + round((policy.hold_s + policy.all_clear_s) * 1e9)
    for first, last in cuts:
        now_ns = int(received_ns[first]) + step_ns
        yield now_ns, (first, last)
        next_ns = int(received_ns[last]) if last < len(received_ns) else now_ns + quiet_ns
        for empty_ns in range(now_ns + LONGEST_STEP_NS, min(next_ns, now_ns + quiet_ns) + 1, LONGEST_STEP_NS):
            yield empty_ns, (last, last)


def _step_ns(site: Site) -> int:
    half_ns = round(min(sensor.update_s for sensor in site.sensors) * 0.5e9)
    return min(max(half_ns, SHORTEST_STEP_NS), LONGEST_STEP_NS)


def _check_columns(path: Path, found: list[str]) -> list[str]:
    """The columns to be read, of those found."""
    missing = [name for name in NEEDED if name not in found]
    if missing:
        names = ", ".join(found)
        shown = names if len(names) <= 200 else names[:197] + "..."
        raise InputError(f"{path}: found the columns {shown}; expected {', '.join(missing)} too")
    twice = [name for name in KNOWN if found.count(name) > 1]
    if twice:
        raise InputError(f"{path}: found the column {twice[0]} twice, expected it once")
    return [name for name in KNOWN if name in found]


# ---- CSV --------------------------------------------------------------------------------------------------------


def _read_csv(path: Path) -> pa.Table:
    """All known columns as text, as it stands in the file."""
    import pyarrow as pa
    import pyarrow.csv

    header = _header(path)
    names = _check_columns(path, header)
    odd: list[Any] = []

    def keep_odd(row: Any) -> str:  # noqa: ANN401
        odd.append(row)
        return "skip"

    try:
        rows = pa.csv.read_csv(
            path,
            # Only a single thread knows the numbers of rows.
            pa.csv.ReadOptions(use_threads=False, column_names=header, skip_rows=1),
            pa.csv.ParseOptions(invalid_row_handler=keep_odd),
            pa.csv.ConvertOptions(
                include_columns=names, column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        if "too short" in str(error):  # one line that does not end
            return pa.table({name: pa.array([], pa.string()) for name in (*names, "row")})
        raise InputError(f"{path}: found {_reason(error)}, expected rows of comma-separated UTF-8 text") from None
    return _with_odd_rows(rows, odd)


def _header(path: Path) -> list[str]:
    """The names in the first line."""
    with path.open("rb") as file:
        line = file.readline(HEADER_BYTES)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(line) == HEADER_BYTES:
        raise InputError(
            f"{path}: found binary data, expected comma-separated text with column names in its first line"
        )
    return [name.strip() for name in next(csv.reader([text.rstrip("\r\n")]), [])]


def _with_odd_rows(rows: pa.Table, odd: list[Any]) -> pa.Table:
    """The table with row numbers, and behind it the rows that have too many or too few fields, in the time's place."""
    import pyarrow as pa

    skipped = np.array([row.number for row in odd], np.int64)
    numbers = np.arange(2, len(rows) + len(odd) + 2)
    rows = rows.append_column("row", pa.array(np.delete(numbers, skipped - 2)))
    if odd:
        texts = pa.array([row.text for row in odd], pa.string())
        blank = pa.array([""] * len(odd), pa.string())
        places = dict.fromkeys(rows.column_names, blank) | {"time": texts, "row": pa.array(skipped)}
        rows = pa.concat_tables([rows, pa.table(places)])
    return rows


def _reason(error: Exception) -> str:
    """What a library says of a file, as part of a sentence."""
    return f"'{str(error).splitlines()[0].strip().rstrip('.')}'"


# ---- Parquet ----------------------------------------------------------------------------------------------------


def _read_parquet(path: Path) -> pa.Table:
    """All known columns as text or numbers."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        found = pq.read_schema(path).names
        names = _check_columns(path, found)
        rows = pq.read_table(path, columns=names)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"{path}: found {_reason(error)}, expected a Parquet file") from None
    columns = {name: _plain(rows[name], name) for name in names}
    return pa.table(columns | {"row": pa.array(np.arange(1, len(rows) + 1))})


def _plain(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """A column as Python's and JSON's own kinds of value: times as ISO text, all else that is no number as text."""
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        column, kind = column.cast(kind.value_type), kind.value_type
    if name != "sensor" and (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return column.cast(pa.float64()) if pa.types.is_boolean(kind) else column
    try:
        return column.cast(pa.float64() if pa.types.is_decimal(kind) else pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.chunked_array([pa.array([str(value) for value in column.to_pylist()], pa.string())])
