"""Hours that raw tables no longer have, among those that a build is about to reprocess.

A late file into a very old hour, or a reload of one, asks for that hour and the days after it. Where raw tables have
forgotten these days (partition expiry, or a retention of the company's own), nothing can be reprocessed: a model that
reads raw tables is then built beside what it keeps (`dbt_project/macros/kept_hours.sql`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import cast

import pyarrow as pa

from braze_platform.marts.builds import within
from braze_platform.marts.rebuild_window import HourRange, Model, joined_ranges, without_days
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import FILES


def without_expired_hours(
    session: Session,
    models: Mapping[str, Model],
    ranges: Mapping[str, Sequence[HourRange]],
    tables: Mapping[str, str],
    expiry_days: int,
) -> dict[str, Sequence[HourRange]]:
    """The ranges by model, without what their raw tables (`tables`, by event type) have forgotten.

    Forgotten is an hour that has rows by the file registry, and none in its raw table; and an hour of more than
    `expiry_days` ago (0: never) that has none in either, for a reload finds no files where the bucket expires, too.
    A model with such hours in its ranges is not among the result, for a whole build finds what it has to keep; one
    that compares raw tables with models leaves the days of such hours as they are.
    """
    by_type: dict[str, set[HourRange]] = {}
    for name, of_model in ranges.items():
        for event_type in models[name].reads:
            by_type.setdefault(event_type, set()).update(of_model)
    asked = {name: joined_ranges(sorted(found)) for name, found in by_type.items() if found}
    if not asked or not FILES.exists(session):
        return dict(ranges)
    expired: dict[str, set[datetime]] = {}
    for event_type, hour in _expired(session, asked, tables, expiry_days):
        expired.setdefault(event_type, set()).add(hour)
    found: dict[str, Sequence[HourRange]] = {}
    for name, of_model in ranges.items():
        hours = sorted(
            {
                hour
                for event_type in models[name].reads
                for hour in expired.get(event_type, ())
                if any(first <= hour <= last for first, last in of_model)
            }
        )
        if models[name].compares:
            found[name] = without_days(of_model, [(hour, hour) for hour in hours]) if hours else of_model
        elif not hours:
            found[name] = of_model
    return found


def _expired(
    session: Session, asked: Mapping[str, Sequence[HourRange]], tables: Mapping[str, str], expiry_days: int
) -> list[tuple[str, datetime]]:
    there = set(session.table_names("currents_raw"))
    rows = [(event_type, *one) for event_type, ranges in asked.items() for one in ranges]
    attached_rows = pa.table(
        {
            "event_type": pa.array([event_type for event_type, _, _ in rows], pa.string()),
            "first_hour": pa.array([first for _, first, _ in rows], pa.timestamp("us")),
            "last_hour": pa.array([last for _, _, last in rows], pa.timestamp("us")),
        }
    )
    held = [
        f"select distinct {session.sql.literal(event_type)} as event_type, _hour as hour "
        f"from {session.sql.table('currents_raw', tables[event_type])} where {within('_hour', ranges)}"
        for event_type, ranges in asked.items()
        if tables.get(event_type) in there
    ]
    bounds = (min(first for _, first, _ in rows), max(last for _, _, last in rows))
    with session.attached("hours_asked_for", attached_rows) as attached:
        delivered = (
            "select files.event_type, files.hour "
            f"from {FILES.ref(session.sql)} as files "
            f"inner join {attached} as asked on files.event_type = asked.event_type "
            "and files.hour between asked.first_hour and asked.last_hour "
            f"where {within('files.hour', [bounds])} "
            "group by files.event_type, files.hour having sum(files.row_count) > 0"
        )
        if expiry_days:
            expired_before = datetime.now(timezone.utc) - timedelta(days=expiry_days)
            delivered += f" or files.hour < timestamp '{expired_before:%Y-%m-%d} 00:00:00'"
        if not held:
            return cast("list[tuple[str, datetime]]", session.fetch(delivered))
        return cast(
            "list[tuple[str, datetime]]",
            session.fetch(
                f"with delivered as ({delivered}), held as ({' union all '.join(held)}) "
                "select delivered.event_type, delivered.hour from delivered left join held "
                "on delivered.event_type = held.event_type and delivered.hour = held.hour "
                "where held.hour is null"
            ),
        )
