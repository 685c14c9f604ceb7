"""The radar model against the textbook: detection, noise, range law, resolution, horizon, false plots, rotation."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from opencram.physics.frames import Origin, geodetic_to_enu, sensor_rotation
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue
from opencram.tables import PlotRows
from opencram.world.flown import Flown
from opencram.world.radar import FALSE_ALARM, Radar
from opencram.world.sky import Sky
from opencram.world.world import World
from world_site import LAT, LON, assume, make_scenario, make_site

Floats = NDArray[np.float64]
NS = 10**9
START_NS = 1_700_000_000 * NS
TICK_NS = NS // 10


def still(name: str, pos_enu_m: Floats, seconds: float, rcs_m2: float = 0.1, vel: Floats | None = None) -> Flown:
    """A body that stands in the sky, or goes straight on."""
    vel = np.zeros(3) if vel is None else vel
    times = np.arange(math.ceil(seconds / 10.0) + 2)[:, None] * 10.0
    path = np.hstack([pos_enu_m + times * vel, np.broadcast_to(vel, (len(times), 3))])
    threat = replace(catalogue()["rocket-107"], rcs_m2=rcs_m2)
    end_ns = START_NS + round(seconds * NS)
    return Flown(name, threat, START_NS, 10 * NS, path, end_ns, path[-1, :3], True, None, None)


def polar(range_m: float, az_deg: float, el_deg: float) -> Floats:
    """A point seen so by the sensor, in the site's ENU."""
    az, el = math.radians(az_deg), math.radians(el_deg)
    local = range_m * np.array([math.cos(el) * math.sin(az), math.cos(el) * math.cos(az), math.sin(el)])
    origin = Origin(math.radians(LAT), math.radians(LON), 0.0)
    rot, at = sensor_rotation(Origin(math.radians(LAT), math.radians(LON), 10.0), origin)
    return rot.T @ local + at


def watch(bodies: list[Flown], seconds: float, seed: int = 0, **sensor: Any) -> list[PlotRows]:
    """All that one radar sends of bodies in its sky."""
    site = make_site(sensor)
    sky = Sky()
    sky.add(bodies)
    radar = Radar(0, site.sensors[0], layout_of(site), seed, START_NS, TICK_NS)
    return list(radar.scan(sky, START_NS + round(seconds * NS)))


def rows(messages: list[PlotRows], column: str) -> Floats:
    return np.array([x for m in messages for x in m.columns[column]], np.float64)


@pytest.mark.parametrize("range_m", [8_000.0, 12_000.0, 15_000.0, 18_000.0])
def test_detection_follows_swerlings_first_case(range_m: float) -> None:
    """Pd = Pfa^(1 / (1 + SNR)), with SNR from 20 dB at 10 km by the fourth power of range."""
    looks = 8_000
    found = len(rows(watch([still("R1", polar(range_m, 30.0, 10.0), 900.0)], 799.95), "range_m"))
    snr = 10.0 ** (20.0 / 10.0) * (10_000.0 / range_m) ** 4
    pd = FALSE_ALARM ** (1.0 / (1.0 + snr))
    low, high = stats.binom.ppf([1e-4, 1 - 1e-4], looks, pd)
    assert low <= found <= high


def test_the_cross_section_counts_as_its_decibels() -> None:
    """Ten times the cross-section is seen as well 10^(1/4) times as far."""
    small = len(rows(watch([still("R1", polar(9_000.0, 30.0, 10.0), 300.0, 0.02)], 300.0), "range_m"))
    far = 9_000.0 * 10.0**0.25
    large = len(rows(watch([still("R1", polar(far, 30.0, 10.0), 300.0, 0.2)], 300.0), "range_m"))
    assert large == small


def test_noise_follows_the_snr_that_it_tells() -> None:
    """Residuals in units of sigma sqrt(ref / SNR), from one to three times sigma, are standard normal."""
    messages = watch([still("R1", polar(8_000.0, 90.0, 10.0), 1000.0)], 1000.0, range_rate_sigma_mps=20.0)
    snr = 10.0 ** (rows(messages, "snr_db") / 10.0)
    scale = np.clip(np.sqrt(100.0 / snr), 1.0, 3.0)
    assert scale.min() == 1.0
    assert scale.max() > 2.0
    residuals = {
        "range_m": (rows(messages, "range_m") - 8_000.0) / 10.0,
        "azimuth_deg": np.radians(rows(messages, "azimuth_deg") - 90.0) / 2e-3,
        "elevation_deg": np.radians(rows(messages, "elevation_deg") - 10.0) / 2e-3,
        "range_rate_mps": rows(messages, "range_rate_mps") / 20.0,
    }
    for residual in residuals.values():
        assert stats.kstest(residual / scale, "norm").pvalue > 1e-3
    together = np.corrcoef([r / scale for r in residuals.values()])
    assert np.abs(together - np.eye(4)).max() < 0.05
    vel = np.array([30.0, 0.0, 0.0])
    receding = rows(watch([still("R1", polar(8_000.0, 90.0, 0.1 + 10.0), 60.0, 1.0, vel)], 1.0), "range_rate_mps")
    assert receding.mean() == pytest.approx(30.0 * math.cos(math.radians(10.1)), abs=1.0)


