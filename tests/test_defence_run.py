"""The simulated defence in whole runs: what it makes of its engagements, and that it is told nothing."""

import inspect
import itertools
from pathlib import Path

import pytest

from opencram.drive.crank import Crank
from opencram.drive.simulate import simulate_in_memory
from opencram.site import load_site
from opencram.stages.threats_to_engagements import threats_to_engagements
from opencram.world.scenario import load_scenario
from opencram.world.world import World

LAYERED = Path(__file__).resolve().parent.parent / "examples" / "layered-defence" / "site.yaml"
SEEDS = (0, 1, 2)


@pytest.fixture(scope="module")
def runs() -> list[tuple[World, Crank]]:
    scenario = load_scenario("baghdad-2020-11-17")
    return [simulate_in_memory(scenario, load_site(LAYERED), seed) for seed in SEEDS]


def test_the_stage_takes_no_effect() -> None:
    assert list(inspect.signature(threats_to_engagements).parameters) == [
        "state",
        "threats",
        "tracks",
        "now_ns",
        "site",
    ]


def test_most_of_what_the_world_drew_is_told_from_the_tracks(runs: list[tuple[World, Crank]]) -> None:
    right = {"kill": "gone", "miss": "flies on"}
    told = []
    for _, crank in runs:
        verdict = {note.engagement: note.kind for note in crank.said.defence if note.engagement}
        told += [verdict.get(e.engagement) == right[e.outcome] for e in crank.said.effects]
    assert len(told) >= 10
    assert sum(told) >= 0.9 * len(told)


def test_no_object_is_engaged_twice_at_once(runs: list[tuple[World, Crank]]) -> None:
    for _, crank in runs:
        by_track: dict[int, list[tuple[int, int]]] = {}
        for order in crank.said.engagements:
            by_track.setdefault(order.track, []).append((order.time_ns, order.intercept_ns))
        for spans in by_track.values():
            assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))


def test_both_layers_take_part_within_their_reach(runs: list[tuple[World, Crank]]) -> None:
    effectors = {e.id: e for e in load_site(LAYERED).effectors}
    orders = [order for _, crank in runs for order in crank.said.engagements]
    assert "interceptors" in {order.effector for order in orders}
    for order in orders:
        effector = effectors[order.effector]
        assert effector.min_range_m - 50.0 <= order.range_m <= effector.reach_m + 50.0
    for _, crank in runs:
        used = sum(effectors[o.effector].salvo for o in crank.said.engagements if o.effector == "interceptors")
        assert used <= effectors["interceptors"].magazine


def test_every_threat_that_came_through_is_explained(runs: list[tuple[World, Crank]]) -> None:
    """Who was threatened, was not shot down and was not engaged to the end: a note says why."""
    for _, crank in runs:
        noted = {note.track for note in crank.said.defence}
        engaged = {order.track for order in crank.said.engagements}
        warned = {track for w in crank.said.warnings if w.kind == "rocket" for track in w.tracks}
        assert warned <= noted | engaged
