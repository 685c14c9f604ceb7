"""Tracks sent as category 062: what others' decoders read is what was tracked, and a simulation says that it is one."""

from __future__ import annotations

import json
import math
import socket
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opencram.asterix.records import HEADER
from opencram.errors import InputError
from opencram.outputs.cap import Provenance
from opencram.physics.layout import layout_of
from opencram.record.recording import Recording
from opencram.serve.tracks_out import AT_ONCE, ENDED_NS, MAX_WAITING, TracksOut, sac_sic
from opencram.site import Site, load_site
from opencram.tables import CONFIRMED, Outbox
from outboxes import outbox_of
from services import Village
from test_asterix import bits_of, read_by_oracle
from test_asterix_files import ethernet, ipv4, pcap, tshark

NOW_NS = 1_700_000_000_000_000_000
DEGREES = 180 / 2**25


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site("baghdad-embassy")


class Heard:
    """A socket that others would listen on."""

    def __init__(self) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.2)
        self.at = f"127.0.0.1:{self.socket.getsockname()[1]}"
        self.datagrams: list[bytes] = []

    def listen(self, enough: float = math.inf) -> list[dict[str, int]]:
        """All that has come, or `enough`, as libasterix reads it: the records' bits by our paths."""
        found: list[dict[str, int]] = []
        try:
            while len(found) < enough:
                self.datagrams.append(self.socket.recv(65_536))
                found += records_of(self.datagrams[-1])
        except TimeoutError:
            pass
        return found

    def close(self) -> None:
        self.socket.close()


def records_of(data: bytes) -> list[dict[str, int]]:
    assert (data[0], int.from_bytes(data[1:3])) == (62, len(data)), "one block of category 062"
    theirs = read_by_oracle(62, data[HEADER:])
    assert theirs is not None
    return [bits_of(one) for one in theirs]


@pytest.fixture
def heard() -> Any:
    made = Heard()
    yield made
    made.close()


def signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


@pytest.mark.parametrize(("provenance", "simulated"), [
    (Provenance.LIVE, 0), (Provenance.SIMULATION, 1), (Provenance.REPLAY, 1),
])  # fmt: skip
def test_a_track_says_where_it_is_and_whether_it_is_simulated(
    heard: Heard, site: Site, provenance: Provenance, simulated: int
) -> None:
    out, outbox = TracksOut(site, provenance, [heard.at], "25/100"), outbox_of(NOW_NS, 1)
    out.tell(outbox, NOW_NS)
    out.close()
    found = {record["040"]: record for record in heard.listen()}
    assert sorted(found) == sorted(outbox.tracks.track.tolist())
    layout = layout_of(site)
    for row, track in enumerate(outbox.tracks.track.tolist()):
        record = found[track]
        assert (record["010/SAC"], record["010/SIC"], record["080/SIM"], record["080/CNF"]) == (25, 100, simulated, 0)
        lat, lon = layout.latlon_deg(outbox.tracks.mean[row : row + 1, :3])[0]
        assert signed(record["105/LAT"], 32) * DEGREES == pytest.approx(lat, abs=DEGREES)
        assert signed(record["105/LON"], 32) * DEGREES == pytest.approx(lon, abs=DEGREES)


def test_few_are_sent_after_a_tick_and_those_that_were_sent_longest_ago(heard: Heard, site: Site) -> None:
    out, outbox = TracksOut(site, Provenance.LIVE, [heard.at], "0/0"), outbox_of(NOW_NS, 1, tracks=25)
    seen: list[int] = []
    for tick in range(5):
        out.tell(outbox, NOW_NS + tick)
        now = [record["040"] for record in heard.listen()]
        assert len(now) == AT_ONCE
        seen += now
    out.close()
    assert sorted(seen) == sorted(2 * outbox.tracks.track.tolist()), "each as often as every other"


