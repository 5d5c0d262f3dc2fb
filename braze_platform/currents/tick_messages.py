"""What a tick of the hours sensor says of what it found. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timezone

from braze_platform.currents.cursor import Cursor, Request, SeenByType
from braze_platform.currents.run_requests import Period


def describe(request: Request) -> str:
    """A request in words."""
    parts = []
    if request.scope is not None:
        count = len(request.scope.event_types)
        parts.append(f"{count} event type{'s' if count != 1 else ''} of {request.scope.period}")
    if request.unrecognised is not None:
        parts.append("the unrecognised objects")
    return " and ".join(parts)


def not_loaded_rows(requests: Iterable[Request]) -> list[list[str]]:
    """What requests that keep failing ask for: event type, first and last day, and since when they fail (UTC)."""
    return [
        [event_type, str(request.scope.first_day), str(request.scope.last_day), utc(request.failing_since)]
        for request in requests
        if request.scope is not None
        for event_type in request.scope.event_types
    ]


def early_files(found: SeenByType, start_day: date) -> list[str]:
    """A warning of files before the first partition: they are not lost, but they wait for the setting."""
    early = [
        (period, seen)
        for periods in found.values()
        for period, seen in periods.items()
        if period.first_day < start_day and seen.files
    ]
    if not early:
        return []
    files = sum(seen.files for _, seen in early)
    first = min(period.first_day for period, _ in early)
    return [
        f"{files:,} files of days before {start_day}, the first day of Currents by the settings, are not "
        f"loaded. Set BRAZE_PLATFORM_CURRENTS_START_DAY={first} to have them loaded."
    ]


def summary(
    cursor: Cursor, pending: Mapping[str, Sequence[Period]], unknown_event_types: Sequence[str]
) -> str:
    """What is to be loaded, and what cannot be, in words."""
    new = late = 0
    for event_type, periods in pending.items():
        for period in periods:
            files = cursor.found[event_type][period].files
            before = cursor.known.get(event_type, {}).get(period)
            if before is None:
                new += files
            else:
                late += max(files - before.files, 0)
    keys = cursor.recent_unrecognised.keys + cursor.older_unrecognised.keys
    parts = [
        f"{len(pending)} event types have days to load: {new:,} files in new days, {late:,} more in days known before",
        f"{keys:,} unrecognised keys",
    ]
    if unknown_event_types:
        parts.append(
            f"{len(unknown_event_types)} event types are not in the catalogue: {', '.join(unknown_event_types)}"
        )
    return "; ".join(parts) + "."


def utc(seconds: float) -> str:
    """A Unix time for people, by the minute."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M}"
