"""Flight of a point mass: drag by Mach number, wind, gravity that falls with height, over a curved, turning earth.

State y (7): pos_enu_m (3), vel_enu_mps (3) in the site origin's east-north-up, and ln_beta, the natural logarithm of
the ballistic coefficient beta = m / (Cd0 A) in kg/m2, Cd0 being the subsonic drag coefficient.

Acceleration: -rho |v_rel| s(M) / (2 beta) v_rel, with v_rel the velocity through the air and s(M) = Cd(M) / Cd0;
gravity g (R / (R + h))^2 towards the centre of the sphere that touches the origin with its mean radius of curvature R;
-2 w x v of the turning frame. The centrifugal part is in the normal gravity g.
McCoy, Modern Exterior Ballistics, 1999, chapter 8.

Tables that kernels take, all float64 and C-contiguous:
  env (12)     from `place.environment`
  air (301, 4) from `air.air_table`
  ground       from `layout.Layout.ground`: heights on the grid that `env` tells of, (0, 0) where there is none
  drag (201)   s(M) at Mach 0 to 5 in steps of MACH_STEP, see `drag_table`
Outside a table its nearest row holds.

Tangents: `transition` and `ground_jacobian` carry the derivatives of the very Runge-Kutta steps they take (the
variational equations through the same four stages), so they agree with differences of the discrete flight.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from opencram.physics.air import AIR_ROWS, AIR_STEP_M
from opencram.physics.kernel import device, kernel
from opencram.physics.place import (
    E_GRAVITY,
    E_RADIUS,
    E_SPIN_E,
    E_SPIN_N,
    E_SPIN_U,
    E_WIND_E,
    E_WIND_N,
    closing_mps,
    contact,
    ground_at,
    height_m,
    over_ground,
)

Floats = NDArray[np.float64]

MACH_STEP = 0.025
MACH_ROWS = 201

# Steps: long in thin air and free flight, short where drag acts fast and across the sound barrier, where s(M) is steep.
LONGEST_STEP_S = 0.5
TRANSONIC_STEP_S = 0.25
SHORTEST_STEP_S = 0.01
STEP_PER_DRAG_TIME = 0.05
THRUST_STEP_S = 0.02
LONGEST_TANGENT_STEP_S = 0.25
SHORT_STEP_S, SHORT_STEP_TURN = 0.15, 0.05
"""A single midpoint step lasts at most so long, and changes the velocity by at most this share of it."""

LONGEST_FLIGHT_S = 300.0
# a body flown backwards gains speed without end where it was never fired
FASTEST_MPS = 3000.0
GROUND_ROUNDS = 20
GROUND_MISS_M = 1e-4


class Motor(NamedTuple):
    """A rocket motor of constant burning rate; `np.array(motor)` is what `fly_boosted` takes, zeros mean none."""

    burn_s: float
    exhaust_mps: float
    mass_ratio: float
    """Mass at burn-out over mass at launch."""


def drag_table(machs: Sequence[float], cds: Sequence[float]) -> Floats:
    """Drag shape s(M) = Cd(M) / Cd0 (201,) from rows of a drag curve; Cd0 is its first; end rows hold beyond them."""
    shape: Floats = np.interp(np.arange(MACH_ROWS) * MACH_STEP, machs, np.asarray(cds, np.float64)) / cds[0]
    return shape


@device
def _air_at(h: float, air: Floats) -> tuple[float, float, float, float, float, float, float, float]:
    """Density, sound, wind east and north at a height, then their slopes with height."""
    x = h / AIR_STEP_M
    i = min(max(int(x), 0), AIR_ROWS - 2)
    per_m = 1.0 / AIR_STEP_M if 0.0 <= x <= AIR_ROWS - 1 else 0.0
    f = min(max(x - i, 0.0), 1.0)
    low, high = air[i], air[i + 1]
    d0, d1, d2, d3 = high[0] - low[0], high[1] - low[1], high[2] - low[2], high[3] - low[3]
    return (
        low[0] + f * d0,
        low[1] + f * d1,
        low[2] + f * d2,
        low[3] + f * d3,
        d0 * per_m,
        d1 * per_m,
        d2 * per_m,
        d3 * per_m,
    )


@device
def _shape_at(mach: float, drag: Floats) -> tuple[float, float]:
    """s(M) and its slope."""
    x = min(mach / MACH_STEP, MACH_ROWS - 1.0)
    i = min(int(x), MACH_ROWS - 2)
    rise = drag[i + 1] - drag[i]
    return drag[i] + (x - i) * rise, rise / MACH_STEP


@device
def _accel(
    e: float,
    n: float,
    u: float,
    ve: float,
    vn: float,
    vu: float,
    inv_beta: float,
    push: float,
    env: Floats,
    air: Floats,
    drag: Floats,
) -> tuple[float, float, float]:
    """Acceleration (east, north, up) with a thrust of `push` (m/s2) along the velocity through the air."""
    radius = env[E_RADIUS]
    h = height_m(e, n, u, radius)
    rho, sound, wind_e, wind_n, _, _, _, _ = _air_at(h, air)
    re, rn = ve - wind_e - env[E_WIND_E], vn - wind_n - env[E_WIND_N]
    speed = math.sqrt(re * re + rn * rn + vu * vu)
    shape, _ = _shape_at(speed / sound, drag)
    along = -0.5 * rho * speed * shape * inv_beta + (push / speed if push > 0.0 else 0.0)
    pull = -env[E_GRAVITY] * radius**2 / (radius + h) ** 3
    we, wn, wu = env[E_SPIN_E], env[E_SPIN_N], env[E_SPIN_U]
    return (
        along * re + pull * e - 2.0 * (wn * vu - wu * vn),
        along * rn + pull * n - 2.0 * (wu * ve - we * vu),
        along * vu + pull * (radius + u) - 2.0 * (we * vn - wn * ve),
    )


@device
def accel(y: Floats, env: Floats, air: Floats, drag: Floats) -> tuple[float, float, float]:
    """Acceleration (east, north, up) in m/s2 of a body without thrust."""
    return _accel(y[0], y[1], y[2], y[3], y[4], y[5], math.exp(-y[6]), 0.0, env, air, drag)


@device
def _slopes(
    e: float,
    n: float,
    u: float,
    ve: float,
    vn: float,
    vu: float,
    inv_beta: float,
    env: Floats,
    air: Floats,
    drag: Floats,
    out: Floats,
) -> None:
    """Derivative (3, 9) of the unpowered acceleration by the state and the wind (east, north), into `out`."""
    radius = env[E_RADIUS]
    h = height_m(e, n, u, radius)
    rho, sound, wind_e, wind_n, rho_h, sound_h, wind_e_h, wind_n_h = _air_at(h, air)
    rel = (ve - wind_e - env[E_WIND_E], vn - wind_n - env[E_WIND_N], vu)
    speed = max(math.sqrt(rel[0] ** 2 + rel[1] ** 2 + rel[2] ** 2), 1e-9)
    mach = speed / sound
    shape, shape_m = _shape_at(mach, drag)
    q = 0.5 * rho * speed * shape * inv_beta
    # q depends on height through density, sound and wind; on velocity through speed
    q_speed = 0.5 * rho * inv_beta * (shape + mach * shape_m)
    speed_h = -(rel[0] * wind_e_h + rel[1] * wind_n_h) / speed
    q_h = 0.5 * inv_beta * speed * (rho_h * shape - rho * shape_m * mach * sound_h / sound) + q_speed * speed_h
    wind_h = (wind_e_h, wind_n_h, 0.0)
    away = radius + h
    up = (e / away, n / away, (radius + u) / away)
    pull = env[E_GRAVITY] * radius**2 / away**3
    for i in range(3):
        drag_h = -q_h * rel[i] + q * wind_h[i]
        for j in range(3):
            out[i, j] = (drag_h + 3.0 * pull * up[i]) * up[j]
            out[i, 3 + j] = -q_speed / speed * rel[i] * rel[j]
        out[i, i] -= pull
        out[i, 3 + i] -= q
        out[i, 6] = q * rel[i]
        out[i, 7], out[i, 8] = -out[i, 3], -out[i, 4]
    we, wn, wu = 2.0 * env[E_SPIN_E], 2.0 * env[E_SPIN_N], 2.0 * env[E_SPIN_U]
    out[0, 4] += wu
    out[0, 5] -= wn
    out[1, 3] -= wu
    out[1, 5] += we
    out[2, 3] += wn
    out[2, 4] -= we


@device
def carry(tangent: Floats, slopes: Floats, dt: float, k: Floats) -> None:
    """Carry the tangent (6, n) over a Runge-Kutta step by its stages' slopes (4, 3, 9); `k` (4, 3) is room to work.

    Column j < 6 is the derivative by the state's own j, then by ln(beta) and, where n is 9, by the wind.
    """
    half = 0.5 * dt
    for j in range(tangent.shape[1]):
        p0, p1, p2 = tangent[0, j], tangent[1, j], tangent[2, j]
        v0, v1, v2 = tangent[3, j], tangent[4, j], tangent[5, j]
        for s in range(4):
            # a stage's position and velocity: x + c dt v + (its share of the earlier k), v + c dt k
            reach = 0.0 if s == 0 else (dt if s == 3 else half)
            last, before = max(s - 1, 0), max(s - 2, 0)
            lift = 0.0 if s < 2 else reach * half
            f0, f1, f2 = v0 + reach * k[last, 0], v1 + reach * k[last, 1], v2 + reach * k[last, 2]
            x0 = p0 + reach * v0 + lift * k[before, 0]
            x1 = p1 + reach * v1 + lift * k[before, 1]
            x2 = p2 + reach * v2 + lift * k[before, 2]
            for i in range(3):
                a = slopes[s, i]
                k[s, i] = a[0] * x0 + a[1] * x1 + a[2] * x2 + a[3] * f0 + a[4] * f1 + a[5] * f2
                if j > 5:
                    k[s, i] += a[j]
        for i in range(3):
            tangent[i, j] += dt * tangent[3 + i, j] + dt * dt / 6.0 * (k[0, i] + k[1, i] + k[2, i])
            tangent[3 + i, j] += dt / 6.0 * (k[0, i] + 2.0 * k[1, i] + 2.0 * k[2, i] + k[3, i])


@device
def _thrust(t: float, motor: Floats) -> tuple[float, float]:
    """Thrust (m/s2) and mass over burnt-out mass at a time since ignition; (0, 1) without a motor."""
    if motor[0] <= 0.0:
        return 0.0, 1.0
    mass = 1.0 - (1.0 - motor[2]) * t / motor[0]
    return motor[1] * (1.0 - motor[2]) / (motor[0] * mass), mass / motor[2]


@device
def advance(
    y: Floats, t: float, dt: float, motor: Floats, env: Floats, air: Floats, drag: Floats, slopes: Floats, out: Floats
) -> None:
    """One classical Runge-Kutta step into `out`; fills the stages' slopes (4, 3, 9) where given (empty: not wanted)."""
    beta = math.exp(-y[6])
    half, sixth = 0.5 * dt, dt / 6.0
    e, n, u, ve, vn, vu = y[0], y[1], y[2], y[3], y[4], y[5]
    xe, xn, xu, fe, fn, fu = e, n, u, ve, vn, vu
    sum_e, sum_n, sum_u, end_e, end_n, end_u = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for s in range(4):
        push, mass = _thrust(t if s == 0 else (t + dt if s == 3 else t + half), motor)
        ae, an, au = _accel(xe, xn, xu, fe, fn, fu, beta / mass, push, env, air, drag)
        if slopes.shape[0] > 0:
            _slopes(xe, xn, xu, fe, fn, fu, beta, env, air, drag, slopes[s])
        weight = 1.0 if s == 0 or s == 3 else 2.0
        end_e, end_n, end_u = end_e + weight * ae, end_n + weight * an, end_u + weight * au
        if s == 3:
            break
        sum_e, sum_n, sum_u = sum_e + ae, sum_n + an, sum_u + au
        # the next stage's place goes by this stage's velocity, its velocity by this stage's acceleration
        reach = dt if s == 2 else half
        xe, xn, xu = e + reach * fe, n + reach * fn, u + reach * fu
        fe, fn, fu = ve + reach * ae, vn + reach * an, vu + reach * au
    out[0] = e + dt * (ve + sixth * sum_e)
    out[1] = n + dt * (vn + sixth * sum_n)
    out[2] = u + dt * (vu + sixth * sum_u)
    out[3] = ve + sixth * end_e
    out[4] = vn + sixth * end_n
    out[5] = vu + sixth * end_u
    out[6] = y[6]


