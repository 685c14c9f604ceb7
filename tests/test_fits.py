"""What the fits keep: old plots merged without bending the flight, a reference that moves with its epoch."""

import numpy as np
import pytest

from accuracy.chain import follow
from accuracy.shots import CASES, Case, Seen, Shot, draw
from accuracy.study import one_shot
from opencram.tracking import fits

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
