"""Hooks: what a site already has is told of warnings, by an HTTP request or by running a command.

Each hook has a queue and a task of its own, so that one that hangs keeps nobody waiting: neither the sirens, which are
told before, nor the other hooks. A hook is told only of what has a status that it names; by default that is Actual
alone, so that a simulation rings no bell.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import os
import signal
import ssl
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import Field, StringConstraints, model_validator

from opencram import yamlfile
from opencram.errors import InputError
from opencram.fields import Count, Id, Model, Positive
from opencram.outputs.cap import ends
from opencram.outputs.phrases import LANGUAGES, STATES, Phrases, phrases
from opencram.outputs.source import Source, Status
from opencram.report.words import iso
from opencram.site import Site
from opencram.tables import ZoneWarning

MAX_HOOKS, MAX_WAITING = 50, 100
"""Hooks of a file; and messages that wait for one of them, beyond which updates and then the oldest are dropped."""
LATE_NS = 60_000_000_000
"""An alarm that could not be told for so long is not told any more; an end still is."""
BACK_OFF_S = (0.5, 10.0)
KEPT_BYTES = 1_024
"""Of what a command says, or an HTTP server answers; the rest is read and forgotten."""
TALK_S = 0.5
"""So long what a command said is waited for after its end."""
SIGNATURE = "X-Opencram-Signature"
RETRIED = (408, 425, 429)
"""HTTP statuses below 500 that speak of now, not of the request (RFC 9110, RFC 6585, RFC 8470)."""


class HookSpec(Model):
    """One hook as its file has it."""

    name: Id
    url: str = ""
    """Told by POST; or"""
    run: Annotated[tuple[Annotated[str, StringConstraints(min_length=1)], ...], Field(max_length=100)] = ()
    """told by running this command, its arguments one by one: no shell looks at them."""
    statuses: Annotated[tuple[Status, ...], Field(min_length=1)] = ("Actual",)
    states: tuple[str, ...] = STATES
    zones: tuple[Id, ...] = ()
    """Empty: all of them."""
    timeout_s: Annotated[Positive, Field(le=60)] = 5.0
    retries: Annotated[Count, Field(le=20)] = 4
    secret_file: str = ""
    secret_env: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.url) == bool(self.run):
            raise ValueError("found both or none of 'url' and 'run', expected one of them")
        if self.url and not _is_http(self.url):
            raise ValueError("found a url that cannot be told, expected http(s)://HOST/PATH without a user in it")
        if self.secret_file and self.secret_env:
            raise ValueError("found 'secret_file' and 'secret_env', expected one of them")
        if self.run and (self.secret_file or self.secret_env):
            raise ValueError("found a secret for a command, expected one for a url alone")
        if unknown := [state for state in self.states if state not in STATES]:
            raise ValueError(f"found the state '{unknown[0]}', expected {yamlfile.nearest(unknown[0], list(STATES))}")
        return self


class HooksFile(Model):
    """A file of hooks."""

    hooks: Annotated[tuple[HookSpec, ...], Field(max_length=MAX_HOOKS)]


@dataclass(frozen=True)
class Message:
    """What a hook is told of one warning."""

    identifier: str
    time_ns: int
    zone: str
    state: str
    status: Status
    body: bytes
    environment: Mapping[str, str]


class Delivery(Exception):
    """A message that was not delivered; whether it is worth another try."""

    def __init__(self, why: str, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Hook:
    """A hook at work. `counts` says what became of its messages, `fault` what went wrong last (empty: nothing)."""

    def __init__(self, spec: HookSpec, secret: bytes, hidden: tuple[str, ...], now_ns: Callable[[], int]) -> None:
        self.spec, self.counts, self.fault = spec, Counter[str](), ""
        self._secret, self._hidden, self._now_ns = secret, hidden, now_ns
        self._waiting: deque[Message] = deque()
        self._news, self.busy = asyncio.Event(), False
        """Whether something waits, or is being delivered."""

    def put(self, message: Message) -> None:
        """Tell it, if it wants to be told of such; never waits."""
        spec = self.spec
        if message.status not in spec.statuses:
            self.counts[f"not for {message.status}"] += 1
            return
        if message.state not in spec.states or (spec.zones and message.zone not in spec.zones):
            return
        if len(self._waiting) >= MAX_WAITING:
            updates = (waiting for waiting in self._waiting if waiting.state == "update")
            self._waiting.remove(next(updates, self._waiting[0]))
            self.counts["dropped"] += 1
        self._waiting.append(message)
        self.busy = True
        self._news.set()

    async def run(self) -> None:
        """Deliver what is put, in order, until cancelled."""
        while True:
            while self._waiting:
                await self._deliver(self._waiting.popleft())
            self.busy = False
            self._news.clear()
            await self._news.wait()

    async def _deliver(self, message: Message) -> None:
        wait_s = BACK_OFF_S[0]
        for left in range(self.spec.retries, -1, -1):
            if not ends(message.state) and self._now_ns() - message.time_ns > LATE_NS:
                self.counts["too late"] += 1
                return
            try:
                await self._once(message)
            except Delivery as failure:
                self.fault = str(failure)
                if not (failure.again and left):
                    self.counts["failed"] += 1
                    return
            else:
                self.counts["delivered"] += 1
                self.fault = ""
                return
            self.counts["tried again"] += 1
            await asyncio.sleep(wait_s)
            wait_s = min(2.0 * wait_s, BACK_OFF_S[1])

    async def _once(self, message: Message) -> None:
        """Deliver it, or raise Delivery."""
        try:
            if self.spec.url:
                async with asyncio.timeout(self.spec.timeout_s):
                    status = await _post(self.spec.url, message, self._secret)
            else:
                await _run(self.spec.run, message, self.spec.timeout_s, self._environment(message))
                return
        except TimeoutError:
            raise Delivery(f"no answer within {self.spec.timeout_s:g} s", again=True) from None
        except (OSError, EOFError, ValueError) as error:
            raise Delivery(_reason(error), again=True) from None
        if not 200 <= status < 300:
            raise Delivery(f"answered {status}", again=status >= 500 or status in RETRIED)

    def _environment(self, message: Message) -> dict[str, str]:
        """What a command finds in its environment: ours without the secrets, and the message's."""
        own = {name: value for name, value in os.environ.items() if name not in self._hidden}
        return {**own, **message.environment}


