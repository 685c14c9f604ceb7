"""A small made-up run whose every figure can be worked out by hand, for the tests of what is written about a run.

Metres from the origin: `inner` is the square of 200 m, `outer` the one of 1,000 m around it, `east` a square of 800 m
around (2000, 0), `west` one of 500 m around (-3000, 0). Three rockets and a bird; seconds count from T0.

R1 comes down in inner after 20 s, its track runs 20 m north of it. R2 is shot down after 15 s and was going to outer;
track 3 follows what is left of it. R3 comes down in east after 22 s and is never tracked. Track 7 follows the bird,
track 9 follows nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from pyproj import Geod

from opencram.record.recording import Recorder
from opencram.report.evidence import Columns, Decisions, RunMeta, Tables, Truth
from opencram.report.render import write_outputs
from opencram.report.summary import summarize
from opencram.site import Site, load_site
from opencram.tables import Effect, Engagement, Health, Reject, ZoneWarning
from opencram.world.scenario import Scenario

LAT, LON = 33.3, 44.4
T0 = 1_605_634_200 * 10**9  # 2020-11-17T17:30:00Z
NS = 10**9
GEOD = Geod(ellps="WGS84")

SITE = """\
name: made-up
title: {en: Made-up embassy, fr: ambassade imaginaire}
origin: {lat: 33.3, lon: 44.4, height_m: 0}
timezone: Asia/Baghdad
zones: zones.geojson
sensors:
  - id: radar-1
    position: {lat: 33.3, lon: 44.4}
    range_sigma_m: 10
    azimuth_sigma_mrad: 2
    elevation_sigma_mrad: 2
    update_s: 0.1
assets:
  - {id: embassy, title: {en: the embassy, fr: l’ambassade}, position: {lat: 33.3, lon: 44.4}}
sirens:
  - {id: siren-1, position: {lat: 33.3, lon: 44.4}, zones: [inner, outer]}
  - {id: siren-2, position: {lat: 33.3, lon: 44.42}, zones: [east]}
effectors:
  - {id: battery-1, title: {en: battery 1, fr: batterie 1}, position: {lat: 33.3, lon: 44.4}}
