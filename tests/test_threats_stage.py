"""Threats: the chance of a hit against sampling, what stands when nothing is seen, and debris."""

import math

import numpy as np
import pytest
import shapely

from opencram import state as saved
from opencram.defence import debris
from opencram.physics.flight import fly, to_ground
from opencram.physics.layout import layout_of
from opencram.physics.threats import catalogue, class_index
from opencram.site import Site
from opencram.stages.impacts_to_threats import ThreatsState, impacts_to_threats
from opencram.tables import (
    OTHER,
    UNKNOWN,
    FloatArray,
    Hypotheses,
    Tracks,
)
from small_site import SECOND_NS, START_NS, site_of, square
from threat_rows import (
    BATTERY,
    COV,
    MORTAR,
    ROCKET,
    SITE,
    Run,
    at,
    called,
    drone,
    effect,
    engagement,
    falls,
    rows,
    track,
)

# ---- what falls ---------------------------------------------------------------------------------------------------


def sampled(where: tuple[float, float], cls: int, zone: int, n: int = 400_000) -> float:
    """Share of drawn impact points that lie within the hazard radius of the zone."""
    points = np.random.default_rng(3).multivariate_normal(where, COV, n)
    hazard_m = tuple(catalogue().values())[cls].hazard_radius_m
    shape = layout_of(SITE).zone_shapes[zone]
    shapely.prepare(shape)
    return float(shapely.dwithin(shape, shapely.points(points), hazard_m).mean())


@pytest.mark.parametrize("where", [(0.0, 0.0), (500.0, 200.0), (800.0, 0.0), (1500.0, -500.0)])
def test_chance_of_a_hit_is_that_of_landing_within_the_hazard_radius_of_the_zone(where: tuple[float, float]) -> None:
    found = rows(Run().tick(0.0, track(), falls(where, 20.0)))
    for zone in (0, 1):
        # four sigma of the sampling, and the round corners are drawn with few edges
        assert found.get((1, zone), 0.0) == pytest.approx(sampled(where, ROCKET, zone), abs=4e-3)


def test_hypotheses_and_existence_weigh_in() -> None:
    both = Hypotheses.concat(
        [falls((0, 0), 20.0, weight=0.7), falls((1500, 0), 24.0, cls=MORTAR, weight=0.2, sigma_s=1.0)]
    )
    threats = Run().tick(0.0, track(existence=0.9, p_ballistic=0.9), both)
    found = rows(threats)
    alone = [rows(Run().tick(0.0, track(), h)) for h in (falls((0, 0), 20.0), falls((1500, 0), 24.0, cls=MORTAR))]
    assert found[1, 0] == pytest.approx(0.9 * (0.7 * alone[0][1, 0] + 0.2 * alone[1].get((1, 0), 0.0)))
    assert found[1, 1] == pytest.approx(0.9 * (0.7 * alone[0].get((1, 1), 0.0) + 0.2 * alone[1][1, 1]))
    assert threats.impact_time_ns.tolist() == pytest.approx([at(20.0), at(24.0)], abs=0.02 * SECOND_NS)
    assert threats.cls.tolist() == [ROCKET, ROCKET]


def test_time_of_a_hit_is_the_mean_over_what_would_hit() -> None:
    both = Hypotheses.concat(
        [falls((0, 0), 20.0, weight=0.5), falls((0, 0), 24.0, cls=class_index("rocket-122"), weight=0.25)]
    )
    threats = Run().tick(0.0, track(), both)
    assert threats.impact_time_ns[0] == pytest.approx(at((2 * 20.0 + 24.0) / 3.0), abs=0.05 * SECOND_NS)


def test_unlikely_zones_have_no_row() -> None:
    assert rows(Run().tick(0.0, track(), falls((-5000.0, 0.0), 20.0))) == {}


def test_what_never_comes_down_is_no_threat() -> None:
    assert len(Run().tick(0.0, track(), falls((math.nan, math.nan), 20.0))) == 0


def test_newest_of_two_scans_in_a_tick_counts() -> None:
    two = Hypotheses.concat([falls((1500, 0), 20.0, seconds=-0.1), falls((0, 0), 20.0)])
    tracks = Tracks.concat([track(seconds=-0.1, existence=0.1), track()])
    assert rows(Run().tick(0.0, tracks, two)) == rows(Run().tick(0.0, track(), falls((0, 0), 20.0)))


