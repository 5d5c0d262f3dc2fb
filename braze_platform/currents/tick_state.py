"""What a tick of the hours sensor is given and gives: its limits, the states of runs, its result. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, TypeAlias

from braze_platform.currents.cursor import Cursor, Request

#: The state of a request's run. `not_created`: Dagster has no run of it; `busy`: it failed because somebody else kept
#: the warehouse; a run that Dagster will retry is in progress.
RunState: TypeAlias = Literal["not_created", "in_progress", "succeeded", "failed", "busy"]
#: Fingerprints of what a run loaded, by event type and day.
Loaded: TypeAlias = Mapping[str, Mapping[date, int]]


@dataclass(frozen=True)
class TickLimits:
    """Time budget and retries of the sensor."""

    #: Seconds a tick may list before the next one resumes; Dagster allows a tick 60.
    listing_seconds: float = 15.0
    #: Days before today that every tick lists; a later change to an older hour waits for the reconciliation.
    look_back_days: int = 3
    #: Maximum number of days, and of (event type, day) pairs, that are remembered day by day; older ones are
    #: remembered and requested per month. Never fewer than the look-back.
    detailed_days: int = 31
    detailed_pairs: int = 1_200
    #: Seconds between the starts of two full reconciliations.
    reconciliation_seconds: float = 86_400.0
    #: Seconds without a new object before a run is requested, so that one run loads what arrives together; a
    #: bucket that is never quiet waits ten times as long. 0: at once.
    quiet_seconds: float = 0.0
    #: Days one run may span.
    days_per_run: int = 31
    #: Seconds before the second attempt, doubled for each further one up to the longest. None is the last.
    first_delay_seconds: float = 30.0
    longest_delay_seconds: float = 3_600.0
    #: A warehouse that somebody else keeps is asked again after a quarter of the time that was waited already, at most.
    longest_busy_delay_seconds: float = 300.0
    #: Seconds from a request's first failed run to the failing check.
    alarm_seconds: float = 900.0
    #: Seconds between two comparisons of the bucket with the file registry.
    check_seconds: float = 86_400.0
    #: Seconds after which a request whose run was not created counts as failed.
    not_created_seconds: float = 300.0


@dataclass
class Tick:
    """The result of a tick."""

    cursor: Cursor
    #: The run to launch now, if any.
    request: Request | None = None
    #: Event types that have a folder in the bucket.
    event_types: frozenset[str] = frozenset()
    #: Requests that have failed for longer than `TickLimits.alarm_seconds`, oldest first.
    not_loaded: list[Request] = field(default_factory=list)
    #: Whether it is time to compare the bucket with the file registry (`checks.files_are_loaded`).
    check_is_due: bool = False
    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
