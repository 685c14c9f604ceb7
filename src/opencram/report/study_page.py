"""A study for people: one Markdown page with a table, and one picture of what the simulated defence achieved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import median
from typing import Any

from opencram.report.drawing import BLUE, FONT_PT, VERMILLION, as_svg, new_axes, new_figure

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


def by_scenario(rows: Rows) -> dict[str, list[dict[str, Any]]]:
    """The rows of each scenario, in the order in which they first come."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row["scenario"], []).append(row)
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


def often(values: Any) -> str:  # noqa: ANN401
    """How often each value came up: '2: 31, 3: 169'."""
    return ", ".join(f"{value}: {n}" for value, n in sorted(Counter(values).items()))


def study_page(name: str, rows: Rows) -> str:
    """The page in Markdown; the picture lies beside it as study.svg."""
    lines = [
        f"# Study: {name}",
        "",
        "Every run is a simulation; `opencram run SCENARIO --seed N` runs any of them again, with a report.",
        "",
        "![How many were intercepted, in how many runs](study.svg)",
        "",
        "| " + " | ".join(HEAD) + " |",
        "|" + "---|" * len(HEAD),
    ]
    for scenario, own in by_scenario(rows).items():
        lines.append("| " + " | ".join([scenario, *figures_of(own).values()]) + " |")
    return "\n".join(lines) + "\n"


def study_picture(rows: Rows) -> str:
    """An SVG: per scenario, in how many runs each number was intercepted."""
    groups = by_scenario(rows)
    figure = new_figure(1.0 + 1.15 * len(groups))
    for i, (scenario, own) in enumerate(groups.items()):
        axes = new_axes(figure, len(groups), 1, i + 1)
        most = max(row["launched"] or 0 for row in own)
        share = [sum(row["intercepted"] == n for row in own) / len(own) for n in range(most + 1)]
        mean = sum(row["intercepted"] or 0 for row in own) / len(own)
        axes.bar(range(most + 1), share, color=BLUE, width=0.7)
        axes.axvline(mean, color=VERMILLION, linestyle="--", linewidth=1)
        axes.set(xlim=(-0.6, 7.6), ylim=(0, 1), xticks=range(8), yticks=(0, 0.5, 1))
        axes.set_title(f"{scenario}: {most} launched, {mean:.1f} intercepted on average", fontsize=FONT_PT, loc="left")
    axes.set_xlabel("intercepted (dashed: mean)", fontsize=FONT_PT)
    figure.supylabel("share of runs", fontsize=FONT_PT)
    return as_svg(figure, "How many were intercepted, in how many runs, by scenario")
