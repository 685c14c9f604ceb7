"""Threats: the chance of a hit against sampling, what stands when nothing is seen, drones' reach, and debris."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from opencram import state as saved
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import layout_of
from opencram.physics.polygon import p_course
from opencram.physics.threats import catalogue, class_index
from opencram.policy import DronePolicy
from opencram.site import Site
from opencram.stages import impacts_to_threats as stage
from opencram.stages.impacts_to_threats import TURN_SHARE, ThreatsState, impacts_to_threats
from opencram.tables import (
    BALLISTIC,
    CONFIRMED,
    OTHER,
    TENTATIVE,
    UNKNOWN,
    Effect,
    Engagement,
    FloatArray,
    Hypotheses,
    Impacts,
    Threats,
    Tracks,
)
from small_site import SECOND_NS, START_NS, position, site_of, square

BATTERY = {"id": "battery", "position": position(0, 0), "debris_pieces": 4}
SITE = site_of(
    [square("base", 0, 0, 300, kind="base"), square("town", 1500, 0, 400, kind="district")], effectors=[BATTERY]
)
ROCKET, MORTAR, DRONE = (class_index(name) for name in ("rocket-107", "mortar-120", "drone"))
COV = np.array([[200.0**2, 60.0**2], [60.0**2, 90.0**2]])


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def track(
    number: int = 1,
    seconds: float = 0.0,
    mean: Sequence[float] = (-3000.0, 0.0, 1000.0, 200.0, 0.0, -50.0, 8.5),
    **more: Any,
) -> Tracks:
    """A confirmed ballistic track seen at `seconds`, first seen 10 s before."""
    row: dict[str, Any] = {
        "time_ns": at(seconds),
        "track": number,
        "status": CONFIRMED,
        "model": BALLISTIC,
        "n_plots": 50,
        "existence": 1.0,
        "p_ballistic": 1.0,
        "cls": ROCKET,
        "mean": np.array(mean, np.float64),
        "cov": np.diag([25.0, 25.0, 25.0, 4.0, 4.0, 4.0, 0.04]),
        "born_ns": at(seconds - 10.0),
        "plot": 0,
        "debris": False,
    } | more
    return Tracks(**{name: np.array([value]) for name, value in row.items()})


def falls(
    where: tuple[float, float],
    when_s: float,
    number: int = 1,
    seconds: float = 0.0,
    cls: int = ROCKET,
    weight: float = 1.0,
    sigma_s: float = 0.0,
) -> Hypotheses:
    """One hypothesis of a track: where and when it comes down, with COV."""
    row: dict[str, Any] = {
        "time_ns": at(seconds),
        "track": number,
        "cls": cls,
        "weight": weight,
        "mean": np.zeros(7),
        "cov": np.zeros((7, 7)),
        "impact_time_ns": at(when_s),
        "impact_time_sigma_s": sigma_s,
        "impact_enu_m": np.array(where, np.float64),
        "impact_cov_m2": COV,
        "launch_enu_m": np.zeros(2),
        "launch_cov_m2": np.eye(2),
    }
    return Hypotheses(**{name: np.array([value]) for name, value in row.items()})


def called(number: int = 1, cls: int = ROCKET) -> Impacts:
    row: dict[str, Any] = {
        "time_ns": START_NS,
        "track": number,
        "n_plots": 50,
        "cls": cls,
        "impact_time_ns": START_NS,
        "impact_time_sigma_s": 1.0,
        "impact_enu_m": np.zeros(2),
        "impact_cov_m2": np.eye(2),
        "launch_enu_m": np.zeros(2),
        "launch_cov_m2": np.eye(2),
        "beta_kgpm2": 5000.0,
    }
    return Impacts(**{name: np.array([value]) for name, value in row.items()})


def engagement(number: int = 1, target: int = 1, intercept_s: float = 3.0, p_kill: float = 0.5) -> Engagement:
    return Engagement(
        time_ns=START_NS, engagement=number, effector="battery", track=target, zone="base", range_m=1000.0,
        p_kill=p_kill, intercept_ns=at(intercept_s), east_m=0.0, north_m=0.0, up_m=0.0, reason="",
    )  # fmt: skip


def effect(outcome: str, seconds: float = 3.0, where: Sequence[float] = (-2400.0, 0.0, 800.0)) -> Effect:
    east_m, north_m, up_m = where
    return Effect(
        time_ns=at(seconds), engagement=1, track=1, outcome=outcome, east_m=east_m, north_m=north_m, up_m=up_m
    )


class Run:
    """The stage fed tick by tick; `seconds` count from START."""

    def __init__(self, site: Site = SITE) -> None:
        self.site, self.state = site, ThreatsState()

    def tick(
        self,
        seconds: float,
        tracks: Tracks | None = None,
        hypotheses: Hypotheses | None = None,
        engagements: Sequence[Engagement] = (),
        effects: Sequence[Effect] = (),
    ) -> Threats:
        tracks = Tracks.empty() if tracks is None else tracks
        hypotheses = Hypotheses.empty() if hypotheses is None else hypotheses
        impacts = Impacts.concat([called(int(n)) for n in np.unique(hypotheses.track)])
        return impacts_to_threats(self.state, tracks, hypotheses, impacts, engagements, effects, at(seconds), self.site)


def rows(threats: Threats, debris: bool = False) -> dict[tuple[int, int], float]:
    picked = threats.take(threats.debris == debris)
    return {
        (t, z): p for t, z, p in zip(picked.track.tolist(), picked.zone.tolist(), picked.p_hit.tolist(), strict=True)
    }


# ---- what falls ---------------------------------------------------------------------------------------------------


def sampled(where: tuple[float, float], cls: int, zone: int, n: int = 400_000) -> float:
    """Share of drawn impact points that lie within the hazard radius of the zone."""
    points = np.random.default_rng(3).multivariate_normal(where, COV, n)
    hazard_m = tuple(catalogue().values())[cls].hazard_radius_m
    shape = layout_of(SITE).zone_shapes[zone]
    shapely.prepare(shape)
    return float(shapely.dwithin(shape, shapely.points(points), hazard_m).mean())


@pytest.mark.parametrize("where", [(0.0, 0.0), (500.0, 200.0), (800.0, 0.0), (1500.0, -500.0)])
def test_chance_of_a_hit_is_that_of_landing_within_the_hazard_radius_of_the_zone(where: tuple[float, float]) -> None:
    found = rows(Run().tick(0.0, track(), falls(where, 20.0)))
    for zone in (0, 1):
        # four sigma of the sampling, and the round corners are drawn with few edges
        assert found.get((1, zone), 0.0) == pytest.approx(sampled(where, ROCKET, zone), abs=4e-3)


def test_hypotheses_and_existence_weigh_in() -> None:
    both = Hypotheses.concat(
        [falls((0, 0), 20.0, weight=0.7), falls((1500, 0), 24.0, cls=MORTAR, weight=0.2, sigma_s=1.0)]
    )
    threats = Run().tick(0.0, track(existence=0.9, p_ballistic=0.9), both)
    found = rows(threats)
    alone = [rows(Run().tick(0.0, track(), h)) for h in (falls((0, 0), 20.0), falls((1500, 0), 24.0, cls=MORTAR))]
    assert found[1, 0] == pytest.approx(0.9 * (0.7 * alone[0][1, 0] + 0.2 * alone[1].get((1, 0), 0.0)))
    assert found[1, 1] == pytest.approx(0.9 * (0.7 * alone[0].get((1, 1), 0.0) + 0.2 * alone[1][1, 1]))
    assert threats.impact_time_ns.tolist() == pytest.approx([at(20.0), at(24.0)], abs=0.02 * SECOND_NS)
    assert threats.cls.tolist() == [ROCKET, ROCKET]


def test_time_of_a_hit_is_the_mean_over_what_would_hit() -> None:
    both = Hypotheses.concat(
        [falls((0, 0), 20.0, weight=0.5), falls((0, 0), 24.0, cls=class_index("rocket-122"), weight=0.25)]
    )
    threats = Run().tick(0.0, track(), both)
    assert threats.impact_time_ns[0] == pytest.approx(at((2 * 20.0 + 24.0) / 3.0), abs=0.05 * SECOND_NS)


def test_unlikely_zones_have_no_row() -> None:
    assert rows(Run().tick(0.0, track(), falls((-5000.0, 0.0), 20.0))) == {}


def test_what_never_comes_down_is_no_threat() -> None:
    assert len(Run().tick(0.0, track(), falls((math.nan, math.nan), 20.0))) == 0


def test_newest_of_two_scans_in_a_tick_counts() -> None:
    two = Hypotheses.concat([falls((1500, 0), 20.0, seconds=-0.1), falls((0, 0), 20.0)])
    tracks = Tracks.concat([track(seconds=-0.1, existence=0.1), track()])
    assert rows(Run().tick(0.0, tracks, two)) == rows(Run().tick(0.0, track(), falls((0, 0), 20.0)))


def test_class_is_the_one_the_track_is_called_by() -> None:
    state = ThreatsState()
    tables = (track(), falls((0, 0), 20.0), called(cls=UNKNOWN))
    assert impacts_to_threats(state, *tables, (), (), START_NS, SITE).cls.tolist() == [UNKNOWN]


def test_rows_are_in_order_whatever_the_order_of_the_tracks() -> None:
    tracks = [track(n) for n in (3, 1, 2)]
    kinds = [falls((700.0, 0.0), 20.0, number=n) for n in (2, 3, 1)]
    threats = Run().tick(0.0, Tracks.concat(tracks), Hypotheses.concat(kinds))
    assert list(zip(threats.track.tolist(), threats.zone.tolist(), strict=True)) == [
        (n, z) for n in (1, 2, 3) for z in (0, 1)
    ]


def test_a_track_s_threats_do_not_depend_on_the_others() -> None:
    many = [falls((50.0 * n, 0.0), 20.0, number=n) for n in range(1, 30)]
    together = rows(Run().tick(0.0, Tracks.concat([track(n) for n in range(1, 30)]), Hypotheses.concat(many)))
    for n in (1, 7, 29):
        alone = rows(Run().tick(0.0, track(n), many[n - 1]))
        assert {key: p for key, p in together.items() if key[0] == n} == alone


# ---- what stands --------------------------------------------------------------------------------------------------


def test_prediction_stands_until_the_object_is_down() -> None:
    """No plot for 20 s, below the radar's horizon: a threat until two seconds after the impact."""
    run = Run()
    first = rows(run.tick(0.0, track(), falls((0, 0), 20.0)))
    for seconds in (0.1, 5.0, 19.9, 21.9):
        assert rows(run.tick(seconds)) == first
    assert rows(run.tick(22.1)) == {}


