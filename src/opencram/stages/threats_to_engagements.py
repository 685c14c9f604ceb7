"""Threats -> engagements: which simulated effector takes what.

This stage exists only where every input comes from the simulated world. An effector is a reach, a reaction time, a
rate, a chance of kill against range and a magazine; an engagement says which object it takes and when that would be
over, for the world to draw what comes of it. There is no output for hardware, by design.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from opencram.physics.flight import fly
from opencram.physics.layout import Layout, layout_of
from opencram.physics.threats import Threat, catalogue
from opencram.site import Effector, Site
from opencram.tables import BALLISTIC, CONFIRMED, Effect, Engagement, FloatArray, Threats, Tracks

LOOK_AHEAD_S = 60.0
STEP_S = 0.25
LOWEST_BURST_M = 30.0
"""Nothing is engaged below this height over the ground: it would be down before."""
LEAST_KILL = 0.05
NO_EFFECT_NS = 5_000_000_000
"""An engagement whose effect has not come back this long after its end is given up, and its object is free again."""
FORGET_NS = 600_000_000_000
SECOND_NS = 1_000_000_000


@dataclass
class Target:
    """A confirmed track as of its newest plot."""

    time_ns: int
    mean: FloatArray
    ballistic: bool
    cls: int


@dataclass
class EngagementsState:
    """What the stage keeps between ticks."""

    next_engagement: int = 1
    under_way: dict[int, Engagement] = field(default_factory=dict)
    spent: dict[str, int] = field(default_factory=dict)
    """Engagements ordered so far, by effector."""
    free_ns: dict[str, int] = field(default_factory=dict)
    """When each effector can take the next object."""
    targets: dict[int, Target] = field(default_factory=dict)
    killed_ns: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Need:
    """An object that must not arrive: the zone it threatens most, how likely and when."""

    track: int
    zone: int
    p_hit: float
    impact_ns: int


@dataclass(frozen=True)
class Chance:
    """What one effector could do about one object if it were ordered now."""

    effector: Effector
    object_enu_m: FloatArray
    """Where the object is now."""
    range_m: float
    p_kill: float
    intercept_ns: int


def pending(state: EngagementsState, now_ns: int) -> list[Engagement]:
    """The engagements whose effect has not come back, in their order."""
    return [e for e in state.under_way.values() if now_ns <= e.intercept_ns + NO_EFFECT_NS]


def threats_to_engagements(
    state: EngagementsState,
    threats: Threats,
    tracks: Tracks,
    effects: Sequence[Effect],
    now_ns: int,
    site: Site,
) -> tuple[Engagement, ...]:
    """The simulated engagements ordered at this tick.

    The most urgent object comes first and gets the effector with the best chance of kill; an object is engaged by one
    effector at a time, again after a miss. An effector waits for an object that is still out of its reach.
    """
    _take_effects(state, effects, now_ns)
    _remember(state, tracks, now_ns)
    if not site.effectors:
        return ()
    layout = layout_of(site)
    orders = []
    for need in _needs(state, threats, site):
        chance = _best(state, need, layout, now_ns, site)
        if chance is not None:
            orders.append(_order(state, need, chance, now_ns, site))
    return tuple(orders)


def _take_effects(state: EngagementsState, effects: Sequence[Effect], now_ns: int) -> None:
    for effect in effects:
        state.under_way.pop(effect.engagement, None)
        if effect.outcome == "kill":
            state.killed_ns[effect.track] = effect.time_ns
    state.under_way = {order.engagement: order for order in pending(state, now_ns)}
    state.killed_ns = {track: at for track, at in state.killed_ns.items() if at > now_ns - FORGET_NS}


def _remember(state: EngagementsState, tracks: Tracks, now_ns: int) -> None:
    for row in np.flatnonzero(tracks.status == CONFIRMED).tolist():
        ballistic, cls = bool(tracks.model[row] == BALLISTIC), int(tracks.cls[row])
        seen = Target(int(tracks.time_ns[row]), tracks.mean[row].copy(), ballistic, cls)
        state.targets[int(tracks.track[row])] = seen
    state.targets = {track: seen for track, seen in state.targets.items() if seen.time_ns > now_ns - FORGET_NS}


# ---- what must be engaged -------------------------------------------------------------------------------------------


def _needs(state: EngagementsState, threats: Threats, site: Site) -> list[Need]:
    """The objects that threaten a protected zone as much as an alert takes, the earliest impact first.

    Debris is left alone, as is what is being engaged or was destroyed.
    """
    busy = {order.track for order in state.under_way.values()} | set(state.killed_ns)
    worst: dict[int, Need] = {}
    columns = (threats.track, threats.zone, threats.p_hit, threats.impact_time_ns, threats.debris)
    for track, zone, p, impact_ns, debris in zip(*(c.tolist() for c in columns), strict=True):
        place = site.zones[zone]
        if debris or track in busy or track not in state.targets or not place.protected:
            continue
        if p >= site.policy.cost_of(place.kind).threshold and (track not in worst or p > worst[track].p_hit):
            worst[track] = Need(track, zone, p, impact_ns)
    return sorted(worst.values(), key=lambda need: (need.impact_ns, need.track))


# ---- who can --------------------------------------------------------------------------------------------------------


def _best(state: EngagementsState, need: Need, layout: Layout, now_ns: int, site: Site) -> Chance | None:
    """The best chance of kill that an order given now would have; None if no effector can, or all do better to wait."""
    ready = [
        (index, effector)
        for index, effector in enumerate(site.effectors)
        if _is_ready(state, effector, now_ns) and _protects(effector, site.zones[need.zone].id)
    ]
    if not ready:
        return None
    path = _path(state.targets[need.track], now_ns, need.impact_ns, layout)
    chances = [_chance(effector, layout.effector_enu_m[index], path, now_ns) for index, effector in ready]
    return max((c for c in chances if c is not None), key=lambda c: c.p_kill, default=None)


def _is_ready(state: EngagementsState, effector: Effector, now_ns: int) -> bool:
    return state.spent.get(effector.id, 0) < effector.magazine and state.free_ns.get(effector.id, 0) <= now_ns


def _protects(effector: Effector, zone: str) -> bool:
    return not effector.protects or zone in effector.protects


@cache
def _classes() -> tuple[Threat, ...]:
    return tuple(catalogue().values())


def _path(target: Target, now_ns: int, end_ns: int, layout: Layout) -> FloatArray:
    """Where the object will be, (n, 3), every STEP_S from now on until it is down or at its zone."""
    n = math.ceil(min(max((end_ns - now_ns) / SECOND_NS, 0.0), LOOK_AHEAD_S) / STEP_S)
    since_s = (now_ns - target.time_ns) / SECOND_NS
    if not target.ballistic:
        seconds = since_s + STEP_S * np.arange(n + 1)
        return target.mean[:3] + seconds[:, None] * target.mean[3:6]
    drag = _classes()[max(target.cls, 0)].drag
    start = fly(target.mean, since_s, 1, layout.env, layout.air, drag)[1]
    return fly(start, STEP_S, n, layout.env, layout.air, drag)[:, :3]


def _chance(effector: Effector, place_enu_m: FloatArray, path: FloatArray, now_ns: int) -> Chance | None:
    """What the effector would do if ordered now; None if it cannot reach the object so, or does better to wait."""
    range_m = np.sqrt(((path - place_enu_m) ** 2).sum(axis=1))
    meets = meetings(effector, range_m)
    p_kill = _p_kill(effector, path, range_m)[meets].tolist()
    if not p_kill or p_kill[0] < LEAST_KILL or not is_time(p_kill, meets, math.ceil(effector.burst_s / STEP_S)):
        return None
    at = meets[0]
    return Chance(effector, path[0], float(range_m[at]), p_kill[0], now_ns + math.ceil(STEP_S * at * SECOND_NS))


def meetings(effector: Effector, range_m: FloatArray) -> list[int]:
    """For an order given at each step of the path: the step at which the effector gets there no later than the object.

    The list ends where the effector comes too late for all that is left of the path.
    """
    steps = np.arange(len(range_m))
    ahead = steps - (effector.reaction_s + range_m / effector.flight_speed_mps) / STEP_S
    met = np.searchsorted(np.maximum.accumulate(ahead), steps)
    return [int(m) for m in met[met < len(range_m)]]


def _p_kill(effector: Effector, path: FloatArray, range_m: FloatArray) -> FloatArray:
    """The effector's chance of kill at each step (n,) of a path; none where it is out of reach or too low."""
    ranges, chances = np.array(effector.kill).T
    able = (range_m >= effector.min_range_m) & (range_m <= effector.reach_m) & (path[:, 2] >= LOWEST_BURST_M)
    return np.where(able, np.interp(range_m, ranges, chances), 0.0)


