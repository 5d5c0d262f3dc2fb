"""One tick of the hours sensor, without Dagster: look after the requests, list the bucket, decide on one run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

from braze_platform.currents.bucket import Bucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.cursor import Cursor, Request, folded
from braze_platform.currents.fingerprints import combined
from braze_platform.currents.listing import event_type_folders, root_of
from braze_platform.currents.run_requests import Period, next_run_scope, period_of
from braze_platform.currents.tick_messages import describe, early_files, summary
from braze_platform.currents.tick_state import Loaded, RunState, Tick, TickLimits
from braze_platform.currents.walk import NOTHING, Seen, Walk, full, recent, resume_listing

_DEFAULTS = TickLimits()


def run_tick(
    cursor: Cursor,
    bucket: Bucket,
    prefix: str,
    start_day: date,
    *,
    now: float,
    today: date,
    run_state_of: Callable[[Request], RunState],
    loaded_by: Callable[[Request], Loaded],
    limits: TickLimits = _DEFAULTS,
    clock: Callable[[], float] = time.monotonic,
) -> Tick:
    """Decide what to do at `now` (Unix seconds) on UTC day `today`.

    `run_state_of` gives the state of a request's run, `loaded_by` what a run that succeeded had found in the bucket.
    """
    tick = Tick(cursor)
    started = clock()
    folders = event_type_folders(bucket, prefix)
    tick.event_types = frozenset(folders)
    _keep_up_with_the_clock(tick, start_day, today, now, limits, len(folders))
    idle = _look_after_running(tick, now, run_state_of, loaded_by, limits)
    due = next((request for request in cursor.failed if request.at <= now), None) if idle else None
    if due is not None:
        cursor.failed.remove(due)
        tick.messages.append(f"Retrying, attempt {due.attempt}: {describe(due)}.")
        _launch(tick, due, now)
    to_decide = idle and due is None
    if to_decide or cursor.full is not None:
        listing = _Listing(tick, bucket, root_of(prefix), folders, today, limits, lambda: clock() - started)
        finished = to_decide and listing.recent()
        listing.full()
        if finished:
            _decide(tick, start_day, today, now, limits, listing.unknown_event_types)
    _drop_processed(cursor)
    waiting = [request for request in (cursor.running, *cursor.failed) if request and request.failing_since]
    overdue = (request for request in waiting if now - request.failing_since >= limits.alarm_seconds)
    tick.not_loaded = sorted(overdue, key=lambda request: request.failing_since)
    has_recovered = bool(cursor.told_not_loaded) and not tick.not_loaded
    is_time = not 0 <= now - cursor.checked_at < limits.check_seconds
    if idle and tick.request is None and (is_time or has_recovered):
        # A new cursor has just looked at all of the bucket.
        tick.check_is_due, cursor.checked_at = cursor.checked_at > 0 or has_recovered, now
        if has_recovered:
            cursor.told_not_loaded = []
    return tick


def _look_after_running(
    tick: Tick,
    now: float,
    run_state_of: Callable[[Request], RunState],
    loaded_by: Callable[[Request], Loaded],
    limits: TickLimits,
) -> bool:
    """Whether no run is in progress any more."""
    cursor = tick.cursor
    request = cursor.running
    if request is None:
        return True
    state = run_state_of(request)
    if state == "in_progress" or (state == "not_created" and now - request.at < limits.not_created_seconds):
        seconds = f"{now - request.at:.0f} s ago"
        tick.messages.append(
            f"Waiting for the run of {describe(request)} ({state.replace('_', ' ')}, attempt {request.attempt}, "
            f"requested {seconds}); what arrives meanwhile is found afterwards."
        )
        return False
    cursor.running = None
    if state == "succeeded":
        _mark_processed(cursor, request, loaded_by(request))
        tick.messages.append(f"Done: {describe(request)}.")
    else:
        tick.warnings.append(_fail(cursor, request, state, now, limits))
    return True


def _fail(cursor: Cursor, request: Request, state: RunState, now: float, limits: TickLimits) -> str:
    """Have a request tried again later; returns what to say of it."""
    is_busy = state == "busy"
    since = request.failing_since or now
    if is_busy:
        delay = min(max((now - since) / 4, limits.first_delay_seconds), limits.longest_busy_delay_seconds)
    else:
        # A power of a large number of attempts would not fit into a float.
        delay = min(
            limits.first_delay_seconds * 2 ** min(request.attempt - 1, 32), limits.longest_delay_seconds
        )
    attempt = request.attempt if is_busy else request.attempt + 1
    cursor.failed.append(replace(request, attempt=attempt, at=now + delay, failing_since=since))
    why = "found the warehouse busy" if is_busy else f"failed or was cancelled (attempt {request.attempt})"
    return f"The run of {describe(request)} {why}; it is retried in {delay:.0f} s."


def _mark_processed(cursor: Cursor, request: Request, loaded: Loaded) -> None:
    """Remember what a request asked for; where the run tells what it found in the bucket, remember that instead."""
    if request.unrecognised is not None:
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


def _keep_up_with_the_clock(
    tick: Tick, start_day: date, today: date, now: float, limits: TickLimits, event_types: int
) -> None:
    """Fold what has grown old and begin a full walk when one is due."""
    cursor = tick.cursor
    if cursor.detail_from > today:
        tick.warnings.append(
            f"The clock went back: the sensor has been at {cursor.detail_from}, and today is {today} (UTC). It looks "
            "at the whole bucket again; hours that are loaded already are skipped."
        )
        cursor.known, cursor.found, cursor.detail_from = {}, {}, date.min
        cursor.recent = cursor.full = None
    moved = cursor.start_day != start_day
    due = not 0 <= now - cursor.reconciled_at < limits.reconciliation_seconds
    if moved or (due and cursor.full is None):
        cursor.start_day = start_day
        remembered = min(limits.detailed_days, limits.detailed_pairs // max(event_types, 1))
        detailed = timedelta(days=max(remembered, limits.look_back_days))
        cursor.detail_from = max(cursor.detail_from, today - detailed)
        cursor.known = folded(cursor.known, start_day, cursor.detail_from)
        cursor.found = {
            event_type: {
                period: seen
                for period, seen in periods.items()
                if period == period_of(period.first_day, start_day, cursor.detail_from)
            }
            for event_type, periods in cursor.found.items()
        }
        cursor.full, cursor.full_began_at = Walk(), now
        cursor.full_until = max(cursor.detail_from, today - timedelta(days=limits.look_back_days))


class _Listing:
    """The walks of one tick, which share its time."""

    def __init__(
        self,
        tick: Tick,
        bucket: Bucket,
        root: str,
        folders: Mapping[str, Sequence[str]],
        today: date,
        limits: TickLimits,
        elapsed: Callable[[], float],
    ) -> None:
        self.tick = tick
        self.cursor = tick.cursor
        self.bucket = bucket
        self.root = root
        self.folders = folders
        self.limits = limits
        self.elapsed = elapsed
        self.first_day = max(today - timedelta(days=limits.look_back_days), self.cursor.detail_from)
        self.unknown_event_types = sorted(folders.keys() - catalogue().keys())

    def recent(self) -> bool:
        """Walk the look-back; whether that is finished."""
        cursor = self.cursor
        walk = cursor.recent or Walk()
        # A full walk in progress keeps a third of the time, or a slow bucket would never be reconciled.
        share = self.limits.listing_seconds * (2 / 3 if cursor.full is not None else 1)
        finished = resume_listing(
            walk,
            self.bucket,
            self.root,
            self.folders,
            recent(self.first_day, cursor.start_day, cursor.detail_from),
            known=self._known(),
            out_of_time=lambda: self.elapsed() > share,
            done=lambda event_type, seen: _compare(
                cursor, event_type, seen, lambda period: period.first_day >= self.first_day
            ),
        )
        cursor.recent = None if finished else walk
        cursor.newest = max(cursor.newest, walk.newest)
        said = f"{walk.objects:,} objects of {walk.with_objects} event types from {self.first_day} on"
        if finished:
            cursor.recent_unrecognised = walk.unrecognised_keys
            self.tick.messages.append(f"Saw {said}.")
        else:
            self.tick.messages.append(f"Listed {said}, up to {walk.position}; the next tick resumes.")
        return finished

    def full(self) -> None:
        """Resume the full walk over older objects, if one is in progress."""
        cursor = self.cursor
        walk = cursor.full
        if walk is None:
            return
        finished = resume_listing(
            walk,
            self.bucket,
            self.root,
            self.folders,
            full(cursor.full_until, cursor.start_day, cursor.detail_from),
            known=self._known(),
            out_of_time=lambda: self.elapsed() > self.limits.listing_seconds,
            done=lambda event_type, seen: _compare(
                cursor, event_type, seen, lambda period: period.first_day < cursor.full_until
            ),
        )
        cursor.newest = max(cursor.newest, walk.newest)
        said = f"{walk.objects:,} objects of {walk.with_objects} event types before {cursor.full_until}"
        if finished:
            cursor.full, cursor.reconciled_at = None, cursor.full_began_at
            cursor.older_unrecognised = walk.unrecognised_keys
            self.tick.messages.append(f"Reconciled with all of the bucket: {said}.")
        else:
            self.tick.messages.append(
                f"Reconciling with all of the bucket: {said}, up to {walk.position}; the next tick resumes."
            )

    def _known(self) -> list[str]:
        return sorted(self.cursor.known.keys() | self.cursor.found.keys())


def _compare(
    cursor: Cursor, event_type: str, seen: Mapping[Period, Seen], is_within: Callable[[Period], bool]
) -> None:
    """Remember which of the listed periods differ from what was processed."""
    known = cursor.known.get(event_type, {})
    found = {p: s for p, s in cursor.found.get(event_type, {}).items() if not is_within(p)}
    for period in filter(is_within, seen.keys() | known.keys()):
        now = seen.get(period, NOTHING)
        if now.fingerprint != known.get(period, NOTHING).fingerprint:
            found[period] = now
    cursor.found[event_type] = found


def _drop_processed(cursor: Cursor) -> None:
    cursor.found = {
        event_type: left
        for event_type, periods in cursor.found.items()
        if (
            left := {
                period: seen
                for period, seen in periods.items()
                if seen.fingerprint != cursor.known.get(event_type, {}).get(period, NOTHING).fingerprint
            }
        )
    }


def _decide(
    tick: Tick,
    start_day: date,
    today: date,
    now: float,
    limits: TickLimits,
    unknown_event_types: Sequence[str],
) -> None:
    """Launch the next run for what was found and is not processed."""
    cursor = tick.cursor
    _drop_processed(cursor)
    found = cursor.found
    tick.warnings += early_files(found, start_day)
    ahead = {period for periods in found.values() for period in periods if period.last_day > today}
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
        for event_type, periods in sorted(found.items())
        if (
            ready := [
                period
                for period in sorted(periods)
                if start_day <= period.first_day
                and period.last_day <= today
                and (event_type, period) not in being_retried
            ]
        )
    }
    tick.messages.append(summary(cursor, pending, unknown_event_types))
    unrecognised_keys = combined(
        [cursor.recent_unrecognised.fingerprint, cursor.older_unrecognised.fingerprint]
    )
    unrecognised = None
    if unrecognised_keys != cursor.unrecognised and all(r.unrecognised is None for r in cursor.failed):
        unrecognised = unrecognised_keys
    scope = next_run_scope(pending, max_days=limits.days_per_run)
    if scope is not None and _still_arriving(tick, now, limits):
        return
    if scope is not None:
        asked = {
            event_type: {
                period: found[event_type][period]
                for period in pending[event_type]
                if scope.first_day <= period.first_day and period.last_day <= scope.last_day
            }
            for event_type in scope.event_types
        }
        _launch(tick, Request("", scope, asked, unrecognised), now)
    elif unrecognised is not None:
        _launch(tick, Request("", None, {}, unrecognised), now)
    keys = cursor.recent_unrecognised.keys + cursor.older_unrecognised.keys
    if keys:
        examples = [*cursor.recent_unrecognised.examples, *cursor.older_unrecognised.examples][:3]
        tick.warnings.append(
            f"{keys} unrecognised keys (in neither layout of Currents) are not loaded, for example "
            f"{', '.join(examples)}. See the asset currents/unrecognised_objects."
        )


def _still_arriving(tick: Tick, now: float, limits: TickLimits) -> bool:
    """Whether to wait for more files. A clock that is behind the bucket's waits for nothing."""
    cursor = tick.cursor
    age = now - cursor.newest
    since = cursor.holding_since or now
    if 0 <= age < limits.quiet_seconds and now - since < 10 * limits.quiet_seconds:
        cursor.holding_since = since
        tick.messages.append(
            f"Files are still arriving (the newest is {age:.0f} s old): a run is asked for when none came for "
            f"{limits.quiet_seconds:.0f} s, or in {since + 10 * limits.quiet_seconds - now:.0f} s."
        )
        return True
    cursor.holding_since = 0.0
    return False
