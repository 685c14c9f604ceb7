"""Threats -> warnings: which zones sound, since when, until when, and why.

Each zone is quiet, pre-alerted or alerted. `docs/explanation/warnings.md` tells the rules and where each figure is
from; in short:

- a zone is alerted when the chance of a hit passes what the costs of a miss and of a false alarm call for, and no time
  is left to know better; it is pre-alerted at a fraction of that, or while there is time;
- it is left only after the chance has stayed below a lower threshold for a while: by a cancel if nothing was due to
  come down, else by an all-clear;
- what a person or a blast sensor reports alerts a zone by itself, and so does an operator's alarm; an operator's
  all-clear ends what nothing endangers now.

All deadlines are stored as times, so that the first tick after a gap acts on those that fell due in it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache

from opencram.physics.threats import catalogue
from opencram.policy import Policy
from opencram.site import Site, Zone
from opencram.tables import OPERATOR_ACTS, UNKNOWN, Effect, Observation, OperatorAct, Reject, Threats, ZoneWarning

Report = Observation | OperatorAct

QUIET, PRE_ALERT, ALERT = 0, 1, 2

SURE_P = 0.5
"""From here on waiting teaches nothing that would change the decision."""
DECIDE_S = 6.0
"""Waiting ends this long before the last moment to shelter: half for a kilometre of sound, half for an early hit."""
LEAVE_SHARE = 0.5
"""A warning ends below this share of the threshold that raised it; an alert also only below the pre-alert's."""
UPDATE_S, UPDATE_SHARE = 3.0, 0.15
"""A change of the time left is news from this much on, and from this share of what is left."""
UPDATE_EVERY_NS = 1_000_000_000
DRONE_UPDATE_EVERY_NS = 10_000_000_000
"""A drone changes its course for minutes: told of each turn, people would cease to listen."""
BANDS = (0.1, 0.5, 0.9)
"""Chances of a hit that people tell apart: possible, serious, likely, almost certain."""
REPORT_AGE_S = 60.0
"""Observations and operators' acts stamped further from now than this are refused: they speak of something else."""
SECOND_NS = 1_000_000_000


@dataclass
class ZoneState:
    """One zone's warning, from the first pre-alert or alert to its cancel or all-clear."""

    level: int = QUIET
    danger_ns: int = 0
    """The last tick at which something endangered it."""
    impact_ns: int = 0
    """As of then, when the first impact was due; 0: none was."""
    over_ns: int = 0
    """As of then, when the last impact was due."""
    struck: bool = False
    """Something came down, was shot down or was reported: people need an all-clear, not a cancel."""
    observed: bool = False
    began_ns: int = 0
    """When its first pre-alert or alert was told."""
    ordered_until_ns: int = 0
    """Until when an operator's alarm stands; 0: none was raised."""
    kind: str = ""
    tracks: list[int] = field(default_factory=list)
    """All that have endangered it."""
    told_tracks: list[int] = field(default_factory=list)
    told_ns: int = 0
    told_impact_ns: int = 0
    told_band: int = 0


@dataclass
class WarningsState:
    """What the stage keeps between ticks: the zones that are not quiet, by id."""

    zones: dict[str, ZoneState] = field(default_factory=dict)


@dataclass(frozen=True)
class Rules:
    """A zone's figures, from the site's policy."""

    alert_p: float
    pre_alert_p: float
    shelter_s: float
    hold_s: float
    all_clear_s: float
    operator_alarm_s: float
    drone_alert_s: float
    drone_pre_alert_s: float


@dataclass(frozen=True)
class Danger:
    """One object as it endangers one zone now."""

    track: int
    p: float
    impact_ns: int
    left_s: float
    kind: str


@dataclass(frozen=True)
class Heard:
    """What was reported of one zone, or ordered for it, in one tick."""

    seen: Observation | None = None
    alarm: OperatorAct | None = None
    all_clear: OperatorAct | None = None

    @property
    def dangerous(self) -> bool:
        """Whether somebody says that there is danger."""
        return self.seen is not None or self.alarm is not None


SILENCE = Heard()


