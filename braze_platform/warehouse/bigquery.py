"""BigQuery as the warehouse: statements are jobs, a transaction is one script, and no state is kept between them."""

from __future__ import annotations

import io
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core import exceptions
from google.cloud import bigquery

from braze_platform.warehouse.bigquery_jobs import REQUEST_SECONDS, Jobs, asking, first_line
from braze_platform.warehouse.bigquery_values import (
    is_plain_type,
    received,
    relation,
    rendered,
    schema_field,
    schema_of,
    standard_type,
    with_zone,
    without_zone,
)
from braze_platform.warehouse.dataset_names import TEMPORARY, DatasetNames
from braze_platform.warehouse.interface import RelationGone, Row, WarehouseError
from braze_platform.warehouse.sql import BigQuerySql, Dialect
from braze_platform.warehouse.tables import Table

#: The dataset of tables that live for minutes; its default expiration removes what a crash leaves.
STAGING = TEMPORARY
STAGING_LIVES = timedelta(days=1)
#: An attached table up to this many characters of SQL and rows travels inside the statement, which may have a million
#: (https://cloud.google.com/bigquery/quotas#query_jobs).
_INLINE_CHARACTERS = 50_000
_INLINE_ROWS = 200


@dataclass(frozen=True)
class BigQueryOptions:
    """How datasets and tables are made."""

    location: str = "EU"
    labels: Mapping[str, str] = field(default_factory=dict)
    datasets: DatasetNames = field(default_factory=DatasetNames)
    #: Days after which a day of a raw table is dropped; 0 keeps all.
    raw_partition_expiry_days: int = 0
    #: Policy tag of columns that hold personal data; empty: none.
    personal_policy_tag: str = ""


