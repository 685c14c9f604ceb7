"""Flocks, hovering, gunfire, lingering clutter and the defence's own rounds: against what is stated of them."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from opencram.errors import InputError
from opencram.physics.place import height_m
from opencram.physics.threats import catalogue
from opencram.tables import Engagement, PlotRows
from opencram.world.flown import Flown
from opencram.world.truth import fly_scenario, setting_of
from opencram.world.world import World, undefended_counts
from world_site import LAT, LON, assume, flight, make_scenario, make_site, salvo

Floats = NDArray[np.float64]
NORTH = (LAT + 0.05, LON)


def flock(*points: tuple[float, float, float], **changes: Any) -> dict[str, Any]:
    group = flight(*points) | {"kind": "flock", "threat": assume("bird"), "speed_mps": assume(15.0)}
    return group | {key: value if key == "id" else assume(value) for key, value in changes.items()}


def burst(**changes: Any) -> dict[str, Any]:
    """Thirty rounds from 1.1 km in the east, up and away to the north."""
    group = {
        "id": "burst",
        "kind": "burst",
        "threat": assume("gunfire"),
        "count": assume(30),
        "first_s": assume(1.0),
        "at": assume({"lat": LAT, "lon": LON + 0.012}),
        "towards_deg": assume(0.0),
        "elevation_deg": assume({"least": 45.0, "most": 60.0}),
    }
    return group | {key: value if key == "id" else assume(value) for key, value in changes.items()}


def fly_all(*groups: dict[str, Any], seed: int = 0) -> list[Flown]:
    return fly_scenario(make_scenario(*groups), make_site(), seed)


# ---- flocks and hovering ------------------------------------------------------------------------------------------


def test_a_flock_keeps_together_as_wide_as_stated() -> None:
    """Each bird's mean place about the flock's middle is normal with the stated sigma, east and north."""
    places = []
    for seed in range(20):
        birds = fly_all(flock((LAT, LON, 100.0), (*NORTH, 100.0), count=40, spread_m=50.0), seed=seed)
        paths = np.array([b.path[:, :3] for b in birds])
        places.append((paths - paths.mean(axis=0)).mean(axis=1)[:, :2].ravel() / 50.0)
    assert stats.kstest(np.concatenate(places) / math.sqrt(39.0 / 40.0), "norm").pvalue > 1e-3


def test_birds_flutter_about_their_places_as_stated() -> None:
    birds = fly_all(flock((LAT, LON, 100.0), (*NORTH, 100.0), count=40, flutter_m=4.0, wander_deg=0.0))
    own = np.array([b.path[:, :3] for b in birds])
    own -= own.mean(axis=0)
    assert (own - own.mean(axis=1)[:, None]).std() == pytest.approx(4.0, rel=0.05)


def test_a_flock_wanders_as_stated_and_arrives() -> None:
    """The course is off the way to the next point by the stated sigma; with none it is the way itself."""
    off = []
    for seed in range(40):
        (bird,) = fly_all(flock((LAT, LON, 100.0), (*NORTH, 100.0), flutter_m=0.0, wander_deg=20.0), seed=seed)
        course = np.arctan2(bird.path[:, 3], bird.path[:, 4])
        way = bird.path[-2, :2] - bird.path[:, :2]
        far = np.hypot(*way.T) > 300.0
        off.append(np.degrees(course - np.arctan2(way[:, 0], way[:, 1]))[far])
        assert not bird.lands
    assert np.concatenate(off).std() == pytest.approx(20.0, rel=0.15)
    (steady,) = fly_all(flock((LAT, LON, 100.0), (*NORTH, 100.0), flutter_m=0.0, wander_deg=0.0, spread_m=0.0))
    assert np.abs(steady.path[:, 0]).max() < 0.5


def test_velocity_is_the_rate_of_the_path() -> None:
    for group in (
        flock((LAT, LON, 100.0), (*NORTH, 100.0), count=3),
        hovering(),
    ):
        for f in fly_all(group):
            between = np.diff(f.path[:, :3], axis=0) / (f.step_ns * 1e-9)
            mean = 0.5 * (f.path[1:, 3:] + f.path[:-1, 3:])
            assert np.abs(between - mean).max() < 0.6


def hovering() -> dict[str, Any]:
    group = flight((LAT, LON, 200.0), (LAT + 0.02, LON, 200.0), (LAT + 0.04, LON, 200.0))
    group["path"][1]["assumed"]["hold_s"] = 30.0
    return group


def test_what_holds_stands_still_there_for_so_long() -> None:
    (f,) = fly_all(hovering())
    step_s, speed = f.step_ns * 1e-9, np.sqrt((f.path[:, 3:] ** 2).sum(axis=1))
    stands = speed < 0.1
    assert stands.sum() * step_s == pytest.approx(30.0, abs=1.0)
    there = setting_of(make_site(), make_scenario().weather).point(
        make_scenario(hovering()).groups[0].path[1].value  # type: ignore[union-attr]
    )
    assert np.abs(f.path[stands, :3] - there).max() < 5.0
    assert np.abs(np.diff(speed)).max() / step_s < 2.5
    free = fly_all(flight((LAT, LON, 200.0), (LAT + 0.02, LON, 200.0), (LAT + 0.04, LON, 200.0)))[0]
    slowed_s = speed.max() / 2.0  # half v / a lost in braking, half in setting off
    assert (len(f.path) - len(free.path)) * step_s == pytest.approx(30.0 + slowed_s, abs=1.5)


# ---- gunfire ------------------------------------------------------------------------------------------------------


def test_a_burst_goes_where_it_is_fired_and_comes_down() -> None:
    rounds = fly_all(burst(count=50, scatter_deg=1.0))
    assert [f.id for f in rounds] == [f"G{n}" for n in range(1, 51)]
    assert np.diff([f.start_ns for f in rounds]).tolist() == [100_000_000] * 49
    start = np.array([f.path[0, 3:] for f in rounds])
    azimuth = np.degrees(np.arctan2(start[:, 0], start[:, 1]))
    assert azimuth.std() == pytest.approx(1.0, rel=0.3)
    assert abs(azimuth.mean()) < 0.6
    low, high = catalogue()["gunfire"].speed_mps
    radius_m = setting_of(make_site(), make_scenario().weather).origin.radius_m
    for f in rounds:
        assert 0.95 * low < math.sqrt(float((f.path[0, 3:] ** 2).sum())) < 1.05 * high
        assert f.lands
        assert abs(float(height_m(*f.end_enu_m.tolist(), radius_m))) < 0.1


def test_bullets_are_no_hits_and_no_blasts() -> None:
    ear = {"id": "ear", "zone": assume("town"), "at": assume({"lat": LAT, "lon": LON}), "within_m": assume(50_000.0)}
    scenario = make_scenario(burst(), observations=[ear], duration_s=assume(90.0))
    assert set(undefended_counts(scenario, make_site(), 0).values()) == {0}
    world = World(scenario, make_site())
    heard = world.advance(world.end_ns)
    assert all(isinstance(message, PlotRows) for message in heard)
    assert not any(thing.hostile for thing in world.objects())


def test_gunfire_changes_no_bit_of_what_else_flies() -> None:
    (alone,), (beside, *_) = fly_all(salvo((LAT, LON))), fly_all(salvo((LAT, LON)), burst())
    np.testing.assert_array_equal(alone.path, beside.path)


# ---- ground and rain ----------------------------------------------------------------------------------------------

RAIN = {
    "id": "rain",
    "at": assume({"lat": LAT + 0.03, "lon": LON}),
    "first_s": assume(10.0),
    "life_s": assume(60.0),
    "radius_m": assume(800.0),
    "cells": assume(40),
    "chance": assume({"least": 0.2, "most": 0.2}),
}


def watch(clutter: dict[str, Any], seconds: float, seed: int = 0, **sensor: Any) -> dict[str, Floats]:
    """All plots of one radar under an empty sky with this clutter; a wind of 10 m/s from the north."""
    weather = {"wind_mps": assume(10.0), "wind_from_deg": assume(0.0)}
    scenario = make_scenario(clutter=clutter, weather=weather, duration_s=assume(seconds))
    world = World(scenario, make_site(sensor), seed)
    messages = [m for m in world.advance(world.end_ns) if isinstance(m, PlotRows)]
    names = ("time", "range_m", "azimuth_deg", "elevation_deg", "range_rate_mps")
    found = {n: np.array([x for m in messages for x in m.columns[n]], np.float64) for n in names}
    return found | {"time": found["time"] - world.start_ns * 1e-9}


SENSORS = [{}, {"kind": "rotating", "update_s": 1.0}]


@pytest.mark.parametrize("sensor", SENSORS, ids=["staring", "rotating"])
def test_ground_gives_plots_as_often_as_stated_and_stands_still(sensor: dict[str, Any]) -> None:
    chance = assume({"least": 0.4, "most": 0.4})
    seen = watch({"ground": {"cells": assume(50), "chance": chance}}, 200.0, **sensor)
    looks = 200.0 / sensor.get("update_s", 0.1)
    # a cell at the edge of the coverage loses the plots that noise carries out of it
    assert len(seen["time"]) == pytest.approx(0.4 * 50 * looks, rel=0.08)
    assert seen["range_rate_mps"].std() < 3.5
    assert seen["range_m"].max() < 6_100.0
    cells = np.unique(np.round(np.column_stack([seen["range_m"] / 200.0, seen["azimuth_deg"] / 5.0])), axis=0)
    assert len(cells) < 50 * 9


def test_each_radar_has_ground_of_its_own_and_a_seed_of_its_own() -> None:
    ground = {"ground": {"cells": assume(20)}}
    same, again = watch(ground, 5.0), watch(ground, 5.0)
    for name, values in same.items():
        np.testing.assert_array_equal(values, again[name])
    other, elsewhere = watch(ground, 5.0, seed=1), watch(ground, 5.0, id="radar-2")
    for unlike in (other, elsewhere):
        assert not np.isin(np.round(unlike["range_m"]), np.round(same["range_m"])).all()


@pytest.mark.parametrize("sensor", SENSORS, ids=["staring", "rotating"])
def test_rain_drifts_with_the_wind_while_it_lasts(sensor: dict[str, Any]) -> None:
    seen = watch({"showers": [RAIN]}, 100.0, **sensor)
    time, looks = seen["time"], 60.0 / sensor.get("update_s", 0.1)
    assert time.min() >= 9.9
    assert time.max() < 71.1
    assert len(time) == pytest.approx(0.2 * 40 * looks, rel=0.1)
    az, el = np.radians(seen["azimuth_deg"]), np.radians(seen["elevation_deg"])
    north = seen["range_m"] * np.cos(el) * np.cos(az)
    assert np.polyfit(time, north, 1)[0] == pytest.approx(-10.0, abs=1.5)
    expected = -10.0 * np.cos(az) * np.cos(el) - 6.0 * np.sin(el)
    assert (seen["range_rate_mps"] - expected).mean() == pytest.approx(0.0, abs=0.5)


def test_without_clutter_nothing_lingers_and_nothing_else_changes() -> None:
    assert len(watch({}, 10.0)["time"]) == 0


def test_a_chance_above_one_is_refused() -> None:
    with pytest.raises(InputError, match=r"clutter.*found a chance up to 1.5, expected at most 1"):
        make_scenario(clutter={"ground": {"cells": assume(5), "chance": assume({"least": 0.2, "most": 1.5})}})


@pytest.mark.parametrize(
    ("group", "told"),
    [
        (burst(threat="rocket-107"), "found 'rocket-107', expected an innocent falling class"),
        (flock((LAT, LON, 100.0), (*NORTH, 100.0), threat="drone"), "found 'drone', expected an innocent flying class"),
    ],
)
def test_what_is_innocent_has_an_innocent_class(group: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        make_scenario(group)


# ---- the defence's own rounds -------------------------------------------------------------------------------------


def order(world: World, range_m: float) -> Engagement:
    at = world._sky.at(world.now_ns, np.array([0]))[0][0]
    return Engagement(
        time_ns=world.now_ns,
        engagement=1,
        effector="gun-1",
        track=1,
        zone="town",
        range_m=range_m,
        p_kill=0.0,
        intercept_ns=world.now_ns + 8_000_000_000,
        east_m=float(at[0]),
        north_m=float(at[1]),
        up_m=float(at[2]),
        reason="for a test",
    )


def test_rounds_of_a_burst_fly_from_the_battery_to_where_the_object_will_be() -> None:
    site = make_site()
    site = site.model_copy(update={"effectors": (site.effectors[0].model_copy(update={"rounds_seen": 6}),)})
    world = World(make_scenario(salvo((LAT, LON))), site)
    world.advance(world.start_ns + 18_000_000_000)
    known = len(world.objects())
    engagement = order(world, 2_000.0)
    meets = world._sky.at(engagement.intercept_ns, np.array([0]))[0][0]
    world.order([engagement])
    rounds = world._sky.bodies[known:]
    assert [f.id for f in rounds] == [f"gun-1:1-{n}" for n in range(1, 7)]
    for f in rounds:
        assert (f.end_ns - f.start_ns) * 1e-9 == pytest.approx(site.effectors[0].self_destruct_s)
        assert np.hypot(*f.path[0, :2]) < 1.0
        way, speed = meets - f.path[0, :3], f.path[0, 3:]
        off = np.linalg.norm(np.cross(way, speed)) / np.linalg.norm(way) / np.linalg.norm(speed)
        assert off < 5.0 * 0.003
        assert f.threat.family == "innocent"
        assert f.start_ns >= engagement.time_ns
    # they are no objects of the scenario and no debris
    assert len(world.objects()) == known
    assert world.debris() == []


def test_no_rounds_are_seen_where_the_site_wants_none() -> None:
    world = World(make_scenario(salvo((LAT, LON))), make_site())
    world.advance(world.start_ns + 18_000_000_000)
    world.order([order(world, 2_000.0)])
    assert len(world._sky.bodies) == len(world.objects())
