"""(b) Rows a second of the loader against dlt with rows that fastavro read, on the same files.

dlt is installed into a virtual environment of its own that is thrown away: its pins have nothing to do with ours.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

import click

from benchmarks.event_files import write_hour
from benchmarks.load_hour import load_seconds
from benchmarks.result import Result

_REQUIREMENTS = ("dlt[duckdb]==1.31.0", "fastavro>=1.10", "duckdb==1.5.5")
_DLT = """
import sys, time
from pathlib import Path
import dlt, fastavro

def rows():
    for path in sorted(Path(sys.argv[1]).rglob("*.avro")):
        with path.open("rb") as stream:
            yield from fastavro.reader(stream)

pipeline = dlt.pipeline(
    "benchmark", pipelines_dir=sys.argv[2], dataset_name="raw",
    destination=dlt.destinations.duckdb(sys.argv[2] + "/dlt.duckdb"),
)
started = time.perf_counter()
pipeline.run(rows(), table_name="users_messages_email_open")
print(time.perf_counter() - started)
"""


@click.command()
@click.option("--rows", default=1_000_000, show_default=True, help="Rows that the loader loads.")
@click.option("--dlt-rows", default=100_000, show_default=True, help="Rows that dlt loads.")
@click.option("--files", default=20, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rows: int, dlt_rows: int, files: int, as_json: bool) -> None:
    """Measure rows a second of both."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = folder / "environment"
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", *_REQUIREMENTS], check=True)
        write_hour(folder / "bucket", rows, files)
        ours = rows / load_seconds(folder, rows)[0]
        write_hour(folder / "for_dlt", dlt_rows, max(files * dlt_rows // rows, 1))
        (folder / "pipelines").mkdir()
        done = subprocess.run(
            [python, "-c", _DLT, str(folder / "for_dlt"), str(folder / "pipelines")],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "RUNTIME__DLTHUB_TELEMETRY": "false", "HOME": name},
        )
    if done.returncode != 0:
        raise click.ClickException(done.stderr[-3_000:])
    theirs = dlt_rows / float(done.stdout.splitlines()[-1])
    Result(
        "(b) rows a second of the loader / of dlt with fastavro rows",
        ours / theirs,
        50.0,
        True,
        {"rows a second, loader": ours, "rows a second, dlt": theirs},
    ).tell(as_json=as_json)


if __name__ == "__main__":
    main()
