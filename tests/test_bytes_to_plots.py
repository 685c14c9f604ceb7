"""What comes in is refused or used for a stated reason; scans are formed by sensor and time, whatever the order."""

import math
import random
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opencram.site import Site
from opencram.stages.bytes_to_plots import BLANK_NS, UNREADABLE_NS, PlotsState, bytes_to_plots, times_ns
from opencram.state import State, load, save
from opencram.tables import Health, PlotRows, Plots, Reject
from small_site import position, site_of, square

SECOND_NS = 1_000_000_000
T0_NS = 1_605_636_000 * SECOND_NS


def sensor(name: str, **more: Any) -> dict[str, Any]:
    return {
        "id": name,
        "position": position(0.0, 0.0),
        "range_sigma_m": 10.0,
        "azimuth_sigma_mrad": 2.0,
        "elevation_sigma_mrad": 2.0,
        "update_s": 0.1,
        **more,
    }


SITE = site_of(
    [square("east", 500.0, 0.0)],
    sensors=[sensor("radar-1"), sensor("radar-2", update_s=1.0), sensor("flat", elevation_sigma_mrad=None)],
)


def plot(time_s: float | str = 0.0, **values: Any) -> dict[str, Any]:
    """One good row, `time_s` after T0, with what the test changes."""
    time = T0_NS / 1e9 + time_s if isinstance(time_s, float) else time_s
    return {
        "time": time,
        "sensor": "radar-1",
        "range_m": 5000.0,
        "azimuth_deg": 90.0,
        "elevation_deg": 30.0,
        **values,
    }


def rows(*plots: dict[str, Any], now_s: float = 0.0, source: str = "file", scan_end: bool = False) -> PlotRows:
    columns = {name: [p[name] for p in plots] for name in (plots[0] if plots else ())}
    return PlotRows(received_ns=at(now_s), source=source, columns=columns, scan_end=scan_end)


def at(seconds: float) -> int:
    return T0_NS + round(seconds * SECOND_NS)


def decode(
    *inputs: PlotRows, now_s: float = 10.0, state: PlotsState | None = None, site: Site = SITE
) -> tuple[list[Plots], list[Reject], list[Health]]:
    return bytes_to_plots(state or PlotsState(), list(inputs), at(now_s), site)


# ---- single rows ------------------------------------------------------------------------------------------------


def test_a_row_becomes_a_plot_in_radians() -> None:
    scans, rejects, _ = decode(rows(plot(0.0, received=T0_NS / 1e9 + 0.25, snr_db="13.5", rcs_dbsm=None)), now_s=0.5)
    assert not rejects
    [scan] = scans
    assert scan.time_ns.tolist() == [T0_NS]
    assert scan.received_ns.tolist() == [at(0.25)]
    assert (scan.range_m[0], scan.snr_db[0]) == (5000.0, 13.5)
    assert scan.az_rad[0] == pytest.approx(math.pi / 2)
    assert scan.el_rad[0] == pytest.approx(math.pi / 6)
    assert np.isnan([scan.rcs_dbsm[0], scan.range_rate_mps[0]]).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"sensor": "radar-9"}, "unknown sensor"),
        ({"sensor": None}, "unknown sensor"),
        ({"sensor": 1}, "unknown sensor"),
        ({"time": "yesterday"}, "unreadable time"),
        ({"time": None}, "unreadable time"),
        ({"time": ""}, "unreadable time"),
        ({"time": "now"}, "unreadable time"),
        ({"time": "2020-13-17T18:00:00Z"}, "unreadable time"),
        ({"time": T0_NS / 1e6}, "unreadable time"),
        ({"time": -1.0}, "unreadable time"),
        ({"time": math.inf}, "unreadable time"),
        ({"received": "soon"}, "unreadable received"),
        ({"range_m": "far"}, "range_m not a number"),
        ({"range_m": ""}, "range_m not a number"),
        ({"range_m": None}, "range_m not a number"),
        ({"range_m": math.nan}, "range_m not a number"),
        ({"range_m": [5.0]}, "range_m not a number"),
        ({"range_m": "inf"}, "range_m not a number"),
        ({"range_m": 0.0}, "range_m impossible"),
        ({"range_m": -5.0}, "range_m impossible"),
        ({"range_m": 200_001.0}, "range_m impossible"),
        ({"azimuth_deg": 360.1}, "azimuth_deg impossible"),
        ({"azimuth_deg": -180.1}, "azimuth_deg impossible"),
        ({"azimuth_deg": "NE"}, "azimuth_deg not a number"),
        ({"elevation_deg": 90.1}, "elevation_deg impossible"),
        ({"elevation_deg": "-"}, "elevation_deg not a number"),
        ({"range_rate_mps": 1e300}, "range_rate_mps impossible"),
        ({"snr_db": "high"}, "snr_db not a number"),
        ({"rcs_dbsm": -math.inf}, "rcs_dbsm not a number"),
        ({"received": T0_NS / 1e9 + 2.2}, "too late"),
        ({"received": T0_NS / 1e9 - 1.1}, "from the future"),
    ],
)
def test_what_cannot_be_a_plot_is_refused_with_its_reason(change: dict[str, Any], reason: str) -> None:
    """The bad row stands among good ones, with and without other faults in the same columns; only it is refused."""
    good = {name: None for name in change if name not in plot()}
    scans, rejects, _ = decode(rows(plot(0.0, **good), plot(0.1) | good | change, plot(0.2, **good)))
    assert [len(s) for s in scans] == [1, 1]
    assert [(r.reason, r.count, r.source) for r in rejects] == [(reason, 1, "file")]
    field = next(iter(change))
    assert reason.startswith(("too late", "from the future")) or f"{field}: found" in rejects[0].sample
    assert "expected" in rejects[0].sample


