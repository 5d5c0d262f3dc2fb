"""Event types that are in the bucket and not in the catalogue, as far as they are known without asking a warehouse.

Definitions are loaded by every process that runs something: they may not wait for a DuckDB file that another process
holds, nor for a network. On the local target the folder is looked at, which costs two directory listings; elsewhere a
note is read that the sensor keeps up to date beside the other state.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

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
    if settings.target == "local":
        names: Iterable[str] = event_type_folders(FolderBucket(settings.bucket_dir), settings.currents_prefix)
    else:
        names = _read(_note(settings))
    by_table: dict[str, tuple[str, ...]] = {}
    for name in sorted(_unknown(names)):
        table = raw_table_of(name)
        if table not in _TAKEN:
            by_table[table] = (*by_table.get(table, ()), name)
    return by_table


def note_event_types(settings: Settings, in_bucket: Iterable[str]) -> bool:
    """Keep the note for the next load of definitions; whether it names event types that it did not name before."""
    unknown = _unknown(in_bucket)
    if settings.target == "local" or unknown <= (before := set(_read(_note(settings)))):
        return False
    path = _note(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.tmp")
    unfinished.write_text(json.dumps(sorted(before | unknown)), encoding="utf-8")
    unfinished.replace(path)
    return True


def asset_for_event_type(event_type: str, discovered: Mapping[str, tuple[str, ...]]) -> str | None:
    """The raw table whose asset loads an event type, if it has an asset of its own."""
    known = catalogue().get(event_type)
    if known is not None:
        return known.table
    table = raw_table_of(event_type)
    return table if event_type in discovered.get(table, ()) else None


def _unknown(names: Iterable[str]) -> set[str]:
    return {name for name in names if name not in catalogue() and _EVENT_TYPE.fullmatch(name)}


def _note(settings: Settings) -> Path:
    return settings.state_dir / "discovered_event_types.json"


def _read(path: Path) -> list[str]:
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return []
    return [name for name in stored if isinstance(name, str)] if isinstance(stored, list) else []
