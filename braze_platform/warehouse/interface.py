"""The small interface behind which SQL runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pyarrow as pa

from braze_platform.warehouse.sql import Dialect, Sql

if TYPE_CHECKING:
    from braze_platform.warehouse.tables import Table

Row: TypeAlias = tuple[Any, ...]

#: How long anything of the platform waits for a warehouse that another process has open before it gives up, in seconds.
PATIENCE_SECONDS = 300.0


class WarehouseError(RuntimeError):
    """The warehouse could not do what it was asked; the message names the statement or the place."""


class StatementFailed(WarehouseError):
    """The warehouse refused a statement or a job for good."""


class RelationGone(StatementFailed):
    """A table that a statement names is not there, or is there no longer."""


class StatementConflict(WarehouseError):
    """Another connection changed the same rows or tables at the same moment; the statement had no effect."""


class WarehouseBusy(WarehouseError):
    """Another process kept the warehouse locked for longer than we were willing to wait."""


class WarehouseUnusable(WarehouseError):
    """The DuckDB file is missing although it was there, or it is damaged; the message names it and the remedies."""


class Session(Protocol):
    """One open connection. Parameters are named: `$name` in the SQL, `{"name": value}` beside it."""

    @property
    def dialect(self) -> Dialect:
        """Which SQL this session speaks."""
        ...

    @property
    def sql(self) -> Sql:
        """The words of that SQL, and the names of the platform's tables in it."""
        ...

    @property
    def driver_errors(self) -> tuple[type[Exception], ...]:
        """The database driver's own errors that come through unchanged, beside `WarehouseError`s."""
        ...

    def create_schema(self, name: str, description: str) -> None:
        """Make a schema (BigQuery: a dataset with the installation's location and labels) that is missing."""
        ...

    def make_tables(self, tables: Sequence[Table]) -> None:
        """Make tables that are missing, with their descriptions, in schemas that are there."""
        ...

    def execute(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run one statement for its effect."""
        ...

    def fetch(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[Row]:
        """Run one query and return all of its rows (small results only)."""
        ...

    def fetch_batches(
        self, sql: str, parameters: Mapping[str, object] | None = None, *, rows: int = 50_000
    ) -> Iterator[pa.RecordBatch]:
        """Run one query and stream its result in Arrow batches of at most `rows` rows."""
        ...

    def attached(self, name: str, data: pa.Table) -> AbstractContextManager[str]:
        """Make an Arrow table readable in SQL while the context lasts; gives the relation to write after `from`.

        Where it needs a name it is made from `name`. Give the relation an alias.
        """
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All statements inside take effect together, or none of them does.

        BigQuery runs them as one script when the context ends: what is fetched inside was read before them, and
        tables are neither made nor altered inside.
        """
        ...

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Column names and types of a table in order; empty when there is no such table."""
        ...

    def table_names(self, schema: str) -> list[str]:
        """The tables of a schema without its views, in order; none when there is no such schema."""
        ...


class Warehouse(Protocol):
    """Opens sessions. On DuckDB a session owns the file: keep it short, and closed while dbt runs."""

    @property
    def dialect(self) -> Dialect:
        """Which SQL this warehouse speaks."""
        ...

    def session(self) -> AbstractContextManager[Session]:
        """An open connection, closed when the context ends; raises `WarehouseBusy` if it stays locked."""
        ...

    def rewrite(self) -> None:
        """Leave no byte behind of what was deleted or overwritten, where the warehouse lets us; no session may be open.

        On DuckDB the file is rewritten; BigQuery keeps what was for as long as its time travel is set to.
        """
        ...
