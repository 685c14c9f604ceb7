"""The desk: warnings in, commands out; it says them again until each siren answers, and calls for help where none does.

It reads no clock and opens no socket: every call is handed the time (int64 ns UTC of a clock that is never set back),
and what is to be sent is fetched with `take`. So the same calls give the same commands, in a test as in the service.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from opencram.outputs.cap import Provenance
from opencram.outputs.sirens.messages import (
    ALARMS,
    REFUSALS,
    Ack,
    Beat,
    Bye,
    Command,
    Kind,
    Pulse,
    Status,
    ToService,
    ToSiren,
)
from opencram.outputs.sirens.orders import (
    MAX_HELPERS,
    SECOND_NS,
    SELF_TEST_ZONE,
    SOUND_OF,
    DeskState,
    Drill,
    Order,
    SirenState,
    Times,
    neighbours,
)
from opencram.site import Site
from opencram.tables import Health, ZoneWarning

STAGES = ("", "received", "sounding", "done")
AHEAD_NS = 4_000_000_000
"""A beat from further in the future comes of a wrong clock. The pulse puts that right; taking the beat for the newest
would have later ones refused until time has caught up with it, which must not take as long as silence is borne."""
MOST_REFUSALS = 3
"""So often a command that a siren holds for old is made anew at once; then only when it is renewed anyway."""
EARLIER = 4
"""So many ids of earlier commands are remembered, so that their late answers are not taken for forged ones."""


class Desk:
    """The sirens of one site. What a command's status is follows from `provenance` alone."""

    def __init__(
        self, site: Site, provenance: Provenance, state: DeskState | None = None, times: Times | None = None
    ) -> None:
        self.state, self.times = state or DeskState(), times or Times()
        self._status: Status = _STATUS[provenance]
        self._fault_s = site.policy.system_fault_s if self._status == "Actual" else None  # an exercise may just end
        self.change_site(site)
        for siren in site.sirens:
            self.state.sirens.setdefault(siren.id, SirenState())
        self._out: list[tuple[str, ToSiren]] = []
        self._notices: list[Health] = []
        self._drill_news: list[Drill] = []

    def change_site(self, site: Site) -> None:
        """Take over other zones; sirens stay the same."""
        self._serving = {zone.id: tuple(s.id for s in site.sirens if zone.id in s.zones) for zone in site.zones}
        self._near = neighbours(site)

    # ---- what is fetched ------------------------------------------------------------------------------------------

    def take(self) -> list[tuple[str, ToSiren]]:
        """What is to be sent now, to which siren, in order; handed out once."""
        out, self._out = self._out, []
        return out

    def notices(self) -> list[Health]:
        """What the operator should know since the last call."""
        notices, self._notices = self._notices, []
        return notices

    def drill_news(self) -> list[Drill]:
        """Drills whose phase changed since the last call."""
        news, self._drill_news = self._drill_news, []
        return news

    # ---- warnings and acts ----------------------------------------------------------------------------------------

    def warn(self, warnings: Sequence[ZoneWarning], now_ns: int) -> None:
        """Act on the warnings of one tick; those of a tick that was acted on before are passed over."""
        for warning in warnings:
            if warning.time_ns <= self.state.told_ns:
                continue
            if warning.state in ("alert", "update"):
                self._stop_drills(warning.zone, now_ns)
                self._alarm_zone(warning.zone, _sound_of(warning.kind), warning.time_ns, _impact_ns(warning), now_ns)
            elif warning.state != "pre-alert":
                end: Kind = "cancel" if warning.state == "cancel" else "all-clear"
                self._end_zone(warning.zone, end, f"{warning.time_ns}", now_ns)
        if warnings:
            self.state.told_ns = max(self.state.told_ns, *(w.time_ns for w in warnings))

    def resume(self, alerted: Mapping[str, tuple[str, int]], now_ns: int) -> None:
        """After a restart: say again what stands, and make it agree with the zones that are alerted.

        `alerted` gives each alerted zone's kind of danger and since when it is. Commands keep their ids. Sirens have
        the usual time to come back; one that was silent before is so until it beats. What sounds for another zone is
        not ended: why it did has been lost, and not that it is over. It runs out.
        """
        for siren in self.state.sirens.values():
            siren.away = True
            if siren.beat_ns and not siren.silent:
                siren.beat_ns = now_ns
        back_ns = now_ns + round((self.times.silent_s - self.times.escalate_s) * SECOND_NS)
        for order in self._orders():
            order.asked_ns, order.sent_ns, order.tries = back_ns, 0, 0
            order.stage = "" if order.alarms else order.stage
        for zone, (kind, since_ns) in alerted.items():
            self._alarm_zone(zone, _sound_of(kind), since_ns, None, now_ns)
        for order in self._orders():
            if order.alarms and not order.drills and order.command.zone not in alerted:
                self._forget(order)
        self.tick(now_ns)

    def start_drill(
        self, drill: str, zones: Iterable[str], announce_s: float, last_s: float, by: str, now_ns: int
    ) -> str:
        """Announce a drill, to sound after `announce_s` for `last_s`; why not, or nothing."""
        zones = tuple(zones)
        going_on = [o for o in self._orders() if o.alarms or not o.drills]  # also an end that is not yet answered
        busy = sorted({o.command.zone for o in going_on if o.command.zone in zones})
        if busy:
            return f"{', '.join(busy)}: found an alarm or a drill that is not over, expected none while a drill begins"
        starts_ns = now_ns + round(announce_s * SECOND_NS)
        begun = Drill(drill, zones, starts_ns, starts_ns + round(last_s * SECOND_NS), by)
        self.state.drills[drill] = begun
        self._drill_news.append(replace(begun))
        for zone in zones:
            for siren in self._serving.get(zone, ()):
                self._issue(siren, zone, "drill-notice", "Exercise", f"notice-{drill}", now_ns, impact_ns=starts_ns)
        return ""

    def self_test(self, siren: str, now_ns: int) -> str:
        """Have a siren test itself, audibly; why not, or nothing."""
        if siren not in self.state.sirens:
            return f"{siren}: found no such siren"
        if any(order.alarms for order in self.state.orders.get(siren, {}).values()):
            return f"{siren}: found an alarm that is not over, expected none during a test"
        self._issue(siren, SELF_TEST_ZONE, "test", "Test", f"test-{now_ns}", now_ns)
        return ""

    # ---- what sirens say ------------------------------------------------------------------------------------------

    def hear(self, message: ToService, now_ns: int) -> None:
        """Take in what a siren said; that it did say so has been verified."""
        if message.siren not in self.state.sirens:
            self.refuse("not for me")
        elif isinstance(message, Beat):
            self._beat(message, self.state.sirens[message.siren], now_ns)
        elif isinstance(message, Bye):
            self._bye(message, self.state.sirens[message.siren], now_ns)
        else:
            self._ack(message, now_ns)

    def lost(self, siren: str) -> None:
        """The last connection to a siren has ended: what it was told last is said again when it comes back."""
        if siren in self.state.sirens:
            self.state.sirens[siren].away = True

    def refuse(self, reason: str) -> None:
        """Count a message that was refused."""
        self.state.refused[reason] = self.state.refused.get(reason, 0) + 1

    def _beat(self, beat: Beat, siren: SirenState, now_ns: int) -> None:
        self._out.append(
            (beat.siren, Pulse(siren=beat.siren, time_ns=now_ns, beat_ns=beat.time_ns, fault_s=self._fault_s))
        )
        if beat.time_ns <= siren.last_beat_ns or beat.time_ns > now_ns + AHEAD_NS:
            self.refuse("replayed" if beat.time_ns <= siren.last_beat_ns else "clock ahead")
            return
        returns = siren.away or siren.silent
        if siren.silent or not siren.beat_ns:
            self._tell(beat.siren, "ok", "it beats", now_ns)
        if beat.fault != siren.fault:
            self._tell(beat.siren, "fault" if beat.fault else "ok", beat.fault or "its fault is mended", now_ns)
        siren.beat_ns, siren.last_beat_ns, siren.away, siren.silent = now_ns, beat.time_ns, False, False
        siren.sounding, siren.fault = beat.sounding or "", beat.fault
        if beat.tested_ns is not None:
            siren.tested_ns, siren.tested_ok = beat.tested_ns, beat.tested_ok is not False
        self._agree(beat, returns, now_ns)

    def _agree(self, beat: Beat, returns: bool, now_ns: int) -> None:
        """Say again what a siren should be doing and is not; what is not known of is told, and runs out."""
        orders = self.state.orders.get(beat.siren, {})
        for order in orders.values():
            if order.alarms and order.stage == "sounding" and beat.sounding is None and self._settled(order, now_ns):
                order.stage, order.asked_ns, order.tries = "", now_ns, 0
                self._send(order, now_ns)
            elif returns and not order.reached:
                self._send(order, now_ns)
        siren, zone = self.state.sirens[beat.siren], (beat.sounding or SELF_TEST_ZONE).split("/")[0]
        unexplained = zone != SELF_TEST_ZONE and zone not in orders
        if unexplained != siren.unexplained:
            siren.unexplained = unexplained
            ends = f"sounds for {zone}, why is not known here; it ends within {self.times.lifetime_s:g} s"
            self._tell(beat.siren, *(("unexplained", ends) if unexplained else ("ok", "what it does is known")), now_ns)

    def _settled(self, order: Order, now_ns: int) -> bool:
        return now_ns - order.stage_ns >= self.times.settle_s * SECOND_NS

    def _bye(self, bye: Bye, siren: SirenState, now_ns: int) -> None:
        if bye.time_ns <= siren.last_bye_ns:
            self.refuse("replayed")
            return
        siren.last_bye_ns, siren.away = min(bye.time_ns, now_ns), True  # its clock may have been ahead

    def _ack(self, ack: Ack, now_ns: int) -> None:
        orders = self.state.orders.get(ack.siren, {})
        order = next((o for o in orders.values() if o.command.id == ack.id), None)
        if order is None:
            if not any(ack.id in o.earlier for o in orders.values()):
                self.refuse("unexpected")
            return
        if ack.seq != order.command.seq:
            self.refuse("unexpected")
        elif ack.stage == "refused":
            self._refused_by_siren(order, ack, now_ns)
        elif STAGES.index(ack.stage) > STAGES.index(order.stage):
            order.stage, order.stage_ns = ack.stage, now_ns
            siren = self.state.sirens[ack.siren]
            if order.reached and siren.unanswered:
                siren.unanswered = False
                self._tell(ack.siren, "answered", f"{order.command.kind} for {order.command.zone}", now_ns)
            self._after_done(order, ack, now_ns)

    def _after_done(self, order: Order, ack: Ack, now_ns: int) -> None:
        """An alarm that ended by itself goes on while its zone is alerted; all else that is done is forgotten."""
        if ack.stage != "done":
            return
        if order.alarms:
            self._renew(order, now_ns)
        else:
            self._forget(order)

    def _refused_by_siren(self, order: Order, ack: Ack, now_ns: int) -> None:
        self.refuse(f"siren: {ack.reason if ack.reason in REFUSALS else 'other'}")
        self._tell(ack.siren, "refused", f"{order.command.kind} for {order.command.zone}: {ack.reason}", now_ns)
        self.state.seq = max(self.state.seq, ack.newest_seq)
        if order.renewal < MOST_REFUSALS and ack.reason in ("superseded", "expired"):
            self._renew(order, now_ns)  # its memory or its clock is ahead of ours: a newer command is neither

    # ---- time -----------------------------------------------------------------------------------------------------

    def tick(self, now_ns: int) -> None:
        """Do what has fallen due: say again, renew, escalate, call a siren silent, go on with drills."""
        for name, siren in self.state.sirens.items():
            if siren.beat_ns and not siren.silent and now_ns - siren.beat_ns > self.times.silent_s * SECOND_NS:
                siren.silent = True
                self._tell(name, "silent", f"no beat for {self.times.silent_s:g} s", now_ns)
        self._tick_drills(now_ns)
        for order in self._orders():
            self._tick_order(order, now_ns)

    def _tick_order(self, order: Order, now_ns: int) -> None:
        command = order.command
        if order.alarms and now_ns - command.issued_ns >= self.times.renew_s * SECOND_NS:
            self._renew(order, now_ns)
            return
        if now_ns >= command.expires_ns:
            self._tell_unanswered(command, "given up", now_ns)
            self._forget(order)
            return
        wait_ns = self.times.wait_ns(len(self.times.retry_s) + 1 if order.stage else order.tries)
        if not order.reached and now_ns - order.sent_ns >= wait_ns:
            self._send(order, now_ns)
        self._escalate(order, now_ns)

    def _escalate(self, order: Order, now_ns: int) -> None:
        """Have neighbours sound in the place of a siren that does not answer, and tell the operator.

        A neighbour that does not answer either is replaced by the next.
        """
        command, silent = order.command, self.state.sirens[order.command.siren].silent
        waits = not silent and (order.reached or now_ns - order.asked_ns < self.times.escalate_s * SECOND_NS)
        if order.escalated or not order.alarms or waits:
            return
        order.escalated = True
        helped = order.helps or command.siren
        helpers = self._helpers(helped, command.zone)
        own = _names(self._serving.get(command.zone, ()), command.siren)
        self._tell_unanswered(command, f"also serving it: {own}; in its place: {_names(helpers)}", now_ns)
        for name in helpers:
            if not self._alarmed(name, command.zone):
                self._issue(
                    name, command.zone, command.kind, command.status, order.origin, now_ns,
                    impact_ns=command.impact_ns, helps=helped,
                )  # fmt: skip

    def _helpers(self, siren: str, zone: str) -> list[str]:
        """Who sounds or is to sound for a zone in the place of a siren: those that are well, and the nearest, first."""
        near = [name for name in self._near[siren] if name not in self._serving.get(zone, ())]
        called = [name for name in near if self._alarmed(name, zone)]
        at_it = [name for name in called if not self.state.orders[name][zone].escalated]
        further = sorted((name for name in near if name not in called), key=lambda n: not self.state.sirens[n].well)
        return [*at_it, *further[: max(MAX_HELPERS - len(at_it), 0)]]

    def _alarmed(self, siren: str, zone: str) -> bool:
        order = self.state.orders.get(siren, {}).get(zone)
        return order is not None and order.alarms

    def _tell_unanswered(self, command: Command, what: str, now_ns: int) -> None:
        self.state.sirens[command.siren].unanswered = True
        self._tell(command.siren, "unanswered", f"{command.kind} for {command.zone}; {what}", now_ns)

    def _tick_drills(self, now_ns: int) -> None:
        for drill in list(self.state.drills.values()):
            if drill.phase == "notice" and now_ns >= drill.starts_ns:
                drill.phase = "sounding"
                self._drill_news.append(replace(drill))
                for zone in drill.zones:
                    for siren in self._serving.get(zone, ()):
                        self._issue(siren, zone, "drill", "Exercise", f"drill-{drill.id}", now_ns)
            if drill.phase == "sounding" and now_ns >= drill.ends_ns:
                self._finish_drill(drill, "over", now_ns)

    def _stop_drills(self, zone: str, now_ns: int) -> None:
        """A warning ends every drill in its zone: people must not wonder which of both they hear."""
        for drill in list(self.state.drills.values()):
            if zone in drill.zones:
                self._finish_drill(drill, "stopped", now_ns)

    def _finish_drill(self, drill: Drill, phase: str, now_ns: int) -> None:
        drill.phase = phase
        del self.state.drills[drill.id]
        self._drill_news.append(replace(drill))
        for order in self._orders():
            command = order.command
            if order.origin == f"notice-{drill.id}":
                self._forget(order)
            elif order.origin == f"drill-{drill.id}" and order.alarms:
                self._issue(command.siren, command.zone, "all-clear", "Exercise", order.origin, now_ns)

    # ---- orders ---------------------------------------------------------------------------------------------------

    def _orders(self) -> list[Order]:
        return [order for zones in self.state.orders.values() for order in zones.values()]

    def _alarm_zone(self, zone: str, kind: Kind, since_ns: int, impact_ns: int | None, now_ns: int) -> None:
        """Have all sirens of a zone sound, unless they sound for something as grave already."""
        helping = [o.command.siren for o in self._orders() if o.helps and o.command.zone == zone]
        for siren in (*self._serving.get(zone, ()), *helping):
            order = self.state.orders.get(siren, {}).get(zone)
            if order is not None and order.alarms and not order.drills:
                if ALARMS.index(kind) < ALARMS.index(order.command.kind):
                    self._renew(order, now_ns, kind, impact_ns)
            else:
                self._issue(siren, zone, kind, self._status, f"{since_ns}", now_ns, impact_ns=impact_ns)

    def _end_zone(self, zone: str, kind: Kind, origin: str, now_ns: int) -> None:
        """End the alarm of every siren that was told to sound for a zone, whether it has answered or not."""
        for order in self._orders():
            if order.command.zone == zone and order.alarms and not order.drills:
                self._issue(order.command.siren, zone, kind, self._status, origin, now_ns)

    def _renew(self, order: Order, now_ns: int, kind: Kind | None = None, impact_ns: int | None = None) -> None:
        """A new command of the same origin, with time before it."""
        old = order.command
        self._issue(
            old.siren, old.zone, kind or old.kind, old.status, order.origin, now_ns,
            impact_ns=impact_ns or old.impact_ns, helps=order.helps, before=order,
        )  # fmt: skip

    def _issue(
        self,
        siren: str,
        zone: str,
        kind: Kind,
        status: Status,
        origin: str,
        now_ns: int,
        *,
        impact_ns: int | None = None,
        helps: str = "",
        before: Order | None = None,
    ) -> None:
        """Make a command, put it in the place of what the siren was told for this zone, and send it."""
        last = self.state.orders.setdefault(siren, {}).get(zone)
        renewal = last.renewal + 1 if last is not None and last.origin == origin else 0
        self.state.seq = max(self.state.seq + 1, now_ns // 1_000_000)
        command = Command(
            siren=siren,
            id=f"{zone}/{siren}/{origin}/{renewal}",
            seq=self.state.seq,
            zone=zone,
            kind=kind,
            status=status,
            issued_ns=now_ns,
            expires_ns=now_ns + round(self.times.lifetime_s * SECOND_NS),
            impact_ns=impact_ns,
        )
        earlier = [*last.earlier, last.command.id][-EARLIER:] if last is not None else []
        order = Order(command, origin, renewal, asked_ns=now_ns, helps=helps, earlier=earlier)
        if before is not None and not before.reached:
            order.asked_ns, order.escalated = before.asked_ns, before.escalated
        elif before is not None:
            order.escalated = before.escalated and self.state.sirens[siren].silent
        self.state.orders[siren][zone] = order
        self._send(order, now_ns)

    def _send(self, order: Order, now_ns: int) -> None:
        order.sent_ns, order.tries = now_ns, order.tries + 1
        self._out.append((order.command.siren, order.command))

    def _forget(self, order: Order) -> None:
        zones = self.state.orders.get(order.command.siren, {})
        if zones.get(order.command.zone) is order:
            del zones[order.command.zone]

    def _tell(self, siren: str, state: str, detail: str, now_ns: int) -> None:
        self._notices.append(Health(time_ns=now_ns, component=f"siren {siren}", state=state, detail=detail))


_STATUS: dict[Provenance, Status] = {
    Provenance.SIMULATION: "Exercise",
    Provenance.REPLAY: "Test",
    Provenance.LIVE: "Actual",
}


def _sound_of(kind: str) -> Kind:
    return SOUND_OF.get(kind, "observed")


def _impact_ns(warning: ZoneWarning) -> int | None:
    return None if warning.seconds_left is None else warning.time_ns + round(warning.seconds_left * SECOND_NS)


def _names(sirens: Sequence[str], without: str = "") -> str:
    return ", ".join(name for name in sirens if name != without) or "none"
