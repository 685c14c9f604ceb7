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

WIDTH_IN = 7.2
FONT_PT = 8.0


def new_figure(height_in: float, width_in: float = WIDTH_IN) -> Figure:
    """An empty figure that fits an A4 page."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    FigureCanvasSVG(figure)
    return figure


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

    buffer = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "opencram"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue().decode("utf-8")
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # what nothing refers to needs no id; two figures in one page would else use the same ones
    text = re.sub(r' id="(?!p[0-9a-f]{10}|m[0-9a-f]{10}|C\d_)[^"]*"', "", text)
    text = re.sub(r"<!--.*?-->\n?", "", text, flags=re.DOTALL)
    text = re.sub(r'(<svg [^>]*?)\swidth="[\d.]+pt"', r"\1", text, count=1)
    text = re.sub(r'(<svg [^>]*?)\sheight="[\d.]+pt"', r"\1", text, count=1)
    return text.replace("<svg ", f'<svg role="img" aria-label="{escape(label, quote=True)}" ', 1)


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

    def put(self, x: float, y: float, text: str, *, size_pt: float = FONT_PT, mark: bool = True, **style: Any) -> bool:  # noqa: ANN401
        """Write `text` near (x, y), beside it if there is a mark there; whether a free place was found."""
        width, height = 0.58 * size_pt * len(text) / self.points_per_unit, 1.25 * size_pt / self.points_per_unit
        for dx, dy in _places(width, height, 6.0 / self.points_per_unit if mark else 0.0):
            box = (x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2)
            if self._free(box):
                self.taken.append(box)
                self.axes.text(x + dx, y + dy, text, fontsize=size_pt, ha="center", va="center", clip_on=True, **style)
                return True
        return False

    def _free(self, box: tuple[float, float, float, float]) -> bool:
        (left, right), (low, high) = sorted(self.axes.get_xlim()), sorted(self.axes.get_ylim())
        if box[0] < left or box[2] > right or box[1] < low or box[3] > high:
            return False
        return not any(box[0] < t[2] and t[0] < box[2] and box[1] < t[3] and t[1] < box[3] for t in self.taken)


def _places(width: float, height: float, gap: float) -> list[tuple[float, float]]:
    """Offsets of a label's centre, best first: beside the point, above, below, then further out."""
    if gap == 0.0:
        return [(0.0, k * height) for k in (0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0)]
    side, up = width / 2 + gap, height / 2 + gap
    near = [(side, 0.0), (-side, 0.0), (0.0, up), (0.0, -up), (side, up), (-side, up), (side, -up), (-side, -up)]
    return near + [(dx * 1.5, dy * 2.2) for dx, dy in near if dy]
