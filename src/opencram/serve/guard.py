"""What stands before every request: whose page it comes from, how long it may be, who may ask it, and how often.

Refusals are counted by reason, and what is written, or refused to somebody who is known, goes into the log of acts. A
right token is never locked out by the wrong ones of others: those are limited by where they come from, and after the
token has been looked at.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, QueryParams
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from opencram.serve.access.accounts import Role
from opencram.serve.access.gate import Gate, Who
from opencram.serve.access.limits import network_of
from opencram.serve.access.rules import ACTS, READING, SESSION, is_page, needed, suffices

MAX_BODY_BYTES = 16 * 1024
MAX_SENTENCE = 500
CSRF_HEADER = "x-csrf-token"
NOTE = "opencram.note"
"""Where in a request's scope its `Note` is."""

POLICY = "default-src 'self'; img-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'"
SECURITY_HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-cache"),
]


@dataclass(eq=False)
class Refusal(Exception):
    """A request that is not carried out: its HTTP status, the reason it is counted under, and a sentence."""

    status: int
    reason: str
    sentence: str
    wait_s: int = 0
    """After so many seconds it may be tried again, where that is known."""
    location: str = ""
    """The page where somebody in a browser can go on."""

    @property
    def headers(self) -> dict[str, str]:
        """What else the answer says."""
        found = {"www-authenticate": "Bearer"} if self.status == 401 else {}
        found |= {"retry-after": str(self.wait_s)} if self.wait_s else {}
        return found | ({"location": self.location} if self.location else {})


@dataclass
class Note:
    """What goes into the log about a request. No sentence that repeats what was sent."""

    address: str
    who: Who | None = None
    target: str = ""
    why: str = ""


