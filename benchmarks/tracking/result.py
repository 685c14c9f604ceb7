"""What a run of the benchmark gives, and what it is held against."""

from typing import NamedTuple

import msgspec
import numpy as np

from opencram.tables import FloatArray
from tracking.bound import Bound
from tracking.race import OURS, TUNED, Row

GOSPA_AT_MOST = {1: 1.0, 10: 1.0, 50: 0.9, 100: 0.9}
"""By load: our GOSPA over that of the tuned peer."""
FASTER_AT, FASTER_BY = 100, 100.0
"""At this load the tuned peer's median scan takes at least this many times ours."""
CROWD, CROWD_P99_MS = 1_000, 100.0
"""With this many objects and as many false plots, the 99th percentile is within one scan at 10 Hz."""
CROWDED = 100
"""From this load on the curve's growth is that of the work itself; below, each scan's fixed cost flattens it."""


class Result(msgspec.Struct, frozen=True):
    """One run."""

    machine: str
    minutes: float
    rows: list[Row]
    """Side by side."""
    curve: list[Row]
    """This tracker alone."""
    bounds: list[Bound]
    """Of the raids side by side."""


class Verdict(NamedTuple):
    """One target."""

    target: str
    measured: str
    met: bool


def of(rows: list[Row], tracker: str, objects: int) -> list[Row]:
    """The runs of one tracker at one load, in order of the raids."""
    own = [row for row in rows if (row.tracker, row.objects) == (tracker, objects)]
    return sorted(own, key=lambda row: row.raid)


def loads(rows: list[Row]) -> list[int]:
    """Numbers of objects, rising."""
    return sorted({row.objects for row in rows})


def times_ms(rows: list[Row]) -> FloatArray:
    """The times of all scans of some runs."""
    return np.concatenate([row.ms for row in rows])


def median_ms(rows: list[Row]) -> float:
    """Of all scans of some runs."""
    return float(np.median(times_ms(rows)))


def gospa_ratios(rows: list[Row], objects: int, tracker: str = OURS) -> FloatArray:
    """Of each raid, a tracker's mean GOSPA over the tuned peer's."""
    pairs = zip(of(rows, tracker, objects), of(rows, TUNED, objects), strict=True)
    return np.array([own.gospa_m / other.gospa_m for own, other in pairs])


def time_ratio(rows: list[Row], objects: int, peer: str, tracker: str = OURS) -> float:
    """The peer's median time over a tracker's."""
    return median_ms(of(rows, peer, objects)) / median_ms(of(rows, tracker, objects))


def rms_m(rows: list[Row]) -> float:
    """Root mean square of GOSPA over all scans of some runs."""
    return float(np.sqrt(np.mean([sum(row.parts_m2) for row in rows])))


def bounds_m(bounds: list[Bound], objects: int) -> FloatArray:
    """The least root mean square there can be at a load: with drag known as usual, and exactly, (2)."""
    squares = [(bound.usual_m2, bound.exact_m2) for bound in bounds if bound.objects == objects]
    return np.asarray(np.sqrt(np.mean(squares, axis=0)))


def growth(curve: list[Row], from_objects: int = 0) -> float:
    """The exponent with which the median time grows with the load: the slope of a line through the logarithms."""
    at = [n for n in loads(curve) if n >= from_objects]
    if len(at) < 2:
        return float("nan")
    ms = [median_ms(of(curve, OURS, n)) for n in at]
    return float(np.polyfit(np.log(at), np.log(ms), 1)[0])


def verdicts(result: Result) -> list[Verdict]:
    """Every target that this run has measured."""
    rows, found = result.rows, []
    for objects in [n for n in loads(rows) if n in GOSPA_AT_MOST]:
        limit, ratios = GOSPA_AT_MOST[objects], gospa_ratios(rows, objects)
        measured = f"{ratios.mean():.3f} ({int((ratios <= limit).sum())} of {len(ratios)} raids)"
        target = f"load {objects}: GOSPA over that of {TUNED}, at most {limit:.2f}"
        found.append(Verdict(target, measured, bool(ratios.mean() <= limit)))
    if FASTER_AT in loads(rows):
        faster = time_ratio(rows, FASTER_AT, TUNED)
        target = f"load {FASTER_AT}: median time of {TUNED} over ours, at least {FASTER_BY:.0f}"
        found.append(Verdict(target, f"{faster:.0f}", faster >= FASTER_BY))
    if CROWD in loads(result.curve):
        p99 = float(np.quantile(times_ms(of(result.curve, OURS, CROWD)), 0.99))
        target = f"{CROWD:,} objects and {CROWD:,} false plots: 99th percentile, under {CROWD_P99_MS:.0f} ms"
        found.append(Verdict(target, f"{p99:.1f} ms", p99 < CROWD_P99_MS))
    return found
