"""Pages of sections, each with text, a picture and a table: one file that needs nothing else."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from opencram.errors import InputError
from opencram.report.templates import environment
from opencram.report.words import Language

LONGEST_FIGURE = 23
"""A column in which a cell is longer holds words, and its lines may break."""


@dataclass(frozen=True)
class Picture:
    """An SVG, the name of its file, and what it shows."""

    file: str
    svg: str
    caption: str


@dataclass(frozen=True)
class Section:
    """One section; of a table `marked` are the rows that somebody must look at."""

    heading: str = ""
    texts: Sequence[str] = ()
    picture: Picture | None = None
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    marked: Collection[int] = ()

    @property
    def figures(self) -> list[bool]:
        """Which columns hold figures, to be set to the right; the first never does."""
        longest = [max(map(len, column)) for column in zip(*self.rows, strict=True)]
        return [i > 0 and length <= LONGEST_FIGURE for i, length in enumerate(longest)]


def page(
    title: str,
    sub: str,
    sections: Sequence[Section],
    footer: str = "",
    simulated: bool = False,
    language: Language = "en",
) -> str:
    """The page as HTML; what is `simulated` says so in a banner and across the page."""
    template = environment().get_template("sections.html.jinja")
    return template.render(
        title=title, sub=sub, sections=sections, footer=footer, simulated=simulated, language=language
    )


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
