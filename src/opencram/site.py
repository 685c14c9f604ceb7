"""The protected site: zones, sensors, assets, sirens, simulated effectors and policy, strictly validated.

A site is a YAML file and the GeoJSON file of its zones. Degrees are used here, at the edge, and nowhere further in:
`physics.layout` turns a site into metres and radians once. All models are frozen; a default that stands for a
judgement says where it comes from.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import resources
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    Field,
    PrivateAttr,
    model_validator,
)

from opencram import yamlfile
from opencram.effectors import Effector as Effector
from opencram.errors import InputError
from opencram.fields import (
    MAX_EXTENT_M,
    Azimuth,
    Byte,
    Count,
    Elevation,
    Id,
    Kind,
    Model,
    NotNegative,
    Number,
    Positive,
    Sigma,
    SigmaMrad,
    rising,
)
from opencram.policy import DEFAULT_COSTS, Policy
from opencram.position import Position as Position
from opencram.position import Title, titled
from opencram.surroundings import Air, Corridor, Terrain
from opencram.terrainfile import Grid, around, grid_from_text
from opencram.zonefile import Rings, read_zones

YAML_DOCUMENT, ZONES_DOCUMENT, TERRAIN_DOCUMENT = "site.yaml", "zones.geojson", "terrain.json"
"""The keys of the texts in `Site.documents()`; the last only where there is terrain."""

PROTECTED_KINDS = ("embassy", "base", "hospital", "airport", "green-zone", "camp")
"""Kinds of zone that the simulated defence protects unless a zone's own `protected` says otherwise."""

MAX_ZONES, MAX_SENSORS, MAX_THINGS = 2_000, 32, 500
MAX_ZONES_BYTES = 20_000_000


class Zone(Model):
    """An area that is warned as one; `rings` are its polygons, each an exterior and its holes, (lon, lat) degrees."""

    id: Id
    name: str
    title: Title
    kind: Kind = "site"
    people: Count = 0
    time_to_shelter_s: NotNegative = 15.0
    protected: bool
    rings: tuple[Rings, ...]
    properties: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, data: dict[str, Any]) -> dict[str, Any]:
        kind = data.get("kind", "site")
        return {"name": str(data.get("id")), "protected": kind in PROTECTED_KINDS, **data}


class Coverage(Model):
    """Where a sensor sees; azimuths clockwise from true north, a sector may pass through north."""

    min_range_m: NotNegative = 200.0
    max_range_m: Positive = 20_000.0
    azimuth_from_deg: Azimuth = 0.0
    azimuth_to_deg: Azimuth = 360.0
    min_elevation_deg: Elevation = 1.0
    max_elevation_deg: Elevation = 80.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising("min_range_m", self.min_range_m, "max_range_m", self.max_range_m)
        rising("min_elevation_deg", self.min_elevation_deg, "max_elevation_deg", self.max_elevation_deg)
        if self.azimuth_from_deg == self.azimuth_to_deg:
            raise ValueError(
                f"found azimuth_from_deg and azimuth_to_deg both {self.azimuth_to_deg:g}, expected a sector"
            )
        return self


class Resolution(Model):
    """Objects nearer together than this in all three become one plot."""

    range_m: Positive = 30.0
    azimuth_deg: Positive = 1.5
    elevation_deg: Positive = 1.5


class Reference(Model):
    """One point of the radar range equation: the signal-to-noise ratio of this cross-section at this range."""

    range_m: Positive = 12_000.0
    rcs_m2: Positive = 0.1
    snr_db: Number = 13.0


