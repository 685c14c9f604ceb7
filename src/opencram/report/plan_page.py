"""What `opencram plan` writes: the chosen site as YAML, the trade-off curve, a table of it, and a page."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencram.planning.candidates import Candidates, Choice
from opencram.planning.plan import Plan, Point
from opencram.report import drawing as d
from opencram.report.drawing import as_png, as_svg, new_axes, new_figure
from opencram.report.pages import Picture, Section, write_files
from opencram.report.planning_page import planning_page
from opencram.site import YAML_DOCUMENT, ZONES_DOCUMENT, load_site

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ZONES = ("zone", "people", "to shelter (s)", "before (s)", "with it (s)")
CURVE = ("budget", "cost", "useful_s", "proved", "sensors", "sirens")
CURVE_TELLS = "As the choice reckons it: each shot credited to one bought radar and one siren."
MEASURE = (
    "Useful warning is what a person gets between hearing a siren and the impact, from 0 s up to the zone's time to "
    "shelter: more is of no use. A figure is its mean over the people of all zones, and over the shots."
)


def names_of(candidates: Candidates, choice: Choice) -> list[str]:
    """The ids of a choice, radars before sirens."""
    sensors, sirens = candidates.sensors, candidates.sirens
    return [*(sensors[i].id for i in choice.sensors), *(sirens[i].id for i in choice.sirens)]


def chosen_rows(plan: Plan) -> list[tuple[str, ...]]:
    """A row for each candidate that is bought."""
    found, choice = plan.candidates, plan.chosen.choice
    rows = [("radar", found.sensors[i]) for i in choice.sensors] + [("siren", found.sirens[i]) for i in choice.sirens]
    return [(thing.id, what, f"{thing.cost:g}") for what, thing in rows]


def zone_rows(plan: Plan) -> list[tuple[str, ...]]:
    """A row for each zone."""
    rows = zip(plan.site.zones, plan.zones, strict=True)
    return [
        (z.id, f"{z.people:,}", f"{z.time_to_shelter_s:g}", f"{gain.before_s:.1f}", f"{gain.with_s:.1f}")
        for z, gain in rows
    ]


def sentences(plan: Plan) -> list[str]:
    """What came of it, in words: what it is worth, and what the next money buys."""
    unit = f" {plan.candidates.unit}" if plan.candidates.unit else ""
    told = [
        f"For {plan.chosen.cost:g} of {plan.budget:g}{unit} a person's useful warning goes from {plan.before_s:.2f} s "
        f"to {plan.with_s:.2f} s."
    ]
    if not plan.chosen.proved:
        told.append("The optimiser was stopped before it had proved that nothing is better.")
    worth = [one for one in plan.after if one.adds_s > 5e-4]
    if worth:
        best = worth[0]
        told.append(
            f"The next unit of money buys most as {best.id}: {best.cost:g}{unit} for {best.adds_s:.2f} s more, "
            f"{best.per_unit:.3g} s a unit."
        )
    else:
        told.append("No candidate that is left adds anything by itself.")
    return told


def write_plan(plan: Plan, site_name: str, folder: Path) -> list[Path]:
    """Write site.yaml with its zones, curve.csv, trade-off.png and .svg, and plan.html; their paths.

    The site that was written is read again, so that it is one that every command accepts.
    """
    figure = trade_off(plan)
    curve = Picture("trade-off.svg", as_svg(figure, "Useful warning against budget"), CURVE_TELLS)
    contents: dict[str, str | bytes] = {
        "site.yaml": site_yaml(plan, site_name, folder),
        "zones.geojson": plan.site.documents().get(ZONES_DOCUMENT, ""),
        "curve.csv": curve_csv(plan),
        "trade-off.png": as_png(figure),
        curve.file: curve.svg,
        "plan.html": _page(plan, curve),
    }
    paths = write_files(folder, contents)
    load_site(folder / "site.yaml")
    return paths


# ---- the site ----------------------------------------------------------------------------------------------------


def site_yaml(plan: Plan, site_name: str, folder: Path) -> str:
    """The site's own YAML, comments and all, with what is bought; paths lead from the folder it is written into."""
    from ruamel.yaml import YAML

    yaml: Any = YAML()
    yaml.width, yaml.preserve_quotes = 4096, True
    yaml.indent(mapping=2, sequence=4, offset=2)
    data = yaml.load(plan.site.documents()[YAML_DOCUMENT])
    found, choice = plan.candidates, plan.chosen.choice
    bought: dict[str, tuple[bool, Sequence[Any]]] = {
        "sensors": (found.keep_sensors, [found.sensors[i] for i in choice.sensors]),
        "sirens": (found.keep_sirens, [found.sirens[i] for i in choice.sirens]),
    }
    for key, (kept, things) in bought.items():
        own = list(data.get(key) or ()) if kept else []
        if kept and not things:
            continue
        rows = [thing.model_dump(mode="json", exclude_unset=True, exclude={"cost", "title"}) for thing in things]
        if kept and own:
            data[key].extend(rows)
        else:
            data[key] = rows
    data["zones"] = "zones.geojson"
    if plan.site.terrain is not None:
        home = Path(site_name).parent
        data["terrain"]["tiles"] = [os.path.relpath(home / tile, folder) for tile in plan.site.terrain.tiles]
    text = io.StringIO()
    yaml.dump(data, text)
    return text.getvalue()