@dataclass(frozen=True)
class Picture:
    """What one zone faces at one tick."""

    p: float
    """Chance that anything that counts hits the zone."""
    p_pressing: float
    """The same of what leaves no time to know better."""
    p_falling: float
    """The same of what falls, whose end is foreseen: of a drone only what it can reach is."""
    tracks: tuple[int, ...]
    """The objects that matter, by number."""
    kind: str
    first_ns: int
    """When the first impact is due, also where just past; 0: nothing is coming."""
    next_ns: int
    """The first impact still to come; 0: none."""
    last_ns: int


NOTHING = Picture(0.0, 0.0, 0.0, (), "", 0, 0, 0)


def threats_to_warnings(
    state: WarningsState,
    threats: Threats,
    reports: Sequence[Report],
    effects: Sequence[Effect],
    now_ns: int,
    site: Site,
) -> tuple[tuple[ZoneWarning, ...], list[Reject]]:
    """The warnings of this tick, at most one a zone, in the order of the site's zones; and what was not heeded.

    `threats` are all that stand at `now_ns`; `reports` those that `sift_reports` let through.
    """
    dangers, rules, heard = _by_zone(threats, now_ns), _rules(site), _heard(reports)
    shot = {effect.track for effect in effects if effect.outcome == "kill"}
    warnings, unheeded = [], []
    for index, zone in enumerate(site.zones):
        facing, said = dangers.get(index, []), heard.get(zone.id, SILENCE)
        if not facing and said is SILENCE and zone.id not in state.zones:
            continue
        told = state.zones.setdefault(zone.id, ZoneState())
        picture = assess(facing, rules[index])
        if said.all_clear is not None and (why_not := _why_not(told, picture, said, zone, rules[index])):
            unheeded.append(_reject(now_ns, said.all_clear.by, why_not[0], why_not[1:]))
            said = replace(said, all_clear=None)
        warning = _decide(told, picture, said, shot, zone, rules[index], now_ns)
        if warning is not None:
            warnings.append(warning)
        if told.level == QUIET:
            del state.zones[zone.id]
    return tuple(warnings), unheeded


def sift_reports(reports: Iterable[Report], now_ns: int, site: Site) -> tuple[list[Report], list[Reject]]:
    """Those that name a zone of the site and speak of now; the others are refused, counted by source and reason."""
    zones = {zone.id for zone in site.zones}
    good: list[Report] = []
    bad: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        source, what = _who_and_what(report)
        if report.zone not in zones:
            bad.setdefault((source, f"{what} of an unknown zone"), []).append(report.zone)
        elif abs(report.time_ns - now_ns) > REPORT_AGE_S * SECOND_NS:
            age = f"{(now_ns - report.time_ns) / SECOND_NS:.0f} s old"
            bad.setdefault((source, f"{what} not of the present"), []).append(age)
        elif isinstance(report, OperatorAct) and report.act not in OPERATOR_ACTS:
            bad.setdefault((source, f"{what} that is none of {', '.join(OPERATOR_ACTS)}"), []).append(report.act)
        else:
            good.append(report)
    return good, [_reject(now_ns, source, reason, found) for (source, reason), found in sorted(bad.items())]


def _who_and_what(report: Report) -> tuple[str, str]:
    return (report.by, "operator's act") if isinstance(report, OperatorAct) else (report.source, "observation")


def _reject(now_ns: int, source: str, reason: str, found: Sequence[str]) -> Reject:
    return Reject(time_ns=now_ns, source=source, reason=reason, count=len(found), sample=found[0])


def _heard(reports: Sequence[Report]) -> dict[str, Heard]:
    """What was said of each zone: of several of a kind in one tick, the first."""
    found: dict[str, dict[str, Report]] = {}
    for report in reports:
        what = report.act.replace("-", "_") if isinstance(report, OperatorAct) else "seen"
        found.setdefault(report.zone, {}).setdefault(what, report)
    return {zone: Heard(**said) for zone, said in found.items()}  # type: ignore[arg-type]


@lru_cache(maxsize=16)
def _rules(site: Site) -> tuple[Rules, ...]:
    """Each zone's thresholds and times, in the order of the site's zones."""
    return tuple(rules_of(site.policy, zone) for zone in site.zones)


