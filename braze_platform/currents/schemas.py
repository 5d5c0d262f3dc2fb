"""The registry of every schema that files were written with, and how a schema differs from the catalogue."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from typing import Literal, TypeAlias

from braze_platform.currents.avro_files import AvroField
from braze_platform.currents.catalogue import EventType, Field
from braze_platform.currents.columns import column_type, map_columns
from braze_platform.currents.file_registry import LoadedFile
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import FILE_SCHEMAS, SCHEMAS

Change: TypeAlias = Literal[
    "added", "missing", "wider type", "other type", "now nullable", "now required", "items now nullable"
]


@dataclass(frozen=True)
class SeenSchema:
    """A schema that files of one event type and version were written with."""

    event_type: str
    #: As in the raw tables: `12`, or `schema-1523` in the older layout.
    version: str
    fields: tuple[AvroField, ...]
    #: Files of the asked days that have it, and one of them.
    files: int
    example_file: str
    #: Whether no file of the event type was ever seen with a newer version.
    is_newest: bool

    @property
    def fingerprint(self) -> str:
        """The same for the same fields in the same order."""
        return fingerprint_of(self.fields)


@dataclass(frozen=True)
class FieldDifference:
    """One field on which a schema and the catalogue do not agree."""

    field: str
    change: Change
    in_files: str
    in_catalogue: str
    #: The column that takes the values when it is not the field's own.
    kept_in: str | None = None

    def __str__(self) -> str:
        """In words."""
        kept = f", kept in column {self.kept_in}" if self.kept_in else ""
        return f"{self.field}: {self.change} (files: {self.in_files}; catalogue: {self.in_catalogue}{kept})"


def ensure_registry(session: Session) -> None:
    """Make the view of the registry's tables where it is missing."""
    schemas, file_schemas = _tables(session)
    session.execute(
        f"create view if not exists {session.sql.table(SCHEMAS.dataset.name, 'schemas_in_use')} as "
        "select known.event_type, known.version, known.fingerprint, known.fields, known.first_seen_at, "
        "known.example_file, count(used.object_key) as files, min(used.hour) as first_hour, "
        f"max(used.hour) as last_hour from {schemas} as known left join {file_schemas} as used "
        "on used.event_type = known.event_type and used.version = known.version "
        "and used.fingerprint = known.fingerprint group by 1, 2, 3, 4, 5, 6"
    )


def _tables(session: Session) -> tuple[str, str]:
    """The registry's two tables in the session's SQL: schemas, and which file has which."""
    return SCHEMAS.ref(session.sql), FILE_SCHEMAS.ref(session.sql)


def fingerprint_of(fields: Iterable[AvroField]) -> str:
    """A short name for a list of fields, which depends on their order too."""
    return _fingerprint(tuple(fields))


@lru_cache(maxsize=512)
def _fingerprint(fields: tuple[AvroField, ...]) -> str:
    return blake2b(_as_text(fields).encode(), digest_size=8).hexdigest()


def record_schemas(
    session: Session,
    event_type: str,
    hours: Sequence[datetime],
    files: Sequence[tuple[LoadedFile, tuple[AvroField, ...]]],
    seen_at: datetime,
) -> None:
    """Make `files` all that the registry says of some hours, in the transaction that loads them."""
    schemas, file_schemas = _tables(session)
    session.execute(
        f"delete from {file_schemas} where event_type = $event_type and {session.sql.among('hour', 'hours')}",
        {"event_type": event_type, "hours": list(hours)},
    )
    if not files:
        return
    known = {
        (version, mark)
        for version, mark in session.fetch(
            f"select version, fingerprint from {schemas} where event_type = $event_type",
            {"event_type": event_type},
        )
    }
    new: dict[tuple[str, str], Sequence[object]] = {}
    used: list[Sequence[object]] = []
    for file, fields in files:
        mark, version = fingerprint_of(fields), file.version or ""
        used.append((event_type, file.hour, file.object_key, version, mark))
        if (version, mark) not in known:
            described = (event_type, version, mark, _as_text(fields), seen_at, file.object_key)
            new.setdefault((version, mark), described)
    FILE_SCHEMAS.append(session, used)
    SCHEMAS.append(session, new.values())


