"""The company's own tables on the asset graph: loaded from exports on the local target, external elsewhere."""

import json
from collections.abc import Iterator, Sequence

import dagster as dg

from braze_platform.company.exports import COMPANY_SCHEMA, COMPANY_TABLES, CompanyTable, load_export
from braze_platform.settings import Settings
from braze_platform.warehouse.resources import WarehouseResource, warehouse_resource


def company_definitions(settings: Settings) -> dg.Definitions:
    """Assets `company/users` and `company/orders`.

    On the local target an asset loads the newest export and a sensor asks for it whenever an export changed. On
    BigQuery the tables belong to the company's own pipelines, so they are external assets.
    """
    if settings.target != "local":
        return dg.Definitions(assets=[_spec(table, settings) for table in COMPANY_TABLES])
    assets = _assets(settings)
    return dg.Definitions(
        assets=[assets],
        sensors=[_sensor(settings, assets)],
        resources={"warehouse": warehouse_resource(settings)},
    )


def _key(table: CompanyTable) -> dg.AssetKey:
    return dg.AssetKey([COMPANY_SCHEMA, table.name])


def _spec(table: CompanyTable, settings: Settings) -> dg.AssetSpec:
    return dg.AssetSpec(
        _key(table),
        description=table.description,
        group_name="company",
        owners=["team:data-platform"],
        kinds={"duckdb" if settings.target == "local" else "bigquery", "table"},
        tags={"layer": "source"},
        skippable=settings.target == "local",
        metadata={
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(name, kind, description=text) for name, (kind, text) in table.columns.items()]
            ),
            "dagster/table_name": f"{COMPANY_SCHEMA}.{table.name}",
        },
    )


def _assets(settings: Settings) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="company_tables", specs=[_spec(table, settings) for table in COMPANY_TABLES], can_subset=True
    )
    def company_tables(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource
    ) -> Iterator[dg.MaterializeResult[None]]:
        """Replace the selected tables by the newest exports of the company's system."""
        for table in COMPANY_TABLES:
            if _key(table) not in context.selected_asset_keys:
                continue
            rows = load_export(warehouse.warehouse(), table, settings.company_exports_dir)
            context.log.info(f"{COMPANY_SCHEMA}.{table.name}: {rows:,} rows")
            yield dg.MaterializeResult(
                asset_key=_key(table),
                metadata={
                    "dagster/row_count": rows,
                    "export": dg.MetadataValue.path(str(table.export_in(settings.company_exports_dir))),
                },
            )

    return company_tables


def _sensor(settings: Settings, assets: dg.AssetsDefinition) -> dg.SensorDefinition:
    @dg.sensor(
        name="company_exports",
        target=[assets],
        minimum_interval_seconds=settings.sensor_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests company/users and company/orders when their exports changed.",
    )
    def company_exports(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        """Compare the exports' time and size with those of the last tick."""
        seen: dict[str, str] = json.loads(context.cursor) if context.cursor else {}
        found = _stamps(settings, COMPANY_TABLES)
        changed = [table for table in COMPANY_TABLES if found.get(table.name, "") != seen.get(table.name, "")]
        if not changed:
            return dg.SkipReason(
                f"{len(found)} exports in {settings.company_exports_dir}, none of them changed."
            )
        return dg.SensorResult(
            run_requests=[dg.RunRequest(asset_selection=[_key(table) for table in changed])],
            cursor=json.dumps(found),
        )

    return company_exports


def _stamps(settings: Settings, tables: Sequence[CompanyTable]) -> dict[str, str]:
    stamps: dict[str, str] = {}
    for table in tables:
        export = table.export_in(settings.company_exports_dir)
        if export.exists():
            status = export.stat()
            stamps[table.name] = f"{status.st_mtime_ns}-{status.st_size}"
    return stamps
