"""A feed of CAP messages in Atom (RFC 4287): what those who poll warnings read. A function from messages to bytes."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from opencram.outputs.cap import NAMESPACE as CAP
from opencram.outputs.cap import CapMessage, cap_time

NAMESPACE = "http://www.w3.org/2005/Atom"
CAP_TYPE, ATOM_TYPE = "application/cap+xml", "application/atom+xml"


@dataclass(frozen=True)
class FeedHead:
    """What a feed says of itself. `base` is where its links begin: `https://host/cap/`, or empty for relative ones."""

    sender: str
    title: str
    base: str = ""


def atom_feed(messages: Sequence[CapMessage], head: FeedHead, updated_ns: int) -> bytes:
    """The messages, in the order they were told, as a feed, newest first; `updated_ns` is told where there are none.

    Ids are UUIDs (RFC 4122, version 5) of what identifies the sender and the messages: the same whenever it is made.
    """
    newest = sorted(messages, key=lambda message: message.sent_ns)[::-1]
    feed = ET.Element("feed", xmlns=NAMESPACE)
    _add(feed, "id", _id(head.sender))
    _add(feed, "title", head.title)
    _add(feed, "updated", _time(newest[0].sent_ns if newest else updated_ns))
    _add(ET.SubElement(feed, "author"), "name", head.sender)
    ET.SubElement(feed, "link", rel="self", type=ATOM_TYPE, href=f"{head.base}atom.xml")
    ET.SubElement(feed, "generator").text = "opencram"
    ET.indent(feed)
    begin, end, _ = ET.tostring(feed, encoding="unicode").rpartition("</feed>")
    entries = "".join(_entry(message, head.base) for message in newest)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{begin}{entries}{end}\n'.encode()


@lru_cache(maxsize=1_024)
def _entry(message: CapMessage, base: str) -> str:
    """A message's entry; kept, for a feed is written anew with each message."""
    entry = ET.Element("entry")
    _add(entry, "id", _id(message.reference))
    _add(entry, "title", message.headline)
    _add(entry, "updated", _time(message.sent_ns))
    _add(entry, "published", _time(message.sent_ns))
    for term, scheme in ((message.status, "status"), (message.state, "state"), (message.zone, "zone")):
        ET.SubElement(entry, "category", term=term, scheme=f"urn:x-opencram:{scheme}")
    ET.SubElement(entry, "link", rel="alternate", type=CAP_TYPE, href=f"{base}{message.identifier}.xml")
    _add(entry, "summary", f"{message.headline} Runs out at {_time(message.expires_ns)}.")
    # what some readers look for here, so as not to fetch what has run out or is no alert for them
    for tag, text in (("status", message.status), ("expires", cap_time(message.expires_ns))):
        ET.SubElement(entry, f"cap:{tag}", {"xmlns:cap": CAP}).text = text
    ET.indent(entry)
    return ET.tostring(entry, encoding="unicode") + "\n"


def _add(parent: ET.Element, tag: str, text: str) -> None:
    ET.SubElement(parent, tag).text = text


def _id(name: str) -> str:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"opencram:{name}").urn


def _time(time_ns: int) -> str:
    return f"{datetime.fromtimestamp(time_ns // 10**9, UTC):%Y-%m-%dT%H:%M:%SZ}"
