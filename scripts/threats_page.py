"""Write docs/reference/threats.md from the threat catalogue's YAML; run it after a change there (a test compares)."""

import math
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "src" / "opencram" / "physics" / "threats.yaml"
PAGE = ROOT / "docs" / "reference" / "threats.md"

FIGURES = {
    "mass_kg": "mass in free flight, a rocket's once burnt out (kg)",
    "diameter_m": "diameter, of a drone its span (m)",
    "cd0": "drag coefficient below the speed of sound",
    "ln_beta_sigma": "one sigma of ln of the ballistic coefficient",
    "speed_mps": "speed at launch, a rocket's at burn-out (m/s)",
    "elevation_deg": "elevation at launch (degrees)",
    "range_m": "range (m)",
    "burn_s": "the motor burns for (s)",
    "exhaust_mps": "effective exhaust speed (m/s)",
    "launch_mass_kg": "mass at launch (kg)",
    "muzzle_mps": "speed on leaving the tube (m/s)",
    "hazard_radius_m": "dangerous within (m)",
    "rcs_m2": "radar cross-section, mean over aspects (m²)",
    "swerling": "Swerling's case of its fluctuation",
    "prior": "how often, of all hostile ones",
}
INTRO = """# The threat catalogue

What may fly at a site, as the [catalogue](../../src/opencram/physics/threats.yaml) has it; this page is made from it by
`python scripts/threats_page.py`. The figures are coarse and public: enough to tell classes apart and to warn of where
they come down. Each names its source. 'Assumed' ones are ours and say why; 'fitted' ones were chosen so that the flight
model meets a published figure, which a test holds to 3 %.

± is one sigma, relative (×÷ a factor where it is large): how far a type of the class may be from the figure, for a span
either end of it, or each. These sigmas are assumed. The one that matters most is that of the ballistic coefficient β =
m / (Cd₀ A), about 20 %: it is why the impact point of a long flight is not known until the flight has been watched.
"""


def number(value: float) -> str:
    """As people write it, thousands apart."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:g}"


def plain(value: float | list[float]) -> str:
    """A figure or a span."""
    return " to ".join(map(number, value)) if isinstance(value, list) else number(value)


def spread(figure: dict[str, Any]) -> str:
    """A figure's uncertainty; none where it is itself one, or a case and no quantity."""
    if "sigma_deg" in figure:
        return f"± {figure['sigma_deg']:g}°"
    sigmas = figure.get("ln_sigma", [])
    several = sigmas if isinstance(sigmas, list) else [sigmas]
    return ", ".join(f"± {100 * s:.2g} %" if s <= 0.3 else f"×÷ {math.exp(s):.2g}" for s in several)


def figures(row: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The figures of a class by name, its motor's among them, in the order of FIGURES."""
    found = {**row, **row.get("motor", {})}
    return {name: found[name] for name in FIGURES if name in found}


def summary(rows: list[dict[str, Any]]) -> str:
    """One line for each class."""
    columns = ("class", "what it is", "β (kg/m²)", "speed (m/s)", "elevation (°)", "range (km)")
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for row in rows:
        f = figures(row)
        beta = "–"
        if "cd0" in f:
            area = math.pi / 4.0 * f["diameter_m"]["value"] ** 2
            value = f["mass_kg"]["value"] / (f["cd0"]["value"] * area)
            beta = f"{float(f'{value:.3g}'):,.0f} {spread({'ln_sigma': f['ln_beta_sigma']['value']})}"
        reach = [metres / 1e3 for metres in f["range_m"]["value"]] if "range_m" in f else None
        cells = (f"`{row['id']}`", row["title"]["en"], beta, plain(f["speed_mps"]["value"]))
        cells += (plain(f["elevation_deg"]["value"]) if "elevation_deg" in f else "–", plain(reach) if reach else "–")
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def one(row: dict[str, Any]) -> str:
    """All figures of a class with their sources."""
    after = f" Its drag curve: [{row['drag']}](#drag-curves)." if "drag" in row else ""
    source = row["source"][0].upper() + row["source"][1:]
    lines = [f"## {row['title']['en']}: `{row['id']}`", "", f"{source}.{after}", ""]
    lines += ["| figure | value | ± | source |", "|---|---|---|---|"]
    for name, figure in figures(row).items():
        lines.append(f"| {FIGURES[name]} | {plain(figure['value'])} | {spread(figure)} | {figure['source']} |")
    return "\n".join(lines)


def curves(drag: dict[str, dict[str, Any]]) -> str:
    """The drag curves, a table each."""
    parts = ["## Drag curves", "", "Cd(M); a class follows its curve times its own Cd₀ over the curve's first value."]
    for name, curve in drag.items():
        parts += ["", f"**{name}**, {spread(curve)}: {curve['source']}.", ""]
        rows = [["Mach", *(f"{m:.2f}" for m in curve["mach"])], ["Cd", *(f"{cd:.3f}" for cd in curve["cd"])]]
        parts += [f"| {' | '.join(rows[0])} |", "|---" * len(rows[0]) + "|", f"| {' | '.join(rows[1])} |"]
    return "\n".join(parts)


def page() -> str:
    """The whole page."""
    raw = YAML(typ="safe").load(CATALOGUE.read_text(encoding="utf-8"))
    return "\n\n".join([INTRO.strip(), summary(raw["threats"]), *map(one, raw["threats"]), curves(raw["drag"])]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
