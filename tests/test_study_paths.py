"""Changes by dotted paths: what becomes of a scenario and a site, and the sentence for what cannot be done."""

from pathlib import Path
from typing import Any

import pytest

from opencram.drive.study.cases import Plan, staged
from opencram.drive.study.spec import load_study
from opencram.errors import InputError
from opencram.site import Site, load_site
from opencram.world.scenario import Scenario, load_scenario
from opencram.yamlfile import read_yaml
from study_rows import STUDY

THIRD = (
    "{id: third, position: {lat: 33.28, lon: 44.42, height_m: 50}, update_s: 1, range_sigma_m: 30, "
    "azimuth_sigma_mrad: 4, elevation_sigma_mrad: 5}"
)


def changed(tmp_path: Path, variant: str) -> tuple[Scenario, Site]:
    path = tmp_path / "study.yaml"
    path.write_text(f"{STUDY}variants:\n  - name: changed\n{variant}", encoding="utf-8")
    plan = Plan(load_study(path), None)
    plan.check()
    return staged(plan.documents(plan.cases[0]))


def dumped(model: Any, **left_out: Any) -> Any:
    return model.model_dump(exclude=left_out or None, warnings=False)


def test_what_is_not_changed_is_what_the_files_say(tmp_path: Path) -> None:
    scenario, site = changed(tmp_path, "    set: {site.policy.hold_s: 6, scenario.weather.wind_mps: 8}\n")
    own, there = load_scenario("baghdad-2021-12-19"), load_site("baghdad-embassy")
    assert dumped(scenario, weather=True) == dumped(own, weather=True)
    assert dumped(site, policy=True) == dumped(there, policy=True)
    assert (site.policy.hold_s, there.policy.hold_s) == (6.0, 5.0)
    assert site.policy.model_copy(update={"hold_s": 5.0}) == there.policy
    assert (scenario.weather.wind_mps.assumed, scenario.weather.wind_from_deg) == (8.0, own.weather.wind_from_deg)


def test_items_are_named_by_their_ids_and_parts_of_marked_values_by_their_keys(tmp_path: Path) -> None:
    scenario, site = changed(
        tmp_path,
        """
    set:
      site.sirens.siren-karrada.position.lat: 33.31
      site.sensors.counter-mortar-radar.coverage.max_range_m: 9000
      site.zones.embassy.time_to_shelter_s: 4
      scenario.groups.rockets.threat: rocket-122
      scenario.groups.rockets.spacing_s.most: 9
      scenario.groups.rockets.aims.1.at.lat: 33.305
      scenario.groups.rockets.drag_sigma: 0.2
""",
    )
    assert next(s for s in site.sirens if s.id == "siren-karrada").position.lat == 33.31
    assert site.sensors[0].coverage.max_range_m == 9000.0
    assert next(z for z in site.zones if z.id == "embassy").time_to_shelter_s == 4.0
    rockets = scenario.groups[0]
    assert rockets.threat.value == "rocket-122"
    assert (rockets.spacing_s.value.least, rockets.spacing_s.value.most) == (0.6, 9.0)
    assert rockets.aims[1].at.value.lat == 33.305
    assert rockets.drag_sigma.value == 0.2  # which the file leaves out


def test_a_part_of_what_the_file_leaves_out_is_set_in_its_default(tmp_path: Path) -> None:
    _, site = changed(
        tmp_path, "    set: {site.sensors.surveillance-radar.reference.snr_db: 20, site.policy.drone.alert_s: 50}\n"
    )
    assert (site.sensors[1].reference.range_m, site.sensors[1].reference.snr_db) == (20_000.0, 20.0)
    assert (site.policy.drone.alert_s, site.policy.drone.unknown_from_mps) == (50.0, 25.0)


def test_items_come_and_go(tmp_path: Path) -> None:
    scenario, site = changed(
        tmp_path,
        f"""
    remove: [site.effectors.battery-south, site.sensors.surveillance-radar, site.zones.dora, site.sirens]
    add:
      site.sensors: [{THIRD}]
      scenario.faults: [{{sensor: third, azimuth_deg: {{assumed: 1.5, why: badly set up}}}}]
    set: {{scenario.faults.third.range_m: 40}}
""",
    )
    assert [s.id for s in site.sensors] == ["counter-mortar-radar", "third"]
    assert [e.id for e in site.effectors] == ["battery-north"]
    assert not site.sirens
    assert "dora" not in [z.id for z in site.zones]
    assert len(site.zones) == len(load_site("baghdad-embassy").zones) - 1
    assert (scenario.faults[0].azimuth_deg.value, scenario.faults[0].range_m.value) == (1.5, 40.0)


