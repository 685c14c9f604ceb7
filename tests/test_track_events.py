"""What happens between two tracks is told: they share plots and part, one goes on as another, one repeats another."""

from collections.abc import Callable

import numpy as np
import pytest

from opencram.site import Site
from opencram.stages.plots_to_tracks import TracksState, let_go, plots_to_tracks, track_events
from opencram.tables import CONFIRMED, TRACK_EVENTS, TrackEvent
from skies import plots_of
from small_site import RADAR, SECOND_NS, START_NS, site_of, square

CELL_M, CELL_RAD = 30.0, float(np.radians(1.5))
EL_RAD = 0.2
Place = tuple[float, float]
"""Range (m) and azimuth (rad)."""
Path = Callable[[float], list[Place]]
"""The plots without errors at a time (s)."""


def radar(cell_m: float = CELL_M, cell_rad: float = CELL_RAD) -> Site:
    """One radar with this resolution cell, which misses a look in ten."""
    sensor = RADAR | {
        "detection": 0.9,
        "false_plots_per_scan": 5.0,
        "resolution": {
            "range_m": cell_m, "azimuth_deg": np.degrees(cell_rad), "elevation_deg": np.degrees(cell_rad),
        },
    }  # fmt: skip
    return site_of([square("home", 0.0, 0.0)], sensors=[sensor])


KEEPS_APART = radar(0.1, 1e-5)


def follow(
    site: Site, path: Path, until_s: float, seed: int, p_detect: float = 1.0
) -> tuple[list[list[int]], list[TrackEvent]]:
    """The numbers of the confirmed tracks after each scan, and all events."""
    state, rng, after = TracksState(), np.random.default_rng(seed), []
    for number in range(round(10 * until_s)):
        time_s = 0.1 * number
        noise = rng.standard_normal((9, 3)) * [10.0, 2e-3, 2e-3]
        places = [place for place in path(time_s) if rng.random() < p_detect]
        rows = [(r + dr, az + daz, EL_RAD + d) for (r, az), (dr, daz, d) in zip(places, noise.tolist(), strict=False)]
        plots_to_tracks(state, plots_of(rows, time_s, number), site)
        let_go(state, START_NS + round(time_s * SECOND_NS), site)
        after.append(state.bank.track[state.bank.status == CONFIRMED].tolist())
    return after, track_events(state)


def told(events: list[TrackEvent], *kinds: str) -> list[TrackEvent]:
    return [event for event in events if event.kind in kinds]


def after_s(event: TrackEvent) -> float:
    return (event.time_ns - START_NS) / SECOND_NS


def overtaking(time_s: float) -> list[Place]:
    """One behind the other by 200 m, and 50 m/s faster: past each other at 4 s, in one cell from 3.4 to 4.6 s."""
    first, second = 6_000.0 - 200.0 * time_s, 6_200.0 - 250.0 * time_s
    merged = abs(first - second) < CELL_M
    return [(0.5 * (first + second), 1.0)] if merged else [(first, 1.0), (second, 1.0)]


@pytest.mark.parametrize("seed", range(5))
def test_two_that_pass_through_one_cell_share_and_part(seed: int) -> None:
    (*_, two), events = follow(radar(), overtaking, 7.0, seed)
    assert len(two) == 2
    assert [event.kind for event in events] == ["share", "part"]
    share, part = events
    assert {share.track, share.other} == {part.track, part.other} == set(two)
    # told once it has lasted five looks, and parted as soon as each has a plot of its own again
    assert 3.7 <= after_s(share) <= 4.6
    assert 4.5 <= after_s(part) <= 5.2


def test_one_that_is_only_missed_shares_nothing() -> None:
    """Two in one cell that the radar does keep apart: one of them is missed in a fifth of the scans, and five times in
    a row once in 4,000."""

    def side_by_side(time_s: float) -> list[Place]:
        return [(6_000.0 - 200.0 * time_s, 1.0), (6_025.0 - 200.0 * time_s, 1.02)]

    (*_, last), events = follow(radar(), side_by_side, 10.0, 0, 0.9)
    assert len(last) == 2
    assert events == []


