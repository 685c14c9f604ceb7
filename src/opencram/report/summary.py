"""run.json: what a run came to, for machines. What the truth alone can tell is null where there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from opencram import __version__
from opencram.physics.sound import HEARD_SHARE, Hearing, hearing_of
from opencram.report.defence import engagement_rows, left_alone, spent_rounds
from opencram.report.evidence import (
    Columns,
    Decisions,
    RunMeta,
    Tables,
    Truth,
    TruthObject,
    by_track,
    confirmed_tracks,
    while_whole,
)
from opencram.report.matching import confirmed_rows, match_debris, match_tracks
from opencram.report.moments import Scene
from opencram.report.places import Places, clusters, ellipse_95
from opencram.report.run_tracking import figures_of_run, scene_of_run
from opencram.report.tracking_metrics import Figures
from opencram.report.words import iso, time_ns
from opencram.tables import ZoneWarning

if TYPE_CHECKING:
    from opencram.site import Site

SCHEMA = 1
ALERTED = ("alert", "update")
"""States in which a warning that names a track has people in cover because of it."""
TOLD = ("observed", "operator", "sensor")
"""Kinds of warning that rest on no track: there may be nothing in the air."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Findings:
    """A run taken apart once: its tracks by number, and which object each one follows."""

    meta: RunMeta
    site: Site
    tables: Tables
    decisions: Decisions
    truth: Truth | None
    places: Places = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "places", Places(self.site))

    @cached_property
    def tracks(self) -> dict[int, Columns]:
        """All rows of the tracks that were ever confirmed, from their first plot on."""
        return confirmed_tracks(self.tables.tracks)

    @cached_property
    def impacts(self) -> dict[int, Columns]:
        """Impact predictions by track, of an object only as long as it was whole: then its track is debris."""
        ends = {thing.id: thing.end_ns for thing in self.truth.objects} if self.truth else {}
        return while_whole(by_track(self.tables.impacts), {track: ends[name] for track, name in self.matched.items()})

    @cached_property
    def followed(self) -> dict[int, str]:
        """Track -> whatever it follows, by its name in the truth table: objects, birds, pieces of debris."""
        return match_tracks({n: confirmed_rows(rows) for n, rows in self.tracks.items()}, self.tables.truth)

    @cached_property
    def matched(self) -> dict[int, str]:
        """Track -> hostile object."""
        hostile = {thing.id for thing in self.truth.hostile} if self.truth else set()
        return {track: name for track, name in self.followed.items() if name in hostile}

    @cached_property
    def debris_tracks(self) -> set[int]:
        """Tracks that follow what is left of an intercepted object."""
        if self.truth is None:
            return set()
        objects = {thing.id for thing in self.truth.objects}
        pieces = {track for track, name in self.followed.items() if name not in objects}
        return pieces | match_debris(self.tracks, self.followed, self.truth.hostile)

    @cached_property
    def unexplained(self) -> list[int]:
        """Tracks behind which there is nothing at all; none where the truth is not known."""
        explained = self.followed.keys() | self.debris_tracks
        return [track for track in self.tracks if track not in explained] if self.truth else []

    @cached_property
    def scene(self) -> Scene | None:
        """Tracks and truth at the same moments, without the tracks of debris and birds; None without a truth."""
        if self.truth is None:
            return None
        left_out = self.tracks.keys() - self.matched.keys() - set(self.unexplained)
        return scene_of_run(self.tables, {o.id: o.cls for o in self.truth.hostile}, left_out, self.site)

    @cached_property
    def tracks_of(self) -> dict[str, list[int]]:
        """Object -> its tracks, the one with the most rows first."""
        found: dict[str, list[int]] = {}
        for track in sorted(self.matched, key=lambda n: (-len(self.tracks[n]["time"]), n)):
            found.setdefault(self.matched[track], []).append(track)
        return found


