"""The service and its radars over real UDP: a play's, and those that say they are in earnest."""

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opencram.asterix.write import encode_plots
from opencram.errors import InputError
from opencram.pipeline import step
from opencram.record.recording import Recording
from opencram.serve.radars import GAP_NS, Radars, burst_due_ns, over_udp, radar_endpoints
from opencram.serve.sources import TICK_NS, NoSensors, Played
from opencram.serve.udp import Endpoint, Receiver, Transmitter
from opencram.site import Site, load_site
from opencram.state import load
from opencram.tables import Datagram, PlotRows
from opencram.world.scenario import load_scenario
from processes import free_port
from services import Village

BURST_NS = 10_000_000


def send_raid(port: int, simulated: bool, seconds: float) -> None:
    """A raid's plots in real time, as its radars would send them. No real radar can be here: a world stands for it."""
    site = load_site("baghdad-embassy")
    codes = {sensor.id: (sensor.asterix.sac, sensor.asterix.sic) for sensor in site.sensors if sensor.asterix}
    played = Played(load_scenario("baghdad-2020-11-17"), site, 0, time.time_ns() // 1_000 * 1_000)
    sender, ends = Transmitter(Endpoint("127.0.0.1", port)), time.time() + seconds
    while time.time() < ends:
        played.prepare()
        due = played.due_ns(0, time.time_ns())
        time.sleep(max(0.0, (due - time.time_ns()) * 1e-9))
        for one in played.take(due):
            if isinstance(one, PlotRows):
                sender.send(encode_plots(one, *codes[one.source], simulated=simulated))
    sender.close()


def test_a_play_sends_real_datagrams_and_its_recording_repeats_what_was_decided(tmp_path: Path) -> None:
    at = f"127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with Village(tmp_path, "baghdad-embassy", "--play", "baghdad-2020-11-17", "--asterix", at) as village:
        village.start_service()
        village.until(lambda: village.states().get("green-zone") == "alert", 40.0)
        assert village.get("/healthz")["status"] != "stalled"
        village.end("service")
        (path,) = village.record.glob("recording-*.mcap")
        inputs = [one for tick in Recording(path).ticks() for one in tick.inbox]
        assert not [one for one in inputs if isinstance(one, PlotRows)]
        assert len([one for one in inputs if isinstance(one, Datagram)]) > 50
        assert {one.simulated for one in inputs if isinstance(one, Datagram)} == {True}
        decided = [
            msgspec.json.decode(data) for topic, _, _, data in Recording(path).messages() if topic == "/warnings"
        ]
        assert decided == decided_again(path), "what was decided live is what its recording leads to"


def decided_again(path: Path) -> list[dict[str, Any]]:
    """The warnings that a recording's inputs lead to, tick by tick."""
    recording, site = Recording(path), load_site("baghdad-embassy")
    first = recording.begin().snapshot
    assert first is not None
    state = load(first.state)
    told = [warning for t in recording.ticks() for warning in step(state, t.inbox, t.now_ns, site).warnings]
    return [msgspec.json.decode(msgspec.json.encode(warning)) for warning in told]


def test_radars_in_earnest_are_heard_and_what_calls_itself_simulated_is_not(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    with Village(tmp_path, "baghdad-embassy", "--asterix", f"127.0.0.1:{port}") as village:
        village.start_service()
        send_raid(port, simulated=True, seconds=9.0)
        assert not village.journal("command"), "a simulated raid sounds nothing in a service that is in earnest"
        send_raid(port, simulated=False, seconds=12.0)
        village.until(lambda: village.journal("command", zone="karrada"))
        assert {command["status"] for command in village.journal("command")} == {"Actual"}


def test_a_tick_is_due_when_the_burst_is_over_and_not_much_later_than_it_began() -> None:
    async def act() -> None:
        now = [1_000_000_000]
        receiver = Receiver(lambda: now[0])
        woken = asyncio.Event()
        receiver.came = woken.set
        receiver.know(["127.0.0.1"])
        port = receiver.listen(Endpoint("127.0.0.1", 0))
        assert burst_due_ns(receiver, BURST_NS, now[0], now[0]) == now[0] + TICK_NS, "nothing came: the clock's tick"
        sender = Transmitter(Endpoint("127.0.0.1", port))
        sender.send([b"one"])
        await asyncio.wait_for(woken.wait(), 5.0)
        first, _ = receiver.waiting_ns() or (0, 0)
        assert burst_due_ns(receiver, BURST_NS, 0, now[0]) == first + GAP_NS
        for _ in range(12):
            woken.clear()
            now[0] += 1_000_000
            sender.send([b"more"])
            await asyncio.wait_for(woken.wait(), 5.0)
        span = receiver.waiting_ns()
        assert span is not None
        assert burst_due_ns(receiver, BURST_NS, 0, now[0]) == max(first + BURST_NS, span[1])
        receiver.close()
        sender.close()

    asyncio.run(act())


def test_what_radars_send_is_in_earnest_and_nothing_else_makes_it_so() -> None:
    async def act() -> None:
        site = load_site("baghdad-embassy")
        source = over_udp(
            NoSensors(), site, [Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM))], time.time_ns, BURST_NS
        )
        assert isinstance(source, Radars)
        assert source.provenance.cap_status == "Actual"
        source.close()
        played = Played(load_scenario("baghdad-2020-11-17"), site, 0, time.time_ns() // 1_000 * 1_000)
        drill = over_udp(played, site, [Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM))], time.time_ns, BURST_NS)
        assert drill.provenance.cap_status == "Exercise"
        drill.close()

    asyncio.run(act())


def without_codes(site: Site) -> Site:
    return site.model_copy(update={"sensors": [s.model_copy(update={"asterix": None}) for s in site.sensors]})


def test_what_cannot_be_listened_to_is_said_at_once(tmp_path: Path) -> None:
    site = load_site("baghdad-embassy")
    with pytest.raises(InputError, match="found no ASTERIX codes for"):
        radar_endpoints(without_codes(site), ["127.0.0.1:8600"], playing=False)
    with pytest.raises(InputError, match="a group's address"):
        radar_endpoints(site, ["239.1.2.3:8600"], playing=True)
    assert radar_endpoints(site, ["239.1.2.3:8600"], playing=False)[0].multicast
    ran = subprocess.run(
        [sys.executable, "-m", "opencram", "serve", "baghdad-embassy", "--asterix", "nonsense"],
        env={"XDG_STATE_HOME": str(tmp_path), "PATH": "", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert ran.returncode == 2
    assert "nonsense: expected ADDRESS:PORT" in ran.stderr
