"""What a service keeps: from any of its files, cut anywhere, the same state; and a step that raises is survived."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import opencram.serve.keep as keep
import opencram.serve.service as service_module
from opencram.console import Console
from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.orders import DeskState
from opencram.pipeline import step
from opencram.record.recording import Recorder, Recording
from opencram.serve.keep import DESK_FILE, STATE_FILE, Keeper, Play, Resumed
from opencram.serve.link import Act
from opencram.serve.rolls import Rolling
from opencram.serve.service import Service
from opencram.serve.sources import NoSensors, Played
from opencram.site import Site, load_site
from opencram.state import State, digest, load
from opencram.steadyclock import SteadyClock
from opencram.tables import Effect, Engagement
from opencram.world.scenario import load_scenario
from services import write_site

TOKEN = b"a token of sixteen bytes or more"
SECOND_NS = 1_000_000_000
SOUNDING = {"siren-embassy-north": "embassy", "siren-embassy-south": "embassy"}


class Clocks:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall, self.mono = 1_700_000_000 * SECOND_NS, 5 * SECOND_NS

    def go_on(self, seconds: float) -> None:
        self.wall += round(seconds * SECOND_NS)
        self.mono += round(seconds * SECOND_NS)

    def clock(self, not_before_ns: int = 0) -> SteadyClock:
        return SteadyClock(not_before_ns, lambda: self.wall, lambda: self.mono)


@pytest.fixture
def site() -> Site:
    return load_site("baghdad-embassy")


@contextmanager
def serving(folder: Path, site: Site, dies: bool = False) -> Iterator[tuple[Service, SteadyClock]]:
    """A service in earnest without sensors, begun on what the folder holds; if it `dies`, ended as kill -9 would."""
    console, keeper = Console(), Keeper(folder, site, Provenance.LIVE)
    found = keeper.resume()
    clock = SteadyClock(found.now_ns + 1)

    async def made() -> Service:
        return Service(site, NoSensors(), clock, keeper, found, {siren.id: TOKEN for siren in site.sirens}, console)

    service = asyncio.run(made())
    keeper.begin(service.state, clock.now_ns())
    try:
        yield service, clock
    finally:
        if dies:
            assert keeper._recorder is not None
            keeper._recorder.flush()
            killed(keeper)
        else:
            service.close()
        console.close()


def raise_alarm(service: Service, clock: SteadyClock, zone: str) -> None:
    service.act(Act(act="a", kind="alarm", targets=(zone,), by="operator", time_ns=clock.now_ns()))
    service.turn(clock.now_ns())


def alarms(service: Service) -> dict[str, str]:
    """The zone for which each siren is to sound."""
    orders = service.desk.state.orders
    return {siren: zone for siren, zones in orders.items() for zone, order in zones.items() if order.alarms}


def ids(service: Service) -> list[str]:
    return [order.command.id for zones in service.desk.state.orders.values() for order in zones.values()]


def full(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def played(folder: Path, site: Site, seconds: float, before_ns: int = 0, rolling: Rolling | None = None) -> State:
    """Some seconds of a raid, kept in a folder that is then left as kill -9 would leave it; the state at the end."""
    keeper = Keeper(folder, site, Provenance.SIMULATION, rolling)
    source = Played(load_scenario("baghdad-2020-11-17"), site, 0, 1_700_000_000 * SECOND_NS)
    state = State(defended=source.defended)
    keeper.begin(state, source.start_ns - before_ns, Play("baghdad-2020-11-17", 0, source.start_ns))
    source.prepare()
    for _ in range(round(seconds * 10)):
        tick_ns = source.due_ns(0, 0)
        inbox = source.take(tick_ns)
        keeper.inputs(tick_ns, inbox)
        outbox = step(state, inbox, tick_ns, site)
        keeper.outputs(outbox)
        source.order(outbox.engagements)
        source.prepare()
        keeper.rest(state)
    assert keeper._recorder is not None
    keeper._recorder.flush()
    killed(keeper)
    return state


def killed(keeper: Keeper) -> None:
    """Close what the end of the process would close, and finish nothing."""
    keeper._writer.shutdown()
    for file in (keeper._recorder and keeper._recorder._file, keeper._journal, keeper._lock):
        if file is not None:
            file.close()


def resumed(folder: Path, site: Site, provenance: Provenance) -> Resumed:
    keeper = Keeper(folder, site, provenance)
    try:
        return keeper.resume()
    finally:
        killed(keeper)


def test_the_kept_state_and_the_ticks_after_it_give_the_state_that_was(tmp_path: Path, site: Site) -> None:
    state = played(tmp_path, site, 13.0)
    assert state.warnings.zones, "in the midst of an alert"
    found = resumed(tmp_path, site, Provenance.SIMULATION)
    assert found.state is not None
    assert digest(found.state) == digest(state)
    assert found.seq == 130
    assert found.play == Play("baghdad-2020-11-17", 0, 1_700_000_000 * SECOND_NS)


@pytest.mark.parametrize("rolling", [Rolling(every_s=3.0), Rolling(max_bytes=60_000)])
def test_each_recording_replays_alone_into_the_next(tmp_path: Path, site: Site, rolling: Rolling) -> None:
    state = played(tmp_path, site, 13.0, rolling=rolling)
    paths = sorted(tmp_path.glob("recording-*.mcap"))
    assert len(paths) > 2
    for path, following in zip(paths, [*paths[1:], None], strict=True):
        recording = Recording(path)
        first = recording.begin().snapshot
        assert first is not None
        now = load(first.state)
        for tick in recording.ticks():
            step(now, tick.inbox, tick.now_ns, site)
        after = None if following is None else Recording(following).begin().snapshot
        assert digest(now) == digest(load(after.state) if after else state)


@pytest.mark.parametrize("before_ns", [0, SECOND_NS // 2])
def test_the_orders_of_the_simulated_defence_are_found_again(tmp_path: Path, site: Site, before_ns: int) -> None:
    """Also of a recording that was begun in the second before the play's first."""
    played(tmp_path, site, 30.0, before_ns)
    told = [
        log_ns
        for path in sorted(tmp_path.glob("recording-*.mcap"))
        for topic, _, log_ns, _ in Recording(path).messages()
        if topic == "/engagements"
    ]
    found = resumed(tmp_path, site, Provenance.SIMULATION)
    assert told
    assert [time for time, orders in found.orders.items() for _ in orders] == told


