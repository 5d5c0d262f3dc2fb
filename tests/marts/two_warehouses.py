"""One story, built by dbt on DuckDB and on the emulated BigQuery: first as a whole, then by the hours that came later.

What the builds made, and every statement that BigQuery was sent, is written down, so that tests of any process can
look at it after the emulator has gone.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from dbt_runs import run_dbt
from google_emulators import GoogleEmulators

from braze_platform.currents.file_registry import ensure_file_registry
from braze_platform.marts.dbt_environment import project_variables
from braze_platform.marts.rebuild_window import RebuildWindow, hour_ranges, models_of
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.targets import warehouse_of

TARGETS = ("local", "bigquery")
BUILDS = ("whole", "incremental")
#: Events of these hours and later come after the first build, ...
LATER = datetime(2026, 11, 12)
#: ... and so do all events of this type: hours of the past get more events.
LATE_TABLE = "users_messages_email_click"

#: Digits after the point to which numbers are compared: the warehouses add up in different orders.
_DIGITS = 9
#: More than the emulator has run.
_MAX_JOBS = 100_000


@dataclass(frozen=True)
class Statement:
    """A statement that dbt sent to BigQuery for a node of its manifest (none: a hook)."""

    node: str
    sql: str


@dataclass(frozen=True)
class TwoBuilds:
    """What was written down, by target ("local", "bigquery") and build ("whole", "incremental")."""

    folder: Path

    def manifest(self, target: str) -> Mapping[str, Any]:
        """dbt's manifest of the target."""
        found: Mapping[str, Any] = json.loads((self.folder / f"{target}-manifest.json").read_text())
        return found

    def failures(self, target: str, build: str) -> list[str]:
        """What did not succeed, as dbt tells it; empty when everything did."""
        return list(self._read(target, build)["failures"])

    def table(self, target: str, build: str, model: str) -> list[str] | None:
        """The model's rows as sorted texts; none when the model was not built."""
        found: list[str] | None = self._read(target, build)["tables"].get(model)
        return found

    def unit_tests(self, target: str) -> Mapping[str, str]:
        """What dbt says of each unit test, by its unique id."""
        found: Mapping[str, str] = json.loads((self.folder / f"{target}-unit_tests.json").read_text())
        return found

    def statements(self, build: str) -> list[Statement]:
        """All that BigQuery was sent, in order."""
        return [Statement(*pair) for pair in self._read("bigquery", build)["statements"]]

    @cached_property
    def _cache(self) -> dict[tuple[str, str], Mapping[str, Any]]:
        return {}

    def _read(self, target: str, build: str) -> Mapping[str, Any]:
        if (target, build) not in self._cache:
            text = (self.folder / f"{target}-{build}.json").read_text(encoding="utf-8")
            self._cache[target, build] = json.loads(text)
        return self._cache[target, build]


def build_on_both(story: Path, emulators: GoogleEmulators, folder: Path) -> None:
    """Build the raw tables of the DuckDB file `story` on both targets, and write down in `folder` what came of it.

    On DuckDB a second warehouse is built from all rows at once.
    """
    raw_tables = _raw_tables(story)
    local, google = (
        Settings(state_dir=folder / "local", duckdb_threads=1),
        emulators.settings(folder / "bigquery"),
    )
    at_once = local.replace(state_dir=folder / "at_once")
    changed, latest = _changed_hours(raw_tables)

    def build(settings: Settings, build: str, brings: Collection[str]) -> None:
        with warehouse_of(settings).session() as session:
            for table in raw_tables:
                for rows in brings:
                    _write(session, table, rows, create=rows == "whole")
            ensure_file_registry(session)
        window = RebuildWindow({}, {}, latest if build == "at_once" else None)
        if build == "incremental":
            variables = project_variables(settings)
            ranges = hour_ranges(changed, timedelta(days=variables["duplicates_look_back_days"]), latest)
            models = models_of(_manifest(settings), variables)
            window = RebuildWindow(
                {name: ranges for name, model in models.items() if model.follows_hours},
                {},
                latest,
                1,
            )
        began = datetime.now(timezone.utc)
        _dbt(settings, "build", "--exclude-resource-type", "unit_test", window=window)
        found = {
            "failures": _failures(settings),
            "tables": tables(settings, _manifest(settings), _built(settings)),
            "statements": _statements(emulators, began) if settings is google else [],
        }
        (folder / f"{settings.target}-{build}.json").write_text(json.dumps(found), encoding="utf-8")

    def builds(settings: Settings) -> None:
        settings.state_dir.mkdir()
        if settings is at_once:
            build(settings, "at_once", BUILDS)
            return
        for name in BUILDS:
            build(settings, name, (name,))
        _dbt(settings, "test", "--select", "test_type:unit")
        (folder / f"{settings.target}-unit_tests.json").write_text(
            json.dumps(
                {
                    result["unique_id"]: f"{result['status']} {result['message'] or ''}".strip()
                    for result in _results(settings)
                    if result["unique_id"] in _manifest(settings)["unit_tests"]
                }
            ),
            encoding="utf-8",
        )
        (folder / f"{settings.target}-manifest.json").write_text(
            json.dumps(_manifest(settings)), encoding="utf-8"
        )

    with ThreadPoolExecutor(2) as pool:
        [*pool.map(builds, (google, local, at_once))]
    emulators.forget(google)


