"""What comes of the simulated defence: kills and misses drawn by chance, and the debris that still comes down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from opencram.physics.threats import catalogue
from opencram.site import Site
from opencram.tables import Effect, Engagement
from opencram.world.rng import generator
from opencram.world.sky import Sky
from opencram.world.truth import Flown, Setting, fly_piece

Floats = NDArray[np.float64]

FOUND_WITHIN_M = 400.0
"""An engagement takes the object nearest its track at the order, if it is this near; else there is nothing to hit."""
SCATTER_SHARE, SCATTER_LEAST_MPS, SCATTER_MOST_MPS = 0.2, 30.0, 60.0
"""One sigma of each axis of a piece's velocity about the body's: a share of its speed within bounds (assumed)."""


@dataclass
class Defence:
    """The engagements under way, and what those that are over have done to the sky."""

    sky: Sky
    setting: Setting
    site: Site
    seed: int
    objects: int
    """The first so many bodies of the sky can be engaged; behind them is debris."""
    engaged: dict[int, list[int]] = field(default_factory=dict)
    """Body -> the engagements that took it."""
    killed: dict[int, int] = field(default_factory=dict)
    """Body -> when it was intercepted, ns."""
    debris: list[tuple[int, Flown]] = field(default_factory=list)
    """(body it came from, piece)."""
    _pending: list[tuple[Engagement, int]] = field(default_factory=list)

    def order(self, engagements: Sequence[Engagement]) -> None:
        """Engagements begin; each takes the object nearest its track at the time of the order."""
        for engagement in engagements:
            body = self._nearest(engagement)
            if body >= 0:
                self.engaged.setdefault(body, []).append(engagement.engagement)
            self._pending.append((engagement, body))

    def resolve(self, last_ns: int, now_ns: int) -> list[Effect]:
        """The effects of all engagements whose time has come, in order; an overdue one counts from `last_ns`."""
        due = [p for p in self._pending if p[0].intercept_ns <= now_ns]
        self._pending = [p for p in self._pending if p[0].intercept_ns > now_ns]
        due.sort(key=lambda p: (p[0].intercept_ns, p[0].engagement))
        return [self._effect(engagement, body, max(engagement.intercept_ns, last_ns)) for engagement, body in due]

    def _nearest(self, engagement: Engagement) -> int:
        which = self.sky.alive(engagement.time_ns)
        which = which[which < self.objects]
        if not which.size:
            return -1
        track = np.array([engagement.east_m, engagement.north_m, engagement.up_m])
        away = np.sqrt(((self.sky.at(engagement.time_ns, which)[0] - track) ** 2).sum(axis=1))
        best = int(np.argmin(away))
        return int(which[best]) if away[best] <= FOUND_WITHIN_M else -1

    def _effect(self, engagement: Engagement, body: int, time_ns: int) -> Effect:
        rng = generator(self.seed, "engagement", str(engagement.engagement))
        hit = float(rng.uniform()) < engagement.p_kill
        where = np.array([engagement.east_m, engagement.north_m, engagement.up_m])
        alive = body >= 0 and int(self.sky.start_ns[body]) <= time_ns < int(self.sky.end_ns[body])
        if alive and hit:
            pos, vel = self.sky.at(time_ns, np.array([body]))
            where = pos[0]
            self._break_up(engagement, body, time_ns, pos[0], vel[0], rng)
        return Effect(
            time_ns=time_ns,
            engagement=engagement.engagement,
            track=engagement.track,
            outcome="kill" if alive and hit else "miss",
            east_m=float(where[0]),
            north_m=float(where[1]),
            up_m=float(where[2]),
        )

    def _break_up(
        self, engagement: Engagement, body: int, time_ns: int, pos: Floats, vel: Floats, rng: np.random.Generator
    ) -> None:
        self.sky.stop(body, time_ns)
        self.killed[body] = time_ns
        threat = catalogue()["fragment"]
        pieces = next(e.debris_pieces for e in self.site.effectors if e.id == engagement.effector)
        speed = float(np.sqrt((vel**2).sum()))
        sigma = min(max(SCATTER_SHARE * speed, SCATTER_LEAST_MPS), SCATTER_MOST_MPS)
        parent, made = self.sky.bodies[body].id, []
        for n in range(pieces):
            scatter = sigma * rng.standard_normal(3)
            ln_beta = threat.ln_beta + threat.ln_beta_sigma * float(rng.standard_normal())
            state = np.concatenate([pos, vel + scatter, [ln_beta]])
            made.append(fly_piece(f"{parent}-{n + 1}", threat, state, time_ns, self.setting))
        self.sky.add(made)
        self.debris += [(body, piece) for piece in made]
