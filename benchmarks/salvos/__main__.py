"""`make salvos`: salvos over many seeds, and docs/salvos.md with its picture."""

import argparse
import os
import time
from pathlib import Path

os.environ.update(dict.fromkeys([f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")], "1"))

import msgspec
from rich.progress import Progress

from salvos.page import Result, write
from salvos.sky import CASES, FIFTY, RAGGED, SEVEN
from salvos.trial import Row, run_all


def main() -> None:
    """Run all salvos and write the page."""
    parser = argparse.ArgumentParser(prog="salvos", description=__doc__)
    parser.add_argument("--docs", type=Path, required=True, help="folder of salvos.md")
    parser.add_argument("--seeds", type=int, default=100, help="of each salvo of seven, from 0 on (default 100)")
    parser.add_argument("--fifties", type=int, default=100, help="the same of each salvo of fifty (default 100)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rows", type=Path, help="keeps the result; where it exists, only the page is made anew")
    args = parser.parse_args()
    if args.rows and args.rows.is_file():
        result = msgspec.json.decode(args.rows.read_bytes(), type=Result)
    else:
        began = time.monotonic()
        rows = measure({SEVEN: args.seeds, FIFTY: args.fifties, RAGGED: args.fifties}, args.workers)
        result = Result((time.monotonic() - began) / 60.0, args.workers, rows)
        if args.rows:
            args.rows.parent.mkdir(parents=True, exist_ok=True)
            args.rows.write_bytes(msgspec.json.encode(result))
    write(args.docs, result)


def measure(seeds: dict[str, int], workers: int) -> list[Row]:
    """All cases, each from seed 0 on to as many as its launches have."""
    jobs = [(case, seed) for seed in range(max(seeds.values())) for case in CASES if seed < seeds[case.launches]]
    with Progress() as progress:
        bar = progress.add_task("salvos", total=len(jobs))
        return run_all(jobs, workers, lambda: progress.update(bar, advance=1))


if __name__ == "__main__":
    main()
