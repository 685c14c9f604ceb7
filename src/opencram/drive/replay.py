"""Replay a recording, or play plots (a table, ASTERIX), through the pipeline that a simulation or a radar feeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from opencram.drive.crank import Progress
from opencram.drive.known import Known, from_plain
from opencram.drive.run_folder import Origin, RunFolder, RunResult
from opencram.errors import InputError
from opencram.record.asterix import SUFFIXES, AsterixFile, read_asterix
from opencram.record.plots import PlotTable, read_plots
from opencram.record.recording import Recording, Snapshot
from opencram.site import Site, load_site, site_from_documents
from opencram.stages.bytes_to_plots import times_ns
from opencram.state import State, load
from opencram.tables import Input, PlotRows

TELL_EVERY_TICKS = 10
RECORDINGS, TABLES = (".mcap",), (".csv", ".parquet")

Truth = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class Turn:
    """One tick to be played, and how far into the input it lies (0 to 1)."""

    now_ns: int
    inbox: list[Input]
    truth: Truth | None
    share: float


@dataclass(frozen=True)
class Span:
    """The part that is asked for; None is open."""

    from_ns: int | None
    to_ns: int | None

    @property
    def whole(self) -> bool:
        """Whether all is asked for."""
        return self.from_ns is None and self.to_ns is None


def replay(
    source: Path,
    site_name: str | None,
    out: Path,
    from_: str | None,
    to: str | None,
    speed: float | None,
    lang: str,
    progress: Progress | None = None,
) -> RunResult:
    """Play `source` and write the run folder `out`.

    A recording repeats its ticks at its own site, or at `site_name`, as a what-if: the effects stay those recorded. It
    begins at the last snapshot before `from_`. Plots, a table or ASTERIX, need a site. `from_` and `to` are ISO times;
    `speed` is times real time, as fast as it goes if None. Raises InputError where the input cannot be used.
    """
    span = _span(from_, to)
    suffix = source.suffix.lower()
    if suffix in RECORDINGS:
        return _replay_recording(Recording(source), site_name, out, span, speed, lang, progress)
    if suffix in TABLES or suffix in SUFFIXES:
        return _play_plots(source, site_name, out, span, speed, lang, progress)
    expected = ", ".join((*RECORDINGS, *TABLES, *SUFFIXES))
    raise InputError(f"{source}: found a name ending in '{suffix}', expected one in {expected}")


# ---- recordings -------------------------------------------------------------------------------------------------


def _replay_recording(
    recording: Recording,
    site_name: str | None,
    out: Path,
    span: Span,
    speed: float | None,
    lang: str,
    progress: Progress | None,
) -> RunResult:
    recorded = site_from_documents(recording.site_docs)
    site = load_site(site_name) if site_name is not None else recorded
    own_site = site.documents() == recorded.documents()
    simulated = bool(recording.meta.get("simulated", False))
    defended = simulated and bool(recording.meta.get("defended", False))
    start = _start_of(recording, span, own_site)
    state = State(defended=defended) if start is None else _loaded(recording, start)
    origin = Origin("replay", simulated, defended, recording.meta.get("scenario"), recording.meta.get("seed"))
    turns = _recorded_turns(recording, start, span, keep_truth=site.origin == recorded.origin)
    first = next(turns, None)
    if first is None:
        raise InputError(_nothing_found(recording, span))
    with RunFolder(out, site, state, origin, recording.scenario_docs) as folder:
        _play(folder, first, turns, speed, progress)
        known = _known(recording) if span.whole and site.origin == recorded.origin else None
        notes = _notes(recording, folder, span, own_site)
        return folder.finish(lang, known, progress, notes)


def _start_of(recording: Recording, span: Span, own_site: bool) -> Snapshot | None:
    """The snapshot to begin with; a state tells sensors and zones by number, so it fits its own site alone."""
    if not own_site:
        return None
    if span.from_ns is not None:
        return recording.snapshot_before(span.from_ns)
    first = recording.first_snapshot()
    return first if first is not None and first.seq > 1 else None  # a service's recording goes on from the one before


def _loaded(recording: Recording, start: Snapshot) -> State:
    try:
        return load(start.state)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        raise InputError(
            f"{recording.path}: found a snapshot that this version cannot load ({error}); replay it without --from"
        ) from None


def _recorded_turns(recording: Recording, start: Snapshot | None, span: Span, keep_truth: bool) -> Iterator[Turn]:
    """The ticks from the snapshot on. Truth is told in the recorded site's frame: it is dropped where that is left."""
    for tick in recording.ticks(start.seq if start else 0):
        if span.to_ns is not None and tick.now_ns > span.to_ns:
            return
        yield Turn(tick.now_ns, tick.inbox, tick.truth if keep_truth else None, recording.share_read)


