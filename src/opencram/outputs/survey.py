"""The list to survey afterwards: impact and debris points with their 95 % ellipses, as GeoJSON and KML.

For the crew that goes (or flies) to look. A point says whether it was predicted by the tracks or is the simulation's
truth; coordinates are WGS-84 longitude, latitude.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opencram.report.evidence import Columns
from opencram.report.metrics import Row, ellipse_of, enu_of
from opencram.report.places import Ellipse, Places, ellipse_95

KML = "http://www.opengis.net/kml/2.2"
SPREAD_PIECES = 3
"""From this many pieces on their own spread says how large the area is."""
EXERCISE = "SIMULATION - EXERCISE - NOT A REAL EVENT"

LonLat = tuple[float, float]


@dataclass(frozen=True)
class Spot:
    """One place to look at. `ellipse` is a closed ring of its 95 % ellipse; None for a point that is known."""

    name: str
    what: str
    when: str | None
    zone: str | None
    source: str
    confidence: float | None
    point: LonLat
    ellipse: tuple[LonLat, ...] | None

    def properties(self, simulated: bool) -> dict[str, Any]:
        """What a map shows of it."""
        return {
            "name": self.name,
            "what": self.what,
            "when": self.when,
            "zone": self.zone,
            "source": self.source,
            "confidence": self.confidence,
            "exercise": simulated,
        }


def survey_spots(summary: Row, impacts: Mapping[int, Columns], places: Places) -> list[Spot]:
    """Every place to look at: per object that came down, where it was predicted and where it truly is, then debris."""
    spots = [spot for thing in summary["objects"] for spot in _of_object(thing, impacts, places)]
    return spots + list(_of_debris(summary["debris"], places))


def write_survey(folder: Path, spots: Sequence[Spot], title: str, simulated: bool) -> list[Path]:
    """Write survey.geojson and survey.kml."""
    geojson, kml = folder / "survey.geojson", folder / "survey.kml"
    document = {"type": "FeatureCollection", "name": title, "features": list(_features(spots, simulated))}
    geojson.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")
    kml.write_bytes(_kml(spots, f"{EXERCISE}: {title}" if simulated else title))
    return [geojson, kml]


def _of_object(thing: Row, impacts: Mapping[int, Columns], places: Places) -> Iterator[Spot]:
    if thing["outcome"] != "impact":
        return
    rows = impacts.get(thing["track"]) if thing["track"] is not None else None
    ellipse = None if rows is None else ellipse_of(rows, len(rows["time"]) - 1)
    if ellipse is not None:
        yield _spot(thing, "predicted", ellipse, places)
    if thing["class_true"] is not None:
        point = (thing["lon"], thing["lat"])
        yield Spot(thing["id"], "impact", thing["end_time"], thing["zone"], "truth", None, point, None)


def _spot(thing: Row, source: str, ellipse: Ellipse, places: Places) -> Spot:
    zones = places.zones_at(ellipse.east_m, ellipse.north_m)
    name = f"{thing['id']} {source}"
    return Spot(
        name=name,
        what="impact",
        when=thing["end_time"],
        zone=zones[0] if zones else None,
        source=source,
        confidence=0.95,
        point=_lonlat(places, ellipse.east_m, ellipse.north_m),
        ellipse=_ring(places, ellipse),
    )


def _of_debris(pieces: Sequence[Row], places: Places) -> Iterator[Spot]:
    """Each piece, and around the pieces of one object the ellipse of their spread."""
    groups: dict[str, list[Row]] = {}
    for piece in pieces:
        groups.setdefault(piece["object"], []).append(piece)
    for name, rows in groups.items():
        for i, piece in enumerate(rows, start=1):
            point = (piece["lon"], piece["lat"])
            yield Spot(f"{name} debris {i}", "debris", piece["time"], piece["zone"], "truth", None, point, None)
        area = _spread(rows, places)
        if area is not None:
            zones = places.zones_at(area.east_m, area.north_m)
            point, when = _lonlat(places, area.east_m, area.north_m), max(r["time"] for r in rows)
            zone = zones[0] if zones else None
            yield Spot(f"{name} debris area", "debris", when, zone, "spread", 0.95, point, _ring(places, area))


def _spread(rows: Sequence[Row], places: Places) -> Ellipse | None:
    if len(rows) < SPREAD_PIECES:
        return None
    points = np.array([enu_of(places, r["lat"], r["lon"]) for r in rows])
    mean = points.mean(axis=0)
    return ellipse_95(float(mean[0]), float(mean[1]), np.cov(points.T))


def _lonlat(places: Places, east_m: float, north_m: float) -> LonLat:
    lat, lon = places.latlon(east_m, north_m)
    return lon, lat


def _ring(places: Places, ellipse: Ellipse) -> tuple[LonLat, ...]:
    return tuple(_lonlat(places, float(east), float(north)) for east, north in ellipse.outline(36))


def _features(spots: Sequence[Spot], simulated: bool) -> Iterator[dict[str, Any]]:
    for spot in spots:
        properties = spot.properties(simulated)
        yield {
            "type": "Feature",
            "properties": properties,
            "geometry": {"type": "Point", "coordinates": list(spot.point)},
        }
        if spot.ellipse is not None:
            yield {
                "type": "Feature",
                "properties": {**properties, "name": f"{spot.name}, 95 % ellipse"},
                "geometry": {"type": "Polygon", "coordinates": [[list(p) for p in spot.ellipse]]},
            }


def _kml(spots: Sequence[Spot], title: str) -> bytes:
    root = ET.Element("kml", xmlns=KML)
    document = ET.SubElement(root, "Document")
    ET.SubElement(document, "name").text = title
    for spot in spots:
        mark = ET.SubElement(document, "Placemark")
        ET.SubElement(mark, "name").text = spot.name
        ET.SubElement(mark, "description").text = _described(spot)
        geometry = ET.SubElement(mark, "MultiGeometry") if spot.ellipse else mark
        _coordinates(ET.SubElement(geometry, "Point"), [spot.point])
        if spot.ellipse:
            boundary = ET.SubElement(ET.SubElement(geometry, "Polygon"), "outerBoundaryIs")
            _coordinates(ET.SubElement(boundary, "LinearRing"), spot.ellipse)
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _coordinates(parent: ET.Element, points: Sequence[LonLat]) -> None:
    ET.SubElement(parent, "coordinates").text = " ".join(f"{lon:.6f},{lat:.6f}" for lon, lat in points)


def _described(spot: Spot) -> str:
    parts = [spot.what, f"source: {spot.source}"]
    if spot.confidence is not None:
        parts.append(f"inside the ellipse with {spot.confidence:.0%}")
    return "; ".join([*parts, *([f"zone {spot.zone}"] if spot.zone else []), *([spot.when] if spot.when else [])])
