"""Tracks, predicted impacts and zones under warning as Cursor on Target events, for TAK: from what is seen to bytes.

Cursor on Target 2.0 (MITRE, public release 11-3895): an event has a type (what it is), how it came about, a point, and
times from when to when it holds. TAK's clients take the newest event of a `uid` for the thing itself. What is not
actual is told apart in five places, so that no client overlooks it: `opex`, `how`, the affiliation (an exercise's
hostile is a faker, its suspect a joker), the callsign and the remarks.
"""

from __future__ import annotations

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from opencram.outputs.cap import ends
from opencram.outputs.phrases import Phrases, phrases
from opencram.outputs.source import Provenance, Source, Status
from opencram.physics.threats import catalogue
from opencram.report.words import iso
from opencram.tables import ZoneWarning

if TYPE_CHECKING:
    from opencram.serve.link import TrackSeen
    from opencram.site import Site, Zone

STALE_NS = 4_000_000_000
"""Events are sent every second: one that is older than this is about something that nobody sees any more."""
UNKNOWN_M = 9_999_999.0
"""What Cursor on Target takes an error for that has no bound."""
MAX_TRACKS = 200
"""Those that come down first; beyond, tracks are not sent, and counted."""
MAX_CORNERS = 16
"""Of a zone, so that its event fits into one packet (1,472 bytes of an Ethernet's): it is drawn simpler than it is."""

_AIR = {  # family or class -> Cursor on Target's part of MIL-STD-2525: battle dimension and function
    "rocket": "A-W-M-S-S",
    "mortar": "A-W",
    "shell": "A-W",
    "debris": "A-W",
    "drone": "A-M-F-Q",
    "quadcopter": "A-M-H-Q",
    "aircraft": "A-C-F",
    "helicopter": "A-C-H",
}
_AFFILIATION = {"rocket": "h", "mortar": "h", "shell": "h", "drone": "s", "debris": "u", "innocent": "n"}
"""By family; a drone may be one's own."""
_LEFT_OUT = ("bird", "gunfire")
_EXERCISED = {"h": "k", "s": "j"}
_COLOURS = {"pre-alert": (0xFF, 0xE6, 0x9F, 0x00), "alert": (0xFF, 0xD5, 0x5E, 0x00)}
"""Alpha, red, green, blue: orange and vermilion of Okabe and Ito's palette, which the colour-blind tell apart."""
_FILL_ALPHA = 0x40


@dataclass(frozen=True)
class Event:
    """One event; ValueError for one that the standard, or sense, forbids."""

    uid: str
    type: str
    how: str
    opex: str
    time_ns: int
    stale_ns: int
    lat_deg: float
    lon_deg: float
    hae_m: float = 0.0
    ce_m: float = UNKNOWN_M
    """Radius of the circle, and half height `le_m`, that hold the thing."""
    le_m: float = UNKNOWN_M
    detail: tuple[ET.Element, ...] = ()

    def __post_init__(self) -> None:
        faults = [
            name
            for name, good in (
                ("uid", re.fullmatch(r"[!-~]+", self.uid)),
                ("type", re.fullmatch(r"[abrtcuy](-\w+)+", self.type, re.ASCII)),
                ("how", re.fullmatch(r"[hm](-\w+)+", self.how, re.ASCII)),
                ("opex", re.fullmatch(r"[oes](-.{1,64})?", self.opex)),
                ("stale", self.stale_ns > self.time_ns >= 0),
                ("lat", abs(self.lat_deg) <= 90.0),
                ("lon", abs(self.lon_deg) <= 180.0),
                ("hae", abs(self.hae_m) <= UNKNOWN_M),
                ("ce", 0.0 <= self.ce_m <= UNKNOWN_M),
                ("le", 0.0 <= self.le_m <= UNKNOWN_M),
            )
            if not good
        ]
        if faults:
            raise ValueError(f"found an event whose {' and '.join(faults)} cannot be: {self}")

    def xml(self) -> bytes:
        """The event as it is sent."""
        time = iso(self.time_ns)
        event = ET.Element("event", version="2.0", uid=self.uid, type=self.type, how=self.how, opex=self.opex)
        event.attrib |= {"time": time, "start": time, "stale": iso(self.stale_ns)}
        point = {"lat": f"{self.lat_deg:.7f}", "lon": f"{self.lon_deg:.7f}", "hae": f"{self.hae_m:.1f}"}
        ET.SubElement(event, "point", {**point, "ce": f"{self.ce_m:.1f}", "le": f"{self.le_m:.1f}"})
        ET.SubElement(event, "detail").extend(self.detail)
        return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(event, encoding="unicode").encode() + b"\n"


