"""Base maps as a user may have them, each of which colours what lies west of 44.4° E and nothing else."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import mapbox_vector_tile
from PIL import Image
from pmtiles.tile import Compression, TileType, zxy_to_tileid
from pmtiles.writer import Writer

EAST_DEG, LAT_DEG, ZOOM, EXTENT = 44.4, 33.3, 8, 4096
CORNERS = [44.0, 33.6, EAST_DEG, 33.6, EAST_DEG, 33.0, 44.0, 33.0]


def west_geojson(path: Path) -> Path:
    """A polygon."""
    ring = [[44.0, 33.0], [EAST_DEG, 33.0], [EAST_DEG, 33.6], [44.0, 33.6], [44.0, 33.0]]
    feature = {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}), encoding="utf-8")
    return path


def west_image(path: Path) -> Path:
    """A picture, for CORNERS."""
    Image.new("RGB", (64, 64), (200, 60, 160)).save(path)
    return path


def west_vector_tiles(path: Path) -> Path:
    """PMTiles of one vector tile."""
    _, _, border = _tile()
    ring = f"POLYGON((0 0, {border} 0, {border} {EXTENT}, 0 {EXTENT}, 0 0))"
    layer = {"name": "land", "features": [{"geometry": ring, "properties": {}}]}
    return _write(path, mapbox_vector_tile.encode([layer]), TileType.MVT, {"vector_layers": [{"id": "land"}]})


def west_picture_tiles(path: Path) -> Path:
    """PMTiles of one tile that is a picture."""
    _, _, border = _tile()
    picture, part = Image.new("RGBA", (512, 512)), round(512 * border / EXTENT)
    picture.paste((200, 60, 160, 255), (0, 0, part, 512))
    held = io.BytesIO()
    picture.save(held, "PNG")
    return _write(path, held.getvalue(), TileType.PNG, {})


def _tile() -> tuple[int, int, int]:
    """The tile that the site lies in, and how far its coloured part reaches, of EXTENT."""
    n, lat = 2**ZOOM, math.radians(LAT_DEG)
    x, y = (EAST_DEG + 180.0) / 360.0 * n, (1.0 - math.asinh(math.tan(lat)) / math.pi) / 2.0 * n
    return int(x), int(y), round((x - int(x)) * EXTENT)


def _write(path: Path, tile: bytes, kind: TileType, metadata: dict[str, object]) -> Path:
    x, y, _ = _tile()
    with path.open("wb") as file:
        writer = Writer(file)
        writer.write_tile(zxy_to_tileid(ZOOM, x, y), tile)
        bounds = {"min_lon_e7": 435000000, "min_lat_e7": 328000000, "max_lon_e7": 451000000, "max_lat_e7": 340000000}
        centre = {"center_zoom": ZOOM, "center_lon_e7": 444000000, "center_lat_e7": 333000000}
        stored = {"tile_type": kind, "tile_compression": Compression.NONE, "min_zoom": ZOOM, "max_zoom": ZOOM}
        writer.finalize({**stored, **bounds, **centre}, metadata)
    return path
