"""What `opencram coverage --warning` writes: pictures, a table, areas for QGIS, and a page with all of it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from shapely import MultiPolygon, box, union_all

from opencram.coverage import MOST_NAMED, in_degrees
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue
from opencram.planning.reckon import LOW_SHARE, Reckoning, Warned
from opencram.report.drawing import as_png, as_svg
from opencram.report.maps import said
from opencram.report.pages import Picture, Section, write_files
from opencram.report.planning_page import planning_page
from opencram.report.run import title_of
from opencram.report.warning_map import FIGURES, HALF, Band, seen_bands, share_bands
from opencram.report.words import Language, upfirst
from opencram.tables import FloatArray

COLUMNS = (
    *("zone", "people", "to shelter (s)", "9 of 10 (s)", "half (s)"),
    *("in time (%)", "warned (%)", "followed (%)", "after (s)"),
)
KEYS = (
    *("zone", "people", "time_to_shelter_s", "warning_low_s", "warning_median_s"),
    *("in_time_share", "warned_share", "followed_share", "followed_after_s", "short"),
)
"""The columns of the table that is written, and the properties of a zone in the GeoJSON."""


def table(reckoning: Reckoning) -> list[tuple[str, ...]]:
    """A row of text for each zone, as COLUMNS has them."""
    return [_row(told) for told in reckoning.zones]


def _row(told: Warned) -> tuple[str, ...]:
    zone = told.zone
    seconds = (told.low_s, told.median_s)
    shares = (told.in_time, told.warned, told.seen)
    return (
        zone.id,
        f"{zone.people:,}",
        f"{zone.time_to_shelter_s:g}",
        *("–" if s != s else f"{s:.1f}" for s in seconds),
        *(f"{100.0 * share:.0f}" for share in shares),
        "–" if told.seen_s != told.seen_s else f"{told.seen_s:.1f}",
    )


def short_sentence(reckoning: Reckoning, language: Language = "en") -> str:
    """Which zones more than a tenth of the shots leave less than their time to shelter."""
    short = [told for told in reckoning.zones if told.short]
    if not short:
        return said(
            language,
            "Every zone has its time to shelter in nine shots of ten, or more.",
            "Chaque zone a le temps de s’abriter dans neuf tirs sur dix, ou plus.",
        )
    worst = sorted(short, key=lambda told: told.low_s / told.zone.time_to_shelter_s)
    names = ", ".join(f"{t.zone.id} ({t.low_s:.1f} of {t.zone.time_to_shelter_s:g} s)" for t in worst[:MOST_NAMED])
    if len(short) > MOST_NAMED:
        names += said(language, f" and {len(short) - MOST_NAMED} more", f" et {len(short) - MOST_NAMED} autres")
    many, of = len(short), len(reckoning.zones)
    return said(
        language,
        f"Less than the time to shelter in more than one shot of ten: {many} of {of} zones: {names}.",
        f"Moins que le temps de s’abriter dans plus d’un tir sur dix : {many} zones sur {of} : {names}.",
    )


def write_warning(reckoning: Reckoning, folder: Path, language: Language) -> list[Path]:
    """Write the pictures (PNG and SVG), warning.csv, warning.geojson and warning.html; their paths."""
    contents: dict[str, str | bytes] = {}
    pictures = []
    for name, draw in FIGURES.items():
        figure, (heading, caption) = draw(reckoning, language), HEADINGS[name]
        svg = as_svg(figure, said(language, *heading))
        contents |= {f"{name}.svg": svg, f"{name}.png": as_png(figure)}
        pictures.append((said(language, *heading), Picture(f"{name}.svg", svg, said(language, *caption))))
    contents["warning.csv"] = as_csv(reckoning)
    contents["warning.geojson"] = as_geojson(reckoning)
    contents["warning.html"] = _page(reckoning, pictures, language)
    return write_files(folder, contents)


def facts_of(told: Warned) -> dict[str, Any]:
    """A zone's figures by KEYS; None where there is none."""
    zone = told.zone
    seconds = {"warning_low_s": told.low_s, "warning_median_s": told.median_s, "followed_after_s": told.seen_s}
    shares = {"in_time_share": told.in_time, "warned_share": told.warned, "followed_share": told.seen}
    facts: dict[str, Any] = {"zone": zone.id, "people": zone.people, "time_to_shelter_s": zone.time_to_shelter_s}
    facts |= {key: None if value != value else round(value, 2) for key, value in seconds.items()}
    facts |= {key: round(value, 4) for key, value in shares.items()} | {"short": told.short}
    return {key: facts[key] for key in KEYS}


def as_csv(reckoning: Reckoning) -> str:
    """A row for each zone."""
    text = io.StringIO()
    rows = csv.DictWriter(text, KEYS, lineterminator="\n")
    rows.writeheader()
    for told in reckoning.zones:
        rows.writerow(facts_of(told))
    return text.getvalue()


