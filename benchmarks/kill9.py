"""`kill -9` while a raid is on: what a service loses, and how soon it is there again: `python kill9.py --kills 20`.

A real `opencram serve` hears real datagrams of a raid (a simulated world stands for the radars, in earnest as far as
the service can tell) and commands real software sirens, all on the loopback. It is killed at random moments and
started again at once. What was sent and what sirens were told is noted outside of it and compared with its recordings.
Processor time until it is ready tells of a busy machine what an idle one would take.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import signal
import socket
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from live_service import LiveService
from opencram.asterix.write import encode_plots
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import ALARMS, Command
from opencram.outputs.sirens.runner import Runner
from opencram.outputs.sirens.websocket import websocket_link
from opencram.pipeline import step
from opencram.record.recording import Begin, Recording
from opencram.record.series import Series
from opencram.serve.sources import Played
from opencram.site import load_site
from opencram.state import load, save
from opencram.tables import Datagram, PlotRows, ZoneWarning
from opencram.world.scenario import load_scenario
from processes import processor_s

SITE, SCENARIO = "baghdad-embassy", "baghdad-2020-11-17"
READY_S = 60.0
SETTLE_S = 1.5
ZONE = "embassy"
"""An operator raises its alarm in front of each kill: something stands every time."""


@dataclass
class Kill:
    """One kill: when, what stood, and when the next service was there."""

    at_ns: int
    standing: frozenset[str]
    ready_s: float = 0.0
    worked_s: float = 0.0
    """Processor time until then."""
    page_s: float = 0.0
    standing_after: frozenset[str] = frozenset()


@dataclass
class Result:
    """What all kills came to."""

    kills: list[Kill]
    lost_s: list[float]
    """For each kill: how long before it the oldest datagram was sent that no recording holds."""
    lost_commands: list[str]
    """Alarms that sirens were told, and that no recording leads to."""
    commands: int
    warnings: int
    unlike: list[str] = field(default_factory=list)
    """Recordings whose ticks lead to other decisions than they hold."""
    broken: int = 0
    """Beginnings whose state is not what the recordings before lead to."""


class Raid:
    """Sends the raid's plots as ASTERIX in real time, again and again; `sent` holds each datagram and when."""

    def __init__(self, port: int) -> None:
        self.sent: list[tuple[int, bytes]] = []
        self._to, self._ended = ("127.0.0.1", port), threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Send no more."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        site = load_site(SITE)
        codes = {s.id: (s.asterix.sac, s.asterix.sic) for s in site.sensors if s.asterix}
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not self._ended.is_set():
                played = Played(load_scenario(SCENARIO), site, 0, time.time_ns() // 1_000 * 1_000)
                while not self._ended.is_set() and time.time_ns() < played.end_ns:
                    played.prepare()
                    due_ns = played.due_ns(0, time.time_ns())
                    time.sleep(max(0.0, (due_ns - time.time_ns()) * 1e-9))
                    for one in played.take(due_ns):
                        for data in (
                            encode_plots(one, *codes[one.source], simulated=False) if isinstance(one, PlotRows) else ()
                        ):
                            self.sent.append((time.time_ns(), bytes(data)))
                            out.sendto(data, self._to)


class Sirens:
    """Every siren of the site in a thread; `told` holds each command that any of them heard, and when."""

    def __init__(self, port: int, tokens: Path) -> None:
        self.told: list[tuple[int, Command]] = []
        self._loop, self._tasks = asyncio.new_event_loop(), list[asyncio.Task[None]]()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        for siren in load_site(SITE).sirens:
            token = (tokens / f"siren-{siren.id}.token").read_text().strip().encode()
            runner = Runner(Device(siren.id), token, on_event=self._note)
            self._loop.call_soon_threadsafe(self._live, runner, f"ws://127.0.0.1:{port}/")

    def close(self) -> None:
        """End all."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _live(self, runner: Runner, address: str) -> None:
        async def beats() -> None:
            while True:
                runner.tick()
                await asyncio.sleep(0.1)

        self._tasks += [self._loop.create_task(beats()), self._loop.create_task(websocket_link(runner, address))]

    def _note(self, what: str, command: Command | None, _: str) -> None:
        if what == "received" and command is not None:
            self.told.append((time.time_ns(), command))


class Serve(LiveService):
    """`opencram serve` as a process that is killed and started again."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, SITE, *options)
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / "notify"))
        self._notified.settimeout(READY_S)
        self.env["NOTIFY_SOCKET"] = str(folder / "notify")

    @property
    def tokens(self) -> Path:
        """Where its tokens are."""
        return self.folder / "state/opencram/secrets"

    def start(self) -> tuple[float, float]:
        """Start it; after how many seconds it said that it is ready, and the processor time that it took."""
        begun_s, pid = time.monotonic(), self.begin()
        while b"READY=1" not in self._notified.recv(4096):
            pass
        return time.monotonic() - begun_s, processor_s(pid)

    def kill(self) -> int:
        """kill -9; when."""
        assert self.process is not None
        at_ns = time.time_ns()
        self.process.kill()
        self.process.wait()
        return at_ns

    def close(self) -> None:
        """End it, if it runs."""
        self.__exit__()
        self._notified.close()

    def alarm(self, zone: str) -> None:
        """An operator's alarm; it is answered when it has been carried out."""
        secret = (self.tokens / "operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        body = json.dumps({"zone": zone}).encode()
        asked = urllib.request.Request(f"{self.http}/api/alarm", body, headers, method="POST")
        with urllib.request.urlopen(asked, timeout=10.0):
            pass

    def standing(self) -> frozenset[str]:
        """The zones under an alert, as its page has them; waits until there is one."""
        while True:
            try:
                with urllib.request.urlopen(f"{self.http}/api/zones", timeout=2.0) as answer:
                    return frozenset(zone["id"] for zone in json.load(answer) if zone["state"] == "alert")
            except OSError:
                time.sleep(0.02)


class Supervised(Serve):
    """The same service under `opencram serve-sites`, which starts it again by itself when it is killed."""

    def __init__(self, folder: Path, *options: str) -> None:
        super().__init__(folder, *options)
        one = {"site": SITE, "http": f"127.0.0.1:{self.http_port}", "record": str(self.record)}
        file = folder / "sites.yaml"  # JSON is YAML
        file.write_text(json.dumps({"sites": [{**one, "asterix": [f"127.0.0.1:{self.port}"]}]}))
        self._arguments = ["serve-sites", str(file)]
        self._starts = 0

    def start(self) -> tuple[float, float]:
        """Begin the supervisor, or wait until it has the service ready again."""
        if self.process is None:
            self.begin()
        begun_s = time.monotonic()
        while len(self._pids()) == self._starts:
            time.sleep(0.005)
        self._starts += 1
        return time.monotonic() - begun_s, processor_s(self._pids()[-1])

    def kill(self) -> int:
        """kill -9 of the service, not of its supervisor."""
        at_ns = time.time_ns()
        os.kill(self._pids()[-1], signal.SIGKILL)
        return at_ns

    def _pids(self) -> list[int]:
        """The process of each time that it became ready."""
        log = (self.folder / "service.log").read_text()
        return [int(pid) for pid in re.findall(r"ready after [\d.]+ s, process (\d+)", log)]


def run(
    folder: Path, kills: int, seed: int, lives_s: tuple[float, float], *options: str, kind: type[Serve] = Serve
) -> Result:
    """Kill a service so many times, after a random time each; `folder` must be empty."""
    draw, found = random.Random(seed), []
    with ExitStack() as ending:
        service = kind(folder, *options)
        ending.callback(service.close)
        service.start()
        service.standing()
        raid, sirens = Raid(service.port), Sirens(service.http_port + 1, service.tokens)
        ending.callback(raid.close)
        ending.callback(sirens.close)
        for _ in range(kills):
            time.sleep(draw.uniform(*lives_s))
            service.alarm(ZONE)
            time.sleep(draw.uniform(0.0, 0.5))
            before = service.standing()
            killed = Kill(service.kill(), before)
            killed.ready_s, killed.worked_s = service.start()
            begun_s = time.monotonic()
            killed.standing_after = service.standing()
            killed.page_s = killed.ready_s + time.monotonic() - begun_s
            found.append(killed)
        time.sleep(SETTLE_S)
    return judged(service.record, found, raid.sent, sirens.told)


def judged(record: Path, kills: list[Kill], sent: list[tuple[int, bytes]], told: list[tuple[int, Command]]) -> Result:
    """What the recordings of a service hold of what was sent and told."""
    recorded: list[ZoneWarning] = []
    received: set[bytes] = set()
    for path in sorted(record.glob("*.mcap")):
        for topic, _, _, data in Recording(path).messages():
            if topic == "/warnings":
                recorded.append(msgspec.json.decode(data, type=ZoneWarning))
    again, broken, unlike = _replayed(record, received)
    alarms = {(c.zone, c.id.rsplit("/", 2)[1]) for _, c in told if c.kind in ALARMS}
    led_to = {(w.zone, str(w.time_ns)) for w in (*recorded, *again)}
    lost = [f"{zone} {origin}" for zone, origin in sorted(alarms) if (zone, origin) not in led_to]
    return Result(kills, [_lost_s(kill, sent, received) for kill in kills], lost, len(told), len(again), unlike, broken)


def _lost_s(kill: Kill, sent: list[tuple[int, bytes]], received: set[bytes]) -> float:
    """How long before a kill the oldest of the datagrams was sent after which none was recorded."""
    lost_ns = kill.at_ns
    for at_ns, data in reversed([one for one in sent if one[0] <= kill.at_ns]):
        if data in received:
            break
        lost_ns = at_ns
    return (kill.at_ns - lost_ns) * 1e-9


def _replayed(record: Path, received: set[bytes]) -> tuple[list[ZoneWarning], int, list[str]]:
    """The warnings that the recorded inputs lead to; which recordings hold others, and where a state is not led to."""
    series = Series(record)
    begin = series.begin()
    assert begin.snapshot is not None
    site, state = load_site(SITE), load(begin.snapshot.state)
    told: list[ZoneWarning] = []
    broken = 0
    for turn in series.turns(begin):
        if isinstance(turn, Begin):
            assert turn.snapshot is not None
            broken += turn.snapshot.state != save(state)
            state = load(turn.snapshot.state)
            continue
        received |= {one.data for one in turn.inbox if isinstance(one, Datagram)}
        told += step(state, turn.inbox, turn.now_ns, site).warnings
    held = [_plain(w) for r in series.recordings for w in _warnings(r)]
    found = [_plain(w) for w in told]
    unlike = [f"held but not led to: {one['zone']} {one['state']}" for one in held if one not in found]
    return told, broken, unlike


def _warnings(recording: Recording) -> Iterator[ZoneWarning]:
    for topic, _, _, data in recording.messages():
        if topic == "/warnings":
            yield msgspec.json.decode(data, type=ZoneWarning)


def _plain(warning: ZoneWarning) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(warning))
    return found


