"""What happens between tracks, told with its reason: none merges, splits or may have swapped with another silently."""

import numpy as np

from opencram.tables import BoolArray, IntArray, TrackEvent
from opencram.tracking.bank import PARTNER, SHARED, TRACK, Bank
from opencram.tracking.lifecycle import SHARE_LOOKS


class Events:
    """The events of one scan, as of `time_ns`; rows are those of the bank before any of them is let go."""

    def __init__(self, time_ns: int, bank: Bank) -> None:
        self.found: list[TrackEvent] = []
        self._time_ns, self._bank = time_ns, bank

    def _note(self, kind: str, row: int, other: int, reason: str) -> None:
        track = self._bank.track
        self.found.append(
            TrackEvent(time_ns=self._time_ns, kind=kind, track=int(track[row]), other=int(track[other]), reason=reason)
        )

    def ended(self, same: IntArray, heir: BoolArray, twin: IntArray) -> None:
        """Tracks (n,) that are the same as another row: as `lifecycle.confirm` and `lifecycle.twins` found."""
        for row in np.flatnonzero(twin >= 0).tolist():
            self._note("merge", row, int(twin[row]), "alike in place and speed, with one plot between them a scan")
        for row in np.flatnonzero(heir).tolist():
            reason = "lost, and goes on as what began in its resolution cell: it may have been two, or two others"
            self._note("split", int(same[row]), row, reason)

    def lost(self, ended: BoolArray) -> None:
        """Tracks (n,) that are given up: one that shared its plots was not told apart from the other any more."""
        for row in np.flatnonzero(ended & (self._bank.whole[:, PARTNER] > 0)).tolist():
            other = self._row_of(int(self._bank.whole[row, PARTNER]))
            if other >= 0:
                self._note("merge", row, other, "its last plots were shared, and none is its own any more")

    def _row_of(self, number: int) -> int:
        """The row of a track, -1 if it is no more."""
        track = self._bank.track
        row = int(np.searchsorted(track, number))
        return row if row < len(track) and track[row] == number else -1

    def sharing(self, chosen: IntArray, partner: IntArray) -> None:
        """Tracks (n,) that share a plot with a partner's row, or have their own."""
        whole, shared = self._bank.whole, partner >= 0
        if not shared.any() and not whole[:, [SHARED, PARTNER]].any():
            return
        own = (chosen >= 0) & ~shared
        for row in np.flatnonzero(own & (whole[:, PARTNER] > 0)).tolist():
            self._part(row, own)
        whole[own, SHARED] = 0
        whole[shared, SHARED] += 1
        for row in np.flatnonzero(shared & (whole[:, SHARED] == SHARE_LOOKS)).tolist():
            other = int(partner[row])
            if whole[row, PARTNER] != whole[other, TRACK]:
                whole[row, PARTNER], whole[other, PARTNER] = whole[other, TRACK], whole[row, TRACK]
                self._note("share", row, other, "one plot for both, within one resolution cell")

    def _part(self, row: int, own: BoolArray) -> None:
        """A track that shared plots has its own: they have parted if the other one has, too, or is no more."""
        whole = self._bank.whole
        other = self._row_of(int(whole[row, PARTNER]))
        if other < 0:
            whole[row, PARTNER] = 0
        elif own[other]:
            whole[[row, other], PARTNER] = 0
            self._note("part", row, other, "a plot for each again; which is which may have changed meanwhile")
