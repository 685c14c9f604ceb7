"""What one object, seen by two radars for two seconds, tells of how the radars disagree.

Over so short a time a path is a parabola: place, velocity and acceleration at the middle (9 numbers). The path and the
registration of both radars (range m, azimuth rad, elevation rad, clock s; 8 numbers) are fitted to all plots of both at
once, by weighted least squares, and the path is then eliminated (a Schur complement). What is left is the information
on the eight alone. So no sensor's track is taken for the truth, a slow radar's two plots count for what they are
worth beside a fast one's twenty, and what cannot be told apart stays so in the information matrix. Pseudo-measurements
of the biases, free of the targets' states, are the way of Lin, Bar-Shalom and Kirubarajan (IEEE TAES 41-3, 2005), who
show that they attain the Cramer-Rao bound for asynchronous sensors.

A clock ahead by c stamps a plot c too late: what it saw at stamp t was there at t - c. A plot far off the fit counts
less, by Huber's weights (Robust Statistics, 1981).
"""

from dataclasses import dataclass

import numpy as np

from opencram.physics.frames import spherical_to_enu
from opencram.physics.layout import Layout, turned
from opencram.tables import FloatArray, IntArray

OFFSETS = 4
"""Range (m), azimuth (rad), elevation (rad), clock (s): what is added to a sensor's plots."""
PATH = 9
BLOCK_NS = 2_000_000_000
FEWEST_TOGETHER = 4
ACCEL_SIGMA_MPS2 = 30.0
"""Before any plot: gravity, and so much more per axis, for drag and turns. A motor's thrust is more, and is short."""
SPEED_SIGMA_MPS = 1_000.0
SHORTEST_LINE_S = 0.2
ALONG_SIGMAS = 4.0
"""Two plots of one thing are no further apart, in distance from a path that goes along with it."""
MOST_COMPANIONS, MOST_NEAR = 8, 400
"""Things that may go along with a path, and plots near it, the nearest, that are looked at."""
ROUNDS = 3
HUBER = 2.5
WORST_FIT = 3.0
"""Squared residuals per degree of freedom above which the plots are not of one parabola: nothing is learnt."""
GRAVITY_MPS2 = 9.8
FALLS = np.array([0.0] * 8 + [-GRAVITY_MPS2])
PATH_PRIOR = np.array([0.0] * 3 + [SPEED_SIGMA_MPS**-2] * 3 + [ACCEL_SIGMA_MPS2**-2] * 3)
"""What a path (9) is before any plot: mean, and information on each."""


@dataclass
class Sight:
    """Plots of one sensor in one block of time."""

    sensor: int
    time_s: FloatArray
    """(n,) as stamped, from the middle of the block, rising."""
    z: FloatArray
    """(n, 3): range m, azimuth rad, elevation rad; NaN where not measured."""
    sigma: FloatArray
    """(n, 3)"""

    def take(self, rows: IntArray) -> "Sight":
        """Some of the plots."""
        return Sight(self.sensor, self.time_s[rows], self.z[rows], self.sigma[rows])


@dataclass
class Form:
    """A quadratic form in the offsets b (8) of two sensors: ln p(plots | b) = vec'b - b'info b / 2 + constant."""

    info: FloatArray
    vec: FloatArray
    plots: int


def first_path(sight: Sight, layout: Layout) -> FloatArray | None:
    """Place and velocity (6) at the block's middle, by a line through one sensor's plots; None where there is none."""
    known = ~np.isnan(sight.z[:, 2])
    time_s, z = sight.time_s[known], sight.z[known]
    if len(time_s) < 2 or time_s[-1] - time_s[0] < SHORTEST_LINE_S:
        return None
    local = spherical_to_enu(z[:, 0], z[:, 1], z[:, 2])
    at = turned(local, layout.sensor_rot[sight.sensor].T) + layout.sensor_enu_m[sight.sensor]
    mean_s, mean = time_s.mean(), at.mean(axis=0)
    velocity = ((time_s - mean_s)[:, None] * (at - mean)).sum(axis=0) / ((time_s - mean_s) ** 2).sum()
    return np.concatenate([mean - mean_s * velocity, velocity])


def apart(sight: Sight, path: FloatArray, layout: Layout) -> FloatArray:
    """How far plots are from a path (6), (n, 3) m along range, azimuth and elevation; 0 where not measured."""
    at = path[:3] + sight.time_s[:, None] * path[3:6]
    at[:, 2] -= 0.5 * GRAVITY_MPS2 * sight.time_s**2
    seen = layout.seen_from(sight.sensor, at)
    off = sight.z - seen
    off[:, 1] = np.mod(off[:, 1] + np.pi, 2.0 * np.pi) - np.pi
    off[:, 1:] *= seen[:, :1]
    off[:, 1] *= np.cos(seen[:, 2])
    return np.nan_to_num(off)


def blur(sight: Sight) -> FloatArray:
    """The sigma (n) of a plot's place in its worst direction, m."""
    return np.fmax(sight.sigma[:, 0], np.fmax(sight.sigma[:, 1], sight.sigma[:, 2]) * sight.z[:, 0])


