"""A drill from the operator's command to siren and phone: announced, marked, ended, and never in place of an alert."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import ClientConnection, connect

from services import Village, write_site


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Village]:
    with Village(tmp_path, write_site(tmp_path)) as running:
        running.start_service()
        for name in ("north", "south"):
            running.start_siren(name)
        running.until(lambda: all(s["state"] == "ok" for s in sirens(running, "north", "south")))
        yield running


def sirens(village: Village, *names: str) -> list[dict[str, Any]]:
    health = village.get("/healthz") or {"sirens": []}
    return [s for s in health["sirens"] if s["id"] in names] or [{"state": "?"}]


def opencram(village: Village, *args: str) -> tuple[int, str]:
    ended = subprocess.run(
        [sys.executable, "-m", "opencram", *args, "--server", village.http],
        env={**os.environ, "XDG_STATE_HOME": str(village.folder / "state"), "OPENCRAM_SECRETS": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout + ended.stderr


class Phone:
    """One that looks at a zone, and notes what it is told."""

    def __init__(self, feed: ClientConnection) -> None:
        self._feed = feed

    def hears(self, kind: str, **equal: Any) -> dict[str, Any]:
        for _ in range(200):
            message = json.loads(self._feed.recv(timeout=20))
            if message["type"] == kind and all(message[k] == v for k, v in equal.items()):
                return dict(message)
        raise AssertionError(f"no {kind} {equal}")


@pytest.fixture
def phone(village: Village) -> Iterator[Phone]:
    with connect(village.http.replace("http", "ws") + "/ws?zone=base") as feed:
        yield Phone(feed)


def commands(village: Village, siren: str) -> list[tuple[str, str, str]]:
    """Siren, kind and status of each command, in order, however often it was said; no two have one id."""
    said = [(c["id"], (c["siren"], c["kind"], c["status"])) for c in village.journal("command", siren=siren)]
    assert len({name for name, _ in said}) == len(set(said))
    return [what for _, what in dict.fromkeys(said)]


def test_a_drill_is_announced_marked_in_every_channel_and_ends_by_itself(village: Village, phone: Phone) -> None:
    assert phone.hears("state")["status"] == "Actual"
    assert opencram(village, "drill", "base", "--announce-s", "2", "--last-s", "2")[0] == 0
    steps = [phone.hears("drill") for _ in range(3)]
    assert [s["phase"] for s in steps] == ["notice", "sounding", "over"]
    assert {s["status"] for s in steps} == {"Exercise"}
    assert steps[1]["time_ms"] >= steps[0]["starts_ms"]
    assert steps[2]["time_ms"] >= steps[0]["ends_ms"]
    assert village.states() == {"base": "quiet", "town": "quiet"}
    kinds = ("drill-notice", "drill", "all-clear")
    for name in ("north", "south"):
        village.until(lambda name=name: commands(village, name) == [(name, kind, "Exercise") for kind in kinds])  # type: ignore[misc]
    village.until(lambda: all(s["state"] == "ok" for s in sirens(village, "north", "south")))


def test_an_alert_stops_a_drill_at_once_and_none_begins_while_it_stands(village: Village, phone: Phone) -> None:
    assert opencram(village, "drill", "--all", "--announce-s", "0", "--last-s", "120")[0] == 0
    phone.hears("drill", phase="sounding")
    village.until(lambda: all(s["state"] == "sounding" for s in sirens(village, "north", "south")))

    assert opencram(village, "alarm", "base") == (0, "operator raised the alarm for base\n")
    alert = phone.hears("warning")
    assert (alert["state"], alert["status"]) == ("alert", "Actual")
    assert phone.hears("drill")["phase"] == "stopped"
    for name in ("north", "south"):
        village.until(lambda name=name: village.journal("answer", siren=name, stage="sounding")[1:])  # type: ignore[misc]
        assert commands(village, name)[-1] == (name, "observed", "Actual")

    status, sentence = opencram(village, "drill", "base", "town")
    assert status == 1
    assert sentence == "opencram: refused: base: found under a real warning, expected none while a drill begins\n"
    assert opencram(village, "all-clear", "base")[0] == 0
    assert phone.hears("warning")["state"] == "all-clear"


def test_a_drill_goes_on_after_a_kill_and_is_told_to_who_looks(village: Village) -> None:
    assert opencram(village, "drill", "base", "--announce-s", "0", "--last-s", "60")[0] == 0
    village.until(lambda: all(s["state"] == "sounding" for s in sirens(village, "north", "south")))
    village.kill("service")
    village.start_service()
    with connect(village.http.replace("http", "ws") + "/ws?zone=base") as feed:
        drills = Phone(feed).hears("state")["drills"]
    assert [(d["phase"], d["zones"], d["status"]) for d in drills] == [("sounding", ["base"], "Exercise")]


def test_two_drills_in_one_zone_are_refused(village: Village) -> None:
    assert opencram(village, "drill", "base")[0] == 0
    status, sentence = opencram(village, "drill", "--all")
    assert (status, sentence) == (1, "opencram: refused: base: found a drill that is not over, expected none\n")
