"""The file registry (which object went into which hour, and when) and the quarantine of unreadable objects."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pyarrow as pa

from braze_platform.currents.listing import ListedFile
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.migrations import migrate
from braze_platform.warehouse.registry import FILE_SCHEMAS, FILES, LOADS, QUARANTINE, RELOADS, SCHEMAS
from braze_platform.warehouse.tables import ensure

_FILES = FILES.schema("event_type", "hour", "object_key", "generation", "size_bytes", "row_count", "version")
_BAD_FILES = QUARANTINE.schema("object_key", "event_type", "hour", "generation", "size_bytes", "reason")


@dataclass(frozen=True)
class LoadedFile:
    """A row of the file registry. An hour that lost all of its files keeps one row with an empty `object_key` and no
    rows, so that what comes after sees that the hour changed."""

    event_type: str
    hour: datetime
    object_key: str
    generation: str
    size_bytes: int
    row_count: int
    version: str | None

    @classmethod
    def of(cls, listed: ListedFile, rows: int) -> LoadedFile:
        """A file of which so many rows were loaded."""
        found, file = listed.object, listed.file
        return cls(
            file.event_type,
            file.naive_hour,
            found.key,
            found.generation,
            found.size_bytes,
            rows,
            file.version,
        )


@dataclass(frozen=True)
class BadFile:
    """An object that cannot be loaded, and why. Unrecognised objects have no event type and no hour."""

    object_key: str
    event_type: str | None
    hour: datetime | None
    generation: str
    size_bytes: int
    reason: str

    @classmethod
    def of(cls, listed: ListedFile, reason: str) -> BadFile:
        """A Currents file."""
        found, file = listed.object, listed.file
        return cls(found.key, file.event_type, file.naive_hour, found.generation, found.size_bytes, reason)


@dataclass(frozen=True)
class DayTotals:
    """What a raw table holds of one UTC day, by the registry."""

    rows: int = 0
    files: int = 0
    hours: int = 0


def ensure_file_registry(session: Session) -> None:
    """Make the registry's tables where they are missing."""
    migrate(session)
    ensure(session, FILES, LOADS, QUARANTINE, RELOADS, SCHEMAS, FILE_SCHEMAS)


def loaded_files(
    session: Session, first_day: date, last_day: date
) -> dict[tuple[str, datetime], dict[str, LoadedFile]]:
    """The files of some days by (event type, hour) and object key; emptied hours have no files."""
    found: dict[tuple[str, datetime], dict[str, LoadedFile]] = {}
    for row in session.fetch(
        "select event_type, hour, object_key, generation, size_bytes, row_count, version "
        f"from {FILES.ref(session.sql)} "
        "where hour >= $first and hour < $after",
        {"first": _midnight(first_day), "after": _midnight(last_day + timedelta(days=1))},
    ):
        loaded = LoadedFile(*row)
        hour = found.setdefault((loaded.event_type, loaded.hour), {})
        if loaded.object_key:
            hour[loaded.object_key] = loaded
    return found


def open_quarantine(session: Session) -> dict[str, BadFile]:
    """All objects in quarantine that neither loaded nor vanished since, by key."""
    return {
        row[0]: BadFile(*row)
        for row in session.fetch(
            "select object_key, event_type, hour, generation, size_bytes, reason "
            f"from {QUARANTINE.ref(session.sql)} where resolved_at is null"
        )
    }


def replace_hours(
    session: Session,
    event_type: str,
    hours: Sequence[datetime],
    files: Sequence[LoadedFile],
    loaded_at: datetime,
) -> None:
    """Make `files` all that the registry says of some hours; hours without a file get their row of emptiness.

    Inside a transaction. Its number, `load_id`, is the next after all numbers that were given. It is not looked for in
    `files`: what a load reads may not grow with all the years before.
    """
    if not hours:
        return
    filled = {file.hour for file in files}
    emptied = [LoadedFile(event_type, hour, "", "", 0, 0, None) for hour in hours if hour not in filled]
    table, loads = FILES.ref(session.sql), LOADS.ref(session.sql)
    with session.attached("files_of_load", _table([*files, *emptied], _FILES)) as added:
        session.execute(
            f"merge into {loads} as known using "
            f"(select $event_type as event_type, coalesce(max(load_id), 0) + 1 as load_id from {loads}) as latest "
            "on known.event_type = latest.event_type "
            "when matched then update set load_id = latest.load_id "
            "when not matched then insert (event_type, load_id) values (latest.event_type, latest.load_id)",
            {"event_type": event_type},
        )
        session.execute(
            f"delete from {table} where event_type = $event_type and {session.sql.among('hour', 'hours')}",
            {"event_type": event_type, "hours": list(hours)},
        )
        session.execute(
            f"insert into {table} select added.*, (select max(load_id) from {loads}), "
            f"cast($loaded_at as timestamp) from {added} as added",
            {"loaded_at": loaded_at},
        )


