"""From the plots to the sirens: until a command is on the wire, and until a siren has said that it sounds.

First a raid of fifty rockets: at each scan the zones' warnings are forgotten, so that the scan's plots alert anew, and
the service's own turn (log, step, log, command) is timed from when it is handed the plots. Then twenty zones are
alerted at once for two hundred sirens. Sirens are software sirens in another process, over WebSocket on the loopback.
Processor time is what the service's thread used up to then: it tells of a busy machine what an idle one would take.
"""

import argparse
import asyncio
import gc
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np

from made_up import given, place, square
from opencram.console import Console
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import Ack, Command, ToService
from opencram.outputs.sirens.runner import Runner
from opencram.outputs.sirens.websocket import WebSocketSirens, websocket_link
from opencram.physics.kernel import warmup
from opencram.serve.keep import Keeper, Resumed
from opencram.serve.link import Act
from opencram.serve.service import Service
from opencram.serve.sources import NoSensors, Played, Source
from opencram.site import Site
from opencram.stages.threats_to_warnings import WarningsState
from opencram.steadyclock import SteadyClock
from opencram.tables import CONFIRMED
from opencram.world.scenario import Scenario

ROCKETS, GROUPS = 50, 5
ANSWER_S = 2.0


def site_of(zones: int, sirens_each: int) -> Site:
    """Square zones in a row, one radar, and so many sirens for each zone."""
    made, sirens = [], []
    for i in range(zones):
        east_m = 800.0 * (i - zones // 2)
        made.append(
            {"id": f"zone-{i}", "title": {"en": f"zone {i}"}, "kind": "base", "rings": ((square(east_m, 0.0, 300.0),),)}
        )
        sirens += [
            {"id": f"s-{i}-{k}", "position": place(east_m, 10.0 * k), "zones": [f"zone-{i}"]}
            for k in range(sirens_each)
        ]
    radar = {
        "id": "radar", "position": place(0, 0), "range_sigma_m": 10.0, "azimuth_sigma_mrad": 2.0,
        "elevation_sigma_mrad": 2.0, "update_s": 0.1, "detection": 0.9, "false_plots_per_scan": 5,
    }  # fmt: skip
    return Site.model_validate(
        {"name": "bench", "origin": place(0, 0), "zones": made, "sensors": [radar], "sirens": sirens}
    )


def raid() -> Scenario:
    """Fifty rockets within two seconds, from five directions, on one zone."""
    groups = [
        {
            "id": f"group-{i}", "kind": "salvo", "threat": given("rocket-122"), "count": given(ROCKETS // GROUPS),
            "first_s": given(0.5 + 0.1 * i), "spacing_s": given({"least": 0.2, "most": 0.2}),
            "from_deg": given(50.0 + 20.0 * i), "elevation_deg": given({"least": 40.0, "most": 45.0}),
            "dispersion_m": given(150.0),
            "aims": [{"zone": given("zone-0"), "at": given(place(0, 0))}] * (ROCKETS // GROUPS),
        }
        for i in range(GROUPS)
    ]  # fmt: skip
    title = {"en": "fifty", "fr": "cinquante"}
    return Scenario.model_validate(
        {
            "name": "fifty", "title": title, "site": "bench", "start": given("2026-01-01T00:00:00Z"),
            "duration_s": given(60.0), "defence": given(False), "groups": groups,
        }
    )  # fmt: skip


class Stopwatch:
    """A service with its sirens connected, and when its last commands left and their answers came (s)."""

    def __init__(self, site: Site, source: Source, folder: Path) -> None:
        self.clock = SteadyClock()
        self.tokens = {siren.id: token_of(siren.id) for siren in site.sirens}
        keeper = Keeper(folder, site, source.provenance)
        self.service = Service(site, source, self.clock, keeper, Resumed(), self.tokens, Console(StringIO()))
        self.service.post._on_sent = self.sent  # in the place of the journal's lines, which come after
        self.service.post._on_heard = self.heard
        keeper.begin(self.service.state, self.clock.now_ns())
        self.way = WebSocketSirens(self.tokens, self.service.post.received, self.service.post.lost)
        self.service.post.add([self.way])
        self.sent_s, self.sent_cpu_s, self.sounding = 0.0, 0.0, dict[str, float]()
        self.wanted: set[str] = set()
        self.all_there = asyncio.Event()

    async def connect(self) -> subprocess.Popen[bytes]:
        listening = socket.create_server(("127.0.0.1", 0), backlog=1_000)
        await self.way.start(listening)
        address = f"ws://127.0.0.1:{listening.getsockname()[1]}"
        devices = subprocess.Popen([sys.executable, __file__, "--devices", address, *self.tokens])
        while self.way.connected() < len(self.tokens):
            await asyncio.sleep(0.05)
        gc.collect()
        gc.freeze()  # as the service does when it begins
        return devices

    def sent(self, command: Command, ways: int) -> None:
        self.sent_s, self.sent_cpu_s = time.perf_counter(), time.thread_time()
        self.service._sent(command, ways)

    def heard(self, message: ToService, transport: str) -> None:
        if isinstance(message, Ack) and message.stage in ("sounding", "done"):
            self.sounding[message.siren] = time.perf_counter()
            if self.wanted <= self.sounding.keys():
                self.all_there.set()
        self.service._heard(message, transport)

    async def timed(self, act: Callable[[], object], wanted: set[str]) -> tuple[float, float, float]:
        """Milliseconds from the act until its last command left, the same in processor time, and until the last wanted
        siren had answered."""
        self.sounding.clear()
        self.all_there.clear()
        self.wanted, self.sent_s = wanted, 0.0
        began_s, began_cpu_s = time.perf_counter(), time.thread_time()
        act()
        await asyncio.wait_for(self.all_there.wait(), ANSWER_S)
        answered_s = max(self.sounding[siren] for siren in wanted)
        cpu_s = self.sent_cpu_s - began_cpu_s
        return 1e3 * (self.sent_s - began_s), 1e3 * cpu_s, 1e3 * (answered_s - began_s)

    def forget(self) -> None:
        """All zones quiet and no siren told anything, as if nothing had been."""
        self.service.state.warnings = WarningsState()
        state = self.service.desk.state
        state.orders, state.drills = {}, {}
        for siren in state.sirens.values():
            siren.sounding = ""


def tracks_now(service: Service, seen: dict[int, int], tick: int) -> int:
    """Confirmed tracks that were seen within the last three ticks."""
    return sum(tick - last < 3 for last in seen.values())


async def chain(rounds: int, folder: Path) -> tuple[np.ndarray, int]:
    """Times (n, 3) as `timed` gives them of the scans of raids, and the fewest tracks in a timed scan."""
    site, times, fewest = site_of(1, 1), [], 10**9
    seed = 0
    source = Played(raid(), site, seed, SteadyClock().now_ns() // 1_000 * 1_000)
    watch = Stopwatch(site, source, folder)
    devices = await watch.connect()
    seen: dict[int, int] = {}
    number, service = 0, watch.service
    try:
        while len(times) < rounds:
            service.source.prepare()
            if service.source._ready is None:  # the raid is over: the next one
                seed, watch.service.state = seed + 1, type(service.state)(defended=False)
                service.source = Played(raid(), site, seed, (service.keeper.now_ns + 10**9) // 1_000 * 1_000)
                seen.clear()
                continue
            number += 1
            tick_ns = service.source._ready[0]
            watch.forget()
            if tracks_now(service, seen, number) < ROCKETS:
                outbox = service.turn(tick_ns)
                await asyncio.sleep(0)
            else:
                outbox, took = await once(watch, tick_ns)
                if took is not None:
                    times.append(took)
                    fewest = min(fewest, tracks_now(service, seen, number))
            assert outbox is not None
            for track in outbox.tracks.track[outbox.tracks.status == CONFIRMED].tolist():
                seen[track] = number
    finally:
        devices.kill()
        devices.wait()
    return np.array(times), fewest


async def once(watch: Stopwatch, tick_ns: int) -> tuple[Any, tuple[float, float, float] | None]:
    """One timed turn, None if it alerted nobody, and then some of the time that there would be until the next."""
    told: list[Any] = []
    times = None
    with suppress(TimeoutError):
        times = await watch.timed(lambda: told.append(watch.service.turn(tick_ns)), {"s-0-0"})
    await asyncio.sleep(0.02)
    return told[0], times


async def many(rounds: int, zones: int, each: int, folder: Path) -> np.ndarray:
    """Times (n, 3) as `timed` gives them when all zones are alerted at once, and ended again."""
    site = site_of(zones, each)
    watch = Stopwatch(site, NoSensors(), folder)
    devices = await watch.connect()
    service, times = watch.service, []
    names, zone_ids = set(watch.tokens), tuple(zone.id for zone in site.zones)

    def act(kind: str) -> None:
        now_ns = watch.clock.now_ns()
        service.act(Act(act=kind, kind=kind, targets=zone_ids, by="operator", time_ns=now_ns))  # type: ignore[arg-type]
        service.turn(watch.clock.now_ns())

    try:
        for _ in range(rounds):
            times.append(await watch.timed(lambda: act("alarm"), names))
            await asyncio.sleep(0.05)
            await watch.timed(lambda: act("all-clear"), names)
            await asyncio.sleep(0.05)
    finally:
        devices.kill()
        devices.wait()
    return np.array(times)


def token_of(name: str) -> bytes:
    return f"token of the benchmark's siren {name}".encode()


async def devices(address: str, names: list[str]) -> None:
    """Software sirens, all in this process."""
    runners = [Runner(Device(name), token_of(name)) for name in names]
    links = [asyncio.create_task(websocket_link(runner, address)) for runner in runners]
    while not any(link.done() for link in links):
        for runner in runners:
            runner.tick()
        await asyncio.sleep(0.25)


def say(what: str, times: np.ndarray) -> None:
    """A line of the table."""
    p50, p99, worst = np.quantile(times, (0.5, 0.99, 1.0))
    print(f"{what:56} {p50:7.1f} {p99:7.1f} {worst:7.1f}   ({len(times)})")


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--devices"]:
        asyncio.run(devices(sys.argv[2], sys.argv[3:]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=1_000, help="timed scans of the raid (default 1000)")
    parser.add_argument("--alerts", type=int, default=200, help="timed alerts of all zones (default 200)")
    args = parser.parse_args()
    warmup()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'ms':56} {'p50':>7} {'p99':>7} {'worst':>7}")
        if args.scans:
            times, tracks = asyncio.run(chain(args.scans, Path(folder) / "chain"))
            say(f"plots handed over -> command on the wire, {tracks} tracks or more", times[:, 0])
            say("  the same, processor time", times[:, 1])
            say("plots handed over -> siren has said that it sounds", times[:, 2])
        if args.alerts:
            times = asyncio.run(many(args.alerts, 20, 10, Path(folder) / "many"))
            say("20 zones alerted -> last of 200 commands on the wire", times[:, 0])
            say("  the same, processor time", times[:, 1])
            say("20 zones alerted -> last of 200 sirens has said it sounds", times[:, 2])


if __name__ == "__main__":
    main()
