"""docs/salvos.md: the tables that the rows make."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from accuracy.page import table
from salvos.picture import draw
from salvos.sky import CASES, FIFTY, LAUNCHES, RAGGED, SEVEN, Case
from salvos.trial import IN_TIME_S, Row

SHARE = 0.95
"""Of the seeds, in which the count must be right and every object confirmed in time."""
OFF = {SEVEN: 0, FIFTY: 1, RAGGED: 1}
"""By how many the count may be wrong."""
FAR_OFF = 5
"""Counts that are further off than this stand together."""
SHOWN = Case("rocket-122", FIFTY, True)

HEAD = """# Salvos: does it count what was launched?

`make salvos` writes this page anew; this one was written in {minutes:.0f} min on {workers} processes by

    make salvos SALVOS_ARGS="--seeds {sevens} --fifties {fifties}"

The count is what people see first, and what a defence is planned by: a rocket counted twice is a phantom, two counted
as one are a surprise. So rockets are rippled on nearly the same path, 7 with gaps of 0.2 to 0.5 s, 50 with gaps of
0.2 s, and 50 at any times within 10 s (ragged: some leave nearly together). A salvo is of one class and one
elevation; each rocket differs by 0.5 degrees of pointing, 1 % of speed and 10 % of drag, and falls within 100 m (one
sigma) of a point 1 km in front of the radar. The radar sees 120 degrees and 25 km, above one degree: a 122 mm rocket
that comes from 20 km enters once and leaves at its fall. It looks ten times a second, with errors of 10 m and 2 mrad,
sees 9 looks of 10 and makes 20 false plots a scan.

- **apart**: the radar keeps any two apart, and its site says so.
- **merged**: it makes one plot, at their middle, of what lies within one resolution cell (30 m, 1.5 by 1.5 degrees) of
  the nearest in it, and its site says so. The chance of detection is that of one object. At 20 km the cell is 500 m
  wide: only range keeps a salvo apart.

Counted is every confirmed track that was ever called ballistic or ever lay within 150 m of an object. An object is
confirmed once a confirmed track is paired with it, one to one and within 150 m, as GOSPA does; that is timed from its
**fifth plot**. A merged plot is nobody's: an object's own plots are those of looks in which it was alone in its cell,
and one that was alone less than five times is not timed. Where several share a cell their tracks lie in the middle
between them, up to half a cell from each: at 20 km that is beyond 150 m, and a young object may be late for that.
"""

AGAIN = """## To repeat it

    make salvos
    make salvos SALVOS_ARGS="--seeds 10 --fifties 3"      # a minute or two
    make salvos SALVOS_ARGS="--rows ../runs/salvos.json"      # keeps every salvo's figures, by seed

