"""`make raids`: random raids through the whole pipeline, and docs/warning-performance.md."""

import argparse
import os
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path

os.environ.update(dict.fromkeys([f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")], "1"))

import msgspec
from rich.progress import Progress

from raids.page import write
from raids.rules import again, compare
from raids.score import Row, trial

COMPARED = 100
"""Of the raids, the first: each other rule takes seconds for each."""


def main() -> None:
    """Run what is not in the file of rows yet, then write the page."""
    parser = argparse.ArgumentParser(prog="raids", description=__doc__)
    parser.add_argument("--docs", type=Path, help="folder of warning-performance.md; its page is written anew")
    parser.add_argument("--raids", type=int, default=1_000, help="numbers 0 to this (default 1000)")
    parser.add_argument(
        "--out", type=Path, default=Path("../runs/raids"), help="folder of rows and traces; goes on there"
    )
    parser.add_argument("--workers", type=int, default=1)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    path = args.out / "rows.jsonl"
    known = {row.number: row for row in read(path)}
    todo = [number for number in range(args.raids) if number not in known]
    with Progress() as progress, path.open("ab") as file:
        bar = progress.add_task("raids", total=args.raids, completed=args.raids - len(todo))
        for row in _rows(todo, args.out / "traces", args.workers):
            file.write(msgspec.json.encode(row) + b"\n")
            file.flush()
            progress.update(bar, advance=1)
    if args.docs is not None:
        traces = args.out / "traces"
        rows = [again(row, traces) for row in sorted(read(path), key=lambda row: row.number) if row.number < args.raids]
        write(args.docs, rows, compare(rows[:COMPARED], traces))


def read(path: Path) -> Iterator[Row]:
    """The rows that are there already; a last line that was cut off is none."""
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for n, line in enumerate(lines):
        try:
            yield msgspec.json.decode(line, type=Row)
        except msgspec.DecodeError:
            if n < len(lines) - 1:
                raise


def _rows(todo: list[int], traces: Path, workers: int) -> Iterator[Row]:
    if workers == 1:
        yield from (trial(number, traces) for number in todo)
        return
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(_Trial(traces), todo)


class _Trial:
    """`trial` with its folder, as something that can be sent to another process."""

    def __init__(self, traces: Path) -> None:
        self.traces = traces

    def __call__(self, number: int) -> Row:
        return trial(number, self.traces)


if __name__ == "__main__":
    main()
