"""The crank that every drive turns: one step of the pipeline, recorded before and after, and what it all came to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opencram.pipeline import step
from opencram.record.digest import DecisionDigest
from opencram.record.parquet import TableWriter
from opencram.state import State, save
from opencram.tables import DefenceNote, Effect, Engagement, Health, Input, Outbox, Reject, TrackEvent, ZoneWarning

if TYPE_CHECKING:
    from opencram.record.recording import Recorder
    from opencram.site import Site

SNAPSHOT_EVERY_NS = 5_000_000_000
"""How often the state is written into the recording, in the run's own time."""

Progress = Callable[[float, str], None]
"""Called with the share that is done, 0 to 1, and what is being done."""


@dataclass
class Said:
    """All decisions and remarks of a run, in order."""

    warnings: list[ZoneWarning] = field(default_factory=list)
    engagements: list[Engagement] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    health: list[Health] = field(default_factory=list)
    events: list[TrackEvent] = field(default_factory=list)
    defence: list[DefenceNote] = field(default_factory=list)

    def add(self, inbox: Sequence[Input], outbox: Outbox) -> None:
        """Take in what came and went in one tick."""
        self.effects += [i for i in inbox if isinstance(i, Effect)]
        self.warnings += outbox.warnings
        self.engagements += outbox.engagements
        self.rejects += outbox.rejects
        self.health += outbox.health
        self.events += outbox.events
        self.defence += outbox.defence


class Crank:
    """A state and a site; each turn is one tick. Without a recorder, tables and decisions are kept in memory alone."""

    def __init__(
        self, site: Site, state: State, recorder: Recorder | None = None, tables: TableWriter | None = None
    ) -> None:
        self.site, self.state, self.recorder = site, state, recorder
        self.tables, self.digest, self.said = tables or TableWriter(site), DecisionDigest(), Said()
        self.sequence, self.start_ns, self.now_ns = 0, 0, 0
        self._snapshot_ns: int | None = None

    def turn(self, now_ns: int, inbox: list[Input], truth_rows: Mapping[str, Sequence[Any]] | None = None) -> Outbox:
        """One tick: recorded, stepped, recorded again. `truth_rows` are the world's columns for the truth table."""
        if self.sequence == 0:
            self.start_ns = now_ns
        self.sequence, self.now_ns = self.sequence + 1, now_ns
        if self.recorder is not None:
            self._snapshot(now_ns)
            self.recorder.inputs(self.sequence, now_ns, inbox, truth_rows)
        outbox = step(self.state, inbox, now_ns, self.site)
        if self.recorder is not None:
            self.recorder.outputs(self.sequence, now_ns, outbox)
        self.tables.add(outbox)
        if truth_rows is not None:
            self.tables.add_truth(truth_rows)
        self.digest.add(outbox)
        self.said.add(inbox, outbox)
        return outbox

    def begin(self, site: Site, state: State, now_ns: int) -> None:
        """From the tick at `now_ns` on, go on from another state, at another site."""
        self.site, self.state = site, state
        self.tables.change_site(site)
        if self.recorder is not None:
            self.recorder.site(self.sequence + 1, now_ns, site.documents())
            self._snapshot_ns = None

    def _snapshot(self, now_ns: int) -> None:
        """The state before this tick, so that a replay can begin here."""
        if self.recorder is not None and (self._snapshot_ns is None or now_ns - self._snapshot_ns >= SNAPSHOT_EVERY_NS):
            self.recorder.snapshot(self.sequence, now_ns, save(self.state))
            self._snapshot_ns = now_ns
