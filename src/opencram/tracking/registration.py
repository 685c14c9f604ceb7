"""By how much each radar's range, azimuth, elevation and clock are off, from the objects that several radars see.

Believed of all sensors together is a normal distribution of 4 offsets each, that begins at none with the sigmas
POSSIBLE and walks at random (WALK_PER_HOUR): drifts are followed, and a quiet night forgets little. Two radars that see
moving objects from different places tell each other's offsets apart; what they cannot tell, as a turn of both
together if they stand close, is left at its likeliest split, and its sigma says so. Clocks are told against that of
the site's first sensor.

What an object tells comes from `sights`, which objects are common from `vote`. Plots are taken as they came, never as
corrected: what was learnt cannot feed on itself.

A sensor's plots are corrected once its offsets are elected by a vote, which leaves what is uncertain between two radars
far below one plot's error, and all elected offsets together differ from none beyond chance (SIGNIFICANT sigmas of a
chi-squared); it ends below INSIGNIFICANT. They are judged together because two radars may surely disagree while neither
is surely wrong: each then gives way by its likeliest share. The correction follows what is believed in steps (STEP), so
that a track is not shaken by each plot. The uncertainty left is told and not added to anything.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from opencram.physics.layout import Layout
from opencram.tables import CONFIRMED, BoolArray, FloatArray, Health, IntArray, Plots, Tracks
from opencram.tracking import sights, vote
from opencram.tracking.sights import BLOCK_NS, OFFSETS, Sight
from opencram.tracking.vote import Pair

POSSIBLE = np.array([100.0, math.radians(0.5), math.radians(0.5), 0.5])
"""One sigma of what a radar that was set up with care may be off by: range m, azimuth and elevation rad, clock s."""
WALK_PER_HOUR = np.array([2.0, 1e-4, 1e-4, 0.01])
"""One sigma of what the offsets drift by within an hour (assumed): thermal bending, a clock off by 3 in a million."""
REFERENCE_CLOCK_S = 1e-6
WAIT_NS = 2_000_000_000
"""A block of time is learnt from when so long has passed since its end: plots come late."""
NEAR_SIGMAS = 3.0
FORGET_NS = 60_000_000_000
"""A pair of tracks without news for so long is over."""
NO_TRACK = -1
MOST_PAIRS, MOST_PLOTS, MOST_BALLOTS = 200, 20_000, 16
"""Pairs waiting for a verdict, plots not learnt from yet, and elections held in a block, in turn; what comes beyond is
not learnt from, and told."""
HELPING_NS, HELPING = 100_000_000, 4
"""A block is learnt from in helpings, by the plots' own time of arrival: about so many hearings at once, some 1 ms
each, or one election, at most 15 ms. What is left when the next block is due is not learnt from: the newest tracks."""
NEAR_PLOTS = 200
"""Sorting so many plots costs as much as a hearing."""
FITS_CHI2 = 35.0
"""An elected pair tells more as long as it agrees so well with what is believed: 1 - 3e-5 with eight numbers."""
SIGNIFICANT, INSIGNIFICANT = 8.0, 4.0
STEP, STEP_CLOCK_S = 0.1, 0.002
"""The correction follows when it is off by so many of a plot's sigmas, or the clock by so much: 1 m at 400 m/s."""
TELL = 5.0
"""News of it goes out when it has moved by so many steps."""


TELL_FULL_NS = 10_000_000_000
"""A limit that is hit is told so often."""


def _none() -> FloatArray:
    return np.zeros((0, OFFSETS))


@dataclass
class Block:
    """A block of time that is being learnt from."""

    middle_ns: int
    stamps: IntArray
    """(n, 3), and `values` (n, 6): its plots, as in `Registration`, in order of time."""
    values: FloatArray
    todo: IntArray
    """(k, 3): track, its sensor, another sensor: what is still to be heard out, the oldest tracks first."""
    ballots: list[tuple[int, int]] | None = None
    """Pairs of sensors that have to vote; None while hearings go on."""


