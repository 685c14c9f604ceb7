"""The ledger of attacks: which attack is this, and since when, by target and kind.

It holds single incidents and counts that reports give for a span of time. A count is only as good as its source, so
that each ordinal says in what sense it is meant.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from opencram.errors import InputError
from opencram.world.scenario import LedgerEntry, Text
from opencram.yamlfile import at, nearest, read_yaml, validate


def _as_text(value: Any) -> Any:  # noqa: ANN401
    """YAML reads 2020-11-17 as a date; here it is text, for a month alone may be all that is known."""
    return value.isoformat() if hasattr(value, "isoformat") else value


Day = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^\d{4}-\d{2}-\d{2}$")]
DayOrMonth = Annotated[str, BeforeValidator(_as_text), StringConstraints(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Incident(_Strict):
    """One attack."""

    id: str
    date: DayOrMonth
    target: str
    kind: str
    source: str


class Count(_Strict):
    """What a report counts: how many attacks on a target from `since` to `until`, that day's included."""

    target: str
    since: Day
    until: Day
    count: Annotated[int, Field(ge=1)] | None = None
    about: bool = False
    words: Text | None = None
    note: Text | None = None
    source: str

    @model_validator(mode="after")
    def _says_something(self) -> Count:
        if (self.count is None) == (self.words is None):
            raise ValueError("found both or none of 'count' and 'words', expected one of them")
        return self


class Period(_Strict):
    """Something that people count from: a truce, a new year."""

    target: str
    since: Day
    until: Day
    name: Text
    source: str


class Ledger(_Strict):
    """Targets and their names; periods to count from; counts; incidents."""

    schema_: Literal[1] = Field(default=1, alias="schema")
    targets: dict[str, Text] = {}
    periods: tuple[Period, ...] = ()
    counts: tuple[Count, ...] = ()
    incidents: tuple[Incident, ...] = ()


@dataclass(frozen=True)
class Ordinal:
    """'The 19th since 28 October 2019'.

    `exact` or `about` where a report counts it so, `at-least` where incidents were added to a report's count,
    `ledger` where it is its place among the incidents of the ledger, which may lack some.
    """

    n: int
    since: str | None
    """None: it is the first of all."""
    period: Text | None
    kind: str | None
    sense: Literal["exact", "about", "at-least", "ledger"]
    note: Text | None
    source: str


@dataclass(frozen=True)
class Reckoning:
    """What the ledger says of an attack."""

    target: Text
    ordinals: tuple[Ordinal, ...]
    remarks: tuple[Count, ...]


def load_ledger(extra: Path | None = None) -> Ledger:
    """The built-in ledger with a user's file added; InputError names the place of the first fault."""
    built_in = _built_in()
    if extra is None:
        return built_in
    data, lines = read_yaml(extra, str(extra))
    added = validate(Ledger, data, lines, str(extra))
    targets = {**built_in.targets, **added.targets}
    for part in ("periods", "counts", "incidents"):
        for i, row in enumerate(getattr(added, part)):
            if row.target not in targets:
                where = at(str(extra), (part, i, "target"), lines)
                raise InputError(f"{where}: found '{row.target}', expected {nearest(row.target, list(targets))}")
    return Ledger(
        targets=targets,
        periods=built_in.periods + added.periods,
        counts=built_in.counts + added.counts,
        incidents=built_in.incidents + added.incidents,
    )


def reckon(ledger: Ledger, attack: LedgerEntry, name: str) -> Reckoning | None:
    """Which attack on its target `attack` is; None for a target that the ledger does not know.

    `name` is the scenario's: an incident of the same id is the attack itself, and is not counted before it.
    """
    title = ledger.targets.get(attack.target)
    if title is None:
        return None
    before = [
        i for i in ledger.incidents if i.target == attack.target and i.id != name and _is_before(i.date, attack.date)
    ]
    ordinals = [o for o in (_by_count(ledger, attack, before), *_by_period(ledger, attack, before)) if o]
    if not ordinals:
        ordinals = _by_incidents(attack, before)
    remarks = [c for c in ledger.counts if c.words and c.target == attack.target and _within(attack.date, c)]
    return Reckoning(title, tuple(ordinals), tuple(remarks))


def _by_count(ledger: Ledger, attack: LedgerEntry, before: list[Incident]) -> Ordinal | None:
    """A count that ends with this very attack; else, outside all periods, an exact one and the incidents after it."""
    usable = [c for c in ledger.counts if c.count and c.target == attack.target and c.until <= attack.date]
    if not usable:
        return None
    base = max(usable, key=lambda c: (c.until, c.since))
    if base.until == attack.date:
        sense: Literal["exact", "about"] = "about" if base.about else "exact"
        return Ordinal(base.count or 0, base.since, None, None, sense, base.note, base.source)
    if base.about or any(p.target == attack.target and _within(attack.date, p) for p in ledger.periods):
        return None
    later = 1 + sum(i.date > base.until for i in before)
    return Ordinal((base.count or 0) + later, base.since, None, None, "at-least", None, base.source)


def _by_period(ledger: Ledger, attack: LedgerEntry, before: list[Incident]) -> list[Ordinal]:
    """The place among the ledger's incidents of the period that the attack is in, of any kind and of its kind."""
    found = []
    for period in ledger.periods:
        if period.target == attack.target and _within(attack.date, period):
            inside = [i for i in before if i.date[:10] >= period.since[: len(i.date)]]
            for kind in (None, attack.kind):
                n = 1 + sum(kind in (None, i.kind) for i in inside)
                found.append(Ordinal(n, period.since, period.name, kind, "ledger", None, period.source))
    return found


def _by_incidents(attack: LedgerEntry, before: list[Incident]) -> list[Ordinal]:
    """Its place among all incidents of the ledger, where there is nothing else to count from."""
    since = min((i.date for i in before), default=None)
    source = ", ".join(dict.fromkeys(i.source for i in before))
    same = sum(i.kind == attack.kind for i in before)
    return [
        Ordinal(1 + len(before), since, None, None, "ledger", None, source),
        Ordinal(1 + same, since, None, attack.kind, "ledger", None, source),
    ]


def _is_before(date: str, other: str) -> bool:
    return date < other[: len(date)] or (len(date) > len(other) and date[: len(other)] < other)


def _within(date: str, span: Count | Period) -> bool:
    return span.since[: len(date)] <= date <= span.until


@cache
def _built_in() -> Ledger:
    text = (resources.files("opencram") / "data" / "ledger.yaml").read_text("utf-8")
    data, lines = read_yaml(text, "ledger.yaml")
    return validate(Ledger, data, lines, "ledger.yaml")
