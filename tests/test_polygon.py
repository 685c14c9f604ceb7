"""A Gaussian over polygons, against closed forms, integration in another direction, and brute-force sampling."""

import itertools
import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import chi2, multivariate_normal, norm
from shapely.geometry import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from opencram.physics.polygon import FAR_SIGMA, p_inside, rings, sights

Floats = NDArray[np.float64]


def p_of(shape: BaseGeometry, mean: tuple[float, float], cov: Floats) -> float:
    return float(p_inside(np.array([mean], np.float64), np.array(cov, np.float64)[None], *rings([shape]))[0, 0])


def by_columns(shape: BaseGeometry, mean: tuple[float, float], cov: Floats) -> float:
    """The same probability as a sum over edges of the integral of -phi(x) Phi(y(x)): Green's theorem, Cartesian."""
    root = np.linalg.cholesky(cov)
    vertices, offsets, _ = rings([shape])
    round_ = np.linalg.solve(root, (vertices - mean).T).T
    nodes, weights = np.polynomial.legendre.leggauss(40)
    total = 0.0
    for a, b in itertools.pairwise(offsets):
        ring = round_[a:b]
        for (x0, y0), (x1, y1) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            low, high = np.clip([x0, x1], -9.0, 9.0)
            if low == high:
                continue
            cuts = np.linspace(low, high, 80)
            half = 0.5 * (cuts[1] - cuts[0])
            x = (0.5 * (cuts[1:] + cuts[:-1]))[:, None] + half * nodes
            y = y0 + (x - x0) * (y1 - y0) / (x1 - x0)
            total -= float((half * weights * norm.pdf(x) * norm.cdf(y)).sum())
    return total


def turned(sigma_a: float, sigma_b: float, angle: float) -> Floats:
    rot = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(rot @ np.diag([sigma_a**2, sigma_b**2]) @ rot.T)


@pytest.mark.parametrize("sigmas", [(100.0, 40.0), (1.0, 1.0), (1e5, 3.0)])
@pytest.mark.parametrize("mean", [(0.0, 0.0), (200.0, 70.0), (199.999, 0.0), (-30.0, 500.0)])
def test_rectangle_is_a_product_of_error_functions(sigmas: tuple[float, float], mean: tuple[float, float]) -> None:
    x, y = norm(mean[0], sigmas[0]), norm(mean[1], sigmas[1])
    exact = (x.cdf(200) - x.cdf(-100)) * (y.cdf(70) - y.cdf(-50))
    assert p_of(box(-100, -50, 200, 70), mean, np.diag(np.square(sigmas))) == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.3, 1.2, 2.5])
@pytest.mark.parametrize("offset_sigma", [-8.0, -2.0, -1e-9, 0.0, 1e-9, 0.7, 3.0])
def test_half_plane_is_the_normal_distribution(angle: float, offset_sigma: float) -> None:
    cov = turned(300.0, 20.0, angle)
    half_plane = box(-1e6, -1e6, offset_sigma * math.sqrt(cov[0, 0]), 1e6)
    assert p_of(half_plane, (0.0, 0.0), cov) == pytest.approx(norm.cdf(offset_sigma), abs=1e-9)


@pytest.mark.parametrize("radius_sigma", [0.01, 0.5, 1.0, 2.0, 4.0, 9.0])
def test_circle_is_the_rayleigh_distribution(radius_sigma: float) -> None:
    circle = Point(7.0, -3.0).buffer(50.0 * radius_sigma, quad_segs=2000)
    assert p_of(circle, (7.0, -3.0), 2500.0 * np.eye(2)) == pytest.approx(chi2.cdf(radius_sigma**2, 2), abs=1e-6)


def test_correlated_quadrant_matches_the_bivariate_normal() -> None:
    cov = np.array([[900.0, -560.0], [-560.0, 400.0]])
    exact = multivariate_normal([10.0, -5.0], cov).cdf([30.0, 4.0])
    assert p_of(box(-1e5, -1e5, 30.0, 4.0), (10.0, -5.0), cov) == pytest.approx(exact, abs=1e-6)


