"""Shots that come down at a place, from everywhere around it: when radars have seen enough of each, by expectation.

Nothing is drawn. A look at an object gives a plot with the chance P = Pfa^(1 / (1 + SNR)) of Swerling's case 1, SNR by
the range equation, inside a radar's coverage, above the horizon and clear of the ground between. The number of plots so
far is a Poisson-binomial; a track is confirmed when more likely than not it has `NEEDED` of them.

What is known then is bounded from below by the plots expected: each adds its information on a flight straight on
(position and velocity, gravity known), which the derivatives of the impact carry to the ground, and there the
uncertainty of the drag and of the wind is added. Richards, Fundamentals of Radar Signal Processing, 2005, chapter 6;
Van Trees, Detection, Estimation and Modulation Theory I, 1968, section 2.4 (the bound).

Tables that kernels take, all float64 and C-contiguous:
  flights (m, n, FLIGHT)  typical flights at n times, evenly from launch to fall, in the vertical plane of each: see F_*
  sensors (s, SENSOR)     see S_*
  masks (s, azimuths, ranges)  least slope (rise over distance) at which a radar sees over the ground, see `horizon`;
                          (s, 0, 0) where there is no relief
"""

import math

import numpy as np

from opencram.physics.kernel import device, kernel
from opencram.physics.place import E_RADIUS, ground_at, height_m
from opencram.tables import FloatArray, IntArray

F_TO_GO, F_HEIGHT, F_ALONG, F_UP = range(4)
"""Ground distance to the fall and height over it (m), velocity along the ground and up (m/s)."""
F_FALL = 4
"""Derivatives of where it falls: along the flight by the height, the velocity along and up, ln(beta), the wind along;
across it by the velocity and the wind across. By its own place each is 1."""
FLIGHT = 11

S_ROT, S_NEAR, S_FAR, S_FROM, S_WIDTH, S_LOW, S_HIGH = 3, 12, 13, 14, 15, 16, 17
"""After the position (3): the rotation (9) into the sensor's frame, and its coverage (m, rad)."""
S_SIGMA, S_UPDATE, S_POWER, S_REFERENCE = 18, 22, 23, 24
"""Sigmas (4: range m, azimuth, elevation rad, range rate m/s; 0 where it is not measured), seconds between looks, SNR
times range to the fourth of one square metre, and the SNR below which plots get worse."""
SENSOR = 25

O_SEEN, O_KNOWN, O_SURE, O_FLIGHT = range(4)
"""Seconds from launch until a track is confirmed, until a hit is as likely as an alarm calls for, until as likely as
one that does not wait, and until the fall; NaN where that never comes."""
OUT = 4

NEEDED = 4
"""Plots that confirm a track: three always fit some parabola (`tracking/lifecycle.py`)."""
HALF = 0.5
WORST_SIGMA = 3.0
REFRACTION = 4.0 / 3.0
"""The earth's radius, as radar waves bend over it, Skolnik."""
TURN = 2.0 * math.pi
FARTHEST_M, FASTEST_MPS = 1e5, 1e3
"""What is known of an object's place and velocity before any plot, one sigma: nothing."""


@device
def slope_to(flat_m: float, up_m: float, own_m: float, radius_m: float) -> float:
    """Rise over distance of a line of sight that leaves level ground curved by refraction, heights over the sphere."""
    return (up_m - flat_m * flat_m / (2.0 * REFRACTION * radius_m) - own_m) / max(flat_m, 1.0)


@kernel("float64[:,::1](float64[::1], float64, int64, int64, float64[::1], float64[:,::1])")
def horizon(
    at: FloatArray, step_m: float, azimuths: int, ranges: int, env: FloatArray, ground: FloatArray
) -> FloatArray:
    """The least slope at which a radar at `at` (3) sees what is in azimuth bin i, beyond j steps: (azimuths, ranges).

    Azimuth bins are centred on i times TURN / azimuths; the ground is looked at at each step up to j, not the last.
    """
    out = np.empty((azimuths, ranges))
    own = height_m(at[0], at[1], at[2], env[E_RADIUS])
    for i in range(azimuths):
        east, north, highest = math.sin(i * TURN / azimuths), math.cos(i * TURN / azimuths), -math.inf
        for j in range(ranges):
            out[i, j] = highest
            flat = (j + 1) * step_m
            up, _, _ = ground_at(at[0] + flat * east, at[1] + flat * north, env, ground)
            highest = max(highest, slope_to(flat, up, own, env[E_RADIUS]))
    return out


