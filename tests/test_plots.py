"""Tables of plots: the same rows from CSV and Parquet, told in ticks as a radar would have; bad files in words."""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from opencram.errors import InputError
from opencram.record import plots
from opencram.record.plots import FALL_NS, PlotTable, read_plots
from opencram.stages.bytes_to_plots import PlotsState, bytes_to_plots
from opencram.tables import PlotRows, Plots, Reject
from small_site import site_of, square

SITE = site_of([square("east", 500.0, 0.0)])
SECOND_NS = 1_000_000_000
T0_NS = 1_605_636_000 * SECOND_NS
HEADER = "time,sensor,range_m,azimuth_deg,elevation_deg"
ROW = "2020-11-17T18:00:00Z,radar,5000,90,30"


def written(folder: Path, text: str | bytes, name: str = "plots.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def made_up(n: int = 40) -> dict[str, list[Any]]:
    """Scans of four plots, 0.1 s apart."""
    rng = np.random.default_rng(1)
    return {
        "time": [1605636000 + (i // 4) / 10 for i in range(n)],
        "sensor": ["radar"] * n,
        "range_m": rng.uniform(500, 9000, n).round(1).tolist(),
        "azimuth_deg": rng.uniform(0, 360, n).round(3).tolist(),
        "elevation_deg": [None if i % 7 == 0 else float(i) for i in range(n)],
        "snr_db": rng.uniform(5, 20, n).round(1).tolist(),
    }


def as_csv(columns: dict[str, list[Any]], **options: Any) -> str:
    text = io.StringIO()
    writer = csv.writer(text, **options)
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
    return text.getvalue()


def decoded(table: PlotTable) -> tuple[list[Plots], list[Reject]]:
    """What the decoder makes of all ticks."""
    state, scans, rejects = PlotsState(), [], []
    for now_ns, inbox in table.ticks(SITE):
        found, refused, _ = bytes_to_plots(state, inbox, now_ns, SITE)
        scans += found
        rejects += refused
    return scans, rejects


def values_of(scans: list[Plots]) -> dict[str, list[Any]]:
    whole = Plots.concat(scans)
    return {name: np.nan_to_num(column, nan=-999.0).tolist() for name, column in vars(whole).items()}


def test_csv_and_parquet_give_the_same_plots(tmp_path: Path) -> None:
    columns = made_up()
    iso = [f"{np.datetime64(round(t * 1e6), 'us')}Z" for t in columns["time"]]
    moments = pa.array([round(t * 1e6) for t in columns["time"]], pa.timestamp("us", "UTC"))
    pq.write_table(pa.table(columns), tmp_path / "numbers.parquet")
    typed = columns | {"time": moments, "sensor": pa.array(columns["sensor"]).dictionary_encode()}
    pq.write_table(pa.table(typed), tmp_path / "typed.parquet")
    pq.write_table(pa.table(columns | {"time": moments.cast(pa.timestamp("ns"))}), tmp_path / "naive.parquet")
    pq.write_table(pa.table(columns | {"range_m": [str(v) for v in columns["range_m"]]}), tmp_path / "text.parquet")
    variants = {
        "plain.csv": as_csv(columns),
        "iso.csv": as_csv(columns | {"time": iso}),
        "crlf.csv": as_csv(columns, lineterminator="\r\n"),
        "quoted.csv": as_csv(columns, quoting=csv.QUOTE_ALL),
        "bom.csv": "\ufeff" + as_csv(columns),
        "extra.csv": as_csv({"note": ["a, b"] * 40, **columns, "": ["é"] * 40, "row": ["x"] * 40}),
        "no-end.csv": as_csv(columns).rstrip(),
        "blank-lines.csv": as_csv(columns).replace("\n", "\n\n"),
    }
    for name, text in variants.items():
        written(tmp_path, text, name)
    expected, rejects = decoded(read_plots(tmp_path / "plain.csv"))
    assert [len(s) for s in expected] == [4] * 10
    assert not rejects
    for path in sorted(tmp_path.iterdir()):
        scans, rejects = decoded(read_plots(path))
        assert (path.name, rejects) == (path.name, [])
        assert values_of(scans) == values_of(expected)


def test_the_tables_we_write_can_be_played_again(tmp_path: Path) -> None:
    from dataclasses import replace

    from opencram.record.parquet import TableWriter
    from outboxes import START_NS, outbox_of

    boxes = [outbox_of(START_NS + i * 100_000_000, i) for i in range(3)]
    writer = TableWriter(SITE)
    for box in boxes:
        writer.add(box)
    writer.write(tmp_path)
    scans, rejects = decoded(read_plots(tmp_path / "plots.parquet"))
    assert not rejects
    for scan, box in zip(scans, boxes, strict=True):
        sent = replace(box.plots, scan=scan.scan)
        for name, column in vars(sent).items():
            np.testing.assert_allclose(getattr(scan, name), column, rtol=1e-15)


def test_rows_in_any_order_are_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = made_up()
    columns["received"] = [t + 0.02 * (i % 3) for i, t in enumerate(columns["time"])]
    expected, _ = decoded(read_plots(written(tmp_path, as_csv(columns))))
    order = np.random.default_rng(5).permutation(40)
    shuffled = {name: [values[i] for i in order] for name, values in columns.items()}
    path = written(tmp_path, as_csv(shuffled), "shuffled.csv")
    assert values_of(decoded(read_plots(path))[0]) == values_of(expected)
    monkeypatch.setattr(plots, "ROWS_AT_ONCE", 7)
    assert values_of(decoded(read_plots(path))[0]) == values_of(expected)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "found an empty file"),
        (HEADER, "found no rows"),
        (HEADER + "\n", "found no rows"),
        ("\n\n", "expected time, sensor, range_m, azimuth_deg, elevation_deg too"),
        (
            "time,sensor,range_m,azimuth_deg\n1,a,2,3\n",
            "found the columns time, sensor, range_m, azimuth_deg; expected el",
        ),
        ("time;sensor;range_m\n", "found the columns time;sensor;range_m; expected time, sensor"),
        (f"{HEADER},time\n{ROW},1\n", "found the column time twice"),
        (f"{HEADER}\nsoon,radar,1,2,3\nlater,radar,1,2,3\n", "row 2: time: found 'soon'"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", "found binary data"),
        (HEADER.encode("utf-16"), "found binary data"),
        (b"x" * 70_000, "found binary data"),
        (f"{HEADER}\n".encode() + b"2020-11-17T18:00:00Z,radar\xff,5000,90,30\n", "UTF-?8"),
    ],
)
def test_a_file_that_is_no_table_is_refused_in_a_sentence(tmp_path: Path, content: str | bytes, found: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(InputError, match=found) as error:
        read_plots(path)
    assert str(path) in str(error.value)
    assert "expected" in str(error.value)


def test_what_is_no_parquet_file_is_refused_in_a_sentence(tmp_path: Path) -> None:
    whole = tmp_path / "whole.parquet"
    pq.write_table(pa.table(made_up()), whole)
    for name, content in (("text", HEADER.encode()), ("cut", whole.read_bytes()[:-20]), ("none", b"")):
        path = written(tmp_path, content, f"{name}.parquet")
        with pytest.raises(InputError, match=f"{name}.parquet: found .*expected"):
            read_plots(path)
    pq.write_table(pa.table({"time": [1.0], "x": [2]}), tmp_path / "other.parquet")
    with pytest.raises(
        InputError, match="found the columns time, x; expected sensor, range_m, azimuth_deg, elevation_deg"
    ):
        read_plots(tmp_path / "other.parquet")


def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="found a folder"):
        read_plots(tmp_path)
    with pytest.raises(InputError, match="No such file"):
        read_plots(tmp_path / "none.csv")


def test_bad_rows_are_refused_by_number_and_the_rest_goes_on(tmp_path: Path) -> None:
    bad = {
        "unreadable time": ["yesterday,radar,5000,90,30", "2020-11-17T18:00:00Z,radar,5000", f"{ROW},7,8"],
        "unknown sensor": ["2020-11-17T18:00:00Z,radar-9,5000,90,30"],
        "range_m not a number": ["2020-11-17T18:00:00Z,radar,far,90,30"],
        "range_m impossible": ["2020-11-17T18:00:00Z,radar,-1,90,30"],
        "azimuth_deg impossible": ["2020-11-17T18:00:00Z,radar,5000,400,30"],
        "elevation_deg impossible": ["2020-11-17T18:00:00Z,radar,5000,90,100"],
    }
    lines = [HEADER, ROW, *(line for lines in bad.values() for line in lines), ROW]
    scans, rejects = decoded(read_plots(written(tmp_path, "\n".join(lines))))
    assert [len(s) for s in scans] == [1]
    found = {r.reason: (r.count, r.sample.split(":")[0]) for r in rejects}
    first = {reason: lines.index(rows[0]) + 1 for reason, rows in bad.items()}
    assert found.pop("duplicate")[0] == 1
    assert found == {reason: (len(rows), f"row {first[reason]}") for reason, rows in bad.items()}


def test_infinity_in_parquet_is_refused_in_recordings_too(tmp_path: Path) -> None:
    """JSON has no infinity: it must not come back from a recording as a value that is merely missing."""
    pq.write_table(pa.table(made_up() | {"snr_db": [float("inf"), *[1.0] * 39]}), tmp_path / "plots.parquet")
    _, inbox = next(read_plots(tmp_path / "plots.parquet").ticks(SITE))
    assert inbox[0].columns["snr_db"][0] == "inf"


def test_each_scan_comes_whole_in_one_tick_and_leaves_it(tmp_path: Path) -> None:
    """Half an update (0.05 s) after its first row, now is at its deadline."""
    table = read_plots(written(tmp_path, as_csv(made_up())))
    state = PlotsState()
    filled = [(now_ns, inbox) for now_ns, inbox in table.ticks(SITE) if inbox]
    assert [now_ns - T0_NS for now_ns, _ in filled] == [i * 100_000_000 + 50_000_000 for i in range(10)]
    for now_ns, inbox in filled:
        [scan], _, _ = bytes_to_plots(state, inbox, now_ns, SITE)
        assert len(scan) == 4


def test_now_follows_the_received_time_and_a_gap_brings_empty_ticks(tmp_path: Path) -> None:
    received = [0.0, 0.5, 0.51, 30.0, 3600.0]
    text = [
        HEADER + ",received",
        *(f"{T0_NS / 1e9 + t - 0.4},radar,{5000 + t},90,30,{T0_NS / 1e9 + t}" for t in received),
    ]
    table = read_plots(written(tmp_path, "\n".join(reversed(text[1:])).join([text[0] + "\n", ""])))
    ticks = list(table.ticks(SITE))
    times = [now_ns for now_ns, _ in ticks]
    assert times == sorted(set(times))
    for now_ns, inbox in ticks:
        for rows in inbox:
            assert isinstance(rows, PlotRows)
            assert now_ns - 50_000_000 <= rows.received_ns <= now_ns
    assert [len(inbox[0].columns["time"]) for _, inbox in ticks if inbox] == [1, 2, 1, 1]
    steps = np.diff(times) / 1e9
    assert (steps[:-1] <= 0.55).sum() == len(steps) - 2  # silence is played out, but for the hour's rest
    assert steps.max() > 3000.0
    assert times[-1] - T0_NS >= 3600 * SECOND_NS + FALL_NS


def test_a_span_of_a_table(tmp_path: Path) -> None:
    table = read_plots(written(tmp_path, as_csv(made_up())))
    assert len(table) == 40
    part = table.between(T0_NS + 100_000_000, T0_NS + 200_000_000)
    assert len(part) == 8
    assert sum(len(s) for s in decoded(part)[0]) == 8
    assert len(table.between(T0_NS + 10 * SECOND_NS, None)) == 0
