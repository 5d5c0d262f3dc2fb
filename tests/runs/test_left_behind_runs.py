"""Signs of life of runs, and what becomes of a run that gives none any more."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from braze_platform.runs import definitions
from braze_platform.runs.definitions import in_process_with_heartbeat
from braze_platform.runs.sensor import GONE_AFTER_SECONDS, HEARTBEAT_TAG, LOOK_SECONDS, left_behind_runs
from braze_platform.settings import Settings


@dg.op
def quick() -> None:
    """Done at once."""


@dg.job(executor_def=in_process_with_heartbeat)
def beating() -> None:
    """A job with the executor of all runs."""
    quick()


def test_a_run_gives_signs_of_life(tmp_path: Path) -> None:
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        began = int(time.time())
        result = dg.execute_job(dg.reconstructable(beating), instance=instance)
        assert result.success
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert began <= int(run.tags[HEARTBEAT_TAG]) <= time.time()
    assert not [thread for thread in threading.enumerate() if thread.name == "heartbeat"]


def test_a_beat_that_fails_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(definitions, "BEAT_SECONDS", 0.01)
    beats = 0
    again = threading.Event()

    class Away:
        def add_run_tags(self, run_id: str, tags: dict[str, str]) -> None:
            nonlocal beats
            beats += 1
            if beats == 1:
                raise OSError("database is away")
            again.set()

    with definitions._heartbeat(Away(), "0123"):  # type: ignore[arg-type]
        assert again.wait(30)
    assert "Run 0123 cannot give a sign of life: OSError" in caplog.text


@contextmanager
def under_way(instance: dg.DagsterInstance, tags: dict[str, str]) -> Iterator[str]:
    """A run that is under way as long as the context lasts."""
    began, end = threading.Event(), threading.Event()

    @dg.op
    def slow() -> None:
        began.set()
        end.wait()

    @dg.job(tags=tags)
    def working() -> None:
        slow()

    thread = threading.Thread(target=lambda: working.execute_in_process(instance=instance))
    thread.start()
    began.wait()
    try:
        [record] = instance.get_run_records(dg.RunsFilter(job_name="working"))
        yield record.dagster_run.run_id
    finally:
        end.set()
        thread.join()


def tick(instance: dg.DagsterInstance, *, pause: float = LOOK_SECONDS) -> Any:
    sensor = left_behind_runs(Settings())
    with dg.build_sensor_context(instance=instance, cursor=str(time.time() - pause)) as context:
        return sensor.evaluate_tick(context)


@pytest.mark.parametrize(
    ("tags", "pause", "is_failed"),
    [
        pytest.param({"silent": GONE_AFTER_SECONDS + 10}, LOOK_SECONDS, True, id="gone"),
        pytest.param({"silent": GONE_AFTER_SECONDS - 60}, LOOK_SECONDS, False, id="silent for a while"),
        pytest.param({"silent": GONE_AFTER_SECONDS + 10}, 100_000, False, id="the machine slept"),
        pytest.param({"silent": GONE_AFTER_SECONDS + 10}, -100_000, False, id="the clock went back"),
        pytest.param({}, LOOK_SECONDS, False, id="another's"),
    ],
)
def test_a_run_without_signs_of_life_fails(
    tmp_path: Path, tags: dict[str, float], pause: float, is_failed: bool
) -> None:
    beat = {HEARTBEAT_TAG: str(int(time.time() - tags["silent"]))} if tags else {}
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance, under_way(instance, beat) as run_id:
        said = tick(instance, pause=pause)
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert (run.status == dg.DagsterRunStatus.FAILURE) is is_failed
        assert (run_id[:8] in said.skip_message) is is_failed
        assert not said.run_requests
