"""Points of a study against itertools, SciPy's distributions and what a Latin hypercube and Sobol's points promise."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from opencram.drive.study.cases import Plan
from opencram.drive.study.points import points_of, unit_cube
from opencram.drive.study.spec import load_study
from opencram.site import site_from_documents
from opencram.world.scenario import scenario_from_documents
from study_rows import STUDY

SAMPLED = """
vary:
  detection: {path: site.sensors.surveillance-radar.detection, uniform: {least: 0.5, most: 0.9}}
  wind: {path: scenario.weather.wind_mps, normal: {mean: 5, sigma: 3, least: 0, most: 12}}
  magazine: {path: site.effectors.battery-north.magazine, choice: [2, 4, 8], weights: [1, 2, 1]}
"""


def plan(tmp_path: Path, text: str, runs: int | None = None) -> Plan:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY + text, encoding="utf-8")
    return Plan(load_study(path), runs)


def labels(found: Plan) -> list[dict[str, Any]]:
    return [{name: level.label for name, level in point.items()} for point in points_of(found.study)]


def test_a_grid_is_every_value_with_every_other(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        """
vary:
  magazine: {path: site.effectors.battery-north.magazine, values: [2, 4, 8]}
  wind: {path: scenario.weather.wind_mps, values: [0, 2.5]}
  gun:
    path: [site.effectors.battery-north.kill, site.effectors.battery-south.kill]
    values: {weak: [[1000, 0.2]], strong: [[1000, 0.9]]}
""",
    )
    expected = list(itertools.product([2, 4, 8], [0.0, 2.5], ["weak", "strong"]))
    assert [tuple(point.values()) for point in labels(found)] == expected
    site = site_from_documents(found.documents(found.cases[-1]))
    assert [battery.kill for battery in site.effectors] == [((1000.0, 0.9),)] * 2
    assert [battery.magazine for battery in site.effectors] == [8, 8]  # the second as its file has it


def test_a_grid_of_nothing_is_one_point(tmp_path: Path) -> None:
    assert labels(plan(tmp_path, "")) == [{}]


@pytest.mark.parametrize("method", ["latin-hypercube", "sobol"])
def test_every_parameter_has_a_draw_in_each_of_as_many_equal_parts(method: str) -> None:
    """Both designs promise it, each in every dimension: SciPy's own documentation of qmc."""
    unit = unit_cube(method, 5, 64, 3)
    for column in unit.T:
        assert sorted(np.floor(column * 64).astype(int).tolist()) == list(range(64))
    assert stats.qmc.discrepancy(unit) < stats.qmc.discrepancy(np.random.default_rng(0).random((64, 5)))
    assert np.array_equal(unit, unit_cube(method, 5, 64, 3))
    assert not np.array_equal(unit, unit_cube(method, 5, 64, 4))


def test_draws_have_their_distributions(tmp_path: Path) -> None:
    """Undone by SciPy's distribution functions, they are the unit cube again."""
    found = plan(tmp_path, SAMPLED + "sample: {points: 200}")
    rows = labels(found)
    unit = unit_cube("latin-hypercube", 3, 200, 0)
    detection, wind = (np.array([row[name] for row in rows]) for name in ("detection", "wind"))
    assert np.allclose(stats.uniform.cdf(detection, 0.5, 0.4), unit[:, 0], atol=1e-5)
    bell = stats.truncnorm((0 - 5) / 3, (12 - 5) / 3, loc=5, scale=3)
    assert np.allclose(bell.cdf(wind), unit[:, 1], atol=1e-5)
    assert Counter(row["magazine"] for row in rows) == {2: 50, 4: 100, 8: 50}
    assert stats.kstest(wind, bell.cdf).pvalue > 0.05


def test_a_drawn_value_is_the_one_that_is_run(tmp_path: Path) -> None:
    found = plan(tmp_path, SAMPLED + "sample: {points: 16, method: sobol}")
    case = found.cases[5]
    documents = found.documents(case)
    site, scenario = site_from_documents(documents), scenario_from_documents(documents)
    radar = next(sensor for sensor in site.sensors if sensor.id == "surveillance-radar")
    assert radar.detection == case.levels["detection"].label
    assert scenario.weather.wind_mps.value == case.levels["wind"].label
    assert scenario.weather.wind_mps.why == "set by the study"


def test_swept_and_drawn_parameters_meet(tmp_path: Path) -> None:
    hold = "  hold: {path: site.policy.hold_s, values: [2, 5]}\n"
    rows = labels(plan(tmp_path, SAMPLED + hold + "sample: {points: 8}"))
    assert list(rows[0]) == ["detection", "wind", "magazine", "hold"]
    assert [row["hold"] for row in rows] == [2] * 8 + [5] * 8
    assert [row["wind"] for row in rows[:8]] == [row["wind"] for row in rows[8:]]


def test_a_parameter_of_what_a_variant_lacks_changes_nothing_there(tmp_path: Path) -> None:
    third = "{id: third, position: {lat: 33.28, lon: 44.42, height_m: 50}, update_s: 1, range_sigma_m: 30, "
    found = plan(
        tmp_path,
        f"""
vary:
  magazine: {{path: site.effectors.battery-north.magazine, values: [3]}}
  looks: {{path: site.sensors.third.update_s, values: [0.5]}}
variants:
  - {{name: bare, remove: [site.effectors]}}
  - name: more
    add: {{site.sensors: [{third} azimuth_sigma_mrad: 4, elevation_sigma_mrad: 5}}]}}
""",
    )
    found.check()
    bare, more = (site_from_documents(found.documents(case)) for case in found.cases)
    assert (len(bare.effectors), len(bare.sensors)) == (0, 2)
    assert (more.effectors[0].magazine, more.sensors[2].update_s) == (3, 0.5)


def test_cases_are_numbered_by_scenario_point_and_variant_and_share_their_seeds(tmp_path: Path) -> None:
    found = plan(
        tmp_path,
        """
vary: {hold: {path: site.policy.hold_s, values: [2, 5]}}
variants: [{name: a}, {name: b, remove: [site.effectors]}]
first_seed: 7
""",
    )
    assert [(c.number, c.group, c.point, c.variant) for c in found.cases] == [
        (0, 0, 0, "a"),
        (1, 0, 0, "b"),
        (2, 1, 1, "a"),
        (3, 1, 1, "b"),
    ]
    assert [found.seed(k) for k in range(3)] == [7, 8, 9]
    assert not site_from_documents(found.documents(found.cases[1])).effectors
