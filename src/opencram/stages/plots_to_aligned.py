"""Plots to plots that agree: what a radar repeats or makes up is left out, what it is known to be off by is taken off.

Both are learnt from the tracks that are made of the plots.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from opencram.physics.layout import layout_of
from opencram.site import Site
from opencram.tables import FloatArray, Health, IntArray, Plots, Reject, Tracks
from opencram.tracking.registration import Registration, change, corrected, learn, news
from opencram.tracking.sensor_health import SensorHealth, health_news, trusted, watch


@dataclass
class AlignedState:
    """What is known of the sensors between scans."""

    registration: Registration = field(default_factory=Registration)
    health: SensorHealth = field(default_factory=SensorHealth)


def plots_to_aligned(state: AlignedState, scan: Plots, site: Site) -> tuple[Plots, IntArray]:
    """One scan as the tracker is to use it, and which rows of `scan` those plots are."""
    layout = layout_of(site)
    rows = trusted(state.health, scan, layout)
    kept = scan if len(rows) == len(scan) else scan.take(rows)
    return corrected(state.registration, kept, layout), rows


def learn_alignment(state: AlignedState, tracks: Tracks, scan: Plots, rows: IntArray, site: Site) -> FloatArray | None:
    """Take in what tracking made of a scan: `scan` as it came, `tracks.plot` the plots that `rows` of it became.

    Returns by how much more is taken off each sensor's plots (s, 4) from now on, where that has changed: range m,
    azimuth and elevation rad, clock s.
    """
    layout, used = layout_of(site), scan.take(rows)
    watch(state.health, tracks, used, layout)
    learn(state.registration, tracks, used, layout)
    return change(state.registration)


def alignment_news(state: AlignedState, now_ns: int, site: Site) -> tuple[list[Reject], list[Health]]:
    """What was left out since the last tick, and what has changed about the sensors."""
    layout = layout_of(site)
    rejects, changes = health_news(state.health, now_ns, layout)
    return rejects, changes + news(state.registration, now_ns, layout)
