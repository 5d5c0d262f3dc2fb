"""`braze-platform ledger rebuild`: seed a ledger with the values that the workspace holds already."""

from __future__ import annotations

import click

from braze_platform.braze_api.client import OutwardCallsOff
from braze_platform.settings import Settings
from braze_platform.sync.plan_command import ERRORS, chosen_syncs
from braze_platform.sync.seeding.rebuild import RebuildError, Rebuilt, minutes, rebuild
from braze_platform.sync.warehouses import sync_warehouse


@click.group()
def command() -> None:
    """Maintain the ledgers of acknowledged values."""


@command.command("rebuild")
@click.argument("sync")
@click.option(
    "--max-users",
    type=click.IntRange(min=1),
    default=100_000,
    show_default=True,
    help="Maximum number of users to read; the same command resumes with the next.",
)
@click.option("--restart", is_flag=True, help="Forget first what the ledger holds, and read every user.")
def rebuild_command(sync: str, max_users: int, restart: bool) -> None:
    """Seed the ledger of SYNC with the values that Braze holds for users who are not in it. Nothing is sent.

    For a first adoption on a workspace that already has the values: they are then not sent again. Braze answers 250
    requests per minute, 50 users each: 12,000 users per minute.

    With --restart for a ledger that says what is not so, such as one from a backup: until all users were read, plans of
    SYNC wait for approval. To resume, call it without.
    """

    def show(found: Rebuilt) -> None:
        click.echo(f"{found.users:,} users read, {found.equal:,} values as the model has them", err=True)

    try:
        settings = Settings.from_environment()
        (chosen,) = chosen_syncs(settings, sync)
        with sync_warehouse(settings).session() as session:
            found = rebuild(session, chosen, settings, max_users=max_users, restart=restart, on_progress=show)
    except (*ERRORS, RebuildError, OutwardCallsOff) as error:
        raise click.ClickException(str(error)) from error
    click.echo(
        f"{chosen.name}: {found.users:,} users read in {found.requests:,} requests, {found.unknown:,} of them unknown "
        f"to Braze. {found.equal:,} values are as the model has them, {found.different:,} are different and will be "
        "sent."
    )
    if found.left:
        click.echo(
            f"{found.left:,} users are left, {minutes(found.left):,.0f} minutes; "
            f"`braze-platform ledger rebuild {chosen.name}` resumes."
        )