HARBOUR = Polygon(
    [(0, 0), (900, -100), (1100, 400), (700, 350), (650, 800), (300, 500), (-100, 700)],
    [[(200, 100), (500, 80), (450, 300), (220, 280)]],
)
ISLANDS = MultiPolygon([HARBOUR, box(1500, 0, 1700, 900)])


@pytest.mark.parametrize(
    ("mean", "cov"),
    [
        ((400.0, 200.0), turned(150.0, 60.0, 0.4)),
        ((450.0, 300.0), turned(400.0, 5.0, 1.0)),
        ((1300.0, 300.0), turned(700.0, 300.0, 2.0)),
        ((0.0, 0.0), turned(30.0, 30.0, 0.0)),
    ],
)
def test_brute_force_sampling_agrees(mean: tuple[float, float], cov: Floats) -> None:
    n = 1_000_000
    points = np.random.default_rng(5).multivariate_normal(mean, cov, n)
    share = float(shapely.contains_xy(ISLANDS, points).mean())
    expected = p_of(ISLANDS, mean, cov)
    assert share == pytest.approx(expected, abs=4.0 * math.sqrt(expected * (1.0 - expected) / n))


@st.composite
def stars(draw: st.DrawFn) -> Polygon:
    """A star-shaped polygon around a smaller one that is its hole."""
    n = draw(st.integers(3, 12))
    radii = draw(st.lists(st.floats(120.0, 2000.0), min_size=n, max_size=n))
    angles = np.sort(np.linspace(0.0, 2.0 * math.pi, n, endpoint=False) + draw(st.floats(0.0, 1.0)))
    outer = [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]
    hole = draw(st.floats(0.05, 0.7))
    return Polygon(outer, [[(hole * x, hole * y) for x, y in outer]])


@settings(max_examples=150, deadline=None)
@given(
    stars(),
    st.tuples(st.floats(-2500.0, 2500.0), st.floats(-2500.0, 2500.0)),
    st.floats(0.5, 4000.0),
    st.floats(0.02, 1.0),
    st.floats(0.0, 3.2),
)
def test_any_polygon_with_a_hole(
    shape: Polygon, mean: tuple[float, float], sigma: float, ratio: float, angle: float
) -> None:
    cov = turned(sigma, ratio * sigma, angle)
    assert p_of(shape, mean, cov) == pytest.approx(by_columns(shape, mean, cov), abs=1e-4)


@settings(max_examples=100, deadline=None)
@given(st.floats(-3.0, 3.0), st.floats(0.0, 3.2), st.floats(1e-9, 1e-4))
def test_nearly_singular_covariance_is_the_share_of_a_line(at: float, angle: float, thin: float) -> None:
    """A Gaussian 300 m long and next to nothing wide lies inside a strip as a one-dimensional one does."""
    cov = turned(300.0, 300.0 * thin, angle)
    across = norm(100.0 * at, math.sqrt(cov[0, 0]))
    exact = across.cdf(200.0) - across.cdf(-200.0)
    assert p_of(box(-200.0, -1e5, 200.0, 1e5), (100.0 * at, 40.0), cov) == pytest.approx(exact, abs=1e-4)


def test_singular_covariance_is_a_point() -> None:
    assert p_of(HARBOUR, (100.0, 50.0), np.zeros((2, 2))) == pytest.approx(1.0, abs=1e-9)
    assert p_of(HARBOUR, (300.0, 200.0), np.zeros((2, 2))) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("vertex", [0, 1, 4])
def test_mean_on_a_corner_sees_the_corner_s_angle(vertex: int) -> None:
    corners = np.array(HARBOUR.exterior.coords[:-1])
    here, before, after = corners[vertex], corners[vertex - 1], corners[vertex + 1]
    angle = math.atan2(*(after - here)[::-1]) - math.atan2(*(before - here)[::-1])
    inner = abs((angle + math.pi) % (2.0 * math.pi) - math.pi) / (2.0 * math.pi)
    assert p_of(HARBOUR, (here[0], here[1]), np.eye(2)) == pytest.approx(inner, abs=1e-6)


