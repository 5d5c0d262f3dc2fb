"""The check that all files are loaded, from both sides: the file registry, and the sensor whose runs keep failing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from multiprocessing import get_context
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from currents_files import OPEN, Deliveries, currents_file, opens

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.checks import FILES_ARE_LOADED
from braze_platform.currents.cursor import Cursor, Request
from braze_platform.currents.definitions import currents_definitions
from braze_platform.currents.loader import load
from braze_platform.currents.run_requests import Period, RunScope
from braze_platform.currents.sensor import REQUEST_TAG
from braze_platform.currents.walk import Seen
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse
from braze_platform.warehouse.interface import Warehouse
from braze_platform.warehouse.resources import WarehouseResource
from braze_platform.warehouse.targets import warehouse_of

TODAY = datetime.now(timezone.utc).date()
OPENS = dg.AssetKey(["currents", "users_messages_email_open"])


def now() -> float:
    return datetime.now(timezone.utc).timestamp()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path / "state", currents_start_day=TODAY - timedelta(days=2))


@pytest.fixture
def defs(settings: Settings) -> dg.Definitions:
    return currents_definitions(settings)


def check(defs: dg.Definitions) -> Any:
    selection = dg.AssetSelection.checks(FILES_ARE_LOADED)
    job = dg.define_asset_job("look", selection=selection)
    with dg.instance_for_test() as instance:
        resolved = dg.Definitions.merge(defs, dg.Definitions(jobs=[job])).resolve_job_def("look")
        [found] = resolved.execute_in_process(instance=instance).get_asset_check_evaluations()
    return found


def put(
    deliveries: Deliveries, offset: int, content: Any = None, *, raw: bytes = b"", hours_old: float = 2
) -> None:
    file = currents_file(hour=f"{TODAY}-00", offset=offset)
    key = deliveries.put_bytes(file.key, raw) if raw else deliveries.put(file, content)
    at = now() - hours_old * 3600
    os.utime(deliveries.folder / key, (at, at))


def test_files_that_are_neither_loaded_nor_in_quarantine_are_named(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket
) -> None:
    put(deliveries, 0, opens("a"))
    put(deliveries, 1, raw=b"no Avro file")
    load(warehouse, bucket, "currents", [OPEN], TODAY, TODAY)
    assert check(defs).passed, "one is loaded, the other known to be unreadable"
    put(deliveries, 2, opens("b"), hours_old=5)
    put(deliveries, 3, opens("c"), hours_old=0)
    found = check(defs)
    assert not found.passed
    assert found.metadata["files_not_loaded"].value == 1, "a file that has just come is on its way"
    assert found.metadata["oldest_hours"].value >= 5
    assert f"| {OPEN} | {TODAY} | 1 |" in found.metadata["days"].value
    put(deliveries, 0, opens("rewritten"))
    assert check(defs).metadata["files_not_loaded"].value == 2


def test_it_needs_no_tables_and_makes_none(
    defs: dg.Definitions, settings: Settings, deliveries: Deliveries
) -> None:
    put(deliveries, 0, opens("a"))
    assert not check(defs).passed
    with DuckDBWarehouse(settings.duckdb_path, threads=1).session() as session:
        assert session.fetch("select table_name from information_schema.tables") == []


@contextmanager
def ticking(defs: dg.Definitions, cursor: Cursor) -> Iterator[Any]:
    """Ticks of the sensor from a cursor on."""
    sensor = defs.resolve_sensor_def("currents_hours")
    with dg.instance_for_test() as instance:
        text = cursor.write()

        def tick() -> Any:
            nonlocal text
            with dg.build_sensor_context(
                instance=instance,
                cursor=text,
                repository_def=defs.get_repository_def(),
                resources=defs.resources,
            ) as context:
                result = sensor.evaluate_tick(context)
            text = result.cursor
            return result

        yield instance, tick


def failing(seconds: float) -> Request:
    scope = RunScope((OPEN,), TODAY, TODAY)
    seen = {OPEN: {Period(TODAY, TODAY): Seen(1, 1)}}
    return Request("earlier", scope, seen, attempt=7, at=now() + 3_000, failing_since=now() - seconds)


def test_the_sensor_fails_the_check_while_a_run_keeps_failing(
    defs: dg.Definitions, settings: Settings, deliveries: Deliveries
) -> None:
    cursor = Cursor(
        start_day=settings.currents_start_day,
        failed=[failing(800)],
        checked_at=now(),
    )
    with ticking(defs, cursor) as (_, tick):
        assert tick().asset_events == []
    cursor.failed = [failing(1_000)]
    with ticking(defs, cursor) as (instance, tick):
        [told] = tick().asset_events
        assert (told.asset_check_key, told.passed) == (FILES_ARE_LOADED, False)
        assert f"| {OPEN} | {TODAY} | {TODAY} |" in told.metadata["days"].value
        assert tick().asset_events == [], "said once"
    running = replace(failing(1_000), at=now())
    cursor.failed, cursor.running = [], running
    with ticking(defs, cursor) as (instance, tick):
        assert [event.passed for event in tick().asset_events] == [False]
        defs.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance,
            asset_selection=[OPENS],
            partition_key=str(TODAY),
            tags={REQUEST_TAG: running.id},
        )
        recovered = tick()
        assert recovered.asset_events == [], "the check itself says so, which looks at all files"
        assert [request.asset_check_keys for request in recovered.run_requests] == [[FILES_ARE_LOADED]]
        assert not tick().run_requests, "asked for once"


def test_the_check_is_asked_for_once_a_day(
    defs: dg.Definitions, settings: Settings, deliveries: Deliveries
) -> None:
    yesterday = now() - 90_000
    with ticking(defs, Cursor(start_day=settings.currents_start_day, checked_at=yesterday)) as (_, tick):
        [request] = tick().run_requests
        assert request.asset_check_keys == [FILES_ARE_LOADED]
        assert request.asset_selection == []
        assert tick().run_requests == []


def _hold(path: Path, held: Event, end: Event) -> None:
    with duckdb.connect(str(path), read_only=True):
        held.set()
        end.wait()


class Impatient(WarehouseResource):
    """One that waits for nobody."""

    def warehouse(self, **changes: object) -> Warehouse:
        return warehouse_of(self.settings, patience_seconds=0.1)


def test_a_run_that_finds_the_warehouse_held_is_asked_for_again_soon(
    defs: dg.Definitions, settings: Settings, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    put(deliveries, 0, opens("a"))
    processes = get_context("fork")
    held, end = processes.Event(), processes.Event()
    analyst = processes.Process(target=_hold, args=(settings.duckdb_path, held, end))
    analyst.start()
    held.wait()
    try:
        with ticking(defs, Cursor()) as (instance, tick):
            [request] = tick().run_requests
            resources = {**(defs.resources or {}), "warehouse": Impatient(settings=settings)}
            impatient = dg.Definitions(
                assets=defs.assets, asset_checks=defs.asset_checks, resources=resources
            )
            result = impatient.resolve_implicit_global_asset_job_def().execute_in_process(
                instance=instance,
                asset_selection=request.asset_selection,
                partition_key=request.partition_key,
                tags=request.tags,
                raise_on_error=False,
            )
            assert not result.success
            assert "found the warehouse busy; it is retried in 30 s" in tick().skip_message
    finally:
        end.set()
        analyst.join()
