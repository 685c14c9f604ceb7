"""How often: acts of one caller, tries without a right token or password, from one address and at one account."""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MAX_WATCHED = 1_024
"""So many addresses and accounts are watched; the one longest unheard is forgotten."""


@dataclass
class Allowance:
    """A bucket of tries: `burst` at once, then `per_s` of them."""

    burst: float
    per_s: float
    left: float
    filled_s: float

    def take(self, now_s: float) -> bool:
        """Use one; False if there is none."""
        if self.wait_s(now_s) > 0:
            return False
        self.left -= 1.0
        return True

    def wait_s(self, now_s: float) -> int:
        """How long until there is one again, in whole seconds."""
        self.left = min(self.burst, self.left + (now_s - self.filled_s) * self.per_s)
        self.filled_s = now_s
        return max(0, math.ceil((1.0 - self.left) / self.per_s))


class Limits:
    """Allowances by what they are for and by whose they are."""

    ACTS = (60.0, 2.0)
    """Burst and rate: every zone of a district by hand at once, then two a second; of an account, and of an address."""
    WRONG = (10.0, 0.2)
    """Without a right token or password, from one address."""
    GUESSED = (10.0, 1 / 30)
    """Wrong passwords for one account, from addresses at which its user was never signed in."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._watched: OrderedDict[tuple[str, str], Allowance] = OrderedDict()

    def take(self, what: tuple[float, float], kind: str, whose: str) -> int:
        """Use one of an allowance; 0, or the whole seconds until there is one again."""
        allowance = self._of(what, kind, whose)
        return 0 if allowance.take(self._now_s()) else allowance.wait_s(self._now_s())

    def give_back(self, kind: str, whose: str) -> None:
        """Undo one `take`, of what turned out to be right."""
        if found := self._watched.get((kind, whose)):
            found.left = min(found.burst, found.left + 1.0)

    def _of(self, what: tuple[float, float], kind: str, whose: str) -> Allowance:
        found = self._watched.setdefault((kind, whose), Allowance(*what, what[0], self._now_s()))
        self._watched.move_to_end((kind, whose))
        if len(self._watched) > MAX_WATCHED:
            self._watched.popitem(last=False)
        return found


def network_of(address: str) -> str:
    """What is counted as one address: of IPv6 the 64 bits that one household or machine room has to itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and not parsed.ipv4_mapped:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
