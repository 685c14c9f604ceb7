"""A Gaussian over polygons: how likely a point lies inside, and how a polygon is seen from afar.

In coordinates that make the Gaussian round with unit variance, Green's theorem turns the integral over the inside into
one over the boundary: (1 / 2 pi) times the sum over the edges of the integral of 1 - exp(-r^2 / 2) over the angle that
the edge sweeps as seen from the mean, r being the distance to the edge in that direction (DiDonato and Hageman 1982,
SIAM J. Sci. Stat. Comput. 3(4), do the same for angular regions). For a whole edge it is Owen's T function (Owen 1956,
Ann. Math. Stat. 27).
"""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from opencram.physics.kernel import device, kernel

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FAR_SIGMA = 7.0
"""A zone wholly beyond this many standard deviations (the larger axis') is not reached: P < exp(-24.5) = 2.3e-11."""
MIN_SIGMA_M = 1e-3
"""A covariance thinner than this along an axis is widened to it, so that a singular one can be used."""
SHORT, MIDDLE = 0.5, 2.0
"""Edge lengths in standard deviations up to which two and four Gauss-Legendre nodes are good to about 1e-6."""

_X2, _W2 = 0.5 / math.sqrt(3.0), 0.5
_X4A, _X4B = 0.16999052179242813, 0.43056815579702629
_W4A, _W4B = 0.32607257743127307, 0.17392742256872693
_OWEN_X, _OWEN_W = (0.5 * a for a in np.polynomial.legendre.leggauss(10))
_OWEN_X = _OWEN_X + 0.5
_TURN = 2.0 * math.pi


def rings(shapes: "Iterable[BaseGeometry]") -> tuple[Floats, Ints, Ints]:
    """Shapely polygons or multipolygons as vertices (k, 2), ring offsets (r + 1,) and each shape's first ring (n + 1,).

    Ring i is vertices[offsets[i]:offsets[i + 1]], not closed; exteriors run counter-clockwise, holes clockwise.
    Shape i has the rings from firsts[i] to firsts[i + 1].
    """
    from shapely.geometry.polygon import orient

    lines, firsts = [np.empty((0, 2))], [0]
    for shape in shapes:
        for part in getattr(shape, "geoms", [shape]):
            turned = orient(part, 1.0)
            lines += [np.asarray(ring.coords, np.float64)[:-1, :2] for ring in (turned.exterior, *turned.interiors)]
        firsts.append(len(lines) - 1)
    offsets = np.cumsum([len(line) for line in lines], dtype=np.int64)
    return np.ascontiguousarray(np.concatenate(lines)), offsets, np.array(firsts, np.int64)


@device
def _growth(r2: float) -> float:
    """(1 - exp(-r^2 / 2)) / r^2, smooth everywhere."""
    if r2 < 1e-6:
        return 0.5 - 0.125 * r2
    return -math.expm1(-0.5 * r2) / r2


@device
def _owen(h: float, a: float) -> float:
    """Owen's T(h, a) for h >= 0 and 0 <= a <= 1: ten nodes leave an error below 1e-11."""
    if h > FAR_SIGMA:
        return 0.0
    total = 0.0
    for k in range(_OWEN_X.shape[0]):
        q = 1.0 + (a * _OWEN_X[k]) ** 2
        total += _OWEN_W[k] * math.exp(-0.5 * h * h * q) / q
    return total * a / _TURN


