"""The raw table of each event type: its name, its columns by the catalogue, and how all of them are made."""

from __future__ import annotations

from collections.abc import Collection

from braze_platform.currents import file_registry, schemas
from braze_platform.currents.catalogue import EventType, catalogue, personal_fields, table_name
from braze_platform.currents.columns import column_type
from braze_platform.warehouse.interface import Session
from braze_platform.warehouse.personal_names import personal_of
from braze_platform.warehouse.raw_tables import raw_tables_of
from braze_platform.warehouse.tables import Column


def is_unknown(event_type: str) -> bool:
    """Whether the catalogue does not know an event type."""
    return event_type not in catalogue()


def raw_table_of(event_type: str) -> str:
    """The raw table of an event type, known or not; an unknown one never shares a known one's table.

    >>> raw_table_of("users.messages.email.Open"), raw_table_of("users.messages.email.open")
    ('users_messages_email_open', 'users_messages_email_open_unknown')
    """
    name = table_name(event_type) or "nameless"
    if is_unknown(event_type) and any(known.table == name for known in catalogue().values()):
        return f"{name}_unknown"
    return name


def raw_columns(event_type: EventType) -> list[Column]:
    """The columns of a raw table that the catalogue declares, without those of provenance."""
    types = {field.name: column_type(field) for field in event_type.fields}
    personal = personal_of(types, personal_fields(), ())
    return [
        Column(field.name, types[field.name], field.description, field.name in personal)
        for field in event_type.fields
    ]


def ensure_raw_tables(session: Session, event_types: Collection[str] | None = None) -> None:
    """Make the registry and the raw tables of all event types of the catalogue where they are missing.

    Columns that the catalogue gained are added to the tables of the given event types (default: all), so that a load
    of a few does not look at every table.
    """
    file_registry.ensure_file_registry(session)
    schemas.ensure_registry(session)
    known = catalogue()
    at_hand = known if event_types is None else known.keys() & event_types
    raw_tables_of(session).ensure_tables(
        {event_type.table: raw_columns(event_type) for event_type in known.values()},
        {known[name].table for name in at_hand},
    )
