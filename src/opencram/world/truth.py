"""What truly flies: ballistic salvos that come down at their aims, and what flies a path.

A salvo's trajectory is drawn first (elevation, azimuth, speed, drag), flown, and then its launch point is shifted until
it comes down at its aim; the aim never chooses the trajectory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opencram.errors import InputError
from opencram.physics.air import air_table
from opencram.physics.flight import Motor, fly, fly_boosted, to_ground
from opencram.physics.frames import Origin, geodetic_to_enu, spherical_to_enu
from opencram.physics.layout import layout_of, origin_of
from opencram.physics.path import ground_impact_of
from opencram.physics.threats import Threat, catalogue
from opencram.site import Site, load_site
from opencram.world.flown import NS, Floats, Flown, Setting, wind_enu_mps
from opencram.world.rng import generator
from opencram.world.routes import flight, flock
from opencram.world.scenario import Burst, Flight, Flock, Group, Salvo, Scenario, Weather

STEP_NS = 50_000_000
"""Between the rows of a ballistic path; the cubic between them is off by less than a centimetre."""
MUZZLE_HEIGHT_M = 1.0
SHIFT_ROUNDS = 12
SHIFT_MISS_M = 0.01
ROUND_SPEED_SIGMA, ROUND_DRAG_SIGMA = 0.01, 0.05
"""How the rounds of one belt differ, as shares (assumed)."""
OUT_OF_REACH_M = 100_000.0
"""A scenario whose own site is further away than any zone may be from an origin cannot be meant to happen there."""


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
    air = air_table(layout.origin.height_m, [(0.0, *wind_enu_mps(weather))])
    return Setting(layout.origin, layout.env, air, layout.ground, home or layout.origin)


def fly_scenario(scenario: Scenario, site: Site, seed: int) -> list[Flown]:
    """All that a scenario sends up, in the order of its groups.

    R1, R2 ... fall, D1 ... are drones, G1 ... rounds of gunfire, A1 ... all else that is innocent.
    """
    setting = setting_of(site, scenario.weather, home_of(scenario, site))
    numbers = dict.fromkeys("RDGA", 0)
    flown: list[Flown] = []
    for group in scenario.groups:
        threat = catalogue()[group.threat.value]
        letter = _letter(group, threat)
        first = numbers[letter] + 1
        numbers[letter] += group.count.value
        ids = [f"{letter}{n}" for n in range(first, numbers[letter] + 1)]
        flown += _group(group, threat, ids, _launches_ns(group, scenario.start_ns, seed), setting, seed)
    return flown


def _letter(group: Group, threat: Threat) -> str:
    if isinstance(group, Salvo):
        return "R"
    if isinstance(group, Burst):
        return "G"
    own = isinstance(group, Flight) and group.own
    return "A" if threat.family == "innocent" or own else "D"


def _group(
    group: Group, threat: Threat, ids: Sequence[str], launches_ns: Sequence[int], setting: Setting, seed: int
) -> list[Flown]:
    if isinstance(group, Salvo):
        return _salvo(group, threat, ids, launches_ns, setting, seed)
    if isinstance(group, Burst):
        return _burst(group, threat, ids, launches_ns, setting, seed)
    if isinstance(group, Flock):
        return flock(group, threat, ids, launches_ns, setting, seed)
    assert isinstance(group, Flight)
    return [flight(group, threat, *x, setting, seed) for x in zip(ids, launches_ns, strict=True)]


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


def _burst(
    group: Burst, threat: Threat, ids: Sequence[str], launches_ns: Sequence[int], setting: Setting, seed: int
) -> list[Flown]:
    """Rounds fired into the air, none at anything; each comes down where it does."""
    rng = generator(seed, "burst", group.id)
    span = group.elevation_deg.value
    elevation_deg, speed = float(rng.uniform(span.least, span.most)), float(rng.uniform(*threat.speed_mps))
    place = setting.ground_point(group.at.value)
    muzzle = setting.on_ground(float(place[0]), float(place[1])) + np.array([0.0, 0.0, MUZZLE_HEIGHT_M])
    flown = []
    for name, launch_ns in zip(ids, launches_ns, strict=True):
        tilt, turn, faster, drag = generator(seed, "object", name).standard_normal(4)
        elevation = math.radians(elevation_deg + group.scatter_deg.value * tilt)
        azimuth = math.radians(group.towards_deg.value + group.scatter_deg.value * turn)
        velocity = spherical_to_enu(speed * (1.0 + ROUND_SPEED_SIGMA * float(faster)), azimuth, elevation)
        ln_beta = threat.ln_beta + ROUND_DRAG_SIGMA * float(drag)
        state = np.concatenate([muzzle, velocity, [ln_beta]])
        flown.append(fly_piece(name, threat, state, launch_ns, setting))
    return flown