def test_a_salvo_of_another_size_takes_its_aims_in_turn(tmp_path: Path) -> None:
    own = load_scenario("baghdad-2021-12-19").groups[0]
    scenario, _ = changed(tmp_path, "    set: {scenario.groups.rockets.count: 5}\n")
    assert scenario.groups[0].count.value == 5
    assert [aim.at.value for aim in scenario.groups[0].aims] == [own.aims[i % 2].at.value for i in range(5)]


def test_one_line_of_json_is_read_as_yaml_reads_it() -> None:
    text = '{"a": [1, 2.5, true, null, "x"], "b": {"c": 1e3, "d": "no"}}'
    assert read_yaml(text, "x")[0] == read_yaml(text + "\n", "x")[0]
    for bad, said in (('{"a": 1, "a": 2}', "twice"), ('{"a": [}', "not YAML")):
        with pytest.raises(InputError, match=said):
            read_yaml(bad, "x")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "vary:\n  hold: {path: site.polcy.hold_s, values: [1]}",
            "line 6: vary.hold.path: found 'polcy' in the path 'site.polcy.hold_s', expected 'policy'",
        ),
        (
            "vary:\n  seen: {path: site.sensors.surveilance-radar.detection, values: [0.5]}",
            "line 6: vary.seen.path: found 'surveilance-radar' in the path "
            "'site.sensors.surveilance-radar.detection', expected 'surveillance-radar'",
        ),
        (
            "vary:\n  seen:\n    path: site.sensors.surveillance-radar.detection\n    values: [0.5,\n      1.5]",
            "line 9: vary.seen.values[1]: site.sensors[1].detection: found 1.5, "
            "expected a number less than or equal to 1",
        ),
        (
            "vary:\n  wind: {path: scenario.weather.wind_mps, uniform: {least: -3, most: 9}}\nsample: {points: 8}",
            "line 6: vary.wind: scenario.weather.wind_mps.assumed: found -",
        ),
        ("vary:\n  x: {path: sites.policy.hold_s, values: [1]}", "expected one that begins with scenario. or site."),
        ("vary:\n  x: {path: site.zones.embassy.peple, values: [1]}", "found 'peple' in the path"),
        ("vary:\n  x: {path: scenario.groups.rockets.threat, values: [rocket-108]}", "found 'rocket-108', expected"),
        ("vary:\n  x: {path: site.policy.hold_s}", "found none of values, uniform, normal, choice"),
        ("vary:\n  x: {path: site.policy.hold_s, uniform: {least: 1, most: 2}}", "and no 'sample'"),
        ("vary:\n  x: {path: site.policy.hold_s, uniform: {least: 2, most: 1}}", "expected least below most"),
        ("vary:\n  seed: {path: site.policy.hold_s, values: [1]}", "'seed', which is a column of every row"),
        ("vary:\n  x: {pth: site.policy.hold_s, values: [1]}", "vary.x.pth: found an unknown key, expected 'path'"),
        ("sample: {points: 8}", "line 5: sample: found no parameter with a distribution"),
        ("sample: {points: 20, method: sobol}", "found 20 points, expected 16 or 32"),
        ("variants: [{name: a}, {name: a}]", "found the variant 'a' twice"),
        ("variants: [{name: a}]\ncompare: [[a, b]]", "line 6: compare[0]: found the variant 'b', expected 'a'"),
        ("variants: [{name: a, remove: [site.effectors.battery-east]}]", "found 'battery-east' in the path"),
        ("variants: [{name: a, add: {site.policy: [1]}}]", "found keys and values at 'site.policy', expected a list"),
        ("variants: [{name: a, set: {site.sensors.0.position: {lat: 33.3}}}]", "position.lon: found nothing"),
        ("stop: {metric: intercepts, width: 1}", "line 5: stop.metric: found 'intercepts', expected 'intercepted'"),
        ("outcomes: [intercept]", "found 'intercept', expected 'intercepted'"),
        ("scenarios: [baghdad-2021-12-19]", "found the key 'scenarios' twice"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_one_sentence_with_its_line(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY + text + "\n", encoding="utf-8")
    with pytest.raises(InputError) as told:
        Plan(load_study(path), None).check()
    assert str(told.value).startswith(f"{path} line ")
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)
