"""What radars send becomes plots, for a stated reason or not at all, whatever comes and whoever sends it."""

import random
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterix_site import SECOND_NS, T0_NS, at, heard, rows, sent, site, target
from opencram.asterix.cat015 import CAT015
from opencram.asterix.cat034 import CAT034
from opencram.asterix.cat062 import CAT062
from opencram.asterix.inspect import Message, messages
from opencram.asterix.plots import DAY_NS, NORTH, SECTOR, RadarsState, at_time_of_day, datagrams_to_rows
from opencram.asterix.records import block_of, write
from opencram.asterix.write import MAX_OCTETS, encode_plots, encode_service, encode_tracks
from opencram.physics.frames import Origin
from opencram.site import load_site
from opencram.stages.bytes_to_plots import PlotsState, bytes_to_plots
from opencram.state import State, load, save
from opencram.tables import Datagram, Health, Input, PlotRows, Plots, Reject, Tracks
from opencram.world.scenario import load_scenario
from opencram.world.world import World

SITE = site()


def run(
    *inputs: Datagram, now_s: float = 5.0, state: PlotsState | None = None, where: Any = SITE
) -> tuple[Plots, list[Reject], list[Health]]:
    scans, rejects, health = bytes_to_plots(state or PlotsState(), list(inputs), at(now_s), where)
    return Plots.concat(scans), rejects, health


def reasons(rejects: list[Reject]) -> dict[str, int]:
    return {reject.reason: reject.count for reject in rejects}


def test_a_plot_goes_through_to_the_last_bit_that_the_format_holds() -> None:
    plots, rejects, _ = run(*sent(rows(0.5)))
    assert not rejects
    assert plots.time_ns.tolist() == [at(0.5)]
    assert plots.received_ns.tolist() == [at(0.5)]
    assert plots.sensor.tolist() == [0]
    assert plots.range_m.tolist() == pytest.approx([5000.1], abs=1e-9)
    assert np.degrees(plots.az_rad).tolist() == pytest.approx([90.0], abs=1e-9)
    assert np.degrees(plots.el_rad).tolist() == pytest.approx([30.0], abs=180 / 2**17)
    assert plots.range_rate_mps.tolist() == pytest.approx([-200.5])
    assert plots.snr_db.tolist() == [13.0]


def test_the_size_of_an_echo_is_that_of_the_same_plots_in_a_table() -> None:
    """ASTERIX has no cross-section; strength and distance tell it, to the last bit of the strength on the wire."""
    baghdad = load_site("baghdad-embassy")
    world, state, off_db = World(load_scenario("baghdad-2020-11-17"), baghdad, 0), RadarsState(), list[float]()
    codes = {s.id: (s.asterix.sac, s.asterix.sic) for s in baghdad.sensors if s.asterix}
    while world.now_ns < world.start_ns + 4 * SECOND_NS:
        now_ns = world.now_ns + world.tick_ns
        for scan in (one for one in world.advance(now_ns) if isinstance(one, PlotRows)):
            sent_now = [heard(data, scan.received_ns) for data in encode_plots(scan, *codes[scan.source], False)]
            found, _, _ = datagrams_to_rows(state, sent_now, now_ns, baghdad)
            told = [size for rows_of in found for size in rows_of.columns.get("rcs_dbsm", [])]
            off_db += (np.array(told) - scan.columns["rcs_dbsm"]).tolist()
    assert len(off_db) > 50
    assert max(map(abs, off_db)) < 0.6


def test_without_a_stated_reference_no_size_is_told() -> None:
    plots, _, _ = run(*sent(rows(0.5)))
    assert np.isnan(plots.rcs_dbsm).all()
    stated = site(reference={"range_m": 10_000.0, "rcs_m2": 1.0, "snr_db": 13.0})
    plots, _, _ = run(*sent(rows(0.5, range_m=5_000.0)), where=stated)
    assert plots.rcs_dbsm.tolist() == pytest.approx([40.0 * np.log10(0.5)])
    plots, _, _ = run(*sent(rows(0.5, snr_db=None)), where=stated)
    assert np.isnan(plots.rcs_dbsm).all()


