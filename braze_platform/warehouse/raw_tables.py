"""Raw tables in the embedded warehouse: made from column lists, filled from Avro files, replaced by the hour."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import duckdb
import pyarrow as pa

from braze_platform.warehouse.interface import Session, WarehouseError, quoted

SCHEMA = "currents_raw"

#: Columns that say where a row came from: name, type, description.
PROVENANCE: Mapping[str, tuple[str, str]] = {
    "_hour": (
        "TIMESTAMP",
        "UTC hour in which Braze queued the event: the hour of its file, not of the event",
    ),
    "_file": ("VARCHAR", "Key of the object in the bucket from which the row was loaded"),
    "_version": ("VARCHAR", "Currents release of the file, or schema-<id> for files in the older layout"),
    "_loaded_at": ("TIMESTAMP", "UTC time at which the row was loaded"),
}


class FilesUnreadable(WarehouseError):
    """The warehouse could not read some files in full; `reasons` says why, by object key."""

    def __init__(self, reasons: Mapping[str, str]) -> None:
        super().__init__(f"{len(reasons)} files could not be read in full: {', '.join(sorted(reasons))}")
        self.reasons = dict(reasons)


@dataclass(frozen=True)
class Column:
    """A column of a raw table."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class Placement:
    """One field of a file and the column that takes it."""

    column: str
    type: str
    field: str
    conversion: Literal["cast", "json"]


@dataclass(frozen=True)
class SourceFile:
    """One Avro file to load: its object key, where it is read, its UTC hour (naive), version and record count."""

    key: str
    uri: str
    hour: datetime
    version: str
    row_count: int


@dataclass(frozen=True)
class FileGroup:
    """Files that were written with one schema, and where their fields go."""

    files: tuple[SourceFile, ...]
    placements: tuple[Placement, ...]


@contextmanager
def named_errors(doing: str) -> Iterator[None]:
    """Turn the warehouse's own errors into `WarehouseError`s that say what was being done."""
    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(f"{doing}: {error}") from error


def ensure_tables(session: Session, tables: Mapping[str, Sequence[Column]]) -> None:
    """Make the tables and columns that are missing, with their descriptions; leave what is there alone."""
    session.execute(f"create schema if not exists {SCHEMA}")
    existing: dict[str, set[str]] = {}
    for table, column in session.fetch(
        "select table_name, lower(column_name) from duckdb_columns() where schema_name = $schema",
        {"schema": SCHEMA},
    ):
        existing.setdefault(table, set()).add(column)
    incomplete = {
        table: [column for column in columns if column.name.lower() not in existing.get(table, set())]
        for table, columns in tables.items()
    }
    statements: list[str] = []
    for table, missing in incomplete.items():
        if table in existing:
            statements += [
                f"alter table {_name(table)} add column {quoted(column.name)} {column.type}"
                for column in missing
            ]
        else:
            missing = [*missing, *(Column(name, kind, text) for name, (kind, text) in PROVENANCE.items())]
            body = ", ".join(f"{quoted(column.name)} {column.type}" for column in missing)
            statements.append(f"create table {_name(table)} ({body})")
        statements += [
            f"comment on column {_name(table)}.{quoted(column.name)} is {_literal(column.description)}"
            for column in missing
        ]
    if statements:
        with session.transaction():
            session.execute("; ".join(statements))


def ensure_table(session: Session, table: str) -> None:
    """Make a table of provenance columns alone, when there is none; its files bring the rest."""
    body = ", ".join(f"{quoted(name)} {kind}" for name, (kind, _) in PROVENANCE.items())
    session.execute(f"create table if not exists {_name(table)} ({body})")


def data_columns(session: Session, table: str) -> dict[str, str]:
    """Names and types of a table's columns, without those of provenance."""
    return {name: kind for name, kind in session.columns(SCHEMA, table).items() if name not in PROVENANCE}


def add_columns(session: Session, table: str, columns: Mapping[str, str]) -> None:
    """Add columns (name to type) that a table lacks."""
    for name, kind in columns.items():
        session.execute(f"alter table {_name(table)} add column if not exists {quoted(name)} {kind}")


