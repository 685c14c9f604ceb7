"""Run a study: every point under the same seeds, round by round, until each is known well enough or has its runs.

A row depends on its scenario, its site and its seed alone; which runs a point gets depends on rows alone, looked at in
a fixed order: so the table is the same for any number of workers, for a cluster, and for a study that was killed.
What depends on machine, time or worker goes into manifest.json.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from opencram import __version__
from opencram.drive.crank import Progress
from opencram.drive.simulate import simulate_in_folder
from opencram.drive.study.cases import Case, Plan, staged
from opencram.drive.study.folder import StudyFolder, write_whole
from opencram.drive.study.spec import load_study
from opencram.drive.study.workers import Chunk, Workers, program_digest
from opencram.drive.trial import row_of_run
from opencram.errors import InputError
from opencram.report.outcomes import OUTCOMES, Row, Scalar
from opencram.report.study_page import by_scenario, figures_of, write_study
from opencram.report.study_statistics import interval_of

LONGEST_CHUNK = 4
"""Runs that a worker does before it hands them over: that much work a kill can cost each of them."""
CHUNKS_EACH = 4
"""Chunks for each worker in a round at least, where there are runs enough: the last one to be done is soon over."""

Summary = dict[str, Scalar]


@dataclass(frozen=True)
class StudyResult:
    """The rows of a study, what they come to, and its page."""

    rows: list[Row]
    summary: Summary
    page: Path


def run_study(
    path: Path, out: Path, runs: int | None, workers: AbstractContextManager[Workers], progress: Progress | None = None
) -> StudyResult:
    """Run the study in the file `path`, or go on with it; what came of it goes into the folder `out`."""
    plan = Plan(load_study(path), runs)
    plan.check(progress)
    study = {**plan.study.model_dump(mode="json"), "runs": plan.runs, "pairs": plan.study.pairs()}
    made_of = {"study": _digest(study), "inputs": plan.inputs_digest(), "program": program_digest()}
    folder = StudyFolder(out, study, made_of)
    table = Table(plan, folder)
    started, found = time.time(), len(table.rows)
    with workers as hands:
        for chunks in table.rounds(hands.count):
            for chunk, new in hands.work(chunks):
                table.add(chunk, new)
                if progress is not None:
                    progress(*table.progress(time.time() - started, len(table.rows) - found))
        count = hands.count
    rows = table.in_order()
    folder.finish(rows, _manifest(count, time.time() - started, found, rows))
    summary = summary_of_rows(rows)
    write_whole(out / "summary.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n")
    return StudyResult(rows, summary, write_study(out)[0])


def run_row(path: Path, number: int, runs: int | None, out: Path | None, progress: Progress | None = None) -> Row:
    """Run one row of a study again; with `out`, into a whole run folder with its report."""
    plan = Plan(load_study(path), runs)
    most = len(plan.cases) * plan.runs
    if number >= most:
        raise InputError(f"--row: found {number}, expected a number below {most}")
    case, seed = plan.cases[number // plan.runs], plan.seed(number % plan.runs)
    scenario, site = staged(plan.documents(case))
    if out is not None:
        simulate_in_folder(scenario, site, out, seed, "en", progress)
    return _with_head(number, case, row_of_run(scenario, site, seed))


@dataclass
class Table:
    """The rows so far, by number, and which are wanted next."""

    plan: Plan
    folder: StudyFolder
    rows: dict[Scalar, Row] = field(init=False)
    expected: int = 0
    """How many rows it will have at most, by what is known at the beginning of a round."""

    def __post_init__(self) -> None:
        self.rows = {row["row"]: row for row in self.folder.rows()}

    def add(self, chunk: Chunk, rows: Sequence[Row]) -> None:
        """Take in the rows of a chunk, and keep them."""
        first, case = chunk.case * self.plan.runs + chunk.first, self.plan.cases[chunk.case]
        headed = [_with_head(first + i, case, row) for i, row in enumerate(rows)]
        self.folder.keep(headed)
        self.rows |= {row["row"]: row for row in headed}

    def rounds(self, workers: int) -> Iterator[Iterator[Chunk]]:
        """What is to be done, a round at a time, until nothing is; the rows of each round are there before the next."""
        while missing := self._missing():
            self.expected = sum(self._enough(cases) * len(cases) for cases in self._groups.values())
            number = sum(len(runs) for _, runs in missing)
            size = max(1, min(LONGEST_CHUNK, number // (CHUNKS_EACH * workers)))
            yield (chunk for case, runs in missing for chunk in self._chunks(case, runs, size))

    def in_order(self) -> list[Row]:
        """The rows of the study, in order; none beyond where a point was stopped."""
        enough = {group: self._enough(cases) for group, cases in self._groups.items()}
        wanted = [n for case in self.plan.cases for n in self._numbers(case, enough[case.group])]
        return [self.rows[n] for n in wanted]

    def progress(self, seconds: float, done: int) -> tuple[float, str]:
        """How far it is, and what is left of it at the pace so far."""
        there, total = len(self.rows), self.expected
        left_s = seconds / max(done, 1) * (total - there)
        most = "at most " if self.plan.study.stop else ""
        return there / max(total, 1), f"{there} of {most}{total} runs, {most}{_duration(left_s)} left"

    @cached_property
    def _groups(self) -> dict[int, list[Case]]:
        groups: dict[int, list[Case]] = {}
        for case in self.plan.cases:
            groups.setdefault(case.group, []).append(case)
        return groups

    def _numbers(self, case: Case, runs: int) -> range:
        return range(case.number * self.plan.runs, case.number * self.plan.runs + runs)

    def _missing(self) -> list[tuple[Case, list[int]]]:
        """Cases with those of their runs that come next and are not there."""
        wanted = {group: self._wanted(cases) for group, cases in self._groups.items()}
        first = [(case, case.number * self.plan.runs) for case in self.plan.cases]
        missing = [(case, [k for k in range(wanted[case.group]) if n + k not in self.rows]) for case, n in first]
        return [(case, runs) for case, runs in missing if runs]

    def _wanted(self, cases: Sequence[Case]) -> int:
        """How many runs the cases of a group are to have before anything is decided about them again."""
        for runs in self._levels():
            there = all(n in self.rows for case in cases for n in self._numbers(case, runs))
            if not there or self._narrow(cases, runs):
                return runs
        return self.plan.runs

    def _enough(self, cases: Sequence[Case]) -> int:
        """With how many runs the cases of a group are known well enough; all of them where they are not yet."""
        for runs in self._levels():
            if not all(n in self.rows for case in cases for n in self._numbers(case, runs)):
                return self.plan.runs
            if self._narrow(cases, runs):
                return runs
        return self.plan.runs

    def _levels(self) -> range | list[int]:
        """After how many runs it is decided whether to go on."""
        stop, most = self.plan.study.stop, self.plan.runs
        return [most] if stop is None else [*range(min(stop.least, most), most, stop.batch), most]

    def _narrow(self, cases: Sequence[Case], runs: int) -> bool:
        """Whether the interval of the metric is as narrow as wanted, for every variant of the group.

        All variants of a point go on or stop together, so that each run of one has its pair in the others.
        """
        stop = self.plan.study.stop
        if stop is None:
            return False
        values = ([self.rows[n][stop.metric] for n in self._numbers(case, runs)] for case in cases)
        intervals = [interval_of(own, OUTCOMES[stop.metric].share, stop.confidence) for own in values]
        return all(found is not None and found.high - found.low <= stop.width for found in intervals)

    def _chunks(self, case: Case, runs: list[int], size: int) -> Iterator[Chunk]:
        """Runs next to each other, at most `size` of them at a time."""
        texts = tuple(self.plan.documents(case).items())
        while runs:
            together = next((n for n in range(1, len(runs)) if n == size or runs[n] != runs[0] + n), len(runs))
            chunk, runs = runs[:together], runs[together:]
            yield Chunk(case.number, chunk[0], texts, tuple(self.plan.seed(k) for k in chunk), str(case))


def summary_of_rows(rows: Sequence[Row]) -> Summary:
    """Each scenario's figures, as the page has them."""
    summary: Summary = {"runs": len(rows)}
    for scenario, own in by_scenario(rows).items():
        for name, text in figures_of(own).items():
            summary[f"{scenario}: {name}"] = text
    return summary


def _with_head(number: int, case: Case, row: Row) -> Row:
    """A row with its number and its case in front of what came of it."""
    names = ("scenario", "site")
    head = {"row": number, **{name: row[name] for name in names}, **case.head()}
    return head | {name: value for name, value in row.items() if name not in names}


def _digest(study: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(study, sort_keys=True).encode()).hexdigest()


def _manifest(workers: int, seconds: float, found: int, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "workers": workers,
        "seconds": round(seconds, 1),
        "runs": len(rows),
        "runs_found": found,
        "version": __version__,
        "machine": platform.platform(),
        "python": platform.python_version(),
    }


def _duration(seconds: float) -> str:
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    return f"{seconds / 60.0:.0f} min" if seconds < 5_400.0 else f"{seconds / 3_600.0:.1f} h"
