"""What flies by its own power: along a path, alone or in a flock, steady or wandering, to a target or away."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from opencram.physics.threats import Threat
from opencram.world.flown import NS, Floats, Flown, Setting
from opencram.world.rng import generator
from opencram.world.scenario import Flight, Flock

FLIGHT_STEP_NS = 100_000_000
STANDARD_GRAVITY_MPS2 = 9.80665
LONGEST_PATH_S = 86_400.0
BRAKE_MPS2 = 2.0
"""What hovers slows down and sets off by this (assumed: a gentle helicopter's)."""
HOLD_FINER = 200
"""Steps into which a row of the path is cut where something slows down."""
WANDER_PERIODS_S, FLUTTER_PERIODS_S = (20.0, 80.0), (4.0, 15.0)
"""A flock's course comes round in these times, each bird's place in the flock in those (assumed)."""
WAVES = 3
FLAT_SHARE = 0.3
"""A flock is so much flatter than it is wide (assumed)."""


def flight(group: Flight, threat: Threat, name: str, start_ns: int, setting: Setting, seed: int) -> Flown:
    """One thing that flies a path, and dives on its target or leaves."""
    rng = generator(seed, "object", name)
    shift = np.append(group.spread_m.value * rng.standard_normal(2), 0.0)
    points = [setting.point(p.value) + shift for p in group.path]
    holds = [(at, p.value.hold_s) for at, p in zip(points, group.path, strict=True) if p.value.hold_s > 0.0]
    zone, aimed = None, None
    if group.target is not None:
        zone, aimed = group.target.zone.value, setting.ground_point(group.target.at.value)
        points += _dive(points[-1], aimed, math.radians(group.dive_deg.value))
    speed = group.speed_mps.value
    turn_radps = STANDARD_GRAVITY_MPS2 * math.tan(math.radians(group.bank_deg.value)) / speed
    path = follow(np.array(points), speed, turn_radps, FLIGHT_STEP_NS / NS)
    if holds:
        path = with_holds(path, holds, speed, FLIGHT_STEP_NS / NS)
    end_ns = start_ns + (len(path) - 2) * FLIGHT_STEP_NS
    end = aimed if aimed is not None else path[-2, :3].copy()
    return Flown(name, threat, start_ns, FLIGHT_STEP_NS, path, end_ns, end, aimed is not None, zone, aimed, group.own)


def flock(
    group: Flock, threat: Threat, ids: Sequence[str], starts_ns: Sequence[int], setting: Setting, seed: int
) -> list[Flown]:
    """Birds about one wandering way, each with a place of its own in the flock, about which it flutters."""
    rng, step_s = generator(seed, "flock", group.id), FLIGHT_STEP_NS / NS
    speed = group.speed_mps.value
    points = np.array([setting.point(p.value) for p in group.path])
    turn_radps = STANDARD_GRAVITY_MPS2 * math.tan(math.radians(group.bank_deg.value)) / speed
    wander = _sway(rng, math.radians(group.wander_deg.value), WANDER_PERIODS_S)
    way = follow(points, speed, turn_radps, step_s, lambda t: float(wander(np.array([t], np.float64))[0][0]))
    times: Floats = np.arange(len(way), dtype=np.float64) * step_s
    flown = []
    for name, start_ns in zip(ids, starts_ns, strict=True):
        rng = generator(seed, "object", name)
        path = way.copy()
        path[:, :3] += group.spread_m.value * rng.standard_normal(3) * [1.0, 1.0, FLAT_SHARE]
        for axis in range(3):
            offset, rate = _sway(rng, group.flutter_m.value, FLUTTER_PERIODS_S)(times)
            path[:, axis] += offset
            path[:, 3 + axis] += rate
        end_ns = start_ns + (len(path) - 2) * FLIGHT_STEP_NS
        flown.append(
            Flown(name, threat, start_ns, FLIGHT_STEP_NS, path, end_ns, path[-2, :3].copy(), False, None, None)
        )
    return flown


def _sway(
    rng: np.random.Generator, sigma: float, periods_s: tuple[float, float]
) -> Callable[[Floats], tuple[Floats, Floats]]:
    """A value that sways about 0 with this sigma, and its rate, at any times: a few waves with drawn periods."""
    omega = 2.0 * math.pi / rng.uniform(*periods_s, WAVES)
    phase = rng.uniform(0.0, 2.0 * math.pi, WAVES)
    size = sigma * math.sqrt(2.0 / WAVES)

    def at(times_s: Floats) -> tuple[Floats, Floats]:
        angle = omega * times_s[:, None] + phase
        return size * np.sin(angle).sum(axis=1), size * (omega * np.cos(angle)).sum(axis=1)

    return at


def with_holds(path: Floats, holds: Sequence[tuple[Floats, float]], speed_mps: float, step_s: float) -> Floats:
    """The same way (n, 6) flown with halts: it slows to each point of `holds`, hovers there so long, and sets off."""
    row_m = speed_mps * step_s * np.arange(len(path))
    stops = [(int(np.argmin(((path[:, :3] - at) ** 2).sum(axis=1))), hold_s) for at, hold_s in holds]
    way_m = np.linspace(0.0, row_m[-1], HOLD_FINER * (len(path) - 1) + 1)
    away_m = np.min([np.abs(way_m - row_m[row]) for row, _ in stops], axis=0)
    pace = np.minimum(np.sqrt(2.0 * BRAKE_MPS2 * away_m), speed_mps)
    times = np.concatenate([[0.0], np.cumsum(np.diff(way_m) / (0.5 * (pace[1:] + pace[:-1])))])
    for row, hold_s in sorted(stops, reverse=True):
        # it is there twice: when it comes and when it goes
        at = HOLD_FINER * row
        times = np.concatenate([times[: at + 1], times[at:] + hold_s])
        way_m = np.concatenate([way_m[: at + 1], way_m[at:]])
    at_m = np.interp(np.arange(0.0, times[-1] + step_s, step_s), times, way_m)
    found = np.column_stack([np.interp(at_m, row_m, path[:, k]) for k in range(6)])
    found[:, 3:] *= (np.gradient(at_m, step_s) / speed_mps)[:, None]
    return found


def _dive(last: Floats, target: Floats, angle_rad: float) -> list[Floats]:
    """Level to where the dive begins, then down to the target; at once if it is nearer than that."""
    away = last - target
    level = math.hypot(away[0], away[1])
    reach = away[2] / math.tan(angle_rad)
    if reach >= level or reach <= 0.0:
        return [target]
    entry = target + np.array([away[0] * reach / level, away[1] * reach / level, away[2]])
    return [entry, target]


def follow(
    points: Floats,
    speed_mps: float,
    turn_radps: float,
    step_s: float,
    wander: Callable[[float], float] | None = None,
) -> Floats:
    """Fly by the points (k, 3) at a speed with a limited rate of turn, (n, 6) rows of position and velocity.

    `wander` gives the angle (rad) by which its course is off at a time (s). Corners are cut as a turning aircraft cuts
    them. The last row but one is at the last point (to within a step), or where it came nearest; one row more goes
    straight on.
    """
    pos, heading, leg = points[0].copy(), _unit(points[1] - points[0]), 1
    step_m = speed_mps * step_s
    rows = [np.concatenate([pos, heading * speed_mps])]
    for k in range(round(LONGEST_PATH_S / step_s)):
        away = points[leg] - pos
        while leg < len(points) - 1 and _norm(away) <= max(step_m, _lead_m(points, leg, speed_mps / turn_radps)):
            leg += 1
            away = points[leg] - pos
        # the last point is reached, or lies behind within the turning circle and never will be
        if leg == len(points) - 1 and (
            _norm(away) < step_m or (away @ heading < 0.0 and _norm(away) < 2.0 * speed_mps / turn_radps)
        ):
            break
        wanted = _unit(away) if wander is None else _turned(_unit(away), wander(k * step_s))
        turned = _towards(heading, wanted, turn_radps * step_s)
        pos = pos + 0.5 * step_m * (heading + turned)
        heading = turned
        rows.append(np.concatenate([pos, heading * speed_mps]))
    rows.append(np.concatenate([pos + step_m * heading, heading * speed_mps]))
    return np.array(rows)


def _turned(heading: Floats, angle_rad: float) -> Floats:
    c, s = math.cos(angle_rad), math.sin(angle_rad)
    return np.array([c * heading[0] + s * heading[1], c * heading[1] - s * heading[0], heading[2]])


def _lead_m(points: Floats, leg: int, radius_m: float) -> float:
    """How far before a corner the turn into the next leg begins; at most half of either leg."""
    before, after = points[leg] - points[leg - 1], points[leg + 1] - points[leg]
    angle = math.acos(max(-1.0, min(1.0, float(_unit(before) @ _unit(after)))))
    return min(radius_m * math.tan(min(angle, 2.8) / 2.0), 0.5 * _norm(before), 0.5 * _norm(after))


def _towards(heading: Floats, wanted: Floats, most_rad: float) -> Floats:
    """A unit vector turned towards another by at most an angle."""
    cosine = max(-1.0, min(1.0, float(heading @ wanted)))
    angle = math.acos(cosine)
    if angle <= most_rad:
        return wanted
    side = wanted - cosine * heading
    if _norm(side) < 1e-9:
        side = np.array([-heading[1], heading[0], 0.0])
    return math.cos(most_rad) * heading + math.sin(most_rad) * _unit(side)


def _norm(vector: Floats) -> float:
    return math.sqrt(float(vector @ vector))


def _unit(vector: Floats) -> Floats:
    return vector / max(_norm(vector), 1e-9)
