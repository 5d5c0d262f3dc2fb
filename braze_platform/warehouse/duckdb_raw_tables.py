"""Raw tables in the embedded warehouse: filled straight from the Avro files, inside the transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

import duckdb
import pyarrow as pa

from braze_platform.warehouse.interface import Session, WarehouseError
from braze_platform.warehouse.raw_tables import (
    DESCRIPTION,
    PROVENANCE,
    SCHEMA,
    FileGroup,
    FilesUnreadable,
    Placement,
    SourceFile,
    error_context,
    marker_of,
)
from braze_platform.warehouse.sql import DuckDBSql
from braze_platform.warehouse.tables import Column

_SQL = DuckDBSql()
#: Errors that say nothing of the file that was read when they came: memory, an interruption, a database that gave up.
#: Whatever else the reader or the conversion of a value raises is about the file.
_NOT_THE_FILE_S = (
    duckdb.OutOfMemoryException,
    duckdb.InterruptException,
    duckdb.InternalException,
    duckdb.FatalException,
    duckdb.ConnectionException,
    duckdb.TransactionException,
)
#: Rows of an event type's hours. No subquery: rows of a transaction that goes on are not in the table's statistics, so
#: DuckDB would make a hash table of them instead of the hours, and ten million do not fit into its memory. The bounds
#: let it skip what lies outside.
_OF_THE_HOURS = (
    "_hour between list_min($hours) and list_max($hours) and list_contains($hours, _hour) "
    "and contains('/' || _file, $marker)"
)


class DuckDBRawTables:
    """See `raw_tables.RawTables`."""

    #: DuckDB's reader stops silently where a file was cut.
    notices_missing_rows = False
    files_at_once = 10_000

    def __init__(self, session: Session) -> None:
        self._session = session

    def ensure_tables(
        self, tables: Mapping[str, Sequence[Column]], at_hand: Collection[str] | None = None
    ) -> None:
        """See `RawTables.ensure_tables`."""
        session = self._session
        session.create_schema(SCHEMA, DESCRIPTION)
        existing: dict[str, set[str]] = {}
        for table, column in session.fetch(
            "select table_name, lower(column_name) from duckdb_columns() where schema_name = $schema",
            {"schema": SCHEMA},
        ):
            existing.setdefault(table, set()).add(column)
        statements: list[str] = []
        for table, columns in tables.items():
            if table in existing and at_hand is not None and table not in at_hand:
                continue
            missing = [column for column in columns if column.name.lower() not in existing.get(table, set())]
            if table in existing:
                statements += [
                    f"alter table {_name(table)} add column {_SQL.quoted(column.name)} {column.type}"
                    for column in missing
                ]
            else:
                missing = [*missing, *(Column(name, kind, text) for name, (kind, text) in PROVENANCE.items())]
                body = ", ".join(f"{_SQL.quoted(column.name)} {column.type}" for column in missing)
                statements.append(f"create table {_name(table)} ({body})")
            statements += [
                f"comment on column {_name(table)}.{_SQL.quoted(column.name)} is {_SQL.literal(column.description)}"
                for column in missing
            ]
        if statements:
            with session.transaction():
                session.execute("; ".join(statements))

    def ensure_table(self, table: str) -> None:
        """See `RawTables.ensure_table`."""
        body = ", ".join(f"{_SQL.quoted(name)} {kind}" for name, (kind, _) in PROVENANCE.items())
        self._session.execute(f"create table if not exists {_name(table)} ({body})")

    def data_columns(self, table: str) -> dict[str, str]:
        """See `RawTables.data_columns`."""
        found = self._session.columns(SCHEMA, table)
        return {name: kind for name, kind in found.items() if name not in PROVENANCE}

    @contextmanager
    def staged(
        self, table: str, event_type: str, groups: Sequence[FileGroup], new_columns: Mapping[str, str]
    ) -> Iterator[FilesOnDisk]:
        """See `RawTables.staged`: nothing is copied; when reading fails, the file that did it is looked for."""
        files = FilesOnDisk(self._session, table, groups, new_columns)
        try:
            yield files
        except FilesUnreadable:
            raise
        except (WarehouseError, duckdb.Error):
            with error_context(self._session, f"looking for the unreadable file of {event_type}"):
                unreadable = find_unreadable(self._session, files.being_read) if files.being_read else {}
            if not unreadable:
                raise
            raise FilesUnreadable(unreadable) from None

    def sweep(self, files: Iterable[tuple[str, str]]) -> None:
        """See `RawTables.sweep`: there is never anything left."""


class FilesOnDisk:
    """See `raw_tables.StagedFiles`."""

    def __init__(
        self, session: Session, table: str, groups: Sequence[FileGroup], new_columns: Mapping[str, str]
    ) -> None:
        self._session = session
        self._table = table
        self._groups = groups
        self._new_columns = new_columns
        #: The group whose reading did not end yet.
        self.being_read: FileGroup | None = None

    def replace(self, event_type: str, hours: Sequence[datetime], loaded_at: datetime) -> Mapping[str, int]:
        """See `StagedFiles.replace`."""
        # First, since DuckDB alters no table that the transaction has written to.
        for name, kind in self._new_columns.items():
            self._session.execute(
                f"alter table {_name(self._table)} add column if not exists {_SQL.quoted(name)} {kind}"
            )
        self._session.execute(
            f"delete from {_name(self._table)} where {_OF_THE_HOURS}",
            {"hours": list(hours), "marker": marker_of(event_type)},
        )
        for group in self._groups:
            self.being_read = group
            insert_files(self._session, self._table, group, loaded_at)
        self.being_read = None
        return prove_rows(
            self._session, self._table, event_type, [file for group in self._groups for file in group.files]
        )


def insert_files(session: Session, table: str, group: FileGroup, loaded_at: datetime) -> None:
    """Insert all rows of a group of files; raises `WarehouseError` when the reader fails on one of them."""
    targets = [placement.column for placement in group.placements] + list(PROVENANCE)
    rows, parameters = _rows(group, loaded_at)
    with (
        session.attached("files_to_load", _as_table(group.files)),
        error_context(session, f"loading {table}"),
    ):
        session.execute(
            f"insert into {_name(table)} ({', '.join(_SQL.quoted(name) for name in targets)}) {rows}",
            parameters,
        )


def prove_rows(
    session: Session, table: str, event_type: str, files: Sequence[SourceFile]
) -> Mapping[str, int]:
    """The rows that files gave; raises `FilesUnreadable` where they are not the records that a file holds."""
    if not files:
        return {}
    hours = sorted({file.hour for file in files})
    loaded: dict[str, int] = dict(
        session.fetch(
            f"select _file, count(*) from {_name(table)} where {_OF_THE_HOURS} group by _file",
            {"hours": hours, "marker": marker_of(event_type)},
        )
    )
    wrong = {
        file.key: f"it holds {file.row_count} records, but {loaded.get(file.key, 0)} rows came out of it"
        for file in files
        if loaded.get(file.key, 0) != file.row_count
    }
    if wrong:
        raise FilesUnreadable(wrong)
    return {file.key: loaded.get(file.key, 0) for file in files}


def find_unreadable(session: Session, group: FileGroup) -> dict[str, str]:
    """Halve a group of files until those that the reader fails on stand alone: reasons by object key."""
    rows, parameters = _rows(group, group.files[0].hour)
    try:
        with session.attached("files_to_load", _as_table(group.files)):
            session.execute(f"create or replace temp table files_probe as {rows}", parameters)
            session.execute("drop table files_probe")
    except duckdb.Error as error:
        if isinstance(error, _NOT_THE_FILE_S) or (
            isinstance(error, duckdb.IOException)
            and not any(file.read_from in str(error) for file in group.files)
        ):
            raise
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


def _rows(group: FileGroup, loaded_at: datetime) -> tuple[str, dict[str, object]]:
    """The query for the rows of a group of files, and its parameters; it may read the table `files_to_load`."""
    values = [_value(placement) for placement in group.placements]
    # No field of a file that is read so begins with an underscore.
    files = "read_avro($uris, filename = '_uri_of_file', hive_partitioning = false) as _event"
    parameters: dict[str, object] = {
        "uris": [_escape_glob(file.read_from) for file in group.files],
        "loaded_at": loaded_at,
    }
    provenance = ["files.hour", "files.key", "files.version"]
    found = {(file.hour, file.version, file.read_from.removesuffix(file.key)) for file in group.files}
    if len(found) == 1 and all(file.read_from.endswith(file.key) for file in group.files):
        # Files of one hour, as a rule: what is the same for all rows of a file costs less than a join for each row.
        [(hour, version, bucket)] = found
        provenance = [
            "$hour::timestamp",
            f"substring(_event._uri_of_file, {len(bucket) + 1})",
            "$version::varchar",
        ]
        parameters |= {"hour": hour, "version": version}
    else:
        files += " join files_to_load as files on _event._uri_of_file = files.uri"
    chosen = ", ".join([*values, *provenance, "$loaded_at::timestamp"])
    return f"select {chosen} from {files}", parameters


def _value(placement: Placement) -> str:
    value = f"cast(_event.{_SQL.quoted(placement.field)} as {placement.type})"
    if placement.conversion == "cast":
        return value
    return _SQL.contact_hashes(value) if placement.type.endswith("[]") else _SQL.contact_hash(value)


def _as_table(files: Sequence[SourceFile]) -> pa.Table:
    return pa.table(
        {
            "uri": pa.array([file.read_from for file in files], pa.string()),
            "key": pa.array([file.key for file in files], pa.string()),
            "hour": pa.array([file.hour for file in files], pa.timestamp("us")),
            "version": pa.array([file.version for file in files], pa.string()),
        }
    )


def _escape_glob(uri: str) -> str:
    """A URI whose `*`, `?` and `[` the reader takes literally: in brackets they are not wildcards."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in uri)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:300]


def _name(table: str) -> str:
    return _SQL.table(SCHEMA, table)
