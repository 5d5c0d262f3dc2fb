"""A random workspace: events of every Currents type in raw tables, with all that makes incremental work hard.

Late files, copies in other hours, profiles that are merged in chains, deleted or recreated under the same external id,
outcomes with and without dispatch_id. The same seed gives the same events.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from braze_platform.currents.catalogue import EventType, catalogue

Row = dict[str, Any]
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_DUCKDB_TYPES = {
    "string": "VARCHAR",
    "int": "BIGINT",
    "long": "BIGINT",
    "float": "DOUBLE",
    "boolean": "BOOLEAN",
    "array<string>": "VARCHAR[]",
    "array<string?>": "VARCHAR[]",
}
_MESSAGES = "users.messages."
# The life of a message by channel: its send, how many of them, and what may follow: share of sends, usual hours after.
_JOURNEYS: dict[str, tuple[str, int, list[tuple[str, float, float]]]] = {
    "email": (
        "Send",
        1200,
        [
            ("Delivery", 0.9, 0.1),
            ("Open", 0.5, 20),
            ("Open", 0.2, 60),
            ("Click", 0.2, 30),
            ("Bounce", 0.04, 0.2),
            ("SoftBounce", 0.04, 0.5),
            ("Deferral", 0.1, 0.2),
            ("Deferral", 0.05, 1),
            ("MarkAsSpam", 0.01, 30),
            ("Unsubscribe", 0.02, 40),
        ],
    ),
    "pushnotification": (
        "Send",
        700,
        [("Open", 0.25, 10), ("Bounce", 0.05, 0.1), ("IosForeground", 0.05, 0.1)],
    ),
    "inappmessage": ("Impression", 300, [("Click", 0.3, 0.02)]),
    "contentcard": ("Send", 200, [("Impression", 0.6, 30), ("Click", 0.2, 40), ("Dismiss", 0.1, 50)]),
    "banner": ("Impression", 150, [("Click", 0.2, 0.1), ("Dismiss", 0.1, 0.1)]),
    "sms": (
        "Send",
        250,
        [
            ("CarrierSend", 0.9, 0.01),
            ("Delivery", 0.8, 0.1),
            ("DeliveryFailure", 0.1, 0.1),
            ("Rejection", 0.05, 0.1),
            ("ShortLinkClick", 0.2, 5),
            ("InboundReceive", 0.05, 3),
        ],
    ),
    "whatsapp": (
        "Send",
        150,
        [
            ("Delivery", 0.9, 0.1),
            ("Read", 0.6, 5),
            ("Click", 0.2, 6),
            ("Failure", 0.05, 0.1),
            ("InboundReceive", 0.1, 4),
        ],
    ),
    "rcs": (
        "Send",
        100,
        [
            ("Delivery", 0.9, 0.1),
            ("Read", 0.5, 3),
            ("Click", 0.2, 4),
            ("Rejection", 0.05, 0.1),
            ("InboundReceive", 0.1, 5),
        ],
    ),
    "line": ("Send", 80, [("Click", 0.3, 5), ("InboundReceive", 0.1, 5)]),
    "webhook": ("Send", 80, [("Failure", 0.2, 0.1)]),
    "liveactivity": ("Send", 60, [("Outcome", 0.8, 1)]),
}
_CONTENT = [
    {"campaign_id": f"campaign-{number}", "campaign_name": f"Campaign {number}"} for number in range(4)
] + [
    {
        "canvas_id": f"canvas-{canvas}",
        "canvas_api_id": f"canvas-{canvas}",
        "canvas_name": f"Canvas {canvas}",
        "canvas_variation_id": f"canvas-{canvas}-{path}",
        "canvas_variation_api_id": f"canvas-{canvas}-{path}",
        "canvas_variation_name": f"Path {path}",
        "canvas_step_id": f"canvas-{canvas}-step-{step}",
        "canvas_step_api_id": f"canvas-{canvas}-step-{step}",
        "canvas_step_name": f"Step {step}",
        "canvas_entry_id": f"entry-{canvas}",
        "experiment_step_id": f"canvas-{canvas}-experiment",
    }
    for canvas in range(2)
    for path in "ab"
    for step in range(4)
]


@dataclass(frozen=True)
class RawEvent:
    """One row of a raw table: the event, the hour it was delivered in, and its file."""

    event_type: EventType
    values: Row
    hour: datetime
    file: str


@dataclass
class RandomWorkspace:
    """Random events, delivered until `last_hour`; most of them happened in the `dense_days` before, some earlier."""

    seed: int
    last_hour: datetime
    dense_days: int = 14
    sparse_days: int = 120
    profiles: int = 240
    events: list[RawEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._count = 0
        self._external = {
            f"b{number}": None if number % 4 == 0 else f"x{number}" for number in range(self.profiles)
        }
        # Made again after a deletion: another profile with the same external id.
        for number in range(1, 60, 10):
            self._external[f"b{number + 1}"] = self._external[f"b{number}"]
        self._merges = self._plan_merges()
        self._messages()
        self._sessions()
        self._merging_and_deleting()
        self._everything_else()
        self._copies()

    def _plan_merges(self) -> dict[str, tuple[str, datetime]]:
        """Chains b100 -> b101 -> b102 and pairs b4n -> b4n+1, at random moments; after it the orphan is silent."""
        plan = {f"b{n}": (f"b{n + 1}", self._moment()) for n in range(0, 96, 4)}
        for first in range(100, 180, 10):
            early, late = sorted((self._moment(), self._moment()))
            plan[f"b{first}"] = (f"b{first + 1}", early)
            plan[f"b{first + 1}"] = (f"b{first + 2}", late)
        return plan

    def _moment(self) -> datetime:
        if self._random.random() < 0.6:
            days = self._random.uniform(0, self.dense_days)
        else:
            days = self._random.uniform(self.dense_days, self.sparse_days)
        return (self.last_hour + HOUR - days * DAY).replace(microsecond=0)

    def _profile(self) -> str:
        return f"b{self._random.randrange(self.profiles)}"

    def _now(self, profile: str, at: datetime) -> str:
        """Where the profile's events are logged at a moment: merged profiles live on in their survivor."""
        while profile in self._merges and self._merges[profile][1] < at:
            profile = self._merges[profile][0]
        return profile

    def add(self, name: str, profile: str | None, at: datetime, **values: object) -> None:
        """One event of a type, delivered in its hour or somewhat later; nothing is added after the last hour."""
        event_type = catalogue()[name]
        chance = self._random.random()
        delay = 0.0 if chance < 0.9 else self._random.uniform(1, 5) if chance < 0.96 else 24 * 5.5
        delay = self._random.uniform(24 * 6, 24 * 12) if chance > 0.985 else delay
        if chance < 0.01:
            delay = -self._random.uniform(1, 30)  # a device whose clock is ahead
        hour = (at + timedelta(hours=delay)).replace(minute=0, second=0, microsecond=0)
        if hour > self.last_hour:
            return
        self._count += 1
        row = {f.name: self._value(f.name, f.type, f.nullable, at) for f in event_type.fields}
        logged = None if profile is None else self._now(profile, at)
        row |= {
            "id": f"e{self._count}",
            "user_id": logged,
            "time": int((at - datetime(1970, 1, 1)) / timedelta(seconds=1)),
        }
        row["external_user_id"] = self._external.get(logged) if logged else None
        row |= values
        row = {name: value for name, value in row.items() if name in event_type.field_names}
        self.events.append(RawEvent(event_type, row, hour, f"file-{self._random.randrange(3)}"))

    def _value(self, name: str, kind: str, nullable: bool, at: datetime) -> object:
        """A value for any field: known words where models look for words, else one of a few."""
        chance = self._random.random
        known = {
            "platform": ["ios", "android", "web"],
            "currency": ["EUR", "GBP", "USD", "JPY"],
            "app_group_id": ["workspace"],
            "machine_open": ["true", None],
            "subscription_status": ["Subscribed", "Unsubscribed", "Opted In", "unsubscribed"],
            "channel": ["email", "push", "sms", "whatsapp"],
            "push_token_state_change_type": ["add", "update", "remove"],
            "name": ["product_viewed", "cart_updated", "search"],
            "timezone": ["Europe/Berlin", "America/New_York", None],
            "app_id": ["app-ios", "app-web"],
            "conversion_behavior_index": [0, 1, 2, 3],
            "time_ms": [
                int((at - datetime(1970, 1, 1)) / timedelta(milliseconds=1)) + self._random.randrange(1000)
            ],
            "price": [9.989999771118164, 3.140000104904175, 120.0],
            "duration": [12.5, 300.0, 5.0],
            "exit_reason": [None, None, "exception_event"],
            "next_step_id": [None, *(f"canvas-{c}-step-{s}" for c in range(2) for s in range(4))],
            "user_id": [None],
            "properties": [
                json.dumps({"category": c, "order_id": f"o{self._random.randrange(40)}"})
                for c in ("toys", "books")
            ],
        }
        if name in known:
            return self._random.choice(known[name])
        if name.startswith(("campaign", "canvas", "message_variation", "experiment", "canvas_step")):
            return None
        if nullable and chance() < 0.2:
            return None
        if kind == "boolean":
            return chance() < 0.3
        if kind in ("int", "long"):
            return self._random.randrange(5)
        if kind == "float":
            return self._random.randrange(100) / 4
        if kind.startswith("array"):
            return [f"{name}-{self._random.randrange(2)}"]
        return f"{name}-{self._random.randrange(3)}"

    def _content(self, at: datetime) -> Row:
        content = dict(self._random.choice(_CONTENT))
        if content.get("campaign_id") == "campaign-1" and at > self.last_hour - 5 * DAY:
            content["campaign_name"] = self._random.choice(["Renamed", None])
        parent = content.get("canvas_step_id") or content["campaign_id"]
        variation = self._random.choice(["v1", "v2", None])
        content["message_variation_id"] = variation and f"{parent}-{variation}"
        content["canvas_step_message_variation_id"] = content["message_variation_id"]
        content["message_variation_name"] = variation
        content["experiment_split_id"] = self._random.choice(["split-1", "split-2"])
        content["conversion_behavior"] = json.dumps({"window": 259200})
        return content

    def _messages(self) -> None:
        for channel, (send, count, outcomes) in _JOURNEYS.items():
            for _ in range(count):
                profile, at = self._profile(), self._moment()
                dispatch = self._random.choice([f"d{self._random.randrange(40)}", f"u{self._count}", None])
                shared = {
                    **self._content(at),
                    "dispatch_id": dispatch,
                    "app_id": self._random.choice(["app-ios", "app-web"]),
                }
                abort = f"{_MESSAGES}{channel}.Abort"
                if abort in catalogue() and self._random.random() < 0.03:
                    self.add(abort, profile, at, **shared)
                    continue
                if self._random.random() > 0.02:  # some sends are never logged
                    self.add(f"{_MESSAGES}{channel}.{send}", profile, at, **shared)
                for outcome, share, hours in outcomes:
                    if self._random.random() < share:
                        delay = self._random.expovariate(1 / hours)
                        if self._random.random() < 0.03:
                            delay += 24 * self._random.uniform(10, 40)
                        then = at + timedelta(seconds=int(3600 * delay))
                        lost = {"dispatch_id": None} if self._random.random() < 0.1 else {}
                        who = None if outcome == "InboundReceive" and self._random.random() < 0.2 else profile
                        self.add(f"{_MESSAGES}{channel}.{outcome}", who, then, **shared | lost)

    def _sessions(self) -> None:
        first_sessions: set[str] = set()
        for number in range(900):
            profile, at = self._profile(), self._moment()
            session = {"session_id": f"s{number}", "app_id": self._random.choice(["app-ios", "app-web"])}
            if profile not in first_sessions or self._random.random() < 0.03:
                first_sessions.add(profile)
                self.add("users.behaviors.app.FirstSession", profile, at, **session)
            self.add("users.behaviors.app.SessionStart", profile, at, **session)
            if self._random.random() < 0.85:
                end = at + timedelta(seconds=self._random.randrange(1, 90_000))
                self.add("users.behaviors.app.SessionEnd", profile, end, **session)

    def _merging_and_deleting(self) -> None:
        for orphan, (survivor, at) in self._merges.items():
            self.add("users.UserOrphan", orphan, at, orphaned_by_id=survivor)
        for number in range(1, 60, 10):
            self.add("users.UserDeleteRequest", f"b{number}", self._moment())

    def _everything_else(self) -> None:
        done = {event.event_type.name for event in self.events}
        for name in sorted(catalogue().keys() - done):
            for _ in range(120):
                at = self._moment()
                self.add(name, self._profile(), at, **self._content(at))

    def _copies(self) -> None:
        """At least once: some events come again, in the same hour, within six days, or after weeks and months."""
        for event in list(self.events):
            if self._random.random() < 0.04:
                hours = self._random.choice([0, 0, 1, 3, 30, 140, 24 * 9, 24 * 33, 24 * 80])
                hour = event.hour + hours * HOUR
                if hour <= self.last_hour:
                    self.events.append(RawEvent(event.event_type, event.values, hour, "file-copy"))