@device
def _step_s(y: Floats, env: Floats, air: Floats, drag: Floats) -> float:
    """How far one step may reach from here."""
    rho, sound, wind_e, wind_n, _, _, _, _ = _air_at(height_m(y[0], y[1], y[2], env[E_RADIUS]), air)
    re, rn = y[3] - wind_e - env[E_WIND_E], y[4] - wind_n - env[E_WIND_N]
    speed = math.sqrt(re * re + rn * rn + y[5] ** 2)
    shape, _ = _shape_at(speed / sound, drag)
    longest = TRANSONIC_STEP_S if 0.8 * sound < speed < 1.3 * sound else LONGEST_STEP_S
    drag_time = 2.0 * math.exp(y[6]) / (rho * max(speed, 1.0) * shape)
    return max(min(longest, STEP_PER_DRAG_TIME * drag_time), SHORTEST_STEP_S)


@kernel("void(float64[::1], float64, float64[::1], float64[:,::1], float64[::1], float64[::1])")
def rk4_step(y: Floats, dt: float, env: Floats, air: Floats, drag: Floats, out: Floats) -> None:
    """One classical Runge-Kutta step of `dt` seconds (either sign) from y (7) into `out` (7), without thrust."""
    advance(y, 0.0, dt, np.zeros(3), env, air, drag, np.empty((0, 3, 9)), out)


