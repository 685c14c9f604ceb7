"""`make bench`: the trackers side by side, this one under load, and docs/performance.md with its picture."""

import argparse
import importlib.metadata
import os
import platform
import time
from pathlib import Path

os.environ.update(dict.fromkeys([f"{name}_NUM_THREADS" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")], "1"))

import msgspec
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tracking.bound import bounds
from tracking.page import write
from tracking.plan import FULL, QUICK, Plan, jobs, work
from tracking.race import race
from tracking.result import Result


def main() -> None:
    """Run the benchmark and write the page."""
    parser = argparse.ArgumentParser(prog="tracking", description=__doc__)
    parser.add_argument("--docs", type=Path, required=True, help="folder of performance.md")
    parser.add_argument("--quick", action="store_true", help="a minute or two: one raid, fewer loads")
    parser.add_argument("--rows", type=Path, help="keeps the result; where it exists, only the page is made anew")
    args = parser.parse_args()
    if args.rows and args.rows.is_file():
        write(args.docs, msgspec.json.decode(args.rows.read_bytes(), type=Result))
        return
    result = measure(QUICK if args.quick else FULL)
    if args.rows:
        args.rows.parent.mkdir(parents=True, exist_ok=True)
        args.rows.write_bytes(msgspec.json.encode(result))
    write(args.docs, result)


def measure(plan: Plan) -> Result:
    """All runs; the bar moves between turns only, so that drawing it costs nobody's scan."""
    began, described = time.monotonic(), machine()
    side_by_side, alone = jobs(plan)
    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.0f} %"), TimeElapsedColumn()
    with Progress(*columns, auto_refresh=False) as progress:
        results = []
        for title, todo in (("side by side", side_by_side), ("under load", alone)):
            bar, rows = progress.add_task(title, total=sum(work(job) for job in todo)), []
            for one, names in todo:

                def told(scans: int, bar: TaskID = bar, weight: int = one.objects) -> None:
                    progress.update(bar, advance=scans * weight, refresh=True)

                rows += race(one, names, told)
            results.append(rows)
    least = bounds([one for one, _ in side_by_side])
    return Result(described, (time.monotonic() - began) / 60.0, *results, least)


def machine() -> str:
    """Processor, cores, load and versions, in one line."""
    packages = ("numpy", "numba", "stonesoup")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in packages)
    load = f"load average {os.getloadavg()[0]:.1f} before it" if hasattr(os, "getloadavg") else "load unknown"
    return f"{_processor()}, {os.cpu_count()} cores, {load}, Python {platform.python_version()}, {versions}"


def _processor() -> str:
    """The processor's name where Linux tells it."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text(encoding="utf-8").splitlines() if told.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
