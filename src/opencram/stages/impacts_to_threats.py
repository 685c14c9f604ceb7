"""Impacts x zones -> threats: which object may hit which zone, how likely, and when.

Three kinds of object threaten a zone:

- what falls: the chance that it lands in the zone enlarged by its class's hazard radius, summed over what it may be;
- what flies by its own power and may be a drone: the zones that it can reach, weighed by how far each lies off its
  course. A drone by name is one; so is what nothing names that comes straight on faster than birds and slower than
  aircraft. What is one's own, in a corridor of the site, is none;
- debris of a simulated interception: the ground that pieces cast off at the intercept may reach.

A prediction stands until the object has come down, whether or not a radar still sees it: a rocket that sinks below the
radar's horizon is as dangerous as before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from opencram.defence.debris import pieces_down
from opencram.physics.corridors import Own, still_own
from opencram.physics.flight import fly
from opencram.physics.layout import Layout, layout_of
from opencram.physics.polygon import p_course, p_inside, sights
from opencram.physics.threats import class_index, classes
from opencram.site import Site
from opencram.tables import (
    BALLISTIC,
    CONFIRMED,
    OTHER,
    UNKNOWN,
    BoolArray,
    Effect,
    Engagement,
    FloatArray,
    Hypotheses,
    Impacts,
    IntArray,
    Threats,
    Tracks,
)
from opencram.tracking.course import Course, comes_on, note

P_FLOOR = 1e-4
"""Rows less likely than this are left out: fifty of them together stay below the lowest threshold in use."""
LINGER_S = 2.0
"""How long after its predicted impact an object is still held to be falling, besides two sigma of that time."""
FORGET_NS = 600_000_000_000
"""Kills, and where tracks were last seen, are kept this long: longer than anything flies."""

FASTEST_MPS = 90.0
DRONE_CEILING_M = 3_000.0
SLOWEST_SHARE = 0.8
"""A named drone flies at this share of its class's least speed at least: head wind slows it."""
LEVEL_SHARE = 0.35
"""An unknown object that sinks faster than this share of its ground speed falls rather than flies."""
OWN_SHARE = 0.25
"""And of the plots along its course so many must be its own: in a flock a track has next to none."""
VELOCITY_SETTLES_S = 3.0
"""A drone's velocity is averaged over about this long: a filter that allows for turns leaves it noisy."""
COURSE_SIGMA_RAD = math.radians(25.0)
TURN_SHARE = 0.2
"""Share of the course's distribution that is uniform: whatever flies by its own power may turn."""
SLOWEST_APPROACH_MPS = 10.0
"""Something that hovers is taken to come at this speed once it moves."""
REACH_S = 600.0
LOST_S = 60.0
"""How long a drone that no radar sees any more is held to be coming, unless it would have arrived before."""
DIVE_SHARE, DIVE_ROOM = 0.15, 1.5
"""What sinks by this share of its ground speed is diving; it is down after this many times its height over its sink."""

DEBRIS_DELAY_NS = 500_000_000
"""Plots of a track from this long after its kill on are plots of what is left of it."""
STEP_S = 0.25


@dataclass
class Standing:
    """Predictions that stand: rows, and until when each does (n,)."""

    rows: Threats = field(default_factory=Threats.empty)
    until_ns: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def only(self, keep: BoolArray) -> "Standing":
        """Those that the mask picks."""
        return Standing(self.rows.take(keep), self.until_ns[keep])

    def plus(self, other: "Standing") -> "Standing":
        """These and the other's."""
        return Standing(Threats.concat([self.rows, other.rows]), np.concatenate([self.until_ns, other.until_ns]))


@dataclass(frozen=True)
class Objects:
    """What threatens, (n,) each: the time of its newest plot, its track, class, and whether it is debris."""

    time_ns: IntArray
    track: IntArray
    cls: IntArray
    debris: BoolArray


@dataclass
class Seen:
    """A confirmed track as of its newest plot."""

    time_ns: int
    mean: FloatArray
    ballistic: bool
    cls: int
    steady_enu_mps: FloatArray
    """Its velocity (3,), averaged over VELOCITY_SETTLES_S."""
    course: Course
    own: Own


@dataclass
class ThreatsState:
    """What the stage keeps between ticks."""

    objects: Standing = field(default_factory=Standing)
    debris: dict[int, Standing] = field(default_factory=dict)
    """By engagement: where its pieces may come down."""
    seen: dict[int, Seen] = field(default_factory=dict)
    killed_ns: dict[int, int] = field(default_factory=dict)
    """Tracks that the simulated defence has destroyed, and when."""
    over_ns: dict[int, int] = field(default_factory=dict)
    """Engagements whose effect has come back, and when it happened."""