def test_class_is_the_one_the_track_is_called_by() -> None:
    state = ThreatsState()
    tables = (track(), falls((0, 0), 20.0), called(cls=UNKNOWN))
    assert impacts_to_threats(state, *tables, (), (), START_NS, SITE).cls.tolist() == [UNKNOWN]


def test_rows_are_in_order_whatever_the_order_of_the_tracks() -> None:
    tracks = [track(n) for n in (3, 1, 2)]
    kinds = [falls((700.0, 0.0), 20.0, number=n) for n in (2, 3, 1)]
    threats = Run().tick(0.0, Tracks.concat(tracks), Hypotheses.concat(kinds))
    assert list(zip(threats.track.tolist(), threats.zone.tolist(), strict=True)) == [
        (n, z) for n in (1, 2, 3) for z in (0, 1)
    ]


def test_a_track_s_threats_do_not_depend_on_the_others() -> None:
    many = [falls((50.0 * n, 0.0), 20.0, number=n) for n in range(1, 30)]
    together = rows(Run().tick(0.0, Tracks.concat([track(n) for n in range(1, 30)]), Hypotheses.concat(many)))
    for n in (1, 7, 29):
        alone = rows(Run().tick(0.0, track(n), many[n - 1]))
        assert {key: p for key, p in together.items() if key[0] == n} == alone


# ---- what stands --------------------------------------------------------------------------------------------------


def test_prediction_stands_until_the_object_is_down() -> None:
    """No plot for 20 s, below the radar's horizon: a threat until two seconds after the impact."""
    run = Run()
    first = rows(run.tick(0.0, track(), falls((0, 0), 20.0)))
    for seconds in (0.1, 5.0, 19.9, 21.9):
        assert rows(run.tick(seconds)) == first
    assert rows(run.tick(22.1)) == {}


def test_prediction_stands_longer_where_its_time_is_uncertain() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0, sigma_s=3.0))
    assert len(run.tick(27.9))
    assert not len(run.tick(28.1))


def test_new_prediction_takes_the_old_one_s_place() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    assert set(rows(run.tick(1.0, track(seconds=1.0), falls((1500, 0), 20.0, seconds=1.0)))) == {(1, 1)}


def test_what_turns_out_to_fly_by_its_own_power_falls_no_more() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    away = (-3000.0, 0.0, 5000.0, -200.0, 0.0, 0.0, 8.5)
    assert rows(run.tick(1.0, track(seconds=1.0, model=OTHER, cls=UNKNOWN, mean=away))) == {}


def test_another_track_s_plots_leave_a_prediction_alone() -> None:
    run = Run()
    first = rows(run.tick(0.0, track(), falls((0, 0), 20.0)))
    both = rows(run.tick(1.0, track(2, seconds=1.0), falls((1500, 0), 30.0, number=2, seconds=1.0)))
    assert {key: p for key, p in both.items() if key[0] == 1} == first
    assert (2, 1) in both


def test_gap_in_time_lets_go_what_came_down_in_it() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    assert len(run.tick(4000.0)) == 0
    assert run.state == ThreatsState(objects=run.state.objects)


# ---- debris -------------------------------------------------------------------------------------------------------

STATE = np.array([-1800.0, 0.0, 900.0, 220.0, 0.0, -80.0, 8.5])
UNDER = site_of([square("under", -1200.0, 0.0, 350.0, kind="base")], effectors=[BATTERY])


def pieces_that_hit(burst: FloatArray, site: Site, n: int = 3000) -> float:
    """Share of kills that put at least one of four pieces into the zone, each piece drawn and flown to the ground."""
    rng, layout, fragment = np.random.default_rng(11), layout_of(site), catalogue()["fragment"]
    offsets, shares = zip(*debris.PIECES, strict=True)
    points = []
    for _ in range(n):
        start = np.append(burst[:6], fragment.ln_beta)
        start[:3] += debris.BURST_SIGMA_M * rng.standard_normal(3)
        start[3:6] += debris.KICK_MPS * rng.standard_normal(3)
        start[6] += rng.choice(offsets, p=shares) + debris.PIECE_LN_BETA_SIGMA * rng.standard_normal()
        points.append(to_ground(start, 1.0, layout.env, layout.air, layout.ground, fragment.drag)[:2])
    one = shapely.dwithin(layout.zone_shapes[0], shapely.points(np.array(points)), fragment.hazard_radius_m).mean()
    return float(1.0 - (1.0 - one) ** 4)


