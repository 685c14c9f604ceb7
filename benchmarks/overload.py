"""Ten times as many plots as are stated, for a minute, with a raid in their midst: a real service over real UDP.

The same raid is sent three times: alone, amid as many false plots as are stated to be borne (half of the room that each
radar's scans have), and amid ten times as many. What counts is how much later each zone's
sirens are told of it, what was left out and where that stands, and how soon after the flood no tick is late any more.
"""

import argparse
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from live_service import LiveService, Noise, play
from opencram.physics.layout import layout_of
from opencram.site import load_site
from opencram.tracking.overload import room_of

SITE, RAID = "baghdad-embassy", "baghdad-2020-11-17"
BEFORE_S, LATE_S, AFTER_S = 10.0, 0.1, 15.0


@dataclass
class Outcome:
    """What came of a raid."""

    alerts_s: dict[str, float]
    """By zone, when its sirens were first told, after the raid began."""
    counts: dict[str, int]
    told: list[str]
    """What the operator was shown while it lasted."""
    sent: int
    recovered_s: float
    """After the flood, until the last tick that was over 0.1 s late."""
    memory_mb: float


def raid(folder: Path, times: float, flood_s: float) -> Outcome:
    """Send the raid, BEFORE_S after the flood has begun."""
    site, told = load_site(SITE), set[str]()
    stated = [0.5 * room_of(layout_of(site), k) for k in range(len(site.sensors))]
    noises = [Noise(s, times * n / s.update_s) for s, n in zip(site.sensors, stated, strict=True)] if times else []
    with LiveService(folder, SITE) as service:
        flood_ends_s = time.time() + flood_s
        began = [0.0]

        def send() -> None:
            if noises:
                play(service.port, SITE, "", time.time() + BEFORE_S, noises)
            began[0] = play(service.port, SITE, RAID, flood_ends_s, noises)

        sending = threading.Thread(target=send)
        sending.start()
        while sending.is_alive():
            time.sleep(0.5)
            health = service.health() or {"notes": ["no answer"]}
            told |= {note.split(":")[0][:110] for note in health["notes"]}
        ended_s, last_s, late = time.time(), 0.0, service.late(LATE_S)
        while time.time() - ended_s < AFTER_S:
            time.sleep(0.1)
            if (now := service.late(LATE_S)) != late:
                late, last_s = now, time.time() - ended_s
        alerts: dict[str, float] = {}
        for command in service.commands():
            after_s = command["issued_ns"] * 1e-9 - began[0]
            if command["kind"] == "rocket" and command["id"].endswith("/0") and after_s > 0.0:
                alerts.setdefault(command["zone"], after_s)
        counts = (service.health() or {})["counts"]
        return Outcome(alerts, counts, sorted(told), sum(n.sent for n in noises), last_s, service.memory_mb())


def main() -> None:
    """Print what came of both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=float, default=10.0, help="so many times the stated rate (default 10)")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the flood lasts (default 60)")
    args = parser.parse_args()
    found = []
    for times in (0.0, 1.0, args.times):
        with tempfile.TemporaryDirectory() as folder:
            one = raid(Path(folder), times, args.seconds)
        found.append(one)
        per_s = one.sent / args.seconds
        print(f"{times:g} times the stated rate for {args.seconds:g} s: {per_s:,.0f} false plots a second")
        for zone, after_s in sorted(one.alerts_s.items()):
            quiet_s = found[0].alerts_s.get(zone)
            beside = "" if quiet_s is None else f", {after_s - quiet_s:+.2f} s beside the raid alone"
            print(f"  {zone:14} told {after_s:6.2f} s after the raid began{beside}")
        for name, count in sorted(one.counts.items()):
            print(f"  counted  {name}: {count:,}")
        for note in one.told:
            print(f"  shown    {note}")
        print(f"  last tick over {LATE_S:g} s late: {one.recovered_s:.1f} s after the end; {one.memory_mb:.0f} MB")


if __name__ == "__main__":
    main()
