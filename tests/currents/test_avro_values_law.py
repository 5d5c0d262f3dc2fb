"""Whatever a file of odd types holds, the raw table holds what fastavro reads out of it."""

from __future__ import annotations

import base64
import datetime as dt
import io
import json
import math
import tempfile
import uuid
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import fastavro
import pytest
from currents_files import avro_bytes
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.currents.avro_files import inspect
from braze_platform.currents.plain_avro import plain_names, write_plain
from braze_platform.warehouse.duckdb import _avro_extension

UTC = dt.timezone.utc

_scalars: dict[str, tuple[Any, st.SearchStrategy[Any]]] = {
    "string": ("string", st.text()),
    "int": ("int", st.integers(-(2**31), 2**31 - 1)),
    "long": ("long", st.integers(-(2**63), 2**63 - 1)),
    "boolean": ("boolean", st.booleans()),
    "double": ("double", st.floats(allow_nan=False)),
    "bytes": ("bytes", st.binary(max_size=20)),
    "enum": ({"type": "enum", "name": "K", "namespace": "n.s", "symbols": ["A", "B"]}, st.sampled_from("AB")),
    "fixed": ({"type": "fixed", "name": "F", "size": 3}, st.binary(min_size=3, max_size=3)),
    "decimal": (
        {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4},
        st.decimals(-(10**15), 10**15, places=4),
    ),
    "date": ({"type": "int", "logicalType": "date"}, st.dates()),
    "timestamp": (
        {"type": "long", "logicalType": "timestamp-micros"},
        st.datetimes(dt.datetime(1, 1, 2), timezones=st.just(UTC)),
    ),
    "uuid": ({"type": "string", "logicalType": "uuid"}, st.uuids()),
}


@st.composite
def _events(draw: st.DrawFn) -> tuple[list[tuple[str, Any]], dict[str, Any]]:
    """The fields of a schema of many kinds, with one event; named types are defined once and named from then on."""
    fields: list[tuple[str, Any]] = []
    values: dict[str, Any] = {}
    defined: set[str] = set()
    for number in range(draw(st.integers(1, 6))):
        kinds = draw(st.lists(st.sampled_from(sorted(_scalars)), min_size=1, max_size=3, unique=True))
        # Two branches of one underlying type are no union; which of several is meant must be plain from the value.
        kinds = [kind for kind in kinds if len(kinds) == 1 or kind in ("string", "boolean", "bytes", "long")]
        shape = draw(st.sampled_from(["one", "nullable", "array", "record"])) if kinds else "one"
        branches: list[Any] = []
        for kind in kinds or ["enum"]:
            declared = _scalars[kind][0]
            name = {"enum": "n.s.K", "fixed": "F"}.get(kind)
            branches.append(name if kind in defined else declared)
            defined.add(kind) if name else None
        value = draw(_scalars[(kinds or ["enum"])[0]][1])
        declared = branches[0] if len(branches) == 1 else branches
        if shape == "nullable":
            declared = ["null", *branches]
            value = draw(st.none() | st.just(value))
        elif shape == "array":
            declared, value = {"type": "array", "items": declared}, [value] * draw(st.integers(0, 2))
        elif shape == "record":
            inner = {"type": "record", "name": f"R{number}", "fields": [{"name": "v", "type": declared}]}
            declared, value = inner, {"v": value}
        fields.append((f"x{number}", declared))
        values[f"x{number}"] = value
    return fields, values


def _what_is_loaded_equals_the_reading_of_fastavro(events: Any) -> None:
    for fields, values in events:
        data = avro_bytes([{"id": "a", **values}], [("id", "string"), *fields])
        [read] = fastavro.reader(io.BytesIO(data))
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copy.avro"
            avro = inspect(io.BytesIO(data))
            kinds = {field.name: field.type for field in avro.fields}
            if avro.is_plain:
                copy.write_bytes(data)
                names = {field.name: field.name for field in avro.fields}
            else:
                avro = write_plain(io.BytesIO(data), avro, copy)
                names = plain_names(avro.fields)
            with duckdb.connect() as connection:
                connection.execute(f"load '{_avro_extension()}'")
                found = connection.execute(
                    f"select {', '.join(names[name] for name, _ in fields)} from read_avro('{copy}')"
                ).fetchone()
        assert found is not None
        for (name, _), stored in zip(fields, found, strict=True):
            assert means(stored, read[name], kinds[name]), (name, kinds[name], stored, read[name])


def _tried(examples: int) -> Any:
    law = given(st.lists(_events(), min_size=1, max_size=3))(_what_is_loaded_equals_the_reading_of_fastavro)
    return settings(deadline=None, max_examples=examples)(law)


test_what_is_loaded_equals_the_reading_of_fastavro = _tried(25)
test_what_is_loaded_of_many_equals_the_reading_of_fastavro = pytest.mark.full(_tried(60))


def means(stored: Any, read: Any, kind: str) -> bool:
    """Whether what a column holds is what fastavro read."""
    if read is None or kind in (
        "string",
        "int",
        "long",
        "boolean",
        "double",
        "bytes",
        "enum",
        "array<string>",
    ):
        return bool(stored == (simple(read) if kind in ("string", "array<string>") else read))
    if kind == "text":
        return bool(
            type(read).fromisoformat(stored) == read if isinstance(read, dt.date) else Decimal(stored) == read
        )
    if isinstance(read, bytes):
        return base64.b64decode(stored) == read
    if isinstance(read, str):
        return bool(stored == read)
    return bool(simple(json.loads(stored, parse_float=Decimal)) == simple(read))


def simple(value: Any) -> Any:
    """A value as JSON can hold it."""
    if isinstance(value, dict):
        return {key: simple(item) for key, item in value.items()}
    if isinstance(value, list):
        return [simple(item) for item in value]
    if isinstance(value, float):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, (dt.date, uuid.UUID)) else value
