"""The embedded warehouse: sessions, transactions, parameters, batches and one process at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse, local_warehouse
from braze_platform.warehouse.interface import WarehouseBusy
from braze_platform.warehouse.sql import DuckDBSql


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "deep" / "warehouse.duckdb", threads=1)


def test_columns_of_any_name_and_of_a_view_over_what_is_gone(warehouse: DuckDBWarehouse) -> None:
    columns = {"x": "INTEGER", "y z": "STRUCT(a VARCHAR)[]", 'q"r': "DECIMAL(9,2)"}
    with warehouse.session() as session:
        session.create_schema("a b", "Tests.")
        session.execute('create table "a b".t (x int, "y z" struct(a varchar)[], "q""r" decimal(9, 2))')
        session.execute('create view "a b".v as select * from "a b".t')
        assert session.columns("a b", "t") == session.columns("a b", "v") == columns
        session.execute('drop table "a b".t')
        assert session.columns("a b", "v") == columns and session.columns("a b", "t") == {}


def test_a_session_runs_statements_with_named_parameters(warehouse: DuckDBWarehouse) -> None:
    with warehouse.session() as session:
        session.execute("create table people (name varchar, born timestamp)")
        session.execute(
            "insert into people values ($name, $born)", {"name": "a", "born": datetime(1990, 5, 6)}
        )
        assert session.fetch("select name, born from people where name = $name", {"name": "a"}) == [
            ("a", datetime(1990, 5, 6))
        ]
        assert session.columns("main", "people") == {"name": "VARCHAR", "born": "TIMESTAMP"}
        assert session.columns("main", "nobody") == session.columns("nowhere", "people") == {}
    with warehouse.session() as session:
        assert session.fetch("select count(*) from people") == [(1,)]


def test_a_transaction_takes_effect_whole_or_not_at_all(warehouse: DuckDBWarehouse) -> None:
    with warehouse.session() as session:
        session.execute("create table t (x int)")

        def interrupted() -> None:
            with session.transaction():
                session.execute("insert into t values (1)")
                session.execute("alter table t add column y int")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert session.fetch("select * from t") == []
        assert list(session.columns("main", "t")) == ["x"]
        with session.transaction():
            session.execute("insert into t values (2)")
        assert session.fetch("select * from t") == [(2,)]


def test_a_file_written_anew_within_a_second_is_read_anew(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    export = tmp_path / "export.parquet"
    seen = []
    with warehouse.session() as session:
        for name in ("a", "z"):
            pq.write_table(pa.table({"name": [name]}), export)
            os.utime(export, (1_790_000_000, 1_790_000_000))
            seen += session.fetch("select name from read_parquet($export)", {"export": str(export)})
    assert seen == [("a",), ("z",)]


def test_a_file_in_the_older_storage_format_stays_usable(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(path)) as before:
        before.execute("create table t as select 1 as x")
    with DuckDBWarehouse(path).session() as session:
        session.execute("insert into t values (2)")
        assert session.fetch("select x from t order by x") == [(1,), (2,)]
    with duckdb.connect(str(path)) as afterwards:
        assert afterwards.execute("select sum(x) from t").fetchall() == [(3,)]


def test_arrow_goes_in_and_comes_out_in_batches(warehouse: DuckDBWarehouse) -> None:
    with warehouse.session() as session:
        with session.attached("numbers", pa.table({"n": list(range(5000))})):
            session.execute("create table t as select n from numbers")
        batches = list(session.fetch_batches("select n from t where n >= $least", {"least": 1000}, rows=2048))
        assert sum(batch.num_rows for batch in batches) == 4000
        assert max(batch.num_rows for batch in batches) <= 2048
        assert session.fetch("select count(*) from duckdb_views() where view_name = 'numbers'") == [(0,)]


def test_times_are_utc(warehouse: DuckDBWarehouse) -> None:
    with warehouse.session() as session:
        assert session.fetch("select current_setting('TimeZone')") == [("UTC",)]


def test_another_process_keeps_us_waiting_and_then_out(tmp_path: Path) -> None:
    path = tmp_path / "warehouse.duckdb"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import duckdb, sys; c = duckdb.connect({str(path)!r}); print('x', flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with (
            pytest.raises(WarehouseBusy, match=f"stayed locked by another process.*process {holder.pid}"),
            DuckDBWarehouse(path, patience_seconds=0.2).session(),
        ):
            pytest.fail("the file is open in another process")
        holder.communicate(b"\n")
        with DuckDBWarehouse(path, patience_seconds=10).session() as session:
            assert session.fetch("select 1") == [(1,)]
    finally:
        holder.kill()
        holder.wait()


def test_the_local_target_opens_the_file_of_the_settings(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with local_warehouse(settings).session() as session:
        session.execute("create table t (x int)")
    assert settings.duckdb_path.exists()


def test_identifiers_are_safe() -> None:
    assert DuckDBSql().quoted('a"b') == '"a""b"'
    assert DuckDBSql().listed(["a", "b c"]) == '"a", "b c"'
