"""What the web process is shown of a service several times a second: tracks, sirens, sensors, counts. Nothing decides
by it: when there is too much to do it is what waits."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue
from opencram.serve.link import (
    Hello,
    Picture,
    SensorInfo,
    SensorSeen,
    SirenInfo,
    SirenSeen,
    Source,
    TrackSeen,
    ZoneInfo,
)
from opencram.tables import CONFIRMED, UNKNOWN, FloatArray, Health, Impacts, Outbox, Tracks

if TYPE_CHECKING:
    from opencram.outputs.sirens.desk import Desk
    from opencram.site import Sensor, Site

KEEP_NS = 3_000_000_000
"""A track is shown for so long after its last scan."""
MAX_TRACKS = 500
"""Those with an impact ahead come first; beyond, tracks are not shown, and counted."""
IMPACT_FIELDS = ("impact_lat", "impact_lon", "major_m", "minor_m", "axis_deg")
LAUNCH_FIELDS = ("launch_lat", "launch_lon", "launch_major_m", "launch_minor_m", "launch_axis_deg")
Area = tuple[float, ...]
"""Latitude and longitude (degrees), half axes of the 95 % ellipse (m), the major one's direction (degrees)."""
CHI2_95 = 5.991
"""95th percentile of chi-square with two degrees of freedom: the size of a 95 % ellipse."""


class Painter:
    """Gathers what the ticks put out, and draws it when asked."""

    def __init__(self, site: Site) -> None:
        self._site, self._layout = site, layout_of(site)
        self._classes = list(catalogue())
        self._tracks: dict[int, tuple[int, Tracks, int]] = {}
        self._impacts: dict[int, tuple[Impacts, int]] = {}
        self._sensors: dict[str, Health] = {}
        self._plot_ns: dict[int, int] = {}
        self.counts: Counter[str] = Counter()

    def add(self, outbox: Outbox, now_ns: int) -> None:
        """Take in what a tick put out."""
        for row in np.flatnonzero(outbox.tracks.status == CONFIRMED).tolist():
            self._tracks[int(outbox.tracks.track[row])] = (now_ns, outbox.tracks, row)
        for row, track in enumerate(outbox.impacts.track.tolist()):
            self._impacts[track] = (outbox.impacts, row)
        for sensor in np.unique(outbox.plots.sensor).tolist():
            self._plot_ns[sensor] = now_ns
        for health in outbox.health:
            self._sensors[health.component] = health
        for reject in outbox.rejects:
            self.counts[f"plots: {reject.reason}"] += reject.count
        old = [track for track, (seen_ns, _, _) in self._tracks.items() if now_ns - seen_ns > KEEP_NS]
        for track in old:
            del self._tracks[track]
            self._impacts.pop(track, None)

    def picture(
        self, desk: Desk, now_ns: int, notes: tuple[str, ...], extra: dict[str, int], clocks_s: FloatArray
    ) -> Picture:
        """The picture now; `clocks_s` (sensors, or none) is what is taken off their plots' times."""
        refused = {f"sirens: {reason}": count for reason, count in desk.state.refused.items()}
        return Picture(
            now_ns=now_ns,
            tracks=self._seen(),
            sirens=sirens_seen(desk),
            sensors=tuple(self._sensor(i, sensor.id, clocks_s) for i, sensor in enumerate(self._site.sensors)),
            counts={**self.counts, **refused, **extra},
            notes=notes,
        )

    def _seen(self) -> tuple[TrackSeen, ...]:
        tracks = sorted(self._tracks, key=lambda track: (track not in self._impacts, track))[:MAX_TRACKS]
        if hidden := len(self._tracks) - len(tracks):
            self.counts["tracks not shown"] += hidden
        if not tracks:
            return ()
        states = np.array([self._tracks[track][1].mean[self._tracks[track][2]] for track in tracks])
        places = self._layout.latlon_deg(states[:, :3])
        falling = [track for track in tracks if track in self._impacts]
        impacts = dict(zip(falling, self._areas(falling, "impact"), strict=True))
        launches = dict(zip(falling, self._areas(falling, "launch"), strict=True))
        return tuple(
            self._track(track, state, place, impacts.get(track), launches.get(track))
            for track, state, place in zip(tracks, states, places, strict=True)
        )

    def _areas(self, tracks: list[int], what: str) -> list[Area | None]:
        """Where each comes down, or came from, in one go: it is asked for ten times a second."""
        rows = [self._impacts[track] for track in tracks]
        if not rows:
            return []
        enu_m = np.array([getattr(table, f"{what}_enu_m")[row] for table, row in rows])
        cov_m2 = np.array([getattr(table, f"{what}_cov_m2")[row] for table, row in rows])
        known = np.isfinite(enu_m).all(axis=1) & np.isfinite(cov_m2).all(axis=(1, 2))
        enu_m[~known], cov_m2[~known] = 0.0, 0.0
        values, vectors = np.linalg.eigh(cov_m2)
        half_m = np.sqrt(np.maximum(values, 0.0) * CHI2_95)
        axis_deg = np.degrees(np.arctan2(vectors[:, 0, 1], vectors[:, 1, 1])) % 180.0
        places = self._layout.latlon_deg(enu_m)
        found = np.column_stack([places, half_m[:, 1], half_m[:, 0], axis_deg]).tolist()
        return [tuple(area) if there else None for area, there in zip(found, known.tolist(), strict=True)]

    def _track(
        self, track: int, state: FloatArray, place: FloatArray, impact: Area | None, launch: Area | None
    ) -> TrackSeen:
        _, table, row = self._tracks[track]
        cls = int(table.cls[row])
        east, north, up = (float(v) for v in state[3:6])
        ends = dict(zip(IMPACT_FIELDS, impact, strict=True)) if impact is not None else {}
        begins = dict(zip(LAUNCH_FIELDS, launch, strict=True)) if launch is not None else {}
        return TrackSeen(
            track=track,
            cls="unknown" if cls == UNKNOWN else self._classes[cls],
            lat=float(place[0]),
            lon=float(place[1]),
            height_m=float(state[2]) + self._site.origin.height_m,
            east_mps=east,
            north_mps=north,
            up_mps=up,
            impact_ns=0 if impact is None else int(self._impacts[track][0].impact_time_ns[self._impacts[track][1]]),
            seen_ns=int(table.time_ns[row]),
            debris=bool(table.debris[row]),
            **ends,
            **begins,
        )

    def _sensor(self, number: int, name: str, clocks_s: FloatArray) -> SensorSeen:
        told = self._sensors.get(name)
        plot_ns = self._plot_ns.get(number, 0)
        clock_s = float(clocks_s[number]) if len(clocks_s) else None
        state, detail = ("ok" if plot_ns else "never", "") if told is None else (told.state, told.detail)
        return SensorSeen(id=name, state=state, plot_ns=plot_ns, detail=detail, clock_s=clock_s)


