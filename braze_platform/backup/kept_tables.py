"""Which tables a backup holds: those of the registry that nothing else can make. Pure."""

from __future__ import annotations

from braze_platform.warehouse.registry import DATASETS, SYNC_TABLES, TABLES
from braze_platform.warehouse.tables import Dataset, Table

_BY_NAME = {table.full_name: table for table in TABLES}


def registered_table(dataset: str, name: str) -> Table | None:
    """The table of the registry that stands behind a name in the warehouse; None for one that is not the platform's.

    >>> registered_table("braze_sync", "ledger_value").full_name
    'braze_sync.ledger_value'
    >>> registered_table("braze_sync", "cdi_staged_value").rebuilt_by
    'the next run of the sync'
    """
    if (table := _BY_NAME.get(f"{dataset}.{name}")) is not None:
        return table
    found = [
        (prefix, table)
        for table in SYNC_TABLES
        # What follows it is a sync's name, behind that of a lease where the table is a run's.
        if table.dataset.name == dataset and name.startswith(prefix := table.name.partition("<")[0])
    ]
    if not found:
        return None
    prefix, table = max(found, key=lambda one: len(one[0]))
    return table.of(name.removeprefix(prefix)) if "<lease>" not in table.name else table


def kept_table(dataset: str, name: str) -> Table | None:
    """The same for a table that backups hold; None for every other."""
    table = registered_table(dataset, name)
    return None if table is None or table.rebuilt_by else table


def datasets() -> tuple[Dataset, ...]:
    """The datasets in which such tables are."""
    return DATASETS
