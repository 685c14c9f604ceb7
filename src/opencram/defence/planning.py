"""From objects that must not arrive to the shots that could be taken at them, and in words why one is not taken."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from opencram.defence.assessment import LOOK_NS
from opencram.defence.assignment import Shot, Task
from opencram.defence.debris import people_under_debris, people_under_rounds
from opencram.defence.windows import (
    STEP_S,
    Path,
    Target,
    forbidden,
    mean_chance,
    meetings,
    path_of,
    share_against,
    steps_until,
    turning_s,
)
from opencram.physics.layout import Layout, layout_of
from opencram.site import Effector, Site
from opencram.tables import FloatArray

LEAST_KILL = 0.1
SLOT_STEPS = 4
"""The plan's slots in steps of the path, and how many there are."""
SLOTS = 20
SLOT_S = SLOT_STEPS * STEP_S
MOST_EACH, MOST_SHOTS = 5, 80
"""A plan weighs so many shots of one effector at one object, spread over its window, and so many in all: those at the
most urgent objects; the others come with a later decision."""
SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Need:
    """An object that must not arrive: the zone it threatens most, how likely and when, and what that would cost."""

    track: int
    zone: int
    p_hit: float
    impact_ns: int
    worth: float
    """Told in needless alarms, as the policy's costs are: of all protected zones, by the people within its hazard;"""
    people: float
    """and the people expected within its hazard in all zones, a protected one counting for one more."""


class Stock(NamedTuple):
    """What an effector has at hand."""

    left: int
    free_ns: int
    """When it can take the next object."""
    met_enu_m: FloatArray | None
    """Where it last meets something."""


class Why(NamedTuple):
    """Why an object is not engaged: one of DEFENCE_NOTES, the zone, and words."""

    kind: str
    zone: str
    reason: str


@dataclass(frozen=True, eq=False)
class Window:
    """What one effector could do about one object."""

    need: int
    effector: int
    range_m: FloatArray
    """At each step of the object's path (n,);"""
    p_kill: FloatArray
    """the chance of kill if it is met there, (n,), 0 in a no-fire sector;"""
    meets: list[int]
    """and at which step it is met if that is ordered at each; ends where it is too late."""
    barred: bool
    """Whether it could be met, were it not for the no-fire sectors."""

    def best(self) -> float:
        """The best chance of kill of all steps at which it could be ordered."""
        return float(self.p_kill[self.meets].max()) if self.meets else 0.0


@dataclass(frozen=True, eq=False)
class Prospect:
    """All that could be done at a moment."""

    now_ns: int
    needs: Sequence[Need]
    paths: Sequence[Path]
    windows: Mapping[tuple[int, int], Window]
    """By need and effector, of those that may take it."""
    task: Task
    left_out: frozenset[int]
    """Needs for which the plan has no room,"""
    over_people: frozenset[int]
    """and those that could be engaged now, but for the debris."""

    def window(self, shot: Shot) -> Window:
        """Whose shot it is."""
        return self.windows[shot.target, shot.effector]


def prospect_of(
    needs: Sequence[Need], targets: Mapping[int, Target], stocks: Sequence[Stock], now_ns: int, site: Site
) -> Prospect:
    """What each effector could do about each object from now on; `needs` are the most urgent first."""
    layout = layout_of(site)
    own = [targets[need.track] for need in needs]
    paths = [
        path_of(target, now_ns, steps_until(now_ns, need.impact_ns), layout)
        for target, need in zip(own, needs, strict=True)
    ]
    windows = {
        (i, e): _window((i, e), effector, stocks[e], paths[i], share_against(effector, own[i].cls), layout)
        for i, need in enumerate(needs)
        for e, effector in enumerate(site.effectors)
        if not effector.protects or site.zones[need.zone].id in effector.protects
    }
    shots = [shot for w in windows.values() for shot in _shots(w, stocks[w.effector], now_ns, site)]
    over = {
        shot
        for shot in shots
        if shot.slot == 0 and _endangers(shot, needs[shot.target], paths[shot.target], windows, site)
    }
    shots = [shot for shot in shots if shot not in over]
    kept, left_out = _within_limit(shots)
    task = Task(tuple(kept), tuple(need.worth for need in needs), tuple(stock.left for stock in stocks))
    return Prospect(now_ns, needs, paths, windows, task, left_out, frozenset(shot.target for shot in over))


def _window(
    pair: tuple[int, int], effector: Effector, stock: Stock, path: Path, share: float, layout: Layout
) -> Window:
    place = layout.effector_enu_m[pair[1]]
    range_m = np.sqrt(((path.pos_enu_m - place) ** 2).sum(axis=1))
    meets = meetings(effector, range_m, turning_s(effector, place, stock.met_enu_m, path))
    p_kill = mean_chance(effector, place, path, share)
    allowed = np.where(forbidden(effector.no_fire, place, path.pos_enu_m), 0.0, p_kill)
    barred = bool(meets) and bool((allowed[meets] < p_kill[meets]).any()) and float(p_kill[meets].max()) >= LEAST_KILL
    return Window(*pair, range_m, allowed, meets, barred)


