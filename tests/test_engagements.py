"""Simulated engagements: who is engaged, by whom, when it is time, and what follows a miss."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencram import state as saved
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue, class_index
from opencram.site import Site
from opencram.stages import threats_to_engagements as stage
from opencram.stages.threats_to_engagements import EngagementsState, is_time, pending, threats_to_engagements
from opencram.tables import BALLISTIC, CONFIRMED, OTHER, TENTATIVE, Effect, Engagement, FloatArray, Threats, Tracks
from small_site import SECOND_NS, START_NS, position, site_of, square

ROCKET, DRONE = class_index("rocket-107"), class_index("drone")
ZONES = [square("base", 0, 0, 300, kind="base"), square("town", 1500, 0, 400, kind="district")]
INBOUND = np.array([-3500.0, 0.0, 1300.0, 230.0, 0.0, -40.0, 9.2])
"""A rocket that comes down near the origin about 14 s later."""


def battery(name: str = "battery", east_m: float = 0.0, north_m: float = 0.0, **more: Any) -> dict[str, Any]:
    return {"id": name, "position": position(east_m, north_m)} | more


SITE = site_of(ZONES, effectors=[battery()])


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def state_at(seconds: float, site: Site = SITE, start: FloatArray = INBOUND) -> FloatArray:
    layout = layout_of(site)
    return fly(start, max(seconds, 1e-9), 1, layout.env, layout.air, catalogue()["rocket-107"].drag)[1]


def impact_s(site: Site = SITE, start: FloatArray = INBOUND) -> float:
    layout = layout_of(site)
    return float(to_ground(start, 1.0, layout.env, layout.air, layout.ground, catalogue()["rocket-107"].drag)[7])


def track(number: int = 1, seconds: float = 0.0, mean: FloatArray | None = None, **more: Any) -> Tracks:
    row: dict[str, Any] = {
        "time_ns": at(seconds),
        "track": number,
        "status": CONFIRMED,
        "model": BALLISTIC,
        "n_plots": 50,
        "existence": 1.0,
        "p_ballistic": 1.0,
        "cls": ROCKET,
        "mean": state_at(seconds) if mean is None else mean,
        "cov": np.eye(7),
        "born_ns": START_NS,
        "plot": 0,
        "debris": False,
    } | more
    return Tracks(**{name: np.array([value]) for name, value in row.items()})


def threat(
    number: int = 1, zone: int = 0, p: float = 0.6, when_s: float | None = None, debris: bool = False
) -> Threats:
    row: dict[str, Any] = {
        "time_ns": START_NS,
        "track": number,
        "zone": zone,
        "cls": ROCKET,
        "p_hit": p,
        "impact_time_ns": at(impact_s() if when_s is None else when_s),
        "debris": debris,
    }
    return Threats(**{name: np.array([value]) for name, value in row.items()})


class Run:
    """The stage fed with true tracks, tick by tick; `seconds` count from START."""

    def __init__(self, site: Site = SITE) -> None:
        self.site, self.state = site, EngagementsState()
        self.orders: list[Engagement] = []

    def tick(
        self,
        seconds: float,
        threats: Threats | None = None,
        tracks: Tracks | None = None,
        effects: Sequence[Effect] = (),
    ) -> list[Engagement]:
        threats = threat() if threats is None else threats
        tracks = track(seconds=seconds) if tracks is None else tracks
        new = list(threats_to_engagements(self.state, threats, tracks, effects, at(seconds), self.site))
        self.orders += new
        return new

    def until_order(self, start: float = 0.0, end: float | None = None) -> float:
        """Tick until something is ordered; the time of it."""
        for seconds in np.arange(start, impact_s() if end is None else end, 0.1).tolist():
            if self.tick(seconds):
                return float(seconds)
        raise AssertionError("nothing was ordered")


def effect(order: Engagement, outcome: str) -> Effect:
    return Effect(
        time_ns=order.intercept_ns, engagement=order.engagement, track=order.track, outcome=outcome,
        east_m=0.0, north_m=0.0, up_m=0.0,
    )  # fmt: skip


# ---- what is engaged ----------------------------------------------------------------------------------------------


def test_threat_to_a_protected_zone_is_engaged() -> None:
    run = Run()
    run.until_order()
    order = run.orders[0]
    assert (order.engagement, order.effector, order.track, order.zone) == (1, "battery", 1, "base")
    for figure in ("track 1", "base", "0.6", "battery", "7 of 8 left", f"{order.p_kill:.2f}"):
        assert figure in order.reason


@pytest.mark.parametrize(
    "threats",
    [threat(zone=1, p=0.9), threat(p=0.016), threat(debris=True), Threats.empty()],
    ids=["unprotected zone", "below the alert threshold", "debris", "nothing"],
)
def test_what_need_not_be_engaged_is_not(threats: Threats) -> None:
    run = Run()
    for seconds in np.arange(0.0, impact_s(), 0.5).tolist():
        assert run.tick(seconds, threats) == []


def test_alert_threshold_is_enough() -> None:
    run = Run()
    for seconds in np.arange(0.0, impact_s(), 0.1).tolist():
        run.tick(seconds, threat(p=0.0165))
    assert run.orders


def test_tentative_track_is_not_engaged() -> None:
    run = Run()
    for seconds in np.arange(0.0, impact_s(), 0.5).tolist():
        assert run.tick(seconds, tracks=track(seconds=seconds, status=TENTATIVE)) == []


def test_site_without_effectors_orders_nothing() -> None:
    assert Run(site_of(ZONES)).tick(6.0) == []


def test_most_urgent_comes_first() -> None:
    """One battery, two rockets on the same way, the second 2 s behind in the table's order but first to come down."""
    run = Run(site_of(ZONES, effectors=[battery(burst_s=30.0)]))
    for seconds in np.arange(0.0, impact_s(), 0.1).tolist():
        both = Tracks.concat([track(1, seconds), track(2, seconds)])
        run.tick(seconds, Threats.concat([threat(1, when_s=impact_s() + 2.0), threat(2)]), both)
    assert [order.track for order in run.orders] == [2]


