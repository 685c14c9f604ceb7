"""Two radars that disagree: how well their offsets are found, and how exact impacts are before and after.

    python benchmarks/registration.py --seeds 20

The example `examples/two-radars`, with wind and drag drawn as the estimator's priors have them: both radars 50 m and
0.3 deg off in opposite senses, their clocks 0.2 s apart. Impact errors are set against the Cramer-Rao bound of two
radars without offsets, from all plots of the object received by then (nine parameters as in `accuracy.bound`: the state
at burn-out, drag and wind, told the class). The same raids seen by radars without offsets stand beside.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from accuracy.bound import NUDGE
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import Layout, layout_of
from opencram.physics.place import E_WIND_E, FLAT
from opencram.pipeline import step
from opencram.site import Site, load_site
from opencram.state import State
from opencram.tables import FloatArray, IntArray, Outbox, Plots
from opencram.world.scenario import Scenario, load_scenario
from opencram.world.sky import Sky
from opencram.world.truth import Flown, fly_scenario
from opencram.world.world import World

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "two-radars"
TRUTH = np.array([[-50.0, 0.3, 0.0, 0.0], [50.0, -0.3, 0.0, 0.2]])
TO_DEG = np.array([1.0, 180.0 / np.pi, 180.0 / np.pi, 1.0])
COUNTS, RAID = (1, 2, 5, 10), 16
"""Rockets after which the offsets are compared; how many there are where impacts are."""
WIND_MPS, DRAG_SIGMA, STEP_S = 5.0, 0.2, 0.1
FROM_S = 2.0
"""Seconds after burn-out from which impacts count, one a second, as `make accuracy` has it."""
SAME_M, OWN_SIGMAS = 200.0, 6.0
SETTLE_NS = 1_000_000_000


WHEN = ("before the correction", "launched after it, of the first ten", "launched after the first ten")


@dataclass
class Run:
    """What one raid came to."""

    count: int
    faulty: bool
    elected: bool = False
    off: FloatArray = field(default_factory=lambda: np.zeros((2, 4)))
    """(2, 4): believed less true offsets, m, deg, deg, s."""
    impacts: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {when: [] for when in WHEN})
    """Impact errors and their bounds, m."""


def raid(seed: int, count: int, faulty: bool) -> Scenario:
    """The example's raid with so many rockets, wind and drag drawn anew."""
    scenario = load_scenario(EXAMPLE / "scenario.yaml")
    rng = np.random.default_rng(seed)
    east, north = rng.normal(0.0, WIND_MPS, 2)
    given = {"why": "as the estimator's prior has it"}
    salvo = scenario.groups[0].model_dump(warnings=False)
    salvo |= {"count": {"assumed": count} | given, "aims": (2 * salvo["aims"])[:count]}
    salvo |= {"drag_sigma": {"assumed": DRAG_SIGMA} | given}
    plain = scenario.model_dump(warnings=False) | {"groups": [salvo]}
    plain["weather"] = {
        "wind_mps": {"assumed": float(np.hypot(east, north))} | given,
        "wind_from_deg": {"assumed": float(np.degrees(np.arctan2(-east, -north)) % 360.0)} | given,
    }
    plain["faults"] = plain["faults"] if faulty else []
    return Scenario.model_validate(plain)


def run(seed: int, count: int, faulty: bool) -> Run:
    """One raid through the whole chain, until all is down."""
    scenario, site = raid(seed, count, faulty), load_site(EXAMPLE / "site.yaml")
    flown = fly_scenario(scenario, site, seed)
    world, state = World(scenario, site, seed), State(defended=False)
    until_ns, since_ns = max(f.end_ns for f in flown) + 5 * SETTLE_NS, 0
    outboxes: list[tuple[int, Outbox]] = []
    while world.now_ns < until_ns:
        now_ns = world.now_ns + world.tick_ns
        outbox = step(state, world.advance(now_ns), now_ns, site)
        outboxes.append((now_ns, outbox))
        if not since_ns and any(h.state == "registration" for h in outbox.health):
            since_ns = now_ns
    known = state.aligned.registration
    found = Run(count, faulty, bool(known.elected.all()), known.mean * TO_DEG - TRUTH * faulty)
    if count == RAID:
        tenth_ns = sorted(f.start_ns for f in flown)[9]
        for launch_ns, now_ns, error_m, bound_m in impact_errors(outboxes, flown, site, TRUTH * faulty):
            corrected = not faulty or (since_ns and launch_ns > since_ns + SETTLE_NS)
            if corrected:
                found.impacts[WHEN[2 if launch_ns > tenth_ns else 1]].append((error_m, bound_m))
            elif not since_ns or now_ns < since_ns:
                found.impacts[WHEN[0]].append((error_m, bound_m))
    return found


