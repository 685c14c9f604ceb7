"""A replay gives the decisions of the run, from the beginning or from a snapshot, and up to any cut."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from opencram.drive.replay import replay
from opencram.drive.run_folder import RunResult
from opencram.drive.simulate import simulate
from opencram.errors import InputError
from opencram.record.recording import Recording
from world_site import LAT, LON, make_site, salvo, scenario_text

START_NS = int(np.datetime64("2024-01-01T00:00:00", "ns").astype(np.int64))
RADAR = {"false_plots_per_scan": 2}


@dataclass(frozen=True)
class Ran:
    """A finished run and the files it was made from."""

    folder: Path
    site: Path
    summary: dict[str, Any]

    @property
    def recording(self) -> Path:
        return self.folder / "recording.mcap"

    def rows(self, table: str) -> int:
        return int(pq.read_metadata(self.folder / "tables" / f"{table}.parquet").num_rows)


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A salvo of three at a small site, 35 s of it."""
    folder = tmp_path_factory.mktemp("replay")
    for name, text in make_site(RADAR).documents().items():
        (folder / name).write_text(text)
    raid = salvo((LAT, LON), (LAT + 0.001, LON), (LAT, LON + 0.003), first_s=1.0)
    (folder / "raid.yaml").write_text(scenario_text(raid, duration_s={"assumed": 35.0, "why": "for a test"}))
    result = simulate(str(folder / "raid.yaml"), str(folder / "site.yaml"), folder / "run", 0, "en")
    return Ran(folder / "run", folder / "site.yaml", result.summary)


def play(
    source: Path, out: Path, site: Path | None = None, from_: str | None = None, to: str | None = None
) -> RunResult:
    """A replay without the report, which takes longer than the rest."""

    def summary_alone(folder: Path, summary: dict[str, Any], *_: object) -> Path:
        (folder / "run.json").write_text(json.dumps(summary))
        return folder / "report.html"

    with patch("opencram.drive.run_folder.write_outputs", summary_alone):
        return replay(source, str(site) if site else None, out, from_, to, None, "en")


def decisions(recording: Path, topics: tuple[str, ...] = ("/warnings", "/engagements")) -> list[tuple[int, bytes]]:
    return [(log_ns, data) for topic, _, log_ns, data in Recording(recording).messages() if topic in topics]


def test_the_run_is_worth_replaying(ran: Ran) -> None:
    counts = ran.summary["counts"]
    assert counts["launched"] == 3
    assert counts["zones_hit"] + counts["intercepted"] > 0
    assert len(decisions(ran.recording)) > 5
    assert len(decisions(ran.recording, ("/snapshot",))) == 7


def test_replay_is_the_run(ran: Ran, tmp_path: Path) -> None:
    result = replay(ran.recording, None, tmp_path, None, None, None, "en")
    assert result.notes == ()
    assert result.summary | {"kind": "simulation"} == ran.summary
    written = sorted(str(p.relative_to(ran.folder)) for p in ran.folder.rglob("*") if p.is_file())
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()) == written
    assert (tmp_path / "recording.mcap").read_bytes() == ran.recording.read_bytes()
    for table in (ran.folder / "tables").iterdir():
        assert pq.read_table(tmp_path / "tables" / table.name).equals(pq.read_table(table))


