"""What came of a raid: its hits and how they were warned of, its alarms and whether they were due."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec.structs import replace
from shapely import Point

from opencram.physics.layout import layout_of
from opencram.site import Site
from opencram.tables import Plots, ZoneWarning
from opencram.warning.rules import zone_rules
from raids.draw import Raid, raid
from raids.possible import falling_ns, flying_ns, in_a_run, own_plots
from raids.watch import Trace, Watched, keep, watch

ENDS = ("cancel", "all-clear")


class Hit(msgspec.Struct):
    """One object that came down in one zone; times left are before its impact, less the sound's way, in seconds."""

    impact_ns: int
    sound_s: float
    object: str
    cls: str
    family: str
    zone: str
    kind: str
    shelter_s: float
    flight_s: float
    first_plot_s: float | None
    possible_s: float | None
    followed_s: float | None
    """As `possible_s`, of the plots from the first on that begins a run: nothing can be followed before."""
    passed_s: float | None
    """When the chance that the pipeline saw first passed the threshold, for whatever object."""
    warned_s: float | None

    @property
    def possible(self) -> bool:
        """Whether a bound-perfect prediction leaves the time to shelter."""
        return self.possible_s is not None and self.possible_s >= self.shelter_s

    @property
    def followed(self) -> bool:
        """Whether one that knows of the object from when it can be followed does."""
        return self.followed_s is not None and self.followed_s >= self.shelter_s

    @property
    def in_time(self) -> bool:
        """Whether the warning did."""
        return self.warned_s is not None and self.warned_s >= self.shelter_s


class Alarm(msgspec.Struct):
    """One zone's alert, from the alert to its end."""

    zone: str
    kind: str
    seconds: float
    people: int
    needed: bool
    """Something came down in the zone, or so near that it did harm there."""
    phantom: bool
    ended: str
    reason: str


class Row(msgspec.Struct):
    """What came of one raid."""

    number: int
    site: str
    objects: int
    classes: list[str]
    defended: bool
    update_s: float
    hits: list[Hit]
    harmed: dict[str, list[int]]
    """Zone -> when something came down in it, or so near that it did harm there, debris included, ns."""
    real: list[int]
    """Tracks that followed something hostile."""
    alarms: list[Alarm]
    pre_alerts: int
    whole_site_person_min: float
    """People not hit times minutes, had the whole site been alerted from the first alert to the last one's end."""
    wall_s: float

    @property
    def needless_person_min(self) -> float:
        """People times minutes of the alarms that were not needed."""
        return sum(a.people * a.seconds for a in self.alarms if not a.needed) / 60.0


def trial(number: int, traces: Path | None = None) -> Row:
    """The row of a raid; it depends on the number alone, but for the seconds that it took."""
    began = time.perf_counter()
    drawn = raid(number)
    watched = watch(drawn)
    if traces is not None:
        keep(watched.trace, drawn, traces)
    return row_of(drawn, watched, time.perf_counter() - began)


def row_of(drawn: Raid, watched: Watched, wall_s: float) -> Row:
    """What it came to."""
    harmed = _harmed(watched)
    bodies = [body for body in watched.sky.bodies if body.hostile and body.threat.family != "debris"]
    return Row(
        number=drawn.number,
        site=drawn.site.name,
        objects=len(bodies),
        classes=sorted({body.threat.id for body in bodies}),
        defended=drawn.scenario.defence.value,
        update_s=drawn.site.sensors[0].update_s,
        hits=list(_hits(watched)),
        harmed=harmed,
        real=sorted(track for track in watched.followed if watched.real(track)),
        alarms=list(alarms(watched.warnings, drawn.site, harmed, watched.real)),
        pre_alerts=sum(w.state == "pre-alert" for w in watched.warnings),
        whole_site_person_min=whole_site_person_min(watched.warnings, drawn.site, harmed),
        wall_s=wall_s,
    )


def _hits(watched: Watched) -> Iterator[Hit]:
    """All objects that came down in zones; debris is none of them: what burst late leaves nobody the time."""
    world, site, layout = watched.world, watched.site, layout_of(watched.site)
    sky, plots, rules = watched.sky, Plots.concat(watched.plots), zone_rules(site).each
    flown = {body.id: n for n, body in enumerate(sky.bodies)}
    for thing in world.objects():
        if not thing.hostile or thing.outcome != "impact" or not thing.zones:
            continue
        body = flown[thing.id]
        own = own_plots(plots, sky, body, layout)
        zones = {layout.zone_index[zone]: rules[layout.zone_index[zone]].alert_p for zone in thing.zones}
        drone = sky.bodies[body].threat.family == "drone"
        known = (flying_ns if drone else falling_ns)(sky.bodies[body], own, sky, layout, zones)
        run = own if drone else in_a_run(own, site.sensors[0].update_s)
        followed = known if len(run) == len(own) else falling_ns(sky.bodies[body], run, sky, layout, zones)
        for index in zones:
            zone, late_s = site.zones[index], rules[index].sound_s
            left = _before(thing.end_ns, late_s)
            yield Hit(
                impact_ns=thing.end_ns,
                sound_s=late_s,
                object=thing.id,
                cls=thing.cls,
                family=sky.bodies[body].threat.family,
                zone=zone.id,
                kind=zone.kind,
                shelter_s=zone.time_to_shelter_s,
                flight_s=(thing.end_ns - thing.launch_ns) * 1e-9,
                first_plot_s=left(int(own.received_ns[0]) if len(own) else None),
                possible_s=left(known.get(index)),
                followed_s=left(followed.get(index)),
                passed_s=left(_passed_ns(watched.trace, index, rules[index].alert_p)),
                warned_s=left(alert_before(watched.warnings, zone.id, thing.end_ns)),
            )


