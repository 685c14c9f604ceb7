"""By how much radars disagree: found from rockets, drones and ripples, told, taken off, and found anew."""

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from opencram.physics.frames import enu_to_spherical
from opencram.physics.layout import Layout, layout_of, turned
from opencram.stages.tracks_to_impacts import realign_fits
from opencram.state import State, load, save
from opencram.tables import CONFIRMED, FloatArray, Health, Plots
from opencram.tracking import registration
from opencram.tracking.registration import Registration, corrected, possible
from opencram.tracking.sights import MOST_COMPANIONS, Sight, apart, common, companions, first_path, spherical_slopes
from opencram.tracking.vote import ELECTED, LEAD, Pair, sightings, updated, vote
from opencram.tracking.vote import testimony as told_by
from several_radars import LAT, LON, ROTATING, STARING, THIRD, fault, offsets, radars, raid, run, sigmas
from world_site import assume, flight

TRUTH = np.array([[-50.0, 0.3, 0.0, 0.0], [50.0, -0.3, 0.0, 0.2]])
FAULTS = (
    fault("radar-1", range_m=-50.0, azimuth_deg=0.3),
    fault("radar-2", range_m=50.0, azimuth_deg=-0.3, clock_s=0.2),
)
SITE = radars(STARING, ROTATING)


@pytest.fixture(scope="module")
def layout() -> Layout:
    return layout_of(SITE)


def parabola(time_s: FloatArray) -> FloatArray:
    start, velocity, fall = (
        np.array([4_000.0, 2_500.0, 1_500.0]),
        np.array([-250.0, -90.0, 40.0]),
        np.array([0, 0, -9.8]),
    )
    return start + time_s[:, None] * velocity + 0.5 * time_s[:, None] ** 2 * fall


def sight(layout: Layout, sensor: int, time_s: FloatArray, off: FloatArray, noise: FloatArray | float = 0.0) -> Sight:
    """What a sensor whose offsets are `off` (4) sees of the parabola at stamps."""
    local = turned(parabola(time_s - off[3]) - layout.sensor_enu_m[sensor], layout.sensor_rot[sensor])
    z = np.column_stack(enu_to_spherical(local)) + off[:3]
    sigma = np.broadcast_to(layout.sensor_sigma[sensor, :3], z.shape).copy()
    return Sight(sensor, time_s, z + noise * sigma, sigma)


FAST_S, SLOW_S = np.arange(-1.0, 1.0, 0.1), np.array([-0.7, 0.3])
OFF_A, OFF_B = np.array([-50.0, 5e-3, 1e-3, 0.0]), np.array([40.0, -4e-3, 2e-3, 0.2])
SIGMA = np.concatenate([possible(0), possible(1)])


