"""The columns of a staging table for files of one Avro schema: decided here, not detected by BigQuery.

Files that are staged have records of primitives, enums and arrays of strings; others were rewritten as such before
(see `currents.plain_avro`): BigQuery makes a record of a union of several types, and an array of pairs of a map.
Source of the types: https://cloud.google.com/bigquery/docs/loading-data-cloud-storage-avro#avro_conversions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from google.cloud.bigquery import SchemaField

_COLUMNS: Mapping[str, str] = {
    "string": "STRING",
    "enum": "STRING",
    "int": "INT64",
    "long": "INT64",
    "float": "FLOAT64",
    "double": "FLOAT64",
    "boolean": "BOOL",
    "bytes": "BYTES",
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
    branches = (
        [branch for branch in declared if branch != "null"] if isinstance(declared, list) else [declared]
    )
    if branches in ([], ["null"]):
        return None
    only = branches[0] if len(branches) == 1 else None
    kind = only.get("type") if isinstance(only, dict) else only
    if isinstance(only, dict) and kind == "array":
        return SchemaField(name, "STRING", mode="REPEATED")
    if not isinstance(kind, str) or kind not in _COLUMNS:
        raise SchemaNotStageable(
            f"its field {name!r} has a type for which BigQuery has no column: {declared!r}"
        )
    return SchemaField(name, _COLUMNS[kind])
