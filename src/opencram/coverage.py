"""The coverage of a site's sirens for people: what is amiss, a table, the areas of a map, a GeoJSON file of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely import MultiPolygon, Point, make_valid, transform, union_all
from shapely.geometry import mapping

from opencram.physics.layout import layout_of
from opencram.physics.sound import HEARD_SHARE, Hearing, air_at, hearing_of, siren_enu_m, sound_speed_mps

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from opencram.site import Site, Zone

WITHIN_S = (1.0, 2.0, 3.0)
"""The delays between which a map tells apart."""
COLUMNS = (
    *("zone", "people", "to shelter (s)", "sirens", "heard (%)", "indoors (%)"),
    *("half (s)", "90 % (s)", "last (s)", "others' (%)"),
)
QUADRANT_SEGMENTS = 16
MOST_NAMED = 6


@dataclass(frozen=True, eq=False)
class Heard:
    """A zone of the map, cut by what is heard there, in metres; a zone inside another has its place to itself."""

    zone: Zone
    hearing: Hearing
    within: tuple[tuple[float, MultiPolygon], ...]
    """Seconds, and where one of its sirens is heard within them; the last wherever one is heard, however late."""
    strays: MultiPolygon
    """Where only sirens are heard that do not serve it."""
    silent: MultiPolygon
    """Where none is heard."""


def people_share(site: Site) -> float | None:
    """The share of the people in the site's zones who hear a siren that is for them; None where no people are told."""
    people = sum(zone.people for zone in site.zones)
    heard = sum(zone.people * hearing.share for zone, hearing in zip(site.zones, hearing_of(site), strict=True))
    return heard / people if people else None


# ---- what is amiss -----------------------------------------------------------------------------------------------


def amiss(site: Site) -> list[str]:
    """What somebody who trusts this site's sirens should know, a sentence each."""
    if not site.sirens:
        return ["it has no siren: whoever is warned is warned by other means"]
    heard = hearing_of(site)
    silent = [h.zone for h in heard if not h.sirens]
    told = [f"no siren serves {_some(silent, len(heard))}"] if silent else []
    for hearing in heard:
        told += [f"siren '{siren}' serves zone '{hearing.zone}' and is heard nowhere in it" for siren in hearing.idle]
        if 0.0 < hearing.share < HEARD_SHARE:
            told.append(f"only {hearing.share:.0%} of zone '{hearing.zone}' hears a siren of its own")
    return told


def _some(zones: Sequence[str], of: int) -> str:
    named = ", ".join(f"'{zone}'" for zone in zones[:MOST_NAMED])
    more = f" and {len(zones) - MOST_NAMED} more" if len(zones) > MOST_NAMED else ""
    return f"{len(zones)} of {of} zones: {named}{more}"


def table(site: Site) -> list[tuple[str, ...]]:
    """A row of text for each zone, as COLUMNS has them."""
    return [_row(zone, hearing) for zone, hearing in zip(site.zones, hearing_of(site), strict=True)]


def _row(zone: Zone, hearing: Hearing) -> tuple[str, ...]:
    delays = ("–" if s is None else f"{s:.1f}" for s in (hearing.median_s, hearing.delay_s, hearing.worst_s))
    shares = (hearing.share, hearing.indoors_share, hearing.stray_share)
    own, indoors, stray = (f"{100.0 * share:.0f}" for share in shares)
    shelter = f"{zone.time_to_shelter_s:g}"
    return zone.id, f"{zone.people:,}", shelter, str(len(hearing.sirens)), own, indoors, *delays, stray


# ---- the areas of a map ------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def heard_areas(site: Site) -> tuple[Heard, ...]:
    """Each zone, less the smaller ones in it, cut by what is heard there; in the site's order."""
    layout = layout_of(site)
    own = [_own_places(z, layout.zone_shapes) for z in range(len(site.zones))]
    rows = zip(site.zones, hearing_of(site), own, strict=True)
    return tuple(_heard(site, zone, hearing, place) for zone, hearing, place in rows)


