"""Sites with several radars and raids on them, for the tests of registration and of the radars' health."""

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np

from opencram.pipeline import step
from opencram.site import Site
from opencram.state import State
from opencram.tables import Outbox
from opencram.world.world import World
from world_site import LAT, LON, assume, make_scenario, make_site, salvo

NORTH_DEG, EAST_DEG = 1.0 / 110_900.0, 1.0 / 93_200.0
"""Degrees a metre at the test site."""
STARING = {"id": "radar-1", "range_rate_sigma_mps": None, "reference": {"range_m": 12_000, "rcs_m2": 0.1, "snr_db": 23}}
FAR = {"range_m": 20_000, "rcs_m2": 0.1, "snr_db": 23}


def at(east_m: float, north_m: float) -> dict[str, float]:
    return {"lat": LAT + north_m * NORTH_DEG, "lon": LON + east_m * EAST_DEG, "height_m": 20.0}


ROTATING = STARING | {
    "id": "radar-2", "kind": "rotating", "update_s": 1.0, "position": at(3_500.0, 3_500.0), "reference": FAR,
    "coverage": {"min_range_m": 500, "max_range_m": 40_000, "min_elevation_deg": 0.5, "max_elevation_deg": 60},
}  # fmt: skip
THIRD = STARING | {"id": "radar-3", "update_s": 0.2, "position": at(-3_000.0, 2_000.0), "reference": FAR}


def radars(*sensors: dict[str, Any]) -> Site:
    return make_site(*copy.deepcopy(sensors))


def raid(count: int, spacing_s: tuple[float, float] = (2.0, 5.0), **changes: Any) -> dict[str, Any]:
    """A salvo of 107 mm rockets, spread about the compound."""
    span = {"least": spacing_s[0], "most": spacing_s[1]}
    return salvo(
        *[(LAT, LON)] * count, spacing_s=span, pointing_sigma_deg=2.0, dispersion_m=150.0, from_deg=70.0, **changes
    )


def fault(sensor: str, **values: Any) -> dict[str, Any]:
    return {"sensor": sensor} | {key: assume(value) for key, value in values.items()}


def run(
    site: Site,
    *groups: dict[str, Any],
    faults: tuple[dict[str, Any], ...] = (),
    seed: int = 0,
    duration_s: float = 60.0,
) -> Iterator[tuple[float, World, State, Outbox]]:
    """Seconds since the start, the world, the state and what came out, after each tick."""
    scenario = make_scenario(*groups, faults=list(faults), duration_s=assume(duration_s), defence=assume(False))
    world, state = World(scenario, site, seed), State(defended=False)
    while world.now_ns < world.end_ns:
        now_ns = world.now_ns + world.tick_ns
        outbox = step(state, world.advance(now_ns), now_ns, site)
        yield (now_ns - world.start_ns) * 1e-9, world, state, outbox


def offsets(state: State) -> np.ndarray:
    """What is believed of each sensor's offsets: m, deg, deg, s."""
    return np.asarray(state.aligned.registration.mean * [1.0, 180.0 / np.pi, 180.0 / np.pi, 1.0])


def sigmas(state: State) -> np.ndarray:
    cov = state.aligned.registration.cov
    return np.asarray(np.sqrt(np.diag(cov)).reshape(-1, 4) * [1.0, 180.0 / np.pi, 180.0 / np.pi, 1.0])