"""


@dataclass(frozen=True)
class Thing:
    """What the world would know of an object."""

    id: str
    outcome: str
    end_s: float
    end_enu_m: NDArray[np.float64]
    undefended_enu_m: NDArray[np.float64]
    undefended_zones: tuple[str, ...] = ()
    engaged: tuple[int, ...] = ()
    cls: str = "rocket-107"
    hostile: bool = True
    launch_enu_m: NDArray[np.float64] = field(default_factory=lambda: np.array([6000.0, 0.0, 0.0]))
    launch_ns: int = T0

    @property
    def end_ns(self) -> int:
        return T0 + round(self.end_s * NS)


@dataclass(frozen=True)
class Piece:
    """A piece of debris."""

    object: str
    end_ns: int
    end_enu_m: NDArray[np.float64]


def lonlat(east_m: float, north_m: float) -> tuple[float, float]:
    """A point by its distance and azimuth from the origin along the geodesic, by PROJ."""
    azimuth, distance = np.degrees(np.arctan2(east_m, north_m)), np.hypot(east_m, north_m)
    lon, lat, _ = GEOD.fwd(LON, LAT, azimuth, distance)
    return lon, lat


def square(east_m: float, north_m: float, half_m: float) -> list[list[tuple[float, float]]]:
    signs = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    return [[lonlat(east_m + e * half_m, north_m + n * half_m) for e, n in signs]]


def write_site(folder: Path) -> Site:
    zones = [
        ("inner", "Compound", "enceinte", "نطاق", "embassy", 100, 10, square(0, 0, 200)),
        ("outer", "Green Zone", "Zone verte", None, "green-zone", 1_000, 15, square(0, 0, 1_000)),
        ("east", "Eastside", "quartier est", None, "district", 5_000, 20, square(2_000, 0, 800)),
        ("west", "Westside", "quartier ouest", None, "district", 5_000, 20, square(-3_000, 0, 500)),
    ]
    features = [
        {
            "type": "Feature",
            "properties": {
                "id": zone, "name": name, "name_fr": french, "name_ar": arabic,
                "kind": kind, "people": people, "time_to_shelter_s": shelter,
            },
            "geometry": {"type": "Polygon", "coordinates": ring},
        }
        for zone, name, french, arabic, kind, people, shelter, ring in zones
    ]  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (folder / "site.yaml").write_text(SITE, "utf-8")
    return load_site(folder / "site.yaml")


def point(east: float, north: float, up: float = 0.0) -> NDArray[np.float64]:
    return np.array([east, north, up])


OBJECTS = (
    Thing("R1", "impact", 20.0, point(100, 50), point(100, 50), ("inner", "outer")),
    Thing("R2", "intercepted", 15.0, point(1_200, 100, 400), point(500, 0), ("outer",), (1,)),
    Thing("R3", "impact", 22.0, point(2_000, 100), point(2_000, 100), ("east",)),
    Thing("B1", "left", 30.0, point(-2_000, 3_000, 200), point(-2_000, 3_000, 200), cls="bird", hostile=False),
)
DEBRIS = tuple(Piece("R2", T0 + (22 + i) * NS, point(700 + 60 * i, 40 * (i % 2))) for i in range(3))


def path_of(thing: Thing, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    """Straight to where it would come down: nothing here depends on how a rocket flies."""
    share = (seconds / thing.end_s)[:, None]
    path = thing.launch_enu_m + share * (thing.end_enu_m - thing.launch_enu_m)
    if thing.outcome == "impact":
        path[:, 2] = 4_000.0 * share[:, 0] * (1.0 - share[:, 0])
    return path


def truth_table(objects: Sequence[Thing] = OBJECTS) -> Columns:
    rows: list[tuple[int, str, NDArray[np.float64], NDArray[np.float64]]] = []
    for thing in objects:
        seconds = np.arange(0.1, thing.end_s + 0.05, 0.1)
        path = path_of(thing, seconds)
        velocity = np.gradient(path, seconds, axis=0)
        rows += [(T0 + round(s * NS), thing.id, p, v) for s, p, v in zip(seconds, path, velocity, strict=True)]
    rows.sort(key=lambda row: (row[0], row[1]))
    points = np.array([p for _, _, p, _ in rows])
    return {
        "time": np.array([t for t, _, _, _ in rows], np.int64),
        "object": np.array([name for _, name, _, _ in rows], object),
        "class": np.array(["rocket-107"] * len(rows), object),
        **state(points, np.array([v for _, _, _, v in rows])),
    }


def state(points: NDArray[np.float64], velocities: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    both = (("m", points), ("mps", velocities))
    return {f"{axis}_{unit}": v[:, i] for unit, v in both for i, axis in enumerate(("east", "north", "up"))}


def track_rows(number: int, seconds: NDArray[np.float64], path: NDArray[np.float64], model: str) -> Columns:
    n = len(seconds)
    status = np.array(["tentative"] * min(5, n) + ["confirmed"] * max(0, n - 5), object)
    return {
        "time": np.array([T0 + round(s * NS) for s in seconds], np.int64),
        "track": np.full(n, number, np.int64),
        "status": status,
        "model": np.array([model] * n, object),
        "n_plots": np.arange(1, n + 1),
        "class": np.array(["rocket-107" if model == "ballistic" else "unknown"] * n, object),
        "debris": np.zeros(n, bool),
        **state(path, np.gradient(path, seconds, axis=0)),
    }


def tracks_table() -> Columns:
    r1, r2, _, bird = OBJECTS
    seen = np.arange(2.0, 14.0, 0.1)
    broken = np.arange(15.5, 20.0, 0.1)
    parts = [
        track_rows(1, seen, path_of(r1, seen) + point(0, 20), "ballistic"),
        track_rows(2, seen, path_of(r2, seen) + point(0, -20), "ballistic"),
        track_rows(3, broken, r2.end_enu_m + np.outer(broken - 15.0, point(-60, 0, -60)), "ballistic"),
        track_rows(7, seen, path_of(bird, seen), "other"),
        track_rows(9, seen, np.tile(point(-3_000, -3_000, 500), (len(seen), 1)), "other"),
    ]
    return together(parts)


def together(parts: Sequence[Columns]) -> Columns:
    table = {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}
    order = np.lexsort((table["track"], table["time"]))
    return {name: values[order] for name, values in table.items()}


def impact_rows(number: int, thing: Thing, first_s: float, last_s: float) -> Columns:
    """Predictions that close in on the true point from 300 m east of it, their sigma 1.5 times the error."""
    seconds = np.arange(first_s, last_s, 0.1)
    off = 300.0 * (last_s - seconds) / (last_s - first_s)
    lon, lat = lonlat(*thing.launch_enu_m[:2])
    n = len(seconds)
    ones = np.ones(n)
    return {
        "time": np.array([T0 + round(s * NS) for s in seconds], np.int64),
        "track": np.full(n, number, np.int64),
        "n_plots": np.arange(1, n + 1),
        "class": np.array(["rocket-107"] * n, object),
        "impact_time": np.full(n, T0 + 20 * NS, np.int64),
        "impact_east_m": thing.undefended_enu_m[0] + off,
        "impact_north_m": thing.undefended_enu_m[1] * ones,
        "cov_ee_m2": (1.5 * off + 1.0) ** 2,
        "cov_en_m2": 0.0 * ones,
        "cov_nn_m2": (0.5 * off + 1.0) ** 2,
        "launch_lat": lat * ones,
        "launch_lon": lon * ones,
        "launch_cov_ee_m2": 900.0 * ones,
        "launch_cov_en_m2": 0.0 * ones,
        "launch_cov_nn_m2": 400.0 * ones,
    }


def tables() -> Tables:
    impacts = together([impact_rows(1, OBJECTS[0], 2.5, 14.0), impact_rows(2, OBJECTS[1], 2.5, 14.0)])
    return Tables(tracks=tracks_table(), impacts=impacts, truth=truth_table())


def warning(at_s: float, zone: str, state: str, tracks: tuple[int, ...] = (), **more: Any) -> ZoneWarning:
    left = more.pop("seconds_left", None)
    given = {"p_hit": 0.4, "kind": "rocket", "reason": f"{state} of {zone} <made up>", **more}
    time_ns = T0 + round(at_s * NS)
    return ZoneWarning(time_ns=time_ns, zone=zone, state=state, tracks=tracks, seconds_left=left, **given)


WARNINGS = (
    warning(3.0, "inner", "pre-alert", (1,), seconds_left=17.0),
    warning(4.0, "outer", "alert", (1, 2), seconds_left=16.0),
    warning(5.0, "inner", "alert", (1,), seconds_left=15.25, p_hit=0.8),
    warning(6.0, "west", "alert", (9,), seconds_left=9.0),
    warning(7.0, "inner", "update", (1,), seconds_left=13.0, p_hit=0.95),
    warning(10.0, "west", "cancel", (9,)),
    warning(50.0, "inner", "all-clear", (1,)),
    warning(52.5, "outer", "all-clear", (1, 2)),
)
ENGAGEMENT = Engagement(
    time_ns=T0 + 12 * NS, engagement=1, effector="battery-1", track=2, zone="outer", range_m=1_900.0, p_kill=0.3,
    intercept_ns=T0 + 15 * NS, east_m=1_900.0, north_m=80.0, up_m=500.0, reason="made up",
)  # fmt: skip
EFFECT = Effect(time_ns=T0 + 15 * NS, engagement=1, track=2, outcome="kill", east_m=1_200.0, north_m=100.0, up_m=400.0)
DECISIONS = Decisions(
    warnings=WARNINGS,
    engagements=(ENGAGEMENT,),
    effects=(EFFECT,),
    rejects=(
        Reject(time_ns=T0, source="radar-1", reason="range is negative", count=2, sample="-5"),
        Reject(time_ns=T0 + NS, source="radar-1", reason="range is negative", count=1, sample="-6"),
    ),
    health=(Health(time_ns=T0 + NS, component="radar-1", state="silent", detail="no scan for 3 s"),),
)
META = RunMeta("simulation", True, "made-up", 0, "0123456789abcdef" * 4, T0, T0 + 60 * NS)


def truth() -> Truth:
    return Truth(OBJECTS, DEBRIS)


def summary_of(site: Site, **changed: Any) -> dict[str, Any]:
    """run.json of the made-up run, with other parts where given."""
    given = {"meta": META, "tables": tables(), "decisions": DECISIONS, "truth": truth(), **changed}
    return summarize(given["meta"], site, given["tables"], given["decisions"], given["truth"])


def with_warnings(*warnings: ZoneWarning) -> Decisions:
    return replace(DECISIONS, warnings=warnings)


def write_run(
    folder: Path, site: Site, scenario: Scenario | None = None, lang: str = "en", **changed: Any
) -> dict[str, Any]:
    """The made-up run's folder, as a run leaves it; its run.json."""
    (folder / "tables").mkdir(parents=True)
    documents = scenario.documents() if scenario else None
    Recorder(folder / "recording.mcap", {"seed": 0}, site.documents(), documents).close()
    given = changed.get("tables", tables())
    for name in ("tracks", "impacts", "truth"):
        _write_table(folder / "tables" / f"{name}.parquet", getattr(given, name))
    decisions = changed.get("decisions", DECISIONS)
    _write_warnings(folder / "tables" / "warnings.parquet", decisions.warnings)
    summary = summary_of(site, **changed)
    write_outputs(folder, summary, decisions, lang)
    return summary


def _write_table(path: Path, columns: Columns) -> None:
    times = {"time", "impact_time"}
    arrays = {
        name: pa.array(values, pa.int64()).cast(pa.timestamp("ns", "UTC")) if name in times else pa.array(values)
        for name, values in columns.items()
    }
    if arrays:
        pq.write_table(pa.table(arrays), path)


def _write_warnings(path: Path, warnings: Sequence[ZoneWarning]) -> None:
    columns: dict[str, Any] = {
        "time": pa.array([w.time_ns for w in warnings], pa.int64()).cast(pa.timestamp("ns", "UTC")),
        "tracks": pa.array([list(w.tracks) for w in warnings], pa.list_(pa.int64())),
        "p_hit": pa.array([w.p_hit for w in warnings], pa.float64()),
        "seconds_left": pa.array([w.seconds_left for w in warnings], pa.float64()),
    }
    columns |= {
        name: pa.array([getattr(w, name) for w in warnings], pa.string())
        for name in ("zone", "state", "kind", "reason")
    }
    pq.write_table(pa.table(columns), path)
