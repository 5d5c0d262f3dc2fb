"""The executor of all runs, which gives signs of life, and the sensor that looks for them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from braze_platform.runs.sensor import BEAT_SECONDS, HEARTBEAT_TAG, left_behind_runs
from braze_platform.settings import Settings

_LOG = logging.getLogger(__name__)


def runs_definitions(settings: Settings) -> dg.Definitions:
    """The sensor, and the executor as the default of all jobs."""
    return dg.Definitions(sensors=[left_behind_runs(settings)], executor=in_process_with_heartbeat)


class _Beating(dg.Executor):
    """Another executor, with signs of life while it executes."""

    def __init__(self, inner: dg.Executor) -> None:
        self._inner = inner

    @property
    def retries(self) -> Any:
        """The inner one's."""
        return self._inner.retries

    @property
    def step_dependency_config(self) -> Any:
        """The inner one's."""
        return self._inner.step_dependency_config

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[Any]:
        """As the inner one does it."""
        with _heartbeat(plan_context.instance, plan_context.run_id):
            yield from self._inner.execute(plan_context, execution_plan)


def _in_process(context: dg.InitExecutorContext) -> dg.Executor:
    make = dg.in_process_executor.executor_creation_fn
    assert make is not None
    return _Beating(make(context))


#: Runs are in one process: each further step process would cost seconds of imports, and on the local target DuckDB lets
#: only one process open its file.
in_process_with_heartbeat = dg.ExecutorDefinition(
    name="in_process_with_heartbeat",
    config_schema=dg.in_process_executor.config_schema.as_field(),
    executor_creation_fn=_in_process,
    description="Dagster's executor in one process, which tells every half a minute that the run is alive.",
)


@contextmanager
def _heartbeat(instance: dg.DagsterInstance, run_id: str) -> Iterator[None]:
    ended = threading.Event()

    def beat() -> None:
        while True:
            try:
                instance.add_run_tags(run_id, {HEARTBEAT_TAG: str(int(time.time()))})
            # Dagster's database may be away for a while. Without the next beat the run, alive, would be failed.
            except Exception as error:  # noqa: BLE001 - it depends on where Dagster keeps its runs
                _LOG.warning("Run %s cannot give a sign of life: %s", run_id, type(error).__name__)
            if ended.wait(BEAT_SECONDS):
                return

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
