"""The sensor on a large bucket, over days, and under clocks and processes that go wrong."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from currents_files import CLICK, OPEN, Deliveries, currents_file, opens

from benchmarks.simulated_bucket import SimulatedBucket
from braze_platform.currents.bucket import Bucket, FolderBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.cursor import Cursor
from braze_platform.currents.loader import load
from braze_platform.currents.tick import run_tick
from braze_platform.currents.tick_state import Loaded, RunState, Tick, TickLimits
from braze_platform.warehouse.duckdb import DuckDBWarehouse

NOW = datetime(2026, 11, 24, 12, tzinfo=timezone.utc)
START = date(2025, 11, 24)


class Sensor:
    """Ticks over time with the default limits; the cursor goes through its text each time."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        self.text = ""
        self.now = NOW
        self.loaded: Loaded = {}

    def __call__(self, state: RunState = "in_progress", **options: Any) -> Tick:
        tick = run_tick(
            Cursor.read(self.text),
            self.bucket,
            "currents",
            START,
            now=self.now.timestamp(),
            today=self.now.date(),
            run_state_of=lambda _: state,
            loaded_by=lambda _: self.loaded,
            **options,
        )
        self.text = tick.cursor.write()
        self.now += timedelta(minutes=1)
        return tick

    def until_quiet(self) -> list[Tick]:
        """All ticks until nothing is left to ask for, with every run a success."""
        ticks = [self("succeeded")]
        while ticks[-1].request is not None or ticks[-1].cursor.full or ticks[-1].cursor.recent:
            ticks.append(self("succeeded"))
            assert len(ticks) < 2_000
        return ticks


def scope_of(tick: Tick) -> tuple[tuple[str, ...], str] | None:
    if tick.request is None or tick.request.scope is None:
        return None
    return tick.request.scope.event_types, str(tick.request.scope.period)


def history(days: int, event_types: int = 10, **options: Any) -> SimulatedBucket:
    """So many days that end with yesterday."""
    first = datetime(2026, 11, 24, tzinfo=timezone.utc) - timedelta(days=days)
    every = options.pop("every", timedelta(hours=1))
    return SimulatedBucket(
        sorted(catalogue())[:event_types], first, int(timedelta(days=days) / every), every=every, **options
    )


@pytest.mark.full
def test_a_tick_costs_requests_for_the_look_back_and_not_for_the_history() -> None:
    requests = {}
    for days in (10, 360):
        bucket = history(days)
        sensor = Sensor(bucket)
        sensor.until_quiet()
        before = bucket.requests
        assert sensor("succeeded").request is None
        requests[days] = bucket.requests - before
    assert requests[360] == requests[10] == 2 + 10, "two for the folders, one for each event type"


def test_what_changes_inside_the_look_back_is_found_at_once_and_what_is_older_within_a_day() -> None:
    bucket = history(100, every=timedelta(days=1))
    sensor = Sensor(bucket)
    sensor.until_quiet()
    name = bucket.event_types[3]
    bucket.others[bucket.key(name, NOW - timedelta(days=3), 7)] = "late"
    assert scope_of(sensor("succeeded")) == ((name,), "2026-11-21")
    sensor.until_quiet()
    late = bucket.key(name, NOW - timedelta(days=50), 7)
    rewritten = bucket.key(bucket.event_types[4], bucket.first_hour, 0)
    bucket.others.update({late: "late", rewritten: "rewritten"})
    bucket.removed.add(bucket.key(bucket.event_types[5], bucket.first_hour + timedelta(days=40), 0))
    bucket.others[f"{bucket.root}readme.txt"] = "1"
    assert sensor("succeeded").request is None
    sensor.now = NOW + timedelta(days=1, seconds=1)
    ticks = sensor.until_quiet()
    asked = {(scope[0], scope[1]) for tick in ticks if (scope := scope_of(tick))}
    assert {event_type for event_types, _ in asked for event_type in event_types} == set(
        bucket.event_types[3:6]
    )
    assert any(tick.request and tick.request.unrecognised is not None for tick in ticks)
    assert any("1 unrecognised keys" in warning for tick in ticks for warning in tick.warnings)
    assert sensor("succeeded").request is None


