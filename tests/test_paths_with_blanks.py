"""A checkout whose path has a blank and a letter beyond ASCII."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google_emulators import ROOT

FOLDER = "my pröject"
_PREPARE = """
from pathlib import Path
import braze_platform
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings

assert Path(braze_platform.__file__).is_relative_to(Path.cwd()), braze_platform.__file__
prepare_manifest(Settings(state_dir=Path.cwd() / "state"))
assert (Path.cwd() / "state").is_dir()
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    copy = tmp_path / FOLDER
    copy.mkdir()
    for name in ("braze_platform", "dbt_project", "tests"):
        shutil.copytree(
            ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs")
        )
    for name in ("Makefile", "pyproject.toml", "constraints.txt", "workspace.yaml", "dagster.yaml"):
        shutil.copy(ROOT / name, copy / name)
    return copy


def test_make_hands_over_paths_as_one_argument(checkout: Path) -> None:
    made = subprocess.run(
        ["make", "--dry-run", "--always-make", "install", "emulators", "lint", "test"],
        cwd=checkout,
        capture_output=True,
        text=True,
        check=True,
    )
    commands = [line for line in made.stdout.replace("\\\n", " ").splitlines() if FOLDER in line]
    assert commands
    for command in commands:
        # a path that the shell would part at its blank ends one argument and begins the next
        parts = shlex.split(command)
        assert not [part for part in parts if part.endswith(str(checkout.parent / "my"))], command


@pytest.mark.full
def test_the_dbt_project_is_parsed(checkout: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PREPARE],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert list((checkout / "state").rglob("manifest.json"))
