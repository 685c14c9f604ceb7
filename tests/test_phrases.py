"""The catalogue of what people are told: all there in every language, and what happens where it is not."""

from __future__ import annotations

import copy
import re
import string
from typing import Any

import pytest

from opencram.errors import InputError
from opencram.outputs.phrases import ANY, KINDS, LANGUAGES, SAID, Phrases, phrases

WORDS = {part: states for part, states in SAID.items() if "mark" not in part}
CASES = [(part, state, kind) for part, states in WORDS.items() for state in states for kind in KINDS]
FILLED = {"zone": "Z", "time": "20:31:07"}


def texts() -> dict[str, Any]:
    return copy.deepcopy(phrases().all())


def leaves() -> list[tuple[str, dict[str, str]]]:
    return [
        (f"{part}.{state}.{kind}", said)
        for part, states in phrases().all().items()
        for state, kinds in states.items()
        for kind, said in kinds.items()
    ]


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


@pytest.mark.parametrize(("part", "state", "kind"), CASES)
def test_every_state_and_kind_is_said_in_every_language(part: str, state: str, kind: str) -> None:
    book = Phrases(texts())
    said = {language: book.say(part, state, kind, language, **FILLED) for language in LANGUAGES}
    assert len(set(said.values())) == len(LANGUAGES)
    assert book.rejects(0) == []


@pytest.mark.parametrize(("name", "said"), leaves(), ids=[name for name, _ in leaves()])
def test_the_languages_have_the_same_placeholders_and_nothing_else(name: str, said: dict[str, str]) -> None:
    assert tuple(said) == LANGUAGES
    assert all(text.strip() == text != "" for text in said.values())
    assert len({frozenset(placeholders(text)) for text in said.values()}) == 1


@pytest.mark.parametrize(("name", "said"), leaves(), ids=[name for name, _ in leaves()])
def test_each_language_is_written_in_its_own_letters(name: str, said: dict[str, str]) -> None:
    bare = {language: re.sub(r"{\w+}", "", text) for language, text in said.items()}
    assert not re.search(r"[A-Za-zÀ-ÿ]", bare["ar"])
    assert not re.search(r"[\u0600-\u06ff]", bare["en"] + bare["fr"])
    assert re.search(r"[\u0600-\u06ff]", bare["ar"])


def test_a_headline_is_short_enough_for_a_phone() -> None:
    """CAP 1.2 calls 160 characters a useful limit; the names of zones and the mark need their part of it."""
    for state in SAID["headline"]:
        for kind in KINDS:
            for language in LANGUAGES:
                text = phrases().say("headline", state, kind, language, zone="")
                assert len(text) + len(phrases().mark("Exercise", language)) < 100


def test_no_exercise_and_no_test_reads_or_sounds_like_the_real_thing() -> None:
    book = Phrases(texts())
    for language in LANGUAGES:
        real = {book.spoken(state, kind, "Actual", language) for state in SAID["spoken"] for kind in KINDS}
        for status in ("Exercise", "Test"):
            assert book.mark(status, language)
            spoken = [book.spoken(state, kind, status, language) for state in SAID["spoken"] for kind in KINDS]
            assert all(text.startswith(book.mark(status, language, spoken=True)) for text in spoken)
            assert real.isdisjoint(spoken)
        assert book.mark("Actual", language) == ""


def test_a_gap_is_filled_in_english_counted_and_told_once() -> None:
    lacking = texts()
    del lacking["headline"]["alert"]["rocket"]["ar"]
    book = Phrases(lacking)
    for _ in range(3):
        assert book.say("headline", "alert", "rocket", "ar", zone="Z") == "Rocket alert: Z. Take cover now."
    assert book.say("headline", "alert", "drone", "ar", zone="Z").endswith("احتموا الآن.")
    (told,) = book.rejects(7)
    assert (told.time_ns, told.source, told.count, told.sample) == (7, "phrases", 3, "headline.alert.rocket")
    assert "ar" in told.reason
    assert book.rejects(8) == []


@pytest.mark.parametrize("broken", ["{zon} !", "{", "{0}", "{zone.x}"])
def test_placeholders_that_do_not_fit_are_a_gap(broken: str) -> None:
    spoilt = texts()
    spoilt["headline"]["alert"]["rocket"]["fr"] = broken
    book = Phrases(spoilt)
    assert book.say("headline", "alert", "rocket", "fr", zone="Z") == "Rocket alert: Z. Take cover now."
    assert book.rejects(0)[0].count == 1


def test_a_kind_and_a_state_that_nobody_wrote_words_for_are_an_alert() -> None:
    assert phrases().say("headline", "alert", "mortar", "en", zone="Z") == "Alert: Z. Take cover now."
    assert phrases().say("headline", "unheard-of", "mortar", "en", zone="Z") == "Alert: Z. Take cover now."


def test_a_name_with_braces_is_said_as_it_is() -> None:
    assert "{x}" in phrases().say("headline", "alert", "rocket", "ar", zone="{x}")


def test_a_catalogue_without_english_is_refused() -> None:
    lacking = texts()
    lacking["spoken"]["all-clear"][ANY]["en"] = ""
    with pytest.raises(InputError, match=r"phrases: spoken\.all-clear\.any\.en: found nothing, expected a text"):
        Phrases(lacking)