def impact_errors(
    outboxes: list[tuple[int, Outbox]], flown: list[Flown], site: Site, offsets: FloatArray
) -> list[tuple[int, int, float, float]]:
    """Launch, now, error and bound of each rocket's impact at each whole second from FROM_S after its burn-out on."""
    layout, sky = layout_of(site), Sky()
    sky.add(flown)
    plots = Plots.concat([o.plots for _, o in outboxes])
    time_ns = plots.time_ns - np.round(offsets[plots.sensor, 3] * 1e9).astype(np.int64)
    rows = []
    for body, one in enumerate(flown):
        motor = one.threat.motor
        out_ns = one.start_ns + round((motor.burn_s if motor else 0.0) * 1e9)
        own = _own_plots(plots, time_ns, offsets, sky, body, layout)
        own = own[time_ns[own] > out_ns]
        told = {
            second: told
            for now_ns, outbox in outboxes
            if out_ns + FROM_S * 1e9 <= now_ns < one.end_ns
            for second in [(now_ns - out_ns) // 1_000_000_000]
            if (told := _told(outbox, now_ns, sky, body)) is not None
        }
        slopes, ends = _slopes(one, out_ns, sky, body, time_ns[own], plots.sensor[own], site, layout)
        for now_ns, at in told.values():
            seen = plots.received_ns[own] <= now_ns
            if seen.sum() > 3:
                bound = _bound(slopes[seen], ends, plots.take(own[seen]), one, layout)
                rows.append((one.start_ns, now_ns, float(np.linalg.norm(at - one.end_enu_m[:2])), bound))
    return rows


def _own_plots(plots: Plots, time_ns: IntArray, offsets: FloatArray, sky: Sky, body: int, layout: Layout) -> IntArray:
    """Rows of the plots that are of a body, told by its true path."""
    rows = np.flatnonzero((time_ns >= sky.start_ns[body]) & (time_ns < sky.end_ns[body]))
    pos, _ = sky.at(time_ns[rows], np.full(len(rows), body))
    mine = np.zeros(len(rows), np.bool_)
    for s in range(len(layout.update_ns)):
        of = plots.sensor[rows] == s
        seen, part = layout.seen_from(s, pos[of]), plots.take(rows[of])
        off = np.column_stack([part.range_m, part.az_rad, part.el_rad]) - offsets[s, :3] / TO_DEG[:3] - seen
        off[:, 1] = np.mod(off[:, 1] + np.pi, 2.0 * np.pi) - np.pi
        mine[of] = (np.abs(off) < OWN_SIGMAS * layout.plot_sigma(s, part.snr_db)[:, :3]).all(axis=1)
    return rows[mine]


def _told(outbox: Outbox, now_ns: int, sky: Sky, body: int) -> tuple[int, FloatArray] | None:
    """Now and the impact point (2) that a tick tells of the track nearest to a body; None where it tells of none."""
    impacts, tracks = outbox.impacts, outbox.tracks
    best, least = None, SAME_M
    for row in range(len(impacts)):
        track = np.flatnonzero(tracks.track == impacts.track[row])[-1]
        pos, _ = sky.at(tracks.time_ns[[track]], np.array([body]))
        away = float(np.linalg.norm(tracks.mean[track, :3] - pos[0]))
        if away < least:
            best, least = (now_ns, impacts.impact_enu_m[row]), away
    return best


def _slopes(
    one: Flown, out_ns: int, sky: Sky, body: int, time_ns: IntArray, sensor: IntArray, site: Site, layout: Layout
) -> tuple[FloatArray, FloatArray]:
    """Derivatives by the nine parameters at burn-out: of each plot (k, 3, 9), of the impact (2, 9)."""
    pos, vel = sky.at(out_ns, np.array([body]))
    start = np.array([*pos[0], *vel[0], one.threat.ln_beta])
    since_s = (time_ns - out_ns) * 1e-9
    steps = int((one.end_ns - out_ns) * 1e-9 / STEP_S) + 2
    plots, ends = [], []
    for j, sign in product(range(9), (1.0, -1.0)):
        y, env = start.copy(), layout.env.copy()
        if j < 7:
            y[j] += sign * NUDGE[j]
        else:
            env[E_WIND_E + j - 7] += sign * NUDGE[j]
        path = fly(y, STEP_S, steps, env, layout.air, one.threat.drag)
        at = np.column_stack([np.interp(since_s, STEP_S * np.arange(len(path)), path[:, k]) for k in range(3)])
        seen = np.empty((len(at), 3))
        for s in range(len(layout.update_ns)):
            seen[sensor == s] = layout.seen_from(s, at[sensor == s])
        plots.append(sign * seen / (2.0 * NUDGE[j]))
        ends.append(sign * to_ground(y, 1.0, env, layout.air, FLAT, one.threat.drag)[:2] / (2.0 * NUDGE[j]))
    pairs = zip(plots[::2], plots[1::2], strict=True)
    down = zip(ends[::2], ends[1::2], strict=True)
    return np.stack([a + b for a, b in pairs], axis=-1), np.stack([a + b for a, b in down], axis=-1)


def _bound(slopes: FloatArray, ends: FloatArray, plots: Plots, one: Flown, layout: Layout) -> float:
    """The root of the trace of the impact's bound, m."""
    sigma = np.empty((len(plots), 3))
    for s in range(len(layout.update_ns)):
        of = plots.sensor == s
        sigma[of] = layout.plot_sigma(s, plots.snr_db[of])[:, :3]
    information = np.einsum("kmi,km,kmj->ij", slopes, 1.0 / sigma**2, slopes)
    information += np.diag([0.0] * 3 + [1e-6] * 3 + [one.threat.ln_beta_sigma**-2] + [WIND_MPS**-2] * 2)
    size = np.sqrt(np.diag(information))
    cov = np.linalg.pinv(information / np.outer(size, size), hermitian=True) / np.outer(size, size)
    return float(np.sqrt(np.trace(ends @ cov @ ends.T)))


def ratio(pairs: list[tuple[float, float]]) -> str:
    """Root of the mean square of error over bound, and of how many."""
    errors = np.array(pairs).reshape(-1, 2)
    return f"{np.sqrt(((errors[:, 0] / errors[:, 1]) ** 2).mean()):.2f} ({len(errors)})" if len(errors) else "none"


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    jobs = [(s, n, True) for s in range(asked.seeds) for n in COUNTS]
    jobs += [(s, RAID, faulty) for s in range(asked.seeds) for faulty in (True, False)]
    with ProcessPoolExecutor(asked.workers) as pool:
        runs = list(pool.map(run, *zip(*jobs, strict=True)))
    print("|error| of each offset, median / 90th percentile")
    print(f"{'rockets':>7} {'found':>7}  {'range m':>13} {'azimuth deg':>15} {'elevation deg':>15} {'clock s':>15}")
    for n in COUNTS:
        own = [r for r in runs if r.count == n and r.faulty]
        off = np.abs(np.array([r.off for r in own])).reshape(-1, 2, 4)
        cells = [off[:, :, k].reshape(-1) for k in range(3)] + [off[:, 1, 3]]
        digits = (1, 3, 3, 3)
        told = "  ".join(
            f"{np.median(c):.{d}f} / {np.quantile(c, 0.9):.{d}f}" for c, d in zip(cells, digits, strict=True)
        )
        print(f"{n:7} {sum(r.elected for r in own):3}/{len(own):3}  {told}")
    print("impact error over the Cramer-Rao bound, root mean square (of how many)")
    for faulty, name in ((True, ""), (False, "radars without offsets: ")):
        own = [r for r in runs if r.count == RAID and r.faulty == faulty]
        for when in WHEN:
            print(f"  {name + when:60}", ratio([p for r in own for p in r.impacts[when]]))


if __name__ == "__main__":
    main()
