"""GOSPA against Stone Soup's own code for it."""

import datetime as dt
import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from stonesoup.metricgenerator.ospametric import GOSPAMetric
    from stonesoup.types.state import State

from opencram.report.gospa import gospa
from opencram.tables import FloatArray

NOW = dt.datetime(2030, 1, 1)


def theirs(tracked: FloatArray, true: FloatArray, cut_off: float, p: float) -> dict[str, float]:
    metric = GOSPAMetric(c=cut_off, p=p)
    states = [[State(point.reshape(-1, 1), timestamp=NOW) for point in points] for points in (tracked, true)]
    return dict(metric.compute_gospa_metric(*states)[0].value)


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("seed", range(8))
def test_all_parts_agree(seed: int, p: float) -> None:
    rng = np.random.default_rng(seed)
    true = rng.uniform(0.0, 1_000.0, (int(rng.integers(1, 12)), 3))
    near = true[rng.random(len(true)) < 0.8]
    tracked = np.concatenate([near + rng.normal(0.0, 40.0, near.shape), rng.uniform(0.0, 1_000.0, (3, 3))])
    ours, other = gospa(tracked, true, 200.0, p), theirs(tracked, true, 200.0, p)
    assert ours.distance_m == pytest.approx(other["distance"])
    assert ours.localisation == pytest.approx(other["localisation"])
    assert ours.missed == pytest.approx(other["missed"])
    assert ours.false == pytest.approx(other["false"])


def test_nothing_there_and_nothing_tracked() -> None:
    none, two = np.empty((0, 3)), np.zeros((2, 3))
    assert gospa(none, none, 200.0).distance_m == 0.0
    assert gospa(none, two, 200.0)[1:4] == (0.0, 40_000.0, 0.0)
    assert gospa(two, none, 200.0)[1:4] == (0.0, 0.0, 40_000.0)