def impacts_to_threats(
    state: ThreatsState,
    tracks: Tracks,
    hypotheses: Hypotheses,
    impacts: Impacts,
    engagements: Sequence[Engagement],
    effects: Sequence[Effect],
    now_ns: int,
    site: Site,
) -> Threats:
    """All threats that stand at `now_ns`, ordered by track, debris after the object itself, and zone.

    The tables are this tick's (empty when nothing was measured); `engagements` are the simulated ones under way or
    just over, `effects` those that came back in this tick.
    """
    layout = layout_of(site)
    tracks, hypotheses = _newest(tracks), _newest_of_class(hypotheses)
    _remember(state, tracks, now_ns, site)
    _cast_debris(state, engagements, layout, site)
    _take_effects(state, effects, engagements, layout, site)
    _renew(state, tracks, hypotheses, impacts, site, now_ns)
    return _standing_rows(state, now_ns)


def _newest(tracks: Tracks) -> Tracks:
    """One row per track, the last of each: several scans may have ended in one tick."""
    if not len(tracks):
        return tracks
    last = {int(track): row for row, track in enumerate(tracks.track)}
    return tracks.take(np.array(sorted(last.values()), np.int64))


def _newest_of_class(hypotheses: Hypotheses) -> Hypotheses:
    """The rows of each track's newest time, the last of each class."""
    if not len(hypotheses):
        return hypotheses
    newest: dict[int, int] = {}
    for track, time_ns in zip(hypotheses.track.tolist(), hypotheses.time_ns.tolist(), strict=True):
        newest[track] = max(time_ns, newest.get(track, time_ns))
    last = {
        (track, cls): row
        for row, (track, cls, time_ns) in enumerate(
            zip(hypotheses.track.tolist(), hypotheses.cls.tolist(), hypotheses.time_ns.tolist(), strict=True)
        )
        if time_ns == newest[track]
    }
    return hypotheses.take(np.array(sorted(last.values()), np.int64))


def _remember(state: ThreatsState, tracks: Tracks, now_ns: int, site: Site) -> None:
    for row in np.flatnonzero((tracks.status == CONFIRMED) & (tracks.plot >= 0)).tolist():
        track, time_ns = int(tracks.track[row]), int(tracks.time_ns[row])
        last = state.seen.get(track)
        steady = _steadied(last, tracks.mean[row, 3:6], time_ns)
        state.seen[track] = Seen(
            time_ns=time_ns,
            mean=tracks.mean[row].copy(),
            ballistic=bool(tracks.model[row] == BALLISTIC),
            cls=int(tracks.cls[row]),
            steady_enu_mps=steady,
            course=note(last.course if last else None, time_ns, tracks.mean[row], int(tracks.n_plots[row])),
            own=still_own(last.own if last else None, time_ns, tracks.mean[row], steady, site),
        )
    state.seen = {track: s for track, s in state.seen.items() if s.time_ns > now_ns - FORGET_NS}
    state.killed_ns = {track: at for track, at in state.killed_ns.items() if at > now_ns - FORGET_NS}
    state.over_ns = {number: at for number, at in state.over_ns.items() if at > now_ns - FORGET_NS}


def _steadied(last: Seen | None, vel_enu_mps: FloatArray, time_ns: int) -> FloatArray:
    """The velocity averaged with what went before, which weighs less the longer ago it was."""
    if last is None:
        return vel_enu_mps.copy()
    kept = math.exp(-max(time_ns - last.time_ns, 0) * 1e-9 / VELOCITY_SETTLES_S)
    return vel_enu_mps + kept * (last.steady_enu_mps - vel_enu_mps)


def _renew(
    state: ThreatsState, tracks: Tracks, hypotheses: Hypotheses, impacts: Impacts, site: Site, now_ns: int
) -> None:
    """Replace the predictions of what was measured anew; the others stand until they expire."""
    if not len(tracks) and not len(hypotheses) and not len(state.objects.rows):
        return
    layout = layout_of(site)
    moved = tracks.track[(tracks.model == OTHER) & (tracks.plot >= 0)]
    stale = np.isin(state.objects.rows.track, np.concatenate([hypotheses.track, moved]))
    fresh = _falling(state, tracks, hypotheses, impacts, layout, now_ns).plus(_flying(state, tracks, site, now_ns))
    current = state.objects.only(~stale).plus(fresh)
    state.objects = current.only((current.until_ns > now_ns) & ~_dead(state, current.rows))


