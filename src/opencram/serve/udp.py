"""ASTERIX over UDP: radars' datagrams in, bounded and counted, and datagrams out, on the service's event loop.

A datagram's time is the kernel's where it stamps what it receives, so that a busy loop does not make plots look late.
What waits is bounded in number and in age. Each address has room of its own, in which the newest takes the place of the
oldest: an old plot is worth least. All strangers together have a little, enough for a radar to be heard the first time.
So a flood takes nothing from the radars, and whoever was held up is soon up to date.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from opencram.errors import InputError
from opencram.tables import Datagram

MAX_OCTETS = 65_507
"""No datagram is longer over IPv4; one more octet of room tells what was cut."""
MAX_WAITING = 1_000
"""Datagrams of one address that wait for a tick: at 40 plots each, far more than it can use."""
MAX_OCTETS_WAITING = 16 * 2**20
"""Of all addresses together; whoever has most waiting then loses its oldest."""
MAX_AGE_NS = 1_000_000_000
"""What has waited longer is dropped: a service that was held up goes on with what is now."""
DROPPING_NS = 5_000_000_000
"""People are told of a drop for so long."""
MAX_STRANGE_OCTETS = 16_384
"""Room for what comes from addresses that no radar has: at its worst it costs a tenth of a second to look through."""
MAX_SENDERS = 64
"""Addresses counted by name; all others are counted together."""
OTHERS = "others"
EXTRA_OCTETS = socket.CMSG_SPACE(16) + socket.CMSG_SPACE(4)
READS_AT_ONCE = 2_000
"""Datagrams read before anybody else on the loop has a turn; the kernel's buffer holds about as many. 10 ms at most."""
BUFFER_OCTETS = 4 * 2**20
STAMP = getattr(socket, "SO_TIMESTAMPNS", 35)  # Linux's number; Python does not name it everywhere
OVERFLOW = getattr(socket, "SO_RXQ_OVFL", 40)  # likewise
STEADY_NS = 10_000_000_000
"""What the kernel stamped longer ago, or later than now, was stamped before the machine's clock was set: then the
service's holds."""


@dataclass(frozen=True)
class Endpoint:
    """Where to listen or send: `239.1.2.3:8600`, `[ff02::1]:8600`, with the interface of a multicast group as
    `239.1.2.3:8600@192.168.1.5` (its address) or `@eth1` (its name)."""

    host: str
    port: int
    interface: str = ""

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}{'@' if self.interface else ''}{self.interface}"

    @property
    def multicast(self) -> bool:
        """Whether it is a group's address."""
        return ipaddress.ip_address(self.host).is_multicast

    @property
    def family(self) -> socket.AddressFamily:
        """IPv4 or IPv6."""
        return socket.AF_INET6 if ":" in self.host else socket.AF_INET

    @property
    def address(self) -> tuple[str, int] | tuple[str, int, int, int]:
        """As sockets take it; an address of IPv6 may hold on one interface only."""
        if self.family == socket.AF_INET:
            return self.host, self.port
        return self.host, self.port, 0, socket.if_nametoindex(self.interface) if self.interface else 0


@dataclass
class Sender:
    """What came from one address: used, dropped for want of room or for its age, cut or empty; and what waits."""

    taken: int = 0
    dropped: int = 0
    aged: int = 0
    broken: int = 0
    octets: int = 0
    waiting: deque[Datagram] = field(default_factory=deque)


def endpoint(text: str) -> Endpoint:
    """An endpoint as people write it; InputError where it is none."""
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+|localhost)):(\d{1,5})(?:@([\w.:-]+))?", text)
    if match is None or not 0 < int(match[3]) < 65_536:
        raise InputError(f"{text}: expected ADDRESS:PORT, or GROUP:PORT@INTERFACE such as 239.1.2.3:8600@192.168.1.5")
    host = match[1] or match[2]
    try:
        host = "127.0.0.1" if host == "localhost" else str(ipaddress.ip_address(host))
    except ValueError:
        raise InputError(f"{text}: found the address '{host}', expected one such as 192.168.1.5") from None
    return Endpoint(host, int(match[3]), match[4] or "")


