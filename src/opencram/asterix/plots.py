"""What radars send in ASTERIX -> rows of plots, and what they say of themselves.

Categories 015 and 048 bring plots, 034 tells that a radar lives and whether its data may be used. A radar is known by
its codes (SAC, SIC) in the site, and by its addresses where the site names them. Where it does not, whoever first uses
the codes is that radar: what another address sends under them is refused and told, until the first has been silent for
`OWNER_NS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from opencram.asterix.cat015 import CAT015
from opencram.asterix.cat034 import CAT034
from opencram.asterix.cat048 import CAT048
from opencram.asterix.layout import Fault
from opencram.asterix.records import Refused, blocks, records
from opencram.tables import Datagram, Health, Input, PlotRows

if TYPE_CHECKING:
    from opencram.site import Sensor, Site

TICK_NS = 7_812_500
"""1/128 s, the last bit of all times of day."""
DAY_NS = 86_400_000_000_000
OWNER_NS = 10_000_000_000
"""A radar whose address changes (a spare took over, it was given another) is silent for longer than this at the old
one; somebody who only borrows its codes has to make it silent first."""
NM_M = 1_852.0
NORTH, SECTOR = 1, 2
PLOT_TYPES, TRACK_TYPES = (1, 3), (2, 4)
SIMULATED, REFERENCE = (2, 3), 1
MULTISTATIC = 1
READ = {category.number: category for category in (CAT015, CAT034, CAT048)}
NOT_RELEASED = "says that its data must not be used"
NAMES = ("time", "range_m", "azimuth_deg", "elevation_deg", "range_rate_mps", "snr_db", "rcs_dbsm", "received")
LEAST_DBSM, MOST_DBSM = -100.0, 100.0
"""What is beyond comes of a distance or a strength that cannot be, and is for others to refuse."""
RANGE, SNR = NAMES.index("range_m"), NAMES.index("snr_db")

Values = list[float | None]


@dataclass
class RadarsState:
    """What is kept of the radars between ticks, by their index among the site's sensors."""

    address: dict[int, str] = field(default_factory=dict)
    """Who uses a radar's codes."""
    heard_ns: dict[int, int] = field(default_factory=dict)
    claimed_ns: dict[int, int] = field(default_factory=dict)
    """When somebody else last used them."""
    status: dict[int, str] = field(default_factory=dict)
    """What a radar says that is wrong with it; nothing where all is well."""
    counts: dict[str, int] = field(default_factory=dict)
    """Messages used so far: `radar-1: plots`, `radar-1: north marks`, `radar-1: sectors`, `radar-1: other`."""


class Refusal(NamedTuple):
    """Messages that were refused for one reason; `source` is a sensor, or 'asterix' where it is not known."""

    source: str
    reason: str
    sample: str


class _Known(NamedTuple):
    """What the site says of its radars."""

    ids: list[str]
    by_codes: dict[tuple[int, int], int]
    staring: list[bool]
    doppler_sign: list[float]
    addresses: list[tuple[str, ...]]
    one_m_dbsm: list[float | None]
    """The cross-section of what is 1 m away and as strong as the noise (dB m2); None where the site does not say."""
    codes: str


@lru_cache(maxsize=16)
def _known(site: Site) -> _Known:
    coded = {(s.asterix.sac, s.asterix.sic): k for k, s in enumerate(site.sensors) if s.asterix is not None}
    return _Known(
        ids=[s.id for s in site.sensors],
        by_codes=coded,
        staring=[s.kind == "staring" for s in site.sensors],
        doppler_sign=[-1.0 if s.asterix and s.asterix.doppler == "closing" else 1.0 for s in site.sensors],
        addresses=[s.asterix.addresses if s.asterix else () for s in site.sensors],
        one_m_dbsm=[_one_m_dbsm(s) for s in site.sensors],
        codes=", ".join(f"SAC {sac} SIC {sic} ({site.sensors[k].id})" for (sac, sic), k in coded.items()) or "none",
    )


def _one_m_dbsm(sensor: Sensor) -> float | None:
    """By the radar equation, from the sensor's reference; one that nobody stated is no ground for a size."""
    if "reference" not in sensor.model_fields_set:
        return None
    known = sensor.reference
    return 10.0 * math.log10(known.rcs_m2) - known.snr_db - 40.0 * math.log10(known.range_m)


def datagrams_to_rows(
    state: RadarsState, inbox: Sequence[Input], now_ns: int, site: Site
) -> tuple[list[PlotRows], list[Refusal], list[Health]]:
    """The rows of the datagrams in an inbox by radar and in order, what was refused, and what changed of the radars.

    A north mark or sector message of a staring radar ends its scan. A radar that only sends such messages is heard,
    one that says its data must not be used is not.
    """
    reader = _Reader(state, now_ns, site)
    datagrams = [item for item in inbox if isinstance(item, Datagram)]
    for datagram in sorted(datagrams, key=lambda d: (d.received_ns, d.address, d.data)):
        reader.read(datagram)
    return reader.rows(), reader.refused, reader.news()


