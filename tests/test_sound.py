"""Sound: its speed and absorption against published figures, and who hears what against brute force over the zones."""

from typing import Any

import numpy as np
import pytest
from shapely import Point, Polygon, contains_xy, unary_union

from opencram.physics.layout import layout_of
from opencram.physics.sound import (
    HEARD_SHARE,
    Hearing,
    absorption_dbpm,
    air_at,
    delays_s,
    hearing_of,
    over_heard_db,
    places_in,
    siren_enu_m,
    sound_delay_s,
    sound_speed_mps,
)
from opencram.site import Site, load_site
from opencram.tables import FloatArray
from small_site import lonlat, position, site_of, square

ZERO_C = 273.15
SPEED_15C_MPS = 340.3
"""ICAO standard atmosphere at sea level: 340.294 m/s."""


def siren(name: str, east_m: float, north_m: float, zones: list[str], audible_m: float = 500.0) -> dict[str, Any]:
    return {"id": name, "position": position(east_m, north_m), "zones": zones, "audible_m": audible_m}


def heard(site: Site, zone: str) -> Hearing:
    return next(h for h in hearing_of(site) if h.zone == zone)


# ---- sound in air ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("celsius", "mps"),
    [(0.0, 331.45), (20.0, 343.2), (15.0, 340.29)],
    ids=["CRC Handbook of Chemistry and Physics", "ISO 9613-1, reference air", "ICAO Doc 7488, sea level"],
)
def test_the_speed_of_sound_is_the_published_one(celsius: float, mps: float) -> None:
    assert sound_speed_mps(celsius + ZERO_C) == pytest.approx(mps, rel=5e-4)


ISO_9613_2_TABLE_2 = {
    (10, 0.7): (0.1, 0.4, 1.0, 1.9, 3.7, 9.7, 32.8, 117.0),
    (20, 0.7): (0.1, 0.3, 1.1, 2.8, 5.0, 9.0, 22.9, 76.6),
    (30, 0.7): (0.1, 0.3, 1.0, 3.1, 7.4, 12.7, 23.1, 59.3),
    (15, 0.2): (0.3, 0.6, 1.2, 2.7, 8.2, 28.2, 88.8, 202.0),
    (15, 0.5): (0.1, 0.5, 1.2, 2.2, 4.2, 10.8, 36.2, 129.0),
    (15, 0.8): (0.1, 0.3, 1.1, 2.4, 4.1, 8.3, 23.7, 82.8),
}
"""Absorption in dB/km by temperature (Celsius) and humidity, in the octave bands from 63 Hz to 8 kHz, at sea level."""


@pytest.mark.parametrize(("celsius", "humidity"), ISO_9613_2_TABLE_2)
def test_absorption_is_that_of_iso_9613_2_table_2(celsius: int, humidity: float) -> None:
    published = ISO_9613_2_TABLE_2[celsius, humidity]
    for octave, dbpkm in enumerate(published, start=-4):
        exact_hz = 1000.0 * 10.0 ** (0.3 * octave)
        ours = 1e3 * absorption_dbpm(celsius + ZERO_C, humidity=humidity, tone_hz=exact_hz)
        last_digit = 0.1 if dbpkm < 100.0 else 1.0
        assert ours == pytest.approx(dbpkm, abs=0.5 * last_digit + 1e-3 * dbpkm)


def test_absorption_scales_with_pressure_as_gases_do() -> None:
    """At half the pressure, of the same moist air, half the frequency loses half as much a metre (ANSI S1.26)."""
    half = absorption_dbpm(293.15, 50_662.5, humidity=0.25, tone_hz=250.0)
    assert half == pytest.approx(0.5 * absorption_dbpm(293.15, humidity=0.5, tone_hz=500.0), rel=1e-9)


def test_a_siren_is_just_heard_at_its_audible_distance_and_six_decibels_louder_at_half_of_it() -> None:
    absorbed = 0.0022
    over = over_heard_db([1_000.0, 500.0, 250.0, 2_000.0], 1_000.0, absorbed)
    assert over == pytest.approx([0.0, 6.02 + 1.1, 12.04 + 1.65, -6.02 - 2.2], abs=0.01)


def test_indoors_a_siren_is_heard_where_it_is_fifteen_decibels_over_just_heard() -> None:
    """Just heard at 700 m: at 143.5 m it is 13.76 dB louder by spreading and 1.24 dB by absorption, at 2.23 dB/km."""
    site = site_of([square("z", 0.0, 0.0)], sirens=[siren("a", 0.0, 0.0, ["z"], 700.0)])
    assert heard(site, "z").share == 1.0
    assert heard(site, "z").indoors_share == pytest.approx(np.pi * 143.5**2 / 400.0**2, abs=0.005)


def test_the_air_is_the_standards_where_the_site_tells_nothing() -> None:
    temperature, pressure = air_at(site_of([square("z", 0.0, 0.0)]))
    assert (temperature, pressure) == pytest.approx((288.15, 101_325.0), rel=1e-9)


