"""One raid through the whole pipeline, tick by tick, and what is kept of it for the scores."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from opencram.pipeline import step
from opencram.site import Site
from opencram.state import State
from opencram.tables import CONFIRMED, Effect, FloatArray, Outbox, Plots, Threats, ZoneWarning
from opencram.world.sky import Sky
from opencram.world.world import World
from raids.draw import Raid

QUIET_STEP_NS, QUIET_S = 500_000_000, 700.0
"""After the last hostile object is down the radars are left out, and the pipeline alone goes on until all is quiet."""
REAL_M, REAL_SHARE = 300.0, 0.03
"""A track follows something hostile while it is this near to it, and by this share of its distance from the site."""


@dataclass
class Trace:
    """The inputs of the warnings' stage, tick by tick."""

    now_ns: list[int] = field(default_factory=list)
    threats: list[Threats] = field(default_factory=list)
    effects: list[list[Effect]] = field(default_factory=list)


@dataclass
class Watched:
    """What was seen of a raid while it ran."""

    world: World
    site: Site
    plots: list[Plots] = field(default_factory=list)
    warnings: list[ZoneWarning] = field(default_factory=list)
    followed: dict[int, list[int]] = field(default_factory=dict)
    """Track -> its measured rows, and those of them near something hostile."""
    trace: Trace = field(default_factory=Trace)

    @property
    def sky(self) -> Sky:
        """All that flew."""
        return self.world._sky

    def note(self, outbox: Outbox, effects: list[Effect], now_ns: int) -> None:
        """Take in one tick."""
        self.plots.append(outbox.plots)
        self.warnings += outbox.warnings
        tracks = outbox.tracks
        rows = np.flatnonzero((tracks.status == CONFIRMED) & (tracks.plot >= 0))
        if len(rows):
            near = self._near_hostile(tracks.mean[rows, :3], now_ns)
            for track, real in zip(tracks.track[rows].tolist(), near, strict=True):
                seen = self.followed.setdefault(track, [0, 0])
                seen[0], seen[1] = seen[0] + 1, seen[1] + real
        self.trace.now_ns.append(now_ns)
        self.trace.threats.append(outbox.threats)
        self.trace.effects.append(effects)

    def real(self, track: int) -> bool:
        """Whether a track followed something hostile, debris too, for half of its time or more."""
        rows, near = self.followed.get(track, (0, 0))
        return rows > 0 and 2 * near >= rows

    def _near_hostile(self, pos_enu_m: FloatArray, now_ns: int) -> list[bool]:
        sky = self.sky
        which = np.array([n for n in sky.alive(now_ns).tolist() if sky.bodies[n].hostile], np.int64)
        if not len(which):
            return [False] * len(pos_enu_m)
        there, _ = sky.at(now_ns, which)
        away = np.linalg.norm(pos_enu_m[:, None] - there[None], axis=2).min(axis=1)
        reach = np.maximum(REAL_M, REAL_SHARE * np.linalg.norm(pos_enu_m, axis=1))
        return [bool(near) for near in away < reach]


def watch(drawn: Raid) -> Watched:
    """Run it to its last impact, and on until all zones are quiet."""
    world, site = World(drawn.scenario, drawn.site, drawn.number), drawn.site
    state, watched = State(defended=drawn.scenario.defence.value), Watched(world, site)
    sky = watched.sky
    while any(sky.end_ns[n] > world.now_ns for n, body in enumerate(sky.bodies) if body.hostile):
        now_ns = min(world.now_ns + world.tick_ns, world.end_ns)
        inbox = world.advance(now_ns)
        outbox = step(state, inbox, now_ns, site)
        world.order(outbox.engagements)
        watched.note(outbox, [i for i in inbox if isinstance(i, Effect)], now_ns)
        if now_ns >= world.end_ns:
            break
    state.defended = False
    for k in range(1, round(QUIET_S * 1e9 / QUIET_STEP_NS)):
        now_ns = world.now_ns + k * QUIET_STEP_NS
        watched.note(step(state, [], now_ns, site), [], now_ns)
        if not state.warnings.zones and not len(watched.trace.threats[-1]):
            break
    return watched


def keep(trace: Trace, drawn: Raid, folder: Path) -> None:
    """Write what the stage was fed, to try other rules on it."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = np.array([len(t) for t in trace.threats])
    threats = Threats.concat(trace.threats)
    np.savez_compressed(
        folder / f"{drawn.number:05d}.npz",
        now_ns=np.array(trace.now_ns),
        lengths=lengths,
        kills=np.array(
            [(n, e.track) for n, told in enumerate(trace.effects) for e in told if e.outcome == "kill"], np.int64
        ).reshape(-1, 2),
        **vars(threats),
    )
