"""Simulated engagements: who is engaged, by whom, when it is time, and what follows a miss."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencram import state as saved
from opencram.defence import windows
from opencram.defence.assessment import LOOK_NS, NO_VERDICT_NS
from opencram.defence.windows import is_time
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue, class_index
from opencram.site import Site
from opencram.stages.threats_to_engagements import EngagementsState, pending, threats_to_engagements
from opencram.tables import (
    BALLISTIC,
    CONFIRMED,
    DEFENCE_NOTES,
    OTHER,
    TENTATIVE,
    DefenceNote,
    Engagement,
    FloatArray,
    Threats,
    Tracks,
)
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
        "cov": np.diag([4.0, 4.0, 4.0, 0.25, 0.25, 0.25, 1e-4]),
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
        self.notes: list[DefenceNote] = []

    def tick(self, seconds: float, threats: Threats | None = None, tracks: Tracks | None = None) -> list[Engagement]:
        threats = threat() if threats is None else threats
        tracks = track(seconds=seconds) if tracks is None else tracks
        new, notes = threats_to_engagements(self.state, threats, tracks, at(seconds), self.site)
        assert {note.kind for note in notes} <= set(DEFENCE_NOTES)
        self.orders += new
        self.notes += notes
        return list(new)

    def kinds(self, number: int = 1) -> list[str]:
        """What was noted of a track, in order."""
        return [note.kind for note in self.notes if note.track == number]

    def until_order(self, start: float = 0.0, end: float | None = None) -> float:
        """Tick until something is ordered; the time of it."""
        for seconds in np.arange(start, impact_s() if end is None else end, 0.1).tolist():
            if self.tick(seconds):
                return float(seconds)
        raise AssertionError("nothing was ordered")


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
    assert needs_s <= met_s - ordered_s < needs_s + 2.0 * windows.STEP_S
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


QUICK = {"reach_m": 3_000.0, "reaction_s": 1.0, "burst_s": 0.5, "kill": ((500.0, 0.5),)}


def met_s(order: Engagement) -> float:
    return (order.intercept_ns - START_NS) / SECOND_NS


def test_an_object_is_engaged_by_one_at_a_time_and_again_when_it_flies_on() -> None:
    run = Run(site_of(ZONES, effectors=[battery(name, **QUICK) for name in ("a", "b")]))
    ordered_s = run.until_order()
    first = run.orders[0]
    for seconds in np.arange(ordered_s + 0.1, met_s(first) + 0.5, 0.1).tolist():
        assert run.tick(seconds) == []
    assert pending(run.state, at(met_s(first))) == [first]
    again_s = run.until_order(met_s(first) + 0.5)
    assert [order.engagement for order in run.orders] == [1, 2]
    assert [(n.kind, n.engagement) for n in run.notes if n.engagement] == [("flies on", 1)]
    assert again_s - met_s(first) <= LOOK_NS / SECOND_NS + 0.2


def test_nothing_in_the_stage_is_told_what_the_world_drew() -> None:
    """A kill takes the object's threat out of the table: that alone makes nobody think that it is gone."""
    run = Run(site_of(ZONES, effectors=[battery(**QUICK)]))
    run.until_order()
    start = met_s(run.orders[0])
    for seconds in np.arange(start, start + 1.5, 0.1).tolist():
        run.tick(seconds, Threats.empty())
    assert [n.kind for n in run.notes if n.engagement] == ["flies on"]
    assert len(run.orders) == 2


@pytest.mark.parametrize("left", ["stops", "scatters"])
def test_what_stops_or_leaves_its_path_is_gone_and_not_engaged_again(left: str) -> None:
    run = Run(site_of(ZONES, effectors=[battery(**QUICK)]))
    run.until_order()
    start = met_s(run.orders[0])
    for seconds in np.arange(start, impact_s(), 0.1).tolist():
        mean = state_at(seconds)
        mean[:2] += 45.0 * (seconds - start)
        seen = Tracks.empty() if left == "stops" else track(seconds=seconds, mean=mean)
        assert run.tick(seconds, tracks=seen) == []
    judged = [n for n in run.notes if n.engagement]
    assert [n.kind for n in judged] == ["gone"]
    assert (judged[0].time_ns - run.orders[0].intercept_ns) / SECOND_NS < 1.2


def test_what_was_taken_for_dead_and_is_seen_on_its_path_is_engaged_again() -> None:
    """The radar loses it for two seconds after the intercept."""
    run = Run(site_of(ZONES, effectors=[battery(**QUICK)]))
    run.until_order()
    start = met_s(run.orders[0])
    for seconds in np.arange(start, start + 4.0, 0.1).tolist():
        run.tick(seconds, tracks=Tracks.empty() if seconds < start + 2.0 else None)
    assert [n.kind for n in run.notes if n.engagement == 1] == ["gone", "flies on"]
    assert len(run.orders) == 2


