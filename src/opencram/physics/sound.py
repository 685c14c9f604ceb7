"""Which places hear which siren, how loud and how late: sound over flat ground in still air, coarse on purpose.

A siren is heard as far as the site says (`audible_m`) and no further, the same in all directions: buildings, hills and
wind are left out. What is computed is how late it is heard, and how much louder than just heard it is nearer by.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from shapely import MultiPolygon, Polygon, contains_xy, distance, get_coordinates, points

from opencram.physics.air import GAS_JPKGK, HEAT_RATIO, SEA_PRESSURE_PA, isa
from opencram.physics.frames import geodetic_to_enu
from opencram.physics.layout import layout_of
from opencram.site import Site
from opencram.tables import FloatArray, IntArray

HEARD_SHARE = 0.9
"""A zone's delay is the one within which this share of its places that hear a siren of theirs at all have heard it."""
TONE_HZ, HUMIDITY = 500.0, 0.5
"""Assumed: the tone of most sirens lies at a few hundred hertz; over land half of saturation is an ordinary day."""
COLDEST_K, HOTTEST_K = 223.15, 328.15
"""A density that tells of air outside -50 to 55 degrees Celsius tells of another pressure: the nearest is taken."""
NEAREST_M = 1.0
"""Nearer than this a siren is no point, and its level no longer grows."""

PLACES = 2_000
"""A zone is looked at in about so many places, which finds its shares to half a percent."""
MOST_LOOKED_AT = 200_000
"""A polygon that fills so little of its frame that more would have to be tried gets fewer places."""


@dataclass(frozen=True)
class Hearing:
    """What a zone hears. Delays are from the siren's first sound, None where no place of the zone hears its own."""

    zone: str
    sirens: tuple[str, ...]
    """Those that serve it, in reach or not."""
    idle: tuple[str, ...]
    """Those of them that no place of the zone hears."""
    share: float
    """Of its area, hears one of its own."""
    delay_s: float | None
    """Within which `HEARD_SHARE` of that has heard it."""
    median_s: float | None
    worst_s: float | None
    strays: tuple[str, ...]
    """Sirens that do not serve it and are heard in it."""
    stray_share: float
    """Of its area, hears one of these."""


# ---- sound in air ------------------------------------------------------------------------------------------------


def air_at(site: Site) -> tuple[float, float]:
    """Temperature (K) and pressure (Pa) of the air at the site's origin.

    The pressure is the standard atmosphere's at that height; the temperature follows from it and from the density that
    the site states (`air.density`), by the law of ideal gases. Where none is stated both are the standard's.
    """
    density, speed = (float(a) for a in isa(site.origin.height_m))
    pressure_pa = density * speed * speed / HEAT_RATIO
    temperature_k = pressure_pa / (GAS_JPKGK * float(layout_of(site).air[0, 0]))
    return min(max(temperature_k, COLDEST_K), HOTTEST_K), pressure_pa


def sound_speed_mps(temperature_k: float) -> float:
    """Speed of sound in dry air at a temperature (Laplace: the square root of kappa R T); moist air adds under 1 %."""
    return math.sqrt(HEAT_RATIO * GAS_JPKGK * temperature_k)


def absorption_dbpm(
    temperature_k: float, pressure_pa: float = SEA_PRESSURE_PA, humidity: float = HUMIDITY, tone_hz: float = TONE_HZ
) -> float:
    """What still air takes of a pure tone, dB/m; humidity as a share of saturation (ISO 9613-1:1993, equations 3 to 5).

    Its vapour pressure is that of annex B. Good to 10 % from -20 to 50 degrees Celsius, as the standard states it.
    """
    p, t = pressure_pa / SEA_PRESSURE_PA, temperature_k / 293.15
    vapour = 100.0 * humidity / p * math.pow(10.0, 4.6151 - 6.8346 * math.pow(273.16 / temperature_k, 1.261))
    oxygen_hz = p * (24.0 + 4.04e4 * vapour * (0.02 + vapour) / (0.391 + vapour))
    nitrogen_hz = p / math.sqrt(t) * (9.0 + 280.0 * vapour * math.exp(-4.170 * (math.pow(t, -1.0 / 3.0) - 1.0)))
    square = tone_hz * tone_hz
    oxygen = 0.01275 * math.exp(-2239.1 / temperature_k) / (oxygen_hz + square / oxygen_hz)
    nitrogen = 0.1068 * math.exp(-3352.0 / temperature_k) / (nitrogen_hz + square / nitrogen_hz)
    return 8.686 * square * (1.84e-11 / p * math.sqrt(t) + (oxygen + nitrogen) / (t * t * math.sqrt(t)))


def over_heard_db(distance_m: ArrayLike, audible_m: float, absorbed_dbpm: float) -> FloatArray:
    """How much louder a siren is at distances than where it is just heard; below 0 beyond `audible_m`.

    Spherical spreading (6 dB for each doubling) and absorption. Ground and obstacles take more (FEMA, CPG 1-17, reckons
    10 dB for each doubling): near by it is louder than said here, which errs to the safe side.
    """
    away = np.maximum(np.asarray(distance_m, np.float64), NEAREST_M)
    over: FloatArray = 20.0 * np.log10(audible_m / away) + absorbed_dbpm * (audible_m - away)
    return over


