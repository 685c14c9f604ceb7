"""An hour of innocent traffic round a site, drawn from the hour and the seed: a scenario like any other.

The figures are assumed, for a busy hour at an airport beside a city; the catalogue's speeds hold for each class.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from opencram.site import Site
from opencram.world.rng import generator
from opencram.world.scenario import Scenario

START = datetime(2024, 3, 20, tzinfo=UTC)
HOUR_S = 3600.0
TURN = 2.0 * math.pi
METRES_PER_DEGREE = 111_200.0
PER_HOUR = {"airliner": 12, "approach": 4, "helicopter": 4, "flock": 6, "bird": 15, "own": 4, "gunfire": 6}
"""Mean number of each an hour; of flocks and of gunfire, how many flocks and bursts. `own` needs a corridor."""
MOST = 20
"""Of each kind in one hour."""
MOST_GROUPS = 50
GROUND_CELLS = 40
"""Of each radar."""
SHOWER_CHANCE = 0.5
"""Share of hours with rain."""

Group = dict[str, Any]
Point = tuple[float, float, float]
"""East, north and up of the site's origin, m."""


def hour_of_traffic(site: Site, seed: int, hour: int, seconds: float = HOUR_S) -> Scenario:
    """Hour `hour` (0 on) under a seed, or its first `seconds`."""
    draw = Draw(site, generator(seed, "traffic", str(hour)))
    groups = []
    for kind, mean in PER_HOUR.items():
        for n in range(min(int(draw.rng.poisson(mean)), MOST)):
            group, first_s = getattr(draw, kind)(), draw.number(0.0, HOUR_S)
            if group and first_s < seconds:
                groups.append({"id": f"{kind}-{n + 1}", "first_s": mark(first_s), "count": mark(1)} | group)
    return Scenario.model_validate(
        {
            "name": f"hour-{hour}",
            "title": {"en": f"hour {hour} of innocent traffic", "fr": f"heure {hour} de trafic inoffensif"},
            "site": site.name,
            "start": mark((START + timedelta(hours=hour)).isoformat()),
            "duration_s": mark(seconds),
            "defence": mark(False),
            "weather": {"wind_mps": mark(draw.number(0.0, 8.0)), "wind_from_deg": mark(draw.number(0.0, 359.9))},
            "groups": groups[:MOST_GROUPS],
            "clutter": draw.clutter(),
        }
    )