@device
def _normal(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@device
def _half_edge(d: float, t: float) -> float:
    """The boundary integral over the edge's line from its foot, at distance d >= 0 from the mean, to t >= 0 along it.

    It is atan(t / d) / 2 pi - T(d, t / d); beyond 45 degrees by T(h, a) + T(ah, 1/a) = (Q(h) + Q(ah)) / 2 - Q(h) Q(ah).
    """
    if t <= d:
        a = t / d if d > 0.0 else 0.0
        return math.atan(a) / _TURN - _owen(d, a)
    a = d / t
    low, high = _normal(d), _normal(t)
    return 0.25 - math.atan(a) / _TURN - (0.5 * (low + high) - low * high - _owen(t, a))


@device
def _long_edge(d: float, t0: float, t1: float) -> float:
    """The boundary integral from t0 to t1 along a line whose foot is at distance d >= 0 from the mean."""
    end = math.copysign(_half_edge(d, abs(t1)), t1)
    return end - math.copysign(_half_edge(d, abs(t0)), t0)


@device
def _edge(x0: float, y0: float, x1: float, y1: float) -> float:
    """One edge's share of the probability, positive where it runs counter-clockwise; lengths in standard deviations."""
    cross = x0 * y1 - x1 * y0
    dx, dy = x1 - x0, y1 - y0
    length = math.sqrt(dx * dx + dy * dy)
    if length == 0.0:
        return 0.0
    mx, my = 0.5 * (x0 + x1), 0.5 * (y0 + y1)
    m2 = mx * mx + my * my
    along = 2.0 * (mx * dx + my * dy)
    l2 = length * length
    if length <= SHORT:
        base = m2 + _X2 * _X2 * l2
        return cross / _TURN * _W2 * (_growth(base + _X2 * along) + _growth(base - _X2 * along))
    if length <= MIDDLE:
        base_a, base_b = m2 + _X4A * _X4A * l2, m2 + _X4B * _X4B * l2
        inner = _growth(base_a + _X4A * along) + _growth(base_a - _X4A * along)
        outer = _growth(base_b + _X4B * along) + _growth(base_b - _X4B * along)
        return cross / _TURN * (_W4A * inner + _W4B * outer)
    t0 = (x0 * dx + y0 * dy) / length
    return math.copysign(1.0, cross) * _long_edge(abs(cross) / length, t0, t0 + length)


@device
def _axes(cov: Floats) -> tuple[float, float, float, float]:
    """Cosine and sine of the larger axis and the standard deviations along both."""
    half = 0.5 * (cov[0, 0] - cov[1, 1])
    middle = 0.5 * (cov[0, 0] + cov[1, 1])
    off = 0.5 * (cov[0, 1] + cov[1, 0])
    spread = math.sqrt(half * half + off * off)
    turn = 0.5 * math.atan2(off, half)
    large = math.sqrt(max(middle + spread, MIN_SIGMA_M**2))
    small = math.sqrt(max(middle - spread, MIN_SIGMA_M**2))
    return math.cos(turn), math.sin(turn), large, small


@device
def _inside(mean: Floats, cov: Floats, vertices: Floats, offsets: Ints) -> float:
    c, s, large, small = _axes(cov)
    total = 0.0
    for ring in range(offsets.shape[0] - 1):
        last = offsets[ring + 1] - 1
        e, n = vertices[last, 0] - mean[0], vertices[last, 1] - mean[1]
        x0, y0 = (c * e + s * n) / large, (c * n - s * e) / small
        for k in range(offsets[ring], last + 1):
            e, n = vertices[k, 0] - mean[0], vertices[k, 1] - mean[1]
            x1, y1 = (c * e + s * n) / large, (c * n - s * e) / small
            total += _edge(x0, y0, x1, y1)
            x0, y0 = x1, y1
    return min(max(total, 0.0), 1.0)


@kernel("f8[:,::1](f8[:,::1],f8[:,:,::1],f8[:,::1],i8[::1],i8[::1])")
def p_inside(mean: Floats, cov: Floats, vertices: Floats, offsets: Ints, firsts: Ints) -> Floats:
    """Probability (n, k) that each of n Gaussians, mean (n, 2) and cov (n, 2, 2), lies inside each of k `rings` shapes.

    Good to 1e-4, mostly far better, whatever the covariance and wherever the mean. NaN where one of them is not finite.
    """
    out = np.zeros((mean.shape[0], firsts.shape[0] - 1))
    for j in range(firsts.shape[0] - 1):
        own = offsets[firsts[j] : firsts[j + 1] + 1]
        around = vertices[own[0] : own[own.shape[0] - 1]]
        if around.shape[0] == 0:
            continue
        west, east = around[:, 0].min(), around[:, 0].max()
        south, north = around[:, 1].min(), around[:, 1].max()
        for i in range(mean.shape[0]):
            reach = FAR_SIGMA * math.sqrt(max(cov[i, 0, 0] + cov[i, 1, 1], MIN_SIGMA_M**2))
            off_e = max(west - mean[i, 0], 0.0, mean[i, 0] - east)
            off_n = max(south - mean[i, 1], 0.0, mean[i, 1] - north)
            if off_e > reach or off_n > reach:
                continue
            if not math.isfinite(mean[i].sum() + cov[i].sum()):
                out[i, j] = np.nan
                continue
            out[i, j] = _inside(mean[i], cov[i], vertices, own)
    return out


@device
def _to_edge(e: float, n: float, de: float, dn: float) -> float:
    """Distance from the origin to the edge that starts at (e, n) and runs (de, dn)."""
    l2 = de * de + dn * dn
    u = 0.0 if l2 == 0.0 else min(max(-(e * de + n * dn) / l2, 0.0), 1.0)
    return math.hypot(e + u * de, n + u * dn)


@device
def _sight(east_m: float, north_m: float, vertices: Floats, offsets: Ints) -> Floats:
    """As `sights`, of one polygon."""
    near, low, high = np.inf, np.inf, -np.inf
    winding = 0.0
    first = math.atan2(vertices[offsets[0], 0] - east_m, vertices[offsets[0], 1] - north_m)
    for ring in range(offsets.shape[0] - 1):
        last = offsets[ring + 1] - 1
        e0, n0 = vertices[last, 0] - east_m, vertices[last, 1] - north_m
        az = math.atan2(e0, n0)
        az += _TURN * math.floor((first - az) / _TURN + 0.5)
        low, high = min(low, az), max(high, az)
        for k in range(offsets[ring], last + 1):
            e1, n1 = vertices[k, 0] - east_m, vertices[k, 1] - north_m
            swept = math.atan2(e1 * n0 - e0 * n1, e0 * e1 + n0 * n1)
            winding += swept
            az += swept
            low, high = min(low, az), max(high, az)
            near = min(near, _to_edge(e0, n0, e1 - e0, n1 - n0))
            e0, n0 = e1, n1
    if abs(winding) > math.pi:
        return np.array([0.0, 0.0, _TURN])
    return np.array([near, low, min(high, low + _TURN)])


@kernel("f8[:,::1](f8,f8,f8[:,::1],i8[::1],i8[::1])")
def sights(east_m: float, north_m: float, vertices: Floats, offsets: Ints, firsts: Ints) -> Floats:
    """How polygons made by `rings` are seen from a point, (n, 3): distance_m, az_from_rad, az_to_rad.

    The rings of all stand one behind the other; polygon i has those from `firsts[i]` to `firsts[i + 1]`.
    Azimuths are clockwise from north; the polygon lies between them, az_from <= az_to, in no particular turn.
    From inside the distance is 0 and the azimuths span the full turn.
    """
    out = np.empty((firsts.shape[0] - 1, 3))
    for i in range(firsts.shape[0] - 1):
        out[i] = _sight(east_m, north_m, vertices, offsets[firsts[i] : firsts[i + 1] + 1])
    return out


@device
def _up_to(off_rad: float, sigma_rad: float) -> float:
    """Distribution function of the cut normal, carried on by one for each whole turn."""
    turns = math.floor(off_rad / _TURN + 0.5)
    scale = 1.0 / (math.sqrt(2.0) * sigma_rad)
    return float(turns + 0.5 * math.erf((off_rad - _TURN * turns) * scale) / math.erf(math.pi * scale))


@kernel("f8[::1](f8,f8,f8,f8[:,::1])")
def p_course(course_rad: float, sigma_rad: float, turn_share: float, seen: Floats) -> Floats:
    """Chance that something on this course ends up between two azimuths (from <= to, at most a turn apart), (n,).

    `seen` (n, 3) are distances, not used, and azimuths as from `sights`. The course is normal around the present one,
    cut half a turn away, but for `turn_share` that is uniform: it may turn.
    """
    out = np.empty(len(seen))
    for i in range(len(seen)):
        low, high = _up_to(seen[i, 1] - course_rad, sigma_rad), _up_to(seen[i, 2] - course_rad, sigma_rad)
        out[i] = (1.0 - turn_share) * (high - low) + turn_share * (seen[i, 2] - seen[i, 1]) / _TURN
    return out
