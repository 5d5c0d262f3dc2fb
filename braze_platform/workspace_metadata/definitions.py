"""The room's part of the asset graph."""

import dagster as dg

from braze_platform.braze_api.resources import braze_resource
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import warehouse_resource
from braze_platform.workspace_metadata.assets import workspace_assets


def workspace_metadata_definitions(settings: Settings) -> dg.Definitions:
    """The workspace's tables as assets with checks; loading opens neither the warehouse nor a connection."""
    return dg.Definitions(
        assets=[workspace_assets(settings)],
        resources={"warehouse": warehouse_resource(settings), "braze": braze_resource(settings)},
    )
