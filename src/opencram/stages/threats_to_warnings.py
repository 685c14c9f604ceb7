"""Threats -> warnings: which zones sound, since when, until when, and why.

Each zone is quiet, pre-alerted or alerted. `docs/explanation/warnings.md` tells the rules and where each figure is
from; in short:

- a zone is alerted when the chance of a hit passes what the costs of a miss and of a false alarm call for, and no time
  is left to know better; it is pre-alerted at a fraction of that, or while there is time;
- it is left only after the chance has stayed below a lower threshold for a while: by a cancel if nothing was due to
  come down, else by an all-clear;
- what a person or a blast sensor reports alerts a zone by itself, and so does an operator's alarm, and where the policy
  says so a sensor that falls silent; an operator's all-clear ends what nothing endangers now.

All deadlines are stored as times, so that the first tick after a gap acts on those that fell due in it. Zones that are
warned of the same objects, or one soon after the other, are one raid.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from opencram.site import Site, Zone
from opencram.tables import OPERATOR_ACTS, Effect, Observation, OperatorAct, Reject, Threats, ZoneWarning
from opencram.warning import words
from opencram.warning.picture import NOTHING, SECOND_NS, Picture, pictures
from opencram.warning.rules import ALERT, PRE_ALERT, QUIET, Rules, zone_rules

Report = Observation | OperatorAct

UPDATE_S, UPDATE_SHARE = 3.0, 0.15
"""A change of the time left is news from this much on, and from this share of what is left."""
UPDATE_EVERY_NS = 1_000_000_000
DRONE_UPDATE_EVERY_NS = 10_000_000_000
"""A drone changes its course for minutes: told of each turn, people would cease to listen."""
BANDS = (0.1, 0.5, 0.9)
"""Chances of a hit that people tell apart: possible, serious, likely, almost certain."""
REPORT_AGE_S = 60.0
"""Observations and operators' acts stamped further from now than this are refused: they speak of something else."""
RAID_GAP_NS = 60_000_000_000
"""What endangers no zone of a raid is still part of it if it comes so soon after what last did."""
ENDS = ("cancel", "all-clear")


@dataclass
class ZoneState:
    """One zone's warning, from the first pre-alert or alert to its cancel or all-clear."""

    level: int = QUIET
    raid: int = 0
    began_ns: int = 0
    """When it was first told."""
    danger_ns: int = 0
    """The last tick at which something endangered it."""
    impact_ns: int = 0
    """As of then, when the first impact was due; 0: none was."""
    over_ns: int = 0
    """As of then, when the last impact was due."""
    struck: bool = False
    """Something came down, was shot down, was reported or ordered: people need an all-clear, not a cancel."""
    observed: bool = False
    blind: bool = False
    """Whether it is warned because a sensor is silent."""
    ordered_until_ns: int = 0
    """Until when an operator's alarm stands; 0: none was raised."""
    kind: str = ""
    tracks: list[int] = field(default_factory=list)
    """All that have endangered it."""
    sources: list[str] = field(default_factory=list)
    """All who reported or ordered it, and sensors that fell silent."""
    told_tracks: list[int] = field(default_factory=list)
    told_ns: int = 0
    told_impact_ns: int = 0
    told_band: int = 0


@dataclass
class WarningsState:
    """What the stage keeps between ticks: the zones that are not quiet, by id, and the number of the newest raid."""

    zones: dict[str, ZoneState] = field(default_factory=dict)
    raid: int = 0
    raid_ns: int = 0
    """When a zone or an object last joined it."""
    silent: list[str] = field(default_factory=list)
    """Sensors that were silent at the last tick."""


@dataclass(frozen=True)
class Heard:
    """What was reported of one zone, or ordered for it, in one tick."""

    seen: Observation | None = None
    alarm: OperatorAct | None = None
    all_clear: OperatorAct | None = None
    silent: tuple[str, ...] = ()
    """Sensors that fell silent in it, where the policy has that sounded."""

    @property
    def dangerous(self) -> bool:
        """Whether somebody says that there is danger."""
        return self.seen is not None or self.alarm is not None


SILENCE = Heard()


