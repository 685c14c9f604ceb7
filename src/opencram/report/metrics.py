"""How well a run went: prediction errors, lead times, what was missed and what was a false alarm.

All is computed from run.json and the tables, so that a report can be written again from the run folder alone.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opencram.physics.frames import geodetic_to_enu
from opencram.physics.sound import HEARD_SHARE
from opencram.report.evidence import Columns
from opencram.report.places import CHI2_95, Ellipse, Places, ellipse_95
from opencram.report.words import time_ns
from opencram.tables import FloatArray

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Error:
    """Predicted against true impact of one object, one row per prediction, in order of time."""

    object: str
    left_s: FloatArray
    """Seconds to the predicted impact."""
    error_m: FloatArray
    sigma_m: FloatArray
    """Root of the covariance's trace: what the prediction itself claims."""
    inside_95: FloatArray
    """Whether the true point lay in the 95 % ellipse."""


@dataclass(frozen=True)
class Quality:
    """The figures of the report's table of quality; None where they cannot be told."""

    lead_median_s: float | None
    lead_least_s: float | None
    lead_heard_median_s: float | None
    """From the sirens' sound at the ear on."""
    lead_heard_least_s: float | None
    error_first_m: float | None
    """Median over objects, at the first prediction."""
    error_last_m: float | None
    inside_95: float | None
    """Share of all predictions whose 95 % ellipse held the true point."""
    launch_error_m: float | None
    alarm_person_min: float


def prediction_errors(summary: Row, impacts: Mapping[int, Columns], places: Places) -> list[Error]:
    """Per tracked object, against where it came down or, if it was shot down, where it would have."""
    found = []
    for thing in summary["objects"]:
        point = fall_point(thing, places)
        rows = [impacts[t] for t in thing["tracks"] if t in impacts]
        if point is None or not rows:
            continue
        found.append(_error(thing["id"], rows[0], point))
    return found


def fall_point(thing: Row, places: Places) -> FloatArray | None:
    """East and north of where an object came down or would have; None if it was not going to, or nobody knows."""
    names = ("lat", "lon") if thing["outcome"] == "impact" else ("undefended_lat", "undefended_lon")
    if thing["class_true"] is None or thing.get(names[0]) is None:
        return None
    return enu_of(places, thing[names[0]], thing[names[1]])


def enu_of(places: Places, lat_deg: float, lon_deg: float) -> FloatArray:
    """East and north (2,) of a point of the ground given in degrees."""
    origin = places.layout.origin
    return geodetic_to_enu(np.radians(lat_deg), np.radians(lon_deg), origin.height_m, origin)[:2]


def ellipse_of(rows: Columns, i: int) -> Ellipse | None:
    """The 95 % ellipse of the i-th prediction of a track."""
    ee, en, nn = (float(rows[f"cov_{axes}_m2"][i]) for axes in ("ee", "en", "nn"))
    return ellipse_95(rows["impact_east_m"][i], rows["impact_north_m"][i], np.array([[ee, en], [en, nn]]))


def _error(name: str, rows: Columns, point: FloatArray) -> Error:
    east, north = rows["impact_east_m"] - point[0], rows["impact_north_m"] - point[1]
    ee, en, nn = (rows[f"cov_{axes}_m2"] for axes in ("ee", "en", "nn"))
    determinant = np.maximum(ee * nn - en * en, 1e-12)
    mahalanobis2 = (nn * east**2 - 2.0 * en * east * north + ee * north**2) / determinant
    left_s = (rows["impact_time"] - rows["time"]) / 1e9
    return Error(name, left_s, np.hypot(east, north), np.sqrt(ee + nn), mahalanobis2 <= CHI2_95)


def quality(summary: Row, errors: Sequence[Error], people: Mapping[str, int], places: Places) -> Quality:
    """The run's figures; `people` is the head count of each zone."""
    leads = [z["lead_s"] for z in summary["zones"] if z["lead_s"] is not None]
    heard = [z["lead_heard_s"] for z in summary["zones"] if z.get("lead_heard_s") is not None]
    inside = np.concatenate([e.inside_95 for e in errors]) if errors else np.empty(0)
    return Quality(
        lead_median_s=_median(leads),
        lead_least_s=min(leads, default=None),
        lead_heard_median_s=_median(heard),
        lead_heard_least_s=min(heard, default=None),
        error_first_m=_median([float(e.error_m[0]) for e in errors]),
        error_last_m=_median([float(e.error_m[-1]) for e in errors]),
        inside_95=float(inside.mean()) if len(inside) else None,
        launch_error_m=_launch_error_m(summary, places),
        alarm_person_min=alarm_person_min(summary, people),
    )


def alarm_person_min(summary: Row, people: Mapping[str, int]) -> float:
    """How long zones were under alarm, times the people in each, in minutes."""
    return sum(_alarm_s(z, summary["end"]) * people.get(z["id"], 0) for z in summary["zones"]) / 60.0


def never_tracked(summary: Row) -> list[str]:
    """Objects that were launched and never became a confirmed track."""
    return [o["id"] for o in summary["objects"] if o["track"] is None]


def hit_unwarned(summary: Row) -> list[str]:
    """Zones that were hit before they were alerted, or never were."""
    hit = [z for z in summary["zones"] if z["first_impact"] is not None]
    return [z["id"] for z in hit if z["lead_s"] is None or z["lead_s"] <= 0.0]


def hit_late(summary: Row, shelter_s: Mapping[str, float]) -> list[str]:
    """Zones that were alerted before the hit, but with less than their time to shelter."""
    return [z["id"] for z in summary["zones"] if z["lead_s"] is not None and 0.0 < z["lead_s"] < shelter_s[z["id"]]]


def heard_late(summary: Row, shelter_s: Mapping[str, float]) -> list[str]:
    """Zones that were alerted in time, but heard their sirens with less than their time to shelter left."""
    told = [z for z in summary["zones"] if z.get("lead_heard_s") is not None]
    return [z["id"] for z in told if z["lead_heard_s"] < shelter_s[z["id"]] <= z["lead_s"]]


def heard_in_part(summary: Row) -> list[str]:
    """Zones that were hit, and of which more than a tenth hears no siren of its own."""
    hit = [z for z in summary["zones"] if z["first_impact"] is not None]
    return [z["id"] for z in hit if z.get("heard_share", 1.0) < HEARD_SHARE]


def alerted_unhit(summary: Row) -> list[str]:
    """Zones that were alerted and not hit: unnecessary as it came out, whether or not the alert was right."""
    return [z["id"] for z in summary["zones"] if z["first_alert"] is not None and z["impacts"] == 0]


def _launch_error_m(summary: Row, places: Places) -> float | None:
    """Median distance from each launch area to the true launch points of the objects it was made from."""
    truth = {t: o for o in summary["objects"] if o.get("launch_lat") is not None for t in o["tracks"]}
    gaps = []
    for area in summary["launch_areas"]:
        for track in area["tracks"]:
            if track in truth:
                true = enu_of(places, truth[track]["launch_lat"], truth[track]["launch_lon"])
                gaps.append(float(np.hypot(area["east_m"] - true[0], area["north_m"] - true[1])))
    return _median(gaps)


def _alarm_s(zone: Row, end: str) -> float:
    """From the first alert to the last all-clear, or to the end of the run."""
    if zone["first_alert"] is None:
        return 0.0
    return max(0.0, (time_ns(zone["all_clear"] or end) - time_ns(zone["first_alert"])) / 1e9)


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
