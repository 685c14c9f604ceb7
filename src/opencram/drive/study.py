"""A study: the same scenarios under many seeds, a row of scalars per run, and what the rows come to.

A row depends on its scenario, site and seed alone; so rows are the same for any number of workers and each runs again
by itself (`opencram run SCENARIO --seed N`). What depends on machine, time or worker goes into manifest.json.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opencram import __version__
from opencram.drive.crank import Progress
from opencram.drive.trial import Row, run_trial
from opencram.errors import InputError
from opencram.report.study_page import by_scenario, figures_of, study_page, study_picture
from opencram.site import load_site
from opencram.world.scenario import load_scenario
from opencram.yamlfile import read_yaml, validate

MAX_RUNS = 100_000


class Study(BaseModel):
    """What a study file says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scenarios: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    site: str | None = None
    runs: Annotated[int, Field(ge=1, le=MAX_RUNS)] = 8
    first_seed: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True)
class StudyResult:
    """The rows of a study and what they come to."""

    rows: list[Row]
    summary: dict[str, str | int | float | None]


def load_study(path: Path) -> Study:
    """A study file, with its scenarios and site seen to be usable; InputError otherwise."""
    data, lines = read_yaml(path, str(path))
    study = validate(Study, data, lines, str(path))
    for name in study.scenarios:
        load_site(study.site or load_scenario(name).site)
    return study


def run_study(path: Path, out: Path, runs: int | None, workers: int, progress: Progress | None = None) -> StudyResult:
    """Run the study in the file `path` on `workers` processes; what came of it goes into the folder `out`."""
    study = load_study(path)
    started = time.time()
    seeds = range(study.first_seed, study.first_seed + (runs or study.runs))
    rows = run_trials([(name, study.site, seed) for name in study.scenarios for seed in seeds], workers, progress)
    result = StudyResult(rows, summary_of_rows(rows))
    _write(out, study, result, {"workers": workers, "seconds": round(time.time() - started, 1)})
    return result


def run_trials(
    trials: Sequence[tuple[str, str | None, int]], workers: int, progress: Progress | None = None
) -> list[Row]:
    """The rows of (scenario, site, seed), in that order, whoever finishes first."""
    from joblib import Parallel, delayed

    rows: list[Row] = []
    parallel = Parallel(n_jobs=workers, return_as="generator")
    for row in parallel(delayed(run_trial)(*trial) for trial in trials):
        rows.append(row)
        if progress is not None:
            progress(len(rows) / len(trials), f"{len(rows)} of {len(trials)} runs")
    return rows


def summary_of_rows(rows: Sequence[Row]) -> dict[str, str | int | float | None]:
    """Each scenario's figures, as the page has them."""
    summary: dict[str, str | int | float | None] = {"runs": len(rows)}
    for scenario, own in by_scenario(rows).items():
        for name, text in figures_of(own).items():
            summary[f"{scenario}: {name}"] = text
    return summary


def _write(out: Path, study: Study, result: StudyResult, manifest: dict[str, Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        out.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(result.rows), out / "rows.parquet")
        manifest |= {"version": __version__, "machine": platform.platform(), "python": platform.python_version()}
        for name, content in (("summary", result.summary), ("manifest", manifest), ("study", study.model_dump())):
            text = json.dumps(content, indent=2, ensure_ascii=False)
            (out / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        (out / "study.md").write_text(study_page(study.name, result.rows), encoding="utf-8")
        (out / "study.svg").write_text(study_picture(result.rows), encoding="utf-8")
    except OSError as error:
        raise InputError(f"--out {out}: found '{error.strerror}', expected a folder that can be written") from None
