"""The warning by expectation, against closed forms, hand geometry and a Monte Carlo of the same radar model."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from shapely.geometry import shape

from opencram.errors import InputError
from opencram.physics.layout import layout_of
from opencram.physics.place import E_GRID_E, E_GRID_N, E_GRID_STEP, E_GRID_TOP, FLAT, environment
from opencram.physics.sighting import (
    F_ALONG,
    F_FALL,
    F_HEIGHT,
    F_TO_GO,
    F_UP,
    NEEDED,
    O_FLIGHT,
    O_KNOWN,
    O_SEEN,
    O_SURE,
    REFRACTION,
    horizon,
    p_plot,
    sight,
)
from opencram.physics.threats import catalogue
from opencram.planning.flights import BIN_M, EACH, TIMES, draw_flights, flights_of
from opencram.planning.reckon import (
    Area,
    area_from,
    classes_from,
    decided_s,
    fall_point,
    quantile,
    reckon,
    sensor_rows,
    shots,
)
from opencram.report.drawing import as_png
from opencram.report.warning_map import FIGURES
from opencram.report.warning_page import KEYS, as_csv, as_geojson, short_sentence
from opencram.site import Site
from opencram.tables import FloatArray
from opencram.world import radar as world_radar
from opencram.world.flown import Flown
from opencram.world.sky import Sky
from small_site import ORIGIN, RADAR, site_of, square
from test_sound import siren

NS = 1_000_000_000
WEAK = {**RADAR, "update_s": 0.5, "reference": {"range_m": 6_000, "rcs_m2": 0.05, "snr_db": 10.0}}


def one_zone(**radar: object) -> Site:
    """A square of 400 m with a siren in its middle, and a radar."""
    sirens = [siren("s", 0.0, 0.0, ["z"], 600.0)]
    return site_of([square("z", 0.0, 0.0, people=100)], sensors=[{**RADAR, **radar}], sirens=sirens)


# ---- typical flights ---------------------------------------------------------------------------------------------


def test_a_flight_without_drag_is_a_parabola_and_so_are_its_derivatives() -> None:
    """Closed form: the ground speed stays, the way to go is that times the time left, dx/dv is the time left."""
    none = replace(catalogue()["mortar-120"], ln_beta=40.0)
    flights = draw_flights(none, 0.0)
    # over 3 km the earth drops by less than a metre, and below 600 m gravity is what it is on the ground
    near = (flights.rows[:, 0, F_TO_GO] < 3_000.0) & (flights.rows[:, :, F_HEIGHT].max(axis=1) < 600.0)
    assert near.sum() > 5
    for row, flight_s in zip(flights.rows[near], flights.flight_s[near], strict=True):
        left = flight_s * (1.0 - (np.arange(TIMES) + 1.0) / TIMES)
        assert row[:, F_ALONG] == pytest.approx(row[0, F_ALONG], rel=3e-3)
        assert row[:, F_TO_GO] == pytest.approx(row[0, F_ALONG] * left, rel=3e-3, abs=1.0)
        assert row[:, F_HEIGHT] == pytest.approx(-row[-1, F_UP] * left - 9.806 / 2.0 * left**2, rel=5e-3, abs=3.0)
        early = left > 1.0
        assert row[early, F_FALL + 1] == pytest.approx(left[early], rel=0.02, abs=0.1)
        assert row[early, F_FALL] == pytest.approx(row[0, F_ALONG] / -row[-1, F_UP], rel=0.03)


@pytest.mark.parametrize("name", ["mortar-120", "rocket-107", "rocket-122"])
def test_flights_are_sorted_by_the_range_they_have(name: str) -> None:
    flights = flights_of(name, 0.0)
    assert flights.by_range.shape[1] == EACH
    low, high = catalogue()[name].range_m
    assert flights.furthest_m == pytest.approx(high, rel=0.15)
    for b, row in enumerate(flights.by_range):
        for j in row[row >= 0]:
            first = flights.rows[j, 0]
            start_m = first[F_TO_GO] + first[F_ALONG] * flights.flight_s[j] / TIMES
            assert b * BIN_M - 300.0 < start_m < (b + 1) * BIN_M + 300.0
            assert flights.rows[j, -1, F_TO_GO] == pytest.approx(0.0, abs=1e-6)
    assert (flights.by_range[int(low // BIN_M) + 8] >= 0).any()


# ---- when a shot is followed -------------------------------------------------------------------------------------


def flown(flights_row: FloatArray, flight_s: float, launch: FloatArray, site: Site) -> Flown:
    """A typical flight as the world's sky has it, at the site's ENU."""
    fall, radius = fall_point(site, 0), layout_of(site).origin.radius_m
    way = (fall[:2] - launch) / np.linalg.norm(fall[:2] - launch)
    flat = fall[:2] - flights_row[:, F_TO_GO, None] * way
    up = flights_row[:, F_HEIGHT] + fall[2] - (flat**2).sum(axis=1) / (2.0 * radius)
    velocity = np.column_stack([flights_row[:, F_ALONG, None] * way, flights_row[:, F_UP]])
    step_ns = round(flight_s / TIMES * NS)
    path = np.column_stack([flat, up, velocity])
    threat = catalogue()["rocket-107"]
    end_ns = step_ns * (TIMES - 2)
    return Flown("r", threat, 0, step_ns, path, end_ns, path[-1, :3], True, None, None)


@pytest.mark.parametrize("away_m", [4_100.0, 7_600.0])
def test_a_track_is_confirmed_when_half_of_a_monte_carlo_has_the_plots(away_m: float) -> None:
    """Draws of Swerling's case 1 at looks half a second apart, from a phase of its own for each of 4,000 flights."""
    site = one_zone(**{key: WEAK[key] for key in ("update_s", "reference")})
    flights, launch, rng = flights_of("rocket-107", 0.0), np.array([away_m, 0.0]), np.random.default_rng(0)
    told = shots(site, 0, flights, launch[None])[0]
    for k, j in enumerate(flights.by_range[int(away_m // BIN_M)].tolist()):
        body = flown(flights.rows[j], flights.flight_s[j], launch, site)
        sky = Sky()
        sky.add([body])
        looks = rng.random((4_000, 1)) * 0.5 + np.arange(int(body.end_ns / NS / 0.5) - 1) * 0.5
        pos, _ = sky.at((looks.ravel() * NS).astype(np.int64), np.zeros(looks.size, np.int64))
        # the radar stands at the origin
        range_m = np.linalg.norm(pos, axis=1)
        el = np.degrees(np.arcsin(pos[:, 2] / range_m))
        snr = 10.0 * (catalogue()["rocket-107"].rcs_m2 / 0.05) * (6_000.0 / range_m) ** 4
        above = (1.0 + snr) * rng.standard_exponential(looks.size) > -math.log(world_radar.FALSE_ALARM)
        plots = (above & (el >= 1.0) & (el <= 80.0) & (range_m >= 200.0)).reshape(looks.shape).cumsum(axis=1)
        had = plots >= NEEDED
        fourth = np.where(had.any(axis=1), looks[np.arange(len(looks)), had.argmax(axis=1)], np.inf)
        # the world's path begins one step after the launch
        median = float(np.median(fourth)) + flights.flight_s[j] / TIMES
        assert told[k, O_SEEN] == pytest.approx(median, abs=0.5)


def test_the_chance_of_a_plot_is_the_simulated_radar_s() -> None:
    """The same shots through `world.radar`: as many plots as expected, within four sigma of a count."""
    site = one_zone(**{key: WEAK[key] for key in ("update_s", "reference")}, false_plots_per_scan=0)
    flights = flights_of("rocket-107", 0.0)
    launch, row = np.array([6_100.0, 3_000.0]), flights.rows[flights.by_range[27][0]]
    body = flown(row, float(flights.flight_s[flights.by_range[27][0]]), launch, site)
    sky = Sky()
    sky.add([body])
    seen, expected = 0, 0.0
    for seed in range(20):
        radar = world_radar.Radar(0, site.sensors[0], layout_of(site), seed, 0, NS // 10)
        seen += sum(len(message.columns["time"]) for message in radar.scan(sky, body.end_ns))
    for i in range(len(row) - 2):
        at = body.path[i, :3]
        chance, _ = p_plot(
            *at, float(row[i, F_HEIGHT]), 0.03, world_radar.THRESHOLD, sensor_rows(site)[0], FLAT, 1.0,
            layout_of(site).origin.radius_m,
        )  # fmt: skip
        expected += 20 * chance * body.step_ns / NS / 0.5
    assert expected > 100
    assert seen == pytest.approx(expected, abs=4.0 * math.sqrt(expected))


def test_what_no_radar_reaches_is_never_followed() -> None:
    site = one_zone(coverage={"min_range_m": 200, "max_range_m": 1_000, "min_elevation_deg": 85.0,
                              "max_elevation_deg": 89.0})  # fmt: skip
    told = shots(site, 0, flights_of("rocket-122", 0.0), np.array([[12_000.0, 0.0]]))
    assert np.isfinite(told[..., O_FLIGHT]).all()
    assert np.isnan(told[..., [O_SEEN, O_KNOWN, O_SURE]]).all()


def test_out_of_a_class_s_reach_there_is_no_shot() -> None:
    told = shots(one_zone(), 0, flights_of("mortar-120", 0.0), np.array([[30_000.0, 0.0]]))
    assert np.isnan(told).all()


def test_a_better_radar_knows_sooner_and_never_before_it_has_seen() -> None:
    launches = np.array([[e, n] for e in (-6e3, 2e3, 7e3) for n in (-5e3, 3e3)])
    flights = flights_of("rocket-107", 0.0)
    good = shots(one_zone(), 0, flights, launches)
    poor = shots(one_zone(azimuth_sigma_mrad=20.0, elevation_sigma_mrad=20.0), 0, flights, launches)
    there = np.isfinite(good[..., O_KNOWN]) & np.isfinite(poor[..., O_KNOWN])
    assert there.sum() > 5
    assert (good[there][:, O_KNOWN] <= poor[there][:, O_KNOWN] + 1e-9).all()
    assert (good[there][:, O_KNOWN] >= good[there][:, O_SEEN]).all()


# ---- what the ground hides ---------------------------------------------------------------------------------------


def ridge(at_m: float, height_m: float) -> tuple[FloatArray, FloatArray]:
    """Level ground with a wall from south to north, 100 m wide."""
    env, steps = environment(ORIGIN), 100.0 * np.arange(-150, 151)
    ground = np.zeros((len(steps), len(steps)))
    ground[:, np.isclose(steps, at_m)] = height_m
    env[E_GRID_E] = env[E_GRID_N] = steps[0]
    env[E_GRID_STEP], env[E_GRID_TOP] = 100.0, height_m
    return env, ground


def test_a_ridge_hides_what_is_below_the_line_over_its_top() -> None:
    env, ground = ridge(2_000.0, 150.0)
    at = np.array([0.0, 0.0, 10.0])
    mask = horizon(at, 100.0, 360, 120, env, ground)
    drop = 2_000.0**2 / (2.0 * REFRACTION * ORIGIN.radius_m)
    assert mask[90, 60] == pytest.approx((150.0 - drop - 10.0) / 2_000.0, abs=1e-9)
    # the wall runs on to the north-east, further away and so lower; a step of the look may pass beside its crest
    away = 2_000.0 / math.sin(math.radians(60.0))
    assert 0.5 * 140.0 / away < mask[60, 60] <= 140.0 / away
    assert mask[90, 19] < 0.0
    assert mask[270].max() < 0.0


def test_a_shot_behind_a_ridge_is_followed_once_it_is_above_the_line() -> None:
    """By hand: the first of the flight's times at which it stands above the line from the radar over the wall."""
    strong = {"update_s": 0.01, "reference": {"range_m": 40_000, "rcs_m2": 0.01, "snr_db": 30.0}}
    low = {"min_range_m": 10, "max_range_m": 40_000, "min_elevation_deg": -5.0, "max_elevation_deg": 89.0}
    site = one_zone(**strong, coverage=low)
    env, ground = ridge(3_000.0, 600.0)
    flights = flights_of("rocket-107", 0.0)
    layout, sensors = layout_of(site), sensor_rows(site)
    about = np.array([0.02, 0.4, 0.2, 5.0, 250.0])
    launch, fall = np.array([[6_000.0, 0.0]]), np.array([0.0, 0.0, 0.0])
    for mask in (FLAT[None], horizon(layout.sensor_enu_m[0], 100.0, 1_440, 400, env, ground)[None]):
        told = sight(
            launch, fall, flights.rows, flights.flight_s, flights.by_range, BIN_M, 0.03, world_radar.THRESHOLD, sensors,
            np.ascontiguousarray(mask), 100.0, layout.origin.radius_m, about,
        )  # fmt: skip
        for k, j in enumerate(flights.by_range[24].tolist()):
            row = flights.rows[j]
            over = row[:, F_HEIGHT] / np.maximum(row[:, F_TO_GO], 1.0) > 600.0 / 3_000.0
            clear = (over | (row[:, F_TO_GO] < 3_000.0)) if mask.size else row[:, F_HEIGHT] > 0.0
            first = (int(np.argmax(clear)) + 1) * flights.flight_s[j] / TIMES
            assert told[0, k, O_SEEN] == pytest.approx(first, abs=1.5 * flights.flight_s[j] / TIMES)


# ---- what zones get ----------------------------------------------------------------------------------------------


def test_a_zone_waits_while_there_is_time_unless_the_hit_is_all_but_certain() -> None:
    told = np.full((4, 4), np.nan)
    told[:, O_FLIGHT] = 60.0
    told[:3, O_KNOWN] = (5.0, 50.0, 5.0)
    told[2, O_SURE] = 9.0
    assert decided_s(told, 20.0)[:3].tolist() == [40.0, 50.0, 9.0]
    assert np.isnan(decided_s(told, 20.0)[3])


def test_a_quantile_is_that_of_repeated_values() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=50), rng.integers(0, 5, 50)
    long = np.sort(np.repeat(values, weights))
    for share in (0.0, 0.1, 0.5, 0.93):
        assert quantile(values, weights.astype(float), share) == long[int(share * len(long))]
    assert math.isnan(quantile(values, np.zeros(50), 0.5))


def test_a_site_is_reckoned_zone_by_zone_and_place_by_place() -> None:
    zones = [square("near", 0.0, 0.0, people=100), square("mute", 3_000.0, 0.0, people=50, time_to_shelter_s=60.0)]
    site = site_of(zones, sirens=[siren("s", 0.0, 0.0, ["near"], 600.0)])
    told = reckon(site, ("mortar-120", "rocket-107"), 16)
    near, mute = told.zones
    assert near.seen > 0.95
    assert near.low_s <= near.median_s
    assert near.in_time <= near.warned <= 1.0
    assert mute.short
    assert "mute" in short_sentence(told)
    assert np.isfinite(told.seen).sum() == told.area.inside.sum() == len(told.area.points)
    assert (told.in_time[told.area.inside] <= told.seen[told.area.inside] + 1e-9).all()
    # no zone is reached from the corner of the frame
    assert not told.area.inside[0, 0]


def test_what_is_written_says_what_was_reckoned() -> None:
    site = one_zone()
    told = reckon(site, ("rocket-107",), 12)
    (row,) = csv.DictReader(io.StringIO(as_csv(told)))
    assert tuple(row) == KEYS
    assert float(row["warning_low_s"]) == pytest.approx(told.zones[0].low_s, abs=0.006)
    features = json.loads(as_geojson(told))["features"]
    assert [f["properties"]["zone"] for f in features if f["properties"]["kind"] == "zone"] == ["z"]
    in_time = [f for f in features if f["properties"]["kind"] == "in time"]
    whole = sum(shape(f["geometry"]).area for f in in_time)
    cell = told.area.side_m**2 / (110_900.0 * 111_320.0 * math.cos(math.radians(33.3)))
    assert whole / cell == pytest.approx(np.isfinite(told.in_time).sum(), rel=0.01)
    for draw in FIGURES.values():
        for language in ("en", "fr"):
            assert as_png(draw(told, language), 50).startswith(b"\x89PNG")  # type: ignore[arg-type]


def test_values_lie_on_the_map_where_their_launch_points_are() -> None:
    inside = np.array([[True, False], [True, True]])
    area = Area(np.array([0.0, 10.0]), np.array([100.0, 110.0]), 10.0, inside)
    assert area.points.tolist() == [[0.0, 100.0], [0.0, 110.0], [10.0, 110.0]]
    assert area.spread(np.array([1.0, 2.0, 3.0]))[1].tolist() == [2.0, 3.0]


# ---- what is asked for -------------------------------------------------------------------------------------------


def test_classes_and_areas_are_refused_in_a_sentence() -> None:
    assert classes_from(["shell-155", "shell-155"]) == ("shell-155",)
    with pytest.raises(InputError, match="--threat: found 'rocket-12', expected 'rocket-122'"):
        classes_from(["rocket-12"])
    site = one_zone()
    assert area_from("7.5", site) == 7_500.0
    with pytest.raises(InputError, match="--area: found -3 km, expected above 0"):
        area_from("-3", site)
    with pytest.raises(InputError, match="--area: found nan km"):
        area_from("nan", site)
    with pytest.raises(InputError, match="found no such file"):
        area_from("nowhere.geojson", site)


def test_a_radius_and_polygons_bound_the_launch_points(tmp_path: object) -> None:
    site = one_zone()
    within = reckon(site, ("rocket-107",), 20, 3_000.0)
    assert np.hypot(*within.area.points.T).max() <= 3_000.0
    features = [{"type": "Feature", "properties": {"id": "a"}, "geometry": _square_degrees(site, 5_000.0, 0.0, 500.0)}]
    path = f"{tmp_path}/area.geojson"
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": features}, file)
    at = reckon(site, ("rocket-107",), 10, area_from(path, site)).area.points
    assert len(at) == 100
    assert np.abs(at - [5_000.0, 0.0]).max() < 501.0
    far = {**features[0], "geometry": _square_degrees(site, 60_000.0, 0.0, 500.0)}
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"type": "FeatureCollection", "features": [far]}, file)
    there = area_from(path, site)
    with pytest.raises(InputError, match="from which no zone can be reached"):
        reckon(site, ("rocket-107",), 10, there)


def _square_degrees(site: Site, east_m: float, north_m: float, half_m: float) -> dict[str, object]:
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1], [-1, -1]]) * half_m + [east_m, north_m]
    ring = layout_of(site).latlon_deg(corners)[:, ::-1].tolist()
    return {"type": "Polygon", "coordinates": [ring]}
