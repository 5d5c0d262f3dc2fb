"""The warehouse as syncs open it: the installation's, with the memory that a sync may take."""

from __future__ import annotations

from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.targets import warehouse_of


def sync_warehouse(settings: Settings) -> Warehouse:
    """The installation's warehouse; on DuckDB within `duckdb_sync_memory_limit`, whatever the number of users."""
    return warehouse_of(settings.replace(duckdb_memory_limit=settings.duckdb_sync_memory_limit))
