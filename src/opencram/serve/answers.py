"""What routes answer: msgspec messages as JSON, every refusal as one sentence, and the description of both."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from opencram.serve.access.audit import Line
from opencram.serve.access.rules import SESSION, needed
from opencram.serve.feed import Feed
from opencram.serve.guard import NOTE, Note, Refusal, in_one_line
from opencram.serve.messages import (
    Beat,
    Done,
    DrillStep,
    Endpoint,
    Fault,
    Frame,
    Health,
    Past,
    Place,
    Plan,
    Report,
    SessionSeen,
    State,
    Warning,
    Zone,
)

TAGS = [
    {"name": "state", "description": "What stands, for people and machines. `GET /ws` is the feed, a WebSocket."},
    {"name": "acts", "description": "What an operator may do."},
    {"name": "access", "description": "Signing in and out, and the log of what was done."},
    {"name": "CAP", "description": "The alerts as CAP 1.2."},
    {"name": "pages", "description": "What people open in a browser."},
]
FAULTS = {
    401: "No token or session, or a wrong one.",
    403: "The role is too low, the CSRF token is missing, or another site's page asked.",
    429: "Too many acts, or too many tries without a right token.",
    503: "The accounts cannot be read.",
}
"""What the guard in front of the routes may answer, of all that is not for everybody."""


class Json(Response):
    """A msgspec message as a response."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        """The body."""
        return msgspec.json.encode(content)


def answers(tag: str, kind: Any, others: dict[int, tuple[Any, str]] | None = None) -> dict[str, Any]:  # noqa: ANN401
    """What a route answers, for its description. `kind` is a message, or the media type of what is none."""
    found = {200: (kind, "Done."), 421: (Fault, "Called by a name that is not ours."), **(others or {})}
    described = {status: {"description": text, "content": content(what)} for status, (what, text) in found.items()}
    return {"response_class": Json, "responses": described, "tags": [tag]}


def content(kind: Any) -> dict[str, Any]:  # noqa: ANN401
    """The content of an answer as OpenAPI has it."""
    if isinstance(kind, str):
        return {kind: {"schema": {"type": "string"}}} if kind else {}
    return {"application/json": {"schema": schema(kind)[0]}}


def schema(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401
    """A message's JSON schema, and those it refers to."""
    (found,), parts = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    return found, parts


# ---- refusals -------------------------------------------------------------------------------------------------------


def refusals(app: FastAPI, feed: Feed) -> None:
    """Every refusal as one sentence, counted by its reason."""

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        fault = error.errors()[0]
        note_of(request).why = _counted(feed, "malformed request")
        media = request.headers.get("content-type", "")
        if fault["loc"][0] == "body" and not media.startswith("application/json"):
            return Json(_fault(f"Content-Type: found '{media[:40]}', expected application/json"), 415)
        sentence = sentence_of(fault, secret=request.url.path == SESSION)
        return Json(_fault(sentence), 400 if fault["type"] == "json_invalid" else 422)

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        note = note_of(request)
        note.why = note.why or _counted(feed, refusal.reason)
        return Json(_fault(refusal.sentence), refusal.status, refusal.headers)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # of a body that the framework could not even read as text
            note_of(request).why = _counted(feed, "malformed request")
            return Json(_fault("body: found no JSON, expected an object"), 400)
        note_of(request).why = _counted(feed, "unknown address")
        sentence = f"found {request.method} {request.url.path[:80]}, which is not there (see /openapi.json)"
        return Json(_fault(sentence), error.status_code, error.headers)


def _counted(feed: Feed, reason: str) -> str:
    feed.counts[reason] += 1
    return reason


def note_of(request: Request) -> Note:
    """What goes into the log about this request."""
    note: Note = request.scope[NOTE]
    return note


def _fault(sentence: str) -> Fault:
    return Fault(in_one_line(sentence))


def sentence_of(fault: dict[str, Any], secret: bool) -> str:
    """A fault in a request, in our words; `secret`: what was found is not to be repeated."""
    if fault["type"] == "json_invalid":
        return f"body: found no JSON ({fault['ctx']['error']}), expected an object"
    where = ".".join(map(str, fault["loc"][1:])) or "body"
    if fault["type"] == "missing":
        return f"{where}: found nothing, expected it"
    if fault["type"] == "extra_forbidden":
        return f"{'body' if secret else where}: found a key that is not known here"
    expected = re.sub("^(Input should be|Value error,) ", "", fault["msg"])
    found = "something else" if secret else repr(str(fault["input"])[:60])
    return f"{where}: found {found}, expected {expected}"


# ---- the description ------------------------------------------------------------------------------------------------


def described(app: FastAPI, cookie: str, phones_public: bool) -> dict[str, Any]:
    """The OpenAPI description, with the feed's messages among its schemas and the role that each address asks for."""
    from fastapi.openapi.utils import get_openapi

    if app.openapi_schema is None:
        found = get_openapi(
            title=app.title, version=app.version, summary=app.summary, routes=app.routes, tags=app.openapi_tags
        )
        parts = found.setdefault("components", {})
        for kind in (
            Health,
            Endpoint,
            Done,
            Fault,
            State,
            Zone,
            Warning,
            DrillStep,
            Frame,
            Beat,
            SessionSeen,
            Line,
            Plan,
            Past,
            Report,
            Place,
        ):
            parts.setdefault("schemas", {}).update(schema(kind)[1])
        parts["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer", "description": "A token of the role that is asked for."},
            "session": {"type": "apiKey", "in": "cookie", "name": cookie, "description": "Of who has signed in."},
        }
        for path, methods in found["paths"].items():
            for method, route in methods.items():
                _mend(route, needed(method.upper(), path, phones_public))
        app.openapi_schema = found
    return app.openapi_schema


def _mend(route: dict[str, Any], role: str | None) -> None:
    """What the framework does not know of a route: our faults, our answers, and the role."""
    if "422" in route["responses"] and "HTTPValidationError" in str(route["responses"]["422"]):
        route["responses"]["422"] = {"description": "The request is not as expected.", "content": content(Fault)}
    for found in route["responses"]["200"].get("content", {}).values():
        if "$ref" in found["schema"]:
            found["schema"].pop("type", None)  # the framework takes an answer that it did not make for text
    if role is None:
        return
    route["security"] = [{"token": []}, {"session": []}]
    route["description"] = f"{route.get('description', '')} Asks for the role `{role}`.".strip()
    for status, text in FAULTS.items():
        route["responses"].setdefault(str(status), {"description": text, "content": content(Fault)})
