"""A schema that changes: nothing lost, everything said, on both targets (see `schema_changes`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from currents_files import OPEN, Deliveries, avro_bytes, currents_file, opens
from google_emulators import GoogleEmulators
from hypothesis import given, settings
from hypothesis import strategies as st
from installation import Installation
from schema_changes import CHANGES, Fields, catalogue_fields, record, table_of, without
from tiers import tiered

from braze_platform.currents.avro_files import AvroField
from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.load_report import EventTypeLoad
from braze_platform.currents.loader import load
from braze_platform.currents.schemas import SeenSchema, differences, fingerprint_of
from braze_platform.warehouse.duckdb import DuckDBWarehouse

DAY = date(2026, 11, 10)


@pytest.fixture
def load_type(warehouse: DuckDBWarehouse, bucket: FolderBucket) -> Callable[[str], EventTypeLoad]:
    def run(event_type: str) -> EventTypeLoad:
        report = load(warehouse, bucket, "currents", [event_type], DAY, DAY)
        assert report.errors == {}
        return report.event_types[event_type]

    return run


@pytest.mark.parametrize("name", tiered({name: name for name in CHANGES}, quick=[*CHANGES][::2]))
@pytest.mark.parametrize(
    "one_hour",
    [
        pytest.param(True, marks=pytest.mark.full, id="in one hour"),
        pytest.param(False, id="in the next hour"),
    ],
)
def test_a_change_loses_nothing_and_is_named(
    deliveries: Deliveries,
    warehouse: DuckDBWarehouse,
    load_type: Callable[[str], EventTypeLoad],
    name: str,
    one_hour: bool,
) -> None:
    change = CHANGES[name]
    old_fields = catalogue_fields(change.event_type)
    new_fields = change.change(old_fields)
    deliveries.put(currents_file(change.event_type), [record(change.event_type, "old")], fields=old_fields)
    if not one_hour:
        loaded = load_type(change.event_type)
        assert [differences(catalogue()[change.event_type], seen) for seen in loaded.schemas] == [[]]
    event = record(change.event_type, "new") | change.values
    late = currents_file(
        change.event_type, "2026-11-10-05" if one_hour else "2026-11-10-06", offset=1, number=11
    )
    deliveries.put(late, [{field: event[field] for field, _ in new_fields}], fields=new_fields)
    loaded = load_type(change.event_type)
    with warehouse.session() as session:
        found = session.fetch(f"select {change.select} from {table_of(change.event_type)} order by id desc")
        if "time__json" in str(change.said):
            [(kept,)] = session.fetch(
                f"select time__json from {table_of(change.event_type)} where id = 'new'"
            )
            assert kept == "noon"
        registry = session.fetch(
            "select version, files, first_seen_at is not null, example_file from currents_ledger.schemas_in_use "
            "order by version"
        )
    assert found == [change.old, change.new]
    said = [
        (difference.field, difference.change, difference.kept_in)
        for seen in loaded.schemas
        for difference in differences(catalogue()[change.event_type], seen)
    ]
    assert said == list(change.said)
    assert registry == [
        ("10", 1, True, currents_file(change.event_type).key),
        ("11", 1, True, late.key),
    ]


@pytest.fixture(scope="module")
def google_installation(
    emulators: GoogleEmulators, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """One for all changes, each on a day of its own: making the tables takes seconds."""
    settings = emulators.settings(tmp_path_factory.mktemp("drift"))
    yield Installation(settings)
    emulators.forget(settings)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_loses_nothing_and_is_named_on_bigquery(
    google_installation: Installation, name: str
) -> None:
    """Both schemas in one hour. BigQuery has no column for empty items of an array."""
    change = CHANGES[name]
    event_type, fields = change.event_type, catalogue_fields(change.event_type)
    day = DAY + timedelta(days=list(CHANGES).index(name))
    hour = f"{day}-05"

    def loaded() -> EventTypeLoad:
        report = load(
            google_installation.warehouse, google_installation.bucket, "currents", [event_type], day, day
        )
        assert report.errors == {}
        return report.event_types[event_type]

    def put(schema: Fields, event: dict[str, Any], **options: Any) -> str:
        kept = {field: without_empty_items(event[field]) for field, _ in schema}
        return google_installation.deliveries.put(
            currents_file(event_type, hour, **options), [kept], fields=schema
        )

    put(fields, record(event_type, "old"))
    new_fields = change.change(fields)
    put(new_fields, record(event_type, "new") | change.values, offset=1, number=11)
    found = loaded()
    assert found.quarantined == []
    rows = google_installation.fetch(
        f"select {change.select} from {table_of(event_type)} where date(_hour) = '{day}' order by id desc"
    )
    # an array that is null comes back empty
    assert [tuple(None if value == [] else value for value in row) for row in rows] == [
        without_empty_items(change.old),
        without_empty_items(change.new),
    ]
    if "time__json" in str(change.said):
        assert google_installation.fetch(
            f"select time__json from {table_of(event_type)} where date(_hour) = '{day}' and id = 'new'"
        ) == [("noon",)]
    said = [
        (difference.field, difference.change, difference.kept_in)
        for seen in found.schemas
        for difference in differences(catalogue()[event_type], seen)
    ]
    assert said == list(change.said)


def without_empty_items(value: Any) -> Any:
    """A value, or each value of a row, without the empty items of arrays."""
    if isinstance(value, tuple):
        return tuple(without_empty_items(part) for part in value)
    return [item for item in value if item is not None] if isinstance(value, list) else value


def test_the_older_layout_and_an_older_version_without_a_field_are_no_difference(
    deliveries: Deliveries, load_type: Callable[[str], EventTypeLoad]
) -> None:
    older = without("device_class", "mailbox_provider")(catalogue_fields(OPEN))
    event = record(OPEN, "a")
    for options in ({"layout": "schema_id", "number": 1523}, {"number": 9}):
        deliveries.put(currents_file(**options), [{name: event[name] for name, _ in older}], fields=older)
    deliveries.put(currents_file(), [event], fields=catalogue_fields(OPEN))
    loaded = load_type(OPEN)
    assert [(seen.version, seen.is_newest, seen.files) for seen in loaded.schemas] == [
        ("schema-1523", False, 1),
        ("9", False, 1),
        ("10", True, 1),
    ]
    assert [differences(catalogue()[OPEN], seen) for seen in loaded.schemas] == [[], [], []]


def test_one_version_with_two_schemas_is_two_schemas(
    deliveries: Deliveries, load_type: Callable[[str], EventTypeLoad]
) -> None:
    fields = catalogue_fields(OPEN)
    deliveries.put(currents_file(), [record(OPEN, "a")], fields=fields)
    deliveries.put(currents_file(offset=1), [record(OPEN, "b") | {"x": 1}], fields=[*fields, ("x", "int")])
    loaded = load_type(OPEN)
    assert sorted(seen.files for seen in loaded.schemas) == [1, 1]
    assert len({seen.fingerprint for seen in loaded.schemas}) == 2


def test_the_registry_follows_files_that_are_replaced_and_vanish(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, load_type: Callable[[str], EventTypeLoad]
) -> None:
    first = deliveries.put(currents_file(), opens("a"))
    deliveries.put(currents_file(offset=1), opens("b"))
    load_type(OPEN)
    deliveries.put_bytes(
        first, avro_bytes([{"id": "a", "novel": 1}], fields=[("id", "string"), ("novel", "int")])
    )
    deliveries.remove(currents_file(offset=1).key)
    loaded = load_type(OPEN)
    assert [[field.name for field in seen.fields] for seen in loaded.schemas] == [["id", "novel"]]
    with warehouse.session() as session:
        used = session.fetch(
            "select files, example_file from currents_ledger.schemas_in_use order by first_seen_at"
        )
    assert used == [(0, first), (1, first)], "a schema that was seen once stays known"


def test_a_new_event_type_is_loaded_from_its_first_file(
    deliveries: Deliveries, warehouse: DuckDBWarehouse, bucket: FolderBucket
) -> None:
    deliveries.put(
        currents_file("users.messages.fax.Send"),
        [{"id": "a", "pages": 3}],
        fields=[("id", "string"), ("pages", "int")],
    )
    report = load(warehouse, bucket, "currents", [], DAY, DAY, unknown_event_types=True)
    [seen] = report.event_types["users.messages.fax.Send"].schemas
    assert [(field.name, field.type) for field in seen.fields] == [("id", "string"), ("pages", "int")]
    with warehouse.session() as session:
        assert session.fetch("select id, pages from currents_raw.users_messages_fax_send") == [("a", 3)]


_names = st.sampled_from([field.name for field in catalogue()[OPEN].fields] + ["novel", "other"])
_fields = st.builds(
    AvroField, _names, st.sampled_from(["string", "int", "long", "double", "boolean", "json"]), st.booleans()
)


@given(st.lists(_fields, unique_by=lambda field: field.name))
@settings(deadline=None)
def test_a_schema_without_differences_is_the_catalogue_s(fields: Iterable[AvroField]) -> None:
    fields = tuple(fields)
    seen = SeenSchema(OPEN, "10", fields, 1, "key", is_newest=True)
    found = {difference.field for difference in differences(catalogue()[OPEN], seen)}
    declared = {field.name: (field.type, field.nullable) for field in catalogue()[OPEN].fields}
    written = {field.name: (field.type, field.nullable) for field in fields}
    assert found == {
        name for name in declared.keys() | written.keys() if declared.get(name) != written.get(name)
    }
    assert fingerprint_of(fields) == fingerprint_of(list(fields))
