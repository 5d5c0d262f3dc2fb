"""Loads the hours of some event types and days whose files differ from the registry, each hour whole or not at all.

In: a bucket with Currents files, a warehouse. Out: raw tables, the file registry and the quarantine. Delivery is
idempotent: what the tables hold depends only on what the bucket holds, not on how often or when loads ran.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from braze_platform.currents import file_registry, schemas
from braze_platform.currents.avro_blocks import DEFAULT_LIMITS, AvroLimits
from braze_platform.currents.avro_files import AvroField
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.columns import map_columns
from braze_platform.currents.file_registry import BadFile, LoadedFile
from braze_platform.currents.fingerprints import fingerprint
from braze_platform.currents.listing import ListedFile, list_days
from braze_platform.currents.load_report import EventTypeLoad, LoadProgress, LoadReport
from braze_platform.currents.plain_avro import plain_names
from braze_platform.currents.raw_tables import ensure_raw_tables, is_unknown, raw_table_of
from braze_platform.currents.readable_files import ReadableFile, read_heads
from braze_platform.warehouse.interface import RelationGone, Session, Warehouse, WarehouseError
from braze_platform.warehouse.raw_tables import (
    FileGroup,
    FilesUnreadable,
    SourceFile,
    error_context,
    raw_tables_of,
)
from braze_platform.warehouse.tables import now_utc

#: How often staging starts again after another run dropped the tables.
_ATTEMPTS_TO_STAGE = 5

Hours = dict[datetime, dict[str, ListedFile]]


#: Columns of a raw table, which BigQuery limits to 10,000 with those of provenance.
_MAX_COLUMNS = 9_900


@dataclass(frozen=True)
class LoadOptions:
    """How an installation loads: how much one transaction may take (a single larger hour is a transaction of its own),
    what files may ask for, and which fields (by name) are kept as hashes only."""

    hours: int = 31 * 24
    files: int = 2_000
    bytes: int = 256 * 1024 * 1024
    avro: AvroLimits = DEFAULT_LIMITS
    is_hashed: Callable[[str], bool] = lambda _: False


class _FilesChanged(Exception):
    """Objects that were rewritten or deleted while they were read."""

    def __init__(self, keys: Collection[str]) -> None:
        super().__init__(f"{len(keys)} files changed while they were read")
        self.keys = keys


@dataclass
class _Batch:
    """Some hours of one event type, replaced in one transaction."""

    hours: list[datetime] = field(default_factory=list)
    files: list[ListedFile] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(listed.object.size_bytes for listed in self.files)


def load(
    warehouse: Warehouse,
    bucket: Bucket,
    prefix: str,
    event_types: Collection[str],
    first_day: date,
    last_day: date,
    *,
    unknown_event_types: bool = False,
    only_hours: Collection[datetime] | None = None,
    is_forced: Callable[[str, datetime], bool] = lambda _event_type, _hour: False,
    options: LoadOptions = LoadOptions(),
    on_progress: Callable[[LoadProgress], None] = lambda _: None,
) -> LoadReport:
    """Make the raw tables hold exactly what the bucket holds of the event types in the days, both included.

    `unknown_event_types` adds every type in the bucket that the catalogue does not know. `only_hours` (naive UTC)
    narrows the days to some of their hours. `is_forced` tells of an event type and hour (naive UTC) whether it is
    loaded although the registry says that it is unchanged. One event type that cannot be
    loaded does not stop the others: its report carries the error.
    """
    wanted = frozenset(event_types)

    def is_wanted(event_type: str) -> bool:
        return event_type in wanted or (unknown_event_types and is_unknown(event_type))

    listed: dict[str, Hours] = {name: {} for name in sorted(wanted)}
    for found in list_days(bucket, prefix, is_wanted, first_day, last_day):
        hours = listed.setdefault(found.file.event_type, {})
        hours.setdefault(found.file.naive_hour, {})[found.object.key] = found
    with warehouse.session() as session, error_context(session, "loading Currents"):
        ensure_raw_tables(session, wanted)
        running = _Load(session, bucket, first_day, last_day, options, on_progress)
        running.only_hours, running.is_forced = only_hours, is_forced
        return running.run(listed, is_wanted)


class _Load:
    """One load while it runs."""

    def __init__(
        self,
        session: Session,
        bucket: Bucket,
        first_day: date,
        last_day: date,
        options: LoadOptions,
        on_progress: Callable[[LoadProgress], None],
    ) -> None:
        self.session = session
        self.raw_tables = raw_tables_of(session)
        self.bucket = bucket
        self.options = options
        self.on_progress = on_progress
        self.report = LoadReport(first_day, last_day)
        self.in_registry = file_registry.loaded_files(session, first_day, last_day)
        self.in_quarantine = file_registry.open_quarantine(session)
        self.files_done = 0
        self.files_total = 0
        self.only_hours: Collection[datetime] | None = None
        self.is_forced: Callable[[str, datetime], bool] = lambda _event_type, _hour: False

    def run(self, listed: dict[str, Hours], is_wanted: Callable[[str], bool]) -> LoadReport:
        for event_type, _ in self.in_registry:
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
        self.raw_tables.sweep(
            (self.bucket.uri(loaded.object_key), loaded.generation)
            for (event_type, _), files in self.in_registry.items()
            if is_wanted(event_type)
            for loaded in files.values()
        )
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
        """The hours whose files differ from the registry, with the files to try; known bad files are not among them."""
        changed: Hours = {}
        in_registry = {
            hour: files for (name, hour), files in self.in_registry.items() if name == load.event_type
        }
        for hour in sorted(hours.keys() | in_registry.keys()):
            if self.only_hours is not None and hour not in self.only_hours:
                continue
            forced = self.is_forced(load.event_type, hour)
            files = {
                key: listed
                for key, listed in hours.get(hour, {}).items()
                if forced
                or key not in self.in_quarantine
                or self.in_quarantine[key].generation != listed.object.generation
            }
            before = {key: loaded.generation for key, loaded in in_registry.get(hour, {}).items()}
            if not forced and {key: listed.object.generation for key, listed in files.items()} == before:
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
                len(batch.hours) >= self.options.hours
                or len(batch.files) + len(files) > min(self.options.files, self.raw_tables.files_at_once)
                or batch.bytes + size > self.options.bytes
            ):
                yield batch
                batch = _Batch()
            batch.hours.append(hour)
            batch.files.extend(files.values())
        if batch.hours:
            yield batch

    def _load_batch(self, load: EventTypeLoad, batch: _Batch) -> None:
        with TemporaryDirectory(prefix="braze_currents_") as folder:
            good, unreadable = read_heads(
                self.bucket,
                batch.files,
                Path(folder),
                self.options.avro,
                counting=not self.raw_tables.notices_missing_rows,
            )
            bad = {key: BadFile.of(listed, reason) for key, (listed, reason) in unreadable.items()}
            self._load_files(load, batch, good, bad)

    def _load_files(
        self,
        load: EventTypeLoad,
        batch: _Batch,
        good: dict[str, ReadableFile],
        bad: dict[str, BadFile],
    ) -> None:
        attempts = 0
        while True:
            try:
                rows = self._replace(load, batch.hours, list(good.values()), list(bad.values()))
                break
            except FilesUnreadable as unreadable:
                for key, reason in unreadable.reasons.items():
                    bad[key] = BadFile.of(good.pop(key).listed, reason)
            except _FilesChanged as changed:
                # Rewritten or deleted while they were read; the next load sees what they are now.
                for key in changed.keys:
                    del good[key]
            except RelationGone:
                # Another run of the same hours used our staging tables and dropped them, or a file is gone.
                attempts += 1
                if attempts == _ATTEMPTS_TO_STAGE:
                    raise
                for key in self._changed(list(good.values())):
                    del good[key]
        for key in good:
            self.in_quarantine.pop(key, None)
        self.in_quarantine.update(bad)
        load.rows_loaded += rows
        load.hours_loaded += len(batch.hours)
        load.files_loaded += len(good)
        load.bytes_loaded += sum(file.listed.object.size_bytes for file in good.values())
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

    def _changed(self, good: Sequence[ReadableFile]) -> list[str]:
        """Keys of files that changed since they were listed: partly read before and partly after the change."""
        now: dict[str, str] = {}
        for folder in sorted({_hour_folder(file.key) for file in good}):
            now.update((found.key, found.generation) for found in self.bucket.objects(folder))
        return [file.key for file in good if now.get(file.key) != file.listed.object.generation]

    def _replace(
        self,
        load: EventTypeLoad,
        hours: Sequence[datetime],
        good: Sequence[ReadableFile],
        bad: Sequence[BadFile],
    ) -> int:
        """Replace the hours in one transaction and return the rows they now hold.

        Raises `FilesUnreadable` or `_FilesChanged`, with nothing changed, when the warehouse could not read what a
        file holds, or read what was no longer there to list.
        """
        session, tables = self.session, self.raw_tables
        now = now_utc()
        with error_context(session, f"replacing {len(hours)} hours of {load.event_type}"):
            if is_unknown(load.event_type):
                tables.ensure_table(load.table)
            groups, new_columns = self._groups(load, good)
            filled = {file.hour for group in groups for file in group.files}
            with (
                tables.staged(load.table, load.event_type, groups, new_columns) as staged,
                session.transaction(),
            ):
                rows = staged.replace(load.event_type, hours, now)
                if changed := self._changed(good):
                    raise _FilesChanged(changed)
                file_registry.replace_hours(
                    session,
                    load.event_type,
                    [hour for hour in hours if hour in filled or (load.event_type, hour) in self.in_registry],
                    [LoadedFile.of(file.listed, rows[file.key]) for file in good],
                    now,
                )
                schemas.record_schemas(
                    session,
                    load.event_type,
                    hours,
                    [(LoadedFile.of(file.listed, rows[file.key]), file.avro.fields) for file in good],
                    now,
                )
                file_registry.resolve_loaded(session, load.event_type, hours, now)
                file_registry.quarantine(session, bad, now)
        load.new_columns += new_columns
        return sum(rows.values())

    def _groups(
        self, load: EventTypeLoad, good: Sequence[ReadableFile]
    ) -> tuple[list[FileGroup], dict[str, str]]:
        """The files by schema, and the columns (name to type) that the table lacks for all of their fields.

        Raises `FilesUnreadable` for files with which the table would have more columns than it can.
        """
        by_schema: dict[tuple[str, tuple[AvroField, ...]], list[ReadableFile]] = {}
        for file in good:
            by_schema.setdefault((file.avro.schema, file.avro.fields), []).append(file)
        groups: list[FileGroup] = []
        columns = self.raw_tables.data_columns(load.table) if by_schema else {}
        new_columns: dict[str, str] = {}
        for (schema, fields), of_schema in by_schema.items():
            mapping = map_columns(columns | new_columns, fields, self.options.is_hashed)
            before = len(columns) + len(new_columns)
            if mapping.new_columns and before + len(mapping.new_columns) > _MAX_COLUMNS:
                reason = (
                    f"its {len(mapping.new_columns):,} new fields do not fit beside the {before:,} columns of "
                    f"{load.table}; it can have {_MAX_COLUMNS:,}"
                )
                raise FilesUnreadable(dict.fromkeys((file.key for file in of_schema), reason))
            new_columns |= mapping.new_columns
            placements = mapping.placements
            if of_schema[0].copy is not None:
                names = plain_names(fields)
                placements = tuple(replace(placed, field=names[placed.field]) for placed in placements)
            groups.append(FileGroup(tuple(map(self._source, of_schema)), placements, schema))
        return groups, new_columns

    def _source(self, file: ReadableFile) -> SourceFile:
        listed = file.listed
        return SourceFile(
            file.key,
            self.bucket.uri(file.key),
            listed.file.naive_hour,
            listed.file.version,
            file.avro.row_count,
            listed.object.generation,
            file.copy,
        )

    def _close(self, listed: Mapping[str, Hours]) -> None:
        """Bring the quarantine up to date with the listing and fill in what the tables now hold."""
        now = now_utc()
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
                file_registry.touch_quarantine(self.session, still_bad, now)
                file_registry.resolve_quarantine(self.session, vanished, now)
        totals = file_registry.day_totals(self.session, first, last)
        seen_schemas = schemas.schemas_of_days(self.session, first, last)
        for event_type, load in self.report.event_types.items():
            load.days = totals.get(event_type, {})
            load.schemas = seen_schemas.get(event_type, [])


def _hour_folder(key: str) -> str:
    """The folder of a file's hour: its key up to the end of `date=<hour>/`."""
    start = key.index("/date=" if "/date=" in key else "date=")
    return key[: key.index("/", start + 1) + 1]
