"""Who warns, and whether it is real: from where a warning's inputs come follows the status that every channel tells."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from opencram.site import Site

Status = Literal["Actual", "Exercise", "Test"]
"""As in CAP 1.2."""
STATUSES: tuple[Status, ...] = ("Actual", "Exercise", "Test")


class Provenance(Enum):
    """Where a warning's inputs came from. Only what live sensors alone gave rise to may ever be called actual."""

    SIMULATION = "simulation"
    REPLAY = "replay"
    LIVE = "live"

    @property
    def cap_status(self) -> Status:
        """The CAP status of its warnings; a simulation has no way to another one than Exercise."""
        return _STATUS[self]

    def status_of(self, kind: str) -> Status:
        """The status of a warning of this kind: a drill on a live system is an exercise, a siren's test a test."""
        if kind == "test" or self is Provenance.REPLAY:
            return "Test"
        return "Exercise" if kind == "drill" else self.cap_status


_STATUS: dict[Provenance, Status] = {
    Provenance.SIMULATION: "Exercise",
    Provenance.REPLAY: "Test",
    Provenance.LIVE: "Actual",
}


@dataclass(frozen=True)
class Source:
    """Who warns, of what kind the inputs are, and a name of the run that is the same whenever it is repeated."""

    sender: str
    run: str
    provenance: Provenance
    note: str = ""


def sender_of(site: Site) -> str:
    """The name under which a site warns, without what CAP 1.2 forbids in it: white space, commas, < and &."""
    return re.sub(r"[\s,<&]+", "-", f"opencram.{site.name}")
