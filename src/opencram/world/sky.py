"""Everything in the sky at once: all paths laid end to end, looked up at any time without a loop over the objects."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from opencram.world.flown import Flown

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

MOST_BODIES = 5_000


class Sky:
    """The bodies that fly, numbered in the order in which they were added; each lives from `start_ns` to `end_ns`."""

    def __init__(self) -> None:
        self.bodies: list[Flown] = []
        self.start_ns: Ints = np.empty(0, np.int64)
        self.end_ns: Ints = np.empty(0, np.int64)
        self.rcs_m2: Floats = np.empty(0)
        self._step_ns: Ints = np.empty(0, np.int64)
        self._first: Ints = np.empty(0, np.int64)
        self._rows: Floats = np.empty((0, 6))

    def add(self, flown: Sequence[Flown]) -> None:
        """More bodies, behind those that are there."""
        if not flown:
            return
        if len(self.bodies) + len(flown) > MOST_BODIES:
            raise ValueError(f"Sky: {len(self.bodies) + len(flown)} bodies, at most {MOST_BODIES}")
        lengths = np.array([len(f.path) for f in flown], np.int64)
        first = len(self._rows) + np.cumsum(lengths) - lengths
        self.bodies += flown
        self.start_ns = np.append(self.start_ns, [f.start_ns for f in flown])
        self.end_ns = np.append(self.end_ns, [f.end_ns for f in flown])
        self.rcs_m2 = np.append(self.rcs_m2, [f.threat.rcs_m2 for f in flown])
        self._step_ns = np.append(self._step_ns, [f.step_ns for f in flown])
        self._first = np.append(self._first, first)
        self._rows = np.concatenate([self._rows, *(f.path for f in flown)])

    def stop(self, body: int, time_ns: int) -> None:
        """A body's flight ends early."""
        self.end_ns[body] = time_ns

    def alive(self, time_ns: int) -> Ints:
        """The numbers of the bodies that fly at a time."""
        return ((self.start_ns <= time_ns) & (time_ns < self.end_ns)).nonzero()[0]

    def at(self, time_ns: int | Ints, which: Ints) -> tuple[Floats, Floats]:
        """Position and velocity (n, 3) each, ENU, of bodies at a time, or each at its own.

        Between rows: Hermite's cubic through both rows' positions and velocities, and its derivative.
        """
        if not len(which):
            return np.empty((0, 3)), np.empty((0, 3))
        step_ns = self._step_ns[which]
        whole, rest = np.divmod(time_ns - self.start_ns[which], step_ns)
        a, b = self._rows[self._first[which] + whole], self._rows[self._first[which] + whole + 1]
        f, step_s = (rest / step_ns)[:, None], (step_ns * 1e-9)[:, None]
        va, vb, rise = a[:, 3:] * step_s, b[:, 3:] * step_s, b[:, :3] - a[:, :3]
        c2, c3 = 3.0 * rise - 2.0 * va - vb, va + vb - 2.0 * rise
        pos = a[:, :3] + f * (va + f * (c2 + f * c3))
        vel = (va + f * (2.0 * c2 + 3.0 * f * c3)) / step_s
        return pos, vel
