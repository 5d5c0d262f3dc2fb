"""The catalogue is whole: every type and field described, typed, and with a table of its own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from braze_platform.currents import catalogue as module
from braze_platform.currents.catalogue import catalogue, families
from braze_platform.currents.columns import column_type
from braze_platform.currents.raw_tables import raw_columns, raw_table_of

FOLDER = Path(module.__file__).parent


def test_has_all_event_types_with_tables_of_their_own() -> None:
    assert len(catalogue()) >= 94
    assert len({event_type.table for event_type in catalogue().values()}) == len(catalogue())
    assert sum(len(members) for members in families().values()) == len(catalogue())
    assert len(families()) >= 18


def test_every_event_type_and_field_is_described() -> None:
    missing = [event_type.name for event_type in catalogue().values() if len(event_type.description) < 15]
    missing += [
        f"{event_type.name}.{field.name}"
        for event_type in catalogue().values()
        for field in event_type.fields
        if len(field.description) < 10
    ]
    assert missing == []
    names = {field.name for event_type in catalogue().values() for field in event_type.fields}
    assert names == set(json.loads((FOLDER / "event_types.json").read_text(encoding="utf-8"))["fields"])


def test_everyone_who_is_named_is_staged() -> None:
    """An external id that is seen on such events alone is in the identity models."""
    named = [one for one in catalogue().values() if "external_user_id" in one.field_names]
    assert len(named) > 90
    assert [one.name for one in named if one.staging is None] == []


def test_every_message_type_has_an_action() -> None:
    messages = [one for one in catalogue().values() if one.name.startswith("users.messages.")]
    assert len(messages) > 60
    assert [one.name for one in messages if "action" not in (one.staging or {})] == []


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_columns_follow_the_fields(name: str) -> None:
    event_type = catalogue()[name]
    columns = {column.name: column.type for column in raw_columns(event_type)}
    assert list(columns) == [field.name for field in event_type.fields]
    assert columns["id"] == "VARCHAR"
    assert columns["time"] == "BIGINT"
    assert {column_type(field) for field in event_type.fields} <= {
        "VARCHAR",
        "BIGINT",
        "DOUBLE",
        "BOOLEAN",
        "VARCHAR[]",
    }


def test_an_unknown_event_type_never_takes_a_known_table() -> None:
    assert raw_table_of("users.messages.email.Open") == "users_messages_email_open"
    assert raw_table_of("users.messages.email.open") == "users_messages_email_open_unknown"
    assert raw_table_of("users.messages.fax.Send") == "users_messages_fax_send"
    assert raw_table_of("...") == "nameless"
