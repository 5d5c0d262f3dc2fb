"""What an Avro object container holds, proven complete by walking its blocks, of which few are decoded.

The warehouse's own reader stops silently at the point where a file was cut, so completeness is checked here first.
Source of the format: the Apache Avro specification, "Object Container Files".
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, BinaryIO

from braze_platform.currents.avro_blocks import DEFAULT_LIMITS, AvroLimits, BlockFault, Blocks

_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_PRIMITIVES = frozenset({"string", "int", "long", "float", "double", "boolean", "bytes", "null"})
_NAMED = frozenset({"record", "error", "enum", "fixed"})
_COMPLEX = _NAMED | {"array", "map"}
#: What both warehouses' readers can decompress.
_CODECS = frozenset({"null", "deflate", "snappy"})
#: Logical types whose values are kept as text, by their underlying type. Others are their underlying type: "Language
#: implementations must ignore unknown logical types when reading, and should use the underlying Avro type."
_TEXTS = frozenset(
    {
        ("int", "date"),
        ("int", "time-millis"),
        ("long", "time-micros"),
        ("long", "timestamp-millis"),
        ("long", "timestamp-micros"),
        ("long", "local-timestamp-millis"),
        ("long", "local-timestamp-micros"),
        ("bytes", "decimal"),
        ("fixed", "decimal"),
    }
)
#: A name by Avro's specification; both warehouses take what is no longer as a column, with an ending of ours behind it.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,249}")
#: Names that begin with an underscore are the platform's own (`_hour`), a reader's or BigQuery's (`_PARTITIONTIME`).
_PLAIN_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")

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

    `type` is an Avro primitive (`bytes` for `fixed`, too), `enum`, `array<string>`, `text` (dates, times and decimals,
    kept as text) or `json` (records, maps, other arrays, and unions of several types, kept as text: strings as they
    are, everything else as JSON).
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
    #: Whether both warehouses read all of its fields, and read them alike; otherwise see `plain_avro`.
    is_plain: bool = True
    #: Whether a type of it holds itself: fastavro's compiled reader follows such values until the process dies.
    is_recursive: bool = False


def inspect(stream: BinaryIO, limits: AvroLimits = DEFAULT_LIMITS) -> AvroFile:
    """Read the header and walk all blocks of a seekable stream; raise `UnreadableFile` when it is not whole."""
    size, header = _read_header(stream, limits)
    judged = Blocks(header.schema, header.codec, limits.block_bytes, is_recursive=header.is_recursive)
    rows = 0
    blocks = 0
    while (start := stream.tell()) < size:
        try:
            count = _read_long(stream)
            length = _read_long(stream)
            if count < 0 or length < 0:
                raise UnreadableFile(f"block {blocks + 1} at byte {start} has a negative length")
            content = stream.tell()
            if content + length + _SYNC_BYTES > size:
                raise _Cut
            judged.check(count, length, partial(_read_exactly, stream, length, size))
            stream.seek(content + length)
            marker = _read_exactly(stream, _SYNC_BYTES, size)
        except BlockFault as fault:
            raise UnreadableFile(f"block {blocks + 1} at byte {start} {fault}") from fault
        except _Cut as cut:
            raise UnreadableFile(
                f"truncated inside block {blocks + 1}, after {size} bytes; {rows} records are in complete blocks"
            ) from cut
        if marker != header.sync:
            raise UnreadableFile(
                f"block {blocks + 1} at byte {start} does not end with the file's sync marker"
            )
        rows += count
        blocks += 1
    if rows == 0:
        raise UnreadableFile(_NO_EVENTS)
    return AvroFile(header.fields, rows, header.schema, header.is_plain, header.is_recursive)


def inspect_ends(stream: BinaryIO, limits: AvroLimits = DEFAULT_LIMITS) -> AvroFile:
    """Read the header and the last 16 bytes of a seekable stream, whatever its size; its records are not counted.

    Every block ends with the file's sync marker, so a file that was cut inside a block does not. One that was cut
    between two blocks is whole to every reader. Raises `UnreadableFile`.
    """
    size, header = _read_header(stream, limits)
    if stream.tell() == size:
        raise UnreadableFile(_NO_EVENTS)
    stream.seek(max(size - _SYNC_BYTES, stream.tell()))
    if stream.read(_SYNC_BYTES) != header.sync:
        raise UnreadableFile(
            f"truncated inside a block, after {size} bytes: it does not end with its sync marker"
        )
    return AvroFile(header.fields, None, header.schema, header.is_plain, header.is_recursive)


@dataclass(frozen=True)
class _Header:
    fields: tuple[AvroField, ...]
    is_plain: bool
    schema: str
    sync: bytes
    codec: str
    is_recursive: bool


def _read_header(stream: BinaryIO, limits: AvroLimits) -> tuple[int, _Header]:
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
    fields, is_plain, is_recursive = _fields_of(schema)
    if len(fields) > limits.fields:
        raise UnreadableFile(
            f"its Avro schema has {len(fields):,} fields; at most {limits.fields:,} can be loaded "
            "(BRAZE_PLATFORM_CURRENTS_MAX_FIELDS; after a change reload its hour)"
        )
    return size, _Header(fields, is_plain, schema.decode("utf-8"), sync, codec, is_recursive)


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
            try:
                key = name.decode("utf-8")
            except UnicodeDecodeError as error:
                raise UnreadableFile("its header has a name that is no UTF-8") from error
            metadata[key] = _read_exactly(stream, _read_long(stream), size)
    return metadata


@lru_cache(maxsize=512)
def _fields_of(schema: bytes) -> tuple[tuple[AvroField, ...], bool, bool]:
    """The fields of a writer's schema, whether all are plain, and whether a type holds itself.

    One connector writes a few schemas into all files.
    """
    try:
        record = json.loads(schema.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise UnreadableFile("its header holds no Avro schema") from error
    if not isinstance(record, dict) or record.get("type") != "record" or not record.get("fields"):
        raise UnreadableFile("its Avro schema is not a record with fields")
    try:
        names = _NamedTypes()
        resolved = names.resolved(record, "")
        declared = [(field["name"], field["type"]) for field in resolved["fields"]]
        fields = tuple(_field(name, kind) for name, kind in declared)
        is_plain = all(
            _PLAIN_NAME.fullmatch(str(field["name"])) and _is_plain(field["type"])
            for field in record["fields"]
        )
    except UnreadableFile:
        raise
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise UnreadableFile(f"its Avro schema is malformed ({type(error).__name__})") from error
    _check_names([field.name for field in fields])
    return fields, is_plain, names.is_recursive


def _check_names(names: list[str]) -> None:
    for name in names:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise UnreadableFile(f"its Avro schema has a field with the invalid name {str(name)[:60]!r}")
    counts = Counter(name.lower() for name in names)
    twice = sorted(name for name, count in counts.items() if count > 1)
    if twice:
        raise UnreadableFile(f"two of its fields have names that differ only in case: {', '.join(twice)}")


class _NamedTypes:
    """Records, enums and fixed of a schema, which are defined where they are first used and named from then on.

    A name without dots is in the namespace of the definition around it (Avro's specification, "Names").
    """

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        self._open: set[str] = set()
        #: Whether a type holds itself, so that its values may be nested without an end.
        self.is_recursive = False

    def resolved(self, kind: Any, namespace: str) -> Any:
        """A type without names that stand for other types, except inside a type that holds itself."""
        if isinstance(kind, list):
            return [self.resolved(branch, namespace) for branch in kind]
        if isinstance(kind, str):
            if kind in _PRIMITIVES:
                return kind
            full = kind if "." in kind or not namespace else f"{namespace}.{kind}"
            # Some writers leave the namespace out although the definition has one.
            name = full if full in self._known else kind
            self.is_recursive = self.is_recursive or name in self._open
            return self._known[name]
        inner = kind["type"]
        if isinstance(inner, (dict, list)) or (inner not in _PRIMITIVES and inner not in _COMPLEX):
            return self.resolved(inner, namespace)
        if inner in _NAMED:
            return self._defined(kind, namespace)
        if inner == "array":
            items = self.resolved(kind["items"], namespace)
            if _takes_no_bytes(items):
                raise UnreadableFile(
                    "its Avro schema has an array of nothing, of which any number of items take no bytes"
                )
            return {**kind, "items": items}
        if inner == "map":
            return {**kind, "values": self.resolved(kind["values"], namespace)}
        return kind

    def _defined(self, kind: dict[str, Any], namespace: str) -> dict[str, Any]:
        name = str(kind["name"])
        space = name.rpartition(".")[0] if "." in name else str(kind.get("namespace") or namespace)
        short = name.rpartition(".")[2]
        found = dict(kind)
        full = f"{space}.{short}" if space else short
        self._known[full] = found
        if kind["type"] in ("record", "error"):
            self._open.add(full)
            found["fields"] = [
                {**field, "type": self.resolved(field["type"], space)} for field in kind["fields"]
            ]
            self._open.discard(full)
        return found


def _field(name: str, kind: Any) -> AvroField:
    """A field by its resolved type."""
    nullable, others = _branches(kind)
    if len(others) != 1:
        return AvroField(name, "json" if others else "null", nullable)
    [only] = others
    nullable_items = isinstance(only, dict) and only["type"] == "array" and _branches(only["items"])[0]
    return AvroField(name, _type_name(only), nullable, nullable_items)


def _branches(kind: Any) -> tuple[bool, list[Any]]:
    """Whether null is among the branches of a type, and the others."""
    branches = kind if isinstance(kind, list) else [kind]
    others = [branch for branch in branches if not _is_null(branch)]
    return len(others) < len(branches), others


def _is_null(kind: Any) -> bool:
    return kind == "null" or (isinstance(kind, dict) and kind["type"] == "null")


def _takes_no_bytes(kind: Any) -> bool:
    """Whether values of a resolved type are written as nothing at all: nulls, and what consists of them."""
    if not isinstance(kind, dict):
        return _is_null(kind)
    if kind["type"] in ("record", "error"):
        # Inside a type that holds itself stand names, and such a type has a branch or a length somewhere.
        return all(_takes_no_bytes(field["type"]) for field in kind["fields"])
    return _is_null(kind) or (kind["type"] == "fixed" and not kind["size"])


def _type_name(kind: Any) -> str:
    if isinstance(kind, str):
        return kind
    inner = str(kind["type"])
    if (inner, kind.get("logicalType")) in _TEXTS:
        return "text"
    if inner == "array":
        _, items = _branches(kind["items"])
        return "array<string>" if len(items) == 1 and _type_name(items[0]) == "string" else "json"
    return {"record": "json", "error": "json", "map": "json", "fixed": "bytes"}.get(inner, inner)


def _is_plain(declared: Any) -> bool:
    """Whether both warehouses read a field's type as it is declared, and read it alike."""
    if isinstance(declared, list):
        others = [branch for branch in declared if branch != "null"]
        return not others or (len(others) == 1 and not isinstance(others[0], list) and _is_plain(others[0]))
    if isinstance(declared, str):
        return declared in _PRIMITIVES
    inner = declared["type"]
    if inner == "array":
        items = declared["items"]
        return items == "string" or (
            isinstance(items, list) and sorted(map(str, items)) == ["null", "string"]
        )
    return (
        "logicalType" not in declared and isinstance(inner, str) and (inner in _PRIMITIVES or inner == "enum")
    )
