"""Raw tables as assets: one multi-asset per family, one for unknown event types, one for unrecognised objects."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from time import monotonic
from typing import Any, NamedTuple

import dagster as dg
from pydantic import Field

from braze_platform.currents import asset_metadata
from braze_platform.currents.catalogue import LOADED_LAST, EventType, families
from braze_platform.currents.load_report import EventTypeLoad, LoadProgress, LoadReport
from braze_platform.currents.loader import load
from braze_platform.currents.resources import BucketResource
from braze_platform.currents.schema_check import (
    SCHEMA_MATCHES_CATALOGUE,
    schema_check_result,
    schema_check_spec,
)
from braze_platform.currents.targets import load_options
from braze_platform.currents.unrecognised import record_unrecognised
from braze_platform.settings import Settings
from braze_platform.warehouse.interface import WarehouseBusy
from braze_platform.warehouse.resources import WarehouseResource

UNKNOWN_EVENT_TYPES = dg.AssetKey(["currents", "unknown_event_types"])
UNRECOGNISED_OBJECTS = dg.AssetKey(["currents", "unrecognised_objects"])
#: Tag of a run that failed because somebody else kept the warehouse, which no attempt at loading is.
WAREHOUSE_BUSY_TAG = "braze_platform/warehouse_busy"
FILES_ARE_READABLE = "files_are_readable"
OWNERS = ["team:data-platform"]
_SECONDS_BETWEEN_LINES = 5.0


class LoadConfig(dg.Config):
    """What can be chosen in the launchpad for a run of raw assets."""

    force: bool = Field(
        default=False,
        description="Reload all hours of the days, also those whose files the file registry has as they are.",
    )


def raw_asset_key(event_type: EventType) -> dg.AssetKey:
    """The key of an event type's raw asset."""
    return dg.AssetKey(["currents", event_type.table])


def days_of(settings: Settings) -> dg.DailyPartitionsDefinition:
    """UTC days from the first with Currents to the one that is running."""
    return dg.DailyPartitionsDefinition(
        start_date=settings.currents_start_day.isoformat(), end_offset=1, timezone="UTC"
    )


