"""The tables, read by another library (DuckDB where it can, else Arrow), hold what came out of the pipeline."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from pyproj import Transformer

from opencram.physics.threats import ballistic_ids, catalogue
from opencram.record import parquet
from opencram.record.parquet import COLUMNS, TableWriter
from opencram.tables import Outbox
from outboxes import START_NS, outbox_of
from small_site import site_of, square

TICK_NS = 100_000_000
CONTRACT = {
    "tracks": "time track status model n_plots existence class east_m north_m up_m east_mps north_mps up_mps",
    "impacts": "time track n_plots class impact_time impact_time_sigma_s impact_lat impact_lon impact_east_m "
    "impact_north_m cov_ee_m2 cov_en_m2 cov_nn_m2 launch_lat launch_lon launch_cov_ee_m2 launch_cov_en_m2 "
    "launch_cov_nn_m2 ballistic_coefficient_kgpm2",
    "warnings": "time zone state tracks p_hit seconds_left reason",
}
SITE = site_of([square("east", 500.0, 0.0)])


def outboxes(ticks: int) -> list[Outbox]:
    return [outbox_of(START_NS + i * TICK_NS, i) for i in range(ticks)]


def written(folder: Path, boxes: list[Outbox], spill: Path | None = None) -> Path:
    writer = TableWriter(SITE, spill)
    for i, box in enumerate(boxes):
        writer.add(box)
        state = {name: [float(i)] for name in COLUMNS["truth"][3:]}
        writer.add_truth({"time_ns": [START_NS + i], "object": ["R1"], "class": ["rocket-107"], **state})
    writer.write(folder)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("tables"), outboxes(5))


def test_every_table_has_the_columns_of_the_contract(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == sorted(f"{name}.parquet" for name in COLUMNS)
    for name, columns in COLUMNS.items():
        schema = pq.read_schema(folder / f"{name}.parquet")
        assert schema.names == columns
        assert set(CONTRACT.get(name, "").split()) <= set(columns)
        assert all(schema.field(c).type == pa.timestamp("ns", "UTC") for c in columns if c.endswith("time"))
    assert {f"p_{name}" for name in ballistic_ids()} <= set(COLUMNS["impacts"])


def test_rows_come_by_time_then_track(folder: Path) -> None:
    for name in ("tracks", "impacts", "hypotheses", "threats", "engagements"):
        table = pq.read_table(folder / f"{name}.parquet", columns=["time", "track"])
        keys = list(zip(table["time"].cast(pa.int64()).to_pylist(), table["track"].to_pylist(), strict=True))
        assert len(keys) >= 5
        assert keys == sorted(keys)


def test_values_are_those_of_the_pipeline(folder: Path) -> None:
    box = outbox_of(START_NS + 2 * TICK_NS, 2)
    time_ns = int(box.tracks.time_ns[0])
    rows = {r["track"]: r for r in rows_at(folder, "tracks", time_ns)}
    for i, track in enumerate(box.tracks.track.tolist()):
        row, cov = rows[track], box.tracks.cov[i]
        assert [row[c] for c in ("east_m", "north_m", "up_m", "east_mps", "up_mps")] == list(
            box.tracks.mean[i, [0, 1, 2, 3, 5]]
        )
        assert (row["cov_en_m2"], row["cov_nve_m2ps"], row["cov_vuvu_m2ps2"]) == (cov[0, 1], cov[1, 3], cov[5, 5])
        expected = "unknown" if box.tracks.cls[i] < 0 else list(catalogue())[box.tracks.cls[i]]
        assert (row["class"], row["status"], row["model"]) == (expected, "confirmed", "ballistic")


def test_impacts_carry_the_chance_of_each_class(folder: Path) -> None:
    kinds = outbox_of(START_NS, 0).hypotheses
    for row in rows_at(folder, "impacts", int(kinds.time_ns[0])):
        for cls, name in enumerate(catalogue()):
            if name in ballistic_ids():
                weight = kinds.weight[(kinds.track == row["track"]) & (kinds.cls == cls)].sum()
                assert row[f"p_{name}"] == weight
    assert any(row["p_mortar-60"] > 0 for row in rows_at(folder, "impacts", int(kinds.time_ns[0])))


def test_latitude_and_longitude_are_the_points_on_the_ground(folder: Path) -> None:
    """Against pyproj: the ENU of the latitude and longitude, on the ground, is the impact's east and north."""
    origin = SITE.origin
    to_enu = Transformer.from_pipeline(
        "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad +step +proj=cart "
        f"+step +proj=topocentric +lat_0={origin.lat} +lon_0={origin.lon} +h_0={origin.height_m}"
    )
    for kind in ("impact", "launch"):
        names = [f"{kind}_{what}" for what in ("lat", "lon", "east_m", "north_m")]
        table = pq.read_table(folder / "impacts.parquet", columns=names).to_pydict()
        east, north, _ = to_enu.transform(table[f"{kind}_lon"], table[f"{kind}_lat"], [origin.height_m] * 35)
        assert np.allclose(east, table[f"{kind}_east_m"], atol=0.05)
        assert np.allclose(north, table[f"{kind}_north_m"], atol=0.05)


