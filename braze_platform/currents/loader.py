"""Loads the hours of some event types and days whose files differ from the ledger, each hour whole or not at all.

In: a bucket with Currents files, a warehouse. Out: raw tables, the file ledger and the quarantine. Delivery is
idempotent: what the tables hold depends only on what the bucket holds, not on how often or when loads ran.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timezone

from braze_platform.currents import ledger
from braze_platform.currents.avro_files import AvroField, AvroFile, UnreadableFile, inspect
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.catalogue import EventType, catalogue, table_name
from braze_platform.currents.columns import column_type, plan_columns
from braze_platform.currents.fingerprints import fingerprint
from braze_platform.currents.ledger import BadFile, LoadedFile
from braze_platform.currents.listing import ListedFile, list_days
from braze_platform.currents.load_report import EventTypeLoad, LoadProgress, LoadReport
from braze_platform.warehouse import raw_tables
from braze_platform.warehouse.interface import Session, Warehouse, WarehouseError
from braze_platform.warehouse.raw_tables import Column, FileGroup, FilesUnreadable, SourceFile, named_errors

Hours = dict[datetime, dict[str, ListedFile]]


@dataclass(frozen=True)
class LoadLimits:
    """How much one transaction may take; a single hour beyond them is a transaction of its own."""

    hours: int = 31 * 24
    files: int = 2_000
    bytes: int = 256 * 1024 * 1024


@dataclass
class _Batch:
    """Some hours of one event type, replaced in one transaction."""

    hours: list[datetime] = field(default_factory=list)
    files: list[ListedFile] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(listed.object.size_bytes for listed in self.files)


def is_unknown(event_type: str) -> bool:
    """Whether the catalogue does not know an event type."""
    return event_type not in catalogue()


def raw_table_of(event_type: str) -> str:
    """The raw table of an event type, known or not; an unknown one never shares a known one's table.

    >>> raw_table_of("users.messages.email.Open"), raw_table_of("users.messages.email.open")
    ('users_messages_email_open', 'users_messages_email_open_unknown')
    """
    name = table_name(event_type) or "nameless"
    if is_unknown(event_type) and any(known.table == name for known in catalogue().values()):
        return f"{name}_unknown"
    return name


def raw_columns(event_type: EventType) -> list[Column]:
    """The columns of a raw table that the catalogue declares, without those of provenance."""
    return [Column(field.name, column_type(field), field.description) for field in event_type.fields]


def ensure_raw_tables(session: Session) -> None:
    """Make the ledger and the raw tables of all event types of the catalogue where they are missing."""
    ledger.ensure_ledger(session)
    raw_tables.ensure_tables(session, {known.table: raw_columns(known) for known in catalogue().values()})


def load(
    warehouse: Warehouse,
    bucket: Bucket,
    prefix: str,
    event_types: Collection[str],
    first_day: date,
    last_day: date,
    *,
    unknown_event_types: bool = False,
    limits: LoadLimits = LoadLimits(),
    on_progress: Callable[[LoadProgress], None] = lambda _: None,
) -> LoadReport:
    """Make the raw tables hold exactly what the bucket holds of the event types in the days, both included.

    `unknown_event_types` adds every type in the bucket that the catalogue does not know. One event type that cannot
    be loaded does not stop the others: its report carries the error.
    """
    wanted = frozenset(event_types)

    def is_wanted(event_type: str) -> bool:
        return event_type in wanted or (unknown_event_types and is_unknown(event_type))

    listed: dict[str, Hours] = {name: {} for name in sorted(wanted)}
    for found in list_days(bucket, prefix, is_wanted, first_day, last_day):
        hours = listed.setdefault(found.file.event_type, {})
        hours.setdefault(_naive(found.file.hour), {})[found.object.key] = found
    with warehouse.session() as session, named_errors("loading Currents"):
        ensure_raw_tables(session)
        return _Load(session, bucket, first_day, last_day, limits, on_progress).run(listed, is_wanted)


class _Load:
    """One load while it runs."""

    def __init__(
        self,
        session: Session,
        bucket: Bucket,
        first_day: date,
        last_day: date,
        limits: LoadLimits,
        on_progress: Callable[[LoadProgress], None],
    ) -> None:
        self.session = session
        self.bucket = bucket
        self.limits = limits
        self.on_progress = on_progress
        self.report = LoadReport(first_day, last_day)
        self.in_ledger = ledger.loaded_files(session, first_day, last_day)
        self.in_quarantine = ledger.open_quarantine(session)
        self.files_done = 0
        self.files_total = 0

    def run(self, listed: dict[str, Hours], is_wanted: Callable[[str], bool]) -> LoadReport:
        for event_type, _ in self.in_ledger:
            if is_wanted(event_type):
                listed.setdefault(event_type, {})  # all of its files may have vanished
        batches: dict[str, list[_Batch]] = {}
        for event_type, hours in listed.items():
            load = EventTypeLoad(event_type, raw_table_of(event_type))
            for hour, files in hours.items():
                day = hour.date()
                load.fingerprints[day] = load.fingerprints.get(day, 0) + fingerprint(
                    f.object for f in files.values()
                )
            self.report.event_types[event_type] = load
            batches[event_type] = list(self._batches(self._changed_hours(load, hours)))
        self.files_total = sum(len(batch.files) for of_type in batches.values() for batch in of_type)
        for event_type, of_type in batches.items():
            load = self.report.event_types[event_type]
            try:
                for batch in of_type:
                    self._load_batch(load, batch)
            except (WarehouseError, OSError) as error:
                load.error = str(error)
        self._close(listed)
        return self.report

    def _changed_hours(self, load: EventTypeLoad, hours: Hours) -> Hours:
        """The hours whose files differ from the ledger, with the files to try; known bad files are not among them."""
        changed: Hours = {}
        in_ledger = {hour: files for (name, hour), files in self.in_ledger.items() if name == load.event_type}
        for hour in sorted(hours.keys() | in_ledger.keys()):
            files = {
                key: listed
                for key, listed in hours.get(hour, {}).items()
                if key not in self.in_quarantine
                or self.in_quarantine[key].generation != listed.object.generation
            }
            before = {key: loaded.generation for key, loaded in in_ledger.get(hour, {}).items()}
            if {key: listed.object.generation for key, listed in files.items()} == before:
                load.hours_unchanged += bool(files)
                load.files_unchanged += len(files)
                continue
            changed[hour] = files
            load.vanished_files += len(before.keys() - hours.get(hour, {}).keys())
            if before:
                load.late_files += len(files.keys() - before.keys())
        return changed

    def _batches(self, hours: Hours) -> Iterator[_Batch]:
        batch = _Batch()
        for hour, files in hours.items():
            size = sum(listed.object.size_bytes for listed in files.values())
            if batch.hours and (
                len(batch.hours) >= self.limits.hours
                or len(batch.files) + len(files) > self.limits.files
                or batch.bytes + size > self.limits.bytes
            ):
                yield batch
                batch = _Batch()
            batch.hours.append(hour)
            batch.files.extend(files.values())
        if batch.hours:
            yield batch

    def _load_batch(self, load: EventTypeLoad, batch: _Batch) -> None:
        good: dict[str, tuple[ListedFile, AvroFile]] = {}
        bad: dict[str, BadFile] = {}
        for listed in batch.files:
            try:
                with self.bucket.open(listed.object.key) as stream:
                    good[listed.object.key] = (listed, inspect(stream))
            except FileNotFoundError:
                continue  # deleted since it was listed; the next load sees the hour without it
            except UnreadableFile as unreadable:
                bad[listed.object.key] = _bad_file(listed, unreadable.reason)
        while True:
            try:
                rows = self._replace(load, batch.hours, list(good.values()), list(bad.values()))
                break
            except FilesUnreadable as unreadable:
                for key, reason in unreadable.reasons.items():
                    listed, _ = good.pop(key)
                    bad[key] = _bad_file(listed, reason)
        for key in good:
            self.in_quarantine.pop(key, None)
        self.in_quarantine.update(bad)
        load.rows_loaded += rows
        load.hours_loaded += len(batch.hours)
        load.files_loaded += len(good)
        load.bytes_loaded += sum(listed.object.size_bytes for listed, _ in good.values())
        self.files_done += len(batch.files)
        self.on_progress(
            LoadProgress(
                load.event_type,
                f"{batch.hours[0]:%Y-%m-%d %H}h",
                f"{batch.hours[-1]:%Y-%m-%d %H}h",
                rows,
                self.files_done,
                self.files_total,
            )
        )

    def _replace(
        self,
        load: EventTypeLoad,
        hours: Sequence[datetime],
        good: Sequence[tuple[ListedFile, AvroFile]],
        bad: Sequence[BadFile],
    ) -> int:
        """Replace the hours in one transaction and return the rows they now hold.

        Raises `FilesUnreadable`, with nothing changed, when the warehouse reads less out of a file than it holds.
        """
        session = self.session
        now = _naive(datetime.now(timezone.utc))
        by_schema: dict[tuple[AvroField, ...], list[SourceFile]] = {}
        for listed, avro in good:
            by_schema.setdefault(avro.fields, []).append(self._source(listed, avro))
        files = [file for of_schema in by_schema.values() for file in of_schema]
        filled = {file.hour for file in files}
        group: FileGroup | None = None
        new_columns: list[str] = []
        try:
            with session.transaction(), named_errors(f"replacing {len(hours)} hours of {load.event_type}"):
                load_id = ledger.next_load_id(session)
                if is_unknown(load.event_type):
                    raw_tables.ensure_table(session, load.table)
                raw_tables.delete_hours(session, load.table, load.event_type, hours)
                for fields, sources in by_schema.items():
                    plan = plan_columns(raw_tables.data_columns(session, load.table), fields)
                    raw_tables.add_columns(session, load.table, plan.new_columns)
                    new_columns += plan.new_columns
                    group = FileGroup(tuple(sources), plan.placements)
                    raw_tables.insert_files(session, load.table, group, now)
                group = None
                raw_tables.prove_rows(session, load.table, load.event_type, files)
                ledger.replace_hours(
                    session,
                    load.event_type,
                    [hour for hour in hours if hour in filled or (load.event_type, hour) in self.in_ledger],
                    [_loaded_file(listed, avro) for listed, avro in good],
                    load_id,
                    now,
                )
                ledger.resolve_quarantine(session, [listed.object.key for listed, _ in good], now)
                ledger.quarantine(session, bad, now)
        except FilesUnreadable:
            raise
        except WarehouseError:
            with named_errors(f"looking for the unreadable file of {load.event_type}"):
                unreadable = raw_tables.find_unreadable(session, group) if group else {}
            if not unreadable:
                raise
            raise FilesUnreadable(unreadable) from None
        load.new_columns += new_columns
        return sum(file.row_count for file in files)

    def _source(self, listed: ListedFile, avro: AvroFile) -> SourceFile:
        return SourceFile(
            listed.object.key,
            self.bucket.uri(listed.object.key),
            _naive(listed.file.hour),
            listed.file.version,
            avro.row_count,
        )

    def _close(self, listed: Mapping[str, Hours]) -> None:
        """Bring the quarantine up to date with the listing and fill in what the tables now hold."""
        now = _naive(datetime.now(timezone.utc))
        first, last = self.report.first_day, self.report.last_day
        seen = {key for hours in listed.values() for files in hours.values() for key in files}
        still_bad: list[str] = []
        vanished: list[str] = []
        for key, bad in self.in_quarantine.items():
            load = self.report.event_types.get(bad.event_type or "")
            if load is None or bad.hour is None:
                continue
            if not first <= bad.hour.date() <= last:
                load.quarantined_elsewhere += 1
            elif key in seen:
                load.quarantined.append(bad)
                still_bad.append(key)
            else:
                vanished.append(key)
        if still_bad or vanished:
            with self.session.transaction():
                ledger.touch_quarantine(self.session, still_bad, now)
                ledger.resolve_quarantine(self.session, vanished, now)
        totals = ledger.day_totals(self.session, first, last)
        for event_type, load in self.report.event_types.items():
            load.days = totals.get(event_type, {})


def _bad_file(listed: ListedFile, reason: str) -> BadFile:
    found, file = listed.object, listed.file
    return BadFile(found.key, file.event_type, _naive(file.hour), found.generation, found.size_bytes, reason)


def _loaded_file(listed: ListedFile, avro: AvroFile) -> LoadedFile:
    found, file = listed.object, listed.file
    return LoadedFile(
        file.event_type,
        _naive(file.hour),
        found.key,
        found.generation,
        found.size_bytes,
        avro.row_count,
        file.version,
    )


def _naive(at: datetime) -> datetime:
    """The warehouse keeps UTC times without a zone."""
    return at.astimezone(timezone.utc).replace(tzinfo=None)