def test_debris_footprint_is_where_drawn_pieces_fall() -> None:
    run = Run(UNDER)
    run.tick(0.0, track(mean=STATE))
    burst = fly(STATE, 1.0, 1, layout_of(UNDER).env, layout_of(UNDER).air, catalogue()["rocket-107"].drag)[1]
    threats = run.tick(1.0, effects=[effect("kill", 1.0, burst[:3].tolist())])
    assert threats.debris.tolist() == [True]
    # the footprint is carried to the ground by its first derivatives
    assert threats.p_hit[0] == pytest.approx(pieces_that_hit(burst, UNDER), abs=0.08)


def test_engagement_under_way_casts_debris_as_likely_as_its_kill() -> None:
    run, sure = Run(UNDER), Run(UNDER)
    for one in (run, sure):
        one.tick(0.0, track(mean=STATE), falls((0.0, 0.0), 12.0))
    half = run.tick(0.1, engagements=[engagement(intercept_s=1.0, p_kill=0.4)])
    whole = sure.tick(0.1, engagements=[engagement(intercept_s=1.0, p_kill=1.0)])
    assert rows(half, True)[1, 0] == pytest.approx(0.4 * rows(whole, True)[1, 0])
    assert (1, 0) in rows(run.tick(0.5, engagements=[engagement(intercept_s=1.0, p_kill=0.4)]), True)


def test_a_miss_leaves_no_debris_and_the_object_flies_on() -> None:
    run = Run(SITE)
    before = rows(run.tick(0.0, track(), falls((0, 0), 20.0)))
    run.tick(0.1, engagements=[engagement()])
    after = run.tick(3.0, engagements=[engagement()], effects=[effect("miss")])
    assert rows(after) == before
    assert rows(after, True) == {}


def test_a_kill_ends_the_object_and_its_debris_falls() -> None:
    run = Run(UNDER)
    run.tick(0.0, track(mean=STATE), falls((-1200.0, 0), 12.0))
    run.tick(0.1, engagements=[engagement(intercept_s=1.0)])
    after = run.tick(
        1.0, engagements=[engagement(intercept_s=1.0)], effects=[effect("kill", 1.0, (-1580.0, 0.0, 800.0))]
    )
    assert rows(after) == {}
    assert rows(after, True)[1, 0] > 0.1
    left_s = (after.impact_time_ns[0] - at(1.0)) / SECOND_NS
    assert 5.0 < left_s < 25.0
    assert (1, 0) in rows(run.tick(left_s), True)
    assert len(run.tick(60.0)) == 0


def test_old_plots_of_a_killed_track_are_not_believed_and_new_ones_are_debris() -> None:
    run = Run()
    run.tick(0.0, track(), falls((0, 0), 20.0))
    run.tick(3.0, effects=[effect("kill")])
    assert rows(run.tick(3.1, track(seconds=3.0), falls((0, 0), 20.0, seconds=3.0))) == {}
    later = run.tick(5.0, track(seconds=5.0), falls((0, 0), 20.0, seconds=5.0))
    assert rows(later) == {}
    assert rows(later, True)[1, 0] > 0.5


def test_track_born_of_a_break_up_is_debris() -> None:
    threats = Run().tick(0.0, track(debris=True), falls((0, 0), 20.0))
    assert threats.debris.tolist() == [True]


def test_kill_of_a_track_never_seen_is_taken_where_it_happened() -> None:
    run = Run(UNDER)
    threats = run.tick(3.0, effects=[effect("kill", 3.0, (-1200.0, 0.0, 600.0))])
    assert rows(threats, True)[1, 0] > 0.8


def test_saved_and_loaded_state_goes_on_alike() -> None:
    whole = saved.State(defended=True)
    run = Run(UNDER)
    run.state = whole.threats
    run.tick(0.0, track(mean=STATE), falls((-1200.0, 0), 12.0))
    run.tick(0.1, drone(number=2), engagements=[engagement(intercept_s=1.0)])
    again = Run(UNDER)
    again.state = saved.load(saved.save(whole)).threats
    for seconds, effects in ((0.5, []), (1.0, [effect("kill", 1.0)]), (9.0, []), (40.0, [])):
        one, two = (r.tick(seconds, engagements=[engagement(intercept_s=1.0)], effects=effects) for r in (run, again))
        for name in ("time_ns", "track", "zone", "cls", "p_hit", "impact_time_ns", "debris"):
            assert getattr(one, name).tolist() == getattr(two, name).tolist()
