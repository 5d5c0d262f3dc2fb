"""`braze-platform plan`: what a sync would send, without sending it."""

from __future__ import annotations

import json

import click

from braze_platform.attributes.declarations import DeclarationError
from braze_platform.attributes.definitions import available_syncs
from braze_platform.attributes.ledger import LedgerError
from braze_platform.attributes.planning import PlanError, drop_plan, make_plan
from braze_platform.attributes.presentation import plan_text
from braze_platform.settings import Settings, SettingsError
from braze_platform.warehouse.duckdb import local_warehouse
from braze_platform.warehouse.interface import WarehouseBusy


@click.command()
@click.argument("sync", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def command(sync: str | None, as_json: bool) -> None:
    """Show what SYNC, or every sync, would send, without sending it.

    A plan beyond its limits is printed with the id under which it can be approved.
    """
    try:
        settings = Settings.from_environment()
        manifest_path = settings.dbt_target_dir / "manifest.json"
        if not manifest_path.exists():
            raise click.ClickException(
                f"There is no dbt manifest at {manifest_path}. Run `make demo` or `make dev` once, or `dbt parse` "
                f"in {settings.dbt_project_dir} with this target path."
            )
        syncs = available_syncs(json.loads(manifest_path.read_text(encoding="utf-8")))
        chosen = [declared for declared in syncs if sync in (None, declared.name)]
        if not chosen:
            names = ", ".join(declared.name for declared in syncs) or "none"
            raise click.ClickException(f"There is no sync {sync!r}. Declared syncs: {names}.")
        plans = []
        with local_warehouse(settings).session() as session:
            for declared in chosen:
                plans.append(make_plan(session, declared))
                drop_plan(session, declared)
    except (SettingsError, DeclarationError, LedgerError, PlanError, WarehouseBusy) as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([plan.as_dict() for plan in plans], indent=2))
    else:
        click.echo("\n\n".join(plan_text(plan) for plan in plans))