def test_prediction_stands_longer_where_its_time_is_uncertain() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0, sigma_s=3.0))
    assert len(run.tick(27.9))
    assert not len(run.tick(28.1))


def test_new_prediction_takes_the_old_one_s_place() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    assert set(rows(run.tick(1.0, track(seconds=1.0), falls((1500, 0), 20.0, seconds=1.0)))) == {(1, 1)}


def test_what_turns_out_to_fly_by_its_own_power_falls_no_more() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    away = (-3000.0, 0.0, 5000.0, -200.0, 0.0, 0.0, 8.5)
    assert rows(run.tick(1.0, track(seconds=1.0, model=OTHER, cls=UNKNOWN, mean=away))) == {}


def test_another_track_s_plots_leave_a_prediction_alone() -> None:
    run = Run()
    first = rows(run.tick(0.0, track(), falls((0, 0), 20.0)))
    both = rows(run.tick(1.0, track(2, seconds=1.0), falls((1500, 0), 30.0, number=2, seconds=1.0)))
    assert {key: p for key, p in both.items() if key[0] == 1} == first
    assert (2, 1) in both


def test_gap_in_time_lets_go_what_came_down_in_it() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    assert len(run.tick(4000.0)) == 0
    assert run.state == ThreatsState(objects=run.state.objects)


