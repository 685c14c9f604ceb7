"""Where a warning holds, as CAP says it; what the schema lets pass and no map can draw is found here.

A ring that cannot be drawn is warned by the circle around it; where not even that makes sense, by the zone's name and
geocode alone. The alert goes out in any case.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from opencram.fields import MAX_EXTENT_M
from opencram.site import Position, Zone

Point = tuple[float, float]
"""Latitude, longitude in degrees."""

MIN_POINTS = 4
"""CAP 1.2, polygon: at least four pairs, the last the same as the first."""
MAX_POINTS = 1_000
"""Of one ring; it stands in the message once for each language, which makes some 70 kB."""
MAX_RADIUS_KM = 1_000.0
"""A wider circle is a slip of the unit: CAP's are kilometres."""
MIN_CIRCLE_KM = 0.05


@dataclass(frozen=True)
class Area:
    """CAP polygons and circles, and what was wrong with the rings that are not among the polygons."""

    polygons: tuple[str, ...]
    circles: tuple[str, ...]
    faults: tuple[str, ...]


def area_of(zone: Zone, origin: Position | None = None) -> Area:
    """The zone's area. CAP has no holes: a hole is warned too, it lies in the middle of the danger.

    `origin` is the site's, near which the zone has to be.
    """
    polygons, circles, faults = [], [], []
    for exterior, *_ in zone.rings:
        points = closed([(round(lat, 6), round(lon, 6)) for lon, lat in exterior])
        fault = ring_fault(points)
        far = origin is not None and _far(points, origin)
        if not fault and not far:
            polygons.append(" ".join(_pair(point) for point in points))
        else:
            circles += [] if far else _circle(points)
            faults.append(fault or str(far))
    return Area(tuple(polygons), tuple(circles), tuple(faults))


def closed(points: Sequence[Point]) -> list[Point]:
    """The ring without repeated points, its last the same as its first."""
    kept = [point for i, point in enumerate(points) if i == 0 or point != points[i - 1]]
    return [*kept, kept[0]] if kept and kept[0] != kept[-1] else kept


def ring_fault(points: Sequence[Point]) -> str:
    """What keeps a ring of (lat, lon) from being a polygon: 'found ..., expected ...'; empty if nothing does."""
    if len(points) < MIN_POINTS:
        return f"found {len(points)} points, expected at least {MIN_POINTS}"
    if len(points) > MAX_POINTS:
        return f"found {len(points)} points, expected at most {MAX_POINTS}"
    if bad := [point for point in points if not _on_earth(point)]:
        return f"found the point {_pair(bad[0])}, expected a latitude within ±90 and a longitude within ±180"
    if points[0] != points[-1]:
        return f"found it open from {_pair(points[0])} to {_pair(points[-1])}, expected it closed"
    lons = [lon for _, lon in points]
    if max(lons) - min(lons) > 180.0:
        return f"found it {max(lons) - min(lons):.0f} degrees wide, expected one that stays on its side of ±180"
    return _crossing(points)


def circle_fault(lat: float, lon: float, radius_km: float) -> str:
    """The same of a circle."""
    if not _on_earth((lat, lon)):
        return f"found the centre {_pair((lat, lon))}, expected a latitude within ±90 and a longitude within ±180"
    if not 0.0 <= radius_km <= MAX_RADIUS_KM:
        return f"found a radius of {radius_km:g} km, expected 0 to {MAX_RADIUS_KM:g}"
    return ""


def _crossing(points: Sequence[Point]) -> str:
    from shapely import Polygon
    from shapely.validation import explain_validity

    shape = Polygon([(lon, lat) for lat, lon in points])
    if not shape.convex_hull.area > 0.0:
        return "found no area, expected one"
    if shape.is_valid:
        return ""
    reason, _, spot = explain_validity(shape).partition("[")
    lon, lat = (float(x) for x in spot.rstrip("]").split()[:2])
    what = "it crossing itself" if "Self-inter" in reason else reason.strip().lower()
    return f"found {what} at {_pair((lat, lon))}, expected a simple outline"


def _far(points: Sequence[Point], origin: Position) -> str:
    """What is wrong with where a ring lies; with latitude and longitude exchanged it is somewhere else."""
    usable = [point for point in points if _on_earth(point)]
    if not usable:
        return "found no point on the earth, expected the zone's outline"
    away_m = max(origin.distance_m(*point) for point in usable)
    if away_m <= MAX_EXTENT_M:
        return ""
    turned_m = max(origin.distance_m(lon, lat) for lat, lon in usable)
    hint = "; latitude and longitude are exchanged" if turned_m < away_m else ""
    return f"found it {away_m / 1e3:.0f} km from the site, expected at most {MAX_EXTENT_M / 1e3:g} km{hint}"


def _circle(points: Sequence[Point]) -> list[str]:
    """The circle around a ring's points, rounded outwards."""
    usable = [point for point in points if _on_earth(point)]
    if not usable or len(usable) < len(points):
        return []  # where one point is nonsense, the others are not to be trusted
    lats, lons = zip(*usable, strict=True)
    centre = Position(lat=(min(lats) + max(lats)) / 2.0, lon=(min(lons) + max(lons)) / 2.0)
    radius_km = max(centre.distance_m(*point) for point in usable) / 1e3
    radius_km = max(math.ceil(radius_km * 1e3 * 1.01) / 1e3, MIN_CIRCLE_KM)  # distance_m is good to 0.6 %
    if radius_km > MAX_EXTENT_M / 1e3:
        return []
    return [f"{_pair((centre.lat, centre.lon))} {radius_km:.3f}"]


def _on_earth(point: Point) -> bool:
    return abs(point[0]) <= 90.0 and abs(point[1]) <= 180.0  # NaN is not


def _pair(point: Point) -> str:
    return f"{point[0]:.6f},{point[1]:.6f}"
