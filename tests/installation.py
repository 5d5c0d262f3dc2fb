"""One installation, whatever its target: its settings, what they name, and what the loader makes of it."""

from __future__ import annotations

import re
from datetime import date
from functools import cached_property
from typing import Any

from currents_files import OPEN, Deliveries, GoogleDeliveries

from braze_platform.braze_api.resources import BrazeResource
from braze_platform.currents.load_report import EventTypeLoad
from braze_platform.currents.loader import load
from braze_platform.currents.resources import BucketResource
from braze_platform.currents.targets import bucket_of
from braze_platform.settings import Settings
from braze_platform.warehouse.bigquery import BigQuerySession
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.raw_tables import raw_tables_of
from braze_platform.warehouse.resources import WarehouseResource
from braze_platform.warehouse.targets import warehouse_of

DAY = date(2026, 11, 10)
TABLE = "currents_raw.users_messages_email_open"
SCHEMAS = ("attributes", "braze_platform", "braze_sync", "currents_ledger", "currents_raw")


class Installation:
    """Settings, and the warehouse and the bucket that they name."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.warehouse = warehouse_of(settings)
        self.bucket = bucket_of(settings)

    @property
    def resources(self) -> dict[str, Any]:
        """What its assets ask for."""
        return {
            "warehouse": WarehouseResource(settings=self.settings),
            "bucket": BucketResource(settings=self.settings),
            "braze": BrazeResource(settings=self.settings),
        }

    def configure(self, **changes: Any) -> None:
        """Change settings; the warehouse and the bucket stay those that they are."""
        self.settings = self.settings.replace(**changes)

    def move_to(self, settings: Settings) -> None:
        """Take the warehouse and the bucket of other settings; Braze stays the same."""
        braze = {name: getattr(self.settings, name) for name in ("braze_rest_url", "braze_api_key")}
        Installation.__init__(self, settings.replace(**braze))

    def fetch(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements that name tables by their plain schema; the rows of the last one."""
        with self.warehouse.session() as session:
            for statement in statements[:-1]:
                session.execute(named(session, statement))
            return session.fetch(named(session, statements[-1]))

    def execute(self, *statements: str) -> None:
        with self.warehouse.session() as session:
            for statement in statements:
                session.execute(named(session, statement))

    @cached_property
    def deliveries(self) -> Deliveries:
        """The bucket's other side."""
        if self.settings.target == "bigquery":
            return GoogleDeliveries(self.settings)
        return Deliveries(self.settings.bucket_dir)

    def load_opens(self, **options: Any) -> EventTypeLoad:
        """Load email.Open of the day."""
        return load(self.warehouse, self.bucket, "currents", [OPEN], DAY, DAY, **options).event_types[OPEN]

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
        self.execute(
            f"create table {schema}.hidden as select * from {table}",
            f"drop table {table}",
            f"create view {schema}.{name} as select * from {schema}.hidden",
        )

    def ids(self) -> list[str]:
        """The ids in the raw table of email.Open."""
        return [name for (name,) in self.fetch(f"select id from {TABLE} order by id")]


def named(session: Session, sql: str) -> str:
    """SQL with the schemas, but for those in texts, as the session writes them."""
    text_or_schema = rf"'[^']*'|\b({'|'.join(SCHEMAS)})\."
    return re.sub(text_or_schema, lambda m: f"{session.sql.schema(m[1])}." if m[1] else m[0], sql)