@dataclass
class Registration:
    """What is known of the offsets of a site's s sensors."""

    mean: FloatArray = field(default_factory=_none)
    """(s, 4): range m, azimuth rad, elevation rad, clock s, as added to the plots."""
    cov: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """(4 s, 4 s), in the order of `mean`."""
    time_ns: int = 0
    elected: BoolArray = field(default_factory=lambda: np.zeros(0, np.bool_))
    """(s,): whether a vote has told its offsets."""
    applied: FloatArray = field(default_factory=_none)
    """(s, 4): what is taken off the plots."""
    changed: FloatArray = field(default_factory=_none)
    """(s, 4): by how much more than before, since this was last asked."""
    told: FloatArray = field(default_factory=_none)
    """(s, 4): the corrections of which news went out."""
    stamps: IntArray = field(default_factory=lambda: np.zeros((0, 3), np.int64))
    """(n, 3): time_ns, confirmed track or NO_TRACK, sensor, of the plots not yet learnt from."""
    values: FloatArray = field(default_factory=lambda: np.zeros((0, 6)))
    """(n, 6): range m, azimuth rad, elevation rad and their sigmas."""
    pairs: list[Pair] = field(default_factory=list)
    block: Block | None = None
    helped_ns: int = 0
    voted: tuple[int, int] = (0, 0)
    """The pair of sensors that voted last."""
    not_learnt: int = 0
    """How often a limit was hit, how often when that was told last, and when."""
    told_not_learnt: int = 0
    told_ns: int = 0


def corrected(state: Registration, scan: Plots, layout: Layout) -> Plots:
    """One sensor's scan with its offsets taken off; the same object where there is nothing to take off."""
    if len(layout.update_ns) < 2 or not len(scan) or not len(state.applied):
        return scan
    off = state.applied[int(scan.sensor[0])]
    if not off.any():
        return scan
    columns = dict(scan.__dict__)
    columns["time_ns"] = scan.time_ns - round(float(off[3]) * 1e9)
    columns["range_m"] = np.maximum(scan.range_m - off[0], 0.1)
    columns["az_rad"] = np.mod(scan.az_rad - off[1], 2.0 * math.pi)
    columns["el_rad"] = scan.el_rad - off[2]
    return Plots(**columns)


def learn(state: Registration, tracks: Tracks, scan: Plots, layout: Layout) -> None:
    """Take in a scan as it came, and which track used which of its plots: `tracks.plot` are rows of `scan`."""
    if len(layout.update_ns) < 2 or not len(scan):
        return
    if not len(state.mean):
        _begin(state, layout)
    if len(state.stamps) + len(scan) > MOST_PLOTS:
        state.not_learnt += 1
    else:
        sensor, track = int(scan.sensor[0]), np.full(len(scan), NO_TRACK)
        sure = (tracks.plot >= 0) & (tracks.status == CONFIRMED)
        track[tracks.plot[sure]] = tracks.track[sure]
        measured = np.column_stack([scan.range_m, scan.az_rad, scan.el_rad])
        values = np.column_stack([measured, layout.plot_sigma(sensor, scan.snr_db)[:, :3]])
        state.stamps = np.concatenate([state.stamps, np.column_stack([scan.time_ns, track, scan.sensor])])
        state.values = np.concatenate([state.values, values])
    now_ns = int(scan.received_ns.max())
    if now_ns - state.helped_ns >= HELPING_NS:
        state.helped_ns = now_ns
        _help(state, now_ns, layout)


def _begin(state: Registration, layout: Layout) -> None:
    n = len(layout.update_ns)
    state.mean, state.applied, state.changed, state.told = (np.zeros((n, OFFSETS)) for _ in range(4))
    state.cov = np.diag(np.concatenate([possible(s) for s in range(n)]) ** 2)
    state.elected = np.zeros(n, np.bool_)


def possible(sensor: int) -> FloatArray:
    """One sigma (4) of each offset of a sensor before anything is known; the first one's clock is right."""
    return np.array([*POSSIBLE[:3], REFERENCE_CLOCK_S if sensor == 0 else POSSIBLE[3]])


# ---- blocks of time -------------------------------------------------------------------------------------------------


def _help(state: Registration, now_ns: int, layout: Layout) -> None:
    """Learn one helping from the block that is open, or from the next one for which no plots can come any more."""
    block = state.block
    if block is None:
        block = state.block = _open(state, now_ns, layout)
    elif len(block.todo) and _due(state, now_ns):
        state.not_learnt += len(block.todo)
        block.todo = block.todo[:0]
    if block is None:
        return
    if len(block.todo):
        left = HELPING
        while left > 0 and len(block.todo):
            (track, a, b), block.todo = block.todo[0].tolist(), block.todo[1:]
            left -= _hear_out(state, block, track, a, b, layout)
        return
    if block.ballots is None:
        block.ballots = _ballots(state)
    if block.ballots:
        state.voted = block.ballots.pop(0)
        _elect(state, *state.voted)
    if not block.ballots:
        _apply(state, layout)
        state.block = None


def _due(state: Registration, now_ns: int) -> bool:
    """Whether no plots can come any more for the oldest block that was not opened yet."""
    if not len(state.stamps):
        return False
    block = int(state.stamps[:, 0].min()) // BLOCK_NS
    return now_ns >= (block + 1) * BLOCK_NS + WAIT_NS


