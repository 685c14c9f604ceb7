"""Several radars at once: one frozen, lying, blind or gone spoils nothing and shows; late and doubled plots."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opencram.site import load_site
from opencram.tables import CONFIRMED, Health
from opencram.world.scenario import load_scenario
from opencram.world.world import World
from several_radars import ROTATING, STARING, THIRD, fault, radars, raid, run

TWO, THREE = radars(STARING, ROTATING), radars(STARING, ROTATING, THIRD)
FOLLOWED_M, GHOST_M = 100.0, 700.0
"""A track follows an object that is so near; it is of nothing when none is so near, nor one that has just come down."""


class Seen:
    """What came of a run: health by sensor, how long each object was followed, and tracks of nothing."""

    def __init__(self, site: Any, *groups: Any, **more: Any) -> None:
        self.health: list[tuple[float, Health]] = []
        self.rejects: dict[tuple[str, str], int] = {}
        self.near: dict[str, int] = {}
        self.alive: dict[str, int] = {}
        self.off_m: list[float] = []
        self.ghosts: set[int] = set()
        newest: dict[int, tuple[int, np.ndarray]] = {}
        for time_s, world, _, outbox in run(site, *groups, **more):
            self.health += [(time_s, h) for h in outbox.health]
            for r in outbox.rejects:
                self.rejects[r.source, r.reason] = self.rejects.get((r.source, r.reason), 0) + r.count
            tracks = outbox.tracks
            for i in np.flatnonzero(tracks.status == CONFIRMED).tolist():
                newest[int(tracks.track[i])] = (int(tracks.time_ns[i]), tracks.mean[i])
            newest = {t: x for t, x in newest.items() if world.now_ns - x[0] < 2_000_000_000}
            self._compare(world, newest)

    def _compare(self, world: World, newest: dict[int, tuple[int, np.ndarray]]) -> None:
        rows = world.truth_rows(world.now_ns)
        true = np.column_stack([rows["east_m"], rows["north_m"], rows["up_m"]]).reshape(-1, 3)
        places = [x[:3] + (world.now_ns - t) * 1e-9 * x[3:6] for t, x in newest.values()]
        at = np.array(places).reshape(-1, 3)
        away = np.linalg.norm(true[:, None] - at[None], axis=2)
        launched = {o.id: o.launch_ns for o in world.objects()}
        for name, row in zip(rows["object"], away, strict=True):
            if world.now_ns - launched[name] < 5_000_000_000:
                continue
            self.alive[name] = self.alive.get(name, 0) + 1
            if len(row) and row.min() < FOLLOWED_M:
                self.near[name] = self.near.get(name, 0) + 1
                self.off_m.append(float(row.min()))
        down = [o.end_enu_m for o in world.objects() if o.outcome == "impact"]
        things = np.array([*true, *down]).reshape(-1, 3)
        for track, place in zip(newest, at, strict=True):
            if not (np.linalg.norm(things - place, axis=1) < GHOST_M).any():
                self.ghosts.add(track)

    @property
    def followed(self) -> float:
        """Share of the objects' time, from 5 s after launch on, in which a track followed them."""
        return sum(self.near.values()) / sum(self.alive.values())

    def states(self, sensor: str) -> list[str]:
        return [h.state for _, h in self.health if h.component == sensor]


@pytest.fixture(scope="module")
def sound() -> Seen:
    return Seen(THREE, raid(6))


def test_sound_radars_are_told_to_be_nothing_else(sound: Seen) -> None:
    assert sound.health == []
    assert sound.rejects == {}
    assert sound.followed > 0.97
    assert not sound.ghosts


@pytest.mark.parametrize("radar", ["radar-1", "radar-2", "radar-3"])
def test_a_frozen_radar_is_left_out_and_told(radar: str) -> None:
    seen = Seen(THREE, raid(6), faults=(fault(radar, frozen_s={"least": 12, "most": 25}),))
    assert seen.states(radar) == ["frozen", "ok"]
    assert {h.component for _, h in seen.health} == {radar}
    (frozen_s, _), (ok_s, _) = seen.health
    assert frozen_s < 18.0
    assert ok_s == pytest.approx(26.0, abs=1.1)
    assert seen.rejects[radar, "repeated plot"] > 20
    assert seen.followed > 0.95
    assert not seen.ghosts


def test_a_frozen_radar_alone_is_told_as_well() -> None:
    seen = Seen(
        radars(STARING), raid(3), faults=(fault("radar-1", frozen_s={"least": 12, "most": 18}),), duration_s=25.0
    )
    assert seen.states("radar-1") == ["frozen", "ok"]


