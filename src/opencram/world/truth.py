"""What truly flies: ballistic salvos that come down at their aims, and what flies a path.

A salvo's trajectory is drawn first (elevation, azimuth, speed, drag), flown, and then its launch point is shifted until
it comes down at its aim; the aim never chooses the trajectory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from opencram.errors import InputError
from opencram.physics.air import air_table
from opencram.physics.flight import Motor, fly, fly_boosted, to_ground
from opencram.physics.frames import Origin, geodetic_to_enu, spherical_to_enu
from opencram.physics.layout import layout_of, origin_of
from opencram.physics.path import ground_impact_of
from opencram.physics.place import clearance
from opencram.physics.threats import Threat, catalogue
from opencram.site import Site, load_site
from opencram.world.rng import generator
from opencram.world.scenario import Flight, Group, Place, Salvo, Scenario, Waypoint, Weather

Floats = NDArray[np.float64]

NS = 1_000_000_000
STEP_NS = 50_000_000
"""Between the rows of a ballistic path; the cubic between them is off by less than a centimetre."""
FLIGHT_STEP_NS = 100_000_000
MUZZLE_HEIGHT_M = 1.0
SHIFT_ROUNDS = 12
SHIFT_MISS_M = 0.01
STANDARD_GRAVITY_MPS2 = 9.80665
LONGEST_PATH_S = 86_400.0
OUT_OF_REACH_M = 100_000.0
"""A scenario whose own site is further away than any zone may be from an origin cannot be meant to happen there."""


@dataclass(frozen=True, eq=False)
class Flown:
    """One thing's whole flight if nothing stops it."""

    id: str
    threat: Threat
    start_ns: int
    step_ns: int
    path: Floats
    """(n, 6): position and velocity in the site's ENU at start, start + step, ...; reaches past the end."""
    end_ns: int
    end_enu_m: Floats
    lands: bool
    """Whether it ends on the ground; else it leaves."""
    aim_zone: str | None
    aim_enu_m: Floats | None


@dataclass(frozen=True, eq=False)
class Setting:
    """The place and the air that things fly in."""

    origin: Origin
    env: Floats
    air: Floats
    ground: Floats
    home: Origin
    """What the scenario's places are told from: `origin`, or that of its own site when it is played at one far away."""

    def ground_point(self, place: Place) -> Floats:
        """A place's position on the ground, ENU (3,)."""
        return geodetic_to_enu(math.radians(place.lat), math.radians(place.lon), self.home.height_m, self.home)

    def point(self, at: Waypoint) -> Floats:
        """A waypoint's position, ENU (3,)."""
        height_m = self.home.height_m + at.height_m
        return geodetic_to_enu(math.radians(at.lat), math.radians(at.lon), height_m, self.home)

    def on_ground(self, east_m: float, north_m: float) -> Floats:
        """The point of the ground there, ENU (3,)."""
        point = np.array([[east_m, north_m, -(east_m**2 + north_m**2) / (2.0 * self.origin.radius_m)]])
        point[:, 2] -= clearance(point, self.env, self.ground)
        on_it: Floats = point[0]
        return on_it


def home_of(scenario: Scenario, site: Site) -> Origin:
    """The origin of the scenario's own site if it is played at another one out of its reach, else the site's origin.

    So a raid on Baghdad comes down round a camp anywhere as it did there; a changed copy of the own site moves nothing.
    """
    here = layout_of(site).origin
    try:
        own = origin_of(load_site(scenario.site).origin)
    except InputError:
        return here
    away = geodetic_to_enu(own.lat_rad, own.lon_rad, own.height_m, here)
    return own if float(np.linalg.norm(away)) > OUT_OF_REACH_M else here


def setting_of(site: Site, weather: Weather, home: Origin | None = None) -> Setting:
    """A site with a scenario's wind; `home` as in Setting."""
    layout = layout_of(site)
    towards = math.radians(weather.wind_from_deg.value) + math.pi
    speed = weather.wind_mps.value
    wind = [(0.0, speed * math.sin(towards), speed * math.cos(towards))]
    air = air_table(layout.origin.height_m, wind)
    return Setting(layout.origin, layout.env, air, layout.ground, home or layout.origin)


def fly_scenario(scenario: Scenario, site: Site, seed: int) -> list[Flown]:
    """All that a scenario sends up, in the order of its groups: R1, R2 ... fall, D1 ... are drones, A1 ... innocent."""
    setting = setting_of(site, scenario.weather, home_of(scenario, site))
    numbers = {"R": 0, "D": 0, "A": 0}
    flown: list[Flown] = []
    for group in scenario.groups:
        threat = catalogue()[group.threat.value]
        letter = "R" if isinstance(group, Salvo) else "A" if threat.family == "innocent" else "D"
        first = numbers[letter] + 1
        numbers[letter] += group.count.value
        ids = [f"{letter}{n}" for n in range(first, numbers[letter] + 1)]
        launches_ns = _launches_ns(group, scenario.start_ns, seed)
        if isinstance(group, Salvo):
            flown += _salvo(group, threat, ids, launches_ns, setting, seed)
        else:
            flown += [_flight(group, threat, *x, setting, seed) for x in zip(ids, launches_ns, strict=True)]
    return flown


