"""`braze-platform dev`: the Dagster UI, its daemon and the sandbox on the data that is there."""

from __future__ import annotations

import time

import click

from braze_platform.demo.local_loop import LocalLoop, SandboxOptions, exclusive_state
from braze_platform.demo.processes import ProcessDied, port_is_free
from braze_platform.settings import Settings
from braze_platform.state_folder import StateInUse


@click.command("dev")
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--users", default=20_000, show_default=True, help="People in the sandbox, where it is new.")
def command(port: int, users: int) -> None:
    """Open the Dagster UI on the data that is there, with sensors on and the sandbox as Braze.

    With a Braze or a BigQuery of your own, run `dagster dev` (or webserver and daemon) instead: this command is
    for the local target.
    """
    settings = Settings.from_environment()
    if settings.target != "local":
        raise click.ClickException(
            "`braze-platform dev` serves the local target; for others run `dagster dev`."
        )
    if not port_is_free(port):
        raise click.ClickException(
            f"Port {port} is in use; stop what listens there or choose another with --port."
        )
    try:
        with exclusive_state(settings):
            serve(settings, port, SandboxOptions(users=users))
    except (StateInUse, ProcessDied) as error:
        raise click.ClickException(str(error)) from error


def serve(settings: Settings, port: int, sandbox: SandboxOptions) -> None:
    """Run sandbox and Dagster until interrupted."""
    loop = LocalLoop(settings, webserver_port=port, sandbox=sandbox, say=click.echo)
    try:
        loop.start_sandbox()
        loop.start_dagster()
        wait_for_interrupt(loop)
    except KeyboardInterrupt:
        click.echo("Stopping ...")
    finally:
        loop.stop()


def wait_for_interrupt(loop: LocalLoop) -> None:
    """Say where the UI is, then wait for Ctrl-C; raises `ProcessDied` when a process ends by itself."""
    click.echo(f"\nDagster UI: http://localhost:{loop.webserver_port}   (Ctrl-C stops everything)")
    click.echo(f"Logs: {loop.settings.state_dir / 'logs'}")
    while True:
        loop.check()
        time.sleep(1)
