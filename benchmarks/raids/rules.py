"""Other rules tried on the same raids: the warnings' stage alone, fed again with what it was fed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from opencram.site import Site
from opencram.stages import threats_to_warnings as stage
from opencram.tables import Effect, Threats, ZoneWarning
from opencram.warning import picture
from opencram.warning.rules import Rules, ZoneRules, zone_rules
from raids.draw import raid
from raids.score import Row, alarms, alert_before

CHANGES: dict[str, Callable[[Rules], Rules]] = {
    "as it is": lambda r: r,
    "sure at 0.5, whatever the costs": lambda r: replace(r, sure_p=max(0.5, r.alert_p)),
    "never sure": lambda r: replace(r, sure_p=2.0),
    "never wait": lambda r: replace(r, sure_p=r.alert_p),
    "waiting worth 10 times the odds": lambda r: replace(r, sure_p=10 * r.alert_p / (1 + 9 * r.alert_p)),
    "waiting worth 20 times the odds": lambda r: replace(r, sure_p=20 * r.alert_p / (1 + 19 * r.alert_p)),
    "drones from 45 s on": lambda r: replace(r, drone_alert_s=45.0),
    "drones from 30 s on": lambda r: replace(r, drone_alert_s=30.0),
    "sound taken for 3 s everywhere": lambda r: replace(r, sound_s=3.0),
}
PATCHES: dict[str, tuple[str, Any]] = {
    "errors of a salvo wholly shared": ("any_of", lambda p, starts: np.maximum.reduceat(p, starts)),
    "drones come when they can": ("DRONE_LATE_NS", 0),
    "drones come up to 30 s later": ("DRONE_LATE_NS", 30_000_000_000),
    "drones come up to 120 s later": ("DRONE_LATE_NS", 120_000_000_000),
}
"""Names of the picture's module that are replaced."""


@dataclass
class Outcome:
    """What a rule came to over all raids."""

    possible: int = 0
    in_time: int = 0
    needless_person_min: float = 0.0
    needless: int = 0
    alarms: int = 0
    cancels: int = 0
    leads_s: list[float | None] = None  # type: ignore[assignment]


def compare(rows: Sequence[Row], folder: Path) -> dict[str, Outcome]:
    """Each rule on all raids whose trace was kept."""
    found: dict[str, Outcome] = {}
    for row in rows:
        path = folder / f"{row.number:05d}.npz"
        if not path.is_file():
            continue
        site = raid(row.number).site
        with np.load(path) as kept:
            ticks = list(_ticks(kept))
        for name, change in CHANGES.items():
            _add(found.setdefault(name, Outcome(leads_s=[])), row, site, _again(ticks, site, change))
        for name, (attribute, value) in PATCHES.items():
            known = getattr(picture, attribute)
            setattr(picture, attribute, value)
            try:
                _add(found.setdefault(name, Outcome(leads_s=[])), row, site, _again(ticks, site, lambda r: r))
            finally:
                setattr(picture, attribute, known)
    return found


def _ticks(kept):  # noqa: ANN001, ANN202
    names = ("time_ns", "track", "zone", "cls", "p_hit", "impact_time_ns", "debris")
    columns = {name: kept[name] for name in names}
    ends = np.cumsum(kept["lengths"])
    kills: dict[int, list[Effect]] = {}
    for n, track in kept["kills"].tolist():
        kills.setdefault(n, []).append(
            Effect(time_ns=0, engagement=0, track=track, outcome="kill", east_m=0.0, north_m=0.0, up_m=0.0)
        )
    for n, (now_ns, end, length) in enumerate(
        zip(kept["now_ns"].tolist(), ends.tolist(), kept["lengths"].tolist(), strict=True)
    ):
        rows = slice(end - length, end)
        yield now_ns, Threats(**{name: column[rows] for name, column in columns.items()}), kills.get(n, [])


def _again(ticks, site: Site, change: Callable[[Rules], Rules]) -> list[ZoneWarning]:  # noqa: ANN001
    each = tuple(change(rules) for rules in zone_rules(site).each)
    changed = ZoneRules.of(each)
    known, stage.zone_rules = stage.zone_rules, lambda _: changed
    try:
        state, told = stage.WarningsState(), []
        for now_ns, threats, effects in ticks:
            told += stage.threats_to_warnings(state, threats, [], effects, [], now_ns, site)[0]
    finally:
        stage.zone_rules = known
    return told


def _add(outcome: Outcome, row: Row, site: Site, told: list[ZoneWarning]) -> None:
    for hit in row.hits:
        if not hit.possible:
            continue
        outcome.possible += 1
        at_ns = alert_before(told, hit.zone, hit.impact_ns)
        lead_s = None if at_ns is None else (hit.impact_ns - at_ns) * 1e-9 - hit.sound_s
        outcome.leads_s.append(lead_s)
        outcome.in_time += lead_s is not None and lead_s >= hit.shelter_s
    for alarm in alarms(told, site, row.harmed, lambda _: True):
        outcome.alarms += 1
        outcome.cancels += alarm.ended == "cancel"
        if not alarm.needed:
            outcome.needless += 1
            outcome.needless_person_min += alarm.people * alarm.seconds / 60.0


if __name__ == "__main__":
    import sys

    lines = Path(sys.argv[1]).read_bytes().splitlines()
    result = compare([msgspec.json.decode(line, type=Row) for line in lines], Path(sys.argv[2]))
    for name, o in result.items():
        leads = [lead for lead in o.leads_s if lead is not None]
        print(
            f"{name:36} in time {o.in_time}/{o.possible} = {100 * o.in_time / max(o.possible, 1):.2f} % "
            f"lead median {np.median(leads):.1f} 10% {np.percentile(leads, 10):.1f} alarms {o.alarms} "
            f"needless {o.needless} = {o.needless_person_min:,.0f} person-min, cancels {o.cancels}"
        )
