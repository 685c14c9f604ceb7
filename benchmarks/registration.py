"""Two radars that disagree: how well their offsets are found, and how exact impacts are before and after.

    python benchmarks/registration.py --seeds 20 --ripples 10

The example `examples/two-radars`, with wind and drag drawn as the estimator's priors have them: both radars 50 m and
0.3 deg off in opposite senses, their clocks 0.2 s apart. What is believed after n common objects is read just before
the next one is launched, while the n-th is still in the air. Impact errors are set against the Cramer-Rao bound of two
radars without offsets, from all plots of the object received by then (nine parameters as in `accuracy.bound`: the state
at burn-out, drag and wind, told the class). The same raids seen by radars without offsets stand beside.

In a ripple rockets follow each other by about what the clocks are apart: pairs of one rocket with the next agree nearly
as well as those of each with itself.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from accuracy.bound import NUDGE
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import Layout, layout_of
from opencram.physics.place import E_WIND_E, FLAT
from opencram.pipeline import in_order, track_scans
from opencram.site import Site, load_site
from opencram.stages.bytes_to_plots import bytes_to_plots
from opencram.stages.plots_to_aligned import alignment_news
from opencram.stages.plots_to_tracks import let_go
from opencram.state import State
from opencram.tables import FloatArray, Impacts, Input, IntArray, Plots, Tracks
from opencram.tracking.registration import Registration
from opencram.world.flown import Flown
from opencram.world.scenario import Scenario, load_scenario
from opencram.world.sky import Sky
from opencram.world.truth import fly_scenario
from opencram.world.world import World

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "two-radars"
TRUTH = np.array([[-50.0, 0.3, 0.0, 0.0], [50.0, -0.3, 0.0, 0.2]])
TO_DEG = np.array([1.0, 180.0 / np.pi, 180.0 / np.pi, 1.0])
UNKNOWN = [0, 1, 2, 4, 5, 6, 7]
"""All eight offsets but the first clock's, which is right by definition."""
COUNTS, TENTH, RAID, RIPPLE = (1, 2, 3, 4, 5, 7, 10), 10, 16, 8
"""Rockets after which the offsets are compared; how many a raid and a ripple have."""
GAPS_S = ((0.2, 0.2), (0.1, 0.3), (0.3, 0.7), (0.4, 0.4))
RIPPLE_POINTING_DEG, WRONG_SIGMAS = 0.5, 5.0
WIND_MPS, DRAG_SIGMA, STEP_S = 5.0, 0.2, 0.1
FROM_S = 2.0
"""Seconds after burn-out from which impacts count, one a second, as `make accuracy` has it."""
SAME_M, OWN_SIGMAS = 200.0, 6.0
SECOND_NS = 1_000_000_000
SETTLE_NS = SECOND_NS
BEFORE, FLYING, FIRST, LATER = "before", "flying", "first", "later"
WHEN = {
    BEFORE: "before the correction",
    FLYING: "in the air when it came",
    FIRST: "launched after it, of the first ten",
    LATER: "launched after the first ten",
}


@dataclass
class Tick:
    """What the chain told at one time."""

    now_ns: int
    plots: Plots
    tracks: Tracks
    impacts: Impacts


@dataclass
class Impact:
    """One second of one rocket."""

    when: str
    launch_ns: int
    error_m: float
    bound_m: float
    nees: float
    """Squared distance of the truth by the ellipse that was told; 2 on average if it is right."""


@dataclass
class Run:
    """What one raid came to."""

    faulty: bool
    elected: list[bool] = field(default_factory=list)
    """By COUNTS, then at the end."""
    off: list[FloatArray] = field(default_factory=list)
    """(2, 4): believed less true offsets, m, deg, deg, s."""
    nees: list[float] = field(default_factory=list)
    """Squared distance of the seven unknown offsets; 7 on average if their sigmas are right."""
    corrected_s: float = np.inf
    """Since the first launch."""
    launched: int = 0
    """Rockets launched by then."""
    impacts: list[Impact] = field(default_factory=list)

    def note(self, known: Registration) -> None:
        """Keep what is believed now."""
        if not len(known.mean):
            known = Registration(np.zeros((2, 4)), np.eye(8), elected=np.zeros(2, np.bool_))
        off = known.mean * TO_DEG - TRUTH * self.faulty
        raw = (off / TO_DEG).reshape(-1)[UNKNOWN]
        self.elected.append(bool(known.elected.all()))
        self.off.append(off)
        self.nees.append(float(raw @ np.linalg.solve(known.cov[np.ix_(UNKNOWN, UNKNOWN)], raw)))


