"""The command `opencram study`: its arguments, and nothing else."""

import os
from pathlib import Path
from typing import Annotated

import typer

from opencram.errors import InputError


def study(
    spec: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="What is varied, and how often it is run.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The folder for the results; a study begun there goes on.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Runs of each case, in place of the file's number.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Processes; as many as there are processors when not given.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Dask scheduler whose workers do the work.")
    ] = None,
    row: Annotated[
        int | None, typer.Option(min=0, metavar="N", help="Run this one row again; with --out, as a whole run folder.")
    ] = None,
) -> None:
    """Vary scenarios and sites, run each point many times, and report what came of it.

    The rows do not depend on who does the work. Killed and started again, it goes on where it was.
    """
    from opencram.terminal import print_rows, print_study, progress_line

    if workers is not None and scheduler is not None:
        raise InputError("--workers: found it with --scheduler, expected one of them")
    if row is not None:
        print_rows(f"Row {row}", ("column", "value"), _row(spec, row, runs, out))
        return
    if out is None:
        raise InputError("Missing option '--out' (see opencram study --help)")
    from opencram.drive.study import workers as hands
    from opencram.drive.study.run import run_study

    by = hands.local(workers or os.cpu_count() or 1) if scheduler is None else hands.cluster(scheduler)
    with progress_line() as progress:
        result = run_study(spec, out, runs, by, progress)
    print_study(result.summary, out, result.page)


def _row(spec: Path, number: int, runs: int | None, out: Path | None) -> list[tuple[str, str]]:
    from opencram.drive.study.run import run_row
    from opencram.runfolder import run_folder
    from opencram.terminal import progress_line

    with progress_line() as progress:
        if out is None:
            found = run_row(spec, number, runs, None, progress)
        else:
            with run_folder(out, [spec]) as folder:
                found = run_row(spec, number, runs, folder, progress)
    return [(name, "–" if value is None else str(value)) for name, value in found.items()]