def test_a_replay_can_be_replayed_with_no_other_file(ran: Ran, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere.mcap"
    moved.write_bytes(ran.recording.read_bytes())
    play(moved, tmp_path / "first")
    second = play(tmp_path / "first" / "recording.mcap", tmp_path / "second")
    assert second.summary["digest"] == ran.summary["digest"]


@pytest.mark.parametrize("seconds", [0.05, 12.3, 34.0])
def test_from_a_time_the_rest_is_the_same(ran: Ran, tmp_path: Path, seconds: float) -> None:
    """The state saved in a snapshot and loaded again decides as the state that was never saved."""
    from_ns = START_NS + round(seconds * 1e9)
    result = play(ran.recording, tmp_path, from_=iso(from_ns))
    assert result.notes == ()
    snapshot = Recording(ran.recording).begin(from_ns).snapshot
    start_ns = snapshot.now_ns if snapshot else START_NS
    assert from_ns - start_ns <= 5_000_000_000
    expected = [d for d in decisions(ran.recording) if d[0] >= start_ns]
    assert decisions(tmp_path / "recording.mcap") == expected
    tracks = ("/tracks", "/impacts", "/hypotheses", "/threats")
    states = [d for d in decisions(ran.recording, tracks) if d[0] >= start_ns]
    assert decisions(tmp_path / "recording.mcap", tracks) == states


def test_to_a_time_the_beginning_is_the_same(ran: Ran, tmp_path: Path) -> None:
    to_ns = START_NS + 20_000_000_000
    result = play(ran.recording, tmp_path, to=iso(to_ns))
    expected = [d for d in decisions(ran.recording) if d[0] <= to_ns]
    assert 0 < len(expected) < len(decisions(ran.recording))
    assert decisions(tmp_path / "recording.mcap") == expected
    assert result.summary["counts"]["launched"] is None


@pytest.mark.parametrize("share", [0.02, 0.31, 0.66, 0.9999])
def test_a_cut_recording_replays_to_the_cut(ran: Ran, tmp_path: Path, share: float) -> None:
    whole = ran.recording.read_bytes()
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole[: int(len(whole) * share)])
    result = play(cut, tmp_path / "out")
    found, all_of_them = decisions(tmp_path / "out" / "recording.mcap"), decisions(ran.recording)
    assert found == all_of_them[: len(found)]
    [note] = result.notes
    assert "cut.mcap: the recording is cut or damaged; replayed up to 2024-01-01T00:00:" in note
    assert json.loads((tmp_path / "out" / "run.json").read_text())["digest"] == result.summary["digest"]
    if share > 0.99:
        assert result.summary["digest"] == ran.summary["digest"]


