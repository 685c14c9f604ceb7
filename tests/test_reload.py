"""Other zones while a service runs: bad ones change nothing, good ones hold from a tick on, live and in a replay."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from opencram.errors import InputError
from opencram.record.recording import Recording
from opencram.serve.reload import reread, why_not
from opencram.site import load_site
from services import Village, write_site
from test_replay import play


def edit(site: Path, change: Any) -> None:
    """Change the features of a site's zones."""
    path = site.parent / "zones.geojson"
    zones = json.loads(path.read_text())
    change(zones["features"])
    path.write_text(json.dumps(zones))


def add_camp(features: list[dict[str, Any]]) -> None:
    camp = json.loads(json.dumps(features[1]))
    camp["properties"] |= {"id": "camp", "name": "camp"}
    features.append(camp)


def test_zones_are_reread_and_everything_else_needs_a_restart(tmp_path: Path) -> None:
    path = write_site(tmp_path)
    site = load_site(path)
    with pytest.raises(InputError, match="found the zones that are in use"):
        reread(site, str(path))
    edit(path, add_camp)
    found = reread(site, str(path))
    assert [zone.id for zone in found.zones] == ["base", "town", "camp"]
    assert [zone.id for zone in site.zones] == ["base", "town"]
    path.write_text(path.read_text().replace("range_sigma_m: 10", "range_sigma_m: 11"))
    with pytest.raises(InputError, match="sensors: found a change that needs a restart of the service"):
        reread(site, str(path))


@pytest.mark.parametrize(("text", "sentence"), [
    ("{", "zones.geojson"), ('{"type": "FeatureCollection", "features": []}', "zones"),
])  # fmt: skip
def test_a_bad_file_is_refused_in_the_sentence_that_check_gives(tmp_path: Path, text: str, sentence: str) -> None:
    path = write_site(tmp_path)
    site = load_site(path)
    (tmp_path / "zones.geojson").write_text(text)
    with pytest.raises(InputError) as checked:
        load_site(path)
    with pytest.raises(InputError, match=sentence) as refused:
        reread(site, str(path))
    assert str(refused.value) == str(checked.value)


def test_a_zone_under_a_warning_cannot_be_taken_away(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path))
    assert why_not(site, ["base", "town"], "site.yaml") == ""
    assert why_not(site, ["base", "camp"], "site.yaml").startswith("site.yaml: found no zone camp")


def test_a_running_service_takes_good_zones_and_refuses_bad_ones(tmp_path: Path) -> None:
    """And what it decided is what its recordings lead to: the zone is new there at the same tick."""
    path = write_site(tmp_path)
    with Village(tmp_path, path) as village:
        village.start_service()
        process = village.processes["service"]
        edit(path, lambda features: features[0].update(geometry={"type": "Point", "coordinates": [0, 0]}))
        process.send_signal(signal.SIGHUP)
        village.until(lambda: "the zones stay as they are" in village.output("service"))
        assert list(village.states()) == ["base", "town"]

        write_site(tmp_path)
        edit(path, add_camp)
        assert village.post("/api/alarm", {"zone": "town"})[0] == 200
        process.send_signal(signal.SIGHUP)
        village.until(lambda: village.states().get("town") == "alert" and "camp" in village.states())
        assert "3 zones are taken over in place of 2" in village.output("service")
        assert village.post("/api/alarm", {"zone": "camp"})[0] == 200

        edit(path, lambda features: features.pop())
        process.send_signal(signal.SIGHUP)
        village.until(lambda: "found no zone camp, expected it until its warning is over" in village.output("service"))
        time.sleep(0.3)
        village.end("service")
        assert village.output("service").count("Traceback") == 0

        recordings = sorted(village.record.glob("*.mcap"))
        zones = [json.loads(Recording(p).site_docs["zones.geojson"])["features"] for p in recordings]
        assert [len(features) for features in zones] == [2, 3]
        result = play(village.record, tmp_path / "replay")
        assert warned(tmp_path / "replay" / "recording.mcap") == [w for p in recordings for w in warned(p)] != []
        assert [zone["id"] for zone in result.summary["zones"]] == ["base", "town", "camp"]
        assert any("the site was changed" in note for note in result.notes)
        again = play(tmp_path / "replay" / "recording.mcap", tmp_path / "again")
        assert again.summary["digest"] == result.summary["digest"]


def warned(recording: Path) -> list[dict[str, Any]]:
    messages = Recording(recording).messages()
    return [msgspec.json.decode(data) for topic, _, _, data in messages if topic == "/warnings"]
