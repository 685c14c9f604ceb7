"""The pipeline's process: one loop in which each tick is taken, logged, stepped, and told to the sirens, in this order.

Everything that is not a siren comes after the sirens: the web process, the journal, the terminal. None of them is ever
waited for.
"""

from __future__ import annotations

import asyncio
import gc
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.messages import Ack, Command, ToService
from opencram.outputs.sirens.post import Post
from opencram.pipeline import step
from opencram.serve.link import Act, Drill, Source
from opencram.serve.picture import Painter
from opencram.serve.stopwatch import Stopwatch
from opencram.state import State, load_warnings, save_warnings
from opencram.tables import Health, Input, OperatorAct, Outbox, Reject, ZoneWarning
from opencram.warning.rules import ALERT, zone_rules

if TYPE_CHECKING:
    from opencram.console import Console
    from opencram.outputs.sirens.orders import Drill as DrillState
    from opencram.serve.keep import Keeper, Resumed
    from opencram.serve.outlets import Outlets
    from opencram.serve.sources import Source as InputSource
    from opencram.serve.tracks_out import TracksOut
    from opencram.serve.webprocess import WebProcess
    from opencram.site import Site
    from opencram.steadyclock import SteadyClock

PICTURE_NS = 100_000_000
LATE_S, CLOCK_S = 1.0, 1.0
"""A pipeline that is this far behind its inputs, or apart from the machine's clock, says so."""
MAX_SENT = 20_000
"""So many commands are remembered for the time of their answers."""
LINK_SOURCE: dict[Provenance, Source] = {
    Provenance.SIMULATION: "simulation",
    Provenance.REPLAY: "replay",
    Provenance.LIVE: "live",
}