def test_a_target_report_has_no_elevation() -> None:
    plots, rejects, _ = run(heard(target(), at(0.0)))
    assert not rejects
    assert plots.range_m.tolist() == pytest.approx([3.0 * 1852.0])
    assert np.isnan(plots.el_rad).all()
    assert plots.range_rate_mps.tolist() == [-100.0]
    doubtful, _, _ = run(heard(target(**{"120__CAL__D": 1}), at(0.0)))
    assert np.isnan(doubtful.range_rate_mps).all()


def test_doppler_counts_as_the_site_says() -> None:
    closing = site(asterix={"doppler": "closing"})
    plots, _, _ = run(*sent(rows(range_rate_mps=200.0)), where=closing)
    assert plots.range_rate_mps.tolist() == [-200.0]


def plot_record(**changes: float | None) -> bytes:
    record: dict[str, Any] = {"010/SAC": 1, "010/SIC": 1, "000/MT": 1, "145": 64_800.0, "625/R": 5000.0, "627/AZ": 9.0}
    record |= {path.replace("__", "/"): value for path, value in changes.items()}
    return block_of(CAT015, [write(CAT015, {path: value for path, value in record.items() if value is not None})])


@pytest.mark.parametrize(
    ("data", "reason", "source"),
    [
        (plot_record(**{"010__SIC": 9}), "unknown source", "asterix"),
        (plot_record(**{"010__SIC": None, "010__SAC": None}), "no source", "asterix"),
        (plot_record(**{"000__MT": 2}), "a track", "one"),
        (plot_record(**{"000__MT": 5}), "message type 5", "one"),
        (plot_record(**{"020__MOMU": 1}), "a range by way of several antennas", "one"),
        (plot_record(**{"020__TTAX": 1}), "a reference target", "one"),
        (plot_record(**{"020__TTAX": 2}), "a simulated target", "one"),
        (plot_record(**{"625__R": None}), "no range and azimuth", "one"),
        (plot_record(**{"145": None}), "no time of day", "one"),
        (plot_record(**{"145": 86_400.0}), "an impossible time of day", "one"),
        (plot_record(**{"145": 64_797.0}), "too late", "one"),
        (plot_record(**{"145": 61_200.0}), "too late", "one"),
        (plot_record(**{"145": 68_400.0}), "from the future", "one"),
        (plot_record(**{"625__R": 300_000.0}), "range_m impossible", "one"),
        (plot_record(**{"625__R": -1.0}), "range_m impossible", "one"),
        (target(**{"020__TYP": 0}), "no detection", "round"),
        (target(**{"020__RAB": 1}), "a reference target", "round"),
        (target(**{"020__SIM": 1}), "a simulated target", "round"),
        (target(**{"020__TST": 1}), "a simulated target", "round"),
        (block_of(CAT062, [b"\x80\x01\x01"]), "category not read", "asterix"),
        (b"\x0f\x00\x03\x00", "broken data block", "asterix"),
        (b"\x0f\x00\x09\x80\x01", "broken data block", "asterix"),
        (b"\x0f\x00\x05\x80\x01", "broken record", "asterix"),
    ],
)
def test_what_is_no_plot_is_refused_and_counted(data: bytes, reason: str, source: str) -> None:
    plots, rejects, _ = run(heard(data, at(0.0)))
    assert not len(plots)
    assert [(reject.source, reject.reason, reject.count) for reject in rejects] == [(source, reason, 1)]
    assert rejects[0].sample


def test_after_a_broken_block_the_next_one_is_read() -> None:
    broken = block_of(CAT015, [b"\x80\x01"])
    plots, rejects, _ = run(heard(broken + plot_record() + b"\x0f\x00", at(0.0)))
    assert len(plots) == 1
    assert reasons(rejects) == {"broken record": 1, "broken data block": 1}


