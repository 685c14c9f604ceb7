"""The simulated outside: what truly happens, and all that reaches the pipeline of it, tick by tick."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from opencram.errors import InputError
from opencram.physics.layout import Layout, layout_of
from opencram.site import Site
from opencram.tables import Effect, Engagement, Input, Observation, PlotRows
from opencram.world.clutter import Posture, cells_of
from opencram.world.effects import Defence
from opencram.world.faults import Faulty, faults_of
from opencram.world.flown import Flown, Setting
from opencram.world.radar import Radar
from opencram.world.scenario import Scenario
from opencram.world.sky import Sky
from opencram.world.truth import fly_scenario, home_of, setting_of

Floats = NDArray[np.float64]

NS = 1_000_000_000
LONGEST_TICK_NS = 100_000_000
SOUND_MPS = 340.0

Outcome = Literal["impact", "intercepted", "left", "flying"]


@dataclass(frozen=True, eq=False)
class TruthObject:
    """One thing that the scenario sent up, as it stands at the world's present."""

    id: str
    cls: str
    hostile: bool
    launch_ns: int
    launch_enu_m: Floats
    aim_zone: str | None
    aim_enu_m: Floats | None
    outcome: Outcome
    end_ns: int
    """When it came down, was intercepted or left; while it flies, when it will if nothing stops it."""
    end_enu_m: Floats
    zone: str | None
    """The smallest zone that it came down in; None for what did not come down, or outside all zones."""
    zones: tuple[str, ...]
    """All zones that it came down in, the smallest first: a compound lies in its district."""
    undefended_enu_m: Floats
    undefended_zone: str | None
    undefended_zones: tuple[str, ...]
    """Where it comes down if nothing stops it, as `zone` and `zones` are."""
    engaged: tuple[int, ...]
    """The engagements that took it."""


@dataclass(frozen=True, eq=False)
class DebrisPiece:
    """A piece of an intercepted object, and where and when it comes down."""

    object: str
    end_ns: int
    end_enu_m: Floats
    zone: str | None


@dataclass(frozen=True, eq=False)
class SpentRound:
    """A round of an engagement that did not destroy itself, and where and when it comes down."""

    engagement: int
    end_ns: int
    end_enu_m: Floats


