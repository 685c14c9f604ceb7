"""The warning that a site's radars and sirens give its zones of shots from an area, by expectation: nothing is drawn.

For each launch point, zone and class a few typical flights are shifted until they come down in the middle of the zone.
`physics/sighting.py` says when each is followed, and when it is known well enough. What is left then until the impact,
less the way of the order and of the sound, is the warning. `docs/explanation/planning.md` derives it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from shapely import MultiPolygon, Polygon, contains_xy, transform, union_all

from opencram.errors import InputError
from opencram.fields import MAX_EXTENT_M
from opencram.physics.frames import geodetic_to_enu
from opencram.physics.layout import Layout, layout_of
from opencram.physics.place import E_GRID_STEP, clearance
from opencram.physics.sighting import O_FLIGHT, O_KNOWN, O_SEEN, O_SURE, SENSOR, horizon, sight
from opencram.physics.threats import catalogue
from opencram.planning.flights import BIN_M, Flights, flights_of
from opencram.site import Sensor, Site, Zone
from opencram.tables import BoolArray, FloatArray
from opencram.tracking.fit import WIND_PRIOR_MPS
from opencram.warning.rules import zone_rules
from opencram.world.radar import THRESHOLD
from opencram.yamlfile import nearest, read_text
from opencram.zonefile import read_zones

if TYPE_CHECKING:
    from opencram.drive.crank import Progress

TYPICAL = ("mortar-120", "rocket-107", "rocket-122")
"""The classes that are looked at where none are named."""
FIRED = ("mortar", "rocket", "shell")
GRID = 200
UNREACHED = "--area: found an area from which no zone can be reached, expected one nearer to the zones"
ORDER_S = 0.2
"""From the plot that decides to a siren's first sound (assumed): the radar's latency, a tick, the order on its way."""
LOW_SHARE = 0.1
"""A zone is judged by the warning that nine tenths of the shots leave it."""
MASK_AZIMUTHS, MOST_MASK_STEPS = 1_440, 1_000


@dataclass(frozen=True, eq=False)
class Area:
    """Launch points: the centres of a square grid's cells, those in the area."""

    east_m: FloatArray
    north_m: FloatArray
    side_m: float
    inside: BoolArray
    """(rows, columns): north, east."""

    @property
    def points(self) -> FloatArray:
        """The cells' centres that are inside, (c, 2)."""
        east, north = np.meshgrid(self.east_m, self.north_m)
        return np.ascontiguousarray(np.column_stack([east[self.inside], north[self.inside]]))

    def spread(self, values: FloatArray) -> FloatArray:
        """Values (c,) of the points as (rows, columns), NaN outside."""
        out = np.full(self.inside.shape, np.nan)
        out[self.inside] = values
        return out


@dataclass(frozen=True)
class Warned:
    """A zone's warnings over all launch points and classes; a shot that it gets none of counts as 0 s."""

    zone: Zone
    low_s: float
    """Nine tenths of the shots leave it at least so long."""
    median_s: float
    warned: float
    """Share of the shots of which it gets any warning before the impact."""
    in_time: float
    """Share that leave it its time to shelter."""
    seen_s: float
    """Seconds from launch until half of the shots that are ever followed are."""
    seen: float
    """Share that are ever followed."""
    shots: int

    @property
    def short(self) -> bool:
        """Whether more than a tenth of the shots leave less than people need."""
        return self.low_s < self.zone.time_to_shelter_s


@dataclass(frozen=True, eq=False)
class Reckoning:
    """What a site's warning is worth: a row for each zone, and over the launch points (rows, columns; NaN: no shot)."""

    site: Site
    classes: tuple[str, ...]
    area: Area
    zones: tuple[Warned, ...]
    seen_s: FloatArray
    """Mean seconds from launch until followed, over zones, classes and flights."""
    seen: FloatArray
    """Share ever followed."""
    in_time: FloatArray
    """Share that leave the zone they come down in its time to shelter."""


def reckon(
    site: Site,
    classes: Sequence[str] = TYPICAL,
    grid: int = GRID,
    within: float | MultiPolygon | None = None,
    progress: Progress | None = None,
) -> Reckoning:
    """The warning of shots at every zone of a site, from an area (see `area_of`), by classes of the catalogue."""
    flights = [flights_of(name, site.origin.height_m) for name in classes]
    area = area_of(site, flights, grid, within)
    launches, zones = area.points, []
    sums = np.zeros((4, len(launches)))
    """Weights, weights of those followed, their seconds, weights of those in time."""
    for z, zone in enumerate(site.zones):
        told = []
        for k, its in enumerate(flights):
            if progress is not None:
                progress((z + k / len(flights)) / len(site.zones), f"{zone.id}, {its.threat.id}")
            told.append(shots(site, z, its, launches))
        zones.append(_warned(site, z, told, sums))
    known, followed, seconds, in_time = sums
    with np.errstate(invalid="ignore", divide="ignore"):
        maps = [area.spread(values) for values in (seconds / followed, followed / known, in_time / known)]
    return Reckoning(site, tuple(classes), area, tuple(zones), *maps)


