"""What the pages of what was planned have in common: what they rest on stands below them."""

from __future__ import annotations

from collections.abc import Sequence

from opencram import __version__
from opencram.report.maps import said
from opencram.report.pages import Section, page
from opencram.report.words import Language

ASSUMED = (
    "Reckoned from stated and assumed figures, by expectation; no shot was simulated.",
    "Calculé à partir de données déclarées et supposées, en espérance ; aucun tir n’a été simulé.",
)


def planning_page(title: str, sub: str, sections: Sequence[Section], language: Language = "en") -> str:
    """The page as HTML."""
    return page(title, sub, sections, f"opencram {__version__}. {said(language, *ASSUMED)}", language=language)
