"""Studies from end to end: rounds, the stop rule, kill -9, workers of two kinds, rows alone, the report."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from scipy import stats

from opencram.check import check_file
from opencram.drive.simulate import simulate_in_memory
from opencram.drive.study.cases import Plan, staged
from opencram.drive.study.run import run_study
from opencram.drive.study.spec import load_study
from opencram.drive.study.workers import Chunk, Work, Workers, _check_workers, local, program_digest
from opencram.drive.trial import row_of_run
from opencram.errors import InputError
from opencram.report.metrics import alarm_person_min
from opencram.report.outcomes import COLUMNS, OUTCOMES, Row, planning_figures
from opencram.report.study_page import write_study
from opencram.site import load_site
from opencram.world.scenario import load_scenario
from opencram.world.world import World
from study_rows import STUDY, luck, row_of, worker

VARIED = """
vary:
  magazine: {path: [site.effectors.battery-north.magazine, site.effectors.battery-south.magazine], values: [1, 4]}
variants: [{name: as-it-is}, {name: no-defence, remove: [site.effectors]}]
"""
QUICK = """
name: quick
scenarios: [baghdad-2021-12-19]
runs: 2
vary: {detection: {path: site.sensors.counter-mortar-radar.detection, values: [0.5, 0.9]}}
variants: [{name: as-it-is, set: {scenario.duration_s: 40}}, {name: alone, remove: [site.effectors], set: {scenario.duration_s: 40}}]
"""  # noqa: E501


def study(tmp_path: Path, text: str, name: str = "study.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def made_up(path: Path, out: Path, work: Work, runs: int | None = None, count: int = 3) -> list[Row]:
    return run_study(path, out, runs, nullcontext(Workers(count, work))).rows


def opencram(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "opencram", *map(str, args)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)


# ---- which runs -----------------------------------------------------------------------------------------------------


def test_every_case_has_the_same_seeds_and_a_number_for_each_run(tmp_path: Path) -> None:
    rows = made_up(study(tmp_path, STUDY + VARIED + "first_seed: 5\n"), tmp_path / "out", worker(row_of))
    assert [row["row"] for row in rows] == list(range(4 * 12))
    assert [row["seed"] for row in rows] == list(range(5, 17)) * 4
    assert [row["variant"] for row in rows] == (["as-it-is"] * 12 + ["no-defence"] * 12) * 2
    assert [row["magazine"] for row in rows] == [1] * 24 + [4] * 24
    assert pq.read_table(tmp_path / "out" / "rows.parquet").to_pylist() == rows


STOP = "stop: {metric: intercepted, width: 3.5, least: 4, batch: 2, confidence: 0.9}\n"


def test_a_point_stops_when_every_variant_is_known_as_well_as_wanted(tmp_path: Path) -> None:
    """Worked out again from the formula alone, with SciPy's interval."""
    rows = made_up(study(tmp_path, STUDY + VARIED + STOP), tmp_path / "out", worker(row_of), runs=60)
    counts = {}
    for group, cases in ((0, (0, 1)), (1, (2, 3))):
        for n in [*range(4, 60, 2), 60]:
            values = [[row_of(case, seed)["intercepted"] for seed in range(n)] for case in cases]
            spans = [stats.t.interval(0.9, n - 1, loc=0.0, scale=stats.sem(own)) for own in values]
            if n == 60 or all(high - low <= 3.5 for low, high in spans):
                counts[group] = n
                break
    assert 4 < min(counts.values()) < max(counts.values()) < 60
    assert [row["row"] for row in rows] == [60 * c + k for c in range(4) for k in range(counts[c // 2])]


def test_a_share_stops_by_wilsons_interval(tmp_path: Path) -> None:
    text = STUDY + "stop: {metric: hits_in_time, width: 0.3, least: 5, batch: 5}\n"
    rows = made_up(study(tmp_path, text), tmp_path / "out", worker(row_of), runs=200)
    widths = {}
    for n in range(5, 200, 5):
        k = sum(bool(row_of(0, seed)["hits_in_time"]) for seed in range(n))
        interval = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
        widths[n] = interval.high - interval.low
    assert len(rows) == next(n for n, width in widths.items() if width <= 0.3)


def test_rows_do_not_depend_on_who_is_first_nor_on_how_many_work(tmp_path: Path) -> None:
    path = study(tmp_path, STUDY + VARIED + STOP)
    tables = [
        made_up(path, tmp_path / f"out{i}", worker(row_of, shuffle=i), runs=60, count=count)
        for i, count in enumerate((1, 2, 5, 16))
    ]
    assert all(table == tables[0] for table in tables)
    files = [(tmp_path / f"out{i}" / "rows.parquet").read_bytes() for i in range(4)]
    assert files == files[:1] * 4


# ---- going on -------------------------------------------------------------------------------------------------------


class PowerCutError(Exception):
    """The worker is gone."""


def cut_after(chunks: int) -> Work:
    whole = worker(row_of, shuffle=9)

    def work(todo: Any) -> Iterator[Any]:
        for i, done in enumerate(whole(todo)):
            if i == chunks:
                raise PowerCutError
            yield done

    return work


@pytest.mark.parametrize("chunks", [0, 1, 4])
def test_a_study_that_was_cut_goes_on_and_comes_out_the_same(tmp_path: Path, chunks: int) -> None:
    path = study(tmp_path, STUDY + VARIED + STOP)
    with pytest.raises(PowerCutError):
        made_up(path, tmp_path / "cut", cut_after(chunks), runs=60)
    there = len(list((tmp_path / "cut" / "parts").glob("*.json")))
    assert there == chunks
    if chunks > 1:  # a file that the disk had not got
        next((tmp_path / "cut" / "parts").glob("*.json")).write_text("")
    seen: list[Chunk] = []
    rows = made_up(path, tmp_path / "cut", worker(row_of, seen=seen), runs=60)
    assert rows == made_up(path, tmp_path / "whole", worker(row_of), runs=60)
    assert sum(len(chunk.seeds) for chunk in seen) < len(rows) or chunks == 0
    assert not (tmp_path / "cut" / "parts").exists()
    assert (tmp_path / "cut" / "rows.parquet").read_bytes() == (tmp_path / "whole" / "rows.parquet").read_bytes()


def test_a_study_that_is_over_is_not_run_again(tmp_path: Path) -> None:
    path, seen = study(tmp_path, STUDY), []
    rows = made_up(path, tmp_path / "out", worker(row_of))
    assert made_up(path, tmp_path / "out", worker(row_of, seen=seen)) == rows
    assert not seen


def test_another_study_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    path, out = study(tmp_path, STUDY), tmp_path / "out"
    made_up(path, out, worker(row_of))
    with pytest.raises(InputError, match=r"^--out .*: found rows of another study, or another --runs, exp"):
        made_up(path, out, worker(row_of), runs=13)
    with pytest.raises(InputError, match="found rows of another study"):
        made_up(study(tmp_path, STUDY + VARIED, "varied.yaml"), out, worker(row_of))
    kept = json.loads((out / "study.json").read_text())
    (out / "study.json").write_text(json.dumps(kept | {"made_of": kept["made_of"] | {"program": "older"}}))
    with pytest.raises(InputError, match="found rows of another version of opencram"):
        made_up(path, out, worker(row_of))
    (out / "study.json").unlink()
    with pytest.raises(InputError, match="found files that are not of this study"):
        made_up(path, out, worker(row_of))


def test_a_scenario_that_was_changed_meanwhile_is_noticed(tmp_path: Path) -> None:
    from opencram.world import scenario

    text = (scenario._folder() / "baghdad-2021-12-19.yaml").read_text("utf-8")
    raid = study(tmp_path, text, "raid.yaml")
    path = study(tmp_path, f"name: own\nscenarios: [{raid}]\nruns: 2\n")
    made_up(path, tmp_path / "out", worker(row_of))
    raid.write_text(text.replace("duration_s: {assumed: 110", "duration_s: {assumed: 111"), encoding="utf-8")
    with pytest.raises(InputError, match="found rows of other scenarios or another site"):
        made_up(path, tmp_path / "out", worker(row_of))


# ---- real runs ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quick study, run by one process without a break."""
    home = tmp_path_factory.mktemp("whole")
    with local(1) as workers:
        run_study(study(home, QUICK), home / "out", None, nullcontext(workers))
    return home


def test_the_same_chance_meets_every_point(whole: Path) -> None:
    """Where nothing that a radar sees is changed, nothing that a seed draws is: the launches are the very same."""
    plan = Plan(load_study(whole / "study.yaml"), None)
    ends = []
    for case in plan.cases:
        objects = World(*staged(plan.documents(case)), plan.seed(1)).objects()
        ends.append([thing.undefended_enu_m.tolist() for thing in objects])
    assert ends == ends[:1] * 4
    other = World(*staged(plan.documents(plan.cases[0])), plan.seed(2)).objects()
    assert [thing.undefended_enu_m.tolist() for thing in other] != ends[0]
    rows = pq.read_table(whole / "out" / "rows.parquet").to_pylist()
    assert len({row["digest"] for row in rows}) > 3


def test_two_processes_and_kill_9_give_the_same_table(whole: Path, tmp_path: Path) -> None:
    path = study(tmp_path, QUICK)
    command = [sys.executable, "-m", "opencram", "study", str(path), "--out", "out", "--workers", "2"]
    process = subprocess.Popen(command, cwd=tmp_path, start_new_session=True)
    deadline = time.monotonic() + 120
    while not list((tmp_path / "out").glob("parts/*.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("parts/*.json")}
    assert kept
    assert not (tmp_path / "out" / "rows.parquet").exists()
    ended = opencram("study", path, "--out", "out", "--workers", 2, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.rstrip().endswith("Report: out/study.html")
    assert (tmp_path / "out" / "rows.parquet").read_bytes() == (whole / "out" / "rows.parquet").read_bytes()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["runs_found"] >= len(kept)


def test_a_row_is_run_again_alone(whole: Path, tmp_path: Path) -> None:
    row = pq.read_table(whole / "out" / "rows.parquet").to_pylist()[7]
    ended = opencram("study", whole / "study.yaml", "--row", 7, "--out", "seven", cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert all(
        re.search(rf"^ {name} +{re.escape(str(value))}\s*$", ended.stdout, re.M)
        for name, value in row.items()
        if value is not None
    )
    summary = json.loads((tmp_path / "seven" / "run.json").read_text())
    assert (summary["digest"], summary["seed"], row["variant"]) == (row["digest"], 1, "alone")
    assert (tmp_path / "seven" / "report.html").is_file()
    again = opencram("replay", tmp_path / "seven" / "recording.mcap", "--out", "again", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["digest"] == row["digest"]


@contextlib.contextmanager
def dask_cluster(home: Path, workers: int) -> Iterator[str]:
    """A scheduler and its workers, each a process of its own, on a port that the system gives."""
    run = [sys.executable, "-m", "distributed.cli.dask_"]
    told = home / "scheduler.json"
    common = {"cwd": home, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    begin = [*run[:2], f"{run[2]}scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    started = [subprocess.Popen([*begin, "--scheduler-file", str(told)], **common)]  # type: ignore[call-overload]
    try:
        deadline = time.monotonic() + 60
        while not (told.exists() and told.read_text().strip()) and time.monotonic() < deadline:
            time.sleep(0.05)
        address = json.loads(told.read_text())["address"]
        work = [*run[:2], f"{run[2]}worker", address, "--nthreads", "1", "--no-dashboard", "--no-nanny"]
        started += [subprocess.Popen(work, **common) for _ in range(workers)]  # type: ignore[call-overload]
        yield address
    finally:
        for process in reversed(started):
            process.kill()  # asked to end, a worker waits for a scheduler that may be gone
            process.wait()


def test_a_dask_cluster_gives_the_same_table(whole: Path, tmp_path: Path) -> None:
    path = study(tmp_path, QUICK)
    with dask_cluster(tmp_path, 2) as address:
        ended = opencram("study", path, "--out", "out", "--scheduler", address, cwd=tmp_path)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert (tmp_path / "out" / "rows.parquet").read_bytes() == (whole / "out" / "rows.parquet").read_bytes()
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["workers"] in (1, 2)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "--scheduler tcp://127.0.0.1:9: found no Dask scheduler there"),
        (["--scheduler", "nonsense://x"], "--scheduler: found 'nonsense://x', expected an address such as tcp://"),
        (["--scheduler", "tcp://127.0.0.1:9", "--workers", "2"], "--workers: found it with --scheduler"),
        (["--row", "8"], "--row: found 8, expected a number below 8"),
    ],
)
def test_a_wrong_option_is_one_sentence(tmp_path: Path, args: list[str], said: str) -> None:
    ended = opencram("study", study(tmp_path, QUICK), "--out", "out", *args, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith(f"opencram: {said}")
    assert ended.stderr.count("\n") == 1


def test_without_dask_the_option_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from opencram.drive.study.workers import cluster

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"found no Dask here, expected it; try: pip install 'opencram\[dask\]'"):
        run_study(study(tmp_path, QUICK), tmp_path / "out", None, cluster("tcp://127.0.0.1:9"))


class Cluster:
    """As much of a Dask client as is asked before any work is handed out."""

    def __init__(self, told: object) -> None:
        self.told = told

    def wait_for_workers(self, n: int, timeout: float) -> None:
        if self.told is None:
            raise TimeoutError(f"only 0 of {n} workers after {timeout} s")

    def run(self, _: object) -> object:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (None, "found a scheduler without workers, expected one or more"),
        (Exception("ModuleNotFoundError(\n'opencram')"), "found a worker without this opencram (ModuleNotFoundError("),
        (
            {"tcp://a:1": program_digest(), "tcp://b:2": "older"},
            "found another opencram at tcp://b:2, expected the same",
        ),
    ],
)
def test_a_cluster_that_cannot_do_it_is_one_sentence(told: object, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(f"--scheduler tcp://c:3: {said}")) as raised:
        _check_workers(Cluster(told), "tcp://c:3")
    assert "\n" not in str(raised.value)
    _check_workers(Cluster({"tcp://a:1": program_digest()}), "tcp://c:3")


def test_the_program_is_known_by_its_files() -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", program_digest())


# ---- what a row says ------------------------------------------------------------------------------------------------


def test_a_rows_columns_are_the_ones_that_are_told_of(whole: Path) -> None:
    row = pq.read_table(whole / "out" / "rows.parquet").to_pylist()[0]
    head = ("row", "scenario", "site", "variant", "point", "detection", "seed")
    assert set(row) == {*head, *COLUMNS}
    assert not [field for field in pq.read_schema(whole / "out" / "rows.parquet") if str(field.type) == "null"]
    assert set(OUTCOMES) <= set(COLUMNS)
    assert all(isinstance(value, str | int | float | bool | None) for value in row.values())


def test_planners_figures_of_a_run_worked_out_from_its_truth() -> None:
    """From the world's own objects and the warnings as they were given, not from the summary."""
    scenario, site = load_scenario("baghdad-2021-12-19"), load_site("baghdad-embassy")
    row = next(row for row in (row_of_run(scenario, site, seed) for seed in range(9)) if row["impacts"])
    world, crank = simulate_in_memory(scenario, site, int(row["seed"] or 0))
    hits: dict[str, int] = {}
    for thing in world.objects():
        for zone in thing.zones:
            hits[zone] = min(hits.get(zone, thing.end_ns), thing.end_ns)
    alerts = {w.zone: w.time_ns for w in reversed(crank.said.warnings) if w.state == "alert"}
    warning = sorted(max((hits[zone] - alerts.get(zone, hits[zone])) * 1e-9, 0.0) for zone in hits)
    assert row["warning_s_least"] == pytest.approx(warning[0], abs=0.002)
    assert row["hits_warned"] == (warning[0] > 0.0)
    assert row["people_in_hit_zones"] == sum(z.people for z in site.zones if z.id in hits)
    assert row["magazine_spent"] == len(crank.said.engagements)
    assert row["debris_in_zones"] == sum(piece.zone is not None for piece in world.debris())
    protected = {z.id for z in site.zones if z.protected}
    assert row["impacts_protected"] == sum(bool(protected & set(thing.zones)) for thing in world.objects())


def summary(**zones: tuple[float | None, float | None, float]) -> dict[str, Any]:
    """A run in which zones were hit after a lead, heard so much later by a share of their people."""
    rows = [
        {
            "id": zone,
            "first_alert": None if lead is None else "2020-11-17T17:30:00.000Z",
            "first_impact": "2020-11-17T17:31:00.000Z",
            "all_clear": "2020-11-17T17:33:00.000Z",
            "lead_s": lead,
            "lead_heard_s": None if lead is None or late is None else lead - late,
            "heard_share": share,
        }
        for zone, (lead, late, share) in zones.items()
    ]
    return {"zones": rows, "objects": [], "debris": [], "engagements": [], "end": "2020-11-17T17:35:00.000Z"}


def test_people_are_warned_when_they_hear_it() -> None:
    site = load_site("baghdad-embassy")
    people = {z.id: z.people for z in site.zones}
    shelter = {z.id: z.time_to_shelter_s for z in site.zones}
    lead = shelter["embassy"] + 1.0
    told = summary(embassy=(lead, 0.5, 1.0), karrada=(shelter["karrada"] + 1.0, 3.0, 0.8), rusafa=(None, None, 0.9))
    found = planning_figures(told, site)
    in_hit = people["embassy"] + people["karrada"] + people["rusafa"]
    heard = people["embassy"] * (lead - 0.5) + 0.8 * people["karrada"] * (shelter["karrada"] - 2.0)
    assert found["people_in_hit_zones"] == in_hit
    assert found["people_warning_s"] == pytest.approx(heard, abs=0.06)
    assert found["warning_s_per_person"] == pytest.approx(heard / in_hit, abs=0.001)
    assert found["sheltered_share"] == pytest.approx(people["embassy"] / in_hit, abs=1e-4)
    assert (found["hits_warned"], found["hits_in_time"], found["warning_s_least"]) == (False, False, 0.0)
    assert found["alarm_person_min"] == pytest.approx(3.0 * (people["embassy"] + people["karrada"]))
    assert alarm_person_min(told, people) == found["alarm_person_min"]
    silent = planning_figures(summary(), site)
    assert (silent["hits_in_time"], silent["warning_s_p10"], silent["sheltered_share"]) == (None, None, None)


# ---- the report -----------------------------------------------------------------------------------------------------


def test_the_report_shows_points_differences_and_what_matters(tmp_path: Path) -> None:
    def effect(case: int, seed: int) -> Row:
        point, variant = case // 2, case % 2
        caught = plan.cases[case].levels["magazine"].value + round(luck(seed, point))
        caught -= variant * (1 + round(luck(seed, point, "one battery less")))
        return row_of(case, seed, launched=7, intercepted=max(caught, 0), hits_in_time=variant == 0)

    text = (
        STUDY + "vary:\n  magazine: {path: site.effectors.battery-north.magazine, choice: [2, 4, 6]}\n"
        "  wind: {path: scenario.weather.wind_mps, uniform: {least: 0, most: 9}}\nsample: {points: 32}\n"
        "variants: [{name: both}, {name: one, remove: [site.effectors.battery-south]}]\n"
        "outcomes: [intercepted, hits_in_time]\n"
    )
    path = study(tmp_path, text)
    plan = Plan(load_study(path), None)
    made_up(path, tmp_path / "out", worker(effect))
    page = (tmp_path / "out" / "study.html").read_text("utf-8")
    assert page.count("<svg") == 4
    assert "http" not in re.sub(r'xmlns(:\w+)?="[^"]+"', "", page)
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", line) for line in page.splitlines() if line.startswith("<tr><td>")]
    found = {tuple(row[:2]): row for row in rows}
    assert found["intercepted", "magazine"][2].endswith("% ↑")
    assert int(found["intercepted", "magazine"][2].split()[0]) > 90
    assert int(found["intercepted", "wind"][2].split()[0]) < 15
    difference = next(row for row in rows if row[0] == "one – both" and row[2] == "intercepted")
    mean, low, high = (float(part) for part in re.findall(r"-?\d+\.\d+", difference[3]))
    assert low < mean < high
    assert mean == pytest.approx(-1.5, abs=0.1)
    assert next(row for row in rows if row[0] == "one – both" and "shelter" in row[2])[3] == "-100 % (-100 to -100)"
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert check_file(tmp_path / "out") == "the rows of a study, 768 runs of 64 cases"
    assert check_file(path) == "a study of 1 scenario, 64 cases, 12 runs of each"
    ended = opencram("report", "out", cwd=tmp_path)
    assert ended.stdout.splitlines()[:2] == ["out/study.html", "out/study.md"]
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == before


def test_a_study_that_is_not_over_has_no_report(tmp_path: Path) -> None:
    with pytest.raises(PowerCutError):
        made_up(study(tmp_path, STUDY), tmp_path / "out", cut_after(1))
    with pytest.raises(InputError, match=r"rows.parquet: found no such file, expected the rows of a study"):
        write_study(tmp_path / "out")
    ended = opencram("report", "out", "--pdf", cwd=tmp_path)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
