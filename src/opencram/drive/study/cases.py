"""The cases of a study: a scenario, a variant and a point each, and the texts of scenario and site they come to."""

from __future__ import annotations

import copy
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opencram.drive.crank import Progress
from opencram.drive.study.overrides import Change, apply, id_of
from opencram.drive.study.points import Level, Point, points_of
from opencram.drive.study.spec import Study, StudyFile, Variant
from opencram.errors import InputError
from opencram.report.outcomes import Row, Scalar
from opencram.site import YAML_DOCUMENT, ZONES_DOCUMENT, Site, load_site, site_from_documents
from opencram.world.faults import faults_of
from opencram.world.scenario import DOCUMENT, Scenario, load_scenario, scenario_from_documents
from opencram.yamlfile import Loc, read_yaml

Documents = dict[str, str]
"""The texts of a scenario and its site, by the names under which a recording keeps them."""
ZONES = "zones"
ORIGIN = re.compile(r"^(site|scenario)\.yaml( line \d+)?: ")
"""How a sentence begins about the texts that a study has made."""


@dataclass(frozen=True)
class Case:
    """One scenario, variant and point; its number is its place among all cases."""

    number: int
    group: int
    """Its scenario and point: the cases of a group differ by the variant alone."""
    scenario: str
    """A built-in name or a path."""
    variant: str | None
    point: int
    levels: Point

    def head(self) -> Row:
        """The columns that say which case a row is of."""
        labels: dict[str, Scalar] = {name: level.label for name, level in self.levels.items()}
        return {"variant": self.variant, "point": self.point, **labels}

    def __str__(self) -> str:
        parts = [self.scenario, *([self.variant] if self.variant else [])]
        return ", ".join([*parts, *(f"{name} {level.label}" for name, level in self.levels.items())])


class Plan:
    """All cases of a study, in order: by scenario, then by point, then by variant."""

    def __init__(self, file: StudyFile, runs: int | None) -> None:
        self.file, self.study = file, file.study
        self.runs = runs or file.study.runs
        self.cases = list(self._cases())

    def _cases(self) -> Iterator[Case]:
        points = points_of(self.study)
        variants: list[str | None] = [variant.name for variant in self.study.variants]
        variants = variants or [None]
        for s, scenario in enumerate(self.study.scenarios):
            for p, levels in enumerate(points):
                for v, variant in enumerate(variants):
                    group = s * len(points) + p
                    yield Case(group * len(variants) + v, group, scenario, variant, p, levels)

    def seed(self, k: int) -> int:
        """The seed of each case's k-th run: the same for all cases, so that their differences are theirs alone."""
        return self.study.first_seed + k

    def check(self, progress: Progress | None = None) -> None:
        """See that scenario and site of every case can be used; InputError says which line of the study spoils one."""
        seen: set[str] = set()
        for case in self.cases:
            documents = self.documents(case)
            key = json.dumps(documents)
            if key not in seen:
                seen.add(key)
                self._checked(case, documents)
            if progress is not None:
                progress(0.0, f"checking case {case.number + 1} of {len(self.cases)}")

    def documents(self, case: Case) -> Documents:
        """The texts of a case's scenario and site."""
        try:
            return self._base(case.scenario).changed(self._changes(case))
        except _WrongChange as wrong:
            raise self.file.fault(wrong.change.path_loc, str(wrong)) from None

    def _checked(self, case: Case, documents: Documents) -> None:
        try:
            staged(documents)
        except InputError as error:
            raise self._blamed(case, error) from None

    def _blamed(self, case: Case, error: InputError) -> InputError:
        """The same fault, told of the first change with which it is there."""
        changes = self._changes(case)
        for n in range(1, len(changes) + 1):
            try:
                staged(self._base(case.scenario).changed(changes[:n]))
            except InputError as fault:
                root, _, sentence = _told(fault)
                where = f"{root}.{sentence}" if root else sentence
                return self.file.fault(changes[n - 1].loc, where)
        return error

    def _changes(self, case: Case) -> list[Change]:
        """What a case changes, in order: its variant's changes, then its point's."""
        changes = list(self._of_variant(case.variant))
        for name, level in case.levels.items():
            loc = self._loc(name, level)
            places = [(path, at) for path, at in self.study.vary[name].paths() if not self._lacks(case.variant, path)]
            changes += [Change("set", path, level.value, loc, ("vary", name, *at)) for path, at in places]
        return changes

    def _lacks(self, name: str | None, path: str) -> bool:
        """Whether a variant has taken away what a path is part of, or another one alone has added it."""
        added = {v.name: any(_leads_to(item, path) for item in _added(v)) for v in self.study.variants}
        removed = any(_leads_to(gone, path) for v in self.study.variants if v.name == name for gone in v.remove)
        return not added.get(name or "", False) and (removed or any(added.values()))

    def _loc(self, name: str, level: Level) -> Loc:
        way = "values" if self.study.vary[name].values is not None else "choice"
        return ("vary", name) if level.place is None else ("vary", name, way, level.place)

    def _of_variant(self, name: str | None) -> Iterator[Change]:
        for i, variant in enumerate(self.study.variants):
            if variant.name == name:
                at: Loc = ("variants", i)
                for k, path in enumerate(variant.remove):
                    yield Change("remove", path, None, *[(*at, "remove", k)] * 2)
                for path, items in variant.add.items():
                    yield Change("add", path, items, *[(*at, "add", path)] * 2)
                for path, value in variant.set.items():
                    yield Change("set", path, value, *[(*at, "set", path)] * 2)

    @cached_property
    def _bases(self) -> dict[str, _Base]:
        return {name: _Base.of(name, self.study) for name in self.study.scenarios}

    def _base(self, scenario: str) -> _Base:
        return self._bases[scenario]

    def inputs_digest(self) -> str:
        """SHA-256 over the files that the study begins with: scenarios, sites and their zones."""
        texts = json.dumps([base.documents for base in self._bases.values()], sort_keys=True)
        return hashlib.sha256(texts.encode()).hexdigest()


