"""The pictures of a study: outcomes by point with their bands, differences of variants, and what matters most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from opencram.report import drawing as d
from opencram.report.drawing import FONT_PT, as_svg, new_axes, new_figure
from opencram.report.outcomes import Outcome, Row, Scalar
from opencram.report.study_data import Influence, Series, StudyData
from opencram.report.study_statistics import equal_bins, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = (d.BLUE, d.VERMILLION, d.GREEN, d.PURPLE, d.ORANGE, d.SKY)
MARKS = ("o", "s", "^", "D", "v", "P")
MOST_SERIES, MOST_COLUMNS, SIDE_BY_SIDE = 6, 4, 2
"""More scenarios with variants, or parameters, are in the tables alone."""
ROW_IN, LEGEND_IN = 1.35, 0.35
SPREAD = 0.09
"""Series stand this far apart at one value, as a share of the distance between values."""


def outcomes_figure(data: StudyData) -> str:
    """A row for each outcome, a column for each parameter; without parameters, two outcomes side by side."""
    parameters, series = data.parameters[:MOST_COLUMNS], data.series[:MOST_SERIES]
    across: Sequence[str | None] = parameters or [None]
    cells = [(name, parameter) for name in data.outcomes for parameter in across]
    columns = len(parameters) or SIDE_BY_SIDE
    rows = -(-len(cells) // columns)
    figure = new_figure(ROW_IN * rows + LEGEND_IN)
    for i, (name, parameter) in enumerate(cells):
        axes = new_axes(figure, rows, columns, i + 1)
        _outcome_axes(axes, data, series, name, parameter)
        first = i % columns == 0 or parameter is None
        _dress(axes, data.outcomes[name], first, i // columns == rows - 1, parameter)
    _legend(figure, series)
    return as_svg(figure, "Outcomes by point, with their 95 % intervals")


def _outcome_axes(axes: Axes, data: StudyData, series: Sequence[Series], outcome: str, parameter: str | None) -> None:
    for s, one in enumerate(series):
        rows = data.rows_of(one)
        if parameter is None:
            _bar(axes, [s], data, [rows], outcome, s)
        elif data.continuous(parameter):
            _cloud(axes, data, rows, outcome, parameter, s)
        else:
            _steps(axes, data, rows, outcome, parameter, s, len(series))
    if parameter is None:
        axes.set(xlim=(-0.6, len(series) - 0.4), xticks=[])


def _steps(axes: Axes, data: StudyData, rows: list[Row], outcome: str, parameter: str, s: int, several: int) -> None:
    """The mean at each of a parameter's values, with its interval."""
    levels = data.levels(parameter)
    parts = [[row for row in rows if row[parameter] == level] for level in levels]
    at, step = _places(levels)
    aside = SPREAD * step * (s - (several - 1) / 2.0)
    _bar(axes, [x + aside for x in at], data, parts, outcome, s)
    if len(numbers_or_none(levels)) != len(levels):
        axes.set_xticks(at, [str(level) for level in levels])


def _places(levels: Sequence[Scalar]) -> tuple[list[float], float]:
    """Where a parameter's values stand on the axis, and the least distance between two of them."""
    known = numbers_or_none(levels)
    at = known if len(known) == len(levels) else [float(i) for i in range(len(levels))]
    return at, float(np.diff(sorted(at)).min()) if len(at) > 1 else 1.0


def numbers_or_none(levels: Sequence[Scalar]) -> list[float]:
    """The levels that are numbers."""
    return [float(level) for level in levels if isinstance(level, int | float) and not isinstance(level, bool)]


def _bar(axes: Axes, at: Sequence[float], data: StudyData, parts: Sequence[list[Row]], outcome: str, s: int) -> None:
    """Means with whiskers, joined by a line."""
    found = [(x, data.interval(rows, outcome)) for x, rows in zip(at, parts, strict=True)]
    known = [(x, interval) for x, interval in found if interval is not None]
    if not known:
        return
    x = [x for x, _ in known]
    mean = np.array([interval.mean for _, interval in known])
    low, high = (np.array([getattr(interval, side) for _, interval in known]) for side in ("low", "high"))
    colour = COLOURS[s % len(COLOURS)]
    axes.errorbar(
        x, mean, yerr=np.maximum([mean - low, high - mean], 0.0), color=colour, marker=MARKS[s % len(MARKS)],
        markersize=4, linewidth=1, elinewidth=1, capsize=2,
    )  # fmt: skip
    if len(x) > 2:
        axes.fill_between(x, low, high, color=colour, alpha=0.13, linewidth=0)