def test_measured_cross_sections_average_to_the_true_one() -> None:
    """Near, where nothing is missed: Swerling's first case is exponential about its mean."""
    messages = watch([still("R1", polar(3_000.0, 30.0, 10.0), 500.0, 0.05)], 500.0)
    rcs = 10.0 ** (rows(messages, "rcs_dbsm") / 10.0)
    assert len(rcs) > 4_950
    assert rcs.mean() == pytest.approx(0.05, rel=0.06)
    assert rcs.std() == pytest.approx(0.05, rel=0.1)


def test_two_in_one_cell_are_one_plot_at_their_weighted_centre() -> None:
    near, apart = polar(3_000.0, 30.0, 10.0), polar(3_020.0, 30.0, 10.0)
    bodies = [still("R1", near, 100.0, 0.1), still("R2", apart, 100.0, 0.3)]
    messages = watch(bodies, 100.0)
    assert max(len(m.columns["time"]) for m in messages) == 1
    assert rows(messages, "range_m").mean() == pytest.approx(3_015.0, abs=1.0)
    assert (10.0 ** (rows(messages, "rcs_dbsm") / 10.0)).mean() == pytest.approx(0.4, rel=0.15)


@pytest.mark.parametrize("other", [(3_040.0, 30.0, 10.0), (3_000.0, 32.0, 10.0), (3_000.0, 30.0, 12.0)])
def test_two_further_apart_than_a_cell_are_two_plots(other: tuple[float, float, float]) -> None:
    bodies = [still("R1", polar(3_000.0, 30.0, 10.0), 10.0), still("R2", polar(*other), 10.0)]
    counts = [len(m.columns["time"]) for m in watch(bodies, 10.0)]
    assert np.mean(counts) > 1.9


def test_a_cell_reaches_over_north() -> None:
    bodies = [still("R1", polar(3_000.0, 359.7, 10.0), 50.0), still("R2", polar(3_000.0, 0.3, 10.0), 50.0)]
    messages = watch(bodies, 50.0)
    assert max(len(m.columns["time"]) for m in messages) == 1
    off = (rows(messages, "azimuth_deg") + 180.0) % 360.0 - 180.0
    assert abs(off.mean()) < 0.02


def test_a_chain_of_near_ones_is_one_plot() -> None:
    bodies = [still(f"R{i}", polar(3_000.0 + 25.0 * i, 30.0, 10.0), 10.0) for i in range(4)]
    assert max(len(m.columns["time"]) for m in watch(bodies, 10.0)) == 1


def test_what_is_behind_the_horizon_is_not_seen() -> None:
    """Against a line of sight drawn over a sphere of 4/3 of the earth's radius, point by point."""
    radius = Origin(math.radians(LAT), math.radians(LON), 0.0).radius_m
    for height_m in (20.0, 60.0, 120.0):
        for flat_m in (20_000.0, 30_000.0, 40_000.0, 50_000.0, 60_000.0):
            bulged = 4.0 / 3.0 * radius
            angle = flat_m / bulged
            ends = np.array([[0.0, bulged + 10.0], (bulged + height_m) * np.array([math.sin(angle), math.cos(angle)])])
            line = ends[0] + np.linspace(0.0, 1.0, 4001)[:, None] * (ends[1] - ends[0])
            free = bool((np.hypot(*line.T) >= bulged).all())
            at = geodetic_to_enu(
                math.radians(LAT) + flat_m / radius, math.radians(LON), height_m, Origin(*np.radians([LAT, LON]), 0.0)
            )
            coverage = {"max_range_m": 80_000, "min_elevation_deg": -5}
            seen = len(rows(watch([still("R1", at, 2.0, 1e6)], 2.0, coverage=coverage), "range_m")) > 0
            assert seen == free, (height_m, flat_m)


def test_coverage_has_edges_also_over_north() -> None:
    coverage = {"azimuth_from_deg": 300, "azimuth_to_deg": 60, "max_range_m": 9_000, "max_elevation_deg": 40}
    inside = [(3_000.0, 310.0, 5.0), (3_000.0, 0.0, 39.0), (8_900.0, 59.0, 5.0)]
    outside = [(3_000.0, 290.0, 5.0), (3_000.0, 61.0, 5.0), (9_100.0, 0.0, 5.0), (150.0, 0.0, 5.0)]
    outside += [(3_000.0, 0.0, 0.5), (3_000.0, 0.0, 41.0)]
    for point in inside + outside:
        seen = len(rows(watch([still("R1", polar(*point), 2.0, 10.0)], 2.0, coverage=coverage), "range_m")) > 10
        assert seen == (point in inside), point


