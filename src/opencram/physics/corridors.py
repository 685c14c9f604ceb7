"""The site's corridors in metres: is something where one's own drones fly, and does it fly as they do?"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from opencram.physics.frames import geodetic_to_enu
from opencram.physics.layout import layout_of
from opencram.site import Site
from opencram.tables import FloatArray

LEVEL_SHARE, LEVEL_MPS = 0.35, 5.0
"""What climbs or sinks by less than this share of its speed, or by less than this, flies level."""


@dataclass(frozen=True, eq=False)
class Lane:
    """A corridor: the points along its middle (k, 2) east and north, m, and its limits."""

    middle_enu_m: FloatArray
    half_width_m: float
    floor_m: float
    ceiling_m: float
    max_speed_mps: float
    grace_ns: int

    def holds(self, east_m: float, north_m: float, height_m: float) -> bool:
        """Whether a point lies in it; its edges belong to it."""
        return self.floor_m <= height_m <= self.ceiling_m and self._aside_m(east_m, north_m) <= self.half_width_m

    def suits(self, vel_enu_mps: FloatArray) -> bool:
        """Whether one's own drones fly so: level and no faster than stated."""
        ve, vn, vu = vel_enu_mps.tolist()
        speed = math.hypot(ve, vn)
        return speed <= self.max_speed_mps and abs(vu) <= max(LEVEL_SHARE * speed, LEVEL_MPS)

    def _aside_m(self, east_m: float, north_m: float) -> float:
        """Distance from the middle line, or from the point where there is one alone."""
        start = self.middle_enu_m[:-1] if len(self.middle_enu_m) > 1 else self.middle_enu_m
        leg = np.diff(self.middle_enu_m, axis=0) if len(self.middle_enu_m) > 1 else np.zeros((1, 2))
        away = np.array([east_m, north_m]) - start
        along = (away * leg).sum(axis=1) / np.maximum((leg * leg).sum(axis=1), 1e-9)
        off = away - np.clip(along, 0.0, 1.0)[:, None] * leg
        return float(np.sqrt((off * off).sum(axis=1)).min())


@lru_cache(maxsize=16)
def lanes_of(site: Site) -> tuple[Lane, ...]:
    """The site's corridors, in its order."""
    return tuple(
        Lane(
            np.array([_flat(site, point.lat, point.lon) for point in corridor.path]),
            0.5 * corridor.width_m,
            corridor.floor_m,
            corridor.ceiling_m,
            corridor.max_speed_mps,
            round(corridor.grace_s * 1e9),
        )
        for corridor in site.corridors
    )


def lane_at(site: Site, enu_m: FloatArray) -> Lane | None:
    """The first corridor that holds a point (3,), if any does."""
    if not site.corridors:
        return None
    east, north, up = enu_m[:3].tolist()
    height_m = up + (east**2 + north**2) / (2.0 * layout_of(site).origin.radius_m)
    return next((lane for lane in lanes_of(site) if lane.holds(east, north, height_m)), None)


def _flat(site: Site, lat_deg: float, lon_deg: float) -> FloatArray:
    at = geodetic_to_enu(math.radians(lat_deg), math.radians(lon_deg), site.origin.height_m, layout_of(site).origin)
    return at[:2]
