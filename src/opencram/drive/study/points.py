"""The points of a study: each value of what is swept with each draw of what is sampled.

Draws fill the unit cube by a Latin hypercube (McKay, Beckman and Conover, 1979) or a scrambled Sobol sequence (Owen,
1998), both of scipy.stats.qmc, and become values by the inverse of each parameter's distribution.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opencram.drive.study.spec import Study, Vary
from opencram.report.outcomes import Scalar
from opencram.tables import FloatArray
from opencram.world.rng import generator

DIGITS = 6
"""Significant digits of a drawn value: what the table shows is what was run, to the last digit."""
OPEN = 1e-12
"""Draws are kept so far from 0 and 1, where a bell has no value."""


@dataclass(frozen=True)
class Level:
    """One value of a parameter: as the rows show it, and as it is put into the scenario or the site."""

    label: Scalar
    value: Any
    place: int | str | None
    """Where it stands in the study file's list or mapping; None for what was drawn from a distribution."""


Point = dict[str, Level]
"""The level of each parameter, in the study's order."""


def points_of(study: Study) -> list[Point]:
    """All points in order: the first parameter that is swept changes slowest, the draws fastest; one if none varies."""
    swept = {name: _levels(vary.values) for name, vary in study.vary.items() if vary.values is not None}
    drawn = _drawn(study)
    grid = [dict(zip(swept, levels, strict=True)) for levels in itertools.product(*swept.values())]
    return [{name: (cell | draw)[name] for name in study.vary} for cell in grid for draw in drawn]


def _levels(values: Sequence[Any] | dict[str, Any]) -> list[Level]:
    if isinstance(values, dict):
        return [Level(label, value, label) for label, value in values.items()]
    return [Level(label, value, i) for i, (label, value) in enumerate(zip(_labels(values), values, strict=True))]


def _labels(values: Sequence[Any]) -> list[Scalar]:
    """Scalars as they are, of one kind all of them, for a column has one; else text."""
    if all(isinstance(value, bool) for value in values) or all(isinstance(value, str) for value in values):
        return list(values)
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        whole = all(isinstance(value, int) for value in values)
        return list(values) if whole else [float(value) for value in values]
    return [value if isinstance(value, str) else json.dumps(value, default=str) for value in values]


def _drawn(study: Study) -> list[Point]:
    """The draws of all parameters that have a distribution; one of nothing where none has."""
    if study.sample is None:
        return [{}]
    names = [name for name, vary in study.vary.items() if vary.sampled]
    unit = unit_cube(study.sample.method, len(names), study.sample.points, study.sample.seed)
    columns = [_at(study.vary[name], unit[:, i]) for i, name in enumerate(names)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def unit_cube(method: str, dimensions: int, points: int, seed: int) -> FloatArray:
    """Points (n, d) that fill the unit cube, by 'latin-hypercube' or 'sobol'."""
    from scipy.stats import qmc

    rng = generator(seed, "study", method)
    made = qmc.Sobol(dimensions, rng=rng) if method == "sobol" else qmc.LatinHypercube(dimensions, rng=rng)
    unit: FloatArray = np.clip(made.random(points), OPEN, 1.0 - OPEN)
    return unit


def _at(vary: Vary, share: FloatArray) -> list[Level]:
    """The values below which these shares (n,) of a parameter's distribution lie."""
    if vary.choice is not None:
        levels = _levels(vary.choice)
        edges = np.cumsum(np.ones(len(levels)) if vary.weights is None else np.array(vary.weights))
        return [levels[i] for i in np.searchsorted(edges / edges[-1], share, side="right").tolist()]
    values = [float(f"{value:.{DIGITS}g}") for value in _inverse(vary, share).tolist()]
    return [Level(value, value, None) for value in values]


def _inverse(vary: Vary, share: FloatArray) -> FloatArray:
    from scipy.special import ndtr, ndtri

    if vary.uniform is not None:
        return vary.uniform.least + share * (vary.uniform.most - vary.uniform.least)
    assert vary.normal is not None, "one of them is given, as the study file was checked"
    bell = vary.normal
    low = 0.0 if bell.least is None else ndtr((bell.least - bell.mean) / bell.sigma)
    high = 1.0 if bell.most is None else ndtr((bell.most - bell.mean) / bell.sigma)
    value: FloatArray = bell.mean + bell.sigma * ndtri(low + share * (high - low))
    return value
