"""Raw assets and their sensor in Dagster: one run for a day, one for a range, with metadata and checks."""

from __future__ import annotations

from datetime import date
from typing import Any

import dagster as dg
import pytest
from currents_files import CLICK, OPEN, SEND, Deliveries, avro_bytes, currents_file, opens

from braze_platform.currents.assets import (
    FILES_ARE_READABLE,
    UNKNOWN_EVENT_TYPES,
    UNRECOGNISED_OBJECTS,
    raw_asset_key,
)
from braze_platform.currents.catalogue import LOADED_LAST, EventType, catalogue
from braze_platform.currents.definitions import currents_definitions
from braze_platform.currents.sensor import REQUEST_TAG
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse

OPENS = raw_asset_key(catalogue()[OPEN])
CLICKS = raw_asset_key(catalogue()[CLICK])
SENDS = raw_asset_key(catalogue()[SEND])


@pytest.fixture
def defs(settings: Settings) -> dg.Definitions:
    return dg.Definitions.merge(
        currents_definitions(settings), dg.Definitions(executor=dg.in_process_executor)
    )


def run(
    defs: dg.Definitions, instance: dg.DagsterInstance, keys: list[dg.AssetKey], **options: Any
) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=set(keys))
    return job.execute_in_process(instance=instance, raise_on_error=False, **options)


def rows(warehouse: DuckDBWarehouse, table: str) -> int:
    with warehouse.session() as session:
        [(found,)] = session.fetch(f"select count(*) from currents_raw.{table}")
    return int(found)


@pytest.mark.full
def test_a_run_loads_last_what_others_wait_for(defs: dg.Definitions) -> None:
    keys = [raw_asset_key(event_type) for event_type in catalogue().values()]
    with dg.instance_for_test() as instance:
        result = run(defs, instance, [*keys, UNKNOWN_EVENT_TYPES], partition_key="2026-11-18")
    order = [event.asset_key for event in result.get_asset_materialization_events()]
    assert len(order) == len(catalogue()) + 1
    waited_for = [raw_asset_key(catalogue()[name]) for name in LOADED_LAST]
    assert [key for key in order[-26:] if key in waited_for] == waited_for
    assert order[-1] == waited_for[-1]
    families_that_come_last = [catalogue_of(key).family for key in waited_for]
    assert {catalogue_of(key).family for key in order[-26:]} == set(families_that_come_last)
    for family, key in zip(families_that_come_last, waited_for, strict=True):
        assert [one for one in order[-26:] if catalogue_of(one).family == family][-1] == key


def catalogue_of(key: dg.AssetKey) -> EventType:
    return next(event_type for event_type in catalogue().values() if event_type.table == key.path[-1])


@pytest.mark.parametrize("target", ["local", "bigquery"])
def test_definitions_load_for_both_targets_without_touching_anything(settings: Settings, target: str) -> None:
    defs = currents_definitions(settings.replace(target=target))
    dg.Definitions.validate_loadable(defs)
    specs = {spec.key: spec for spec in defs.resolve_all_asset_specs()}
    assert len(specs) == len(catalogue()) + 2
    assert not settings.state_dir.exists()
    for spec in specs.values():
        assert spec.description
        assert spec.owners == ["team:data-platform"]
        assert spec.group_name is not None and spec.group_name.startswith("currents_")
        assert spec.kinds == {"avro", "duckdb" if target == "local" else "bigquery"}
    opens_spec = specs[OPENS]
    assert opens_spec.group_name == "currents_email"
    assert opens_spec.tags["braze/personal_data"] == "true"
    assert opens_spec.metadata["dagster/table_name"] == "currents_raw.users_messages_email_open"
    columns = {column.name: column for column in opens_spec.metadata["dagster/column_schema"].columns}
    assert all(column.description for column in columns.values())
    assert columns["email_address"].tags == {"personal_data": ""}
    assert "_hour" in columns
    [sensor] = defs.sensors or []
    assert isinstance(sensor, dg.SensorDefinition)
    running = dg.DefaultSensorStatus.RUNNING
    assert (sensor.default_status == running) is (target == "local")


