"""`braze-platform restore`: bring a backup back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from braze_platform.backup.command import PATIENCE_SECONDS
from braze_platform.backup.manifest import BackupError, require_local
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseError

if TYPE_CHECKING:
    from braze_platform.backup.restoring import Restored


@click.command()
@click.argument("backup", required=False)
@click.option(
    "--replace", is_flag=True, help="Replace what the warehouse holds; that is backed up before, too."
)
def command(backup: str | None, replace: bool) -> None:
    """Bring back BACKUP, a folder or the name of one in the state folder's `backups`; by default the newest.

    In one step, into a warehouse that holds nothing of the kind. Afterwards syncs wait until their plans are approved,
    or their ledgers read from Braze: Braze may hold newer values than the backup.
    """
    settings = Settings.from_environment()
    try:
        require_local(settings)
        # An installation without the extra `local` has no DuckDB to import.
        from braze_platform.backup.restoring import restore

        restored = restore(settings, backup, replacing=replace, patience_seconds=PATIENCE_SECONDS)
    except (BackupError, WarehouseError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(_said(restored))


def _said(restored: Restored) -> str:
    manifest = restored.manifest
    rows = sum(table.rows for table in manifest.tables)
    lines = [
        f"Restored the backup of {manifest.made_at_text}: {rows:,} rows of {len(manifest.tables)} tables."
    ]
    if restored.before is not None:
        lines.append(f"What was there before is in {restored.before}.")
    if restored.migrated:
        lines.append(f"Brought to what this release reads: {' '.join(restored.migrated)}")
    if restored.erased:
        places = ", ".join(sorted(restored.erased))
        lines.append(f"People who were erased after the backup went again, from {places}.")
    if restored.not_loaded:
        lines.append(
            f"{restored.not_loaded:,} objects of the bucket are in no raw table and have to be loaded again, e.g. "
            "`braze-platform currents reload --types '*' --from <first day> --to <last day>`."
        )
    if restored.held_syncs:
        lines.append(
            f"Syncs that wait, since Braze may hold newer values: {', '.join(restored.held_syncs)}. Look at "
            "`braze-platform plan`; then `braze-platform ledger rebuild <sync> --restart`, or approve the plan."
        )
    return "\n".join(lines)