class Receiver:
    """Listens on endpoints; `take` hands over what came. Use within a running event loop, and close it."""

    def __init__(self, now_ns: Callable[[], int], simulated: bool = False, max_waiting: int = MAX_WAITING) -> None:
        self._now_ns, self._simulated, self._max_waiting = now_ns, simulated, max_waiting
        self._newest_ns, self._dropped_ns = 0, -DROPPING_NS
        self._radars: frozenset[str] = frozenset()
        self._sockets: list[socket.socket] = []
        self._unread: dict[int, int] = {}
        """By socket, what the kernel dropped because it was not read in time."""
        self.came: Callable[[], None] = lambda: None
        """Called whenever something has come in."""
        self.senders: dict[str, Sender] = {}
        """By address, the first MAX_SENDERS of them; then OTHERS."""

    def know(self, addresses: Iterable[str]) -> None:
        """Say which addresses are radars': those the site names, and those from which one is heard."""
        self._radars = frozenset(addresses)

    def listen(self, at: Endpoint) -> int:
        """Begin to listen; gives the port. InputError where the machine does not let us."""
        sock = socket.socket(at.family, socket.SOCK_DGRAM)
        try:
            _prepare(sock, at)
        except OSError as error:
            sock.close()
            raise InputError(f"{at.host}:{at.port}: found '{error.strerror}', expected to listen there") from None
        self._sockets.append(sock)
        asyncio.get_running_loop().add_reader(sock, self._read, sock)
        port: int = sock.getsockname()[1]
        return port

    def take(self, until_ns: int) -> list[Datagram]:
        """All that was received up to a time, in order, but nothing that has waited too long."""
        taken: list[Datagram] = []
        now_ns = self._now_ns()
        for sender in self.senders.values():
            while sender.waiting and sender.waiting[0].received_ns <= until_ns:
                datagram = self._lose(sender)
                if now_ns - datagram.received_ns <= MAX_AGE_NS:
                    taken.append(datagram)
                else:
                    sender.aged += 1
                    self._dropped_ns = now_ns
        return sorted(taken, key=lambda datagram: datagram.received_ns)

    def waiting_ns(self) -> tuple[int, int] | None:
        """When the first and the newest of the datagrams that wait were received; None while none does."""
        firsts = [sender.waiting[0].received_ns for sender in self.senders.values() if sender.waiting]
        return (min(firsts), self._newest_ns) if firsts else None

    def waiting(self) -> int:
        """How many datagrams wait."""
        return sum(len(sender.waiting) for sender in self.senders.values())

    def counts(self) -> dict[str, int]:
        """What was not used, for people: `10.0.0.5: dropped`, `10.0.0.5: too old`, `10.0.0.5: cut or empty`.

        `not read in time` is what the kernel dropped, whoever sent it.
        """
        found: dict[str, int] = {}
        for name, sender in self.senders.items():
            found |= {f"{name}: dropped": sender.dropped, f"{name}: too old": sender.aged}
            found |= {f"{name}: cut or empty": sender.broken}
        found["not read in time"] = sum(self._unread.values())
        return {what: count for what, count in found.items() if count}

    @property
    def fault(self) -> str:
        """What people should know of datagrams that were lately dropped, a sentence; empty: none were."""
        if self._now_ns() - self._dropped_ns > DROPPING_NS:
            return ""
        lost = {name: sender.dropped + sender.aged for name, sender in self.senders.items()}
        lost["not read in time"] = sum(self._unread.values())
        return "datagrams are dropped, so many so far: " + ", ".join(f"{n} {lost[n]}" for n in lost if lost[n])

    def close(self) -> None:
        """Listen no more."""
        for sock in self._sockets:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        self._sockets.clear()

    def _read(self, sock: socket.socket) -> None:
        for _ in range(READS_AT_ONCE):
            try:
                data, extra, flags, address = sock.recvmsg(MAX_OCTETS + 1, EXTRA_OCTETS)
            except BlockingIOError:
                break
            except OSError:  # what an earlier datagram of ours met with: not about what is to be read
                continue
            self._note_unread(sock, extra)
            whole = 0 < len(data) <= MAX_OCTETS and not flags & socket.MSG_TRUNC
            self._add(str(address[0]).partition("%")[0], data if whole else b"", self._stamp(extra))
        self.came()

    def _add(self, address: str, data: bytes, received_ns: int) -> None:
        """Keep a datagram, if there is room; empty data is what was none."""
        name = address if address in self.senders or len(self.senders) < MAX_SENDERS else OTHERS
        sender = self.senders.setdefault(name, Sender())
        if not data:
            sender.broken += 1
            return
        if name not in self._radars and self._strange_octets() + len(data) > MAX_STRANGE_OCTETS:
            self._drop(sender)
            return
        sender.taken += 1
        sender.octets += len(data)
        self._newest_ns = max(received_ns, self._newest_ns + 1)  # each has a moment of its own, and so its order
        stamped = Datagram(received_ns=self._newest_ns, address=address, data=data, simulated=self._simulated)
        sender.waiting.append(stamped)
        if len(sender.waiting) > self._max_waiting:
            self._drop_oldest(sender)
        while sum(one.octets for one in self.senders.values()) > MAX_OCTETS_WAITING:
            self._drop_oldest(max(self.senders.values(), key=lambda one: one.octets))

    def _note_unread(self, sock: socket.socket, extra: Iterable[tuple[int, int, bytes]]) -> None:
        for level, kind, content in extra:
            if level == socket.SOL_SOCKET and kind == OVERFLOW and len(content) >= 4:
                (unread,) = struct.unpack("@I", content[:4])
                if unread != self._unread.get(sock.fileno(), 0):
                    self._unread[sock.fileno()], self._dropped_ns = unread, self._now_ns()

    def _strange_octets(self) -> int:
        return sum(sender.octets for name, sender in self.senders.items() if name not in self._radars)

    def _lose(self, sender: Sender) -> Datagram:
        datagram = sender.waiting.popleft()
        sender.octets -= len(datagram.data)
        return datagram

    def _drop_oldest(self, sender: Sender) -> None:
        self._lose(sender)
        sender.taken -= 1
        self._drop(sender)

    def _drop(self, sender: Sender) -> None:
        sender.dropped += 1
        self._dropped_ns = self._now_ns()

    def _stamp(self, extra: Iterable[tuple[int, int, bytes]]) -> int:
        """When it was received, by the service's clock: the time since then is the kernel's word."""
        now_ns = self._now_ns()
        for level, kind, content in extra:
            if level == socket.SOL_SOCKET and kind == STAMP and len(content) >= 16:
                seconds, parts = struct.unpack("@qq", content[:16])
                age_ns = time.time_ns() - (seconds * 1_000_000_000 + parts)
                if 0 <= age_ns <= STEADY_NS:
                    return now_ns - int(age_ns)
        return now_ns