def test_what_came_of_the_defences_orders_is_told_once_though_the_service_was_away(site: Site) -> None:
    """Killed at each second of a raid for three seconds: of the orders until then, each effect comes exactly once."""
    scenario, start_ns = load_scenario("baghdad-2020-11-17"), 1_700_000_000 * SECOND_NS
    source, state = Played(scenario, site, 0, start_ns), State(defended=True)
    orders: dict[int, tuple[Engagement, ...]] = {}
    effects: list[tuple[int, Effect]] = []
    source.prepare()
    for _ in range(400):
        tick_ns = source.due_ns(0, 0)
        inbox = source.take(tick_ns)
        effects += [(tick_ns, i) for i in inbox if isinstance(i, Effect)]
        outbox = step(state, inbox, tick_ns, site)
        if outbox.engagements:
            orders[tick_ns] = outbox.engagements
        source.order(outbox.engagements)
        source.prepare()
    late = 0
    for cut_s in range(15, 36):
        cut_ns, back_ns = start_ns + cut_s * SECOND_NS, start_ns + (cut_s + 3) * SECOND_NS
        before = {at_ns: made for at_ns, made in orders.items() if at_ns <= cut_ns}
        known = {order.engagement for made in before.values() for order in made}
        again = Played(scenario, site, 0, start_ns)
        again.catch_up(back_ns, before, cut_ns)
        told = [i for i in again.take(again.due_ns(0, 0)) if isinstance(i, Effect)]
        due = [e for at_ns, e in effects if cut_ns < at_ns <= back_ns + SECOND_NS // 10 and e.engagement in known]
        assert told == due
        late += len(due)
    assert late > 5, "there were such"


@pytest.mark.parametrize("damage", ["cut", "noise", "gone"])
def test_a_damaged_state_is_said_and_begins_anew(tmp_path: Path, site: Site, damage: str) -> None:
    keeper = Keeper(tmp_path, site, Provenance.LIVE)
    keeper.begin(State(defended=False), SECOND_NS)
    keeper.close(State(defended=False), DeskState())
    path = tmp_path / STATE_FILE
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "noise": bytes(200), "gone": whole}[damage])
    if damage == "gone":
        path.unlink()
    found = resumed(tmp_path, site, Provenance.LIVE)
    assert found.state is None
    assert ("found a file that cannot be read" in found.note) == (damage != "gone")