def load_hooks(path: Path, site: Site, now_ns: Callable[[], int]) -> list[Hook]:
    """The hooks of a YAML file; InputError says what is wrong with it, or with a secret that it names."""
    data, lines = yamlfile.read_yaml(path, str(path))
    specs = yamlfile.validate(HooksFile, data, lines, str(path)).hooks
    zones = [zone.id for zone in site.zones]
    for i, spec in enumerate(specs):
        where = yamlfile.at(str(path), ("hooks", i), lines)
        if [other.name for other in specs].count(spec.name) > 1:
            raise InputError(f"{where}: found the name '{spec.name}' twice, expected it once")
        for zone in spec.zones:
            if zone not in zones:
                raise InputError(f"{where}: found the zone '{zone}', expected {yamlfile.nearest(zone, zones)}")
    hidden = tuple(spec.secret_env for spec in specs if spec.secret_env)
    return [Hook(spec, _secret(spec, path), hidden, now_ns) for spec in specs]


def hook_message(
    warning: ZoneWarning, site: Site, source: Source, identifier: str, book: Phrases | None = None
) -> Message:
    """What hooks are told of a warning: JSON for all, and the same in short for a command's environment."""
    book, status = book or phrases(), source.provenance.status_of(warning.kind)
    (zone,) = (zone for zone in site.zones if zone.id == warning.zone)
    titles = {language: getattr(zone.title, language) or zone.title.en for language in LANGUAGES}
    marks = {language: book.mark(status, language) for language in LANGUAGES}
    said = {lang: book.say("headline", warning.state, warning.kind, lang, zone=title) for lang, title in titles.items()}
    due = warning.seconds_left is not None and not ends(warning.state)
    impact_ns = warning.time_ns + round((warning.seconds_left or 0.0) * 1e9)
    content: dict[str, Any] = {
        "schema": 1,
        "id": identifier,
        "status": status,
        "sender": source.sender,
        "time": iso(warning.time_ns),
        "zone": warning.zone,
        "zone_name": zone.title.en,
        "state": warning.state,
        "kind": warning.kind,
        "p_hit": round(warning.p_hit, 4),
        "impact_time": iso(impact_ns) if due else None,
        "tracks": list(warning.tracks),
        "reason": warning.reason,
        "headline": {lang: f"{marks[lang]} – {text}" if marks[lang] else text for lang, text in said.items()},
    }
    named = {f"OPENCRAM_{key.upper()}": str(content[key]) for key in ("id", "status", "zone", "state", "kind", "time")}
    body = json.dumps(content, ensure_ascii=False).encode("utf-8", "replace")
    return Message(identifier, warning.time_ns, warning.zone, warning.state, status, body, named)


