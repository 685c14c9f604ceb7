"""What an operator may ask over HTTP, checked against the site, and its way to the pipeline and back."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

from opencram.serve.guard import Refusal
from opencram.serve.link import Act, ActKind, ActReply, frame
from opencram.yamlfile import nearest

ANSWER_S = 3.0
"""An act that the pipeline has not answered by then is told as not known to be carried out."""
MAX_PENDING = 64

Name = Annotated[str, Field(min_length=1, max_length=64)]


def _either(names: str) -> ConfigDict:
    """For the description: some are named, or `all` is true."""
    some: JsonDict = {"required": [names], "properties": {names: {"minItems": 1}, "all": {"const": False}}}
    every: JsonDict = {"required": ["all"], "properties": {names: {"maxItems": 0}, "all": {"const": True}}}
    return ConfigDict(json_schema_extra={"oneOf": [some, every]})


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ZoneAct(_Asked):
    """The zone whose alarm is to sound, or which is clear."""

    zone: Name


class DrillAct(_Asked):
    """A drill: announced at once in these zones (or in all), sounding after `announce_s` for `last_s` seconds."""

    model_config = _either("zones")

    zones: Annotated[list[Name], Field(max_length=2_000)] = []
    all: bool = False
    announce_s: Annotated[float, Field(ge=0, le=3_600)] = 60.0
    last_s: Annotated[float, Field(ge=1, le=600)] = 30.0


class TestAct(_Asked):
    """The sirens that are to test themselves, or all."""

    model_config = _either("sirens")

    sirens: Annotated[list[Name], Field(max_length=500)] = []
    all: bool = False


class Acts:
    """The acts that wait for an answer; `send` writes bytes on the link, `now_ns` is the service's clock."""

    def __init__(self, send: Callable[[bytes], object], now_ns: Callable[[], int]) -> None:
        self._now_ns = now_ns
        self._send, self._waiting = send, dict[str, asyncio.Future[ActReply]]()

    async def ask(
        self, kind: ActKind, targets: Sequence[str], announce_s: float = 0.0, last_s: float = 0.0
    ) -> ActReply:
        """Hand an act on and wait for what came of it; Refusal where that cannot be known."""
        if len(self._waiting) >= MAX_PENDING:
            raise Refusal(503, "too many acts waiting", f"found {MAX_PENDING} acts that wait for an answer: try again")
        act = Act(
            act=secrets.token_hex(8),
            kind=kind,
            targets=tuple(targets),
            by="operator",
            time_ns=self._now_ns(),
            announce_s=announce_s,
            last_s=last_s,
        )
        answer = self._waiting[act.act] = asyncio.get_running_loop().create_future()
        try:
            self._send(frame(act))
            return await asyncio.wait_for(answer, ANSWER_S)
        except TimeoutError:
            sentence = f"the pipeline gave no answer within {ANSWER_S:g} s: look whether the {kind} was carried out"
            raise Refusal(504, "act not answered", sentence) from None
        finally:
            del self._waiting[act.act]

    def hear(self, reply: ActReply) -> None:
        """Take in an answer; one that nobody waits for any more is let go."""
        waiting = self._waiting.get(reply.act)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)


def targets(what: str, asked: Sequence[str], everything: bool, known: Sequence[str]) -> list[str]:
    """The zones or sirens that are meant, each once, in the order of the site; Refusal for one that is not there."""
    if everything == bool(asked):
        found = f"both {what}s and all" if asked else f"neither {what}s nor all"
        raise Refusal(422, "malformed request", f"body: found {found}, expected one of the two")
    if not known:
        raise Refusal(404, f"unknown {what}", f"{what}: found none in this site, expected at least one")
    for name in asked:
        if name not in known:
            sentence = f"{what}: found '{name}', expected {nearest(name, list(known))}"
            raise Refusal(404, f"unknown {what}", sentence)
    return [name for name in known if everything or name in asked]