def test_a_damaged_desk_is_no_hindrance(tmp_path: Path, site: Site) -> None:
    keeper = Keeper(tmp_path, site, Provenance.LIVE)
    keeper.begin(State(defended=False), SECOND_NS)
    keeper.close(State(defended=False), DeskState())
    (tmp_path / DESK_FILE).write_bytes(b"\xc1")
    found = resumed(tmp_path, site, Provenance.LIVE)
    assert found.state is not None
    assert found.desk is None


def test_a_step_that_raises_is_left_out_and_the_alert_stands(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, tokens = SteadyClock(), {siren.id: TOKEN for siren in site.sirens}
    keeper = Keeper(tmp_path, site, Provenance.LIVE)
    console = Console()

    async def made(resumed: Any) -> Service:
        return Service(site, NoSensors(), clock, keeper, resumed, tokens, console)

    service = asyncio.run(made(keeper.resume()))
    keeper.begin(service.state, clock.now_ns())
    service.act(Act(act="a", kind="alarm", targets=("embassy",), by="operator", time_ns=clock.now_ns()))
    service.turn(clock.now_ns())
    before = {siren: dict(zones) for siren, zones in service.desk.state.orders.items() if zones}
    assert set(before) == {"siren-embassy-north", "siren-embassy-south"}

    def broken(state: State, *_: Any) -> None:
        state.warnings.zones.clear()
        raise RuntimeError("a fault")

    with monkeypatch.context() as patched:
        patched.setattr(service_module, "step", broken)
        assert service.turn(clock.now_ns()) is None
    assert "could not be worked out" in service.notes["fault"]
    assert set(service.state.warnings.zones) == {"embassy"}
    assert service.turn(clock.now_ns()) is not None
    after = {siren: dict(zones) for siren, zones in service.desk.state.orders.items() if zones}
    ids = {siren: [order.command.id for order in zones.values()] for siren, zones in before.items()}
    assert {siren: [order.command.id for order in zones.values()] for siren, zones in after.items()} == ids
    service.close()
    console.close()


def test_a_full_disk_silences_nobody(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, tokens, console = SteadyClock(), {siren.id: TOKEN for siren in site.sirens}, Console()
    keeper = Keeper(tmp_path, site, Provenance.LIVE)

    async def made() -> Service:
        return Service(site, NoSensors(), clock, keeper, Resumed(), tokens, console)

    service = asyncio.run(made())
    keeper.begin(service.state, clock.now_ns())

    with monkeypatch.context() as patched:
        patched.setattr(Recorder, "inputs", full)
        service.act(Act(act="a", kind="alarm", targets=("embassy",), by="operator", time_ns=clock.now_ns()))
        service.turn(clock.now_ns())
        assert {siren for siren, zones in service.desk.state.orders.items() if zones} == {
            "siren-embassy-north",
            "siren-embassy-south",
        }
        assert "No space left on device" in service.notes["recording"]
    monkeypatch.setattr(keep, "TRY_AGAIN_NS", 0)
    service.turn(clock.now_ns())
    service.turn(clock.now_ns())
    assert "recording" not in service.notes
    service.close()
    console.close()
    assert len(list(Recording(sorted(tmp_path.glob("recording-*.mcap"))[-1]).ticks())) == 1


def test_a_service_starts_and_warns_on_a_full_disk(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(keep, "_replace", full)
        patched.setattr(Recorder, "snapshot", full)
        with serving(tmp_path, site) as (service, clock):
            raise_alarm(service, clock, "embassy")
            assert alarms(service) == SOUNDING
            assert "No space left on device" in service.notes["recording"]


@pytest.mark.parametrize("disk", ["works", "is full"])
def test_many_steps_that_raise_end_no_warning(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    """So many that the state is given up, and of a service that is then killed the next one too."""

    def broken(*_: Any) -> None:
        raise RuntimeError("a fault")

    with serving(tmp_path, site) as (service, clock):
        if disk == "is full":
            monkeypatch.setattr(Recorder, "inputs", full)
        raise_alarm(service, clock, "embassy")
        before = ids(service)
        with monkeypatch.context() as patched:
            patched.setattr(service_module, "step", broken)
            patched.setattr(keep, "step", broken)
            for _ in range(5):
                assert service.turn(clock.now_ns()) is None
                assert (alarms(service), ids(service)) == (SOUNDING, before)
        assert ("zones stay under warning" in service.notes["fault"]) == (disk == "is full")
        outbox = service.turn(clock.now_ns())
        assert outbox is not None
        assert outbox.warnings == ()
        assert set(service.state.warnings.zones) == {"embassy"}
        assert (alarms(service), ids(service)) == (SOUNDING, before)


@pytest.mark.parametrize("other", ["version", "site", "state", "ticks"])
def test_zones_stay_under_warning_where_the_state_cannot_be_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    """A new version, an edited site, a state that cannot be loaded, ticks that raise: no alarm is said to be over."""

    def broken(*_: Any) -> None:
        raise ValueError("a fault")

    site, folder = load_site(write_site(tmp_path)), tmp_path / "record"
    with serving(folder, site, dies=True) as (service, clock):
        raise_alarm(service, clock, "base")
        began = ids(service)
        service.keeper.save(service.state)
        for _ in range(5):
            service.turn(clock.now_ns())
    if other == "version":
        monkeypatch.setattr(keep, "__version__", "another")
    elif other == "site":
        site = load_site(write_site(tmp_path, all_clear_s=31.0))
    else:
        monkeypatch.setattr(keep, {"state": "load", "ticks": "step"}[other], broken)
    with serving(folder, site) as (service, _):
        assert "zones stay under warning" in service.notes["state"]
        assert alarms(service) == {"north": "base", "south": "base"}
        assert ids(service) == began, "the same commands: no siren begins anew"
        assert set(service.state.warnings.zones) == {"base"}


def test_the_journal_does_not_grow_for_ever(tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keep, "MAX_JOURNAL_BYTES", 100)
    keeper = Keeper(tmp_path, site, Provenance.LIVE)
    for number in range(50):
        keeper.journal([{"what": "test", "number": number}])
    killed(keeper)
    sizes = [(tmp_path / name).stat().st_size for name in ("sirens.jsonl", "sirens.old.jsonl")]
    assert max(sizes) < 200


# ---- operators ------------------------------------------------------------------------------------------------------


def test_an_all_clear_that_comes_late_does_not_end_what_was_raised_since(tmp_path: Path, site: Site) -> None:
    with serving(tmp_path, site) as (service, clock):
        asked_ns = clock.now_ns() - 50 * SECOND_NS
        raise_alarm(service, clock, "embassy")
        service.act(Act(act="b", kind="all-clear", targets=("embassy",), by="other", time_ns=asked_ns))
        outbox = service.turn(clock.now_ns())
        assert outbox is not None
        assert [reject.reason for reject in outbox.rejects] == ["all-clear older than the warning"]
        assert alarms(service) == SOUNDING


@pytest.mark.parametrize("kind", ["alarm", "all-clear"])
def test_an_act_that_waited_for_a_minute_is_refused(tmp_path: Path, site: Site, kind: Any) -> None:
    with serving(tmp_path, site) as (service, clock):
        asked_ns = clock.now_ns() - 61 * SECOND_NS
        service.act(Act(act="b", kind=kind, targets=("embassy",), by="operator", time_ns=asked_ns))
        outbox = service.turn(clock.now_ns())
        assert outbox is not None
        assert [reject.reason for reject in outbox.rejects] == ["operator's act not of the present"]


# ---- the clock ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("step_s", [-5.0, 5.0, -3_600.0])
def test_the_clock_rises_evenly_when_the_wall_clock_is_set(step_s: float) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    before_ns = clock.now_ns()
    clocks.wall += round(step_s * SECOND_NS)
    clock.slew()
    for second in range(1, 11):
        clocks.go_on(1.0)
        clock.slew()
        assert abs(clock.now_ns() - before_ns - second * SECOND_NS) <= second * 1_000_000
    drawn_ns = abs(step_s) * SECOND_NS - abs(clock.ahead_ns())
    assert drawn_ns == pytest.approx(10 * 1_000_000), "a thousandth of the time"


def test_the_clock_comes_to_the_wall_clock_and_stays_there() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    clocks.wall += 20_000_000
    for _ in range(30):
        clocks.go_on(1.0)
        clock.slew()
    assert clock.ahead_ns() == 0


def test_the_clock_does_not_begin_before_what_was() -> None:
    clocks = Clocks()
    later_ns = clocks.wall + 60 * SECOND_NS
    assert clocks.clock(later_ns).now_ns() == later_ns
