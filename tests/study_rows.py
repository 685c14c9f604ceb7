"""Made-up rows for the tests of studies: what a run would have told, worked out from its case and seed by a formula."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opencram.drive.study.workers import Chunk, Done, Work
from opencram.report.outcomes import COLUMNS, Row

STUDY = """
name: made up
scenarios: [baghdad-2021-12-19]
runs: 12
"""


def luck(*names: object) -> float:
    """A number from 0 to 1 that depends on the names alone."""
    return int.from_bytes(hashlib.sha256(repr(names).encode()).digest()[:6], "big") / 2**48


def row_of(case: int, seed: int, **changes: Any) -> Row:
    """A whole row; every count is drawn from 0 to 9."""
    row: Row = {name: int(10 * luck(case, seed, name)) for name in COLUMNS}
    row |= {"hits_warned": luck(case, seed) < 0.8, "hits_in_time": luck(seed) < 0.6, "digest": f"{case}-{seed}"}
    return {"scenario": "baghdad-2021-12-19", "site": "baghdad-embassy", "seed": seed, **row, **changes}


def worker(make: Callable[[int, int], Row], shuffle: int = 0, seen: list[Chunk] | None = None) -> Work:
    """Something that makes rows up, and hands chunks back in an order of its own."""

    def work(chunks: Iterable[Chunk]) -> Iterator[Done]:
        taken = sorted(chunks, key=lambda c: luck(shuffle, c.case, c.first)) if shuffle else list(chunks)
        for chunk in taken:
            if seen is not None:
                seen.append(chunk)
            yield chunk, [make(chunk.case, seed) for seed in chunk.seeds]

    return work
