"""Who is asking: by a token, or by the session of a browser; and signing in and out."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from pathlib import Path

from opencram.serve.access.accounts import Accounts, Book, Role, is_password
from opencram.serve.access.audit import Audit
from opencram.serve.access.limits import Limits, network_of
from opencram.serve.access.sessions import FILE as SESSIONS_FILE
from opencram.serve.access.sessions import LASTS_S, Sessions, csrf_of

MAX_KNOWN = 1_024
"""So many places are remembered at which users have signed in."""
WATCH_S = 1.0
HASHING = 2
"""Passwords that are looked at at a time: each takes 64 MiB."""
MAX_HASHING = 32
"""Passwords that may wait for that; one more is refused."""


@dataclass(frozen=True)
class Who:
    """Somebody who has proved who he is; `session` is the cookie of a browser, and empty where a token was shown."""

    kind: str
    name: str
    role: Role
    session: str = ""
    ends_s: float = 0.0

    def __repr__(self) -> str:
        return f"{self.kind} {self.name} ({self.role})"

    @property
    def title(self) -> str:
        """As in the log of acts."""
        return f"{self.kind} {self.name}"

    @property
    def csrf(self) -> str:
        """What the page has to say with each act; empty where no page is needed."""
        return csrf_of(self.session) if self.session else ""


class Gate:
    """Knows accounts, sessions, limits and the log. `reachable`: others than this machine can reach the service."""

    def __init__(
        self,
        secrets: Path,
        state: Path | None = None,
        reachable: bool = False,
        secure: bool = False,
        port: int = 0,
        limits: Limits | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self.limits = limits or Limits()
        self.audit = Audit(state, now_s)
        self.sessions = Sessions(None if state is None else state / SESSIONS_FILE, now_s)
        self.book, self._now_s = Book(secrets), now_s
        self.cookie = f"{'__Host-' if secure else ''}opencram-{port}"
        """A browser shows a host's cookies to all its ports: another service on this machine has one of its own."""
        self._reachable, self._secure = reachable, secure
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._hashing, self._waiting = asyncio.Semaphore(HASHING), 0
        self.book.look()
        names = [f"{name} ({user.role})" for name, user in self.book.accounts.users.items()]
        self.audit.write("start", "done", target=", ".join(names) or "no accounts", why=self.book.fault)

    def look(self) -> None:
        """Take over what has changed in the files, and write down what that was."""
        before, fault = self.book.accounts, self.book.fault
        if not self.book.look():
            return
        if self.book.fault != fault:
            result = "refused" if self.book.fault else "done"
            self.audit.write("accounts", result, why=self.book.fault or "readable again")
        for what, target in changes(before, self.book.accounts) if not (fault or self.book.fault) else ():
            self.audit.write(what, "done", target=target)

    @property
    def has_accounts(self) -> bool:
        """Whether anybody has to sign in: not where only this machine can ask, and nobody has an account."""
        self.look()
        return self._closed

    @property
    def _closed(self) -> bool:
        return bool(self.book.accounts.users) or self._reachable or bool(self.book.fault)

    def by_token(self, text: str) -> Who | None:
        """Whose token this is."""
        self.look()
        name = self.book.token(text, self._now_s())
        return None if name is None else Who("token", name, self.book.accounts.tokens[name].role)

    def by_cookie(self, header: str) -> Who | None:
        """Whose session the cookies name; None where it is none, or has ended."""
        given = self._given(header)
        return None if given is None else self.by_session(given)

    def by_session(self, given: str, look: bool = True) -> Who | None:
        """Whose session this is; it ends with the account, and when its password or role changes."""
        if look:
            self.look()
        session = self.sessions.find(given)
        if session is None:
            return None
        user = self.book.accounts.users.get(session.user)
        if user is None or user.stamp != session.stamp:
            if not self.book.fault:
                self.sessions.end(given)
            return None
        return Who("user", session.user, user.role, given, session.begun_s + LASTS_S)

    def still(self, who: Who | None) -> bool:
        """Whether who opened the feed may go on looking; an open page is one at which somebody is."""
        if who is None:
            return not self._closed
        if who.session:
            return self.by_session(who.session, False) is not None
        token = self.book.accounts.tokens.get(who.name)
        return token is not None and token.role == who.role and not 0 < token.expires_s <= self._now_s()

    async def watch(self) -> None:
        """Take over changes of the accounts while nobody asks for anything, for ever."""
        while True:
            await asyncio.sleep(WATCH_S)
            self.look()

    def _given(self, header: str) -> str | None:
        try:
            found = SimpleCookie(header).get(self.cookie)
        except CookieError:
            return None
        return None if found is None else found.value

    def set_cookie(self, session: str) -> str:
        """The header that has a browser keep a session, or (empty) forget it."""
        parts = [f"{self.cookie}={session}", "Path=/", "HttpOnly", "SameSite=Strict"]
        parts += [f"Max-Age={int(LASTS_S) if session else 0}"] + ["Secure"] * self._secure
        return "; ".join(parts)

    # ---- signing in -----------------------------------------------------------------------------------------------

    def may_try(self, user: str, address: str) -> int:
        """Use one of the tries of this address and of this account; 0, or the seconds to wait until there is one."""
        if self._waiting >= MAX_HASHING:
            return 1
        return max(self.limits.take(what, kind, whose) for what, kind, whose in self._tries(user, address))

    def _tries(self, user: str, address: str) -> list[tuple[tuple[float, float], str, str]]:
        """What a try counts against. Who was signed in from here before cannot be locked out by others' guesses."""
        network = network_of(address)
        tries = [(self.limits.WRONG, "wrong", network)]
        return tries if (user, network) in self._known else [*tries, (self.limits.GUESSED, "guessed", user)]

    async def sign_in(self, user: str, password: str, address: str) -> str | None:
        """A new session's id; None where user or password is wrong, which of the two is not said."""
        self.look()
        account = self.book.accounts.users.get(user)
        self._waiting += 1
        try:
            async with self._hashing:
                right = await asyncio.to_thread(is_password, account, password)
        finally:
            self._waiting -= 1
        if not right or account is None:
            return None
        for _, kind, whose in self._tries(user, address):
            self.limits.give_back(kind, whose)
        self._known[(user, network_of(address))] = None
        self._known.move_to_end((user, network_of(address)))
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)
        return self.sessions.begin(user, account.stamp)

    def known(self, user: str) -> str:
        """The name if it is an account's; anything else that was typed is not to be written down."""
        return user if user in self.book.accounts.users else ""


def changes(before: Accounts, after: Accounts) -> list[tuple[str, str]]:
    """What was done to the accounts between the two, and to whom."""
    found = []
    for name in sorted(before.users.keys() | after.users.keys()):
        old, new = before.users.get(name), after.users.get(name)
        if old is None or new is None:
            found.append(("user added", f"{name} ({new.role})") if new else ("user removed", name))
        else:
            found += [("password changed", name)] * (old.password != new.password)
            found += [("role changed", f"{name} ({new.role})")] * (old.role != new.role)
    for name in sorted(before.tokens.keys() | after.tokens.keys()):
        was, now = before.tokens.get(name), after.tokens.get(name)
        if was is None or now is None:
            found.append(("token added", f"{name} ({now.role})") if now else ("token revoked", name))
        elif was.sha256 != now.sha256:
            found.append(("token changed", f"{name} ({now.role})"))
    return found
