"""What a load leaves in the raw tables, the ledger and the quarantine."""

from __future__ import annotations

import hashlib
import os
import re
from datetime import datetime
from typing import Any

import pytest
from currents_files import CLICK, OPEN, OPEN_FIELDS, SEND, Deliveries, avro_bytes, currents_file, opens
from google_emulators import GoogleEmulators
from installation import DAY, TABLE, Installation

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.file_registry import DayTotals
from braze_platform.currents.load_report import LoadProgress
from braze_platform.currents.loader import LoadOptions, load
from braze_platform.currents.targets import load_options
from braze_platform.warehouse.duckdb import DuckDBWarehouse


def test_a_row_says_what_it_is_and_where_it_came_from(installation: Installation) -> None:
    key = installation.deliveries.put(currents_file(), opens("a", time=1_762_750_000))
    loaded = installation.load_opens()
    [row] = installation.fetch(
        f"select id, time, external_user_id, campaign_id, _hour, _file, _version, _loaded_at is not null from {TABLE}"
    )
    assert row == ("a", 1_762_750_000, None, None, datetime(2026, 11, 10, 5), key, "10", True)
    assert (loaded.rows_loaded, loaded.hours_loaded, loaded.files_loaded, loaded.late_files) == (1, 1, 1, 0)
    assert loaded.days == {DAY: DayTotals(rows=1, files=1, hours=1)}
    [ledger] = installation.fetch(
        "select event_type, hour, object_key, size_bytes, row_count, version, load_id from currents_ledger.files"
    )
    size = len(avro_bytes(opens("a")))
    assert ledger == (OPEN, datetime(2026, 11, 10, 5), key, size, 1, "10", 1)


def test_tables_of_all_event_types_are_made_and_described(installation: Installation) -> None:
    installation.load_opens()
    assert installation.described_tables() == {event_type.table: True for event_type in catalogue().values()}


def test_a_rerun_changes_nothing(installation: Installation) -> None:
    installation.deliveries.put(currents_file(), opens("a", "b"))
    installation.load_opens()
    before = (
        installation.fetch(f"select * from {TABLE} order by id"),
        installation.fetch("select * from currents_ledger.files"),
    )
    again = installation.load_opens()
    assert (again.rows_loaded, again.hours_loaded, again.files_unchanged, again.rows_held) == (0, 0, 1, 2)
    assert (
        installation.fetch(f"select * from {TABLE} order by id"),
        installation.fetch("select * from currents_ledger.files"),
    ) == before


def test_a_late_file_reloads_its_hour_and_only_that(installation: Installation) -> None:
    installation.deliveries.put(currents_file(hour="2026-11-10-05"), opens("a"))
    installation.deliveries.put(currents_file(hour="2026-11-10-06"), opens("b"))
    installation.load_opens()
    installation.deliveries.put(currents_file(hour="2026-11-10-05", offset=7), opens("c"))
    late = installation.load_opens()
    assert (late.hours_loaded, late.files_loaded, late.late_files, late.hours_unchanged) == (1, 2, 1, 1)
    assert installation.ids() == ["a", "b", "c"]
    assert installation.fetch(
        "select extract(hour from hour), max(load_id) from currents_ledger.files group by 1 order by 1"
    ) == [
        (5, 2),
        (6, 1),
    ]


def test_a_rewritten_object_replaces_its_rows(installation: Installation) -> None:
    installation.deliveries.put(currents_file(), opens("a", "b"))
    installation.load_opens()
    installation.deliveries.put(currents_file(), opens("a", "z"))
    again = installation.load_opens()
    assert (again.error, again.hours_loaded, again.late_files) == (None, 1, 0)
    assert installation.ids() == ["a", "z"]


