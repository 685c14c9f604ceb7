"""The fits of a bank of tracks, kept up to date: extended plot by plot, renewed when there are two fifths more plots.

Each track is fitted under every drag curve that it may have. Which plots belong
to its free flight is found here as well: while a motor burns, a radar pulls in or a wrong plot was used, no flight
explains the plots, successive innovations lean to one side, and the fit begins anew behind them.

The arrays have the bank's slots as first axis; `book` (slots, 7) holds whole numbers in the B_ columns.
"""

import math

from opencram.physics.kernel import device, kernel
from opencram.tables import FloatArray, IntArray
from opencram.tracking.fit import FAILS, MEASURED, T_LOG_LIKE, T_MISS, T_NOISE, T_PARTS, extend, place_of, refit

B_COUNT, B_DONE, B_NEXT, B_STATE, B_BOOST, B_DEBRIS, BOOK = range(7)
"""Plots kept; plots the fit has taken in; with how many it is renewed; a STATE; whether thrust was seen; debris."""
NEW, FITTED, FAILED = range(3)

FEWEST_PLOTS = 4
GROWTH = 1.4
"""The fit is renewed when it has this many times the plots: often while it still moves, seldom later."""
MOST_FITS = 4
SCALE_PRIOR = 10.0
"""The stated sigmas are held as if so many plots had shown them."""
SCALE_LEAST, SCALE_MOST, SCALE_STEP = 0.1, 25.0, 1.1
LOST = 6.0
"""A fit whose innovations are so many times as large, squared, as they should be went to a wrong flight: begin anew."""
HOPELESS = 50.0
"""A drag curve whose log-likelihood is so far below the best is not fitted any more until a fit begins anew."""
BOOST_MPS, BOOST_SIGMAS = 15.0, 4.0
"""An object faster than before by this much, and so surely, had a motor that burnt."""


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
def _lost(told: FloatArray) -> bool:
    """Whether a fit is far from its plots."""
    misses, parts = 0.0, 1e-9
    for m in range(MEASURED):
        misses += told[T_MISS + m]
        parts += told[T_PARTS + m]
    return misses > LOST * parts


@device
def _begin_later(
    slot: int,
    start: int,
    noise: FloatArray,
    book: IntArray,
    seen: FloatArray,
    by: IntArray,
    scale: FloatArray,
    places: FloatArray,
    rots: FloatArray,
) -> None:
    """Forget the plots in front of `start`, and note whether the object was slower then than a flight leads to."""
    n = book[slot, B_COUNT]
    early = place_of(seen[slot, 0], places[by[slot, 0]], rots[by[slot, 0]])
    late = place_of(seen[slot, start], places[by[slot, start]], rots[by[slot, start]])
    end = place_of(seen[slot, n - 1], places[by[slot, n - 1]], rots[by[slot, n - 1]])
    before, after, blur = 0.0, 0.0, math.hypot(seen[slot, 0, 5], seen[slot, 0, 1] * seen[slot, 0, 6])
    for k in range(3):
        before += (late[k] - early[k]) ** 2
        after += (end[k] - late[k]) ** 2
    span, rest = seen[slot, start, 0] - seen[slot, 0, 0], seen[slot, n - 1, 0] - seen[slot, start, 0]
    faster = math.sqrt(after) / rest - math.sqrt(before) / span
    if faster > max(BOOST_MPS, BOOST_SIGMAS * math.sqrt(2.0) * blur * (1.0 / span + 1.0 / rest)):
        book[slot, B_BOOST] = 1
    for i in range(n - start):
        seen[slot, i], by[slot, i] = seen[slot, start + i], by[slot, start + i]
    book[slot, B_COUNT] = n - start
    for m in range(MEASURED):
        scale[slot, m] = noise[m]


