"""What lingers in a radar's picture: cells of ground that stand still, and the thick parts of rain, which drift.

Each radar draws its own cells: what the ground gives depends on where one looks from. How many, and how often each
gives a plot, is the scenario's; what real radars leave after their moving-target filters differs by orders of magnitude
(Skolnik, Radar Handbook, chapters on clutter and on MTI), so all of it is assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from opencram.physics.frames import spherical_to_enu
from opencram.site import Sensor
from opencram.world.echoes import Floats, Look
from opencram.world.flown import NS, Setting, wind_enu_mps
from opencram.world.rng import generator
from opencram.world.scenario import Clutter, Ground, Shower, Weather

GROUND_RATE_MPS, RAIN_RATE_MPS = 0.3, 1.5
"""One sigma of the range rate: leaves in the wind; turbulence in rain (Skolnik: about 1 to 2 m/s)."""
RAIN_FALLS_MPS = 6.0
"""Speed of middling drops, Gunn and Kinzer 1949."""
LOW_RAD = np.radians(1.0)
"""Ground shows up within this above the radar's lowest elevation: the beam's lower edge touches it."""
CELL_SIGMA_M = 30.0
"""One sigma, each way, of where in its cell the thick part of rain lies at a look (assumed)."""

Seen = tuple[Floats, Floats, Floats]


@dataclass(frozen=True, eq=False)
class Posture:
    """Where a radar stands, ENU (3,), and its own axes (3, 3): east, north, up."""

    enu_m: Floats
    rot: Floats


class Cells(Protocol):
    """Something that lingers, as one radar sees it."""

    def seen(self, look: Look) -> Seen:
        """Of the cells that show up in a look: ENU position (n, 3), range rate (m/s, n), draws (n, 5).

        A rotating radar's slice gets those of all azimuths, and keeps its own. The draws are four normal ones for the
        noise and an exponential one for the power.
        """
        ...


def cells_of(
    clutter: Clutter, weather: Weather, setting: Setting, sensor: Sensor, stands: Posture, seed: int, start_ns: int
) -> list[Cells]:
    """All that lingers for one radar."""
    ground: list[Cells] = [] if clutter.ground is None else [GroundCells(clutter.ground, sensor, stands, seed)]
    return ground + [Rain(s, weather, setting, sensor.id, stands, seed, start_ns) for s in clutter.showers]


class GroundCells:
    """Cells at low elevation, as near as the ground reaches, that give plots again and again."""

    def __init__(self, ground: Ground, sensor: Sensor, stands: Posture, seed: int) -> None:
        self._rng = generator(seed, "ground", sensor.id)
        n, cover = ground.cells.value, sensor.coverage
        width_rad = np.radians((cover.azimuth_to_deg - cover.azimuth_from_deg) % 360.0 or 360.0)
        share, reach, low, often = self._rng.random((4, n))
        az = np.radians(cover.azimuth_from_deg) + share * width_rad
        far_m = min(max(ground.reach_m.value, cover.min_range_m + 1.0), cover.max_range_m)
        range_m = cover.min_range_m + reach * (far_m - cover.min_range_m)
        el = np.radians(cover.min_elevation_deg) + low * LOW_RAD
        local = np.array([spherical_to_enu(*x) for x in zip(range_m, az, el, strict=True)])
        self._pos = stands.enu_m + local @ stands.rot
        span = ground.chance.value
        self._chance = span.least + often * (span.most - span.least)

    def seen(self, look: Look) -> Seen:
        """As `Cells.seen`."""
        rows = np.flatnonzero(self._rng.random(len(self._chance)) < self._chance)
        draws = _draws(self._rng, len(rows))
        rate = GROUND_RATE_MPS * self._rng.standard_normal(len(rows))
        return self._pos[rows], rate, draws


class Rain:
    """A shower: cells that drift with the wind while it lasts."""

    def __init__(
        self, shower: Shower, weather: Weather, setting: Setting, sensor: str, stands: Posture, seed: int, start_ns: int
    ) -> None:
        shape = generator(seed, "shower", shower.id)
        n, radius_m = shower.cells.value, shower.radius_m.value
        away, at, up, often = shape.random((4, n))
        flat = radius_m * np.sqrt(away)
        angle = 2.0 * np.pi * at
        middle = setting.ground_point(shower.at.value)
        self._pos = middle + np.column_stack([flat * np.sin(angle), flat * np.cos(angle), shower.top_m.value * up])
        self._wind = np.array([*wind_enu_mps(weather), 0.0])
        span = shower.chance.value
        self._chance = span.least + often * (span.most - span.least)
        self._from_ns = start_ns + round(shower.first_s.value * NS)
        self._until_ns = self._from_ns + round(shower.life_s.value * NS)
        self._stands, self._rng = stands, generator(seed, "rain", shower.id, sensor)

    def seen(self, look: Look) -> Seen:
        """As `Cells.seen`."""
        now_ns = look.start_ns
        there = self._from_ns <= now_ns < self._until_ns
        rows = np.flatnonzero(self._rng.random(len(self._chance)) < self._chance) if there else np.empty(0, np.int64)
        draws, within, swirl = _draws(self._rng, len(rows)), *self._strays(len(rows))
        pos = self._pos[rows] + (now_ns - self._from_ns) / NS * self._wind + within
        away = pos - self._stands.enu_m
        falls = self._wind - [0.0, 0.0, RAIN_FALLS_MPS]
        rate = (away * falls).sum(axis=1) / np.maximum(np.sqrt((away**2).sum(axis=1)), 1.0) + swirl
        return pos, rate, draws

    def _strays(self, n: int) -> tuple[Floats, Floats]:
        return CELL_SIGMA_M * self._rng.standard_normal((n, 3)), RAIN_RATE_MPS * self._rng.standard_normal(n)


def _draws(rng: np.random.Generator, n: int) -> Floats:
    return np.column_stack([rng.standard_normal((n, 4)), rng.standard_exponential(n)])
