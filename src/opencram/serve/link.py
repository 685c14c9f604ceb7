"""What the pipeline's process and the web process say to each other, and how it is framed on the socket between them.

From the pipeline: `Hello` once, then `Told` and `Drill` (numbered, kept, never lost), `Picture` (the newest is enough)
and an `ActReply` for each act. From the web process: `Act`, what an operator asks for. A frame is its length (four
bytes, big-endian) and one msgpack message. Which status a message carries (Actual, Exercise, Test) is nowhere said
here: it follows from the provenance in `Hello` alone.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

from opencram.tables import ZoneWarning

LENGTH = struct.Struct(">I")
MAX_FRAME_BYTES = 64 * 1024 * 1024
"""No message of ours comes near (2,000 zones of 1,000 corners are some 40 MB); a longer one is damage."""

Source = Literal["simulation", "replay", "live"]
ActKind = Literal["alarm", "all-clear", "drill", "self-test", "reload-zones"]
DrillPhase = Literal["notice", "sounding", "over", "stopped"]


class LinkError(Exception):
    """What came over the link is not of this protocol; the other process has to be started again."""


# ---- from the pipeline ------------------------------------------------------------------------------------------


class ZoneInfo(msgspec.Struct, frozen=True):
    """A zone as people are shown it; `rings` as in the site: polygons, each an exterior and its holes, (lon, lat)."""

    id: str
    name: str
    name_fr: str = ""
    name_ar: str = ""
    kind: str = "site"
    people: int = 0
    time_to_shelter_s: float = 15.0
    rings: tuple[tuple[tuple[tuple[float, float], ...], ...], ...] = ()


class SirenInfo(msgspec.Struct, frozen=True):
    """A siren, where it stands (degrees) and the zones for which it sounds."""

    id: str
    lat: float
    lon: float
    zones: tuple[str, ...]
    audible_m: float = 500.0


class SensorInfo(msgspec.Struct, frozen=True):
    """A sensor, where it stands (degrees) and how far it sees; azimuths clockwise from true north."""

    id: str
    lat: float = 0.0
    lon: float = 0.0
    kind: str = "staring"
    min_range_m: float = 0.0
    max_range_m: float = 0.0
    azimuth_from_deg: float = 0.0
    azimuth_to_deg: float = 360.0


class Hello(msgspec.Struct, frozen=True, tag="hello", kw_only=True):
    """Who is speaking: first on each new link. `run` names this start of the pipeline: numbers begin anew with it."""

    run: str
    version: str
    site: str
    title: str
    title_fr: str = ""
    title_ar: str = ""
    lat: float = 0.0
    lon: float = 0.0
    """The site's origin, degrees."""
    provenance: Source
    seq: int = 0
    """The number of the last thing told before: what stands is whole when it has been heard."""
    zones: tuple[ZoneInfo, ...]
    sirens: tuple[SirenInfo, ...] = ()
    sensors: tuple[SensorInfo, ...] = ()
    siren_endpoint: str = ""
    """The WebSocket address at which sirens report, such as `ws://127.0.0.1:8701/`; empty: none."""
    cap_folder: str = ""
    """The folder of the CAP messages and their feed, on this machine; empty: none."""
    phones_public: bool = True
    """Whether anybody may look at the page of a zone; else those who have signed in."""


class Told(msgspec.Struct, frozen=True, tag="told", kw_only=True):
    """A warning as it was told, by number; `by` names the operator whose act it follows from."""

    seq: int
    warning: ZoneWarning
    by: str = ""


class Drill(msgspec.Struct, frozen=True, tag="drill", kw_only=True):
    """A step of a drill. Always an exercise; it never changes a zone's state."""

    seq: int
    drill: str
    zones: tuple[str, ...]
    phase: DrillPhase
    time_ns: int
    starts_ns: int
    ends_ns: int
    by: str = ""
    reason: str = ""


class TrackSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One confirmed track now, degrees and metres; impact and its 95 % ellipse where it is ballistic."""

    track: int
    cls: str
    lat: float
    lon: float
    height_m: float
    east_mps: float
    north_mps: float
    up_mps: float
    impact_ns: int = 0
    impact_lat: float | None = None
    impact_lon: float | None = None
    major_m: float | None = None
    minor_m: float | None = None
    axis_deg: float | None = None
    """Of the major axis, clockwise from true north."""
    launch_lat: float | None = None
    launch_lon: float | None = None
    launch_major_m: float | None = None
    launch_minor_m: float | None = None
    launch_axis_deg: float | None = None
    """Where it came from, and the 95 % ellipse round that, where that is known."""
    seen_ns: int = 0
    """Measured time of its newest plot; 0: not told."""
    debris: bool = False
    """Born out of a break-up that the simulated defence caused."""


class SirenSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A siren's health. `state`: ok, sounding, fault, silent (no heartbeat) or never (not yet heard of)."""

    id: str
    state: str
    beat_ns: int = 0
    tested_ns: int = 0
    detail: str = ""


class SensorSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor's health; `state` as in the pipeline's own health messages, 'ok' where nothing is wrong."""

    id: str
    state: str
    plot_ns: int = 0
    detail: str = ""
    clock_s: float | None = None
    """How far its clock is found to be ahead, as taken off its plots; None where that is not learnt."""


class StageTimes(msgspec.Struct, frozen=True, kw_only=True):
    """How long a part of the ticks took: how often it ended within each class of `stopwatch.BOUNDS_S`, and in all."""

    stage: str
    counts: tuple[int, ...]
    sum_s: float


class RecordingSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of what goes in and comes out: the recording that is being written, and those before it."""

    writing: bool
    bytes: int
    files: int
    kept_bytes: int
    deleted: int
    """Since the start, for their age."""


class Picture(msgspec.Struct, frozen=True, tag="picture", kw_only=True):
    """All that changes from frame to frame. Sent several times a second: none for two seconds means a stall."""

    now_ns: int
    tracks: tuple[TrackSeen, ...] = ()
    sirens: tuple[SirenSeen, ...] = ()
    sensors: tuple[SensorSeen, ...] = ()
    counts: dict[str, int] = {}
    """Whatever was dropped or refused since the start, by name."""
    notes: tuple[str, ...] = ()
    """What else is degraded, a sentence each."""
    stages: tuple[StageTimes, ...] = ()
    queues: dict[str, int] = {}
    """How much waits, by queue."""
    recording: RecordingSeen | None = None


class ActReply(msgspec.Struct, frozen=True, tag="reply", kw_only=True):
    """What came of an act: `done`, or refused; a sentence either way."""

    act: str
    done: bool
    sentence: str


# ---- from the web process ---------------------------------------------------------------------------------------


class Act(msgspec.Struct, frozen=True, tag="act", kw_only=True):
    """What an operator asks for, already checked: the zones (of a self-test the sirens) are there, none is twice."""

    act: str
    kind: ActKind
    targets: tuple[str, ...]
    by: str
    time_ns: int
    announce_s: float = 0.0
    """Of a drill: how long before it sounds it is announced."""
    last_s: float = 0.0
    """Of a drill: how long it sounds."""


class Ready(msgspec.Struct, frozen=True, tag="ready", kw_only=True):
    """The web process answers on its port; `clients` and `counts` are said again every second."""

    clients: int = 0
    counts: dict[str, int] = {}


Kept = Told | Drill
ToWeb = Hello | Told | Drill | Picture | ActReply
ToPipeline = Act | Ready


# ---- framing ----------------------------------------------------------------------------------------------------

_encoder = msgspec.msgpack.Encoder()


def frame(message: ToWeb | ToPipeline) -> bytes:
    """A message as it goes over the link."""
    body = _encoder.encode(message)
    return LENGTH.pack(len(body)) + body


class Frames:
    """Cuts a stream of bytes into messages of the kinds of one direction; LinkError for anything else."""

    def __init__(self, kinds: object) -> None:
        self._decoder: msgspec.msgpack.Decoder[object] = msgspec.msgpack.Decoder(kinds)
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[object]:
        """The messages that are complete with `data`."""
        self._bytes += data
        while len(self._bytes) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._bytes)
            if length > MAX_FRAME_BYTES:
                raise LinkError(f"found a frame of {length} bytes, expected at most {MAX_FRAME_BYTES}")
            end = LENGTH.size + length
            if len(self._bytes) < end:
                return
            body = bytes(self._bytes[LENGTH.size : end])
            del self._bytes[:end]
            try:
                yield self._decoder.decode(body)
            except msgspec.MsgspecError as error:
                raise LinkError(f"found a message that is none of ours ({error})") from None