def sirens_seen(desk: Desk) -> tuple[SirenSeen, ...]:
    """Each siren's health, as far as it has said."""
    seen = []
    for name, siren in desk.state.sirens.items():
        state, detail = "ok", siren.fault
        if not siren.beat_ns:
            state, detail = "never", "not yet heard of"
        elif siren.silent:
            state, detail = "silent", "no heartbeat"
        elif siren.fault:
            state = "fault"
        elif siren.sounding:
            state, detail = "sounding", siren.sounding
        elif siren.tested_ns and not siren.tested_ok:
            state, detail = "fault", "its last self-test failed"
        seen.append(SirenSeen(id=name, state=state, beat_ns=siren.beat_ns, tested_ns=siren.tested_ns, detail=detail))
    return tuple(seen)


def hello_of(site: Site, run: str, version: str, source: Source, endpoint: str, cap_folder: str = "") -> Hello:
    """What the web process is told first."""
    zones = tuple(
        ZoneInfo(
            id=zone.id,
            name=zone.title.en,
            name_fr=zone.title.fr,
            name_ar=zone.title.ar or "",
            kind=zone.kind,
            people=zone.people,
            time_to_shelter_s=zone.time_to_shelter_s,
            rings=zone.rings,
        )
        for zone in site.zones
    )
    sirens = tuple(
        SirenInfo(id=s.id, lat=s.position.lat, lon=s.position.lon, zones=s.zones, audible_m=s.audible_m)
        for s in site.sirens
    )
    return Hello(
        run=run,
        version=version,
        site=site.name,
        title=site.title.en,
        title_fr=site.title.fr,
        title_ar=site.title.ar or "",
        lat=site.origin.lat,
        lon=site.origin.lon,
        provenance=source,
        zones=zones,
        sirens=sirens,
        sensors=tuple(map(_sensor_info, site.sensors)),
        siren_endpoint=endpoint,
        cap_folder=cap_folder,
        phones_public=site.phones == "public",
    )


def _sensor_info(sensor: Sensor) -> SensorInfo:
    seen = sensor.coverage
    return SensorInfo(
        id=sensor.id,
        lat=sensor.position.lat,
        lon=sensor.position.lon,
        kind=sensor.kind,
        min_range_m=seen.min_range_m,
        max_range_m=seen.max_range_m,
        azimuth_from_deg=seen.azimuth_from_deg,
        azimuth_to_deg=seen.azimuth_to_deg,
    )
