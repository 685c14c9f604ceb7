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
    BALLISTIC,
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
from opencram.tracking.filters import CRUISE, MODEL_PRIOR, MODELS, STATES, advance_track, score_scan, start_track
from opencram.tracking.lifecycle import Bank
from opencram.tracking.noise import as_stated, learn_noise, no_plots
from opencram.tracking.resolution import unresolved, without

GENERIC_SHAPE = "shell-155"
"""Whose drag curve the filter flies before the class is known; the ballistic coefficient takes up the difference."""
POWERED_SPEED_MPS, SPEED_BLUR_MPS, MOST_LOG_ODDS = 100.0, 15.0, 4.0
"""Prior odds of ballistic flight by speed: what is slower flies under power as a rule, what is faster seldom does."""
LEVEL_SHARE, LEVEL_LOG_ODDS = 0.15, -5.0
"""What moves up or down by less than this share of its speed, in all that is known of it, is more likely an
aircraft, until its fall has been seen;"""
FASTEST_AIRCRAFT_MPS = 300.0
"""unless it is faster than airliners (250 m/s) ever are."""
CALL_BALLISTIC, CALL_OTHER = 0.9, 0.5
"""A track is called ballistic above the first probability and other again below the second."""
KNOWN_VELOCITY_SHARE = 0.1
"""And not before its velocity is known to this share of its speed: an earlier prediction would point anywhere."""
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
    chosen = _choose(bank, without(gain, shared))
    rows = np.flatnonzero(chosen >= 0)
    _learn(state, scan, z, chosen, sensor, layout)
    worse = _worse(bank)
    for row in rows.tolist():
        plot = chosen[row]
        _use(bank, row, z[plot], worse[row] * sigma[plot], int(scan.time_ns[plot]), sensor, layout)
        time_s = int(scan.time_ns[plot] - bank.born_ns[row]) * 1e-9
        learn_noise(bank.latest[row], bank.noise[row], time_s, z[plot], sigma[plot], float(sensor))
    lifecycle.hit(bank, rows, gain[rows, chosen[rows]])
    wide = np.append(layout.resolution[sensor], np.nan)
    for track, plot in shared.items():
        _use(bank, track, z[plot], np.fmax(wide, sigma[plot]), int(scan.time_ns[plot]), sensor, layout)
        chosen[track] = plot
    free = np.setdiff1d(np.arange(len(scan)), chosen)
    single = ~lifecycle.doubles(bank, rows)
    bank.keep(single)
    chosen = chosen[single]
    rows = np.flatnonzero(chosen >= 0)
    _call_models(bank, rows)
    born = _give_birth(state, scan, z, sigma, free, sensor, layout)
    rows = np.concatenate([rows, np.arange(len(bank) - len(born), len(bank))])
    return _report(bank, rows, np.concatenate([chosen[rows[: len(rows) - len(born)]], born]))


def let_go(state: TracksState, now_ns: int, site: Site) -> None:
    """Drop the tracks that ended or never were, by time alone: a silent radar's tracks end as well."""
    bank = state.bank
    if not len(bank):
        return
    layout = layout_of(site)
    silent_s = ((now_ns - bank.time_ns) * 1e-9)[:, None]
    ahead = bank.mean[:, OTHER, :3] + bank.mean[:, OTHER, 3:6] * silent_s
    look_s, ln_miss = np.full(len(bank), np.inf), np.full(len(bank), -1.0)
    for s in range(len(layout.update_ns)):
        update_s = layout.update_ns[s] * 1e-9
        better = layout.covered(s, ahead) & (update_s < look_s)
        look_s[better] = update_s
        ln_miss[better] = math.log(max(1.0 - _p_detect(state, s, layout), 1e-3))
    bank.keep(~lifecycle.given_up(bank, now_ns, look_s, ln_miss))


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


def _choose(bank: Bank, gain: FloatArray) -> IntArray:
    """The plot of each track: the confirmed choose first, then tracks with a past, then single plots."""
    chosen = np.full(len(bank), -1, np.int64)
    confirmed = bank.status == CONFIRMED
    young = ~confirmed & (bank.n_plots == 1)
    free = np.ones(gain.shape[1], np.bool_)
    for group in (confirmed, ~confirmed & ~young, young):
        rows, plots = np.flatnonzero(group), np.flatnonzero(free)
        if len(rows) and len(plots):
            picked = assign(np.ascontiguousarray(gain[np.ix_(rows, plots)]))
            chosen[rows] = np.where(picked >= 0, plots[picked], -1)
            free[chosen[rows[picked >= 0]]] = False
    return chosen


def _use(bank: Bank, row: int, z: FloatArray, sigma: FloatArray, plot_ns: int, sensor: int, layout: Layout) -> None:
    dt_s = (plot_ns - int(bank.time_ns[row])) * 1e-9
    advance_track(
        bank.mean[row], bank.cov[row], bank.mode[row], dt_s, z,
        sigma, layout.sensor_enu_m[sensor], layout.sensor_rot[sensor],
        layout.env, layout.air, generic_drag(),
    )  # fmt: skip
    bank.time_ns[row] = max(int(bank.time_ns[row]), plot_ns)