def _own_places(z: int, shapes: Sequence[MultiPolygon]) -> BaseGeometry:
    """A zone's polygons, less those of smaller zones."""
    own = shapes[z]
    smaller = [s for k, s in enumerate(shapes) if (s.area, k) < (own.area, z) and s.intersects(own)]
    return own.difference(union_all(smaller)) if smaller else own


def _heard(site: Site, zone: Zone, hearing: Hearing, place: BaseGeometry) -> Heard:
    speed = sound_speed_mps(air_at(site)[0])
    within = [(s, _polygons(place.intersection(_discs(site, hearing.sirens, s * speed)))) for s in (*WITHIN_S, np.inf)]
    heard = within[-1][1]
    others = [siren.id for siren in site.sirens if siren.id not in hearing.sirens]
    strays = _polygons(place.intersection(_discs(site, others, np.inf)).difference(heard))
    return Heard(zone, hearing, tuple(within), strays, _polygons(place.difference(union_all([heard, strays]))))


def _polygons(area: BaseGeometry) -> MultiPolygon:
    """Its polygons of a square metre or more: cutting leaves lines and slivers behind."""
    parts = getattr(area, "geoms", [area])
    return MultiPolygon([part for part in parts if part.geom_type == "Polygon" and part.area >= 1.0])


def _discs(site: Site, sirens: Sequence[str], most_m: float) -> BaseGeometry:
    """Where one of these sirens is heard, as far as `most_m` from it."""
    at = dict(zip((s.id for s in site.sirens), siren_enu_m(site), strict=True))
    reach = {s.id: min(s.audible_m, most_m) for s in site.sirens}
    return union_all([Point(*at[name][:2]).buffer(reach[name], QUADRANT_SEGMENTS) for name in sirens])


# ---- GeoJSON -----------------------------------------------------------------------------------------------------


def coverage_geojson(site: Site) -> str:
    """A FeatureCollection for QGIS: what each zone hears, the areas of the map, and the sirens; WGS-84 degrees."""
    features = [*_zone_features(site), *_siren_features(site)]
    document = {"type": "FeatureCollection", "name": f"sirens of {site.name}", "features": features}
    return json.dumps(document, ensure_ascii=False) + "\n"


def _zone_features(site: Site) -> Iterator[dict[str, Any]]:
    for heard in heard_areas(site):
        zone, hearing = heard.zone, heard.hearing
        told = {
            "zone": zone.id,
            "people": zone.people,
            "heard_share": round(hearing.share, 3),
            "indoors_share": round(hearing.indoors_share, 3),
            "sound_s": None if hearing.delay_s is None else round(hearing.delay_s, 2),
            "sirens": list(hearing.sirens),
            "strays": list(hearing.strays),
        }
        areas = [(f"within {s:g} s" if np.isfinite(s) else "heard", area) for s, area in heard.within]
        for kind, area in (*areas, ("only others'", heard.strays), ("silent", heard.silent)):
            if not area.is_empty:
                yield {"type": "Feature", "properties": {"kind": kind, **told}, "geometry": in_degrees(site, area)}


def _siren_features(site: Site) -> Iterator[dict[str, Any]]:
    for siren in site.sirens:
        told = {"kind": "siren", "id": siren.id, "zones": list(siren.zones), "audible_m": siren.audible_m}
        point = {"type": "Point", "coordinates": [siren.position.lon, siren.position.lat]}
        yield {"type": "Feature", "properties": told, "geometry": point}


def in_degrees(site: Site, area: MultiPolygon) -> dict[str, Any]:
    """A GeoJSON geometry in degrees to a centimetre; where slivers then cross themselves, they are mended."""
    lonlat = transform(area, lambda enu: np.round(layout_of(site).latlon_deg(enu)[:, ::-1], 7))
    geometry: dict[str, Any] = mapping(make_valid(lonlat, method="structure", keep_collapsed=False))
    return geometry
