"""The service as a process, with CAP, a hook and TAK: told of an operator's alarm, killed, and gone on with."""

from __future__ import annotations

import contextlib
import json
import socket
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from services import Village, write_site

ATOM = {"a": "http://www.w3.org/2005/Atom"}
CAP = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
APPEND = "import json,os,sys; m=json.load(sys.stdin); open(sys.argv[1],'a').write(m['status']+' '+m['state']+chr(10))"


@pytest.fixture
def hears() -> Any:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as hears:
        hears.bind(("127.0.0.1", 0))
        hears.settimeout(30.0)
        yield hears


def hooks(folder: Path, statuses: str) -> Path:
    run = json.dumps([sys.executable, "-c", APPEND, str(folder / "told")])
    (folder / "hooks.yaml").write_text(f"hooks:\n  - {{name: bell, statuses: {statuses}, run: {run}}}\n")
    (folder / "told").touch()
    return folder / "hooks.yaml"


def read(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5.0) as answer:
        return etree.fromstring(answer.read())


def feed(village: Village) -> list[Any]:
    """The messages that the feed links to, oldest first; none while a killed service is not yet back."""
    try:
        links = read(f"{village.http}/cap/atom.xml").iterfind("a:entry/a:link", ATOM)
        return [read(link.get("href")) for link in reversed(list(links))]
    except OSError:
        return []


def heard(hears: socket.socket) -> Iterator[Any]:
    """The events that have arrived."""
    hears.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            yield etree.fromstring(hears.recv(65_536))


def said(message: Any, *tags: str) -> list[str]:
    return [message.findtext("/".join(f"c:{t}" for t in tag.split("/")), namespaces=CAP) for tag in tags]


def test_an_alarm_is_told_everywhere_and_its_end_refers_to_it_after_a_kill(
    tmp_path: Path, hears: socket.socket
) -> None:
    options = ("--hooks", str(hooks(tmp_path, "[Actual]")), "--tak", f"udp://127.0.0.1:{hears.getsockname()[1]}")
    with Village(tmp_path, write_site(tmp_path, all_clear_s=2.0), *options) as village:
        village.start_service()
        assert read(f"{village.http}/cap/atom.xml").find("a:entry", ATOM) is None
        assert village.get("/api/phrases")["spoken"]["alert"]["any"]["en"] == "Alert. Take cover now."
        assert village.post("/api/alarm", {"zone": "base"})[0] == 200
        village.until(lambda: feed(village))
        village.until(lambda: (tmp_path / "told").read_text())
        event = etree.fromstring(hears.recv(65_536))
        assert (event.get("type"), event.get("opex"), event.get("how")) == ("u-d-f", "o", "m-c")
        (alert,) = feed(village)
        assert said(alert, "status", "msgType", "info/responseType") == ["Actual", "Alert", "Shelter"]
        assert village.post("/api/drill", {"zones": ["town"], "announce_s": 0.1, "last_s": 1})[0] == 200
        village.until(lambda: [said(m, "status")[0] for m in feed(village)].count("Exercise") == 3)
        village.kill("service")

        village.start_service()
        village.until(lambda: len(feed(village)) == 5)
        reference = ",".join(said(alert, "sender", "identifier", "sent"))
        assert said(feed(village)[-1], "msgType", "references") == ["Update", reference]
        assert village.post("/api/all-clear", {"zone": "base"})[0] == 200
        village.until(lambda: len(feed(village)) == 6)
        village.until(lambda: (tmp_path / "told").read_text().count("\n") == 2)
        ended = feed(village)[-1]
        assert said(ended, "status", "msgType", "info/responseType") == ["Actual", "Update", "AllClear"]
        assert (tmp_path / "told").read_text() == "Actual alert\nActual all-clear\n"
        village.end("service")


def test_a_played_raid_is_an_exercise_in_cap_hooks_and_tak(tmp_path: Path, hears: socket.socket) -> None:
    hook = hooks(tmp_path, "[Exercise, Actual, Test]")
    tak = f"udp://127.0.0.1:{hears.getsockname()[1]}"
    options = ("--play", "baghdad-2020-11-17", "--hooks", str(hook), "--tak", tak)
    with Village(tmp_path, "baghdad-embassy", *options) as village:
        village.start_service()
        events = []

        def alerted() -> bool:
            events.extend(heard(hears))
            types = {event.get("type") for event in events}
            return " alert" in (tmp_path / "told").read_text() and {"u-d-f", "u-d-c-e", "a-k-A-W-M-S-S"} <= types

        village.until(alerted, 40.0)
        village.end("service")
        messages = [etree.fromstring(p.read_bytes()) for p in (village.record / "cap").glob("2*.xml")]
    events += heard(hears)
    assert messages
    assert {said(m, "status")[0] for m in messages} == {"Exercise"}
    assert {line.split()[0] for line in (tmp_path / "told").read_text().splitlines()} == {"Exercise"}
    assert {(e.get("opex"), e.get("how")) for e in events} == {("s-opencram", "m-s")}
    assert not [e for e in events if e.get("type").startswith(("a-h", "a-s"))]


def test_a_bad_hook_or_address_is_refused_before_anything_begins(tmp_path: Path) -> None:
    import subprocess

    site = write_site(tmp_path)
    (tmp_path / "hooks.yaml").write_text("hooks:\n  - {name: a, url: 'http://h/', zones: [bas]}\n")
    for options, words in (
        (("--hooks", str(tmp_path / "hooks.yaml")), "found the zone 'bas', expected"),
        (("--tak", "239.2.3.1"), "--tak: found '239.2.3.1', expected udp://HOST:PORT or tcp://HOST:PORT"),
    ):
        command = [sys.executable, "-m", "opencram", "serve", str(site), "--record", str(tmp_path / "record"), *options]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert ended.returncode == 2
        assert words in ended.stderr
        assert ended.stderr.count("\n") == 1
        assert not (tmp_path / "record").exists()
