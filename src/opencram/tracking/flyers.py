"""What a track that does not fall may be: how well each class that flies by its own power explains what is seen of it.

The evidence is as for what falls: the density of its speed under the class's span, of its mean radar cross-section,
and whether such a class ever flies so high. Without a cross-section a drone and a light aircraft of one speed look
alike, and then neither is named.
"""

import math
from dataclasses import dataclass
from functools import cache

import numpy as np

from opencram.physics.threats import catalogue
from opencram.tables import UNKNOWN, BoolArray, FloatArray, IntArray
from opencram.tracking.size import RCS_SIGMA_DB, Z_COUNT, fading_db2, off_db

SPEED_TOLERANCE = 0.05
"""One sigma of a speed round its class's span, as a share: wind carries what flies."""
CEILING_M = {"drone": 4_000.0, "quadcopter": 1_000.0, "bird": 3_000.0, "aircraft": 15_000.0, "helicopter": 5_000.0}
"""Above these such things do not fly (assumed, with room: drones of the class cruise at 100 to 4,000 m)."""
CEILING_SHARE = 0.1
SURE = 0.8
"""A class is named when it is so likely; what comes on counts without a name as well."""
TRAFFIC = 10.0
"""What is innocent flies so many times as often as the catalogue's priors say, which favour nothing (assumed)."""
NONE_PRIOR, NONE_SPEEDS_MPS, NONE_SIZES_DB = 0.3, 300.0, 80.0
"""It may be none of them: echoes of the ground, followed as one thing, and craft that the catalogue does not know have
any speed and size in these spans."""
HARMLESS = 0.98
"""And the likeliest innocent one when all of them together are: what is left for the others is worth no siren."""
SURE_STILL, HARMLESS_STILL = 0.6, 0.9
"""A name once given is kept down to these: one faint echo makes nobody somebody else."""


@dataclass(frozen=True, eq=False)
class Flyers:
    """The classes, their indices in the catalogue, and their figures (c, 5)."""

    index: IntArray
    rows: FloatArray
    """Least and most speed (m/s), ln(prior), mean cross-section (dB m2), ceiling (m)."""
    innocent: BoolArray


@cache
def flyers() -> Flyers:
    """All classes that fly level and have a ceiling here."""
    found = [(i, t) for i, t in enumerate(catalogue().values()) if t.id in CEILING_M]
    rows = np.array([(*t.speed_mps, math.log(t.prior), 10.0 * math.log10(t.rcs_m2), CEILING_M[t.id]) for _, t in found])
    innocent = np.array([t.family == "innocent" for _, t in found])
    rows[innocent, 2] += math.log(TRAFFIC)
    return Flyers(np.array([i for i, _ in found]), rows, innocent)


@cache
def smallest_drone_db() -> float:
    """Mean cross-section of the smallest class that flies and does harm, dB m2."""
    known = flyers()
    return float(known.rows[~known.innocent, 3].min())


def flyer_of(speed_mps: float, sigma_mps: float, up_m: float, seen: FloatArray, called: int = UNKNOWN) -> int:
    """Class index of something that flies level at this speed, one sigma `sigma_mps`, and height; UNKNOWN in doubt.

    `seen` is how large it seems, as `size.take_size` keeps it; `called` the class it has been called by.
    """
    known = flyers()
    low, high, ln_prior, size, ceiling = known.rows.T
    blur = np.hypot(SPEED_TOLERANCE * speed_mps, sigma_mps)
    beyond = np.maximum(np.maximum(low - speed_mps, speed_mps - high), 0.0) / blur
    ln_p = ln_prior - 0.5 * beyond**2 - np.log(high - low + 2.5 * blur)
    ln_p -= 0.5 * (np.maximum(up_m - ceiling, 0.0) / (CEILING_SHARE * ceiling)) ** 2
    ln_none = math.log(NONE_PRIOR / NONE_SPEEDS_MPS)
    if seen[Z_COUNT] >= 1.0:
        var, off = RCS_SIGMA_DB**2 + fading_db2(seen), np.array([off_db(seen, db) for db in size.tolist()])
        ln_p -= 0.5 * (off**2 / var + math.log(2.0 * math.pi * var))
        ln_none -= math.log(NONE_SIZES_DB)
    return _named(known, np.exp(ln_p), math.exp(ln_none), called)


def _named(known: Flyers, p: FloatArray, none: float, called: int) -> int:
    """The class by the weights of all (c,) and of none of them."""
    innocent, hostile = float(p[known.innocent].sum()), float(p[~known.innocent].sum())
    friend, best = int(np.argmax(np.where(known.innocent, p, 0.0))), int(np.argmax(p))
    was_friend = called != UNKNOWN and bool(known.innocent[known.index == called].any())
    if innocent > max(none, (HARMLESS_STILL if was_friend else HARMLESS) * (innocent + hostile)):
        return int(known.index[friend])
    sure = SURE_STILL if known.index[best] == called else SURE
    return int(known.index[best]) if p[best] >= sure * (innocent + hostile + none) else UNKNOWN
