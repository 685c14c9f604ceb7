"""Warnings as CAP 1.2 messages (OASIS Common Alerting Protocol), one message per decision about a zone.

CAP times have whole seconds and a numeric offset; UTC is `-00:00` (CAP 1.2, 3.3.2; the schema refuses `Z` and
fractions), so that seconds to impact and the impact's millisecond go into parameters. Where a zone was told something
before, a message refers to the last one: alert -> update -> all-clear is a chain a reader can follow. Messages of
different status, a drill's and those of a real attack, never refer to each other.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from opencram.outputs.cap_area import Area, area_of
from opencram.outputs.phrases import ENDED, LANGUAGES, Phrases, phrases
from opencram.outputs.source import Provenance as Provenance
from opencram.outputs.source import Source as Source
from opencram.outputs.source import Status
from opencram.report.words import iso
from opencram.tables import Reject, ZoneWarning

if TYPE_CHECKING:
    from opencram.site import Site, Zone

NAMESPACE = "urn:oasis:names:tc:emergency:cap:1.2"
LIKELY = 0.5
"""CAP 1.2: 'Likely' is a probability above about one half, 'Possible' one up to it."""

_MESSAGE_TYPE = {"cancel": "Cancel"}
"""Of a message that refers to another; all others are updates, and one that refers to none is an alert."""
_CODES = {  # state -> response, urgency, severity
    "pre-alert": ("Prepare", "Expected", "Severe"),
    "alert": ("Shelter", "Immediate", "Extreme"),
    "update": ("Shelter", "Immediate", "Extreme"),
    "cancel": ("AllClear", "Past", "Minor"),
    "all-clear": ("AllClear", "Past", "Minor"),
    "drill-notice": ("Prepare", "Future", "Minor"),
    "test": ("None", "Unknown", "Minor"),
}
_NEWS = (*ENDED, "test")
"""States after which the next message is about another event."""
_LANGUAGES = {"en": "en-GB", "fr": "fr-FR", "ar": "ar-IQ"}

ZoneAndStatus = tuple[str, Status]


@dataclass(frozen=True)
class CapMessage:
    """One message, with what a list of messages needs to know of it."""

    identifier: str
    reference: str
    """By which later messages refer to it: sender, identifier and time of sending."""
    sent_ns: int
    expires_ns: int
    zone: str
    state: str
    status: Status
    headline: str
    xml: bytes


class CapWriter:
    """Makes the messages of a run in their order, and remembers what each zone was told last.

    `told` is what an earlier run left: zone and status -> the reference of the last message about it. What a zone's
    outline or the catalogue lacked is counted; the message is made in any case.
    """

    def __init__(
        self,
        site: Site,
        source: Source,
        book: Phrases | None = None,
        told: Mapping[ZoneAndStatus, str] | None = None,
    ) -> None:
        self.site, self.source, self.told = site, source, dict(told or {})
        self._book, self._number = book or phrases(), 0
        self._faults = Counter[tuple[str, str]]()
        self.change_site(site)

    def change_site(self, site: Site) -> None:
        """Speak of other zones from here on."""
        self.site = site
        self._zones = {zone.id: zone for zone in site.zones}
        self._areas: dict[str, Area] = {}

    def message(self, warning: ZoneWarning) -> CapMessage:
        """The next message."""
        self._number += 1
        status = self.source.provenance.status_of(warning.kind)
        key, name = (warning.zone, status), f"{self.source.run}.{self._number:05d}"
        xml = _bytes(self._alert(warning, status, name, self.told.pop(key, None)))
        reference = f"{self.source.sender},{name},{cap_time(warning.time_ns)}"
        if warning.state not in _NEWS:
            self.told[key] = reference
        return CapMessage(
            identifier=name,
            reference=reference,
            sent_ns=warning.time_ns,
            expires_ns=self._expires_ns(warning),
            zone=warning.zone,
            state=warning.state,
            status=status,
            headline=self._headline(warning, status, "en"),
            xml=xml,
        )

    def rejects(self, now_ns: int) -> list[Reject]:
        """What was lacking since the last call: outlines that CAP cannot carry, phrases."""
        found = [
            Reject(time_ns=now_ns, source="cap", reason=f"outline of the zone: {fault}", count=count, sample=zone)
            for (zone, fault), count in self._faults.items()
        ]
        self._faults.clear()
        return [*found, *self._book.rejects(now_ns)]

    def _alert(self, warning: ZoneWarning, status: Status, name: str, refers_to: str | None) -> ET.Element:
        note = self.source.note or ("" if status == "Actual" else f"{status} {self.source.run}")
        alert = ET.Element("alert", xmlns=NAMESPACE)
        for tag, text in (
            ("identifier", name),
            ("sender", self.source.sender),
            ("sent", cap_time(warning.time_ns)),
            ("status", status),
            ("msgType", "Alert" if refers_to is None else _MESSAGE_TYPE.get(warning.state, "Update")),
            ("source", "opencram"),
            ("scope", "Public"),
            ("note", note),
            ("references", refers_to or ""),
            ("incidents", f"{self.source.run}.raid.{warning.raid}" if warning.raid else ""),
        ):
            if text:
                _add(alert, tag, text)
        area = self._area(warning.zone)
        for language in LANGUAGES:
            alert.append(self._info(warning, status, area, language))
        return alert

    def _info(self, warning: ZoneWarning, status: Status, area: Area, language: str) -> ET.Element:
        response, urgency, severity = _CODES[warning.state]
        said = (warning.state, warning.kind, language)
        info = ET.Element("info")
        for tag, text in (
            ("language", _LANGUAGES[language]),
            ("category", "Security"),
            ("event", self._marked(self._book.say("event", "any", warning.kind, language), status, language)),
            ("responseType", response),
            ("urgency", urgency),
            ("severity", "Minor" if warning.kind == "drill" else severity),
            ("certainty", _certainty(warning)),
            ("onset", cap_time(_impact_ns(warning))),
            ("expires", cap_time(self._expires_ns(warning))),
            ("senderName", _title(self.site, language)),
            ("headline", self._headline(warning, status, language)),
            ("description", self._description(warning, language)),
            ("instruction", self._book.say("instruction", *said)),
        ):
            if text:
                _add(info, tag, text)
        for key, value in _parameters(warning):
            _add_pair(info, "parameter", key, value)
        info.append(_area_element(area, self._zones[warning.zone], language))
        return info

    def _headline(self, warning: ZoneWarning, status: Status, language: str) -> str:
        zone = _title(self._zones[warning.zone], language)
        text = self._book.say("headline", warning.state, warning.kind, language, zone=zone)
        return self._marked(text, status, language)

    def _description(self, warning: ZoneWarning, language: str) -> str:
        """When it is due, by the clocks of the place; a reader may see it any time later."""
        if warning.seconds_left is None or warning.state in _NEWS:
            return ""
        due = datetime.fromtimestamp(_impact_ns(warning) // 10**9, ZoneInfo(self.site.timezone))
        return self._book.say("description", warning.state, warning.kind, language, time=f"{due:%H:%M:%S}")

    def _marked(self, text: str, status: Status, language: str) -> str:
        mark = self._book.mark(status, language)
        return f"{mark} – {text}" if mark else text

    def _expires_ns(self, warning: ZoneWarning) -> int:
        """An alert that nobody ends runs out when the policy would have ended it, counted from the impact.

        One that no impact is foreseen for, an operator's or for want of sensors, stands as long as an operator's does.
        """
        policy = self.site.policy
        stands_s = policy.operator_alarm_s if warning.kind in ("operator", "sensor") else policy.all_clear_s
        return _impact_ns(warning) + round(stands_s * 1e9)

    def _area(self, zone: str) -> Area:
        if zone not in self._areas:
            self._areas[zone] = area_of(self._zones[zone], self.site.origin)
        self._faults.update((zone, fault) for fault in self._areas[zone].faults)
        return self._areas[zone]


def write_alerts(folder: Path, warnings: Sequence[ZoneWarning], site: Site, source: Source) -> list[Reject]:
    """Write one CAP file per warning, in order, into `folder`; the names sort by time. What was lacking."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = CapWriter(site, source)
    for i, warning in enumerate(warnings, start=1):
        stamp = datetime.fromtimestamp(warning.time_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%S")
        name = f"{stamp}.{warning.time_ns // 10**6 % 1000:03d}-{i:05d}-{warning.zone}-{warning.state}.xml"
        (folder / name).write_bytes(writer.message(warning).xml)
    return writer.rejects(warnings[-1].time_ns) if warnings else []


def cap_messages(warnings: Sequence[ZoneWarning], site: Site, source: Source) -> Iterator[bytes]:
    """Each warning as the bytes of a CAP 1.2 message."""
    writer = CapWriter(site, source)
    return (writer.message(warning).xml for warning in warnings)


def ends(state: str) -> bool:
    """Whether the next message about the zone is about another event."""
    return state in _NEWS


def cap_time(time_ns: int) -> str:
    """A time as CAP 1.2 writes it, cut to the second."""
    return f"{_utc(time_ns):%Y-%m-%dT%H:%M:%S}-00:00"


def _area_element(area: Area, zone: Zone, language: str) -> ET.Element:
    element = ET.Element("area")
    _add(element, "areaDesc", _title(zone, language))
    for polygon in area.polygons:
        _add(element, "polygon", polygon)
    for circle in area.circles:
        _add(element, "circle", circle)
    _add_pair(element, "geocode", "zoneId", zone.id)
    return element


def _parameters(warning: ZoneWarning) -> Iterator[tuple[str, str]]:
    yield "zoneId", warning.zone
    yield "state", warning.state
    yield "threatKind", warning.kind
    yield "pHit", f"{warning.p_hit:.3f}"
    if warning.seconds_left is not None and warning.state not in _NEWS:
        yield "timeToImpact_s", f"{warning.seconds_left:.1f}"
        yield "impactTime", iso(_impact_ns(warning))
    if warning.tracks:
        yield "tracks", " ".join(str(track) for track in warning.tracks)
    yield "reason", warning.reason


def _certainty(warning: ZoneWarning) -> str:
    if warning.kind == "sensor" and warning.state not in _NEWS:
        return "Unknown"  # nobody sees anything: that is why it sounds
    if warning.state in _NEWS or not warning.tracks:
        return "Observed"
    return "Likely" if warning.p_hit > LIKELY else "Possible"


def _impact_ns(warning: ZoneWarning) -> int:
    if warning.seconds_left is None or warning.state in _NEWS:
        return warning.time_ns
    return warning.time_ns + round(warning.seconds_left * 1e9)


def _title(thing: Site | Zone, language: str) -> str:
    return getattr(thing.title, language, None) or thing.title.en


def _utc(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 10**9, UTC)


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
