"""Where the fields of a file go in its raw table: matched by name, widened when nothing is lost, never dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from braze_platform.currents.avro_files import AvroField
from braze_platform.currents.catalogue import Field
from braze_platform.warehouse.raw_tables import PROVENANCE, Placement

#: Column type of each type a file's field may have (see `avro_files.AvroField`).
_COLUMN_TYPES: Mapping[str, str] = {
    "string": "VARCHAR",
    "enum": "VARCHAR",
    "text": "VARCHAR",
    "json": "VARCHAR",
    "int": "BIGINT",
    "long": "BIGINT",
    "float": "DOUBLE",
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "bytes": "BLOB",
    "array<string>": "VARCHAR[]",
}
#: Beginnings of names that BigQuery does not take for a column, in any case
#: (https://cloud.google.com/bigquery/docs/schemas#column_names).
_RESERVED = (
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TYPE",
    "_CHANGE_TIMESTAMP",
)
#: Column types that hold every value of another type of field.
_HOLDS: Mapping[str, frozenset[str]] = {
    "VARCHAR": frozenset({"int", "long", "boolean"}),
    "DOUBLE": frozenset({"int"}),
}


@dataclass(frozen=True)
class ColumnMapping:
    """How the files of one schema go into a table, and which columns the table lacks for it."""

    placements: tuple[Placement, ...]
    new_columns: Mapping[str, str]


def column_type(field: Field) -> str:
    """The column type of a catalogue field.

    >>> column_type(Field("media_urls", "array<string?>", True))
    'VARCHAR[]'
    """
    return _COLUMN_TYPES[field.type.replace("?", "")]


def map_columns(
    existing: Mapping[str, str],
    fields: Iterable[AvroField],
    is_hashed: Callable[[str], bool] = lambda _: False,
) -> ColumnMapping:
    """Match a file's fields to a table's columns (name to type) by name, whatever their order.

    A field the table lacks becomes a new column. A field whose values do not fit the column's type goes into
    `<name>__<type>` beside it, one that is named like a provenance column into `<name>__field`, and one whose name
    BigQuery reserves into `field_<name>`. What fields hold whose names `is_hashed` takes become hashes, whatever their
    types.
    """
    fields = list(fields)
    columns = {name.lower(): (name, kind) for name, kind in existing.items()}
    taken = {name.lower() for name in PROVENANCE} | {field.name.lower() for field in fields}
    placements: list[Placement] = []
    new_columns: dict[str, str] = {}
    for field in fields:
        if field.type == "null":
            continue
        wanted = _COLUMN_TYPES[field.type]
        conversion: Literal["cast", "hash"] = "cast"
        if is_hashed(field.name):
            conversion = "hash"
            wanted = wanted if wanted == "VARCHAR[]" else "VARCHAR"
        name, kind = columns.get(field.name.lower(), (field.name, wanted))
        if name.lower() in PROVENANCE:
            name, kind = _beside(f"{field.name}__field", wanted, columns, taken)
        elif name.upper().startswith(_RESERVED):
            name, kind = _beside(f"field_{field.name}", wanted, columns, taken)
        elif kind != wanted and (conversion == "hash" or field.type not in _HOLDS.get(kind, frozenset())):
            ending = "strings" if wanted == "VARCHAR[]" else "hash" if conversion == "hash" else field.type
            name, kind = _beside(f"{field.name}__{ending}", wanted, columns, taken)
        if name.lower() not in columns:
            columns[name.lower()] = (name, kind)
            new_columns[name] = kind
        placements.append(Placement(name, kind, field.name, conversion))
    return ColumnMapping(tuple(placements), new_columns)


def _beside(
    name: str, wanted: str, columns: Mapping[str, tuple[str, str]], taken: set[str]
) -> tuple[str, str]:
    """A column of the wanted type that no field of the file has by name, nor another one was given."""
    while name.lower() in taken or columns.get(name.lower(), (name, wanted))[1] != wanted:
        name += "_"
    taken.add(name.lower())
    return columns.get(name.lower(), (name, wanted))
