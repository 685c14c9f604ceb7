"""The pages that people open in a browser, and what they are made of. Nothing comes from anywhere else."""

from __future__ import annotations

import gzip
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
from fastapi import APIRouter, Request
from fastapi.responses import Response

from opencram.outputs.phrases import phrases
from opencram.serve.answers import Json, answers
from opencram.serve.feed import Feed
from opencram.serve.guard import Refusal
from opencram.serve.messages import Fault, Place
from opencram.yamlfile import nearest

FOLDER = Path(str(resources.files("opencram.serve") / "static"))
TYPES = {".js": "text/javascript", ".mjs": "text/javascript", ".css": "text/css"}
STATIC = sorted(
    path.relative_to(FOLDER).as_posix().removesuffix(".gz")
    for path in FOLDER.rglob("*")
    if Path(path.name.removesuffix(".gz")).suffix in TYPES
)
"""Scripts and styles; a file that lies there compressed (.gz) is served so."""
SCRIPT, HTML = "text/javascript", "text/html"


def page_routes(feed: Feed) -> APIRouter:
    """The pages, their scripts and styles, and the phrases that they show."""
    router = APIRouter()
    no_zone = {404: (Fault, "No such zone; the sentence names the nearest.")}

    @router.get("/", **answers("pages", HTML))
    async def picture(request: Request) -> Response:
        """For the watch: the alarm, the map, every zone, track, siren and sensor, and the last hours."""
        return _page("watch.html", request)

    @router.get("/zone/{zone}", **answers("pages", HTML, no_zone))
    async def phone(zone: str, request: Request) -> Response:
        """For the people in one zone."""
        known_zone(feed, zone)
        return _page("phone.html", request)

    @router.get("/zone", **answers("pages", HTML))
    async def choose(request: Request) -> Response:
        """For people to choose their zone."""
        return _page("phone.html", request)

    @router.get("/api/places", **answers("state", list[Place]))
    async def places() -> Response:
        """The zones by name, for people to choose theirs."""
        return Json([Place(zone.id, zone.name, zone.name_fr, zone.name_ar) for zone in feed.hello.zones])

    @router.get("/sign-in", **answers("pages", HTML))
    async def sign_in_page(request: Request) -> Response:
        """Where to sign in."""
        return _page("sign-in.html", request)

    @router.get("/docs", **answers("pages", HTML))
    async def docs(request: Request) -> Response:
        """This description, to read and to try."""
        return _page("docs.html", request)

    @router.get("/api/phrases", **answers("state", dict[str, Any]))
    async def every_phrase(request: Request) -> Response:
        """All that people are told, in every language."""
        return _compressed(*_phrases(), "application/json", request)

    @router.get("/static/{name:path}", **answers("pages", SCRIPT, {404: (Fault, "No such file.")}))
    async def static(name: str, request: Request) -> Response:
        """A script or a style of the pages."""
        if name not in STATIC:
            raise Refusal(404, "unknown address", f"found '/static/{name[:80]}', which is not there")
        return _answer(name, TYPES[Path(name).suffix], request)

    return router


def _page(name: str, request: Request) -> Response:
    return _answer(name, HTML, request)


def _answer(name: str, media_type: str, request: Request) -> Response:
    """A file."""
    return _compressed(*_read(name), media_type, request)


def _compressed(plain: bytes, packed: bytes, tag: str, media_type: str, request: Request) -> Response:
    """Compressed for who can take it so, which a poor network needs; 304 for who has it already."""
    squeezed = not plain or "gzip" in request.headers.get("accept-encoding", "")
    headers = {"ETag": tag, "Vary": "Accept-Encoding"} | ({"Content-Encoding": "gzip"} if squeezed else {})
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(packed if squeezed else plain, media_type=media_type, headers=headers)


@cache
def _read(name: str) -> tuple[bytes, bytes, str]:
    """A file plain (nothing where it lies there compressed) and compressed, and its tag."""
    path = FOLDER / f"{name}.gz"
    plain = b"" if path.is_file() else (FOLDER / name).read_bytes()
    return _tagged(plain, gzip.compress(plain, mtime=0) if plain else path.read_bytes())


@cache
def _phrases() -> tuple[bytes, bytes, str]:
    plain = msgspec.json.encode(phrases().all())
    return _tagged(plain, gzip.compress(plain, mtime=0))


def _tagged(plain: bytes, packed: bytes) -> tuple[bytes, bytes, str]:
    return plain, packed, f'"{hashlib.sha256(packed).hexdigest()[:16]}"'


def known_zone(feed: Feed, zone: str) -> None:
    """Refusal for a zone that the site has not."""
    if not feed.knows(zone):
        known = [z.id for z in feed.hello.zones]
        raise Refusal(404, "unknown zone", f"zone: found '{zone[:64]}', expected {nearest(zone[:64], known)}")
