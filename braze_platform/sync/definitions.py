"""The room's definitions: every sync that the dbt manifest declares, as assets and checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg

from braze_platform.braze_api.resources import braze_resource
from braze_platform.settings import Settings
from braze_platform.sync.assets import all_sync_assets, record_specs
from braze_platform.sync.declaration.declarations import read_syncs
from braze_platform.sync.workspace import for_workspace
from braze_platform.warehouse.resources import warehouse_resource


def attributes_definitions(settings: Settings, manifest: Mapping[str, Any]) -> dg.Definitions:
    """Read the syncs of a dbt manifest; raises `DeclarationError` when one is declared wrongly.

    Loading opens neither the warehouse nor a connection.
    """
    syncs = for_workspace(read_syncs(manifest), settings)
    return dg.Definitions(
        assets=[*all_sync_assets(syncs, settings, manifest), *record_specs(syncs)],
        resources={"warehouse": warehouse_resource(settings), "braze": braze_resource(settings)},
    )
