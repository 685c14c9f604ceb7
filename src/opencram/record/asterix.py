"""A file of ASTERIX, a capture of a network or data blocks one behind the other -> the ticks of a pipeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from opencram.asterix.inspect import Message, messages
from opencram.asterix.plots import DAY_NS, TICK_NS, at_time_of_day
from opencram.asterix.records import Refused, blocks
from opencram.errors import InputError
from opencram.record.capture import Packet, is_capture, read_capture
from opencram.record.plots import cuts_of, tick_times
from opencram.tables import Datagram, IntArray

if TYPE_CHECKING:
    from opencram.site import Site

SUFFIXES = (".ast", ".bin", ".raw", ".pcap", ".pcapng")
MAX_BYTES = 2_000_000_000
NO_DATE_NS = DAY_NS
"""Blocks say the time of day and no date: where nothing else tells it, it is 1970-01-02, so that the day before is one
too."""


@dataclass(frozen=True, eq=False)
class AsterixFile:
    """Datagrams (of a file of blocks: the blocks) in the order in which they were received."""

    path: Path
    packets: list[Packet]
    received_ns: IntArray
    left_out: dict[str, int]
    """What else was in a capture, counted by what it is."""

    def __len__(self) -> int:
        return len(self.packets)

    def between(self, from_ns: int | None, to_ns: int | None) -> AsterixFile:
        """What was received within these times, both included."""
        first = 0 if from_ns is None else int(np.searchsorted(self.received_ns, from_ns, "left"))
        last = len(self) if to_ns is None else int(np.searchsorted(self.received_ns, to_ns, "right"))
        return AsterixFile(self.path, self.packets[first:last], self.received_ns[first:last], self.left_out)

    def ticks(self, site: Site) -> Iterator[tuple[int, list[Datagram]]]:
        """Times and inputs of the ticks, as those of a table of plots."""
        for now_ns, (first, last) in tick_times(self.received_ns, cuts_of(self.received_ns, site), site):
            yield now_ns, [self._datagram(row) for row in range(first, last)]

    def _datagram(self, row: int) -> Datagram:
        """A file may hold real targets and simulated ones, and alarms nobody."""
        packet, received_ns = self.packets[row], int(self.received_ns[row])
        return Datagram(received_ns=received_ns, address=packet.address, data=packet.data, simulated=None)

    def messages(self) -> Iterator[tuple[Packet, int, Message | Refused]]:
        """Every record and what cannot be one, with its packet and when that was received; places are the file's."""
        for packet, received_ns in zip(self.packets, self.received_ns.tolist(), strict=True):
            for message in messages(packet.data):
                yield packet, received_ns, message._replace(at=packet.at + message.at)

    def summary(self) -> str:
        """What is in it, counted, and what was refused first."""
        found: Counter[str] = Counter()
        first = ""
        for _, _, message in self.messages():
            if isinstance(message, Refused):
                first = first or message.sentence
            found["refused" if isinstance(message, Refused) else f"category {message.category:03}"] += 1
        counts = [f"{what}: {count}" for what, count in sorted(found.items())]
        return ", ".join(counts) + (f" ({first})" if first else "")


def read_asterix(path: Path, date_ns: int | None = None) -> AsterixFile:
    """Read a file; InputError where it cannot be one.

    Of a file of blocks the date is that of `date_ns`; what was measured at a time counts as received then, but never
    before what stands ahead of it.
    """
    try:
        size = path.stat().st_size
        if not 0 < size <= MAX_BYTES:
            raise InputError(f"{path}: found {size} octets, expected 1 to {MAX_BYTES}")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: found '{error.strerror}', expected a file that can be read") from None
    if is_capture(data):
        return _from_capture(path, data)
    if path.suffix.lower() in (".pcap", ".pcapng"):
        raise InputError(f"{path}: octet 0: found {data[:4].hex(' ')}, expected a capture (pcap or pcapng)")
    return _from_blocks(path, data, date_ns)


def _from_capture(path: Path, data: bytes) -> AsterixFile:
    packets, left_out = read_capture(data)
    if not packets:
        found = ", ".join(f"{count} {what}" for what, count in left_out.items()) or "no packets"
        raise InputError(f"{path}: found {found}, expected UDP datagrams")
    times_ns = np.array([-1 if p.time_ns is None else p.time_ns for p in packets], np.int64)
    if times_ns[0] < 0:
        raise InputError(f"{path}: found packets without a time, expected one for each")
    return AsterixFile(path, packets, _rising(times_ns), left_out)


def _rising(times_ns: IntArray) -> IntArray:
    """Each at least 1 ns behind the one ahead of it, so that each has its place: captures know microseconds at best."""
    place = np.arange(len(times_ns))
    return np.maximum.accumulate(times_ns - place) + place


def _from_blocks(path: Path, data: bytes, date_ns: int | None) -> AsterixFile:
    packets = []
    for block in blocks(data):
        end = len(data) if isinstance(block, Refused) else block.end
        packets.append(Packet(block.at, None, "", data[block.at : end]))
    if len(packets) == 1 and isinstance(block, Refused):
        raise InputError(f"{path}: octet 0: {block.what}; expected ASTERIX data blocks or a capture")
    return AsterixFile(path, packets, _measured_ns(packets, date_ns), {})


def _measured_ns(packets: list[Packet], date_ns: int | None) -> IntArray:
    """When each block was measured, by the first time of day in it; without one with the block ahead of it."""
    times_ns = []
    now_ns: int | None = None
    for packet in packets:
        for message in messages(packet.data):
            time_s = message.time_of_day_s if isinstance(message, Message) else None
            if time_s is None:
                continue
            ticks = round(time_s * 128.0)
            if now_ns is None:
                now_ns = (NO_DATE_NS if date_ns is None else date_ns // DAY_NS * DAY_NS) + ticks * TICK_NS
            now_ns = max(now_ns, at_time_of_day(ticks, now_ns))
        times_ns.append(-1 if now_ns is None else now_ns)
    received_ns = np.array(times_ns, np.int64)
    first = received_ns[received_ns >= 0]
    return _rising(np.where(received_ns < 0, first[0] if len(first) else NO_DATE_NS, received_ns))
