"""Every address of the service: its health, the zones, an operator's acts, the feed and the two pages."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from fastapi import Depends, FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException

from opencram import __version__
from opencram.outputs.phrases import phrases
from opencram.serve.acts import Acts, DrillAct, TestAct, ZoneAct, targets
from opencram.serve.cap_routes import cap_routes
from opencram.serve.feed import Client, Feed
from opencram.serve.guard import Guard, Limits, Refusal, in_one_line
from opencram.serve.link import ActReply
from opencram.serve.messages import Beat, Done, DrillStep, Endpoint, Fault, Frame, Health, State, Warning, Zone, zone_of
from opencram.yamlfile import nearest

STATIC = {"feed.js": "text/javascript", "overview.js": "text/javascript", "phone.js": "text/javascript"} | {
    "style.css": "text/css"
}
POLICY_VIOLATION = 1008
"""The code with which a WebSocket is closed whose client says something (RFC 6455)."""

Bearer = Annotated[object, Depends(HTTPBearer(auto_error=False, description="The operator's token."))]
"""For the description alone: the guard in front has checked the token."""


class Json(Response):
    """A msgspec message as a response."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401
        """The body."""
        return msgspec.json.encode(content)


def app_of(feed: Feed, acts: Acts, token: str, hosts: Iterable[str] = (), limits: Limits | None = None) -> FastAPI:
    """The application; `hosts` are names under which the machine is reached, beside its addresses and its own name."""
    app = FastAPI(title="opencram", version=__version__, docs_url=None, redoc_url=None)
    app.add_middleware(Guard, token=token, counts=feed.counts, hosts=tuple(hosts), limits=limits)
    _refusals(app, feed)
    _looking(app, feed)
    _acting(app, feed, acts)
    _pages(app, feed)
    if feed.hello.cap_folder:
        app.include_router(cap_routes(Path(feed.hello.cap_folder)))
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _looking(app: FastAPI, feed: Feed) -> None:
    """What anybody may see."""

    @app.get("/healthz", **_answers(Health, {503: (Health, "The pipeline is stalled.")}))
    async def healthz() -> Response:
        """Whether plots are accepted and people warned; what is degraded is in the body."""
        health = feed.health()
        return Json(health, 503 if health.status == "stalled" else 200)

    @app.get("/siren-endpoint", **_answers(Endpoint, {404: (Fault, "Sirens are not served by WebSocket.")}))
    async def siren_endpoint(request: Request) -> Response:
        """Where sirens report."""
        if not feed.hello.siren_endpoint:
            raise Refusal(404, "no siren endpoint", "found no WebSocket for sirens here, expected them over MQTT")
        return Json(Endpoint(_reachable(feed.hello.siren_endpoint, request.url.hostname or "")))

    @app.get("/api/zones", **_answers(list[Zone]))
    async def zones() -> Response:
        """Every zone with its level and the last word about it."""
        return Json([zone_of(zone, feed.last.get(zone.id), feed.hello) for zone in feed.hello.zones])

    @app.websocket("/ws")
    async def ws(socket: WebSocket) -> None:
        """The feed: first what stands, then each word as it comes, and pictures as far as the client takes them."""
        zone = socket.query_params.get("zone")
        run, after = socket.query_params.get("run", ""), socket.query_params.get("after", "0")
        if feed.full:
            raise Refusal(503, "too many clients", "found as many clients as are served, try again later")
        if not (after.isascii() and after.isdigit() and len(after) < 16):
            raise Refusal(400, "malformed request", f"after: found '{after[:20]}', expected the number of a word")
        if zone is not None:
            _known_zone(feed, zone)
        await socket.accept()
        await _serve(socket, feed, zone, run, int(after))


