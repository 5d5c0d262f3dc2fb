"""Raw tables: what they are, and what a warehouse must be able to do with them, whichever it is."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from braze_platform.warehouse.interface import Session, StatementFailed, WarehouseError
from braze_platform.warehouse.tables import Column

SCHEMA = "currents_raw"
DESCRIPTION = "Braze Currents as it was delivered: one table per event type, one row per delivered event."

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
class Placement:
    """One field of a file and the column that takes it."""

    column: str
    type: str
    field: str
    #: `hash`: the SHA-256 of the text in small letters and without blanks around it, so that equal contacts stay equal.
    conversion: Literal["cast", "hash"]


@dataclass(frozen=True)
class SourceFile:
    """One Avro file to load: its object key, where it is read, its UTC hour (naive) and version."""

    key: str
    uri: str
    hour: datetime
    version: str
    #: Records in it, when that is known before the warehouse reads it.
    row_count: int | None
    #: Changes whenever the object is rewritten.
    generation: str = ""
    #: A local file to read in place of the object: its records in types that every warehouse knows.
    copy: Path | None = None

    @property
    def read_from(self) -> str:
        """The path or URI that the warehouse's reader opens."""
        return self.uri if self.copy is None else str(self.copy)


@dataclass(frozen=True)
class FileGroup:
    """Files that were written with one schema, and where their fields go."""

    files: tuple[SourceFile, ...]
    placements: tuple[Placement, ...]
    #: The Avro schema of what is read: records of primitives, enums and arrays of strings.
    avro_schema: str = ""


@contextmanager
def error_context(session: Session, action: str) -> Iterator[None]:
    """Turn the warehouse's own errors into `WarehouseError`s that name the action that failed."""
    try:
        yield
    except StatementFailed as error:
        raise type(error)(f"{action}: {error}") from error
    except session.driver_errors as error:
        raise WarehouseError(f"{action}: {error}") from error


class StagedFiles(Protocol):
    """Files that the warehouse is ready to put into their raw table."""

    def replace(self, event_type: str, hours: Sequence[datetime], loaded_at: datetime) -> Mapping[str, int]:
        """Inside a transaction, replace what some hours (naive UTC) of an event type hold by the files.

        Rows of other event types stay. Gives the rows that came out of each file, by object key. Raises
        `FilesUnreadable` when a file gave less than it holds.
        """
        ...


class RawTables(Protocol):
    """The raw tables of one session."""

    @property
    def notices_missing_rows(self) -> bool:
        """Whether the warehouse's reader fails on a file that ends too early, so that nobody must count before."""
        ...

    @property
    def files_at_once(self) -> int:
        """How many files one transaction may take in; a single hour with more is tried all the same."""
        ...

    def ensure_tables(
        self, tables: Mapping[str, Sequence[Column]], at_hand: Collection[str] | None = None
    ) -> None:
        """Make the tables that are missing, and in those `at_hand` (default: all) the columns.

        All come with their descriptions. What is there is left alone.
        """
        ...

    def ensure_table(self, table: str) -> None:
        """Make a table of provenance columns alone, when there is none; its files bring the rest."""
        ...

    def data_columns(self, table: str) -> dict[str, str]:
        """Names and types (by DuckDB's names) of a table's columns, without those of provenance."""
        ...

    def staged(
        self, table: str, event_type: str, groups: Sequence[FileGroup], new_columns: Mapping[str, str]
    ) -> AbstractContextManager[StagedFiles]:
        """Make files ready for a transaction, and clean up when the context ends, however it ends.

        The table gets its `new_columns` (name to type) once the files could be read.
        Raises `FilesUnreadable` for files that cannot be read, here or on `replace`.
        """
        ...

    def sweep(self, files: Iterable[tuple[str, str]]) -> None:
        """Remove what a load that died left of files (URI, generation) that are in their raw table by now."""
        ...


def raw_tables_of(session: Session) -> RawTables:
    """The raw tables behind a session."""
    if session.dialect == "duckdb":
        from braze_platform.warehouse.duckdb_raw_tables import DuckDBRawTables

        return DuckDBRawTables(session)
    from braze_platform.warehouse.bigquery import BigQuerySession
    from braze_platform.warehouse.bigquery_raw_tables import BigQueryRawTables

    if not isinstance(session, BigQuerySession):
        raise TypeError(f"{type(session).__name__} has no raw tables")
    return BigQueryRawTables(session)


def marker_of(event_type: str) -> str:
    """What the key of an event type's file holds, behind a slash in front.

    Two unknown event types may share a table name; the folder in the key distinguishes their rows.
    """
    return f"/event_type={event_type}/"
