"""A small site and small scenarios for the tests of the world."""

import json
from typing import Any

from opencram.site import Site, site_from_documents
from opencram.world.scenario import DOCUMENT, Scenario, scenario_from_documents

LAT, LON = 33.3, 44.4
SENSOR = {
    "id": "radar-1",
    "position": {"lat": LAT, "lon": LON, "height_m": 10.0},
    "range_sigma_m": 10.0,
    "azimuth_sigma_mrad": 2.0,
    "elevation_sigma_mrad": 2.0,
    "range_rate_sigma_mps": 1.0,
    "update_s": 0.1,
    "false_plots_per_scan": 0,
    "reference": {"range_m": 10_000, "rcs_m2": 0.1, "snr_db": 20.0},
}
EFFECTOR = {"id": "gun-1", "title": "gun", "position": {"lat": LAT, "lon": LON}, "debris_pieces": 4}


def square(zone: str, half_deg: float, kind: str = "district") -> dict[str, Any]:
    """A zone around the origin."""
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    ring = [[LON + half_deg * x, LAT + half_deg * y] for x, y in corners]
    properties = {"id": zone, "name": zone, "kind": kind}
    return {"type": "Feature", "properties": properties, "geometry": {"type": "Polygon", "coordinates": [ring]}}


def make_site(*sensors: dict[str, Any]) -> Site:
    """A compound (about 380 x 440 m) within a district (3.8 x 4.4 km), with these sensors, each on top of SENSOR."""
    zones = {"type": "FeatureCollection", "features": [square("town", 0.02), square("compound", 0.002, "embassy")]}
    site = {
        "name": "small",
        "origin": {"lat": LAT, "lon": LON, "height_m": 0.0},
        "zones": "zones.geojson",
        "sensors": [SENSOR | s for s in sensors or ({},)],
        "effectors": [EFFECTOR],
    }
    return site_from_documents({"site.yaml": json.dumps(site), "zones.geojson": json.dumps(zones)})


def assume(value: Any) -> dict[str, Any]:
    """A value as a scenario wants it."""
    return {"assumed": value, "why": "for a test"}


def salvo(*aims: tuple[float, float], **changes: Any) -> dict[str, Any]:
    """A salvo of 107 mm rockets from the east at (lat, lon) aims."""
    group = {
        "id": "salvo",
        "kind": "salvo",
        "threat": assume("rocket-107"),
        "count": assume(len(aims)),
        "from_deg": assume(90.0),
        "elevation_deg": assume({"least": 28.0, "most": 32.0}),
        "first_s": assume(2.0),
        "dispersion_m": assume(50.0),
        "aims": [{"zone": assume("town"), "at": assume({"lat": lat, "lon": lon})} for lat, lon in aims],
    }
    return group | {key: value if key == "id" else assume(value) for key, value in changes.items()}


def flight(
    *points: tuple[float, float, float], target: tuple[float, float] | None = None, **changes: Any
) -> dict[str, Any]:
    """A drone that flies by (lat, lon, height) points."""
    group = {
        "id": "flight",
        "kind": "flight",
        "threat": assume("drone" if target else "aircraft"),
        "count": assume(1),
        "first_s": assume(1.0),
        "speed_mps": assume(50.0),
        "path": [assume({"lat": p[0], "lon": p[1], "height_m": p[2]}) for p in points],
    }
    if target:
        group["target"] = {"zone": assume("compound"), "at": assume({"lat": target[0], "lon": target[1]})}
    return group | {key: value if key == "id" else assume(value) for key, value in changes.items()}


def scenario_text(*groups: dict[str, Any], **changes: Any) -> str:
    """The YAML (JSON is YAML) of a scenario with these groups."""
    scenario = {
        "name": "test",
        "title": {"en": "a test", "fr": "un essai"},
        "site": "small",
        "start": assume("2024-01-01T00:00:00Z"),
        "duration_s": assume(60.0),
        "defence": assume(True),
        "groups": list(groups),
    }
    return json.dumps(scenario | changes)


def make_scenario(*groups: dict[str, Any], **changes: Any) -> Scenario:
    """A scenario with these groups."""
    return scenario_from_documents({DOCUMENT: scenario_text(*groups, **changes)})