@device
def _fly(y0: Floats, motor: Floats, dt_s: float, n: int, env: Floats, air: Floats, drag: Floats) -> Floats:
    out = np.empty((n + 1, 7))
    out[0] = y0
    y, after = y0.copy(), np.empty(7)
    none, no_slopes = np.zeros(3), np.empty((0, 3, 9))
    for i in range(n):
        t, end = i * dt_s, (i + 1) * dt_s
        # the step that holds burn-out is cut there: a thrust that stops within a step spoils its order
        burnt = min(max(motor[0], t), end) if dt_s > 0.0 else t
        parts = math.ceil((burnt - t) / THRUST_STEP_S - 1e-9)
        for p in range(parts):
            advance(y, t + p * (burnt - t) / parts, (burnt - t) / parts, motor, env, air, drag, no_slopes, after)
            y[:] = after
        parts = math.ceil(abs(end - burnt) / _step_s(y, env, air, drag) - 1e-9)
        for _ in range(parts):
            advance(y, 0.0, (end - burnt) / parts, none, env, air, drag, no_slopes, after)
            y[:] = after
        out[i + 1] = y
    return out


@kernel("float64[:,::1](float64[::1], float64, int64, float64[::1], float64[:,::1], float64[::1])")
def fly(y0: Floats, dt_s: float, n: int, env: Floats, air: Floats, drag: Floats) -> Floats:
    """States (n + 1, 7) at 0, dt_s, ... n dt_s, without thrust and without a ground; dt_s may be negative."""
    return _fly(y0, np.zeros(3), dt_s, n, env, air, drag)


