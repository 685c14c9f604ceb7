"""What systemd is told by a real service, and the unit that asks for it."""

from __future__ import annotations

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from opencram.serve.systemd import notify
from services import Village, write_site

UNIT = Path(__file__).resolve().parent.parent / "deploy" / "systemd" / "opencram.service"


def test_a_service_says_that_it_is_ready_that_it_lives_and_that_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(10.0)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "600000")
        with Village(tmp_path, write_site(tmp_path)) as village:
            village.start_service()
            assert systemd.recv(100) == b"READY=1"
            assert [systemd.recv(100) for _ in range(5)] == [b"WATCHDOG=1"] * 5
            village.end("service")
            told = b"WATCHDOG=1"
            while told == b"WATCHDOG=1":
                told = systemd.recv(100)
            assert told == b"STOPPING=1"


def test_an_abstract_socket_is_told_too_and_one_that_is_gone_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0opencram-test-notify")
        systemd.settimeout(5.0)
        monkeypatch.setenv("NOTIFY_SOCKET", "@opencram-test-notify")
        notify("READY=1")
        assert systemd.recv(100) == b"READY=1"
    notify("WATCHDOG=1")
    monkeypatch.delenv("NOTIFY_SOCKET")
    notify("WATCHDOG=1")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one_and_closed() -> None:
    checked = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, check=False)
    faults = [line for line in checked.stderr.splitlines() if "is not executable" not in line]
    assert faults == []
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(UNIT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert judged.returncode == 0, judged.stdout[-300:]
