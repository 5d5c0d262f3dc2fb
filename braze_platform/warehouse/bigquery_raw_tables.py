"""Raw tables in BigQuery: files are loaded by load jobs into staging tables, then one script replaces the hours.

A load job does not tell which file a row came from (`_FILE_NAME` exists for external tables only), so each file has a
job and a staging table of its own. Load jobs cost nothing, run side by side, and name the file they fail on; a project
may run 100,000 a day (https://cloud.google.com/bigquery/quotas#load_jobs).

Both are named after the file's key and generation, which stand for its content. A run that is repeated, or two that
run at once, find the job and wait for it instead of loading the file again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count

import pyarrow as pa
from google.cloud import bigquery

from braze_platform.warehouse.avro_staging import SchemaNotStageable, staging_columns
from braze_platform.warehouse.bigquery import STAGING, BigQuerySession
from braze_platform.warehouse.bigquery_jobs import REQUEST_SECONDS, asking, is_about_data
from braze_platform.warehouse.bigquery_values import relation, schema_field
from braze_platform.warehouse.interface import RelationGone, StatementFailed
from braze_platform.warehouse.raw_tables import (
    DESCRIPTION,
    PROVENANCE,
    SCHEMA,
    FileGroup,
    FilesUnreadable,
    Placement,
    SourceFile,
    marker_of,
)
from braze_platform.warehouse.sql import BigQuerySql
from braze_platform.warehouse.tables import Column

_SQL = BigQuerySql()
#: Load jobs and table requests that run side by side.
_AT_ONCE = 10
#: Staging tables in one statement; a query may name 1,000 (https://cloud.google.com/bigquery/quotas#query_jobs).
_FILES_PER_STATEMENT = 250


class BigQueryRawTables:
    """See `raw_tables.RawTables`."""

    #: BigQuery's reader fails on a file that ends inside a block.
    notices_missing_rows = True
    #: A transaction is one script, which may have a million characters
    #: (https://cloud.google.com/bigquery/quotas#query_jobs); a file takes about 500 of them.
    files_at_once = 1_000

    def __init__(self, session: BigQuerySession) -> None:
        self._session = session
        self._sql = session.sql

    def ensure_tables(
        self, tables: Mapping[str, Sequence[Column]], at_hand: Collection[str] | None = None
    ) -> None:
        """See `RawTables.ensure_tables`."""
        session = self._session
        session.create_schema(SCHEMA, DESCRIPTION)
        existing = set(session.table_names(SCHEMA))

        def ensure(table: str) -> None:
            columns = tables[table]
            if table not in existing:
                self._create(table, columns)
                return
            # By tables.get, which is free and answers at once; INFORMATION_SCHEMA is a query with its price and wait.
            with asking(f"looking at {SCHEMA}.{table}"):
                found = session.client.get_table(f"{session.dataset_id(SCHEMA)}.{table}")
            names = {column.name.lower() for column in found.schema}
            self._add(table, [column for column in columns if column.name.lower() not in names])

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            looked_at = tables if at_hand is None else (tables.keys() - existing) | (tables.keys() & at_hand)
            list(pool.map(ensure, looked_at))

    def ensure_table(self, table: str) -> None:
        """See `RawTables.ensure_table`."""
        self._session.create_schema(SCHEMA, DESCRIPTION)
        self._create(table, [])

    def data_columns(self, table: str) -> dict[str, str]:
        """See `RawTables.data_columns`."""
        found = self._session.columns(SCHEMA, table)
        return {name: self._sql.neutral_type(kind) for name, kind in found.items() if name not in PROVENANCE}

    @contextmanager
    def staged(
        self, table: str, event_type: str, groups: Sequence[FileGroup], new_columns: Mapping[str, str]
    ) -> Iterator[LoadedFiles]:
        """See `RawTables.staged`."""
        work = [(file, group) for group in groups for file in group.files]
        names = [staging_name(file.uri, file.generation) for file, group in work]
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                outcomes = list(pool.map(lambda item: self._load(*item), work))
            unreadable = {
                file.key: outcome
                for (file, _), outcome in zip(work, outcomes, strict=True)
                if isinstance(outcome, str)
            }
            if unreadable:
                raise FilesUnreadable(unreadable)
            rows = {file.key: int(outcome) for (file, _), outcome in zip(work, outcomes, strict=True)}
            # Before the transaction, inside of which BigQuery alters no table.
            self._add(table, [Column(name, kind, "") for name, kind in new_columns.items()])
            yield LoadedFiles(self._session, table, groups, rows)
        except FilesUnreadable as found:
            # The other files' tables stay: the load that follows without these files takes them up.
            bad = [name for (file, _), name in zip(work, names, strict=True) if file.key in found.reasons]
            self._drop(bad)
            raise
        except BaseException:
            self._drop(names)
            raise
        self._drop(names)

    def sweep(self, files: Iterable[tuple[str, str]]) -> None:
        """See `RawTables.sweep`."""
        left = self._session.staging_tables("load_")
        if left:
            self._drop([name for uri, generation in files if (name := staging_name(uri, generation)) in left])

    def _drop(self, names: Sequence[str]) -> None:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._session.drop_staging, names))

    def _load(self, file: SourceFile, group: FileGroup) -> int | str:
        """Load one file into its staging table: the rows it gave, or why it cannot be read."""
        try:
            columns = _staged(group, file)
        except SchemaNotStageable as refused:
            return str(refused)
        jobs = self._session.jobs
        name = staging_name(file.uri, file.generation)
        for attempt in count(1):
            job_id = f"braze_{name}_{attempt}"
            found = jobs.existing(job_id)
            if found is not None and (found.error_result or not self._is_there(name)):
                continue  # it failed, or its table was used and dropped: this is a new load of the file
            table = self._session.staging_table(name, columns)
            try:
                job = jobs.run(lambda name, table=table: self._submit(file, table, name), job_id)  # type: ignore[misc]
            except StatementFailed as error:
                if is_about_data(error):
                    return f"the warehouse cannot read it: {error}"
                raise
            if not isinstance(job, bigquery.LoadJob) or job.output_rows is None:
                raise StatementFailed(f"{job_id} is not a load job; its id belongs to something else.")
            rows = int(job.output_rows)
            if rows == (file.row_count or rows) and rows > 0:
                return rows
            return f"it holds {file.row_count or 'at least 1'} records, but {rows} rows came out of it"
        raise AssertionError("unreachable")

    def _submit(self, file: SourceFile, table: bigquery.Table, job_id: str) -> bigquery.LoadJob:
        config = bigquery.LoadJobConfig(
            source_format="AVRO",
            write_disposition="WRITE_TRUNCATE",
            schema=table.schema,
            labels=dict(self._session.options.labels),
        )
        seconds = REQUEST_SECONDS
        if file.copy is not None:
            with file.copy.open("rb") as copy:
                return self._session.client.load_table_from_file(
                    copy, table, job_id=job_id, job_config=config, num_retries=0, timeout=seconds
                )
        return self._session.client.load_table_from_uri(
            file.uri,
            table,
            job_id=job_id,
            job_config=config,
            retry=None,  # type: ignore[arg-type]
            timeout=seconds,
        )

    def _is_there(self, name: str) -> bool:
        try:
            with asking(f"looking at the staging table {name}"):
                self._session.client.get_table(f"{self._session.dataset_id(STAGING)}.{name}")
        except RelationGone:
            return False
        return True

    def _create(self, name: str, columns: Sequence[Column]) -> None:
        provenance = [Column(column, kind, text) for column, (kind, text) in PROVENANCE.items()]
        options = self._session.options
        table = bigquery.Table(
            f"{self._session.dataset_id(SCHEMA)}.{name}",
            schema=[
                schema_field(column, self._sql.type(column.type), options.personal_policy_tag)
                for column in [*columns, *provenance]
            ],
        )
        days = options.raw_partition_expiry_days
        # By the day: a table has at most 10,000 partitions, which hours fill in 14 months and days in 27 years
        # (https://cloud.google.com/bigquery/quotas#partitioned_tables). Replacing an hour reads its day's partition.
        table.time_partitioning = bigquery.TimePartitioning(
            type_=bigquery.TimePartitioningType.DAY,
            field="_hour",
            expiration_ms=int(timedelta(days=days).total_seconds() * 1000) if days else None,
        )
        if any(column.name == "user_id" for column in columns):
            table.clustering_fields = ["user_id"]
        table.description = f"Raw Currents events, table {name}: one row for each delivered event."
        table.labels = dict(options.labels)
        with asking(f"making {SCHEMA}.{name}"):
            self._session.client.create_table(table, exists_ok=True)

    def _add(self, table: str, columns: Sequence[Column]) -> None:
        if not columns:
            return
        name = self._sql.table(SCHEMA, table)
        self._session.execute(
            ";\n".join(
                f"alter table {name} add column if not exists {self._sql.quoted(column.name)} "
                + self._sql.type(column.type)
                + (
                    f" options(description={self._sql.literal(column.description)})"
                    if column.description
                    else ""
                )
                for column in columns
            )
        )


@dataclass(frozen=True)
class LoadedFiles:
    """See `raw_tables.StagedFiles`: files in staging tables, with the rows that each load job reported."""

    session: BigQuerySession
    table: str
    groups: Sequence[FileGroup]
    rows: Mapping[str, int]

    def replace(self, event_type: str, hours: Sequence[datetime], loaded_at: datetime) -> Mapping[str, int]:
        """See `StagedFiles.replace`."""
        sql = self.session.sql
        self.session.execute(
            f"delete from {sql.table(SCHEMA, self.table)} where {sql.among('_hour', 'hours')} "
            "and strpos(concat('/', _file), $marker) > 0",
            {"hours": list(hours), "marker": marker_of(event_type)},
        )
        for group in self.groups:
            for files in _alike(group):
                for start in range(0, len(files), _FILES_PER_STATEMENT):
                    self._insert(group, files[start : start + _FILES_PER_STATEMENT], loaded_at)
        return self.rows

    def _insert(self, group: FileGroup, files: Sequence[SourceFile], loaded_at: datetime) -> None:
        sql = self.session.sql
        values = [_value(placement, sql.type(placement.type)) for placement in group.placements]
        chosen = ", ".join([*values, "files.hour", "files.key", "files.version", "$loaded_at"])
        names = [sql.quoted(placement.column) for placement in group.placements] + list(PROVENANCE)
        tables = [sql.table(STAGING, staging_name(file.uri, file.generation)) for file in files]
        staged = " union all ".join(
            f"select {number} as _staged_file, * from {table}" for number, table in enumerate(tables)
        )
        described = relation(
            pa.table(
                {
                    "number": pa.array(range(len(files)), pa.int64()),
                    "key": pa.array([file.key for file in files], pa.string()),
                    "hour": pa.array([file.hour for file in files], pa.timestamp("us")),
                    "version": pa.array([file.version for file in files], pa.string()),
                }
            )
        )
        self.session.execute(
            f"insert into {sql.table(SCHEMA, self.table)} ({', '.join(names)}) select {chosen} "
            f"from ({staged}) as _event join {described} as files on _event._staged_file = files.number",
            {"loaded_at": loaded_at},
        )


def _alike(group: FileGroup) -> Iterable[list[SourceFile]]:
    """The files whose staging tables have the same columns in the same order, so that `*` need not name them.

    Files of one schema in both key layouts have other columns beside it (see `staging_columns`).
    """
    found: dict[tuple[str, ...], list[SourceFile]] = {}
    for file in group.files:
        columns = tuple(column.name for column in _staged(group, file))
        found.setdefault(columns, []).append(file)
    return found.values()


def _staged(group: FileGroup, file: SourceFile) -> list[bigquery.SchemaField]:
    """The columns of a file's staging table. A copy has no folders in its path."""
    return staging_columns(group.avro_schema, "" if file.copy is not None else file.uri)


def staging_name(uri: str, generation: str) -> str:
    """The staging table of a file, and the middle of its job's id: the same for the same content."""
    return f"load_{hashlib.sha256(f'{uri}#{generation}'.encode()).hexdigest()[:40]}"


def _value(placement: Placement, to: str) -> str:
    field = f"_event.{_SQL.quoted(placement.field)}"
    if to.startswith("ARRAY"):
        return _SQL.contact_hashes(field) if placement.conversion == "hash" else field
    if placement.conversion == "hash":
        # Bytes that are no UTF-8 are no text.
        other = f"if({field} is null, null, to_json_string({field}))"
        return _SQL.contact_hash(f"coalesce(safe_cast({field} as string), {other})")
    return f"cast({field} as {to})"
