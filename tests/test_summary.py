"""run.json: each figure against what was worked out by hand, places against PROJ."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2
from shapely import Polygon, contains_xy

from made_up_run import (
    GEOD,
    LAT,
    LON,
    META,
    NS,
    OBJECTS,
    T0,
    path_of,
    point,
    summary_of,
    tables,
    together,
    track_rows,
    truth,
    truth_table,
    warning,
    with_warnings,
    write_site,
)
from opencram.report.evidence import Tables
from opencram.report.matching import GATE_M
from opencram.report.places import CHI2_95, clusters, ellipse_95
from opencram.report.words import iso, time_ns
from opencram.site import Site

CONTRACT = {"schema", "version", "scenario", "site", "seed", "digest", "counts", "objects", "zones"}
COUNTS = (
    *("launched", "tracked", "engaged", "intercepted", "impacts", "debris"),
    *("zones_hit", "zones_warned_in_time", "zones_heard_in_time", "phantom_alarms"),
)
OBJECT = {"id", "class_true", "class", "track", "outcome", "zone", "lat", "lon", "distance_m"}
ZONE = {"id", "first_alert", "first_impact", "lead_s"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    return write_site(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def summary(site: Site) -> dict[str, Any]:
    return summary_of(site)


def row(rows: list[dict[str, Any]], name: str) -> dict[str, Any]:
    return next(r for r in rows if r["id"] == name)


def test_the_contract_keys_are_there(summary: dict[str, Any]) -> None:
    assert summary.keys() >= CONTRACT
    assert tuple(summary["counts"]) == COUNTS
    assert all(thing.keys() >= OBJECT for thing in summary["objects"])
    assert all(zone.keys() >= ZONE for zone in summary["zones"])
    assert summary["schema"] == 1


def test_the_counts_are_those_worked_out_by_hand(summary: dict[str, Any]) -> None:
    assert tuple(summary["counts"].values()) == (3, 2, 1, 1, 2, 3, 3, 2, 1, 1)


def test_each_object_has_its_track_outcome_and_smallest_zone(summary: dict[str, Any]) -> None:
    told = [(o["id"], o["track"], o["class"], o["outcome"], o["zone"]) for o in summary["objects"]]
    assert told == [
        ("R1", 1, "rocket-107", "impact", "inner"),
        ("R2", 2, "rocket-107", "intercepted", None),
        ("R3", None, None, "impact", "east"),
    ]
    assert row(summary["objects"], "R1")["zones"] == ["inner", "outer"]
    assert row(summary["objects"], "R2")["undefended_zone"] == "outer"


def test_places_agree_with_proj(summary: dict[str, Any]) -> None:
    for thing, (east, north) in zip(summary["objects"], [(100, 50), (1200, 100), (2000, 100)], strict=True):
        azimuth, _, distance = GEOD.inv(LON, LAT, thing["lon"], thing["lat"])
        assert distance == pytest.approx(np.hypot(east, north), abs=0.2)
        assert thing["distance_m"] == pytest.approx(distance, abs=0.2)
        assert azimuth % 360 == pytest.approx(np.degrees(np.arctan2(east, north)), abs=0.1)


def test_zones_tell_alert_impact_and_lead(summary: dict[str, Any]) -> None:
    told = [(z["id"], z["first_alert"], z["first_impact"], z["lead_s"]) for z in summary["zones"]]
    assert told == [
        ("inner", "2020-11-17T17:30:05.000Z", "2020-11-17T17:30:20.000Z", 15.0),
        ("outer", "2020-11-17T17:30:04.000Z", "2020-11-17T17:30:20.000Z", 16.0),
        ("east", None, "2020-11-17T17:30:22.000Z", None),
        ("west", "2020-11-17T17:30:06.000Z", None, None),
    ]


def test_an_alert_after_the_impact_has_a_negative_lead_and_is_not_in_time(site: Site) -> None:
    late = summary_of(site, decisions=with_warnings(warning(21.0, "inner", "alert", (1,))))
    assert row(late["zones"], "inner")["lead_s"] == -1.0
    assert late["counts"]["zones_warned_in_time"] == 0


@pytest.mark.parametrize(("alert_s", "in_time"), [(10.0, 1), (10.001, 0)])
def test_in_time_means_the_whole_time_to_shelter(site: Site, alert_s: float, in_time: int) -> None:
    told = summary_of(site, decisions=with_warnings(warning(alert_s, "inner", "alert", (1,))))
    assert told["counts"]["zones_warned_in_time"] == in_time


def test_zones_tell_how_late_and_where_their_sirens_are_heard(summary: dict[str, Any]) -> None:
    """Siren 1 stands in the middle of both squares and is heard for 500 m at 340.3 m/s, siren 2 140 m from east's."""
    inner, outer, east, west = summary["zones"]
    assert inner["heard_share"] == 1.0
    assert 200.0 < inner["sound_s"] * 340.3 < 200.0 * np.sqrt(2.0)
    assert inner["lead_heard_s"] == pytest.approx(15.0 - inner["sound_s"], abs=0.002)
    assert outer["heard_share"] == pytest.approx(np.pi * 500.0**2 / 2_000.0**2, abs=0.005)
    assert outer["sound_s"] == pytest.approx(np.sqrt(0.9) * 500.0 / 340.3, abs=0.02)
    assert (east["lead_s"], east["lead_heard_s"]) == (None, None)
    assert east["sound_s"] is not None
    assert (west["sound_s"], west["heard_share"], west["lead_heard_s"]) == (None, 0.0, None)


