"""What people see in the terminal: a progress line while a run goes on, then tables of what came of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

ProgressCallback = Callable[[float, str], None]
Summary = Mapping[str, Any]

PIPE_WIDTH = 120
"""Columns when the output is no terminal: a file or a pipe has no width of its own."""


class Result(Protocol):
    """What a run hands back: its summary (run.json), its folder and its report."""

    @property
    def summary(self) -> dict[str, Any]: ...
    @property
    def out(self) -> Path: ...
    @property
    def report(self) -> Path: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


@contextmanager
def progress_line() -> Iterator[ProgressCallback | None]:
    """A line on stderr that says how far a run has come (fraction 0 to 1, and what it does); None if nobody sees it."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

    line = Progress(
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        console=Console(stderr=True),
        transient=True,
    )
    with line:
        task = line.add_task("starting", total=1.0)
        yield lambda done, what: line.update(task, completed=done, description=what)


def print_result(result: Result, as_json: bool) -> None:
    """Print a run's tables, counts and the place of its report, or its run.json alone; notes go to stderr."""
    for note in result.notes:
        sys.stderr.write(f"opencram: {note}\n")
    if as_json:
        sys.stdout.write((result.out / "run.json").read_text(encoding="utf-8").rstrip() + "\n")
        return
    console = _console()
    console.print(_objects_table(result.summary["objects"]))
    console.print(_zones_table(result.summary["zones"]))
    if quiet := [zone["id"] for zone in result.summary["zones"] if not _touched(zone)]:
        console.print(f"Neither alerted nor hit: {', '.join(quiet)}.\n")
    console.print(counts_sentence(result.summary["counts"]), soft_wrap=True)
    console.print(f"Report: {result.report}", soft_wrap=True)


def counts_sentence(counts: Mapping[str, int | None]) -> str:
    """The counts of run.json in words; what is not known (null) is left out."""
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in counts.items() if n is not None) + "."


def print_study(summary: Mapping[str, Any], out: Path, page: Path) -> None:
    """Print a study's summary, one line per figure, and where its rows and its report are."""
    table = _table("Study", ("figure", "value"))
    for name, value in summary.items():
        table.add_row(name, f"{value:.4g}" if isinstance(value, float) else str(value))
    console = _console()
    console.print(table)
    console.print(f"Results: {out}", soft_wrap=True)
    console.print(f"Report: {page}", soft_wrap=True)


def print_rows(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table of text."""
    table = _table(title, columns)
    for row in rows:
        table.add_row(*row)
    _console().print(table)


def _console() -> Console:
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False, markup=False)


def _table(title: str, columns: Sequence[str]) -> Table:
    """An empty table; a column whose name ends in a unit in brackets holds numbers."""
    from rich import box
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name.endswith(")") else "left")
    return table


def _objects_table(objects: Sequence[Summary]) -> Table:
    table = _table("Objects", ("object", "was", "seen as", "track", "outcome", "zone", "distance (m)"))
    for o in objects:
        texts = (_text(o[key]) for key in ("id", "class_true", "class", "track", "outcome", "zone"))
        table.add_row(*texts, _text(o["distance_m"], "{:.0f}"))
    return table


def _zones_table(zones: Sequence[Summary]) -> Table:
    """A row for each zone that was alerted or hit; leads count to the impact, from the alert and from its sound on."""
    table = _table("Zones", ("zone", "first alert", "first impact", "lead (s)", "heard (s)"))
    for z in filter(_touched, zones):
        times = (_clock(z[key]) for key in ("first_alert", "first_impact"))
        table.add_row(z["id"], *times, *(_text(z.get(key), "{:.1f}") for key in ("lead_s", "lead_heard_s")))
    return table


def _touched(zone: Summary) -> bool:
    return zone["first_alert"] is not None or zone["first_impact"] is not None


def _text(value: object, form: str = "{}") -> str:
    return "–" if value is None else form.format(value)


def _clock(time: str | None) -> str:
    """Hours, minutes, seconds and tenths (UTC) of an ISO time."""
    return "–" if time is None else time[11:21]
