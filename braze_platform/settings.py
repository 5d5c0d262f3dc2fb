"""Settings of one installation; the only reader of the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import Field, PlainSerializer, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from braze_platform import setting_values as values
from braze_platform.extras import INSTALL_LOCAL, lacks_local_extra
from braze_platform.project_files import PROJECT_ROOT as PROJECT_ROOT
from braze_platform.project_files import working_folder
from braze_platform.setting_values import FromText, Text
from braze_platform.setting_values import is_loopback as is_loopback

Target = Literal["local", "bigquery"]
#: How Braze's contract counts, which decides the limits of `/users/track`.
BrazeContract = Literal["data_points", "mau", "legacy"]

#: What the platform tells dbt, which reads no settings.
_OTHER_VARIABLES = ("BRAZE_PLATFORM_DUCKDB_PATH", "BRAZE_PLATFORM_DATASETS", "BRAZE_PLATFORM_REBUILD_WINDOW")


#: Variables of earlier releases, which are refused with their new names.
_RENAMED = {"BRAZE_PLATFORM_BRAZE_PLAN": "BRAZE_PLATFORM_BRAZE_CONTRACT"}


class SettingsError(ValueError):
    """A setting is missing or wrong; the message names the variable and the remedy."""


@dataclass(frozen=True)
class RequiredOn:
    """Marks a setting that a target cannot do without; `what` it names."""

    target: Target
    what: str


_Count = Annotated[int, FromText(values.whole_number())]
_Positive = Annotated[int, FromText(values.whole_number(1))]
_Days = Annotated[int, FromText(values.whole_number(0, 100_000))]
_Folder = Annotated[Path, FromText(values.folder)]
_Memory = Annotated[str, FromText(values.memory)]
_Name = Annotated[str, FromText(values.name)]
_Loopback = Annotated[str, FromText(values.loopback_url)]
_Switch = Annotated[bool, FromText(values.yes_or_no), PlainSerializer(lambda on: "yes" if on else "no")]


def _by_target(read: dict[str, Any], *, local: int) -> int:
    """A default interval: short where a person looks on, of a minute where files come hour by hour."""
    return local if read.get("target", "local") == "local" else 60


class Settings(BaseSettings):
    """Everything that differs between installations.

    Each field is read from an environment variable of the same name in upper case behind `BRAZE_PLATFORM_`, but for
    those that name another. The defaults are those of the `local` target: a DuckDB file, a folder as bucket, the
    sandbox as Braze. What is given in Python is trusted as it is; only the text of variables is cleaned and judged.
    The docstrings are the descriptions in `docs/reference/settings.md`.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix="BRAZE_PLATFORM_",
        populate_by_name=True,
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    target: Annotated[Target, FromText(values.one_of(get_args(Target)))] = "local"
    """`local`: a DuckDB file, a folder as bucket, the sandbox as Braze. `bigquery`: BigQuery, Cloud Storage, Braze."""
    environment: Annotated[str, FromText(values.environment)] = "development"
    """`production` allows calls to other machines; anything else allows calls to loopback URLs only."""
    state_dir: _Folder = Field(default_factory=lambda: working_folder() / ".braze_platform")
    """Where the local target keeps all that it makes: warehouse, bucket, Dagster's and dbt's storage."""
    dbt_project_dir: _Folder = PROJECT_ROOT / "dbt_project"
    """The dbt project whose models are loaded as assets."""
    currents_start_day: Annotated[date, FromText(values.day)] = date(2026, 1, 1)
    """First UTC day with Currents: the first Dagster partition."""
    currents_prefix: Annotated[
        str, FromText(values.bucket_folder), PlainSerializer(lambda prefix: prefix or "/")
    ] = "currents"
    """Folder inside the bucket under which Braze writes; `/` is the bucket itself."""
    sensor_interval_seconds: _Positive = Field(default_factory=lambda data: _by_target(data, local=10))
    """Seconds between two ticks of the sensors (new hours, new exports); by default 60 on BigQuery. Dagster keeps each
    tick's cursor, some kilobytes to some hundred."""
    automation_interval_seconds: _Positive = Field(default_factory=lambda data: _by_target(data, local=20))
    """Seconds between two evaluations of automation, each of which takes some seconds of a processor, far more than a
    sensor's tick; by default 60 on BigQuery."""
    max_erased_people: _Count = 100
    """People deleted in Braze whom one run erases unasked. More wait for `braze-platform erasure approve`, as what is
    erased does not come back: a bulk deletion may be a mistake; 0: any number."""
    freshness_hours: _Count = 72
    """Hours without new data after which the UI shows an asset as stale, and half of them for a warning: the raw tables
    that nearly every workspace fills, marts, and user attributes; 0: never. Longer than the longest pause between two
    campaigns is good."""
    currents_event_types: Annotated[
        tuple[str, ...], NoDecode, FromText(values.event_types), PlainSerializer(",".join)
    ] = ()
    """Event types outside the catalogue that get raw assets of their own, with commas between them; all others that are
    in the bucket are loaded by `currents/unknown_event_types`. On the local target the folder tells, too."""
    currents_look_back_days: _Days = 3
    """Days before today (UTC) that every tick of the sensor lists for late files; older changes wait for the
    reconciliation."""
    currents_quiet_seconds: _Count = 3
    """Seconds without a new file after which the sensor requests a run, so that one run loads what arrives together; at
    most ten times as long where files never stop arriving. 60 is good in production."""
    currents_max_fields: Annotated[int, FromText(values.whole_number(1, 9_000))] = 5_000
    """Fields that the schema of a Currents file may have; a file with more is in quarantine. A raw table has at most
    9,900 columns, whatever its files have."""
    currents_max_block_mb: Annotated[int, FromText(values.whole_number(1, 4_096))] = 256
    """Megabytes that a block of a Currents file may have once it is expanded; a file with a larger one is in
    quarantine."""
    currents_reconciliation_hours: _Count | None = None
    """Hours between two comparisons of the whole bucket with what was loaded (later changes, vanished files,
    unrecognised objects); 0: every tick. By default 24, and 0 on the `local` target, where listing a folder costs no
    requests."""
    braze_rest_url: Annotated[
        str,
        FromText(values.root_url),
        RequiredOn("bigquery", "the root of Braze's REST API, or of a sandbox"),
    ] = Field(
        default_factory=lambda data: "http://127.0.0.1:8899" if data.get("target") != "bigquery" else "",
        validation_alias="BRAZE_REST_URL",
    )
    """Root of Braze's REST API, e.g. `https://rest.iad-01.braze.com`; by default the sandbox's on the local target."""
    braze_api_key: Annotated[str, FromText(values.api_key)] = Field(
        default="sandbox-key", validation_alias="BRAZE_API_KEY", repr=False
    )
    """Bearer key of the workspace, with the permission `users.track` (`users.track.bulk` for `bulk`; `users.export.ids`
    for `ledger rebuild`; `cdi.integration_list`, `cdi.integration_sync`, `cdi.integration_job_status` for `cdi`), and
    for the workspace's metadata `campaigns.list`, `campaigns.details`, `canvas.list`, `canvas.details`,
    `segments.list`, `segments.details`, `custom_attributes.get`. It appears in no log, metadata or table."""
    braze_contract: Annotated[BrazeContract, FromText(values.one_of(get_args(BrazeContract)))] = "data_points"
    """How the contract counts: `data_points` (75 objects, 3,000 requests in 3 seconds), `mau` (needs
    `BRAZE_PLATFORM_BRAZE_REQUESTS_PER_HOUR`) or `legacy` (50,000 requests per minute)."""
    braze_objects_per_request: _Positive | None = None
    """Objects in a request to `/users/track`, where the contract's limit is not Braze's usual one."""
    braze_bytes_per_request: _Positive | None = None
    """Bytes in a request to `/users/track`, where the contract's limit is not Braze's usual one."""
    braze_requests_per_burst: _Positive | None = None
    """Requests to `/users/track` in 3 seconds, where the contract's limit is not Braze's usual one."""
    braze_requests_per_hour: _Positive | None = Field(default=None, validate_default=True)
    """Requests to `/users/track` in an hour; required where the contract is `mau`."""
    braze_concurrency: _Positive = 32
    """Requests to Braze that may be in flight at once."""
    deliveries_with_values: Annotated[
        bool, FromText(values.hashes_or_values), PlainSerializer(lambda on: "values" if on else "hashes")
    ] = Field(default=False, validation_alias="BRAZE_PLATFORM_DELIVERIES")
    """Whether `braze_sync.deliveries` keeps the values that were sent, or only their hashes."""
    deliveries_days: _Positive | None = None
    """Days after which rows of `braze_sync.deliveries` are deleted; by default they are kept for ever."""
    duckdb_threads: Annotated[int, FromText(values.whole_number(1, 1_024))] = 2
    """Threads that DuckDB may use."""
    duckdb_memory_limit: _Memory = "1GB"
    """Memory that DuckDB may use when files are loaded and models are built; above it DuckDB spills to disk. With years
    of events a build of everything is faster with more."""
    duckdb_sync_memory_limit: _Memory = "600MB"
    """Memory that DuckDB may use in a sync; above it DuckDB spills to disk. The process needs some 350 MB besides,
    whatever the number of users."""
    bigquery_project: Annotated[_Name, RequiredOn("bigquery", "the name of the Google Cloud project")] = ""
    """Google Cloud project that holds the datasets and pays for the jobs."""
    bigquery_location: _Name = "EU"
    """Where datasets are made (`EU`, `US`, `europe-west3`); must fit the bucket's location."""
    bigquery_dataset_prefix: Annotated[str, FromText(values.dataset_prefix)] = ""
    """Put before the name of every dataset as it is, even where a name begins with it already, so that several
    installations can share a project; required outside production. On the local target names stand as they are."""
    bucket_name: Annotated[
        str,
        FromText(values.bucket_name),
        RequiredOn("bigquery", "the name of the bucket that Braze Currents writes into"),
    ] = Field(default="", validation_alias="BRAZE_PLATFORM_BUCKET")
    """The Google Cloud Storage bucket that Braze Currents writes into."""
    raw_partition_expiry_days: Annotated[
        int, FromText(values.whole_number(0, 100_000, "; 0 keeps all days"))
    ] = 0
    """Days after which BigQuery drops a day of a raw table; 0 keeps all. It is read when a table is made. Models keep
    what was built from dropped days."""
    backups_kept: _Positive = 7
    """Backups of the DuckDB file that are kept on the local target, the newest; older ones are deleted, and so are
    those older than 30 days that have a newer one."""
    hash_contacts: _Switch = False
    """Whether e-mail addresses and phone numbers become SHA-256 hashes when files are loaded."""
    personal_policy_tag: Annotated[str, FromText(values.policy_tag)] = ""
    """Full name of the BigQuery policy tag of columns with personal data; the account needs
    `roles/datacatalog.categoryFineGrainedReader` on it."""
    labels: Annotated[
        tuple[tuple[str, str], ...],
        NoDecode,
        FromText(values.labels),
        PlainSerializer(lambda labels: ",".join(f"{key}={value}" for key, value in labels)),
    ] = ()
    """Labels of all datasets and raw tables, for the bill."""
    bigquery_emulator_url: _Loopback = Field(default="", validation_alias="BIGQUERY_EMULATOR_HOST")
    """URL of an emulator on this machine that stands in for BigQuery (tests)."""
    storage_emulator_url: _Loopback = Field(default="", validation_alias="STORAGE_EMULATOR_HOST")
    """URL of an emulator on this machine that stands in for Cloud Storage (tests)."""

    @field_validator("braze_rest_url")
    @classmethod
    def _never_in_clear(cls, url: str, info: ValidationInfo) -> str:
        if (
            info.data.get("environment") == "production"
            and url.startswith("http://")
            and not is_loopback(url)
        ):
            raise ValueError("would send the key and all values in clear; write it with https://")
        return url

    @field_validator("braze_requests_per_hour")
    @classmethod
    def _monthly_active_users_have_a_limit(cls, limit: int | None, info: ValidationInfo) -> int | None:
        if limit is None and info.data.get("braze_contract") == "mau":
            raise ValueError(
                "is not set: BRAZE_PLATFORM_BRAZE_CONTRACT=mau needs it; the contract states how many requests to "
                "/users/track an hour may see"
            )
        return limit

    @property
    def duckdb_path(self) -> Path:
        """The DuckDB file of the local target."""
        return self.state_dir / "warehouse.duckdb"

    @property
    def backups_dir(self) -> Path:
        """Where backups of the DuckDB file are, a folder each."""
        return self.state_dir / "backups"

    @property
    def bucket_dir(self) -> Path:
        """The folder that stands for the Currents bucket on the local target."""
        return self.state_dir / "bucket"

    @property
    def company_exports_dir(self) -> Path:
        """The folder into which the company's own system exports its tables on the local target."""
        return self.state_dir / "company_exports"

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
        """Raise `SettingsError` naming every setting that the `bigquery` target cannot do without and that is missing.

        Outside production datasets have a prefix: a laptop would write into production's else.
        """
        wrong = [
            f"{self.variable(name)} is not set: BRAZE_PLATFORM_TARGET={mark.target} needs {mark.what}."
            for name, field in type(self).model_fields.items()
            for mark in field.metadata
            if isinstance(mark, RequiredOn) and not getattr(self, name)
        ]
        if not self.bigquery_dataset_prefix and self.environment != "production":
            wrong.append(
                f"{self.variable('bigquery_dataset_prefix')} is not set: in the environment {self.environment!r} it "
                "keeps your datasets apart from production's. Set it, e.g. to dev_ada_, or set "
                "BRAZE_PLATFORM_ENVIRONMENT=production."
            )
        if wrong:
            raise SettingsError("\n".join(wrong))

    def replace(self, **changes: object) -> Settings:
        """A copy with some fields changed."""
        return self.model_copy(update=changes)

    @classmethod
    def variable(cls, name: str) -> str:
        """The environment variable that a field is read from."""
        alias = cls.model_fields[name].validation_alias
        return alias if isinstance(alias, str) else f"{cls.model_config['env_prefix']}{name.upper()}"

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the environment; raise `SettingsError` naming every variable that is wrong, why, and the remedy.

        Blanks around a value do not count, and an empty value is none.
        """
        env = os.environ if environ is None else environ
        fields = {cls.variable(name): field for name, field in cls.model_fields.items()}
        texts = {name: Text(env[name].strip()) for name in fields if env.get(name, "").strip()}
        source = EnvSettingsSource(cls, case_sensitive=False)
        source.env_vars = {name.lower(): text for name, text in texts.items()}
        read, wrong = cls(), []
        try:
            read = cls(**source())
        except ValidationError as errors:
            for error in errors.errors():
                name = str(error["loc"][0])
                name = cls.variable(name) if name in cls.model_fields else name
                quoted = _quoted(texts.get(name, "")) if fields[name].repr else ""
                wrong.append(f"{name}{quoted} {error.get('ctx', {}).get('error', error['msg'])}.")
        near = values.misspelt(
            (name for name in env if name.upper().startswith("BRAZE_PLATFORM_")),
            [*fields, *_OTHER_VARIABLES],
        )
        near |= {name: _RENAMED[name] for name in env if name in _RENAMED}
        wrong += [f"{name} is not a setting; did you mean {meant}?" for name, meant in near.items()]
        if texts.get("BRAZE_PLATFORM_TARGET", "local").lower() == "local" and lacks_local_extra():
            wrong.append(
                f"BRAZE_PLATFORM_TARGET=local needs DuckDB and the sandbox; {INSTALL_LOCAL}, or set "
                "BRAZE_PLATFORM_TARGET=bigquery."
            )
        if wrong:
            raise SettingsError("\n".join(wrong))
        return read

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *_: PydanticBaseSettingsSource,
        **__: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`Settings(...)` reads no environment: `from_environment` does."""
        return (init_settings,)

    def as_environment(self) -> dict[str, str]:
        """The variables that make another process read these same settings (with the key: do not log it)."""
        texts = {
            self.variable(name): "" if value is None else str(value)
            for name, value in self.model_dump().items()
        }
        # The clients of Google take an empty one for a host, so these are set only where they say something.
        return {name: text for name, text in texts.items() if text or not name.endswith("_EMULATOR_HOST")}


def _quoted(raw: str) -> str:
    """A value in a message; never a URL that may hold a password, and of others no more than the host."""
    if not raw or "@" in raw:
        return ""
    host = re.match(r"https?://[^/?#]*", raw, re.IGNORECASE)
    if host and raw[host.end() :].strip("/"):
        raw = f"{host[0]}..."
    return f"={raw}" if raw.removeprefix("-").isalnum() else f"={raw!r}"
