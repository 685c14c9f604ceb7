"""Plots to tracks, one scan of one sensor at a time: predict, gate, assign, update, give birth; let go what ended."""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from opencram.physics.frames import spherical_to_enu
from opencram.physics.layout import FEWEST_FALSE_PLOTS, Layout, layout_of, turned
from opencram.physics.threats import catalogue
from opencram.site import Site
from opencram.tables import (
    CONFIRMED,
    OTHER,
    TENTATIVE,
    UNKNOWN,
    BoolArray,
    Effect,
    FloatArray,
    Health,
    IntArray,
    Plots,
    Reject,
    TrackEvent,
    Tracks,
)
from opencram.tracking import cluttermap, lifecycle
from opencram.tracking.amplitude import ln_faint
from opencram.tracking.bank import (
    AMONG,
    BORN,
    COUNT,
    DEBRIS,
    FED,
    FLEW,
    MODEL,
    MOVED,
    REAL,
    SCORE,
    STATUS,
    TIME,
    TRACK,
    WHOLE,
    Bank,
)
from opencram.tracking.clutter import Learnt, learn_detection, learn_false, volume_of
from opencram.tracking.cluttermap import BARREN, NO_TRACK, ClutterMap
from opencram.tracking.events import Events
from opencram.tracking.filters import CRUISE, MODEL_PRIOR, MODELS, STATES
from opencram.tracking.gating import candidates
from opencram.tracking.lifecycle import confirm, twins
from opencram.tracking.mates import ask_mates
from opencram.tracking.noise import as_stated, no_plots
from opencram.tracking.overload import Overload, overload_news, room_of, sure_tracks, urgent
from opencram.tracking.scan import FLYER_NS, begin, given_up, settle, tell, use_plots

MOST_EXPONENT = 700.0
"""What is so unlikely does not exist; `exp` of more is no number."""
GENERIC_SHAPE = "shell-155"
"""Whose drag curve the filter flies before the class is known; the ballistic coefficient takes up the difference."""
MOST_EVENTS = 1_000
"""So many of a tick are told; more happen to no raid."""
AMONG_M = 200.0
"""What begins this near a bird, east, north and up, may be of its flock: flocks are up to some 200 m wide (assumed)."""
STILL_MPS, STILL_SIGMAS = 3.0, 2.5
"""A confirmed track that was never faster than this, in all that is known of its speed, is clutter."""
BREAKUP_LASTS_NS = 12_000_000_000
BREAKUP_RADIUS_M, BREAKUP_SPEED_MPS, BREAKUP_REACH_M = 60.0, 350.0, 800.0
"""Tracks born this near a break-up are its debris: pieces fly on with the object's speed, and drag soon stops them."""


@dataclass
class Breakup:
    """Where and when an object was broken up by the simulated defence."""

    time_ns: int
    pos_enu_m: FloatArray


@dataclass
class TracksState:
    """What tracking keeps between scans."""

    bank: Bank = field(default_factory=Bank)
    next_track: int = 1
    breakups: list[Breakup] = field(default_factory=list)
    refused_births: int = 0
    told_refused: int = 0
    max_tracks: int = lifecycle.MAX_TRACKS
    events: list[TrackEvent] = field(default_factory=list)
    """Since they were last asked for."""
    learnt: dict[int, Learnt] = field(default_factory=dict)
    """By sensor, what its site does not say about it."""
    clutter: dict[int, ClutterMap] = field(default_factory=dict)
    """By sensor, where it sees what never moves."""
    overload: Overload = field(default_factory=Overload)


@lru_cache(maxsize=1)
def generic_drag() -> FloatArray:
    """The drag curve of the filter, (201,)."""
    return np.array(catalogue()[GENERIC_SHAPE].drag)


