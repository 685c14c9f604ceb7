"""What is built in, as rows of text for people: scenarios, sites and threats."""

import math
from collections.abc import Sequence
from typing import Literal

Listing = tuple[tuple[str, ...], Sequence[tuple[str, ...]]]
"""The columns' names, and the rows."""


def listing(what: Literal["scenarios", "sites", "threats"]) -> Listing:
    """The table of what is built in of one sort."""
    return {"scenarios": _scenarios, "sites": _sites, "threats": _threats}[what]()


def _scenarios() -> Listing:
    from opencram.world.scenario import load_scenario, scenario_names

    found = [load_scenario(name) for name in scenario_names()]
    return ("name", "site", "what happened"), [(s.name, s.site, s.title.en) for s in found]


def _sites() -> Listing:
    from opencram.site import load_site, site_names

    found = [load_site(name) for name in site_names()]
    rows = [(s.name, s.title.en, str(len(s.zones)), str(len(s.sensors))) for s in found]
    return ("name", "what it is", "zones", "sensors"), rows


def _threats() -> Listing:
    from opencram.physics.threats import catalogue

    rows = [(t.id, t.family, t.title["en"], _kilometres(t.range_m), t.source) for t in catalogue().values()]
    return ("name", "family", "what it is", "reach (km)", "source"), rows


def _kilometres(span_m: tuple[float, float]) -> str:
    return "–" if any(map(math.isnan, span_m)) else " to ".join(f"{m / 1e3:g}" for m in span_m)