def raid(seed: int, faulty: bool, count: int = RAID, gap_s: tuple[float, float] | None = None) -> Scenario:
    """The example's raid with so many rockets, wind and drag drawn anew; a ripple where the gaps are given."""
    scenario = load_scenario(EXAMPLE / "scenario.yaml")
    rng = np.random.default_rng(seed)
    east, north = rng.normal(0.0, WIND_MPS, 2)
    salvo = scenario.groups[0].model_dump(warnings=False)
    salvo |= {"count": _given(count), "aims": (2 * salvo["aims"])[:count], "drag_sigma": _given(DRAG_SIGMA)}
    if gap_s is not None:
        salvo["spacing_s"] = _given({"least": gap_s[0], "most": gap_s[1]})
        salvo["pointing_sigma_deg"] = _given(RIPPLE_POINTING_DEG)
    plain = scenario.model_dump(warnings=False) | {"groups": [salvo]}
    plain["weather"] = {
        "wind_mps": _given(float(np.hypot(east, north))),
        "wind_from_deg": _given(float(np.degrees(np.arctan2(-east, -north)) % 360.0)),
    }
    plain["faults"] = plain["faults"] if faulty else []
    return Scenario.model_validate(plain)


def _given(value: object) -> dict[str, Any]:
    return {"assumed": value, "why": "what is compared"}


def track(state: State, inbox: list[Input], now_ns: int, site: Site) -> tuple[Tick, bool]:
    """One tick of the chain up to the impacts, and whether it told of a correction."""
    scans, _, _ = bytes_to_plots(state.plots, in_order(inbox), now_ns, site)
    tracks, _, impacts = track_scans(state, scans, site)
    let_go(state.tracks, now_ns, site)
    _, health = alignment_news(state.aligned, now_ns, site)
    told = any(h.state == "registration" for h in health)
    return Tick(now_ns, Plots.concat(scans), tracks, impacts), told


def run(seed: int, faulty: bool) -> Run:
    """One raid, until all is down."""
    scenario, site = raid(seed, faulty), load_site(EXAMPLE / "site.yaml")
    flown = sorted(fly_scenario(scenario, site, seed), key=lambda f: f.start_ns)
    launches_ns = [f.start_ns for f in flown]
    world, state, found = World(scenario, site, seed), State(defended=False), Run(faulty)
    until_ns, since_ns = max(f.end_ns for f in flown) + 5 * SECOND_NS, 0
    ticks: list[Tick] = []
    while world.now_ns < until_ns:
        now_ns = world.now_ns + world.tick_ns
        if len(found.off) < len(COUNTS) and now_ns > launches_ns[COUNTS[len(found.off)]]:
            found.note(state.aligned.registration)
        tick, told = track(state, world.advance(now_ns), now_ns, site)
        ticks.append(tick)
        if told and not since_ns:
            since_ns, found.launched = now_ns, sum(t < now_ns for t in launches_ns)
            found.corrected_s = (now_ns - launches_ns[0]) * 1e-9
    found.note(state.aligned.registration)
    for one, now_ns in impact_errors(ticks, flown, site, TRUTH * faulty):
        one.when = _when(one.launch_ns, now_ns, since_ns if faulty else 1, launches_ns[TENTH - 1])
        found.impacts.append(one)
    return found


def _when(launch_ns: int, now_ns: int, since_ns: int, tenth_ns: int) -> str:
    """Which part of a raid an impact told at a time belongs to; `since_ns` is the first correction, or 0."""
    if not since_ns or now_ns <= since_ns:
        return BEFORE
    if launch_ns > tenth_ns:
        return LATER
    return FIRST if launch_ns > since_ns + SETTLE_NS else FLYING


