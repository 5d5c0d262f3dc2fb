"""What the export endpoints say of one object, as rows of the tables. Pure.

Shapes: https://www.braze.com/docs/api/endpoints/export/campaigns/get_campaign_details,
.../canvas/get_canvas_details, .../segments/get_segment_details, .../custom_attributes/get_custom_attributes.
Message bodies are left out; so are the times of the last send and the last entry, which move without an edit (the
Currents events have them).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, TypeAlias

from braze_platform.warehouse.workspace_tables import (
    CAMPAIGNS,
    CANVAS_STEPS,
    CANVAS_VARIANTS,
    CANVASES,
    CUSTOM_ATTRIBUTES,
    MESSAGE_VARIATIONS,
    SEGMENTS,
    ObjectTable,
)

Json: TypeAlias = "Mapping[str, Any]"
Row: TypeAlias = "dict[str, object]"


class ObjectUnreadable(ValueError):
    """What Braze answered of one object cannot be understood; the message names the field and holds no content."""


@dataclass(frozen=True)
class ReadObject:
    """One object and its parts as rows by table (column to value); timestamps are naive UTC."""

    rows: dict[str, list[Row]]
    #: When Braze says that it was last edited; None where Braze does not say.
    edited_at: datetime | None
    #: Whether nothing of it can change any more without an edit that its list entry would show.
    settled: bool


@dataclass(frozen=True)
class Endpoint:
    """One list of objects, its details, and the tables that they fill."""

    name: str
    #: The permission of the key that a 403 misses.
    permissions: str
    list_path: str
    #: The field of a list's answer that holds its entries.
    list_field: str
    id_field: str
    #: Tables that objects of this endpoint fill, with the column that says whose a row is.
    tables: tuple[tuple[ObjectTable, str], ...]
    read: Callable[[Json, Json], ReadObject]
    details_path: str | None = None
    details_parameter: str = ""
    list_parameters: Mapping[str, str] | None = None
    #: Entries come by `Link` header and cursor, not by page number.
    by_cursor: bool = False


def campaign(entry: Json, details: Json) -> ReadObject:
    """A campaign and its messages."""
    campaign_id, edited_at = _required(entry, "id"), _moment(details, "updated_at")
    first_sent = _moment(details, "first_sent")
    row = {
        "campaign_id": campaign_id,
        **_described(details),
        "channels": _texts(details, "channels"),
        "conversion_behaviors": _json(details.get("conversion_behaviors") or []),
        "is_api_campaign": _flag(entry, "is_api_campaign"),
        **_lifecycle(details),
        "first_sent_at": first_sent,
        "updated_at": edited_at,
    }
    messages = _messages(details, {"campaign_id": campaign_id, "canvas_id": None, "canvas_step_id": None})
    rows = {CAMPAIGNS.name: [row], MESSAGE_VARIATIONS.name: messages}
    return ReadObject(rows, edited_at, _settled(entry, row, first_sent))


def canvas(entry: Json, details: Json) -> ReadObject:
    """A canvas with its variants, steps and messages."""
    canvas_id, edited_at = _required(entry, "id"), _moment(details, "updated_at")
    first_entry = _moment(details, "first_entry")
    row = {
        "canvas_id": canvas_id,
        **_described(details),
        "channels": _texts(details, "channels"),
        **_lifecycle(details),
        "first_entry_at": first_entry,
        "updated_at": edited_at,
    }
    variants: list[Row] = [
        {
            "canvas_variation_id": _required(variant, "id"),
            "canvas_id": canvas_id,
            "name": _required(variant, "name"),
            "first_step_ids": _texts(variant, "first_step_ids", in_order=True),
        }
        for variant in _objects(details, "variants")
    ]
    steps: list[Row] = []
    messages: list[Row] = []
    for step in _objects(details, "steps"):
        step_id = _required(step, "id")
        paths = [
            {"name": path.get("name"), "next_step_id": path.get("next_step_id")}
            for path in _objects(step, "next_paths")
        ]
        steps.append(
            {
                "canvas_step_id": step_id,
                "canvas_id": canvas_id,
                "name": _required(step, "name"),
                "step_type": _text(step, "type"),
                "channels": _texts(step, "channels"),
                "next_paths": _json(paths),
            }
        )
        whose: Row = {"campaign_id": None, "canvas_id": canvas_id, "canvas_step_id": step_id}
        messages += _messages(step, whose)
    rows = {
        CANVASES.name: [row],
        CANVAS_VARIANTS.name: variants,
        CANVAS_STEPS.name: steps,
        MESSAGE_VARIATIONS.name: messages,
    }
    return ReadObject(rows, edited_at, _settled(entry, row, first_entry))


def segment(entry: Json, details: Json) -> ReadObject:
    """A segment. Its list tells no time of the last edit, so it is never settled."""
    edited_at = _moment(details, "updated_at")
    described = _described(details)
    row = {
        "segment_id": _required(entry, "id"),
        **described,
        # Braze's words: `description` is of the filters, `text_description` is what a person wrote
        "description": _text(details, "text_description"),
        "filters": described["description"],
        "is_analytics_tracked": _flag(entry, "analytics_tracking_enabled"),
        "created_at": _moment(details, "created_at"),
        "updated_at": edited_at,
    }
    return ReadObject({SEGMENTS.name: [row]}, edited_at, settled=False)


def custom_attribute(entry: Json, _details: Json) -> ReadObject:
    """A custom attribute; its list entry says all there is."""
    length = entry.get("array_length")
    if length is not None and (isinstance(length, bool) or not isinstance(length, int)):
        raise ObjectUnreadable("'array_length' is not a whole number")
    row: Row = {
        "attribute_name": _required(entry, "name"),
        "data_type": _text(entry, "data_type"),
        "array_length": length,
        "status": _text(entry, "status"),
        "description": _text(entry, "description"),
        "tags": _texts(entry, "tag_names"),
    }
    return ReadObject({CUSTOM_ATTRIBUTES.name: [row]}, None, settled=True)


_WITH_ARCHIVED = {"include_archived": "true", "sort_direction": "asc"}

ENDPOINTS = (
    Endpoint(
        "campaigns",
        "campaigns.list and campaigns.details",
        "/campaigns/list",
        "campaigns",
        "id",
        ((CAMPAIGNS, "campaign_id"), (MESSAGE_VARIATIONS, "campaign_id")),
        campaign,
        "/campaigns/details",
        "campaign_id",
        _WITH_ARCHIVED,
    ),
    Endpoint(
        "canvases",
        "canvas.list and canvas.details",
        "/canvas/list",
        "canvases",
        "id",
        (
            (CANVASES, "canvas_id"),
            (CANVAS_VARIANTS, "canvas_id"),
            (CANVAS_STEPS, "canvas_id"),
            (MESSAGE_VARIATIONS, "canvas_id"),
        ),
        canvas,
        "/canvas/details",
        "canvas_id",
        _WITH_ARCHIVED,
    ),
    Endpoint(
        "segments",
        "segments.list and segments.details",
        "/segments/list",
        "segments",
        "id",
        ((SEGMENTS, "segment_id"),),
        segment,
        "/segments/details",
        "segment_id",
        {"sort_direction": "asc"},
    ),
    Endpoint(
        "custom_attributes",
        "custom_attributes.get",
        "/custom_attributes",
        "attributes",
        "name",
        ((CUSTOM_ATTRIBUTES, "attribute_name"),),
        custom_attribute,
        by_cursor=True,
    ),
)


def _described(details: Json) -> Row:
    return {
        "name": _required(details, "name"),
        "description": _text(details, "description"),
        "tags": _texts(details, "tags"),
        "teams": _texts(details, "teams"),
    }


def _lifecycle(details: Json) -> Row:
    return {
        "schedule_type": _text(details, "schedule_type"),
        "schedule": _json({key: value for key, value in details.items() if key.startswith("schedule")}),
        "is_archived": _flag(details, "archived"),
        "is_draft": _flag(details, "draft"),
        "is_enabled": _flag(details, "enabled"),
        "created_at": _moment(details, "created_at"),
    }


def _settled(entry: Json, row: Row, first_sent: datetime | None) -> bool:
    """The first send is no edit: until it is known, what may still send is not settled."""
    idle = bool(row["is_draft"]) or bool(row["is_archived"])
    return isinstance(entry.get("last_edited"), str) and (first_sent is not None or idle)


def _messages(holder: Json, whose: Row) -> list[Row]:
    messages = holder.get("messages") or {}
    if not isinstance(messages, Mapping) or not all(isinstance(m, Mapping) for m in messages.values()):
        raise ObjectUnreadable("'messages' is not an object of objects")
    return [
        {
            "message_variation_id": message_id,
            **whose,
            "name": _text(message, "name"),
            "channel": _text(message, "channel"),
            "is_control": message.get("type") == "control",
        }
        for message_id, message in messages.items()
    ]


def _required(holder: Json, field: str) -> str:
    value = holder.get(field)
    if not isinstance(value, str) or not value:
        raise ObjectUnreadable(f"'{field}' is missing or not text")
    return value


def _text(holder: Json, field: str) -> str | None:
    value = holder.get(field)
    if value is not None and not isinstance(value, str):
        raise ObjectUnreadable(f"'{field}' must be text")
    return value or None


def _flag(holder: Json, field: str) -> bool | None:
    value = holder.get(field)
    if value is not None and not isinstance(value, bool):
        raise ObjectUnreadable(f"'{field}' must be true or false")
    return value


def _texts(holder: Json, field: str, *, in_order: bool = False) -> str:
    """A field's texts as a JSON array, sorted unless their order says something."""
    values = holder.get(field) or []
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ObjectUnreadable(f"'{field}' is not an array of texts")
    return _json(values if in_order else sorted(set(values)))


def _objects(holder: Json, field: str) -> list[Json]:
    values = holder.get(field) or []
    if not isinstance(values, list) or not all(isinstance(value, Mapping) for value in values):
        raise ObjectUnreadable(f"'{field}' is not an array of objects")
    return values


def _moment(holder: Json, field: str) -> datetime | None:
    """An ISO 8601 parsed as naive UTC; without an offset it is UTC."""
    text = _text(holder, field)
    if text is None:
        return None
    try:
        # Python 3.10 reads neither `Z` nor fractions of other than 3 or 6 digits; Braze writes 3 or none
        parsed = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise ObjectUnreadable(f"'{field}' is not an ISO 8601 time") from None
    return parsed if parsed.tzinfo is None else parsed.astimezone(timezone.utc).replace(tzinfo=None)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
