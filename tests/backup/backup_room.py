"""What the tests of this room share: an installation with rows in every table of the registry, and its contents."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBSession, DuckDBWarehouse
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.registry import LEDGER, MIGRATIONS, all_tables
from braze_platform.warehouse.tables import Column, Table, ensure

SYNCS = ("value", "staged", "Runs_2")
#: Types of models' columns, which a ledger takes over; not all of them are in Parquet.
MODEL_TYPES = (
    "VARCHAR",
    "BIGINT",
    "HUGEINT",
    "DOUBLE",
    "DECIMAL(38,9)",
    "BOOLEAN",
    "DATE",
    "TIMESTAMP",
    "TIMESTAMP WITH TIME ZONE",
    "JSON",
    "BLOB",
    "UUID",
    "VARCHAR[]",
    "HUGEINT[]",
    'STRUCT(a BIGINT, "b c" VARCHAR[])',
    "STRUCT(a HUGEINT, b VARCHAR)[]",
    "MAP(VARCHAR, INTEGER)",
    "ENUM('a', 'it''s')",
)
_TEXTS = (
    "",
    "a",
    "it's",
    'say "x"',
    "{'a': 1}",
    "[1, 2]",
    "NULL",
    "null",
    "ü, 漢",
    "line\nfeed\ttab",
    "\\",
    "0",
)


def warehouse(settings: Settings) -> DuckDBWarehouse:
    return DuckDBWarehouse(settings.duckdb_path, threads=1, memory_limit="500MB")


def tables_of_syncs(chance: random.Random) -> Iterable[Table]:
    """Every table of the registry; those of syncs for several syncs, ledgers with columns of any type."""
    for table in all_tables():
        if "<" not in table.name:
            yield table
            continue
        for sync in SYNCS:
            one = table.of(sync, "0" * 32)
            if table.full_name == LEDGER.full_name:
                kinds = chance.sample(MODEL_TYPES, 7)
                added = [Column(f"Attr {i}\"'", kind, "An attribute.") for i, kind in enumerate(kinds)]
                one = replace(one, columns=(*table.columns, *added))
            yield one


def fill(settings: Settings, seed: int, *, rows: int = 6) -> None:
    """Make all tables, and put random rows into them."""
    chance = random.Random(seed)
    with warehouse(settings).session() as session:
        migrate(session)
        for table in tables_of_syncs(chance):
            # rows of these are of a kind of their own
            if table.name.startswith("lease_") or table == MIGRATIONS:
                continue
            ensure(session, table)
            fill_table(session, table, chance, rows)


def fill_table(session: DuckDBSession, table: Table, chance: random.Random, rows: int) -> None:
    for _ in range(chance.randrange(rows + 1)):
        values = [
            None if not column.required and chance.random() < 0.2 else value(column.type, chance)
            for column in table.columns
        ]
        casts = ", ".join(f"cast(? as {column.type})" for column in table.columns)
        session.connection.execute(f"insert into {table.ref(session.sql)} values ({casts})", values)


def value(kind: str, chance: random.Random) -> Any:
    kind = kind.upper()
    if kind.startswith("ENUM"):
        return chance.choice(["a", "it's"])
    if kind == "JSON":
        return chance.choice(['{"a": 1.50}', "[]", '"x"', '{"b":  [null, "it\'s"]}'])
    if kind.startswith("STRUCT(A BIGINT"):
        return {"a": chance.randrange(2**60), "b c": chance.sample(_TEXTS, 3)}
    if kind.startswith("STRUCT(A HUGEINT"):
        return [
            {"a": chance.randrange(2**60), "b": chance.choice(_TEXTS)} for _ in range(chance.randrange(3))
        ]
    if kind.startswith("MAP"):
        return {"key": chance.sample(_TEXTS, 2), "value": [1, 2]}
    if kind == "HUGEINT[]":
        return [chance.randrange(-(2**60), 2**60) for _ in range(3)]
    if kind.endswith("[]"):
        return chance.sample(_TEXTS, chance.randrange(4))
    if kind.startswith("TIMESTAMP"):
        return datetime(2026, 11, 1) + timedelta(microseconds=chance.randrange(10**13))
    simple = {
        "BIGINT": chance.randrange(-(2**63), 2**63),
        "HUGEINT": chance.randrange(-(2**100), 2**100),
        "DOUBLE": chance.choice([0.1, -1e300, float("inf"), chance.random()]),
        "DECIMAL(38,9)": Decimal(chance.randrange(-(10**28), 10**28)).scaleb(-9),
        "BOOLEAN": chance.random() < 0.5,
        "DATE": date(2026, 1, 1) + timedelta(days=chance.randrange(300)),
        "BLOB": bytes(chance.randrange(256) for _ in range(5)),
        "UUID": f"{chance.getrandbits(128):032x}",
    }
    return simple.get(kind, chance.choice(_TEXTS))


def contents(settings: Settings, *, of: Iterable[str] | None = None) -> dict[str, Any]:
    """By table its columns and types, its comment, and its rows as texts in order; those of leases are left out."""
    with warehouse(settings).session() as session:
        found = {}
        for schema, name, comment in session.fetch(
            "select schema_name, table_name, comment from duckdb_tables() order by all"
        ):
            full = f"{schema}.{name}"
            if name.startswith("lease_") or (of is not None and full not in of):
                continue
            columns = session.columns(schema, name)
            texts = session.sql.row_text([session.sql.quoted(column) for column in columns])
            rows = session.fetch(f"select {texts} from {session.sql.table(schema, name)} order by 1")
            found[full] = (columns, comment, rows)
        return found
