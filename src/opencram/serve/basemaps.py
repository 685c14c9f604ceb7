"""Base maps that a user has put under the picture: PMTiles, GeoJSON, or an image with its corners.

They are copied into a folder of this machine's, with a list of what each is: nothing is ever fetched.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from opencram.errors import InputError
from opencram.serve.messages import BaseMap

LIST = "basemaps.json"
KINDS = {".pmtiles": "pmtiles", ".geojson": "geojson", ".json": "geojson", ".png": "image", ".jpg": "image",
         ".jpeg": "image", ".webp": "image"}  # fmt: skip
MAGIC = {"pmtiles": (b"PMTiles\x03",), "image": (b"\x89PNG", b"\xff\xd8\xff", b"RIFF")}
MOST_GEOJSON_BYTES = 50 * 1024 * 1024


def folder() -> Path:
    """Where they are kept."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "opencram" / "basemaps"


def basemaps() -> list[BaseMap]:
    """All, in the order in which they were added; none where the list cannot be read."""
    try:
        return msgspec.json.decode((folder() / LIST).read_bytes(), type=list[BaseMap])
    except (OSError, msgspec.MsgspecError):
        return []


def file_of(name: str) -> Path | None:
    """The file of a base map, by the last part of its address."""
    known = any(known.url == f"/basemap/{name}" for known in basemaps())
    path = folder() / name
    return path if known and path.is_file() else None


def add(path: Path, corners: Sequence[float], attribution: str) -> BaseMap:
    """Copy a map into the folder; one of the same name is replaced. InputError for what is none.

    `corners` of an image: longitude and latitude (degrees) of its top left, top right, bottom right and bottom left.
    """
    kind = _kind_of(path)
    if (kind == "image") != bool(corners):
        found = "found them" if corners else "found none"
        raise InputError(f"--corners: {found}, expected eight numbers for an image and none for anything else")
    name = re.sub(r"[^\w.-]", "_", path.name)
    made = BaseMap(
        name=path.stem,
        kind=kind,
        url=f"/basemap/{name}",
        attribution=attribution,
        corners=_corners(corners) if corners else (),
    )
    folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    shutil.copyfile(path, folder() / name)
    _write([*(known for known in basemaps() if known.url != made.url), made])
    return made


def remove(name: str) -> None:
    """Take a map away again; InputError for one that is not there."""
    known = basemaps()
    gone = [one for one in known if one.name == name]
    if not gone:
        names = ", ".join(f"'{one.name}'" for one in known) or "none at all"
        raise InputError(f"basemap: found '{name}', expected one of those that were added: {names}")
    _write([one for one in known if one.name != name])
    for one in gone:
        (folder() / one.url.rpartition("/")[2]).unlink(missing_ok=True)


def _write(known: list[BaseMap]) -> None:
    path = folder() / LIST
    path.with_suffix(".new").write_bytes(msgspec.json.encode(known))
    path.with_suffix(".new").replace(path)


def _kind_of(path: Path) -> str:
    if not path.is_file():
        raise InputError(f"{path}: found no such file, expected a base map")
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path}: found '{path.suffix}', expected .pmtiles, .geojson, .png, .jpg or .webp")
    with path.open("rb") as file:
        begins = file.read(16)
    if kind in MAGIC and not begins.startswith(MAGIC[kind]):
        raise InputError(f"{path}: found no {kind} by its first bytes, expected what its name says")
    if kind == "geojson":
        _check_geojson(path)
    return kind


def _check_geojson(path: Path) -> None:
    if path.stat().st_size > MOST_GEOJSON_BYTES:
        raise InputError(f"{path}: found {path.stat().st_size} bytes, expected at most {MOST_GEOJSON_BYTES}")
    try:
        data = msgspec.json.decode(path.read_bytes())
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: found no JSON ({error}), expected GeoJSON") from None
    kind = data.get("type") if isinstance(data, dict) else None
    if kind not in ("FeatureCollection", "Feature"):
        raise InputError(f"{path}: type: found {kind!r}, expected 'FeatureCollection' or 'Feature'")


def _corners(numbers: Sequence[float]) -> tuple[tuple[float, float], ...]:
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True)) if len(numbers) == 8 else ()
    if not pairs or any(not (-180 <= lon <= 180 and -90 <= lat <= 90) for lon, lat in pairs):
        raise InputError(
            "--corners: expected longitude and latitude of the top left, top right, bottom right and bottom left "
            f"corner in degrees, found {len(numbers)} numbers: {', '.join(f'{n:g}' for n in numbers)}"
        )
    return pairs


def numbers_of(text: str | None) -> list[float]:
    """The numbers of a list with commas; InputError for what is none."""
    try:
        return [float(part) for part in text.split(",")] if text else []
    except ValueError:
        raise InputError(f"--corners: found '{text}', expected eight numbers with commas between them") from None
