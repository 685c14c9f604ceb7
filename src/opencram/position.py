"""Where a thing of a site stands and what people call it."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field, StringConstraints, model_validator

from opencram.fields import Model, Number

EARTH_M = 6_371_000.0


def titled(data: Any) -> Any:  # noqa: ANN401
    """Give a thing without a title its name or id for one, and one title for all languages where text stands."""
    if not isinstance(data, dict):
        return data
    title = data.get("title") or data.get("name") or data.get("id")
    return {**data, "title": {"en": title}} if isinstance(title, str) else data


class Title(Model):
    """What people call a thing; French falls back on English."""

    en: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    fr: str = ""
    ar: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _french(cls, data: Any) -> Any:  # noqa: ANN401
        return {**data, "fr": data.get("fr") or data.get("en")} if isinstance(data, dict) else data


class Position(Model):
    """WGS-84: degrees north, degrees east, metres above the ellipsoid."""

    lat: Annotated[Number, Field(ge=-90, le=90)]
    lon: Annotated[Number, Field(ge=-180, le=180)]
    height_m: Annotated[Number, Field(ge=-1_000, le=10_000)] = 0.0

    def distance_m(self, lat: float, lon: float) -> float:
        """Distance over the ground on a sphere, to 0.6 %: for plausibility, not for aiming a zone."""
        lat_0, lat_1 = math.radians(self.lat), math.radians(lat)
        half = math.sin(math.radians(lon - self.lon) / 2.0) ** 2 * math.cos(lat_0) * math.cos(lat_1)
        return 2.0 * EARTH_M * math.asin(min(1.0, math.sqrt(math.sin((lat_1 - lat_0) / 2.0) ** 2 + half)))