def mark(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """A value as scenarios have it."""
    return {"assumed": value, "why": "drawn from the hour and the seed"}


@dataclass
class Draw:
    """Draws groups of each kind of traffic round a site."""

    site: Site
    rng: np.random.Generator

    def number(self, least: float, most: float) -> float:
        """Any number between, each as likely."""
        return float(self.rng.uniform(least, most))

    def airliner(self) -> Group:
        """Straight over or past the site."""
        way = self._chord(15_000.0, 22_000.0, self.number(3_000.0, 11_000.0))
        return self._flight("aircraft", self.number(200.0, 250.0), way)

    def approach(self) -> Group:
        """Down a three-degree slope to the site's middle from the north or the south, or the same way up again."""
        side, off = self.rng.choice([-1.0, 1.0]), self.number(-300.0, 300.0)
        way = [(off, side * 20_000.0, 1_050.0), (0.0, side * 200.0, 30.0)]
        return self._flight("aircraft", self.number(65.0, 80.0), way if self.rng.uniform() < 0.6 else way[::-1])

    def helicopter(self) -> Group:
        """Across, with a halt or a round of circles on the way."""
        height_m, hovers = self.number(60.0, 600.0), self.rng.uniform() < 0.5
        way = self._chord(4_000.0, self.number(5_000.0, 10_000.0), height_m)
        east, north = self.rng.uniform(-3_000.0, 3_000.0, 2)
        middle = [(east, north, height_m)] if hovers else _circle(east, north, self.number(300.0, 800.0), height_m)
        group = self._flight("helicopter", self.number(20.0, 80.0), [way[0], *middle, way[1]])
        if hovers:
            group["path"][1]["assumed"]["hold_s"] = self.number(20.0, 180.0)
        return group

    def flock(self) -> Group:
        """Eight to forty birds."""
        return self.bird() | {"count": mark(int(self.rng.integers(8, 41))), "spread_m": mark(self.number(20.0, 100.0))}

    def bird(self) -> Group:
        """One bird, low, on no straight course."""
        way = self._chord(3_000.0, self.number(1_500.0, 4_000.0), self.number(30.0, 400.0))
        group = self._flight("bird", self.number(8.0, 20.0), way)
        return group | {"kind": "flock", "spread_m": mark(0.0), "wander_deg": mark(self.number(10.0, 30.0))}

    def own(self) -> Group:
        """A drone of one's own, there and back along a corridor; nothing where there is none."""
        if not self.site.corridors:
            return {}
        corridor = self.site.corridors[int(self.rng.integers(len(self.site.corridors)))]
        height_m = self.number(corridor.floor_m + 30.0, corridor.ceiling_m - 30.0)
        there = [{"lat": p.lat, "lon": p.lon, "height_m": height_m} for p in corridor.path]
        group = self._flight("quadcopter", self.number(6.0, min(18.0, corridor.max_speed_mps)), [])
        return group | {"own": True, "path": [mark(p) for p in there + there[-2::-1]]}

    def gunfire(self) -> Group:
        """A burst into the air, somewhere in the city."""
        away, at, lowest = self.number(1_000.0, 6_000.0), self.number(0.0, TURN), self.number(20.0, 75.0)
        return {
            "kind": "burst",
            "threat": mark("gunfire"),
            "count": mark(int(self.rng.integers(5, 51))),
            "at": mark(self._place(away * math.sin(at), away * math.cos(at))),
            "towards_deg": mark(self.number(0.0, 359.9)),
            "elevation_deg": mark({"least": lowest, "most": lowest + 10.0}),
        }

    def clutter(self) -> dict[str, Any]:
        """The ground, and in some hours a shower."""
        ground: dict[str, Any] = {"ground": {"cells": mark(GROUND_CELLS)}}
        if self.rng.uniform() >= SHOWER_CHANCE:
            return ground
        shower = {
            "at": self._place(*self.rng.uniform(-6_000.0, 6_000.0, 2)),
            "first_s": self.number(0.0, 2_700.0),
            "life_s": self.number(300.0, 1_200.0),
            "radius_m": self.number(800.0, 2_500.0),
            "cells": int(self.rng.integers(10, 40)),
        }
        return ground | {"showers": [{"id": "rain", **{key: mark(value) for key, value in shower.items()}}]}

    def _flight(self, threat: str, speed_mps: float, way: list[Point]) -> Group:
        points = [{**self._place(east, north), "height_m": up} for east, north, up in way]
        return {
            "kind": "flight",
            "threat": mark(threat),
            "speed_mps": mark(speed_mps),
            "path": [mark(point) for point in points],
        }

    def _chord(self, aside_m: float, half_m: float, up_m: float) -> list[Point]:
        """Both ends of a straight way that passes the origin within `aside_m`, on any course."""
        course, off = self.number(0.0, TURN), self.number(-aside_m, aside_m)
        s, c = math.sin(course), math.cos(course)
        return [(along * s + off * c, along * c - off * s, up_m) for along in (-half_m, half_m)]

    def _place(self, east_m: float, north_m: float) -> dict[str, float]:
        origin = self.site.origin
        shrink = math.cos(math.radians(origin.lat))
        lat, lon = origin.lat + north_m / METRES_PER_DEGREE, origin.lon + east_m / METRES_PER_DEGREE / shrink
        return {"lat": float(lat), "lon": float(lon)}


def _circle(east_m: float, north_m: float, radius_m: float, up_m: float) -> list[Point]:
    """Twice round."""
    angles = TURN * np.arange(17) / 8.0
    return [(east_m + radius_m * math.sin(a), north_m + radius_m * math.cos(a), up_m) for a in angles]
