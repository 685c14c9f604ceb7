"""ASTERIX in words: every record of the categories that we know, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from opencram.asterix.cat015 import CAT015
from opencram.asterix.cat034 import CAT034
from opencram.asterix.cat048 import CAT048
from opencram.asterix.cat062 import CAT062
from opencram.asterix.cat065 import CAT065
from opencram.asterix.layout import Fault
from opencram.asterix.records import Category, Record, Refused, Value, blocks, records

CATEGORIES: dict[int, Category] = {c.number: c for c in (CAT015, CAT034, CAT048, CAT062, CAT065)}
TIME_OF_DAY = {15: "145", 34: "030", 48: "140", 62: "070", 65: "030"}


class Message(NamedTuple):
    """A record: where its block begins in the data, its category, its fields by path and their units."""

    at: int
    category: int
    record: Record
    units: dict[str, str]

    @property
    def time_of_day_s(self) -> float | None:
        """Seconds since midnight (UTC), where it has a time."""
        time_s = self.record.get(TIME_OF_DAY[self.category])
        return None if time_s is None else float(time_s)


def messages(data: bytes) -> Iterator[Message | Refused]:
    """All records of some data blocks, and what cannot be one."""
    for block in blocks(data):
        if isinstance(block, Refused):
            yield block
            continue
        category = CATEGORIES.get(block.category)
        if category is None:
            yield Refused(block.at, block.category, "", f"is not read, expected {', '.join(map(_three, CATEGORIES))}")
            continue
        try:
            found = records(category, data, block)
        except Fault as fault:
            yield Refused(block.at, block.category, fault.item, fault.what)
            continue
        for plan, number in found:
            units = {path: slot.field.unit for path, slot in plan.slots.items() if slot.field.unit}
            yield Message(block.at, block.category, plan.read(number), units)


def lines(message: Message) -> Iterator[str]:
    """A record for people: a line for each item."""
    titles = {item.number: item.title for item in CATEGORIES[message.category].items if item is not None}
    for number, title in titles.items():
        parts = [
            f"{path.partition('/')[2]} {_value(value, message.units.get(path, ''))}".strip()
            for path, value in message.record.items()
            if path.partition("/")[0] == number
        ]
        if parts:
            yield f"  {number} {title}: {', '.join(parts)}"


def _value(value: Value, unit: str) -> str:
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".strip()


def _three(number: int) -> str:
    return f"{number:03}"
