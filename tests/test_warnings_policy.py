"""The policy's figures: what stands in the reference is what holds where a site says nothing; what a policy refuses."""

import re
from pathlib import Path

import pytest
from pydantic import ValidationError

from opencram.policy import DEFAULT, DEFAULT_COSTS, Cost, DronePolicy, Policy

REFERENCE = (Path(__file__).parent.parent / "docs" / "reference" / "site.md").read_text("utf-8")


def documented(section: str) -> dict[str, str]:
    """Key -> what holds when it is not given."""
    body = REFERENCE.split(f"## `{section}`")[1].split("\n## ")[0]
    rows = (line.split("|") for line in body.splitlines() if line.startswith("| `"))
    return {cells[1].strip().strip("`"): cells[3].strip().strip("`") for cells in rows}


@pytest.mark.parametrize(("section", "policy"), [("policy", Policy()), ("drone", DronePolicy())])
def test_defaults_are_those_of_the_reference(section: str, policy: Policy | DronePolicy) -> None:
    known = {key: text for key, text in documented(section).items() if text != "as below"}
    assert len(known) >= 3
    for key, text in known.items():
        value = getattr(policy, key)
        assert value == (None if text.startswith("none") else type(value)(text)), key


def test_default_costs_are_those_of_the_reference() -> None:
    text = documented("costs")["cost_miss"]
    protected, green, district, other = (float(n) for n in re.findall(r"\d+", text))
    assert documented("costs")["cost_false"] == "1"
    expected = dict.fromkeys(("embassy", "base", "hospital", "airport", "camp"), protected)
    expected |= {"green-zone": green, "district": district, DEFAULT: other}
    assert {kind: cost.cost_miss for kind, cost in DEFAULT_COSTS.items()} == expected
    assert {cost.cost_false for cost in DEFAULT_COSTS.values()} == {1.0}


def test_an_alarm_pays_from_where_its_expected_cost_is_that_of_silence() -> None:
    for miss, false in ((60.0, 1.0), (1.0, 9.0), (5.0, 5.0)):
        p = Cost(cost_miss=miss, cost_false=false).threshold
        assert p * miss == pytest.approx((1.0 - p) * false)


def test_costs_of_a_kind_are_the_site_s_own_then_the_built_in_then_the_default_s() -> None:
    mine, spare = Cost(cost_miss=7, cost_false=2), Cost(cost_miss=3, cost_false=1)
    assert Policy(costs={"base": mine}).cost_of("base") == mine
    assert Policy(costs={"default": spare}).cost_of("base") == DEFAULT_COSTS["base"]
    assert Policy(costs={"default": spare}).cost_of("market") == spare
    assert Policy().cost_of("market") == DEFAULT_COSTS[DEFAULT]


def test_drones_are_pre_alerted_before_they_are_alerted() -> None:
    with pytest.raises(ValidationError, match=r"found alert_s 100 .*pre_alert_s 90\b"):
        DronePolicy(alert_s=100.0, pre_alert_s=90.0)


@pytest.mark.parametrize("factor", [0.0, 1.01, -0.1])
def test_pre_alert_factor_is_a_share(factor: float) -> None:
    with pytest.raises(ValidationError):
        Policy(pre_alert_factor=factor)
    assert Policy(pre_alert_factor=1.0).pre_alert_factor == 1.0


def test_only_what_is_known_is_done_of_a_stale_sensor() -> None:
    assert Policy(stale_sensor="alert").stale_sensor == "alert"
    with pytest.raises(ValidationError):
        Policy(stale_sensor="ignore")  # type: ignore[arg-type]
