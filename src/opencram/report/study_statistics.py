"""What many runs come to: means and shares with their intervals, paired differences, and which parameter matters most.

Runs of one seed meet the same chance at every point and in every variant (common random numbers), so they are not
independent of each other: whatever is pooled over points is first averaged seed by seed, and seeds are what is counted.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opencram.report.outcomes import Scalar
from opencram.tables import FloatArray

Key = tuple[Scalar, Scalar]
"""The point and the seed of a run."""

CONFIDENCE = 0.95
FEWEST_IN_BIN = 2
"""Points in a bin on the average: with fewer, what a parameter does cannot be told from what is within a bin."""


@dataclass(frozen=True)
class Interval:
    """A mean or a share, and between what it lies with the stated confidence; `n` values were counted."""

    mean: float
    low: float
    high: float
    n: int


def wilson(successes: float, n: int, confidence: float = CONFIDENCE) -> Interval:
    """A share's score interval (Wilson, 1927, Journal of the American Statistical Association 22, 209).

    `successes` may be the sum of n shares, which vary less than as many single runs: the interval is rather too wide.
    """
    from scipy.special import ndtri

    z = float(ndtri(0.5 + 0.5 * confidence))
    share, weight = successes / n, 1.0 + z * z / n
    middle = (share + z * z / (2.0 * n)) / weight
    half = z / weight * math.sqrt(share * (1.0 - share) / n + z * z / (4.0 * n * n))
    return Interval(share, max(middle - half, 0.0), min(middle + half, 1.0), n)


def mean_interval(values: Sequence[float] | FloatArray, confidence: float = CONFIDENCE) -> Interval | None:
    """A mean's interval by Student's t (1908); None for fewer than two values."""
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        return None
    array = np.asarray(values, np.float64)
    mean = float(array.mean())
    half = float(stdtrit(n - 1, 0.5 + 0.5 * confidence)) * float(array.std(ddof=1)) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def interval_of(values: Iterable[Scalar], share: bool, confidence: float = CONFIDENCE) -> Interval | None:
    """The interval of one point's values, one of each seed; those that are not known are left out."""
    known = numbers(values)
    if share:
        return wilson(int(sum(known)), len(known), confidence) if known else None
    return mean_interval(known, confidence)


def pooled(
    values: Iterable[tuple[Hashable, Scalar]], share: bool = False, confidence: float = CONFIDENCE
) -> Interval | None:
    """The interval of (seed, value) of several points together: the mean over seeds of each seed's own mean."""
    means = list(by_seed(values).values())
    if share:
        return wilson(sum(means), len(means), confidence) if means else None
    return mean_interval(means, confidence)


def by_seed(values: Iterable[tuple[Hashable, Scalar]]) -> dict[Hashable, float]:
    """Seed -> mean of its values that are known, in the order in which seeds come."""
    own: dict[Hashable, list[float]] = {}
    for seed, value in values:
        if value is not None:
            own.setdefault(seed, []).append(float(value))
    return {seed: sum(known) / len(known) for seed, known in own.items()}


def paired(
    first: Mapping[Key, Scalar], second: Mapping[Key, Scalar], confidence: float = CONFIDENCE
) -> Interval | None:
    """Second minus first, of runs under the same (point, seed): the t interval of the seeds' mean differences."""
    both = [key for key in first if first[key] is not None and second.get(key) is not None]
    gaps = [(key[1], float(second[key] or 0.0) - float(first[key] or 0.0)) for key in both]
    return pooled(gaps, confidence=confidence)


def numbers(values: Iterable[Scalar]) -> list[float]:
    """The values that are known, as numbers."""
    return [float(value) for value in values if value is not None]


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Spearman's rank correlation (1904): Pearson's of the ranks, ties sharing theirs; None where one is constant."""
    if len(x) < 3:
        return None
    a, b = (_ranks(np.asarray(values, np.float64)) for values in (x, y))
    a, b = a - a.mean(), b - b.mean()
    size = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / size if size > 0.0 else None


def _ranks(values: FloatArray) -> FloatArray:
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: FloatArray = (last - (count - 1) / 2.0)[place]
    return ranks


def variance_share(bins: Sequence[Hashable], y: Sequence[float]) -> float | None:
    """The share of the variance of `y` that the means of bins explain: the first-order Sobol index, from given data.

    S = V(E(y | bin)) / V(y) (Saltelli et al., Global Sensitivity Analysis: The Primer, 2008, chapter 1; by bins:
    Plischke, Borgonovo and Smith, European Journal of Operational Research 226, 2013, 536). Less what as many bins of
    pure chance would explain: 1 - (1 - S) (n - 1) / (n - k), Kelley's epsilon squared (1935), and 0 where that is below
    0. None where `y` does not vary, or bins hold fewer than `FEWEST_IN_BIN` points on the average.
    """
    values, kinds = np.asarray(y, np.float64), list(dict.fromkeys(bins))
    n, k = len(values), len(kinds)
    if k < 2 or n < FEWEST_IN_BIN * k:
        return None
    total = float(((values - values.mean()) ** 2).sum())
    if total <= 1e-12 * max(1.0, float(np.abs(values).max())) ** 2:
        return None
    place = np.array([kinds.index(kind) for kind in bins])
    inside = sum(float(((values[place == i] - values[place == i].mean()) ** 2).sum()) for i in range(k))
    return min(max(1.0 - inside / total * (n - 1) / (n - k), 0.0), 1.0)


def equal_bins(values: Sequence[float]) -> list[int]:
    """Which of about the square root of n bins of equally many values, eight at most, each value lies in."""
    order: NDArray[np.int64] = np.argsort(np.asarray(values, np.float64), kind="stable")
    number = max(2, min(8, math.isqrt(len(values))))
    bins = np.empty(len(values), np.int64)
    bins[order] = np.arange(len(values)) * number // len(values)
    return bins.tolist()
