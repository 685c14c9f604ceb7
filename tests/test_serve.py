"""The service as people run it: real processes, killed and started again, cut off, lied to."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from opencram.record.recording import Recording
from services import Village, write_site


def sounding(village: Village, names: tuple[str, ...]) -> bool:
    return all(village.journal("answer", siren=name, stage="sounding") for name in names)


def test_killed_in_the_midst_of_an_alert_it_goes_on_where_it_was(tmp_path: Path) -> None:
    with Village(tmp_path, write_site(tmp_path, all_clear_s=2.0, operator_alarm_s=25.0)) as village:
        village.start_service()
        for name in ("north", "south", "east"):
            village.start_siren(name)
        village.until(lambda: (village.get("/healthz") or {}) and village.output("east").count("connected"))
        status, answer = village.post("/api/alarm", {"zone": "base"})
        assert status == 200, answer
        village.until(lambda: sounding(village, ("north", "south")))
        first = {c["siren"]: c["id"] for c in village.journal("command", kind="observed")}
        began_s = time.monotonic()
        village.kill("service")

        village.start_service()
        assert village.states() == {"base": "alert", "town": "quiet"}
        village.until(lambda: len(village.journal("answer", stage="sounding", siren="north")) > 1)
        again = {c["siren"]: c["id"] for c in village.journal("command", kind="observed")}
        assert again == first, "the same commands"

        village.until(lambda: village.states() == {"base": "quiet", "town": "quiet"}, 60.0)
        assert time.monotonic() - began_s > 10.0, "it ended by the rule, not with the restart"
        village.until(lambda: len(village.journal("answer", stage="done", siren="south")) >= 1)
        for name in ("north", "south"):
            assert "Sounded for: base 1. " in village.end(name)
        assert "Sounded for: never. Refused: nothing." in village.end("east")
        village.end("service")
        for path in sorted(village.record.glob("recording-*.mcap")):
            assert list(Recording(path).ticks())


def test_an_edited_site_ends_no_alarm(tmp_path: Path) -> None:
    with Village(tmp_path, write_site(tmp_path)) as village:
        village.start_service()
        for name in ("north", "south"):
            village.start_siren(name)
        village.until(lambda: all("connected" in village.output(name) for name in ("north", "south")))
        assert village.post("/api/alarm", {"zone": "base"})[0] == 200
        village.until(lambda: sounding(village, ("north", "south")))
        village.end("service")
        write_site(tmp_path, all_clear_s=31.0)
        village.start_service()
        assert village.states() == {"base": "alert", "town": "quiet"}
        village.until(lambda: any("of another site" in note for note in village.get("/healthz")["notes"]))
        village.until(lambda: len(village.journal("answer", stage="sounding", siren="north")) > 1)
        assert {c["kind"] for c in village.journal("command")} == {"observed"}
        assert village.post("/api/all-clear", {"zone": "base"})[0] == 200
        village.until(lambda: len({a["siren"] for a in village.journal("answer", stage="done")}) == 2)
        for name in ("north", "south"):
            assert "Sounded for: base 1. " in village.end(name)


def test_a_played_raid_goes_on_after_a_kill_and_is_an_exercise_in_all_it_says(tmp_path: Path) -> None:
    with Village(tmp_path, "baghdad-embassy", "--play", "baghdad-2020-11-17") as village:
        village.start_service()
        village.start_siren("siren-green-zone-south")
        village.until(lambda: village.states().get("green-zone") == "alert", 30.0)
        village.until(lambda: sounding(village, ("siren-green-zone-south",)))
        village.kill("service")
        village.start_service()
        assert village.states()["green-zone"] == "alert"
        status, answer = village.post("/api/alarm", {"zone": "embassy"})
        assert status == 200, answer
        village.until(lambda: village.journal("command", zone="embassy"))
        village.until(lambda: village.get("/healthz")["status"] != "stalled")
        told = village.get("/api/zones")
        assert {zone["last"]["status"] for zone in told if zone["last"]} == {"Exercise"}
        assert "Sounded for: green-zone 1" in village.end("siren-green-zone-south")
        village.end("service")
        assert {c["status"] for c in village.journal("command")} == {"Exercise"}
        metas = [Recording(path).meta for path in village.record.glob("recording-*.mcap")]
        assert [meta["simulated"] for meta in metas] == [True, True]
        ticks = [tick for path in sorted(village.record.glob("recording-*.mcap")) for tick in Recording(path).ticks()]
        assert sum(len(tick.inbox) > 0 for tick in ticks[-20:]) > 10, "after the restart plots come again"
        assert [tick.seq for tick in ticks] == list(range(1, len(ticks) + 1))


def test_a_siren_that_hangs_is_helped_out_and_comes_back(tmp_path: Path) -> None:
    with Village(tmp_path, write_site(tmp_path)) as village:
        village.start_service()
        for name in ("north", "south", "east"):
            village.start_siren(name)
        village.until(lambda: all("connected" in village.output(name) for name in ("north", "south", "east")))
        village.processes["east"].send_signal(signal.SIGSTOP)
        assert village.post("/api/alarm", {"zone": "town"})[0] == 200
        village.until(lambda: village.journal("health", component="siren east", state="unanswered"))
        village.until(lambda: village.journal("answer", siren="north", stage="sounding"))
        village.processes["east"].send_signal(signal.SIGCONT)
        village.until(lambda: village.journal("answer", siren="east", stage="sounding"))
        assert village.post("/api/all-clear", {"zone": "town"})[0] == 200
        village.until(lambda: len({a["siren"] for a in village.journal("answer", stage="done")}) == 3)
        for name in ("north", "south", "east"):
            assert "Sounded for: town 1. Refused:" in village.end(name)


def test_a_wrong_token_gets_no_command(tmp_path: Path) -> None:
    with Village(tmp_path, write_site(tmp_path)) as village:
        village.start_service()
        wrong = tmp_path / "wrong.token"
        wrong.write_text("not-the-token-of-any-siren\n")
        wrong.chmod(0o600)
        village.start_siren("north", "--token-file", str(wrong))
        village.until(lambda: "not this siren's token" in village.output("north"))
        assert village.post("/api/alarm", {"zone": "base"})[0] == 200
        village.until(lambda: village.journal("command", siren="north"))
        time.sleep(1.0)
        assert "Sounded for: never." in village.end("north")
        assert village.journal("answer") == []
        log = village.output("service") + village.output("north")
        for path in (tmp_path / "state/opencram/secrets").iterdir():
            assert path.stat().st_mode & 0o777 == 0o600
            assert path.read_text().strip() not in log


def test_two_services_do_not_share_a_folder(tmp_path: Path) -> None:
    with Village(tmp_path, write_site(tmp_path)) as village:
        village.start_service()
        second = subprocess.run(
            [sys.executable, "-m", "opencram", "serve", str(village.site), "--record", str(village.record)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 2
        assert "in use by another service" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["serve", "no-such-site"], "site: found 'no-such-site'"),
        (["serve", "baghdad-embassy", "--play", "no-such-play"], "scenario: found 'no-such-play'"),
        (["serve", "baghdad-embassy", "--http", "0.0.0.0:8700"], "which others can reach"),
        (["serve", "baghdad-embassy", "--http", "nonsense"], "expected HOST:PORT"),
        (["serve", "baghdad-embassy", "--reports", "no-such-folder"], "--reports: found no folder 'no-such-folder'"),
        (["siren", "nobody"], "found no token for the siren 'nobody'"),
    ],
)
def test_bad_arguments_are_one_sentence(tmp_path: Path, arguments: list[str], sentence: str) -> None:
    env = {"XDG_STATE_HOME": str(tmp_path), "PATH": "", "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    ran = subprocess.run(
        [sys.executable, "-m", "opencram", *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 2
    assert sentence in ran.stderr
    assert len(ran.stderr.strip().splitlines()) == 1