def schemas_of_days(session: Session, first_day: date, last_day: date) -> dict[str, list[SeenSchema]]:
    """The schemas that the loaded files of some days have, by event type, oldest version first."""
    schemas, file_schemas = _tables(session)
    newest: dict[str, tuple[int, int]] = {}
    for event_type, version in session.fetch(f"select distinct event_type, version from {schemas}"):
        newest[event_type] = max(newest.get(event_type, (0, 0)), _age(version))
    found: dict[str, list[SeenSchema]] = {}
    for event_type, version, fields, files, example in session.fetch(
        "select known.event_type, known.version, known.fields, count(*), min(used.object_key) "
        f"from {file_schemas} as used join {schemas} as known "
        "on known.event_type = used.event_type and known.version = used.version "
        "and known.fingerprint = used.fingerprint "
        "where used.hour >= $first and used.hour < $after group by 1, 2, 3",
        {
            "first": datetime.combine(first_day, datetime.min.time()),
            "after": datetime.combine(last_day + timedelta(days=1), datetime.min.time()),
        },
    ):
        is_newest = _age(version) == newest[event_type]
        found.setdefault(event_type, []).append(
            SeenSchema(event_type, version, _from_text(fields), int(files), example, is_newest)
        )
    for of_type in found.values():
        of_type.sort(key=lambda seen: (*_age(seen.version), seen.fingerprint))
    return found


def differences(event_type: EventType, seen: SeenSchema) -> list[FieldDifference]:
    """How a schema differs from the catalogue, matched by name whatever the order.

    A field that only an older version lacks is no difference: it had not been added yet.
    """
    declared = {field.name.lower(): field for field in event_type.fields}
    columns = {field.name: column_type(field) for field in event_type.fields}
    found: list[FieldDifference] = []
    for field in seen.fields:
        described = _described(field)
        known = declared.get(field.name.lower())
        if known is None:
            found.append(FieldDifference(field.name, "added", described, "no such field"))
            continue
        found += [
            FieldDifference(field.name, change, described, _declared(known), kept_in)
            for change, kept_in in _changes(field, known, columns)
        ]
    if seen.is_newest:
        present = {field.name.lower() for field in seen.fields}
        found += [
            FieldDifference(known.name, "missing", "no such field", _declared(known))
            for name, known in declared.items()
            if name not in present
        ]
    return found


def _changes(
    field: AvroField, known: Field, columns: Mapping[str, str]
) -> Iterable[tuple[Change, str | None]]:
    if field.type != known.type.replace("?", ""):
        placed = map_columns(columns, [field]).placements
        beside = placed[0].column if placed and placed[0].column.lower() != field.name.lower() else None
        yield ("other type" if beside or not placed else "wider type"), beside
    if field.nullable != known.nullable:
        yield ("now nullable" if field.nullable else "now required"), None
    if field.nullable_items and known.type == "array<string>":
        yield "items now nullable", None


def _described(field: AvroField) -> str:
    kind = "array<string?>" if field.nullable_items and field.type == "array<string>" else field.type
    return f"{kind}{', nullable' if field.nullable else ''}"


def _declared(field: Field) -> str:
    return f"{field.type}{', nullable' if field.nullable else ''}"


def _age(version: str) -> tuple[int, int]:
    """Versions in the order of their release: all schema ids of the older layout before all release numbers."""
    number = version.removeprefix("schema-")
    return (0 if version.startswith("schema-") else 1, int(number) if number.isdigit() else 0)


def _as_text(fields: Iterable[AvroField]) -> str:
    return json.dumps(
        [(field.name, field.type, field.nullable, field.nullable_items) for field in fields],
        separators=(",", ":"),
    )


def _from_text(text: str) -> tuple[AvroField, ...]:
    return tuple(AvroField(*values) for values in json.loads(text))
