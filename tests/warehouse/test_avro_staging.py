"""The columns of staging tables, for every shape that a Currents file may have."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField

from braze_platform.warehouse.avro_staging import SchemaNotStageable, staging_columns


def columns(kind: Any, uri: str = "gs://b/f.avro") -> list[SchemaField]:
    schema = {"type": "record", "name": "E", "fields": [{"name": "x", "type": kind}]}
    return staging_columns(json.dumps(schema), uri)


@pytest.mark.parametrize(
    ("kind", "column"),
    [
        ("string", SchemaField("x", "STRING")),
        (["null", "int"], SchemaField("x", "INT64")),
        ("float", SchemaField("x", "FLOAT64")),
        ("bytes", SchemaField("x", "BYTES")),
        ({"type": "enum", "name": "A", "symbols": ["a"]}, SchemaField("x", "STRING")),
        (
            ["null", {"type": "array", "items": ["null", "string"]}],
            SchemaField("x", "STRING", mode="REPEATED"),
        ),
    ],
    ids=str,
)
def test_each_avro_type_has_its_column(kind: Any, column: SchemaField) -> None:
    assert columns(kind) == [column]


def test_a_field_that_is_always_null_has_none() -> None:
    assert columns("null") == []
    assert columns(["null"]) == []


@pytest.mark.parametrize(
    "kind",
    [
        ["null", "int", "string"],
        {"type": "map", "values": "long"},
        "Unheard",
        3,
    ],
    ids=str,
)
def test_what_has_no_column_is_refused_by_name(kind: Any) -> None:
    with pytest.raises(SchemaNotStageable, match="'x'"):
        columns(kind)


def test_folders_of_the_path_come_last_and_never_twice() -> None:
    uri = "gs://b/dataexport.x/event_type=a.B/date=2026-11-10-05/x=1/f=2.avro"
    assert [column.name for column in columns("string", uri)] == ["x", "event_type", "date"]
