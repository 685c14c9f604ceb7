"""Runs of a scenario in memory, each a row of scalars: what a study is made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import Any

from opencram.drive.known import known_to
from opencram.drive.run_folder import Origin, summary_of, tables_in_memory
from opencram.drive.simulate import simulate_in_memory
from opencram.report.evidence import Tables
from opencram.report.outcomes import TRACKING, Row, planning_figures
from opencram.site import Site, load_site, site_from_documents
from opencram.world.scenario import Scenario, load_scenario, scenario_from_documents

Texts = tuple[tuple[str, str], ...]
"""The documents of a scenario and its site, as (name, text)."""


def run_trial(scenario_name: str, site_name: str | None, seed: int) -> Row:
    """The row of one run; it depends on the arguments alone, never on the process or on what ran before."""
    scenario = load_scenario(scenario_name)
    return row_of_run(scenario, load_site(site_name or scenario.site), seed)


def run_chunk(texts: Texts, seeds: Sequence[int]) -> list[Row]:
    """The rows of one scenario at one site under several seeds."""
    return [row_of_run(*_stage(texts), seed) for seed in seeds]


@lru_cache(maxsize=4)
def _stage(texts: Texts) -> tuple[Scenario, Site]:
    """Kept, for what is worked out once for a site (its layout, who hears which siren) is kept by the site itself."""
    documents = dict(texts)
    return scenario_from_documents(documents), site_from_documents(documents)


def row_of_run(scenario: Scenario, site: Site, seed: int) -> Row:
    """The row of one run in memory."""
    world, crank = simulate_in_memory(scenario, site, seed, tuple(Tables.__annotations__))
    origin = Origin("simulation", True, scenario.defence.value, scenario.name, seed)
    return row_of(summary_of(crank, origin, tables_in_memory(crank), known_to(world)), site)


def row_of(summary: dict[str, Any], site: Site) -> Row:
    """A summary as scalars: its counts, how hits and warnings met, how well it was tracked, and its digest."""
    hit = [zone for zone in summary["zones"] if zone["first_impact"] is not None]
    leads = [zone["lead_s"] for zone in hit if zone["lead_s"] is not None]
    warned = sum(zone["first_alert"] is not None and zone["lead_s"] is not None and zone["lead_s"] > 0 for zone in hit)
    return {
        "scenario": summary["scenario"],
        "site": summary["site"],
        "seed": summary["seed"],
        **summary["counts"],
        "object_tracks": sum(len(thing["tracks"]) for thing in summary["objects"]),
        "unexplained_tracks": len(summary["tracks_unexplained"]),
        "zones_warned_before": warned,
        "lead_s_least": min(leads, default=None),
        "lead_s_median": median(leads) if leads else None,
        "zones_alerted": sum(zone["first_alert"] is not None for zone in summary["zones"]),
        **{name: summary["tracking"][name] for name in TRACKING},
        **planning_figures(summary, site),
        "digest": summary["digest"],
    }