@pytest.mark.parametrize(("alert_s", "in_time"), [(9.0, 1), (9.5, 0)])
def test_heard_in_time_means_that_the_sound_too_has_come(site: Site, alert_s: float, in_time: int) -> None:
    """Ten seconds to shelter and an impact after 20 s: 0.6 to 0.9 s of sound are left of the first second only."""
    told = summary_of(site, decisions=with_warnings(warning(alert_s, "inner", "alert", (1,))))
    assert told["counts"]["zones_warned_in_time"] == 1
    assert told["counts"]["zones_heard_in_time"] == in_time


def test_a_zone_that_hears_its_sirens_in_part_is_not_heard_in_time(site: Site) -> None:
    told = summary_of(site, decisions=with_warnings(warning(2.0, "outer", "alert", (1,))))
    assert told["counts"]["zones_warned_in_time"] == 1
    assert row(told["zones"], "outer")["lead_heard_s"] > 15.0
    assert told["counts"]["zones_heard_in_time"] == 0


def test_a_pre_alert_is_no_alert(site: Site) -> None:
    told = summary_of(site, decisions=with_warnings(warning(3.0, "inner", "pre-alert", (1,))))
    assert row(told["zones"], "inner")["first_alert"] is None


@pytest.mark.parametrize(
    ("alert", "phantoms"),
    [
        (warning(6.0, "west", "alert", (9,)), 1),  # a track of nothing
        (warning(6.0, "west", "alert", (7,)), 1),  # a bird
        (warning(6.0, "west", "alert", (9, 1)), 0),  # a rocket is behind it too
        (warning(16.0, "west", "alert", (3,)), 0),  # debris
        (warning(6.0, "west", "alert", (), kind="observed"), 0),  # somebody saw it
        (warning(6.0, "west", "pre-alert", (9,)), 0),
    ],
)
def test_phantom_alarms_are_alerts_that_nothing_hostile_explains(site: Site, alert: Any, phantoms: int) -> None:
    assert summary_of(site, decisions=with_warnings(alert))["counts"]["phantom_alarms"] == phantoms


def test_tracks_of_nothing_are_named(summary: dict[str, Any]) -> None:
    assert summary["tracks_confirmed"] == 5
    assert summary["tracks_unexplained"] == [9]


@pytest.mark.parametrize(("away_m", "matched"), [(GATE_M - 1.0, True), (GATE_M + 1.0, False)])
def test_a_track_belongs_to_an_object_within_the_gate(site: Site, away_m: float, matched: bool) -> None:
    seconds = np.arange(2.0, 14.0, 0.1)
    rows = track_rows(1, seconds, path_of(OBJECTS[0], seconds) + point(0, away_m), "ballistic")
    told = summary_of(site, tables=replace(tables(), tracks=rows))
    assert (row(told["objects"], "R1")["track"] == 1) is matched


