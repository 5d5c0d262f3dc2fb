"""Ticks of the hours sensor without Dagster: what is requested, waited for, retried and told."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timezone
from itertools import count
from typing import Any

import pytest
from currents_files import CLICK, OPEN, SEND, Deliveries, currents_file, opens
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.cursor import Cursor, Request
from braze_platform.currents.run_requests import Period, RunScope
from braze_platform.currents.tick import run_tick
from braze_platform.currents.tick_messages import not_loaded_rows
from braze_platform.currents.tick_state import Loaded, RunState, Tick, TickLimits
from braze_platform.currents.walk import Seen, UnrecognisedKeys, Walk
from braze_platform.settings import Settings

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc).timestamp()


class Ticking:
    """Ticks in a row, each of which reconciles; the cursor goes through its text each time."""

    def __init__(self, bucket: FolderBucket, settings: Settings) -> None:
        self.bucket = bucket
        self.settings = settings
        self.text = ""
        self.now = NOW
        self.state: RunState = "in_progress"
        self.loaded: Loaded = {}

    def __call__(self, state: RunState = "in_progress", **options: Any) -> Tick:
        tick = run_tick(
            Cursor.read(self.text),
            self.bucket,
            self.settings.currents_prefix,
            options.pop("start_day", self.settings.currents_start_day),
            now=self.now,
            today=date(2026, 11, 24),
            run_state_of=lambda _: state,
            loaded_by=lambda _: self.loaded,
            limits=replace(options.pop("limits", TickLimits()), reconciliation_seconds=0),
            **options,
        )
        self.text = tick.cursor.write()
        return tick


@pytest.fixture
def tick(bucket: FolderBucket, settings: Settings) -> Ticking:
    return Ticking(bucket, settings)


def scope_of(tick: Tick) -> tuple[tuple[str, ...], str] | None:
    if tick.request is None or tick.request.scope is None:
        return None
    return tick.request.scope.event_types, str(tick.request.scope.period)


def test_asks_once_for_what_is_new_and_then_is_quiet(deliveries: Deliveries, tick: Ticking) -> None:
    assert scope_of(tick()) is None
    deliveries.put(currents_file(OPEN, "2026-11-10-05"), opens("a"))
    deliveries.put(currents_file(CLICK, "2026-11-11-05"), opens("a"))
    first = tick()
    assert scope_of(first) == ((CLICK, OPEN), "2026-11-10..2026-11-11")
    assert "2 objects of 2 event types before 2026-11-21" in first.messages[-2]
    assert "2 event types have days to load: 2 files in new days" in first.messages[-1]
    waiting = tick("in_progress")
    assert waiting.request is None
    assert "Waiting for the run of 2 event types of 2026-11-10..2026-11-11" in waiting.messages[0]
    done = tick("succeeded")
    assert done.request is None
    assert "0 files in new days, 0 more" in done.messages[-1]
    assert tick().request is None


def test_a_late_file_asks_for_its_type_and_day_only(deliveries: Deliveries, tick: Ticking) -> None:
    for hour in ("2026-11-10-05", "2026-11-11-05"):
        deliveries.put(currents_file(OPEN, hour), opens("a"))
        deliveries.put(currents_file(CLICK, hour), opens("a"))
    tick()
    tick("succeeded")
    deliveries.put(currents_file(OPEN, "2026-11-10-05", offset=9), opens("late"))
    late = tick()
    assert scope_of(late) == ((OPEN,), "2026-11-10")
    assert "1 more in days known before" in late.messages[-1]


def test_equal_time_stamps_and_old_ones_hide_nothing(deliveries: Deliveries, tick: Ticking) -> None:
    first = deliveries.put(currents_file(), opens("a"))
    tick()
    tick("succeeded")
    second = deliveries.put(currents_file(offset=1), opens("b"))
    for key, at in ((first, 5), (second, 5)):
        os.utime(deliveries.folder / key, ns=(at, at))
    assert scope_of(tick()) == ((OPEN,), "2026-11-10")


def test_rewritten_and_vanished_objects_ask_too(deliveries: Deliveries, tick: Ticking) -> None:
    key = deliveries.put(currents_file(), opens("a"))
    tick()
    tick("succeeded")
    deliveries.put(currents_file(), opens("b"))
    assert scope_of(tick()) == ((OPEN,), "2026-11-10")
    tick("succeeded")
    deliveries.remove(key)
    assert scope_of(tick()) == ((OPEN,), "2026-11-10")
    assert tick("succeeded").request is None
    assert tick().request is None


def test_what_arrives_during_a_run_is_asked_for_afterwards(deliveries: Deliveries, tick: Ticking) -> None:
    deliveries.put(currents_file(), opens("a"))
    tick()
    deliveries.put(currents_file(offset=1), opens("b"))
    deliveries.put(currents_file(SEND), opens("c"))
    assert tick("in_progress").request is None
    assert scope_of(tick("succeeded")) == ((OPEN, SEND), "2026-11-10")


def test_what_the_run_itself_found_is_not_asked_for_again(
    deliveries: Deliveries, tick: Ticking, bucket: FolderBucket
) -> None:
    from braze_platform.currents.fingerprints import fingerprint

    deliveries.put(currents_file(), opens("a"))
    tick()
    deliveries.put(currents_file(offset=1), opens("b"))
    tick.loaded = {OPEN: {date(2026, 11, 10): fingerprint(bucket.objects(""))}}
    assert tick("succeeded").request is None


def test_a_lost_cursor_asks_for_everything_in_ranges(deliveries: Deliveries, tick: Ticking) -> None:
    for day in range(1, 21):
        deliveries.put(currents_file(OPEN, f"2026-11-{day:02d}-05"), opens("a"))
    tick()
    assert tick("succeeded").request is None
    for lost in ("", "no cursor of ours", "Zm9v"):
        tick.text = lost
        assert scope_of(tick(limits=TickLimits(days_per_run=15))) == ((OPEN,), "2026-11-06..2026-11-20")
    assert scope_of(tick("succeeded")) == ((OPEN,), "2026-11-01..2026-11-05")
    assert tick("succeeded").request is None


def test_a_failed_run_is_asked_for_again_ever_later_and_for_ever(
    deliveries: Deliveries, tick: Ticking
) -> None:
    deliveries.put(currents_file(), opens("a"))
    first = tick()
    ids = {first.request.id} if first.request else set()
    limits = TickLimits(first_delay_seconds=30, longest_delay_seconds=100, alarm_seconds=120)
    for attempt, delay in enumerate([30, 60, 100, 100, 100], 1):
        failed = tick("failed", limits=limits)
        assert failed.request is None
        assert f"(attempt {attempt}); it is retried in {delay} s" in failed.warnings[0]
        tick.now += delay - 1
        waiting = tick(limits=limits)
        assert waiting.request is None
        assert bool(waiting.not_loaded) == (tick.now - NOW >= 120)
        tick.now += 1
        again = tick(limits=limits)
        assert scope_of(again) == ((OPEN,), "2026-11-10")
        assert again.request is not None
        ids.add(again.request.id)
    assert len(ids) == 6, "every attempt has an id of its own"
    assert not_loaded_rows(again.not_loaded) == [[OPEN, "2026-11-10", "2026-11-10", "2026-11-24 12:00"]]
    done = tick("succeeded", limits=limits)
    assert done.not_loaded == []
    assert tick().request is None


def test_a_busy_warehouse_is_no_attempt(deliveries: Deliveries, tick: Ticking) -> None:
    deliveries.put(currents_file(), opens("a"))
    tick()
    delays = []
    for _ in range(40):
        busy = tick("busy")
        assert "found the warehouse busy" in busy.warnings[0]
        [delay] = re.findall(r"retried in (\d+) s", busy.warnings[0])
        delays.append(int(delay))
        tick.now += int(delay)
        again = tick()
        assert again.request is not None
        assert again.request.attempt == 1
    assert (delays[0], max(delays)) == (30, 300), "soon at first, and never rarely"
    assert again.not_loaded
    assert "attempt 1); it is retried in 30 s" in tick("failed").warnings[0]


def test_the_bucket_is_compared_with_the_registry_once_a_day(deliveries: Deliveries, tick: Ticking) -> None:
    assert not tick().check_is_due, "a new cursor has just seen all of it"
    tick.now += 86_399
    assert not tick().check_is_due
    tick.now += 1
    deliveries.put(currents_file(), opens("a"))
    assert not tick().check_is_due, "what is new goes first"
    assert not tick("in_progress").check_is_due
    assert tick("succeeded").check_is_due
    assert not tick().check_is_due


def test_others_go_on_while_a_failed_request_waits(deliveries: Deliveries, tick: Ticking) -> None:
    deliveries.put(currents_file(), opens("a"))
    tick()
    deliveries.put(currents_file(SEND), opens("b"))
    assert scope_of(tick("failed")) == ((SEND,), "2026-11-10")


def test_a_request_that_never_became_a_run_is_asked_for_again(deliveries: Deliveries, tick: Ticking) -> None:
    deliveries.put(currents_file(), opens("a"))
    tick()
    assert "not created" in tick("not_created").messages[0]
    tick.now += 301
    assert "is retried" in tick("not_created").warnings[0]


def ticking_clock(step: float) -> Callable[[], float]:
    ticks = count()
    return lambda: next(ticks) * step


def test_a_listing_over_its_time_resumes_in_the_next_tick(deliveries: Deliveries, tick: Ticking) -> None:
    for offset in range(10):
        deliveries.put(currents_file(offset=offset), opens("a"))
    limits = TickLimits(listing_seconds=3.5)
    ticks = [tick(limits=limits, clock=ticking_clock(1))]
    while ticks[-1].request is None:
        assert "the next tick resumes" in " ".join(ticks[-1].messages)
        ticks.append(tick(limits=limits, clock=ticking_clock(1)))
    assert len(ticks) > 3
    tick("succeeded")
    assert tick().request is None, "a listing in parts must come to the same as one in whole"


def test_days_before_the_first_partition_and_after_today_are_told_and_kept(
    deliveries: Deliveries, tick: Ticking
) -> None:
    deliveries.put(currents_file(OPEN, "2026-10-30-05"), opens("a"))
    deliveries.put(currents_file(OPEN, "2026-09-03-05"), opens("b"))
    deliveries.put(currents_file(OPEN, "2026-11-25-05"), opens("c"))
    for _ in range(2):
        told = tick()
        assert told.request is None
        assert "2 files of days before 2026-11-01" in told.warnings[0]
        assert "BRAZE_PLATFORM_CURRENTS_START_DAY=2026-09-01" in told.warnings[0]
        assert "from 2026-11-25 on" in told.warnings[1]
    assert scope_of(tick(start_day=date(2026, 9, 1))) is not None


def test_a_run_waits_until_files_have_stopped_arriving(deliveries: Deliveries, tick: Ticking) -> None:
    limits = TickLimits(quiet_seconds=30)
    key = deliveries.put(currents_file(OPEN), opens("a"))
    os.utime(deliveries.folder / key, (NOW - 10, NOW - 10))
    held = tick(limits=limits)
    assert held.request is None
    assert "the newest is 10 s old" in held.messages[-1]
    tick.now = NOW + 20
    assert scope_of(tick(limits=limits)) is not None


def test_a_bucket_that_is_never_quiet_is_loaded_all_the_same(deliveries: Deliveries, tick: Ticking) -> None:
    limits = TickLimits(quiet_seconds=30)
    for seconds in range(0, 300, 20):
        key = deliveries.put(currents_file(OPEN, offset=seconds), opens(str(seconds)))
        tick.now = NOW + seconds
        os.utime(deliveries.folder / key, (tick.now, tick.now))
        assert tick(limits=limits).request is None
    tick.now = NOW + 300
    assert scope_of(tick(limits=limits)) is not None


def test_a_clock_behind_the_buckets_waits_for_nothing(deliveries: Deliveries, tick: Ticking) -> None:
    key = deliveries.put(currents_file(OPEN), opens("a"))
    os.utime(deliveries.folder / key, (NOW + 600, NOW + 600))
    assert scope_of(tick(limits=TickLimits(quiet_seconds=30))) is not None


def test_unknown_types_are_asked_for_and_unrecognised_keys_once(
    deliveries: Deliveries, tick: Ticking
) -> None:
    deliveries.put(currents_file("users.messages.fax.Send"), opens("a"))
    deliveries.put_bytes("currents/readme.txt", b"hello")
    first = tick()
    assert scope_of(first) == (("users.messages.fax.Send",), "2026-11-10")
    assert "not in the catalogue: users.messages.fax.Send" in first.messages[-1]
    assert "1 unrecognised keys" in first.warnings[-1]
    assert first.request is not None
    assert first.request.unrecognised is not None
    assert tick("succeeded").request is None
    deliveries.put_bytes("currents/readme.txt", b"hello again")
    second = tick()
    assert second.request is not None
    assert second.request.scope is None
    assert tick("succeeded").request is None
    assert tick().request is None


_periods = st.builds(
    lambda first, days: Period(date.fromordinal(first), date.fromordinal(first + days)),
    st.integers(738_000, 739_000),
    st.integers(0, 30),
)
_of_periods = st.dictionaries(
    _periods, st.builds(Seen, st.integers(0, 2**40 - 1), st.integers(0, 99)), min_size=1
)
_seen = st.dictionaries(st.text(max_size=8), _of_periods, max_size=3)
_scopes = st.none() | st.builds(RunScope, st.lists(st.text(max_size=5)).map(tuple), st.dates(), st.dates())
_requests = st.builds(
    Request, st.text(max_size=5), _scopes, _seen, st.none() | st.integers(0, 2**40), st.integers(1, 9)
)
_unrecognised_keys = st.builds(
    UnrecognisedKeys, st.integers(0, 2**40), st.integers(0, 9), st.lists(st.text(max_size=9))
)
_walks = st.builds(
    Walk,
    st.text(max_size=9),
    st.booleans(),
    st.text(max_size=9),
    _of_periods,
    _unrecognised_keys,
    st.integers(0, 9),
)


@hypothesis_settings(deadline=None)
@given(
    st.builds(
        Cursor,
        st.dates(),
        st.dates(),
        _seen,
        _seen,
        st.integers(0, 2**40),
        _unrecognised_keys,
        _unrecognised_keys,
        st.none() | _walks,
        st.none() | _walks,
        st.dates(),
        *[st.floats(0, 2e9)] * 4,
        st.none() | _requests,
        st.lists(_requests, max_size=2),
    )
)
def test_a_cursor_survives_its_text(cursor: Cursor) -> None:
    assert Cursor.read(cursor.write()) == cursor
