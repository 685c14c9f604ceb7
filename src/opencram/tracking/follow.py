"""The fits of a bank of tracks, kept up to date: extended plot by plot, renewed when the plots have grown by a quarter.

Each track is fitted under every drag curve that it may have (`SHAPES` of the catalogue's classes). Which plots belong
to its free flight is found here as well: while a motor burns, a radar pulls in or a wrong plot was used, no flight
explains the plots, successive innovations lean to one side, and the fit begins anew behind them.

The arrays have the bank's slots as first axis; `book` (slots, 6) holds whole numbers in the B_ columns.
"""

import math

import numpy as np

from opencram.physics.flight import E_WIND_E, E_WIND_N, accel, landing
from opencram.physics.kernel import device, kernel
from opencram.tables import FloatArray, IntArray
from opencram.tracking.fit import (
    MEASURED,
    PARAMETERS,
    T_LOG_LIKE,
    T_MISS,
    T_PARTS,
    T_TURN,
    T_TURNS,
    TOLD,
    extend,
    refit,
)

B_COUNT, B_DONE, B_NEXT, B_STATE, B_BOOST, B_DEBRIS, BOOK = range(7)
"""Plots kept; plots the fit has taken in; with how many it is renewed; a STATE; whether thrust was seen; debris."""
NEW, FITTED, FAILED = range(3)

FEWEST_PLOTS = 4
GROWTH = 1.25
"""The fit is renewed when it has this many times the plots: often while it still moves, seldom later."""
LEANS, UPRIGHT = 4.0, 2.5
"""Innovations that follow each other by this many sigmas say that no one flight explains the plots; below the second
number a later start is good enough."""
POOR = 5.0
"""So does a sum of squares this many sigmas too large, if a later start mends it."""
MENDED = 0.7
STARTS = 8
"""A later start is looked for at each of so many parts of the plots."""
SCALE_PRIOR = 10.0
"""The stated sigmas are held as if so many plots had shown them."""
SCALE_LEAST, SCALE_MOST, SCALE_STEP = 0.1, 25.0, 1.1
BOOST_MPS, BOOST_SIGMAS = 15.0, 4.0
"""An object faster than before by this much, and so surely, had a motor that burnt."""
O_CLIMB, O_SLOWING, ORIGIN = 0, 1, 2
"""Columns of `origin`: vertical speed at the launch (m/s), and how speed changes there by the metre (1/s)."""


@device
def _lean(told: FloatArray) -> float:
    """By how many sigmas successive innovations have the same sign; 0 where nothing can be said."""
    miss, parts = 0.0, 0.0
    for m in range(MEASURED):
        miss += told[T_MISS + m]
        parts += told[T_PARTS + m]
    if parts <= 0.0 or miss <= 0.0 or told[T_TURNS] <= 0.0:
        return 0.0
    return float(told[T_TURN] / math.sqrt(told[T_TURNS]) * parts / miss)


@device
def _misfit(told: FloatArray) -> tuple[float, float]:
    """Squared innovations per measured number, and how many sigmas too large they are."""
    miss, parts = 0.0, 0.0
    for m in range(MEASURED):
        miss += told[T_MISS + m]
        parts += told[T_PARTS + m]
    if parts <= 0.0:
        return 1.0, 0.0
    return miss / parts, (miss - parts) / math.sqrt(2.0 * parts)


@device
def _rescale(scale: FloatArray, told: FloatArray) -> bool:
    """Learn the true variances over those stated, (4); whether they changed enough to fit again."""
    changed = False
    for m in range(MEASURED):
        known = (SCALE_PRIOR + scale[m] * told[T_MISS + m]) / (SCALE_PRIOR + told[T_PARTS + m])
        known = min(max(known, SCALE_LEAST), SCALE_MOST)
        changed = changed or known > SCALE_STEP * scale[m] or known < scale[m] / SCALE_STEP
        scale[m] = known
    return changed


