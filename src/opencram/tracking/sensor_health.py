"""Which radars can be believed: one that is frozen, one that tells what no other sees, one that sees nothing.

To leave out a radar that tells the truth can cost lives; to leave in one that lies costs a false alarm. So:

- **Repeated plots are left out at once.** A plot all of whose values are, bit for bit, those of a plot of the turn
  before tells nothing new, so that nothing is lost where this errs (a mast, seen without noise). A radar that has
  repeated all its plots for FROZEN_SCANS scans and FROZEN_NS is told to be frozen; its first new plot ends it.
- **A liar is left out only on the word of two.** While radar s follows what at least two others cover and do not see,
  and does not see what two others follow together in its coverage, and no object is seen by s and any other, for
  LIES_NS on end, then s lies. What is as near as offsets of registration put it (NEAR_M) is no contradiction.
- **Between two radars nobody can tell who lies.** Both are told to disagree, and both are used.
- A radar that follows nothing while others follow things in its coverage is told to be blind, and used: its plots
  begin no track and do no harm.

A radar left out is watched: once its plots are again where others see things (BEHAVES of them) it is used again, and
so it is when nothing has spoken against it for FORGIVEN_NS: silence must not outlast its reason.
"""

from dataclasses import dataclass, field

import numpy as np

from opencram.physics.frames import spherical_to_enu
from opencram.physics.layout import Layout, turned
from opencram.tables import CONFIRMED, BoolArray, FloatArray, Health, IntArray, Plots, Reject, Tracks

SECOND_NS = 1_000_000_000
REMEMBER_UPDATES = 2.5
"""A rotating radar's plots come again after a turn, and its scans are half turns."""
FROZEN_SCANS, FROZEN_NS = 5, 1 * SECOND_NS
MISSED_UPDATES, MISSED_NS = 5, 2 * SECOND_NS
"""A radar does not see an object that was in its coverage for both of these without a plot."""
OLD_NS, LOST_NS = 3 * SECOND_NS, 3 * SECOND_NS
"""A track counts once it is so old, and as long as its newest plot is not older than this."""
LIES_NS, BLIND_NS = 3 * SECOND_NS, 10 * SECOND_NS
NEAR_M = 500.0
"""Three sigmas of possible offsets, at some 10 km."""
EDGE_M, EDGE_SIGMAS = 100.0, 4.0
BEHAVES = 5
FORGIVEN_NS = 60 * SECOND_NS
OK, FROZEN, LYING, DISAGREES, BLIND = range(5)
STATE_NAMES = ("ok", "frozen", "lying", "disagrees", "blind")
DETAILS = (
    "behaves as the others do again",
    "repeats the same plots under new times; they are left out",
    "follows what two others do not see, and does not see what they follow; its plots are left out",
    "follows what another does not see, and the other way round; who is right cannot be told, both are used",
    "sees nothing of what others follow in its coverage",
)


def _ints(*tail: int) -> IntArray:
    return np.zeros((0, *tail), np.int64)


@dataclass
class SensorHealth:
    """What is known of the behaviour of a site's s sensors, from n confirmed tracks."""

    track: IntArray = field(default_factory=_ints)
    born_ns: IntArray = field(default_factory=_ints)
    time_ns: IntArray = field(default_factory=_ints)
    state: FloatArray = field(default_factory=lambda: np.zeros((0, 6)))
    """(n, 6): ENU position m and velocity m/s at `time_ns`."""
    by_ns: IntArray = field(default_factory=lambda: _ints(0))
    """(n, s): when each sensor last saw it, 0 for never."""
    inside_ns: IntArray = field(default_factory=lambda: _ints(0))
    """(n, s): since when it has been in each sensor's coverage, 0 while it is not."""
    last_ns: IntArray = field(default_factory=_ints)
    last: FloatArray = field(default_factory=lambda: np.zeros((0, 7)))
    """(m, 7): sensor and all measured values of the plots of the last turn, measured at `last_ns`."""
    heard_ns: IntArray = field(default_factory=_ints)
    """(s,): measured time of each sensor's newest plot;"""
    repeats: IntArray = field(default_factory=_ints)
    """how many scans in a row it has repeated,"""
    repeats_ns: IntArray = field(default_factory=_ints)
    """and since when;"""
    since_ns: IntArray = field(default_factory=lambda: _ints(3))
    """(s, 3): since when it has looked like lying, disagreeing and blind, 0 when it does not;"""
    against_ns: IntArray = field(default_factory=_ints)
    """when something last spoke against it while it was left out,"""
    hits: IntArray = field(default_factory=_ints)
    """and how many of its plots have spoken for it since;"""
    now: IntArray = field(default_factory=_ints)
    """what it is held for, OK to BLIND,"""
    told: IntArray = field(default_factory=_ints)
    """and what it was last told to be."""
    left_out: dict[int, int] = field(default_factory=dict)
    """Plots left out since this was last told, by sensor."""


