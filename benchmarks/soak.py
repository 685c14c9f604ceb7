"""Hours of traffic at speed through the live path: is memory flat, does a queue grow, does the recording say the same?

The service's own loop is turned by a clock that jumps from tick to tick; all else is as it is: a world's radars send
real datagrams over UDP, the receiver takes them, each tick is recorded, stepped, recorded, handed to the sirens' desk,
told and drawn. A raid every ten minutes, false plots and silence in between. At the end every recorded tick is stepped
again: the decisions and the whole state must be the same. Not in it, for they go by clocks of their own: sirens that
answer, the web process and the outlets.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import socket
import sys
import tempfile
import time
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path

import numpy as np

from made_up import given, place, square
from opencram.console import Console
from opencram.pipeline import step
from opencram.record.digest import DecisionDigest
from opencram.record.recording import Tick
from opencram.record.series import Series
from opencram.serve.keep import Keeper, Resumed
from opencram.serve.link import Picture, frame
from opencram.serve.radars import PlayedRadars
from opencram.serve.service import Service
from opencram.serve.sources import Played
from opencram.serve.udp import Endpoint, Receiver
from opencram.site import Site
from opencram.state import digest, load
from opencram.tables import Outbox
from opencram.world.scenario import Scenario
from processes import free_port, resident_mb

START_NS = 1_800_000_000_000_000_000
PLAY_S = 600.0
BURST_NS = 10_000_000
SAMPLES = 40
"""Memory and queues are looked at so often."""


class JumpingClock:
    """The service's clock, that stands still until it is told to jump."""

    def __init__(self) -> None:
        self.ns = START_NS

    def now_ns(self) -> int:
        return self.ns

    def ahead_ns(self) -> int:
        return 0

    def slew(self) -> None:
        pass


class Shown:
    """Stands for the web process: what it is told is encoded as for the link, and counted."""

    def __init__(self) -> None:
        self.pictures = self.words = 0

    def show(self, picture: Picture) -> None:
        frame(picture)
        self.pictures += 1

    def tell(self, *_: object) -> None:
        self.words += 1

    tell_drill = reply = tell


def soak_site(update_s: float) -> Site:
    """Three zones with a siren each, and one radar that speaks ASTERIX."""
    zones, sirens = [], []
    for i in range(3):
        east_m = 900.0 * (i - 1)
        zones.append(
            {"id": f"zone-{i}", "title": {"en": f"zone {i}"}, "kind": "base", "rings": ((square(east_m, 0.0, 300.0),),)}
        )
        sirens.append({"id": f"siren-{i}", "position": place(east_m, 0.0), "zones": [f"zone-{i}"]})
    radar = {
        "id": "radar", "position": place(0, 0), "range_sigma_m": 10.0, "azimuth_sigma_mrad": 2.0,
        "elevation_sigma_mrad": 2.0, "update_s": update_s, "detection": 0.9, "false_plots_per_scan": 3,
        "asterix": {"sac": 1, "sic": 1},
    }  # fmt: skip
    return Site.model_validate(
        {"name": "soak", "origin": place(0, 0), "zones": zones, "sensors": [radar], "sirens": sirens}
    )


def raid() -> Scenario:
    """Six rockets on the middle zone, and then nothing until the ten minutes are over."""
    group = {
        "id": "salvo", "kind": "salvo", "threat": given("rocket-122"), "count": given(6), "first_s": given(60.0),
        "spacing_s": given({"least": 0.5, "most": 2.0}), "from_deg": given(70.0),
        "elevation_deg": given({"least": 40.0, "most": 45.0}), "dispersion_m": given(200.0),
        "aims": [{"zone": given("zone-1"), "at": given(place(0, 0))}] * 6,
    }  # fmt: skip
    return Scenario.model_validate(
        {
            "name": "soak", "title": {"en": "soak", "fr": "endurance"}, "site": "soak", "duration_s": given(PLAY_S),
            "start": given("2026-01-01T00:00:00Z"), "defence": given(False), "groups": [group],
        }
    )  # fmt: skip


@dataclass
class Soaked:
    """What came of it."""

    ticks: int = 0
    alerts: int = 0
    datagrams: int = 0
    memory_mb: list[float] = field(default_factory=list)
    queued: list[int] = field(default_factory=list)
    """The most that waited anywhere, sample by sample."""
    dropped: dict[str, int] = field(default_factory=dict)
    decisions: tuple[str, str] = ("", "")
    """Digests, live and of the recording stepped again;"""
    states: tuple[str, str] = ("", "")
    """likewise of the state at the end."""

    @property
    def growth_mb(self) -> float:
        """By how much the memory of the last quarter exceeds that of the second."""
        quarter = len(self.memory_mb) // 4
        return float(np.median(self.memory_mb[-quarter:]) - np.median(self.memory_mb[quarter : 2 * quarter]))

    @property
    def faults(self) -> list[str]:
        """What is not as it should be."""
        half = len(self.queued) // 2
        found = {
            f"memory grew by {self.growth_mb:.1f} MB": self.growth_mb > 16.0,
            f"a queue grew to {max(self.queued[half:])}": max(self.queued[half:]) > 2 * max(*self.queued[:half], 8),
            f"dropped: {self.dropped}": bool(self.dropped),
            "nobody was alerted": not self.alerts,
            "the recording leads to other decisions": self.decisions[0] != self.decisions[1],
            "the recording leads to another state": self.states[0] != self.states[1],
        }
        return [what for what, so in found.items() if so]


