"""Plots to tracks, one scan of one sensor at a time: predict, gate, assign, update, give birth; let go what ended."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from opencram.physics.frames import spherical_to_enu
from opencram.physics.layout import FEWEST_FALSE_PLOTS, RANGE_RATE_SPAN_MPS, Layout, layout_of, turned
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
    Tracks,
)
from opencram.tracking import lifecycle
from opencram.tracking.association import assign
from opencram.tracking.clutter import Learnt, learn_detection, learn_false, volume_of
from opencram.tracking.filters import MODEL_PRIOR, MODELS, STATES, score_scan
from opencram.tracking.lifecycle import Bank
from opencram.tracking.noise import as_stated, no_plots
from opencram.tracking.resolution import unresolved, without
from opencram.tracking.scan import begin, given_up, tell, use_plots

GENERIC_SHAPE = "shell-155"
"""Whose drag curve the filter flies before the class is known; the ballistic coefficient takes up the difference."""
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
    fed: dict[int, int] = field(default_factory=dict)
    """By track, the sensor of its newest plot: by whose looks it is given up, for another may not see it at all."""
    learnt: dict[int, Learnt] = field(default_factory=dict)
    """By sensor, what its site does not say about it."""


@lru_cache(maxsize=1)
def generic_drag() -> FloatArray:
    """The drag curve of the filter, (201,)."""
    return np.array(catalogue()[GENERIC_SHAPE].drag)


def plots_to_tracks(state: TracksState, scan: Plots, site: Site) -> Tracks:
    """Use one scan; returns a row per track that it updated or began."""
    if len(scan) == 0:
        return Tracks.empty()
    layout, bank = layout_of(site), state.bank
    sensor = int(scan.sensor[0])
    z = np.column_stack([scan.range_m, scan.az_rad, scan.el_rad, scan.range_rate_mps])
    sigma = layout.plot_sigma(sensor, scan.snr_db)
    gain = _score(state, scan, z, sigma, sensor, layout)
    shared = unresolved(bank, z, int(scan.time_ns[0]), sensor, layout)
    chosen = assign(without(gain, shared), _rank(bank))
    rows = np.flatnonzero(chosen >= 0)
    _learn(state, scan, z, chosen, sensor, layout)
    gained = gain[rows, chosen[rows]]
    for track, plot in shared.items():
        chosen[track] = plot
    _use(bank, chosen, shared, scan, z, sigma, sensor, layout)
    lifecycle.hit(bank, rows, gained)
    free = np.ones(len(scan), np.bool_)
    free[chosen[chosen >= 0]] = False
    single = lifecycle.singles(bank, rows)
    if not single.all():
        bank.keep(single)
        chosen = chosen[single]
    rows = np.flatnonzero(chosen >= 0)
    born = _give_birth(state, scan, z, sigma, np.flatnonzero(free), sensor, layout)
    rows = np.concatenate([rows, np.arange(len(bank) - len(born), len(bank))])
    state.fed.update(dict.fromkeys(bank.track[rows].tolist(), sensor))
    return _report(bank, rows, np.concatenate([chosen[rows[: len(rows) - len(born)]], born]))


def let_go(state: TracksState, now_ns: int, site: Site) -> None:
    """Drop the tracks that ended or never were, by time alone: a silent radar's tracks end as well."""
    bank = state.bank
    if not len(bank):
        return
    layout = layout_of(site)
    fed, ended = np.array([state.fed[t] for t in bank.track.tolist()]), np.zeros(len(bank), np.bool_)
    for s in np.unique(fed).tolist():
        rows, ln_miss = fed == s, math.log(max(1.0 - _p_detect(state, s, layout), 1e-3))
        ended[rows] = given_up(
            now_ns, bank.time_ns[rows], bank.status[rows], (bank.best - bank.score)[rows], bank.mean[rows],
            np.array([ln_miss]), layout.update_ns[[s]], layout.coverage[[s]], layout.sensor_enu_m[[s]],
            layout.sensor_rot[[s]],
        )  # fmt: skip
    if ended.any():
        bank.keep(~ended)
        state.fed = {t: state.fed[t] for t in bank.track.tolist()}