def family_assets(settings: Settings, family: str) -> dg.AssetsDefinition:
    """The raw assets of one family of event types, any subset of which loads in one step."""
    members = sorted(families()[family], key=lambda event_type: _place(event_type.name))
    event_types = {raw_asset_key(event_type): event_type for event_type in members}

    @dg.multi_asset(
        name=f"currents_{family}",
        op_tags={"dagster/priority": str(-_place(members[-1].name))},
        specs=[_raw_spec(settings, event_type) for event_type in event_types.values()],
        check_specs=[
            spec
            for key, event_type in event_types.items()
            for spec in (readable_check(key, event_type.name), schema_check_spec(key, event_type.name))
        ],
        partitions_def=days_of(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def load_family(
        context: dg.AssetExecutionContext,
        config: LoadConfig,
        warehouse: WarehouseResource,
        bucket: BucketResource,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        asked = {key: event_types[key] for key in event_types if key in context.selected_asset_keys}
        names = [event_type.name for event_type in asked.values()]
        report = run_load(context, Installed(settings, warehouse, bucket), config, names)
        for key, event_type in asked.items():
            loaded = report.event_types[event_type.name]
            if loaded.error is None:
                tell_rows_by_day(context, key, [loaded])
                yield dg.MaterializeResult(asset_key=key, metadata=asset_metadata.load_metadata([loaded]))
            check = dg.AssetCheckKey(key, FILES_ARE_READABLE)
            if check in context.selected_asset_check_keys:
                yield readable_result(check, [loaded])
            check = dg.AssetCheckKey(key, SCHEMA_MATCHES_CATALOGUE)
            if check in context.selected_asset_check_keys:
                yield schema_check_result(check, event_type, loaded)
        raise_errors(report)

    return load_family


def _place(event_type: str) -> int:
    """Its place among those that are loaded last, 0 for all others."""
    return LOADED_LAST.index(event_type) + 1 if event_type in LOADED_LAST else 0


def unknown_event_types(settings: Settings) -> dg.AssetsDefinition:
    """The asset of all event types that the catalogue does not know: loaded all the same, and reported."""
    spec = dg.AssetSpec(
        UNKNOWN_EVENT_TYPES,
        description=(
            "Event types in the bucket that the catalogue does not know. Each is loaded into a table of its own, made "
            "from the fields of its files; the check names them, so that they are added to the catalogue."
        ),
        group_name="currents_unknown",
        owners=OWNERS,
        kinds=kinds_of(settings),
        tags={"braze/family": "unknown"},
        metadata={"dagster/uri": asset_metadata.files_uri(settings, "*")},
    )
    known_check = "event_types_are_known"

    @dg.multi_asset(
        name="currents_unknown_event_types",
        specs=[spec],
        check_specs=[
            readable_check(UNKNOWN_EVENT_TYPES, "unknown event types"),
            dg.AssetCheckSpec(
                known_check,
                asset=UNKNOWN_EVENT_TYPES,
                description="Every file of these days is of an event type that the catalogue knows.",
            ),
        ],
        partitions_def=days_of(settings),
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def load_unknown(
        context: dg.AssetExecutionContext,
        config: LoadConfig,
        warehouse: WarehouseResource,
        bucket: BucketResource,
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        installed = Installed(settings, warehouse, bucket)
        report = run_load(context, installed, config, [], unknown_event_types=True)
        loads = list(report.event_types.values())
        here = [loaded for loaded in loads if loaded.days]
        if not report.errors:
            tell_rows_by_day(context, UNKNOWN_EVENT_TYPES, loads)
            yield dg.MaterializeResult(
                asset_key=UNKNOWN_EVENT_TYPES,
                metadata={
                    **asset_metadata.load_metadata(loads),
                    "event_types": dg.MetadataValue.md(asset_metadata.unknown_types_table(here)),
                },
            )
        for check in context.selected_asset_check_keys:
            if check.name == FILES_ARE_READABLE:
                yield readable_result(check, loads)
            else:
                yield dg.AssetCheckResult(
                    asset_key=check.asset_key,
                    check_name=check.name,
                    passed=not here,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"event_types": dg.MetadataValue.md(asset_metadata.unknown_types_table(here))},
                    description=(
                        f"Not in the catalogue: {', '.join(loaded.event_type for loaded in here)}"
                        if here
                        else None
                    ),
                )
        raise_errors(report)

    return load_unknown


def unrecognised_objects(settings: Settings) -> dg.AssetsDefinition:
    """The asset of objects under the prefix whose keys fit neither layout: recorded, never dropped."""
    check = dg.AssetCheckSpec(
        "keys_recognised",
        asset=UNRECOGNISED_OBJECTS,
        description="Every object under the prefix has a key in one of Currents' two layouts.",
    )

    @dg.multi_asset(
        name="currents_unrecognised_objects",
        specs=[
            dg.AssetSpec(
                UNRECOGNISED_OBJECTS,
                description=(
                    "Objects under Currents' prefix whose keys are in neither layout. They are not loaded; they are "
                    "listed in currents_ledger.quarantine until they are gone."
                ),
                group_name="currents_unknown",
                owners=OWNERS,
                kinds=kinds_of(settings),
                tags={"braze/family": "unknown"},
                metadata={"dagster/table_name": "currents_ledger.quarantine"},
            )
        ],
        check_specs=[check],
        can_subset=True,
    )
    def record(
        context: dg.AssetExecutionContext, warehouse: WarehouseResource, bucket: BucketResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        with _busy_is_told(context):
            found = record_unrecognised(warehouse.warehouse(), bucket.bucket(), settings.currents_prefix)
        listed = dg.MetadataValue.md(asset_metadata.quarantine_table(found))
        if UNRECOGNISED_OBJECTS in context.selected_asset_keys:
            yield dg.MaterializeResult(
                asset_key=UNRECOGNISED_OBJECTS, metadata={"dagster/row_count": len(found), "objects": listed}
            )
        if check.key in context.selected_asset_check_keys:
            yield dg.AssetCheckResult(
                asset_key=UNRECOGNISED_OBJECTS,
                check_name=check.name,
                passed=not found,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={"objects": listed},
            )

    return record


def kinds_of(settings: Settings) -> set[str]:
    """The technologies that raw assets show."""
    return {"avro", "duckdb" if settings.target == "local" else "bigquery"}


def _raw_spec(settings: Settings, event_type: EventType) -> dg.AssetSpec:
    tags = {"braze/family": event_type.family}
    if event_type.has_personal_data:
        tags["braze/personal_data"] = "true"
    return dg.AssetSpec(
        raw_asset_key(event_type),
        description=(
            f"{event_type.description}.\n\nRaw events of type `{event_type.name}`, one row per delivered event "
            "(Braze may deliver one twice: the same `id`)."
        ),
        group_name=f"currents_{event_type.family}",
        owners=OWNERS,
        kinds=kinds_of(settings),
        tags=tags,
        metadata=asset_metadata.raw_asset_metadata(settings, event_type),
    )


def readable_check(key: dg.AssetKey, what: str) -> dg.AssetCheckSpec:
    """The check of one raw asset that its files could be read."""
    return dg.AssetCheckSpec(
        FILES_ARE_READABLE,
        asset=key,
        description=f"Every file of {what} in the loaded days is readable in full.",
    )


def readable_result(check: dg.AssetCheckKey, loads: Sequence[EventTypeLoad]) -> dg.AssetCheckResult:
    """Passed when no file of the loads is in quarantine."""
    bad = [file for loaded in loads for file in loaded.quarantined]
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=not bad,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "files_quarantined": len(bad),
            "files_quarantined_in_other_days": sum(loaded.quarantined_elsewhere for loaded in loads),
            **({"files": dg.MetadataValue.md(asset_metadata.quarantine_table(bad))} if bad else {}),
        },
        description=f"{len(bad)} files are in quarantine; replace them in the bucket or delete them."
        if bad
        else None,
    )


class Installed(NamedTuple):
    """What a load works with."""

    settings: Settings
    warehouse: WarehouseResource
    bucket: BucketResource


def run_load(
    context: dg.AssetExecutionContext,
    installed: Installed,
    config: LoadConfig,
    event_types: Sequence[str],
    *,
    unknown_event_types: bool = False,
) -> LoadReport:
    """Load the run's days of some event types, with the progress in the run's log."""
    first_day, last_day = _days(context)
    with _busy_is_told(context):
        report = load(
            installed.warehouse.warehouse(),
            installed.bucket.bucket(),
            installed.settings.currents_prefix,
            event_types,
            first_day,
            last_day,
            unknown_event_types=unknown_event_types,
            is_forced=lambda _event_type, _hour: config.force,
            options=load_options(installed.settings),
            on_progress=_throttled(context.log.info),
        )
    for loaded in report.event_types.values():
        if loaded.quarantined:
            context.log.warning(
                f"{loaded.event_type}: {len(loaded.quarantined)} files are in quarantine, for example "
                f"{loaded.quarantined[0].object_key}: {loaded.quarantined[0].reason}"
            )
    return report


@contextmanager
def _busy_is_told(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Tag the run that fails because the warehouse was busy, so that the sensor asks again soon."""
    try:
        yield
    except WarehouseBusy:
        context.instance.add_run_tags(context.run.run_id, {WAREHOUSE_BUSY_TAG: "true"})
        raise


def _throttled(log: Callable[[str], None]) -> Callable[[LoadProgress], None]:
    """Progress for the run's log, every few seconds and at the end.

    Each line is an event, which costs Dagster as much as loading a small file.
    """
    told_at = monotonic()

    def report(progress: LoadProgress) -> None:
        nonlocal told_at
        if monotonic() - told_at >= _SECONDS_BETWEEN_LINES or progress.files_done == progress.files_total:
            told_at = monotonic()
            log(str(progress))

    return report


def _days(context: dg.AssetExecutionContext) -> tuple[date, date]:
    window = context.partition_time_window
    return window.start.date(), window.end.date() - timedelta(days=1)


def tell_rows_by_day(
    context: dg.AssetExecutionContext, key: dg.AssetKey, loads: Sequence[EventTypeLoad]
) -> None:
    """Give each partition of the run its number of rows."""
    for partition in context.partition_keys:
        day = date.fromisoformat(partition)
        rows = sum(loaded.days[day].rows for loaded in loads if day in loaded.days)
        context.add_asset_metadata(
            {"dagster/partition_row_count": rows}, asset_key=key, partition_key=partition
        )


def raise_errors(report: LoadReport) -> None:
    """Fail the step for the event types that could not be loaded, after all others were."""
    if report.errors:
        raise dg.Failure(
            description=(
                f"{len(report.errors)} of {len(report.event_types)} event types failed to load; the others are loaded. "
                + "; ".join(f"{name}: {error}" for name, error in report.errors.items())
            )
        )
