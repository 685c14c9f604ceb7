"""Several sites side by side: each by itself, started again when it dies, ended in order, refused if in the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from opencram.errors import InputError
from opencram.record.recording import Recording
from opencram.serve.sites import load_sites
from processes import free_port
from services import write_site

FILE = """\
sites:
  - {site: north/site.yaml, http: "127.0.0.1:NORTH", record: kept/north}
  - {site: south/site.yaml, http: "127.0.0.1:SOUTH", keep_days: 90}
"""


def write_sites(folder: Path, text: str = FILE, north: int = 8700, south: int = 8710) -> Path:
    """Two small sites and the file that names both."""
    for name in ("north", "south"):
        (folder / name).mkdir(exist_ok=True)
        site = write_site(folder / name)
        site.write_text(site.read_text().replace("name: small", f"name: {name}"))
    path = folder / "sites.yaml"
    path.write_text(text.replace("NORTH", str(north)).replace("SOUTH", str(south)))
    return path


def test_each_site_is_asked_for_as_by_a_command_of_its_own(tmp_path: Path) -> None:
    north, south = load_sites(write_sites(tmp_path))
    assert (north.label, north.record, north.http) == ("north", tmp_path / "kept/north", "127.0.0.1:8700")
    assert (south.label, south.record, south.rolling.keep_days) == ("south", None, 90)


@pytest.mark.parametrize(("found", "put", "sentence"), [
    ("SOUTH", "8701", r"sites\[1\]: found the address 127.0.0.1:8701, which sites\[0\] has too"),
    ("south/site", "north/site", r"sites\[1\]: found the site north, which sites\[0\] has too"),
    ("keep_days: 90", "record: kept/north", r"found the folder .*kept/north, which sites\[0\] has too"),
    ("keep_days", "keep_day", "keep_day.*keep_days"),
    ("sites:\n", "site:\n", "sites"),
    ("south/site.yaml", "south/sight.yaml", "sight.yaml"),
])  # fmt: skip
def test_what_cannot_run_side_by_side_is_refused_at_once(tmp_path: Path, found: str, put: str, sentence: str) -> None:
    assert found in FILE
    with pytest.raises(InputError, match=sentence):
        load_sites(write_sites(tmp_path, FILE.replace(found, put)))


class Running:
    """`opencram serve-sites` as a process."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, folder / "log"
        self.ports = {"north": free_port(count=2), "south": 0}
        while self.ports["south"] in (0, *(self.ports["north"] + more for more in (-1, 0, 1))):
            self.ports["south"] = free_port(count=2)
        self.path = write_sites(folder, FILE, self.ports["north"], self.ports["south"])
        env = {**os.environ, "XDG_STATE_HOME": str(folder / "state")}
        env.pop("OPENCRAM_SECRETS", None)
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "opencram", "serve-sites", str(self.path)]
            self.process = subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def until(self, what: Callable[[], object], within_s: float = 90.0) -> None:
        ends_s = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < ends_s, self.log.read_text()
            time.sleep(0.05)

    def pids(self, site: str) -> list[int]:
        """The process of each time that a site became ready."""
        return [int(pid) for pid in re.findall(rf"{site}: ready after [\d.]+ s, process (\d+)", self.log.read_text())]

    def states(self, site: str) -> dict[str, str]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.ports[site]}/api/zones", timeout=2.0) as answer:
                return {zone["id"]: zone["state"] for zone in json.load(answer)}
        except OSError:
            return {}

    def alarm(self, site: str, zone: str) -> Any:
        secret = (self.folder / "state/opencram/secrets/operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        url, body = f"http://127.0.0.1:{self.ports[site]}/api/alarm", json.dumps({"zone": zone}).encode()
        try:
            with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=10.0) as answer:
                return answer.status
        except urllib.error.HTTPError as error:  # a busy machine may answer late
            return error.code


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    found = Running(folder)
    try:
        yield found
    finally:
        found.process.kill()
        found.process.wait()
        for pid in (*found.pids("north"), *found.pids("south")):
            gone_within(pid, 20.0)


def gone_within(pid: int, seconds: float) -> None:
    ends_s = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and time.monotonic() < ends_s:
        time.sleep(0.05)
    assert not Path(f"/proc/{pid}").exists()


def test_a_site_that_is_killed_comes_back_with_its_alarm_and_the_other_never_notices(tmp_path: Path) -> None:
    with running(tmp_path) as sites:
        sites.until(lambda: sites.pids("north") and sites.pids("south") and sites.states("north"))
        sites.until(lambda: sites.alarm("north", "base") == 200)
        os.kill(sites.pids("north")[0], signal.SIGKILL)
        sites.until(lambda: len(sites.pids("north")) == 2)
        sites.until(lambda: sites.states("north").get("base") == "alert")
        sites.until(lambda: sites.states("south") == {"base": "quiet", "town": "quiet"})
        assert len(sites.pids("south")) == 1
        assert "north: ended with status -9" in sites.log.read_text()

        sites.process.send_signal(signal.SIGHUP)
        sites.until(lambda: sites.log.read_text().count("the zones stay as they are") == 2)

        sites.process.send_signal(signal.SIGTERM)
        assert sites.process.wait(30.0) == 0, sites.log.read_text()
        (*_, last) = sorted((tmp_path / "kept/north").glob("*.mcap"))
        recording = Recording(last)
        assert len(list(recording.ticks())) > 0
        assert not recording.truncated, "it has ended in good order"
        assert "Traceback" not in sites.log.read_text()


def test_services_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as sites:
        sites.until(lambda: sites.pids("north") and sites.pids("south"))
        sites.process.kill()
        sites.process.wait()
        for site in ("north", "south"):
            gone_within(sites.pids(site)[0], 20.0)


def test_one_that_hangs_is_killed_and_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that is stopped says nothing: the supervisor's patience is shortened for it."""
    import opencram.serve.supervisor as supervisor

    said: list[str] = []

    class Log:
        def say(self, line: str, *_: object, **__: object) -> None:
            said.append(line)

    monkeypatch.setattr(supervisor, "SILENT_S", 1.5)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    text = FILE[: FILE.index("  - {site: south")]
    asked = load_sites(write_sites(tmp_path, text, free_port(count=2)))
    (tmp_path / "run").mkdir()
    found = supervisor.Supervisor(asked, tmp_path / "run", Log())  # type: ignore[arg-type]
    hung = []

    def look() -> None:
        ready = [int(pid) for line in said for pid in re.findall(r"ready after [\d.]+ s, process (\d+)", line)]
        if ready and not hung:
            os.kill(ready[0], signal.SIGSTOP)
            hung.append(ready[0])
        if len(ready) == 2:
            found.stop()

    monkeypatch.setattr(found, "_wait", lambda: (look(), time.sleep(0.05)))
    found.run()
    assert any("nothing was heard of it for 1.5 s: it is killed" in line for line in said)
    gone_within(hung[0], 5.0)
