"""The same assets, checks and sensor on BigQuery and Cloud Storage."""

from __future__ import annotations

import json
import re
from datetime import date

import dagster as dg
from currents_files import OPEN, GoogleDeliveries, currents_file, opens
from fault_proxy import fault_proxy
from google_emulators import GoogleEmulators

from braze_platform.currents.definitions import currents_definitions
from braze_platform.currents.loader import load
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.currents.targets import bucket_of
from braze_platform.settings import Settings
from braze_platform.warehouse.bigquery import BigQuerySession
from braze_platform.warehouse.registry import FILE_SCHEMAS, FILES, TABLES
from braze_platform.warehouse.targets import warehouse_of

OPENS = dg.AssetKey(["currents", "users_messages_email_open"])
UNRECOGNISED = dg.AssetKey(["currents", "unrecognised_objects"])


def test_a_day_is_found_loaded_and_checked(google_settings: Settings) -> None:
    settings = google_settings.replace(currents_start_day=date(2026, 11, 9), currents_quiet_seconds=0)
    deliveries = GoogleDeliveries(settings)
    deliveries.put(currents_file(), opens("a", "b"))
    deliveries.put_bytes(currents_file(offset=1).key, b"not avro")
    deliveries.put_bytes("currents/notes.txt", b"hello")
    defs = dg.Definitions.merge(
        currents_definitions(settings), dg.Definitions(executor=dg.in_process_executor)
    )
    with dg.instance_for_test() as instance:
        sensor = defs.resolve_sensor_def("currents_hours")
        with dg.build_sensor_context(
            instance=instance, definitions=defs, resources=defs.resources
        ) as context:
            evaluated = sensor.evaluate_tick(context)
        [request] = evaluated.run_requests or []
        assert set(request.asset_selection or []) == {OPENS, UNRECOGNISED}
        job = defs.resolve_implicit_global_asset_job_def()
        for key, partition in ((OPENS, "2026-11-10"), (UNRECOGNISED, None)):
            result = job.execute_in_process(
                asset_selection=[key], partition_key=partition, instance=instance, raise_on_error=False
            )
            assert result.success
            passed = {found.check_name: found.passed for found in result.get_asset_check_evaluations()}
            assert list(passed.values()).count(False) >= 1, "one file is unreadable, one key is unrecognised"
            assert passed.get("files_are_readable", False) is False
        event = instance.get_latest_materialization_event(OPENS)
        assert event is not None and event.asset_materialization is not None
        shown = event.asset_materialization.metadata
        assert (shown["rows_loaded"].value, shown["files_quarantined"].value) == (2, 1)
    with warehouse_of(settings).session() as session:
        raw = session.sql.table("currents_raw", "users_messages_email_open")
        assert session.fetch(f"select id from {raw} order by id") == [("a",), ("b",)]
        quarantine = session.sql.table("currents_ledger", "quarantine")
        assert session.fetch(f"select count(*) from {quarantine} where resolved_at is null") == [(2,)]


def test_raw_tables_are_partitioned_clustered_labelled_and_expire(
    emulators: GoogleEmulators, google_settings: Settings
) -> None:
    settings = google_settings.replace(currents_start_day=date(2026, 11, 9), raw_partition_expiry_days=400)
    deliveries = GoogleDeliveries(settings)
    deliveries.put(currents_file(), opens("a"))
    defs = dg.Definitions.merge(
        currents_definitions(settings), dg.Definitions(executor=dg.in_process_executor)
    )
    with dg.instance_for_test() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        assert job.execute_in_process(
            asset_selection=[OPENS], partition_key="2026-11-10", instance=instance
        ).success
    table = emulators.bigquery().get_table(
        f"{settings.bigquery_dataset_prefix}currents_raw.users_messages_email_open"
    )
    assert table.time_partitioning.field == "_hour"
    assert table.time_partitioning.type_ == "DAY"
    assert table.time_partitioning.expiration_ms == 400 * 86_400_000
    assert table.clustering_fields == ["user_id"]
    assert table.labels == {"team": "data"}
    assert table.description


def test_the_ledger_is_partitioned_by_the_day_of_its_hours(google_settings: Settings) -> None:
    """What a load reads of it must not grow with the years."""
    with warehouse_of(google_settings).session() as session:
        assert isinstance(session, BigQuerySession)
        ensure_raw_tables(session)
        made = [
            session.client.get_table(f"{session.dataset_id(FILES.dataset.name)}.{name}")
            for name in session.table_names(FILES.dataset.name)
        ]
    by_day = {
        table.table_id: (
            table.time_partitioning.type_,
            table.time_partitioning.field,
            table.clustering_fields,
        )
        for table in made
        if table.time_partitioning
    }
    assert by_day == {
        table.name: ("DAY", "hour", ["event_type"])
        for table in TABLES
        if table.dataset == FILES.dataset and table.day_of
    }
    assert FILES.day_of and FILE_SCHEMAS.day_of


def test_a_load_reads_nothing_of_other_days(emulators: GoogleEmulators, google_settings: Settings) -> None:
    """Of the tables that grow with every hour; those of event types and of schemas stay small."""
    asked: list[str] = []

    def note(method: str, path: str, body: bytes) -> None:
        job = json.loads(body)["configuration"] if method == "POST" and b'"query"' in body else {}
        if not job.get("dryRun"):
            asked.extend(job.get("query", {}).get("query", "").split(";\n"))

    deliveries = GoogleDeliveries(google_settings)
    bucket = bucket_of(google_settings)
    with fault_proxy(emulators.bigquery_url) as proxy:
        proxy.decide = note
        warehouse = warehouse_of(google_settings.replace(bigquery_emulator_url=proxy.url))
        for hour in ("2026-11-09-05", "2026-11-10-05"):
            asked.clear()
            day = date.fromisoformat(hour[:10])
            deliveries.put(currents_file(hour=hour), opens(hour))
            report = load(warehouse, bucket, "currents", [OPEN], day, day)
            assert (report.rows_loaded, report.errors) == (1, {})
    grows = re.compile(r"\b(?:from|join) `[^ ]*`\.`(files|file_schemas|users_messages_email_open)`(.*)")
    reads = [
        (found[1], found[2])
        for sql in asked
        if not sql.startswith("create view")
        for found in grows.finditer(sql)
    ]
    assert {table for table, _ in reads} == {"files", "file_schemas", "users_messages_email_open"}
    assert [rest for _, rest in reads if not re.search(r"hour`? (?:in unnest|>=|between)", rest)] == []
