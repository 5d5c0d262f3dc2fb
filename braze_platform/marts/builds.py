"""What each model's last build holds, kept in the warehouse, and what the file registry says was loaded since."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import cast

from braze_platform.marts.rebuild_window import Build, ChangedHour, HourRange
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.registry import BUILDS, FILES
from braze_platform.warehouse.tables import ensure, now_utc

#: Under this name, no model's, builds say up to which load late hours were noted (see `late_hours`).
LATE_HOURS = "(late hours)"


def read_builds(session: Session) -> dict[str, Build]:
    """The last build of each model."""
    ensure(session, BUILDS)
    return {
        model: Build(load_id, code)
        for model, load_id, code in session.fetch(
            f"select model, load_id, code from {BUILDS.ref(session.sql)}"
        )
    }


def record_builds(session: Session, builds: Mapping[str, Build]) -> None:
    """Replace the rows of some models, together."""
    if not builds:
        return
    built_at = now_utc()
    with session.transaction():
        session.execute(
            f"delete from {BUILDS.ref(session.sql)} where {session.sql.among('model', 'models')}",
            {"models": list(builds)},
        )
        BUILDS.append(
            session, [(model, build.load_id, build.code, built_at) for model, build in builds.items()]
        )


def latest_hour(session: Session) -> datetime | None:
    """The latest hour (naive UTC) that holds a file; None before the first."""
    if not FILES.exists(session):
        return None
    # By the size, for the text of a key is twenty times as long as all that is read here.
    [(hour,)] = session.fetch(f"select max(hour) from {FILES.ref(session.sql)} where size_bytes > 0")
    return cast("datetime | None", hour)


def hours_changed_after(session: Session, load_id: int) -> list[ChangedHour]:
    """The hours of all event types that a later load than this one touched."""
    return [
        ChangedHour(event_type, hour, int(latest))
        for event_type, hour, latest in session.fetch(
            f"select event_type, hour, max(load_id) from {FILES.ref(session.sql)} "
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
