"""A run put into words, in English or French: what the communiqué's and the report's templates ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opencram.physics.sound import HEARD_SHARE
from opencram.physics.threats import catalogue
from opencram.report import words
from opencram.report.metrics import Quality, Row, hit_unwarned
from opencram.report.reported import main_azimuth_deg
from opencram.report.run import Run, WarningRow, title_of
from opencram.report.words import Language, time_ns
from opencram.world.scenario import Mark, Text


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
    heard: str
    """How long before, counted from when its sirens are heard."""
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
    def time_zone(self) -> str:
        """The site’s time zone, by its IANA name."""
        return self.run.site.timezone

    def time(self, iso_time: str | None) -> str:
        """A time of day for a table, local where the site has a time zone."""
        if iso_time is None:
            return "–"
        return f"{words.utc(time_ns(iso_time)).astimezone(words.zone_of(self.time_zone)):%H:%M:%S}"

    def title(self, thing: Any) -> str:  # noqa: ANN401
        """A thing's name for people."""
        return title_of(thing, self.language)

    def date(self) -> str:
        """The day, the local time and UTC of the first thing that happened."""
        moments = [o["launch_time"] or o["first_plot_time"] for o in self.objects]
        start = words.utc(time_ns(min(moments, default=self.run.summary["start"])))
        zone = words.zone_of(self.time_zone)
        utc = words.clock(start, self.language, with_seconds=False)
        if self.time_zone == "UTC":
            return f"{words.day(start.date(), self.language)}, {utc} UTC"
        local = start.astimezone(zone)
        clock = words.clock(local, self.language, with_seconds=False)
        name = "local time" if self.language == "en" else "heure locale"
        day = f"{words.day(start.date(), self.language, weekday=False)}, " if start.date() != local.date() else ""
        return f"{words.day(local.date(), self.language)}, {clock} {name} ({day}{utc} UTC)"

    # ---- what happened ----

    def direction(self) -> str | None:
        """'from the east', 'de l’est'."""
        azimuth = main_azimuth_deg(self.run.summary)
        return None if azimuth is None else words.from_compass(azimuth, self.language)

    def areas(self) -> list[dict[str, Any]]:
        """Estimated launch areas: where, how far, in which direction, how sure, for how many."""
        return [
            {
                "zone": self.run.zone_title(area["zone"], self.language),
                "inside": area["zone_away_m"] == 0.0,
                "n": len({self.run.object_of[t]["id"] for t in area["tracks"] if t in self.run.object_of}),
                "distance": words.distance(area["distance_m"], self.language),
                "direction": words.to_compass(area["azimuth_deg"], self.language),
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
                self._heard(z),
                self.clock(z["all_clear"]) if z["all_clear"] else None,
            )
            for z in rows
        ]

    def _heard(self, zone: Row) -> str:
        """' (14 s from when its sirens are heard)', for a zone hit after its alert; empty where that cannot be told."""
        left = zone.get("lead_heard_s")
        if zone.get("heard_share") == 0.0 and self.run.site.sirens:
            return {"en": " (no siren is heard there)", "fr": " (aucune sirène ne s’y entend)"}[self.language]
        if left is None or left <= 0.0:
            return ""
        told = words.seconds(left, self.language)
        by = "" if zone["heard_share"] >= HEARD_SHARE else f"{100.0 * zone['heard_share']:.0f}"
        if self.language == "en":
            return f" ({told} from when its sirens are heard{f', by {by}% of it' if by else ''})"
        return f" ({told} dès que ses sirènes s’entendent{f', sur {by} % de son étendue' if by else ''})"

    def unwarned(self) -> list[str]:
        """Zones that were hit and never alerted."""
        rows = [z for z in self.run.summary["zones"] if z["first_impact"] and not z["first_alert"]]
        return [self.run.zone_title(z["id"], self.language) or z["id"] for z in rows]

    def sirens(self) -> tuple[list[str], int]:
        """The sirens that serve an alerted zone, and how many there are."""
        alerted = {z["id"] for z in self.run.summary["zones"] if z["first_alert"]}
        return [s.id for s in self.run.site.sirens if alerted & set(s.zones)], len(self.run.site.sirens)

    # ---- for the report ----

    def headline(self) -> list[str]:
        """What happened, in two sentences."""
        return [self._attack(), self._outcome()] if self.known and self.objects else [self._tracked()]

    def _attack(self) -> str:
        n, engaged, killed = (self.count(key) for key in ("launched", "engaged", "intercepted"))
        where, site = self.direction(), self.title(self.run.site)
        if self.language == "en":
            verb = "was" if n == 1 else "were"
            text = f"{words.upfirst(self.counted(n))} {verb} launched{' ' + where if where else ''} at “{site}”"
            if not engaged:
                return f"{text}; the simulated defence did not engage."
            return f"{text}; the simulated defence engaged {self.number(engaged)} and shot down {_none(killed, 'en')}."
        verb = "a" if n == 1 else "ont"
        text = f"{words.upfirst(self.counted(n))} {verb} été {self.agree(n, 'lancé')} contre « {site} »"
        text += f", en provenance {where}" if where else ""
        if not engaged:
            return words.spaced(f"{text} ; la défense simulée n’a pas engagé.")
        killed_text = f"en a abattu {self.number(killed)}" if killed else f"n’en a abattu {self.number(0)}"
        return words.spaced(f"{text} ; la défense simulée en a engagé {self.number(engaged)} et {killed_text}.")

    def _outcome(self) -> str:
        n, hit, unwarned = self.count("impacts"), self.count("zones_hit"), len(hit_unwarned(self.run.summary))
        leads = [z["lead_s"] for z in self.run.summary["zones"] if z["lead_s"] is not None]
        least = words.seconds(min(leads), self.language) if leads else ""
        down = words.upfirst(self.number(n))
        if self.language == "en":
            if not n:
                return "None came down in one piece."
            zones = f"{words.number(hit, 'en')} zone{'s were' if hit > 1 else ' was'} hit" if hit else "no zone was hit"
            return f"{down} came down; {zones}{_alerted_before(hit, unwarned, least)}."
        if not n:
            return f"{down} n’est {self.agree(1, 'tombé')}."
        zones = f"{words.number(hit, 'fr', True)} zone{_s(hit)} {'ont' if hit > 1 else 'a'} été touchée{_s(hit)}"
        told = f"{zones}{_alertees_avant(hit, unwarned, least)}" if hit else "aucune zone n’a été touchée"
        return words.spaced(f"{down} {'est' if n == 1 else 'sont'} {self.agree(n, 'tombé')} ; {told}.")

    def _tracked(self) -> str:
        n = len(self.objects)
        if self.language == "en":
            return f"{words.upfirst(self.counted(n))} {'was' if n == 1 else 'were'} tracked; the truth is not known."
        verb = "a" if n < 2 else "ont"
        text = f"{words.upfirst(self.counted(n))} {verb} été {self.agree(n, 'suivi')} ; la vérité n’est pas connue."
        return words.spaced(text)

    def key_figures(self, quality: Quality) -> list[tuple[str, str]]:
        """Value and name of the figures at the report's head; what is not known is left out."""
        counts = self.run.summary["counts"]
        names = _KEY_FIGURES[self.language]
        rows = [
            (words.digits(counts[key], self.language), name)
            for key, name in names.items()
            if counts.get(key) is not None
        ]
        if quality.lead_least_s is not None:
            name = {"en": "shortest lead time", "fr": "préavis le plus court"}[self.language]
            rows.append((words.seconds(quality.lead_least_s, self.language), name))
        return rows

    def said(self, text: Text) -> str:
        """A text of the scenario."""
        return text.fr if self.language == "fr" else text.en

    def class_title(self, name: str | None) -> str:
        """What a class of the catalogue is called."""
        if name is None or name not in catalogue():
            return {"en": "unknown", "fr": "inconnu"}[self.language] if name else "–"
        title = catalogue()[name].title[self.language]
        return words.spaced(title) if self.language == "fr" else title

    def effector_title(self, name: str) -> str:
        """What a simulated battery is called."""
        return next((self.title(e) for e in self.run.site.effectors if e.id == name), name)

    def defence_note(self, kind: str) -> str:
        """What the simulated defence made of an object, shortly."""
        english, french = _DEFENCE_NOTES.get(kind, (kind, kind))
        return words.spaced(french) if self.language == "fr" else english

    def zone_list(self, zones: Sequence[str]) -> str:
        """Names of zones, or 'none'."""
        names = [self.run.zone_title(zone, self.language) or zone for zone in zones]
        return ", ".join(names) or {"en": "none", "fr": "aucune"}[self.language]

    def decisions(self) -> list[WarningRow]:
        """The warnings that changed a zone's state; updates only repeat them."""
        return [w for w in self.run.warnings if w.state != "update"]

    def updates(self) -> int:
        """How many updates there were."""
        return sum(w.state == "update" for w in self.run.warnings)

    def marks(self, reported: bool) -> list[Mark]:
        """The scenario's values that a report gives, or that are assumed."""
        marks = self.run.scenario.marks() if self.run.scenario else []
        return [mark for mark in marks if mark.is_reported == reported]

    def value_of(self, value: Any) -> str:  # noqa: ANN401
        """A value of a scenario, shortly."""
        if isinstance(value, Text):
            return self.said(value)
        fields = value.model_dump() if hasattr(value, "model_dump") else None
        return ", ".join(f"{k} {v}" for k, v in fields.items()) if fields else str(value)

    # ---- entered by hand ----

    def source(self, name: str) -> str:
        """A source's name, and how the scenario, in English, describes it."""
        sources = self.run.scenario.sources if self.run.scenario and self.language == "en" else {}
        described = sources.get(name)
        return f"{described} [{name}]" if described else name


