"""A sky in which nothing is hostile sounds no siren for what flies, and a rocket in it is warned of."""

import numpy as np
import pytest

from innocent.look import Look, look
from innocent.page import page
from innocent.traffic import MOST_GROUPS, PER_HOUR, hour_of_traffic
from innocent.watch import run
from opencram.drive.simulate import simulate_in_memory
from opencram.physics.threats import catalogue
from opencram.site import load_site
from opencram.world.scenario import load_scenario
from opencram.world.truth import fly_scenario
from opencram.world.world import World

SITE = load_site("erbil-airport")


@pytest.mark.parametrize("seed", [0, 1])
def test_a_rocket_among_birds_is_warned_of_in_time(seed: int) -> None:
    scenario = load_scenario("rocket-among-birds")
    world, crank = simulate_in_memory(scenario, SITE, seed)
    (rocket,) = [thing for thing in world.objects() if thing.hostile]
    told = [w.time_ns for w in crank.said.warnings if w.zone == "base" and w.state == "alert"]
    shelter_s = next(zone.time_to_shelter_s for zone in SITE.zones if zone.id == "base")
    assert (rocket.end_ns - min(told)) * 1e-9 >= shelter_s


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_nothing_innocent_sounds_a_siren(seed: int) -> None:
    """Flocks, a helicopter at a drone's speed, airliners, the base's own drone, a burst of gunfire, ground and rain."""
    _, crank = simulate_in_memory(load_scenario("innocent-sky"), SITE, seed)
    assert [w.reason for w in crank.said.warnings if w.state == "alert"] == []


@pytest.mark.parametrize("name", ["innocent-sky", "rocket-among-birds"])
def test_the_scenarios_can_be_played_at_once(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.duration_s.value <= 150.0
    assert min(group.first_s.value for group in scenario.groups) <= 5.0
    world = World(scenario, SITE)
    plots = sum(len(m.columns["range_m"]) for m in world.advance(world.start_ns + 15_000_000_000))  # type: ignore[union-attr]
    assert plots >= 50


def test_an_hour_of_traffic_is_drawn_from_the_hour_and_the_seed() -> None:
    hours = [hour_of_traffic(SITE, 0, hour) for hour in range(30)]
    assert hours[3] == hour_of_traffic(SITE, 0, 3)
    assert hours[3] != hour_of_traffic(SITE, 1, 3)
    for kind, mean in PER_HOUR.items():
        drawn = [sum(group.id.startswith(kind) for group in hour.groups) for hour in hours]
        # a Poisson mean over 30 hours; groups beyond the scenario's limit are left out, the last kind's first
        assert np.mean(drawn) == pytest.approx(mean, abs=4.0 * np.sqrt(mean / 30.0) + 1.0)
    assert max(len(hour.groups) for hour in hours) <= MOST_GROUPS


def test_everything_in_an_hour_is_innocent_and_of_its_class() -> None:
    flown = fly_scenario(hour_of_traffic(SITE, 0, 1), SITE, 1)
    assert not any(f.hostile for f in flown)
    for f in flown:
        low, high = catalogue()[f.threat.id].speed_mps
        speed = np.sqrt((f.path[:, 3:] ** 2).sum(axis=1))
        if f.threat.id != "gunfire":
            assert low - 8.0 <= np.median(speed) <= high + 8.0


def test_the_long_run_counts_and_its_page_tells() -> None:
    """Three minutes of it; each figure is on the page."""
    told: list[float] = []
    kept: list[float] = []
    tally = run(SITE, 0, 0.05, lambda done, _: told.append(done), lambda so_far: kept.append(so_far.hours))
    assert kept == [tally.hours]
    assert tally.hours == pytest.approx(0.05)
    assert told == sorted(told)
    assert tally.plots > 10_000
    assert tally.tracks > 0
    assert sum("(drone)" in alarm["reason"] for alarm in tally.alarms if alarm["state"] == "alert") == 0
    text = page({"site": "erbil-airport", "seed": 0, **tally.plain()})
    assert f"| alerts, all of them phantoms | {tally.alerts} |" in text
    assert f"{tally.plots:,} plots" in text


def test_a_moment_can_be_looked_at(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """With a rocket in it, so that there is something to tell."""
    monkeypatch.setattr("innocent.look.hour_of_traffic", lambda *_: load_scenario("rocket-among-birds"))
    look(Look(SITE, 0, 0, 0.0, 40.0))
    told = capsys.readouterr().out.splitlines()
    assert "is held for ballistic; nearest: rocket" in told[0]
    held = next(n for n, line in enumerate(told) if n > 1 and "confirmed" not in line and "tentative" not in line)
    assert told[held - 1].split()[1] == "confirmed"
    assert any("base: alert" in line for line in told)
