"""What flows through the pipeline: columnar tables, the inputs they come from and the decisions they lead to.

A table is a frozen dataclass of NumPy columns with the entity axis first; dtype, trailing shape and unit of each
column are declared once, here, and checked when a table is made. Text never sits in a table: sensors are indices
into the site's sensors, classes are indices into the threat catalogue's order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Self, cast

import msgspec
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

UNKNOWN = -1
"""Class index of what cannot be told yet."""

TENTATIVE, CONFIRMED = 0, 1
OTHER, BALLISTIC = 0, 1
STATUS_NAMES = ("tentative", "confirmed")
MODEL_NAMES = ("other", "ballistic")


def column(dtype: type, *tail: int, unit: str = "", doc: str = "") -> Any:
    """Declare a table's column: its dtype, the shape behind the entity axis, its unit and what it means."""
    return field(metadata={"dtype": np.dtype(dtype), "tail": tail, "unit": unit, "doc": doc})


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of equal length; subclasses declare them with `column`."""

    MAX_ROWS: ClassVar[int] = 1_000_000
    _columns: ClassVar[tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...]]
    _empty: ClassVar[Any]

    @classmethod
    def columns(cls) -> tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...]:
        """Name, dtype and trailing shape of each column, in order; worked out once for each kind of table."""
        if "_columns" not in cls.__dict__:
            cls._columns = tuple((f.name, f.metadata["dtype"], f.metadata["tail"]) for f in fields(cls))
        return cls._columns

    def __post_init__(self) -> None:
        n = len(self)
        if n > self.MAX_ROWS:
            raise ValueError(f"{type(self).__name__}: {n} rows, at most {self.MAX_ROWS}")
        own, flat = self.__dict__, (n,)
        for name, dtype, tail in self.columns():
            array = own[name]
            if (array.dtype is not dtype and array.dtype != dtype) or array.shape != ((n, *tail) if tail else flat):
                raise ValueError(
                    f"{type(self).__name__}.{name}: found {array.dtype} {array.shape}, expected {dtype} {(n, *tail)}"
                )

    def __len__(self) -> int:
        return len(next(iter(self.__dict__.values())))

    @classmethod
    def empty(cls) -> Self:
        """The table with no rows, one for each kind."""
        if "_empty" not in cls.__dict__:
            cls._empty = cls(**{name: np.empty((0, *tail), dtype) for name, dtype, tail in cls.columns()})
        return cast(Self, cls._empty)

    @classmethod
    def _of(cls, columns: dict[str, Any]) -> Self:
        """A table from columns that come from checked tables of its kind, not checked again."""
        made = cls.__new__(cls)
        made.__dict__.update(columns)
        return made

    @classmethod
    def concat(cls, parts: Iterable[Self]) -> Self:
        """All rows of `parts`, in order."""
        filled = [part for part in parts if len(part)]
        if not filled:
            return cls.empty()
        if len(filled) == 1:
            return filled[0]
        rows = sum(len(part) for part in filled)
        if rows > cls.MAX_ROWS:
            raise ValueError(f"{cls.__name__}: {rows} rows, at most {cls.MAX_ROWS}")
        return cls._of({name: np.concatenate([p.__dict__[name] for p in filled]) for name, _, _ in cls.columns()})

    def take(self, rows: IntArray | BoolArray) -> Self:
        """The rows picked by an index array or a mask."""
        return self._of({name: column[rows] for name, column in self.__dict__.items()})


@dataclass(frozen=True, eq=False)
class Plots(Table):
    """Radar plots that passed the decoder, sorted by (time, sensor, values)."""

    time_ns: IntArray = column(np.int64, unit="ns UTC", doc="when it was measured")
    received_ns: IntArray = column(np.int64, unit="ns UTC", doc="when it arrived")
    sensor: IntArray = column(np.int64, doc="index into the site's sensors")
    range_m: FloatArray = column(np.float64, unit="m", doc="slant range")
    az_rad: FloatArray = column(np.float64, unit="rad", doc="clockwise from the sensor's true north, [0, 2 pi)")
    el_rad: FloatArray = column(np.float64, unit="rad", doc="above the sensor's horizontal plane; NaN if not measured")
    range_rate_mps: FloatArray = column(np.float64, unit="m/s", doc="receding positive; NaN if not measured")
    snr_db: FloatArray = column(np.float64, unit="dB", doc="NaN if not measured")
    rcs_dbsm: FloatArray = column(np.float64, unit="dB m2", doc="NaN if not measured")
    scan: IntArray = column(np.int64, doc="which scan of its sensor it belongs to: equal (sensor, scan) compete")


@dataclass(frozen=True, eq=False)
class Tracks(Table):
    """One row per track and scan in which the track lived."""

    time_ns: IntArray = column(np.int64, unit="ns UTC", doc="measured time of the newest plot used")
    track: IntArray = column(np.int64, doc="track number, never used again")
    status: IntArray = column(np.int64, doc="TENTATIVE or CONFIRMED")
    model: IntArray = column(np.int64, doc="OTHER or BALLISTIC: the likelier motion model")
    n_plots: IntArray = column(np.int64, doc="plots used so far")
    existence: FloatArray = column(np.float64, doc="probability that there is an object")
    p_ballistic: FloatArray = column(np.float64, doc="probability of the ballistic model")
    cls: IntArray = column(np.int64, doc="class index in the threat catalogue, or UNKNOWN")
    mean: FloatArray = column(np.float64, 7, unit="m, m/s, 1", doc="ENU position, ENU velocity, ln(kg/m2)")
    cov: FloatArray = column(np.float64, 7, 7, doc="covariance of mean")
    born_ns: IntArray = column(np.int64, unit="ns UTC", doc="measured time of its first plot")
    plot: IntArray = column(np.int64, doc="row of the plot used in this scan's Plots, -1 if it was missed")
    debris: BoolArray = column(np.bool_, doc="born out of a break-up that the simulated defence caused")


@dataclass(frozen=True, eq=False)
class Hypotheses(Table):
    """One row per confirmed track and class that it may be; the weights of a track sum to its p_ballistic."""

    time_ns: IntArray = column(np.int64, unit="ns UTC", doc="as the track's")
    track: IntArray = column(np.int64)
    cls: IntArray = column(np.int64, doc="class index in the threat catalogue")
    weight: FloatArray = column(np.float64, doc="probability of this class and of ballistic flight")
    mean: FloatArray = column(np.float64, 7, unit="m, m/s, 1", doc="state given the class")
    cov: FloatArray = column(np.float64, 7, 7, doc="covariance of mean")
    impact_time_ns: IntArray = column(np.int64, unit="ns UTC")
    impact_time_sigma_s: FloatArray = column(np.float64, unit="s")
    impact_enu_m: FloatArray = column(np.float64, 2, unit="m", doc="east, north of the impact point")
    impact_cov_m2: FloatArray = column(np.float64, 2, 2, unit="m2")
    launch_enu_m: FloatArray = column(np.float64, 2, unit="m", doc="east, north of the launch point; NaN if unknown")
    launch_cov_m2: FloatArray = column(np.float64, 2, 2, unit="m2", doc="NaN if unknown")


@dataclass(frozen=True, eq=False)
class Impacts(Table):
    """One row per confirmed ballistic track and update: mean and covariance of the whole mixture."""

    time_ns: IntArray = column(np.int64, unit="ns UTC", doc="as the track's")
    track: IntArray = column(np.int64)
    n_plots: IntArray = column(np.int64)
    cls: IntArray = column(np.int64, doc="class index in the threat catalogue, or UNKNOWN")
    impact_time_ns: IntArray = column(np.int64, unit="ns UTC")
    impact_time_sigma_s: FloatArray = column(np.float64, unit="s")
    impact_enu_m: FloatArray = column(np.float64, 2, unit="m")
    impact_cov_m2: FloatArray = column(np.float64, 2, 2, unit="m2")
    launch_enu_m: FloatArray = column(np.float64, 2, unit="m", doc="NaN if unknown")
    launch_cov_m2: FloatArray = column(np.float64, 2, 2, unit="m2", doc="NaN if unknown")
    beta_kgpm2: FloatArray = column(np.float64, unit="kg/m2", doc="ballistic coefficient m / (Cd0 A)")


@dataclass(frozen=True, eq=False)
class Threats(Table):
    """One row per object and zone that it may hit."""

    time_ns: IntArray = column(np.int64, unit="ns UTC", doc="as the track's")
    track: IntArray = column(np.int64)
    zone: IntArray = column(np.int64, doc="index into the site's zones")
    cls: IntArray = column(np.int64, doc="class index, or UNKNOWN")
    p_hit: FloatArray = column(np.float64, doc="probability that it hits the zone enlarged by its hazard radius")
    impact_time_ns: IntArray = column(np.int64, unit="ns UTC", doc="when it would; the earliest for what can manoeuvre")
    debris: BoolArray = column(np.bool_, doc="debris of an interception, not the object itself")


# ---- inputs -----------------------------------------------------------------------------------------------------


class PlotRows(msgspec.Struct, frozen=True, tag="plots", kw_only=True):
    """Rows of a table of plots as they came, not yet trusted: column name -> one raw value a row.

    `scan_end` says that the sensor's scan is complete with these rows, so that it need not be waited for.
    """

    received_ns: int
    source: str
    columns: dict[str, list[Any]]
    scan_end: bool = False


class Datagram(msgspec.Struct, frozen=True, tag="datagram", kw_only=True):
    """ASTERIX as a radar sent it: one or several data blocks; `address` is who sent it, such as `10.0.0.5`, or empty.

    `simulated` says which targets are taken from it: those that call themselves simulated, or those that do not; both
    where it is None.
    """

    received_ns: int
    address: str
    data: bytes
    simulated: bool | None = False


class Observation(msgspec.Struct, frozen=True, tag="observation", kw_only=True):
    """What a person or a blast sensor reports about a zone; it alerts the zone by itself."""

    time_ns: int
    zone: str
    kind: str
    source: str


class Effect(msgspec.Struct, frozen=True, tag="effect", kw_only=True):
    """What came of a simulated engagement, drawn by the world: `outcome` is 'kill' or 'miss'."""

    time_ns: int
    engagement: int
    track: int
    outcome: str
    east_m: float
    north_m: float
    up_m: float


class OperatorAct(msgspec.Struct, frozen=True, tag="operator-act", kw_only=True):
    """What an operator orders for a zone: `act` is one of OPERATOR_ACTS, `by` the account that ordered it.

    An alarm alerts the zone at once; an all-clear ends its warning, unless something endangers the zone now.
    """

    time_ns: int
    zone: str
    act: str
    by: str


OPERATOR_ACTS = ("alarm", "all-clear")

Input = PlotRows | Datagram | Observation | Effect | OperatorAct


# ---- what people read one by one --------------------------------------------------------------------------------


class ZoneWarning(msgspec.Struct, frozen=True, tag="warning", kw_only=True):
    """A decision about a zone; `state` is one of WARNING_STATES, `kind` one of WARNING_KINDS.

    It rests on `tracks` and, where somebody reported or ordered it, on `sources`; an end names all that took part.
    """

    time_ns: int
    zone: str
    state: str
    tracks: tuple[int, ...]
    p_hit: float
    seconds_left: float | None
    kind: str
    reason: str
    raid: int = 0
    """All warnings of one raid have one number, counted from 1; 0: not told."""
    sources: tuple[str, ...] = ()


WARNING_KINDS = ("rocket", "drone", "debris", "observed", "operator", "sensor")
"""What falls; what flies by its own power; what is left of either; what somebody or a blast sensor reported; an
operator's alarm; a sensor that fell silent."""
WARNING_STATES = ("pre-alert", "alert", "update", "cancel", "all-clear")