def test_effector_protects_what_it_is_told_to() -> None:
    elsewhere = battery("elsewhere", protects=("town",))
    run = Run(site_of(ZONES, effectors=[elsewhere, battery("here", 100.0)]))
    run.until_order()
    assert run.orders[0].effector == "here"


def test_best_chance_of_kill_is_taken() -> None:
    sure = battery("sure", kill=((1_000.0, 0.95), (2_000.0, 0.9)))
    run = Run(site_of(ZONES, effectors=[battery("first"), sure]))
    run.until_order()
    assert run.orders[0].effector == "sure"


# ---- where and when -----------------------------------------------------------------------------------------------


def test_intercept_is_where_the_object_will_be() -> None:
    """The order agrees with the flown trajectory, and the effector is there no later than the object."""
    run = Run()
    ordered_s = run.until_order()
    order, effector = run.orders[0], SITE.effectors[0]
    met_s = (order.intercept_ns - START_NS) / SECOND_NS
    metres = float(np.linalg.norm(state_at(met_s)[:3]))
    assert order.range_m == pytest.approx(metres, abs=1.0)
    assert order.p_kill == pytest.approx(effector.p_kill(metres), abs=1e-3)
    needs_s = effector.reaction_s + metres / effector.flight_speed_mps
    assert needs_s <= met_s - ordered_s < needs_s + 2.0 * stage.STEP_S
    assert effector.min_range_m <= metres <= effector.reach_m
    assert [order.east_m, order.north_m, order.up_m] == pytest.approx(state_at(ordered_s)[:3].tolist())