def test_a_day_is_one_run_with_metadata_and_checks(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    deliveries.put(currents_file(), opens("a", "b"))
    bad = deliveries.put_bytes(currents_file(offset=1).key, avro_bytes(opens("c"))[:-3])
    with dg.instance_for_test() as instance:
        result = run(defs, instance, [OPENS, CLICKS], partition_key="2026-11-10")
        assert result.success
        by_key = {
            event.asset_key: event.materialization for event in result.get_asset_materialization_events()
        }
        assert by_key.keys() == {OPENS, CLICKS}
        metadata = {name: value.value for name, value in by_key[OPENS].metadata.items()}
        assert metadata["rows_loaded"] == metadata["dagster/partition_row_count"] == 2
        assert (metadata["hours_loaded"], metadata["files_loaded"], metadata["files_quarantined"]) == (
            1,
            1,
            1,
        )
        evaluations = result.get_asset_check_evaluations()
        checks = {check.asset_key: check for check in evaluations if check.check_name == FILES_ARE_READABLE}
        assert {key: check.passed for key, check in checks.items()} == {OPENS: False, CLICKS: True}
        drift = {check.asset_key: check for check in evaluations if check.check_name != FILES_ARE_READABLE}
        assert {key: check.passed for key, check in drift.items()} == {OPENS: False, CLICKS: True}
        assert drift[OPENS].severity == dg.AssetCheckSeverity.WARN
        assert "dispatch_id: missing" in str(drift[OPENS].description)
        assert checks[OPENS].severity == dg.AssetCheckSeverity.WARN
        listed = checks[OPENS].metadata["files"].value
        assert isinstance(listed, str) and bad in listed and "truncated" in listed
        again = run(defs, instance, [OPENS], partition_key="2026-11-10")
        [event] = again.get_asset_materialization_events()
        assert event.materialization.metadata["rows_loaded"].value == 0
        assert event.materialization.metadata["files_skipped_as_unchanged"].value == 1
    assert rows(warehouse, "users_messages_email_open") == 2


@pytest.mark.full
def test_a_forced_run_loads_what_is_unchanged(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    deliveries.put(currents_file(), opens("a", "b"))
    with dg.instance_for_test() as instance:
        loaded = [
            run(
                defs,
                instance,
                [OPENS],
                partition_key="2026-11-10",
                run_config={"ops": {"currents_email": {"config": {"force": force}}}},
            )
            .get_asset_materialization_events()[0]
            .materialization.metadata["rows_loaded"]
            .value
            for force in (False, False, True)
        ]
    assert loaded == [2, 0, 2]
    assert rows(warehouse, "users_messages_email_open") == 2


@pytest.mark.full
def test_a_range_over_families_is_one_run(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    for day in (10, 11, 12):
        deliveries.put(currents_file(OPEN, f"2026-11-{day}-05"), opens(*map(str, range(day))))
    deliveries.put(currents_file(SEND, "2026-11-11-05"), opens("s"))
    tags = {
        "dagster/asset_partition_range_start": "2026-11-10",
        "dagster/asset_partition_range_end": "2026-11-12",
    }
    with dg.instance_for_test() as instance:
        result = run(defs, instance, [OPENS, SENDS], tags=tags)
        assert result.success
        assert len(instance.get_runs()) == 1
        counts = {
            (event.asset_key, event.partition): event.materialization.metadata[
                "dagster/partition_row_count"
            ].value
            for event in result.get_asset_materialization_events()
        }
        assert counts == {
            (OPENS, "2026-11-10"): 10,
            (OPENS, "2026-11-11"): 11,
            (OPENS, "2026-11-12"): 12,
            (SENDS, "2026-11-10"): 0,
            (SENDS, "2026-11-11"): 1,
            (SENDS, "2026-11-12"): 0,
        }
        [first, *_] = [e for e in result.get_asset_materialization_events() if e.asset_key == OPENS]
        table = first.materialization.metadata["rows_by_day"].value
        assert isinstance(table, str) and "| 2026-11-1" in table
    assert rows(warehouse, "users_messages_email_open") == 33


@pytest.mark.full
def test_a_failing_type_fails_the_run_and_leaves_the_others_loaded(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    deliveries.put(currents_file(OPEN), opens("a"))
    deliveries.put(currents_file(CLICK), opens("b"))
    with warehouse.session() as session:
        session.execute("alter table currents_raw.users_messages_email_click rename to hidden")
        session.execute("create view currents_raw.users_messages_email_click as from currents_raw.hidden")
    with dg.instance_for_test() as instance:
        result = run(defs, instance, [OPENS, CLICKS], partition_key="2026-11-10")
        assert not result.success
        assert [event.asset_key for event in result.get_asset_materialization_events()] == [OPENS]
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert "1 of 2 event types failed to load" in str(failure.step_failure_data.user_failure_data)
    assert rows(warehouse, "users_messages_email_open") == 1


def test_unknown_types_and_unrecognised_keys_are_loaded_or_listed_and_warned_of(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    deliveries.put(currents_file("users.messages.fax.Send"), opens("a", "b"))
    unrecognised = deliveries.put_bytes("currents/notes.txt", b"hello")
    with dg.instance_for_test() as instance:
        unknown = run(defs, instance, [UNKNOWN_EVENT_TYPES], partition_key="2026-11-10")
        assert unknown.success
        checks = {check.check_name: check for check in unknown.get_asset_check_evaluations()}
        assert {name: check.passed for name, check in checks.items()} == {
            FILES_ARE_READABLE: True,
            "event_types_are_known": False,
        }
        assert "users.messages.fax.Send" in str(checks["event_types_are_known"].description)
        for expected in ([unrecognised], []):
            listed = run(defs, instance, [UNRECOGNISED_OBJECTS])
            assert listed.success
            checks = {check.check_name: check for check in listed.get_asset_check_evaluations()}
            assert checks["keys_recognised"].passed is (not expected)
            assert checks["files_are_loaded"].passed
            with warehouse.session() as session:
                assert [
                    key
                    for (key,) in session.fetch(
                        "select object_key from currents_ledger.quarantine where resolved_at is null"
                    )
                ] == expected
            if expected:
                deliveries.remove(unrecognised)
    assert rows(warehouse, "users_messages_fax_send") == 2


def test_a_discovered_type_is_an_asset_after_definitions_load_again(
    defs: dg.Definitions, settings: Settings, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    key = dg.AssetKey(["currents", "users_messages_fax_send"])
    assert key not in {spec.key for spec in defs.resolve_all_asset_specs()}
    deliveries.put(currents_file("users.messages.fax.Send"), opens("a", "b"))
    deliveries.put(currents_file("unknown.eventTypes"), opens("c"))
    again = dg.Definitions.merge(
        currents_definitions(settings), dg.Definitions(executor=dg.in_process_executor)
    )
    dg.Definitions.validate_loadable(again)
    specs = {spec.key: spec for spec in again.resolve_all_asset_specs()}
    assert specs[key].metadata["event_type"] == "users.messages.fax.Send"
    with dg.instance_for_test() as instance:
        result = run(again, instance, [key], partition_key="2026-11-10")
        assert result.success
        [event] = result.get_asset_materialization_events()
        assert event.materialization.metadata["rows_loaded"].value == 2
        columns = event.materialization.metadata["dagster/column_schema"].value
        assert isinstance(columns, dg.TableSchema)
        assert {"machine_open", "_hour"} <= {column.name for column in columns.columns}
        checks = {check.check_name: check for check in result.get_asset_check_evaluations()}
        assert checks[FILES_ARE_READABLE].passed
        assert "machine_open: added" in str(checks["schema_matches_catalogue"].description)
        sensor = again.resolve_sensor_def("currents_hours")
        with dg.build_sensor_context(
            instance=instance, repository_def=again.get_repository_def(), resources=again.resources
        ) as context:
            [request] = sensor.evaluate_tick(context).run_requests or []
        assert set(request.asset_selection or ()) == {key, UNKNOWN_EVENT_TYPES}


def test_bigquery_says_what_is_missing_when_a_run_executes(settings: Settings) -> None:
    defs = dg.Definitions.merge(
        currents_definitions(settings.replace(target="bigquery")),
        dg.Definitions(executor=dg.in_process_executor),
    )
    with dg.instance_for_test() as instance:
        result = run(defs, instance, [OPENS], partition_key="2026-11-10")
        [failure] = [event for event in result.all_events if event.is_step_failure]
        assert "BRAZE_PLATFORM_BIGQUERY_PROJECT" in str(failure.step_failure_data.error)


def test_the_sensor_asks_for_one_run_waits_and_follows_it(
    defs: dg.Definitions, deliveries: Deliveries, warehouse: DuckDBWarehouse
) -> None:
    deliveries.put(currents_file(OPEN, "2026-11-10-05"), opens("a"))
    deliveries.put(currents_file("users.messages.fax.Send", "2026-11-11-05"), opens("b"))
    sensor = defs.resolve_sensor_def("currents_hours") if hasattr(defs, "resolve_sensor_def") else None
    assert sensor is not None
    with dg.instance_for_test() as instance:
        cursor: str | None = None

        def tick() -> Any:
            nonlocal cursor
            with dg.build_sensor_context(
                instance=instance,
                cursor=cursor,
                repository_def=defs.get_repository_def(),
                resources=defs.resources,
            ) as context:
                result = sensor.evaluate_tick(context)
            cursor = result.cursor
            return result

        [request] = tick().run_requests
        assert request.run_key is None
        assert set(request.asset_selection) == {OPENS, UNKNOWN_EVENT_TYPES}
        assert request.tags["dagster/asset_partition_range_start"] == "2026-11-10"
        assert request.tags["dagster/asset_partition_range_end"] == "2026-11-11"
        waiting = tick()
        assert not waiting.run_requests
        assert "Waiting for the run" in waiting.skip_message

        # a file that comes after the request and before its run is found by the run itself
        deliveries.put(currents_file(OPEN, "2026-11-10-06"), opens("c"))
        assert run(defs, instance, list(request.asset_selection), tags=request.tags).success
        quiet = tick()
        assert not quiet.run_requests
        assert "Done" in quiet.skip_message

        deliveries.put(currents_file(OPEN, "2026-11-10-06", offset=1), opens("late"))
        [late] = tick().run_requests
        assert (late.asset_selection, late.partition_key) == ([OPENS], "2026-11-10")
        assert late.tags[REQUEST_TAG] != request.tags[REQUEST_TAG]

        deliveries.remove(currents_file(OPEN, "2026-11-10-06", offset=1).key)
        with warehouse.session() as session:
            session.execute("alter table currents_raw.users_messages_email_open rename to hidden")
            session.execute("create view currents_raw.users_messages_email_open as from currents_raw.hidden")
        deliveries.put(currents_file(OPEN, "2026-11-10-07"), opens("x"))
        tags = {REQUEST_TAG: late.tags[REQUEST_TAG]}
        assert not run(defs, instance, [OPENS], partition_key="2026-11-10", tags=tags).success
        failed = tick()
        assert not failed.run_requests
        assert "failed or was cancelled (attempt 1)" in failed.skip_message


def test_partitions_reach_from_the_first_day_to_today(defs: dg.Definitions) -> None:
    partitions = defs.resolve_asset_graph().get(OPENS).partitions_def
    assert isinstance(partitions, dg.DailyPartitionsDefinition)
    assert partitions.get_first_partition_key() == date(2026, 11, 1).isoformat()
    assert partitions.end_offset == 1
