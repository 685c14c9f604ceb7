"""Global nearest neighbour: which plot belongs to which track, by the greatest total likelihood ratio.

The assignment problem is solved by shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987; Crouse, IEEE
Trans. Aerosp. Electron. Syst. 52, 2016) over the list of pairs that share a gate. A path never leaves the tracks and
plots that are linked by such pairs: a far track changes no bit of another's result, and nothing grows with what is far.
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.tables import BoolArray, FloatArray, IntArray

FREE = -1
CROWD_RADIUS_M = 200.0
CROWD_VOLUME_M3 = 4.0 / 3.0 * math.pi * CROWD_RADIUS_M**3
"""Two rockets rippled half a second apart are this near each other."""


@device
def _augment(
    row: int, begins: IntArray, plot_of: IntArray, gain: FloatArray, taken: BoolArray, row_price: FloatArray,
    plot_price: FloatArray, row_of: IntArray, chosen: IntArray, least: FloatArray, way: IntArray, seen: IntArray,
) -> None:  # fmt: skip
    """Give one more track its plot, or none, at the least total cost, moving others to their second choice if need be.

    Costs are the negative gains; to take no plot costs nothing. `least` (m) holds infinity throughout between calls,
    `way` (m) and `seen` (m) are room to work; `taken` (m) are plots that are out of the question.
    """
    touched, end, at, reached, loose, loose_row = 0, FREE, row, 0.0, math.inf, row
    while end == FREE:
        if reached - row_price[at] < loose:
            loose, loose_row = reached - row_price[at], at
        for k in range(begins[at], begins[at + 1]):
            j = plot_of[k]
            if gain[k] <= 0.0 or taken[j]:
                continue
            cost = reached - gain[k] - row_price[at] - plot_price[j]
            if least[j] == math.inf:
                seen[touched] = j
                touched += 1
            if cost < least[j] and way[j] >= FREE:
                least[j], way[j] = cost, at
        nearest = FREE
        for t in range(touched):
            j = seen[t]
            if way[j] >= 0 and (nearest == FREE or least[j] < least[nearest]):
                nearest = j
        if nearest == FREE or loose <= least[nearest]:
            reached = loose
            break
        reached = least[nearest]
        # settled plots remember their way as -2 - row
        way[nearest] = -2 - way[nearest]
        if row_of[nearest] == FREE:
            end = nearest
        else:
            at = row_of[nearest]
    row_price[row] += reached
    for t in range(touched):
        j = seen[t]
        if way[j] <= -2:
            if row_of[j] != FREE:
                row_price[row_of[j]] += reached - least[j]
            plot_price[j] -= reached - least[j]
    if end == FREE:
        # a track goes without, and its plot, if it had one, is free for those before it on the path
        end, chosen[loose_row] = chosen[loose_row], FREE
    while end != FREE:
        giver = -2 - way[end]
        row_of[end] = giver
        end, chosen[giver] = chosen[giver], end
        if giver == row:
            break
    for t in range(touched):
        least[seen[t]], way[seen[t]] = math.inf, FREE


@kernel("void(int64[::1], int64[::1], float64[::1], boolean[::1], boolean[::1], int64[::1])")
def assign(
    begins: IntArray, plot_of: IntArray, gain: FloatArray, asked: BoolArray, taken: BoolArray, chosen: IntArray
) -> None:
    """Give those of the tracks (n) that are `asked` a plot each that is not `taken` (m), or none: into `chosen` (n).

    The pairs of track i are begins[i] to begins[i + 1] (n + 1). Gain (k,) is the logarithm of the likelihood ratio of
    'plot plot_of[k] is this track's' to 'the plot is false'; only pairs with a positive gain are worth making.
    """
    n, plots = len(chosen), len(taken)
    row_of, row_price, plot_price = np.full(plots, FREE, np.int64), np.zeros(n), np.zeros(plots)
    least, way, seen = np.full(plots, math.inf), np.full(plots, FREE, np.int64), np.empty(plots, np.int64)
    for i in range(n):
        if asked[i] and begins[i + 1] > begins[i]:
            _augment(i, begins, plot_of, gain, taken, row_price, plot_price, row_of, chosen, least, way, seen)
    for j in range(plots):
        if row_of[j] != FREE:
            taken[j] = True


@kernel("float64[::1](float64[:,::1], boolean[::1], float64)")
def crowding(plots: FloatArray, free: BoolArray, ln_false: float) -> FloatArray:
    """(m,): how dense the other `free` plots of a scan are round each plot, over the density of false ones.

    Where several objects that are not known yet fly close together, the next plot of a track that mixes two of them
    is never far: what speaks for an object among false plots does not speak for it there.
    """
    order = np.argsort(plots[:, 0], kind="mergesort")
    crowd = np.zeros(len(plots))
    for s in range(len(order)):
        j = order[s]
        if not free[j] or math.isnan(plots[j, 2]):
            continue
        for t in range(s + 1, len(order)):
            k = order[t]
            if plots[k, 0] - plots[j, 0] > CROWD_RADIUS_M:
                break
            if not free[k] or math.isnan(plots[k, 2]):
                continue
            turn = abs(plots[k, 1] - plots[j, 1])
            across = min(turn, 2.0 * math.pi - turn) * plots[j, 0] * math.cos(plots[j, 2])
            up, along = (plots[k, 2] - plots[j, 2]) * plots[j, 0], plots[k, 0] - plots[j, 0]
            if across * across + up * up + along * along < CROWD_RADIUS_M * CROWD_RADIUS_M:
                crowd[j] += 1.0
                crowd[k] += 1.0
        # from a density per m3 to one per m and rad2
        crowd[j] *= plots[j, 0] ** 2 * math.cos(plots[j, 2]) / (CROWD_VOLUME_M3 * math.exp(ln_false))
    return crowd


@kernel("float64[::1](int64[::1], int64[::1], float64[::1], int64[::1], boolean[::1], float64[::1], float64)")
def evidence(
    begins: IntArray, plot_of: IntArray, gain: FloatArray, chosen: IntArray, known: BoolArray, crowd: FloatArray,
    ln_miss: float,
) -> FloatArray:  # fmt: skip
    """How much each track's `chosen` plot (n,) speaks for there being an object, (n,); zero without a plot.

    The gain of a pair (k,) is told against false plots alone. What another track that is `known` (n) may have given
    speaks less: if that one has a plot of its own, by the odds that it is the false one of the two; if it has none, by
    those that it was not missed, which happens with exp(`ln_miss`). So does a plot in a crowd, `crowd` (m) times as
    dense as false plots are.
    """
    n = len(chosen)
    own, rivals, told = np.zeros(n), 1.0 + crowd, np.zeros(n)
    for i in range(n):
        for k in range(begins[i], begins[i + 1]):
            if plot_of[k] == chosen[i]:
                own[i] = gain[k]
    for i in range(n):
        for k in range(begins[i], begins[i + 1]):
            if known[i] and plot_of[k] != chosen[i]:
                rivals[plot_of[k]] += math.exp(gain[k] - (ln_miss if chosen[i] == FREE else own[i]))
    for i in range(n):
        if own[i] > 0.0:
            told[i] = max(own[i] - math.log(rivals[chosen[i]]), 0.0)
    return told


def assign_table(gain: FloatArray) -> IntArray:
    """As `assign`, of a table of gains (n, m), minus infinity for a pair that cannot be: (n,), -1 for none."""
    n, m = gain.shape
    rows, cols = np.nonzero(gain > 0.0)
    begins, chosen = np.searchsorted(rows, np.arange(n + 1)).astype(np.int64), np.full(n, FREE, np.int64)
    pairs = begins, cols.astype(np.int64), np.ascontiguousarray(gain[rows, cols])
    assign(*pairs, np.ones(n, np.bool_), np.zeros(m, np.bool_), chosen)
    return chosen
