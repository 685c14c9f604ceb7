"""How many whole raids a study runs in a second, by one process and by two, and where the time of one goes.

A raid: seven rockets, two radars (one looks ten times a second), 120 s, world, pipeline, defence, metrics and row.
Rounds of one and of two workers take turns, so that whatever else the machine does meets both alike.
"""

import argparse
import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opencram.drive.known import known_to
from opencram.drive.run_folder import Origin, summary_of, tables_in_memory
from opencram.drive.simulate import simulate_in_memory
from opencram.drive.study.workers import Chunk, local
from opencram.drive.trial import row_of, run_chunk
from opencram.site import load_site
from opencram.world.scenario import load_scenario

RAID = "baghdad-2020-11-17"
PARTS = ("world", "stages", "tracking", "physics", "warning", "record", "report", "drive", "pipeline")
"""Folders and files of the package by which time is told; the rest is libraries and the interpreter."""


def texts_of(name: str) -> tuple[tuple[str, str], ...]:
    """What a worker is handed."""
    scenario = load_scenario(name)
    return tuple({**scenario.documents(), **load_site(scenario.site).documents()}.items())


def timed(texts: tuple[tuple[str, str], ...], seed: int) -> tuple[float, float]:
    """Wall and processor seconds of one raid."""
    wall, processor = time.perf_counter(), time.process_time()
    run_chunk(texts, (seed,))
    return time.perf_counter() - wall, time.process_time() - processor


def one_round(texts: tuple[tuple[str, str], ...], workers: int, raids: int, first: int) -> tuple[float, list[float]]:
    """Raids a second of a round, and the processor seconds of each raid in it."""
    from joblib import Parallel, delayed

    began = time.perf_counter()
    parallel = Parallel(n_jobs=workers, batch_size=1)
    taken = parallel(delayed(timed)(texts, seed) for seed in range(first, first + raids))
    return raids / (time.perf_counter() - began), [processor for _, processor in taken]


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Median, and from the 5th to the 95th percentile."""
    low, middle, high = np.quantile(values, (0.05, 0.5, 0.95))
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def phases(name: str, seeds: Sequence[int]) -> dict[str, list[float]]:
    """Seconds of the two halves of a row: the simulation, and what is told of it."""
    scenario = load_scenario(name)
    site = load_site(scenario.site)
    origin = Origin("simulation", True, scenario.defence.value, scenario.name, 0)
    found: dict[str, list[float]] = {"simulation": [], "row": []}
    for seed in seeds:
        began = time.perf_counter()
        world, crank = simulate_in_memory(scenario, site, seed)
        middle = time.perf_counter()
        row_of(summary_of(crank, origin, tables_in_memory(crank), known_to(world)), site)
        found["simulation"].append(middle - began)
        found["row"].append(time.perf_counter() - middle)
    return found


def profile(texts: tuple[tuple[str, str], ...], seeds: Sequence[int]) -> None:
    """Print where a raid's time goes: by part of the package, and the functions that take most themselves."""
    profiler = cProfile.Profile()
    profiler.runcall(run_chunk, texts, tuple(seeds))
    stats = pstats.Stats(profiler)
    own: Counter[str] = Counter()
    for (path, _, _), (_, _, seconds, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        own[part_of(path)] += seconds
    total = sum(own.values())
    print("own time by part: " + ", ".join(f"{part} {100 * s / total:.0f} %" for part, s in own.most_common(12)))
    stats.sort_stats("tottime").print_stats(25)


def part_of(path: str) -> str:
    """Which part of the package, or which library, a file is of."""
    parts = Path(path).parts
    if "opencram" in parts:
        inside = parts[len(parts) - parts[::-1].index("opencram") :]
        return next((part for part in PARTS if inside[0].startswith(part)), "opencram")
    if "site-packages" in parts:
        return parts[parts.index("site-packages") + 1]
    return "interpreter"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--raids", type=int, default=8, help="in each round")
    parser.add_argument("--profile", action="store_true", help="only say where the time goes")
    asked = parser.parse_args()
    texts = texts_of(RAID)
    began = time.perf_counter()
    run_chunk(texts, (0,))
    print(f"first raid of a process, with what it loads: {time.perf_counter() - began:.2f} s")
    if asked.profile:
        profile(texts, range(4))
        return
    rates: dict[int, list[float]] = {1: [], 2: []}
    processor: dict[int, list[float]] = {1: [], 2: []}
    one_round(texts, 2, 4, 0)  # both processes warm
    for n in range(asked.rounds):
        for workers in (1, 2):
            rate, taken = one_round(texts, workers, asked.raids, n * asked.raids)
            rates[workers].append(rate)
            processor[workers] += taken
    for workers, found in rates.items():
        print(f"{workers} worker(s): {spread(found)} raids/s; processor s a raid: {spread(processor[workers], 3)}")
    print(f"two workers are {spread([b / a for a, b in zip(rates[1], rates[2], strict=True)])} times one")
    for what, seconds in phases(RAID, range(8)).items():
        print(f"{what}: {spread(seconds, 3)} s")
    with local(2) as hands:  # as a study does it
        firsts = range(0, 2 * asked.raids, 4)
        chunks = [Chunk(0, first, texts, tuple(range(first, first + 4)), RAID) for first in firsts]
        began = time.perf_counter()
        done = sum(len(rows) for _, rows in hands.work(chunks))
        print(f"a study of {done} runs by two workers, chunks of 4: {done / (time.perf_counter() - began):.2f} raids/s")


if __name__ == "__main__":
    main()
