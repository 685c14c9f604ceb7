"""A real Mosquitto on a free port of the loopback, with the configuration of `deploy/`."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opencram.outputs.sirens.mqtt import SERVICE, password

SETUP = Path(__file__).parent.parent / "deploy" / "mosquitto" / "setup.sh"
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"  # where Debian keeps it, not on every user's path
PROGRAM = shutil.which("mosquitto", path=PATH)

needs_mosquitto = pytest.mark.skipif(PROGRAM is None, reason="needs Mosquitto (on Debian: apt install mosquitto)")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def token_of(name: str) -> bytes:
    """A made-up token."""
    return f"token-of-{name}-0123456789".encode()


class Mosquitto:
    """A broker in a folder of its own, for the service and the named sirens; made but not yet started."""

    def __init__(self, folder: Path, names: Iterable[str], days: int = 30, address: str = "127.0.0.1") -> None:
        self.folder, self.address, self.port = folder, address, free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.set_up(names, days)

    def set_up(self, names: Iterable[str], days: int) -> None:
        """Run deploy/mosquitto/setup.sh, which makes all that the broker needs."""
        lines = "".join(f"{name}:{password(token_of(name))}\n" for name in (SERVICE, *names))
        settings = {"PATH": PATH, "ADDRESS": self.address, "PORT": str(self.port), "DAYS": str(days)}
        subprocess.run(
            ["sh", str(SETUP), str(self.folder)],
            input=lines,
            text=True,
            check=True,
            capture_output=True,
            env={**os.environ, **settings},
        )

    @property
    def url(self) -> str:
        return f"mqtts://{self.address}:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        assert PROGRAM is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([PROGRAM, "-c", str(self.folder / "mosquitto.conf")], stderr=log)
        for _ in range(500):
            assert self.process.poll() is None, self.log()
            with socket.socket() as probe:
                if probe.connect_ex((self.address, self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError(f"Mosquitto does not listen: {self.log()}")

    def kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(10)
            self.process = None

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")


@contextmanager
def mosquitto(*names: str, days: int = 30, address: str = "127.0.0.1") -> Iterator[Mosquitto]:
    """A running broker; not below pytest's own folder, which the broker's own user may not enter."""
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        made = Mosquitto(Path(folder), names, days, address)
        made.start()
        try:
            yield made
        finally:
            made.kill()
