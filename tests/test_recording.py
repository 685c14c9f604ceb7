"""A recording gives back what went in, from any cut, and the same run gives the same bytes."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from mcap.reader import make_reader

from opencram.errors import InputError
from opencram.record.digest import DecisionDigest
from opencram.record.recording import Recorder, Recording, Tick
from opencram.tables import Effect, Input, Observation, OperatorAct, PlotRows
from outboxes import START_NS, engagement_of, outbox_of, warning_of

TICK_NS = 100_000_000
SITE = {"site.yaml": "name: here\n", "zones.geojson": "{}"}
SCENARIO = {"scenario.yaml": "name: raid\n"}
META = {"simulated": True, "seed": 3}


def inbox_of(now_ns: int, seq: int) -> list[Input]:
    """Plots, now and then an effect, an observation or an operator's act; every fifth tick is empty."""
    if seq % 5 == 0:
        return []
    columns = {"time": [now_ns / 1e9] * 3, "range_m": [1.25, "12", None], "sensor": ["radar-1"] * 3}
    plots = PlotRows(received_ns=now_ns, source="radar-1", columns=columns, scan_end=True)
    effect = Effect(time_ns=now_ns, engagement=seq, track=1, outcome="kill", east_m=0.1 * seq, north_m=-1.0, up_m=1e-7)
    seen = Observation(time_ns=now_ns, zone="east", kind="blast", source="sensor")
    act = OperatorAct(time_ns=now_ns, zone="east", act="alarm", by="watch")
    more = [act] if seq % 13 == 0 else []
    return [plots, *more, *([effect] if seq % 7 == 0 else []), *([seen] if seq % 11 == 0 else [])]


def write(path: Path, ticks: int = 60, tracks: int = 3) -> list[Tick]:
    """A recording of `ticks` ticks; returns what it should give back."""
    expected = []
    with Recorder(path, META, SITE, SCENARIO) as recorder:
        for seq in range(1, ticks + 1):
            now_ns = START_NS + seq * TICK_NS
            inbox, truth = inbox_of(now_ns, seq), {"time_ns": [now_ns], "object": ["R1"], "east_m": [seq * 0.1]}
            if seq % 20 == 1:
                recorder.snapshot(seq, now_ns, b"state %d" % seq)
            recorder.inputs(seq, now_ns, inbox, truth)
            recorder.outputs(seq, now_ns, outbox_of(now_ns, seq, tracks))
            expected.append(Tick(seq, now_ns, inbox, truth))
        recorder.truth(now_ns, {"objects": [{"id": "R1"}]})
    return expected


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Tick]]:
    path = tmp_path_factory.mktemp("recording") / "recording.mcap"
    return path, write(path)


def test_gives_back_what_went_in(recorded: tuple[Path, list[Tick]]) -> None:
    path, expected = recorded
    recording = Recording(path)
    assert recording.site_docs == SITE
    assert recording.scenario_docs == SCENARIO
    assert recording.meta == {"format": 1, **META}
    assert list(recording.ticks()) == expected
    assert not recording.truncated
    assert recording.truth == {"objects": [{"id": "R1"}]}


def test_begins_at_a_tick(recorded: tuple[Path, list[Tick]]) -> None:
    path, expected = recorded
    assert list(Recording(path).ticks(from_seq=41)) == expected[40:]


@pytest.mark.parametrize(("tick", "seq"), [(0, 1), (1, 1), (20, 1), (21, 21), (40, 21), (60, 41), (999, 41)])
def test_finds_the_last_snapshot_before_a_time(recorded: tuple[Path, list[Tick]], tick: int, seq: int) -> None:
    snapshot = Recording(recorded[0]).begin(START_NS + tick * TICK_NS).snapshot
    assert snapshot is not None
    assert (snapshot.seq, snapshot.state) == (seq, b"state %d" % seq)


def test_the_same_run_gives_the_same_bytes(recorded: tuple[Path, list[Tick]], tmp_path: Path) -> None:
    write(tmp_path / "again.mcap")
    assert (tmp_path / "again.mcap").read_bytes() == recorded[0].read_bytes()


