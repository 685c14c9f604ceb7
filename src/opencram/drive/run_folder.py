"""The folder of a run: recorded into while it goes on, summed up and reported when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opencram import __version__
from opencram.drive.crank import Crank, Progress
from opencram.drive.known import Known, to_plain
from opencram.record.parquet import TableWriter
from opencram.record.recording import Recorder
from opencram.report.evidence import Decisions, RunMeta, Tables, columns_of, read_tables
from opencram.report.render import write_outputs
from opencram.report.summary import summarize
from opencram.site import Site
from opencram.state import State


@dataclass(frozen=True)
class RunResult:
    """What a run came to: the content of run.json, the folder, the report in it, and what the user should know."""

    summary: dict[str, Any]
    out: Path
    report: Path
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Origin:
    """Where a run's inputs come from; `kind` is 'simulation' or 'replay'."""

    kind: str
    simulated: bool
    defended: bool
    """Whether there is a simulated defence."""
    scenario: str | None
    seed: int | None


class RunFolder:
    """A run that is being written; use it as a context manager, so that what was recorded is kept whatever happens."""

    def __init__(
        self, out: Path, site: Site, state: State, origin: Origin, scenario_docs: Mapping[str, str] | None
    ) -> None:
        self.out, self.site, self.origin = out, site, origin
        meta = {"version": __version__, "scenario": origin.scenario, "seed": origin.seed}
        meta |= {"simulated": origin.simulated, "defended": origin.defended}
        (out / "tables").mkdir(parents=True, exist_ok=True)
        self._recorder = Recorder(out / "recording.mcap", meta, site.documents(), scenario_docs)
        self._tables = TableWriter(site, out / "tables")
        self.crank = Crank(site, state, self._recorder, self._tables)

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.close()
        self._tables.discard()

    def finish(
        self, lang: str, known: Known | None, progress: Progress | None = None, notes: tuple[str, ...] = ()
    ) -> RunResult:
        """Write tables, run.json, alerts, survey, report and communiqués; `known` is None for plots of a real radar."""
        if known is not None:
            self._recorder.truth(self.crank.now_ns, to_plain(known))
        self._recorder.close()
        self._tables.write(self.out / "tables")
        if progress is not None:
            progress(0.92, "writing the report")
        summary = summary_of(self.crank, self.origin, read_tables(self.out), known)
        report = write_outputs(self.out, summary, self.crank.said, lang)
        return RunResult(summary, self.out, report, notes)


def summary_of(crank: Crank, origin: Origin, tables: Tables, known: Known | None) -> dict[str, Any]:
    """The content of run.json of a run that is over."""
    meta = RunMeta(
        kind=origin.kind,
        simulated=origin.simulated,
        scenario=origin.scenario,
        seed=origin.seed,
        digest=crank.digest.hexdigest(),
        start_ns=crank.start_ns,
        end_ns=crank.now_ns,
    )
    said = crank.said
    decisions = Decisions(
        said.warnings, said.engagements, said.effects, said.rejects, said.health, said.events, said.defence
    )
    return summarize(meta, crank.site, tables, decisions, known.truth() if known else None)


def tables_in_memory(crank: Crank) -> Tables:
    """The tables of a run that nothing was written of."""
    return Tables(**{name: columns_of(crank.tables.table(name)) for name in Tables.__annotations__})
