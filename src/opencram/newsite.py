"""A whole new site around a point, commented, that runs at once and is there to be edited."""

from __future__ import annotations

import json
import math
from importlib import resources
from pathlib import Path

from opencram.errors import InputError
from opencram.site import YAML_DOCUMENT, ZONES_DOCUMENT

METRES_PER_DEGREE = 111_200.0
MAX_LAT_DEG = 85.0
"""Nearer to a pole, a rectangle of degrees is no rectangle of metres."""

Feature = dict[str, object]

ZONES: tuple[tuple[Feature, tuple[float, float, float, float]], ...] = (
    (
        {"id": "inner", "name": "inner area", "name_fr": "zone centrale", "kind": "base", "people": 200},
        (-250, 250, -250, 250),
    ),
    ({"id": "camp", "name": "camp", "name_fr": "camp", "kind": "camp", "people": 500}, (-600, 600, -600, 600)),
    ({"id": "town", "name": "town", "name_fr": "ville", "kind": "district", "people": 5000}, (700, 3500, -1500, 1500)),
    (
        {"id": "farms", "name": "farms", "name_fr": "fermes", "kind": "district", "people": 300},
        (-3500, -700, -1500, 1500),
    ),
)
"""Properties, and the rectangle: west, east, south and north edge in metres from the origin."""


def write_new_site(name: str, lat_deg: float, lon_deg: float, folder: Path) -> list[Path]:
    """Write a site's YAML and GeoJSON into `folder`; InputError for a bad position or files that are already there."""
    _check_position(lat_deg, lon_deg)
    template = (resources.files("opencram") / "data" / "new-site" / YAML_DOCUMENT).read_text("utf-8")
    town_lon, farms_lon = (_corner(lat_deg, lon_deg, east_m, 0.0)[0] for east_m in (2_100.0, -2_100.0))
    texts = {
        folder / YAML_DOCUMENT: template.format(
            name=json.dumps(name),
            lat=f"{lat_deg:.6f}",
            lon=f"{lon_deg:.6f}",
            town_lon=f"{town_lon:.6f}",
            farms_lon=f"{farms_lon:.6f}",
        ),
        folder / ZONES_DOCUMENT: _zones(lat_deg, lon_deg),
    }
    taken = [path for path in texts if path.exists()]
    if taken:
        raise InputError(f"{taken[0]}: found a file that is already there, expected a free name; nothing was written")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{folder}: found a folder that cannot be written ({error.strerror})") from None
    return list(texts)


def _check_position(lat_deg: float, lon_deg: float) -> None:
    if not abs(lat_deg) <= MAX_LAT_DEG:
        raise InputError(
            f"latitude: found {lat_deg:g}, expected degrees north from -{MAX_LAT_DEG:g} to {MAX_LAT_DEG:g}"
        )
    widest_m = max(abs(edge) for _, edges in ZONES for edge in edges)
    limit_deg = 180.0 - (_corner(lat_deg, 0.0, widest_m, 0.0)[0])
    if not abs(lon_deg) <= limit_deg:
        raise InputError(
            f"longitude: found {lon_deg:g}, expected degrees east from -{limit_deg:.2f} to {limit_deg:.2f}"
        )


def _zones(lat_deg: float, lon_deg: float) -> str:
    features = []
    for properties, (west, east, south, north) in ZONES:
        corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
        ring = [_corner(lat_deg, lon_deg, *corner) for corner in corners]
        features.append(
            {
                "type": "Feature",
                "properties": {**properties, "time_to_shelter_s": 15},
                "geometry": {"type": "Polygon", "coordinates": [ring]},
            }
        )
    lines = ",\n".join(f"    {json.dumps(feature, ensure_ascii=False)}" for feature in features)
    return f'{{\n  "type": "FeatureCollection",\n  "features": [\n{lines}\n  ]\n}}\n'


def _corner(lat_deg: float, lon_deg: float, east_m: float, north_m: float) -> list[float]:
    lon = lon_deg + east_m / (METRES_PER_DEGREE * math.cos(math.radians(lat_deg)))
    return [round(lon, 6), round(lat_deg + north_m / METRES_PER_DEGREE, 6)]