def _known(recording: Recording) -> Known | None:
    """What the simulated world knew at the end; None if the file has been cut before it, or it was no simulation."""
    if recording.truth is None:
        return None
    try:
        return from_plain(recording.truth)
    except msgspec.ValidationError as error:
        raise InputError(f"{recording.path}: /truth: found what cannot be read ({error}), expected objects") from None


def _nothing_found(recording: Recording, span: Span) -> str:
    if span.whole:
        return f"{recording.path}: found no ticks, expected at least one"
    return f"{recording.path}: found no ticks in the time asked for, expected a time within the recording"


def _notes(recording: Recording, folder: RunFolder, span: Span, own_site: bool) -> tuple[str, ...]:
    notes = []
    if recording.truncated:
        notes.append(
            f"{recording.path}: the recording is cut or damaged; replayed up to {_iso(folder.crank.now_ns)}, "
            f"{folder.crank.sequence} ticks."
        )
    if not own_site:
        notes.append("Another site than the recorded one: a what-if, in which the effects stay those recorded.")
        if span.from_ns is not None:
            notes.append("The snapshots are those of the recorded site, so the what-if began at the beginning.")
    return tuple(notes)


# ---- tables of plots, ASTERIX ------------------------------------------------------------------------------------


def _play_plots(
    source: Path,
    site_name: str | None,
    out: Path,
    span: Span,
    speed: float | None,
    lang: str,
    progress: Progress | None,
) -> RunResult:
    if site_name is None:
        raise InputError(f"{source}: plots do not say where they were measured: --site SITE is needed")
    site = load_site(site_name)
    plots: PlotTable | AsterixFile = (
        read_plots(source) if source.suffix.lower() in TABLES else read_asterix(source, span.from_ns)
    )
    plots = plots.between(span.from_ns, span.to_ns)
    if not len(plots):
        raise InputError(f"{source}: found nothing in the time asked for, expected a time within the file")
    turns = _turns(plots, site)
    first = next(turns)
    with RunFolder(out, site, State(defended=False), Origin("replay", False, False, None, None), None) as folder:
        used = _play(folder, first, turns, speed, progress)
        if not used:
            raise InputError(f"{source}: {_refusals(folder, plots)}")
        left_out = plots.left_out if isinstance(plots, AsterixFile) else {}
        notes = tuple(f"{source}: left out {count} {what}" for what, count in left_out.items())
        return folder.finish(lang, None, progress, notes)


def _turns(plots: PlotTable | AsterixFile, site: Site) -> Iterator[Turn]:
    done = 0
    for now_ns, inbox in plots.ticks(site):
        done += sum(len(i.columns["row"]) if isinstance(i, PlotRows) else 1 for i in inbox)
        yield Turn(now_ns, list(inbox), None, done / len(plots))


def _refusals(folder: RunFolder, plots: PlotTable | AsterixFile) -> str:
    """The sentence for a file of which nothing is left."""
    what = "rows" if isinstance(plots, PlotTable) else "messages"
    rejects = folder.crank.said.rejects
    if not rejects:
        return f"found no plots in {len(plots)} {what}, expected at least one"
    count = sum(r.count for r in rejects)
    return f"found {count} {what} and none that can be used; {rejects[0].reason}: {rejects[0].sample}"


# ---- both -------------------------------------------------------------------------------------------------------


def _play(
    folder: RunFolder, first: Turn, others: Iterator[Turn], speed: float | None, progress: Progress | None
) -> int:
    """Turn the crank; returns how many plots were used."""
    crank, began_s, used = folder.crank, time.monotonic(), 0
    for number, turn in enumerate(chain([first], others)):
        if speed is not None:
            due_s = began_s + (turn.now_ns - first.now_ns) * 1e-9 / speed
            time.sleep(max(due_s - time.monotonic(), 0.0))
        used += len(crank.turn(turn.now_ns, turn.inbox, turn.truth).plots)
        if progress is not None and number % TELL_EVERY_TICKS == 0:
            progress(0.9 * turn.share, f"{_iso(turn.now_ns)[11:19]}, {len(crank.said.warnings)} warnings")
    return used


def _span(from_: str | None, to: str | None) -> Span:
    span = Span(_time_ns("--from", from_), _time_ns("--to", to))
    if span.from_ns is not None and span.to_ns is not None and span.from_ns > span.to_ns:
        raise InputError(f"--from {from_} --to {to}: found a beginning behind the end, expected it before")
    return span


def _time_ns(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = int(times_ns([text])[0])
    if found < 0:
        raise InputError(f"{option}: found '{text}', expected an ISO 8601 time such as 2020-11-17T18:00:00Z")
    return found


def _iso(time_ns: int) -> str:
    """ISO 8601 UTC to the millisecond."""
    import numpy as np

    return f"{np.datetime64(time_ns, 'ns').astype('datetime64[ms]')}Z"