# ---- drones -------------------------------------------------------------------------------------------------------


WEST = (-4000.0, 0.0, 500.0, 45.0, 0.0, 0.0, 8.5)


def drone(seconds: float = 0.0, **more: Any) -> Tracks:
    """45 m/s towards the base from 4 km in the west, at 500 m."""
    return track(**({"seconds": seconds, "model": OTHER, "cls": DRONE, "mean": WEST, "p_ballistic": 0.1} | more))


def come(run: Run, mean: Sequence[float] = WEST, for_s: int = 12, seconds: float = 0.0, **more: Any) -> Threats:
    """What stands when a drone has flown straight on for so long, and is at `mean` at `seconds`."""
    for k in range(for_s, -1, -1):
        before = np.array(mean) - k * np.array([*mean[3:6], 0.0, 0.0, 0.0, 0.0])
        threats = run.tick(seconds - k, drone(seconds - k, mean=before, **more))
    return threats


def test_drone_threatens_what_it_can_reach_and_when() -> None:
    threats = come(Run())
    found = rows(threats)
    assert found[1, 0] > 0.08
    here, hazard_m = shapely.Point(-4000.0, 0.0), catalogue()["drone"].hazard_radius_m
    for zone, arrival_ns in zip(threats.zone.tolist(), threats.impact_time_ns.tolist(), strict=True):
        metres = layout_of(SITE).zone_shapes[zone].distance(here) - hazard_m
        assert (arrival_ns - START_NS) / SECOND_NS == pytest.approx(metres / 45.0, abs=0.1)


