"""Captures of a network (pcap, pcapng) -> the UDP datagrams in them, with their times and senders.

Layouts: draft-ietf-opsawg-pcap and -pcapng; RFC 791, 768, 8200. A capture that was cut is read up to the cut.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

SECOND_NS = 1_000_000_000
PCAP_US, PCAP_NS = 0xA1B2C3D4, 0xA1B23C4D
PCAPNG = b"\x0a\x0d\x0d\x0a"
NG_ORDER = 0x1A2B3C4D
NG_INTERFACE, NG_SIMPLE, NG_ENHANCED = 1, 3, 6
NG_RESOLUTION = 9
ETHERNET, NULL, RAW_IP, COOKED, COOKED_2, RAW_IP_OTHER = 1, 0, 101, 113, 276, 12
IPV4, IPV6, VLAN = 0x0800, 0x86DD, (0x8100, 0x88A8)
UDP = 17


class Packet(NamedTuple):
    """A datagram: where its content begins in the file, when it was captured, who sent it, and what."""

    at: int
    time_ns: int | None
    address: str
    data: bytes


class Capture(NamedTuple):
    """All datagrams of a capture, and what else was in it, counted by what it is."""

    packets: list[Packet]
    left_out: dict[str, int]


class _Frame(NamedTuple):
    at: int
    end: int
    link: int
    time_ns: int | None
    whole: bool


def is_capture(data: bytes) -> bool:
    """Whether it begins like a capture."""
    return data[:4] == PCAPNG or any(
        int.from_bytes(data[:4], order) in (PCAP_US, PCAP_NS) for order in ("little", "big")
    )


def read_capture(data: bytes) -> Capture:
    """The datagrams of a capture, in the order in which they were captured."""
    left_out: Counter[str] = Counter()
    packets = []
    for frame in _ng_frames(data) if data[:4] == PCAPNG else _frames(data):
        found = _datagram(data, frame) if frame.whole else "packets that were not captured whole"
        if isinstance(found, str):
            left_out[found] += 1
        else:
            packets.append(found)
    return Capture(packets, dict(sorted(left_out.items())))


# ---- the two kinds of file ----------------------------------------------------------------------------------------


def _frames(data: bytes) -> Iterator[_Frame]:
    """The frames of a classic capture."""
    order = "little" if int.from_bytes(data[:4], "little") in (PCAP_US, PCAP_NS) else "big"
    unit_ns = 1 if int.from_bytes(data[:4], order) == PCAP_NS else 1_000  # type: ignore[arg-type]
    link = _number(data, 20, 4, order) & 0xFFFF
    at = 24
    while at + 16 <= len(data):
        seconds, parts, kept, sent = (_number(data, at + 4 * k, 4, order) for k in range(4))
        at += 16
        end = at + kept
        if end > len(data):
            yield _Frame(at, len(data), link, None, False)
            return
        yield _Frame(at, end, link, seconds * SECOND_NS + parts * unit_ns, kept >= sent)
        at = end


def _ng_frames(data: bytes) -> Iterator[_Frame]:
    """The frames of a capture of the next generation: blocks, of which few matter to us."""
    order, at = "little", 0
    interfaces: list[tuple[int, int]] = []
    while at + 12 <= len(data):
        if data[at : at + 4] == PCAPNG:
            order = "little" if _number(data, at + 8, 4, "little") == NG_ORDER else "big"
            interfaces = []
        kind, length = _number(data, at, 4, order), _number(data, at + 4, 4, order)
        if length < 12 or length % 4 or at + length > len(data):
            yield _Frame(at, len(data), ETHERNET, None, False)
            return
        if kind == NG_INTERFACE:
            interfaces.append(
                (_number(data, at + 8, 2, order), _ticks_per_second(data, at + 16, at + length - 4, order))
            )
        elif kind == NG_ENHANCED and length >= 32:
            yield _enhanced(data, at, length, order, interfaces)
        elif kind == NG_SIMPLE and interfaces:
            sent = _number(data, at + 8, 4, order)
            kept = min(sent, length - 16)
            yield _Frame(at + 12, at + 12 + kept, interfaces[0][0], None, kept == sent)
        at += length


def _enhanced(data: bytes, at: int, length: int, order: str, interfaces: list[tuple[int, int]]) -> _Frame:
    which, high, low, kept, sent = (_number(data, at + 8 + 4 * k, 4, order) for k in range(5))
    if which >= len(interfaces) or kept > length - 32:
        return _Frame(at, at + length, ETHERNET, None, False)
    link, per_second = interfaces[which]
    time_ns = (high << 32 | low) * SECOND_NS // per_second
    return _Frame(at + 28, at + 28 + kept, link, time_ns, kept >= sent)


def _ticks_per_second(data: bytes, at: int, end: int, order: str) -> int:
    """The resolution of an interface's times, among its options; microseconds where it does not say."""
    while at + 4 <= end:
        code, length = _number(data, at, 2, order), _number(data, at + 2, 2, order)
        if code == NG_RESOLUTION and length == 1:
            return int((2 if data[at + 4] & 0x80 else 10) ** (data[at + 4] & 0x7F))
        if code == 0:
            break
        at += 4 + (length + 3) // 4 * 4
    return 1_000_000


