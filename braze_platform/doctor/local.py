"""The folder and the DuckDB file on the local target."""

from __future__ import annotations

import os
from collections.abc import Iterator

from braze_platform.doctor.findings import Finding, missing, ok
from braze_platform.doctor.tables import check_tables
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseBusy
from braze_platform.warehouse.targets import warehouse_of


def check_local(settings: Settings) -> Iterator[Finding]:
    """Whether the state can be written, the bucket is there and the warehouse opens."""
    folder = settings.state_dir
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if os.access(existing, os.W_OK):
        yield ok(f"Folder {folder}", "it can be written.")
    else:
        yield missing(
            f"Folder {folder}", "it cannot be written. Set BRAZE_PLATFORM_STATE_DIR to one that can."
        )
    if settings.bucket_dir.is_dir():
        yield ok(f"Bucket {settings.bucket_dir}", "it is there.")
    else:
        yield missing(
            f"Bucket {settings.bucket_dir}", "it is not there. The sandbox makes it: braze-platform sandbox."
        )
    if not settings.duckdb_path.exists():
        yield ok(f"Warehouse {settings.duckdb_path}", "it is not there; the first load makes it.")
        return
    try:
        with warehouse_of(settings, patience_seconds=10).session() as session:
            tables = check_tables(session)
    except WarehouseBusy as busy:
        yield missing(f"Warehouse {settings.duckdb_path}", str(busy))
    else:
        yield ok(f"Warehouse {settings.duckdb_path}", "it opens.")
        yield tables
