"""The company's own tables: exports into DuckDB, the sensor on exports, external tables on BigQuery."""

from datetime import datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from braze_platform.company.definitions import company_definitions
from braze_platform.company.exports import COMPANY_TABLES, load_export
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import local_warehouse

USERS, ORDERS = COMPANY_TABLES


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state")


def export_orders(settings: Settings, amounts: list[float]) -> None:
    table = pa.table(
        {
            "status": ["completed"] * len(amounts),
            "order_id": [f"o{n}" for n in range(len(amounts))],
            "user_id": ["u1"] * len(amounts),
            "ordered_at": [datetime(2026, 3, 1, 12)] * len(amounts),
            "category": ["books"] * len(amounts),
            "currency": ["EUR"] * len(amounts),
            "amount": amounts,
        }
    )
    settings.company_exports_dir.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, ORDERS.export_in(settings.company_exports_dir))


def test_an_export_replaces_the_table_and_columns_go_by_name(settings: Settings) -> None:
    warehouse = local_warehouse(settings)
    export_orders(settings, [1.5, 2.5, 3.0])
    assert load_export(warehouse, ORDERS, settings.company_exports_dir) == 3
    export_orders(settings, [9.0])
    assert load_export(warehouse, ORDERS, settings.company_exports_dir) == 1
    with warehouse.session() as session:
        assert session.fetch("select order_id, amount, status from company.orders") == [
            ("o0", 9.0, "completed")
        ]


def test_a_missing_export_says_where_it_is_expected(settings: Settings) -> None:
    with pytest.raises(FileNotFoundError, match=r"company.users at .*users\.parquet"):
        load_export(local_warehouse(settings), USERS, settings.company_exports_dir)


def test_the_sensor_asks_for_what_changed_and_only_that(settings: Settings) -> None:
    defs = company_definitions(settings)
    sensor = defs.resolve_sensor_def("company_exports")
    nothing = sensor(dg.build_sensor_context())
    assert isinstance(nothing, dg.SkipReason)
    export_orders(settings, [1.0])
    asked = sensor(dg.build_sensor_context())
    assert isinstance(asked, dg.SensorResult) and asked.run_requests
    assert asked.run_requests[0].asset_selection == [dg.AssetKey(["company", "orders"])]
    again = sensor(dg.build_sensor_context(cursor=asked.cursor))
    assert isinstance(again, dg.SkipReason)


def test_one_table_can_be_materialised_alone(settings: Settings) -> None:
    export_orders(settings, [1.0, 2.0])
    defs = company_definitions(settings)
    result = dg.materialize(
        list(defs.assets or []),  # type: ignore[arg-type]
        selection=[dg.AssetKey(["company", "orders"])],
        resources=defs.resources,
    )
    (event,) = result.get_asset_materialization_events()
    assert event.asset_key == dg.AssetKey(["company", "orders"])
    assert event.materialization.metadata["dagster/row_count"].value == 2


def test_on_bigquery_the_tables_are_external(settings: Settings) -> None:
    defs = company_definitions(settings.replace(target="bigquery"))
    specs = {spec.key.to_user_string(): spec for spec in defs.resolve_all_asset_specs()}
    assert set(specs) == {"company/users", "company/orders"}
    assert "bigquery" in specs["company/users"].kinds
