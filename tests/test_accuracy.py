"""Prediction against the Cramer-Rao bound, whose derivatives are differences of whole flights: a few of the shots of
`make accuracy`, the chain never told what flies."""

import numpy as np
import pytest

from accuracy.flyers_study import one_flyer
from accuracy.score import counted, covered, ratio
from accuracy.shots import CASES, CLASSES
from accuracy.study import one_shot
from opencram.tables import FloatArray

BY_NAME = {case.name: case for case in CASES}


def rows_of(case: str, shots: int) -> FloatArray:
    return np.concatenate([one_shot(BY_NAME[case], cls, n) for cls in CLASSES for n in range(shots)])


@pytest.fixture(scope="module")
def base() -> FloatArray:
    return rows_of("base", 6)


def test_impact_errors_are_near_the_bound(base: FloatArray) -> None:
    """Each whole second from 3 s on: 1.06 over 1,800 shots; 54 of them scatter by 0.05."""
    assert 0.85 < ratio(counted(base)) < 1.20


def test_the_ellipse_tells_the_truth(base: FloatArray) -> None:
    """Mean NEES is 2 where the covariance is true; seconds of one shot err together, so its mean over 54 scatters."""
    own = counted(base)
    assert 1.5 < own["nees"].mean() < 2.5
    assert 0.85 <= covered(own, 0.90) <= 0.95


def test_every_second_has_its_answer(base: FloatArray) -> None:
    late = base[(base["kind"] == "age") & (base["at"] >= 3.0)]
    assert late["answered"].mean() > 0.995


def test_launch_ellipses_hold_the_launch(base: FloatArray) -> None:
    at = base[(base["kind"] == "age") & (base["at"] == 8.0)]
    assert covered(at, 0.95, "launch_nees") >= 0.85


@pytest.mark.parametrize("case", ["worse", "better", "wind", "pull-in", "bias", "gap", "1hz"])
def test_the_ellipse_stays_true_when_the_radar_does_not(case: str) -> None:
    """Mean NEES within a factor of two of 2."""
    assert 1.0 < counted(rows_of(case, 3))["nees"].mean() < 4.0


@pytest.mark.parametrize("cls", ["bird", "aircraft", "gunfire"])
def test_no_innocent_is_called_a_threat(cls: str) -> None:
    assert not any(one_flyer(cls, n, True)[2] for n in range(40))


def test_a_drone_is_called_one_by_speed_and_size() -> None:
    said = [one_flyer("drone", n, True)[1] for n in range(40)]
    assert said.count("drone") >= 28
    assert set(said) <= {"drone", "unknown"}
