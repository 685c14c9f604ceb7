"""Data blocks and records of any category: read strictly, and written.

A record's layout follows from a few of its bits: which items are there, how far chains go, counts. It is worked out
once (`Plan`) and kept; a record with the same bits is then checked and read by a few operations on one long integer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from opencram.asterix.layout import (
    Cell,
    Chained,
    Compound,
    Extended,
    Field,
    Fixed,
    Kind,
    Repeated,
    Single,
    Walk,
    present,
)

HEADER = 3
"""Octets of a block's category and length; the length counts them too."""
MAX_PLANS = 512
"""Layouts remembered of a category: radars use a handful; noise that makes up more only costs time."""
ICAO = "?ABCDEFGHIJKLMNOPQRSTUVWXYZ????? ???????????????0123456789??????"
"""The six-bit letters of ICAO Annex 10, volume IV, table 3-8; what has no letter is '?'."""

Value = float | int | str
Record = dict[str, Value]
"""Path of each field that is there (`625/R`, `250/0/MBDATA`) -> its value in the unit of its table."""


@dataclass(frozen=True)
class Item:
    """A data item: its number, what it is, and how it is laid out."""

    number: str
    title: str
    kind: Kind


@dataclass(frozen=True)
class Category:
    """A category's items in the order of its user application profile; None is a number that is not used."""

    number: int
    edition: str
    title: str
    items: tuple[Item | None, ...]
    picks: tuple[str, ...] = ()
    """The paths of what `Plan.pick` gives."""
    plans: dict[bytes, list[Plan]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def parts(self) -> tuple[tuple[str, Kind] | None, ...]:
        """Numbers and kinds of the items."""
        return tuple(None if item is None else (item.number, item.kind) for item in self.items)


class Slot(NamedTuple):
    """A field of a record taken as one long integer: shifted right and masked."""

    shift: int
    ones: int
    field: Field

    def raw(self, number: int) -> int:
        """The field's bits, with their sign where they have one."""
        bits = number >> self.shift & self.ones
        return bits - self.ones - 1 if self.field.kind == "s" and bits > self.ones >> 1 else bits

    def value(self, number: int) -> Value:
        """The field's value in its unit, or its text."""
        kind, bits = self.field.kind, self.field.bits
        raw = self.raw(number)
        match kind:
            case "a":
                return "".join(chr(octet) if 32 <= octet < 127 else "?" for octet in raw.to_bytes(bits // 8))
            case "i":
                return "".join(ICAO[raw >> low & 63] for low in range(bits - 6, -1, -6))
            case "o":
                return f"{raw:0{bits // 3}o}"
            case "x":
                return f"{raw:0{-(-bits // 4)}x}"
        return raw * self.field.lsb if self.field.unit or self.field.lsb != 1.0 else raw


class Plan(NamedTuple):
    """How a record is laid out: its length, the bits by which its like are told, and where its fields lie."""

    octets: int
    mask: int
    bits: int
    slots: dict[str, Slot]
    picks: tuple[tuple[int, int, int, float] | None, ...]
    """The category's picks: shift, mask, sign bit and value of the last bit; None where it is not there."""

    def pick(self, number: int) -> list[float | None]:
        """The category's picks of a record, in their units."""
        return [None if p is None else ((number >> p[0] & p[1] ^ p[2]) - p[2]) * p[3] for p in self.picks]

    def read(self, number: int) -> Record:
        """All fields of a record, given as one integer."""
        return {path: slot.value(number) for path, slot in self.slots.items()}


class Refused(NamedTuple):
    """What is no record: where in the data, of which category and item, and why."""

    at: int
    category: int
    item: str
    what: str

    @property
    def sentence(self) -> str:
        """For people: where and what."""
        where = f"category {self.category:03}" if self.category else "data block"
        item = f", item {self.item}" if self.item else ""
        return f"octet {self.at}, {where}{item}: {self.what}"


class Block(NamedTuple):
    """A data block: where it begins and ends in the data, and its category."""

    at: int
    end: int
    category: int


def blocks(data: bytes) -> Iterator[Block | Refused]:
    """The data blocks that stand one behind the other; what cannot be one ends the search, for its length is false."""
    at = 0
    while at < len(data):
        left = len(data) - at
        length = int.from_bytes(data[at + 1 : at + HEADER])
        if left < HEADER:
            yield Refused(at, 0, "", f"{left} octets are left, expected a block of at least {HEADER}")
            return
        if not HEADER < length <= left:
            yield Refused(at, 0, "", f"states a length of {length}, expected {HEADER + 1} to {left}")
            return
        yield Block(at, at + length, data[at])
        at += length


def records(category: Category, data: bytes, block: Block) -> list[tuple[Plan, int]]:
    """All records of a block, each with its plan, as integers.

    Fault where one of them is none: a block that does not come out even is not trusted in any of its parts, for its
    sender follows another table.
    """
    found = []
    at = block.at + HEADER
    while at < block.end:
        plan = plan_of(category, data, at, block.end)
        found.append((plan, int.from_bytes(data[at : at + plan.octets])))
        at += plan.octets
    return found


def plan_of(category: Category, data: bytes, at: int, end: int) -> Plan:
    """How the record at this place is laid out; Fault where it cannot be one."""
    first = at
    while first < end and data[first] & 0x01:
        first += 1
    presence = data[at : first + 1]
    for plan in category.plans.get(presence, ()):
        if at + plan.octets <= end and int.from_bytes(data[at : at + plan.octets]) & plan.mask == plan.bits:
            return plan
    plan = _walked(category, data, at, end)
    if sum(map(len, category.plans.values())) >= MAX_PLANS:
        category.plans.clear()
    category.plans.setdefault(presence, []).append(plan)
    return plan


def _walked(category: Category, data: bytes, at: int, end: int) -> Plan:
    walk = Walk(data, at, at, end)
    for name, kind in present(walk, "FSPEC", category.parts):
        kind.walk(walk, name)
    octets = walk.at - at
    mask = int.from_bytes(bytes(walk.fixed.get(offset, 0) for offset in range(octets)))
    bits = int.from_bytes(data[at : walk.at]) & mask
    slots = {cell.path: _slot(cell, octets) for cell in walk.cells}
    picks = tuple(_pick(slots[path]) if path in slots else None for path in category.picks)
    return Plan(octets, mask, bits, slots, picks)


def _slot(cell: Cell, octets: int) -> Slot:
    return Slot(8 * octets - cell.bit - cell.field.bits, (1 << cell.field.bits) - 1, cell.field)


def _pick(slot: Slot) -> tuple[int, int, int, float]:
    sign = slot.ones + 1 >> 1 if slot.field.kind == "s" else 0
    return slot.shift, slot.ones, sign, slot.field.lsb


# ---- writing ------------------------------------------------------------------------------------------------------


def block_of(category: Category, written: Sequence[bytes]) -> bytes:
    """Records as one data block."""
    body = b"".join(written)
    return bytes([category.number]) + (HEADER + len(body)).to_bytes(2) + body


def write(category: Category, record: Mapping[str, float]) -> bytes:
    """A record from its fields by path; fields of an item that are not named are 0.

    ValueError where a path names no field, a value does not fit into its bits, or an item is of a kind that we do not
    write (texts, repetitions, what is explicit).
    """
    rest = dict(record)
    body = _compound(category.parts, "", rest)
    if rest:
        raise ValueError(f"found {', '.join(rest)}, expected fields of category {category.number:03}")
    return body


def _compound(parts: Sequence[tuple[str, Kind] | None], path: str, rest: dict[str, float]) -> bytes:
    presence, body = [], b""
    for number, part in enumerate(parts):
        if number % 7 == 0:
            presence.append(0)
        if part is None:
            continue
        name = f"{path}/{part[0]}" if path else part[0]
        if any(key == name or key.startswith(name + "/") for key in rest):
            presence[-1] |= 0x80 >> number % 7
            body += _item(part[1], name, rest)
    while len(presence) > 1 and not presence[-1]:
        presence.pop()
    return bytes(octet | 0x01 for octet in presence[:-1]) + bytes(presence[-1:]) + body


def _item(kind: Kind, path: str, rest: dict[str, float]) -> bytes:
    match kind:
        case Single(one):
            return _number([(one, rest.pop(path))]).to_bytes(one.bits // 8)
        case Fixed(fields):
            return _number(_taken(fields, path, rest)).to_bytes(kind.octets)
        case Compound(parts):
            return _compound(parts, path, rest)
        case Extended(parts):
            return _extended(parts, path, rest)
        case Repeated(fields) | Chained(fields):
            raise ValueError(f"{path}: found a repetition, expected an item that we write")
    raise ValueError(f"{path}: found what is explicit, expected an item that we write")


def _extended(parts: Sequence[tuple[Field, ...]], path: str, rest: dict[str, float]) -> bytes:
    """As many parts as hold a field that is named."""
    named = [any(f"{path}/{one.name}" in rest for one in fields) for fields in parts]
    last = max(number for number, some in enumerate(named) if some)
    written = b""
    for number, fields in enumerate(parts[: last + 1]):
        octets = (sum(one.bits for one in fields) + 1) // 8
        written += (_number(_taken(fields, path, rest)) << 1 | (number < last)).to_bytes(octets)
    return written


def _taken(fields: Sequence[Field], path: str, rest: dict[str, float]) -> list[tuple[Field, float]]:
    return [(one, rest.pop(f"{path}/{one.name}", 0) if one.name else 0) for one in fields]


def _number(values: Sequence[tuple[Field, float]]) -> int:
    number = 0
    for one, value in values:
        raw = round(value / one.lsb)
        low = -(1 << one.bits - 1) if one.kind == "s" else 0
        if not low <= raw < low + (1 << one.bits):
            raise ValueError(f"{one.name}: found {value:g}, expected what fits into {one.bits} bits")
        number = number << one.bits | raw & (1 << one.bits) - 1
    return number
