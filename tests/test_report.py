"""The report: one page that needs nothing else, says what it is, and is written again from the folder alone."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import html
from typer.testing import CliRunner

from made_up_run import META, OBJECTS, tables, truth, with_warnings, write_run, write_site
from opencram.cli import app
from opencram.errors import InputError
from opencram.report.evidence import Tables, Truth
from opencram.report.metrics import hit_unwarned, quality
from opencram.report.render import render_report
from opencram.report.reported import compare
from opencram.report.run import load_run
from opencram.world.scenario import Scenario, Statement, Text, load_scenario

MAX_BYTES = 2_000_000
WRITTEN = ["alerts", "communique.en.txt", "communique.fr.txt", "recording.mcap", "report.html", "run.json"]
WRITTEN += ["survey.geojson", "survey.kml", "tables"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("report")
    write_run(root / "run", write_site(root / "site"), load_scenario("baghdad-2020-11-17"))
    return root / "run"


@pytest.fixture(scope="module")
def page(folder: Path) -> html.HtmlElement:
    return html.fromstring((folder / "report.html").read_text("utf-8"))


def text_of(page: html.HtmlElement) -> str:
    return " ".join(page.text_content().split())


def rows(page: html.HtmlElement, heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    (section,) = (s for s in page.iter("section") if s.findtext("h2") == heading)
    return [[" ".join(c.text_content().split()) for c in r] for r in section.find(".//tbody").iter("tr")]


def test_a_run_leaves_what_the_contract_names(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == WRITTEN


def test_the_page_needs_nothing_from_elsewhere(folder: Path, page: html.HtmlElement) -> None:
    raw = (folder / "report.html").read_text("utf-8")
    assert len(raw.encode()) < MAX_BYTES
    assert not list(page.iter("script", "link", "img", "iframe"))
    addresses = {a for a in re.findall(r'https?://[^\s"<>]+', raw) if "www.w3.org/" not in a}
    assert addresses == set()
    assert not re.search(r"@import|url\((?!#)", raw)


def test_the_banner_stands_first_and_last_on_the_page(page: html.HtmlElement) -> None:
    banners = [b.text_content() for b in page.find_class("banner")]
    assert banners == ["SIMULATION – EXERCISE – NOT A REAL EVENT"] * 2
    assert page.find("body").get("data-mark") == "SIMULATION"


def test_the_headline_has_the_runs_figures(page: html.HtmlElement) -> None:
    (lead,) = page.find_class("lead")
    assert [p.text_content() for p in lead] == [
        "Three rockets were launched from the east at “Made-up embassy”; "
        "the simulated defence engaged one and shot down one.",
        "Two came down; three zones were hit, one without an alert before.",
    ]


def test_each_zone_alerted_or_hit_has_its_lead_time(page: html.HtmlElement) -> None:
    told = rows(page, "Lead time")
    assert [r[:5] + r[7:] for r in told] == [
        ["Compound", "20:30:03", "20:30:05", "20:30:20", "15.0 s", "10.0 s", "20:30:50", "in time"],
        ["Green Zone", "–", "20:30:04", "20:30:20", "16.0 s", "15.0 s", "20:30:52", "heard too late to shelter"],
        ["Eastside", "–", "–", "20:30:22", "–", "20.0 s", "–", "hit unwarned"],
        ["Westside", "–", "20:30:06", "–", "–", "20.0 s", "20:30:10", "alerted, not hit"],
    ]
    assert [r[5:7] for r in told] == [
        ["100% +0.7 s", "14.3 s"],
        ["20% +1.4 s", "14.6 s"],
        ["31% +1.4 s", "–"],
        ["nowhere", "–"],
    ]


def test_a_run_of_before_sound_was_told_still_has_its_report(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "run")
    summary = json.loads((tmp_path / "run" / "run.json").read_text("utf-8"))
    del summary["counts"]["zones_heard_in_time"]
    for zone in summary["zones"]:
        for key in ("sound_s", "heard_share", "lead_heard_s"):
            del zone[key]
    (tmp_path / "run" / "run.json").write_text(json.dumps(summary), "utf-8")
    render_report(tmp_path / "run")
    again = html.fromstring((tmp_path / "run" / "report.html").read_text("utf-8"))
    assert [r[5:7] for r in rows(again, "Lead time")] == [["–", "–"]] * 4
    assert "from when" not in (tmp_path / "run" / "communique.en.txt").read_text("utf-8")


def test_each_object_has_its_row(page: html.HtmlElement) -> None:
    told = [[r[0], r[6], r[8], r[9], r[10]] for r in rows(page, "Objects")]
    assert told == [
        ["R1", "impact", "Compound", "110 m", "3 m"],
        ["R2", "shot down", "was going to Green Zone", "1.2 km", "3 m"],
        ["R3", "impact", "Eastside", "2.0 km", "–"],
    ]


def test_what_was_missed_and_false_is_told(page: html.HtmlElement) -> None:
    text = text_of(page)
    assert "Objects never tracked: R3." in text
    assert "Zones hit without an alert before: Eastside." in text
    assert "Zones alerted in time whose sirens were heard with less than that left: Green Zone." in text
    assert "Zones hit of which more than a tenth hears no siren of its own: Green Zone, Eastside." in text
    assert "Phantom alarms (nothing was there): 1." in text
    assert "Tracks of nothing: 1 of 5 confirmed." in text
    assert "Alerted and not hit: Westside." in text


def test_every_decision_is_there_with_its_reason_and_text_is_escaped(folder: Path, page: html.HtmlElement) -> None:
    told = [(r[0], r[2], r[5]) for r in rows(page, "How each warning was decided")]
    assert told[0] == ("20:30:03", "pre-alert", "pre-alert of inner <made up>")
    assert [state for _, state, _ in told] == [
        "pre-alert",
        "alert",
        "alert",
        "alert",
        "cancel",
        "all-clear",
        "all-clear",
    ]
    assert "<made up>" not in (folder / "report.html").read_text("utf-8")


def test_rejects_and_health_are_shown(page: html.HtmlElement) -> None:
    assert rows(page, "Refused input, and health") == [["radar-1", "range is negative", "3", "-5"]]
    assert "no scan for 3 s" in text_of(page)


def test_tracking_is_told_as_run_json_has_it(folder: Path, page: html.HtmlElement) -> None:
    told = json.loads((folder / "run.json").read_text("utf-8"))["tracking"]
    (section,) = (s for s in page.iter("section") if s.findtext("h2") == "Tracking against the truth")
    cells = {r[0].text_content(): " ".join(r[1].text_content().split()) for r in section.iter("tr")}
    assert cells["GOSPA, mean (cut-off 150 m)"] == f"{told['gospa_m']:.1f} m"
    assert cells["objects tracked (completeness)"] == f"{100 * told['siap_completeness']:.1f}%"
    assert cells["off in position / velocity (mean)"] == "20.0 m / 0.0 m/s"
    assert cells["false tracks per hour"] == "60.0"
    assert cells["ballistic threats, told − launched"] == "-1"


def test_entered_facts_are_marked_with_source_and_revision(page: html.HtmlElement) -> None:
    (first, _) = rows(page, "Entered by hand")
    assert first[:2] == ["Casualties", "a girl killed, five civilians wounded"]
    assert first[2].endswith("[002_2964ceddf352d043]")
    assert first[3] == "1"


def test_figures_are_there_named_and_without_clashing_ids(page: html.HtmlElement) -> None:
    drawings = list(page.iter("svg"))
    assert [s.get("aria-label") for s in drawings] == [
        *("Map of the impacts", "Overview map", "Timeline", "Map of the sirens"),
        *("Heights and prediction errors", "GOSPA over time"),
    ]
    texts = {t.text_content().strip() for t in drawings[0].iter("text")}
    assert texts >= {"R1", "R2", "Compound", "Green Zone", "N"}
    plain = [e.get("id") for e in page.iter() if e.get("id") and not re.match(r"[hmp][0-9a-f]{10}$|C\d_", e.get("id"))]
    assert plain == []


def test_the_same_folder_gives_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    names = ("report.html", "communique.en.txt", "communique.fr.txt")
    for name in names:
        (again / name).unlink()
    assert [p.name for p in render_report(again)] == list(names)
    for name in names:
        assert (again / name).read_bytes() == (folder / name).read_bytes()


def test_a_folder_from_before_tracking_was_told_is_written_again(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    told = json.loads((again / "run.json").read_text("utf-8"))
    del told["tracking"]
    (again / "run.json").write_text(json.dumps(told), "utf-8")
    assert "Tracking against the truth" not in render_report(again)[0].read_text("utf-8")


def test_the_french_report_is_french(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    page = html.fromstring(render_report(again, "fr")[0].read_text("utf-8"))
    assert page.get("lang") == "fr"
    assert [h.text_content() for h in page.iter("h2")][:4] == [
        *("Où c’est tombé", "Du départ à l’impact", "Préavis", "Objets")
    ]
    text = text_of(page)
    assert "Trois roquettes ont été lancées contre « ambassade imaginaire »" in text
    assert not [w for w in ("alerted", "impact point", "engaged", "shot down") if w in text]


@pytest.mark.parametrize("language", ["en", "fr"])
def test_runs_with_nothing_in_them_have_a_report_too(tmp_path: Path, language: str) -> None:
    nothing: dict[str, Any] = {"tables": Tables(), "decisions": with_warnings(), "truth": Truth((), ())}
    site = write_site(tmp_path / "site")
    write_run(tmp_path / "empty", site, lang=language, **nothing)
    unknown = {"truth": None, "tables": replace(tables(), truth={}), "meta": replace(META, simulated=False)}
    write_run(tmp_path / "plots", site, lang=language, **unknown)
    replayed = html.fromstring((tmp_path / "plots" / "report.html").read_text("utf-8"))
    assert replayed.find("body").get("data-mark") in {"REPLAY", "REJEU"}


def test_very_many_objects_stay_a_page(tmp_path: Path) -> None:
    many = [replace(OBJECTS[0], id=f"R{i}", launch_ns=META.start_ns + i * 10**8) for i in range(120)]
    write_run(tmp_path / "run", write_site(tmp_path / "site"), truth=replace(truth(), objects=many))
    page = html.fromstring((tmp_path / "run" / "report.html").read_text("utf-8"))
    assert "Only the first 40 objects are drawn." in text_of(page)
    assert len(rows(page, "Objects")) == 120


def test_quality_is_what_was_worked_out_by_hand(folder: Path) -> None:
    run = load_run(folder)
    people = {"inner": 100, "outer": 1_000, "east": 5_000, "west": 5_000}
    told = quality(run.summary, run.errors, people, run.places)
    assert (told.lead_median_s, told.lead_least_s) == (15.5, 15.0)
    assert told.error_first_m == pytest.approx(300.0, abs=0.2)
    assert told.error_last_m == pytest.approx(300.0 * 0.1 / 11.5, abs=0.2)
    assert told.inside_95 == 1.0  # off by two thirds of the sigma it claims
    assert told.launch_error_m == pytest.approx(0.0, abs=0.5)
    assert told.alarm_person_min == pytest.approx((100 * 45.0 + 1_000 * 48.5 + 5_000 * 4.0) / 60.0)
    assert hit_unwarned(run.summary) == ["east"]


def test_errors_are_measured_to_where_a_shot_down_object_would_have_fallen(folder: Path) -> None:
    errors = {e.object: e for e in load_run(folder).errors}
    assert list(errors) == ["R1", "R2"]
    expected = 300.0 * (14.0 - np.arange(2.5, 14.0, 0.1)) / 11.5
    assert errors["R2"].error_m == pytest.approx(expected, abs=0.2)
    assert errors["R2"].left_s == pytest.approx(20.0 - np.arange(2.5, 14.0, 0.1))


# ---- what was reported beside what was simulated --------------------------------------------------------------------


def said(key: str, value: Any, sense: str = "exactly") -> Statement:
    return Statement(
        key=key, value=value, kind="count", sense=sense, text=Text(en=key, fr=key), source="002_2964ceddf352d043"
    )


@pytest.mark.parametrize(
    ("statement", "verdict", "simulated"),
    [
        (said("launched", 3), "agrees", "3"),
        (said("launched", 2, "at-least"), "agrees", "3"),
        (said("launched", 4, "at-least"), "differs", "3"),
        (said("intercepted", 2), "differs", "1"),
        (said("fell_in:inner", 1), "agrees", "1"),
        (said("fell_in:outer", 2), "defence", "1, and 1 more shot down on the way there"),
        (said("fell_in:outer", 3), "differs", "1, and 1 more shot down on the way there"),
        (said("distance_m", 100, "about"), "agrees", "112 m"),
        (said("distance_m", 1_000, "about"), "differs", "112 m"),
        (said("direction", "east"), "agrees", "east (90°)"),
        (said("direction", "north-east"), "agrees", "east (90°)"),
        (said("direction", "north"), "differs", "east (90°)"),
        (said("defence_engaged", True), "agrees", "yes: one engagement"),
        (said("sirens_sounded", False), "differs", "yes: 3 zones alerted"),
        (said("aircraft_after", True), "not simulated", "a list of 5 points to survey is written"),
        (said("mood", "tense"), "not simulated", None),
    ],
)
def test_statements_are_compared_with_the_run(
    folder: Path, statement: Statement, verdict: str, simulated: str | None
) -> None:
    run = load_run(folder)
    assert run.scenario is not None
    (told,) = compare(run.scenario.model_copy(update={"reported": (statement,)}), run.summary, None)
    assert told.verdict == verdict
    assert (told.simulated.en if told.simulated else None) == simulated


def test_other_districts_are_those_the_reports_do_not_name(folder: Path) -> None:
    run = load_run(folder)
    assert run.scenario is not None
    reported = (said("fell_in:outer", 1), said("fell_in_other_districts", 1))
    told = compare(run.scenario.model_copy(update={"reported": reported}), run.summary, None)
    assert [row.simulated.value for row in told if row.simulated] == [1, 1]


def test_disagreements_are_shown_with_all_versions(tmp_path: Path) -> None:
    scenario: Scenario = load_scenario("baghdad-2021-12-19")
    write_run(tmp_path / "run", write_site(tmp_path / "site"), scenario)
    text = text_of(html.fromstring((tmp_path / "run" / "report.html").read_text("utf-8")))
    (disagreement,) = scenario.disagreements
    for version in disagreement.versions:
        assert version.text.en in text
    assert text.count("followed by the scenario") == 1


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "sentence"),
    [("{", "found a file that is not JSON"), ("{}", "found no summary of schema 1"), ("[]", "found no summary")],
)
def test_a_broken_run_json_is_named(folder: Path, tmp_path: Path, content: str, sentence: str) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    (again / "run.json").write_text(content)
    with pytest.raises(InputError, match=sentence):
        render_report(again)


def test_a_folder_without_its_recording_is_named(folder: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    (again / "recording.mcap").unlink()
    with pytest.raises(InputError, match=r"recording\.mcap"):
        render_report(again)


def test_pdf_without_weasyprint_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(InputError, match=r"pip install opencram\[pdf\]"):
        render_report(folder, pdf=True)


def test_the_command_writes_the_report_again(folder: Path) -> None:
    result = CliRunner().invoke(app, ["report", str(folder), "--lang", "en"])
    assert result.exit_code == 0
    assert [Path(line).name for line in result.stdout.split()] == [
        *("report.html", "communique.en.txt", "communique.fr.txt")
    ]
