"""What the operator's picture is made of: vendored libraries, words, weight, base maps and reports."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from entrance import Entrance
from opencram.errors import InputError
from opencram.outputs.phrases import LANGUAGES, phrases
from opencram.physics.threats import catalogue
from opencram.serve import basemaps
from opencram.serve.page_routes import FOLDER, STATIC
from opencram.tables import WARNING_KINDS, WARNING_STATES

VENDOR = FOLDER / "vendor"
SCRIPTS = [path for path in FOLDER.glob("*.js") if path.stem not in ("docs", "sign-in")]
PAGES = [FOLDER / "watch.html", FOLDER / "phone.html"]
MOST_BYTES = 1_500_000


# ---- vendored -------------------------------------------------------------------------------------------------------


def vendored() -> dict[str, Any]:
    return dict(json.loads((VENDOR / "vendor.json").read_text()))


def test_vendored_files_are_what_the_list_says() -> None:
    listed = {f"{name}.gz": about for package in vendored().values() for name, about in package["files"].items()}
    assert {path.name for path in VENDOR.glob("*.gz")} == set(listed)
    for name, about in listed.items():
        assert hashlib.sha256(gzip.decompress((VENDOR / name).read_bytes())).hexdigest() == about["sha256"], name


def test_each_vendored_package_comes_with_its_version_and_licence() -> None:
    for name, package in vendored().items():
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert len((VENDOR / f"{name}.LICENSE").read_text()) > 500
        assert f"{name}.LICENSE" in package["licence"]


def test_the_picture_with_all_its_libraries_is_light() -> None:
    files = [FOLDER / "watch.html", *SCRIPTS, *FOLDER.glob("*.css")]
    plain = sum(len(gzip.compress(path.read_bytes())) for path in files)
    packed = sum(path.stat().st_size for path in VENDOR.glob("*.gz"))
    words = len(gzip.compress(json.dumps(phrases().all()).encode()))
    assert plain + packed + words < MOST_BYTES


def test_a_script_asks_for_what_is_there_and_nothing_of_ours_lies_unused() -> None:
    text = "".join(path.read_text() for path in [*FOLDER.glob("*.js"), *FOLDER.glob("*.html")])
    asked = set(re.findall(r"/static/([\w./-]+\.(?:m?js|css))", text))
    assert asked <= set(STATIC)
    assert {name for name in STATIC if "worker" not in name} <= asked


# ---- words ----------------------------------------------------------------------------------------------------------


def asked_words() -> set[str]:
    """The keys that scripts and pages ask for as they stand, and those that they put together."""
    text = "".join(path.read_text() for path in [*SCRIPTS, *PAGES])
    found = set(re.findall(r"\bt\(\"([a-z-]+)\"", text)) | set(re.findall(r"data-(?:t|label)=\"([a-z-]+)\"", text))
    found |= {f"class-{cls}" for cls in catalogue()}
    found |= {f"kind-{kind}" for kind in WARNING_KINDS} | {f"state-{state}" for state in (*WARNING_STATES, "quiet")}
    found |= {f"siren-{state}" for state in ("ok", "sounding", "fault", "silent", "never")}
    found |= {f"from-{source}" for source in ("live", "replay", "simulation")}
    return found


def test_every_word_of_the_pages_is_in_the_catalogue_in_every_language() -> None:
    words = phrases().all()["page"]["watch"]
    assert asked_words() <= set(words)
    assert all(set(said) == set(LANGUAGES) for said in words.values())


# ---- base maps ------------------------------------------------------------------------------------------------------

CORNERS = [44.3, 33.4, 44.5, 33.4, 44.5, 33.2, 44.3, 33.2]
GEOJSON = '{"type": "FeatureCollection", "features": []}'


@pytest.fixture
def maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "city.geojson").write_text(GEOJSON)
    (tmp_path / "photo.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (tmp_path / "tiles.pmtiles").write_bytes(b"PMTiles\x03" + bytes(range(120)))
    return tmp_path


def test_a_base_map_is_copied_listed_served_in_parts_and_taken_away(maps: Path, tmp_path: Path) -> None:
    basemaps.add(maps / "city.geojson", [], "by us")
    basemaps.add(maps / "photo.png", CORNERS, "")
    basemaps.add(maps / "tiles.pmtiles", [], "")
    with Entrance(tmp_path / "entrance") as entrance:
        viewer = entrance.bearer("vera")
        found = entrance.ask("GET", "/api/site", **viewer).json["maps"]
        assert [(one["kind"], one["attribution"]) for one in found] == [
            ("geojson", "by us"), ("image", ""), ("pmtiles", ""),
        ]  # fmt: skip
        assert found[1]["corners"][1] == [44.5, 33.4]
        assert entrance.ask("GET", found[0]["url"], **viewer).text == GEOJSON
        part = entrance.ask("GET", found[2]["url"], Range="bytes=0-6", **viewer)
        assert (part.status, part.text) == (206, "PMTiles")
        assert entrance.ask("GET", "/basemap/basemaps.json", **viewer).status == 404
        assert entrance.ask("GET", found[0]["url"]).status == 401
        basemaps.remove("city")
        assert entrance.ask("GET", found[0]["url"], **viewer).status == 404


@pytest.mark.parametrize(
    ("name", "content", "corners", "sentence"),
    [
        ("none.geojson", None, [], "found no such file"),
        ("map.tif", b"II", [], "found '.tif'"),
        ("bad.pmtiles", b"no tiles", [], "by its first bytes"),
        ("bad.geojson", b"{", [], "found no JSON"),
        ("topo.json", b'{"type": "Topology"}', [], "found 'Topology'"),
        ("photo.png", b"\x89PNG", [], "--corners: found none"),
        ("photo.png", b"\x89PNG", CORNERS[:7], "found 7 numbers"),
        ("photo.png", b"\x89PNG", [*CORNERS[:7], 133.2], "133.2"),
        ("city.geojson", GEOJSON.encode(), CORNERS, "--corners: found them"),
    ],
)
def test_what_is_no_base_map_is_refused_in_a_sentence(
    maps: Path, name: str, content: bytes | None, corners: list[float], sentence: str
) -> None:
    if content is not None:
        (maps / name).write_bytes(content)
    with pytest.raises(InputError, match=re.escape(sentence)):
        basemaps.add(maps / name, corners, "")
    assert basemaps.basemaps() == []


# ---- reports --------------------------------------------------------------------------------------------------------


def test_reports_are_listed_and_shown_without_scripts_and_nothing_else_is(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name, file, text in (("demo", "report.html", "<style></style>"), ("many", "study.md", "# A study")):
        (runs / name).mkdir(parents=True)
        (runs / name / file).write_text(text)
    (runs / "demo" / "recording.mcap").write_text("not for the pages")
    (tmp_path / "report.html").write_text("outside")
    with Entrance(tmp_path / "entrance", reports=runs) as entrance:
        viewer = entrance.bearer("vera")
        found = {one["kind"]: one["url"] for one in entrance.ask("GET", "/api/reports", **viewer).json}
        page = entrance.ask("GET", found["run"], **viewer)
        assert (page.status, page.text) == (200, "<style></style>")
        assert "script" not in page.headers["content-security-policy"]
        assert "sandbox" in page.headers["content-security-policy"]
        assert entrance.ask("GET", found["study"], **viewer).text == "# A study"
        for path in ("/reports/demo/recording.mcap", "/reports/../report.html", "/reports/%2e%2e/report.html"):
            assert entrance.ask("GET", path, **viewer).status == 404
