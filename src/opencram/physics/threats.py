"""The threat catalogue: what may fly here, read from `threats.yaml`, where every figure has its source."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from opencram.physics.flight import MACH_ROWS, Motor, drag_table

Floats = NDArray[np.float64]

FAMILIES = ("mortar", "rocket", "shell", "drone", "debris", "innocent")


@dataclass(frozen=True, eq=False)
class Threat:
    """One class of the catalogue; figures that a class does not have are NaN (hazard radius and prior: 0)."""

    id: str
    family: str
    """One of FAMILIES; `innocent` is what must not raise an alarm."""
    title: Mapping[str, str]
    """By language: en, fr."""
    ballistic: bool
    """Whether it falls, so that its flight is predicted to the ground."""
    mass_kg: float
    """In free flight: a rocket's once burnt out."""
    diameter_m: float
    cd0: float
    """Drag coefficient below the speed of sound."""
    drag: Floats
    """Drag shape s(M) = Cd(M) / Cd0, (201,), as the kernels take it; ones where there is none."""
    ln_beta: float
    """ln of m / (Cd0 A) in kg/m2."""
    ln_beta_sigma: float
    """How far a round of the class may be from it, one sigma."""
    speed_mps: tuple[float, float]
    """Least and most at launch, for rockets at burn-out."""
    elevation_rad: tuple[float, float]
    """Least and most at which the class is launched."""
    range_m: tuple[float, float]
    motor: Motor | None
    muzzle_mps: float
    """Speed at which a rocket leaves its tube, its motor burning."""
    hazard_radius_m: float
    rcs_m2: float
    """About, mean over aspects, S to X band."""
    swerling: int
    """Fluctuation, Swerling's case 0 to 4."""
    prior: float
    """How often, relative to the other classes."""
    source: str


@cache
def catalogue() -> Mapping[str, Threat]:
    """Every class by its id, in the catalogue's order, which is that of the class indices in tables."""
    from ruamel.yaml import YAML

    text = files("opencram.physics").joinpath("threats.yaml").read_text(encoding="utf-8")
    raw = YAML(typ="safe").load(text)
    shapes = {name: drag_table(curve["mach"], curve["cd"]) for name, curve in raw["drag"].items()}
    return MappingProxyType({row["id"]: _threat(row, shapes) for row in raw["threats"]})


@cache
def classes() -> tuple[Threat, ...]:
    """Every class, in the order of the class indices in tables."""
    return tuple(catalogue().values())


@cache
def ballistic_ids() -> tuple[str, ...]:
    """The ids of what is predicted to the ground, in the catalogue's order."""
    return tuple(threat.id for threat in classes() if threat.ballistic)


def class_index(threat_id: str) -> int:
    """Index of a class in the catalogue's order, as tables have it."""
    return tuple(catalogue()).index(threat_id)


def _threat(row: dict[str, Any], shapes: dict[str, Floats]) -> Threat:
    low, high = _span(row, "elevation_deg")
    mass, diameter, cd0 = _number(row, "mass_kg"), _number(row, "diameter_m"), _number(row, "cd0")
    return Threat(
        id=row["id"],
        family=row["family"],
        title=MappingProxyType(row["title"]),
        ballistic=row["ballistic"],
        mass_kg=mass,
        diameter_m=diameter,
        cd0=cd0,
        drag=shapes[row["drag"]].copy() if "drag" in row else np.ones(MACH_ROWS),
        ln_beta=math.log(mass / (cd0 * math.pi / 4.0 * diameter**2)),
        ln_beta_sigma=_number(row, "ln_beta_sigma"),
        speed_mps=_span(row, "speed_mps"),
        elevation_rad=(math.radians(low), math.radians(high)),
        range_m=_span(row, "range_m"),
        motor=_motor(row.get("motor"), mass),
        muzzle_mps=_number(row, "muzzle_mps"),
        hazard_radius_m=_number(row, "hazard_radius_m", absent=0.0),
        rcs_m2=_number(row, "rcs_m2"),
        swerling=int(_number(row, "swerling")),
        prior=_number(row, "prior", absent=0.0),
        source=row["source"],
    )


def _number(row: dict[str, Any], name: str, absent: float = math.nan) -> float:
    return float(row[name]["value"]) if name in row else absent


def _span(row: dict[str, Any], name: str) -> tuple[float, float]:
    low, high = row[name]["value"] if name in row else (math.nan, math.nan)
    return float(low), float(high)


def _motor(row: dict[str, Any] | None, burnt_kg: float) -> Motor | None:
    if row is None:
        return None
    return Motor(_number(row, "burn_s"), _number(row, "exhaust_mps"), burnt_kg / _number(row, "launch_mass_kg"))