def summarize(
    meta: RunMeta, site: Site, tables: Tables, decisions: Decisions, truth: Truth | None = None
) -> dict[str, Any]:
    """The content of run.json; `truth` is None where nobody knows it (plots of a real radar)."""
    found = Findings(meta, site, tables, decisions, truth)
    things = [_true_object(found, o) for o in truth.hostile] if truth else None
    objects = [_track_object(found, n) for n in found.tracks] if things is None else things
    debris = _debris(found)
    zones = [_zone(found, hearing, objects) for hearing in hearing_of(site)]
    return {
        "schema": SCHEMA,
        "version": __version__,
        "kind": meta.kind,
        "simulated": meta.simulated,
        "scenario": meta.scenario,
        "site": site.name,
        "seed": meta.seed,
        "digest": meta.digest,
        "start": iso(meta.start_ns),
        "end": iso(meta.end_ns),
        "counts": _counts(found, objects, debris, zones),
        "objects": objects,
        "zones": zones,
        "raids": _raids(decisions.warnings),
        "debris": debris,
        "launch_areas": _launch_areas(found),
        "approach": _approach(found),
        "tracks_confirmed": len(found.tracks),
        "tracks_unexplained": found.unexplained,
        "tracking": _tracking(found),
        "engagements": engagement_rows(found),
        "left_alone": left_alone(found, objects),
        "spent_rounds": spent_rounds(found),
        "rejects": _rejects(decisions),
        "health": [
            {"time": iso(h.time_ns), "component": h.component, "state": h.state, "detail": h.detail}
            for h in decisions.health
        ],
        "track_events": [
            {"time": iso(e.time_ns), "kind": e.kind, "track": e.track, "other": e.other, "reason": e.reason}
            for e in decisions.events
        ],
    }


def _tracking(found: Findings) -> Figures | None:
    seen = {name: min(int(found.tracks[n]["time"][0]) for n in tracks) for name, tracks in found.tracks_of.items()}
    return figures_of_run(found.scene, seen, (found.meta.start_ns, found.meta.end_ns))


def _true_object(found: Findings, thing: TruthObject) -> Row:
    east, north = (float(v) for v in thing.end_enu_m[:2])
    down = thing.outcome == "impact"
    tracks = found.tracks_of.get(thing.id, [])
    row = {
        "id": thing.id,
        "class_true": thing.cls,
        "class": _class_of(found, tracks[0]) if tracks else None,
        "track": tracks[0] if tracks else None,
        "outcome": "left" if thing.outcome == "flying" else thing.outcome,
        **_where(found.places, east, north, down),
        "tracks": tracks,
        "launch_time": iso(thing.launch_ns),
        **_times(found, tracks),
        "end_time": iso(thing.end_ns),
        "engaged": list(thing.engaged),
        **_undefended(found.places, thing),
    }
    lat, lon = found.places.latlon(float(thing.launch_enu_m[0]), float(thing.launch_enu_m[1]))
    return row | {"launch_lat": lat, "launch_lon": lon}


def _track_object(found: Findings, track: int) -> Row:
    """A confirmed track where the truth is not known: down where it was last predicted, or gone."""
    rows, impacts = found.tracks[track], found.impacts.get(track)
    down = impacts is not None and rows["model"][-1] == "ballistic"
    last = impacts if impacts is not None and down else rows
    names = ("impact_east_m", "impact_north_m") if down else ("east_m", "north_m")
    east, north = (float(last[name][-1]) for name in names)
    return {
        "id": f"T{track}",
        "class_true": None,
        "class": _class_of(found, track),
        "track": track,
        "outcome": "impact" if down else "left",
        **_where(found.places, east, north, down),
        "tracks": [track],
        "launch_time": None,
        **_times(found, [track]),
        "end_time": iso(int(last["impact_time" if down else "time"][-1])),
        "engaged": [e.engagement for e in found.decisions.engagements if e.track == track],
        **_NOT_KNOWN,
        "launch_lat": None,
        "launch_lon": None,
    }


def _where(places: Places, east: float, north: float, down: bool) -> Row:
    zones = places.zones_at(east, north) if down else []
    lat, lon = places.latlon(east, north)
    distance = places.distance_m(east, north)
    return {
        "zone": zones[0] if zones else None,
        "lat": lat,
        "lon": lon,
        "distance_m": None if distance is None else round(distance, 1),
        "zones": zones,
        "near": places.nearest_zone(east, north)[0] if down else None,
    }


def _undefended(places: Places, thing: TruthObject) -> Row:
    """Where it would have come down if nothing had stopped it."""
    if not lands(thing):
        return dict(_NOT_KNOWN)
    zones = list(thing.undefended_zones)
    lat, lon = places.latlon(float(thing.undefended_enu_m[0]), float(thing.undefended_enu_m[1]))
    zone = zones[0] if zones else None
    return {"undefended_zone": zone, "undefended_zones": zones, "undefended_lat": lat, "undefended_lon": lon}


