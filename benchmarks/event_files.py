"""Large Currents files of `users.messages.email.Open`: 30 columns, one hour, every event with an id of its own."""

from __future__ import annotations

import io
import random
from pathlib import Path
from typing import Any

import fastavro

from braze_platform.currents.catalogue import EventType, catalogue

EVENT_TYPE = "users.messages.email.Open"
HOUR = "2026-11-10-05"
CONNECTOR = "dataexport.prod-01.GCS.integration.64f0a1b2c3d4e5f607182930"
_SYNC = bytes(range(16))
_RECORDS_A_BLOCK = 500
_ID_LENGTH = 36


def write_hour(bucket: Path, rows: int, files: int) -> int:
    """Write an hour of so many events in so many files; the bytes written."""
    event_type = catalogue()[EVENT_TYPE]
    schema = avro_schema(event_type)
    bodies = _bodies(event_type, schema, min(rows // files, 20_000))
    total = 0
    for number in range(files):
        count = rows // files + (number < rows % files)
        path = bucket / key_of(EVENT_TYPE, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as out:
            _write(out, schema, bodies, number, count)
        total += path.stat().st_size
    return total


def key_of(event_type: str, offset: int) -> str:
    """The key of a file of the hour."""
    return (
        f"currents/{CONNECTOR}/event_type={event_type}/date={HOUR}/version=10/us-01/"
        f"{CONNECTOR}+0+{offset:08d}.avro"
    )


def avro_schema(event_type: EventType) -> dict[str, Any]:
    """An event type's record as Braze writes it."""
    arrays = {
        "array<string>": {"type": "array", "items": "string"},
        "array<string?>": {"type": "array", "items": ["null", "string"]},
    }
    return {
        "type": "record",
        "name": event_type.name.rpartition(".")[2],
        "namespace": f"dataexport.GCS.{event_type.name.rpartition('.')[0]}",
        "fields": [
            {
                "name": field.name,
                "type": ["null", arrays.get(field.type, field.type)]
                if field.nullable
                else arrays.get(field.type, field.type),
            }
            for field in event_type.fields
        ],
    }


def small_file(event_type: EventType) -> bytes:
    """A file with a few events."""
    values: dict[str, Any] = {"string": "text", "boolean": True, "float": 0.5}
    record = {
        field.name: ["a"] if field.type.startswith("array") else values.get(field.type, 1_762_750_000)
        for field in event_type.fields
    }
    out = io.BytesIO()
    fastavro.writer(out, avro_schema(event_type), [record | {"id": f"id-{number}"} for number in range(10)])
    return out.getvalue()


def _bodies(event_type: EventType, schema: dict[str, Any], count: int) -> list[bytes]:
    """Encoded events without their ids, which stand first."""
    if event_type.fields[0].name != "id":
        raise ValueError(f"{event_type.name} does not begin with its id")
    chance = random.Random(5)
    parsed = fastavro.parse_schema(schema)
    bodies: list[bytes] = []
    for _ in range(count):
        record: dict[str, Any] = {}
        for field in event_type.fields:
            if field.name.endswith("_id") or field.name == "id":
                record[field.name] = f"{chance.getrandbits(128):032x}"[:24]
            elif field.type == "string":
                record[field.name] = f"{field.name} {chance.randrange(1_000)}"
            elif field.type == "boolean":
                record[field.name] = chance.random() < 0.5
            else:
                record[field.name] = 1_762_750_000 + chance.randrange(3_600)
            if field.nullable and chance.random() < 0.2:
                record[field.name] = None
        record["id"] = "x" * _ID_LENGTH
        out = io.BytesIO()
        fastavro.schemaless_writer(out, parsed, record)
        bodies.append(out.getvalue()[1 + _ID_LENGTH :])
    return bodies


def _write(out: Any, schema: dict[str, Any], bodies: list[bytes], number: int, count: int) -> None:
    header = io.BytesIO()
    fastavro.writer(header, schema, [], sync_marker=_SYNC)
    out.write(header.getvalue())
    for first in range(0, count, _RECORDS_A_BLOCK):
        block = b"".join(
            _long(_ID_LENGTH) + b"%08x-0000-4000-8000-%012x" % (number, at) + bodies[at % len(bodies)]
            for at in range(first, min(first + _RECORDS_A_BLOCK, count))
        )
        out.write(_long(min(_RECORDS_A_BLOCK, count - first)) + _long(len(block)) + block + _SYNC)


def _long(value: int) -> bytes:
    """Avro's zig-zag variable-length integer, of one that is not negative."""
    value <<= 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)