@dataclass(frozen=True)
class _RawTable:
    schema: str
    name: str
    columns: Mapping[str, str]
    rows: Mapping[str, pa.Table]


def _raw_tables(story: Path) -> list[_RawTable]:
    """The story's tables, with the rows that each build brings."""
    found = []
    with duckdb.connect(str(story), read_only=True) as connection:
        names = connection.execute(
            "select table_schema, table_name from information_schema.tables order by all"
        ).fetchall()
        for schema, name in names:
            late = "false"
            if schema == "currents_raw":
                late = "true" if name == LATE_TABLE else f"_hour >= timestamp '{LATER}'"
            read = f'select * from {schema}."{name}"'
            described = connection.execute(f"describe {read}").fetchall()
            found.append(
                _RawTable(
                    schema,
                    name,
                    {column: kind for column, kind, *_ in described},
                    {
                        "whole": connection.execute(f"{read} where not ({late})").to_arrow_table(),
                        "incremental": connection.execute(f"{read} where {late}").to_arrow_table(),
                    },
                )
            )
    return found


def _changed_hours(raw_tables: Iterable[_RawTable]) -> tuple[set[datetime], datetime]:
    """The hours that the second build brings events of, and the latest hour of all."""
    hours: dict[str, set[datetime]] = {build: set() for build in BUILDS}
    for table in raw_tables:
        for build, rows in table.rows.items():
            if "_hour" in table.columns:
                hours[build].update(rows.column("_hour").to_pylist())
    return hours["incremental"], max(hours["whole"] | hours["incremental"])


def _write(session: Session, table: _RawTable, build: str, *, create: bool) -> None:
    name = session.sql.table(table.schema, table.name)
    if create:
        session.create_schema(table.schema, "Written by a test.")
        columns = ", ".join(
            f"{session.sql.quoted(column)} {session.sql.type(kind)}" for column, kind in table.columns.items()
        )
        session.execute(f"create table {name} ({columns})")
    rows = table.rows[build]
    if rows.num_rows:
        with session.attached("rows_of_the_story", rows) as attached:
            session.execute(f"insert into {name} select * from {attached} as rows_of_the_story")


def _dbt(settings: Settings, *command: str, window: RebuildWindow | None = None) -> None:
    (settings.dbt_target_dir / "run_results.json").unlink(missing_ok=True)
    result = run_dbt(settings, "--quiet", *command, window=window)
    if not (settings.dbt_target_dir / "run_results.json").is_file():
        raise RuntimeError(
            f"dbt {command[0]} did nothing on {settings.target}:\n{result.stdout}{result.stderr}"
        )


def _manifest(settings: Settings) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(
        (settings.dbt_target_dir / "manifest.json").read_text(encoding="utf-8")
    )
    return found


def _results(settings: Settings) -> list[Mapping[str, Any]]:
    text = (settings.dbt_target_dir / "run_results.json").read_text(encoding="utf-8")
    return list(json.loads(text)["results"])


def _failures(settings: Settings) -> list[str]:
    return [
        f"{result['unique_id']}: {result['status']}: {result['message']}"
        for result in _results(settings)
        # exposures are listed, there is nothing to do for them
        if result["status"] not in ("success", "pass", "no-op")
    ]


def _built(settings: Settings) -> set[str]:
    return {result["unique_id"] for result in _results(settings) if result["status"] == "success"}


def tables(settings: Settings, manifest: Mapping[str, Any], built: Collection[str]) -> dict[str, list[str]]:
    """The rows of each model that was built, as sorted texts that are the same on both warehouses."""
    found: dict[str, list[str]] = {}
    with warehouse_of(settings).session() as session:
        for unique_id, node in manifest["nodes"].items():
            if node["resource_type"] == "model" and unique_id in built:
                rows = session.fetch(f"select * from {node['relation_name']}")
                found[node["name"]] = sorted(
                    json.dumps([_comparable(value) for value in row]) for row in rows
                )
    return found


def _comparable(value: object) -> object:
    if isinstance(value, datetime):
        return (
            value.astimezone(timezone.utc).replace(tzinfo=None).isoformat()
            if value.tzinfo
            else value.isoformat()
        )
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        # 0.0 and -0.0 are equal, and so are 1.0 and 1
        return round(value, _DIGITS) + 0.0
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_comparable(item) for item in value]
    return value


def _statements(emulators: GoogleEmulators, since: datetime) -> list[tuple[str, str]]:
    # the emulator gives one page and no token for the next
    jobs = emulators.bigquery().list_jobs(all_users=True, min_creation_time=since, max_results=_MAX_JOBS)
    found = []
    for job in sorted(jobs, key=lambda job: job.created):
        query = getattr(job, "query", "")
        if job.created >= since and query.startswith("/* "):
            comment, _, sql = query.partition("*/")
            found.append((json.loads(comment.removeprefix("/* ")).get("node_id", ""), sql))
    return found