def plots_to_tracks(state: TracksState, scan: Plots, site: Site) -> Tracks:
    """Use one scan; returns a row per track that it updated or began."""
    if len(scan) == 0:
        return Tracks.empty()
    bank, look = state.bank, _look(state, scan, layout_of(site))
    gates = _gates(bank, look)
    chosen, partner, free = settle(
        gates.begins, gates.plot_of, gates.like, bank.whole, bank.real, bank.mean, look.time_ns, look.z, look.sigma,
        look.ln_false, look.clutter, look.p_detect, look.update_ns, look.cell, *look.pose,
    )  # fmt: skip
    _learn(state, look, chosen)
    use_plots(
        chosen, partner, bank.whole, bank.mean, bank.cov, bank.mode, bank.latest, bank.noise, gates.worse,
        gates.x, gates.p, gates.w, gates.ready_ns, look.time_ns, look.z, look.sigma, look.cell, look.sensor,
        *look.pose, *look.world,
    )  # fmt: skip
    lifecycle.acquit(bank)
    same, heir = confirm(
        chosen, partner, bank.whole, bank.real, bank.mean, bank.cov, look.update_ns, look.cell, *look.pose
    )  # fmt: skip
    twin = twins(chosen, partner, bank.whole, bank.mean, bank.cov)
    events = Events(int(look.time_ns[-1]), bank)
    events.sharing(chosen, partner)
    events.ended(same, heir, twin)
    _tell(state, events)
    gone = (same >= 0) | (twin >= 0)
    if gone.any():
        for row in np.flatnonzero(heir).tolist():
            bank.take_over(int(same[row]), row)
            chosen[same[row]] = chosen[row]
        bank.keep(~gone)
        chosen = chosen[~gone]
    rows = np.flatnonzero(chosen >= 0)
    born = _give_birth(state, np.flatnonzero(free & (look.often < BARREN)), look)
    rows = np.concatenate([rows, np.arange(len(bank) - len(born), len(bank))])
    plots = np.concatenate([chosen[chosen >= 0], born])
    _learn_clutter(state, look, rows, plots)
    return _report(bank, rows, plots)


def _tell(state: TracksState, events: Events) -> None:
    """Keep the events to be told, as far as there is room."""
    state.events += events.found[: MOST_EVENTS - len(state.events)]


def most_urgent(state: TracksState, scan: Plots, rows: IntArray, site: Site) -> tuple[Plots, IntArray]:
    """What is used of a scan that has more plots than there is room for, and which of `rows` those are.

    All that lie in the gate of a confirmed track; of the others those that go with the longest tentative tracks, then
    the strongest.
    """
    layout, sensor = layout_of(site), int(scan.sensor[0]) if len(scan) else 0
    room = room_of(layout, sensor)
    if len(scan) <= room:
        return scan, rows
    bank, look = sure_tracks(state.bank), _look(state, scan, layout)
    gates = _gates(bank, look)
    kept = urgent(gates.begins, gates.plot_of, bank.whole, scan.snr_db, scan.range_m, room)
    state.overload.note(sensor, int(look.time_ns[-1]), len(scan), len(scan) - len(kept))
    return scan.take(kept), rows[kept]


def left_over(state: TracksState, now_ns: int, site: Site) -> tuple[list[Reject], list[Health]]:
    """Plots of this tick for which there was no room, and sensors of which more comes than is used, or no more."""
    return overload_news(state.overload, now_ns, layout_of(site))


def let_go(state: TracksState, now_ns: int, site: Site) -> None:
    """Drop the tracks that ended or never were, by time alone: a silent radar's tracks end as well."""
    bank = state.bank
    if not len(bank):
        return
    layout = layout_of(site)
    p_detect = np.array([_p_detect(state, s, layout) for s in range(len(layout.update_ns))])
    ended = given_up(
        now_ns, bank.whole, bank.real, bank.mean, p_detect, layout.update_ns, layout.coverage, layout.sensor_enu_m,
        layout.sensor_rot,
    )  # fmt: skip
    if ended.any():
        events = Events(now_ns, bank)
        events.lost(ended)
        _tell(state, events)
        bank.keep(~ended)


