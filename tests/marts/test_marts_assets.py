"""What a run over the dbt project says when it fails."""

import os
from datetime import datetime
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.marts_new_hour import write_hours
from braze_platform.currents.file_registry import ensure_file_registry
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.marts.dbt_artifacts import KEPT
from braze_platform.marts.definitions import marts_definitions
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import local_warehouse


@pytest.mark.full
def test_a_run_that_is_short_of_memory_names_the_setting(tmp_path: Path) -> None:
    settings = Settings(state_dir=tmp_path)
    with local_warehouse(settings).session() as session:
        ensure_raw_tables(session)
        ensure_file_registry(session)
        write_hours(session, datetime(2026, 11, 10), 10, 50_000, users=1_000, load=1)
    short = settings.replace(duckdb_memory_limit="20MB")
    definitions = marts_definitions(short, prepare_manifest(short))
    for number in range(KEPT + 3):
        left = settings.dbt_target_dir / f"dbt_models-{number}"
        left.mkdir()
        os.utime(left, times=(number, number))
    sends = dg.AssetKey(["staging", "stg_currents__users_messages_email_send"])
    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize(
            list(definitions.assets or []),
            selection=[sends],
            instance=instance,
            resources=definitions.resources,
            raise_on_error=False,
        )
    [failure] = [event for event in done.all_events if event.is_step_failure]
    said = failure.step_failure_data.user_failure_data
    assert said is not None and said.description is not None
    assert "BRAZE_PLATFORM_DUCKDB_MEMORY_LIMIT" in said.description and "20MB" in said.description
    assert "stg_currents__users_messages_email_send" in said.description
    # Those that stayed, and this run's, which its error names.
    assert len(list(settings.dbt_target_dir.glob("dbt_models-*"))) == KEPT + 1