def area_of(site: Site, flights: Sequence[Flights], grid: int, within: float | MultiPolygon | None) -> Area:
    """A grid of so many cells a side over all from where a zone can be reached, a circle (m), or polygons (ENU m)."""
    reach = max(its.furthest_m for its in flights)
    falls = np.array([fall_point(site, z)[:2] for z in range(len(site.zones))])
    if isinstance(within, MultiPolygon):
        west, south, east, north = within.bounds
    else:
        most = np.inf if within is None else within
        west, south = np.maximum(falls.min(axis=0) - reach, -most)
        east, north = np.minimum(falls.max(axis=0) + reach, most)
    if not (east > west and north > south):
        raise InputError(UNREACHED)
    side = max(east - west, north - south) / grid
    steps = (np.arange(grid) + 0.5) * side
    east_m = 0.5 * (west + east - grid * side) + steps
    north_m = 0.5 * (south + north - grid * side) + steps
    x, y = np.meshgrid(east_m, north_m)
    away2 = np.min([(x - e) ** 2 + (y - n) ** 2 for e, n in falls], axis=0)
    inside = away2 <= reach**2
    if isinstance(within, MultiPolygon):
        inside &= contains_xy(within, x, y)
    elif within is not None:
        inside &= np.hypot(x, y) <= within
    if not inside.any():
        raise InputError(UNREACHED)
    return Area(east_m, north_m, float(side), inside)


def classes_from(names: Sequence[str] | None) -> tuple[str, ...]:
    """The classes that are asked for, each once; TYPICAL if none. InputError where one is not fired at anything."""
    fired = [threat.id for threat in catalogue().values() if threat.family in FIRED]
    for name in names or ():
        if name not in fired:
            raise InputError(f"--threat: found '{name}', expected {nearest(name, fired)}")
    return tuple(dict.fromkeys(names or TYPICAL))


def area_from(text: str | None, site: Site) -> float | MultiPolygon | None:
    """A radius about the origin (m) from text in km, or the polygons of a GeoJSON file in the site's frame (m)."""
    if text is None:
        return None
    try:
        radius_m = float(text) * 1e3
    except ValueError:
        return _polygons(Path(text), site)
    if not 0.0 < radius_m <= MAX_EXTENT_M:
        raise InputError(f"--area: found {text} km, expected above 0 and at most {MAX_EXTENT_M / 1e3:g} km")
    return radius_m


def _polygons(path: Path, site: Site) -> MultiPolygon:
    features = read_zones(read_text(path), str(path))
    parts = [Polygon(rings[0], rings[1:]) for feature in features for rings in feature["rings"]]
    origin = layout_of(site).origin

    def flat(lonlat: FloatArray) -> FloatArray:
        return geodetic_to_enu(np.radians(lonlat[:, 1]), np.radians(lonlat[:, 0]), origin.height_m, origin)[:, :2]

    whole = union_all(transform(parts, flat))
    return MultiPolygon([part for part in getattr(whole, "geoms", [whole]) if part.geom_type == "Polygon"])


# ---- one zone ----------------------------------------------------------------------------------------------------


def shots(site: Site, zone: int, flights: Flights, launches: FloatArray) -> FloatArray:
    """Typical flights of a class from launch points (c, 2) to a zone's middle, as `sight` has them: (c, EACH, 4)."""
    layout, rules = layout_of(site), zone_rules(site).each[zone]
    half_m = 0.5 * math.sqrt(layout.zone_shapes[zone].area) + flights.threat.hazard_radius_m
    about = np.array([rules.alert_p, rules.sure_p, flights.threat.ln_beta_sigma, WIND_PRIOR_MPS, half_m])
    masks, step_m = _masks(site)
    told: FloatArray = sight(
        launches, fall_point(site, zone), flights.rows, flights.flight_s, flights.by_range, BIN_M,
        flights.threat.rcs_m2, THRESHOLD, sensor_rows(site), masks, step_m, layout.origin.radius_m, about,
    )  # fmt: skip
    return told


def fall_point(site: Site, zone: int) -> FloatArray:
    """The middle of a zone on its ground: east, north, height over the sphere that touches the origin (m), (3,)."""
    layout = layout_of(site)
    shape = layout.zone_shapes[zone]
    middle = shape.centroid if shape.contains(shape.centroid) else shape.representative_point()
    return np.array([middle.x, middle.y, _ground_m(layout, middle.x, middle.y)])


