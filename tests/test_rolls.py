"""A service's recordings: followed by others in time, deleted in time, and replayed as one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from opencram.errors import InputError
from opencram.outputs.cap import Provenance
from opencram.record.digest import DecisionDigest
from opencram.record.recording import Recording
from opencram.record.series import Series
from opencram.serve.keep import Keeper
from opencram.serve.rolls import Rolling, name_of, sweep
from opencram.site import Site, load_site
from opencram.state import State
from opencram.tables import ZoneWarning
from outboxes import outbox_of
from test_keep import SECOND_NS, killed, played
from test_replay import iso, play

DAY_NS = 86_400 * SECOND_NS
NOW_NS = 1_700_000_000 * SECOND_NS
START_NS = 1_700_000_000 * SECOND_NS


@pytest.fixture(scope="module")
def site() -> Site:
    return load_site("baghdad-embassy")


@pytest.fixture(scope="module")
def rolled(tmp_path_factory: pytest.TempPathFactory, site: Site) -> Path:
    """A raid of 25 s in many recordings, the last of them cut as kill -9 cuts it."""
    folder = tmp_path_factory.mktemp("rolled")
    played(folder, site, 25.0, rolling=Rolling(every_s=3.0))
    return folder


def warned(recording: Path) -> list[ZoneWarning]:
    messages = Recording(recording).messages()
    return [msgspec.json.decode(data, type=ZoneWarning) for topic, _, _, data in messages if topic == "/warnings"]


def test_a_folder_replays_as_what_was_decided(rolled: Path, tmp_path: Path) -> None:
    paths = sorted(rolled.glob("*.mcap"))
    told = [warning for path in paths for warning in warned(path)]
    result = play(rolled, tmp_path / "out")
    assert len(paths) > 4
    assert told
    assert warned(tmp_path / "out" / "recording.mcap") == told
    (note,) = result.notes
    assert f"{paths[-1]}: the recording is cut or damaged; replayed up to" in note


def test_a_part_of_a_folder_is_read_from_the_recording_that_holds_its_beginning(rolled: Path, tmp_path: Path) -> None:
    paths = sorted(rolled.glob("*.mcap"))
    begins = [Recording(path).begin().snapshot for path in paths]
    third, fourth = begins[2], begins[3]
    assert third is not None
    assert fourth is not None
    chosen = Series(rolled, third.now_ns + SECOND_NS // 10, fourth.now_ns - SECOND_NS // 10)
    assert [recording.path for recording in chosen.recordings] == [paths[2]]
    play(rolled, tmp_path / "out", from_=iso(third.now_ns + SECOND_NS), to=iso(fourth.now_ns + SECOND_NS))
    ticks = [tick.now_ns for tick in Recording(tmp_path / "out" / "recording.mcap").ticks()]
    assert (ticks[0] - third.now_ns) < 3 * SECOND_NS
    assert fourth.now_ns < ticks[-1] <= fourth.now_ns + SECOND_NS
    assert ticks == sorted(set(ticks))


def test_a_lost_recording_is_said_and_what_follows_is_as_it_was(rolled: Path, tmp_path: Path) -> None:
    """Also one of which nothing can be read; the rest goes on from its own beginning."""
    paths = sorted(rolled.glob("*.mcap"))
    for path in paths:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / paths[1].name).write_bytes(b"")
    (tmp_path / paths[3].name).unlink()
    result = play(tmp_path, tmp_path / "out")
    assert "found an empty file" in result.notes[0]
    assert sum("went on from another state than its recording leads to" in note for note in result.notes) == 2
    left = [warning for path in (*paths[:1], paths[2], *paths[4:]) for warning in warned(path)]
    assert warned(tmp_path / "out" / "recording.mcap") == left


def test_a_replay_across_such_a_gap_can_itself_be_replayed(rolled: Path, tmp_path: Path) -> None:
    paths = sorted(rolled.glob("*.mcap"))
    for path in (paths[0], *paths[3:]):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    once = play(tmp_path, tmp_path / "once")
    twice = play(tmp_path / "once" / "recording.mcap", tmp_path / "twice")
    assert twice.summary["digest"] == once.summary["digest"] != DecisionDigest().hexdigest()


def test_simulations_and_others_are_not_played_as_one(rolled: Path, tmp_path: Path, site: Site) -> None:
    for path in rolled.glob("*.mcap"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    keeper = Keeper(tmp_path, site, Provenance.LIVE)
    keeper.begin(State(defended=False), START_NS + 60 * SECOND_NS)
    killed(keeper)
    with pytest.raises(InputError, match="found recordings of simulations and others side by side"):
        Series(tmp_path)
    assert len(Series(tmp_path, START_NS, START_NS + 20 * SECOND_NS).recordings) > 3


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found no recording that can be read"):
        Series(tmp_path)


# ---- keeping, deleting ----------------------------------------------------------------------------------------------


def recordings(folder: Path, *ages_days: float) -> list[str]:
    names = [name_of(NOW_NS - round(days * DAY_NS), 100 + number) for number, days in enumerate(ages_days)]
    for name in names:
        (folder / name).write_bytes(b"12345")
    return names


def test_what_ended_too_long_ago_is_deleted_and_nothing_else(tmp_path: Path) -> None:
    """A recording ends where the next one begins: the second of these has ended two days ago."""
    names = recordings(tmp_path, 9.0, 8.0, 6.9, 2.0, 1.0)
    (tmp_path / "notes.txt").write_text("of the watch")
    found = sweep(tmp_path, NOW_NS, 7, "")
    assert found.deleted == (names[0],)
    assert (found.files, found.bytes) == (4, 20)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["notes.txt", *names[1:]]


@pytest.mark.parametrize("writing", [0, 2])
def test_neither_the_one_being_written_nor_the_last_is_deleted(tmp_path: Path, writing: int) -> None:
    """Even where the clock went back, and others seem to be newer."""
    names = recordings(tmp_path, 90.0, 80.0, 70.0)
    assert sweep(tmp_path, NOW_NS, 7, names[writing]).deleted == tuple(names[n] for n in (0, 1) if n != writing)


def test_what_cannot_be_deleted_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recordings(tmp_path, 90.0, 80.0, 1.0)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refused)
    found = sweep(tmp_path, NOW_NS, 7, "")
    assert "cannot be deleted (Permission denied)" in found.fault
    assert found.files == 3


def test_a_service_says_what_it_deletes_when_it_begins(tmp_path: Path, site: Site) -> None:
    names = recordings(tmp_path, 90.0, 80.0, 1.0)
    keeper = Keeper(tmp_path, site, Provenance.LIVE, Rolling(keep_days=7))
    keeper.begin(State(defended=False), NOW_NS)
    keeper._writer.submit(int).result()
    assert list(keeper.news) == [f"recordings older than 7 days: deleted 1, {names[0]} to {names[0]}"]
    assert (keeper.seen.deleted, keeper.seen.files, keeper.seen.writing) == (1, 2, True)
    killed(keeper)


@pytest.mark.parametrize(("age_s", "size", "warned", "due"), [
    (59.0, 999, False, False), (60.0, 0, False, True), (1.0, 1_000, False, True), (119.0, 1_999, True, False),
    (120.0, 0, True, True), (1.0, 2_000, True, True),
])  # fmt: skip
def test_a_roll_waits_while_zones_are_warned_but_not_for_ever(age_s: float, size: int, warned: bool, due: bool) -> None:
    assert Rolling(60.0, 1_000).due(round(age_s * SECOND_NS), size, warned) is due


@pytest.mark.parametrize("decision", ["warnings", "engagements"])
def test_a_decision_is_on_its_way_to_the_disk_before_it_is_acted_on(tmp_path: Path, site: Site, decision: str) -> None:
    """What is read here is what another process would read; a tick without a decision may wait."""
    keeper, whole = Keeper(tmp_path, site, Provenance.SIMULATION), outbox_of(NOW_NS, 1)
    keeper.begin(State(defended=True), NOW_NS)
    (path,) = tmp_path.glob("*.mcap")
    for seq, kept in ((1, ()), (2, (decision,))):
        left_out = {name: () for name in ("warnings", "engagements") if name not in kept}
        keeper.inputs(NOW_NS + seq, [])
        keeper.outputs(replace(whole, **left_out))
    assert [tick.seq for tick in Recording(path).ticks()] == [1, 2]
    assert [topic for topic, *_ in Recording(path).messages() if topic[1:] in ("warnings", "engagements")] == [
        f"/{decision}"
    ]
    killed(keeper)
