"""When a loop is said to get on."""

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData

from braze_platform.demo import watching
from braze_platform.demo.watching import RunWatcher


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
