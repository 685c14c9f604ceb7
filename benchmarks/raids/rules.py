"""Other rules tried on the same raids: the warnings' stage alone, fed again with what it was fed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from opencram.site import Site
from opencram.stages import threats_to_warnings as stage
from opencram.tables import Effect, Threats
from opencram.warning import picture
from opencram.warning.rules import Rules, ZoneRules, zone_rules
from raids.draw import raid
from raids.score import Hit, Row, rescored

CHANGES: dict[str, Callable[[Rules], Rules]] = {
    "as it is": lambda r: r,
    "sure at 0.5, whatever the costs": lambda r: replace(r, sure_p=max(0.5, r.alert_p)),
    "never sure": lambda r: replace(r, sure_p=2.0),
    "never wait": lambda r: replace(r, sure_p=r.alert_p),
    "waiting worth 20 times the odds": lambda r: replace(r, sure_p=20 * r.alert_p / (1 + 19 * r.alert_p)),
    "drones from 45 s on": lambda r: replace(r, drone_alert_s=45.0),
    "drones from 30 s on": lambda r: replace(r, drone_alert_s=30.0),
}
PATCHES: dict[str, tuple[str, Any]] = {
    "errors of a salvo wholly shared": ("any_of", lambda p, starts: np.maximum.reduceat(p, starts)),
    "what is not seen is waited for": ("UNSEEN_NS", 10**15),
    "drones come when they can": ("DRONE_LATE_NS", 0),
    "drones come up to 30 s later": ("DRONE_LATE_NS", 30_000_000_000),
}
"""Names of the picture's module that are replaced."""
EMPTY_STEP_NS, EMPTY_STEPS = 500_000_000, 500


@dataclass
class Outcome:
    """What a rule came to over all raids."""

    rows: list[Row] = field(default_factory=list)

    @property
    def hits(self) -> list[Hit]:
        """Those that it was possible to warn of in time."""
        return [hit for row in self.rows for hit in row.hits if hit.possible]


def again(row: Row, folder: Path) -> Row:
    """The row as the stage that warns would have it now; what goes before it is as it was run."""
    return _outcome(row, _ticks(folder / f"{row.number:05d}.npz"), raid(row.number).site, lambda rules: rules)


def compare(rows: Sequence[Row], folder: Path) -> dict[str, Outcome]:
    """Each rule on all raids."""
    found: dict[str, Outcome] = {}
    for row in rows:
        site, ticks = raid(row.number).site, _ticks(folder / f"{row.number:05d}.npz")
        for name, change in CHANGES.items():
            found.setdefault(name, Outcome()).rows.append(_outcome(row, ticks, site, change))
        for name, (attribute, value) in PATCHES.items():
            known = getattr(picture, attribute)
            setattr(picture, attribute, value)
            try:
                found.setdefault(name, Outcome()).rows.append(_outcome(row, ticks, site, lambda rules: rules))
            finally:
                setattr(picture, attribute, known)
    return found


Tick = tuple[int, Threats, list[Effect]]


def _ticks(path: Path) -> list[Tick]:
    """What the stage was fed; then a few minutes of an empty sky, in which every rule's alerts end."""
    names = ("time_ns", "track", "zone", "cls", "p_hit", "impact_time_ns", "debris")
    with np.load(path) as kept:
        columns = {name: kept[name] for name in names}
        now_ns, lengths, killed = (kept[name].tolist() for name in ("now_ns", "lengths", "kills"))
    kills: dict[int, list[Effect]] = {}
    for n, track in killed:
        effect = Effect(time_ns=0, engagement=0, track=track, outcome="kill", east_m=0.0, north_m=0.0, up_m=0.0)
        kills.setdefault(n, []).append(effect)
    ticks: list[Tick] = []
    end = 0
    for n, (at_ns, length) in enumerate(zip(now_ns, lengths, strict=True)):
        rows = slice(end, end + length)
        end += length
        ticks.append((at_ns, Threats(**{name: column[rows] for name, column in columns.items()}), kills.get(n, [])))
    return ticks + [(now_ns[-1] + k * EMPTY_STEP_NS, Threats.empty(), []) for k in range(1, EMPTY_STEPS)]


def _outcome(row: Row, ticks: Sequence[Tick], site: Site, change: Callable[[Rules], Rules]) -> Row:
    """The row under other rules."""
    changed = ZoneRules.of(tuple(change(rules) for rules in zone_rules(site).each))
    known, stage.zone_rules = stage.zone_rules, lambda _: changed
    try:
        state, told = stage.WarningsState(), []
        for now_ns, threats, effects in ticks:
            told += stage.threats_to_warnings(state, threats, [], effects, [], now_ns, site)[0]
    finally:
        stage.zone_rules = known
    return rescored(row, told, site)
