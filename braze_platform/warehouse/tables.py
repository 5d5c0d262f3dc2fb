"""What a table of the platform's own is: declared once, and made, named and filled by its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import pyarrow as pa

from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.sql import Sql

_ARROW_TYPES: Mapping[str, pa.DataType] = {
    "string": pa.string(),
    "json": pa.string(),
    "boolean": pa.bool_(),
    "bigint": pa.int64(),
    "timestamp": pa.timestamp("us"),
}


@dataclass(frozen=True)
class Column:
    """One column: its name, its type in a word that both warehouses know (or DuckDB's) and what it holds."""

    name: str
    type: str
    description: str
    #: Whether it holds personal data.
    personal: bool = False
    required: bool = False


def text(name: str, description: str, *, personal: bool = False) -> Column:
    """A column of text."""
    return Column(name, "string", description, personal)


def number(name: str, description: str) -> Column:
    """A column of whole numbers."""
    return Column(name, "bigint", description)


def flag(name: str, description: str) -> Column:
    """A column of booleans."""
    return Column(name, "boolean", description)


def time(name: str, description: str) -> Column:
    """A column of timestamps (UTC)."""
    return Column(name, "timestamp", description)


@dataclass(frozen=True)
class Dataset:
    """A schema (BigQuery: dataset) by its logical name."""

    name: str
    description: str

    def table(
        self,
        name: str,
        description: str,
        *columns: Column,
        day_of: str = "",
        cluster_by: str = "",
        since: str = "0.1.0",
        expires_after: int = 0,
    ) -> Table:
        """A table in it."""
        return Table(self, name, description, columns, day_of, cluster_by, since, expires_after)


@dataclass(frozen=True)
class Table:
    """A table of the platform; `<sync>` and `<lease>` in its name stand for those of one sync (see `of`)."""

    dataset: Dataset
    name: str
    description: str
    columns: tuple[Column, ...]
    #: On BigQuery partitioned by the day of this column, and clustered by that one.
    day_of: str
    cluster_by: str
    #: The version of the platform that first had it.
    since: str
    #: Hours after which BigQuery drops it, where the platform has not; 0: never.
    expires_after: int
    #: What makes its rows again when they are lost; blank: nothing does, so that backups hold them.
    rebuilt_by: str = ""

    @property
    def full_name(self) -> str:
        """The table with its dataset, as people know it."""
        return f"{self.dataset.name}.{self.name}"

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names in order."""
        return tuple(column.name for column in self.columns)

    @property
    def types(self) -> dict[str, str]:
        """The columns' types by name."""
        return {column.name: column.type for column in self.columns}

    def of(self, sync: str, lease: str = "") -> Table:
        """The table of one sync."""
        return replace(self, name=self.name.replace("<sync>", sync).replace("<lease>", lease))

    def rebuildable(self, by: str) -> Table:
        """The table, of which backups hold nothing: `by` makes its rows again."""
        return replace(self, rebuilt_by=by)

    def only(self, *names: str) -> Table:
        """The table with some of its columns."""
        return replace(self, columns=tuple(column for column in self.columns if column.name in names))

    def ref(self, sql: Sql) -> str:
        """The table in SQL: the one place where names of the registry become SQL."""
        return sql.table(self.dataset.name, self.name)

    def exists(self, session: Session) -> bool:
        """Whether it is there."""
        return bool(self.found_columns(session))

    def found_columns(self, session: Session) -> dict[str, str]:
        """The columns and types that it has in the warehouse; none when it is not there."""
        return session.columns(self.dataset.name, self.name)

    def found_syncs(self, session: Session) -> list[str]:
        """The syncs that have such a table, in order, for a name that ends with the sync's."""
        prefix = self.name.removesuffix("<sync>")
        names = session.table_names(self.dataset.name)
        return [name.removeprefix(prefix) for name in names if name.startswith(prefix)]

    def schema(self, *names: str) -> pa.Schema:
        """Some columns (default: all) as Arrow."""
        types = self.types
        return pa.schema([(name, _ARROW_TYPES[types[name]]) for name in names or self.names])

    def rows(self, rows: Iterable[Sequence[object]], *names: str) -> pa.Table:
        """Rows of some columns (default: all) as Arrow."""
        schema, rows = self.schema(*names), list(rows)
        arrays = [pa.array([row[i] for row in rows], field.type) for i, field in enumerate(schema)]
        return pa.Table.from_arrays(arrays, schema=schema)

    def append(self, session: Session, rows: Iterable[Sequence[object]]) -> None:
        """Add rows of all columns; nothing is written without any."""
        added_rows = self.rows(rows)
        if not added_rows.num_rows:
            return
        # A warehouse may read Arrow's timestamps without a zone as another type.
        values = ", ".join(
            f"cast({column.name} as timestamp)" if column.type == "timestamp" else column.name
            for column in self.columns
        )
        with session.attached(f"{self.name}_added", added_rows) as added:
            session.execute(
                f"insert into {self.ref(session.sql)} ({', '.join(self.names)}) select {values} from {added} as added"
            )


def ensure(session: Session, *tables: Table) -> None:
    """Make the tables that are missing, with their datasets and descriptions; writes nothing when all are there."""
    for dataset in dict.fromkeys(table.dataset for table in tables):
        there = set(session.table_names(dataset.name))
        missing = [table for table in tables if table.dataset == dataset and table.name not in there]
        if missing:
            session.create_schema(dataset.name, dataset.description)
            session.make_tables(missing)


def now_utc() -> datetime:
    """The present as the naive UTC timestamp that all tables of the platform hold."""
    return datetime.now(timezone.utc).replace(tzinfo=None)