class Guard:
    """ASGI middleware; `counts` are the refusals by reason, shared with the feed's."""

    def __init__(
        self, app: ASGIApp, gate: Gate, counts: Counter[str], hosts: Iterable[str] = (), phones_public: bool = True
    ) -> None:
        self._app, self._gate, self.counts, self._phones_public = app, gate, counts, phones_public
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *(name.lower() for name in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or hand on."""
        if scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        note = scope[NOTE] = Note((scope.get("client") or ("?",))[0])
        try:
            self._check(scope, note)
            if scope["type"] == "http":
                receive = await _whole_body(scope, receive)
                send = _hardened(send, lambda status: self._write_down(scope, note, status))
            await self._app(scope, receive, send)
        except Refusal as refusal:
            self.counts[refusal.reason] += 1
            note.why = refusal.reason
            self._write_down(scope, note, refusal.status)
            await refuse(scope, send, refusal)

    def _write_down(self, scope: Scope, note: Note, status: int) -> None:
        """Into the log, before the answer leaves: whatever writes, and what somebody's role does not allow."""
        who, method, path = note.who, scope.get("method", "GET"), scope["path"]
        if method in READING and status != 403:
            return
        what = path.rpartition("/")[2] if path in ACTS else "look"
        if path == SESSION:
            what = "sign-out" if method == "DELETE" else "sign-in"
        elif method not in READING and path not in ACTS:
            what = "other"
        self._gate.audit.write(
            what,
            "done" if status < 400 else "refused",
            who="" if who is None else who.title,
            role="" if who is None else who.role,
            address=note.address,
            target=note.target,
            status=status,
            why=note.why,
        )

    def _check(self, scope: Scope, note: Note) -> None:
        headers, method = Headers(scope=scope), scope.get("method", "GET")
        self._check_host(headers)
        if scope["type"] == "websocket" or method not in READING:
            _check_origin(headers)
        zone_feed = scope["type"] == "websocket" and "zone" in QueryParams(scope["query_string"])
        role = needed(method, scope["path"], self._phones_public, zone_feed)
        if role is None and scope["path"] != SESSION:
            return
        note.who = self._who(headers, note.address)
        if role is not None:
            self._check_role(scope, note, role)
        if method not in READING and note.who is not None:
            self._check_writing(note.who, headers, note.address, scope["path"] == SESSION and method == "POST")

    def _check_host(self, headers: Headers) -> None:
        """A name that is not ours was made to lead here, by whoever would have a browser talk to us for him."""
        host = _hostname(headers.get("host", ""))
        if not {host, f"*.{host.partition('.')[2]}"} & self._hosts and not _is_address(host):
            raise Refusal(421, "unknown host", f"Host: found '{host[:80]}', expected this machine's address or name")

    def _who(self, headers: Headers, address: str) -> Who | None:
        """By the token where one is shown, else by the session."""
        if "authorization" not in headers:
            return self._gate.by_cookie(headers.get("cookie", ""))
        scheme, _, given = headers["authorization"].partition(" ")
        who = self._gate.by_token(given.strip()) if scheme.lower() == "bearer" else None
        if who is None:
            self._count_wrong(address)
            raise Refusal(401, "wrong token", "Authorization: found a wrong token, expected 'Bearer' and a token")
        return who

    def _count_wrong(self, address: str) -> None:
        limits = self._gate.limits
        wait_s = limits.take(limits.WRONG, "wrong", network_of(address))
        if wait_s:
            sentence = f"found too many requests without a right token, wait {wait_s} s"
            raise Refusal(429, "too many tries", sentence, wait_s)

    def _check_role(self, scope: Scope, note: Note, role: Role) -> None:
        who, gate = note.who, self._gate
        if who is None and role == "viewer" and not gate.has_accounts:
            return
        if who is None and scope["type"] == "http" and is_page(scope["path"]) and scope["method"] in READING:
            where = f"/sign-in?next={quote(scope['path'])}"
            raise Refusal(303, "not signed in", "found nobody signed in, expected a viewer", location=where)
        if who is None:
            self._refuse_nobody(note, role, scope.get("method", "GET"))
        elif not suffices(who.role, role):
            raise Refusal(403, "role too low", f"found the role of {who.title}, {who.role}, expected {role}")

    def _refuse_nobody(self, note: Note, role: Role, method: str) -> None:
        if method not in READING:
            self._count_wrong(note.address)
        if self._gate.book.fault:
            raise Refusal(503, "accounts not readable", "found accounts that cannot be read, nobody can enter")
        raise Refusal(401, "no token", f"Authorization: found no token and no session, expected the role {role}")

    def _check_writing(self, who: Who, headers: Headers, address: str, signing_in: bool) -> None:
        """An act in a session comes from our page, which alone knows what else to say; and acts have a limit."""
        if signing_in:
            return
        if who.session and not hmac.compare_digest(headers.get(CSRF_HEADER, "").encode(), who.csrf.encode()):
            raise Refusal(403, "no CSRF token", "X-CSRF-Token: found none or a wrong one, expected that of the session")
        limits = self._gate.limits
        waits = [limits.take(limits.ACTS, *whose) for whose in (("act", who.title), ("act at", network_of(address)))]
        if wait_s := max(waits):
            sentence = f"found more acts than the limit of 60 at once and 2 a second, wait {wait_s} s"
            raise Refusal(429, "too many acts", sentence, wait_s)


async def refuse(scope: Scope, send: Send, refusal: Refusal) -> None:
    """Answer a request, or a WebSocket's opening, by a refusal."""
    kind = "websocket.http.response" if scope["type"] == "websocket" else "http.response"
    body = json.dumps({"error": in_one_line(refusal.sentence)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *SECURITY_HEADERS]
    headers += [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
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


def _hardened(send: Send, answered: Callable[[int], None]) -> Send:
    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            answered(message["status"])
            given = message.get("headers", [])
            there = {name.lower() for name, _ in given}  # a report's own policy is closer still
            message["headers"] = [*given, *(header for header in SECURITY_HEADERS if header[0] not in there)]
        await send(message)

    return with_headers
