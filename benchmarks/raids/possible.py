"""The moment from which a hit could have been known of: when a prediction at the Cramer-Rao bound passes the threshold.

For what falls: the posterior bound of `accuracy.bound`, told the class, over every plot that truly came of the object
after burn-out, from all radars, as they were received. The prediction lies on the true impact point with the bound's
covariance; the moment is the first at which its chance for the zone passes the zone's threshold. For a drone: the true
position and velocity, from its fifth plot on, in the formula of reachability.
"""

import math

import numpy as np

from accuracy.bound import NUDGE
from accuracy.shots import WIND_MPS
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import Layout
from opencram.physics.place import E_WIND_E
from opencram.physics.polygon import p_course, p_inside, sights
from opencram.stages.impacts_to_threats import COURSE_SIGMA_RAD, REACH_S, TURN_SHARE
from opencram.tables import FloatArray, IntArray, Plots
from opencram.world.flown import Flown
from opencram.world.sky import Sky

STEP_S = 0.1
GATE_SIGMA = 4.0
"""A plot within so many of its sigmas of the object's true place is the object's own."""
FEWEST = 3
"""A position, a velocity and one more: with fewer plots nothing that flies can be told from a false plot."""
RUN, LONGEST_GAP_S, GAP_LOOKS = 4, 3.0, 4.0
"""An object can be followed from the first plot that begins a run: four, none longer after the one before than 3 s or
four looks. Single plots long apart are among hundreds of false ones: no tracker can know that they belong together."""
DRONE_FEWEST = 5


def in_a_run(plots: Plots, update_s: float) -> Plots:
    """Plots of an object, in order of time, from the first on that begins a run; none where there is no run."""
    longest_ns = round(max(LONGEST_GAP_S, GAP_LOOKS * update_s) * 1e9)
    near = np.diff(plots.time_ns) <= longest_ns
    runs = np.flatnonzero(np.convolve(near, np.ones(RUN - 1), "valid") >= RUN - 1) if len(near) >= RUN - 1 else []
    return plots.take(np.arange(runs[0], len(plots))) if len(runs) else plots.take(np.empty(0, np.int64))


def own_plots(plots: Plots, sky: Sky, body: int, layout: Layout) -> Plots:
    """The plots that came of a body, in the order in which they were received."""
    alive = (plots.time_ns >= sky.start_ns[body]) & (plots.time_ns < sky.end_ns[body])
    near = plots.take(np.flatnonzero(alive))
    if not len(near):
        return near
    pos, vel = sky.at(near.time_ns, np.full(len(near), body))
    off = _measured(near) - _exact(pos, vel, near.sensor, layout)
    off[:, 1] = (off[:, 1] + math.pi) % (2.0 * math.pi) - math.pi
    own = (np.abs(np.nan_to_num(off)) <= GATE_SIGMA * np.nan_to_num(_sigma(near, layout), nan=1.0)).all(axis=1)
    rows = np.flatnonzero(own)
    return near.take(rows[np.argsort(near.received_ns[rows], kind="stable")])


def falling_ns(flown: Flown, plots: Plots, sky: Sky, layout: Layout, zones: dict[int, float]) -> dict[int, int]:
    """Zone -> when the bound's prediction first passes its threshold; `zones` gives those of the zones hit."""
    burn_s = flown.threat.motor.burn_s if flown.threat.motor is not None else 0.0
    after = plots.take(np.flatnonzero(plots.time_ns > flown.start_ns + round(burn_s * 1e9)))
    if len(after) < FEWEST:
        return {}
    covs = _impact_covs(flown, after, sky, layout)
    where = np.repeat(flown.end_enu_m[None, :2], len(after), axis=0)
    p = p_inside(where, covs, *layout.zone_rings(flown.threat.hazard_radius_m))
    found = {}
    for zone, threshold in zones.items():
        passed = np.flatnonzero(p[FEWEST - 1 :, zone] >= threshold)
        if len(passed):
            found[zone] = int(after.received_ns[FEWEST - 1 + passed[0]])
    return found


def flying_ns(flown: Flown, plots: Plots, sky: Sky, layout: Layout, zones: dict[int, float]) -> dict[int, int]:
    """The same for a drone."""
    body = next(n for n, other in enumerate(sky.bodies) if other is flown)
    rings = layout.zone_rings(flown.threat.hazard_radius_m)
    found: dict[int, int] = {}
    for time_ns, received_ns in zip(
        plots.time_ns[DRONE_FEWEST - 1 :].tolist(), plots.received_ns[DRONE_FEWEST - 1 :].tolist(), strict=True
    ):
        pos, vel = sky.at(time_ns, np.array([body]))
        east, north = vel[0, :2].tolist()
        seen = sights(float(pos[0, 0]), float(pos[0, 1]), *rings)
        p = p_course(math.atan2(east, north), COURSE_SIGMA_RAD, TURN_SHARE, seen)
        p = p * (seen[:, 0] / math.hypot(east, north) <= REACH_S)
        for zone, threshold in zones.items():
            if p[zone] >= threshold:
                found.setdefault(zone, received_ns)
        if len(found) == len(zones):
            break
    return found


