"""(d) An hour with one small file of each of all 94 event types in one Dagster run, against a run of one event type."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

import click

from benchmarks.event_files import key_of, small_file
from benchmarks.result import Result
from braze_platform.currents.catalogue import catalogue
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.demo.local_loop import prepare_dagster_home
from braze_platform.marts.manifest import prepare_manifest
from braze_platform.settings import PROJECT_ROOT, Settings
from braze_platform.warehouse.duckdb import local_warehouse

#: What a run worker does: load all definitions, execute the assets of one day in one process.
_RUN = """
import sys
import dagster as dg
from braze_platform.definitions import build_definitions
from braze_platform.settings import Settings

defs = build_definitions(Settings.from_environment())
keys = {dg.AssetKey(["currents", table]) for table in sys.argv[1].split(",")}
job = defs.resolve_implicit_global_asset_job_def().get_subset(asset_selection=keys)
with dg.DagsterInstance.get() as instance:
    result = job.execute_in_process(instance=instance, partition_key="2026-11-10")
rows = [e.materialization.metadata["rows_loaded"].value for e in result.get_asset_materialization_events()]
assert len(rows) == len(keys) and all(rows), rows
"""


def run_seconds(event_types: list[str]) -> tuple[float, float]:
    """Seconds, and seconds of a processor, of the process of a run that loads one small file of each event type."""
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(state_dir=Path(name), currents_start_day=date(2026, 11, 1))
        prepare_dagster_home(settings)
        prepare_manifest(settings)
        with local_warehouse(settings).session() as session:
            ensure_raw_tables(session)
        for event_type in event_types:
            path = settings.bucket_dir / key_of(event_type, 0)
            path.parent.mkdir(parents=True)
            path.write_bytes(small_file(catalogue()[event_type]))
        tables = ",".join(catalogue()[event_type].table for event_type in event_types)
        before = processor_seconds()
        started = perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", _RUN, tables],
            env={**os.environ, **settings.as_environment(), "DAGSTER_HOME": str(settings.dagster_home)},
            cwd=PROJECT_ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds, worked = perf_counter() - started, processor_seconds() - before
    if done.returncode != 0:
        raise click.ClickException(done.stderr[-3_000:])
    return seconds, worked


def processor_seconds() -> float:
    """Of all processes that this one started and that ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@click.command()
@click.option("--small", is_flag=True, help="Ten event types instead of all.")
@click.option("--json", "as_json", is_flag=True)
def main(small: bool, as_json: bool) -> None:
    """Measure a run of all event types."""
    names = sorted(catalogue())[: 10 if small else None]
    (one, one_worked), (every, every_worked), (again, again_worked) = (
        run_seconds(names[:1]),
        run_seconds(names),
        run_seconds(names[:1]),
    )
    Result(
        f"(d) a run of {len(names)} event types, one small file each / a run of one",
        every / ((one + again) / 2),
        3.0,
        False,
        {
            "seconds of all": every,
            "seconds of one, before": one,
            "seconds of one, after": again,
            "the same ratio in processor seconds": every_worked / ((one_worked + again_worked) / 2),
        },
    ).tell(as_json=as_json)


if __name__ == "__main__":
    main()
