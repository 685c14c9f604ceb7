"""How large an object seems: no larger for only its strong echoes being seen, nor for one echo of something else."""

import numpy as np
import pytest

from opencram.tracking.amplitude import THRESHOLD
from opencram.tracking.size import SIZE, Z_COUNT, beyond_threshold, fading_db2, off_db, size_evidence, take_size


def seen(mean_m2: float, noise_m2: float, looks: int, seed: int) -> np.ndarray:
    """The size of a Swerling 1 object by those of its echoes that pass the threshold."""
    power = (1.0 + mean_m2 / noise_m2) * np.random.default_rng(seed).standard_exponential(looks)
    snr = power[power > THRESHOLD] - 1.0
    size = np.zeros(SIZE)
    for beyond_m2, noise in beyond_threshold(10.0 * np.log10(snr * noise_m2), 10.0 * np.log10(snr)).tolist():
        take_size(size, beyond_m2, noise)
    return size


@pytest.mark.parametrize("mean_db", [-33.0, -25.0, -10.0])
def test_the_size_is_true_where_hardly_an_echo_is_seen_and_where_all_are(mean_db: float) -> None:
    mean_m2, noise_m2 = 10.0 ** (mean_db / 10.0), 10.0**-3.8
    off = [
        off_db.py_func(size, mean_db) for k in range(300) if (size := seen(mean_m2, noise_m2, 3_000, k))[Z_COUNT] > 20
    ]
    assert len(off) > 200
    assert abs(np.mean(off)) < 0.3


def test_the_spread_of_few_plots_is_that_of_exponential_numbers() -> None:
    """Standard deviation of the logarithm of a mean of n: by the trigamma function, 5.57 dB for one."""
    assert np.sqrt(fading_db2.py_func(np.array([1.0, 1.0, 0.0]))) == pytest.approx(5.57, rel=0.01)
    assert np.sqrt(fading_db2.py_func(np.array([1.0, 25.0, 0.0]))) == pytest.approx(0.878, rel=0.01)


def test_one_echo_of_something_large_makes_nothing_large() -> None:
    size = np.zeros(SIZE)
    for _ in range(30):
        take_size(size, 0.1, 0.0)
    take_size(size, 100.0, 0.0)
    assert off_db.py_func(size, -10.0) < 2.0


def test_what_is_not_told_says_nothing() -> None:
    assert size_evidence.py_func(np.zeros(SIZE), -10.0) == 0.0
    told = beyond_threshold(np.array([np.nan, -10.0, -10.0]), np.array([20.0, np.nan, 5.0]))
    assert np.isnan(told[0]).all()
    assert told[1].tolist() == pytest.approx([0.1, 0.0])
    assert told[2, 0] == pytest.approx(0.1), "below the usual threshold: this radar's is lower, and not known"