def _open(state: Registration, now_ns: int, layout: Layout) -> Block | None:
    """The next block in which several sensors saw something and one of them followed it; None where there is none."""
    while _due(state, now_ns):
        number = int(state.stamps[:, 0].min()) // BLOCK_NS
        inside = state.stamps[:, 0] // BLOCK_NS == number
        stamps, values = state.stamps[inside], state.values[inside]
        state.stamps, state.values = state.stamps[~inside], state.values[~inside]
        todo = _todo(stamps, layout)
        if len(todo):
            _walk(state, number * BLOCK_NS)
            middle_ns = number * BLOCK_NS + BLOCK_NS // 2
            state.pairs = [p for p in state.pairs if p.newest_ns > middle_ns - FORGET_NS]
            order = np.argsort(stamps[:, 0], kind="stable")
            return Block(middle_ns, stamps[order], values[order], todo)
    return None


def _todo(stamps: IntArray, layout: Layout) -> IntArray:
    """(k, 3): track, its sensor a, another sensor b, for all tracks followed in a block and all sensors that saw any.

    The faster of two radars gives the path, the other is told of along it.
    """
    sensors = np.unique(stamps[:, 2]).tolist()
    followed = np.unique(stamps[stamps[:, 1] != NO_TRACK, 1:], axis=0).tolist()
    pace = {s: (int(layout.update_ns[s]), s) for s in sensors}
    found = [(track, a, b) for track, a in followed for b in sensors if pace[a] < pace[b]]
    return np.array(found, np.int64).reshape(-1, 3)


def _ballots(state: Registration) -> list[tuple[int, int]]:
    """The pairs of sensors that have to vote, those first whose turn it is."""
    waiting = sorted({(p.sensor_a, p.sensor_b) for p in state.pairs if not p.settled})
    turn = [w for w in waiting if w > state.voted] + [w for w in waiting if w <= state.voted]
    state.not_learnt += len(turn[MOST_BALLOTS:])
    return turn[:MOST_BALLOTS]


def _walk(state: Registration, time_ns: int) -> None:
    """The offsets drift: what is known of them grows older, up to what was known at first."""
    if state.time_ns:
        hours = max(time_ns - state.time_ns, 0) / 3.6e12
        n = len(state.mean)
        most = np.concatenate([possible(s) for s in range(n)]) ** 2
        more = np.tile(WALK_PER_HOUR**2, n) * hours
        more[3] = 0.0
        state.cov += np.diag(np.clip(most - np.diag(state.cov), 0.0, more))
    state.time_ns = max(state.time_ns, time_ns)


def _hear_out(state: Registration, block: Block, track: int, a: int, b: int, layout: Layout) -> int:
    """Hear what a track of sensor `a` and the plots of `b` tell; returns the work it was, in hearings."""
    time_s = np.asarray((block.stamps[:, 0] - block.middle_ns) * 1e-9, np.float64)
    sight = _sight(a, (block.stamps[:, 1] == track) & (block.stamps[:, 2] == a), time_s, block.values)
    path = sights.first_path(sight, layout)
    if path is None:
        return 1
    whole = _sight(b, block.stamps[:, 2] == b, time_s, block.values)
    return _hear_all(state, track, sight, whole, path, block.middle_ns, layout)


def _sight(sensor: int, rows: BoolArray, time_s: FloatArray, values: FloatArray) -> Sight:
    return Sight(sensor, time_s[rows], values[rows, :3], values[rows, 3:])


def _reach(sight: Sight, path: FloatArray) -> float:
    """How far a sensor's possible offsets may put an object from where it is, m."""
    turn_m = POSSIBLE[1] * float(np.median(sight.z[:, 0]))
    along_m = 0.0 if sight.sensor == 0 else POSSIBLE[3] * float(np.linalg.norm(path[3:]))
    return NEAR_SIGMAS * math.sqrt(POSSIBLE[0] ** 2 + 2.0 * turn_m**2 + along_m**2)