def companions(sight: Sight, path: FloatArray, reach_m: float, layout: Layout) -> list[tuple[Sight, FloatArray]]:
    """The plots of one sensor that go along with a path, as one sight for each thing that may: with how far it is (3).

    Each thing keeps its distance within a block, but for the radar's errors; of each scan it has one plot.
    """
    off = apart(sight, path, layout)
    away2 = (off**2).sum(axis=1)
    near = np.flatnonzero(away2 < reach_m**2)
    if len(near) > MOST_NEAR:
        near = np.sort(near[np.argsort(away2[near], kind="stable")[:MOST_NEAR]])
    groups: list[list[int]] = []
    gate_m, middle, last_s = ALONG_SIGMAS * blur(sight), np.empty((MOST_COMPANIONS, 3)), np.empty(MOST_COMPANIONS)
    for row in near.tolist():
        n = len(groups)
        away_m = np.sqrt(((middle[:n] - off[row]) ** 2).sum(axis=1))
        away_m[last_s[:n] >= sight.time_s[row]] = np.inf
        best = int(away_m.argmin()) if n else 0
        if n and away_m[best] < gate_m[row]:
            groups[best].append(row)
            middle[best] += (off[row] - middle[best]) / len(groups[best])
        elif n < MOST_COMPANIONS:
            best = n
            groups.append([row])
            middle[best] = off[row]
        else:
            continue
        last_s[best] = sight.time_s[row]
    return [(sight.take(np.array(g)), off[g].mean(axis=0)) for g in groups]


def common(a: Sight, b: Sight, start: FloatArray, mean: FloatArray, prior: FloatArray, layout: Layout) -> Form | None:
    """What two sensors' plots of one object tell of their offsets; None where they are not of one object.

    `start` (6) is a first guess of the path; `mean` (8) and `prior` (8, 8) what is known of the offsets.
    """
    if len(a.time_s) + len(b.time_s) < FEWEST_TOGETHER:
        return None
    path = np.concatenate([start, FALLS[6:]])
    offsets, weight = mean.copy(), np.ones(3 * (len(a.time_s) + len(b.time_s)))
    inverse = np.linalg.inv(prior)
    for last in range(ROUNDS):
        parts = [_linear(sight, path, offsets[4 * k : 4 * k + 4], layout, k) for k, sight in enumerate((a, b))]
        rows, miss = np.concatenate([r for r, _ in parts]), np.concatenate([m for _, m in parts])
        normal = rows.T @ (weight[:, None] * rows)
        right = rows.T @ (weight * miss)
        normal[np.arange(PATH), np.arange(PATH)] += PATH_PRIOR
        right[:PATH] += (FALLS - path) * PATH_PRIOR
        if last == ROUNDS - 1:
            break
        full, aim = normal.copy(), right.copy()
        full[PATH:, PATH:] += inverse
        aim[PATH:] += inverse @ (mean - offsets)
        step = np.linalg.solve(full, aim)
        path, offsets = path + step[:PATH], offsets + step[PATH:]
        left = np.abs(miss - rows @ step)
        weight = np.minimum(1.0, HUBER / np.maximum(left, 1e-9))
    measured = int((rows != 0.0).any(axis=1).sum())
    if float((weight * miss**2).sum()) > WORST_FIT * max(measured - PATH, 1):
        return None
    cross = np.linalg.solve(normal[:PATH, :PATH], np.column_stack([normal[:PATH, PATH:], right[:PATH]]))
    info = normal[PATH:, PATH:] - normal[PATH:, :PATH] @ cross[:, :-1]
    info = 0.5 * (info + info.T)
    vec = right[PATH:] - normal[PATH:, :PATH] @ cross[:, -1] + info @ offsets
    return Form(info, vec, min(len(a.time_s), len(b.time_s)))


def _linear(
    sight: Sight, path: FloatArray, offset: FloatArray, layout: Layout, k: int
) -> tuple[FloatArray, FloatArray]:
    """A sight's plots about a path (9) and offsets (4), in sigmas: derivatives (3 n, 17), misses (3 n)."""
    time_s = (sight.time_s - offset[3])[:, None]
    at = path[:3] + time_s * (path[3:6] + 0.5 * time_s * path[6:])
    velocity = path[3:6] + time_s * path[6:]
    rot = layout.sensor_rot[sight.sensor]
    local = turned(at - layout.sensor_enu_m[sight.sensor], rot)
    slopes = spherical_slopes(local) @ rot
    east, north, up = local.T
    flat = np.hypot(east, north)
    seen = np.column_stack([np.hypot(flat, up), np.arctan2(east, north), np.arctan2(up, flat)])
    miss = sight.z - seen - offset[:3]
    miss[:, 1] = np.mod(miss[:, 1] + np.pi, 2.0 * np.pi) - np.pi
    n = len(time_s)
    rows = np.zeros((n, 3, PATH + 2 * OFFSETS))
    since_s = time_s[:, :, None]
    rows[:, :, :3], rows[:, :, 3:6], rows[:, :, 6:9] = slopes, since_s * slopes, 0.5 * since_s**2 * slopes
    first = PATH + OFFSETS * k
    rows[:, [0, 1, 2], [first, first + 1, first + 2]] = 1.0
    rows[:, :, first + 3] = -(slopes * velocity[:, None, :]).sum(axis=2)
    rows /= sight.sigma[:, :, None]
    miss = miss / sight.sigma
    unknown = np.isnan(miss)
    rows[unknown], miss[unknown] = 0.0, 0.0
    return rows.reshape(3 * n, -1), miss.reshape(-1)


def spherical_slopes(local_m: FloatArray) -> FloatArray:
    """Derivatives (n, 3, 3) of range, azimuth and elevation by a place (n, 3) in the sensor's own east-north-up."""
    east, north, up = local_m.T
    flat2 = np.maximum(east**2 + north**2, 1.0)
    reach2 = flat2 + up**2
    flat, reach = np.sqrt(flat2), np.sqrt(reach2)
    slopes = np.zeros((len(east), 3, 3))
    slopes[:, 0] = local_m / reach[:, None]
    slopes[:, 1, 0], slopes[:, 1, 1] = north / flat2, -east / flat2
    slopes[:, 2, 0], slopes[:, 2, 1] = -east * up / (flat * reach2), -north * up / (flat * reach2)
    slopes[:, 2, 2] = flat / reach2
    return slopes
