"""`braze-platform doctor`: whether everything is there that this installation needs."""

from __future__ import annotations

from collections.abc import Iterator

import click

from braze_platform.doctor.braze import check_braze, check_clock, check_workspace
from braze_platform.doctor.findings import Finding
from braze_platform.settings import Settings, SettingsError

_GOOGLE = "https://storage.googleapis.com"


def findings(settings: Settings) -> Iterator[Finding]:
    """All checks of the target, each as it is done."""
    if settings.target == "local":
        from braze_platform.doctor.local import check_local

        yield from check_local(settings)
        clock = settings.braze_rest_url
    else:
        from braze_platform.doctor.google import check_google

        yield from check_google(settings)
        clock = settings.bigquery_emulator_url or _GOOGLE
    braze = check_braze(settings)
    yield braze
    if braze.state == "ok":
        yield from check_workspace(settings)
    yield check_clock(clock)


@click.command()
def command() -> None:
    """Look whether bucket, warehouse, rights, Braze's key and the clock are as they must be.

    Changes nothing. Prints a line for each, with the role or setting that is missing, and ends with status 1 if any is.
    """
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    any_missing = False
    for finding in findings(settings):
        click.echo(str(finding))
        any_missing = any_missing or finding.state == "missing"
    if any_missing:
        raise SystemExit(1)