def test_air_that_is_told_to_be_thin_is_hot() -> None:
    """40 degrees Celsius at sea level: 1.127 kg/m3 (dry air, any table), sound at 354.7 m/s."""
    site = site_of([square("z", 0.0, 0.0)], air={"density": [{"height_m": 0, "kgpm3": 1.127}]})
    temperature, _ = air_at(site)
    assert temperature == pytest.approx(40.0 + ZERO_C, abs=0.2)
    assert sound_speed_mps(temperature) == pytest.approx(354.7, abs=0.2)


@pytest.mark.parametrize(("kgpm3", "celsius"), [(0.5, 55.0), (2.0, -50.0)])
def test_a_density_that_no_temperature_explains_is_bounded(kgpm3: float, celsius: float) -> None:
    site = site_of([square("z", 0.0, 0.0)], air={"density": [{"height_m": 0, "kgpm3": kgpm3}]})
    assert air_at(site)[0] == pytest.approx(celsius + ZERO_C)


# ---- who hears what ----------------------------------------------------------------------------------------------


def test_delays_are_distance_by_speed_and_end_where_the_siren_does() -> None:
    site = site_of([square("z", 0.0, 0.0)], sirens=[siren("a", 0.0, 0.0, ["z"], 1_000.0)])
    at = np.array([[0.0, 0.0], [340.3, 0.0], [0.0, -680.6], [999.0, 0.0], [1_001.0, 0.0]])
    assert delays_s(site, at)[:, 0] == pytest.approx([0.0, 1.0, 2.0, 999.0 / SPEED_15C_MPS, np.inf], abs=1e-3)


def test_a_square_around_its_siren_is_worked_out_by_hand() -> None:
    """A disc of 150 m in a square of 400 m; nine tenths of a disc lie within sqrt(0.9) of its radius."""
    site = site_of([square("z", 0.0, 0.0)], sirens=[siren("a", 0.0, 0.0, ["z"], 150.0)])
    z = heard(site, "z")
    assert z.share == pytest.approx(np.pi * 150.0**2 / 400.0**2, abs=0.005)
    assert z.delay_s == pytest.approx(np.sqrt(0.9) * 150.0 / SPEED_15C_MPS, abs=0.01)
    assert z.median_s == pytest.approx(np.sqrt(0.5) * 150.0 / SPEED_15C_MPS, abs=0.01)
    assert z.worst_s == pytest.approx(150.0 / SPEED_15C_MPS, abs=0.02)


def test_the_worst_place_is_a_corner() -> None:
    site = site_of([square("z", 0.0, 0.0)], sirens=[siren("a", -200.0, -200.0, ["z"], 600.0)])
    assert heard(site, "z").worst_s == pytest.approx(np.hypot(400.0, 400.0) / SPEED_15C_MPS, abs=1e-3)


def test_a_zone_without_a_siren_hears_none_of_its_own_but_what_strays() -> None:
    site = site_of(
        [square("a", 0.0, 0.0), square("b", 400.0, 0.0), square("far", 5_000.0, 0.0)],
        sirens=[siren("s", 0.0, 0.0, ["a"], 400.0)],
    )
    b, far = heard(site, "b"), heard(site, "far")
    assert (b.sirens, b.share, b.delay_s, b.median_s, b.worst_s) == ((), 0.0, None, None, None)
    assert b.strays == ("s",)
    assert 0.4 < b.stray_share < 0.5  # the half that is nearer than 400 m, less the corners of it
    assert (far.strays, far.stray_share) == ((), 0.0)
    assert sound_delay_s(site) == (heard(site, "a").delay_s, None, None)


def test_a_siren_of_the_zone_around_is_for_those_in_the_zone_inside_too() -> None:
    site = site_of(
        [square("in", 0.0, 0.0), square("out", 0.0, 0.0, 1_000.0), square("by", 1_500.0, 0.0, 500.0)],
        sirens=[siren("s", 0.0, 0.0, ["out"], 1_200.0)],
    )
    assert (heard(site, "in").share, heard(site, "in").stray_share) == (0.0, 0.0)
    assert heard(site, "by").strays == ("s",)


def test_a_siren_that_serves_a_zone_it_does_not_reach_is_idle_there() -> None:
    site = site_of([square("a", 0.0, 0.0), square("b", 3_000.0, 0.0)], sirens=[siren("s", 0.0, 0.0, ["a", "b"], 500.0)])
    assert heard(site, "a").idle == ()
    assert heard(site, "b").sirens == heard(site, "b").idle == ("s",)
    assert heard(site, "b").delay_s is None


def test_of_two_sirens_the_nearer_is_heard_first() -> None:
    both = [siren("w", -150.0, 0.0, ["z"]), siren("e", 150.0, 0.0, ["z"])]
    one, two = (site_of([square("z", 0.0, 0.0)], sirens=both[:n]) for n in (1, 2))
    assert heard(two, "z").worst_s == pytest.approx(np.hypot(150.0, 200.0) / SPEED_15C_MPS, abs=0.01)
    assert (heard(two, "z").delay_s or 9.0) < (heard(one, "z").delay_s or 0.0)


