"""A run replaces an earlier run, and nothing else."""

import json
from pathlib import Path

import pytest

from opencram.errors import InputError
from opencram.runfolder import run_folder

KEPT = ["facts.yaml", "tables/mine.csv"]
SUMMARY = {"schema": 1, "digest": "0", "counts": {}}


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The folder of an earlier run, in which its user put a file of facts and a table of their own."""
    folder = tmp_path / "run"
    for name in ("tables/plots.parquet", "alerts/1.xml", "recording.mcap", "report.html", "communique.fr.txt"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("old")
    (folder / "run.json").write_text(json.dumps(SUMMARY))
    (folder / "facts.yaml").write_text("mine")
    (folder / "tables" / "mine.csv").write_text("mine")
    return folder


def files(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_an_earlier_run_is_taken_out_and_what_its_user_added_stays(earlier: Path) -> None:
    with run_folder(earlier) as folder:
        assert folder == earlier
        assert [name for name in files(earlier) if not name.startswith(".earlier-")] == KEPT
    assert files(earlier) == KEPT


def test_a_run_that_was_interrupted_is_replaced_too(earlier: Path) -> None:
    (earlier / "run.json").unlink()
    (earlier / "tables" / ".tracks.parquet.part").write_text("half")
    with run_folder(earlier):
        pass
    assert files(earlier) == KEPT


def find_bad_input(folder: Path) -> None:
    """A run that has begun when it turns out that its input is bad."""
    with run_folder(folder):
        (folder / "tables").mkdir(exist_ok=True)
        (folder / "tables" / ".plots.parquet.part").write_text("new")
        (folder / "recording.mcap").write_text("new")
        raise InputError("bad")


def test_an_earlier_run_is_put_back_when_the_input_is_bad(earlier: Path) -> None:
    before = files(earlier)
    with pytest.raises(InputError, match="bad"):
        find_bad_input(earlier)
    assert files(earlier) == before
    assert (earlier / "recording.mcap").read_text() == "old"


def test_bad_input_leaves_no_new_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bad"):
        find_bad_input(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_new_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    with run_folder(tmp_path / "a" / "b") as folder:
        assert folder.is_dir()


@pytest.mark.parametrize("content", ["{}", "[]", "not json", '{"schema": 1}'])
def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "report.html").write_text("somebody's")
    with pytest.raises(InputError, match="not a run's"), run_folder(tmp_path):
        pass
    assert files(tmp_path) == ["report.html", "run.json"]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(InputError, match="found a file, expected a folder"), run_folder(tmp_path / "out"):
        pass
    with (
        pytest.raises(InputError, match="expected a folder that can be written"),
        run_folder(tmp_path / "out" / "deeper"),
    ):
        pass


def test_a_run_does_not_replace_its_own_input(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(earlier.parent)
    with pytest.raises(InputError, match="input"), run_folder(earlier, [Path("run/recording.mcap")]):
        pass
    assert "recording.mcap" in files(earlier)


def test_a_folder_that_cannot_be_written_is_refused() -> None:
    with pytest.raises(InputError, match="expected a folder that can be written"), run_folder(Path("/proc/opencram")):
        pass
