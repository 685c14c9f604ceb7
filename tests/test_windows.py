"""What a simulated battery could do: chances by numerical integration, sectors and times by plain geometry."""

from typing import Any

import numpy as np
import pytest
from scipy import integrate, stats

from opencram.defence.debris import densities, people_at_risk, people_under_debris, people_under_rounds
from opencram.defence.windows import (
    LOWEST_BURST_M,
    STEP_S,
    Path,
    Target,
    average,
    curve,
    forbidden,
    mean_chance,
    meetings,
    path_of,
    share_against,
    turning_s,
)
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue, class_index
from opencram.site import Effector
from small_site import START_NS, position, site_of, square

ROCKET = class_index("rocket-107")


def effector(**more: Any) -> Effector:
    return Effector.model_validate({"id": "e", "position": position(0, 0)} | more)


def one_chance(e: Effector, range_m: np.ndarray) -> np.ndarray:
    """By the model's own definition: linear between the points, nothing out of reach, the salvo independent."""
    p = np.interp(range_m, *np.array(e.kill).T)
    p = np.where((range_m >= e.min_range_m) & (range_m <= e.reach_m), p, 0.0)
    return 1.0 - (1.0 - p) ** e.salvo


EFFECTORS = {
    "gun": effector(),
    "far": effector(reach_m=20_000, min_range_m=2_000, kill=((2_000, 0.9), (15_000, 0.7)), kind="missile"),
    "salvo": effector(reach_m=20_000, min_range_m=2_000, kill=((2_000, 0.9), (15_000, 0.5)), salvo=2, kind="missile"),
}


@pytest.mark.parametrize("name", EFFECTORS)
def test_average_chance_is_the_integral(name: str) -> None:
    e = EFFECTORS[name]
    for mean in np.linspace(0.5 * e.min_range_m, 1.2 * e.reach_m, 9).tolist():
        for sigma in (1.0, 60.0, 400.0):
            low, high = max(e.min_range_m, mean - 9 * sigma), min(e.reach_m, mean + 9 * sigma)
            expected = 0.0
            if low < high:
                grid = np.linspace(low, high, 20_001)
                expected = float(integrate.trapezoid(one_chance(e, grid) * stats.norm.pdf(grid, mean, sigma), grid))
            found = average(*curve(e, 1.0), np.array([mean]), np.array([sigma]))[0]
            assert found == pytest.approx(expected, abs=1e-3), (mean, sigma)


@pytest.mark.parametrize("sigma_m", [5.0, 60.0, 200.0])
def test_chance_over_the_place_is_that_of_many_places(sigma_m: float) -> None:
    """A slanting, uneven cloud of places, high enough over the ground: a hundred thousand of them, counted."""
    rng = np.random.default_rng(1)
    turn = stats.special_ortho_group.rvs(3, random_state=2)
    cov = turn @ np.diag([sigma_m**2, (0.5 * sigma_m) ** 2, (0.2 * sigma_m) ** 2]) @ turn.T
    for place in ((1_200.0, 0.0, 700.0), (1_600.0, 800.0, 900.0), (300.0, 200.0, 900.0)):
        points = rng.multivariate_normal(place, cov, 100_000)
        ranges = np.linalg.norm(points, axis=1)
        expected = float(np.mean(np.where(points[:, 2] > LOWEST_BURST_M, one_chance(EFFECTORS["gun"], ranges), 0.0)))
        path = Path(np.array([place]), cov[None])
        assert mean_chance(EFFECTORS["gun"], np.zeros(3), path, 1.0)[0] == pytest.approx(expected, abs=5e-3)


def test_nothing_near_the_ground() -> None:
    path = Path(np.array([[800.0, 0.0, 25.0], [800.0, 0.0, 35.0]]), np.full((2, 1, 1), 1.0) * np.eye(3))
    low, high = mean_chance(EFFECTORS["gun"], np.zeros(3), path, 1.0).tolist()
    assert low < 1e-5
    assert high == pytest.approx(0.6, abs=1e-3)


def test_path_and_its_covariance_are_those_of_many_flights() -> None:
    """Two thousand states drawn from the track's, each flown: the same mean and spread after 5 and 10 s."""
    site = site_of([square("base", 0, 0)])
    layout, rng = layout_of(site), np.random.default_rng(3)
    mean = np.array([-3500.0, 0.0, 1300.0, 230.0, 10.0, -40.0, 9.2])
    half = 0.2 * rng.standard_normal((7, 7))
    sigma = np.array([10.0, 10.0, 15.0, 4.0, 4.0, 4.0, 0.15])
    corr = half @ half.T + np.eye(7)
    corr /= np.sqrt(np.outer(np.diag(corr), np.diag(corr)))
    cov = corr * np.outer(sigma, sigma)
    path = path_of(Target(START_NS, mean, cov, True, ROCKET), START_NS, 40, layout)
    states = rng.multivariate_normal(mean, cov, 2_000)
    flown = np.array(
        [path_of(Target(START_NS, s, cov, True, ROCKET), START_NS, 40, layout).pos_enu_m[[20, 40]] for s in states]
    )
    for k, step in enumerate((20, 40)):
        spread = np.cov(flown[:, k].T)
        assert np.abs(flown[:, k].mean(axis=0) - path.pos_enu_m[step]).max() < 6.0
        assert np.sqrt(np.diag(path.cov_m2[step])) == pytest.approx(np.sqrt(np.diag(spread)), rel=0.12)