@contextmanager
def _folder(named: Path | None) -> Iterator[Path]:
    if named is not None:
        named.mkdir(parents=True)
        yield named
    else:
        with tempfile.TemporaryDirectory() as made:
            yield Path(made)


def told_of(result: Result) -> str:
    """The figures, for people."""

    def spread(values: list[float]) -> str:
        ranked = sorted(values)
        return f"median {ranked[len(ranked) // 2]:.2f}, most {ranked[-1]:.2f}"

    stood = [kill for kill in result.kills if kill.standing]
    kept = [kill for kill in stood if kill.standing <= kill.standing_after]
    return "\n".join([
        f"kills                                     {len(result.kills)}, {len(stood)} of them under an alert",
        f"plots lost, s before the kill             {spread(result.lost_s)}",
        f"alarms told to sirens and not recorded    {len(result.lost_commands)} (of {result.commands} commands heard)",
        f"start until ready for plots and sirens, s {spread([kill.ready_s for kill in result.kills])}",
        f"  processor time of that, s               {spread([kill.worked_s for kill in result.kills])}",
        f"start until the page answers, s           {spread([kill.page_s for kill in result.kills])}",
        f"alerts that stood before and after        {len(kept)} of {len(stood)}",
        f"states that the recording does not give   {result.broken}",
        f"recorded decisions that replay differs in {len(result.unlike)} (of {result.warnings})",
    ])  # fmt: skip


def main() -> None:
    """Kill, judge, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--supervised", action="store_true", help="under serve-sites, which starts it again")
    parser.add_argument("--folder", type=Path, help="a new folder in which all is kept")
    asked = parser.parse_args()
    with _folder(asked.folder) as folder:
        kind = Supervised if asked.supervised else Serve
        print(told_of(run(folder, asked.kills, asked.seed, (4.0, 25.0), kind=kind)))


if __name__ == "__main__":
    main()
