"""The communiqué: its whole text for the made-up run, what the ledger counts against the reports, and corrections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from made_up_run import META, tables, warning, with_warnings, write_run, write_site
from opencram.errors import InputError
from opencram.report.communique import ordinals
from opencram.report.evidence import Tables, Truth
from opencram.report.facts import load_facts, newest
from opencram.report.ledger import load_ledger, reckon
from opencram.report.render import render_report
from opencram.report.words import (
    NARROW,
    NBSP,
    clock,
    counted,
    day,
    distance,
    from_compass,
    joined,
    number,
    ordinal,
    seconds,
    spaced,
    utc,
)
from opencram.world.scenario import Fact, LedgerEntry, Scenario, Text, load_scenario, scenario_names

ENGLISH = """\
*** SIMULATION – EXERCISE – NOT A REAL EVENT ***

COMMUNIQUÉ No. 1
Made-up embassy
Tuesday 17 November 2020, 20:30 local time (17:30 UTC)

WHAT HAPPENED
Three rockets were fired from the east at the site “Made-up embassy”.
The radars first saw them at 20:30:02; one was never tracked.
- Estimated launch area: near Eastside, 6.0 km to the east, known to within 52 m (95%).
The simulated defence engaged one and shot down one.

WHERE THEY FELL (distances from the embassy)
- Compound: one, at 110 m.
- Eastside: one, at 2.0 km.
In all, one fell in: Green Zone.
Debris of what was shot down came down in three pieces:
- Green Zone: three, at 700 m, 760 m and 820 m.

WARNINGS
- Compound: alert at 20:30:05, 15 s before the first impact (14 s from when its sirens
  are heard); all-clear at 20:30:50.
- Green Zone: alert at 20:30:04, 16 s before the first impact (15 s from when its sirens
  are heard, by 20% of it); all-clear at 20:30:52.
- Eastside: HIT WITHOUT AN ALERT.
- Also alerted, and not hit: Westside (20:30:06).
Sirens of the alerted zones: 1 of 2 (siren-1).

ENTERED BY HAND (no sensor knows these; each with its source)
Nothing was entered on casualties, damage or claims.

The points to survey are listed in survey.geojson and survey.kml (5).
All other figures are computed from the simulated run of made-up, seed 0, decisions
0123456789ab.
"""

FRENCH = """\
*** SIMULATION – EXERCICE – CECI N’EST PAS UN ÉVÉNEMENT RÉEL ***

COMMUNIQUÉ n° 1
Ambassade imaginaire
Mardi 17 novembre 2020, 20 h 30 heure locale (17 h 30 UTC)

LES FAITS
Trois roquettes ont été tirées contre le site « ambassade imaginaire », en provenance de
l’est.
Première détection par radar à 20 h 30 min 02 s ; une n’a jamais été suivie.
- Zone de départ estimée : à proximité du secteur « quartier est », à 6,0 km à l’est,
  connue à 52 m près (95 %).
La défense simulée en a engagé une et en a abattu une.

POINTS DE CHUTE (distances comptées depuis : l’ambassade)
- Enceinte : une, à 110 m.
- Quartier est : une, à 2,0 km.
Au total dans la zone « Zone verte » : une.
Débris de ce qui a été abattu : trois morceaux, tombés ainsi :
- Zone verte : trois, à 700 m, à 760 m et à 820 m.

ALERTES
- Enceinte : alerte à 20 h 30 min 05 s, 15 s avant le premier impact (14 s dès que ses
  sirènes s’entendent) ; fin d’alerte à 20 h 30 min 50 s.
- Zone verte : alerte à 20 h 30 min 04 s, 16 s avant le premier impact (15 s dès que ses
  sirènes s’entendent, sur 20 % de son étendue) ; fin d’alerte à 20 h 30 min 52 s.
- Quartier est : TOUCHÉE SANS ALERTE.
- Également alertées, sans impact : quartier ouest (20 h 30 min 06 s).
Sirènes des zones alertées : 1 sur 2 (siren-1).

SAISI À LA MAIN (aucun capteur ne le sait ; chaque élément avec sa source)
Rien n’a été saisi sur les victimes, les dégâts ou une revendication.

