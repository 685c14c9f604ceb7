"""Made-up skies for the tracker's tests: paths of the flight model, seen by one radar with Gaussian noise."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from opencram.physics.flight import fly
from opencram.physics.frames import enu_to_spherical
from opencram.physics.layout import Layout
from opencram.physics.path import ground_impact_of
from opencram.physics.threats import catalogue
from opencram.tables import FloatArray, Plots
from small_site import SECOND_NS, START_NS

STEP_S = 0.1
LOWEST_RAD = np.radians(1.0)


@dataclass
class Shot:
    """One object's states (n, 7) every STEP_S from its start, and where and when (s) it comes down (8,)."""

    start_s: float
    path: FloatArray
    ground: FloatArray

    def at(self, time_s: float) -> FloatArray | None:
        """Its position at a time of the sky, None before its start and after its end."""
        age_s = time_s - self.start_s
        if age_s < 0.0 or age_s >= self.ground[7]:
            return None
        i = min(int(age_s / STEP_S), len(self.path) - 2)
        share = age_s / STEP_S - i
        return (1.0 - share) * self.path[i, :3] + share * self.path[i + 1, :3]


def shot(
    layout: Layout, cls: str, speed_mps: float, elevation_deg: float, from_m: tuple[float, float], start_s: float = 0.0,
    ln_beta_off: float = 0.0,
) -> Shot:  # fmt: skip
    """An unpowered shot of a class towards the origin from a point east and north of it."""
    threat, el = catalogue()[cls], np.radians(elevation_deg)
    towards = -np.array(from_m) / np.hypot(*from_m)
    velocity = [*(speed_mps * np.cos(el) * towards), speed_mps * np.sin(el)]
    y0 = np.array([*from_m, 0.0, *velocity, threat.ln_beta + ln_beta_off])
    path = fly(y0, STEP_S, 1000, layout.env, layout.air, np.array(threat.drag))
    return Shot(start_s, path, ground_impact_of(path, STEP_S, layout.env))


def level(from_m: tuple[float, float, float], velocity_mps: tuple[float, float, float], life_s: float) -> Shot:
    """Something that flies straight on."""
    times = np.arange(0.0, life_s + STEP_S, STEP_S)[:, None]
    path = np.zeros((len(times), 7))
    path[:, :3] = np.array(from_m) + times * np.array(velocity_mps)
    return Shot(0.0, path, np.array([0.0] * 7 + [life_s]))


def scans(
    shots: list[Shot], seed: int, until_s: float, update_s: float = 0.1, p_detect: float = 0.9, false_plots: float = 0.0
) -> Iterator[tuple[int, Plots]]:
    """The radar's scans, each with the time at which it is complete; sigmas are 10 m and 2 mrad."""
    rng = np.random.default_rng(seed)
    for number in range(int(until_s / update_s)):
        time_s = number * update_s
        places = [place for place in (one.at(time_s) for one in shots) if place is not None]
        rows = [
            seen for seen in (_seen(place, rng) for place in places) if seen is not None and rng.random() < p_detect
        ]
        for _ in range(rng.poisson(false_plots)):
            rows.append((rng.uniform(200, 20_000), rng.uniform(0, 2 * np.pi), rng.uniform(LOWEST_RAD, np.radians(80))))
        yield START_NS + round(time_s * SECOND_NS), plots_of(rows, time_s, number)


def plots_of(rows: list[tuple[float, float, float]], time_s: float, scan: int) -> Plots:
    """A scan from ranges, azimuths and elevations."""
    z = np.array(sorted(rows), np.float64).reshape(-1, 3)
    n, none = len(z), np.full(len(z), np.nan)
    times = np.full(n, START_NS + round(time_s * SECOND_NS), np.int64)
    return Plots(
        time_ns=times,
        received_ns=times,
        sensor=np.zeros(n, np.int64),
        range_m=z[:, 0].copy(),
        az_rad=z[:, 1].copy(),
        el_rad=z[:, 2].copy(),
        range_rate_mps=none,
        snr_db=none,
        rcs_dbsm=none.copy(),
        scan=np.full(n, scan, np.int64),
    )


def _seen(place: FloatArray, rng: np.random.Generator) -> tuple[float, float, float] | None:
    r, az, el = (float(v) for v in enu_to_spherical(place))
    noise = rng.standard_normal(3) * [10.0, 2e-3, 2e-3]
    if el < LOWEST_RAD:
        return None
    return r + noise[0], (az + noise[1]) % (2 * np.pi), el + noise[2]
