"""GOSPA: how far what is tracked is from what is there, split into places, misses and ghosts.

Rahmathullah, Garcia-Fernandez, Svensson, Generalized optimal sub-pattern assignment metric, FUSION 2017, with alpha 2.
"""

from typing import NamedTuple

import numpy as np

from opencram.tables import FloatArray, IntArray
from opencram.tracking.association import assign_table


class Gospa(NamedTuple):
    """One moment's figures; the three parts add up to `distance_m` to the power p."""

    distance_m: float
    localisation: float
    """Sum of the distances, to the power p, of what is tracked from what it is."""
    missed: float
    """Half of cut-off to the power p for each object without a track."""
    false: float
    """The same for each track without an object."""
    pairs: IntArray
    """The object of each track, -1 for none."""


def gospa(tracked_m: FloatArray, true_m: FloatArray, cut_off_m: float, p: float = 2.0) -> Gospa:
    """Compare points (n, d) with those that are there (m, d), metres; a pair beyond the cut-off is none.

    The assignment that makes the distance least makes the sum of cut-off^p - distance^p of its pairs greatest.
    """
    apart = tracked_m[:, None, :] - true_m[None, :, :]
    cost = np.sqrt((apart**2).sum(axis=-1)) ** p
    gain = cut_off_m**p - cost
    pairs = assign_table(gain)
    rows = np.flatnonzero(pairs >= 0)
    localisation = float(cost[rows, pairs[rows]].sum())
    half = 0.5 * cut_off_m**p
    missed, false = half * (len(true_m) - len(rows)), half * (len(tracked_m) - len(rows))
    return Gospa((localisation + missed + false) ** (1.0 / p), localisation, missed, false, pairs)