Les points à reconnaître sont dans survey.geojson et survey.kml (5).
Tous les autres chiffres sont calculés à partir de la simulation « made-up », graine 0,
décisions 0123456789ab.
"""

FACTS = """\
facts:
  - id: hurt
    kind: casualties
    text: {en: nobody was hurt, fr: personne n’a été blessé}
    source: first statement
  - id: hurt
    kind: casualties
    text: {en: two people were hurt, fr: deux personnes ont été blessées}
    source: hospital
    revision: 2
"""


def plain(text: str) -> str:
    return text.replace(NBSP, " ").replace(NARROW, " ")


def told(tmp_path: Path, language: str = "en", **changed: Any) -> str:
    """The communiqué of the made-up run with other parts; no-break spaces as spaces, unwrapped."""
    write_run(tmp_path / "run", write_site(tmp_path / "site"), **changed)
    text = plain((tmp_path / "run" / f"communique.{language}.txt").read_text("utf-8"))
    return text.replace("\n  ", " ")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("communique")
    write_run(root / "run", write_site(root / "site"))
    return root / "run"


@pytest.mark.parametrize(("language", "text"), [("en", ENGLISH), ("fr", FRENCH)])
def test_the_whole_text(folder: Path, language: str, text: str) -> None:
    assert plain((folder / f"communique.{language}.txt").read_text("utf-8")) == text


def test_french_punctuation_has_its_no_break_spaces(folder: Path) -> None:
    text = (folder / "communique.fr.txt").read_text("utf-8")
    assert f"«{NBSP}ambassade imaginaire{NBSP}»" in text
    assert f"20{NBSP}h{NBSP}30{NBSP}min{NBSP}02{NBSP}s{NARROW};" in text
    assert f"(95{NBSP}%)" in text
    assert not [mark for mark in (" ;", " :", " »", "« ", " %", "'") if mark in text]


def test_a_late_alert_is_called_late(tmp_path: Path) -> None:
    text = told(tmp_path, decisions=with_warnings(warning(23.0, "inner", "alert", (1,))))
    assert "Compound: alert at 20:30:23, 3 s AFTER the first impact." in text


def test_without_truth_nothing_is_said_to_have_fallen(tmp_path: Path) -> None:
    parts: dict[str, Any] = {
        "truth": None,
        "tables": replace(tables(), truth={}),
        "meta": replace(META, kind="replay", simulated=False, scenario=None, seed=None),
    }
    english = told(tmp_path / "en", **parts)
    assert "*** REPLAY OF RECORDED PLOTS – NOT A LIVE WARNING ***" in english
    assert "Five objects were tracked near the site “Made-up embassy”" in english
    assert "WHERE THEY FELL (as predicted)" in english
    assert "shot down" not in english
    assert "Cinq objets ont été suivis près du site" in told(tmp_path / "fr", "fr", **parts)


def test_an_empty_sky_makes_a_communique_too(tmp_path: Path) -> None:
    parts: dict[str, Any] = {"tables": Tables(), "decisions": with_warnings()}
    text = told(tmp_path, truth=Truth((), ()), **parts)
    assert "Nothing was launched." in text
    assert "No zone was alerted." in text


def test_a_correction_says_what_it_corrects(tmp_path: Path) -> None:
    write_run(tmp_path / "run", write_site(tmp_path / "site"))
    facts = tmp_path / "facts.yaml"
    facts.write_text(FACTS, "utf-8")
    render_report(tmp_path / "run", facts=facts)
    english, french = (plain((tmp_path / "run" / f"communique.{lang}.txt").read_text("utf-8")) for lang in ("en", "fr"))
    assert "COMMUNIQUÉ No. 1, revision 2 (corrected)" in english
    assert "'nobody was hurt' (revision 1, first statement) is replaced by" in english.replace("\n  ", " ")
    assert "Casualties: two people were hurt (revision 2; source: hospital)." in english
    assert "COMMUNIQUÉ n° 1, révision 2 (rectificatif)" in french
    assert "« personne n’a été blessé » (révision 1, first statement) est remplacé par" in french.replace("\n  ", " ")


def test_a_facts_file_in_the_run_folder_is_read_by_itself(tmp_path: Path) -> None:
    write_run(tmp_path / "run", write_site(tmp_path / "site"))
    (tmp_path / "run" / "facts.yaml").write_text(FACTS, "utf-8")
    render_report(tmp_path / "run")
    assert "two people were hurt" in (tmp_path / "run" / "communique.en.txt").read_text("utf-8")


def fact(revision: int, text: str) -> Fact:
    return Fact(id="hurt", kind="casualties", text=Text(en=text, fr=text), source="a", revision=revision)


def test_one_revision_cannot_say_two_things() -> None:
    expected = "two.yaml: found revision 1 of 'hurt' again with other content, expected a correction to have revision 2"
    with pytest.raises(InputError, match=expected):
        newest([("one.yaml", [fact(1, "none")]), ("two.yaml", [fact(1, "two")])])


def test_the_highest_revision_counts_in_whatever_order_they_come() -> None:
    (found,) = newest([("a", [fact(3, "c"), fact(1, "a"), fact(2, "b")])])
    assert found.fact.text.en == "c"
    assert found.corrects is not None
    assert found.corrects.text.en == "b"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("facts:\n  - {id: x, kind: casualty, text: {en: a, fr: b}, source: c}", "line 2: facts[0].kind"),
        ("facts:\n  - {id: x, kind: damage, text: {en: a}, source: c}", "line 2: facts[0].text.fr: found nothing"),
        ("facts:\n  - {id: x, kind: damage, txt: {en: a, fr: b}, source: c}", "expected 'text'"),
        ("fact: []", "expected 'facts'"),
        ("- 1", "expected keys and values"),
        ("", "found an empty file"),
    ],
)
def test_bad_facts_are_named_by_file_and_place(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "facts.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        load_facts(path)
    assert str(error.value).startswith(str(path))
    assert sentence in str(error.value)


# ---- the ledger ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("baghdad-2020-02-16", [(19, "2019-10-28", "exact", None)]),
        ("baghdad-2020-11-17", [(90, "2019-11-17", "about", None), (1, "2020-10-15", "ledger", None)]),
        ("baghdad-2020-12-20", [(3, "2020-10-15", "ledger", None), (2, "2020-10-15", "ledger", "rocket")]),
        ("erbil-2021-09", [(1, "2021-01-01", "ledger", None)]),
        ("baghdad-2021-12-19", [(2, "2021-01-01", "ledger", None), (1, "2021-01-01", "ledger", "rocket")]),
    ],
)
def test_the_ledger_counts_as_the_reports_do(name: str, expected: list[tuple[int, str, str, str | None]]) -> None:
    entry = load_scenario(name).ledger
    assert entry is not None
    found = reckon(load_ledger(), entry, name)
    assert found is not None
    told = [(o.n, o.since, o.sense, o.kind) for o in found.ordinals]
    assert [o for o in told if o in expected] == expected


def test_every_scenario_is_in_the_ledger() -> None:
    incidents = {i.id: i for i in load_ledger().incidents}
    for scenario in (load_scenario(name) for name in scenario_names()):
        entry = scenario.ledger
        if entry is not None:
            assert incidents[scenario.name].target == entry.target
            assert incidents[scenario.name].kind == entry.kind


def test_after_an_exact_count_the_next_is_at_least_one_more() -> None:
    entry = LedgerEntry(target="us-interests-iraq", kind="rocket", date="2020-03-01")
    found = reckon(load_ledger(), entry, "mine")
    assert found is not None
    assert [(o.n, o.sense) for o in found.ordinals] == [(20, "at-least")]


LEDGER = """\
schema: 1
incidents:
  - {id: camp-1, date: 2020-12-01, target: us-interests-iraq, kind: rocket, source: mine}