def test_other_readers_find_every_message(recorded: tuple[Path, list[Tick]]) -> None:
    """The library's own indexed reader sees the same ticks, and channels with JSON in them."""
    with recorded[0].open("rb") as file:
        messages = list(make_reader(file).iter_messages())
    topics = {channel.topic for _, channel, _ in messages}
    assert topics >= {
        "/meta",
        "/site",
        "/scenario",
        "/tick",
        "/tracks",
        "/impacts",
        "/hypotheses",
        "/threats",
        "/plots",
    }
    assert topics >= {"/warnings", "/engagements", "/rejects", "/health", "/snapshot", "/truth"}
    ticks = [json.loads(m.data) for _, channel, m in messages if channel.topic == "/tick"]
    assert [t["seq"] for t in ticks] == list(range(1, 61))
    assert all(channel.message_encoding == "json" for _, channel, _ in messages)


def test_cut_at_any_byte_reads_up_to_the_cut(recorded: tuple[Path, list[Tick]], tmp_path: Path) -> None:
    path, expected = recorded
    whole = path.read_bytes()
    cut = tmp_path / "cut.mcap"
    sizes = [*range(0, 4096, 61), *range(4096, len(whole), 1499), *range(len(whole) - 40, len(whole))]
    counts = []
    for size in sizes:
        cut.write_bytes(whole[:size])
        counts.append(ticks_in_cut(cut, expected))
    assert counts == sorted(counts)
    assert counts[0] == -1
    assert 0 in counts
    assert counts[-1] == len(expected)


def ticks_in_cut(path: Path, expected: list[Tick]) -> int:
    """How many ticks a cut recording gives, all of them as they were; -1 where it is refused."""
    try:
        recording = Recording(path)
    except InputError:
        return -1
    ticks = list(recording.ticks())
    assert recording.truncated
    assert ticks == expected[: len(ticks)]
    return len(ticks)


def test_a_cut_loses_at_most_a_second(tmp_path: Path) -> None:
    """What a killed process leaves behind: a file without its end."""
    path = tmp_path / "killed.mcap"
    recorder = Recorder(path, META, SITE)
    for seq in range(1, 36):
        recorder.inputs(seq, START_NS + seq * TICK_NS, [])
    assert len(list(Recording(path).ticks())) >= 35 - 10
    recorder.close()


def test_damage_is_a_cut(recorded: tuple[Path, list[Tick]], tmp_path: Path) -> None:
    path, expected = recorded
    whole = path.read_bytes()
    damaged = tmp_path / "damaged.mcap"
    for place in range(2000, len(whole), 997):
        damaged.write_bytes(whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :])
        recording = Recording(damaged)
        ticks = list(recording.ticks())
        assert ticks == expected[: len(ticks)]


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "empty"),
        (b"time,sensor\n", "b'time,sen'"),
        (b"\x89MCAP0\r\n", "cut before its site"),
        (None, "No such file"),
    ],
)
def test_what_is_no_recording_is_refused_in_a_sentence(tmp_path: Path, content: bytes | None, found: str) -> None:
    path = tmp_path / "r.mcap"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=found) as error:
        Recording(path)
    assert str(path) in str(error.value)


def test_digest_is_the_hash_of_the_rounded_decisions_in_order() -> None:
    """The canonical text is written out here, so that it cannot change unseen."""
    warning = (
        '{"kind":"rocket","p_hit":0.71,"seconds_left":12.3,"state":"alert",'
        f'"time_ns":{START_NS},"tracks":[1,2],"zone":"east"}}\n'
    )
    engagement = (
        '{"at_m":[1.0,2.0,3.0],"effector":"battery","engagement":1,"intercept_ds":16056360020,"p_kill":0.5,'
        f'"range_m":1500.0,"time_ns":{START_NS},"track":1,"zone":"east"}}\n'
    )
    digest = DecisionDigest()
    digest.add(outbox_of(START_NS, 1))
    assert digest.hexdigest() == hashlib.sha256((warning + engagement).encode()).hexdigest()


def test_digest_sees_decisions_and_nothing_else() -> None:
    def digest_of(**changes: object) -> str:
        digest = DecisionDigest()
        digest.add(replace(outbox_of(START_NS, 1), **changes))
        return digest.hexdigest()

    same = digest_of()
    assert digest_of(warnings=(warning_of(START_NS, p_hit=0.7101, reason="put otherwise"),)) == same
    assert digest_of(rejects=(), health=()) == same
    assert digest_of(warnings=(warning_of(START_NS, p_hit=0.72),)) != same
    assert digest_of(warnings=(warning_of(START_NS + 1),)) != same
    assert digest_of(engagements=()) != same
    small, negative = digest_of(engagements=(engagement_of(START_NS, 0.0),)), engagement_of(START_NS, -0.01)
    assert digest_of(engagements=(negative,)) == small != same