def _passed_ns(trace: Trace, zone: int, threshold: float) -> int | None:
    for now_ns, threats in zip(trace.now_ns, trace.threats, strict=True):
        p = threats.p_hit[threats.zone == zone]
        if len(p) and 1.0 - float(np.prod(1.0 - p)) >= threshold:
            return now_ns
    return None


def _before(end_ns: int, late_s: float) -> Callable[[int | None], float | None]:
    return lambda at_ns: None if at_ns is None else (end_ns - at_ns) * 1e-9 - late_s


def alert_before(warnings: Sequence[ZoneWarning], zone: str, impact_ns: int) -> int | None:
    """When the alert that stood at an impact was told; None if none stood."""
    began = None
    for warning in warnings:
        if warning.zone != zone or warning.time_ns > impact_ns:
            continue
        if warning.state == "alert":
            began = warning.time_ns
        elif warning.state in ENDS:
            began = None
    return began


def rescored(row: Row, warnings: Sequence[ZoneWarning], site: Site) -> Row:
    """The row, had these been the warnings."""
    hits = [replace(hit, warned_s=warned_s(hit, warnings)) for hit in row.hits]
    return replace(
        row,
        hits=hits,
        alarms=list(alarms(warnings, site, row.harmed, set(row.real).__contains__)),
        pre_alerts=sum(w.state == "pre-alert" for w in warnings),
        whole_site_person_min=whole_site_person_min(warnings, site, row.harmed),
    )


def warned_s(hit: Hit, warnings: Sequence[ZoneWarning]) -> float | None:
    """How long before the hit, less the sound's way, the alert that stood at it was told."""
    return _before(hit.impact_ns, hit.sound_s)(alert_before(warnings, hit.zone, hit.impact_ns))


def alarms(
    warnings: Sequence[ZoneWarning], site: Site, harmed: Mapping[str, Sequence[int]], real: Callable[[int], bool]
) -> Iterator[Alarm]:
    """Each alert to its end; AssertionError for one that never ends."""
    people = {zone.id: zone.people for zone in site.zones}
    told: dict[str, ZoneWarning] = {}
    for warning in warnings:
        if warning.state == "alert":
            told[warning.zone] = warning
        elif warning.state in ENDS and warning.zone in told:
            first = told.pop(warning.zone)
            seconds = (warning.time_ns - first.time_ns) * 1e-9
            needed = any(first.time_ns <= at_ns <= warning.time_ns for at_ns in harmed.get(first.zone, ()))
            phantom = not needed and not any(real(track) for track in first.tracks)
            yield Alarm(
                zone=first.zone,
                kind=first.kind,
                seconds=seconds,
                people=people[first.zone],
                needed=needed,
                phantom=phantom,
                ended=warning.state,
                reason=first.reason,
            )
    if told:
        raise AssertionError(f"alerts of {sorted(told)} never ended")


def whole_site_person_min(warnings: Sequence[ZoneWarning], site: Site, harmed: Mapping[str, Sequence[int]]) -> float:
    """People times minutes, had the whole site been alerted from the first alert to the last one's end."""
    alerts = [w.time_ns for w in warnings if w.state == "alert"]
    ends = [w.time_ns for w in warnings if w.state in ENDS]
    minutes = (max(ends) - min(alerts)) / 60e9 if alerts and ends else 0.0
    return minutes * sum(zone.people for zone in site.zones if zone.id not in harmed)


def _harmed(watched: Watched) -> dict[str, list[int]]:
    layout, killed = layout_of(watched.site), watched.world._defence.killed
    found: dict[str, list[int]] = {}
    for n, body in enumerate(watched.sky.bodies):
        if not body.explodes or n in killed:
            continue
        at = Point(body.end_enu_m[0], body.end_enu_m[1])
        for zone, shape in zip(watched.site.zones, layout.zone_shapes, strict=True):
            if shape.distance(at) <= body.threat.hazard_radius_m:
                found.setdefault(zone.id, []).append(int(watched.sky.end_ns[n]))
    return found
