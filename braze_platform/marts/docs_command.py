"""`braze-platform docs`: the description of every model, column, test and of the syncs, as one page of HTML."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import click
import yaml

from braze_platform.marts.dbt_environment import dbt_environment, dbt_executable
from braze_platform.marts.exposures import exposures
from braze_platform.marts.manifest import DbtProjectError, prepare_manifest
from braze_platform.settings import Settings
from braze_platform.state_folder import make_private


def build_docs(settings: Settings) -> Path:
    """Let dbt write its documentation; returns the page, which needs no other file.

    Needs no built table: what the warehouse adds (types, sizes) is there for the tables that it has. Raises
    `DbtProjectError` with dbt's own message.
    """
    folder = settings.state_dir / "docs"
    make_private(settings.state_dir)
    folder.mkdir(exist_ok=True)
    manifest = json.loads(prepare_manifest(settings).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(dir=folder) as copy:
        # Syncs are shown as exposures, which are rendered from the declarations into a copy of the project.
        project = Path(copy) / settings.dbt_project_dir.name
        shutil.copytree(settings.dbt_project_dir, project)
        (project / "models" / "exposures_of_syncs.yml").write_text(
            yaml.safe_dump(exposures(manifest), sort_keys=False), encoding="utf-8"
        )
        result = subprocess.run(
            [str(dbt_executable()), "--quiet", "docs", "generate", "--static", "--target", settings.target],
            cwd=project,
            env={
                **os.environ,
                **dbt_environment(settings),
                "DBT_PROJECT_DIR": str(project),
                "DBT_TARGET_PATH": str(folder),
            },
            capture_output=True,
            text=True,
            check=False,
        )
    page = folder / "static_index.html"
    if result.returncode != 0 or not page.is_file():
        raise DbtProjectError(
            f"dbt cannot write the documentation:\n{(result.stdout + result.stderr).strip()}"
        )
    return page


@click.command("docs", help=__doc__)
def command() -> None:
    """Write the page and tell where it is."""
    try:
        page = build_docs(Settings.from_environment())
    except DbtProjectError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"Documentation of all models: {page}")