def test_simulated_and_real_targets_do_not_mix() -> None:
    """In earnest the simulated are refused, in an exercise the real; a file is asked for neither."""
    real, made_up = encode_plots(rows(), 1, 1, simulated=False), encode_plots(rows(range_m=7000.0), 1, 1)
    for wanted, reason in ((False, "a simulated target"), (True, "a real target in an exercise")):
        plots, rejects, _ = run(*(heard(data, at(0.0), simulated=wanted) for data in real + made_up))
        assert len(plots) == 1
        assert reasons(rejects) == {reason: 1}
    plots, rejects, _ = run(*(heard(data, at(0.0), simulated=None) for data in real + made_up))
    assert len(plots) == 2
    assert not rejects


# ---- time -------------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30_000), st.integers(0, 86_400 * 128 - 1), st.integers(-11 * 3_600, 11 * 3_600))
def test_a_time_of_day_is_of_the_day_nearest_to_its_reception(day: int, ticks: int, late_s: int) -> None:
    measured_ns = day * DAY_NS + ticks * 7_812_500
    assert at_time_of_day(ticks, measured_ns + late_s * SECOND_NS) == measured_ns


def test_plots_go_on_across_midnight() -> None:
    midnight_s = 6 * 3_600.0
    state = PlotsState()
    times = []
    for time_s in (midnight_s - 0.25, midnight_s, midnight_s + 0.25):
        plots, rejects, _ = run(*sent(rows(time_s)), now_s=time_s + 1.0, state=state)
        assert not rejects
        times += plots.time_ns.tolist()
    assert times == [at(midnight_s - 0.25), at(midnight_s), at(midnight_s + 0.25)]


# ---- who it is --------------------------------------------------------------------------------------------------


def test_a_second_radar_with_the_first_ones_codes_is_refused_and_told_once() -> None:
    state = PlotsState()
    first, _, _ = run(*sent(rows(0.0)), now_s=0.1, state=state)
    assert len(first) == 1
    for time_s in (0.25, 0.5):
        other = sent(rows(time_s, range_m=9000.0), address="10.0.0.66")
        plots, rejects, health = run(*sent(rows(time_s)), *other, now_s=time_s + 0.1, state=state)
        assert plots.range_m.tolist() == pytest.approx([5000.1])
        assert [(r.source, r.reason) for r in rejects] == [("one", "codes claimed twice")]
        assert "from 10.0.0.66: expected from 10.0.0.1" in rejects[0].sample
        assert [h.state for h in health] == (["contested"] if time_s == 0.25 else [])
    _, _, health = run(now_s=11.0, state=state)
    assert ("one", "ok", "nobody else uses its codes any more") in [(h.component, h.state, h.detail) for h in health]


def test_a_radar_may_move_when_it_was_silent_long_enough() -> None:
    state = PlotsState()
    run(*sent(rows(0.0)), now_s=0.1, state=state)
    plots, _, _ = run(*sent(rows(9.0), address="10.0.0.2"), now_s=9.1, state=state)
    assert not len(plots)
    plots, _, health = run(*sent(rows(11.0), address="10.0.0.2"), now_s=11.1, state=state)
    assert len(plots) == 1
    assert "heard from 10.0.0.2 now, from 10.0.0.1 before" in [h.detail for h in health]


def test_where_the_site_names_addresses_all_of_them_may_send_and_nobody_else() -> None:
    named = site(asterix={"addresses": ["10.0.0.1", "10.0.0.2"]})
    state = PlotsState()
    both = [*sent(rows(0.0)), *sent(rows(0.0), address="10.0.0.2")]
    plots, rejects, _ = run(*both, now_s=0.1, state=state, where=named)
    assert len(plots) == 1
    assert reasons(rejects) == {"duplicate": 1}
    plots, rejects, health = run(*sent(rows(20.0), address="10.0.0.3"), now_s=20.1, state=state, where=named)
    assert not len(plots)
    assert reasons(rejects) == {"codes claimed twice": 1}
    assert "contested" in [h.state for h in health]


