"""`braze-platform plan`: what a sync would send; `braze-platform approve`: send a plan that exceeds its limits."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import click

from braze_platform.marts.manifest import kept_manifest, project_has_changed
from braze_platform.settings import Settings, SettingsError
from braze_platform.sync.declaration.declarations import DeclarationError, read_syncs
from braze_platform.sync.declaration.sync import Sync
from braze_platform.sync.declaration.undeclared import RELOAD, why_unknown
from braze_platform.sync.delivery.requests import limits_of
from braze_platform.sync.ledger.store import LedgerError, SyncStore, held_store
from braze_platform.sync.plan.plan import Plan
from braze_platform.sync.plan.planning import make_plan
from braze_platform.sync.plan.preflight import fitting_attributes
from braze_platform.sync.plan.presentation import plan_text
from braze_platform.sync.warehouses import sync_warehouse
from braze_platform.sync.workspace import for_workspace
from braze_platform.warehouse.interface import Session, WarehouseBusy
from braze_platform.warehouse.leases import COMMAND_WAIT_SECONDS, LeaseLost
from braze_platform.warehouse.migrations import MigrationsPending

#: Automation retries a plan that waits less and less often, and does not look for approvals.
SENT_NEXT = (
    "The next run sends it: materialise the attributes to send it now. Automation does with its next retry, within "
    "15 minutes at first and within four hours later, unless it has stopped retrying (check `retries_continue`)."
)
#: What the commands of this room tell as a message, not as a traceback.
ERRORS = (SettingsError, DeclarationError, LedgerError, WarehouseBusy, LeaseLost, MigrationsPending)


@click.command()
@click.argument("sync", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the plans as JSON.")
def command(sync: str | None, as_json: bool) -> None:
    """Show what SYNC, or every sync, would send, without sending it.

    A plan that exceeds its limits is printed with the id under which it can be approved.
    """
    try:
        settings = Settings.from_environment()
        chosen = chosen_syncs(settings, sync)
        with sync_warehouse(settings).session() as session:
            plans, failed = _plans(session, settings, chosen)
    except ERRORS as error:
        raise click.ClickException(str(error)) from error
    if as_json:
        click.echo(json.dumps([plan.as_dict() for plan in plans.values()], indent=2))
    else:
        click.echo("\n\n".join(plan_text(plan) for plan in plans.values()))
    if failed:
        raise click.ClickException(_failures(failed))


@click.command()
@click.argument("plan")
def approve_command(plan: str) -> None:
    """Approve PLAN, the id that `braze-platform plan` or a failed check shows.

    The approval is for that very plan and for one time: it ends when the plan is applied, or when the model or the
    ledger changes and makes another plan.
    """
    try:
        settings = Settings.from_environment()
        syncs = chosen_syncs(settings, None)
        with sync_warehouse(settings).session() as session:
            plans, failed = _plans(session, settings, syncs)
            for sync in syncs:
                found = plans.get(sync.name)
                if found is not None and found.plan_id == plan:
                    holder = "braze-platform approve"
                    with held_store(session, sync, holder, wait_seconds=COMMAND_WAIT_SECONDS) as store:
                        store.approve(found.plan_id)
                    click.echo(f"Approved. {SENT_NEXT}\n{plan_text(found)}")
                    return
    except ERRORS as error:
        raise click.ClickException(str(error)) from error
    present = ", ".join(f"{name} {found.plan_id}" for name, found in plans.items())
    raise click.ClickException(
        f"No sync has the plan {plan} now: a model or a ledger has changed since, and an approval is for one "
        f"plan alone; or it is a plan of some of a sync's attributes: materialise all of them. "
        f"Present plans: {present}. Look at them with `braze-platform plan`. {_failures(failed)}".rstrip()
    )


def chosen_syncs(settings: Settings, name: str | None) -> list[Sync]:
    """The declared syncs, or the one of that name, as the definitions that were loaded last know them.

    Says on stderr when the dbt project has changed since. Raises `click.ClickException` for a name that they do not
    know, with the reason and what to do.
    """
    manifest = kept_manifest(settings)
    if manifest is None:
        raise click.ClickException(
            f"There is no dbt manifest that can be read in {settings.dbt_target_dir}: definitions were never loaded, "
            "or it is damaged. Run `braze-platform demo` or `braze-platform dev` once, which make it."
        )
    syncs = for_workspace(read_syncs(manifest), settings)
    chosen = [declared for declared in syncs if name in (None, declared.name)]
    if not chosen:
        known = [declared.name for declared in syncs]
        raise click.ClickException(why_unknown(str(name), known, settings.dbt_project_dir))
    if project_has_changed(settings):
        click.echo(
            "The dbt project has changed since the definitions were loaded; this is what they knew then. To plan with "
            f"the change, {RELOAD}.",
            err=True,
        )
    return chosen


def _plans(
    session: Session, settings: Settings, syncs: Sequence[Sync]
) -> tuple[dict[str, Plan], dict[str, LedgerError]]:
    """By sync its plan, or why it has none: a model that is not built yet stops no other sync's plan."""
    plans: dict[str, Plan] = {}
    failed: dict[str, LedgerError] = {}
    for declared in syncs:
        try:
            attributes, stopped = fitting_attributes(SyncStore(session, declared), declared.attributes)
            limits = limits_of(settings, declared.transport)
            plans[declared.name] = make_plan(
                SyncStore(session, declared), attributes=attributes, limits=limits
            )
        except LedgerError as error:
            failed[declared.name] = error
            continue
        for reason in stopped.values():
            click.echo(f"Stopped: {reason}.", err=True)
    return plans, failed


def _failures(failed: Mapping[str, LedgerError]) -> str:
    return "\n".join(f"No plan of {name}: {error}" for name, error in failed.items())
