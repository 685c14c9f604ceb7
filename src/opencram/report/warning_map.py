"""The maps of a site's warning: from where shots are followed and how soon, and what warning the zones get."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from opencram.physics.layout import layout_of
from opencram.planning.reckon import Reckoning, Warned
from opencram.report import drawing as d
from opencram.report.maps import finish_map, map_axes, padded, said
from opencram.report.run import title_of
from opencram.report.words import Language, upfirst
from opencram.site import Site
from opencram.tables import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOWHERE = "#DADADA"
LIGHT_TO_DARK = ("#FDE725", "#A5DB36", "#4AC16D", "#1FA187", "#277F8E", "#365C8D", "#46327E", "#440154")
"""Viridis, Smith and van der Walt, 2015: even steps of lightness, which the colour-blind and grey prints keep."""
SEEN_S = (1.0, 2.0, 4.0, 6.0, 10.0, 20.0)
SHARES = (0.5, 0.8, 0.9, 0.95, 0.99)
NEEDS = (0.25, 0.5, 1.0)
HALF = 0.5
"""Where fewer of the shots are ever followed, the mean time of those that are says nothing."""
LEAST_LABEL_PT = 20.0
LABEL_GROUND = {"boxstyle": "square,pad=0.1", "facecolor": "white", "alpha": 0.75, "linewidth": 0.0}


@dataclass(frozen=True)
class Band:
    """Values from `least` up to, not including, `most`, and how they are drawn."""

    least: float
    most: float
    colour: str
    name: str

    def of(self, values: FloatArray) -> Any:  # noqa: ANN401
        """Where values are in it; NaN is in none."""
        return (values >= self.least) & (values < self.most)


def seen_bands(language: Language) -> list[Band]:
    """Seconds from launch until followed: dark where soon."""
    edges = (0.0, *SEEN_S, math.inf)
    colours = LIGHT_TO_DARK[::-1][: len(edges) - 1]
    names = [said(language, f"within {s:g} s", f"en {s:g} s") for s in SEEN_S]
    names.append(said(language, f"after {SEEN_S[-1]:g} s", f"après {SEEN_S[-1]:g} s"))
    return [Band(*span, *look) for span, look in zip(_spans(edges), zip(colours, names, strict=True), strict=True)]


def share_bands(language: Language) -> list[Band]:
    """Shares of shots, from few (light) to all (dark)."""
    edges = (1e-9, *SHARES, math.inf)
    colours = (LIGHT_TO_DARK[0], *LIGHT_TO_DARK[2:7])
    mark = said(language, "%", " %")
    names = [said(language, f"under {100 * SHARES[0]:g}{mark}", f"moins de {100 * SHARES[0]:g}{mark}")]
    names += [f"{100 * s:g}–{100 * t:g}{mark}" for s, t in _spans(SHARES)]
    names.append(said(language, f"{100 * SHARES[-1]:g}{mark} or more", f"{100 * SHARES[-1]:g}{mark} ou plus"))
    return [Band(*span, *look) for span, look in zip(_spans(edges), zip(colours, names, strict=True), strict=True)]


def need_bands(language: Language) -> list[Band]:
    """Warning as a share of the time to shelter."""
    mark = said(language, "%", " %")
    names = [f"{100 * s:g}–{100 * t:g}{mark}" for s, t in _spans((0.0, *NEEDS))]
    names.append(said(language, "all of it, or more", "tout, ou plus"))
    bands = [Band(-2.0, 0.0, NOWHERE, said(language, "no shot reaches it", "hors d’atteinte"))]
    colours = (LIGHT_TO_DARK[0], *LIGHT_TO_DARK[2:4], *LIGHT_TO_DARK[5:6])
    for span, colour, name in zip(_spans((0.0, *NEEDS, math.inf)), colours, names, strict=True):
        bands.append(Band(*span, colour, name))
    return bands


def _spans(edges: Sequence[float]) -> list[tuple[float, float]]:
    return list(pairwise(edges))


# ---- the three maps ----------------------------------------------------------------------------------------------


def seen_figure(reckoning: Reckoning, language: Language) -> Figure:
    """From where shots are followed, and how soon after launch; grey where fewer than half of them ever are."""
    values = np.where(np.isnan(reckoning.seen), np.nan, np.where(reckoning.seen >= HALF, reckoning.seen_s, -1.0))
    never = said(language, "fewer than half are ever followed", "moins de la moitié sont suivis")
    return _titled(_field(reckoning, values, seen_bands(language), never, language), "followed", language)


def in_time_figure(reckoning: Reckoning, language: Language) -> Figure:
    """What share of the shots from each place leaves the zone that they come down in its time to shelter."""
    none = said(language, "none", "aucun")
    return _titled(_field(reckoning, reckoning.in_time, share_bands(language), none, language), "in-time", language)


def zones_figure(reckoning: Reckoning, language: Language) -> Figure:
    """The zones by the warning that nine tenths of the shots leave them, as a share of what people need."""
    site, shapes = reckoning.site, layout_of(reckoning.site).zone_shapes
    bounds = np.concatenate([np.array(shape.bounds).reshape(2, 2) for shape in shapes])
    radars = layout_of(site).sensor_enu_m[:, :2]
    axes, labels = map_axes(padded(list(bounds), 0.03), [(float(e), float(n)) for e, n in radars])
    bands = need_bands(language)
    order = sorted(range(len(shapes)), key=lambda z: -shapes[z].area)
    found = [next(band for band in bands if band.of(np.array(_met(told)))) for told in reckoning.zones]
    for band in bands:
        if band in found:
            axes.plot([], [], "s", color=band.colour, ms=7, ls="none", label=band.name)
    for depth, z in enumerate(order):
        _patch(axes, shapes[z], facecolor=found[z].colour, edgecolor="white", lw=1.0, zorder=2 + 0.01 * depth)
    _mark_radars(axes, site, bounds, language)
    for z in order[::-1]:
        told, shape = reckoning.zones[z], shapes[z]
        if labels.points_per_unit * math.sqrt(shape.area) >= LEAST_LABEL_PT:
            figures = f"{told.low_s:.0f}/{told.zone.time_to_shelter_s:.0f} s"
            style: dict[str, Any] = {"size_pt": 6.5, "color": d.INK, "zorder": 8, "bbox": LABEL_GROUND}
            name = upfirst(title_of(told.zone, language))
            if not labels.put_inside(shape, f"{name} {figures}", or_beside=False, **style):
                labels.put_inside(shape, figures, or_beside=False, **style)
    return _titled(axes, "warning", language)


def _met(told: Warned) -> float:
    """The warning as a share of what people need; -1 where no shot comes down."""
    need = told.zone.time_to_shelter_s
    if math.isnan(told.low_s):
        return -1.0
    return told.low_s / need if need > 0.0 else 1.0


# ---- what they share ---------------------------------------------------------------------------------------------


def _field(reckoning: Reckoning, values: FloatArray, bands: Sequence[Band], never: str, language: Language) -> Axes:
    """Values of the launch points in bands, with the zones and the radars; those in no band are `never`."""
    from matplotlib.colors import to_rgba

    area = reckoning.area
    rows, columns = np.nonzero(np.isfinite(values) if np.isfinite(values).any() else area.inside)
    half = 0.5 * area.side_m
    middles = np.column_stack([area.east_m[columns], area.north_m[rows]])
    corners = np.array([middles.min(axis=0) - half, middles.max(axis=0) + half])
    axes, _ = map_axes(padded(list(corners), 0.02), [])
    image = np.zeros((*values.shape, 4))
    image[np.isfinite(values)] = to_rgba(NOWHERE)
    for band in bands:
        inside = band.of(values)
        image[inside] = to_rgba(band.colour)
        if inside.any():
            axes.plot([], [], "s", color=band.colour, ms=7, ls="none", label=band.name)
    if np.isfinite(values).sum() > sum(int(band.of(values).sum()) for band in bands):
        axes.plot([], [], "s", color=NOWHERE, ms=7, ls="none", label=never)
    left, right = area.east_m[0] - half, area.east_m[-1] + half
    low, high = area.north_m[0] - half, area.north_m[-1] + half
    box = (axes.get_xlim(), axes.get_ylim())
    axes.imshow(image, extent=(left, right, low, high), origin="lower", interpolation="nearest", zorder=1)
    axes.set(xlim=box[0], ylim=box[1])
    name = said(language, "zones", "zones")
    for shape in layout_of(reckoning.site).zone_shapes:
        for ring in _rings(shape):
            axes.plot(*ring.T, color="white", lw=1.6, zorder=4)
            axes.plot(*ring.T, color=d.INK, lw=0.7, zorder=5, label=name)
    _mark_radars(axes, reckoning.site, corners, language)
    return axes


def _titled(axes: Axes, key: str, language: Language) -> Figure:
    """The finished map, with what its colours tell above it."""
    axes.set_title(said(language, *TELLS[key]), fontsize=d.FONT_PT, loc="left")
    return finish_map(axes, language)


def _mark_radars(axes: Axes, site: Site, corners: FloatArray, language: Language) -> None:
    """The radars that are on the map."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    at = layout_of(site).sensor_enu_m[:, :2]
    at = at[((at >= low) & (at <= high)).all(axis=1)]
    if len(at):
        axes.plot(*at.T, "^", color=d.ORANGE, ms=7, mec=d.INK, mew=0.8, ls="none", zorder=7, label="radar")


def _rings(shape: Any) -> Iterator[FloatArray]:  # noqa: ANN401
    for part in shape.geoms:
        yield from (np.array(ring.coords) for ring in (part.exterior, *part.interiors))


def _patch(axes: Axes, shape: Any, **style: Any) -> None:  # noqa: ANN401
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    path = Path.make_compound_path(*(Path(ring, closed=True) for ring in _rings(shape)))
    axes.add_patch(PathPatch(path, **style))


TELLS = {
    "followed": (
        "Mean seconds from launch until a track is confirmed",
        "Secondes moyennes du départ jusqu’à une piste confirmée",
    ),
    "in-time": (
        "Share of the shots that leave people their time to shelter",
        "Part des tirs qui laissent le temps de s’abriter",
    ),
    "warning": (
        "Seconds of warning in nine shots of ten / seconds that people need",
        "Secondes d’alerte dans neuf tirs sur dix / secondes nécessaires",
    ),
}
"""What the colours of each map tell."""
Draw = Callable[[Reckoning, Language], "Figure"]
FIGURES: dict[str, Draw] = {"followed": seen_figure, "in-time": in_time_figure, "warning": zones_figure}
"""By the name of their files."""
