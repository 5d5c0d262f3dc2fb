"""(a) An hour into DuckDB through the loader against the plain decode of its files, and (c) its peak memory."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter, process_time

import click

from benchmarks.event_files import EVENT_TYPE, write_hour
from benchmarks.result import Result, seconds_of
from braze_platform.currents.bucket import FolderBucket
from braze_platform.currents.loader import load
from braze_platform.currents.raw_tables import ensure_raw_tables
from braze_platform.settings import Settings
from braze_platform.warehouse.duckdb import DuckDBWarehouse

DAY = date(2026, 11, 10)


def warehouse_at(path: Path) -> DuckDBWarehouse:
    """The warehouse as the settings' defaults have it."""
    return DuckDBWarehouse(
        path, threads=Settings().duckdb_threads, memory_limit=Settings().duckdb_memory_limit
    )


def load_seconds(folder: Path, rows: int) -> tuple[float, float]:
    """Load the hour of a folder into a new warehouse that has its tables: seconds, and seconds of a processor."""
    warehouse = warehouse_at(folder / f"loaded_{perf_counter()}.duckdb")
    with warehouse.session() as session:
        ensure_raw_tables(session)
    started, worked = perf_counter(), process_time()
    report = load(warehouse, FolderBucket(folder / "bucket"), "currents", [EVENT_TYPE], DAY, DAY)
    seconds, worked = perf_counter() - started, process_time() - worked
    if report.rows_loaded != rows:
        raise click.ClickException(
            f"{report.rows_loaded:,} rows were loaded, {rows:,} written: {report.errors}"
        )
    return seconds, worked


def compare(rows: int, files: int, folder: Path) -> Result:
    """Decode, naive copy and load of one hour."""
    size = write_hour(folder / "bucket", rows, files)
    pattern = f"{folder}/bucket/currents/*/*/*/*/*/*.avro"
    with warehouse_at(folder / "plain.duckdb").session() as session:
        session.fetch(f"select count(*) from read_avro('{pattern}')")  # the page cache is warm for all
        worked = process_time()
        decode = seconds_of(lambda: session.fetch(f"select count(*) from read_avro('{pattern}')"))
        decode_worked = process_time() - worked
        naive = seconds_of(lambda: session.execute(f"create table t as select * from read_avro('{pattern}')"))
    ours, ours_worked = load_seconds(folder, rows)
    return Result(
        f"(a) {rows:,} events in {files} files through the loader / plain decode",
        ours / decode,
        1.5,
        False,
        {
            "megabytes": size / 1e6,
            "decode seconds": decode,
            "loader seconds": ours,
            "naive create table as / decode": naive / decode,
            "the same ratio in processor seconds": ours_worked / decode_worked,
        },
    )


def peak_memory(rows: int, files: int) -> Result:
    """Peak memory of a process that does nothing but load such an hour."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_hour(folder / "bucket", rows, files)
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load_hour", "--only-load", name, "--rows", str(rows)],
            capture_output=True,
            text=True,
            check=True,
        )
    peak = float(done.stdout)
    return Result(
        f"(c) peak memory of loading {rows:,} events / 1.5 GB",
        peak / 1.5e9,
        1.0,
        False,
        {"megabytes": peak / 1e6},
    )


@click.command()
@click.option("--rows", default=1_000_000, show_default=True)
@click.option("--files", default=20, show_default=True)
@click.option("--memory", multiple=True, type=int, help="Measure peak memory at so many rows. Repeated.")
@click.option("--json", "as_json", is_flag=True)
@click.option("--only-load", type=Path, hidden=True)
def main(rows: int, files: int, memory: tuple[int, ...], as_json: bool, only_load: Path | None) -> None:
    """Measure the loader on one hour of large files."""
    if only_load is not None:
        load_seconds(only_load, rows)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        click.echo(peak * (1 if sys.platform == "darwin" else 1024))
        return
    with tempfile.TemporaryDirectory() as folder:
        compare(rows, files, Path(folder)).tell(as_json=as_json)
    for count in memory:
        peak_memory(count, max(count // 50_000, 1)).tell(as_json=as_json)


if __name__ == "__main__":
    main()