def test_drone_that_flies_away_threatens_less_but_may_turn() -> None:
    away = rows(come(Run(), (-4000.0, 0.0, 500.0, -45.0, 0.0, 0.0, 8.5)))
    assert 0.0 < away[1, 0] < 0.1 * rows(come(Run()))[1, 0]


def test_drone_overhead_is_there() -> None:
    threats = come(Run(), (0.0, 100.0, 300.0, 45.0, 0.0, 0.0, 8.5), existence=0.97)
    assert rows(threats)[1, 0] == pytest.approx(0.97)
    assert threats.impact_time_ns[0] == START_NS


@pytest.mark.parametrize("speed", [42.0, 46.0, 51.0])
@pytest.mark.parametrize("cls", [DRONE, UNKNOWN])
def test_what_comes_on_as_attack_drones_do_counts_within_twelve_seconds(speed: float, cls: int) -> None:
    assert rows(come(Run(), (-4000.0, 0.0, 500.0, speed, 0.0, 0.0, 8.5), cls=cls))[1, 0] > 0.08


@pytest.mark.parametrize(
    "more",
    [
        {"mean": (-4000.0, 0.0, 500.0, 150.0, 0.0, 0.0, 8.5)},
        {"mean": (-4000.0, 0.0, 500.0, 20.0, 0.0, 0.0, 8.5), "for_s": 30},
        {"mean": (-4000.0, 0.0, 4000.0, 45.0, 0.0, 0.0, 8.5)},
        {"mean": (-4000.0, 0.0, 1000.0, 45.0, 0.0, -20.0, 8.5)},
        {"for_s": 8},
        {"status": TENTATIVE},
        {"model": BALLISTIC},
        {"cls": class_index("bird")},
        {"cls": class_index("aircraft")},
        {"cls": class_index("helicopter")},
    ],
)
def test_unknown_that_does_not_fly_as_drones_do_is_none(more: dict[str, Any]) -> None:
    assert rows(come(Run(), cls=UNKNOWN)) != {}
    assert rows(come(Run(), **({"cls": UNKNOWN} | more))) == {}