@device
def _hidden(
    flat: float, east: float, north: float, height: float, own: float, mask: FloatArray, step_m: float, radius: float
) -> bool:
    """Whether the earth's bulge or the ground stands between a radar and a point."""
    reach = 2.0 * REFRACTION * radius
    if flat > math.sqrt(reach * max(own, 0.0)) + math.sqrt(reach * max(height, 0.0)):
        return True
    azimuths, ranges = mask.shape
    if ranges == 0:
        return False
    i = int(math.atan2(east, north) / TURN * azimuths + azimuths + 0.5) % azimuths
    j = min(int(flat / step_m), ranges - 1)
    return bool(slope_to(flat, height, own, radius) < mask[i, j])


@device
def p_plot(
    e: float, n: float, u: float, height: float, rcs_m2: float, threshold: float, s: FloatArray, mask: FloatArray,
    step_m: float, radius: float,
) -> tuple[float, float]:  # fmt: skip
    """Chance that one look at a point gives a plot, and by how much its noise exceeds the radar's sigmas."""
    x, y, z = e - s[0], n - s[1], u - s[2]
    r = S_ROT
    le, ln = x * s[r] + y * s[r + 1] + z * s[r + 2], x * s[r + 3] + y * s[r + 4] + z * s[r + 5]
    lu = x * s[r + 6] + y * s[r + 7] + z * s[r + 8]
    flat = math.sqrt(le * le + ln * ln)
    reach = max(math.sqrt(flat * flat + lu * lu), 1.0)
    if not s[S_NEAR] <= reach <= s[S_FAR]:
        return 0.0, 1.0
    el = math.atan2(lu, flat)
    if not s[S_LOW] <= el <= s[S_HIGH]:
        return 0.0, 1.0
    if s[S_WIDTH] < TURN and (math.atan2(le, ln) - s[S_FROM]) % TURN > s[S_WIDTH]:
        return 0.0, 1.0
    own = height_m(s[0], s[1], s[2], radius)
    if _hidden(math.sqrt(x * x + y * y), x, y, height, own, mask, step_m, radius):
        return 0.0, 1.0
    snr = s[S_POWER] * rcs_m2 / reach**4
    worse = min(max(math.sqrt(s[S_REFERENCE] / max(snr, 1e-12)), 1.0), WORST_SIGMA)
    return math.exp(-threshold / (1.0 + snr)), worse


@device
def _learn(x: float, y: float, z: float, plots: float, s: FloatArray, info: FloatArray) -> None:
    """Add the information of so many plots of a point (x, y, z) from a radar: on position and, by Doppler, velocity."""
    flat = max(math.sqrt(x * x + y * y), 1.0)
    reach = math.sqrt(flat * flat + z * z)
    for k in range(4):
        sigma = s[S_SIGMA + k]
        if sigma <= 0.0:
            continue
        across = 1.0 if k == 0 or k == 3 else (flat if k == 1 else reach)
        weight = plots / (sigma * across) ** 2
        if k == 1:
            a, b, c = y / flat, -x / flat, 0.0
        elif k == 2:
            a, b, c = -x * z / (flat * reach), -y * z / (flat * reach), flat / reach
        else:
            a, b, c = x / reach, y / reach, z / reach
        o = 3 if k == 3 else 0
        info[o, o] += weight * a * a
        info[o, o + 1] += weight * a * b
        info[o, o + 2] += weight * a * c
        info[o + 1, o + 1] += weight * b * b
        info[o + 1, o + 2] += weight * b * c
        info[o + 2, o + 2] += weight * c * c


