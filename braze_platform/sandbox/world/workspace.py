"""What the sandbox's workspace holds beside people: campaigns, canvases and segments as the export endpoints return
them.

Everything follows from the simulated time: the same time gives the same objects. Names, tags and descriptions
change by *edits*, each at a time of its own; `last_edited` and `updated_at` are the last edit before now. Ids and
names are those that the Currents events carry. Shapes: Braze's pages on the export endpoints
(https://www.braze.com/docs/api/endpoints/export/campaigns/get_campaign_details, .../canvas/get_canvas_details,
.../segments/get_segment_details).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from braze_platform.sandbox.world.campaigns import CAMPAIGNS, CONVERSION_BEHAVIOR, Campaign
from braze_platform.sandbox.world.canvases import CANVASES, SPLITS, VARIATIONS, Canvas
from braze_platform.sandbox.world.people import hexadecimal_id

Facts: TypeAlias = "dict[str, Any]"

#: How Braze names the channels that the simulation calls by Currents' words.
_CHANNELS = {
    "email": ["email"],
    "push": ["android_push", "ios_push"],
    "in_app_message": ["trigger_in_app_message"],
    "sms": ["sms"],
}
#: Edits happen in the morning, before that day's campaigns go out.
_EDITING_HOUR = timedelta(hours=6)


@dataclass(frozen=True)
class SimulatedTime:
    """Where the simulated time stands: when it began, how long its history is, and now."""

    start: datetime
    history_days: int
    now: datetime

    def edit_on(self, day: int) -> datetime:
        """The time at which people edit campaigns on a day of the simulation."""
        return self.start + timedelta(days=day) + _EDITING_HOUR

    @property
    def day(self) -> int:
        """The last day whose edits are made; negative before the first."""
        return (self.now - _EDITING_HOUR - self.start).days


@dataclass(frozen=True)
class WorkspaceObject:
    """One campaign, canvas or segment: what its list says of it, and its details."""

    id: str
    listed: Facts
    details: Facts
    archived: bool = False


def campaigns(simulated: SimulatedTime) -> list[WorkspaceObject]:
    """All campaigns, oldest first: those that run, one that was never finished, one that was put away."""
    return [
        *(_campaign(campaign, simulated) for campaign in CAMPAIGNS),
        _idle_campaign(simulated, 13, "Winter teaser", ["garden", "draft"], draft=True),
        _idle_campaign(simulated, 14, "Opening week", ["broadcast"], archived=True),
    ]


def canvases(simulated: SimulatedTime) -> list[WorkspaceObject]:
    """All canvases, oldest first."""
    return [_canvas(canvas, simulated) for canvas in CANVASES]


def segments(simulated: SimulatedTime) -> list[WorkspaceObject]:
    """All segments, oldest first. Their list tells no time of the last edit, as Braze's does not."""
    return [
        _segment(simulated, 1, lambda day: "VIP customers", "value_segment is vip", ["value"]),
        _segment(
            simulated,
            2,
            # the marketers take longer to give somebody up, from the first day after the history on
            lambda day: "Quiet for 45 days" if day >= simulated.history_days else "Quiet for 30 days",
            "no session in the last weeks",
            ["retention"],
        ),
        _segment(simulated, 3, lambda day: "Reachable by push", "push_subscribe is opted_in", []),
    ]


def _campaign(campaign: Campaign, simulated: SimulatedTime) -> WorkspaceObject:
    created = simulated.start - timedelta(days=60 - campaign.number)
    name = campaign.name_on(simulated.day, simulated.history_days)
    edited = _last_edit(simulated, created, lambda day: campaign.name_on(day, simulated.history_days))
    tags = [campaign.category, "personalised" if campaign.by_attributes else "broadcast"]
    channels = _CHANNELS[campaign.channel]
    messages: Facts = {
        variation_id: _message(campaign.channel, variation, campaign.category)
        for variation_id, variation in zip(campaign.variation_ids, campaign.variations, strict=True)
    }
    messages[campaign.control_variation_id] = {
        "channel": channels[-1],
        "name": "Control",
        "type": "control",
    }
    first_day = min(campaign.days)
    first_sent = simulated.start + timedelta(days=first_day, hours=campaign.hour)
    last_days = [d for d in range(max(0, simulated.day - 6), simulated.day + 1) if d % 7 in campaign.days]
    details = {
        "created_at": _text(created),
        "updated_at": _text(edited),
        "archived": False,
        "draft": False,
        "enabled": True,
        "has_post_launch_draft": False,
        "name": name,
        "description": f"{campaign.category.capitalize()} by {campaign.channel.replace('_', '-')}",
        "schedule_type": "action_based" if campaign.channel == "in_app_message" else "time_based",
        "channels": channels,
        "first_sent": _text(first_sent) if first_sent <= simulated.now else None,
        "last_sent": _text(simulated.start + timedelta(days=last_days[-1], hours=campaign.hour))
        if last_days
        else None,
        "tags": tags,
        "teams": ["CRM"],
        "messages": messages,
        "conversion_behaviors": [json.loads(CONVERSION_BEHAVIOR)],
    }
    listed = {"name": name, "is_api_campaign": False, "tags": tags, "last_edited": _text(edited)}
    return WorkspaceObject(campaign.campaign_id, {"id": campaign.campaign_id, **listed}, details)


