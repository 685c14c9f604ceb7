"""A recording is made whole as far as it can be read, from any cut and any damage, and nothing is thrown away."""

from __future__ import annotations

import fcntl
from pathlib import Path

import pytest
from mcap.reader import make_reader

from opencram.errors import InputError
from opencram.record.recording import Recording, Tick
from opencram.record.recover import recover
from test_recording import META, SCENARIO, SITE, write


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[Tick]]:
    path = tmp_path_factory.mktemp("whole") / "recording.mcap"
    ticks = write(path)
    return path.read_bytes(), ticks


def indexed(path: Path) -> int:
    """How many ticks the library's own reader finds by the file's index, which a cut file has not."""
    with path.open("rb") as file:
        return sum(1 for _ in make_reader(file).iter_messages(topics=["/tick"]))


def damaged(whole: bytes, kind: str, share: float) -> bytes:
    at = round(len(whole) * share)
    if kind == "cut":
        return whole[:at]
    return whole[:at] + bytes(octet ^ 0xFF for octet in whole[at : at + 40]) + whole[at + 40 :]


@pytest.mark.parametrize("kind", ["cut", "noise"])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.9])
def test_what_can_be_read_is_kept_in_a_whole_file(
    recorded: tuple[bytes, list[Tick]], tmp_path: Path, kind: str, share: float
) -> None:
    whole, ticks = recorded
    path = tmp_path / "recording.mcap"
    path.write_bytes(before := damaged(whole, kind, share))
    readable = list(Recording(path).ticks())
    found = recover(path)
    again = Recording(path)
    assert list(again.ticks()) == readable == ticks[: len(readable)]
    assert (found.ticks, indexed(path), again.truncated) == (len(readable), len(readable), False)
    assert (again.site_docs, again.scenario_docs, again.meta) == (SITE, SCENARIO, {"format": 1, **META})
    assert (tmp_path / "recording.mcap.damaged").read_bytes() == before
    assert found.kept_bytes + found.lost_bytes == len(before)
    assert f"kept {len(readable)} ticks from 2020-11-17T18:00:00.100Z" in found.sentence or not readable


def test_the_messages_are_those_of_the_whole_recording(recorded: tuple[bytes, list[Tick]], tmp_path: Path) -> None:
    """Only the end is missing: then nothing is lost."""
    whole, ticks = recorded
    path, cut = tmp_path / "whole.mcap", tmp_path / "cut.mcap"
    path.write_bytes(whole)
    cut.write_bytes(whole[:-4])
    found = recover(cut, tmp_path / "out.mcap")
    assert found.ticks == len(ticks)
    assert list(Recording(tmp_path / "out.mcap").messages()) == list(Recording(path).messages())
    assert cut.read_bytes() == whole[:-4], "with --out the old one stays as it is"


def test_a_whole_recording_is_left_as_it_is(recorded: tuple[bytes, list[Tick]], tmp_path: Path) -> None:
    whole, ticks = recorded
    path = tmp_path / "recording.mcap"
    path.write_bytes(whole)
    found = recover(path)
    assert (found.out, found.ticks, found.lost_bytes) == (None, len(ticks), 0)
    assert "nothing to do" in found.sentence
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("recording.mcap", whole)]


def test_what_a_service_is_writing_is_refused(recorded: tuple[bytes, list[Tick]], tmp_path: Path) -> None:
    whole, _ = recorded
    for name in ("recording-1.mcap", "recording-2.mcap"):
        (tmp_path / name).write_bytes(whole[:-400])
    with (tmp_path / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="that a running service writes"):
            recover(tmp_path / "recording-2.mcap")
        assert recover(tmp_path / "recording-1.mcap").out is not None, "it has done with this one"
    assert recover(tmp_path / "recording-2.mcap").out is not None


def test_what_cannot_be_recovered_is_said(recorded: tuple[bytes, list[Tick]], tmp_path: Path) -> None:
    path = tmp_path / "recording.mcap"
    path.write_bytes(recorded[0][:60])
    with pytest.raises(InputError, match="cut before its site"):
        recover(path)
    path.write_bytes(recorded[0][:-4])
    with pytest.raises(InputError, match="expected a new one"):
        recover(path, path)