def trusted(health: SensorHealth, scan: Plots, layout: Layout) -> IntArray:
    """The rows of one sensor's scan that may be used."""
    if not len(scan):
        return np.zeros(0, np.int64)
    if not len(health.now):
        _begin(health, len(layout.update_ns))
    sensor = int(scan.sensor[0])
    new = ~_repeated(health, scan, sensor, layout)
    _judge_frozen(health, scan, new, sensor)
    if health.now[sensor] == LYING:
        _watch_liar(health, scan, sensor, layout)
    if health.now[sensor] == LYING:
        new[:] = False
    left_out = int((~new).sum())
    if left_out:
        health.left_out[sensor] = health.left_out.get(sensor, 0) + left_out
    return np.flatnonzero(new)


def _begin(health: SensorHealth, n: int) -> None:
    for name in ("heard_ns", "repeats", "repeats_ns", "against_ns", "hits", "now", "told"):
        setattr(health, name, np.zeros(n, np.int64))
    health.since_ns = np.zeros((n, 3), np.int64)
    health.by_ns, health.inside_ns = _ints(n), _ints(n)


# ---- frozen ---------------------------------------------------------------------------------------------------------


def _repeated(health: SensorHealth, scan: Plots, sensor: int, layout: Layout) -> BoolArray:
    """Which plots (m,) have the very values of an earlier one of the last turn."""
    measured = (scan.range_m, scan.az_rad, scan.el_rad, scan.range_rate_mps, scan.snr_db, scan.rcs_dbsm)
    keys = np.column_stack([np.full(len(scan), float(sensor)), *measured])
    mine = health.last[:, 0] == sensor
    values = {row.tobytes() for row in health.last[mine]}
    again = np.array([row.tobytes() in values for row in keys], np.bool_)
    oldest_ns = int(scan.time_ns.max()) - round(REMEMBER_UPDATES * int(layout.update_ns[sensor]))
    kept = ~mine | (health.last_ns >= oldest_ns)
    health.last = np.concatenate([health.last[kept], keys])
    health.last_ns = np.concatenate([health.last_ns[kept], scan.time_ns])
    return again


def _judge_frozen(health: SensorHealth, scan: Plots, new: BoolArray, sensor: int) -> None:
    time_ns = int(scan.time_ns.max())
    if new.any():
        health.repeats[sensor], health.repeats_ns[sensor] = 0, 0
        if health.now[sensor] == FROZEN:
            health.now[sensor] = OK
        return
    if not health.repeats[sensor]:
        health.repeats_ns[sensor] = time_ns
    health.repeats[sensor] += 1
    if health.repeats[sensor] >= FROZEN_SCANS and time_ns - health.repeats_ns[sensor] >= FROZEN_NS:
        health.now[sensor] = FROZEN


# ---- lying, disagreeing, blind --------------------------------------------------------------------------------------


