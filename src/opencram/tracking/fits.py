"""The fits of all tracks: one slot of each array a track, and the plots that it was given, in order of time.

A track's first plot waits in `young`: most tracks are one false plot, and a slot is large. When a slot is full, pairs
of neighbouring plots of one sensor become one at their mean time. What the flight bends in between, in the sensor's
coordinates, is taken from the fit: overhead an azimuth turns round within a second.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

import numpy as np

from opencram.physics.flight import LONGEST_TANGENT_STEP_S, advance
from opencram.physics.kernel import device, kernel
from opencram.physics.layout import Layout
from opencram.physics.place import E_WIND_E, E_WIND_N
from opencram.tables import FloatArray, IntArray
from opencram.tracking.evidence import ORIGIN
from opencram.tracking.filters import observe, residual
from opencram.tracking.fit import FLOWN, MEASURED, PARAMETERS, SEEN_COLUMNS, T_LOG_LIKE, TOLD
from opencram.tracking.follow import B_COUNT, B_DEBRIS, B_NEXT, B_STATE, BOOK, FITTED, follow
from opencram.tracking.hypotheses import MIXED, Kinds, kinds, weigh
from opencram.tracking.size import SIZE, take_size
from opencram.tracking.stream import S_ODDS, STREAM, STREAM_BEGINS

CAPACITY = 160
"""Plots kept of a track: 16 s at 10 Hz, then in pairs."""
LONGEST_PAIR_S = 1.0
"""Plots further apart are not made one."""
FIRST_SLOTS = 16
FORGET_EVERY_NS = 500_000_000
MOST_FORGOTTEN = 1_000
"""First plots looked at each time, the oldest first, whether their track has been without another for too long."""
FORGET_NS, FORGET_LOOKS = 5_000_000_000, 6
"""A track without plots for so long and so many looks of the slowest radar is not asked for any more: the tracker lets
go of it sooner."""
MOST_RENEWED, RENEWED, RENEWED_EACH = 6_000, 1_000, 5
"""Plots in the fits that one scan renews: some 50 ms; with few tracks less, or a salvo whose fits fall due together
would make one scan late. What is left waits for the next scan, the latest to land last."""

END, DERIVED = 4, 1 + FLOWN
FOLLOWED = (
    *("book", "seen", "by", "epoch", "scale", "ref", "shift", "cov", "now", "tangent", "told", "back", "ahead"),
)
WEIGHED = (
    *("book", "seen", "scale", "ref", "shift", "cov", "now", "tangent", "told", "size"),
    *("back", "back_at", "origin", "ahead", "ahead_at"),
)


def _tails(kinds: Kinds) -> dict[str, tuple[int, ...]]:
    """The shape behind the slot of each array."""
    s, c = len(kinds.drags), len(kinds.rows)
    return {
        "book": (BOOK,),
        "by": (CAPACITY,),
        "seen": (CAPACITY, SEEN_COLUMNS),
        "epoch": (),
        "scale": (MEASURED,),
        "size": (SIZE,),
        "ref": (s, PARAMETERS),
        "shift": (s, PARAMETERS),
        "cov": (s, PARAMETERS, PARAMETERS),
        "now": (s, 7),
        "tangent": (s, 6, FLOWN),
        "told": (s, TOLD),
        "back": (c, END, DERIVED),
        "back_at": (c, PARAMETERS),
        "origin": (c, ORIGIN),
        "ahead": (c, END, DERIVED),
        "ahead_at": (c, PARAMETERS),
        "stream": (STREAM,),
    }


@dataclass
class Young:
    """A track's first plot."""

    time_ns: int
    sensor: int
    row: FloatArray
    beyond_m2: float
    noise_m2: float
    """Its size, as `size.beyond_threshold`; NaN where not told."""


