"""A study for people: one page with pictures and tables, as HTML that needs nothing else and as Markdown."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from opencram.report.drawing import BLUE, FONT_PT, VERMILLION, as_svg, new_axes, new_figure
from opencram.report.outcomes import OUTCOMES, Scalar
from opencram.report.pages import Picture, Section, page, write_files
from opencram.report.study_data import StudyData, load_study_data
from opencram.report.study_figures import differences_figure, influence_figure, influence_text, outcomes_figure
from opencram.report.study_statistics import CONFIDENCE, Interval
from opencram.report.words import upfirst

Rows = Sequence[dict[str, Any]]

HEAD = (
    "scenario",
    "runs",
    "launched",
    "one track an object, none of nothing",
    "intercepted (how often)",
    "hits all warned before",
    "all with time to shelter",
    "shortest lead of a run: least, 5 %, median (s)",
    "phantom alarms",
)
PAGE, MARKDOWN = "study.html", "study.md"
SUB = "A study: the same seeds at every point and in every variant. All that was shot down was shot down in simulation."
MOST_POINTS = 200
"""Points in the page's table; rows.parquet has all."""
MOST_DRAWN = 12
"""Scenarios and variants in the picture of what was intercepted."""


def write_study(folder: Path) -> list[Path]:
    """Write a study's pages and pictures from its rows; the paths of what was written, the page first."""
    data = load_study_data(folder)
    sections = sections_of(data)
    name = data.study["name"]
    texts = {PAGE: page(upfirst(name), SUB, sections, simulated=True), MARKDOWN: _markdown(name, sections)}
    pictures = (section.picture for section in sections if section.picture is not None)
    return write_files(folder, texts | {picture.file: picture.svg for picture in pictures})


def sections_of(data: StudyData) -> list[Section]:
    """The parts of a study's page, those that it has something for."""
    sections = [_came_of_it(data), _outcomes(data)]
    if data.study.get("pairs"):
        sections.append(_differences(data))
    if len(data.parameters) > 1:
        sections.append(_influences(data))
    return [*sections, _every_point(data), _how(data)]


def _came_of_it(data: StudyData) -> Section:
    groups = by_scenario(data.rows)
    rows = tuple((name, *figures_of(own).values()) for name, own in groups.items())
    text = "Every run is a simulation, and so is every interception. A run is known by its row: "
    text += "`opencram study STUDY.yaml --row N --out DIR` runs it again, with a report."
    caption = "How many were intercepted, in how many runs"
    return Section("What came of it", (text,), Picture("study.svg", study_picture(data.rows), caption), HEAD, rows)


def _outcomes(data: StudyData) -> Section:
    text = f"Means with their {100 * CONFIDENCE:.0f} % intervals: Wilson's for shares of runs, else Student's t."
    text += " No width at all says no more than that all runs were alike."
    if len(data.points) > len(data.series):
        text += " What several points come to together is averaged seed by seed first, for all met the same seeds."
    rows = tuple(
        (OUTCOMES[name].label, *(_mean(data, data.rows_of(one), name) for one in data.series)) for name in data.outcomes
    )
    picture = Picture("study-outcomes.svg", outcomes_figure(data), "Outcomes by point, with their 95 % intervals")
    return Section("Outcomes", (text,), picture, ("outcome", *(one.label for one in data.series)), rows)


def _differences(data: StudyData) -> Section:
    text = (
        "Each run of one variant is set beside the run of the other under the same seed and point: the second minus "
        "the first, averaged seed by seed, with the t interval over seeds. An interval beside 0 (blue, round) is a "
        "difference that chance alone would hardly make."
    )
    rows = tuple(
        (
            f"{one.pair[1]} – {one.pair[0]}",
            str(one.scenario),
            OUTCOMES[one.outcome].label,
            told(one.interval, one.outcome),
        )
        for one in data.differences()
    )
    picture = Picture("study-differences.svg", differences_figure(data), "Second variant minus first")
    return Section("Paired differences", (text,), picture, ("variants", "scenario", "outcome", "difference"), rows)


