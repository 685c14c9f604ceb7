"""Confirmed tracks as ASTERIX category 062 over UDP, for those who show or use them.

What a simulation's tracks are is in each record (I062/080, SIM): it follows from where the inputs come from, as in
every other channel. Encoding takes its time, so that a tick sends few: those that were sent longest ago.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from opencram.asterix.write import encode_tracks
from opencram.errors import InputError
from opencram.outputs.cap import Provenance
from opencram.physics.layout import layout_of
from opencram.serve.udp import Transmitter, endpoint
from opencram.tables import CONFIRMED, Outbox, Tracks

if TYPE_CHECKING:
    from opencram.site import Site

AT_ONCE = 10
"""Tracks sent after a tick: they take a millisecond or two."""
MAX_WAITING = 1_000
"""Tracks of which something is to be sent; of one more nothing is, and that is counted."""
ENDED_NS = 3_000_000_000
"""A track of which nothing was heard for so long is no more: as on the page."""


class TracksOut:
    """Told of every tick; sends what is due to all who are to have it. `left_out` counts tracks that were too many."""

    def __init__(self, site: Site, provenance: Provenance, to: Sequence[str], code: str) -> None:
        self._origin = layout_of(site).origin
        self._sac, self._sic = sac_sic(code)
        self._simulated = provenance is not Provenance.LIVE
        self._senders = {text: Transmitter(endpoint(text)) for text in to}
        self._waiting: dict[int, Tracks] = {}
        self._heard_ns: dict[int, int] = {}
        self._sent: dict[int, int] = {}
        self._number = 0
        self.left_out = 0

    def tell(self, outbox: Outbox, now_ns: int) -> None:
        """Take in what a tick put out, and send what there is of those tracks that were sent longest ago."""
        rows = outbox.tracks
        for row in np.flatnonzero(rows.status == CONFIRMED).tolist():
            track = int(rows.track[row])
            if track in self._waiting or len(self._waiting) < MAX_WAITING:
                self._waiting[track] = rows.take(np.array([row]))
                self._heard_ns[track] = now_ns
            else:
                self.left_out += 1
        ended = [track for track, heard_ns in self._heard_ns.items() if now_ns - heard_ns > ENDED_NS]
        for track in ended:
            del self._heard_ns[track]
            self._waiting.pop(track, None)
            self._sent.pop(track, None)
        due = sorted(self._waiting, key=lambda track: self._sent.get(track, 0))[:AT_ONCE]
        for track in due:
            self._number += 1
            self._sent[track] = self._number
        if due or ended:
            tracks = Tracks.concat([self._waiting.pop(track) for track in due])
            data = encode_tracks(tracks, self._origin, self._sac, self._sic, self._simulated, ended)
            for sender in self._senders.values():
                sender.send(data)

    def counts(self) -> dict[str, int]:
        """What was not sent."""
        found = {f"CAT062 {to}: datagrams not sent": sender.dropped for to, sender in self._senders.items()}
        return found | {"CAT062: tracks left out": self.left_out}

    def close(self) -> None:
        """Send no more."""
        for sender in self._senders.values():
            sender.close()


def sac_sic(text: str) -> tuple[int, int]:
    """The codes by which receivers know us, written SAC/SIC; InputError for others."""
    match = re.fullmatch(r"(\d{1,3})/(\d{1,3})", text, re.ASCII)
    if match is None or not all(int(code) < 256 for code in match.groups()):
        raise InputError(f"--asterix-code: found '{text}', expected SAC/SIC such as 25/100, each at most 255")
    return int(match[1]), int(match[2])