def test_unknown_object_that_comes_on_is_taken_for_a_drone() -> None:
    assert set(come(Run(), cls=UNKNOWN).cls.tolist()) == {DRONE}


def test_how_slow_an_unknown_object_may_be_is_the_sites_to_say() -> None:
    slow = (-4000.0, 0.0, 100.0, 15.0, 0.0, 0.0, 8.5)
    careful = SITE.model_copy(
        update={"policy": SITE.policy.model_copy(update={"drone": DronePolicy(unknown_from_mps=10.0)})}
    )
    assert rows(come(Run(), slow, for_s=40, cls=UNKNOWN)) == {}
    assert rows(come(Run(careful), slow, for_s=40, cls=UNKNOWN)) != {}


def test_what_jumps_and_stays_or_wanders_does_not_come_on() -> None:
    """Echoes of the ground followed as one: 400 m in two seconds, then nothing; and a way that weaves."""
    jumps = [(-4000.0 + 200.0 * min(k, 2), 0.0) for k in range(25)]
    weaves = [(-4000.0 + 30.0 * k, 60.0 * math.sin(k / 3.0)) for k in range(25)]
    for way in (jumps, weaves):
        run = Run()
        for k, (east, north) in enumerate(way):
            seen = drone(float(k), mean=(east, north, 100.0, 30.0, 0.0, 0.0, 8.5), cls=UNKNOWN)
            assert rows(run.tick(float(k), seen)) == {}


def test_what_has_flown_slowly_was_not_fired() -> None:
    """A flock that sinks for a moment may fit a bomb's flight; a track that began as a rocket's may too, and counts."""
    run = Run()
    come(run, (-1000.0, 0.0, 100.0, 15.0, 0.0, 0.0, 8.5), cls=UNKNOWN)
    sinks = {"mean": (-985.0, 0.0, 100.0, 15.0, 0.0, -20.0, 8.5), "seconds": 1.0}
    assert rows(run.tick(1.0, track(**sinks), falls((0.0, 0.0), 6.0))) == {}
    assert rows(Run().tick(1.0, track(**sinks), falls((0.0, 0.0), 6.0))) != {}
    # a rocket that took over the flock's track is fast
    fast = {"mean": (-900.0, 0.0, 200.0, 250.0, 0.0, -80.0, 8.5), "seconds": 4.0}
    for k in range(8):
        run.tick(2.0 + k / 4.0, track(**(fast | {"seconds": 2.0 + k / 4.0})))
    assert rows(run.tick(4.0, track(**fast), falls((0.0, 0.0), 7.0, seconds=4.0))) != {}


def test_lost_drone_stands_until_it_would_have_come() -> None:
    run = Run()
    come(run, (-2000.0, 0.0, 50.0, 45.0, 0.0, 0.0, 8.5))
    assert (1, 0) in rows(run.tick(35.0))
    assert (1, 0) not in rows(run.tick(61.0))


def test_noise_of_a_drone_s_velocity_is_averaged_out() -> None:
    """Each look errs by 10 m/s of 45, one way and the other: the arrival stays within 3 %."""
    run, arrivals = Run(), []
    come(run)
    for k in range(150):
        seen = drone(0.1 * k, mean=(-4000.0, 0.0, 500.0, 45.0 + (10.0 if k % 2 else -10.0), 0.0, 0.0, 8.5))
        threats = run.tick(0.1 * k, seen)
        arrivals.append((int(threats.impact_time_ns[threats.zone == 0][0]) - at(0.1 * k)) / SECOND_NS)
    metres = layout_of(SITE).zone_shapes[0].distance(shapely.Point(-4000.0, 0.0)) - catalogue()["drone"].hazard_radius_m
    assert arrivals[-20:] == pytest.approx([metres / 45.0] * 20, rel=0.03)


