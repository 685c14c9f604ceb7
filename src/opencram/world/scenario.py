"""A scenario: what is launched at a site, what was reported of it, and what is only assumed.

Every value is marked in the YAML, `{reported: 7, source: SEED}` or `{assumed: 7, why: "..."}`, so that nobody mistakes
an assumption for a fact. Aim points are where the reports say things fell: a scenario says where, never how to get
there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, Self, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Discriminator, Field, PrivateAttr, model_validator

from opencram import yamlfile
from opencram.errors import InputError

T = TypeVar("T")

DOCUMENT = "scenario.yaml"

Id = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=64)]
Latitude = Annotated[float, Field(ge=-89.0, le=89.0)]
Longitude = Annotated[float, Field(ge=-180.0, le=180.0)]
Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Offset = Annotated[float, Field(allow_inf_nan=False)]
Bearing = Annotated[float, Field(ge=0.0, lt=360.0)]
Count = Annotated[int, Field(ge=1, le=200)]


class Strict(BaseModel):
    """Frozen, and unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Text(Strict):
    """Words for people, in both languages."""

    en: str
    fr: str


class Marked(Strict, Generic[T]):
    """A value with where it comes from: a report, or an assumption and its reason."""

    reported: T | None = None
    source: str | None = None
    assumed: T | None = None
    why: str | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        is_reported, is_assumed = self.reported is not None, self.assumed is not None
        if is_reported == is_assumed:
            raise ValueError("found both or none of 'reported' and 'assumed', expected one of them")
        if is_reported and (self.source is None or self.why is not None):
            raise ValueError("found a reported value without 'source' or with 'why', expected {reported, source}")
        if is_assumed and (self.why is None or self.source is not None):
            raise ValueError("found an assumed value without 'why' or with 'source', expected {assumed, why}")
        return self

    @property
    def value(self) -> T:
        """The value, whichever way it is marked."""
        chosen = self.reported if self.reported is not None else self.assumed
        assert chosen is not None
        return chosen

    @property
    def is_reported(self) -> bool:
        """Whether a report gives it."""
        return self.reported is not None


def assumed(value: T, why: str) -> Marked[T]:
    """The mark of a default."""
    return Marked[T](assumed=value, why=why)


class Place(Strict):
    """A point of the ground, in degrees."""

    lat: Latitude
    lon: Longitude


class Waypoint(Place):
    """A point to fly over, at a height above the site's origin, and how long to hover there."""

    height_m: NotNegative
    hold_s: NotNegative = 0.0


class Span(Strict):
    """From the least to the greatest value, each as likely as the other."""

    least: NotNegative
    most: NotNegative

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.least > self.most:
            raise ValueError(f"found least {self.least} above most {self.most}, expected them in order")
        return self


Some = TypeVar("Some", bound=Strict)


def _chance(model: Some, span: Span) -> Some:
    if span.most > 1.0:
        raise ValueError(f"found a chance up to {span.most}, expected at most 1")
    return model


class Aim(Strict):
    """Where one object comes down if nothing stops it: the zone, and the point within it."""

    zone: Marked[str]
    at: Marked[Place]


class Group(Strict):
    """Objects of one class that belong together."""

    id: Id
    threat: Marked[str]
    count: Marked[Count]
    first_s: Marked[NotNegative]
    """Seconds from the scenario's start to the first launch."""
    spacing_s: Marked[Span] = assumed(Span(least=1.0, most=1.0), "one a second where nothing is said")
    """Seconds from one launch to the next, drawn for each."""


class Salvo(Group):
    """Rockets, mortar bombs or shells: one aim for each, in the order of launch."""

    kind: Literal["salvo"]
    origin: Marked[Text] | None = None
    """Where they were launched from, in words."""
    from_deg: Marked[Bearing]
    """Bearing from the aim points to where they come from."""
    elevation_deg: Marked[Span]
    """The tubes' elevation, drawn once for the salvo."""
    aims: tuple[Aim, ...]
    dispersion_m: Marked[NotNegative]
    """One sigma, east and north, of where each falls about its aim."""
    pointing_sigma_deg: Marked[NotNegative] = assumed(0.5, "tubes laid by hand")
    speed_sigma: Marked[NotNegative] = assumed(0.01, "motors and charges of one lot")
    drag_sigma: Marked[NotNegative] = assumed(0.1, "one sigma of ln: half of what the catalogue allows for")

    @model_validator(mode="after")
    def _goes_up(self) -> Self:
        span = self.elevation_deg.value
        if span.least < 1.0 or span.most > 89.0:
            raise ValueError("found elevation_deg outside 1 to 89, expected degrees above the horizon")
        return self

    @model_validator(mode="after")
    def _an_aim_each(self) -> Self:
        if len(self.aims) != self.count.value:
            raise ValueError(f"found {len(self.aims)} aims for a count of {self.count.value}, expected one for each")
        return self