DRIFTER = {"mean": np.array([-1500.0, 0.0, 400.0, 10.0, 0.0, 0.0, 9.0]), "model": OTHER, "cls": DRONE}


def drifting(seconds: float) -> Tracks:
    """A slow drone, where it is after so long."""
    mean = DRIFTER["mean"] + np.array([10.0 * seconds, 0, 0, 0, 0, 0, 0])
    return track(seconds=seconds, **(DRIFTER | {"mean": mean}))


def test_what_nobody_sees_where_no_radar_reaches_is_free_again_after_a_while() -> None:
    """The radar is blind beyond 1 km: that nothing comes of the drone says nothing."""
    blind = site_of(ZONES, effectors=[battery(**QUICK)])
    sensor = blind.sensors[0].model_copy(
        update={"coverage": blind.sensors[0].coverage.model_copy(update={"max_range_m": 1_000.0})}
    )
    run = Run(blind.model_copy(update={"sensors": (sensor,)}))
    for seconds in np.arange(0.0, 20.0, 0.1).tolist():
        run.tick(seconds, threat(when_s=150.0), drifting(seconds) if not run.orders else Tracks.empty())
        if len(run.orders) == 2:
            break
    first, second = run.orders
    assert [n.kind for n in run.notes if n.engagement] == ["lost"]
    assert second.time_ns == pytest.approx(first.intercept_ns + NO_VERDICT_NS, abs=0.35 * SECOND_NS)


def fire_at_drifter(effector: dict[str, Any], until_s: float) -> Run:
    """A slow drone that no engagement ever kills."""
    run = Run(site_of(ZONES, effectors=[effector]))
    for seconds in np.arange(0.0, until_s, 0.1).tolist():
        run.tick(seconds, threat(when_s=150.0), drifting(seconds))
    return run


def test_magazine_runs_out_and_rate_is_kept() -> None:
    """Three engagements of 4 s each, then none, and it is said why."""
    run = fire_at_drifter(battery(**(QUICK | {"burst_s": 4.0, "magazine": 3, "kill": ((500.0, 0.15),)})), 40.0)
    assert [order.engagement for order in run.orders] == [1, 2, 3]
    times = [order.time_ns for order in run.orders]
    assert min(b - a for a, b in itertools.pairwise(times)) >= 4.0 * SECOND_NS
    assert "0 of 3 left" in run.orders[2].reason
    assert run.kinds()[-1] == "empty"


def test_a_magazine_is_full_again_after_its_reload() -> None:
    spec = QUICK | {"burst_s": 1.0, "magazine": 2, "reload_s": 15.0, "kill": ((500.0, 0.15),)}
    run = fire_at_drifter(battery(**spec), 40.0)
    times = [order.time_ns / SECOND_NS for order in run.orders]
    assert times[2] - times[1] == pytest.approx(1.0 + 15.0, abs=0.5)
    assert times[1] - times[0] < 6.0
    assert len(times) >= 4


def test_a_salvo_takes_several_and_misses_only_if_all_do() -> None:
    one = fire_at_drifter(battery(**(QUICK | {"magazine": 4, "kill": ((500.0, 0.3),)})), 30.0)
    two = fire_at_drifter(battery(**(QUICK | {"magazine": 4, "salvo": 2, "kill": ((500.0, 0.3),)})), 30.0)
    assert (len(one.orders), len(two.orders)) == (4, 2)
    assert one.orders[0].p_kill == pytest.approx(0.3, abs=1e-3)
    assert two.orders[0].p_kill == pytest.approx(1.0 - 0.7**2, abs=1e-3)


def test_chance_is_less_against_what_the_effector_is_worse_at() -> None:
    for against, share in (({"drone": 0.5}, 0.5), ({"rocket": 0.5}, 1.0), ({}, 1.0)):
        run = fire_at_drifter(battery(**(QUICK | {"against": against})), 5.0)
        assert run.orders[0].p_kill == pytest.approx(0.5 * share, abs=1e-3)


