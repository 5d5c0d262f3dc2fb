"""What Dagster loads: the rooms' definitions merged into one graph, and nothing else."""

import gc
import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, cast

import dagster as dg

from braze_platform.backup.definitions import backup_definitions
from braze_platform.company.definitions import company_definitions
from braze_platform.currents.catalogue import catalogue, personal_fields
from braze_platform.currents.definitions import currents_definitions
from braze_platform.erasure.definitions import erasure_definitions
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.marts.sources import check_own_sources
from braze_platform.marts.translator import erasure_automation, marked_source_keys
from braze_platform.runs.definitions import runs_definitions
from braze_platform.settings import Settings
from braze_platform.state_folder import claim
from braze_platform.sync.definitions import attributes_definitions
from braze_platform.warehouse.workspace_tables import TABLES
from braze_platform.workspace_metadata.definitions import workspace_metadata_definitions


def build_definitions(settings: Settings) -> dg.Definitions:
    """All assets, checks, sensors and resources of one installation."""
    manifest_path = prepare_manifest(settings)
    manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
    check_own_sources(manifest, own_tables())
    automation = dg.AutomationConditionSensorDefinition(
        "automation",
        target=dg.AssetSelection.all(),
        default_status=(
            dg.DefaultSensorStatus.RUNNING if settings.target == "local" else dg.DefaultSensorStatus.STOPPED
        ),
        minimum_interval_seconds=settings.automation_interval_seconds,
        description="Builds the marts after new Currents days, sends attributes after new models, reads the workspace.",
    )
    raw_keys = [dg.AssetKey(["currents", event_type.table]) for event_type in catalogue().values()]
    rooms = dg.Definitions.merge(
        currents_definitions(settings),
        company_definitions(settings),
        workspace_metadata_definitions(settings),
        erasure_definitions(settings, manifest, raw_keys, personal_fields(), erasure_automation(manifest)),
        marts_definitions(settings, manifest_path),
        attributes_definitions(settings, manifest),
        runs_definitions(settings),
        backup_definitions(settings),
    )
    anchors = frozenset(marked_source_keys(manifest, "anchor"))
    assets = cast("Iterable[dg.AssetsDefinition | dg.AssetSpec]", rooms.assets or ())
    return dg.Definitions(
        assets=dg.map_asset_specs(lambda spec: _with_freshness(spec, anchors, settings), assets),
        asset_checks=rooms.asset_checks,
        sensors=[*(rooms.sensors or ()), automation],
        executor=rooms.executor,
        resources={**(rooms.resources or {}), **_google_resources(settings)},
    )


def _with_freshness(spec: dg.AssetSpec, anchors: frozenset[dg.AssetKey], settings: Settings) -> dg.AssetSpec:
    """The spec, with what is expected of the asset's age where people rely on it: see `Settings.freshness_hours`.

    Other raw tables may get nothing for months, and other models are built only as often as these.
    """
    relied_on = spec.key in anchors or spec.key.path[0] in ("marts", "attributes", "braze")
    if not settings.freshness_hours or not relied_on:
        return spec
    hours = timedelta(hours=settings.freshness_hours)
    return spec.replace_attributes(
        freshness_policy=dg.FreshnessPolicy.time_window(hours, warn_window=hours / 2)
    )


def own_tables() -> dict[str, frozenset[str]]:
    """The tables that the platform's rooms write and dbt reads, by dbt's name of the source."""
    return {
        "currents": frozenset(event_type.table for event_type in catalogue().values()),
        "braze_workspace": frozenset(table.name for table in TABLES),
        "braze_sync": frozenset({"deliveries", "observations", "rejections"}),
        "privacy": frozenset({"tombstones"}),
    }


def _google_resources(settings: Settings) -> dict[str, dg.ConfigurableResource[Any]]:
    """The services that the platform works with, for an installation's own assets too; none on the local target."""
    if settings.target == "local":
        return {}
    from braze_platform.warehouse.google_clients import bigquery_resource, storage_resource

    return {"bigquery": bigquery_resource(settings), "gcs": storage_resource(settings)}


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of the installation that the environment describes."""
    settings = Settings.from_environment()
    if settings.target == "local":
        claim(settings.state_dir)
    definitions = build_definitions(settings)
    # They live as long as the process. Python's garbage collector would go through all of them again and again, a fifth
    # of the time in which a run logs its events.
    gc.freeze()
    return definitions
