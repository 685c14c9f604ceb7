"""From plots on the wire to the siren: until the last of fifty has the command, fifty tracks, twenty looks a second.

Three processes: a radar that sends a raid's plots as ASTERIX over UDP in real time; the service's own loop (receive,
log, step, log, command) in earnest; fifty software sirens over WebSocket. At every other look the zones' warnings are
forgotten, so that its plots alert anew. Timed is from the kernel's stamp of the look's last datagram, and of its first,
to when a siren's socket has handed over the command. Processor time is what the service's thread used for the tick up
to the last command: it tells of a busy machine what an idle one would take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opencram.asterix.write import encode_plots
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import Command
from opencram.outputs.sirens.runner import Runner
from opencram.outputs.sirens.websocket import websocket_link
from opencram.physics.kernel import warmup
from opencram.serve.radars import Radars
from opencram.serve.sources import Played
from opencram.serve.udp import Endpoint, Receiver, Transmitter
from opencram.site import Asterix, Site
from opencram.tables import CONFIRMED, Input, Outbox, PlotRows
from processes import free_port
from sirens import Stopwatch, raid, say, site_of, token_of

SIRENS, UPDATE_S, EVERY = 50, 0.05, 2
BURST_NS = 10_000_000
SEEN_LOOKS = 5


def wire_site() -> Site:
    """One zone with fifty sirens, and a radar that looks twenty times a second and speaks ASTERIX."""
    site = site_of(1, SIRENS)
    radar = site.sensors[0].model_copy(update={"update_s": UPDATE_S, "asterix": Asterix(sac=1, sic=1)})
    return site.model_copy(update={"sensors": [radar]})


class Bench(Stopwatch):
    """A service whose ticks are noted: when their plots came in, and which commands they led to."""

    def __init__(self, site: Site, source: Radars, receiver: Receiver, folder: Path, tracks: int) -> None:
        super().__init__(site, source, folder)
        self.tracks = tracks
        self.receiver, self.turn = receiver, self.service.turn
        self.service.turn = self.timed_turn  # type: ignore[method-assign]
        receiver._now_ns = self.clock.now_ns
        self._take, source.take = source.take, self.take  # type: ignore[method-assign]
        self.looks, self.seen, self.came = 0, dict[int, int](), (0, 0)
        self.of_command: dict[str, tuple[int, int, float]] = {}
        """By id: when the first and the last datagram of its look came, and processor time (ms) up to it."""
        self._began_cpu_s, self._counts = 0.0, False

    def take(self, tick_ns: int) -> list[Input]:
        taken = self._take(tick_ns)
        stamps = [one.received_ns for one in taken if hasattr(one, "received_ns")]
        self.came = (min(stamps), max(stamps)) if stamps else (0, 0)
        return taken

    def timed_turn(self, tick_ns: int) -> Outbox | None:
        """A turn; at every other look all that was told is forgotten first."""
        looks = self.receiver.waiting() > 0
        self.looks += looks
        if looks and self.looks % EVERY == 0:
            self.forget()
        self._counts = sum(self.looks - last < SEEN_LOOKS for last in self.seen.values()) >= self.tracks
        self._began_cpu_s = time.thread_time()
        outbox = self.turn(tick_ns)
        assert outbox is not None, self.service.notes
        for track in outbox.tracks.track[outbox.tracks.status == CONFIRMED].tolist():
            self.seen[track] = self.looks
        return outbox

    def sent(self, command: Command, ways: int) -> None:
        if self._counts and self.came[0] and command.id.endswith("/0") and command.kind == "rocket":
            used_ms = 1e3 * (time.thread_time() - self._began_cpu_s)
            self.of_command.setdefault(command.id, (*self.came, used_ms))
        self.service._sent(command, ways)


async def bench(scans: int, tracks: int, minutes: float, folder: Path) -> np.ndarray:
    """Milliseconds (n, 3) of each alert: from the last and from the first datagram, and processor time."""
    site, port = wire_site(), free_port(socket.SOCK_DGRAM)
    receiver = Receiver(time.time_ns)
    receiver.listen(Endpoint("127.0.0.1", port))
    one = Bench(site, Radars(site, receiver, BURST_NS), receiver, folder, tracks)
    listening = socket.create_server(("127.0.0.1", 0), backlog=1_000)
    await one.way.start(listening)
    heard, address = folder / "heard.jsonl", f"ws://127.0.0.1:{listening.getsockname()[1]}"
    sirens = subprocess.Popen([sys.executable, __file__, "--sirens", address, str(heard), *one.tokens])
    while one.way.connected() < SIRENS:
        await asyncio.sleep(0.05)
    radar = subprocess.Popen([sys.executable, __file__, "--radar", str(port)])
    running = asyncio.create_task(one.service.run())
    ends_s = time.monotonic() + 60.0 * minutes
    try:
        while len(one.of_command) < scans * SIRENS and not running.done() and time.monotonic() < ends_s:
            await asyncio.sleep(0.2)
    finally:
        radar.kill()
        radar.wait()
        one.service.stop()
        await running
        sirens.send_signal(signal.SIGTERM)
        await asyncio.to_thread(sirens.wait)
    receiver.close()
    return times_of(one, heard.read_text().splitlines())


def times_of(one: Bench, lines: Sequence[str]) -> np.ndarray:
    """Of each look the time of the last of its sirens; looks that did not reach all of them count as a second."""
    looks: dict[tuple[int, int], list[int]] = {}
    used: dict[tuple[int, int], float] = {}
    for line in lines:
        name, at_ns = json.loads(line)
        if name in one.of_command:
            first_ns, last_ns, used_ms = one.of_command[name]
            looks.setdefault((first_ns, last_ns), []).append(at_ns + one.clock._offset_ns)
            used[first_ns, last_ns] = max(used_ms, used.get((first_ns, last_ns), 0.0))
    late = {key: max(found) if len(found) >= SIRENS else key[1] + 10**9 for key, found in looks.items()}
    return np.array([((late[k] - k[1]) * 1e-6, (late[k] - k[0]) * 1e-6, used[k]) for k in looks])


class TimedRunner(Runner):
    """A siren that notes when each command came for the first time (monotonic ns)."""

    came: dict[str, int]

    def received(self, data: bytes) -> None:
        at_ns = time.monotonic_ns()
        if b'"command"' in data:
            self.came.setdefault(json.loads(data.partition(b" ")[2])["id"], at_ns)
        super().received(data)


async def sirens_of(address: str, heard: str, names: Sequence[str]) -> None:
    """Software sirens, all in this process, until SIGTERM; then what came when is written down."""
    runners = [TimedRunner(Device(name), token_of(name)) for name in names]
    for runner in runners:
        runner.came = {}
    links = [asyncio.create_task(websocket_link(runner, address)) for runner in runners]
    ending = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ending.set)
    while not ending.is_set():
        for runner in runners:
            runner.tick()
        await asyncio.sleep(0.25)
    for link in links:
        link.cancel()
    lines = [json.dumps(item) for runner in runners for item in runner.came.items()]
    Path(heard).write_text("\n".join(lines))


def radar_at(port: int) -> None:
    """Raid after raid in real time, for ever."""
    site, sender, seed = wire_site(), Transmitter(Endpoint("127.0.0.1", port)), 0
    while True:
        played = Played(raid(), site, seed, time.time_ns() // 1_000 * 1_000)
        seed += 1
        while time.time_ns() < played.end_ns:
            played.prepare()
            due_ns = played.due_ns(time.time_ns(), time.time_ns())
            time.sleep(max(0.0, (due_ns - time.time_ns()) * 1e-9))
            for one in played.take(due_ns):
                if isinstance(one, PlotRows):
                    sender.send(encode_plots(one, 1, 1, simulated=False))


def main() -> None:
    """Print the table."""
    if sys.argv[1:2] == ["--sirens"]:
        asyncio.run(sirens_of(sys.argv[2], sys.argv[3], sys.argv[4:]))
        return
    if sys.argv[1:2] == ["--radar"]:
        radar_at(int(sys.argv[2]))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scans", type=int, default=1_000, help="timed looks (default 1000)")
    parser.add_argument("--tracks", type=int, default=50, help="looks with fewer are not timed (default 50)")
    parser.add_argument("--minutes", type=float, default=15.0, help="the longest that it goes on (default 15)")
    args = parser.parse_args()
    warmup()
    with tempfile.TemporaryDirectory() as folder:
        times = asyncio.run(bench(args.scans, args.tracks, args.minutes, Path(folder)))
    if not len(times):
        sys.exit("not one look was timed: too few tracks at once; is the machine too busy?")
    print(f"{'ms':56} {'p50':>7} {'p99':>7} {'worst':>7}")
    say(f"last datagram of a look -> last of {SIRENS} sirens", times[:, 0])
    say("first datagram of a look -> the same", times[:, 1])
    say("the tick up to its last command, processor time", times[:, 2])


if __name__ == "__main__":
    main()
