"""Processes that are measured: free ports for them, whether they answer, what they use."""

import json
import os
import resource
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any


def free_port(kind: int = socket.SOCK_STREAM, count: int = 1) -> int:
    """A port of the loopback that nobody has now, nor the next `count` - 1."""
    while True:
        with socket.socket(socket.AF_INET, kind) as first:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            if all(_is_free(kind, port + k) for k in range(1, count)):
                return port


def _is_free(kind: int, port: int) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):
            return False
    return True


def until(what: Callable[[], object], within_s: float) -> float:
    """Wait until something is so; how long that took."""
    began_s = time.monotonic()
    while not what():
        if time.monotonic() - began_s > within_s:
            raise TimeoutError(f"it did not come within {within_s:g} s")
        time.sleep(0.05)
    return time.monotonic() - began_s


def health(http: str) -> dict[str, Any] | None:
    """What /healthz at an address says, of a stalled service too; None where nothing answers."""
    try:
        with urllib.request.urlopen(f"{http}/healthz", timeout=5.0) as answer:
            return dict(json.load(answer))
    except urllib.error.HTTPError as error:
        return dict(json.load(error))
    except OSError:
        return None


def resident_mb(pid: int | str = "self") -> float:
    """Resident memory of a process; of this one the most that there ever was, where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists() and pid == "self":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024.0


def processor_s(pid: int) -> float:
    """Processor time that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