class Flight(Group):
    """Drones, birds or aircraft: they fly a path, and dive on a target if there is one or else leave."""

    kind: Literal["flight"]
    path: Annotated[tuple[Marked[Waypoint], ...], Field(min_length=1)]
    """Where it appears, and the points it flies by."""
    speed_mps: Marked[Positive]
    target: Aim | None = None
    own: bool = False
    """Whether it is the site's own drone: of whatever class, it is not hostile."""
    dive_deg: Marked[Annotated[float, Field(ge=3.0, le=80.0)]] = assumed(25.0, "a shallow dive")
    bank_deg: Marked[Annotated[float, Field(ge=5.0, le=70.0)]] = assumed(30.0, "a gentle turn")
    spread_m: Marked[NotNegative] = assumed(0.0, "all fly the same path")
    """One sigma, east and north, by which each one's path is shifted."""

    @model_validator(mode="after")
    def _goes_somewhere(self) -> Self:
        if self.target is None and len(self.path) < 2:
            raise ValueError("found one waypoint and no target, expected a second waypoint or a target")
        return self


class Flock(Group):
    """Birds that fly together: one wandering way, and each with a place of its own about it."""

    kind: Literal["flock"]
    path: Annotated[tuple[Marked[Waypoint], ...], Field(min_length=2)]
    speed_mps: Marked[Positive]
    spacing_s: Marked[Span] = assumed(Span(least=0.0, most=0.0), "a flock is there all at once")
    spread_m: Marked[NotNegative] = assumed(30.0, "public photographs of flocks: tens of metres")
    """One sigma, east and north, of each one's place; less in height."""
    flutter_m: Marked[NotNegative] = assumed(3.0, "each keeps its place to within some wing spans")
    """One sigma of how far each one strays from its place, within seconds."""
    wander_deg: Marked[Annotated[float, Field(ge=0.0, le=60.0)]] = assumed(20.0, "birds do not fly by compass")
    """One sigma of the common course about the way to the next point."""
    bank_deg: Marked[Annotated[float, Field(ge=5.0, le=70.0)]] = assumed(30.0, "a gentle turn")


class Burst(Group):
    """Automatic gunfire into the air, at nothing: celebration, or a fight far away."""

    kind: Literal["burst"]
    at: Marked[Place]
    towards_deg: Marked[Bearing]
    """Bearing in which it is fired."""
    elevation_deg: Marked[Span]
    """Of the barrel, drawn once for the burst."""
    spacing_s: Marked[Span] = assumed(Span(least=0.1, most=0.1), "600 rounds a minute, usual for machine guns")
    scatter_deg: Marked[NotNegative] = assumed(1.0, "a barrel held by hand")
    """One sigma of each round's direction about the barrel's."""


class Weather(Strict):
    """The wind, the same at all heights."""

    wind_mps: Marked[NotNegative] = assumed(0.0, "calm where nothing is said")
    wind_from_deg: Marked[Bearing] = assumed(0.0, "no wind, no direction")


class Ground(Strict):
    """Cells of ground that give a plot to each radar again and again, without moving; drawn for each radar."""

    cells: Marked[Annotated[int, Field(ge=1, le=2_000)]]
    chance: Marked[Span] = assumed(Span(least=0.2, most=0.6), "what moving-target filters leave, from cell to cell")
    """Chance of a plot in one look, drawn for each cell."""
    reach_m: Marked[Positive] = assumed(6_000.0, "beyond, a low beam has left the ground")

    @model_validator(mode="after")
    def _is_a_chance(self) -> Self:
        return _chance(self, self.chance.value)


