"""What all maps share: axes in metres to scale, a scale bar, north, a legend below, and labels that hide no mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from opencram.report import drawing as d
from opencram.report.drawing import Labels, new_axes, new_figure
from opencram.report.words import Language
from opencram.tables import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Box = tuple[float, float, float, float]
"""West, south, east, north, metres from the origin."""


def said(language: Language, en: str, fr: str) -> str:
    """One of two texts."""
    return fr if language == "fr" else en


def padded(points: Sequence[FloatArray], share: float) -> Box:
    """A box around points (2,), wider by this share of its size on each side."""
    low, high = np.min(points, axis=0), np.max(points, axis=0)
    span = np.maximum(high - low, 400.0)
    # no map narrower than half of what it is high, or the other way round
    span = np.maximum(span, span[::-1] * 0.55)
    middle = (low + high) / 2.0
    west, south = middle - span * (0.5 + share)
    east, north = middle + span * (0.5 + share)
    return float(west), float(south), float(east), float(north)


def map_axes(box: Box, marks: Sequence[tuple[float, float]]) -> tuple[Axes, Labels]:
    """Axes of a new map, and the labels that keep off its marks."""
    west, south, east, north = box
    height_in = min(7.6, max(3.6, 6.2 * (north - south) / (east - west) + 0.9))
    axes = new_axes(new_figure(height_in))
    axes.set_xlim(west, east)
    axes.set_ylim(south, north)
    axes.set_aspect("equal", adjustable="box")
    points = min(d.WIDTH_IN - 0.9, (height_in - 0.9) * (east - west) / (north - south)) * 72.0
    labels = Labels(axes, points / (east - west))
    labels.avoid(marks)
    labels.reserve(0.92, 0.84, 1.0, 1.0)  # the north arrow
    labels.reserve(0.0, 0.0, 0.3, 0.08)  # the scale bar
    return axes, labels


def finish_map(axes: Axes, language: Language) -> Figure:
    """Name the axes, draw scale and north, gather the legend; the map is then ready to be written."""
    axes.set_xlabel(
        said(language, "metres east of the site’s origin", "mètres à l’est de l’origine"), fontsize=d.FONT_PT
    )
    axes.set_ylabel(said(language, "metres north", "mètres au nord"), fontsize=d.FONT_PT)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda v, _: f"{v:,.0f}".replace(",", "\u202f").replace("-", "−"))
    _scale_and_north(axes)
    handles, names = axes.get_legend_handles_labels()
    unique = dict(zip(names, handles, strict=True))
    figure: Figure = axes.figure  # type: ignore[assignment]
    figure.legend(list(unique.values()), list(unique), loc="outside lower center", ncols=4, fontsize=7, frameon=False)
    return figure


def _scale_and_north(axes: Axes) -> None:
    west, east = axes.get_xlim()
    south, north = axes.get_ylim()
    span = east - west
    length = max(s for s in (50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000) if s <= max(span / 4.0, 50))
    x, y = west + 0.03 * span, south + 0.03 * (north - south)
    axes.plot([x, x + length], [y, y], color=d.INK, lw=3, solid_capstyle="butt", zorder=9)
    name = f"{length} m" if length < 1_000 else f"{length // 1_000} km"
    axes.text(x + length / 2, y + 0.012 * (north - south), name, fontsize=7, ha="center", va="bottom", zorder=9)
    tip = (east - 0.04 * span, north - 0.02 * (north - south))
    axes.annotate(
        "N", tip, (tip[0], tip[1] - 0.09 * (north - south)), fontsize=9, fontweight="bold", ha="center", va="center",
        arrowprops={"arrowstyle": "->", "color": d.INK, "lw": 1.2}, zorder=9,
    )  # fmt: skip
