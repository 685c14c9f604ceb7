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
from opencram.fields import MAX_EXTENT_M, Model, NotNegative
from opencram.site import MAX_SENSORS, MAX_THINGS, Sensor, Siren, Site

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
    own = {"sensors": site.sensors, "sirens": site.sirens}
    room = {"sensors": MAX_SENSORS, "sirens": MAX_THINGS}
    zones = [zone.id for zone in site.zones]
    for key in ("sensors", "sirens"):
        things = getattr(found, key)
        taken = Counter(thing.id for thing in (*own[key], *things))
        for i, thing in enumerate(things):
            if taken[thing.id] > 1:
                yield (key, i, "id"), f"found the id '{thing.id}', which another has, expected one of its own"
            away = site.origin.distance_m(thing.position.lat, thing.position.lon)
            if away > MAX_EXTENT_M:
                near = f"expected at most {MAX_EXTENT_M / 1e3:g} km"
                yield (key, i, "position"), f"found a position {away / 1e3:.0f} km from the site's origin, {near}"
        if len(taken) > room[key]:
            yield (key,), f"found {len(taken)} with the site's own, expected at most {room[key]}"
    for i, sensor in enumerate(found.sensors):
        ground = site.ground_m(sensor.position.lat, sensor.position.lon)
        if sensor.position.height_m < ground:
            under = f"found {sensor.position.height_m:g}, which is under ground, expected {ground:g} or more"
            yield ("sensors", i, "position", "height_m"), under
    for i, siren in enumerate(found.sirens):
        for k, zone in enumerate(siren.zones):
            if zone not in zones:
                lacking = f"found the zone '{zone}', which is not there, expected {yamlfile.nearest(zone, zones)}"
                yield ("sirens", i, "zones", k), lacking
    codes = [(s.asterix.sac, s.asterix.sic) for s in site.sensors if s.asterix]
    for i, sensor in enumerate(found.sensors):
        code = (sensor.asterix.sac, sensor.asterix.sic) if sensor.asterix else None
        if code in codes:
            yield ("sensors", i, "asterix"), f"found sac {code[0]} sic {code[1]}, which another has, expected others"
        if code:
            codes.append(code)
