"""The simulated defence in whole runs: what it makes of its engagements, and that it is told nothing."""

import inspect
import itertools
from pathlib import Path

import pytest

from opencram.drive.crank import Crank
from opencram.drive.known import known_to
from opencram.drive.run_folder import Origin, summary_of, tables_in_memory
from opencram.drive.simulate import simulate_in_memory
from opencram.site import load_site
from opencram.stages.threats_to_engagements import threats_to_engagements
from opencram.world.scenario import load_scenario
from opencram.world.world import World

LAYERED = Path(__file__).resolve().parent.parent / "examples" / "layered-defence" / "site.yaml"
RUNS = [("baghdad-2021-12-19", None, seed) for seed in range(4)]
RUNS += [("baghdad-2020-11-17", LAYERED, seed) for seed in range(3)]
"""Of layered runs one in three leaves something to the gun."""


def play(name: str, site: Path | None, seed: int) -> tuple[World, Crank]:
    scenario = load_scenario(name)
    return simulate_in_memory(scenario, load_site(site or scenario.site), seed)


@pytest.fixture(scope="module")
def runs() -> list[tuple[World, Crank]]:
    return [play(*run) for run in RUNS]


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
    assert sum(told) >= 0.8 * len(told)


def test_no_object_is_engaged_twice_at_once(runs: list[tuple[World, Crank]]) -> None:
    for _, crank in runs:
        by_track: dict[int, list[tuple[int, int]]] = {}
        for order in crank.said.engagements:
            by_track.setdefault(order.track, []).append((order.time_ns, order.intercept_ns))
        for spans in by_track.values():
            assert all(end < start for (_, end), (start, _) in itertools.pairwise(spans))


def test_both_layers_take_part_within_their_reach(runs: list[tuple[World, Crank]]) -> None:
    effectors = {e.id: e for e in load_site(LAYERED).effectors}
    layered = [crank for _, crank in runs if crank.site.name == "layered-defence"]
    orders = [order for crank in layered for order in crank.said.engagements]
    assert {order.effector for order in orders} == {"interceptors", "gun"}
    for order in orders:
        effector = effectors[order.effector]
        assert effector.min_range_m - 50.0 <= order.range_m <= effector.reach_m + 50.0
    for crank in layered:
        used = sum(effectors[o.effector].salvo for o in crank.said.engagements if o.effector == "interceptors")
        assert used <= effectors["interceptors"].magazine


def test_every_object_that_came_through_is_explained(runs: list[tuple[World, Crank]]) -> None:
    """Whatever was tracked and not shot down was engaged, or it is said why not."""
    spared = 0
    for (name, _, seed), (world, crank) in zip(RUNS, runs, strict=True):
        origin = Origin("simulation", True, True, name, seed)
        summary = summary_of(crank, origin, tables_in_memory(crank), known_to(world))
        told = {row["object"]: row for row in summary["left_alone"]}
        for thing in summary["objects"]:
            if thing["outcome"] == "impact" and thing["tracks"] and not thing["engaged"]:
                spared += 1
                assert told[thing["id"]]["reason"], thing["id"]
                assert not told[thing["id"]]["engaged_before"]
            if thing["outcome"] == "intercepted":
                assert thing["id"] not in told
    assert spared > 0


def test_the_same_run_gives_the_same_notes(runs: list[tuple[World, Crank]]) -> None:
    _, again = play(*RUNS[-1])
    assert again.said.engagements == runs[-1][1].said.engagements
    assert again.said.defence == runs[-1][1].said.defence
    assert again.digest.hexdigest() == runs[-1][1].digest.hexdigest()