def test_a_recording_cut_before_its_site_is_refused(ran: Ran, tmp_path: Path) -> None:
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(ran.recording.read_bytes()[:100])
    with pytest.raises(InputError, match="cut before its site"):
        play(cut, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_site_answers_what_it_would_have_done(ran: Ran, tmp_path: Path) -> None:
    """The same plots, but every zone takes a miss so lightly that its alert waits until the hit is all but certain."""
    site = json.loads(ran.site.read_text()) | {
        "policy": {"costs": {"default": {"cost_miss": 0.001, "cost_false": 1000}}}
    }
    site["policy"]["costs"] |= dict.fromkeys(("embassy", "district"), site["policy"]["costs"]["default"])
    (tmp_path / "site.yaml").write_text(json.dumps(site))
    (tmp_path / "zones.geojson").write_text((ran.site.parent / "zones.geojson").read_text())
    result = play(ran.recording, tmp_path / "out", site=tmp_path / "site.yaml")
    assert "what-if" in result.notes[0]
    alerts = [
        (a["first_alert"], b["first_alert"]) for a, b in zip(ran.summary["zones"], result.summary["zones"], strict=True)
    ]
    assert all(first is not None and (second is None or second > first) for first, second in alerts)
    assert result.summary["counts"]["launched"] == 3
    assert Recording(tmp_path / "out" / "recording.mcap").site_docs["site.yaml"] == (tmp_path / "site.yaml").read_text()


def test_the_plots_alone_give_the_same_tracks(ran: Ran, tmp_path: Path) -> None:
    """A table of the run's plots, with neither truth nor defence: as many tracks confirmed, zones warned, no object."""
    table = pq.read_table(ran.folder / "tables" / "plots.parquet")
    for name in ("plots.parquet", "plots.csv"):
        path = tmp_path / name
        if path.suffix == ".csv":
            import pyarrow.csv

            pyarrow.csv.write_csv(table, path)
        else:
            pq.write_table(table, path)
        result = play(path, tmp_path / path.suffix, site=ran.site)
        assert result.summary["counts"]["launched"] is None
        assert result.summary["tracks_confirmed"] == ran.summary["tracks_confirmed"]
        assert result.summary["engagements"] == []
        warned = pq.read_table(tmp_path / path.suffix / "tables" / "warnings.parquet")
        assert set(warned["state"].to_pylist()) >= {"alert", "all-clear"}
        assert pc.max(warned["time"]).value > table["time"][-1].value
        assert not (tmp_path / path.suffix / "tables" / "truth.parquet").exists()
    first, second = (tmp_path / suffix / "run.json" for suffix in (".parquet", ".csv"))
    assert json.loads(first.read_text())["digest"] == json.loads(second.read_text())["digest"]


def test_a_table_of_which_nothing_is_left_is_refused(ran: Ran, tmp_path: Path) -> None:
    path = tmp_path / "plots.csv"
    header = "time,sensor,range_m,azimuth_deg,elevation_deg\n"
    path.write_text(f"{header}2024-01-01T00:00:00Z,radar-9,5,1,1\n2024-01-01T00:00:00Z,radar-9,6,1,1\n")
    with pytest.raises(
        InputError, match="found 2 rows and none that can be used; unknown sensor: row 2: sensor: found 'r"
    ):
        play(path, tmp_path / "out", site=ran.site)
    path.write_text(f"{header}2024-01-01T00:00:00Z,radar-9,5,1,1\n2024-01-01T00:00:00Z,radar-1,500,1,1\n")
    result = play(path, tmp_path / "out", site=ran.site)
    assert [(r["reason"], r["count"]) for r in result.summary["rejects"]] == [("unknown sensor", 1)]


@pytest.mark.parametrize(
    ("name", "options", "found"),
    [
        ("plots.csv", {}, "--site SITE is needed"),
        ("radar.ast", {}, "--site SITE is needed"),
        ("plots.txt", {}, "ending in '.txt', expected one in .mcap, .csv, .parquet, .ast"),
        ("recording.mcap", {"from_": "noon"}, "--from: found 'noon', expected an ISO 8601 time"),
        ("recording.mcap", {"to": ""}, "--to: found '', expected an ISO 8601 time"),
        ("recording.mcap", {"from_": "2024-01-02T00:00:00Z", "to": "2024-01-01T00:00:00Z"}, "expected it before"),
        ("recording.mcap", {"to": "2023-01-01T00:00:00Z"}, "found no ticks in the time asked for"),
    ],
)
def test_bad_arguments_are_told_in_a_sentence(
    ran: Ran, tmp_path: Path, name: str, options: dict[str, Any], found: str
) -> None:
    path = tmp_path / name
    path.write_bytes(ran.recording.read_bytes() if name == "recording.mcap" else b"x")
    with pytest.raises(InputError, match=found):
        play(path, tmp_path / "out", **options)


def test_speed_is_times_real_time(ran: Ran, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Against a clock that only sleeping moves: 2 s of the recording at 4 times take half a second."""
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    monkeypatch.setattr("time.sleep", lambda seconds: clock.__setitem__(0, clock[0] + seconds))
    replay(ran.recording, None, tmp_path, None, iso(START_NS + 2_000_000_000), 4.0, "en")
    assert clock[0] - 100.0 == pytest.approx((2.0 - 0.1) / 4.0, abs=0.03)


def iso(time_ns: int) -> str:
    return f"{np.datetime64(time_ns, 'ns')}Z"


def test_the_report_is_written_where_the_truth_is_not_known(ran: Ran, tmp_path: Path) -> None:
    whole = ran.recording.read_bytes()
    (tmp_path / "cut.mcap").write_bytes(whole[: len(whole) * 2 // 3])
    plots = ran.folder / "tables" / "plots.parquet"
    for source, site in ((tmp_path / "cut.mcap", None), (plots, str(ran.site))):
        result = replay(source, site, tmp_path / source.stem, None, None, None, "fr")
        assert result.summary["objects"]
        assert result.report.stat().st_size > 10_000
        assert (tmp_path / source.stem / "communique.fr.txt").stat().st_size > 100
