"""The CAP messages and their feed over HTTP, read from the folder that the warning process keeps."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request, Response

from opencram.outputs.atom import ATOM_TYPE, CAP_TYPE
from opencram.outputs.cap_folder import FEED, IDENTIFIER
from opencram.serve.answers import answers
from opencram.serve.messages import Fault


def cap_routes(folder: Path) -> APIRouter:
    """`/cap/atom.xml` and `/cap/ID.xml`. Pollers are answered 304 while nothing has changed."""
    router = APIRouter()
    others = {304: ("", "Nothing has changed since the `ETag` that was sent along."), 404: (Fault, "Not there.")}

    @router.get("/cap/atom.xml", **answers("CAP", ATOM_TYPE, others))
    @router.head("/cap/atom.xml", include_in_schema=False)
    def feed(request: Request) -> Response:
        """The feed of CAP messages, in Atom."""
        return _file(folder / FEED, ATOM_TYPE, request)

    @router.get("/cap/{identifier}.xml", **answers("CAP", CAP_TYPE, others))
    @router.head("/cap/{identifier}.xml", include_in_schema=False)
    def message(identifier: str, request: Request) -> Response:
        """One CAP message."""
        if not IDENTIFIER.fullmatch(identifier):
            raise HTTPException(404)
        return _file(folder / f"{identifier}.xml", CAP_TYPE, request)

    return router


def _file(path: Path, media_type: str, request: Request) -> Response:
    try:
        data, changed_ns = path.read_bytes(), path.stat().st_mtime_ns
    except OSError:
        raise HTTPException(404) from None
    headers = {"ETag": f'"{changed_ns:x}-{len(data):x}"'}
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=media_type, headers=headers)