def _dead(state: ThreatsState, rows: Threats) -> BoolArray:
    """Rows that are no newer than the kill of their track: of an object that is no more."""
    kills = [state.killed_ns.get(track) for track in rows.track.tolist()]
    return np.array(
        [
            kill is not None and t <= kill + DEBRIS_DELAY_NS
            for t, kill in zip(rows.time_ns.tolist(), kills, strict=True)
        ],
        np.bool_,
    )


def _standing_rows(state: ThreatsState, now_ns: int) -> Threats:
    debris = {e: s.only(s.until_ns > now_ns) for e, s in state.debris.items()}
    state.debris = {e: s for e, s in debris.items() if len(s.rows)}
    rows = Threats.concat([state.objects.rows, *(s.rows for s in state.debris.values())])
    return rows.take(np.lexsort((np.arange(len(rows)), rows.zone, rows.debris, rows.track)))


# ---- what falls -----------------------------------------------------------------------------------------------------


def _falling(
    state: ThreatsState, tracks: Tracks, hypotheses: Hypotheses, impacts: Impacts, layout: Layout, now_ns: int
) -> Standing:
    """Threats of all tracks that have hypotheses, from the mixture over what each may be."""
    if not len(hypotheses):
        return Standing()
    harmful = np.array([classes()[c].family != "innocent" for c in hypotheses.cls.tolist()], np.bool_)
    found = hypotheses.take(harmful & np.isfinite(hypotheses.impact_enu_m).all(axis=1))
    if not len(found):
        return Standing()
    hazards = np.array([classes()[c].hazard_radius_m for c in found.cls.tolist()])
    p = found.weight[:, None] * _p_zones(found.impact_enu_m, found.impact_cov_m2, hazards, layout)
    left_s = ((found.impact_time_ns - now_ns) * 1e-9).astype(np.float64)
    names, first, member = np.unique(found.track, return_index=True, return_inverse=True)
    p_hit, when_s, sigma_s = _mix(p, left_s, found.impact_time_sigma_s, member, len(names))
    p_hit *= _existence(tracks, names)[:, None]
    debris = _born_of_debris(tracks, names) | _left_over(state, names, found.time_ns[first])
    objects = Objects(found.time_ns[first], names, _named(impacts, names), debris)
    return _standing(objects, p_hit, when_s, sigma_s, now_ns)


def _p_zones(at_enu_m: FloatArray, cov_m2: FloatArray, hazard_m: FloatArray, layout: Layout) -> FloatArray:
    """(n, zones): the chance that each point lies in each zone enlarged by the point's hazard radius."""
    p = np.zeros((len(at_enu_m), len(layout.zone_shapes)))
    for hazard in np.unique(hazard_m).tolist():
        rows = np.flatnonzero(hazard_m == hazard)
        p[rows] = p_inside(at_enu_m[rows], cov_m2[rows], *layout.zone_rings(hazard))
    return p


