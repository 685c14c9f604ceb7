"""A plan: which candidates a budget should buy, what they are worth, and what other budgets would buy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from shapely import MultiPolygon

from opencram.errors import InputError
from opencram.physics.layout import layout_of
from opencram.physics.sound import delays_s, places_in
from opencram.planning.candidates import Candidates, Choice, cost_of, with_choice
from opencram.planning.choose import Problem, Sector, Solved, benefit_of
from opencram.planning.flights import Flights, flights_of
from opencram.planning.reckon import TYPICAL, area_of, leads_s, shots, weights_of
from opencram.site import Site
from opencram.tables import BoolArray, FloatArray

if TYPE_CHECKING:
    from opencram.drive.crank import Progress

GRID = 24
"""Launch points a side: the choice looks at shares of shots, and needs no map's detail."""
PLACES = 200
"""Each zone's people are looked at in about so many places."""
MOST_GROUPS, MOST_PARTS, SAME_S = 16, 5, 0.5
"""Groups into which a zone's shots and its places fall, and the spread (one sigma) at which a group is not cut any
more: the problem stays small, and what is told of a choice in the end is reckoned without groups."""
NEVER_S = 120.0
STEPS_OF_CURVE = 10


@dataclass(frozen=True)
class Point:
    """A budget of the trade-off curve, and what it buys; benefits are the mean useful seconds of a person."""

    budget: float
    cost: float
    benefit_s: float
    choice: Choice
    proved: bool


@dataclass(frozen=True)
class Next:
    """A candidate that was left out, and what it would add alone: useful seconds of a person, and per unit of cost."""

    id: str
    cost: float
    adds_s: float

    @property
    def per_unit(self) -> float:
        """Seconds for each unit of money."""
        return self.adds_s / self.cost if self.cost > 0.0 else np.inf


@dataclass(frozen=True, eq=False)
class ZoneGain:
    """Mean useful seconds of a zone's people, before and with the choice."""

    zone: str
    before_s: float
    with_s: float


@dataclass(frozen=True, eq=False)
class Plan:
    """What a budget should buy at a site."""

    site: Site
    candidates: Candidates
    budget: float
    chosen: Point
    curve: tuple[Point, ...]
    """By rising budget; the budget asked for is one of them."""
    after: tuple[Next, ...]
    """What the next money buys, the best for each unit first."""
    zones: tuple[ZoneGain, ...]
    before_s: float
    with_s: float
    """Mean useful seconds of a person with all that is there and chosen together, reckoned without steps."""
    result: Site


