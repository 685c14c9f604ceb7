"""More plots than there is time for: what is tracked goes on, what is left out is counted by sensor and told."""

from typing import Any

import numpy as np
import pytest

from live_service import noise
from opencram.physics.layout import layout_of
from opencram.pipeline import step
from opencram.site import Site, load_site
from opencram.state import State, digest, load, save
from opencram.tables import CONFIRMED, Outbox, PlotRows
from opencram.tracking import overload
from opencram.world.scenario import load_scenario
from opencram.world.world import World
from small_site import RADAR, SECOND_NS, START_NS, site_of, square

SCANS, ROOM = 40, 20
FLOOD = 400


def site() -> Site:
    return site_of([square("base", 0.0, 0.0)], sensors=[{**RADAR, "false_plots_per_scan": 2, "detection": 0.9}])


def scan(number: int, rng: np.random.Generator, flood: int, strong: bool = False) -> PlotRows:
    """A rocket's plot on a straight way, and noise all over the sky."""
    time_s = START_NS / SECOND_NS + 0.1 * number
    rocket = np.array([6_000.0 - 25.0 * number + rng.normal(0.0, 10.0), 40.0 + rng.normal(0.0, 0.1), 30.0])
    range_m = np.append(rng.uniform(500.0, 15_000.0, flood), rocket[0])
    azimuth_deg = np.append(rng.uniform(0.0, 360.0, flood), rocket[1])
    elevation_deg = np.append(rng.uniform(0.0, 80.0, flood), rocket[2])
    snr_db = np.append(rng.uniform(20.0, 40.0, flood) if strong else rng.uniform(13.0, 16.0, flood), 18.0)
    columns: dict[str, Any] = {
        "time": [time_s] * (flood + 1), "range_m": range_m.tolist(), "azimuth_deg": azimuth_deg.tolist(),
        "elevation_deg": elevation_deg.tolist(), "snr_db": snr_db.tolist(),
    }  # fmt: skip
    received_ns = round(time_s * SECOND_NS) + 20_000_000
    return PlotRows(received_ns=received_ns, source="radar", columns=columns, scan_end=True)


def followed(flood_from: int, strong: bool = False) -> tuple[list[Outbox], State]:
    """A rocket in a sky that is flooded from a scan on."""
    state, rng, told = State(defended=False), np.random.default_rng(1), []
    for number in range(SCANS):
        plots = scan(number, rng, FLOOD if number >= flood_from else 2, strong)
        told.append(step(state, [plots], plots.received_ns, site()))
    return told, state


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overload, "PLOTS_PER_S", 10 * ROOM)
    monkeypatch.setattr(overload, "LEAST_ROOM", 1)


def rocket_rows(outbox: Outbox) -> int:
    """Confirmed rows at the rocket's place: nobody else flies here."""
    return int((outbox.tracks.status == CONFIRMED).sum())


@pytest.mark.usefixtures("little_room")
def test_what_is_tracked_is_used_however_strong_the_flood_is() -> None:
    told, _ = followed(flood_from=20, strong=True)
    assert [rocket_rows(outbox) for outbox in told[20:]] == [1] * (SCANS - 20)


@pytest.mark.usefixtures("little_room")
def test_what_is_stronger_than_the_noise_is_found_amid_it() -> None:
    told, _ = followed(flood_from=0)
    assert rocket_rows(told[-1]) == 1


@pytest.mark.usefixtures("little_room")
def test_what_is_left_out_is_counted_and_told_once_and_so_is_its_end() -> None:
    told, state = followed(flood_from=20)
    left = [r for outbox in told for r in outbox.rejects if r.reason == "more than is used"]
    assert {r.source for r in left} == {"radar"}
    used = sum(len(np.unique(outbox.tracks.plot[outbox.tracks.plot >= 0])) for outbox in told[20:])
    assert sum(r.count for r in left) >= (SCANS - 20) * (FLOOD - ROOM - 1)
    assert used <= (SCANS - 20) * (ROOM + 1)
    health = [h for outbox in told for h in outbox.health]
    assert [h.state for h in health if h.component == "radar"] == ["overloaded"]
    now_ns = START_NS + round((0.1 * SCANS + 3.0) * SECOND_NS)
    after = step(state, [scan(SCANS + 30, np.random.default_rng(2), 2)], now_ns, site())
    assert [h.state for h in after.health if h.component == "radar"] == ["ok"]


@pytest.mark.usefixtures("little_room")
def test_the_same_is_left_out_again() -> None:
    _, state = followed(flood_from=10)
    _, again = followed(flood_from=10)
    assert digest(state) == digest(again) == digest(load(save(state)))


def test_a_sensor_takes_no_room_from_another() -> None:
    two = site_of([square("base", 0.0, 0.0)], sensors=[RADAR, {**RADAR, "id": "slow", "update_s": 4.0}])
    assert overload.room_of(layout_of(two), 0) == round(0.1 * overload.PLOTS_PER_S / 2)
    assert overload.room_of(layout_of(two), 1) == overload.MOST_ROOM


def test_the_order_is_tracks_then_length_then_strength() -> None:
    from opencram.tables import TENTATIVE
    from opencram.tracking.bank import COUNT, STATUS, WHOLE

    whole = np.zeros((3, WHOLE), np.int64)
    whole[:, STATUS], whole[:, COUNT] = [CONFIRMED, TENTATIVE, TENTATIVE], [9, 3, 1]
    begins, plot_of = np.array([0, 2, 3, 4]), np.array([0, 1, 2, 3])
    snr_db, range_m = np.array([1.0, 1.0, 1.0, 1.0, 30.0, 40.0]), np.full(6, 1_000.0)
    for room, expected in ((0, [0, 1]), (1, [0, 1, 2]), (2, [0, 1, 2, 3]), (3, [0, 1, 2, 3, 5])):
        assert overload.urgent(begins, plot_of, whole, snr_db, range_m, room).tolist() == expected


def alerts(times: float) -> dict[str, float]:
    """By zone, when a raid first alerts it, amid so many times the false plots that are stated to be borne."""
    scenario, baghdad, rng = load_scenario("baghdad-2020-11-17"), load_site("baghdad-embassy"), np.random.default_rng(0)
    world, state, first = World(scenario, baghdad, 0), State(defended=False), dict[str, float]()
    while world.now_ns < world.start_ns + 6 * SECOND_NS:
        now_ns = world.now_ns + world.tick_ns
        inbox = world.advance(now_ns)
        for number, sensor in enumerate(baghdad.sensors if times else ()):
            if (now_ns - world.start_ns) % round(sensor.update_s * SECOND_NS) < world.tick_ns:
                count = round(times * 0.5 * overload.room_of(layout_of(baghdad), number))
                inbox.append(noise(sensor, count, (now_ns - 60_000_000) / SECOND_NS, rng))
        outbox = step(state, inbox, now_ns, baghdad)
        for warning in outbox.warnings:
            if warning.state == "alert":
                first.setdefault(warning.zone, (now_ns - world.start_ns) / SECOND_NS)
    return first


def test_a_raid_amid_ten_times_the_stated_plots_is_warned_of_in_time() -> None:
    """Real clocks and sockets beside it: `benchmarks/overload.py`."""
    alone, flooded = alerts(0.0), alerts(10.0)
    assert alone
    assert flooded.keys() >= alone.keys()
    assert all(flooded[zone] <= after_s + 0.2 for zone, after_s in alone.items())