def test_a_track_that_is_no_more_is_told_once(heard: Heard, site: Site) -> None:
    out, nothing = TracksOut(site, Provenance.SIMULATION, [heard.at], "0/0"), outbox_of(NOW_NS, 1, tracks=0)
    out.tell(outbox_of(NOW_NS, 1, tracks=2), NOW_NS)
    out.tell(nothing, NOW_NS + ENDED_NS)
    assert sorted(record["040"] for record in heard.listen()) == [1, 2]
    for more in (1, 2):
        out.tell(nothing, NOW_NS + ENDED_NS + more)
    ended = heard.listen()
    out.close()
    assert sorted(record["040"] for record in ended) == [1, 2]
    assert {(record["080/TSE"], record["080/SIM"]) for record in ended} == {(1, 1)}


def test_what_is_not_confirmed_or_too_much_is_not_sent(heard: Heard, site: Site) -> None:
    out, outbox = TracksOut(site, Provenance.LIVE, [heard.at], "0/0"), outbox_of(NOW_NS, 1, tracks=4)
    outbox.tracks.status[1:] = 1 - CONFIRMED
    out.tell(outbox, NOW_NS)
    assert [record["040"] for record in heard.listen()] == outbox.tracks.track[:1].tolist()
    out.tell(many(MAX_WAITING + 7), NOW_NS)
    out.close()
    assert out.counts()["CAT062: tracks left out"] == 7


def many(tracks: int) -> Outbox:
    found = outbox_of(NOW_NS, 2, tracks=tracks, classes=1)
    assert len(np.unique(found.tracks.track)) == tracks
    return found


@pytest.mark.parametrize("text", ["25", "256/1", "1/256", "a/b", "-1/2", "1/2/3", ""])
def test_codes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected SAC/SIC such as 25/100"):
        sac_sic(text)
    assert sac_sic("25/100") == (25, 100)


def test_a_play_s_tracks_are_marked_as_simulated_on_the_wire(heard: Heard, tmp_path: Path) -> None:
    """What a real service sends, as libasterix reads it, beside what it has recorded."""
    options = ["--play", "baghdad-2020-11-17", "--asterix-out", heard.at, "--asterix-code", "25/100"]
    with Village(tmp_path, "baghdad-embassy", *options) as village:
        village.start_service()
        records: list[dict[str, int]] = []
        ends_s = time.monotonic() + 60.0
        while len(records) < 30 and time.monotonic() < ends_s:
            records += heard.listen(enough=30)
        village.end("service")
        (path,) = village.record.glob("*.mcap")
    assert len(records) >= 30
    assert {(record["010/SAC"], record["010/SIC"], record["080/SIM"]) for record in records} == {(25, 100, 1)}
    told: dict[tuple[int, int], list[list[float]]] = {}
    for topic, _, _, data in Recording(path).messages():
        if topic == "/tracks":
            rows = json.loads(data)
            for time_ns, track, state in zip(rows["time_ns"], rows["track"], rows["state"], strict=True):
                key = track, round(time_ns * 1e-9 % 86_400 * 128) % (86_400 * 128)
                told.setdefault(key, []).append(state[:2])  # two radars may see it at the same moment
    places = [record for record in records if "100/X" in record]
    for record in places:
        sent_m = [signed(record[item], 24) / 2 for item in ("100/X", "100/Y")]
        assert any(sent_m == pytest.approx(m, abs=0.26) for m in told[(record["040"], record["070"])])


def test_what_is_sent_is_read_by_wireshark(heard: Heard, site: Site, tmp_path: Path) -> None:
    out, outbox = TracksOut(site, Provenance.SIMULATION, [heard.at], "25/100"), outbox_of(NOW_NS, 1)
    out.tell(outbox, NOW_NS)
    out.close()
    heard.listen()
    capture = tmp_path / "sent.pcap"
    capture.write_bytes(pcap(*((0.1 * n, ethernet(ipv4(data))) for n, data in enumerate(heard.datagrams))))
    assert tshark(capture, [8_600], "asterix.category") == [["62"]]
    ((simulated, number),) = tshark(capture, [8_600], "asterix.062_080_SIM", "asterix.062_040_VALUE")
    assert [int(text) for text in simulated.split(",")] == [1] * len(outbox.tracks)
    assert sorted(int(text, 16) for text in number.split(",")) == sorted(outbox.tracks.track.tolist())
