"""One tick of the hours sensor, without Dagster: look after the requests, list the bucket, decide on one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal, TypeAlias
from uuid import uuid4

from braze_platform.currents.bucket import Bucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.cursor import (
    Cursor,
    Request,
    Seen,
    SeenByType,
    Sweep,
    folded,
    with_attempt_after,
)
from braze_platform.currents.fingerprints import combined, fingerprint
from braze_platform.currents.layout import parse_key
from braze_platform.currents.listing import root_of
from braze_platform.currents.run_planning import Period, period_of, plan_run

#: What became of a request's run: no run exists, it is under way (or will be retried by Dagster), or it ended.
Fate: TypeAlias = Literal["unborn", "under way", "succeeded", "failed"]
#: Fingerprints of what a run loaded, by event type and day.
Loaded: TypeAlias = Mapping[str, Mapping[date, int]]


@dataclass(frozen=True)
class TickLimits:
    """How long and how often the sensor tries."""

    #: Seconds a tick may list before it goes on in the next; Dagster allows a tick 60.
    listing_seconds: float = 30.0
    #: Days one run may span.
    days_per_run: int = 31
    #: Runs for one request before it is given up.
    attempts: int = 5
    #: Seconds before the second attempt; doubled for each one after.
    first_delay_seconds: float = 30.0
    #: Seconds after which a request without a run is taken for failed.
    unborn_seconds: float = 300.0
    #: Days that are remembered one by one.
    detailed_days: int = 31


@dataclass
class Tick:
    """What a tick came to."""

    cursor: Cursor
    #: The run to launch now, if any.
    request: Request | None = None
    messages: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def run_tick(
    cursor: Cursor,
    bucket: Bucket,
    prefix: str,
    start_day: date,
    *,
    now: float,
    today: date,
    fate_of: Callable[[Request], Fate],
    loaded_by: Callable[[Request], Loaded],
    limits: TickLimits = TickLimits(),
    clock: Callable[[], float] = time.monotonic,
) -> Tick:
    """Decide what to do at `now` (Unix seconds) on UTC day `today`.

    `fate_of` tells what became of a request's run, `loaded_by` what a run that succeeded had found in the bucket.
    """
    tick = Tick(cursor)
    if not _look_after_running(tick, now, fate_of, loaded_by, limits):
        return tick
    due = next((request for request in cursor.failed if request.at <= now), None)
    if due is not None:
        cursor.failed.remove(due)
        tick.messages.append(f"Asking again, attempt {due.attempt} of {limits.attempts}: {describe(due)}.")
        _launch(tick, due, now)
        return tick
    sweep = cursor.sweep or Sweep(detail_from=today - timedelta(days=limits.detailed_days))
    finished = _list(sweep, bucket, prefix, start_day, limits.listing_seconds, clock)
    cursor.sweep = None if finished else sweep
    if not finished:
        tick.messages.append(
            f"Listed {sweep.objects:,} objects, up to {sweep.position}; the next tick goes on."
        )
        return tick
    _decide(tick, sweep, start_day, today, now, limits)
    return tick


def describe(request: Request) -> str:
    """A request in words."""
    if request.plan is None:
        return "the objects whose keys fit no layout"
    count = len(request.plan.event_types)
    return f"{count} event type{'s' if count != 1 else ''} of {request.plan.period}"


def _look_after_running(
    tick: Tick,
    now: float,
    fate_of: Callable[[Request], Fate],
    loaded_by: Callable[[Request], Loaded],
    limits: TickLimits,
) -> bool:
    """Whether no run is under way any more."""
    cursor = tick.cursor
    request = cursor.running
    if request is None:
        return True
    fate = fate_of(request)
    if fate == "under way" or (fate == "unborn" and now - request.at < limits.unborn_seconds):
        tick.messages.append(
            f"Waiting for the run of {describe(request)} ({fate}, attempt {request.attempt}, asked for "
            f"{now - request.at:.0f} s ago); what arrives meanwhile is found afterwards."
        )
        return False
    cursor.running = None
    if fate == "succeeded":
        _deal_with(cursor, request, loaded_by(request))
        tick.messages.append(f"Done: {describe(request)}.")
    elif request.attempt < limits.attempts:
        delay = limits.first_delay_seconds * 2 ** (request.attempt - 1)
        cursor.failed.append(with_attempt_after(request, now + delay))
        tick.warnings.append(
            f"The run of {describe(request)} failed or was cancelled (attempt {request.attempt} of "
            f"{limits.attempts}); it is asked for again in {delay:.0f} s."
        )
    else:
        _deal_with(cursor, request, {})
        names = ", ".join(request.plan.event_types) if request.plan else "unrecognised_objects"
        tick.warnings.append(
            f"GIVEN UP after {request.attempt} failed runs: {describe(request)} ({names}). Look at the failed runs, "
            f"remove the cause, then materialise these assets for these days by hand; files that arrive for them "
            f"are asked for as usual."
        )
    return True


def _deal_with(cursor: Cursor, request: Request, loaded: Loaded) -> None:
    """Remember what a request asked for; where the run tells what it found in the bucket, remember that instead."""
    if request.plan is None:
        cursor.unrecognised = request.unrecognised
    for event_type, periods in request.seen.items():
        known = cursor.known.setdefault(event_type, {})
        for period, seen in periods.items():
            days = loaded.get(event_type)
            found = seen.fingerprint
            if days is not None:
                found = combined(mark for day, mark in days.items() if day in period)
            known[period] = replace(seen, fingerprint=found)
            if found == 0:
                del known[period]


def _launch(tick: Tick, request: Request, now: float) -> None:
    tick.request = replace(request, id=uuid4().hex[:12], at=now)
    tick.cursor.running = tick.request


def _list(
    sweep: Sweep,
    bucket: Bucket,
    prefix: str,
    start_day: date,
    seconds: float,
    clock: Callable[[], float],
) -> bool:
    """List on from where the sweep is, at least one object; whether it reached the end."""
    started = clock()
    after = f"{sweep.position}\0" if sweep.position else ""
    for found in bucket.objects(root_of(prefix), start_offset=after):
        mark = fingerprint([found])
        file = parse_key(found.key)
        sweep.objects += 1
        sweep.position = found.key
        if file is None:
            sweep.unrecognised = combined([sweep.unrecognised, mark])
            sweep.unrecognised_keys += 1
            if len(sweep.unrecognised_examples) < 3:
                sweep.unrecognised_examples.append(found.key)
        else:
            hour = f"{file.event_type}@{file.hour:%Y-%m-%d-%H}"
            periods = sweep.seen.setdefault(file.event_type, {})
            period = period_of(file.hour.date(), start_day, sweep.detail_from)
            before = periods.get(period, Seen(0, 0, 0))
            periods[period] = Seen(
                combined([before.fingerprint, mark]),
                before.files + 1,
                before.hours + (hour != sweep.last_hour),
            )
            sweep.last_hour = hour
        if clock() - started > seconds:
            return False
    return True


def _decide(tick: Tick, sweep: Sweep, start_day: date, today: date, now: float, limits: TickLimits) -> None:
    """Compare a finished sweep with what is known and launch the next run."""
    cursor = tick.cursor
    cursor.known = folded(cursor.known, start_day, sweep.detail_from)
    changed = _changed(sweep.seen, cursor.known)
    _report_early(tick, changed, sweep.seen, start_day)
    ahead = {period for periods in changed.values() for period in periods if period.last_day > today}
    if ahead:
        tick.warnings.append(
            f"Files of {len(ahead)} days that have not begun (UTC), from {min(ahead)} on, are left until they begin."
        )
    being_retried = {
        (event_type, period)
        for request in cursor.failed
        for event_type, periods in request.seen.items()
        for period in periods
    }
    pending = {
        event_type: ready
        for event_type, periods in changed.items()
        if (
            ready := [
                period
                for period in periods
                if start_day <= period.first_day
                and period.last_day <= today
                and (event_type, period) not in being_retried
            ]
        )
    }
    tick.messages.append(_summary(sweep, changed, cursor.known, pending))
    plan = plan_run(pending, max_days=limits.days_per_run)
    if plan is not None:
        asked = {
            event_type: {
                period: sweep.seen.get(event_type, {}).get(period, Seen(0, 0, 0))
                for period in pending[event_type]
                if plan.first_day <= period.first_day and period.last_day <= plan.last_day
            }
            for event_type in plan.event_types
        }
        _launch(tick, Request("", plan, asked), now)
    elif sweep.unrecognised != cursor.unrecognised and not any(r.plan is None for r in cursor.failed):
        _launch(tick, Request("", None, {}, unrecognised=sweep.unrecognised), now)
    if sweep.unrecognised_keys:
        tick.warnings.append(
            f"{sweep.unrecognised_keys} keys fit neither layout of Currents and are not loaded, for example "
            f"{', '.join(sweep.unrecognised_examples)}. See the asset currents/unrecognised_objects."
        )


def _changed(seen: SeenByType, known: SeenByType) -> dict[str, list[Period]]:
    """Periods whose objects are not those that were dealt with, also where all of them vanished."""
    result: dict[str, list[Period]] = {}
    for event_type in sorted(seen.keys() | known.keys()):
        now, before = seen.get(event_type, {}), known.get(event_type, {})
        periods = [
            period
            for period in sorted(now.keys() | before.keys())
            if _mark(now.get(period)) != _mark(before.get(period))
        ]
        if periods:
            result[event_type] = periods
    return result


def _mark(seen: Seen | None) -> int:
    return seen.fingerprint if seen else 0


def _report_early(
    tick: Tick, changed: Mapping[str, Iterable[Period]], seen: SeenByType, start_day: date
) -> None:
    """Warn of files before the first partition: they are not lost, but they wait for the setting."""
    early = {
        (event_type, period)
        for event_type, periods in changed.items()
        for period in periods
        if period.first_day < start_day and period in seen.get(event_type, {})
    }
    if early:
        files = sum(seen[event_type][period].files for event_type, period in early)
        first = min(period.first_day for _, period in early)
        tick.warnings.append(
            f"{files:,} files of days before {start_day}, the first day of Currents by the settings, are not "
            f"loaded. Set BRAZE_PLATFORM_CURRENTS_START_DAY={first} to have them loaded."
        )


def _summary(
    sweep: Sweep,
    changed: Mapping[str, Iterable[Period]],
    known: SeenByType,
    pending: Mapping[str, Iterable[Period]],
) -> str:
    new = late = hours = 0
    for event_type, periods in changed.items():
        for period in periods:
            now = sweep.seen.get(event_type, {}).get(period, Seen(0, 0, 0))
            before = known.get(event_type, {}).get(period)
            if before is None:
                new += now.files
            else:
                late += max(now.files - before.files, 0)
            hours += max(now.hours - (before.hours if before else 0), 0)
    unknown = sorted(sweep.seen.keys() - catalogue().keys())
    parts = [
        f"Saw {sweep.objects:,} objects of {len(sweep.seen)} event types: {new:,} in new days, {late:,} more in days "
        f"known before, {hours:,} more hours; {len(pending)} event types have days to load",
        f"{sweep.unrecognised_keys:,} keys fit no layout",
    ]
    if unknown:
        parts.append(f"{len(unknown)} event types are not in the catalogue: {', '.join(unknown)}")
    return "; ".join(parts) + "."
