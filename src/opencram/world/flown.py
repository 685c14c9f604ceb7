"""One body's whole flight, and the place and air that it flies in: what every way of drawing a flight shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opencram.physics.frames import Origin, geodetic_to_enu
from opencram.physics.place import clearance
from opencram.physics.threats import Threat
from opencram.world.scenario import Place, Waypoint, Weather

Floats = NDArray[np.float64]

NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Flown:
    """One thing's whole flight if nothing stops it."""

    id: str
    threat: Threat
    start_ns: int
    step_ns: int
    path: Floats
    """(n, 6): position and velocity in the site's ENU at start, start + step, ...; reaches past the end."""
    end_ns: int
    end_enu_m: Floats
    lands: bool
    """Whether it ends on the ground; else it leaves."""
    aim_zone: str | None
    aim_enu_m: Floats | None
    own: bool = False
    """The site's own, whatever its class."""

    @property
    def hostile(self) -> bool:
        """Whether it means harm."""
        return self.threat.family != "innocent" and not self.own

    @property
    def explodes(self) -> bool:
        """Whether it comes down as something that does harm: a bullet does not."""
        return self.lands and self.hostile


@dataclass(frozen=True, eq=False)
class Setting:
    """The place and the air that things fly in."""

    origin: Origin
    env: Floats
    air: Floats
    ground: Floats
    home: Origin
    """What the scenario's places are told from: `origin`, or that of its own site when it is played at one far away."""

    def ground_point(self, place: Place) -> Floats:
        """A place's position on the ground, ENU (3,)."""
        return geodetic_to_enu(math.radians(place.lat), math.radians(place.lon), self.home.height_m, self.home)

    def point(self, at: Waypoint) -> Floats:
        """A waypoint's position, ENU (3,)."""
        height_m = self.home.height_m + at.height_m
        return geodetic_to_enu(math.radians(at.lat), math.radians(at.lon), height_m, self.home)

    def on_ground(self, east_m: float, north_m: float) -> Floats:
        """The point of the ground there, ENU (3,)."""
        point = np.array([[east_m, north_m, -(east_m**2 + north_m**2) / (2.0 * self.origin.radius_m)]])
        point[:, 2] -= clearance(point, self.env, self.ground)
        on_it: Floats = point[0]
        return on_it


def wind_enu_mps(weather: Weather) -> tuple[float, float]:
    """Where the wind carries things, east and north."""
    towards = math.radians(weather.wind_from_deg.value) + math.pi
    speed = weather.wind_mps.value
    return speed * math.sin(towards), speed * math.cos(towards)