@pytest.mark.parametrize(
    ("azimuth", "expected_deg"),
    [(0.0, 0.0), (360.0, 0.0), (359.9, 359.9), (-90.0, 270.0), (-180.0, 180.0), (-1e-17, 0.0), ("12.5", 12.5)],
)
def test_azimuth_is_turned_into_the_circle(azimuth: float | str, expected_deg: float) -> None:
    [scan], _, _ = decode(rows(plot(0.0, azimuth_deg=azimuth)))
    assert 0.0 <= scan.az_rad[0] < 2 * math.pi
    assert scan.az_rad[0] == pytest.approx(math.radians(expected_deg))


@pytest.mark.parametrize(
    "edge", [{"elevation_deg": -90.0}, {"elevation_deg": 90}, {"range_m": 200e3}, {"range_m": 1e-3}]
)
def test_the_limits_themselves_are_possible(edge: dict[str, float]) -> None:
    scans, rejects, _ = decode(rows(plot(0.0, **edge)))
    assert (len(scans), rejects) == (1, [])


def test_elevation_may_be_missing_and_is_not_believed_of_a_radar_that_measures_none() -> None:
    blanks = [plot(0.0, elevation_deg=blank, range_m=5000.0 + i) for i, blank in enumerate((None, "", " ", math.nan))]
    flat = plot(0.0, sensor="flat")
    scans, rejects, _ = decode(rows(*blanks, flat))
    assert not rejects
    assert [len(s) for s in scans] == [4, 1]
    assert all(np.isnan(s.el_rad).all() for s in scans)


def test_a_plot_may_come_up_to_two_seconds_late_and_one_second_early() -> None:
    received = [T0_NS / 1e9 + lag for lag in (2.0, 2.01, -1.0, -1.01)]
    _, rejects, _ = decode(rows(*(plot(0.0, received=r, range_m=100.0 + i) for i, r in enumerate(received))))
    assert [(r.reason, r.count) for r in rejects] == [("from the future", 1), ("too late", 1)]


def test_without_its_own_stamp_a_row_came_with_its_input() -> None:
    scans, rejects, _ = decode(rows(plot(0.0), now_s=1.5))
    assert scans[0].received_ns.tolist() == [at(1.5)]
    _, rejects, _ = decode(rows(plot(0.0), now_s=2.5))
    assert [r.reason for r in rejects] == ["too late"]


def test_a_blank_stamp_means_received_when_measured() -> None:
    scans, _, _ = decode(rows(plot(0.0, received=None), now_s=5.0))
    assert scans[0].received_ns.tolist() == [T0_NS]


