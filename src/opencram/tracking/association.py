"""Global nearest neighbour: which plot belongs to which track, by the greatest total likelihood ratio.

Tracks and plots that share no gate cannot influence each other: the problem is solved one connected component at a
time, so a far track changes no bit of another's result.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from opencram.tables import BoolArray, FloatArray, IntArray

LARGE_COST = 1e9
"""Stands for 'not in the gate' in the assignment; far above any log-likelihood, small enough to keep its digits."""


def assign(gain: FloatArray) -> IntArray:
    """The plot of each track, -1 for none: (n,) from the gain (n, m) of each pair, minus infinity where not gated.

    Gain is the logarithm of the likelihood ratio of 'this plot is this track's' to 'the plot is false'; only pairs with
    a positive gain are worth making.
    """
    chosen = np.full(gain.shape[0], -1, np.int64)
    worth = gain > 0.0
    per_track, per_plot = worth.sum(axis=1), worth.sum(axis=0)
    lone = [i for i in np.flatnonzero(per_track == 1) if per_plot[np.argmax(worth[i])] == 1]
    for i in lone:
        chosen[i] = np.argmax(worth[i])
    contested = worth.copy()
    contested[lone] = False
    if contested.any():
        for tracks, plots in _components(contested):
            _solve(gain, worth, tracks, plots, chosen)
    return chosen


def _components(worth: BoolArray) -> list[tuple[IntArray, IntArray]]:
    """Groups of tracks and plots connected by gated pairs, in the order of their first track."""
    n, m = worth.shape
    rows, cols = np.nonzero(worth)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, cols + n)), shape=(n + m, n + m))
    _, label = connected_components(graph, directed=False)
    groups = []
    for first in dict.fromkeys(label[rows].tolist()):
        groups.append((np.flatnonzero(label[:n] == first), np.flatnonzero(label[n:] == first)))
    return groups


def _solve(gain: FloatArray, worth: BoolArray, tracks: IntArray, plots: IntArray, chosen: IntArray) -> None:
    """The best assignment within one component, into `chosen`; each track may also take no plot, at gain zero."""
    k = len(tracks)
    cost = np.full((k, len(plots) + k), LARGE_COST)
    pairs = np.ix_(tracks, plots)
    cost[:, : len(plots)] = np.where(worth[pairs], -gain[pairs], LARGE_COST)
    cost[np.arange(k), len(plots) + np.arange(k)] = 0.0
    for row, col in zip(*linear_sum_assignment(cost), strict=True):
        if col < len(plots) and cost[row, col] < LARGE_COST:
            chosen[tracks[row]] = plots[col]
