"""THE MAP: one step of the whole chain, from what came in to what goes out. Only here is the stages' order known."""

from dataclasses import replace

import msgspec
import numpy as np

from opencram.site import Site
from opencram.stages.bytes_to_plots import bytes_to_plots
from opencram.stages.impacts_to_threats import impacts_to_threats
from opencram.stages.plots_to_aligned import alignment_news, learn_alignment, plots_to_aligned
from opencram.stages.plots_to_tracks import (
    left_over,
    let_go,
    limits_hit,
    most_urgent,
    note_breakups,
    plots_to_tracks,
    realign_tracks,
    track_events,
)
from opencram.stages.threats_to_engagements import pending, threats_to_engagements
from opencram.stages.threats_to_warnings import sift_reports, threats_to_warnings
from opencram.stages.tracks_to_impacts import realign_fits, tracks_to_impacts
from opencram.state import State
from opencram.tables import Effect, Hypotheses, Impacts, Input, Observation, OperatorAct, Outbox, Plots, Tracks


def step(state: State, inbox: list[Input], now_ns: int, site: Site) -> Outbox:
    """One tick: all inputs that arrived by `now_ns` (int64 ns UTC) in, all outputs out; `state` is changed in place.

    No clock, no randomness, no input or output of its own: the same state and inputs give the same bits.
    """
    inbox = in_order(inbox)
    reports, refused = sift_reports((i for i in inbox if isinstance(i, Observation | OperatorAct)), now_ns, site)
    effects = [i for i in inbox if isinstance(i, Effect)]

    scans, rejects, health = bytes_to_plots(state.plots, inbox, now_ns, site)
    note_breakups(state.tracks, effects, now_ns)
    tracks, hypotheses, impacts = track_scans(state, scans, site)
    let_go(state.tracks, now_ns, site)
    left_out, changes = alignment_news(state.aligned, now_ns, site)
    no_room, loads = left_over(state.tracks, now_ns, site)
    engaged = pending(state.engagements, now_ns)
    threats = impacts_to_threats(state.threats, tracks, hypotheses, impacts, engaged, effects, now_ns, site)
    silent = [site.sensors[sensor].id for sensor in state.plots.stale]
    warnings, unheeded = threats_to_warnings(state.warnings, threats, reports, effects, silent, now_ns, site)
    engagements, notes = (
        threats_to_engagements(state.engagements, threats, tracks, now_ns, site) if state.defended else ((), ())
    )
    return Outbox(
        plots=Plots.concat(scans),
        tracks=tracks,
        hypotheses=hypotheses,
        impacts=impacts,
        threats=threats,
        warnings=tuple(warnings),
        engagements=engagements,
        rejects=(*rejects, *refused, *unheeded, *left_out, *no_room),
        health=(*health, *changes, *loads, *limits_hit(state.tracks, now_ns)),
        events=tuple(track_events(state.tracks)),
        defence=notes,
    )


def track_scans(state: State, scans: list[Plots], site: Site) -> tuple[Tracks, Hypotheses, Impacts]:
    """Each scan in turn through tracking and prediction; rows of the tables in that order."""
    tracks, hypotheses, impacts = [], [], []
    first = 0
    for scan in scans:
        aligned, rows = most_urgent(state.tracks, *plots_to_aligned(state.aligned, scan, site), site)
        followed = plots_to_tracks(state.tracks, aligned, site)
        change = learn_alignment(state.aligned, followed, scan, rows, site)
        seen, kinds, ends = tracks_to_impacts(state.impacts, followed, aligned, site)
        if change is not None:
            realign_tracks(state.tracks, change, site)
            realign_fits(state.impacts, change)
        tracks.append(replace(seen, plot=np.where(seen.plot >= 0, first + np.append(rows, 0)[seen.plot], -1)))
        hypotheses.append(kinds)
        impacts.append(ends)
        first += len(scan)
    return Tracks.concat(tracks), Hypotheses.concat(hypotheses), Impacts.concat(impacts)


def in_order(inbox: list[Input]) -> list[Input]:
    """The inputs in their canonical order, whatever order they arrived in within the tick."""
    return sorted(inbox, key=msgspec.json.encode)
