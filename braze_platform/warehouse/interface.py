"""The small interface behind which SQL runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol, TypeAlias

import pyarrow as pa

Dialect = Literal["duckdb", "bigquery"]
Row: TypeAlias = tuple[Any, ...]


class WarehouseError(RuntimeError):
    """The warehouse could not do what it was asked; the message names the statement or the place."""


class WarehouseBusy(WarehouseError):
    """Another process kept the warehouse locked for longer than we were willing to wait."""


class Session(Protocol):
    """One open connection. Parameters are named: `$name` in the SQL, `{"name": value}` beside it."""

    @property
    def dialect(self) -> Dialect:
        """Which SQL this session speaks."""
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

    def attached(self, name: str, data: pa.Table) -> AbstractContextManager[None]:
        """Make an Arrow table readable in SQL under `name` while the context lasts."""
        ...

    def transaction(self) -> AbstractContextManager[None]:
        """All statements inside take effect together, or none of them does."""
        ...

    def columns(self, schema: str, table: str) -> dict[str, str]:
        """Column names and types of a table in order; empty when there is no such table."""
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


def quoted(name: str) -> str:
    """A DuckDB identifier in double quotes, safe against any content."""
    return '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    """Quoted identifiers with commas between them."""
    return ", ".join(quoted(name) for name in names)
