"""A service in earnest as a process of its own, and what a radar sends it over UDP: a raid in real time, and noise."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, Self

import numpy as np

from opencram.asterix.write import encode_plots
from opencram.serve.sources import NoSensors, Played
from opencram.serve.udp import Endpoint, Transmitter
from opencram.site import Sensor, load_site
from opencram.tables import PlotRows
from opencram.world.scenario import load_scenario
from processes import free_port, health, resident_mb, until

BURSTS = 12
"""So many different looks full of noise are sent by turns."""


class LiveService:
    """`opencram serve` for `site`, listening for radars; use it as a context manager."""

    def __init__(self, folder: Path, site: str | Path, *options: str) -> None:
        self.folder, self.record = folder, folder / "record"
        self.port, self.http_port = free_port(socket.SOCK_DGRAM), free_port(count=2)
        self.http = f"http://127.0.0.1:{self.http_port}"
        self._arguments = [
            *("serve", str(site), "--http", f"127.0.0.1:{self.http_port}", "--record", str(self.record)),
            *("--asterix", f"127.0.0.1:{self.port}", *options),
        ]
        self.env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        self.env.pop("OPENCRAM_SECRETS", None)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.begin()
        until(self.health, 120.0)
        return self

    def begin(self) -> int:
        """Begin the process, which is not there yet; its number."""
        with (self.folder / "service.log").open("ab") as log:
            command = [sys.executable, "-m", "opencram", *self._arguments]
            self.process = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)
        return self.process.pid

    def __exit__(self, *_: object) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(20.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def health(self) -> dict[str, Any] | None:
        """What /healthz says; None where nothing answers."""
        return health(self.http)

    def figures(self) -> dict[str, float]:
        """/metrics, by name and labels."""
        with urllib.request.urlopen(f"{self.http}/metrics", timeout=5.0) as answer:
            lines = answer.read().decode().splitlines()
        return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}

    def late(self, over_s: float) -> int:
        """How many ticks so far began later than `over_s` (a bound of the histogram) after their time."""
        found = self.figures()
        count = found.get('opencram_tick_seconds_count{stage="late"}', 0.0)
        return round(count - found.get(f'opencram_tick_seconds_bucket{{stage="late",le="{over_s}"}}', 0.0))

    def commands(self) -> list[dict[str, Any]]:
        """Each command to a siren, as the journal has it."""
        path = self.record / "sirens.jsonl"
        lines = path.read_text().split("\n")[:-1] if path.exists() else []
        return [line for line in map(json.loads, lines) if line["what"] == "command"]

    def memory_mb(self) -> float:
        """Resident memory of the pipeline's process."""
        assert self.process is not None
        return resident_mb(self.process.pid)


class Noise:
    """False plots all over what one sensor sees, so many a second, encoded beforehand."""

    def __init__(self, sensor: Sensor, plots_per_s: float, seed: int = 0) -> None:
        assert sensor.asterix is not None
        self.update_s, self._due_s, self._looks = sensor.update_s, 0.0, list[tuple[bytes, list[bytes]]]()
        rng, count = np.random.default_rng(seed), max(1, round(plots_per_s * sensor.update_s))
        for k in range(BURSTS):
            time_s = 1_600_000_000.0 + k
            plots = noise(sensor, count, time_s, rng)
            self._looks.append((_stamp(time_s), encode_plots(plots, sensor.asterix.sac, sensor.asterix.sic, False)))
        self.count, self.sent = count, 0

    def send(self, sender: Transmitter, now_s: float) -> None:
        """Send a look, if one is due."""
        if now_s < self._due_s:
            return
        self._due_s = max(self._due_s + self.update_s, now_s - self.update_s)
        was, datagrams = self._looks[self.sent // self.count % BURSTS]
        sender.send(datagram.replace(was, _stamp(now_s)) for datagram in datagrams)
        self.sent += self.count


def _stamp(time_s: float) -> bytes:
    """The time of day as it stands in a record."""
    return round(time_s % 86_400.0 * 128.0).to_bytes(3, "big")


def noise(sensor: Sensor, count: int, time_s: float, rng: np.random.Generator) -> PlotRows:
    """False plots of one look, even in range and angle, as strong as noise above a threshold is."""
    c = sensor.coverage
    columns = {
        "time": [time_s] * count,
        "range_m": rng.uniform(c.min_range_m, c.max_range_m, count).round(1).tolist(),
        "azimuth_deg": rng.uniform(0.0, 360.0, count).tolist(),
        "elevation_deg": rng.uniform(c.min_elevation_deg, c.max_elevation_deg, count).tolist(),
        "range_rate_mps": rng.uniform(-400.0, 400.0, count).round(1).tolist(),
        "snr_db": (10.0 * np.log10(20.0 + rng.exponential(1.0, count) * 1.5)).tolist(),
    }
    return PlotRows(received_ns=round(time_s * 1e9), source=sensor.id, columns=columns)


def play(port: int, site: str, scenario: str, ends_s: float, noises: list[Noise], seed: int = 0) -> float:
    """Send a raid ('': none) in real time, and noise with it, until `ends_s` (time.time); when the raid began."""
    loaded, began_s = load_site(site), time.time()
    codes = {s.id: (s.asterix.sac, s.asterix.sic) for s in loaded.sensors if s.asterix is not None}
    start_ns = time.time_ns() // 1_000 * 1_000
    played = Played(load_scenario(scenario), loaded, seed, start_ns) if scenario else NoSensors()
    sender = Transmitter(Endpoint("127.0.0.1", port))
    while time.time() < ends_s:
        played.prepare()
        due_s = played.due_ns(time.time_ns(), time.time_ns()) * 1e-9
        time.sleep(max(0.0, min(due_s - time.time(), 0.1)))
        for one in played.take(time.time_ns()):
            if isinstance(one, PlotRows):
                sender.send(encode_plots(one, *codes[one.source], simulated=False))
        for one_noise in noises:
            one_noise.send(sender, time.time())
    sender.close()
    return began_s