def watch(health: SensorHealth, tracks: Tracks, scan: Plots, layout: Layout) -> None:
    """Take in which track used which of a scan's trusted plots, and judge the sensors by it."""
    if len(layout.update_ns) < 2 or not len(scan):
        return
    sensor, now_ns = int(scan.sensor[0]), int(scan.time_ns.max())
    health.heard_ns[sensor] = max(int(health.heard_ns[sensor]), now_ns)
    _note_tracks(health, tracks, sensor)
    if not len(health.track):
        _nothing_to_judge(health, now_ns, layout)
        return
    _keep(health, health.time_ns >= now_ns - LOST_NS)
    for s in range(len(layout.update_ns)):
        inside = layout.covered(s, _at(health, now_ns)).astype(np.bool_)
        begun = np.where(health.inside_ns[:, s] > 0, health.inside_ns[:, s], now_ns)
        health.inside_ns[:, s] = np.where(inside, begun, 0)
    _judge(health, now_ns, layout)


def _note_tracks(health: SensorHealth, tracks: Tracks, sensor: int) -> None:
    row_of = {track: row for row, track in enumerate(health.track.tolist())}
    used = np.flatnonzero((tracks.status == CONFIRMED) & (tracks.plot >= 0) & ~tracks.debris)
    if not len(used):
        return
    fresh = [i for i in used.tolist() if int(tracks.track[i]) not in row_of]
    n, s = len(fresh), len(health.now)
    health.track = np.concatenate([health.track, tracks.track[fresh]])
    health.born_ns = np.concatenate([health.born_ns, tracks.born_ns[fresh]])
    health.time_ns = np.concatenate([health.time_ns, np.zeros(n, np.int64)])
    health.state = np.concatenate([health.state, np.zeros((n, 6))])
    health.by_ns = np.concatenate([health.by_ns, np.zeros((n, s), np.int64)])
    health.inside_ns = np.concatenate([health.inside_ns, np.zeros((n, s), np.int64)])
    row_of |= {int(tracks.track[i]): len(row_of) + k for k, i in enumerate(fresh)}
    for i in used.tolist():
        row = row_of[int(tracks.track[i])]
        health.time_ns[row], health.state[row] = tracks.time_ns[i], tracks.mean[i, :6]
        health.by_ns[row, sensor] = tracks.time_ns[i]


def _keep(health: SensorHealth, rows: BoolArray) -> None:
    for name in ("track", "born_ns", "time_ns", "state", "by_ns", "inside_ns"):
        setattr(health, name, getattr(health, name)[rows])


def _at(health: SensorHealth, now_ns: int) -> FloatArray:
    """Where the tracks are, (n, 3), going straight on."""
    since_s = (now_ns - health.time_ns)[:, None] * 1e-9
    at: FloatArray = health.state[:, :3] + since_s * health.state[:, 3:]
    return at


def _nothing_to_judge(health: SensorHealth, now_ns: int, layout: Layout) -> None:
    """What `_judge` comes to where nothing is tracked: whoever speaks is not spoken against."""
    speaks = _speaks(health, now_ns, layout)
    health.since_ns[speaks], health.now[speaks] = 0, OK


def _speaks(health: SensorHealth, now_ns: int, layout: Layout) -> BoolArray:
    """Which sensors are heard and believed."""
    heard = health.heard_ns >= now_ns - _wait_ns(layout)
    speaks: BoolArray = heard & (health.now != FROZEN) & (health.now != LYING)
    return speaks


def _wait_ns(layout: Layout) -> IntArray:
    """How long a sensor may miss what others see."""
    return np.maximum(MISSED_UPDATES * layout.update_ns, MISSED_NS)


def _judge(health: SensorHealth, now_ns: int, layout: Layout) -> None:
    """What each sensor looks like by what it sees and what the others see."""
    wait_ns, speaks = _wait_ns(layout), _speaks(health, now_ns, layout)
    seen = (health.by_ns >= now_ns - wait_ns) & speaks
    since = np.maximum(health.by_ns, health.inside_ns)
    unseen = (health.inside_ns > 0) & speaks & (now_ns - since > wait_ns)
    old = now_ns - health.born_ns >= OLD_NS
    at = _at(health, now_ns)
    for s in np.flatnonzero(speaks).tolist():
        others = seen.copy()
        others[:, s] = False
        alone = old & seen[:, s] & ~others.any(axis=1) & unseen.any(axis=1)
        missed = old & unseen[:, s] & others.any(axis=1)
        theirs = np.asarray(others.any(axis=1), np.bool_)
        ghosts = alone & _far(at, alone, theirs)
        shared = (seen[:, s] & theirs).any()
        against = bool(ghosts.any() and missed.any() and not shared)
        by_two = against and _by_two(ghosts, missed, unseen, others)
        blind = bool(missed.any() and not (seen[:, s]).any())
        for k, found in enumerate((by_two, against, blind)):
            began_ns = int(health.since_ns[s, k]) or now_ns
            health.since_ns[s, k] = began_ns if found else 0
        _conclude(health, s, now_ns)


