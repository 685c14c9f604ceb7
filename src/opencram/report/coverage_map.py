"""The map of a site's sirens: how late each place hears one that is for it, and which places hear none."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from shapely import box as rectangle

from opencram.coverage import WITHIN_S, Heard, coverage_geojson, heard_areas
from opencram.physics.layout import layout_of
from opencram.physics.sound import siren_enu_m
from opencram.report import drawing as d
from opencram.report.drawing import Labels, as_png, as_svg
from opencram.report.maps import Box, finish_map, map_axes, padded, said
from opencram.report.pages import write_files
from opencram.report.run import Run, title_of
from opencram.report.words import Language, upfirst

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from shapely import MultiPolygon

    from opencram.site import Site

SHADES = ("#0B5A8A", "#3E8FC0", "#8CBFDF", "#D3E6F2")
"""Heard soonest to latest: one hue, so that dark to light also tells in grey."""
STRAY, SILENT = "#F7E3C4", "#F4F4F4"
LEAST_LABEL_PT = 24.0
"""A zone whose place is narrower than this has no label; one too full for its name has its share alone."""


def coverage_figure(site: Site, language: Language, around: Collection[str] | None = None) -> Figure:
    """The map around these zones, around all of them where None are named."""
    sirens, box = siren_enu_m(site)[:, :2], _box(site, around)
    axes, labels = map_axes(box, [(float(e), float(n)) for e, n in sirens])
    shapes = layout_of(site).zone_shapes
    areas = [h for h, shape in zip(heard_areas(site), shapes, strict=True) if shape.intersects(rectangle(*box))]
    for heard in areas:
        _draw_zone(axes, heard, language)
    for shape in shapes:
        for ring in _rings(shape):
            axes.plot(*np.array(ring.coords).T, color=d.INK, lw=0.8, zorder=4)
    if len(sirens):
        name = said(language, "siren", "sirène")
        axes.plot(*sirens.T, "o", color=d.ORANGE, ms=4.5, mec=d.INK, mew=0.5, ls="none", label=name, zorder=6)
    for heard in sorted(areas, key=lambda h: -h.zone.people):
        _name_zone(labels, heard, language)
    return finish_map(axes, language)


def siren_map(run: Run, language: Language) -> str:
    """The report's map: around the zones that were alerted or hit and those that are protected."""
    told = {z["id"] for z in run.summary["zones"] if z["first_alert"] or z["first_impact"]}
    protected = {zone.id for zone in run.site.zones if zone.protected}
    figure = coverage_figure(run.site, language, told | protected or None)
    return as_svg(figure, said(language, "Map of the sirens", "Carte des sirènes"))


def write_coverage(site: Site, folder: Path, language: Language) -> list[Path]:
    """Write coverage.png and coverage.geojson into a folder, which is made where it is not there; their paths.

    InputError where the folder cannot be written.
    """
    picture = as_png(coverage_figure(site, language))
    return write_files(folder, {"coverage.png": picture, "coverage.geojson": coverage_geojson(site)})


def _box(site: Site, around: Collection[str] | None) -> Box:
    rows = zip(site.zones, layout_of(site).zone_shapes, strict=True)
    bounds = [np.array(shape.bounds).reshape(2, 2) for zone, shape in rows if around is None or zone.id in around]
    return padded(list(np.concatenate(bounds)), 0.03)


def _draw_zone(axes: Axes, heard: Heard, language: Language) -> None:
    """Its bands of delay, the soonest on top, then where only others' sirens are heard, then where none is."""
    names = [said(language, f"heard within {s:g} s", f"entendue en {s:g} s") for s in WITHIN_S]
    names.append(said(language, f"after {WITHIN_S[-1]:g} s", f"après {WITHIN_S[-1]:g} s"))
    for depth, ((_, area), shade, name) in enumerate(zip(heard.within, SHADES, names, strict=True)):
        _fill(axes, area, name, facecolor=shade, edgecolor="white", lw=0.5, zorder=2.9 - 0.1 * depth)
    others = said(language, "only others’ are heard", "celles des autres seules")
    none = said(language, "none is heard", "aucune entendue")
    _fill(axes, heard.strays, others, facecolor=STRAY, edgecolor="#C98F2E", hatch="....", lw=0.0, zorder=2)
    _fill(axes, heard.silent, none, facecolor=SILENT, edgecolor="#A8A8A8", hatch="////", lw=0.0, zorder=2)


def _fill(axes: Axes, area: MultiPolygon, name: str, **style: Any) -> None:  # noqa: ANN401
    """Fill an area, its holes left open."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    rings = [np.array(ring.coords) for ring in _rings(area)]
    if rings:
        path = Path.make_compound_path(*(Path(ring, closed=True) for ring in rings))
        axes.add_patch(PathPatch(path, label=name, **style))


def _rings(area: MultiPolygon) -> Iterator[Any]:
    """Exteriors counter-clockwise and holes clockwise, which is what leaves holes open."""
    from shapely.geometry.polygon import orient

    for part in area.geoms:
        turned = orient(part, 1.0)
        yield from (turned.exterior, *turned.interiors)


def _name_zone(labels: Labels, heard: Heard, language: Language) -> None:
    place = heard.within[-1][1].union(heard.strays).union(heard.silent)
    if labels.points_per_unit * math.sqrt(place.area) < LEAST_LABEL_PT:
        return
    share = f"{100.0 * heard.hearing.share:.0f}{said(language, '%', ' %')}"
    named = f"{upfirst(title_of(heard.zone, language))} {share}"
    style: dict[str, Any] = {"size_pt": 7.0, "color": d.INK, "zorder": 7, "bbox": LABEL_GROUND}
    if not labels.put_inside(place, named, or_beside=False, **style):
        labels.put_inside(place, share, or_beside=False, **style)


LABEL_GROUND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.7, "linewidth": 0.0}