@pytest.mark.parametrize("settings_of_either", ["bigquery"], indirect=True)
def test_an_object_rewritten_within_a_second_replaces_its_rows(
    installation: Installation, emulators: GoogleEmulators
) -> None:
    """Its size and, as a file system counts seconds, its time are those of the object before."""
    for names in (("a", "b"), ("a", "z")):
        key = installation.deliveries.put(currents_file(), opens(*names))
        file = emulators.objects / installation.settings.bucket_name / key
        os.utime(file, (1_790_000_000, 1_790_000_000))
        assert installation.load_opens().error is None
        assert installation.ids() == list(names)


def test_a_vanished_object_takes_its_rows_along(installation: Installation) -> None:
    one = installation.deliveries.put(currents_file(), opens("a"))
    two = installation.deliveries.put(currents_file(offset=1), opens("b"))
    installation.load_opens()
    installation.deliveries.remove(one)
    assert installation.load_opens().vanished_files == 1
    assert installation.ids() == ["b"]
    installation.deliveries.remove(two)
    installation.load_opens()
    assert installation.ids() == []
    # what comes after must see that the hour changed
    emptied = "select extract(hour from hour), object_key, row_count, load_id from currents_ledger.files"
    assert installation.fetch(emptied) == [(5, "", 0, 3)]
    installation.load_opens()
    assert installation.fetch(emptied) == [(5, "", 0, 3)]
    installation.deliveries.put(currents_file(), opens("c"))
    installation.load_opens()
    assert installation.fetch("select row_count, load_id from currents_ledger.files") == [(1, 4)]


def test_loads_are_counted_on_after_an_installation_that_did_not_list_them(
    installation: Installation,
) -> None:
    installation.deliveries.put(currents_file(hour="2026-11-10-05"), opens("a"))
    installation.load_opens()
    listed = "select event_type, load_id from currents_ledger.loads"
    assert installation.fetch(listed) == [(OPEN, 1)]
    installation.execute("update currents_ledger.files set load_id = 41 where true")
    installation.execute("delete from currents_ledger.loads where true")
    installation.execute("delete from braze_platform.migrations where true")
    installation.deliveries.put(currents_file(hour="2026-11-10-06"), opens("b"))
    installation.load_opens()
    assert installation.fetch("select load_id from currents_ledger.files order by 1") == [(41,), (42,)]
    assert installation.fetch(listed) == [(OPEN, 42)]


def test_one_schema_comes_in_both_layouts(installation: Installation) -> None:
    installation.deliveries.put(currents_file(), opens("a"))
    installation.deliveries.put(currents_file(offset=1, layout="schema_id", number=1523), opens("b"))
    assert installation.load_opens().error is None
    assert sorted(installation.ids()) == ["a", "b"]


def test_schemas_and_layouts_meet_in_one_hour(installation: Installation) -> None:
    installation.deliveries.put(currents_file(), opens("a"))
    reordered = [("novel_number", ["null", "float"]), *reversed(OPEN_FIELDS)]
    installation.deliveries.put(
        currents_file(offset=1, number=11), [{**opens("b")[0], "novel_number": 1.5}], fields=reordered
    )
    long_time = [("time", "long") if name == "time" else (name, kind) for name, kind in OPEN_FIELDS]
    installation.deliveries.put(
        currents_file(offset=2, layout="schema_id", number=1523), opens("c", time=2**40), fields=long_time
    )
    loaded = installation.load_opens()
    assert loaded.new_columns == ["novel_number"]
    assert installation.fetch(
        f"select id, user_id, time, novel_number, _version from {TABLE} order by id"
    ) == [
        ("a", "u-a", 1_762_750_000, None, "10"),
        ("b", "u-b", 1_762_750_000, 1.5, "11"),
        ("c", "u-c", 2**40, None, "schema-1523"),
    ]
    types = installation.types(TABLE)
    assert (types["time"], types["novel_number"]) == ("BIGINT", "DOUBLE")