def write_raw(connection: duckdb.DuckDBPyConnection, events: Iterable[RawEvent]) -> None:
    """Append events to the raw tables, as the loader leaves them; tables that are not there are made."""
    connection.execute("create schema if not exists currents_raw")
    by_type: dict[str, list[RawEvent]] = {}
    for event in events:
        by_type.setdefault(event.event_type.name, []).append(event)
    for name, rows in sorted(by_type.items()):
        event_type = catalogue()[name]
        columns = [*(f.name for f in event_type.fields), "_hour", "_file", "_version", "_loaded_at"]
        types = [_DUCKDB_TYPES[f.type] for f in event_type.fields] + [
            "TIMESTAMP",
            "VARCHAR",
            "VARCHAR",
            "TIMESTAMP",
        ]
        declared = ", ".join(f'"{column}" {kind}' for column, kind in zip(columns, types, strict=True))
        connection.execute(f"create table if not exists currents_raw.{event_type.table} ({declared})")
        table = pa.table(
            {
                **{f.name: pa.array([row.values.get(f.name) for row in rows]) for f in event_type.fields},
                "_hour": [row.hour for row in rows],
                "_file": [row.file for row in rows],
                "_version": ["12"] * len(rows),
                "_loaded_at": [row.hour for row in rows],
            }
        )
        connection.register("new_rows", table)
        connection.execute(f"insert into currents_raw.{event_type.table} select * from new_rows")
        connection.unregister("new_rows")


def hours_of(events: Iterable[RawEvent]) -> Iterator[datetime]:
    """The hours that these events were delivered in, each once, in order."""
    yield from sorted({event.hour for event in events})
