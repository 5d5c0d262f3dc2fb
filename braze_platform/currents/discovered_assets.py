"""Raw assets of event types that are in the bucket and not in the catalogue, made when definitions load."""

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg

from braze_platform.currents import asset_metadata
from braze_platform.currents.assets import (
    FILES_ARE_READABLE,
    OWNERS,
    Installed,
    LoadConfig,
    days_of,
    kinds_of,
    raise_errors,
    readable_check,
    readable_result,
    run_load,
    tell_rows_by_day,
)
from braze_platform.currents.catalogue import EventType
from braze_platform.currents.resources import BucketResource
from braze_platform.currents.schema_check import (
    SCHEMA_MATCHES_CATALOGUE,
    schema_check_result,
    schema_check_spec,
)
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.raw_tables import PROVENANCE, SCHEMA
from braze_platform.warehouse.resources import WarehouseResource


def discovered_asset_key(table: str) -> dg.AssetKey:
    """The key of the raw asset of a raw table."""
    return dg.AssetKey(["currents", table])


def discovered_assets(
    settings: Settings, discovered: Mapping[str, tuple[str, ...]]
) -> list[dg.AssetsDefinition]:
    """One multi-asset over the raw tables of discovered event types; none where there is nothing to discover."""
    if not discovered:
        return []
    tables = {discovered_asset_key(table): table for table in discovered}

    @dg.multi_asset(
        name="currents_discovered_event_types",
        specs=[
            dg.AssetSpec(
                key,
                description=(
                    f"Raw events of {_names(discovered[table])}, which the catalogue does not know: the columns are "
                    "those of its files. Add it to the catalogue to give it a family and descriptions."
                ),
                group_name="currents_unknown",
                owners=OWNERS,
                kinds=kinds_of(settings),
                tags={"braze/family": "unknown"},
                metadata={
                    "dagster/table_name": f"{SCHEMA}.{table}",
                    "dagster/uri": asset_metadata.files_uri(settings, discovered[table][0]),
                    "event_type": ", ".join(discovered[table]),
                },
            )
            for key, table in tables.items()
        ],
        check_specs=[
            spec
            for key, table in tables.items()
            for spec in (
                readable_check(key, _names(discovered[table])),
                schema_check_spec(key, _names(discovered[table])),
            )
        ],
        partitions_def=days_of(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def load_discovered(
        context: dg.AssetExecutionContext,
        config: LoadConfig,
        warehouse: WarehouseResource,
        bucket: BucketResource,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        asked = {key: table for key, table in tables.items() if key in context.selected_asset_keys}
        names = [name for table in asked.values() for name in discovered[table]]
        report = run_load(context, Installed(settings, warehouse, bucket), config, names)
        columns = _columns(warehouse.warehouse(), list(asked.values()))
        for key, table in asked.items():
            loads = [report.event_types[name] for name in discovered[table]]
            if all(loaded.error is None for loaded in loads):
                tell_rows_by_day(context, key, loads)
                yield dg.MaterializeResult(
                    asset_key=key,
                    metadata={**asset_metadata.load_metadata(loads), "dagster/column_schema": columns[table]},
                )
            check = dg.AssetCheckKey(key, FILES_ARE_READABLE)
            if check in context.selected_asset_check_keys:
                yield readable_result(check, loads)
            check = dg.AssetCheckKey(key, SCHEMA_MATCHES_CATALOGUE)
            if check in context.selected_asset_check_keys:
                yield schema_check_result(check, EventType(loads[0].event_type, ()), loads[0])
        raise_errors(report)

    return [load_discovered]


def _names(event_types: tuple[str, ...]) -> str:
    return " and ".join(f"`{name}`" for name in event_types)


def _columns(warehouse: Warehouse, tables: list[str]) -> dict[str, dg.TableSchema]:
    with warehouse.session() as session:
        return {
            table: dg.TableSchema(
                [
                    dg.TableColumn(
                        name, kind.lower(), PROVENANCE[name][1] if name in PROVENANCE else "As in the files"
                    )
                    for name, kind in session.columns(SCHEMA, table).items()
                ]
            )
            for table in tables
        }