def realign_tracks(state: TracksState, change: FloatArray, site: Site) -> None:
    """Move the tracks with their plots: so much more (s, 4: m, rad, rad, s) is taken off each sensor's from now on."""
    layout, bank = layout_of(site), state.bank
    fed = np.array([state.fed[t] for t in bank.track.tolist()], np.int64)
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


def note_breakups(state: TracksState, effects: list[Effect], now_ns: int) -> None:
    """Remember where the simulated defence broke something up: what is seen coming from there is debris."""
    state.breakups = [b for b in state.breakups if now_ns - b.time_ns <= BREAKUP_LASTS_NS]
    for effect in effects:
        if effect.outcome == "kill":
            state.breakups.append(Breakup(effect.time_ns, np.array([effect.east_m, effect.north_m, effect.up_m])))
            lifecycle.break_up(state.bank, state.bank.track == effect.track)


def _score(
    state: TracksState, scan: Plots, z: FloatArray, sigma: FloatArray, sensor: int, layout: Layout
) -> FloatArray:
    """Log of the likelihood ratio 'this track's' to 'false' of each pair (n, m), minus infinity outside the gate."""
    bank = state.bank
    score = score_scan(
        bank.mean, bank.cov, bank.mode, bank.time_ns, np.ascontiguousarray(scan.time_ns), z,
        sigma, _worse(bank), layout.sensor_enu_m[sensor], layout.sensor_rot[sensor],
        layout.env, layout.air, generic_drag(),
    )  # fmt: skip
    ln_false = _ln_false_density(state, sensor, layout)
    rated = ~np.isnan(z[:, 3]) & ~np.isnan(layout.sensor_sigma[sensor, 3])
    ln_density = ln_false - np.where(rated, math.log(RANGE_RATE_SPAN_MPS), 0.0)
    gain: FloatArray = score + math.log(_p_detect(state, sensor, layout)) - ln_density
    return gain


def _worse(bank: Bank) -> FloatArray:
    """(n, 4): by how much the radar's errors exceed those stated, as each confirmed track has shown."""
    return np.where((bank.status == CONFIRMED)[:, None], np.sqrt(bank.noise[:, 0]), 1.0)


def _ln_false_density(state: TracksState, sensor: int, layout: Layout) -> float:
    """Logarithm of the density of a sensor's false plots, per m and rad (and rad of elevation, where measured)."""
    with_elevation = not np.isnan(layout.sensor_sigma[sensor, 2])
    stated = float(layout.false_plots[sensor])
    learnt = state.learnt.get(sensor, Learnt()) if math.isnan(stated) else Learnt(stated)
    volume = volume_of(learnt, layout.coverage[sensor], with_elevation)
    return math.log(max(learnt.false_plots, FEWEST_FALSE_PLOTS) / volume)


def _p_detect(state: TracksState, sensor: int, layout: Layout) -> float:
    """Chance that a sensor's look gives a plot: as its site states, or as learnt."""
    stated = float(layout.p_detect[sensor])
    return state.learnt.get(sensor, Learnt()).p_detect if math.isnan(stated) else stated


def _learn(state: TracksState, scan: Plots, z: FloatArray, chosen: IntArray, sensor: int, layout: Layout) -> None:
    """Learn from a scan what the site leaves open: which plots no confirmed track used, how long tracks were missed."""
    if not (math.isnan(layout.false_plots[sensor]) or math.isnan(layout.p_detect[sensor])):
        return
    bank, learnt = state.bank, state.learnt.setdefault(sensor, Learnt())
    used = chosen[(bank.status == CONFIRMED) & (chosen >= 0)]
    learn_false(learnt, np.delete(z[:, :3], used, axis=0))
    rows = np.flatnonzero((bank.status == CONFIRMED) & (chosen >= 0))
    since_ns = scan.time_ns[chosen[rows]] - bank.time_ns[rows]
    learn_detection(learnt, np.maximum(np.rint(since_ns / layout.update_ns[sensor]), 1.0))


