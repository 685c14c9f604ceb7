"""The study file: which scenarios, what is varied in them and in the site, how often, and when enough is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from opencram.errors import InputError
from opencram.fields import Chance, Count, Id, Model, Number, Positive, rising
from opencram.report.outcomes import COLUMNS, HEADLINE, OUTCOMES
from opencram.site import load_site
from opencram.world.scenario import load_scenario
from opencram.yamlfile import Lines, Loc, at, nearest, read_yaml, validate

MAX_RUNS = 100_000
MAX_POINTS = 10_000
"""Of one scenario and variant; a grid of more is refused."""
TAKEN = ("row", "scenario", "site", "variant", "point", "seed")
"""Columns of a row that say which run it is."""


def _column(name: str) -> str:
    """A parameter's name, which is a column of the rows."""
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,39}", name):
        raise ValueError(f"found the name {name!r}, expected small letters, digits, - and _, a letter first")
    if name in TAKEN or name in COLUMNS:
        raise ValueError(f"found the name '{name}', which is a column of every row, expected another")
    return name


def _outcome(name: str) -> str:
    if name not in OUTCOMES:
        raise ValueError(f"found '{name}', expected {nearest(name, list(OUTCOMES))}")
    return name


Metric = Annotated[str, AfterValidator(_outcome)]
Name = Annotated[str, AfterValidator(_column)]
Path_ = Annotated[str, Field(min_length=1, max_length=300)]
Paths = Path_ | Annotated[tuple[Path_, ...], Field(min_length=1, max_length=50)]
Levels = Annotated[tuple[Any, ...], Field(min_length=1, max_length=1_000)]


class Uniform(Model):
    """Each value from the least to the most as likely as the other."""

    least: Number
    most: Number

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising("least", self.least, "most", self.most)
        return self


class Normal(Model):
    """A bell, cut off below the least and above the most where they are given."""

    mean: Number
    sigma: Positive
    least: Number | None = None
    most: Number | None = None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.least is not None and self.most is not None:
            rising("least", self.least, "most", self.most)
        return self


class Vary(Model):
    """A parameter: where it stands (several places get the same value), and the values it takes."""

    path: Paths
    values: Levels | Annotated[dict[str, Any], Field(min_length=1, max_length=1_000)] | None = None
    uniform: Uniform | None = None
    normal: Normal | None = None
    choice: Levels | None = None
    weights: tuple[Positive, ...] | None = None

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        ways = ("values", "uniform", "normal", "choice")
        given = [way for way in ways if getattr(self, way) is not None]
        if len(given) != 1:
            raise ValueError(f"found {' and '.join(given) or 'none'} of {', '.join(ways)}, expected one of them")
        if self.weights is not None and len(self.weights) != len(self.choice or ()):
            raise ValueError(f"found {len(self.weights)} weights, expected one for each value of 'choice'")
        return self

    @property
    def sampled(self) -> bool:
        """Whether its values are drawn; else each is taken in turn."""
        return self.values is None

    def paths(self) -> list[tuple[str, Loc]]:
        """All places that get its value, and where in the parameter each is named."""
        if isinstance(self.path, str):
            return [(self.path, ("path",))]
        return [(path, ("path", i)) for i, path in enumerate(self.path)]


class Sample(Model):
    """How the values of all parameters that are drawn are drawn together."""

    points: Annotated[Count, Field(ge=2, le=MAX_POINTS)]
    method: Literal["latin-hypercube", "sobol"] = "latin-hypercube"
    seed: Count = 0

    @model_validator(mode="after")
    def _balanced(self) -> Self:
        if self.method == "sobol" and self.points & (self.points - 1):
            low = 1 << (self.points.bit_length() - 1)
            raise ValueError(f"found {self.points} points, expected {low} or {2 * low}: sobol needs a power of 2")
        return self


class Variant(Model):
    """A layout under a name: what is taken away, what is added, and what is changed, in that order."""

    name: Id
    remove: tuple[Path_, ...] = ()
    add: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    set: dict[str, Any] = Field(default_factory=dict)


class Stop(Model):
    """A point is enough known when the confidence interval of a metric's mean is as narrow as this."""

    metric: Metric
    width: Positive
    confidence: Annotated[Chance, Field(ge=0.5, le=0.9999)] = 0.95
    least: Annotated[Count, Field(ge=2)] = 8
    batch: Annotated[Count, Field(ge=1)] = 8


class Study(Model):
    """What a study file says."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    scenarios: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    site: str | None = None
    runs: Annotated[int, Field(ge=1, le=MAX_RUNS)] = 8
    first_seed: Annotated[int, Field(ge=0)] = 0
    vary: Annotated[dict[Name, Vary], Field(max_length=20)] = Field(default_factory=dict)
    sample: Sample | None = None
    variants: Annotated[tuple[Variant, ...], Field(max_length=50)] = ()
    compare: Annotated[tuple[Annotated[tuple[str, str], Field()], ...], Field(max_length=50)] | None = None
    """Pairs of variants; None: the first with each other one."""
    stop: Stop | None = None
    outcomes: Annotated[tuple[Metric, ...], Field(min_length=1, max_length=12)] = HEADLINE

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The pairs of variants of which the difference is told."""
        if self.compare is not None:
            return self.compare
        return tuple((self.variants[0].name, other.name) for other in self.variants[1:])


@dataclass(frozen=True)
class StudyFile:
    """A study with where each of its keys stands, for what is wrong with it to be told."""

    study: Study
    name: str
    lines: Lines

    def fault(self, loc: Loc, sentence: str) -> InputError:
        """The sentence with the file, line and field it is about."""
        return InputError(f"{at(self.name, loc, self.lines)}: {sentence}")


def load_study(path: Path) -> StudyFile:
    """A study file, with its scenarios and site seen to be usable; InputError otherwise."""
    data, lines = read_yaml(path, str(path))
    study = validate(Study, data, lines, str(path))
    file = StudyFile(study, str(path), lines)
    for loc, sentence in _faults(study):
        raise file.fault(loc, sentence)
    names: dict[str, str] = {}
    for i, scenario in enumerate(study.scenarios):
        loaded = load_scenario(scenario)
        load_site(study.site or loaded.site)
        if loaded.name in names:
            raise file.fault(("scenarios", i), f"found the scenario '{loaded.name}' twice, expected it once")
        names[loaded.name] = scenario
    return file


def _faults(study: Study) -> Iterator[tuple[Loc, str]]:
    """What only the whole study can tell."""
    drawn = [name for name, vary in study.vary.items() if vary.sampled]
    if drawn and study.sample is None:
        yield ("vary", drawn[0]), "found a distribution and no 'sample', expected how many points to draw"
    if study.sample is not None and not drawn:
        yield ("sample",), "found no parameter with a distribution, expected uniform, normal or choice in 'vary'"
    if (number := _points(study)) > MAX_POINTS:
        yield ("vary",), f"found {number} points, expected at most {MAX_POINTS}"
    names = [variant.name for variant in study.variants]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield ("variants", i, "name"), f"found the variant '{name}' twice, expected it once"
    for i, pair in enumerate(study.compare or ()):
        for name in pair:
            if name not in names:
                yield ("compare", i), f"found the variant '{name}', expected {nearest(name, names)}"


def _points(study: Study) -> int:
    number = study.sample.points if study.sample else 1
    for vary in study.vary.values():
        number *= len(vary.values) if vary.values is not None else 1
    return number