def _call_models(bank: Bank, rows: IntArray) -> None:
    p, v, spread = p_ballistic(bank, rows), bank.mean[rows, BALLISTIC], bank.cov[rows, BALLISTIC]
    speed = np.sqrt(v[:, 3] ** 2 + v[:, 4] ** 2 + v[:, 5] ** 2)
    sigma = np.sqrt(spread[:, 3, 3] + spread[:, 4, 4] + spread[:, 5, 5])
    enters = (p > CALL_BALLISTIC) & (sigma <= KNOWN_VELOCITY_SHARE * speed)
    stays = np.where(bank.model[rows] == BALLISTIC, p >= CALL_OTHER, enters)
    bank.model[rows] = np.where(stays, BALLISTIC, OTHER)


def p_ballistic(bank: Bank, rows: IntArray) -> FloatArray:
    """Probability of ballistic flight (n,): how the plots fit each model, and how fast the object is."""
    v = bank.mean[rows, CRUISE, 3:6]
    speed = np.sqrt(v[:, 0] ** 2 + v[:, 1] ** 2 + v[:, 2] ** 2)
    blur = 3.0 * np.sqrt(np.maximum(bank.cov[rows, CRUISE, 5, 5], 0.0))
    level = (np.abs(v[:, 2]) < LEVEL_SHARE * speed + blur) & (speed < FASTEST_AIRCRAFT_MPS)
    # at the top of its path a falling object is level too: what has been called ballistic is not doubted for that
    doubt = np.where(bank.model[rows] == BALLISTIC, 0.0, LEVEL_LOG_ODDS)
    most = np.where(level, doubt, MOST_LOG_ODDS)
    prior = np.clip((speed - POWERED_SPEED_MPS) / SPEED_BLUR_MPS, LEVEL_LOG_ODDS, most)
    mode = bank.mode[rows]
    fit = np.log(mode[:, BALLISTIC] / (mode[:, OTHER] + mode[:, CRUISE]))
    p: FloatArray = 1.0 / (1.0 + np.exp(-(fit + np.where(bank.debris[rows], 0.0, prior))))
    return p


def _give_birth(
    state: TracksState, scan: Plots, z: FloatArray, sigma: FloatArray, free: IntArray, sensor: int, layout: Layout
) -> IntArray:
    """A tentative track from each plot that no track took and that has an elevation; returns those plots' rows."""
    able: IntArray = free[~np.isnan(z[free, 2])]
    room = state.max_tracks - len(state.bank)
    state.refused_births += max(len(able) - room, 0)
    able = able[: max(room, 0)]
    n = len(able)
    place, rot = layout.sensor_enu_m[sensor], layout.sensor_rot[sensor]
    time_ns = scan.time_ns[able]
    at = turned(spherical_to_enu(z[able, 0], z[able, 1], z[able, 2]), rot.T) + place
    debris = _from_breakup(state.breakups, time_ns, at)
    mean, cov = np.empty((n, MODELS, STATES)), np.empty((n, MODELS, STATES, STATES))
    for i, plot in enumerate(able):
        prior = lifecycle.DEBRIS_PRIOR if debris[i] else lifecycle.PRIOR
        start_track(z[plot], sigma[plot], place, rot, prior, mean[i], cov[i])
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
    mode, mean, cov = bank.mode[rows], bank.mean[rows], bank.cov[rows]
    ballistic = bank.model[rows] == BALLISTIC
    # sums written out: a library's sum over an axis may round a row by which other rows are there
    mixed, mixed_cov = np.zeros((len(rows), STATES)), np.zeros((len(rows), STATES, STATES))
    for m in range(MODELS):
        mixed += mode[:, m, None] * mean[:, m]
    for m in range(MODELS):
        apart = mean[:, m] - mixed
        mixed_cov += mode[:, m, None, None] * (cov[:, m] + apart[:, :, None] * apart[:, None, :])
    return Tracks(
        time_ns=bank.time_ns[rows],
        track=bank.track[rows],
        status=bank.status[rows],
        model=bank.model[rows],
        n_plots=bank.n_plots[rows],
        existence=1.0 / (1.0 + np.exp(-bank.score[rows])),
        p_ballistic=p_ballistic(bank, rows),
        cls=np.full(len(rows), UNKNOWN, np.int64),
        mean=np.where(ballistic[:, None], mean[:, BALLISTIC], mixed),
        cov=np.where(ballistic[:, None, None], cov[:, BALLISTIC], mixed_cov),
        born_ns=bank.born_ns[rows],
        plot=plots.astype(np.int64),
        debris=bank.debris[rows],
    )
