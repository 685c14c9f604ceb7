"""A study as its folder tells it: its rows, what was varied in it, and the figures that its pages and pictures show."""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from opencram.errors import InputError
from opencram.report.outcomes import OUTCOMES, Outcome, Row, Scalar
from opencram.report.study_statistics import (
    Interval,
    Key,
    equal_bins,
    interval_of,
    numbers,
    paired,
    pooled,
    rank_correlation,
    variance_share,
)

ROWS, STUDY = "rows.parquet", "study.json"
MOST_LEVELS = 12
"""A parameter with more values than this is drawn and binned as one that takes any."""


@dataclass(frozen=True)
class Series:
    """One scenario in one variant, and what it is called."""

    scenario: Scalar
    variant: Scalar
    label: str


@dataclass(frozen=True)
class Influence:
    """What a parameter does to an outcome, told from the means of the points."""

    share: float | None
    """Of the variance between points, explained by this parameter alone."""
    rank: float | None
    """Spearman's rank correlation; None where its values have no order."""


@dataclass(frozen=True)
class Difference:
    """What one variant changes against another in one scenario, run by run under the same chance."""

    pair: tuple[str, str]
    scenario: Scalar
    outcome: str
    interval: Interval | None


@dataclass(frozen=True)
class StudyData:
    """All that is told of a study."""

    study: dict[str, Any]
    rows: list[Row]

    @property
    def parameters(self) -> list[str]:
        """Names of what takes more than one value, in the study’s order."""
        names = list(self.study.get("vary", {}))
        return [name for name in names if len({repr(row[name]) for row in self.rows}) > 1]

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """The outcomes that the study reports."""
        return {name: OUTCOMES[name] for name in self.study["outcomes"]}

    @cached_property
    def series(self) -> list[Series]:
        """Every scenario in every variant, in order."""
        keys = list(dict.fromkeys((row["scenario"], row.get("variant")) for row in self.rows))
        several = len({scenario for scenario, _ in keys}) > 1
        return [Series(scenario, variant, _label(scenario, variant, several)) for scenario, variant in keys]

    @cached_property
    def points(self) -> dict[tuple[Scalar, Scalar, Scalar], list[Row]]:
        """The rows of each (scenario, variant, point), in order."""
        found: dict[tuple[Scalar, Scalar, Scalar], list[Row]] = {}
        for row in self.rows:
            found.setdefault((row["scenario"], row.get("variant"), row["point"]), []).append(row)
        return found

    def rows_of(self, series: Series) -> list[Row]:
        """The rows of one scenario and variant."""
        return [r for r in self.rows if r["scenario"] == series.scenario and r.get("variant") == series.variant]

    def levels(self, parameter: str) -> list[Scalar]:
        """The values that a parameter took, in order where they are numbers."""
        values = list(dict.fromkeys(row[parameter] for row in self.rows))
        return sorted(values, key=float) if _ordered(values) else values  # type: ignore[arg-type]

    def continuous(self, parameter: str) -> bool:
        """Whether it took so many values that they are told by bins."""
        return len(self.levels(parameter)) > MOST_LEVELS and _ordered(self.levels(parameter))

    def interval(self, rows: Sequence[Row], outcome: str) -> Interval | None:
        """An outcome over these rows; of one point by its own kind of interval, of several seed by seed."""
        if len({row["point"] for row in rows}) <= 1:
            found = interval_of([row[outcome] for row in rows], OUTCOMES[outcome].share)
        else:
            found = pooled(((row["seed"], row[outcome]) for row in rows), OUTCOMES[outcome].share)
        if found is None:
            return None
        within = OUTCOMES[outcome]
        return replace(found, low=max(found.low, within.least), high=min(found.high, within.most))

    def differences(self) -> list[Difference]:
        """Every pair of variants that is compared, in every scenario, for every outcome."""
        scenarios = list(dict.fromkeys(one.scenario for one in self.series))
        pairs = [(str(first), str(second)) for first, second in self.study.get("pairs", [])]
        return [
            Difference(pair, scenario, outcome, self._difference(pair, scenario, outcome))
            for pair in pairs
            for scenario in scenarios
            for outcome in self.outcomes
        ]

    def _difference(self, pair: tuple[str, str], scenario: Scalar, outcome: str) -> Interval | None:
        own = [{_key(row): row[outcome] for row in self.rows_of(Series(scenario, name, ""))} for name in pair]
        return paired(own[0], own[1])

    def influences(self, outcome: str) -> dict[str, Influence]:
        """What each parameter does to an outcome, over the means of the points."""
        means, at = self._means(outcome)
        return {name: self._influence(name, means, at) for name in self.parameters}

    def _means(self, outcome: str) -> tuple[list[float], list[Row]]:
        """The outcome's mean at each point, over its scenarios, variants and seeds, and a row of each."""
        together: dict[Scalar, list[float]] = {}
        rows: dict[Scalar, Row] = {}
        for (_, _, point), own in self.points.items():
            if known := numbers(row[outcome] for row in own):
                together.setdefault(point, []).append(sum(known) / len(known))
                rows[point] = own[0]
        return [sum(means) / len(means) for means in together.values()], [rows[point] for point in together]

    def _influence(self, name: str, means: list[float], at: list[Row]) -> Influence:
        values = [row[name] for row in at]
        if not _ordered(values):
            return Influence(variance_share(values, means), None)
        x = numbers(values)
        bins: Sequence[Hashable] = equal_bins(x) if self.continuous(name) else values
        return Influence(variance_share(bins, means), rank_correlation(x, means))


def load_study_data(folder: Path) -> StudyData:
    """Read a study's folder; InputError names what is missing or broken in it."""
    path = folder / STUDY
    try:
        study = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: found no study that can be read ({error}), expected the folder of a study") from None
    if not isinstance(study, dict) or "made_of" not in study:
        raise InputError(f"{path}: found no study of this version, expected the study.json that a study writes")
    return StudyData(study, read_rows(folder))


def read_rows(folder: Path) -> list[Row]:
    """The rows of a study that is over; InputError where the table is missing or broken."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = folder / ROWS
    try:
        rows: list[Row] = pq.read_table(path).to_pylist()
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected the rows of a study that is over") from None
    except (OSError, pa.ArrowInvalid) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{path}: found a table that cannot be read ({reason[:120]})") from None
    return rows


def _key(row: Row) -> Key:
    return row["point"], row["seed"]


def _ordered(values: Sequence[Scalar]) -> bool:
    return all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)


def _label(scenario: Scalar, variant: Scalar, several: bool) -> str:
    if variant is None:
        return str(scenario)
    return f"{scenario}, {variant}" if several else str(variant)
