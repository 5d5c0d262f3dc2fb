"""Which objects' details have to be read again, and which objects are gone. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

#: After so long the details of an object that is not settled are read again: its list entry need not tell of a change.
REREAD_AFTER = timedelta(hours=24)


@dataclass(frozen=True)
class Reading:
    """What is known of an object's last reading: its list entry's hash, when (naive UTC), and whether it is settled."""

    entry_hash: str
    read_at: datetime
    settled: bool


def entry_hash(entry: Mapping[str, Any]) -> str:
    """A hash of a list entry: it changes with `last_edited`, name and tags, whatever the entry has."""
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()[:32]


def due_objects(
    entries: Mapping[str, Mapping[str, Any]], known: Mapping[str, Reading], now: datetime
) -> list[str]:
    """Ids of the objects whose details are to be read, in the order of the list.

    Those are the new ones, those whose list entry is not what it was at the last reading (an edit moves
    `last_edited`), and those that may change without a sign in the list, once a day.
    """

    def due(object_id: str, entry: Mapping[str, Any]) -> bool:
        reading = known.get(object_id)
        if reading is None or reading.entry_hash != entry_hash(entry):
            return True
        return not reading.settled and now - reading.read_at >= REREAD_AFTER

    return [object_id for object_id, entry in entries.items() if due(object_id, entry)]


def missing_objects(entries: Iterable[str], known: Iterable[str]) -> set[str]:
    """Ids that were read before and that the list does not name."""
    return set(known) - set(entries)
