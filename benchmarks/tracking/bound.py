"""How exact any tracker of the raid can be: the Cramer-Rao bound of where its rounds are.

Of each round nothing is known beforehand but its drag, to a stated part; each look that sees it adds its information, a
share P_DETECT of it, as the mean over which looks do. No process noise: the flight is exactly that of the raid.
"""

import msgspec
import numpy as np

from opencram.tables import FloatArray
from tracking.raid import (
    HIGH_RAD,
    LONGEST_STEP_S,
    LOW_RAD,
    P_DETECT,
    SETTLED_S,
    SIGMA_M,
    SIGMA_RAD,
    STEP_S,
    Raid,
    angles,
    step,
)

SIGMAS = np.array([SIGMA_RAD, SIGMA_RAD, SIGMA_M])
NUDGE = np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 1e-3])
"""For the slopes, central differences: of position (m), velocity (m/s) and ln(drag) at the round's first look."""
PARAMETERS = len(NUDGE)

USUAL, EXACT = 0.2, 1e-3
"""One sigma of ln(drag): as a catalogue knows it, and as if it were known."""


class Bound(msgspec.Struct, frozen=True):
    """The bounds of one raid: mean square of the localisation part of GOSPA, m2."""

    objects: int
    usual_m2: float
    exact_m2: float


def bounds(raids: list[Raid]) -> list[Bound]:
    """Of each raid."""
    return [Bound(raid.objects, bound_m2(raid, USUAL), bound_m2(raid, EXACT)) for raid in raids]


def bound_m2(raid: Raid, ln_drag_sigma: float) -> float:
    """Sum over the rounds of the least variance of their places, m2, mean over the scans after SETTLED_S."""
    first = np.argmax(~np.isnan(raid.truth[:, :, 0]), axis=0)
    state = np.zeros((raid.objects, 2, PARAMETERS, 6))
    information = np.tile(np.diag([*[1e-12] * 6, ln_drag_sigma**-2]), (raid.objects, 1, 1))
    drag = np.ones((raid.objects, 2, PARAMETERS))
    drag[:, 0, -1], drag[:, 1, -1] = np.exp(NUDGE[-1]), np.exp(-NUDGE[-1])
    found = []
    for number, time_s in enumerate(raid.time_s):
        flying, begins = np.flatnonzero(number > first), np.flatnonzero(number == first)
        state[flying] = _fly(state[flying], drag[flying])
        state[begins] = _nudged(raid.truth[number, begins])
        seen = np.concatenate([flying, begins])
        seen = seen[_in_sight(raid.truth[number, seen])]
        slopes = _slopes(angles(state[seen].reshape(-1, 6)).reshape(len(seen), 2, PARAMETERS, 3)) / SIGMAS
        information[seen] += P_DETECT * slopes @ slopes.transpose(0, 2, 1)
        if time_s >= SETTLED_S:
            place = _slopes(state[..., :3])
            found.append(float(np.einsum("npa,npq,nqa->", place, np.linalg.inv(information), place)))
    return float(np.mean(found))


def _nudged(y: FloatArray) -> FloatArray:
    """Of states (n, 6) all that begin a little off, up and down in each parameter, (n, 2, 7, 6)."""
    moved = np.tile(y[:, None, None], (1, 2, PARAMETERS, 1))
    for k in range(6):
        moved[:, 0, k, k] += NUDGE[k]
        moved[:, 1, k, k] -= NUDGE[k]
    return moved


def _fly(state: FloatArray, drag: FloatArray) -> FloatArray:
    """States (n, 2, 7, 6) a scan later."""
    y, half_s = state.reshape(-1, 6), np.full((state.size // 6, 1), LONGEST_STEP_S)
    for _ in range(round(STEP_S / LONGEST_STEP_S)):
        y = step(y, half_s, drag.ravel())
    return y.reshape(state.shape)


def _in_sight(y: FloatArray) -> FloatArray:
    """Which of the states (n, 6) the radar may see."""
    elevation = angles(y)[:, 1]
    result: FloatArray = (elevation > LOW_RAD) & (elevation < HIGH_RAD)
    return result


def _slopes(moved: FloatArray) -> FloatArray:
    """Slopes by each parameter (n, 7, a) of what was worked out up and down of it, (n, 2, 7, a)."""
    slopes: FloatArray = (moved[:, 0] - moved[:, 1]) / (2.0 * NUDGE[:, None])
    return slopes
