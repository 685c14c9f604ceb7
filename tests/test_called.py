"""What a track is called as its plots come in, and what is no piece of anything."""

import numpy as np
import pytest

from opencram.tables import BALLISTIC, OTHER
from opencram.tracking import scan
from opencram.tracking.bank import AMONG, COUNT, DEBRIS, MODEL, REAL, SHARED, WHOLE, Bank
from opencram.tracking.filters import CRUISE, MODELS, STATES
from opencram.tracking.lifecycle import LN_BETA_MEAN, acquit
from opencram.tracking.noise import as_stated, no_plots

TICK_NS = 100_000_000


def called_after(
    velocity: tuple[float, float, float], p_mode: float, sigma_mps: float, step_ns: int = TICK_NS, among: bool = False
) -> int:
    """After how many plots, 0.1 s apart, a track of even motion is called ballistic; 100 if never."""
    mean, cov = np.zeros((MODELS, STATES)), np.zeros((MODELS, STATES, STATES))
    mean[:, 3:6] = velocity
    cov[:, [3, 4, 5], [3, 4, 5]] = sigma_mps**2
    mode = np.full(MODELS, (1.0 - p_mode) / 2.0)
    mode[BALLISTIC] = p_mode
    whole = np.zeros(WHOLE, np.int64)
    whole[AMONG] = among
    for k in range(100):
        scan._call.py_func(mean, cov, mode, whole, step_ns)  # type: ignore[attr-defined]
        if whole[MODEL] == BALLISTIC:
            return k
    return 100


def test_what_climbs_steeply_was_fired_though_it_is_slow() -> None:
    assert called_after((10.0, -20.0, 85.0), 0.7, 10.0) == 0
    assert called_after((85.0, -20.0, 10.0), 0.7, 10.0) == 100, "as fast, but level"
    assert called_after((10.0, -20.0, 85.0), 0.7, 20.0) == 100, "it may climb less steeply, and is known too badly"
    assert called_after((5.0, 5.0, 30.0), 0.7, 3.0) == 100, "slower than 50 m/s: a bird, whatever the filter thinks"


def test_what_is_slow_must_fall_for_four_seconds() -> None:
    assert called_after((20.0, 0.0, -35.0), 0.9995, 1.0) == 39
    assert called_after((200.0, 0.0, -35.0), 0.9995, 1.0) == 0


def test_what_is_among_flyers_must_fall_for_a_second() -> None:
    assert called_after((20.0, 0.0, -50.0), 0.9995, 1.0, among=True) == 9
    assert called_after((20.0, 0.0, -50.0), 0.9995, 1.0) == 0


@pytest.mark.parametrize(
    ("speed_mps", "shared", "model", "among"),
    [(32.0, 5, OTHER, 1), (32.0, 4, OTHER, 0), (60.0, 5, OTHER, 0), (32.0, 5, BALLISTIC, 0)],
)
def test_what_is_slow_and_long_shares_its_plots_is_among_flyers(
    speed_mps: float, shared: int, model: int, among: int
) -> None:
    whole, mean = np.zeros(WHOLE, np.int64), np.zeros((MODELS, STATES))
    whole[SHARED], whole[MODEL], mean[CRUISE, 3] = shared, model, speed_mps
    scan._note_sharing.py_func(whole, mean)  # type: ignore[attr-defined]
    assert whole[AMONG] == among


def test_plots_shared_with_another_show_no_fall() -> None:
    assert called_after((20.0, 0.0, -35.0), 0.9995, 1.0, step_ns=0) == 100


def pieces(*speeds_mps: float, plots: int = 3) -> Bank:
    n = len(speeds_mps)
    whole = np.zeros((n, WHOLE), np.int64)
    whole[:, DEBRIS], whole[:, MODEL], whole[:, COUNT] = 1, BALLISTIC, plots
    mean, cov = np.zeros((n, MODELS, STATES)), np.tile(400.0 * np.eye(STATES), (n, MODELS, 1, 1))
    mean[:, :, 3] = np.array(speeds_mps)[:, None]
    mode = np.full((n, MODELS), 1.0 / MODELS)
    return Bank(whole, np.zeros((n, REAL)), mean, cov, mode, no_plots(n), as_stated(n))


def test_what_is_faster_than_any_piece_is_none() -> None:
    bank = pieces(820.0, 300.0, 540.0)
    acquit(bank)
    assert bank.whole[:, DEBRIS].tolist() == [0, 1, 1], "the last may be slower than it seems"
    assert bank.whole[0, MODEL] == OTHER, "what it is has to be shown anew"
    assert bank.mean[0, CRUISE, 6] == LN_BETA_MEAN


def test_what_broke_up_after_a_long_flight_stays_debris() -> None:
    bank = pieces(820.0, plots=40)
    acquit(bank)
    assert bank.whole[0, DEBRIS] == 1
