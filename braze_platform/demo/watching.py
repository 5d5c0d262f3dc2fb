"""Telling people what Dagster does: runs as they start, advance and end, and the sensors' ticks."""

from __future__ import annotations

import time
from collections.abc import Callable

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, RunsFilter
from dagster._core.scheduler.instigation import TickStatus

_FINISHED = {DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED}
#: The folders of what is loaded, and not made from something else.
_LOADED = {"currents", "company", "braze_workspace"}


class RunWatcher:
    """Says a line for each run that starts, gets on or ends."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._reported: dict[str, tuple[DagsterRunStatus, int]] = {}
        self._seen: dict[str, tuple[DagsterRunStatus, int]] = {}
        #: When a run was last seen to begin, to materialise something or to end (seconds of `time.monotonic`).
        self.progressed_at = time.monotonic()
        #: When the latest run ended (epoch seconds), and whether it was a load.
        self.ended_at = 0.0
        self.loaded_last = False

    def report(self, instance: DagsterInstance) -> list[str]:
        """Say what is new; return short ids of the runs that are not finished."""
        unfinished = []
        records = instance.get_run_records(RunsFilter(), limit=30)
        ended = [one for one in records if one.dagster_run.status in _FINISHED]
        if ended:
            latest = max(ended, key=lambda one: one.end_time or 0)
            self.ended_at = latest.end_time or 0.0
            self.loaded_last = any(key.path[0] in _LOADED for key in latest.dagster_run.asset_selection or ())
        for record in reversed(records):
            run = record.dagster_run
            if run.status not in _FINISHED:
                unfinished.append(run.run_id[:8])
            reported_status, reported_count = self._reported.get(run.run_id, (None, 0))
            if reported_status in _FINISHED:
                continue
            count = instance.get_run_stats(run.run_id).materializations
            if self._seen.get(run.run_id) != (run.status, count):
                self._seen[run.run_id] = (run.status, count)
                self.progressed_at = time.monotonic()
            if run.status is not reported_status or count >= reported_count + 50:
                self._reported[run.run_id] = (run.status, count)
                seconds = (record.end_time or 0) - (record.start_time or 0) if record.start_time else 0
                took = f" in {seconds:.0f} s" if run.status in _FINISHED and seconds > 0 else ""
                status = run.status.value.lower()
                self._say(
                    f"  run {run.run_id[:8]} {status:8} {count:4} materialisations{took}: {work_of(run)}"
                )
        return unfinished


def work_of(run: DagsterRun) -> str:
    """What a run works on, in few words: the folders of its assets and its days."""
    folders: dict[str, int] = {}
    for key in run.asset_selection or ():
        folder = key.path[0] if key.path[0] != "braze" else "braze/user_attributes"
        folders[folder] = folders.get(folder, 0) + 1
    what = ", ".join(f"{count} {folder}" for folder, count in sorted(folders.items())) or run.job_name
    start = run.tags.get("dagster/asset_partition_range_start") or run.tags.get("dagster/partition")
    end = run.tags.get("dagster/asset_partition_range_end", start)
    days = f" ({start})" if start and start == end else f" ({start} to {end})" if start else ""
    return what + days


def ticks_after(instance: DagsterInstance, timestamp: float) -> dict[str, int]:
    """How many ticks each running sensor has begun after a time (epoch seconds) and ended since."""
    counts: dict[str, int] = {}
    for state in instance.all_instigator_state():
        if not state.is_running:
            continue
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, after=timestamp, limit=5)
        counts[state.instigator_name] = sum(1 for tick in ticks if tick.status is not TickStatus.STARTED)
    return counts
