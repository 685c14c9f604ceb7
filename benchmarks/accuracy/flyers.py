"""What flies by its own power, and gunfire: drawn over the catalogue's spans, each seen for SEEN_S, its size told."""

import numpy as np

from accuracy.shots import AIR, ENV, LOWEST_RAD, P_DETECT, STEP_S, Case, Seen, exact
from opencram.physics.flight import fly
from opencram.physics.frames import spherical_to_enu
from opencram.physics.threats import catalogue
from opencram.tables import FloatArray

SEEN_S = 10.0
INNOCENT = ("bird", "aircraft", "gunfire")
DRONES = ("drone", "quadcopter")
HEIGHT_M = {"bird": (30, 1_000), "aircraft": (150, 10_000), "drone": (100, 2_000), "quadcopter": (20, 300)}
FROM_M = {"bird": (200, 4_000), "aircraft": (1_000, 20_000), "drone": (500, 10_000), "quadcopter": (150, 3_000)}
TURN_RADPS = {"bird": 0.1, "aircraft": 0.02, "drone": 0.02, "quadcopter": 0.1}
"""One sigma of the turn rate, held for the whole time."""
CLIMB_SHARE = 0.05
GUN_FROM_M, GUN_ELEVATION_DEG = (300.0, 3_000.0), (5.0, 80.0)
RCS_LN_SIGMA = 1.2


def draw_flyer(cls: str, rng: np.random.Generator, case: Case) -> Seen:
    """The plots of one such thing, a cross-section with each."""
    while True:
        states = _gunfire(rng) if cls == "gunfire" else _level(cls, rng)
        z, times = exact(states), np.arange(len(states)) * STEP_S
        view = (z[:, 2] >= LOWEST_RAD) & (states[:, 2] > 0.0) & (rng.random(len(z)) < P_DETECT)
        if view.sum() >= 0.5 * SEEN_S / STEP_S:
            break
    mean = catalogue()[cls].rcs_m2 * np.exp(RCS_LN_SIGMA * rng.standard_normal())
    rcs = 10.0 * np.log10(mean * rng.exponential(1.0, len(z)))
    z = z + case.sigma * rng.standard_normal(z.shape)
    z[:, 1] %= 2.0 * np.pi
    return Seen(times[view], z[view], rcs[view])


def _level(cls: str, rng: np.random.Generator) -> FloatArray:
    n = round(SEEN_S / STEP_S)
    speed, heading = rng.uniform(*catalogue()[cls].speed_mps), rng.uniform(0.0, 2.0 * np.pi)
    at, from_m = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(*FROM_M[cls])
    course = heading + TURN_RADPS[cls] * rng.standard_normal() * np.arange(n) * STEP_S
    climb = CLIMB_SHARE * speed * rng.standard_normal()
    velocity = np.column_stack([speed * np.sin(course), speed * np.cos(course), np.full(n, climb)])
    states = np.zeros((n, 7))
    states[:, 3:6] = velocity
    states[:, :3] = np.cumsum(velocity, axis=0) * STEP_S
    states[:, :3] += [from_m * np.sin(at), from_m * np.cos(at), rng.uniform(*HEIGHT_M[cls])]
    return states


def _gunfire(rng: np.random.Generator) -> FloatArray:
    threat = catalogue()["gunfire"]
    el, azimuth, at = np.radians(rng.uniform(*GUN_ELEVATION_DEG)), *rng.uniform(0.0, 2.0 * np.pi, 2)
    from_m, speed = rng.uniform(*GUN_FROM_M), rng.uniform(*threat.speed_mps)
    ln_beta = threat.ln_beta + threat.ln_beta_sigma * rng.standard_normal()
    start = np.array([from_m * np.sin(at), from_m * np.cos(at), 0.0, *spherical_to_enu(speed, azimuth, el), ln_beta])
    return fly(start, STEP_S, round(SEEN_S / STEP_S), ENV, AIR, threat.drag)
