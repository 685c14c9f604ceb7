"""One hash over all decisions of a run, so that two runs are the same or are not."""

from __future__ import annotations

import hashlib
import math

import msgspec

from opencram.tables import Engagement, Outbox, ZoneWarning


class DecisionDigest:
    """SHA-256 over warnings and engagements in order.

    Rounded (chances to 0.001, seconds and metres to 0.1), so that the last bits of a sum do not make two decisions
    of one; without the reasons, whose wording is no decision.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, outbox: Outbox) -> None:
        """Take in the decisions of the next tick."""
        rows = [_warning(w) for w in outbox.warnings] + [_engagement(e) for e in outbox.engagements]
        for row in rows:
            self._hash.update(msgspec.json.encode(row, order="sorted") + b"\n")

    def hexdigest(self) -> str:
        """The digest of all decisions so far."""
        return self._hash.hexdigest()


def _warning(w: ZoneWarning) -> dict[str, object]:
    return {
        "time_ns": w.time_ns,
        "zone": w.zone,
        "state": w.state,
        "tracks": w.tracks,
        "p_hit": _rounded(w.p_hit, 3),
        "seconds_left": None if w.seconds_left is None else _rounded(w.seconds_left, 1),
        "kind": w.kind,
    }


def _engagement(e: Engagement) -> dict[str, object]:
    return {
        "time_ns": e.time_ns,
        "engagement": e.engagement,
        "effector": e.effector,
        "track": e.track,
        "zone": e.zone,
        "range_m": _rounded(e.range_m, 1),
        "p_kill": _rounded(e.p_kill, 3),
        "intercept_ds": round(e.intercept_ns / 100_000_000),
        "at_m": [_rounded(x, 1) for x in (e.east_m, e.north_m, e.up_m)],
    }


def _rounded(value: float, digits: int) -> float | None:
    """`value` rounded; -0 is 0, and what is no number is None."""
    return round(value, digits) + 0.0 if math.isfinite(value) else None
