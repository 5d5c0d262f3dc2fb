"""dbt, run by hand with an installation's settings."""

from __future__ import annotations

import os
import subprocess

from braze_platform.marts.dbt_environment import dbt_environment, dbt_executable
from braze_platform.marts.rebuild_window import RebuildWindow
from braze_platform.settings import Settings


def run_dbt(
    settings: Settings, *command: str, window: RebuildWindow | None = None
) -> subprocess.CompletedProcess[str]:
    """A command on the installation's target, whether it succeeds or not."""
    hours = {} if window is None else {"BRAZE_PLATFORM_REBUILD_WINDOW": window.as_environment()}
    return subprocess.run(
        [str(dbt_executable()), *command, "--target", settings.target],
        cwd=settings.dbt_project_dir,
        env={**os.environ, **dbt_environment(settings), **hours},
        capture_output=True,
        text=True,
        check=False,
    )


def dbt(settings: Settings, *command: str, window: RebuildWindow | None = None, fails: bool = False) -> str:
    """What dbt says. Raises when it fails, or with `fails` when it does not."""
    result = run_dbt(settings, *command, window=window)
    assert (result.returncode != 0) is fails, result.stdout[-20_000:] + result.stderr[-5_000:]
    return result.stdout
