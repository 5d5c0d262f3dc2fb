"""The workspace's objects as assets: one step reads all of them, each table tells what changed in it."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from braze_platform.braze_api.resources import BrazeResource
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import WarehouseResource
from braze_platform.warehouse.workspace_tables import SCHEMA, TABLES, ObjectTable
from braze_platform.workspace_metadata.automation import reading_condition
from braze_platform.workspace_metadata.objects import ENDPOINTS, Endpoint
from braze_platform.workspace_metadata.reader import EndpointReading
from braze_platform.workspace_metadata.snapshots import Rename, TableState
from braze_platform.workspace_metadata.update import WorkspaceUpdate, update_workspace

GROUP = "braze_workspace"
OWNERS = ["team:data-platform"]
POOL = "braze_workspace"
READABLE_CHECK = "all_details_readable"
_SHOWN_UNREADABLE = 20
#: Endpoints by the table of the objects that they list.
_LISTED = {endpoint.tables[0][0].name: endpoint for endpoint in ENDPOINTS}


def table_key(table: ObjectTable) -> dg.AssetKey:
    """The asset key of a table of this room."""
    return dg.AssetKey([SCHEMA, table.name])


def workspace_assets(settings: Settings) -> dg.AssetsDefinition:
    """All tables of the room as one multi-asset.

    A table is materialised when something of it changed (or was never recorded), and observed otherwise: what stands
    below it is not built again for nothing. What could not be read fails the run after all the rest was written.

    All is read and written even when a part was selected, and told of all tables. It is subsettable nonetheless: a
    check that must run along with its asset is asked for by name, and automation runs no other checks in such a run.
    """

    @dg.multi_asset(
        name="read_workspace",
        specs=[_spec(settings, table) for table in TABLES],
        check_specs=[
            dg.AssetCheckSpec(
                READABLE_CHECK,
                asset=dg.AssetKey([SCHEMA, name]),
                description=f"All details of the objects of {endpoint.list_path} are readable.",
            )
            for name, endpoint in _LISTED.items()
        ],
        can_subset=True,
        pool=POOL,
        retry_policy=dg.RetryPolicy(max_retries=2, delay=10, backoff=dg.Backoff.EXPONENTIAL),
        description="Reads campaigns, canvases, segments and custom attributes from Braze's export endpoints.",
    )
    def read_workspace(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, braze: BrazeResource
    ) -> Iterator[Any]:
        update = update_workspace(warehouse.warehouse(), braze.settings)
        selected_checks = context.selected_asset_check_keys
        for table in TABLES:
            result = _result(context, table, update)
            if isinstance(result, dg.AssetObservation) or table_key(table) in context.selected_asset_keys:
                yield result
            else:
                context.log_event(dg.AssetMaterialization(table_key(table), metadata=result.metadata))
        for name, endpoint in _LISTED.items():
            if dg.AssetCheckKey(dg.AssetKey([SCHEMA, name]), READABLE_CHECK) in selected_checks:
                yield _readable(name, update.reading.endpoints[endpoint.name])
        _raise_if_unfinished(update)

    return read_workspace


def _spec(settings: Settings, table: ObjectTable) -> dg.AssetSpec:
    return dg.AssetSpec(
        table_key(table),
        description=f"{table.description} Read from Braze's export endpoints; renames keep their history.",
        group_name=GROUP,
        owners=OWNERS,
        kinds={"braze", "duckdb" if settings.target == "local" else "bigquery", "table"},
        tags={"layer": "source"},
        skippable=True,
        # Absent beats failing every hour: where calls are off, only a person can ask, and is told why not.
        automation_condition=reading_condition() if settings.outward_calls_allowed else None,
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [
                    dg.TableColumn(column.name, column.type, description=column.description)
                    for column in table.table.columns
                ]
            ),
            "dagster/table_name": table.table.full_name,
        },
    )


def _result(
    context: dg.AssetExecutionContext, table: ObjectTable, update: WorkspaceUpdate
) -> dg.MaterializeResult[None] | dg.AssetObservation:
    key, found, state = table_key(table), update.changes.of(table), update.states[table.name]
    endpoints = [endpoint for endpoint in ENDPOINTS if table in (filled for filled, _ in endpoint.tables)]
    metadata: dict[str, Any] = {
        "dagster/row_count": state.versions,
        "current": state.current,
        "new": found.new,
        "changed": found.changed,
        "vanished": found.vanished,
        "requests": sum(_requests(endpoint, update) for endpoint in endpoints),
        "postponed": sum(update.reading.endpoints[endpoint.name].postponed for endpoint in endpoints),
    }
    if table.named:
        metadata["latest_renames"] = _renames(state)
    context.log.info(
        f"{table.table.full_name}: {state.current:,} current, {found.new:,} new, {found.changed:,} changed, "
        f"{found.vanished:,} vanished"
    )
    recorded = context.instance.get_latest_materialization_event(key) is not None
    read = any(update.reading.endpoints[endpoint.name].entries is not None for endpoint in endpoints)
    if found or (read and not recorded):
        return dg.MaterializeResult(asset_key=key, metadata=metadata)
    return dg.AssetObservation(key, metadata=metadata)


def _requests(endpoint: Endpoint, update: WorkspaceUpdate) -> int:
    paths = (endpoint.list_path, endpoint.details_path)
    return sum(update.reading.requests[path] for path in paths if path is not None)


def _renames(state: TableState) -> dg.TableMetadataValue:
    """The latest renames as a table."""

    def record(rename: Rename) -> dg.TableRecord:
        return dg.TableRecord(
            {
                "id": rename.object_id,
                "from": rename.previous_name,
                "to": rename.name,
                "at": rename.valid_from.isoformat(sep=" ", timespec="seconds"),
            }
        )

    columns = [dg.TableColumn(name, "string") for name in ("id", "from", "to", "at")]
    return dg.MetadataValue.table([record(r) for r in state.renames], schema=dg.TableSchema(columns))


def _readable(name: str, reading: EndpointReading) -> dg.AssetCheckResult:
    unreadable = reading.unreadable
    rows = [dg.TableRecord({"id": i, "reason": r}) for i, r in sorted(unreadable.items())]
    schema = dg.TableSchema([dg.TableColumn(column, "string") for column in ("id", "reason")])
    return dg.AssetCheckResult(
        passed=not unreadable and not reading.failure,
        asset_key=dg.AssetKey([SCHEMA, name]),
        check_name=READABLE_CHECK,
        severity=dg.AssetCheckSeverity.WARN,
        description=reading.failure
        or (f"{len(unreadable):,} could not be read; their last versions stay." if unreadable else None),
        metadata={
            "listed": len(reading.entries or {}),
            "read": len(reading.objects),
            "unreadable": len(unreadable),
            "postponed": reading.postponed,
            "examples": dg.MetadataValue.table(rows[:_SHOWN_UNREADABLE], schema=schema),
        },
    )


def _raise_if_unfinished(update: WorkspaceUpdate) -> None:
    """Fail the run for an endpoint that would not answer; try again only where that may help."""
    failures = update.reading.failures
    if failures:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in sorted(failures.items()))
        raise dg.Failure(
            f"Braze did not return everything. {reasons}. What was read is written; the next run reads the rest.",
            allow_retries=not all(update.reading.endpoints[name].permanent for name in failures),
        )
