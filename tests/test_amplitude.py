"""What the strength of a plot says: against the densities as scipy has them."""

import numpy as np
import pytest
from scipy.stats import expon

from opencram.physics.layout import layout_of
from opencram.tracking.amplitude import MOST_LN, THRESHOLD, ln_faint
from small_site import RADAR, site_of, square

REFERENCE = {"range_m": 12_000.0, "rcs_m2": 0.1, "snr_db": 23.0}
LAYOUT = layout_of(site_of([square("home", 0.0, 0.0)], sensors=[RADAR | {"reference": REFERENCE}]))
SMALLEST_M2 = 0.005


@pytest.mark.parametrize("range_m", [6_000.0, 9_000.0, 14_000.0])
@pytest.mark.parametrize("beyond", [0.1, 1.0, 3.0])
def test_it_is_the_ratio_of_the_two_densities(range_m: float, beyond: float) -> None:
    """Noise and the smallest bomb (a Swerling 1 target by the range equation), beyond the threshold of detection."""
    snr = 10.0**2.3 * (SMALLEST_M2 / 0.1) * (12_000.0 / range_m) ** 4
    snr_db = 10.0 * np.log10(THRESHOLD + beyond)
    expected = np.log(expon.pdf(beyond) / expon.pdf(beyond, scale=1.0 + snr))
    found = ln_faint(LAYOUT, 0, np.array([range_m]), np.array([snr_db]))
    assert found[0] == pytest.approx(np.clip(expected, 0.0, MOST_LN))


def test_nothing_strong_and_nothing_untold_is_faint() -> None:
    range_m = np.full(4, 5_000.0)
    assert (ln_faint(LAYOUT, 0, range_m, np.array([np.nan, 30.0, 20.0, 60.0])) == 0.0).all()


def test_far_away_a_bomb_is_as_faint_as_noise() -> None:
    """Where the smallest bomb has hardly any signal its plots are not held against it."""
    assert ln_faint(LAYOUT, 0, np.array([40_000.0]), np.array([11.5]))[0] < 0.1
    assert ln_faint(LAYOUT, 0, np.array([3_000.0]), np.array([11.5]))[0] == MOST_LN