def _impact_covs(flown: Flown, plots: Plots, sky: Sky, layout: Layout) -> FloatArray:
    """(k, 2, 2): the bound of the impact point with all plots up to each."""
    body = next(n for n, other in enumerate(sky.bodies) if other is flown)
    first_ns = int(plots.time_ns.min())
    pos, vel = sky.at(first_ns, np.array([body]))
    start = np.concatenate([pos[0], vel[0], [flown.threat.ln_beta]])
    at_s = (plots.time_ns - first_ns) * 1e-9
    steps = int(at_s.max() / STEP_S) + 2
    nudged = [_nudged(flown, start, j, sign, steps, layout) for j in range(9) for sign in (1.0, -1.0)]
    spans = 2.0 * NUDGE
    paths = np.stack([(nudged[2 * j][0] - nudged[2 * j + 1][0]) / spans[j] for j in range(9)], axis=-1)
    ends = np.stack([(nudged[2 * j][1] - nudged[2 * j + 1][1]) / spans[j] for j in range(9)], axis=-1)
    slopes = np.einsum("kms,ksj->kmj", _sights(plots, sky, body, layout), _between(paths, at_s / STEP_S))
    weight = np.nan_to_num(1.0 / _sigma(plots, layout) ** 2)
    each = np.einsum("kmi,km,kmj->kij", slopes, weight, slopes)
    prior = np.diag([0.0] * 3 + [1e-6] * 3 + [flown.threat.ln_beta_sigma**-2, WIND_MPS**-2, WIND_MPS**-2])
    information = np.cumsum(each, axis=0) + prior
    size = np.sqrt(np.maximum(np.diagonal(information, axis1=1, axis2=2), 1e-12))
    scaled = information / (size[:, :, None] * size[:, None, :])
    cov = np.linalg.pinv(scaled, hermitian=True) / (size[:, :, None] * size[:, None, :])
    covs: FloatArray = ends @ cov @ ends.T
    return covs


def _nudged(
    flown: Flown, start: FloatArray, j: int, sign: float, steps: int, layout: Layout
) -> tuple[FloatArray, FloatArray]:
    """States (n, 6) every STEP_S and impact (2) with parameter j of nine nudged: state, ln(beta), wind."""
    y, env = start.copy(), layout.env.copy()
    if j < 7:
        y[j] += sign * NUDGE[j]
    else:
        env[E_WIND_E + j - 7] += sign * NUDGE[j]
    drag = flown.threat.drag
    down = to_ground(y, 1.0, env, layout.air, layout.ground, drag)
    return fly(y, STEP_S, steps, env, layout.air, drag)[:, :6], down[:2]


def _between(rows: FloatArray, at: FloatArray) -> FloatArray:
    """Rows (n, ...) at fractional places (k)."""
    low = np.floor(at).astype(int)
    share = (at - low).reshape(-1, *[1] * (rows.ndim - 1))
    between: FloatArray = (1.0 - share) * rows[low] + share * rows[low + 1]
    return between


def _sights(plots: Plots, sky: Sky, body: int, layout: Layout) -> FloatArray:
    """(k, 4, 6): how what is measured changes with position and velocity, by differences of a metre and a metre/s."""
    pos, vel = sky.at(plots.time_ns, np.full(len(plots), body))
    state = np.concatenate([pos, vel], axis=1)
    columns = []
    for j in range(6):
        ends = []
        for sign in (1.0, -1.0):
            moved = state.copy()
            moved[:, j] += sign
            ends.append(_exact(moved[:, :3], moved[:, 3:], plots.sensor, layout))
        change = ends[0] - ends[1]
        change[:, 1] = (change[:, 1] + math.pi) % (2.0 * math.pi) - math.pi
        columns.append(0.5 * change)
    return np.stack(columns, axis=-1)


def _exact(pos_enu_m: FloatArray, vel_enu_mps: FloatArray, sensor: IntArray, layout: Layout) -> FloatArray:
    """What ideal radars measure, (k, 4): range, azimuth, elevation, range rate."""
    seen = np.empty((len(pos_enu_m), 4))
    for number in np.unique(sensor).tolist():
        rows = np.flatnonzero(sensor == number)
        seen[rows, :3] = layout.seen_from(number, pos_enu_m[rows])
        away = pos_enu_m[rows] - layout.sensor_enu_m[number]
        seen[rows, 3] = (away * vel_enu_mps[rows]).sum(axis=1) / np.linalg.norm(away, axis=1)
    return seen


def _measured(plots: Plots) -> FloatArray:
    return np.column_stack([plots.range_m, plots.az_rad, plots.el_rad, plots.range_rate_mps])


def _sigma(plots: Plots, layout: Layout) -> FloatArray:
    """Sigmas (k, 4) of the plots, as the pipeline takes them; NaN where nothing is measured."""
    sigma = np.empty((len(plots), 4))
    for number in np.unique(plots.sensor).tolist():
        rows = np.flatnonzero(plots.sensor == number)
        sigma[rows] = layout.plot_sigma(number, plots.snr_db[rows])
    return sigma