def _mix(
    p: FloatArray, left_s: FloatArray, sigma_s: FloatArray, member: IntArray, groups: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Per group and zone: sum of p (n, zones), and mean and sigma of the time of a hit."""
    total, time, square = (np.zeros((groups, p.shape[1])) for _ in range(3))
    np.add.at(total, member, p)
    np.add.at(time, member, p * left_s[:, None])
    np.add.at(square, member, p * (left_s**2 + sigma_s**2)[:, None])
    share = np.maximum(total, 1e-300)
    mean_s = time / share
    return total, mean_s, np.sqrt(np.maximum(square / share - mean_s**2, 0.0))


def _existence(tracks: Tracks, names: IntArray) -> FloatArray:
    known = dict(zip(tracks.track.tolist(), tracks.existence.tolist(), strict=True))
    return np.array([known.get(name, 1.0) for name in names.tolist()])


def _born_of_debris(tracks: Tracks, names: IntArray) -> BoolArray:
    return np.isin(names, tracks.track[tracks.debris])


def _left_over(state: ThreatsState, names: IntArray, time_ns: IntArray) -> BoolArray:
    """Which tracks were destroyed: what a radar goes on seeing of them is debris."""
    kills = [state.killed_ns.get(name) for name in names.tolist()]
    return np.array([k is not None and t > k for k, t in zip(kills, time_ns.tolist(), strict=True)], np.bool_)


def _named(impacts: Impacts, names: IntArray) -> IntArray:
    """The class that each track is called by, (names,)."""
    cls = dict(zip(impacts.track.tolist(), impacts.cls.tolist(), strict=True))
    return np.array([cls.get(name, UNKNOWN) for name in names.tolist()], np.int64)


def _standing(objects: Objects, p_hit: FloatArray, left_s: FloatArray, sigma_s: FloatArray, now_ns: int) -> Standing:
    """Rows of a table objects x zones, (n, zones), where p is worth a row; times count from `now_ns`."""
    row, zone = np.nonzero(p_hit >= P_FLOOR)
    impact_ns = now_ns + np.round(left_s[row, zone] * 1e9).astype(np.int64)
    linger_ns = np.round((LINGER_S + 2.0 * sigma_s[row, zone]) * 1e9).astype(np.int64)
    rows = Threats(
        time_ns=objects.time_ns[row],
        track=objects.track[row],
        zone=zone.astype(np.int64),
        cls=objects.cls[row],
        p_hit=np.minimum(p_hit[row, zone], 1.0),
        impact_time_ns=impact_ns,
        debris=objects.debris[row],
    )
    return Standing(rows, impact_ns + linger_ns)


# ---- what flies by its own power ------------------------------------------------------------------------------------


def _flying(state: ThreatsState, tracks: Tracks, site: Site, now_ns: int) -> Standing:
    """Threats of drones, and of unknown objects that fly as drones do: the zones each can reach, and when at best."""
    alive = tracks.take(np.array([track not in state.killed_ns for track in tracks.track.tolist()], np.bool_))
    together = Standing()
    for row in _drone_rows(alive):
        seen = state.seen[int(alive.track[row])]
        comes = comes_on(seen.course, seen.time_ns, _slowest_mps(seen.cls, site), FASTEST_MPS)
        alone = seen.course.own_share >= OWN_SHARE and _level(seen.steady_enu_mps)
        if comes and not seen.own.yes and (seen.cls != UNKNOWN or alone):
            together = together.plus(_reach(alive, row, seen.steady_enu_mps, layout_of(site), now_ns))
    return together


def _slowest_mps(cls: int, site: Site) -> float:
    """How fast a course must be to be a drone's: what the class flies at least, and of what nothing names the site's.

    The name may come of one moment's speed, at which a track jumped from one bird to another.
    """
    if cls == UNKNOWN:
        return site.policy.drone.unknown_from_mps
    return SLOWEST_SHARE * classes()[cls].speed_mps[0]


def _level(vel_enu_mps: FloatArray) -> bool:
    """Whether it flies rather than falls, by its averaged velocity: spent rounds sink steadily, noise for a moment."""
    return abs(float(vel_enu_mps[2])) <= LEVEL_SHARE * math.hypot(float(vel_enu_mps[0]), float(vel_enu_mps[1]))


def _drone_rows(tracks: Tracks) -> list[int]:
    """Rows of confirmed, newly measured, non-ballistic tracks that are drones or may be one."""
    seen = (tracks.status == CONFIRMED) & (tracks.model == OTHER) & (tracks.plot >= 0)
    if not seen.any():
        return []
    drone = np.isin(tracks.cls, [class_index("drone"), class_index("quadcopter")])
    unknown = (tracks.cls == UNKNOWN) & (tracks.mean[:, 2] < DRONE_CEILING_M)
    return [int(row) for row in np.flatnonzero(seen & (drone | unknown))]


def _reach(tracks: Tracks, row: int, vel_enu_mps: FloatArray, layout: Layout, now_ns: int) -> Standing:
    """One drone's threats: for each zone the chance that its course leads there, and the earliest arrival."""
    (east_m, north_m), (ve, vn) = tracks.mean[row, :2].tolist(), vel_enu_mps[:2].tolist()
    speed, sigma = math.hypot(ve, vn), math.sqrt(max(tracks.cov[row, 3, 3], tracks.cov[row, 4, 4]))
    cls = class_index("drone") if tracks.cls[row] == UNKNOWN else int(tracks.cls[row])
    hazard_m = classes()[cls].hazard_radius_m
    course_rad = math.atan2(ve, vn)
    course_sigma = math.hypot(COURSE_SIGMA_RAD, sigma / max(speed, 1e-3))
    views = sights(east_m, north_m, *layout.zone_rings(hazard_m))
    left_s = views[:, 0] / max(speed, SLOWEST_APPROACH_MPS)
    p = p_course(course_rad, course_sigma, TURN_SHARE, views)
    down_s = _down_s(float(tracks.mean[row, 2]), vel_enu_mps)
    p *= float(tracks.existence[row]) * (left_s <= min(REACH_S, down_s))
    found = _standing(
        _one(int(tracks.time_ns[row]), int(tracks.track[row]), cls, False),
        p[None],
        left_s[None],
        np.zeros((1, len(p))),
        now_ns,
    )
    lost_ns = int(tracks.time_ns[row] + min(LOST_S, down_s) * 1e9)
    return Standing(found.rows, np.maximum(np.minimum(found.until_ns, lost_ns), int(now_ns + LINGER_S * 1e9)))


def _down_s(height_m: float, vel_enu_mps: FloatArray) -> float:
    """By when what is diving must have come down, with room for a shallower end; infinite for what is not diving.

    What pulls out of its dive is seen again and reaches as far as before.
    """
    ve, vn, vu = (float(v) for v in vel_enu_mps)
    if -vu < DIVE_SHARE * math.hypot(ve, vn):
        return math.inf
    return DIVE_ROOM * max(height_m, 0.0) / -vu + LINGER_S


# ---- debris ---------------------------------------------------------------------------------------------------------


def _cast_debris(state: ThreatsState, engagements: Sequence[Engagement], layout: Layout, site: Site) -> None:
    """Once for each new engagement: where pieces would come down, as likely as the kill itself."""
    for order in engagements:
        seen = state.seen.get(order.track)
        if seen is None or order.engagement in state.debris or order.engagement in state.over_ns:
            continue
        burst = carried(seen, order.intercept_ns, layout)
        state.debris[order.engagement] = _footprint(
            burst, order.time_ns, order.intercept_ns, order.track, order.p_kill, _pieces(site, order.effector), layout
        )


def _take_effects(
    state: ThreatsState, effects: Sequence[Effect], engagements: Sequence[Engagement], layout: Layout, site: Site
) -> None:
    """A miss leaves no debris; a kill ends the object and casts its debris from where it happened."""
    effectors = {order.engagement: order.effector for order in engagements}
    for effect in effects:
        state.debris.pop(effect.engagement, None)
        state.over_ns[effect.engagement] = effect.time_ns
        if effect.outcome != "kill":
            continue
        state.killed_ns[effect.track] = effect.time_ns
        seen = state.seen.get(effect.track)
        burst = np.zeros(7) if seen is None else carried(seen, effect.time_ns, layout)
        burst[:3] = effect.east_m, effect.north_m, effect.up_m
        pieces = _pieces(site, effectors.get(effect.engagement, ""))
        state.debris[effect.engagement] = _footprint(
            burst, effect.time_ns, effect.time_ns, effect.track, 1.0, pieces, layout
        )


def _pieces(site: Site, effector: str) -> int:
    """How many pieces an effector's kill makes; the most of any where the effector is not known."""
    known = {e.id: e.debris_pieces for e in site.effectors}
    return known.get(effector, max(known.values(), default=1))


def carried(seen: Seen, at_ns: int, layout: Layout) -> FloatArray:
    """State (7) of a track at another time: falling if it is ballistic, else straight on."""
    seconds = (at_ns - seen.time_ns) * 1e-9
    if not seen.ballistic:
        state = seen.mean.copy()
        state[:3] += seconds * state[3:6]
        return state
    steps = max(1, math.ceil(abs(seconds) / STEP_S))
    drag = classes()[max(seen.cls, 0)].drag
    path: FloatArray = fly(seen.mean, seconds / steps, steps, layout.env, layout.air, drag)[steps]
    return path


def _footprint(
    burst: FloatArray, time_ns: int, burst_ns: int, track: int, p_burst: float, pieces: int, layout: Layout
) -> Standing:
    """Threats of the pieces of an object that bursts in state `burst` (7): that at least one hits the zone."""
    cls = class_index("fragment")
    falls = pieces_down(burst, layout)
    if falls is None:
        return Standing()
    hazards = np.full(len(falls.share), classes()[cls].hazard_radius_m)
    p = falls.share[:, None] * _p_zones(falls.where_enu_m, falls.cov_m2, hazards, layout)
    one, mean_s, spread_s = _mix(p, falls.when_s, falls.sigma_s, np.zeros(len(p), np.int64), 1)
    any_hit = p_burst * (1.0 - (1.0 - np.minimum(one, 1.0)) ** pieces)
    return _standing(_one(time_ns, track, cls, True), any_hit, mean_s, spread_s, burst_ns)


def _one(time_ns: int, track: int, cls: int, debris: bool) -> Objects:
    times, tracks, classes = (np.array([x], np.int64) for x in (time_ns, track, cls))
    return Objects(times, tracks, classes, np.array([debris]))