def _hear_all(
    state: Registration, track: int, a: Sight, whole: Sight, path: FloatArray, middle_ns: int, layout: Layout
) -> int:
    """Take in all of another sensor's plots that may go along with a track; once some are elected, only theirs.

    Returns the work it was, in hearings.
    """
    found = sights.companions(whole, path, _reach(a, path) + _reach(whole, path), layout)
    pairs = [p for p in state.pairs if (p.track, p.sensor_a, p.sensor_b) == (track, a.sensor, whole.sensor)]
    sure = [p for p in pairs if p.settled]
    if sure and found:
        newest = max(sure, key=lambda p: p.newest_ns)
        b, off_m = min(found, key=lambda group: float(np.linalg.norm(group[1] - newest.apart_m)))
        _hear(state, newest, a, b, off_m, path, middle_ns, layout)
        return 1 + len(whole.time_s) // NEAR_PLOTS
    chapter = middle_ns // vote.CHAPTER_NS
    pairs = [p for p in pairs if p.chapter == chapter]
    for b, off_m in found:
        pair = _going_on(pairs, b, off_m) or Pair(track, a.sensor, whole.sensor, off_m, chapter)
        _hear(state, pair, a, b, off_m, path, middle_ns, layout)
    return max(len(found), 1) + len(whole.time_s) // NEAR_PLOTS


def _going_on(pairs: list[Pair], b: Sight, off_m: FloatArray) -> Pair | None:
    """The pair that goes on with these plots: no further apart than they were before."""
    best, least = None, sights.ALONG_SIGMAS * float(sights.blur(b).max())
    for pair in pairs:
        away = float(np.linalg.norm(pair.apart_m - off_m))
        if away < least:
            best, least = pair, away
    return best


def _hear(
    state: Registration, pair: Pair, a: Sight, b: Sight, off_m: FloatArray, path: FloatArray, middle_ns: int,
    layout: Layout,
) -> None:  # fmt: skip
    """Take in what a track of one sensor and plots of another tell of the offsets; at once if they are elected."""
    which = _which(a.sensor, b.sensor)
    mean, cov = state.mean.reshape(-1)[which], state.cov[np.ix_(which, which)]
    sigma = np.concatenate([possible(a.sensor), possible(b.sensor)])
    # about what is believed, but as free as if nothing were: a pair is heard out before it is judged
    form = sights.common(a, b, path, mean, np.diag(sigma**2), layout)
    if form is None:
        return
    if not pair.blocks:
        if len(state.pairs) >= MOST_PAIRS:
            state.not_learnt += 1
            return
        state.pairs.append(pair)
    pair.newest_ns, pair.apart_m, pair.blocks = middle_ns, off_m, pair.blocks + 1
    if not pair.settled:
        pair.info, pair.vec = pair.info + form.info, pair.vec + form.vec
    elif vote.testimony(form.info, form.vec, sigma).miss(mean, cov)[0] < FITS_CHI2:
        _believe(state, which, form.info, form.vec)


def _which(a: int, b: int) -> IntArray:
    """Where two sensors' offsets stand among all."""
    return np.concatenate([OFFSETS * a + np.arange(OFFSETS), OFFSETS * b + np.arange(OFFSETS)])


def _believe(state: Registration, which: IntArray, info: FloatArray, vec: FloatArray) -> None:
    """All offsets after a form in some of them (k): a Kalman update in which the form may be singular."""
    cross = state.cov[:, which]
    gain = cross @ np.linalg.inv(np.eye(len(which)) + info @ cross[which])
    mean = state.mean.reshape(-1)
    state.mean = (mean + gain @ (vec - info @ mean[which])).reshape(-1, OFFSETS)
    after = state.cov - gain @ info @ cross.T
    state.cov = 0.5 * (after + after.T)


# ---- which pairs are one object -------------------------------------------------------------------------------------


def _elect(state: Registration, a: int, b: int) -> None:
    """Let the pairs of two sensors vote, and believe those who win."""
    which = _which(a, b)
    waiting = [p for p in state.pairs if (p.sensor_a, p.sensor_b) == (a, b) and not p.settled]
    sigma = np.concatenate([possible(a), possible(b)])
    found = vote.vote(waiting, state.mean.reshape(-1)[which], state.cov[np.ix_(which, which)], sigma)
    agreed = [waiting[i] for i in found.agreed]
    known = bool(state.elected[a] and state.elected[b])
    if known and found.strength > vote.LEAD:
        _settle(state, which, agreed)
    elif found.strength > vote.ELECTED and found.strength - found.rival > vote.LEAD:
        if vote.sightings(agreed) >= vote.SIGHTINGS:
            _settle(state, which, agreed)
    elif known:
        _begin_anew(state, a, b, waiting)