@kernel("float64[:,::1](float64[::1], float64[::1], float64, int64, float64[::1], float64[:,::1], float64[::1])")
def fly_boosted(y0: Floats, motor: Floats, dt_s: float, n: int, env: Floats, air: Floats, drag: Floats) -> Floats:
    """As `fly`, from ignition, with the thrust of `motor` (3) along the velocity through the air; dt_s is positive.

    ln_beta is that of the burnt-out body; while the motor burns the heavier body's is used.
    The body must be moving through the air at ignition (a rocket that leaves its tube is).
    """
    return _fly(y0, motor, dt_s, n, env, air, drag)


@kernel("void(float64[::1], float64, float64[::1], float64[:,::1], float64[::1], float64[:,::1], float64[::1])")
def transition(y: Floats, dt_s: float, env: Floats, air: Floats, drag: Floats, jacobian: Floats, y_out: Floats) -> None:
    """State `dt_s` later (or earlier) into `y_out` (7) and its derivative with respect to y into `jacobian` (7, 7).

    Steps are at most 0.25 s. `y_out` may be `y` itself.
    """
    tangent, slopes, k = np.eye(6, 7), np.empty((4, 3, 9)), np.zeros((4, 3))
    none, now, after = np.zeros(3), y.copy(), np.empty(7)
    steps = math.ceil(abs(dt_s) / LONGEST_TANGENT_STEP_S - 1e-9)
    for _ in range(steps):
        advance(now, 0.0, dt_s / steps, none, env, air, drag, slopes, after)
        carry(tangent, slopes, dt_s / steps, k)
        now[:] = after
    y_out[:] = now
    jacobian[:6] = tangent
    jacobian[6, :6] = 0.0
    jacobian[6, 6] = 1.0