def rules_of(policy: Policy, zone: Zone) -> Rules:
    """A zone's thresholds and times."""
    alert_p = policy.cost_of(zone.kind).threshold
    return Rules(
        alert_p=alert_p,
        pre_alert_p=alert_p * policy.pre_alert_factor,
        shelter_s=zone.time_to_shelter_s,
        hold_s=policy.hold_s,
        all_clear_s=policy.all_clear_s,
        operator_alarm_s=policy.operator_alarm_s,
        drone_alert_s=policy.drone.alert_s,
        drone_pre_alert_s=policy.drone.pre_alert_s,
    )


# ---- what a zone faces ----------------------------------------------------------------------------------------------


@cache
def _families() -> tuple[str, ...]:
    return tuple(threat.family for threat in catalogue().values())


def _by_zone(threats: Threats, now_ns: int) -> dict[int, list[Danger]]:
    """The objects that each zone faces, by the zone's index, in the table's order."""
    found: dict[int, list[Danger]] = {}
    columns = (threats.track, threats.zone, threats.cls, threats.p_hit, threats.impact_time_ns, threats.debris)
    for track, zone, cls, p, impact_ns, debris in zip(*(c.tolist() for c in columns), strict=True):
        kind = "debris" if debris else _kind(cls)
        danger = Danger(track, p, impact_ns, (impact_ns - now_ns) / SECOND_NS, kind)
        found.setdefault(zone, []).append(danger)
    return found


def _kind(cls: int) -> str:
    """'drone' for what flies by its own power; all else falls like a rocket."""
    return "drone" if cls != UNKNOWN and _families()[cls] == "drone" else "rocket"


def assess(facing: Sequence[Danger], rules: Rules) -> Picture:
    """Sum up the objects that one zone faces."""
    spared = spared_now = spared_falling = 1.0
    worst: Danger | None = None
    matter: list[Danger] = []
    for d in facing:
        if d.kind == "drone":
            if d.left_s > rules.drone_pre_alert_s:
                continue
        else:
            spared_falling *= 1.0 - d.p
        spared *= 1.0 - d.p
        if presses(d, rules):
            spared_now *= 1.0 - d.p
        if worst is None or (d.p, -d.impact_ns, -d.track) > (worst.p, -worst.impact_ns, -worst.track):
            worst = d
        if d.p >= rules.pre_alert_p:
            matter.append(d)
    if worst is None:
        return NOTHING
    matter = matter or [worst]
    return Picture(
        p=1.0 - spared,
        p_pressing=1.0 - spared_now,
        p_falling=1.0 - spared_falling,
        tracks=tuple(sorted({d.track for d in matter})),
        kind=worst.kind,
        first_ns=min(d.impact_ns for d in matter),
        next_ns=min((d.impact_ns for d in matter if d.left_s > 0.0), default=0),
        last_ns=max(d.impact_ns for d in matter),
    )


def presses(danger: Danger, rules: Rules) -> bool:
    """Whether there is no time left to know better."""
    last_s = rules.shelter_s + DECIDE_S
    return danger.left_s <= (max(last_s, rules.drone_alert_s) if danger.kind == "drone" else last_s)


# ---- what is decided ------------------------------------------------------------------------------------------------


def _decide(
    told: ZoneState, picture: Picture, heard: Heard, shot: set[int], zone: Zone, rules: Rules, now_ns: int
) -> ZoneWarning | None:
    """One zone's tick; at most one warning, the gravest."""
    told.struck |= heard.dangerous or _struck(told, shot, now_ns)
    endangered = picture.p >= leave_p(told.level, rules)
    if endangered and picture.tracks:
        told.impact_ns, told.over_ns = picture.first_ns, picture.last_ns
        told.tracks = sorted({*told.tracks, *picture.tracks})
    if endangered or heard.dangerous:
        told.danger_ns = now_ns
    if heard.alarm is not None:
        return _tell_alarm(told, picture, heard.alarm, zone, rules, now_ns)
    if heard.seen is not None and not told.observed:
        told.observed = True
        return _tell_report(told, picture, heard.seen, zone, now_ns)
    if told.level < ALERT and _alerts(picture, rules):
        told.level = ALERT
        return _tell(told, "alert", picture, picture.kind, zone, _why_alert(picture, zone, rules, now_ns), now_ns)
    if told.level == QUIET and picture.p >= rules.pre_alert_p:
        told.level = PRE_ALERT
        return _tell(told, "pre-alert", picture, picture.kind, zone, _why_pre_alert(picture, rules, now_ns), now_ns)
    if heard.all_clear is not None:
        return _ended(told, "all-clear", picture, zone, f"all clear: ordered by {heard.all_clear.by}", now_ns)
    if told.level != QUIET and not endangered:
        return _end(told, picture, zone, rules, now_ns)
    news = _news(told, picture, now_ns) if told.level == ALERT else ""
    return _tell(told, "update", picture, picture.kind, zone, news, now_ns) if news else None