"""


def test_a_user_adds_an_incident(tmp_path: Path) -> None:
    path = tmp_path / "ledger.yaml"
    path.write_text(LEDGER)
    entry = LedgerEntry(target="us-interests-iraq", kind="rocket", date="2020-12-20")
    found = reckon(load_ledger(path), entry, "baghdad-2020-12-20")
    assert found is not None
    assert [(o.n, o.kind) for o in found.ordinals] == [(4, None), (3, "rocket")]


OWN = """\
targets:
  camp: {en: Camp Alpha, fr: le camp Alpha}
incidents:
  - {id: camp-0, date: 2021-03, target: camp, kind: rocket, source: log}
  - {id: camp-1, date: 2021-03-03, target: camp, kind: mortar, source: log}
  - {id: camp-2, date: 2021-05-01, target: camp, kind: rocket, source: log}
"""


def test_a_target_of_ones_own_is_counted_from_its_first_incident(tmp_path: Path) -> None:
    (tmp_path / "ledger.yaml").write_text(OWN)
    entry = LedgerEntry(target="camp", kind="rocket", date="2021-04-03")
    found = reckon(load_ledger(tmp_path / "ledger.yaml"), entry, "mine")
    assert found is not None
    assert ordinals(found, "en") == [
        "In the ledger, this is the 3rd attack on Camp Alpha since March 2021 [log].",
        "In the ledger, this is the 2nd attack with rockets on Camp Alpha since March 2021 [log].",
    ]
    assert ordinals(found, "fr")[0] == "Au registre, c’est la 3e attaque contre le camp Alpha depuis mars 2021 [log]."


def test_the_first_entry_of_a_target_is_since_nothing() -> None:
    entry = LedgerEntry(target="iraqi-government", kind="drone", date="2021-11-07")
    found = reckon(load_ledger(), entry, "baghdad-2021-11-07")
    assert found is not None
    assert ordinals(found, "en") == ["In the ledger, this is the 1st attack on the Iraqi government."]


def test_an_unknown_target_in_a_ledger_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "ledger.yaml"
    path.write_text(LEDGER.replace("us-interests-iraq", "us-interest-iraq"))
    expected = f"{path} line 3: incidents[0].target: found 'us-interest-iraq', expected 'us-interests-iraq'"
    with pytest.raises(InputError) as error:
        load_ledger(path)
    assert str(error.value) == expected


# ---- words --------------------------------------------------------------------------------------------------------


def test_numbers_and_plurals() -> None:
    assert [counted(n, "rocket", "en") for n in (0, 1, 7, 13)] == [
        "no rockets",
        "one rocket",
        "seven rockets",
        "13 rockets",
    ]
    assert [counted(n, "rocket", "fr") for n in (0, 1, 2)] == ["aucune roquette", "une roquette", "deux roquettes"]
    assert [counted(n, "drone", "fr") for n in (0, 1)] == ["aucun drone", "un drone"]
    assert counted(3, "mortar", "fr") == "trois obus de mortier"
    assert number(1_234, "fr") == f"1{NARROW}234"


def test_ordinals() -> None:
    assert [ordinal(n, "en") for n in (1, 2, 3, 4, 11, 12, 13, 19, 21, 90, 101, 111)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "19th", "21st", "90th", "101st", "111th")
    ]
    assert [ordinal(1, "fr"), ordinal(1, "fr", feminine=True), ordinal(19, "fr")] == ["1er", "1re", "19e"]


def test_places_and_times() -> None:
    assert [plain(distance(m, "en")) for m in (4.2, 99.4, 123.0, 994.0, 996.0, 2_345.0)] == [
        *("4 m", "99 m", "120 m", "990 m", "1.0 km", "2.3 km")
    ]
    assert plain(distance(2_345.0, "fr")) == "2,3 km"
    assert [plain(seconds(s, "en")) for s in (-3.0, 0.2, 27.5, 130.0)] == ["−3 s", "0 s", "28 s", "2 min 10 s"]
    assert [from_compass(a, "fr") for a in (0, 93, 180, 300)] == ["du nord", "de l’est", "du sud", "du nord-ouest"]
    assert from_compass(359.0, "en") == "from the north"
    assert plain(clock(utc(1_605_634_207 * 10**9), "fr")) == "17 h 30 min 07 s"
    assert day(utc(1_583_020_800 * 10**9).date(), "fr") == "dimanche 1er mars 2020"
    assert joined(["a", "b", "c"], "fr") == "a, b et c"
    assert spaced("« a » : b ; c ! 5 %") == f"«{NBSP}a{NBSP}»{NBSP}: b{NARROW}; c{NARROW}! 5{NBSP}%"


def test_a_scenario_of_the_package_names_its_sources(tmp_path: Path) -> None:
    scenario: Scenario = load_scenario("baghdad-2021-12-19")
    text = told(tmp_path, scenario=scenario).replace("\n", " ")
    assert "is replaced by 'one rocket was shot down; the other fell on a square" in text
    assert "[001_0667eb70b8c7fcd3]" in text
    assert "In the ledger, this is the 2nd attack on US interests in Iraq since the beginning of 2021" in text
