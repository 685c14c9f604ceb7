"""Frames: WGS-84 geodetic, earth-centred earth-fixed (ECEF), east-north-up of an origin, and a radar's spherical one.

Angles are radians, azimuth clockwise from true north, heights above the ellipsoid. Vectors are (..., 3) arrays.
Formulas: NIMA TR8350.2 (WGS-84), Bowring 1976 (ECEF to geodetic).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# WGS-84, NIMA TR8350.2 third edition, tables 3.1 to 3.4
SEMI_MAJOR_M = 6_378_137.0
FLATTENING = 1.0 / 298.257223563
ECCENTRICITY2 = FLATTENING * (2.0 - FLATTENING)
SEMI_MINOR_M = SEMI_MAJOR_M * (1.0 - FLATTENING)
SPIN_RADPS = 7.292115e-5
EQUATOR_GRAVITY_MPS2 = 9.7803253359
SOMIGLIANA_K = 0.00193185265241
GRAVITY_M = 0.00344978650684


@dataclass(frozen=True)
class Origin:
    """A point of the earth and the east-north-up frame that stands there."""

    lat_rad: float
    lon_rad: float
    height_m: float = 0.0

    @cached_property
    def ecef_m(self) -> Floats:
        """Position, ECEF, (3,)."""
        return geodetic_to_ecef(self.lat_rad, self.lon_rad, self.height_m)

    @cached_property
    def rot(self) -> Floats:
        """(3, 3): rows are the east, north and up unit vectors in ECEF; `rot @ ecef` is east-north-up."""
        sin_lat, cos_lat = np.sin(self.lat_rad), np.cos(self.lat_rad)
        sin_lon, cos_lon = np.sin(self.lon_rad), np.cos(self.lon_rad)
        return np.array(
            [
                [-sin_lon, cos_lon, 0.0],
                [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
                [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
            ]
        )

    @cached_property
    def radius_m(self) -> float:
        """Mean radius of curvature sqrt(M N) at the origin, at its height: the sphere that fits the earth best here."""
        w2 = 1.0 - ECCENTRICITY2 * np.sin(self.lat_rad) ** 2
        return float(SEMI_MAJOR_M * np.sqrt(1.0 - ECCENTRICITY2) / w2) + self.height_m

    @cached_property
    def gravity_mps2(self) -> float:
        """Normal gravity (attraction and centrifugal) at the origin: Somigliana and its series in height, TR8350.2."""
        sin2 = np.sin(self.lat_rad) ** 2
        surface = EQUATOR_GRAVITY_MPS2 * (1.0 + SOMIGLIANA_K * sin2) / np.sqrt(1.0 - ECCENTRICITY2 * sin2)
        h = self.height_m / SEMI_MAJOR_M
        return float(surface * (1.0 - 2.0 * (1.0 + FLATTENING + GRAVITY_M - 2.0 * FLATTENING * sin2) * h + 3.0 * h * h))

    @cached_property
    def spin_enu_radps(self) -> Floats:
        """The earth's rotation vector in this frame, (3,)."""
        return np.array([0.0, SPIN_RADPS * np.cos(self.lat_rad), SPIN_RADPS * np.sin(self.lat_rad)])


def geodetic_to_ecef(lat_rad: ArrayLike, lon_rad: ArrayLike, height_m: ArrayLike) -> Floats:
    """Latitude, longitude, height (broadcast) to ECEF (..., 3) in metres."""
    lat, lon, height = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (lat_rad, lon_rad, height_m)))
    normal = SEMI_MAJOR_M / np.sqrt(1.0 - ECCENTRICITY2 * np.sin(lat) ** 2)
    ring = (normal + height) * np.cos(lat)
    polar = (normal * (1.0 - ECCENTRICITY2) + height) * np.sin(lat)
    return np.stack([ring * np.cos(lon), ring * np.sin(lon), polar], axis=-1)


