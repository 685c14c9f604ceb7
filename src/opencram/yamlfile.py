"""YAML files read strictly, and what is wrong with them said in one sentence that names file, line, field and remedy.

YAML 1.2: `33:20:10` stays text, `1e3` is a number, `no` is text, a key that is there twice is a fault.
"""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import CollectionEndEvent, CollectionStartEvent
from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

from opencram.errors import InputError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Loc = tuple[str | int, ...]
Lines = dict[Loc, int]
M = TypeVar("M", bound=BaseModel)

MAX_BYTES = 1_000_000
"""Longer text is refused: the largest built-in file has some 10 kB."""
MAX_NODES = 100_000
"""More keys, items and values are refused."""
MAX_DEPTH = 30
"""Deeper nesting is refused, an alias that contains itself above all."""

MAX_NAMED = 12
"""Valid words that a sentence names where none is near to the one found."""


def read_text(path: Path, max_bytes: int = MAX_BYTES) -> str:
    """The text of a UTF-8 file; InputError where it is missing, a folder, unreadable, empty, too long or binary."""
    if path.is_dir():
        raise InputError(f"{path}: found a folder, expected a file")
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= max_bytes else b""
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"{path}: found a file that cannot be read ({reason})") from None
    if size > max_bytes:
        raise InputError(f"{path}: found {size} bytes, expected at most {max_bytes}")
    if b"\x00" in raw:
        raise InputError(f"{path}: found binary data, expected UTF-8 text")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise InputError(f"{path} line {line}: found bytes that are not UTF-8, expected UTF-8 text") from None
    if not text.strip():
        raise InputError(f"{path}: found an empty file, expected text")
    return text


def read_yaml(source: Path | str, name: str) -> tuple[dict[str, Any], Lines]:
    """The mapping in a YAML file (a Path) or text (a str), and the line of each of its keys and items.

    `name` stands for the source in the sentence of the InputError. Lines are counted from 1 and found by the path
    to the value: `lines[("sensors", 0, "id")]`.
    """
    text = read_text(source) if isinstance(source, Path) else source
    if (made := _one_line_of_json(text)) is not None:
        return made, {}
    try:
        data, lines = _parsed(text, name)
    except MarkedYAMLError as error:
        raise InputError(_not_yaml(error, name)) from None
    except (YAMLError, ValueError) as error:
        raise InputError(f"{name}: found text that is not YAML ({_first_line(error)})") from None
    if data is None:
        raise InputError(f"{name}: found nothing but comments, expected keys and values")
    if not isinstance(data, dict):
        raise InputError(f"{name} line 1: found {shown(data)}, expected keys and values ('name: ...')")
    return data, lines


def _one_line_of_json(text: str) -> dict[str, Any] | None:
    """What a program wrote as one line of JSON, which is YAML and read in a hundredth of the time; else None.

    There are no lines to tell. What JSON allows and YAML does not (a key twice, NaN) is left to be told as YAML's.
    """
    if not text.startswith("{") or "\n" in text:
        return None
    try:
        data = json.loads(text, object_pairs_hook=_each_once, parse_constant=_each_once)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _each_once(pairs: Any) -> dict[str, Any]:  # noqa: ANN401
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def validate(model: type[M], data: Any, lines: Lines, name: str) -> M:  # noqa: ANN401
    """`data` as a `model`; InputError with the first fault as a sentence and the number of further ones."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        faults = _innermost(error.errors(include_url=False))
    unknown_first = sorted(faults, key=lambda f: (f["type"] != "extra_forbidden", line_of(f["loc"], lines) or 0))
    more = f" (+{len(faults) - 1} more)" if len(faults) > 1 else ""
    raise InputError(_sentence(unknown_first[0], model, data, lines, name) + more)


def line_of(loc: Loc, lines: Lines) -> int | None:
    """The line of the value at `loc`, or of the nearest thing around it that has one; None for other sources."""
    for n in range(len(loc), 0, -1):
        if loc[:n] in lines:
            return lines[loc[:n]]
    return None


def at(name: str, loc: Loc, lines: Lines) -> str:
    """Where a fault is, as its sentence begins: 'site.yaml line 7: sensors[0].position'."""
    line = line_of(loc, lines)
    where = f"{name} line {line}" if line else name
    return f"{where}: {dotted(loc)}" if loc else where


def dotted(loc: Loc) -> str:
    """A path to a value as people write it: `sensors[0].position`."""
    return "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in loc).removeprefix(".")


def nearest(word: str, valid: list[str]) -> str:
    """The valid word that `word` was most likely meant to be, or all of them where none is near."""
    close = difflib.get_close_matches(word.lower(), valid, n=1, cutoff=0.6)
    if close or len(valid) == 1:
        return f"'{(close or valid)[0]}'"
    more = f" or {len(valid) - MAX_NAMED} others" if len(valid) > MAX_NAMED else ""
    return f"one of {', '.join(valid[:MAX_NAMED])}{more}" if valid else "nothing there"


def _innermost(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without the faults of a whole that only follow from its parts', as when a list is too short for its bad items."""
    places = [f["loc"] for f in faults]
    return [f for f in faults if not any(len(p) > len(f["loc"]) and p[: len(f["loc"])] == f["loc"] for p in places)]


