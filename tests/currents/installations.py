"""One installation, whatever its target, as the tests of this room use it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from currents_files import OPEN, Deliveries

from braze_platform.currents.bucket import Bucket
from braze_platform.currents.load_report import EventTypeLoad
from braze_platform.currents.loader import load
from braze_platform.settings import Settings
from braze_platform.warehouse.bigquery import BigQuerySession
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.raw_tables import raw_tables_of

DAY = date(2026, 11, 10)
TABLE = "currents_raw.users_messages_email_open"


@dataclass(frozen=True)
class Installation:
    """Settings, the bucket's other side, and what the platform makes of it."""

    settings: Settings
    deliveries: Deliveries
    warehouse: Warehouse
    bucket: Bucket

    def load_opens(self, **options: Any) -> EventTypeLoad:
        """Load email.Open of the day."""
        return load(self.warehouse, self.bucket, "currents", [OPEN], DAY, DAY, **options).event_types[OPEN]

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        """Run a query that names tables by their plain schema."""
        with self.warehouse.session() as session:
            return session.fetch(named(session, sql))

    def execute(self, sql: str) -> None:
        """The same for a statement."""
        with self.warehouse.session() as session:
            session.execute(named(session, sql))

    def types(self, table: str) -> dict[str, str]:
        """Columns of a table and their types by DuckDB's names."""
        with self.warehouse.session() as session:
            return raw_tables_of(session).data_columns(table.rpartition(".")[2])

    def described_tables(self) -> dict[str, bool]:
        """Whether all columns of a raw table have a description, by table."""
        with self.warehouse.session() as session:
            if isinstance(session, BigQuerySession):
                tables = session.client.list_tables(session.dataset_id("currents_raw"))
                made = {table.table_id: session.client.get_table(table) for table in tables}
                return {
                    name: bool(table.description) and all(column.description for column in table.schema)
                    for name, table in made.items()
                }
            return dict(
                session.fetch(
                    "select table_name, bool_and(comment is not null) from duckdb_columns() "
                    "where schema_name = 'currents_raw' group by 1"
                )
            )

    def break_table(self, table: str) -> None:
        """Put a view where a raw table was: it can be read, and not written."""
        schema, _, name = table.rpartition(".")
        with self.warehouse.session() as session:
            for statement in (
                f"create table {schema}.hidden as select * from {table}",
                f"drop table {table}",
                f"create view {schema}.{name} as select * from {schema}.hidden",
            ):
                session.execute(named(session, statement))

    def ids(self) -> list[str]:
        """The ids in the raw table of email.Open."""
        return [name for (name,) in self.fetch(f"select id from {TABLE} order by id")]


def named(session: Session, sql: str) -> str:
    """SQL with the schemas as the session writes them."""
    return re.sub(
        r"\b(currents_raw|currents_ledger|braze_platform)\.", lambda m: f"{session.sql.schema(m[1])}.", sql
    )