def test_a_type_that_clashes_is_kept_beside(installation: Installation) -> None:
    text_time = [("time", "string") if name == "time" else (name, kind) for name, kind in OPEN_FIELDS]
    installation.deliveries.put(currents_file(), [{**opens("a")[0], "time": "yesterday"}], fields=text_time)
    installation.deliveries.put(currents_file(offset=1), opens("b", time=5))
    installation.load_opens()
    assert installation.fetch(f"select id, time, time__string from {TABLE} order by id") == [
        ("a", None, "yesterday"),
        ("b", 5, None),
    ]


def test_arrays_floats_and_foreign_shapes(installation: Installation) -> None:
    google = installation.settings.target == "bigquery"
    record = {"type": "record", "name": "Extra", "fields": [{"name": "k", "type": "string"}]}
    installation.deliveries.put(
        currents_file(CLICK),
        [
            {"id": "a", "suspected_bot_click_reason": ["x", "y"], "score": 9.99, "extra": {"k": "v"}},
            {"id": "b", "suspected_bot_click_reason": None, "score": 1.0, "extra": None},
        ],
        fields=[
            ("id", "string"),
            ("suspected_bot_click_reason", ["null", {"type": "array", "items": ["null", "string"]}]),
            ("score", "float"),
            ("extra", ["null", record]),
        ],
    )
    report = load(installation.warehouse, installation.bucket, "currents", [CLICK], DAY, DAY)
    assert report.errors == {}
    assert installation.fetch(
        "select suspected_bot_click_reason, round(score, 4), extra "
        "from currents_raw.users_messages_email_click order by id"
    ) == [
        (["x", "y"], 9.99, '{"k":"v"}'),
        # BigQuery keeps no difference between an empty array and none.
        ([] if google else None, 1.0, None),
    ]
    assert installation.types("currents_raw.users_messages_email_click")["score"] == "DOUBLE"


def test_maps_and_empty_items_on_the_local_target(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket
) -> None:
    """The emulator casts no map; BigQuery itself takes no array with empty items."""
    deliveries.put(
        currents_file(CLICK),
        [{"id": "a", "suspected_bot_click_reason": ["x", None], "extra": {"k": "v"}}],
        fields=[
            ("id", "string"),
            ("suspected_bot_click_reason", {"type": "array", "items": ["null", "string"]}),
            ("extra", {"type": "map", "values": "string"}),
        ],
    )
    assert load(warehouse, bucket, "currents", [CLICK], DAY, DAY).errors == {}
    with warehouse.session() as session:
        assert session.fetch(
            "select suspected_bot_click_reason, extra from currents_raw.users_messages_email_click"
        ) == [(["x", None], '{"k":"v"}')]


def test_an_unknown_event_type_gets_a_table(installation: Installation) -> None:
    installation.deliveries.put(currents_file("users.messages.fax.Send"), opens("a"))
    installation.deliveries.put(currents_file("users.messages.Fax.send"), opens("b"))
    installation.deliveries.put(currents_file("users.messages.email.open"), opens("c"))
    installation.deliveries.put(currents_file(), opens("known"))
    report = load(
        installation.warehouse, installation.bucket, "currents", [], DAY, DAY, unknown_event_types=True
    )
    assert {name: loaded.rows_loaded for name, loaded in report.event_types.items()} == {
        "users.messages.fax.Send": 1,
        "users.messages.Fax.send": 1,
        "users.messages.email.open": 1,
    }
    assert report.errors == {}
    # two unknown names may share a table; neither takes the other's rows when its hour is replaced
    assert installation.fetch("select id from currents_raw.users_messages_fax_send order by id") == [
        ("a",),
        ("b",),
    ]
    assert installation.fetch("select id from currents_raw.users_messages_email_open_unknown") == [("c",)]
    assert installation.ids() == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(avro_bytes(opens("x", "y"))[:-20], "truncated", id="truncated"),
        pytest.param(b"not avro at all", "not an Avro container", id="text"),
        pytest.param(b"", "empty", id="empty"),
    ],
)
def test_a_bad_file_is_quarantined_and_its_hour_loads(
    installation: Installation, content: bytes, reason: str
) -> None:
    installation.deliveries.put(currents_file(), opens("a"))
    bad = installation.deliveries.put_bytes(currents_file(offset=1).key, content)
    first = installation.load_opens()
    assert [(file.object_key, reason in file.reason) for file in first.quarantined] == [(bad, True)]
    assert installation.ids() == ["a"]
    again = installation.load_opens()
    assert (again.hours_loaded, len(again.quarantined)) == (0, 1), "a bad file must not be tried again"
    assert installation.fetch(
        "select count(*), max(last_seen_at) > min(first_seen_at) from currents_ledger.quarantine"
    ) == [(1, True)]
    installation.deliveries.put(currents_file(offset=1), opens("x", "y"))
    repaired = installation.load_opens()
    assert (repaired.quarantined, repaired.hours_loaded) == ([], 1)
    assert installation.ids() == ["a", "x", "y"]
    assert installation.fetch(
        "select count(*) from currents_ledger.quarantine where resolved_at is null"
    ) == [(0,)]


