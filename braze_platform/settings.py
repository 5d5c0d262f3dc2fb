"""Settings of one installation; the only reader of the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args

from braze_platform import setting_values as values
from braze_platform.extras import INSTALL_LOCAL, lacks_local_extra
from braze_platform.project_files import PROJECT_ROOT as PROJECT_ROOT
from braze_platform.project_files import working_folder
from braze_platform.setting_values import is_loopback as is_loopback

Target = Literal["local", "bigquery"]
#: How Braze's contract counts, which decides the limits of `/users/track`.
BrazePlan = Literal["data_points", "mau", "legacy"]

_LIMIT_VARIABLES = {
    "braze_objects_per_request": "BRAZE_PLATFORM_BRAZE_OBJECTS_PER_REQUEST",
    "braze_bytes_per_request": "BRAZE_PLATFORM_BRAZE_BYTES_PER_REQUEST",
    "braze_requests_per_burst": "BRAZE_PLATFORM_BRAZE_REQUESTS_PER_BURST",
    "braze_requests_per_hour": "BRAZE_PLATFORM_BRAZE_REQUESTS_PER_HOUR",
    "braze_concurrency": "BRAZE_PLATFORM_BRAZE_CONCURRENCY",
    "deliveries_days": "BRAZE_PLATFORM_DELIVERIES_DAYS",
}


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
    state_dir: Path = field(default_factory=lambda: working_folder() / ".braze_platform")
    #: The dbt project that is loaded as assets.
    dbt_project_dir: Path = PROJECT_ROOT / "dbt_project"
    #: First UTC day with Currents: the first Dagster partition.
    currents_start_day: date = date(2026, 1, 1)
    #: Folder inside the bucket under which Braze writes; may be empty.
    currents_prefix: str = "currents"
    #: Seconds between two looks of the sensors (new hours, new exports).
    sensor_interval_seconds: int = 10
    #: Seconds between two looks of automation: each takes some seconds of a processor, far more than a sensor's.
    automation_interval_seconds: int = 20
    #: Days before today (UTC) that every tick of the sensor lists for late files; older changes wait for the
    #: reconciliation.
    currents_look_back_days: int = 3
    #: Seconds without a new file after which the sensor asks for a run, so that one run loads what arrives together;
    #: at most ten times as long where files never stop arriving.
    currents_quiet_seconds: int = 3
    #: Hours between two full reconciliations with the bucket. `None`: 24, and 0 (every tick) on the `local`
    #: target, where listing a folder costs no requests.
    currents_reconciliation_hours: int | None = None
    #: Root of Braze's REST API, no trailing slash.
    braze_rest_url: str = "http://127.0.0.1:8899"
    #: Bearer key of the workspace; never shown.
    braze_api_key: str = field(default="sandbox-key", repr=False)
    #: The contract: `data_points`, `mau` (then `braze_requests_per_hour` says how many) or `legacy`.
    braze_plan: BrazePlan = "data_points"
    #: Limits of `/users/track` where the contract differs: objects and bytes in a request, requests in 3 seconds and in
    #: an hour.
    braze_objects_per_request: int | None = None
    braze_bytes_per_request: int | None = None
    braze_requests_per_burst: int | None = None
    braze_requests_per_hour: int | None = None
    #: Requests to Braze that may be under way at once.
    braze_concurrency: int = 32
    #: Whether `braze_sync.deliveries` keeps the values that were sent, or only their hashes.
    deliveries_with_values: bool = False
    #: Days after which rows of `braze_sync.deliveries` go; None keeps them.
    deliveries_days: int | None = None
    #: Threads and memory that DuckDB may use.
    duckdb_threads: int = 2
    duckdb_memory_limit: str = "1GB"
    #: Memory that DuckDB may use in a sync; beyond it it works on disk. The process needs some 350 MB besides.
    duckdb_sync_memory_limit: str = "600MB"
    #: Google Cloud project that holds the datasets and pays for the jobs. Needed on the `bigquery` target.
    bigquery_project: str = ""
    #: Where datasets are made (`EU`, `US`, `europe-west3`); must fit the bucket's location.
    bigquery_location: str = "EU"
    #: Put before the name of every dataset, so that several installations can share one project.
    bigquery_dataset_prefix: str = ""
    #: The Google Cloud Storage bucket that Braze Currents writes into. Needed on the `bigquery` target.
    bucket_name: str = ""
    #: Days after which BigQuery drops a day of a raw table; 0 keeps all.
    raw_partition_expiry_days: int = 0
    #: Whether e-mail addresses and phone numbers are kept as hashes only, from the raw tables on.
    hash_contacts: bool = False
    #: BigQuery policy tag (its full resource name) of all columns that hold personal data; empty: none.
    personal_policy_tag: str = ""
    #: Labels of all datasets and raw tables, for the bill: (key, value) pairs.
    labels: tuple[tuple[str, str], ...] = ()
    #: Loopback URLs of emulators that stand in for BigQuery and Cloud Storage (tests); empty: Google itself.
    bigquery_emulator_url: str = ""
    storage_emulator_url: str = ""

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
    def reconciliation_seconds(self) -> float:
        """Seconds between two full reconciliations with the bucket."""
        if self.currents_reconciliation_hours is not None:
            return self.currents_reconciliation_hours * 3600.0
        return 0.0 if self.target == "local" else 86_400.0

    @property
    def cdi_exports_dir(self) -> Path:
        """Where the local target lays copies of its CDI tables for the sandbox, which cannot open the warehouse."""
        return self.state_dir / "cdi"

    @property
    def outward_calls_allowed(self) -> bool:
        """Whether syncs may send: only in production by name, or to a loopback URL."""
        return self.environment == "production" or is_loopback(self.braze_rest_url)

    def require_google(self) -> None:
        """Raise `SettingsError` when a setting that the `bigquery` target cannot do without is missing."""
        for value, variable, what in (
            (self.bigquery_project, "BRAZE_PLATFORM_BIGQUERY_PROJECT", "the Google Cloud project"),
            (self.bucket_name, "BRAZE_PLATFORM_BUCKET", "the bucket that Braze Currents writes into"),
        ):
            if not value:
                raise SettingsError(
                    f"{variable} is not set: BRAZE_PLATFORM_TARGET=bigquery needs the name of {what}."
                )

    def but(self, **changes: object) -> Settings:
        """A copy with some fields changed."""
        return replace(self, **changes)  # type: ignore[arg-type]

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; raise `SettingsError` naming every variable that is wrong, why, and the remedy.

        Blanks around a value do not count, and an empty value is none.
        """
        env = os.environ if environ is None else environ
        known: dict[str, Any] = {}
        wrong: list[str] = []
        for variable, (field_name, read) in _VARIABLES.items():
            raw = env.get(variable, "").strip()
            if not raw:
                continue
            try:
                known[field_name] = read(raw)
            except ValueError as error:
                wrong.append(f"{variable}{_shown(variable, raw)} {error}.")
        near = values.misspelt(
            (name for name in env if name.upper().startswith("BRAZE_PLATFORM_")),
            [*_VARIABLES, *_OTHER_VARIABLES],
        )
        wrong += [f"{name} is no setting; did you mean {meant}?" for name, meant in near.items()]
        wrong += _contradictions(known)
        if known.get("target", cls.target) == "local" and lacks_local_extra():
            wrong.append(
                f"BRAZE_PLATFORM_TARGET=local needs DuckDB and the sandbox; {INSTALL_LOCAL}, or set "
                "BRAZE_PLATFORM_TARGET=bigquery."
            )
        if wrong:
            raise SettingsError("\n".join(wrong))
        if "deliveries_with_values" in known:
            known["deliveries_with_values"] = known["deliveries_with_values"] == "values"
        return cls(**known)

    def as_environment(self) -> dict[str, str]:
        """The variables that make another process read these same settings (with the key: do not log it)."""
        limits = {variable: getattr(self, name) for name, variable in _LIMIT_VARIABLES.items()}
        return {
            **{variable: str(value) for variable, value in limits.items() if value is not None},
            "BRAZE_PLATFORM_BRAZE_PLAN": self.braze_plan,
            "BRAZE_PLATFORM_DELIVERIES": "values" if self.deliveries_with_values else "hashes",
            "BRAZE_PLATFORM_TARGET": self.target,
            "BRAZE_PLATFORM_ENVIRONMENT": self.environment,
            "BRAZE_PLATFORM_STATE_DIR": str(self.state_dir),
            "BRAZE_PLATFORM_DBT_PROJECT_DIR": str(self.dbt_project_dir),
            "BRAZE_PLATFORM_CURRENTS_START_DAY": self.currents_start_day.isoformat(),
            "BRAZE_PLATFORM_CURRENTS_PREFIX": self.currents_prefix or "/",
            "BRAZE_PLATFORM_SENSOR_INTERVAL_SECONDS": str(self.sensor_interval_seconds),
            "BRAZE_PLATFORM_AUTOMATION_INTERVAL_SECONDS": str(self.automation_interval_seconds),
            "BRAZE_PLATFORM_CURRENTS_LOOK_BACK_DAYS": str(self.currents_look_back_days),
            "BRAZE_PLATFORM_CURRENTS_QUIET_SECONDS": str(self.currents_quiet_seconds),
            "BRAZE_PLATFORM_CURRENTS_RECONCILIATION_HOURS": (
                "" if self.currents_reconciliation_hours is None else str(self.currents_reconciliation_hours)
            ),
            "BRAZE_PLATFORM_DUCKDB_THREADS": str(self.duckdb_threads),
            "BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT": self.duckdb_memory_limit,
            "BRAZE_PLATFORM_DUCKDB_SYNC_MEMORY_LIMIT": self.duckdb_sync_memory_limit,
            "BRAZE_PLATFORM_BIGQUERY_PROJECT": self.bigquery_project,
            "BRAZE_PLATFORM_BIGQUERY_LOCATION": self.bigquery_location,
            "BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX": self.bigquery_dataset_prefix,
            "BRAZE_PLATFORM_BUCKET": self.bucket_name,
            "BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS": str(self.raw_partition_expiry_days),
            "BRAZE_PLATFORM_HASH_CONTACTS": "yes" if self.hash_contacts else "no",
            "BRAZE_PLATFORM_PERSONAL_POLICY_TAG": self.personal_policy_tag,
            "BRAZE_PLATFORM_LABELS": ",".join(f"{key}={value}" for key, value in self.labels),
            "BRAZE_REST_URL": self.braze_rest_url,
            "BRAZE_API_KEY": self.braze_api_key,
            # The clients of Google take an empty one for a host, so these are set only where they say something.
            **({"BIGQUERY_EMULATOR_HOST": self.bigquery_emulator_url} if self.bigquery_emulator_url else {}),
            **({"STORAGE_EMULATOR_HOST": self.storage_emulator_url} if self.storage_emulator_url else {}),
        }


