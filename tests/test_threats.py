"""The catalogue: complete, ordered, sourced, and plausible."""

from importlib.resources import files

import numpy as np
import pytest
from ruamel.yaml import YAML

from opencram.physics.threats import FAMILIES, Threat, ballistic_ids, catalogue, class_index

RAW = YAML(typ="safe").load(files("opencram.physics").joinpath("threats.yaml").read_text(encoding="utf-8"))
ALL = list(catalogue().values())


def test_classes_and_their_order() -> None:
    assert tuple(catalogue()) == (
        "mortar-60", "mortar-81", "mortar-120", "rocket-107", "rocket-122", "rocket-240", "shell-105", "shell-122",
        "shell-155", "drone", "quadcopter", "fragment", "bird", "aircraft", "gunfire",
    )  # fmt: skip
    assert [class_index(name) for name in catalogue()] == list(range(15))
    assert ballistic_ids() == (*list(catalogue())[:9], "fragment")


def figures(row: dict[str, object], path: str = "") -> list[tuple[str, object]]:
    """Every leaf that is a number or a span of numbers, or a mapping that holds one."""
    found: list[tuple[str, object]] = []
    for name, value in row.items():
        where = f"{path}.{name}"
        if isinstance(value, dict) and "value" not in value and "source" not in value:
            found += figures(value, where)
        elif isinstance(value, dict) or (isinstance(value, int | float | list) and not isinstance(value, bool)):
            found.append((where, value))
    return found


@pytest.mark.parametrize("row", [RAW, RAW["drag"], *RAW["threats"]], ids=lambda row: str(row.get("id", "file")))
def test_every_figure_has_its_source(row: dict[str, object]) -> None:
    rows = [(name, value) for name, value in figures(row) if not name.endswith(".threats")]
    assert rows
    for name, value in rows:
        assert isinstance(value, dict), f"{name} has no source"
        assert len(str(value.get("source", ""))) >= 5, f"{name} has no source"


@pytest.mark.parametrize("threat", ALL, ids=lambda t: t.id)
def test_every_class_is_whole(threat: Threat) -> None:
    assert threat.family in FAMILIES
    assert set(threat.title) == {"en", "fr"}
    assert 0.0 <= threat.speed_mps[0] < threat.speed_mps[1]
    assert 1e-4 <= threat.rcs_m2 <= 100.0
    assert threat.swerling in range(5)
    assert (threat.prior > 0.0) == (threat.family != "innocent")
    assert (threat.hazard_radius_m > 0.0) == (threat.family != "innocent")
    assert (threat.motor is not None) == (threat.family == "rocket")
    assert np.isfinite(threat.muzzle_mps) == (threat.family == "rocket")


@pytest.mark.parametrize("threat", [t for t in ALL if t.ballistic], ids=lambda t: t.id)
def test_ballistic_classes_can_fly(threat: Threat) -> None:
    assert np.exp(threat.ln_beta) == pytest.approx(
        4.0 * threat.mass_kg / (np.pi * threat.diameter_m**2 * threat.cd0), rel=1e-12
    )
    assert threat.ln_beta_sigma == 0.2
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
