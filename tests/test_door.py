"""TLS, the names of a certificate, and what is refused at an address that others can reach; with real processes."""

from __future__ import annotations

import json
import os
import pty
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidHandshake, InvalidMessage
from websockets.sync.client import connect

from entrance import PASSWORD, Entrance, certificate
from opencram.errors import InputError
from opencram.serve.access.accounts import add_user, changing, read_accounts
from opencram.serve.door import check_door, names_in, tls_context
from services import Village, write_site

# ---- commands -------------------------------------------------------------------------------------------------------


def opencram(folder: Path, *args: str, typed: str = "") -> tuple[int, str, str]:
    """A command as people run it, with the secrets of a folder; `typed` is not a terminal."""
    ended = subprocess.run(
        [sys.executable, "-m", "opencram", *args],
        env={**os.environ, "OPENCRAM_SECRETS": str(folder / "secrets")},
        input=typed, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return ended.returncode, ended.stdout, ended.stderr


def password_file(folder: Path, text: str = PASSWORD, mode: int = 0o600) -> str:
    path = folder / "password"
    path.write_text(text + "\n")
    path.chmod(mode)
    return str(path)


def test_users_are_kept_by_commands(tmp_path: Path) -> None:
    typed = password_file(tmp_path)
    add = ("users", "add", "ann", "--role", "viewer", "--password-file", typed)
    assert opencram(tmp_path, *add) == (0, "ann may sign in as viewer.\n", "")
    kept = tmp_path / "secrets" / "accounts.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in kept.read_text()
    assert "$argon2id$v=19$m=65536,t=3,p=1$" in kept.read_text()
    assert opencram(tmp_path, *add)[0] == 2
    assert opencram(tmp_path, "users", "role", "ann", "admin")[0] == 0
    assert read_accounts(tmp_path / "secrets").users["ann"].role == "admin"
    assert "ann" in opencram(tmp_path, "users", "list")[1]
    before = kept.read_text()
    assert opencram(tmp_path, "users", "password", "ann", "--password-file", password_file(tmp_path, "x" * 12))[0] == 0
    assert kept.read_text() != before
    assert opencram(tmp_path, "users", "remove", "ann")[0] == 0
    assert read_accounts(tmp_path / "secrets").users == {}


def test_tokens_are_kept_by_commands_and_shown_once(tmp_path: Path) -> None:
    status, text, _ = opencram(tmp_path, "tokens", "add", "prometheus", "--role", "viewer", "--days", "30")
    assert status == 0
    assert text.startswith("oc_")
    assert len(text.strip()) >= 40
    assert text.strip() not in (tmp_path / "secrets" / "accounts.json").read_text()
    listed = opencram(tmp_path, "tokens", "list")[1]
    assert "prometheus" in listed
    assert text.strip() not in listed
    assert opencram(tmp_path, "tokens", "add", "operator", "--role", "admin")[0] == 2
    assert opencram(tmp_path, "tokens", "revoke", "prometheus")[0] == 0
    assert opencram(tmp_path, "tokens", "revoke", "prometheus")[0] == 2


@pytest.mark.parametrize(
    ("args", "file", "sentence"),
    [
        (("users", "add", "ann", "--role", "viewer"), None, "password: found no terminal to ask for it"),
        (("users", "add", "Ann!", "--role", "viewer"), {}, "NAME: found 'Ann!', expected up to 32 small letters"),
        (("users", "add", "ann", "--role", "viewer"), {"text": "short"}, "password: found 5 characters, expected 12"),
        (("users", "add", "ann", "--role", "viewer"), {"mode": 0o644}, "found mode 644, expected 600"),
        (("users", "role", "ann", "admin"), None, "NAME: found 'ann', expected a user, of which there is none yet"),
        (("users", "add", "ann", "--role", "king"), None, "king"),
        (("audit", "no-such-site"), None, "no-such-site"),
    ],
)
def test_a_bad_command_is_one_sentence(
    tmp_path: Path, args: tuple[str, ...], file: dict[str, Any] | None, sentence: str
) -> None:
    more = () if file is None else ("--password-file", password_file(tmp_path, **file))
    status, out, err = opencram(tmp_path, *args, *more)
    assert (status, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


def test_a_password_is_asked_twice_on_the_terminal_and_not_shown(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    asked = subprocess.Popen(
        [sys.executable, "-m", "opencram", "users", "add", "ann", "--role", "admin"],
        env={**os.environ, "OPENCRAM_SECRETS": str(tmp_path / "secrets")},
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    for prompt in (b"Password:", b"onfirm"):
        while prompt not in shown:
            shown += os.read(ours, 1_000)
        time.sleep(0.2)
        os.write(ours, f"{PASSWORD}\n".encode())
    assert asked.wait(20.0) == 0
    os.close(ours)
    assert PASSWORD.encode() not in shown
    assert list(read_accounts(tmp_path / "secrets").users) == ["ann"]


# ---- the address ----------------------------------------------------------------------------------------------------


def test_an_address_that_others_reach_asks_for_accounts_and_tls(tmp_path: Path) -> None:
    check_door("127.0.0.1:0", tmp_path, tls=False)
    for tls, lacking in ((False, "account .* and TLS"), (True, "expected an admin's account .* first$")):
        with pytest.raises(InputError, match=lacking):
            check_door("0.0.0.0:0", tmp_path, tls)
    with changing(tmp_path) as accounts:
        add_user(accounts, "ann", "operator", PASSWORD)
    with pytest.raises(InputError, match="an admin's account"):
        check_door("[::]:0", tmp_path, tls=True)
    with changing(tmp_path) as accounts:
        add_user(accounts, "ada", "admin", PASSWORD)
    with pytest.raises(InputError, match=r"expected TLS \(--tls-cert FILE --tls-key FILE\) first$"):
        check_door("0.0.0.0:0", tmp_path, tls=False)
    check_door("0.0.0.0:0", tmp_path, tls=True)


def test_serve_refuses_such_an_address_by_one_sentence(tmp_path: Path) -> None:
    site = str(write_site(tmp_path))
    status, _, err = opencram(tmp_path, "serve", site, "--http", "0.0.0.0:8799")
    assert status == 2
    assert err == (
        "opencram: --http: found 0.0.0.0:8799, which others can reach, expected an admin's account (opencram users add "
        "NAME --role admin) and TLS (--tls-cert FILE --tls-key FILE) first\n"
    )
    cert, key = certificate(tmp_path)
    assert "found one of the two" in opencram(tmp_path, "serve", site, "--tls-cert", str(cert))[2]
    both = ("--tls-cert", str(key), "--tls-key", str(cert))
    assert "expected a certificate and its own key" in opencram(tmp_path, "serve", site, *both)[2]


# ---- certificates ---------------------------------------------------------------------------------------------------


def test_the_names_are_those_that_openssl_reads(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "warn.example", "*.site.example", "a" * 60 + ".example")
    text = subprocess.run(
        ["openssl", "x509", "-in", str(cert), "-noout", "-ext", "subjectAltName"],
        text=True, check=True, capture_output=True,
    ).stdout  # fmt: skip
    assert names_in(cert) == [part.split("DNS:")[1].strip() for part in text.split(",") if "DNS:" in part]
    assert len(names_in(cert)) == 3


@pytest.mark.parametrize("cut", [0, 40, 300, -40])
def test_a_damaged_certificate_has_no_names_and_is_refused(tmp_path: Path, cut: int) -> None:
    cert, key = certificate(tmp_path)
    cert.write_text(cert.read_text()[:cut])
    assert names_in(cert) == []
    with pytest.raises(InputError, match="--tls-cert, --tls-key: found"):
        tls_context(cert, key)
    with pytest.raises(InputError, match=r"--tls-key: found .* cannot be read"):
        tls_context(cert, tmp_path / "nothing")


def test_over_tls_everything_goes_and_the_cookie_is_secure(tmp_path: Path) -> None:
    with Entrance(tmp_path, tls=True) as entrance:
        answer = entrance.sign_in("otto")
        assert answer.cookie.startswith("__Host-opencram-")
        assert "Secure" in answer.headers["set-cookie"].split("; ")
        headers = entrance.signed_in("otto")
        assert entrance.ask("POST", "/api/alarm", {"zone": "base"}, **headers).status == 200
        for host, status in (("warn.example", 200), ("other.example", 421)):
            assert entrance.ask("GET", "/healthz", Host=host).status == status
        url = f"wss://127.0.0.1:{entrance.port}/ws"
        with connect(url, ssl=entrance.trusting(), additional_headers=headers) as watch:
            assert json.loads(watch.recv(timeout=5))["type"] == "state"
        with pytest.raises((InvalidHandshake, InvalidMessage, EOFError, OSError)):
            connect(f"ws://127.0.0.1:{entrance.port}/ws", open_timeout=5)
        entrance_speaks(entrance, "TLSv1.2")
        with pytest.raises(ssl.SSLError):
            entrance_speaks(entrance, "TLSv1.1")


def entrance_speaks(entrance: Entrance, version: str) -> None:
    """SSLError if it does not speak that version, as openssl's own client finds."""
    flag = {"TLSv1.1": "-tls1_1", "TLSv1.2": "-tls1_2"}[version]
    ended = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{entrance.port}", flag, "-cipher", "ALL:@SECLEVEL=0"],
        input="", text=True, capture_output=True, check=False,
    )  # fmt: skip
    if ended.returncode or "Cipher is (NONE)" in ended.stdout:
        raise ssl.SSLError(ended.stderr[-200:])


# ---- figures --------------------------------------------------------------------------------------------------------


def test_the_figures_are_what_prometheus_reads(tmp_path: Path) -> None:
    with Entrance(tmp_path) as entrance:
        entrance.feed.counts['odd "reason" \\ with\nmore'] = 3
        answer = entrance.ask("GET", "/metrics", **entrance.bearer("vera"))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {sample.name: sample for family in text_string_to_metric_families(answer.text) for sample in family.samples}
    refused = [s for f in text_string_to_metric_families(answer.text) for s in f.samples if "refused" in s.name]
    assert any(s.labels["reason"] == 'odd "reason" \\ with\nmore' and s.value == 3 for s in refused)
    assert found["opencram_up"].value == 1
    assert found["opencram_zones"].value == 3  # the last state is quiet
    assert found["opencram_sensor_plot_age_seconds"].labels == {"sensor": "radar"}


# ---- a whole service ------------------------------------------------------------------------------------------------


def test_a_service_over_tls_warns_by_sirens_operators_and_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cert, key = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    village = Village(
        tmp_path, write_site(tmp_path), "--tls-cert", str(cert), "--tls-key", str(key), "--log-format", "json"
    )
    village.http = village.http.replace("http://", "https://")
    with village:
        village.start_service()
        village.start_siren("north")
        village.until(lambda: any(s["id"] == "north" and s["state"] == "ok" for s in village.get("/healthz")["sirens"]))
        assert village.get("/siren-endpoint")["url"].startswith("wss://")
        assert village.post("/api/alarm", {"zone": "base"})[0] == 200
        village.until(lambda: village.journal("answer", siren="north", stage="sounding"))
        status, text = village.text("/metrics")
        lines = [json.loads(line) for line in village.end("service").splitlines()]
    assert status == 200
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    stages = {s.labels["stage"] for s in samples if "tick" in s.name}
    assert stages == {"late", "inputs", "step", "sirens", "others", "rest"}
    assert min(s.value for s in samples if s.name == "opencram_tick_seconds_count") > 5
    assert {"warning", "command", "answer"} <= {line.get("what") for line in lines}
    assert all(set(line) >= {"time", "message"} for line in lines)
    audit = [json.loads(line) for line in (village.record / "audit.jsonl").read_text().splitlines()]
    assert [(line["what"], line.get("who", "")) for line in audit] == [("start", ""), ("alarm", "token operator")]