def test_false_plots_are_poisson_and_uniform_over_the_coverage() -> None:
    coverage = {"azimuth_from_deg": 300, "azimuth_to_deg": 60, "min_range_m": 500, "max_range_m": 9_500}
    messages = watch([], 300.0, false_plots_per_scan=4, coverage=coverage)
    counts = [len(m.columns["time"]) for m in messages]
    assert len(counts) == 3000
    assert np.mean(counts) == pytest.approx(4.0, abs=4 * 2.0 / math.sqrt(3000))
    assert np.var(counts) == pytest.approx(4.0, rel=0.15)
    turned = (rows(messages, "azimuth_deg") - 300.0) % 360.0
    assert stats.kstest(rows(messages, "range_m"), "uniform", (500, 9_000)).pvalue > 1e-3
    assert stats.kstest(turned, "uniform", (0, 120)).pvalue > 1e-3
    assert stats.kstest(rows(messages, "elevation_deg"), "uniform", (1, 79)).pvalue > 1e-3
    # just above the threshold: 12.8 times the noise
    assert rows(messages, "snr_db").min() >= 11.0


def test_a_staring_radar_sends_each_scan_once_with_its_latency() -> None:
    messages = watch([still("R1", polar(3_000.0, 30.0, 10.0), 20.0)], 20.0, update_s=0.25, latency_s=0.04)
    assert len(messages) == 80
    assert all(m.scan_end and m.source == "radar-1" for m in messages)
    times = rows(messages, "time")
    np.testing.assert_allclose(np.diff(np.unique(times)) % 0.25, 0.0, atol=2e-6)
    late = rows(messages, "received") - times
    assert late.min() >= 0.04 - 2e-6
    assert late.max() <= 0.045 + 2e-6
    stamped = np.array([m.received_ns / NS for m in messages for _ in m.columns["time"]])
    np.testing.assert_allclose(rows(messages, "received"), stamped, atol=2e-6)


def test_a_rotating_radar_sees_each_object_once_a_turn_as_the_beam_comes_by() -> None:
    azimuths = [10.0, 100.0, 190.0, 280.0]
    bodies = [still(f"R{i}", polar(3_000.0, az, 10.0), 100.0) for i, az in enumerate(azimuths)]
    messages = watch(bodies, 100.0, kind="rotating", update_s=2.0)
    assert sum(m.scan_end for m in messages) == 100
    assert len(messages) == 1000
    times, seen = rows(messages, "time"), rows(messages, "azimuth_deg")
    # the beam turns clockwise at 180 degrees a second
    phase = (seen / 180.0 - times) % 2.0
    assert np.ptp((phase - phase[0] + 1.0) % 2.0) < 0.02
    for az in azimuths:
        at = times[np.abs(seen - az) < 5.0]
        assert len(at) >= 49
        assert np.diff(at).min() > 1.99


def test_a_rotating_radar_measures_a_mover_where_it_is_when_the_beam_comes_by() -> None:
    start, vel = polar(3_000.0, 90.0, 20.0), np.array([0.0, 250.0, 0.0])
    messages = watch([still("R1", start, 10.0, 10.0, vel)], 10.0, kind="rotating", update_s=1.0, range_sigma_m=0.1)
    away = start + (rows(messages, "time") - START_NS / NS)[:, None] * vel - np.array([0.0, 0.0, 10.0])
    np.testing.assert_allclose(rows(messages, "range_m"), np.linalg.norm(away, axis=1), atol=1.0)


def test_false_plots_of_a_rotating_radar_lie_in_the_beam() -> None:
    coverage = {"azimuth_from_deg": 300, "azimuth_to_deg": 60}
    messages = watch([], 500.0, kind="rotating", update_s=1.0, false_plots_per_scan=6, coverage=coverage)
    times, seen = rows(messages, "time"), rows(messages, "azimuth_deg")
    assert len(seen) / 500.0 == pytest.approx(6.0, abs=4 * math.sqrt(6 / 500))
    assert ((seen >= 300.0) | (seen <= 60.0)).all()
    phase = (seen / 360.0 - times) % 1.0
    assert np.ptp((phase - phase[0] + 0.5) % 1.0) < 1e-4


def test_what_a_sensor_does_not_measure_is_not_there() -> None:
    bodies = [still("R1", polar(3_000.0, 30.0, 10.0), 5.0)]
    (message, *_) = watch(bodies, 5.0, elevation_sigma_mrad=None, range_rate_sigma_mps=None)
    assert message.columns["elevation_deg"] == [None]
    assert "range_rate_mps" not in message.columns


def test_one_objects_echo_does_not_depend_on_the_others() -> None:
    one = still("R1", polar(3_000.0, 30.0, 10.0), 20.0)
    other = still("R2", polar(6_000.0, 120.0, 10.0), 20.0)
    alone, both = watch([one], 20.0), watch([other, one], 20.0)
    kept = [x for m in both for x in m.columns["range_m"] if x < 4_000.0]
    assert kept == [x for m in alone for x in m.columns["range_m"]]


def test_an_empty_sky_gives_only_false_plots() -> None:
    world = World(make_scenario(duration_s=assume(3600.0)), make_site({"false_plots_per_scan": 5}))
    assert world.end_ns - world.start_ns == 3600 * NS
    got = world.advance(world.start_ns + 100 * NS)
    assert sum(len(m.columns["time"]) for m in got) == pytest.approx(5000, abs=300)