def _added(variant: Variant) -> Iterator[str]:
    """The places of the items that a variant adds."""
    for path, items in variant.add.items():
        yield from (f"{path}.{id_of(item)}" for item in items)


def _leads_to(part: str, path: str) -> bool:
    return path == part or path.startswith(f"{part}.")


class _WrongChange(InputError):
    """A path that leads nowhere."""

    def __init__(self, change: Change, sentence: str) -> None:
        super().__init__(sentence)
        self.change = change


@dataclass(frozen=True)
class _Base:
    """A scenario and its site as their files have them."""

    documents: Documents
    files: dict[str, dict[str, Any]]
    """Their data; the site's zones as a list of their properties."""
    zones: dict[str, Any]

    @classmethod
    def of(cls, name: str, study: Study) -> _Base:
        scenario = load_scenario(name)
        texts = {**scenario.documents(), **load_site(study.site or scenario.site).documents()}
        site, zones = read_yaml(texts[YAML_DOCUMENT], YAML_DOCUMENT)[0], json.loads(texts[ZONES_DOCUMENT])
        site[ZONES] = [{**(f.get("properties") or {}), "geometry": f["geometry"]} for f in zones["features"]]
        return cls(texts, {"scenario": read_yaml(texts[DOCUMENT], DOCUMENT)[0], "site": site}, zones)

    def changed(self, changes: Sequence[Change]) -> Documents:
        """The texts with changes made to them, the others as they are; _WrongChange where one cannot be made."""
        touched = {change.path.partition(".")[0] for change in changes}
        files = {name: copy.deepcopy(data) if name in touched else data for name, data in self.files.items()}
        for change in changes:
            try:
                apply(files, change)
            except InputError as error:
                raise _WrongChange(change, str(error)) from None
        made = dict(self.documents)
        if "scenario" in touched:
            made[DOCUMENT] = _text(files["scenario"])
        if "site" in touched:
            features = [_feature(zone) for zone in files["site"][ZONES]]
            made[ZONES_DOCUMENT] = _text({**self.zones, "features": features})
            made[YAML_DOCUMENT] = _text({**files["site"], ZONES: ZONES_DOCUMENT})
        return made


def _feature(zone: dict[str, Any]) -> dict[str, Any]:
    properties = {key: value for key, value in zone.items() if key != "geometry"}
    return {"type": "Feature", "properties": properties, "geometry": zone.get("geometry")}


def _text(data: dict[str, Any]) -> str:
    """Data as one line of JSON, which is YAML too."""
    return json.dumps(data, ensure_ascii=False, default=lambda value: value.isoformat())


def _told(error: InputError) -> tuple[str, str, str]:
    """A sentence about texts that were made, taken apart: which of them, and what is wrong in it."""
    found = ORIGIN.match(str(error))
    return (found[1], found[2] or "", str(error)[found.end() :]) if found else ("", "", str(error))


def staged(documents: Documents) -> tuple[Scenario, Site]:
    """The scenario and the site of these texts; InputError says what is wrong with them."""
    scenario, site = scenario_from_documents(documents), site_from_documents(documents)
    faults_of(scenario, site)
    return scenario, site
