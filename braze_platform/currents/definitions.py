"""Raw assets, their checks and the hours sensor, as Dagster definitions."""

import dagster as dg

from braze_platform.currents.assets import family_assets, unknown_event_types, unrecognised_objects
from braze_platform.currents.catalogue import families
from braze_platform.currents.checks import files_are_loaded
from braze_platform.currents.discovered_assets import discovered_assets
from braze_platform.currents.discovery import discovered_event_types
from braze_platform.currents.resources import bucket_resource
from braze_platform.currents.sensor import currents_hours_sensor
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import warehouse_resource


def currents_definitions(settings: Settings) -> dg.Definitions:
    """Everything of this room for one installation; opens neither a remote bucket nor a warehouse."""
    discovered = discovered_event_types(settings)
    return dg.Definitions(
        assets=[
            *(family_assets(settings, family) for family in families()),
            *discovered_assets(settings, discovered),
            unknown_event_types(settings),
            unrecognised_objects(settings),
        ],
        asset_checks=[files_are_loaded(settings)],
        sensors=[currents_hours_sensor(settings, discovered)],
        resources={"warehouse": warehouse_resource(settings), "bucket": bucket_resource(settings)},
    )
