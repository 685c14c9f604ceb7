"""A siren's mind: which command it executes, which it refuses and why, and for what it sounds now.

It reads no clock and makes no sound: every call is handed the time (int64 ns UTC), `sounding` is what is to be heard.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from opencram.outputs.sirens.messages import ALARMS, ENDS, Ack, Beat, Command, Refusal, Stage

TEST_NS = 3_000_000_000
"""A self-test sounds for so long."""
MAX_ZONES = 256
"""A siren serves no more; the command for one beyond is refused."""


@dataclass
class ZoneMemory:
    """The latest command executed for a zone."""

    command: Command
    stage: Stage = "received"
    reason: str = ""

    @property
    def alive(self) -> bool:
        """Whether it still calls for sound."""
        return self.command.kind in ALARMS and self.stage != "done"


@dataclass
class Memory:
    """What must outlive a siren's power: without it an old command could be passed off as a new one."""

    zones: dict[str, ZoneMemory] = field(default_factory=dict)
    tested_ns: int | None = None
    tested_ok: bool | None = None


class Device:
    """One siren. `fault` is what keeps it from making sound, such as a missing loudspeaker; empty: nothing."""

    def __init__(self, siren: str, memory: Memory | None = None, fault: str = "") -> None:
        self.siren, self.memory, self.fault = siren, memory or Memory(), fault
        self.refused: Counter[str] = Counter()
        self.starts: Counter[str] = Counter()
        """How often it began to sound, by zone."""
        self.says: list[Command] = []
        """What is to be said once, the newest last; whoever says it takes it out."""
        self._beat_ns = 0
        self._running: set[str] = set()
        """Ids begun in this life: a command remembered from an earlier one is taken up again when it is repeated."""

    @property
    def sounding(self) -> Command | None:
        """The command whose sound is to be heard now: what is meant in earnest first, then the gravest."""
        alive = [z.command for z in self.memory.zones.values() if z.alive and z.command.id in self._running]
        return min(alive, key=_rank, default=None)

    def hear(self, command: Command, now_ns: int) -> list[Ack]:
        """Execute a command, or refuse it; the answers."""
        last = self.memory.zones.get(command.zone)
        if last is not None and last.command.id == command.id:
            return self._again(last, command, now_ns)
        refusal = self._refusal(command, last, now_ns)
        if refusal:
            self.refused[refusal] += 1
            return [_ack(command, "refused", now_ns, refusal, last.command.seq if last else 0)]
        before = last is not None and last.alive and last.command.id in self._running
        if last is not None:
            self._running.discard(last.command.id)
        now = self.memory.zones[command.zone] = ZoneMemory(command)
        acks = [_ack(command, "received", now_ns)]
        if command.kind in ENDS:
            if before and last is not None and self.sounding is None:  # an exercise ends as one, whoever ends it
                self.says.append(msgspec.structs.replace(command, status=last.command.status))
            return [*acks, self._done(now, now_ns, "")]
        if command.kind == "drill-notice":
            self.says.append(command)
            return [*acks, self._done(now, now_ns, "")]
        return [*acks, *self._begin(now, now_ns, anew=not before)]

    def tick(self, now_ns: int) -> list[Ack]:
        """End what has run out."""
        acks = []
        for zone in self.memory.zones.values():
            command = zone.command
            if not zone.alive or command.id not in self._running:
                continue
            if command.kind == "test" and now_ns - command.issued_ns >= TEST_NS:
                self.memory.tested_ns, self.memory.tested_ok = now_ns, not self.fault
                acks.append(self._done(zone, now_ns, self.fault or "passed"))
            elif now_ns >= command.expires_ns:
                acks.append(self._done(zone, now_ns, "expired"))
        return acks

    def beat(self, now_ns: int) -> Beat:
        """What it says of itself; each beat has a later time than the one before."""
        self._beat_ns = max(now_ns, self._beat_ns + 1)
        sounding, memory = self.sounding, self.memory
        return Beat(
            siren=self.siren,
            time_ns=self._beat_ns,
            sounding=sounding.id if sounding else None,
            tested_ns=memory.tested_ns,
            tested_ok=memory.tested_ok,
            fault=self.fault,
        )

    def begin_beats_anew(self) -> None:
        """The clock was put right: beats need only be later than each other from here on."""
        self._beat_ns = 0

    def _refusal(self, command: Command, last: ZoneMemory | None, now_ns: int) -> Refusal | None:
        if now_ns >= command.expires_ns:
            return "expired"
        if last is not None and command.seq <= last.command.seq:
            return "superseded"
        if last is not None and last.alive and last.command.status == "Actual" != command.status:
            return "busy"  # what is in earnest gives way to nothing that is not
        others = any(zone.alive for zone in self.memory.zones.values())
        full = last is None and len(self.memory.zones) >= MAX_ZONES
        return "busy" if full or (command.kind == "test" and others) else None

    def _again(self, last: ZoneMemory, command: Command, now_ns: int) -> list[Ack]:
        """A command that it knows: executed once, answered each time."""
        interrupted = last.alive and command.id not in self._running
        if interrupted and now_ns < command.expires_ns and command == last.command:
            return self._begin(last, now_ns, anew=True)
        self.refused["repeated"] += 1
        return [_ack(command, last.stage, now_ns, last.reason)]

    def _begin(self, zone: ZoneMemory, now_ns: int, anew: bool) -> list[Ack]:
        """Sound for a zone; a fault is told instead of a sound that nobody hears."""
        command = zone.command
        self._running.add(command.id)
        if anew:
            self.starts[command.zone] += 1
        if self.fault and command.kind != "test":
            return []
        zone.stage = "sounding"
        return [_ack(command, "sounding", now_ns)]

    def _done(self, zone: ZoneMemory, now_ns: int, reason: str) -> Ack:
        zone.stage, zone.reason = "done", reason
        self._running.discard(zone.command.id)
        return _ack(zone.command, "done", now_ns, reason)


def _rank(command: Command) -> tuple[bool, int, int]:
    return command.status != "Actual", ALARMS.index(command.kind), command.seq


def _ack(command: Command, stage: Stage, now_ns: int, reason: str = "", newest_seq: int = 0) -> Ack:
    return Ack(
        siren=command.siren,
        id=command.id,
        seq=command.seq,
        stage=stage,
        time_ns=now_ns,
        reason=reason,
        newest_seq=newest_seq,
    )
