"""What the simulated defence did, for run.json: each engagement and what came of it, and why the rest was left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opencram.report.words import iso
from opencram.tables import DefenceNote

if TYPE_CHECKING:
    from opencram.report.summary import Findings

Row = dict[str, Any]


def engagement_rows(found: Findings) -> list[Row]:
    """A row for each engagement: the order, what the tracks made of it, and what the world drew."""
    effects = {e.engagement: e.outcome for e in found.decisions.effects}
    judged = {note.engagement: note for note in found.decisions.defence if note.engagement}
    effectors = {e.id: e for e in found.site.effectors}
    rows = []
    for order in found.decisions.engagements:
        note, effector = judged.get(order.engagement), effectors.get(order.effector)
        rows.append(
            {
                "id": order.engagement,
                "time": iso(order.time_ns),
                "effector": order.effector,
                "track": order.track,
                "object": found.matched.get(order.track),
                "zone": order.zone,
                "range_m": round(order.range_m, 1),
                "p_kill": round(order.p_kill, 3),
                "intercept_time": iso(order.intercept_ns),
                "used": effector.salvo if effector else None,
                "outcome": effects.get(order.engagement),
                "assessed": note.kind if note else None,
                "assessed_time": iso(note.time_ns) if note else None,
                "assessed_reason": note.reason if note else None,
                "reason": order.reason,
            }
        )
    return rows


def left_alone(found: Findings, objects: Sequence[Row]) -> list[Row]:
    """Why nothing, or nothing more, was done about what was not shot down: the last word on each, by object or track.

    What is left of a shot-down object is not told of.
    """
    names = {track: str(row["id"]) for row in objects for track in row["tracks"]}
    shot = {str(row["id"]) for row in objects if row["outcome"] == "intercepted"}
    ordered = _last_orders(found, names)
    last: dict[str, tuple[DefenceNote, str | None]] = {}
    for note in found.decisions.defence:
        name = names.get(note.track, f"T{note.track}")
        known = note.track in names or (note.track in found.unexplained or found.truth is None)
        if not note.engagement and known and name not in shot and note.time_ns > ordered.get(name, 0):
            last[name] = (note, names.get(note.track))
    return [
        {
            "track": note.track,
            "object": thing,
            "zone": note.zone,
            "time": iso(note.time_ns),
            "engaged_before": name in ordered,
            "kind": note.kind,
            "reason": note.reason,
        }
        for name, (note, thing) in sorted(last.items(), key=lambda item: (item[1][0].time_ns, item[0]))
    ]


def _last_orders(found: Findings, names: Mapping[int, str]) -> dict[str, int]:
    """When each object, or track of none, was last engaged."""
    times: dict[str, int] = {}
    for order in found.decisions.engagements:
        times[names.get(order.track, f"T{order.track}")] = order.time_ns
    return times


def spent_rounds(found: Findings) -> list[Row]:
    """A row for each round that did not destroy itself, where it came down."""
    rows = []
    for piece in found.truth.rounds if found.truth else ():
        east, north = (float(v) for v in piece.end_enu_m[:2])
        lat, lon = found.places.latlon(east, north)
        zones = found.places.zones_at(east, north)
        zone = zones[0] if zones else None
        rows.append({"engagement": piece.engagement, "time": iso(piece.end_ns), "zone": zone, "lat": lat, "lon": lon})
    return rows
