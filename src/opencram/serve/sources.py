"""Where a live service's inputs come from. What its warnings are called follows from the source's type alone.

A source that plays a simulation is an exercise: its `provenance` is a property of the class, and nothing that is
configured, asked for or sent can make it another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol

from opencram.outputs.cap import Provenance
from opencram.tables import Effect, Engagement, Input

if TYPE_CHECKING:
    from opencram.serve.udp import Receiver
    from opencram.site import Site
    from opencram.state import State
    from opencram.world.scenario import Scenario

TICK_NS = 100_000_000


class Source(Protocol):
    """What the service's loop asks of a source."""

    @property
    def receiver(self) -> Receiver | None:
        """By what it hears over the network, if it does."""
        ...

    @property
    def provenance(self) -> Provenance:
        """What all that comes of its inputs is."""
        ...

    @property
    def defended(self) -> bool:
        """Whether there is a simulated defence; only in a simulation."""
        ...

    def due_ns(self, last_ns: int, now_ns: int) -> int:
        """When the next tick is to be, after one at `last_ns`."""
        ...

    def take(self, tick_ns: int) -> list[Input]:
        """All that was received up to the tick's time."""
        ...

    def know(self, state: State) -> None:
        """What the last step has learnt of who sends."""
        ...

    def order(self, engagements: Sequence[Engagement]) -> None:
        """The simulated defence's orders of the tick."""
        ...

    def prepare(self) -> None:
        """Work ahead, in the time between two ticks; it takes a few milliseconds at most."""
        ...

    def close(self) -> None:
        """Neither send nor listen any more."""
        ...


class NoSensors:
    """No sensor: what operators and observers say, in earnest."""

    receiver: Receiver | None = None

    @property
    def provenance(self) -> Provenance:
        """In earnest."""
        return Provenance.LIVE

    @property
    def defended(self) -> bool:
        """Never: nothing here is simulated."""
        return False

    def due_ns(self, last_ns: int, now_ns: int) -> int:
        """Ten times a second; ticks that were missed are not made up for."""
        return max(last_ns + TICK_NS, now_ns - TICK_NS)

    def take(self, tick_ns: int) -> list[Input]:
        """Nothing."""
        return []

    def know(self, state: State) -> None:
        """Nobody sends."""

    def order(self, engagements: Sequence[Engagement]) -> None:
        """Nobody is there to be ordered."""

    def prepare(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to close."""


class Played:
    """A scenario's simulated world in real time, from `start_ns` on. Always an exercise.

    The world is advanced a tick ahead, so that its plots are there when their time comes. After its end the service
    ticks on with nothing in the air.
    """

    receiver: Receiver | None = None

    def __init__(self, scenario: Scenario, site: Site, seed: int, start_ns: int) -> None:
        from opencram.world.world import World

        self.scenario, self.seed = scenario, seed
        self._world = World(_beginning_at(scenario, start_ns), site, seed)
        self.start_ns, self.end_ns = self._world.start_ns, self._world.end_ns
        self._ready: tuple[int, list[Input]] | None = None

    @property
    def provenance(self) -> Provenance:
        """An exercise, by construction."""
        return Provenance.SIMULATION

    @property
    def defended(self) -> bool:
        """Whether the scenario has a simulated defence."""
        return self.scenario.defence.value

    def due_ns(self, last_ns: int, now_ns: int) -> int:
        """The world's own ticks while it lasts, each made up for; until it has caught up, the clock's."""
        if self._ready is not None:
            return self._ready[0]
        return max(last_ns + TICK_NS, now_ns - TICK_NS)

    def take(self, tick_ns: int) -> list[Input]:
        """The world's plots, effects and observations up to the tick's time."""
        if self._ready is None or self._ready[0] > tick_ns:
            return []
        inbox, self._ready = self._ready[1], None
        return inbox

    def know(self, state: State) -> None:
        """The world's radars are all there are."""

    def order(self, engagements: Sequence[Engagement]) -> None:
        """What the simulated defence is to do; its effects come with a later tick."""
        self._world.order(engagements)

    def prepare(self) -> None:
        """Advance the world by one tick, if the last one was taken."""
        if self._ready is None and self._world.now_ns < self.end_ns:
            tick_ns = min(self._world.now_ns + self._world.tick_ns, self.end_ns)
            self._ready = (tick_ns, self._world.advance(tick_ns))

    def close(self) -> None:
        """Nothing to close."""

    def catch_up(self, now_ns: int, orders: Mapping[int, Sequence[Engagement]], told_ns: int) -> None:
        """Let the world go on to `now_ns` after a restart; plots that nobody was there to receive are lost.

        `orders` are what was ordered before, by the time of the tick. What came of it after `told_ns`, the last tick
        that was recorded, comes with the next: it has happened, whoever was there.
        """
        effects: list[Input] = []
        while self._world.now_ns + self._world.tick_ns <= min(now_ns, self.end_ns):
            tick_ns = self._world.now_ns + self._world.tick_ns
            inbox = self._world.advance(tick_ns)
            if tick_ns > told_ns:
                effects += [i for i in inbox if isinstance(i, Effect)]
            self._world.order(orders.get(tick_ns, ()))
        self.prepare()
        if self._ready is not None:
            self._ready = (self._ready[0], [*effects, *self._ready[1]])


def _beginning_at(scenario: Scenario, start_ns: int) -> Scenario:
    """The same scenario at another time."""
    from opencram.world.scenario import assumed

    start = datetime.fromtimestamp(start_ns // 10**9, UTC).replace(microsecond=start_ns // 1_000 % 10**6)
    return scenario.model_copy(update={"start": assumed(start, "played now")})