def ripple(seed: int, gap_s: tuple[float, float]) -> tuple[bool, FloatArray, FloatArray]:
    """Whether the offsets of a ripple's radars were elected, believed less true (2, 4), and their sigmas (2, 4)."""
    scenario, site = raid(seed, True, RIPPLE, gap_s), load_site(EXAMPLE / "site.yaml")
    world, state = World(scenario, site, seed), State(defended=False)
    until_ns = max(f.end_ns for f in fly_scenario(scenario, site, seed)) + 5 * SECOND_NS
    while world.now_ns < until_ns:
        now_ns = world.now_ns + world.tick_ns
        track(state, world.advance(now_ns), now_ns, site)
    known = state.aligned.registration
    sigma = np.sqrt(np.diag(known.cov)).reshape(-1, 4)
    return bool(known.elected.all()), known.mean * TO_DEG - TRUTH, sigma * TO_DEG


def impact_errors(ticks: list[Tick], flown: list[Flown], site: Site, offsets: FloatArray) -> list[tuple[Impact, int]]:
    """Each rocket's impact at each whole second from FROM_S after its burn-out on, and when it was told."""
    layout, sky = layout_of(site), Sky()
    sky.add(flown)
    plots = Plots.concat([t.plots for t in ticks])
    time_ns = plots.time_ns - np.round(offsets[plots.sensor, 3] * 1e9).astype(np.int64)
    rows = []
    for body, one in enumerate(flown):
        motor = one.threat.motor
        out_ns = one.start_ns + round((motor.burn_s if motor else 0.0) * 1e9)
        own = _own_plots(plots, time_ns, offsets, sky, body, layout)
        own = own[time_ns[own] > out_ns]
        slopes, ends = _slopes(one, out_ns, sky, body, time_ns[own], plots.sensor[own], site, layout)
        for now_ns, at, cov in _told_each_second(ticks, out_ns, one.end_ns, sky, body):
            seen = plots.received_ns[own] <= now_ns
            if seen.sum() > 3:
                off = at - one.end_enu_m[:2]
                bound_m = _bound(slopes[seen], ends, plots.take(own[seen]), one, layout)
                nees = float(off @ np.linalg.solve(cov, off))
                rows.append((Impact("", one.start_ns, float(np.linalg.norm(off)), bound_m, nees), now_ns))
    return rows


def _told_each_second(
    ticks: list[Tick], out_ns: int, end_ns: int, sky: Sky, body: int
) -> list[tuple[int, FloatArray, FloatArray]]:
    """The last that was told of a body in each second after its burn-out."""
    last: dict[int, tuple[int, FloatArray, FloatArray]] = {}
    for tick in reversed(ticks):
        second = (tick.now_ns - out_ns) // SECOND_NS
        if out_ns + FROM_S * 1e9 <= tick.now_ns < end_ns and second not in last:
            found = _told(tick, sky, body)
            if found is not None:
                last[second] = found
    return list(last.values())


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


def _told(tick: Tick, sky: Sky, body: int) -> tuple[int, FloatArray, FloatArray] | None:
    """Now, the impact point (2) and its covariance of the track nearest to a body, if no other body is nearer to it."""
    impacts, tracks = tick.impacts, tick.tracks
    best, least = None, SAME_M
    for row in range(len(impacts)):
        track = np.flatnonzero(tracks.track == impacts.track[row])[-1]
        pos, _ = sky.at(tracks.time_ns[[track]], np.array([body]))
        away = float(np.linalg.norm(tracks.mean[track, :3] - pos[0]))
        flying = sky.alive(int(tracks.time_ns[track]))
        others, _ = sky.at(int(tracks.time_ns[track]), flying[flying != body])
        if away < least and (np.linalg.norm(others - tracks.mean[track, :3], axis=1) > away).all():
            best, least = (tick.now_ns, impacts.impact_enu_m[row], impacts.impact_cov_m2[row]), away
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


