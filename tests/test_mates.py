"""What a salvo tells of one of its tracks, against the same estimate in plain NumPy."""

import numpy as np
import pytest

from opencram.tables import BALLISTIC, CONFIRMED, FloatArray, IntArray
from opencram.tracking.bank import DEBRIS, MODEL, STATUS, WHOLE
from opencram.tracking.mates import ask_mates

Salvo = tuple[IntArray, FloatArray, FloatArray]


def salvo(ln_beta: list[float], sigma: list[float], apart_m: float = 100.0) -> Salvo:
    """Confirmed ballistic tracks in a row, with these coefficients and what is known of each."""
    n, rng = len(ln_beta), np.random.default_rng(1)
    whole = np.zeros((n, WHOLE), np.int64)
    whole[:, STATUS], whole[:, MODEL] = CONFIRMED, BALLISTIC
    mean, cov = np.zeros((n, 3, 7)), np.zeros((n, 3, 7, 7))
    mean[:, :, 0], mean[:, :, 6] = apart_m * np.arange(n)[:, None], np.array(ln_beta)[:, None]
    for i in range(n):
        a = rng.standard_normal((7, 7))
        cov[i] = a @ a.T + np.eye(7)
        cov[i] *= sigma[i] ** 2 / cov[i, 0, 6, 6]
    return whole, mean, cov


def asked(tracks: Salvo, row: int = 0) -> tuple[FloatArray, FloatArray]:
    """State and covariance of a track once its mates were asked."""
    whole, mean, cov = tracks
    x, spread = mean[[row], BALLISTIC].copy(), cov[[row], BALLISTIC].copy()
    ask_mates(np.array([row]), whole, mean, cov, x, spread)
    return x[0], spread[0]


def predicted(values: FloatArray, variances: FloatArray) -> tuple[float, float]:
    """Mean and variance of one more of a kind: DerSimonian and Laird 1986, with the least spread of a lot."""
    w = 1.0 / variances
    q = (w * (values - np.average(values, weights=w)) ** 2).sum()
    between = max((q - len(w) + 1) / (w.sum() - (w**2).sum() / w.sum()), 0.0)
    w = 1.0 / (variances + between)
    return float(np.average(values, weights=w)), float(max(between, 0.03**2) + 1.0 / w.sum())


@pytest.mark.parametrize("others", [[9.0, 9.05, 8.95], [8.7, 9.3, 9.0, 9.2]])
def test_it_is_a_kalman_update_with_what_one_more_of_the_kind_would_be(others: list[float]) -> None:
    sigma = [0.1, 0.05, 0.2, 0.1][: len(others)]
    tracks = salvo([9.3, *others], [0.6, *sigma])
    value, variance = predicted(np.array(others), np.array(sigma) ** 2)
    before, cov = tracks[1][0, BALLISTIC], tracks[2][0, BALLISTIC]
    gain = cov[:, 6] / (cov[6, 6] + variance)
    x, spread = asked(tracks)
    np.testing.assert_allclose(x, before + gain * (value - before[6]), rtol=1e-12)
    np.testing.assert_allclose(spread, cov - np.outer(gain, cov[6]), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("what", ["too few", "too far", "not known", "another kind", "debris"])
def test_who_is_no_mate_changes_no_bit(what: str) -> None:
    n = 2 if what == "too few" else 4
    tracks = salvo(
        [7.0 if what == "another kind" else 9.3] + [9.0] * (n - 1),
        [0.6] + [0.9 if what == "not known" else 0.05] * (n - 1),
        apart_m=1_600.0 if what == "too far" else 100.0,
    )
    if what == "debris":
        tracks[0][1:, DEBRIS] = 1
    x, spread = asked(tracks)
    assert x.tolist() == tracks[1][0, BALLISTIC].tolist()
    assert spread.tolist() == tracks[2][0, BALLISTIC].tolist()
