"""The Atom feed of CAP messages: read by another's reader, kept in bounds, taken up again, served over HTTP."""

from __future__ import annotations

import re
import socket
import threading
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import feedparser
import pytest
from lxml import etree

from made_up_run import NS, T0, WARNINGS, warning, write_site
from opencram.errors import InputError
from opencram.outputs.atom import FeedHead, atom_feed
from opencram.outputs.cap import CapMessage, CapWriter, Provenance, Source
from opencram.outputs.cap_folder import CapFolder, read_message
from opencram.site import Site

HEAD = FeedHead("opencram.made-up", "Made-up embassy & <co>: warnings", "http://127.0.0.1:8700/cap/")
ATOM = "{http://www.w3.org/2005/Atom}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"))


def writer_of(site: Site, folder: CapFolder | None = None, run: str = "opencram.0123") -> CapWriter:
    source = Source("opencram.made-up", run, Provenance.SIMULATION)
    return CapWriter(site, source, told=folder.told() if folder else None)


def told(site: Site) -> list[CapMessage]:
    writer = writer_of(site)
    return [writer.message(w) for w in WARNINGS]


def read(feed: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of the reader's own
        found = feedparser.parse(feed)
    assert not found.bozo, found.get("bozo_exception")
    return found


def test_another_reader_finds_every_message_newest_first(site: Site) -> None:
    messages = told(site)
    found = read(atom_feed(messages, HEAD, T0))
    assert found.version == "atom10"
    assert found.feed.title == HEAD.title
    assert found.feed.author == "opencram.made-up"
    assert [e.title for e in found.entries] == [m.headline for m in reversed(messages)]
    assert [e.links[0].href for e in found.entries] == [f"{HEAD.base}{m.identifier}.xml" for m in reversed(messages)]
    assert {e.links[0].type for e in found.entries} == {"application/cap+xml"}
    sent = [datetime(*e.updated_parsed[:6], tzinfo=UTC).timestamp() for e in found.entries]
    assert sent == [m.sent_ns // NS for m in reversed(messages)]
    assert found.feed.updated == found.entries[0].updated
    expires = [datetime.fromisoformat(e.cap_expires).timestamp() for e in found.entries]
    assert expires == [m.expires_ns // NS for m in reversed(messages)]
    assert {e.cap_status for e in found.entries} == {"Exercise"}
    assert all(e.title.startswith("EXERCISE – ") and "EXERCISE" in e.summary for e in found.entries)


def test_the_rules_of_rfc_4287_hold(site: Site) -> None:
    """What each element must have (4.1.1, 4.1.2), absolute ids that are unique and stay (4.2.6), dates (3.3)."""
    data = atom_feed(told(site), HEAD, T0)
    root = etree.fromstring(data)
    for parent in (root, *root.iterfind(f"{ATOM}entry")):
        for tag in ("id", "title", "updated"):
            assert len(parent.findall(f"{ATOM}{tag}")) == 1
    assert root.find(f"{ATOM}author/{ATOM}name") is not None
    assert [link.get("rel") for link in root.iterfind(f"{ATOM}link")] == ["self"]
    ids = [e.text or "" for e in root.iter(f"{ATOM}id")]
    assert len(set(ids)) == len(ids) == len(WARNINGS) + 1
    assert all(re.fullmatch(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", i) for i in ids)
    dates = [e.text or "" for e in root.iter(f"{ATOM}updated", f"{ATOM}published")]
    assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}Z", date) for date in dates)
    assert data == atom_feed(told(site), HEAD, T0)


def test_a_feed_without_messages_is_a_feed() -> None:
    found = read(atom_feed([], HEAD, T0))
    assert found.entries == []
    assert found.feed.updated == "2020-11-17T17:30:00Z"


def test_a_message_is_read_back_as_it_was(site: Site) -> None:
    for message in told(site):
        again = read_message(message.xml)
        assert again.identifier == message.identifier
        assert (again.zone, again.state, again.status, again.reference) == (
            message.zone, message.state, message.status, message.reference,
        )  # fmt: skip
        assert again.sent_ns == message.sent_ns // NS * NS
        assert again.headline == message.headline


def test_only_so_many_are_kept_and_never_at_the_cost_of_what_stands(site: Site, tmp_path: Path) -> None:
    folder, writer = CapFolder(tmp_path, HEAD, T0, kept=4), writer_of(site)
    folder.add(writer.message(warning(0.0, "east", "alert", (1,), seconds_left=20.0)))
    for i in range(10):
        folder.add(writer.message(warning(10.0 + i, "inner", "alert", (1,))))
        folder.add(writer.message(warning(10.5 + i, "inner", "all-clear", (1,))))
    assert len(folder.messages) == 4
    assert folder.messages[0].zone == "east"
    assert list(folder.told()) == [("east", "Exercise")]
    files = sorted(p.name for p in tmp_path.iterdir())
    assert files == sorted(["atom.xml", *(f"{m.identifier}.xml" for m in folder.messages)])
    assert read((tmp_path / "atom.xml").read_bytes()).entries == []
    folder.publish()
    assert len(read((tmp_path / "atom.xml").read_bytes()).entries) == 4


def test_after_a_restart_the_all_clear_refers_to_the_alert_before(site: Site, tmp_path: Path) -> None:
    first, writer = CapFolder(tmp_path, HEAD, T0), writer_of(site)
    for w in WARNINGS[:5]:
        first.add(writer.message(w))
    alert = first.messages[-1]
    (tmp_path / "note.xml").write_text("<someone-elses/>")
    (tmp_path / "half.xml").write_text("<alert")
    again = CapFolder(tmp_path, HEAD, T0 + 20 * NS)
    assert again.messages == tuple(sorted((read_message(m.xml) for m in first.messages), key=lambda m: m.sent_ns))
    ended = etree.fromstring(writer_of(site, again, "second").message(WARNINGS[6]).xml)
    cap = {"c": "urn:oasis:names:tc:emergency:cap:1.2"}
    assert ended.findtext("c:references", namespaces=cap) == alert.reference
    assert (tmp_path / "note.xml").exists()


def test_a_folder_that_cannot_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="expected a folder that can be written"):
        CapFolder(tmp_path / "file" / "cap", HEAD, T0)


# ---- over HTTP ------------------------------------------------------------------------------------------------------


@pytest.fixture
def served(site: Site, tmp_path: Path) -> Iterator[tuple[str, CapFolder]]:
    import uvicorn
    from fastapi import FastAPI

    from opencram.serve.cap_routes import cap_routes

    folder = CapFolder(tmp_path / "cap", HEAD, T0)
    app = FastAPI()
    app.include_router(cap_routes(folder.path))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", folder
    server.should_exit = True
    thread.join(10)
    listening.close()


def get(url: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def test_the_feed_and_each_message_are_served(served: tuple[str, CapFolder], site: Site) -> None:
    url, folder = served
    status, headers, data = get(f"{url}/cap/atom.xml")
    assert (status, read(data).entries) == (200, [])
    assert headers["content-type"].startswith("application/atom+xml")
    message = writer_of(site).message(WARNINGS[0])
    folder.add(message)
    folder.publish()
    (entry,) = read(get(f"{url}/cap/atom.xml", if_none_match=headers["etag"])[2]).entries
    status, headers, data = get(entry.links[0].href.replace("http://127.0.0.1:8700", url))
    assert (status, data) == (200, message.xml)
    assert headers["content-type"].startswith("application/cap+xml")
    assert get(f"{url}/cap/atom.xml", method="HEAD")[0] == 200


def test_who_polls_is_told_that_nothing_changed(served: tuple[str, CapFolder]) -> None:
    url, _ = served
    tag = get(f"{url}/cap/atom.xml")[1]["etag"]
    assert get(f"{url}/cap/atom.xml", if_none_match=tag)[0] == 304


@pytest.mark.parametrize("name", ["x", "..%2Fsite", "%2e%2e", "a%20b", "x" * 200])
def test_what_is_not_there_is_not_served(served: tuple[str, CapFolder], name: str) -> None:
    url, folder = served
    (folder.path.parent / "site.xml").write_text("secret")
    status, _, data = get(f"{url}/cap/{name}.xml")
    assert status == 404
    assert b"secret" not in data