class World:
    """A scenario at a site under a seed, from `start_ns` to `end_ns`, to be advanced by `tick_ns` at a time."""

    def __init__(self, scenario: Scenario, site: Site, seed: int = 0) -> None:
        self.scenario, self.site, self.seed = scenario, site, seed
        updates_ns = [round(s.update_s * NS) for s in site.sensors]
        self.tick_ns = min([LONGEST_TICK_NS, *updates_ns])
        self.start_ns = scenario.start_ns
        self.end_ns = self.start_ns + round(scenario.duration_s.value * NS)
        self.now_ns = self.start_ns
        self._layout = layout_of(site)
        self._flown = fly_scenario(scenario, site, seed)
        self._sky = Sky()
        self._sky.add(self._flown)
        setting = setting_of(site, scenario.weather, home_of(scenario, site))
        self.moved = setting.home != setting.origin
        """Whether the scenario is played at a site far from its own, its places moved along."""
        self._defence = Defence(self._sky, setting, site, seed, len(self._flown))
        faults = faults_of(scenario, site)
        self._radars = [Faulty(self._radar(i, setting), faults.get(s.id)) for i, s in enumerate(site.sensors)]
        self._on_the_way: list[PlotRows] = []
        self._blasts = sorted(self._blasts_to_come(), key=lambda b: (b[0], b[1]))

    def _radar(self, number: int, setting: Setting) -> Radar:
        sensor, laid = self.site.sensors[number], self._layout
        stands = Posture(laid.sensor_enu_m[number], laid.sensor_rot[number])
        clutter, weather = self.scenario.clutter, self.scenario.weather
        cells = cells_of(clutter, weather, setting, sensor, stands, self.seed, self.start_ns)
        return Radar(number, sensor, laid, self.seed, self.start_ns, self.tick_ns, cells)

    def advance(self, now_ns: int) -> list[Input]:
        """Let the world go on to `now_ns`; all that is received after the last call's time and up to this one."""
        effects: list[Effect] = self._defence.resolve(self.now_ns, now_ns)
        for radar in self._radars:
            self._on_the_way += radar.scan(self._sky, now_ns)
        plots = [p for p in self._on_the_way if p.received_ns <= now_ns]
        self._on_the_way = [p for p in self._on_the_way if p.received_ns > now_ns]
        plots.sort(key=lambda p: p.received_ns)
        heard = [o for _, body, o in self._blasts if o.time_ns <= now_ns and body not in self._defence.killed]
        self._blasts = [b for b in self._blasts if b[2].time_ns > now_ns]
        self.now_ns = now_ns
        return [*effects, *plots, *heard]

    def order(self, engagements: Sequence[Engagement]) -> None:
        """The simulated defence's orders; what comes of them is among the inputs of a later tick."""
        self._defence.order(engagements)

    def objects(self) -> list[TruthObject]:
        """All that the scenario sends up, as it stands now."""
        return [self._object(body, flown) for body, flown in enumerate(self._flown)]

    def debris(self) -> list[DebrisPiece]:
        """All pieces of what was intercepted so far, those still falling too."""
        pieces = [(self._flown[body].id, piece) for body, piece in self._defence.debris]
        return [DebrisPiece(name, p.end_ns, p.end_enu_m, self._zone(p.end_enu_m)) for name, p in pieces]

    def spent_rounds(self) -> list[SpentRound]:
        """All rounds that did not destroy themselves, those still falling too."""
        return [SpentRound(number, dud.end_ns, dud.end_enu_m) for number, dud in self._defence.duds]

    def truth_rows(self, now_ns: int) -> dict[str, list[Any]]:
        """What flies at a time, as columns of the truth table."""
        which = self._sky.alive(now_ns)
        pos, vel = self._sky.at(now_ns, which)
        bodies = [self._sky.bodies[b] for b in which.tolist()]
        columns: dict[str, list[Any]] = {
            "time_ns": [now_ns] * len(bodies),
            "object": [b.id for b in bodies],
            "class": [b.threat.id for b in bodies],
        }
        for i, axis in enumerate(("east", "north", "up")):
            columns[f"{axis}_m"], columns[f"{axis}_mps"] = pos[:, i].tolist(), vel[:, i].tolist()
        return columns

    def _object(self, body: int, flown: Flown) -> TruthObject:
        over, killed = int(self._sky.end_ns[body]) <= self.now_ns, body in self._defence.killed
        outcome: Outcome = "flying"
        if over:
            outcome = "intercepted" if killed else "impact" if flown.lands else "left"
        end_ns, end = flown.end_ns, flown.end_enu_m
        if killed:
            end_ns = self._defence.killed[body]
            end = self._sky.at(end_ns, np.array([body]))[0][0]
        undefended = _zones_at(self._layout, self.site, flown.end_enu_m) if flown.lands else ()
        zones = undefended if outcome == "impact" else ()
        return TruthObject(
            id=flown.id,
            cls=flown.threat.id,
            hostile=flown.hostile,
            launch_ns=flown.start_ns,
            launch_enu_m=flown.path[0, :3].copy(),
            aim_zone=flown.aim_zone,
            aim_enu_m=flown.aim_enu_m,
            outcome=outcome,
            end_ns=end_ns,
            end_enu_m=end,
            zone=zones[0] if zones else None,
            zones=zones,
            undefended_enu_m=flown.end_enu_m,
            undefended_zone=undefended[0] if undefended else None,
            undefended_zones=undefended,
            engaged=tuple(self._defence.engaged.get(body, ())),
        )

    def _zone(self, enu_m: Floats) -> str | None:
        return next(iter(_zones_at(self._layout, self.site, enu_m)), None)

    def _blasts_to_come(self) -> Iterator[tuple[int, int, Observation]]:
        """(time heard, body, observation) for every explosion that a blast sensor would hear if nothing stops it."""
        zones = [z.id for z in self.site.zones]
        setting = setting_of(self.site, self.scenario.weather, home_of(self.scenario, self.site))
        for sensor in self.scenario.observations:
            zone, stands = sensor.zone.value, setting.ground_point(sensor.at.value)
            if zone not in zones and self.moved:
                zone = self._zone(stands) or zones[0]
            if zone not in zones:
                raise InputError(
                    f"{self.scenario.name}: observations: found the zone '{zone}', "
                    f"expected one of the site {self.site.name}: {', '.join(zones)}"
                )
            for body, flown in enumerate(self._flown):
                away_m = math.dist(stands[:2], flown.end_enu_m[:2])
                if flown.explodes and away_m <= sensor.within_m.value:
                    heard_ns = flown.end_ns + round((away_m / SOUND_MPS + sensor.delay_s.value) * NS)
                    told = Observation(time_ns=heard_ns, zone=zone, kind="blast", source=sensor.id)
                    yield heard_ns, body, told


def undefended_counts(scenario: Scenario, site: Site, seed: int) -> dict[str, int]:
    """How many would come down in each zone if nothing stopped them; no radar is run. A zone within a zone: in both."""
    counts = {zone.id: 0 for zone in site.zones}
    for flown in fly_scenario(scenario, site, seed):
        for zone in _zones_at(layout_of(site), site, flown.end_enu_m) if flown.explodes else ():
            counts[zone] += 1
    return counts


def _zones_at(layout: Layout, site: Site, enu_m: Floats) -> tuple[str, ...]:
    """The zones that hold a ground point, the smallest first."""
    from shapely import Point

    point = Point(float(enu_m[0]), float(enu_m[1]))
    inside = [z for z, shape in enumerate(layout.zone_shapes) if shape.covers(point)]
    return tuple(site.zones[z].id for z in sorted(inside, key=lambda z: (layout.zone_shapes[z].area, z)))