_KEY_FIGURES: dict[Language, dict[str, str]] = {
    "en": {
        "launched": "launched",
        "tracked": "tracked",
        "engaged": "engaged (simulated)",
        "intercepted": "shot down (simulated)",
        "impacts": "impacts",
        "debris": "pieces of debris",
        "zones_hit": "zones hit",
        "zones_warned_in_time": "of them warned in time to shelter",
        "zones_heard_in_time": "of them heard it in time to shelter",
        "phantom_alarms": "phantom alarms",
    },
    "fr": {
        "launched": "lancés",
        "tracked": "suivis",
        "engaged": "engagés (simulation)",
        "intercepted": "abattus (simulation)",
        "impacts": "impacts",
        "debris": "débris",
        "zones_hit": "zones touchées",
        "zones_warned_in_time": "dont alertées à temps pour s’abriter",
        "zones_heard_in_time": "dont l’alerte entendue à temps",
        "phantom_alarms": "alertes fantômes",
    },
}


_DEFENCE_NOTES = {
    "gone": ("gone", "disparu"),
    "flies on": ("flies on", "poursuit son vol"),
    "lost": ("cannot be told", "indéterminé"),
    "unprotected": ("nothing protected was threatened", "rien de protégé n’était menacé"),
    "unlikely": ("a hit was too unlikely", "un impact était trop improbable"),
    "out of reach": ("out of reach", "hors de portée"),
    "no-fire": ("no-fire sector", "secteur interdit de tir"),
    "debris": ("debris over people", "débris au-dessus de personnes"),
    "thrift": ("not worth the ammunition", "ne valait pas les munitions"),
    "empty": ("magazine empty", "munitions épuisées"),
    "saturated": ("the batteries were taken", "batteries occupées"),
    "waits": ("waited for a better moment", "attente d’un meilleur moment"),
}
"""By kind, in English and French."""


def _none(n: int, language: Language) -> str:
    return words.number(n, language) if n else "none"


def _alerted_before(zones: int, unwarned: int, least: str) -> str:
    if not zones:
        return ""
    if unwarned:
        return (
            ", without an alert before" if zones == 1 else f", {words.number(unwarned, 'en')} without an alert before"
        )
    return f", alerted {least} before" if zones == 1 else f", each alerted at least {least} before"


def _alertees_avant(zones: int, unwarned: int, least: str) -> str:
    if unwarned:
        return " sans alerte" if zones == 1 else f", dont {words.number(unwarned, 'fr', True)} sans alerte préalable"
    return f", alertée {least} avant" if zones == 1 else f", toutes alertées au moins {least} avant"


def _s(n: int) -> str:
    return "s" if n > 1 else ""
