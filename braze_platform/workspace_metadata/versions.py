"""Versions of objects: what a reading closes and what it begins. Pure.

The law: versions of one object never overlap and leave no gap while it is there; the same reading twice changes
nothing. Times are naive UTC.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

_TICK = timedelta(microseconds=1)


@dataclass(frozen=True)
class Observation:
    """An object as a reading found it: its values in the order of the table, and when Braze says it was edited."""

    values: tuple[object, ...]
    edited_at: datetime | None


@dataclass(frozen=True)
class History:
    """What is known of an object: when it was first seen, when its last version began or ended, and its current
    values (None: it was gone)."""

    first_seen_at: datetime
    last_change: datetime
    current: tuple[object, ...] | None


@dataclass(frozen=True)
class Version:
    """A version that begins."""

    key: str
    values: tuple[object, ...]
    first_seen_at: datetime
    valid_from: datetime


@dataclass
class Changes:
    """Versions that begin, and current versions that end (when, by key)."""

    begun: list[Version] = field(default_factory=list)
    ended: dict[str, datetime] = field(default_factory=dict)
    new: int = 0
    changed: int = 0
    vanished: int = 0

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended)


def changes(
    history: Mapping[str, History],
    seen: Mapping[str, Observation],
    gone: Iterable[str],
    observed_at: datetime,
) -> Changes:
    """What a reading at `observed_at` changes: `seen` are the objects read, `gone` those that are no more."""
    found = Changes()
    for key, observation in seen.items():
        before = history.get(key)
        if before is None:
            began = _changed_at(observation.edited_at, None, observed_at)
            found.begun.append(Version(key, observation.values, observed_at, began))
            found.new += 1
        elif before.current != observation.values:
            began = _changed_at(observation.edited_at, before.last_change, observed_at)
            found.begun.append(Version(key, observation.values, before.first_seen_at, began))
            if before.current is None:
                found.new += 1
            else:
                found.ended[key] = began
                found.changed += 1
    for key in gone:
        before = history.get(key)
        if before is not None and before.current is not None and key not in seen:
            found.ended[key] = _changed_at(None, before.last_change, observed_at)
            found.vanished += 1
    return found


def _changed_at(edited_at: datetime | None, after: datetime | None, observed_at: datetime) -> datetime:
    """Braze's time of the edit where it fits between the last change and now, else the time of reading."""
    if edited_at is not None and edited_at <= observed_at and (after is None or edited_at > after):
        return edited_at
    return observed_at if after is None else max(observed_at, after + _TICK)
