"""What truly flies: rockets come down at their aims, drones turn as banked aircraft do, and streams stay apart."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from opencram.errors import InputError
from opencram.physics.flight import fly_boosted
from opencram.physics.place import height_m
from opencram.world.flown import Flown
from opencram.world.rng import generator
from opencram.world.routes import follow
from opencram.world.sky import Sky
from opencram.world.truth import fly_scenario, setting_of
from world_site import LAT, LON, flight, make_scenario, make_site, salvo

Floats = NDArray[np.float64]
AIMS = [(LAT, LON), (LAT + 0.01, LON), (LAT, LON + 0.02)]


def fly_all(*groups: dict, seed: int = 0) -> list[Flown]:
    return fly_scenario(make_scenario(*groups), make_site(), seed)


def over_ground(pos: Floats) -> float:
    return float(height_m(*pos[:3].tolist(), setting_of(make_site(), make_scenario().weather).origin.radius_m))


def test_rockets_scatter_about_their_aims_as_stated() -> None:
    """Chi-square of the misses in units of the stated dispersion, over 100 salvos of three."""
    misses = []
    for seed in range(100):
        flown = fly_all(salvo(*AIMS, dispersion_m=50.0), seed=seed)
        misses += [(f.end_enu_m - f.aim_enu_m)[:2] / 50.0 for f in flown if f.aim_enu_m is not None]
    total = float((np.array(misses) ** 2).sum())
    low, high = stats.chi2.ppf([0.001, 0.999], 600)
    assert low < total < high


def test_without_dispersion_they_fall_on_the_aim() -> None:
    for f in fly_all(salvo(*AIMS, dispersion_m=0.0)):
        assert f.aim_enu_m is not None
        assert math.dist(f.end_enu_m, f.aim_enu_m) < 0.5
        assert abs(over_ground(f.end_enu_m)) < 0.01


def test_the_aim_does_not_choose_the_trajectory() -> None:
    """Aims elsewhere shift the launch point; elevation, azimuth, speed and drag stay as drawn."""
    here = fly_all(salvo(*AIMS, dispersion_m=0.0))
    there = fly_all(salvo(*[(lat - 0.03, lon) for lat, lon in AIMS], dispersion_m=0.0))
    for a, b in zip(here, there, strict=True):
        np.testing.assert_array_equal(a.path[0, 3:], b.path[0, 3:])
        moved = (b.path[0] - a.path[0])[:2]
        aimed = (b.end_enu_m - a.end_enu_m)[:2]
        # all but curvature and the turn of the earth is a plain shift
        assert math.dist(moved, aimed) < 5.0


def test_launch_points_lie_on_the_ground_where_the_salvo_comes_from() -> None:
    for seed in range(20):
        for f in fly_all(salvo(*AIMS, from_deg=120.0), seed=seed):
            away = f.path[0, :2] - f.end_enu_m[:2]
            bearing = math.degrees(math.atan2(*away))
            # pointing has a sigma of 0.5 degrees, drift by wind and drag none to speak of
            assert bearing == pytest.approx(120.0, abs=2.5)
            assert over_ground(f.path[0]) == pytest.approx(1.0, abs=0.01)


def test_the_path_between_its_rows_is_the_flight_itself() -> None:
    """Against a flight sampled ten times as densely; the first second holds the burn."""
    (f,) = fly_all(salvo((LAT, LON), drag_sigma=0.0, speed_sigma=0.0))
    setting = setting_of(make_site(), make_scenario().weather)
    y0 = np.concatenate([f.path[0], [f.threat.ln_beta]])
    fine = fly_boosted(y0, np.array(f.threat.motor), 0.005, 4000, setting.env, setting.air, f.threat.drag)
    sky = Sky()
    sky.add([f])
    times = f.start_ns + np.arange(4001) * 5_000_000
    pos, vel = sky.at(times, np.zeros(4001, np.int64))
    assert np.abs(pos - fine[:, :3]).max() < 0.02
    # but for the row of burn-out, where the acceleration jumps
    assert np.quantile(np.abs(vel - fine[:, 3:6]).max(axis=1), 0.99) < 0.02
    end, _ = sky.at(f.end_ns, np.array([0]))
    assert math.dist(end[0], f.end_enu_m) < 0.001


def test_launches_are_spaced_as_drawn() -> None:
    flown = fly_all(salvo(*[(LAT, LON)] * 40, spacing_s={"least": 0.6, "most": 2.0}))
    gaps = np.diff([f.start_ns for f in flown]) / 1e9
    assert flown[0].start_ns - make_scenario().start_ns == 2_000_000_000
    assert gaps.min() >= 0.599
    assert gaps.max() <= 2.001
    assert stats.kstest(gaps, "uniform", (0.6, 1.4)).pvalue > 0.001


def test_a_salvo_that_never_comes_down_is_refused() -> None:
    """Five times the speed, upwards, is beyond what the flight model takes for anything that was fired."""
    beyond = salvo((LAT, LON), threat="rocket-240", elevation_deg={"least": 85, "most": 85}, speed_sigma=5.0)
    with pytest.raises(InputError, match="never comes down"):
        fly_all(beyond, seed=8)


def test_a_drone_flies_its_path_and_ends_at_its_target() -> None:
    points = [(LAT + 0.03, LON, 250.0), (LAT + 0.015, LON + 0.005, 200.0)]
    (f,) = fly_all(flight(*points, target=(LAT, LON), dive_deg=30.0))
    speed = np.linalg.norm(f.path[:, 3:], axis=1)
    np.testing.assert_allclose(speed, 50.0, atol=1e-9)
    at_end = f.path[-2]
    assert math.dist(at_end[:3], f.end_enu_m) < 10.0
    assert math.degrees(math.asin(-at_end[5] / 50.0)) == pytest.approx(30.0, abs=3.0)
    assert f.lands
    assert f.id == "D1"


def test_rows_of_a_drones_path_agree_with_their_velocities() -> None:
    points = [(LAT + 0.03, LON, 250.0), (LAT + 0.015, LON + 0.02, 200.0)]
    (f,) = fly_all(flight(*points, target=(LAT, LON)))
    steps = np.diff(f.path[:, :3], axis=0)
    mean = 0.5 * (f.path[1:, 3:] + f.path[:-1, 3:]) * 0.1
    assert np.abs(steps - mean).max() < 1e-6


def test_turns_have_the_radius_of_a_banked_turn() -> None:
    """v^2 / (g tan(bank)): a corner of 90 degrees, flown at 50 m/s and 30 degrees of bank."""
    radius = 50.0**2 / (9.80665 * math.tan(math.radians(30.0)))
    points = np.array([[0.0, 0.0, 500.0], [3000.0, 0.0, 500.0], [3000.0, 3000.0, 500.0]])
    path = follow(points, 50.0, 50.0 / radius, 0.1)
    heading = np.unwrap(np.arctan2(path[:, 4], path[:, 3]))
    rate = np.diff(heading) / 0.1
    assert rate.max() == pytest.approx(50.0 / radius, rel=1e-6)
    turning = (rate > 0.99 * rate.max()).sum() * 0.1
    assert turning == pytest.approx(math.pi / 2 * radius / 50.0, abs=0.5)
    # the corner is cut by r (sqrt 2 - 1), the nearest that a circle tangent to both legs comes
    nearest = np.linalg.norm(path[:, :3] - points[1], axis=1).min()
    assert nearest == pytest.approx(radius * (math.sqrt(2.0) - 1.0), abs=10.0)


def test_a_path_ends_even_if_its_last_point_lies_within_the_turning_circle() -> None:
    points = np.array([[0.0, 0.0, 500.0], [200.0, 0.0, 500.0], [200.0, 60.0, 500.0]])
    path = follow(points, 50.0, 0.1, 0.1)
    assert len(path) < 3000


def test_an_aircraft_is_no_hostile_object_and_leaves() -> None:
    (f,) = fly_all(flight((LAT, LON, 1500.0), (LAT, LON + 0.02, 1500.0)))
    assert f.id == "A1"
    assert not f.lands
    assert abs(f.path[:, 2] - 1500.0).max() < 1.0


def test_one_more_group_changes_nothing_for_the_others() -> None:
    alone = fly_all(salvo(*AIMS))
    with_more = fly_all(flight((LAT, LON, 1500.0), (LAT, LON + 0.02, 1500.0)), salvo(*AIMS))[1:]
    for a, b in zip(alone, with_more, strict=True):
        assert (a.id, a.start_ns) == (b.id, b.start_ns)
        np.testing.assert_array_equal(a.path, b.path)


def test_streams_differ_by_name_and_seed_and_not_by_process() -> None:
    first = generator(0, "a", "b").random(4)
    assert not np.array_equal(first, generator(1, "a", "b").random(4))
    assert not np.array_equal(first, generator(0, "ab").random(4))
    assert not np.array_equal(first, generator(0, "b", "a").random(4))
    code = "from opencram.world.rng import generator; print(generator(0, 'a', 'b').random(4).tolist())"
    told = [
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert told == [f"{first.tolist()}\n"] * 2
