"""A place, as kernels are told of it: the constants of its frame, and the height of its ground.

Heights are over the sphere that touches the site's origin with its mean radius of curvature; at 30 km it is within half
a metre of the ellipsoid at the origin's height. The ground is that sphere, `E_GROUND_UP` higher, or a grid over it.
"""

import math

import numpy as np
from numpy.typing import NDArray

from opencram.physics.frames import Origin
from opencram.physics.kernel import device, kernel

Floats = NDArray[np.float64]

E_GRAVITY, E_RADIUS, E_SPIN_E, E_SPIN_N, E_SPIN_U, E_GROUND_UP = range(6)
E_GRID_E, E_GRID_N, E_GRID_STEP = 6, 7, 8
"""East and north of the ground grid's first point, and its spacing (m); rows go north, columns east."""
E_WIND_E, E_WIND_N = 9, 10
"""Wind (m/s) everywhere, on top of that in the table of the air."""
E_GRID_TOP = 11
"""The highest ground of the grid: above it nothing lands."""
ENV_SIZE = 12

FLAT: Floats = np.empty((0, 0))
"""The `ground` of a place without relief."""

LOOKS_PER_CELL = 4
"""How often a path is compared with the ground while it crosses a cell of the grid. A crest between two looks is missed
only if the path passes less under it than an eighth of a cell's side times its flanks' slope: 4 m under one of 30 %."""
MOST_LOOKS = 4096
CONTACT_HALVINGS = 25


def environment(origin: Origin, ground_up_m: float = 0.0) -> Floats:
    """The constants of a place for the kernels, (12,); where there is no grid the ground is `ground_up_m` up."""
    env = np.zeros(ENV_SIZE)
    env[E_GRAVITY], env[E_RADIUS] = origin.gravity_mps2, origin.radius_m
    env[E_SPIN_E : E_SPIN_U + 1] = origin.spin_enu_radps
    env[E_GROUND_UP] = ground_up_m
    return env


@device
def height_m(e: float, n: float, u: float, radius: float) -> float:
    """Height over the sphere that touches the origin, free of cancellation."""
    flat2 = e * e + n * n
    return u + flat2 / (math.sqrt(flat2 + (radius + u) ** 2) + radius + u)


@device
def ground_at(e: float, n: float, env: Floats, ground: Floats) -> tuple[float, float, float]:
    """Height of the ground under a point and its slopes towards east and north, bilinear within the grid's cells."""
    rows, cols = ground.shape
    if rows == 0:
        return env[E_GROUND_UP], 0.0, 0.0
    x, y = (e - env[E_GRID_E]) / env[E_GRID_STEP], (n - env[E_GRID_N]) / env[E_GRID_STEP]
    if not (0.0 <= x <= cols - 1 and 0.0 <= y <= rows - 1):
        return env[E_GROUND_UP], 0.0, 0.0
    i, j = min(int(y), rows - 2), min(int(x), cols - 2)
    fx, fy = x - j, y - i
    south, north = ground[i, j + 1] - ground[i, j], ground[i + 1, j + 1] - ground[i + 1, j]
    east = south + fy * (north - south)
    west = ground[i + 1, j] - ground[i, j]
    height = ground[i, j] + fx * east + fy * west
    return height, east / env[E_GRID_STEP], (west + fx * (north - south)) / env[E_GRID_STEP]


@device
def over_ground(y: Floats, env: Floats, ground: Floats) -> float:
    """How far a state (7) is over the ground (m)."""
    return height_m(y[0], y[1], y[2], env[E_RADIUS]) - ground_at(y[0], y[1], env, ground)[0]


@device
def closing_mps(y: Floats, env: Floats, ground: Floats) -> float:
    """How fast a state (7) nears the ground under it."""
    e, n, away = y[0], y[1], env[E_RADIUS] + y[2]
    sink = -(e * y[3] + n * y[4] + away * y[5]) / math.sqrt(e * e + n * n + away * away)
    _, slope_e, slope_n = ground_at(e, n, env, ground)
    return float(sink + slope_e * y[3] + slope_n * y[4])


@device
def _over_between(a: Floats, b: Floats, dt: float, f: float, env: Floats, ground: Floats) -> float:
    """How far over the ground at share f of a step: the cubic through both ends' positions and velocities."""
    g = 1.0 - f
    a0, b0 = g * g * (1.0 + 2.0 * f), f * f * (1.0 + 2.0 * g)
    a1, b1 = f * g * g * dt, -f * f * g * dt
    e = a0 * a[0] + b0 * b[0] + a1 * a[3] + b1 * b[3]
    n = a0 * a[1] + b0 * b[1] + a1 * a[4] + b1 * b[4]
    u = a0 * a[2] + b0 * b[2] + a1 * a[5] + b1 * b[5]
    return height_m(e, n, u, env[E_RADIUS]) - ground_at(e, n, env, ground)[0]


@device
def contact(a: Floats, b: Floats, dt: float, env: Floats, ground: Floats) -> float:
    """Share of the step `dt` from state a to b at which it first meets the grid's ground; NaN where it does not.

    Where both ends are above the highest ground nothing is looked for: a path bends down between them, or falls.
    """
    top, radius = env[E_GRID_TOP], env[E_RADIUS]
    if height_m(a[0], a[1], a[2], radius) > top and height_m(b[0], b[1], b[2], radius) > top:
        return math.nan
    cells = math.hypot(b[0] - a[0], b[1] - a[1]) / env[E_GRID_STEP]
    looks = min(1 + int(LOOKS_PER_CELL * cells), MOST_LOOKS)
    above = _over_between(a, b, dt, 0.0, env, ground) > 0.0
    for look in range(1, looks + 1):
        clear = _over_between(a, b, dt, look / looks, env, ground) > 0.0
        if above and not clear:
            low, high = (look - 1) / looks, look / looks
            for _ in range(CONTACT_HALVINGS):
                mid = 0.5 * (low + high)
                if _over_between(a, b, dt, mid, env, ground) > 0.0:
                    low = mid
                else:
                    high = mid
            return high
        above = clear
    return math.nan


@kernel("float64[::1](float64[:,::1], float64[::1], float64[:,::1])")
def clearance(points: Floats, env: Floats, ground: Floats) -> Floats:
    """How far points (n, 3 or more columns; ENU, m) are over the ground, (n,)."""
    out = np.empty(points.shape[0])
    for i in range(points.shape[0]):
        out[i] = over_ground(points[i], env, ground)
    return out