def test_a_track_belongs_to_the_nearest_object(site: Site) -> None:
    twin = replace(OBJECTS[0], id="R4", end_enu_m=point(100, 250), undefended_enu_m=point(100, 250))
    told = summary_of(
        site,
        tables=replace(tables(), truth=truth_table((*OBJECTS, twin))),
        truth=replace(truth(), objects=(*OBJECTS, twin)),
    )
    assert row(told["objects"], "R1")["track"] == 1  # 20 m off R1's path, further off R4's
    assert row(told["objects"], "R4")["track"] is None


def test_of_two_tracks_of_an_object_the_longer_one_counts(site: Site) -> None:
    seconds = np.arange(14.5, 19.0, 0.1)
    again = track_rows(4, seconds, path_of(OBJECTS[0], seconds), "ballistic")
    told = summary_of(site, tables=replace(tables(), tracks=together([tables().tracks, again])))
    assert row(told["objects"], "R1")["tracks"] == [1, 4]
    assert told["counts"]["tracked"] == 2


def test_rows_in_another_order_change_nothing(site: Site, summary: dict[str, Any]) -> None:
    shuffled = tables()
    turned = {n: v[::-1] for n, v in shuffled.truth.items()}
    assert summary_of(site, tables=replace(shuffled, truth=turned)) == summary


def test_without_truth_every_confirmed_track_is_an_object(site: Site) -> None:
    told = summary_of(site, truth=None, tables=replace(tables(), truth={}), meta=replace(META, simulated=False))
    assert [o["id"] for o in told["objects"]] == ["T1", "T2", "T3", "T7", "T9"]
    assert [o["outcome"] for o in told["objects"]][:2] == ["impact", "impact"]
    assert row(told["objects"], "T7")["outcome"] == "left"
    assert row(told["objects"], "T1")["zone"] == "inner"  # where it was last predicted
    assert {name for name, n in told["counts"].items() if n is not None} == {"tracked", "engaged"}
    assert all(z["first_impact"] is None and z["lead_s"] is None for z in told["zones"])


def test_an_empty_run_has_an_entry_for_each_zone(site: Site) -> None:
    told = summary_of(site, tables=Tables(), truth=replace(truth(), objects=(), debris=()), decisions=with_warnings())
    assert set(told["counts"].values()) == {0}
    assert [z["id"] for z in told["zones"]] == ["inner", "outer", "east", "west"]


def test_the_launch_area_is_where_the_tracks_came_from(summary: dict[str, Any]) -> None:
    (area,) = summary["launch_areas"]
    assert area["tracks"] == [1, 2]
    assert (area["azimuth_deg"], area["distance_m"]) == pytest.approx((90.0, 6_000.0), abs=1.0)


def test_rejects_of_one_kind_are_added_up(summary: dict[str, Any]) -> None:
    assert summary["rejects"] == [{"source": "radar-1", "reason": "range is negative", "count": 3, "sample": "-5"}]


def test_engagements_tell_what_came_of_them(summary: dict[str, Any]) -> None:
    (told,) = summary["engagements"]
    assert (told["object"], told["outcome"], told["track"]) == ("R2", "kill", 2)


def test_the_95_percent_ellipse_holds_95_percent() -> None:
    assert chi2.ppf(0.95, 2) == pytest.approx(CHI2_95)
    cov = np.array([[900.0, -400.0], [-400.0, 400.0]])
    ellipse = ellipse_95(10.0, -5.0, cov)
    assert ellipse is not None
    drawn = np.random.default_rng(1).multivariate_normal([10.0, -5.0], cov, 100_000)
    inside = contains_xy(Polygon(ellipse.outline(400)), drawn[:, 0], drawn[:, 1])
    assert inside.mean() == pytest.approx(0.95, abs=0.003)


def test_launch_points_far_apart_are_two_areas() -> None:
    points = np.array([[0.0, 0.0], [50.0, 20.0], [9_000.0, 0.0]])
    found = clusters(points, np.tile(np.diag([400.0, 400.0]), (3, 1, 1)))
    assert [c.members for c in found] == [(0, 1), (2,)]
    assert found[0].mean_m == pytest.approx([25.0, 10.0])


def test_times_are_written_to_the_millisecond_and_read_back() -> None:
    assert iso(T0 + 1_234_567_890) == "2020-11-17T17:30:01.234Z"
    assert time_ns("2020-11-17T17:30:01.234Z") == T0 + 1_234 * NS // 1_000


def test_the_summary_is_plain_json(summary: dict[str, Any]) -> None:
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
