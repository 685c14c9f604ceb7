"""Warnings as CAP 1.2 messages (OASIS Common Alerting Protocol), one file per decision about a zone.

CAP times have whole seconds and a numeric offset (`+00:00`; the schema refuses `Z` and fractions), so that seconds to
impact and the impact's millisecond go into parameters. Where a zone was told something before, a message refers to
the last one: alert -> update -> all-clear is a chain a reader can follow.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from opencram.tables import ZoneWarning

if TYPE_CHECKING:
    from opencram.site import Site, Zone

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
LIKELY = 0.5
"""CAP 1.2: 'Likely' is a probability above about one half, 'Possible' one up to it."""


class Provenance(Enum):
    """Where a warning's inputs came from. Only what live sensors alone gave rise to may ever be called actual."""

    SIMULATION = "Exercise"
    REPLAY = "Test"
    LIVE = "Actual"

    @property
    def cap_status(self) -> str:
        """The CAP status; a simulation has no way to another one than Exercise."""
        return self.value


@dataclass(frozen=True)
class Source:
    """Who warns, of what kind the inputs are, and a name of the run that is the same whenever it is repeated."""

    sender: str
    run: str
    provenance: Provenance
    note: str = ""


@dataclass(frozen=True)
class _Wording:
    headline: str
    instruction: str


_MESSAGE_TYPE = {"cancel": "Cancel"}
"""Of a message that refers to another; all others are updates, and one that refers to none is an alert."""
_CODES = {  # state -> response, urgency, severity
    "pre-alert": ("Prepare", "Expected", "Severe"),
    "alert": ("Shelter", "Immediate", "Extreme"),
    "update": ("Shelter", "Immediate", "Extreme"),
    "cancel": ("AllClear", "Past", "Minor"),
    "all-clear": ("AllClear", "Past", "Minor"),
}
_ENDS = ("cancel", "all-clear")

_LANGUAGES = {"en": "en-GB", "fr": "fr-FR", "ar": "ar-IQ"}
_EVENT = {"en": "Incoming attack from the air", "fr": "Attaque aérienne en approche", "ar": "هجوم جوي وشيك"}
_DRILL = {
    Provenance.SIMULATION: {"en": "EXERCISE", "fr": "EXERCICE", "ar": "تمرين"},
    Provenance.REPLAY: {"en": "TEST", "fr": "ESSAI", "ar": "تجربة"},
}
_SHELTER = {
    "en": _Wording("Alert: {zone}. Take cover now.", "Lie down or take cover at once. Stay there until the all-clear."),
    "fr": _Wording(
        "Alerte : {zone}. À l’abri, tout de suite.",
        "Couchez-vous ou mettez-vous à l’abri immédiatement. Restez-y jusqu’à la fin d’alerte.",
    ),
    "ar": _Wording("إنذار: {zone}. احتموا الآن.", "انبطحوا أو احتموا فوراً وابقوا في مكانكم حتى إعلان زوال الخطر."),
}
_CLEAR = {
    "en": _Wording("All clear: {zone}.", "You may leave cover. Do not touch debris; report it."),
    "fr": _Wording("Fin d’alerte : {zone}.", "Vous pouvez quitter l’abri. Ne touchez pas aux débris ; signalez-les."),
    "ar": _Wording("زوال الخطر: {zone}.", "يمكنكم مغادرة الملجأ. لا تلمسوا الحطام وأبلغوا عنه."),
}
_WORDS = {
    "pre-alert": {
        "en": _Wording("Pre-alert: {zone}. Be ready to take cover.", "Stay near cover and wait for further notice."),
        "fr": _Wording(
            "Préalerte : {zone}. Soyez prêts à vous abriter.", "Restez près d’un abri et attendez la suite."
        ),
        "ar": _Wording("إنذار مسبق: {zone}. استعدوا للاحتماء.", "ابقوا قرب مكان محمي وانتظروا التعليمات."),
    },
    "alert": _SHELTER,
    "update": _SHELTER,
    "cancel": _CLEAR,
    "all-clear": _CLEAR,
}


