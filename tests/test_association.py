"""Assignment against exhaustive search, and its promise that far tracks do not touch each other."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from opencram.tables import FloatArray
from opencram.tracking.association import assign, assign_table, crowding, evidence


def best_total(gain: FloatArray) -> float:
    """The greatest total gain over every way to give each track one plot of its own or none, by trying them all."""
    n, m = gain.shape
    padded = np.hstack([np.where(gain > 0.0, gain, 0.0), np.zeros((n, n))])
    return max(sum(padded[i, j] for i, j in enumerate(cols)) for cols in permutations(range(m + n), n))


def random_gain(seed: int, n: int, m: int) -> FloatArray:
    rng = np.random.default_rng(seed)
    return np.where(rng.random((n, m)) < 0.6, rng.uniform(-3.0, 20.0, (n, m)), -np.inf)


@pytest.mark.parametrize("seed", range(40))
def test_no_other_assignment_is_worth_more(seed: int) -> None:
    gain = random_gain(seed, 1 + seed % 4, 1 + seed % 3)
    chosen = assign_table(gain)
    total = sum(gain[i, j] for i, j in enumerate(chosen) if j >= 0)
    assert total == pytest.approx(best_total(gain), abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_no_plot_is_used_twice(seed: int) -> None:
    chosen = assign_table(random_gain(seed, 12, 9))
    used = chosen[chosen >= 0]
    assert len(set(used.tolist())) == len(used)


@pytest.mark.parametrize("seed", range(10))
def test_a_far_group_changes_nothing(seed: int) -> None:
    near, far = random_gain(seed, 5, 6), random_gain(seed + 100, 4, 3)
    both = np.full((9, 9), -np.inf)
    both[:5, :6], both[5:, 6:] = near, far
    assert assign_table(both)[:5].tolist() == assign_table(near).tolist()


def test_nothing_to_assign() -> None:
    assert assign_table(np.empty((0, 3))).tolist() == []
    assert assign_table(np.empty((2, 0))).tolist() == [-1, -1]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_worth_as_much_as_scipys(seed: int) -> None:
    """Against `scipy.optimize.linear_sum_assignment`, at sizes that cannot be tried out."""
    gain = random_gain(seed, 40, 35)
    chosen = assign_table(gain)
    padded = np.hstack([np.where(gain > 0.0, -gain, 1e6), np.where(np.eye(40) == 1.0, 0.0, 1e6)])
    rows, cols = linear_sum_assignment(padded)
    assert sum(gain[i, j] for i, j in enumerate(chosen) if j >= 0) == pytest.approx(-padded[rows, cols].sum())


Pairs = tuple[np.ndarray, np.ndarray, FloatArray]


def listed(gain: FloatArray) -> Pairs:
    """A table of gains as the list of its pairs."""
    rows, cols = np.nonzero(np.isfinite(gain))
    return np.searchsorted(rows, np.arange(len(gain) + 1)), cols.copy(), np.ascontiguousarray(gain[rows, cols])


def test_plots_that_are_taken_are_left_alone() -> None:
    gain = np.array([[9.0, 3.0], [5.0, 1.0], [4.0, -1.0]])
    chosen, taken = np.full(3, -1, np.int64), np.zeros(2, np.bool_)
    assign(*listed(gain), np.array([False, True, False]), taken, chosen)
    assert (chosen.tolist(), taken.tolist()) == ([-1, 0, -1], [True, False])
    assign(*listed(gain), np.array([True, False, True]), taken, chosen)
    assert (chosen.tolist(), taken.tolist()) == ([1, 0, -1], [True, True])


def test_a_plot_that_fits_a_neighbour_as_well_is_no_evidence() -> None:
    gain, both, none = np.array([[8.0], [8.0]]), np.array([0, -1]), np.zeros(1)
    known, alone = np.array([True, True]), np.array([True, False])
    assert evidence(*listed(gain), both, known, none, -2.0)[0] == pytest.approx(0.0, abs=1e-3)
    assert evidence(*listed(gain), both, alone, none, -2.0).tolist() == [8.0, 0.0]


def test_a_neighbour_with_a_plot_of_its_own_takes_little_away() -> None:
    gain = np.array([[9.0, -np.inf], [2.0, 9.0]])
    told = evidence(*listed(gain), np.array([0, 1]), np.array([True, True]), np.zeros(2), -2.0)
    assert told == pytest.approx([9.0 - np.log1p(np.e ** (2 - 9)), 9.0])


def test_a_crowd_is_counted_in_the_density_of_its_neighbours() -> None:
    """Three plots within 200 m at 5 km against one false plot in 10^6 m rad2; far ones and those taken do not count."""
    z = np.array([[5_000, 1.0, 0.2], [5_100, 1.0, 0.2], [5_000, 1.02, 0.2], [5_050, 1.0, 0.2], [9_000, 1.0, 0.2]])
    plots = np.column_stack([z, np.full(5, np.nan)])
    free = np.array([True, True, True, False, True])
    crowd = crowding(plots, free, float(np.log(1e-6)))
    per_neighbour = 5_000**2 * np.cos(0.2) / (4 / 3 * np.pi * 200**3) / 1e-6
    assert crowd[0] == pytest.approx(2 * per_neighbour, rel=1e-9)
    assert crowd[2] == pytest.approx(2 * per_neighbour, rel=1e-9)
    assert crowd[3:].tolist() == [0.0, 0.0]