class Shower(Strict):
    """Rain whose thick parts give plots; it drifts with the wind."""

    id: Id
    at: Marked[Place]
    """Its middle when it begins."""
    first_s: Marked[NotNegative]
    life_s: Marked[Positive]
    radius_m: Marked[Positive]
    top_m: Marked[Positive] = assumed(3_000.0, "rain forms below the melting layer")
    cells: Marked[Annotated[int, Field(ge=1, le=500)]]
    chance: Marked[Span] = assumed(Span(least=0.05, most=0.3), "what moving-target filters leave, from cell to cell")

    @model_validator(mode="after")
    def _is_a_chance(self) -> Self:
        return _chance(self, self.chance.value)


class Clutter(Strict):
    """What lingers: echoes of the ground and of rain, besides the false plots that come and go anywhere."""

    ground: Ground | None = None
    showers: Annotated[tuple[Shower, ...], Field(max_length=20)] = ()


class BlastSensor(Strict):
    """A device that reports each explosion on the ground near it, as an observation of its zone."""

    id: Id
    zone: Marked[str]
    at: Marked[Place]
    within_m: Marked[Positive]
    delay_s: Marked[NotNegative] = assumed(1.0, "time to tell a blast from other noise")


class Fault(Strict):
    """What is wrong with one radar of the site: where it measures wrongly, and when it fails."""

    sensor: Id
    range_m: Marked[Offset] = assumed(0.0, "registered in range")
    """Added to every range, and so are the two angles and the stamp's error to theirs."""
    azimuth_deg: Marked[Offset] = assumed(0.0, "turned to true north")
    elevation_deg: Marked[Offset] = assumed(0.0, "levelled")
    clock_s: Marked[Offset] = assumed(0.0, "a clock that is right")
    """Added to the time of measurement: above 0 the sensor's clock is ahead."""
    latency_s: Marked[NotNegative] = assumed(0.0, "no later than the site says")
    """Its messages come by so much later than the site says."""
    twice: Marked[bool] = assumed(False, "each message comes once")
    lost_s: Marked[Span] | None = None
    """From when to when, in seconds from the scenario's start, nothing comes from it."""
    frozen_s: Marked[Span] | None = None
    """From when to when it repeats its last plots under new times."""
    lying_s: Marked[Span] | None = None
    """From when to when it tells what is not there."""
    lie: Marked[Literal["shifted", "nothing"]] = assumed("shifted", "a direction that slipped is the likelier lie")
    """All plots far from where they are, or random ones in place of the true."""


class Statement(Strict):
    """One thing that was reported, to be set beside what was simulated.

    Keys: launched, intercepted, impacts, fell_in:ZONE, fell_in_other_districts, direction, distance_m,
    defence_engaged, sirens_sounded, aircraft_after, attack_number, and free ones of kind 'context'.
    """

    key: str
    value: bool | int | float | str
    kind: Literal["count", "place", "event", "context"]
    sense: Literal["exactly", "at-least", "about"] = "exactly"
    text: Text
    source: str


class Version(Strict):
    """What one side of a disagreement says."""

    id: Id
    text: Text
    source: str


class Disagreement(Strict):
    """Reports that differ: all versions stay on record, and the scenario follows one."""

    about: str
    versions: Annotated[tuple[Version, ...], Field(min_length=2)]
    follows: Id
    why: Text

    @model_validator(mode="after")
    def _follows_one(self) -> Self:
        ids = [v.id for v in self.versions]
        if self.follows not in ids:
            raise ValueError(f"found follows: {self.follows}, expected {yamlfile.nearest(self.follows, ids)}")
        return self


class Fact(Strict):
    """What no sensor knows, entered by hand; a higher revision of the same id corrects the lower."""

    id: Id
    kind: Literal["casualties", "damage", "claim", "outcome", "context"]
    text: Text
    source: str
    revision: Annotated[int, Field(ge=1)] = 1


class LedgerEntry(Strict):
    """How the ledger of incidents counts this one."""

    target: Id
    kind: Id
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]


@dataclass(frozen=True)
class Mark:
    """One value of a scenario with its mark: where it stands, what it is, and the source or the reason."""

    path: str
    value: Any
    is_reported: bool
    because: str


AnyGroup = Annotated[Salvo | Flight | Flock | Burst, Discriminator("kind")]