@pytest.mark.full
def test_a_year_of_all_event_types_is_planned_in_short_ticks_with_a_small_cursor() -> None:
    """A day's file stands for its hours: the cursor knows days and months, whatever is in them."""
    bucket = history(365, event_types=94, every=timedelta(days=1))
    sensor = Sensor(bucket)
    asked: set[tuple[str, date]] = set()
    seconds, sizes, runs = [], [], 0
    while True:
        before = bucket.requests
        tick = sensor("succeeded", clock=lambda: bucket.requests * 0.25)
        seconds.append((bucket.requests - before) * 0.25)
        sizes.append(len(sensor.text))
        if tick.request is not None and tick.request.scope is not None:
            runs += 1
            scope = tick.request.scope
            assert scope.period.days <= 31
            asked |= {
                (name, scope.first_day + timedelta(days=n))
                for name in scope.event_types
                for n in range(scope.period.days)
            }
        elif not (tick.cursor.full or tick.cursor.recent):
            break
    assert max(seconds) <= 20
    assert max(sizes) < 64_000
    assert runs < 60
    days = {START + timedelta(days=n) for n in range(365)}
    assert asked >= {(name, day) for name in bucket.event_types for day in days}

    # everything is rewritten: nothing in the cursor holds any more
    sensor.now += timedelta(days=1)
    for name in bucket.event_types:
        for n in range(0, 365, 5):
            bucket.others[bucket.key(name, bucket.first_hour + timedelta(days=n))] = "2"
    waiting = [sensor("in_progress") for _ in range(2)]
    waiting += [sensor("in_progress") for _ in range(20)]
    assert max(len(tick.cursor.write()) for tick in waiting) < 64_000


def test_years_are_remembered_by_the_year() -> None:
    bucket = history(3_650, event_types=94, every=timedelta(days=28))
    sensor = Sensor(bucket)
    for tick in sensor.until_quiet():
        assert len(tick.cursor.write()) < 64_000


@pytest.mark.full
def test_a_reconciliation_goes_on_while_a_run_is_under_way() -> None:
    bucket = history(300, event_types=20)
    sensor = Sensor(bucket)
    first = sensor(clock=lambda: bucket.requests * 0.3)
    assert first.request is not None and first.cursor.full is not None
    ticks = [sensor("in_progress", clock=lambda: bucket.requests * 0.3) for _ in range(20)]
    assert all(tick.request is None for tick in ticks)
    said = [" ".join(tick.messages) for tick in ticks]
    assert "Reconciling with all of the bucket" in said[0]
    assert any(
        "Reconciled with all of the bucket: 142,560 objects of 20 event types" in text for text in said
    )
    assert ticks[-1].cursor.full is None


Load = Callable[[Tick], int]


@pytest.fixture
def run(warehouse: DuckDBWarehouse, bucket: FolderBucket) -> Load:
    """What the run of a tick's request does; how many rows it loaded."""

    def load_it(tick: Tick) -> int:
        assert tick.request is not None and tick.request.scope is not None
        scope = tick.request.scope
        return load(
            warehouse, bucket, "currents", scope.event_types, scope.first_day, scope.last_day
        ).rows_loaded

    return load_it


def rows(warehouse: DuckDBWarehouse) -> int:
    with warehouse.session() as session:
        [(count,)] = session.fetch("select count(*) from currents_raw.users_messages_email_open")
    return int(count)


def test_two_ticks_at_once_double_nothing(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse, run: Load
) -> None:
    deliveries.put(currents_file(OPEN, "2026-11-23-05"), opens("a", "b"))
    one, other = Sensor(bucket), Sensor(bucket)
    ticks = [one(), other()]
    assert scope_of(ticks[0]) == scope_of(ticks[1]) == ((OPEN,), "2026-11-23")
    assert [run(tick) for tick in ticks] == [2, 0]
    assert rows(warehouse) == 2
    assert one("succeeded").request is None and other("succeeded").request is None


