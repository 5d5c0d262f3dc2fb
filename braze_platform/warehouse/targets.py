"""The warehouse of an installation's target."""

from __future__ import annotations

from braze_platform.settings import Settings
from braze_platform.warehouse.dataset_names import dataset_names
from braze_platform.warehouse.interface import PATIENCE_SECONDS, Warehouse


def warehouse_of(settings: Settings, *, patience_seconds: float = PATIENCE_SECONDS) -> Warehouse:
    """DuckDB or BigQuery, as the target says; opens nothing, and imports only the libraries of that target.

    A session waits for DuckDB's file for `patience_seconds`.
    """
    if settings.target == "local":
        from braze_platform.warehouse.duckdb import local_warehouse

        return local_warehouse(settings, patience_seconds)
    from braze_platform.warehouse.bigquery import BigQueryOptions, BigQueryWarehouse
    from braze_platform.warehouse.google_clients import bigquery_client

    return BigQueryWarehouse(
        lambda: bigquery_client(settings),
        BigQueryOptions(
            location=settings.bigquery_location,
            labels=dict(settings.labels),
            datasets=dataset_names(settings),
            raw_partition_expiry_days=settings.raw_partition_expiry_days,
            personal_policy_tag=settings.personal_policy_tag,
        ),
    )