def memory_mb() -> float:
    """Resident memory of this process, without what is only waiting to be collected."""
    gc.collect()
    return resident_mb()


class Soak:
    """A service in this process, and its source."""

    def __init__(self, folder: Path, update_s: float) -> None:
        self.site, self.clock, self.found, self.told = soak_site(update_s), JumpingClock(), Soaked(), DecisionDigest()
        self.receiver = Receiver(self.clock.now_ns, simulated=True)
        self.at = Endpoint("127.0.0.1", free_port(socket.SOCK_DGRAM))
        self.receiver.listen(self.at)
        self.source = self._source(0)
        keeper = Keeper(folder, self.site, self.source.provenance)
        tokens = {siren.id: f"token of {siren.id} in the benchmark".encode() for siren in self.site.sirens}
        self.console = Console(StringIO())
        self.service = Service(self.site, self.source, self.clock, keeper, Resumed(), tokens, self.console)  # type: ignore[arg-type]
        self.service.web = Shown()  # type: ignore[assignment]
        keeper.begin(self.service.state, self.clock.ns)

    def _source(self, seed: int) -> PlayedRadars:
        start_ns = (self.clock.ns + 500_000_000) // 1_000 * 1_000
        return PlayedRadars(Played(raid(), self.site, seed, start_ns), self.site, self.receiver, self.at, BURST_NS)

    async def run(self, minutes: float) -> None:
        """Turn the loop until so much time is over."""
        ends_ns, played = START_NS + round(minutes * 60e9), 0
        while self.clock.ns < ends_ns:
            if self.source._played._ready is None and self.clock.ns > self.source._played.end_ns:
                played += 1
                self.source._sender.close()
                self.source = self.service.source = self._source(played)
            self.source.prepare()
            due_ns = self.source.due_ns(self.service.keeper.now_ns, self.clock.ns)
            self.clock.ns = max(self.clock.ns, due_ns)
            outbox = self.service.turn(due_ns)
            assert isinstance(outbox, Outbox), self.service.notes
            self._note(outbox)
            await asyncio.sleep(0.0)  # the loop reads what was sent
            await asyncio.sleep(0.0)
            if (self.clock.ns - START_NS) / (ends_ns - START_NS) * SAMPLES >= len(self.found.memory_mb) + 1:
                self._sample()

    def _note(self, outbox: Outbox) -> None:
        self.told.add(outbox)
        self.found.ticks += 1
        self.found.alerts += sum(warning.state == "alert" for warning in outbox.warnings)

    def _sample(self) -> None:
        console = self.console._out
        assert isinstance(console, StringIO)
        console.seek(0)
        console.truncate()
        self.found.memory_mb.append(memory_mb())
        self.found.queued.append(max(self.service._queues().values()))

    def close(self) -> Soaked:
        """End it, and step all that was recorded again."""
        self.found.dropped = self.receiver.counts()
        self.found.datagrams = sum(sender.taken for sender in self.receiver.senders.values())
        live = self.told.hexdigest(), digest(self.service.state)
        self.service.close()
        self.console.close()
        self.source.close()
        again = stepped_again(self.service.keeper.folder, self.site)
        self.found.decisions, self.found.states = (live[0], again[0]), (live[1], again[1])
        return self.found


def stepped_again(folder: Path, site: Site) -> tuple[str, str]:
    """Digests of the decisions and of the last state that a folder's recordings lead to, from the first's beginning."""
    told, series = DecisionDigest(), Series(folder)
    begin = series.begin()
    assert begin.snapshot is not None
    state = load(begin.snapshot.state)
    for turn in series.turns(begin):
        if isinstance(turn, Tick):
            told.add(step(state, turn.inbox, turn.now_ns, site))
    return told.hexdigest(), digest(state)


async def soak(folder: Path, minutes: float, update_s: float) -> Soaked:
    """So many minutes of a radar that looks every `update_s`."""
    one = Soak(folder, update_s)
    await one.run(minutes)
    return one.close()


def main() -> None:
    """Print what came of it; status 1 where something is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=360.0, help="simulated minutes (default 360)")
    parser.add_argument("--update-s", type=float, default=0.1, help="how often the radar looks (default 0.1)")
    args = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(soak(Path(folder), args.minutes, args.update_s))
    took_s = time.monotonic() - began_s
    print(f"{args.minutes:g} minutes in {took_s:.0f} s: {found.ticks:,} ticks, {found.datagrams:,} datagrams")
    print(f"alerts {found.alerts}; processor time {time.process_time():.0f} s, the replay's too")
    by_quarter = np.array_split(np.array(found.memory_mb), 4)
    print("memory MB, median by quarter: " + ", ".join(f"{np.median(q):.1f}" for q in by_quarter))
    print("most that waited, by quarter: " + ", ".join(f"{q.max()}" for q in np.array_split(np.array(found.queued), 4)))
    print("decisions live and again: " + " ".join(text[:16] for text in found.decisions))
    print("states live and again:    " + " ".join(text[:16] for text in found.states))
    for fault in found.faults:
        print(f"FAULT: {fault}")
    sys.exit(1 if found.faults else 0)


if __name__ == "__main__":
    main()
