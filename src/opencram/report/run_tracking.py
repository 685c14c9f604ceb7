"""The metrics of tracking of one run, from its tables and what the simulated world knows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from opencram.physics.threats import ballistic_ids, catalogue
from opencram.report.evidence import Columns, Tables, has_rows
from opencram.report.moments import COAST_S, Scene, TrackRows, TruthRows, scene_of
from opencram.report.tracking_metrics import Figures, evaluate_scene
from opencram.tables import BoolArray, FloatArray

if TYPE_CHECKING:
    from opencram.site import Site

COAST_SCANS = 2.5
"""Of the slowest radar: a track that misses two scans is still there."""
NO_THREAT = ("innocent", "debris")
"""Families of the catalogue."""


def scene_of_run(tables: Tables, hostile: Mapping[str, str], left_out: Collection[int], site: Site) -> Scene | None:
    """Confirmed tracks and truth at the same moments; None for objects without a table of where they were.

    `hostile` is the class of each object that was sent to do harm; all else in the truth is aside. `left_out` are the
    tracks of debris and of innocent things.
    """
    if hostile and not has_rows(tables.truth):
        return None
    coast_s = max([COAST_S, *(COAST_SCANS * sensor.update_s for sensor in site.sensors)])
    return scene_of(_tracks(tables.tracks, left_out), _truth(tables.truth, hostile), coast_s=coast_s)


def figures_of_run(scene: Scene | None, first_seen_ns: Mapping[str, int], span_ns: tuple[int, int]) -> Figures | None:
    """What run.json holds of it under `tracking`."""
    if scene is None:
        return None
    figures = evaluate_scene(scene, first_seen_ns, span_ns).figures()
    return {name: round(v, 4) if isinstance(v, float) else v for name, v in figures.items()}


def _tracks(columns: Columns, left_out: Collection[int]) -> TrackRows:
    if not has_rows(columns):
        return TrackRows(np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 3)), np.empty((0, 3)))
    rows = (columns["status"] == "confirmed") & ~np.isin(columns["track"], list(left_out))
    harmless = [name for name, threat in catalogue().items() if threat.family in NO_THREAT]
    ballistic = (columns["model"] == "ballistic") & ~np.isin(columns["class"].astype(str), harmless)
    ballistic &= ~columns["debris"].astype(bool)
    return TrackRows(columns["time"][rows], columns["track"][rows], *_state(columns, rows), ballistic=ballistic[rows])


def _truth(columns: Columns, hostile: Mapping[str, str]) -> TruthRows:
    if not has_rows(columns):
        return TruthRows(np.empty(0, np.int64), np.empty(0, object), np.empty((0, 3)), np.empty((0, 3)))
    aside = frozenset(columns["object"].tolist()) - hostile.keys()
    ballistic = frozenset(name for name, cls in hostile.items() if cls in ballistic_ids())
    state = _state(columns, np.ones(len(columns["time"]), bool))
    return TruthRows(columns["time"], columns["object"], *state, aside=aside, ballistic=ballistic)


def _state(columns: Columns, rows: BoolArray) -> tuple[FloatArray, FloatArray]:
    pos, vel = (
        np.stack([columns[f"{axis}_{unit}"][rows] for axis in ("east", "north", "up")], axis=1) for unit in ("m", "mps")
    )
    return pos, vel
