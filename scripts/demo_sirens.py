"""A raid on Baghdad, played in real time to three software sirens: prints each command with its milliseconds.

Over Mosquitto with TLS where that is installed, else over the service's own WebSocket. All of it lives in a folder that
is gone afterwards; it ends by itself in less than two minutes.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import opencram

ROOT = Path(__file__).resolve().parent.parent
SITE, SCENARIO = "baghdad-embassy", "baghdad-2020-11-17"
SIRENS = ("siren-embassy-north", "siren-green-zone-south", "siren-karrada")
LONGEST_S, RAID_S, QUIET_S = 110.0, 50.0, 1.0
"""It ends after the first, at the latest; before, when the raid is over and no siren has been told to sound since."""
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
"""Debian keeps Mosquitto where not every user's path leads."""


class Demo:
    """The processes and the folder that they live in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.chmod(0o711)  # Mosquitto, started as root, goes on as a user of its own
        self.env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "PATH": PATH, "PYTHONUNBUFFERED": "1"}
        self.env.pop("OPENCRAM_SECRETS", None)
        self.site = self._site()
        self.port = two_free_ports()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def _site(self) -> Path:
        """The embassy's site with three sirens."""
        source = Path(opencram.__file__).parent / "data" / "sites" / SITE
        shutil.copy(source / "zones.geojson", self.folder)
        lines = (source / "site.yaml").read_text(encoding="utf-8").splitlines()
        kept = [x for x in lines if "{id: siren-" not in x or any(f"{{id: {siren}," in x for siren in SIRENS)]
        path = self.folder / "site.yaml"
        path.write_text("\n".join(kept) + "\n", encoding="utf-8")
        return path

    def start(self, name: str, *command: str) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(command, env=self.env, stdout=log, stderr=log)

    def opencram(self, name: str, *arguments: str) -> None:
        self.start(name, sys.executable, "-m", "opencram", *arguments)

    def end(self) -> None:
        """End all, the broker last."""
        for process in reversed(self.running.values()):
            process.terminate()
            try:
                process.wait(5.0)
            except subprocess.TimeoutExpired:
                process.kill()

    def until(self, what: Callable[[], object], within_s: float) -> None:
        """Wait until something is so; if a process died before, say what it said."""
        ends_s = time.monotonic() + within_s
        while not what():
            dead = [name for name, process in self.running.items() if process.poll() is not None]
            if dead or time.monotonic() > ends_s:
                names = dead or list(self.running)
                sys.exit("\n".join((self.folder / f"{name}.log").read_text(errors="replace") for name in names))
            time.sleep(0.05)

    def answers(self, port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0


def two_free_ports() -> int:
    """A port that is free, and so is the one after it."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first, socket.socket() as second:
            port = int(first.getsockname()[1])
            if port < 65_535 and second.connect_ex(("127.0.0.1", port + 1)) != 0:
                return port


def broker(demo: Demo) -> str | None:
    """Start Mosquitto with the configuration of deploy/; its address, None where it is not installed."""
    if not all(shutil.which(tool, path=PATH) for tool in ("mosquitto", "mosquitto_passwd", "openssl")):
        return None
    folder, port = demo.folder / "mosquitto", two_free_ports()
    ask = [sys.executable, "-m", "opencram", "mqtt-passwords", str(demo.site)]
    passwords = subprocess.run(ask, env=demo.env, check=True, capture_output=True).stdout
    setup = ["sh", str(ROOT / "deploy/mosquitto/setup.sh"), str(folder)]
    env = {**demo.env, "PORT": str(port)}
    subprocess.run(setup, env=env, input=passwords, check=True, capture_output=True)
    shutil.copy(folder / "mqtt-ca.crt", demo.folder / "state/opencram/secrets")
    demo.start("mosquitto", "mosquitto", "-c", str(folder / "mosquitto.conf"))
    demo.until(lambda: demo.answers(port), 10.0)
    return f"mqtts://localhost:{port}"


def lines_of(demo: Demo) -> Iterator[dict[str, Any]]:
    """The lines of sirens.jsonl as they are written, until the raid is over and every siren is silent again."""
    path, place, began_s = demo.folder / "record/sirens.jsonl", 0, time.monotonic()
    alarmed: set[tuple[str, str]] = set()
    quiet_s = began_s
    while time.monotonic() - began_s < LONGEST_S:
        text = path.read_bytes()[place:]
        whole = text[: text.rfind(b"\n") + 1]
        place += len(whole)
        for line in map(json.loads, whole.splitlines()):
            if line["what"] == "command":
                over = line["kind"] in ("all-clear", "cancel")
                (alarmed.discard if over else alarmed.add)((line["siren"], line["zone"]))
            yield line
        if alarmed or not place:
            quiet_s = time.monotonic()
        elif time.monotonic() - quiet_s > QUIET_S and time.monotonic() - began_s > RAID_S:
            return
        time.sleep(0.05)


def show(demo: Demo) -> None:
    """Print commands and answers, each with its milliseconds, and what they come to."""
    wire, sounds, seen = [], [], set()
    for line in lines_of(demo):
        stamp = time.strftime("%H:%M:%S", time.gmtime(line.get("heard_ns", line["time_ns"]) // 10**9))
        if line["what"] == "command" and line["id"] not in seen:
            seen.add(line["id"])
            wire.append(line["ms"])
            again = "" if line["id"].endswith("/0") else " (renewed)"
            what = f"{line['kind']} for {line['zone']} [{line['status']}]{again}"
            print(f"{stamp}  {line['siren']:24} {what:44} on the wire {line['ms']:6.1f} ms after its plots", flush=True)
        elif line["what"] == "answer" and line["stage"] in ("sounding", "done"):
            sounds.append(line["ms"])
            print(f"{stamp}  {line['siren']:24} {line['stage']:44} {line['ms']:18.1f} ms after the command", flush=True)
        elif line["what"] == "health":
            print(f"{stamp}  {line['component']}: {line['state']}, {line['detail']}", flush=True)
    if wire and sounds:
        print(f"\n{len(wire)} commands, on the wire after {median(wire):.1f} ms (median), {max(wire):.1f} ms at most;")
        print(f"{len(sounds)} answers, after another {median(sounds):.1f} ms (median), {max(sounds):.1f} ms at most.")


def median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


def main() -> None:
    with ExitStack() as stack:
        demo = Demo(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="opencram-demo-"))))
        stack.callback(demo.end)
        url = broker(demo)
        way = "MQTT 5 (Mosquitto, TLS, a password each)" if url else "WebSocket (Mosquitto is not installed)"
        print(f"Three software sirens over {way}; a raid of the scenario {SCENARIO}. It ends by itself.\n", flush=True)
        over = ["--mqtt", url] if url else []
        address = f"127.0.0.1:{demo.port}"
        record = ["--record", str(demo.folder / "record")]
        demo.opencram("serve", "serve", str(demo.site), "--play", SCENARIO, "--http", address, *record, *over)
        tokens = demo.folder / "state/opencram/secrets"
        demo.until(lambda: all((tokens / f"siren-{siren}.token").exists() for siren in SIRENS), 180.0)
        for siren in SIRENS:
            demo.opencram(siren, "siren", siren, *(over or ["--server", f"http://{address}"]))
        demo.until(lambda: answers_http(address), 180.0)
        print(f"Look at http://{address}/ meanwhile.\n", flush=True)
        show(demo)
        for siren in SIRENS:
            demo.running[siren].terminate()
            demo.running[siren].wait(10.0)
            print(f"{siren}: {(demo.folder / f'{siren}.log').read_text(encoding='utf-8').splitlines()[-1]}")


def answers_http(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://{address}/healthz", timeout=1.0) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    main()