def realign_tracks(state: TracksState, change: FloatArray, site: Site) -> None:
    """Move the tracks with their plots: so much more (s, 4: m, rad, rad, s) is taken off each sensor's from now on."""
    layout, bank = layout_of(site), state.bank
    fed = bank.whole[:, FED]
    for s in np.unique(fed).tolist():
        rows = np.flatnonzero(fed == s)
        for model in range(MODELS):
            z = layout.seen_from(s, bank.mean[rows, model, :3]) - change[s, :3]
            local = spherical_to_enu(z[:, 0], z[:, 1], z[:, 2])
            at = turned(local, layout.sensor_rot[s].T) + layout.sensor_enu_m[s]
            bank.mean[rows, model, :3] = at + change[s, 3] * bank.mean[rows, model, 3:6]
    bank.latest[:] = np.nan


def limits_hit(state: TracksState, now_ns: int) -> list[Health]:
    """How many plots of this tick began no track because the table was full; nothing when none did."""
    refused, state.told_refused = state.refused_births - state.told_refused, state.refused_births
    if not refused:
        return []
    detail = f"{refused} plots began no track, for there are {len(state.bank)} already"
    return [Health(time_ns=now_ns, component="tracks", state="full", detail=detail)]


def track_events(state: TracksState) -> list[TrackEvent]:
    """What merged, split, shared plots or parted since this was last asked."""
    events, state.events = state.events, []
    return events


def note_breakups(state: TracksState, effects: list[Effect], now_ns: int) -> None:
    """Remember where the simulated defence broke something up: what is seen coming from there is debris."""
    state.breakups = [b for b in state.breakups if now_ns - b.time_ns <= BREAKUP_LASTS_NS]
    for effect in effects:
        if effect.outcome == "kill":
            state.breakups.append(Breakup(effect.time_ns, np.array([effect.east_m, effect.north_m, effect.up_m])))
            lifecycle.break_up(state.bank, state.bank.track == effect.track)


