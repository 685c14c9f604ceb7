"""The filter's kernels against the textbook in plain NumPy, and against finite differences."""

import numpy as np
import pytest

from opencram.physics.air import air_table
from opencram.physics.frames import Origin, enu_to_spherical, sensor_rotation
from opencram.physics.place import environment
from opencram.physics.threats import catalogue
from opencram.tables import BALLISTIC, FloatArray
from opencram.tracking.bank import COUNT, WHOLE
from opencram.tracking.filters import advance_track
from opencram.tracking.gating import candidates
from opencram.tracking.scan import begin

ORIGIN = Origin(np.radians(33.3), np.radians(44.4))
ROT, PLACE = sensor_rotation(Origin(np.radians(33.33), np.radians(44.37), 40.0), ORIGIN)
SIGMA = np.array([10.0, 2e-3, 2e-3, 1.5])
WORLD = (environment(ORIGIN), air_table(0.0), np.array(catalogue()["shell-155"].drag))
STATE = np.array([4_000.0, 1_500.0, 800.0, -210.0, -60.0, 90.0, 9.0])


def observed(x: FloatArray) -> FloatArray:
    """Range, azimuth, elevation and range rate of a state, by the frames module and a difference in time."""

    def spherical(at: FloatArray) -> FloatArray:
        return np.array([float(v) for v in enu_to_spherical(ROT @ (at - PLACE))])

    step = 1e-3
    rate = (spherical(x[:3] + step * x[3:6])[0] - spherical(x[:3] - step * x[3:6])[0]) / (2.0 * step)
    return np.append(spherical(x[:3]), rate)


