"""How a flyer has flown so far: whether it held a straight course for a while.

What attacks comes from somewhere and holds its course; birds wander, and what jumps between echoes of the ground goes
nowhere. Positions tell that better than velocities: their noise does not grow with the tracker's freedom to turn.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.tables import FloatArray, IntArray

SAMPLE_NS = 1_000_000_000
KEPT = 31
"""Positions kept, so that the last half minute is known."""
WINDOWS_S = (10.0, 15.0, 20.0, 30.0)
LASTS_NS = 30_000_000_000
"""It counts for so long after: what comes on may turn between two legs."""
STRAIGHT_M = 300.0
STRAIGHT_SHARE = 0.02
"""A course is straight whose places stray, root mean square, by at most this share of its length, which is at least so
many metres, from even motion along a line."""


@dataclass
class Course:
    """One track's way; times ns, places (k, 2) east and north, m."""

    times_ns: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    places_enu_m: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    counts: IntArray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    """At each place how often it had been seen, and how many plots of its own it had had, (k, 2)."""
    looks: int = 0
    """How often it has been seen."""
    straight_ns: int = -1
    """When it last had held a straight course for ten seconds or more; -1: never."""
    speed_mps: float = 0.0
    """Over the ground, along that straight course."""
    own_share: float = 0.0
    """How many of the plots along it were not another track's as well."""


def note(course: Course | None, time_ns: int, enu_m: FloatArray, plots: int) -> Course:
    """The course with one more position (2,) or (3,), changed in place; sampled each SAMPLE_NS.

    `plots` is how many plots of its own the track has had.
    """
    if course is None:
        course = Course()
    course.looks += 1
    if len(course.times_ns) and time_ns - int(course.times_ns[-1]) < SAMPLE_NS:
        return course
    course.times_ns = np.append(course.times_ns, time_ns)[-KEPT:]
    course.places_enu_m = np.vstack([course.places_enu_m, enu_m[:2]])[-KEPT:]
    course.counts = np.vstack([course.counts, [course.looks, plots]])[-KEPT:]
    for window_s in WINDOWS_S:
        first = int(np.searchsorted(-course.times_ns[::-1], window_s * 1e9 - time_ns))
        if first >= len(course.times_ns):
            break
        start = len(course.times_ns) - 1 - first
        speed = _straight_speed(course, start)
        if speed is not None:
            looks, own = (course.counts[-1] - course.counts[start]).tolist()
            course.straight_ns, course.speed_mps, course.own_share = time_ns, speed, own / looks
            break
    return course


def _straight_speed(course: Course, first: int) -> float | None:
    """Speed over the ground from place `first` on; None where the way from there is short, bent or uneven."""
    times_s = (course.times_ns[first:] - course.times_ns[first]) * 1e-9
    times_s -= times_s.mean()
    places = course.places_enu_m[first:] - course.places_enu_m[first:].mean(axis=0)
    vel = (times_s[:, None] * places).sum(axis=0) / (times_s * times_s).sum()
    speed = math.hypot(*vel.tolist())
    length_m = speed * float(times_s[-1] - times_s[0])
    off = places - times_s[:, None] * vel
    strays_m = math.sqrt(float((off * off).sum()) / len(off))
    return speed if length_m >= STRAIGHT_M and strays_m <= STRAIGHT_SHARE * length_m else None


def comes_on(course: Course, now_ns: int, slowest_mps: float, fastest_mps: float) -> bool:
    """Whether it lately held a straight course at a speed in this span."""
    lately = course.straight_ns >= 0 and now_ns - course.straight_ns <= LASTS_NS
    return lately and slowest_mps <= course.speed_mps <= fastest_mps