def at_time_of_day(ticks: int, received_ns: int) -> int:
    """The moment (ns UTC) nearest to the reception at which the time of day was so many 1/128 s."""
    moment_ns = received_ns // DAY_NS * DAY_NS + ticks * TICK_NS
    if moment_ns - received_ns > DAY_NS // 2:
        return moment_ns - DAY_NS
    return moment_ns + DAY_NS if received_ns - moment_ns > DAY_NS // 2 else moment_ns


class _Unused(Exception):
    """Why a message is no plot; the text is the reason."""


class _Reader:
    """The messages of one tick."""

    def __init__(self, state: RadarsState, now_ns: int, site: Site) -> None:
        self.state, self.now_ns, self.known = state, now_ns, _known(site)
        self.refused: list[Refusal] = []
        self._health: list[Health] = []
        self._open: dict[int, list[Values]] = {}
        self._senders: dict[tuple[float | None, float | None], int] = {}
        self._done: list[PlotRows] = []
        self._received_ns = 0
        self._simulated: bool | None = False
        self._address = ""

    def read(self, datagram: Datagram) -> None:
        """All blocks of a datagram."""
        self._received_ns, self._address = min(datagram.received_ns, self.now_ns), datagram.address
        self._simulated = datagram.simulated
        self._senders.clear()
        for block in blocks(datagram.data):
            if isinstance(block, Refused):
                self._refuse("asterix", "broken data block", block.sentence)
                return
            category = READ.get(block.category)
            if category is None:
                found = f"found category {block.category:03}, expected 015, 034 or 048"
                self._refuse("asterix", "category not read", found)
                continue
            try:
                messages = records(category, datagram.data, block)
            except Fault as fault:
                refused = Refused(block.at, block.category, fault.item, fault.what)
                self._refuse("asterix", "broken record", refused.sentence)
                continue
            for plan, number in messages:
                self._message(block.category, plan.pick(number))

    def _message(self, category: int, values: Values) -> None:
        codes = (values[0], values[1])
        sensor = self._senders.get(codes)
        if sensor is None:
            sensor = self._sensor(values)
            if sensor is None:
                return
            self._senders[codes] = sensor
        if category == CAT034.number:
            self._service(sensor, values)
            return
        try:
            if NOT_RELEASED in self.state.status.get(sensor, ""):
                raise _Unused("not released for use")
            self._append(sensor, TO_ROW[category](values, self._simulated, self.known.doppler_sign[sensor]))
        except _Unused as reason:
            self._refuse(self.known.ids[sensor], str(reason), f"{self._whose(values)}: found {reason}, expected a plot")

    def _sensor(self, values: Values) -> int | None:
        """Whose message it is; None where nobody's, which is told."""
        sac, sic = values[:2]
        if sac is None or sic is None:
            self._refuse("asterix", "no source", f"from {self._address}: found no item 010, expected SAC and SIC")
            return None
        sensor = self.known.by_codes.get((int(sac), int(sic)))
        if sensor is None:
            self._refuse("asterix", "unknown source", f"{self._whose(values)}: expected {self.known.codes}")
        elif self._owns(sensor):
            return sensor
        else:
            owners = " or ".join(self.known.addresses[sensor]) or self.state.address[sensor]
            found = f"{self._whose(values)}: expected from {owners}"
            self._refuse(self.known.ids[sensor], "codes claimed twice", found)
        return None

    def _whose(self, values: Values) -> str:
        return f"SAC {values[0]:.0f} SIC {values[1]:.0f} from {self._address}"

    def _refuse(self, source: str, reason: str, sample: str) -> None:
        self.refused.append(Refusal(source, reason, sample))

    # ---- who it is ------------------------------------------------------------------------------------------------

    def _owns(self, sensor: int) -> bool:
        """Whether the message comes from the radar that uses these codes."""
        owner, ours, named = self.state.address.get(sensor), self._address, self.known.addresses[sensor]
        if ours and named:
            if ours not in named:
                self._contest(sensor, f"{ours} uses its codes, which is not among its addresses")
                return False
        elif owner != ours:
            if owner is not None and self._received_ns - self.state.heard_ns[sensor] <= OWNER_NS:
                self._contest(sensor, f"{ours} uses its codes, which {owner} has")
                return False
            if owner is not None:
                self._tell(sensor, "ok", f"heard from {ours} now, from {owner} before")
        self.state.address[sensor] = ours
        self.state.heard_ns[sensor] = max(self._received_ns, self.state.heard_ns.get(sensor, 0))
        return True

    def _contest(self, sensor: int, text: str) -> None:
        """Tell that somebody else uses a radar's codes, once while it lasts."""
        if sensor not in self.state.claimed_ns:
            self._tell(sensor, "contested", f"{text}; what it sends is refused")
        self.state.claimed_ns[sensor] = self._received_ns

    def _tell(self, sensor: int, state: str, detail: str) -> None:
        component = self.known.ids[sensor]
        self._health.append(Health(time_ns=self.now_ns, component=component, state=state, detail=detail))

    def news(self) -> list[Health]:
        """What changed of the radars."""
        for sensor, claimed_ns in sorted(self.state.claimed_ns.items()):
            if self.now_ns - claimed_ns > OWNER_NS:
                del self.state.claimed_ns[sensor]
                self._tell(sensor, "ok", "nobody else uses its codes any more")
        return self._health

    # ---- what it says ---------------------------------------------------------------------------------------------

    def _service(self, sensor: int, values: Values) -> None:
        """A message of category 034: it lives, what is wrong with it, where its scan ends."""
        kind, nogo, overload, overload_out, bad_time = values[2:]
        self._count(sensor, {NORTH: "north marks", SECTOR: "sectors"}.get(int(kind or 0), "other"))
        if nogo is not None:
            faults = [
                NOT_RELEASED if nogo else "",
                "is overloaded" if overload or overload_out else "",
                "has no valid time" if bad_time else "",
            ]
            status = ", ".join(filter(None, faults))
            if status != self.state.status.get(sensor, ""):
                self._tell(sensor, "degraded" if status else "ok", status or "says that all is well")
                self.state.status[sensor] = status
        if NOT_RELEASED not in self.state.status.get(sensor, ""):
            self._close(sensor, scan_end=self.known.staring[sensor] and kind in (NORTH, SECTOR))

    def _append(self, sensor: int, row: Values) -> None:
        ticks = row[0]
        if ticks is None or not 0 <= ticks * TICK_NS < DAY_NS:
            raise _Unused("no time of day" if ticks is None else "an impossible time of day")
        row[0] = at_time_of_day(int(ticks), self._received_ns) * 1e-9
        row += [self._rcs_dbsm(sensor, row), self._received_ns * 1e-9]
        self._open.setdefault(sensor, []).append(row)

    def _rcs_dbsm(self, sensor: int, row: Values) -> float | None:
        """The cross-section that a plot of such strength at such a distance has; ASTERIX has no item for it."""
        one_m_dbsm, snr_db, range_m = self.known.one_m_dbsm[sensor], row[SNR], row[RANGE]
        if one_m_dbsm is None or snr_db is None or range_m is None or range_m <= 0.0:
            return None
        return min(max(one_m_dbsm + snr_db + 40.0 * math.log10(range_m), LEAST_DBSM), MOST_DBSM)

    def _count(self, sensor: int, what: str, count: int = 1) -> None:
        name = f"{self.known.ids[sensor]}: {what}"
        self.state.counts[name] = self.state.counts.get(name, 0) + count

    def _close(self, sensor: int, scan_end: bool = False) -> None:
        """Hand on a radar's rows so far; without any it was heard all the same."""
        rows = self._open.pop(sensor, [])
        self._count(sensor, "plots", len(rows))
        columns = dict(zip(NAMES, map(list, zip(*rows, strict=True)), strict=False))
        source = self.known.ids[sensor]
        self._done.append(PlotRows(received_ns=self._received_ns, source=source, columns=columns, scan_end=scan_end))

    def rows(self) -> list[PlotRows]:
        """All rows of the tick."""
        for sensor in sorted(self._open):
            self._close(sensor)
        return self._done