def test_position_is_that_at_the_order_even_if_the_newest_plot_is_older() -> None:
    run = Run()
    seen = 3.0
    for seconds in np.arange(3.0, 9.0, 0.1).tolist():
        run.tick(seconds, tracks=track(seconds=seen) if seconds == seen else Tracks.empty())
    order = run.orders[0]
    assert order.east_m == pytest.approx(float(state_at((order.time_ns - START_NS) / SECOND_NS)[0]), abs=0.5)


def test_out_of_reach_waits_and_too_late_gives_up() -> None:
    run = Run()
    assert [run.tick(s) for s in (0.0, 1.0, 2.0)] == [[], [], []]
    late = Run()
    assert [late.tick(s) for s in (impact_s() - 2.5, impact_s() - 1.0, impact_s() + 1.0)] == [[], [], []]


def test_nothing_is_met_near_the_ground() -> None:
    """A track that skims 20 m over the ground is left alone."""
    low = np.array([-3000.0, 0.0, 20.0, 60.0, 0.0, 0.0, 9.0])
    run = Run()
    for seconds in np.arange(0.0, 40.0, 0.5).tolist():
        here = low + np.array([60.0 * seconds, 0, 0, 0, 0, 0, 0])
        assert run.tick(seconds, threat(when_s=45.0), track(seconds=seconds, mean=here, model=OTHER, cls=DRONE)) == []


def test_drone_is_met_on_its_straight_way() -> None:
    start = np.array([-4000.0, 0.0, 400.0, 50.0, 0.0, 0.0, 9.0])
    run = Run()
    for seconds in np.arange(0.0, 75.0, 0.25).tolist():
        here = start + np.array([50.0 * seconds, 0, 0, 0, 0, 0, 0])
        if run.tick(seconds, threat(when_s=76.0), track(seconds=seconds, mean=here, model=OTHER, cls=DRONE)):
            break
    order = run.orders[0]
    met = start[:3] + np.array([50.0, 0.0, 0.0]) * (order.intercept_ns - START_NS) / SECOND_NS
    assert order.range_m == pytest.approx(float(np.linalg.norm(met)), abs=1.0)


def by_trying(p_kill: tuple[float, ...], meets: tuple[int, ...], burst: int, step: int = 0) -> float:
    """The best chance of kill of all ways to pick the steps at which to engage."""
    if step >= len(p_kill):
        return 0.0
    follow = max(meets[step], step + burst)
    engage = p_kill[step] + (1.0 - p_kill[step]) * by_trying(p_kill, meets, burst, follow)
    return max(engage, by_trying(p_kill, meets, burst, step + 1))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.9]), st.integers(1, 4)), min_size=1, max_size=10),
    st.integers(1, 4),
)
def test_time_to_order_is_what_trying_all_ways_finds(steps: list[tuple[float, int]], burst: int) -> None:
    p_kill = tuple(p for p, _ in steps)
    meets = tuple(i + d for i, (_, d) in enumerate(steps))
    follow = max(meets[0], burst)
    now = p_kill[0] + (1.0 - p_kill[0]) * by_trying(p_kill, meets, burst, follow)
    best = by_trying(p_kill, meets, burst)
    if not math.isclose(now, best, rel_tol=1e-9):
        assert not is_time(p_kill, meets, burst)
    elif now > by_trying(p_kill, meets, burst, 1) + 1e-9:
        assert is_time(p_kill, meets, burst)


# ---- one after the other ------------------------------------------------------------------------------------------


def test_an_object_is_engaged_by_one_at_a_time_and_again_after_a_miss() -> None:
    quick = [battery(name, reach_m=3_000.0, reaction_s=1.0, burst_s=0.5, kill=((500.0, 0.5),)) for name in ("a", "b")]
    run = Run(site_of(ZONES, effectors=quick))
    ordered_s = run.until_order()
    first = run.orders[0]
    met_s = (first.intercept_ns - START_NS) / SECOND_NS
    for seconds in np.arange(ordered_s + 0.1, met_s, 0.1).tolist():
        assert run.tick(seconds) == []
    assert pending(run.state, at(met_s)) == [first]
    run.tick(met_s, effects=[effect(first, "miss")])
    assert [order.engagement for order in run.orders] == [1, 2]


