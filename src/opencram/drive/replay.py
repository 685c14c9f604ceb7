"""Replay a recording, or play plots (a table, ASTERIX), through the pipeline that a simulation or a radar feeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from opencram.drive.crank import Crank, Progress
from opencram.drive.known import Known, from_plain
from opencram.drive.run_folder import Origin, RunFolder, RunResult
from opencram.errors import InputError
from opencram.record.asterix import SUFFIXES, AsterixFile, read_asterix
from opencram.record.plots import PlotTable, read_plots
from opencram.record.recording import Begin
from opencram.record.series import Series
from opencram.site import Site, load_site, site_from_documents
from opencram.stages.bytes_to_plots import times_ns
from opencram.state import State, load, save
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
    begin: Begin | None = None
    """What the state and the site are in front of it, where they need not be those of the tick before."""


@dataclass(frozen=True)
class Played:
    """How many plots were used, and what a reader should know."""

    plots: int
    notes: tuple[str, ...]


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

    A recording, or a folder of a service's, repeats its ticks at its own site, or at `site_name`, as a what-if: the
    effects stay those recorded. It begins at the last snapshot before `from_`. Plots, a table or ASTERIX, need a site.
    `from_` and `to` are ISO times; `speed` is times real time, as fast as it goes if None. InputError where the input
    cannot be used.
    """
    span = _span(from_, to)
    suffix = source.suffix.lower()
    if suffix in RECORDINGS or source.is_dir():
        return _replay_recording(source, site_name, out, span, speed, lang, progress)
    if suffix in TABLES or suffix in SUFFIXES:
        return _play_plots(source, site_name, out, span, speed, lang, progress)
    expected = ", ".join((*RECORDINGS, *TABLES, *SUFFIXES))
    raise InputError(f"{source}: found a name ending in '{suffix}', expected one in {expected}")


# ---- recordings -------------------------------------------------------------------------------------------------


def _replay_recording(
    source: Path,
    site_name: str | None,
    out: Path,
    span: Span,
    speed: float | None,
    lang: str,
    progress: Progress | None,
) -> RunResult:
    series = Series(source, span.from_ns, span.to_ns)
    begin, meta = series.begin(), series.first.meta
    recorded = site_from_documents(begin.site_docs)
    site = load_site(site_name) if site_name is not None else recorded
    own_site = site.documents() == recorded.documents()
    simulated = bool(meta.get("simulated", False))
    defended = simulated and bool(meta.get("defended", False))
    if not own_site:  # a state tells sensors and zones by number, so it fits its own site alone
        begin = Begin(begin.site_docs, None)
    state = _state_of(series, begin, defended)
    origin = Origin("replay", simulated, defended, meta.get("scenario"), meta.get("seed"))
    turns = _recorded_turns(series, begin, span, own_site, keep_truth=site.origin == recorded.origin)
    first = next(turns, None)
    if first is None:
        raise InputError(_nothing_found(series, span))
    with RunFolder(out, site, state, origin, series.first.scenario_docs) as folder:
        played = _play(folder, first, turns, speed, progress, tolerant=bool(meta.get("service", False)))
        known = _known(series) if span.whole and site.origin == recorded.origin else None
        return folder.finish(lang, known, progress, (*_notes(series, folder, span, own_site), *played.notes))


def _state_of(series: Series, begin: Begin, defended: bool) -> State:
    """The state at a beginning; a run's own, in front of its first tick, is the empty one."""
    if begin.snapshot is None:
        return State(defended=defended)
    try:
        return load(begin.snapshot.state)
    except (msgspec.DecodeError, ValueError, TypeError) as error:
        if begin.snapshot.seq <= 1 and not series.first.meta.get("service", False):
            return State(defended=defended)
        raise InputError(
            f"{series.path}: found a snapshot that this version cannot load ({error}); expected one of its own: "
            "replay it without --from, or with the version that made it"
        ) from None