@dataclass
class Fits:
    """Slots of tracks, in arrays as `follow` and `weigh` take them, and which track has which."""

    arrays: dict[str, FloatArray] = field(default_factory=dict)
    zero_ns: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    """The times in `seen` count from here, (slots,)."""
    newest_ns: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    slot_of: dict[int, int] = field(default_factory=dict)
    young: dict[int, Young] = field(default_factory=dict)
    forgot_ns: int = 0

    def take(self, track: int, plot: Young, debris: bool, keep_all: bool, layout: Layout) -> None:
        """Give a track its next plot; without `keep_all` the older half is forgotten when there is no more room."""
        slot = self.slot_of.get(track)
        if slot is not None and self.arrays["book"][slot, B_DEBRIS] != debris:
            # what was taken for a piece is none, or broke up: its flight so far was fitted under another drag
            del self.slot_of[track]
            slot = None
        if slot is None:
            first = self.young.pop(track, None)
            if first is None:
                self.young[track] = plot
                return
            slot = self._settle(track, first, debris)
        arrays = self.arrays
        if arrays["book"][slot, B_COUNT] == CAPACITY:
            k = kinds()
            s = int(np.argmax(arrays["told"][slot, : len(k.drags) - 1, T_LOG_LIKE])) if not debris else len(k.drags) - 1
            make_room(
                arrays["seen"][slot], arrays["by"][slot], arrays["book"][slot], keep_all,
                arrays["ref"][slot, s] + arrays["shift"][slot, s], float(arrays["epoch"][slot]),
                layout.sensor_enu_m, layout.sensor_rot, layout.env, layout.air, k.drags[s],
            )  # fmt: skip
        self._append(slot, plot)

    def forget(self, now_ns: int, layout: Layout) -> None:
        """Free, now and then, the slots of tracks that have had no plots for long."""
        if 0 <= now_ns - self.forgot_ns < FORGET_EVERY_NS:
            return
        self.forgot_ns = now_ns
        before_ns = now_ns - max(FORGET_NS, FORGET_LOOKS * int(layout.update_ns.max()))
        gone = [t for t, slot in self.slot_of.items() if self.newest_ns[slot] < before_ns]
        for track in gone:
            del self.slot_of[track]
        oldest = list(islice(self.young.items(), MOST_FORGOTTEN))
        for track in [track for track, first in oldest if first.time_ns < before_ns]:
            del self.young[track]

    def _settle(self, track: int, first: Young, debris: bool) -> int:
        taken = set(self.slot_of.values())
        slot = next(s for s in range(len(taken) + 1) if s not in taken)
        if slot == len(self.zero_ns):
            self._grow()
        for array in self.arrays.values():
            array[slot] = 0
        self.arrays["scale"][slot] = 1.0
        self.arrays["stream"][slot, S_ODDS] = STREAM_BEGINS
        self.arrays["book"][slot, B_DEBRIS] = debris
        self.zero_ns[slot] = self.newest_ns[slot] = first.time_ns
        self.slot_of[track] = slot
        self._append(slot, first)
        return slot

    def _grow(self) -> None:
        """Twice the slots."""
        more = max(len(self.zero_ns), FIRST_SLOTS)
        if not self.arrays:
            self.arrays = {
                name: np.zeros((0, *tail), np.int64 if name in ("book", "by") else np.float64)
                for name, tail in _tails(kinds()).items()
            }
        self.arrays = {
            name: np.concatenate([array, np.zeros((more, *array.shape[1:]), array.dtype)])
            for name, array in self.arrays.items()
        }
        self.zero_ns, self.newest_ns = (
            np.concatenate([times, np.zeros(more, np.int64)]) for times in (self.zero_ns, self.newest_ns)
        )

    def _append(self, slot: int, plot: Young) -> None:
        """Put a plot where its time belongs; one that came late has the fit renewed."""
        book, seen, by = (self.arrays[name][slot] for name in ("book", "seen", "by"))
        n = int(book[B_COUNT])
        plot.row[0] = (plot.time_ns - int(self.zero_ns[slot])) * 1e-9
        at = n
        while at > 0 and seen[at - 1, 0] > plot.row[0]:
            at -= 1
        if at < n:
            seen[at + 1 : n + 1], by[at + 1 : n + 1] = seen[at:n].copy(), by[at:n].copy()
            book[B_NEXT] = 0
        seen[at], by[at] = plot.row, plot.sensor
        book[B_COUNT] = n + 1
        self.newest_ns[slot] = max(int(self.newest_ns[slot]), plot.time_ns)
        if not math.isnan(plot.beyond_m2):
            take_size(self.arrays["size"][slot], plot.beyond_m2, plot.noise_m2)

    def follow(self, slots: IntArray, layout: Layout) -> None:
        """Bring the fits of `slots`, in order of urgency, up to their newest plots."""
        k, most = kinds(), min(MOST_RENEWED, RENEWED + RENEWED_EACH * len(slots))
        cast(Callable[..., int], follow)(
            slots, most, *(self.arrays[name] for name in FOLLOWED), layout.sensor_enu_m, layout.sensor_rot,
            layout.env, layout.air, k.drags, k.priors,
        )  # fmt: skip

    def weigh(self, slots: IntArray, layout: Layout) -> "Weighed":
        """What the objects in `slots` may be, and where each of these comes down and came from."""
        k, n, c = kinds(), len(slots), len(kinds().rows)
        tails = ((c,), (c, 7), (c, 7, 7), (c, 3), (c, 3, 3), (c, 2), (c, 2, 2), (MIXED,), ())
        found = Weighed(*(np.empty((n, *tail)) for tail in tails))
        cast(Callable[..., None], weigh)(
            slots, self.arrays["stream"], k.gunfire, k.rows, k.priors,
            *(self.arrays[name] for name in WEIGHED), layout.env, layout.air, layout.ground, k.drags,
            *vars(found).values(),
        )  # fmt: skip
        return found