def test_what_may_turn_is_less_known_the_later() -> None:
    layout = layout_of(site_of([square("base", 0, 0)]))
    drone = Target(START_NS, np.array([0.0, 0, 300, 40, 0, 0, 9]), np.diag([1.0] * 7), False, class_index("drone"))
    path = path_of(drone, START_NS, 40, layout)
    assert path.pos_enu_m[40] == pytest.approx([400.0, 0.0, 300.0])
    assert path.cov_m2[40, 1, 1] == pytest.approx(1.0 + 10.0**2 + (0.5 * 10.0**2) ** 2)


def test_share_is_that_of_the_class_else_of_its_family() -> None:
    e = effector(against={"rocket": 0.5, "rocket-122": 0.25})
    names = ("rocket-107", "rocket-122", "mortar-60")
    assert [share_against(e, class_index(n)) for n in names] == [0.5, 0.25, 1.0]
    assert share_against(e, -1) == 1.0


def test_sectors_are_what_their_edges_say() -> None:
    points = np.array([[100.0, 0, 0], [0, 100.0, 0], [-100.0, 0, 0], [0, -100.0, 0], [-5.0, 100.0, 0], [100.0, 0, 100]])
    through_north = effector(no_fire=({"azimuth_from_deg": 350, "azimuth_to_deg": 10},))
    low_east = effector(no_fire=({"azimuth_from_deg": 45, "azimuth_to_deg": 135, "max_elevation_deg": 20},))
    both = effector(no_fire=(*through_north.no_fire, *low_east.no_fire))
    found = [forbidden(e.no_fire, np.zeros(3), points).tolist() for e in (through_north, low_east, both)]
    assert found[0] == [False, True, False, False, True, False]
    assert found[1] == [True, False, False, False, False, False]
    assert found[2] == [a or b for a, b in zip(found[0], found[1], strict=True)]
    assert not forbidden((), np.zeros(3), points).any()


def test_a_meeting_is_the_first_step_at_which_the_effector_is_there() -> None:
    """By trying each step, with and without a turn."""
    e = effector(reaction_s=2.0, flight_speed_mps=500.0, slew_dps=45.0)
    pos = np.column_stack([np.linspace(-3_000, 1_000, 80), np.full(80, 300.0), np.linspace(1_500, 200, 80)])
    path = Path(pos, np.zeros((80, 3, 3)))
    ranges = np.linalg.norm(pos, axis=1)
    for last in (None, np.array([2_000.0, 0.0, 500.0])):
        turn = turning_s(e, np.zeros(3), last, path)
        needs = 2.0 + ranges / 500.0 + turn
        for step, met in enumerate(meetings(e, ranges, turn)):
            there = [k for k in range(80) if (k - step) * STEP_S >= needs[k]]
            assert met == there[0]
    angle = np.degrees(np.arccos(pos[0] @ [2_000.0, 0, 500.0] / ranges[0] / np.hypot(2_000.0, 500.0)))
    assert turning_s(e, np.zeros(3), np.array([2_000.0, 0.0, 500.0]), path)[0] == pytest.approx(angle / 45.0)
    assert not turning_s(effector(), np.zeros(3), np.array([2_000.0, 0.0, 500.0]), path).any()


# ---- people -------------------------------------------------------------------------------------------------------


def test_people_are_counted_by_area() -> None:
    site = site_of([square("a", 0, 0, 500, people=1_000), square("b", 3_000, 0, 100, people=2)])
    assert densities(site) == pytest.approx([1_000 / 1e6, 2 / 4e4], rel=1e-3)
    radius = catalogue()["rocket-107"].hazard_radius_m
    at_risk = people_at_risk(site, ROCKET)
    assert at_risk == pytest.approx([1e-3 * np.pi * radius**2, 2 / 4e4 * np.pi * radius**2], rel=1e-3)


def test_people_under_debris_are_those_of_many_pieces_over_a_wide_crowd() -> None:
    """A crowd wider than all pieces scatter: each piece endangers the density times its hazard area."""
    site = site_of([square("crowd", 0, 0, 8_000, people=256_000)])
    hazard_m2 = np.pi * catalogue()["fragment"].hazard_radius_m ** 2
    burst = np.array([-500.0, 0.0, 800.0, 200.0, 0.0, -60.0])
    assert people_under_debris(burst, 4, site) == pytest.approx(4 * 1e-3 * hazard_m2, rel=0.01)
    assert people_under_debris(burst, 4, site_of([square("empty", 0, 0, 8_000)])) == 0.0


def test_people_under_rounds_lie_beyond_where_they_should_have_destroyed_themselves() -> None:
    gun = effector(rounds=100, dud_share=0.02)
    site = site_of([square("beyond", 4_500, 0, 3_000, people=36_000)])
    density, area = 36_000 / 36e6, np.pi * 2.0**2
    east, west = (people_under_rounds(gun, np.zeros(3), np.array([e, 0.0, 500.0]), site) for e in (1_000.0, -1_000.0))
    assert east == pytest.approx(2.0 * area * density, rel=0.01)
    assert west == 0.0
