"""ASTERIX files: captures and blocks, beside Wireshark, and real recordings from the sender to the run folder."""

import json
import random
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asterix_site import SECOND_NS, T0_NS, at, rows, sensor, target
from opencram.asterix.inspect import Message
from opencram.asterix.records import Refused
from opencram.asterix.write import encode_plots, encode_service
from opencram.check import check_file
from opencram.drive.replay import replay
from opencram.errors import InputError
from opencram.record.asterix import AsterixFile, read_asterix
from opencram.record.asterix_words import as_json_lines, as_text
from opencram.record.capture import read_capture
from small_site import position, square
from test_asterix import bits_of, read_by_oracle

ROOT = Path(__file__).resolve().parent.parent
RECORDINGS = ROOT.parent / "shared" / "data" / "asterix"
"""Real radars' recordings, under a licence that keeps them out of this tree."""

RECORDED = ("cat_034_048.pcap", "cat_062_065.pcap", "cat034.raw", "cat048.raw", "cat062cat065.raw")


def recording(name: str) -> Path:
    if not RECORDINGS.is_dir():
        pytest.skip("the recordings are not beside this tree")
    return RECORDINGS / name


# ---- captures, made here -----------------------------------------------------------------------------------------


def ipv4(data: bytes, sender: str = "10.0.0.1", proto: int = 17, fragment: int = 0) -> bytes:
    udp = struct.pack(">HHHH", 21_000, 8_600, 8 + len(data), 0) + data
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(udp), 1, fragment, 9, proto, 0)
    return head + bytes(map(int, sender.split("."))) + bytes([239, 1, 2, 3]) + udp


def ipv6(data: bytes) -> bytes:
    udp = struct.pack(">HHHH", 21_000, 8_600, 8 + len(data), 0) + data
    return struct.pack(">IHBB", 0x60000000, len(udp), 17, 9) + bytes(15) + b"\x01" + bytes(15) + b"\x02" + udp


def ethernet(packet: bytes, kind: int = 0x0800, tags: bytes = b"") -> bytes:
    return bytes(12) + tags + kind.to_bytes(2) + packet


