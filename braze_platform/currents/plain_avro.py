"""Files that the warehouses read differently, or not at all, rewritten with types that both read alike.

DuckDB and BigQuery each have their own idea of a union of several types, of `decimal`, `duration` or a record, and each
refuses some of them. Braze's schemas have none of these, so such a file is rare and may cost more: its records are
decoded here, once for both warehouses, and what arrives in a raw table is the same on either target.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Iterator
from datetime import date, time
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO
from uuid import UUID

import fastavro
from fastavro import _read_py

from braze_platform.currents.avro_files import AvroField, AvroFile, UnreadableFile

#: What a field of a type is written as.
_WRITTEN: dict[str, str] = {
    "int": "long",
    "float": "double",
    "enum": "string",
    "text": "string",
    "json": "string",
}
#: Beyond so many bytes the copy that is decoded lies on disk.
_IN_MEMORY = 8 * 1024 * 1024


def plain_names(fields: tuple[AvroField, ...]) -> dict[str, str]:
    """The names under which fields stand in the file that is rewritten; those that are always null are left out."""
    return {field.name: f"f{number}" for number, field in enumerate(fields) if field.type != "null"}


def write_plain(stream: BinaryIO, avro: AvroFile, to: Path) -> AvroFile:
    """Decode a file's records and write them to `to`, with names and types that every reader knows.

    Returns the file with its records counted; its fields keep their names (see `plain_names`), its schema is the new
    file's. Whatever decoding fails on is the file's fault and raises `UnreadableFile`; `OSError`s and whatever else
    reading `stream` raises pass through.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as copy:
        stream.seek(0)
        shutil.copyfileobj(stream, copy)
        copy.seek(0)
        schema = _schema(avro.fields)
        count = _Count()
        try:
            with to.open("wb") as out:
                fastavro.writer(out, schema, count.counted(_records(copy, avro)))
        except (MemoryError, OSError):
            raise
        except Exception as error:
            # No message: it may quote the values that it fails on.
            raise UnreadableFile(f"its records cannot be decoded ({type(error).__name__})") from error
    return AvroFile(avro.fields, count.records, json.dumps(schema), is_plain=False)


class _Count:
    """Counts what passes."""

    def __init__(self) -> None:
        self.records = 0

    def counted(self, records: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        for record in records:
            self.records += 1
            yield record


def _schema(fields: tuple[AvroField, ...]) -> dict[str, Any]:
    names = plain_names(fields)
    written = []
    for field in fields:
        if field.type == "null":
            continue
        kind: Any = _WRITTEN.get(field.type, field.type)
        if kind == "array<string>":
            kind = {"type": "array", "items": ["null", "string"] if field.nullable_items else "string"}
        written.append({"name": names[field.name], "type": ["null", kind], "default": None})
    return {"type": "record", "name": "Event", "fields": written}


def _records(stream: Any, avro: AvroFile) -> Iterator[dict[str, Any]]:
    names = plain_names(avro.fields)
    kept = [
        (field.name, names[field.name], field.type == "json") for field in avro.fields if field.name in names
    ]
    # The reader in Python ends with an exception where values are nested too deep, the compiled one ends the process.
    reader = _read_py.reader if avro.is_recursive else fastavro.reader
    for record in reader(stream):
        if not isinstance(record, dict):
            raise TypeError("a record is expected")
        yield {
            written: _as_text(record[name]) if is_json else _simple(record[name])
            for name, written, is_json in kept
        }


def _simple(value: Any) -> Any:
    """A value of a field that is no `json`; texts of dates and times are Python's, UTC where they are instants."""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, (date, time, UUID)):
        return str(value)
    return [_simple(item) for item in value] if isinstance(value, list) else value


def _as_text(value: Any) -> str | None:
    """A value of a `json` field: a string as it is, everything else as JSON."""
    if value is None:
        return None
    simple = _simple(value)
    if isinstance(simple, bytes):
        return b64encode(simple).decode("ascii")
    return simple if isinstance(simple, str) else as_json(value)


def as_json(value: Any) -> str:
    """JSON with the exact digits of decimals, bytes as base64, `NaN` and infinities as texts, as BigQuery writes it.

    Source: https://cloud.google.com/bigquery/docs/reference/standard-sql/json_functions#json_encodings.

    >>> as_json({"a": [Decimal("12.30"), None, True, b"x"], "b": date(2026, 1, 2)})
    '{"a":[12.30,null,true,"eA=="],"b":"2026-01-02"}'
    """
    if isinstance(value, dict):
        return "{" + ",".join(f"{as_json(str(key))}:{as_json(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(as_json, value)) + "]"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bytes):
        value = b64encode(value).decode("ascii")
    elif isinstance(value, float) and not math.isfinite(value):
        value = {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return json.dumps(_simple(value), ensure_ascii=False)
