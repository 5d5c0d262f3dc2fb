"""The catalogue of Currents event types: names, fields, families and table names, as data.

Source of the facts: Braze's event glossaries (message engagement, customer behaviour, user profiles), v10. The data,
`event_types.json`, has three parts:

- `families`: a family by how the name of an event type begins; the longest beginning wins.
- `fields`: each field's type and what it holds. `personal`: Braze's glossary marks it as personal data. `recognisable`:
  the glossary does not, yet a person can be recognised by it. `contact`: an e-mail address, a phone number, or either.
- `event_types`: what an event means, its fields (`name?` may be null, `name:type` has another type in this event type)
  and `staging`, of which `docs/reference/dbt_files.py` makes source and staging model; a type without is not staged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal, TypeAlias, cast

#: Avro types that Currents uses; `array<string?>` is an array whose items may be null.
FieldType: TypeAlias = Literal["string", "int", "long", "float", "boolean", "array<string>", "array<string?>"]


@dataclass(frozen=True)
class Field:
    """One field of an event type as Braze documents it."""

    name: str
    type: FieldType
    nullable: bool
    #: Braze's glossary marks the field as personal data.
    personal: bool = False
    #: What it holds, with unit and time zone, in our own words.
    description: str = ""


@dataclass(frozen=True)
class EventType:
    """One Currents event type, e.g. `users.messages.email.Open`."""

    name: str
    fields: tuple[Field, ...]
    #: What happened when Braze writes such an event, in our own words.
    description: str = ""
    #: What its staging model keeps; None where there is none.
    staging: Mapping[str, Any] | None = field(default=None, compare=False)

    @property
    def table(self) -> str:
        """Its raw table and the last part of its asset key, e.g. `users_messages_email_open`."""
        return table_name(self.name)

    @property
    def family(self) -> str:
        """The family it is grouped by, e.g. `email`."""
        families: Mapping[str, str] = _data()["families"]
        return families[max((begin for begin in families if self.name.startswith(begin)), key=len)]

    @property
    def has_personal_data(self) -> bool:
        """Whether any of its fields is personal data."""
        return any(f.personal for f in self.fields)

    @cached_property
    def field_names(self) -> frozenset[str]:
        """Names of its fields."""
        return frozenset(f.name for f in self.fields)


def table_name(event_type: str) -> str:
    """An event type in snake case: dots and inner capitals become underscores.

    >>> table_name("users.messages.pushnotification.IosForeground")
    'users_messages_pushnotification_ios_foreground'
    """
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", event_type)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")


@cache
def catalogue() -> Mapping[str, EventType]:
    """All known event types by name, in the order of the glossary."""
    return {name: read_event_type(name, entry) for name, entry in _data()["event_types"].items()}


def read_event_type(name: str, entry: Mapping[str, Any]) -> EventType:
    """Read an entry of the catalogue; raises `KeyError` where it lacks something or a field is not in `fields`."""
    return EventType(name, tuple(map(_field, entry["fields"])), entry["description"], entry.get("staging"))


@cache
def _field(declared: str) -> Field:
    name, _, kind = declared.removesuffix("?").partition(":")
    facts: Mapping[str, Any] = _data()["fields"][name]
    return Field(
        name,
        cast("FieldType", kind or facts["type"]),
        declared.endswith("?"),
        facts.get("personal", False),
        facts["description"],
    )


#: Event types of which nearly every installation has one. A run loads them after all others, in this order, so that
#: to wait for them is to wait for the run; dbt's sources mark them as anchors.
LOADED_LAST = (
    "users.behaviors.CustomEvent",
    "users.messages.email.Send",
    "users.messages.pushnotification.Send",
)


@cache
def personal_fields() -> frozenset[str]:
    """Names of fields that are personal data in any event type, and of those by which a person can be recognised."""
    return _fields_marked("personal") | _fields_marked("recognisable")


@cache
def contact_fields() -> frozenset[str]:
    """Names of fields that hold an e-mail address or a phone number, or either."""
    return _fields_marked("contact")


def _fields_marked(mark: str) -> frozenset[str]:
    return frozenset(name for name, facts in _data()["fields"].items() if facts.get(mark))


@cache
def _data() -> Mapping[str, Any]:
    text = resources.files(__package__).joinpath("event_types.json").read_text(encoding="utf-8")
    found: Mapping[str, Any] = json.loads(text)
    return found


@cache
def families() -> Mapping[str, tuple[EventType, ...]]:
    """Event types by family."""
    grouped: dict[str, list[EventType]] = {}
    for event_type in catalogue().values():
        grouped.setdefault(event_type.family, []).append(event_type)
    return {family: tuple(members) for family, members in sorted(grouped.items())}
