"""`braze-platform rejections`: what Braze refused for good, and how to have it sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

import click

from braze_platform.settings import Settings
from braze_platform.sync.ledger.former_name import as_stored, follow_former_name
from braze_platform.sync.ledger.rejections import (
    REOPENED,
    RejectedValues,
    RejectionFilter,
    list_rejections,
    reopen_rejections,
)
from braze_platform.sync.ledger.store import SyncStore, held_store
from braze_platform.sync.plan_command import ERRORS, chosen_syncs
from braze_platform.sync.warehouses import sync_warehouse
from braze_platform.warehouse.leases import COMMAND_WAIT_SECONDS, LeaseHeld, LeaseLost


@click.group()
def command() -> None:
    """Show the values that were rejected, and have them sent again."""


def _options(function: Callable[..., None]) -> Callable[..., None]:
    since = click.option(
        "--since",
        type=click.DateTime(formats=["%Y-%m-%d"]),
        help="Only rejections of this UTC day (YYYY-MM-DD) or later.",
    )
    reason = click.option(
        "--reason", default="", help="Only rejections whose reason holds this text, in any case."
    )
    return click.argument("sync", required=False)(reason(since(function)))


@command.command("list")
@_options
def list_command(sync: str | None, reason: str, since: datetime | None) -> None:
    """Count the open rejections of SYNC, or of every sync, by attribute and reason. Changes nothing."""
    wanted = RejectionFilter(reason, None if since is None else since.date())
    try:
        settings = Settings.from_environment()
        chosen = chosen_syncs(settings, sync)
        with sync_warehouse(settings).session() as session:
            found = [
                entry
                for one in chosen
                for entry in list_rejections(as_stored(SyncStore(session, one)), wanted)
            ]
    except ERRORS as error:
        raise click.ClickException(str(error)) from error
    _echo(found)
    click.echo(f"{sum(entry.count for entry in found):,} values are rejected.")


@command.command("reopen")
@_options
def reopen_command(sync: str | None, reason: str, since: datetime | None) -> None:
    """Reopen the rejections of SYNC, or of every sync: their values are due at the next run.

    Of operators whose end is unclear the whole value is sent. What the platform itself refused is not reopened: every
    plan judges it again.
    """
    wanted = RejectionFilter(reason, None if since is None else since.date())
    reopened: list[RejectedValues] = []
    try:
        settings = Settings.from_environment()
        chosen = chosen_syncs(settings, sync)
        with sync_warehouse(settings).session() as session:
            for one in chosen:
                found = list_rejections(as_stored(SyncStore(session, one)), wanted)
                if not any(entry.refused_by in REOPENED for entry in found):
                    continue
                holder = "braze-platform rejections reopen"
                with held_store(session, one, holder, wait_seconds=COMMAND_WAIT_SECONDS) as store:
                    follow_former_name(store)
                    reopened += reopen_rejections(store, wanted)
    except (*ERRORS, LeaseHeld, LeaseLost) as error:
        raise click.ClickException(str(error)) from error
    _echo(reopened)
    click.echo(
        f"{sum(entry.count for entry in reopened):,} values were reopened and are due at the next run."
    )


def _echo(found: Sequence[RejectedValues]) -> None:
    for entry in found:
        click.echo(f"{entry.sync}  {entry.attribute}  {entry.refused_by}  {entry.count:,}  {entry.reason}")