def _rank(bank: Bank) -> IntArray:
    """In which turn each track chooses its plot: the confirmed first, then tracks with a past, then single plots."""
    return np.where(bank.status == CONFIRMED, 0, np.where(bank.n_plots > 1, 1, 2))


def _use(
    bank: Bank, chosen: IntArray, shared: dict[int, int], scan: Plots, z: FloatArray, sigma: FloatArray,
    sensor: int, layout: Layout,
) -> None:  # fmt: skip
    """Each track takes its plot; one that it shares with another is as wide as the radar's cell."""
    together = np.zeros(len(bank), np.bool_)
    together[list(shared)] = True
    use_plots(
        chosen, together, bank.mean, bank.cov, bank.mode, bank.time_ns, bank.born_ns, bank.model, bank.debris,
        bank.latest, bank.noise, _worse(bank), np.ascontiguousarray(scan.time_ns), z, sigma,
        np.append(layout.resolution[sensor], np.nan), sensor, layout.sensor_enu_m[sensor], layout.sensor_rot[sensor],
        layout.env, layout.air, generic_drag(),
    )  # fmt: skip


def _give_birth(
    state: TracksState, scan: Plots, z: FloatArray, sigma: FloatArray, free: IntArray, sensor: int, layout: Layout
) -> IntArray:
    """A tentative track from each plot that no track took and that has an elevation; returns those plots' rows."""
    able: IntArray = free[~np.isnan(z[free, 2])]
    room = state.max_tracks - len(state.bank)
    state.refused_births += max(len(able) - room, 0)
    able = able[: max(room, 0)]
    n = len(able)
    if not n:
        return able
    place, rot = layout.sensor_enu_m[sensor], layout.sensor_rot[sensor]
    time_ns = scan.time_ns[able]
    at = turned(spherical_to_enu(z[able, 0], z[able, 1], z[able, 2]), rot.T) + place
    debris = _from_breakup(state.breakups, time_ns, at)
    mean, cov = np.empty((n, MODELS, STATES)), np.empty((n, MODELS, STATES, STATES))
    begin(able, z, sigma, place, rot, np.where(debris[:, None], lifecycle.DEBRIS_PRIOR, lifecycle.PRIOR), mean, cov)
    score = np.full(n, lifecycle.BIRTH_SCORE)
    state.bank.append(
        Bank(
            track=state.next_track + np.arange(n, dtype=np.int64),
            born_ns=time_ns.copy(),
            time_ns=time_ns.copy(),
            n_plots=np.ones(n, np.int64),
            status=np.full(n, TENTATIVE, np.int64),
            model=np.full(n, OTHER, np.int64),
            mean=mean,
            cov=cov,
            mode=np.tile(MODEL_PRIOR, (n, 1)),
            score=score,
            best=score.copy(),
            debris=debris,
            latest=no_plots(n),
            noise=as_stated(n),
        )
    )
    state.next_track += n
    return able


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
    tell(rows, bank.mean, bank.cov, bank.mode, bank.model, bank.debris, p, x, spread)
    return Tracks(
        time_ns=bank.time_ns[rows],
        track=bank.track[rows],
        status=bank.status[rows],
        model=bank.model[rows],
        n_plots=bank.n_plots[rows],
        existence=1.0 / (1.0 + np.exp(-bank.score[rows])),
        p_ballistic=p,
        cls=np.full(n, UNKNOWN, np.int64),
        mean=x,
        cov=spread,
        born_ns=bank.born_ns[rows],
        plot=plots.astype(np.int64),
        debris=bank.debris[rows],
    )