def _idle_campaign(
    simulated: SimulatedTime,
    number: int,
    name: str,
    tags: list[str],
    *,
    draft: bool = False,
    archived: bool = False,
) -> WorkspaceObject:
    """A campaign that sends nothing; Currents does not know it."""
    campaign_id = hexadecimal_id(0, "campaign", number)
    created = simulated.start - timedelta(days=60 - number)
    details = {
        "created_at": _text(created),
        "updated_at": _text(created),
        "archived": archived,
        "draft": draft,
        "enabled": False,
        "has_post_launch_draft": False,
        "name": name,
        "description": "",
        "schedule_type": "time_based",
        "channels": ["email"],
        "first_sent": None if draft else _text(created + timedelta(days=1)),
        "last_sent": None if draft else _text(created + timedelta(days=7)),
        "tags": tags,
        "teams": [],
        "messages": {
            hexadecimal_id(0, "variation", number, "Variant 1"): _message("email", "Variant 1", name)
        },
        "conversion_behaviors": [],
    }
    listed = {"id": campaign_id, "name": name, "is_api_campaign": False, "tags": tags}
    return WorkspaceObject(campaign_id, {**listed, "last_edited": _text(created)}, details, archived)


def _canvas(canvas: Canvas, simulated: SimulatedTime) -> WorkspaceObject:
    created = simulated.start - timedelta(days=40 - canvas.number)

    def tags_on(day: int) -> list[str]:
        # tagged by the marketers on the first day after the history
        return ["lifecycle", "retention"] if day >= simulated.history_days else ["lifecycle"]

    edited = _last_edit(simulated, created, tags_on)
    tags = tags_on(simulated.day)
    channels = sorted({*_CHANNELS[canvas.first_channel], *_CHANNELS[canvas.second_channel]})
    first, split, second = (canvas.id_of("step", step) for step in ("message", "split", "second message"))
    details = {
        "created_at": _text(created),
        "updated_at": _text(edited),
        "name": canvas.name,
        "description": "Whoever left a basket" if canvas.trigger == "basket" else "Whoever went quiet",
        "archived": False,
        "draft": False,
        "enabled": True,
        "has_post_launch_draft": False,
        "schedule_type": "action_based" if canvas.trigger == "basket" else "time_based",
        "first_entry": _text(simulated.start + timedelta(hours=9)) if simulated.day >= 0 else None,
        "last_entry": _text(simulated.now - timedelta(hours=1)) if simulated.day >= 0 else None,
        "channels": channels,
        "variants": [
            {"name": name, "id": canvas.id_of("variation", name), "first_step_ids": [first]}
            for name in VARIATIONS
        ],
        "tags": tags,
        "teams": ["CRM"],
        "steps": [
            _step(first, "message", canvas, canvas.first_channel, [(None, split)]),
            _step(split, "split", canvas, None, [(name, second) for name in SPLITS[:2]]),
            _step(second, "second message", canvas, canvas.second_channel, []),
        ],
    }
    listed = {"id": canvas.id_of(), "name": canvas.name, "tags": tags, "last_edited": _text(edited)}
    return WorkspaceObject(canvas.id_of(), listed, details)


def _step(
    step_id: str, step: str, canvas: Canvas, channel: str | None, paths: list[tuple[str | None, str]]
) -> Facts:
    messages: Facts = {}
    if channel is not None:
        for name in VARIATIONS[:-1]:
            messages[canvas.id_of("message", step, name)] = _message(channel, name, canvas.name)
    return {
        "name": step.capitalize(),
        "type": "experiment" if channel is None else "message",
        "id": step_id,
        "next_step_ids": [next_step for _, next_step in paths],
        "next_paths": [{"name": name, "next_step_id": next_step} for name, next_step in paths],
        "channels": [] if channel is None else _CHANNELS[channel],
        "messages": messages,
    }


def _segment(
    simulated: SimulatedTime, number: int, name_on: Callable[[int], str], filters: str, tags: list[str]
) -> WorkspaceObject:
    segment_id = hexadecimal_id(0, "segment", number)
    created = simulated.start - timedelta(days=80 - number)
    name = name_on(simulated.day)
    details = {
        "created_at": _text(created),
        "updated_at": _text(_last_edit(simulated, created, name_on)),
        "name": name,
        "description": filters,
        "text_description": "",
        "tags": tags,
        "teams": [],
    }
    listed = {"id": segment_id, "name": name, "analytics_tracking_enabled": True, "tags": tags}
    return WorkspaceObject(segment_id, listed, details)


def _message(channel: str, name: str, about: str) -> Facts:
    kind = _CHANNELS[channel][-1]
    content: Facts = {
        "email": {
            "subject": f"{about}: {name}",
            "body": "<p>…</p>",
            "from": "Harbour & Field <shop@example.com>",
        },
        "push": {"alert": about},
        "sms": {"body": about},
    }.get(channel, {})
    return {"channel": kind, "name": name, **content}


def _last_edit(simulated: SimulatedTime, created: datetime, looks_on: Callable[[int], object]) -> datetime:
    """The time of the last change of what `looks_on` returns per day; of the creation when nothing changed."""
    for day in range(simulated.day, 0, -1):
        if looks_on(day) != looks_on(day - 1):
            return simulated.edit_on(day)
    return created


def _text(simulated: datetime) -> str:
    """As Braze writes moments: ISO 8601 with milliseconds and offset."""
    return simulated.isoformat(timespec="milliseconds")