def _settle(state: Registration, which: IntArray, agreed: list[Pair]) -> None:
    for pair in agreed:
        _believe(state, which, pair.info, pair.vec)
        pair.settled, pair.info, pair.vec = True, np.zeros_like(pair.info), np.zeros_like(pair.vec)
    # what else was thought to go along with these tracks does not
    sure = {(p.track, p.sensor_a, p.sensor_b) for p in agreed}
    state.pairs = [p for p in state.pairs if p.settled or (p.track, p.sensor_a, p.sensor_b) not in sure]
    state.elected[[which[0] // OFFSETS, which[-1] // OFFSETS]] = True


def _begin_anew(state: Registration, a: int, b: int, waiting: list[Pair]) -> None:
    """A radar was moved: objects that no elected pair explains agree on other offsets. Forget the old ones."""
    settled = [p for p in state.pairs if p.settled]
    taken = {p.track for p in settled}
    free = [p for p in waiting if p.track not in taken]
    sigma = np.concatenate([possible(a), possible(b)])
    found = vote.vote(free, np.zeros(len(sigma)), np.diag(sigma**2), sigma)
    agreed = [free[i] for i in found.agreed]
    sure = found.strength > 2.0 * vote.ELECTED and found.strength - found.rival > vote.LEAD
    if not sure or vote.sightings(agreed) < vote.SIGHTINGS:
        return
    which = _which(a, b)
    state.mean[[a, b]] = 0.0
    state.cov[which, :], state.cov[:, which] = 0.0, 0.0
    state.cov[which, which] = sigma**2
    _settle(state, which, agreed)


# ---- the correction -------------------------------------------------------------------------------------------------


def _apply(state: Registration, layout: Layout) -> None:
    """Decide which sensors are corrected, and by how much."""
    elected = np.flatnonzero(state.elected)
    if not len(elected):
        return
    on = (state.applied != 0.0).any(axis=1).tolist()
    parts = (OFFSETS * elected[:, None] + np.arange(OFFSETS)).reshape(-1)
    mean = state.mean.reshape(-1)[parts]
    chi2 = float(mean @ np.linalg.solve(state.cov[np.ix_(parts, parts)], mean))
    beyond = (chi2 - len(parts)) / math.sqrt(2.0 * len(parts))
    before = state.applied.copy()
    for sensor in elected.tolist():
        if beyond < (INSIGNIFICANT if on[sensor] else SIGNIFICANT):
            state.applied[sensor] = 0.0
        elif not on[sensor] or _steps(state.mean[sensor] - state.applied[sensor], sensor, layout) > 1.0:
            state.applied[sensor] = state.mean[sensor]
    state.changed += state.applied - before


def change(state: Registration) -> FloatArray | None:
    """By how much more (s, 4) is taken off plots now than when this was last asked; None where nothing changed.

    What has been made of plots that were corrected before has to be moved by as much.
    """
    if not state.changed.any():
        return None
    changed, state.changed = state.changed, np.zeros_like(state.changed)
    return changed


def _steps(change: FloatArray, sensor: int, layout: Layout) -> float:
    """A change of a sensor's offsets (4) in steps of the correction."""
    sigma = np.nan_to_num(layout.sensor_sigma[sensor, :3], nan=np.inf)
    return float((np.abs(change) / np.append(STEP * sigma, STEP_CLOCK_S)).max())


def news(state: Registration, now_ns: int, layout: Layout) -> list[Health]:
    """What has changed in the corrections since the last call, a record a sensor; and whether a limit was hit."""
    told = []
    missed = state.not_learnt - state.told_not_learnt
    if missed and now_ns - state.told_ns >= TELL_FULL_NS:
        detail = f"not learnt from, for there is too much at once: {missed} sightings by several radars"
        told.append(Health(time_ns=now_ns, component="registration", state="full", detail=detail))
        state.told_not_learnt, state.told_ns = state.not_learnt, now_ns
    for sensor, name in enumerate(layout.sensor_index):
        if not len(state.applied):
            continue
        now, before = state.applied[sensor], state.told[sensor]
        if (now == before).all():
            continue
        if now.any() != before.any() or _steps(now - before, sensor, layout) > TELL:
            told.append(Health(time_ns=now_ns, component=name, state="registration", detail=_detail(state, sensor)))
            state.told[sensor] = now
    return told


def _detail(state: Registration, sensor: int) -> str:
    off = state.applied[sensor]
    if not off.any():
        return "its plots are not corrected any more"
    sigma = np.sqrt(np.diag(state.cov))[OFFSETS * sensor : OFFSETS * sensor + OFFSETS]
    az, el = np.degrees(off[1:3])
    az_sigma, el_sigma = np.degrees(sigma[1:3])
    return (
        f"its plots are corrected by what they are off: range {off[0]:+.1f} m (sigma {sigma[0]:.1f}), "
        f"azimuth {az:+.3f} deg (sigma {az_sigma:.3f}), elevation {el:+.3f} deg (sigma {el_sigma:.3f}), "
        f"clock {off[3]:+.3f} s (sigma {sigma[3]:.3f})"
    )