def _address(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise ValueError(f"found '{text}', expected an address such as 10.0.0.5") from None


class Asterix(Model):
    """The system area and identification codes by which a sensor names itself."""

    sac: Byte
    sic: Byte
    doppler: Literal["receding", "closing"] = "receding"
    """Which of the two its Doppler is positive for: the standard does not say."""
    addresses: Annotated[tuple[Annotated[str, AfterValidator(_address)], ...], Field(max_length=8)] = ()
    """Whence it may come, any of them at any time; none: from whoever first uses its codes."""


class Sensor(Model):
    """A radar. None: what is not measured, or is estimated from the plots."""

    id: Id
    position: Position
    range_sigma_m: Sigma
    azimuth_sigma_mrad: SigmaMrad
    elevation_sigma_mrad: SigmaMrad | None
    update_s: Annotated[Number, Field(ge=0.005, le=60)]
    range_rate_sigma_mps: Sigma | None = None
    kind: Literal["staring", "rotating"] = "staring"
    coverage: Coverage = Coverage()
    detection: Annotated[Number, Field(gt=0, le=1)] | None = None
    false_plots_per_scan: Annotated[Number, Field(ge=0, le=10_000)] | None = None
    resolution: Resolution = Resolution()
    latency_s: Annotated[Number, Field(ge=0, le=2)] = 0.02
    reference: Reference = Reference()
    asterix: Asterix | None = None


class Asset(Model):
    """What an attack is aimed at; distances are told from the site's first one."""

    id: Id
    name: str = ""
    title: Title
    position: Position
    zone: Id | None = None

    _before = model_validator(mode="before")(titled)


class Siren(Model):
    """A siren, the zones for which it sounds, and how far it is heard."""

    id: Id
    position: Position
    zones: Annotated[tuple[Id, ...], Field(min_length=1)]
    audible_m: Positive = 500.0


def _time_zone(name: str) -> str:
    """A name that the IANA data base of time zones has."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"found {name!r}, expected an IANA time zone such as Asia/Baghdad, or UTC") from None
    return name


class Site(Model):
    """A whole site. Two sites are the same only if they are one object, so that what is computed of one is kept."""

    name: Id
    title: Title
    origin: Position
    timezone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """In which people there tell the time; only what is written for them uses it."""
    phones: Literal["public", "viewers"] = "public"
    """Who may look at the page of a zone: anybody, or who has signed in to the service."""
    zones: Annotated[tuple[Zone, ...], Field(min_length=1, max_length=MAX_ZONES)]
    sensors: Annotated[tuple[Sensor, ...], Field(min_length=1, max_length=MAX_SENSORS)]
    assets: Annotated[tuple[Asset, ...], Field(max_length=MAX_THINGS)] = ()
    sirens: Annotated[tuple[Siren, ...], Field(max_length=MAX_THINGS)] = ()
    effectors: Annotated[tuple[Effector, ...], Field(max_length=MAX_THINGS)] = ()
    policy: Policy = Policy()
    corridors: Annotated[tuple[Corridor, ...], Field(max_length=MAX_THINGS)] = ()
    terrain: Terrain | None = None
    air: Air = Air()

    _before = model_validator(mode="before")(titled)
    _documents: dict[str, str] = PrivateAttr(default_factory=dict)
    _relief: Grid | None = PrivateAttr(default=None)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def documents(self) -> dict[str, str]:
        """The texts that it was read from, for a recording to embed."""
        return dict(self._documents)

    def relief(self) -> Grid | None:
        """The ground round the site, None where it is flat."""
        return self._relief

    def ground_m(self, lat: float, lon: float) -> float:
        """Height of the ground above the ellipsoid; that of the origin where there is no terrain."""
        if self._relief is None or self.terrain is None:
            return self.origin.height_m
        height = float(self._relief.at(lat, lon))
        return self.origin.height_m if math.isnan(height) else height + self.terrain.geoid_m


def site_names() -> list[str]:
    """The built-in sites, in order of name."""
    return sorted(f.name for f in _folder().iterdir() if (f / YAML_DOCUMENT).is_file())


def load_site(name_or_path: str | Path) -> Site:
    """A built-in site by its name, or one from a YAML file; InputError says what is wrong with it."""
    name = str(name_or_path)
    if name in site_names():
        return _built_in(name)
    path = Path(name_or_path)
    if not path.exists() and path.suffix not in {".yaml", ".yml"}:
        raise InputError(
            f"site: found '{name}', expected {yamlfile.nearest(name, site_names())} or the path of a YAML file"
        )
    return _parse(yamlfile.read_text(path), str(path), path.parent)


@cache
def _built_in(name: str) -> Site:
    path = Path(str(_folder() / name / YAML_DOCUMENT))
    return _parse(yamlfile.read_text(path), str(path), path.parent)


def site_from_documents(documents: Mapping[str, str]) -> Site:
    """The site that a recording carries."""
    for key in (YAML_DOCUMENT, ZONES_DOCUMENT):
        if key not in documents:
            raise InputError(f"site: found no {key} among the documents, expected it")
    relief = documents.get(TERRAIN_DOCUMENT)
    return _parse(documents[YAML_DOCUMENT], YAML_DOCUMENT, documents[ZONES_DOCUMENT], relief)


@cache
def _folder() -> Any:  # noqa: ANN401
    return resources.files("opencram") / "data" / "sites"


def _parse(text: str, name: str, zones: Path | str, relief: str | None = None) -> Site:
    """A site from the text of its YAML; `zones` is the text of its GeoJSON, or the folder in which that lies.

    `relief` is the text of its terrain, where that is not to be read from files in the folder.
    """
    data, lines = yamlfile.read_yaml(text, name)
    zones_text, zones_name = "", ZONES_DOCUMENT
    if "zones" in data:
        link = data["zones"]
        if not isinstance(link, str):
            where = yamlfile.at(name, ("zones",), lines)
            raise InputError(f"{where}: found {yamlfile.shown(link)}, expected the path of a GeoJSON file")
        if isinstance(zones, Path):
            zones_text, zones_name = yamlfile.read_text(zones / link, MAX_ZONES_BYTES), str(zones / link)
        else:
            zones_text = zones
        data["zones"] = [_zone(feature) for feature in read_zones(zones_text, zones_name)]
    site = yamlfile.validate(Site, _grounded(data), lines, name)
    site._documents = {YAML_DOCUMENT: text, ZONES_DOCUMENT: zones_text}
    if site.terrain is not None:
        folder = zones if isinstance(zones, Path) else None
        site._relief = _relief(site.terrain, site.origin.lat, site.origin.lon, folder, relief)
        site._documents[TERRAIN_DOCUMENT] = site._relief.text()
    for loc, fault in site_faults(site):
        where = f"{zones_name}: zone '{site.zones[int(loc[1])].id}'" if loc[0] == "zones" else ""
        raise InputError(f"{where or yamlfile.at(name, loc, lines)}: {fault}")
    return site


def _relief(terrain: Terrain, lat: float, lon: float, folder: Path | None, text: str | None) -> Grid:
    """The ground round a point: from the tiles in `folder`, or from the text that a recording carries."""
    if folder is None:
        if text is None:
            raise InputError("site: found no terrain among the documents, expected it")
        return grid_from_text(text)
    return around([folder / tile for tile in terrain.tiles], lat, lon, terrain.reach_m, terrain.spacing_m)


def _zone(feature: dict[str, Any]) -> Zone:
    """A zone from a feature; what a table's editor leaves empty (null) takes its default, a numeric id becomes text."""
    given = {key: value for key, value in feature["properties"].items() if value is not None}
    own = {key: given.pop(key) for key in ("name", "kind", "people", "time_to_shelter_s", "protected") if key in given}
    zone_id = given.pop("id")
    own["id"] = str(zone_id) if isinstance(zone_id, int) else zone_id
    titles = {language: given[f"name_{language}"] for language in ("fr", "ar") if f"name_{language}" in given}
    own["title"] = {"en": own.get("name", own["id"]), **titles}
    own |= {"rings": feature["rings"], "properties": given}
    return yamlfile.validate(Zone, own, {}, feature["where"])


def _grounded(data: dict[str, Any]) -> dict[str, Any]:
    """Put what has no height on the ground: at the origin's height."""
    origin = data.get("origin")
    height_m = origin.get("height_m") if isinstance(origin, dict) else None
    ground = height_m if isinstance(height_m, int | float) else 0.0
    for key in ("sensors", "assets", "sirens", "effectors"):
        for thing in data[key] if isinstance(data.get(key), list) else []:
            if isinstance(thing, dict) and isinstance(thing.get("position"), dict):
                thing["position"].setdefault("height_m", ground)
    return data


# ---- what only the whole site can tell ---------------------------------------------------------------------------


def site_faults(site: Site) -> Iterator[tuple[yamlfile.Loc, str]]:
    """Where each fault is that only the whole site can tell, and what it is."""
    yield from _repeated(site)
    yield from _far_or_under(site)
    yield from _unknown_zones(site)
    yield from _unknown_threats(site)
    kinds = sorted({*DEFAULT_COSTS, *(zone.kind for zone in site.zones)})
    for kind in site.policy.costs:
        if kind not in kinds:
            yield ("policy", "costs", kind), f"found a kind that no zone has, expected {yamlfile.nearest(kind, kinds)}"


def _repeated(site: Site) -> Iterator[tuple[yamlfile.Loc, str]]:
    groups: dict[str, list[str]] = {
        key: [thing.id for thing in getattr(site, key)]
        for key in ("sensors", "assets", "sirens", "effectors", "corridors", "zones")
    }
    for key, ids in groups.items():
        counts = Counter(ids)
        for i, thing in enumerate(ids):
            if counts[thing] > 1 and thing in ids[:i]:
                yield (key, i, "id"), f"found the id '{thing}' {counts[thing]} times, expected it once"
    codes = [(sensor.asterix.sac, sensor.asterix.sic) if sensor.asterix else None for sensor in site.sensors]
    for i, code in enumerate(codes):
        if code is not None and code in codes[:i]:
            other = site.sensors[codes.index(code)].id
            found = f"found sac {code[0]} sic {code[1]}, which '{other}' has"
            yield ("sensors", i, "asterix"), f"{found}, expected other codes"


def _far_or_under(site: Site) -> Iterator[tuple[yamlfile.Loc, str]]:
    near = f"expected at most {MAX_EXTENT_M / 1e3:g} km"
    for key in ("sensors", "assets", "sirens", "effectors"):
        for i, thing in enumerate(getattr(site, key)):
            away = site.origin.distance_m(thing.position.lat, thing.position.lon)
            if away > MAX_EXTENT_M:
                yield (key, i, "position"), f"found a position {away / 1e3:.0f} km from the site's origin, {near}"
    for i, corridor in enumerate(site.corridors):
        away = max(site.origin.distance_m(point.lat, point.lon) for point in corridor.path)
        if away > MAX_EXTENT_M:
            yield ("corridors", i, "path"), f"found a point {away / 1e3:.0f} km from the site's origin, {near}"
    for i, sensor in enumerate(site.sensors):
        height, ground = sensor.position.height_m, site.ground_m(sensor.position.lat, sensor.position.lon)
        if height < ground:
            loc = ("sensors", i, "position", "height_m")
            whose = "the origin's height" if site.relief() is None else "the terrain's height there"
            yield loc, f"found {height:g}, which is under ground, expected {ground:g} ({whose}) or more"
    for i, zone in enumerate(site.zones):
        corners = [corner for rings in zone.rings for corner in rings[0]]
        away, (lon, lat) = max((site.origin.distance_m(corner[1], corner[0]), corner) for corner in corners)
        if away > MAX_EXTENT_M:
            yield ("zones", i), f"found a corner ({lon:g}, {lat:g}) {away / 1e3:.0f} km from the site's origin, {near}"


def _unknown_zones(site: Site) -> Iterator[tuple[yamlfile.Loc, str]]:
    known = [zone.id for zone in site.zones]
    named: list[tuple[yamlfile.Loc, str | None]] = []
    named += [(("assets", i, "zone"), asset.zone) for i, asset in enumerate(site.assets)]
    for i, siren in enumerate(site.sirens):
        named += [(("sirens", i, "zones", k), zone) for k, zone in enumerate(siren.zones)]
    for i, effector in enumerate(site.effectors):
        named += [(("effectors", i, "protects", k), zone) for k, zone in enumerate(effector.protects)]
    for loc, zone in named:
        if zone is not None and zone not in known:
            yield loc, f"found the zone '{zone}', which is not there, expected {yamlfile.nearest(zone, known)}"


def _unknown_threats(site: Site) -> Iterator[tuple[yamlfile.Loc, str]]:
    for i, effector in enumerate(site.effectors):
        for name in effector.against:
            if name not in _threat_names():
                known = yamlfile.nearest(name, _threat_names())
                yield (
                    ("effectors", i, "against", name),
                    f"found a threat that is not in the catalogue, expected {known}",
                )


@cache
def _threat_names() -> list[str]:
    """The classes of the threat catalogue and their families."""
    text = (resources.files("opencram.physics") / "threats.yaml").read_text(encoding="utf-8")
    return sorted(set(re.findall(r"^ +(?:- id|family): (\S+)$", text, re.MULTILINE)))
