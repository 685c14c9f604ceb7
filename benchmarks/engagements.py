"""How much planning ahead gains over the greedy rule: saturation raids against simulated batteries, in pairs.

The stage alone, in closed loop: made-up rockets, tracked from five seconds after launch with a stated error, threaten
a base, a hospital and an empty depot; what an engagement does is drawn from the seed, the object and how often it has
been engaged, so that both rules meet the same luck. `--out FILE` writes the page, `--picture FILE` its figure.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from made_up import place, square
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import Layout, layout_of
from opencram.physics.threats import catalogue, class_index
from opencram.site import Site
from opencram.stages.threats_to_engagements import EngagementsState, threats_to_engagements
from opencram.tables import BALLISTIC, CONFIRMED, Engagement, FloatArray, Threats, Tracks

OBJECTS, EFFECTORS = (2, 10, 30), (1, 3, 6)
RULES = ("greedy", "horizon")
TICK_S, WINDOW_S, P_HIT = 0.2, 8.0, 0.8
NS = 1_000_000_000
START_NS = 1_600_000_000 * NS
CLS = class_index("rocket-107")
SIGMA = np.array([6.0, 6.0, 6.0, 2.0, 2.0, 2.0, 0.05])
ZONES = (("base", 0.0, 0.0, 300.0, 2_000), ("hospital", 900.0, 500.0, 120.0, 600), ("depot", -700.0, 800.0, 200.0, 0))
GUN = {"burst_s": 3.0, "magazine": 8}
MISSILE = {
    **{"kind": "missile", "reach_m": 6_000.0, "min_range_m": 1_000.0, "flight_speed_mps": 700.0, "burst_s": 1.0},
    **{"kill": ((1_000.0, 0.8), (6_000.0, 0.6)), "magazine": 6},
}
STANDS = ((0.0, -300.0, GUN), (800.0, 300.0, GUN), (-300.0, 300.0, MISSILE), (-600.0, 700.0, GUN), (300.0, 200.0, GUN))
STANDS = (*STANDS, (500.0, -200.0, MISSILE))


@dataclass
class Raid:
    """Rockets: state at each tick (ticks, 7) from launch on, when each is launched (ticks) and down, and its zone."""

    paths: list[FloatArray]
    launched: list[int]
    down_ns: list[int]
    zone: list[int]


@dataclass
class Outcome:
    """What a raid came to under a rule."""

    worth: float
    """Share of what all hits would have cost that was saved."""
    expected: float
    """The same on average over the luck: of each engagement of what was there, its worth times its chance."""
    through: int
    orders: int
    decisions_ms: list[float]


def site_with(effectors: int, rule: str) -> Site:
    """A site with so many batteries."""
    zones = [
        {"id": name, "title": {"en": name}, "kind": "base", "people": people, "rings": ((square(e, n, half),),)}
        for name, e, n, half, people in ZONES
    ]
    radar = {
        **{"id": "radar", "position": place(0.0, 0.0), "range_sigma_m": 10.0, "azimuth_sigma_mrad": 2.0},
        **{"elevation_sigma_mrad": 2.0, "update_s": TICK_S, "coverage": {"min_elevation_deg": -5.0}},
    }
    stands = [{"id": f"e{i}", "position": place(e, n), **spec} for i, (e, n, spec) in enumerate(STANDS[:effectors])]
    return Site.model_validate(
        {
            **{"name": "made-up", "origin": place(0.0, 0.0), "zones": zones, "sensors": [radar]},
            **{"effectors": stands, "policy": {"assignment": rule}},
        }
    )


def raid_of(objects: int, seed: int, layout: Layout) -> Raid:
    """Rockets from one side, some seconds apart, each at a random place of a random zone."""
    rng = np.random.default_rng([seed, objects])
    from_rad = rng.uniform(0.0, 2.0 * math.pi)
    raid = Raid([], [], [], [])
    for _ in range(objects):
        zone = int(rng.integers(len(ZONES)))
        _, east, north, half, _ = ZONES[zone]
        aim = np.array([east, north]) + rng.uniform(-half, half, 2)
        speed, climb, turn = rng.uniform(240.0, 330.0), rng.uniform(0.4, 0.75), from_rad + rng.normal(0.0, 0.1)
        flat = -speed * math.cos(climb)
        velocity = [flat * math.sin(turn), flat * math.cos(turn), speed * math.sin(climb)]
        state = np.array([0.0, 0.0, 1.0, *velocity, catalogue()["rocket-107"].ln_beta])
        drag = catalogue()["rocket-107"].drag
        for _ in range(2):
            fall = to_ground(state, 1.0, layout.env, layout.air, layout.ground, drag)
            state[:2] += aim - fall[:2]
        ticks = int(float(fall[7]) / TICK_S)
        launched = int(rng.uniform(0.0, WINDOW_S) / TICK_S)
        raid.paths.append(fly(state, TICK_S, ticks, layout.env, layout.air, drag))
        raid.launched.append(launched)
        raid.down_ns.append(START_NS + round((launched * TICK_S + float(fall[7])) * NS))
        raid.zone.append(zone)
    return raid


def tables(raid: Raid, alive: list[int], tick: int, rng_seed: int) -> tuple[Tracks, Threats]:
    """What is tracked at a tick: true states with errors of their own, each from its own tick and object."""
    now_ns = START_NS + round(tick * TICK_S * NS)
    seen = [i for i in alive if 25 <= tick - raid.launched[i] < len(raid.paths[i])]
    if not seen:
        return Tracks.empty(), Threats.empty()
    n, ids = len(seen), np.array(seen, np.int64)
    noise = np.array([np.random.default_rng([rng_seed, i, tick]).standard_normal(7) for i in seen])
    mean = np.array([raid.paths[i][tick - raid.launched[i]] for i in seen]) + 0.3 * SIGMA * noise
    times, whole = np.full(n, now_ns), np.ones(n)
    tracks = Tracks(
        **{"time_ns": times, "track": ids + 1, "status": np.full(n, CONFIRMED), "model": np.full(n, BALLISTIC)},
        **{"n_plots": np.full(n, 50), "existence": whole, "p_ballistic": whole, "cls": np.full(n, CLS), "mean": mean},
        **{"cov": np.tile(np.diag(SIGMA**2), (n, 1, 1)), "born_ns": np.full(n, START_NS), "plot": np.arange(n)},
        debris=np.zeros(n, np.bool_),
    )
    down = np.array([raid.down_ns[i] for i in seen])
    zones, p_hit = np.array([raid.zone[i] for i in seen]), np.full(n, P_HIT)
    threats = Threats(times, ids + 1, zones, np.full(n, CLS), p_hit, down, np.zeros(n, np.bool_))
    return tracks, threats


def play(raid: Raid, site: Site, seed: int) -> Outcome:
    """One raid under the site's rule."""
    state, alive = EngagementsState(), list(range(len(raid.paths)))
    flying: list[Engagement] = []
    shots = [0] * len(raid.paths)
    outcome = Outcome(0.0, 0.0, 0, 0, [])
    worth = np.array([60.0 * (1.0 + _at_risk(zone)) for zone in raid.zone])
    saved = expected = 0.0
    for tick in range(max(raid.launched[i] + len(raid.paths[i]) for i in alive) + 1):
        now_ns = START_NS + round(tick * TICK_S * NS)
        for order in [o for o in flying if o.intercept_ns <= now_ns]:
            flying.remove(order)
            i = order.track - 1
            luck = np.random.default_rng([seed, i, shots[i], 7]).uniform()
            shots[i] += 1
            if i in alive and order.intercept_ns < raid.down_ns[i]:
                expected += worth[i] * order.p_kill
            if i in alive and luck < order.p_kill and order.intercept_ns < raid.down_ns[i]:
                alive.remove(i)
                saved += worth[i]
        tracks, threats = tables(raid, alive, tick, seed)
        before, began = state.decided_ns, time.process_time()
        orders, _ = threats_to_engagements(state, threats, tracks, now_ns, site)
        if state.decided_ns != before and len(threats):
            outcome.decisions_ms.append(1e3 * (time.process_time() - began))
        flying += orders
        outcome.orders += len(orders)
    whole = float(worth.sum())
    outcome.worth, outcome.expected, outcome.through = saved / whole, expected / whole, len(alive)
    return outcome


