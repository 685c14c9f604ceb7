"""The one catalogue of what people are told, in English, French and Arabic; `data/phrases.yaml` holds the words.

A phrase is asked for by its part (`headline`, `spoken` ...), the state and the kind of a warning. One that a language
lacks, or whose placeholders do not fit, is said in English and counted: a gap in a translation holds up no alert.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from opencram import yamlfile
from opencram.errors import InputError
from opencram.tables import WARNING_KINDS, WARNING_STATES, Reject

LANGUAGES = ("en", "fr", "ar")
MAIN = LANGUAGES[0]
ANY = "any"
STATES = (*WARNING_STATES, "drill-notice", "test")
"""Of a warning, of a drill's announcement and of a siren's self-test."""
KINDS = (*WARNING_KINDS, "drill", "test")
ENDED = ("cancel", "all-clear")
SAID = {
    "mark": (ANY,),
    "spoken-mark": (ANY,),
    "event": (ANY,),
    "headline": STATES,
    "description": ("pre-alert", "alert", "update", "drill-notice"),
    "instruction": STATES,
    "spoken": (*STATES, "system-fault"),
}
"""Part -> the states for which it must be there, in English at least."""

PAGE = "page"
"""The part that holds the words of the pages themselves."""

Texts = Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]


class Phrases:
    """A catalogue, part -> state -> kind -> language -> text; it counts what it lacked.

    InputError where English lacks something: there would be nothing to fall back on.
    """

    def __init__(self, texts: Texts, name: str = "phrases") -> None:
        self._texts, self._missing = texts, Counter[tuple[str, str]]()
        for part, states in SAID.items():
            for state in states:
                there = texts.get(part, {}).get(state, {})
                for kind in (ANY,) if "mark" not in part else ("exercise", "test"):
                    if not there.get(kind, {}).get(MAIN):
                        raise InputError(f"{name}: {part}.{state}.{kind}.{MAIN}: found nothing, expected a text")

    def say(self, part: str, state: str, kind: str, language: str, **filled: str) -> str:
        """A phrase with its placeholders filled."""
        texts = self._of(part, state, kind)
        if text := _filled(texts.get(language, ""), filled):
            return text
        self._missing[f"{part}.{state}.{kind}", language] += 1
        return _filled(texts.get(MAIN, ""), filled) or texts[MAIN]

    def mark(self, status: str, language: str, spoken: bool = False) -> str:
        """What stands before all that is said under a CAP status; empty for Actual."""
        part = "spoken-mark" if spoken else "mark"
        return "" if status == "Actual" else self.say(part, ANY, status.lower(), language)

    def spoken(self, state: str, kind: str, status: str, language: str) -> str:
        """What a siren says."""
        said = self.say("spoken", state, kind, language)
        mark = self.mark(status, language, spoken=True)
        return f"{mark} {said}" if mark else said

    def all(self) -> dict[str, Any]:
        """The whole catalogue as plain data, for pages."""
        return {part: self._texts[part] for part in (*SAID, PAGE)}

    def rejects(self, now_ns: int) -> list[Reject]:
        """What was lacking since the last call, by language."""
        found: dict[str, list[tuple[str, int]]] = {}
        for (phrase, language), count in self._missing.items():
            found.setdefault(language, []).append((phrase, count))
        self._missing.clear()
        return [
            Reject(
                time_ns=now_ns,
                source="phrases",
                reason=f"no phrase in {language}: said in {MAIN}",
                count=sum(count for _, count in lacking),
                sample=lacking[0][0],
            )
            for language, lacking in found.items()
        ]

    def _of(self, part: str, state: str, kind: str) -> Mapping[str, str]:
        """The phrase in all its languages: of the kind, else of any; of the state, else of any."""
        states = self._texts[part]
        kinds = states.get(state) or states.get(ANY) or states["alert"]
        return kinds.get(kind) or kinds[ANY]


def read_phrases(text: str, name: str) -> Phrases:
    """The catalogue in a YAML text; InputError says what is wrong with it."""
    data, _ = yamlfile.read_yaml(text, name)
    return Phrases(data, name)


@cache
def phrases() -> Phrases:
    """The built-in catalogue."""
    path = Path(str(resources.files("opencram") / "data" / "phrases.yaml"))
    return read_phrases(yamlfile.read_text(path), str(path))


def _filled(text: str, filled: Mapping[str, str]) -> str:
    """The text with its placeholders filled; empty where they do not fit."""
    try:
        return text.format_map(filled)
    except (KeyError, ValueError, IndexError, AttributeError):
        return ""
