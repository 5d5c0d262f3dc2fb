"""The room's tables in the warehouse: made when missing, read for what is known, changed in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from braze_platform.warehouse.interface import Row as SqlRow
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.tables import ensure
from braze_platform.warehouse.workspace_tables import READINGS, TABLES, ObjectTable
from braze_platform.workspace_metadata.due import Reading
from braze_platform.workspace_metadata.objects import Endpoint
from braze_platform.workspace_metadata.reader import EndpointReading, WorkspaceReading
from braze_platform.workspace_metadata.versions import Changes, History, Observation, changes

_PREVIEWED_RENAMES = 10


@dataclass(frozen=True)
class Rename:
    """An object that got another name."""

    object_id: str
    previous_name: str
    name: str
    valid_from: datetime


@dataclass(frozen=True)
class TableState:
    """A table after a run: current objects, all versions, its latest renames."""

    current: int
    versions: int
    renames: tuple[Rename, ...]


@dataclass
class WrittenChanges:
    """What a run changed, by table."""

    tables: dict[str, Changes] = field(default_factory=dict)

    def of(self, table: ObjectTable) -> Changes:
        """What changed in one table."""
        return self.tables.get(table.name, Changes())


def make_tables(session: Session) -> None:
    """Make schema and tables that are not there; when all are, nothing is written."""
    ensure(session, *(one.table for one in TABLES), READINGS)


def known_readings(session: Session) -> dict[str, dict[str, Reading]]:
    """What is known from earlier runs, by endpoint and object id."""
    known: dict[str, dict[str, Reading]] = {}
    query = f"select endpoint, object_id, entry_hash, read_at, settled from {READINGS.ref(session.sql)}"
    for endpoint, object_id, entry_hash, read_at, settled in session.fetch(query):
        known.setdefault(endpoint, {})[object_id] = Reading(entry_hash, naive(read_at), settled)
    return known


def apply(session: Session, reading: WorkspaceReading, observed_at: datetime) -> WrittenChanges:
    """Write what a reading found, all of it or nothing. `observed_at` is naive UTC.

    What is current is read again inside the transaction, so that a second run at the same time cannot begin a version
    twice. A reading that found nothing to read writes nothing.
    """
    written = WrittenChanges()
    readings = [found for found in reading.endpoints.values() if found.objects or found.gone]
    if not readings:
        return written
    with session.transaction():
        for table in TABLES:
            found = _changes_of(session, table, readings, observed_at)
            if found:
                written.tables[table.name] = found
                _write(session, table, found)
        _note_readings(session, readings, observed_at)
    return written


def state_of(session: Session, table: ObjectTable) -> TableState:
    """How a table stands."""
    place = table.table.ref(session.sql)
    counts = f"select count(*), coalesce(sum(case when valid_to is null then 1 else 0 end), 0) from {place}"
    versions, current = session.fetch(counts)[0]
    renames: list[SqlRow] = []
    if table.named and versions > current:
        renames = session.fetch(
            f"select object_id, previous_name, name, valid_from from (select {table.key.name} as object_id, "
            f"lag(name) over (partition by {table.key.name} order by valid_from) as previous_name, name, valid_from "
            f"from {place}) as versions where previous_name <> name "
            f"order by valid_from desc, object_id limit {_PREVIEWED_RENAMES}"
        )
    return TableState(int(current), int(versions), tuple(Rename(*row) for row in renames))


def naive(moment: Any) -> Any:
    """A timestamp of any warehouse as naive UTC; other values as they are."""
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(timezone.utc).replace(tzinfo=None)
    return moment


def _changes_of(
    session: Session, table: ObjectTable, readings: Sequence[EndpointReading], observed_at: datetime
) -> Changes:
    """What the readings of all endpoints that fill a table change in it."""
    filling = [(found, _owner(found.endpoint, table)) for found in readings]
    filling = [(found, owner) for found, owner in filling if owner is not None]
    if not filling:
        return Changes()
    seen: dict[str, Observation] = {}
    for found, _ in filling:
        for read in found.objects.values():
            for row in read.rows.get(table.name, ()):
                values = tuple(row[column.name] for column in table.values)
                seen[str(row[table.key.name])] = Observation(values, read.edited_at)
    history = _history(session, table)
    names = (table.key.name, *(column.name for column in table.values))
    gone: set[str] = set()
    for found, owner in filling:
        place = names.index(str(owner))
        for key, before in history.items():
            if before.current is not None:
                whose = (key, *before.current)[place]
                if whose in found.gone or (whose in found.objects and key not in seen):
                    gone.add(key)
    return changes(history, seen, gone, observed_at)


def _owner(endpoint: Endpoint, table: ObjectTable) -> str | None:
    return next((owner for filled, owner in endpoint.tables if filled is table), None)


def _history(session: Session, table: ObjectTable) -> dict[str, History]:
    values = ", ".join(column.name for column in table.values)
    key, place = table.key.name, table.table.ref(session.sql)
    current = {
        row[0]: tuple(naive(value) for value in row[1:])
        for row in session.fetch(f"select {key}, {values} from {place} where valid_to is null")
    }
    times = session.fetch(
        f"select {key}, min(first_seen_at), max(coalesce(valid_to, valid_from)) from {place} group by {key}"
    )
    return {row[0]: History(naive(row[1]), naive(row[2]), current.get(row[0])) for row in times}


def _write(session: Session, table: ObjectTable, found: Changes) -> None:
    key, place = table.key.name, table.table.ref(session.sql)
    if found.ended:
        ending = table.table.rows(found.ended.items(), table.key.name, "valid_to")
        with session.attached("ending_versions", ending) as relation:
            session.execute(
                f"update {place} as versions set valid_to = cast(ending.valid_to as timestamp) "
                f"from {relation} as ending "
                f"where versions.{key} = ending.{key} and versions.valid_to is null"
            )
    if found.begun:
        table.table.append(
            session, ((v.key, *v.values, v.first_seen_at, v.valid_from, None) for v in found.begun)
        )


def _note_readings(session: Session, readings: Sequence[EndpointReading], observed_at: datetime) -> None:
    place = READINGS.ref(session.sql)
    touched = [
        (found.endpoint.name, object_id) for found in readings for object_id in (*found.objects, *found.gone)
    ]
    with session.attached("touched_objects", READINGS.rows(touched, "endpoint", "object_id")) as relation:
        session.execute(
            f"delete from {place} as readings where exists (select 1 from {relation} as touched "
            "where touched.endpoint = readings.endpoint and touched.object_id = readings.object_id)"
        )
    READINGS.append(
        session,
        (
            (found.endpoint.name, object_id, found.hash_of(object_id), observed_at, read.settled)
            for found in readings
            for object_id, read in found.objects.items()
        ),
    )
