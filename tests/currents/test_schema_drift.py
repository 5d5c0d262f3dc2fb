"""Every kind of change in Braze's release history, and the worse ones it reserves: nothing lost, everything said.

The fixtures are our own files, made from field names and types; the changes are those that Braze's change log and the
differences between its published schemas show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from currents_files import OPEN, Deliveries, avro_bytes, currents_file, opens
from hypothesis import given, settings
from hypothesis import strategies as st

from braze_platform.currents.avro_files import AvroField
from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.load_report import EventTypeLoad
from braze_platform.currents.loader import load
from braze_platform.currents.schemas import SeenSchema, differences, fingerprint_of
from braze_platform.warehouse.duckdb import DuckDBWarehouse

DAY = date(2026, 11, 10)
PURCHASE = "users.behaviors.Purchase"
CLICK = "users.messages.email.Click"
INBOUND = "users.messages.sms.InboundReceive"
TOKEN = "users.behaviors.pushnotification.TokenStateChange"
WHATSAPP = "users.messages.whatsapp.Read"
DELIVERY = "users.messages.email.Delivery"

Fields = list[tuple[str, Any]]
_AVRO: dict[str, Any] = {
    "array<string>": {"type": "array", "items": "string"},
    "array<string?>": {"type": "array", "items": ["null", "string"]},
}
_VALUES: dict[str, Any] = {
    "string": "text",
    "int": 7,
    "long": 2**40,
    "float": 0.5,
    "boolean": True,
    "array<string>": ["a"],
    "array<string?>": ["a", None],
}


def catalogue_fields(event_type: str) -> Fields:
    """The fields of an event type as a writer's schema."""
    return [
        (
            field.name,
            ["null", _AVRO.get(field.type, field.type)]
            if field.nullable
            else _AVRO.get(field.type, field.type),
        )
        for field in catalogue()[event_type].fields
    ]


def record(event_type: str, name: str) -> dict[str, Any]:
    return {field.name: _VALUES[field.type] for field in catalogue()[event_type].fields} | {"id": name}


def with_type(field: str, kind: Any) -> Callable[[Fields], Fields]:
    return lambda fields: [(name, kind if name == field else before) for name, before in fields]


def without(*dropped: str) -> Callable[[Fields], Fields]:
    return lambda fields: [(name, kind) for name, kind in fields if name not in dropped]


def with_field(at: int | None, name: str, kind: Any) -> Callable[[Fields], Fields]:
    return lambda fields: [
        *fields[: len(fields) if at is None else at],
        (name, kind),
        *(fields[at:] if at is not None else []),
    ]


@dataclass(frozen=True)
class Change:
    """A change of one event type's schema, the values under the new one, and what must come of it."""

    event_type: str
    change: Callable[[Fields], Fields]
    #: Field values of the event written under the new schema.
    values: dict[str, Any]
    #: What to select, and what it gives for the old event and for the new one.
    select: str
    old: tuple[Any, ...]
    new: tuple[Any, ...]
    #: Differences with the catalogue, as field, change and the column that takes the values.
    said: Sequence[tuple[str, str, str | None]]