# ---- HTTP -----------------------------------------------------------------------------------------------------------


def signature(body: bytes, secret: bytes) -> str:
    """HMAC-SHA256 (RFC 2104) of a body, as the header has it."""
    return "sha256=" + hmac.new(secret, body, hashlib.sha256).hexdigest()


async def _post(url: str, message: Message, secret: bytes) -> int:
    """POST the message; the status of the answer. A connection each: hooks are told seldom."""
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
    context = ssl.create_default_context() if secure else None
    reader, writer = await asyncio.open_connection(host, parts.port or (443 if secure else 80), ssl=context)
    try:
        writer.write(_request(url, message, secret))
        await writer.drain()
        line = await reader.readline()
        version, _, rest = line.partition(b" ")
        if not version.startswith(b"HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("no HTTP answer")
        return int(rest[:3])
    finally:
        writer.transport.abort()


def _request(url: str, message: Message, secret: bytes) -> bytes:
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = [
        f"POST {target} HTTP/1.1",
        f"Host: {parts.netloc}",
        "User-Agent: opencram",
        "Content-Type: application/json",
        f"Content-Length: {len(message.body)}",
        f"X-Opencram-Id: {message.identifier}",
        "Connection: close",
    ]
    if secret:
        headers.append(f"{SIGNATURE}: {signature(message.body, secret)}")
    return "\r\n".join([*headers, "", ""]).encode("ascii") + message.body


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.username is None
        return good and parts.port != 0 and url.isascii() and url.isprintable() and " " not in url
    except ValueError:
        return False


def _secret(spec: HookSpec, path: Path) -> bytes:
    from opencram.serve.secrets import MIN_CHARACTERS, read_token

    if spec.secret_file:
        return read_token(path.parent / spec.secret_file).encode()
    if not spec.secret_env:
        return b""
    found = os.environ.get(spec.secret_env, "")
    if len(found) < MIN_CHARACTERS:
        wanted = f"expected at least {MIN_CHARACTERS} characters"
        raise InputError(f"{path}: hook '{spec.name}': found no secret in ${spec.secret_env}, {wanted}")
    return found.encode()


# ---- commands -------------------------------------------------------------------------------------------------------


async def _run(argv: tuple[str, ...], message: Message, timeout_s: float, environment: Mapping[str, str]) -> None:
    """Run a command with the message on its standard input; Delivery with the beginning of what it said if it fails."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.STDOUT, env=environment, start_new_session=True
    )
    said = bytearray()
    talking = asyncio.ensure_future(_talk(process, message.body, said))
    try:
        async with asyncio.timeout(timeout_s):
            await _ended(process)
        with contextlib.suppress(TimeoutError):  # what it left running may hold its output open
            await asyncio.wait_for(talking, TALK_S)
    except TimeoutError:
        raise Delivery(f"not done within {timeout_s:g} s{_quoted(said)}", again=False) from None
    finally:
        talking.cancel()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await _ended(process)
        process._transport.close()  # type: ignore[attr-defined]
    if process.returncode:
        raise Delivery(f"ended with {process.returncode}{_quoted(said)}", again=True)


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for the process alone: its own `wait` waits for all that hold its output open too (Python 3.11)."""
    while process.returncode is None:
        await asyncio.sleep(0.01)


async def _talk(process: asyncio.subprocess.Process, body: bytes, said: bytearray) -> None:
    """Write the message, keep the beginning of what is said, read the rest."""
    if process.stdin is None or process.stdout is None:
        return
    with contextlib.suppress(OSError):  # it need not read
        process.stdin.write(body + b"\n")
        process.stdin.close()
    while data := await process.stdout.read(65_536):
        said += data[: KEPT_BYTES - len(said)]


def _quoted(said: bytes | bytearray) -> str:
    text = " ".join(bytes(said).decode("utf-8", "replace").split())
    return f": {text[:200]}" if text else ""


def _reason(error: Exception) -> str:
    """What went wrong, without the address: that may be a secret."""
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'refused'}"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