def as_geojson(reckoning: Reckoning) -> str:
    """A FeatureCollection for QGIS: the zones with their figures, and the areas of both maps of launch points."""
    features = [*_zones(reckoning), *_areas(reckoning)]
    document = {"type": "FeatureCollection", "name": f"warning of {reckoning.site.name}", "features": features}
    return json.dumps(document, ensure_ascii=False) + "\n"


def _zones(reckoning: Reckoning) -> Iterator[dict[str, Any]]:
    shapes = layout_of(reckoning.site).zone_shapes
    for told, shape in zip(reckoning.zones, shapes, strict=True):
        geometry = in_degrees(reckoning.site, shape)
        yield {"type": "Feature", "properties": {"kind": "zone", **facts_of(told)}, "geometry": geometry}


def _areas(reckoning: Reckoning) -> Iterator[dict[str, Any]]:
    """Launch points by band, as polygons of whole cells."""
    maps: tuple[tuple[str, FloatArray, Sequence[Band]], ...] = (
        ("followed", np.where(reckoning.seen >= HALF, reckoning.seen_s, np.nan), seen_bands("en")),
        ("in time", reckoning.in_time, [Band(0.0, 1e-9, "", "none"), *share_bands("en")]),
    )
    for kind, values, bands in maps:
        for band in bands:
            shape = _cells(reckoning, band.of(values))
            if not shape.is_empty:
                told = {"kind": kind, "band": band.name, "least": band.least}
                told["most"] = band.most if band.most < 1e9 else None
                geometry = in_degrees(reckoning.site, shape)
                yield {"type": "Feature", "properties": told, "geometry": geometry}


def _cells(reckoning: Reckoning, inside: Any) -> MultiPolygon:  # noqa: ANN401
    """The cells of a mask as polygons: first runs along each row, then all of them together."""
    area, half = reckoning.area, 0.5 * reckoning.area.side_m
    runs = []
    for row in np.flatnonzero(inside.any(axis=1)).tolist():
        turns = np.flatnonzero(np.diff(np.concatenate([[False], inside[row], [False]]).astype(np.int8)))
        south, north = area.north_m[row] - half, area.north_m[row] + half
        west = area.east_m[0] - half
        runs += [
            box(west + a * area.side_m, south, west + b * area.side_m, north)
            for a, b in zip(turns[::2].tolist(), turns[1::2].tolist(), strict=True)
        ]
    merged = union_all(runs, grid_size=0.01) if runs else MultiPolygon()
    parts = getattr(merged, "geoms", [merged])
    return MultiPolygon([part for part in parts if part.geom_type == "Polygon"])


def _page(reckoning: Reckoning, pictures: Sequence[tuple[str, Picture]], language: Language) -> str:
    site, marked = reckoning.site, [i for i, told in enumerate(reckoning.zones) if told.short]
    names = ", ".join(catalogue()[name].title[language] for name in reckoning.classes)
    name = upfirst(title_of(site, language))
    sub = said(language, f"Shots looked at: {names}.", f"Tirs considérés : {names}.")
    sections = [Section(texts=[short_sentence(reckoning, language), said(language, *HOW)])]
    sections += [Section(heading, picture=picture) for heading, picture in pictures]
    sections.append(
        Section(
            heading=said(language, "Zone by zone", "Zone par zone"),
            columns=COLUMNS if language == "en" else COLUMNS_FR,
            rows=table(reckoning),
            marked=marked,
        )
    )
    title = said(language, f"{name}: what warning there would be", f"{name} : quelle alerte y aurait-il")
    return planning_page(title, sub, sections, language)


COLUMNS_FR = (
    *("zone", "personnes", "pour s’abriter (s)", "9 sur 10 (s)", "la moitié (s)"),
    *("à temps (%)", "alertés (%)", "suivis (%)", "après (s)"),
)
HOW = (
    "From each launch point typical flights of each class come down in the middle of each zone. The warning of a zone "
    f"is what {1.0 - LOW_SHARE:.0%} of these shots leave it, from the first sound to the impact.",
    "De chaque point de départ, des vols typiques de chaque classe tombent au milieu de chaque zone. L’alerte d’une "
    "zone est ce que 90 % de ces tirs lui laissent, du premier son à l’impact.",
)
HEADINGS = {
    "followed": (
        ("From where shots are followed, and how soon", "D’où les tirs sont suivis, et dans quel délai"),
        (
            "Mean seconds from launch until a track is confirmed, over zones, classes and typical flights.",
            "Secondes moyennes du départ jusqu’à une piste confirmée, sur les zones, classes et vols typiques.",
        ),
    ),
    "in-time": (
        ("From where people have time to shelter", "D’où l’on a le temps de s’abriter"),
        (
            "Share of the shots from each place that leave the zone they come down in its time to shelter.",
            "Part des tirs de chaque point qui laissent à la zone où ils tombent le temps de s’abriter.",
        ),
    ),
    "warning": (
        ("The warning of each zone", "L’alerte de chaque zone"),
        (
            "Seconds of warning in nine shots of ten / seconds that people need to shelter.",
            "Secondes d’alerte dans neuf tirs sur dix / secondes nécessaires pour s’abriter.",
        ),
    ),
}