def _parsed(text: str, name: str) -> tuple[Any, Lines]:
    """What the text holds and the lines of it; YAMLError where it is no YAML 1.2.

    The C parser takes an eighth of the time, but knows YAML 1.1 alone: what it refuses is read by the other one, which
    has the last word on what is a fault and where.
    """
    try:
        return _composed(YAML(typ="safe"), text, name)
    except (YAMLError, ValueError):
        return _composed(YAML(typ="safe", pure=True), text, name)


def _composed(yaml: Any, text: str, name: str) -> tuple[Any, Lines]:  # noqa: ANN401
    _refuse_deep(yaml, text, name)
    node = yaml.compose(text)
    lines = _lines_of(node, name)
    return (yaml.constructor.construct_document(node) if node is not None else None), lines


def _refuse_deep(yaml: Any, text: str, name: str) -> None:  # noqa: ANN401
    """InputError for values nested more than MAX_DEPTH deep: composing them would overflow the C parser's stack."""
    depth = 0
    for event in yaml.parse(text):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise InputError(_too_deep(name))


def _too_deep(name: str) -> str:
    return f"{name}: found values nested more than {MAX_DEPTH} deep"


def _lines_of(root: Any, name: str) -> Lines:  # noqa: ANN401
    lines: Lines = {}
    stack: list[tuple[Loc, Any]] = [((), root)]
    for _ in range(MAX_NODES):
        if not stack:
            return lines
        loc, node = stack.pop()
        if len(loc) > MAX_DEPTH:
            raise InputError(_too_deep(name))
        if isinstance(node, MappingNode):
            for key, value in node.value:
                here = (*loc, key.value if isinstance(key, ScalarNode) else "?")
                lines[here] = key.start_mark.line + 1
                stack.append((here, value))
        elif isinstance(node, SequenceNode):
            for i, value in enumerate(node.value):
                lines[(*loc, i)] = value.start_mark.line + 1
                stack.append(((*loc, i), value))
    raise InputError(f"{name}: found more than {MAX_NODES} values")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _not_yaml(error: MarkedYAMLError, name: str) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{name} line {mark.line + 1} column {mark.column + 1}" if mark else name
    problem = " ".join(str(error.problem or error.context).split())
    if "duplicate key" in problem:
        key = problem.split('"')[1]
        return f"{where}: found the key '{key}' twice, expected it once"
    return f"{where}: found text that is not YAML ({problem.replace('found ', '', 1)})"


def _sentence(fault: ErrorDetails, model: type[BaseModel], data: Any, lines: Lines, name: str) -> str:  # noqa: ANN401
    loc = _in_data(fault["loc"], data)
    where = at(name, loc, lines)
    if fault["type"] == "extra_forbidden":
        valid = _keys_at(model, fault["loc"][:-1])
        return f"{where}: found an unknown key, expected {nearest(str(loc[-1]), valid)}"
    if fault["type"] == "missing":
        return f"{where}: found nothing, expected a value (it is required)"
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error" and message.startswith("found"):
        return f"{where}: {message}"
    return f"{where}: found {shown(fault['input'])}, expected {_expected(fault['type'], message)}"


def _expected(kind: str, message: str) -> str:
    if kind in {"model_type", "dict_type", "model_attributes_type"}:
        return "keys and values"
    if kind in {"tuple_type", "list_type"}:
        return "a list"
    if " should have " in message:
        return message.partition(" should have ")[2].partition(" after")[0]
    text = message.removeprefix("Input should be ").removeprefix("Value should be ").replace(" valid ", " ")
    return f"a number {text}" if text.startswith(("greater", "less", "finite")) else text[:1].lower() + text[1:]


def _in_data(loc: Loc, data: Any) -> Loc:  # noqa: ANN401
    """`loc` without the parts that name a branch of a union: only what can be walked in `data`, and the last."""
    kept: list[str | int] = []
    for i, part in enumerate(loc):
        inside = (isinstance(data, dict) and part in data) or (
            isinstance(data, list) and isinstance(part, int) and part < len(data)
        )
        if inside:
            data = data[part]
        if inside or (i == len(loc) - 1 and isinstance(data, dict)):
            kept.append(part)
    return tuple(kept)


def _keys_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The keys that are valid at `loc`."""
    here = [model]
    for part in loc:
        fields = [m.model_fields[part] for m in here if isinstance(part, str) and part in m.model_fields]
        inner = [m for f in fields for m in _models_in(f.annotation)]
        here = inner or [m for m in here if m.__name__ == part] or here
    return [f.alias or key for m in here for key, f in m.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [m for arg in get_args(annotation) for m in _models_in(arg)]


def shown(value: Any) -> str:  # noqa: ANN401
    """A value short enough for a sentence."""
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if value is None:
        return "nothing"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
