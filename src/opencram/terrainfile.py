"""Terrain as agencies publish it: SRTM's HGT tiles, and with the extra `terrain` whatever rasterio reads.

What lies round a site is cut out, thinned to its spacing and kept as text, so that a recording carries it.
"""

from __future__ import annotations

import base64
import json
import math
import re
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from opencram.errors import InputError

Heights = npt.NDArray[np.int16]

HGT_VOID = -32768
DEGREE_M = 111_320.0
MOST_POINTS = 4_000_000
"""Of the piece that is kept: 200 km square at 100 m."""
MOST_TILES = 16


@dataclass(frozen=True, eq=False)
class Grid:
    """Heights in whole metres over the geoid, (rows, columns), rows to the north, columns to the east."""

    south: float
    west: float
    step_lat: float
    step_lon: float
    heights: Heights

    def at(self, lat: npt.ArrayLike, lon: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Height (m) at points in degrees, bilinear; NaN outside."""
        rows, cols = self.heights.shape
        y = (np.asarray(lat, np.float64) - self.south) / self.step_lat
        x = (np.asarray(lon, np.float64) - self.west) / self.step_lon
        inside = (y >= 0.0) & (y <= rows - 1) & (x >= 0.0) & (x <= cols - 1)
        i, j = (np.clip(v.astype(np.int64), 0, n - 2) for v, n in ((y, rows), (x, cols)))
        fy, fx, h = y - i, x - j, self.heights.astype(np.float64)
        south = (1.0 - fx) * h[i, j] + fx * h[i, j + 1]
        north = (1.0 - fx) * h[i + 1, j] + fx * h[i + 1, j + 1]
        return np.where(inside, (1.0 - fy) * south + fy * north, np.nan)

    def text(self) -> str:
        """All of it as text."""
        packed = base64.b64encode(zlib.compress(self.heights.astype("<i2").tobytes(), 9)).decode("ascii")
        head = {key: getattr(self, key) for key in ("south", "west", "step_lat", "step_lon")}
        return json.dumps({**head, "rows": self.heights.shape[0], "cols": self.heights.shape[1], "heights": packed})


def grid_from_text(text: str) -> Grid:
    """What `Grid.text` wrote; InputError where it is anything else."""
    try:
        data = json.loads(text)
        raw = np.frombuffer(zlib.decompress(base64.b64decode(data["heights"])), "<i2")
        heights = raw.reshape(data["rows"], data["cols"]).astype(np.int16)
        south, west, step_lat, step_lon = (float(data[key]) for key in ("south", "west", "step_lat", "step_lon"))
        return Grid(south, west, step_lat, step_lon, heights)
    except (ValueError, KeyError, TypeError, zlib.error):
        raise InputError("terrain: found a damaged grid in the recording, expected what opencram wrote there") from None


def around(paths: list[Path], lat: float, lon: float, reach_m: float, spacing_m: float) -> Grid:
    """The piece within `reach_m` north, south, east and west of a point, at about `spacing_m`; 0 m where no tile is."""
    if len(paths) > MOST_TILES:
        raise InputError(f"terrain: found {len(paths)} tiles, expected at most {MOST_TILES}")
    tiles = [read_tile(path) for path in paths]
    step = spacing_m / DEGREE_M
    high = math.ceil(reach_m / spacing_m)
    step_lon = step / max(math.cos(math.radians(lat)), 0.05)
    if (2 * high + 1) ** 2 > MOST_POINTS:
        found = f"{(2 * high + 1) ** 2:,} points"
        raise InputError(f"terrain: found {found}, expected at most {MOST_POINTS:,}: widen spacing_m")
    lats, lons = lat + step * np.arange(-high, high + 1), lon + step_lon * np.arange(-high, high + 1)
    kept = np.full((len(lats), len(lons)), np.nan)
    for tile in tiles:
        there = tile.at(lats[:, None], lons[None, :])
        kept = np.where(np.isnan(kept), there, kept)
    if np.isnan(kept).all():
        raise InputError(f"terrain: found no tile near {lat:g}, {lon:g}, expected those round the site")
    heights = np.rint(np.nan_to_num(kept)).astype(np.int16)
    return Grid(float(lats[0]), float(lons[0]), step, step_lon, heights)


def read_tile(path: Path) -> Grid:
    """One tile: an .hgt by its name and size, else by rasterio."""
    if not path.is_file():
        raise InputError(f"{path}: found no such file, expected a terrain tile")
    return _hgt(path) if path.suffix.lower() == ".hgt" else _raster(path)


def _hgt(path: Path) -> Grid:
    """SRTM: N33E044.hgt is named by its south-western corner, rows from the north, big-endian int16."""
    name = re.fullmatch(r"([NS])(\d{2})([EW])(\d{3})", path.stem.upper())
    if name is None:
        raise InputError(f"{path}: found the name '{path.name}', expected one as N33E044.hgt")
    raw = path.read_bytes()
    side = math.isqrt(len(raw) // 2)
    if side not in (1201, 3601) or 2 * side * side != len(raw):
        raise InputError(f"{path}: found {len(raw)} bytes, expected 2 x 1201 x 1201 or 2 x 3601 x 3601")
    heights = np.frombuffer(raw, ">i2").reshape(side, side)[::-1].astype(np.int16)
    south = int(name[2]) * (1 if name[1] == "N" else -1)
    west = int(name[4]) * (1 if name[3] == "E" else -1)
    return Grid(float(south), float(west), 1.0 / (side - 1), 1.0 / (side - 1), _filled(heights))


def _filled(heights: Heights) -> Heights:
    """Voids bridged along their row, from the nearest points that are known; 0 where a whole row is void."""
    out = heights.copy()
    for i in np.flatnonzero((heights == HGT_VOID).any(axis=1)).tolist():
        known = np.flatnonzero(heights[i] != HGT_VOID)
        out[i] = np.rint(np.interp(np.arange(heights.shape[1]), known, heights[i, known])) if len(known) else 0
    return out


def _raster(path: Path) -> Grid:
    """Any raster in degrees of longitude and latitude, north up."""
    try:
        import rasterio
    except ImportError:
        raise InputError(
            f"{path}: found a file that is no .hgt, expected rasterio for it: pip install 'opencram[terrain]'"
        ) from None
    try:
        with rasterio.open(path) as raster:
            band, place, crs, void = raster.read(1, masked=True), raster.transform, raster.crs, HGT_VOID
    except rasterio.errors.RasterioIOError as error:
        raise InputError(f"{path}: found a file that rasterio cannot read ({error}), expected a raster") from None
    if crs is None or not crs.is_geographic or place.b or place.d or place.e >= 0.0:
        raise InputError(f"{path}: found {crs}, expected degrees of latitude and longitude (EPSG:4326), north up")
    heights = np.rint(np.clip(band.filled(void), void, 32767)).astype(np.int16)[::-1]
    south = place.f + place.e * (heights.shape[0] - 0.5)
    return Grid(south, place.c + 0.5 * place.a, -place.e, place.a, _filled(heights))