def _cloud(axes: Axes, data: StudyData, rows: list[Row], outcome: str, parameter: str, s: int) -> None:
    """Each point's mean with its interval, and the means of bins of equally many points."""
    points: dict[Scalar, list[Row]] = {}
    for row in rows:
        points.setdefault(row["point"], []).append(row)
    found = [(numbers([own[0][parameter]])[0], data.interval(own, outcome)) for own in points.values()]
    known = sorted((x, i.mean, i.low, i.high) for x, i in found if i is not None)
    if not known:
        return
    x, mean, low, high = (np.array(column) for column in zip(*known, strict=True))
    colour = COLOURS[s % len(COLOURS)]
    axes.vlines(x, low, high, color=colour, linewidth=0.7, alpha=0.3)
    axes.plot(x, mean, MARKS[s % len(MARKS)], color=colour, markersize=2.5, alpha=0.6)
    bins = np.array(equal_bins(x.tolist()))
    middles = [(x[bins == b].mean(), mean[bins == b].mean()) for b in range(int(bins.max()) + 1)]
    axes.plot(*zip(*middles, strict=True), color=colour, linewidth=1.6)


def _dress(axes: Axes, outcome: Outcome, first: bool, last: bool, parameter: str | None) -> None:
    axes.grid(axis="y", color="#e4e4e4", linewidth=0.6)
    if outcome.share:
        axes.set(ylim=(-0.05, 1.05), yticks=(0, 0.5, 1))
    else:
        low, high = axes.get_ylim()
        axes.set_ylim(min(0.0, low), high + 0.08 * (high - low))
    if first:
        unit = f" ({outcome.unit})" if outcome.unit else ""
        axes.set_title(f"{outcome.label}{unit}", fontsize=FONT_PT, loc="left")
    if last and parameter is not None:
        axes.set_xlabel(parameter, fontsize=FONT_PT)


def _legend(figure: Figure, series: Sequence[Series]) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=COLOURS[s], marker=MARKS[s], markersize=4, linewidth=1, label=one.label)
        for s, one in enumerate(series)
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=2, fontsize=FONT_PT, frameon=False)


def differences_figure(data: StudyData) -> str:
    """An axis for each outcome: second variant minus first, with its interval; no difference is the line at 0."""
    found = data.differences()
    lines = list(dict.fromkeys((one.pair, one.scenario) for one in found))
    several = len({scenario for _, scenario in lines}) > 1
    names = [f"{second} – {first}" + (f", {scenario}" if several else "") for (first, second), scenario in lines]
    figure = new_figure((0.42 + 0.2 * len(lines)) * len(data.outcomes) + 0.2)
    for i, (name, outcome) in enumerate(data.outcomes.items()):
        axes = new_axes(figure, len(data.outcomes), 1, i + 1)
        for y, (pair, scenario) in enumerate(lines):
            interval = next(o.interval for o in found if (o.pair, o.scenario, o.outcome) == (pair, scenario, name))
            if interval is not None:
                clear = interval.low > 0.0 or interval.high < 0.0
                axes.plot([interval.low, interval.high], [y, y], color=d.BLUE if clear else d.PALE, linewidth=1.6)
                axes.plot(interval.mean, y, "o" if clear else "s", color=d.BLUE if clear else d.PALE, markersize=4)
        axes.axvline(0.0, color=d.INK, linewidth=0.8)
        axes.set(ylim=(len(lines) - 0.5, -0.5))
        axes.set_yticks(range(len(lines)), names)
        reach = 1.15 * max((abs(v) for v in axes.dataLim.intervalx if abs(v) > 1e-9), default=1.0)
        axes.set_xlim(-reach, reach)
        axes.set_title(f"{outcome.label}{f' ({outcome.unit})' if outcome.unit else ''}", fontsize=FONT_PT, loc="left")
    return as_svg(figure, "Differences between variants, with their 95 % intervals")


def influence_figure(data: StudyData) -> str:
    """A field for each outcome and parameter: the darker, the more of the variance between points it explains."""
    table = {name: data.influences(name) for name in data.outcomes}
    shares = np.array([[own[p].share or 0.0 for p in data.parameters] for own in table.values()])
    figure = new_figure(0.34 * len(table) + 0.7)
    axes = new_axes(figure)
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for i, own in enumerate(table.values()):
        for k, parameter in enumerate(data.parameters):
            colour = "white" if shares[i, k] > 0.55 else d.INK
            axes.text(k, i, influence_text(own[parameter]), ha="center", va="center", fontsize=FONT_PT, color=colour)
    axes.set_xticks(range(len(data.parameters)), data.parameters)
    axes.set_yticks(range(len(table)), [outcome.label for outcome in data.outcomes.values()])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    return as_svg(figure, "Share of the variance between points that each parameter explains")


def influence_text(influence: Influence) -> str:
    """'62 % ↑': the share, and which way the outcome goes as the parameter rises."""
    if influence.share is None:
        return "–"
    way = "" if influence.rank is None or influence.share < 0.01 else " ↑" if influence.rank > 0.0 else " ↓"
    return f"{100.0 * influence.share:.0f} %{way}"