def test_a_radar_need_not_name_itself_in_every_row() -> None:
    row = plot(0.0)
    del row["sensor"]
    scans, rejects, _ = decode(rows(row, source="radar-2"))
    assert (scans[0].sensor.tolist(), rejects) == ([1], [])
    _, rejects, _ = decode(rows(row, source="file"))
    assert (rejects[0].reason, rejects[0].count) == ("missing column", 1)
    assert "expected sensor too" in rejects[0].sample


def test_columns_that_do_not_fit_together_are_refused_as_a_whole() -> None:
    whole = rows(plot(0.0), plot(0.1))
    short = PlotRows(received_ns=T0_NS, source="radar-1", columns=whole.columns | {"range_m": [1.0]})
    scans, rejects, _ = decode(short)
    assert not scans
    assert [(r.reason, r.count) for r in rejects] == [("columns of unequal length", 2)]
    assert "range_m 1" in rejects[0].sample


def test_the_sample_names_the_first_row_by_its_number() -> None:
    bad = [plot(0.0, range_m=-1.0, row=row) for row in (30, 9, 12)]
    _, [reject], _ = decode(rows(*bad))
    assert reject.count == 3
    assert reject.sample.startswith("row 9: range_m: found -1.0, expected")


# ---- times ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "after_s"),
    [
        ("2020-11-17T18:00:00Z", 0.0),
        ("2020-11-17 18:00:00", 0.0),
        ("2020-11-17T18:00Z", 0.0),
        ("2020-11-17T18:00:00.123456789Z", 0.123456789),
        ("2020-11-17T21:00:00.5+03:00", 0.5),
        ("2020-11-17T13:30:00-0430", 0.0),
        (1605636000, 0.0),
        (1605636000.1, 0.1),
        ("1605636000.25", 0.25),
    ],
)
def test_times_are_iso_or_seconds(raw: object, after_s: float) -> None:
    """Alone, and in a column with other kinds of time, as a slow path decodes it."""
    expected = T0_NS + round(after_s * 1e9)
    assert times_ns([raw]).tolist() == [expected]
    assert times_ns([raw, "x", None, 1605636000.5, "2020-11-17T19:00:00+01:00"]).tolist() == [
        expected,
        UNREADABLE_NS,
        BLANK_NS,
        T0_NS + SECOND_NS // 2,
        T0_NS,
    ]


def test_two_times_in_one_value_are_none() -> None:
    assert times_ns(["2020-11-17T18:00:00Z\n2020-11-17T18:00:00Z", "2020-11-17T18:00:00Z"]).tolist() == [
        UNREADABLE_NS,
        T0_NS,
    ]


@given(st.datetimes(datetime(1970, 1, 2), datetime(2199, 12, 30)))
@settings(max_examples=200, deadline=None)
def test_times_agree_with_numpy(moment: datetime) -> None:
    expected = int(np.datetime64(moment, "ns").astype(np.int64))
    assert times_ns([f"{moment.isoformat()}Z"]).tolist() == [expected]


# ---- scans ------------------------------------------------------------------------------------------------------


def test_plots_within_half_an_update_make_a_scan() -> None:
    scans, _, _ = decode(rows(*(plot(t, range_m=1000.0 + t) for t in (0.0, 0.03, 0.05, 0.051, 0.1, 0.2))))
    assert [[round((t - T0_NS) / 1e6) for t in s.time_ns.tolist()] for s in scans] == [[0, 30, 50], [51, 100], [200]]
    assert [s.scan.tolist() for s in scans] == [[0, 0, 0], [1, 1], [2]]


def test_scans_of_several_sensors_come_in_order_of_time_then_sensor() -> None:
    both = [plot(t, sensor=name) for t in (0.0, 0.2) for name in ("flat", "radar-1")]
    scans, _, _ = decode(rows(*both, plot(0.05, sensor="radar-2"), plot(0.5, sensor="radar-2")))
    assert [int(s.sensor[0]) for s in scans] == [0, 2, 1, 0, 2]
    assert [len(s) for s in scans] == [1, 1, 2, 1, 1]


