"""A real Mosquitto in a folder of its own, with the configuration of `deploy/`, for measurements and tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

from opencram.outputs.sirens.mqtt import SERVICE, password
from processes import free_port

SETUP = Path(__file__).parents[2] / "deploy" / "mosquitto" / "setup.sh"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"  # where Debian keeps it, not on every user's path
PROGRAM = shutil.which("mosquitto", path=PATH)


def token_of(name: str) -> bytes:
    """A made-up token."""
    return f"token-of-{name}-0123456789".encode()


def made_up(names: Iterable[str]) -> str:
    """Passwords for the service and these sirens, of made-up tokens."""
    return "".join(f"{name}:{password(token_of(name))}\n" for name in (SERVICE, *names))


class Mosquitto:
    """A broker for those in `passwords`, lines `name:password`; made but not yet started."""

    def __init__(self, folder: Path, passwords: str, days: int = 30, address: str = "127.0.0.1") -> None:
        self.folder, self.address, self.port = folder, address, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        settings = {"PATH": PATH, "ADDRESS": address, "PORT": str(self.port), "DAYS": str(days)}
        command = ["sh", str(SETUP), str(folder)]
        done = subprocess.run(
            command, input=passwords, text=True, check=False, capture_output=True, env={**os.environ, **settings}
        )
        if done.returncode != 0:
            raise RuntimeError(f"{SETUP.name}: {done.stderr}")

    @property
    def url(self) -> str:
        """Where it is, as `--mqtt` wants it."""
        return f"mqtts://{self.address}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        if PROGRAM is None:
            raise RuntimeError("found no Mosquitto (on Debian: apt install mosquitto)")
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self.folder / "mosquitto.conf")], stderr=log)
        for _ in range(1_000):
            if self.process.poll() is not None:
                break
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise RuntimeError(f"Mosquitto does not listen: {(self.folder / 'log').read_text(errors='replace')}")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it without a word, or as told."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None
