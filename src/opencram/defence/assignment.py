"""Which battery takes which object when: a plan over the seconds to come, and the greedy rule that it is measured by.

Time runs in slots from now on. A shot is an engagement of one object by one battery, ordered in one slot; an object is
engaged by one battery at a time, so that what came of it can be looked at before the next (shoot, look, shoot).
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from opencram.defence.windows import is_time

MOST_CHANCE = 0.999
EARLIER = 1e-3
"""Share of what a shot saves that a slot's delay costs: of plans worth about the same the earlier is taken, or each new
plan could put off what the last one did."""
CUTS_AT = (0.0, 0.3, 0.7, 1.2, 2.2)
"""Sums of -ln(1 - p) where the worth of a plan is first bounded by a tangent."""
ROUNDS = 2
CLOSE, GAP = 1e-2, 1e-3
"""A plan is good enough when it is this near to its own bound, as a share of it; and how near the solver comes."""
MOST_NODES = 50
"""Of the search tree: a count, not a time, so that a run repeats."""


@dataclass(frozen=True)
class Shot:
    """One engagement that could be ordered."""

    target: int
    effector: int
    slot: int
    p_kill: float
    busy: int
    """Slots for which it occupies its effector,"""
    looks: int
    """and its object until what came of it has been seen."""
    uses: int = 1
    """What it takes of the magazine,"""
    cost: float = 0.0
    """and what that costs, told in what `worth` is told in."""


@dataclass(frozen=True)
class Task:
    """What is to be shared out; targets are numbered by urgency, the most urgent first."""

    shots: tuple[Shot, ...]
    worth: tuple[float, ...]
    """What it saves if a target is killed, (targets,);"""
    left: tuple[int, ...]
    """what is left in the effectors' magazines, (effectors,)."""


def value(task: Task, plan: Iterable[Shot]) -> float:
    """What a plan saves on average, less what it costs; shots at one object miss independently."""
    alive = [1.0] * len(task.worth)
    cost = 0.0
    for shot in plan:
        alive[shot.target] *= 1.0 - shot.p_kill
        cost += shot.cost
    return sum(w * (1.0 - a) for w, a in zip(task.worth, alive, strict=True)) - cost


# ---- the greedy rule ------------------------------------------------------------------------------------------------


def greedy(task: Task) -> list[Shot]:
    """Slot by slot, the most urgent object first, with the best chance of all that are ready then and need not wait."""
    slots = 1 + max((shot.slot for shot in task.shots), default=-1)
    timely = _timely(task, slots)
    free_at, look_at, left = [0] * len(task.left), [0] * len(task.worth), list(task.left)
    plan = []
    for slot in range(slots):
        for target in range(len(task.worth)):
            able = [
                shot
                for shot in timely.get((target, slot), ())
                if look_at[target] <= slot and free_at[shot.effector] <= slot and left[shot.effector] >= shot.uses
            ]
            if able:
                best = max(able, key=lambda shot: (shot.p_kill, -shot.effector))
                plan.append(best)
                free_at[best.effector], look_at[target] = slot + best.busy, slot + best.looks
                left[best.effector] -= best.uses
    return plan


def _timely(task: Task, slots: int) -> dict[tuple[int, int], list[Shot]]:
    """By target and slot: the shots that save more than they cost and that do no better to wait."""
    rows: dict[tuple[int, int], dict[int, Shot]] = {}
    for shot in task.shots:
        rows.setdefault((shot.target, shot.effector), {})[shot.slot] = shot
    found: dict[tuple[int, int], list[Shot]] = {}
    for (target, _), row in rows.items():
        chances = [row[k].p_kill if k in row else 0.0 for k in range(slots)]
        for slot, shot in row.items():
            meets = [k - slot + (row[k].looks if k in row else 1) for k in range(slot, slots)]
            pays = task.worth[target] * shot.p_kill > shot.cost
            if pays and is_time(chances[slot:], meets, shot.busy):
                found.setdefault((target, slot), []).append(shot)
    return found


# ---- planned ahead --------------------------------------------------------------------------------------------------


