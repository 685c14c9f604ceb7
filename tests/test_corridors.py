"""Corridors: what is one's own against shapely's geometry, who loses it and when, and what a bad one is told."""

from typing import Any

import numpy as np
import pytest
import shapely

from opencram.errors import InputError
from opencram.physics.corridors import Own, lane_at, lanes_of, still_own
from opencram.physics.frames import enu_to_geodetic
from opencram.physics.layout import layout_of
from opencram.physics.threats import class_index
from opencram.site import Site, site_from_documents
from opencram.stages.impacts_to_threats import ThreatsState, impacts_to_threats
from opencram.tables import CONFIRMED, OTHER, Hypotheses, Impacts, Tracks
from world_site import LAT, LON, make_site

START_NS, NS = 1_700_000_000_000_000_000, 1_000_000_000
BEND = [{"lat": LAT + 0.03, "lon": LON}, {"lat": LAT + 0.03, "lon": LON + 0.02}, {"lat": LAT + 0.04, "lon": LON + 0.03}]
LANE: dict[str, Any] = {"id": "lane", "path": BEND, "width_m": 300, "floor_m": 20, "ceiling_m": 200}
SLOW = np.array([0.0, -12.0, 0.0])


def site_with(*corridors: dict[str, Any]) -> Site:
    import json

    documents = make_site().documents()
    site = json.loads(documents["site.yaml"]) | {"corridors": list(corridors)}
    return site_from_documents({**documents, "site.yaml": json.dumps(site)})


def test_a_point_is_inside_where_shapely_says_so() -> None:
    site = site_with(LANE, LANE | {"id": "pad", "path": BEND[:1], "width_m": 2000})
    rng = np.random.default_rng(5)
    points = rng.uniform([-1500.0, 2000.0], [4500.0, 6000.0], (2_000, 2))
    for lane, width_m in zip(lanes_of(site), (300.0, 2000.0), strict=True):
        middle = lane.middle_enu_m
        shape = (shapely.LineString(middle) if len(middle) > 1 else shapely.Point(middle[0])).buffer(width_m / 2, 64)
        edge_m = np.array([shape.boundary.distance(shapely.Point(p)) for p in points])
        inside = np.array([shape.covers(shapely.Point(p)) for p in points])
        found = np.array([lane.holds(*p.tolist(), 100.0) for p in points])
        # a round end is a polygon to shapely
        assert (found == inside)[edge_m > 1.0].all()
        assert 20 < inside.sum() < 1_900


def test_the_middle_lies_where_the_degrees_say() -> None:
    site = site_with(LANE)
    east, north = lanes_of(site)[0].middle_enu_m[1]
    lat, lon, _ = enu_to_geodetic(np.array([east, north, 0.0]), layout_of(site).origin)
    assert np.degrees([lat, lon]) == pytest.approx([LAT + 0.03, LON + 0.02], abs=1e-6)


@pytest.mark.parametrize(("up_m", "inside"), [(19.0, False), (21.0, True), (199.0, True), (202.0, False)])
def test_it_has_a_floor_and_a_ceiling(up_m: float, inside: bool) -> None:
    site = site_with(LANE)
    middle = lanes_of(site)[0].middle_enu_m[0]
    assert (lane_at(site, np.array([*middle, up_m])) is not None) == inside


# ---- whose it is --------------------------------------------------------------------------------------------------


def follow(steps: list[tuple[float, float, tuple[float, float, float]]], site: Site) -> list[bool]:
    """Whether it is held for one's own after each step: seconds, metres off the lane's middle, velocity."""
    own: Own | None = None
    said = []
    for seconds, off_m, velocity in steps:
        east, north = lanes_of(site)[0].middle_enu_m[0]
        mean = np.array([east + 500.0, north + off_m, 100.0])
        own = still_own(own, START_NS + round(seconds * NS), mean, np.array(velocity), site)
        said.append(own.yes)
    return said


def test_what_stays_inside_is_own_and_what_leaves_is_not_after_the_stated_time() -> None:
    site = site_with(LANE | {"grace_s": 5})
    fly = (12.0, 0.0, 0.0)
    assert follow([(0, 0, fly), (10, 140, fly), (20, 100, fly)], site) == [True, True, True]
    out = [(0.0, 0.0, fly), (10.0, 0.0, fly), (12.0, 400.0, fly), (15.0, 400.0, fly), (15.1, 400.0, fly)]
    assert follow(out, site) == [True, True, True, True, False]
    # going back in does not clear it, but a short stray does no harm
    assert follow([*out, (16.0, 0.0, fly), (30.0, 0.0, fly)], site)[-2:] == [False, False]
    assert follow([*out[:4], (14.9, 0.0, fly), (18.0, 0.0, fly)], site)[-1]


def test_what_comes_in_from_outside_is_never_own() -> None:
    fly = (12.0, 0.0, 0.0)
    assert follow([(0, 400, fly), (10, 0, fly), (30, 0, fly)], site_with(LANE)) == [False, False, False]


def test_what_is_fast_or_dives_inside_is_not_own() -> None:
    site = site_with(LANE | {"max_speed_mps": 25})
    for velocity in ((46.0, 0.0, 0.0), (12.0, 0.0, -8.0)):
        # its first velocity says nothing yet; then the grace runs out
        assert follow([(0, 0, velocity), (2, 0, velocity), (9, 0, velocity)], site) == [True, True, False]


def test_without_corridors_nothing_is_own() -> None:
    assert not still_own(None, START_NS, np.array([0.0, 3000.0, 100.0]), SLOW, make_site()).yes


def straight_on(site: Site, north_m: float, speed_mps: float) -> int:
    """How many threats stand after a quadcopter has flown west along a line for 40 s at this speed."""
    state = ThreatsState()
    for k in range(41):
        mean = np.array([[1_500.0 - speed_mps * k, north_m, 100.0, -speed_mps, 0.0, 0.0, 8.5]])
        cov = np.diag([9.0, 9.0, 9.0, 1.0, 1.0, 1.0, 0.04])[None]
        row = {"status": CONFIRMED, "model": OTHER, "n_plots": 50, "existence": 1.0, "p_ballistic": 0.0, "plot": 0}
        now_ns = START_NS + k * NS
        row |= {"time_ns": now_ns, "track": 1, "cls": class_index("quadcopter"), "born_ns": START_NS, "debris": False}
        tracks = Tracks(**{name: np.array([value]) for name, value in row.items()}, mean=mean, cov=cov)
        threats = impacts_to_threats(state, tracks, Hypotheses.empty(), Impacts.empty(), (), (), now_ns, site)
    return len(threats)


def test_own_drones_threaten_nothing_and_others_do() -> None:
    site = site_with(LANE)
    north_m = float(lanes_of(site)[0].middle_enu_m[0, 1])
    assert straight_on(site, north_m, 15.0) == 0
    assert straight_on(make_site(), north_m, 15.0) > 0
    assert straight_on(site, north_m + 400.0, 15.0) > 0


# ---- what a bad one is told ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"floor_m": 300}, "found floor_m 300 and ceiling_m 200, expected floor_m below ceiling_m"),
        ({"width_m": 0}, "width_m"),
        ({"path": []}, "path"),
        ({"path": [{"lat": LAT, "lon": LON + 3.0}]}, "found a point 279 km from the site's origin"),
        ({"pilots": 2}, "pilots"),
        ({"max_speed_mps": "25"}, "found '25', expected a number"),
    ],
)
def test_a_bad_corridor_is_told_in_one_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        site_with(LANE | changes)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_two_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="found the id 'lane' 2 times, expected it once"):
        site_with(LANE, LANE)