def joint_update(x: FloatArray, p: FloatArray, z: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    """Extended Kalman update with all components at once; Bar-Shalom, Li, Kirubarajan 2001, table 10.3.3-1."""
    keep = ~np.isnan(z)
    step = np.array([1e-2] * 3 + [1e-3] * 3 + [1e-3])
    h = np.column_stack([(observed(x + d) - observed(x - d)) / (2 * d.sum()) for d in np.diag(step)])[keep]
    s = h @ p @ h.T + np.diag(SIGMA[keep] ** 2)
    gain = p @ h.T @ np.linalg.inv(s)
    nu = (z - observed(x))[keep]
    log_like = -0.5 * (nu @ np.linalg.solve(s, nu) + np.linalg.slogdet(2 * np.pi * s)[1])
    return x + gain @ nu, p - gain @ h @ p, float(log_like)


def track(spread: float = 1.0) -> tuple[FloatArray, FloatArray, FloatArray]:
    rng = np.random.default_rng(3)
    a = rng.standard_normal((7, 7)) * np.array([20, 20, 20, 8, 8, 8, 0.2])[:, None] * spread
    cov = a @ a.T + np.diag([1, 1, 1, 0.1, 0.1, 0.1, 1e-3])
    return np.stack([STATE] * 3), np.stack([cov] * 3), np.array([0.3, 0.6, 0.1])


@pytest.mark.parametrize("missing", [(), (3,), (2, 3), (2,)])
def test_scalar_updates_equal_the_joint_one(missing: tuple[int, ...]) -> None:
    z = observed(STATE) + np.array([8.0, 1.5e-3, -2e-3, 1.0])
    z[list(missing)] = np.nan
    mean, cov, mode = track()
    x, p, log_like = joint_update(STATE, cov[0], z)
    found = advance_track(mean, cov, mode, 0.0, z, SIGMA, PLACE, ROT, *WORLD)
    np.testing.assert_allclose(mean[BALLISTIC], x, rtol=0, atol=2e-3)
    np.testing.assert_allclose(cov[BALLISTIC], p, rtol=1e-4, atol=1e-3)
    assert found == pytest.approx(log_like, abs=1e-3)
    assert mode.sum() == pytest.approx(1.0)


def test_azimuth_goes_round_north() -> None:
    x = np.array([-1.0, 5_000.0, 900.0, 10.0, -200.0, 50.0, 9.0])
    local = ROT.T @ np.array([-5.0, 5_000.0, 900.0]) + PLACE
    x[:3] = local
    z = observed(x)
    z[1] = (z[1] + 1e-3) % (2 * np.pi)
    assert z[1] < 0.1 or z[1] > 6.1
    mean, cov, mode = np.stack([x] * 3), np.stack([np.eye(7) * 25.0] * 3), np.array([0.4, 0.4, 0.2])
    before = mean.copy()
    advance_track(mean, cov, mode, 0.0, z, SIGMA, PLACE, ROT, *WORLD)
    assert np.abs(mean[:, :3] - before[:, :3]).max() < 20.0


def test_a_late_plot_equals_the_same_plot_in_time() -> None:
    """Without process noise in between, a plot used 0.4 s late must leave what it would have left in time."""
    z_now, z_late = observed(STATE), observed(STATE)
    mean, cov, mode = track(0.3)
    late = [a.copy() for a in (mean, cov, mode)]
    advance_track(*late, 0.0, z_now, SIGMA, PLACE, ROT, *WORLD)
    after = late[0][BALLISTIC].copy()
    z_late[0] += 6.0
    advance_track(*late, -0.4, z_late, SIGMA, PLACE, ROT, *WORLD)
    assert np.linalg.norm(late[0][BALLISTIC, :3] - after[:3]) > 0.1
    assert np.all(np.linalg.eigvalsh(late[1][BALLISTIC]) > 0.0)


Pairs = tuple[list[tuple[int, int]], list[float]]


def pairs_of(tracks: list[tuple[FloatArray, FloatArray, FloatArray]], plots: FloatArray, dt_s: FloatArray) -> Pairs:
    """What `candidates` finds of tracks as of time 0 and plots at dt_s: (track, plot) and log-likelihoods."""
    n, when = len(tracks), np.round(np.asarray(dt_s) * 1e9).astype(np.int64)
    bank = [np.array([t[i] for t in tracks]) for i in range(3)]
    bank[1:2] = [np.ascontiguousarray(bank[1])]
    room = [np.empty_like(a) for a in bank]
    whole = np.zeros((n, WHOLE), np.int64)
    whole[:, COUNT] = 9
    begins, plot_of, like = candidates(
        *bank, whole, when, plots, np.array([SIGMA] * len(plots)),
        np.ones((n, 4)), PLACE, ROT, *WORLD, *room, np.empty(n, np.int64),
    )  # fmt: skip
    return list(zip(np.repeat(np.arange(n), np.diff(begins)).tolist(), plot_of.tolist(), strict=True)), like.tolist()


def test_likelihoods_equal_the_updates_and_far_plots_have_none() -> None:
    mean, cov, mode = track()
    cov[[0, 2], 6, :6] = cov[[0, 2], :6, 6] = 0.0
    plots = np.array([observed(STATE), observed(STATE) + np.array([3_000.0, 0, 0, 0])])
    found, like = pairs_of([(mean, cov, mode)], plots, np.zeros(2))
    assert found == [(0, 0)]
    assert like[0] == pytest.approx(advance_track(mean, cov, mode, 0.0, plots[0], SIGMA, PLACE, ROT, *WORLD), abs=1e-9)


@pytest.mark.parametrize("rotating", [False, True])
def test_no_pair_that_the_exact_gate_would_take_is_screened_out(rotating: bool) -> None:
    """Against every pair tried on its own: the sorted ranges and the ball must only ever spare work."""
    rng = np.random.default_rng(5)
    tracks, plots, when = [], [], []
    for _ in range(12):
        mean, cov, mode = track(rng.uniform(0.1, 2.0))
        mean += np.append(rng.normal(0.0, 150.0, 3), np.zeros(4))
        tracks.append((mean, cov, mode))
        for _ in range(4):
            dt = rng.uniform(0.0, 0.5) if rotating else 0.1
            at = mean[1] + np.append(dt * mean[1, 3:6] + rng.normal(0.0, 40.0, 3), np.zeros(4))
            plots.append(observed(at))
            when.append(dt)
    order = np.argsort(when, kind="stable")
    z, dt_s = np.array(plots)[order], np.array(when)[order]
    together, like = pairs_of(tracks, z, dt_s)
    alone = {}
    for i, t in enumerate(tracks):
        for j in range(len(z)):
            pair, value = pairs_of([t], z[[j]], dt_s[[j]])
            if pair:
                alone[i, j] = value[0]
    assert len(alone) > 50
    assert dict(zip(together, like, strict=True)) == pytest.approx(alone)


def test_a_track_starts_where_its_plot_is() -> None:
    prior = np.array([350.0, 9.1, 0.8])
    means, covs = np.empty((1, 3, 7)), np.empty((1, 3, 7, 7))
    z = observed(STATE)
    begin(np.array([0]), z[None], SIGMA[None], PLACE, ROT, prior, means, covs)
    mean, cov = means[0], covs[0]
    np.testing.assert_allclose(mean[0, :3], STATE[:3], atol=1e-6)
    rng = np.random.default_rng(0)
    noisy = z[:3] + rng.standard_normal((20_000, 3)) * SIGMA[:3]
    r, az, el = noisy.T
    local = np.stack([r * np.cos(el) * np.sin(az), r * np.cos(el) * np.cos(az), r * np.sin(el)], axis=1)
    np.testing.assert_allclose(cov[0, :3, :3], np.cov((local @ ROT).T), rtol=0.05, atol=4.0)
    along = (STATE[:3] - PLACE) / np.linalg.norm(STATE[:3] - PLACE)
    assert along @ cov[0, 3:6, 3:6] @ along == pytest.approx(SIGMA[3] ** 2, rel=0.02)
