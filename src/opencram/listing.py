"""What is built in, as rows of text for people: scenarios, sites and threats."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opencram.physics.threats import Threat

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

    columns = ("name", "what it is", "speed (m/s)", "elevation (°)", "range (km)", "m/(Cd₀A) (kg/m²)", "how often (%)")
    return columns, [_threat(threat) for threat in catalogue().values()]


def _threat(t: Threat) -> tuple[str, ...]:
    elevation_deg, range_km = map(math.degrees, t.elevation_rad), (m / 1e3 for m in t.range_m)
    beta = "–"
    if math.isfinite(t.ln_beta):
        beta = f"{float(f'{math.exp(t.ln_beta):.2g}'):,.0f} ± {100 * t.ln_beta_sigma:.0f} %"
    often = f"{100 * t.prior:.0f}" if t.prior > 0.0 else "–"
    return t.id, t.title["en"], _span(t.speed_mps), _span(elevation_deg), _span(range_km), beta, often


def _span(ends: Iterable[float]) -> str:
    low, high = ends
    return "–" if math.isnan(low) else f"{low:.3g} to {high:,.0f}" if high >= 1e3 else f"{low:.3g} to {high:.3g}"