async def _serve(socket: WebSocket, feed: Feed, zone: str | None, run: str, after: int) -> None:
    """Send to one client until it goes, speaks, or is too slow."""
    client = Client(zone)
    writing = asyncio.ensure_future(_write(socket, feed, client))
    listening = asyncio.ensure_future(socket.receive())
    client.drop = writing.cancel
    with feed.looking(client, run, after):
        await asyncio.wait({writing, listening}, return_when=asyncio.FIRST_COMPLETED)
    spoke = listening.done() and not listening.cancelled() and listening.result()["type"] == "websocket.receive"
    for task in (writing, listening):
        task.cancel()
    await asyncio.gather(writing, listening, return_exceptions=True)
    if spoke:
        feed.counts["spoke, disconnected"] += 1
        await socket.close(POLICY_VIOLATION, "the feed takes no messages")


async def _write(socket: WebSocket, feed: Feed, client: Client) -> None:
    try:
        while True:
            client.wake.clear()
            while (text := feed.next_for(client)) is not None:
                await socket.send_text(text)
            await client.wake.wait()
    except WebSocketDisconnect:
        pass


def _acting(app: FastAPI, feed: Feed, acts: Acts) -> None:
    """What an operator may do."""
    zones, sirens = [z.id for z in feed.hello.zones], [s.id for s in feed.hello.sirens]
    refused = {
        400: (Fault, "The body is no JSON."),
        401: (Fault, "No token, or a wrong one."),
        403: (Fault, "Sent by another site's page."),
        404: (Fault, "No such zone or siren; the sentence names the nearest."),
        409: (Fault, "The pipeline refused it."),
        413: (Fault, "The body is too long."),
        415: (Fault, "The body is not said to be JSON."),
        422: (Fault, "The body is not as expected."),
        429: (Fault, "Too many acts, or too many tries without the token."),
        503: (Fault, "Too many acts wait for an answer."),
        504: (Fault, "The pipeline did not answer."),
    }

    @app.post("/api/alarm", **_answers(Done, refused))
    async def alarm(asked: ZoneAct, _: Bearer) -> Response:
        """Sound the alarm for a zone."""
        return _done(await acts.ask("alarm", targets("zone", [asked.zone], False, zones)))

    @app.post("/api/all-clear", **_answers(Done, refused))
    async def all_clear(asked: ZoneAct, _: Bearer) -> Response:
        """Give the all-clear for a zone."""
        return _done(await acts.ask("all-clear", targets("zone", [asked.zone], False, zones)))

    @app.post("/api/drill", **_answers(Done, refused))
    async def drill(asked: DrillAct, _: Bearer) -> Response:
        """Announce a drill; it sounds later and ends by itself."""
        chosen = targets("zone", asked.zones, asked.all, zones)
        return _done(await acts.ask("drill", chosen, asked.announce_s, asked.last_s))

    @app.post("/api/self-test", **_answers(Done, refused))
    async def self_test(asked: TestAct, _: Bearer) -> Response:
        """Have sirens test themselves."""
        return _done(await acts.ask("self-test", targets("siren", asked.sirens, asked.all, sirens)))


def _pages(app: FastAPI, feed: Feed) -> None:
    """The two pages and what they are made of."""

    @app.get("/", include_in_schema=False)
    async def overview() -> Response:
        return _static("overview.html", "text/html")

    @app.get("/zone/{zone}", include_in_schema=False)
    async def phone(zone: str) -> Response:
        _known_zone(feed, zone)
        return _static("phone.html", "text/html")

    @app.get("/api/phrases", **_answers(dict[str, Any]))
    async def every_phrase() -> Response:
        """All that people are told, in every language."""
        return Json(phrases().all())

    @app.get("/static/{name}", include_in_schema=False)
    async def static(name: str) -> Response:
        if name not in STATIC:
            raise Refusal(404, "unknown address", f"found '/static/{name[:80]}', which is not there")
        return _static(name, STATIC[name])


def _static(name: str, media_type: str) -> Response:
    folder = resources.files("opencram.serve") / "static"
    return Response((folder / name).read_bytes(), media_type=media_type)


