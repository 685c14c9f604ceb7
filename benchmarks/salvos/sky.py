"""A salvo rippled on nearly one path, and what one radar makes of it, scan by scan."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from opencram.physics.frames import enu_to_spherical
from opencram.site import Site
from opencram.tables import FloatArray, IntArray, Plots
from opencram.world.flown import Flown
from opencram.world.rng import generator
from opencram.world.scenario import Scenario
from opencram.world.sky import Sky
from opencram.world.truth import fly_scenario

ORIGIN = {"lat": 33.3, "lon": 44.4}
METRES_PER_DEGREE = 92_900.0
"""Of longitude, there."""
AIM_EAST_M, FROM_DEG, DISPERSION_M = 1_000.0, 90.0, 100.0
"""All come from the east and fall 1 km short of the radar: none passes overhead, out of its elevations."""
ELEVATION_DEG = {"rocket-107": (30.0, 45.0), "mortar-120": (50.0, 65.0), "rocket-122": (30.0, 45.0)}
"""By class, from which a salvo's elevation is drawn (assumed)."""

SIGMA_M, SIGMA_RAD, STEP_NS = 10.0, 2e-3, 100_000_000
P_DETECT, FALSE_PLOTS = 0.9, 20
NEAR_M, FAR_M, HALF_AZ_DEG, LOW_DEG, HIGH_DEG = 500.0, 25e3, 60.0, 1.0, 75.0
"""As far as 25 km, so that a 122 mm rocket, which comes from 20 km, enters once, as it rises over one degree."""
CELL = (30.0, float(np.radians(1.5)), float(np.radians(1.5)))
"""Range (m), azimuth and elevation (rad) of the cell in which the merging radar makes one plot."""
FIFTH = 5


class Case(NamedTuple):
    """Which salvo, and which radar."""

    cls: str
    launches: str
    """One of LAUNCHES."""
    merged: bool

    @property
    def count(self) -> int:
        """How many are launched."""
        return 7 if self.launches == SEVEN else 50


SEVEN, FIFTY, RAGGED = "7 in 3 s", "50 in 10 s", "50 in 10 s, ragged"
LAUNCHES = (SEVEN, FIFTY, RAGGED)
CASES = [Case(cls, launches, merged) for merged in (False, True) for launches in LAUNCHES for cls in ELEVATION_DEG]


def launches_s(case: Case, seed: int) -> FloatArray:
    """When each is launched: gaps of 0.2 to 0.5 s for seven, of 0.2 s for fifty, any times within 10 s if ragged."""
    rng = generator(seed, "ripple", case.cls, case.launches)
    if case.launches == SEVEN:
        return 1.0 + np.append(0.0, np.cumsum(rng.uniform(0.2, 0.5, case.count - 1)))
    if case.launches == FIFTY:
        return 1.0 + 0.2 * np.arange(case.count)
    return 1.0 + np.sort(rng.uniform(0.0, 10.0, case.count))


def fly(case: Case, seed: int) -> tuple[int, list[Flown]]:
    """When the sky begins (ns), and all that is launched, in order."""
    scenario = _scenario(case)
    flown, times = fly_scenario(scenario, site_of(case.merged), seed), launches_s(case, seed)
    starts = [scenario.start_ns + round(1e9 * s) for s in times.tolist()]
    moved = [
        replace(one, start_ns=at, end_ns=at + one.end_ns - one.start_ns) for one, at in zip(flown, starts, strict=True)
    ]
    return scenario.start_ns, moved


def _scenario(case: Case) -> Scenario:
    least, most = ELEVATION_DEG[case.cls]
    at = ORIGIN | {"lon": ORIGIN["lon"] + AIM_EAST_M / METRES_PER_DEGREE}
    salvo = {
        "id": "salvo",
        "kind": "salvo",
        "threat": _given(case.cls),
        "count": _given(case.count),
        "first_s": _given(1.0),
        "from_deg": _given(FROM_DEG),
        "elevation_deg": _given({"least": least, "most": most}),
        "dispersion_m": _given(DISPERSION_M),
        "aims": [{"zone": _given("home"), "at": _given(at)}] * case.count,
    }
    return Scenario.model_validate(
        {
            "name": "salvo",
            "title": {"en": "a salvo", "fr": "une salve"},
            "site": "baghdad-embassy",
            "start": _given("2026-01-01T00:00:00Z"),
            "duration_s": _given(150.0),
            "defence": _given(False),
            "groups": [salvo],
        }
    )


def _given(value: object) -> dict[str, object]:
    return {"assumed": value, "why": "the benchmark's"}


