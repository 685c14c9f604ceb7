"""What the terminal shows of a run whose truth is known, and of one where it is not."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from opencram import terminal

OBJECT = {"id": "R1", "class_true": "rocket-107", "class": "rocket-122", "track": 4, "outcome": "impact"}
ZONE = {"id": "embassy", "first_alert": "2020-11-17T17:30:08.100Z", "first_impact": "2020-11-17T17:30:29.900Z"}


@dataclass
class Ended:
    summary: dict[str, Any]
    out: Path
    notes: tuple[str, ...] = ()

    @property
    def report(self) -> Path:
        return self.out / "report.html"


def ended(folder: Path, **changes: Any) -> Ended:
    summary = {
        "objects": [{**OBJECT, "zone": "embassy", "distance_m": 412.4}],
        "zones": [
            {**ZONE, "lead_s": 21.8, "lead_heard_s": 20.95},
            {"id": "camp", "first_alert": None, "first_impact": None, "lead_s": None},
        ],
        "counts": {"launched": 1, "zones_warned_in_time": 1, "phantom_alarms": 0},
    } | changes
    (folder / "run.json").write_text(json.dumps(summary))
    return Ended(summary, folder)


def words(text: str, first: str) -> list[str]:
    """The words of the row that begins with `first`."""
    return next(line.split() for line in text.splitlines() if line.split()[:1] == [first])


def test_each_object_and_each_zone_has_its_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_result(ended(tmp_path), as_json=False)
    shown = capsys.readouterr().out
    assert words(shown, "R1") == ["R1", "rocket-107", "rocket-122", "4", "impact", "embassy", "412"]
    assert words(shown, "embassy") == ["embassy", "17:30:08.1", "17:30:29.9", "21.8", "20.9"]
    assert "Neither alerted nor hit: camp." in shown
    assert "1 launched, 1 zones warned in time, 0 phantom alarms." in shown
    assert shown.endswith(f"Report: {tmp_path}/report.html\n")


def test_what_is_not_known_is_left_out_of_the_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = ended(tmp_path, counts={"launched": None, "tracked": 3, "phantom_alarms": None})
    terminal.print_result(result, as_json=False)
    assert "\n3 tracked.\n" in capsys.readouterr().out


def test_json_is_the_file_alone_and_notes_go_to_stderr(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = ended(tmp_path)
    result.notes = ("plots.csv: 3 rows refused",)
    terminal.print_result(result, as_json=True)
    shown = capsys.readouterr()
    assert shown.out == (tmp_path / "run.json").read_text() + "\n"
    assert shown.err == "opencram: plots.csv: 3 rows refused\n"


def test_there_is_a_progress_line_only_where_somebody_sees_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with terminal.progress_line() as progress:
        assert progress is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with terminal.progress_line() as progress:
        assert progress is not None
        progress(0.5, "12 s, 3 warnings")
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "50%" in shown.err
    assert "12 s, 3 warnings" in shown.err