# ---- the curve ---------------------------------------------------------------------------------------------------


def curve_csv(plan: Plan) -> str:
    """A row for each budget."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(CURVE)
    for point in plan.curve:
        sensors = " ".join(plan.candidates.sensors[i].id for i in point.choice.sensors)
        sirens = " ".join(plan.candidates.sirens[i].id for i in point.choice.sirens)
        row = (f"{point.budget:g}", f"{point.cost:g}", f"{point.benefit_s:.4f}", str(point.proved).lower())
        rows.writerow([*row, sensors, sirens])
    return text.getvalue()


def trade_off(plan: Plan) -> Figure:
    """Useful warning against budget: steps, for money buys whole things; the budget asked for is marked."""
    figure = new_figure(3.4)
    axes = new_axes(figure)
    # what is bought is worth the same from its cost on
    costs, useful = [p.cost for p in plan.curve], [p.benefit_s for p in plan.curve]
    axes.step([*costs, plan.curve[-1].budget], [*useful, useful[-1]], where="post", color=d.BLUE, lw=1.6)
    axes.plot(costs, useful, "o", color=d.BLUE, ms=4, label="best choice for a budget, at its cost")
    chosen = plan.chosen
    axes.plot(
        [chosen.cost], [chosen.benefit_s], "D", color=d.VERMILLION, ms=8, mec=d.INK, ls="none",
        label=f"this plan: {chosen.cost:g} of {chosen.budget:g}",
    )  # fmt: skip
    unit = f" ({plan.candidates.unit})" if plan.candidates.unit else ""
    axes.set_xlabel(f"budget{unit}", fontsize=d.FONT_PT)
    axes.set_ylabel("useful warning of a person, mean (s)", fontsize=d.FONT_PT)
    axes.grid(color="#E4E4E4", lw=0.6)
    span = max(useful) - min(useful)
    axes.set_ylim(max(0.0, min(useful) - 0.15 * span - 0.05), max(useful) + 0.12 * span + 0.05)
    axes.legend(loc="lower right", fontsize=d.FONT_PT, frameon=False)
    return figure


# ---- the page ----------------------------------------------------------------------------------------------------


def _page(plan: Plan, curve: Picture) -> str:
    unit = plan.candidates.unit
    columns = ("bought", "what", f"cost ({unit})" if unit else "cost")
    lacking = [i for i, (z, g) in enumerate(zip(plan.site.zones, plan.zones, strict=True))
               if g.with_s < 0.5 * z.time_to_shelter_s]  # fmt: skip
    sections = [
        Section(texts=[*sentences(plan), MEASURE]),
        Section("What to buy", columns=columns, rows=chosen_rows(plan)),
        Section(
            "What other budgets buy",
            picture=curve,
            columns=("budget", "cost", "useful (s)", "bought"),
            rows=[_curve_row(plan, point) for point in plan.curve],
        ),
        Section(
            "What comes next",
            texts=["What each candidate that is left would add, by itself, to this plan."],
            columns=("candidate", "cost", "adds (s)", "for each unit (s)"),
            rows=[(n.id, f"{n.cost:g}", f"{n.adds_s:.3f}", f"{n.per_unit:.3g}") for n in plan.after],
        ),
        Section("Zone by zone", columns=ZONES, rows=zone_rows(plan), marked=lacking),
    ]
    return planning_page(f"Plan for {plan.site.name}", f"Budget {plan.budget:g} {unit}".strip(), sections)


def _curve_row(plan: Plan, point: Point) -> tuple[str, ...]:
    names = ", ".join(names_of(plan.candidates, point.choice)) or "nothing"
    return f"{point.budget:g}", f"{point.cost:g}", f"{point.benefit_s:.2f}", names