def test_far_polygon_is_passed_over_and_the_cut_is_not_felt() -> None:
    square = box(0.0, 0.0, 1e4, 1e4)
    assert p_of(square, (-10.0 * FAR_SIGMA, 50.0), np.eye(2)) == 0.0
    assert p_of(square, (-5.0, 5000.0), np.eye(2)) == pytest.approx(norm.cdf(-5.0), abs=1e-9)


def test_direction_of_the_rings_does_not_matter() -> None:
    backwards = Polygon(HARBOUR.exterior.coords[::-1], [HARBOUR.interiors[0].coords[::-1]])
    cov = turned(300.0, 100.0, 0.5)
    assert p_of(backwards, (300.0, 100.0), cov) == pytest.approx(p_of(HARBOUR, (300.0, 100.0), cov), abs=1e-12)


@pytest.mark.parametrize(("mean", "variance"), [(math.nan, 1.0), (0.0, math.nan), (0.0, math.inf)])
def test_what_is_not_finite_has_no_probability(mean: float, variance: float) -> None:
    assert math.isnan(p_of(HARBOUR, (mean, 0.0), np.diag([variance, 1.0])))


def test_a_row_does_not_depend_on_the_other_rows() -> None:
    rng = np.random.default_rng(2)
    mean, cov = rng.normal(500.0, 600.0, (40, 2)), np.stack([turned(*rng.uniform(10, 900, 2), 1.0) for _ in range(40)])
    together = p_inside(mean, cov, *rings([ISLANDS]))[:, 0]
    alone = [p_inside(mean[i : i + 1], cov[i : i + 1], *rings([ISLANDS]))[0, 0] for i in range(40)]
    assert together.tolist() == alone


def test_sight_of_a_box() -> None:
    ring = rings([box(-100.0, 1000.0, 100.0, 1200.0)])
    distance_m, az_from, az_to = sights(0.0, 0.0, *ring)[0]
    assert distance_m == pytest.approx(1000.0)
    assert (az_from, az_to) == pytest.approx((-math.atan(0.1), math.atan(0.1)))
    assert sights(0.0, 1100.0, *ring)[0].tolist() == pytest.approx([0.0, 0.0, 2.0 * math.pi])


@settings(max_examples=100, deadline=None)
@given(stars(), st.floats(-6000.0, 6000.0), st.floats(-6000.0, 6000.0))
def test_sight_agrees_with_shapely(shape: Polygon, east_m: float, north_m: float) -> None:
    solid = Polygon(shape.exterior)
    here = Point(east_m, north_m)
    distance_m, az_from, az_to = sights(east_m, north_m, *rings([solid]))[0]
    assert distance_m == pytest.approx(solid.distance(here), abs=1e-6)
    hull = solid.convex_hull
    if hull.distance(here) > 1.0:
        east, north = (np.array(hull.exterior.coords) - (east_m, north_m)).T
        middle = math.atan2(hull.centroid.x - east_m, hull.centroid.y - north_m)
        sin, cos = math.sin(middle), math.cos(middle)
        off = np.arctan2(east * cos - north * sin, east * sin + north * cos)
        assert az_to - az_from == pytest.approx(off.max() - off.min(), abs=1e-9)
        assert math.remainder(az_from - (middle + off.min()), 2.0 * math.pi) == pytest.approx(0.0, abs=1e-9)


def test_shapes_side_by_side_are_seen_as_each_alone() -> None:
    shapes = [box(-300.0, 500.0, 100.0, 900.0), ISLANDS, MultiPolygon(), box(2e3, 2e3, 3e3, 3e3)]
    mean, cov = np.array([[50.0, 600.0], [2.5e3, 2.1e3]]), np.array([np.diag([4e4, 1e4]), np.diag([9e4, 2e5])])
    together, alone = p_inside(mean, cov, *rings(shapes)), [p_inside(mean, cov, *rings([one]))[:, 0] for one in shapes]
    assert together.T.tolist() == [column.tolist() for column in alone]
    solid = [shapes[0], shapes[1], shapes[3]]
    each = [sights(0.0, 0.0, *rings([one]))[0].tolist() for one in solid]
    assert sights(0.0, 0.0, *rings(solid)).tolist() == each
