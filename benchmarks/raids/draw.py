"""A random raid: site, radars, wind, and what comes, drawn from the raid's number alone.

Everything drawn is stated here: a number of a raid gives the same raid for ever, and none is left out.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from shapely import Point

from accuracy.shots import CLASSES
from innocent.traffic import METRES_PER_DEGREE, Draw
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue
from opencram.site import Sensor, Site, load_site
from opencram.world.rng import generator
from opencram.world.scenario import Scenario

SITES = ("baghdad-embassy", "erbil-airport")
START = datetime(2024, 3, 20, tzinfo=UTC)
LONGEST_S = 600.0
WIND_MPS = 5.0
"""One sigma along each axis; the site is not told."""
UPDATES_S = (0.1, 0.2, 0.5, 1.0)
"""Of the staring radar, each as likely."""
RANGE_SIGMA_M, ANGLE_SIGMA_MRAD = (5.0, 25.0), (1.0, 4.0)
"""Of the staring radar, uniform in the logarithm."""
ALONE = 1.0 / 3.0
"""Share of raids in which the second, rotating radar is missing, and the same of range rate."""
FALLS, FLIES = 0.85, 0.2
"""Shares of raids with what falls and with drones; both together are a twentieth."""
SALVO = ((1, 1, 0.35), (2, 4, 0.35), (5, 10, 0.2), (11, 20, 0.1))
"""From, to and share of how many one salvo has."""
SECOND = 0.25
"""Share of raids with a second salvo, of another class and from another side, up to 30 s later."""
SCATTERED = 0.3
"""Share of salvos in which each has a zone of its own for an aim; else all have one point."""
DISPERSION_M = (50.0, 400.0)
STEEPEST_DEG = 70.0
DEFENDED = 0.25
COMPANY = 0.3
"""Share of raids in which a flock, an airliner or a helicopter crosses at the time."""

Group = dict[str, Any]


@dataclass(frozen=True)
class Raid:
    """One drawn raid."""

    number: int
    site: Site
    scenario: Scenario


def raid(number: int) -> Raid:
    """The raid of a number."""
    rng = generator(number, "raid")
    own = load_site(SITES[int(rng.integers(len(SITES)))])
    site = own.model_copy(update={"sensors": _sensors(own, rng)})
    groups = _groups(Attack(site, rng))
    wind = rng.normal(0.0, WIND_MPS, 2)
    from_deg = math.degrees(math.atan2(wind[0], wind[1])) % 360.0
    told = {
        "name": f"raid-{number}",
        "title": {"en": f"raid {number}", "fr": f"raid {number}"},
        "site": own.name,
        "start": mark(START.isoformat()),
        "duration_s": mark(LONGEST_S),
        "defence": mark(bool(rng.uniform() < DEFENDED)),
        "weather": {"wind_mps": mark(float(np.hypot(*wind))), "wind_from_deg": mark(from_deg)},
        "groups": groups,
    }
    return Raid(number, site, Scenario.model_validate(told))


def mark(value: Any) -> dict[str, Any]:  # noqa: ANN401
    """A value as scenarios have it."""
    return {"assumed": value, "why": "drawn from the raid's number"}


def _sensors(site: Site, rng: np.random.Generator) -> tuple[Sensor, ...]:
    """The site's radars, the staring one better or worse than it is."""
    staring, rotating = site.sensors
    low, high = np.log([RANGE_SIGMA_M, ANGLE_SIGMA_MRAD]).T
    range_m, angle_mrad = np.exp(rng.uniform(low, high)).tolist()
    changed = staring.model_copy(
        update={
            "update_s": float(rng.choice(UPDATES_S)),
            "range_sigma_m": range_m,
            "azimuth_sigma_mrad": angle_mrad,
            "elevation_sigma_mrad": angle_mrad,
            "range_rate_sigma_mps": None if rng.uniform() < ALONE else staring.range_rate_sigma_mps,
        }
    )
    return (changed,) if rng.uniform() < ALONE else (changed, rotating)