CHANGES = {
    "a field added at the end (v11 is_unique, v12 send_time)": Change(
        OPEN,
        with_field(None, "send_time_of_message", ["null", "int"]),
        {"send_time_of_message": 1_762_750_000},
        "send_time_of_message",
        (None,),
        (1_762_750_000,),
        [("send_time_of_message", "added", None)],
    ),
    "a field added in the middle (38 of 135 additions)": Change(
        OPEN,
        with_field(3, "novel", ["null", "boolean"]),
        {"novel": True, "timezone": "UTC"},
        "novel, timezone",
        (None, "text"),
        (True, "UTC"),
        [("novel", "added", None)],
    ),
    "an array added": Change(
        OPEN,
        with_field(1, "labels", ["null", _AVRO["array<string?>"]]),
        {"labels": ["a", None]},
        "labels",
        (None,),
        (["a", None],),
        [("labels", "added", None)],
    ),
    "a record added": Change(
        OPEN,
        with_field(
            None,
            "device",
            {"type": "record", "name": "Device", "fields": [{"name": "model", "type": "string"}]},
        ),
        {"device": {"model": "m"}},
        "device",
        (None,),
        ('{"model":"m"}',),
        [("device", "added", None)],
    ),
    "a field dropped (2025-04 dispatch_id)": Change(
        OPEN,
        without("dispatch_id"),
        {},
        "dispatch_id, timezone",
        ("text", "text"),
        (None, "text"),
        [("dispatch_id", "missing", None)],
    ),
    "fields in another order (TokenStateChange)": Change(
        TOKEN, lambda fields: fields[::-1], {"time_ms": 9}, "id, time_ms", ("old", 2**40), ("new", 9), []
    ),
    "int to long": Change(
        OPEN,
        with_type("time", "long"),
        {"time": 2**40},
        "time",
        (7,),
        (2**40,),
        [("time", "wider type", None)],
    ),
    "long to int": Change(
        WHATSAPP,
        with_type("time", "int"),
        {"time": 8},
        "time",
        (2**40,),
        (8,),
        [("time", "wider type", None)],
    ),
    "float to double": Change(
        PURCHASE,
        with_type("price", "double"),
        {"price": 9.99},
        "price",
        (0.5,),
        (9.99,),
        [("price", "wider type", None)],
    ),
    "int to float": Change(
        PURCHASE,
        with_type("price", "int"),
        {"price": 10},
        "price",
        (0.5,),
        (10.0,),
        [("price", "wider type", None)],
    ),
    "required to nullable (v4 rcs, v8 whatsapp)": Change(
        OPEN,
        with_type("user_id", ["null", "string"]),
        {"user_id": None},
        "user_id",
        ("text",),
        (None,),
        [("user_id", "now nullable", None)],
    ),
    "nullable to required": Change(
        OPEN,
        with_type("timezone", "string"),
        {"timezone": "UTC"},
        "timezone",
        ("text",),
        ("UTC",),
        [("timezone", "now required", None)],
    ),
    "items of an array nullable": Change(
        CLICK,
        with_type("suspected_bot_click_reason", ["null", _AVRO["array<string?>"]]),
        {"suspected_bot_click_reason": ["a", None]},
        "suspected_bot_click_reason",
        (["a"],),
        (["a", None],),
        [("suspected_bot_click_reason", "items now nullable", None)],
    ),
    "items of an array required": Change(
        INBOUND,
        with_type("media_urls", ["null", _AVRO["array<string>"]]),
        {"media_urls": ["b"]},
        "media_urls",
        (["a", None],),
        (["b"],),
        [],
    ),
    "string to int: the column holds both": Change(
        OPEN,
        with_type("ip_pool", ["null", "int"]),
        {"ip_pool": 5},
        "ip_pool",
        ("text",),
        ("5",),
        [("ip_pool", "wider type", None)],
    ),
    "a clash, int to string": Change(
        OPEN,
        with_type("time", "string"),
        {"time": "noon"},
        "time, time__string",
        (7, None),
        (None, "noon"),
        [("time", "other type", "time__string")],
    ),
    "a clash, boolean to string": Change(
        OPEN,
        with_type("is_amp", ["null", "string"]),
        {"is_amp": "maybe"},
        "is_amp, is_amp__string",
        (True, None),
        (None, "maybe"),
        [("is_amp", "other type", "is_amp__string")],
    ),
    "a clash, long where a float was": Change(
        PURCHASE,
        with_type("price", "long"),
        {"price": 2**60 + 1},
        "price, price__long",
        (0.5, None),
        (None, 2**60 + 1),
        [("price", "other type", "price__long")],
    ),
    "a clash, string to array": Change(
        OPEN,
        with_type("timezone", ["null", _AVRO["array<string>"]]),
        {"timezone": ["a", "b"]},
        "timezone, timezone__strings",
        ("text", None),
        (None, ["a", "b"]),
        [("timezone", "other type", "timezone__strings")],
    ),
    "a union of two types": Change(
        OPEN,
        with_type("time", ["null", "int", "string"]),
        {"time": "noon"},
        "time",
        (7,),
        (None,),
        [("time", "other type", "time__json"), ("time", "now nullable", None)],
    ),
    "several at once, one of them a rename": Change(
        DELIVERY,
        lambda fields: with_field(2, "sending_address", ["null", "string"])(without("sending_ip")(fields)),
        {"sending_address": "10.0.0.1"},
        "sending_ip, sending_address",
        ("text", None),
        (None, "10.0.0.1"),
        [("sending_address", "added", None), ("sending_ip", "missing", None)],
    ),
}


@pytest.fixture
def load_type(warehouse: DuckDBWarehouse, bucket: FolderBucket) -> Callable[[str], EventTypeLoad]:
    def run(event_type: str) -> EventTypeLoad:
        report = load(warehouse, bucket, "currents", [event_type], DAY, DAY)
        assert report.errors == {}
        return report.event_types[event_type]

    return run


def table_of(event_type: str) -> str:
    return f"currents_raw.{catalogue()[event_type].table}"


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("one_hour", [True, False], ids=["in one hour", "in the next hour"])
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
            assert "noon" in kept
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