def _at_risk(zone: int) -> float:
    _, _, _, half, people = ZONES[zone]
    return float(people / (4.0 * half**2) * math.pi * catalogue()["rocket-107"].hazard_radius_m ** 2)


Cell = tuple[int, int]


def compare(seeds: int) -> dict[Cell, dict[str, list[Outcome]]]:
    """By objects and effectors, and by rule: an outcome for each seed."""
    found: dict[Cell, dict[str, list[Outcome]]] = {}
    for effectors in EFFECTORS:
        sites = {rule: site_with(effectors, rule) for rule in RULES}
        for objects in OBJECTS:
            raids = [raid_of(objects, seed, layout_of(sites["greedy"])) for seed in range(seeds)]
            found[objects, effectors] = {
                rule: [play(raid, sites[rule], seed) for seed, raid in enumerate(raids)] for rule in RULES
            }
            print(row(objects, effectors, found[objects, effectors]), flush=True)
    return found


def row(objects: int, effectors: int, by_rule: dict[str, list[Outcome]]) -> str:
    """A line of the page's table."""
    greedy, planned = by_rule["greedy"], by_rule["horizon"]
    gain = 100.0 * np.array([p.expected - g.expected for g, p in zip(greedy, planned, strict=True)])
    error = float(gain.std(ddof=1) / math.sqrt(len(gain)))
    better, worse = int((gain > 1e-9).sum()), int((gain < -1e-9).sum())
    spread = " | ".join(
        f"{np.mean(s):.0f} ({np.quantile(s, 0.1):.0f}–{np.quantile(s, 0.9):.0f})"
        for s in (100.0 * np.array([o.worth for o in rule]) for rule in (greedy, planned))
    )
    used = " / ".join(f"{np.mean([o.orders for o in rule]):.1f}" for rule in (greedy, planned))
    took = " / ".join(_times(rule) for rule in (greedy, planned))
    return (
        f"| {objects} | {effectors} | {spread} | {gain.mean():+.1f} ± {1.96 * error:.1f} | {better} / {worse} "
        f"| {used} | {took} |"
    )


