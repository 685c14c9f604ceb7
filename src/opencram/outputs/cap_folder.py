"""The CAP messages of a service, kept in a folder: `ID.xml` each, and `atom.xml`, the feed of them.

Files are written whole or not at all, by one process; any other may read them. What stands in the folder when a
service starts is taken up: the feed goes on, and an all-clear refers to the alert of the process before.
"""

from __future__ import annotations

import contextlib
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import get_args

from opencram.errors import InputError
from opencram.outputs.atom import FeedHead, atom_feed
from opencram.outputs.cap import NAMESPACE, CapMessage, ZoneAndStatus, ends
from opencram.outputs.phrases import phrases
from opencram.outputs.source import Source, Status
from opencram.site import Site

KEPT = 200
"""Messages; beyond, the oldest are deleted, but for the last about each zone and status where that still stands."""
FEED = "atom.xml"
IDENTIFIER = re.compile(r"[\w.-]{1,128}")


class CapFolder:
    """The messages in a folder, oldest first; InputError where the folder cannot be used."""

    def __init__(self, path: Path, head: FeedHead, started_ns: int, kept: int = KEPT) -> None:
        self.path, self._head, self._started_ns, self._kept = path, head, started_ns, kept
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._messages = sorted(_found(path), key=lambda message: message.sent_ns)
            self._changed = True
            self.publish()
        except OSError as error:
            raise InputError(f"{path}: found '{error.strerror}', expected a folder that can be written") from None

    @property
    def messages(self) -> tuple[CapMessage, ...]:
        """All that are kept, oldest first."""
        return tuple(self._messages)

    def told(self) -> dict[ZoneAndStatus, str]:
        """Zone and status -> the reference of the message that still stands, for a writer to go on from."""
        return {key: message.reference for key, message in self._standing().items()}

    def add(self, message: CapMessage) -> None:
        """Keep a message; OSError where the disk takes no more."""
        self._messages.append(message)
        self._changed = True
        _write(self.path / f"{message.identifier}.xml", message.xml)
        self._forget()

    def publish(self) -> None:
        """Write the feed anew if anything has changed; OSError where the disk takes no more."""
        if self._changed:
            _write(self.path / FEED, atom_feed(self._messages, self._head, self._started_ns))
            self._changed = False

    def _standing(self) -> dict[ZoneAndStatus, CapMessage]:
        last = {(message.zone, message.status): message for message in self._messages}
        return {key: message for key, message in last.items() if not ends(message.state)}

    def _forget(self) -> None:
        """Delete the oldest of what no longer stands."""
        excess = len(self._messages) - self._kept
        if excess <= 0:
            return
        standing = {message.identifier for message in self._standing().values()}
        gone = [message for message in self._messages if message.identifier not in standing][:excess]
        for message in gone:
            self._messages.remove(message)
            with contextlib.suppress(FileNotFoundError):
                (self.path / f"{message.identifier}.xml").unlink()


def _found(path: Path) -> Iterator[CapMessage]:
    """The messages of an earlier process; what is none of ours is left alone."""
    for file in sorted(path.glob("*.xml")):
        if file.name != FEED:
            with contextlib.suppress(ET.ParseError, ValueError, KeyError, OSError):
                yield read_message(file.read_bytes())


def feed_head(site: Site, source: Source, base: str) -> FeedHead:
    """What a site's feed says of itself; `base` is where its links begin."""
    mark, title = phrases().mark(source.provenance.cap_status, "en"), f"{site.title.en}: warnings"
    return FeedHead(source.sender, f"{mark} – {title}" if mark else title, base)


def read_message(xml: bytes) -> CapMessage:
    """A message of our own as it was written; ValueError, KeyError or ParseError where it is none."""
    root = ET.fromstring(xml)
    said = {child.tag.removeprefix(f"{{{NAMESPACE}}}"): child.text or "" for child in root}
    info = root.find(f"{{{NAMESPACE}}}info")
    if info is None or not IDENTIFIER.fullmatch(said["identifier"]) or said["status"] not in get_args(Status):
        raise ValueError("found a message that is none of ours")
    pairs = {pair[0].text: pair[1].text or "" for pair in info.iterfind(f"{{{NAMESPACE}}}parameter")}
    status: Status = said["status"]  # type: ignore[assignment]
    return CapMessage(
        identifier=said["identifier"],
        reference=f"{said['sender']},{said['identifier']},{said['sent']}",
        sent_ns=_time_ns(said["sent"]),
        expires_ns=_time_ns(info.findtext(f"{{{NAMESPACE}}}expires") or ""),
        zone=pairs["zoneId"],
        state=pairs["state"],
        status=status,
        headline=info.findtext(f"{{{NAMESPACE}}}headline") or "",
        xml=xml,
    )


def _time_ns(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * 10**9


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)