def threats_to_warnings(
    state: WarningsState,
    threats: Threats,
    reports: Sequence[Report],
    effects: Sequence[Effect],
    silent: Sequence[str],
    now_ns: int,
    site: Site,
) -> tuple[tuple[ZoneWarning, ...], list[Reject]]:
    """The warnings of this tick, at most one a zone, in the order of the site's zones; and what was not heeded.

    `threats` are all that stand at `now_ns`; `reports` those that `sift_reports` let through; `silent` are the ids of
    the sensors from which nothing comes.
    """
    rules, heard = zone_rules(site), _heard(reports)
    hush = _fell_silent(state, silent, site)
    wanted = [n for n, zone in enumerate(site.zones) if hush or zone.id in state.zones or zone.id in heard]
    faces = pictures(threats, rules, wanted, now_ns)
    shot = {effect.track for effect in effects if effect.outcome == "kill"}
    warnings: list[ZoneWarning] = []
    unheeded: list[Reject] = []
    for index in sorted({*wanted, *faces}):
        zone, picture = site.zones[index], faces.get(index, NOTHING)
        said = heard.get(zone.id, SILENCE)
        if hush:
            said = replace(said, silent=hush)
        told = state.zones.setdefault(zone.id, ZoneState())
        if said.all_clear is not None and (why_not := _why_not(told, picture, said, zone, rules.each[index])):
            unheeded.append(_reject(now_ns, said.all_clear.by, why_not[0], why_not[1:]))
            said = replace(said, all_clear=None)
        warning = _Tick(state, told, picture, said, zone, rules.each[index], now_ns).decide(shot)
        if warning is not None:
            warnings.append(warning)
        if told.level == QUIET:
            del state.zones[zone.id]
    return tuple(warnings), unheeded


# ---- what is reported and ordered -----------------------------------------------------------------------------------


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
    found: dict[str, Heard] = {}
    for report in reversed(reports):
        known = found.get(report.zone, SILENCE)
        if isinstance(report, Observation):
            found[report.zone] = replace(known, seen=report)
        elif report.act == "alarm":
            found[report.zone] = replace(known, alarm=report)
        else:
            found[report.zone] = replace(known, all_clear=report)
    return found


def _fell_silent(state: WarningsState, silent: Sequence[str], site: Site) -> tuple[str, ...]:
    """The sensors that fell silent since the last tick, where the policy has that sounded; all are noted."""
    fresh = tuple(sensor for sensor in silent if sensor not in state.silent)
    state.silent = list(silent)
    return fresh if site.policy.stale_sensor == "alert" else ()


def _why_not(told: ZoneState, picture: Picture, heard: Heard, zone: Zone, rules: Rules) -> tuple[str, str] | None:
    """Why an operator's all-clear cannot be heeded, and what was found; None where it can."""
    if heard.dangerous or heard.silent:
        return "all-clear while something endangers the zone", f"{zone.id}: reported in the same moment"
    if told.level == QUIET:
        return "all-clear of a zone under no warning", zone.id
    if heard.all_clear is not None and heard.all_clear.time_ns < told.began_ns:
        return "all-clear older than the warning", zone.id
    if picture.p >= rules.leave_p(told.level):
        return "all-clear while something endangers the zone", f"{zone.id}: {words.facing(picture)}"
    return None


