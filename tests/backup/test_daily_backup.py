"""Once a day, after something changed, a run makes a backup; the sensor that asks for it opens no warehouse."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
from backup_room import warehouse
from click.testing import CliRunner

from braze_platform.backup.assets import KEY, backup_asset
from braze_platform.backup.definitions import backup_definitions
from braze_platform.backup.due import backup_state
from braze_platform.backup.making import make_backup
from braze_platform.backup.manifest import complete_backups, made_at
from braze_platform.backup.sensor import daily_backup_sensor
from braze_platform.cli import main
from braze_platform.settings import Settings
from braze_platform.warehouse.migrations import ALL, migrate

DAY = timedelta(days=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(state_dir=tmp_path)


@pytest.fixture
def now() -> datetime:
    return datetime.now(timezone.utc)


def change(settings: Settings, at: datetime) -> None:
    """Write to the warehouse, at some time."""
    with warehouse(settings).session() as session:
        migrate(session)
        session.execute("create table if not exists main.t (x int)")
        session.execute("insert into main.t values (1)")
    os.utime(settings.duckdb_path, (at.timestamp(), at.timestamp()))


def is_due(settings: Settings, now: datetime) -> bool:
    return backup_state(settings, now).is_due(now)


def test_a_backup_is_due_a_day_after_the_last_if_something_changed(settings: Settings, now: datetime) -> None:
    assert not is_due(settings, now), "there is no warehouse"
    change(settings, now - 3 * DAY)
    assert is_due(settings, now)
    made = make_backup(settings, now=now - 2 * DAY).folder
    assert made_at(made) == now - 2 * DAY
    assert not is_due(settings, now), "nothing changed since"
    change(settings, now - 1.5 * DAY)
    assert is_due(settings, now)
    make_backup(settings, now=now - 0.9 * DAY)
    change(settings, now)
    assert not is_due(settings, now), "one is made a day"
    assert is_due(settings, now + 0.2 * DAY)


def test_an_old_backup_is_a_reason_for_a_new_one(settings: Settings, now: datetime) -> None:
    """It may hold people who were erased, and goes once there is a newer one."""
    change(settings, now - 90 * DAY)
    make_backup(settings, now=now - 40 * DAY)
    assert is_due(settings, now)
    make_backup(settings, now=now)
    assert not is_due(settings, now) and len(complete_backups(settings.backups_dir)) == 1


def test_reading_the_warehouse_and_backing_it_up_changes_nothing(settings: Settings) -> None:
    change(settings, datetime(2026, 11, 1, tzinfo=timezone.utc))
    written = settings.duckdb_path.stat().st_mtime_ns
    make_backup(settings)
    assert settings.duckdb_path.stat().st_mtime_ns == written


def test_the_sensor_asks_once_and_opens_nothing(settings: Settings, now: datetime) -> None:
    [sensor] = backup_definitions(settings).sensors or []
    assert isinstance(sensor, dg.SensorDefinition)
    with dg.instance_for_test() as instance:

        def tick() -> Any:
            with dg.build_sensor_context(instance=instance) as context:
                return sensor(context)

        assert isinstance(tick(), dg.SkipReason)
        change(settings, now)
        # as long as another process had it, nobody could open it
        with duckdb.connect(str(settings.duckdb_path)):
            began = time.monotonic()
            request = tick()
            assert time.monotonic() - began < 5
        assert isinstance(request, dg.RunRequest) and request.asset_selection == [KEY]
        # Dagster launches one run of a key, and this one holds for an hour
        assert tick().run_key.startswith("after none yet, ") and str(request.run_key).startswith(
            "after none yet, "
        )
        instance.add_run(
            dg.DagsterRun(
                job_name="j", run_id="r", tags=dict(request.tags), status=dg.DagsterRunStatus.STARTED
            )
        )
        skipped = tick()
        assert isinstance(skipped, dg.SkipReason) and "under way" in str(skipped.skip_message)
        instance.delete_run("r")
        make_backup(settings)
        assert isinstance(tick(), dg.SkipReason)


def test_the_asset_makes_a_backup_and_says_what_is_in_it(settings: Settings, now: datetime) -> None:
    change(settings, now)
    for _ in range(2):
        result = dg.materialize([backup_asset(settings)])
        assert result.success
    [materialization] = result.asset_materializations_for_node("platform__backup")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    newest = complete_backups(settings.backups_dir)[-1]
    assert metadata["path"] == str(newest)
    assert metadata["dagster/row_count"] == len(ALL) and "braze_platform.migrations" in str(
        metadata["tables"]
    )
    assert len(complete_backups(settings.backups_dir)) == 2


def test_on_bigquery_there_is_none(settings: Settings) -> None:
    definitions = backup_definitions(settings.replace(target="bigquery"))
    assert not definitions.assets and not definitions.sensors


def test_the_sensor_is_on_and_looks_seldom(settings: Settings) -> None:
    sensor = daily_backup_sensor(settings, backup_asset(settings))
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    assert sensor.minimum_interval_seconds == 600


def test_the_doctor_tells_when_backups_are_late(settings: Settings, now: datetime) -> None:
    def told() -> str:
        done = CliRunner().invoke(main, ["doctor"], env=settings.as_environment())
        [line] = [line for line in done.output.splitlines() if f"Backups {settings.backups_dir}" in line]
        return line

    change(settings, now)
    assert told().startswith("OK ") and "there is none" in told()
    make_backup(settings, now=now - 3 * DAY)
    late = told()
    assert late.startswith("MISSING") and "`braze-platform backup`" in late and "daily_backup" in late
    os.utime(settings.duckdb_path, ((now - 4 * DAY).timestamp(),) * 2)
    assert told().startswith("OK "), "nothing changed since"


def test_the_doctor_tells_when_there_never_was_one(settings: Settings, now: datetime) -> None:
    change(settings, now)
    with warehouse(settings).session() as session:
        session.execute("update braze_platform.migrations set applied_at = applied_at - interval 3 day")
    done = CliRunner().invoke(main, ["doctor"], env=settings.as_environment())
    assert (
        f"MISSING  Backups {settings.backups_dir}: there is none, and the warehouse has changed"
        in done.output
    )
