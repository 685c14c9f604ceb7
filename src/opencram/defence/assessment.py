"""What came of an engagement, told from the tracks alone: the object flies on, or is gone.

What was shot down leaves its path, for its pieces are kicked about and slow down, or is seen no more. What was missed
is where it was going to be. Nobody is told what the simulated world has drawn.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from opencram.defence.windows import Target, path_of
from opencram.physics.layout import Layout
from opencram.tables import FloatArray

Verdict = Literal["", "gone", "flies on", "lost"]

GATE = 4.0
"""An object has left its path when it is more than this many sigma away,"""
LEAST_AWAY_M = 12.0
"""each sigma no smaller than a quarter of this: a filter that has just jumped is off by more than it says."""
OFF_PLOTS = 3
"""It is gone when so many plots in a row lie off its path,"""
SILENT_NS = 600_000_000
SILENT_GAPS = 4
"""or when none has come for so long, and for so many of its longest gaps, though a radar should see it."""
ON_NS = 600_000_000
ON_PLOTS = 2
"""It flies on when it was on its path for so long and so many plots after the intercept."""
LOOK_NS = 1_000_000_000
"""About how long after an intercept it takes to tell."""
NO_VERDICT_NS = 5_000_000_000
"""After this nobody will: the object is free again."""
REVISED_NS = 15_000_000_000
"""So long after the intercept a verdict may still be revised: what was taken for dead is seen again on its path."""


@dataclass
class Watch:
    """One engagement that is over, and what has been seen of its object since."""

    engagement: int
    track: int
    intercept_ns: int
    reference: Target
    """The object as of its newest plot before the intercept."""
    last_ns: int
    """Its newest plot since, or the intercept."""
    on: int = 0
    """Plots in a row on its path, since when,"""
    on_since_ns: int = 0
    off: int = 0
    """and off its path; one of the two is 0."""
    away_m: float = 0.0
    verdict: Verdict = ""


def look(watch: Watch, time_ns: int, mean: FloatArray, cov: FloatArray, layout: Layout) -> None:
    """Take in a state of the track, as of a plot."""
    if time_ns <= watch.last_ns:
        return
    expected = path_of(watch.reference, time_ns, 0, layout)
    away = mean[:3] - expected.pos_enu_m[0]
    spread = expected.cov_m2[0] + cov[:3, :3] + (LEAST_AWAY_M / GATE) ** 2 * np.eye(3)
    watch.last_ns, watch.away_m = time_ns, float(np.sqrt((away**2).sum()))
    if float(away @ np.linalg.solve(spread, away)) > GATE**2:
        watch.off, watch.on = watch.off + 1, 0
        return
    if not watch.on:
        watch.on_since_ns = time_ns
    watch.on, watch.off = watch.on + 1, 0


def judge(watch: Watch, now_ns: int, layout: Layout) -> Verdict:
    """What can be told by now; empty while nothing can."""
    if watch.off >= OFF_PLOTS:
        return "gone"
    if watch.on >= ON_PLOTS and watch.last_ns - watch.on_since_ns >= ON_NS:
        return "flies on"
    silent_ns = max(SILENT_NS, SILENT_GAPS * watch.reference.gap_ns)
    if now_ns - watch.last_ns > silent_ns and _should_be_seen(watch, now_ns, layout):
        return "gone"
    return "lost" if now_ns > watch.intercept_ns + NO_VERDICT_NS else ""


def _should_be_seen(watch: Watch, now_ns: int, layout: Layout) -> bool:
    """Whether a radar covers where the object would be if it flew on."""
    place = path_of(watch.reference, now_ns, 0, layout).pos_enu_m
    return any(bool(layout.covered(sensor, place)[0]) for sensor in range(len(layout.sensor_enu_m)))


def why(watch: Watch) -> str:
    """What the verdict rests on, in words."""
    if watch.verdict == "flies on":
        return f"{watch.on} plots in a row on its path after the intercept"
    if watch.verdict == "lost":
        return "too little was seen of it after the intercept"
    if watch.off >= OFF_PLOTS:
        return f"{watch.off} plots in a row off its path, the last by {watch.away_m:.0f} m"
    return "no plot of it since the intercept, where a radar should see it"
