"""The sensor on new Currents hours: Dagster's side of `tick`."""

from collections.abc import Mapping
from datetime import date, datetime, timezone

import dagster as dg

from braze_platform.currents.asset_metadata import OBJECTS_FOUND, read_objects_found
from braze_platform.currents.assets import (
    UNKNOWN_EVENT_TYPES,
    UNRECOGNISED_OBJECTS,
    WAREHOUSE_BUSY_TAG,
    raw_asset_key,
)
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.checks import FILES_ARE_LOADED, failing_loads
from braze_platform.currents.cursor import Cursor, Request
from braze_platform.currents.discovered_assets import discovered_asset_key
from braze_platform.currents.discovery import asset_for_event_type
from braze_platform.currents.resources import BucketResource
from braze_platform.currents.tick import run_tick
from braze_platform.currents.tick_messages import describe, not_loaded_rows
from braze_platform.currents.tick_state import Loaded, RunState, Tick, TickLimits
from braze_platform.settings import Settings

#: Tag that tells which of the sensor's requests a run answers; automatic retries of the run inherit it.
REQUEST_TAG = "braze_platform/currents_request"
_ENDED_BADLY = frozenset({dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED})


def currents_hours_sensor(
    settings: Settings, discovered: Mapping[str, tuple[str, ...]]
) -> dg.SensorDefinition:
    """The sensor that requests runs for new, late, rewritten and vanished files.

    `discovered` are the event types outside the catalogue that have assets of their own
    (`discovery.discovered_event_types`); all others go to the asset of unknown event types.
    """
    local = settings.target == "local"
    limits = TickLimits(
        look_back_days=settings.currents_look_back_days,
        reconciliation_seconds=settings.reconciliation_seconds,
        quiet_seconds=settings.currents_quiet_seconds,
    )

    @dg.sensor(
        name="currents_hours",
        target=dg.AssetSelection.assets(
            *(raw_asset_key(event_type) for event_type in catalogue().values()),
            *(discovered_asset_key(table) for table in discovered),
            UNKNOWN_EVENT_TYPES,
            UNRECOGNISED_OBJECTS,
        ),
        minimum_interval_seconds=settings.sensor_interval_seconds,
        default_status=dg.DefaultSensorStatus.RUNNING if local else dg.DefaultSensorStatus.STOPPED,
        description=(
            "Finds new and late Currents files and launches one run at a time for the event types and days concerned."
        ),
    )
    def currents_hours(context: dg.SensorEvaluationContext, bucket: BucketResource) -> dg.SensorResult:
        now = datetime.now(timezone.utc)
        tick = run_tick(
            Cursor.read(context.cursor),
            bucket.bucket(),
            settings.currents_prefix,
            settings.currents_start_day,
            now=now.timestamp(),
            today=now.date(),
            run_state_of=lambda request: _run_state_of(context.instance, request),
            loaded_by=lambda request: _loaded_by(context.instance, _assets_of(request, discovered), request),
            limits=limits,
        )
        without_asset = sorted(
            name for name in tick.event_types if asset_for_event_type(name, discovered) is None
        )
        if without_asset:
            become = (
                "when definitions are loaded again" if local else "by BRAZE_PLATFORM_CURRENTS_EVENT_TYPES"
            )
            tick.messages.append(
                f"{len(without_asset)} event types are loaded by currents/unknown_event_types and become assets of "
                f"their own {become}: {', '.join(without_asset)}."
            )
        for message in tick.messages:
            context.log.info(message)
        for warning in tick.warnings:
            context.log.warning(warning)
        evaluations = _told_not_loaded(tick)
        requests = []
        if tick.request is not None:
            context.log.info(f"Launching one run for {describe(tick.request)}.")
            requests.append(_run_request(tick.request, _assets_of(tick.request, discovered)))
        elif tick.check_is_due:
            requests.append(dg.RunRequest(asset_selection=[], asset_check_keys=[FILES_ARE_LOADED]))
        said = " ".join([*tick.messages, *tick.warnings])
        return dg.SensorResult(
            run_requests=requests,
            skip_reason=None if requests else said,
            cursor=tick.cursor.write(),
            asset_events=evaluations,
        )

    return currents_hours


def _told_not_loaded(tick: Tick) -> list[dg.AssetCheckEvaluation]:
    """The failing check of files that are not loaded, when it has something new to say."""
    rows = not_loaded_rows(tick.not_loaded)
    # That all is well again is said by a run of the check itself, which looks at more than what was asked for.
    if not rows or rows == tick.cursor.told_not_loaded:
        return []
    tick.cursor.told_not_loaded = rows
    return [failing_loads(rows)]


def _assets_of(request: Request, discovered: Mapping[str, tuple[str, ...]]) -> list[dg.AssetKey]:
    event_types = request.scope.event_types if request.scope else ()
    tables = [asset_for_event_type(name, discovered) for name in event_types]
    keys = [discovered_asset_key(table) for table in dict.fromkeys(tables) if table is not None]
    if None in tables:
        keys.append(UNKNOWN_EVENT_TYPES)
    if request.unrecognised is not None:
        keys.append(UNRECOGNISED_OBJECTS)
    return keys


def _run_request(request: Request, assets: list[dg.AssetKey]) -> dg.RunRequest:
    # No run key: Dagster would remember it for ever, and a day may have to be loaded again.
    tags = {REQUEST_TAG: request.id}
    scope = request.scope
    if scope is None:
        return dg.RunRequest(asset_selection=assets, tags=tags)
    if scope.first_day == scope.last_day:
        return dg.RunRequest(asset_selection=assets, tags=tags, partition_key=scope.first_day.isoformat())
    return dg.RunRequest(
        asset_selection=assets,
        tags={
            **tags,
            "dagster/asset_partition_range_start": scope.first_day.isoformat(),
            "dagster/asset_partition_range_end": scope.last_day.isoformat(),
        },
    )


def _run_state_of(instance: dg.DagsterInstance, request: Request) -> RunState:
    runs = instance.get_runs(dg.RunsFilter(tags={REQUEST_TAG: request.id}))
    if not runs:
        return "not_created"
    if any(run.status == dg.DagsterRunStatus.SUCCESS for run in runs):
        return "succeeded"
    newest = runs[0]
    will_be_retried = newest.tags.get("dagster/will_retry") == "true"
    if newest.status not in _ENDED_BADLY or will_be_retried:
        return "in_progress"
    return "busy" if newest.tags.get(WAREHOUSE_BUSY_TAG) else "failed"


def _loaded_by(instance: dg.DagsterInstance, assets: list[dg.AssetKey], request: Request) -> Loaded:
    """What the newest materialisations of a request's assets found in the bucket."""
    runs = {run.run_id for run in instance.get_runs(dg.RunsFilter(tags={REQUEST_TAG: request.id}))}
    loaded: dict[str, Mapping[date, int]] = {}
    for record in instance.get_asset_records(assets):
        entry = record.asset_entry
        materialization = (
            entry.last_materialization.asset_materialization if entry.last_materialization else None
        )
        if materialization is None or entry.last_run_id not in runs:
            continue
        found = materialization.metadata.get(OBJECTS_FOUND)
        if isinstance(found, dg.TextMetadataValue) and found.text:
            loaded.update(read_objects_found(found.text))
    return loaded
