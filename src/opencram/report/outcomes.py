"""What a study's row tells of a run, and how each figure is called, counted and summed up."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from opencram.report.metrics import alarm_person_min

if TYPE_CHECKING:
    from opencram.site import Site, Zone

Scalar = str | int | float | bool | None
Row = dict[str, Scalar]


@dataclass(frozen=True)
class Outcome:
    """A figure of a run that is averaged over runs; a share where each run says yes or no."""

    label: str
    unit: str = ""
    share: bool = False
    least: float = 0.0
    most: float = math.inf
    """Between what its mean must lie: the end of an interval that few runs put beyond is no better known."""


OUTCOMES: dict[str, Outcome] = {
    "hits_warned": Outcome("runs in which every zone hit was warned before", "share", True),
    "hits_in_time": Outcome("runs in which every zone hit had its time to shelter", "share", True),
    "warning_s_least": Outcome("warning of the zone hit that had least", "s"),
    "warning_s_p10": Outcome("warning of zones hit, 10th percentile", "s"),
    "warning_s_median": Outcome("warning of zones hit, median", "s"),
    "people_warning_s": Outcome("warning heard, times people", "person s"),
    "warning_s_per_person": Outcome("warning heard for each person in zones hit", "s"),
    "sheltered_share": Outcome("people in zones hit who had time to shelter", "of them", most=1.0),
    "intercepted": Outcome("intercepted"),
    "impacts": Outcome("impacts"),
    "impacts_protected": Outcome("impacts in protected zones"),
    "debris": Outcome("pieces of debris"),
    "debris_in_zones": Outcome("pieces of debris in zones"),
    "magazine_spent": Outcome("taken from magazines"),
    "phantom_alarms": Outcome("phantom alarms"),
    "alarm_person_min": Outcome("alarm, times people", "person min"),
    "zones_alerted": Outcome("zones alerted"),
    "zones_hit": Outcome("zones hit"),
    "zones_warned_in_time": Outcome("zones hit with their time to shelter"),
    "zones_heard_in_time": Outcome("zones hit that heard their sirens in time"),
    "tracked": Outcome("objects tracked"),
    "engaged": Outcome("objects engaged"),
    "launched": Outcome("launched"),
    "gospa_m": Outcome("GOSPA", "m"),
    "siap_completeness": Outcome("share of objects tracked", most=1.0),
    "initiation_delay_median_s": Outcome("delay to a confirmed track", "s"),
    "swaps": Outcome("swaps of tracks"),
    "count_error": Outcome("threats told minus launched", least=-math.inf),
}
"""Column -> what it is; what a study's `outcomes` and `stop.metric` may name."""

HEADLINE = (
    *("hits_in_time", "warning_s_least", "sheltered_share", "intercepted", "impacts_protected"),
    *("debris_in_zones", "magazine_spent", "phantom_alarms", "alarm_person_min"),
)
"""The outcomes that a study reports where it names none."""

PLANNING = (
    *("hits_warned", "hits_in_time", "warning_s_least", "warning_s_p10", "warning_s_median"),
    *("people_in_hit_zones", "people_warning_s", "warning_s_per_person", "sheltered_share"),
    *("impacts_protected", "debris_in_zones", "magazine_spent", "alarm_person_min"),
)
"""The columns that a planner asks for."""
TRACKING = (
    *("gospa_m", "siap_completeness", "siap_ambiguity", "siap_spuriousness"),
    *("initiation_delay_median_s", "false_tracks_per_h", "false_ballistic_tracks_per_h", "swaps", "count_error"),
)
"""The metrics of tracking that a row has, of those in run.json."""
COUNTED = (
    *("launched", "tracked", "engaged", "intercepted", "impacts", "debris", "zones_hit"),
    *("zones_warned_in_time", "zones_heard_in_time", "phantom_alarms"),
)
"""The counts of run.json."""
OTHERS = (
    *("object_tracks", "unexplained_tracks", "zones_warned_before", "lead_s_least", "lead_s_median"),
    *("zones_alerted", "digest"),
)
COLUMNS = (*COUNTED, *OTHERS, *TRACKING, *PLANNING)
"""All that a row says besides which run it is."""


@dataclass(frozen=True)
class _Hit:
    """A zone that was hit, and what its people had of the warning; seconds are 0 where none came before the hit."""

    zone: Zone
    warning_s: float
    """From the alert to the hit."""
    heard_s: float
    """From the sirens' sound at the ear to the hit; without sirens in the site, from the alert."""
    hearing: float
    """Share of its people who heard it."""


def planning_figures(summary: Mapping[str, Any], site: Site) -> Row:
    """The columns of PLANNING, from the content of run.json and the site."""
    zones = {zone.id: zone for zone in site.zones}
    hits = [_hit(row, zones[row["id"]], bool(site.sirens)) for row in summary["zones"] if row["first_impact"]]
    warning = [hit.warning_s for hit in hits]
    protected = {zone.id for zone in site.zones if zone.protected}
    down = [thing for thing in summary["objects"] if thing["outcome"] == "impact"]
    return {
        "hits_warned": all(s > 0.0 for s in warning) if hits else None,
        "hits_in_time": all(hit.warning_s >= hit.zone.time_to_shelter_s for hit in hits) if hits else None,
        "warning_s_least": min(warning, default=None),
        "warning_s_p10": round(float(np.quantile(warning, 0.1)), 3) if hits else None,
        "warning_s_median": round(float(np.median(warning)), 3) if hits else None,
        **_people(hits),
        "impacts_protected": sum(not protected.isdisjoint(thing["zones"]) for thing in down),
        "debris_in_zones": sum(bool(piece["zones"]) for piece in summary["debris"]),
        "magazine_spent": sum(order["used"] or 0 for order in summary["engagements"]),
        "alarm_person_min": round(alarm_person_min(summary, {zone.id: zone.people for zone in site.zones}), 3),
    }


def _hit(row: Mapping[str, Any], zone: Zone, sirens: bool) -> _Hit:
    warning_s, heard_s = (max(row[name] or 0.0, 0.0) for name in ("lead_s", "lead_heard_s" if sirens else "lead_s"))
    return _Hit(zone, warning_s, heard_s, row["heard_share"] if sirens else 1.0)


def _people(hits: list[_Hit]) -> Row:
    people = sum(hit.zone.people for hit in hits)
    heard = sum(hit.zone.people * hit.hearing * hit.heard_s for hit in hits)
    safe = sum(hit.zone.people * hit.hearing for hit in hits if hit.heard_s >= hit.zone.time_to_shelter_s)
    return {
        "people_in_hit_zones": people,
        "people_warning_s": round(float(heard), 1),
        "warning_s_per_person": round(heard / people, 3) if people else None,
        "sheltered_share": round(safe / people, 4) if people else None,
    }
