"""ASTERIX and rows of a table of plots, as they came, -> Plots: one table per complete scan of one sensor.

Nothing that comes in is trusted. A row that cannot be a radar plot is refused, with its reason counted and the first
such row quoted (by its number, where a column `row` gives one); the rest goes on. The order of the rows and of the
inputs within a tick is of no consequence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from opencram.asterix.plots import RadarsState, datagrams_to_rows
from opencram.tables import BoolArray, FloatArray, Health, Input, IntArray, PlotRows, Plots, Reject

if TYPE_CHECKING:
    from opencram.site import Site

SECOND_NS = 1_000_000_000
LATE_NS = 2 * SECOND_NS
"""A plot that arrives later than this after it was measured would be used for a state long gone by: refused."""
AHEAD_NS = 1 * SECOND_NS
"""Clocks kept by NTP agree far better than this; a plot from further in the future has a wrong clock: refused."""
REMEMBER_NS = 2 * LATE_NS
"""How long a plot is remembered so that a second copy of it is refused: as long as one could still be accepted."""
SILENCE_NS = 3 * SECOND_NS
SILENCE_UPDATES = 5
"""A sensor silent for both of these is stale: five scans missed in a row, and no flicker for fast radars."""
RANGE_LIMIT_M = 200e3
"""No radar that sees shells measures further; a sensor whose coverage says more is believed up to 1.5 times that."""

REQUIRED = ("time", "sensor", "range_m", "azimuth_deg")
VALUES = ("range_m", "azimuth_deg", "elevation_deg", "range_rate_mps", "snr_db", "rcs_dbsm")
"""The measured columns, in the order of the rows of `_Rows.values`; the first two are required in each plot."""
N_REQUIRED = 2
LOWEST = np.array([[np.finfo(np.float64).tiny], [-180.0], [-90.0], [-1e4], [-200.0], [-200.0]])
HIGHEST = np.array([[np.inf], [360.0], [90.0], [1e4], [200.0], [200.0]])
EXPECTED = (
    "expected a distance above 0 and up to {limit:.0f} m",
    "expected 0 to 360 (or -180 to 180)",
    "expected -90 to 90",
    "expected -10000 to 10000",
    "expected -200 to 200",
    "expected -200 to 200",
)

UNREADABLE_NS, BLANK_NS = -1, -2
MAX_SECONDS = 7_258_118_400.0
"""2200-01-01: later times overflow neither int64 nanoseconds nor belief; milliseconds since 1970 lie far beyond."""
_MOMENT = r"(?:19[7-9]\d|2[01]\d\d)-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?"
ISO_TIME = re.compile(rf"\s*({_MOMENT})(?:Z|([+-])(\d\d):?(\d\d))?\s*", re.ASCII)
"""ISO 8601 to the nanosecond, years 1970 to 2199; without a zone it is UTC."""
UTC_LINES = re.compile(rf"(?:{_MOMENT}Z?\n)+", re.ASCII)
"""A column of such times in UTC, a line each: matched at one go, for files have millions."""


class _Rows(NamedTuple):
    """Plots as two arrays, a plot per column, so that they are sorted, joined and cut in one go."""

    stamps: IntArray
    """(3, n): time_ns, received_ns, sensor"""
    values: FloatArray
    """(6, n): range_m, az_rad, el_rad, range_rate_mps, snr_db, rcs_dbsm"""


def _no_stamps() -> IntArray:
    return np.empty((3, 0), np.int64)


def _no_values() -> FloatArray:
    return np.empty((len(VALUES), 0))


@dataclass
class PlotsState:
    """What the decoder keeps between ticks; sensors are indices into the site's sensors.

    `open_*` are the plots of scans that are not complete, `sent_*` those handed on lately (for duplicates), in the
    layout of `_Rows`; `scans` counts each sensor's scans, `heard_ns` says when it last spoke.
    """

    open_stamps: IntArray = field(default_factory=_no_stamps)
    open_values: FloatArray = field(default_factory=_no_values)
    sent_stamps: IntArray = field(default_factory=_no_stamps)
    sent_values: FloatArray = field(default_factory=_no_values)
    scans: dict[int, int] = field(default_factory=dict)
    heard_ns: dict[int, int] = field(default_factory=dict)
    stale: list[int] = field(default_factory=list)
    radars: RadarsState = field(default_factory=RadarsState)
    max_rows: int = 20_000
    """Limit of one sensor's plots in open scans: what lies beyond, newest and farthest first, is refused."""


