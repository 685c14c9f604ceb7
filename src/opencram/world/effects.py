"""What comes of the simulated defence: kills and misses drawn by chance, and the debris that still comes down."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from opencram.physics.frames import geodetic_to_enu
from opencram.physics.threats import catalogue
from opencram.site import Effector, Position, Site
from opencram.tables import Effect, Engagement
from opencram.world.flown import NS, Flown, Setting
from opencram.world.rng import generator
from opencram.world.sky import Sky
from opencram.world.truth import fly_piece

Floats = NDArray[np.float64]

FOUND_WITHIN_M = 400.0
"""An engagement takes the object nearest its track at the order, if it is this near; else there is nothing to hit."""
ROUND_SCATTER_RAD = 0.003
"""One sigma, each way, of a round about the burst's direction (assumed)."""
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
    duds: list[tuple[int, Flown]] = field(default_factory=list)
    """(engagement, round that did not destroy itself)."""
    _pending: list[tuple[Engagement, int]] = field(default_factory=list)

    def order(self, engagements: Sequence[Engagement]) -> None:
        """Engagements begin; each takes the object nearest its track at the time of the order."""
        for engagement in engagements:
            body = self._nearest(engagement)
            if body >= 0:
                self.engaged.setdefault(body, []).append(engagement.engagement)
            self._pending.append((engagement, body))
            if body >= 0:
                self.sky.add(self._rounds(engagement, body))
                self.duds += [(engagement.engagement, dud) for dud in self._duds(engagement, body)]

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

    def _rounds(self, engagement: Engagement, body: int) -> list[Flown]:
        """A few of a burst's rounds, for radars to see: straight streaks from the battery to where the body will be.

        They hit nothing; whether the body is hit is drawn once, in `_effect`. Nothing here could lay a gun.
        """
        effector = self._effector(engagement)
        rng = generator(self.seed, "rounds", str(engagement.engagement))
        muzzle, way, meets_ns = self._way(engagement, body)
        way_m = float(np.sqrt((way**2).sum()))
        first_ns = meets_ns - round((way_m / effector.flight_speed_mps + effector.burst_s) * NS)
        made = []
        for n in range(effector.rounds_seen):
            direction = way / max(way_m, 1.0) + ROUND_SCATTER_RAD * rng.standard_normal(3)
            start_ns = max(first_ns + round(effector.burst_s * NS * n / effector.rounds_seen), engagement.time_ns)
            name = f"{effector.id}:{engagement.engagement}-{n + 1}"
            velocity = effector.flight_speed_mps * direction
            made.append(_streak(name, muzzle, velocity, start_ns, effector.self_destruct_s))
        return made

    def _duds(self, engagement: Engagement, body: int) -> list[Flown]:
        """The rounds that do not destroy themselves: they fall as bullets do, unseen, wherever that is."""
        effector = self._effector(engagement)
        rng = generator(self.seed, "duds", str(engagement.engagement))
        count = int(rng.binomial(effector.rounds * effector.salvo, effector.dud_share))
        muzzle, way, meets_ns = self._way(engagement, body)
        threat, made = catalogue()["gunfire"], []
        for n in range(count):
            direction = way / max(float(np.sqrt((way**2).sum())), 1.0) + ROUND_SCATTER_RAD * rng.standard_normal(3)
            state = np.concatenate([muzzle, effector.flight_speed_mps * direction, [threat.ln_beta]])
            made.append(
                fly_piece(f"{effector.id}:{engagement.engagement}-{n + 1}", threat, state, meets_ns, self.setting)
            )
        return made

    def _way(self, engagement: Engagement, body: int) -> tuple[Floats, Floats, int]:
        """Where the battery stands, from there to where the body will be at the intercept, and when that is."""
        muzzle = geodetic_to_enu(*_radians(self._effector(engagement).position), self.setting.origin)
        meets_ns = min(engagement.intercept_ns, int(self.sky.end_ns[body]))
        return muzzle, self.sky.at(meets_ns, np.array([body]))[0][0] - muzzle, meets_ns

    def _effector(self, engagement: Engagement) -> Effector:
        return next(e for e in self.site.effectors if e.id == engagement.effector)

    def _break_up(
        self, engagement: Engagement, body: int, time_ns: int, pos: Floats, vel: Floats, rng: np.random.Generator
    ) -> None:
        self.sky.stop(body, time_ns)
        self.killed[body] = time_ns
        threat = catalogue()["fragment"]
        pieces = self._effector(engagement).debris_pieces
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


def _streak(name: str, start: Floats, velocity: Floats, start_ns: int, life_s: float) -> Flown:
    """A round that flies straight until it destroys itself."""
    rows = [np.concatenate([start + k * life_s * velocity, velocity]) for k in range(3)]
    life_ns = round(life_s * NS)
    end = rows[1][:3].copy()
    return Flown(
        name, catalogue()["gunfire"], start_ns, life_ns, np.array(rows), start_ns + life_ns, end, False, None, None
    )


def _radians(position: Position) -> tuple[float, float, float]:
    return math.radians(position.lat), math.radians(position.lon), position.height_m