def _times(outcomes: list[Outcome]) -> str:
    times = np.array([t for o in outcomes for t in o.decisions_ms])
    return f"{np.median(times):.0f}, {np.quantile(times, 0.99):.0f}"


HEAD = (
    "| objects | batteries | greedy: saved, % (10th–90th percentile) | planned ahead | gain, points (± 95 %) "
    "| better / worse | engagements | processor ms a decision: median, 99 % |\n|---|---|---|---|---|---|---|---|"
)


def page(found: dict[Cell, dict[str, list[Outcome]]], seeds: int) -> str:
    """The page, in Markdown."""
    rows = "\n".join(row(*cell, by_rule) for cell, by_rule in sorted(found.items(), key=lambda item: item[0][::-1]))
    return f"""# Planning the simulated defence ahead

Made by `python benchmarks/engagements.py`; figures of time depend on the machine. {seeds} made-up raids of each size,
the same for both rules and with the same luck: rockets from one side within {WINDOW_S:.0f} s at a base, a hospital and
an empty depot, against the first so many of six batteries: four guns of 2 km, two of interceptors of 6 km (the third
and the last). *Saved* is the share of what all hits would have cost, by
[what each is worth](explanation/defence.md#what-is-engaged). *Gain* is the mean difference of pairs, each
engagement counted by its worth times its chance, which takes most of the luck out; *better* and *worse* count the raids
by it. Greedy and planned figures are apart by `/`.

![How much was saved, by both rules](images/engagements.svg)

{HEAD}
{rows}
"""


def picture(found: dict[Cell, dict[str, list[Outcome]]], path: Path) -> None:
    """The share saved against the size of the raid, a panel for each number of batteries."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 2.9), layout="constrained")
    panels = figure.subplots(1, len(EFFECTORS), sharey=True)
    for axes, effectors in zip(panels, EFFECTORS, strict=True):
        for rule, colour, shift in (("greedy", "#E69F00", -0.12), ("horizon", "#0072B2", 0.12)):
            shares = [100.0 * np.array([o.worth for o in found[n, effectors][rule]]) for n in OBJECTS]
            mean = np.array([s.mean() for s in shares])
            low, high = (np.array([np.quantile(s, q) for s in shares]) for q in (0.1, 0.9))
            x = np.arange(len(OBJECTS)) + shift
            axes.errorbar(x, mean, [mean - low, high - mean], fmt="o", color=colour, ms=4, lw=1.2, label=rule)
        axes.set_xticks(range(len(OBJECTS)), [str(n) for n in OBJECTS])
        axes.set_title(f"{effectors} batter{'y' if effectors == 1 else 'ies'}", fontsize=9)
        axes.set_xlabel("objects", fontsize=8)
        axes.set_ylim(0.0, 102.0)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y", lw=0.4, color="#dddddd")
    panels[0].set_ylabel("saved, % of the worth\n(mean, 10th to 90th percentile)", fontsize=8)
    panels[0].legend(fontsize=8, frameon=False, loc="lower left")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Compare the rules and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=30)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    print(HEAD)
    found = compare(args.seeds)
    if args.out is not None:
        args.out.write_text(page(found, args.seeds), encoding="utf-8")
    if args.picture is not None:
        picture(found, args.picture)


if __name__ == "__main__":
    main()
