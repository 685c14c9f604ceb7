"""The product's own chain on one sky: a site with one radar, and what tracking and prediction make of its plots."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from accuracy.shots import Case, Seen, told
from opencram.site import Site
from opencram.stages.plots_to_tracks import TracksState, let_go, plots_to_tracks
from opencram.stages.tracks_to_impacts import ImpactsState, tracks_to_impacts
from opencram.tables import CONFIRMED, FloatArray, IntArray, Plots

START_NS = 1_600_000_000_000_000_000


@dataclass(frozen=True, eq=False)
class Answers:
    """What was said of one shot, a row per scan with a prediction: times are seconds since the path's beginning."""

    time_s: FloatArray
    impact: FloatArray
    """(k, 3): east, north (m), seconds."""
    cov: FloatArray
    """(k, 2, 2)."""
    time_sigma_s: FloatArray
    launch: FloatArray
    launch_cov: FloatArray
    cls: IntArray
    """Class index or UNKNOWN, of predicted rows."""
    called: tuple[tuple[float, int, bool], ...]
    """(time, class, whether an impact was predicted) of every row of a confirmed track."""
    tracks: int
    """Confirmed tracks."""


@lru_cache(maxsize=16)
def site_of(case: Case) -> Site:
    """A site whose one radar states the case's sigmas."""
    said = told(case)
    sensor = {
        "id": "radar",
        "position": {"lat": 33.3, "lon": 44.4},
        "range_sigma_m": said.range_sigma_m,
        "azimuth_sigma_mrad": said.angle_sigma_rad * 1e3,
        "elevation_sigma_mrad": said.angle_sigma_rad * 1e3,
        "update_s": said.update_s,
    }
    if not np.isnan(said.rate_sigma_mps):
        sensor["range_rate_sigma_mps"] = said.rate_sigma_mps
    ring = [(44.399, 33.299), (44.401, 33.299), (44.401, 33.301), (44.399, 33.301), (44.399, 33.299)]
    zone = {"id": "home", "title": {"en": "home"}, "rings": ((tuple(ring),),)}
    return Site.model_validate(
        {"name": "accuracy", "origin": {"lat": 33.3, "lon": 44.4}, "zones": [zone], "sensors": [sensor]}
    )


def scans(seen: Seen) -> list[tuple[float, Plots]]:
    """One scan a plot, in time order."""
    sizes = np.full(len(seen.time_s), np.nan) if seen.rcs_dbsm is None else seen.rcs_dbsm
    return [(float(t), _plots(t, z, rcs)) for t, z, rcs in zip(seen.time_s, seen.z, sizes, strict=True)]


def _plots(time_s: float, z: FloatArray, rcs_dbsm: float) -> Plots:
    none, time_ns = np.full(1, np.nan), np.full(1, START_NS + round(time_s * 1e9), np.int64)
    return Plots(
        time_ns=time_ns,
        received_ns=time_ns,
        sensor=np.zeros(1, np.int64),
        range_m=z[:1].copy(),
        az_rad=z[1:2].copy(),
        el_rad=z[2:3].copy(),
        range_rate_mps=z[3:4].copy(),
        snr_db=none,
        rcs_dbsm=np.full(1, rcs_dbsm),
        scan=np.full(1, round(time_s * 10), np.int64),
    )


def follow(seen: Seen, case: Case) -> Answers:
    """Everything the chain says of one object's plots."""
    site, tracks, impacts = site_of(case), TracksState(), ImpactsState()
    rows, called, confirmed = [], [], set()
    for time_s, scan in scans(seen):
        known, _, ends = tracks_to_impacts(impacts, plots_to_tracks(tracks, scan, site), scan, site)
        let_go(tracks, int(scan.time_ns[0]), site)
        if len(ends):
            rows.append((time_s, ends))
        falling = ends.track.tolist()
        for track, status, cls in zip(*(c.tolist() for c in (known.track, known.status, known.cls)), strict=True):
            if status == CONFIRMED:
                called.append((time_s, cls, track in falling))
                confirmed.add(track)
    return _answers(rows, tuple(called), len(confirmed))


def _answers(rows: list, called: tuple, tracks: int) -> Answers:
    def every(name: str, tail: tuple[int, ...] = ()) -> FloatArray:
        return np.array([getattr(ends, name)[0] for _, ends in rows]).reshape(-1, *tail)

    seconds = (every("impact_time_ns").astype(np.int64) - START_NS) * 1e-9
    return Answers(
        time_s=np.array([t for t, _ in rows]),
        impact=np.column_stack([every("impact_enu_m", (2,)), seconds]),
        cov=every("impact_cov_m2", (2, 2)),
        time_sigma_s=every("impact_time_sigma_s"),
        launch=every("launch_enu_m", (2,)),
        launch_cov=every("launch_cov_m2", (2, 2)),
        cls=every("cls").astype(np.int64),
        called=called,
        tracks=tracks,
    )
