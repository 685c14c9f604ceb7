"""Candidates: radars and sirens that might be bought, where they might stand, and what each costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, model_validator

from opencram import yamlfile
from opencram.errors import InputError
from opencram.fields import Model, NotNegative
from opencram.site import MAX_SENSORS, MAX_THINGS, Sensor, Siren, Site, site_faults

MOST = 64
"""Candidates of each kind: what somebody has gone to look at."""


class CandidateSensor(Sensor):
    """A radar as a site has it, and its cost."""

    cost: NotNegative


class CandidateSiren(Siren):
    """A siren as a site has it, and its cost."""

    cost: NotNegative


class Candidates(Model):
    """What might be bought; costs in whatever unit the budget is in."""

    sensors: Annotated[tuple[CandidateSensor, ...], Field(max_length=MOST)] = ()
    sirens: Annotated[tuple[CandidateSiren, ...], Field(max_length=MOST)] = ()
    keep_sensors: bool = True
    """Whether the site's own radars stay."""
    keep_sirens: bool = True
    unit: str = ""
    """What costs are in, for people: 'thousand euros'."""

    @model_validator(mode="after")
    def _some(self) -> Candidates:
        if not self.sensors and not self.sirens:
            raise ValueError("found no candidates, expected sensors, sirens or both")
        return self


@dataclass(frozen=True)
class Choice:
    """Candidates by their places in the file's lists, in order."""

    sensors: tuple[int, ...] = ()
    sirens: tuple[int, ...] = ()


def load_candidates(path: Path, site: Site) -> Candidates:
    """The candidates in a YAML file, for a site; InputError says what is wrong with them.

    What has no height stands on the ground.
    """
    data, lines = yamlfile.read_yaml(path, str(path))
    for key in ("sensors", "sirens"):
        for thing in data[key] if isinstance(data.get(key), list) else []:
            _ground(thing, site)
    found = yamlfile.validate(Candidates, data, lines, str(path))
    for loc, fault in _faults(found, site):
        raise InputError(f"{yamlfile.at(str(path), loc, lines)}: {fault}")
    return found


def with_choice(site: Site, candidates: Candidates, choice: Choice) -> Site:
    """The site with these candidates, and with its own radars and sirens where those are kept."""
    sensors = site.sensors if candidates.keep_sensors else ()
    sirens = site.sirens if candidates.keep_sirens else ()
    more = {
        "sensors": (*sensors, *(candidates.sensors[i] for i in choice.sensors)),
        "sirens": (*sirens, *(candidates.sirens[i] for i in choice.sirens)),
    }
    return site.model_copy(update=more)


def cost_of(candidates: Candidates, choice: Choice) -> float:
    """What a choice costs."""
    sensors, sirens = candidates.sensors, candidates.sirens
    return sum(sensors[i].cost for i in choice.sensors) + sum(sirens[i].cost for i in choice.sirens)


def _ground(thing: Any, site: Site) -> None:  # noqa: ANN401
    place = thing.get("position") if isinstance(thing, dict) else None
    if isinstance(place, dict) and "height_m" not in place:
        lat, lon = place.get("lat"), place.get("lon")
        place["height_m"] = site.origin.height_m
        if isinstance(lat, int | float) and isinstance(lon, int | float):
            place["height_m"] = site.ground_m(lat, lon)


def _faults(found: Candidates, site: Site) -> Iterator[tuple[yamlfile.Loc, str]]:
    """What is wrong with candidates at a site: what would be wrong with the site if it had all of them."""
    own = {"sensors": site.sensors, "sirens": site.sirens}
    room = {"sensors": MAX_SENSORS, "sirens": MAX_THINGS}
    every = {key: (*own[key], *getattr(found, key)) for key in own}
    for key, things in every.items():
        taken = Counter(thing.id for thing in things)
        for i, thing in enumerate(getattr(found, key)):
            if taken[thing.id] > 1:
                yield (key, i, "id"), f"found the id '{thing.id}', which another has, expected one of its own"
        if len(things) > room[key]:
            yield (key,), f"found {len(things)} with the site's own, expected at most {room[key]}"
    for (whose, place, *rest), fault in site_faults(site.model_copy(update=every)):
        yield (whose, int(place) - len(own[str(whose)]), *rest), fault
