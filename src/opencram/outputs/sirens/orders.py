"""What the desk keeps: the newest order for each siren and zone, how each siren is, and the times it goes by."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from opencram.outputs.sirens.messages import ALARMS, Command, Kind
from opencram.site import Site

SECOND_NS = 1_000_000_000
MAX_HELPERS = 2
"""So many neighbours are to sound in the place of a siren that does not answer."""
SELF_TEST_ZONE = "*"
"""Stands for the zone in a self-test; no zone has this id."""

SOUND_OF: dict[str, Kind] = {"rocket": "rocket", "debris": "rocket", "drone": "drone"}
"""Kind of danger of a warning -> kind of sound; all else was observed or ordered by a person."""


@dataclass(frozen=True)
class Times:
    """How long the desk waits for what. Assumed, every one; `docs/explanation/sirens.md` says why."""

    retry_s: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
    """Waits before a command is sent again, and then `retry_every_s` each time."""
    retry_every_s: float = 4.0
    escalate_s: float = 2.0
    """A siren that has not said for so long that it sounds is helped out by its neighbours."""
    lifetime_s: float = 60.0
    """A command is not begun later than this, and what it began ends then."""
    renew_s: float = 20.0
    """While a zone stays alerted, its sirens get a new command so often."""
    silent_s: float = 7.0
    """A siren that has not beaten for so long is taken for lost: three beats missed, and a second."""
    settle_s: float = 1.0
    """A beat told within this time of an answer may have been written before it."""

    def wait_ns(self, tries: int) -> int:
        """How long to wait for an answer to try number `tries` (from 1)."""
        wait_s = self.retry_s[max(tries, 1) - 1] if tries <= len(self.retry_s) else self.retry_every_s
        return round(wait_s * SECOND_NS)


@dataclass
class Order:
    """The newest command of one siren for one zone, and how far it has come."""

    command: Command
    origin: str
    """What gave rise to it: the warning's time, a drill or a test."""
    renewal: int
    """Counts the commands of the same origin."""
    asked_ns: int
    """Since when an answer is waited for."""
    stage: str = ""
    stage_ns: int = 0
    sent_ns: int = 0
    tries: int = 0
    escalated: bool = False
    helps: str = ""
    """The siren in whose place it sounds; empty: the zone is its own."""
    earlier: list[str] = field(default_factory=list)
    """The last commands that it took the place of: their answers may still come."""

    @property
    def alarms(self) -> bool:
        """Whether it makes a siren sound until it is ended."""
        return self.command.kind in ALARMS and self.command.kind != "test"

    @property
    def reached(self) -> bool:
        """Whether the siren has said that it does what it was told."""
        return self.stage == "done" or (self.stage == "sounding" and self.alarms)

    @property
    def drills(self) -> bool:
        """Whether it belongs to a drill or a test, not to a warning."""
        return self.command.kind in ("drill", "drill-notice", "test") or self.origin.startswith("drill")


@dataclass
class SirenState:
    """How a siren is, as far as it has said."""

    beat_ns: int = 0
    """When its last beat was accepted, by the service's clock; 0: never."""
    last_beat_ns: int = 0
    """The number that the beat carried: its time by the siren's own clock."""
    last_bye_ns: int = 0
    away: bool = True
    """Not heard since it was lost, or since the service began."""
    silent: bool = False
    unanswered: bool = False
    """The operator was told that it does not answer, and nothing since."""
    unexplained: bool = False
    """It sounds for a zone for which nobody told it to, as far as is known here."""
    sounding: str = ""
    tested_ns: int = 0
    tested_ok: bool = True
    fault: str = ""

    @property
    def well(self) -> bool:
        """Whether it beats and knows of nothing wrong with itself."""
        return bool(self.beat_ns) and not self.silent and not self.fault


@dataclass
class Drill:
    """A drill that is announced or sounding."""

    id: str
    zones: tuple[str, ...]
    starts_ns: int
    ends_ns: int
    by: str
    phase: str = "notice"


@dataclass
class DeskState:
    """All that must outlive the process."""

    seq: int = 0
    told_ns: int = 0
    """Time of the newest warnings that were acted on."""
    orders: dict[str, dict[str, Order]] = field(default_factory=dict)
    """By siren, then zone; at most one each."""
    sirens: dict[str, SirenState] = field(default_factory=dict)
    drills: dict[str, Drill] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    """How often something was refused, by reason; what the sirens themselves refused, as 'siren: reason'."""


def save_desk(state: DeskState) -> bytes:
    """The state as bytes."""
    return msgspec.msgpack.encode(state)


def load_desk(data: bytes) -> DeskState:
    """A state from the bytes of `save_desk`; raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(data, type=DeskState)


def neighbours(site: Site) -> dict[str, tuple[str, ...]]:
    """For each siren the others that are heard where it is heard, the nearest first."""
    found = {}
    for siren in site.sirens:
        away = [
            (siren.position.distance_m(other.position.lat, other.position.lon), other)
            for other in site.sirens
            if other.id != siren.id
        ]
        heard = [(m, other.id) for m, other in away if m <= siren.audible_m + other.audible_m]
        found[siren.id] = tuple(name for _, name in sorted(heard))
    return found
