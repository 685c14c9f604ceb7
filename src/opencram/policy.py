"""When zones sound: what a miss and a false alarm cost, and the times; part of the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from opencram.fields import Model, NotNegative, Number, Positive, rising


class Cost(Model):
    """What a missed and what a needless alarm cost in one kind of zone; only their ratio counts."""

    cost_miss: Positive
    cost_false: Positive

    @property
    def threshold(self) -> float:
        """The probability of a hit above which an alarm costs less than silence (expected cost, both ways)."""
        return self.cost_false / (self.cost_false + self.cost_miss)


DEFAULT = "default"
DEFAULT_COSTS: Mapping[str, Cost] = {
    "embassy": Cost(cost_miss=60, cost_false=1),
    "base": Cost(cost_miss=60, cost_false=1),
    "hospital": Cost(cost_miss=60, cost_false=1),
    "airport": Cost(cost_miss=60, cost_false=1),
    "green-zone": Cost(cost_miss=50, cost_false=1),
    "camp": Cost(cost_miss=60, cost_false=1),
    "district": Cost(cost_miss=20, cost_false=1),
    DEFAULT: Cost(cost_miss=30, cost_false=1),
}
"""Assumed: a missed hit weighs 50 to 60 needless alarms where people train for shelter (alarm above 2 % or less), and
20 in a city district (5 %), where too many alarms teach people not to listen."""


class DronePolicy(Model):
    """How long before the earliest arrival of what can manoeuvre a zone is alerted and pre-alerted; what that is."""

    alert_s: Positive = 60.0
    pre_alert_s: Positive = 150.0
    unknown_from_mps: NotNegative = 25.0
    """What nothing names and is slower than this is taken for a bird (catalogue: birds fly at 5 to 25 m/s)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising("alert_s", self.alert_s, "pre_alert_s", self.pre_alert_s)
        return self


class Policy(Model):
    """When zones sound: costs per kind of zone, and times."""

    costs: dict[str, Cost] = Field(default_factory=dict)
    hold_s: NotNegative = 5.0
    all_clear_s: NotNegative = 30.0
    operator_alarm_s: NotNegative = 600.0
    """How long an operator's alarm stands unless he ends it: he may know of what takes minutes to come."""
    pre_alert_factor: Annotated[Number, Field(gt=0, le=1)] = 0.3
    drone: DronePolicy = DronePolicy()
    stale_sensor: Literal["show", "alert"] = "show"
    system_fault_s: Annotated[Number, Field(ge=4, le=600)] | None = None
    """Sirens that hear nothing of the service for so long say so, by a sound of its own; None: they only show it."""

    assignment: Literal["horizon", "greedy"] = "horizon"
    """How the simulated defence shares out its batteries: planned ahead for all objects, or the most urgent first."""
    thrift: NotNegative = 0.0
    """What one unit of a battery's `cost` must save to be spent, told in needless alarms as the costs are."""
    debris_ratio: NotNegative | None = 1.0
    """People expected under the debris of an interception, over those of the hit: not above this; None: any."""

    def cost_of(self, kind: str) -> Cost:
        """The costs for a kind of zone: the site's own, else the built-in ones, else those of `default`."""
        own = self.costs.get(kind) or DEFAULT_COSTS.get(kind)
        return own or self.costs.get(DEFAULT) or DEFAULT_COSTS[DEFAULT]
