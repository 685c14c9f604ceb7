"""Real processes for tests: a service and software sirens on the loopback, with tokens and state of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import free_port

SITE = """\
name: small
origin: {lat: 33.3, lon: 44.4, height_m: 0}
zones: zones.geojson
sensors:
  - id: radar
    position: {lat: 33.3, lon: 44.4}
    range_sigma_m: 10
    azimuth_sigma_mrad: 2
    elevation_sigma_mrad: 2
    update_s: 0.1
sirens:
  - {id: north, position: {lat: 33.302, lon: 44.4}, zones: [base], audible_m: 500}
  - {id: south, position: {lat: 33.298, lon: 44.4}, zones: [base], audible_m: 500}
  - {id: east, position: {lat: 33.3, lon: 44.405}, zones: [town], audible_m: 800}
policy: {all_clear_s: ALL_CLEAR, operator_alarm_s: ALARM}
"""


def write_site(folder: Path, all_clear_s: float = 30.0, operator_alarm_s: float = 600.0) -> Path:
    """A site with three sirens; its YAML."""
    from small_site import lonlat

    features = []
    for name, east_m in (("base", 0.0), ("town", 500.0)):
        corners = [lonlat(east_m + e, n) for e, n in ((-200, -200), (200, -200), (200, 200), (-200, 200), (-200, -200))]
        shape = {"type": "Polygon", "coordinates": [corners]}
        properties = {"id": name, "name": name, "kind": "base", "people": 100, "time_to_shelter_s": 10}
        features.append({"type": "Feature", "properties": properties, "geometry": shape})
    (folder / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    text = SITE.replace("ALL_CLEAR", str(all_clear_s)).replace("ALARM", str(operator_alarm_s))
    path = folder / "site.yaml"
    path.write_text(text)
    return path


class Village:
    """A service and its sirens as processes; use it as a context manager, which ends them all."""

    def __init__(self, folder: Path, site: str | Path, *options: str) -> None:
        self.folder, self.site, self.options = folder, site, options
        self.record = folder / "record"
        self.http = f"http://127.0.0.1:{(port := free_port(count=2))}"
        self._port = port
        self._env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        self._env.pop("OPENCRAM_SECRETS", None)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._starts = 0

    def __enter__(self) -> Village:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            process.wait()

    def start_service(self) -> None:
        """Start it and wait until it answers."""
        address = f"127.0.0.1:{self._port}"
        self._start("service", "serve", str(self.site), "--http", address, "--record", str(self.record), *self.options)
        self.until(lambda: self.get("/healthz"), 60.0)

    def start_siren(self, name: str, *options: str) -> None:
        """Start a siren."""
        self._start(name, "siren", name, "--server", self.http, *options)

    def kill(self, name: str) -> None:
        """kill -9; of a service, until its web process has gone too."""
        self.processes[name].kill()
        self.processes[name].wait()
        if name == "service":
            self.until(lambda: self.get("/healthz") is None)

    def end(self, name: str) -> str:
        """Ask a process to end; all that its starts have written."""
        self.processes[name].send_signal(signal.SIGTERM)
        assert self.processes[name].wait(10.0) == 0, self.output(name)
        return self.output(name)

    def output(self, name: str) -> str:
        """What a process has written so far."""
        return (self.folder / f"{name}.log").read_text()

    def get(self, path: str) -> Any:
        """A page as JSON; None where there is no answer."""
        try:
            with urllib.request.urlopen(self.http + path, timeout=2.0) as answer:
                return json.load(answer)
        except (OSError, ValueError):
            return None

    def text(self, path: str) -> tuple[int, str]:
        """A page as text."""
        with urllib.request.urlopen(self.http + path, timeout=5.0) as answer:
            return answer.status, answer.read().decode()

    def post(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """An operator's act, with the operator's token."""
        secret = (self.folder / "state/opencram/secrets/operator.token").read_text().strip()
        headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        asked = urllib.request.Request(self.http + path, json.dumps(body).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(asked, timeout=5.0) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def journal(self, what: str, **equal: Any) -> list[dict[str, Any]]:
        """The lines of sirens.jsonl of one kind, with these values."""
        path = self.record / "sirens.jsonl"
        whole = path.read_text().split("\n")[:-1] if path.exists() else []
        lines = [json.loads(line) for line in whole]
        return [x for x in lines if x["what"] == what and all(x.get(k) == v for k, v in equal.items())]

    def states(self) -> dict[str, str]:
        """Each zone's state."""
        return {zone["id"]: zone["state"] for zone in self.get("/api/zones") or []}

    def until(self, what: Callable[[], object], within_s: float = 30.0) -> None:
        """Wait until something is so."""
        ends_s = time.monotonic() + within_s
        while not what():
            assert time.monotonic() < ends_s, "\n".join(f"{name}:\n{self.output(name)}" for name in self.processes)
            time.sleep(0.05)

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "opencram", *arguments], env=self._env, stdout=log, stderr=log
            )