_NOT_KNOWN: Row = {"undefended_zone": None, "undefended_zones": [], "undefended_lat": None, "undefended_lon": None}


def lands(thing: TruthObject) -> bool:
    """Whether it came down or was going to."""
    return thing.outcome in ("impact", "intercepted")


def _times(found: Findings, tracks: Sequence[int]) -> Row:
    """When the object was first seen, its track confirmed, and a zone first alerted for it."""
    rows = [found.tracks[n] for n in tracks]
    seen = [int(r["time"][0]) for r in rows]
    confirmed = [int(confirmed_rows(r)["time"][0]) for r in rows]
    alerts = [w.time_ns for w in found.decisions.warnings if w.state in ALERTED and set(w.tracks) & set(tracks)]
    moments = {"first_plot_time": seen, "confirmed_time": confirmed, "first_alert_time": alerts}
    return {name: iso(min(times)) if times else None for name, times in moments.items()}


def _class_of(found: Findings, track: int) -> str:
    impacts = found.impacts.get(track)
    return str((found.tracks[track] if impacts is None else impacts)["class"][-1])


def _zone(found: Findings, heard: Hearing, objects: Sequence[Row]) -> Row:
    zone = heard.zone
    told = [w for w in found.decisions.warnings if w.zone == zone]
    hits = [o for o in objects if o["outcome"] == "impact" and zone in o["zones"]]
    first_hit = min((o["end_time"] for o in hits), default=None)
    known = found.truth is not None
    lead = _lead_s(_first(told, "alert"), first_hit) if known else None
    return {
        "id": zone,
        "first_alert": _first(told, "alert"),
        "first_impact": first_hit if known else None,
        "lead_s": lead,
        "sound_s": None if heard.delay_s is None else round(heard.delay_s, 3),
        "heard_share": round(heard.share, 3),
        "lead_heard_s": None if lead is None or heard.delay_s is None else round(lead - heard.delay_s, 3),
        "first_pre_alert": _first(told, "pre-alert"),
        "all_clear": next((iso(w.time_ns) for w in reversed(told) if w.state in ("all-clear", "cancel")), None),
        "impacts": len(hits) if known else None,
        "impacts_predicted": None if known else len(hits),
    }


def _raids(warnings: Sequence[ZoneWarning]) -> list[Row]:
    """What was told of each raid, from its first warning to its last."""
    told: dict[int, list[ZoneWarning]] = {}
    for warning in warnings:
        told.setdefault(warning.raid, []).append(warning)
    return [
        {
            "raid": raid,
            "start": iso(own[0].time_ns),
            "end": iso(own[-1].time_ns),
            "zones": sorted({w.zone for w in own}),
            "zones_alerted": sorted({w.zone for w in own if w.state == "alert"}),
            "tracks": sorted({track for w in own for track in w.tracks}),
        }
        for raid, own in sorted(told.items())
    ]


def _first(warnings: Sequence[ZoneWarning], state: str) -> str | None:
    return next((iso(w.time_ns) for w in warnings if w.state == state), None)


def _lead_s(alert: str | None, impact: str | None) -> float | None:
    return round((time_ns(impact) - time_ns(alert)) / 1e9, 3) if alert and impact else None


def _debris(found: Findings) -> list[Row]:
    rows = []
    for piece in found.truth.debris if found.truth else ():
        east, north = (float(v) for v in piece.end_enu_m[:2])
        where = _where(found.places, east, north, True)
        rows.append({"object": piece.object, "time": iso(piece.end_ns), **where})
    return rows


def _rejects(decisions: Decisions) -> list[Row]:
    totals: dict[tuple[str, str], Row] = {}
    for r in decisions.rejects:
        row = totals.setdefault(
            (r.source, r.reason), {"source": r.source, "reason": r.reason, "count": 0, "sample": r.sample}
        )
        row["count"] += r.count
    return [totals[key] for key in sorted(totals)]


def _launch_areas(found: Findings) -> list[Row]:
    """Where what was tracked came from: the last launch estimates, gathered into areas."""
    known = {}
    for track, rows in found.impacts.items():
        cov = np.array([[rows[f"launch_cov_{a}_m2"][-1] for a in pair] for pair in (("ee", "en"), ("en", "nn"))], float)
        relevant = (
            track in found.tracks and (found.truth is None or track in found.matched) and _fell(found.tracks[track])
        )
        if relevant and np.isfinite(cov).all() and np.isfinite(rows["launch_lat"][-1]):
            known[track] = (_enu(found.places, float(rows["launch_lat"][-1]), float(rows["launch_lon"][-1])), cov)
    if not known:
        return []
    tracks = list(known)
    points, covs = np.array([known[t][0] for t in tracks]), np.array([known[t][1] for t in tracks])
    return [_launch_area(found, [tracks[i] for i in c.members], c.mean_m, c.cov_m2) for c in clusters(points, covs)]


