"""The tokens by which operators and sirens prove who they are: files that their owner alone may read.

A token is made the first time it is asked for, and never logged. The commands find the operator's on the same machine;
what runs elsewhere is given a copy of the file.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
import tempfile
from pathlib import Path

from opencram.errors import InputError

OPERATOR = "operator"
FOLDER_VARIABLE = "OPENCRAM_SECRETS"
TOKEN_BYTES = 32
MIN_CHARACTERS, MAX_CHARACTERS = 16, 512


def secrets_folder() -> Path:
    """Where this machine's tokens lie: $OPENCRAM_SECRETS, else `opencram/secrets` in the user's state folder."""
    if own := os.environ.get(FOLDER_VARIABLE):
        return Path(own)
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "opencram" / "secrets"


def token_file(name: str, folder: Path | None = None) -> Path:
    """The file of a token: of `operator`, or of `siren-ID`."""
    return (folder or secrets_folder()) / f"{name}.token"


def token(name: str, folder: Path | None = None) -> str:
    """The token of that name, made if it is not there; InputError if the file is open to others or holds none."""
    path = token_file(name, folder)
    if not path.exists():
        _make(path)
    return read_token(path)


def read_token(path: Path) -> str:
    """The token in a file: its first line. InputError if others may read it, or if it holds none."""
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            text = file.read(MAX_CHARACTERS + 2).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no text"
        raise InputError(f"{path}: found a token file that cannot be read ({reason})") from None
    if mode & 0o077:
        raise InputError(f"{path}: found mode {mode:o}, expected 600: others on this machine can read the token")
    if not (MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS and re.fullmatch(r"[!-~]+", text)):
        raise InputError(f"{path}: found no token, expected {MIN_CHARACTERS} to {MAX_CHARACTERS} characters, no space")
    return text


def _make(path: Path) -> None:
    """Write a new token, whole or not at all; what another process wrote at the same time is left as it is."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".token")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(secrets.token_urlsafe(TOKEN_BYTES) + "\n")
            os.link(name, path)
        finally:
            os.unlink(name)
    except FileExistsError:
        return
    except OSError as error:
        raise InputError(f"{path}: found a folder in which no token can be kept ({error.strerror})") from None
