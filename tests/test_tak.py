"""Cursor on Target: by the rules of MITRE's schema, through TAK's own protobuf codec, and over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import takproto
from lxml import etree
from pyproj import Geod

from made_up_run import NS, T0, warning, write_site
from opencram.errors import InputError
from opencram.outputs.source import Provenance, Source
from opencram.outputs.tak import MAX_CORNERS, MAX_TRACKS, STALE_NS, Event, TakPicture, drawn, type_of
from opencram.outputs.tak_link import MAX_WAITING_BYTES, TakDatagrams, TakLink, TakStream, tak_link
from opencram.physics.threats import catalogue
from opencram.serve.link import TrackSeen
from opencram.site import Site

ROCKET = TrackSeen(
    track=7, cls="rocket-107", lat=33.31, lon=44.41, height_m=1_234.5, east_mps=-30.0, north_mps=-40.0, up_mps=50.0,
    impact_ns=T0 + 12 * NS, impact_lat=33.3001, impact_lon=44.4002, major_m=240.0, minor_m=90.0, axis_deg=37.0,
)  # fmt: skip
DRONE = TrackSeen(track=8, cls="drone", lat=33.32, lon=44.39, height_m=300.0, east_mps=20.0, north_mps=0.0, up_mps=0.0)
ALERT = warning(0.0, "inner", "alert", (7,), seconds_left=12.0)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def rules() -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(Path(__file__).parent / "data" / "cot-event.rng"))


def picture_of(site: Site, provenance: Provenance = Provenance.LIVE) -> TakPicture:
    picture = TakPicture(site, Source("opencram.made-up", "run", provenance))
    picture.see([ROCKET, DRONE])
    picture.tell(ALERT)
    return picture


def parsed(events: Iterable[bytes]) -> dict[str, etree._Element]:
    """By the last two parts of their uid: `track.7`."""
    found = [etree.fromstring(event) for event in events]
    return {e.get("uid", "").split("run.")[1].split(".", 1)[1]: e for e in found}


# ---- what is told --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provenance", Provenance)
def test_every_event_keeps_the_rules(site: Site, rules: etree.RelaxNG, provenance: Provenance) -> None:
    picture = picture_of(site, provenance)
    events = list(picture.events(T0))
    picture.see([])
    picture.tell(warning(9.0, "inner", "all-clear"))
    ended = list(picture.events(T0 + NS))
    assert (len(events), len(ended)) == (4, 4)
    for event in events + ended:
        assert rules.validate(etree.fromstring(event)), rules.error_log
        assert len(event) <= 1_472


def test_the_rules_would_notice(rules: etree.RelaxNG) -> None:
    good = Event("u", "a-h-A", "m-r", "o", T0, T0 + NS, 33.0, 44.0).xml()
    assert rules.validate(etree.fromstring(good))
    for old, new in ((b'lat="33', b'lat="93'), (b'how="m-r"', b'how="mr-"'), (b"Z", b"X"), (b'stale="', b'state="')):
        assert old in good
        assert not rules.validate(etree.fromstring(good.replace(old, new)))


def test_a_track_is_where_it_is_and_goes_where_it_goes(site: Site) -> None:
    event = parsed(picture_of(site).events(T0))["track.7"]
    point, track = event.find("point"), event.find("detail/track")
    assert (event.get("type"), event.get("how"), event.get("opex")) == ("a-h-A-W-M-S-S", "m-r", "o")
    assert [float(point.get(k)) for k in ("lat", "lon", "hae")] == [33.31, 44.41, 1_234.5]
    assert float(track.get("course")) == pytest.approx(180.0 + math.degrees(math.atan2(30.0, 40.0)), abs=0.1)
    assert (float(track.get("speed")), float(track.get("slope"))) == (50.0, 45.0)
    assert event.find("detail/__bread_crumbs").get("enabled") == "1"
    assert event.find("detail/contact").get("callsign") == "rocket-107 7"
    assert event.get("time") == event.get("start") == "2020-11-17T17:30:00.000Z"
    assert event.get("stale") == "2020-11-17T17:30:04.000Z"
    assert 3 * NS <= STALE_NS <= 5 * NS


def test_the_impact_is_an_ellipse_until_it_is_due(site: Site) -> None:
    picture = picture_of(site)
    event = parsed(picture.events(T0))["impact.7"]
    ellipse = event.find("detail/shape/ellipse")
    assert event.get("type") == "u-d-c-e"
    assert [float(ellipse.get(k)) for k in ("major", "minor", "angle")] == [240.0, 90.0, 37.0]
    assert float(event.find("point").get("ce")) >= 240.0  # MITRE: the point's circle holds the whole shape
    assert event.find("detail/remarks").text == "impact due at 17:30:12 UTC, inside with 95 %"
    assert parsed(picture.events(T0 + 12 * NS))["impact.7"].get("type") == "t-x-d-d"


def test_a_zone_under_warning_is_its_polygon(site: Site) -> None:
    event = parsed(picture_of(site).events(T0))["zone.inner.0"]
    corners = [tuple(map(float, link.get("point").split(","))) for link in event.iterfind("detail/link")]
    ring = site.zones[0].rings[0][0]
    assert event.get("type") == "u-d-f"
    assert corners[0] == corners[-1]
    assert corners == [pytest.approx((lat, lon), abs=6e-6) for lon, lat in ring]
    point = event.find("point")
    away = [Geod(ellps="WGS84").inv(float(point.get("lon")), float(point.get("lat")), lon, lat)[2] for lon, lat in ring]
    assert max(away) * 0.99 <= float(point.get("ce")) <= max(away) * 1.01
    assert event.find("detail/contact").get("callsign") == "alert Compound"


def test_a_ring_of_many_corners_is_drawn_simpler_where_it_is() -> None:
    from shapely import Polygon

    ring = tuple((44.4 + 0.01 * math.sin(a / 100.0), 33.3 + 0.01 * math.cos(a / 100.0)) for a in range(628))
    shape = Polygon(drawn(ring))
    assert len(shape.exterior.coords) <= MAX_CORNERS + 1
    assert shape.symmetric_difference(Polygon(ring)).area < 0.1 * Polygon(ring).area


def test_what_is_gone_is_taken_off_once(site: Site) -> None:
    picture = picture_of(site)
    uids = {event.get("uid") for event in parsed(picture.events(T0)).values()}
    picture.see([DRONE])
    picture.tell(warning(9.0, "inner", "all-clear"))
    gone = [e for e in map(etree.fromstring, picture.events(T0 + NS)) if e.get("type") == "t-x-d-d"]
    assert {e.find("detail/link").get("uid") for e in gone} == {e.get("uid") for e in gone}
    assert {e.get("uid").rpartition("Actual.")[2] for e in gone} == {"track.7", "impact.7", "zone.inner.0"}
    assert {e.get("uid") for e in gone} < uids
    assert len(list(picture.events(T0 + 2 * NS))) == 1


def test_what_falls_first_is_sent_where_there_is_too_much(site: Site) -> None:
    picture = TakPicture(site, Source("s", "run", Provenance.LIVE))
    seen = [msgspec.structs.replace(ROCKET, track=i, impact_ns=T0 + (900 - i) * NS) for i in range(MAX_TRACKS)]
    picture.see([*[msgspec.structs.replace(DRONE, track=1_000 + i) for i in range(5)], *seen])
    sent = parsed(picture.events(T0))
    assert sum(name.startswith("track.") for name in sent) == MAX_TRACKS
    assert "track.1000" not in sent
    assert picture.left_out == 5


def test_birds_and_gunfire_are_left_out(site: Site) -> None:
    picture = TakPicture(site, Source("s", "run", Provenance.LIVE))
    picture.see([msgspec.structs.replace(DRONE, cls=cls) for cls in ("bird", "gunfire")])
    assert list(picture.events(T0)) == []


def test_every_class_has_a_type() -> None:
    types = {cls: type_of(cls, falls=False, status="Actual") for cls in catalogue()}
    assert types["rocket-122"] == "a-h-A-W-M-S-S"
    assert types["quadcopter"] == "a-s-A-M-H-Q"
    assert types["helicopter"] == "a-n-A-C-H"
    assert type_of("unknown", falls=True, status="Actual") == "a-s-A-W"
    assert type_of("unknown", falls=False, status="Actual") == "a-u-A"


# ---- what is not actual --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("provenance", "mark"), [(Provenance.SIMULATION, "EXERCISE"), (Provenance.REPLAY, "TEST")])
def test_a_simulation_says_so_five_times_over(site: Site, provenance: Provenance, mark: str) -> None:
    events = list(picture_of(site, provenance).events(T0))
    for event in map(etree.fromstring, events):
        assert event.get("opex", "").startswith("s")
        assert event.get("how") == "m-s"
        assert event.find("detail/contact").get("callsign", "").startswith(f"{mark} ")
        assert event.find("detail/remarks").text.startswith(f"{mark}: not a real event.")
        assert not event.get("type", "").startswith(("a-h", "a-s"))
    assert parsed(events)["track.7"].get("type") == "a-k-A-W-M-S-S"
    assert parsed(events)["track.8"].get("type") == "a-j-A-M-F-Q"


def test_a_drill_on_a_live_system_is_an_exercise_beside_the_real_thing(site: Site) -> None:
    picture = picture_of(site)
    picture.tell(warning(1.0, "inner", "alert", kind="drill"))
    zones = [e for e in map(etree.fromstring, picture.events(T0)) if "zone" in e.get("uid", "")]
    assert [(e.get("opex"), e.find("detail/contact").get("callsign")) for e in zones] == [
        ("o", "alert Compound"),
        ("e-opencram", "EXERCISE alert Compound"),
    ]
    picture.tell(warning(2.0, "inner", "all-clear", kind="drill"))
    left = [e.get("type") for e in map(etree.fromstring, picture.events(T0 + NS)) if "zone" in e.get("uid", "")]
    assert left == ["u-d-f", "t-x-d-d"]


GOOD: dict[str, Any] = {"uid": "u", "type": "a-h-A", "how": "m-r", "opex": "o", "time_ns": T0, "stale_ns": T0 + NS,
                        "lat_deg": 33.0, "lon_deg": 44.0}  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"uid": ""}, {"uid": "a b"}, {"type": "x-y"}, {"type": "a"}, {"type": "a--b"}, {"how": "m"}, {"opex": ""},
        {"opex": "x"}, {"stale_ns": T0}, {"time_ns": -1}, {"lat_deg": 91.0}, {"lat_deg": math.nan}, {"lon_deg": -181.0},
        {"hae_m": math.inf}, {"ce_m": -1.0}, {"le_m": math.nan},
    ],
)  # fmt: skip
def test_an_event_that_cannot_be_is_not_made(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong)).split("_")[0]):
        replace(Event(**GOOD), **wrong)


# ---- another's decoder ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("provenance", Provenance)
def test_taks_own_codec_reads_what_was_sent(site: Site, provenance: Provenance) -> None:
    for event in picture_of(site, provenance).events(T0):
        sent = etree.fromstring(event)
        read = takproto.parse_proto(takproto.xml2proto(event.decode(), takproto.TAKProtoVer.MESH)).cotEvent
        assert (read.uid, read.type, read.how, read.opex) == tuple(sent.get(k) for k in ("uid", "type", "how", "opex"))
        assert (read.sendTime, read.startTime, read.staleTime) == (T0 // 10**6, T0 // 10**6, (T0 + STALE_NS) // 10**6)
        for name in ("lat", "lon", "hae", "ce", "le"):
            assert getattr(read, name) == pytest.approx(float(sent.find("point").get(name)), abs=1e-7)
        assert read.detail.contact.callsign == sent.find("detail/contact").get("callsign")
        if (track := sent.find("detail/track")) is not None:
            assert read.detail.track.course == float(track.get("course"))
            assert read.detail.track.speed == float(track.get("speed"))


# ---- sockets -------------------------------------------------------------------------------------------------------

EVENTS = [b"<event>1</event>\n", b"<event>2</event>\n"]


async def until(true: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def running(link: TakLink) -> Any:
    task = asyncio.ensure_future(link.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def run(test: Awaitable[None]) -> None:
    async def whole() -> None:
        await test

    asyncio.run(whole())


def test_each_event_is_a_datagram() -> None:
    async def test() -> None:
        hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hears.bind(("127.0.0.1", 0))
        hears.settimeout(5.0)
        link = tak_link(f"udp://127.0.0.1:{hears.getsockname()[1]}")
        assert isinstance(link, TakDatagrams)
        link.send(EVENTS)
        assert link.unsent == 2  # not open yet
        async with running(link):
            await until(lambda: link._socket is not None)
            link.send(EVENTS)
            assert [await asyncio.to_thread(hears.recv, 65_536) for _ in EVENTS] == EVENTS
        hears.close()

    run(test())


def test_the_multicast_group_of_tak_is_reached() -> None:
    async def test() -> None:
        hears = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        hears.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        hears.bind(("239.2.3.1", 0))
        group = socket.inet_aton("239.2.3.1") + socket.inet_aton("127.0.0.1")
        hears.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
        hears.settimeout(5.0)
        link = TakDatagrams("239.2.3.1", hears.getsockname()[1])
        async with running(link):
            await until(lambda: link._socket is not None)
            assert link._socket is not None
            link._socket.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            link.send(EVENTS[:1])
            assert await asyncio.to_thread(hears.recv, 65_536) == EVENTS[0]
        hears.close()

    run(test())


class Server:
    """A TAK server as far as it listens."""

    def __init__(self) -> None:
        self.got, self.writers, self.port = bytearray(), list[asyncio.StreamWriter](), 0

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                self.got += data

    async def stop(self) -> None:
        self._server.close()
        for writer in self.writers:
            writer.transport.abort()
        self.writers.clear()
        await asyncio.sleep(0)


def test_a_stream_is_opened_again_and_nothing_old_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opencram.outputs.tak_link.BACK_OFF_S", (0.02, 0.1))

    async def test() -> None:
        server = Server()
        await server.start()
        link = tak_link(f"tcp://127.0.0.1:{server.port}")
        assert isinstance(link, TakStream)
        async with running(link):
            await until(lambda: link._writer is not None)
            link.send(EVENTS)
            await until(lambda: server.got == b"".join(EVENTS))
            await server.stop()
            await until(lambda: link._writer is None)
            link.send(EVENTS)
            assert link.unsent == 2
            server.got.clear()
            await server.start()
            await until(lambda: link._writer is not None)
            link.send([b"<event>3</event>\n"])
            await until(lambda: bool(server.got))
            assert server.got == b"<event>3</event>\n"
        await server.stop()

    run(test())


def test_a_server_that_takes_nothing_costs_events_and_no_memory() -> None:
    async def test() -> None:
        held = asyncio.Event()

        async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.pause_reading()
            await held.wait()
            writer.close()

        server = await asyncio.start_server(deaf, "127.0.0.1", 0)
        link = TakStream("127.0.0.1", server.sockets[0].getsockname()[1])
        async with running(link):
            await until(lambda: link._writer is not None)
            for _ in range(200):
                link.send([b"x" * 65_536])
                await asyncio.sleep(0)
            assert link.unsent > 0
            assert link._writer is not None
            assert link._writer.transport.get_write_buffer_size() <= MAX_WAITING_BYTES
        held.set()
        server.close()

    run(test())


@pytest.mark.parametrize(
    "url",
    ["", "239.2.3.1:6969", "udp://:6969", "udp://host", "http://host:1", "tcp://h:99999", "tcp://u@h:1", "udp://h:1/x"],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"--tak: found '.*', expected udp://HOST:PORT or tcp://HOST:PORT"):
        tak_link(url)