def _far(at: FloatArray, mine: BoolArray, theirs: BoolArray) -> BoolArray:
    """Which of `mine` have none of `theirs` as near as registration may have put them."""
    far = mine.copy()
    for row in np.flatnonzero(mine).tolist():
        far[row] = not (np.linalg.norm(at[theirs] - at[row], axis=1) < NEAR_M).any()
    return far


def _by_two(ghosts: BoolArray, missed: BoolArray, unseen: BoolArray, others: BoolArray) -> bool:
    """Whether two sensors that follow one thing together both cover and do not see one of the ghosts."""
    for row in np.flatnonzero(missed & (others.sum(axis=1) >= 2)).tolist():
        witnesses = others[row]
        if (unseen[ghosts][:, witnesses].sum(axis=1) >= 2).any():
            return True
    return False


def _conclude(health: SensorHealth, sensor: int, now_ns: int) -> None:
    long = (health.since_ns[sensor] > 0) & (now_ns - health.since_ns[sensor] >= (LIES_NS, LIES_NS, BLIND_NS))
    verdict = LYING if long[0] else DISAGREES if long[1] else BLIND if long[2] else OK
    health.now[sensor] = verdict
    if verdict == LYING:
        health.against_ns[sensor], health.hits[sensor] = now_ns, 0


def _watch_liar(health: SensorHealth, scan: Plots, sensor: int, layout: Layout) -> None:
    """Whether the plots of a sensor that is left out are where others see things again."""
    now_ns = int(scan.time_ns.max())
    others_ns = np.delete(health.by_ns, sensor, axis=1).max(axis=1, initial=0)
    inside = layout.covered(sensor, _at(health, now_ns)).astype(np.bool_)
    known = np.flatnonzero(inside & (others_ns >= now_ns - MISSED_NS))
    if len(known):
        health.against_ns[sensor] = now_ns
        local = spherical_to_enu(scan.range_m, scan.az_rad, np.nan_to_num(scan.el_rad))
        at = turned(local, layout.sensor_rot[sensor].T) + layout.sensor_enu_m[sensor]
        blur_m = EDGE_M + EDGE_SIGMAS * np.nanmax(layout.sensor_sigma[sensor, 1:3]) * scan.range_m
        places = _at(health, now_ns)[known]
        hits = [bool((np.linalg.norm(at - p, axis=1) < blur_m).any()) for p in places]
        health.hits[sensor] = health.hits[sensor] + sum(hits) if any(hits) else 0
    if health.hits[sensor] >= BEHAVES or now_ns - health.against_ns[sensor] > FORGIVEN_NS:
        health.now[sensor], health.since_ns[sensor] = OK, 0


def health_news(health: SensorHealth, now_ns: int, layout: Layout) -> tuple[list[Reject], list[Health]]:
    """The plots left out since the last call, and the sensors that changed."""
    names, rejects, news = list(layout.sensor_index), [], []
    for sensor, count in sorted(health.left_out.items()):
        lying = health.now[sensor] == LYING
        reason = "lying sensor" if lying else "repeated plot"
        sample = "found plots of nothing that others see" if lying else "found the values of an earlier plot again"
        rejects.append(Reject(time_ns=now_ns, source=names[sensor], reason=reason, count=count, sample=sample))
    health.left_out = {}
    for sensor in np.flatnonzero(health.now != health.told).tolist():
        state = int(health.now[sensor])
        news.append(Health(time_ns=now_ns, component=names[sensor], state=STATE_NAMES[state], detail=DETAILS[state]))
    health.told = health.now.copy()
    return rejects, news