@device
def short_transition(
    y: Floats, dt_s: float, env: Floats, air: Floats, drag: Floats, jacobian: Floats, y_out: Floats, slopes: Floats
) -> None:
    """As `transition`, by one midpoint step with its tangent where that is exact enough, several times quicker.

    One step of 0.1 s is off by 0.3 mm as a rule and by 16 mm and 9 mm/s at most, for a light bomb at 900 m/s; its
    tangent leaves out what drag does to the change that drag makes. `slopes` (3, 9) is room to work.
    """
    half, inv_beta = 0.5 * dt_s, math.exp(-y[6])
    a = _accel(y[0], y[1], y[2], y[3], y[4], y[5], inv_beta, 0.0, env, air, drag)
    speed = abs(y[3]) + abs(y[4]) + abs(y[5])
    if abs(dt_s) > SHORT_STEP_S or (abs(a[0]) + abs(a[1]) + abs(a[2])) * abs(dt_s) > SHORT_STEP_TURN * speed:
        transition(y, dt_s, env, air, drag, jacobian, y_out)
        return
    e, n, u = y[0] + half * y[3], y[1] + half * y[4], y[2] + half * y[5]
    fe, fn, fu = y[3] + half * a[0], y[4] + half * a[1], y[5] + half * a[2]
    b = _accel(e, n, u, fe, fn, fu, inv_beta, 0.0, env, air, drag)
    _slopes(e, n, u, fe, fn, fu, inv_beta, env, air, drag, slopes)
    for i in range(3):
        for j in range(3):
            fall, brake = slopes[i, j], slopes[i, 3 + j]
            jacobian[i, j], jacobian[i, 3 + j] = dt_s * half * fall, dt_s * half * brake
            jacobian[3 + i, j], jacobian[3 + i, 3 + j] = dt_s * fall, dt_s * (brake + half * fall)
        jacobian[i, i] += 1.0
        jacobian[i, 3 + i] += dt_s
        jacobian[3 + i, 3 + i] += 1.0
        jacobian[i, 6], jacobian[3 + i, 6] = dt_s * half * slopes[i, 6], dt_s * slopes[i, 6]
        jacobian[6, i], jacobian[6, 3 + i] = 0.0, 0.0
    jacobian[6, 6] = 1.0
    for i in range(3):
        y_out[i], y_out[3 + i] = y[i] + dt_s * (y[3 + i] + half * a[i]), y[3 + i] + dt_s * b[i]
    y_out[6] = y[6]


@device
def _land(
    y0: Floats, direction: float, env: Floats, air: Floats, ground: Floats, drag: Floats, tangent: Floats, y: Floats
) -> float:
    """Fly to the ground: the state there into y, the tangent (6, n) along with it if not empty; returns the time."""
    none, after, k = np.zeros(3), np.empty(7), np.zeros((4, 3))
    slopes = np.empty((4 if tangent.shape[0] > 0 else 0, 3, 9))
    y[:] = y0
    t, dt, rounds, share = 0.0, 0.0, 0, math.nan
    over = over_ground(y, env, ground)
    landed = over <= 0.0 and direction * closing_mps(y, env, ground) > 0.0
    while abs(t) < LONGEST_FLIGHT_S and rounds < GROUND_ROUNDS:
        if share == share:
            dt *= share
        elif landed:
            # at the ground or under it, closing: to where it crossed, by Newton's steps on the way to go
            if abs(over) < GROUND_MISS_M:
                return t
            dt = over / closing_mps(y, env, ground)
            rounds += 1
        else:
            dt = direction * _step_s(y, env, air, drag)
        if not abs(dt) < LONGEST_FLIGHT_S:
            break
        advance(y, 0.0, dt, none, env, air, drag, slopes, after)
        if landed:
            share = math.nan
        elif ground.shape[0] > 0:
            # a ridge may stand within the step, and from far inside one Newton's way out may be another: step again
            share = contact(y, after, dt, env, ground)
            if share == share:
                landed = True
                continue
        if tangent.shape[0] > 0:
            carry(tangent, slopes, dt, k)
        y[:] = after
        t += dt
        if not y[3] ** 2 + y[4] ** 2 + y[5] ** 2 < FASTEST_MPS**2:
            break
        over = over_ground(y, env, ground)
        landed = landed or (over <= 0.0 and direction * closing_mps(y, env, ground) > 0.0)
    return math.nan


