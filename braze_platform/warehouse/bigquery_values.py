"""Values on their way into BigQuery's SQL and out of its results.

Parameters are written into the statement as literals, since the statements of one transaction travel as one script.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
from google.cloud.bigquery import PolicyTagList, SchemaField

from braze_platform.warehouse.sql import BigQuerySql
from braze_platform.warehouse.tables import Column

_SQL = BigQuerySql()
#: What must not be searched for parameters (quoted text and names), or a parameter.
_TOKENS = re.compile(
    r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|`(?:\\.|[^`\\])*`|\$(?P<name>[A-Za-z_]\w*)", re.S
)

#: GoogleSQL's names for the older ones that the API uses for types
#: (https://cloud.google.com/bigquery/docs/reference/rest/v2/tables#TableFieldSchema).
_STANDARD = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "RECORD": "STRUCT"}


def rendered(sql: str, parameters: Mapping[str, object] | None) -> str:
    r"""A statement with literals in place of `$name`; raises `KeyError` for a parameter that was not given.

    >>> rendered("select $a, '$a' where x in unnest($b)", {"a": "it's", "b": [1, 2]})
    "select 'it\\'s', '$a' where x in unnest([1, 2])"
    """
    given = parameters or {}

    def replaced(match: re.Match[str]) -> str:
        name = match["name"]
        return match[0] if name is None else literal(given[name])

    return _TOKENS.sub(replaced, sql)


def literal(value: object) -> str:
    """A value as GoogleSQL writes it; times without a zone are UTC."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else f"cast('{value}' as float64)"
    if isinstance(value, Decimal):
        return f"cast('{value}' as bignumeric)"
    if isinstance(value, str):
        return _SQL.literal(value)
    if isinstance(value, bytes):
        return f"from_hex('{value.hex()}')"
    if isinstance(value, datetime):
        at = value.replace(tzinfo=timezone.utc) if value.tzinfo is None else value.astimezone(timezone.utc)
        return f"timestamp '{at.isoformat(' ', 'microseconds')}'"
    if isinstance(value, date):
        return f"date '{value.isoformat()}'"
    if isinstance(value, Sequence):
        if not value:
            raise ValueError("An empty list has no type in GoogleSQL; leave the statement out instead.")
        return f"[{', '.join(literal(item) for item in value)}]"
    raise TypeError(f"No literal for a {type(value).__name__}")


def relation(data: pa.Table) -> str:
    """A small Arrow table, of one row at least, as a relation written out in SQL: the first row names and types it."""
    first, *rest = data.to_pylist()
    typed = ", ".join(
        f"cast({literal(first[field.name])} as {type_of(field.type)}) as {_SQL.quoted(field.name)}"
        for field in data.schema
    )
    rows = [typed, *(", ".join(literal(value) for value in row.values()) for row in rest)]
    return "(" + " union all ".join(f"select {row}" for row in rows) + ")"


def type_of(kind: pa.DataType) -> str:
    """GoogleSQL's type for an Arrow type."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return f"array<{type_of(kind.value_type)}>"
    for matches, name in (
        (pa.types.is_string, "string"),
        (pa.types.is_large_string, "string"),
        (pa.types.is_boolean, "bool"),
        (pa.types.is_integer, "int64"),
        (pa.types.is_floating, "float64"),
        (pa.types.is_timestamp, "timestamp"),
        (pa.types.is_date, "date"),
        (pa.types.is_binary, "bytes"),
        (pa.types.is_decimal, "bignumeric"),
        (pa.types.is_null, "string"),
    ):
        if matches(kind):
            return name
    raise TypeError(f"No column of BigQuery holds Arrow's {kind}")


def schema_of(data: pa.Table) -> list[SchemaField]:
    """The table schema for an Arrow table."""
    return [_schema_field(field) for field in data.schema]


def _schema_field(field: pa.Field) -> SchemaField:
    name = type_of(field.type)
    if name.startswith("array<"):
        return SchemaField(field.name, name[len("array<") : -1].upper(), mode="REPEATED")
    return SchemaField(field.name, name.upper())


def standard_type(field: SchemaField) -> str:
    """The type of a column as DDL writes it.

    >>> standard_type(SchemaField("tags", "STRING", mode="REPEATED")), standard_type(SchemaField("n", "INTEGER"))
    ('ARRAY<STRING>', 'INT64')
    """
    name = _STANDARD.get(field.field_type, field.field_type)
    if name == "STRUCT":
        inner = ", ".join(f"{_SQL.quoted(part.name)} {standard_type(part)}" for part in field.fields)
        name = f"STRUCT<{inner}>"
    return f"ARRAY<{name}>" if field.mode == "REPEATED" else name


def is_plain_type(kind: str) -> bool:
    """Whether a GoogleSQL type has neither parts nor parameters, but may be an array.

    >>> is_plain_type("ARRAY<STRING>"), is_plain_type("STRUCT<a INT64>"), is_plain_type("NUMERIC(9, 2)")
    (True, False, False)
    """
    return kind.removeprefix("ARRAY<").removesuffix(">").isalnum()


def schema_field(column: Column, kind: str, policy_tag: str = "") -> SchemaField:
    """A column of a plain GoogleSQL type as the API wants it, a personal one with the policy tag."""
    item = kind.removeprefix("ARRAY<").removesuffix(">")
    return SchemaField(
        column.name,
        item,
        mode="REPEATED" if item != kind else "REQUIRED" if column.required else "NULLABLE",
        description=column.description,
        policy_tags=PolicyTagList([policy_tag]) if policy_tag and column.personal else None,
    )


def received(value: Any) -> Any:
    """A value of a result as the platform knows it: times are UTC without a zone."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(timezone.utc).replace(tzinfo=None)
    return value


def with_zone(data: pa.Table) -> pa.Table:
    """Times marked as UTC, which Parquet needs for them to arrive as TIMESTAMP and not as DATETIME."""
    return data.cast(
        pa.schema(
            [
                field.with_type(pa.timestamp("us", tz="UTC")) if pa.types.is_timestamp(field.type) else field
                for field in data.schema
            ]
        )
    )


def without_zone(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The reverse, for what comes back."""
    schema = pa.schema(
        [
            field.with_type(pa.timestamp("us")) if pa.types.is_timestamp(field.type) else field
            for field in batch.schema
        ]
    )
    return pa.RecordBatch.from_arrays(
        [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)], schema=schema
    )
