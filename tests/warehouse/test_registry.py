"""The registry of tables: made with their descriptions on both warehouses, and as dbt knows them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.warehouse.bigquery import BigQuerySession
from braze_platform.warehouse.dataset_names import PLATFORM_DATASETS
from braze_platform.warehouse.duckdb import DuckDBWarehouse
from braze_platform.warehouse.registry import CDI, DATASETS, FILES, LEDGER, SYNC_TABLES, TABLES, all_tables
from braze_platform.warehouse.sql import BigQuerySql
from braze_platform.warehouse.tables import Column, Table, ensure
from braze_platform.warehouse.targets import warehouse_of


def test_every_table_and_column_is_described_and_named_once() -> None:
    tables = list(all_tables())
    assert len({table.full_name for table in tables}) == len(tables) == len(TABLES) + len(SYNC_TABLES)
    assert {dataset.name for dataset in DATASETS} <= set(PLATFORM_DATASETS)
    for table in tables:
        assert table.description.endswith("."), table.full_name
        assert len({name.lower() for name in table.names}) == len(table.names), table.full_name
        assert all(column.description.endswith(".") for column in table.columns), table.full_name
        assert {table.day_of, table.cluster_by} - {""} <= set(table.names), table.full_name


def described_as(table: Table, description: str) -> str | None:
    """Tables that live for a run alone are not described on DuckDB."""
    return None if table.expires_after else description


def test_tables_are_made_with_descriptions_and_left_alone_once_there(tmp_path: Path) -> None:
    tables = [table.of("s", "l") for table in all_tables()]
    with DuckDBWarehouse(tmp_path / "w.duckdb").session() as session:
        ensure(session, *tables)
        described = dict(
            session.fetch("select schema_name || '.' || table_name, comment from duckdb_tables()")
        )
        assert described == {table.full_name: described_as(table, table.description) for table in tables}
        columns = session.fetch(
            "select schema_name || '.' || table_name, column_name, comment, is_nullable from duckdb_columns() "
            "where not internal"
        )
        assert set(columns) == {
            (table.full_name, column.name, described_as(table, column.description), not column.required)
            for table in tables
            for column in table.columns
        }
        session.execute(f"comment on table {FILES.ref(session.sql)} is 'mine'")
        ensure(session, *tables)
        assert session.fetch("select comment from duckdb_tables() where table_name = 'files'") == [("mine",)]


def test_bigquery_shows_them_with_descriptions_partitions_and_clusters(google_settings: Settings) -> None:
    tables = [table.of("s", "l") for table in all_tables()]
    with warehouse_of(google_settings).session() as session:
        assert isinstance(session, BigQuerySession)
        ensure(session, *tables)
        ensure(session, *tables)
        for table in tables:
            shown = session.client.get_table(f"{session.dataset_id(table.dataset.name)}.{table.name}")
            assert shown.description == table.description, table.full_name
            assert [(field.name, field.description, field.mode == "REQUIRED") for field in shown.schema] == [
                (column.name, column.description, column.required) for column in table.columns
            ], table.full_name
            assert session.columns(table.dataset.name, table.name) == {
                column.name: session.sql.type(column.type.upper()) for column in table.columns
            }
            assert (shown.time_partitioning.field if shown.time_partitioning else "") == table.day_of
            assert (shown.clustering_fields or [""]) == [table.cluster_by]
        amounts = LEDGER.of("amounts")
        amounts = replace(amounts, columns=(Column("amount", "NUMERIC(9, 2)", "An amount."),))
        ensure(session, amounts)
        assert session.columns("braze_sync", amounts.name) == {"amount": "NUMERIC"}


def test_rows_are_appended_with_their_types(tmp_path: Path) -> None:
    table = next(table for table in TABLES if table.name == "late_hours")
    with DuckDBWarehouse(tmp_path / "w.duckdb").session() as session:
        ensure(session, table)
        table.append(session, [])
        table.append(session, [("opened", None, 20_000)])
        assert session.fetch(f"select * from {table.ref(session.sql)}") == [("opened", None, 20_000)]


@pytest.mark.parametrize("table", [*all_tables()], ids=lambda table: table.full_name)
def test_bigquery_gets_partitions_clusters_and_descriptions(table: Table) -> None:
    statement = BigQuerySql().create_table(table)
    assert statement.count("options(description = ") + statement.count("expiration_timestamp") == 1
    assert (f"partition by timestamp_trunc(`{table.day_of}`, day)" in statement) == bool(table.day_of)
    assert (f"cluster by `{table.cluster_by}`" in statement) == bool(table.cluster_by)


def test_names_of_a_sync_stand_in_its_tables() -> None:
    assert LEDGER.of("value").full_name == "braze_sync.ledger_value"
    assert CDI.of("value").ref(BigQuerySql()) == "`braze_sync`.`cdi_value`"


def test_dbt_knows_the_tables_as_the_registry_does() -> None:
    registered = {table.full_name: table for table in TABLES}
    types = {"integer": "bigint"}
    found = set()
    for path in (PROJECT_ROOT / "dbt_project" / "models" / "sources").glob("*.yml"):
        for source in yaml.safe_load(path.read_text(encoding="utf-8")).get("sources") or ():
            for declared in source["tables"]:
                name = f"{source['name']}.{declared['name']}"
                if name in registered:
                    found.add(name)
                    told = {
                        one["name"]: types.get(one["data_type"], one["data_type"])
                        for one in declared["columns"]
                    }
                    assert told == registered[name].types, name
    assert {"braze_sync.deliveries", "braze_sync.observations", "privacy.tombstones"} < found