def test_a_scan_waits_for_its_deadline_and_no_longer() -> None:
    """Half an update and the first plot's latency: 0.5 s + 0.2 s for radar-2."""
    state = PlotsState()
    first = plot(0.0, sensor="radar-2", received=T0_NS / 1e9 + 0.2)
    assert not decode(rows(first, now_s=0.2), now_s=0.2, state=state)[0]
    later = plot(0.3, sensor="radar-2", received=T0_NS / 1e9 + 0.5)
    assert not decode(rows(later, now_s=0.5), now_s=0.69, state=state)[0]
    [scan], _, _ = decode(now_s=0.7, state=state)
    assert len(scan) == 2
    assert not decode(now_s=0.8, state=state)[0]


def test_a_scan_is_complete_when_the_next_begins() -> None:
    state = PlotsState()
    decode(rows(plot(0.0, sensor="radar-2"), now_s=0.1), now_s=0.1, state=state)
    [scan], _, _ = decode(rows(plot(0.6, sensor="radar-2"), now_s=0.6), now_s=0.6, state=state)
    assert scan.time_ns.tolist() == [T0_NS]
    assert state.open_stamps.shape == (3, 1)


def test_a_radar_that_says_so_ends_its_scan_at_once() -> None:
    state = PlotsState()
    decode(rows(plot(0.0, sensor="radar-2"), now_s=0.1), now_s=0.1, state=state)
    done = rows(plot(0.1, sensor="radar-2"), now_s=0.11, source="radar-2", scan_end=True)
    [scan], _, _ = decode(done, now_s=0.11, state=state)
    assert len(scan) == 2
    decode(rows(plot(0.2, sensor="radar-2"), now_s=0.2), now_s=0.2, state=state)
    nothing_more = rows(now_s=0.25, source="radar-2", scan_end=True)
    [scan], _, _ = decode(nothing_more, now_s=0.25, state=state)
    assert (len(scan), scan.scan.tolist()) == (1, [1])


def test_two_scans_that_end_in_one_tick_stay_two() -> None:
    first, second = (
        rows(plot(t, sensor="radar-2"), plot(t + 0.01, sensor="radar-2"), now_s=t, source="radar-2", scan_end=True)
        for t in (0.1, 0.2)
    )
    scans, _, _ = decode(second, first, now_s=0.3)
    assert [len(s) for s in scans] == [2, 2]


def test_a_late_plot_makes_a_scan_of_its_own() -> None:
    state = PlotsState()
    decode(rows(plot(1.0), now_s=1.0), now_s=1.2, state=state)
    [scan], rejects, _ = decode(rows(plot(0.5), now_s=2.0), now_s=2.05, state=state)
    assert (scan.time_ns.tolist(), scan.scan.tolist(), rejects) == ([at(0.5)], [1], [])


def test_the_same_plot_is_used_once() -> None:
    """Twice in an input, in a tick, in two ticks with the scan still open, and long after it was handed on."""
    state = PlotsState()
    scans, rejects, _ = decode(rows(plot(0.0), plot(0.0)), rows(plot(0.0)), now_s=0.01, state=state)
    assert (scans, [(r.reason, r.count, r.source) for r in rejects]) == ([], [("duplicate", 2, "radar-1")])
    [scan], rejects, _ = decode(rows(plot(0.0), plot(0.01)), now_s=0.2, state=state)
    assert (len(scan), [r.count for r in rejects]) == (2, [1])
    scans, rejects, _ = decode(rows(plot(0.0), plot(0.02), now_s=1.9), now_s=2.0, state=state)
    assert ([len(s) for s in scans], [r.count for r in rejects]) == ([1], [1])


def test_plots_that_differ_in_any_value_are_two() -> None:
    changes = [{}, {"range_m": 5000.1}, {"azimuth_deg": 91.0}, {"elevation_deg": None}, {"snr_db": 3.0}]
    scans, rejects, _ = decode(rows(*({"snr_db": None} | plot(0.0) | change for change in changes)))
    assert ([len(s) for s in scans], rejects) == ([5], [])