def test_what_is_not_known_is_null(folder: Path, tmp_path: Path) -> None:
    assert pq.read_table(folder / "plots.parquet")["elevation_deg"].null_count == 5
    box = outbox_of(START_NS, 0)
    nowhere = replace(box.impacts, launch_enu_m=np.full((7, 2), np.nan), launch_cov_m2=np.full((7, 2, 2), np.nan))
    table = pq.read_table(written(tmp_path, [replace(box, impacts=nowhere)]) / "impacts.parquet")
    assert all(table[name].null_count == 7 for name in COLUMNS["impacts"] if name.startswith("launch"))
    assert table["impact_lat"].null_count == 0


def test_duckdb_reads_them(folder: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    select = "select count(*), min(epoch_ns(time)), max(p_hit)"
    rows = duckdb.sql(f"{select} from '{folder}/warnings.parquet' where list_contains(tracks, 2)")
    assert rows.fetchall() == [(5, START_NS, 0.71)]


def test_a_run_on_real_plots_has_no_truth(tmp_path: Path) -> None:
    writer = TableWriter(SITE)
    writer.write(tmp_path)
    assert not (tmp_path / "truth.parquet").exists()
    assert pq.read_table(tmp_path / "tracks.parquet").num_rows == 0
    assert sorted(p.suffix for p in tmp_path.iterdir()) == [".parquet"] * (len(COLUMNS) - 1)


@pytest.mark.parametrize("parts", [1, 3, 512])
def test_spilling_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parts: int) -> None:
    """With a limit of a few rows, and rows that come late, the files hold the same rows in the same order."""
    boxes = outboxes(40)
    boxes[20], boxes[22] = boxes[22], boxes[20]
    whole = written(tmp_path / "whole", boxes)
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(parquet, "HOLD_NS", 5 * TICK_NS)
    monkeypatch.setattr(parquet._Spool, "PARTS_AT_ONCE", parts)
    spilled = written(tmp_path / "tables", boxes, spill=tmp_path)
    assert pq.ParquetFile(spilled / "tracks.parquet").num_row_groups > 5
    for name in COLUMNS:
        assert pq.read_table(spilled / f"{name}.parquet").equals(pq.read_table(whole / f"{name}.parquet"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tables", "whole"]


def test_what_was_spilled_can_be_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "ROWS_AT_ONCE", 10)
    writer = TableWriter(SITE, tmp_path)
    for box in outboxes(20):
        writer.add(box)
    assert list(tmp_path.iterdir())
    writer.discard()
    assert not list(tmp_path.iterdir())


def rows_at(folder: Path, name: str, time_ns: int) -> list[dict[str, Any]]:
    """The rows of one time, without their time columns."""
    table = pq.read_table(folder / f"{name}.parquet")
    found = table.filter(pc.equal(table["time"].cast(pa.int64()), time_ns))
    times = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]  # Python has no nanoseconds
    return found.drop_columns(times).to_pylist()
