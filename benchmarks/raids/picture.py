"""The picture of the page: lead times over what was possible, and how they are spread."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import numpy as np

from raids.score import Row

COLOURS = {"mortar": "#0072b2", "rocket": "#d55e00", "shell": "#009e73", "drone": "#cc79a7"}
LONGEST_S = 90.0


def draw(rows: Sequence[Row], path: Path) -> None:
    """Left: when it was known against when it could have been, in seconds beyond need. Right: shares by lead."""
    plt.rcParams.update({"svg.hashsalt": "opencram", "font.size": 9, "axes.grid": True, "grid.alpha": 0.3})
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.6, 3.8), layout="constrained")
    for family, colour in COLOURS.items():
        own = [hit for row in rows for hit in row.hits if hit.possible and hit.family == family]
        if not own:
            continue
        beyond = np.array([(hit.possible_s or 0.0) - hit.shelter_s for hit in own])
        lead = np.array([(hit.warned_s if hit.warned_s is not None else 0.0) - hit.shelter_s for hit in own])
        left.plot(
            np.minimum(beyond, LONGEST_S), np.minimum(lead, LONGEST_S), ".", color=colour, markersize=3, label=family
        )
        right.plot(np.sort(np.minimum(lead, LONGEST_S)), np.linspace(0.0, 100.0, len(lead)), color=colour, label=family)
    left.plot([0.0, LONGEST_S], [0.0, LONGEST_S], color="0.6", linewidth=0.8)
    left.axhline(0.0, color="black", linewidth=0.8)
    left.set(xlabel="possible: seconds beyond what people need", ylabel="warned: seconds beyond what people need")
    right.axvline(0.0, color="black", linewidth=0.8)
    right.set(xlabel="warned: seconds beyond what people need", ylabel="% of hits with less")
    left.legend(fontsize=7)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
