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


SETTLES_NS = 3_000_000_000
"""So long after an object is first followed its velocity says nothing of whose it is."""


@dataclass(frozen=True)
class Own:
    """Whether a track is held for one's own."""

    yes: bool
    since_ns: int
    """When it was first followed."""
    inside_ns: int
    """When it was last inside a corridor, flying as one's own do."""


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


def still_own(last: Own | None, time_ns: int, mean: FloatArray, vel_enu_mps: FloatArray, site: Site) -> Own:
    """Whether a track that was so held until now still is, from its state (3 or more,) and its velocity (3,).

    Only what is first followed inside a corridor can be one's own, until it has been outside for too long: an attacker
    must not be cleared by crossing one.
    """
    since_ns = time_ns if last is None else last.since_ns
    if last is not None and not last.yes:
        return last
    lane = lane_at(site, mean)
    if lane is not None and (time_ns - since_ns < SETTLES_NS or lane.suits(vel_enu_mps)):
        return Own(True, since_ns, time_ns)
    if last is None:
        return Own(False, since_ns, time_ns)
    grace_ns = max((lane.grace_ns for lane in lanes_of(site)), default=0)
    return Own(time_ns - last.inside_ns <= grace_ns, since_ns, last.inside_ns)


def _flat(site: Site, lat_deg: float, lon_deg: float) -> FloatArray:
    at = geodetic_to_enu(math.radians(lat_deg), math.radians(lon_deg), site.origin.height_m, layout_of(site).origin)
    return at[:2]
