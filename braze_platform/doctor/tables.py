"""Whether the platform's own tables are as this release reads them."""

from __future__ import annotations

from collections.abc import Iterator

from braze_platform.doctor.findings import Finding, missing, not_checked, ok
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseError
from braze_platform.warehouse.migrations import MigrationsPending, raise_if_pending
from braze_platform.warehouse.targets import warehouse_of

_WHAT = "Tables of the platform"


def check_tables(settings: Settings) -> Iterator[Finding]:
    """Whether migrations are pending; nothing where there is no warehouse yet."""
    if settings.target == "local" and not settings.duckdb_path.exists():
        return
    try:
        with warehouse_of(settings, patience_seconds=10).session() as session:
            raise_if_pending(session)
    except MigrationsPending as pending:
        yield missing(_WHAT, str(pending))
    except WarehouseError as error:
        yield not_checked(_WHAT, str(error))
    else:
        yield ok(_WHAT, "they are as this release reads them.")
