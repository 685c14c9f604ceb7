"""Every address of the service: its health, the zones, the feed and an operator's acts; and all else put together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import Response

from opencram import __version__
from opencram.serve.access.gate import Gate
from opencram.serve.access_routes import access_routes
from opencram.serve.acts import Acts, DrillAct, TestAct, ZoneAct, targets
from opencram.serve.answers import TAGS, Json, answers, described, note_of, refusals
from opencram.serve.cap_routes import cap_routes
from opencram.serve.feed import Client, Feed
from opencram.serve.guard import NOTE, Guard, Refusal
from opencram.serve.link import ActKind
from opencram.serve.messages import Done, Endpoint, Fault, Health, Zone, zone_of
from opencram.serve.metrics import CONTENT_TYPE, metrics
from opencram.serve.page_routes import known_zone, page_routes
from opencram.serve.picture_routes import picture_routes
from opencram.serve.reports import report_routes

POLICY_VIOLATION = 1008
"""The code with which a WebSocket is closed whose client says something (RFC 6455)."""
SESSION_ENDED = 4401
"""And one of whose client the session has ended; 401 in the range for one's own codes."""


def app_of(feed: Feed, acts: Acts, gate: Gate, hosts: Iterable[str] = (), reports: Path | None = None) -> FastAPI:
    """The application; `hosts` are names under which the machine is reached, beside its addresses and its own name.

    `reports` is the folder of runs and studies whose pages are shown.
    """
    phones_public = feed.hello.phones_public
    app = FastAPI(
        title="opencram",
        version=__version__,
        summary="Warnings of rockets, artillery and mortars",
        openapi_tags=TAGS,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Guard, gate=gate, counts=feed.counts, hosts=tuple(hosts), phones_public=phones_public)
    refusals(app, feed)
    _looking(app, feed, gate)
    _acting(app, feed, acts)
    app.include_router(access_routes(gate))
    app.include_router(page_routes(feed))
    app.include_router(picture_routes(feed))
    app.include_router(report_routes(reports))

    @app.get("/metrics", **answers("state", "text/plain"))
    async def figures() -> Response:
        """Figures for Prometheus: how long ticks take, what waits, what was refused, sensors, sirens, clients, acts."""
        return Response(metrics(feed, gate.audit), media_type=CONTENT_TYPE)

    if feed.hello.cap_folder:
        app.include_router(cap_routes(Path(feed.hello.cap_folder)))
    app.openapi = lambda: described(app, gate.cookie, phones_public)  # type: ignore[method-assign]
    return app


def _looking(app: FastAPI, feed: Feed, gate: Gate) -> None:
    """What anybody may see."""

    @app.get("/healthz", **answers("state", Health, {503: (Health, "The pipeline is stalled.")}))
    async def healthz() -> Response:
        """Whether plots are accepted and people warned; what is degraded is in the body."""
        health = feed.health()
        return Json(health, 503 if health.status == "stalled" else 200)

    @app.get("/siren-endpoint", **answers("state", Endpoint, {404: (Fault, "Sirens are not served by WebSocket.")}))
    async def siren_endpoint(request: Request) -> Response:
        """Where sirens report."""
        if not feed.hello.siren_endpoint:
            raise Refusal(404, "no siren endpoint", "found no WebSocket for sirens here, expected them over MQTT")
        return Json(Endpoint(_reachable(feed.hello.siren_endpoint, request.url.hostname or "")))

    @app.get("/api/zones", **answers("state", list[Zone]))
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
            known_zone(feed, zone)
        who = socket.scope[NOTE].who
        watched = zone is None or not feed.hello.phones_public
        await socket.accept()
        await _serve(socket, feed, Client(zone, still=(lambda: gate.still(who)) if watched else None), run, int(after))


async def _serve(socket: WebSocket, feed: Feed, client: Client, run: str, after: int) -> None:
    """Send to one client until it goes, speaks, is too slow, or may not look any longer."""
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
    elif client.ended:
        await socket.close(SESSION_ENDED, "the session has ended")


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
        404: (Fault, "No such zone or siren; the sentence names the nearest."),
        409: (Fault, "The pipeline refused it."),
        413: (Fault, "The body is too long."),
        415: (Fault, "The body is not said to be JSON."),
        422: (Fault, "The body is not as expected."),
        503: (Fault, "Too many acts wait for an answer."),
        504: (Fault, "The pipeline did not answer."),
    }

    async def act(request: Request, kind: ActKind, chosen: list[str], *times_s: float) -> Response:
        note = note_of(request)
        note.target = ", ".join(chosen)
        reply = await acts.ask(kind, chosen, *times_s)
        note.why = reply.sentence
        if not reply.done:
            feed.counts["act refused"] += 1
            raise Refusal(409, "act refused", reply.sentence)
        return Json(Done(reply.sentence))

    @app.post("/api/alarm", **answers("acts", Done, refused))
    async def alarm(request: Request, asked: ZoneAct) -> Response:
        """Sound the alarm for a zone."""
        return await act(request, "alarm", targets("zone", [asked.zone], False, zones))

    @app.post("/api/all-clear", **answers("acts", Done, refused))
    async def all_clear(request: Request, asked: ZoneAct) -> Response:
        """Give the all-clear for a zone."""
        return await act(request, "all-clear", targets("zone", [asked.zone], False, zones))

    @app.post("/api/drill", **answers("acts", Done, refused))
    async def drill(request: Request, asked: DrillAct) -> Response:
        """Announce a drill; it sounds later and ends by itself."""
        chosen = targets("zone", asked.zones, asked.all, zones)
        return await act(request, "drill", chosen, asked.announce_s, asked.last_s)

    @app.post("/api/self-test", **answers("acts", Done, refused))
    async def self_test(request: Request, asked: TestAct) -> Response:
        """Have sirens test themselves."""
        return await act(request, "self-test", targets("siren", asked.sirens, asked.all, sirens))

    @app.post("/api/reload-zones", **answers("acts", Done, refused))
    async def reload_zones(request: Request) -> Response:
        """Read the site's zones again and take them over; bad ones are refused, and those in use stay."""
        return await act(request, "reload-zones", [])


def _reachable(endpoint: str, host: str) -> str:
    """The siren endpoint as whoever asked can reach it: by the name he used, where we listen on every address."""
    parts = urlsplit(endpoint)
    if parts.hostname not in ("0.0.0.0", "::") or not host:
        return endpoint
    return parts._replace(netloc=f"[{host}]:{parts.port}" if ":" in host else f"{host}:{parts.port}").geturl()
