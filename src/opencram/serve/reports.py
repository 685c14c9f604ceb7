"""Reports of runs and studies, for whoever has signed in: the folders that `--reports` names, listed and served."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from opencram.serve.answers import Json, answers
from opencram.serve.guard import Refusal
from opencram.serve.messages import Fault, Report

FILES = {
    "report.html": "text/html",
    "report.pdf": "application/pdf",
    "communique.en.txt": "text/plain",
    "communique.fr.txt": "text/plain",
    "study.html": "text/html",
    "study.md": "text/plain",
    "study.svg": "image/svg+xml",
}
"""What a run or a study has for people to read."""
FIRST = ("report.html", "study.html", "study.md")
"""The first of these that a folder has is its report."""
MOST = 200
CLOSED = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; sandbox"
"""A report carries its own styles, runs no script and asks for nothing."""


def report_routes(folder: Path | None) -> APIRouter:
    """`/api/reports` and the files that it lists."""
    router = APIRouter()

    @router.get("/api/reports", **answers("state", list[Report]))
    def reports() -> Response:
        """Reports of runs and studies, the newest first."""
        return Json(found(folder))

    @router.get("/reports/{run}/{file}", **answers("pages", "text/html", {404: (Fault, "No such report.")}))
    def report(run: str, file: str) -> Response:
        """A report's page, or what lies beside it."""
        path = _file(folder, run, file)
        if path is None:
            raise Refusal(
                404, "unknown report", f"found '/reports/{run[:60]}/{file[:40]}', expected one that is listed"
            )
        return FileResponse(path, media_type=FILES[file], headers={"Content-Security-Policy": CLOSED})

    return router


def _file(folder: Path | None, run: str, file: str) -> Path | None:
    """A file of the folder's runs and studies, if it is one for people to read and no way out of the folder."""
    if folder is None or file not in FILES:
        return None
    path = folder / run / file
    return path if path.is_file() and path.resolve().is_relative_to(folder.resolve()) else None


def found(folder: Path | None) -> list[Report]:
    """The reports of a folder's folders, the newest first."""
    listed: dict[str, Report] = {}
    for first in FIRST:
        for path in folder.glob(f"*/{first}") if folder is not None else ():
            name, time_ms = path.parent.name, round(path.stat().st_mtime * 1e3)
            kind = "study" if first.startswith("study") else "run"
            listed.setdefault(name, Report(name, kind, time_ms, f"/reports/{name}/{first}"))
    return sorted(listed.values(), key=lambda one: -one.time_ms)[:MOST]
