"""Threats of what flies by its own power: which zones it can reach, when, and what does not come on at all."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from opencram.physics.layout import layout_of
from opencram.physics.polygon import p_course
from opencram.physics.threats import catalogue, class_index
from opencram.policy import DronePolicy
from opencram.stages import impacts_to_threats as stage
from opencram.stages.impacts_to_threats import TURN_SHARE
from opencram.tables import (
    BALLISTIC,
    TENTATIVE,
    UNKNOWN,
    Threats,
)
from small_site import SECOND_NS, START_NS
from threat_rows import (
    DRONE,
    SITE,
    WEST,
    Run,
    at,
    drone,
    rows,
)


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
        {"n_plots": 50},
        {"cls": class_index("bird")},
        {"cls": class_index("aircraft")},
        {"cls": class_index("helicopter")},
    ],
)
def test_unknown_that_does_not_fly_as_drones_do_is_none(more: dict[str, Any]) -> None:
    """With as many plots of its own as before, it lives on those that it shares, as a track in a flock does."""
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


def test_a_name_that_one_jump_gave_does_not_make_a_bird_a_drone() -> None:
    """A track that hops between birds has a drone's speed for a second, but comes on as slowly as they do."""
    run = Run()
    come(run, (-4000.0, 0.0, 100.0, 15.0, 0.0, 0.0, 8.5), for_s=40, cls=UNKNOWN)
    assert rows(run.tick(40.0, drone(40.0, mean=(-3400.0, 0.0, 100.0, 45.0, 0.0, 0.0, 8.5)))) == {}


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