# ---- a record's picks -> time of day (1/128 s), range, azimuth, elevation, range rate, signal to noise ----------


def _plot_015(values: Values, simulated: bool | None, doppler_sign: float) -> Values:
    _, _, kind, statics, taxonomy, time_s, range_m, rate_mps, doppler_mps, az_deg, el_deg, snr_db = values
    if kind not in PLOT_TYPES:
        raise _Unused("a track" if kind in TRACK_TYPES else f"message type {kind or 0:.0f}")
    if statics == MULTISTATIC:
        raise _Unused("a range by way of several antennas")
    if taxonomy == REFERENCE:
        raise _Unused("a reference target")
    _refuse_other_world(taxonomy in SIMULATED, simulated)
    if range_m is None or az_deg is None:
        raise _Unused("no range and azimuth")
    rate = doppler_mps * doppler_sign if doppler_mps is not None else rate_mps
    return [_ticks(time_s), range_m, az_deg, el_deg, rate, snr_db]


def _plot_048(values: Values, simulated: bool | None, doppler_sign: float) -> Values:
    _, _, detection, is_simulated, field_monitor, is_test, time_s, range_nm, az_deg, doubtful, doppler_mps = values
    if range_nm is None or az_deg is None or detection == 0:
        raise _Unused("no range and azimuth" if detection else "no detection")
    if field_monitor:
        raise _Unused("a reference target")
    _refuse_other_world(bool(is_simulated or is_test), simulated)
    rate = None if doppler_mps is None or doubtful else doppler_mps * doppler_sign
    return [_ticks(time_s), range_nm * NM_M, az_deg, None, rate, None]


def _ticks(time_s: float | None) -> float | None:
    return None if time_s is None else time_s * 128.0


def _refuse_other_world(is_simulated: bool, wanted: bool | None) -> None:
    """A simulated target alarms nobody in earnest, and a real one is not lost among simulated ones."""
    if wanted is not None and is_simulated is not wanted:
        raise _Unused("a simulated target" if is_simulated else "a real target in an exercise")


TO_ROW: dict[int, Callable[[Values, bool | None, float], Values]] = {15: _plot_015, 48: _plot_048}