A salvo depends on its line and its seed alone. The first seeds of each are held in CI by `tests/test_salvos.py`.
"""


class Result(msgspec.Struct, frozen=True):
    """What a run measured."""

    minutes: float
    workers: int
    rows: list[Row]

    def of(self, case: Case) -> list[Row]:
        """The rows of one case."""
        return [row for row in self.rows if row.case == case]


def write(docs: Path, result: Result) -> None:
    """The page and its picture."""
    pictures = docs / "images" / "salvos"
    pictures.mkdir(parents=True, exist_ok=True)
    draw(SHOWN, 0, pictures / "fifty.svg")
    (docs / "salvos.md").write_text(page(result), encoding="utf-8")
    print(f"{docs / 'salvos.md'} is written")


def page(result: Result) -> str:
    """The whole page, as markdown."""
    parts = [
        HEAD.format(
            minutes=max(result.minutes, 1.0),
            workers=result.workers,
            sevens=len({row.seed for row in result.rows if row.launches == SEVEN}),
            fifties=len({row.seed for row in result.rows if row.launches != SEVEN}),
        ),
        _targets(result),
        _lines(result, COUNT_HEAD, _count) + COUNT_WORDS,
        "## The tracks\n\nAll in the mean of a salvo; GOSPA's cut-off is 150 m.\n\n"
        + _lines(result, TRACK_HEAD, _tracks)
        + TRACK_WORDS,
        _picture(),
        AGAIN,
    ]
    return "\n".join(parts)


def _targets(result: Result) -> str:
    body = []
    for merged in (False, True):
        for launches in LAUNCHES:
            rows = [row for row in result.rows if row.launches == launches and row.merged == merged]
            if not rows:
                continue
            right, timely = share(rows, is_right), share(rows, lambda row: row.late == 0)
            objects = 1.0 - sum(row.late for row in rows) / max(sum(row.timed for row in rows), 1)
            target = "exact" if OFF[launches] == 0 else f"within {OFF[launches]}"
            line = [launches, _radar(merged), target, _percent(right), _met(right)]
            body.append([*line, _percent(timely), _percent(objects), _met(timely)])
    head = ["salvo", "radar", "count", "of salvos", "met", f"all confirmed {IN_TIME_S:g} s after their fifth plot"]
    return (
        f"## What it is held against\n\nAll classes together; {100 * SHARE:.0f} % of the salvos are asked for.\n\n"
        + table([*head, "of objects", "met"], body)
    )


def is_right(row: Row) -> bool:
    """Whether the count is as near as is asked."""
    return abs(row.counted - row.launched) <= OFF[row.launches]


def share(rows: list[Row], good: Callable[[Row], bool]) -> float:
    """Of the rows, how many are."""
    return sum(map(good, rows)) / max(len(rows), 1)


COUNT_WORDS = """
Off by: tracks beyond those launched, and in how many salvos. Late objects are of those timed.
"""
COUNT_HEAD = ["salvos", "exact", "within 1", "off by", "late objects", "salvos with none late"]


def _count(rows: list[Row]) -> list[str]:
    off = Counter(max(-FAR_OFF, min(FAR_OFF, row.counted - row.launched)) for row in rows)
    told = [f"{_off(by)}: {n}" for by, n in sorted(off.items())]
    return [
        str(len(rows)),
        _percent(share(rows, lambda row: row.counted == row.launched)),
        _percent(share(rows, lambda row: abs(row.counted - row.launched) <= 1)),
        ", ".join(told),
        f"{sum(row.late for row in rows)} of {sum(row.timed for row in rows):,}",
        _percent(share(rows, lambda row: row.late == 0)),
    ]


def _off(by: int) -> str:
    return f"{by:+d}{' or more' if abs(by) == FAR_OFF else ''}" if by else "0"


TRACK_HEAD = ["doubled", "never tracked", "handed on", "swaps", "false", "GOSPA, m", "us a scan, median", "99 %"]
TRACK_WORDS = """
Doubled: tracks beyond one for each object. Handed on: an object passes from one track to another; swaps: a track passes
from one object to another, each for a second or more; where several share plots nobody can tell them apart, and the
nearest is taken. Time is the processor's, for tracking alone.
"""


def _tracks(rows: list[Row]) -> list[str]:
    names = ("doubled", "missed", "broken", "swaps", "false")
    means = [f"{np.mean([getattr(row, name) for row in rows]):.2f}" for name in names]
    times = np.percentile(np.concatenate([row.scan_us for row in rows]), [50, 99])
    return [*means, f"{np.mean([row.gospa_m for row in rows]):.0f}", *(f"{us:,.0f}" for us in times)]


def _lines(result: Result, head: list[str], told: Callable[[list[Row]], list[str]]) -> str:
    """A line for each case that was run."""
    own = [(case, result.of(case)) for case in CASES]
    body = [[case.launches, _radar(case.merged), case.cls, *told(rows)] for case, rows in own if rows]
    return table(["salvo", "radar", "class", *head], body)


def _picture() -> str:
    return (
        "## What it looks like\n\n![One salvo of fifty](images/salvos/fifty.svg)\n\n"
        f"Fifty of {SHOWN.cls} at gaps of 0.2 s, seen by the radar that merges (seed 0): a line is a track, a dot\n"
        "is a plot. Below, the middle of it for a few seconds: where lines run into each other one plot stands for\n"
        "several.\n"
    )


def _radar(merged: bool) -> str:
    return "merged" if merged else "apart"


def _met(part: float) -> str:
    return "yes" if part >= SHARE else "**no**"


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %" if part in (0.0, 1.0) else f"{100 * part:.1f} %"
