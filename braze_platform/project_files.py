"""Where the files beside the code are: beside the package in a checkout, inside it where a wheel was installed.

They are `dbt_project/`, `dagster.yaml` and `workspace.yaml`; pyproject.toml says what the build puts where.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_IN_THE_WHEEL = _PACKAGE / "project"
_IS_INSTALLED = _IN_THE_WHEEL.is_dir()

#: The folder that holds them. Nothing is written into it.
PROJECT_ROOT = _IN_THE_WHEEL if _IS_INSTALLED else _PACKAGE.parent


def working_folder() -> Path:
    """Where an installation keeps its state and `.env` unless told otherwise: the checkout, or the current folder."""
    return Path.cwd() if _IS_INSTALLED else PROJECT_ROOT
