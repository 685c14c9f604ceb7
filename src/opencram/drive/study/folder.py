"""The folder of a study: rows kept as they come, so that a study that was killed goes on where it was.

Each chunk of rows is a file of its own below `parts/`, written beside its place and then renamed: it is there whole or
not at all. When all are there they become rows.parquet and the parts go. `study.json` says what the rows are made of.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencram.errors import InputError
from opencram.report.outcomes import OUTCOMES, Row
from opencram.report.study_data import ROWS, STUDY, read_rows

if TYPE_CHECKING:
    import pyarrow as pa

PARTS = "parts"
MADE_OF = {
    "study": "another study, or another --runs",
    "inputs": "other scenarios or another site",
    "program": "another version of opencram",
}
"""What rows are made of: a digest of each stands in study.json; and how it is told that one has changed."""


class StudyFolder:
    """A study's folder, new or begun earlier; InputError where what is in it is not of the same study."""

    def __init__(self, out: Path, study: Mapping[str, Any], made_of: Mapping[str, str]) -> None:
        self.out = out
        _refuse_others(out, made_of)
        try:
            (out / PARTS).mkdir(parents=True, exist_ok=True)
            write_whole(out / STUDY, json.dumps({**study, "made_of": made_of}, indent=2, ensure_ascii=False) + "\n")
        except OSError as error:
            raise InputError(f"--out {out}: found '{error.strerror}', expected a folder that can be written") from None

    def rows(self) -> list[Row]:
        """The rows that are there already, in no order."""
        if (self.out / ROWS).is_file():
            return read_rows(self.out)
        return [row for path in (self.out / PARTS).glob("*.json") for row in _part(path)]

    def keep(self, rows: Sequence[Row]) -> None:
        """Keep the rows of one chunk."""
        write_whole(self.out / PARTS / f"{rows[0]['row']:08d}.json", json.dumps(rows))

    def finish(self, rows: Sequence[Row], manifest: Mapping[str, Any]) -> None:
        """Write the table, in order of its rows, and take the parts away."""
        import pyarrow.parquet as pq

        if not (self.out / ROWS).is_file():
            beside = self.out / f".{ROWS}.part"
            pq.write_table(_table(rows), beside)
            write_whole(self.out / "manifest.json", json.dumps(manifest, indent=2) + "\n")
            beside.replace(self.out / ROWS)
        shutil.rmtree(self.out / PARTS, ignore_errors=True)


def _table(rows: Sequence[Row]) -> pa.Table:
    """The rows as a table; a column in which nothing is known has the type that it has elsewhere."""
    import pyarrow as pa

    table = pa.Table.from_pylist(list(rows))
    for i, column in enumerate(table.schema):
        if pa.types.is_null(column.type):
            share = column.name in OUTCOMES and OUTCOMES[column.name].share
            kind = pa.string() if column.name == "variant" else pa.bool_() if share else pa.float64()
            table = table.set_column(i, column.name, table.column(i).cast(kind))
    return table


def write_whole(path: Path, text: str) -> None:
    """Write a file so that whoever looks sees the old one or the new one, never a part."""
    beside = path.with_name(f".{path.name}.part")
    beside.write_text(text, encoding="utf-8")
    os.replace(beside, path)


def _part(path: Path) -> Iterable[Row]:
    try:
        rows: list[Row] = json.loads(path.read_text("utf-8"))
    except ValueError:  # the power failed before the disk had it: those runs are done again
        return []
    return rows


def _refuse_others(out: Path, made_of: Mapping[str, str]) -> None:
    """A folder with anything but this very study in it is left alone."""
    if out.exists() and not out.is_dir():
        raise InputError(f"--out {out}: found a file, expected a folder")
    if not out.is_dir() or all(path.name == PARTS or path.name.startswith(".") for path in out.iterdir()):
        return  # new, or begun by a study that was killed before it had said what it was
    try:
        earlier = json.loads((out / STUDY).read_text("utf-8"))["made_of"]
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"--out {out}: found files that are not of this study, expected a new folder, an empty one or its own"
        ) from None
    for key, what in MADE_OF.items():
        if earlier.get(key) != made_of[key]:
            raise InputError(f"--out {out}: found rows of {what}, expected the same to go on, or another folder")