def test_drone_s_turn_is_followed_within_seconds() -> None:
    run = Run()
    come(run)
    for k in range(1, 101):
        turned = rows(run.tick(0.1 * k, drone(0.1 * k, mean=(-4000.0, 0.0, 500.0, 0.0, 45.0, 0.0, 8.5))))
    straight = rows(come(Run(), (-4000.0, 0.0, 500.0, 0.0, 45.0, 0.0, 8.5)))
    assert turned[1, 0] == pytest.approx(straight[1, 0], abs=0.01)


@settings(max_examples=200, deadline=None)
@given(st.floats(-7.0, 7.0), st.floats(0.05, 3.0), st.integers(1, 12), st.floats(0.0, 6.3))
def test_courses_share_out_one(course: float, sigma: float, parts: int, start: float) -> None:
    """Sectors that fill the circle take all of the distribution, wherever they are cut."""
    edges = start + np.linspace(0.0, 2.0 * math.pi, parts + 1)
    between = np.array([[0.0, a, b] for a, b in itertools.pairwise(edges)])
    total = p_course(course, sigma, TURN_SHARE, between).sum()
    assert total == pytest.approx(1.0, abs=1e-9)


def test_course_is_as_likely_as_drawn() -> None:
    rng = np.random.default_rng(9)
    n = 400_000
    ahead = rng.random(n) >= stage.TURN_SHARE
    course = np.where(ahead, rng.normal(6.1, math.radians(25.0), n), rng.uniform(0.0, 2.0 * math.pi, n))
    share = (np.mod(course - 0.1, 2.0 * math.pi) < 0.3).mean()
    p = p_course(6.1, math.radians(25.0), TURN_SHARE, np.array([[0.0, 0.1, 0.4]]))[0]
    assert share == pytest.approx(p, abs=4.0 * math.sqrt(p * (1.0 - p) / n))


# ---- debris -------------------------------------------------------------------------------------------------------

STATE = np.array([-1800.0, 0.0, 900.0, 220.0, 0.0, -80.0, 8.5])
UNDER = site_of([square("under", -1200.0, 0.0, 350.0, kind="base")], effectors=[BATTERY])


def pieces_that_hit(burst: FloatArray, site: Site, n: int = 3000) -> float:
    """Share of kills that put at least one of four pieces into the zone, each piece drawn and flown to the ground."""
    rng, layout, fragment = np.random.default_rng(11), layout_of(site), catalogue()["fragment"]
    offsets, shares = zip(*stage.PIECES, strict=True)
    points = []
    for _ in range(n):
        start = np.append(burst[:6], fragment.ln_beta)
        start[:3] += stage.BURST_SIGMA_M * rng.standard_normal(3)
        start[3:6] += stage.KICK_MPS * rng.standard_normal(3)
        start[6] += rng.choice(offsets, p=shares) + stage.PIECE_LN_BETA_SIGMA * rng.standard_normal()
        points.append(to_ground(start, 1.0, layout.env, layout.air, layout.ground, fragment.drag)[:2])
    one = shapely.dwithin(layout.zone_shapes[0], shapely.points(np.array(points)), fragment.hazard_radius_m).mean()
    return float(1.0 - (1.0 - one) ** 4)


def test_debris_footprint_is_where_drawn_pieces_fall() -> None:
    run = Run(UNDER)
    run.tick(0.0, track(mean=STATE))
    burst = fly(STATE, 1.0, 1, layout_of(UNDER).env, layout_of(UNDER).air, catalogue()["rocket-107"].drag)[1]
    threats = run.tick(1.0, effects=[effect("kill", 1.0, burst[:3].tolist())])
    assert threats.debris.tolist() == [True]
    # the footprint is carried to the ground by its first derivatives
    assert threats.p_hit[0] == pytest.approx(pieces_that_hit(burst, UNDER), abs=0.08)


