"""The pages that people open in a browser, and what they are made of. Nothing comes from anywhere else."""

from __future__ import annotations

from importlib import resources
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from opencram.outputs.phrases import phrases
from opencram.serve.answers import Json, answers
from opencram.serve.feed import Feed
from opencram.serve.guard import Refusal
from opencram.serve.messages import Fault
from opencram.yamlfile import nearest

SCRIPT, STYLE = "text/javascript", "text/css"
STATIC = {
    "feed.js": SCRIPT,
    "overview.js": SCRIPT,
    "phone.js": SCRIPT,
    "session.js": SCRIPT,
    "sign-in.js": SCRIPT,
    "docs.js": SCRIPT,
    "style.css": STYLE,
    "swagger-ui-bundle.js": SCRIPT,
    "swagger-ui.css": STYLE,
}
PACKED = ("swagger-ui-bundle.js", "swagger-ui.css")
"""Kept and served compressed (gzip)."""
HTML = "text/html"


def page_routes(feed: Feed) -> APIRouter:
    """The pages, their scripts and styles, and the phrases that they show."""
    router = APIRouter()
    no_zone = {404: (Fault, "No such zone; the sentence names the nearest.")}

    @router.get("/", **answers("pages", HTML))
    async def overview() -> Response:
        """For the watch: zones, countdowns, drills, sirens and sensors."""
        return _static("overview.html", HTML)

    @router.get("/zone/{zone}", **answers("pages", HTML, no_zone))
    async def phone(zone: str) -> Response:
        """For the people in one zone."""
        known_zone(feed, zone)
        return _static("phone.html", HTML)

    @router.get("/sign-in", **answers("pages", HTML))
    async def sign_in_page() -> Response:
        """Where to sign in."""
        return _static("sign-in.html", HTML)

    @router.get("/docs", **answers("pages", HTML))
    async def docs() -> Response:
        """This description, to read and to try."""
        return _static("docs.html", HTML)

    @router.get("/api/phrases", **answers("state", dict[str, Any]))
    async def every_phrase() -> Response:
        """All that people are told, in every language."""
        return Json(phrases().all())

    @router.get("/static/{name}", **answers("pages", SCRIPT, {404: (Fault, "No such file.")}))
    async def static(name: str) -> Response:
        """A script or a style of the pages."""
        if name not in STATIC:
            raise Refusal(404, "unknown address", f"found '/static/{name[:80]}', which is not there")
        return _static(name, STATIC[name])

    return router


def _static(name: str, media_type: str) -> Response:
    folder = resources.files("opencram.serve") / "static"
    if name in PACKED:
        packed = (folder / f"{name}.gz").read_bytes()
        return Response(packed, media_type=media_type, headers={"Content-Encoding": "gzip"})
    return Response((folder / name).read_bytes(), media_type=media_type)


def known_zone(feed: Feed, zone: str) -> None:
    """Refusal for a zone that the site has not."""
    if not feed.knows(zone):
        known = [z.id for z in feed.hello.zones]
        raise Refusal(404, "unknown zone", f"zone: found '{zone[:64]}', expected {nearest(zone[:64], known)}")
