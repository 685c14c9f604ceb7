"""The figures of a set of rows: ratio to the bound, consistency, coverage, with their uncertainty."""

import numpy as np
from scipy.stats import chi2

from opencram.tables import FloatArray

RESAMPLED = 1_000
FROM_S = 3.0
FROM_BURNOUT_S = 2.0
"""Where a rocket was seen in boost its track counts from burn-out."""


def nees_band(shots: int) -> tuple[float, float]:
    """95 % band of the mean NEES, two degrees of freedom, of so many shots; Bar-Shalom, Li, Kirubarajan 2001, 5.4.2."""
    low, high = chi2.ppf([0.025, 0.975], 2 * shots) / shots
    return float(low), float(high)


def counted(rows: FloatArray) -> FloatArray:
    """Answered rows of whole seconds of track, from FROM_S on."""
    from_s = np.where(rows["boosted"], FROM_BURNOUT_S, FROM_S)
    return rows[(rows["kind"] == "age") & (rows["at"] >= from_s) & rows["answered"]]


def ratio(rows: FloatArray) -> float:
    """Root of the mean square of each error over its own shot's bound."""
    return float(np.sqrt(((rows["error_m"] / rows["bound_m"]) ** 2).mean())) if len(rows) else float("nan")


def ratio_span(rows: FloatArray) -> tuple[float, float]:
    """95 % interval of `ratio`, by resampling whole shots: the seconds of one shot err together."""
    shot = np.unique([f"{c}/{n}" for c, n in zip(rows["cls"], rows["shot"], strict=True)], return_inverse=True)[1]
    squares = np.bincount(shot, (rows["error_m"] / rows["bound_m"]) ** 2)
    counts = np.bincount(shot)
    picks = np.random.default_rng(0).integers(0, len(counts), (RESAMPLED, len(counts)))
    low, high = np.percentile(np.sqrt(squares[picks].sum(axis=1) / counts[picks].sum(axis=1)), [2.5, 97.5])
    return float(low), float(high)


def covered(rows: FloatArray, share: float, nees: str = "nees") -> float:
    """Share of rows inside their ellipse of that probability."""
    known = rows[np.isfinite(rows[nees])]
    return float((known[nees] <= chi2.ppf(share, 2)).mean()) if len(known) else float("nan")


def cells(rows: FloatArray, fewest: int) -> list[FloatArray]:
    """The rows of each class, kind of time and time with at least `fewest` of them."""
    found = []
    for cls in dict.fromkeys(rows["cls"].tolist()):
        for kind in ("age", "to-go"):
            own = rows[(rows["cls"] == cls) & (rows["kind"] == kind)]
            found += [own[own["at"] == at] for at in np.unique(own["at"])]
    return [cell for cell in found if len(cell) >= fewest]


def in_band(rows: FloatArray, fewest: int) -> tuple[int, int]:
    """How many of the cells have their mean NEES in its 95 % band, and how many there are."""
    all_cells = cells(rows, fewest)
    good = 0
    for cell in all_cells:
        low, high = nees_band(len(cell))
        good += low <= cell["nees"].mean() <= high
    return good, len(all_cells)