@dataclass(frozen=True)
class Weighed:
    """By slot and class, as `weigh` tells of it."""

    weight: FloatArray
    mean: FloatArray
    cov: FloatArray
    fall: FloatArray
    fall_cov: FloatArray
    came: FloatArray
    came_cov: FloatArray
    mixed: FloatArray
    bullet: FloatArray
    """The weight of gunfire as of one round, without those that streams were taken for."""


@device
def _fly_to(y: FloatArray, since_s: float, time_s: float, env: FloatArray, air: FloatArray, drag: FloatArray) -> None:
    """Carry a state (7) from one time to another, in place."""
    none, slopes, after = np.zeros(3), np.empty((0, 3, 9)), np.empty(7)
    steps = math.ceil(abs(time_s - since_s) / LONGEST_TANGENT_STEP_S - 1e-9)
    for _ in range(steps):
        advance(y, 0.0, (time_s - since_s) / steps, none, env, air, drag, slopes, after)
        y[:] = after


@device
def _bend(
    y: FloatArray,
    since_s: float,
    a_s: float,
    b_s: float,
    place: FloatArray,
    rot: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
    out: FloatArray,
) -> None:
    """How far the middle of a flight between two times is off the mean of its ends, as measured, into `out` (4).

    The state y (7), at `since_s`, is carried to the second time.
    """
    h, jac = np.empty((3, MEASURED)), np.empty((MEASURED, 7))
    for k in range(3):
        time_s = a_s + 0.5 * k * (b_s - a_s)
        _fly_to(y, since_s, time_s, env, air, drag)
        since_s = time_s
        observe(y, place, rot, h[k], jac)
    for m in range(MEASURED):
        out[m] = 0.5 * (residual(m, h[1, m], h[0, m]) - residual(m, h[2, m], h[1, m]))


@kernel(
    "void(float64[:,::1], int64[::1], int64[::1], boolean, float64[::1], float64,"
    "float64[:,::1], float64[:,:,::1], float64[::1], float64[:,::1], float64[::1])"
)
def make_room(
    seen: FloatArray,
    by: IntArray,
    book: IntArray,
    keep_all: bool,
    flight: FloatArray,
    epoch_s: float,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> None:
    """Make one of each pair of neighbours in the older half of full rows; those that cannot be are left as they are.

    `flight` (12) are the fit's parameters at `epoch_s`, if there is one. Where that frees no row, or not all need be
    kept, the older half is forgotten.
    """
    n = book[B_COUNT]
    half = n // 2
    i, out, since_s = 0, 0, epoch_s
    bend, here, y = np.zeros(MEASURED), env.copy(), flight[:7].copy()
    here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + flight[7], env[E_WIND_N] + flight[8]
    while i < half and keep_all:
        alike = i + 1 < half and by[i] == by[i + 1] and seen[i + 1, 0] - seen[i, 0] <= LONGEST_PAIR_S
        for m in range(MEASURED):
            alike = alike and math.isnan(seen[i, 1 + m]) == math.isnan(seen[i + 1, 1 + m])
        by[out] = by[i]
        if alike:
            if book[B_STATE] == FITTED:
                _bend(y, since_s, seen[i, 0], seen[i + 1, 0], places[by[i]], rots[by[i]], here, air, drag, bend)
                since_s = seen[i + 1, 0]
            turn = seen[i + 1, 2] - seen[i, 2]
            seen[i + 1, 2] -= 2.0 * math.pi * math.floor(turn / (2.0 * math.pi) + 0.5)
            seen[out, 0] = 0.5 * (seen[i, 0] + seen[i + 1, 0])
            for m in range(1, 1 + MEASURED):
                seen[out, m] = 0.5 * (seen[i, m] + seen[i + 1, m]) + bend[m - 1]
                seen[out, MEASURED + m] = 0.5 * math.hypot(seen[i, MEASURED + m], seen[i + 1, MEASURED + m])
        else:
            seen[out] = seen[i]
        i += 2 if alike else 1
        out += 1
    if out == half:
        out = 0
    for j in range(half, n):
        seen[out], by[out] = seen[j], by[j]
        out += 1
    book[B_COUNT] = out
    book[B_NEXT] = 0
