"""Look closer at a part of an innocent hour: `python -m innocent.look HOUR FROM TO` (seconds of that hour).

The pipeline begins anew at FROM, so a minute before what is looked for is enough. Each track that is held for ballistic
with no bullet near is told with its last plots, and each alert and pre-alert.
"""

import argparse
from collections import deque
from typing import NamedTuple

import numpy as np

from innocent.traffic import hour_of_traffic
from innocent.watch import nearest_body
from opencram.physics.threats import catalogue
from opencram.pipeline import step
from opencram.site import Site, load_site
from opencram.state import State
from opencram.tables import BALLISTIC, CONFIRMED, UNKNOWN, Outbox
from opencram.world.world import World

KEPT = 25
HEAD = "       s  status     plots  called       m/s  east, north, up m         velocity m/s           exists  falls"


class Look(NamedTuple):
    """What was asked for."""

    site: Site
    seed: int
    hour: int
    from_s: float
    to_s: float


def main() -> None:
    """Run that part and tell."""
    parser = argparse.ArgumentParser(prog="innocent.look", description=__doc__)
    parser.add_argument("hour", type=int, help="which hour, 0 the first")
    parser.add_argument("from_s", type=float, metavar="FROM", help="where the pipeline begins, s")
    parser.add_argument("to_s", type=float, metavar="TO", help="where it ends, s")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--site", default="erbil-airport", help="a built-in site or the path of one")
    given = parser.parse_args()
    look(Look(load_site(given.site), given.seed, given.hour, given.from_s, given.to_s))


def look(asked: Look) -> None:
    """Print what is held for ballistic, and what is said."""
    world = World(hour_of_traffic(asked.site, asked.seed, asked.hour), asked.site, asked.seed + asked.hour)
    state, way, told = State(defended=False), dict[int, deque[str]](), set[int]()
    while world.now_ns < min(world.end_ns, world.start_ns + round(asked.to_s * 1e9)):
        now_ns = world.now_ns + world.tick_ns
        inbox, after_s = world.advance(now_ns), (now_ns - world.start_ns) * 1e-9
        if after_s < asked.from_s:
            continue
        outbox = step(state, inbox, now_ns, asked.site)
        for row in range(len(outbox.tracks)):
            _look_at(outbox, row, after_s, way, told, world)
        for warning in outbox.warnings:
            if warning.state in ("alert", "pre-alert"):
                print(f"{after_s:8.1f} {warning.zone}: {warning.state}, {warning.reason}")


def _look_at(
    outbox: Outbox, row: int, after_s: float, way: dict[int, deque[str]], told: set[int], world: World
) -> None:
    tracks = outbox.tracks
    track = int(tracks.track[row])
    way.setdefault(track, deque(maxlen=KEPT)).append(_line(outbox, row, after_s))
    falls = tracks.status[row] == CONFIRMED and tracks.model[row] == BALLISTIC
    if not falls or track in told:
        return
    told.add(track)
    nearest = nearest_body(tracks, track, world)
    if not nearest.startswith("gunfire"):
        print(f"{after_s:8.1f} track {track} is held for ballistic; nearest: {nearest}", HEAD, *way[track], sep="\n")


def _line(outbox: Outbox, row: int, after_s: float) -> str:
    tracks, names = outbox.tracks, list(catalogue())
    cls = names[tracks.cls[row]] if tracks.cls[row] != UNKNOWN else "unknown"
    status = "confirmed" if tracks.status[row] == CONFIRMED else "tentative"
    place, velocity = (" ".join(f"{x:7.0f}" for x in tracks.mean[row, part]) for part in (slice(0, 3), slice(3, 6)))
    speed = np.linalg.norm(tracks.mean[row, 3:6])
    return (
        f"{after_s:8.1f}  {status}  {tracks.n_plots[row]:5d}  {cls:10s} {speed:5.0f}  {place}  {velocity}"
        f"  {tracks.existence[row]:6.3f} {tracks.p_ballistic[row]:6.3f}"
    )


if __name__ == "__main__":
    main()
