"""A clock that is never set: UTC as it was at the start, carried on by the machine's monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable

SLEW = 0.001
"""It draws near to the machine's UTC by at most this share: a second in a quarter of an hour."""


class SteadyClock:
    """Time in int64 ns UTC that rises evenly, whatever happens to the machine's clock.

    A wall clock that is set by seconds would make commands expire, or old ones count as new. This clock takes over a
    new time of day only slowly. `not_before_ns` is a time already used, such as that of the last tick before a restart.
    """

    def __init__(
        self,
        not_before_ns: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns, self._monotonic_ns = wall_ns, monotonic_ns
        self._looked_ns = monotonic_ns()
        self._offset_ns = max(wall_ns(), not_before_ns) - self._looked_ns

    def now_ns(self) -> int:
        """The time."""
        return self._monotonic_ns() + self._offset_ns

    def ahead_ns(self) -> int:
        """How far it is ahead of the machine's clock."""
        return self.now_ns() - self._wall_ns()

    def slew(self) -> None:
        """Draw near to the machine's clock, by SLEW of the time since the last call; to be called each second."""
        looked_ns = self._monotonic_ns()
        most_ns = round(SLEW * (looked_ns - self._looked_ns))
        self._looked_ns = looked_ns
        self._offset_ns -= max(-most_ns, min(most_ns, self.ahead_ns()))

    def set_to(self, now_ns: int) -> None:
        """Take over a time that somebody trusted has told."""
        self._offset_ns = now_ns - self._monotonic_ns()
