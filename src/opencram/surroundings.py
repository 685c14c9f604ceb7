"""What surrounds a site: the ground that things come down on, the air, and the ways that friends fly through it."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from opencram.fields import MAX_EXTENT_M, Azimuth, Id, Model, NotNegative, Number, Positive, rising

MOST_HEIGHTS = 500


class Terrain(Model):
    """The files that the ground is read from; heights are over the geoid, which is `geoid_m` over the ellipsoid."""

    tiles: Annotated[tuple[str, ...], Field(min_length=1)]
    reach_m: Annotated[Number, Field(ge=1_000, le=MAX_EXTENT_M)] = 30_000.0
    spacing_m: Annotated[Number, Field(ge=20, le=1_000)] = 100.0
    geoid_m: Annotated[Number, Field(ge=-120, le=120)] = 0.0


class Wind(Model):
    """Wind at a height over the origin, as a weather service tells it: from where, clockwise from north."""

    height_m: NotNegative
    from_deg: Azimuth
    speed_mps: Annotated[Number, Field(ge=0, le=100)]


class Density(Model):
    """Density of the air at a height over the origin."""

    height_m: NotNegative
    kgpm3: Annotated[Number, Field(gt=0, le=2)]


class Air(Model):
    """What is known of the air: wind and density by height; what is not told is still air and the standard's."""

    wind: Annotated[tuple[Wind, ...], Field(max_length=MOST_HEIGHTS)] = ()
    density: Annotated[tuple[Density, ...], Field(max_length=MOST_HEIGHTS)] = ()

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name, rows in (("wind", self.wind), ("density", self.density)):
            heights = [row.height_m for row in rows]
            if heights != sorted(set(heights)):
                raise ValueError(f"found the heights {heights} in {name}, expected them rising")
        return self


class Point(Model):
    """A point of the ground, degrees north and east."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]


class Corridor(Model):
    """A way through the air in which one's own drones fly; one point alone is a round area about it."""

    id: Id
    path: Annotated[tuple[Point, ...], Field(min_length=1, max_length=100)]
    width_m: Annotated[Number, Field(gt=0, le=20_000)]
    floor_m: NotNegative = 0.0
    ceiling_m: Positive = 500.0
    max_speed_mps: Positive = 30.0
    grace_s: NotNegative = 5.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        rising("floor_m", self.floor_m, "ceiling_m", self.ceiling_m)
        return self