def _recorded_turns(series: Series, begin: Begin, span: Span, own_site: bool, keep_truth: bool) -> Iterator[Turn]:
    """The ticks from the beginning on. Truth is told in the recorded site's frame: it is dropped where that is left."""
    anew: Begin | None = None
    for turn in series.turns(begin):
        if isinstance(turn, Begin):
            anew = turn if own_site else None
            continue
        if span.to_ns is not None and turn.now_ns > span.to_ns:
            return
        yield Turn(turn.now_ns, turn.inbox, turn.truth if keep_truth else None, series.share_read, anew)
        anew = None


def _known(series: Series) -> Known | None:
    """What the simulated world knew at the end; None if the file has been cut before it, or it was no simulation."""
    truth = series.recordings[-1].truth
    if truth is None:
        return None
    try:
        return from_plain(truth)
    except msgspec.ValidationError as error:
        raise InputError(f"{series.path}: /truth: found what cannot be read ({error}), expected objects") from None


def _nothing_found(series: Series, span: Span) -> str:
    if span.whole:
        return f"{series.path}: found no ticks, expected at least one"
    return f"{series.path}: found no ticks in the time asked for, expected a time within the recording"


def _notes(series: Series, folder: RunFolder, span: Span, own_site: bool) -> tuple[str, ...]:
    notes = [f"{sentence}; it is left out." for sentence in series.unreadable]
    to, ticks = _iso(folder.crank.now_ns), folder.crank.sequence
    for path in series.truncated:
        last = path == series.recordings[-1].path
        what = f"replayed up to {to}, {ticks} ticks." if last else "what it has lost is missing from here on."
        notes.append(f"{path}: the recording is cut or damaged; {what}")
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
        if not _play(folder, first, turns, speed, progress).plots:
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
    folder: RunFolder,
    first: Turn,
    others: Iterator[Turn],
    speed: float | None,
    progress: Progress | None,
    tolerant: bool = False,
) -> Played:
    """Turn the crank. `tolerant`: a tick that raises did so in the service that recorded it, which went on anew."""
    crank, began_s, used = folder.crank, time.monotonic(), 0
    notes: list[str] = []
    for number, turn in enumerate(chain([first], others)):
        if speed is not None:
            due_s = began_s + (turn.now_ns - first.now_ns) * 1e-9 / speed
            time.sleep(max(due_s - time.monotonic(), 0.0))
        if turn.begin is not None:
            notes += _begin_anew(crank, turn.begin, turn.now_ns)
        try:
            used += len(crank.turn(turn.now_ns, turn.inbox, turn.truth).plots)
        except Exception as fault:
            if not tolerant:
                raise
            notes.append(f"The tick at {_iso(turn.now_ns)} could not be worked out ({type(fault).__name__}).")
        if progress is not None and number % TELL_EVERY_TICKS == 0:
            progress(0.9 * turn.share, f"{_iso(turn.now_ns)[11:19]}, {len(crank.said.warnings)} warnings")
    return Played(used, tuple(notes))


def _begin_anew(crank: Crank, begin: Begin, now_ns: int) -> list[str]:
    """Take over a recorded beginning, unless it is what the ticks before have led to; what changed, a sentence each."""
    notes = []
    site, state = crank.site, crank.state
    if begin.site_docs != site.documents():
        site = site_from_documents(begin.site_docs)
        if site.origin != crank.site.origin:
            raise InputError(f"at {_iso(now_ns)}: found recordings of two sites, expected those of one: use --to")
        notes.append(f"At {_iso(now_ns)} the site was changed; tables name the zones that each moment had.")
    if begin.snapshot is not None and begin.snapshot.state != save(state):
        state = load(begin.snapshot.state)
        notes.append(f"At {_iso(now_ns)} the service went on from another state than its recording leads to.")
    if notes:
        crank.begin(site, state, now_ns)
    return notes


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