def _alerts(picture: Picture, rules: Rules) -> bool:
    return picture.p_pressing >= rules.alert_p or picture.p_falling >= max(SURE_P, rules.alert_p)


def _struck(told: ZoneState, shot: set[int], now_ns: int) -> bool:
    """Whether an impact was due in this zone, or something that endangered it was shot down."""
    if told.level == QUIET:
        return False
    return 0 < told.impact_ns <= now_ns or not shot.isdisjoint(told.tracks)


def leave_p(level: int, rules: Rules) -> float:
    """The chance of a hit below which a zone at this level is no longer endangered."""
    if level == ALERT:
        return min(LEAVE_SHARE * rules.alert_p, rules.pre_alert_p)
    return LEAVE_SHARE * rules.pre_alert_p


def _end(told: ZoneState, picture: Picture, zone: Zone, rules: Rules, now_ns: int) -> ZoneWarning | None:
    """The cancel or the all-clear, once it is due."""
    quiet_ns = max(told.danger_ns, told.over_ns) if told.struck else told.danger_ns
    wait_s = rules.all_clear_s if told.struck else rules.hold_s
    if now_ns < max(quiet_ns + wait_s * SECOND_NS, told.ordered_until_ns):
        return None
    quiet_s = (now_ns - quiet_ns) / SECOND_NS
    if told.struck:
        reason = (
            f"all clear: nothing in the air could reach {zone.name} for {quiet_s:.0f} s and the last impact is over"
        )
        return _ended(told, "all-clear", picture, zone, reason, now_ns)
    reason = (
        f"cancelled: the chance of a hit fell to {picture.p:.2g} and stayed below "
        f"{leave_p(told.level, rules):.2g} for {quiet_s:.0f} s before anything was due to come down"
    )
    return _ended(told, "cancel", picture, zone, reason, now_ns)


def _why_not(told: ZoneState, picture: Picture, heard: Heard, zone: Zone, rules: Rules) -> tuple[str, str] | None:
    """Why an operator's all-clear cannot be heeded, and what was found; None where it can."""
    if heard.dangerous:
        return "all-clear while something endangers the zone", f"{zone.id}: reported in the same moment"
    if told.level == QUIET:
        return "all-clear of a zone under no warning", zone.id
    if heard.all_clear is not None and heard.all_clear.time_ns < told.began_ns:
        return "all-clear older than the warning", zone.id
    if picture.p >= leave_p(told.level, rules):
        return "all-clear while something endangers the zone", f"{zone.id}: {_facing(picture)}"
    return None


def _ended(told: ZoneState, state: str, picture: Picture, zone: Zone, reason: str, now_ns: int) -> ZoneWarning:
    told.level = QUIET
    return ZoneWarning(
        time_ns=now_ns,
        zone=zone.id,
        state=state,
        tracks=tuple(told.tracks),
        p_hit=picture.p,
        seconds_left=None,
        kind=told.kind,
        reason=reason,
    )


def _news(told: ZoneState, picture: Picture, now_ns: int) -> str:
    """What people under an alert must know anew, at most once a second (of drones seldomer); empty if nothing."""
    every_ns = DRONE_UPDATE_EVERY_NS if picture.kind == "drone" else UPDATE_EVERY_NS
    if now_ns - told.told_ns < every_ns or not picture.tracks:
        return ""
    news = []
    joined = [track for track in picture.tracks if track not in told.told_tracks]
    if joined:
        news.append(f"{_tracks(joined)} joined")
    if _band(picture.p) > told.told_band:
        news.append(f"the chance of a hit rose to {picture.p:.2f}")
    left_s = (picture.next_ns - now_ns) / SECOND_NS
    off_s = abs(picture.next_ns - told.told_impact_ns) / SECOND_NS
    if picture.next_ns and off_s > max(UPDATE_S, UPDATE_SHARE * left_s):
        news.append(f"the next impact is in {left_s:.0f} s")
    return "; ".join(news)