class _Sensors(NamedTuple):
    """What the decoder needs of the site, by sensor index."""

    ids: tuple[str, ...]
    number: dict[str, int]
    half_update_ns: list[int]
    silence_ns: list[int]
    range_limit_m: FloatArray
    measures_elevation: BoolArray


@lru_cache(maxsize=16)
def _sensors_of(site: Site) -> _Sensors:
    ids = tuple(s.id for s in site.sensors)
    updates = [round(s.update_s * SECOND_NS) for s in site.sensors]
    return _Sensors(
        ids=ids,
        number={name: k for k, name in enumerate(ids)},
        half_update_ns=[u // 2 for u in updates],
        silence_ns=[max(SILENCE_UPDATES * u, SILENCE_NS) for u in updates],
        range_limit_m=np.array([max(RANGE_LIMIT_M, 1.5 * s.coverage.max_range_m) for s in site.sensors]),
        measures_elevation=np.array([s.elevation_sigma_mrad is not None for s in site.sensors], np.bool_),
    )


class _Refusals:
    """Rows refused in this tick, counted by source and reason, with the first of each as a sample."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[int, tuple[float, str]]] = {}

    def add(self, source: str, reason: str, sample: str, row: float = 0.0, count: int = 1) -> None:
        """Count refused rows; the sample kept does not depend on the order in which they are added."""
        before, first = self._found.get((source, reason), (0, (math.inf, "")))
        self._found[source, reason] = (before + count, min(first, (row, sample)))

    def rejects(self, now_ns: int) -> list[Reject]:
        return [
            Reject(time_ns=now_ns, source=source, reason=reason, count=count, sample=sample)
            for (source, reason), (count, (_, sample)) in sorted(self._found.items())
        ]


def bytes_to_plots(
    state: PlotsState, inbox: Sequence[Input], now_ns: int, site: Site
) -> tuple[list[Plots], list[Reject], list[Health]]:
    """Decode the datagrams and plot rows of `inbox` and hand on the scans that are complete by `now_ns`.

    A scan is one sensor's plots within half its `update_s` of the first. It is complete when its sensor says so
    (`scan_end`), when a plot of that sensor lies outside it, or when half an update and the first plot's latency have
    passed. Scans come in the order of (first time, sensor), their plots in that of (time, sensor, values).
    """
    sensors = _sensors_of(site)
    refusals = _Refusals()
    parts = [_Rows(state.open_stamps, state.open_values)] if state.open_stamps.shape[1] else []
    ends: dict[int, list[int]] = {}
    from_radars, refused, news = datagrams_to_rows(state.radars, inbox, now_ns, site)
    for refusal in refused:
        refusals.add(*refusal)
    for item in (*inbox, *from_radars):
        if isinstance(item, PlotRows):
            rows = _decode(item, now_ns, sensors, refusals)
            _note_speakers(state, item, rows, now_ns, sensors, ends)
            parts.append(_without_sent(state, rows, sensors, refusals))
    scans = _form_scans(state, _merge(state, parts, sensors, refusals), ends, now_ns, sensors)
    _remember(state, scans, now_ns)
    plots = [_plots(state, rows) for rows in scans]
    return plots, refusals.rejects(now_ns), [*news, *_health(state, now_ns, sensors)]


# ---- rows -> numbers --------------------------------------------------------------------------------------------


def _decode(item: PlotRows, now_ns: int, sensors: _Sensors, refusals: _Refusals) -> _Rows:
    """The rows of one input that can be plots, in radians, as they were ordered."""
    columns = item.columns
    n = max(map(len, columns.values()), default=0)
    if n == 0 or not _whole(item, n, sensors, refusals):
        return _Rows(_no_stamps(), _no_values())
    stamps = np.empty((3, n), np.int64)
    stamps[0] = times_ns(columns["time"])
    stamps[1] = _received_ns(item, stamps[0], now_ns)
    stamps[2] = _sensor_indices(item, n, sensors)
    values = np.full((len(VALUES), n), np.nan)
    for k, name in enumerate(VALUES):
        if name in columns:
            values[k] = _numbers(columns[name])
    outside = _outside(values, stamps[2], sensors)
    bad = outside.any(axis=0) | (stamps < 0).any(axis=0)
    bad |= (stamps[1] - stamps[0] > LATE_NS) | (stamps[0] - stamps[1] > AHEAD_NS)
    if bad.any():
        for row in np.flatnonzero(bad).tolist():
            _refuse(item, row, stamps[:, row], outside[:, row], sensors, refusals)
        stamps, values = stamps[:, ~bad], values[:, ~bad]
    return _Rows(stamps, _in_radians(values, stamps[2], sensors))


def _whole(item: PlotRows, n: int, sensors: _Sensors, refusals: _Refusals) -> bool:
    """Whether the required columns are there and all columns are equally long; else all rows are refused."""
    needed = [name for name in REQUIRED if name != "sensor" or item.source not in sensors.number]
    missing = [name for name in needed if name not in item.columns]
    if missing:
        text = f"found columns {', '.join(item.columns)}; expected {', '.join(missing)} too"
        refusals.add(item.source, "missing column", text, count=n)
    elif any(len(values) != n for values in item.columns.values()):
        lengths = ", ".join(f"{name} {len(values)}" for name, values in item.columns.items())
        refusals.add(item.source, "columns of unequal length", f"found {lengths}", count=n)
    else:
        return True
    return False


def _received_ns(item: PlotRows, time_ns: IntArray, now_ns: int) -> IntArray:
    """When each row arrived: as its row says (blank: when it was measured), else when the input did."""
    arrived = min(item.received_ns, now_ns)
    if "received" not in item.columns:
        return np.full(len(time_ns), arrived)
    given = item.columns["received"]
    if given.count(None) == len(given):
        return np.clip(time_ns, 0, now_ns)
    received = times_ns(given)
    return np.minimum(np.where(received == BLANK_NS, np.maximum(time_ns, 0), received), now_ns)


def _sensor_indices(item: PlotRows, n: int, sensors: _Sensors) -> IntArray:
    if "sensor" not in item.columns:
        return np.full(n, sensors.number[item.source])
    number = sensors.number
    return np.array([number.get(v, -1) if type(v) is str else -1 for v in item.columns["sensor"]], np.int64)


def _numbers(raw: Sequence[Any]) -> FloatArray:
    """Raw values as numbers: NaN where blank, infinite where it is no number."""
    try:
        numbers = np.asarray(raw, np.float64)
        if numbers.ndim == 1:
            return numbers
    except (ValueError, TypeError, OverflowError):
        pass
    return np.array([_number(value) for value in raw])


def _number(value: object) -> float:
    if _blank(value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]  # whatever is no number raises
    except (ValueError, TypeError, OverflowError):
        return math.inf


def _blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def times_ns(raw: Sequence[Any]) -> IntArray:
    """Raw times as ns UTC; UNREADABLE_NS where it is no time, BLANK_NS where nothing stands.

    A number is seconds since 1970, taken to the microsecond: a double holds no more of it. Text is ISO 8601 or such a
    number, and UTC where it names no zone.
    """
    try:
        seconds = np.asarray(raw, np.float64)
        if seconds.ndim == 1:
            return _seconds_to_ns(seconds)
    except (ValueError, TypeError, OverflowError):
        pass
    try:
        lines = "\n".join(raw) + "\n"
        if lines.count("\n") == len(raw) and UTC_LINES.fullmatch(lines):
            return np.array(lines.replace("Z", "").split("\n")[:-1], "datetime64[ns]").astype(np.int64)
    except (ValueError, TypeError):
        pass  # a thirteenth month, or something that is no text, somewhere: told apart below
    found = [ISO_TIME.fullmatch(value) if isinstance(value, str) else None for value in raw]
    return np.array([_time_ns(v, m) for v, m in zip(raw, found, strict=True)], np.int64)


def _seconds_to_ns(seconds: FloatArray) -> IntArray:
    good = (seconds >= 0.0) & (seconds < MAX_SECONDS)
    seconds_or_0 = np.where(good, seconds, 0.0)
    whole = np.floor(seconds_or_0)
    ns = whole.astype(np.int64) * SECOND_NS + np.rint((seconds_or_0 - whole) * 1e6).astype(np.int64) * 1000
    return np.where(good, ns, np.where(np.isnan(seconds), BLANK_NS, UNREADABLE_NS))


def _time_ns(value: object, iso: re.Match[str] | None) -> int:
    if iso is None:
        return int(_seconds_to_ns(np.array([_number(value)]))[0])
    try:
        local = int(np.datetime64(iso[1], "ns").astype(np.int64))
    except ValueError:
        return UNREADABLE_NS
    offset_s = 0 if iso[2] is None else (int(iso[3]) * 60 + int(iso[4])) * 60
    return max(local - (-offset_s if iso[2] == "-" else offset_s) * SECOND_NS, UNREADABLE_NS)


def _outside(values: FloatArray, sensor: IntArray, sensors: _Sensors) -> BoolArray:
    """(6, n): which values cannot be; what may be left out is NaN and passes."""
    outside: BoolArray = (values < LOWEST) | (values > HIGHEST)
    outside |= np.isinf(values)
    outside[:N_REQUIRED] |= np.isnan(values[:N_REQUIRED])
    outside[0] |= values[0] > sensors.range_limit_m[sensor]
    return outside


def _in_radians(values: FloatArray, sensor: IntArray, sensors: _Sensors) -> FloatArray:
    values[1:3] = np.deg2rad(values[1:3])
    azimuth = np.mod(values[1], 2.0 * math.pi)
    values[1] = np.where(azimuth >= np.deg2rad(360.0), 0.0, azimuth)
    values[2, ~sensors.measures_elevation[sensor]] = np.nan
    return values


def _refuse(
    item: PlotRows, row: int, stamps: IntArray, outside: BoolArray, sensors: _Sensors, refusals: _Refusals
) -> None:
    """Count one row that cannot be a plot, under the first reason that applies."""
    reason, text = _why(item, row, stamps, outside, sensors)
    number = _number(item.columns["row"][row]) if "row" in item.columns else math.nan
    if math.isfinite(number):
        refusals.add(item.source, reason, f"row {number:.0f}: {text}", number)
    else:
        refusals.add(item.source, reason, text)


def _why(item: PlotRows, row: int, stamps: IntArray, outside: BoolArray, sensors: _Sensors) -> tuple[str, str]:
    """Reason and sentence: the field, what was found, what was expected."""
    time_ns, received_ns, sensor = stamps.tolist()
    found = {name: _quote(values[row]) for name, values in item.columns.items() if name != "row"}
    for name, stamp in (("time", time_ns), ("received", received_ns)):
        if stamp < 0:
            return f"unreadable {name}", f"{name}: found {found.get(name)}, expected ISO 8601 UTC or seconds since 1970"
    if sensor < 0:
        return "unknown sensor", f"sensor: found {found['sensor']}, expected one of {', '.join(sensors.ids)}"
    for k in np.flatnonzero(outside).tolist():
        raw = item.columns[VALUES[k]][row]
        what = "impossible" if math.isfinite(_number(raw)) else "not a number"
        expected = EXPECTED[k].format(limit=sensors.range_limit_m[sensor])
        return f"{VALUES[k]} {what}", f"{VALUES[k]}: found {found[VALUES[k]]}, {expected}"
    gap_s = abs(received_ns - time_ns) / SECOND_NS
    if received_ns > time_ns:
        return "too late", f"time {found['time']}: found received {gap_s:.1f} s later, expected at most 2 s"
    return "from the future", f"time {found['time']}: found received {gap_s:.1f} s earlier, expected at most 1 s"


def _quote(value: object) -> str:
    """A raw value as it stands in a sentence: text in quotes, cut where it is long."""
    if _blank(value):
        return "nothing"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


# ---- plots -> scans ---------------------------------------------------------------------------------------------


def _note_speakers(
    state: PlotsState, item: PlotRows, rows: _Rows, now_ns: int, sensors: _Sensors, ends: dict[int, list[int]]
) -> None:
    """Note which sensors spoke, and up to which measured time their scans are over."""
    heard_ns = min(item.received_ns, now_ns)
    newest = {s: int(rows.stamps[0, rows.stamps[2] == s].max()) for s in _present(rows.stamps[2])}
    if item.source in sensors.number:
        newest.setdefault(sensors.number[item.source], heard_ns)
    for sensor, time_ns in newest.items():
        state.heard_ns[sensor] = max(heard_ns, state.heard_ns.get(sensor, heard_ns))
        if item.scan_end:
            ends.setdefault(sensor, []).append(time_ns)


def _present(sensor: IntArray) -> list[int]:
    """The sensors that occur, in ascending order."""
    if len(sensor) and (sensor == sensor[0]).all():
        return [int(sensor[0])]  # nearly always, and far quicker
    return [int(s) for s in np.unique(sensor)]


def _without_sent(state: PlotsState, rows: _Rows, sensors: _Sensors, refusals: _Refusals) -> _Rows:
    """The rows that were not handed on before: a datagram may come twice."""
    sent_ns = state.sent_stamps[0]
    if not rows.stamps.shape[1] or not len(sent_ns) or rows.stamps[0].min() > sent_ns.max():
        return rows
    near = sent_ns >= rows.stamps[0].min()
    sent = set(_keys(_Rows(state.sent_stamps[:, near], state.sent_values[:, near])))
    again = np.array([key in sent for key in _keys(rows)], np.bool_)
    return _drop(rows, again, "duplicate", "found the same plot again", sensors, refusals)


def _keys(rows: _Rows) -> Iterator[bytes]:
    """What makes two plots the same one: time, sensor and values, bit by bit."""
    table = np.vstack([rows.stamps[[0, 2]], rows.values.view(np.int64)])
    return (column.tobytes() for column in table.T)


def _drop(rows: _Rows, which: BoolArray, reason: str, text: str, sensors: _Sensors, refusals: _Refusals) -> _Rows:
    """`rows` without those in the mask `which`, which are counted as refused under their sensor's name."""
    if not which.any():
        return rows
    for time_ns, sensor in rows.stamps[[0, 2]][:, which].T.tolist():
        refusals.add(sensors.ids[sensor], reason, f"time {np.datetime64(time_ns, 'ns')}Z: {text}")
    return _Rows(rows.stamps[:, ~which], rows.values[:, ~which])


def _merge(state: PlotsState, parts: list[_Rows], sensors: _Sensors, refusals: _Refusals) -> _Rows:
    """All rows in canonical order, without duplicates, at most `max_rows` of each sensor."""
    if not parts:
        return _Rows(_no_stamps(), _no_values())
    rows = _Rows(np.hstack([p.stamps for p in parts]), np.hstack([p.values for p in parts])) if parts[1:] else parts[0]
    # The last key is the first to be compared; of two copies the one that was received first stays.
    order = np.lexsort((rows.stamps[1], *rows.values[::-1], rows.stamps[2], rows.stamps[0]))
    rows = _Rows(rows.stamps[:, order], rows.values[:, order])
    same = np.zeros(len(order), np.bool_)
    same[1:] = (rows.stamps[[0, 2], 1:] == rows.stamps[[0, 2], :-1]).all(axis=0)
    if same.any():
        bits = rows.values.view(np.int64)
        same[1:] &= (bits[:, 1:] == bits[:, :-1]).all(axis=0)
        rows = _drop(rows, same, "duplicate", "found the same plot again", sensors, refusals)
    if rows.stamps.shape[1] <= state.max_rows:
        return rows
    beyond = np.zeros(rows.stamps.shape[1], np.bool_)
    for sensor in _present(rows.stamps[2]):
        beyond[np.flatnonzero(rows.stamps[2] == sensor)[state.max_rows :]] = True
    return _drop(rows, beyond, "too many plots", f"found over {state.max_rows} waiting at once", sensors, refusals)


def _form_scans(
    state: PlotsState, rows: _Rows, ends: dict[int, list[int]], now_ns: int, sensors: _Sensors
) -> list[_Rows]:
    """Cut `rows` into scans; the complete ones are returned in order, the others are kept in the state."""
    done: list[_Rows] = []
    waiting = np.zeros(rows.stamps.shape[1], np.bool_)
    for sensor in _present(rows.stamps[2]):
        mine = np.flatnonzero(rows.stamps[2] == sensor)
        cuts = sorted(ends.get(sensor, []))
        for members, over in _cut(rows.stamps[0, mine], sensors.half_update_ns[sensor], cuts):
            which = mine[members]
            time_ns, received_ns, _ = rows.stamps[:, which[0]].tolist()
            due_ns = time_ns + sensors.half_update_ns[sensor] + max(received_ns - time_ns, 0)
            if over or now_ns >= due_ns:
                done.append(_Rows(rows.stamps[:, which], rows.values[:, which]))
            else:
                waiting[which] = True
    state.open_stamps, state.open_values = rows.stamps[:, waiting], rows.values[:, waiting]
    return sorted(done, key=lambda scan: (int(scan.stamps[0, 0]), int(scan.stamps[2, 0])))


def _cut(time_ns: IntArray, half_update_ns: int, ends: list[int]) -> Iterator[tuple[slice, bool]]:
    """One sensor's plots in order of time, cut into scans: which rows, and whether more may not come."""
    first = 0
    while first < len(time_ns):
        start_ns = int(time_ns[first])
        end_ns = next((t for t in ends if t >= start_ns), None)
        last_ns = start_ns + half_update_ns if end_ns is None else min(start_ns + half_update_ns, end_ns)
        stop = int(np.searchsorted(time_ns, last_ns, side="right"))
        yield slice(first, stop), end_ns is not None or stop < len(time_ns)
        first = stop


def _remember(state: PlotsState, scans: list[_Rows], now_ns: int) -> None:
    if scans:
        state.sent_stamps = np.hstack([state.sent_stamps, *(scan.stamps for scan in scans)])
        state.sent_values = np.hstack([state.sent_values, *(scan.values for scan in scans)])
    if (state.sent_stamps[0, :1] < now_ns - 2 * REMEMBER_NS).any():  # seldom, for it copies
        lately = state.sent_stamps[0] >= now_ns - REMEMBER_NS
        state.sent_stamps, state.sent_values = state.sent_stamps[:, lately], state.sent_values[:, lately]


def _plots(state: PlotsState, rows: _Rows) -> Plots:
    """One complete scan as a table, under its sensor's next scan number."""
    sensor = int(rows.stamps[2, 0])
    scan = state.scans.get(sensor, 0)
    state.scans[sensor] = scan + 1
    time_ns, received_ns, sensors = rows.stamps
    range_m, az_rad, el_rad, range_rate_mps, snr_db, rcs_dbsm = rows.values
    return Plots(
        time_ns=time_ns,
        received_ns=received_ns,
        sensor=sensors,
        range_m=range_m,
        az_rad=az_rad,
        el_rad=el_rad,
        range_rate_mps=range_rate_mps,
        snr_db=snr_db,
        rcs_dbsm=rcs_dbsm,
        scan=np.full(len(time_ns), scan),
    )


def _health(state: PlotsState, now_ns: int, sensors: _Sensors) -> list[Health]:
    """Sensors that fell silent or speak again, since the last tick."""
    news = []
    for sensor, heard_ns in sorted(state.heard_ns.items()):
        silent = now_ns - heard_ns > sensors.silence_ns[sensor]
        if silent and sensor not in state.stale:
            state.stale.append(sensor)
            text = f"nothing came for {(now_ns - heard_ns) / SECOND_NS:.1f} s"
            news.append(Health(time_ns=now_ns, component=sensors.ids[sensor], state="stale", detail=text))
        elif not silent and sensor in state.stale:
            state.stale.remove(sensor)
            news.append(Health(time_ns=now_ns, component=sensors.ids[sensor], state="ok", detail="speaks again"))
    return news
