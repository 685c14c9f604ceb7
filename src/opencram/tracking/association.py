"""Global nearest neighbour: which plot belongs to which track, by the greatest total likelihood ratio.

Tracks and plots that share no gate cannot influence each other: the problem is solved one connected component at a
time, so a far track changes no bit of another's result. Within a component it is the Hungarian method by shortest
augmenting paths (Kuhn, Naval Res. Logist. Q. 2, 1955; Crouse, IEEE Trans. Aerosp. Electron. Syst. 52, 2016).
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import FloatArray, IntArray

FREE = -1
LARGE_COST = 1e9
"""Stands for 'not in the gate'; far above any log-likelihood, small enough to keep its digits."""


@device
def _root(parent: IntArray, i: int) -> int:
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i


@device
def _components(gain: FloatArray, rows: IntArray, taken: IntArray) -> IntArray:
    """The component of each row, named by its first row, from gains worth making with plots not taken."""
    parent, first = np.arange(len(rows)), np.full(gain.shape[1], FREE, np.int64)
    for i in range(len(rows)):
        for j in range(gain.shape[1]):
            if gain[rows[i], j] > 0.0 and taken[j] == FREE:
                if first[j] == FREE:
                    first[j] = i
                a, b = _root(parent, i), _root(parent, first[j])
                parent[max(a, b)] = min(a, b)
    for i in range(len(rows)):
        parent[i] = _root(parent, i)
    return parent


@device
def _solve(cost: FloatArray) -> IntArray:
    """The column of each row (k) at least total cost (k, l), k <= l: one shortest augmenting path a row."""
    k, cols = cost.shape
    row_price, col_price = np.zeros(k), np.zeros(cols + 1)
    row_of, way = np.full(cols + 1, FREE, np.int64), np.zeros(cols + 1, np.int64)
    for i in range(k):
        row_of[cols] = i
        at, least, used = cols, np.full(cols + 1, math.inf), np.zeros(cols + 1, np.bool_)
        while row_of[at] != FREE:
            used[at] = True
            row, delta, nearest = row_of[at], math.inf, cols
            for j in range(cols):
                if used[j]:
                    continue
                reduced = cost[row, j] - row_price[row] - col_price[j]
                if reduced < least[j]:
                    least[j], way[j] = reduced, at
                if least[j] < delta:
                    delta, nearest = least[j], j
            for j in range(cols + 1):
                if used[j]:
                    row_price[row_of[j]] += delta
                    col_price[j] -= delta
                else:
                    least[j] -= delta
            at = nearest
        while at != cols:
            row_of[at] = row_of[way[at]]
            at = way[at]
    chosen = np.full(k, FREE, np.int64)
    for j in range(cols):
        if row_of[j] != FREE:
            chosen[row_of[j]] = j
    return chosen


@device
def _best_of(gain: FloatArray, rows: IntArray, taken: IntArray, chosen: IntArray) -> None:
    """The best assignment within one component, into `chosen`; each track may also take no plot, at gain zero."""
    plots = np.empty(gain.shape[1], np.int64)
    n = 0
    for j in range(gain.shape[1]):
        worth = False
        for i in rows:
            worth = worth or gain[i, j] > 0.0
        if worth and taken[j] == FREE:
            plots[n] = j
            n += 1
    k = len(rows)
    cost = np.full((k, n + k), LARGE_COST)
    for i in range(k):
        cost[i, n + i] = 0.0
        for j in range(n):
            if gain[rows[i], plots[j]] > 0.0:
                cost[i, j] = -gain[rows[i], plots[j]]
    best = _solve(cost)
    for i in range(k):
        if best[i] < n and cost[i, best[i]] < 0.0:
            chosen[rows[i]] = plots[best[i]]
            taken[plots[best[i]]] = rows[i]


@kernel("int64[::1](float64[:,::1], int64[::1])")
def assign(gain: FloatArray, rank: IntArray) -> IntArray:
    """The plot of each track, -1 for none: (n,) from the gain (n, m) of each pair, minus infinity where not gated.

    Gain is the logarithm of the likelihood ratio of 'this plot is this track's' to 'the plot is false'; only pairs with
    a positive gain are worth making. Tracks of a lower `rank` (n,) choose before those of a higher.
    """
    n = len(rank)
    chosen, taken = np.full(n, FREE, np.int64), np.full(gain.shape[1], FREE, np.int64)
    for turn in range(3):
        rows = np.flatnonzero(rank == turn)
        part = _components(gain, rows, taken)
        for i in range(len(rows)):
            if part[i] == i:
                _best_of(gain, rows[part == i], taken, chosen)
    return chosen
