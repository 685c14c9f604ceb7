"""Rows that the tests of the threat stage feed it, and the stage fed tick by tick."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from opencram.physics.threats import class_index
from opencram.site import Site
from opencram.stages.impacts_to_threats import ThreatsState, impacts_to_threats
from opencram.tables import (
    BALLISTIC,
    CONFIRMED,
    OTHER,
    Effect,
    Engagement,
    Hypotheses,
    Impacts,
    Threats,
    Tracks,
)
from small_site import SECOND_NS, START_NS, position, site_of, square

BATTERY = {"id": "battery", "position": position(0, 0), "debris_pieces": 4}
SITE = site_of(
    [square("base", 0, 0, 300, kind="base"), square("town", 1500, 0, 400, kind="district")], effectors=[BATTERY]
)
ROCKET, MORTAR, DRONE = (class_index(name) for name in ("rocket-107", "mortar-120", "drone"))
COV = np.array([[200.0**2, 60.0**2], [60.0**2, 90.0**2]])


def at(seconds: float) -> int:
    return START_NS + round(seconds * SECOND_NS)


def track(
    number: int = 1,
    seconds: float = 0.0,
    mean: Sequence[float] = (-3000.0, 0.0, 1000.0, 200.0, 0.0, -50.0, 8.5),
    **more: Any,
) -> Tracks:
    """A confirmed ballistic track seen at `seconds`, first seen 10 s before and ten times a second."""
    row: dict[str, Any] = {
        "time_ns": at(seconds),
        "track": number,
        "status": CONFIRMED,
        "model": BALLISTIC,
        "n_plots": 50 + round(10 * seconds),
        "existence": 1.0,
        "p_ballistic": 1.0,
        "cls": ROCKET,
        "mean": np.array(mean, np.float64),
        "cov": np.diag([25.0, 25.0, 25.0, 4.0, 4.0, 4.0, 0.04]),
        "born_ns": at(seconds - 10.0),
        "plot": 0,
        "debris": False,
    } | more
    return Tracks(**{name: np.array([value]) for name, value in row.items()})


def falls(
    where: tuple[float, float],
    when_s: float,
    number: int = 1,
    seconds: float = 0.0,
    cls: int = ROCKET,
    weight: float = 1.0,
    sigma_s: float = 0.0,
) -> Hypotheses:
    """One hypothesis of a track: where and when it comes down, with COV."""
    row: dict[str, Any] = {
        "time_ns": at(seconds),
        "track": number,
        "cls": cls,
        "weight": weight,
        "mean": np.zeros(7),
        "cov": np.zeros((7, 7)),
        "impact_time_ns": at(when_s),
        "impact_time_sigma_s": sigma_s,
        "impact_enu_m": np.array(where, np.float64),
        "impact_cov_m2": COV,
        "launch_enu_m": np.zeros(2),
        "launch_cov_m2": np.eye(2),
    }
    return Hypotheses(**{name: np.array([value]) for name, value in row.items()})


def called(number: int = 1, cls: int = ROCKET) -> Impacts:
    row: dict[str, Any] = {
        "time_ns": START_NS,
        "track": number,
        "n_plots": 50,
        "cls": cls,
        "impact_time_ns": START_NS,
        "impact_time_sigma_s": 1.0,
        "impact_enu_m": np.zeros(2),
        "impact_cov_m2": np.eye(2),
        "launch_enu_m": np.zeros(2),
        "launch_cov_m2": np.eye(2),
        "beta_kgpm2": 5000.0,
    }
    return Impacts(**{name: np.array([value]) for name, value in row.items()})


def engagement(number: int = 1, target: int = 1, intercept_s: float = 3.0, p_kill: float = 0.5) -> Engagement:
    return Engagement(
        time_ns=START_NS, engagement=number, effector="battery", track=target, zone="base", range_m=1000.0,
        p_kill=p_kill, intercept_ns=at(intercept_s), east_m=0.0, north_m=0.0, up_m=0.0, reason="",
    )  # fmt: skip


def effect(outcome: str, seconds: float = 3.0, where: Sequence[float] = (-2400.0, 0.0, 800.0)) -> Effect:
    east_m, north_m, up_m = where
    return Effect(
        time_ns=at(seconds), engagement=1, track=1, outcome=outcome, east_m=east_m, north_m=north_m, up_m=up_m
    )


class Run:
    """The stage fed tick by tick; `seconds` count from START."""

    def __init__(self, site: Site = SITE) -> None:
        self.site, self.state = site, ThreatsState()

    def tick(
        self,
        seconds: float,
        tracks: Tracks | None = None,
        hypotheses: Hypotheses | None = None,
        engagements: Sequence[Engagement] = (),
        effects: Sequence[Effect] = (),
    ) -> Threats:
        tracks = Tracks.empty() if tracks is None else tracks
        hypotheses = Hypotheses.empty() if hypotheses is None else hypotheses
        impacts = Impacts.concat([called(int(n)) for n in np.unique(hypotheses.track)])
        return impacts_to_threats(self.state, tracks, hypotheses, impacts, engagements, effects, at(seconds), self.site)


def rows(threats: Threats, debris: bool = False) -> dict[tuple[int, int], float]:
    picked = threats.take(threats.debris == debris)
    return {
        (t, z): p for t, z, p in zip(picked.track.tolist(), picked.zone.tolist(), picked.p_hit.tolist(), strict=True)
    }


WEST = (-4000.0, 0.0, 500.0, 45.0, 0.0, 0.0, 8.5)


def drone(seconds: float = 0.0, **more: Any) -> Tracks:
    """45 m/s towards the base from 4 km in the west, at 500 m."""
    return track(**({"seconds": seconds, "model": OTHER, "cls": DRONE, "mean": WEST, "p_ballistic": 0.1} | more))