def _number(data: bytes, at: int, octets: int, order: str) -> int:
    return int.from_bytes(data[at : at + octets], order)  # type: ignore[arg-type]


# ---- a frame -> a datagram ----------------------------------------------------------------------------------------


def _datagram(data: bytes, frame: _Frame) -> Packet | str:
    """The UDP datagram in a frame, or what it is instead."""
    at, kind = _network(data, frame)
    if kind == IPV4 and at + 20 <= frame.end:
        return _ipv4(data, at, frame)
    if kind == IPV6 and at + 40 <= frame.end:
        if data[at + 6] != UDP:
            return "packets that are not UDP"
        return _udp(data, at + 40, frame.end, frame, data[at + 8 : at + 24])
    return "packets that are not IP"


def _network(data: bytes, frame: _Frame) -> tuple[int, int]:
    """Where the packet begins in its frame, and of which kind it is."""
    at, link = frame.at, frame.link
    if link == ETHERNET:
        kind, at = int.from_bytes(data[at + 12 : at + 14]), at + 14
        while kind in VLAN and at + 4 <= frame.end:
            kind, at = int.from_bytes(data[at + 2 : at + 4]), at + 4
        return at, kind
    if link == COOKED:
        return at + 16, int.from_bytes(data[at + 14 : at + 16])
    if link == COOKED_2:
        return at + 20, int.from_bytes(data[at : at + 2])
    if link == NULL:
        at += 4
    elif link not in (RAW_IP, RAW_IP_OTHER):
        return at, 0
    version = data[at] >> 4 if at < frame.end else 0
    return at, {4: IPV4, 6: IPV6}.get(version, 0)


def _ipv4(data: bytes, at: int, frame: _Frame) -> Packet | str:
    head = (data[at] & 0x0F) * 4
    if data[at] >> 4 != 4 or head < 20:
        return "packets that are not IP"
    if data[at + 9] != UDP:
        return "packets that are not UDP"
    if int.from_bytes(data[at + 6 : at + 8]) & 0x3FFF:
        return "packets in fragments"
    end = min(at + int.from_bytes(data[at + 2 : at + 4]), frame.end)
    return _udp(data, at + head, end, frame, data[at + 12 : at + 16])


def _udp(data: bytes, at: int, end: int, frame: _Frame, sender: bytes) -> Packet | str:
    length = int.from_bytes(data[at + 4 : at + 6])
    if at + 8 > end or length < 8 or at + length > end:
        return "datagrams that are cut"
    return Packet(at + 8, frame.time_ns, str(ipaddress.ip_address(sender)), data[at + 8 : at + length])
