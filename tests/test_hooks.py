"""Hooks against a real HTTP server and real processes: told, signed, tried again, given up, and never waited for."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from made_up_run import NS, T0, warning, write_site
from opencram.errors import InputError
from opencram.outputs.hooks import LATE_NS, MAX_WAITING, Hook, HookSpec, hook_message, load_hooks
from opencram.outputs.source import Provenance, Source
from opencram.site import Site

SECRET = "a-secret-of-more-than-16"
ALERT = warning(0.0, "inner", "alert", (7,), seconds_left=12.25)
CLEAR = warning(60.0, "inner", "all-clear", (7,))
PRINT = "import json,os,sys; m=json.load(sys.stdin); open(sys.argv[1],'a').write(m['state']+' '+' '.join("
PRINT += "os.environ.get(k,'-') for k in ('OPENCRAM_STATUS','OPENCRAM_ZONE','OPENCRAM_STATE','HOOK_SECRET'))+chr(10))"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"))


def live(provenance: Provenance = Provenance.LIVE) -> Source:
    return Source("opencram.made-up", "run", provenance)


class Receiver:
    """An HTTP server that keeps what it is told and answers as it was asked to, the last answer again and again."""

    def __init__(self, *answers: int | str) -> None:
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        receiver, left = self, list(answers or (204,))

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                answer = left.pop(0) if len(left) > 1 else left[0]
                if answer == "hang":
                    time.sleep(1.0)
                elif answer == "cut":
                    self.close_connection = True
                elif isinstance(answer, int):
                    self.send_response(answer)
                    if answer == 302:
                        self.send_header("Location", "/elsewhere")
                    self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/told?x=1"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})

    def __enter__(self) -> Receiver:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "hooks.yaml"
    path.write_text(text, "utf-8")
    return path


def hook_of(tmp_path: Path, site: Site, text: str, now_ns: Callable[[], int] = lambda: T0) -> Hook:
    (hook,) = load_hooks(write(tmp_path, f"hooks:\n  - name: one\n    {text}\n"), site, now_ns)
    return hook


def told(hook: Hook, site: Site, *warnings: Any, source: Source | None = None, within_s: float = 10.0) -> Hook:
    """Put the warnings to the hook and let it run until it has nothing more to do."""

    async def whole() -> None:
        for i, said in enumerate(warnings):
            hook.put(hook_message(said, site, source or live(), f"run.{i}"))
        task = asyncio.ensure_future(hook.run())
        async with asyncio.timeout(within_s):
            while not _settled(hook, len(warnings)):
                await asyncio.sleep(0.005)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(whole())
    return hook


def _settled(hook: Hook, n: int) -> bool:
    ends = ("delivered", "failed", "too late", "dropped")
    away = sum(count for what, count in hook.counts.items() if what in ends or what.startswith("not for"))
    return away >= n


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencram.outputs.hooks.BACK_OFF_S", (0.01, 0.02))


# ---- a request -------------------------------------------------------------------------------------------------------


def test_a_url_is_told_in_json(tmp_path: Path, site: Site) -> None:
    with Receiver() as receiver:
        told(hook_of(tmp_path, site, f"url: {receiver.url}"), site, ALERT, CLEAR)
    (path, headers, body), (_, _, last) = receiver.got
    content = json.loads(body)
    assert path == "/told?x=1"
    assert headers["Content-Type"] == "application/json"
    assert headers["X-Opencram-Id"] == content["id"] == "run.0"
    assert "X-Opencram-Signature" not in headers
    assert content["headline"]["en"] == "Rocket alert: Compound. Take cover now."
    assert content["headline"]["ar"].startswith("إنذار قصف: نطاق")
    assert {k: content[k] for k in ("schema", "status", "zone", "zone_name", "state", "kind", "tracks")} == {
        "schema": 1, "status": "Actual", "zone": "inner", "zone_name": "Compound", "state": "alert", "kind": "rocket",
        "tracks": [7],
    }  # fmt: skip
    assert (content["time"], content["impact_time"]) == ("2020-11-17T17:30:00.000Z", "2020-11-17T17:30:12.250Z")
    assert (json.loads(last)["state"], json.loads(last)["impact_time"]) == ("all-clear", None)


def test_a_secret_signs_the_body_and_is_seen_nowhere(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    (tmp_path / "secret").write_text(SECRET + "\n")
    (tmp_path / "secret").chmod(0o600)
    for text in ("secret_env: HOOK_SECRET", "secret_file: secret"):
        with Receiver() as receiver:
            hook = told(hook_of(tmp_path, site, f"url: {receiver.url}\n    {text}"), site, ALERT)
        ((_, headers, body),) = receiver.got
        right = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert headers["X-Opencram-Signature"] == f"sha256={right}"
        assert SECRET not in json.dumps(headers) + body.decode() + repr(hook.spec) + repr(hook.counts)


@pytest.mark.parametrize("first", [500, 503, 429, "cut", "hang"])
def test_what_may_pass_is_tried_again(tmp_path: Path, site: Site, first: int | str) -> None:
    with Receiver(first, first, 200) as receiver:
        hook = told(hook_of(tmp_path, site, f"url: {receiver.url}\n    timeout_s: 0.3"), site, ALERT)
    assert len(receiver.got) == 3
    assert {body for _, _, body in receiver.got} == {receiver.got[0][2]}
    assert (hook.counts["delivered"], hook.counts["tried again"], hook.fault) == (1, 2, "")


@pytest.mark.parametrize("answer", [400, 404, 302])
def test_what_will_not_pass_is_not(tmp_path: Path, site: Site, answer: int) -> None:
    with Receiver(answer) as receiver:
        hook = told(hook_of(tmp_path, site, f"url: {receiver.url}"), site, ALERT)
    assert len(receiver.got) == 1  # a redirection is not followed: it would take the message elsewhere
    assert (hook.counts["failed"], hook.fault) == (1, f"answered {answer}")


def test_it_is_given_up_and_the_next_goes_on(tmp_path: Path, site: Site) -> None:
    with Receiver(500, 500, 500, 204) as receiver:
        hook = told(hook_of(tmp_path, site, f"url: {receiver.url}\n    retries: 2"), site, ALERT, CLEAR)
    assert [json.loads(body)["state"] for _, _, body in receiver.got] == ["alert", "alert", "alert", "all-clear"]
    assert (hook.counts["failed"], hook.counts["delivered"], hook.fault) == (1, 1, "")


def test_a_server_that_is_not_there_is_a_fault_without_its_address(tmp_path: Path, site: Site) -> None:
    with Receiver() as receiver:
        pass
    url = receiver.url.replace("/told", "/token-in-the-path")
    hook = told(hook_of(tmp_path, site, f"url: {url}\n    retries: 0"), site, ALERT)
    assert hook.counts["failed"] == 1
    assert hook.fault
    assert "token" not in hook.fault


def test_what_is_no_http_is_a_fault(tmp_path: Path, site: Site) -> None:
    async def babble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"SSH-2.0-x\r\n")
        await writer.drain()
        writer.close()

    async def whole() -> Hook:
        server = await asyncio.start_server(babble, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        hook = hook_of(tmp_path, site, f"url: http://127.0.0.1:{port}/\n    retries: 0")
        hook.put(hook_message(ALERT, site, live(), "run.0"))
        task = asyncio.ensure_future(hook.run())
        async with asyncio.timeout(5):
            while not hook.counts:
                await asyncio.sleep(0.01)
        task.cancel()
        server.close()
        return hook

    assert asyncio.run(whole()).fault == "no HTTP answer"


# ---- a command -------------------------------------------------------------------------------------------------------


def command(code: str, *args: object) -> str:
    return "run: " + json.dumps([sys.executable, "-c", code, *map(str, args)])


def test_a_command_is_run_with_the_message_and_without_secrets(
    tmp_path: Path, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    out = tmp_path / "out; touch $(id)"
    path = write(
        tmp_path,
        f"hooks:\n  - {{name: bell, {command(PRINT, out)}}}\n"
        "  - {name: other, url: 'http://127.0.0.1:9/', secret_env: HOOK_SECRET}\n",
    )
    told(load_hooks(path, site, lambda: T0)[0], site, ALERT, CLEAR)
    assert out.read_text().splitlines() == ["alert Actual inner alert -", "all-clear Actual inner all-clear -"]


def test_a_command_that_fails_is_run_again_and_its_words_are_kept_short(tmp_path: Path, site: Site) -> None:
    code = "import sys; print('no such relay ' + 'x' * 100000); open(sys.argv[1],'a').write('.'); sys.exit(3)"
    text = f"{command(code, tmp_path / 'runs')}\n    retries: 2"
    hook = told(hook_of(tmp_path, site, text), site, ALERT)
    assert (tmp_path / "runs").read_text() == "..."
    assert hook.fault.startswith("ended with 3: no such relay xxx")
    assert len(hook.fault) < 300


def test_a_command_that_hangs_is_killed_with_all_it_began(tmp_path: Path, site: Site) -> None:
    pids = tmp_path / "pids"
    code = (
        "import os,subprocess,sys,time; child = subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']);"
        "open(sys.argv[1],'w').write(f'{os.getpid()} {child.pid}'); print('waiting', flush=True); time.sleep(60)"
    )
    hook = told(hook_of(tmp_path, site, f"{command(code, pids)}\n    timeout_s: 1.5"), site, ALERT)
    assert hook.counts["failed"] == 1
    assert hook.fault == "not done within 1.5 s: waiting"
    assert all(_ends(int(pid)) for pid in pids.read_text().split())


def _ends(pid: int) -> bool:
    """Whether a process is gone, or dead and not yet waited for by whoever inherited it."""
    for _ in range(200):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.01)
    return False


def test_a_command_may_leave_something_running(tmp_path: Path, site: Site) -> None:
    code = "import subprocess,sys; subprocess.Popen([sys.executable,'-c','import time; time.sleep(8)'])"
    began = time.monotonic()
    hook = told(hook_of(tmp_path, site, command(code)), site, ALERT)
    assert hook.counts["delivered"] == 1
    assert time.monotonic() - began < 7.0


def test_a_command_that_is_not_there_is_a_fault(tmp_path: Path, site: Site) -> None:
    hook = told(hook_of(tmp_path, site, "run: [/no/such/bell]"), site, ALERT)
    assert hook.counts["failed"] == 1
    assert "No such file" in hook.fault


# ---- who is told of what ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provenance", [Provenance.SIMULATION, Provenance.REPLAY])
def test_a_simulation_rings_no_bell_unless_the_hook_asks_for_it(
    tmp_path: Path, site: Site, provenance: Provenance
) -> None:
    with Receiver() as receiver:
        url = f"url: {receiver.url}"
        told(hook_of(tmp_path, site, url), site, ALERT, source=live(provenance))
        assert receiver.got == []
        told(hook_of(tmp_path, site, f"{url}\n    statuses: [Exercise, Test]"), site, ALERT, source=live(provenance))
        (_, _, body) = receiver.got.pop()
        content = json.loads(body)
        assert content["status"] == ("Exercise" if provenance is Provenance.SIMULATION else "Test")
        assert content["headline"]["en"].startswith(content["status"].upper() + " – ")


def test_a_drill_on_a_live_system_rings_no_bell(tmp_path: Path, site: Site) -> None:
    with Receiver() as receiver:
        drill = warning(0.0, "inner", "alert", kind="drill")
        hook = told(hook_of(tmp_path, site, f"url: {receiver.url}"), site, drill)
    assert receiver.got == []
    assert hook.counts == {"not for Exercise": 1}


def test_states_and_zones_narrow_what_a_hook_is_told(tmp_path: Path, site: Site) -> None:
    said = [warning(i, zone, state) for i, zone in enumerate(("inner", "east")) for state in ("pre-alert", "alert")]
    with Receiver() as receiver:
        hook = hook_of(tmp_path, site, f"url: {receiver.url}\n    states: [alert]\n    zones: [east]")
        for i, w in enumerate(said):
            hook.put(hook_message(w, site, live(), str(i)))
        assert [(m.zone, m.state) for m in hook._waiting] == [("east", "alert")]


def test_an_alarm_that_is_late_is_not_told_and_an_end_is(tmp_path: Path, site: Site) -> None:
    with Receiver() as receiver:
        hook = hook_of(tmp_path, site, f"url: {receiver.url}", lambda: T0 + LATE_NS + NS)
        told(hook, site, ALERT, warning(0.5, "inner", "all-clear"))
    assert [json.loads(body)["state"] for _, _, body in receiver.got] == ["all-clear"]
    assert hook.counts["too late"] == 1


def test_a_hook_that_is_stuck_drops_updates_first_and_keeps_nobody_waiting(tmp_path: Path, site: Site) -> None:
    hook = hook_of(tmp_path, site, "url: http://127.0.0.1:9/")
    alert, update = (hook_message(warning(0, "inner", state), site, live(), state) for state in ("alert", "update"))
    began = time.monotonic()
    for message in [alert, *[update] * 150, *[alert] * 60]:
        hook.put(message)
    assert time.monotonic() - began < 1.0
    assert len(hook._waiting) == MAX_WAITING
    assert sum(m.state == "alert" for m in hook._waiting) == 61
    assert hook.counts["dropped"] == 111


# ---- the file --------------------------------------------------------------------------------------------------------


@pytest.fixture
def open_secret(tmp_path: Path) -> Path:
    path = tmp_path / "open"
    path.write_text(SECRET)
    path.chmod(0o644)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    return path


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["name: a"], "both or none of 'url' and 'run'"),
        (["name: a", "url: http://h/", "run: [x]"], "both or none"),
        (["name: a", "url: ftp://h/"], "expected http"),
        (["name: a", "url: http://user:word@h/"], "without a user in it"),
        (["name: a", "url: 'http://h/a b'"], "expected http"),
        (["name: a", "run: []"], "both or none"),
        (["name: a", "run: [x]", "secret_env: HOME"], "a secret for a command"),
        (["name: a", "url: http://h/", "secret_env: HOME", "secret_file: x"], "expected one of them"),
        (["name: a", "url: http://h/", "secret_env: NO_SUCH_SECRET"], "no secret in $NO_SUCH_SECRET"),
        (["name: a", "url: http://h/", "secret_file: open"], "expected 600"),
        (["name: a", "url: http://h/", "statuses: [Real]"], "Real"),
        (["name: a", "url: http://h/", "states: [alarm]"], "the state 'alarm'"),
        (["name: a", "url: http://h/", "zones: [iner]"], "the zone 'iner', expected"),
        (["name: a", "url: http://h/", "timeout_s: 0"], "timeout_s"),
        (["name: a", "url: http://h/", "retrys: 1"], "retries"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_sentence(
    tmp_path: Path, site: Site, open_secret: Path, lines: Sequence[str], words: str
) -> None:
    del open_secret
    path = write(tmp_path, "hooks:\n  - " + "\n    ".join(lines) + "\n")
    with pytest.raises(InputError) as refused:
        load_hooks(path, site, lambda: T0)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_two_hooks_of_one_name_are_refused(tmp_path: Path, site: Site) -> None:
    path = write(tmp_path, "hooks:\n  - {name: a, run: [x]}\n  - {name: a, run: [y]}\n")
    with pytest.raises(InputError, match="found the name 'a' twice"):
        load_hooks(path, site, lambda: T0)


def test_the_processes_own_environment_stays(tmp_path: Path, site: Site) -> None:
    hook = hook_of(tmp_path, site, command("import os,sys; sys.exit(0 if os.environ['PATH'] else 1)"))
    assert told(hook, site, ALERT).counts["delivered"] == 1
    assert "OPENCRAM_STATUS" not in os.environ


def test_every_key_of_the_file_has_its_entry() -> None:
    page = (Path(__file__).parents[1] / "docs" / "how-to" / "hooks.md").read_text("utf-8")
    cells = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `")]
    described = set(re.findall(r"`(\w+)`", " ".join(cells)))
    assert described == set(HookSpec.model_fields)
