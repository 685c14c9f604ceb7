"""The catalogue: complete, ordered, sourced, and plausible."""

from importlib.resources import files
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML

from opencram.physics.threats import FAMILIES, Threat, ballistic_ids, catalogue, class_index

RAW = YAML(typ="safe").load(files("opencram.physics").joinpath("threats.yaml").read_text(encoding="utf-8"))
ALL = list(catalogue().values())
ROOT = Path(__file__).resolve().parent.parent


def test_classes_and_their_order() -> None:
    assert tuple(catalogue()) == (
        "mortar-60", "mortar-81", "mortar-120", "rocket-107", "rocket-122", "rocket-240", "shell-105", "shell-122",
        "shell-155", "drone", "quadcopter", "fragment", "bird", "aircraft", "gunfire", "helicopter",
    )  # fmt: skip
    assert [class_index(name) for name in catalogue()] == list(range(16))
    assert ballistic_ids() == (*list(catalogue())[:9], "fragment", "gunfire")


def figures(row: dict[str, Any], path: str = "") -> list[tuple[str, Any]]:
    """Every leaf that is a number or a span of numbers, or a mapping that holds one."""
    found: list[tuple[str, Any]] = []
    for name, value in row.items():
        where = f"{path}.{name}"
        if isinstance(value, dict) and "value" not in value and "source" not in value:
            found += figures(value, where)
        elif isinstance(value, dict) or (isinstance(value, int | float | list) and not isinstance(value, bool)):
            found.append((where, value))
    return found


@pytest.mark.parametrize("row", [RAW["drag"], *RAW["threats"]], ids=lambda row: str(row.get("id", "drag")))
def test_every_figure_has_its_source_and_its_uncertainty(row: dict[str, Any]) -> None:
    assert figures(row)
    for name, figure in figures(row):
        assert isinstance(figure, dict), f"{name} has no source"
        assert len(str(figure.get("source", ""))) >= 5, f"{name} has no source"
        assert figure["source"] != "assumed", f"{name} does not say why it is assumed"
        curve = {"mach", "cd"} if "mach" in figure else {"value"}
        # what is itself an uncertainty, or a case and no quantity, has none
        spread = {"ln_beta_sigma": set(), "swerling": set(), "elevation_deg": {"sigma_deg"}}
        expected = curve | {"source"} | spread.get(name.split(".")[-1], {"ln_sigma"})
        assert set(figure) == expected, f"{name} has {set(figure)}, expected {expected}"
        sigma = figure.get("ln_sigma", 0.1)
        assert all(0.0 < one < 2.0 for one in (sigma if isinstance(sigma, list) else [sigma]))


@pytest.mark.parametrize("row", [row for row in RAW["threats"] if "cd0" in row], ids=lambda row: str(row["id"]))
def test_drag_is_as_sure_as_what_it_is_made_of(row: dict[str, Any]) -> None:
    """ln(beta) = ln m - ln Cd0 - 2 ln d + ..., so its variance is the sum of theirs."""
    mass, cd0, diameter = (row[name]["ln_sigma"] for name in ("mass_kg", "cd0", "diameter_m"))
    assert row["ln_beta_sigma"]["value"] == pytest.approx(np.hypot(np.hypot(mass, cd0), 2.0 * diameter), rel=0.1)


def test_the_reference_shows_the_catalogue() -> None:
    spec = spec_from_file_location("threats_page", ROOT / "scripts" / "threats_page.py")
    assert spec is not None
    assert spec.loader is not None
    made = module_from_spec(spec)
    spec.loader.exec_module(made)
    there = (ROOT / "docs" / "reference" / "threats.md").read_text(encoding="utf-8")
    assert made.page() == there, "the catalogue has changed: run python scripts/threats_page.py"


def test_no_hostile_class_is_ruled_out_and_rockets_lead() -> None:
    priors = {threat.id: threat.prior for threat in ALL if threat.family != "innocent"}
    assert sum(priors.values()) == pytest.approx(1.0)
    assert min(priors.values()) >= 0.05


@pytest.mark.parametrize("threat", ALL, ids=lambda t: t.id)
def test_every_class_is_whole(threat: Threat) -> None:
    assert threat.family in FAMILIES
    assert set(threat.title) == {"en", "fr"}
    assert 0.0 <= threat.speed_mps[0] < threat.speed_mps[1]
    assert 1e-4 <= threat.rcs_m2 <= 100.0
    assert threat.swerling in range(5)
    assert threat.prior > 0.0
    assert (threat.hazard_radius_m > 0.0) == (threat.family != "innocent")
    assert (threat.motor is not None) == (threat.family == "rocket")
    assert np.isfinite(threat.muzzle_mps) == (threat.family == "rocket")
    spans = {"mortar": (45.0, 85.0), "rocket": (5.0, 65.0), "shell": (5.0, 70.0)}
    expected = spans.get(threat.family, (np.nan, np.nan))
    np.testing.assert_allclose(np.degrees(threat.elevation_rad), expected, rtol=1e-12)


@pytest.mark.parametrize("threat", [t for t in ALL if t.ballistic], ids=lambda t: t.id)
def test_ballistic_classes_can_fly(threat: Threat) -> None:
    assert np.exp(threat.ln_beta) == pytest.approx(
        4.0 * threat.mass_kg / (np.pi * threat.diameter_m**2 * threat.cd0), rel=1e-12
    )
    assert threat.ln_beta_sigma == (0.7 if threat.family == "debris" else 0.2)
    assert threat.drag.shape == (201,)
    assert threat.drag[0] == 1.0
    assert threat.drag.min() == 1.0
    # the kernels take writable arrays only, and no two classes share one
    assert threat.drag.flags.writeable
    assert sum(other.drag is threat.drag for other in ALL) == 1


def test_public_ballistic_coefficients() -> None:
    """81 mm: 5,800 to 6,400 kg/m2 from the M252's figures."""
    assert 5_800.0 < np.exp(catalogue()["mortar-81"].ln_beta) < 6_400.0


def test_rockets_burn_a_plausible_share() -> None:
    for threat in ALL:
        if threat.motor is not None:
            assert 0.6 < threat.motor.mass_ratio < 0.9
            # double-base and composite propellants: specific impulse of some 180 to 240 s
            assert 1700.0 < threat.motor.exhaust_mps < 2400.0