def test_no_more_plots_wait_than_the_limit_allows() -> None:
    """The nearest of the oldest are kept, the other sensor's are not touched, and the rest is counted."""
    state = PlotsState(max_rows=3)
    many = [plot(0.0, range_m=1000.0 * k) for k in (5, 2, 4, 1, 3)]
    scans, rejects, _ = decode(rows(*many, plot(0.0, sensor="flat")), state=state)
    assert [s.range_m.tolist() for s in scans] == [[1000.0, 2000.0, 3000.0], [5000.0]]
    assert [(r.reason, r.count, r.source) for r in rejects] == [("too many plots", 2, "radar-1")]


# ---- the house rules --------------------------------------------------------------------------------------------


def mixture(seed: int) -> list[dict[str, Any]]:
    """Good, bad, late and doubled rows of all sensors in one tick."""
    draw = random.Random(seed)
    names = ("radar-1", "radar-2", "flat", "radar-9")
    made = [
        plot(
            draw.choice([0.0, 0.02, 0.3, 0.31, 0.9]),
            sensor=draw.choice(names),
            range_m=draw.choice([1000.0, 2000.0, "x", -1.0]),
            elevation_deg=draw.choice([10.0, 20.0, None, 99.0]),
            received=T0_NS / 1e9 + draw.choice([1.0, 2.95]),
            row=number,
        )
        for number in range(60)
    ]
    return made


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_and_inputs_is_of_no_consequence(seed: int) -> None:
    made = mixture(seed)
    expected, rejects, health = decode(rows(*made, now_s=3.0), now_s=3.0)
    assert expected
    assert rejects
    draw = random.Random(seed)
    for _ in range(5):
        draw.shuffle(made)
        parts = [rows(*made[k : k + 17], now_s=3.0) for k in range(0, 60, 17)]
        scans, *others = decode(*parts, now_s=3.0)
        assert others == [rejects, health]
        assert [s.scan.tolist() for s in scans] == [s.scan.tolist() for s in expected]
        for scan, want in zip(scans, expected, strict=True):
            for name, column in vars(want).items():
                np.testing.assert_array_equal(getattr(scan, name), column)


def test_saved_and_loaded_between_ticks_nothing_changes() -> None:
    whole, saved = State(defended=False), State(defended=False)
    for tick in range(1, 30):
        inbox = [rows(*mixture(tick)[:10], now_s=tick / 10), rows(plot(tick / 10), now_s=tick / 10)]
        outputs = []
        for state in (whole, saved):
            scans, rejects, health = bytes_to_plots(state.plots, inbox, at(tick / 10), SITE)
            outputs.append(([{k: v.tolist() for k, v in vars(s).items()} for s in scans], rejects, health))
        assert str(outputs[0]) == str(outputs[1])
        saved = load(save(saved))


def test_a_sensor_that_falls_silent_is_stale_until_it_speaks() -> None:
    state = PlotsState()
    assert not decode(now_s=9.0, state=state)[2]
    decode(rows(plot(10.0), plot(10.0, sensor="radar-2"), now_s=10.0), now_s=10.0, state=state)
    assert not decode(now_s=13.0, state=state)[2]
    [health] = decode(now_s=13.1, state=state)[2]
    assert (health.component, health.state, health.time_ns) == ("radar-1", "stale", at(13.1))
    assert not decode(now_s=13.2, state=state)[2]
    assert [(h.component, h.state) for h in decode(now_s=15.1, state=state)[2]] == [("radar-2", "stale")]
    looked = rows(now_s=16.0, source="radar-1", scan_end=True)
    assert [(h.component, h.state) for h in decode(looked, now_s=16.0, state=state)[2]] == [("radar-1", "ok")]


any_value = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just("radar-1"))


@given(st.lists(st.tuples(*[any_value] * 8), min_size=1, max_size=6), st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_comes_every_row_is_used_or_counted(table: list[tuple[Any, ...]], scan_end: bool) -> None:
    names = ("time", "sensor", "range_m", "azimuth_deg", "elevation_deg", "snr_db", "received", "row")
    columns = dict(zip(names, map(list, zip(*table, strict=True)), strict=True))
    inbox = PlotRows(received_ns=T0_NS, source="radar-1", columns=columns, scan_end=scan_end)
    scans, rejects, _ = decode(inbox, rows(plot(0.0)))
    assert sum(map(len, scans)) + sum(r.count for r in rejects) == len(table) + 1