def _band(p: float) -> int:
    return sum(p >= edge for edge in BANDS)


# ---- what is told ---------------------------------------------------------------------------------------------------


def _tell(
    told: ZoneState, state: str, picture: Picture, kind: str, zone: Zone, reason: str, now_ns: int
) -> ZoneWarning:
    """The warning, and the note of what it told."""
    told.kind, told.began_ns = kind, told.began_ns or now_ns
    told.told_ns, told.told_impact_ns = now_ns, picture.next_ns
    told.told_tracks = sorted({*told.told_tracks, *picture.tracks})
    told.told_band = max(told.told_band, _band(picture.p))
    return ZoneWarning(
        time_ns=now_ns,
        zone=zone.id,
        state=state,
        tracks=picture.tracks,
        p_hit=picture.p,
        seconds_left=(picture.next_ns - now_ns) / SECOND_NS if picture.next_ns else None,
        kind=kind,
        reason=reason,
    )


def _tell_report(told: ZoneState, picture: Picture, report: Observation, zone: Zone, now_ns: int) -> ZoneWarning:
    """A report alerts a zone at once, or adds to the alert that it is under."""
    state = "update" if told.level == ALERT else "alert"
    told.level = ALERT
    age_s = max((now_ns - report.time_ns) / SECOND_NS, 0.0)
    reason = f"{report.source} reported {report.kind} in {zone.name} {age_s:.1f} s ago{_beside(picture)}"
    return _tell(told, state, picture, "observed", zone, reason, now_ns)


def _tell_alarm(
    told: ZoneState, picture: Picture, act: OperatorAct, zone: Zone, rules: Rules, now_ns: int
) -> ZoneWarning:
    """An operator's alarm alerts a zone at once, or adds to the alert that it is under; each is told."""
    state = "update" if told.level == ALERT else "alert"
    told.level, told.ordered_until_ns = ALERT, now_ns + round(rules.operator_alarm_s * SECOND_NS)
    reason = f"{act.by} raised the alarm for {zone.name}{_beside(picture)}"
    return _tell(told, state, picture, "operator", zone, reason, now_ns)


def _facing(picture: Picture) -> str:
    return f"{_tracks(picture.tracks)}, chance {picture.p:.2g}"


def _beside(picture: Picture) -> str:
    return f"; {_tracks(picture.tracks)} may also hit it, chance {picture.p:.2g}" if picture.tracks else ""


def _why_alert(picture: Picture, zone: Zone, rules: Rules, now_ns: int) -> str:
    ratio = 1.0 / rules.alert_p - 1.0
    return (
        f"{_tracks(picture.tracks)} ({picture.kind}) may hit {zone.name}: chance {picture.p:.2g}, "
        f"alert from {rules.alert_p:.2g} on (a miss costs {ratio:.0f} times a false alarm); "
        f"{_when(picture, now_ns)}, time to shelter {rules.shelter_s:.0f} s"
    )


def _why_pre_alert(picture: Picture, rules: Rules, now_ns: int) -> str:
    early = picture.p >= rules.alert_p
    wait = "there is time to know better" if early else f"alert from {rules.alert_p:.2g} on"
    return (
        f"{_tracks(picture.tracks)} ({picture.kind}): chance of a hit {picture.p:.2g}, "
        f"pre-alert from {rules.pre_alert_p:.2g} on; {_when(picture, now_ns)}; {wait}"
    )


def _when(picture: Picture, now_ns: int) -> str:
    if not picture.next_ns:
        return "impact is due now"
    return f"first impact in {(picture.next_ns - now_ns) / SECOND_NS:.0f} s"


def _tracks(tracks: Sequence[int]) -> str:
    """'track 3' or 'tracks 3, 5 and 9'."""
    names = [str(track) for track in tracks]
    if len(names) == 1:
        return f"track {names[0]}"
    return f"tracks {', '.join(names[:-1])} and {names[-1]}"
