"""`braze-platform sandbox`: serve the local Braze until stopped."""

from __future__ import annotations

import click
import uvicorn

from braze_platform.sandbox.api.contract import Contract
from braze_platform.sandbox.api.server import create_app
from braze_platform.sandbox.world.simulation import SimulationRefused, check_population
from braze_platform.settings import Settings, SettingsError
from braze_platform.state_folder import make_private


@click.command()
@click.option("--port", default=8899, show_default=True, help="Port on this machine; 0 takes a free one.")
@click.option("--seed", default=7, show_default=True, help="Same seed, same people and events.")
@click.option(
    "--users",
    default=20_000,
    show_default=True,
    type=click.IntRange(min=20),
    help="How many people have an external id.",
)
def command(port: int, seed: int, users: int) -> None:
    """Run a local Braze: its API, its people, its campaigns.

    It listens on this machine only. Profiles and the simulated clock stay in the state folder; Currents files go to
    its bucket. The key is BRAZE_API_KEY (default: sandbox-key).
    """
    try:
        settings = Settings.from_environment()
        check_population(settings, seed, users)
    except (SettingsError, SimulationRefused) as error:
        raise click.ClickException(str(error)) from error
    # Made before the first file: who asks whether all is there finds the bucket, empty as a new one is.
    make_private(settings.state_dir)
    settings.bucket_dir.mkdir(parents=True, exist_ok=True)
    app = create_app(settings, Contract(), seed=seed, users=users)
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, ws="none")
