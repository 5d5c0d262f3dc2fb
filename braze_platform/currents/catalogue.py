"""The catalogue of Currents event types: names, fields, families and table names, as data.

Source of the facts: Braze's event glossaries (message engagement, customer behaviour, user profiles), v10.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal, TypeAlias

#: Avro types that Currents uses; `array<string?>` is an array whose items may be null.
FieldType: TypeAlias = Literal["string", "int", "long", "float", "boolean", "array<string>", "array<string?>"]

#: Longest prefix wins: the family (and so the asset group and the multi-asset) of an event type.
_FAMILIES: Mapping[str, str] = {
    "agentconsole.": "agent_console",
    "users.": "user_lifecycle",
    "users.behaviors.": "behaviour",
    "users.behaviors.liveactivity.": "live_activity",
    "users.behaviors.subscription.": "subscription",
    "users.behaviors.subscriptiongroup.": "subscription",
    "users.campaigns.": "campaign",
    "users.canvas.": "canvas",
    "users.canvasstep.": "canvas",
    "users.messages.banner.": "banner",
    "users.messages.contentcard.": "content_card",
    "users.messages.email.": "email",
    "users.messages.featureflag.": "feature_flag",
    "users.messages.inappmessage.": "in_app_message",
    "users.messages.line.": "line",
    "users.messages.liveactivity.": "live_activity",
    "users.messages.pushnotification.": "push",
    "users.messages.rcs.": "rcs",
    "users.messages.sms.": "sms",
    "users.messages.webhook.": "webhook",
    "users.messages.whatsapp.": "whatsapp",
}


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

    @property
    def table(self) -> str:
        """Its raw table and the last part of its asset key, e.g. `users_messages_email_open`."""
        return table_name(self.name)

    @property
    def family(self) -> str:
        """The family it is grouped by, e.g. `email`."""
        return _FAMILIES[max((p for p in _FAMILIES if self.name.startswith(p)), key=len)]

    @property
    def has_personal_data(self) -> bool:
        """Whether any of its fields is personal data."""
        return any(field.personal for field in self.fields)

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
    descriptions = _data("descriptions.json")
    return {
        name: EventType(
            name,
            tuple(
                Field(
                    field_name,
                    declared.removesuffix("?"),
                    declared.endswith("?"),
                    bool(flags),
                    descriptions["fields"].get(field_name, ""),
                )
                for field_name, declared, *flags in fields
            ),
            descriptions["event_types"].get(name, ""),
        )
        for name, fields in _data("event_types.json").items()
    }


#: Names of devices and tokens, by which a person can be recognised, though Braze's glossary does not mark them.
_RECOGNISABLE = frozenset(
    {
        "device_id",
        "push_token_device_id",
        "push_to_start_token",
        "update_token",
        "web_push_token_user_auth",
        "web_push_token_public_key",
    }
)


#: Fields that hold an e-mail address or a phone number, or either.
CONTACT_FIELDS = frozenset(
    {"email_address", "to_phone_number", "user_phone_number", "phone_number", "channel_identifier"}
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
    """Names of fields that are personal data in any event type."""
    marked = {
        field.name for event_type in catalogue().values() for field in event_type.fields if field.personal
    }
    return frozenset(marked) | _RECOGNISABLE


def _data(file_name: str) -> Any:
    return json.loads(resources.files(__package__).joinpath(file_name).read_text(encoding="utf-8"))


@cache
def families() -> Mapping[str, tuple[EventType, ...]]:
    """Event types by family."""
    grouped: dict[str, list[EventType]] = {}
    for event_type in catalogue().values():
        grouped.setdefault(event_type.family, []).append(event_type)
    return {family: tuple(members) for family, members in sorted(grouped.items())}
