"""The survey list: GeoJSON and KML that others read, with points and ellipses where they belong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lxml import etree
from shapely.geometry import Point, shape

from made_up_run import GEOD, LAT, LON, lonlat, write_run, write_site

KML = "{http://www.opengis.net/kml/2.2}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("survey")
    write_run(root / "run", write_site(root / "site"))
    return root / "run"


@pytest.fixture(scope="module")
def features(folder: Path) -> list[dict[str, Any]]:
    document = json.loads((folder / "survey.geojson").read_text("utf-8"))
    assert document["type"] == "FeatureCollection"
    return list(document["features"])


def named(features: list[dict[str, Any]], name: str) -> dict[str, Any]:
    (found,) = (f for f in features if f["properties"]["name"] == name)
    return found


def test_every_impact_and_every_piece_of_debris_is_listed_once(features: list[dict[str, Any]]) -> None:
    points = [f["properties"]["name"] for f in features if f["geometry"]["type"] == "Point"]
    assert points == ["R1 predicted", "R1", "R3", "R2 debris 1", "R2 debris 2", "R2 debris 3", "R2 debris area"]


def test_true_points_are_where_they_fell_longitude_first(features: list[dict[str, Any]]) -> None:
    for name, place in (("R1", (100, 50)), ("R3", (2000, 100)), ("R2 debris 1", (700, 0))):
        assert named(features, name)["geometry"]["coordinates"] == pytest.approx(lonlat(*place), abs=2e-6)


def test_properties_say_what_when_where_and_how_it_is_known(features: list[dict[str, Any]]) -> None:
    told = named(features, "R1 predicted")["properties"]
    assert (told["what"], told["source"], told["confidence"]) == ("impact", "predicted", 0.95)
    assert (told["zone"], told["when"]) == ("inner", "2020-11-17T17:30:20.000Z")
    assert named(features, "R3")["properties"]["source"] == "truth"
    assert all(f["properties"]["exercise"] is True for f in features)


def test_the_ellipse_has_the_size_and_place_of_the_last_prediction(features: list[dict[str, Any]]) -> None:
    ring = named(features, "R1 predicted, 95 % ellipse")["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    off = 300.0 * 0.1 / 11.5  # 0.1 s before it would have closed in
    centre = shape(named(features, "R1 predicted")["geometry"])
    assert GEOD.inv(LON, LAT, centre.x, centre.y)[2] == pytest.approx(np.hypot(100 + off, 50), abs=0.3)
    _, _, radii = GEOD.inv([centre.x] * len(ring), [centre.y] * len(ring), *np.array(ring).T)
    assert max(radii) == pytest.approx(2.4477 * (1.5 * off + 1.0), abs=0.3)
    assert min(radii) == pytest.approx(2.4477 * (0.5 * off + 1.0), abs=0.3)
    assert len(ring) == 37


def test_geometries_are_valid_and_hold_their_points(features: list[dict[str, Any]]) -> None:
    for feature in features:
        assert shape(feature["geometry"]).is_valid
    area = shape(named(features, "R2 debris area, 95 % ellipse")["geometry"])
    assert all(area.contains(Point(named(features, f"R2 debris {i}")["geometry"]["coordinates"])) for i in (1, 2, 3))


def test_kml_lists_the_same_places(folder: Path, features: list[dict[str, Any]]) -> None:
    root = etree.parse(folder / "survey.kml").getroot()
    marks = root.findall(f".//{KML}Placemark")
    points = {
        f["properties"]["name"]: f["geometry"]["coordinates"] for f in features if f["geometry"]["type"] == "Point"
    }
    told = {m.findtext(f"{KML}name"): m.findtext(f".//{KML}Point/{KML}coordinates") for m in marks}
    assert {n: [float(v) for v in c.split(",")] for n, c in told.items()} == points
    assert "EXERCISE" in root.findtext(f"{KML}Document/{KML}name")
    assert len(root.findall(f".//{KML}LinearRing")) == 2
