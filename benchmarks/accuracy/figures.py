"""The pictures of the accuracy page."""

from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from scipy.stats import chi2

from accuracy.score import nees_band, ratio
from accuracy.shots import CLASSES
from opencram.tables import FloatArray

COLOURS = {"mortar": "#0072b2", "rocket": "#d55e00", "shell": "#009e73"}
DASHES = ("-", "--", ":")
FEWEST = 30
"""Fewer shots than this leave no point worth drawing."""


def draw(rows: FloatArray, folder: Path) -> None:
    """Error and bound, ratio, NEES and coverage against seconds of track and to go, of the base case, as SVG files."""
    plt.rcParams.update({"svg.hashsalt": "opencram", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    base = rows[(rows["case"] == "base") & rows["answered"]]
    _lines(base, folder / "error.svg", "impact error, RMS (m); thin: the bound", _error, log=True)
    _lines(base, folder / "ratio.svg", "RMS of error over the shot's own bound", _ratio, level=1.0)
    _lines(base, folder / "nees.svg", "mean NEES; grey: its 95 % band for 200 shots", _nees, level=2.0, band=True)
    _lines(base, folder / "coverage.svg", "share inside the 90 % ellipse", _inside, level=0.9)


def _error(cell: FloatArray) -> tuple[float, float]:
    return float(np.sqrt((cell["error_m"] ** 2).mean())), float(np.sqrt((cell["bound_m"] ** 2).mean()))


def _ratio(cell: FloatArray) -> tuple[float]:
    return (ratio(cell),)


def _nees(cell: FloatArray) -> tuple[float]:
    return (float(cell["nees"].mean()),)


def _inside(cell: FloatArray) -> tuple[float]:
    return (float((cell["nees"] <= chi2.ppf(0.9, 2)).mean()),)


def _lines(
    base: FloatArray,
    path: Path,
    title: str,
    value: Callable[[FloatArray], tuple[float, ...]],
    *,
    log: bool = False,
    level: float | None = None,
    band: bool = False,
) -> None:
    """One picture: `value` of each class against seconds of track on the left, against seconds to go on the right."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.6), sharey=True, layout="constrained")
    for axes, kind, name in ((left, "age", "seconds of track"), (right, "to-go", "seconds to go")):
        for number, cls in enumerate(CLASSES):
            own = base[(base["cls"] == cls) & (base["kind"] == kind)]
            times = [at for at in np.unique(own["at"]) if (own["at"] == at).sum() >= FEWEST]
            if not times:
                continue
            points = np.array([value(own[own["at"] == at]) for at in times])
            style = {"color": COLOURS[cls.split("-")[0]], "linestyle": DASHES[number % 3]}
            axes.plot(times, points[:, 0], label=cls, linewidth=1.4, **style)
            if points.shape[1] > 1:
                axes.plot(times, points[:, 1], linewidth=0.6, **style)
        if level is not None:
            axes.axhline(level, color="black", linewidth=0.8)
        if band:
            axes.axhspan(*nees_band(200), color="0.85", zorder=0)
        axes.set(xlabel=name, xlim=(0, 60) if kind == "age" else (60, 0))
    if log:
        left.set_yscale("log")
    figure.suptitle(title, fontsize=10)
    if left.lines:
        left.legend(ncol=3, fontsize=6)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
