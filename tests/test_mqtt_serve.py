"""The service and sirens as people run them, over a real Mosquitto: real processes, and a broker that is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mosquitto import needs_mosquitto
from opencram.outputs.sirens.mqtt import CA_FILE
from peers.mosquitto import Mosquitto
from services import Village, write_site

SIRENS = ("north", "south", "east")


def opencram(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opencram", *arguments],
        env={**os.environ, **environment}, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker with the passwords of a site whose tokens lie in `tmp_path`, as the how-to makes it."""
    secrets = tmp_path / "state/opencram/secrets"
    asked = opencram("mqtt-passwords", str(write_site(tmp_path)), OPENCRAM_SECRETS=str(secrets))
    assert [line.partition(":")[0] for line in asked.stdout.splitlines()] == ["opencram", *SIRENS], asked.stderr
    with tempfile.TemporaryDirectory(prefix="mosquitto-") as folder:
        made = Mosquitto(Path(folder), asked.stdout)
        shutil.copy(made.folder / CA_FILE, secrets)
        made.start()
        try:
            yield made
        finally:
            made.kill()


@needs_mosquitto
def test_a_broker_killed_in_an_alert_and_started_again(tmp_path: Path, own: Mosquitto) -> None:
    """The alert goes out over what is left, the service says what is missing, and in the end all sound, once."""
    with Village(tmp_path, tmp_path / "site.yaml", "--mqtt", own.url) as village:
        village.start_service()
        village.start_siren("north", "--mqtt", own.url)
        village.start_siren("east", "--mqtt", own.url)
        village.start_siren("south")  # over WebSocket
        village.until(lambda: {s["state"] for s in village.get("/healthz")["sirens"]} == {"ok"})
        village.post("/api/alarm", {"zone": "town"})
        village.until(lambda: village.journal("answer", siren="east", stage="sounding", by="mqtt"))

        own.kill()
        village.until(lambda: any("sirens over mqtt" in note for note in village.get("/healthz")["notes"]))
        village.post("/api/alarm", {"zone": "base"})
        village.until(lambda: village.journal("answer", siren="south", stage="sounding", by="websocket"), 3.0)
        assert not village.journal("answer", siren="north", stage="sounding")

        own.start()
        village.until(lambda: village.journal("answer", siren="north", stage="sounding", by="mqtt"), 15.0)
        village.until(lambda: not any("sirens over mqtt" in note for note in village.get("/healthz")["notes"]))
        assert "Sounded for: base 1. Refused: nothing." in village.end("north")
        assert "Sounded for: town 1. Refused: nothing." in village.end("east")
        village.end("service")


@needs_mosquitto
def test_a_siren_that_is_killed_and_started_again_goes_on_with_what_stands(tmp_path: Path, own: Mosquitto) -> None:
    with Village(tmp_path, tmp_path / "site.yaml", "--mqtt", own.url) as village:
        village.start_service()
        village.start_siren("east", "--mqtt", own.url)
        village.until(lambda: village.output("east").count("connected"))
        village.post("/api/alarm", {"zone": "town"})
        village.until(lambda: village.journal("answer", siren="east", stage="sounding"))
        village.kill("east")
        sounded = len(village.journal("answer", siren="east", stage="sounding"))
        village.start_siren("east", "--mqtt", own.url)
        village.until(lambda: len(village.journal("answer", siren="east", stage="sounding")) > sounded, 10.0)
        village.end("service")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("serve", "SITE", "--http", "127.0.0.1:0", "--mqtt", "mqtts://localhost"), "mqtt-ca.crt: found no such file"),
        (("siren", "north", "--mqtt", "mqtts://localhost"), "mqtt-ca.crt: found no such file"),
        (("siren", "north", "--mqtt", "localhost"), "--mqtt: found 'localhost', expected mqtts://HOST:PORT"),
    ],
)
def test_what_is_missing_for_a_broker_is_said_in_one_sentence(
    arguments: tuple[str, ...], expected: str, tmp_path: Path
) -> None:
    site, state = str(write_site(tmp_path)), {"XDG_STATE_HOME": str(tmp_path), "OPENCRAM_SECRETS": str(tmp_path / "s")}
    assert opencram("mqtt-passwords", site, **state).returncode == 0
    ended = opencram(*(site if a == "SITE" else a for a in arguments), **state)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert expected in ended.stderr
    assert not (tmp_path / "opencram" / "serve").exists(), "nothing was begun"
