"""What the operator's picture is drawn from beside the feed: the site's plan, base maps, and the last hours."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter
from fastapi import Path as InPath
from fastapi.responses import FileResponse, Response

from opencram.serve.answers import Json, answers
from opencram.serve.basemaps import basemaps, file_of
from opencram.serve.feed import Feed
from opencram.serve.guard import Refusal
from opencram.serve.messages import Fault, Past, Plan

MINUTE = "application/x-ndjson"


def picture_routes(feed: Feed) -> APIRouter:
    """`/api/site`, `/api/history` and `/basemap`."""
    router = APIRouter()
    hello, history = feed.hello, feed.history

    @router.get("/api/site", **answers("state", Plan))
    async def site() -> Response:
        """All of the site that stands still: zones, sensors with their coverage, sirens, base maps."""
        plan = Plan(
            site=hello.site,
            title=hello.title,
            title_fr=hello.title_fr or hello.title,
            title_ar=hello.title_ar or hello.title,
            lat=hello.lat,
            lon=hello.lon,
            zones=hello.zones,
            sensors=hello.sensors,
            sirens=hello.sirens,
            maps=tuple(basemaps()),
        )
        return Json(plan)

    @router.get("/api/history", **answers("state", Past))
    async def past() -> Response:
        """What is kept of the last hours: its minutes, and the words that were told in them."""
        words = tuple(msgspec.Raw(word.encode()) for word in history.words)
        return Json(Past(feed.now_ns() // 1_000_000, history.minutes, words))

    @router.get("/api/history/{minute}", **answers("state", MINUTE, {404: (Fault, "That minute is not kept.")}))
    async def minute(minute: Annotated[int, InPath(ge=0, le=2**53)]) -> Response:
        """A minute of the feed as it was told, a message a line: a `state`, then pictures and words."""
        packed = history.minute(minute)
        if packed is None:
            raise Refusal(404, "unknown minute", f"minute: found {minute}, expected one that /api/history lists")
        return Response(packed, media_type=MINUTE, headers={"Content-Encoding": "gzip"})

    @router.get("/basemap/{name}", **answers("pages", "application/octet-stream", {404: (Fault, "No such map.")}))
    async def basemap(name: str) -> Response:
        """A base map's file; parts of it by `Range`."""
        path = file_of(name)
        if path is None:
            raise Refusal(404, "unknown base map", f"found '/basemap/{name[:80]}', expected one that /api/site lists")
        return FileResponse(path)

    return router
