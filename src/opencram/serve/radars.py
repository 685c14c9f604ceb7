"""Radars over UDP as a live service's input, and a simulated world that reaches the service the same way.

A tick is due as soon as a burst of datagrams is complete: when nothing more came for GAP_NS, and at the latest
`burst_ns` after the first of them. While nothing comes the clock ticks on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from opencram.asterix.write import encode_plots
from opencram.errors import InputError
from opencram.outputs.cap import Provenance
from opencram.serve.sources import TICK_NS, NoSensors, Played, Source
from opencram.serve.udp import Endpoint, Receiver, Transmitter, endpoint
from opencram.tables import Engagement, Input, PlotRows

if TYPE_CHECKING:
    from opencram.site import Site
    from opencram.state import State

GAP_NS = 2_000_000
"""The datagrams of one look of a radar follow each other within far less."""


class Radars(NoSensors):
    """Radars besides the operators, in earnest: datagrams that call themselves simulated are not taken."""

    def __init__(self, site: Site, receiver: Receiver, burst_ns: int) -> None:
        self.receiver: Receiver = receiver
        self._burst_ns = burst_ns
        self._named = {address for s in site.sensors if s.asterix is not None for address in s.asterix.addresses}

    def due_ns(self, last_ns: int, now_ns: int) -> int:
        """When the burst that is coming in is complete; without one ten times a second."""
        return burst_due_ns(self.receiver, self._burst_ns, last_ns, now_ns)

    def take(self, tick_ns: int) -> list[Input]:
        """All datagrams that were received up to the tick's time."""
        return list(self.receiver.take(tick_ns))

    def know(self, state: State) -> None:
        """Whence radars send: what the site names, and whence one was heard."""
        self.receiver.know(self._named | set(state.plots.radars.address.values()))

    def close(self) -> None:
        """Listen no more."""
        self.receiver.close()


class PlayedRadars:
    """A simulated world whose radars send real datagrams, marked as simulated, to where the service listens.

    All else of the world, what the defence did and what people saw, comes as in any play. Always an exercise.
    """

    def __init__(self, played: Played, site: Site, receiver: Receiver, to: Endpoint, burst_ns: int) -> None:
        self.receiver: Receiver = receiver
        self._played, self._burst_ns = played, burst_ns
        self._codes = {s.id: (s.asterix.sac, s.asterix.sic) for s in site.sensors if s.asterix is not None}
        here = replace(to, host="127.0.0.1") if to.host == "0.0.0.0" else to
        self._sender = Transmitter(here)
        receiver.know([here.host])

    @property
    def provenance(self) -> Provenance:
        """An exercise, by construction."""
        return Provenance.SIMULATION

    @property
    def defended(self) -> bool:
        """Whether the scenario has a simulated defence."""
        return self._played.defended

    def due_ns(self, last_ns: int, now_ns: int) -> int:
        """The world's own ticks, and between them when its datagrams have come in."""
        return min(self._played.due_ns(last_ns, now_ns), burst_due_ns(self.receiver, self._burst_ns, last_ns, now_ns))

    def take(self, tick_ns: int) -> list[Input]:
        """Send what the world's radars have seen by now, and take what was received."""
        others: list[Input] = []
        for one in self._played.take(tick_ns):
            if isinstance(one, PlotRows):
                self._sender.send(encode_plots(one, *self._codes[one.source]))
            else:
                others.append(one)
        return [*others, *self.receiver.take(tick_ns)]

    def close(self) -> None:
        """Neither send nor listen any more."""
        self._sender.close()
        self.receiver.close()

    def know(self, state: State) -> None:
        """All come from this machine."""

    def order(self, engagements: Sequence[Engagement]) -> None:
        """What the simulated defence is to do."""
        self._played.order(engagements)

    def prepare(self) -> None:
        """Advance the world by one tick, if the last one was taken."""
        self._played.prepare()


def burst_due_ns(receiver: Receiver, burst_ns: int, last_ns: int, now_ns: int) -> int:
    """When the next tick is to be for what a receiver holds: late ticks are not made up for."""
    span = receiver.waiting_ns()
    if span is None:
        return max(last_ns + TICK_NS, now_ns - TICK_NS)
    first_ns, newest_ns = span
    return max(min(newest_ns + GAP_NS, first_ns + burst_ns), newest_ns, last_ns + 1)


def radar_endpoints(site: Site, texts: Sequence[str], playing: bool) -> list[Endpoint]:
    """Where to listen for radars, as the command line says it; InputError where that cannot be."""
    found = [endpoint(text) for text in texts]
    mute = [sensor.id for sensor in site.sensors if sensor.asterix is None]
    if found and (len(mute) == len(site.sensors) or (playing and mute)):
        raise InputError(
            f"--asterix {texts[0]}: found no ASTERIX codes for {', '.join(mute)} in the site {site.name}, expected "
            "'asterix: {sac: 25, sic: 1}' or the like at each sensor that sends it"
        )
    if playing and found and found[0].multicast:
        raise InputError(f"--asterix {texts[0]}: found a group's address, expected one of this machine for a play")
    return found


def over_udp(
    source: Source, site: Site, endpoints: Sequence[Endpoint], now_ns: Callable[[], int], burst_ns: int
) -> Source:
    """A source that listens on the endpoints: for the radars there are, or for those of a play."""
    receiver = Receiver(now_ns, simulated=isinstance(source, Played))
    for at in endpoints:
        receiver.listen(at)
    if isinstance(source, Played):
        return PlayedRadars(source, site, receiver, endpoints[0], burst_ns)
    return Radars(site, receiver, burst_ns)
