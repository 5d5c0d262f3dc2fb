"""The columns of a staging table for files of one Avro schema: decided here, not detected by BigQuery.

Source of the types: https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-avro#avro_conversions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.cloud.bigquery import SchemaField

_PRIMITIVES: Mapping[str, str] = {
    "string": "STRING",
    "enum": "STRING",
    "int": "INT64",
    "long": "INT64",
    "float": "FLOAT64",
    "double": "FLOAT64",
    "boolean": "BOOL",
    "bytes": "BYTES",
    "fixed": "BYTES",
}
_LOGICAL: Mapping[str, str] = {
    "date": "DATE",
    "time-millis": "TIME",
    "time-micros": "TIME",
    "timestamp-millis": "TIMESTAMP",
    "timestamp-micros": "TIMESTAMP",
    "local-timestamp-millis": "DATETIME",
    "local-timestamp-micros": "DATETIME",
    "decimal": "BIGNUMERIC",
}


class SchemaNotStageable(ValueError):
    """BigQuery has no column for a field of an Avro schema; the message names it."""


def staging_columns(avro_schema: str, uri: str) -> list[SchemaField]:
    """The columns for the files of a schema, and one for each `key=value` folder of their path.

    The latter stay null: they are there for a reader that takes such folders for columns without being asked
    (bqemulator, where they come last; BigQuery matches by name and does so only with hive partitioning options).
    """
    declared = [_column(field["name"], field["type"]) for field in json.loads(avro_schema)["fields"]]
    fields = [field for field in declared if field is not None]
    taken = {field.name.lower() for field in fields}
    folders = [folder.partition("=")[0] for folder in uri.split("/")[:-1] if "=" in folder]
    return fields + [
        SchemaField(name, "STRING") for name in dict.fromkeys(folders) if name.lower() not in taken
    ]


def _column(name: str, declared: Any) -> SchemaField | None:
    if isinstance(declared, list):
        branches = [branch for branch in declared if branch != "null"]
        if not branches:
            return None
        if len(branches) > 1:
            raise SchemaNotStageable(
                f"its field {name!r} is a union of several types, for which BigQuery has no column"
            )
        return _column(name, branches[0])
    if isinstance(declared, str):
        declared = {"type": declared}
    if not isinstance(declared, dict):
        raise SchemaNotStageable(f"its field {name!r} has a type that is no Avro: {declared!r}")
    kind = declared.get("type")
    if isinstance(kind, (dict, list)):
        return _column(name, kind)
    if kind == "null":
        return None
    if kind == "record":
        parts = [_column(part["name"], part["type"]) for part in declared["fields"]]
        return SchemaField(name, "RECORD", fields=[part for part in parts if part is not None])
    if kind == "map":
        value = _column("value", declared["values"])
        return SchemaField(
            name,
            "RECORD",
            mode="REPEATED",
            fields=[SchemaField("key", "STRING"), *([value] if value is not None else [])],
        )
    if kind == "array":
        item = _column(name, declared["items"])
        if item is None or item.mode == "REPEATED":
            raise SchemaNotStageable(
                f"its field {name!r} is an array of arrays, maps or nothing, for which BigQuery has no column"
            )
        return SchemaField(name, item.field_type, mode="REPEATED", fields=item.fields)
    column = _LOGICAL.get(str(declared.get("logicalType")), _PRIMITIVES.get(str(kind)))
    if column is None:
        raise SchemaNotStageable(
            f"its field {name!r} has the type {kind!r}, for which BigQuery has no column"
        )
    return SchemaField(name, column)
