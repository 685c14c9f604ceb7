"""docs/performance.md: the tables that a run makes."""

from pathlib import Path

import numpy as np

from accuracy.page import table
from tracking.figures import draw
from tracking.race import LEARNT, OURS, STOCK, TUNED, Row
from tracking.raid import DENSE, WIDE_FAR_M
from tracking.result import (
    CROWDED,
    Result,
    bounds_m,
    gospa_ratios,
    growth,
    loads,
    median_ms,
    of,
    rms_m,
    time_ratio,
    times_ms,
    verdicts,
)

HEAD = """# How fast and how exact the tracker is

`make bench` writes this page anew (in {minutes:.0f} min): {machine}.
Times depend on the machine, so read the ratios. All were measured in one process on one thread; the trackers took turns
of ten scans, so that they met the same load, and the garbage collector ran as it does for everybody.

The raid: mortar-like rounds, launched within 8 s from 2 by 2 km, 5 to 7 km away, toward a radar that gives range,
azimuth and elevation at 10 Hz with errors of 10 m and 2 mrad, sees 9 looks of 10 and makes 20 false plots a scan.
Figures are over the 10 s from 10 s on, when all are in the air. GOSPA has p = 2 and a cut-off of 200 m; it is taken
over positions at the scan's time in the radar's east-north-up frame.
"""

FAIR = """## What each is told

- Both are told the radar's errors. The library's parts and the tuned models of Stone Soup have their gates, births and
  deletions set for this raid; opencram is told the radar's coverage, its share of detections and its false plots, and
  that it keeps any two rounds apart, which is true of this raid. In the row *radar learnt* it is not told of detections
  and false plots.
- The raid flies over a flat, still earth with constant gravity in an exponential atmosphere. The tuned peer's model is
  just that. opencram knows neither this earth nor this round: its own is round and turns (put where gravity is the
  raid's), its air is the standard one, and the drag's shape is that of another shell.
- Counted is all that a tracker does with a scan. Not counted is making what it takes: Stone Soup's detections, and
  opencram's table of plots, whose making took a median of {table_us:.0f} microseconds.
- The positions compared are those of Stone Soup's tracks and of opencram's confirmed tracks, moved on by a step of
  their velocity where a scan gave them no plot.
- Stone Soup's trackers are in `benchmarks/peers/stone_soup.py`; show us how to make them better.
"""

AGAIN = """## To repeat it

    make bench
    make bench BENCH_ARGS="--quick"      # a minute or two: one raid, fewer loads
"""


def write(docs: Path, result: Result) -> None:
    """The page and its picture."""
    pictures = docs / "images" / "performance"
    pictures.mkdir(parents=True, exist_ok=True)
    draw(result, pictures)
    (docs / "performance.md").write_text(page(result), encoding="utf-8")
    print(f"{docs / 'performance.md'} is written")


def page(result: Result) -> str:
    """The whole page, as markdown."""
    table_us = 1e3 * np.median([row.table_ms for row in result.rows if row.table_ms is not None])
    parts = [
        HEAD.format(minutes=max(result.minutes, 1.0), machine=result.machine),
        _targets(result),
        _side_by_side(result.rows),
        _ratios(result.rows),
        _possible(result),
        _curve(result.curve),
        FAIR.format(table_us=table_us),
        AGAIN,
    ]
    return "\n".join(parts)


def _targets(result: Result) -> str:
    body = [[v.target, v.measured, "yes" if v.met else "**no**"] for v in verdicts(result)]
    return "## What it is held against\n\n" + table(["target", "measured", "met"], body)


def _side_by_side(rows: list[Row]) -> str:
    body = []
    for objects in loads(rows):
        for tracker in (OURS, LEARNT, TUNED, STOCK):
            own = of(rows, tracker, objects)
            if own:
                body.append([str(objects), tracker, str(len(own)), *_times(own), *_scores(own)])
    head = ["objects", "tracker", "raids", "median ms", "95 %", "99 %", "GOSPA, m", "localisation, missed, false, m"]
    return (
        "## Side by side\n\nTime per scan; GOSPA as its mean over the raids, with the standard deviation between them."
        " The squares of its three parts add up to its mean square.\n\n"
        + table([*head, "objects found, %", "false tracks"], body)
    )


