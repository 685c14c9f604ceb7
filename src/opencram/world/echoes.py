"""One look of a radar, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Look:
    """A staring radar's scan, or a slice of a rotating one's turn: from azimuth `az_rad` on over `width_rad`."""

    start_ns: int
    length_ns: int
    period: int
    az_rad: float
    width_rad: float
    scan_end: bool


@dataclass(frozen=True, eq=False)
class Echoes:
    """What is in view in one look: one row per body, or per bodies that are too near each other to tell apart."""

    time_ns: Ints
    range_m: Floats
    az_rad: Floats
    el_rad: Floats
    rate_mps: Floats
    snr: Floats
    body: Ints

    def take(self, rows: Any) -> Echoes:  # noqa: ANN401
        """Some of the rows."""
        return Echoes(*[column[rows] for column in self.__dict__.values()])

    @classmethod
    def together(cls, parts: Sequence[Echoes]) -> Echoes:
        """The rows of all of them."""
        return cls(*map(np.concatenate, zip(*[part.__dict__.values() for part in parts], strict=True)))