def _shots(window: Window, stock: Stock, now_ns: int, site: Site) -> list[Shot]:
    """What could be ordered in each slot."""
    effector = site.effectors[window.effector]
    if stock.left < effector.salvo:
        return []
    free = math.ceil(max(stock.free_ns - now_ns, 0) / (SLOT_S * SECOND_NS))
    shots = []
    for slot in range(free, SLOTS):
        step = slot * SLOT_STEPS
        if step >= len(window.meets):
            break
        p_kill = float(window.p_kill[window.meets[step]])
        if p_kill >= LEAST_KILL:
            until_s = (window.meets[step] - step) * STEP_S + LOOK_NS / SECOND_NS
            shots.append(
                Shot(
                    window.need,
                    window.effector,
                    slot,
                    p_kill,
                    busy=max(1, math.ceil(effector.burst_s / SLOT_S)),
                    looks=max(1, math.ceil(until_s / SLOT_S)),
                    uses=effector.salvo,
                    cost=site.policy.thrift * effector.cost * effector.salvo,
                )
            )
    last = len(shots) - 1
    return [shots[round(i * last / (MOST_EACH - 1))] for i in range(MOST_EACH)] if last >= MOST_EACH else shots


def _endangers(shot: Shot, need: Need, path: Path, windows: Mapping[tuple[int, int], Window], site: Site) -> bool:
    """Whether an engagement ordered now puts more people under its debris than the policy allows for the hit."""
    ratio = site.policy.debris_ratio
    if ratio is None:
        return False
    window = windows[shot.target, shot.effector]
    return people_under(shot, window.meets[0], path, site) > ratio * need.people


def people_under(shot: Shot, step: int, path: Path, site: Site) -> float:
    """People expected under what an engagement at a step of a path lets fall, for each kill."""
    effector = site.effectors[shot.effector]
    place, before = layout_of(site).effector_enu_m[shot.effector], max(step - 1, 0)
    after = min(before + 1, len(path) - 1)
    speed = (path.pos_enu_m[after] - path.pos_enu_m[before]) / STEP_S
    burst = np.concatenate([path.pos_enu_m[step], speed])
    duds = people_under_rounds(effector, place, path.pos_enu_m[step], site)
    return people_under_debris(burst, effector.debris_pieces, site) + duds / shot.p_kill


def _within_limit(shots: Sequence[Shot]) -> tuple[list[Shot], frozenset[int]]:
    """The shots at the most urgent objects, as many as there is room for, and the objects left out."""
    counts: dict[int, int] = {}
    for shot in shots:
        counts[shot.target] = counts.get(shot.target, 0) + 1
    room, kept = MOST_SHOTS, set()
    for target in sorted(counts):
        room -= counts[target]
        if room < 0:
            break
        kept.add(target)
    return [shot for shot in shots if shot.target in kept], frozenset(counts) - kept


# ---- why not --------------------------------------------------------------------------------------------------------


def why_not(index: int, prospect: Prospect, plan: Sequence[Shot], stocks: Sequence[Stock], site: Site) -> Why:
    """Why need number `index` gets no order now."""
    kind, reason = _why_not(index, prospect, plan, stocks, site)
    return Why(kind, site.zones[prospect.needs[index].zone].id, reason)


def _why_not(
    index: int, prospect: Prospect, plan: Sequence[Shot], stocks: Sequence[Stock], site: Site
) -> tuple[str, str]:
    need, shots = prospect.needs[index], [s for s in prospect.task.shots if s.target == index]
    if index in prospect.left_out:
        return "saturated", f"a plan weighs {MOST_SHOTS} shots at most, and more urgent objects have them"
    later = min((s.slot for s in plan if s.target == index), default=-1)
    if later >= 0:
        return "waits", "there will be a better moment"
    if shots and all(need.worth * s.p_kill <= s.cost for s in shots):
        return "thrift", f"what it may hit is worth {need.worth:.2g} needless alarms, less than the ammunition"
    if shots:
        return "saturated", "the batteries that reach it take other objects"
    if index in prospect.over_people:
        return "debris", f"its debris would endanger more people than the {need.people:.2g} that its hit may"
    own = [window for window in prospect.windows.values() if window.need == index]
    able = [w for w in own if w.best() >= LEAST_KILL]
    if able and all(stocks[w.effector].left < site.effectors[w.effector].salvo for w in able):
        return "empty", "no battery that reaches it has anything left"
    if able:
        return "saturated", "the batteries that reach it are busy until it is too late"
    if any(w.barred for w in own):
        return "no-fire", "it is met in a no-fire sector only"
    best = max((w.best() for w in own), default=0.0)
    return "out of reach", f"no battery still meets it with a chance of kill of {LEAST_KILL:g}: {best:.2g} at best"
