"""A desk and its sirens in a made-up world in which messages are lost and clocks are wrong."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.desk import Desk
from opencram.outputs.sirens.device import Device
from opencram.outputs.sirens.messages import Ack, Command, Pulse
from opencram.outputs.sirens.orders import DeskState
from opencram.site import Site
from opencram.tables import ZoneWarning
from small_site import RADAR, START_NS, position, site_of, square

SIRENS = [
    {"id": "north", "position": position(0, 300), "zones": ["base"], "audible_m": 500},
    {"id": "south", "position": position(0, -300), "zones": ["base", "camp"], "audible_m": 500},
    {"id": "east", "position": position(700, 0), "zones": ["town"], "audible_m": 500},
    {"id": "far", "position": position(9_000, 0), "zones": ["port"], "audible_m": 500},
]
TICK_NS = 100_000_000


def desk_site() -> Site:
    zones = [square("base", 0, 0), square("camp", 0, -600), square("town", 700, 0), square("port", 9_000, 0)]
    return site_of(zones, sirens=SIRENS, sensors=[RADAR])


def warning(zone: str, state: str, time_ns: int, kind: str = "rocket", left_s: float | None = 20.0) -> ZoneWarning:
    return ZoneWarning(
        time_ns=time_ns, zone=zone, state=state, tracks=(1,), p_hit=0.5, seconds_left=left_s, kind=kind, reason="a test"
    )


class Field:
    """A desk and its sirens on a link that loses what `loses(siren, number, to_siren)` says; time goes by in ticks."""

    def __init__(
        self,
        loses: Callable[[str, int, bool], bool] = lambda siren, number, to_siren: False,
        provenance: Provenance = Provenance.LIVE,
        state: DeskState | None = None,
    ) -> None:
        self.site, self.loses = desk_site(), loses
        self.desk = Desk(self.site, provenance, state)
        self.devices = {str(s["id"]): Device(str(s["id"])) for s in SIRENS}
        self.cut: set[str] = set()
        self.now_ns, self.number = START_NS, 0
        self.sent: list[Command] = []
        self.notices: list[Any] = []
        self.clock_off_ns: dict[str, int] = {}

    def _passes(self, siren: str, to_siren: bool) -> bool:
        self.number += 1
        return siren not in self.cut and not self.loses(siren, self.number, to_siren)

    def _siren_ns(self, siren: str) -> int:
        return self.now_ns + self.clock_off_ns.get(siren, 0)

    def exchange(self) -> None:
        """Carry what there is to carry, both ways, until nothing is left."""
        while batch := self.desk.take():
            for siren, message in batch:
                if isinstance(message, Pulse):
                    self._set_clock(siren, message)
                    continue
                self.sent.append(message)
                if self._passes(siren, True):
                    self.answer(self.devices[siren].hear(message, self._siren_ns(siren)))
        self.notices += self.desk.notices()

    def _set_clock(self, siren: str, pulse: Pulse) -> None:
        """As a runner does: a clock that was wrong is put right, and the siren beats again at once."""
        if siren in self.devices and self._passes(siren, True) and self.clock_off_ns.pop(siren, 0):
            assert pulse.time_ns == self.now_ns
            self.devices[siren].begin_beats_anew()
            self.beat(siren)

    def answer(self, acks: list[Ack]) -> None:
        for ack in acks:
            if self._passes(ack.siren, False):
                self.desk.hear(ack, self.now_ns)

    def warn(self, *warnings: ZoneWarning) -> None:
        self.desk.warn(warnings, self.now_ns)
        self.desk.tick(self.now_ns)
        self.exchange()

    def beat(self, siren: str) -> None:
        if self._passes(siren, False):
            self.desk.hear(self.devices[siren].beat(self._siren_ns(siren)), self.now_ns)

    def go_on(self, seconds: float) -> None:
        """Let time go by: sirens beat every two seconds, the desk ticks ten times a second."""
        for _ in range(round(seconds * 10)):
            self.now_ns += TICK_NS
            for siren, device in self.devices.items():
                if (self.now_ns - START_NS) // TICK_NS % 20 == zlib.crc32(siren.encode()) % 20:
                    self.beat(siren)
                self.answer(device.tick(self._siren_ns(siren)))
            self.desk.tick(self.now_ns)
            self.exchange()

    def sounding(self) -> dict[str, str]:
        heard = {siren: device.sounding for siren, device in self.devices.items()}
        return {siren: command.kind for siren, command in heard.items() if command is not None}

    def starts(self) -> dict[str, dict[str, int]]:
        return {siren: dict(device.starts) for siren, device in self.devices.items() if device.starts}

    def told(self, state: str) -> list[str]:
        return [n.component for n in self.notices if n.state == state]


def started(**how: Any) -> Field:
    field = Field(**how)
    field.go_on(3.0)
    return field
