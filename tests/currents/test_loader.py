"""What a load leaves in the raw tables, the ledger and the quarantine."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from currents_files import CLICK, OPEN, OPEN_FIELDS, SEND, Deliveries, avro_bytes, currents_file, opens

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.ledger import DayTotals
from braze_platform.currents.load_report import EventTypeLoad, LoadProgress
from braze_platform.currents.loader import LoadLimits, load
from braze_platform.warehouse.duckdb import DuckDBWarehouse

DAY = date(2026, 11, 10)
TABLE = "currents_raw.users_messages_email_open"
Load = Callable[..., EventTypeLoad]
Fetch = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture
def load_opens(warehouse: DuckDBWarehouse, bucket: FolderBucket) -> Load:
    def run(**options: Any) -> EventTypeLoad:
        return load(warehouse, bucket, "currents", [OPEN], DAY, DAY, **options).event_types[OPEN]

    return run


@pytest.fixture
def fetch(warehouse: DuckDBWarehouse) -> Fetch:
    def run(sql: str) -> list[tuple[Any, ...]]:
        with warehouse.session() as session:
            return session.fetch(sql)

    return run


def ids(fetch: Fetch) -> list[str]:
    return [name for (name,) in fetch(f"select id from {TABLE} order by id")]


def test_a_row_says_what_it_is_and_where_it_came_from(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    key = deliveries.put(currents_file(), opens("a", time=1_762_750_000))
    loaded = load_opens()
    [row] = fetch(
        f"select id, time, external_user_id, campaign_id, _hour, _file, _version, _loaded_at is not null from {TABLE}"
    )
    assert row == ("a", 1_762_750_000, None, None, datetime(2026, 11, 10, 5), key, "10", True)
    assert (loaded.rows_loaded, loaded.hours_loaded, loaded.files_loaded, loaded.late_files) == (1, 1, 1, 0)
    assert loaded.days == {DAY: DayTotals(rows=1, files=1, hours=1)}
    [ledger] = fetch("select * exclude (generation, loaded_at) from currents_ledger.files")
    size = len(avro_bytes(opens("a")))
    assert ledger == (OPEN, datetime(2026, 11, 10, 5), key, size, 1, "10", 1)


def test_tables_of_all_event_types_are_made_and_described(load_opens: Load, fetch: Fetch) -> None:
    load_opens()
    tables = {
        name for (name,) in fetch("select table_name from duckdb_tables() where schema_name = 'currents_raw'")
    }
    assert tables == {event_type.table for event_type in catalogue().values()}
    undescribed = "select * from duckdb_columns() where schema_name = 'currents_raw' and comment is null"
    assert fetch(undescribed) == []


def test_a_rerun_changes_nothing(deliveries: Deliveries, load_opens: Load, fetch: Fetch) -> None:
    deliveries.put(currents_file(), opens("a", "b"))
    load_opens()
    before = fetch(f"select * from {TABLE} order by id"), fetch("select * from currents_ledger.files")
    again = load_opens()
    assert (again.rows_loaded, again.hours_loaded, again.files_unchanged, again.rows_held) == (0, 0, 1, 2)
    assert (
        fetch(f"select * from {TABLE} order by id"),
        fetch("select * from currents_ledger.files"),
    ) == before


def test_a_late_file_reloads_its_hour_and_only_that(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    deliveries.put(currents_file(hour="2026-11-10-05"), opens("a"))
    deliveries.put(currents_file(hour="2026-11-10-06"), opens("b"))
    load_opens()
    deliveries.put(currents_file(hour="2026-11-10-05", offset=7), opens("c"))
    late = load_opens()
    assert (late.hours_loaded, late.files_loaded, late.late_files, late.hours_unchanged) == (1, 2, 1, 1)
    assert ids(fetch) == ["a", "b", "c"]
    assert fetch("select hour(hour), max(load_id) from currents_ledger.files group by 1 order by 1") == [
        (5, 2),
        (6, 1),
    ]


def test_a_rewritten_object_replaces_its_rows(deliveries: Deliveries, load_opens: Load, fetch: Fetch) -> None:
    deliveries.put(currents_file(), opens("a", "b"))
    load_opens()
    deliveries.put(currents_file(), opens("a", "z"))
    assert load_opens().late_files == 0
    assert ids(fetch) == ["a", "z"]


def test_a_vanished_object_takes_its_rows_along(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    one = deliveries.put(currents_file(), opens("a"))
    two = deliveries.put(currents_file(offset=1), opens("b"))
    load_opens()
    deliveries.remove(one)
    assert load_opens().vanished_files == 1
    assert ids(fetch) == ["b"]
    deliveries.remove(two)
    load_opens()
    assert ids(fetch) == []
    # what comes after must see that the hour changed
    emptied = "select hour(hour), object_key, row_count, load_id from currents_ledger.files"
    assert fetch(emptied) == [(5, "", 0, 3)]
    load_opens()
    assert fetch(emptied) == [(5, "", 0, 3)]
    deliveries.put(currents_file(), opens("c"))
    load_opens()
    assert fetch("select row_count, load_id from currents_ledger.files") == [(1, 4)]


def test_schemas_and_layouts_meet_in_one_hour(deliveries: Deliveries, load_opens: Load, fetch: Fetch) -> None:
    deliveries.put(currents_file(), opens("a"))
    reordered = [("novel_number", ["null", "float"]), *reversed(OPEN_FIELDS)]
    deliveries.put(
        currents_file(offset=1, number=11), [{**opens("b")[0], "novel_number": 1.5}], fields=reordered
    )
    long_time = [("time", "long") if name == "time" else (name, kind) for name, kind in OPEN_FIELDS]
    deliveries.put(
        currents_file(offset=2, layout="schema_id", number=1523), opens("c", time=2**40), fields=long_time
    )
    loaded = load_opens()
    assert loaded.new_columns == ["novel_number"]
    assert fetch(f"select id, user_id, time, novel_number, _version from {TABLE} order by id") == [
        ("a", "u-a", 1_762_750_000, None, "10"),
        ("b", "u-b", 1_762_750_000, 1.5, "11"),
        ("c", "u-c", 2**40, None, "schema-1523"),
    ]
    assert fetch(f"select distinct typeof(time), typeof(novel_number) from {TABLE}") == [("BIGINT", "DOUBLE")]


def test_a_type_that_clashes_is_kept_beside(deliveries: Deliveries, load_opens: Load, fetch: Fetch) -> None:
    text_time = [("time", "string") if name == "time" else (name, kind) for name, kind in OPEN_FIELDS]
    deliveries.put(currents_file(), [{**opens("a")[0], "time": "yesterday"}], fields=text_time)
    deliveries.put(currents_file(offset=1), opens("b", time=5))
    load_opens()
    assert fetch(f"select id, time, time__string from {TABLE} order by id") == [
        ("a", None, "yesterday"),
        ("b", 5, None),
    ]


def test_arrays_floats_and_foreign_shapes(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket, fetch: Fetch
) -> None:
    nullable_items = ["null", {"type": "array", "items": ["null", "string"]}]
    deliveries.put(
        currents_file(CLICK),
        [
            {"id": "a", "suspected_bot_click_reason": ["x", None], "score": 9.99, "extra": {"k": "v"}},
            {"id": "b", "suspected_bot_click_reason": None, "score": 1.0, "extra": {}},
        ],
        fields=[
            ("id", "string"),
            ("suspected_bot_click_reason", nullable_items),
            ("score", "float"),
            ("extra", {"type": "map", "values": "string"}),
        ],
    )
    report = load(warehouse, bucket, "currents", [CLICK], DAY, DAY)
    assert report.errors == {}
    rows = fetch(
        "select suspected_bot_click_reason, round(score, 4), typeof(score), extra "
        "from currents_raw.users_messages_email_click order by id"
    )
    assert rows == [(["x", None], 9.99, "DOUBLE", '{"k":"v"}'), (None, 1.0, "DOUBLE", "{}")]


def test_an_unknown_event_type_gets_a_table(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket, fetch: Fetch
) -> None:
    deliveries.put(currents_file("users.messages.fax.Send"), opens("a"))
    deliveries.put(currents_file("users.messages.Fax.send"), opens("b"))
    deliveries.put(currents_file("users.messages.email.open"), opens("c"))
    deliveries.put(currents_file(), opens("known"))
    report = load(warehouse, bucket, "currents", [], DAY, DAY, unknown_event_types=True)
    assert {name: loaded.rows_loaded for name, loaded in report.event_types.items()} == {
        "users.messages.fax.Send": 1,
        "users.messages.Fax.send": 1,
        "users.messages.email.open": 1,
    }
    assert report.errors == {}
    # two foreign names may share a table; neither takes the other's rows when its hour is replaced
    assert fetch("select id from currents_raw.users_messages_fax_send order by id") == [("a",), ("b",)]
    assert fetch("select id from currents_raw.users_messages_email_open_unknown") == [("c",)]
    assert ids(fetch) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(avro_bytes(opens("x", "y"))[:-20], "truncated", id="truncated"),
        pytest.param(b"not avro at all", "not an Avro container", id="text"),
        pytest.param(b"", "empty", id="empty"),
    ],
)
def test_a_bad_file_is_quarantined_and_its_hour_loads(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch, content: bytes, reason: str
) -> None:
    deliveries.put(currents_file(), opens("a"))
    bad = deliveries.put_bytes(currents_file(offset=1).key, content)
    first = load_opens()
    assert [(file.object_key, reason in file.reason) for file in first.quarantined] == [(bad, True)]
    assert ids(fetch) == ["a"]
    again = load_opens()
    assert (again.hours_loaded, len(again.quarantined)) == (0, 1), "a bad file must not be tried again"
    assert fetch(
        "select count(*), max(last_seen_at) > min(first_seen_at) from currents_ledger.quarantine"
    ) == [(1, True)]
    deliveries.put(currents_file(offset=1), opens("x", "y"))
    repaired = load_opens()
    assert (repaired.quarantined, repaired.hours_loaded) == ([], 1)
    assert ids(fetch) == ["a", "x", "y"]
    assert fetch("select count(*) from currents_ledger.quarantine where resolved_at is null") == [(0,)]


def test_a_truncated_file_beside_its_twin_and_its_end(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    whole = avro_bytes(opens(*map(str, range(50))), records_per_block=300)
    cut = deliveries.put_bytes(currents_file().key, whole[: len(whole) // 2])
    assert load_opens().days == {}
    deliveries.put_bytes(currents_file(offset=1).key, whole)
    twin = load_opens()
    assert (twin.rows_held, len(twin.quarantined)) == (50, 1)
    deliveries.put_bytes(cut, whole[: len(whole) // 3])
    assert len(load_opens().quarantined) == 1
    resolved = "select resolved_at is not null from currents_ledger.quarantine order by first_seen_at"
    assert fetch(resolved) == [(True,), (False,)]
    deliveries.remove(cut)
    assert load_opens().quarantined == []
    assert fetch(resolved) == [(True,), (True,)]


def test_a_file_the_reader_fails_on_is_found_among_good_ones(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    """Framing is right, content is not: the block says three records and holds the bytes of two."""
    for offset in range(6):
        deliveries.put(currents_file(offset=offset), opens(f"good-{offset}"))
    whole = avro_bytes(opens("x", "y"))
    marker = whole[-16:]
    header = whole[: whole.index(marker) + 16]
    body = whole[len(header) :]
    assert body[0] == 4  # zig-zag for two records
    lying = deliveries.put_bytes(currents_file(offset=3, partition=1).key, header + b"\x06" + body[1:])
    loaded = load_opens()
    assert [file.object_key for file in loaded.quarantined] == [lying]
    assert loaded.error is None
    assert ids(fetch) == [f"good-{offset}" for offset in range(6)]


def test_only_the_asked_days_and_types_are_touched(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    for hour in ("2026-11-09-23", "2026-11-10-00", "2026-11-10-23", "2026-11-11-00"):
        deliveries.put(currents_file(hour=hour), opens(hour))
    deliveries.put(currents_file(SEND), opens("sms"))
    load_opens()
    assert ids(fetch) == ["2026-11-10-00", "2026-11-10-23"]
    assert fetch("select count(*) from currents_raw.users_messages_sms_send") == [(0,)]


def test_connectors_are_found_wherever_they_write(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket, fetch: Fetch
) -> None:
    deliveries.put(currents_file(prefix=""), opens("a"))
    deliveries.put(currents_file(prefix="team/a*b[1]", integration_id="f" * 24), opens("b"))
    report = load(warehouse, bucket, "", [OPEN], DAY, DAY)
    assert report.rows_loaded == 2
    assert ids(fetch) == ["a", "b"]


def test_transactions_are_bounded_and_progress_is_told(
    deliveries: Deliveries, load_opens: Load, fetch: Fetch
) -> None:
    for hour in range(5):
        for offset in range(2):
            deliveries.put(
                currents_file(hour=f"2026-11-10-0{hour}", offset=offset), opens(f"{hour}-{offset}")
            )
    told: list[LoadProgress] = []
    load_opens(limits=LoadLimits(files=4), on_progress=told.append)
    assert [(progress.files_done, progress.files_total, progress.rows) for progress in told] == [
        (4, 10, 4),
        (8, 10, 4),
        (10, 10, 2),
    ]
    assert fetch("select load_id, count(distinct hour) from currents_ledger.files group by 1 order by 1") == [
        (1, 2),
        (2, 2),
        (3, 1),
    ]


def test_one_failing_event_type_does_not_stop_the_others(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket, fetch: Fetch
) -> None:
    deliveries.put(currents_file(), opens("a"))
    deliveries.put(currents_file(SEND), [{"id": "s"}], fields=[("id", "string")])
    load(warehouse, bucket, "currents", [], DAY, DAY)
    with warehouse.session() as session:
        session.execute("alter table currents_raw.users_messages_email_open rename to hidden")
        session.execute("create view currents_raw.users_messages_email_open as from currents_raw.hidden")
    report = load(warehouse, bucket, "currents", [OPEN, SEND], DAY, DAY)
    assert list(report.errors) == [OPEN]
    assert "replacing 1 hours of users.messages.email.Open" in report.errors[OPEN]
    assert fetch("select id from currents_raw.users_messages_sms_send") == [("s",)]
