"""The environment in which dbt runs for one installation: what `profiles.yml` reads, and where dbt writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from braze_platform.braze_api.http_clients import loopback_exempted
from braze_platform.settings import Settings
from braze_platform.warehouse.dataset_names import dbt_datasets


def dbt_environment(settings: Settings) -> dict[str, str]:
    """The variables that dbt gets beside the caller's own: the profile's values, and paths outside the clone."""
    return {
        "BRAZE_PLATFORM_TARGET": settings.target,
        "BRAZE_PLATFORM_DUCKDB_PATH": str(settings.duckdb_path),
        "BRAZE_PLATFORM_DUCKDB_THREADS": str(settings.duckdb_threads),
        "BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT": settings.duckdb_memory_limit,
        "BRAZE_PLATFORM_BIGQUERY_PROJECT": settings.bigquery_project or "unset-project",
        "BRAZE_PLATFORM_BIGQUERY_LOCATION": settings.bigquery_location,
        **dbt_datasets(settings),
        "BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS": str(settings.raw_partition_expiry_days),
        "BRAZE_PLATFORM_PERSONAL_POLICY_TAG": settings.personal_policy_tag,
        **(
            {"BIGQUERY_EMULATOR_HOST": settings.bigquery_emulator_url, **loopback_exempted()}
            if settings.bigquery_emulator_url
            else {}
        ),
        "DBT_PROFILES_DIR": str(settings.dbt_project_dir),
        "DBT_PROJECT_DIR": str(settings.dbt_project_dir),
        "DBT_TARGET_PATH": str(settings.dbt_target_dir),
        "DBT_LOG_PATH": str(settings.dbt_target_dir / "logs"),
        # Writing each debug event to a file took an eighth of a build.
        "DBT_LOG_LEVEL_FILE": "info",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_VERSION_CHECK": "true",
        "DBT_USE_COLORS": "false",
    }


def project_variables(settings: Settings) -> dict[str, Any]:
    """The variables of `dbt_project.yml`."""
    project = yaml.safe_load((settings.dbt_project_dir / "dbt_project.yml").read_text(encoding="utf-8"))
    return dict(project["vars"])


@contextmanager
def applied(environment: dict[str, str]) -> Iterator[None]:
    """Put variables into this process's environment while the context lasts.

    `DbtCliResource.cli` takes dbt's environment and the profile from `os.environ` and from nowhere else. It copies
    both before it returns, so the context need not last longer than that call.
    """
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def dbt_executable() -> Path:
    """The dbt of this Python environment, whether or not it is on the PATH."""
    return Path(sys.executable).parent / "dbt"
