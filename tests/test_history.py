"""The last hours of the feed: what is kept, where its end is, and what a restart finds."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from opencram.serve.history import BUSY_MS, IDLE_MS, MINUTE_MS, History

NOON = 29_000_000 * MINUTE_MS


def history(folder: Path | None, **more: Any) -> History:
    return History(folder, lambda: '{"type":"state"}', Counter(), **more)


def lines(kept: History, minute: int) -> list[dict[str, Any]]:
    packed = kept.minute(minute)
    assert packed is not None
    return [json.loads(line) for line in gzip.decompress(packed).splitlines()]


def word(time_ms: int, seq: int = 1) -> str:
    return json.dumps({"type": "warning", "seq": seq, "zone": "base", "time_ms": time_ms})


@pytest.mark.parametrize("on_disk", [True, False])
def test_a_minute_begins_with_what_stood_and_goes_on_as_it_was_told(tmp_path: Path, on_disk: bool) -> None:
    kept = history(tmp_path if on_disk else None)
    kept.picture('{"type":"picture","n":1}', NOON + 1)
    kept.word(word(NOON + 2), NOON + 2, NOON + 2)
    running = [line["type"] for line in lines(kept, NOON)]
    kept.picture('{"type":"picture","n":2}', NOON + MINUTE_MS)
    assert running == [line["type"] for line in lines(kept, NOON)] == ["state", "picture", "warning"]
    assert [line["type"] for line in lines(kept, NOON + MINUTE_MS)] == ["state", "picture"]
    assert kept.minutes == (NOON, NOON + MINUTE_MS)
    assert kept.minute(NOON - MINUTE_MS) is None


def test_pictures_are_thinned_and_more_so_while_nothing_flies(tmp_path: Path) -> None:
    kept = history(tmp_path)
    kept.picture("{}", NOON)
    assert [kept.due(NOON + ms, True) for ms in (BUSY_MS - 1, BUSY_MS)] == [False, True]
    assert [kept.due(NOON + ms, False) for ms in (IDLE_MS - 1, IDLE_MS)] == [False, True]
    assert kept.due(NOON + MINUTE_MS, False)


@pytest.mark.parametrize("limit", [{"kept_ms": 2 * MINUTE_MS}, {"most_bytes": 150}])
def test_the_oldest_go_first_and_are_counted(tmp_path: Path, limit: dict[str, int]) -> None:
    kept = history(tmp_path, **limit)
    for i in range(6):
        kept.word(word(NOON + i * MINUTE_MS), NOON + i * MINUTE_MS, NOON + i * MINUTE_MS)
    assert len(kept.minutes) < 6
    assert NOON + 5 * MINUTE_MS in kept.minutes
    assert len(kept.words) == len(kept.minutes)
    assert len(list(tmp_path.glob("*.ndjson.gz"))) == len(kept.minutes) - 1  # the last is still running
    assert kept._counts["history: minutes forgotten"] == 6 - len(kept.minutes)


def test_a_restart_finds_all_and_words_told_again_are_not_kept_twice(tmp_path: Path) -> None:
    first = history(tmp_path)
    first.word(word(NOON + 5, seq=9), NOON + 5, NOON + 5)
    first.close()
    again = history(tmp_path)
    again.word(word(NOON + 5, seq=1), NOON + 5, NOON + MINUTE_MS)
    again.word(word(NOON + 6, seq=2), NOON + 6, NOON + MINUTE_MS)
    assert [json.loads(text)["time_ms"] - NOON for text in again.words] == [5, 6]
    assert lines(again, NOON)[1]["seq"] == 9


def test_a_full_disk_costs_the_past_and_nothing_else(tmp_path: Path) -> None:
    folder = tmp_path / "history"
    kept = history(folder)
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    folder.write_text("no folder")
    kept.word(word(NOON), NOON, NOON)
    kept.picture("{}", NOON + MINUTE_MS)
    assert kept._counts["history: not written"] == 2
    assert kept.minute(NOON) is None
    assert len(lines(kept, NOON + MINUTE_MS)) == 2