def _known_zone(feed: Feed, zone: str) -> None:
    if not feed.knows(zone):
        known = [z.id for z in feed.hello.zones]
        raise Refusal(404, "unknown zone", f"zone: found '{zone[:64]}', expected {nearest(zone[:64], known)}")


def _done(reply: ActReply) -> Response:
    if not reply.done:
        raise Refusal(409, "act refused", reply.sentence)
    return Json(Done(reply.sentence))


def _reachable(endpoint: str, host: str) -> str:
    """The siren endpoint as whoever asked can reach it: by the name he used, where we listen on every address."""
    parts = urlsplit(endpoint)
    if parts.hostname not in ("0.0.0.0", "::") or not host:
        return endpoint
    return parts._replace(netloc=f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}").geturl()


# ---- refusals, and the description ----------------------------------------------------------------------------------


def _refusals(app: FastAPI, feed: Feed) -> None:
    """Every refusal as one sentence, counted by its reason."""

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> Response:
        fault = error.errors()[0]
        feed.counts["malformed request"] += 1
        media = request.headers.get("content-type", "")
        if not media.startswith("application/json"):
            return Json(_fault(f"Content-Type: found '{media[:40]}', expected application/json"), 415)
        return Json(_fault(_sentence(fault)), 400 if fault["type"] == "json_invalid" else 422)

    @app.exception_handler(Refusal)
    async def refused(request: Request, refusal: Refusal) -> Response:
        feed.counts[refusal.reason] += 1
        return Json(_fault(refusal.sentence), refusal.status)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> Response:
        if error.status_code == 400:  # of a body that the framework could not even read as text
            feed.counts["malformed request"] += 1
            return Json(_fault("body: found no JSON, expected an object"), 400)
        feed.counts["unknown address"] += 1
        sentence = f"found {request.method} {request.url.path[:80]}, which is not there (see /openapi.json)"
        return Json(_fault(sentence), error.status_code, error.headers)


def _fault(sentence: str) -> Fault:
    return Fault(in_one_line(sentence))


def _sentence(fault: dict[str, Any]) -> str:
    """A fault in a body, in our words."""
    if fault["type"] == "json_invalid":
        return f"body: found no JSON ({fault['ctx']['error']}), expected an object"
    where = ".".join(map(str, fault["loc"][1:])) or "body"
    if fault["type"] == "missing":
        return f"{where}: found nothing, expected it"
    if fault["type"] == "extra_forbidden":
        return f"{where}: found a key that is not known here"
    expected = fault["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    return f"{where}: found {str(fault['input'])[:60]!r}, expected {expected}"


def _answers(kind: Any, others: dict[int, tuple[Any, str]] | None = None) -> dict[str, Any]:  # noqa: ANN401
    """What a route answers, for its description."""
    found = {200: (kind, "Done."), 421: (Fault, "Called by a name that is not ours."), **(others or {})}
    return {
        "response_class": Json,
        "responses": {
            status: {"description": text, "content": {"application/json": {"schema": _schema(what)[0]}}}
            for status, (what, text) in found.items()
        },
    }


def _schema(kind: Any) -> tuple[dict[str, Any], dict[str, Any]]:  # noqa: ANN401
    """A message's JSON schema, and those it refers to."""
    (schema,), parts = msgspec.json.schema_components([kind], ref_template="#/components/schemas/{name}")
    return schema, parts


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI description, with the feed's messages among its schemas."""
    from fastapi.openapi.utils import get_openapi

    if app.openapi_schema is None:
        described = get_openapi(title=app.title, version=app.version, routes=app.routes)
        schemas = described.setdefault("components", {}).setdefault("schemas", {})
        for kind in (Health, Endpoint, Done, Fault, State, Zone, Warning, DrillStep, Frame, Beat):
            schemas.update(_schema(kind)[1])
        app.openapi_schema = described
    return app.openapi_schema
