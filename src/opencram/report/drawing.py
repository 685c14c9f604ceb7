"""How figures are drawn: SVG without pyplot, the same bytes each time, in colours that the colour-blind tell apart."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from shapely.geometry.base import BaseGeometry

INK, PALE = "#222222", "#767676"
ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
"""Okabe and Ito, Color Universal Design, 2008."""
OUTCOME = {"impact": (VERMILLION, "X"), "intercepted": (BLUE, "*"), "left": (PALE, "o"), "flying": (PALE, "o")}
"""Colour and mark of each outcome: never told by colour alone."""

STEPS = range(1, 10)
WIDTH_IN = 7.2
FONT_PT = 8.0


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure that fits an A4 page."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width_in, height_in), layout="constrained")


def new_axes(figure: Figure, *place: int) -> Axes:
    """Axes with a light frame and small text."""
    axes = figure.add_subplot(*place) if place else figure.add_subplot()
    axes.tick_params(labelsize=FONT_PT, colors=INK, length=3)
    for side in axes.spines.values():
        side.set_color("#999999")
    axes.set_axisbelow(True)
    return axes


def as_svg(figure: Figure, label: str) -> str:
    """The figure as an inline <svg> element that a screen reader names."""
    from html import escape

    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "opencram"}):
        # by the canvas: `savefig` would draw it twice
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None, "Creator": None})  # type: ignore[no-untyped-call]
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # what nothing refers to needs no id; two figures in one page would else use the same ones
    text = re.sub(r' id="(?![hmp][0-9a-f]{10}|C\d_)[^"]*"', "", text)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg [^>]*?)\swidth="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)\sheight="[\d.]+pt"', r"\1", text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label, quote=True)}" ', 1)


def as_png(figure: Figure, dots_per_inch: int = 200) -> bytes:
    """The figure as a PNG, the same bytes each time."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    figure.set_dpi(dots_per_inch)
    FigureCanvasAgg(figure).print_png(buffer, metadata={"Software": None})  # type: ignore[no-untyped-call]
    return buffer.getvalue()


@dataclass
class Labels:
    """Places labels so that none lies on another: the first free place around its point, else none at all."""

    axes: Axes
    points_per_unit: float
    taken: list[tuple[float, float, float, float]] = field(default_factory=list)

    def avoid(self, points: Sequence[tuple[float, float]], half_pt: float = 4.0) -> None:
        """Keep labels off these marks."""
        half = half_pt / self.points_per_unit
        self.taken += [(x - half, y - half, x + half, y + half) for x, y in points]

    def reserve(self, left: float, low: float, right: float, high: float) -> None:
        """Keep labels out of a part of the map, given as shares of its width and height."""
        (x, east), (y, north) = self.axes.get_xlim(), self.axes.get_ylim()
        width, height = east - x, north - y
        self.taken.append((x + left * width, y + low * height, x + right * width, y + high * height))

    def put(self, x: float, y: float, text: str, size_pt: float = FONT_PT, **style: Any) -> bool:  # noqa: ANN401
        """Write `text` beside the mark at (x, y); whether a free place was found."""
        width, height = self._size(text, size_pt)
        for dx, dy in _around(width, height, 6.0 / self.points_per_unit):
            if self._write(x + dx, y + dy, text, size_pt, **style):
                return True
        return False

    def put_inside(
        self,
        shape: BaseGeometry,
        text: str,
        size_pt: float = FONT_PT,
        or_beside: bool = True,
        **style: Any,  # noqa: ANN401
    ) -> bool:
        """Write `text` in a polygon, best where all of it is inside, or else beside it; whether there was room."""
        from shapely.geometry import Point, box

        west, south, east, north = shape.bounds
        width, height = self._size(text, size_pt)
        best = shape.representative_point()
        grid = [(west + (east - west) * i / 10.0, south + (north - south) * k / 10.0) for i in STEPS for k in STEPS]
        places = [(best.x, best.y), *sorted(grid, key=lambda p: (p[0] - best.x) ** 2 + (p[1] - best.y) ** 2)]
        whole = [
            p for p in places if shape.covers(box(p[0] - width / 2, p[1] - height, p[0] + width / 2, p[1] + height))
        ]
        partly = [p for p in places if p not in whole and shape.covers(Point(p))]
        beside = [(best.x, south - height), (best.x, north + height)] if or_beside else []
        return any(self._write(x, y, text, size_pt, **style) for x, y in whole + partly + beside)

    def _size(self, text: str, size_pt: float) -> tuple[float, float]:
        """About how wide and high a text is, in the map's units."""
        return 0.58 * size_pt * len(text) / self.points_per_unit, 1.25 * size_pt / self.points_per_unit

    def _write(self, x: float, y: float, text: str, size_pt: float, **style: Any) -> bool:  # noqa: ANN401
        """Write `text` around (x, y) if nothing is there."""
        width, height = self._size(text, size_pt)
        label = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        if not self._free(label):
            return False
        self.taken.append(label)
        self.axes.text(x, y, text, fontsize=size_pt, ha="center", va="center", clip_on=True, **style)
        return True

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        (left, right), (low, high) = sorted(self.axes.get_xlim()), sorted(self.axes.get_ylim())
        if box[0] < left or box[2] > right or box[1] < low or box[3] > high:
            return False
        return not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in self.taken)


def _around(width: float, height: float, gap: float) -> list[tuple[float, float]]:
    """Offsets of a label's centre from its mark, best first: beside it, above, below, then further out."""
    side, up = width / 2 + gap, height / 2 + gap
    near = [(side, 0.0), (-side, 0.0), (0.0, up), (0.0, -up), (side, up), (-side, up), (side, -up), (-side, -up)]
    return near + [(dx * 1.5, dy * 2.2) for dx, dy in near if dy]
