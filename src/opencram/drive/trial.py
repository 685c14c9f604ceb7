"""One run of a scenario in memory, as a row of scalars: what a study is made of."""

from __future__ import annotations

from statistics import median
from typing import Any

from opencram.drive.known import known_to
from opencram.drive.run_folder import Origin, summary_of, tables_in_memory
from opencram.drive.simulate import simulate_in_memory
from opencram.site import load_site
from opencram.world.scenario import load_scenario

TRACKING = (
    *("gospa_m", "siap_completeness", "siap_ambiguity", "siap_spuriousness"),
    *("initiation_delay_median_s", "false_tracks_per_h", "false_ballistic_tracks_per_h", "swaps", "count_error"),
)
"""The metrics of tracking that a row has, of those in run.json."""
Row = dict[str, str | int | float | None]


def run_trial(scenario_name: str, site_name: str | None, seed: int) -> Row:
    """The row of one run; it depends on the arguments alone, never on the process or on what ran before."""
    scenario = load_scenario(scenario_name)
    site = load_site(site_name or scenario.site)
    world, crank = simulate_in_memory(scenario, site, seed)
    origin = Origin("simulation", True, scenario.defence.value, scenario.name, seed)
    return row_of(summary_of(crank, origin, tables_in_memory(crank), known_to(world)))


def row_of(summary: dict[str, Any]) -> Row:
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
        "digest": summary["digest"],
    }