def delete_hours(session: Session, table: str, event_type: str, hours: Sequence[datetime]) -> None:
    """Delete what the files of some hours (naive UTC) put into a table; other event types' rows stay."""
    session.execute(
        f"delete from {_name(table)} where {_OF_THE_HOURS}",
        {"hours": list(hours), "marker": _marker(event_type)},
    )


def insert_files(session: Session, table: str, group: FileGroup, loaded_at: datetime) -> None:
    """Insert all rows of a group of files; raises `WarehouseError` when the reader fails on one of them."""
    targets = [placement.column for placement in group.placements] + list(PROVENANCE)
    with session.attached("files_to_load", _as_table(group.files)), named_errors(f"loading {table}"):
        session.execute(
            f"insert into {_name(table)} ({', '.join(quoted(name) for name in targets)}) {_select(group)}",
            {"uris": [_not_a_pattern(file.uri) for file in group.files], "loaded_at": loaded_at},
        )


def prove_rows(session: Session, table: str, event_type: str, files: Sequence[SourceFile]) -> None:
    """Compare the rows that files gave with the records they hold; raise `FilesUnreadable` on a difference."""
    hours = sorted({file.hour for file in files})
    loaded: dict[str, int] = dict(
        session.fetch(
            f"select _file, count(*) from {_name(table)} where {_OF_THE_HOURS} group by _file",
            {"hours": hours, "marker": _marker(event_type)},
        )
    )
    wrong = {
        file.key: f"it holds {file.row_count} records, but {loaded.get(file.key, 0)} rows came out of it"
        for file in files
        if loaded.get(file.key, 0) != file.row_count
    }
    if wrong:
        raise FilesUnreadable(wrong)


def find_unreadable(session: Session, group: FileGroup) -> dict[str, str]:
    """Halve a group of files until those that the reader fails on stand alone: reasons by object key."""
    try:
        with session.attached("files_to_load", _as_table(group.files)):
            session.execute(
                f"create or replace temp table files_probe as {_select(group)}",
                {
                    "uris": [_not_a_pattern(file.uri) for file in group.files],
                    "loaded_at": group.files[0].hour,
                },
            )
            session.execute("drop table files_probe")
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        if len(group.files) == 1:
            return {group.files[0].key: f"the warehouse cannot read it: {_first_line(error)}"}
        middle = len(group.files) // 2
        halves = (group.files[:middle], group.files[middle:])
        return {
            key: reason
            for half in halves
            for key, reason in find_unreadable(session, FileGroup(half, group.placements)).items()
        }
    return {}


_OF_THE_HOURS = "_hour in (select unnest($hours)) and contains('/' || _file, $marker)"


def _marker(event_type: str) -> str:
    # Two unknown event types may share a table name; the folder in the key tells their rows apart.
    return f"/event_type={event_type}/"


def _select(group: FileGroup) -> str:
    values = [
        f"cast(to_json(data.{quoted(p.field)}) as varchar)"
        if p.conversion == "json"
        else f"cast(data.{quoted(p.field)} as {p.type})"
        for p in group.placements
    ]
    chosen = ", ".join([*values, "files.hour", "files.key", "files.version", "$loaded_at::timestamp"])
    return (
        f"select {chosen} from read_avro($uris, filename = '_uri_of_file', hive_partitioning = false) as data "
        "join files_to_load as files on data._uri_of_file = files.uri"
    )


def _as_table(files: Sequence[SourceFile]) -> pa.Table:
    return pa.table(
        {
            "uri": pa.array([file.uri for file in files], pa.string()),
            "key": pa.array([file.key for file in files], pa.string()),
            "hour": pa.array([file.hour for file in files], pa.timestamp("us")),
            "version": pa.array([file.version for file in files], pa.string()),
        }
    )


def _not_a_pattern(uri: str) -> str:
    """The reader takes `*`, `?` and `[` for patterns; in brackets they stand for themselves."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in uri)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(table: str) -> str:
    return f"{SCHEMA}.{quoted(table)}"
