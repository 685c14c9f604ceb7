"""Simulated batteries: guns and interceptors as a few public, coarse figures, with no output to any hardware.

A battery is a reach, times, a chance of kill and a stock of ammunition. Nothing here, or made from it, could lay a gun.
"""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from opencram.fields import Azimuth, Chance, Count, Elevation, Id, Kind, Model, NotNegative, Positive, rising
from opencram.position import Position, Title, titled


class Sector(Model):
    """Directions from a battery; azimuths clockwise from true north, a sector may pass through north."""

    azimuth_from_deg: Azimuth = 0.0
    azimuth_to_deg: Azimuth = 360.0
    min_elevation_deg: Elevation = -90.0
    max_elevation_deg: Elevation = 90.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising("min_elevation_deg", self.min_elevation_deg, "max_elevation_deg", self.max_elevation_deg)
        if self.azimuth_from_deg == self.azimuth_to_deg:
            raise ValueError(
                f"found azimuth_from_deg and azimuth_to_deg both {self.azimuth_to_deg:g}, expected a sector"
            )
        return self


class Effector(Model):
    """A simulated battery: parametric, with no output to any hardware. Defaults are coarse and assumed."""

    id: Id
    title: Title
    position: Position
    kind: Literal["gun", "missile"] = "gun"
    reach_m: Positive = 2_000.0
    min_range_m: NotNegative = 300.0
    reaction_s: NotNegative = 3.0
    slew_dps: Positive | None = None
    """How fast it turns from one object to the next; None: `reaction_s` is all that it takes."""
    flight_speed_mps: Positive = 900.0
    burst_s: Positive = 3.0
    kill: Annotated[tuple[tuple[NotNegative, Chance], ...], Field(min_length=1)] = ((1_000.0, 0.6), (2_000.0, 0.2))
    against: dict[Kind, Chance] = Field(default_factory=dict)
    """Share of `kill` that holds against a class of the catalogue or a family of it; 1 against what is not named."""
    salvo: Annotated[Count, Field(ge=1, le=8)] = 1
    """Bursts or interceptors that one engagement takes, each with the chance `kill`."""
    magazine: Count = 8
    """Bursts or interceptors at hand."""
    reload_s: NotNegative | None = None
    """From the last of the magazine until it is full again; None: not within a raid."""
    cost: NotNegative = 1.0
    """Of one burst or interceptor; only its ratio to that of other batteries, and the policy's `thrift`, count."""
    protects: tuple[Id, ...] = ()
    no_fire: Annotated[tuple[Sector, ...], Field(max_length=16)] = ()
    debris_pieces: Annotated[Count, Field(ge=1, le=20)] = 3
    rounds: Count = 0
    """Rounds in a burst."""
    self_destruct_s: Positive = 2.5
    """Rounds destroy themselves after about this: public descriptions of gun batteries give two to three kilometres."""
    dud_share: Chance = 0.0
    """Share of the rounds that do not, and come down whole beyond."""
    rounds_seen: Annotated[Count, Field(le=100)] = 0
    """How many of a burst's rounds the simulated radars may see."""

    _before = model_validator(mode="before")(titled)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising("min_range_m", self.min_range_m, "reach_m", self.reach_m)
        ranges = [range_m for range_m, _ in self.kill]
        if ranges != sorted(set(ranges)):
            raise ValueError(f"found kill at {ranges} m, expected ranges that rise")
        if self.salvo > self.magazine > 0:
            raise ValueError(f"found salvo {self.salvo} and magazine {self.magazine}, expected no more than is at hand")
        return self

    def p_kill(self, range_m: float) -> float:
        """Chance that one burst or interceptor at this slant range kills: linear between the points, 0 out of reach."""
        if not self.min_range_m <= range_m <= self.reach_m:
            return 0.0
        before = [point for point in self.kill if point[0] <= range_m] or [self.kill[0]]
        after = [point for point in self.kill if point[0] > range_m] or [self.kill[-1]]
        (r_0, p_0), (r_1, p_1) = before[-1], after[0]
        return p_0 if r_1 <= r_0 else p_0 + (p_1 - p_0) * max(range_m - r_0, 0.0) / (r_1 - r_0)

    def share_against(self, threat: str, family: str) -> float:
        """Share of `kill` that holds against a class: its own, else its family's, else 1."""
        return self.against.get(threat, self.against.get(family, 1.0))