def ecef_to_geodetic(pos_ecef_m: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """ECEF (..., 3) to latitude, longitude (rad) and height (m), to 1e-8 m from 10 km below ground to 1,000 above."""
    pos = np.asarray(pos_ecef_m, np.float64)
    x, y, z = pos[..., 0], pos[..., 1], pos[..., 2]
    ring = np.hypot(x, y)
    second = ECCENTRICITY2 / (1.0 - ECCENTRICITY2)
    # Bowring's reduced latitude; the second round brings it from micrometres to rounding
    reduced = np.arctan2(z * SEMI_MAJOR_M, ring * SEMI_MINOR_M)
    lat = reduced
    for _ in range(2):
        lat = np.arctan2(
            z + second * SEMI_MINOR_M * np.sin(reduced) ** 3,
            ring - ECCENTRICITY2 * SEMI_MAJOR_M * np.cos(reduced) ** 3,
        )
        reduced = np.arctan2((1.0 - FLATTENING) * np.sin(lat), np.cos(lat))
    sin_lat = np.sin(lat)
    height = ring * np.cos(lat) + z * sin_lat - SEMI_MAJOR_M * np.sqrt(1.0 - ECCENTRICITY2 * sin_lat**2)
    return lat, np.arctan2(y, x), height


def geodetic_to_enu(lat_rad: ArrayLike, lon_rad: ArrayLike, height_m: ArrayLike, origin: Origin) -> Floats:
    """Latitude, longitude, height to the origin's east-north-up (..., 3) in metres."""
    away = geodetic_to_ecef(lat_rad, lon_rad, height_m) - origin.ecef_m
    return _turn(away, origin.rot)


def enu_to_geodetic(pos_enu_m: ArrayLike, origin: Origin) -> tuple[Floats, Floats, Floats]:
    """The origin's east-north-up (..., 3) to latitude, longitude (rad) and height (m)."""
    return ecef_to_geodetic(_turn(np.asarray(pos_enu_m, np.float64), origin.rot.T) + origin.ecef_m)


def enu_to_spherical(pos_enu_m: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """East-north-up (..., 3) to slant range (m), azimuth in [0, 2 pi) and elevation (rad)."""
    pos = np.asarray(pos_enu_m, np.float64)
    east, north, up = pos[..., 0], pos[..., 1], pos[..., 2]
    flat = np.hypot(east, north)
    az = np.arctan2(east, north)
    # adding 2 pi to a tiny negative angle rounds to 2 pi itself, hence the second look
    az = np.where(az < 0.0, az + 2.0 * np.pi, az)
    return np.hypot(flat, up), np.where(az >= 2.0 * np.pi, 0.0, az), np.arctan2(up, flat)


def spherical_to_enu(range_m: ArrayLike, az_rad: ArrayLike, el_rad: ArrayLike) -> Floats:
    """Slant range, azimuth, elevation to east-north-up (..., 3) in metres."""
    reach, az, el = np.broadcast_arrays(*(np.asarray(x, np.float64) for x in (range_m, az_rad, el_rad)))
    flat = reach * np.cos(el)
    return np.stack([flat * np.sin(az), flat * np.cos(az), reach * np.sin(el)], axis=-1)


def sensor_rotation(sensor: Origin, site: Origin) -> tuple[Floats, Floats]:
    """(3, 3) matrix that turns a site's vector into the sensor's frame, and the sensor's position (3,) in the site's.

    A point seen by the sensor is `matrix @ (pos_enu_m - sensor_enu_m)` in the sensor's own east-north-up.
    """
    matrix = np.array([[float((row * col).sum()) for col in site.rot] for row in sensor.rot])
    return matrix, _turn(sensor.ecef_m - site.ecef_m, site.rot)


def _turn(vectors: Floats, rot: Floats) -> Floats:
    """Rows of vectors turned by `rot`, term by term, so that a row's bits do not depend on the number of rows."""
    x, y, z = vectors[..., 0], vectors[..., 1], vectors[..., 2]
    return np.stack([x * r[0] + y * r[1] + z * r[2] for r in rot], axis=-1)