def _groups(attack: "Attack") -> list[Group]:
    rng, groups = attack.rng, []
    which = rng.uniform()
    if which < FALLS:
        groups.append(attack.salvo(2.0))
        if rng.uniform() < SECOND:
            groups.append(attack.salvo(2.0 + float(rng.uniform(0.0, 30.0))))
    if which >= 1.0 - FLIES:
        groups.append(attack.drones())
    if rng.uniform() < COMPANY:
        groups.append(attack.company())
    return [{"id": f"group-{n}", **group} for n, group in enumerate(groups)]


@dataclass
class Attack:
    """Draws groups against a site."""

    site: Site
    rng: np.random.Generator

    def salvo(self, first_s: float) -> Group:
        """Rockets, bombs or shells of one class, from any side."""
        rng = self.rng
        threat = catalogue()[str(rng.choice(CLASSES))]
        least, most = np.degrees(threat.elevation_rad)
        elevation = float(rng.uniform(least, min(most, STEEPEST_DEG)))
        low, high, _ = SALVO[int(rng.choice(len(SALVO), p=[share for *_, share in SALVO]))]
        count = int(rng.integers(low, high + 1))
        scattered, one = rng.uniform() < SCATTERED, self.aim()
        return {
            "kind": "salvo",
            "threat": mark(threat.id),
            "count": mark(count),
            "first_s": mark(first_s),
            "spacing_s": mark({"least": 0.2, "most": float(rng.uniform(0.3, 4.0))}),
            "from_deg": mark(float(rng.uniform(0.0, 359.9))),
            "elevation_deg": mark({"least": elevation, "most": elevation}),
            "dispersion_m": mark(float(np.exp(rng.uniform(*np.log(DISPERSION_M))))),
            "aims": [self.aim() if scattered else one for _ in range(count)],
        }

    def drones(self) -> Group:
        """One to three one-way drones on one way with a turn in it, to one target."""
        rng = self.rng
        aim = self.aim()
        at, side = aim["at"]["assumed"], float(rng.uniform(0.0, 2.0 * math.pi))
        height_m, bend = float(rng.uniform(100.0, 800.0)), float(rng.normal(0.0, 0.4))
        far_m, near_m = float(rng.uniform(5_000.0, 9_000.0)), float(rng.uniform(1_500.0, 4_000.0))
        way = [_off(at, far_m, side), _off(at, near_m, side + bend)]
        return {
            "kind": "flight",
            "threat": mark("drone"),
            "count": mark(int(rng.integers(1, 4))),
            "first_s": mark(float(rng.uniform(1.0, 5.0))),
            "spacing_s": mark({"least": 5.0, "most": 30.0}),
            "speed_mps": mark(float(rng.uniform(*catalogue()["drone"].speed_mps))),
            "path": [mark({**place, "height_m": height_m}) for place in way],
            "target": aim,
            "spread_m": mark(100.0),
        }

    def company(self) -> Group:
        """One thing that is innocent."""
        draw = Draw(self.site, self.rng)
        kind = str(self.rng.choice(["flock", "airliner", "helicopter"]))
        return {"first_s": mark(0.0), "count": mark(1)} | getattr(draw, kind)()

    def aim(self) -> Group:
        """Any point of any zone, the zones alike."""
        layout = layout_of(self.site)
        zone = int(self.rng.integers(len(self.site.zones)))
        shape = layout.zone_shapes[zone]
        west, south, east, north = shape.bounds
        while True:
            at = self.rng.uniform((west, south), (east, north))
            if shape.contains(Point(*at)):
                break
        lat, lon = layout.latlon_deg(at).tolist()
        return {"zone": mark(self.site.zones[zone].id), "at": mark({"lat": lat, "lon": lon})}


def _off(at: dict[str, float], away_m: float, bearing_rad: float) -> dict[str, float]:
    """A place so far from another, on a bearing."""
    north, east = away_m * math.cos(bearing_rad), away_m * math.sin(bearing_rad)
    shrink = math.cos(math.radians(at["lat"]))
    return {"lat": at["lat"] + north / METRES_PER_DEGREE, "lon": at["lon"] + east / METRES_PER_DEGREE / shrink}
