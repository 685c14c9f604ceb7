"""The kinds of value that people's files are made of; what is refused is told with what was found and expected."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

MAX_EXTENT_M = 100_000.0
"""Whatever is further from a site's origin is a slip of the keyboard: no flight in the catalogue spans it."""


def _number(value: object) -> object:
    """Numbers only: text that looks like one, and true or false, are slips that would pass unseen."""
    if isinstance(value, bool | str):
        raise ValueError(f"found {value!r}, expected a number")
    return value


def _id(value: str) -> str:
    """Text that can also name a file."""
    if not re.fullmatch(r'(?!\.)[^/\\:*?"<>|\x00-\x1f]{1,64}', value) or value != value.strip():
        raise ValueError(
            f'found {value!r}, expected at most 64 characters, none of / \\ : * ? " < > | and no dot first'
        )
    return value


def rising(low_name: str, low: float, high_name: str, high: float) -> None:
    """Refuse two values that must rise and do not."""
    if not low < high:
        raise ValueError(f"found {low_name} {low:g} and {high_name} {high:g}, expected {low_name} below {high_name}")


Number = Annotated[float, BeforeValidator(_number), Field(allow_inf_nan=False)]
Count = Annotated[int, BeforeValidator(_number), Field(ge=0)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]
Chance = Annotated[Number, Field(ge=0, le=1)]
Sigma = Annotated[Number, Field(gt=0, le=10_000)]
SigmaMrad = Annotated[Number, Field(gt=0, le=500)]
Azimuth = Annotated[Number, Field(ge=0, le=360)]
Elevation = Annotated[Number, Field(ge=-90, le=90)]
Byte = Annotated[int, BeforeValidator(_number), Field(ge=0, le=255)]
Id = Annotated[str, AfterValidator(_id)]
Kind = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Model(BaseModel):
    """Frozen, and strict about its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
