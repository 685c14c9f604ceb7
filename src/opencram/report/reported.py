"""What was reported beside what was simulated: each statement of the reports, its source, and the run's own figure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from opencram.report.ledger import Reckoning
from opencram.report.words import COMPASS_POINTS, Language, compass, number
from opencram.world.scenario import Scenario, Statement

Verdict = Literal["agrees", "defence", "differs", "not simulated"]
"""`defence`: agrees but for what the simulated defence, left to chance, shot down."""
Row = Mapping[str, Any]

ABOUT = 0.25
"""'About 500 m', 'close to 90': taken as within a quarter."""
SAME_SIDE_DEG = 45.0
"""'From the east' is taken as within half a quadrant either way."""


@dataclass(frozen=True)
class Simulated:
    """The run's answer to a statement: the value to compare, and how to tell it."""

    value: Any
    en: str
    fr: str
    stopped: int = 0
    """How many more it would be, had the simulated defence shot none down."""


@dataclass(frozen=True)
class Compared:
    """One line of the table."""

    statement: Statement
    simulated: Simulated | None
    verdict: Verdict


def compare(scenario: Scenario, summary: Row, reckoning: Reckoning | None) -> list[Compared]:
    """Every reported statement with the run's own figure and whether they agree."""
    return [_compared(s, _simulated(s, scenario, summary, reckoning)) for s in scenario.reported]


def _compared(statement: Statement, simulated: Simulated | None) -> Compared:
    if simulated is None or simulated.value is None:
        return Compared(statement, simulated, "not simulated")
    if _agrees(statement, simulated.value):
        return Compared(statement, simulated, "agrees")
    but_for_defence = simulated.stopped and _agrees(statement, simulated.value + simulated.stopped)
    return Compared(statement, simulated, "defence" if but_for_defence else "differs")


def _agrees(statement: Statement, value: Any) -> bool:  # noqa: ANN401
    said = statement.value
    if statement.key == "direction":
        return _same_side(str(said), float(value))
    if isinstance(said, bool | str):
        return bool(said == value)
    if statement.sense == "at-least":
        return bool(value >= said)
    if statement.sense == "about":
        return bool(abs(value - said) <= max(ABOUT * abs(said), 1.0))
    return bool(value == said)


def _same_side(said: str, azimuth_deg: float) -> bool:
    if said not in COMPASS_POINTS:
        return False
    away = (azimuth_deg - 45.0 * COMPASS_POINTS.index(said) + 180.0) % 360.0 - 180.0
    return abs(away) <= SAME_SIDE_DEG


def _simulated(statement: Statement, scenario: Scenario, summary: Row, reckoning: Reckoning | None) -> Simulated | None:
    if statement.key.startswith("fell_in:"):
        return _fell_in(summary, statement.key.removeprefix("fell_in:"))
    if statement.key == "attack_number":
        return _attack_number(statement, reckoning)
    if statement.key == "fell_in_other_districts":
        return _fell_elsewhere(summary, scenario)
    if statement.key == "distance_m":
        return _distance(summary, float(statement.value))
    answer = _ANSWERS.get(statement.key)
    return answer(summary) if answer else None


def _count(key: str) -> Callable[[Row], Simulated]:
    def answer(summary: Row) -> Simulated:
        n = summary["counts"][key]
        return Simulated(n, str(n), str(n))

    return answer


def _yes(happened: bool, en: str, fr: str) -> Simulated:
    return Simulated(happened, f"yes: {en}" if happened else "no", f"oui : {fr}" if happened else "non")


def _defence(summary: Row) -> Simulated:
    n = len(summary["engagements"])
    ending = "s" if n > 1 else ""
    return _yes(n > 0, f"{number(n, 'en')} engagement{ending}", f"{number(n, 'fr')} engagement{ending}")


def _sirens(summary: Row) -> Simulated:
    n = sum(z["first_alert"] is not None for z in summary["zones"])
    return _yes(n > 0, f"{n} zone{'s' if n > 1 else ''} alerted", f"{n} zone{'s' if n > 1 else ''} en alerte")


def _direction(summary: Row) -> Simulated | None:
    azimuth = main_azimuth_deg(summary)
    if azimuth is None:
        return None
    words: dict[Language, str] = {lang: f"{compass(azimuth, lang)} ({azimuth:.0f}°)" for lang in ("en", "fr")}
    return Simulated(azimuth, words["en"], words["fr"])


def main_azimuth_deg(summary: Row) -> float | None:
    """Where it came from, seen from the site: the largest launch area, else the median of where tracks began."""
    if summary["launch_areas"]:
        return float(summary["launch_areas"][0]["azimuth_deg"])
    if not summary["approach"]:
        return None
    first = summary["approach"][0]["azimuth_deg"]
    turns = sorted((a["azimuth_deg"] - first + 180.0) % 360.0 - 180.0 for a in summary["approach"])
    return float((first + turns[len(turns) // 2]) % 360.0)


def _fell_in(summary: Row, zone: str) -> Simulated:
    fell = sum(o["outcome"] == "impact" and zone in o["zones"] for o in summary["objects"])
    stopped = sum(o["outcome"] == "intercepted" and zone in o.get("undefended_zones", ()) for o in summary["objects"])
    return _with_stopped(fell, stopped)


def _fell_elsewhere(summary: Row, scenario: Scenario) -> Simulated:
    """What came down outside the zones that the reports name."""
    named = {s.key.removeprefix("fell_in:") for s in scenario.reported if s.key.startswith("fell_in:")}
    fell = sum(o["outcome"] == "impact" and not named & set(o["zones"]) for o in summary["objects"])
    stopped = sum(
        o["outcome"] == "intercepted" and not named & set(o.get("undefended_zones", ())) for o in summary["objects"]
    )
    return _with_stopped(fell, stopped)


def _with_stopped(fell: int, stopped: int) -> Simulated:
    if not stopped:
        return Simulated(fell, str(fell), str(fell))
    return Simulated(
        fell,
        f"{fell}, and {stopped} more shot down on the way there",
        f"{fell}, et {stopped} de plus abattu{'s' if stopped > 1 else ''} en chemin",
        stopped,
    )


def _distance(summary: Row, said_m: float) -> Simulated | None:
    """The impact whose distance is nearest to what was said."""
    away = [o["distance_m"] for o in summary["objects"] if o["outcome"] == "impact" and o["distance_m"] is not None]
    if not away:
        return None
    nearest = min(away, key=lambda d: abs(d - said_m))
    return Simulated(nearest, f"{nearest:.0f} m", f"{nearest:.0f} m")


def _attack_number(statement: Statement, reckoning: Reckoning | None) -> Simulated | None:
    if reckoning is None or not reckoning.ordinals:
        return None
    ordinals = sorted(reckoning.ordinals, key=lambda o: o.n != statement.value)
    first = ordinals[0]
    return Simulated(first.n, f"{first.n} (ledger, since {first.since})", f"{first.n} (registre, depuis {first.since})")


def _survey(summary: Row) -> Simulated:
    n = summary["counts"]["impacts"] + summary["counts"]["debris"]
    return Simulated(None, f"a list of {n} points to survey is written", f"une liste de {n} points à reconnaître")


_ANSWERS: dict[str, Callable[[Row], Simulated | None]] = {
    "launched": _count("launched"),
    "intercepted": _count("intercepted"),
    "impacts": _count("impacts"),
    "defence_engaged": _defence,
    "sirens_sounded": _sirens,
    "direction": _direction,
    "aircraft_after": _survey,
}