def quarantine(session: Session, files: Collection[BadFile], seen_at: datetime) -> None:
    """Record unreadable objects: a new row for a new generation, which closes the row of the one before."""
    if not files:
        return
    table = QUARANTINE.ref(session.sql)
    with session.attached("bad_files", _table(files, _BAD_FILES)) as found:
        session.execute(
            f"update {table} as known set resolved_at = $seen_at from {found} as bad "
            "where known.object_key = bad.object_key and known.generation <> bad.generation "
            "and known.resolved_at is null",
            {"seen_at": seen_at},
        )
        session.execute(
            f"insert into {table} "
            "select bad.*, cast($seen_at as timestamp), cast($seen_at as timestamp), cast(null as timestamp) "
            f"from {found} as bad where not exists (select 1 from {table} as known "
            "where known.object_key = bad.object_key and known.generation = bad.generation "
            "and known.resolved_at is null)",
            {"seen_at": seen_at},
        )


def touch_quarantine(session: Session, keys: Iterable[str], seen_at: datetime) -> None:
    """Note that objects in quarantine are still there, unchanged."""
    _mark(session, "last_seen_at", keys, seen_at)


def resolve_quarantine(session: Session, keys: Iterable[str], resolved_at: datetime) -> None:
    """Close the quarantine of objects that loaded or vanished."""
    _mark(session, "resolved_at", keys, resolved_at)


def resolve_loaded(
    session: Session, event_type: str, hours: Sequence[datetime], resolved_at: datetime
) -> None:
    """Close the quarantine of the objects that the registry now has in some hours."""
    session.execute(
        f"update {QUARANTINE.ref(session.sql)} set resolved_at = $at "
        f"where resolved_at is null and object_key in (select object_key from {FILES.ref(session.sql)} "
        f"where event_type = $event_type and {session.sql.among('hour', 'hours')})",
        {"at": resolved_at, "event_type": event_type, "hours": list(hours)},
    )


def _mark(session: Session, column: str, keys: Iterable[str], at: datetime) -> None:
    marked = list(keys)
    if marked:
        session.execute(
            f"update {QUARANTINE.ref(session.sql)} set {column} = $at "
            f"where resolved_at is null and {session.sql.among('object_key', 'keys')}",
            {"at": at, "keys": marked},
        )


def day_totals(session: Session, first_day: date, last_day: date) -> dict[str, dict[date, DayTotals]]:
    """What the raw tables hold of each day of a range, by event type."""
    totals: dict[str, dict[date, DayTotals]] = {}
    for event_type, day, rows, files, hours in session.fetch(
        "select event_type, cast(hour as date), cast(sum(row_count) as bigint), "
        "count(*), count(distinct hour) "
        f"from {FILES.ref(session.sql)} "
        "where hour >= $first and hour < $after and object_key <> '' group by 1, 2",
        {"first": _midnight(first_day), "after": _midnight(last_day + timedelta(days=1))},
    ):
        totals.setdefault(event_type, {})[day] = DayTotals(rows, files, hours)
    return totals


def hours_loaded_since(
    session: Session, event_type: str, first_day: date, last_day: date, since: datetime
) -> set[datetime]:
    """The hours of an event type all of whose files were loaded at or after a time (naive UTC)."""
    rows = session.fetch(
        f"select hour from {FILES.ref(session.sql)} "
        "where event_type = $event_type and hour >= $first and hour < $after "
        "group by hour having min(loaded_at) >= $since",
        {
            "event_type": event_type,
            "first": _midnight(first_day),
            "after": _midnight(last_day + timedelta(days=1)),
            "since": since,
        },
    )
    return {hour for (hour,) in rows}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time())


def _table(rows: Iterable[LoadedFile | BadFile], schema: pa.Schema) -> pa.Table:
    records: list[Mapping[str, object]] = [vars(row) for row in rows]
    return pa.Table.from_pylist(records, schema=schema)