def test_a_site_without_sirens_hears_nothing() -> None:
    z = heard(site_of([square("z", 0.0, 0.0)]), "z")
    assert (z.share, z.delay_s, z.strays, z.stray_share) == (0.0, None, (), 0.0)


# ---- brute force -------------------------------------------------------------------------------------------------

CRESCENT = [(0, 0), (900, 0), (900, 150), (200, 200), (150, 900), (0, 900)]
ISLAND = [(1_500, 1_500), (1_520, 1_500), (1_520, 1_900), (1_500, 1_900)]


def crooked_site() -> Site:
    """A zone of a crooked part and a thin island, three sirens for it of different reach, and one that is not its."""
    rings = tuple((tuple(lonlat(e, n) for e, n in (*part, part[0])),) for part in (CRESCENT, ISLAND))
    zone = {"id": "z", "title": {"en": "z"}, "rings": rings}
    own = [
        siren("a", 100.0, 100.0, ["z"], 400.0),
        siren("b", 850.0, 75.0, ["z"], 250.0),
        siren("c", 1_300.0, 1_700.0, ["z"], 300.0),
    ]
    return site_of([zone, square("other", -2_000.0, 0.0)], sirens=[*own, siren("d", 0.0, 1_000.0, ["other"], 500.0)])


def drawn_in(shape: Any, n: int) -> FloatArray:
    """Points drawn evenly over a shape."""
    west, south, east, north = shape.bounds
    at = np.random.default_rng(5).uniform((west, south), (east, north), (n, 2))
    inside: FloatArray = at[contains_xy(shape, at[:, 0], at[:, 1])]
    return inside


def test_shares_and_delays_agree_with_a_million_drawn_points() -> None:
    site = crooked_site()
    at = drawn_in(layout_of(site).zone_shapes[0], 1_000_000)
    away = np.hypot(*(at[:, None, :] - siren_enu_m(site)[None, :, :2]).transpose(2, 0, 1))
    late = np.where(away <= [400.0, 250.0, 300.0, 500.0], away / SPEED_15C_MPS, np.inf)
    own = late[:, :3].min(axis=1)
    heard_at = own[np.isfinite(own)]
    z = heard(site, "z")
    assert z.share == pytest.approx(np.isfinite(own).mean(), abs=0.005)
    assert z.stray_share == pytest.approx(np.isfinite(late[:, 3]).mean(), abs=0.005)
    assert z.delay_s == pytest.approx(np.quantile(heard_at, HEARD_SHARE), abs=0.01)
    assert z.median_s == pytest.approx(np.median(heard_at), abs=0.01)
    assert z.worst_s == pytest.approx(heard_at.max(), abs=0.03)


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_shares_of_the_built_in_sites_agree_with_exact_areas(name: str) -> None:
    site = load_site(name)
    discs = [Point(at[:2]).buffer(s.audible_m, 64) for at, s in zip(siren_enu_m(site), site.sirens, strict=True)]
    shapes = dict(zip((z.id for z in site.zones), layout_of(site).zone_shapes, strict=True))
    for zone in hearing_of(site):
        shape = shapes[zone.zone]
        own = unary_union([d for d, s in zip(discs, site.sirens, strict=True) if zone.zone in s.zones])
        strays = unary_union(
            [
                d.difference(unary_union([shapes[z] for z in s.zones]))
                for d, s in zip(discs, site.sirens, strict=True)
                if zone.zone not in s.zones
            ]
        )
        assert zone.share == pytest.approx(shape.intersection(own).area / shape.area, abs=0.005)
        assert zone.stray_share == pytest.approx(shape.intersection(strays).area / shape.area, abs=0.005)


@pytest.mark.parametrize("name", ["baghdad-embassy", "erbil-airport"])
def test_nine_tenths_of_each_zone_of_the_built_in_sites_hear_a_siren_of_theirs(name: str) -> None:
    assert {h.zone: h.share for h in hearing_of(load_site(name)) if h.share < HEARD_SHARE or h.idle} == {}


def test_places_stand_for_the_whole_area_of_each_part() -> None:
    shape = layout_of(crooked_site()).zone_shapes[0]
    at, area = places_in(shape)
    assert area.sum() == pytest.approx(shape.area)
    assert area[at[:, 0] > 1_400.0].sum() == pytest.approx(20.0 * 400.0, rel=1e-3)
    assert contains_xy(shape, at[:, 0], at[:, 1]).all()


def test_a_sliver_still_has_a_place() -> None:
    sliver = Polygon([(0.0, 0.0), (20_000.0, 20_000.0), (20_000.0, 20_000.001)])
    whole = layout_of(site_of([square("z", 0.0, 0.0)])).zone_shapes[0]
    at, area = places_in(type(whole)([*whole.geoms, sliver]))
    assert area.sum() == pytest.approx(whole.area + sliver.area)
    assert len(at) > 1_900