def _launches_ns(group: Group, start_ns: int, seed: int) -> list[int]:
    rng = generator(seed, "launches", group.id)
    spacing = group.spacing_s.value
    gaps_s = rng.uniform(spacing.least, spacing.most, group.count.value - 1)
    after_s = group.first_s.value + np.concatenate([[0.0], np.cumsum(gaps_s)])
    return [start_ns + round(float(s) * 1000) * 1_000_000 for s in after_s]


# ---- ballistic ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Shot:
    """A drawn trajectory: all but where it starts."""

    velocity_mps: Floats
    ln_beta: float
    motor: Floats
    threat: Threat

    def boost(self, launch_enu_m: Floats, setting: Setting) -> tuple[Floats, float]:
        """State (7,) at burn-out and the time there; the first state where there is no motor."""
        y0 = np.concatenate([launch_enu_m, self.velocity_mps, [self.ln_beta]])
        burn_s = float(self.motor[0])
        if burn_s <= 0.0:
            return y0, 0.0
        flown = fly_boosted(y0, self.motor, burn_s, 1, setting.env, setting.air, self.threat.drag)
        return np.ascontiguousarray(flown[1]), burn_s

    def fall(self, launch_enu_m: Floats, setting: Setting) -> tuple[Floats, float]:
        """Where it comes down, ENU (3,), and its time of flight (s); NaN where it does not."""
        burnt, burn_s = self.boost(launch_enu_m, setting)
        down = to_ground(burnt, 1.0, setting.env, setting.air, setting.ground, self.threat.drag)
        return down[:3], burn_s + float(down[7])


def _salvo(
    group: Salvo, threat: Threat, ids: Sequence[str], launches_ns: Sequence[int], setting: Setting, seed: int
) -> list[Flown]:
    rng = generator(seed, "salvo", group.id)
    elevation = group.elevation_deg.value
    elevation_deg = float(rng.uniform(elevation.least, elevation.most))
    share = float(rng.uniform())
    flown = []
    for name, launch_ns, aim in zip(ids, launches_ns, group.aims, strict=True):
        rng = generator(seed, "object", name)
        shot = _draw_shot(group, threat, elevation_deg, share, rng)
        aimed = setting.ground_point(aim.at.value)
        east, north = aimed[:2] + group.dispersion_m.value * rng.standard_normal(2)
        launch = shift_launch(shot, setting.on_ground(float(east), float(north)), setting)
        if launch is None:
            raise InputError(
                f"groups: found that {name} of '{group.id}' never comes down within 300 s, expected a shorter flight"
            )
        flown.append(_fly_shot(name, shot, launch, launch_ns, (aim.zone.value, aimed), setting))
    return flown


def _draw_shot(group: Salvo, threat: Threat, elevation_deg: float, share: float, rng: np.random.Generator) -> Shot:
    """`share` places a charge's speed between the class's least and greatest; a motor has but one."""
    tilt, turn, faster, drag = rng.standard_normal(4)
    elevation = math.radians(elevation_deg + group.pointing_sigma_deg.value * tilt)
    azimuth = math.radians(group.from_deg.value + 180.0 + group.pointing_sigma_deg.value * turn)
    factor = 1.0 + group.speed_sigma.value * float(faster)
    motor = Motor(0.0, 0.0, 0.0)
    if threat.motor is not None:
        motor = threat.motor._replace(exhaust_mps=threat.motor.exhaust_mps * factor)
        speed = threat.muzzle_mps
    else:
        least, most = threat.speed_mps
        speed = (least + share * (most - least)) * factor
    velocity = spherical_to_enu(speed, azimuth, elevation)
    return Shot(velocity, threat.ln_beta + group.drag_sigma.value * float(drag), np.array(motor), threat)


def shift_launch(shot: Shot, fall_enu_m: Floats, setting: Setting) -> Floats | None:
    """Where a drawn trajectory must start to come down at a point, ENU (3,); None if it never comes down.

    A fixed point: fly, shift the launch by the miss, fly again. Over a flat, still earth the first shift is exact.
    """
    east, north = float(fall_enu_m[0]), float(fall_enu_m[1])
    for _ in range(SHIFT_ROUNDS):
        launch = setting.on_ground(east, north)
        launch[2] += MUZZLE_HEIGHT_M
        miss = fall_enu_m[:2] - shot.fall(launch, setting)[0][:2]
        if not np.isfinite(miss).all():
            return None
        if math.hypot(*miss) < SHIFT_MISS_M:
            return launch
        east, north = east + float(miss[0]), north + float(miss[1])
    return None


