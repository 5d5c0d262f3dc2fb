"""Settings of one installation; the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, cast, get_args
from urllib.parse import urlsplit

Target = Literal["local", "bigquery"]

#: The clone that holds `dbt_project/`; the package is installed in editable mode from it.
PROJECT_ROOT = Path(__file__).resolve().parent.parent


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the remedy."""


@dataclass(frozen=True)
class Settings:
    """Everything that differs between installations.

    Each field is read from an environment variable of the same name in upper case behind `BRAZE_PLATFORM_`
    (the Braze ones keep Braze's own prefix: `BRAZE_REST_URL`, `BRAZE_API_KEY`). The defaults are those of the
    `local` target: a DuckDB file, a folder as bucket, the sandbox as Braze.
    """

    #: `local` (DuckDB, folder, sandbox) or `bigquery` (BigQuery, GCS, Braze).
    target: Target = "local"
    #: `production` lets outward calls leave this machine; anything else lets only loopback URLs be called.
    environment: str = "development"
    #: Where the local target keeps all that it makes: warehouse, bucket, Dagster and dbt storage.
    state_dir: Path = PROJECT_ROOT / ".braze_platform"
    #: The dbt project that is loaded as assets.
    dbt_project_dir: Path = PROJECT_ROOT / "dbt_project"
    #: First UTC day with Currents: the first Dagster partition.
    currents_start_day: date = date(2026, 1, 1)
    #: Folder inside the bucket under which Braze writes; may be empty.
    currents_prefix: str = "currents"
    #: Root of Braze's REST API, no trailing slash.
    braze_rest_url: str = "http://127.0.0.1:8899"
    #: Bearer key of the workspace; never shown.
    braze_api_key: str = field(default="sandbox-key", repr=False)
    #: Threads and memory that DuckDB may use.
    duckdb_threads: int = 2
    duckdb_memory_limit: str = "1GB"

    @property
    def duckdb_path(self) -> Path:
        """The DuckDB file of the local target."""
        return self.state_dir / "warehouse.duckdb"

    @property
    def bucket_dir(self) -> Path:
        """The folder that stands for the Currents bucket on the local target."""
        return self.state_dir / "bucket"

    @property
    def service_exports_dir(self) -> Path:
        """The folder into which the company's own system exports its tables on the local target."""
        return self.state_dir / "service_exports"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own storage on the local target."""
        return self.state_dir / "dagster"

    @property
    def dbt_target_dir(self) -> Path:
        """Where dbt writes its manifest, compiled SQL and run results."""
        return self.state_dir / "dbt_target" / self.target

    @property
    def sandbox_dir(self) -> Path:
        """Where the sandbox keeps its profiles and its clock."""
        return self.state_dir / "sandbox"

    @property
    def outward_calls_allowed(self) -> bool:
        """Whether syncs may send: only in production by name, or to a loopback URL."""
        return self.environment == "production" or is_loopback(self.braze_rest_url)

    def but(self, **changes: object) -> Settings:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; raise `SettingsError` naming the variable that is wrong."""
        env = os.environ if environ is None else environ
        known: dict[str, object] = {}

        def take(name: str, variable: str, convert: type | None = None) -> None:
            raw = env.get(variable)
            if raw is None or raw == "":
                return
            try:
                known[name] = convert(raw) if convert else raw
            except ValueError as error:
                raise SettingsError(
                    f"{variable}={raw!r} is not a {convert.__name__ if convert else 'text'}."
                ) from error

        take("target", "BRAZE_PLATFORM_TARGET")
        take("environment", "BRAZE_PLATFORM_ENVIRONMENT")
        take("state_dir", "BRAZE_PLATFORM_STATE_DIR", Path)
        take("dbt_project_dir", "BRAZE_PLATFORM_DBT_PROJECT_DIR", Path)
        take("currents_prefix", "BRAZE_PLATFORM_CURRENTS_PREFIX")
        take("braze_rest_url", "BRAZE_REST_URL")
        take("braze_api_key", "BRAZE_API_KEY")
        take("duckdb_threads", "BRAZE_PLATFORM_DUCKDB_THREADS", int)
        take("duckdb_memory_limit", "BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT")
        start = env.get("BRAZE_PLATFORM_CURRENTS_START_DAY")
        if start:
            try:
                known["currents_start_day"] = date.fromisoformat(start)
            except ValueError as error:
                raise SettingsError(
                    f"BRAZE_PLATFORM_CURRENTS_START_DAY={start!r} is not a day; write it as YYYY-MM-DD."
                ) from error
        target = known.get("target", "local")
        if target not in get_args(Target):
            raise SettingsError(
                f"BRAZE_PLATFORM_TARGET={target!r} is unknown; use one of {', '.join(get_args(Target))}."
            )
        known["target"] = cast(Target, target)
        for name in ("state_dir", "dbt_project_dir"):
            if name in known:
                known[name] = cast(Path, known[name]).expanduser().resolve()
        known["braze_rest_url"] = str(known.get("braze_rest_url", cls.braze_rest_url)).rstrip("/")
        return cls(**known)  # type: ignore[arg-type]

    def as_environment(self) -> dict[str, str]:
        """The variables that make another process read these same settings (with the key: do not log it)."""
        return {
            "BRAZE_PLATFORM_TARGET": self.target,
            "BRAZE_PLATFORM_ENVIRONMENT": self.environment,
            "BRAZE_PLATFORM_STATE_DIR": str(self.state_dir),
            "BRAZE_PLATFORM_DBT_PROJECT_DIR": str(self.dbt_project_dir),
            "BRAZE_PLATFORM_CURRENTS_START_DAY": self.currents_start_day.isoformat(),
            "BRAZE_PLATFORM_CURRENTS_PREFIX": self.currents_prefix,
            "BRAZE_PLATFORM_DUCKDB_THREADS": str(self.duckdb_threads),
            "BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT": self.duckdb_memory_limit,
            "BRAZE_REST_URL": self.braze_rest_url,
            "BRAZE_API_KEY": self.braze_api_key,
        }


def is_loopback(url: str) -> bool:
    """Whether a URL points at this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
