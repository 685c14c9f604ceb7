"""Typical flights of a class, drawn once over level ground and sorted by how far they go.

They are drawn as scenarios draw theirs, evenly over the elevations and speeds that the catalogue gives the class, and
whoever uses one shifts its launch until it comes down where he looks. Nothing is solved for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from opencram.physics.air import air_table
from opencram.physics.flight import Motor, fly_boosted, ground_jacobian, to_ground
from opencram.physics.frames import Origin, spherical_to_enu
from opencram.physics.place import E_RADIUS, E_SPIN_E, E_SPIN_U, FLAT, environment
from opencram.physics.sighting import F_ALONG, F_FALL, F_HEIGHT, F_TO_GO, F_UP, FLIGHT
from opencram.physics.threats import Threat, catalogue
from opencram.tables import FloatArray, IntArray
from opencram.world.truth import MUZZLE_HEIGHT_M

BIN_M = 250.0
"""A flight stands for all launches whose distance is in its bin; a cell of a planner's map is about as wide."""
EACH = 3
"""Flights of each range: a flat, a middling and a steep one of those drawn."""
ELEVATIONS, SPEEDS = 40, 40
MOTOR_ELEVATIONS = 400
"""How many are drawn: a motor has one speed, so that its elevations alone spread the ranges."""
TIMES, TANGENTS = 96, 12
"""A flight is looked at at so many times, and how its fall depends on its state worked out at so many of them."""


@dataclass(frozen=True, eq=False)
class Flights:
    """Typical flights of a class, as `physics/sighting.py` takes them."""

    threat: Threat
    rows: FloatArray
    flight_s: FloatArray
    by_range: IntArray

    @property
    def furthest_m(self) -> float:
        """The end of the furthest bin that has a flight."""
        return BIN_M * len(self.by_range)


@dataclass(frozen=True, eq=False)
class _Place:
    env: FloatArray
    air: FloatArray


@cache
def flights_of(threat_id: str, height_m: float) -> Flights:
    """Those of a class over ground at this height, in still standard air."""
    return draw_flights(catalogue()[threat_id], height_m)


def draw_flights(threat: Threat, height_m: float) -> Flights:
    """As `flights_of`, of any figures."""
    origin = Origin(math.radians(45.0), 0.0, height_m)
    env = environment(origin)
    # the frame's spin would bend a flight north unlike one south: a typical one flies straight
    env[E_SPIN_E : E_SPIN_U + 1] = 0.0
    place = _Place(env, air_table(height_m))
    drawn = [_launched(threat, *way) for way in _ways(threat)]
    ends = [_fall(state, motor, threat, place) for state, motor in drawn]
    reach = np.array([math.hypot(end[0], end[1]) for end in ends])
    chosen = _by_range(reach)
    used = np.unique(chosen[chosen >= 0])
    rows = [_row(drawn[i], float(ends[i][7]), threat, place) for i in used.tolist()]
    by_range = np.where(chosen >= 0, np.searchsorted(used, chosen), -1)
    flight_s = np.array([ends[i][7] for i in used.tolist()])
    return Flights(threat, np.array(rows).reshape(-1, TIMES, FLIGHT), flight_s, np.ascontiguousarray(by_range))


def _ways(threat: Threat) -> list[tuple[float, float]]:
    """Elevations (rad, rising) and speeds, as a share from the class's least to its greatest: middles of even parts."""
    low, high = threat.elevation_rad
    many, speeds = (ELEVATIONS, SPEEDS) if threat.motor is None else (MOTOR_ELEVATIONS, 1)
    return [(low + (high - low) * (i + 0.5) / many, (k + 0.5) / speeds) for i in range(many) for k in range(speeds)]


def _launched(threat: Threat, elevation_rad: float, share: float) -> tuple[FloatArray, FloatArray]:
    """State (7,) at launch towards north, and the motor."""
    least, most = threat.speed_mps
    speed = threat.muzzle_mps if threat.motor is not None else least + share * (most - least)
    velocity = spherical_to_enu(speed, 0.0, elevation_rad)
    state = np.concatenate([[0.0, 0.0, MUZZLE_HEIGHT_M], velocity, [threat.ln_beta]])
    return state, np.array(threat.motor or Motor(0.0, 0.0, 0.0), np.float64)


def _burnt(state: FloatArray, motor: FloatArray, threat: Threat, place: _Place) -> FloatArray:
    """State at burn-out; the state itself where there is no motor."""
    if motor[0] <= 0.0:
        return state
    flown: FloatArray = fly_boosted(state, motor, float(motor[0]), 1, place.env, place.air, threat.drag)
    return np.ascontiguousarray(flown[1])


def _fall(state: FloatArray, motor: FloatArray, threat: Threat, place: _Place) -> FloatArray:
    """State at the ground and the time of flight, (8,); NaN where it never comes down."""
    down = to_ground(_burnt(state, motor, threat, place), 1.0, place.env, place.air, FLAT, threat.drag)
    down[7] += motor[0]
    return down


def _by_range(reach_m: FloatArray) -> IntArray:
    """Of the flights drawn, in order of elevation, EACH for each bin of range: (bins, EACH), -1 where there is none."""
    known = np.isfinite(reach_m)
    bins = np.where(known, np.nan_to_num(reach_m) // BIN_M, -1).astype(np.int64)
    out = np.full((int(bins.max(initial=-1)) + 1, EACH), -1, np.int64)
    for b in range(len(out)):
        inside = np.flatnonzero(bins == b)
        some = min(len(inside), EACH)
        out[b, :some] = inside[[int((k + 0.5) * len(inside) / some) for k in range(some)]]
    return out


def _row(launched: tuple[FloatArray, FloatArray], flight_s: float, threat: Threat, place: _Place) -> FloatArray:
    """A flight at TIMES times as `physics/sighting.py` takes it, (TIMES, FLIGHT)."""
    state, motor = launched
    step_s = flight_s / TIMES
    path = fly_boosted(state, motor, step_s, TIMES, place.env, place.air, threat.drag)[1:]
    height = path[:, 2] + path[:, 1] ** 2 / (2.0 * place.env[E_RADIUS])
    row = np.empty((TIMES, FLIGHT))
    row[:, F_TO_GO], row[:, F_HEIGHT] = path[-1, 1] - path[:, 1], height - height[-1]
    row[:, F_ALONG], row[:, F_UP] = path[:, 4], path[:, 5]
    at = np.unique(np.linspace(0, TIMES - 2, TANGENTS).round().astype(np.int64))
    burnt = _burnt(state, motor, threat, place)
    falls = [_tangent(path[i] if (i + 1) * step_s >= motor[0] else burnt, threat, place) for i in at.tolist()]
    for column, values in enumerate(np.array(falls).T):
        row[:, F_FALL + column] = np.interp(np.arange(TIMES), at, values)
    return row


def _tangent(state: FloatArray, threat: Threat, place: _Place) -> FloatArray:
    """The derivatives F_FALL and on of where a state comes down."""
    told = ground_jacobian(np.ascontiguousarray(state), 1.0, place.env, place.air, FLAT, threat.drag)
    east, north = told[0], told[1]
    return np.array([north[3], north[5], north[6], north[7], north[9], east[4], east[8]])
