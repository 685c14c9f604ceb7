"""What may be a stream of gunfire: its odds by company and time, and what they leave of a class's weight."""

import numpy as np

from opencram.tracking.evidence import C_BURN_S, CLASS, SURE, late_boost
from opencram.tracking.fit import T_MISS, T_NOISE, T_PARTS, TOLD
from opencram.tracking.stream import (
    COMPANY_M,
    COMPANY_NS,
    FALL_PER_S,
    MOST_MISFIT,
    S_MISFIT,
    S_ODDS,
    STREAM,
    STREAM_BEGINS,
    Rounds,
    keep_company,
    misfit,
    take_for_stream,
)

SIZE_DB = np.array([-15.2, -20.9, -33.0])
SLOWEST, FASTEST = np.array([350.0, 70.0, 600.0]), np.array([385.0, 307.0, 900.0])
"""A rocket, a mortar bomb and gunfire."""


def left(seen_db: float, ln_odds: float, plots: int = 20) -> np.ndarray:
    weight, size = np.array([0.5, 0.5, 0.0]), np.array([plots * 10.0 ** (seen_db / 10.0), float(plots), 0.0])
    take_for_stream.py_func(ln_odds, size, SIZE_DB, SLOWEST, FASTEST, 2, weight)
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
    stream, slots = np.zeros((2, STREAM)), np.array([0, 1])
    stream[:, S_ODDS], stream[:, S_MISFIT] = STREAM_BEGINS, MOST_MISFIT
    for k in range(1, 21):
        keep_company(stream, slots, np.full(2, 0.1 * k), np.array([False, True]))
    assert stream[0, 0] < STREAM_BEGINS - 1.5
    assert stream[1, 0] > STREAM_BEGINS + 3.0
    assert np.allclose(stream[:, S_MISFIT], MOST_MISFIT - 2.0 * FALL_PER_S), "what once did not fit is forgotten slowly"


def told(missed: float, parts: float, noise: float) -> np.ndarray:
    fit = np.zeros(TOLD)
    fit[T_MISS : T_MISS + 4], fit[T_PARTS : T_PARTS + 4], fit[T_NOISE : T_NOISE + 4] = missed, parts, noise
    return fit


def test_plots_that_one_flight_explains_say_nothing_and_others_much() -> None:
    """By hand: (40 - 10 - 10 ln 4) / 2 = 8.07 of each of the four quantities."""
    assert misfit.py_func(told(10.0, 10.0, 1.0), np.ones(4)) == 0.0
    assert misfit.py_func(told(10.0, 10.0, 2.0), np.ones(4)) == 0.0, "misses smaller than the radar's errors"
    assert abs(misfit.py_func(told(40.0, 10.0, 1.0), np.ones(4)) - 4 * 8.068) < 0.01
    assert misfit.py_func(told(40.0, 10.0, 4.0), np.ones(4)) == 0.0, "a radar worse than it states explains it"


def test_what_no_motor_explains_is_a_late_boost() -> None:
    rocket, bomb = np.zeros(CLASS), np.zeros(CLASS)
    rocket[C_BURN_S] = 0.6
    cov, back = np.zeros((12, 12)), np.zeros((4, 10))
    back[2, 0] = -1.0
    assert late_boost.py_func(cov, back, rocket) == 0.0, "a second after the launch a motor may just have burnt out"
    assert late_boost.py_func(cov, back, bomb) == SURE
    back[2, 0] = -5.0
    assert late_boost.py_func(cov, back, rocket) == SURE
    back[0, 0] = np.nan
    assert late_boost.py_func(cov, back, bomb) == 0.0, "of a flight that finds no launch nothing is known"


def test_company_is_near_in_place_and_time() -> None:
    rounds, at = Rounds(), np.zeros((1, 3))
    rounds.note(np.array([1]), np.array([0]), at)
    assert rounds.near(np.array([0]), at + np.array([0.0, 0.9 * COMPANY_M, 0.0])).tolist() == [True]
    assert rounds.near(np.array([0]), at + np.array([0.0, 1.1 * COMPANY_M, 0.0])).tolist() == [False]
    assert rounds.near(np.array([COMPANY_NS]), at).tolist() == [False]