def _ground_m(layout: Layout, east_m: float, north_m: float) -> float:
    point = np.array([[east_m, north_m, -(east_m**2 + north_m**2) / (2.0 * layout.origin.radius_m)]])
    return -float(clearance(point, layout.env, layout.ground)[0])


def leads_s(told: FloatArray) -> FloatArray:
    """Seconds from when a sound alarm could be given to the impact, of shots (..., 4); NaN where that never comes."""
    left: FloatArray = told[..., O_FLIGHT] - told[..., O_KNOWN] - ORDER_S
    return left


def decided_s(told: FloatArray, last_s: float) -> FloatArray:
    """Seconds from launch until a zone is alerted that waits while more than `last_s` are left, of shots (..., 4).

    It alerts when a hit is likely enough and no time is left to know better, or when it is all but certain; the plots'
    way and the tick come on top.
    """
    flight, known, sure = told[..., O_FLIGHT], told[..., O_KNOWN], told[..., O_SURE]
    decided: FloatArray = np.fmin(sure, np.maximum(known, flight - last_s))
    return decided


def weights_of(told: FloatArray) -> FloatArray:
    """What each of the flights (c, each) from a point weighs: each point that reaches the zone the same, 0 for none."""
    there = np.isfinite(told[..., O_FLIGHT])
    share: FloatArray = there / np.maximum(there.sum(axis=1, keepdims=True), 1)
    return share


def _warned(site: Site, z: int, told: Sequence[FloatArray], sums: FloatArray) -> Warned:
    """A zone's row; `sums` (see `reckon`) are added to."""
    zone, rules = site.zones[z], zone_rules(site).each[z]
    every = np.concatenate(told, axis=1)
    weight = np.concatenate([weights_of(t) for t in told], axis=1)
    left = every[..., O_FLIGHT] - decided_s(every, rules.last_s) - ORDER_S - rules.sound_s
    left = np.maximum(np.nan_to_num(left), 0.0)
    in_time, followed = left >= zone.time_to_shelter_s, np.isfinite(every[..., O_SEEN])
    seconds = np.nan_to_num(every[..., O_SEEN])
    for row, values in enumerate((np.ones_like(weight), followed, followed * seconds, in_time)):
        sums[row] += (weight * values).sum(axis=1)
    total = max(float(weight.sum()), 1e-9)
    return Warned(
        zone=zone,
        low_s=quantile(left, weight, LOW_SHARE),
        median_s=quantile(left, weight, 0.5),
        warned=float((weight * (left > 0.0)).sum()) / total,
        in_time=float((weight * in_time).sum()) / total,
        seen_s=quantile(seconds, weight * followed, 0.5),
        seen=float((weight * followed).sum()) / total,
        shots=int((weight > 0.0).sum()),
    )


def quantile(values: FloatArray, weights: FloatArray, share: float) -> float:
    """The greatest value that at most this share of the weight lies below; NaN where nothing weighs anything."""
    some = weights > 0.0
    at, by = values[some], weights[some]
    if not len(at):
        return math.nan
    order = np.argsort(at, kind="stable")
    below = np.cumsum(by[order]) - by[order]
    return float(at[order[np.searchsorted(below, share * by.sum(), side="right") - 1]])


# ---- the site's radars as kernels take them ----------------------------------------------------------------------


@lru_cache(maxsize=64)
def sensor_rows(site: Site) -> FloatArray:
    """The site's radars, (s, SENSOR)."""
    layout = layout_of(site)
    rows = np.zeros((len(site.sensors), SENSOR))
    for k, sensor in enumerate(site.sensors):
        rows[k] = np.concatenate(
            [
                layout.sensor_enu_m[k],
                layout.sensor_rot[k].ravel(),
                layout.coverage[k],
                np.nan_to_num(layout.sensor_sigma[k]),
                [sensor.update_s, *_power(sensor)],
            ]
        )
    return rows


def _power(sensor: Sensor) -> tuple[float, float]:
    """SNR times range to the fourth of one square metre, and the SNR of the reference (linear)."""
    reference = sensor.reference
    snr = 10.0 ** (reference.snr_db / 10.0)
    return snr * reference.range_m**4 / reference.rcs_m2, snr


@lru_cache(maxsize=64)
def _masks(site: Site) -> tuple[FloatArray, float]:
    """What the ground hides from each radar, and the step in range."""
    layout = layout_of(site)
    if not layout.ground.shape[0]:
        return np.empty((len(site.sensors), 0, 0)), 1.0
    furthest = float(layout.coverage[:, 1].max(initial=1.0))
    step_m = max(float(layout.env[E_GRID_STEP]), furthest / MOST_MASK_STEPS)
    steps = math.ceil(furthest / step_m)
    each = [horizon(at, step_m, MASK_AZIMUTHS, steps, layout.env, layout.ground) for at in layout.sensor_enu_m]
    return np.array(each).reshape(-1, MASK_AZIMUTHS, steps), step_m
