"""A site for tests: square zones laid out in metres around an origin, one radar, and what the test adds."""

from typing import Any

import numpy as np

from opencram.physics.frames import Origin, enu_to_geodetic
from opencram.site import Site

ORIGIN = Origin(float(np.radians(33.3)), float(np.radians(44.4)))
SECOND_NS = 1_000_000_000
START_NS = 1_600_000_000 * SECOND_NS


def lonlat(east_m: float, north_m: float) -> tuple[float, float]:
    """Degrees of a point on the ground plane."""
    lat, lon, _ = enu_to_geodetic(np.array([east_m, north_m, 0.0]), ORIGIN)
    return float(np.degrees(lon)), float(np.degrees(lat))


def position(east_m: float, north_m: float) -> dict[str, float]:
    lon, lat = lonlat(east_m, north_m)
    return {"lat": lat, "lon": lon}


def square(zone_id: str, east_m: float, north_m: float, half_m: float = 200.0, **more: Any) -> dict[str, Any]:
    """A square zone by its centre and half its side."""
    corners = [(-half_m, -half_m), (half_m, -half_m), (half_m, half_m), (-half_m, half_m)]
    ring = tuple(lonlat(east_m + e, north_m + n) for e, n in corners)
    return {"id": zone_id, "title": {"en": zone_id}, "rings": (((*ring, ring[0]),),), **more}


RADAR = {
    "id": "radar",
    "position": position(0.0, 0.0),
    "range_sigma_m": 10.0,
    "azimuth_sigma_mrad": 2.0,
    "elevation_sigma_mrad": 2.0,
    "update_s": 0.1,
}


def site_of(zones: list[dict[str, Any]], **more: Any) -> Site:
    """A site with these zones."""
    return Site.model_validate(
        {"name": "small", "origin": position(0.0, 0.0), "zones": zones, "sensors": [RADAR], **more}
    )