class Transmitter:
    """Sends datagrams to an endpoint; what the machine does not take at once is dropped and counted."""

    def __init__(self, to: Endpoint) -> None:
        self._to = to
        self.sent, self.dropped = 0, 0
        self._socket = socket.socket(to.family, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        if to.multicast:
            _send_by(self._socket, to)

    def send(self, datagrams: Iterable[bytes]) -> None:
        """Send all of them now."""
        for data in datagrams:
            try:
                self._socket.sendto(data, self._to.address)
                self.sent += 1
            except OSError:
                self.dropped += 1

    def close(self) -> None:
        """Send no more."""
        self._socket.close()


def _prepare(sock: socket.socket, at: Endpoint) -> None:
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
    if sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, STAMP, 1)
        sock.setsockopt(socket.SOL_SOCKET, OVERFLOW, 1)
    if at.multicast:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # others on this machine may listen to the group too
    sock.bind(at.address)
    if at.multicast:
        _join(sock, at)


def _join(sock: socket.socket, at: Endpoint) -> None:
    group = ipaddress.ip_address(at.host).packed
    if at.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + _ipv4_interface(at.interface))
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group + struct.pack("@I", at.address[-1]))


def _send_by(sock: socket.socket, to: Endpoint) -> None:
    """Leave by the interface asked for, and go no further than the local network."""
    if to.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, bytes(4) + _ipv4_interface(to.interface))
    elif to.interface:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(to.interface))


def _ipv4_interface(interface: str) -> bytes:
    """The end of an `ip_mreqn`, address and index: by address, by name, or any."""
    if not interface:
        return bytes(8)
    try:
        return ipaddress.IPv4Address(interface).packed + bytes(4)
    except ValueError:
        return bytes(4) + struct.pack("@i", socket.if_nametoindex(interface))
