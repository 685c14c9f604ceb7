"""Facts that no sensor knows: casualties, damage, claims. They are entered by hand, with source and revision.

A fact with a higher revision replaces the one of the same id before it; what it replaced stays on record, so that a
corrected communiqué can say what it corrects. A file of facts has the form of a scenario's `facts:`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from opencram.errors import InputError
from opencram.report.words import Language
from opencram.world.scenario import Fact
from opencram.yamlfile import read_yaml, validate

KINDS: dict[str, dict[Language, str]] = {
    "casualties": {"en": "Casualties", "fr": "Victimes"},
    "damage": {"en": "Damage", "fr": "Dégâts"},
    "claim": {"en": "Claim of responsibility", "fr": "Revendication"},
    "outcome": {"en": "Outcome", "fr": "Bilan"},
    "context": {"en": "Context", "fr": "Contexte"},
}
"""What the kinds of facts are called, in the order in which they are told."""

FACTS_FILE = "facts.yaml"
"""A file of this name in a run folder is read without being asked for."""


class FactsFile(BaseModel):
    """A file of facts: `facts:` and a list of id, kind, text {en, fr}, source and revision."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Told:
    """The newest revision of a fact, and the one it corrects."""

    fact: Fact
    corrects: Fact | None


def load_facts(path: Path) -> tuple[Fact, ...]:
    """The facts of a YAML file; InputError names the place of the first fault."""
    data, lines = read_yaml(path, str(path))
    return validate(FactsFile, data, lines, str(path)).facts


def gather_facts(scenario_facts: Sequence[Fact], run_dir: Path, extra: Path | None) -> list[Told]:
    """The facts of the scenario, of the run folder's facts.yaml if there is one, and of one more file."""
    parts = [("the scenario", scenario_facts)]
    for path in (run_dir / FACTS_FILE, extra):
        if path is not None and (path == extra or path.exists()):
            parts.append((str(path), load_facts(path)))
    return newest(parts)


def newest(parts: Iterable[tuple[str, Sequence[Fact]]]) -> list[Told]:
    """The newest revision of each fact, by kind, then as they came.

    Raises InputError where one revision of a fact says two different things.
    """
    revisions: dict[str, dict[int, Fact]] = {}
    for name, facts in parts:
        for fact in facts:
            known = revisions.setdefault(fact.id, {})
            if known.setdefault(fact.revision, fact) != fact:
                raise InputError(
                    f"{name}: found revision {fact.revision} of '{fact.id}' again with other content, "
                    f"expected a correction to have revision {max(known) + 1}"
                )
    told = [_newest(known) for known in revisions.values()]
    return sorted(told, key=lambda t: list(KINDS).index(t.fact.kind))


def _newest(known: dict[int, Fact]) -> Told:
    order = sorted(known)
    return Told(known[order[-1]], known[order[-2]] if len(order) > 1 else None)