def is_time(p_kill: Sequence[float], meets: Sequence[int], burst: int) -> bool:
    """Whether ordering now kills at least as likely, follow-up engagements counted, as ordering at any later step.

    An engagement keeps its object until it is over, and its effector for `burst` steps. The chance of kill from a step
    on is the better of waiting a step and of engaging, with what follows a miss: solved backwards from the path's end.
    """
    after = [0.0] * (len(p_kill) + 1)
    engage = 0.0
    for step in range(len(p_kill) - 1, -1, -1):
        again = min(max(meets[step], step + burst), len(p_kill))
        engage = p_kill[step] + (1.0 - p_kill[step]) * after[again]
        after[step] = max(engage, after[step + 1])
    return engage >= after[0]


def _order(state: EngagementsState, need: Need, chance: Chance, now_ns: int, site: Site) -> Engagement:
    effector = chance.effector
    state.spent[effector.id] = state.spent.get(effector.id, 0) + 1
    state.free_ns[effector.id] = now_ns + round(effector.burst_s * SECOND_NS)
    order = Engagement(
        time_ns=now_ns,
        engagement=state.next_engagement,
        effector=effector.id,
        track=need.track,
        zone=site.zones[need.zone].id,
        range_m=chance.range_m,
        p_kill=chance.p_kill,
        intercept_ns=chance.intercept_ns,
        east_m=float(chance.object_enu_m[0]),
        north_m=float(chance.object_enu_m[1]),
        up_m=float(chance.object_enu_m[2]),
        reason=_why(state, need, chance, now_ns, site),
    )
    state.next_engagement += 1
    state.under_way[order.engagement] = order
    return order


def _why(state: EngagementsState, need: Need, chance: Chance, now_ns: int, site: Site) -> str:
    effector = chance.effector
    return (
        f"track {need.track} may hit {site.zones[need.zone].name} in {(need.impact_ns - now_ns) / SECOND_NS:.0f} s, "
        f"chance {need.p_hit:.2g}; {effector.id} meets it in {(chance.intercept_ns - now_ns) / SECOND_NS:.1f} s "
        f"at {chance.range_m / 1e3:.1f} km, chance of kill {chance.p_kill:.2f}; "
        f"{effector.magazine - state.spent[effector.id]} of {effector.magazine} left"
    )
