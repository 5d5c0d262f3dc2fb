"""Where copies of an event can lie that came long after it happened.

Currents delivers at least once, and a copy may come months later (Braze's documentation bounds neither). Copies carry
the same `time`, so all copies of an event have its UTC day in common. Nearly all come soon after it; for the others a
small table says which hours hold events of which earlier days. By it a build finds the hours that it has to look at,
without reading all history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

import pyarrow as pa

from braze_platform.marts.builds import within
from braze_platform.marts.rebuild_window import ChangedHour, HourRange, hour_ranges, joined_ranges
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import LATE_HOURS
from braze_platform.warehouse.tables import ensure

#: A device's clock may be ahead so far; an event later than that is none (dbt_project/macros/staged_event.sql).
CLOCK_AHEAD = timedelta(days=2)
_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (all hours are naive UTC)
_DAY = timedelta(days=1)
#: Before 2011 and after 9999 no time of an event lies (see the macros is_test_event and is_epoch_time).
_FIRST_SECOND, _LAST_SECOND = 1_293_840_000, 253_402_300_799
#: Raw tables in one statement.
_AT_ONCE = 100
#: Ranges by model: all models' go to dbt in one environment variable, which holds 128 KB.
_MAX_RANGES = 8


def note_late_hours(
    session: Session,
    tables: Mapping[str, str],
    changes: Collection[ChangedHour] | None,
    look_back: timedelta,
) -> None:
    """Note of changed hours (None: of all) which hold events that happened long before them.

    `tables` are the raw tables by event type. Copies at most `look_back` apart are found without this table. What it
    says of an hour stays when the hour is loaded again: too much costs a little reading, too little a wrong count.
    """
    ensure(session, LATE_HOURS)
    noted = LATE_HOURS.ref(session.sql)
    there = set(session.table_names("currents_raw"))
    hours: dict[str, set[datetime]] = {}
    for change in changes or ():
        hours.setdefault(change.event_type, set()).add(change.hour)
    read = sorted(
        event_type
        for event_type, table in tables.items()
        if table in there and (changes is None or event_type in hours)
    )
    for some in _parts(read):
        found = " union all ".join(
            _late_events(session, event_type, tables[event_type], hours.get(event_type), look_back)
            for event_type in some
        )
        session.execute(
            f"insert into {noted} select found.* from ({found}) as found "
            f"where not exists (select 1 from {noted} as known where known.event_type = found.event_type "
            "and known.hour = found.hour and known.event_day = found.event_day)"
        )


def _late_events(
    session: Session, event_type: str, table: str, hours: Collection[datetime] | None, look_back: timedelta
) -> str:
    """A query: the hours of a raw table with the days of their late events."""
    ranges = [] if hours is None else hour_ranges(hours, timedelta(0), None)
    bounds = within("_hour", ranges)
    late_by = int((look_back - CLOCK_AHEAD).total_seconds())
    return (
        f"select distinct {session.sql.literal(event_type)} as event_type, _hour as hour, "
        f"cast(floor({session.sql.quoted('time')} / 86400) as bigint) as event_day "
        f"from {session.sql.table('currents_raw', table)} "
        f"where {session.sql.quoted('time')} between {_FIRST_SECOND} and {_LAST_SECOND} "
        f"and {session.sql.quoted('time')} < {session.sql.epoch_seconds('_hour')} - {late_by}"
        + (f" and ({bounds})" if bounds else "")
    )


def hours_that_follow(
    session: Session, changes: Collection[ChangedHour], look_back: timedelta
) -> list[ChangedHour]:
    """Later hours in which copies of events of changed hours can lie, each as if the same load had changed it.

    Which copy counts may have changed there: the earlier one may have come, or gone.
    """
    if not changes or not LATE_HOURS.exists(session):
        return []
    rows = pa.table(
        {
            "event_type": pa.array([one.event_type for one in changes], pa.string()),
            "hour": pa.array([one.hour for one in changes], pa.timestamp("us")),
            "load_id": pa.array([one.load_id for one in changes], pa.int64()),
            "event_day": pa.array([(one.hour - _EPOCH).days for one in changes], pa.int64()),
        }
    )
    late = LATE_HOURS.ref(session.sql)
    with session.attached("changed_hours", rows) as changed:
        found = session.fetch(
            "select event_type, hour, max(load_id) from ("
            f"select late.event_type, late.hour, changed.load_id from {late} as late "
            f"inner join {changed} as changed on late.event_type = changed.event_type "
            "where late.hour > changed.hour and late.event_day "
            f"between changed.event_day - {look_back.days} and changed.event_day + {CLOCK_AHEAD.days} "
            "union all "
            f"select late.event_type, late.hour, changed.load_id from {changed} as changed "
            f"inner join {late} as own on own.event_type = changed.event_type and own.hour = changed.hour "
            f"inner join {late} as late on late.event_type = own.event_type and late.event_day = own.event_day "
            "where late.hour > changed.hour) as followers group by event_type, hour"
        )
    return [ChangedHour(event_type, hour, int(load_id)) for event_type, hour, load_id in found]


def hours_with_copies(
    session: Session,
    reads: Mapping[str, Collection[str]],
    ranges: Mapping[str, Sequence[HourRange]],
    look_back: timedelta,
) -> dict[str, list[HourRange]]:
    """By model, where copies of the late events in its ranges can lie, beside the days just before the ranges.

    `reads` are the event types of the raw tables that a model reads.
    """
    # By whole days, for some models do whole days again.
    asked = [
        (model, event_type, first.replace(hour=0), last.replace(hour=23))
        for model, event_types in sorted(reads.items())
        for event_type in sorted(event_types)
        for first, last in ranges.get(model, ())
    ]
    if not asked or not LATE_HOURS.exists(session):
        return {}
    rows = pa.table(
        {
            "model": pa.array([one[0] for one in asked], pa.string()),
            "event_type": pa.array([one[1] for one in asked], pa.string()),
            "first_hour": pa.array([one[2] for one in asked], pa.timestamp("us")),
            "last_hour": pa.array([one[3] for one in asked], pa.timestamp("us")),
        }
    )
    late = LATE_HOURS.ref(session.sql)
    with session.attached("ranges_of_models", rows) as attached:
        days = (
            f"select distinct ranges.model, late.event_type, late.event_day from {attached} as ranges "
            f"inner join {late} as late on late.event_type = ranges.event_type "
            "where late.hour between ranges.first_hour and ranges.last_hour"
        )
        found = session.fetch(
            f"with days as ({days}) select model, event_day, cast(null as timestamp) as hour from days "
            f"union all select days.model, days.event_day, late.hour from days inner join {late} as late "
            "on late.event_type = days.event_type and late.event_day = days.event_day"
        )
    hours: dict[str, set[HourRange]] = {}
    for model, event_day, hour in found:
        day = _EPOCH + event_day * _DAY
        soon = (day - CLOCK_AHEAD, day + look_back)
        hours.setdefault(model, set()).add(soon if hour is None else (hour, hour))
    return {model: joined_ranges(sorted(found), _MAX_RANGES) for model, found in hours.items()}


def _parts(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(names), _AT_ONCE):
        yield names[start : start + _AT_ONCE]


def raw_tables_by_type(sources: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """The raw table of each event type among the sources of a dbt manifest."""
    found: dict[str, str] = {}
    for source in sources:
        config = source["config"]
        assert isinstance(config, dict)
        if "event_type" in config["meta"]:
            found[str(config["meta"]["event_type"])] = str(source["name"])
    return found
