"""What each zone faces at one tick, summed up over the objects that endanger it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np

from opencram.physics.threats import catalogue
from opencram.tables import UNKNOWN, BoolArray, FloatArray, IntArray, Threats
from opencram.warning.rules import LEAVE_SHARE, Rules, ZoneRules

SECOND_NS = 1_000_000_000


@dataclass(frozen=True)
class Picture:
    """What one zone faces at one tick."""

    p: float
    """Chance that anything that counts hits the zone."""
    p_pressing: float
    """The same of what leaves no time to know better."""
    p_falling: float
    """The same of what falls, whose end is foreseen: of a drone only what it can reach is."""
    tracks: tuple[int, ...]
    """The objects that matter, by number."""
    kind: str
    first_ns: int
    """When the first impact is due, also where just past; 0: nothing is coming."""
    next_ns: int
    """The first impact still to come; 0: none."""
    last_ns: int
    """By when the last of them must have come down."""

    def alerts(self, rules: Rules) -> bool:
        """Whether it is worth an alarm now."""
        return self.p_pressing >= rules.alert_p or self.p_falling >= rules.sure_p


NOTHING = Picture(0.0, 0.0, 0.0, (), "", 0, 0, 0)


NEVER_NS = np.iinfo(np.int64).max
UNSEEN_NS = 5_000_000_000
"""What gave no plot for so long, five looks of a slow radar, is not waited for: it may give none any more."""
DRONE_LATE_NS = 60_000_000_000
"""A drone's time is that of its earliest arrival: it may come so much later, by a detour, out of sight."""


@dataclass(frozen=True, eq=False)
class _Facing:
    """The rows of threats that count, in the order of zones and within a zone in that of the table."""

    zone: IntArray
    track: IntArray
    p: FloatArray
    impact_ns: IntArray
    drone: BoolArray
    debris: BoolArray
    pressing: BoolArray


def pictures(threats: Threats, rules: ZoneRules, wanted: Iterable[int], now_ns: int) -> dict[int, Picture]:
    """By the zone's index: those that are as good as pre-alerted, and of the `wanted` all that face anything."""
    facing = _facing(threats, rules, now_ns)
    if not len(facing.zone):
        return {}
    zones, starts, counts = np.unique(facing.zone, return_index=True, return_counts=True)
    p, p_pressing, p_falling = (
        any_of(np.where(which, facing.p, 0.0), starts) for which in (True, facing.pressing, ~facing.drone)
    )
    worst = _worst(facing, starts, counts)
    matter = facing.p >= rules.pre_alert_p[facing.zone]
    matter[worst[~np.logical_or.reduceat(matter, starts)]] = True
    rows = np.flatnonzero(matter)
    first = np.searchsorted(facing.zone[rows], zones)
    due_ns = facing.impact_ns[rows]
    next_ns = np.minimum.reduceat(np.where(due_ns > now_ns, due_ns, NEVER_NS), first)
    columns = (
        *(p, p_pressing, p_falling, np.append(first, len(rows))[1:], first, _kinds(facing)[worst]),
        *(
            np.minimum.reduceat(due_ns, first),
            np.where(next_ns < NEVER_NS, next_ns, 0),
            np.maximum.reduceat(due_ns + np.where(facing.drone[rows], DRONE_LATE_NS, 0), first),
        ),
    )
    tracks = facing.track[rows].tolist()
    doubled = bool(facing.debris[rows].any())
    asked = (p >= LEAVE_SHARE * rules.pre_alert_p[zones]) | np.isin(zones, np.array(sorted(wanted), np.int64))
    found = {}
    for zone, *told in zip(zones[asked].tolist(), *(column[asked].tolist() for column in columns), strict=True):
        p_any, p_now, p_falls, end, begin, kind, first_ns, next_due_ns, last_ns = told
        its = tracks[begin:end]
        its = tuple(dict.fromkeys(its) if doubled else its)
        found[zone] = Picture(p_any, p_now, p_falls, its, KINDS[kind], first_ns, next_due_ns, last_ns)
    return found


def any_of(p: FloatArray, starts: IntArray) -> FloatArray:
    """The chance of any of several independent events, for each stretch of `p` that begins at one of `starts`."""
    chance: FloatArray = 1.0 - np.multiply.reduceat(1.0 - p, starts)
    return chance


def _facing(threats: Threats, rules: ZoneRules, now_ns: int) -> _Facing:
    """A drone that is still far counts for nothing yet; what falls unseen presses, since waiting teaches nothing."""
    left_s = (threats.impact_time_ns - now_ns) / SECOND_NS
    drone = _flies(threats.cls) & ~threats.debris
    zone = threats.zone
    counts = np.flatnonzero(~drone | (left_s <= rules.drone_pre_alert_s[zone]))
    rows = counts[np.argsort(zone[counts], kind="stable")]
    zone, drone = zone[rows], drone[rows]
    pressing = left_s[rows] <= np.where(drone, rules.drone_last_s[zone], rules.last_s[zone])
    pressing |= ~drone & (now_ns - threats.time_ns[rows] > UNSEEN_NS)
    track, p, impact_ns = threats.track[rows], threats.p_hit[rows], threats.impact_time_ns[rows]
    return _Facing(zone, track, p, impact_ns, drone, threats.debris[rows], pressing)


def _worst(facing: _Facing, starts: IntArray, counts: IntArray) -> IntArray:
    """Row of each zone's likeliest object; of those alike the one that comes first, then the older."""
    zone = np.repeat(np.arange(len(starts)), counts)
    likeliest = np.flatnonzero(facing.p == np.maximum.reduceat(facing.p, starts)[zone])
    order = likeliest[np.lexsort((facing.track[likeliest], facing.impact_ns[likeliest], zone[likeliest]))]
    worst: IntArray = order[np.searchsorted(zone[order], np.arange(len(starts)))]
    return worst


KINDS = ("rocket", "drone", "debris")


def _kinds(facing: _Facing) -> IntArray:
    """Index into KINDS of each row: what falls and is no debris is told as a rocket."""
    kinds: IntArray = np.where(facing.debris, 2, np.where(facing.drone, 1, 0))
    return kinds


def _flies(cls: IntArray) -> BoolArray:
    """What flies by its own power; all else falls like a rocket, and so does what is not known."""
    flies: BoolArray = _families()[cls]
    return flies


@cache
def _families() -> BoolArray:
    """Whether each class is a drone; the last is UNKNOWN's, whose index is -1."""
    assert UNKNOWN == -1
    return np.array([*(threat.family == "drone" for threat in catalogue().values()), False], np.bool_)