def _influences(data: StudyData) -> Section:
    texts = (
        "How much of the variance between points each parameter explains by itself: the first-order Sobol index "
        "S = V(E(Y | X)) / V(Y) of the points' means Y (Saltelli et al., Global Sensitivity Analysis: The Primer, "
        "2008), told from the points by the mean in each bin of the parameter (Plischke, Borgonovo and Smith, 2013), "
        "less what bins of pure chance would explain (Kelley's epsilon squared, 1935). What is missing to 100 % is "
        "parameters that act together, and chance. The arrow is the sign of Spearman's rank correlation ρ.",
        "–: too few points, or an outcome that did not vary.",
    )
    rows = []
    for name in data.outcomes:
        for parameter, own in sorted(data.influences(name).items(), key=lambda item: -(item[1].share or 0.0)):
            rank = "–" if own.rank is None else f"{own.rank:+.2f}"
            rows.append((OUTCOMES[name].label, parameter, influence_text(own), rank))
    picture = Picture("study-parameters.svg", influence_figure(data), "Share of the variance between points")
    head = ("outcome", "parameter", "share of variance", "ρ")
    return Section("Which parameter matters most", texts, picture, head, tuple(rows))


def _every_point(data: StudyData) -> Section:
    with_variant = any(one.variant is not None for one in data.series)
    head = ("scenario", *(["variant"] if with_variant else []), *data.parameters, "runs", "first row")
    rows = []
    for (scenario, variant, _), own in list(data.points.items())[:MOST_POINTS]:
        case = [str(scenario), *([str(variant)] if with_variant else []), *(shown(own[0][p]) for p in data.parameters)]
        figures = [_mean(data, own, name) for name in data.outcomes]
        rows.append((*case, str(len(own)), str(own[0]["row"]), *figures))
    left = len(data.points) - len(rows)
    texts = (f"{left} more points are in rows.parquet.",) if left else ()
    labels = tuple(outcome.label for outcome in data.outcomes.values())
    return Section("Every point", texts, None, (*head, *labels), tuple(rows))


def _how(data: StudyData) -> Section:
    study, first = data.study, data.study["first_seed"]
    texts = [
        f"{len(data.rows)} runs of {len(data.points)} points, under the seeds from {first} on, the same at each point."
    ]
    if stop := study.get("stop"):
        texts.append(
            f"A point, all its variants together, was run until the {100 * stop['confidence']:g} % interval of "
            f"`{stop['metric']}` was at most {stop['width']:g} wide, looked at after {stop['least']} runs and every "
            f"{stop['batch']} more, {study['runs']} runs at most."
        )
    if sample := study.get("sample"):
        texts.append(f"Draws: {sample['points']} points by {sample['method']}, seed {sample['seed']}.")
    rows = [(name, _path(vary["path"]), _way(vary)) for name, vary in study.get("vary", {}).items()]
    for variant in study.get("variants", []):
        acts = {key: variant[key] for key in ("remove", "add", "set") if variant[key]}
        rows.append((variant["name"], "variant", json.dumps(acts, ensure_ascii=False) if acts else "nothing changed"))
    return Section("How it was run", tuple(texts), None, ("name", "place", "values") if rows else (), tuple(rows))


def _path(path: str | list[str]) -> str:
    return path if isinstance(path, str) else ", ".join(path)


def _way(vary: dict[str, Any]) -> str:
    given = {key: value for key, value in vary.items() if key != "path" and value is not None}
    if isinstance(given.get("values"), list):
        return ", ".join(shown(value) for value in given["values"])
    return json.dumps(given, ensure_ascii=False)


# ---- numbers ---------------------------------------------------------------------------------------------------------


def _mean(data: StudyData, rows: Rows, outcome: str) -> str:
    """An outcome over these rows, and of how many seeds it is known where that is not all of them."""
    interval, seeds = data.interval(rows, outcome), len({row["seed"] for row in rows})
    known = f", {interval.n} of {seeds} seeds" if interval is not None and interval.n < seeds else ""
    return told(interval, outcome) + known


def told(interval: Interval | None, outcome: str) -> str:
    """'2.13 (1.90 to 2.36)', shares of runs in per cent."""
    if interval is None:
        return "–"
    values = (interval.mean, interval.low, interval.high)
    if OUTCOMES[outcome].share:
        mean, low, high = (f"{100.0 * value:.0f}" for value in values)
        return f"{mean} % ({low} to {high})"
    mean, low, high = (number(value) for value in values)
    return f"{mean} ({low} to {high})"


