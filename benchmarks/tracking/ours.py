"""This tracker on a raid: its site, its scans, and where its confirmed tracks are."""

import time

import numpy as np

from opencram.physics.layout import layout_of
from opencram.site import Site
from opencram.stages.plots_to_tracks import TracksState, let_go, plots_to_tracks
from opencram.tables import CONFIRMED, FloatArray, Plots, Tracks
from tracking.raid import HALF_AZ_RAD, HIGH_RAD, LOW_RAD, NEAR_M, P_DETECT, SIGMA_M, SIGMA_RAD, STEP_S, Raid

START_NS = 1_600_000_000_000_000_000
PLACE = {"lat": 45.0, "lon": 10.0}
"""Where gravity is that of the raid, 9.8067 m/s2; the earth's curvature and rotation stay in the tracker's model."""


def site_of(raid: Raid, stated: bool = True) -> Site:
    """A site of one radar with the raid's coverage and errors; its false plots and detections stated or left open."""
    half_deg, low_deg, high_deg = np.degrees([HALF_AZ_RAD, LOW_RAD, HIGH_RAD]).tolist()
    sensor = {
        "id": "radar",
        "position": PLACE,
        "range_sigma_m": SIGMA_M,
        "azimuth_sigma_mrad": SIGMA_RAD * 1e3,
        "elevation_sigma_mrad": SIGMA_RAD * 1e3,
        "update_s": STEP_S,
        "coverage": {
            "min_range_m": NEAR_M, "max_range_m": raid.far_m, "azimuth_from_deg": 90.0 - half_deg,
            "azimuth_to_deg": 90.0 + half_deg, "min_elevation_deg": low_deg, "max_elevation_deg": high_deg,
        },
        # the raid's radar never makes one plot of two rounds
        "resolution": {"range_m": 0.1, "azimuth_deg": 1e-3, "elevation_deg": 1e-3},
    }  # fmt: skip
    if stated:
        sensor |= {"detection": P_DETECT, "false_plots_per_scan": raid.false_plots}
    ring = [(9.999, 44.999), (10.001, 44.999), (10.001, 45.001), (9.999, 45.001), (9.999, 44.999)]
    zone = {"id": "home", "title": {"en": "home"}, "rings": ((tuple(ring),),)}
    return Site.model_validate({"name": "bench", "origin": PLACE, "zones": [zone], "sensors": [sensor]})


def table_of(z: FloatArray, time_s: float, number: int) -> Plots:
    """A scan's plots (m, 3) as the table that the stage takes; azimuth turned from x (east) to clockwise from north."""
    z = z[np.lexsort((z[:, 2], z[:, 1], z[:, 0]))]
    n, none = len(z), np.full(len(z), np.nan)
    time_ns = np.full(n, START_NS + round(time_s * 1e9), np.int64)
    az_rad = np.mod(0.5 * np.pi - z[:, 1], 2.0 * np.pi)
    return Plots(
        time_ns=time_ns, received_ns=time_ns, sensor=np.zeros(n, np.int64), range_m=z[:, 0].copy(), az_rad=az_rad,
        el_rad=z[:, 2].copy(), range_rate_mps=none, snr_db=none, rcs_dbsm=none, scan=np.full(n, number, np.int64),
    )  # fmt: skip


class Ours:
    """The stage `plots_to_tracks`, scan by scan."""

    def __init__(self, raid: Raid, stated: bool = True) -> None:
        """Make the tables of all scans; `table_ms` says how long each took."""
        self.site, self.state = site_of(raid, stated), TracksState()
        self.table_ms, self._scans = [], []
        for number, (time_s, z) in enumerate(zip(raid.time_s.tolist(), raid.scans, strict=True)):
            began = time.perf_counter()
            self._scans.append((START_NS + round(time_s * 1e9), table_of(z, time_s, number)))
            self.table_ms.append(1e3 * (time.perf_counter() - began))
        self._gravity_mps2 = layout_of(self.site).origin.gravity_mps2
        self._next, self._now_ns, self._told = 0, START_NS, Tracks.empty()
        self._newest: dict[int, tuple[int, FloatArray]] = {}

    def step(self) -> None:
        """Use the next scan."""
        self._now_ns, scan = self._scans[self._next]
        self._told = plots_to_tracks(self.state, scan, self.site)
        let_go(self.state, self._now_ns, self.site)
        self._next += 1

    def positions(self) -> FloatArray:
        """(k, 3) m: the confirmed tracks as last reported, moved on to this scan where it gave them no plot."""
        bank, told = self.state.bank, self._told
        self._newest |= zip(told.track.tolist(), zip(told.time_ns.tolist(), told.mean, strict=True), strict=True)
        rows = [self._newest[track] for track in bank.track[bank.status == CONFIRMED].tolist()]
        if not rows:
            return np.empty((0, 3))
        late_s = 1e-9 * np.array([self._now_ns - time_ns for time_ns, _ in rows])[:, None]
        mean = np.array([mean for _, mean in rows])
        at: FloatArray = mean[:, :3] + late_s * mean[:, 3:6]
        at[:, 2:] -= 0.5 * self._gravity_mps2 * late_s**2
        return at