@device
def _renew(
    slot: int,
    s_from: int,
    s_to: int,
    book: IntArray,
    seen: FloatArray,
    by: IntArray,
    epoch: FloatArray,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    told: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drags: FloatArray,
    priors: FloatArray,
) -> int:
    """Fit all plots of one track anew under each drag curve; returns how many plots that were."""
    known, spent, searched, again = book[slot, B_STATE] == FITTED, 0, False, False
    old_ref, old_shift, old_cov = ref[slot].copy(), shift[slot].copy(), cov[slot].copy()
    old_now, old_tangent, old_told, old_epoch = now[slot].copy(), tangent[slot].copy(), told[slot].copy(), epoch[slot]
    was_known = known
    for _ in range(MOST_FITS):
        n, start, top, floor = book[slot, B_COUNT], FAILS, FAILS, -math.inf
        for s in range(s_from, s_to):
            floor = max(floor, told[slot, s, T_LOG_LIKE] - HOPELESS) if known else floor
        for s in range(s_from, s_to):
            if known and told[slot, s, T_LOG_LIKE] < floor:
                told[slot, s, T_LOG_LIKE] = -math.inf
                continue
            spent += n
            found = refit(
                seen[slot, :n], by[slot, :n], known, epoch[slot], priors[s], scale[slot], ref[slot, s],
                shift[slot, s], cov[slot, s], now[slot, s], tangent[slot, s], told[slot, s], places, rots,
                env, air, drags[s],
            )  # fmt: skip
            if found == FAILS:
                told[slot, s, T_LOG_LIKE] = -math.inf
            elif top == FAILS or told[slot, s, T_LOG_LIKE] > told[slot, top, T_LOG_LIKE]:
                top, start = s, found
        book[slot, B_STATE], book[slot, B_DONE] = FITTED if top != FAILS else FAILED, n
        book[slot, B_NEXT], epoch[slot] = math.ceil(n * GROWTH), seen[slot, 0, 0]
        lost = top == FAILS or _lost(told[slot, top])
        if lost and known and not again:
            again, known = True, False
            for m in range(MEASURED):
                scale[slot, m] = 1.0 if top == FAILS else told[slot, top, T_NOISE + m]
            continue
        if top == FAILS:
            break
        known = True
        if start > 0 and not searched and n - start >= FEWEST_PLOTS:
            searched, known = True, False
            _begin_later(slot, start, told[slot, top, T_NOISE:], book, seen, by, scale, places, rots)
        elif not _rescale(scale[slot], told[slot, top]):
            break
    if was_known and not searched and (top == FAILS or _lost(told[slot, top])):
        # no better than before: what was known then goes on
        ref[slot], shift[slot], cov[slot] = old_ref, old_shift, old_cov
        now[slot], tangent[slot], told[slot], epoch[slot] = old_now, old_tangent, old_told, old_epoch
        book[slot, B_STATE] = FITTED
    return spent


@kernel(
    "int64(int64[::1], int64, int64[:,::1], float64[:,:,::1], int64[:,::1], float64[::1], float64[:,::1],"
    "float64[:,:,::1],"
    "float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1], float64[:,:,:,::1], float64[:,:,::1],"
    "float64[:,:,:,::1], float64[:,:,:,::1], float64[:,::1], float64[:,:,::1],"
    "float64[::1], float64[:,::1], float64[:,::1], float64[:,::1])"
)
def follow(
    slots: IntArray,
    most: int,
    book: IntArray,
    seen: FloatArray,
    by: IntArray,
    epoch: FloatArray,
    scale: FloatArray,
    ref: FloatArray,
    shift: FloatArray,
    cov: FloatArray,
    now: FloatArray,
    tangent: FloatArray,
    told: FloatArray,
    back: FloatArray,
    ahead: FloatArray,
    places: FloatArray,
    rots: FloatArray,
    env: FloatArray,
    air: FloatArray,
    drags: FloatArray,
    priors: FloatArray,
) -> int:
    """Bring the fits of `slots` up to their newest plots; returns how many plots the renewed ones had.

    No more are renewed once those had `most` plots together; the others are extended, and renewed when their turn
    comes. So the slots are given in order of urgency. The flights `back` and `ahead` of those renewed
    are marked to be flown anew.
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
                slot, s_from, s_to, book, seen, by, epoch, scale, ref, shift, cov, now, tangent, told, places, rots,
                env, air, drags, priors,
            )  # fmt: skip
            back[slot, :, 3, 0], ahead[slot, :, 3, 0] = math.nan, math.nan
        elif book[slot, B_STATE] == FITTED:
            done, fits = book[slot, B_DONE], False
            for s in range(s_from, s_to):
                if told[slot, s, T_LOG_LIKE] == -math.inf:
                    continue
                extend(
                    seen[slot, done:n], by[slot, done:n], seen[slot, done - 1, 0], by[slot, 0], scale[slot],
                    ref[slot, s], shift[slot, s], cov[slot, s], now[slot, s], tangent[slot, s], told[slot, s],
                    places, rots, env, air, drags[s],
                )  # fmt: skip
                fits = fits or told[slot, s, T_LOG_LIKE] > -math.inf
            book[slot, B_DONE] = n
            if not fits:
                book[slot, B_STATE] = FAILED
    return spent
