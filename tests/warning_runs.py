"""The warnings stage fed tick by tick, for its tests."""

from collections.abc import Iterable, Sequence

import numpy as np

from opencram.physics.threats import class_index
from opencram.site import Site
from opencram.stages.threats_to_warnings import Report, WarningsState, threats_to_warnings
from opencram.tables import Effect, Observation, OperatorAct, Reject, Threats, ZoneWarning
from opencram.warning.rules import rules_of
from small_site import SECOND_NS, START_NS, site_of, square

# a base: a miss costs 60 times a false alarm, so alert from 1/61, pre-alert from 0.3/61; shelter takes 15 s
SITE = site_of([square("base", 0, 0, kind="base"), square("town", 2000, 0, kind="district")])
RULES = rules_of(SITE.policy, SITE.zones[0], 3.0)
P_ALERT, P_PRE = 1.0 / 61.0, 0.3 / 61.0
ROCKET, DRONE = class_index("rocket-107"), class_index("drone")
NEAR_S = 20.0
"""Near enough that waiting to know better would cost time to shelter."""
SOUNDED = {"stale_sensor": "alert"}

Row = tuple[int, float, float]
"""Track, chance of a hit, seconds from START to its impact."""


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def threats(rows: Iterable[Row], zone: int = 0, cls: int = ROCKET, debris: bool = False) -> Threats:
    rows = list(rows)
    n = len(rows)
    return Threats(
        time_ns=np.full(n, START_NS),
        track=np.array([r[0] for r in rows], np.int64),
        zone=np.full(n, zone),
        cls=np.full(n, cls),
        p_hit=np.array([r[1] for r in rows], np.float64),
        impact_time_ns=np.array([at(r[2]) for r in rows], np.int64),
        debris=np.full(n, debris),
    )


class Run:
    """The stage fed tick by tick; `seconds` count from START. Objects were last seen in the tick, or at `seen_s`."""

    def __init__(self, site: Site = SITE) -> None:
        self.site, self.state = site, WarningsState()
        self.log: list[ZoneWarning] = []
        self.refused: list[Reject] = []

    def tick(
        self,
        seconds: float,
        rows: Iterable[Row] | Threats = (),
        reports: Sequence[Report] = (),
        killed: Sequence[int] = (),
        missed: Sequence[int] = (),
        silent: Sequence[str] = (),
        seen_s: float | None = None,
    ) -> list[str]:
        table = rows if isinstance(rows, Threats) else threats(rows)
        table.time_ns[:] = at(seconds if seen_s is None else seen_s)
        effects = [effect(seconds, track, "kill") for track in killed] + [effect(seconds, t, "miss") for t in missed]
        out, refused = threats_to_warnings(self.state, table, reports, effects, silent, at(seconds), self.site)
        self.log += out
        self.refused += refused
        return [w.state for w in out]

    def until(self, start: float, end: float, rows: Iterable[Row] | Threats = (), step: float = 0.1) -> list[str]:
        """Ticks from start to end (not included); the states told, in order."""
        table = rows if isinstance(rows, Threats) else threats(rows)
        return [s for t in np.arange(start, end - 1e-9, step).tolist() for s in self.tick(t, table)]

    @property
    def last(self) -> ZoneWarning:
        return self.log[-1]


def effect(seconds: float, track: int, outcome: str) -> Effect:
    return Effect(time_ns=at(seconds), engagement=1, track=track, outcome=outcome, east_m=0.0, north_m=0.0, up_m=500.0)


def report(seconds: float, zone: str = "base", kind: str = "blast") -> Observation:
    return Observation(time_ns=at(seconds), zone=zone, kind=kind, source="sensor-7")


def act(seconds: float, what: str, zone: str = "base") -> OperatorAct:
    return OperatorAct(time_ns=at(seconds), zone=zone, act=what, by="watch-1")
