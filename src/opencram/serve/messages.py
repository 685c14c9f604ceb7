"""What browsers and phones are told, as JSON objects whose `type` says what they are.

Times are whole milliseconds since 1970-01-01T00:00:00Z (JavaScript has no exact nanoseconds), angles degrees. The
`status` follows from where the inputs come from, and of a drill it is Exercise whatever they are: no message of ours
can be made that calls a simulation Actual.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from opencram.outputs.source import Provenance
from opencram.serve.link import (
    Drill,
    Hello,
    Kept,
    Picture,
    SensorInfo,
    SensorSeen,
    SirenInfo,
    SirenSeen,
    Told,
    TrackSeen,
    ZoneInfo,
)

MS = 1_000_000
"""Nanoseconds."""

Level = Literal["quiet", "pre-alert", "alert"]
LEVELS: dict[str, Level] = {"pre-alert": "pre-alert", "alert": "alert", "update": "alert"}
"""What a zone is after the last word about it; after any other it is quiet."""


class Warning(msgspec.Struct, frozen=True, tag="warning"):
    """A word about a zone. `seq` rises with each word of a `run`: one heard twice is told by it."""

    seq: int
    zone: str
    state: str
    status: str
    time_ms: int
    impact_ms: int | None
    """When the first impact is due, where that is known: the countdown ends there."""
    p_hit: float
    kind: str
    tracks: tuple[int, ...]
    reason: str
    by: str


class DrillStep(msgspec.Struct, frozen=True, tag="drill"):
    """A step of a drill: its notice, its sounding, its end. It changes no zone's state."""

    seq: int
    drill: str
    zones: tuple[str, ...]
    phase: str
    status: str
    time_ms: int
    starts_ms: int
    ends_ms: int
    by: str
    reason: str


class Zone(msgspec.Struct, frozen=True):
    """A zone, its level, and the last word about it."""

    id: str
    name: str
    name_fr: str
    name_ar: str
    kind: str
    people: int
    time_to_shelter_s: float
    state: Level
    last: Warning | None


class Place(msgspec.Struct, frozen=True):
    """A zone by name alone."""

    id: str
    name: str
    name_fr: str
    name_ar: str


class State(msgspec.Struct, frozen=True, tag="state"):
    """All that stands now, first on every connection; `missed` is what was told since the number asked for."""

    run: str
    seq: int
    now_ms: int
    site: str
    title: str
    title_fr: str
    title_ar: str
    provenance: str
    status: str
    zones: tuple[Zone, ...]
    drills: tuple[DrillStep, ...]
    missed: tuple[Warning | DrillStep, ...]
    gap: bool
    """Whether more may have been missed than is told here."""


class Track(msgspec.Struct, frozen=True):
    """A confirmed track, and where it comes down if it is ballistic, with the 95 % ellipse."""

    track: int
    cls: str
    lat: float
    lon: float
    height_m: float
    east_mps: float
    north_mps: float
    up_mps: float
    impact_ms: int | None
    impact_lat: float | None
    impact_lon: float | None
    major_m: float | None
    minor_m: float | None
    axis_deg: float | None
    launch_lat: float | None
    launch_lon: float | None
    launch_major_m: float | None
    launch_minor_m: float | None
    launch_axis_deg: float | None
    seen_ms: int | None
    """Measured time of its newest plot."""
    debris: bool


class Siren(msgspec.Struct, frozen=True):
    """A siren's health."""

    id: str
    state: str
    beat_ms: int | None
    tested_ms: int | None
    detail: str


class Sensor(msgspec.Struct, frozen=True):
    """A sensor's health."""

    id: str
    state: str
    plot_ms: int | None
    detail: str


class Frame(msgspec.Struct, frozen=True, tag="picture"):
    """The picture: what changes from moment to moment. One may be left out for a newer one."""

    now_ms: int
    time_ms: int
    """Of the pipeline, when it drew the picture."""
    stalled: bool
    tracks: tuple[Track, ...]
    sirens: tuple[Siren, ...]
    sensors: tuple[Sensor, ...]
    notes: tuple[str, ...]


class Beat(msgspec.Struct, frozen=True, tag="beat"):
    """The service lives. `stalled`: the pipeline behind it does not, and silence is no safety."""

    now_ms: int
    stalled: bool


class Health(msgspec.Struct, frozen=True):
    """What `/healthz` says of every part; `status`: ok, degraded, or stalled (then the HTTP status is 503)."""

    status: Literal["ok", "degraded", "stalled"]
    version: str
    site: str
    run: str
    provenance: str
    frame_age_s: float
    """How long ago the pipeline was last heard of."""
    sensors: tuple[Sensor, ...]
    sirens: tuple[Siren, ...]
    notes: tuple[str, ...]
    counts: dict[str, int]
    """What the pipeline has refused or dropped since its start."""
    clients: int
    web_counts: dict[str, int]
    """What the web process has refused, left out or disconnected since its start."""


class BaseMap(msgspec.Struct, frozen=True):
    """A map that was put under the picture; `kind`: pmtiles, geojson or image."""

    name: str
    kind: str
    url: str
    attribution: str = ""
    corners: tuple[tuple[float, float], ...] = ()
    """Of an image: (lon, lat) of its top left, top right, bottom right and bottom left corner."""


class Plan(msgspec.Struct, frozen=True):
    """All of the site that stands still, for a map."""

    site: str
    title: str
    title_fr: str
    title_ar: str
    lat: float
    lon: float
    zones: tuple[ZoneInfo, ...]
    sensors: tuple[SensorInfo, ...]
    sirens: tuple[SirenInfo, ...]
    maps: tuple[BaseMap, ...]


