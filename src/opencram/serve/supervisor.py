"""Several services, one for each site and each a process of its own; what dies or hangs is started again.

Processes are forked from one that has loaded everything, so that a service is there again in a fraction of the time of
a start. The supervisor does nothing else: it reads no plots and holds no sockets. It is to its services what systemd is
to one of them, and speaks the same protocol.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType

from opencram.console import Console
from opencram.errors import InputError, RunError
from opencram.serve.start import Asked, serve
from opencram.serve.systemd import notify, watchdog_s

PRELOAD = ["opencram.serve.preload"]
LOOK_S = 0.5
SILENT_S = 10.0
"""A service in which no tick was worked out for so long is killed and started again."""
START_S = 180.0
"""The first start may compile the numerical kernels."""
STOP_S = 15.0
BACK_OFF_S = (0.1, 5.0)
"""The first wait before a new start, and the longest; it doubles while a service keeps dying young."""
YOUNG_S = 10.0


@dataclass
class _Service:
    """One of the services, and how it fares."""

    asked: Asked
    heard: socket.socket
    """Where it says that it is ready, and that it lives."""
    process: BaseProcess | None = None
    begun_s: float = 0.0
    living_s: float = 0.0
    due_s: float = 0.0
    wait_s: float = BACK_OFF_S[0]
    ready: bool = False

    @property
    def overdue(self) -> bool:
        """Whether it has been silent for too long."""
        return time.monotonic() - self.living_s > (SILENT_S if self.ready else START_S)


def serve_sites(asked: Sequence[Asked]) -> None:
    """Run a service for each until SIGINT or SIGTERM; SIGHUP has all of them read their zones again."""
    console = Console(as_json=asked[0].log_format == "json")
    with tempfile.TemporaryDirectory(prefix="opencram-") as folder:
        supervisor = Supervisor(asked, Path(folder), console)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, supervisor.stop)
        signal.signal(signal.SIGHUP, supervisor.reload)
        try:
            supervisor.run()
        finally:
            console.close()


class Supervisor:
    """Keeps the services running; `run` goes on until `stop`."""

    def __init__(self, asked: Sequence[Asked], folder: Path, console: Console) -> None:
        self._console, self._ending, self._told_ready = console, False, False
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOAD)
        self._services = [_Service(one, _listening(folder / str(number))) for number, one in enumerate(asked)]

    def stop(self, _: int = 0, __: FrameType | None = None) -> None:
        """End `run`: the services are asked to end, and what stands is kept."""
        self._ending = True

    def reload(self, _: int = 0, __: FrameType | None = None) -> None:
        """Have every service read its zones again."""
        for service in self._services:
            if service.ready and service.process is not None and service.process.pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(service.process.pid, signal.SIGHUP)

    def run(self) -> None:
        """Start all, and again whatever ends."""
        try:
            while not self._ending:
                for service in self._services:
                    self._look_after(service)
                if not self._told_ready and all(service.ready for service in self._services):
                    self._told_ready = True
                    notify("READY=1")
                if watchdog_s():
                    notify("WATCHDOG=1")
                self._wait()
        finally:
            notify("STOPPING=1")
            self._end_all()

    def _wait(self) -> None:
        """Until something is heard of a service, one ends, or it is time to look."""
        ends = [service.process.sentinel for service in self._services if service.process is not None]
        wait([*ends, *(service.heard for service in self._services)], LOOK_S)

    def _look_after(self, service: _Service) -> None:
        self._hear(service)
        process = service.process
        if process is not None and process.is_alive() and service.overdue:
            self._say(service, f"nothing was heard of it for {SILENT_S:g} s: it is killed")
            process.kill()
            process.join()
        if process is not None and not process.is_alive():
            self._bury(service, process)
        if service.process is None and time.monotonic() >= service.due_s:
            self._start(service)

    def _hear(self, service: _Service) -> None:
        with contextlib.suppress(BlockingIOError):
            while told := service.heard.recv(4_096):
                service.living_s = time.monotonic()
                if b"READY=1" in told and not service.ready:
                    service.ready = True
                    pid = service.process.pid if service.process is not None else None
                    self._say(service, f"ready after {service.living_s - service.begun_s:.2f} s, process {pid}")

    def _bury(self, service: _Service, process: BaseProcess) -> None:
        """Note that it has died, and when it is to be started again."""
        lived_s = time.monotonic() - service.begun_s
        young = lived_s < YOUNG_S
        service.wait_s = min(2 * service.wait_s, BACK_OFF_S[1]) if young else BACK_OFF_S[0]
        service.process, service.ready = None, False
        service.due_s = time.monotonic() + (service.wait_s if young else 0.0)
        self._say(service, f"ended with status {process.exitcode} after {lived_s:.1f} s; it is started again")

    def _start(self, service: _Service) -> None:
        with contextlib.suppress(BlockingIOError):
            while service.heard.recv(4_096):  # what the one before has said
                pass
        service.begun_s = service.living_s = time.monotonic()
        where = str(service.heard.getsockname())
        process = self._context.Process(target=_serve, args=(service.asked, where), name=service.asked.label)
        process.start()
        service.process = process

    def _end_all(self) -> None:
        running = [service.process for service in self._services if service.process is not None]
        for process in running:
            process.terminate()
        ends_s = time.monotonic() + STOP_S
        for process in running:
            process.join(max(0.0, ends_s - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()
        for service in self._services:
            service.heard.close()

    def _say(self, service: _Service, sentence: str) -> None:
        self._console.say(f"{service.asked.label}: {sentence}", time.time_ns(), site=service.asked.label)


def _listening(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.bind(str(path))
    made.setblocking(False)
    return made


def _serve(asked: Asked, supervisor: str) -> None:
    """The life of one service's process; it ends in good order when the supervisor is gone."""
    os.environ["NOTIFY_SOCKET"], os.environ["WATCHDOG_USEC"] = supervisor, str(round(SILENT_S * 1e6))
    threading.Thread(target=_outlive_nobody, name="supervisor", daemon=True).start()
    try:
        serve(asked)
    except (InputError, RunError) as error:
        sys.stderr.write(f"opencram: {asked.label}: {error}\n")
        sys.exit(2 if isinstance(error, InputError) else 1)


def _outlive_nobody() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