def write_alerts(folder: Path, warnings: Sequence[ZoneWarning], site: Site, source: Source) -> list[Path]:
    """Write one CAP file per warning, in order, into `folder`; the names sort by time."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for i, (warning, message) in enumerate(zip(warnings, cap_messages(warnings, site, source), strict=True), start=1):
        stamp = datetime.fromtimestamp(warning.time_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%S")
        path = folder / f"{stamp}.{warning.time_ns // 10**6 % 1000:03d}-{i:05d}-{warning.zone}-{warning.state}.xml"
        path.write_bytes(message)
        paths.append(path)
    return paths


def cap_messages(warnings: Sequence[ZoneWarning], site: Site, source: Source) -> Iterator[bytes]:
    """Each warning as the bytes of a CAP 1.2 message."""
    zones = {zone.id: zone for zone in site.zones}
    before: dict[str, str] = {}
    for i, warning in enumerate(warnings, start=1):
        name = f"{source.run}.{i:05d}"
        yield _bytes(_alert(warning, zones[warning.zone], site, source, name, before.get(warning.zone)))
        before[warning.zone] = f"{source.sender},{name},{_cap_time(warning.time_ns)}"
        if warning.state in _ENDS:  # what comes after is another event
            del before[warning.zone]


def zone_polygons(zone: Zone) -> list[str]:
    """The zone's outer rings as CAP polygons: closed, 'lat,lon' pairs. CAP has no holes: a hole is warned too.

    Raises ValueError for what the schema lets pass: less than four points, or coordinates off the earth.
    """
    polygons = []
    for exterior, *_ in zone.rings:
        points = [(float(lat), float(lon)) for lon, lat in exterior]
        if points[0] != points[-1]:
            points.append(points[0])
        if len(points) < 4 or not all(abs(lat) <= 90 and abs(lon) <= 180 for lat, lon in points):
            raise ValueError(f"zone {zone.id}: found {points}, expected at least four points on the earth")
        polygons.append(" ".join(f"{lat:.6f},{lon:.6f}" for lat, lon in points))
    return polygons


def _alert(
    warning: ZoneWarning, zone: Zone, site: Site, source: Source, name: str, refers_to: str | None
) -> ET.Element:
    alert = ET.Element("alert", xmlns=NAMESPACE)
    for tag, text in (
        ("identifier", name),
        ("sender", source.sender),
        ("sent", _cap_time(warning.time_ns)),
        ("status", source.provenance.cap_status),
        ("msgType", "Alert" if refers_to is None else _MESSAGE_TYPE.get(warning.state, "Update")),
        ("source", "opencram"),
        ("scope", "Public"),
        ("note", source.note),
        ("references", refers_to or ""),
    ):
        if text:
            _add(alert, tag, text)
    for language in _languages(zone):
        alert.append(_info(warning, zone, site, source, language))
    return alert


def _info(warning: ZoneWarning, zone: Zone, site: Site, source: Source, language: str) -> ET.Element:
    response, urgency, severity = _CODES[warning.state]
    words = _WORDS[warning.state][language]
    mark = _DRILL.get(source.provenance, {}).get(language)
    drill = f"{mark} – " if mark else ""
    info = ET.Element("info")
    for tag, text in (
        ("language", _LANGUAGES[language]),
        ("category", "Security"),
        ("event", drill + _EVENT[language]),
        ("responseType", response),
        ("urgency", urgency),
        ("severity", severity),
        ("certainty", _certainty(warning)),
        ("onset", _cap_time(_impact_ns(warning))),
        ("expires", _cap_time(_expires_ns(warning, site))),
        ("senderName", _title(site, language)),
        ("headline", drill + words.headline.format(zone=_title(zone, language))),
        ("instruction", words.instruction),
    ):
        _add(info, tag, text)
    for key, value in _parameters(warning):
        _add_pair(info, "parameter", key, value)
    info.append(_area(zone, language))
    return info


def _area(zone: Zone, language: str) -> ET.Element:
    area = ET.Element("area")
    _add(area, "areaDesc", _title(zone, language))
    for polygon in zone_polygons(zone):
        _add(area, "polygon", polygon)
    _add_pair(area, "geocode", "zoneId", zone.id)
    return area


def _parameters(warning: ZoneWarning) -> Iterator[tuple[str, str]]:
    yield "zoneId", warning.zone
    yield "state", warning.state
    yield "threatKind", warning.kind
    yield "pHit", f"{warning.p_hit:.3f}"
    if warning.seconds_left is not None and warning.state not in _ENDS:
        impact_ns = _impact_ns(warning)
        yield "timeToImpact_s", f"{warning.seconds_left:.1f}"
        yield "impactTime", f"{_utc(impact_ns):%Y-%m-%dT%H:%M:%S}.{impact_ns // 10**6 % 1000:03d}Z"
    if warning.tracks:
        yield "tracks", " ".join(str(track) for track in warning.tracks)
    yield "reason", warning.reason


def _certainty(warning: ZoneWarning) -> str:
    if warning.state in _ENDS or not warning.tracks:
        return "Observed"
    return "Likely" if warning.p_hit > LIKELY else "Possible"


def _impact_ns(warning: ZoneWarning) -> int:
    if warning.seconds_left is None or warning.state in _ENDS:
        return warning.time_ns
    return warning.time_ns + round(warning.seconds_left * 1e9)


def _expires_ns(warning: ZoneWarning, site: Site) -> int:
    """An alert that nobody ends runs out when the policy would have ended it, counted from the impact."""
    return _impact_ns(warning) + round(site.policy.all_clear_s * 1e9)


def _languages(zone: Zone) -> list[str]:
    """English and French always; Arabic where the zone has an Arabic name."""
    return ["en", "fr", "ar"] if getattr(zone.title, "ar", None) else ["en", "fr"]


def _title(thing: Site | Zone, language: str) -> str:
    return getattr(thing.title, language, None) or thing.title.en


def _utc(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 10**9, UTC)


def _cap_time(time_ns: int) -> str:
    return f"{_utc(time_ns):%Y-%m-%dT%H:%M:%S}+00:00"


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = _clean(text)


def _add_pair(parent: ET.Element, tag: str, name: str, value: str) -> None:
    pair = ET.SubElement(parent, tag)
    _add(pair, "valueName", name)
    _add(pair, "value", value)


def _clean(text: str) -> str:
    """`text` without the control characters that XML 1.0 has no way to write."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", " ", text)


def _bytes(alert: ET.Element) -> bytes:
    ET.indent(alert)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(alert, encoding="unicode").encode() + b"\n"