class Scenario(Strict):
    """What happens at a site, and what was said of it."""

    name: Id
    title: Text
    site: str
    sources: dict[str, str] = {}
    """The reports by their seed, and what each is."""
    start: Marked[AwareDatetime]
    duration_s: Marked[Annotated[float, Field(gt=0.0, le=86_400.0)]]
    defence: Marked[bool]
    """Whether the simulated defence is there."""
    weather: Weather = Weather()
    groups: Annotated[tuple[AnyGroup, ...], Field(max_length=50)] = ()
    clutter: Clutter = Clutter()
    observations: tuple[BlastSensor, ...] = ()
    faults: Annotated[tuple[Fault, ...], Field(max_length=32)] = ()
    reported: tuple[Statement, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    facts: tuple[Fact, ...] = ()
    ledger: LedgerEntry | None = None
    _text: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _sources_are_named(self) -> Self:
        for path, model in _models(self, ""):
            source = getattr(model, "source", None)
            if source is not None and source not in self.sources:
                near = yamlfile.nearest(source, list(self.sources))
                raise ValueError(f"found the source '{source}' at {path}, expected {near} (named under 'sources')")
        ids = [g.id for g in self.groups]
        if len(set(ids)) < len(ids):
            raise ValueError(f"found the groups {', '.join(ids)}, expected a different id for each")
        return self

    @property
    def start_ns(self) -> int:
        """When it starts, ns UTC; whole microseconds."""
        return round(self.start.value.timestamp() * 1e6) * 1000

    def marks(self) -> list[Mark]:
        """Every marked value, in the order of the schema."""
        found = [(path, m) for path, m in _models(self, "") if isinstance(m, Marked)]
        return [Mark(path, m.value, m.is_reported, (m.source or m.why) or "") for path, m in found]

    def documents(self) -> dict[str, str]:
        """The texts that it was made from, for a recording to embed."""
        return {DOCUMENT: self._text}


def scenario_names() -> list[str]:
    """The built-in scenarios, in order of name."""
    return sorted(f.name.removesuffix(".yaml") for f in _folder().iterdir() if f.name.endswith(".yaml"))


def load_scenario(name_or_path: str | Path) -> Scenario:
    """A built-in scenario by its name, or one from a YAML file; InputError says what is wrong with it."""
    name = str(name_or_path)
    if name in scenario_names():
        return _parse((_folder() / f"{name}.yaml").read_text("utf-8"), f"{name}.yaml")
    path = Path(name_or_path)
    if not path.exists() and path.suffix not in {".yaml", ".yml"}:
        near = yamlfile.nearest(name, scenario_names())
        raise InputError(f"scenario: found '{name}', expected {near} or the path of a YAML file")
    return _parse(yamlfile.read_text(path), str(path))


def scenario_from_documents(documents: dict[str, str]) -> Scenario:
    """The scenario that a recording carries."""
    if DOCUMENT not in documents:
        raise InputError(f"scenario: found no {DOCUMENT} among the documents, expected it")
    return _parse(documents[DOCUMENT], DOCUMENT)


@cache
def _folder() -> Any:  # noqa: ANN401
    return resources.files("opencram") / "data" / "scenarios"


def _parse(text: str, name: str) -> Scenario:
    data, lines = yamlfile.read_yaml(text, name)
    scenario = yamlfile.validate(Scenario, data, lines, name)
    for i, group in enumerate(scenario.groups):
        _check_threat(group, yamlfile.at(name, ("groups", i, "threat"), lines))
    scenario._text = text
    return scenario


def _check_threat(group: AnyGroup, where: str) -> None:
    from opencram.physics.threats import catalogue

    falls, innocent = isinstance(group, Salvo | Burst), isinstance(group, Flock | Burst)
    classes = [t for t in catalogue().values() if (t.family != "drone" and math.isfinite(t.ln_beta)) == falls]
    valid = [t.id for t in classes if t.family == "innocent" or not innocent]
    what = f"{'an innocent' if innocent else 'a'} {'falling' if falls else 'flying'} class"
    if group.threat.value not in valid:
        near = yamlfile.nearest(group.threat.value, valid)
        raise InputError(f"{where}: found '{group.threat.value}', expected {what} of the catalogue, {near}")


def _models(value: Any, path: str) -> Iterator[tuple[str, BaseModel]]:  # noqa: ANN401
    """Every model inside a value, itself included, with its path."""
    if isinstance(value, BaseModel):
        yield path, value
        for key in type(value).model_fields:
            yield from _models(getattr(value, key), f"{path}.{key}" if path else key)
    elif isinstance(value, tuple):
        for i, item in enumerate(value):
            yield from _models(item, f"{path}[{i}]")
