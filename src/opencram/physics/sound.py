"""Which places hear which siren, how loud and how late: sound over flat ground in still air, coarse on purpose.

A siren is heard as far as the site says (`audible_m`) and no further, the same in all directions: buildings, hills and
wind are left out. What is computed is how late it is heard, and how much louder than just heard it is nearer by.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from shapely import MultiPolygon, Polygon, contains_xy, distance, get_coordinates, points, relate_pattern, segmentize

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
INDOORS_DB = 15.0
"""What a house with its windows open takes off the sound (EPA 550/9-74-004, 1974, average of warm and cold climates);
with its windows closed it takes 25 dB."""
NEAREST_M = 1.0
"""Nearer than this a siren is no point, and its level no longer grows."""

PLACES = 4_000
"""A zone is looked at in about so many places, which finds its shares to half a percent."""
RIM = 64
SHARE_GROUND = "T********"
"""DE-9IM: two zones have more than a border in common."""
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
    indoors_share: float
    """Of its area, hears one of its own inside a house with the windows open."""
    delay_s: float | None
    """Within which `HEARD_SHARE` of that has heard it."""
    median_s: float | None
    worst_s: float | None
    strays: tuple[str, ...]
    """Sirens that are heard somewhere in it and are not for that place: it lies in no zone that they serve."""
    stray_share: float
    """Of its area, hears one that is not for it."""


# ---- sound in air ------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16)
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


def over_heard_db(distance_m: ArrayLike, audible_m: ArrayLike, absorbed_dbpm: float) -> FloatArray:
    """How much louder a siren is at distances than where it is just heard; below 0 beyond `audible_m`.

    Spherical spreading (6 dB for each doubling) and absorption. Ground and obstacles take more (FEMA, CPG 1-17, reckons
    10 dB for each doubling): near by it is louder than said here, which errs to the safe side.
    """
    away, reach = np.maximum(np.asarray(distance_m, np.float64), NEAREST_M), np.asarray(audible_m, np.float64)
    over: FloatArray = 20.0 * np.log10(reach / away) + absorbed_dbpm * (reach - away)
    return over


# ---- who hears what ----------------------------------------------------------------------------------------------


def delays_s(site: Site, at_enu_m: FloatArray, sirens: IntArray | None = None) -> FloatArray:
    """How late sirens are heard at points (n, 2), as (n, s); inf where one is not heard.

    `sirens` are their places in the site's list, all of them where it is None.
    """
    away, reach = _away_m(site, at_enu_m, np.arange(len(site.sirens)) if sirens is None else sirens)
    late: FloatArray = np.where(away <= reach, away / sound_speed_mps(air_at(site)[0]), np.inf)
    return late


def _away_m(site: Site, at_enu_m: FloatArray, sirens: IntArray) -> tuple[FloatArray, FloatArray]:
    """How far sirens are from points (n, 2), as (n, s), and how far each is heard, (s,)."""
    east, north, _ = siren_enu_m(site)[sirens].T
    away: FloatArray = np.hypot(at_enu_m[:, 0, None] - east, at_enu_m[:, 1, None] - north)
    return away, np.array([site.sirens[i].audible_m for i in sirens.tolist()])


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
    own, edge = _first(late[:, its]), _first(delays_s(site, _last_to_hear(site, shape, near[its]), near[its]))
    stray = np.where(_meant(site, shape, at, near), np.inf, late)
    return Hearing(
        zone=zone,
        sirens=_ids(site, near[its]),
        idle=_ids(site, near[its & ~_ever(late)]),
        share=_share(np.isfinite(own), area),
        indoors_share=_share(_indoors(site, at, near[its]), area),
        delay_s=_within(own, area, HEARD_SHARE),
        median_s=_within(own, area, 0.5),
        worst_s=_longest(np.concatenate([own, edge])),
        strays=_ids(site, near[_ever(stray)]),
        stray_share=_share(np.isfinite(_first(stray)), area),
    )


def _indoors(site: Site, at: FloatArray, sirens: IntArray) -> NDArray[np.bool_]:
    """At which points (n, 2) one of these sirens is loud enough to be heard in a house, (n,)."""
    over_db = over_heard_db(*_away_m(site, at, sirens), absorption_dbpm(*air_at(site)))
    return np.asarray((over_db >= INDOORS_DB).any(axis=1), np.bool_)


def _meant(site: Site, shape: MultiPolygon, at: FloatArray, sirens: IntArray) -> NDArray[np.bool_]:
    """Which points (n, 2) of a zone each of these sirens is for, (n, s): they lie in a zone that it serves."""
    meant = np.zeros((len(at), len(sirens)), bool)
    shapes = layout_of(site).zone_shapes
    for z in np.flatnonzero(relate_pattern(shapes, shape, SHARE_GROUND)).tolist():
        serves = np.array([site.zones[z].id in site.sirens[i].zones for i in sirens.tolist()], bool)
        if serves.any():
            np.logical_or(meant, contains_xy(shapes[z], at)[:, None] & serves, out=meant)
    return meant


def _ever(late: FloatArray) -> NDArray[np.bool_]:
    """Which sirens are heard at one point or more, (s,) from (n, s)."""
    return np.asarray(np.isfinite(late).any(axis=0), np.bool_)


def _ids(site: Site, sirens: IntArray) -> tuple[str, ...]:
    return tuple(site.sirens[i].id for i in sirens.tolist())


def _first(late: FloatArray) -> FloatArray:
    """When the first of several sirens is heard, (n,) from (n, s)."""
    first: FloatArray = late.min(axis=1, initial=np.inf)
    return first


def places_in(shape: MultiPolygon, about: int = PLACES) -> tuple[FloatArray, FloatArray]:
    """About so many points (n, 2) spread evenly over polygons, and the area of each (n,): together all of it."""
    cell = math.sqrt(shape.area / about)
    spread = [_spread(part, cell) for part in shape.geoms]
    areas = [np.full(len(at), part.area / len(at)) for at, part in zip(spread, shape.geoms, strict=True)]
    return np.concatenate(spread), np.concatenate(areas)


def _spread(part: Polygon, cell_m: float) -> FloatArray:
    """The centres of a square grid's cells that lie inside; one point where the polygon is too small for any."""
    west, south, east, north = part.bounds
    cell = max(cell_m, math.sqrt((east - west) * (north - south) / MOST_LOOKED_AT))
    grid = np.meshgrid(_middles(west, east, cell), _middles(south, north, cell))
    x, y = (a.ravel() for a in grid)
    inside = contains_xy(part, x, y)
    at: FloatArray = np.column_stack([x, y])[inside]
    return at if len(at) else get_coordinates(part.point_on_surface())


def _last_to_hear(site: Site, shape: MultiPolygon, sirens: IntArray) -> FloatArray:
    """Points (n, 2) one of which hears last: along the zone's borders, and inside it where a siren is just heard."""
    step = max(math.sqrt(shape.area / PLACES), shape.length / PLACES)
    turn = np.linspace(0.0, 2.0 * math.pi, RIM, endpoint=False)
    reach = np.array([site.sirens[i].audible_m for i in sirens.tolist()]) * (1.0 - 1e-9)
    circles = np.column_stack([np.cos(turn), np.sin(turn)]) * reach[:, None, None]
    rims = (siren_enu_m(site)[sirens, None, :2] + circles).reshape(-1, 2)
    return np.concatenate([get_coordinates(segmentize(shape, step)), rims[contains_xy(shape, rims)]])


def _middles(low: float, high: float, cell_m: float) -> FloatArray:
    """The middles of equal steps of at most a cell's side that fill an interval."""
    n = math.ceil((high - low) / cell_m)
    middles: FloatArray = low + (np.arange(n) + 0.5) * (high - low) / n
    return middles


def _share(places: NDArray[np.bool_], area: FloatArray) -> float:
    return float(area[places].sum() / area.sum())


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
