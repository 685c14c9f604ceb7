"""Zones as people draw them: a GeoJSON FeatureCollection of polygons, each checked before anything is made of it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any, NoReturn

from opencram.errors import InputError

LonLat = tuple[float, float]
Rings = tuple[tuple[LonLat, ...], ...]

MAX_CORNERS = 20_000
"""Corners of one zone; a coast at full resolution has fewer within 100 km."""


def read_zones(text: str, name: str) -> list[dict[str, Any]]:
    """The features of a GeoJSON text, each with `where` (for messages), `properties` and `rings`.

    `rings` are the feature's polygons, each an exterior and its holes, closed, as (lon, lat) in degrees. InputError
    where a feature is no Polygon or MultiPolygon, crosses itself, is not closed, has no area or is not on the globe.
    """
    features = _features(_parsed(text, name), name)
    return [_zone(feature, f"{name}: features[{i}]") for i, feature in enumerate(features)]


def _parsed(text: str, name: str) -> Any:  # noqa: ANN401
    def refuse(word: str) -> NoReturn:
        raise InputError(f"{name}: found {word}, expected finite numbers")

    try:
        return json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        where = f"{name} line {error.lineno} column {error.colno}"
        raise InputError(f"{where}: found text that is not GeoJSON ({error.msg})") from None
    except (RecursionError, ValueError):
        raise InputError(f"{name}: found text that is not GeoJSON (too deep, or a number too long)") from None


def _features(data: Any, name: str) -> list[Any]:  # noqa: ANN401
    kind = data.get("type") if isinstance(data, dict) else type(data).__name__
    if kind != "FeatureCollection" or not isinstance(data.get("features"), list):
        raise InputError(f"{name}: found {kind!r}, expected a GeoJSON FeatureCollection with a list of features")
    if not data["features"]:
        raise InputError(f"{name}: found no features, expected at least one zone")
    crs = json.dumps(data.get("crs"))
    if data.get("crs") is not None and not any(word in crs for word in ("CRS84", "4326")):
        raise InputError(f"{name}: found the coordinate system {crs[:80]}, expected WGS 84 (CRS84, EPSG:4326)")
    features: list[Any] = data["features"]
    return features


def _zone(feature: Any, where: str) -> dict[str, Any]:  # noqa: ANN401
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise InputError(f"{where}: found no Feature, expected one")
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise InputError(f"{where}.properties: found no keys and values, expected at least an id")
    if properties.get("id") in (None, ""):
        raise InputError(f"{where}.properties.id: found nothing, expected the zone's id")
    where = f"{where} (zone '{str(properties['id'])[:64]}')"
    geometry = feature.get("geometry") or {}
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if kind not in {"Polygon", "MultiPolygon"}:
        raise InputError(f"{where}: found the geometry {kind!r}, expected a Polygon or a MultiPolygon")
    parts = geometry.get("coordinates")
    polygons = _each(parts if kind == "MultiPolygon" else [parts], where, _polygon)
    _check_shape(polygons, where)
    return {"where": where, "properties": properties, "rings": polygons}


def _each(items: Any, where: str, read: Callable[[Any, str], Any]) -> tuple[Any, ...]:  # noqa: ANN401
    if not isinstance(items, list) or not items:
        raise InputError(f"{where}: found no coordinates, expected nested lists of [longitude, latitude]")
    return tuple(read(item, where) for item in items)


def _polygon(rings: Any, where: str) -> Rings:  # noqa: ANN401
    return _each(rings, where, _ring)


def _ring(points: Any, where: str) -> tuple[LonLat, ...]:  # noqa: ANN401
    ring: tuple[LonLat, ...] = _each(points, where, _point)
    if len(ring) > MAX_CORNERS:
        raise InputError(f"{where}: found a ring with {len(ring)} corners, expected at most {MAX_CORNERS}")
    if ring[0] != ring[-1]:
        raise InputError(f"{where}: found a ring from {_at(ring[0])} to {_at(ring[-1])}, expected a closed one")
    if len(ring) < 4:
        raise InputError(f"{where}: found a ring with {len(ring)} positions, expected 4 or more (a triangle, closed)")
    return ring


def _point(point: Any, where: str) -> LonLat:  # noqa: ANN401
    numbers = isinstance(point, list) and len(point) in (2, 3)
    if not numbers or not all(isinstance(x, int | float) and not isinstance(x, bool) for x in point):
        raise InputError(f"{where}: found the position {str(point)[:40]}, expected [longitude, latitude] in degrees")
    lon, lat = point[0], point[1]
    if not (abs(lon) <= 180.0 and abs(lat) <= 90.0):
        raise InputError(
            f"{where}: found the position {_at((lon, lat))}, expected a longitude within ±180 and a latitude within ±90"
        )
    return float(lon), float(lat)


def _check_shape(polygons: tuple[Rings, ...], where: str) -> None:
    from shapely import MultiPolygon, Polygon
    from shapely.validation import explain_validity

    shape = MultiPolygon([Polygon(rings[0], rings[1:]) for rings in polygons])
    if not shape.convex_hull.area > 0.0:
        raise InputError(f"{where}: found a polygon without area, expected an area")
    if not shape.is_valid:
        reason, _, spot = explain_validity(shape).partition("[")
        lon, lat = (float(x) for x in spot.rstrip("]").split()[:2])
        fault = "a polygon that crosses itself" if "Self-inter" in reason else f"a polygon with {reason.lower()}"
        raise InputError(f"{where}: found {fault} at {_at((lon, lat))}, expected simple outlines")
    west, _, east, _ = shape.bounds
    if east - west > 180.0:
        raise InputError(
            f"{where}: found a polygon {east - west:.0f} degrees wide, expected one that stays within ±180"
        )


def _at(point: LonLat) -> str:
    lon, lat = point
    return f"({lon:.6g}, {lat:.6g})" if math.isfinite(lon) and math.isfinite(lat) else "(?, ?)"