@device
def _age(info: FloatArray, dt: float) -> None:
    """Information (6, 6; its upper half) on position and velocity now, as that on those `dt` later: straight on."""
    for i in range(3):
        for j in range(i, 3):
            # the place then is the place now and dt times the velocity; B = B - dt A, C = C - dt (B + B') + dt2 A
            both = info[i, 3 + j] + info[j, 3 + i]
            info[3 + i, 3 + j] += dt * dt * info[i, j] - dt * both
    for i in range(3):
        for j in range(3):
            info[i, 3 + j] -= dt * (info[i, j] if i <= j else info[j, i])


@device
def _spread(info: FloatArray, fall: FloatArray, drag_sigma: float, wind_mps: float, work: FloatArray) -> float:
    """Sigmas of the fall along and across the flight as (along, across, correlation) in work[0, :3]; 0 if well done.

    `fall` are the derivatives F_FALL..; the information is factored (Cholesky) in work[1:7], and solved for both rows.
    """
    low, rows = work[1:7], work[7:9]
    for i in range(6):
        for j in range(i + 1):
            total = info[j, i]
            if i == j:
                total += 1.0 / FARTHEST_M**2 if i < 3 else 1.0 / FASTEST_MPS**2
            for k in range(j):
                total -= low[i, k] * low[j, k]
            if i == j:
                if not total > 0.0:
                    return 1.0
                low[i, i] = math.sqrt(total)
            else:
                low[i, j] = total / low[j, j]
    # x is across the flight, y along it, z up; rows become L^-1 times the derivatives
    for i in range(6):
        rows[0, i], rows[1, i] = 0.0, 0.0
    rows[0, 1], rows[0, 2], rows[0, 4], rows[0, 5] = 1.0, fall[0], fall[1], fall[2]
    rows[1, 0], rows[1, 3] = 1.0, fall[5]
    for r in range(2):
        for i in range(6):
            for k in range(i):
                rows[r, i] -= low[i, k] * rows[r, k]
            rows[r, i] /= low[i, i]
    along, across, both = (fall[3] * drag_sigma) ** 2 + (fall[4] * wind_mps) ** 2, (fall[6] * wind_mps) ** 2, 0.0
    for i in range(6):
        along += rows[0, i] ** 2
        across += rows[1, i] ** 2
        both += rows[0, i] * rows[1, i]
    work[0, 0], work[0, 1], work[0, 2] = along, across, both
    return 0.0


@device
def _p_hit(half_m: float, work: FloatArray) -> float:
    """Chance of a fall in a square of half a side, aimed at its middle, as expected of a prediction of this covariance.

    The prediction is off by as much as it says, so that the chance that it gives is that of twice its covariance.
    """
    mean = 0.5 * (work[0, 0] + work[0, 1])
    turn = math.sqrt(max(0.25 * (work[0, 0] - work[0, 1]) ** 2 + work[0, 2] ** 2, 0.0))
    long, short = math.sqrt(mean + turn), math.sqrt(max(mean - turn, 1e-6))
    # 2 for the variance that is doubled, times sqrt(2)^2 of erf's own argument
    return math.erf(0.5 * half_m / long) * math.erf(0.5 * half_m / short)


@device
def _crossing(before: float, now: float, level: float, t: float, dt: float) -> float:
    """When a chance that was `before` at t - dt and is `now` at t passed a level."""
    return t - dt * (now - level) / (now - before) if before < level < now else t


@device
def _plots(chance: float, looks: float, t: float, dt: float, had: FloatArray) -> float:
    """Count the plots of so many looks in (t - dt, t]; when `NEEDED` became likelier than not, NaN if not then."""
    whole = int(looks)
    for look in range(whole):
        for k in range(NEEDED - 1, 0, -1):
            had[k] += chance * (had[k - 1] - had[k])
        had[0] -= chance * had[0]
        fewer = 0.0
        for k in range(NEEDED):
            fewer += had[k]
        if fewer <= HALF:
            return t - dt * (whole - look - 1) / whole
    return math.nan


