"""The outlets beside the sirens: a thread that is told without waiting, and what it does when something fails."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from made_up_run import NS, T0, WARNINGS, warning, write_site
from opencram.outputs.cap_folder import CapFolder, feed_head
from opencram.outputs.source import Provenance, Source
from opencram.serve.link import Drill, TrackSeen
from opencram.serve.outlets import Outlets, drill_warnings, ways_of
from opencram.site import Site

CAP = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
APPEND = "import json,os,sys; m=json.load(sys.stdin); open(sys.argv[1],'a').write(m['status']+' '+m['state']+chr(10))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"))


class Bench:
    """Outlets of all kinds in a folder: CAP, a hook that writes down what it is told, TAK over a datagram."""

    def __init__(self, site: Site, folder: Path, provenance: Provenance, statuses: str = "[Actual]") -> None:
        self.site, self.folder, self.provenance, self.statuses = site, folder, provenance, statuses
        self.hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.hears.bind(("127.0.0.1", 0))
        self.hears.settimeout(5.0)
        self.told = folder / "told"
        self.told.touch()

    def outlets(self, run: str = "first") -> Outlets:
        source = Source("opencram.made-up", run, self.provenance)
        run_ = json.dumps([sys.executable, "-c", APPEND, str(self.told)])
        hooks = self.folder / "hooks.yaml"
        hooks.write_text(f"hooks:\n  - {{name: bell, statuses: {self.statuses}, run: {run_}}}\n")
        tak = f"udp://127.0.0.1:{self.hears.getsockname()[1]}"
        cap = CapFolder(self.folder / "cap", feed_head(self.site, source, ""), T0)
        return Outlets(self.site, source, lambda: T0, cap, *ways_of(self.site, hooks, [tak], lambda: T0))

    def messages(self) -> list[Any]:
        files = [p for p in (self.folder / "cap").glob("*.xml") if p.name != "atom.xml"]
        return [etree.fromstring(p.read_bytes()) for p in sorted(files, key=lambda p: p.name)]

    def events(self, n: int) -> list[Any]:
        return [etree.fromstring(self.hears.recv(65_536)) for _ in range(n)]


@pytest.fixture
def bench(site: Site, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    made: list[Bench] = []

    def make(provenance: Provenance = Provenance.LIVE, statuses: str = "[Actual]") -> Bench:
        made.append(Bench(site, tmp_path, provenance, statuses))
        return made[-1]

    yield make
    for one in made:
        one.hears.close()


def texts(root: Any, tag: str) -> list[str]:
    return [e.text or "" for e in root.iterfind(f"c:{tag}", CAP)]


def test_all_are_told_and_close_waits_for_them(bench: Callable[..., Bench]) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.start()
    for w in WARNINGS[:3]:
        outlets.tell(w)
    outlets.close()
    assert [texts(m, "identifier")[0] for m in b.messages()] == [f"first.{i:05d}" for i in (1, 2, 3)]
    assert b.told.read_text().splitlines() == ["Actual pre-alert", "Actual alert", "Actual alert"]


def test_tak_is_shown_the_tracks_and_the_zones(bench: Callable[..., Bench]) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.show(
        (TrackSeen(track=3, cls="unknown", lat=33.3, lon=44.4, height_m=9, east_mps=0, north_mps=1, up_mps=0),)
    )
    outlets.start([WARNINGS[1]])
    shown = {event.get("type") for event in b.events(2)}
    outlets.close()
    assert shown == {"a-u-A", "u-d-f"}


@pytest.mark.parametrize("provenance", [Provenance.SIMULATION, Provenance.REPLAY])
def test_nothing_of_a_simulation_is_actual_anywhere(bench: Callable[..., Bench], provenance: Provenance) -> None:
    b = bench(provenance, "[Actual, Exercise, Test]")
    outlets = b.outlets()
    outlets.start([WARNINGS[1]])
    (event,) = b.events(1)
    for w in WARNINGS:
        outlets.tell(w)
    outlets.close()
    status = "Exercise" if provenance is Provenance.SIMULATION else "Test"
    assert len(b.messages()) == len(WARNINGS) + 1
    assert {s for m in b.messages() for s in texts(m, "status")} == {status}
    assert event.get("opex") == "s-opencram"
    assert {line.split()[0] for line in b.told.read_text().splitlines()} == {status}
    assert (b.folder / "cap" / "atom.xml").read_text().count(f"<title>{status.upper()} – ") == len(WARNINGS) + 2


def test_by_default_a_simulation_rings_no_bell(bench: Callable[..., Bench]) -> None:
    b = bench(Provenance.SIMULATION)
    outlets = b.outlets()
    outlets.start()
    for w in WARNINGS:
        outlets.tell(w)
    outlets.close()
    assert b.told.read_text() == ""


def step(phase: Any, at_s: float = 0.0) -> Drill:
    start = T0 + 60 * NS
    return Drill(seq=0, drill="d", zones=("inner", "east"), phase=phase, time_ns=T0 + round(at_s * NS), starts_ns=start,
                 ends_ns=start + 30 * NS, by="operator")  # fmt: skip


def test_a_drill_is_announced_sounds_and_ends_as_an_exercise(bench: Callable[..., Bench]) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.start()
    for phase, at_s in (("notice", 0.0), ("sounding", 60.0), ("over", 90.0)):
        outlets.tell_drill(step(phase, at_s))
    outlets.close()
    told = b.messages()
    assert {s for m in told for s in texts(m, "status")} == {"Exercise"}
    inner = [m for m in told if m.findtext(".//c:geocode/c:value", namespaces=CAP) == "inner"]
    assert [texts(m, "msgType")[0] for m in inner] == ["Alert", "Update", "Update"]
    assert inner[0].findtext("c:info/c:onset", namespaces=CAP) == "2020-11-17T17:31:00-00:00"
    assert b.told.read_text() == ""


def test_a_drill_that_a_warning_stops_is_called_off() -> None:
    (first, _) = drill_warnings(step("stopped"))
    assert (first.state, first.kind) == ("cancel", "drill")


def test_after_a_restart_what_stands_is_taken_up_and_what_ended_is_ended(bench: Callable[..., Bench]) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.start()
    outlets.tell(warning(0.0, "inner", "alert", (1,)))
    outlets.tell(warning(0.0, "east", "alert", (2,)))
    outlets.close()
    rung = b.told.read_text()
    again = b.outlets("second")
    again.start([warning(0.0, "inner", "alert", (1,))])
    again.close()
    first, second = b.messages()[:2], b.messages()[2:]
    names = [",".join(texts(m, tag)[0] for tag in ("sender", "identifier", "sent")) for m in first]
    assert [texts(m, "msgType") for m in second] == [["Update"], ["Update"]]
    assert [texts(m, "references") for m in second] == [[names[1]], [names[0]]]
    assert [texts(m.find("c:info", CAP), "responseType") for m in second] == [["AllClear"], ["Shelter"]]
    assert b.told.read_text() == rung, "hooks are not told twice"


def test_a_service_that_lost_its_state_gives_no_all_clear(bench: Callable[..., Bench]) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.start()
    outlets.tell(warning(0.0, "inner", "alert", (1,)))
    outlets.close()
    again = b.outlets("second")
    again.start(whole=False)
    again.close()
    assert len(b.messages()) == 1


def test_a_simulation_ends_no_real_alert_of_the_process_before(bench: Callable[..., Bench]) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.start()
    outlets.tell(warning(0.0, "inner", "alert", (1,)))
    outlets.close()
    b.provenance = Provenance.SIMULATION
    again = b.outlets("second")
    again.start()
    again.close()
    assert len(b.messages()) == 1


def test_telling_takes_no_time_whatever_hangs(bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> None:
    b = bench()
    outlets = b.outlets()
    outlets.start()
    release = time.monotonic() + 1.0
    monkeypatch.setattr(outlets._cap, "add", lambda _: time.sleep(max(release - time.monotonic(), 0.0)))
    began = time.monotonic()
    for i in range(500):
        outlets.tell(warning(float(i), "inner", "update", (1,)))
    took = time.monotonic() - began
    outlets.close()
    assert took < 0.5


def test_a_disk_that_is_full_is_told_and_the_hooks_ring_on(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise OSError(28, os.strerror(28))

    b = bench()
    outlets = b.outlets()
    outlets.start()
    monkeypatch.setattr(outlets._cap, "add", full)
    outlets.tell(WARNINGS[1])
    ends_s = time.monotonic() + 5.0
    while "cap: not written" not in outlets.counts and time.monotonic() < ends_s:
        time.sleep(0.02)
    outlets.close()
    assert outlets.counts["cap: not written"] == 1
    assert "No space left" in outlets.notes[0]
    assert b.told.read_text() == "Actual alert\n"


@pytest.mark.parametrize("broken", ["_writer.message", "_picture.tell", "_picture.events"])
def test_a_fault_in_one_channel_leaves_the_others_to_it(
    bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("as a test")

    b = bench()
    outlets = b.outlets()
    part, name = broken.split(".")
    monkeypatch.setattr(getattr(outlets, part), name, fail)
    outlets.start()
    outlets.tell(WARNINGS[1])
    outlets.tell(WARNINGS[2])
    ends_s = time.monotonic() + 5.0
    while "ZeroDivisionError" not in str(outlets.notes) and time.monotonic() < ends_s:
        time.sleep(0.02)
    outlets.close()
    assert b.told.read_text() == "Actual alert\nActual alert\n"
    assert len(b.messages()) == (0 if part == "_writer" else 2)
    assert "ZeroDivisionError: as a test" in outlets.notes[0]


def test_what_waits_is_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencram.serve.outlets.MAX_WAITING", 3)
    outlets = Outlets(site, Source("s", "r", Provenance.LIVE), lambda: T0)
    for w in WARNINGS:
        outlets.tell(w)  # the thread is not running
    assert [w for _, w in outlets._waiting] == list(WARNINGS[-3:])
    assert outlets._counted["warnings not told on"] == len(WARNINGS) - 3


def test_what_is_wrong_with_an_outline_is_said_at_once(site: Site) -> None:
    bow = ((44.40, 33.30), (44.41, 33.31), (44.41, 33.30), (44.40, 33.31), (44.40, 33.30))
    broken = site.model_copy(update={"zones": (site.zones[0].model_copy(update={"rings": ((bow,),)}), *site.zones[1:])})
    outlets = Outlets(broken, Source("s", "r", Provenance.LIVE), lambda: T0)
    asyncio.run(_once(outlets))
    assert "the outline of zone inner cannot be told: found it crossing itself" in outlets.notes[0]


async def _once(outlets: Outlets) -> None:
    outlets._sum_up()
