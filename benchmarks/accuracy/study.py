"""Many shots through the chain, and what came of each: one row per shot and time at which it is looked at."""

from collections.abc import Callable
from functools import cache

import numpy as np
from joblib import Parallel, delayed

from accuracy.bound import bounds
from accuracy.chain import Answers, follow
from accuracy.shots import Case, Seen, Shot, draw
from opencram.physics.threats import catalogue
from opencram.tables import FloatArray

AGES_S = tuple(float(s) for s in range(1, 121))
"""Each whole second of track: since the first plot, for rockets since burn-out where they were seen before."""
TO_GO_S = (60.0, 45.0, 30.0, 20.0, 15.0, 10.0, 7.0, 5.0, 3.0, 2.0)
LATE_S = 0.35
"""An answer counts for a time if it is not older than this, or than three looks."""

ROW = np.dtype(
    [
        ("case", "U16"), ("cls", "U16"), ("shot", "i4"), ("kind", "U6"), ("at", "f8"), ("boosted", "?"),
        ("answered", "?"), ("error_m", "f8"), ("bound_m", "f8"), ("sigma_m", "f8"), ("nees", "f8"),
        ("time_error_s", "f8"), ("time_sigma_s", "f8"), ("launch_error_m", "f8"), ("launch_sigma_m", "f8"),
        ("launch_bound_m", "f8"), ("launch_nees", "f8"), ("said", "U16"), ("tracks", "i4"),
    ]
)  # fmt: skip


@cache
def ids() -> tuple[str, ...]:
    """Classes by their index."""
    return tuple(catalogue())


def one_shot(case: Case, cls: str, number: int) -> FloatArray:
    """The rows of shot `number` of a class in a case; it depends on nothing but these three."""
    rng = np.random.default_rng([number, *case.name.encode(), *cls.encode()])
    shot, seen = draw(cls, rng, case)
    times, impact, launch = bounds(shot, seen, case)
    answers = follow(seen, case)
    begin, end = max(float(seen.time_s[0]), 0.0), float(shot.impact[2])
    looks = [("age", age, begin + age) for age in AGES_S] + [("to-go", left, end - left) for left in TO_GO_S]
    rows = [
        _row(case, shot, seen, answers, kind, at, time_s, (times, impact, launch))
        for kind, at, time_s in looks
        if begin + 1.0 <= time_s <= times[-1]
    ]
    made = np.array(rows, ROW) if rows else np.empty(0, ROW)
    made["case"], made["cls"], made["shot"], made["tracks"] = case.name, cls, number, answers.tracks
    return made


def _row(
    case: Case, shot: Shot, seen: Seen, answers: Answers, kind: str, at: float, time_s: float, told: tuple
) -> tuple:
    """One row of ROW."""
    row = np.zeros((), ROW)
    for name in ROW.names:
        if ROW[name].kind == "f":
            row[name] = np.nan
    times, impact, launch = told
    k = int(np.searchsorted(times, time_s + 1e-6)) - 1
    row["kind"], row["at"], row["boosted"] = kind, at, seen.time_s[0] < 0.0
    row["bound_m"], row["launch_bound_m"] = _size(impact[k]), _size(launch[k])
    i = int(np.searchsorted(answers.time_s, time_s + 1e-6)) - 1
    fresh = i >= 0 and time_s - answers.time_s[i] <= max(LATE_S, 3.0 * case.update_s)
    row["said"] = _said(answers, time_s)
    if fresh:
        _judge(row, shot, answers, i)
    return tuple(row.tolist())


def _said(answers: Answers, time_s: float) -> str:
    """The class that was said last, 'unknown', or nothing where there was no confirmed track."""
    before = [cls for t, cls, _ in answers.called if t <= time_s + 1e-6]
    if not before:
        return ""
    return ids()[before[-1]] if before[-1] >= 0 else "unknown"


def _judge(row: FloatArray, shot: Shot, answers: Answers, i: int) -> None:
    off = answers.impact[i, :2] - shot.impact[:2]
    row["answered"] = True
    row["error_m"], row["sigma_m"] = np.hypot(*off), _size(answers.cov[i])
    row["nees"] = off @ np.linalg.solve(answers.cov[i], off)
    row["time_error_s"], row["time_sigma_s"] = answers.impact[i, 2] - shot.impact[2], answers.time_sigma_s[i]
    from_m = answers.launch[i] - shot.launch
    if np.isfinite(from_m).all() and np.isfinite(answers.launch_cov[i]).all():
        row["launch_error_m"], row["launch_sigma_m"] = np.hypot(*from_m), _size(answers.launch_cov[i])
        row["launch_nees"] = from_m @ np.linalg.solve(answers.launch_cov[i], from_m)


def _size(cov: FloatArray) -> float:
    return float(np.sqrt(np.trace(cov)))


def run_all(
    jobs: list[tuple[Case, str, int]], workers: int, told: Callable[[int, int], None] = lambda done, of: None
) -> FloatArray:
    """The rows of all shots, in the order of the jobs; `told` hears how many are done."""
    rows = []
    for done, made in enumerate(
        Parallel(n_jobs=workers, return_as="generator", batch_size=4)(delayed(one_shot)(*job) for job in jobs)
    ):
        rows.append(made)
        told(done + 1, len(jobs))
    return np.concatenate(rows)