def _fell(track: Columns) -> bool:
    """Whether it flew ballistically most of the time: a drone in its last dive was launched nowhere near."""
    return bool((confirmed_rows(track)["model"] == "ballistic").mean() > 0.5)


def _launch_area(found: Findings, tracks: list[int], mean: Any, cov: Any) -> Row:  # noqa: ANN401
    places, (east, north) = found.places, (float(v) for v in mean)
    lat, lon = places.latlon(east, north)
    zone, away = places.nearest_zone(east, north)
    ellipse = ellipse_95(east, north, cov)
    assert ellipse is not None, "the covariances were checked"
    return {
        "tracks": tracks,
        "lat": lat,
        "lon": lon,
        "east_m": round(east, 1),
        "north_m": round(north, 1),
        "semi_major_m": round(ellipse.semi_major_m, 1),
        "semi_minor_m": round(ellipse.semi_minor_m, 1),
        "major_azimuth_deg": round(float(np.degrees(ellipse.az_rad)), 1),
        "azimuth_deg": round(float(np.degrees(places.azimuth_rad(east, north))), 1),
        "distance_m": round(float(np.hypot(*(np.array([east, north]) - places.centre_enu_m[:2]))), 1),
        "zone": zone,
        "zone_away_m": round(away, 1) if zone else None,
    }


def _approach(found: Findings) -> list[Row]:
    """From which side each tracked object was first seen, as its azimuth from the centre."""
    seen = []
    for track, rows in found.tracks.items():
        if found.truth is None or track in found.matched:
            azimuth = found.places.azimuth_rad(float(rows["east_m"][0]), float(rows["north_m"][0]))
            seen.append({"track": track, "azimuth_deg": round(float(np.degrees(azimuth)), 1)})
    return seen


def _enu(places: Places, lat_deg: float, lon_deg: float) -> Any:  # noqa: ANN401
    from opencram.physics.frames import geodetic_to_enu

    origin = places.layout.origin
    return geodetic_to_enu(np.radians(lat_deg), np.radians(lon_deg), origin.height_m, origin)[:2]


def _counts(
    found: Findings, objects: Sequence[Row], debris: Sequence[Row], zones: Sequence[Row]
) -> dict[str, int | None]:
    tracked = sum(o["track"] is not None for o in objects)
    engaged = sum(bool(o["engaged"]) for o in objects)
    names = ("launched", "tracked", "engaged", "intercepted", "impacts", "debris", "zones_hit")
    warned = ("zones_warned_in_time", "zones_heard_in_time", "phantom_alarms")
    if found.truth is None:
        unknown: dict[str, int | None] = dict.fromkeys((*names, *warned))
        return unknown | {"tracked": tracked, "engaged": engaged}
    outcomes = [o["outcome"] for o in objects]
    shelter_s = {zone.id: zone.time_to_shelter_s for zone in found.site.zones}
    numbers = (
        len(objects),
        tracked,
        engaged,
        outcomes.count("intercepted"),
        outcomes.count("impact"),
        len(debris),
        sum(z["first_impact"] is not None for z in zones),
        sum(z["lead_s"] is not None and z["lead_s"] >= shelter_s[z["id"]] for z in zones),
        sum(_heard_in_time(z, shelter_s[z["id"]]) for z in zones),
        sum(is_phantom(found, w) for w in found.decisions.warnings),
    )
    return dict(zip((*names, *warned), numbers, strict=True))


def _heard_in_time(zone: Row, shelter_s: float) -> bool:
    """Whether a zone that was hit hears its sirens nearly everywhere, and had its time to shelter left when it did."""
    lead = zone["lead_heard_s"]
    return lead is not None and lead >= shelter_s and zone["heard_share"] >= HEARD_SHARE


def is_phantom(found: Findings, warning: ZoneWarning) -> bool:
    """An alert that nothing hostile explains: no object or debris behind its tracks, nor a report or an order."""
    real = any(t in found.matched or t in found.debris_tracks for t in warning.tracks)
    return warning.state == "alert" and warning.kind not in TOLD and not real
