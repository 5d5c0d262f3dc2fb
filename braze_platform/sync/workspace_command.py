"""`braze-platform workspace`: which Braze workspace the ledgers belong to, and what to do when it is another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import click

from braze_platform.settings import Settings
from braze_platform.sync.plan_command import ERRORS
from braze_platform.sync.warehouses import sync_warehouse
from braze_platform.sync.workspace import Workspace, bound_workspace, confirm, replace_workspace
from braze_platform.warehouse.interface import Session

#: Seconds to wait for each sync that is being sent.
_WAIT_SECONDS = 60.0


@click.group()
def command() -> None:
    """Tell which Braze workspace the ledgers belong to."""


@command.command("show")
def show() -> None:
    """Show the workspace of the ledgers, and the one that the settings name; writes nothing."""
    with _session() as (session, settings):
        bound, asked = bound_workspace(session), Workspace.of(settings)
    click.echo(f"Ledgers: {'of none yet' if bound is None else bound.host}")
    click.echo(f"Settings: {asked.host}")
    if bound is not None and bound != asked:
        click.echo("They differ" + (", by the key alone." if bound.host == asked.host else "."))


@command.command("confirm")
def confirm_command() -> None:
    """Say that the settings name the workspace of the ledgers: its key or its address was exchanged."""
    with _session() as (session, settings):
        confirm(session, settings)
    click.echo(f"The ledgers belong to {Workspace.of(settings).host}.")


@command.command("replace")
@click.option("--host", required=True, help="Host of the new workspace, as `workspace show` names it.")
def replace_command(host: str) -> None:
    """Empty all ledgers, for a workspace that has none of their values. Deliveries and rejections stay on record.

    Each sync's first plan waits for an approval then; `braze-platform ledger rebuild` reads before what the workspace
    holds already.
    """
    with _session() as (session, settings):
        asked = Workspace.of(settings).host
        if host != asked:
            raise click.ClickException(
                f"The settings name {asked}, not {host}: see `braze-platform workspace show`."
            )
        syncs = replace_workspace(session, settings, wait_seconds=_WAIT_SECONDS)
    click.echo(f"{len(syncs)} ledgers are empty and belong to {host}.")


@contextmanager
def _session() -> Iterator[tuple[Session, Settings]]:
    try:
        settings = Settings.from_environment()
        with sync_warehouse(settings).session() as session:
            yield session, settings
    except ERRORS as error:
        raise click.ClickException(str(error)) from error
