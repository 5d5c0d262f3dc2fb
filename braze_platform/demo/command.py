"""`braze-platform demo`: the main job on this machine, two rounds of the loop, and a summary."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import click

from braze_platform.demo.dev import wait_for_interrupt
from braze_platform.demo.local_loop import LocalLoop, LoopTimeout, SandboxOptions, exclusive_state
from braze_platform.demo.measuring import measure_round
from braze_platform.demo.processes import ProcessDied, free_port, port_is_free
from braze_platform.demo.summary import DemoSummary, summarise
from braze_platform.marts.manifest import DbtProjectError, prepare_manifest
from braze_platform.settings import Settings
from braze_platform.state_folder import StateInUse, make_private

#: Says that a state folder was made by the demo, which may therefore recreate it.
MARKER = "made_by_demo"
#: Exit code of a demo that was stopped before its end, as shells give it for Ctrl-C.
INTERRUPTED = 130


@click.command("demo")
@click.option("--ui/--no-ui", default=True, help="Leave the Dagster UI open at the end.")
@click.option(
    "--json", "json_path", type=click.Path(path_type=Path, dir_okay=False), help="Write the summary here."
)
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI.")
@click.option("--users", default=20_000, show_default=True, help="People in the sandbox.")
@click.option("--days", default=14, show_default=True, help="Days of history that the sandbox writes.")
@click.option("--advance-days", default=2, show_default=True, help="Days that the second round lasts.")
@click.option("--seed", default=7, show_default=True, help="Seed of all that the sandbox draws.")
@click.option(
    "--until", help="UTC day (YYYY-MM-DD) before which the history ends; default: so that round two is past."
)
def command(
    ui: bool,
    json_path: Path | None,
    port: int,
    users: int,
    days: int,
    advance_days: int,
    seed: int,
    until: str | None,
) -> None:
    """Run the whole loop on this machine, twice round, and sum it up.

    It starts from nothing each time: what an earlier demo left in the state folder is removed. The exit code is 0
    only when every part worked.
    """
    settings = Settings.from_environment()
    if settings.target != "local":
        raise click.ClickException("The demo runs on the local target; unset BRAZE_PLATFORM_TARGET.")
    # Looking often costs processor time, which is well spent while someone watches, but for automation's, which runs
    # would have to share. Dagster's daemon comes round every 5 seconds: with 5 or 10 here, each second round would come
    # too early by a hair.
    settings = settings.replace(
        braze_rest_url=f"http://127.0.0.1:{free_port()}",
        sensor_interval_seconds=4,
        automation_interval_seconds=8,
    )
    if not port_is_free(port):
        wanted, port = port, free_port()
        click.echo(f"Port {wanted} is in use; the Dagster UI will be at {port}.")
    try:
        with exclusive_state(settings):
            start_afresh(settings)
            loop = LocalLoop(
                settings,
                webserver_port=port,
                sandbox=SandboxOptions(users=users, seed=seed),
                say=clocked(),
            )
            summary: DemoSummary | None = None
            try:
                summary = run_two_rounds(loop, days=days, advance_days=advance_days, until=until)
                click.echo(summary.as_text())
                if json_path is not None:
                    json_path.write_text(json.dumps(summary.as_json(), indent=2) + "\n", encoding="utf-8")
                if ui:
                    wait_for_interrupt(loop)
            except KeyboardInterrupt:
                click.echo("Stopping ...")
            finally:
                loop.stop()
    except (StateInUse, ProcessDied, LoopTimeout, DbtProjectError) as error:
        raise click.ClickException(str(error)) from error
    if summary is None:
        raise click.exceptions.Exit(INTERRUPTED)
    if summary.problems:
        raise click.exceptions.Exit(1)


def clocked() -> Callable[[str], None]:
    """Say lines with the minutes and seconds since now before them."""
    began = time.monotonic()

    def say(line: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - began), 60)
        click.echo(f"{minutes:02}:{seconds:02}{line}")

    return say


def start_afresh(settings: Settings) -> None:
    """Empty the state folder if it was made by a demo; refuse when it holds anything else."""
    folder = settings.state_dir
    if folder.exists() and any(folder.iterdir()):
        if not (folder / MARKER).exists():
            raise click.ClickException(
                f"{folder} holds data that no demo made, and the demo would remove it. Move it away, "
                "or set BRAZE_PLATFORM_STATE_DIR to another folder."
            )
        shutil.rmtree(folder)
    make_private(folder)
    (folder / MARKER).write_text(f"{datetime.now(timezone.utc).isoformat()}\n", encoding="utf-8")


def run_two_rounds(loop: LocalLoop, *, days: int, advance_days: int, until: str | None) -> DemoSummary:
    """History, first round, a few more days, second round; everything between is done by sensors and automation."""
    began = time.monotonic()
    settings = loop.settings

    click.echo("1. The sandbox: a local Braze, its people, its campaigns.")
    # Dagster needs what dbt makes of the project; dbt can read it while the sandbox writes.
    with ThreadPoolExecutor(max_workers=1) as beside:
        manifest = beside.submit(prepare_manifest, settings)
        loop.start_sandbox()
        loop.write_history(days, until=until)
        manifest.result()

    click.echo("2. Dagster: webserver, daemon and code location.")
    started = time.time()
    loop.start_dagster()
    click.echo(f"  UI: http://localhost:{loop.webserver_port}")

    click.echo(
        "3. Round one: the sensor finds the Currents hours; marts and attributes follow by themselves."
    )
    loop.wait_until_settled()
    first = measure_round(loop, 1, since=started)

    click.echo("4. Round two: campaigns choose their audience by the attributes just received.")
    started = time.time()
    loop.advance(advance_days)
    loop.wait_until_settled()
    second = measure_round(loop, 2, since=started)

    return summarise(settings, loop.sandbox_get("/sandbox/truth"), [first, second], time.monotonic() - began)