@device
def _sight(
    flight: FloatArray, flight_s: float, fall: FloatArray, east: float, north: float, rcs_m2: float, threshold: float,
    sensors: FloatArray, masks: FloatArray, step_m: float, radius: float, zone: FloatArray, room: FloatArray,
    out: FloatArray,
) -> None:  # fmt: skip
    """One shot, flying towards (east, north), into `out` (OUT); `zone` as in `sight`, `room` (18, 6 + sensors)."""
    info, work, had, due = room[:6, :6], room[6:15, :6], room[15], room[16]
    info[:] = 0.0
    had[:] = 0.0
    # when a radar looks is not known: the first of its looks comes after half the time between two, in the mean
    due[:] = 0.5
    had[0] = 1.0
    out[:] = math.nan
    n = flight.shape[0]
    dt, before = flight_s / n, 0.0
    out[O_FLIGHT] = flight_s
    for i in range(n):
        t, f = (i + 1) * dt, flight[i]
        e, no = fall[0] - f[F_TO_GO] * east, fall[1] - f[F_TO_GO] * north
        height = fall[2] + f[F_HEIGHT]
        u = height - (e * e + no * no) / (2.0 * radius)
        if i > 0:
            _age(info, dt)
        for k in range(sensors.shape[0]):
            s = sensors[k]
            chance, worse = p_plot(e, no, u, height, rcs_m2, threshold, s, masks[k], step_m, radius)
            due[k] += dt / s[S_UPDATE]
            if chance > 0.0:
                x, y, z = e - s[0], no - s[1], u - s[2]
                plots = chance * dt / (s[S_UPDATE] * worse * worse)
                _learn(x * north - y * east, x * east + y * north, z, plots, s, info)
                if out[O_SEEN] != out[O_SEEN]:
                    out[O_SEEN] = _plots(chance, due[k], t, dt, had)
            due[k] -= math.floor(due[k])
        if out[O_SEEN] == out[O_SEEN]:
            if _spread(info, f[F_FALL:], zone[2], zone[3], work) > 0.0:
                continue
            p = _p_hit(zone[4], work)
            if p >= zone[0] and out[O_KNOWN] != out[O_KNOWN]:
                out[O_KNOWN] = max(_crossing(before, p, zone[0], t, dt), out[O_SEEN])
            if p >= zone[1]:
                out[O_SURE] = max(_crossing(before, p, zone[1], t, dt), out[O_SEEN])
                return
            before = p


@kernel(
    "float64[:,:,::1](float64[:,::1], float64[::1], float64[:,:,::1], float64[::1], int64[:,::1], float64, float64,"
    "float64, float64[:,::1], float64[:,:,::1], float64, float64, float64[::1])"
)
def sight(
    launches: FloatArray, fall: FloatArray, flights: FloatArray, flight_s: FloatArray, by_range: IntArray,
    bin_m: float, rcs_m2: float, threshold: float, sensors: FloatArray, masks: FloatArray, step_m: float,
    radius_m: float, zone: FloatArray,
) -> FloatArray:  # fmt: skip
    """Shots from launch points (c, 2) to a fall (3: east, north, height over the sphere), as (c, each, OUT).

    `by_range` (bins, each) are the flights whose range is in each bin of `bin_m`, -1 for none. A flight's launch is
    shifted so that it falls there, along the line from the launch point, by less than a bin. `zone` (5): the chances
    of a hit O_KNOWN and O_SURE are about, one sigma of ln(beta) and of the wind (m/s), half the side of the square.
    """
    each = by_range.shape[1]
    out = np.full((launches.shape[0], each, OUT), math.nan)
    room = np.empty((18, 6 + max(sensors.shape[0], NEEDED)))
    for c in range(launches.shape[0]):
        x, y = fall[0] - launches[c, 0], fall[1] - launches[c, 1]
        away = math.sqrt(x * x + y * y)
        row = int(away / bin_m)
        if row >= by_range.shape[0] or away < 1.0:
            continue
        for k in range(each):
            j = by_range[row, k]
            if j >= 0:
                _sight(
                    flights[j], flight_s[j], fall, x / away, y / away, rcs_m2, threshold, sensors, masks, step_m,
                    radius_m, zone, room, out[c, k],
                )  # fmt: skip
    return out
