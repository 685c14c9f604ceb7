"""What the simulated world knows of a run at its end, in the form that a recording keeps and a report reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from opencram.report.evidence import Truth
from opencram.tables import FloatArray

if TYPE_CHECKING:
    from opencram.world.world import World


@dataclass(frozen=True)
class KnownObject:
    """An object that the scenario sent up, and what became of it."""

    id: str
    cls: str
    hostile: bool
    launch_ns: int
    launch_enu_m: FloatArray
    outcome: str
    end_ns: int
    end_enu_m: FloatArray
    undefended_enu_m: FloatArray
    undefended_zones: tuple[str, ...]
    engaged: tuple[int, ...]


@dataclass(frozen=True)
class KnownDebris:
    """A piece of an intercepted object."""

    object: str
    end_ns: int
    end_enu_m: FloatArray


@dataclass(frozen=True)
class KnownRound:
    """A round of the simulated defence that came down whole."""

    engagement: int
    end_ns: int
    end_enu_m: FloatArray


@dataclass(frozen=True)
class Known:
    """All objects, all debris and all spent rounds."""

    objects: list[KnownObject]
    debris: list[KnownDebris]
    rounds: list[KnownRound] = field(default_factory=list)

    def truth(self) -> Truth:
        """The same, as a report reads it."""
        return Truth(self.objects, self.debris, self.rounds)


def known_to(world: World) -> Known:
    """What the world knows now."""
    objects = [
        KnownObject(
            id=o.id,
            cls=o.cls,
            hostile=o.hostile,
            launch_ns=o.launch_ns,
            launch_enu_m=o.launch_enu_m,
            outcome=o.outcome,
            end_ns=o.end_ns,
            end_enu_m=o.end_enu_m,
            undefended_enu_m=o.undefended_enu_m,
            undefended_zones=o.undefended_zones,
            engaged=o.engaged,
        )
        for o in world.objects()
    ]
    debris = [KnownDebris(d.object, d.end_ns, d.end_enu_m) for d in world.debris()]
    return Known(objects, debris, [KnownRound(r.engagement, r.end_ns, r.end_enu_m) for r in world.spent_rounds()])


def to_plain(known: Known) -> dict[str, Any]:
    """Lists, numbers and text only, for the recording."""
    plain: dict[str, Any] = msgspec.to_builtins(known, enc_hook=lambda value: np.asarray(value).tolist())
    return plain


def from_plain(plain: Mapping[str, Any]) -> Known:
    """The inverse of `to_plain`; msgspec.ValidationError for anything else."""
    return msgspec.convert(plain, Known, dec_hook=lambda _, value: np.array(value, np.float64))
