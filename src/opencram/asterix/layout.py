"""The kinds of data items of ASTERIX, and the notation in which the tables of categories state them.

Fields stand between commas: a name, the bits where it is more than one, and for a quantity the value of its last bit
and its unit: `"D, RHO 16 1/256 NM"`. A letter before the bits is s (two's complement), a (ASCII), i (6-bit ICAO), o
(octal digits) or x (bits without a meaning of their own, as hexadecimal digits). `"- 3"` are spare bits, which are 0.
Item kinds: EUROCONTROL-SPEC-0149, Part 1, edition 3.1, section 4.3.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

FIELD = re.compile(r"(?P<name>\S+)(?: (?P<kind>[saiox]?)(?P<bits>\d+)(?: (?P<lsb>[\d./^]+)(?: (?P<unit>\S+))?)?)?")
MAX_ITEMS = 255


class Field(NamedTuple):
    """A number or text of some bits; `lsb` is the value of its last bit in `unit`. A spare has no name."""

    name: str
    kind: str
    bits: int
    lsb: float
    unit: str


class Fault(Exception):
    """What a record cannot be: the item it was found in, and what is wrong with it. Never leaves this package."""

    def __init__(self, item: str, what: str) -> None:
        super().__init__(item, what)
        self.item, self.what = item, what


class Cell(NamedTuple):
    """Where a field lies in a record: its path such as `625/R` and its first bit, counted from the record's start."""

    path: str
    bit: int
    field: Field


@dataclass
class Walk:
    """One pass over a record that finds out how it is laid out.

    `fixed` are the bits that make the layout (FSPEC, FX, counts, lengths, spares): offset from the record's start ->
    mask. A record with the same bits there is laid out alike.
    """

    data: bytes
    start: int
    at: int
    end: int
    cells: list[Cell] = field(default_factory=list)
    fixed: dict[int, int] = field(default_factory=dict)

    def octets(self, count: int, item: str) -> bytes:
        """The next octets, which are passed; Fault where the block ends before them."""
        first, self.at = self.at, self.at + count
        if self.at > self.end:
            raise Fault(item, "overruns its block")
        return self.data[first : self.at]

    def structure(self, item: str, mask: int = 0xFF) -> int:
        """The next octet, of which the bits of `mask` make the layout."""
        octet = self.octets(1, item)[0]
        self.hold(self.at - 1, mask)
        return octet & mask

    def hold(self, at: int, mask: int) -> None:
        """Note bits that make the layout, in the octet at this place of the data."""
        offset = at - self.start
        self.fixed[offset] = self.fixed.get(offset, 0) | mask

    def put(self, fields: tuple[Field, ...], bit: int, path: str) -> None:
        """Note the fields that begin at a bit of the record; Fault where spare bits are set."""
        for one in fields:
            if one.name:
                self.cells.append(Cell(f"{path}/{one.name}" if path else one.name, bit, one))
            else:
                self._spare(bit, one.bits, path)
            bit += one.bits

    def _spare(self, bit: int, bits: int, path: str) -> None:
        for place in range(bit, bit + bits):
            at, mask = self.start + place // 8, 0x80 >> place % 8
            if self.data[at] & mask:
                raise Fault(path, "spare bits are set")
            self.hold(at, mask)


class Kind(Protocol):
    """How an item is laid out."""

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over the item, noting its fields and what makes its layout."""
        ...


@dataclass(frozen=True)
class Fixed:
    """Fields that fill whole octets."""

    fields: tuple[Field, ...]

    @property
    def octets(self) -> int:
        """How long it is."""
        return sum(one.bits for one in self.fields) // 8

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over it."""
        bit = (walk.at - walk.start) * 8
        walk.octets(self.octets, path)
        walk.put(self.fields, bit, path)


@dataclass(frozen=True)
class Extended:
    """Parts of some octets, each ending in a bit FX that says whether the next follows."""

    parts: tuple[tuple[Field, ...], ...]

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over the parts that are there."""
        for fields in self.parts:
            bit = (walk.at - walk.start) * 8
            walk.octets((sum(one.bits for one in fields) + 1) // 8, path)
            walk.put(fields, bit, path)
            walk.hold(walk.at - 1, 0x01)
            if not walk.data[walk.at - 1] & 0x01:
                return
        raise Fault(path, "goes on beyond its last extent")


@dataclass(frozen=True)
class Repeated:
    """An octet with a count, then so many times the fields."""

    fields: tuple[Field, ...]

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over all repetitions."""
        part = Fixed(self.fields)
        for number in range(walk.structure(path)):
            part.walk(walk, f"{path}/{number}")


