"""One hour of the innocent sky: no siren sounds, and nothing that only flies is held for a shot."""

from innocent.watch import Tally, Watch
from opencram.site import load_site

HOUR = 4
"""It has each kind of traffic, gunfire among it, and a shower."""


def test_an_hour_of_innocent_sky_sounds_no_siren() -> None:
    watch = Watch(load_site("erbil-airport"), seed=0)
    done = list(watch.hour(HOUR))
    tally: Tally = watch.tally
    assert done[-1] == 1.0
    assert tally.plots > 1_000_000
    assert tally.tracks > 500
    assert [alarm for alarm in tally.alarms if alarm["state"] == "alert"] == []
    assert tally.false_ballistic == 0