class Report(msgspec.Struct, frozen=True):
    """A page about a run or a study; `url` on this service."""

    name: str
    kind: str
    time_ms: int
    url: str


class Past(msgspec.Struct, frozen=True):
    """What is kept of the last hours: each minute by its start, and the words in them."""

    now_ms: int
    minutes: tuple[int, ...]
    words: tuple[msgspec.Raw, ...]
    """Each a `warning` or a `drill` as it was told."""


class Endpoint(msgspec.Struct, frozen=True):
    """Where sirens report: a WebSocket address."""

    url: str


class Done(msgspec.Struct, frozen=True):
    """What came of an operator's act."""

    sentence: str


class SessionSeen(msgspec.Struct, frozen=True):
    """Who is asking; `name` is empty where nobody has signed in."""

    accounts: bool
    """Whether one has to sign in to see everything."""
    name: str = ""
    role: str = ""
    csrf: str = ""
    """What the page sends along with each act, as X-CSRF-Token; empty where a token is shown."""
    ends_ms: int | None = None
    """When the session ends, whatever is asked until then."""


class Fault(msgspec.Struct, frozen=True):
    """Why a request was not carried out: one sentence."""

    error: str


def status_of(hello: Hello) -> str:
    """Actual for what comes from live sensors alone, Exercise for a simulation, Test for a replay."""
    return Provenance[hello.provenance.upper()].cap_status


def warning_of(told: Told, hello: Hello) -> Warning:
    """A warning for those who look."""
    w = told.warning
    impact_ms = None if w.seconds_left is None else w.time_ns // MS + round(1e3 * w.seconds_left)
    return Warning(
        seq=told.seq,
        zone=w.zone,
        state=w.state,
        status=status_of(hello),
        time_ms=w.time_ns // MS,
        impact_ms=impact_ms if w.state in LEVELS else None,
        p_hit=round(w.p_hit, 4),
        kind=w.kind,
        tracks=w.tracks,
        reason=w.reason,
        by=told.by,
    )


def drill_of(step: Drill) -> DrillStep:
    """A drill's step for those who look; an exercise, always."""
    return DrillStep(
        seq=step.seq,
        drill=step.drill,
        zones=step.zones,
        phase=step.phase,
        status=Provenance.SIMULATION.cap_status,
        time_ms=step.time_ns // MS,
        starts_ms=step.starts_ns // MS,
        ends_ms=step.ends_ns // MS,
        by=step.by,
        reason=step.reason,
    )


def word_of(kept: Kept, hello: Hello) -> Warning | DrillStep:
    """Either of the two."""
    return warning_of(kept, hello) if isinstance(kept, Told) else drill_of(kept)


def zone_of(info: ZoneInfo, last: Told | None, hello: Hello) -> Zone:
    """A zone with the last word about it."""
    return Zone(
        id=info.id,
        name=info.name,
        name_fr=info.name_fr,
        name_ar=info.name_ar,
        kind=info.kind,
        people=info.people,
        time_to_shelter_s=info.time_to_shelter_s,
        state="quiet" if last is None else LEVELS.get(last.warning.state, "quiet"),
        last=None if last is None else warning_of(last, hello),
    )


def frame_of(picture: Picture, now_ms: int, stalled: bool) -> Frame:
    """A picture for those who look."""
    return Frame(
        now_ms=now_ms,
        time_ms=picture.now_ns // MS,
        stalled=stalled,
        tracks=tuple(map(_track, picture.tracks)),
        sirens=tuple(map(siren_of, picture.sirens)),
        sensors=tuple(map(sensor_of, picture.sensors)),
        notes=picture.notes,
    )


def _track(t: TrackSeen) -> Track:
    return Track(
        track=t.track,
        cls=t.cls,
        lat=round(t.lat, 6),
        lon=round(t.lon, 6),
        height_m=round(t.height_m, 1),
        east_mps=round(t.east_mps, 1),
        north_mps=round(t.north_mps, 1),
        up_mps=round(t.up_mps, 1),
        impact_ms=_ms(t.impact_ns),
        impact_lat=_rounded(t.impact_lat, 6),
        impact_lon=_rounded(t.impact_lon, 6),
        major_m=_rounded(t.major_m, 1),
        minor_m=_rounded(t.minor_m, 1),
        axis_deg=_rounded(t.axis_deg, 1),
        launch_lat=_rounded(t.launch_lat, 5),
        launch_lon=_rounded(t.launch_lon, 5),
        launch_major_m=_rounded(t.launch_major_m, 0),
        launch_minor_m=_rounded(t.launch_minor_m, 0),
        launch_axis_deg=_rounded(t.launch_axis_deg, 1),
        seen_ms=_ms(t.seen_ns),
        debris=t.debris,
    )


def siren_of(s: SirenSeen) -> Siren:
    """A siren's health for those who look."""
    return Siren(id=s.id, state=s.state, beat_ms=_ms(s.beat_ns), tested_ms=_ms(s.tested_ns), detail=s.detail)


def sensor_of(s: SensorSeen) -> Sensor:
    """A sensor's health for those who look."""
    return Sensor(id=s.id, state=s.state, plot_ms=_ms(s.plot_ns), detail=s.detail)


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _ms(time_ns: int) -> int | None:
    return time_ns // MS if time_ns else None
