"""The statistics of studies against SciPy's and against closed forms."""

import math

import numpy as np
import pytest
from scipy import stats

from opencram.report.outcomes import planning_figures
from opencram.report.study_statistics import (
    equal_bins,
    interval_of,
    mean_interval,
    paired,
    pooled,
    rank_correlation,
    variance_share,
    wilson,
)
from small_site import site_of, square
from study_rows import luck


@pytest.mark.parametrize(("k", "n"), [(0, 1), (0, 8), (3, 8), (8, 8), (199, 200)])
def test_a_share_has_wilsons_interval(k: int, n: int) -> None:
    theirs = stats.binomtest(k, n).proportion_ci(0.9, method="wilson")
    found = wilson(k, n, 0.9)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)
    assert found.low <= found.mean == k / n <= found.high


def test_a_mean_has_students_interval() -> None:
    values = [luck("mean", i) for i in range(9)]
    low, high = stats.t.interval(0.95, 8, loc=np.mean(values), scale=stats.sem(values))
    found = mean_interval(values)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert mean_interval([1.0]) is None


def test_what_is_not_known_is_not_counted() -> None:
    assert interval_of([True, None, False], True) == wilson(1, 2)
    assert interval_of([None, None], True) is None
    assert interval_of([2, None, 4], False) == mean_interval([2.0, 4.0])


def test_points_are_pooled_by_seed() -> None:
    """Ten points that met the same seeds are no more than those seeds: the interval is that of their means."""
    rows = [(seed, luck("seed", seed) + 0.01 * luck(point, seed)) for point in range(10) for seed in range(8)]
    means = [np.mean([value for s, value in rows if s == seed]) for seed in range(8)]
    found, plain = pooled(rows), mean_interval([value for _, value in rows])
    low, high = stats.t.interval(0.95, 7, loc=np.mean(means), scale=stats.sem(means))
    assert found is not None
    assert plain is not None
    assert (found.low, found.high, found.n) == pytest.approx((low, high, 8), rel=1e-12)
    assert found.high - found.low > 2.0 * (plain.high - plain.low)
    yes = [(seed, point < 8) for point in range(10) for seed in range(5)]
    assert pooled(yes, share=True) == wilson(4, 5)  # eight in ten of each seed: as good as four seeds of five


def test_a_paired_difference_is_scipys() -> None:
    first = {(0, seed): 5.0 * luck(seed) for seed in range(20)}
    second = {key: value + 0.3 + 0.1 * luck(key) for key, value in first.items()}
    theirs = stats.ttest_rel(list(second.values()), list(first.values())).confidence_interval(0.95)
    found, apart = paired(first, second), mean_interval(list(first.values()))
    assert found is not None
    assert apart is not None
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=1e-9)
    assert found.high - found.low < 0.1 * (apart.high - apart.low)  # what pairs are for
    assert paired(first, {(0, 3): 1.0}) is None


def test_rank_correlation_is_scipys() -> None:
    x = [int(5 * luck("x", i)) for i in range(40)]
    y = [luck("y", i) - 0.2 * x[i] for i in range(40)]
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)
    assert rank_correlation([1.0] * 5, y[:5]) is None


def test_first_order_indices_of_the_ishigami_function() -> None:
    """Closed form (Ishigami and Homma, 1990; Saltelli et al., 2008): 0.3139, 0.4424 and 0 for a = 7, b = 0.1."""
    unit = stats.qmc.Sobol(3, rng=1).random(4096)
    x = math.pi * (2.0 * unit - 1.0)
    y = np.sin(x[:, 0]) + 7.0 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])
    fine = [[int(share * 64) for share in column] for column in unit.T]
    assert [variance_share(bins, y.tolist()) for bins in fine] == pytest.approx([0.3139, 0.4424, 0.0], abs=0.02)
    coarse = [variance_share(equal_bins(column.tolist()), y.tolist()) for column in x.T]
    assert np.argsort([share or 0.0 for share in coarse]).tolist() == [
        2,
        0,
        1,
    ]  # eight bins see less, in the same order


def test_chance_alone_matters_little() -> None:
    """Without Kelley's correction seven bins too many of 64 points would explain 11 % on the average."""
    shares = [
        variance_share(equal_bins([luck(t, "x", i) for i in range(64)]), [luck(t, "y", i) for i in range(64)])
        for t in range(100)
    ]
    assert np.mean([share or 0.0 for share in shares]) < 0.05
    assert variance_share([0, 0, 1, 1], [3.0, 3.0, 3.0, 3.0]) is None
    assert variance_share([0, 1, 2], [1.0, 2.0, 3.0]) is None


def test_bins_hold_equally_many() -> None:
    bins = equal_bins([luck(i) for i in range(100)])
    assert sorted(np.bincount(bins).tolist()) == [12] * 4 + [13] * 4
    assert max(equal_bins([3.0, 1.0, 2.0, 4.0])) == 1


def test_a_salvo_takes_as_many_from_the_magazine_as_it_has_interceptors() -> None:
    orders = [{"used": 2}, {"used": 1}, {"used": None}]
    summary = {"zones": [], "objects": [], "debris": [], "engagements": orders, "end": "2026-01-01T00:00:00Z"}
    assert planning_figures(summary, site_of([square("home", 0.0, 0.0)]))["magazine_spent"] == 3