def test_the_end_of_a_partner_is_no_parting() -> None:
    """The second one comes down while they share: the first one's own plots are not held for a parting."""

    def one_ends(time_s: float) -> list[Place]:
        return overtaking(time_s) if time_s < 4.0 else [(6_000.0 - 200.0 * time_s, 1.0)]

    (*_, last), events = follow(radar(), one_ends, 20.0, 0)
    assert len(last) == 1
    assert [event.kind for event in told(events, "share", "part")] == ["share"]


def jumping(jump_rad: float) -> Path:
    """One whose echo jumps aside at 3 s, as when an unresolved pair's brighter half takes over."""
    return lambda time_s: [(6_000.0 - 200.0 * time_s, 1.0 + (jump_rad if time_s >= 3.0 else 0.0))]


@pytest.mark.parametrize("seed", range(5))
def test_a_lost_track_goes_on_as_what_began_in_its_cell(seed: int) -> None:
    """It keeps its number, and the split says with which it may have been two."""
    (*_, last), (split,) = follow(radar(), jumping(0.8 * CELL_RAD), 6.0, seed)
    assert split.kind == "split"
    assert last == [split.track]
    assert split.other > split.track
    assert "lost" in split.reason
    assert 3.3 <= after_s(split) <= 4.2


def parting(time_s: float) -> list[Place]:
    """One echo that becomes two after 3 s, each most of a cell from where it was."""
    range_m, off = 6_000.0 - 200.0 * time_s, 0.8 * CELL_RAD
    return [(range_m, 1.0)] if time_s < 3.0 else [(range_m, 1.0 - off), (range_m, 1.0 + off)]


@pytest.mark.parametrize("seed", range(5))
def test_one_that_becomes_two_at_once_is_two_at_once(seed: int) -> None:
    """The old number goes on as one of them, and as one of them only: the other is not lost over it."""
    after, (split,) = follow(radar(), parting, 6.0, seed)
    assert split.kind == "split"
    assert all(len(tracks) == 2 for tracks in after[37:])
    assert len({track for tracks in after for track in tracks}) == 2


def test_beyond_its_cell_it_is_another_object() -> None:
    after, events = follow(radar(), jumping(1.5 * CELL_RAD), 6.0, 0)
    assert len({track for tracks in after for track in tracks}) == 2
    assert events == []


def doubled(time_s: float) -> list[Place]:
    """One object in two plots 45 m apart, that come together within 2 s; from then on but one plot a scan."""
    apart = max(45.0 - 15.0 * max(time_s - 2.0, 0.0), 10.0)
    range_m = 6_000.0 - 200.0 * time_s
    both = [(range_m, 1.0), (range_m + apart, 1.0)]
    return both if apart > 10.0 else [both[round(10 * time_s) % 2]]


@pytest.mark.parametrize("seed", range(5))
def test_two_tracks_of_one_object_become_the_older_one(seed: int) -> None:
    after, (merge,) = follow(KEEPS_APART, doubled, 10.0, seed)
    assert merge.kind == "merge"
    assert merge.track > merge.other
    assert sorted([merge.other, merge.track]) in after
    assert after[-1] == [merge.other]


def test_two_that_stay_side_by_side_are_never_one() -> None:
    """45 m and 10 m/s apart, for ten seconds, each seen in nine looks of ten."""

    def side_by_side(time_s: float) -> list[Place]:
        return [(6_000.0 - 200.0 * time_s, 1.0), (6_045.0 - 200.0 * time_s, 1.0)]

    (*_, last), events = follow(KEEPS_APART, side_by_side, 10.0, 0, 0.9)
    assert len(last) == 2
    assert events == []


def test_events_are_handed_over_once() -> None:
    event = TrackEvent(time_ns=START_NS, kind=TRACK_EVENTS[0], track=2, other=1, reason="any")
    state = TracksState(events=[event])
    assert track_events(state) == [event]
    assert track_events(state) == []
