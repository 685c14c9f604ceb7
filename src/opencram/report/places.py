"""Where things are: zones that hold a point, distances to what is protected, ellipses, and launch areas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from opencram.physics.layout import Layout, layout_of
from opencram.tables import FloatArray

if TYPE_CHECKING:
    from opencram.site import Site

CHI2_95 = -2.0 * math.log(0.05)
"""95 % quantile of chi-square with two degrees of freedom, 5.99: closed form."""


@dataclass(frozen=True)
class Places:
    """A site's places, asked in metres east and north of its origin."""

    site: Site

    @cached_property
    def layout(self) -> Layout:
        """The site in metres."""
        return layout_of(self.site)

    @cached_property
    def centre_enu_m(self) -> FloatArray:
        """The first asset, else the origin: what distances and directions are told from, (3,)."""
        return self.layout.asset_enu_m[0] if len(self.layout.asset_enu_m) else np.zeros(3)

    def zones_at(self, east_m: float, north_m: float) -> list[str]:
        """The ids of all zones that hold a point, the smallest first."""
        from shapely.geometry import Point

        point = Point(east_m, north_m)
        held = [(shape.area, z) for z, shape in enumerate(self.layout.zone_shapes) if shape.covers(point)]
        return [self.site.zones[z].id for _, z in sorted(held)]

    def distance_m(self, east_m: float, north_m: float) -> float | None:
        """Distance over the ground to the first asset; None for a site without one."""
        if not len(self.layout.asset_enu_m):
            return None
        return math.hypot(east_m - self.centre_enu_m[0], north_m - self.centre_enu_m[1])

    def azimuth_rad(self, east_m: float, north_m: float) -> float:
        """Direction of a point as seen from the centre, clockwise from north, [0, 2 pi)."""
        return math.atan2(east_m - self.centre_enu_m[0], north_m - self.centre_enu_m[1]) % (2.0 * math.pi)

    def latlon(self, east_m: float, north_m: float) -> tuple[float, float]:
        """Latitude and longitude of a point of the ground, degrees to 0.1 m."""
        lat, lon = self.layout.latlon_deg(np.array([east_m, north_m]))
        return round(float(lat), 6), round(float(lon), 6)

    def nearest_zone(self, east_m: float, north_m: float) -> tuple[str | None, float]:
        """The zone that holds a point or is nearest to it, and how far it is (0 inside)."""
        from shapely.geometry import Point

        inside = self.zones_at(east_m, north_m)
        if inside:
            return inside[0], 0.0
        point = Point(east_m, north_m)
        away = [(shape.distance(point), z) for z, shape in enumerate(self.layout.zone_shapes)]
        distance, z = min(away, default=(math.inf, -1))
        return (self.site.zones[z].id, float(distance)) if z >= 0 else (None, math.inf)


@dataclass(frozen=True)
class Ellipse:
    """A 95 % ellipse: centre, half axes, and the azimuth of the longer one."""

    east_m: float
    north_m: float
    semi_major_m: float
    semi_minor_m: float
    az_rad: float

    def outline(self, points: int = 48) -> FloatArray:
        """A closed polygon on the ellipse, anticlockwise, (points + 1, 2) east and north."""
        angle = np.linspace(0.0, 2.0 * np.pi, points + 1)
        along, across = self.semi_major_m * np.cos(angle), self.semi_minor_m * np.sin(angle)
        sin, cos = math.sin(self.az_rad), math.cos(self.az_rad)
        ring = np.stack([self.east_m + along * sin - across * cos, self.north_m + along * cos + across * sin], axis=1)
        ring[-1] = ring[0]
        return ring


def ellipse_95(east_m: float, north_m: float, cov_m2: FloatArray) -> Ellipse | None:
    """The ellipse that holds 95 % of a Gaussian with this mean and covariance (2, 2); None where it is not known."""
    if not np.isfinite(cov_m2).all():
        return None
    values, vectors = np.linalg.eigh(cov_m2)
    minor, major = np.sqrt(CHI2_95 * np.maximum(values, 0.0))
    azimuth = math.atan2(vectors[0, 1], vectors[1, 1]) % math.pi
    return Ellipse(float(east_m), float(north_m), float(major), float(minor), azimuth)


@dataclass(frozen=True)
class Cluster:
    """Points that lie together: which they are, their mean and the covariance of where such a point lies."""

    members: tuple[int, ...]
    mean_m: FloatArray
    cov_m2: FloatArray


CLUSTER_GATE_M = 1_500.0
"""Launch estimates nearer than this to an area's mean belong to it: several sigmas of a good one."""


def clusters(points_m: FloatArray, covs_m2: FloatArray) -> list[Cluster]:
    """Points (n, 2) with covariances (n, 2, 2) gathered into areas, the best known first; the largest area first."""
    groups: list[list[int]] = []
    for i in np.argsort(np.trace(covs_m2, axis1=1, axis2=2), kind="stable").tolist():
        sigma = math.sqrt(float(np.trace(covs_m2[i])))
        near = [g for g in groups if np.linalg.norm(_pool(points_m[g], covs_m2[g]).mean_m - points_m[i]) < _gate(sigma)]
        if near:
            near[0].append(i)
        else:
            groups.append([i])
    pooled = [_pool(points_m[g], covs_m2[g], g) for g in groups]
    return sorted(pooled, key=lambda c: (-len(c.members), c.members))


def _gate(sigma_m: float) -> float:
    return max(CLUSTER_GATE_M, 2.0 * sigma_m)


def _pool(points_m: FloatArray, covs_m2: FloatArray, members: Sequence[int] = ()) -> Cluster:
    """Precision-weighted mean; covariance of the mean, and of the points' scatter about it."""
    precisions = np.linalg.inv(covs_m2 + np.eye(2))
    total = np.linalg.inv(precisions.sum(axis=0))
    mean = total @ np.einsum("nij,nj->i", precisions, points_m)
    weights = np.trace(precisions, axis1=1, axis2=2)
    apart = points_m - mean
    scatter = np.einsum("n,ni,nj->ij", weights / weights.sum(), apart, apart)
    return Cluster(tuple(sorted(members)), mean, total + scatter)
