"""The embedded warehouse: one DuckDB file, one process at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import cast

import duckdb
import pyarrow as pa

from braze_platform.settings import Settings
from braze_platform.state_folder import make_private
from braze_platform.warehouse.duckdb_lock import FileLocked, connect_waiting
from braze_platform.warehouse.interface import (
    PATIENCE_SECONDS,
    Row,
    StatementConflict,
    WarehouseBusy,
    WarehouseUnusable,
)
from braze_platform.warehouse.lost_file import damaged_message, is_missing, missing_message
from braze_platform.warehouse.sql import Dialect, DuckDBSql
from braze_platform.warehouse.tables import Table

#: What DuckDB says of a block whose checksum is wrong.
_DAMAGED = "Corrupt database file"
#: How DuckDB fails to open a file that it cannot read.
_UNREADABLE = (
    duckdb.IOException,
    duckdb.SerializationException,
    duckdb.InternalException,
    duckdb.FatalException,
)


class DuckDBSession:
    """One connection to the DuckDB file; see `interface.Session`."""

    dialect: Dialect = "duckdb"
    sql = DuckDBSql()
    driver_errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self.connection = connection
        self._attached: dict[str, pa.Table] = {}

    def create_schema(self, name: str, description: str) -> None:
        """Make a schema where it is missing."""
        self.connection.execute(f"create schema if not exists {self.sql.schema(name)}")

    def make_tables(self, tables: Sequence[Table]) -> None:
        """In one transaction: DuckDB writes to disk after each, and each description is a statement of its own."""
        with self.transaction():
            for table in tables:
                self.execute(self.sql.create_table(table))

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement for its effect; raises `StatementConflict` when another connection was first."""
        try:
            self.connection.execute(sql, dict(parameters) if parameters else None)
        except duckdb.TransactionException as error:
            raise StatementConflict(str(error)) from error

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run one query and return all of its rows."""
        return self.connection.execute(sql, dict(parameters) if parameters else None).fetchall()

    def fetch_batches(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, rows: int = 50_000
    ) -> Iterator[pa.RecordBatch]:
        """Stream a result in Arrow batches, on its own cursor so that other statements may run meanwhile."""
        cursor = self.connection.cursor()
        try:
            cursor.execute("set timezone = 'UTC'")
            for name, data in dict(self._attached).items():
                cursor.register(name, data)
            yield from cursor.execute(sql, dict(parameters) if parameters else None).to_arrow_reader(rows)
        finally:
            cursor.close()

    @contextmanager
    def attached(self, name: str, data: pa.Table) -> Iterator[str]:
        """Make an Arrow table readable in SQL under `name` while the context lasts."""
        self.connection.register(name, data)
        self._attached[name] = data
        try:
            yield self.sql.quoted(name)
        finally:
            self._attached.pop(name, None)
            self.connection.unregister(name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end of the context, roll back when it is left by an exception.

        Raises `StatementConflict` when another connection changed the same rows.
        """
        self.connection.begin()
        try:
            yield
        except BaseException:
            self.connection.rollback()
            raise
        try:
            self.connection.commit()
        except duckdb.TransactionException as error:
            raise StatementConflict(str(error)) from error

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Column names and types of a table in order; empty when there is no such table."""
        name = self.sql.table(schema, table)
        try:
            return dict(self.fetch(f"select name, type from pragma_table_info({self.sql.literal(name)})"))
        except duckdb.CatalogException as error:
            missing = (f"name {table} does not exist", f"name {schema}.{table} does not exist")
            if any(said in str(error).replace('"', "") for said in missing):
                return {}
        # a view over what is gone has its columns still; to go through the whole catalogue takes 20 times as long
        return dict(
            self.fetch(
                "select column_name, data_type from duckdb_columns() "
                "where schema_name = $schema and table_name = $table order by column_index",
                {"schema": schema, "table": table},
            )
        )

    def table_names(self, schema: str) -> list[str]:
        """See `Session.table_names`."""
        return [
            name
            for (name,) in self.fetch(
                "select table_name from duckdb_tables() where schema_name = $schema order by table_name",
                {"schema": schema},
            )
        ]


class DuckDBWarehouse:
    """The DuckDB file of the local target.

    DuckDB lets one process open a file at a time (https://duckdb.org/docs/stable/connect/concurrency), so a
    session waits for its turn, up to `patience_seconds`, and gives the file back when its context ends.
    """

    dialect: Dialect = "duckdb"

    def __init__(
        self,
        path: Path,
        *,
        threads: int = 2,
        memory_limit: str = "1GB",
        patience_seconds: float = PATIENCE_SECONDS,
        backups: Path | None = None,
    ) -> None:
        self.path = path
        #: Where backups of the file are: while there is one, a missing file is not made again.
        self.backups = backups
        self.threads = threads
        self.memory_limit = memory_limit
        self.patience_seconds = patience_seconds
        self._turn = threading.RLock()

    @contextmanager
    def session(self) -> Iterator[DuckDBSession]:
        """An open connection; raises `WarehouseBusy` when another process keeps the file too long.

        Raises `WarehouseUnusable` when the file is lost or damaged, also when that shows only where a table is read.
        """
        with self._turn:
            connection = self._connect()
            try:
                connection.execute("set timezone = 'UTC'")
                connection.execute(f"load '{_avro_extension()}'")
                yield DuckDBSession(connection)
            except duckdb.Error as error:
                if _DAMAGED not in str(error):
                    raise
                raise WarehouseUnusable(damaged_message(self.path, self.backups, error)) from error
            finally:
                connection.close()

    def rewrite(self) -> None:
        """Copy all that is there into a new file, which takes the place of the old one while nobody else can open it.

        Neither `vacuum` nor a checkpoint overwrites what was deleted.
        """
        copy = self.path.with_name(f"{self.path.name}.rewritten")
        # Left by a run that was killed meanwhile.
        copy.unlink(missing_ok=True)
        copy.with_name(f"{copy.name}.wal").unlink(missing_ok=True)
        with self.session() as session:
            connection = session.connection
            [(name,)] = connection.execute("select current_database()").fetchall()
            # Rows stay in the order in which whole builds wrote them.
            connection.execute("set preserve_insertion_order = true")
            connection.execute("force checkpoint")
            connection.execute(
                f"attach {session.sql.literal(str(copy))} as rewritten (storage_version 'v1.5.0')"
            )
            connection.execute(f"copy from database {session.sql.quoted(name)} to rewritten")
            connection.execute("detach rewritten")
            copy.replace(self.path)

    def _connect(self) -> duckdb.DuckDBPyConnection:
        if self.backups is not None and is_missing(self.path, self.backups):
            raise WarehouseUnusable(missing_message(self.path, self.backups))
        make_private(self.path.parent)
        config = cast(
            "dict[str, str | bool | int | float | list[str]]",
            {
                "threads": self.threads,
                "memory_limit": self.memory_limit,
                "preserve_insertion_order": False,
                # For new files only. Its one codec for texts takes a fifth less processor time to load than the two of
                # the default format, which DuckDB versions before the pinned one can read, at the same size on disk.
                "storage_compatibility_version": "v1.5.0",
                "autoinstall_known_extensions": False,
                # DuckDB takes a file for unchanged while its size and the second of its last change are the same. An
                # object that is rewritten within a second would give the rows of the one before; see
                # `test_a_file_written_anew_within_a_second_is_read_anew`.
                "enable_external_file_cache": False,
            },
        )
        try:
            return connect_waiting(self.path, config, self.patience_seconds)
        except FileLocked as locked:
            raise WarehouseBusy(str(locked)) from locked
        except _UNREADABLE as error:
            raise WarehouseUnusable(damaged_message(self.path, self.backups, error)) from error


@cache
def _avro_extension() -> Path:
    """The packaged Avro extension, loaded by its path: nothing is copied, nothing downloaded."""
    folder = Path(str(resources.files("duckdb_extension_avro")))
    return next(folder.rglob("avro.duckdb_extension"))


def local_warehouse(settings: Settings, patience_seconds: float = PATIENCE_SECONDS) -> DuckDBWarehouse:
    """The warehouse of the local target."""
    return DuckDBWarehouse(
        settings.duckdb_path,
        threads=settings.duckdb_threads,
        memory_limit=settings.duckdb_memory_limit,
        patience_seconds=patience_seconds,
        backups=settings.backups_dir,
    )
