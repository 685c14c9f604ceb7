"""The application behind a real uvicorn, over TLS where asked, with accounts and a clock that tests can move."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn

from opencram.serve.access.accounts import Role, add_token, add_user, changing
from opencram.serve.access.gate import Gate
from opencram.serve.access.limits import Limits
from opencram.serve.acts import Acts
from opencram.serve.api import app_of
from opencram.serve.door import names_in
from opencram.serve.feed import Feed
from opencram.serve.link import Act, ActReply, Frames, ToPipeline
from opencram.serve.secrets import token
from web_stub import hello, picture

PASSWORD = "a pass phrase for tests"
USERS: dict[str, Role] = {"vera": "viewer", "otto": "operator", "ada": "admin"}
CSRF = "X-CSRF-Token"


class Loose(Limits):
    """No limits, so that each request is looked at."""

    ACTS = WRONG = GUESSED = (1e9, 1e9)


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate of these names and its key, made by openssl."""
    cert, key = folder / "site.crt", folder / "site.key"
    alternative = ",".join([*(f"DNS:{name}" for name in names), "IP:127.0.0.1"])
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-keyout", str(key), "-out", str(cert), "-subj", "/CN=opencram", "-addext", f"subjectAltName={alternative}"],
        check=True, capture_output=True,
    )  # fmt: skip
    return cert, key


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def cookie(self) -> str:
        """The cookie that was set, as a browser sends it."""
        return self.headers["set-cookie"].partition(";")[0]


@dataclass
class Entrance:
    """A running application; `ahead_s` moves its clock."""

    folder: Path
    tls: bool = False
    users: bool = True
    limits: Limits | None = None
    more: dict[str, Any] = field(default_factory=dict)
    ahead_s: float = 0.0
    reports: Path | None = None
    acts: list[Act] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    """Every secret that was handed out or typed."""

    def __post_init__(self) -> None:
        self.secrets, self.state = self.folder / "secrets", self.folder / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        self.sent += [PASSWORD, token("operator", self.secrets)]
        self.tokens = {"operator": self.sent[-1]}
        if self.users:
            for name, role in USERS.items():
                with changing(self.secrets) as accounts:
                    add_user(accounts, name, role, PASSWORD)
                    self.tokens[name] = add_token(accounts, f"machine-{name}", role)
            self.sent += self.tokens.values()
        self.cert, self.key = certificate(self.folder, "warn.example") if self.tls else (None, None)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Entrance:
        self.feed = Feed(hello(**self.more))
        self.feed.hear(picture())
        pipeline = Acts(self._obey, lambda: 0)
        self.pipeline = pipeline
        self.gate = Gate(self.secrets, self.state, False, self.tls, self.port, self.limits, self._now_s)
        app = app_of(self.feed, pipeline, self.gate, names_in(self.cert) if self.cert else [], self.reports)
        config = uvicorn.Config(
            app, log_config=None, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=1,
            ssl_certfile=str(self.cert) if self.tls else None, ssl_keyfile=str(self.key) if self.tls else None,
        )  # fmt: skip
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self._thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    async def _run(self) -> None:
        beside = [asyncio.ensure_future(work) for work in (self.feed.pulse(), self.gate.watch(), self._draw())]
        await self.server.serve([self.socket])
        for task in beside:
            task.cancel()

    async def _draw(self) -> None:
        while True:
            await asyncio.sleep(0.2)
            self.feed.hear(picture())

    def __exit__(self, *_: object) -> None:
        self.server.should_exit = True
        self._thread.join()

    def _now_s(self) -> float:
        return time.time() + self.ahead_s

    def _obey(self, data: bytes) -> None:
        for message in Frames(ToPipeline).feed(data):
            if isinstance(message, Act):
                self.acts.append(message)
                self.pipeline.hear(ActReply(act=message.act, done=True, sentence=f"{message.kind} done"))

    # ---- asking -----------------------------------------------------------------------------------------------------

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """One request; `headers` with underscores for hyphens."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            given = {"Content-Type": "application/json", **given}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        with contextlib.closing(self._connection()) as connection:
            connection.request(method, path, data, given)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, found, answer.read().decode(errors="replace"))

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=self.trusting())

    def trusting(self) -> ssl.SSLContext:
        """What a client needs who was given the certificate."""
        return ssl.create_default_context(cafile=str(self.cert))

    def bearer(self, name: str) -> dict[str, str]:
        """A token's header."""
        return {"Authorization": f"Bearer {self.tokens[name]}"}

    def sign_in(self, user: str, password: str = PASSWORD) -> Answer:
        """Sign in."""
        answer = self.ask("POST", "/api/session", {"user": user, "password": password})
        if answer.status == 200:
            self.sent += [answer.cookie.partition("=")[2], answer.json["csrf"]]
        return answer

    def signed_in(self, user: str) -> dict[str, str]:
        """The headers that our page sends in a session."""
        answer = self.sign_in(user)
        assert answer.status == 200, answer.text
        return {"Cookie": answer.cookie, CSRF: answer.json["csrf"]}

    def audit(self, **equal: Any) -> list[dict[str, Any]]:
        """The lines of the log with these values."""
        lines = [json.loads(line) for line in (self.state / "audit.jsonl").read_text().splitlines()]
        return [line for line in lines if all(line.get(key) == value for key, value in equal.items())]
