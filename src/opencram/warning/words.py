"""The reasons of warnings, in words with their figures."""

from collections.abc import Sequence

from opencram.site import Zone
from opencram.tables import Observation
from opencram.warning.picture import SECOND_NS, Picture
from opencram.warning.rules import Rules


def why_alert(picture: Picture, zone: Zone, rules: Rules, now_ns: int) -> str:
    """Of an alert that what is in the air gives rise to."""
    ratio = 1.0 / rules.alert_p - 1.0
    return (
        f"{tracks(picture.tracks)} ({picture.kind}) may hit {zone.name}: chance {picture.p:.2g}, "
        f"alert from {rules.alert_p:.2g} on (a miss costs {ratio:.0f} times a false alarm); "
        f"{_when(picture, now_ns)}, time to shelter {rules.shelter_s:.0f} s and {rules.sound_s:.0f} s for the sound"
    )


def why_pre_alert(picture: Picture, rules: Rules, now_ns: int) -> str:
    """Of a pre-alert."""
    early = picture.p >= rules.alert_p
    wait = "there is time to know better" if early else f"alert from {rules.alert_p:.2g} on"
    return (
        f"{tracks(picture.tracks)} ({picture.kind}): chance of a hit {picture.p:.2g}, "
        f"pre-alert from {rules.pre_alert_p:.2g} on; {_when(picture, now_ns)}; {wait}"
    )


def why_seen(report: Observation, zone: Zone, picture: Picture, now_ns: int) -> str:
    """Of what somebody or something reported."""
    age_s = max((now_ns - report.time_ns) / SECOND_NS, 0.0)
    return f"{report.source} reported {report.kind} in {zone.name} {age_s:.1f} s ago{_beside(picture)}"


def why_ordered(by: str, zone: Zone, picture: Picture) -> str:
    """Of an operator's alarm."""
    return f"{by} raised the alarm for {zone.name}{_beside(picture)}"


def why_blind(sensors: Sequence[str], picture: Picture) -> str:
    """Of sensors that fell silent."""
    return f"{names(sensors)} fell silent: what comes may not be seen{_beside(picture)}"


def why_all_clear(zone: Zone, quiet_s: float) -> str:
    """Of an all-clear by rule."""
    return f"all clear: nothing in the air could reach {zone.name} for {quiet_s:.0f} s and the last impact is over"


def why_cancelled(picture: Picture, leave_p: float, quiet_s: float) -> str:
    """Of a cancel."""
    return (
        f"cancelled: the chance of a hit fell to {picture.p:.2g} and stayed below "
        f"{leave_p:.2g} for {quiet_s:.0f} s before anything was due to come down"
    )


def facing(picture: Picture) -> str:
    """'track 3, chance 0.2'."""
    return f"{tracks(picture.tracks)}, chance {picture.p:.2g}"


def tracks(numbers: Sequence[int]) -> str:
    """'track 3' or 'tracks 3, 5 and 9'."""
    return f"track{'s' if len(numbers) > 1 else ''} {names([str(number) for number in numbers])}"


def names(ids: Sequence[str]) -> str:
    """'a', or 'a, b and c'."""
    return ids[0] if len(ids) == 1 else f"{', '.join(ids[:-1])} and {ids[-1]}"


def _when(picture: Picture, now_ns: int) -> str:
    if not picture.next_ns:
        return "impact is due now"
    return f"first impact in {(picture.next_ns - now_ns) / SECOND_NS:.0f} s"


def _beside(picture: Picture) -> str:
    return f"; {tracks(picture.tracks)} may also hit it, chance {picture.p:.2g}" if picture.tracks else ""