#: The field that each variable fills, and how its text is read.
_VARIABLES: Mapping[str, tuple[str, values.Reader]] = {
    "BRAZE_PLATFORM_TARGET": ("target", values.one_of(get_args(Target))),
    "BRAZE_PLATFORM_ENVIRONMENT": ("environment", values.environment),
    "BRAZE_PLATFORM_STATE_DIR": ("state_dir", values.folder),
    "BRAZE_PLATFORM_DBT_PROJECT_DIR": ("dbt_project_dir", values.folder),
    "BRAZE_PLATFORM_CURRENTS_START_DAY": ("currents_start_day", values.day),
    "BRAZE_PLATFORM_CURRENTS_PREFIX": ("currents_prefix", values.bucket_folder),
    "BRAZE_PLATFORM_SENSOR_INTERVAL_SECONDS": ("sensor_interval_seconds", values.whole_number(1)),
    "BRAZE_PLATFORM_AUTOMATION_INTERVAL_SECONDS": ("automation_interval_seconds", values.whole_number(1)),
    "BRAZE_PLATFORM_CURRENTS_LOOK_BACK_DAYS": ("currents_look_back_days", values.whole_number(0, 100_000)),
    "BRAZE_PLATFORM_CURRENTS_RECONCILIATION_HOURS": ("currents_reconciliation_hours", values.whole_number()),
    "BRAZE_PLATFORM_CURRENTS_QUIET_SECONDS": ("currents_quiet_seconds", values.whole_number()),
    "BRAZE_REST_URL": ("braze_rest_url", values.root_url),
    "BRAZE_API_KEY": ("braze_api_key", values.api_key),
    "BRAZE_PLATFORM_BRAZE_PLAN": ("braze_plan", values.one_of(get_args(BrazePlan))),
    **{variable: (name, values.whole_number(1)) for name, variable in _LIMIT_VARIABLES.items()},
    "BRAZE_PLATFORM_DELIVERIES": ("deliveries_with_values", values.one_of(("hashes", "values"))),
    "BRAZE_PLATFORM_DUCKDB_THREADS": ("duckdb_threads", values.whole_number(1, 1_024)),
    "BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT": ("duckdb_memory_limit", values.memory),
    "BRAZE_PLATFORM_DUCKDB_SYNC_MEMORY_LIMIT": ("duckdb_sync_memory_limit", values.memory),
    "BRAZE_PLATFORM_BIGQUERY_PROJECT": ("bigquery_project", values.name),
    "BRAZE_PLATFORM_BIGQUERY_LOCATION": ("bigquery_location", values.name),
    "BRAZE_PLATFORM_BIGQUERY_DATASET_PREFIX": ("bigquery_dataset_prefix", values.dataset_prefix),
    "BRAZE_PLATFORM_BUCKET": ("bucket_name", values.bucket_name),
    "BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS": (
        "raw_partition_expiry_days",
        values.whole_number(0, 100_000, "; 0 keeps all days"),
    ),
    "BRAZE_PLATFORM_HASH_CONTACTS": ("hash_contacts", values.yes_or_no),
    "BRAZE_PLATFORM_PERSONAL_POLICY_TAG": ("personal_policy_tag", values.policy_tag),
    "BRAZE_PLATFORM_LABELS": ("labels", values.labels),
    "BIGQUERY_EMULATOR_HOST": ("bigquery_emulator_url", values.loopback_url),
    "STORAGE_EMULATOR_HOST": ("storage_emulator_url", values.loopback_url),
}
#: What the platform tells dbt, which reads no settings.
_OTHER_VARIABLES = ("BRAZE_PLATFORM_DUCKDB_PATH", "BRAZE_PLATFORM_DATASETS", "BRAZE_PLATFORM_REDO")


def _shown(variable: str, raw: str) -> str:
    """A value in a message; never the key, nor a URL that may hold a password."""
    if variable == "BRAZE_API_KEY" or "@" in raw:
        return ""
    return f"={raw}" if raw.removeprefix("-").isalnum() else f"={raw!r}"


def _contradictions(known: Mapping[str, Any]) -> list[str]:
    """What is wrong with values that are right by themselves."""
    found: list[str] = []
    if known.get("braze_plan") == "mau" and "braze_requests_per_hour" not in known:
        found.append(
            "BRAZE_PLATFORM_BRAZE_PLAN=mau needs BRAZE_PLATFORM_BRAZE_REQUESTS_PER_HOUR: the contract states how "
            "many requests to /users/track an hour may see."
        )
    url = known.get("braze_rest_url", Settings.braze_rest_url)
    if known.get("environment") == "production" and url.startswith("http://") and not is_loopback(url):
        found.append(
            f"BRAZE_REST_URL={url!r} would send the key and all values in clear; write it with https://."
        )
    return found
