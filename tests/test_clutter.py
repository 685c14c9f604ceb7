"""What is learnt of a sensor that its site does not describe, against what the sky was made with."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from opencram.physics.layout import layout_of
from opencram.site import Site
from opencram.stages.plots_to_tracks import TracksState, let_go, plots_to_tracks
from opencram.tables import CONFIRMED, Plots
from opencram.tracking.clutter import Learnt, learn_detection, learn_false, volume_of
from skies import plots_of, scans, shot
from small_site import START_NS, site_of, square

COVERAGE = np.array([200.0, 20_000.0, 0.0, 2.0 * np.pi, np.radians(1.0), np.radians(80.0)])
TRUE_VOLUME = 9_500.0 * np.radians(120.0) * np.radians(73.0)


@pytest.fixture(scope="module")
def site() -> Site:
    return site_of([square("home", 0.0, 0.0)])


def clutter(rng: np.random.Generator, mean: float) -> list[tuple[float, float, float]]:
    """False plots of a sector radar: 500 to 10,000 m, 60 degrees either side of north, 2 to 75 degrees high."""
    n = rng.poisson(mean)
    az = rng.uniform(-np.radians(60.0), np.radians(60.0), n) % (2.0 * np.pi)
    rows = zip(rng.uniform(500.0, 10_000.0, n), az, rng.uniform(np.radians(2.0), np.radians(75.0), n), strict=True)
    return [(float(r), float(a), float(e)) for r, a, e in rows]


def test_the_number_and_the_place_of_false_plots_are_found() -> None:
    rng, learnt = np.random.default_rng(0), Learnt()
    for _ in range(300):
        learn_false(learnt, np.array(clutter(rng, 20.0)).reshape(-1, 3))
    assert learnt.false_plots == pytest.approx(20.0, rel=0.15)
    assert volume_of(learnt, COVERAGE, True) == pytest.approx(TRUE_VOLUME, rel=0.05)


def test_before_anything_was_seen_the_coverage_counts() -> None:
    whole = 19_800.0 * 2.0 * np.pi * np.radians(79.0)
    assert volume_of(Learnt(), COVERAGE, True) == pytest.approx(whole)
    assert volume_of(Learnt(), COVERAGE, False) == pytest.approx(19_800.0 * 2.0 * np.pi)


@pytest.mark.parametrize("true", [0.5, 0.7, 0.95])
def test_the_chance_of_detection_is_found(true: float) -> None:
    rng, learnt = np.random.default_rng(1), Learnt()
    for _ in range(4_000):
        learn_detection(learnt, rng.geometric(true, 3).astype(np.float64))
    assert learnt.p_detect == pytest.approx(true, abs=0.06)


def dense_sky(site: Site, seconds: float) -> Iterator[tuple[int, Plots]]:
    """Twenty false plots a scan in a thirtieth of the stated coverage, and nothing else."""
    rng = np.random.default_rng(2)
    for number in range(int(seconds * 10)):
        scan = plots_of(clutter(rng, 20.0), 0.1 * number, number)
        yield START_NS + number * 100_000_000, scan


def test_dense_clutter_that_nobody_announced_confirms_nothing(site: Site) -> None:
    state, confirmed = TracksState(), 0
    for now_ns, scan in dense_sky(site, 180.0):
        confirmed += int((plots_to_tracks(state, scan, site).status == CONFIRMED).sum())
        let_go(state, now_ns, site)
    assert confirmed == 0


def test_what_the_site_states_is_not_learnt(site: Site) -> None:
    sensor = site.sensors[0].model_copy(update={"detection": 0.8, "false_plots_per_scan": 3.0})
    stated, state = site.model_copy(update={"sensors": (sensor,)}), TracksState()
    one = shot(layout_of(stated), "rocket-107", 370.0, 30.0, (6_500.0, 0.0))
    for _, scan in scans([one], 5, 5.0, false_plots=3.0):
        plots_to_tracks(state, replace(scan), stated)
    assert state.learnt == {}