# ---- what it says of itself ----------------------------------------------------------------------------------------


def test_service_messages_keep_a_radar_from_being_stale_and_are_counted() -> None:
    state = PlotsState()
    for second in range(12):
        _, rejects, health = run(heard(encode_service(SECTOR, at(second), 1, 2), at(second)), now_s=second, state=state)
        assert not rejects
        assert not health
    assert state.radars.counts["two: sectors"] == 12
    _, _, health = run(now_s=16.0, state=state)
    assert [(h.component, h.state) for h in health] == [("two", "stale")]


def test_a_north_mark_ends_the_scan_of_a_staring_radar_alone() -> None:
    for sic, over in ((1, 1), (3, 0)):
        state = PlotsState()
        mark = heard(encode_service(NORTH, at(0.0), 1, sic), at(0.0))
        before, _, _ = run(*sent(rows(0.0), sic=sic), now_s=0.0, state=state)
        assert not len(before)
        after, _, _ = run(mark, now_s=0.0, state=state)
        assert len(after) == over


def test_plots_behind_the_mark_belong_to_the_next_scan() -> None:
    state = PlotsState()
    first, second = sent(rows(0.0, scan_end=True)), sent(rows(1 / 128, range_m=6000.0))
    (mark_in,) = first
    later = heard(second[0].data, at(1 / 128))
    plots, _, _ = run(mark_in, later, now_s=1 / 128, state=state)
    assert plots.range_m.tolist() == pytest.approx([5000.1])
    rest, _, _ = run(now_s=1.0, state=state)
    assert (rest.range_m.tolist(), rest.scan.tolist()) == (pytest.approx([6000.0]), [1])


def test_a_radar_that_is_not_released_is_not_used_and_counts_as_silent() -> None:
    state = PlotsState()
    run(*sent(rows(0.0)), now_s=0.1, state=state)
    closed = heard(encode_service(NORTH, at(0.2), 1, 1, released=False), at(0.2))
    _, _, health = run(closed, now_s=0.2, state=state)
    assert [(h.component, h.state) for h in health] == [("one", "degraded")]
    plots, rejects, _ = run(*sent(rows(1.0)), now_s=1.1, state=state)
    assert not len(plots)
    assert reasons(rejects) == {"not released for use": 1}
    _, _, health = run(*sent(rows(4.0)), now_s=4.1, state=state)
    assert [(h.component, h.state) for h in health] == [("one", "stale")]
    _, _, health = run(heard(encode_service(NORTH, at(5.0), 1, 1), at(5.0)), now_s=5.0, state=state)
    assert {h.state for h in health} == {"ok"}
    plots, _, _ = run(*sent(rows(6.0)), now_s=6.1, state=state)
    assert len(plots) == 1


def test_the_radars_are_saved_and_loaded_with_the_state() -> None:
    state = State(defended=False)
    run(*sent(rows(0.0)), now_s=0.1, state=state.plots)
    again = load(save(state))
    assert again.plots.radars == state.plots.radars
    assert again.plots.radars.address == {0: "10.0.0.1"}


def test_a_datagram_is_recorded_as_it_came() -> None:
    (datagram,) = sent(rows())
    written = msgspec.json.encode([datagram])
    assert msgspec.json.decode(written, type=list[Input]) == [datagram]


# ---- whatever comes ----------------------------------------------------------------------------------------------


