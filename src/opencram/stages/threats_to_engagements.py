"""Threats -> engagements: which simulated effector takes what, and why the rest is left.

This stage exists only where every input comes from the simulated world. An effector is a reach, a reaction time, a
rate, a chance of kill against range and a magazine; an engagement says which object it takes and when that would be
over, for the world to draw what comes of it. There is no output for hardware, by design.

The stage is not told what the world has drawn. Whether an object is gone or flies on it tells from the tracks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from opencram.defence import assessment
from opencram.defence.assessment import REVISED_NS, Watch, judge, look
from opencram.defence.assignment import RULES, Shot
from opencram.defence.debris import people_at_risk
from opencram.defence.planning import Need, Prospect, Stock, Why, prospect_of, why_not
from opencram.defence.windows import STEP_S, Target
from opencram.physics.layout import Layout, layout_of
from opencram.site import Site, Zone
from opencram.tables import (
    BALLISTIC,
    CONFIRMED,
    DefenceNote,
    Engagement,
    FloatArray,
    IntArray,
    Threats,
    Tracks,
)

DECIDE_NS = 250_000_000
"""Orders are given this often at most."""
NO_EFFECT_NS = 5_000_000_000
"""So long after its end an engagement may still have an effect."""
FORGET_NS = 600_000_000_000
SECOND_NS = 1_000_000_000


@dataclass
class EngagementsState:
    """What the stage keeps between ticks."""

    next_engagement: int = 1
    under_way: dict[int, Engagement] = field(default_factory=dict)
    """Engagements of which nobody can tell yet what came of them."""
    ended: dict[int, Engagement] = field(default_factory=dict)
    """Engagements that are judged and whose effect may still come."""
    spent: dict[str, int] = field(default_factory=dict)
    """Taken from each effector's magazine since it was full."""
    free_ns: dict[str, int] = field(default_factory=dict)
    """When each effector can take the next object."""
    met: dict[str, FloatArray] = field(default_factory=dict)
    """Where each effector last meets something."""
    targets: dict[int, Target] = field(default_factory=dict)
    needs: dict[int, Need] = field(default_factory=dict)
    """By track that is or was engaged, as of before the intercept."""
    watches: dict[int, Watch] = field(default_factory=dict)
    """By track: its last engagement that is over."""
    decided_ns: int = 0
    noted: dict[int, str] = field(default_factory=dict)
    """By track: why it is not engaged, as last told."""


def pending(state: EngagementsState, now_ns: int) -> list[Engagement]:
    """The engagements whose effect may still come, in their order."""
    orders = {**state.under_way, **state.ended}
    return [orders[n] for n in sorted(orders) if now_ns <= orders[n].intercept_ns + NO_EFFECT_NS]


def threats_to_engagements(
    state: EngagementsState, threats: Threats, tracks: Tracks, now_ns: int, site: Site
) -> tuple[tuple[Engagement, ...], tuple[DefenceNote, ...]]:
    """The simulated engagements ordered at this tick, and what is made of those that are over and of all other objects.

    An object is engaged by one effector at a time, again when it is seen to fly on. Which one and when is planned for
    all objects together (`policy.assignment`: horizon), or the most urgent object comes first and gets the effector
    with the best chance of kill (greedy).
    """
    layout = layout_of(site)
    _watch(state, now_ns)
    _look(state, tracks, layout)
    _remember(state, tracks, now_ns)
    notes = _judge(state, now_ns, layout)
    if not site.effectors or now_ns - state.decided_ns < DECIDE_NS:
        return (), tuple(notes)
    state.decided_ns = now_ns
    needs, spared = _needs(state, threats, now_ns, site)
    orders, reasons = _decide(state, needs, now_ns, site) if needs else ([], {})
    return tuple(orders), (*notes, *_tell(state, {**spared, **reasons}, now_ns))


# ---- what came of it ------------------------------------------------------------------------------------------------


def _watch(state: EngagementsState, now_ns: int) -> None:
    """From its intercept on an object is watched, from how it flew before."""
    for order in state.under_way.values():
        known = state.watches.get(order.track)
        if now_ns >= order.intercept_ns and (known is None or known.engagement != order.engagement):
            reference = state.targets[order.track]
            last_ns = max(order.intercept_ns, reference.time_ns)
            state.watches[order.track] = Watch(order.engagement, order.track, order.intercept_ns, reference, last_ns)


