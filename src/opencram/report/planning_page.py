"""A page of what was planned: sections of text, a picture and a table each, in one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opencram import __version__
from opencram.errors import InputError
from opencram.report.maps import said
from opencram.report.templates import environment
from opencram.report.words import Language

ASSUMED = (
    "Reckoned from stated and assumed figures, by expectation; no shot was simulated.",
    "Calculé à partir de données déclarées et supposées, en espérance ; aucun tir n’a été simulé.",
)


@dataclass(frozen=True)
class Section:
    """One section; a table's `marked` rows are those that somebody must look at."""

    heading: str = ""
    texts: Sequence[str] = ()
    svg: str = ""
    caption: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    marked: Collection[int] = ()


def planning_page(title: str, sub: str, sections: Sequence[Section], language: Language = "en") -> str:
    """The page as HTML."""
    footer = f"opencram {__version__}. {said(language, *ASSUMED)}"
    template = environment().get_template("planning.html.jinja")
    return template.render(language=language, title=title, sub=sub, sections=sections, footer=footer)


def write_files(folder: Path, contents: Mapping[str, str | bytes]) -> list[Path]:
    """Write texts and pictures into a folder, which is made where it is not there; InputError where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            path = folder / name
            path.write_bytes(content) if isinstance(content, bytes) else path.write_text(content, "utf-8")
    except OSError as error:
        raise InputError(f"{folder}: found a folder that cannot be written ({error.strerror})") from None
    return [folder / name for name in contents]
