"""The communiqué: what a security cell publishes, in English and French. Every figure is computed from the run.

This module finds the figures and puts them into words; the sentences around them are in the templates.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from opencram.physics.threats import catalogue
from opencram.report import words
from opencram.report.facts import KINDS, Told
from opencram.report.ledger import Ordinal, Reckoning
from opencram.report.metrics import Row
from opencram.report.reported import main_azimuth_deg
from opencram.report.run import Run, title_of
from opencram.report.words import Language, time_ns
from opencram.world.scenario import Text

WIDTH = 88
LOCAL_TIME = "timezone"


@dataclass(frozen=True)
class Fall:
    """What came down in one place: its name, how many, how far from the first asset."""

    place: str
    inside: bool
    n: int
    distances: str


@dataclass(frozen=True)
class Warned:
    """A zone that was alerted: when, how long before its first impact, when it was over."""

    zone: str
    alert: str
    lead_s: float | None
    all_clear: str | None


@dataclass(frozen=True)
class Teller:
    """Puts a run into one language."""

    run: Run
    language: Language

    @property
    def known(self) -> bool:
        """Whether the truth is known."""
        return self.run.summary["counts"]["launched"] is not None

    @property
    def objects(self) -> list[Row]:
        """What was launched, or tracked where nobody knows."""
        return list(self.run.summary["objects"])

    @property
    def family(self) -> str:
        """The family of all objects; 'projectile' if there are several, 'track' for what cannot be told."""
        names = {o["class_true"] or o["class"] or "unknown" for o in self.objects}
        families = {catalogue()[n].family if n in catalogue() else "track" for n in names}
        return families.pop() if len(families) == 1 else "projectile" if self.known else "track"

    def number(self, n: int) -> str:
        """A count of the objects, in the gender of their name."""
        return words.number(n, self.language, words.is_feminine(self.family))

    def counted(self, n: int) -> str:
        """'seven rockets'."""
        return words.counted(n, self.family, self.language)

    def agree(self, n: int, word: str) -> str:
        """A French participle in the gender and number of the objects: tirées, abattu."""
        return word + ("e" if words.is_feminine(self.family) else "") + ("s" if n > 1 else "")

    def clock(self, iso_time: str) -> str:
        """A time of day, local where the site has a time zone."""
        when = words.utc(time_ns(iso_time)).astimezone(words.zone_of(self.time_zone))
        return words.clock(when, self.language)

    @property
    def time_zone(self) -> str | None:
        """The site's time zone; None: UTC."""
        return getattr(self.run.site, LOCAL_TIME, None)

    def title(self, thing: Any) -> str:  # noqa: ANN401
        """A thing's name for people."""
        return title_of(thing, self.language)

    def date(self) -> str:
        """The day, the local time and UTC of the first thing that happened."""
        moments = [o["launch_time"] or o["first_plot_time"] for o in self.objects]
        start = words.utc(time_ns(min(moments, default=self.run.summary["start"])))
        zone = words.zone_of(self.time_zone)
        utc = words.clock(start, self.language, with_seconds=False)
        if zone is UTC:
            return f"{words.day(start.date(), self.language)}, {utc} UTC"
        local = start.astimezone(zone)
        clock = words.clock(local, self.language, with_seconds=False)
        name = "local time" if self.language == "en" else "heure locale"
        return f"{words.day(local.date(), self.language)}, {clock} {name} ({utc} UTC)"

    # ---- what happened ----

    def direction(self) -> str | None:
        """'from the east', 'de l’est'."""
        azimuth = main_azimuth_deg(self.run.summary)
        return None if azimuth is None else words.from_compass(azimuth, self.language)

    def areas(self) -> list[dict[str, Any]]:
        """Estimated launch areas: where, how far, how sure, for how many."""
        return [
            {
                "zone": self.run.zone_title(area["zone"], self.language),
                "inside": area["zone_away_m"] == 0.0,
                "n": len({self.run.object_of[t]["id"] for t in area["tracks"] if t in self.run.object_of}),
                "distance": words.distance(area["distance_m"], self.language),
                "within": words.distance(area["semi_major_m"], self.language),
            }
            for area in self.run.summary["launch_areas"]
        ]

    def first_seen(self) -> tuple[str, str] | None:
        """When the first and the last of them were first seen by radar."""
        seen = sorted(o["first_plot_time"] for o in self.objects if o["first_plot_time"])
        return (self.clock(seen[0]), self.clock(seen[-1])) if seen else None

    def count(self, key: str) -> int:
        """One of run.json's counts."""
        return int(self.run.summary["counts"][key] or 0)

    # ---- where things fell ----

    def falls(self) -> list[Fall]:
        """Impacts by the smallest zone they fell in, in the order of the site's zones; outside all zones last."""
        return self._grouped([o for o in self.objects if o["outcome"] == "impact"])

    def debris_falls(self) -> list[Fall]:
        """The same for debris."""
        return self._grouped(self.run.summary["debris"])

    def containing(self) -> list[tuple[str, int]]:
        """Zones that hold another zone in which something fell too: their name and how many fell in them in all."""
        hits = [o for o in self.objects if o["outcome"] == "impact"]
        totals = []
        for zone in self.run.site.zones:
            inside = [o for o in hits if zone.id in o["zones"]]
            if any(o["zone"] != zone.id for o in inside):
                totals.append((self.title(zone), len(inside)))
        return totals

    def _grouped(self, rows: Sequence[Row]) -> list[Fall]:
        groups: dict[tuple[int, str], list[Row]] = {}
        order = {zone.id: i for i, zone in enumerate(self.run.site.zones)}
        for row in rows:
            inside = row["zone"] is not None
            place = row["zone"] if inside else row["near"]
            groups.setdefault((order.get(place, 0) + (0 if inside else len(order)), place or ""), []).append(row)
        return [self._fall(place, groups[index, place]) for index, place in sorted(groups)]

    def _fall(self, place: str, rows: Sequence[Row]) -> Fall:
        away = sorted(r["distance_m"] for r in rows if r["distance_m"] is not None)
        told = list(dict.fromkeys(words.distance(m, self.language) for m in away))
        name = self.run.zone_title(place, self.language) or ""
        return Fall(name, rows[0]["zone"] is not None, len(rows), self._at(told))

    def _at(self, told: list[str]) -> str:
        """'at 120 m and 300 m'; from the nearest to the furthest where there are many."""
        if not told:
            return ""
        if len(told) > 4:
            return f"from {told[0]} to {told[-1]}" if self.language == "en" else f"de {told[0]} à {told[-1]}"
        if self.language == "en":
            return "at " + words.joined(told, "en")
        return words.joined([f"à {distance}" for distance in told], "fr")

    # ---- warnings ----

    def warned(self, hit: bool) -> list[Warned]:
        """The zones that were alerted, those that were hit or those that were not."""
        rows = [z for z in self.run.summary["zones"] if z["first_alert"] and (bool(z["first_impact"]) == hit)]
        return [
            Warned(
                self.run.zone_title(z["id"], self.language) or z["id"],
                self.clock(z["first_alert"]),
                z["lead_s"],
                self.clock(z["all_clear"]) if z["all_clear"] else None,
            )
            for z in rows
        ]

    def unwarned(self) -> list[str]:
        """Zones that were hit and never alerted."""
        rows = [z for z in self.run.summary["zones"] if z["first_impact"] and not z["first_alert"]]
        return [self.run.zone_title(z["id"], self.language) or z["id"] for z in rows]

    def sirens(self) -> tuple[list[str], int]:
        """The sirens that serve an alerted zone, and how many there are."""
        alerted = {z["id"] for z in self.run.summary["zones"] if z["first_alert"]}
        return [s.id for s in self.run.site.sirens if alerted & set(s.zones)], len(self.run.site.sirens)

    # ---- entered by hand ----

    def source(self, name: str) -> str:
        """A source's name, and how the scenario, in English, describes it."""
        sources = self.run.scenario.sources if self.run.scenario and self.language == "en" else {}
        described = sources.get(name)
        return f"{described} [{name}]" if described else name


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
    """Each thing the ledger says of this attack, as a sentence."""
    found: list[str] = []
    rows = list(reckoning.ordinals)
    for row in rows:
        any_kind = next((o for o in rows if o.period and o.kind is None and o.since == row.since), None)
        if not (row.kind and any_kind and any_kind.n == row.n):
            found.append(_ordinal(row, reckoning, language))
    return found


def _ordinal(row: Ordinal, reckoning: Reckoning, language: Language) -> str:
    since = _said(row.period, language) if row.period else _day(row.since, language)
    what = _WITH.get(row.kind or "", {}).get(language) or row.kind or ""
    nth, target = words.ordinal(row.n, language, feminine=True), _said(reckoning.target, language)
    if language == "en":
        text = f"{_LEAD_EN[row.sense]} {nth} attack {what}".rstrip() + f" on {target} since {since}"
    else:
        text = f"{_LEAD_FR[row.sense]} {nth} attaque {what}".rstrip() + f" contre {target} depuis {_of_day(since, row)}"
    note = f" ({_said(row.note, language)})" if row.note else ""
    return f"{text}{note} [{row.source}]."


def _of_day(since: str, row: Ordinal) -> str:
    return since if row.period else f"le {since}"


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
    from datetime import date

    return words.day(date.fromisoformat(iso_day), language, weekday=False)


def write_communique(run: Run, entered: Entered, language: Language) -> str:
    """The communiqué's text."""
    from opencram.report.templates import environment

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
        "noun": lambda family, n: words.noun(family, n, language),
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