def ratio(runs: list[Run], when: str) -> str:
    """Root of the mean square of error over bound with its 95 % interval by resampling raids, and the mean NEES."""
    each = [[i for i in r.impacts if i.when == when] for r in runs]
    sums = np.array([[sum((i.error_m / i.bound_m) ** 2 for i in own), len(own)] for own in each])
    if not sums[:, 1].sum():
        return "none"
    drawn = sums[np.random.default_rng(0).integers(0, len(sums), (2_000, len(sums)))].sum(axis=1)
    low, high = np.quantile(np.sqrt(drawn[:, 0] / np.maximum(drawn[:, 1], 1.0)), [0.025, 0.975])
    total, count = sums.sum(axis=0)
    nees = np.mean([i.nees for own in each for i in own])
    return f"{np.sqrt(total / count):5.2f}  {low:.2f} to {high:.2f}  {nees:6.1f}  {int(count):6}"


def tell_offsets(runs: list[Run]) -> None:
    """How far off what is believed is, by the number of common objects."""
    print("|error| of range m, azimuth deg, elevation deg and clock s, median / 90th percentile, and mean NEES of the")
    print("seven unknown offsets, where elected")
    for k, n in enumerate([*map(str, COUNTS), "end"]):
        own = [r for r in runs if r.elected[k]]
        told = "-"
        if own:
            off = np.abs(np.array([r.off[k] for r in own]))
            cells = [off[:, :, j].reshape(-1) for j in range(3)] + [off[:, 1, 3]]
            told = "  ".join(
                f"{np.median(c):.{d}f} / {np.quantile(c, 0.9):.{d}f}" for c, d in zip(cells, (1, 3, 3, 3), strict=True)
            )
            told += f"  {np.mean([r.nees[k] for r in own]):.1f}"
        print(f"{n:>7} {len(own):3}/{len(runs):3}  {told}")
    since = [r.corrected_s for r in runs]
    launched = [r.launched for r in runs]
    print(f"first correction: median {np.median(since):.1f} s after the first launch, at most {max(since):.1f} s;")
    print(f"rockets launched by then: median {np.median(launched):.0f}, at most {max(launched)}")


def tell_ripples(pool: ProcessPoolExecutor, seeds: range) -> None:
    """How often a ripple was taken for a clock: wrong is one off by more than WRONG_SIGMAS of its own."""
    print("ripples: gaps, elected, wrong clock, largest |clock error| s, mean NEES of the clock")
    for gap_s in GAPS_S:
        found = list(pool.map(ripple, seeds, [gap_s] * len(seeds)))
        clock = np.array([[off[1, 3], sigma[1, 3]] for elected, off, sigma in found if elected]).reshape(-1, 2)
        wrong = int((np.abs(clock[:, 0]) > WRONG_SIGMAS * clock[:, 1]).sum())
        largest, nees = np.abs(clock[:, 0]).max(initial=0.0), ((clock[:, 0] / clock[:, 1]) ** 2).mean()
        print(f"  {gap_s[0]} to {gap_s[1]} s: {len(clock)}/{len(found)}, {wrong}, {largest:.3f}, {nees:.1f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=20, help="raids")
    parser.add_argument("--ripples", type=int, default=0, help="ripples of each pattern of gaps")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--workers", type=int, default=2)
    asked = parser.parse_args()
    seeds = range(asked.first, asked.first + asked.seeds)
    with ProcessPoolExecutor(asked.workers) as pool:
        off, plain = ([*pool.map(run, seeds, [faulty] * len(seeds))] for faulty in (True, False))
        if asked.seeds:
            tell_offsets(off)
            print("impact error over the Cramer-Rao bound: RMS, its 95 % interval, mean NEES (2), how many")
            for when, name in WHEN.items():
                print(f"  {name:50}", ratio(off, when))
            for when, name in ((FIRST, "the first ten"), (LATER, "after the first ten")):
                print(f"  {'radars without offsets, ' + name:50}", ratio(plain, when))
        if asked.ripples:
            tell_ripples(pool, range(asked.first, asked.first + asked.ripples))


if __name__ == "__main__":
    main()
