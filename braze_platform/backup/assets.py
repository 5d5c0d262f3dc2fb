"""`platform/backup`: the newest backup of the local warehouse."""

import dagster as dg

from braze_platform.backup.making import make_backup
from braze_platform.markdown import table
from braze_platform.settings import Settings

KEY = dg.AssetKey(["platform", "backup"])

_DESCRIPTION = (
    "Copies, as Parquet, of what the DuckDB file holds and nothing can rebuild: ledgers, deliveries, tombstones, "
    "approvals, the file registry, the workspace's history. Made at most once a day, after something changed; bring "
    "one back by `braze-platform restore`."
)


def backup_asset(settings: Settings) -> dg.AssetsDefinition:
    """The asset of an installation on the local target."""

    @dg.asset(
        key=KEY,
        description=_DESCRIPTION,
        group_name="platform",
        owners=["team:data-platform"],
        kinds={"duckdb", "parquet"},
        tags={"layer": "platform"},
        metadata={
            "folder": dg.MetadataValue.path(str(settings.backups_dir)),
            "backups_kept": settings.backups_kept,
        },
    )
    def backup(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Make one now, whenever the last was made."""
        made = make_backup(settings)
        tables = made.manifest.tables
        context.log.info(f"{made.folder}: {len(tables)} tables")
        return dg.MaterializeResult(
            metadata={
                "dagster/row_count": sum(one.rows for one in tables),
                "path": dg.MetadataValue.path(str(made.folder)),
                "size_bytes": made.size_bytes,
                "tables": dg.MetadataValue.md(
                    table(["table", "rows:"], [(one.full_name, one.rows) for one in tables])
                ),
                "deleted": ", ".join(folder.name for folder in made.rotated) or "none",
            }
        )

    return backup
