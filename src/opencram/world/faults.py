"""What is wrong with a radar, put on what it sends: offsets, a slow link; messages lost, repeated, false or doubled.

A radar without a fault sends what it sends, bit for bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import msgspec

from opencram import yamlfile
from opencram.errors import InputError
from opencram.site import Site
from opencram.tables import PlotRows
from opencram.world.radar import NS, Radar
from opencram.world.rng import generator
from opencram.world.scenario import Fault, Marked, Scenario, Span
from opencram.world.sky import Sky

TWICE_AFTER_NS = 30_000_000
"""The second copy of a message comes so much later."""
LIE_RANGE_M, LIE_AZIMUTH_DEG = 600.0, 8.0
"""How far a lying radar's plots are off: beyond any error of its setting up."""

Columns = dict[str, list[Any]]


def faults_of(scenario: Scenario, site: Site) -> dict[str, Fault]:
    """The scenario's faults by sensor; InputError names a sensor that the site does not have, or has twice."""
    ids = [s.id for s in site.sensors]
    found: dict[str, Fault] = {}
    for i, fault in enumerate(scenario.faults):
        where = f"{scenario.name}: faults[{i}].sensor"
        if fault.sensor not in ids:
            near = yamlfile.nearest(fault.sensor, ids)
            raise InputError(f"{where}: found '{fault.sensor}', expected {near} of the site {site.name}")
        if fault.sensor in found:
            raise InputError(f"{where}: found '{fault.sensor}' a second time, expected one entry a sensor")
        found[fault.sensor] = fault
    return found


class Faulty:
    """A radar with its fault, if it has one."""

    def __init__(self, radar: Radar, fault: Fault | None) -> None:
        self.radar, self.fault = radar, fault
        self._rng = generator(radar.seed, "lies", radar.sensor.id)
        self._turn: deque[PlotRows] = deque()
        self._repeated = 0

    def scan(self, sky: Sky, until_ns: int) -> Iterator[PlotRows]:
        """The messages of all looks that end by a time, in order, as they arrive."""
        for message in self.radar.scan(sky, until_ns):
            yield from [message] if self.fault is None else self._sent(message, self.fault)

    def _sent(self, message: PlotRows, fault: Fault) -> Iterator[PlotRows]:
        if self._within(fault.lost_s, message):
            return
        if self._within(fault.frozen_s, message):
            message = self._again(message)
        else:
            if self._within(fault.lying_s, message):
                message = self._lie(message, fault.lie.value)
            self._keep(message)
        message = _offset(message, fault)
        yield message
        if fault.twice.value:
            yield _later(message, TWICE_AFTER_NS)

    def _within(self, span: Marked[Span] | None, message: PlotRows) -> bool:
        passed_s = (message.received_ns - self.radar.start_ns) / NS
        return span is not None and span.value.least <= passed_s < span.value.most

    def _keep(self, message: PlotRows) -> None:
        """Remember the messages of the last turn: what a radar that freezes goes on sending."""
        self._turn.append(message)
        update_ns = round(self.radar.sensor.update_s * NS)
        while self._turn[-1].received_ns - self._turn[0].received_ns > 0.9 * update_ns and len(self._turn) > 1:
            self._turn.popleft()
        self._repeated = 0

    def _again(self, message: PlotRows) -> PlotRows:
        """The next of the remembered messages, as if it had been measured now."""
        if not self._turn:
            return message
        old = self._turn[self._repeated % len(self._turn)]
        self._repeated += 1
        since_s = (message.received_ns - old.received_ns) / NS
        columns = dict(old.columns, time=[round(t + since_s, 6) for t in old.columns["time"]])
        columns["received"] = [round(message.received_ns * 1e-9, 6)] * len(columns["time"])
        return msgspec.structs.replace(message, columns=columns)

    def _lie(self, message: PlotRows, lie: str) -> PlotRows:
        columns = dict(message.columns)
        if lie == "shifted":
            return msgspec.structs.replace(message, columns=_moved(columns, LIE_RANGE_M, LIE_AZIMUTH_DEG, 0.0))
        c = self.radar.sensor.coverage
        n = len(columns["time"])
        width = (c.azimuth_to_deg - c.azimuth_from_deg) % 360.0 or 360.0
        reach, az, el = self._rng.random((3, n))
        columns["range_m"] = (c.min_range_m + reach * (c.max_range_m - c.min_range_m)).round(1).tolist()
        columns["azimuth_deg"] = ((c.azimuth_from_deg + az * width) % 360.0).round(4).tolist()
        if self.radar.sensor.elevation_sigma_mrad is not None:
            spread = el * (c.max_elevation_deg - c.min_elevation_deg)
            columns["elevation_deg"] = (c.min_elevation_deg + spread).round(4).tolist()
        return msgspec.structs.replace(message, columns=columns)


def _offset(message: PlotRows, fault: Fault) -> PlotRows:
    """The message with the sensor's registration and clock off, and late."""
    range_m, az_deg, el_deg = fault.range_m.value, fault.azimuth_deg.value, fault.elevation_deg.value
    columns, clock_s = message.columns, fault.clock_s.value
    if range_m or az_deg or el_deg:
        columns = _moved(columns, range_m, az_deg, el_deg)
    if clock_s:
        columns = dict(columns, time=[round(t + clock_s, 6) for t in columns["time"]])
    message = msgspec.structs.replace(message, columns=columns)
    return _later(message, round(fault.latency_s.value * NS)) if fault.latency_s.value else message


def _moved(columns: Columns, range_m: float, az_deg: float, el_deg: float) -> Columns:
    moved = dict(columns)
    moved["range_m"] = [round(max(r + range_m, 0.1), 1) for r in columns["range_m"]]
    moved["azimuth_deg"] = [round(round(a + az_deg, 4) % 360.0, 4) for a in columns["azimuth_deg"]]
    moved["elevation_deg"] = [e if e is None else round(e + el_deg, 4) for e in columns["elevation_deg"]]
    return moved


def _later(message: PlotRows, by_ns: int) -> PlotRows:
    """The same message, received later."""
    received_ns = message.received_ns + by_ns
    columns = dict(message.columns, received=[round(received_ns * 1e-9, 6)] * len(message.columns["time"]))
    return msgspec.structs.replace(message, received_ns=received_ns, columns=columns)
