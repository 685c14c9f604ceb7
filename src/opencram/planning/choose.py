"""Which radars and sirens to buy: the people-weighted warning time as a maximum coverage problem, solved exactly.

Benefit: over all zones, people times the mean over the shots of the seconds of warning they get, from 0 up to their
time to shelter (more is of no use). It is reckoned in parts: a zone's people by what they hear of which sirens, its
shots by when which radar would have them. Each part and shot is credited to the best pair of one radar and one siren.

    maximise  sum w x   subject to  sum over pairs of x <= 1 for each part and shot,
                                    sum over its pairs of x <= y for each radar, and for each siren,
                                    cost . y <= budget,  y in {0, 1},  x >= 0

by HiGHS (SciPy's `milp`). Church and ReVelle, The maximal covering location problem, 1974.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from opencram.errors import RunError
from opencram.planning.candidates import Choice
from opencram.tables import BoolArray, FloatArray, IntArray

GAP = 1e-6
LONGEST_SOLVE_S = 60.0
"""A solver that has not proved its best by then is stopped, and the result is said not to be proved."""
LEAST_GAIN = 1e-9


@dataclass(frozen=True, eq=False)
class Sector:
    """A zone as the choice sees it; the last column of both tables is what is there anyway, before anything is bought.

    `lead_s` (groups, sensors + 1): seconds from a sound alarm to the impact, of groups of shots, by radar; 0: never.
    `late_s` (parts, sirens + 1): how late each part of its people hears a siren; inf where it does not.
    """

    people: float
    shelter_s: float
    lead_s: FloatArray
    shots: FloatArray
    """(groups,): the share of the shots that each is."""
    late_s: FloatArray
    shares: FloatArray
    """(parts,): the share of the people that each is."""

    def gained_s(self) -> FloatArray:
        """Useful seconds of each part of each shot by each pair: (parts, groups, sirens + 1, sensors + 1)."""
        left = self.lead_s[None, :, None, :] - self.late_s[:, None, :, None]
        gained: FloatArray = np.clip(left, 0.0, self.shelter_s)
        return gained

    def weight(self) -> FloatArray:
        """People times share of the shots, (parts, groups)."""
        weight: FloatArray = self.people * self.shares[:, None] * self.shots
        return weight


@dataclass(frozen=True)
class Solved:
    """A choice, its benefit (person-seconds) as the choice reckons it, and whether it is proved to be the best."""

    choice: Choice
    benefit: float
    proved: bool


def benefit_of(sectors: Sequence[Sector], sensors: BoolArray, sirens: BoolArray) -> float:
    """Person-seconds of a set of candidates, masks over the tables' columns but the last."""
    total = 0.0
    for sector in sectors:
        gained = sector.gained_s()[:, :, np.append(sirens, True)][..., np.append(sensors, True)]
        total += float((sector.weight() * gained.max(axis=(2, 3))).sum())
    return total


