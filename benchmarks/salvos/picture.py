"""The picture of the salvos' page: one salvo of fifty, its plots and its tracks."""

from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from opencram.tables import CONFIRMED, FloatArray, Plots, Tracks
from salvos.sky import Case
from salvos.trial import Followed, follow

EVERY, DOTS_EVERY = 40, 6
"""Of a track's rows and of the plots, so that the picture of the whole stays small."""
SHOWN_S = 5.0
DOTS_PER_INCH = 66
"""Of the plots, which are too many for lines."""


def draw(case: Case, seed: int, path: Path) -> None:
    """Above: height against range over the whole salvo. Below: range against time where its middle is highest."""
    plt.rcParams.update({"svg.hashsalt": "opencram", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    figure, (whole, part) = plt.subplots(2, 1, figsize=(7.2, 7.6), layout="constrained")
    followed = follow(case, seed)
    start_ns = followed.scans.truth[0][0]
    plots = Plots.concat(plots for plots, _ in followed.seen)
    tracks = Tracks.concat(told.take(told.status == CONFIRMED) for _, told in followed.seen)
    at_s, seen_s = 1e-9 * (tracks.time_ns - start_ns), 1e-9 * (plots.time_ns - start_ns)
    range_km = 1e-3 * np.linalg.norm(tracks.mean[:, :3], axis=1)
    few = plots.take(np.arange(0, len(plots), DOTS_EVERY))
    _dots(whole, 1e-3 * few.range_m * np.cos(few.el_rad), 1e-3 * few.range_m * np.sin(few.el_rad))
    _lines(whole, tracks, 1e-3 * np.hypot(tracks.mean[:, 0], tracks.mean[:, 1]), 1e-3 * tracks.mean[:, 2], EVERY)
    top_km = 1.2e-3 * tracks.mean[:, 2].max()
    whole.set(xlabel="range over ground, km", ylabel="height, km", xlim=(0, None), ylim=(0, top_km))
    middle_s = _highest_s(followed)
    near = np.abs(at_s - middle_s) < 0.5 * SHOWN_S
    low, high = np.percentile(range_km[near], [40, 60])
    near &= np.abs(range_km - 0.5 * (low + high)) < high - low
    _dots(part, seen_s, 1e-3 * plots.range_m)
    _lines(part, tracks.take(near), at_s[near], range_km[near], 1)
    limits = (middle_s - 0.5 * SHOWN_S, middle_s + 0.5 * SHOWN_S)
    part.set(xlabel="time, s", ylabel="slant range, km", xlim=limits, ylim=(low, high))
    figure.savefig(path, metadata={"Date": None}, dpi=DOTS_PER_INCH)
    plt.close(figure)


def _highest_s(followed: Followed) -> float:
    """When the mean height is greatest."""
    truth = [(now_ns, pos[:, 2].mean()) for now_ns, _, pos, _ in followed.scans.truth if len(pos)]
    return 1e-9 * (max(truth, key=lambda row: row[1])[0] - followed.scans.truth[0][0])


def _dots(axes: Axes, x: FloatArray, y: FloatArray) -> None:
    axes.plot(x, y, ".", color="#999999", markersize=2, zorder=1, rasterized=True)


def _lines(axes: Axes, tracks: Tracks, x: FloatArray, y: FloatArray, every: int) -> None:
    colours = plt.get_cmap("tab20").colors
    for number, track in enumerate(np.unique(tracks.track).tolist()):
        rows = np.flatnonzero(tracks.track == track)[::every]
        axes.plot(x[rows], y[rows], "-", color=colours[7 * number % 20], linewidth=0.8)
