"""The sensor that asks for a backup once a day. It looks at files alone: what opens the warehouse is the run."""

from datetime import datetime, timezone

import dagster as dg

from braze_platform.backup.assets import KEY
from braze_platform.backup.due import backup_state
from braze_platform.settings import Settings

#: Seconds between two looks.
LOOK_SECONDS = 600
_TAG = "braze_platform/backup"
_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def daily_backup_sensor(settings: Settings, asset: dg.AssetsDefinition) -> dg.SensorDefinition:
    """The sensor of an installation on the local target."""

    @dg.sensor(
        name="daily_backup",
        target=[asset],
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Asks for platform/backup when the DuckDB file was written since the newest backup and that is a day old. "
            "After a failure it asks again, once an hour."
        ),
    )
    def daily_backup(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        """Compare the time of the newest backup with that of the file."""
        now = datetime.now(timezone.utc)
        state = backup_state(settings, now)
        newest = f"{state.newest:%Y-%m-%d %H:%M:%S} UTC" if state.newest else "none yet"
        if not state.is_due(now):
            return dg.SkipReason(f"No backup is due. The newest: {newest}.")
        under_way = dg.RunsFilter(tags={_TAG: "daily"}, statuses=_UNFINISHED)
        if context.instance.get_runs(under_way, limit=1):
            return dg.SkipReason("A backup is under way.")
        return dg.RunRequest(
            run_key=f"after {newest}, {now:%Y-%m-%d %H}", asset_selection=[KEY], tags={_TAG: "daily"}
        )

    return daily_backup