def pcap(*frames: tuple[float, bytes], link: int = 1, order: str = "<", nanoseconds: bool = False) -> bytes:
    magic, unit = (0xA1B23C4D, 1) if nanoseconds else (0xA1B2C3D4, 1000)
    out = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65_535, link)
    for time_s, frame in frames:
        seconds, parts = divmod(at(time_s), SECOND_NS)
        out += struct.pack(f"{order}IIII", seconds, parts // unit, len(frame), len(frame)) + frame
    return out


def pcapng(*frames: tuple[float, bytes], order: str = "<", resolution: int | None = None) -> bytes:
    def block(kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return struct.pack(f"{order}II", kind, 12 + len(body)) + body + struct.pack(f"{order}I", 12 + len(body))

    options = b"" if resolution is None else struct.pack(f"{order}HHBxxxHH", 9, 1, resolution, 0, 0)
    out = block(0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))
    out += block(1, struct.pack(f"{order}HHI", 1, 0, 0) + options)
    for time_s, frame in frames:
        ticks = at(time_s) * 10 ** (6 if resolution is None else resolution) // SECOND_NS
        head = struct.pack(f"{order}IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, len(frame), len(frame))
        out += block(6, head + frame)
    return out


@pytest.mark.parametrize(
    "data",
    [
        pcap((0.5, ethernet(ipv4(b"plots")))),
        pcap((0.5, ethernet(ipv4(b"plots"))), order=">"),
        pcap((0.5, ethernet(ipv4(b"plots"))), nanoseconds=True),
        pcap((0.5, ethernet(ipv4(b"plots"), tags=b"\x81\x00\x00\x05"))),
        pcap((0.5, ethernet(ipv4(b"plots") + bytes(7)))),
        pcap((0.5, ipv4(b"plots")), link=101),
        pcap((0.5, b"\x02\x00\x00\x00" + ipv4(b"plots")), link=0),
        pcap((0.5, bytes(14) + b"\x08\x00" + ipv4(b"plots")), link=113),
        pcap((0.5, b"\x08\x00" + bytes(18) + ipv4(b"plots")), link=276),
        pcapng((0.5, ethernet(ipv4(b"plots")))),
        pcapng((0.5, ethernet(ipv4(b"plots"))), order=">"),
        pcapng((0.5, ethernet(ipv4(b"plots"))), resolution=9),
    ],
)
def test_every_kind_of_capture_gives_its_datagrams(data: bytes) -> None:
    capture = read_capture(data)
    assert capture.left_out == {}
    (packet,) = capture.packets
    assert (packet.time_ns, packet.address, packet.data) == (at(0.5), "10.0.0.1", b"plots")
    assert data[packet.at : packet.at + 5] == b"plots"


def test_ipv6_is_read_too() -> None:
    (packet,) = read_capture(pcap((0.0, ethernet(ipv6(b"plots"), 0x86DD)))).packets
    assert (packet.address, packet.data) == ("::1", b"plots")


def test_what_is_no_datagram_is_left_out_and_counted() -> None:
    frames = [
        (0.0, ethernet(ipv4(b"plots"))),
        (0.1, ethernet(ipv4(b"plots", proto=6))),
        (0.2, ethernet(bytes(46), 0x0806)),
        (0.3, ethernet(ipv4(b"plots", fragment=0x2000))),
        (0.4, ethernet(ipv4(b"plots")[:-2])),
    ]
    capture = read_capture(pcap(*frames)[:-1])
    assert len(capture.packets) == 1
    assert capture.left_out == {
        "packets in fragments": 1,
        "packets that are not IP": 1,
        "packets that are not UDP": 1,
        "packets that were not captured whole": 1,
    }


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_a_damaged_capture_is_read_as_far_as_it_goes(seed: int, next_generation: bool) -> None:
    rng = random.Random(seed)
    frames = [(0.1 * k, ethernet(ipv4(rng.randbytes(20)))) for k in range(5)]
    data = bytearray((pcapng if next_generation else pcap)(*frames))
    for _ in range(rng.randrange(4)):
        data[rng.randrange(4, len(data))] = rng.randrange(256)
    del data[rng.randrange(24, len(data) + 1) :]
    capture = read_capture(bytes(data))
    assert len(capture.packets) + sum(capture.left_out.values()) <= 8


# ---- beside the oracles -------------------------------------------------------------------------------------------


def ours(file: AsterixFile) -> list[Message]:
    found = [message for _, _, message in file.messages()]
    assert not any(isinstance(message, Refused) for message in found)
    return [message for message in found if isinstance(message, Message)]


@pytest.mark.parametrize("name", RECORDED)
def test_recordings_are_read_as_libasterix_reads_them(name: str) -> None:
    file = read_asterix(recording(name))
    theirs = []
    for packet in file.packets:
        start = 0
        while start < len(packet.data):
            length = int.from_bytes(packet.data[start + 1 : start + 3])
            found = read_by_oracle(packet.data[start], packet.data[start + 3 : start + length])
            assert found is not None
            theirs += [bits_of(record) for record in found]
            start += length
    mine = ours(file)
    assert len(mine) == len(theirs)
    for message, other in zip(mine, theirs, strict=True):
        assert set(message.record) == set(other)
    if name == "cat_034_048.pcap":
        assert sorted(m.category for m in mine) == [34] * 34 + [48] * 128
        assert sum("110/3DH" in m.record for m in mine) == 48


def tshark(path: Path, ports: list[int], *fields: str) -> list[list[str]]:
    """A row of fields for each packet, as Wireshark reads them."""
    if not shutil.which("tshark"):
        pytest.skip("tshark is not installed")
    command = ["tshark", "-r", str(path), "-T", "fields", "-E", "separator=;", "-E", "occurrence=a"]
    command += [part for port in ports for part in ("-d", f"udp.port=={port},asterix")]
    command += [part for field in fields for part in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return [line.split(";") for line in done.stdout.splitlines()]


def together(lines: list[list[str]], column: int) -> list[float]:
    return [float(value) for line in lines for value in line[column].split(",") if value]


def test_the_capture_of_real_radars_is_read_as_wireshark_reads_it() -> None:
    """Times of day, ranges, azimuths, codes, heights, sectors of every record."""
    path = recording("cat_034_048.pcap")
    ports = sorted({int(line[0]) for line in tshark(path, [], "udp.dstport")})
    fields = ["048_140_VALUE", "048_040_RHO", "048_040_THETA", "048_110_3DH", "034_030_VALUE"]
    known = subprocess.run(["tshark", "-G", "fields"], capture_output=True, text=True, check=True).stdout
    found = {name: f"asterix.{name}" for name in fields if f"\tasterix.{name}\t" in known}
    lines = tshark(path, ports, *found.values())
    paths = {
        **{"048_140_VALUE": (48, "140"), "048_040_RHO": (48, "040/RHO"), "034_030_VALUE": (34, "030")},
        **{"048_040_THETA": (48, "040/THETA"), "048_110_3DH": (48, "110/3DH")},
    }
    mine = ours(read_asterix(path))
    compared = 0
    for column, name in enumerate(found):
        category, field = paths[name]
        expected = [m.record[field] for m in mine if m.category == category and field in m.record]
        assert together(lines, column) == pytest.approx(expected, abs=1e-4), name
        compared += len(expected)
    assert compared > 300


def test_what_we_write_is_read_by_wireshark(tmp_path: Path) -> None:
    plots = rows(0.5, 30, scan_end=True)
    path = tmp_path / "ours.pcap"
    path.write_bytes(pcap(*((0.6, ethernet(ipv4(data))) for data in encode_plots(plots, 7, 9))))
    names = ("015_145_VALUE", "015_625_R_VALUE", "015_626_DV_VALUE", "015_627_AZ_VALUE", "015_628_EL_VALUE")
    lines = tshark(path, [8_600], *(f"asterix.{name}" for name in names))
    time_s, range_m, doppler, az, el = (together(lines, column) for column in range(5))
    assert time_s == [64_800.5] * 30
    assert range_m == pytest.approx(plots.columns["range_m"], abs=0.01)
    assert doppler == pytest.approx([-200.5] * 30)
    assert az == pytest.approx([90.0] * 30)
    assert el == pytest.approx([30.0] * 30, abs=0.003)
    marks = tshark(path, [8_600], "asterix.category")
    assert marks[-1][0].split(",") == ["15", "34"]


# ---- through the pipeline ------------------------------------------------------------------------------------------


def site_file(folder: Path, sensors: list[dict[str, Any]]) -> Path:
    """A site whose radars stand at its origin, with a zone to the east, as files."""
    (zone,) = [square("east", 500.0, 0.0)]
    geometry = {"type": "Polygon", "coordinates": zone["rings"][0]}
    feature = {"type": "Feature", "properties": {"id": zone["id"]}, "geometry": geometry}
    document = {"name": "files", "origin": {**position(0.0, 0.0), "height_m": 0}, "zones": "zones.geojson"}
    (folder / "site.yaml").write_text(json.dumps(document | {"sensors": sensors}))
    (folder / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return folder / "site.yaml"


def falling(step: int) -> dict[str, float]:
    """Where a radar sees a bomb at step k of 0.1 s, along a parabola that comes down 500 m east of it."""
    left_s = 20.0 - 0.1 * step
    east, up = 500.0 + 150.0 * left_s, 0.5 * 9.81 * left_s * (22.0 - left_s)
    reach = float(np.hypot(east, up))
    return {"range_m": round(reach, 1), "azimuth_deg": 90.0, "elevation_deg": float(np.degrees(np.arctan2(up, east)))}


def play(path: Path, site: Path, out: Path) -> Any:
    return replay(path, str(site), out, None, None, None, "en")


def test_a_capture_gives_the_tracks_and_impacts_of_the_same_plots_in_a_table(tmp_path: Path) -> None:
    site = site_file(tmp_path, [sensor("one", 1)])
    frames, table = [], ["time,sensor,range_m,azimuth_deg,elevation_deg"]
    for step in range(80):
        seen = rows(0.1 * step, range_rate_mps=None, snr_db=None, **falling(step))
        frames += [(0.1 * step + 0.01, ethernet(ipv4(data))) for data in encode_plots(seen, 1, 1, simulated=False)]
        time = np.datetime64(T0_NS + round(step * 12.8) * 7_812_500, "ns")
        place = falling(step)
        table.append(f"{time}Z,one,{place['range_m']},{place['azimuth_deg']},{place['elevation_deg']}")
    (tmp_path / "radar.pcap").write_bytes(pcap(*frames))
    (tmp_path / "plots.csv").write_text("\n".join(table) + "\n")
    heard = play(tmp_path / "radar.pcap", site, tmp_path / "a").summary
    read = play(tmp_path / "plots.csv", site, tmp_path / "b").summary
    assert heard["tracks_confirmed"] == read["tracks_confirmed"] == 1
    ends = [pq.read_table(tmp_path / run / "tables" / "impacts.parquet")["impact_east_m"] for run in "ab"]
    assert ends[0][-1].as_py() == pytest.approx(ends[1][-1].as_py(), abs=30.0)
    assert len(ends[0]) > 10
    again = replay(tmp_path / "a" / "recording.mcap", None, tmp_path / "c", None, None, None, "en").summary
    assert again["digest"] == heard["digest"]


def test_target_reports_alone_make_no_impact(tmp_path: Path) -> None:
    """The same bomb seen by a radar that measures no elevation: whatever is tracked, nobody is warned of an impact."""
    radar = sensor("round", 3, elevation_sigma_mrad=None)
    site = site_file(tmp_path, [radar])
    frames = []
    for step in range(80):
        place = falling(step)
        report = target(0.1 * step, **{"040__RHO": place["range_m"] / 1852.0, "120__CAL__CAL": None})
        frames.append((0.1 * step + 0.01, ethernet(ipv4(report))))
    (tmp_path / "radar.pcap").write_bytes(pcap(*frames))
    summary = play(tmp_path / "radar.pcap", site, tmp_path / "out").summary
    assert len(pq.read_table(tmp_path / "out" / "tables" / "plots.parquet")) == 80
    assert len(pq.read_table(tmp_path / "out" / "tables" / "impacts.parquet")) == 0
    assert all(zone["first_alert"] is None for zone in summary["zones"])


def test_the_capture_of_real_radars_goes_through_the_pipeline(tmp_path: Path) -> None:
    """Redundant networks, seven radars: each report is a plot once, or counted with its reason."""
    path = recording("cat_034_048.pcap")
    messages = ours(read_asterix(path))
    codes = sorted({(int(m.record["010/SAC"]), int(m.record["010/SIC"])) for m in messages})
    both = {"addresses": ["10.17.58.183", "10.17.58.184"]}
    sensors = [
        {**sensor(f"radar-{sac}-{sic}", 0), "asterix": {"sac": sac, "sic": sic, **both}, "kind": "rotating"}
        | {"update_s": 4.0, "elevation_sigma_mrad": None, "position": position(0.0, 0.0)}
        | {"coverage": {"max_range_m": 400_000.0}}
        for sac, sic in codes
    ]
    summary = play(path, site_file(tmp_path, sensors), tmp_path / "out").summary
    plots = pq.read_table(tmp_path / "out" / "tables" / "plots.parquet")
    refused = {}
    for reject in summary["rejects"]:
        refused[reject["reason"]] = refused.get(reject["reason"], 0) + reject["count"]
    assert len(plots) + sum(refused.values()) == 128
    assert len(plots) > 20
    assert refused["duplicate"] > 20
    assert set(refused) == {"duplicate", "no detection"}


def seen_at(time_s: float) -> list[bytes]:
    """A plot of its own for each time: what repeats its values is refused."""
    return encode_plots(rows(time_s, range_m=5000.0 + round(100.0 * (time_s % 10.0), 1)), 1, 1, simulated=False)


def test_a_file_of_blocks_takes_its_times_from_what_was_measured(tmp_path: Path) -> None:
    site = site_file(tmp_path, [sensor("one", 1)])
    midnight_s = 6 * 3_600.0
    blocks = [b for k in range(4) for b in seen_at(midnight_s - 0.2 + 0.1 * k)]
    path = tmp_path / "radar.ast"
    path.write_bytes(b"".join(blocks))
    file = read_asterix(path)
    assert np.diff(file.received_ns).tolist() == pytest.approx([1e8] * 3, abs=8e6)
    assert f"{np.datetime64(int(file.received_ns[0]), 'ns')}".startswith("1970-01-02T23:59:59")
    assert f"{np.datetime64(int(file.received_ns[3]), 'ns')}".startswith("1970-01-03T00:00:00")
    dated = replay(path, str(site), tmp_path / "out", "2020-11-17T00:00:00Z", None, None, "en")
    assert dated.summary["rejects"] == []
    times = pq.read_table(tmp_path / "out" / "tables" / "plots.parquet")["time"]
    assert [str(np.datetime64(t.value, "ns"))[:10] for t in times] == ["2020-11-17"] * 2 + ["2020-11-18"] * 2


# ---- in words -----------------------------------------------------------------------------------------------------


def test_a_file_is_told_record_by_record(tmp_path: Path) -> None:
    path = tmp_path / "radar.pcap"
    data = encode_plots(rows(0.5), 1, 1)[0] + encode_service(1, at(0.5), 1, 1) + b"\x15\x00\x04\x80\x0f\x00\x05\x80\x01"
    path.write_bytes(pcap((0.75, ethernet(ipv4(data))), (0.8, ethernet(ipv4(b"x", proto=6)))))
    file = read_asterix(path)
    text = list(as_text(file))
    head = "octet 82, 2020-11-17T18:00:00.750000000Z, from 10.0.0.1: category 015, "
    assert text[0] == head + "independent non-cooperative surveillance: plots"
    assert "  625 Range Information: R 5000.1 m, RR -200.5 m/s" in text
    assert "  010 Data Source Identifier: SAC 1, SIC 1" in text
    assert any(line.endswith("category 021: refused: is not read, expected 015, 034, 048, 062, 065") for line in text)
    assert any("category 015, item 010: refused: overruns its block" in line for line in text)
    assert "category 015: 1, category 034: 1, refused: 2" in text[-2]
    assert text[-1].endswith("left out 1 packets that are not UDP")
    lines = [json.loads(line) for line in as_json_lines(file)]
    assert [line.get("category") for line in lines] == [15, 34, 21, 15]
    assert lines[0]["record"]["625/R"] == pytest.approx(5000.1)
    assert lines[3]["refused"] == "overruns its block"
    assert path.read_bytes()[lines[3]["octet"]] == 15
    assert check_file(path).startswith("ASTERIX, category 015: 1, category 034: 1, refused: 2")


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("a.pcap", b"hello", "octet 0: found 68 65 6c 6c, expected a capture"),
        ("a.pcap", pcap(), "found no packets, expected UDP datagrams"),
        ("a.pcap", pcap((0.0, ethernet(bytes(46), 0x0806))), "found 1 packets that are not IP, expected UDP"),
        ("a.raw", b"hello", "octet 0: states a length of 25964, expected 4 to 5; expected ASTERIX data blocks"),
        ("a.raw", b"", "found 0 octets"),
    ],
)
def test_what_is_no_asterix_file_is_told(tmp_path: Path, name: str, data: bytes, found: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError, match=found):
        read_asterix(tmp_path / name)


def test_a_file_without_a_plot_that_can_be_used_is_told(tmp_path: Path) -> None:
    site = site_file(tmp_path, [sensor("one", 1)])
    path = tmp_path / "radar.pcap"
    path.write_bytes(pcap((0.5, ethernet(ipv4(encode_service(1, at(0.5), 1, 1))))))
    with pytest.raises(InputError, match="found no plots in 1 messages"):
        play(path, site, tmp_path / "out")
    path.write_bytes(pcap((0.5, ethernet(ipv4(encode_plots(rows(0.5), 9, 9)[0])))))
    with pytest.raises(InputError, match="none that can be used; unknown source: SAC 9 SIC 9 from 10"):
        play(path, site, tmp_path / "out2")
