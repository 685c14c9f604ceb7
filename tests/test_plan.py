"""What a budget should buy: against the enumeration of all sets, and from a file of candidates to the written site."""

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opencram.check import check_file
from opencram.errors import InputError
from opencram.planning.candidates import Choice, load_candidates, with_choice
from opencram.planning.choose import Problem, Sector, benefit_of
from opencram.planning.plan import Plan, alike, make_plan
from opencram.report.plan_page import names_of, sentences, write_plan
from opencram.site import Site, load_site
from small_site import RADAR, lonlat, position

EXAMPLE = Path(__file__).parent.parent / "examples" / "plans" / "baghdad.yaml"
BLIND = {"min_range_m": 1.0, "max_range_m": 2.0}


# ---- the choice --------------------------------------------------------------------------------------------------


def sectors(rng: np.random.Generator, sensors: int, sirens: int) -> list[Sector]:
    """Three made-up zones; half of what might be seen or heard is not."""
    made = []
    for _ in range(3):
        lead = rng.uniform(0.0, 40.0, (6, sensors + 1)) * (rng.random((6, sensors + 1)) < 0.5)
        late = np.where(rng.random((4, sirens + 1)) < 0.5, rng.uniform(0.0, 5.0, (4, sirens + 1)), np.inf)
        lead[:, -1] *= rng.random() < 0.5
        shots, shares = rng.dirichlet(np.ones(6)), rng.dirichlet(np.ones(4))
        made.append(Sector(float(rng.integers(1, 1_000)), 20.0, lead, shots, late, shares))
    return made


def worth_by_hand(zones: Sequence[Sector], sensors: Sequence[int], sirens: Sequence[int]) -> float:
    """The benefit by loops over every zone, part, shot, radar and siren."""
    total = 0.0
    for zone in zones:
        radars, horns = (*sensors, zone.lead_s.shape[1] - 1), (*sirens, zone.late_s.shape[1] - 1)
        for part, share in enumerate(zone.shares):
            for shot, often in enumerate(zone.shots):
                left = max(zone.lead_s[shot, k] - zone.late_s[part, r] for k in radars for r in horns)
                total += zone.people * share * often * min(max(left, 0.0), zone.shelter_s)
    return total


@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_the_best_of_all_sets(seed: int) -> None:
    rng = np.random.default_rng(seed)
    zones = sectors(rng, 4, 4)
    costs = rng.integers(1, 10, 8).astype(float)
    problem = Problem(zones, costs[:4], costs[4:])
    sets = [
        (
            costs[list(chosen)].sum(),
            worth_by_hand(zones, [i for i in chosen if i < 4], [i - 4 for i in chosen if i > 3]),
        )
        for n in range(9)
        for chosen in itertools.combinations(range(8), n)
    ]
    for budget in (0.0, 6.0, 15.0, 100.0):
        found = problem.best(budget)
        spent = costs[list(found.choice.sensors)].sum() + costs[[4 + i for i in found.choice.sirens]].sum()
        assert found.proved
        assert spent <= budget
        assert found.benefit == pytest.approx(max(worth for cost, worth in sets if cost <= budget), rel=1e-6)
        assert found.benefit == pytest.approx(worth_by_hand(zones, found.choice.sensors, found.choice.sirens))


def test_what_adds_nothing_is_not_bought() -> None:
    lead = np.array([[10.0, 10.0, 0.0]])
    zone = Sector(10.0, 5.0, lead, np.ones(1), np.array([[1.0, np.inf]]), np.ones(1))
    found = Problem([zone], np.array([3.0, 2.0]), np.array([1.0])).best(100.0)
    assert found.choice.sensors == (1,)
    assert found.choice.sirens == (0,)
    assert found.benefit == 50.0


def test_groups_keep_the_mean_and_what_never_comes() -> None:
    rng = np.random.default_rng(0)
    rows = np.where(rng.random((300, 3)) < 0.3, np.inf, rng.uniform(0.0, 20.0, (300, 3)).round())
    weights = rng.random(300)
    means, shares = alike(rows, weights, 300)
    assert shares.sum() == pytest.approx(1.0)
    known = np.isfinite(means)
    for k in range(3):
        never = weights[~np.isfinite(rows[:, k])].sum() / weights.sum()
        assert shares[~known[:, k]].sum() == pytest.approx(never)
        mean = np.average(np.where(np.isfinite(rows[:, k]), rows[:, k], 0.0), weights=weights)
        assert (shares * np.where(known[:, k], means[:, k], 0.0)).sum() == pytest.approx(mean)
    assert len(alike(rows, weights, 7)[1]) == 7
    assert alike(np.full((9, 2), 3.0), np.ones(9), 5)[0].tolist() == [[3.0, 3.0]]


