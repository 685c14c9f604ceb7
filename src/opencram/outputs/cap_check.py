"""Whether a CAP 1.2 message can be used: its structure as the OASIS schema has it, and what the schema lets pass.

Structure, enumerations and times are those of the schema; that the text rules of the standard hold as well (what a
message refers to, what an identifier may hold, whether a polygon can be drawn) is checked here alone.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from opencram.errors import InputError
from opencram.outputs.cap_area import Point, circle_fault, ring_fault

NAMESPACE = "{urn:oasis:names:tc:emergency:cap:1.2}"
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}"
MAX_BYTES = 4_000_000
MANY = 1_000

Test = Callable[[str], str]
"""What is wrong with a text: 'found ..., expected ...', empty if nothing is."""


@dataclass(frozen=True)
class Part:
    """A child element: how often it may stand there, and what its text or its own children must be."""

    tag: str
    least: int
    most: int
    inside: Test | tuple[Part, ...]


# ---- texts ----------------------------------------------------------------------------------------------------------


def _any(_: str) -> str:
    return ""


def _name(text: str) -> str:
    return "" if re.fullmatch(r"[^\s,<&]+", text) else f"found {_shown(text)}, expected a name without spaces, ',<&'"


def _one_of(*words: str) -> Test:
    return lambda text: "" if text in words else f"found {_shown(text)}, expected one of {', '.join(words)}"


def _time(text: str) -> str:
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[-+]\d\d:\d\d", text):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            pass
        else:
            return ""
    return f"found {_shown(text)}, expected a time such as 2020-11-17T17:30:05-00:00"


def _number(text: str) -> str:
    return "" if re.fullmatch(r"\s*[-+]?(\d+(\.\d*)?|\.\d+)\s*", text) else f"found {_shown(text)}, expected a number"


def _whole(text: str) -> str:
    return "" if re.fullmatch(r"\s*[-+]?\d+\s*", text) else f"found {_shown(text)}, expected a whole number"


def _language(text: str) -> str:
    good = re.fullmatch(r"\s*[a-zA-Z]{1,8}(-[a-zA-Z0-9]{1,8})*\s*", text)
    return "" if good else f"found {_shown(text)}, expected a language such as en-GB"


def _uri(text: str) -> str:
    """Of a URI (RFC 3986) what a colon in its first part makes of it: a scheme."""
    scheme, colon, _ = re.split(r"[/?#]", text, maxsplit=1)[0].partition(":")
    good = not colon or re.fullmatch(r"\s*[A-Za-z][A-Za-z0-9+.-]*", scheme)
    return "" if good else f"found {_shown(text)}, expected an address such as https://example.org/"


def _references(text: str) -> str:
    for reference in text.split():
        parts = reference.split(",")
        if len(parts) != 3 or _name(parts[0]) or _name(parts[1]) or _time(parts[2]):
            return f"found {_shown(reference)}, expected sender,identifier,sent"
    return ""


def _polygon(text: str) -> str:
    points = [_point(pair) for pair in text.split()]
    if None in points:
        return f"found {_shown(text.split()[points.index(None)])}, expected points as latitude,longitude"
    return ring_fault([point for point in points if point is not None])


def _circle(text: str) -> str:
    centre, _, radius = text.strip().partition(" ")
    point = _point(centre)
    if point is None or _number(radius) or not radius:
        return f"found {_shown(text)}, expected latitude,longitude and a radius in km"
    return circle_fault(*point, float(radius))


def _point(pair: str) -> Point | None:
    lat, _, lon = pair.partition(",")
    return None if _number(lat) or _number(lon) else (float(lat), float(lon))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


# ---- the structure, in the order of the schema ----------------------------------------------------------------------


def _texts(*tags: str, least: int = 0, most: int = 1, inside: Test = _any) -> tuple[Part, ...]:
    return tuple(Part(tag, least, most, inside) for tag in tags)


_PAIR = (*_texts("valueName", "value", least=1),)
_AREA = (
    *_texts("areaDesc", least=1),
    Part("polygon", 0, MANY, _polygon),
    Part("circle", 0, MANY, _circle),
    Part("geocode", 0, MANY, _PAIR),
    *_texts("altitude", "ceiling", inside=_number),
)
_RESOURCE = (
    *_texts("resourceDesc", "mimeType", least=1),
    *_texts("size", inside=_whole),
    *_texts("uri", inside=_uri),
    *_texts("derefUri", "digest"),
)
_INFO = (
    *_texts("language", inside=_language),
    Part(
        "category", 1, MANY, _one_of("Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport",
                                     "Infra", "CBRNE", "Other"),
    ),
    *_texts("event", least=1),
    Part(
        "responseType", 0, MANY, _one_of("Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess",
                                         "AllClear", "None"),
    ),
    Part("urgency", 1, 1, _one_of("Immediate", "Expected", "Future", "Past", "Unknown")),
    Part("severity", 1, 1, _one_of("Extreme", "Severe", "Moderate", "Minor", "Unknown")),
    Part("certainty", 1, 1, _one_of("Observed", "Likely", "Possible", "Unlikely", "Unknown")),
    *_texts("audience"),
    Part("eventCode", 0, MANY, _PAIR),
    *_texts("effective", "onset", "expires", inside=_time),
    *_texts("senderName", "headline", "description", "instruction"),
    *_texts("web", inside=_uri),
    *_texts("contact"),
    Part("parameter", 0, MANY, _PAIR),
    Part("resource", 0, MANY, _RESOURCE),
    Part("area", 0, MANY, _AREA),
)  # fmt: skip
_ALERT = (
    *_texts("identifier", "sender", least=1, inside=_name),
    *_texts("sent", least=1, inside=_time),
    Part("status", 1, 1, _one_of("Actual", "Exercise", "System", "Test", "Draft")),
    Part("msgType", 1, 1, _one_of("Alert", "Update", "Cancel", "Ack", "Error")),
    *_texts("source"),
    Part("scope", 1, 1, _one_of("Public", "Restricted", "Private")),
    *_texts("restriction", "addresses"),
    Part("code", 0, MANY, _any),
    *_texts("note"),
    *_texts("references", inside=_references),
    *_texts("incidents"),
    Part("info", 0, MANY, _INFO),
)


# ---- the check ------------------------------------------------------------------------------------------------------


def check_cap(data: bytes, name: str) -> ET.Element:
    """The message as an element tree; InputError says what is wrong with it and where."""
    root = _parsed(data, name)
    if root.tag != f"{NAMESPACE}alert":
        raise InputError(f"{name}: found <{_tag(root.tag)}>, expected an alert of CAP 1.2 ({NAMESPACE[1:-1]})")
    for where, fault in chain(_faults(root, _ALERT, "alert"), _rules(root)):
        raise InputError(f"{name}: {where}: {fault}")
    return root


def describe_cap(path: Path) -> str:
    """What the CAP file is, in a few words; InputError says what is wrong with it."""
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: found {path.stat().st_size} bytes, expected at most {MAX_BYTES}")
    root = check_cap(path.read_bytes(), str(path))
    kind, status = (root.findtext(f"{NAMESPACE}{tag}") for tag in ("msgType", "status"))
    return f"a CAP 1.2 message, {kind}, {status}"


def _parsed(data: bytes, name: str) -> ET.Element:
    if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
        raise InputError(f"{name}: found a document type, expected none: CAP messages have no entities")
    try:
        return ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError) as error:
        raise InputError(f"{name}: found text that is not XML ({error})") from None


def _faults(parent: ET.Element, parts: Sequence[Part], where: str) -> Iterator[tuple[str, str]]:
    """What is wrong below an element, in the order of the file."""
    if parent.text and parent.text.strip():
        yield where, f"found the text {_shown(parent.text.strip())}, expected elements"
    order = {part.tag: i for i, part in enumerate(parts)}
    counts, last = dict.fromkeys(order, 0), 0
    for child in parent:
        tag = _tag(child.tag)
        if child.tag != f"{NAMESPACE}{tag}" or tag not in order:
            if where == "alert" and child.tag.startswith(SIGNATURE):
                continue
            yield where, f"found <{tag}>, expected {_expected(parts, last)}"
            return
        counts[tag] += 1
        here = f"{where}/{tag}" + (f"[{counts[tag]}]" if parts[order[tag]].most > 1 else "")
        if order[tag] < last:
            yield here, f"found it behind <{parts[last].tag}>, expected it before"
        if counts[tag] > parts[order[tag]].most:
            yield here, f"found it {counts[tag]} times, expected {parts[order[tag]].most}"
        last = order[tag]
        yield from _within(child, parts[last].inside, here)
    for part in parts:
        if counts[part.tag] < part.least:
            yield where, f"found no <{part.tag}>, expected one"


def _within(element: ET.Element, inside: Test | tuple[Part, ...], where: str) -> Iterator[tuple[str, str]]:
    if isinstance(inside, tuple):
        yield from _faults(element, inside, where)
    elif len(element):
        yield where, f"found <{_tag(element[0].tag)}> in it, expected text"
    elif fault := inside(element.text or ""):
        yield where, fault


def _rules(root: ET.Element) -> Iterator[tuple[str, str]]:
    """What the standard says and the schema cannot."""
    said = {_tag(child.tag): (child.text or "").strip() for child in root}
    if said["msgType"] != "Alert" and not said.get("references"):
        yield "alert/references", f"found none, expected what this {said['msgType']} refers to"
    for scope, needed in (("Restricted", "restriction"), ("Private", "addresses")):
        if said["scope"] == scope and not said.get(needed):
            yield f"alert/{needed}", f"found none, expected it where the scope is {scope}"
    sent = datetime.fromisoformat(said["sent"])
    for i, expires in enumerate(root.iterfind(f"{NAMESPACE}info/{NAMESPACE}expires"), start=1):
        if datetime.fromisoformat(expires.text or "") < sent:
            yield f"alert/info[{i}]/expires", f"found {expires.text}, which is before it was sent, expected it after"


def _expected(parts: Sequence[Part], last: int) -> str:
    return "one of " + ", ".join(f"<{part.tag}>" for part in parts[last : last + 4])


def _tag(tag: str) -> str:
    return tag.rpartition("}")[2]
