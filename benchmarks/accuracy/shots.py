"""Shots at a radar, drawn widely: what truly flies, and the plots that the radar makes of it.

The radar stands at the origin and each shot comes down within AIM_M of it. Speed and elevation are uniform over the
catalogue's spans, ln(beta) is normal about the class's with its sigma, and so is the wind with WIND_MPS per axis.
"""

from dataclasses import dataclass, replace

import numpy as np

from opencram.physics.air import air_table
from opencram.physics.flight import fly, fly_boosted, to_ground
from opencram.physics.frames import Origin, enu_to_spherical, spherical_to_enu
from opencram.physics.place import E_WIND_E, E_WIND_N, FLAT, environment
from opencram.physics.threats import Threat, catalogue
from opencram.tables import FloatArray

ORIGIN = Origin(np.radians(33.3), np.radians(44.4))
ENV, AIR = environment(ORIGIN), air_table(0.0)
AIM_M = 1_000.0
WIND_MPS = 5.0
LOWEST_RAD, FARTHEST_M = np.radians(1.5), 30_000.0
P_DETECT = 0.9
STEP_S = 0.1
LONGEST_S = 160.0
SHORTEST_S = 6.0
"""Shots in view for less than this are drawn anew: they leave nothing to measure."""
CLASSES = (
    *("mortar-60", "mortar-81", "mortar-120", "rocket-107", "rocket-122", "rocket-240"),
    *("shell-105", "shell-122", "shell-155"),
)


@dataclass(frozen=True)
class Case:
    """How the radar sees and what it says of itself; `stated` multiplies the true sigmas in what the site tells."""

    name: str = "base"
    title: str = "10 Hz, 10 m and 2 mrad"
    update_s: float = 0.1
    range_sigma_m: float = 10.0
    angle_sigma_rad: float = 2e-3
    rate_sigma_mps: float = np.nan
    stated: float = 1.0
    wind_mps: float | None = None
    """Wind of this speed from a random direction; None: drawn from the prior."""
    pull_in: bool = False
    """Errors begin five times as large and settle within a second and a half, as a tracking radar's do."""
    bias: bool = False
    """Range 20 m and both angles 1 mrad off, of random sign."""
    gap: bool = False
    """No plots from 4 to 6.5 s of track."""
    jump: bool = False
    """From 4 to 5.5 s of track range is 50 m and azimuth 5 mrad off."""

    @property
    def sigma(self) -> FloatArray:
        """True sigmas (4): range m, azimuth rad, elevation rad, range rate m/s."""
        return np.array([self.range_sigma_m, self.angle_sigma_rad, self.angle_sigma_rad, self.rate_sigma_mps])


CASES = (
    Case(),
    Case("1hz", "1 Hz", update_s=1.0),
    Case("poor", "25 m and 5 mrad", range_sigma_m=25.0, angle_sigma_rad=5e-3),
    Case("fine", "5 m and 0.5 mrad", range_sigma_m=5.0, angle_sigma_rad=5e-4),
    Case("range-rate", "with range rate, 1 m/s", rate_sigma_mps=1.0),
    Case("worse", "sigmas twice what is stated", stated=0.5),
    Case("better", "sigmas half of what is stated", stated=2.0),
    Case("wind", "10 m/s of untold wind", wind_mps=10.0),
    Case("pull-in", "pull-in transient", pull_in=True),
    Case("bias", "20 m and 1 mrad of bias", bias=True),
    Case("gap", "a gap of 2.5 s", gap=True),
    Case("jump", "a jump for 1.5 s", jump=True),
)
PULL_IN_TIMES, PULL_IN_S = 4.0, 0.5
GAP_S, JUMP_S, JUMP = (4.0, 6.5), (4.0, 5.5), np.array([50.0, 5e-3, 0.0, 0.0])
BIAS = np.array([20.0, 1e-3, 1e-3, 0.0])


@dataclass(frozen=True, eq=False)
class Shot:
    """One flight as the radar may see it."""

    cls: str
    env: FloatArray
    """With the wind in it."""
    path: FloatArray
    """(n, 7): states every STEP_S from burn-out on (from launch where there is no motor)."""
    boost: FloatArray
    """(m, 7): states every STEP_S until burn-out; the last is one step before `path` begins."""
    impact: FloatArray
    """(3): east, north (m) and seconds since the path's beginning."""
    launch: FloatArray
    """(2): east, north."""

    @property
    def threat(self) -> Threat:
        """Its class."""
        return catalogue()[self.cls]


@dataclass(frozen=True, eq=False)
class Seen:
    """The plots of one object: seconds since the path's beginning (k), measured values (k, 4)."""

    time_s: FloatArray
    z: FloatArray
    rcs_dbsm: FloatArray | None = None


def draw(cls: str, rng: np.random.Generator, case: Case) -> tuple[Shot, Seen]:
    """One shot of a class that stays in view for SHORTEST_S or more, and its plots."""
    while True:
        shot = _fly(cls, rng, case)
        if shot is None:
            continue
        seen = observe(shot, rng, case)
        if len(seen.time_s) > 3 and seen.time_s[-1] - max(seen.time_s[0], 0.0) >= SHORTEST_S:
            return shot, seen