class Problem:
    """All but the budget, set up once: the candidates come first among the variables, radars before sirens."""

    def __init__(self, sectors: Sequence[Sector], sensor_costs: FloatArray, siren_costs: FloatArray) -> None:
        self.sectors = sectors
        self._sensors, self._sirens = len(sensor_costs), len(siren_costs)
        self._costs = np.concatenate([sensor_costs, siren_costs])
        pairs = [_pairs(sector) for sector in sectors]
        # parts and shots are numbered through all sectors, so that no two sectors share a row
        first = np.cumsum([0, *(sector.weight().size for sector in sectors)])
        cell = np.concatenate([one.cell + start for one, start in zip(pairs, first[:-1], strict=True)])
        sensor, siren = (np.concatenate([getattr(one, key) for one in pairs]) for key in ("sensor", "siren"))
        self._gains = np.concatenate([np.zeros(len(self._costs)), *(one.worth for one in pairs)])
        parts = [
            self._rows(cell, np.full(len(cell), -1)),
            self._rows(cell, np.where(sensor < self._sensors, sensor, -2)),
            self._rows(cell, np.where(siren < self._sirens, self._sensors + siren, -2)),
        ]
        self._matrix = sparse.vstack([rows for rows, _ in parts], format="csr")
        self._most = np.concatenate([most for _, most in parts])

    def _rows(self, cell: IntArray, candidate: IntArray) -> tuple[sparse.csr_array, FloatArray]:
        """The sum of a cell's pairs that need the same candidate is at most that candidate: rows, and what is right.

        Candidate -1: all pairs of a cell, at most 1; -2: none is needed, no row.
        """
        there = np.flatnonzero(candidate > -2)
        width = len(self._costs) + 1
        keys, row = np.unique(cell[there] * width + candidate[there] + 1, return_inverse=True)
        needed = keys % width - 1
        bound = np.flatnonzero(needed >= 0)
        rows = np.concatenate([row, bound])
        columns = np.concatenate([len(self._costs) + there, needed[bound]])
        values = np.concatenate([np.ones(len(there)), -np.ones(len(bound))])
        shape = (len(keys), len(self._gains))
        return sparse.csr_array((values, (rows, columns)), shape=shape), np.where(needed < 0, 1.0, 0.0)

    def best(self, budget: float) -> Solved:
        """The best choice that costs no more; RunError where the solver finds none."""
        from scipy.optimize import Bounds, LinearConstraint, milp

        whole = len(self._gains)
        many = len(self._costs)
        spent = np.concatenate([self._costs, np.zeros(whole - many)])
        scale = max(float(self._gains.max(initial=0.0)), 1.0)
        found = milp(
            -self._gains / scale,
            integrality=np.arange(whole) < many,
            bounds=Bounds(0.0, 1.0),
            constraints=[
                LinearConstraint(self._matrix, -np.inf, self._most),
                LinearConstraint(spent[None], -np.inf, budget),
            ],
            options={"mip_rel_gap": GAP, "time_limit": LONGEST_SOLVE_S},
        )
        if found.x is None:
            raise RunError(f"the optimiser found no choice within {budget:g}: {found.message}")
        chosen = found.x[:many] > 0.5
        sensors, sirens = self._useful(chosen[: self._sensors], chosen[self._sensors :])
        choice = Choice(tuple(np.flatnonzero(sensors).tolist()), tuple(np.flatnonzero(sirens).tolist()))
        return Solved(choice, benefit_of(self.sectors, sensors, sirens), found.status == 0)

    def _useful(self, sensors: BoolArray, sirens: BoolArray) -> tuple[BoolArray, BoolArray]:
        """Without what adds nothing, the dearest first: the solver may spend what is left on what is of no use."""
        sensors, sirens = sensors.copy(), sirens.copy()
        whole = benefit_of(self.sectors, sensors, sirens)
        for i in np.argsort(-self._costs, kind="stable").tolist():
            which, k = (sensors, i) if i < self._sensors else (sirens, i - self._sensors)
            if which[k]:
                which[k] = False
                which[k] = benefit_of(self.sectors, sensors, sirens) < whole * (1.0 - 1e-9) - LEAST_GAIN
        return sensors, sirens


@dataclass(frozen=True, eq=False)
class _Pairs:
    """What pairs of a radar and a siren add to what is there (pairs,): person-seconds, in which part and shot."""

    worth: FloatArray
    cell: IntArray
    sensor: IntArray
    siren: IntArray


def _pairs(sector: Sector) -> _Pairs:
    """Those that add anything, and more than their radar or their siren alone."""
    gained = sector.gained_s()
    added = (gained - gained[:, :, -1:, -1:]) * sector.weight()[:, :, None, None]
    worth = added > LEAST_GAIN
    worth[:, :, :-1, :-1] &= added[:, :, :-1, :-1] > np.maximum(added[:, :, -1:, :-1], added[:, :, :-1, -1:])
    part, group, siren, sensor = np.nonzero(worth)
    return _Pairs(added[worth], part * len(sector.shots) + group, sensor, siren)