def test_what_was_killed_is_not_engaged_again() -> None:
    quick = battery(reach_m=3_000.0, reaction_s=1.0, burst_s=0.5, kill=((500.0, 0.5),))
    run = Run(site_of(ZONES, effectors=[quick]))
    run.until_order()
    met_s = (run.orders[0].intercept_ns - START_NS) / SECOND_NS
    run.tick(met_s, effects=[effect(run.orders[0], "kill")])
    for seconds in np.arange(met_s, impact_s(), 0.1).tolist():
        assert run.tick(seconds) == []
    assert pending(run.state, at(met_s)) == []


def test_effect_that_never_comes_back_frees_the_object() -> None:
    quick = battery(reach_m=3_000.0, reaction_s=0.5, burst_s=0.5, kill=((500.0, 0.5),))
    drone = {"mean": np.array([-1500.0, 0.0, 400.0, 10.0, 0.0, 0.0, 9.0]), "model": OTHER, "cls": DRONE}
    run = Run(site_of(ZONES, effectors=[quick]))
    for seconds in np.arange(0.0, 20.0, 0.1).tolist():
        run.tick(seconds, threat(when_s=150.0), track(seconds=seconds, **drone))
        if len(run.orders) == 2:
            break
    first, second = run.orders
    assert second.time_ns == pytest.approx(first.intercept_ns + stage.NO_EFFECT_NS, abs=0.11 * SECOND_NS)


def test_magazine_runs_out_and_rate_is_kept() -> None:
    """A slow drone, all misses: three engagements of 4 s each, then none."""
    few = battery(reach_m=3_000.0, reaction_s=0.5, burst_s=4.0, magazine=3, kill=((500.0, 0.1),))
    drone = {"mean": np.array([-1500.0, 0.0, 400.0, 10.0, 0.0, 0.0, 9.0]), "model": OTHER, "cls": DRONE}
    run = Run(site_of(ZONES, effectors=[few]))
    back: list[Effect] = []
    for seconds in np.arange(0.0, 40.0, 0.1).tolist():
        due = [e for e in back if e.time_ns <= at(seconds)]
        back = [e for e in back if e.time_ns > at(seconds)]
        new = run.tick(seconds, threat(when_s=150.0), track(seconds=seconds, **drone), due)
        back += [effect(order, "miss") for order in new]
    assert [order.engagement for order in run.orders] == [1, 2, 3]
    times = [order.time_ns for order in run.orders]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 4.0 * SECOND_NS
    assert "0 of 8 left" not in run.orders[2].reason
    assert "0 of 3 left" in run.orders[2].reason


def test_saved_and_loaded_state_goes_on_alike() -> None:
    whole = saved.State(defended=True)
    run = Run()
    run.state = whole.engagements
    ordered_s = run.until_order()
    again = Run()
    again.state = saved.load(saved.save(whole)).engagements
    miss = effect(run.orders[0], "miss")
    for seconds in np.arange(ordered_s + 0.1, impact_s(), 0.1).tolist():
        back = [miss] if abs(seconds - (miss.time_ns - START_NS) / SECOND_NS) < 0.05 else []
        assert run.tick(seconds, effects=back) == again.tick(seconds, effects=back)


def test_an_order_holds_no_direction() -> None:
    """What goes out says which object, when and how likely, and nothing that could point anything."""
    assert Engagement.__struct_fields__ == (
        "time_ns", "engagement", "effector", "track", "zone", "range_m", "p_kill", "intercept_ns",
        "east_m", "north_m", "up_m", "reason",
    )  # fmt: skip