def make_plan(
    site: Site,
    candidates: Candidates,
    budget: float,
    classes: Sequence[str] = TYPICAL,
    within: float | MultiPolygon | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Choose among candidates under a budget; InputError where nothing can be had for it and nothing is there."""
    people = sum(zone.people for zone in site.zones)
    if not np.isfinite(budget):
        raise InputError(f"--budget: found {budget:g}, expected a number of 0 or more")
    if not people:
        raise InputError("zones: found no people in any zone, expected 'people' in the zones that count")
    tell = progress or (lambda _share, _what: None)
    flights = [flights_of(name, site.origin.height_m) for name in classes]
    launches = area_of(site, flights, GRID, within).points
    sectors = _sectors(site, candidates, flights, launches, tell)
    costs = [np.array([thing.cost for thing in things]) for things in (candidates.sensors, candidates.sirens)]
    problem = Problem(sectors, *costs)
    curve = _curve(problem, candidates, budget, people, tell)
    chosen = next(point for point in curve if point.budget == budget)
    result = with_choice(site, candidates, chosen.choice)
    if not result.sensors:
        raise InputError(_no_radar(candidates, budget))
    tell(0.95, "the choice, all together")
    before = _useful(with_choice(site, candidates, Choice()), flights, launches)
    after = _useful(result, flights, launches)
    heads = np.array([zone.people for zone in site.zones])
    gains = [ZoneGain(z.id, float(b), float(w)) for z, b, w in zip(site.zones, before, after, strict=True)]
    return Plan(
        site=site,
        candidates=candidates,
        budget=budget,
        chosen=chosen,
        curve=curve,
        after=_following(sectors, candidates, chosen.choice, people),
        zones=tuple(gains),
        before_s=float((heads * before).sum()) / people,
        with_s=float((heads * after).sum()) / people,
        result=result,
    )


def _no_radar(candidates: Candidates, budget: float) -> str:
    cheapest = min((s.cost for s in candidates.sensors), default=None)
    found = f"--budget: found {budget:g}, with which no radar is bought and the site's own are not kept"
    return f"{found}, expected " + ("a candidate among 'sensors'" if cheapest is None else f"{cheapest:g} or more")


# ---- what the choice goes by -------------------------------------------------------------------------------------


def _sectors(
    site: Site, candidates: Candidates, flights: Sequence[Flights], launches: FloatArray, tell: Progress
) -> list[Sector]:
    """Each zone's tables: a radar's column is that of what is there together with it."""
    there = [with_choice(site, candidates, Choice((i,), ())) for i in range(len(candidates.sensors))]
    there.append(with_choice(site, candidates, Choice()))
    every = with_choice(site, candidates, Choice((), tuple(range(len(candidates.sirens)))))
    sectors = []
    for z, zone in enumerate(site.zones):
        tell(0.6 * z / len(site.zones), f"what each radar would see of shots at {zone.id}")
        leads = [_leads(one, z, flights, launches) for one in there]
        lead_s, weights = np.column_stack([lead for lead, _ in leads]), leads[0][1]
        late_s, areas = _late(every, z, len(candidates.sirens))
        longest = zone.time_to_shelter_s + float(late_s[np.isfinite(late_s)].max(initial=0.0))
        lead_s, shares = alike(np.clip(lead_s, 0.0, longest), weights, MOST_GROUPS)
        late_s, parts = alike(late_s, areas, MOST_PARTS)
        sectors.append(Sector(float(zone.people), zone.time_to_shelter_s, lead_s, shares, late_s, parts))
    return sectors


def _leads(site: Site, zone: int, flights: Sequence[Flights], launches: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Seconds from a sound alarm to the impact of every shot at a zone, 0 where never, and the shots' weights."""
    told = [shots(site, zone, its, launches) for its in flights]
    every = np.concatenate(told, axis=1)
    weight = np.concatenate([weights_of(one) for one in told], axis=1)
    some = weight > 0.0
    lead: FloatArray = np.maximum(np.nan_to_num(leads_s(every)[some]), 0.0)
    return lead, weight[some]


def _late(site: Site, zone: int, bought: int) -> tuple[FloatArray, FloatArray]:
    """How late places of a zone hear each candidate siren, and the first of those there: (places, sirens + 1)."""
    at, area = places_in(layout_of(site).zone_shapes[zone], PLACES)
    serves = np.array([site.zones[zone].id in siren.zones for siren in site.sirens], bool)
    late = np.where(serves, delays_s(site, at), np.inf)
    own = len(site.sirens) - bought
    return np.column_stack([late[:, own:], late[:, :own].min(axis=1, initial=np.inf)]), area


def alike(rows: FloatArray, weights: FloatArray, most: int) -> tuple[FloatArray, FloatArray]:
    """At most so many groups of rows (n, k) that are alike: their weighted means (groups, k), and the share of each.

    All begin as one group; the one that spreads most, weighed, is cut at its mean in the column in which it does, until
    none spreads by more than SAME_S. inf stands for never, and never is far from any time.
    """
    values = np.where(np.isfinite(rows), rows, NEVER_S)
    group = np.zeros(len(rows), np.int64)
    for count in range(1, most + 1):
        total = np.bincount(group, weights, count)
        means = np.column_stack([np.bincount(group, weights * column, count) for column in values.T]) / total[:, None]
        if count == most:
            break
        off2 = (values - means[group]) ** 2 * weights[:, None]
        spread = np.column_stack([np.bincount(group, column, count) for column in off2.T])
        widest, column = divmod(int(np.argmax(spread)), values.shape[1])
        if spread[widest, column] <= SAME_S**2 * total[widest]:
            break
        group[(group == widest) & (values[:, column] > means[widest, column])] = count
    return np.where(means > 0.5 * NEVER_S, np.inf, means), total / total.sum()


# ---- what it comes to --------------------------------------------------------------------------------------------


def _curve(problem: Problem, candidates: Candidates, budget: float, people: int, tell: Progress) -> tuple[Point, ...]:
    """Budgets from nothing to twice what was asked for, or to all that there is, whichever is less."""
    everything = cost_of(candidates, _all_of(candidates))
    top = min(2.0 * budget, max(everything, budget)) if budget > 0.0 else everything
    budgets = sorted({*np.linspace(0.0, top, STEPS_OF_CURVE).tolist(), budget})
    points = []
    for i, money in enumerate(budgets):
        tell(0.6 + 0.35 * i / len(budgets), f"what {money:g} buys")
        solved = problem.best(money)
        points.append(_point(solved, money, candidates, people))
    return tuple(points)


def _point(solved: Solved, budget: float, candidates: Candidates, people: int) -> Point:
    cost = cost_of(candidates, solved.choice)
    return Point(budget, cost, solved.benefit / people, solved.choice, solved.proved)


def _all_of(candidates: Candidates) -> Choice:
    return Choice(tuple(range(len(candidates.sensors))), tuple(range(len(candidates.sirens))))


def _following(sectors: Sequence[Sector], candidates: Candidates, choice: Choice, people: int) -> tuple[Next, ...]:
    """Each candidate that was left out, by what it adds to the choice for each unit of money."""
    sensors, sirens = (_mask(n, rows) for n, rows in _sizes(candidates, choice))
    now = benefit_of(sectors, sensors, sirens)
    found = []
    for things, mask in ((candidates.sensors, sensors), (candidates.sirens, sirens)):
        for i in np.flatnonzero(~mask).tolist():
            mask[i] = True
            adds = (benefit_of(sectors, sensors, sirens) - now) / people
            mask[i] = False
            found.append(Next(things[i].id, things[i].cost, adds))
    return tuple(sorted(found, key=lambda one: (-one.per_unit, one.cost, one.id)))


def _sizes(candidates: Candidates, choice: Choice) -> tuple[tuple[int, tuple[int, ...]], ...]:
    return (len(candidates.sensors), choice.sensors), (len(candidates.sirens), choice.sirens)


def _mask(n: int, rows: Sequence[int]) -> BoolArray:
    mask = np.zeros(n, np.bool_)
    mask[np.array(rows, np.int64)] = True
    return mask


def _useful(site: Site, flights: Sequence[Flights], launches: FloatArray) -> FloatArray:
    """Mean useful seconds of each zone's people, (zones,), with all radars and sirens of the site at once."""
    means = []
    for z, zone in enumerate(site.zones):
        lead, weight = _leads(site, z, flights, launches)
        late, area = _late(site, z, 0)
        first = late[:, -1]
        heard = np.isfinite(first)
        left = np.clip(lead[:, None] - np.where(heard, first, 0.0), 0.0, zone.time_to_shelter_s) * heard
        share = weight / max(float(weight.sum()), 1e-9)
        means.append(float((share[:, None] * left * (area / area.sum())).sum()))
    return np.array(means)