def _fly_shot(
    name: str, shot: Shot, launch_enu_m: Floats, launch_ns: int, aim: tuple[str, Floats], setting: Setting
) -> Flown:
    _, flight_s = shot.fall(launch_enu_m, setting)
    y0 = np.concatenate([launch_enu_m, shot.velocity_mps, [shot.ln_beta]])
    step_s = STEP_NS / NS
    rows = math.ceil(flight_s / step_s) + 2
    path = fly_boosted(y0, shot.motor, step_s, rows, setting.env, setting.air, shot.threat.drag)
    # the path's own end, whose steps are shorter than those of `fall`
    down = ground_impact_of(path, step_s, setting.env, setting.ground)
    end_ns = launch_ns + round(float(down[7]) * NS)
    return Flown(name, shot.threat, launch_ns, STEP_NS, path[:, :6].copy(), end_ns, down[:3], True, *aim)


def fly_piece(name: str, threat: Threat, state: Floats, start_ns: int, setting: Setting) -> Flown:
    """A body without a motor, from a state (7,) to the ground."""
    down = to_ground(state, 1.0, setting.env, setting.air, setting.ground, threat.drag)
    flight_s = max(float(down[7]), 0.0)
    step_s = STEP_NS / NS
    path = fly(state, step_s, math.ceil(flight_s / step_s) + 1, setting.env, setting.air, threat.drag)
    end_ns = start_ns + round(flight_s * NS)
    return Flown(name, threat, start_ns, STEP_NS, path[:, :6].copy(), end_ns, down[:3], True, None, None)


# ---- what flies a path --------------------------------------------------------------------------------------------


def _flight(group: Flight, threat: Threat, name: str, start_ns: int, setting: Setting, seed: int) -> Flown:
    rng = generator(seed, "object", name)
    shift = np.append(group.spread_m.value * rng.standard_normal(2), 0.0)
    points = [setting.point(p.value) + shift for p in group.path]
    zone, aimed = None, None
    if group.target is not None:
        zone, aimed = group.target.zone.value, setting.ground_point(group.target.at.value)
        points += _dive(points[-1], aimed, math.radians(group.dive_deg.value))
    speed = group.speed_mps.value
    turn_radps = STANDARD_GRAVITY_MPS2 * math.tan(math.radians(group.bank_deg.value)) / speed
    path = follow(np.array(points), speed, turn_radps, FLIGHT_STEP_NS / NS)
    end_ns = start_ns + (len(path) - 2) * FLIGHT_STEP_NS
    end = aimed if aimed is not None else path[-2, :3].copy()
    return Flown(name, threat, start_ns, FLIGHT_STEP_NS, path, end_ns, end, aimed is not None, zone, aimed)


def _dive(last: Floats, target: Floats, angle_rad: float) -> list[Floats]:
    """Level to where the dive begins, then down to the target; at once if it is nearer than that."""
    away = last - target
    level = math.hypot(away[0], away[1])
    reach = away[2] / math.tan(angle_rad)
    if reach >= level or reach <= 0.0:
        return [target]
    entry = target + np.array([away[0] * reach / level, away[1] * reach / level, away[2]])
    return [entry, target]


def follow(points: Floats, speed_mps: float, turn_radps: float, step_s: float) -> Floats:
    """Fly by the points (k, 3) at a speed with a limited rate of turn, (n, 6) rows of position and velocity.

    Corners are cut as a turning aircraft cuts them. The last row but one is at the last point (to within a step), or
    where it came nearest; one row more goes straight on.
    """
    pos, heading, leg = points[0].copy(), _unit(points[1] - points[0]), 1
    step_m = speed_mps * step_s
    rows = [np.concatenate([pos, heading * speed_mps])]
    for _ in range(round(LONGEST_PATH_S / step_s)):
        away = points[leg] - pos
        while leg < len(points) - 1 and _norm(away) <= max(step_m, _lead_m(points, leg, speed_mps / turn_radps)):
            leg += 1
            away = points[leg] - pos
        # the last point is reached, or lies behind within the turning circle and never will be
        if leg == len(points) - 1 and (
            _norm(away) < step_m or (away @ heading < 0.0 and _norm(away) < 2.0 * speed_mps / turn_radps)
        ):
            break
        turned = _towards(heading, _unit(away), turn_radps * step_s)
        pos = pos + 0.5 * step_m * (heading + turned)
        heading = turned
        rows.append(np.concatenate([pos, heading * speed_mps]))
    rows.append(np.concatenate([pos + step_m * heading, heading * speed_mps]))
    return np.array(rows)


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
