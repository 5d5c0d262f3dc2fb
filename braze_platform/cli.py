"""The command `braze-platform`: each room brings its own commands, imported only when called."""

from __future__ import annotations

import importlib
from typing import Any

import click

from braze_platform.extras import INSTALL_LOCAL, lacks_local_extra
from braze_platform.settings import SettingsError

_COMMANDS = {
    "approve": ("braze_platform.sync.approve_command", "Let a plan over its limits be sent, once."),
    "backup": (
        "braze_platform.backup.command",
        "Back up what the local warehouse holds and nothing can rebuild.",
    ),
    "currents": (
        "braze_platform.currents.command",
        "Reload days or hours of Currents, and verify what is loaded.",
    ),
    "dbt": ("braze_platform.marts.dbt_command", "Run dbt by hand, on this installation's warehouse."),
    "demo": (
        "braze_platform.demo.command",
        "Run the whole loop on this machine, twice round, and sum it up.",
    ),
    "dev": ("braze_platform.demo.dev", "Open the Dagster UI on the data that is there."),
    "docs": ("braze_platform.marts.docs_command", "Write the documentation of all models as one page."),
    "doctor": (
        "braze_platform.doctor.command",
        "Look whether bucket, warehouse, rights, Braze's key and clock are fine.",
    ),
    "erasure": (
        "braze_platform.erasure.command",
        "Show whom the next run would erase, and let it where they are many.",
    ),
    "ledger": (
        "braze_platform.sync.ledger_command",
        "Seed a ledger from what a workspace holds already.",
    ),
    "plan": ("braze_platform.sync.plan_command", "Show what a sync would send, without sending it."),
    "rejections": (
        "braze_platform.sync.rejections_command",
        "Show the values that were rejected, and have them sent again.",
    ),
    "upgrade": (
        "braze_platform.warehouse.upgrade_command",
        "Bring the platform's own tables to what this release reads.",
    ),
    "workspace": (
        "braze_platform.sync.workspace_command",
        "Tell which Braze workspace the ledgers belong to, when it is another.",
    ),
    "restore": ("braze_platform.backup.restore_command", "Bring back what a backup holds."),
    "sandbox": ("braze_platform.sandbox.command", "Run a local Braze: its API, its people, its campaigns."),
}


class _LazyGroup(click.Group):
    """Lists commands without importing their rooms: `braze-platform --help` answers at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        try:
            module = importlib.import_module(_COMMANDS[cmd_name][0])
        except ModuleNotFoundError as error:
            if not lacks_local_extra():
                raise
            raise click.ClickException(
                f"`braze-platform {cmd_name}` needs {error.name}, which is part of the local target; {INSTALL_LOCAL}."
            ) from error
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command must be a click command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            raise click.ClickException(str(error)) from error
        except RuntimeError as error:
            # Imported only now, so that `--help` answers at once.
            from braze_platform.warehouse.interface import WarehouseUnusable

            if not isinstance(error, WarehouseUnusable):
                raise
            raise click.ClickException(str(error)) from error

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in sorted(_COMMANDS.items())])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The open data platform around Braze."""
