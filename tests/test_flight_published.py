"""The flight model against ranges that are published, and the catalogue's classes against theirs."""

import numpy as np
import pytest

from opencram.physics import flight
from opencram.physics.air import air_table
from opencram.physics.flight import fly_boosted, to_ground
from opencram.physics.frames import Origin
from opencram.physics.path import ground_impact_of
from opencram.physics.place import E_SPIN_E, E_SPIN_U, FLAT, environment
from opencram.physics.threats import Threat, catalogue

AIR = air_table(0.0)


def still_earth() -> np.ndarray:
    """Range tables are without the earth's rotation."""
    env = environment(Origin(np.radians(45.0), 0.0))
    env[E_SPIN_E : E_SPIN_U + 1] = 0.0
    return env


ENV = still_earth()


def start(speed: float, el_deg: float, ln_beta: float) -> np.ndarray:
    el = np.radians(el_deg)
    return np.array([0.0, 0.0, 0.0, speed * np.cos(el), 0.0, speed * np.sin(el), ln_beta])


M107 = catalogue()["shell-155"]
MORTAR_120 = catalogue()["mortar-120"]


@pytest.mark.parametrize(
    ("threat", "speed", "range_m", "within"),
    [
        (M107, 563.0, 14_600.0, 0.005),  # M114 howitzer, Wikipedia
        (M107, 684.3, 18_150.0, 0.02),  # M198 howitzer, weaponsystems.net: 18.1 to 18.2 km
        (MORTAR_120, 318.0, 7_200.0, 0.025),  # 120 mm mortars: about 7.2 km
    ],
    ids=["M107-charge-7", "M107-charge-8", "mortar-120"],
)
def test_range_at_45_degrees(threat: Threat, speed: float, range_m: float, within: float) -> None:
    found = to_ground(start(speed, 45.0, threat.ln_beta), 1, ENV, AIR, FLAT, threat.drag)
    assert found[0] == pytest.approx(range_m, rel=within)


def test_m107_flight_time_and_apex() -> None:
    """Computed elsewhere with the same table over a flat earth: 14,584 m, 59.6 s, apex 4,509 m."""
    path = flight.fly(start(563.0, 45.0, M107.ln_beta), 0.1, 700, ENV, AIR, M107.drag)
    found = ground_impact_of(path, 0.1, ENV)
    assert found[[0, 7]] == pytest.approx([14_584.0, 59.6], rel=2e-3)
    assert path[:, 2].max() == pytest.approx(4_509.0, rel=2e-3)


def farthest(threat: Threat) -> tuple[float, float, float]:
    """Greatest range over the elevations, its time of flight, and the speed at burn-out."""
    best = (0.0, 0.0, 0.0)
    speed = threat.muzzle_mps if threat.motor else threat.speed_mps[1]
    motor = np.array(threat.motor) if threat.motor else np.zeros(3)
    for el_deg in range(36, 60, 2):
        path = fly_boosted(start(speed, el_deg, threat.ln_beta), motor, 0.2, 700, ENV, AIR, threat.drag)
        down = ground_impact_of(path, 0.2, ENV)
        climbing = path[: int(down[7] / 0.4)]
        best = max(best, (down[0], down[7], float(np.linalg.norm(climbing[:, 3:6], axis=1).max())))
    return best


PREDICTED = [t for t in catalogue().values() if t.family in ("mortar", "rocket", "shell")]


@pytest.mark.parametrize("threat", PREDICTED, ids=lambda t: t.id)
def test_farthest_range_is_the_published_one(threat: Threat) -> None:
    distance, _, speed = farthest(threat)
    assert distance == pytest.approx(threat.range_m[1], rel=0.03)
    assert threat.speed_mps[0] <= speed <= threat.speed_mps[1] + 1e-6


def test_122_mm_rocket_flies_about_75_s() -> None:
    assert farthest(catalogue()["rocket-122"])[1] == pytest.approx(75.0, abs=3.0)
