"""How a flyer has flown so far: how far it has come, and whether it held a straight course for a while.

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
STRAIGHT_M = 300.0
STRAIGHT_SHARE = 0.02
"""A course is straight that strays, root mean square, by at most this share of at least so many metres. Drawn birds
(course off by 10 to 30 degrees, one sigma, within 20 to 80 s) do so for a third of their time: it tells clutter from
flight, and a bird is told by its speed."""


@dataclass
class Course:
    """One track's way; times ns, places (k, 2) east and north, m."""

    first_enu_m: FloatArray
    times_ns: IntArray = field(default_factory=lambda: np.empty(0, np.int64))
    places_enu_m: FloatArray = field(default_factory=lambda: np.empty((0, 2)))
    way_m: float = 0.0
    """The farthest that it was seen from where it was first followed."""
    straight_ns: int = -1
    """When it last held a straight course; -1: never."""
    speed_mps: float = 0.0
    """Over the ground, along that straight course."""


def note(course: Course | None, time_ns: int, enu_m: FloatArray) -> Course:
    """The course with one more position (2,) or (3,), changed in place; sampled each SAMPLE_NS."""
    if course is None:
        course = Course(enu_m[:2].copy())
    if len(course.times_ns) and time_ns - int(course.times_ns[-1]) < SAMPLE_NS:
        return course
    course.times_ns = np.append(course.times_ns, time_ns)[-KEPT:]
    course.places_enu_m = np.vstack([course.places_enu_m, enu_m[:2]])[-KEPT:]
    course.way_m = max(course.way_m, math.dist(enu_m[:2], course.first_enu_m))
    for window_s in WINDOWS_S:
        first = int(np.searchsorted(-course.times_ns[::-1], window_s * 1e9 - time_ns))
        if first >= len(course.times_ns):
            break
        speed = _straight_speed(course, len(course.times_ns) - 1 - first)
        if speed is not None:
            course.straight_ns, course.speed_mps = time_ns, speed
            break
    return course


def _straight_speed(course: Course, first: int) -> float | None:
    """Speed over the ground from place `first` on; None where the way from there is short or not straight."""
    places = course.places_enu_m[first:]
    east, north = (places[-1] - places[0]).tolist()
    length_m = math.hypot(east, north)
    if length_m < STRAIGHT_M:
        return None
    aside = ((places[:, 0] - places[0, 0]) * north - (places[:, 1] - places[0, 1]) * east) / length_m
    if float(aside.std()) > STRAIGHT_SHARE * length_m:
        return None
    return length_m / (int(course.times_ns[-1] - course.times_ns[first]) * 1e-9)
