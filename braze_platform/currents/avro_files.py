"""What an Avro object container holds, proven complete by walking its blocks without decoding them.

The warehouse's own reader stops silently at the point where a file was cut, so completeness is checked here first.
Source of the format: the Apache Avro specification, "Object Container Files".
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_PRIMITIVES = frozenset({"string", "int", "long", "float", "double", "boolean", "bytes", "null"})
#: What both warehouses' readers can decompress.
_CODECS = frozenset({"null", "deflate", "snappy"})


# Braze never writes an empty file (event delivery semantics), so such a one was cut after its header.
_NO_EVENTS = "truncated after its header: it holds no events, and Braze writes no empty files"


class UnreadableFile(ValueError):
    """A file is not a complete Avro container; `reason` says what is wrong with it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class AvroField:
    """One field of a file's record.

    `type` is an Avro primitive, `enum`, `array<string>`, `text` (a primitive with a logical type, kept as text) or
    `json` (records, maps, other arrays and unions, kept as JSON text).
    """

    name: str
    type: str
    nullable: bool
    #: Of an `array<string>`: whether its items may be null.
    nullable_items: bool = False


@dataclass(frozen=True)
class AvroFile:
    """A complete file: the fields it was written with, in order, and its number of records if they were counted."""

    fields: tuple[AvroField, ...]
    row_count: int | None
    #: The Avro schema in its header, as JSON.
    schema: str = ""


def inspect(stream: BinaryIO) -> AvroFile:
    """Read the header and walk all blocks of a seekable stream; raise `UnreadableFile` when it is not whole."""
    size, header = _read_header(stream)
    sync = header.sync
    rows = 0
    blocks = 0
    while (start := stream.tell()) < size:
        try:
            count = _read_long(stream)
            length = _read_long(stream)
            if count < 0 or length < 0:
                raise UnreadableFile(f"block {blocks + 1} at byte {start} has a negative length")
            if stream.tell() + length + _SYNC_BYTES > size:
                raise _Cut
            stream.seek(length, os.SEEK_CUR)
            marker = _read_exactly(stream, _SYNC_BYTES, size)
        except _Cut as cut:
            raise UnreadableFile(
                f"truncated inside block {blocks + 1}, after {size} bytes; {rows} records are in complete blocks"
            ) from cut
        if marker != sync:
            raise UnreadableFile(
                f"block {blocks + 1} at byte {start} does not end with the file's sync marker"
            )
        rows += count
        blocks += 1
    if rows == 0:
        raise UnreadableFile(_NO_EVENTS)
    return AvroFile(header.fields, rows, header.schema)


def inspect_ends(stream: BinaryIO) -> AvroFile:
    """Read the header and the last 16 bytes of a seekable stream, whatever its size; its records are not counted.

    Every block ends with the file's sync marker, so a file that was cut inside a block does not. One that was cut
    between two blocks is whole to every reader. Raises `UnreadableFile`.
    """
    size, header = _read_header(stream)
    if stream.tell() == size:
        raise UnreadableFile(_NO_EVENTS)
    stream.seek(max(size - _SYNC_BYTES, stream.tell()))
    if stream.read(_SYNC_BYTES) != header.sync:
        raise UnreadableFile(
            f"truncated inside a block, after {size} bytes: it does not end with its sync marker"
        )
    return AvroFile(header.fields, None, header.schema)


@dataclass(frozen=True)
class _Header:
    fields: tuple[AvroField, ...]
    schema: str
    sync: bytes


def _read_header(stream: BinaryIO) -> tuple[int, _Header]:
    """The size of a file and what its header says; the stream stands behind it."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    if size == 0:
        raise UnreadableFile("the file is empty (0 bytes)")
    if stream.read(len(_MAGIC)) != _MAGIC:
        raise UnreadableFile("not an Avro container: it does not start with Avro's signature")
    try:
        metadata = _read_metadata(stream, size)
        sync = _read_exactly(stream, _SYNC_BYTES, size)
    except _Cut as cut:
        raise UnreadableFile(f"truncated inside its header, after {size} bytes") from cut
    codec = metadata.get("avro.codec", b"null").decode("ascii", "replace")
    if codec not in _CODECS:
        raise UnreadableFile(f"compressed with {codec!r}; only {', '.join(sorted(_CODECS))} can be read")
    schema = metadata.get("avro.schema", b"")
    return size, _Header(_fields_of(schema), schema.decode("utf-8"), sync)


class _Cut(Exception):
    """The stream ended too early."""


def _read_exactly(stream: BinaryIO, length: int, size: int) -> bytes:
    if length < 0 or length > size:
        raise _Cut
    data = stream.read(length)
    if len(data) != length:
        raise _Cut
    return data


def _read_long(stream: BinaryIO) -> int:
    """Avro's zig-zag variable-length integer."""
    shift = 0
    value = 0
    while True:
        byte = stream.read(1)
        if not byte:
            raise _Cut
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return (value >> 1) ^ -(value & 1)
        shift += 7
        if shift > 63:
            raise UnreadableFile("not an Avro container: a length in it is longer than 64 bits")


def _read_metadata(stream: BinaryIO, size: int) -> dict[str, bytes]:
    metadata: dict[str, bytes] = {}
    while count := _read_long(stream):
        if count < 0:
            count = -count
            _read_long(stream)  # the size of this part in bytes, which lets readers skip it
        for _ in range(count):
            name = _read_exactly(stream, _read_long(stream), size)
            metadata[name.decode("utf-8", "replace")] = _read_exactly(stream, _read_long(stream), size)
    return metadata


@lru_cache(maxsize=512)
def _fields_of(schema: bytes) -> tuple[AvroField, ...]:
    """The fields of a writer's schema; one connector writes the same few schemas into thousands of files."""
    try:
        record = json.loads(schema)
    except ValueError as error:
        raise UnreadableFile("its header holds no Avro schema") from error
    if not isinstance(record, dict) or record.get("type") != "record" or not record.get("fields"):
        raise UnreadableFile("its Avro schema is not a record with fields")
    fields = tuple(_field(declared) for declared in record["fields"])
    lowered = [field.name.lower() for field in fields]
    twice = sorted({name for name in lowered if lowered.count(name) > 1})
    if twice:
        raise UnreadableFile(f"two of its fields have names that differ only in case: {', '.join(twice)}")
    return fields


def _field(declared: dict[str, Any]) -> AvroField:
    kind = declared["type"]
    nullable = False
    if isinstance(kind, list):
        nullable = "null" in kind
        others = [branch for branch in kind if branch != "null"]
        if len(others) != 1:
            return AvroField(declared["name"], "json" if others else "null", nullable)
        kind = others[0]
    nullable_items = (
        isinstance(kind, dict) and isinstance(kind.get("items"), list) and "null" in kind["items"]
    )
    return AvroField(declared["name"], _type_name(kind), nullable, nullable_items)


def _type_name(kind: object) -> str:
    if isinstance(kind, str):
        return kind if kind in _PRIMITIVES else "json"
    if not isinstance(kind, dict):
        return "json"
    inner = kind.get("type")
    if isinstance(inner, str) and inner in _PRIMITIVES:
        return "text" if "logicalType" in kind else inner
    if inner == "enum":
        return "enum"
    if inner == "array":
        items = kind.get("items")
        if items == "string" or (isinstance(items, list) and sorted(map(str, items)) == ["null", "string"]):
            return "array<string>"
    return "json"
