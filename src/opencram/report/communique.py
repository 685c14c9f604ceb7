"""The communiqué: what a security cell publishes, in English and French. Every figure is computed from the run.

This module finds the figures and puts them into words; the sentences around them are in the templates.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from opencram.report import words
from opencram.report.facts import KINDS, Told
from opencram.report.ledger import Ordinal, Reckoning
from opencram.report.run import Run
from opencram.report.teller import Teller
from opencram.report.templates import environment
from opencram.report.words import Language
from opencram.world.scenario import Text

WIDTH = 88


@dataclass(frozen=True)
class Entered:
    """What was entered by hand, and what the ledger says."""

    facts: Sequence[Told]
    reckoning: Reckoning | None

    @property
    def revision(self) -> int:
        """The communiqué's revision: the highest of its facts."""
        return max((told.fact.revision for told in self.facts), default=1)


_WITH = {
    "rocket": {"en": "with rockets", "fr": "à la roquette"},
    "drone": {"en": "by drones", "fr": "par drones"},
    "bomb": {"en": "with bombs", "fr": "à la bombe"},
    "mortar": {"en": "with mortars", "fr": "au mortier"},
}


_LEAD_EN = {
    "exact": "This is the",
    "about": "This is about the",
    "at-least": "This is at least the",
    "ledger": "In the ledger, this is the",
}
_LEAD_FR = {
    "exact": "C’est la",
    "about": "C’est environ la",
    "at-least": "C’est au moins la",
    "ledger": "Au registre, c’est la",
}


def ordinals(reckoning: Reckoning, language: Language) -> list[str]:
    """Each thing the ledger says of this attack, as a sentence; of its kind only where that is another number."""
    rows = reckoning.ordinals
    any_kind = {(row.since, row.n) for row in rows if row.kind is None}
    return [_ordinal(r, reckoning, language) for r in rows if r.kind is None or (r.since, r.n) not in any_kind]


def _ordinal(row: Ordinal, reckoning: Reckoning, language: Language) -> str:
    what = _WITH.get(row.kind or "", {}).get(language) or row.kind or ""
    nth, target = words.ordinal(row.n, language, feminine=True), _said(reckoning.target, language)
    since = _since(row, language)
    if language == "en":
        text = f"{_LEAD_EN[row.sense]} {nth} attack {what}".rstrip() + f" on {target}{since}"
    else:
        text = f"{_LEAD_FR[row.sense]} {nth} attaque {what}".rstrip() + f" contre {target}{since}"
    note = f" ({_said(row.note, language)})" if row.note else ""
    source = f" [{row.source}]" if row.source else ""
    return f"{text}{note}{source}."


def _since(row: Ordinal, language: Language) -> str:
    """' since the truce', ' depuis le 28 octobre 2019', or nothing for the first of all."""
    if row.since is None:
        return ""
    word = " since" if language == "en" else " depuis"
    if row.period:
        return f"{word} {_said(row.period, language)}"
    article = "le " if language == "fr" and len(row.since) == len("2019-10-28") else ""
    return f"{word} {article}{_day(row.since, language)}"


def remarks(reckoning: Reckoning, language: Language) -> list[str]:
    """What reports say without a number, for a span of time that this attack is in."""
    found = []
    for row in reckoning.remarks:
        since, until = _day(row.since, language), _day(row.until, language)
        said = _said(row.words, language) if row.words else ""
        span = f"from {since} to {until}" if language == "en" else f"du {since} au {until}"
        note = f" ({_said(row.note, language)})" if row.note else ""
        lead = "The reports speak of" if language == "en" else "Les articles parlent de :"
        found.append(f"{lead} {said}, {span}{note} [{row.source}].")
    return found


def _said(text: Text, language: Language) -> str:
    return text.fr if language == "fr" else text.en


def _day(iso_day: str, language: Language) -> str:
    """A day, or a month where no more is known, as people write it."""
    if len(iso_day) == len("2019-10"):
        return words.day(date.fromisoformat(f"{iso_day}-02"), language, weekday=False).split(" ", 1)[1]
    return words.day(date.fromisoformat(iso_day), language, weekday=False)


def write_communique(run: Run, entered: Entered, language: Language) -> str:
    """The communiqué's text."""
    teller = Teller(run, language)
    template = environment().get_template(f"communique.{language}.txt.jinja")
    text = template.render(**communique_context(teller, entered))
    return layout_text(words.spaced(text) if language == "fr" else text)


def communique_context(teller: Teller, entered: Entered) -> dict[str, Any]:
    """What the templates name."""
    language = teller.language
    reckoning = entered.reckoning
    return {
        "t": teller,
        "run": teller.run.summary,
        "counts": teller.run.summary["counts"],
        "site": teller.title(teller.run.site),
        "asset": teller.run.asset_title(language),
        "revision": entered.revision,
        "facts": entered.facts,
        "corrections": [told for told in entered.facts if told.corrects],
        "kinds": {kind: title[language] for kind, title in KINDS.items()},
        "language": language,
        "ordinals": ordinals(reckoning, language) if reckoning else [],
        "remarks": remarks(reckoning, language) if reckoning else [],
        "number": lambda n: words.number(n, language),
        "seconds": lambda s: words.seconds(s, language),
        "joined": lambda parts: words.joined(parts, language),
    }


def layout_text(text: str) -> str:
    """Lines no longer than WIDTH, list items hanging, no blank line twice."""
    lines: list[str] = []
    for line in text.splitlines():
        line = line.rstrip()
        if not line and (not lines or not lines[-1]):
            continue
        hang = "  " if line.startswith("- ") else ""
        lines += textwrap.wrap(line, WIDTH, subsequent_indent=hang, break_on_hyphens=False) or [""]
    return "\n".join(lines).strip() + "\n"
