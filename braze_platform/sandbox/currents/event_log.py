"""Collects one simulated day's events as Currents records, each filled to its type's fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from braze_platform.currents.catalogue import catalogue
from braze_platform.sandbox.world.people import APP_GROUP_ID, Integers, People, uuids

SECONDS_PER_DAY = 86_400
_CONSTANTS = {"app_group_id": APP_GROUP_ID, "app_group_api_id": APP_GROUP_ID}


@dataclass
class TypeRecords:
    """Records of one event type and the hour of the day (0 to 23) in which Braze queues each."""

    records: list[dict[str, Any]] = field(default_factory=list)
    hours: list[int] = field(default_factory=list)


@dataclass
class DayLog:
    """One day's events. `midnight` is the day's start in Unix seconds."""

    people: People
    midnight: int
    rng: np.random.Generator
    by_type: dict[str, TypeRecords] = field(default_factory=dict)

    def add(
        self,
        event_type: str,
        who: Integers,
        seconds: Integers,
        columns: Mapping[str, Any] | None = None,
        *,
        days_late: Integers | None = None,
    ) -> list[str]:
        """Add one event of a type for each person in `who`; the ids of the events are returned.

        `seconds` is when it happened, in seconds of the day. `columns` gives field values, one for all or a
        sequence with one an event; names that the type does not have are ignored. Fields not given come from
        the person, else are null. With `days_late` the event happened so many days before its hour.
        Raises `ValueError` when a required field has no value.
        """
        count = len(who)
        if count == 0:
            return []
        columns = columns or {}
        seconds = np.clip(seconds, 0, SECONDS_PER_DAY - 1)
        happened = self.midnight + seconds
        if days_late is not None:
            happened = happened - days_late * SECONDS_PER_DAY
        ids = uuids(self.rng, count)
        event = catalogue()[event_type]
        values: list[Sequence[Any]] = []
        for described in event.fields:
            name = described.name
            if name == "id":
                values.append(ids)
            elif name == "time":
                values.append(happened.tolist())
            elif name in columns:
                values.append(_spread(columns[name], count))
            elif name in self.people.columns:
                values.append(self.people.columns[name][who].tolist())
            elif name in _CONSTANTS:
                values.append([_CONSTANTS[name]] * count)
            elif described.nullable:
                values.append([None] * count)
            else:
                raise ValueError(f"{event_type}.{name} is required and the simulation gave it no value.")
        names = [described.name for described in event.fields]
        kept = self.by_type.setdefault(event_type, TypeRecords())
        kept.records.extend(dict(zip(names, row, strict=True)) for row in zip(*values, strict=False))
        kept.hours.extend((seconds // 3600).tolist())
        return ids

    @property
    def events(self) -> int:
        """How many events the day has so far."""
        return sum(len(kept.records) for kept in self.by_type.values())


def _spread(value: Any, count: int) -> Sequence[Any]:
    """One value for all events, or the values as they are."""
    if isinstance(value, np.ndarray):
        listed: list[Any] = value.tolist()
        return listed
    if isinstance(value, list):
        return value
    return [value] * count