def test_slopes_of_polar_coordinates_are_the_differences() -> None:
    at = np.array([[3_000.0, -2_000.0, 900.0], [-500.0, 4_000.0, 2_500.0]])
    slopes = spherical_slopes(at)
    for axis in range(3):
        step = np.zeros(3)
        step[axis] = 0.01
        ahead, back = (np.column_stack(enu_to_spherical(at + sign * step)) for sign in (1.0, -1.0))
        assert slopes[:, :, axis] == pytest.approx((ahead - back) / 0.02, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize("times", [FAST_S, SLOW_S], ids=["fast", "slow"])
def test_without_noise_the_true_offsets_satisfy_what_plots_tell(layout: Layout, times: FloatArray) -> None:
    """vec = info b at the truth b, to a tenth of a sigma of what the plots can tell at all."""
    a, b = sight(layout, 0, FAST_S, OFF_A), sight(layout, 1, times, OFF_B)
    path = first_path(a, layout)
    assert path is not None
    form = common(a, b, path, np.zeros(8), np.diag(SIGMA**2), layout)
    assert form is not None
    told = told_by(form.info, form.vec, SIGMA)
    off = told.y - told.rows @ np.concatenate([OFF_A, OFF_B])
    assert told.told.sum() >= 3
    assert np.abs(off / np.sqrt(told.var)).max() < 0.1


def test_what_plots_tell_is_as_sure_as_it_says(layout: Layout) -> None:
    """Over 200 draws of noise the squared distance of the truth is that of chi-squared, to 4 sigmas of its mean."""
    rng, chi2, numbers = np.random.default_rng(3), 0.0, 0
    for _ in range(200):
        a = sight(layout, 0, FAST_S, OFF_A, rng.standard_normal((len(FAST_S), 3)))
        b = sight(layout, 1, SLOW_S, OFF_B, rng.standard_normal((len(SLOW_S), 3)))
        path = first_path(a, layout)
        assert path is not None
        form = common(a, b, path, np.zeros(8), np.diag(SIGMA**2), layout)
        if form is None:
            continue
        told = told_by(form.info, form.vec, SIGMA)
        off = told.y - told.rows @ np.concatenate([OFF_A, OFF_B])
        chi2, numbers = chi2 + float((off**2 / told.var).sum()), numbers + int(told.told.sum())
    assert numbers > 600
    assert abs(chi2 / numbers - 1.0) < 4.0 * np.sqrt(2.0 / numbers)


def test_plots_of_two_objects_are_not_taken_for_one(layout: Layout) -> None:
    """Plots that go another way are no parabola with the rest."""
    a, b = sight(layout, 0, FAST_S, OFF_A), sight(layout, 1, FAST_S, OFF_B)
    b.z[:, 0] += 200.0 * FAST_S
    path = first_path(a, layout)
    assert path is not None
    assert common(a, b, path, np.zeros(8), np.diag(SIGMA**2), layout) is None


def test_companions_are_parted_by_their_distance(layout: Layout) -> None:
    a, b = sight(layout, 0, FAST_S, OFF_A), sight(layout, 1, FAST_S, OFF_B)
    both = Sight(1, np.repeat(b.time_s, 2), np.repeat(b.z, 2, axis=0), np.repeat(b.sigma, 2, axis=0))
    both.z[1::2, 0] += 300.0
    path = first_path(a, layout)
    assert path is not None
    found = companions(both, path, 1_000.0, layout)
    assert [len(s.time_s) for s, _ in found] == [20, 20]
    assert np.linalg.norm(found[1][1] - found[0][1]) == pytest.approx(300.0, abs=1.0)
    assert companions(both, path, 10.0, layout) == []
    assert np.abs(apart(a, path, layout)).max() < 3.0


# ---- the vote -------------------------------------------------------------------------------------------------------


def witnesses(layout: Layout, offs_b: list[FloatArray], track: int = 0) -> list[Pair]:
    """A pair for each of these offsets of the second sensor, as noise-free plots tell them."""
    pairs = []
    for off in offs_b:
        a, b = sight(layout, 0, FAST_S, np.zeros(4)), sight(layout, 1, FAST_S, off)
        path = first_path(a, layout)
        assert path is not None
        form = common(a, b, path, np.zeros(8), np.diag(SIGMA**2), layout)
        assert form is not None
        track += 1
        pairs.append(Pair(track, 0, 1, np.zeros(3), blocks=1, info=form.info, vec=form.vec))
    return pairs


def test_those_who_agree_win_over_those_who_do_not(layout: Layout) -> None:
    true = witnesses(layout, [OFF_B] * 4)
    others = [OFF_B + np.array([60.0, 4e-3, 0.0, 0.25]), OFF_B + np.array([-80.0, -5e-3, 3e-3, -0.3])]
    false = witnesses(layout, others, track=10)
    found = vote(true + false, np.zeros(8), np.diag(SIGMA**2), SIGMA)
    assert sorted(found.agreed.tolist()) == [0, 1, 2, 3]
    assert found.strength > ELECTED
    assert found.strength - found.rival > LEAD


def test_one_witness_proves_nothing_and_two_parties_neither(layout: Layout) -> None:
    assert vote(witnesses(layout, [OFF_B]), np.zeros(8), np.diag(SIGMA**2), SIGMA).strength < ELECTED
    later = OFF_B - np.array([0.0, 0.0, 0.0, 0.4])
    split = witnesses(layout, [OFF_B] * 3) + witnesses(layout, [later] * 3, track=10)
    found = vote(split, np.zeros(8), np.diag(SIGMA**2), SIGMA)
    assert found.strength > ELECTED
    assert found.strength - found.rival < LEAD


def test_sightings_count_objects_and_long_ones_more() -> None:
    pairs = [Pair(1, 0, 1, np.zeros(3), blocks=1), Pair(1, 0, 1, np.zeros(3), blocks=2)]
    assert sightings(pairs) == 1
    assert sightings([*pairs, Pair(2, 0, 1, np.zeros(3), blocks=1)]) == 2
    chapters = [Pair(3, 0, 1, np.zeros(3), chapter=k, blocks=n) for k, n in enumerate([2, 10, 4, 5])]
    assert sightings(chapters) == 2


def test_an_update_equals_bayes() -> None:
    rng = np.random.default_rng(1)
    root, rows = rng.standard_normal((8, 8)), rng.standard_normal((5, 8))
    cov, mean, y = root @ root.T, rng.standard_normal(8), rng.standard_normal(5)
    found = updated(mean, cov, rows.T @ rows, rows.T @ y)
    gain = cov @ rows.T @ np.linalg.inv(rows @ cov @ rows.T + np.eye(5))
    assert found[0] == pytest.approx(mean + gain @ (y - rows @ mean))
    assert found[1] == pytest.approx(cov - gain @ rows @ cov)


def test_evidence_is_the_product_of_what_each_says_given_those_before() -> None:
    """The chain rule, one testimony after the other, by Kalman's update written out."""
    rng = np.random.default_rng(2)
    root = rng.standard_normal((8, 8))
    cov, mean, sigma = root @ root.T, rng.standard_normal(8), np.ones(8)
    rows, y = rng.standard_normal((4, 3, 8)), rng.standard_normal((4, 3))
    told = told_by(np.einsum("nki,nkj->nij", rows, rows), np.einsum("nki,nk->ni", rows, y), sigma)
    total, at, spread = 0.0, mean, cov
    for i in range(4):
        total += float(told.take(np.array([i])).miss(at, spread)[1][0])
        gain = spread @ rows[i].T @ np.linalg.inv(rows[i] @ spread @ rows[i].T + np.eye(3))
        at, spread = at + gain @ (y[i] - rows[i] @ at), spread - gain @ rows[i] @ spread
    assert told.told.sum() == 12
    assert told.evidence(mean, cov) == pytest.approx(total, rel=1e-6)


def test_a_miss_is_the_density_of_the_normal_distribution() -> None:
    rng = np.random.default_rng(4)
    root, rows, y = rng.standard_normal((8, 8)), rng.standard_normal((5, 8)), rng.standard_normal(5)
    cov, mean = root @ root.T, rng.standard_normal(8)
    chi2, ln = told_by(rows.T @ rows, rows.T @ y, np.ones(8)).miss(mean, cov)
    spread, off = rows @ cov @ rows.T + np.eye(5), y - rows @ mean
    assert chi2 == pytest.approx(off @ np.linalg.solve(spread, off), rel=1e-6)
    # told in other coordinates: scaled by the roots of the eigenvalues of rows rows'
    turn = np.log(np.linalg.eigvalsh(rows @ rows.T)).sum()
    assert ln == pytest.approx(-0.5 * (chi2 + np.linalg.slogdet(spread)[1] - turn), rel=1e-6)


# ---- end to end -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_biased_radars_are_found_out_within_ten_rockets(seed: int) -> None:
    """0.3 deg, 50 m and 0.2 s: all eight within 4.5 sigmas, and the corrected sigmas small against the offsets."""
    told: list[Health] = []
    for _, _, state, outbox in run(SITE, raid(10), faults=FAULTS, seed=seed, duration_s=75.0):
        told += [h for h in outbox.health if h.state == "registration"]
        last = state
    assert {h.component for h in told} == {"radar-1", "radar-2"}
    off, sigma = offsets(last) - TRUTH, sigmas(last)
    assert (np.abs(off) < 4.5 * np.maximum(sigma, 1e-4)).all()
    assert (sigma[:, 0] < 12.0).all()
    assert (sigma[:, 1] < 0.05).all()
    assert sigma[1, 3] < 0.05


def test_once_corrected_each_rocket_is_one_track() -> None:
    """Of the rockets launched after the correction each is one confirmed track, and both radars feed it."""
    users: dict[int, list[int]] = {}
    since_ns = 0
    for _, world, _, outbox in run(SITE, raid(10), faults=FAULTS, duration_s=75.0):
        if any(h.state == "registration" for h in outbox.health):
            since_ns = since_ns or world.now_ns
        tracks = outbox.tracks
        later = (tracks.status == CONFIRMED) & (tracks.born_ns > since_ns + 1_000_000_000) & (since_ns > 0)
        for i in np.flatnonzero(later).tolist():
            users.setdefault(int(tracks.track[i]), []).append(int(outbox.plots.sensor[tracks.plot[i]]))
    launched = [o for o in world.objects() if o.launch_ns > since_ns + 1_000_000_000]
    assert len(launched) >= 4
    followed = [used for used in users.values() if len(used) > 10]
    assert len(followed) == len(launched)
    assert all(used.count(1) > 10 for used in followed)


def test_radars_that_agree_are_left_alone() -> None:
    for _, _, state, outbox in run(SITE, raid(8), duration_s=60.0):
        assert not [h for h in outbox.health if h.state == "registration"]
        last = state
    assert last.aligned.registration.elected.all()
    assert not last.aligned.registration.applied.any()
    assert (np.abs(offsets(last)) < 4.5 * np.maximum(sigmas(last), 1e-4)).all()


@pytest.mark.parametrize("gap_s", [(0.3, 0.7), (0.4, 0.4)])
@pytest.mark.parametrize("seed", [0, 2])
def test_a_ripple_is_not_taken_for_a_clock(gap_s: tuple[float, float], seed: int) -> None:
    """Rockets 0.3 to 0.7 s apart on nearly one path: the clock found is the true one, not one off by a gap."""
    ripple = raid(8, spacing_s=gap_s) | {"pointing_sigma_deg": assume(0.5)}
    for _, _, state, _ in run(SITE, ripple, faults=FAULTS, seed=seed, duration_s=40.0):
        last = state
    assert last.aligned.registration.elected.all()
    assert offsets(last)[1, 3] == pytest.approx(0.2, abs=0.12)


def test_a_radar_that_was_moved_is_found_out_anew() -> None:
    """What is believed, and surely, is wrong by 1.5 deg: it is forgotten once objects agree that it is."""
    wrong = fault("radar-2", range_m=50.0, azimuth_deg=-0.3, clock_s=0.2)
    for time_s, _, state, outbox in run(SITE, raid(12), faults=(FAULTS[0], wrong), duration_s=75.0):
        known, last = state.aligned.registration, state
        if time_s < 0.15:
            assert not len(outbox.tracks)
        if len(known.mean) and not known.elected.any() and time_s < 5.0:
            known.elected[:] = True
            known.mean[1] = [50.0, 0.021, 0.0, 0.2]
            known.cov[:] = np.diag(np.tile([4.0, 1e-7, 1e-7, 1e-4], 2))
    assert (np.abs(offsets(last) - TRUTH) < 4.5 * np.maximum(sigmas(last), 1e-4)).all()


def test_a_drone_alone_is_enough_when_it_is_followed_for_long() -> None:
    around = [(3_000.0, -2_000.0), (3_500.0, 2_500.0), (-2_500.0, 3_000.0), (-2_500.0, -2_500.0), (3_000.0, -2_000.0)]
    path = [(LAT + n / 110_900.0, LON + e / 93_200.0, 600.0) for e, n in around]
    drone = flight(*path, threat="drone", speed_mps=60.0)
    for _, _, state, _ in run(SITE, drone, faults=FAULTS, duration_s=150.0):
        last = state
    assert last.aligned.registration.elected.all()
    assert (np.abs(offsets(last) - TRUTH) < 4.5 * np.maximum(sigmas(last), 1e-4)).all()


def test_a_third_radar_is_found_too() -> None:
    faults = (*FAULTS, fault("radar-3", range_m=30.0, azimuth_deg=0.25, elevation_deg=-0.2, clock_s=-0.15))
    for _, _, state, _ in run(radars(STARING, ROTATING, THIRD), raid(8), faults=faults, duration_s=60.0):
        last = state
    truth = np.vstack([TRUTH, [30.0, 0.25, -0.2, -0.15]])
    assert last.aligned.registration.elected.all()
    assert (np.abs(offsets(last) - truth) < [30.0, 0.12, 0.15, 0.06]).all()


def test_the_state_is_saved_and_loaded_with_it() -> None:
    for time_s, _, state, _ in run(SITE, raid(4), faults=FAULTS, duration_s=20.0):
        last, until_s = state, time_s
    assert until_s > 19.0
    assert len(last.aligned.registration.stamps)
    assert save(load(save(last))) == save(last)


def test_a_correction_takes_the_offsets_off(layout: Layout) -> None:
    state = Registration(applied=np.array([[0.0] * 4, [50.0, 0.1, -0.01, 0.2]]))
    one, nan = np.ones(1, np.int64), np.full(1, np.nan)
    scan = Plots(10**18 * one, 10**18 * one, one, np.array([5_000.0]), np.array([0.05]), nan, nan, nan, nan, 0 * one)
    found = corrected(state, scan, layout)
    assert found.range_m[0] == 4_950.0
    assert found.az_rad[0] == pytest.approx(2.0 * np.pi - 0.05)
    assert np.isnan(found.el_rad[0])
    assert found.time_ns[0] == 10**18 - 200_000_000
    first = Plots(**scan.__dict__ | {"sensor": 0 * one})
    assert corrected(state, first, layout) is first


def test_a_correction_of_nothing_moves_no_impact() -> None:
    """Fits that are renewed each second, with their plots moved by a micrometre, end where the others end."""
    plain, moved = ({}, {})
    for kept, change_m in ((plain, 0.0), (moved, 1e-6)):
        for time_s, _, state, outbox in run(SITE, raid(8), duration_s=60.0):
            impacts = outbox.impacts
            for i in range(len(impacts)):
                size_m = np.sqrt(np.trace(impacts.impact_cov_m2[i]))
                kept[int(impacts.track[i]), int(impacts.time_ns[i])] = (impacts.impact_enu_m[i], size_m)
            if change_m and round(10.0 * time_s) % 10 == 0:
                realign_fits(state.impacts, np.full((2, 4), [change_m, 0.0, 0.0, 0.0]))
    assert len(plain) > 1_000
    assert plain.keys() == moved.keys()
    off = np.array([np.linalg.norm(plain[k][0] - moved[k][0]) / plain[k][1] for k in plain])
    assert np.quantile(off, 0.99) < 1.0
    assert off.max() < 5.0


def test_what_is_learnt_at_once_is_bounded_and_what_is_left_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dense ripple: of a block only as many pairs are heard out at a time as a helping allows."""
    at_once: list[int] = [0]

    def counted(*args: Any) -> Any:
        at_once[-1] += 1
        return common(*args)

    monkeypatch.setattr(registration.sights, "common", counted)
    monkeypatch.setattr(registration, "MOST_PAIRS", 40)
    full: list[Health] = []
    for _, _, _, outbox in run(SITE, raid(16, spacing_s=(0.2, 0.5)), faults=FAULTS, duration_s=30.0):
        full += [h for h in outbox.health if h.state == "full"]
        at_once.append(0)
    assert max(at_once) > registration.HELPING
    assert max(at_once) <= 2 * (registration.HELPING - 1 + MOST_COMPANIONS)
    assert full
    assert {h.component for h in full} == {"registration"}
    assert all(b.time_ns - a.time_ns >= registration.TELL_FULL_NS for a, b in pairwise(full))


def test_one_radar_alone_learns_nothing() -> None:
    for _, _, state, _ in run(radars(STARING), raid(2), duration_s=20.0):
        last: State = state
    assert not len(last.aligned.registration.mean)


def test_tracks_in_the_air_stay_when_the_correction_comes() -> None:
    """The first correction moves plots by 100 m and more; what had 40 plots by then goes on under its number."""
    users: dict[int, list[int]] = {}
    since_ns = 0
    for _, world, _, outbox in run(SITE, raid(5), faults=FAULTS, duration_s=30.0):
        if any(h.state == "registration" for h in outbox.health):
            since_ns = since_ns or world.now_ns
        for i in np.flatnonzero(outbox.tracks.status == CONFIRMED).tolist():
            users.setdefault(int(outbox.tracks.track[i]), []).append(int(outbox.tracks.time_ns[i]))
    early = [o for o in world.objects() if o.launch_ns < since_ns - 6_000_000_000]
    long = [times for times in users.values() if sum(t < since_ns for t in times) >= 40]
    assert len(long) == len(early) >= 2
    assert all(times[-1] > since_ns + 10_000_000_000 for times in long)