@pytest.mark.parametrize("radar", ["radar-1", "radar-2", "radar-3"])
def test_a_liar_among_three_is_left_out_until_it_behaves(radar: str) -> None:
    seen = Seen(THREE, raid(6), faults=(fault(radar, lying_s={"least": 10, "most": 35}),))
    assert "lying" in seen.states(radar)
    assert seen.states(radar)[-1] == "ok"
    assert {h.component for _, h in seen.health} == {radar}
    left_s = next(t for t, h in seen.health if h.state == "lying")
    assert left_s < 22.0
    assert 35.0 < seen.health[-1][0] < 40.0
    assert seen.followed > 0.95


def test_of_two_that_contradict_each_other_both_are_used() -> None:
    seen = Seen(TWO, raid(6), faults=(fault("radar-1", lying_s={"least": 10, "most": 35}),))
    assert seen.states("radar-1") == ["disagrees", "ok"]
    assert seen.states("radar-2") == ["disagrees", "ok"]
    assert seen.rejects == {}
    assert seen.followed > 0.85


def test_a_radar_that_makes_plots_up_is_told_to_be_blind_and_spoils_nothing() -> None:
    lies = fault("radar-1", lying_s={"least": 5, "most": 35}, lie="nothing")
    seen = Seen(TWO, raid(6), faults=(lies,))
    assert seen.states("radar-1") == ["blind", "ok"]
    assert seen.followed > 0.8
    assert not seen.ghosts


@pytest.mark.parametrize("radar", ["radar-1", "radar-2"])
def test_a_radar_that_is_gone_takes_no_track_with_it(radar: str) -> None:
    seen = Seen(TWO, raid(6), faults=(fault(radar, lost_s={"least": 12, "most": 25}),))
    assert seen.states(radar) == ["stale", "ok"]
    assert seen.followed > 0.85


def test_every_message_twice_changes_no_track() -> None:
    once, twice = ([], []), ([], [])
    for kept, faults in ((once, ()), (twice, (fault("radar-1", twice=True), fault("radar-2", twice=True)))):
        for _, _, _, outbox in run(TWO, raid(3), faults=faults, duration_s=30.0):
            kept[0].extend(outbox.tracks.mean[outbox.tracks.status == CONFIRMED].tolist())
            kept[1].extend(r.reason for r in outbox.rejects)
    assert twice[0] == once[0]
    assert set(twice[1]) == {"duplicate"}
    assert not once[1]


def test_a_late_slow_radar_makes_tracks_no_worse() -> None:
    """A rotating radar 1.5 s late beside a staring one: the tracks are as near the truth as the staring one's alone."""
    late = (fault("radar-2", latency_s=1.4),)
    alone, both = Seen(radars(STARING), raid(5), seed=3), Seen(TWO, raid(5), seed=3, faults=late)
    assert both.rejects == {}
    assert both.followed >= alone.followed - 0.01
    assert np.sqrt(np.mean(np.square(both.off_m))) <= 1.02 * np.sqrt(np.mean(np.square(alone.off_m)))


def test_plots_later_than_two_seconds_are_refused_and_counted() -> None:
    seen = Seen(TWO, raid(2), faults=(fault("radar-2", latency_s=2.5),), duration_s=20.0)
    assert seen.rejects["radar-2", "too late"] > 20
    assert seen.followed > 0.95


def test_radars_that_see_different_sectors_hand_over() -> None:
    """One sees the launch, the other the fall; in between both: one track a rocket all the way."""
    east = STARING | {"coverage": {"azimuth_from_deg": 30, "azimuth_to_deg": 150, "min_range_m": 3_500}}
    near = ROTATING | {
        "kind": "staring",
        "update_s": 0.1,
        "position": STARING.get("position", {"lat": 33.3, "lon": 44.4}),
    }
    near |= {"coverage": {"max_range_m": 5_000, "min_elevation_deg": 1}}
    seen = Seen(radars(east, near), raid(4), duration_s=50.0)
    assert seen.health == []
    assert seen.followed > 0.95


def test_the_example_is_sound() -> None:
    folder = Path(__file__).resolve().parent.parent / "examples" / "two-radars"
    scenario, site = load_scenario(folder / "scenario.yaml"), load_site(folder / "site.yaml")
    world = World(scenario, site)
    assert len(world.objects()) == 10
    assert max(o.end_ns for o in world.objects()) < world.end_ns
