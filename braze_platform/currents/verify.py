"""Comparing the file registry with the bucket and with the raw tables: what is missing, extra or changed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal, TypeAlias

from braze_platform.currents import file_registry
from braze_platform.currents.bucket import Bucket
from braze_platform.currents.listing import ListedFile, list_days
from braze_platform.currents.raw_tables import ensure_raw_tables, raw_table_of
from braze_platform.warehouse.interface import Session, Warehouse
from braze_platform.warehouse.raw_tables import SCHEMA, error_context
from braze_platform.warehouse.registry import FILES, QUARANTINE

#: `missing`: in the bucket, not in the file registry; `extra`: in the registry, no longer in the bucket; `changed`:
#: rewritten since it was loaded; `rows missing` and `rows extra`: the raw table holds fewer or more rows of the object
#: than the registry says, also of an object that the registry does not have.
Kind: TypeAlias = Literal["missing", "extra", "changed", "rows missing", "rows extra"]
_DAYS_PER_CHUNK = 31


@dataclass(frozen=True)
class Difference:
    """One object on which bucket, registry and raw table do not agree."""

    kind: Kind
    event_type: str
    hour: datetime
    object_key: str
    detail: str

    def __str__(self) -> str:
        """One line for a terminal."""
        return f"{self.kind}: {self.object_key} ({self.detail})"


@dataclass
class Verification:
    """What a verification compared and found."""

    event_types: int = 0
    objects_in_bucket: int = 0
    objects_in_registry: int = 0
    rows_in_tables: int = 0
    #: Objects that are in quarantine as they are now: they are known not to be loaded.
    objects_in_quarantine: int = 0
    differences: list[Difference] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            **asdict(self),
            "differences": [{**asdict(d), "hour": d.hour.isoformat()} for d in self.differences],
        }


def verify(
    warehouse: Warehouse,
    bucket: Bucket,
    prefix: str,
    event_types: Collection[str],
    first_day: date,
    last_day: date,
    hours: Collection[datetime] | None = None,
) -> Verification:
    """Compare the days, both included, or only some hours (naive UTC) of them."""
    result = Verification(event_types=len(event_types))
    first = first_day
    while first <= last_day:
        last = min(first + timedelta(days=_DAYS_PER_CHUNK - 1), last_day)
        listed: dict[str, dict[str, ListedFile]] = {event_type: {} for event_type in event_types}
        for found in list_days(bucket, prefix, listed.__contains__, first, last):
            if hours is None or found.file.naive_hour in hours:
                listed[found.file.event_type][found.object.key] = found
        with warehouse.session() as session, error_context(session, "verifying Currents"):
            ensure_raw_tables(session, event_types)
            _verify_part(session, listed, first, last, hours, result)
        first = last + timedelta(days=1)
    return result


def files_not_loaded(
    warehouse: Warehouse, bucket: Bucket, prefix: str, first_day: date, last_day: date, before: datetime
) -> list[ListedFile]:
    """Files of some days, both included, that were written before a time, are not loaded and are not in quarantine.

    Reads only: no tables are made, and none are taken for granted.
    """
    with warehouse.session() as session, error_context(session, "looking at the file registry"):
        in_registry = (
            file_registry.loaded_files(session, first_day, last_day) if FILES.exists(session) else {}
        )
        bad = file_registry.open_quarantine(session) if QUARANTINE.exists(session) else {}
    done = {key: loaded.generation for files in in_registry.values() for key, loaded in files.items()}
    done |= {key: file.generation for key, file in bad.items()}
    listed = list_days(bucket, prefix, lambda _: True, first_day, last_day)
    return [
        found
        for found in listed
        if done.get(found.object.key) != found.object.generation and found.object.updated_at < before
    ]


def _verify_part(
    session: Session,
    listed: dict[str, dict[str, ListedFile]],
    first: date,
    last: date,
    hours: Collection[datetime] | None,
    result: Verification,
) -> None:
    quarantine = file_registry.open_quarantine(session)
    in_registry: dict[str, dict[str, file_registry.LoadedFile]] = {}
    for (event_type, hour), files in file_registry.loaded_files(session, first, last).items():
        if hours is None or hour in hours:
            in_registry.setdefault(event_type, {}).update(files)
    for event_type, in_bucket in listed.items():
        loaded = in_registry.get(event_type, {})
        result.objects_in_bucket += len(in_bucket)
        result.objects_in_registry += len(loaded)
        for key in sorted(in_bucket.keys() | loaded.keys()):
            found, entry = in_bucket.get(key), loaded.get(key)
            if found is not None and entry is None:
                bad = quarantine.get(key)
                if bad is not None and bad.generation == found.object.generation:
                    result.objects_in_quarantine += 1
                    continue
                _add(
                    result,
                    "missing",
                    event_type,
                    found.file.naive_hour,
                    key,
                    "in the bucket, not in the registry",
                )
            elif entry is not None and found is None:
                _add(result, "extra", event_type, entry.hour, key, "in the registry, no longer in the bucket")
            elif entry is not None and found is not None and entry.generation != found.object.generation:
                _add(
                    result,
                    "changed",
                    event_type,
                    entry.hour,
                    key,
                    f"generation {entry.generation} was loaded, {found.object.generation} is in the bucket",
                )
        rows = _rows_by_file(session, event_type, first, last, hours)
        result.rows_in_tables += sum(count for _, count in rows.values())
        for key in sorted(rows.keys() | loaded.keys()):
            hour, count = rows[key] if key in rows else (loaded[key].hour, 0)
            expected = loaded[key].row_count if key in loaded else 0
            if count != expected:
                kind: Kind = "rows missing" if count < expected else "rows extra"
                _add(
                    result,
                    kind,
                    event_type,
                    hour,
                    key,
                    f"{expected:,} rows by the registry, {count:,} in the table",
                )


def _rows_by_file(
    session: Session, event_type: str, first: date, last: date, hours: Collection[datetime] | None
) -> dict[str, tuple[datetime, int]]:
    """Rows of an event type's raw table by object key."""
    table = raw_table_of(event_type)
    if not session.columns(SCHEMA, table):
        return {}
    marker = f"/event_type={event_type}/"
    rows = session.fetch(
        f"select _file, _hour, count(*) from {session.sql.table(SCHEMA, table)} "
        "where _hour >= $first and _hour < $after group by _file, _hour",
        {
            "first": datetime.combine(first, datetime.min.time()),
            "after": datetime.combine(last + timedelta(days=1), datetime.min.time()),
        },
    )
    return {
        key: (hour, int(count))
        for key, hour, count in rows
        if marker in f"/{key}" and (hours is None or hour in hours)
    }


def _add(
    result: Verification, kind: Kind, event_type: str, hour: datetime, object_key: str, detail: str
) -> None:
    result.differences.append(Difference(kind, event_type, hour, object_key, detail))
