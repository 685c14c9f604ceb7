"""A radar as seen from outside: what it detects of what is truly there, how well, and what it makes up.

Range equation: SNR falls with range to the fourth and rises with the radar cross-section, from the sensor's stated
reference point. Fluctuation is Swerling's case 1: signal and noise together have an exponentially distributed power of
mean 1 + SNR (noise: 1), so a threshold at -ln(Pfa) is exceeded with Pd = Pfa^(1 / (1 + SNR)).
Richards, Fundamentals of Radar Signal Processing, 2005, chapter 6; Skolnik, Radar Handbook, chapter 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opencram.physics.frames import enu_to_spherical
from opencram.physics.layout import DEFAULT_FALSE_PLOTS, Layout
from opencram.site import Sensor
from opencram.tables import PlotRows
from opencram.world.clutter import Cells
from opencram.world.echoes import Echoes, Look
from opencram.world.rng import generator
from opencram.world.sky import Sky

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NS = 1_000_000_000
TURN = 2.0 * math.pi

FALSE_ALARM = 1e-6
"""Per resolution cell and look, a usual value: sets the threshold; the site says how many false plots come."""
THRESHOLD = -math.log(FALSE_ALARM)
WORST_SIGMA = 3.0
"""Noise follows 1 / sqrt(SNR) below the reference SNR, up to this multiple of the site's sigma. Above it the site's
sigma holds: what is left then is the radar's own, not noise."""
FALSE_RATE_MPS = 400.0
"""A false plot's range rate is anything up to this, closing or receding."""
REFRACTION = 4.0 / 3.0
"""The earth's radius, as radar waves bend over it, Skolnik."""
JITTER_NS = 5_000_000
"""A plot message leaves up to this much later than the stated latency."""


