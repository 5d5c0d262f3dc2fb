"""Runs whose process is gone without a word, as after a crash of the host, fail: what waits for them goes on.

Dagster's own monitoring asks the launcher whether a run's process lives, which the default launcher cannot tell once
the code server that had started it is gone, too: such a run stays STARTED, and who asked for it waits for ever.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg

from braze_platform.settings import Settings

#: Tag of a run with the Unix time of its latest sign of life.
HEARTBEAT_TAG = "braze_platform/heartbeat"
BEAT_SECONDS = 30.0
#: Seconds without a sign after which a run counts as gone; without any sign since its start, too.
GONE_AFTER_SECONDS = 300.0
#: Seconds between two looks. After a longer pause the machine may have slept: runs get the time to give a sign first.
LOOK_SECONDS = 60
_LONG_PAUSE_SECONDS = 3 * LOOK_SECONDS
_UNDER_WAY = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def left_behind_runs(settings: Settings) -> dg.SensorDefinition:
    """The sensor that fails runs of this code location that give no sign of life any more."""

    @dg.sensor(
        name="left_behind_runs",
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=(
            dg.DefaultSensorStatus.RUNNING if settings.target == "local" else dg.DefaultSensorStatus.STOPPED
        ),
        description=(
            "Fails runs whose process is gone without a word, as after a crash of the host, so that Dagster starts "
            "them again and what waits for them goes on."
        ),
        target=None,
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        now = time.time()
        before, cursor = float(context.cursor or 0), str(now)
        if not 0 <= now - before <= _LONG_PAUSE_SECONDS:
            return dg.SensorResult(skip_reason="Runs get the time to give a sign of life.", cursor=cursor)
        gone = list(_gone(context, now))
        for run, since in gone:
            context.instance.report_run_failed(
                run,
                f"The process of this run gave no sign of life for {since:.0f} seconds: it, or its host, was killed.",
            )
        said = ", ".join(run.run_id[:8] for run, _ in gone)
        return dg.SensorResult(
            skip_reason=f"Marked as failed: {said}." if gone else "All runs give signs of life.",
            cursor=cursor,
        )

    return look


def _gone(context: dg.SensorEvaluationContext, now: float) -> Iterator[tuple[dg.DagsterRun, float]]:
    """Runs without a sign of life, and for how many seconds; of other code locations only those that gave one once."""
    origin = context.code_location_origin
    for record in context.instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY)):
        run = record.dagster_run
        beat = run.tags.get(HEARTBEAT_TAG)
        asked_by = run.remote_job_origin
        is_ours = (
            origin is not None and asked_by is not None and asked_by.location_name == origin.location_name
        )
        if beat is None and not is_ours:
            continue
        since = now - (float(beat) if beat else record.start_time or now)
        if since > GONE_AFTER_SECONDS:
            yield run, since
