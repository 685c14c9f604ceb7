"""A zone's thresholds and times: from the costs that the policy states, and from how long people need.

`docs/explanation/warnings.md` derives them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Self

import numpy as np

from opencram.physics.sound import sound_delay_s
from opencram.policy import Policy
from opencram.site import Site, Zone
from opencram.tables import FloatArray

QUIET, PRE_ALERT, ALERT = 0, 1, 2

EARLY_S = 3.0
"""Waiting ends this long before the last moment to shelter: an impact may come sooner than predicted."""
UNHEARD_S = 3.0
"""Taken for the way of the warning where no siren of a zone is heard in it: as long as a kilometre of sound."""
WAIT_WORTH = 40.0
"""Waiting pays up to so many times the odds at which an alarm does. See the derivation: a tenth of the people need
longer than the zone's time to shelter, by 10 s in the mean, and a needless alarm is found out at a constant rate."""
LEAVE_SHARE = 0.5
"""A warning ends below this share of the threshold that raised it; an alert also only below the pre-alert's."""


@dataclass(frozen=True)
class Rules:
    """A zone's figures."""

    alert_p: float
    pre_alert_p: float
    sure_p: float
    """From here on an alarm for what falls does not wait, however much time is left."""
    shelter_s: float
    sound_s: float
    """How much later than its sirens' start the zone hears them."""
    hold_s: float
    all_clear_s: float
    operator_alarm_s: float
    drone_alert_s: float
    drone_pre_alert_s: float

    @property
    def last_s(self) -> float:
        """With this much time left nothing that falls can be waited for."""
        return self.shelter_s + self.sound_s + EARLY_S

    @property
    def drone_last_s(self) -> float:
        """The same for what can manoeuvre, whose arrival is the earliest."""
        return max(self.last_s, self.drone_alert_s)

    def leave_p(self, level: int) -> float:
        """The chance of a hit below which a zone at this level is no longer endangered."""
        if level == ALERT:
            return min(LEAVE_SHARE * self.alert_p, self.pre_alert_p)
        return LEAVE_SHARE * self.pre_alert_p


@dataclass(frozen=True, eq=False)
class ZoneRules:
    """All zones' rules, in the site's order, and what of them is asked for every object, as arrays (zones,)."""

    each: tuple[Rules, ...]
    pre_alert_p: FloatArray
    last_s: FloatArray
    drone_last_s: FloatArray
    drone_pre_alert_s: FloatArray

    @classmethod
    def of(cls, each: tuple[Rules, ...]) -> Self:
        """Those of all zones."""
        return cls(
            each=each,
            pre_alert_p=np.array([rules.pre_alert_p for rules in each]),
            last_s=np.array([rules.last_s for rules in each]),
            drone_last_s=np.array([rules.drone_last_s for rules in each]),
            drone_pre_alert_s=np.array([rules.drone_pre_alert_s for rules in each]),
        )


def rules_of(policy: Policy, zone: Zone, sound_s: float) -> Rules:
    """A zone's thresholds and times; it hears its sirens `sound_s` after they start."""
    alert_p = policy.cost_of(zone.kind).threshold
    return Rules(
        alert_p=alert_p,
        pre_alert_p=alert_p * policy.pre_alert_factor,
        sure_p=_times_the_odds(alert_p, WAIT_WORTH),
        shelter_s=zone.time_to_shelter_s,
        sound_s=sound_s,
        hold_s=policy.hold_s,
        all_clear_s=policy.all_clear_s,
        operator_alarm_s=policy.operator_alarm_s,
        drone_alert_s=policy.drone.alert_s,
        drone_pre_alert_s=policy.drone.pre_alert_s,
    )


def _times_the_odds(p: float, times: float) -> float:
    return times * p / (1.0 + (times - 1.0) * p)


@lru_cache(maxsize=16)
def zone_rules(site: Site) -> ZoneRules:
    """The rules of a site's zones; worked out once for a site."""
    late = (UNHEARD_S if late_s is None else late_s for late_s in sound_delay_s(site))
    each = tuple(rules_of(site.policy, zone, late_s) for zone, late_s in zip(site.zones, late, strict=True))
    return ZoneRules.of(each)