class TakPicture:
    """What TAK is shown of a site: given the tracks and the warnings as they come, it makes the events of a moment."""

    def __init__(self, site: Site, source: Source, book: Phrases | None = None) -> None:
        self._source, self._book = source, book or phrases()
        self.change_site(site)
        self._tracks: tuple[TrackSeen, ...] = ()
        self._warned: dict[tuple[str, Status], ZoneWarning] = {}
        self._shown: dict[str, str] = {}
        self.left_out = 0
        """Tracks that were too many to be sent, times that they were."""

    def change_site(self, site: Site) -> None:
        """Speak of other zones from here on."""
        self._zones = {zone.id: zone for zone in site.zones}

    def see(self, tracks: Sequence[TrackSeen]) -> None:
        """Take the tracks of now for those seen before."""
        seen = [track for track in tracks if track.cls not in _LEFT_OUT]
        seen.sort(key=lambda track: (track.impact_ns == 0, track.impact_ns, track.track))
        self._tracks = tuple(seen[:MAX_TRACKS])
        self.left_out += len(seen) - len(self._tracks)

    def tell(self, warning: ZoneWarning) -> None:
        """Take in a warning."""
        key = (warning.zone, self._source.provenance.status_of(warning.kind))
        if ends(warning.state):
            self._warned.pop(key, None)
        elif warning.state != "drill-notice":
            self._warned[key] = warning

    def events(self, now_ns: int) -> Iterator[bytes]:
        """All that stands now, and the end of what stood at the last call and no longer does; one by one."""
        before, self._shown = self._shown, {}
        for event in self._standing(now_ns):
            self._shown[event.uid] = event.opex
            yield event.xml()
        for uid, opex in before.items():
            if uid not in self._shown:
                yield self._gone(uid, opex, now_ns).xml()

    def _standing(self, now_ns: int) -> Iterator[Event]:
        for track in self._tracks:
            yield self._track(track, now_ns)
            if track.impact_lat is not None and track.impact_ns > now_ns:
                yield self._impact(track, now_ns)
        for (zone, status), warning in list(self._warned.items()):
            yield from self._zone(self._zones[zone], warning, status, now_ns)

    def _track(self, track: TrackSeen, now_ns: int) -> Event:
        status = self._source.provenance.cap_status
        course_deg = math.degrees(math.atan2(track.east_mps, track.north_mps)) % 360.0
        speed_mps = math.hypot(track.east_mps, track.north_mps)
        slope_deg = math.degrees(math.atan2(track.up_mps, speed_mps))
        moving = _element("track", course=f"{course_deg:.1f}", speed=f"{speed_mps:.1f}", slope=f"{slope_deg:.1f}")
        called = self._called(f"{track.cls} {track.track}", status)
        return Event(
            uid=self._uid(status, f"track.{track.track}"),
            type=type_of(track.cls, falls=track.impact_ns > 0, status=status),
            how=self._how("m-r"),
            opex=self._opex(status),
            time_ns=now_ns,
            stale_ns=now_ns + STALE_NS,
            lat_deg=track.lat,
            lon_deg=track.lon,
            hae_m=track.height_m,
            detail=(*called, moving, _element("__bread_crumbs", enabled="1"), self._remarks("radar track", status)),
        )

    def _impact(self, track: TrackSeen, now_ns: int) -> Event:
        """The ellipse that holds the impact with 95 %, while it is ahead."""
        status = self._source.provenance.cap_status
        major_m, minor_m = track.major_m or 0.0, track.minor_m or 0.0
        shape = ET.Element("shape")
        axes = {"major": f"{major_m:.1f}", "minor": f"{minor_m:.1f}", "angle": f"{track.axis_deg or 0.0:.1f}"}
        ET.SubElement(shape, "ellipse", axes)
        left = f"impact due at {iso(track.impact_ns)[11:19]} UTC, inside with 95 %"
        return Event(
            uid=self._uid(status, f"impact.{track.track}"),
            type="u-d-c-e",
            how=self._how("m-p"),
            opex=self._opex(status),
            time_ns=now_ns,
            stale_ns=now_ns + STALE_NS,
            lat_deg=track.impact_lat or 0.0,
            lon_deg=track.impact_lon or 0.0,
            ce_m=min(major_m, UNKNOWN_M),
            detail=(
                *self._called(f"impact {track.track}", status),
                shape,
                *_coloured("alert"),
                self._remarks(left, status),
            ),
        )

    def _zone(self, zone: Zone, warning: ZoneWarning, status: Status, now_ns: int) -> Iterator[Event]:
        """A polygon for each part of a zone under warning."""
        state = "pre-alert" if warning.state == "pre-alert" else "alert"
        words = self._book.say("headline", warning.state, warning.kind, "en", zone=zone.title.en)
        for i, rings in enumerate(zone.rings):
            corners = drawn(rings[0])
            lons, lats = [lon for lon, _ in corners], [lat for _, lat in corners]
            lat, lon = (min(lats) + max(lats)) / 2.0, (min(lons) + max(lons)) / 2.0
            links = [_element("link", point=f"{y:.5f},{x:.5f}") for x, y in corners]
            yield Event(
                uid=self._uid(status, f"zone.{zone.id}.{i}"),
                type="u-d-f",
                how=self._how("m-c"),
                opex=self._opex(status),
                time_ns=now_ns,
                stale_ns=now_ns + STALE_NS,
                lat_deg=lat,
                lon_deg=lon,
                ce_m=_radius_m(lat, lon, corners),
                detail=(
                    *links,
                    *self._called(f"{state} {zone.title.en}", status),
                    *_coloured(state),
                    _element("labels_on", value="true"),
                    self._remarks(words, status),
                ),
            )

    def _gone(self, uid: str, opex: str, now_ns: int) -> Event:
        """What takes a thing off the map."""
        link = _element("link", uid=uid, relation="none", type="none")
        return Event(
            uid=uid,
            type="t-x-d-d",
            how=self._how("m-r"),
            opex=opex,
            time_ns=now_ns,
            stale_ns=now_ns + STALE_NS,
            lat_deg=0.0,
            lon_deg=0.0,
            detail=(link, ET.Element("__forcedelete")),
        )

    def _uid(self, status: Status, name: str) -> str:
        return quote(f"{self._source.sender}.{self._source.run}.{status}.{name}", safe="")

    def _called(self, name: str, status: Status) -> tuple[ET.Element, ...]:
        mark = self._book.mark(status, "en")
        return (_element("contact", callsign=f"{mark} {name}" if mark else name),)

    def _remarks(self, text: str, status: Status) -> ET.Element:
        mark = self._book.mark(status, "en")
        remarks = ET.Element("remarks")
        remarks.text = _clean(f"{mark}: not a real event. {text}" if mark else text)
        return remarks

    def _how(self, real: str) -> str:
        return real if self._source.provenance is Provenance.LIVE else "m-s"

    def _opex(self, status: Status) -> str:
        """Operation, exercise or simulation; a drill on a live system is an exercise."""
        if self._source.provenance is not Provenance.LIVE:
            return "s-opencram"
        return "o" if status == "Actual" else "e-opencram"