class BigQuerySession:
    """One client; see `interface.Session`. Fetched times are UTC without a zone, as on DuckDB."""

    dialect: Dialect = "bigquery"
    #: All of Google's errors are turned into `WarehouseError`s where a job is run or the API is asked.
    driver_errors: tuple[type[Exception], ...] = ()

    def __init__(self, client: bigquery.Client, options: BigQueryOptions) -> None:
        self.client = client
        self.options = options
        self.sql = BigQuerySql(options.datasets)
        self.jobs = Jobs(client)
        self._local = threading.local()
        self._has_staging = False

    def create_schema(self, name: str, description: str) -> None:
        """Make a dataset where it is missing; leave one that is there as it is."""
        self._create_dataset(name, description, None)

    def make_tables(self, tables: Sequence[Table]) -> None:
        """By the API, one call each, which describes the columns too; by SQL where types have parts."""
        for table in tables:
            kinds = {column: self.sql.type(column.type.upper()) for column in table.columns}
            if all(map(is_plain_type, kinds.values())):
                self._make_table(table, [schema_field(column, kind) for column, kind in kinds.items()])
            else:
                self.execute(self.sql.create_table(table))

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a statement; inside a transaction keep it for the end."""
        statement = rendered(sql, parameters)
        gathered: list[str] | None = getattr(self._local, "gathered", None)
        if gathered is None:
            self.jobs.query(statement)
        else:
            gathered.append(statement)

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run a query and return its rows."""
        job = self.jobs.query(rendered(sql, parameters))
        with asking(f"reading what {job.job_id} found"):
            return [tuple(received(value) for value in row.values()) for row in job.result()]

    def fetch_batches(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, rows: int = 50_000
    ) -> Iterator[pa.RecordBatch]:
        """Stream a result page by page; BigQuery cuts a page at 10 MB even where it has fewer rows."""
        job = self.jobs.query(rendered(sql, parameters))
        with asking(f"reading what {job.job_id} found"):
            batches = job.result(page_size=rows).to_arrow_iterable(bqstorage_client=None)
        while True:
            with asking(f"reading what {job.job_id} found"):
                batch = next(batches, None)
            if batch is None:
                return
            if batch.num_rows:
                yield without_zone(batch)

    @contextmanager
    def attached(self, name: str, data: pa.Table) -> Iterator[str]:
        """Write a small table into the statement, load a large one into a staging table."""
        if data.num_rows == 0:
            columns = ", ".join(
                f"cast(null as {standard_type(column)}) as {self.sql.quoted(column.name)}"
                if column.mode != "REPEATED"
                else f"cast([] as {standard_type(column)}) as {self.sql.quoted(column.name)}"
                for column in schema_of(data)
            )
            yield f"(select {columns} limit 0)"
            return
        if data.num_rows <= _INLINE_ROWS and data.nbytes < _INLINE_CHARACTERS:
            written = relation(data)
            if len(written) <= _INLINE_CHARACTERS:
                yield written
                return
        table = self.staging_table(f"attached_{name.strip('_')}_{uuid.uuid4().hex}", schema_of(data))
        try:
            parquet = io.BytesIO()
            pq.write_table(with_zone(data), parquet)

            def submit(job_id: str) -> bigquery.LoadJob:
                parquet.seek(0)
                return self.client.load_table_from_file(
                    parquet,
                    table,
                    job_id=job_id,
                    job_config=bigquery.LoadJobConfig(
                        source_format="PARQUET", write_disposition="WRITE_TRUNCATE", schema=table.schema
                    ),
                    num_retries=0,
                    timeout=REQUEST_SECONDS,
                )

            self.jobs.run(submit, f"braze_{table.table_id}")
            yield self.sql.table(STAGING, table.table_id)
        finally:
            if getattr(self._local, "gathered", None) is None:
                self.drop_staging(table.table_id)
            else:  # the statements that read it run when the transaction ends
                self._local.to_drop.append(table.table_id)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Gather the statements and run them as one transaction at the end, or none when an exception passes.

        One script instead of an open session: a process that dies leaves no transaction that would hold others up.
        """
        if getattr(self._local, "gathered", None) is not None:
            raise WarehouseError("A transaction inside a transaction; BigQuery has no such thing.")
        to_drop: list[str] = []
        self._local.gathered, self._local.to_drop = [], to_drop
        try:
            try:
                yield
                statements: list[str] = self._local.gathered
            finally:
                self._local.gathered = None
            if statements:
                script = ";\n".join(["begin transaction", *statements, "commit transaction"])
                self.jobs.query(f"{script};", f"braze_transaction_{uuid.uuid4().hex}")
        finally:
            for table in to_drop:
                self.drop_staging(table)

    def _make_table(self, table: Table, fields: Sequence[bigquery.SchemaField]) -> None:
        made = bigquery.Table(f"{self.dataset_id(table.dataset.name)}.{table.name}", schema=fields)
        made.description = table.description
        made.labels = dict(self.options.labels)
        if table.day_of:
            # So that a condition on a time reads only the days it names; clustered inside.
            made.time_partitioning = bigquery.TimePartitioning(field=table.day_of)
        if table.cluster_by:
            made.clustering_fields = [table.cluster_by]
        if table.expires_after:
            made.expires = datetime.now(timezone.utc) + timedelta(hours=table.expires_after)
        with asking(f"making {table.full_name}"):
            self.client.create_table(made, exists_ok=True, timeout=REQUEST_SECONDS)

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Names and types of a table's columns, from a dry run, which reads and costs nothing."""
        try:
            with asking(f"looking at {schema}.{table}"):
                job = self.client.query(
                    f"select * from {self.sql.table(schema, table)}",
                    job_config=bigquery.QueryJobConfig(dry_run=True, use_query_cache=False),
                    timeout=REQUEST_SECONDS,
                )
        except RelationGone:
            return {}
        return {column.name: standard_type(column) for column in job.schema or []}

    def table_names(self, schema: str) -> list[str]:
        """See `Session.table_names`."""
        return sorted(table.table_id for table in self._listed(schema) if table.table_type == "TABLE")

    def dataset_id(self, schema: str) -> str:
        """A dataset with its project."""
        return f"{self.client.project}.{self.sql.dataset(schema)}"

    def staging_table(self, name: str, schema: list[bigquery.SchemaField]) -> bigquery.Table:
        """Make a staging table that expires by itself; one that is there already is taken.

        It is described by what was asked for, never read again: who shares it may drop it at any moment, and a load
        job makes it again.
        """
        if not self._has_staging:
            self._create_dataset(
                STAGING,
                "Tables that the platform makes and drops within minutes; what a crash leaves expires.",
                STAGING_LIVES,
            )
            self._has_staging = True
        table = bigquery.Table(f"{self.dataset_id(STAGING)}.{name}", schema=schema)
        table.expires = datetime.now(timezone.utc) + STAGING_LIVES
        table.labels = dict(self.options.labels)
        with asking(f"making the staging table {name}"), suppress(exceptions.Conflict):
            self.client.create_table(table, timeout=REQUEST_SECONDS)
        return table

    def staging_tables(self, prefix: str) -> set[str]:
        """The staging tables there are whose names begin so."""
        return {table.table_id for table in self._listed(STAGING) if table.table_id.startswith(prefix)}

    def drop_staging(self, name: str) -> None:
        """Drop a staging table; one that is gone is not an error."""
        with asking(f"dropping the staging table {name}"):
            self.client.delete_table(f"{self.dataset_id(STAGING)}.{name}", not_found_ok=True)

    def _listed(self, schema: str) -> list[bigquery.table.TableListItem]:
        try:
            with asking(f"listing the tables of {schema}"):
                return list(self.client.list_tables(self.dataset_id(schema)))
        except RelationGone:
            return []

    def _create_dataset(self, name: str, description: str, expiration: timedelta | None) -> None:
        dataset = bigquery.Dataset(self.dataset_id(name))
        dataset.location = self.options.location
        dataset.description = description
        dataset.labels = dict(self.options.labels)
        if expiration is not None:
            dataset.default_table_expiration_ms = int(expiration.total_seconds() * 1000)
        try:
            with asking(f"looking at the dataset {dataset.dataset_id}"):
                self.client.get_dataset(dataset.reference)
            return
        except RelationGone:
            pass
        with asking(f"making the dataset {dataset.dataset_id}"):
            try:
                self.client.create_dataset(dataset, exists_ok=True)
            except exceptions.Forbidden as error:
                raise WarehouseError(
                    f"The dataset {dataset.dataset_id} is missing and may not be made: grant "
                    f"roles/bigquery.dataOwner on it, or roles/bigquery.user on the project "
                    f"{dataset.project}. {first_line(error)}"
                ) from error


class BigQueryWarehouse:
    """The datasets of one Google Cloud project; any number of processes may have sessions at once."""

    dialect: Dialect = "bigquery"

    def __init__(self, client: Callable[[], bigquery.Client], options: BigQueryOptions) -> None:
        self._client = client
        self.options = options

    @contextmanager
    def session(self) -> Iterator[BigQuerySession]:
        """A client of its own, closed when the context ends."""
        client = self._client()
        try:
            yield BigQuerySession(client, self.options)
        finally:
            client.close()  # type: ignore[no-untyped-call]

    def rewrite(self) -> None:
        """Nothing that is ours to do: time travel ends by itself."""
