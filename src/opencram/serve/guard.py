"""What stands before every request: whose page it comes from, how long it may be, who may act, and how often.

Refusals are counted by reason. A right token is never locked out by the wrong ones of others: those are limited by
where they come from, and after the token has been looked at.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import socket
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY_BYTES = 16 * 1024
MAX_SENTENCE = 500
MAX_HOSTS = 1_024
"""So many addresses are watched for wrong tokens; the one longest unheard is forgotten."""

POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'"
SECURITY_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]


@dataclass
class Allowance:
    """A bucket of tries: `burst` at once, then `per_s` of them."""

    burst: float
    per_s: float
    left: float
    filled_s: float

    def take(self, now_s: float) -> bool:
        """Use one; False if there is none."""
        self.left = min(self.burst, self.left + (now_s - self.filled_s) * self.per_s)
        self.filled_s = now_s
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class Limits:
    """How often an operator may act, and how often somebody may try with no right token."""

    ACTS = (60.0, 2.0)
    """Burst and rate: every zone of a district by hand at once, then two a second."""
    WRONG = (10.0, 0.2)

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._acts = Allowance(*self.ACTS, self.ACTS[0], now_s())
        self._wrong: OrderedDict[str, Allowance] = OrderedDict()

    def may_act(self) -> bool:
        """Whether one more act is within the limit."""
        return self._acts.take(self._now_s())

    def may_err(self, host: str) -> bool:
        """Whether one more try without a right token is, from this address."""
        now_s = self._now_s()
        allowance = self._wrong.setdefault(host, Allowance(*self.WRONG, self.WRONG[0], now_s))
        self._wrong.move_to_end(host)
        if len(self._wrong) > MAX_HOSTS:
            self._wrong.popitem(last=False)
        return allowance.take(now_s)


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is not carried out: its HTTP status, the reason it is counted under, and a sentence."""

    status: int
    reason: str
    sentence: str


class Guard:
    """ASGI middleware; `counts` are the refusals by reason, shared with the feed's."""

    def __init__(
        self, app: ASGIApp, token: str, counts: Counter[str], hosts: Iterable[str] = (), limits: Limits | None = None
    ) -> None:
        self._app, self._token, self.counts = app, token.encode(), counts
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *(name.lower() for name in hosts)}
        self._limits = limits or Limits()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        try:
            self._check(scope)
            if scope["type"] == "http":
                receive, send = await _whole_body(scope, receive), _hardened(send)
            await self._app(scope, receive, send)
        except Refusal as refusal:
            self.counts[refusal.reason] += 1
            await refuse(scope, send, refusal)

    def _check(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        self._check_host(headers)
        if scope["type"] == "websocket" or scope["method"] not in ("GET", "HEAD"):
            _check_origin(headers)
        if scope["type"] == "http" and scope["method"] == "POST":
            self._check_token(headers, (scope.get("client") or ("?",))[0])

    def _check_host(self, headers: Headers) -> None:
        """A name that is not ours was made to lead here, by whoever would have a browser talk to us for him."""
        host = _hostname(headers.get("host", ""))
        if host not in self._hosts and not _is_address(host):
            raise Refusal(421, "unknown host", f"Host: found '{host[:80]}', expected this machine's address or name")

    def _check_token(self, headers: Headers, client: str) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        right = scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), self._token)
        if right:
            if not self._limits.may_act():
                raise Refusal(429, "too many acts", "found more acts than the limit of 60 at once and 2 a second")
        elif not self._limits.may_err(client):
            raise Refusal(429, "too many tries", "found too many requests without the operator's token, wait a minute")
        elif not given:
            raise Refusal(401, "no token", "Authorization: found no token, expected 'Bearer' and the operator's token")
        else:
            raise Refusal(401, "wrong token", "Authorization: found a wrong token, expected the operator's")


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer a request, or a WebSocket's opening, by a refusal."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps({"error": in_one_line(refusal.sentence)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *SECURITY_HEADERS]
    if refusal.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": f"{kind}.start", "status": refusal.status, "headers": headers})
    await send({"type": f"{kind}.body", "body": body})


def in_one_line(sentence: str) -> str:
    """What was found may hold anything: a sentence is one line, without control characters, and ends somewhere."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", sentence)[:MAX_SENTENCE]


def _check_origin(headers: Headers) -> None:
    """What a browser sends comes from our own page, or from none."""
    origin = headers.get("origin")
    if origin is not None and origin.partition("//")[2].lower() != headers.get("host", "").lower():
        raise Refusal(403, "foreign origin", f"Origin: found '{origin[:80]}', expected this server's own page")


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


async def _whole_body(scope: Scope, receive: Receive) -> Receive:
    """The body of a request, read whole if it is short enough; a longer one is refused before it has been read."""
    too_long = Refusal(413, "body too long", f"found a body longer than the {MAX_BODY_BYTES} bytes expected at most")
    if int(Headers(scope=scope).get("content-length", "0")) > MAX_BODY_BYTES:
        raise too_long
    parts, more = [], scope["method"] != "GET"
    while more:
        message = await receive()
        if message["type"] != "http.request":
            parts.append(message)
            break
        parts.append(message)
        if sum(len(part.get("body", b"")) for part in parts) > MAX_BODY_BYTES:
            raise too_long
        more = message.get("more_body", False)
    waiting = iter(parts)

    async def again() -> Message:
        return next(waiting, None) or await receive()

    return again


def _hardened(send: Send) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *SECURITY_HEADERS]
        await send(message)

    return with_headers
