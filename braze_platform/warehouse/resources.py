"""The warehouse as a resource of Dagster, which assets ask for by the name `warehouse`."""

from functools import lru_cache
from typing import Any

import dagster as dg

from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.targets import warehouse_of


class WarehouseResource(dg.ConfigurableResource[Any]):
    """The installation's warehouse: a DuckDB file, or BigQuery. A test puts one of other settings in its place."""

    settings: dg.ResourceDependency[Settings]

    def warehouse(self, **changes: object) -> Warehouse:
        """The warehouse, with some settings changed; nothing is opened before a session is."""
        return warehouse_of(self.settings.replace(**changes))


@lru_cache(maxsize=16)
def warehouse_resource(settings: Settings) -> WarehouseResource:
    """The resource of an installation: one and the same for all rooms, as merging their definitions asks for."""
    return WarehouseResource(settings=settings)
