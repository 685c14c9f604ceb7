"""Assignment against exhaustive search, and its promise that far tracks do not touch each other."""

from itertools import permutations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from opencram.tables import FloatArray
from opencram.tracking.association import assign

ALIKE = np.zeros(100, np.int64)


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
    chosen = assign(gain, ALIKE[: len(gain)])
    total = sum(gain[i, j] for i, j in enumerate(chosen) if j >= 0)
    assert total == pytest.approx(best_total(gain), abs=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_no_plot_is_used_twice(seed: int) -> None:
    chosen = assign(random_gain(seed, 12, 9), ALIKE[:12])
    used = chosen[chosen >= 0]
    assert len(set(used.tolist())) == len(used)


@pytest.mark.parametrize("seed", range(10))
def test_a_far_group_changes_nothing(seed: int) -> None:
    near, far = random_gain(seed, 5, 6), random_gain(seed + 100, 4, 3)
    both = np.full((9, 9), -np.inf)
    both[:5, :6], both[5:, 6:] = near, far
    assert assign(both, ALIKE[:9])[:5].tolist() == assign(near, ALIKE[:5]).tolist()


def test_nothing_to_assign() -> None:
    assert assign(np.empty((0, 3)), ALIKE[:0]).tolist() == []
    assert assign(np.empty((2, 0)), ALIKE[:2]).tolist() == [-1, -1]


@pytest.mark.parametrize("seed", range(5))
def test_it_is_worth_as_much_as_scipys(seed: int) -> None:
    """Against `scipy.optimize.linear_sum_assignment`, at sizes that cannot be tried out."""
    gain = random_gain(seed, 40, 35)
    chosen = assign(gain, ALIKE[:40])
    padded = np.hstack([np.where(gain > 0.0, -gain, 1e6), np.where(np.eye(40) == 1.0, 0.0, 1e6)])
    rows, cols = linear_sum_assignment(padded)
    assert sum(gain[i, j] for i, j in enumerate(chosen) if j >= 0) == pytest.approx(-padded[rows, cols].sum())


def test_those_of_a_lower_rank_choose_first() -> None:
    gain = np.array([[9.0, 3.0], [5.0, 1.0], [4.0, -1.0]])
    assert assign(gain, np.array([1, 0, 2])).tolist() == [1, 0, -1]