class Radar:
    """One sensor of the site, from the world's start; `scan` gives what it sends over a stretch of time."""

    def __init__(
        self,
        number: int,
        sensor: Sensor,
        layout: Layout,
        seed: int,
        start_ns: int,
        tick_ns: int,
        cells: Sequence[Cells] = (),
    ) -> None:
        self._cells = cells
        self.sensor, self.seed, self.start_ns = sensor, seed, start_ns
        self._tick_ns = tick_ns
        self._enu_m, self._rot = layout.sensor_enu_m[number], layout.sensor_rot[number]
        self._near, self._far, self._az_from, self._az_width, self._low, self._high = layout.coverage[number].tolist()
        self._sigma = np.nan_to_num(layout.sensor_sigma[number])
        self._false = DEFAULT_FALSE_PLOTS if sensor.false_plots_per_scan is None else sensor.false_plots_per_scan
        self._update_ns = int(layout.update_ns[number])
        self._earth_m = layout.origin.radius_m
        self._ref_snr = 10.0 ** (sensor.reference.snr_db / 10.0)
        self._clutter = generator(seed, "clutter", sensor.id)
        self._timing = generator(seed, "timing", sensor.id)
        self._phase = float(self._timing.uniform())
        self._next_ns = start_ns + (0 if self._rotates else round(self._phase * self._update_ns))
        self._draws: list[Floats] = []

    @property
    def _rotates(self) -> bool:
        return self.sensor.kind == "rotating"

    def scan(self, sky: Sky, until_ns: int) -> Iterator[PlotRows]:
        """The messages of all looks that end by a time, in order."""
        for look in self._looks(until_ns):
            yield self._message(look, self._detected(look, sky))

    def mean_snr(self, rcs_m2: Floats, range_m: Floats) -> Floats:
        """Signal over noise (linear), by the range equation from the reference point."""
        reference = self.sensor.reference
        snr: Floats = self._ref_snr * (rcs_m2 / reference.rcs_m2) * (reference.range_m / range_m) ** 4
        return snr

    # ---- when it looks --------------------------------------------------------------------------------------------

    def _looks(self, until_ns: int) -> Iterator[Look]:
        if not self._rotates:
            while self._next_ns <= until_ns:
                period = (self._next_ns - self.start_ns) // self._update_ns
                yield Look(self._next_ns, 0, period, self._az_from, self._az_width, True)
                self._next_ns += self._update_ns
            return
        half_ns = self._update_ns // 2
        while (end_ns := self._slice_end(half_ns)) <= until_ns:
            passed = self._next_ns - self.start_ns
            az = (self._phase + passed / self._update_ns) % 1.0 * TURN
            width = (end_ns - self._next_ns) / self._update_ns * TURN
            length, ends = end_ns - self._next_ns, (end_ns - self.start_ns) % half_ns == 0
            yield Look(self._next_ns, length, passed // self._update_ns, az, width, ends)
            self._next_ns = end_ns

    def _slice_end(self, half_ns: int) -> int:
        """A slice ends with the tick or with the half turn, whichever comes first."""
        passed = self._next_ns - self.start_ns
        return self.start_ns + min((passed // unit + 1) * unit for unit in (self._tick_ns, half_ns))

    # ---- what it sees ---------------------------------------------------------------------------------------------

    def _detected(self, look: Look, sky: Sky) -> Echoes:
        echoes = self._merged(self._in_view(look, sky))
        draws = self._draws_of(echoes.body, look, sky)
        power = (1.0 + echoes.snr) * draws[:, 4]
        found = power > THRESHOLD
        return self._measured(echoes.take(found), power[found] - 1.0, draws[found, :4])

    def _in_view(self, look: Look, sky: Sky) -> Echoes:
        which = sky.alive(look.start_ns)
        times = np.full(len(which), look.start_ns, np.int64)
        pos, vel = sky.at(times, which)
        reach, az, el = enu_to_spherical(self._local(pos))
        if look.length_ns:
            # the beam comes by at a time of its own for each
            share = np.mod(az - look.az_rad, TURN) / look.width_rad
            swept = share < 1.0
            which, times = which[swept], times[swept] + (share[swept] * look.length_ns).astype(np.int64)
            met = times < sky.end_ns[which]
            which, times = which[met], times[met]
            pos, vel = sky.at(times, which)
            reach, az, el = enu_to_spherical(self._local(pos))
        rate = ((pos - self._enu_m) * vel).sum(axis=1) / np.maximum(reach, 1.0)
        snr = self.mean_snr(sky.rcs_m2[which], np.maximum(reach, 1.0))
        seen = self._covers(reach, az, el) & self._above_horizon(pos)
        return Echoes(times, reach, az, el, rate, snr, which).take(seen)

    def _local(self, pos_enu_m: Floats) -> Floats:
        x, y, z = (pos_enu_m - self._enu_m).T
        return np.stack([x * r[0] + y * r[1] + z * r[2] for r in self._rot], axis=-1)

    def _covers(self, reach: Floats, az: Floats, el: Floats) -> NDArray[np.bool_]:
        turned = np.mod(az - self._az_from, TURN) <= self._az_width
        inside: NDArray[np.bool_] = (
            turned & (reach >= self._near) & (reach <= self._far) & (el >= self._low) & (el <= self._high)
        )
        return inside

    def _above_horizon(self, pos_enu_m: Floats) -> NDArray[np.bool_]:
        """Whether the earth's bulge leaves the line of sight free: the sum of both ends' distances to the horizon."""
        reach = 2.0 * REFRACTION * self._earth_m
        own = np.sqrt(reach * max(float(_height(self._enu_m[None], self._earth_m)[0]), 0.0))
        far = np.sqrt(reach * np.maximum(_height(pos_enu_m, self._earth_m), 0.0))
        flat = np.hypot(pos_enu_m[:, 0] - self._enu_m[0], pos_enu_m[:, 1] - self._enu_m[1])
        free: NDArray[np.bool_] = flat <= own + far
        return free

    def _merged(self, echoes: Echoes) -> Echoes:
        """Echoes within one resolution cell of each other as one, at their power-weighted centre."""
        n = len(echoes.body)
        if n < 2:
            return echoes
        cell = self.sensor.resolution
        apart_az = np.abs(np.mod(echoes.az_rad[:, None] - echoes.az_rad + math.pi, TURN) - math.pi)
        near = np.abs(echoes.range_m[:, None] - echoes.range_m) < cell.range_m
        near &= apart_az < math.radians(cell.azimuth_deg)
        if self.sensor.elevation_sigma_mrad is not None:
            near &= np.abs(echoes.el_rad[:, None] - echoes.el_rad) < math.radians(cell.elevation_deg)
        if near.sum() == n:
            return echoes
        groups = _linked(near)
        return Echoes.together([_centre(echoes, rows) for rows in groups])

    def _draws_of(self, body: Ints, look: Look, sky: Sky) -> Floats:
        """Four normal draws and an exponential one (n, 5), of each body's own stream with this sensor."""
        for flown in sky.bodies[len(self._draws) :]:
            rng = generator(self.seed, "echo", self.sensor.id, flown.id)
            n = (flown.end_ns - flown.start_ns) // self._update_ns + 3
            self._draws.append(np.column_stack([rng.standard_normal((n, 4)), rng.standard_exponential(n)]))
        first = np.maximum(sky.start_ns[body] - self.start_ns, 0) // self._update_ns
        rows = [self._draws[b][look.period - f] for b, f in zip(body.tolist(), first.tolist(), strict=True)]
        return np.array(rows).reshape(len(body), 5)

    def _measured(self, echoes: Echoes, snr: Floats, draws: Floats) -> Echoes:
        scale = np.clip(np.sqrt(self._ref_snr / snr), 1.0, WORST_SIGMA)[:, None]
        noise = draws * scale * self._sigma
        return Echoes(
            echoes.time_ns,
            echoes.range_m + noise[:, 0],
            echoes.az_rad + noise[:, 1],
            echoes.el_rad + noise[:, 2],
            echoes.rate_mps + noise[:, 3],
            snr,
            echoes.body,
        )

    def _made_up(self, look: Look) -> Echoes:
        """False plots, uniform in range, azimuth and elevation over the coverage."""
        rng = self._clutter
        n = int(rng.poisson(self._false * look.width_rad / self._az_width))
        share, reach, el, rate = rng.random((4, n))
        power = rng.standard_exponential(n)
        az = look.az_rad + share * look.width_rad
        echoes = Echoes(
            look.start_ns + (share * look.length_ns).astype(np.int64),
            self._near + reach * (self._far - self._near),
            az,
            self._low + el * (self._high - self._low),
            FALSE_RATE_MPS * (2.0 * rate - 1.0),
            THRESHOLD + power - 1.0,
            np.full(n, -1),
        )
        return echoes.take(np.mod(az - self._az_from, TURN) <= self._az_width)

    def _lingering(self, look: Look, cells: Cells) -> Echoes:
        """Plots of ground or rain: like any weak echo's, with noise of the worst."""
        pos, rate, draws = cells.seen(look)
        reach, az, el = enu_to_spherical(self._local(pos))
        noise = WORST_SIGMA * draws[:, :4] * self._sigma
        share = np.mod(az - look.az_rad, TURN) / look.width_rad
        echoes = Echoes(
            look.start_ns + (share * look.length_ns).astype(np.int64),
            reach + noise[:, 0],
            az + noise[:, 1],
            el + noise[:, 2],
            rate + noise[:, 3],
            THRESHOLD + draws[:, 4] - 1.0,
            np.full(len(pos), -1),
        )
        return echoes.take(self._covers(reach, az, el) & (share <= 1.0))

    # ---- what it sends --------------------------------------------------------------------------------------------

    def _message(self, look: Look, seen: Echoes) -> PlotRows:
        both = Echoes.together([seen, self._made_up(look), *(self._lingering(look, cells) for cells in self._cells)])
        both = both.take(np.lexsort((both.range_m, both.time_ns)))
        end_ns = look.start_ns + look.length_ns
        received_ns = end_ns + round(self.sensor.latency_s * NS) + int(self._timing.integers(JITTER_NS))
        columns = self._columns(both, received_ns)
        return PlotRows(received_ns=received_ns, source=self.sensor.id, columns=columns, scan_end=look.scan_end)

    def _columns(self, plots: Echoes, received_ns: int) -> dict[str, list[Any]]:
        """The rows as an encoder would write them: rounded, angles in degrees, None for what is not measured."""
        n, sensor, reference = len(plots.body), self.sensor, self.sensor.reference
        snr_db = 10.0 * np.log10(plots.snr)
        rcs = plots.snr / self._ref_snr * reference.rcs_m2 * (plots.range_m / reference.range_m) ** 4
        columns: dict[str, list[Any]] = {
            "time": np.round(plots.time_ns * 1e-9, 6).tolist(),
            "sensor": [sensor.id] * n,
            "range_m": np.round(np.maximum(plots.range_m, 0.1), 1).tolist(),
            "azimuth_deg": np.mod(np.round(np.degrees(plots.az_rad), 4), 360.0).round(4).tolist(),
            "elevation_deg": np.round(np.degrees(plots.el_rad), 4).tolist(),
            "range_rate_mps": np.round(plots.rate_mps, 1).tolist(),
            "snr_db": np.round(snr_db, 1).tolist(),
            "rcs_dbsm": np.round(10.0 * np.log10(np.maximum(rcs, 1e-9)), 1).tolist(),
            "received": [round(received_ns * 1e-9, 6)] * n,
        }
        if sensor.elevation_sigma_mrad is None:
            columns["elevation_deg"] = [None] * n
        if sensor.range_rate_sigma_mps is None:
            del columns["range_rate_mps"]
        return columns


def _height(pos_enu_m: Floats, radius_m: float) -> Floats:
    """Height over a sphere that touches the origin."""
    height: Floats = pos_enu_m[:, 2] + (pos_enu_m[:, 0] ** 2 + pos_enu_m[:, 1] ** 2) / (2.0 * radius_m)
    return height


def _linked(near: NDArray[np.bool_]) -> list[Ints]:
    """Groups of rows that are linked to each other, directly or through others, in order of their first row."""
    left = np.ones(len(near), np.bool_)
    groups = []
    for first in range(len(near)):
        if not left[first]:
            continue
        inside = np.zeros(len(near), np.bool_)
        inside[first] = True
        while (grown := np.asarray(near[inside].any(axis=0))).sum() > inside.sum():
            inside = grown
        left &= ~inside
        groups.append(np.flatnonzero(inside))
    return groups


def _centre(echoes: Echoes, rows: Ints) -> Echoes:
    """Several echoes as one: powers add, the rest is weighted by power; time and draws are the strongest one's."""
    if len(rows) == 1:
        return echoes.take(rows)
    part = echoes.take(rows)
    total = part.snr.sum()
    weight = part.snr / total
    best = int(np.argmax(part.snr))
    az = part.az_rad[best] + (weight * (np.mod(part.az_rad - part.az_rad[best] + math.pi, TURN) - math.pi)).sum()
    return Echoes(
        part.time_ns[[best]],
        np.array([(weight * part.range_m).sum()]),
        np.array([az]),
        np.array([(weight * part.el_rad).sum()]),
        np.array([(weight * part.rate_mps).sum()]),
        np.array([total]),
        part.body[[best]],
    )
