"""Users and tokens, their roles, and the file that keeps them beside the other secrets: for its owner alone to read.

A password is kept as an argon2id hash, a token as its SHA-256: a token is 32 random bytes, which nobody can guess from
it. The operator's token, which the service makes for the commands of its own machine, is one of the tokens; it alone
lies in a file of its own in plain text.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import secrets
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from opencram.errors import InputError
from opencram.serve.secrets import OPERATOR, read_token, token_file

if TYPE_CHECKING:
    from argon2 import PasswordHasher

Role = Literal["viewer", "operator", "admin"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "admin")
"""Each may do what those before it may."""

FILE = "accounts.json"
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
MIN_PASSWORD, MAX_PASSWORD = 12, 512
MAX_USERS, MAX_TOKENS = 500, 500
MAX_FILE_BYTES = 1_000_000
TOKEN_PREFIX, TOKEN_BYTES = "oc_", 32
"""The prefix lets scanners of source code find a token that was put there by mistake."""
DAY_S = 86_400


class User(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Somebody who signs in with a password. `added_s` is seconds since 1970, UTC."""

    role: Role
    password: str
    """The argon2id hash in its usual form, `$argon2id$v=19$...`."""
    added_s: int

    @property
    def stamp(self) -> str:
        """Changes with the password and with the role: a session that began under another one has ended."""
        return hashlib.sha256(f"{self.role} {self.password}".encode()).hexdigest()[:16]