class Look(NamedTuple):
    """One scan of one sensor, as the kernels take it: times (m,), plots z (m, 4) and their sigmas (m, 4)."""

    sensor: int
    layout: Layout
    time_ns: IntArray
    z: FloatArray
    sigma: FloatArray
    ln_false: float
    """Logarithm of the density of false plots, per m and rad (and rad of elevation, where measured)."""
    p_detect: float
    home: IntArray
    """Each plot's cell in the map of clutter (m,);"""
    often: FloatArray
    """the plots a look that come there anyway, (m,);"""
    clutter: FloatArray
    """and how much denser such plots are than false ones, (m,)."""

    @property
    def update_ns(self) -> int:
        """The time between two looks."""
        return int(self.layout.update_ns[self.sensor])

    @property
    def cell(self) -> FloatArray:
        """Its resolution cell: range (m), azimuth and elevation (rad)."""
        cell: FloatArray = self.layout.resolution[self.sensor]
        return cell

    @property
    def pose(self) -> tuple[FloatArray, FloatArray]:
        """Where the sensor stands and its axes."""
        return self.layout.sensor_enu_m[self.sensor], self.layout.sensor_rot[self.sensor]

    @property
    def world(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """What the flight model needs."""
        return self.layout.env, self.layout.air, generic_drag()


class Gates(NamedTuple):
    """What `gating.candidates` found: the pairs inside a gate, and each track's prediction."""

    begins: IntArray
    plot_of: IntArray
    like: FloatArray
    worse: FloatArray
    x: FloatArray
    p: FloatArray
    w: FloatArray
    ready_ns: IntArray


def _look(state: TracksState, scan: Plots, layout: Layout) -> Look:
    sensor = int(scan.sensor[0])
    z = np.column_stack([scan.range_m, scan.az_rad, scan.el_rad, scan.range_rate_mps])
    sigma = layout.plot_sigma(sensor, scan.snr_db)
    time_ns, ln_false = np.ascontiguousarray(scan.time_ns), _ln_false_density(state, sensor, layout)
    clutter, size = state.clutter.setdefault(sensor, ClutterMap()), cluttermap.cells_of(layout.sensor_sigma[sensor])
    home, often = np.empty(len(z), np.int64), np.empty(len(z))
    cluttermap.look_up(z, size, clutter.key, clutter.rate, home, often)
    dense = cluttermap.rivals(often, size[3] > 0.0, size[2] > 0.0, size, ln_false)
    dense = (1.0 + dense) * np.exp(ln_faint(layout, sensor, scan.range_m, scan.snr_db)) - 1.0
    return Look(sensor, layout, time_ns, z, sigma, ln_false, _p_detect(state, sensor, layout), home, often, dense)


def _gates(bank: Bank, look: Look) -> Gates:
    """The pairs of tracks and plots that may belong together, with their log-likelihoods."""
    n, worse = len(bank), _worse(bank)
    x, p, w = np.empty((n, MODELS, STATES)), np.empty((n, MODELS, STATES, STATES)), np.empty((n, MODELS))
    ready_ns = np.empty(n, np.int64)
    found = candidates(
        bank.mean, bank.cov, bank.mode, bank.whole, look.time_ns, look.z, look.sigma, worse,
        *look.pose, *look.world, x, p, w, ready_ns,
    )  # fmt: skip
    return Gates(*found, worse, x, p, w, ready_ns)


def _worse(bank: Bank) -> FloatArray:
    """(n, 4): by how much the radar's errors exceed those stated, as each confirmed track has shown."""
    return np.where((bank.status == CONFIRMED)[:, None], np.sqrt(bank.noise[:, 0]), 1.0)


def _ln_false_density(state: TracksState, sensor: int, layout: Layout) -> float:
    with_elevation = not np.isnan(layout.sensor_sigma[sensor, 2])
    stated = float(layout.false_plots[sensor])
    learnt = state.learnt.get(sensor, Learnt()) if math.isnan(stated) else Learnt(stated)
    volume = volume_of(learnt, layout.coverage[sensor], with_elevation)
    return math.log(max(learnt.false_plots, FEWEST_FALSE_PLOTS) / volume)


def _p_detect(state: TracksState, sensor: int, layout: Layout) -> float:
    """Chance that a sensor's look gives a plot: as its site states, or as learnt."""
    stated = float(layout.p_detect[sensor])
    return state.learnt.get(sensor, Learnt()).p_detect if math.isnan(stated) else stated


def _learn(state: TracksState, look: Look, chosen: IntArray) -> None:
    """Learn from a scan what the site leaves open: which plots no confirmed track used, how long tracks were missed."""
    layout, sensor = look.layout, look.sensor
    if not (math.isnan(layout.false_plots[sensor]) or math.isnan(layout.p_detect[sensor])):
        return
    bank, learnt = state.bank, state.learnt.setdefault(sensor, Learnt())
    rows = np.flatnonzero((bank.status == CONFIRMED) & (chosen >= 0))
    learn_false(learnt, np.delete(look.z[:, :3], chosen[rows], axis=0))
    since_ns = look.time_ns[chosen[rows]] - bank.time_ns[rows]
    learn_detection(learnt, np.maximum(np.rint(since_ns / layout.update_ns[sensor]), 1.0))


def _learn_clutter(state: TracksState, look: Look, rows: IntArray, plots: IntArray) -> None:
    """Learn where plots come from what does not move; `rows` of the bank have just used or begun with `plots`."""
    whole, now_ns = state.bank.whole, int(look.time_ns[-1])
    state_now, spread = state.bank.mean[rows, CRUISE], state.bank.cov[rows, CRUISE]
    sigma2 = spread[:, 3, 3] + spread[:, 4, 4] + spread[:, 5, 5]
    speed = np.sqrt((state_now[:, 3:6] ** 2).sum(axis=1))
    whole[rows, MOVED] |= (whole[rows, STATUS] == CONFIRMED) & (speed > STILL_MPS + STILL_SIGMAS * np.sqrt(sigma2))
    moving = whole[whole[:, MOVED] != 0, TRACK]
    track = np.full(len(look.home), NO_TRACK, np.int64)
    track[plots] = whole[rows, TRACK]
    cluttermap.learn(state.clutter[look.sensor], look.home, track, moving, now_ns, look.update_ns)


def _give_birth(state: TracksState, free: IntArray, look: Look) -> IntArray:
    """A tentative track from each plot that no track took and that has an elevation; returns those plots' rows."""
    able: IntArray = free[~np.isnan(look.z[free, 2])]
    room = state.max_tracks - len(state.bank)
    state.refused_births += max(len(able) - room, 0)
    able = able[: max(room, 0)]
    n = len(able)
    if not n:
        return able
    time_ns = look.time_ns[able]
    mean, cov = np.empty((n, MODELS, STATES)), np.empty((n, MODELS, STATES, STATES))
    begin(able, look.z, look.sigma, *look.pose, lifecycle.PRIOR, mean, cov)
    debris = _from_breakup(state.breakups, time_ns, mean[:, OTHER, :3])
    if debris.any():
        lifecycle.as_debris(mean, cov, debris)
    whole = np.zeros((n, WHOLE), np.int64)
    whole[:, TRACK] = state.next_track + np.arange(n)
    whole[:, BORN] = whole[:, TIME] = time_ns
    whole[:, FED] = look.sensor
    whole[:, COUNT], whole[:, STATUS], whole[:, MODEL], whole[:, DEBRIS] = 1, TENTATIVE, OTHER, debris
    whole[:, AMONG] = _among_flyers(state.bank, mean[:, OTHER, :3])
    mode, real = np.full((n, MODELS), MODEL_PRIOR), np.full((n, REAL), lifecycle.BIRTH_SCORE)
    state.bank.append(Bank(whole, real, mean, cov, mode, no_plots(n), as_stated(n)))
    state.next_track += n
    return able


def _among_flyers(bank: Bank, pos_enu_m: FloatArray) -> BoolArray:
    """Which places (n, 3) have a confirmed track near that flies slowly, as birds do."""
    flyers = bank.mean[(bank.status == CONFIRMED) & (bank.whole[:, FLEW] >= FLYER_NS), CRUISE, :3]
    if not len(flyers):
        return np.zeros(len(pos_enu_m), np.bool_)
    near = np.abs(pos_enu_m[:, None] - flyers) < AMONG_M
    return np.asarray(np.any(np.all(near, axis=2), axis=1), np.bool_)


def _from_breakup(breakups: list[Breakup], time_ns: IntArray, pos_enu_m: FloatArray) -> BoolArray:
    """Which plots (n,) at places (n, 3) may come from a break-up."""
    debris = np.zeros(len(time_ns), np.bool_)
    for b in breakups:
        age_ns = time_ns - b.time_ns
        reach_m = np.minimum(BREAKUP_RADIUS_M + BREAKUP_SPEED_MPS * age_ns * 1e-9, BREAKUP_REACH_M)
        near = np.linalg.norm(pos_enu_m - b.pos_enu_m, axis=1) <= reach_m
        debris |= near & (age_ns >= 0) & (age_ns <= BREAKUP_LASTS_NS)
    return debris


def _report(bank: Bank, rows: IntArray, plots: IntArray) -> Tracks:
    """The rows of the tracks table: the model that a track is called by gives its mean and covariance."""
    n = len(rows)
    p, x, spread = np.empty(n), np.empty((n, STATES)), np.empty((n, STATES, STATES))
    tell(rows, bank.whole, bank.mean, bank.cov, bank.mode, p, x, spread)
    ask_mates(rows, bank.whole, bank.mean, bank.cov, x, spread)
    columns = bank.whole[rows].T.copy()
    return Tracks(
        time_ns=columns[TIME],
        track=columns[TRACK],
        status=columns[STATUS],
        model=columns[MODEL],
        n_plots=columns[COUNT],
        existence=1.0 / (1.0 + np.exp(np.minimum(-bank.real[rows, SCORE], MOST_EXPONENT))),
        p_ballistic=p,
        cls=np.full(n, UNKNOWN, np.int64),
        mean=x,
        cov=spread,
        born_ns=columns[BORN],
        plot=plots.astype(np.int64),
        debris=columns[DEBRIS] != 0,
    )