def _times(own: list[Row]) -> list[str]:
    return [f"{ms:.2f}" if ms < 10.0 else f"{ms:.0f}" for ms in np.percentile(times_ms(own), [50, 95, 99])]


def _scores(own: list[Row]) -> list[str]:
    gospa, parts = [row.gospa_m for row in own], np.sqrt(np.mean([row.parts_m2 for row in own], axis=0))
    spread = f" ± {np.std(gospa, ddof=1):.2f}" if len(own) > 1 else ""
    return [
        f"{np.mean(gospa):.2f}{spread}",
        ", ".join(f"{part:.2f}" for part in parts),
        f"{100 * np.mean([row.found for row in own]):.2f}",
        f"{np.mean([row.false_tracks for row in own]):.2f}",
    ]


def _ratios(rows: list[Row]) -> str:
    body = []
    for objects in loads(rows):
        line = [str(objects)]
        for tracker in (OURS, LEARNT):
            ratios = gospa_ratios(rows, objects, tracker)
            line.append(f"{ratios.mean():.3f} ({ratios.min():.3f} to {ratios.max():.3f})")
        peers = [peer for peer in (TUNED, STOCK) if of(rows, peer, objects)]
        body.append([*line, *(f"{time_ratio(rows, objects, peer):.0f}" for peer in peers), *["–"] * (2 - len(peers))])
    head = ["objects", "GOSPA over the tuned peer's (least to most of the raids)", "the same, radar learnt"]
    return (
        "Ratios raid by raid; of times, those of the medians:\n\n"
        + table([*head, "time of Stone Soup, tuned, over ours", "of its library parts"], body)
    )  # fmt: skip


POSSIBLE = """## What is possible

The Cramér–Rao bound of where the rounds are (`benchmarks/tracking/bound.py`), each taken alone: no tracker whose errors
are unbiased does better with these plots, unless it knows more. Two are given: with the drag known to 20 % beforehand,
as a catalogue of threats knows it, and with the drag known exactly. The tuned peer is so near the first that no more
than the last column is left to win. That opencram is below the first is its looking at the salvo: rounds of one lot
share their drag.
"""


def _possible(result: Result) -> str:
    body = []
    for objects in loads(result.rows):
        ours, peer = (rms_m(of(result.rows, tracker, objects)) for tracker in (OURS, TUNED))
        usual, exact = bounds_m(result.bounds, objects)
        figures = f"{usual:.2f}", f"{exact:.2f}", f"{ours / usual:.3f}", f"{peer / usual:.3f}"
        body.append([str(objects), *figures, f"{usual / peer:.3f}", f"{exact / peer:.3f}"])
    head = [
        "objects",
        "bound, m, root mean square",
        "with the drag known",
        "opencram over the bound",
        "tuned peer over it",
    ]
    return POSSIBLE + "\n" + table([*head, "bound over tuned peer", "with the drag known"], body)


def _curve(curve: list[Row]) -> str:
    body = []
    for objects in loads(curve):
        own = of(curve, OURS, objects)
        worst, scans = max(times_ms(own)), len(times_ms(own))
        refused = sum(row.refused for row in own)
        line = [f"{objects:,}", str(scans), *_times(own), f"{worst:.1f}", *_scores(own)[2:], f"{refused:,}"]
        body.append([*line[:6], f"{np.mean([row.gospa_m for row in own]):.1f}", *line[6:]])
    head = ["objects, and false plots a scan", "scans", "median ms", "95 %", "99 %", "worst", "GOSPA, m"]
    dense = [median_ms(of(curve, OURS, n)) for n in loads(curve) if n >= CROWDED]
    top = f", {growth(curve, CROWDED):.2f} from {CROWDED} on" if len(dense) > 1 else ""
    return (
        "## Load\n\n![Time per scan against load](images/performance/load.svg)\n\nopencram alone, on one core, with as"
        " many false plots a scan as there are objects. The median time grows as the load to the power of"
        f" {growth(curve):.2f}{top}. Beyond {DENSE} objects the launch area grows with their number (its near side"
        f" stays 5 km away), so that they are as dense as {DENSE} are in the raid; the radar sees to"
        f" {WIDE_FAR_M / 1e3:.0f} km.\n\n"
        + table([*head, "objects found, %", "false tracks", "plots refused, table full"], body)
    )