@kernel("float64[::1](float64[::1], float64, float64[::1], float64[:,::1], float64[:,::1], float64[::1])")
def to_ground(y0: Floats, direction: float, env: Floats, air: Floats, ground: Floats, drag: Floats) -> Floats:
    """State at the ground (7) and the time there (s), as (8,): direction +1 to the impact, -1 back to the launch.

    A state already under the ground and still going down is carried back to where it went through (time below zero).
    All NaN where the ground is not reached within 300 s or below 3,000 m/s.
    """
    out = np.empty(8)
    out[7] = _land(y0, direction, env, air, ground, drag, np.empty((0, 7)), out[:7])
    if math.isnan(out[7]):
        out[:] = math.nan
    return out


@device
def landing(
    y0: Floats,
    direction: float,
    env: Floats,
    air: Floats,
    ground: Floats,
    drag: Floats,
    tangent: Floats,
    y: Floats,
    out: Floats,
) -> bool:
    """East, north, time and speed at the ground and their derivatives, into `out` (4, 1 + n); whether it is reached.

    `tangent` (6, n) holds the derivatives of y0 by n parameters, in the columns that `carry` tells of, and is carried
    along. Column 0 of `out` holds the values. The state at the ground comes into `y` (7).
    """
    t = _land(y0, direction, env, air, ground, drag, tangent, y)
    if math.isnan(t):
        return False
    radius = env[E_RADIUS]
    away = math.sqrt(y[0] ** 2 + y[1] ** 2 + (radius + y[2]) ** 2)
    _, slope_e, slope_n = ground_at(y[0], y[1], env, ground)
    closing, speed = closing_mps(y, env, ground), math.sqrt(y[3] ** 2 + y[4] ** 2 + y[5] ** 2)
    a = _accel(y[0], y[1], y[2], y[3], y[4], y[5], math.exp(-y[6]), 0.0, env, air, drag)
    slower = (y[3] * a[0] + y[4] * a[1] + y[5] * a[2]) / speed
    out[0, 0], out[1, 0], out[2, 0], out[3, 0] = y[0], y[1], t, speed
    for j in range(tangent.shape[1]):
        # the flight stops at the ground, so a change of its height over it there is a change of time
        lift = (y[0] * tangent[0, j] + y[1] * tangent[1, j] + (radius + y[2]) * tangent[2, j]) / away
        later = (lift - slope_e * tangent[0, j] - slope_n * tangent[1, j]) / closing
        faster = (y[3] * tangent[3, j] + y[4] * tangent[4, j] + y[5] * tangent[5, j]) / speed
        out[0, 1 + j] = tangent[0, j] + y[3] * later
        out[1, 1 + j] = tangent[1, j] + y[4] * later
        out[2, 1 + j] = later
        out[3, 1 + j] = faster + slower * later
    return True


@kernel("float64[:,::1](float64[::1], float64, float64[::1], float64[:,::1], float64[:,::1], float64[::1])")
def ground_jacobian(y0: Floats, direction: float, env: Floats, air: Floats, ground: Floats, drag: Floats) -> Floats:
    """East, north (m), time (s), speed (m/s) at the ground, and their derivatives by y0 and the wind, as (4, 10).

    Column 0 holds the values, equal to those of `to_ground`; columns 1 to 7 the derivatives by y0, 8 and 9 by the
    wind (east, north) all the way. NaN as there.
    """
    out = np.full((4, 10), math.nan)
    landing(y0, direction, env, air, ground, drag, np.eye(6, 9), np.empty(7), out)
    return out
