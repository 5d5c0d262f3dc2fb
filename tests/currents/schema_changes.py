"""Every kind of change of a schema in Braze's release history, and the worse ones it reserves, as files of our own.

They are made from field names and types; the changes are those that Braze's change log and the differences between its
published schemas show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from currents_files import OPEN

from braze_platform.currents.catalogue import catalogue

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


def table_of(event_type: str) -> str:
    return f"currents_raw.{catalogue()[event_type].table}"
