"""What a faulty radar sends: wrong by what the scenario says, late, twice, not at all, again and again, or lies."""

import copy
from typing import Any

import numpy as np
import pytest

from opencram.errors import InputError
from opencram.tables import PlotRows
from opencram.world.world import World
from world_site import LAT, LON, assume, make_scenario, make_site, salvo

TICK_NS = 100_000_000
RADARS = ({"id": "radar-1"}, {"id": "radar-2", "kind": "rotating", "update_s": 1.0, "false_plots_per_scan": 3})


def sent(*faults: dict[str, Any], until_s: float = 12.0) -> list[PlotRows]:
    """All messages of both radars up to a time."""
    scenario = make_scenario(salvo((LAT, LON)), faults=list(faults))
    world = World(scenario, make_site(*copy.deepcopy(RADARS)))
    messages = []
    while world.now_ns < world.start_ns + round(until_s * 1e9):
        messages += [m for m in world.advance(world.now_ns + TICK_NS) if isinstance(m, PlotRows)]
    return messages


def of(messages: list[PlotRows], radar: str) -> list[PlotRows]:
    return [m for m in messages if m.source == radar]


def column(messages: list[PlotRows], name: str) -> np.ndarray:
    return np.array([x for m in messages for x in m.columns[name]])


@pytest.fixture(scope="module")
def sound() -> list[PlotRows]:
    return sent()


def test_a_fault_of_nothing_changes_nothing(sound: list[PlotRows]) -> None:
    assert sent({"sensor": "radar-2"}) == sound


def test_offsets_are_added_and_the_other_radar_is_left_alone(sound: list[PlotRows]) -> None:
    fault = {"sensor": "radar-2"} | {
        key: assume(x) for key, x in {"range_m": 50, "azimuth_deg": 0.3, "elevation_deg": -0.2, "clock_s": 0.2}.items()
    }
    messages = sent(fault)
    assert of(messages, "radar-1") == of(sound, "radar-1")
    mine, true = of(messages, "radar-2"), of(sound, "radar-2")
    assert len(column(true, "time")) > 20
    for name, off in (("range_m", 50.0), ("elevation_deg", -0.2), ("time", 0.2)):
        assert column(mine, name) - column(true, name) == pytest.approx(off, abs=1e-6)
    turned = np.mod(column(mine, "azimuth_deg") - column(true, "azimuth_deg") + 180.0, 360.0) - 180.0
    assert turned == pytest.approx(0.3, abs=1e-6)
    assert column(mine, "received").tolist() == column(true, "received").tolist()


def test_latency_and_second_copies(sound: list[PlotRows]) -> None:
    late = of(sent({"sensor": "radar-1", "latency_s": assume(1.5)}), "radar-1")
    on_time = of(sound, "radar-1")
    assert late[0].received_ns - on_time[0].received_ns == 1_500_000_000
    assert late[0].columns["time"] == on_time[0].columns["time"]
    twice = of(sent({"sensor": "radar-1", "twice": assume(True)}), "radar-1")
    assert len(twice) == pytest.approx(2 * len(on_time), abs=1)
    assert column(twice, "range_m")[:2].tolist() == [column(on_time, "range_m")[0]] * 2


def test_a_lost_radar_sends_nothing(sound: list[PlotRows]) -> None:
    messages = of(sent({"sensor": "radar-1", "lost_s": assume({"least": 4, "most": 8})}), "radar-1")
    start_ns = make_scenario().start_ns
    gone = [m for m in of(sound, "radar-1") if 4e9 <= m.received_ns - start_ns < 8e9]
    assert len(gone) == 40
    assert messages == [m for m in of(sound, "radar-1") if m not in gone]


@pytest.mark.parametrize("radar", ["radar-1", "radar-2"])
def test_a_frozen_radar_repeats_its_last_turn_under_new_times(radar: str) -> None:
    span = {"least": 6, "most": 10}
    messages = of(sent({"sensor": radar, "frozen_s": assume(span)}), radar)
    start_ns = make_scenario().start_ns
    before = [m for m in messages if 4e9 < m.received_ns - start_ns < 6e9]
    frozen = [m for m in messages if 6e9 <= m.received_ns - start_ns < 10e9]
    old = set(zip(column(before, "range_m").tolist(), column(before, "azimuth_deg").tolist(), strict=True))
    again = list(zip(column(frozen, "range_m").tolist(), column(frozen, "azimuth_deg").tolist(), strict=True))
    assert len(again) > 10
    assert set(again) <= old
    age_s = column(frozen, "received") - column(frozen, "time")
    assert (age_s > 0.0).all()
    assert (age_s < 1.0).all()


def test_lies_are_far_from_the_truth_or_random(sound: list[PlotRows]) -> None:
    def lie(kind: str) -> list[PlotRows]:
        span = {"least": 0, "most": 100}
        return of(sent({"sensor": "radar-1", "lying_s": assume(span), "lie": assume(kind)}), "radar-1")

    true = column(of(sound, "radar-1"), "range_m")
    assert column(lie("shifted"), "range_m") - true == pytest.approx(600.0, abs=1e-6)
    made_up = column(lie("nothing"), "range_m")
    assert len(made_up) == len(true)
    assert np.abs(np.diff(made_up)).mean() > 3_000.0


@pytest.mark.parametrize(
    ("faults", "text"),
    [
        (["radar-9"], "expected"),
        (["radar-1", "radar-1"], "a second time"),
    ],
)
def test_a_fault_is_of_one_radar_of_the_site(faults: list[str], text: str) -> None:
    with pytest.raises(InputError, match=text):
        sent(*({"sensor": name} for name in faults))
