"""An operator's commands and tokens: what they ask, what they say, and with which status they end."""

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from opencram.errors import InputError, RunError
from opencram.serve.operator import ask
from opencram.serve.secrets import read_token, token, token_file
from web_stub import Stub, serving


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stub]:
    with serving(tmp_path_factory.mktemp("secrets")) as running:
        yield running


def opencram(stub: Stub, *args: str, token_at: Path | None = None) -> tuple[int, str, str]:
    """A command as people run it, with the tokens of the stub's machine."""
    ended = subprocess.run(
        [sys.executable, "-m", "opencram", *args, "--server", stub.url],
        env={**os.environ, "OPENCRAM_SECRETS": str((token_at or stub.token_file).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


@pytest.mark.parametrize(
    ("args", "kind", "targets"),
    [
        (("alarm", "base"), "alarm", ("base",)),
        (("all-clear", "camp"), "all-clear", ("camp",)),
        (("drill", "town", "base", "--announce-s", "9", "--last-s", "4"), "drill", ("base", "town")),
        (("drill", "--all"), "drill", ("base", "camp", "town")),
    ],
)
def test_a_command_is_an_act(stub: Stub, args: tuple[str, ...], kind: str, targets: tuple[str, ...]) -> None:
    assert opencram(stub, *args) == (0, f"{kind} done\n", "")
    act = stub.acts[-1]
    assert (act.kind, act.targets) == (kind, targets)
    if "--announce-s" in args:
        assert (act.announce_s, act.last_s) == (9.0, 4.0)


@pytest.mark.parametrize(
    ("args", "status", "sentence"),
    [
        (("alarm", "bse"), 2, "opencram: zone: found 'bse', expected 'base'\n"),
        (("drill",), 2, "opencram: ZONE: found none, expected zones or --all\n"),
        (("drill", "base", "--all"), 2, "opencram: ZONE: found zones and --all, expected zones or --all\n"),
    ],
)
def test_a_bad_argument_ends_with_2(stub: Stub, args: tuple[str, ...], status: int, sentence: str) -> None:
    assert opencram(stub, *args) == (status, "", sentence)


def test_a_refusal_ends_with_1_and_its_reason(stub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stub, "answer", lambda act: (False, "track 3 endangers base"))
    assert opencram(stub, "all-clear", "base") == (1, "", "opencram: refused: track 3 endangers base\n")


def test_another_machines_token_is_refused(stub: Stub, tmp_path: Path) -> None:
    token("operator", tmp_path)
    with pytest.raises(RunError, match="refused: Authorization: found a wrong token"):
        ask(stub.url, "alarm", {"zone": "base"}, token_file("operator", tmp_path))


def test_without_a_token_it_is_said_where_it_was_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCRAM_SECRETS", str(tmp_path))
    with pytest.raises(InputError, match=r"operator\.token: found no such file, expected the operator's token"):
        ask("http://127.0.0.1:9", "alarm", {"zone": "base"}, None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "server", ["127.0.0.1:8700", "ftp://127.0.0.1", "http://", "http://h:99999", "http://h/api", "http://[::1"]
)
def test_a_server_that_is_no_address_is_refused(stub: Stub, server: str) -> None:
    with pytest.raises(InputError, match="--server: found"):
        ask(server, "alarm", {"zone": "base"}, stub.token_file)


def test_a_service_that_is_not_there_is_said(stub: Stub) -> None:
    with pytest.raises(
        RunError, match=r"was not reached \(Connection refused\); as far as is known there was no alarm"
    ):
        ask("http://127.0.0.1:9", "alarm", {"zone": "base"}, stub.token_file)


def test_an_act_without_an_answer_is_not_said_to_have_failed(stub: Stub) -> None:
    def hang_up() -> None:
        talking, _ = listening.accept()
        talking.recv(65_536)
        talking.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=hang_up, daemon=True).start()
        with pytest.raises(RunError, match=r"gave no answer \(.*\); look whether the alarm was carried out"):
            ask(f"http://127.0.0.1:{listening.getsockname()[1]}", "alarm", {"zone": "base"}, stub.token_file)


class Stranger(BaseHTTPRequestHandler):
    """Another service: it sends every caller on to where his token would be read."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.1:9/")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def test_a_token_does_not_follow_a_redirect(stub: Stub) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        with pytest.raises(RunError, match="answered 302 and nothing that opencram says"):
            ask(f"http://127.0.0.1:{server.server_port}", "alarm", {"zone": "base"}, stub.token_file)


# ---- tokens ---------------------------------------------------------------------------------------------------------


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "secrets"
    made = token("siren-roof", folder)
    assert token("siren-roof", folder) == made
    assert len(made) >= 43
    assert stat.S_IMODE(token_file("siren-roof", folder).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert token("operator", folder) != made


def test_many_who_ask_at_once_get_the_same_token(tmp_path: Path) -> None:
    got: list[str] = []
    threads = [threading.Thread(target=lambda: got.append(token("operator", tmp_path))) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 16
    assert len(set(got)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["operator.token"]


@pytest.mark.parametrize(
    ("text", "mode", "sentence"),
    [
        ("a" * 32, 0o644, "found mode 644, expected 600"),
        ("a" * 32, 0o660, "found mode 660, expected 600"),
        ("short", 0o600, "found no token"),
        ("", 0o600, "found no token"),
        ("a" * 5_000, 0o600, "found no token"),
        ("two words in one line of text", 0o600, "found no token"),
        ("tök" * 10, 0o600, "found no token"),
    ],
)
def test_a_token_file_that_is_open_or_empty_is_refused(tmp_path: Path, text: str, mode: int, sentence: str) -> None:
    path = tmp_path / "operator.token"
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    with pytest.raises(InputError, match=sentence) as refused:
        read_token(path)
    assert len(text) < 16 or text not in str(refused.value)