def _wind(rng: np.random.Generator, case: Case) -> FloatArray:
    drawn = rng.normal(0.0, WIND_MPS, 2)
    return drawn if case.wind_mps is None else case.wind_mps * drawn / np.hypot(*drawn)


def _fly(cls: str, rng: np.random.Generator, case: Case) -> Shot | None:
    """A flight whose impact is moved to near the radar; None where it does not come down in time."""
    threat = catalogue()[cls]
    env = ENV.copy()
    env[E_WIND_E], env[E_WIND_N] = _wind(rng, case)
    speed, el = rng.uniform(*threat.speed_mps), rng.uniform(*threat.elevation_rad)
    ln_beta = threat.ln_beta + threat.ln_beta_sigma * rng.standard_normal()
    azimuth, aim = rng.uniform(0.0, 2.0 * np.pi), AIM_M * np.sqrt(rng.uniform()) * _unit(rng)
    motor = threat.motor
    if motor is not None:
        # the burn-out speed is drawn, not that at the muzzle: exhaust speed scales what the motor adds
        motor = motor._replace(exhaust_mps=motor.exhaust_mps * speed / threat.speed_mps[1])
    start = np.array([0.0, 0.0, 0.0, *spherical_to_enu(speed, azimuth, el), ln_beta])
    if motor is not None:
        start[3:6] *= threat.muzzle_mps / speed
    # again and again: the ground curves, and the turning earth's pull depends a little on the place
    for _ in range(3):
        boost = start[None]
        if motor is not None:
            steps = round(motor.burn_s / STEP_S)
            boost = fly_boosted(start, np.array(motor), STEP_S, steps, env, AIR, threat.drag)
        down = to_ground(np.ascontiguousarray(boost[-1]), 1.0, env, AIR, FLAT, threat.drag)
        if not SHORTEST_S < down[7] < LONGEST_S:
            return None
        start[:2] += aim - down[:2]
        start[2] = -(start[0] ** 2 + start[1] ** 2) / (2.0 * ENV[1])
    path = fly(np.ascontiguousarray(boost[-1]), STEP_S, int(down[7] / STEP_S), env, AIR, threat.drag)
    return Shot(cls, env, path, boost[:-1], down[[0, 1, 7]], boost[0, :2].copy())


def _unit(rng: np.random.Generator) -> FloatArray:
    turn = rng.uniform(0.0, 2.0 * np.pi)
    return np.array([np.cos(turn), np.sin(turn)])


def looks(shot: Shot, case: Case, phase: int = 0) -> tuple[FloatArray, FloatArray]:
    """Times (s since the path's beginning) and states (n, 7) at the radar's looks, boost included."""
    states = np.concatenate([shot.boost, shot.path])
    times = (np.arange(len(states)) - len(shot.boost)) * STEP_S
    every = round(case.update_s / STEP_S)
    return times[phase::every], states[phase::every]


def exact(states: FloatArray) -> FloatArray:
    """What an ideal radar at the origin measures of states (n, 7): (n, 4)."""
    r, az, el = enu_to_spherical(states[:, :3])
    rate = (states[:, :3] * states[:, 3:6]).sum(axis=1) / r
    return np.column_stack([r, az, el, rate])


def observe(shot: Shot, rng: np.random.Generator, case: Case) -> Seen:
    """The radar's plots, noise, misses and faults included."""
    times, states = looks(shot, case, int(rng.integers(0, max(round(case.update_s / STEP_S), 1))))
    z = exact(states)
    view = (z[:, 2] >= LOWEST_RAD) & (z[:, 0] <= FARTHEST_M) & (rng.random(len(z)) < P_DETECT)
    times, z = times[view], z[view]
    z = z + case.sigma * worse(times, case)[:, None] * rng.standard_normal(z.shape)
    since = times - max(times[0], 0.0) if len(times) else times
    if case.bias:
        z += BIAS * rng.choice([-1.0, 1.0], 4)
    if case.jump:
        z[(since >= JUMP_S[0]) & (since < JUMP_S[1])] += JUMP
    z[:, 1] %= 2.0 * np.pi
    seen = ~((since >= GAP_S[0]) & (since < GAP_S[1])) if case.gap else np.ones(len(times), np.bool_)
    return Seen(times[seen], z[seen])


def worse(times: FloatArray, case: Case) -> FloatArray:
    """By how much the errors of the plots (k) exceed the case's sigmas."""
    since = times - times[0] if len(times) else times
    return 1.0 + PULL_IN_TIMES * np.exp(-since / PULL_IN_S) if case.pull_in else np.ones(len(times))


def told(case: Case) -> Case:
    """The case as the site tells of it."""
    return replace(
        case,
        range_sigma_m=case.range_sigma_m * case.stated,
        angle_sigma_rad=case.angle_sigma_rad * case.stated,
        rate_sigma_mps=case.rate_sigma_mps * case.stated,
    )