def test_engagement_under_way_casts_debris_as_likely_as_its_kill() -> None:
    run, sure = Run(UNDER), Run(UNDER)
    for one in (run, sure):
        one.tick(0.0, track(mean=STATE), falls((0.0, 0.0), 12.0))
    half = run.tick(0.1, engagements=[engagement(intercept_s=1.0, p_kill=0.4)])
    whole = sure.tick(0.1, engagements=[engagement(intercept_s=1.0, p_kill=1.0)])
    assert rows(half, True)[1, 0] == pytest.approx(0.4 * rows(whole, True)[1, 0])
    assert (1, 0) in rows(run.tick(0.5, engagements=[engagement(intercept_s=1.0, p_kill=0.4)]), True)


def test_a_miss_leaves_no_debris_and_the_object_flies_on() -> None:
    run = Run(SITE)
    before = rows(run.tick(0.0, track(), falls((0, 0), 20.0)))
    run.tick(0.1, engagements=[engagement()])
    after = run.tick(3.0, engagements=[engagement()], effects=[effect("miss")])
    assert rows(after) == before
    assert rows(after, True) == {}


def test_a_kill_ends_the_object_and_its_debris_falls() -> None:
    run = Run(UNDER)
    run.tick(0.0, track(mean=STATE), falls((-1200.0, 0), 12.0))
    run.tick(0.1, engagements=[engagement(intercept_s=1.0)])
    after = run.tick(
        1.0, engagements=[engagement(intercept_s=1.0)], effects=[effect("kill", 1.0, (-1580.0, 0.0, 800.0))]
    )
    assert rows(after) == {}
    assert rows(after, True)[1, 0] > 0.1
    left_s = (after.impact_time_ns[0] - at(1.0)) / SECOND_NS
    assert 5.0 < left_s < 25.0
    assert (1, 0) in rows(run.tick(left_s), True)
    assert len(run.tick(60.0)) == 0


def test_old_plots_of_a_killed_track_are_not_believed_and_new_ones_are_debris() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    run.tick(3.0, effects=[effect("kill")])
    assert rows(run.tick(3.1, track(seconds=3.0), falls((0, 0), 20.0, seconds=3.0))) == {}
    later = run.tick(5.0, track(seconds=5.0), falls((0, 0), 20.0, seconds=5.0))
    assert rows(later) == {}
    assert rows(later, True)[1, 0] > 0.5


def test_track_born_of_a_break_up_is_debris() -> None:
    threats = Run().tick(0.0, track(debris=True), falls((0, 0), 20.0))
    assert threats.debris.tolist() == [True]


def test_kill_of_a_track_never_seen_is_taken_where_it_happened() -> None:
    run = Run(UNDER)
    threats = run.tick(3.0, effects=[effect("kill", 3.0, (-1200.0, 0.0, 600.0))])
    assert rows(threats, True)[1, 0] > 0.8


def test_saved_and_loaded_state_goes_on_alike() -> None:
    whole = saved.State(defended=True)
    run = Run(UNDER)
    run.state = whole.threats
    run.tick(0.0, track(mean=STATE), falls((-1200.0, 0), 12.0))
    run.tick(0.1, drone(number=2), engagements=[engagement(intercept_s=1.0)])
    again = Run(UNDER)
    again.state = saved.load(saved.save(whole)).threats
    for seconds, effects in ((0.5, []), (1.0, [effect("kill", 1.0)]), (9.0, []), (40.0, [])):
        one, two = (r.tick(seconds, engagements=[engagement(intercept_s=1.0)], effects=effects) for r in (run, again))
        for name in ("time_ns", "track", "zone", "cls", "p_hit", "impact_time_ns", "debris"):
            assert getattr(one, name).tolist() == getattr(two, name).tolist()