# ---- what is decided ------------------------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class _Tick:
    """One zone's tick: what it was told so far, what it faces, and what was said of it."""

    state: WarningsState
    told: ZoneState
    picture: Picture
    heard: Heard
    zone: Zone
    rules: Rules
    now_ns: int

    def decide(self, shot: set[int]) -> ZoneWarning | None:
        """At most one warning, the gravest. `shot` are the tracks that were shot down in this tick."""
        told, heard, picture = self.told, self.heard, self.picture
        told.struck |= heard.dangerous or self._struck(shot)
        endangered = picture.p >= self.rules.leave_p(told.level)
        if endangered:
            self._note_danger()
        if endangered or heard.dangerous:
            told.danger_ns = self.now_ns
        reported = self._reported()
        if reported is not None:
            return reported
        if told.level < ALERT and picture.alerts(self.rules):
            told.level = ALERT
            return self._tell("alert", words.why_alert(picture, self.zone, self.rules, self.now_ns))
        if told.level == QUIET and picture.p >= self.rules.pre_alert_p:
            told.level = PRE_ALERT
            return self._tell("pre-alert", words.why_pre_alert(picture, self.rules, self.now_ns))
        if heard.all_clear is not None:
            told.sources = _joined(told.sources, [heard.all_clear.by])
            return self._end("all-clear", f"all clear: ordered by {heard.all_clear.by}")
        if told.level != QUIET and not endangered:
            return self._ended()
        news = self._news() if told.level == ALERT else ""
        return self._tell("update", news) if news else None

    def _note_danger(self) -> None:
        told, picture = self.told, self.picture
        told.impact_ns, told.over_ns = picture.first_ns, picture.last_ns
        known = set(told.tracks)
        if not known.issuperset(picture.tracks):
            told.tracks = sorted(known.union(picture.tracks))
            if told.raid and told.raid == self.state.raid:
                self.state.raid_ns = self.now_ns

    def _struck(self, shot: set[int]) -> bool:
        """Whether an impact was due in this zone, or something that endangered it was shot down."""
        if self.told.level == QUIET:
            return False
        return 0 < self.told.impact_ns <= self.now_ns or any(track in self.told.tracks for track in shot)

    # ---- what alerts by itself ----

    def _reported(self) -> ZoneWarning | None:
        """What somebody says alerts a zone at once, or adds to the alert that it is under."""
        told, heard, picture = self.told, self.heard, self.picture
        if heard.alarm is not None:
            told.ordered_until_ns = self.now_ns + round(self.rules.operator_alarm_s * SECOND_NS)
            why = words.why_ordered(heard.alarm.by, self.zone, picture)
            return self._alert("operator", [heard.alarm.by], why)
        if heard.seen is not None and not told.observed:
            told.observed = True
            why = words.why_seen(heard.seen, self.zone, picture, self.now_ns)
            return self._alert("observed", [heard.seen.source], why)
        if heard.silent:
            told.struck = told.blind = True
            return self._alert("sensor", heard.silent, words.why_blind(heard.silent, picture))
        return None

    def _alert(self, kind: str, sources: Sequence[str], reason: str) -> ZoneWarning:
        state = "update" if self.told.level == ALERT else "alert"
        self.told.level = ALERT
        return self._tell(state, reason, kind, sources)

    # ---- how it ends ----

    def _ended(self) -> ZoneWarning | None:
        """The cancel or the all-clear, once it is due."""
        told, rules, now_ns = self.told, self.rules, self.now_ns
        if told.blind and self.state.silent:
            told.danger_ns = now_ns
            return None
        quiet_ns = max(told.danger_ns, told.over_ns) if told.struck else told.danger_ns
        wait_s = rules.all_clear_s if told.struck else rules.hold_s
        if now_ns < max(quiet_ns + wait_s * SECOND_NS, told.ordered_until_ns):
            return None
        quiet_s = (now_ns - quiet_ns) / SECOND_NS
        if told.struck:
            return self._end("all-clear", words.why_all_clear(self.zone, quiet_s))
        return self._end("cancel", words.why_cancelled(self.picture, rules.leave_p(told.level), quiet_s))

    def _end(self, state: str, reason: str) -> ZoneWarning:
        self.told.level = QUIET
        return self._warning(state, reason, tuple(self.told.tracks), tuple(self.told.sources))

    # ---- what is told in between ----

    def _news(self) -> str:
        """What people under an alert must know anew, at most once a second (of drones seldomer); empty if nothing."""
        told, picture = self.told, self.picture
        every_ns = DRONE_UPDATE_EVERY_NS if picture.kind == "drone" else UPDATE_EVERY_NS
        if self.now_ns - told.told_ns < every_ns or not picture.tracks:
            return ""
        news = []
        joined = sorted(set(picture.tracks).difference(told.told_tracks))
        if joined:
            news.append(f"{words.tracks(joined)} joined")
        if _band(picture.p) > told.told_band:
            news.append(f"the chance of a hit rose to {picture.p:.2f}")
        left_s = (picture.next_ns - self.now_ns) / SECOND_NS
        off_s = abs(picture.next_ns - told.told_impact_ns) / SECOND_NS
        if picture.next_ns and off_s > max(UPDATE_S, UPDATE_SHARE * left_s):
            news.append(f"the next impact is in {left_s:.0f} s")
        return "; ".join(news)

    def _tell(self, state: str, reason: str, kind: str = "", sources: Sequence[str] = ()) -> ZoneWarning:
        """The warning, and the note of what it told."""
        told, picture = self.told, self.picture
        if not told.began_ns:
            told.began_ns, told.raid = self.now_ns, self._raid()
        told.kind = kind or picture.kind
        told.sources = _joined(told.sources, sources)
        told.told_ns, told.told_impact_ns = self.now_ns, picture.next_ns
        told.told_tracks = sorted({*told.told_tracks, *picture.tracks})
        told.told_band = max(told.told_band, _band(picture.p))
        return self._warning(state, reason, picture.tracks, tuple(sources))

    def _raid(self) -> int:
        """That of a zone that shares an object; else the newest, if something joined it just now; else a new one."""
        state, own = self.state, set(self.told.tracks)
        for other in state.zones.values():
            if other is not self.told and not own.isdisjoint(other.tracks):
                return other.raid
        if not state.raid or self.now_ns - state.raid_ns > RAID_GAP_NS:
            state.raid += 1
        state.raid_ns = self.now_ns
        return state.raid

    def _warning(self, state: str, reason: str, tracks: tuple[int, ...], sources: tuple[str, ...]) -> ZoneWarning:
        next_ns = 0 if state in ENDS else self.picture.next_ns
        return ZoneWarning(
            time_ns=self.now_ns,
            zone=self.zone.id,
            state=state,
            tracks=tracks,
            p_hit=self.picture.p,
            seconds_left=(next_ns - self.now_ns) / SECOND_NS if next_ns else None,
            kind=self.told.kind,
            reason=reason,
            raid=self.told.raid,
            sources=sources,
        )


def _joined(known: Sequence[str], more: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*known, *more]))


def _band(p: float) -> int:
    return bisect_right(BANDS, p)
