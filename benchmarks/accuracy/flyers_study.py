"""What the chain calls things that do not threaten, and drones: one row per track."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from joblib import Parallel, delayed

from accuracy.chain import follow
from accuracy.flyers import draw_flyer
from accuracy.shots import CASES
from accuracy.study import ids
from opencram.physics.threats import catalogue

NAMED_BY_S = 5.0
FlyerRow = tuple[str, str, bool, int]
"""Class; what it was called at NAMED_BY_S; whether it was ever called a threat; rows that predict an impact."""
FLYER_ROW = np.dtype([("cls", "U16"), ("said", "U16"), ("hostile", "?"), ("predicted", "i4")])
THREATS = ("mortar", "rocket", "shell", "drone")


def one_flyer(cls: str, number: int, sized: bool) -> FlyerRow:
    """What was said of flyer `number` of a class; it depends on nothing but these three."""
    seen = draw_flyer(cls, np.random.default_rng([number, sized, *cls.encode()]), CASES[0])
    answers = follow(seen if sized else replace(seen, rcs_dbsm=None), CASES[0])
    named = [(time_s, ids()[c] if c >= 0 else "unknown") for time_s, c, _ in answers.called]
    early = [name for time_s, name in named if time_s <= seen.time_s[0] + NAMED_BY_S]
    hostile = any(name != "unknown" and catalogue()[name].family in THREATS for _, name in named)
    return cls, early[-1] if early else "", hostile, sum(predicted for _, _, predicted in answers.called)


def all_flyers(jobs: list[tuple[str, int, bool]], workers: int, told: Callable[[int, int], None]) -> list[FlyerRow]:
    """The rows of all flyers, in the order of the jobs."""
    rows = []
    running = Parallel(n_jobs=workers, return_as="generator", batch_size=16)(delayed(one_flyer)(*j) for j in jobs)
    for done, row in enumerate(running):
        rows.append(row)
        told(done + 1, len(jobs))
    return rows