class Service:
    """A site, a source of inputs, and all that is told of them. `run` goes on until `stop`."""

    def __init__(
        self,
        site: Site,
        source: InputSource,
        clock: SteadyClock,
        keeper: Keeper,
        resumed: Resumed,
        tokens: Mapping[str, bytes],
        console: Console,
    ) -> None:
        self.site, self.source, self.clock, self.keeper, self.console = site, source, clock, keeper, console
        if keeper.provenance is not source.provenance:
            raise ValueError(f"found a folder for {keeper.provenance}, expected one for {source.provenance}")
        self.state = resumed.state or State(defended=source.defended)
        if resumed.stood is not None:
            self.state.warnings = resumed.stood
        self._stood = save_warnings(self.state.warnings)
        """What zones had been told after the last tick that was worked out: no fault of ours takes it back."""
        self.desk = Desk(site, source.provenance, resumed.desk)
        self.post = Post(self.desk, tokens, clock.now_ns, self._sent, self._heard)
        self.web: WebProcess | None = None
        self.outlets: Outlets | None = None
        self.tracks_out: TracksOut | None = None
        self.notes: dict[str, str] = {}
        """What is degraded, a sentence each, by what it is about."""
        self._note("zones", _mute(site))
        self._painter, self._watch = Painter(site), Stopwatch()
        self._asked: deque[Act] = deque(maxlen=1_000)
        self.between_ticks: deque[Callable[[], None]] = deque()
        """What is to be done before the next tick begins."""
        self.reload: Callable[[Act], None] | None = None
        """Reads the zones again, where they can be; answers the act."""
        self._journal: list[dict[str, object]] = []
        self._sent_ns: dict[str, int] = {}
        self._turn_ns, self._shown_ns, self.ticks = 0, 0, 0
        self._changed, self._resumed = False, resumed.state is not None
        self._ending, self._woken = False, asyncio.Event()
        self._resume(resumed)

    # ---- the loop -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Tick until `stop`."""
        zone_rules(self.site)  # worked out once for a site, and not by the first tick
        self.source.prepare()
        if self.source.receiver is not None:
            self.source.receiver.came = self._woken.set
        gc.collect()
        gc.freeze()  # what was made at the start is never looked through again: that took tens of milliseconds
        while not self._ending:
            due_ns = self.source.due_ns(self.keeper.now_ns, self.clock.now_ns())
            wait_ns = due_ns - self.clock.now_ns()
            if wait_ns > 0 and await self._pause(wait_ns * 1e-9):
                continue  # something came in: the next tick may be due earlier now
            await asyncio.sleep(0)
            if not self._ending:
                self.turn(due_ns)

    async def _pause(self, wait_s: float) -> bool:
        """Whether it was woken before the time was over."""
        try:
            await asyncio.wait_for(self._woken.wait(), wait_s)
        except TimeoutError:
            return False
        self._woken.clear()
        return True

    def stop(self) -> None:
        """End `run`."""
        self._ending = True
        self._woken.set()

    def turn(self, tick_ns: int) -> Outbox | None:
        """One tick: taken, logged, stepped, logged, told to the sirens, and then to everybody else."""
        while self.between_ticks:
            self.between_ticks.popleft()()
        self._turn_ns, self.ticks = self.clock.now_ns(), self.ticks + 1
        self._watch.start()
        self._watch.add("late", max(0.0, (self._turn_ns - tick_ns) * 1e-9))
        acts = [self._asked.popleft() for _ in range(len(self._asked))]
        inbox = [*self.source.take(tick_ns), *_inputs_of(acts, tick_ns)]
        self.keeper.inputs(tick_ns, inbox)
        self._watch.lap("inputs")
        try:
            outbox = step(self.state, inbox, tick_ns, self.site)
        except Exception:  # a fault of ours: people are warned by what stood before, and we say so
            self._recover(acts)
            return None
        self._watch.lap("step")
        self.keeper.outputs(outbox)
        if outbox.warnings:
            self.desk.warn(outbox.warnings, self.clock.now_ns())
        self.post.tick()
        self._watch.lap("sirens")
        self._tell(outbox, acts)
        self._watch.lap("others")
        self._rest(outbox)
        self._watch.lap("rest")
        return outbox

    def _rest(self, outbox: Outbox) -> None:
        """What can wait until the sirens have been told."""
        self._stood = save_warnings(self.state.warnings)
        self.source.order(outbox.engagements)
        self.source.know(self.state)
        self._note_faults()
        now_ns = self.clock.now_ns()
        self._painter.add(outbox, self.keeper.now_ns)
        if self.tracks_out is not None:
            self.tracks_out.tell(outbox, self.keeper.now_ns)
        if self.web is not None and now_ns - self._shown_ns >= PICTURE_NS:
            self._shown_ns = now_ns
            notes, counts = tuple(self.notes.values()), self._counts()
            if self.outlets is not None:
                notes, counts = notes + self.outlets.notes, counts | self.outlets.counts
            clocks_s = self.state.aligned.registration.applied[:, 3]
            picture = self._painter.picture(self.desk, now_ns, notes, counts, clocks_s)
            self.web.show(
                msgspec.structs.replace(
                    picture, stages=self._watch.times(), queues=self._queues(), recording=self.keeper.seen
                )
            )
            if self.outlets is not None:
                self.outlets.show(picture.tracks)
        self._note_down()
        self.source.prepare()
        self.keeper.rest(self.state)
        self.clock.slew()

    def _note_faults(self) -> None:
        """What people should know of the clock, of lateness and of the ways to the sirens."""
        for way in self.post.transports:
            fault = getattr(way, "fault", "")
            self._note(way.name, f"sirens over {way.name}: {fault}" if fault else "")
        late_s = (self.clock.now_ns() - self.keeper.now_ns) * 1e-9
        self._note("lag", f"the pipeline is {late_s:.1f} s behind its inputs" if late_s > LATE_S else "")
        ahead_s = self.clock.ahead_ns() * 1e-9
        set_by = f"the machine's clock was set by {-ahead_s:.1f} s; it is followed slowly"
        self._note("clock", set_by if abs(ahead_s) > CLOCK_S else "")
        self._note("recording", self.keeper.fault or self.keeper.kept.fault)
        while self.keeper.news:
            self.console.say(self.keeper.news.popleft(), self.keeper.now_ns, what="recording")
        self._note("radars", self.source.receiver.fault if self.source.receiver is not None else "")

    def _note(self, about: str, sentence: str) -> None:
        """Have a sentence on the page while it is so."""
        if sentence:
            self.notes[about] = sentence
        else:
            self.notes.pop(about, None)

    def _queues(self) -> dict[str, int]:
        orders = [order for of_siren in self.desk.state.orders.values() for order in of_siren.values()]
        receiver = self.source.receiver
        return {
            "acts": len(self._asked),
            "datagrams": receiver.waiting() if receiver is not None else 0,
            "commands not answered": sum(not order.reached for order in orders),
            "lines of the terminal": self.console.waiting,
            "warnings for outlets": self.outlets.waiting if self.outlets is not None else 0,
        }

    def _counts(self) -> dict[str, int]:
        ways = {f"{way.name}: not sent": getattr(way, "unsent", 0) for way in self.post.transports}
        cut = {f"{way.name}: refused": getattr(way, "refused", 0) for way in self.post.transports}
        radars = self.source.receiver.counts() if self.source.receiver is not None else {}
        tracks = self.tracks_out.counts() if self.tracks_out is not None else {}
        return {name: count for name, count in (ways | cut | radars | tracks).items() if count}

    # ---- a restart, and a fault -----------------------------------------------------------------------------------

    def _resume(self, resumed: Resumed) -> None:
        """Go on where an earlier process stopped: the same zones alerted, the same commands."""
        if resumed.note:
            self.notes["state"] = resumed.note
        for tick_ns, warnings in resumed.warnings:
            self.desk.warn(warnings, tick_ns)
        self.desk.resume(self._alerted(), self.clock.now_ns())

    def _alerted(self) -> dict[str, tuple[str, int]]:
        zones = self.state.warnings.zones
        return {zone: (told.kind, told.began_ns or told.told_ns) for zone, told in zones.items() if told.level == ALERT}

    def tell_standing(self) -> None:
        """Tell the web process and the outlets what stood when this process began: warnings, and drills.

        CAP keeps what it was told of a drill.
        """
        standing = list(self._standing())
        if self.web is not None:
            for warning in standing:
                self.web.tell(warning)
            for drill in self.desk.state.drills.values():
                self.web.tell_drill(_step_of(drill, self.clock.now_ns()))
        if self.outlets is not None:
            self.outlets.start(standing, whole=self._resumed)

    def _standing(self) -> Iterator[ZoneWarning]:
        for zone, told in self.state.warnings.zones.items():
            impact_ns, now_ns = told.told_impact_ns, self.clock.now_ns()
            yield ZoneWarning(
                time_ns=told.began_ns or told.told_ns,
                zone=zone,
                state="alert" if told.level == ALERT else "pre-alert",
                tracks=tuple(told.tracks),
                p_hit=0.0,
                seconds_left=(impact_ns - (told.began_ns or told.told_ns)) * 1e-9 if impact_ns > now_ns else None,
                kind=told.kind,
                reason="still under warning after a restart of the service",
            )

    def _recover(self, acts: Sequence[Act]) -> None:
        """The step raised: say so, take the state as it was before this tick, and go on with the next.

        Whatever else is lost, zones are under the warnings that they have been told, and sirens go on.
        """
        self.console.say(f"FAULT in the step of tick {self.keeper.seq}:\n{traceback.format_exc()}", self._turn_ns)
        found = self.keeper.again()
        lost = "" if found.state is not None else "; tracks begin anew, zones stay under warning"
        self.notes["fault"] = f"tick {self.keeper.seq} could not be worked out and was left out{lost}"
        self.state = found.state or State(defended=self.source.defended)
        self.state.warnings = load_warnings(self._stood)
        self.keeper.anew(self.state)
        self.post.tick()
        self._note_down()
        for act in acts:
            self.answer(act, False, "a fault kept it from being carried out; ask again")

    # ---- operators ------------------------------------------------------------------------------------------------

    def act(self, act: Act) -> None:
        """An operator's act: an alarm and an all-clear go into the next tick, the others are the sirens' alone."""
        now_ns = self.clock.now_ns()
        if act.kind in ("alarm", "all-clear"):
            self._asked.append(act)
            return
        if act.kind == "reload-zones":
            if self.reload is not None:
                self.reload(act)
            return
        if act.kind == "drill":
            why_not = self._no_drill_in(act.targets) or self.desk.start_drill(
                act.act, act.targets, act.announce_s, act.last_s, act.by, now_ns
            )
            done = f"the drill is announced in {', '.join(act.targets)}; it sounds in {act.announce_s:.0f} s"
        else:
            refusals = [self.desk.self_test(siren, now_ns) for siren in act.targets]
            why_not = "; ".join(filter(None, refusals))
            done = f"testing {', '.join(act.targets)}"
        self.post.flush()
        self.answer(act, not why_not, why_not or done)
        self._tell_drills()

    def _no_drill_in(self, zones: Sequence[str]) -> str:
        """Why there can be no drill in these zones now; nothing where there can."""
        warned = [zone for zone in zones if zone in self.state.warnings.zones]
        if warned:
            return f"{', '.join(warned)}: found under a real warning, expected none while a drill begins"
        drilled = [zone for drill in self.desk.state.drills.values() for zone in zones if zone in drill.zones]
        return f"{', '.join(drilled)}: found a drill that is not over, expected none" if drilled else ""

    def change_site(self, site: Site) -> None:
        """Other zones from the next tick on; all else of the site is as it was."""
        self.site = site
        self._note("zones", _mute(site))
        self.desk.change_site(site)
        self.keeper.anew(self.state, site)

    def answer(self, act: Act, done: bool, sentence: str) -> None:
        """Say what came of an act."""
        self.console.say(f"{act.by}: {act.kind} {', '.join(act.targets)}: {sentence}", self.clock.now_ns())
        if self.web is not None:
            self.web.reply(act, done, sentence)

    def _answer_acts(self, outbox: Outbox, acts: Sequence[Act]) -> None:
        for act in acts:
            refused = [r for r in outbox.rejects if r.source == act.by and _names_one(r, act.targets)]
            told = [w for w in outbox.warnings if w.zone in act.targets]
            if refused:
                self.answer(act, False, f"{refused[0].reason} ({refused[0].sample})")
            else:
                stands = f"{act.kind} for {', '.join(act.targets)}: it stands already"
                self.answer(act, True, told[0].reason if told else stands)

    # ---- what is told, after the sirens ---------------------------------------------------------------------------

    def _tell(self, outbox: Outbox, acts: Sequence[Act]) -> None:
        by = {zone: act.by for act in acts for zone in act.targets}
        for warning in outbox.warnings:
            if self.web is not None:
                who = by.get(warning.zone, "") if warning.kind == "operator" or warning.state == "all-clear" else ""
                self.web.tell(warning, who)
            if self.outlets is not None:
                self.outlets.tell(warning)
            told = {"what": "warning", "zone": warning.zone, "state": warning.state}
            self.console.say(f"{warning.state:9} {warning.zone}: {warning.reason}", warning.time_ns, **told)
        self._answer_acts(outbox, acts)
        self._tell_drills()
        for health in (*outbox.health, *self.desk.notices()):
            self._note_health(health)

    def _note_health(self, health: Health) -> None:
        told = {"what": "health", "component": health.component, "state": health.state}
        self.console.say(f"{health.component}: {health.state}, {health.detail}", health.time_ns, **told)
        self._journal.append({"what": "health", **_plain(health)})
        if health.state == "unanswered":
            self.notes[health.component] = f"{health.component} does not answer: {health.detail}"
        elif health.state in ("unexplained", "contested", "degraded", "overloaded"):
            self.notes[health.component] = f"{health.component} {health.detail}"
        elif health.state in ("answered", "ok"):
            self.notes.pop(health.component, None)

    def _tell_drills(self) -> None:
        for drill in self.desk.drill_news():
            self.console.say(f"drill {drill.phase} in {', '.join(drill.zones)}", self.clock.now_ns())
            step = _step_of(drill, self.clock.now_ns())
            if self.web is not None:
                self.web.tell_drill(step)
            if self.outlets is not None:
                self.outlets.tell_drill(step)

    # ---- the journal ----------------------------------------------------------------------------------------------

    def _sent(self, command: Command, ways: int) -> None:
        now_ns = self.clock.now_ns()
        self._changed = True
        if command.id not in self._sent_ns:
            self._sent_ns[command.id] = now_ns
        if len(self._sent_ns) > MAX_SENT:
            del self._sent_ns[next(iter(self._sent_ns))]
        ms = round((now_ns - self._turn_ns) * 1e-6, 2)
        self._journal.append({"what": "command", "time_ns": now_ns, "ms": ms, "ways": ways, **_plain(command)})
        late = f"{ms:.1f} ms after the plots" if ways else "not connected"
        if command.issued_ns >= self._turn_ns and command.id.endswith("/0"):  # neither said again nor renewed
            line = f"  siren {command.siren}: {command.kind} for {command.zone} ({late})"
            self.console.say(line, now_ns, what="command", siren=command.siren, zone=command.zone, kind=command.kind)

    def _heard(self, message: ToService, transport: str) -> None:
        if not isinstance(message, Ack):
            return
        now_ns = self.clock.now_ns()
        self._changed = True
        ms = round((now_ns - self._sent_ns.get(message.id, now_ns)) * 1e-6, 2)
        entry: dict[str, object] = {"what": "answer", "heard_ns": now_ns, "ms": ms, "by": transport}
        self._journal.append({**entry, **_plain(message)})
        if message.stage in ("sounding", "done") and message.id.endswith("/0"):
            line = f"  siren {message.siren}: {message.stage} ({ms:.1f} ms after the command)"
            self.console.say(line, now_ns, what="answer", siren=message.siren, stage=message.stage, ms=ms)

    def _note_down(self) -> None:
        """Keep the orders and the journal, once a tick at most."""
        if self._changed:
            self._changed = False
            self.keeper.desk(self.desk.state)
        if self._journal:
            self.keeper.journal(self._journal)
            self._journal = []

    def close(self) -> None:
        """Keep all there is."""
        if self.tracks_out is not None:
            self.tracks_out.close()
        self._note_down()
        self.keeper.close(self.state, self.desk.state)


