"""The map of what never moves: what it learns, what it leaves alone, and what it says of a plot."""

import numpy as np

from opencram.tables import FloatArray
from opencram.tracking.cluttermap import BARREN, MOST_CELLS, NO_TRACK, ClutterMap, cells_of, learn, look_up, rivals

SIGMA = np.array([10.0, 0.002, 0.002, 2.0])
UPDATE_NS = 100_000_000
SIZE = cells_of(SIGMA)


def looked_up(clutter: ClutterMap, plots: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    own, often = np.empty(len(plots), np.int64), np.empty(len(plots))
    look_up(plots, SIZE, clutter.key, clutter.rate, own, often)
    return own, often


def seen_for(looks: int, chance: float, track: int, moving: tuple[int, ...] = ()) -> tuple[ClutterMap, FloatArray]:
    """A map after so many looks at one place, and that place (1, 4)."""
    rng, clutter, place = np.random.default_rng(0), ClutterMap(), np.array([[4_000.0, -0.001, 0.02, 0.0]])
    for look in range(1, looks + 1):
        plots = place + SIGMA * rng.standard_normal((1, 4)) * np.array([[1.0, 1.0, 1.0, 0.15]])
        plots = plots[: int(rng.random() < chance)]
        own, _ = looked_up(clutter, plots)
        learn(clutter, own, np.full(len(own), track), np.array(moving, np.int64), look * UPDATE_NS, UPDATE_NS)
    return clutter, place


def test_what_comes_again_and_again_is_known_by_how_often_it_does() -> None:
    clutter, place = seen_for(600, 0.4, NO_TRACK)
    often = looked_up(clutter, place)[1][0]
    # the eight nearest cells hold most of it; the mean over 100 looks of a chance of 0.4 is 0.05 off
    assert 0.25 < often < 0.55
    assert often > BARREN
    assert np.log(rivals(np.array([often]), True, True, SIZE, np.log(2.0 / (15_000.0 * 8.7)))[0]) > 10.0


def test_elsewhere_and_at_another_range_rate_nothing_is_known() -> None:
    clutter, place = seen_for(600, 0.4, NO_TRACK)
    others = np.repeat(place, 3, axis=0)
    others[0, 0] += 200.0
    others[1, 1] += 0.03
    others[2, 3] = 150.0
    assert looked_up(clutter, others)[1].tolist() == [0.0, 0.0, 0.0]


def test_the_plots_of_what_moves_are_not_counted() -> None:
    assert len(seen_for(600, 0.9, 7, moving=(7,))[0].key) == 0


def test_what_is_seen_no_more_is_forgotten() -> None:
    clutter, _place = seen_for(600, 0.4, NO_TRACK)
    nobody, none = np.empty(0, np.int64), np.empty(0, np.int64)
    for look in range(601, 1_400):
        learn(clutter, nobody, nobody, none, look * UPDATE_NS, UPDATE_NS)
    assert len(clutter.key) == 0


def test_the_map_is_bounded() -> None:
    clutter, rng, none = ClutterMap(), np.random.default_rng(1), np.empty(0, np.int64)
    for look in range(1, 120):
        own = rng.integers(0, 1_000_000, 500)
        learn(clutter, own, np.full(500, NO_TRACK), none, look * UPDATE_NS, UPDATE_NS)
    assert len(clutter.key) == MOST_CELLS