def good(rng: random.Random) -> bytes:
    """A datagram as a radar sends it."""
    plots = rows(rng.randrange(0, 128) / 128, rng.randrange(1, 5), scan_end=rng.random() < 0.5)
    return b"".join(encode_plots(plots, 1, rng.randrange(1, 5), rng.random() < 0.2)) + target(rng.random())


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 4), st.integers(-4_000, 4_000))
def test_nothing_that_comes_raises_or_grows(seed: int, kind: int, clock_s: int) -> None:
    """Noise, cut datagrams, flipped bits, false lengths, clocks that are an hour off: used or counted, never more."""
    rng = random.Random(seed)
    data = bytearray(rng.randbytes(rng.randrange(0, 200)) if kind == 0 else good(rng))
    if kind == 1:
        del data[rng.randrange(len(data)) :]
    elif kind == 2:
        for _ in range(rng.randrange(1, 20)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    elif kind == 3:
        data[1:3] = rng.randbytes(2)
    state = PlotsState()
    plots, rejects, _ = run(heard(bytes(data), at(clock_s)), now_s=clock_s + 1.0, state=state)
    assert len(plots) + sum(r.count for r in rejects) <= len(data)
    assert len(state.radars.address) <= 3
    assert len(state.radars.counts) <= 12
    if kind == 4 and abs(clock_s) > 10:
        assert not len(plots)


# ---- what we send ------------------------------------------------------------------------------------------------


def test_a_large_scan_is_split_into_datagrams_that_fit_into_a_frame() -> None:
    plots = rows(0.0, 100, scan_end=True)
    datagrams = encode_plots(plots, 1, 1, simulated=False)
    assert 1 < len(datagrams) < 5
    assert max(map(len, datagrams)) <= MAX_OCTETS
    found, rejects, _ = run(*(heard(data, plots.received_ns) for data in datagrams), now_s=0.0)
    assert not rejects
    assert found.range_m.tolist() == pytest.approx(plots.columns["range_m"])


def test_an_empty_scan_is_a_north_mark() -> None:
    (mark,) = encode_plots(replace_columns(rows(0.0, scan_end=True)), 1, 1)
    (message,) = messages(mark)
    assert isinstance(message, Message)
    assert (message.category, message.record["000"]) == (CAT034.number, NORTH)


def replace_columns(plots: Any) -> Any:
    return msgspec.structs.replace(plots, columns={})


def test_tracks_are_written_as_system_tracks() -> None:
    origin = Origin(np.radians(33.3), np.radians(44.4), 40.0)
    mean = np.array([[0.0, 0.0, 1000.0, 300.0, -400.0, 50.0, 0.0], [0.0, 9000.0, 10.0, 1.0, 2.0, 3000.0, 0.0]])
    columns = {name: np.zeros((2, *tail), dtype) for name, dtype, tail in Tracks.columns()}
    columns |= {"mean": mean, "cov": np.tile(np.eye(7) * 100.0, (2, 1, 1)), "track": np.array([5, 65_537])}
    columns |= {"time_ns": np.array([T0_NS, T0_NS]), "status": np.array([1, 0])}
    (data,) = encode_tracks(Tracks(**columns), origin, 1, 77, simulated=True, ended=[4])
    first, second, last = (m.record for m in messages(data) if isinstance(m, Message))
    assert first["105/LAT"] == pytest.approx(33.3, abs=180 / 2**25)
    assert first["105/LON"] == pytest.approx(44.4, abs=180 / 2**25)
    assert first["130"] == pytest.approx(1040.0 / 0.3048, abs=6.25 / 2)
    assert (first["185/VX"], first["185/VY"], first["040"], first["080/CNF"]) == (300.0, -400.0, 5, 0)
    assert first["220"] == pytest.approx(50.0 / 0.3048 * 60.0, abs=6.25 / 2)
    assert (first["500/APC/X"], first["080/SIM"], first["010/SIC"]) == (10.0, 1, 77)
    assert (second["040"], second["080/CNF"], second["220"]) == (1, 1, 204_000.0)
    assert (last["040"], last["080/TSE"]) == (4, 1)
