"""Dagster's databases are kept open, and nobody is kept out."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dagster as dg

from braze_platform.demo.open_databases import kept_open


def test_the_log_of_every_database_outlives_its_writers(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("before"))
        databases = [*tmp_path.glob("*/*.db"), tmp_path / "history" / "runs" / "index.db"]
        assert {"runs.db", "index.db", "schedules.db"} <= {path.name for path in databases}
        index = tmp_path / "history" / "runs" / "index.db-wal"
        assert not index.exists()
        with kept_open(tmp_path):
            instance.report_runless_asset_event(dg.AssetMaterialization("meanwhile"))
            assert index.exists()
            assert instance.get_latest_materialization_event(dg.AssetKey("meanwhile")) is not None
        assert not index.exists()
        instance.report_runless_asset_event(dg.AssetMaterialization("afterwards"))
        assert {key.to_user_string() for key in instance.get_asset_keys()} == {
            "before",
            "meanwhile",
            "afterwards",
        }


def test_databases_can_be_written_and_compacted_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "schedules"
    folder.mkdir()
    with closing(sqlite3.connect(folder / "schedules.db")) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table ticks (id integer)")
        connection.commit()
        with kept_open(tmp_path):
            connection.execute("insert into ticks values (1)")
            connection.commit()
            connection.execute("vacuum")
            assert connection.execute("select count(*) from ticks").fetchall() == [(1,)]
