"""A siren at work: its mind, its token, its clock, its memory on disk and its loudspeaker, over any number of links."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from opencram.outputs.sirens.device import Device, Memory
from opencram.outputs.sirens.messages import Ack, Bye, Command, Pulse, Refused, decode_for_siren, encode
from opencram.outputs.sirens.sounds import SYSTEM_FAULT, sound_of
from opencram.steadyclock import SteadyClock

BEAT_S = 2.0
NEW_TIME_NS = 100_000_000
"""A clock that was put right by more than this beats again at once: the last beat may have looked old."""
LONGEST_TRIP_NS = 2_000_000_000
"""A pulse that took longer sets no clock."""
FAULT_AGAIN_NS = 120_000_000_000
"""That the system is out of order is said again so often."""

Send = Callable[[bytes], object]
OnEvent = Callable[[str, Command | None, str], None]
"""Told of what happens: 'received', 'sounding', 'done', 'refused', 'pulse', ...; the command; in words."""


class Loudspeaker(Protocol):
    """Makes sounds by their names."""

    def play(self, name: str, repeat: bool) -> None: ...
    def stop(self) -> None: ...
    def tick(self) -> None: ...


class Mute:
    """A loudspeaker that is not there: the siren only shows what it would sound."""

    def play(self, name: str, repeat: bool) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""

    def tick(self) -> None:
        """Nothing."""


class Runner:
    """Everything of a siren but its links: a link hands `received` what comes, and `send` is told where answers go.

    Answers go out over all links: the service takes each once. `memory_file` None: it forgets with its process.
    """

    def __init__(
        self,
        device: Device,
        token: bytes,
        clock: SteadyClock | None = None,
        speaker: Loudspeaker | None = None,
        memory_file: Path | None = None,
        on_event: OnEvent | None = None,
    ) -> None:
        self.device, self.clock = device, clock or SteadyClock()
        self.refused: Counter[str] = Counter()
        self.pulsed_ns: int | None = None
        """When the service last said that it lives, by the siren's clock."""
        self.links: dict[str, Send] = {}
        self.memory_fault = ""
        """Why its memory cannot be kept, a sentence; empty: it is."""
        self._token, self._speaker, self._memory_file = token, speaker or Mute(), memory_file
        self._on_event = on_event or (lambda what, command, words: None)
        self._beats: dict[int, int] = {}
        self._heard = ""
        self._fault_ns: int | None = None
        """After so long without a pulse it says that the system is out of order; None: it does not."""
        self._said_ns: int | None = None
        """When it last said so; None: there is no such fault."""

    def received(self, data: bytes) -> None:
        """Take in what a link brought; all that is not the service's own is refused and counted."""
        try:
            message = decode_for_siren(data, self._token, self.device.siren)
        except Refused as refused:
            self.refused[refused.reason] += 1
            self._on_event("refused", None, str(refused))
            return
        if isinstance(message, Pulse):
            self._pulse(message)
        else:
            acks = self.device.hear(message, self.clock.now_ns())
            self._remember()
            self._answer(message, acks)

    def beat(self) -> bytes:
        """A beat to be sent; the first thing that a link sends, and then every BEAT_S."""
        beat = self.device.beat(self.clock.now_ns())
        beat = msgspec.structs.replace(beat, fault=beat.fault or self.memory_fault)
        self._beats[beat.time_ns] = self.clock.now_ns()
        while len(self._beats) > 8:
            del self._beats[next(iter(self._beats))]
        return encode(beat, self._token)

    def bye(self) -> bytes:
        """What a broker is to say of the connection that is about to be made, when it ends."""
        return encode(Bye(siren=self.device.siren, time_ns=self.clock.now_ns()), self._token)

    def tick(self) -> None:
        """End what has run out; to be called several times a second."""
        acks = self.device.tick(self.clock.now_ns())
        if acks:
            self._remember()
        self._answer(None, acks)
        self._watch_service()
        self._speaker.tick()

    def send(self, data: bytes) -> None:
        """Send over every link there is."""
        for link in list(self.links.values()):
            link(data)

    def told_of_link(self, link: str, fault: str) -> None:
        """A link is there, or why it is not."""
        self._on_event("link", None, f"{link}: {fault}" if fault else f"{link}: connected")

    def _pulse(self, pulse: Pulse) -> None:
        sent_ns = self._beats.pop(pulse.beat_ns, None)
        now_ns = self.clock.now_ns()
        if sent_ns is None or not 0 <= now_ns - sent_ns <= LONGEST_TRIP_NS:
            self.refused["replayed"] += 1
            return
        told_ns = pulse.time_ns + (now_ns - sent_ns) // 2
        self.clock.set_to(told_ns)
        self.pulsed_ns = told_ns
        self._fault_ns = None if pulse.fault_s is None else round(pulse.fault_s * 1e9)
        self._on_event("pulse", None, "")
        if abs(told_ns - now_ns) > NEW_TIME_NS:
            self._beats.clear()
            self.device.begin_beats_anew()
            self.send(self.beat())

    def _watch_service(self) -> None:
        """Say that the system is out of order, if it is and the service wanted that said; no alarm gives way to it."""
        now_ns = self.clock.now_ns()
        if self._fault_ns is None or self.pulsed_ns is None or now_ns - self.pulsed_ns <= self._fault_ns:
            if self._said_ns is not None:
                self._on_event("fault over", None, "the service is heard again")
            self._said_ns = None
        elif self._said_ns is None or now_ns - self._said_ns >= FAULT_AGAIN_NS:
            self._said_ns = now_ns
            if not self._heard:
                self._speaker.play(SYSTEM_FAULT, repeat=False)
            self._on_event("fault", None, f"nothing was heard of the service for {self._fault_ns * 1e-9:g} s")

    def _answer(self, command: Command | None, acks: Sequence[Ack]) -> None:
        self._sound()
        for ack in acks:
            self.send(encode(ack, self._token))
            zone = ack.id.split("/")[0]
            known = self.device.memory.zones.get(zone)
            renewed = ack.stage == "sounding" and command is not None and not command.id.endswith("/0")
            what = "goes on" if renewed else ack.stage
            self._on_event(what, command or (known.command if known else None), ack.reason)

    def _sound(self) -> None:
        """Have heard what is to be heard."""
        sounding = self.device.sounding
        name = sound_of(sounding) if sounding else ""
        if name != self._heard:
            self._heard = name
            self._speaker.play(name, repeat=True) if name else self._speaker.stop()
        for command in self.device.says:
            if not name:
                self._speaker.play(sound_of(command), repeat=False)
            self._on_event("says", command, sound_of(command))
        self.device.says.clear()

    def _remember(self) -> None:
        """Keep the memory on disk, whole or not at all, before anything is answered.

        Where that fails the siren sounds all the same: what it may forget is told with its beats.
        """
        if self._memory_file is None:
            return
        made = self._memory_file.with_suffix(".new")
        try:
            made.write_bytes(msgspec.json.encode(self.device.memory))
            os.replace(made, self._memory_file)
        except OSError as error:
            fault = f"its memory cannot be written ({error.strerror}): a loss of power would make it forget"
            if fault != self.memory_fault:
                self._on_event("memory", None, fault)
            self.memory_fault = fault
        else:
            self.memory_fault = ""


def read_memory(path: Path) -> Memory:
    """The memory that a siren kept; an empty one where there is none or it cannot be read."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Memory)
    except (OSError, msgspec.DecodeError):
        return Memory()
