"""Event types outside the catalogue that have assets of their own, as far as they are known without asking a warehouse.

Definitions are loaded by every process that runs something: they may not wait for a DuckDB file that another process
holds, nor for a network, and must be the same in all processes of one image and environment, or a run lacks the asset
that the sensor asks it for. On the local target all processes look at one folder, which costs two directory listings;
elsewhere the environment names the event types.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.listing import event_type_folders
from braze_platform.currents.raw_tables import raw_table_of
from braze_platform.settings import Settings

#: Tables of assets that are not event types.
_TAKEN = frozenset({"unknown_event_types", "unrecognised_objects"})
_EVENT_TYPE = re.compile(r"[A-Za-z0-9_.]+")


def discovered_event_types(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Event types that the catalogue does not know, by the raw table that holds them (rarely more than one)."""
    names: set[str] = set(settings.currents_event_types)
    if settings.target == "local":
        names |= event_type_folders(FolderBucket(settings.bucket_dir), settings.currents_prefix).keys()
    by_table: dict[str, tuple[str, ...]] = {}
    for name in sorted(_unknown(names)):
        table = raw_table_of(name)
        if table not in _TAKEN:
            by_table[table] = (*by_table.get(table, ()), name)
    return by_table


def asset_for_event_type(event_type: str, discovered: Mapping[str, tuple[str, ...]]) -> str | None:
    """The raw table whose asset loads an event type, if it has an asset of its own."""
    known = catalogue().get(event_type)
    if known is not None:
        return known.table
    table = raw_table_of(event_type)
    return table if event_type in discovered.get(table, ()) else None


def _unknown(names: Iterable[str]) -> set[str]:
    return {name for name in names if name not in catalogue() and _EVENT_TYPE.fullmatch(name)}