def test_turning_takes_time() -> None:
    """After an engagement to the west, one to the east is met later by half a turn."""
    first_ns = []
    for slew in ({}, {"slew_dps": 60.0}):
        run = Run(site_of(ZONES, effectors=[battery(**(QUICK | {"kill": ((500.0, 0.9),)} | slew))]))
        for seconds in np.arange(0.0, 3.0, 0.1).tolist():
            run.tick(seconds, threat(1, when_s=150.0), drifting(seconds))
        east = DRIFTER | {"mean": np.array([1500.0, 0.0, 400.0, -10.0, 0.0, 0.0, 9.0])}
        run.tick(4.0, threat(2, when_s=150.0), track(2, 4.0, **east))
        first_ns.append(run.orders[-1].intercept_ns)
        assert run.orders[-1].track == 2
    assert (first_ns[1] - first_ns[0]) / SECOND_NS == pytest.approx(150.0 / 60.0, abs=0.6)


# ---- why nothing is done ------------------------------------------------------------------------------------------


def test_it_is_said_why_an_object_is_not_engaged() -> None:
    everywhere = {"azimuth_from_deg": 180.0, "azimuth_to_deg": 360.0}
    crowd = [square("base", 0, 0, 300, kind="base"), square("crowd", -900, 0, 800, people=1_000_000)]
    told = {
        "unprotected": Run(),
        "unlikely": Run(),
        "out of reach": Run(site_of(ZONES, effectors=[battery(reach_m=400.0)])),
        "no-fire": Run(site_of(ZONES, effectors=[battery(no_fire=(everywhere,))])),
        "thrift": Run(site_of(ZONES, effectors=[battery(cost=1e6)], policy={"thrift": 1.0})),
        "empty": Run(site_of(ZONES, effectors=[battery(magazine=0)])),
        "debris": Run(site_of(crowd, effectors=[battery(debris_pieces=20)])),
    }
    rows = {"unprotected": threat(zone=1, p=0.9), "unlikely": threat(p=0.01)}
    for kind, run in told.items():
        for seconds in np.arange(0.0, impact_s() - 3.5, 0.2).tolist():
            assert run.tick(seconds, rows.get(kind)) == [], kind
        assert kind in run.kinds(), (kind, run.kinds())
        note = next(n for n in run.notes if n.kind == kind)
        assert note.reason
        assert note.zone == ("town" if kind == "unprotected" else "base")


def test_debris_over_people_is_accepted_where_the_policy_does_not_look() -> None:
    crowd = [square("base", 0, 0, 300, kind="base"), square("crowd", -900, 0, 800, people=1_000_000)]
    run = Run(site_of(crowd, effectors=[battery(debris_pieces=20)], policy={"debris_ratio": None}))
    run.until_order()


def test_rounds_that_may_not_destroy_themselves_over_people_keep_a_gun_silent() -> None:
    """Fired westwards, they would come down beyond the object, in a crowd; to the east there is nobody."""
    crowd = [square("base", 0, 0, 300, kind="base"), square("crowd", -3_300, 0, 1_000, people=1_000_000)]
    for duds, silent in ((0.0, False), (0.5, True)):
        gun = battery(rounds=200, dud_share=duds, debris_pieces=1)
        run = Run(site_of(crowd, effectors=[gun]))
        for seconds in np.arange(0.0, impact_s(), 0.2).tolist():
            run.tick(seconds)
        assert (not run.orders) is silent, duds
        assert ("debris" in run.kinds()) is silent


def test_more_objects_than_batteries_is_told_as_saturation() -> None:
    """Five rockets abreast and one battery that takes 30 s for each."""
    run = Run(site_of(ZONES, effectors=[battery(burst_s=30.0)]))
    for seconds in np.arange(0.0, impact_s(), 0.2).tolist():
        many = Tracks.concat([track(n, seconds) for n in range(1, 6)])
        run.tick(seconds, Threats.concat([threat(n) for n in range(1, 6)]), many)
    assert len(run.orders) == 1
    others = {1, 2, 3, 4, 5} - {run.orders[0].track}
    assert all("saturated" in run.kinds(n) for n in others)


def test_saved_and_loaded_state_goes_on_alike() -> None:
    whole = saved.State(defended=True)
    run = Run(site_of(ZONES, effectors=[battery(**QUICK)]))
    run.state = whole.engagements
    for seconds in np.arange(0.0, impact_s(), 0.1).tolist():
        again = Run(run.site)
        again.state = saved.load(saved.save(whole)).engagements
        assert run.tick(seconds) == again.tick(seconds)
        assert saved.save(whole) == saved.save(saved.State(defended=True, engagements=again.state))
    assert len(run.orders) > 1


def test_an_order_holds_no_direction() -> None:
    """What goes out says which object, when and how likely, and nothing that could point anything."""
    assert Engagement.__struct_fields__ == (
        "time_ns", "engagement", "effector", "track", "zone", "range_m", "p_kill", "intercept_ns",
        "east_m", "north_m", "up_m", "reason",
    )  # fmt: skip
