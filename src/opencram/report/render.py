"""The report and all that goes with it, written from a run's folder alone: by hand again, with facts entered later."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from opencram.errors import InputError
from opencram.outputs.cap import write_alerts
from opencram.outputs.source import Provenance, Source, sender_of
from opencram.outputs.survey import survey_spots, write_survey
from opencram.report import figures, metrics, words
from opencram.report.communique import Entered, communique_context, write_communique
from opencram.report.facts import gather_facts
from opencram.report.ledger import Reckoning, load_ledger, reckon
from opencram.report.reported import compare
from opencram.report.run import Run, load_run, title_of
from opencram.report.teller import Teller
from opencram.report.templates import environment
from opencram.report.words import Language
from opencram.tables import ZoneWarning

MAX_HEALTH = 100
"""Rows of health in the report; run.json has all."""
REPORT, PDF = "report.html", "report.pdf"


class Said(Protocol):
    """What a run decided."""

    @property
    def warnings(self) -> list[ZoneWarning]: ...


def write_outputs(out: Path, summary: Mapping[str, Any], said: Said, lang: str) -> Path:
    """Write run.json, alerts, survey, report and communiqués of a run that is over; the path of the report.

    `out` holds the closed recording and the tables already.
    """
    _write_summary(out, summary)
    run = load_run(out)
    lacking = write_alerts(out / "alerts", said.warnings, run.site, _cap_source(run))
    if lacking:
        summary["rejects"].extend(
            {key: getattr(r, key) for key in ("source", "reason", "count", "sample")} for r in lacking
        )
        _write_summary(out, summary)
        run = load_run(out)
    spots = survey_spots(run.summary, run.impacts, run.places)
    write_survey(out, spots, title_of(run.site, "en"), bool(summary["simulated"]))
    return _write(run, _language(lang), None, None)[0]


def _write_summary(out: Path, summary: Mapping[str, Any]) -> None:
    (out / "run.json").write_text(json.dumps(summary, ensure_ascii=False, indent=1) + "\n", "utf-8")


def render_report(
    run_dir: Path, lang: str = "en", facts: Path | None = None, ledger: Path | None = None, pdf: bool = False
) -> list[Path]:
    """Write the report and the communiqués of a run folder again; the paths of what was written.

    `facts` and `ledger` are files of a user's own entries. Raises InputError for a folder or a file that cannot be
    used, and for `pdf` without WeasyPrint.
    """
    if pdf:
        _weasyprint()
    paths = _write(load_run(run_dir), _language(lang), facts, ledger)
    if pdf:
        target = run_dir / PDF
        _weasyprint().HTML(string=paths[0].read_text("utf-8")).write_pdf(target)
        paths.append(target)
    return paths


def _write(run: Run, language: Language, facts: Path | None, ledger: Path | None) -> list[Path]:
    scenario = run.scenario
    told = gather_facts(scenario.facts if scenario else (), run.folder, facts)
    book = load_ledger(ledger)
    counted = reckon(book, scenario.ledger, scenario.name) if scenario and scenario.ledger else None
    entered = Entered(told, counted)
    texts = {REPORT: report_html(run, entered, counted, language)}
    texts |= {f"communique.{lang}.txt": write_communique(run, entered, lang) for lang in words.LANGUAGES}
    for name, text in texts.items():
        (run.folder / name).write_text(text, "utf-8")
    return [run.folder / name for name in texts]


def report_html(run: Run, entered: Entered, counted: Reckoning | None, language: Language) -> str:
    """The whole report as one HTML page that needs nothing else."""
    teller = Teller(run, language)
    people = {zone.id: zone.people for zone in run.site.zones}
    shelter_s = {zone.id: zone.time_to_shelter_s for zone in run.site.zones}
    context = {
        **communique_context(teller, entered),
        "say": lambda en, fr: words.spaced(fr) if language == "fr" else en,
        "f": figures,
        "whole": run,
        "words": words,
        "quality": metrics.quality(run.summary, run.errors, people, run.places),
        "errors": {error.object: error for error in run.errors},
        "never_tracked": metrics.never_tracked(run.summary),
        "hit_unwarned": metrics.hit_unwarned(run.summary),
        "hit_late": metrics.hit_late(run.summary, shelter_s),
        "alerted_unhit": metrics.alerted_unhit(run.summary),
        "shelter_s": shelter_s,
        "MAX_HEALTH": MAX_HEALTH,
        "compared": compare(run.scenario, run.summary, counted) if run.scenario else [],
    }
    return environment().get_template("report.html.jinja").render(**context)


def _cap_source(run: Run) -> Source:
    """Who warns: a simulation's messages are exercises, a replay's are tests; neither can be actual."""
    summary = run.summary
    simulated = bool(summary["simulated"])
    what = f"scenario {summary['scenario']}, seed {summary['seed']}" if summary["scenario"] else "recorded plots"
    note = f"Simulated: {what}. No real event." if simulated else f"Replay of {what}. No live warning."
    return Source(
        sender=sender_of(run.site),
        run=f"opencram.{summary['digest'][:16]}",
        provenance=Provenance.SIMULATION if simulated else Provenance.REPLAY,
        note=note,
    )


def _language(lang: str) -> Language:
    found: dict[str, Literal["en", "fr"]] = {"en": "en", "fr": "fr"}
    if lang not in found:
        raise InputError(f"--lang: found '{lang}', expected en or fr")
    return found[lang]


def _weasyprint() -> Any:  # noqa: ANN401
    try:
        return importlib.import_module("weasyprint")
    except (ImportError, OSError):  # OSError: the system's Pango is missing
        raise InputError(
            "--pdf: found no working WeasyPrint, expected it and the system's Pango; try: pip install opencram[pdf]"
        ) from None
