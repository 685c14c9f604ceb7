"""The folder a run is written to: what may be replaced in it, and what is left alone."""

import json
import tempfile
from collections.abc import Iterable, Iterator
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


def prepare_folder(folder: Path, inputs: Iterable[Path] = ()) -> Path:
    """Make `folder` ready for a run: create it, or take an earlier run out of it, and see that it can be written.

    Raises InputError where `folder` is no folder, cannot be written, holds other things than an earlier run, or where
    one of `inputs`, the files this run is about to read, would be replaced.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: found a file, expected a folder")
    earlier = list(_written_in(folder))
    for path in inputs:
        if path.resolve() in [old.resolve() for old in earlier]:
            raise InputError(f"--out {folder}: found {path} in it, which is this run's input; expected another folder")
    if folder.is_dir() and any(folder.iterdir()) and not _is_run(folder):
        raise InputError(
            f"--out {folder}: found files that are not a run's, expected a new folder, an empty one or an earlier run's"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in earlier:
            old.unlink()
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InputError(f"--out {folder}: found '{error.strerror}', expected a folder that can be written") from None
    return folder


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
