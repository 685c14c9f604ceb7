"""A run as its folder tells it: run.json, the tables, and the site and scenario that its recording carries."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opencram.errors import InputError
from opencram.report.evidence import Columns, Tables, by_track, confirmed_tracks, read_columns, read_tables, while_whole
from opencram.report.metrics import Error, Row, prediction_errors
from opencram.report.places import Places
from opencram.report.run_tracking import scene_of_run
from opencram.report.words import Language, time_ns

if TYPE_CHECKING:
    from opencram.report.moments import Scene
    from opencram.site import Site
    from opencram.world.scenario import Scenario


@dataclass(frozen=True)
class WarningRow:
    """A row of the warnings table."""

    time_ns: int
    zone: str
    state: str
    tracks: tuple[int, ...]
    p_hit: float
    seconds_left: float | None
    reason: str


@dataclass(frozen=True)
class Run:
    """All that the report and the communiqué are written from."""

    folder: Path
    summary: Row
    site: Site
    scenario: Scenario | None
    tables: Tables
    warnings: Sequence[WarningRow]

    @cached_property
    def places(self) -> Places:
        """The site's places."""
        return Places(self.site)

    @cached_property
    def tracks(self) -> dict[int, Columns]:
        """The tracks that were ever confirmed, all their rows."""
        return confirmed_tracks(self.tables.tracks)

    @cached_property
    def impacts(self) -> dict[int, Columns]:
        """The predictions of each track, up to the end of the object that it follows."""
        ends = {track: time_ns(thing["end_time"]) for track, thing in self.object_of.items() if thing["class_true"]}
        return while_whole(by_track(self.tables.impacts), ends)

    @cached_property
    def errors(self) -> list[Error]:
        """Predicted against true impact, per object."""
        return prediction_errors(self.summary, self.impacts, self.places)

    @cached_property
    def object_of(self) -> Mapping[int, Row]:
        """Track -> object of run.json."""
        return {track: thing for thing in self.summary["objects"] for track in thing["tracks"]}

    @cached_property
    def scene(self) -> Scene | None:
        """Tracks and truth at the same moments, as run.json's `tracking` was told from; None without a truth."""
        if self.summary.get("tracking") is None:
            return None
        left_out = self.tracks.keys() - self.object_of.keys() - set(self.summary["tracks_unexplained"])
        return scene_of_run(
            self.tables, {o["id"]: o["class_true"] for o in self.summary["objects"]}, left_out, self.site
        )

    def zone_title(self, zone: str | None, language: Language) -> str | None:
        """A zone's name for people."""
        found = next((z for z in self.site.zones if z.id == zone), None)
        return title_of(found, language) if found else zone

    def asset_title(self, language: Language) -> str | None:
        """The name of what distances are told from; None for a site without assets."""
        return title_of(self.site.assets[0], language) if self.site.assets else None


def title_of(thing: Any, language: Language) -> str:  # noqa: ANN401
    """The name for people of a site, zone, asset or effector, else its id."""
    title = getattr(thing, "title", None)
    text = getattr(title, language, None) or getattr(title, "en", None)
    return str(text or getattr(thing, "name", None) or thing.id)


def load_run(run_dir: Path) -> Run:
    """Read a run folder; InputError names what is missing or broken in it."""
    summary = _read_summary(run_dir / "run.json")
    site, scenario = _documents(run_dir / "recording.mcap")
    return Run(run_dir, summary, site, scenario, read_tables(run_dir), _read_warnings(run_dir))


def _read_summary(path: Path) -> Row:
    try:
        summary = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path}: found no such file, expected the folder of a run") from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: found a file that is not JSON ({error}), expected a run's summary") from None
    if not isinstance(summary, dict) or summary.get("schema") != 1 or "objects" not in summary:
        raise InputError(f"{path}: found no summary of schema 1, expected the run.json that a run writes")
    return summary


def _documents(path: Path) -> tuple[Site, Scenario | None]:
    from opencram.record.recording import Recording
    from opencram.site import site_from_documents
    from opencram.world.scenario import scenario_from_documents

    recording = Recording(path)
    scenario = scenario_from_documents(recording.scenario_docs) if recording.scenario_docs else None
    return site_from_documents(recording.site_docs), scenario


def _read_warnings(run_dir: Path) -> list[WarningRow]:
    columns = read_columns(run_dir / "tables" / "warnings.parquet")
    if not columns:
        return []
    names = ("time", "zone", "state", "tracks", "p_hit", "seconds_left", "reason")
    rows = zip(*(columns[name].tolist() for name in names), strict=True)
    return [
        WarningRow(int(t), str(zone), str(state), _track_numbers(tracks), float(p), _number(left), str(reason))
        for t, zone, state, tracks, p, left, reason in rows
    ]


def _track_numbers(value: Any) -> tuple[int, ...]:  # noqa: ANN401
    """Track numbers from a list, or from text with the numbers in it."""
    if isinstance(value, str):
        return tuple(int(word) for word in value.replace(",", " ").split())
    return tuple(int(v) for v in value) if value is not None else ()


def _number(value: float | None) -> float | None:
    return None if value is None or value != value else float(value)