# ---- a whole plan ------------------------------------------------------------------------------------------------


def write_site(folder: Path, **more: Any) -> Site:
    """A town of two places, with a radar that sees nothing."""
    features = []
    for name, east, people in (("west", -1_500.0, 1_000), ("east", 1_500.0, 4_000)):
        corners = [(-300, -300), (300, -300), (300, 300), (-300, 300), (-300, -300)]
        ring = [lonlat(east + e, n) for e, n in corners]
        told = {"id": name, "people": people, "time_to_shelter_s": 12}
        features.append({"type": "Feature", "properties": told, "geometry": {"type": "Polygon", "coordinates": [ring]}})
    (folder / "zones.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}), "utf-8")
    site = {
        "name": "town",
        "origin": position(0.0, 0.0),
        "zones": "zones.geojson",
        "sensors": [{**RADAR, "id": "old", "coverage": BLIND}],
        **more,
    }
    (folder / "town.yaml").write_text(json.dumps(site), "utf-8")
    return load_site(folder / "town.yaml")


def candidates_text(**more: Any) -> str:
    sirens = [
        {"id": "horn-west", "position": position(-1_500.0, 0.0), "zones": ["west"], "audible_m": 600, "cost": 2},
        {"id": "horn-east", "position": position(1_500.0, 0.0), "zones": ["east"], "audible_m": 600, "cost": 2},
        {"id": "horn-far", "position": position(9_000.0, 0.0), "zones": ["east"], "audible_m": 600, "cost": 1},
    ]
    sensors = [
        {**RADAR, "id": "good", "cost": 10},
        {**RADAR, "id": "poor", "cost": 3, "coverage": {"min_range_m": 100, "max_range_m": 1_500}},
    ]
    return json.dumps({"sensors": sensors, "sirens": sirens, **more})


def planned(folder: Path, budget: float, **more: Any) -> Plan:
    site = write_site(folder)
    (folder / "c.yaml").write_text(candidates_text(**more), "utf-8")
    return make_plan(site, load_candidates(folder / "c.yaml", site), budget, ("rocket-107",))


def test_money_buys_the_radar_with_the_siren_of_the_many(tmp_path: Path) -> None:
    plan = planned(tmp_path, 12.0)
    assert names_of(plan.candidates, plan.chosen.choice) == ["good", "horn-east"]
    assert plan.chosen.cost == 12.0
    gains = {gain.zone: gain for gain in plan.zones}
    assert gains["east"].before_s == gains["west"].with_s == 0.0
    assert gains["east"].with_s > 5.0
    assert plan.with_s == pytest.approx(0.8 * gains["east"].with_s)
    # one radar and one siren: nothing is left out of the reckoning by the choice but its steps
    assert plan.chosen.benefit_s == pytest.approx(plan.with_s, abs=0.5)
    assert plan.after[0].id == "horn-west"
    assert "The next unit of money buys most as horn-west" in " ".join(sentences(plan))
    useful = [point.benefit_s for point in plan.curve]
    assert useful == sorted(useful)
    assert all(point.cost <= point.budget for point in plan.curve)
    assert not any("horn-far" in names_of(plan.candidates, point.choice) for point in plan.curve)


def test_the_written_site_is_one_that_check_accepts_and_has_what_was_bought(tmp_path: Path) -> None:
    plan = planned(tmp_path, 12.0)
    paths = write_plan(plan, str(tmp_path / "town.yaml"), tmp_path / "out")
    assert {path.name for path in paths} >= {"site.yaml", "zones.geojson", "curve.csv", "trade-off.png", "plan.html"}
    assert "2 zones and 2 sensors" in check_file(tmp_path / "out" / "site.yaml")
    site = load_site(tmp_path / "out" / "site.yaml")
    assert [sensor.id for sensor in site.sensors] == ["old", "good"]
    assert [siren.id for siren in site.sirens] == ["horn-east"]
    assert site.sensors[1].model_dump() == plan.result.sensors[1].model_dump(exclude={"cost"})
    assert site.sirens[0].model_dump() == plan.result.sirens[0].model_dump(exclude={"cost"})


def test_in_place_of_the_site_s_own_radars_some_radar_must_be_bought(tmp_path: Path) -> None:
    plan = planned(tmp_path, 12.0, keep_sensors=False)
    write_plan(plan, str(tmp_path / "town.yaml"), tmp_path / "out")
    assert [sensor.id for sensor in load_site(tmp_path / "out" / "site.yaml").sensors] == ["good"]
    with pytest.raises(InputError, match=r"--budget: found 1, with which no radar is bought.*expected 3 or more"):
        planned(tmp_path, 1.0, keep_sensors=False)


def test_a_plan_is_the_same_each_time(tmp_path: Path) -> None:
    first, again = planned(tmp_path, 13.0), planned(tmp_path, 13.0)
    assert first.curve == again.curve
    assert (first.with_s, first.after) == (again.with_s, again.after)


# ---- the file ----------------------------------------------------------------------------------------------------


def test_the_example_is_one_of_the_built_in_site() -> None:
    site = load_site("baghdad-embassy")
    found = load_candidates(EXAMPLE, site)
    every = Choice(tuple(range(len(found.sensors))), tuple(range(len(found.sirens))))
    assert len(with_choice(site, found, every).sensors) == len(found.sensors)
    assert len(with_choice(site, found, every).sirens) == len(site.sirens) + len(found.sirens)


def test_what_has_no_height_stands_on_the_ground(tmp_path: Path) -> None:
    site = write_site(tmp_path, origin={**position(0.0, 0.0), "height_m": 120.0})
    (tmp_path / "c.yaml").write_text(candidates_text(), "utf-8")
    assert {s.position.height_m for s in load_candidates(tmp_path / "c.yaml", site).sensors} == {120.0}


def bad(key: str, row: int, **change: Any) -> str:
    data = json.loads(candidates_text())
    data[key][row] |= change
    return json.dumps({name: value for name, value in data.items() if value is not None})


FAULTS = {
    "sensors: []": "found no candidates, expected sensors, sirens or both",
    "radars: []": "found an unknown key, expected one of sensors, sirens, keep_sensors, keep_sirens, unit",
    bad("sensors", 0, cost=-1): "sensors[0].cost: found -1, expected a number greater than or equal to 0",
    bad("sensors", 0, cost=None): "sensors[0].cost: found nothing, expected",
    bad("sensors", 1, id="good"): "sensors[0].id: found the id 'good', which another has, expected one of its own",
    bad("sensors", 1, id="old"): "sensors[1].id: found the id 'old', which another has, expected one of its own",
    bad("sirens", 0, zones=["wset"]): "sirens[0].zones[0]: found the zone 'wset', which is not there, expected 'west'",
    bad("sirens", 0, position={"lat": 10.0, "lon": 10.0}): "expected at most 100 km",
    bad("sensors", 0, position={**position(0.0, 0.0), "height_m": -5}): "found -5, which is under ground, expected 0",
    bad("sirens", 0, position="here"): "sirens[0].position: found 'here', expected keys and values",
    "sirens: 7": "sirens: found 7, expected a list",
    "- one": "expected keys and values",
}


@pytest.mark.parametrize("text", FAULTS, ids=range(len(FAULTS)))
def test_what_is_wrong_with_candidates_is_one_sentence(text: str, tmp_path: Path) -> None:
    site = write_site(tmp_path)
    (tmp_path / "c.yaml").write_text(text, "utf-8")
    with pytest.raises(InputError) as told:
        load_candidates(tmp_path / "c.yaml", site)
    sentence = str(told.value)
    assert FAULTS[text] in sentence
    assert sentence.startswith(f"{tmp_path / 'c.yaml'}")
    assert "\n" not in sentence


def test_without_people_there_is_nothing_to_weigh(tmp_path: Path) -> None:
    site = write_site(tmp_path)
    zones = tuple(zone.model_copy(update={"people": 0}) for zone in site.zones)
    (tmp_path / "c.yaml").write_text(candidates_text(), "utf-8")
    found = load_candidates(tmp_path / "c.yaml", site)
    with pytest.raises(InputError, match="found no people in any zone"):
        make_plan(site.model_copy(update={"zones": zones}), found, 5.0, ("rocket-107",))


def test_a_benefit_counts_only_what_is_bought() -> None:
    zone = sectors(np.random.default_rng(1), 2, 2)[0]
    none, every = np.zeros(2, bool), np.ones(2, bool)
    assert benefit_of([zone], none, none) == pytest.approx(worth_by_hand([zone], (), ()))
    assert benefit_of([zone], every, none) == pytest.approx(worth_by_hand([zone], (0, 1), ()))
