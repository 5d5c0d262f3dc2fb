"""When a loop is said to get on."""

from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData

from braze_platform.demo import local_loop, watching
from braze_platform.demo.local_loop import LocalLoop
from braze_platform.demo.watching import RunWatcher
from braze_platform.settings import Settings


def test_a_run_that_begins_materialises_or_ends_is_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(watching.time, "monotonic", lambda: next(clock))
    seen: list[float] = []

    def look() -> None:
        watcher.report(instance)
        seen.append(watcher.progressed_at)

    with dg.DagsterInstance.ephemeral() as instance:
        watcher = RunWatcher(lambda line: None)
        look()
        run = instance.add_run(
            dg.DagsterRun(job_name="load", run_id="a" * 8, status=dg.DagsterRunStatus.STARTED)
        )
        look()
        look()
        materialised = StepMaterializationData(dg.AssetMaterialization("raw"))
        instance.report_dagster_event(
            dg.DagsterEvent("ASSET_MATERIALIZATION", "load", event_specific_data=materialised), run.run_id
        )
        look()
        instance.report_run_failed(run)
        look()
        look()
    assert seen == [0, 1, 1, 2, 3, 3]


def test_ticks_count_that_began_after_the_last_run_has_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that began between the last look at a run and its end saw nothing of what the run made."""
    asked: list[float] = []

    def ticks_after(instance: dg.DagsterInstance, timestamp: float) -> dict[str, int]:
        asked.append(timestamp)
        return {"automation": 2}

    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.add_run(
            dg.DagsterRun(job_name="build", run_id="b" * 8, status=dg.DagsterRunStatus.STARTED)
        )
        monkeypatch.setattr(local_loop, "ticks_after", ticks_after)
        monkeypatch.setattr(local_loop, "SENSORS", ["automation"])
        monkeypatch.setattr(local_loop.time, "sleep", lambda seconds: instance.report_run_failed(run))
        settings = Settings(state_dir=tmp_path, currents_quiet_seconds=0)
        loop = LocalLoop(settings, webserver_port=0, say=lambda line: None)
        loop.instance = instance
        loop.wait_until_settled(seconds=60)
        [record] = instance.get_run_records()
    assert record.end_time is not None
    assert asked == [record.end_time]
