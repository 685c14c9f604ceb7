"""Signing in and out over HTTP, and the log of acts for an admin."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from opencram.serve.access.accounts import MAX_PASSWORD
from opencram.serve.access.audit import MAX_SHOWN, Line
from opencram.serve.access.gate import Gate, Who
from opencram.serve.access.rules import SESSION
from opencram.serve.answers import Json, answers, note_of
from opencram.serve.guard import Refusal
from opencram.serve.messages import Done, Fault, SessionSeen


class SignIn(BaseModel):
    """Who signs in."""

    model_config = ConfigDict(extra="forbid", strict=True)

    user: Annotated[str, Field(min_length=1, max_length=64)]
    password: Annotated[str, Field(min_length=1, max_length=MAX_PASSWORD)]


def access_routes(gate: Gate) -> APIRouter:
    """`/api/session` and `/api/audit`."""
    router = APIRouter()
    refused = {
        400: (Fault, "The body is no JSON."),
        401: (Fault, "User or password are wrong."),
        403: (Fault, "Sent by another site's page."),
        413: (Fault, "The body is too long."),
        415: (Fault, "The body is not said to be JSON."),
        422: (Fault, "The body is not as expected."),
        429: (Fault, "Too many tries; `Retry-After` says when there may be one more."),
    }

    @router.get(SESSION, **answers("access", SessionSeen, {401: refused[401], 429: refused[429]}))
    async def session(request: Request) -> Response:
        """Who is asking: whose session or token it is, and what the page has to send along with acts."""
        return Json(_seen(gate, note_of(request).who))

    @router.post(SESSION, **answers("access", SessionSeen, refused))
    async def sign_in(asked: SignIn, request: Request) -> Response:
        """Sign in; the answer sets the session's cookie."""
        note = note_of(request)
        note.who, note.target = None, gate.known(asked.user)
        if wait_s := gate.may_try(asked.user, note.address):
            raise Refusal(429, "too many tries", f"found too many tries to sign in, wait {wait_s} s", wait_s)
        given = await gate.sign_in(asked.user, asked.password, note.address)
        note.who = None if given is None else gate.by_session(given)
        if given is None or note.who is None:
            raise Refusal(401, "wrong password", "found a user and a password that do not belong together")
        answer = Json(_seen(gate, note.who))
        answer.headers["set-cookie"] = gate.set_cookie(given)
        return answer

    @router.delete(SESSION, **answers("access", Done, {401: refused[401], 403: refused[403], 429: refused[429]}))
    async def sign_out(request: Request) -> Response:
        """Sign out: the session has ended."""
        who = note_of(request).who
        if who is None or not who.session:
            raise Refusal(401, "no session", "found no session, expected one to end")
        gate.sessions.end(who.session)
        answer = Json(Done(f"{who.name} is signed out"))
        answer.headers["set-cookie"] = gate.set_cookie("")
        return answer

    @router.get("/api/audit", **answers("access", list[Line]))
    def audit(last: Annotated[int, Query(ge=1, le=MAX_SHOWN)] = 100) -> Response:
        """The last lines of the log of acts, oldest first."""
        return Json(gate.audit.last(last))

    return router


def _seen(gate: Gate, who: Who | None) -> SessionSeen:
    if who is None:
        return SessionSeen(accounts=gate.has_accounts)
    return SessionSeen(
        accounts=gate.has_accounts,
        name=who.name,
        role=who.role,
        csrf=who.csrf,
        ends_ms=round(1e3 * who.ends_s) if who.session else None,
    )
