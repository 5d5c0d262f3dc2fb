"""(e) Loading the definitions against a bare import of Dagster, dagster-dbt and dagster-gcp."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import click

from benchmarks.result import Result
from braze_platform.settings import PROJECT_ROOT, Settings

_BARE = "import dagster, dagster_dbt, dagster_gcp"
_OURS = (
    "import braze_platform.definitions as d; "
    "d.build_definitions(d.Settings.from_environment()).get_repository_def()"
)
_TIMED = "import time; s = time.perf_counter(); {code}; print(time.perf_counter() - s)"


def seconds(code: str, settings: Settings) -> float:
    """Seconds that some code takes in a new process, without the interpreter's own start."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED.format(code=code)],
        env={**os.environ, **settings.as_environment()},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


@click.command()
@click.option("--rounds", default=3, show_default=True)
@click.option("--json", "as_json", is_flag=True)
def main(rounds: int, as_json: bool) -> None:
    """Measure the load of definitions, with the dbt manifest made before."""
    with tempfile.TemporaryDirectory() as name:
        settings = Settings(state_dir=Path(name))
        seconds(_OURS, settings)
        measured = [(seconds(_BARE, settings), seconds(_OURS, settings)) for _ in range(rounds)]
    bare, ours = min(bare for bare, _ in measured), min(ours for _, ours in measured)
    Result(
        "(e) seconds of loading the definitions over the bare import",
        ours - bare,
        3.0,
        False,
        {"bare import": bare, "definitions": ours, "ratio": ours / bare},
    ).tell(as_json=as_json)


if __name__ == "__main__":
    main()