def type_of(cls: str, falls: bool, status: Status) -> str:
    """The type of a track of this class (an id of the catalogue, or 'unknown'): what it is, and whose, coarsely."""
    threat = catalogue().get(cls)
    family = threat.family if threat is not None else ""
    affiliation = _AFFILIATION.get(family, "s" if falls else "u")
    if status != "Actual":
        affiliation = _EXERCISED.get(affiliation, affiliation)
    return f"a-{affiliation}-{_AIR.get(cls) or _AIR.get(family) or ('A-W' if falls else 'A')}"


@lru_cache(maxsize=4_096)
def drawn(ring: tuple[tuple[float, float], ...]) -> list[tuple[float, float]]:
    """A ring, closed, with so few corners that it can be sent; (lon, lat) degrees."""
    from shapely import Polygon

    shape, tolerance_deg = Polygon(ring), 1e-5
    while len(shape.exterior.coords) > MAX_CORNERS + 1 and tolerance_deg < 1.0:
        shape, tolerance_deg = shape.simplify(tolerance_deg), 2.0 * tolerance_deg
    return [(float(lon), float(lat)) for lon, lat in shape.exterior.coords]


def _radius_m(lat: float, lon: float, corners: Sequence[tuple[float, float]]) -> float:
    from opencram.site import Position

    centre = Position(lat=lat, lon=lon)
    return max(centre.distance_m(y, x) for x, y in corners)


def _coloured(state: str) -> tuple[ET.Element, ...]:
    alpha, red, green, blue = _COLOURS[state]
    return (
        _element("strokeColor", value=str(_argb(alpha, red, green, blue))),
        _element("strokeWeight", value="3.0"),
        _element("fillColor", value=str(_argb(_FILL_ALPHA, red, green, blue))),
    )


def _argb(alpha: int, red: int, green: int, blue: int) -> int:
    """A colour as TAK writes it: a signed 32-bit number."""
    return int.from_bytes(bytes((alpha, red, green, blue)), "big", signed=True)


def _element(tag: str, **attributes: str) -> ET.Element:
    return ET.Element(tag, {name: _clean(value) for name, value in attributes.items()})


def _clean(text: str) -> str:
    return re.sub(r"[\x00-\x1f\ud800-\udfff\ufffe\uffff]", " ", text)