class Token(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a machine shows in place of a password; `expires_s` (seconds since 1970, UTC) is 0 where it never does."""

    role: Role
    sha256: str
    added_s: int
    expires_s: int = 0


class Accounts(msgspec.Struct, forbid_unknown_fields=True):
    """All users and tokens, by name."""

    users: dict[str, User] = {}
    tokens: dict[str, Token] = {}

    def user(self, name: str) -> User:
        """A user who has to be there; InputError for one who is not."""
        if name not in self.users:
            raise InputError(f"NAME: found '{name[:40]}', expected {_one_of(name, self.users, 'a user')}")
        return self.users[name]

    def token(self, name: str) -> Token:
        """A token that has to be there; InputError for one that is not."""
        if name not in self.tokens:
            raise InputError(f"NAME: found '{name[:40]}', expected {_one_of(name, self.tokens, 'a token')}")
        return self.tokens[name]


def _one_of(name: str, names: dict[str, User] | dict[str, Token], what: str) -> str:
    from opencram.yamlfile import nearest

    return nearest(name, list(names)) if names else f"{what}, of which there is none yet"


# ---- changes ------------------------------------------------------------------------------------------------------


def add_user(accounts: Accounts, name: str, role: Role, password: str) -> None:
    """Add a user; InputError for a name that is taken or none, or a password that is too short."""
    if name in accounts.users:
        raise InputError(f"NAME: found '{name}', who is there already; `opencram users password` changes the password")
    _check_name(name)
    if len(accounts.users) >= MAX_USERS:
        raise InputError(f"NAME: found {MAX_USERS} users already, expected at most that many")
    accounts.users[name] = User(role, hashed(password), int(time.time()))


def set_password(accounts: Accounts, name: str, password: str) -> None:
    """Change a user's password; all his sessions end."""
    accounts.users[name] = msgspec.structs.replace(accounts.user(name), password=hashed(password))


def set_role(accounts: Accounts, name: str, role: Role) -> None:
    """Change a user's role; all his sessions end."""
    accounts.users[name] = msgspec.structs.replace(accounts.user(name), role=role)


def remove_user(accounts: Accounts, name: str) -> None:
    """Take a user away; all his sessions end."""
    accounts.user(name)
    del accounts.users[name]


def add_token(accounts: Accounts, name: str, role: Role, days: int | None = None) -> str:
    """Add a token that lasts `days`, or until it is revoked; its text, which is kept nowhere."""
    if name in accounts.tokens or name == OPERATOR:
        raise InputError(f"NAME: found '{name}', a token that is there already, expected another name")
    _check_name(name)
    if len(accounts.tokens) >= MAX_TOKENS:
        raise InputError(f"NAME: found {MAX_TOKENS} tokens already, expected at most that many")
    text, now_s = TOKEN_PREFIX + secrets.token_urlsafe(TOKEN_BYTES), int(time.time())
    accounts.tokens[name] = Token(role, digest(text), now_s, 0 if days is None else now_s + days * DAY_S)
    return text


def revoke_token(accounts: Accounts, name: str, folder: Path) -> None:
    """Take a token away; for `operator` its file, and the service makes a new one when it starts."""
    if name == OPERATOR and token_file(OPERATOR, folder).exists():
        token_file(OPERATOR, folder).unlink()
        return
    accounts.token(name)
    del accounts.tokens[name]


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise InputError(f"NAME: found '{name[:40]}', expected up to 32 small letters, digits, '.', '_' and '-'")


# ---- proofs -------------------------------------------------------------------------------------------------------


def digest(token: str) -> str:
    """What is kept of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


@cache
def _hasher() -> PasswordHasher:
    """Argon2id with 64 MiB and three passes (RFC 9106, second recommended option), on one processor."""
    from argon2 import PasswordHasher

    return PasswordHasher(time_cost=3, memory_cost=64 * 1024, parallelism=1)


def hashed(password: str) -> str:
    """What is kept of a password; InputError for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise InputError(f"password: found {len(password)} characters, expected {MIN_PASSWORD} to {MAX_PASSWORD}")
    return _hasher().hash(password)


@cache
def _nobodys() -> str:
    return _hasher().hash(secrets.token_urlsafe(TOKEN_BYTES))


def is_password(user: User | None, password: str) -> bool:
    """Whether it is the user's. For a user who is not there it takes as long, so that time tells nothing."""
    from argon2.exceptions import Argon2Error, InvalidHashError

    try:
        right = _hasher().verify(_nobodys() if user is None else user.password, password)
    except (Argon2Error, InvalidHashError):
        return False
    return right and user is not None


# ---- the file -----------------------------------------------------------------------------------------------------


def read_accounts(folder: Path) -> Accounts:
    """The users and tokens of a folder, none where there is no file; InputError if others may read it or it is bad."""
    path = folder / FILE
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            data = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return Accounts()
    except OSError as error:
        raise InputError(f"{path}: found a file of accounts that cannot be read ({error.strerror})") from None
    if mode & 0o077:
        raise InputError(f"{path}: found mode {mode:o}, expected 600: others on this machine can read it")
    try:
        return msgspec.json.decode(data, type=Accounts)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: found no file of accounts ({error})") from None


@contextmanager
def changing(folder: Path) -> Iterator[Accounts]:
    """The accounts, to be changed: written whole when the block ends without a fault. One who changes at a time."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(folder / f".{FILE}.lock", os.O_CREAT | os.O_RDWR, 0o600)
    except OSError as error:
        raise InputError(f"{folder}: found a folder in which no accounts can be kept ({error.strerror})") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        accounts = read_accounts(folder)
        yield accounts
        write_private(folder / FILE, msgspec.json.format(msgspec.json.encode(accounts)) + b"\n")
    finally:
        os.close(lock)


def write_private(path: Path, data: bytes) -> None:
    """Write a file for its owner alone, whole or not at all; InputError where that cannot be."""
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except OSError:
            os.unlink(name)
            raise
    except OSError as error:
        raise InputError(f"{path}: found a file that cannot be written ({error.strerror})") from None


class Book:
    """The accounts as they stand now: read again whenever a file has changed.

    Where they cannot be read nobody gets in, and `fault` says why.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[object, ...] | None = None
        self.accounts, self.fault = Accounts(), ""
        self._by_digest: dict[str, str] = {}

    def look(self) -> bool:
        """Read the files if they have changed; whether they had."""
        seen = tuple(_signature(path) for path in (self._folder / FILE, token_file(OPERATOR, self._folder)))
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self.accounts, self.fault = self._read(), ""
        except InputError as error:
            self.accounts, self.fault = Accounts(), str(error)
        self._by_digest = {token.sha256: name for name, token in self.accounts.tokens.items()}
        return True

    def _read(self) -> Accounts:
        accounts, path = read_accounts(self._folder), token_file(OPERATOR, self._folder)
        if path.exists():
            accounts.tokens[OPERATOR] = Token("operator", digest(read_token(path)), int(path.stat().st_mtime))
        return accounts

    def token(self, text: str, now_s: float) -> str | None:
        """The name of the token with this text; None where there is none, or it has expired."""
        name = self._by_digest.get(digest(text))
        if name is None or 0 < self.accounts.tokens[name].expires_s <= now_s:
            return None
        return name


def _signature(path: Path) -> tuple[int, int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino
