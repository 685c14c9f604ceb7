"""The picture of the performance page."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from tracking.race import OURS, STOCK, TUNED, Row
from tracking.raid import FALSE_PLOTS, STEP_S
from tracking.result import Result, loads, of, times_ms

COLOURS = {OURS: "#0072b2", TUNED: "#d55e00", STOCK: "#009e73"}


def draw(result: Result, folder: Path) -> None:
    """Time per scan against load, both logarithmic, as load.svg: medians, and the 99th percentile as a thin line."""
    plt.rcParams.update({"svg.hashsalt": "opencram", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    figure, axes = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    for tracker in (STOCK, TUNED, OURS):
        _line(axes, result.rows, tracker, f"{tracker}, {FALSE_PLOTS} false plots", "o-")
    _line(axes, result.curve, OURS, f"{OURS}, as many false plots as objects", "s--")
    axes.axhline(1e3 * STEP_S, color="black", linewidth=0.8, label=f"a scan every {1e3 * STEP_S:.0f} ms")
    axes.set(xscale="log", yscale="log", xlabel="objects", ylabel="time per scan, ms; thin: 99th percentile")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.yaxis.set_major_formatter("{x:,g}")
    figure.legend(loc="outside lower center", ncols=2, fontsize=7)
    figure.savefig(folder / "load.svg", metadata={"Date": None})
    plt.close(figure)


def _line(axes: Axes, rows: list[Row], tracker: str, label: str, style: str) -> None:
    at = [n for n in loads(rows) if of(rows, tracker, n)]
    if not at:
        return
    ms = np.array([np.percentile(times_ms(of(rows, tracker, n)), [50, 99]) for n in at])
    axes.plot(at, ms[:, 0], style, color=COLOURS[tracker], label=label, linewidth=1.4, markersize=4)
    axes.plot(at, ms[:, 1], style[1:], color=COLOURS[tracker], linewidth=0.6)
