"""The commands from end to end, each as a process of its own, as people run them."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

SCENARIO = "baghdad-2021-12-19"
CONTRACT = {
    "run.json": {"schema", "version", "scenario", "site", "seed", "digest", "counts", "objects", "zones"},
    "counts": {
        *("launched", "tracked", "engaged", "intercepted", "impacts", "debris"),
        *("zones_hit", "zones_warned_in_time", "phantom_alarms"),
    },
    "objects": {"id", "class_true", "class", "track", "outcome", "zone", "lat", "lon", "distance_m"},
    "zones": {"id", "first_alert", "first_impact", "lead_s"},
}
FILES = (
    *("run.json", "recording.mcap", "survey.geojson", "survey.kml", "report.html"),
    *("communique.en.txt", "communique.fr.txt"),
    *(f"tables/{t}.parquet" for t in ("plots", "truth", "tracks", "hypotheses", "impacts", "threats", "warnings")),
    "tables/engagements.parquet",
)


def opencram(*args: object, cwd: Path, hash_seed: str = "0") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opencram", *map(str, args)],
        cwd=cwd,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def done(*args: object, cwd: Path, hash_seed: str = "0") -> str:
    """The standard output of a command that ended well and had nothing to remark."""
    ended = opencram(*args, cwd=cwd, hash_seed=hash_seed)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
    return ended.stdout


def refused(*args: object, cwd: Path) -> str:
    """The one sentence with which a command refused bad input."""
    ended = opencram(*args, cwd=cwd)
    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert ended.stdout == ""
    assert ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def told(home: Path) -> str:
    """What the first run printed; its folder is runs/SCENARIO-seed0."""
    return done("run", SCENARIO, cwd=home)


@pytest.fixture(scope="module")
def folder(home: Path, told: str) -> Path:
    del told
    return home / "runs" / f"{SCENARIO}-seed0"


@pytest.fixture(scope="module")
def summary(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    return content


# ---- what a run leaves --------------------------------------------------------------------------------------------


def test_a_run_leaves_every_file_of_the_contract(folder: Path) -> None:
    assert [name for name in FILES if not (folder / name).is_file()] == []
    assert list((folder / "alerts").glob("*.xml"))


def test_run_json_has_every_key_of_the_contract(summary: dict[str, Any]) -> None:
    assert summary.keys() >= CONTRACT["run.json"]
    assert summary["counts"].keys() >= CONTRACT["counts"]
    for name in ("objects", "zones"):
        assert summary[name]
        assert all(row.keys() >= CONTRACT[name] for row in summary[name])


def test_run_json_tells_every_object_and_every_zone(summary: dict[str, Any]) -> None:
    from opencram.site import load_site

    assert [z["id"] for z in summary["zones"]] == [z.id for z in load_site(summary["site"]).zones]
    assert len(summary["objects"]) == summary["counts"]["launched"] == 2


def test_every_key_of_run_json_has_its_entry_in_the_reference(summary: dict[str, Any]) -> None:
    page = (Path(__file__).parents[1] / "docs" / "reference" / "run-json.md").read_text(encoding="utf-8")
    parts = {"Top level": summary, "counts": summary["counts"], "tracking": summary["tracking"]}
    parts |= {name: rows[0] for name, rows in summary.items() if isinstance(rows, list) and rows and name in page}
    for heading, content in parts.items():
        if not isinstance(content, dict):
            continue
        section = re.split(r"^## ", page, flags=re.MULTILINE)
        rows = next(part for part in section if part.startswith((heading, f"`{heading}`")))
        cells = [line.split("|")[1] for line in rows.splitlines() if line.startswith("| `")]
        described = set(re.findall(r"`([^`]+)`", " ".join(cells)))
        assert set(content) == described, f"docs/reference/run-json.md, '{heading}'"


def test_the_terminal_shows_a_row_for_each_object_and_zone_and_where_the_report_is(
    told: str, summary: dict[str, Any]
) -> None:
    for row in summary["objects"] + summary["zones"]:
        assert re.search(rf"\b{row['id']}\b", told)
    assert told.rstrip().endswith(f"Report: runs/{SCENARIO}-seed0/report.html")


def test_json_prints_run_json_and_nothing_else(home: Path) -> None:
    printed = done("run", SCENARIO, "--seed", 1, "--out", "as-json", "--json", cwd=home)
    assert json.loads(printed) == json.loads((home / "as-json" / "run.json").read_text())


def test_a_seed_gives_the_same_decisions_in_any_process(home: Path, summary: dict[str, Any]) -> None:
    again = json.loads(done("run", SCENARIO, "--out", "again", "--json", cwd=home, hash_seed="1"))
    assert again["digest"] == summary["digest"]


# ---- replay -------------------------------------------------------------------------------------------------------


def test_a_replay_makes_the_same_decisions(home: Path, folder: Path, summary: dict[str, Any]) -> None:
    again = json.loads(done("replay", folder / "recording.mcap", "--json", cwd=home))
    assert again["digest"] == summary["digest"]
    assert (home / "runs" / f"{SCENARIO}-seed0-replay" / "report.html").is_file()


def test_a_cut_recording_is_replayed_to_the_cut_and_said_so(home: Path, folder: Path) -> None:
    whole = (folder / "recording.mcap").read_bytes()
    (home / "cut.mcap").write_bytes(whole[: len(whole) // 2])
    ended = opencram("replay", "cut.mcap", "--out", "from-cut", cwd=home)
    assert ended.returncode == 0
    assert "cut.mcap" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_recording_cut_before_its_site_is_refused(home: Path, folder: Path) -> None:
    (home / "stub.mcap").write_bytes((folder / "recording.mcap").read_bytes()[:40])
    assert "stub.mcap" in refused("replay", "stub.mcap", cwd=home)


def test_the_plots_of_a_run_can_be_replayed_as_a_table(home: Path, folder: Path, summary: dict[str, Any]) -> None:
    args = ("replay", folder / "tables" / "plots.parquet", "--site", summary["site"], "--out", "table", "--json")
    again = json.loads(done(*args, cwd=home))
    assert again["counts"]["launched"] is None
    assert len(again["objects"]) >= summary["counts"]["tracked"]


def test_a_replay_does_not_replace_what_it_reads(home: Path, folder: Path) -> None:
    said = refused("replay", folder / "recording.mcap", "--out", folder, cwd=home)
    assert "input" in said
    assert (folder / "recording.mcap").is_file()


# ---- report, facts ------------------------------------------------------------------------------------------------


def test_a_report_is_written_again_with_entered_facts(home: Path, folder: Path) -> None:
    (home / "facts.yaml").write_text(
        "facts:\n  - {id: duty-log, kind: context, text: {en: Noted at the gate., fr: Noté à l'entrée.}, "
        "source: duty officer}\n",
        encoding="utf-8",
    )
    printed = done("report", folder, "--lang", "fr", "--facts", "facts.yaml", cwd=home)
    assert "report.html" in printed
    assert "duty officer" in (folder / "report.html").read_text(encoding="utf-8")
    communique = (folder / "communique.en.txt").read_text(encoding="utf-8")
    assert "Noted at the gate" in " ".join(communique.split())  # lines are broken where they are full


def test_a_folder_without_a_run_has_no_report(home: Path) -> None:
    assert "run.json" in refused("report", ".", cwd=home)


# ---- sites, check, list -------------------------------------------------------------------------------------------


def test_a_new_site_is_valid_and_runs_at_once(home: Path) -> None:
    printed = done("new-site", "camp-alpha", "--lat", "33.3", "--lon", "44.4", cwd=home)
    assert "camp-alpha/site.yaml" in printed
    assert "ok" in done("check", "camp-alpha/site.yaml", "camp-alpha/zones.geojson", cwd=home)
    done("run", SCENARIO, "--site", "camp-alpha/site.yaml", "--out", "at-alpha", cwd=home)
    assert "already there" in refused("new-site", "camp-alpha", "--lat", "33.3", "--lon", "44.4", cwd=home)


@pytest.mark.parametrize("name", ["../up", "Camp", "a b", ""])
def test_a_site_s_name_is_a_folder_s(home: Path, name: str) -> None:
    assert "NAME" in refused("new-site", name, "--lat", "1", "--lon", "1", cwd=home)


def test_check_knows_what_a_run_leaves(home: Path, folder: Path) -> None:
    printed = done("check", folder, folder / "recording.mcap", folder / "tables" / "plots.parquet", cwd=home)
    assert [line.split(": ok, ")[1].split()[1] for line in printed.splitlines()] == ["summary", "recording", "table"]


def test_check_goes_on_after_a_bad_file(home: Path, folder: Path) -> None:
    (home / "bad.yaml").write_text("name: x\norigin: {lat: 91, lon: 0}\n")
    ended = opencram("check", "bad.yaml", folder, "missing.csv", cwd=home)
    assert ended.returncode == 2
    assert ended.stdout.count(": ok, ") == 1
    assert [line.split(":")[0].split()[0] for line in ended.stderr.splitlines()] == ["bad.yaml", "missing.csv"]


def test_a_new_site_hears_its_sirens_and_check_tells_of_one_that_does_not(home: Path) -> None:
    done("new-site", "heard", "--lat", "33.3", "--lon", "44.4", cwd=home)
    assert opencram("check", "heard/site.yaml", cwd=home).stderr == ""
    text = (home / "heard" / "site.yaml").read_text()
    (home / "heard" / "site.yaml").write_text(text.replace("zones: [farms]", "zones: [town]"))
    ended = opencram("check", "heard/site.yaml", cwd=home)
    assert ended.returncode == 0
    assert ended.stderr.splitlines() == [
        "heard/site.yaml: warning: no siren serves 1 of 4 zones: 'farms'",
        "heard/site.yaml: warning: siren 'siren-farms' serves zone 'town' and is heard nowhere in it",
    ]


def test_coverage_is_a_table_a_picture_and_its_areas(home: Path) -> None:
    printed = done("coverage", "baghdad-embassy", "--out", "cover", "--lang", "fr", cwd=home)
    assert printed.splitlines()[-2:] == ["cover/coverage.png", "cover/coverage.geojson"]
    assert re.search(r"^ embassy +2,000 +10 +2 +100 ", printed, re.MULTILINE)
    assert (home / "cover" / "coverage.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert json.loads((home / "cover" / "coverage.geojson").read_text())["type"] == "FeatureCollection"


def test_the_warning_of_a_site_is_two_tables_a_sentence_and_a_page(home: Path) -> None:
    done("new-site", "looked-at", "--lat", "33.3", "--lon", "44.4", cwd=home)
    args = ("coverage", "looked-at/site.yaml", "--warning", "--threat", "mortar-120", "--area", "5", "--out", "warn")
    printed = done(*args, cwd=home)
    assert "What warning shots leave" in printed
    assert re.search("[Tt]ime to shelter in (nine|more than one) shots? of ten", printed)
    assert printed.splitlines()[-1] == "warn/warning.html"
    assert (home / "warn" / "followed.png").read_bytes().startswith(b"\x89PNG\r\n")
    assert json.loads((home / "warn" / "warning.geojson").read_text())["type"] == "FeatureCollection"


def test_a_plan_s_site_is_one_that_commands_take(home: Path) -> None:
    done("new-site", "to-plan", "--lat", "33.3", "--lon", "44.4", cwd=home)
    siren = "{id: more, cost: 3, position: {lat: 33.3, lon: 44.4}, zones: [town], audible_m: 2000}"
    (home / "plan.yaml").write_text(f"keep_sirens: false\nsirens:\n  - {siren}\n", encoding="utf-8")
    asked = ("--candidates", "plan.yaml", "--budget", 5, "--threat", "rocket-107", "--out", "planned")
    printed = done("plan", "to-plan/site.yaml", *asked, cwd=home)
    assert re.search(r"^ more +siren +3 *$", printed, re.MULTILINE)
    assert printed.splitlines()[-1] == "planned/plan.html"
    assert "ok, a site with 4 zones" in opencram("check", "planned/site.yaml", cwd=home).stdout


def test_lists_are_of_what_is_there(home: Path) -> None:
    from opencram.physics.threats import catalogue
    from opencram.site import site_names
    from opencram.world.scenario import scenario_names

    for what, names in (("scenarios", scenario_names()), ("sites", site_names()), ("threats", list(catalogue()))):
        rows = re.findall(r"^ (\S+)", done("list", what, cwd=home), re.MULTILINE)
        assert set(names) <= set(rows)
        assert names


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "baghdad-2020-11-71"], "baghdad-2020-11-17"),
        (["run", "missing.yaml"], "missing.yaml"),
        (["run", SCENARIO, "--site", "baghdad"], "baghdad-embassy"),
        (["run", SCENARIO, "--out", "/proc/nowhere"], "/proc/nowhere"),
        (["replay", "missing.mcap"], "missing.mcap"),
        (["replay", "empty.csv", "--site", "baghdad-embassy"], "empty.csv"),
        (["replay", "few.csv", "--site", "baghdad-embassy"], "azimuth_deg"),
        (["replay", "few.csv"], "--site"),
        (["replay", "few.txt", "--site", "baghdad-embassy"], "few.txt"),
        (["replay", "few.csv", "--site", "baghdad-embassy", "--speed", "0"], "--speed"),
        (["check", "binary.yaml"], "binary"),
        (["check", "empty.yaml"], "empty"),
        (["check", "few.csv"], "azimuth_deg"),
        (["check", "notes.txt"], ".txt"),
        (["check", "list.yaml"], "list.yaml"),
        (["check", "other.yaml"], "other.yaml"),
        (["coverage", "baghdad"], "baghdad-embassy"),
        (["coverage", "baghdad-embassy", "--out", "notes.txt"], "notes.txt"),
        (["coverage", "baghdad-embassy", "--threat", "rocket-107"], "--warning"),
        (["coverage", "baghdad-embassy", "--warning", "--threat", "drone"], "expected one of mortar-60"),
        (["coverage", "baghdad-embassy", "--warning", "--area", "0"], "--area"),
        (["plan", "baghdad-embassy", "--candidates", "no.yaml", "--budget", "5", "--out", "plan"], "no.yaml"),
        (["plan", "baghdad-embassy", "--candidates", "other.yaml", "--budget", "-5", "--out", "plan"], "--budget"),
        (["plan", "baghdad-embassy", "--candidates", "other.yaml", "--budget", "5", "--out", "plan"], "apples"),
        (["report", "missing"], "run.json"),
        (["study", "missing.yaml", "--out", "study"], "missing.yaml"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path: Path, args: list[str], said: str) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "few.csv").write_text("time,sensor,range_m\n0,radar-1,1000\n")
    (tmp_path / "few.txt").write_text("time,sensor,range_m\n0,radar-1,1000\n")
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "list.yaml").write_text("- a\n- b\n")
    (tmp_path / "other.yaml").write_text("apples: 3\n")
    assert said in refused(*args, cwd=tmp_path)
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/*"))


def test_a_bad_argument_leaves_an_earlier_run_alone(home: Path, folder: Path) -> None:
    shutil.copytree(folder, home / "kept")
    refused("run", "nonsense", "--out", "kept", cwd=home)
    refused("run", SCENARIO, "--site", "nonsense", "--out", "kept", cwd=home)
    assert (home / "kept" / "run.json").is_file()


# ---- interruption -------------------------------------------------------------------------------------------------


def test_ctrl_c_ends_a_run_with_one_line(home: Path) -> None:
    command = [sys.executable, "-m", "opencram", "run", SCENARIO, "--out", "broken-off"]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (home / "broken-off" / "recording.mcap").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "opencram: interrupted\n")
    done("run", SCENARIO, "--out", "broken-off", cwd=home)
