"""What each model's last build holds, kept in the warehouse, and what the file registry says was loaded since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import cast

import pyarrow as pa

from braze_platform.marts.rebuild_window import Build, ChangedHour, HourRange
from braze_platform.warehouse.interface import Session

SCHEMA = "marts_ledger"
#: Under this name, no model's, builds say up to which load late hours were noted (see `late_hours`).
LATE_HOURS = "(late hours)"

_DESCRIPTION = "Which loads of Currents are in the last build of each dbt model."
_COLUMNS = "model string, load_id bigint, code string, built_at timestamp"


def read_builds(session: Session) -> dict[str, Build]:
    """The last build of each model."""
    session.create_schema(SCHEMA, _DESCRIPTION)
    table = session.sql.table(SCHEMA, "builds")
    session.execute(f"create table if not exists {table} ({_COLUMNS})")
    return {
        model: Build(load_id, code)
        for model, load_id, code in session.fetch(f"select model, load_id, code from {table}")
    }


def record_builds(session: Session, builds: Mapping[str, Build]) -> None:
    """Replace the rows of some models, together."""
    if not builds:
        return
    table = session.sql.table(SCHEMA, "builds")
    now = datetime.now(timezone.utc).replace(tzinfo=None)
    rows = pa.table(
        {
            "model": pa.array(list(builds), pa.string()),
            "load_id": pa.array([build.load_id for build in builds.values()], pa.int64()),
            "code": pa.array([build.code for build in builds.values()], pa.string()),
        }
    )
    with session.attached("models_built", rows) as built, session.transaction():
        session.execute(
            f"delete from {table} where {session.sql.among('model', 'models')}", {"models": list(builds)}
        )
        session.execute(
            f"insert into {table} select built.*, cast($now as timestamp) from {built} as built", {"now": now}
        )


def latest_hour(session: Session) -> datetime | None:
    """The latest hour (naive UTC) that holds a file; None before the first."""
    if not session.columns("currents_ledger", "files"):
        return None
    # By the size, for the text of a key is twenty times as long as all that is read here.
    [(hour,)] = session.fetch(
        f"select max(hour) from {session.sql.table('currents_ledger', 'files')} where size_bytes > 0"
    )
    return cast("datetime | None", hour)


def hours_changed_after(session: Session, load_id: int) -> list[ChangedHour]:
    """The hours of all event types that a later load than this one touched."""
    return [
        ChangedHour(event_type, hour, int(latest))
        for event_type, hour, latest in session.fetch(
            f"select event_type, hour, max(load_id) from {session.sql.table('currents_ledger', 'files')} "
            "where load_id > $load_id group by event_type, hour",
            {"load_id": load_id},
        )
    ]


def within(column: str, ranges: Sequence[HourRange]) -> str:
    """Whether a column of hours lies in one of some ranges, by constants, so that BigQuery reads only their days."""
    return " or ".join(
        f"{column} between timestamp '{first:%Y-%m-%d %H:%M:%S}' and timestamp '{last:%Y-%m-%d %H:%M:%S}'"
        for first, last in ranges
    )