@device
def _later_start(
    seen: FloatArray,
    by: IntArray,
    prior: FloatArray,
    scale: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drag: FloatArray,
) -> int:
    """From which plot on one flight explains the rest; 0 where the whole is explained as well as any part."""
    ref, shift, cov = np.empty(PARAMETERS), np.empty(PARAMETERS), np.empty((PARAMETERS, PARAMETERS))
    now, tangent, last, found = np.empty(7), np.empty((6, PARAMETERS)), np.empty(2 * MEASURED), np.empty(TOLD)
    whole, _ = _misfit(told)
    lean, best, start = _lean(told), 0, 0
    n = len(seen)
    for part in range(1, STARTS):
        if (n * part) // STARTS == start or n - (n * part) // STARTS < FEWEST_PLOTS:
            continue
        start = (n * part) // STARTS
        if not refit(
            seen[start:], by[start:], False, prior, scale, ref, shift, cov, now, tangent, last, found,
            places, rots, env, air, drag,
        ):  # fmt: skip
            continue
        rest, _ = _misfit(found)
        mended = lean >= LEANS or rest < MENDED * whole
        if mended and _lean(found) < UPRIGHT and rest < whole:
            return start
        if n - start > n // 4 and rest < MENDED * whole:
            best = start
    return best


@device
def _boosted(seen: FloatArray, start: int, ref: FloatArray, shift: FloatArray, here: FloatArray) -> bool:
    """Whether the object flew slower, before the plot `start` where its fit begins, than drag and gravity allow."""
    span = seen[start, 0] - seen[0, 0]
    far = 0.0
    for k in range(3):
        far += (ref[k] + shift[k] - here[k]) ** 2
    speed = math.sqrt((ref[3] + shift[3]) ** 2 + (ref[4] + shift[4]) ** 2 + (ref[5] + shift[5]) ** 2)
    blur = math.hypot(seen[0, 5], seen[0, 1] * seen[0, 6]) / span
    return bool(speed - math.sqrt(far) / span > max(BOOST_MPS, BOOST_SIGMAS * blur))


@device
def _first_place(seen: FloatArray, by: IntArray, places: FloatArray, rots: FloatArray) -> FloatArray:
    """Where the first plot was, (3)."""
    el = 0.0 if math.isnan(seen[0, 3]) else seen[0, 3]
    flat, rot = seen[0, 1] * math.cos(el), rots[by[0]]
    d = (flat * math.sin(seen[0, 2]), flat * math.cos(seen[0, 2]), seen[0, 1] * math.sin(el))
    out = np.empty(3)
    for k in range(3):
        out[k] = places[by[0], k] + rot[0, k] * d[0] + rot[1, k] * d[1] + rot[2, k] * d[2]
    return out


@device
def _look_back(
    ref: FloatArray,
    shift: FloatArray,
    env: FloatArray,
    air: FloatArray,
    ground: FloatArray,
    drag: FloatArray,
    back: FloatArray,
    origin: FloatArray,
) -> None:
    """The way back to the ground: place, time and speed there with derivatives (4, 10), and how it set out."""
    start, y, here = ref[:7] + shift[:7], np.empty(7), env.copy()
    here[E_WIND_E], here[E_WIND_N] = env[E_WIND_E] + ref[7] + shift[7], env[E_WIND_N] + ref[8] + shift[8]
    if not landing(start, -1.0, here, air, ground, drag, np.eye(6, PARAMETERS), y, back):
        back[:], origin[:] = math.nan, math.nan
        return
    a = accel(y, here, air, drag)
    origin[O_CLIMB] = y[5]
    origin[O_SLOWING] = (y[3] * a[0] + y[4] * a[1] + y[5] * a[2]) / (y[3] ** 2 + y[4] ** 2 + y[5] ** 2)


@device
def _drop(slot: int, start: int, book: IntArray, seen: FloatArray, by: IntArray) -> None:
    """Forget the plots in front of `start`."""
    n = book[slot, B_COUNT] - start
    for i in range(n):
        seen[slot, i], by[slot, i] = seen[slot, start + i], by[slot, start + i]
    book[slot, B_COUNT] = n