def test_a_truncated_file_beside_its_twin_and_its_end(installation: Installation) -> None:
    whole = avro_bytes(opens(*map(str, range(50))), records_per_block=300)
    cut = installation.deliveries.put_bytes(currents_file().key, whole[: len(whole) // 2])
    assert installation.load_opens().days == {}
    installation.deliveries.put_bytes(currents_file(offset=1).key, whole)
    twin = installation.load_opens()
    assert (twin.rows_held, len(twin.quarantined)) == (50, 1)
    installation.deliveries.put_bytes(cut, whole[: len(whole) // 3])
    assert len(installation.load_opens().quarantined) == 1
    resolved = "select resolved_at is not null from currents_ledger.quarantine order by first_seen_at"
    assert installation.fetch(resolved) == [(True,), (False,)]
    installation.deliveries.remove(cut)
    assert installation.load_opens().quarantined == []
    assert installation.fetch(resolved) == [(True,), (True,)]


def test_a_file_the_reader_fails_on_is_found_among_good_ones(installation: Installation) -> None:
    """Framing is right where it is looked at, content is not.

    On DuckDB the block says three records and holds the bytes of two; on BigQuery, whose reader counts for itself, the
    first text in it has a negative length.
    """
    for offset in range(6):
        installation.deliveries.put(currents_file(offset=offset), opens(f"good-{offset}"))
    whole = avro_bytes(opens("x", "y"))
    marker = whole[-16:]
    header = whole[: whole.index(marker) + 16]
    body = whole[len(header) :]
    assert body[0] == 4  # zig-zag for two records
    google = installation.settings.target == "bigquery"
    length = len(body) - 16
    broken = body[: length // 2] + b"\x7f" * 16 + body[length // 2 + 16 :]
    lying = installation.deliveries.put_bytes(
        currents_file(offset=3, partition=1).key, header + (broken if google else b"\x06" + body[1:])
    )
    loaded = installation.load_opens()
    assert [file.object_key for file in loaded.quarantined] == [lying]
    assert loaded.error is None
    assert installation.ids() == [f"good-{offset}" for offset in range(6)]


def test_only_the_asked_days_and_types_are_touched(installation: Installation) -> None:
    for hour in ("2026-11-09-23", "2026-11-10-00", "2026-11-10-23", "2026-11-11-00"):
        installation.deliveries.put(currents_file(hour=hour), opens(hour))
    installation.deliveries.put(currents_file(SEND), opens("sms"))
    installation.load_opens()
    assert installation.ids() == ["2026-11-10-00", "2026-11-10-23"]
    assert installation.fetch("select count(*) from currents_raw.users_messages_sms_send") == [(0,)]


def test_connectors_are_found_wherever_they_write(installation: Installation) -> None:
    installation.deliveries.put(currents_file(prefix=""), opens("a"))
    installation.deliveries.put(currents_file(prefix="team/a*b[1]", integration_id="f" * 24), opens("b"))
    report = load(installation.warehouse, installation.bucket, "", [OPEN], DAY, DAY)
    assert report.rows_loaded == 2
    assert installation.ids() == ["a", "b"]


def test_transactions_are_bounded_and_progress_is_told(installation: Installation) -> None:
    for hour in range(5):
        for offset in range(2):
            installation.deliveries.put(
                currents_file(hour=f"2026-11-10-0{hour}", offset=offset), opens(f"{hour}-{offset}")
            )
    told: list[LoadProgress] = []
    installation.load_opens(options=LoadOptions(files=4), on_progress=told.append)
    assert [(progress.files_done, progress.files_total, progress.rows) for progress in told] == [
        (4, 10, 4),
        (8, 10, 4),
        (10, 10, 2),
    ]
    assert installation.fetch(
        "select load_id, count(distinct hour) from currents_ledger.files group by 1 order by 1"
    ) == [
        (1, 2),
        (2, 2),
        (3, 1),
    ]


def test_one_failing_event_type_does_not_stop_the_others(installation: Installation) -> None:
    installation.deliveries.put(currents_file(), opens("a"))
    installation.deliveries.put(currents_file(SEND), [{"id": "s"}], fields=[("id", "string")])
    load(installation.warehouse, installation.bucket, "currents", [], DAY, DAY)
    installation.break_table(TABLE)
    report = load(installation.warehouse, installation.bucket, "currents", [OPEN, SEND], DAY, DAY)
    assert list(report.errors) == [OPEN]
    assert "replacing 1 hours of users.messages.email.Open" in report.errors[OPEN]
    assert installation.fetch("select id from currents_raw.users_messages_sms_send") == [("s",)]


def test_contacts_are_kept_as_hashes_where_the_setting_says_so(installation: Installation) -> None:
    """By its name in any case and behind any word, whatever its type, in event types that nobody knows, too."""
    record = {"type": "record", "name": "Contact", "fields": [{"name": "of", "type": "string"}]}
    kinds: list[tuple[str, Any]] = [
        ("email_address", ["null", "string"]),
        ("Phone_Number", "long"),
        ("backup_emails_email", {"type": "array", "items": "string"}),
        ("sms_to_phone_number", ["null", record]),
        ("work_email", "bytes"),
        ("channel_identifier", ["null", "string"]),
        ("from_phone_number", "string"),
    ]
    values = (
        " Ada@Example.org",
        4915112345678,
        ["ada@example.org", "x"],
        {"of": "ada"},
        b"\xffada",
        "ADA",
        "4900",
    )
    with_values = dict(zip((name for name, _ in kinds), values, strict=True))
    records = [{**opens("a")[0], **with_values}, {**opens("c")[0], **with_values, "email_address": None}]
    fax = "users.messages.fax.Send"
    for event_type in (OPEN, fax):
        installation.deliveries.put(currents_file(event_type), records, fields=[*OPEN_FIELDS, *kinds])
    options = load_options(installation.settings.replace(hash_contacts=True))
    report = load(
        installation.warehouse, installation.bucket, "currents", [OPEN, fax], DAY, DAY, options=options
    )
    assert report.errors == {}

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    columns = (
        "email_address, Phone_Number, backup_emails_email, channel_identifier, from_phone_number, user_id"
    )
    for table in (TABLE, "currents_raw.users_messages_fax_send"):
        first, second = installation.fetch(f"select {columns} from {table} order by id")
        expected = (digest("4915112345678"), [digest("ada@example.org"), digest("x")], digest("ada"), "4900")
        assert first == (digest("ada@example.org"), *expected, "u-a")
        assert second == (None, *expected, "u-c")
        for column in ("sms_to_phone_number", "work_email"):
            [(found,)] = installation.fetch(f"select distinct {column} from {table}")
            assert re.fullmatch("[0-9a-f]{64}", found), column
    assert not load_options(installation.settings).is_hashed("email_address")
