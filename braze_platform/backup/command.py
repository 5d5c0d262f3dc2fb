"""`braze-platform backup`: copy what nothing can rebuild beside the DuckDB file."""

from __future__ import annotations

import click

from braze_platform.backup.manifest import BackupError, require_local
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseError

#: Seconds to wait for the DuckDB file: a person would rather know which run has it.
PATIENCE_SECONDS = 30.0


@click.command()
def command() -> None:
    """Back up ledgers, deliveries, tombstones, approvals and all else in the DuckDB file that nothing can rebuild.

    On the local target. The newest backups are kept (BRAZE_PLATFORM_BACKUPS_KEPT). It may be killed and called again.
    """
    settings = Settings.from_environment()
    try:
        require_local(settings)
        # An installation without the extra `local` has no DuckDB to import.
        from braze_platform.backup.making import make_backup

        made = make_backup(settings, patience_seconds=PATIENCE_SECONDS)
    except (BackupError, WarehouseError) as error:
        raise click.ClickException(str(error)) from error
    rows = sum(table.rows for table in made.manifest.tables)
    click.echo(
        f"{made.folder}: {rows:,} rows of {len(made.manifest.tables)} tables, {made.size_bytes:,} bytes."
    )
    if made.rotated:
        click.echo(f"Deleted: {', '.join(folder.name for folder in made.rotated)}.")
