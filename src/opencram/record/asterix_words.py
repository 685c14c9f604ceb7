"""The content of an ASTERIX file, for people and for programs, a line at a time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from opencram.asterix.inspect import CATEGORIES, Message, lines
from opencram.asterix.records import Refused
from opencram.record.asterix import AsterixFile


def as_text(file: AsterixFile) -> Iterator[str]:
    """Each record with a line for each item, then a line of counts."""
    for packet, received_ns, message in file.messages():
        sender = f", from {packet.address}" if packet.address else ""
        head = f"octet {message.at}, {_iso(received_ns)}{sender}: category {message.category:03}"
        if isinstance(message, Refused):
            yield f"{head}{f', item {message.item}' if message.item else ''}: refused: {message.what}"
            continue
        yield f"{head}, {CATEGORIES[message.category].title}"
        yield from lines(message)
    yield f"{file.path}: {file.summary()}"
    for what, count in file.left_out.items():
        yield f"{file.path}: left out {count} {what}"


def as_json_lines(file: AsterixFile) -> Iterator[str]:
    """A JSON object for each record, and for each place that holds none."""
    import json

    for packet, received_ns, message in file.messages():
        head = {"octet": message.at, "received": _iso(received_ns), "from": packet.address}
        if isinstance(message, Message):
            what: dict[str, object] = {"category": message.category, "record": message.record}
        else:
            what = {"category": message.category, "item": message.item, "refused": message.what}
        yield json.dumps(head | what)


def _iso(time_ns: int) -> str:
    return f"{np.datetime64(time_ns, 'ns')}Z"
