"""Scenarios: the built-in incidents keep their promises, and what is wrong with one is said in a sentence."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from opencram.errors import InputError
from opencram.site import load_site
from opencram.world.scenario import Salvo, Scenario, load_scenario, scenario_from_documents, scenario_names
from opencram.world.world import World, undefended_counts
from world_site import assume, flight, make_scenario, make_site, salvo, scenario_text

INCIDENTS = [
    "baghdad-2020-02-16",
    "baghdad-2020-11-17",
    "baghdad-2020-12-20",
    "baghdad-2021-11-07",
    "baghdad-2021-12-19",
    "erbil-2021-09",
]
ROCKETS = ["baghdad-2020-02-16", "baghdad-2020-11-17", "baghdad-2020-12-20", "baghdad-2021-12-19"]
NAMES_ONLY = {"id", "kind"}


def test_the_six_incidents_and_the_innocent_skies_are_there() -> None:
    assert scenario_names() == [*INCIDENTS, "innocent-sky", "rocket-among-birds"]


@pytest.mark.parametrize("name", INCIDENTS)
def test_an_incident_is_short_and_begins_soon(name: str) -> None:
    scenario, site = load_scenario(name), load_site(load_scenario(name).site)
    assert scenario.duration_s.value <= 150
    world = World(scenario, site)
    hostile = [o for o in world.objects() if o.hostile]
    assert min(o.launch_ns for o in hostile) - world.start_ns <= 5e9
    assert max(o.end_ns for o in world.objects()) < world.end_ns
    in_15_s = world.advance(world.start_ns + 15 * 10**9)
    assert sum(len(plots.columns["time"]) for plots in in_15_s) >= 50


@pytest.mark.parametrize("name", INCIDENTS)
def test_every_value_is_marked(name: str) -> None:
    """Read as plain YAML: under each group, start, weather ..., no value stands bare."""
    raw = YAML(typ="safe", pure=True).load(load_scenario(name).documents()["scenario.yaml"])
    bare: list[str] = []

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict) and value.keys() & {"reported", "assumed"}:
            assert value.keys() in ({"reported", "source"}, {"assumed", "why"}), path
        elif isinstance(value, dict):
            for key, inner in value.items():
                walk(inner, f"{path}.{key}")
        elif isinstance(value, list):
            for i, inner in enumerate(value):
                walk(inner, f"{path}[{i}]")
        elif path.rsplit(".", 1)[-1] not in NAMES_ONLY:
            bare.append(path)

    for key in ("start", "duration_s", "defence", "weather", "groups", "observations"):
        walk(raw.get(key, []), key)
    assert bare == []


@pytest.mark.parametrize("name", INCIDENTS)
def test_each_report_is_drawn_upon_and_facts_have_their_source(name: str) -> None:
    scenario = load_scenario(name)
    used = {m.because for m in scenario.marks() if m.is_reported}
    used |= {s.source for s in scenario.reported} | {f.source for f in scenario.facts}
    assert used == set(scenario.sources)
    assert scenario.reported
    assert scenario.facts


def _outside(scenario: Scenario, counts: dict[str, int], zone: str) -> int:
    return sum(len(g.aims) for g in scenario.groups if isinstance(g, Salvo)) - counts[zone]


@pytest.mark.parametrize("name", ROCKETS)
def test_where_the_reports_say_rockets_fell_holds_in_95_of_100_seeds(name: str) -> None:
    scenario = load_scenario(name)
    site = load_site(scenario.site)
    places = {s.key: s for s in scenario.reported if s.key.startswith("fell_in")}
    aims = [a.zone.value for g in scenario.groups if isinstance(g, Salvo) for a in g.aims]
    others = sorted({z for z in aims if z not in {"green-zone", "embassy"}})
    held = 0
    for seed in range(100):
        counts = undefended_counts(scenario, site, seed)
        found = {f"fell_in:{zone}": n for zone, n in counts.items()}
        found["fell_in_other_districts"] = _outside(scenario, counts, "green-zone")
        right = [
            found[key] >= float(s.value) if s.sense == "at-least" else _reached(found[key], s.value, key, name)
            for key, s in places.items()
        ]
        # each of the other districts that the scenario names is hit as often as it says
        right += [counts[zone] == aims.count(zone) for zone in others]
        held += all(right)
    assert places
    assert held >= 95


def _reached(found: int, said: object, key: str, name: str) -> bool:
    """On 19 December 2021 two would fall in the Green Zone if the first were not shot down as reported."""
    if (name, key) == ("baghdad-2021-12-19", "fell_in:green-zone"):
        return found == 2
    return found == said


def test_the_second_rocket_of_december_2021_falls_about_500_m_from_the_embassy() -> None:
    scenario = load_scenario("baghdad-2021-12-19")
    site = load_site(scenario.site)
    first, second = World(scenario, site).objects()
    away_m = float(((second.undefended_enu_m - first.aim_enu_m)[:2] ** 2).sum() ** 0.5)
    assert 350 < away_m < 650
    assert [v.id for v in scenario.disagreements[0].versions] == ["both-shot-down", "one-shot-down"]
    assert scenario.disagreements[0].follows == "one-shot-down"


def test_a_scenario_survives_its_own_documents() -> None:
    scenario = load_scenario("baghdad-2021-12-19")
    assert scenario_from_documents(scenario.documents()) == scenario


def test_marks_list_every_value_with_its_reason() -> None:
    marks = {m.path: m for m in make_scenario(salvo((33.3, 44.4))).marks()}
    assert marks["groups[0].count"].value == 1
    assert not marks["groups[0].count"].is_reported
    assert marks["groups[0].count"].because == "for a test"
    assert marks["groups[0].aims[0].zone"].value == "town"


REPORTED_WITHOUT = {"reported": 60.0}
BOTH = {"reported": 60.0, "source": "a", "assumed": 60.0, "why": "b"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (scenario_text(duratoin_s=assume(3)), "duratoin_s: found an unknown key, expected 'duration_s'"),
        (scenario_text(duration_s=60.0), "duration_s: found 60.0, expected keys and values"),
        (scenario_text(duration_s=REPORTED_WITHOUT), "found a reported value without 'source'"),
        (scenario_text(duration_s=BOTH), "found both or none of 'reported' and 'assumed'"),
        (scenario_text(duration_s=assume(-1.0)), "found -1.0, expected a number greater than 0"),
        (scenario_text(duration_s={"reported": 60.0, "source": "x"}), "found the source 'x' at duration_s"),
        (scenario_text(start=assume("2024-01-01T00:00:00")), "timezone"),
        (scenario_text(salvo((33.3, 44.4), count=2)), "found 1 aims for a count of 2"),
        (scenario_text(salvo((133.3, 44.4))), "found 133.3, expected a number less than or equal to 89"),
        (scenario_text(salvo((33.3, 44.4), threat="rocket-108")), "found 'rocket-108', expected a falling class"),
        (scenario_text(salvo((33.3, 44.4), threat="drone")), "found 'drone', expected a falling class"),
        (scenario_text(flight((33.3, 44.4, 9.0))), "found one waypoint and no target"),
        (scenario_text(salvo((33.3, 44.4)), salvo((33.3, 44.4))), "found the groups salvo, salvo"),
        (scenario_text(salvo((33.3, 44.4), elevation_deg={"least": 40, "most": 30})), "found least 40.0 above most"),
        (scenario_text(salvo((33.3, 44.4), elevation_deg={"least": 40, "most": 95})), "outside 1 to 89"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario_from_documents({"scenario.yaml": text})
    said = str(caught.value)
    assert sentence in said
    assert said.startswith("scenario.yaml")
    assert "\n" not in said


def test_a_file_that_is_no_scenario_is_refused(tmp_path: Path) -> None:
    binary, empty = tmp_path / "binary.yaml", tmp_path / "empty.yaml"
    binary.write_bytes(b"\x00\x01\x02")
    empty.write_text("")
    for path in (binary, empty, tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(InputError, match=r"found .*, expected|found no such file"):
            load_scenario(path)


def test_a_misspelt_name_is_told_the_nearest() -> None:
    with pytest.raises(InputError, match="'baghdad-2020-11-17'"):
        load_scenario("bagdad-2020-11-17")


def test_an_observation_needs_a_zone_of_the_site() -> None:
    sensor = {"id": "b", "zone": assume("nowhere"), "at": assume({"lat": 33.3, "lon": 44.4}), "within_m": assume(1.0)}
    with pytest.raises(InputError, match=r"found the zone 'nowhere', expected one of the site small: town, compound"):
        World(make_scenario(observations=[sensor]), make_site())