def _look(state: EngagementsState, tracks: Tracks, layout: Layout) -> None:
    for row in np.flatnonzero(np.isin(tracks.track, list(state.watches)) & (tracks.plot >= 0)).tolist():
        watch = state.watches[int(tracks.track[row])]
        look(watch, int(tracks.time_ns[row]), tracks.mean[row], tracks.cov[row], layout)


def _judge(state: EngagementsState, now_ns: int, layout: Layout) -> list[DefenceNote]:
    """What can be told now of engagements that are over; what was taken for dead may be seen alive for a while."""
    notes = []
    for watch in list(state.watches.values()):
        verdict = judge(watch, now_ns, layout) if watch.verdict != "flies on" else ""
        if verdict and verdict != watch.verdict and not (watch.verdict and verdict == "lost"):
            watch.verdict = verdict
            order = state.under_way.pop(watch.engagement, None)
            if order is not None:
                state.ended[watch.engagement] = order
            why = assessment.why(watch)
            notes.append(
                DefenceNote(time_ns=now_ns, track=watch.track, kind=verdict, reason=why, engagement=watch.engagement)
            )
    state.ended = {n: order for n, order in state.ended.items() if now_ns <= order.intercept_ns + NO_EFFECT_NS}
    return notes


def _remember(state: EngagementsState, tracks: Tracks, now_ns: int) -> None:
    for row in np.flatnonzero((tracks.status == CONFIRMED) & (tracks.plot >= 0)).tolist():
        track, time_ns = int(tracks.track[row]), int(tracks.time_ns[row])
        before = state.targets.get(track)
        gap_ns = 0 if before is None else max(time_ns - before.time_ns, before.gap_ns * 9 // 10)
        ballistic, cls = bool(tracks.model[row] == BALLISTIC), int(tracks.cls[row])
        mean, cov = tracks.mean[row].copy(), tracks.cov[row].copy()
        state.targets[track] = Target(time_ns, mean, cov, ballistic, cls, gap_ns)
    state.targets = {track: seen for track, seen in state.targets.items() if seen.time_ns > now_ns - FORGET_NS}
    state.needs = {track: need for track, need in state.needs.items() if track in state.targets}
    state.watches = {track: w for track, w in state.watches.items() if now_ns <= w.intercept_ns + REVISED_NS}


# ---- what must be engaged -------------------------------------------------------------------------------------------


def _needs(state: EngagementsState, threats: Threats, now_ns: int, site: Site) -> tuple[list[Need], dict[int, Why]]:
    """The objects that threaten a protected zone as much as an alert takes, the earliest impact first.

    Debris is left alone. An object that was engaged stands as it stood before the intercept until it has been judged:
    what becomes of its threat afterwards is not looked at. And why each of the others is spared: kind, zone, words.
    """
    needs: dict[int, Need] = {}
    spared = {}
    engaged = {order.track for order in state.under_way.values()} | set(state.watches)
    for track in np.unique(threats.track[~threats.debris]).tolist():
        if track in state.targets:
            rows = np.flatnonzero((threats.track == track) & ~threats.debris)
            need, why = _need(track, threats, rows, site)
            if need is not None and track not in engaged:
                needs[track] = state.needs[track] = need
            elif track not in engaged:
                spared[track] = why
    for track in sorted(engaged):
        if track in state.needs and _may_be_engaged(state, track) and state.needs[track].impact_ns > now_ns:
            needs[track] = state.needs[track]
    return sorted(needs.values(), key=lambda need: (need.impact_ns, need.track)), spared


def _may_be_engaged(state: EngagementsState, track: int) -> bool:
    """Whether what was engaged is known to fly on, or nobody can tell."""
    watch = state.watches.get(track)
    busy = any(order.track == track for order in state.under_way.values())
    return not busy and watch is not None and watch.verdict in ("flies on", "lost")


def _need(track: int, threats: Threats, rows: IntArray, site: Site) -> tuple[Need | None, Why]:
    """What an object's threats come to, or why it is spared."""
    zones = [site.zones[z] for z in threats.zone[rows].tolist()]
    p_hit = threats.p_hit[rows]
    protected = np.array([zone.protected for zone in zones])
    if not protected.any():
        first = zones[int(np.argmax(p_hit))]
        return None, Why("unprotected", first.id, f"it threatens {first.name}, which is not protected")
    alert = np.array([_threshold(zone, site) for zone in zones])
    enough = protected & (p_hit >= alert)
    if not enough.any():
        best = int(np.argmax(np.where(protected, p_hit / alert, -1.0)))
        why = f"chance of hitting {zones[best].name} {p_hit[best]:.2g}, below {alert[best]:.2g}"
        return None, Why("unlikely", zones[best].id, why)
    at_risk = people_at_risk(site, int(threats.cls[rows[0]]))[threats.zone[rows]]
    harm = p_hit * (1.0 + at_risk) * np.array([1.0 / _threshold(zone, site) - 1.0 for zone in zones])
    row = int(np.argmax(np.where(enough, p_hit, -1.0)))
    return Need(
        track,
        int(threats.zone[rows[row]]),
        float(p_hit[row]),
        int(threats.impact_time_ns[rows[row]]),
        float(harm[protected].sum()),
        float((p_hit * (at_risk + protected)).sum()),
    ), Why("", "", "")


def _threshold(zone: Zone, site: Site) -> float:
    return site.policy.cost_of(zone.kind).threshold


# ---- what is ordered ------------------------------------------------------------------------------------------------


def _decide(
    state: EngagementsState, needs: Sequence[Need], now_ns: int, site: Site
) -> tuple[list[Engagement], dict[int, Why]]:
    """The orders of this moment, and why each other object gets none."""
    stocks = _stocks(state, site)
    prospect = prospect_of(needs, state.targets, stocks, now_ns, site)
    shots = prospect.task.shots
    plan: Sequence[Shot] = RULES[site.policy.assignment](prospect.task) if any(s.slot == 0 for s in shots) else shots
    now = sorted((shot for shot in plan if shot.slot == 0), key=lambda shot: shot.target)
    orders = [_order(state, shot, prospect, site) for shot in now]
    held = sorted(set(range(len(needs))) - {shot.target for shot in now})
    return orders, {needs[i].track: why_not(i, prospect, plan, stocks, site) for i in held}


def _stocks(state: EngagementsState, site: Site) -> list[Stock]:
    return [
        Stock(e.magazine - state.spent.get(e.id, 0), state.free_ns.get(e.id, 0), state.met.get(e.id))
        for e in site.effectors
    ]


def _order(state: EngagementsState, shot: Shot, prospect: Prospect, site: Site) -> Engagement:
    window, path, need = prospect.window(shot), prospect.paths[shot.target], prospect.needs[shot.target]
    effector, step, now_ns = site.effectors[shot.effector], window.meets[0], prospect.now_ns
    spent = state.spent.get(effector.id, 0) + effector.salvo
    left = effector.magazine - spent
    state.spent[effector.id] = spent
    state.free_ns[effector.id] = now_ns + round(effector.burst_s * SECOND_NS)
    if left < effector.salvo and effector.reload_s is not None:
        state.spent[effector.id] = 0
        state.free_ns[effector.id] += round(effector.reload_s * SECOND_NS)
    state.met[effector.id] = path.pos_enu_m[step].copy()
    meets_s, east_north_up = step * STEP_S, path.pos_enu_m[0].tolist()
    order = Engagement(
        time_ns=now_ns,
        engagement=state.next_engagement,
        effector=effector.id,
        track=need.track,
        zone=site.zones[need.zone].id,
        range_m=float(window.range_m[step]),
        p_kill=shot.p_kill,
        intercept_ns=now_ns + round(meets_s * SECOND_NS),
        east_m=east_north_up[0],
        north_m=east_north_up[1],
        up_m=east_north_up[2],
        reason=f"track {need.track} may hit {site.zones[need.zone].name} in "
        f"{(need.impact_ns - now_ns) / SECOND_NS:.0f} s, chance {need.p_hit:.2g}; {effector.id} meets it in "
        f"{meets_s:.1f} s at {window.range_m[step] / 1e3:.1f} km, chance of kill {shot.p_kill:.2f}; "
        f"{left} of {effector.magazine} left",
    )
    state.next_engagement += 1
    state.under_way[order.engagement] = order
    state.watches.pop(need.track, None)
    state.noted.pop(need.track, None)
    return order


# ---- why nothing is ordered -----------------------------------------------------------------------------------------


def _tell(state: EngagementsState, reasons: Mapping[int, Why], now_ns: int) -> list[DefenceNote]:
    """Why objects are not engaged, where that has changed since it was last told."""
    notes = []
    for track, why in sorted(reasons.items()):
        if state.noted.get(track) != why.kind:
            state.noted[track] = why.kind
            notes.append(DefenceNote(time_ns=now_ns, track=track, kind=why.kind, reason=why.reason, zone=why.zone))
    state.noted = {track: kind for track, kind in state.noted.items() if track in state.targets}
    return notes
