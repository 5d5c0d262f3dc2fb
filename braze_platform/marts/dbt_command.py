"""`braze-platform dbt`: dbt by hand, with this installation's warehouse and the names of its data sets."""

from __future__ import annotations

import os
import subprocess

import click

from braze_platform.marts.dbt_environment import dbt_environment
from braze_platform.marts.dbt_process import dbt_command
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.lost_file import is_missing, missing_message


@click.command("dbt", add_help_option=False, context_settings={"ignore_unknown_options": True})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Run dbt with ARGUMENTS, e.g. `build --select fct_purchases`; it builds models as a whole.

    On the local target no run may be in progress: DuckDB lets only one process open its file.
    """
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    if settings.target == "local" and is_missing(settings.duckdb_path, settings.backups_dir):
        # dbt would make it.
        raise click.ClickException(missing_message(settings.duckdb_path, settings.backups_dir))
    # dbt's own output and exit code are the answer.
    context.exit(
        subprocess.run(
            [*dbt_command(), *arguments],
            cwd=settings.dbt_project_dir,
            env={**os.environ, **dbt_environment(settings)},
            check=False,
        ).returncode
    )
