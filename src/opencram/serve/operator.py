"""An operator's act as a request to the service: one call, one sentence back."""

from __future__ import annotations

import http.client
import json
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from opencram.errors import InputError, RunError
from opencram.serve.secrets import OPERATOR, read_token, token_file

TIMEOUT_S = 10.0
"""Longer than the service waits for its pipeline, so that its own sentence is what is told."""
MAX_ANSWER_BYTES = 64 * 1024
BAD_INPUT = (400, 404, 413, 422)
"""Statuses for what was asked; the others are for what could not be done."""


def ask(server: str, act: str, body: Mapping[str, object], token_at: Path | None) -> str:
    """Have the service at `server` (a URL) carry out an act; its sentence.

    InputError for a bad address, token file or zone; RunError where the service refused, failed or was not reached.
    The token goes to that server alone: no redirect is followed and no proxy asked.
    """
    connection = _connection(server)
    headers = {"Authorization": f"Bearer {_token(token_at)}", "Content-Type": "application/json"}
    how, then = "was not reached", f"as far as is known there was no {act}"
    try:
        connection.connect()
        how, then = "gave no answer", f"look whether the {act} was carried out"
        connection.request("POST", f"/api/{act}", json.dumps(body), headers)
        answer = connection.getresponse()
        status, told = answer.status, answer.read(MAX_ANSWER_BYTES)
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise RunError(f"{server} {how} ({reason}); {then}") from None
    finally:
        connection.close()
    return _sentence(server, status, told)


def _connection(server: str) -> http.client.HTTPConnection:
    try:
        url = urlsplit(server)
        host, port = url.hostname, url.port
        if url.scheme not in ("http", "https") or host is None or url.path not in ("", "/"):
            raise ValueError
    except ValueError:
        raise InputError(f"--server: found '{server}', expected a URL such as http://127.0.0.1:8700") from None
    kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    return kind(host, port, timeout=TIMEOUT_S)


def _token(path: Path | None) -> str:
    path = path or token_file(OPERATOR)
    if not path.exists():
        raise InputError(
            f"{path}: found no such file, expected the operator's token; `opencram serve` makes it on its machine, "
            "--token-file names a copy"
        )
    return read_token(path)


def _sentence(server: str, status: int, told: bytes) -> str:
    try:
        answer = json.loads(told)
        sentence = str(answer["sentence"] if status == 200 else answer["error"])
    except (ValueError, KeyError, TypeError):
        raise RunError(f"{server} answered {status} and nothing that opencram says: is it another service?") from None
    if status == 200:
        return sentence
    raise InputError(sentence) if status in BAD_INPUT else RunError(f"refused: {sentence}")