@device
def _renew(
    slot: int,
    s_from: int,
    s_to: int,
    book: IntArray,
    seen: FloatArray,
    by: IntArray,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    last: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drags: FloatArray,
    priors: FloatArray,
) -> int:
    """Fit all plots of one track anew under each drag curve; returns how many plots that were."""
    known, spent, searched = book[slot, B_STATE] == FITTED, 0, False
    for _ in range(4):
        n = book[slot, B_COUNT]
        spent += n
        good, top = True, s_from
        for s in range(s_from, s_to):
            good = good and refit(
                seen[slot, :n], by[slot, :n], known, priors[s], scale[slot], ref[slot, s], shift[slot, s],
                cov[slot, s], now[slot, s], tangent[slot, s], last[slot, s], told[slot, s],
                places, rots, env, air, drags[s],
            )  # fmt: skip
            if told[slot, s, T_LOG_LIKE] > told[slot, top, T_LOG_LIKE]:
                top = s
        book[slot, B_STATE], book[slot, B_DONE] = FITTED if good else FAILED, n
        book[slot, B_NEXT] = math.ceil(n * GROWTH)
        if not good:
            if not known:
                break
            known = False
            continue
        _, poor = _misfit(told[slot, top])
        if not searched and n >= 2 * FEWEST_PLOTS - 2 and (_lean(told[slot, top]) > LEANS or poor > POOR):
            searched = True
            start = _later_start(
                seen[slot, :n], by[slot, :n], priors[top], scale[slot], told[slot, top],
                places, rots, env, air, drags[top],
            )  # fmt: skip
            if start > 0:
                here, old = _first_place(seen[slot], by[slot], places, rots), seen[slot, : start + 1].copy()
                _drop(slot, start, book, seen, by)
                scale[slot] = 1.0
                n = book[slot, B_COUNT]
                refit(
                    seen[slot, :n], by[slot, :n], False, priors[top], scale[slot], ref[slot, top], shift[slot, top],
                    cov[slot, top], now[slot, top], tangent[slot, top], last[slot, top], told[slot, top],
                    places, rots, env, air, drags[top],
                )  # fmt: skip
                if _boosted(old, start, ref[slot, top], shift[slot, top], here):
                    book[slot, B_BOOST] = 1
                known = False
                continue
        known = True
        if not _rescale(scale[slot], told[slot, top]):
            break
    return spent


@kernel(
    "int64(int64[::1], int64, int64[:,::1], float64[:,:,::1], int64[:,::1], float64[:,::1], float64[:,:,::1],"
    "float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1], float64[:,:,::1],"
    "float64[:,:,:,::1], float64[:,:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,::1], float64[:,:,::1],"
    "float64[::1], float64[:,::1], float64[:,::1], float64[:,::1], float64[:,::1])"
)
def follow(
    slots: IntArray,
    most: int,
    book: IntArray,
    seen: FloatArray,
    by: IntArray,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    last: FloatArray,
    told: FloatArray,
    back: FloatArray,
    back_at: FloatArray,
    origin: FloatArray,
    ahead: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    ground: FloatArray,
    drags: FloatArray,
    priors: FloatArray,
) -> int:
    """Bring the fits of `slots` up to their newest plots; returns how many plots the renewed ones had.

    No more are renewed once those had `most` plots together; the others are extended, and renewed when their turn
    comes. So the slots are given in order of urgency. The flights `ahead` of those renewed are marked to be flown anew.
    """
    spent = 0
    for i in range(len(slots)):
        slot = slots[i]
        n, s_from, s_to = book[slot, B_COUNT], 0, len(drags) - 1
        if book[slot, B_DEBRIS]:
            s_from, s_to = len(drags) - 1, len(drags)
        due = book[slot, B_STATE] != FITTED or n >= book[slot, B_NEXT]
        if due and spent < most:
            spent += _renew(
                slot, s_from, s_to, book, seen, by, scale, ref, shift, cov, now, tangent, last, told,
                places, rots, env, air, drags, priors,
            )  # fmt: skip
            for s in range(s_from, s_to):
                if book[slot, B_STATE] == FITTED:
                    _look_back(
                        ref[slot, s], shift[slot, s], env, air, ground, drags[s], back[slot, s], origin[slot, s]
                    )
                    back_at[slot, s] = shift[slot, s]
            ahead[slot, :, 3, 0] = math.nan
        elif book[slot, B_STATE] == FITTED:
            done = book[slot, B_DONE]
            for s in range(s_from, s_to):
                extend(
                    seen[slot, done:n], by[slot, done:n], seen[slot, done - 1, 0], scale[slot], ref[slot, s],
                    shift[slot, s], cov[slot, s], now[slot, s], tangent[slot, s], last[slot, s], told[slot, s],
                    places, rots, env, air, drags[s],
                )  # fmt: skip
            book[slot, B_DONE] = n
    return spent
