"""`make raids`: a raid comes from its number, what could be followed is told from what could not, the page counts."""

import msgspec
import numpy as np
import pytest

from opencram.tables import Plots
from raids.draw import raid
from raids.page import page
from raids.possible import in_a_run
from raids.score import Hit, Row


def plots_at(times_s: list[float]) -> Plots:
    n, none = len(times_s), np.zeros(len(times_s))
    time_ns = np.array([round(t * 1e9) for t in times_s], np.int64)
    zeros = np.zeros(n, np.int64)
    return Plots(
        time_ns=time_ns, received_ns=time_ns, sensor=zeros, range_m=none + 5e3, az_rad=none, el_rad=none,
        range_rate_mps=none, snr_db=none, rcs_dbsm=none, scan=zeros,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("times_s", "update_s", "first_s"),
    [
        ([0.0, 11.0, 23.0, 40.0, 40.1, 40.3, 40.4], 0.1, 40.0),
        ([0.0, 3.0, 6.0, 9.0, 30.0], 0.1, 0.0),
        ([0.0, 3.1, 6.2, 9.3], 0.1, None),
        ([0.0, 3.1, 6.2, 9.3], 1.0, 0.0),
        ([0.0, 0.1, 0.2], 0.1, None),
        ([], 0.1, None),
    ],
)
def test_a_run_is_four_plots_with_no_long_gap(times_s: list[float], update_s: float, first_s: float | None) -> None:
    run = in_a_run(plots_at(times_s), update_s)
    assert (run.time_ns[0] * 1e-9 if len(run) else None) == first_s
    if len(run):
        assert len(run) == len(times_s) - times_s.index(first_s)  # type: ignore[arg-type]


def test_a_raid_is_drawn_from_its_number_alone() -> None:
    assert raid(17).scenario == raid(17).scenario
    assert raid(17).site.sensors == raid(17).site.sensors
    assert raid(17).scenario != raid(18).scenario


def hit(possible_s: float, followed_s: float | None, warned_s: float) -> Hit:
    return Hit(
        impact_ns=0, sound_s=1.0, object="R1", cls="rocket-122", family="rocket", zone="base", kind="camp",
        shelter_s=20.0, flight_s=40.0, first_plot_s=35.0, possible_s=possible_s, followed_s=followed_s,
        passed_s=warned_s, warned_s=warned_s,
    )  # fmt: skip


def test_the_page_counts_those_warned_of_those_that_could_be() -> None:
    """Four could be warned of and three were; the fourth could not be followed so early. Of the fifth nobody could."""
    hits = [*[hit(30.0, 30.0, 25.0)] * 3, hit(30.0, 12.0, 10.0), hit(15.0, 15.0, 15.0)]
    row = Row(
        number=0, site="base", objects=5, classes=["rocket-122"], defended=False, update_s=0.1, hits=hits, harmed={},
        real=[1], alarms=[], pre_alerts=0, whole_site_person_min=100.0, wall_s=1.0,
    )  # fmt: skip
    text = page([msgspec.json.decode(msgspec.json.encode(row), type=Row)], {})
    assert "| hits warned in time, of those where it was possible | 3 of 4: 75.0 %" in text
    assert "| the same where it could be followed so early | 3 of 3: 100.0 %" in text