def number(value: float) -> str:
    """Three significant digits or so; thousands are set apart."""
    places = 0 if abs(value) >= 100.0 else 1 if abs(value) >= 10.0 else 2
    return f"{value:,.{places}f}"


def shown(value: Scalar | list[Any] | dict[str, Any]) -> str:
    """A parameter's value."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def by_scenario(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """The rows of each scenario, and of each variant where there are several, in the order in which they first come."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        variant = row.get("variant")
        groups.setdefault(row["scenario"] if variant is None else f"{row['scenario']}, {variant}", []).append(row)
    return groups


def figures_of(rows: Rows) -> dict[str, str]:
    """The figures of one scenario's runs, by the names in HEAD."""
    launched = Counter(row["launched"] for row in rows)
    one_each = sum(
        row["object_tracks"] == row["tracked"] == row["launched"] and not row["unexplained_tracks"] for row in rows
    )
    warned = sum(row["zones_warned_before"] == row["zones_hit"] for row in rows)
    in_time = sum(row["zones_warned_in_time"] == row["zones_hit"] for row in rows)
    leads = sorted(row["lead_s_least"] for row in rows if row["lead_s_least"] is not None)
    lead = f"{leads[0]:.1f}, {leads[len(leads) // 20]:.1f}, {median(leads):.1f}" if leads else "no hits"
    values = (
        f"{len(rows)}",
        ", ".join(str(n) for n in sorted(launched)),
        f"{one_each} of {len(rows)}",
        often(row["intercepted"] for row in rows),
        f"{warned} of {len(rows)}",
        f"{in_time} of {len(rows)}",
        lead,
        str(sum(row["phantom_alarms"] or 0 for row in rows)),
    )
    return dict(zip(HEAD[1:], values, strict=True))


def often(values: Iterable[Any]) -> str:
    """How often each value came up: '2: 31, 3: 169'."""
    return ", ".join(f"{value}: {n}" for value, n in sorted(Counter(values).items()))


def study_picture(rows: Rows) -> str:
    """An SVG: per scenario, in how many runs each number was intercepted."""
    groups = dict(list(by_scenario(rows).items())[:MOST_DRAWN])
    most = max(row["launched"] or 0 for row in rows)
    figure = new_figure(1.0 + 1.15 * len(groups))
    for i, (scenario, own) in enumerate(groups.items()):
        axes = new_axes(figure, len(groups), 1, i + 1)
        launched = sorted({row["launched"] or 0 for row in own})
        several = f"{launched[0]} to {launched[-1]}" if len(launched) > 1 else f"{launched[0]}"
        share = [sum(row["intercepted"] == n for row in own) / len(own) for n in range(launched[-1] + 1)]
        mean = sum(row["intercepted"] or 0 for row in own) / len(own)
        axes.bar(range(launched[-1] + 1), share, color=BLUE, width=0.7)
        axes.axvline(mean, color=VERMILLION, linestyle="--", linewidth=1)
        axes.set(xlim=(-0.6, most + 0.6), ylim=(0, 1), yticks=(0, 0.5, 1))
        axes.set_xticks(range(0, most + 1, max(1, most // 10)))
        axes.set_title(
            f"{scenario}: {several} launched, {mean:.1f} intercepted on average", fontsize=FONT_PT, loc="left"
        )
    axes.set_xlabel("intercepted (dashed: mean)", fontsize=FONT_PT)
    figure.supylabel("share of runs", fontsize=FONT_PT)
    return as_svg(figure, "How many were intercepted, in how many runs, by scenario")


# ---- Markdown --------------------------------------------------------------------------------------------------------


def _markdown(name: str, sections: Sequence[Section]) -> str:
    lines = [f"# Study: {name}", ""]
    for section in sections:
        lines += [f"## {section.heading}", ""]
        for text in section.texts:
            lines += [text, ""]
        if section.picture is not None:
            lines += [f"![{section.picture.caption}]({section.picture.file})", ""]
        if section.rows:
            lines += ["| " + " | ".join(section.columns) + " |", "|" + "---|" * len(section.columns)]
            lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in section.rows]
            lines.append("")
    return "\n".join(lines).rstrip() + "\n"
