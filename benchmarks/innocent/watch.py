"""Hours of innocent traffic through the whole pipeline, nothing kept of a tick: what was said that should not be.

Each hour is a world of its own; the pipeline's state goes on from hour to hour, as it does in a service.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from innocent.traffic import HOUR_S, hour_of_traffic
from opencram.physics.threats import catalogue
from opencram.pipeline import step
from opencram.site import Site
from opencram.state import State
from opencram.tables import BALLISTIC, CONFIRMED, UNKNOWN, FloatArray, IntArray, Outbox, Tracks
from opencram.world.world import World
from processes import resident_mb

NEAR_M = 300.0
"""A track follows a ballistic object if one is this near while it is held for ballistic."""
TOLD = ("alert", "pre-alert")
REASONS_KEPT = 200


@dataclass
class Seen:
    """A track that was ever confirmed: at how many updates it was ballistic, and at how many a bullet was near then."""

    ballistic: int = 0
    near_bullet: int = 0


@dataclass
class Tally:
    """What an innocent sky came to so far."""

    hours: float = 0.0
    plots: int = 0
    tracks: int = 0
    false_ballistic: int = 0
    gunfire_tracks: int = 0
    gunfire_called: int = 0
    """Tracks of bullets that were ever called a mortar bomb, a rocket or a shell."""
    alerts: int = 0
    pre_alerts: int = 0
    alarms: list[dict[str, Any]] = field(default_factory=list)
    """The first of them, each with its reason."""
    wall_s: float = 0.0
    memory_mb: list[float] = field(default_factory=list)
    """Resident memory at the start and after each hour."""

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {**vars(self), "times_real": self.hours * HOUR_S / max(self.wall_s, 1e-9)}


class Watch:
    """Runs hour after hour and keeps the tally."""

    def __init__(self, site: Site, seed: int) -> None:
        self.site, self.seed = site, seed
        self.state, self.tally = State(defended=False), Tally(memory_mb=[resident_mb()])
        self._seen: dict[int, Seen] = {}
        self._called: set[int] = set()

    def hour(self, hour: int, seconds: float = HOUR_S) -> Iterator[float]:
        """One hour, or its first seconds; the share that is done, now and then."""
        began, tally = time.perf_counter(), self.tally
        world = World(hour_of_traffic(self.site, self.seed, hour, seconds), self.site, self.seed + hour)
        bullets = np.array([o.cls == "gunfire" for o in world.objects()], np.bool_)
        self._seen, self._called = {}, set()
        while world.now_ns < world.end_ns:
            now_ns = world.now_ns + world.tick_ns
            outbox = step(self.state, world.advance(now_ns), now_ns, self.site)
            self._count(outbox, world, bullets)
            if (now_ns - world.start_ns) % 10_000_000_000 == 0:
                yield (now_ns - world.start_ns) / (world.end_ns - world.start_ns)
        self._close()
        tally.hours += seconds / HOUR_S
        tally.wall_s += time.perf_counter() - began
        tally.memory_mb.append(resident_mb())

    def _count(self, outbox: Outbox, world: World, bullets: IntArray) -> None:
        self.tally.plots += len(outbox.plots)
        for warning in outbox.warnings:
            if warning.state in TOLD:
                self._alarm(outbox, warning, world)
        tracks = outbox.tracks
        rows = np.flatnonzero((tracks.status == CONFIRMED) & (tracks.plot >= 0))
        for track in tracks.track[rows].tolist():
            self._seen.setdefault(track, Seen())
        falling = rows[tracks.model[rows] == BALLISTIC]
        if len(falling):
            self._note_falling(tracks, falling, world, bullets)

    def _note_falling(self, tracks: Tracks, rows: IntArray, world: World, bullets: IntArray) -> None:
        there = bullet_places(world, bullets)
        for row in rows.tolist():
            track = int(tracks.track[row])
            seen = self._seen[track]
            seen.ballistic += 1
            away = np.sqrt(((there - tracks.mean[row, :3]) ** 2).sum(axis=1))
            seen.near_bullet += bool(len(away) and away.min() < NEAR_M)
            cls = int(tracks.cls[row])
            if cls != UNKNOWN and threatens(cls):
                self._called.add(track)

    def _close(self) -> None:
        bullets = {t for t, s in self._seen.items() if s.near_bullet > 0.5 * s.ballistic}
        self.tally.tracks += len(self._seen)
        self.tally.false_ballistic += sum(s.ballistic > 0 for t, s in self._seen.items() if t not in bullets)
        self.tally.gunfire_tracks += len(bullets)
        self.tally.gunfire_called += len(bullets & self._called)

    def _alarm(self, outbox: Outbox, warning: Any, world: World) -> None:  # noqa: ANN401
        tally = self.tally
        tally.alerts += warning.state == "alert"
        tally.pre_alerts += warning.state == "pre-alert"
        if len(tally.alarms) < REASONS_KEPT:
            after_s = (warning.time_ns - world.start_ns) * 1e-9
            said = {"hour": world.scenario.name, "after_s": round(after_s, 1), "state": warning.state}
            nearest = [nearest_body(outbox.tracks, track, world) for track in warning.tracks]
            tally.alarms.append({**said, "zone": warning.zone, "reason": warning.reason, "nearest": nearest})


def bullet_places(world: World, bullets: IntArray) -> FloatArray:
    """Where all bullets in flight are, (n, 3)."""
    sky = world._sky
    which = sky.alive(world.now_ns)
    which = which[bullets[which]]
    return sky.at(world.now_ns, which)[0]


def nearest_body(tracks: Tracks, track: int, world: World) -> str:
    """What truly is nearest to a track, and how far away."""
    rows = np.flatnonzero(tracks.track == track)
    which = world._sky.alive(world.now_ns)
    if not len(rows) or not len(which):
        return "nothing"
    away = np.sqrt(((world._sky.at(world.now_ns, which)[0] - tracks.mean[rows[-1], :3]) ** 2).sum(axis=1))
    body = world._sky.bodies[int(which[np.argmin(away)])]
    return f"{body.threat.id} {body.id} at {away.min():.0f} m"


def threatens(cls: int) -> bool:
    """Whether a class of the catalogue is one that does harm."""
    return list(catalogue().values())[cls].family in ("mortar", "rocket", "shell", "drone")


def run(
    site: Site, seed: int, hours: float, tell: Callable[[float, Tally], None], keep: Callable[[Tally], None]
) -> Tally:
    """The tally of so many hours, the last of which may be a part of one; it is kept after each hour."""
    watch, left, hour = Watch(site, seed), hours, 0
    while left > 1e-9:
        part = min(left, 1.0)
        for done in watch.hour(hour, part * HOUR_S):
            tell((hours - left + done * part) / hours, watch.tally)
        keep(watch.tally)
        left, hour = left - part, hour + 1
    return watch.tally
