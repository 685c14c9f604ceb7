"""Whatever is asked, the service answers: one sentence where it refuses, never a fault of its own."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from opencram.serve.access.gate import Gate
from opencram.serve.access.limits import Limits
from opencram.serve.acts import Acts
from opencram.serve.api import app_of
from opencram.serve.feed import Feed
from opencram.serve.link import Act, ActReply, Frames, ToPipeline
from opencram.serve.secrets import token
from web_stub import hello

PATHS = ["/healthz", "/siren-endpoint", "/api/zones", "/openapi.json", "/", "/zone/base", "/static/feed.js"]
ACTS = ["/api/alarm", "/api/all-clear", "/api/drill", "/api/self-test"]
Header = tuple[bytes, bytes]

latin = st.text(st.characters(min_codepoint=1, max_codepoint=255, exclude_characters="\r\n"), max_size=40)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=80) | st.sampled_from(["base", "roof"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["zone", "zones", "all", "announce_s", "last_s", "sirens"]) | st.text(max_size=10)
bodies = st.dictionaries(keys, values, max_size=4) | values


class Loose(Limits):
    """No limits, so that each request is looked at."""

    ACTS = WRONG = GUESSED = (1e9, 1e9)


def obey(data: bytes) -> None:
    """A pipeline that does whatever it is asked."""
    for message in Frames(ToPipeline).feed(data):
        if isinstance(message, Act):
            ACTS_ASKED.hear(ActReply(act=message.act, done=True, sentence="done"))


ACTS_ASKED = Acts(obey, lambda: 0)
FOLDER = Path(tempfile.mkdtemp())
TOKEN = token("operator", FOLDER)
GATE = Gate(FOLDER, limits=Loose())
APP = app_of(Feed(hello(), now_s=lambda: 0.0), ACTS_ASKED, GATE)


def answered(method: str, path: str, headers: list[Header], body: bytes) -> tuple[int, bytes]:
    """Status and body of one request to the application."""
    sent: list[Any] = []
    waiting = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        return next(waiting, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"127.0.0.1:8700"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8700),
    }
    asyncio.run(APP(scope, receive, send))  # type: ignore[arg-type]
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


def assert_said(status: int, body: bytes) -> None:
    assert status < 500, body
    if status != 200:
        sentence = json.loads(body)["error"]
        assert sentence
        assert "\n" not in sentence


@settings(deadline=None)
@given(st.sampled_from(ACTS), bodies)
def test_any_json_is_done_or_refused_by_a_sentence(path: str, body: object) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"application/json")]
    status, answer = answered("POST", path, headers, json.dumps(body).encode())
    assert_said(status, answer)
    if status == 200:
        assert json.loads(answer) == {"sentence": "done"}
        assert isinstance(body, dict)


@settings(deadline=None)
@given(st.sampled_from(ACTS), st.binary(max_size=300))
def test_any_bytes_are_refused_by_a_sentence(path: str, body: bytes) -> None:
    headers = [(b"authorization", f"Bearer {TOKEN}".encode()), (b"content-type", b"application/json")]
    status, answer = answered("POST", path, headers, body)
    assert status in (400, 404, 422)
    assert_said(status, answer)


@settings(deadline=None)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "BREW"]),
    st.sampled_from([*PATHS, *ACTS]) | latin.map(lambda text: f"/{text}"),
    st.lists(
        st.tuples(
            st.sampled_from([b"authorization", b"content-type", b"origin", b"host", b"x-forwarded-for"]),
            latin.map(lambda text: text.encode("latin-1")),
        ),
        max_size=4,
    ),
)
def test_no_path_method_or_header_is_too_much(method: str, path: str, headers: list[Header]) -> None:
    assert_said(*answered(method, path, headers, b"{}"))