# ---- who hears what ----------------------------------------------------------------------------------------------


def delays_s(site: Site, at_enu_m: FloatArray, sirens: IntArray | None = None) -> FloatArray:
    """How late sirens are heard at points (n, 2), as (n, s); inf where one is not heard.

    `sirens` are their places in the site's list, all of them where it is None.
    """
    chosen = np.arange(len(site.sirens)) if sirens is None else sirens
    away = np.linalg.norm(at_enu_m[:, None, :2] - siren_enu_m(site)[None, chosen, :2], axis=2)
    reach = np.array([site.sirens[i].audible_m for i in chosen.tolist()])
    late: FloatArray = np.where(away <= reach, away / sound_speed_mps(air_at(site)[0]), np.inf)
    return late


@lru_cache(maxsize=16)
def siren_enu_m(site: Site) -> FloatArray:
    """Where the sirens stand in the site's frame, (sirens, 3), in its order."""
    origin, places = layout_of(site).origin, [siren.position for siren in site.sirens]
    rows = [geodetic_to_enu(math.radians(p.lat), math.radians(p.lon), p.height_m, origin) for p in places]
    return np.array(rows, np.float64).reshape(-1, 3)


def sound_delay_s(site: Site) -> tuple[float | None, ...]:
    """`Hearing.delay_s` of each zone, in the site's order: how much later than its sirens' start a zone is warned."""
    return tuple(heard.delay_s for heard in hearing_of(site))


@lru_cache(maxsize=16)
def hearing_of(site: Site) -> tuple[Hearing, ...]:
    """What each zone hears, in the site's order; worked out once for a site."""
    return tuple(
        _hearing(site, zone.id, shape) for zone, shape in zip(site.zones, layout_of(site).zone_shapes, strict=True)
    )


def _hearing(site: Site, zone: str, shape: MultiPolygon) -> Hearing:
    serves = np.array([zone in siren.zones for siren in site.sirens], bool)
    reach = np.array([siren.audible_m for siren in site.sirens])
    near = np.flatnonzero(serves | (distance(shape, points(siren_enu_m(site)[:, :2])) <= reach))
    at, area = places_in(shape)
    late = delays_s(site, at, near)
    its = serves[near]
    heard = np.isfinite(late).any(axis=0)
    own, stray = _first(late[:, its]), _first(late[:, ~its])
    corners = _first(delays_s(site, get_coordinates(shape), near[its]))
    return Hearing(
        zone=zone,
        sirens=_ids(site, near[its]),
        idle=_ids(site, near[its & ~heard]),
        share=_share(own, area),
        delay_s=_within(own, area, HEARD_SHARE),
        median_s=_within(own, area, 0.5),
        worst_s=_longest(np.concatenate([own, corners])),
        strays=_ids(site, near[~its & heard]),
        stray_share=_share(stray, area),
    )


def _ids(site: Site, sirens: IntArray) -> tuple[str, ...]:
    return tuple(site.sirens[i].id for i in sirens.tolist())


def _first(late: FloatArray) -> FloatArray:
    """When the first of several sirens is heard, (n,) from (n, s)."""
    first: FloatArray = late.min(axis=1, initial=np.inf)
    return first


def places_in(shape: MultiPolygon) -> tuple[FloatArray, FloatArray]:
    """Points (n, 2) spread evenly over polygons, and how much area each stands for (n,): together all of it."""
    cell = math.sqrt(shape.area / PLACES)
    spread = [_spread(part, cell) for part in shape.geoms]
    areas = [np.full(len(at), part.area / len(at)) for at, part in zip(spread, shape.geoms, strict=True)]
    return np.concatenate(spread), np.concatenate(areas)


def _spread(part: Polygon, cell_m: float) -> FloatArray:
    """The centres of a square grid's cells that lie inside; one point where the polygon is too small for any."""
    west, south, east, north = part.bounds
    cell = max(cell_m, math.sqrt((east - west) * (north - south) / MOST_LOOKED_AT))
    grid = np.meshgrid(np.arange(west + 0.5 * cell, east, cell), np.arange(south + 0.5 * cell, north, cell))
    x, y = (a.ravel() for a in grid)
    inside = contains_xy(part, x, y)
    at: FloatArray = np.column_stack([x, y])[inside]
    return at if len(at) else get_coordinates(part.point_on_surface())


def _share(late: FloatArray, area: FloatArray) -> float:
    return float(area[np.isfinite(late)].sum() / area.sum())


def _within(late: FloatArray, area: FloatArray, share: float) -> float | None:
    """The delay within which this share of the area that hears at all has heard."""
    order = np.argsort(late, kind="stable")
    order = order[np.isfinite(late[order])]
    if not len(order):
        return None
    heard = np.cumsum(area[order])
    return float(late[order[np.searchsorted(heard, share * heard[-1])]])


def _longest(late: FloatArray) -> float | None:
    """The longest delay of the places that hear."""
    heard = late[np.isfinite(late)]
    return float(heard.max()) if len(heard) else None
