"""Simulate a scenario end to end: the world in, the pipeline's step, orders back to the world, all of it recorded."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from opencram.drive.crank import Crank, Progress
from opencram.drive.known import known_to
from opencram.drive.run_folder import Origin, RunFolder, RunResult
from opencram.record.parquet import COLUMNS, TableWriter
from opencram.site import Site, load_site
from opencram.state import State
from opencram.world.scenario import Scenario, load_scenario
from opencram.world.world import World

TELL_EVERY_TICKS = 10


def simulate(
    scenario_name: str, site_name: str | None, out: Path, seed: int, lang: str, progress: Progress | None = None
) -> RunResult:
    """Run a scenario (built-in name or YAML path) at its site, or at another, and write the run folder `out`."""
    scenario = load_scenario(scenario_name)
    return simulate_in_folder(scenario, load_site(site_name or scenario.site), out, seed, lang, progress)


def simulate_in_folder(
    scenario: Scenario, site: Site, out: Path, seed: int, lang: str, progress: Progress | None = None
) -> RunResult:
    """Run a scenario that is loaded at a site that is, and write the run folder `out`."""
    world = World(scenario, site, seed)
    origin = Origin("simulation", True, scenario.defence.value, scenario.name, seed)
    with RunFolder(out, site, State(defended=origin.defended), origin, scenario.documents()) as folder:
        run_world(world, folder.crank, progress)
        return folder.finish(lang, known_to(world), progress, _notes(world))


def _notes(world: World) -> tuple[str, ...]:
    """What the user should know of the run."""
    if not world.moved:
        return ()
    own, here = world.scenario.site, world.site.name
    return (f"The scenario is one of the site {own}; its places were moved along to {here}, as they lie round it.",)


def run_world(world: World, crank: Crank, progress: Progress | None = None) -> None:
    """Turn the crank from the world's start to its end."""
    while world.now_ns < world.end_ns:
        now_ns = min(world.now_ns + world.tick_ns, world.end_ns)
        inbox = world.advance(now_ns)
        outbox = crank.turn(now_ns, inbox, world.truth_rows(now_ns))
        world.order(outbox.engagements)
        if progress is not None and crank.sequence % TELL_EVERY_TICKS == 0:
            done = (now_ns - world.start_ns) / (world.end_ns - world.start_ns)
            progress(0.9 * done, f"{(now_ns - world.start_ns) * 1e-9:.0f} s, {len(crank.said.warnings)} warnings")


def simulate_in_memory(
    scenario: Scenario, site: Site, seed: int, tables: Collection[str] = tuple(COLUMNS)
) -> tuple[World, Crank]:
    """The same run with nothing written, for studies and tests; `tables` names those that are collected."""
    world = World(scenario, site, seed)
    crank = Crank(site, State(defended=scenario.defence.value), tables=TableWriter(site, only=tables))
    run_world(world, crank)
    return world, crank