def test_a_renamed_sensor_reloads_nothing(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse, run: Load
) -> None:
    """A renamed sensor begins with an empty cursor; the file registry says that all is loaded."""
    for day in ("2026-01-03", "2026-11-10", "2026-11-23"):
        deliveries.put(currents_file(OPEN, f"{day}-05"), opens(day))
    sensor = Sensor(bucket)
    while (tick := sensor("succeeded")).request is not None:
        run(tick)
    assert rows(warehouse) == 3
    renamed = Sensor(bucket)
    asked = 0
    while (tick := renamed("succeeded")).request is not None:
        asked += 1
        assert run(tick) == 0
    assert asked == 3
    assert rows(warehouse) == 3


def test_an_unfinished_hour_is_loaded_as_it_grows(
    deliveries: Deliveries, bucket: FolderBucket, warehouse: DuckDBWarehouse, run: Load
) -> None:
    sensor = Sensor(bucket)
    for offset in range(4):
        deliveries.put(currents_file(OPEN, "2026-11-24-12", offset=offset), opens(f"{offset}"))
        tick = sensor("succeeded")
        assert scope_of(tick) == ((OPEN,), "2026-11-24")
        run(tick)
        assert rows(warehouse) == offset + 1
    assert sensor("succeeded").request is None


def test_hours_ahead_of_our_clock_wait_for_their_day(deliveries: Deliveries, bucket: FolderBucket) -> None:
    deliveries.put(currents_file(OPEN, "2026-11-25-00"), opens("a"))
    sensor = Sensor(bucket)
    told = sensor()
    assert told.request is None
    assert "from 2026-11-25 on, are left until they begin" in told.warnings[0]
    sensor.now = datetime(2026, 11, 25, 0, 1, tzinfo=timezone.utc)
    assert scope_of(sensor()) == ((OPEN,), "2026-11-25")


@pytest.mark.parametrize("days", [1, 3, 60, 800])
def test_a_clock_that_was_ahead_loses_nothing(
    deliveries: Deliveries, bucket: FolderBucket, days: int
) -> None:
    deliveries.put(currents_file(OPEN, "2026-11-20-05"), opens("a"))
    sensor = Sensor(bucket)
    sensor.until_quiet()
    sensor.now = NOW + timedelta(days=days)
    sensor.until_quiet()
    sensor.now = NOW + timedelta(hours=1)
    deliveries.put(currents_file(CLICK, "2026-11-24-12"), opens("b"))
    back = sensor("succeeded")
    if days > 31:
        assert "The clock went back" in back.warnings[0]
    assert back.request is not None and back.request.scope is not None
    assert CLICK in back.request.scope.event_types
    assert date(2026, 11, 24) in back.request.scope.period


def test_a_clock_that_is_behind_sees_what_is_new_all_the_same(
    deliveries: Deliveries, bucket: FolderBucket
) -> None:
    sensor = Sensor(bucket)
    sensor.until_quiet()
    sensor.now = NOW - timedelta(minutes=5)
    deliveries.put(currents_file(OPEN, "2026-11-24-12"), opens("a"))
    assert scope_of(sensor()) == ((OPEN,), "2026-11-24")


def test_folders_with_other_names_and_a_prefix_that_is_the_connector(deliveries: Deliveries) -> None:
    deliveries.put(currents_file(OPEN, "2026-11-23-05", prefix="currents/team=crm"), opens("a"))
    bucket = FolderBucket(deliveries.folder)
    assert scope_of(Sensor(bucket)()) == ((OPEN,), "2026-11-23")
    connector = f"currents/team=crm/{currents_file().connector}"
    tick = run_tick(
        Cursor(),
        bucket,
        connector,
        START,
        now=NOW.timestamp(),
        today=NOW.date(),
        run_state_of=lambda _: "not_created",
        loaded_by=lambda _: {},
        limits=TickLimits(),
    )
    assert scope_of(tick) == ((OPEN,), "2026-11-23")