def site_of(merged: bool) -> Site:
    """A site of one radar, which is told what it does: whether it merges, its detections and its false plots."""
    cell = (CELL[0], *np.degrees(CELL[1:]).tolist()) if merged else (0.1, 1e-3, 1e-3)
    sensor = {
        "id": "radar",
        "position": ORIGIN,
        "range_sigma_m": SIGMA_M,
        "azimuth_sigma_mrad": SIGMA_RAD * 1e3,
        "elevation_sigma_mrad": SIGMA_RAD * 1e3,
        "update_s": STEP_NS * 1e-9,
        "detection": P_DETECT,
        "false_plots_per_scan": FALSE_PLOTS,
        "coverage": {
            "min_range_m": NEAR_M, "max_range_m": FAR_M, "azimuth_from_deg": FROM_DEG - HALF_AZ_DEG,
            "azimuth_to_deg": FROM_DEG + HALF_AZ_DEG, "min_elevation_deg": LOW_DEG, "max_elevation_deg": HIGH_DEG,
        },
        "resolution": dict(zip(("range_m", "azimuth_deg", "elevation_deg"), cell, strict=True)),
    }  # fmt: skip
    ring = tuple((44.41 + e, 33.3 + n) for e, n in ((-1e-3, -1e-3), (1e-3, -1e-3), (1e-3, 1e-3), (-1e-3, -1e-3)))
    zone = {"id": "home", "title": {"en": "home"}, "rings": ((ring,),)}
    return Site.model_validate({"name": "salvos", "origin": ORIGIN, "zones": [zone], "sensors": [sensor]})


@dataclass
class Scans:
    """All scans of a salvo; what was where, and when each got its fifth plot, is known once they are through."""

    case: Case
    seed: int
    truth: list[tuple[int, IntArray, FloatArray, FloatArray]] = field(default_factory=list)
    """By scan: time (ns), objects (n,), position and velocity (n, 3) of those that the radar covers."""
    fifth_ns: dict[int, int] = field(default_factory=dict)
    """By object, when it gave its fifth plot; one that stands for others as well is nobody's."""

    def __iter__(self) -> Iterator[tuple[int, Plots]]:
        """Each scan's time and plots, to the last object's end."""
        (now_ns, flown), sky, own = fly(self.case, self.seed), Sky(), Counter[int]()
        sky.add(flown)
        rng = generator(self.seed, "radar", *self.case[:2])
        for number in range(-(-int(sky.end_ns.max() - now_ns) // STEP_NS)):
            which = sky.alive(now_ns)
            pos, vel = sky.at(now_ns, which)
            z = np.column_stack(enu_to_spherical(pos)).reshape(-1, 3)
            seen = _covered(z)
            self.truth.append((now_ns, which[seen], pos[seen], vel[seen]))
            which, z = which[seen], z[seen]
            cell = _cells(z) if self.case.merged else np.arange(len(which))
            size, found = np.bincount(cell), rng.random(cell.max(initial=-1) + 1) < P_DETECT
            alone = which[found[cell] & (size[cell] == 1)].tolist()
            own.update(alone)
            self.fifth_ns |= {who: now_ns for who in alone if own[who] == FIFTH}
            middles = np.array([np.bincount(cell, column) for column in z.T]).T / size[:, None]
            echoes = middles[found]
            yield now_ns, _table(_measured(echoes, rng), now_ns, number)
            now_ns += STEP_NS


def _covered(z: FloatArray) -> IntArray:
    """Which of ranges, azimuths and elevations (n, 3) the radar sees."""
    turn = np.abs(np.mod(z[:, 1] - np.radians(FROM_DEG) + np.pi, 2.0 * np.pi) - np.pi)
    within: IntArray = (z[:, 0] > NEAR_M) & (z[:, 0] < FAR_M) & (turn < np.radians(HALF_AZ_DEG))
    return within & (z[:, 2] > np.radians(LOW_DEG)) & (z[:, 2] < np.radians(HIGH_DEG))


def _cells(z: FloatArray) -> IntArray:
    """Which plot each of (n, 3) is in: one is of the nearest that is left and of what is within a cell of it."""
    near = (np.abs(z[:, None] - z) < CELL).all(axis=-1)
    cell, cells = np.full(len(z), -1), 0
    for row in np.argsort(z[:, 0], kind="stable").tolist():
        if cell[row] < 0:
            cell[near[row] & (cell < 0)] = cells
            cells += 1
    return cell


def _measured(echoes: FloatArray, rng: np.random.Generator) -> FloatArray:
    """What was detected with its errors, and the false plots, evenly over the coverage: (m, 3), by range."""
    real = echoes + rng.standard_normal(echoes.shape) * (SIGMA_M, SIGMA_RAD, SIGMA_RAD)
    low = (NEAR_M, *np.radians([FROM_DEG - HALF_AZ_DEG, LOW_DEG]))
    high = (FAR_M, *np.radians([FROM_DEG + HALF_AZ_DEG, HIGH_DEG]))
    z = np.concatenate([real, rng.uniform(low, high, (rng.poisson(FALSE_PLOTS), 3))])
    return z[np.argsort(z[:, 0], kind="stable")]


def _table(z: FloatArray, now_ns: int, number: int) -> Plots:
    n, none, time_ns = len(z), np.full(len(z), np.nan), np.full(len(z), now_ns, np.int64)
    return Plots(
        time_ns=time_ns, received_ns=time_ns, sensor=np.zeros(n, np.int64), range_m=z[:, 0].copy(),
        az_rad=z[:, 1].copy(), el_rad=z[:, 2].copy(), range_rate_mps=none, snr_db=none, rcs_dbsm=none,
        scan=np.full(n, number, np.int64),
    )  # fmt: skip
