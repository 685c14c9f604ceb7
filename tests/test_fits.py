"""What the fits keep: old plots merged without bending the flight, a reference that moves with its epoch."""

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from accuracy.chain import follow
from accuracy.shots import CASES, Case, Seen, Shot, draw
from accuracy.study import one_shot
from opencram.physics.layout import layout_of
from opencram.stages.plots_to_tracks import TracksState, plots_to_tracks
from opencram.stages.tracks_to_impacts import ImpactsState, tracks_to_impacts
from opencram.tracking import fits
from opencram.tracking.follow import B_STATE, FITTED
from opencram.tracking.hypotheses import LEAST_WEIGHT
from skies import scans, shot
from small_site import site_of, square

BASE = CASES[0]


def overhead(number: int) -> tuple[Shot, Seen]:
    """A steep 120 mm shot that passes near the radar: its azimuth turns round within seconds."""
    rng = np.random.default_rng([number, 7])
    while True:
        shot, seen = draw("mortar-120", rng, BASE)
        if len(seen.time_s) > 1.5 * fits.CAPACITY and np.degrees(seen.z[:, 2].max()) > 80.0:
            return shot, seen


@pytest.mark.parametrize("number", range(6))
def test_merging_old_plots_moves_no_impact(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a chain that keeps every plot: the two predictions differ by less than their own uncertainty."""
    _, seen = overhead(number)
    merged = follow(seen, BASE)
    monkeypatch.setattr(fits, "CAPACITY", 1_000)
    whole = follow(seen, BASE)
    late = slice(-40, -5)
    off = np.hypot(*(merged.impact[late, :2] - whole.impact[late, :2]).T)
    sigma = np.sqrt(np.trace(whole.cov[late], axis1=1, axis2=2))
    assert np.median(off / sigma) < 1.0


def test_a_bias_is_found_from_one_flight() -> None:
    """Range 60 m off throughout: left out of the fit, that is some 60 m of impact error; late on it is known."""
    case = Case("biased", "60 m", bias=False)
    misses = []
    for number in range(6):
        shot, seen = draw("mortar-120", np.random.default_rng(number), case)
        seen.z[:, 0] += 60.0
        answers = follow(seen, case)
        late = int(np.searchsorted(answers.time_s, shot.impact[2] - 3.0))
        misses.append(np.hypot(*(answers.impact[late, :2] - shot.impact[:2])))
    assert np.median(misses) < 15.0


def test_a_fit_that_was_lost_begins_anew() -> None:
    """Shot 10 of the 81 mm mortar once flew its fit away as its slot was full, 96 km off and a second before impact."""
    rows = one_shot(BASE, "mortar-81", 10)
    late = rows[(rows["kind"] == "age") & (rows["at"] >= 3.0)]
    assert late["answered"].all()
    assert (late["error_m"] / late["bound_m"]).max() < 10.0


def test_the_soonest_to_land_come_first_when_there_is_too_much_to_renew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two objects wait for a fit; once there is room for one a scan, the one that lands sooner has its impact first."""
    site = site_of([square("home", 0.0, 0.0)])
    late = shot(layout_of(site), "rocket-122", 660.0, 45.0, (14_000.0, 0.0))
    soon = shot(layout_of(site), "rocket-107", 370.0, 15.0, (0.0, 5_000.0))
    tracks, impacts, order = TracksState(), ImpactsState(), []
    for number, (_, scan) in enumerate(scans([late, soon], 1, 4.0, p_detect=1.0)):
        monkeypatch.setattr(fits, "MOST_RENEWED", 0 if number < 30 else 1)
        _, _, ends = tracks_to_impacts(impacts, plots_to_tracks(tracks, scan, site), scan, site)
        order += [east_m > 2_000.0 for east_m in ends.launch_enu_m[:, 0].tolist()]
        assert number >= 30 or not len(ends)
    assert order[:3] == [False, True, False] or order[:3] == [False, False, True]


def nonsense(rng: np.random.Generator) -> list[fits.Young]:
    """Plots that no flight can have, of a radar that claims any accuracy."""
    jump, time_ns, plots = rng.choice([0.01, 0.1, 1.0, 3.0]), 0, []
    at = np.array([rng.uniform(50.0, 20_000.0), rng.uniform(-3.0, 3.0), rng.uniform(-0.1, 1.5)])
    for _ in range(rng.integers(5, 40)):
        time_ns += int(rng.choice([1e6, 1e8, 1e9], p=[0.2, 0.6, 0.2]))
        at += rng.normal(0.0, [100.0 * jump, 0.1 * jump, 0.1 * jump])
        at[0], at[2] = abs(at[0]), min(max(at[2], -0.2), 1.57)
        doppler = rng.normal(0.0, 300.0) if rng.random() < 0.7 else math.nan
        sigma = 10.0 ** rng.uniform([-2.0, -6.0, -6.0, -3.0], [1.0, -2.0, -2.0, 0.0])
        plots.append(fits.Young(time_ns, 0, np.array([0.0, *at, doppler, *sigma]), math.nan, math.nan))
    return plots


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=1729)
@example(seed=2320)
@example(seed=2567)
def test_no_plots_lead_to_a_flight_that_cannot_be(seed: int) -> None:
    """Weights are numbers and sum to one; what comes down does so within minutes, and not beyond the Earth's curve."""
    layout, bank = layout_of(site_of([square("home", 0.0, 0.0)])), fits.Fits()
    for plot in nonsense(np.random.default_rng(seed)):
        bank.take(1, plot, debris=False, keep_all=True, layout=layout)
        slots = np.array(list(bank.slot_of.values()), np.int64)
        if len(slots):
            bank.follow(slots, layout)
        if not len(slots) or bank.arrays["book"][slots[0], B_STATE] != FITTED:
            continue
        found = bank.weigh(slots, layout)
        assert found.weight.sum() == pytest.approx(1.0)
        down = (found.weight[0] >= LEAST_WEIGHT) & np.isfinite(found.fall[0, :, 0])
        for told in (found.mean, found.cov, found.fall_cov):
            assert np.isfinite(told[0, down]).all()
        assert np.abs(found.fall[0, down]).max(initial=0.0) < 2e6
        assert np.nan_to_num(np.abs(found.came[0, down])).max(initial=0.0) < 2e6