def threadsafe(loop: asyncio.AbstractEventLoop, service: Service) -> Callable[[Act], None]:
    """`service.act` for a caller on another thread."""

    def hand_over(act: Act) -> None:
        loop.call_soon_threadsafe(service.act, act)

    return hand_over


def _inputs_of(acts: Sequence[Act], tick_ns: int) -> list[Input]:
    """Each stands for the moment at which it was asked for: what has changed since, it does not speak of."""
    return [
        OperatorAct(time_ns=min(act.time_ns, tick_ns), zone=zone, act=act.kind, by=act.by)
        for act in acts
        for zone in act.targets
    ]


def _mute(site: Site) -> str:
    """Which zones have no siren, a sentence; nothing where all have."""
    mute = [zone.id for zone in site.zones if not any(zone.id in siren.zones for siren in site.sirens)]
    return f"no siren sounds for {', '.join(mute)}" if mute else ""


def _names_one(reject: Reject, zones: Sequence[str]) -> bool:
    return any(reject.sample == zone or reject.sample.startswith(f"{zone}:") for zone in zones)


def _step_of(drill: DrillState, now_ns: int) -> Drill:
    phases = {"notice": "notice", "sounding": "sounding", "stopped": "stopped"}
    return Drill(
        seq=0,
        drill=drill.id,
        zones=drill.zones,
        phase=phases.get(drill.phase, "over"),  # type: ignore[arg-type]
        time_ns=now_ns,
        starts_ns=drill.starts_ns,
        ends_ns=drill.ends_ns,
        by=drill.by,
        reason="a warning ended it" if drill.phase == "stopped" else "",
    )


def _plain(message: Command | Ack | Health) -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(message)
    return {key: value for key, value in plain.items() if key not in ("is", "type")}