class Engagement(msgspec.Struct, frozen=True, tag="engagement", kw_only=True):
    """A simulated effector takes a track; position is the track's at the order, for the world to find the object."""

    time_ns: int
    engagement: int
    effector: str
    track: int
    zone: str
    range_m: float
    p_kill: float
    intercept_ns: int
    east_m: float
    north_m: float
    up_m: float
    reason: str


class DefenceNote(msgspec.Struct, frozen=True, tag="defence", kw_only=True):
    """What the simulated defence makes of an object; `kind` is one of DEFENCE_NOTES.

    `engagement` is the one that is judged from the tracks, 0 where it is told why none is ordered.
    """

    time_ns: int
    track: int
    kind: str
    reason: str
    engagement: int = 0
    zone: str = ""


DEFENCE_NOTES = (
    *("gone", "flies on", "lost"),
    *("unprotected", "unlikely", "out of reach", "no-fire", "debris", "thrift", "empty", "saturated", "waits"),
)
"""Judged: shot down, missed, or nobody can tell. Not engaged: it threatens only what is not protected, or too little;
no battery meets it, or only in a no-fire sector; its debris would endanger more people than its hit; it is not worth
the ammunition, or there is none; others need the batteries more; there will be a better moment."""


class Reject(msgspec.Struct, frozen=True, tag="reject", kw_only=True):
    """Rows or inputs refused for one reason in one tick; `sample` is the first of them."""

    time_ns: int
    source: str
    reason: str
    count: int
    sample: str


class Health(msgspec.Struct, frozen=True, tag="health", kw_only=True):
    """A change of a component's state: a sensor that fell silent, a limit that was hit."""

    time_ns: int
    component: str
    state: str
    detail: str


class TrackEvent(msgspec.Struct, frozen=True, tag="track-event", kw_only=True):
    """Two tracks became one plot, one track, or two again; `kind` is one of TRACK_EVENTS."""

    time_ns: int
    kind: str
    track: int
    other: int
    reason: str


TRACK_EVENTS = ("share", "part", "merge", "split")
"""Two tracks share one plot; each has its own again; one ended as a repetition of the other; one began out of the
other, or went on as what began in its place."""


@dataclass(frozen=True, eq=False)
class Outbox:
    """All that one step puts out."""

    plots: Plots
    tracks: Tracks
    hypotheses: Hypotheses
    impacts: Impacts
    threats: Threats
    warnings: tuple[ZoneWarning, ...] = ()
    engagements: tuple[Engagement, ...] = ()
    rejects: tuple[Reject, ...] = ()
    health: tuple[Health, ...] = ()
    events: tuple[TrackEvent, ...] = ()
    defence: tuple[DefenceNote, ...] = ()
