"""Changes to a scenario or a site as people wrote them: a place named by a dotted path, and what stands there instead.

Paths are walked in the file's own keys and values, with its model beside them: so a place that the file leaves out has
its default, and a wrong key is answered with the nearest one. The models then check the whole as they check a file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opencram.errors import InputError
from opencram.fields import Model
from opencram.site import Site, Zone
from opencram.world.scenario import Marked, Scenario
from opencram.yamlfile import Loc, nearest, shown

WHY = "set by the study"
IDS = ("id", "sensor", "name", "key")
"""What an item of a list is named by: the first of these that it has."""


class ZoneProperties(Model):
    """What may be changed of a zone; its outline is left to editors of GeoJSON."""

    id: str
    name: str
    kind: str
    people: int
    time_to_shelter_s: float
    protected: bool


@dataclass(frozen=True)
class Change:
    """One change, and where the study file names its value and its path."""

    act: Literal["set", "add", "remove"]
    path: str
    value: Any
    loc: Loc
    path_loc: Loc


@dataclass(frozen=True)
class Shape:
    """What may stand at a place: models, and whether keys are free to choose there."""

    models: tuple[type[BaseModel], ...] = ()
    free: bool = False

    @classmethod
    def of(cls, annotation: Any) -> Shape:  # noqa: ANN401
        """The shape of a field with this annotation."""
        return cls(tuple(_models(annotation)), _is_free(annotation))

    @cached_property
    def fields(self) -> dict[str, FieldInfo]:
        """The keys that may stand there."""
        return {field.alias or key: field for model in self.models for key, field in model.model_fields.items()}

    @property
    def mark(self) -> type[BaseModel] | None:
        """The marked value that stands there, if one does."""
        return next((model for model in self.models if issubclass(model, Marked)), None)

    def below(self, key: str) -> Shape | None:
        """The shape at a key; None where there may be no such key."""
        if key in self.fields:
            return Shape.of(self.fields[key].annotation)
        return Shape(self.models) if self.free or not self.models else None


MARK = frozenset(Marked.model_fields)


@dataclass(frozen=True)
class _Place:
    """Where a path leads: what holds it, its key or place there, and what may stand there."""

    holder: Any
    key: Any
    shape: Shape


def apply(files: dict[str, dict[str, Any]], change: Change) -> None:
    """Change the data of the files ('scenario', 'site') in place; InputError says which part of the path is wrong."""
    root, _, rest = change.path.partition(".")
    if root not in files or not rest:
        raise InputError(f"found the path '{change.path}', expected one that begins with scenario. or site.")
    shape = Shape((Scenario,)) if root == "scenario" else Shape((Site,))
    place = _place(files[root], shape, rest.split("."), change.path)
    acts = {"set": _set, "add": _add, "remove": _remove}
    acts[change.act](place, change)


def _set(place: _Place, change: Change) -> None:
    value, marked = change.value, isinstance(change.value, dict) and bool(MARK & change.value.keys())
    place.holder[place.key] = {"assumed": value, "why": WHY} if place.shape.mark and not marked else value
    if place.key == "count" and isinstance(aims := place.holder.get("aims"), list) and aims:
        _aim_each(aims, value)


def _aim_each(aims: list[Any], count: Any) -> None:  # noqa: ANN401
    """A salvo of another size aims at the same points in turn, from the first again when there are no more."""
    if isinstance(count, int) and not isinstance(count, bool) and 0 < count <= 1_000:
        aims[:] = [aims[i % len(aims)] for i in range(count)]


def _add(place: _Place, change: Change) -> None:
    if isinstance(place.holder, dict):
        place.holder.setdefault(place.key, [])
    there = place.holder[place.key]
    if not isinstance(there, list):
        raise InputError(f"found {shown(there)} at '{change.path}', expected a list to add to")
    there.extend(change.value)


def _remove(place: _Place, change: Change) -> None:
    if isinstance(place.holder, dict) and place.key not in place.holder:
        raise InputError(f"found nothing at '{change.path}', expected what is to be removed")
    del place.holder[place.key]


def _place(here: Any, shape: Shape, steps: list[str], path: str) -> _Place:  # noqa: ANN401
    """The place that the last of `steps` names, below `here`."""
    if shape.mark is not None and steps[0] not in MARK:
        here, shape = _unmarked(here, shape.mark)
    if isinstance(here, list):
        i, used = _item(here, steps, path)
        return _Place(here, i, shape) if used == len(steps) else _place(here[i], shape, steps[used:], path)
    if not isinstance(here, dict):
        raise InputError(f"found {shown(here)} before '{steps[0]}' in '{path}', expected keys and values")
    key, below = steps[0], shape.below(steps[0])
    if below is None and key not in here:
        raise InputError(f"found '{key}' in the path '{path}', expected {nearest(key, list(shape.fields))}")
    below = below or Shape()
    if len(steps) == 1:
        return _Place(here, key, below)
    if here.get(key) is None:
        here[key] = _default(shape.fields.get(key))
    return _place(here[key], below, steps[1:], path)


def _item(items: list[Any], steps: list[str], path: str) -> tuple[int, int]:
    """Which item of a list the next steps name, and how many of them that takes: an id may have dots of its own."""
    ids = [id_of(item) for item in items]
    for used in range(len(steps), 0, -1):
        if (name := ".".join(steps[:used])) in ids:
            return ids.index(name), used
    if steps[0].isdecimal() and int(steps[0]) < len(items):
        return int(steps[0]), 1
    named = [name for name in ids if name is not None]
    what = nearest(steps[0], named) if named else f"a number below {len(items)}" if items else "an item"
    raise InputError(f"found '{steps[0]}' in the path '{path}', expected {what}")


def id_of(item: Any) -> str | None:  # noqa: ANN401
    """What an item of a list is named by; None for one without a name."""
    found = [item[key] for key in IDS if key in item] if isinstance(item, dict) else []
    return str(found[0]) if found and isinstance(found[0], str | int) else None


def _unmarked(here: Any, mark: type[BaseModel]) -> tuple[Any, Shape]:  # noqa: ANN401
    """The value inside a mark, which is from here on an assumption of the study's."""
    shape = Shape.of(mark.model_fields["assumed"].annotation)
    if not isinstance(here, dict):
        return here, shape
    value = here.pop("reported", None)
    here.pop("source", None)
    here["assumed"] = here.get("assumed", {} if value is None else value)
    here["why"] = WHY
    return here["assumed"], shape


def _default(field: FieldInfo | None) -> Any:  # noqa: ANN401
    """What a key stands for that a file leaves out, as data."""
    value = field.get_default(call_default_factory=True, validated_data={}) if field else None
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_none=True, warnings=False)
    return [] if isinstance(value, tuple) else {}


def _models(annotation: Any) -> Iterable[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [ZoneProperties if annotation is Zone else annotation]
    return [model for part in get_args(annotation) for model in _models(part)]


def _is_free(annotation: Any) -> bool:  # noqa: ANN401
    return get_origin(annotation) is dict or any(_is_free(part) for part in get_args(annotation))
