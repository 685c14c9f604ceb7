"""Sessions of those who signed in: an opaque cookie, of which only the SHA-256 is kept.

They are kept in a file too, so that a web process that is started again goes on with them: nobody at a watch has to
sign in anew because a process died.
"""

from __future__ import annotations

import contextlib
import hashlib
import secrets
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from opencram.errors import InputError
from opencram.serve.access.accounts import write_private

FILE = "sessions.json"
LASTS_S = 12 * 3_600.0
"""A watch's shift: whoever is still there signs in again."""
IDLE_S = 30 * 60.0
"""A session from which nothing was asked for so long ends; an open page with the feed asks all the time."""
MAX_SESSIONS = 1_000
MAX_OF_ONE = 20
"""Of one user; the oldest ends for one more."""
ID_BYTES = 32


class Session(msgspec.Struct):
    """Who signed in from where; times are seconds since 1970, UTC. `stamp` is that of the account at the time."""

    user: str
    stamp: str
    begun_s: float
    seen_s: float

    def ends_s(self) -> float:
        """When it ends, if nothing more is asked."""
        return min(self.begun_s + LASTS_S, self.seen_s + IDLE_S)


class Sessions:
    """All sessions, by what is kept of their ids."""

    def __init__(self, path: Path | None, now_s: Callable[[], float] = time.time) -> None:
        self._path, self._now_s = path, now_s
        self._open: dict[str, Session] = {}
        if path is not None and path.exists():
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                self._open = msgspec.json.decode(path.read_bytes(), type=dict[str, Session])

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, user: str, stamp: str) -> str:
        """A new session; its id, for the cookie."""
        made, now_s = secrets.token_urlsafe(ID_BYTES), self._now_s()
        self._drop_old(user)
        self._open[key_of(made)] = Session(user, stamp, now_s, now_s)
        self._save()
        return made

    def find(self, given: str) -> Session | None:
        """The session of this id, seen now; None where there is none, or it has ended."""
        session = self._open.get(key_of(given))
        if session is None:
            return None
        if self._now_s() >= session.ends_s():
            self.end(given)
            return None
        session.seen_s = self._now_s()
        return session

    def end(self, given: str) -> None:
        """End a session."""
        if self._open.pop(key_of(given), None) is not None:
            self._save()

    def _drop_old(self, user: str) -> None:
        """Forget what has ended, and the longest unseen where there would be too many."""
        now_s = self._now_s()
        for key in [key for key, session in self._open.items() if now_s >= session.ends_s()]:
            del self._open[key]
        own = [key for key, session in self._open.items() if session.user == user]
        for keys, most in ((own, MAX_OF_ONE), (list(self._open), MAX_SESSIONS)):
            for key in sorted(keys, key=lambda key: self._open[key].seen_s)[: max(0, len(keys) - most + 1)]:
                self._open.pop(key)

    def _save(self) -> None:
        """A disk that is full signs nobody out: only a new web process would not know them."""
        if self._path is not None:
            with contextlib.suppress(InputError):
                write_private(self._path, msgspec.json.encode(self._open))


def key_of(given: str) -> str:
    """What is kept of a session's id."""
    return hashlib.sha256(given.encode()).hexdigest()


def csrf_of(given: str) -> str:
    """What a page has to say with each act, besides the cookie that the browser adds by itself."""
    return hashlib.sha256(f"csrf {given}".encode()).hexdigest()[:32]
