"""`braze-platform upgrade`: bring the platform's own tables to what the present release reads."""

from __future__ import annotations

import click

from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseError
from braze_platform.warehouse.lost_file import is_missing
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.targets import warehouse_of

#: A person waits: of a warehouse that a run keeps open, they would rather know.
_PATIENCE_SECONDS = 10.0


@click.command()
def command() -> None:
    """Apply the changes of the platform's own tables that came with this release.

    The first run after an upgrade does the same before anything else; call this to have it done, and seen, at a time of
    your choice. It may be killed and called again. Nothing that was kept is lost or sent.
    """
    settings = Settings.from_environment()
    is_new = not settings.duckdb_path.exists() and not is_missing(settings.duckdb_path, settings.backups_dir)
    if settings.target == "local" and is_new:
        click.echo(f"There is no warehouse at {settings.duckdb_path} yet; the first load makes it.")
        return
    try:
        with warehouse_of(settings, patience_seconds=_PATIENCE_SECONDS).session() as session:
            applied = migrate(session)
    except WarehouseError as error:
        raise click.ClickException(str(error)) from error
    for migration in applied:
        click.echo(f"{migration.number}. {migration.description}")
    click.echo(f"{len(applied)} changes were applied." if applied else "The tables are up to date.")