@dataclass(frozen=True)
class Chained:
    """The fields and a bit FX, again and again until FX is 0."""

    fields: tuple[Field, ...]

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over all repetitions; the block's end is their limit."""
        for number in range(MAX_ITEMS):
            bit = (walk.at - walk.start) * 8
            walk.octets((sum(one.bits for one in self.fields) + 1) // 8, path)
            walk.put(self.fields, bit, f"{path}/{number}")
            walk.hold(walk.at - 1, 0x01)
            if not walk.data[walk.at - 1] & 0x01:
                return
        raise Fault(path, f"has more than {MAX_ITEMS} repetitions")


@dataclass(frozen=True)
class Explicit:
    """An octet with the length, itself included, then what only sender and receiver know."""

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over it; its content is kept as hexadecimal digits."""
        length = walk.structure(path)
        if length < 2:
            raise Fault(path, f"states a length of {length}")
        bit = (walk.at - walk.start) * 8
        walk.octets(length - 1, path)
        walk.put((Field("content", "x", 8 * (length - 1), 1.0, ""),), bit, path)


@dataclass(frozen=True)
class Single:
    """An item that is one field; its path is the item's own."""

    field: Field

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over it."""
        bit = (walk.at - walk.start) * 8
        walk.octets(self.field.bits // 8, path)
        walk.cells.append(Cell(path, bit, self.field))


@dataclass(frozen=True)
class Compound:
    """Octets that say which of the parts are there (FX in their last bits), then those parts."""

    parts: tuple[tuple[str, Kind] | None, ...]

    def walk(self, walk: Walk, path: str) -> None:
        """Pass over the parts that are there."""
        for part in present(walk, path, self.parts):
            name, kind = part
            kind.walk(walk, f"{path}/{name}")


def present(walk: Walk, path: str, parts: tuple[tuple[str, Kind] | None, ...]) -> list[tuple[str, Kind]]:
    """Read the presence bits of a record or of a compound item: which parts follow. None is a bit that is not used."""
    found: list[tuple[str, Kind]] = []
    for first in range(0, len(parts), 7):
        octet = walk.structure(path)
        for number, part in enumerate(parts[first : first + 7]):
            if octet & 0x80 >> number:
                if part is None:
                    raise Fault(path, f"presence bit {first + number + 1} is set, which is not used")
                found.append(part)
        unused = 0xFE & (0xFF >> len(parts[first : first + 7]))
        if octet & unused:
            raise Fault(path, "presence bits are set that are not used")
        if not octet & 0x01:
            if not found:
                raise Fault(path, "says that nothing is in it")
            return found
    raise Fault(path, "presence bits go on beyond the last item")


# ---- the notation of the tables -----------------------------------------------------------------------------------


def fixed(text: str) -> Fixed:
    """Fields that fill whole octets, in the notation above."""
    found = Fixed(_fields(text))
    if sum(one.bits for one in found.fields) % 8:
        raise ValueError(f"'{text}': found {sum(one.bits for one in found.fields)} bits, expected whole octets")
    return found


def extended(*parts: str) -> Extended:
    """Parts that each end in FX, which is not written."""
    return Extended(tuple(_fields(part) for part in parts))


def repeated(text: str) -> Repeated:
    """Fields behind a count."""
    return Repeated(_fields(text))


def chained(text: str) -> Chained:
    """Fields and FX, again and again."""
    return Chained(_fields(text))


def single(text: str) -> Single:
    """An item that is one field, without its name: `"24 1/128 s"`."""
    return Single(_field(f"value {text}"))


def compound(*parts: tuple[str, Kind] | str | None) -> Compound:
    """Parts behind presence bits; text is a part of one field, None a bit that is not used."""
    return Compound(tuple(_part(part) for part in parts))


def _part(part: tuple[str, Kind] | str | None) -> tuple[str, Kind] | None:
    if not isinstance(part, str):
        return part
    only = _field(part)
    return only.name, Single(only)


def _fields(text: str) -> tuple[Field, ...]:
    return tuple(_field(one) for one in text.split(", "))


def _field(text: str) -> Field:
    match = FIELD.fullmatch(text)
    if match is None:
        raise ValueError(f"found '{text}', expected NAME BITS or NAME BITS LSB UNIT")
    name = "" if match["name"] == "-" else match["name"]
    kind, bits, lsb = match["kind"] or "u", int(match["bits"] or "1"), _number(match["lsb"] or "1")
    return Field(name, kind, bits, lsb, match["unit"] or "")


def _number(text: str) -> float:
    """`1/128`, `360/2^16` or `0.01`."""
    above, _, below = text.partition("/")
    base, _, power = below.partition("^")
    return float(above) / (float(base) ** int(power or "1") if base else 1.0)
