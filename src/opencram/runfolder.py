"""The folder a run is written to: what may be replaced in it, and what is left alone."""

import json
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from opencram.errors import InputError

WRITTEN = (
    "run.json",
    "recording.mcap",
    "tables/*.parquet",
    "tables/.*.parquet.part",
    "alerts/*.xml",
    "survey.geojson",
    "survey.kml",
    "report.html",
    "report.pdf",
    "communique.*.txt",
)
"""All that a run writes, as patterns below its folder; whatever else lies there is the user's and stays."""


@contextmanager
def run_folder(folder: Path, inputs: Iterable[Path] = ()) -> Iterator[Path]:
    """A folder ready for a run to be written into: a new one, or an earlier run's with that run set aside.

    Should the run's input turn out to be bad (InputError), the earlier run is put back. Raises InputError where
    `folder` is no folder, cannot be written, holds other things than a run, or where one of `inputs`, the files that
    the run is about to read, would be replaced.
    """
    _refuse(folder, inputs)
    aside = _set_aside(folder)
    try:
        yield folder
    except InputError:
        _put_back(folder, aside)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse(folder: Path, inputs: Iterable[Path]) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: found a file, expected a folder")
    earlier = [path.resolve() for path in _written_in(folder)]
    for path in inputs:
        if path.resolve() in earlier:
            raise InputError(f"--out {folder}: found {path} in it, which is this run's input; expected another folder")
    if folder.is_dir() and any(folder.iterdir()) and not _is_run(folder):
        raise InputError(
            f"--out {folder}: found files that are not a run's, expected a new folder, an empty one or an earlier run's"
        )


def _set_aside(folder: Path) -> Path:
    """Move an earlier run into a hidden folder below `folder`, which is returned."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=".earlier-", dir=folder))
        _move(folder, aside)
    except OSError as error:
        raise InputError(f"--out {folder}: found '{error.strerror}', expected a folder that can be written") from None
    return aside


def _put_back(folder: Path, aside: Path) -> None:
    for begun in list(_written_in(folder)):
        begun.unlink()
    _move(aside, folder)
    shutil.rmtree(aside)
    for empty in (folder / "tables", folder / "alerts", folder):
        with suppress(OSError):  # it is not there, or not empty
            empty.rmdir()


def _move(source: Path, target: Path) -> None:
    for path in list(_written_in(source)):
        moved = target / path.relative_to(source)
        moved.parent.mkdir(exist_ok=True)
        path.rename(moved)


def _written_in(folder: Path) -> Iterator[Path]:
    for pattern in WRITTEN:
        yield from folder.glob(pattern)


def _is_run(folder: Path) -> bool:
    """Whether a run of ours was written here, or begun: the recording comes first, run.json last."""
    if (folder / "recording.mcap").is_file():
        return True
    try:
        summary = json.loads((folder / "run.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and {"schema", "digest", "counts"} <= summary.keys()
