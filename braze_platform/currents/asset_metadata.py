"""What raw assets show in the UI: their definition from the catalogue, their materialisations from load reports."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date

import dagster as dg

from braze_platform.currents.catalogue import EventType
from braze_platform.currents.file_registry import BadFile
from braze_platform.currents.load_report import EventTypeLoad
from braze_platform.currents.raw_tables import raw_columns
from braze_platform.markdown import table
from braze_platform.settings import Settings
from braze_platform.warehouse.raw_tables import PROVENANCE, SCHEMA

#: Metadata key under which a materialisation tells the sensor which objects it found, by event type and day.
OBJECTS_FOUND = "braze_platform/objects_found"
#: Lists in metadata end after this many lines.
_LISTED = 50


def column_schema(event_type: EventType) -> dg.TableSchema:
    """The columns of a raw table: the catalogue's, described and flagged, then those of provenance."""
    described = [
        dg.TableColumn(
            column.name,
            column.type.lower(),
            column.description,
            constraints=dg.TableColumnConstraints(nullable=field.nullable),
            tags={"personal_data": ""} if field.personal else {},
        )
        for column, field in zip(raw_columns(event_type), event_type.fields, strict=True)
    ]
    provenance = [
        dg.TableColumn(name, kind.lower(), text, constraints=dg.TableColumnConstraints(nullable=False))
        for name, (kind, text) in PROVENANCE.items()
    ]
    return dg.TableSchema([*described, *provenance])


def files_uri(settings: Settings, event_type: str) -> str:
    """Where the files of an event type lie, with a star for the connector."""
    prefix = f"{settings.currents_prefix.strip('/')}/" if settings.currents_prefix.strip("/") else ""
    bucket = f"file://{settings.bucket_dir}" if settings.target == "local" else f"gs://{settings.bucket_name}"
    return f"{bucket}/{prefix}dataexport.*/event_type={event_type}/"


def raw_asset_metadata(settings: Settings, event_type: EventType) -> dict[str, object]:
    """The metadata of a raw asset's definition."""
    return {
        "dagster/column_schema": column_schema(event_type),
        "dagster/table_name": f"{SCHEMA}.{event_type.table}",
        "dagster/uri": files_uri(settings, event_type.name),
        "event_type": event_type.name,
    }


def load_metadata(loads: Iterable[EventTypeLoad]) -> dict[str, dg.MetadataValue]:
    """The metadata of one materialisation that loaded some event types (one, for all but the unknown ones)."""
    loads = list(loads)
    quarantined = [bad for load in loads for bad in load.quarantined]
    days = sorted({day for load in loads for day in load.days})
    metadata: dict[str, dg.MetadataValue] = {
        "rows_loaded": dg.MetadataValue.int(sum(load.rows_loaded for load in loads)),
        "hours_loaded": dg.MetadataValue.int(sum(load.hours_loaded for load in loads)),
        "files_loaded": dg.MetadataValue.int(sum(load.files_loaded for load in loads)),
        "bytes_loaded": dg.MetadataValue.int(sum(load.bytes_loaded for load in loads)),
        "late_files": dg.MetadataValue.int(sum(load.late_files for load in loads)),
        "vanished_files": dg.MetadataValue.int(sum(load.vanished_files for load in loads)),
        "hours_skipped_as_unchanged": dg.MetadataValue.int(sum(load.hours_unchanged for load in loads)),
        "files_skipped_as_unchanged": dg.MetadataValue.int(sum(load.files_unchanged for load in loads)),
        "files_quarantined": dg.MetadataValue.int(len(quarantined)),
        OBJECTS_FOUND: dg.MetadataValue.text(objects_found(loads)),
    }
    new_columns = [column for load in loads for column in load.new_columns]
    if new_columns:
        metadata["columns_not_in_catalogue"] = dg.MetadataValue.text(", ".join(new_columns))
    if len(days) > 1:
        metadata["rows_by_day"] = dg.MetadataValue.md(rows_by_day(loads, days))
    return metadata


def rows_by_day(loads: Iterable[EventTypeLoad], days: Iterable[date]) -> str:
    """A small table of what the raw tables now hold of each day."""
    loads = list(loads)
    rows = []
    for day in days:
        totals = [load.days[day] for load in loads if day in load.days]
        sums = sum(t.rows for t in totals), sum(t.files for t in totals), sum(t.hours for t in totals)
        rows.append([day, *sums])
    return table(["day", "rows:", "files:", "hours:"], rows)


def quarantine_table(bad_files: Iterable[BadFile]) -> str:
    """A list of objects that cannot be loaded, with reasons."""
    ordered = sorted(bad_files, key=lambda bad: bad.object_key)
    rows: list[list[object]] = [[bad.object_key, bad.size_bytes, bad.reason] for bad in ordered[:_LISTED]]
    if len(ordered) > _LISTED:
        rows.append([f"… and {len(ordered) - _LISTED:,} more in currents_ledger.quarantine", None, None])
    return table(["object", "bytes:", "reason"], rows)


def unknown_types_table(loads: Iterable[EventTypeLoad]) -> str:
    """A list of event types that the catalogue does not know, with what was loaded of them."""
    return table(
        ["event type", "rows:", "table"],
        [[load.event_type, load.rows_held, f"{SCHEMA}.{load.table}"] for load in loads],
    )


def objects_found(loads: Iterable[EventTypeLoad]) -> str:
    """Fingerprints of the objects that loads found, as text."""
    return json.dumps(
        {
            load.event_type: {day.isoformat(): mark for day, mark in sorted(load.fingerprints.items())}
            for load in loads
            if load.error is None
        },
        separators=(",", ":"),
    )


def read_objects_found(text: str) -> Mapping[str, Mapping[date, int]]:
    """Read what `objects_found` wrote."""
    return {
        event_type: {date.fromisoformat(day): mark for day, mark in days.items()}
        for event_type, days in json.loads(text).items()
    }
