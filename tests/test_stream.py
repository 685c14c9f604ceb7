"""What may be a stream of gunfire: its odds by company and time, and what they leave of a class's weight."""

import numpy as np

from opencram.tracking.stream import COMPANY_M, COMPANY_NS, STREAM_BEGINS, Rounds, keep_company, take_for_stream

SIZE_DB = np.array([-15.2, -20.9, -33.0])
SLOWEST, FASTEST = np.array([350.0, 70.0, 600.0]), np.array([385.0, 307.0, 900.0])
"""A rocket, a mortar bomb and gunfire."""


def left(seen_db: float, ln_odds: float, plots: int = 20) -> np.ndarray:
    weight, rcs = np.array([0.5, 0.5, 0.0]), np.array([plots * (seen_db - 2.5), float(plots)])
    take_for_stream.py_func(ln_odds, rcs, SIZE_DB, SLOWEST, FASTEST, 2, weight)
    return weight


def test_a_small_young_object_is_taken_for_gunfire_and_a_large_one_is_not() -> None:
    small, large = left(-24.0, STREAM_BEGINS), left(-13.0, STREAM_BEGINS)
    assert small[2] > 0.95
    assert large[0] > 0.4
    assert small.sum() == 1.0
    assert large.sum() == 1.0


def test_what_flew_alone_for_long_keeps_its_weight() -> None:
    assert left(-21.0, -8.0)[2] < 0.01


def test_odds_fall_alone_and_rise_in_company() -> None:
    stream, slots = np.array([[STREAM_BEGINS, 0.0], [STREAM_BEGINS, 0.0]]), np.array([0, 1])
    for k in range(1, 21):
        keep_company(stream, slots, np.full(2, 0.1 * k), np.array([False, True]))
    assert stream[0, 0] < STREAM_BEGINS - 1.5
    assert stream[1, 0] > STREAM_BEGINS + 3.0


def test_company_is_near_in_place_and_time() -> None:
    rounds, at = Rounds(), np.zeros((1, 3))
    rounds.note(np.array([1]), np.array([0]), at)
    assert rounds.near(np.array([0]), at + np.array([0.0, 0.9 * COMPANY_M, 0.0])).tolist() == [True]
    assert rounds.near(np.array([0]), at + np.array([0.0, 1.1 * COMPANY_M, 0.0])).tolist() == [False]
    assert rounds.near(np.array([COMPANY_NS]), at).tolist() == [False]