def horizon(task: Task) -> list[Shot]:
    """The plan that saves most on average: a mixed-integer programme, solved by HiGHS.

    Each shot is taken or not; what an object's kill is worth grows with the sum s of -ln(1 - p) as 1 - exp(-s), which
    is concave, so that tangents bound it from above. After each solution tangents are added where it stands (Kelley
    1960), until bound and value agree. The greedy plan is taken where that is worth as much, so that none is worse.
    """
    fallback = greedy(task)
    best, most = fallback, value(task, fallback)
    if not task.shots:
        return fallback
    cuts = [(target, at) for target in sorted({s.target for s in task.shots}) for at in CUTS_AT]
    for _ in range(ROUNDS):
        solved = _solve(task, cuts)
        if solved is None:
            return best
        plan, bound = solved
        worth = value(task, plan)
        if worth > most + 1e-9:
            best, most = plan, worth
        if bound - worth <= CLOSE * max(abs(bound), 1e-9):
            return best
        cuts += _tangents(plan)
    return best


def _tangents(plan: Sequence[Shot]) -> list[tuple[int, float]]:
    sums: dict[int, float] = {}
    for shot in plan:
        sums[shot.target] = sums.get(shot.target, 0.0) + _weight(shot)
    return sorted(sums.items())


def _weight(shot: Shot) -> float:
    return -math.log(1.0 - min(shot.p_kill, MOST_CHANCE))


def _solve(task: Task, cuts: Sequence[tuple[int, float]]) -> tuple[list[Shot], float] | None:
    """The best plan under these tangents, and what they bound it by; None if the search ends without one."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import csr_array

    n, m = len(task.shots), len(task.worth)
    rows = [*_one_at_a_time(task), *_magazines(task), *_bounds(task, cuts)]
    data = [(r, c, a) for r, (row, _) in enumerate(rows) for c, a in row]
    r, c, a = (np.array(column) for column in zip(*data, strict=True))
    matrix = csr_array((a, (r, c)), shape=(len(rows), n + m))
    late = [EARLIER * task.worth[shot.target] * shot.p_kill * shot.slot for shot in task.shots]
    cost = np.array([shot.cost + delay for shot, delay in zip(task.shots, late, strict=True)])
    found = milp(
        np.concatenate([cost, -np.array(task.worth)]),
        integrality=np.concatenate([np.ones(n), np.zeros(m)]),
        bounds=Bounds(np.zeros(n + m), np.ones(n + m)),
        constraints=LinearConstraint(matrix, -np.inf, np.array([most for _, most in rows])),
        options={"node_limit": MOST_NODES, "mip_rel_gap": GAP},
    )
    if found.x is None:
        return None
    plan = [shot for shot, x in zip(task.shots, found.x[:n].tolist(), strict=True) if x > 0.5]
    return plan, -float(found.fun)


Row = tuple[list[tuple[int, float]], float]
"""Columns with their factors, and what their sum may come to at most."""


def _one_at_a_time(task: Task) -> list[Row]:
    """In each slot an effector serves one engagement, and an object is engaged by one effector."""
    cells: dict[tuple[str, int, int], list[tuple[int, float]]] = {}
    for column, shot in enumerate(task.shots):
        for k in range(shot.slot, shot.slot + shot.busy):
            cells.setdefault(("effector", shot.effector, k), []).append((column, 1.0))
        for k in range(shot.slot, shot.slot + shot.looks):
            cells.setdefault(("target", shot.target, k), []).append((column, 1.0))
    return [(row, 1.0) for _, row in sorted(cells.items()) if len(row) > 1]


def _magazines(task: Task) -> list[Row]:
    rows: dict[int, list[tuple[int, float]]] = {}
    for column, shot in enumerate(task.shots):
        rows.setdefault(shot.effector, []).append((column, float(shot.uses)))
    return [(row, float(task.left[effector])) for effector, row in sorted(rows.items())]


def _bounds(task: Task, cuts: Sequence[tuple[int, float]]) -> list[Row]:
    """The tangent at s: what is saved of a target is at most 1 - exp(-s) + exp(-s) (its sum - s)."""
    own: dict[int, list[tuple[int, float]]] = {}
    for column, shot in enumerate(task.shots):
        own.setdefault(shot.target, []).append((column, _weight(shot)))
    rows = []
    for target, at in cuts:
        slope = math.exp(-at)
        row = [(len(task.shots) + target, 1.0), *((column, -slope * w) for column, w in own[target])]
        rows.append((row, 1.0 - slope - slope * at))
    without = sorted(set(range(len(task.worth))) - set(own))
    return rows + [([(len(task.shots) + target, 1.0)], 0.0) for target in without]


RULES = {"horizon": horizon, "greedy": greedy}
"""By the policy's `assignment`."""
